/* store.h - where state lives: Redis, SQLite in data_dir, or memory.
 * Worker threads (blocking, with deadline); one `struct store` is shared by all
 * of them and is thread-safe. One contract suite runs over the three drivers.
 *
 * A record is bytes under a key of one user, with a revision that changes with
 * every write and is never used twice for a key, not even after a delete. The
 * first byte of every value is its format version (the owner's business).
 *
 * Base and deltas: PUT writes a base, APPEND adds a delta behind it, so that a
 * small change to a large record costs what changed. load returns base and deltas
 * joined, with the length of the base; the owner knows where a delta ends and
 * writes a new base when they have grown.
 *
 * Guarantees: commit is atomic over all its writes and judged by revisions:
 * either all are there or none (ERR_STORE_RACE names the first that lost). A
 * commit that failed with ERR_STORE, ERR_TIMEOUT or ERR_REFUSED may have happened:
 * load and look. Redis: as durable as its own persistence. SQLite: WAL, a commit
 * survives a crash of the process always, one of the machine with STORE_DURABLE.
 *
 * Failures: ERR_STORE, ERR_TIMEOUT, ERR_REFUSED, ERR_TLS count for the breaker
 * (limits.store_breaker): then calls fail at once with ERR_STORE, until after
 * limits.store_breaker_pause one is let through and decides.
 * Key names are made in src/keys.h only. All keys of a user share a hash tag. */
#ifndef WORK_STORE_H
#define WORK_STORE_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/settings.h"

#define STORE_ANY UINT64_MAX /* write whatever is there */

struct store_get {
	struct slice key;   /* in: record name below the user, e.g. "dev:ID" (keys.h) */
	struct slice value; /* out, in the arena; empty when absent */
	uint64_t rev;       /* out; 0 absent */
	uint32_t base_len;  /* out: how much of value is the base, the rest are deltas */
};

enum store_op { STORE_PUT, STORE_APPEND, STORE_DELETE };

struct store_put {
	struct slice key;
	struct slice value;
	enum store_op op;    /* APPEND to an absent record acts as PUT */
	uint64_t expect;     /* revision that must stand; 0 absent; STORE_ANY */
	int64_t ttl_ms;      /* >0: from now; <0: never expires; 0: devices.forget, begun anew by
			      * every put and load (written at most once in a sixteenth of it) */
	uint64_t rev;        /* out: the new revision; 0 after DELETE */
};

/* A claim: one writer at a time on a device. Not a lock to rely on: it expires,
 * and the revision check at commit is the judge. */
struct store_claim {
	struct slice key;
	struct slice owner;  /* random, at most 32 bytes */
	int64_t ttl_ms;
	int64_t wait_ms;     /* how long to wait for another holder; then ERR_STORE_RACE */
};

enum store_flags { STORE_DURABLE = 1 };

struct store;

struct store_ops {
	const char *scheme;  /* of store.url: "embedded", "redis", "rediss", "memory" */
	bool publishes_here; /* messages reach this process only: on_publish */
	int (*open)(struct store **s_r, struct slice url, const struct settings *set, const struct clock *clk, struct err *e);
	void (*close)(struct store **s);
	int (*load)(struct store *s, struct slice user, struct store_get *g, size_t n, const struct store_claim *claim,
		    uint64_t *gen_r, struct arena *a, struct err *e);
	int (*commit)(struct store *s, struct slice user, struct store_put *p, size_t n, const struct store_claim *release,
		      unsigned flags, struct err *e);
	int (*release)(struct store *s, struct slice user, const struct store_claim *c, struct err *e);
	int (*gen)(struct store *s, struct slice user, uint64_t *gen_r, struct err *e);
	int (*publish)(struct store *s, struct slice user, struct slice json, bool count, struct err *e);
	int (*list)(struct store *s, struct slice user, struct slice prefix, int (*fn)(void *arg, struct slice user, struct slice key),
		    void *arg, struct err *e);
	int (*check)(struct store *s, struct arena *a, struct slice *warning_r, struct err *e);
};

/* Called on the publishing thread, for stores whose messages do not leave the
 * process (embedded, memory): what the Redis subscription is for the others.
 * Must be quick and thread-safe. */
typedef void store_publish_fn(void *arg, struct slice user, struct slice json);

/* First member of each driver's own struct; store_init fills it. */
struct store {
	const struct store_ops *ops;
	const struct clock *clock;
	uint64_t record_max_bytes;
	int64_t forget_ms;             /* ttl 0 */
	store_publish_fn *on_publish;
	void *on_publish_arg;
	struct store_breaker *breaker; /* owned; NULL: none */
	struct store_lost *lost;       /* owned */
};
void store_init(struct store *s, const struct store_ops *ops, const struct settings *set, const struct clock *clk);

/* By the scheme of store.url. */
int store_open(struct store **s_r, const struct settings *set, const struct clock *clk, struct err *e);
void store_close(struct store **s);
/* All records, the change counter (gen_r may be NULL) and the claim (may be
 * NULL) in one round trip. Absent records are no error. */
int store_load(struct store *s, struct slice user, struct store_get *g, size_t n, const struct store_claim *claim,
	       uint64_t *gen_r, struct arena *a, struct err *e);
/* Atomic; also gives back `release` (may be NULL) in the same round trip. */
int store_commit(struct store *s, struct slice user, struct store_put *p, size_t n, const struct store_claim *release,
		 unsigned flags, struct err *e);
int store_release(struct store *s, struct slice user, const struct store_claim *c, struct err *e);
/* A hanging store may execute a claim after its caller gave up: nobody would hold it
 * then until its time is over. lost: remember the owner of a claim whose answer did
 * not come; found: the owner under which the next claim of that key is taken again. */
void store_claim_lost(struct store *s, struct slice user, const struct store_claim *c);
bool store_claim_found(struct store *s, struct slice user, struct slice key, struct arena *a, struct slice *owner_r);
/* The user's change counter with the store's epoch mixed in: compare two for
 * equality, nothing else. Differs after any INCR, and after a flush, a restart or a
 * fail-over of the store even if the counter came out the same. */
int store_gen(struct store *s, struct slice user, uint64_t *gen_r, struct err *e);
/* The pure part of it, for the loop's own GETs: value of the epoch key, of the counter. */
uint64_t store_gen_mix(struct slice epoch, uint64_t counter);
#define STORE_GEN_COUNTER(gen) ((gen) & UINT64_C(0xffffffffff))
/* See store_publish_fn. After it returns the one before is not called any more. */
void store_on_publish(struct store *s, store_publish_fn *fn, void *arg);
/* PUBLISH on the user's channel; count: with INCR of the counter, in one transaction. */
int store_publish(struct store *s, struct slice user, struct slice json, bool count, struct err *e);
/* Keys of a user that begin with prefix; user empty: of all users (walks the whole
 * store: not for the path of a request). fn is called when nothing is locked, may use
 * the store, and ends the walk with -1, which is returned with *e untouched. */
int store_list(struct store *s, struct slice user, struct slice prefix,
	       int (*fn)(void *arg, struct slice user, struct slice key), void *arg, struct err *e);
/* At start and in readiness: reachable? *warning_r: eviction, persistence; empty when fine. */
int store_check(struct store *s, struct arena *a, struct slice *warning_r, struct err *e);

#endif
