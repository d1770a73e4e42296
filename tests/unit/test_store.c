/* test_store.c - one suite over memory, SQLite and Redis; then what each has of
 * its own: outage, hang, flush, eviction, yesterday's records, steps back in time.
 * Redis is started here on a free port (or ZPUSHD_TEST_REDIS=host:port names one
 * whose database 15 may be used); without /usr/bin/redis-server its cases skip. */
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/settings_table.h"
#include "work/redis.h"
#include "work/store_fail.h"
#include "work/store_mem.h"

/* --- surroundings ------------------------------------------------------------- */

static char dir[64];
static pid_t redis_pid;
static int redis_port;
static char redis_host[64] = "127.0.0.1";

static void clean_up(void)
{
	char cmd[128];

	if (redis_pid > 0) {
		kill(redis_pid, SIGCONT);
		kill(redis_pid, SIGKILL);
		waitpid(redis_pid, NULL, 0);
	}
	if (*dir) {
		snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
		if (system(cmd) != 0)
			fprintf(stderr, "cannot remove %s\n", dir);
	}
}

static const char *private_dir(void)
{
	if (!*dir) {
		snprintf(dir, sizeof(dir), "/tmp/zpushd-store-XXXXXX");
		if (!mkdtemp(dir))
			abort();
		atexit(clean_up);
	}
	return dir;
}

static int dial(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)redis_port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, redis_host, &a.sin_addr);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Sends raw protocol, returns what comes within a moment of silence. */
static struct slice raw(const void *p, size_t n)
{
	int fd = dial();
	char *buf = arena_alloc(test_arena(), 65536);
	size_t at = 0;
	struct pollfd pf = { .fd = fd, .events = POLLIN };
	ssize_t got;

	CHECK(fd >= 0);
	CHECK(write(fd, "SELECT 15\r\n", 11) == 11 && write(fd, p, n) == (ssize_t)n);
	while (at < 65536 && poll(&pf, 1, at < 6 ? 2000 : 50) > 0 && (got = read(fd, buf + at, 65536 - at)) > 0)
		at += (size_t)got;
	close(fd);
	return at >= 5 ? slice(buf + 5, at - 5) : S_NONE; /* behind +OK of SELECT */
}

static struct slice ask(const char *line)
{
	struct slice text = arena_printf(test_arena(), "%s\r\n", line);

	return raw(text.ptr, text.len);
}

static int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, n) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		abort();
	close(fd);
	return ntohs(a.sin_port);
}

static void launch_redis(void)
{
	char port[16];
	const char *where = private_dir();

	snprintf(port, sizeof(port), "%d", redis_port);
	redis_pid = fork();
	if (redis_pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		execl("/usr/bin/redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", where,
		      "--appendonly", "yes", "--appendfsync", "no", "--save", "", "--loglevel", "warning", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 400; i++) {
		int fd = dial();

		if (fd >= 0) {
			close(fd);
			if (slice_starts(ask("PING"), S("+PONG")))
				return;
		}
		usleep(10000);
	}
	test_fail(__FILE__, __LINE__, "redis-server does not start");
}

static void kill_redis(void)
{
	kill(redis_pid, SIGKILL);
	waitpid(redis_pid, NULL, 0);
	redis_pid = 0;
}

static void need_redis(void)
{
	const char *given = getenv("ZPUSHD_TEST_REDIS");

	if (redis_port)
		return;
	if (given) {
		CHECK(sscanf(given, "%63[^:]:%d", redis_host, &redis_port) == 2);
		return;
	}
	if (access("/usr/bin/redis-server", X_OK) < 0)
		test_skip("no redis-server");
	redis_port = free_port();
	launch_redis();
}

static void need_own_redis(void)
{
	need_redis();
	if (redis_pid <= 0)
		test_skip("needs a redis-server of its own");
}

/* A clock that tests move. */
struct fake {
	_Atomic int64_t now;
};
static int64_t fake_now(void *self)
{
	return atomic_load(&((struct fake *)self)->now);
}
static struct fake fake_time = { 1000000 };
static const struct clock fake_clock = { fake_now, fake_now, &fake_time };

/* --- opening ------------------------------------------------------------------ */

enum driver { MEM, SQLITE, REDIS, DRIVERS };

static struct settings *settings_for(enum driver d, const char *extra_key, const char *extra)
{
	struct settings *s = settings_new();
	static int n;
	char url[128];
	struct err e;

	if (d == MEM)
		snprintf(url, sizeof(url), "memory:");
	else if (d == SQLITE)
		snprintf(url, sizeof(url), "embedded:t%d.sqlite", n++);
	else
		snprintf(url, sizeof(url), "redis://%s:%d/15", redis_host, redis_port);
	CHECK_INT(settings_set(s, S("store.url"), slice_str(url), "test", &e), 0);
	CHECK_INT(settings_set(s, S("server.data_dir"), slice_str(private_dir()), "test", &e), 0);
	CHECK_INT(settings_set(s, S("limits.store_deadline"), S("2s"), "test", &e), 0);
	if (extra_key)
		CHECK_INT(settings_set(s, slice_str(extra_key), slice_str(extra), "test", &e), 0);
	return s;
}

static struct store *open_with(struct settings **s, const struct clock *clk)
{
	struct store *st;
	struct err e;

	if (store_open(&st, *s, clk, &e) < 0)
		test_fail(__FILE__, __LINE__, "open: %s", e.text);
	settings_unref(s);
	return st;
}

static struct store *open_store(enum driver d)
{
	struct settings *s;

	if (d == REDIS) {
		need_redis();
		ask("FLUSHDB");
	}
	s = settings_for(d, NULL, NULL);
	return open_with(&s, &clock_system);
}

/* Runs a case over the three; a missing Redis skips at the end. */
static void over_all(void (*fn)(struct store *s, enum driver d))
{
	for (int d = 0; d < DRIVERS; d++) {
		struct store *s = open_store((enum driver)d);

		fn(s, (enum driver)d);
		store_close(&s);
	}
}

#define SUITE(id)                                                \
	static void suite_##id(struct store *s, enum driver d);  \
	CASE(id)                                                 \
	{                                                        \
		over_all(suite_##id);                            \
	}                                                        \
	static void suite_##id(struct store *s, enum driver d)

/* --- shorthands --------------------------------------------------------------- */

static const struct slice jane = { "jane@example.org", 16 };

static int put(struct store *s, const char *key, const char *value, enum store_op op, uint64_t expect, uint64_t *rev_r,
	       struct err *e)
{
	struct store_put p = { .key = slice_str(key), .value = slice_str(value), .op = op, .expect = expect, .ttl_ms = -1 };
	int rc = store_commit(s, jane, &p, 1, NULL, 0, e);

	if (rev_r)
		*rev_r = p.rev;
	return rc;
}

static void must(int rc, const struct err *e, int line)
{
	if (rc < 0)
		test_fail(__FILE__, line, "%s: %s", err_name(e->code), e->text);
}
#define MUST(call) must((call), &e, __LINE__)

static struct store_get got(struct store *s, const char *key)
{
	struct store_get g = { .key = slice_str(key) };
	struct err e;

	MUST(store_load(s, jane, &g, 1, NULL, NULL, test_arena(), &e));
	return g;
}

/* --- the suite ---------------------------------------------------------------- */

SUITE(store_put_load_delete)
{
	struct err e;
	uint64_t r1, r2, r3;
	struct store_get g = got(s, "dev:A");

	CHECK(g.rev == 0 && g.value.len == 0 && g.base_len == 0);
	MUST(put(s, "dev:A", "1one", STORE_PUT, 0, &r1, &e));
	g = got(s, "dev:A");
	CHECK_STR(g.value, "1one");
	CHECK(g.rev == r1 && g.base_len == 4 && r1 != 0);
	CHECK_INT(put(s, "dev:A", "1two", STORE_PUT, 0, NULL, &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	CHECK(strstr(e.text, "dev:A"));
	MUST(put(s, "dev:A", "1two", STORE_PUT, r1, &r2, &e));
	CHECK(r2 != r1);
	CHECK_INT(put(s, "dev:A", "1x", STORE_DELETE, r1, NULL, &e), -1);
	MUST(put(s, "dev:A", "1three", STORE_PUT, STORE_ANY, &r2, &e));
	MUST(put(s, "dev:A", "", STORE_DELETE, r2, &r3, &e));
	CHECK_INT(r3, 0);
	CHECK_INT(got(s, "dev:A").rev, 0);
	MUST(put(s, "dev:A", "", STORE_DELETE, 0, NULL, &e));
	MUST(put(s, "dev:A", "1new", STORE_PUT, 0, &r3, &e));
	CHECK(r3 != r1 && r3 != r2); /* never used twice */
}

SUITE(store_any_bytes)
{
	struct err e;
	size_t n = 300000;
	char *big = arena_alloc(test_arena(), n);
	struct slice user = S("a}b{c%\0 \xc3\xa9'\"*");
	struct store_put p[2] = { { .key = slice("dev:a\0b", 7), .ttl_ms = -1 }, { .key = S("col:x y:*"), .ttl_ms = 0 } };
	struct store_get g[2] = { { .key = p[0].key }, { .key = p[1].key } };

	for (size_t i = 0; i < n; i++)
		big[i] = (char)(i * 7 % 256);
	p[0].value = slice(big, n);
	p[1].value = S("\0");
	MUST(store_commit(s, user, p, 2, NULL, STORE_DURABLE, &e));
	MUST(store_load(s, user, g, 2, NULL, NULL, test_arena(), &e));
	CHECK(slice_eq(g[0].value, p[0].value));
	CHECK(slice_eq(g[1].value, p[1].value));
	MUST(store_load(s, jane, g, 2, NULL, NULL, test_arena(), &e));
	CHECK(g[0].rev == 0 && g[1].rev == 0);
}

SUITE(store_empty_values_are_there)
{
	struct err e;
	uint64_t rev;

	MUST(put(s, "dev:E", "", STORE_PUT, 0, &rev, &e));
	CHECK(got(s, "dev:E").rev == rev && rev != 0);
}

SUITE(store_appends_are_joined)
{
	struct err e;
	uint64_t rev;
	struct store_get g;

	MUST(put(s, "col:A:f", "base", STORE_APPEND, 0, &rev, &e)); /* absent: as PUT */
	MUST(put(s, "col:A:f", "+1", STORE_APPEND, rev, &rev, &e));
	MUST(put(s, "col:A:f", "+22", STORE_APPEND, rev, &rev, &e));
	CHECK_INT(put(s, "col:A:f", "+3", STORE_APPEND, rev + 1, NULL, &e), -1);
	g = got(s, "col:A:f");
	CHECK_STR(g.value, "base+1+22");
	CHECK_INT(g.base_len, 4);
	CHECK(g.rev == rev);
	MUST(put(s, "col:A:f", "rebased", STORE_PUT, rev, &rev, &e));
	g = got(s, "col:A:f");
	CHECK_STR(g.value, "rebased");
	CHECK_INT(g.base_len, 7);
}

SUITE(store_commit_is_all_or_nothing)
{
	struct err e;
	struct store_put p[3] = {
		{ .key = S("dev:1"), .value = S("a"), .ttl_ms = -1 },
		{ .key = S("dev:2"), .value = S("b"), .expect = 7, .ttl_ms = -1 },
		{ .key = S("dev:3"), .value = S("c"), .ttl_ms = -1 },
	};

	CHECK_INT(store_commit(s, jane, p, 3, NULL, 0, &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	CHECK(strstr(e.text, "dev:2"));
	CHECK(got(s, "dev:1").rev == 0 && got(s, "dev:3").rev == 0);
	p[1].expect = 0;
	MUST(store_commit(s, jane, p, 3, NULL, 0, &e));
	CHECK_STR(got(s, "dev:3").value, "c");
}

SUITE(store_refuses_a_record_too_large)
{
	struct err e;
	struct store_put p = { .key = S("dev:1"), .value = { NULL, 0 }, .ttl_ms = -1 };
	size_t n = (size_t)s->record_max_bytes + 1;
	char *big = calloc(1, n);

	p.value = slice(big, n);
	CHECK_INT(store_commit(s, jane, &p, 1, NULL, 0, &e), -1);
	free(big);
	CHECK_INT(e.code, ERR_LIMIT);
	CHECK_INT(got(s, "dev:1").rev, 0);
}

static struct store_claim claim_of(const char *owner, int64_t ttl_ms, int64_t wait_ms)
{
	return (struct store_claim){ .key = S("claim:A"), .owner = slice_str(owner), .ttl_ms = ttl_ms, .wait_ms = wait_ms };
}

SUITE(store_claims_exclude_and_expire)
{
	struct err e;
	struct store_get g = { .key = S("dev:A") };
	struct store_claim one = claim_of("one", 60000, 0), two = claim_of("two", 100, 30), three = claim_of("three", 60000, 3000);
	struct store_put p = { .key = S("dev:A"), .value = S("v"), .ttl_ms = -1 };
	int64_t t0;

	MUST(store_load(s, jane, &g, 1, &one, NULL, test_arena(), &e));
	MUST(store_load(s, jane, &g, 1, &one, NULL, test_arena(), &e)); /* its own again */
	CHECK_INT(store_load(s, jane, &g, 1, &two, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	MUST(store_load(s, jane, &g, 1, NULL, NULL, test_arena(), &e)); /* a reader never queues */
	MUST(store_commit(s, jane, &p, 1, &one, 0, &e));                /* releases */
	MUST(store_load(s, jane, &g, 1, &two, NULL, test_arena(), &e));
	CHECK_STR(g.value, "v");
	MUST(store_release(s, jane, &one, &e)); /* not the holder: no effect */
	t0 = clock_now(&clock_system);
	MUST(store_load(s, jane, &g, 1, &three, NULL, test_arena(), &e)); /* two's time ends */
	CHECK(clock_now(&clock_system) - t0 >= 50);
	MUST(store_release(s, jane, &three, &e));
	MUST(store_load(s, jane, &g, 1, &one, NULL, test_arena(), &e));
	MUST(store_release(s, jane, &one, &e));
}

/* A commit that lost keeps the claim: the command looks again and still holds it. */
SUITE(store_lost_commit_keeps_the_claim)
{
	struct err e;
	struct store_get g = { .key = S("dev:A") };
	struct store_claim one = claim_of("one", 60000, 0), two = claim_of("two", 60000, 0);
	struct store_put p = { .key = S("dev:A"), .value = S("v"), .expect = 99, .ttl_ms = -1 };

	MUST(store_load(s, jane, &g, 1, &one, NULL, test_arena(), &e));
	CHECK_INT(store_commit(s, jane, &p, 1, &one, 0, &e), -1);
	CHECK_INT(store_load(s, jane, &g, 1, &two, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	MUST(store_release(s, jane, &one, &e));
}

SUITE(store_records_expire)
{
	struct err e;
	struct store_put p = { .key = S("sent:A:1"), .value = S("v"), .ttl_ms = 60 };
	int i;

	MUST(store_commit(s, jane, &p, 1, NULL, 0, &e));
	CHECK(got(s, "sent:A:1").rev != 0);
	for (i = 0; i < 300 && got(s, "sent:A:1").rev; i++)
		usleep(10000);
	CHECK(i < 300);
	MUST(store_commit(s, jane, &p, 1, NULL, 0, &e)); /* absent again */
	p.op = STORE_APPEND;
	p.expect = STORE_ANY;
	p.ttl_ms = -1;
	MUST(store_commit(s, jane, &p, 1, NULL, 0, &e));
	usleep(120000);
	CHECK_STR(got(s, "sent:A:1").value, "vv"); /* lives on */
}

SUITE(store_counts_changes)
{
	struct err e;
	uint64_t a, b, c, other0, other;

	MUST(store_gen(s, jane, &a, &e));
	CHECK_INT(STORE_GEN_COUNTER(a), 0);
	MUST(store_gen(s, S("joe"), &other0, &e));
	MUST(store_publish(s, jane, S("{}"), true, &e));
	MUST(store_gen(s, jane, &b, &e));
	CHECK(a != b);
	CHECK_INT(STORE_GEN_COUNTER(b), 1);
	MUST(store_publish(s, jane, S("{\"auth\":\"changed\"}"), false, &e));
	MUST(store_load(s, jane, NULL, 0, NULL, &c, test_arena(), &e));
	CHECK(b == c);
	MUST(store_gen(s, S("joe"), &other, &e));
	CHECK(other == other0);
}

struct seen {
	char text[400];
	int n, stop_at;
	struct store *s;
};

static int on_key(void *arg, struct slice user, struct slice key)
{
	struct seen *l = arg;
	size_t at = strlen(l->text);
	uint64_t gen;

	snprintf(l->text + at, sizeof(l->text) - at, "%.*s/%.*s ", SARG(user), SARG(key));
	store_gen(l->s, user, &gen, NULL); /* may use the store */
	return ++l->n == l->stop_at ? -1 : 0;
}

SUITE(store_lists)
{
	struct err e = { .code = ERR_NONE };
	struct seen all = { .s = s }, mine = { .s = s }, none = { .s = s }, first = { .s = s, .stop_at = 1 };
	struct store_put p = { .key = S("dev:Z"), .value = S("v"), .ttl_ms = -1 };

	MUST(put(s, "dev:A", "1", STORE_PUT, 0, NULL, &e));
	MUST(put(s, "dev:B", "1", STORE_PUT, 0, NULL, &e));
	MUST(put(s, "dev:C", "1", STORE_PUT, 0, NULL, &e));
	MUST(put(s, "dev:C", "", STORE_DELETE, STORE_ANY, NULL, &e));
	MUST(put(s, "col:A:1", "1", STORE_PUT, 0, NULL, &e));
	MUST(store_commit(s, S("joe"), &p, 1, NULL, 0, &e));
	MUST(store_list(s, jane, S("dev:"), on_key, &mine, &e));
	CHECK_INT(mine.n, 2);
	CHECK(strstr(mine.text, "jane@example.org/dev:A ") && strstr(mine.text, "jane@example.org/dev:B "));
	MUST(store_list(s, S_NONE, S("dev:"), on_key, &all, &e));
	CHECK_INT(all.n, 3);
	CHECK(strstr(all.text, "joe/dev:Z "));
	MUST(store_list(s, S("nobody"), S_NONE, on_key, &none, &e));
	CHECK_INT(none.n, 0);
	CHECK_INT(store_list(s, S_NONE, S_NONE, on_key, &first, &e), -1);
	CHECK_INT(first.n, 1);
}

SUITE(store_list_leaves_expired_ones_out)
{
	struct err e;
	struct seen l = { .s = s };
	struct store_put p = { .key = S("dev:X"), .value = S("v"), .ttl_ms = 20 };

	MUST(store_commit(s, jane, &p, 1, NULL, 0, &e));
	usleep(60000);
	MUST(store_list(s, jane, S("dev:"), on_key, &l, &e));
	CHECK_INT(l.n, 0);
}

SUITE(store_checks)
{
	struct err e;
	struct slice w;

	MUST(store_check(s, test_arena(), &w, &e));
	if (d != MEM)
		CHECK_STR(w, "");
}

/* --- threads ------------------------------------------------------------------ */

enum { THREADS = 8, ROUNDS = 40 };

struct racer {
	struct store *s;
	int id;
	_Atomic int *holders;
	_Atomic int faults;
	bool use_claim;
};

static int bump(struct racer *r, struct arena *a, const struct store_claim *claim, struct err *e)
{
	struct store_get g = { .key = S("dev:N") };
	struct store_put p = { .key = S("dev:N"), .ttl_ms = -1 };
	uint64_t n = 0;

	if (store_load(r->s, jane, &g, 1, claim, NULL, a, e) < 0)
		return -1;
	if (claim && atomic_fetch_add(r->holders, 1) != 0)
		atomic_fetch_add(&r->faults, 1);
	slice_u64(g.value, &n);
	p.value = arena_printf(a, "%llu", (unsigned long long)n + 1);
	p.expect = g.rev;
	if (claim)
		atomic_fetch_sub(r->holders, 1);
	return store_commit(r->s, jane, &p, 1, claim, 0, e);
}

static void *race(void *arg)
{
	struct racer *r = arg;
	struct err e;

	for (int done = 0; done < ROUNDS;) {
		struct arena *a = arena_new();
		struct slice owner = arena_printf(a, "%d-%d", r->id, done);
		struct store_claim c = { .key = S("claim:N"), .owner = owner, .ttl_ms = 20000, .wait_ms = 20000 };

		if (bump(r, a, r->use_claim ? &c : NULL, &e) == 0)
			done++;
		else if (e.code != ERR_STORE_RACE || r->use_claim)
			done = ROUNDS + (fprintf(stderr, "    %s\n", e.text), atomic_fetch_add(&r->faults, 1), 0);
		arena_free(&a);
	}
	return NULL;
}

static void race_all(struct store *s, bool use_claim)
{
	pthread_t t[THREADS];
	struct racer r[THREADS];
	_Atomic int holders = 0;
	struct err e;
	char want[16];

	MUST(put(s, "dev:N", "0", STORE_PUT, STORE_ANY, NULL, &e));
	for (int i = 0; i < THREADS; i++) {
		r[i] = (struct racer){ .s = s, .id = i, .holders = &holders, .use_claim = use_claim };
		pthread_create(&t[i], NULL, race, &r[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		CHECK_INT(r[i].faults, 0);
	}
	snprintf(want, sizeof(want), "%d", THREADS * ROUNDS);
	CHECK_STR(got(s, "dev:N").value, want);
}

SUITE(store_threads_lose_no_write)
{
	race_all(s, false);
}

SUITE(store_threads_take_turns_by_claim)
{
	race_all(s, true);
}

/* --- memory and SQLite -------------------------------------------------------- */

static void moves_with_the_clock(enum driver d)
{
	struct settings *set = settings_for(d, "devices.forget", "1h");
	struct store *s = open_with(&set, &fake_clock);
	struct store_put p = { .key = S("dev:A"), .value = S("v") };
	struct err e;

	MUST(store_commit(s, jane, &p, 1, NULL, 0, &e));
	for (int i = 0; i < 5; i++) {
		fake_time.now += 50 * 60000; /* seen again and again: it stays */
		CHECK(got(s, "dev:A").rev != 0);
	}
	fake_time.now += 61 * 60000;
	CHECK_INT(got(s, "dev:A").rev, 0);
	store_close(&s);
}

CASE(store_forgets_what_was_not_seen)
{
	moves_with_the_clock(MEM);
	moves_with_the_clock(SQLITE);
}

CASE(store_claim_does_not_wait_on_a_clock_nobody_moves)
{
	struct settings *set = settings_for(MEM, NULL, NULL);
	struct store *s = open_with(&set, &fake_clock);
	struct store_claim one = claim_of("one", 1000, 0), two = claim_of("two", 1000, 60000);
	struct err e;

	MUST(store_load(s, jane, NULL, 0, &one, NULL, test_arena(), &e));
	CHECK_INT(store_load(s, jane, NULL, 0, &two, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	fake_time.now += 1000;
	MUST(store_load(s, jane, NULL, 0, &two, NULL, test_arena(), &e));
	store_mem_crash(s); /* its holder died */
	MUST(store_load(s, jane, NULL, 0, &one, NULL, test_arena(), &e));
	store_close(&s);
}

CASE(store_mem_steps_back_in_time)
{
	struct settings *set = settings_for(MEM, NULL, NULL);
	struct store *s = open_with(&set, &clock_system);
	struct store_image *img;
	uint64_t r1, r2, r3, g1, g2;
	struct err e;

	MUST(put(s, "dev:A", "1", STORE_PUT, 0, &r1, &e));
	MUST(store_publish(s, jane, S("{}"), true, &e));
	MUST(store_gen(s, jane, &g1, &e));
	img = store_mem_snapshot(s);
	MUST(put(s, "dev:A", "2", STORE_PUT, r1, &r2, &e));
	CHECK_INT(store_mem_bytes(s), 1);
	store_mem_restore(s, img);
	store_mem_restore(s, img);
	store_image_free(&img);
	CHECK_STR(got(s, "dev:A").value, "1");
	MUST(store_gen(s, jane, &g2, &e));
	CHECK(g1 != g2 && STORE_GEN_COUNTER(g1) == STORE_GEN_COUNTER(g2));
	CHECK_INT(put(s, "dev:A", "3", STORE_PUT, r2, NULL, &e), -1);
	MUST(put(s, "dev:A", "3", STORE_PUT, r1, &r3, &e));
	CHECK(r3 != r2);
	store_mem_evict(s, jane, S("dev:A"));
	CHECK_INT(got(s, "dev:A").rev, 0);
	store_mem_flush(s);
	MUST(store_gen(s, jane, &g1, &e));
	CHECK_INT(STORE_GEN_COUNTER(g1), 0);
	store_close(&s);
}

static void on_publish(void *arg, struct slice user, struct slice json)
{
	struct seen *l = arg;

	snprintf(l->text, sizeof(l->text), "%.*s %.*s", SARG(user), SARG(json));
	l->n++;
}

CASE(store_publishes_inside_the_process)
{
	for (int d = MEM; d <= SQLITE; d++) {
		struct store *s = open_store((enum driver)d);
		struct seen l = { .n = 0 };
		struct err e;

		store_on_publish(s, on_publish, &l);
		MUST(store_publish(s, jane, S("{\"folder\":\"INBOX\"}"), true, &e));
		CHECK_STR(slice_str(l.text), "jane@example.org {\"folder\":\"INBOX\"}");
		store_close(&s);
	}
}

static struct settings *settings_of_file(const char *file)
{
	struct settings *set = settings_for(SQLITE, NULL, NULL);
	struct err e;
	char url[64];

	snprintf(url, sizeof(url), "embedded:%s", file);
	CHECK_INT(settings_set(set, S("store.url"), slice_str(url), "test", &e), 0);
	return set;
}

CASE(store_sqlite_survives_a_restart_and_a_reader_beside)
{
	struct settings *set = settings_of_file("again.sqlite"), *set2 = settings_of_file("again.sqlite"),
			*set3 = settings_of_file("again.sqlite");
	struct store *s = open_with(&set, &clock_system), *beside = open_with(&set2, &clock_system);
	uint64_t r1, g1, g2;
	struct err e;

	MUST(put(s, "dev:A", "1", STORE_PUT, 0, &r1, &e));
	MUST(store_publish(s, jane, S("{}"), true, &e));
	MUST(store_gen(s, jane, &g1, &e));
	CHECK_STR(got(beside, "dev:A").value, "1");
	MUST(put(beside, "dev:A", "2", STORE_PUT, r1, NULL, &e));
	CHECK_INT(put(s, "dev:A", "3", STORE_PUT, r1, NULL, &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	store_close(&s);
	store_close(&beside);
	s = open_with(&set3, &clock_system);
	CHECK_STR(got(s, "dev:A").value, "2");
	MUST(store_gen(s, jane, &g2, &e));
	CHECK(g1 != g2); /* the file may be a restored one */
	CHECK_INT(STORE_GEN_COUNTER(g2), 1);
	store_close(&s);
}

CASE(store_sqlite_refuses_a_newer_schema)
{
	struct settings *set = settings_of_file("newer.sqlite");
	struct store *s;
	struct err e;
	char path[200];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/newer.sqlite", private_dir());
	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	CHECK_INT(store_open(&s, set, &clock_system, &e), -1);
	CHECK_INT(e.code, ERR_STORE_FORMAT);
	settings_unref(&set);
}

/* What both golden files hold. */
static void reads_yesterday(struct store *s)
{
	struct err e;
	struct seen l = { .s = s };
	struct store_get g = got(s, "dev:ABC");
	uint64_t gen;

	CHECK_STR(g.value, "\x01" "device");
	CHECK_INT(g.rev, 1700000000000000);
	g = got(s, "col:ABC:f1");
	CHECK_STR(g.value, "\x01" "base+1+2");
	CHECK_INT(g.base_len, 5);
	CHECK_INT(g.rev, 1700000000000007);
	MUST(store_gen(s, jane, &gen, &e));
	CHECK_INT(STORE_GEN_COUNTER(gen), 42);
	MUST(store_list(s, jane, S_NONE, on_key, &l, &e));
	CHECK_INT(l.n, 2);
	MUST(put(s, "col:ABC:f1", "+3", STORE_APPEND, g.rev, NULL, &e));
	CHECK_STR(got(s, "col:ABC:f1").value, "\x01" "base+1+2+3");
}

CASE(store_sqlite_reads_version_1)
{
	struct settings *set = settings_of_file("v1.sqlite");
	struct slice text = test_file("tests/unit/data/store_v1.sql");
	struct store *s;
	char path[200], *error = NULL;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/v1.sqlite", private_dir());
	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, arena_str(test_arena(), text), NULL, NULL, &error);
	if (error)
		test_fail(__FILE__, __LINE__, "%s", error);
	sqlite3_close(db);
	s = open_with(&set, &clock_system);
	reads_yesterday(s);
	store_close(&s);
}

/* --- Redis -------------------------------------------------------------------- */

CASE(store_redis_reads_version_1)
{
	struct store *s = open_store(REDIS);
	struct slice text = test_file("tests/unit/data/store_v1.redis");

	raw(text.ptr, text.len);
	reads_yesterday(s);
	store_close(&s);
}

CASE(store_redis_writes_the_public_format)
{
	struct store *s = open_store(REDIS);
	struct err e;
	uint64_t rev;
	struct slice v;

	MUST(put(s, "dev:A", "base", STORE_PUT, 0, NULL, &e));
	MUST(put(s, "dev:A", "+d", STORE_APPEND, STORE_ANY, &rev, &e));
	v = ask("GET zpush:rec:{jane@example.org}:dev:A");
	CHECK_SLICE(v, arena_printf(test_arena(), "$32\r\n1-%016llx00000004base+d\r\n", (unsigned long long)rev));
	CHECK_STR(ask("PTTL zpush:rec:{jane@example.org}:dev:A"), ":-1\r\n");
	CHECK_STR(ask("SMEMBERS zpush:idx:{jane@example.org}"), "*1\r\n$5\r\ndev:A\r\n");
	CHECK_STR(ask("SET zpush:rec:{jane@example.org}:dev:A 2future"), "+OK\r\n");
	CHECK_INT(put(s, "dev:A", "x", STORE_PUT, STORE_ANY, NULL, &e), -1);
	CHECK_INT(e.code, ERR_STORE_FORMAT);
	CHECK_INT(store_load(s, jane, &(struct store_get){ .key = S("dev:A") }, 1, NULL, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_STORE_FORMAT);
	store_close(&s);
}

static long long pttl(const char *key)
{
	struct slice r = ask(key);
	int64_t v = -9;

	slice_i64(slice_trim(slice_from(r, 1)), &v);
	return v;
}

CASE(store_redis_slides_what_is_loaded)
{
	struct store *s = open_store(REDIS);
	struct store_put p[2] = { { .key = S("dev:A"), .value = S("v") }, { .key = S("sent:A:1"), .value = S("v"), .ttl_ms = 50000 } };
	struct err e;

	MUST(store_commit(s, jane, p, 2, NULL, 0, &e));
	CHECK(pttl("PTTL zpush:rec:{jane@example.org}:dev:A") > s->forget_ms - 60000);
	ask("PEXPIRE zpush:rec:{jane@example.org}:dev:A 100000");
	got(s, "dev:A");
	got(s, "sent:A:1");
	CHECK(pttl("PTTL zpush:rec:{jane@example.org}:dev:A") > s->forget_ms - 60000);
	CHECK(pttl("PTTL zpush:rec:{jane@example.org}:sent:A:1") <= 50000);
	store_close(&s);
}

CASE(store_redis_subscriber_sees_what_is_published)
{
	struct store *s = open_store(REDIS);
	struct err e;
	char buf[512] = "";
	struct pollfd pf = { .fd = dial(), .events = POLLIN };
	size_t at = 0;
	ssize_t n;

	CHECK(write(pf.fd, "PSUBSCRIBE zpush:push:{*}\r\n", 27) == 27);
	CHECK(poll(&pf, 1, 2000) == 1);
	n = read(pf.fd, buf, sizeof(buf));
	CHECK(n > 0);
	MUST(store_publish(s, jane, S("{\"folder\":\"INBOX\"}"), true, &e));
	while (at < sizeof(buf) - 1 && poll(&pf, 1, at ? 100 : 2000) > 0 && (n = read(pf.fd, buf + at, sizeof(buf) - 1 - at)) > 0)
		at += (size_t)n;
	buf[at] = 0;
	close(pf.fd);
	CHECK(strstr(buf, "zpush:push:{jane@example.org}") && strstr(buf, "{\"folder\":\"INBOX\"}"));
	CHECK_STR(ask("GET zpush:gen:{jane@example.org}"), "$1\r\n1\r\n");
	store_close(&s);
}

CASE(store_redis_epoch_changes_by_flush_and_restart)
{
	struct store *s;
	struct err e;
	uint64_t g1, g2, g3;

	need_own_redis();
	s = open_store(REDIS);
	MUST(store_publish(s, jane, S("{}"), true, &e));
	MUST(store_gen(s, jane, &g1, &e));
	MUST(store_gen(s, jane, &g2, &e));
	CHECK(g1 == g2);
	ask("FLUSHDB");
	MUST(store_publish(s, jane, S("{}"), true, &e)); /* the counter comes out the same */
	MUST(store_gen(s, jane, &g2, &e));
	CHECK(g1 != g2 && STORE_GEN_COUNTER(g2) == 1);
	kill_redis();
	launch_redis();
	MUST(store_gen(s, jane, &g3, &e));
	CHECK(g3 != g2);
	store_close(&s);
}

CASE(store_redis_evicted_records_are_absent_and_lose)
{
	struct store *s = open_store(REDIS);
	struct err e;
	uint64_t rev;
	struct seen l = { .s = s };

	MUST(put(s, "dev:A", "v", STORE_PUT, 0, &rev, &e));
	ask("DEL zpush:rec:{jane@example.org}:dev:A");
	CHECK_INT(got(s, "dev:A").rev, 0);
	CHECK_INT(put(s, "dev:A", "+", STORE_APPEND, rev, NULL, &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	MUST(store_list(s, jane, S("dev:"), on_key, &l, &e));
	CHECK_INT(l.n, 0);
	store_close(&s);
}

CASE(store_redis_loads_its_scripts_again)
{
	struct store *s = open_store(REDIS);
	struct err e;

	MUST(put(s, "dev:A", "v", STORE_PUT, 0, NULL, &e));
	ask("SCRIPT FLUSH");
	MUST(put(s, "dev:A", "w", STORE_PUT, STORE_ANY, NULL, &e));
	ask("SCRIPT FLUSH");
	CHECK_STR(got(s, "dev:A").value, "w");
	store_close(&s);
}

CASE(store_redis_outage_and_return)
{
	struct settings *set;
	struct store *s;
	struct err e;
	int64_t t0;

	need_own_redis();
	ask("FLUSHDB");
	set = settings_for(REDIS, "limits.store_breaker_pause", "200ms");
	s = open_with(&set, &clock_system);
	MUST(put(s, "dev:A", "v", STORE_PUT, 0, NULL, &e));
	kill_redis();
	for (int i = 0; i < 6; i++) {
		CHECK_INT(put(s, "dev:A", "w", STORE_PUT, STORE_ANY, NULL, &e), -1);
		CHECK(e.code == ERR_REFUSED || e.code == ERR_STORE || e.code == ERR_TIMEOUT);
	}
	t0 = clock_now(&clock_system);
	CHECK_INT(put(s, "dev:A", "w", STORE_PUT, STORE_ANY, NULL, &e), -1);
	CHECK(strstr(e.text, "left alone"));
	CHECK(clock_now(&clock_system) - t0 < 100);
	launch_redis();
	usleep(250000);
	MUST(put(s, "dev:A", "x", STORE_PUT, STORE_ANY, NULL, &e));
	CHECK_STR(got(s, "dev:A").value, "x");
	/* Restarted while nobody asked: idle connections died unseen. */
	kill_redis();
	launch_redis();
	CHECK_STR(got(s, "dev:A").value, "x");
	store_close(&s);
}

CASE(store_redis_hangs)
{
	struct settings *set;
	struct store *s;
	struct err e;
	int64_t t0;

	need_own_redis();
	ask("FLUSHDB");
	set = settings_for(REDIS, "limits.store_deadline", "300ms");
	s = open_with(&set, &clock_system);
	MUST(put(s, "dev:A", "v", STORE_PUT, 0, NULL, &e));
	kill(redis_pid, SIGSTOP);
	t0 = clock_now(&clock_system);
	CHECK_INT(store_load(s, jane, &(struct store_get){ .key = S("dev:A") }, 1, NULL, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_TIMEOUT);
	CHECK(clock_now(&clock_system) - t0 < 1500);
	kill(redis_pid, SIGCONT);
	for (int i = 0; i < 100 && put(s, "dev:B", "w", STORE_PUT, STORE_ANY, NULL, &e) < 0; i++)
		usleep(20000);
	CHECK_STR(got(s, "dev:B").value, "w");
	CHECK_STR(got(s, "dev:A").value, "v");
	store_close(&s);
}

CASE(store_redis_more_threads_than_connections)
{
	struct settings *set;
	struct store *s;

	need_redis();
	ask("FLUSHDB");
	set = settings_for(REDIS, "limits.store_connections", "2");
	s = open_with(&set, &clock_system);
	race_all(s, false);
	store_close(&s);
}

CASE(store_redis_warns_of_eviction_and_no_persistence)
{
	struct store *s;
	struct err e;
	struct slice w;

	need_own_redis();
	s = open_store(REDIS);
	ask("CONFIG SET maxmemory-policy allkeys-lru");
	ask("CONFIG SET appendonly no");
	MUST(store_check(s, test_arena(), &w, &e));
	CHECK(memmem(w.ptr, w.len, "allkeys-lru", 11) && memmem(w.ptr, w.len, "keeps nothing", 13));
	ask("CONFIG SET maxmemory-policy noeviction");
	ask("CONFIG SET appendonly yes");
	store_close(&s);
}

CASE(store_redis_logs_in)
{
	struct settings *set;
	struct store *s;
	struct err e;
	char url[128];

	need_own_redis();
	ask("ACL SETUSER app on >p@ss:w ~* &* +@all");
	set = settings_for(REDIS, NULL, NULL);
	snprintf(url, sizeof(url), "redis://app:p%%40ss%%3Aw@127.0.0.1:%d/15", redis_port);
	MUST(settings_set(set, S("store.url"), slice_str(url), "test", &e));
	s = open_with(&set, &clock_system);
	MUST(put(s, "dev:A", "v", STORE_PUT, STORE_ANY, NULL, &e));
	store_close(&s);
	set = settings_for(REDIS, NULL, NULL);
	snprintf(url, sizeof(url), "redis://app:wrong@127.0.0.1:%d/15", redis_port);
	MUST(settings_set(set, S("store.url"), slice_str(url), "test", &e));
	s = open_with(&set, &clock_system);
	CHECK_INT(put(s, "dev:A", "v", STORE_PUT, STORE_ANY, NULL, &e), -1);
	CHECK_INT(e.code, ERR_STORE);
	CHECK(strstr(e.text, "WRONGPASS") && !strstr(e.text, "wrong@"));
	store_close(&s);
}

CASE(redis_urls)
{
	struct redis_url u;
	struct err e;

	CHECK_INT(redis_url_parse(&u, S("redis://h"), &e), 0);
	CHECK_STR(slice_str(u.address), "h:6379");
	CHECK(u.db == 0 && !u.tls && !u.user && !u.password);
	redis_url_free(&u);
	CHECK_INT(redis_url_parse(&u, S("rediss://:s%2F3c@[::1]:7000/4"), &e), 0);
	CHECK_STR(slice_str(u.address), "[::1]:7000");
	CHECK_STR(slice_str(u.host), "::1");
	CHECK_STR(slice_str(u.password), "s/3c");
	CHECK(u.db == 4 && u.tls && !u.user);
	redis_url_free(&u);
	CHECK_INT(redis_url_parse(&u, S("redis://h:99999/0"), &e), -1);
	CHECK_INT(redis_url_parse(&u, S("redis://h/x"), &e), -1);
	CHECK_INT(redis_url_parse(&u, S("redis://"), &e), -1);
	CHECK_INT(redis_url_parse(&u, S("redis://[::1"), &e), -1);
}

/* --- faults on a script ------------------------------------------------------- */

CASE(store_fail_follows_its_script)
{
	struct settings *set = settings_for(MEM, NULL, NULL);
	struct store *inner = open_with(&set, &clock_system), *s;
	struct store_script *script;
	struct store_claim c = claim_of("one", 1000, 0);
	struct err e;

	MUST(store_script_new(&script, "commit=ok commit=before commit=after commit=race*2 load=stall load=race", &e));
	s = store_fail_new(&inner, store_script_hook, script);
	MUST(put(s, "dev:A", "1", STORE_PUT, STORE_ANY, NULL, &e));
	CHECK_INT(put(s, "dev:A", "2", STORE_PUT, STORE_ANY, NULL, &e), -1);
	CHECK_INT(e.code, ERR_STORE);
	CHECK_STR(got(store_fail_inner(s), "dev:A").value, "1");
	CHECK_INT(put(s, "dev:A", "3", STORE_PUT, STORE_ANY, NULL, &e), -1);
	CHECK_INT(e.code, ERR_TIMEOUT);
	CHECK_STR(got(store_fail_inner(s), "dev:A").value, "3"); /* it happened */
	CHECK_INT(put(s, "dev:A", "4", STORE_PUT, STORE_ANY, NULL, &e), -1);
	CHECK_INT(put(s, "dev:A", "4", STORE_PUT, STORE_ANY, NULL, &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	CHECK_INT(store_load(s, jane, NULL, 0, NULL, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_TIMEOUT);
	CHECK(!store_script_done(script));
	CHECK_INT(store_load(s, jane, NULL, 0, &c, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	CHECK(store_script_done(script));
	MUST(put(s, "dev:A", "5", STORE_PUT, STORE_ANY, NULL, &e));
	store_close(&s);
	store_script_free(&script);
	CHECK_INT(store_script_new(&script, "commit=sideways", &e), -1);
	CHECK_INT(store_script_new(&script, "commit=ok*x", &e), -1);
	CHECK_INT(store_script_new(&script, "commit", &e), -1);
}

CASE(store_gen_mixes_epoch_and_counter)
{
	CHECK(store_gen_mix(S("a"), 1) != store_gen_mix(S("b"), 1));
	CHECK(store_gen_mix(S("a"), 1) != store_gen_mix(S("a"), 2));
	CHECK_INT(STORE_GEN_COUNTER(store_gen_mix(S("a"), 77)), 77);
	CHECK_INT(store_gen_mix(S_NONE, 3), 3);
}
