/* workrig.h - a struct work by hand over the store in memory and the backend in
 * memory, with a clock that stands still, and phones that drive exchange_run.
 * Include workrig.c in a test. One rig at a time; no threads. */
#ifndef TESTS_WORKRIG_H
#define TESTS_WORKRIG_H

#include "backend/mem.h"
#include "base/settings_table.h"
#include "../harness.h"
#include "work/auth.h"
#include "work/fuse.h"
#include "work/policy.h"
#include "work/pool.h"
#include "work/store_fail.h"
#include "work/store_mem.h"
#include "work/work.h"

struct rig {
	int64_t now_ms, wall_ms; /* moved by the test */
	uint64_t random;         /* counter: two runs are equal */
	struct settings *set;
	struct store *store;     /* what work uses: store_fail over memory */
	struct backend *mail;
	struct work w;
	struct clock clock;
	struct rnd rnd;
	enum store_fault next_fault[8]; /* by enum store_call: consumed by the next call of that kind */
	unsigned calls[8];              /* counted, by enum store_call */
	const char *die_at;             /* crash point that ends the request (longjmp) */
	bool died;
	LIST_OF(struct decode_report *) reports; /* of replies: own their large data until rig_down */
};

/* settings: "key=value" …, NULL at the end. Users alice and bob, password "pw". */
void rig_up(struct rig *r, const char *const *settings);
void rig_down(struct rig *r);
/* Another server on the same store and mailboxes: own sessions, logins, instance. */
void rig_second(struct rig *r, struct work *w_r);
void rig_second_down(struct work *w);
/* SIGHUP with one setting changed. */
void rig_set(struct rig *r, const char *key, const char *value);

struct phone {
	struct rig *r;
	struct work *w;          /* server it talks to; NULL: the rig's */
	const char *user, *password, *id, *type, *agent;
	int version;
	bool no_key;             /* sends no X-MS-PolicyKey */
	uint32_t key;            /* policy key it sends */
};

struct phone rig_phone(struct rig *r, const char *user, const char *id, int version);

/* One exchange. What came back lives in the case's arena. */
struct reply {
	struct verdict v;
	struct slice body;
	void *obj;               /* by the schema that was asked for; NULL: other or none */
	int status;              /* first Status in the root; 0 none */
};
/* ask NULL: no body. reply: schema to decode by, or NULL. */
struct reply rig_send(struct phone *p, enum eas_command c, const struct schema *ask, const void *obj,
		      const struct schema *reply);
/* The same with the request changed by the caller before it runs. */
struct request *rig_request(struct phone *p, enum eas_command c, const struct schema *ask, const void *obj);
struct reply rig_run(struct phone *p, struct request *rq, const struct schema *reply);
/* Both phases of Provision; the phone keeps the key. */
void rig_provision(struct phone *p);

#endif
