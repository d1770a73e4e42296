/* store.c - picks the driver by store.url, counts, and leaves a failing store
 * alone for a moment (breaker). Workers. The trap: a lost race is an answer of a
 * healthy store and must not feed the breaker. */
#include "work/store.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/role.h"
#include "work/store_drivers.h"

static const struct store_ops *const drivers[] = {
	&store_sqlite_ops,
	&store_redis_ops,
	&store_rediss_ops,
	&store_sentinel_ops,
	&store_mem_ops,
};

struct store_breaker {
	pthread_mutex_t lock;
	int64_t failures;     /* in a row */
	int64_t limit;
	int64_t pause_ms;
	int64_t open_until_ms; /* 0: closed */
	bool trying;           /* half-open: one call is under way */
};

enum { LOST_MAX = 2048, OWNER_MAX = 40 };

/* Made when the first is lost; the oldest are overwritten. */
struct store_lost {
	pthread_mutex_t lock;
	size_t next;
	struct lost_claim {
		uint64_t hash; /* 0: free */
		uint8_t len;
		char owner[OWNER_MAX];
	} *v;
};

void store_init(struct store *s, const struct store_ops *ops, const struct settings *set, const struct clock *clk)
{
	s->ops = ops;
	s->clock = clk;
	s->record_max_bytes = settings_bytes(set, "limits.record_bytes");
	s->forget_ms = settings_ms(set, "devices.forget");
	s->lost = mem_alloc(sizeof(*s->lost));
	pthread_mutex_init(&s->lost->lock, NULL);
	s->breaker = mem_alloc(sizeof(*s->breaker));
	pthread_mutex_init(&s->breaker->lock, NULL);
	s->breaker->limit = settings_int(set, "limits.store_breaker");
	s->breaker->pause_ms = settings_ms(set, "limits.store_breaker_pause");
}

int store_open(struct store **s_r, const struct settings *set, const struct clock *clk, struct err *e)
{
	struct slice url = settings_str(set, "store.url");
	ptrdiff_t colon = slice_chr(url, ':');
	struct slice scheme = slice_to(url, colon < 0 ? url.len : (size_t)colon);

	*s_r = NULL;
	for (size_t i = 0; i < sizeof(drivers) / sizeof(*drivers); i++)
		if (slice_eq(scheme, slice_str(drivers[i]->scheme)))
			return drivers[i]->open(s_r, url, set, clk, e);
	return err_set(e, ERR_CONFIG, "store.url: no store of the kind %.*s", SARG(slice_to(scheme, 40)));
}

void store_close(struct store **s)
{
	struct store_breaker *b;
	struct store_lost *l;

	if (!*s)
		return;
	b = (*s)->breaker;
	l = (*s)->lost;
	(*s)->ops->close(s);
	if (l) {
		pthread_mutex_destroy(&l->lock);
		free(l->v);
		free(l);
	}
	if (b) {
		pthread_mutex_destroy(&b->lock);
		free(b);
	}
	*s = NULL;
}

/* A listener that was taken away is not being called any more. */
static pthread_mutex_t listener_lock = PTHREAD_MUTEX_INITIALIZER;

void store_on_publish(struct store *s, store_publish_fn *fn, void *arg)
{
	pthread_mutex_lock(&listener_lock);
	s->on_publish = fn;
	s->on_publish_arg = arg;
	pthread_mutex_unlock(&listener_lock);
}

uint64_t store_gen_mix(struct slice epoch, uint64_t counter)
{
	uint64_t h = epoch.len ? slice_hash(epoch) : 0;

	return (h & ~UINT64_C(0xffffffffff)) | STORE_GEN_COUNTER(counter);
}

/* May this call go on? One at a time once the pause is over. */
static int enter(struct store *s, struct err *e)
{
	struct store_breaker *b = s->breaker;
	bool pass = true;

	ASSERT_WORKER();
	if (!b)
		return 0;
	pthread_mutex_lock(&b->lock);
	if (b->open_until_ms) {
		pass = !b->trying && clock_now(s->clock) >= b->open_until_ms;
		b->trying |= pass;
	}
	pthread_mutex_unlock(&b->lock);
	if (pass)
		return 0;
	metric_add(M_store_errors_total, 1);
	return err_set(e, ERR_STORE, "left alone after repeated failures");
}

static bool counts(enum err_code c)
{
	return c == ERR_STORE || c == ERR_TIMEOUT || c == ERR_REFUSED || c == ERR_TLS;
}

static void note_failure(struct store *s, const struct err *e)
{
	struct store_breaker *b = s->breaker;
	bool opened;

	pthread_mutex_lock(&b->lock);
	b->failures++;
	opened = b->failures == b->limit;
	if (b->failures >= b->limit)
		b->open_until_ms = clock_now(s->clock) + b->pause_ms;
	b->trying = false;
	pthread_mutex_unlock(&b->lock);
	if (opened) {
		metric_add(M_store_breaker_total, 1);
		LOG_E("store_down", L_ERR(e));
	}
}

static void note_success(struct store *s)
{
	struct store_breaker *b = s->breaker;
	bool was_open;

	pthread_mutex_lock(&b->lock);
	was_open = b->open_until_ms != 0;
	b->failures = 0;
	b->open_until_ms = 0;
	b->trying = false;
	pthread_mutex_unlock(&b->lock);
	if (was_open)
		LOG_I("store_up", L_Z("scheme", s->ops->scheme));
}

static int leave(struct store *s, int rc, struct err *e)
{
	if (rc < 0 && e->code == ERR_STORE_RACE)
		metric_add(M_store_races_total, 1);
	else if (rc < 0)
		metric_add(M_store_errors_total, 1);
	if (!s->breaker)
		return rc;
	if (rc < 0 && counts(e->code))
		note_failure(s, e);
	else
		note_success(s);
	return rc;
}

/* The caller may not care for the reason; the breaker does. */
#define E(e) ((e) ? (e) : &(struct err){ .code = ERR_NONE })

int store_load(struct store *s, struct slice user, struct store_get *g, size_t n, const struct store_claim *claim,
	       uint64_t *gen_r, struct arena *a, struct err *e)
{
	e = E(e);
	if (enter(s, e) < 0)
		return -1;
	return leave(s, s->ops->load(s, user, g, n, claim, gen_r, a, e), e);
}

int store_commit(struct store *s, struct slice user, struct store_put *p, size_t n, const struct store_claim *release,
		 unsigned flags, struct err *e)
{
	e = E(e);
	for (size_t i = 0; i < n; i++)
		if (p[i].value.len > s->record_max_bytes)
			return err_set(e, ERR_LIMIT, "record %.*s: %zu bytes are above limits.record_bytes",
				       SARG(slice_to(p[i].key, 80)), p[i].value.len);
	if (enter(s, e) < 0)
		return -1;
	return leave(s, s->ops->commit(s, user, p, n, release, flags, e), e);
}

int store_release(struct store *s, struct slice user, const struct store_claim *c, struct err *e)
{
	e = E(e);
	if (enter(s, e) < 0)
		return -1;
	return leave(s, s->ops->release(s, user, c, e), e);
}

static uint64_t claim_hash(struct slice user, struct slice key)
{
	return (slice_hash(user) ^ slice_hash(key) * 31) | 1;
}

void store_claim_lost(struct store *s, struct slice user, const struct store_claim *c)
{
	struct store_lost *l = s->lost;
	struct lost_claim *at;

	if (!l || c->owner.len > OWNER_MAX)
		return;
	pthread_mutex_lock(&l->lock);
	if (!l->v)
		l->v = mem_alloc(LOST_MAX * sizeof(*l->v));
	at = &l->v[l->next++ % LOST_MAX];
	at->hash = claim_hash(user, c->key);
	at->len = (uint8_t)c->owner.len;
	memcpy(at->owner, c->owner.ptr, c->owner.len);
	pthread_mutex_unlock(&l->lock);
}

bool store_claim_found(struct store *s, struct slice user, struct slice key, struct arena *a, struct slice *owner_r)
{
	struct store_lost *l = s->lost;
	uint64_t hash = claim_hash(user, key);
	bool found = false;

	if (!l)
		return false;
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; l->v && i < LOST_MAX && !found; i++)
		if (l->v[i].hash == hash) {
			*owner_r = arena_slice(a, slice(l->v[i].owner, l->v[i].len));
			l->v[i].hash = 0;
			found = true;
		}
	pthread_mutex_unlock(&l->lock);
	return found;
}

int store_gen(struct store *s, struct slice user, uint64_t *gen_r, struct err *e)
{
	e = E(e);
	if (enter(s, e) < 0)
		return -1;
	return leave(s, s->ops->gen(s, user, gen_r, e), e);
}

int store_publish(struct store *s, struct slice user, struct slice json, bool count, struct err *e)
{
	int rc;

	e = E(e);
	if (enter(s, e) < 0)
		return -1;
	rc = leave(s, s->ops->publish(s, user, json, count, e), e);
	if (rc < 0 || !s->ops->publishes_here)
		return rc;
	pthread_mutex_lock(&listener_lock);
	if (s->on_publish)
		s->on_publish(s->on_publish_arg, user, json);
	pthread_mutex_unlock(&listener_lock);
	return 0;
}

int store_list(struct store *s, struct slice user, struct slice prefix,
	       int (*fn)(void *arg, struct slice user, struct slice key), void *arg, struct err *e)
{
	e = E(e);
	if (enter(s, e) < 0)
		return -1;
	return leave(s, s->ops->list(s, user, prefix, fn, arg, e), e);
}

int store_check(struct store *s, struct arena *a, struct slice *warning_r, struct err *e)
{
	e = E(e);
	*warning_r = S_NONE;
	if (enter(s, e) < 0)
		return -1;
	return leave(s, s->ops->check(s, a, warning_r, e), e);
}
