/* work.c - makes and renews what all workers share. Main thread at start and at
 * SIGHUP. A core (store, backends, sessions, remembered logins) outlives reloads
 * and is counted; settings, policies and client rules are a work's own.
 * The trap: requests under way hold the old work, so the last work_free of a
 * core closes it, whichever that is. */
#include "work/work.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/resolve.h"
#include "keys.h"
#include "work/auth.h"
#include "work/crash.h"
#include "work/datadir.h"
#include "work/fuse.h"
#include "work/policy.h"
#include "work/pool.h"
#include "work/trace.h"

struct work_core {
	_Atomic int refs;
	struct clock clock;
	struct rnd rnd;
	struct settings *settings; /* the backends' own: they were opened with it */
	struct store *store;
	struct backend *mail, *send;
	struct pool *pool;
	struct auth *auth;
	struct fuse *fuse;
	struct crash_ring *ring;
	struct trace *trace;
	uint64_t instance;
	char *crash_point;
};

static void core_free(struct work_core **cp)
{
	struct work_core *c = *cp;

	*cp = NULL;
	if (!c || atomic_fetch_sub(&c->refs, 1) > 1)
		return;
	pool_free(&c->pool);
	if (c->send && c->send != c->mail)
		c->send->ops->close(&c->send);
	if (c->mail)
		c->mail->ops->close(&c->mail);
	auth_free(&c->auth);
	fuse_free(&c->fuse);
	store_close(&c->store);
	crash_close(&c->ring);
	trace_free(&c->trace);
	settings_unref(&c->settings);
	free(c);
}

/* For tests of the real process: it dies at the named point, as by a power cut; at
 * "item:NUM" as by a mail that its readers do not survive. */
static void die_at(void *self, const char *name)
{
	const struct work_core *c = self;

	if (strcmp(c->crash_point, name) == 0) {
		LOG_W("crash_point", L_Z("name", name));
		if (strncmp(name, "item:", 5) == 0)
			abort();
		kill(getpid(), SIGKILL);
	}
}

static int open_backend(struct work_core *c, struct slice name, struct backend **b_r, struct err *e)
{
	const struct backend_ops *ops = backend_by_name(name);
	struct be_env env = { c->settings, &c->clock, &c->rnd };

	if (!ops)
		return err_set(e, ERR_CONFIG, "backend.mail: this build has no backend %.*s", SARG(name));
	return ops->open(b_r, &env, e);
}

static int open_backends(struct work_core *c, struct err *e)
{
	if (open_backend(c, settings_str(c->settings, "backend.mail"), &c->mail, e) < 0)
		return -1;
	if (c->mail->ops->roles & BE_SEND) {
		c->send = c->mail;
		return 0;
	}
	if (settings_str(c->settings, "smtp.url").len == 0)
		return 0; /* config_check warned: sending is answered with its status */
	return open_backend(c, S("smtp"), &c->send, e);
}

/* The phone of a request that died with the last process repeats it now, and must
 * not wait until the claim of the dead one ends by its time. */
static void give_back(void *arg, struct slice user, struct slice device, struct slice owner)
{
	struct work_core *c = arg;
	struct arena *a = arena_new();
	struct store_claim claim = { .key = key_claim(a, device), .owner = owner };
	struct err e;

	if (store_release(c->store, user, &claim, &e) < 0)
		LOG_W("claim_stays", L_S("user", user), L_S("dev", device), L_ERR(&e));
	arena_free(&a);
}

static int core_open(struct work_core *c, struct err *e)
{
	struct slice dir = settings_str(c->settings, "server.data_dir");

	if (datadir_open(c->settings, e) < 0 ||
	    auth_new(&c->auth, c->settings, &c->clock, &c->rnd, e) < 0 ||
	    crash_open(&c->ring, dir, &c->clock, e) < 0 ||
	    store_open(&c->store, c->settings, &c->clock, e) < 0 ||
	    open_backends(c, e) < 0)
		return -1;
	crash_left(c->ring, give_back, c);
	c->trace = trace_new(c->settings);
	return pool_new(&c->pool, c->settings, &c->clock, &c->rnd, e);
}

static int fill(struct work **w_r, struct work_core *c, struct settings *set, struct err *e)
{
	struct work *w = mem_alloc(sizeof(*w));

	if (policies_new(&w->policies, set, e) < 0 || clients_new(&w->clients, set, e) < 0) {
		policies_free(&w->policies);
		free(w);
		return -1;
	}
	w->settings = settings_ref(set);
	w->clock = &c->clock;
	w->rnd = &c->rnd;
	w->store = c->store;
	w->mail = c->mail;
	w->send = c->send;
	w->pool = c->pool;
	w->auth = c->auth;
	w->fuse = c->fuse;
	w->ring = c->ring;
	w->trace = c->trace;
	w->instance = c->instance;
	w->crash_point = c->crash_point ? die_at : NULL;
	w->crash_self = c;
	w->core = c;
	*w_r = w;
	return 0;
}

int work_new(struct work **w_r, struct settings *set, const struct clock *clk, const struct rnd *rnd, struct err *e)
{
	struct work_core *c = mem_alloc(sizeof(*c));

	atomic_store(&c->refs, 1);
	c->clock = *clk;
	c->rnd = *rnd;
	c->settings = settings_ref(set);
	c->instance = rnd_u64(rnd) | 1; /* 0 in a record: nobody's */
	fuse_new(&c->fuse, &c->clock);
	resolve_keep(settings_ms(set, "limits.dns_cache"));
	c->crash_point = getenv("ZPUSH_CRASH_POINT");
	if (core_open(c, e) < 0 || fill(w_r, c, set, e) < 0) {
		core_free(&c);
		return -1;
	}
	return 0;
}

int work_renew(struct work **w_r, struct work *old, struct settings *set, struct err *e)
{
	if (fill(w_r, old->core, set, e) < 0)
		return -1;
	atomic_fetch_add(&old->core->refs, 1);
	auth_configure(old->core->auth, set);
	pool_configure(old->core->pool, set);
	trace_configure(old->core->trace, set);
	return 0;
}

void work_free(struct work **wp)
{
	struct work *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	policies_free(&w->policies);
	clients_free(&w->clients);
	settings_unref(&w->settings);
	core_free(&w->core);
	free(w);
}
