/* auth.h - who a login is, and what is remembered of passwords.
 *
 * One per process, shared by all workers (one mutex, held for hashing tables
 * only). A verified password is remembered as HMAC(secret, user, password):
 * nothing here can be turned back into one. The backend's login is the judge;
 * this room only remembers its verdicts: auth_recall first, on a miss the
 * backend, then auth_learn. Failures are counted per user + device, and far
 * above that per user and per address; a password that is remembered as right
 * passes a throttle that others earned. */
#ifndef WORK_AUTH_H
#define WORK_AUTH_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/settings.h"

struct auth;

struct auth_ask {
	struct slice user; /* canonical */
	struct slice password, device_id, peer;
};

enum auth_verdict { AUTH_KNOWN, AUTH_ASK_BACKEND, AUTH_THROTTLED };

/* With the fleet's secret (datadir_auth_secret); wiped by auth_free. */
int auth_new(struct auth **a_r, const struct settings *set, const struct clock *clk, const struct rnd *rnd,
	     struct err *e);
void auth_free(struct auth **a);
/* New limits and times (SIGHUP). */
void auth_configure(struct auth *a, const struct settings *set);
/* For sync keys and the like; valid as long as the auth. */
struct slice auth_secret(const struct auth *a);

/* auth.domain and auth.lowercase: *user_r keys everything, *login_r is what backends
 * get (domain rule applied, case as typed). false: no legal name. */
bool auth_canonical(struct arena *arena, const struct settings *set, struct slice login, struct slice *user_r,
		    struct slice *login_r);

enum auth_verdict auth_recall(struct auth *a, const struct auth_ask *ask, int64_t *retry_ms_r);
/* What the backend said. Only a clear yes or no is learned. */
void auth_learn(struct auth *a, const struct auth_ask *ask, bool right);
/* {"auth":"changed"}, zpushd admin logout: the next request asks the backend. */
void auth_forget(struct auth *a, struct slice user);

#endif
