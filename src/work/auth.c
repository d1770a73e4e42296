/* auth.c - remembered verdicts and counted failures. Any thread; one mutex,
 * held for table work only (no I/O, no hashing of passwords under it). Owns its
 * tables; the secret is wiped at the end.
 * Two tables of the same shape: chained hash with an LRU list, bounded, oldest
 * out first. The trap: a throttle must not lock out who has the right password
 * in memory, so auth_recall looks at verdicts before failures. */
#include "work/auth.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/list.h"
#include "work/datadir.h"

enum {
	BUCKETS = 1 << 14,
	USERS_MAX = 200000,    /* about 25 MB when full */
	VERDICTS = 8,          /* passwords of one user: his devices' app passwords */
	FAILURES_MAX = 100000,
	USER_FACTOR = 10,      /* device ids are the attacker's to invent: a user has a limit too */
	SECRET_BYTES = 32,
	NAME_MAX_BYTES = 256,
};

struct verdict_row {
	uint8_t mac[16];
	int64_t learned_ms, used_ms;
};

struct user_row {
	struct user_row *next;
	struct list lru;
	uint64_t key[2];
	struct verdict_row *v; /* grows to VERDICTS: nearly all have one password */
	unsigned n;
};

struct fail_row {
	struct fail_row *next;
	struct list lru;
	uint64_t key[2];
	int64_t since_ms;
	uint32_t count;
};

struct auth {
	pthread_mutex_t lock;
	const struct clock *clock;
	uint8_t secret[SECRET_BYTES];
	int64_t cache_ms, cache_max_ms, window_ms;
	uint32_t limit, limit_address;
	struct user_row *user[BUCKETS];
	struct fail_row *fail[BUCKETS];
	struct list users, fails; /* most recently used last */
	size_t n_users, n_fails;
};

static void user_free(struct user_row *u)
{
	if (u->v)
		mem_wipe(u->v, u->n * sizeof(*u->v));
	free(u->v);
	mem_wipe(u, sizeof(*u));
	free(u);
}

/* --- making one ------------------------------------------------------------------ */

void auth_configure(struct auth *a, const struct settings *set)
{
	pthread_mutex_lock(&a->lock);
	a->cache_ms = settings_ms(set, "auth.cache");
	a->cache_max_ms = settings_ms(set, "auth.cache_max");
	a->window_ms = settings_ms(set, "auth.fail_window");
	a->limit = (uint32_t)settings_int(set, "auth.fail_limit");
	a->limit_address = (uint32_t)settings_int(set, "auth.fail_limit_address");
	pthread_mutex_unlock(&a->lock);
}

int auth_new(struct auth **a_r, const struct settings *set, const struct clock *clk, const struct rnd *rnd,
	     struct err *e)
{
	struct auth *a = mem_alloc(sizeof(*a));

	pthread_mutex_init(&a->lock, NULL);
	a->clock = clk;
	list_init(&a->users);
	list_init(&a->fails);
	auth_configure(a, set);
	if (datadir_auth_secret(set, rnd, a->secret, e) < 0) {
		auth_free(&a);
		return -1;
	}
	*a_r = a;
	return 0;
}

void auth_free(struct auth **ap)
{
	struct auth *a = *ap;

	*ap = NULL;
	if (!a)
		return;
	list_for_safe(l, &a->users)
		user_free(list_entry(l, struct user_row, lru));
	list_for_safe(l, &a->fails)
		free(list_entry(l, struct fail_row, lru));
	pthread_mutex_destroy(&a->lock);
	mem_wipe(a, sizeof(*a));
	free(a);
}

struct slice auth_secret(const struct auth *a)
{
	return slice(a->secret, sizeof(a->secret));
}

/* --- names ----------------------------------------------------------------------- */

static bool legal_name(struct slice s)
{
	if (s.len == 0 || s.len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return false;
	return true;
}

/* ASCII only: what else folds is a matter of locale, and IMAP servers do not. */
static struct slice lower(struct arena *arena, struct slice s)
{
	char *z = arena_str(arena, s);

	for (size_t i = 0; i < s.len; i++)
		if (z[i] >= 'A' && z[i] <= 'Z')
			z[i] = (char)(z[i] + 32);
	return slice(z, s.len);
}

bool auth_canonical(struct arena *arena, const struct settings *set, struct slice login, struct slice *user_r,
		    struct slice *login_r)
{
	struct slice rule = settings_str(set, "auth.domain"), name = slice_trim(login), domain = S_NONE;
	ptrdiff_t back = slice_chr(name, '\\'), at;

	if (back >= 0 && !slice_eq(rule, S("keep"))) {
		domain = slice_to(name, (size_t)back);
		name = slice_from(name, (size_t)back + 1);
	}
	at = slice_chr(name, '@');
	if (slice_eq(rule, S("strip")) && at >= 0)
		name = slice_to(name, (size_t)at);
	if (slice_eq(rule, S("required")) && at < 0) {
		if (domain.len == 0)
			return false;
		/* DOMAIN\user and user@domain are one user. */
		name = arena_printf(arena, "%.*s@%.*s", SARG(name), SARG(domain));
	}
	if (!legal_name(name))
		return false;
	*login_r = arena_slice(arena, name);
	*user_r = settings_bool(set, "auth.lowercase") ? lower(arena, name) : *login_r;
	return true;
}

/* --- verdicts ---------------------------------------------------------------------- */

static void key_of(const struct auth *a, const struct slice *parts, size_t n, uint64_t key[2])
{
	struct sha256 body = digest_parts(parts, n), mac;

	/* Keyed: nobody can choose names that share a bucket. */
	mac = digest_hmac(auth_secret(a), slice(body.b, sizeof(body.b)));
	memcpy(key, mac.b, 16);
}

static struct user_row *user_find(struct auth *a, const uint64_t key[2])
{
	struct user_row *u = a->user[key[0] % BUCKETS];

	while (u && (u->key[0] != key[0] || u->key[1] != key[1]))
		u = u->next;
	return u;
}

static void user_drop(struct auth *a, struct user_row *u)
{
	struct user_row **at = &a->user[u->key[0] % BUCKETS];

	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	list_del(&u->lru);
	user_free(u);
	a->n_users--;
}

static struct user_row *user_add(struct auth *a, const uint64_t key[2])
{
	struct user_row *u;

	if (a->n_users >= USERS_MAX)
		user_drop(a, list_entry(a->users.next, struct user_row, lru));
	u = mem_alloc(sizeof(*u));
	memcpy(u->key, key, sizeof(u->key));
	u->next = a->user[key[0] % BUCKETS];
	a->user[key[0] % BUCKETS] = u;
	list_add_tail(&a->users, &u->lru);
	a->n_users++;
	return u;
}

static bool alive(const struct auth *a, const struct verdict_row *v, int64_t now)
{
	return v->learned_ms && now - v->used_ms < a->cache_ms && now - v->learned_ms < a->cache_max_ms;
}

static struct verdict_row *verdict_find(struct user_row *u, const uint8_t mac[16])
{
	for (unsigned i = 0; u && i < u->n; i++)
		if (u->v[i].learned_ms && digest_equal(u->v[i].mac, mac, 16))
			return &u->v[i];
	return NULL;
}

static void mac_of(const struct auth *a, const struct auth_ask *ask, uint8_t mac[16])
{
	key_of(a, (const struct slice[]){ S("password"), ask->user, ask->password }, 3, (uint64_t *)mac);
}

/* --- failures ------------------------------------------------------------------------ */

static struct fail_row *fail_find(struct auth *a, const uint64_t key[2], int64_t now)
{
	struct fail_row *f = a->fail[key[0] % BUCKETS];

	while (f && (f->key[0] != key[0] || f->key[1] != key[1]))
		f = f->next;
	if (f && now - f->since_ms >= a->window_ms) {
		f->since_ms = now;
		f->count = 0;
	}
	return f;
}

static void fail_drop(struct auth *a, struct fail_row *f)
{
	struct fail_row **at = &a->fail[f->key[0] % BUCKETS];

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	list_del(&f->lru);
	free(f);
	a->n_fails--;
}

static void fail_count(struct auth *a, const uint64_t key[2], int64_t now)
{
	struct fail_row *f = fail_find(a, key, now);

	if (!f) {
		if (a->n_fails >= FAILURES_MAX)
			fail_drop(a, list_entry(a->fails.next, struct fail_row, lru));
		f = mem_alloc(sizeof(*f));
		memcpy(f->key, key, sizeof(f->key));
		f->since_ms = now;
		f->next = a->fail[key[0] % BUCKETS];
		a->fail[key[0] % BUCKETS] = f;
		list_init(&f->lru);
		a->n_fails++;
	}
	f->count++;
	list_del(&f->lru);
	list_add_tail(&a->fails, &f->lru);
}

/* Three counters of one failure, each with its limit. */
struct counters {
	uint64_t key[3][2];
	uint32_t limit[3];
};

static void counters_of(const struct auth *a, const struct auth_ask *ask, struct counters *c)
{
	key_of(a, (const struct slice[]){ S("device"), ask->user, ask->device_id }, 3, c->key[0]);
	key_of(a, (const struct slice[]){ S("user"), ask->user }, 2, c->key[1]);
	key_of(a, (const struct slice[]){ S("peer"), ask->peer }, 2, c->key[2]);
}

static void limits_of(const struct auth *a, struct counters *c)
{
	c->limit[0] = a->limit;
	c->limit[1] = a->limit * USER_FACTOR;
	c->limit[2] = a->limit_address;
}

static bool throttled(struct auth *a, struct counters *c, int64_t now, int64_t *retry_ms_r)
{
	limits_of(a, c);
	for (int i = 0; i < 3; i++) {
		struct fail_row *f = fail_find(a, c->key[i], now);

		if (f && f->count >= c->limit[i]) {
			*retry_ms_r = f->since_ms + a->window_ms - now;
			return true;
		}
	}
	return false;
}

/* --- entry points ----------------------------------------------------------------------- */

enum auth_verdict auth_recall(struct auth *a, const struct auth_ask *ask, int64_t *retry_ms_r)
{
	enum auth_verdict verdict = AUTH_ASK_BACKEND;
	struct counters c;
	struct verdict_row *v;
	struct user_row *u;
	_Alignas(8) uint8_t mac[16];
	uint64_t key[2];
	int64_t now = clock_now(a->clock);

	*retry_ms_r = 0;
	key_of(a, (const struct slice[]){ S("name"), ask->user }, 2, key);
	mac_of(a, ask, mac);
	pthread_mutex_lock(&a->lock);
	u = user_find(a, key);
	v = verdict_find(u, mac);
	if (v && alive(a, v, now)) {
		v->used_ms = now;
		list_del(&u->lru);
		list_add_tail(&a->users, &u->lru);
		verdict = AUTH_KNOWN;
	}
	pthread_mutex_unlock(&a->lock);
	if (verdict == AUTH_KNOWN)
		return verdict;
	counters_of(a, ask, &c);
	pthread_mutex_lock(&a->lock);
	if (throttled(a, &c, now, retry_ms_r))
		verdict = AUTH_THROTTLED;
	pthread_mutex_unlock(&a->lock);
	return verdict;
}

/* An ended one, a new one, or the one that was not used for longest. */
static struct verdict_row *verdict_slot(const struct auth *a, struct user_row *u, int64_t now)
{
	struct verdict_row *oldest = NULL, *grown;

	for (unsigned i = 0; i < u->n; i++) {
		if (!alive(a, &u->v[i], now))
			return &u->v[i];
		if (!oldest || u->v[i].used_ms < oldest->used_ms)
			oldest = &u->v[i];
	}
	if (u->n == VERDICTS)
		return oldest;
	grown = mem_alloc((u->n + 1) * sizeof(*grown)); /* no realloc: the old copy is wiped */
	if (u->n) {
		memcpy(grown, u->v, u->n * sizeof(*grown));
		mem_wipe(u->v, u->n * sizeof(*u->v));
	}
	free(u->v);
	u->v = grown;
	return &u->v[u->n++];
}

static void learn_right(struct auth *a, const uint64_t key[2], const uint8_t mac[16], const struct counters *c,
			int64_t now)
{
	struct user_row *u = user_find(a, key);
	struct fail_row *f = fail_find(a, c->key[0], now);
	struct verdict_row *v;

	if (f)
		fail_drop(a, f);
	if (!u)
		u = user_add(a, key);
	v = verdict_find(u, mac);
	if (!v)
		v = verdict_slot(a, u, now);
	memcpy(v->mac, mac, sizeof(v->mac));
	/* 0 says "empty"; a clock that starts at 0 is a simulation's. */
	v->learned_ms = v->used_ms = now ? now : 1;
}

void auth_learn(struct auth *a, const struct auth_ask *ask, bool right)
{
	_Alignas(8) uint8_t mac[16];
	uint64_t key[2];
	struct counters c;
	struct user_row *u;
	struct verdict_row *v;
	int64_t now = clock_now(a->clock);

	key_of(a, (const struct slice[]){ S("name"), ask->user }, 2, key);
	mac_of(a, ask, mac);
	counters_of(a, ask, &c);
	pthread_mutex_lock(&a->lock);
	if (right) {
		learn_right(a, key, mac, &c, now);
	} else {
		u = user_find(a, key);
		v = verdict_find(u, mac);
		if (v)
			memset(v, 0, sizeof(*v));
		for (int i = 0; i < 3; i++)
			fail_count(a, c.key[i], now);
	}
	pthread_mutex_unlock(&a->lock);
}

void auth_forget(struct auth *a, struct slice user)
{
	uint64_t key[2];
	struct user_row *u;

	key_of(a, (const struct slice[]){ S("name"), user }, 2, key);
	pthread_mutex_lock(&a->lock);
	u = user_find(a, key);
	if (u)
		user_drop(a, u);
	pthread_mutex_unlock(&a->lock);
}
