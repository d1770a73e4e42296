/* store.h - where state lives: Redis, SQLite in data_dir, or memory.
 * Worker threads (blocking, with deadline); one `struct store` is shared by all
 * of them and is thread-safe. One contract suite runs over the three drivers.
 *
 * A record is bytes under a key of one user, with a revision that changes with
 * every write. The first byte of every value is its format version (the owner's
 * business). A value is a base plus appended deltas: load returns them joined.
 *
 * Guarantees: commit is atomic over all its writes and judged by revisions:
 * either all are there or none (ERR_STORE_RACE names the first that lost). A
 * commit that failed with ERR_STORE or ERR_TIMEOUT may have happened: load and
 * look. Redis: as durable as its own persistence. SQLite: WAL, a commit survives
 * a crash of the process always, one of the machine with STORE_DURABLE.
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
	enum store_op op;    /* APPEND adds to an existing record, else acts as PUT */
	uint64_t expect;     /* revision that must stand; 0 absent; STORE_ANY */
	int64_t ttl_ms;      /* 0: as the driver's default (devices.forget for device records), <0 never expires */
	uint64_t rev;        /* out: the new revision */
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
	const char *scheme;  /* of store.url: "embedded", "redis", "memory" */
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

struct store {
	const struct store_ops *ops;
};

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
/* The user's change counter (contract in config.md); 0 when never counted. */
int store_gen(struct store *s, struct slice user, uint64_t *gen_r, struct err *e);
/* PUBLISH on the user's channel; count: with INCR of the counter, in one transaction. */
int store_publish(struct store *s, struct slice user, struct slice json, bool count, struct err *e);
/* Keys of a user that begin with prefix; user empty: of all users. Not for the
 * path of a request. */
int store_list(struct store *s, struct slice user, struct slice prefix,
	       int (*fn)(void *arg, struct slice user, struct slice key), void *arg, struct err *e);
/* At start and in readiness: reachable? *warning_r: eviction, persistence; empty when fine. */
int store_check(struct store *s, struct arena *a, struct slice *warning_r, struct err *e);

#endif
