/* contract.h - what every backend promises, as cases that run over all of them.
 *
 * CONTRACT(name) { ... } becomes one case a rig: mem_name, local_name, fail_name
 * (mem wrapped without a script), and ext_name for a server that the environment
 * names (ZPUSHD_CONTRACT, see rig_ext.c). A case gets a world: a user logged in
 * twice (`s` is ours, `other` is another client) and an empty folder of its own, so
 * that it may run on a mailbox that is in use. */
#ifndef TESTS_CONTRACT_H
#define TESTS_CONTRACT_H

#include <stdlib.h>

#include "backend/backend.h"
#include "proto/mime.h"
#include "unit/harness.h"

struct world;

struct rig {
	const char *name;
	void (*up)(struct world *w);      /* fills b, send, cred[], address[], nobody */
	void (*restart)(struct world *w); /* the process ends and starts again: b and send anew */
	void (*down)(struct world *w);
};

struct world {
	const struct rig *rig;
	struct backend *b;
	struct backend *send;             /* NULL: this server takes no mail */
	struct be_cred cred[2];
	struct slice address[2];
	struct slice nobody;              /* an address that is refused */
	bool keeps_tokens;                /* never a full listing for a good token */
	bool by_source;                   /* events come by source_read */
	struct session *s, *other;
	struct slice folder;
	struct arena *a;
	void *self;
};

extern const struct rig rig_mem, rig_local, rig_fail, rig_ext;

typedef void contract_fn(struct world *w);
void contract_run(const struct rig *rig, contract_fn *fn);
_Noreturn void contract_skip(struct world *w, const char *reason);

#define CONTRACT(id)                                                                  \
	static void id(struct world *w);                                              \
	CASE(mem_##id) { contract_run(&rig_mem, id); }                                \
	CASE(local_##id) { contract_run(&rig_local, id); }                            \
	CASE(fail_##id) { contract_run(&rig_fail, id); }                              \
	static void ext_##id(void) { contract_run(&rig_ext, id); }                    \
	static struct test_case ext_case_##id = { "ext_" #id, ext_##id, NULL };       \
	__attribute__((constructor)) static void ext_reg_##id(void)                   \
	{                                                                             \
		if (getenv("ZPUSHD_CONTRACT"))                                        \
			test_register(&ext_case_##id);                                \
	}                                                                             \
	static void id(struct world *w)

/* -- doing (each checks BE_OK) -- */

struct session *log_in(struct world *w, struct backend *b, int who);
uint64_t put(struct world *w, struct session *s, struct slice folder, struct slice mail);
uint64_t put_flags(struct world *w, struct session *s, struct slice folder, struct slice mail, unsigned flags, int64_t date_ms);
uint32_t flag(struct world *w, struct session *s, struct slice folder, uint64_t num, unsigned mask, unsigned value);
uint32_t categories(struct world *w, struct session *s, struct slice folder, uint64_t num, const struct slice *k, size_t n);
uint64_t move_one(struct world *w, struct session *s, struct slice folder, uint64_t num, struct slice dst);
void remove_one(struct world *w, struct session *s, struct slice folder, uint64_t num);
struct slice make_folder(struct world *w, struct slice parent, const char *name);
struct slice read_part(struct world *w, struct session *s, struct slice folder, uint64_t num, const char *part);
bool head_of(struct world *w, struct session *s, struct slice folder, uint64_t num, struct be_head *h);
struct slice plain_mail(struct world *w, const char *subject, const char *id, const char *body);
struct slice unique(struct world *w, const char *prefix);

/* -- seeing -- */

struct seen {
	struct be_item *v;
	size_t n, cap;
	uint64_t (*gone)[2];
	size_t n_gone, cap_gone;
	struct be_changes c;
	struct arena *a;
};
void look(struct world *w, struct session *s, struct slice folder, struct slice token, int64_t since_ms, struct seen *l);
const struct be_item *seen_item(const struct seen *l, uint64_t num);
bool seen_gone(const struct seen *l, uint64_t num);

/* A client's picture of a folder, kept up by tokens alone. */
struct model {
	struct be_item v[256];
	size_t n;
	struct slice token;
};
/* Asks for changes, applies them, and checks that the picture equals a full listing. */
void model_sync(struct world *w, struct session *s, struct slice folder, struct model *m, struct seen *l);

#endif
