/* store_redis.c - the store of a fleet: redis://, rediss:// and redis-sentinel://. Workers; blocking
 * calls with a deadline over redis.c. Every operation on a user is one Lua script
 * or one pipeline, all keys in the user's slot (the epoch alone is elsewhere).
 *
 * Public format, version 1 (names: keys.h). A record is one string:
 *   byte 0      '1', the version
 *   byte 1      's' sliding (devices.forget begins anew when it is loaded), '-' not
 *   bytes 2-17  revision, 16 hex digits: the larger of the last + 1 and the server's
 *               clock in microseconds, so that a deleted and made again record, or an
 *               older copy of the data, does not repeat one
 *   bytes 18-25 length of the base, 8 hex digits
 *   then        the base, and behind it the appended deltas
 * idx:{USER} is a set of the record names of the user (an expired one is taken out
 * when a listing meets it). claim:DEV holds the owner's word, with its TTL.
 * gen:{USER} is a plain counter. epoch is "RUNID:RANDOM": whoever connects to a
 * server of another run id (restarted, failed over) or without an epoch (flushed)
 * writes a new one, and every generation read before differs from all read after.
 *
 * The trap: a commit whose answer got lost may have happened and is never repeated
 * here; a load is, once, on a new connection, because a pooled one may have died. */
#include <stdlib.h>
#include <time.h>

#include "keys.h"
#include "work/redis.h"
#include "work/store_drivers.h"

enum { HEADER = 26, CLAIM_POLL_MS = 40 };

struct redis_store {
	struct store s;
	struct redis_pool *pool;
	struct slice prefix; /* owned */
	struct slice epoch;  /* owned: the key */
};

/* KEYS: n records, gen, claim when an owner is given. ARGV: n, forget in ms, owner,
 * claim's ttl in ms. -> { 0 } claimed by another, else { 1, gen, values... } */
static const char load_script[] =
	"local n, forget, owner = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]\n"
	"if owner ~= '' then\n"
	"  local k = KEYS[n + 2]\n"
	"  local cur = redis.call('GET', k)\n"
	"  if cur and cur ~= owner then return { 0 } end\n"
	"  redis.call('SET', k, owner, 'PX', ARGV[4])\n"
	"end\n"
	"local out = { 1, redis.call('GET', KEYS[n + 1]) or '0' }\n"
	"for i = 1, n do\n"
	"  local v = redis.call('GET', KEYS[i]) or ''\n"
	"  out[i + 2] = v\n"
	"  if string.sub(v, 2, 2) == 's' and redis.call('PTTL', KEYS[i]) < forget - forget / 16 then\n"
	"    redis.call('PEXPIRE', KEYS[i], ARGV[2])\n"
	"  end\n"
	"end\n"
	"return out\n";

/* KEYS: n records, idx, claim when an owner is given. ARGV: n, forget, owner, then for
 * each record: op, expected revision in hex or '*', ttl in ms, value, name.
 * -> { 'ok', revisions... }, { 'race', i } or { 'format', i } */
static const char commit_script[] =
	"local n, forget, owner = tonumber(ARGV[1]), ARGV[2], ARGV[3]\n"
	"local none = '0000000000000000'\n"
	"local old = {}\n"
	"for i = 1, n do\n"
	"  local h = redis.call('GETRANGE', KEYS[i], 0, 25)\n"
	"  if h ~= '' and string.sub(h, 1, 1) ~= '1' then return { 'format', i } end\n"
	"  old[i] = h ~= '' and string.sub(h, 3, 18) or none\n"
	"  local want = ARGV[5 * i]\n"
	"  if want ~= '*' and want ~= old[i] then return { 'race', i } end\n"
	"end\n"
	"if redis.replicate_commands then redis.replicate_commands() end\n"
	"local t = redis.call('TIME')\n"
	"local now = t[1] * 1000000 + t[2]\n"
	"local out = { 'ok' }\n"
	"for i = 1, n do\n"
	"  local k, a = KEYS[i], 5 * i - 1\n"
	"  local op, ttl, value, name = ARGV[a], tonumber(ARGV[a + 2]), ARGV[a + 3], ARGV[a + 4]\n"
	"  if op == 'd' then\n"
	"    redis.call('DEL', k)\n"
	"    redis.call('SREM', KEYS[n + 1], name)\n"
	"    out[i + 1] = none\n"
	"  else\n"
	"    local rev = string.format('%016x', math.max(tonumber(old[i], 16) + 1, now))\n"
	"    local flag = ttl == 0 and 's' or '-'\n"
	"    if op == 'a' and old[i] ~= none then\n"
	"      redis.call('SETRANGE', k, 1, flag .. rev)\n"
	"      redis.call('APPEND', k, value)\n"
	"    else\n"
	"      redis.call('SET', k, '1' .. flag .. rev .. string.format('%08x', #value) .. value)\n"
	"    end\n"
	"    if ttl < 0 then redis.call('PERSIST', k)\n"
	"    elseif ttl == 0 then redis.call('PEXPIRE', k, forget)\n"
	"    else redis.call('PEXPIRE', k, ARGV[a + 2]) end\n"
	"    if old[i] == none then redis.call('SADD', KEYS[n + 1], name) end\n"
	"    out[i + 1] = rev\n"
	"  end\n"
	"end\n"
	"if owner ~= '' and redis.call('GET', KEYS[n + 2]) == owner then redis.call('DEL', KEYS[n + 2]) end\n"
	"return out\n";

/* KEYS: claim. ARGV: owner. */
static const char release_script[] =
	"if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0\n";

/* KEYS: idx. ARGV: how its records' names begin, prefix of the names asked for.
 * The names that are there; those that are not are taken out of the set. */
static const char list_script[] =
	"local out = {}\n"
	"for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do\n"
	"  if string.sub(name, 1, #ARGV[2]) == ARGV[2] then\n"
	"    if redis.call('EXISTS', ARGV[1] .. name) == 1 then out[#out + 1] = name\n"
	"    else redis.call('SREM', KEYS[1], name) end\n"
	"  end\n"
	"end\n"
	"return out\n";

static const char *const scripts[REDIS_SCRIPTS] = {
	[REDIS_LOAD] = load_script,
	[REDIS_COMMIT] = commit_script,
	[REDIS_RELEASE] = release_script,
	[REDIS_LIST] = list_script,
};

static struct redis_store *redis_of(struct store *s)
{
	return (struct redis_store *)s;
}

static struct slice number(struct arena *a, int64_t v)
{
	return arena_printf(a, "%lld", (long long)v);
}

static bool hex_u64(struct slice s, uint64_t *v_r)
{
	char text[17], *end;

	if (s.len == 0 || s.len > 16)
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = 0;
	*v_r = strtoull(text, &end, 16);
	return *end == 0;
}

/* --- one exchange with the server --------------------------------------------- */

/* The pipeline of an operation: a script, and before it GET of the epoch if wanted. */
struct call {
	enum redis_script script;
	const struct slice *argv;
	size_t n_keys, argc;
	bool epoch;      /* in: ask for it */
	bool repeatable; /* doing it twice is the same as once */
	redisReply *r[2];
	size_t n;
};

static void call_done(struct call *k)
{
	for (size_t i = 0; i < 2; i++) {
		if (k->r[i])
			freeReplyObject(k->r[i]);
		k->r[i] = NULL;
	}
}

static int call_send(struct redis_store *m, struct redis *c, struct call *k, struct err *e)
{
	k->n = 0;
	if (k->epoch) {
		redis_add(c, (struct slice[]){ S("GET"), m->epoch }, 2);
		k->n++;
	}
	redis_add_script(c, k->script, k->n_keys, k->argv, k->argc);
	return redis_flush(c, k->r, ++k->n, e);
}

/* Scripts forgotten: nothing was done, so again. Epoch gone: flushed, so a new one
 * first and then again, or what is read would look like what was read before. */
static int call_on(struct redis_store *m, struct redis *c, struct call *k, struct err *e)
{
	for (int i = 0; i < 3; i++) {
		int rc = call_send(m, c, k, e);

		if (rc < 0)
			return -1;
		if (redis_is_noscript(k->r[k->n - 1])) {
			rc = redis_load_scripts(c, e);
		} else if (k->epoch && k->r[0] && k->r[0]->type == REDIS_REPLY_NIL) {
			rc = redis_note_epoch(c, e);
		} else {
			for (size_t j = 0; j < k->n && rc == 0; j++)
				rc = redis_reply_ok(c, k->r[j], e);
			return rc;
		}
		call_done(k);
		if (rc < 0)
			return -1;
	}
	return err_set(e, ERR_STORE, "redis: forgets its scripts or its epoch again and again");
}

static int call_run(struct redis_store *m, struct call *k, struct err *e)
{
	struct redis *c;
	bool again;
	int rc;

	if (redis_check_out(m->pool, false, &c, e) < 0)
		return -1;
	rc = call_on(m, c, k, e);
	again = rc < 0 && k->repeatable && redis_reused(c) && e->code != ERR_TIMEOUT;
	redis_check_in(m->pool, &c);
	if (!again)
		return rc;
	call_done(k);
	if (redis_check_out(m->pool, true, &c, e) < 0)
		return -1;
	rc = call_on(m, c, k, e);
	redis_check_in(m->pool, &c);
	return rc;
}

/* --- load --------------------------------------------------------------------- */

static int decode(struct store_get *g, struct slice v, struct arena *a, struct err *e)
{
	uint64_t base;

	g->value = S_NONE;
	g->rev = 0;
	g->base_len = 0;
	if (v.len == 0)
		return 0;
	if (v.len < HEADER || v.ptr[0] != '1' || !hex_u64(slice_to(slice_from(v, 2), 16), &g->rev) ||
	    !hex_u64(slice_to(slice_from(v, 18), 8), &base) || base > v.len - HEADER)
		return err_set(e, ERR_STORE_FORMAT, "record %.*s: not of version 1", SARG(slice_to(g->key, 80)));
	g->base_len = (uint32_t)base;
	g->value = arena_slice(a, slice_from(v, HEADER));
	return 0;
}

static int take_reply(const struct call *k, struct store_get *g, size_t n, uint64_t *gen_r, struct arena *a,
		      struct err *e)
{
	const redisReply *r = k->r[k->n - 1];
	uint64_t counter;

	if (r->type != REDIS_REPLY_ARRAY || r->elements != n + 2)
		return err_set(e, ERR_STORE, "redis: load answered something else");
	for (size_t i = 0; i < n; i++)
		if (decode(&g[i], redis_str(r->element[i + 2]), a, e) < 0)
			return -1;
	if (!gen_r)
		return 0;
	if (!slice_u64(redis_str(r->element[1]), &counter))
		return err_set(e, ERR_STORE_FORMAT, "change counter is no number: %.*s",
			       SARG(slice_to(redis_str(r->element[1]), 40)));
	*gen_r = store_gen_mix(redis_str(k->r[0]), counter);
	return 0;
}

static bool is_claimed(const struct call *k)
{
	const redisReply *r = k->r[k->n - 1];

	return r->type == REDIS_REPLY_ARRAY && r->elements == 1 && r->element[0]->type == REDIS_REPLY_INTEGER;
}

static void sleep_ms(int64_t ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* Asks again while another holds the claim; waiters spread themselves. */
static int run_until_claimed(struct redis_store *m, struct call *k, const struct store_claim *claim, struct err *e)
{
	int64_t give_up = clock_now(&clock_system) + (claim ? claim->wait_ms : 0);

	for (;;) {
		if (call_run(m, k, e) < 0)
			return -1;
		if (!is_claimed(k))
			return 0;
		call_done(k);
		if (!claim || clock_now(&clock_system) >= give_up)
			return err_set(e, ERR_STORE_RACE, "%.*s is claimed by another command",
				       SARG(slice_to(claim ? claim->key : S_NONE, 80)));
		sleep_ms(CLAIM_POLL_MS / 2 + (int64_t)(rnd_u64(&rnd_system) % CLAIM_POLL_MS));
	}
}

static int redis_load(struct store *s, struct slice user, struct store_get *g, size_t n, const struct store_claim *claim,
		      uint64_t *gen_r, struct arena *a, struct err *e)
{
	struct redis_store *m = redis_of(s);
	struct slice *v = arena_alloc(a, (n + 6) * sizeof(*v));
	struct call k = { .script = REDIS_LOAD, .argv = v, .epoch = gen_r != NULL, .repeatable = true };
	size_t at = 0;
	int rc;

	for (size_t i = 0; i < n; i++)
		v[at++] = key_record(a, m->prefix, user, g[i].key);
	v[at++] = key_gen(a, m->prefix, user);
	if (claim)
		v[at++] = key_record(a, m->prefix, user, claim->key);
	k.n_keys = at;
	v[at++] = number(a, (int64_t)n);
	v[at++] = number(a, s->forget_ms);
	v[at++] = claim ? claim->owner : S("");
	v[at++] = number(a, claim ? claim->ttl_ms : 0);
	k.argc = at;
	rc = run_until_claimed(m, &k, claim, e);
	if (rc == 0)
		rc = take_reply(&k, g, n, gen_r, a, e);
	call_done(&k);
	return rc;
}

/* --- commit ------------------------------------------------------------------- */

static void commit_args(struct redis_store *m, struct arena *a, struct slice user, const struct store_put *p, size_t n,
			const struct store_claim *release, struct call *k)
{
	static const struct slice op[] = { [STORE_PUT] = { "p", 1 }, [STORE_APPEND] = { "a", 1 }, [STORE_DELETE] = { "d", 1 } };
	struct slice *v = arena_alloc(a, (n * 6 + 5) * sizeof(*v));
	size_t at = 0;

	k->argv = v;
	for (size_t i = 0; i < n; i++)
		v[at++] = key_record(a, m->prefix, user, p[i].key);
	v[at++] = key_index(a, m->prefix, user);
	if (release)
		v[at++] = key_record(a, m->prefix, user, release->key);
	k->n_keys = at;
	v[at++] = number(a, (int64_t)n);
	v[at++] = number(a, m->s.forget_ms);
	v[at++] = release ? release->owner : S("");
	for (size_t i = 0; i < n; i++) {
		v[at++] = op[p[i].op];
		v[at++] = p[i].expect == STORE_ANY ? S("*")
						   : arena_printf(a, "%016llx", (unsigned long long)p[i].expect);
		v[at++] = number(a, p[i].ttl_ms);
		v[at++] = p[i].value;
		v[at++] = p[i].key;
	}
	k->argc = at;
}

static int commit_reply(const redisReply *r, struct store_put *p, size_t n, struct err *e)
{
	struct slice what = r->type == REDIS_REPLY_ARRAY && r->elements ? redis_str(r->element[0]) : S_NONE;
	long long at = what.len && r->elements == 2 ? r->element[1]->integer : 0;

	if (slice_eq(what, S("race")) && at >= 1 && at <= (long long)n)
		return err_set(e, ERR_STORE_RACE, "record %.*s was written meanwhile", SARG(slice_to(p[at - 1].key, 80)));
	if (slice_eq(what, S("format")) && at >= 1 && at <= (long long)n)
		return err_set(e, ERR_STORE_FORMAT, "record %.*s: not of version 1", SARG(slice_to(p[at - 1].key, 80)));
	if (!slice_eq(what, S("ok")) || r->elements != n + 1)
		return err_set(e, ERR_STORE, "redis: commit answered something else");
	for (size_t i = 0; i < n; i++)
		if (!hex_u64(redis_str(r->element[i + 1]), &p[i].rev))
			return err_set(e, ERR_STORE, "redis: commit answered no revision");
	return 0;
}

static int redis_commit(struct store *s, struct slice user, struct store_put *p, size_t n,
			const struct store_claim *release, unsigned flags, struct err *e)
{
	struct arena *a = arena_new();
	struct call k = { .script = REDIS_COMMIT };
	int rc;

	commit_args(redis_of(s), a, user, p, n, release, &k);
	rc = call_run(redis_of(s), &k, e);
	if (rc == 0)
		rc = commit_reply(k.r[0], p, n, e);
	call_done(&k);
	arena_free(&a);
	return rc;
}

static int redis_release(struct store *s, struct slice user, const struct store_claim *claim, struct err *e)
{
	struct redis_store *m = redis_of(s);
	struct arena *a = arena_new();
	struct slice v[2] = { key_record(a, m->prefix, user, claim->key), claim->owner };
	struct call k = { .script = REDIS_RELEASE, .argv = v, .n_keys = 1, .argc = 2, .repeatable = true };
	int rc = call_run(m, &k, e);

	call_done(&k);
	arena_free(&a);
	return rc;
}

/* --- counter and messages ----------------------------------------------------- */

static int redis_gen(struct store *s, struct slice user, uint64_t *gen_r, struct err *e)
{
	struct arena *a = arena_new();
	int rc = redis_load(s, user, NULL, 0, NULL, gen_r, a, e);

	arena_free(&a);
	return rc;
}

/* MULTI, INCR, PUBLISH, EXEC; without count PUBLISH alone. */
static int redis_publish(struct store *s, struct slice user, struct slice json, bool count, struct err *e)
{
	struct redis_store *m = redis_of(s);
	struct arena *a = arena_new();
	redisReply *r[4] = { NULL };
	size_t n = 0;
	struct redis *c;
	int rc = redis_check_out(m->pool, false, &c, e);

	if (rc == 0) {
		if (count) {
			redis_add(c, (struct slice[]){ S("MULTI") }, 1), n++;
			redis_add(c, (struct slice[]){ S("INCR"), key_gen(a, m->prefix, user) }, 2), n++;
		}
		redis_add(c, (struct slice[]){ S("PUBLISH"), key_channel(a, m->prefix, user), json }, 3), n++;
		if (count)
			redis_add(c, (struct slice[]){ S("EXEC") }, 1), n++;
		rc = redis_flush(c, r, n, e);
		for (size_t i = 0; i < n && rc == 0; i++)
			rc = redis_reply_ok(c, r[i], e);
		redis_check_in(m->pool, &c);
	}
	for (size_t i = 0; i < n; i++)
		if (r[i])
			freeReplyObject(r[i]);
	arena_free(&a);
	return rc;
}

/* --- list --------------------------------------------------------------------- */

typedef int list_fn(void *arg, struct slice user, struct slice key);

static int list_user(struct redis_store *m, struct slice user, struct slice prefix, list_fn *fn, void *arg, struct err *e)
{
	struct arena *a = arena_new();
	struct slice v[3] = { key_index(a, m->prefix, user), key_record(a, m->prefix, user, S_NONE), prefix };
	struct call k = { .script = REDIS_LIST, .argv = v, .n_keys = 1, .argc = 3, .repeatable = true };
	int rc = call_run(m, &k, e);

	if (rc == 0 && k.r[0]->type != REDIS_REPLY_ARRAY)
		rc = err_set(e, ERR_STORE, "redis: list answered something else");
	for (size_t i = 0; rc == 0 && i < k.r[0]->elements; i++)
		rc = fn(arg, user, redis_str(k.r[0]->element[i]));
	call_done(&k);
	arena_free(&a);
	return rc;
}

/* One SCAN step: users found, the next cursor. */
static int scan(struct redis_store *m, struct arena *a, struct slice cursor, struct slice *next_r, struct slice **users,
		size_t *n, size_t *cap, struct err *e)
{
	struct slice user, kind, argv[] = { S("SCAN"), cursor, S("MATCH"), key_indexes(a, m->prefix), S("COUNT"), S("1000") };
	redisReply *r = NULL;
	struct redis *c;
	int rc = redis_check_out(m->pool, false, &c, e);

	if (rc < 0)
		return -1;
	redis_add(c, argv, 6);
	rc = redis_flush(c, &r, 1, e);
	if (rc == 0)
		rc = redis_reply_ok(c, r, e);
	if (rc == 0 && (r->type != REDIS_REPLY_ARRAY || r->elements != 2))
		rc = err_set(e, ERR_STORE, "redis: SCAN answered something else");
	if (rc == 0)
		*next_r = arena_slice(a, redis_str(r->element[0]));
	for (size_t i = 0; rc == 0 && i < r->element[1]->elements; i++) {
		if (!key_user_of(a, m->prefix, redis_str(r->element[1]->element[i]), &user, &kind))
			continue;
		*users = arena_grow(a, *users, *n, cap, sizeof(**users));
		(*users)[(*n)++] = arena_slice(a, user);
	}
	if (r)
		freeReplyObject(r);
	redis_check_in(m->pool, &c);
	return rc;
}

/* SCAN may give a user twice: once each, in order. */
static int compare_slices(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static int redis_list(struct store *s, struct slice user, struct slice prefix, list_fn *fn, void *arg, struct err *e)
{
	struct redis_store *m = redis_of(s);
	struct arena *a;
	struct slice cursor = S("0"), *users = NULL;
	size_t n = 0, cap = 0;
	int rc;

	if (user.len)
		return list_user(m, user, prefix, fn, arg, e);
	a = arena_new();
	do {
		rc = scan(m, a, cursor, &cursor, &users, &n, &cap, e);
	} while (rc == 0 && !slice_eq(cursor, S("0")));
	if (n)
		qsort(users, n, sizeof(*users), compare_slices);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (i == 0 || !slice_eq(users[i], users[i - 1]))
			rc = list_user(m, users[i], prefix, fn, arg, e);
	arena_free(&a);
	return rc;
}

/* --- check -------------------------------------------------------------------- */

static struct slice info_value(struct slice info, const char *name)
{
	struct slice line;
	size_t n = strlen(name);

	while (slice_split(&info, '\n', &line))
		if (line.len > n && slice_starts(line, slice_str(name)) && line.ptr[n] == ':')
			return slice_trim(slice_from(line, n + 1));
	return S_NONE;
}

/* CONFIG may be forbidden: then only what INFO tells is judged. */
static struct slice warning_of(struct arena *a, const redisReply *memory, const redisReply *persistence,
			       const redisReply *save)
{
	struct slice policy = info_value(redis_str(memory), "maxmemory_policy");
	bool aof = slice_eq(info_value(redis_str(persistence), "aof_enabled"), S("1"));
	bool no_rdb = save->type == REDIS_REPLY_ARRAY && save->elements == 2 && redis_str(save->element[1]).len == 0;
	struct slice w = S_NONE;

	if (policy.len && !slice_eq(policy, S("noeviction")))
		w = arena_printf(a, "Redis evicts records when memory is short (maxmemory-policy %.*s); set noeviction. ",
				 SARG(policy));
	if (!aof && no_rdb)
		w = arena_printf(a, "%.*sRedis keeps nothing over a restart (no appendonly, no save): every phone "
				 "would start over. ", SARG(w));
	return slice_trim(w);
}

static int redis_check(struct store *s, struct arena *a, struct slice *warning_r, struct err *e)
{
	struct redis_store *m = redis_of(s);
	redisReply *r[3] = { NULL };
	struct redis *c;
	int rc;

	*warning_r = S_NONE;
	if (redis_check_out(m->pool, false, &c, e) < 0)
		return -1;
	redis_add(c, (struct slice[]){ S("INFO"), S("memory") }, 2);
	redis_add(c, (struct slice[]){ S("INFO"), S("persistence") }, 2);
	redis_add(c, (struct slice[]){ S("CONFIG"), S("GET"), S("save") }, 3);
	rc = redis_flush(c, r, 3, e);
	if (rc == 0)
		rc = redis_reply_ok(c, r[0], e);
	if (rc == 0)
		*warning_r = warning_of(a, r[0], r[1], r[2]);
	for (size_t i = 0; i < 3; i++)
		if (r[i])
			freeReplyObject(r[i]);
	redis_check_in(m->pool, &c);
	return rc;
}

/* --- life --------------------------------------------------------------------- */

static void redis_store_close(struct store **s)
{
	struct redis_store *m = redis_of(*s);

	redis_pool_free(&m->pool);
	free((char *)m->prefix.ptr);
	free((char *)m->epoch.ptr);
	free(m);
	*s = NULL;
}

/* Does not connect: a store that is down at start is like one that goes down later. */
static int redis_store_open(struct store **s_r, struct slice url, const struct settings *set, const struct clock *clk,
			    struct err *e)
{
	struct redis_store *m = mem_alloc(sizeof(*m));
	struct arena *a = arena_new();
	struct store *s = &m->s;

	store_init(s, &store_redis_ops, set, clk);
	m->prefix = mem_slice(settings_str(set, "store.prefix"));
	m->epoch = mem_slice(key_epoch(a, m->prefix));
	arena_free(&a);
	if (redis_pool_new(&m->pool, url, set, scripts, m->epoch, e) < 0) {
		store_close(&s);
		return -1;
	}
	*s_r = s;
	return 0;
}

#define REDIS_OPS(name)                                                                                  \
	{                                                                                                \
		.scheme = name, .open = redis_store_open, .close = redis_store_close, .load = redis_load, \
		.commit = redis_commit, .release = redis_release, .gen = redis_gen,                       \
		.publish = redis_publish, .list = redis_list, .check = redis_check,                       \
	}

const struct store_ops store_redis_ops = REDIS_OPS("redis");
const struct store_ops store_rediss_ops = REDIS_OPS("rediss");
const struct store_ops store_sentinel_ops = REDIS_OPS("redis-sentinel");
