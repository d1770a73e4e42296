/* test_side.c - the notify and admin listeners from a socket: tokens, routes, bodies in
 * pieces and too large, slow and many clients, clients that vanish, a store that fails. */
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/settings_table.h"
#include "backend/mem.h"
#include "loop/side.h"
#include "work/auth.h"
#include "work/pool.h"
#include "work/store_mem.h"
#include "work/work.h"

static _Atomic int looks;

void request_free(struct request **r)
{
	if (*r)
		arena_free(&(*r)->arena);
	*r = NULL;
}

void exchange_run(struct work *w, struct request *rq, struct verdict *v)
{
	looks++;
	*v = (struct verdict){ .kind = VERDICT_PARK, .http_status = 200, .park = rq->parked };
}

static _Atomic int64_t added_ms;
static int64_t moved_now(void *self)
{
	return clock_now(&clock_system) + added_ms;
}
static const struct clock moved_clock = { moved_now, moved_now, NULL };

static struct rig {
	struct settings *set;
	struct work work;
	struct loop *l;
	struct park_room *park;
	struct side *notify, *admin;
	unsigned notify_port, admin_port;
} rig;

static void up(void)
{
	struct be_env env;
	struct loop_config c;
	struct loop_deps d = { .clock = &moved_clock, .rnd = &rnd_system, .work = &rig.work };
	struct err e;

	log_open("/dev/null", LOG_DEBUG, LOG_LOGFMT, NULL);
	memset(&rig, 0, sizeof(rig));
	looks = 0;
	rig.set = settings_new();
	CHECK_INT(settings_set(rig.set, S("store.url"), S("memory:"), "test", &e), 0);
	rig.work = (struct work){ .clock = &moved_clock, .rnd = &rnd_system, .settings = rig.set };
	env = (struct be_env){ rig.set, &moved_clock, &rnd_system };
	CHECK_INT(mem_backend_ops.open(&rig.work.mail, &env, &e), 0);
	mem_add_user(rig.work.mail, S("ada"), S("pw"), S(""), S(""));
	loop_config_default(&c);
	c.workers = 4;
	if (store_open(&rig.work.store, rig.set, &moved_clock, &e) < 0 ||
	    pool_new(&rig.work.pool, rig.set, &moved_clock, &rnd_system, &e) < 0 || loop_new(&rig.l, &c, &d, &e) < 0 ||
	    park_init(&rig.park, rig.l, rig.set, &e) < 0 ||
	    side_listen(&rig.notify, rig.l, rig.park, SIDE_NOTIFY, S("127.0.0.1:0"), S("tok"), &rig.notify_port, &e) < 0 ||
	    side_listen(&rig.admin, rig.l, rig.park, SIDE_ADMIN, S("127.0.0.1:0"), S("adm"), &rig.admin_port, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
}

static void down(void)
{
	side_free(&rig.admin);
	side_free(&rig.notify);
	park_deinit(&rig.park);
	loop_free(&rig.l);
	pool_free(&rig.work.pool);
	rig.work.mail->ops->close(&rig.work.mail);
	store_close(&rig.work.store);
	settings_unref(&rig.set);
	log_open("-", LOG_INFO, LOG_LOGFMT, NULL);
}

static void turn(void)
{
	struct timespec t = { 0, 500000 };

	uv_run(loop_uv(rig.l), UV_RUN_NOWAIT);
	nanosleep(&t, NULL);
}

static int dial(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void say(int fd, struct slice s)
{
	for (int i = 0; s.len && i < 4000; i++) {
		ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);

		if (n > 0)
			s = slice_from(s, (size_t)n);
		turn();
	}
}

/* All until the server closes; the status. -1: closed without an answer, -2: still open. */
static int hear(int fd, char *buf, size_t cap)
{
	size_t len = 0;
	int status = -2;

	for (int i = 0; i < 4000; i++) {
		ssize_t n = recv(fd, buf + len, cap - 1 - len, 0);

		turn();
		if (n > 0)
			len += (size_t)n;
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			status = -1;
			break;
		}
	}
	buf[len] = 0;
	if (len > 12 && status == -1)
		status = atoi(buf + 9);
	close(fd);
	return status;
}

static char heard[65536];

static int ask(unsigned port, const char *text)
{
	int fd = dial(port);

	say(fd, slice_str(text));
	return hear(fd, heard, sizeof(heard));
}

static int notify(const char *auth, const char *body)
{
	return ask(rig.notify_port, arena_printf(test_arena(), "POST /notify HTTP/1.1\r\nHost: h\r\n%sContent-Length: %zu\r\n\r\n%s",
						 auth, strlen(body), body).ptr);
}

#define TOKEN "Authorization: Bearer tok\r\n"

static void park_ada(void)
{
	struct slice f = S("INBOX");
	struct park k = { .user = S("ada"), .device_id = S("D"), .until_ms = moved_now(NULL) + 600000, .folders = &f, .n_folders = 1,
			  .cred = { S("ada"), S("ada"), S("pw") } };
	struct verdict v = { .kind = VERDICT_PARK, .park = &k };

	push_before(park_push(rig.park), 1, k.user);
	push_park(park_push(rig.park), 1, &v);
	for (int i = 0; i < 4000 && looks < 1; i++)
		turn();
	CHECK_INT(looks, 1);
}

CASE(side_notify_wakes)
{
	up();
	park_ada();
	CHECK_INT(notify(TOKEN, "{\"user\":\"ada\",\"folder\":\"INBOX\"}"), 202);
	for (int i = 0; i < 4000 && looks < 2; i++)
		turn();
	CHECK_INT(looks, 2);
	CHECK_INT(notify("Authorization: Basic eDp0b2s=\r\n", "{\"user\":\"ada\",\"folder\":\"Spam\"}"), 202); /* x:tok */
	CHECK_INT(notify(TOKEN, "{\"user\":\"bob\"}"), 202);
	for (int i = 0; i < 50; i++)
		turn();
	CHECK_INT(looks, 2);
	down();
}

CASE(side_wants_token_route_and_sense)
{
	up();
	CHECK_INT(notify("", "{\"user\":\"ada\"}"), 401);
	CHECK_INT(notify("Authorization: Bearer to\r\n", "{}"), 401);
	CHECK_INT(notify("Authorization: Bearer tok2\r\n", "{}"), 401);
	CHECK_INT(notify("Authorization: Basic !!\r\n", "{}"), 401);
	CHECK_INT(notify("Authorization: Digest tok\r\n", "{}"), 401);
	CHECK_INT(notify(TOKEN, "{}"), 400);
	CHECK_INT(notify(TOKEN, "nonsense"), 400);
	CHECK_INT(notify(TOKEN, ""), 400);
	CHECK_INT(ask(rig.notify_port, "GET /notify HTTP/1.1\r\nHost: h\r\n" TOKEN "\r\n"), 405);
	CHECK_INT(ask(rig.notify_port, "GET /metrics HTTP/1.1\r\nHost: h\r\n" TOKEN "\r\n"), 404);
	CHECK_INT(ask(rig.admin_port, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"), 401);
	CHECK_INT(ask(rig.admin_port, "GET /metrics HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer adm\r\n\r\n"), 200);
	CHECK(strstr(heard, "# TYPE"));
	CHECK_INT(ask(rig.admin_port, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"), 200);
	CHECK_INT(ask(rig.admin_port, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n"), 200);
	CHECK_INT(ask(rig.notify_port, "\x16\x03\x01 garbage\r\n\r\n"), 400);
	down();
}

CASE(side_bodies_in_pieces_and_too_large)
{
	char *big = arena_alloc(test_arena(), MESSAGE_MAX_BYTES + 64);
	const char *text = "POST /notify HTTP/1.1\r\nHost: h\r\n" TOKEN "Content-Length: 14\r\n\r\n{\"user\":\"ada\"}";
	int fd;

	up();
	fd = dial(rig.notify_port);
	for (const char *p = text; *p; p++)
		say(fd, slice(p, 1));
	CHECK_INT(hear(fd, heard, sizeof(heard)), 202);
	memset(big, 'x', MESSAGE_MAX_BYTES + 1);
	CHECK(notify(TOKEN, big) != 202);
	CHECK(notify("", big) != 202);
	CHECK_INT(notify(TOKEN, "{\"user\":\"ada\"}"), 202);
	down();
}

CASE(side_slow_and_many_clients_keep_nobody_out)
{
	enum { SLOW = 300 };
	static int fd[SLOW];

	up();
	for (int i = 0; i < SLOW; i++) {
		fd[i] = dial(rig.notify_port);
		say(fd[i], S("POST /not"));
	}
	CHECK_INT(notify(TOKEN, "{\"user\":\"ada\"}"), 202);
	/* and time takes the rest */
	added_ms += 11000;
	for (int i = 0; i < 20; i++)
		turn();
	for (int i = 0; i < SLOW; i++)
		CHECK_INT(hear(fd[i], heard, sizeof(heard)), -1);
	down();
}

CASE(side_ends_with_clients_and_jobs_under_way)
{
	int a, b;

	up();
	a = dial(rig.notify_port);
	say(a, S("POST /notify HTTP/1.1\r\nHost: h\r\n" TOKEN "Content-Length: 14\r\n\r\n{\"user\":\"ada\"}"));
	b = dial(rig.admin_port);
	say(b, S("GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n"));
	close(b); /* vanishes before its answer */
	b = dial(rig.admin_port);
	say(b, S("GET /rea"));
	down();
	close(a);
	close(b);
}
