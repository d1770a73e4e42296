# Build of zpushd. One static library a room; the arrows between the rooms are
# the link order below. SAN=address|thread builds the same tree instrumented
# in a directory of its own (build/address, build/thread).

CC      ?= gcc
CXX     ?= g++
SAN     ?=
B       := build$(if $(SAN),/$(SAN))
Q       := $(if $(V),,@)
CCACHE  := $(shell command -v ccache)

LLHTTP  := /usr/share/llhttp
PKGS    := libuv hiredis sqlite3 libxml-2.0
CPPFLAGS += -I. -Isrc -D_GNU_SOURCE -I/usr/share/include/llhttp \
	    $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
OPT     ?= -O2
WARN    := -Wall -Wextra -Wshadow -Wno-unused-parameter $(if $(CI),-Werror)
CFLAGS  += -std=c11 $(OPT) -g -fno-omit-frame-pointer $(WARN) $(SANFLAGS)
CXXFLAGS += -std=c++17 $(OPT) -g $(WARN) $(SANFLAGS)
LDFLAGS += $(SANFLAGS)
LDLIBS  += -letpan -lmbedtls -lmbedx509 -lmbedcrypto \
	   $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm

SANFLAGS_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined
SANFLAGS_thread  := -fsanitize=thread
SANFLAGS := $(SANFLAGS_$(SAN))

# Rooms: library name = its sources.
SRC_base    := $(wildcard src/base/*.c)
SRC_proto   := $(wildcard proto/*.c)
SRC_backend := $(wildcard backend/*.c backend/*/*.c)
SRC_work    := $(wildcard src/work/*.c) src/job.c src/keys.c $(wildcard src/config*.c)
SRC_loop    := $(wildcard src/loop/*.c)
SRC_config  := src/config_toml.cc
ROOMS := loop work backend proto base

obj = $(patsubst %,$(B)/%.o,$(wildcard $(1)))
LIBS := $(foreach r,$(ROOMS),$(B)/lib$(r).a) 
LINK := -Wl,--start-group $(LIBS) $(B)/libllhttp.a $(B)/libconfig.a -Wl,--end-group $(LDLIBS) -lstdc++

# Sources beside the tests that are none themselves: linked into each.
HELP := $(patsubst %,$(B)/%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))

all: $(B)/zpushd $(if $(wildcard bench/*.c),$(B)/zpush-bench)

define room
$(B)/lib$(1).a: $(call obj,$(SRC_$(1)))
	@mkdir -p $$(@D); rm -f $$@; ar crs $$@ $$^
endef
$(foreach r,$(ROOMS) config,$(eval $(call room,$(r))))

$(B)/libllhttp.a: $(patsubst %,$(B)/llhttp/%.o,api http llhttp)
	@mkdir -p $(@D); ar crs $@ $^
$(B)/llhttp/%.o: $(LLHTTP)/%.c
	@mkdir -p $(@D)
	$(Q)$(CCACHE) $(CC) $(CPPFLAGS) -std=c11 $(OPT) -g $(SANFLAGS) -c $< -o $@

$(B)/%.c.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CCACHE) $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/%.cc.o: %.cc
	@mkdir -p $(@D)
	$(Q)$(CCACHE) $(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c $< -o $@

$(B)/zpushd: $(B)/src/main.c.o $(LIBS) $(B)/libllhttp.a $(B)/libconfig.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(LINK)

$(B)/zpush-bench: $(patsubst %,$(B)/%.o,$(wildcard bench/*.c)) $(LIBS) $(B)/libllhttp.a $(B)/libconfig.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LINK)

$(B)/tests/unit/%: $(B)/tests/unit/%.c.o $(HELP) $(LIBS) $(B)/libllhttp.a $(B)/libconfig.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LINK)

# Unit tests only; `make check` and `make test` are in tests/run.
unit: $(UNIT)
	@set -e; for t in $(UNIT); do $$t; done

clean:
	rm -rf build

.PHONY: all unit clean
.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)
