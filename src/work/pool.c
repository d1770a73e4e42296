/* pool.c - sessions on backends, shared. Any worker; one mutex over the tables,
 * a condition for those who wait for a place. Owns idle sessions; one that is
 * out belongs to its holder, and its entry here only counts it.
 * The trap: never call into a backend with the mutex held (a login may take its
 * whole deadline): places are reserved first, filled or given back after. */
#include "work/pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/digest.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"

enum {
	HOSTS_MAX = 16,        /* configured servers: mail, send, later dav and ldap */
	BUCKETS = 1024,
	SWEEP_EVERY_MS = 2000, /* whoever gives one back also sweeps, should no timer do it */
	WAIT_SLICE_MS = 200,   /* waiters look at the injected clock this often */
	PAUSE_MAX_MS = 60000,
	EXPIRE_BATCH = 64,
};

struct entry {
	struct list lru;       /* of the pool's idle ones, oldest first; self-linked when out */
	struct entry *next;    /* of its bucket */
	struct host *host;
	uint64_t user, cred;   /* keyed hashes */
	struct session *s;     /* NULL while the login is under way */
	int64_t idle_since_ms;
	bool out, stale;       /* stale: not to return (logout) */
};

enum breaker { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };

struct host {
	struct backend *b;
	unsigned open;         /* entries, idle and out */
	unsigned failures;
	enum breaker breaker;
	int64_t open_until_ms, pause_ms;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	const struct clock *clock;
	const struct rnd *rnd;
	uint8_t key[32];
	unsigned max_open, max_user, breaker_failures;
	int64_t idle_ms, breaker_pause_ms, login_ms;
	int64_t swept_ms;      /* last pool_expire */
	struct host host[HOSTS_MAX];
	unsigned n_hosts;
	struct entry *bucket[BUCKETS]; /* by user */
	struct list idle;
	struct pool_stats stats;
};

void pool_configure(struct pool *p, const struct settings *set)
{
	pthread_mutex_lock(&p->lock);
	p->max_open = (unsigned)settings_int(set, "limits.backend_sessions");
	p->max_user = (unsigned)settings_int(set, "limits.backend_sessions_per_user");
	p->idle_ms = settings_ms(set, "limits.session_idle");
	p->breaker_failures = (unsigned)settings_int(set, "limits.backend_breaker");
	p->breaker_pause_ms = settings_ms(set, "limits.backend_breaker_pause");
	p->login_ms = settings_ms(set, "limits.login_deadline");
	pthread_mutex_unlock(&p->lock);
}

int pool_new(struct pool **p_r, const struct settings *set, const struct clock *clk, const struct rnd *rnd,
	     struct err *e)
{
	struct pool *p = mem_alloc(sizeof(*p));
	pthread_condattr_t attr;

	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->freed, &attr);
	pthread_condattr_destroy(&attr);
	p->clock = clk;
	p->rnd = rnd;
	rnd->fill(rnd->self, p->key, sizeof(p->key));
	list_init(&p->idle);
	pool_configure(p, set);
	*p_r = p;
	return 0;
}

static uint64_t keyed(const struct pool *p, const struct slice *parts, size_t n)
{
	struct sha256 body = digest_parts(parts, n);
	struct sha256 mac = digest_hmac(slice(p->key, sizeof(p->key)), slice(body.b, sizeof(body.b)));
	uint64_t v;

	memcpy(&v, mac.b, sizeof(v));
	return v;
}

/* --- entries (lock held) ------------------------------------------------------------ */

static struct host *host_of(struct pool *p, struct backend *b)
{
	for (unsigned i = 0; i < p->n_hosts; i++)
		if (p->host[i].b == b)
			return &p->host[i];
	ASSERT(p->n_hosts < HOSTS_MAX);
	p->host[p->n_hosts] = (struct host){ .b = b };
	return &p->host[p->n_hosts++];
}

static void unlink_entry(struct pool *p, struct entry *en)
{
	struct entry **at = &p->bucket[en->user % BUCKETS];

	while (*at != en)
		at = &(*at)->next;
	*at = en->next;
	if (!en->out)
		p->stats.idle--;
	else
		p->stats.out--;
	list_del(&en->lru);
	en->host->open--;
	pthread_cond_broadcast(&p->freed);
}

/* Takes the entry out; its session is the caller's to close without the lock. */
static struct session *evict(struct pool *p, struct entry *en)
{
	struct session *s = en->s;

	unlink_entry(p, en);
	free(en);
	return s;
}

static struct entry *idle_of(struct pool *p, struct host *h, uint64_t user, uint64_t cred)
{
	struct entry *en = p->bucket[user % BUCKETS];

	while (en && (en->out || en->stale || en->host != h || en->user != user || en->cred != cred))
		en = en->next;
	return en;
}

static unsigned count_user(const struct pool *p, const struct host *h, uint64_t user, struct entry **idle_r)
{
	unsigned n = 0;

	*idle_r = NULL;
	for (struct entry *en = p->bucket[user % BUCKETS]; en; en = en->next)
		if (en->host == h && en->user == user) {
			n++;
			if (!en->out)
				*idle_r = en;
		}
	return n;
}

static struct entry *oldest_idle(struct pool *p, const struct host *h)
{
	list_for(l, &p->idle) {
		struct entry *en = list_entry(l, struct entry, lru);

		if (en->host == h)
			return en;
	}
	return NULL;
}

static void mark_out(struct pool *p, struct entry *en)
{
	list_del(&en->lru);
	en->out = true;
	p->stats.idle--;
	p->stats.out++;
}

static struct entry *reserve(struct pool *p, struct host *h, uint64_t user, uint64_t cred)
{
	struct entry *en = mem_alloc(sizeof(*en));

	*en = (struct entry){ .host = h, .user = user, .cred = cred, .out = true };
	list_init(&en->lru);
	en->next = p->bucket[user % BUCKETS];
	p->bucket[user % BUCKETS] = en;
	h->open++;
	p->stats.out++;
	return en;
}

static struct entry *entry_of(struct pool *p, const struct session *s)
{
	/* At most some hundred are out; a session knows nothing of its pool. */
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct entry *en = p->bucket[i]; en; en = en->next)
			if (en->s == s)
				return en;
	return NULL;
}

/* --- breaker (lock held) ---------------------------------------------------------------- */

static bool breaker_lets(struct pool *p, struct host *h, int64_t now)
{
	if (h->breaker == BREAKER_CLOSED)
		return true;
	if (h->breaker == BREAKER_OPEN && now >= h->open_until_ms) {
		h->breaker = BREAKER_PROBING;
		return true;
	}
	p->stats.refused_by_breaker++;
	return false;
}

static void breaker_ok(struct host *h)
{
	if (h->breaker != BREAKER_CLOSED)
		LOG_I("backend_back", L_Z("backend", h->b->ops->name));
	h->failures = 0;
	h->breaker = BREAKER_CLOSED;
	h->pause_ms = 0;
}

static void breaker_failed(struct pool *p, struct host *h, int64_t now)
{
	h->failures++;
	if (h->breaker == BREAKER_CLOSED && h->failures < p->breaker_failures)
		return;
	if (h->breaker == BREAKER_OPEN && now < h->open_until_ms)
		return; /* late failures of calls begun before it opened */
	if (h->breaker == BREAKER_CLOSED)
		LOG_W("backend_left_alone", L_Z("backend", h->b->ops->name), L_I("failures", h->failures),
		      L_I("pause_ms", p->breaker_pause_ms), L_Z("do", "check that the server behind runs"));
	h->pause_ms = h->pause_ms ? h->pause_ms * 2 : p->breaker_pause_ms;
	if (h->pause_ms > PAUSE_MAX_MS)
		h->pause_ms = PAUSE_MAX_MS;
	h->breaker = BREAKER_OPEN;
	/* Half to once the pause, so that a fleet does not come back in one second. */
	h->open_until_ms = now + h->pause_ms / 2 + (int64_t)(rnd_u64(p->rnd) % (uint64_t)(h->pause_ms / 2 + 1));
}

/* A probe that came to no verdict (password refused: the server answered). */
static void breaker_verdict(struct pool *p, struct host *h, enum be_result r, const struct err *e)
{
	if (r == BE_TEMP && e->code != ERR_CANCELLED) {
		metric_add(M_backend_errors_total, 1);
		breaker_failed(p, h, clock_now(p->clock));
	} else if (r == BE_TEMP) {
		if (h->breaker == BREAKER_PROBING)
			h->breaker = BREAKER_OPEN;
	} else {
		breaker_ok(h);
	}
}

/* --- getting one -------------------------------------------------------------------------- */

static void wait_a_little(struct pool *p, int64_t left_ms)
{
	struct timespec t;
	int64_t ms = left_ms < WAIT_SLICE_MS ? left_ms : WAIT_SLICE_MS;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	p->stats.waiting++;
	pthread_cond_timedwait(&p->freed, &p->lock, &t);
	p->stats.waiting--;
}

/* Lock held. An idle session of this credential, or a reserved entry without one; NULL:
 * no place until the deadline. *victim_r: to be closed by the caller without the lock. */
static struct entry *place(struct pool *p, struct host *h, uint64_t user, uint64_t cred, int64_t deadline_ms,
			   struct session **victim_r)
{
	for (;;) {
		struct entry *en = idle_of(p, h, user, cred), *own;
		int64_t left;

		if (en) {
			mark_out(p, en);
			return en;
		}
		if (count_user(p, h, user, &own) < p->max_user) {
			if (h->open < p->max_open)
				return reserve(p, h, user, cred);
			own = oldest_idle(p, h);
		}
		if (own) { /* full, but of something that nobody uses */
			*victim_r = evict(p, own);
			return reserve(p, h, user, cred);
		}
		left = deadline_ms - clock_now(p->clock);
		if (left <= 0)
			return NULL;
		wait_a_little(p, left);
	}
}

static enum be_result log_in(struct pool *p, struct entry *en, const struct be_cred *c, int64_t login_ms,
			     int64_t deadline_ms, struct session **s_r, struct err *e)
{
	struct backend *b = en->host->b;
	int64_t soon = clock_now(p->clock) + login_ms;
	struct session *s = NULL;
	enum be_result r = b->ops->login(b, c, deadline_ms < soon ? deadline_ms : soon, &s, e);

	metric_add(M_sessions_opened_total, r == BE_OK);
	pthread_mutex_lock(&p->lock);
	breaker_verdict(p, en->host, r, e);
	p->stats.opened += r == BE_OK;
	en->s = s;
	if (r != BE_OK || !s)
		evict(p, en);
	pthread_mutex_unlock(&p->lock);
	if (r == BE_OK && s && b->ops->set_deadline)
		b->ops->set_deadline(s, deadline_ms);
	*s_r = s;
	return r;
}

enum be_result pool_get(struct pool *p, struct backend *b, const struct be_cred *c, int64_t deadline_ms,
			struct session **s_r, struct err *e)
{
	uint64_t user = keyed(p, &c->user, 1);
	/* trusted counts: a session that a master user opened is no answer to an empty password. */
	uint64_t cred = keyed(p, (const struct slice[]){ c->user, c->login, c->password, c->trusted ? S("1") : S("0") }, 4);
	struct session *victim = NULL;

	*s_r = NULL;
	for (;;) {
		struct entry *en;
		struct session *dead = NULL;
		int64_t login_ms;
		bool lets;

		pthread_mutex_lock(&p->lock);
		login_ms = p->login_ms;
		lets = breaker_lets(p, host_of(p, b), clock_now(p->clock));
		en = lets ? place(p, host_of(p, b), user, cred, deadline_ms, &victim) : NULL;
		if (lets && !en && host_of(p, b)->breaker == BREAKER_PROBING)
			host_of(p, b)->breaker = BREAKER_OPEN;
		pthread_mutex_unlock(&p->lock);
		if (victim)
			victim->ops->logout(&victim);
		if (!lets) {
			err_set(e, ERR_REFUSED, "%s is left alone for a moment after failures", b->ops->name);
			return BE_TEMP;
		}
		if (!en) {
			err_set(e, ERR_BUSY, "no free session on %s (limits.backend_sessions)", b->ops->name);
			return BE_TEMP;
		}
		if (!en->s)
			return log_in(p, en, c, login_ms, deadline_ms, s_r, e);
		if (!b->ops->alive || b->ops->alive(en->s)) {
			if (b->ops->set_deadline)
				b->ops->set_deadline(en->s, deadline_ms);
			pthread_mutex_lock(&p->lock);
			p->stats.reused++;
			if (host_of(p, b)->breaker == BREAKER_PROBING)
				host_of(p, b)->breaker = BREAKER_OPEN; /* an old session proves nothing: probe on */
			*s_r = en->s;
			pthread_mutex_unlock(&p->lock);
			return BE_OK;
		}
		pthread_mutex_lock(&p->lock);
		dead = evict(p, en);
		if (host_of(p, b)->breaker == BREAKER_PROBING)
			host_of(p, b)->breaker = BREAKER_OPEN;
		pthread_mutex_unlock(&p->lock);
		dead->ops->logout(&dead);
	}
}

/* --- giving it back ---------------------------------------------------------------------------- */

void pool_put(struct pool *p, struct session **sp, enum be_result worst)
{
	struct session *s = *sp, *close = NULL;
	struct entry *en;
	bool sweep_due;

	*sp = NULL;
	if (!s)
		return;
	pthread_mutex_lock(&p->lock);
	en = entry_of(p, s);
	ASSERT(en && en->out);
	sweep_due = clock_now(p->clock) - p->swept_ms >= SWEEP_EVERY_MS;
	if (worst == BE_TEMP)
		breaker_failed(p, en->host, clock_now(p->clock));
	else if (en->host->breaker == BREAKER_CLOSED)
		en->host->failures = 0;
	if (worst == BE_TEMP || en->stale || p->idle_ms == 0) {
		close = evict(p, en);
	} else {
		en->out = false;
		en->idle_since_ms = clock_now(p->clock);
		p->stats.out--;
		p->stats.idle++;
		list_add_tail(&p->idle, &en->lru);
		pthread_cond_broadcast(&p->freed);
	}
	pthread_mutex_unlock(&p->lock);
	if (close)
		close->ops->logout(&close);
	if (sweep_due)
		pool_expire(p);
}

void pool_detach(struct pool *p, struct session *s)
{
	struct entry *en;

	pthread_mutex_lock(&p->lock);
	en = entry_of(p, s);
	ASSERT(en && en->out);
	evict(p, en);
	pthread_mutex_unlock(&p->lock);
}

/* Takes up to EXPIRE_BATCH that `which` names; true when there may be more. */
static bool sweep(struct pool *p, bool (*which)(const struct pool *p, const struct entry *en, uint64_t arg), uint64_t arg)
{
	struct session *dead[EXPIRE_BATCH];
	size_t n = 0;

	pthread_mutex_lock(&p->lock);
	list_for_safe(l, &p->idle) {
		struct entry *en = list_entry(l, struct entry, lru);

		if (which(p, en, arg))
			dead[n++] = evict(p, en);
		if (n == EXPIRE_BATCH)
			break;
	}
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < n; i++)
		dead[i]->ops->logout(&dead[i]);
	return n == EXPIRE_BATCH;
}

static bool is_old(const struct pool *p, const struct entry *en, uint64_t now)
{
	return (int64_t)now - en->idle_since_ms >= p->idle_ms;
}

static bool is_users(const struct pool *p, const struct entry *en, uint64_t user)
{
	return en->user == user;
}

static bool is_any(const struct pool *p, const struct entry *en, uint64_t unused)
{
	return true;
}

void pool_expire(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->swept_ms = clock_now(p->clock);
	pthread_mutex_unlock(&p->lock);
	while (sweep(p, is_old, (uint64_t)clock_now(p->clock)))
		;
}

void pool_forget(struct pool *p, struct slice user)
{
	uint64_t key = keyed(p, &user, 1);

	pthread_mutex_lock(&p->lock);
	for (struct entry *en = p->bucket[key % BUCKETS]; en; en = en->next)
		if (en->user == key)
			en->stale = true;
	pthread_mutex_unlock(&p->lock);
	while (sweep(p, is_users, key))
		;
}

void pool_crash(struct pool *p)
{
	for (size_t i = 0; i < BUCKETS; i++)
		while (p->bucket[i]) {
			struct session *s;

			list_del(&p->bucket[i]->lru);
			s = evict(p, p->bucket[i]);
			if (s)
				s->ops->logout(&s);
		}
}

void pool_stats(struct pool *p, struct pool_stats *s_r)
{
	pthread_mutex_lock(&p->lock);
	*s_r = p->stats;
	pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool **pp)
{
	struct pool *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	while (sweep(p, is_any, 0))
		;
	ASSERT(p->stats.out == 0);
	pthread_cond_destroy(&p->freed);
	pthread_mutex_destroy(&p->lock);
	mem_wipe(p->key, sizeof(p->key));
	free(p);
}
