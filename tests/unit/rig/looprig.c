/* looprig.c - see looprig.h. Included by the tests that need it (one object for all tests
 * would put this exchange_run into every test program). */
#include "looprig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/blob.h"
#include "base/log.h"
#include "proto/schema.h"

/* -- exchange ------------------------------------------------------------------ */

void request_free(struct request **rp)
{
	struct request *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	blob_free(&r->raw);
	if (r->report)
		decode_report_deinit(r->report);
	arena_free(&r->arena);
}

static void describe(const struct request *q, struct verdict *v)
{
	static const char *const kinds[] = { "none", "decoded", "rfc822", "bad" };

	v->body = blob_new(0);
	blob_printf(v->body, NULL, "cmd=%s v=%d%s method=%d login=%.*s pw=%.*s peer=%.*s tls=%d body=%s raw=%d policy=%lld type=%.*s",
		    eas_command_name(q->query.command), q->version, q->version_given ? "" : "?", q->method,
		    SARG(q->login), SARG(q->password), SARG(q->peer), q->tls, kinds[q->body_kind],
		    q->raw ? (int)blob_size(q->raw) : -1, q->has_policy_key ? (long long)q->policy_key : -1LL,
		    SARG(q->query.device_type));
	v->content_type = S("text/plain");
}

static void fill(struct verdict *v, size_t n)
{
	char block[1000];

	v->body = blob_new(0);
	v->content_type = S("application/octet-stream");
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (char)('a' + i % 26);
	for (; n; n -= n < sizeof(block) ? n : sizeof(block))
		blob_append(v->body, block, n < sizeof(block) ? n : sizeof(block), NULL);
}

/* The one rig of a case: the loop looks into its struct work, so it is handed none. */
static struct rig *current;

void exchange_run(struct work *w, struct request *q, struct verdict *v)
{
	struct rig *r = current;
	struct slice id = q->query.device_id;

	sem_post(&r->entered);
	*v = (struct verdict){ .kind = VERDICT_REPLY, .http_status = 200 };
	if (slice_starts(id, S("own-"))) { /* a login that was found right */
		q->user = q->login;
		id = slice_from(id, 4);
	}
	if (slice_eq(id, S("gate")))
		sem_wait(&r->gate);
	if (slice_eq(id, S("big"))) {
		fill(v, 3000000);
	} else if (slice_eq(id, S("disk"))) { /* spilled to a file, and out of the page cache */
		fill(v, 6000000);
		fsync(blob_fd(v->body));
		posix_fadvise(blob_fd(v->body), 0, 0, POSIX_FADV_DONTNEED);
	} else if (slice_eq(id, S("empty"))) {
		v->content_type = S("text/plain");
	} else if (slice_eq(id, S("park"))) {
		v->kind = VERDICT_PARK;
		v->park = ARENA_NEW(q->arena, struct park);
		v->expire_body = S("expired");
	} else if (slice_eq(id, S("fail"))) {
		v->kind = VERDICT_FAIL;
		v->http_status = 0;
		err_set(&v->err, ERR_BACKEND_TEMP, "scripted");
	} else if (slice_eq(id, S("inject"))) {
		v->headers[v->n_headers++] = (struct reply_header){ S("X-A"), S("b\r\nX-Evil: 1") };
		describe(q, v);
	} else {
		describe(q, v);
	}
}

/* -- push ---------------------------------------------------------------------- */

static int on_park(void *self, uint64_t id, const struct request *rq, const struct verdict *v)
{
	struct rig *r = self;

	(void)rq;
	(void)v;
	pthread_mutex_lock(&r->lock);
	r->parked_id = id;
	r->parks++;
	pthread_mutex_unlock(&r->lock);
	return 0;
}

static void on_drop(void *self, uint64_t id)
{
	struct rig *r = self;

	(void)id;
	pthread_mutex_lock(&r->lock);
	r->drops++;
	pthread_mutex_unlock(&r->lock);
}

static void on_before(void *self, uint64_t id, const struct request *rq)
{
	struct rig *r = self;

	(void)id;
	(void)rq;
	pthread_mutex_lock(&r->lock);
	r->befores++;
	pthread_mutex_unlock(&r->lock);
}

static void on_hurry(void *self, uint64_t id)
{
	struct rig *r = self;

	pthread_mutex_lock(&r->lock);
	r->parked_id = id;
	r->hurries++;
	pthread_mutex_unlock(&r->lock);
	if (r->answer_hurried)
		uv_async_send(r->answer);
}

static void (*_Atomic rig_fn)(struct rig *r);

static void on_async(uv_async_t *h)
{
	struct rig *r = h->data;
	void (*fn)(struct rig *) = rig_fn;

	if (fn) {
		fn(r);
		rig_fn = NULL;
	} else {
		conn_answer_parked(r->l, r->parked_id, 200, S("hurried"));
	}
	pthread_mutex_lock(&r->lock);
	r->answer_done = true;
	pthread_mutex_unlock(&r->lock);
}

static void answer_now(struct rig *r)
{
	r->answer_ok = conn_answer_parked(r->l, r->parked_id, 200, S("woken"));
}

static void pause_ms(int ms)
{
	struct timespec t = { 0, ms * 1000000L };

	nanosleep(&t, NULL);
}

void rig_on_loop(struct rig *r, void (*fn)(struct rig *r))
{
	bool done = false;

	pthread_mutex_lock(&r->lock);
	r->answer_done = false;
	pthread_mutex_unlock(&r->lock);
	rig_fn = fn;
	uv_async_send(r->answer);
	for (int i = 0; i < 5000 && !done; i++) {
		pause_ms(1);
		pthread_mutex_lock(&r->lock);
		done = r->answer_done;
		pthread_mutex_unlock(&r->lock);
	}
	CHECK(done);
}

bool rig_answer(struct rig *r)
{
	rig_on_loop(r, answer_now);
	return r->answer_ok;
}

/* -- life ------------------------------------------------------------------------ */

static void *run(void *arg)
{
	struct rig *r = arg;

	loop_run(r->l);
	return NULL;
}

void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	current = r;
	loop_config_default(&r->config);
	r->config.workers = 4;
	r->deps = (struct loop_deps){ .clock = &clock_system, .rnd = &rnd_system };
	sem_init(&r->gate, 0, 0);
	sem_init(&r->entered, 0, 0);
	pthread_mutex_init(&r->lock, NULL);
	snprintf(r->dir, sizeof(r->dir), "/tmp/looprig.XXXXXX");
	CHECK(mkdtemp(r->dir));
	r->deps.data_dir = r->dir;
	log_open("/dev/null", LOG_INFO, LOG_LOGFMT, NULL);
}

void rig_start(struct rig *r, bool tls)
{
	struct err e;

	if (loop_new(&r->l, &r->config, &r->deps, &e) < 0 ||
	    loop_listen(r->l, S("127.0.0.1:0"), LISTEN_PLAIN, &r->port, &e) < 0 ||
	    (tls && loop_listen(r->l, S("127.0.0.1:0"), LISTEN_TLS, &r->tls_port, &e) < 0))
		test_fail(__FILE__, __LINE__, "%s", e.text);
	r->answer = mem_alloc(sizeof(*r->answer));
	uv_async_init(loop_uv(r->l), r->answer, on_async);
	r->answer->data = r;
	r->l->hooks = (struct park_hooks){
		.self = r, .park = on_park, .drop = on_drop, .hurry = on_hurry, .before = on_before,
	};
	pthread_create(&r->thread, NULL, run, r);
}

static void close_async(uv_handle_t *h)
{
	free(h);
}

void rig_stop(struct rig *r)
{
	char cmd[128];

	loop_stop(r->l);
	pthread_join(r->thread, NULL);
	for (int i = 0; i < 16; i++)
		sem_post(&r->gate);
	uv_close((uv_handle_t *)r->answer, close_async);
	loop_free(&r->l);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", r->dir);
	CHECK(system(cmd) == 0);
}

void rig_wait(struct rig *r, unsigned *counter, unsigned n)
{
	unsigned got = 0;

	for (int i = 0; i < 5000 && got < n; i++) {
		pthread_mutex_lock(&r->lock);
		got = *counter;
		pthread_mutex_unlock(&r->lock);
		if (got < n)
			pause_ms(1);
	}
	CHECK_INT(got, n);
}

/* -- client -------------------------------------------------------------------------- */

int dial(unsigned port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = { 10, 0 };
	int on = 1;

	CHECK(fd >= 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	CHECK(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	return fd;
}

void say_bytes(int fd, struct slice s)
{
	while (s.len) {
		ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);

		CHECK(n > 0);
		s = slice_from(s, (size_t)n);
	}
}

void say(int fd, const char *text)
{
	say_bytes(fd, slice_str(text));
}

const char *hear_all(int fd)
{
	size_t cap = 8 << 20, len = 0;
	char *buf = malloc(cap);
	ssize_t n;
	const char *out;

	while (len < cap && (n = recv(fd, buf + len, cap - len, 0)) > 0)
		len += (size_t)n;
	out = arena_str(test_arena(), slice(buf, len));
	free(buf);
	return out;
}

static ssize_t read_byte(int fd, char *c)
{
	return recv(fd, c, 1, 0);
}

const char *hear(int fd)
{
	char head[8192];
	size_t len = 0, want = 0;
	const char *at;
	char *all;

	while (len < sizeof(head) - 1 && read_byte(fd, head + len) == 1) {
		head[++len] = 0;
		if (len >= 4 && !memcmp(head + len - 4, "\r\n\r\n", 4))
			break;
	}
	head[len] = 0;
	at = strstr(head, "Content-Length: ");
	if (at)
		want = strtoul(at + 16, NULL, 10);
	all = arena_alloc(test_arena(), len + want + 1);
	memcpy(all, head, len);
	for (size_t i = 0; i < want;) {
		ssize_t n = recv(fd, all + len + i, want - i, 0);

		if (n <= 0)
			break;
		i += (size_t)n;
	}
	return all;
}
