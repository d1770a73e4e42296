/* store_env.h - what the store tests share: a Redis of their own, opening each
 * driver, shorthands. Included by one test program at a time.
 * Redis is started on a free port (or ZPUSHD_TEST_REDIS=host:port names one whose
 * database 15 may be used); without /usr/bin/redis-server its cases skip. */
#ifndef TESTS_STORE_ENV_H
#define TESTS_STORE_ENV_H

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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/settings_table.h"
#include "work/redis.h"
#include "work/store_fail.h"
#include "work/store_mem.h"

/* Not every program uses every one. */
#define HELPER static __attribute__((unused))

/* --- surroundings ------------------------------------------------------------- */

static char dir[64];
static pid_t redis_pid;
static int redis_port;
static char redis_host[64] = "127.0.0.1";

HELPER void clean_up(void)
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

HELPER const char *private_dir(void)
{
	if (!*dir) {
		snprintf(dir, sizeof(dir), "/tmp/zpushd-store-XXXXXX");
		if (!mkdtemp(dir))
			abort();
		atexit(clean_up);
	}
	return dir;
}

HELPER int dial(void)
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
HELPER struct slice raw(const void *p, size_t n)
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

HELPER struct slice ask(const char *line)
{
	struct slice text = arena_printf(test_arena(), "%s\r\n", line);

	return raw(text.ptr, text.len);
}

HELPER int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, n) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		abort();
	close(fd);
	return ntohs(a.sin_port);
}

HELPER void launch_redis(void)
{
	char port[16];
	const char *where = private_dir();

	snprintf(port, sizeof(port), "%d", redis_port);
	redis_pid = fork();
	if (redis_pid == 0) {
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a case crashes */
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

HELPER void kill_redis(void)
{
	kill(redis_pid, SIGKILL);
	waitpid(redis_pid, NULL, 0);
	redis_pid = 0;
}

HELPER void need_redis(void)
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

HELPER void need_own_redis(void)
{
	need_redis();
	if (redis_pid <= 0)
		test_skip("needs a redis-server of its own");
}

/* A clock that tests move. */
struct fake {
	_Atomic int64_t now;
};
HELPER int64_t fake_now(void *self)
{
	return atomic_load(&((struct fake *)self)->now);
}
static struct fake fake_time = { 1000000 };
static const struct clock fake_clock = { fake_now, fake_now, &fake_time };

/* --- opening ------------------------------------------------------------------ */

enum driver { MEM, SQLITE, REDIS, DRIVERS };

HELPER struct settings *settings_for(enum driver d, const char *extra_key, const char *extra)
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

HELPER struct store *open_with(struct settings **s, const struct clock *clk)
{
	struct store *st;
	struct err e;

	if (store_open(&st, *s, clk, &e) < 0)
		test_fail(__FILE__, __LINE__, "open: %s", e.text);
	settings_unref(s);
	return st;
}

HELPER struct store *open_store(enum driver d)
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
HELPER void over_all(void (*fn)(struct store *s, enum driver d))
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

HELPER int put(struct store *s, const char *key, const char *value, enum store_op op, uint64_t expect, uint64_t *rev_r,
	       struct err *e)
{
	struct store_put p = { .key = slice_str(key), .value = slice_str(value), .op = op, .expect = expect, .ttl_ms = -1 };
	int rc = store_commit(s, jane, &p, 1, NULL, 0, e);

	if (rev_r)
		*rev_r = p.rev;
	return rc;
}

HELPER void must(int rc, const struct err *e, int line)
{
	if (rc < 0)
		test_fail(__FILE__, line, "%s: %s", err_name(e->code), e->text);
}
#define MUST(call) must((call), &e, __LINE__)

HELPER struct store_get got(struct store *s, const char *key)
{
	struct store_get g = { .key = slice_str(key) };
	struct err e;

	MUST(store_load(s, jane, &g, 1, NULL, NULL, test_arena(), &e));
	return g;
}

struct seen {
	char text[400];
	int n, stop_at;
	struct store *s;
};

HELPER int on_key(void *arg, struct slice user, struct slice key)
{
	struct seen *l = arg;
	size_t at = strlen(l->text);
	uint64_t gen;

	snprintf(l->text + at, sizeof(l->text) - at, "%.*s/%.*s ", SARG(user), SARG(key));
	store_gen(l->s, user, &gen, NULL); /* may use the store */
	return ++l->n == l->stop_at ? -1 : 0;
}

HELPER struct store_claim claim_of(const char *owner, int64_t ttl_ms, int64_t wait_ms)
{
	return (struct store_claim){ .key = S("claim:A"), .owner = slice_str(owner), .ttl_ms = ttl_ms, .wait_ms = wait_ms };
}

enum { THREADS = 8, ROUNDS = 40 };

struct racer {
	struct store *s;
	int id;
	_Atomic int *holders;
	_Atomic int faults;
	bool use_claim;
};

HELPER int bump(struct racer *r, struct arena *a, const struct store_claim *claim, struct err *e)
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

HELPER void *race(void *arg)
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

HELPER void race_all(struct store *s, bool use_claim)
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

/* What both golden files hold. */
HELPER void reads_yesterday(struct store *s)
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

#endif
