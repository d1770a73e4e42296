/* store_mem.c - records in a hash table under one mutex. Workers, tests, the
 * simulation. Owns everything; time comes from the clock given at open, so that
 * expiry is the simulation's. The trap: revisions come from one counter of the
 * store that no restore turns back. */
#include "work/store_mem.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "work/store_claims.h"
#include "work/store_drivers.h"

enum kind { KIND_RECORD, KIND_GEN };

struct entry {
	struct entry *next;
	enum kind kind;
	struct slice user, key; /* owned */
	char *value;
	size_t len, cap;
	uint32_t base_len;
	uint64_t rev;        /* KIND_GEN: the counter */
	int64_t until_ms;    /* 0: never */
	bool sliding;
};

struct table {
	struct entry **bucket;
	size_t buckets, n;
};

struct store_image {
	struct table t;
};

struct mem {
	struct store s;
	pthread_mutex_t lock;
	struct claims *claims;
	struct table t;
	uint64_t last_rev;
	uint64_t epoch; /* 0 at first, so that generations are small numbers in tests */
};

static struct mem *mem_of(struct store *s)
{
	return (struct mem *)s;
}

/* The table. */

static uint64_t hash(enum kind kind, struct slice user, struct slice key)
{
	return slice_hash(user) * 31 + slice_hash(key) + kind;
}

static void table_init(struct table *t, size_t buckets)
{
	t->bucket = mem_alloc(buckets * sizeof(*t->bucket));
	t->buckets = buckets;
	t->n = 0;
}

static void entry_free(struct entry *x)
{
	free((char *)x->user.ptr);
	free((char *)x->key.ptr);
	free(x->value);
	free(x);
}

static void table_free(struct table *t)
{
	for (size_t i = 0; i < t->buckets; i++) {
		while (t->bucket[i]) {
			struct entry *x = t->bucket[i];

			t->bucket[i] = x->next;
			entry_free(x);
		}
	}
	free(t->bucket);
	t->bucket = NULL;
}

static void table_grow(struct table *t)
{
	struct table big;

	table_init(&big, t->buckets * 2);
	for (size_t i = 0; i < t->buckets; i++) {
		while (t->bucket[i]) {
			struct entry *x = t->bucket[i];
			size_t at = hash(x->kind, x->user, x->key) % big.buckets;

			t->bucket[i] = x->next;
			x->next = big.bucket[at];
			big.bucket[at] = x;
			big.n++;
		}
	}
	free(t->bucket);
	*t = big;
}

static struct entry **table_at(struct table *t, enum kind kind, struct slice user, struct slice key)
{
	struct entry **at = &t->bucket[hash(kind, user, key) % t->buckets];

	while (*at && !((*at)->kind == kind && slice_eq((*at)->user, user) && slice_eq((*at)->key, key)))
		at = &(*at)->next;
	return at;
}

static void table_delete(struct table *t, struct entry **at)
{
	struct entry *x = *at;

	*at = x->next;
	entry_free(x);
	t->n--;
}

static struct entry *table_make(struct table *t, enum kind kind, struct slice user, struct slice key)
{
	struct entry **at = table_at(t, kind, user, key), *x = *at;

	if (x)
		return x;
	if (t->n > t->buckets) {
		table_grow(t);
		at = table_at(t, kind, user, key);
	}
	x = mem_alloc(sizeof(*x));
	x->kind = kind;
	x->user = mem_slice(user);
	x->key = mem_slice(key);
	*at = x;
	t->n++;
	return x;
}

static void table_copy(struct table *to, const struct table *from)
{
	table_init(to, from->buckets);
	for (size_t i = 0; i < from->buckets; i++) {
		for (struct entry *x = from->bucket[i]; x; x = x->next) {
			struct entry *y = mem_alloc(sizeof(*y));

			*y = *x;
			y->user = mem_slice(x->user);
			y->key = mem_slice(x->key);
			y->value = mem_alloc(x->len + 1);
			if (x->len)
				memcpy(y->value, x->value, x->len);
			y->cap = x->len + 1;
			y->next = to->bucket[i];
			to->bucket[i] = y;
			to->n++;
		}
	}
}

/* Records. An expired one is absent and taken away when met. */

static struct entry *live(struct mem *m, struct slice user, struct slice key)
{
	struct entry **at = table_at(&m->t, KIND_RECORD, user, key);

	if (*at && (*at)->until_ms && (*at)->until_ms <= clock_now(m->s.clock))
		table_delete(&m->t, at);
	else if (*at)
		return *at;
	return NULL;
}

static uint64_t counter(struct mem *m, struct slice user)
{
	struct entry *x = *table_at(&m->t, KIND_GEN, user, S_NONE);

	return x ? x->rev : 0;
}

static uint64_t mixed(struct mem *m, struct slice user)
{
	struct slice epoch = slice(&m->epoch, m->epoch ? sizeof(m->epoch) : 0);

	return store_gen_mix(epoch, counter(m, user));
}

static void append(struct entry *x, struct slice v)
{
	if (x->len + v.len > x->cap) {
		x->cap = (x->len + v.len) * 5 / 4 + 16;
		x->value = mem_realloc(x->value, x->cap);
	}
	if (v.len)
		memcpy(x->value + x->len, v.ptr, v.len);
	x->len += v.len;
}

static void put_ttl(struct mem *m, struct entry *x, int64_t ttl_ms)
{
	x->sliding = ttl_ms == 0;
	if (ttl_ms < 0)
		x->until_ms = 0;
	else
		x->until_ms = clock_now(m->s.clock) + (ttl_ms ? ttl_ms : m->s.forget_ms);
}

static void put(struct mem *m, struct slice user, struct store_put *p)
{
	struct entry *x = live(m, user, p->key);

	p->rev = 0;
	if (p->op == STORE_DELETE) {
		if (x)
			table_delete(&m->t, table_at(&m->t, KIND_RECORD, user, p->key));
		return;
	}
	if (p->op == STORE_PUT || !x) {
		x = table_make(&m->t, KIND_RECORD, user, p->key);
		x->len = 0;
		x->base_len = (uint32_t)p->value.len;
	}
	append(x, p->value);
	put_ttl(m, x, p->ttl_ms);
	x->rev = p->rev = ++m->last_rev;
}

/* The operations. */

static int mem_open(struct store **s_r, struct slice url, const struct settings *set, const struct clock *clk,
		    struct err *e)
{
	struct mem *m = mem_alloc(sizeof(*m));

	store_init(&m->s, &store_mem_ops, set, clk);
	pthread_mutex_init(&m->lock, NULL);
	m->claims = claims_new(clk);
	table_init(&m->t, 64);
	*s_r = &m->s;
	return 0;
}

static void mem_close(struct store **s)
{
	struct mem *m = mem_of(*s);

	claims_free(&m->claims);
	table_free(&m->t);
	pthread_mutex_destroy(&m->lock);
	free(m);
	*s = NULL;
}

static int mem_load(struct store *s, struct slice user, struct store_get *g, size_t n, const struct store_claim *claim,
		    uint64_t *gen_r, struct arena *a, struct err *e)
{
	struct mem *m = mem_of(s);

	metric_add(M_store_round_trips_total, 1);
	if (claim && claims_take(m->claims, user, claim, e) < 0)
		return -1;
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < n; i++) {
		struct entry *x = live(m, user, g[i].key);

		g[i].value = x ? arena_slice(a, slice(x->value, x->len)) : S_NONE;
		g[i].rev = x ? x->rev : 0;
		g[i].base_len = x ? x->base_len : 0;
		if (x && x->sliding)
			put_ttl(m, x, 0);
	}
	if (gen_r)
		*gen_r = mixed(m, user);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static int mem_commit(struct store *s, struct slice user, struct store_put *p, size_t n,
		      const struct store_claim *release, unsigned flags, struct err *e)
{
	struct mem *m = mem_of(s);
	size_t lost = n;

	metric_add(M_store_round_trips_total, 1);
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < n && lost == n; i++) {
		struct entry *x = live(m, user, p[i].key);

		if (p[i].expect != STORE_ANY && p[i].expect != (x ? x->rev : 0))
			lost = i;
	}
	for (size_t i = 0; i < n && lost == n; i++)
		put(m, user, &p[i]);
	pthread_mutex_unlock(&m->lock);
	if (lost < n)
		return err_set(e, ERR_STORE_RACE, "record %.*s was written meanwhile", SARG(slice_to(p[lost].key, 80)));
	if (release)
		claims_release(m->claims, user, release);
	return 0;
}

static int mem_release(struct store *s, struct slice user, const struct store_claim *c, struct err *e)
{
	claims_release(mem_of(s)->claims, user, c);
	return 0;
}

static int mem_gen(struct store *s, struct slice user, uint64_t *gen_r, struct err *e)
{
	struct mem *m = mem_of(s);

	metric_add(M_store_round_trips_total, 1);
	pthread_mutex_lock(&m->lock);
	*gen_r = mixed(m, user);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static int mem_publish(struct store *s, struct slice user, struct slice json, bool count, struct err *e)
{
	struct mem *m = mem_of(s);

	metric_add(M_store_round_trips_total, 1);
	pthread_mutex_lock(&m->lock);
	if (count)
		table_make(&m->t, KIND_GEN, user, S_NONE)->rev++;
	pthread_mutex_unlock(&m->lock);
	return 0;
}

/* Copies the names first, so that fn may use the store. */
static int mem_list(struct store *s, struct slice user, struct slice prefix,
		    int (*fn)(void *arg, struct slice user, struct slice key), void *arg, struct err *e)
{
	struct mem *m = mem_of(s);
	struct arena *a = arena_new();
	struct store_put *found = NULL; /* value: the user */
	size_t n = 0, cap = 0;
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->t.buckets; i++) {
		for (struct entry *x = m->t.bucket[i]; x; x = x->next) {
			if (x->kind != KIND_RECORD || (user.len && !slice_eq(x->user, user)) || !slice_starts(x->key, prefix))
				continue;
			if (x->until_ms && x->until_ms <= clock_now(s->clock))
				continue;
			found = arena_grow(a, found, n, &cap, sizeof(*found));
			found[n].key = arena_slice(a, x->key);
			found[n++].value = arena_slice(a, x->user);
		}
	}
	pthread_mutex_unlock(&m->lock);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = fn(arg, found[i].value, found[i].key);
	arena_free(&a);
	return rc;
}

static int mem_check(struct store *s, struct arena *a, struct slice *warning_r, struct err *e)
{
	*warning_r = S("store memory: is gone at exit");
	return 0;
}

const struct store_ops store_mem_ops = {
	.scheme = "memory",
	.publishes_here = true,
	.open = mem_open,
	.close = mem_close,
	.load = mem_load,
	.commit = mem_commit,
	.release = mem_release,
	.gen = mem_gen,
	.publish = mem_publish,
	.list = mem_list,
	.check = mem_check,
};

/* For the simulation. */

struct store_image *store_mem_snapshot(struct store *s)
{
	struct mem *m = mem_of(s);
	struct store_image *img = mem_alloc(sizeof(*img));

	ASSERT(s->ops == &store_mem_ops);
	pthread_mutex_lock(&m->lock);
	table_copy(&img->t, &m->t);
	pthread_mutex_unlock(&m->lock);
	return img;
}

static void replace(struct mem *m, struct table *t)
{
	pthread_mutex_lock(&m->lock);
	table_free(&m->t);
	m->t = *t;
	m->epoch++;
	pthread_mutex_unlock(&m->lock);
	claims_clear(m->claims);
}

void store_mem_restore(struct store *s, const struct store_image *img)
{
	struct table t;

	ASSERT(s->ops == &store_mem_ops);
	table_copy(&t, &img->t);
	replace(mem_of(s), &t);
}

void store_image_free(struct store_image **img)
{
	if (*img)
		table_free(&(*img)->t);
	free(*img);
	*img = NULL;
}

void store_mem_crash(struct store *s)
{
	ASSERT(s->ops == &store_mem_ops);
	claims_clear(mem_of(s)->claims);
}

void store_mem_flush(struct store *s)
{
	struct table t;

	ASSERT(s->ops == &store_mem_ops);
	table_init(&t, 64);
	replace(mem_of(s), &t);
}

void store_mem_evict(struct store *s, struct slice user, struct slice key)
{
	struct mem *m = mem_of(s);
	struct entry **at;

	ASSERT(s->ops == &store_mem_ops);
	pthread_mutex_lock(&m->lock);
	at = table_at(&m->t, KIND_RECORD, user, key);
	if (*at)
		table_delete(&m->t, at);
	pthread_mutex_unlock(&m->lock);
}

uint64_t store_mem_bytes(struct store *s)
{
	struct mem *m = mem_of(s);
	uint64_t total = 0;

	ASSERT(s->ops == &store_mem_ops);
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->t.buckets; i++)
		for (struct entry *x = m->t.bucket[i]; x; x = x->next)
			total += x->len;
	pthread_mutex_unlock(&m->lock);
	return total;
}
