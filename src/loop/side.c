/* side.c - notify and admin listeners. Loop thread. A connection lives from
 * accept to close, holds one request, and is closed after its answer or after
 * DEADLINE_MS. Jobs carry a copy and find their connection by id. */
#include "loop/side.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "loop/http.h"
#include "work/auth.h"
#include "work/trace.h"
#include "work/work.h"

enum { CONNS_MAX = 256, DEADLINE_MS = 10000, BODY_MAX = MESSAGE_MAX_BYTES };

struct side {
	struct loop *l;
	struct park_room *park;
	enum side_kind kind;
	uv_tcp_t tcp;
	char *token;
	struct list conns;
	unsigned n_conns, handles;
	uint64_t next_id;
	bool closing;
	struct log_limit log_token;
};

struct side_conn {
	struct list link;
	struct side *s;
	uint64_t id;
	uv_tcp_t tcp;
	struct loop_timer timer;
	struct http_parser http;
	char *body;              /* grows up to BODY_MAX; of who brought the token only */
	size_t body_len, body_cap;
	bool whole, answered;
	uv_write_t write;
	char *out;
};

static void side_unref(struct side *s)
{
	if (--s->handles == 0 && s->closing) {
		free(s->token);
		free(s);
	}
}

/* --- answer ---------------------------------------------------------------------------- */

static void on_conn_closed(uv_handle_t *h)
{
	struct side_conn *c = h->data;
	struct side *s = c->s;

	http_deinit(&c->http);
	free(c->body);
	free(c->out);
	free(c);
	side_unref(s);
}

static void close_conn(struct side_conn *c)
{
	if (uv_is_closing((uv_handle_t *)&c->tcp))
		return;
	loop_timer_cancel(&c->timer);
	list_del(&c->link);
	c->s->n_conns--;
	uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

static void on_timer(struct loop *l, struct loop_timer *t)
{
	close_conn(list_entry(t, struct side_conn, timer));
}

static void on_written(uv_write_t *w, int status)
{
	close_conn(w->data);
}

static const char *reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 202: return "Accepted";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 413: return "Content Too Large";
	default: return "Service Unavailable";
	}
}

static void answer(struct side_conn *c, int status, const char *type, struct slice body)
{
	uv_buf_t buf;
	int n;

	if (c->answered)
		return;
	c->answered = true;
	c->out = mem_alloc(512 + body.len);
	n = snprintf(c->out, 512, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
		     status, reason(status), type, body.len,
		     status == 401 ? "WWW-Authenticate: Basic realm=\"zpushd\"\r\n" : "");
	if (body.len)
		memcpy(c->out + n, body.ptr, body.len);
	buf = uv_buf_init(c->out, (unsigned)((size_t)n + body.len));
	c->write.data = c;
	uv_read_stop((uv_stream_t *)&c->tcp);
	if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0)
		close_conn(c);
}

static void answer_text(struct side_conn *c, int status, const char *text)
{
	answer(c, status, "text/plain; charset=utf-8", slice_str(text));
}

/* --- jobs -------------------------------------------------------------------------------- */

struct side_job {
	struct job job;
	struct side *s;
	struct work *work;
	uint64_t conn_id;
	bool ready; /* a readiness question; else a publish */
	struct arena *a;
	struct slice user;
	struct push_message message;
	struct slice warning;
	int rc;
	struct err err;
};

static void run_job(struct job *j)
{
	struct side_job *sj = (struct side_job *)j;

	if (sj->ready)
		sj->rc = store_check(sj->work->store, sj->a, &sj->warning, &sj->err);
	else
		sj->rc = store_publish(sj->work->store, sj->user, message_format(sj->a, &sj->message),
				       !sj->message.auth_changed, &sj->err);
}

static struct side_conn *find_conn(struct side *s, uint64_t id)
{
	list_for(l, &s->conns)
		if (list_entry(l, struct side_conn, link)->id == id)
			return list_entry(l, struct side_conn, link);
	return NULL;
}

static void job_done(struct job *j)
{
	struct side_job *sj = (struct side_job *)j;
	struct side *s = sj->s;
	struct side_conn *c = s->closing ? NULL : find_conn(s, sj->conn_id);

	if (j->shed)
		sj->rc = err_set(&sj->err, ERR_BUSY, "shed");
	if (sj->rc < 0)
		LOG_W(sj->ready ? "not_ready" : "notify_failed", L_S("user", sj->user), L_ERR(&sj->err));
	/* The store is down: the phones of this process are woken all the same. */
	if (sj->rc < 0 && !sj->ready && !s->closing)
		park_message(s->park, sj->user, &sj->message);
	if (c && sj->ready)
		answer_text(c, sj->rc < 0 ? 503 : 200, sj->rc < 0 ? sj->err.text : sj->warning.len ? sj->warning.ptr : "ready\n");
	arena_free(&sj->a);
	free(sj);
	side_unref(s);
}

static struct side_job *new_job(struct side *s, uint64_t conn_id)
{
	struct side_job *sj = mem_alloc(sizeof(*sj));

	sj->job = (struct job){ .cls = JOB_BACKGROUND, .run = run_job, .done = job_done };
	sj->s = s;
	sj->work = s->l->deps.work;
	sj->conn_id = conn_id;
	sj->a = arena_new();
	s->handles++;
	return sj;
}

/* --- requests ------------------------------------------------------------------------------- */

static void notify(struct side_conn *c)
{
	struct side *s = c->s;
	struct side_job *sj = new_job(s, c->id);
	struct slice login;
	struct err e;

	metric_add(M_notify_events_total, 1);
	if (message_parse(sj->a, slice(c->body, c->body_len), &sj->message, &e) == 0 && sj->message.user.len &&
	    auth_canonical(sj->a, park_settings(s->park), sj->message.user, &sj->user, &login)) {
		job_submit(s->l->jobs, &sj->job);
		answer_text(c, 202, "");
		return;
	}
	answer_text(c, 400, "a JSON object with \"user\", or an event of Dovecot's exporter, is expected\n");
	arena_free(&sj->a);
	free(sj);
	side_unref(s);
}

static void metrics(struct side_conn *c)
{
	struct blob *b = blob_new(0);
	struct slice text;
	struct jobs_stats js;
	struct loop_stats ls;

	jobs_stats(c->s->l->jobs, &js);
	loop_stats(c->s->l, &ls);
	metric_set(M_turn_longest_us, ls.longest_turn_us);
	metric_set(M_connections, ls.connections);
	metric_set(M_jobs_queued, js.queued[JOB_COMMAND] + js.queued[JOB_CHECK] + js.queued[JOB_BACKGROUND]);
	for (int m = 0; m < M_COUNT; m++)
		blob_printf(b, NULL, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", metric_name(m), metric_help(m), metric_name(m),
			    metric_type(m), metric_name(m), (long long)metric_get(m));
	if (blob_map(b, &text, NULL) == 0)
		answer(c, 200, "text/plain; version=0.0.4", text);
	else
		answer_text(c, 503, "");
	blob_free(&b);
}

static bool token_ok(const struct side_conn *c)
{
	struct slice value, decoded, token = slice_str(c->s->token);
	struct arena *a = arena_new();
	bool ok = false;

	if (http_find(&c->http.head, "Authorization", &value)) {
		if (slice_istarts(value, S("Bearer "))) {
			decoded = slice_trim(slice_from(value, 7));
		} else if (slice_istarts(value, S("Basic ")) && base64_decode(a, slice_trim(slice_from(value, 6)), &decoded)) {
			ptrdiff_t colon = slice_chr(decoded, ':');

			decoded = colon < 0 ? S_NONE : slice_from(decoded, (size_t)colon + 1);
		} else {
			decoded = S_NONE;
		}
		ok = decoded.len == token.len && token.len && digest_equal(decoded.ptr, token.ptr, token.len);
	}
	arena_free(&a);
	return ok;
}

/* A hook with an old token pushes nothing, and its sender may keep quiet about it. */
static void refuse_token(struct side_conn *c)
{
	struct side *s = c->s;

	if (log_allowed(&s->log_token, loop_now(s->l), 1, 60000))
		LOG_W("token_refused", L_Z("listener", s->kind == SIDE_ADMIN ? "admin.listen" : "push.notify_listen"),
		      L_S("path", c->http.head.path),
		      L_Z("do", s->kind == SIDE_ADMIN ? "give the token of admin.token, or of data_dir/admin.token" :
							"give the sender the token of push.notify_token, or of data_dir/notify.token"));
	answer_text(c, 401, "the token of this listener is expected\n");
}

static void healthz(struct side_conn *c)
{
	answer_text(c, 200, "ok\n");
}

static void readyz(struct side_conn *c)
{
	struct side_job *sj = new_job(c->s, c->id);

	sj->ready = true;
	job_submit(c->s->l->jobs, &sj->job);
}

/* POST /trace/on and /trace/off with the device's id as body; GET /trace lists them. */
static void trace_order(struct side_conn *c, bool on)
{
	struct slice device = slice_trim(slice(c->body, c->body_len));
	struct err e = { 0 };

	if (device.len == 0 || device.len > 64)
		answer_text(c, 400, "the body is the id of a device\n");
	else if (trace_switch(c->s->l->deps.work->trace, device, on, &e) < 0)
		answer_text(c, 413, e.text);
	else
		answer_text(c, 200, "");
	LOG_I("trace", L_S("dev", device), L_Z("switched", on ? "on" : "off"));
}

static void trace_on(struct side_conn *c)
{
	trace_order(c, true);
}

static void trace_off(struct side_conn *c)
{
	trace_order(c, false);
}

static void trace_get(struct side_conn *c)
{
	struct blob *b = blob_new(0);
	struct slice text;

	trace_list(c->s->l->deps.work->trace, b);
	if (blob_map(b, &text, NULL) == 0)
		answer(c, 200, "text/plain; charset=utf-8", text);
	blob_free(&b);
}

static const struct side_route {
	enum side_kind kind;
	enum http_verb verb;
	const char *path;
	bool open;
	void (*run)(struct side_conn *c);
} routes[] = {
	{ SIDE_NOTIFY, HTTP_VERB_POST, "/notify",  false, notify },
	{ SIDE_ADMIN,  HTTP_VERB_GET,  "/metrics", false, metrics },
	{ SIDE_ADMIN,  HTTP_VERB_GET,  "/trace",   false, trace_get },
	{ SIDE_ADMIN,  HTTP_VERB_POST, "/trace/on",  false, trace_on },
	{ SIDE_ADMIN,  HTTP_VERB_POST, "/trace/off", false, trace_off },
	{ SIDE_ADMIN,  HTTP_VERB_GET,  "/healthz", true,  healthz },
	{ SIDE_ADMIN,  HTTP_VERB_GET,  "/readyz",  true,  readyz },
};

static void serve(struct side_conn *c)
{
	const struct http_head *h = &c->http.head;
	bool path = false;

	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		const struct side_route *r = &routes[i];

		if (r->kind != c->s->kind || !slice_eq(h->path, slice_str(r->path)))
			continue;
		path = true;
		if (h->verb != r->verb)
			continue;
		if (r->open || token_ok(c))
			r->run(c);
		else
			refuse_token(c);
		return;
	}
	answer_text(c, path ? 405 : 404, "");
}

/* --- connections ------------------------------------------------------------------------------- */

static int on_body(void *arg, struct slice chunk)
{
	struct side_conn *c = arg;

	if (c->body_len + chunk.len > BODY_MAX)
		return -1;
	/* A stranger's body is heard out, so that he reads his 401, and not kept. */
	if (!token_ok(c)) {
		c->body_len += chunk.len;
		return 0;
	}
	while (c->body_len + chunk.len > c->body_cap)
		c->body_cap = c->body_cap ? c->body_cap * 2 : 1024;
	c->body = mem_realloc(c->body, c->body_cap);
	memcpy(c->body + c->body_len, chunk.ptr, chunk.len);
	c->body_len += chunk.len;
	return 0;
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct side_conn *c = h->data;

	*buf = uv_buf_init(c->s->l->scratch, sizeof(c->s->l->scratch));
}

static void feed(struct side_conn *c, struct slice in)
{
	while (in.len && !c->whole && !c->answered) {
		size_t used = 0;
		struct err e;

		switch (http_feed(&c->http, in, &used, &e)) {
		case HTTP_COMPLETE:
			c->whole = true;
			serve(c);
			return;
		case HTTP_BAD:
			answer_text(c, c->http.bad_status ? c->http.bad_status : 413, "");
			return;
		default:
			in = slice_from(in, used);
			/* Without a body it is whole with its head. */
			if (c->http.whole) {
				c->whole = true;
				serve(c);
			}
		}
	}
}

static void on_read(uv_stream_t *st, ssize_t n, const uv_buf_t *buf)
{
	struct side_conn *c = st->data;

	/* One that has said all may stop saying: it still hears its answer. */
	if (n < 0 && !(n == UV_EOF && c->whole))
		close_conn(c);
	else if (n > 0)
		feed(c, slice(buf->base, (size_t)n));
}

/* Full: the one that has been at its request for the longest makes room. */
static void close_slowest(struct side *s)
{
	list_for(l, &s->conns) {
		struct side_conn *c = list_entry(l, struct side_conn, link);

		if (c->whole)
			continue;
		close_conn(c);
		return;
	}
	close_conn(list_entry(s->conns.next, struct side_conn, link));
}

static void on_accept(uv_stream_t *listener, int status)
{
	static const struct http_limits limits = { .head_bytes = 16384, .head_count = 64 };
	struct side *s = listener->data;
	struct side_conn *c;

	if (status < 0)
		return;
	c = mem_alloc(sizeof(*c));
	c->s = s;
	c->id = ++s->next_id;
	s->handles++;
	uv_tcp_init(&s->l->uv, &c->tcp);
	c->tcp.data = c;
	http_init(&c->http, &limits, on_body, c);
	loop_timer_init(&c->timer, on_timer);
	list_add_tail(&s->conns, &c->link);
	s->n_conns++;
	if (s->n_conns > CONNS_MAX)
		close_slowest(s);
	if (uv_accept(listener, (uv_stream_t *)&c->tcp) < 0 ||
	    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0) {
		close_conn(c);
		return;
	}
	loop_timer_set(s->l, &c->timer, loop_now(s->l) + DEADLINE_MS);
}

/* --- life ------------------------------------------------------------------------------------------ */

static int parse_address(struct slice address, struct sockaddr_storage *a_r, struct err *e)
{
	char *z = mem_str(address), *colon = strrchr(z, ':'), *host = z;
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST };
	struct addrinfo *ai = NULL;
	int rc = -1;

	if (colon) {
		*colon = 0;
		if (*host == '[' && colon > host && colon[-1] == ']') {
			colon[-1] = 0;
			host++;
		}
		if (strcmp(host, "localhost") == 0)
			host = (char *)"127.0.0.1";
		rc = getaddrinfo(*host && strcmp(host, "*") != 0 ? host : NULL, colon + 1, &hints, &ai);
	}
	if (rc == 0) {
		memcpy(a_r, ai->ai_addr, ai->ai_addrlen);
		freeaddrinfo(ai);
	}
	free(z);
	return rc == 0 ? 0 : err_set(e, ERR_CONFIG, "%.*s is no address of the form host:port", SARG(address));
}

static void on_listener_closed(uv_handle_t *h)
{
	side_unref(h->data);
}

int side_listen(struct side **s_r, struct loop *l, struct park_room *park, enum side_kind kind, struct slice address,
		struct slice token, unsigned *port_r, struct err *e)
{
	struct sockaddr_storage a;
	struct side *s;
	int len = sizeof(a), rc;

	*s_r = NULL;
	if (parse_address(address, &a, e) < 0)
		return -1;
	s = mem_alloc(sizeof(*s));
	s->l = l;
	s->park = park;
	s->kind = kind;
	s->token = mem_str(token);
	s->handles = 1;
	list_init(&s->conns);
	uv_tcp_init(&l->uv, &s->tcp);
	s->tcp.data = s;
	rc = uv_tcp_bind(&s->tcp, (struct sockaddr *)&a, 0);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&s->tcp, 128, on_accept);
	if (rc < 0) {
		err_set(e, ERR_CONFIG, "%s: %.*s: %s", kind == SIDE_NOTIFY ? "push.notify_listen" : "admin.listen",
			SARG(address), uv_strerror(rc));
		side_free(&s);
		return -1;
	}
	if (port_r && uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&a, &len) == 0)
		*port_r = ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
							: ((struct sockaddr_in *)&a)->sin_port);
	*s_r = s;
	return 0;
}

void side_free(struct side **sp)
{
	struct side *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	s->closing = true;
	list_for_safe(l, &s->conns)
		close_conn(list_entry(l, struct side_conn, link));
	uv_close((uv_handle_t *)&s->tcp, on_listener_closed);
}
