/* store_claims.c - see store_claims.h. One mutex, one condition: claims are few
 * (one a running command) and short. Owns its entries. */
#include "work/store_claims.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct claim {
	struct claim *next;
	struct slice user, key, owner; /* owned */
	int64_t until_ms;
};

enum { BUCKETS = 256 };

struct claims {
	const struct clock *clock;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct claim *bucket[BUCKETS];
};

struct claims *claims_new(const struct clock *clk)
{
	struct claims *c = mem_alloc(sizeof(*c));
	pthread_condattr_t a;

	c->clock = clk;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &a);
	pthread_condattr_destroy(&a);
	return c;
}

static void claim_free(struct claim *k)
{
	free((char *)k->user.ptr);
	free((char *)k->key.ptr);
	free((char *)k->owner.ptr);
	free(k);
}

void claims_clear(struct claims *c)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < BUCKETS; i++) {
		while (c->bucket[i]) {
			struct claim *k = c->bucket[i];

			c->bucket[i] = k->next;
			claim_free(k);
		}
	}
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

void claims_free(struct claims **c)
{
	if (!*c)
		return;
	claims_clear(*c);
	pthread_cond_destroy(&(*c)->changed);
	pthread_mutex_destroy(&(*c)->lock);
	free(*c);
	*c = NULL;
}

static struct claim **find(struct claims *c, struct slice user, struct slice key)
{
	struct claim **at = &c->bucket[(slice_hash(user) ^ slice_hash(key) * 31) % BUCKETS];

	while (*at && !(slice_eq((*at)->user, user) && slice_eq((*at)->key, key)))
		at = &(*at)->next;
	return at;
}

static void set(struct claims *c, struct claim **at, struct slice user, const struct store_claim *claim)
{
	struct claim *k = *at;

	if (!k) {
		k = mem_alloc(sizeof(*k));
		k->user = mem_slice(user);
		k->key = mem_slice(claim->key);
		k->next = *at;
		*at = k;
	}
	free((char *)k->owner.ptr);
	k->owner = mem_slice(claim->owner);
	k->until_ms = clock_now(c->clock) + claim->ttl_ms;
}

/* Until something changed, the holder's time is up, or ours is. */
static void wait_for(struct claims *c, int64_t until_ms)
{
	int64_t ms = until_ms - clock_now(c->clock);
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ms = ms < 1 ? 1 : ms;
	t.tv_sec += ms / 1000;
	t.tv_nsec += (ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&c->changed, &c->lock, &t);
}

int claims_take(struct claims *c, struct slice user, const struct store_claim *claim, struct err *e)
{
	int64_t give_up = clock_now(c->clock) + claim->wait_ms;
	bool can_wait = c->clock == &clock_system;
	int rc = 0;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		struct claim **at = find(c, user, claim->key);
		int64_t now = clock_now(c->clock);

		if (!*at || (*at)->until_ms <= now || slice_eq((*at)->owner, claim->owner)) {
			set(c, at, user, claim);
			break;
		}
		if (!can_wait || now >= give_up) {
			rc = err_set(e, ERR_STORE_RACE, "%.*s is claimed by another command", SARG(slice_to(claim->key, 80)));
			break;
		}
		wait_for(c, (*at)->until_ms < give_up ? (*at)->until_ms : give_up);
	}
	pthread_mutex_unlock(&c->lock);
	return rc;
}

void claims_release(struct claims *c, struct slice user, const struct store_claim *claim)
{
	struct claim **at, *k;

	pthread_mutex_lock(&c->lock);
	at = find(c, user, claim->key);
	k = *at;
	if (k && slice_eq(k->owner, claim->owner)) {
		*at = k->next;
		claim_free(k);
		pthread_cond_broadcast(&c->changed);
	}
	pthread_mutex_unlock(&c->lock);
}
