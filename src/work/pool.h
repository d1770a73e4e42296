/* pool.h - sessions on backends: checked out by (backend, user, credential),
 * returned, kept for a while, closed. Shared by workers and watches; one mutex,
 * never held over a call into a backend.
 *
 * Per backend (a configured server): a cap on open sessions, waited for until
 * the caller's deadline; a cap per user; and a breaker: after some failures in a
 * row calls fail at once for a pause (jittered, doubling to a minute), then one
 * try is let through. A refused password is no failure of the server. */
#ifndef WORK_POOL_H
#define WORK_POOL_H

#include "backend/backend.h"

struct pool;

struct pool_stats {
	unsigned out, idle, waiting; /* over all backends */
	uint64_t opened, reused, refused_by_breaker;
};

int pool_new(struct pool **p_r, const struct settings *set, const struct clock *clk, const struct rnd *rnd,
	     struct err *e);
/* Everything must be back; closes what is idle. */
void pool_free(struct pool **p);
void pool_configure(struct pool *p, const struct settings *set);

/* deadline_ms on the pool's clock. BE_OK: *s_r is the caller's until pool_put or
 * pool_detach; NULL where the backend needs no session. BE_PERM ERR_AUTH: the
 * password is wrong. BE_TEMP: ERR_BUSY (cap), ERR_REFUSED (breaker), or what
 * the backend said. */
enum be_result pool_get(struct pool *p, struct backend *b, const struct be_cred *c, int64_t deadline_ms,
			struct session **s_r, struct err *e);
/* worst: of the calls made with it. BE_TEMP closes it and counts as a failure. */
void pool_put(struct pool *p, struct session **s, enum be_result worst);
/* It now belongs to a watch: no longer counted here, closed by its new owner. */
void pool_detach(struct pool *p, struct session *s);
/* Closes what was idle too long; call every few seconds. */
void pool_expire(struct pool *p);
/* Closes a user's idle sessions and lets none of those out return (logout, new password). */
void pool_forget(struct pool *p, struct slice user);
/* The process died (tests, the simulation): what was out is closed, whoever held it. */
void pool_crash(struct pool *p);
void pool_stats(struct pool *p, struct pool_stats *s_r);

#endif
