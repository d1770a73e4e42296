/* test_store_redis.c - what only a Redis can do to us: outage and return, hang, flush,
 * eviction, forgotten scripts, another server; and its public format. */
#include "store_env.h"

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

/* A certificate for localhost, its own authority. False without openssl. */
static bool make_certificate(const char *where)
{
	char cmd[600];

	snprintf(cmd, sizeof(cmd),
		 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
		 "-addext subjectAltName=DNS:localhost -keyout '%s/k.pem' -out '%s/c.pem' >/dev/null 2>&1", where, where);
	return system(cmd) == 0;
}

static pid_t launch_tls(const char *where, int port)
{
	char text[16], cert[100], key[100];
	pid_t pid;

	snprintf(text, sizeof(text), "%d", port);
	snprintf(cert, sizeof(cert), "%s/c.pem", where);
	snprintf(key, sizeof(key), "%s/k.pem", where);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a case crashes */
		dup2(null, 1);
		dup2(null, 2);
		execl("/usr/bin/redis-server", "redis-server", "--port", "0", "--tls-port", text, "--tls-cert-file", cert,
		      "--tls-key-file", key, "--tls-auth-clients", "no", "--bind", "127.0.0.1", "--dir", where, "--save", "",
		      (char *)NULL);
		_exit(127);
	}
	return pid;
}

CASE(store_redis_over_tls)
{
	const char *where = private_dir();
	int port = free_port();
	struct settings *set = settings_for(MEM, "limits.store_breaker", "1000");
	struct store *s, *strict;
	struct err e = { .code = ERR_NONE };
	char url[64], ca[100];
	pid_t pid;
	int rc = -1;

	if (access("/usr/bin/redis-server", X_OK) < 0 || !make_certificate(where)) {
		settings_unref(&set);
		test_skip("no redis-server or openssl");
	}
	pid = launch_tls(where, port);
	snprintf(url, sizeof(url), "rediss://localhost:%d/0", port);
	snprintf(ca, sizeof(ca), "%s/c.pem", where);
	MUST(settings_set(set, S("store.url"), slice_str(url), "test", &e));
	strict = open_with(&(struct settings *){ settings_ref(set) }, &clock_system);
	MUST(settings_set(set, S("net.tls_ca"), slice_str(ca), "test", &e));
	s = open_with(&set, &clock_system);
	for (int i = 0; i < 200 && rc < 0; i++) {
		rc = put(s, "dev:A", "sealed", STORE_PUT, STORE_ANY, NULL, &e);
		usleep(rc < 0 ? 10000 : 0);
	}
	if (rc == 0 && !slice_eq(got(s, "dev:A").value, S("sealed")))
		rc = -1;
	CHECK_INT(put(strict, "dev:A", "x", STORE_PUT, STORE_ANY, NULL, &(struct err){ .code = ERR_NONE }), -1);
	store_close(&s);
	store_close(&strict);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (rc < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", err_name(e.code), e.text);
}

/* A redis-server of any kind; args end with NULL. */
static pid_t launch(const char *const *args)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a case crashes */
		dup2(null, 1);
		dup2(null, 2);
		execv("/usr/bin/redis-server", (char **)args);
		_exit(127);
	}
	return pid;
}

struct fleet {
	pid_t pid[3]; /* master, replica, sentinel */
	int port[3];
};

static struct slice ask_port(int port, const char *line)
{
	int old = redis_port;
	struct slice r = S_NONE;
	int fd;

	redis_port = port;
	fd = dial();
	if (fd >= 0) {
		close(fd);
		r = ask(line);
	}
	redis_port = old;
	return r;
}

static bool wait_for(int port, const char *line, const char *part)
{
	for (int i = 0; i < 300; i++) {
		struct slice r = ask_port(port, line);

		if (r.len && memmem(r.ptr, r.len, part, strlen(part)))
			return true;
		usleep(50000);
	}
	return false;
}

/* The sentinel last: it looks for replicas at its start and then every ten seconds. */
static bool fleet_start(struct fleet *f)
{
	char conf[128], port[2][16];
	FILE *c;

	for (int i = 0; i < 3; i++)
		f->port[i] = free_port();
	for (int i = 0; i < 2; i++)
		snprintf(port[i], sizeof(port[i]), "%d", f->port[i]);
	f->pid[0] = launch((const char *const[]){ "redis-server", "--port", port[0], "--bind", "127.0.0.1", "--save", "",
						  "--dir", private_dir(), NULL });
	f->pid[1] = launch((const char *const[]){ "redis-server", "--port", port[1], "--bind", "127.0.0.1", "--save", "",
						  "--dir", private_dir(), "--dbfilename", "replica.rdb", "--replicaof",
						  "127.0.0.1", port[0], "--repl-diskless-sync-delay", "0", NULL });
	snprintf(conf, sizeof(conf), "%s/sentinel.conf", private_dir());
	c = fopen(conf, "w");
	CHECK(c);
	fprintf(c, "port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor m 127.0.0.1 %d 1\n"
		   "sentinel down-after-milliseconds m 150\nsentinel failover-timeout m 2000\n",
		f->port[2], private_dir(), f->port[0]);
	fclose(c);
	if (!wait_for(f->port[0], "INFO replication", "state=online"))
		return false;
	f->pid[2] = launch((const char *const[]){ "redis-server", conf, "--sentinel", NULL });
	return wait_for(f->port[2], "SENTINEL MASTERS", "num-slaves\r\n$1\r\n1");
}

static void fleet_stop(struct fleet *f)
{
	for (int i = 0; i < 3; i++) {
		if (f->pid[i] <= 0)
			continue;
		kill(f->pid[i], SIGKILL);
		waitpid(f->pid[i], NULL, 0);
	}
}

/* The master dies: the sentinel promotes the replica, and the same store goes on with
 * other generations. */
CASE(store_redis_follows_its_sentinel)
{
	struct settings *set;
	struct store *s;
	struct fleet f = { .port = { 0 } };
	struct err e = { .code = ERR_NONE };
	uint64_t g1, g2 = 0;
	char url[64];
	bool ready, back = false;

	if (access("/usr/bin/redis-server", X_OK) < 0)
		test_skip("no redis-server");
	ready = fleet_start(&f);
	snprintf(url, sizeof(url), "redis-sentinel://127.0.0.1:1,127.0.0.1:%d/m/15", f.port[2]);
	set = settings_for(MEM, "limits.store_breaker_pause", "50ms");
	MUST(settings_set(set, S("store.url"), slice_str(url), "test", &e));
	s = open_with(&set, &clock_system);
	ready = ready && put(s, "dev:A", "kept", STORE_PUT, 0, NULL, &e) == 0 && store_gen(s, jane, &g1, &e) == 0 &&
		wait_for(f.port[1], "INFO replication", "master_link_status:up") &&
		wait_for(f.port[1], "GET zpush:rec:{jane@example.org}:dev:A", "$30");
	kill(f.pid[0], SIGKILL);
	for (int i = 0; i < 300 && ready && !back; i++) {
		back = put(s, "dev:B", "new", STORE_PUT, STORE_ANY, NULL, &e) == 0;
		usleep(50000);
	}
	if (back)
		back = slice_eq(got(s, "dev:A").value, S("kept")) && store_gen(s, jane, &g2, &e) == 0 && g1 != g2;
	store_close(&s);
	fleet_stop(&f);
	if (!ready || !back)
		test_fail(__FILE__, __LINE__, "ready %d, back %d: %s", ready, back, e.text);
}
