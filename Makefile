# Build of zpushd; `make help` lists what it can do. One static library a room.
# SAN=address|thread|fuzz builds the same tree instrumented in a directory of
# its own (build/address, ...). Targets that need packages call themselves
# again after installing, because the flags below ask pkg-config.

.DEFAULT_GOAL := all

CC      ?= gcc
CXX     ?= g++
SAN     ?=
B       := build$(if $(SAN),/$(SAN))
Q       := $(if $(V),,@)
# The same sources in another folder are the same objects.
export CCACHE_NOHASHDIR := 1
CCACHE  := $(shell command -v ccache)

LLHTTP  := /usr/share/llhttp
PKGS    := libuv hiredis sqlite3 jansson
CPPFLAGS += -I. -Isrc -D_GNU_SOURCE -I/usr/share/include/llhttp \
	    $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
OPT     ?= -O2
# -Werror with the one compiler whose warnings we know.
WARN    := -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wno-unused-parameter $(if $(CI),$(if $(filter fuzz,$(SAN)),,-Werror))
CFLAGS  += -std=c11 $(OPT) -g -fno-omit-frame-pointer $(WARN) $(SANFLAGS)
CXXFLAGS += -std=c++17 $(OPT) -g $(WARN) $(SANFLAGS)
LDFLAGS += $(SANFLAGS)
LDLIBS  += -lmbedtls -lmbedx509 -lmbedcrypto \
	   $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lz -lpthread -lm

SANFLAGS_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined
SANFLAGS_thread  := -fsanitize=thread
SANFLAGS_fuzz    := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
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
# One suite over every backend that a process can set up; tests/contract/rig_ext.c: over a real server.
CONTRACT := $(B)/tests/contract/test_contract
UNIT += $(CONTRACT)

all: $(if $(wildcard src/main.c),$(B)/zpushd) $(if $(wildcard bench/*.c),$(B)/zpush-bench)

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

$(CONTRACT): $(patsubst %,$(B)/%.o,$(wildcard tests/contract/*.c) tests/unit/harness.c) $(LIBS) $(B)/libllhttp.a $(B)/libconfig.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LINK)
$(B)/tests/contract/%.c.o: CPPFLAGS += -Itests -Itests/unit

FUZZ := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.c.o $(LIBS) $(B)/libllhttp.a $(B)/libconfig.a
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(LINK)

unit-build: $(UNIT)
fuzz-programs: $(FUZZ)

# --- what people type ------------------------------------------------------------

AGAIN = +@$(MAKE) --no-print-directory -s -j$(JOBS)
JOBS ?= $(shell nproc)
NEED_BUILD = @deps/install.sh runtime build
NEED_TEST  = @deps/install.sh runtime build test

## run: install what is missing, build, start on the embedded default
run:
	$(NEED_BUILD)
	@test -e build/zpushd || echo "building zpushd (a minute or two the first time)"
	$(AGAIN) all
	@test ! -e data/users || echo "accounts: build/zpushd admin user list|add NAME|password NAME"
	@exec build/zpushd -c zpushd.toml

## check: the minute-long part of the tests
check:
	$(NEED_TEST)
	@tests/run check

## test: all tests, with real Dovecot, Redis and Postfix on free ports
test:
	$(NEED_TEST)
	@tests/run test

## demo: a simulated phone provisions, syncs and is pushed a real mail
demo:
	$(NEED_TEST)
	$(AGAIN) all
	@/usr/bin/python3 tests/demo.py

## dev: Dovecot, Redis, SMTP and the address-sanitizer zpushd until Ctrl-C
dev:
	$(NEED_TEST)
	$(AGAIN) SAN=address all
	@/usr/bin/python3 tests/dev.py

# The simulation of tests/sim, one program.
SIM_OBJ := $(call obj,tests/sim/*.c)
$(B)/tests/sim/sim: $(SIM_OBJ) $(LIBS) $(B)/libllhttp.a $(B)/libconfig.a
	$(Q)$(CC) $(LDFLAGS) -o $@ $(SIM_OBJ) $(LINK)

## sim: the simulation: 200 fixed seeds and a fresh one
sim: $(B)/tests/sim/sim
	@$(B)/tests/sim/sim 1-200 fresh

## unit: the unit tests alone (SAN=address or SAN=thread: instrumented)
unit: $(UNIT)
	@set -e; for t in $(UNIT); do $$t; done

## asan, tsan: the unit tests under address+undefined, thread sanitizer
asan tsan:
	$(NEED_TEST)
	@tests/run $(if $(filter asan,$@),address,thread)

## fuzz: every fuzz target for FUZZ_SECONDS (60)
fuzz:
	$(NEED_TEST)
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-60} tests/run fuzz
fuzz-build:
	$(AGAIN) SAN=fuzz CC=clang CXX=clang++ CCACHE= fuzz-programs
	@/usr/bin/python3 tests/fuzz/seeds.py

## bench-wbxml: our WBXML beside libwbxml2 on the same documents
bench-wbxml:
	$(NEED_TEST)
	$(AGAIN) $(B)/bench-wbxml
	@$(B)/bench-wbxml
$(B)/bench-wbxml: bench/micro/wbxml.c $(B)/libproto.a $(B)/libbase.a
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $$(pkg-config --cflags libwbxml2) -I/usr/include/libwbxml-1.0 $(LDFLAGS) -o $@ $< \
	    -Wl,--start-group $(LIBS) -Wl,--end-group $$(pkg-config --libs libwbxml2) $(LDLIBS)

## bench-parked, bench-reping, bench-sync, bench-latency: see bench/README.md (A="options")
BENCH_parked := parked.py
BENCH_reping := reping.py
BENCH_sync := mailsync.py
BENCH_latency := latency.py
bench-parked bench-reping bench-sync bench-latency:
	$(NEED_TEST)
	$(AGAIN) all
	@/usr/bin/python3 bench/$(BENCH_$(@:bench-%=%)) $(A)
## bench-instructions: of a re-Ping, by valgrind
bench-instructions:
	$(NEED_TEST)
	$(AGAIN) all
	@/usr/bin/python3 bench/reping.py --callgrind $(A)

PREFIX     ?= /usr/local
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)

## install: programs, zpushd.toml, systemd unit, examples (PREFIX, DESTDIR)
install: all
	install -D -m 755 build/zpushd $(DESTDIR)$(PREFIX)/bin/zpushd
	$(if $(wildcard bench/*.c),install -D -m 755 build/zpush-bench $(DESTDIR)$(PREFIX)/bin/zpush-bench)
	test -e $(DESTDIR)$(SYSCONFDIR)/zpushd/zpushd.toml || \
		install -D -m 644 zpushd.toml $(DESTDIR)$(SYSCONFDIR)/zpushd/zpushd.toml
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/doc/zpushd
	sed 's,/usr/bin/zpushd,$(PREFIX)/bin/zpushd,; s,/etc/zpushd,$(SYSCONFDIR)/zpushd,' deps/zpushd.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/zpushd.service
	cp -r README.md deps/dovecot deps/haproxy deps/redis deps/compose $(DESTDIR)$(PREFIX)/share/doc/zpushd/

## clean: remove build/ (never data/)
clean:
	rm -rf build

## help: this list
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST)) | awk '{ n = index($$0, ": "); printf "make %-12s %s\n", substr($$0, 1, n - 1), substr($$0, n + 2) }'

.PHONY: bench-parked bench-reping bench-sync bench-latency bench-instructions all unit unit-build fuzz-programs run check test demo dev asan tsan fuzz fuzz-build bench-wbxml install clean help
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
