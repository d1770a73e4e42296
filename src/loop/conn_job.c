/* conn_job.c - a request on its way: route, job, verdict, reply.
 * Loop thread, except exchange_work, which runs on a worker. The job owns the
 * request; the connection is an id in it and looked up when the job is back. */
#include "loop/conn_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/metrics.h"
#include "loop/tlsio.h"
#include "work/trace.h"

struct exchange_job {
	struct job job;
	struct loop *loop;   /* used in done only, on its own thread */
	struct work *work;
	struct request *rq;
	uint64_t conn_id;
	uint64_t bytes_in;
	struct verdict verdict;
};

/* -- replies --------------------------------------------------------------------- */

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{ 200, "OK" }, { 302, "Found" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 408, "Request Timeout" }, { 409, "Conflict" }, { 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" }, { 417, "Expectation Failed" },
		{ 431, "Request Header Fields Too Large" },
		{ 449, "Retry after sending a PROVISION command" }, { 451, "Redirect" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 503, "Service Unavailable" }, { 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Status";
}

static void put(struct queue_buf *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct queue_buf *q, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	ASSERT(n >= 0 && (size_t)n < sizeof(line));
	queue_put(q, slice(line, (size_t)n));
}

/* A value may hold what a peer or a server behind chose: no control byte passes. */
static void put_header(struct queue_buf *q, struct slice name, struct slice value)
{
	queue_put(q, name);
	queue_put(q, S(": "));
	for (size_t i = 0; i < value.len; i++) {
		size_t from = i;

		while (i < value.len && (unsigned char)value.ptr[i] >= 0x20 && value.ptr[i] != 0x7f)
			i++;
		queue_put(q, slice(value.ptr + from, i - from));
	}
	queue_put(q, S("\r\n"));
}

/* Headers that a status calls for and the verdict did not bring. */
static void put_usual(struct queue_buf *q, int status, const struct verdict *v)
{
	bool auth = false, retry = false;

	for (size_t i = 0; v && i < v->n_headers; i++) {
		auth |= slice_ieq(v->headers[i].name, S("WWW-Authenticate"));
		retry |= slice_ieq(v->headers[i].name, S("Retry-After"));
	}
	if (status == 401 && !auth)
		queue_put(q, S("WWW-Authenticate: Basic realm=\"zpushd\", charset=\"UTF-8\"\r\n"));
	if (status == 503 && !retry)
		queue_put(q, S("Retry-After: 30\r\n"));
}

struct reply {
	int status;
	struct slice type, body; /* body: copied; or blob */
	struct blob *blob;       /* taken */
	const struct verdict *v; /* more headers; may be NULL */
	const char *header;      /* one more line, whole; may be NULL */
};

static void start_reply(struct conn *c, struct reply *r)
{
	struct loop *l = conn_loop(c);
	struct xfer *x = conn_xfer(c);
	uint64_t size = r->blob ? blob_size(r->blob) : r->body.len;
	struct slice date = loop_date(l);

	if (l->draining || (c->flags & CONN_HALF_CLOSED))
		c->flags &= (uint8_t)~CONN_KEEP;
	put(&x->head, "HTTP/1.1 %d %s\r\nDate: %.*s\r\n", r->status, reason(r->status), SARG(date));
	if (r->type.len && size)
		put_header(&x->head, S("Content-Type"), r->type);
	for (size_t i = 0; r->v && i < r->v->n_headers; i++)
		put_header(&x->head, r->v->headers[i].name, r->v->headers[i].value);
	put_usual(&x->head, r->status, r->v);
	if (r->header)
		put(&x->head, "%s\r\n", r->header);
	put(&x->head, "Content-Length: %llu\r\n%s\r\n", (unsigned long long)size,
	    c->flags & CONN_KEEP ? "Connection: keep-alive\r\n" : "Connection: close\r\n");
	if (c->flags & CONN_HEAD_ONLY)
		blob_free(&r->blob);
	else
		queue_put(&x->head, r->body);
	x->reply = r->blob;
	x->reply_off = 0;
	x->reading = false;
	metric_add(M_requests_total, 1);
	if (r->status >= 400 && r->status != 401 && r->status != 449)
		metric_add(M_requests_failed_total, 1);
	conn_set_state(c, CONN_WRITING);
}

void conn_reply_simple(struct conn *c, int status, struct slice type, struct slice body, const char *header)
{
	struct reply r = { .status = status, .type = type, .body = body, .header = header };

	start_reply(c, &r);
}

void conn_reply_verdict(struct conn *c, struct verdict *v)
{
	struct reply r = { .status = v->http_status, .type = v->content_type, .blob = v->body, .v = v };

	v->body = NULL;
	if (r.status == 0)
		r.status = v->kind == VERDICT_FAIL ? err_http(v->err.code) : 200;
	start_reply(c, &r);
}

void conn_refuse(struct conn *c, int status, const struct err *e)
{
	struct xfer *x = conn_xfer(c);
	char peer[64];

	LOG_D("refused", L_I("http", status), L_S("peer", conn_peer_text(c, peer, sizeof(peer))),
	      L_Z("reason", e ? e->text : ""));
	c->flags = (uint8_t)((c->flags & ~CONN_KEEP) | CONN_LINGERS);
	queue_free(&x->pending);
	conn_reply_simple(c, status, S("text/plain; charset=utf-8"), slice_str(reason(status)), NULL);
}

static void forget_request(struct conn *c)
{
	struct xfer *x = c->x;

	body_deinit(&x->body);
	if (x->rq)
		request_free(&x->rq);
	blob_free(&x->reply);
	http_deinit(&x->http);
	x->refuse = 0;
}

void conn_reply_done(struct conn *c)
{
	if (c->flags & CONN_KEEP) {
		forget_request(c);
		if (queue_slice(&c->x->pending).len == 0)
			conn_drop_xfer(c);
		if (c->wire)
			tlsio_park(c);
		conn_set_state(c, CONN_IDLE);
		return;
	}
	if (c->wire)
		tlsio_shut(c);
	/* A peer that is still sending would get a reset, and may lose the reply to it. */
	if (!(c->flags & CONN_LINGERS) || (c->flags & CONN_HALF_CLOSED)) {
		conn_close(c, "reply written");
		return;
	}
	shutdown(c->fd, SHUT_WR);
	forget_request(c);
	conn_set_state(c, CONN_LINGER);
}

/* -- a request comes in ------------------------------------------------------------ */

static struct request *new_request(struct conn *c)
{
	struct loop *l = conn_loop(c);
	struct arena *a = arena_new();
	struct request *rq = ARENA_NEW(a, struct request);

	rq->arena = a;
	rq->kind = REQUEST_HTTP;
	rq->rid = ++l->next_rid;
	rq->received_ms = loop_now(l);
	rq->deadline_ms = rq->received_ms + l->config.request_ms;
	return rq;
}

/* Answered without a worker. */
static void answer_route(struct conn *c, const struct route *r)
{
	conn_reply_simple(c, r->status, S("text/plain; charset=utf-8"), slice_str(r->text), r->header);
}

/* A body follows: say so, or refuse before it comes. */
static void expect_body(struct conn *c)
{
	struct xfer *x = c->x;
	const struct http_head *h = &x->http.head;
	struct err e;

	if (h->has_length && h->length > x->body.limit) {
		err_set(&e, ERR_LIMIT, "body of %llu bytes announced", (unsigned long long)h->length);
		conn_refuse(c, x->refuse, &e);
		return;
	}
	if (!h->expects_continue)
		return;
	if (!x->route.exchange)
		conn_refuse(c, x->route.status, NULL);
	else
		queue_put(&x->head, S("HTTP/1.1 100 Continue\r\n\r\n"));
}

void conn_head_done(struct conn *c)
{
	struct loop *l = conn_loop(c);
	struct xfer *x = c->x;
	const struct http_head *h = &x->http.head;
	char text[64];
	struct route_peer peer = {
		.address = conn_peer_text(c, text, sizeof(text)),
		.tls = c->flags & CONN_TLS,
		.trusted = c->flags & CONN_TRUSTED,
		.draining = l->draining,
	};

	c->flags &= (uint8_t)~(CONN_KEEP | CONN_HEAD_ONLY | CONN_LINGERS);
	if (h->keep_alive && !l->draining)
		c->flags |= CONN_KEEP;
	if (h->verb == HTTP_VERB_HEAD)
		c->flags |= CONN_HEAD_ONLY;
	x->rq = new_request(c);
	route_request(&l->config, h, &peer, x->rq, &x->body, &x->route);
	if (trace_wanted(l->deps.work, x->rq->query.device_id))
		x->rq->traced = blob_new(0);
	x->refuse = !x->route.exchange ? x->route.status : x->rq->has_auth ? 413 : 401;
	conn_set_state(c, CONN_BODY);
	if (h->expects_other)
		conn_refuse(c, 417, NULL);
	else if (!x->http.whole)
		expect_body(c);
}

/* -- job ------------------------------------------------------------------------------ */

static void exchange_work(struct job *j)
{
	struct exchange_job *xj = (struct exchange_job *)j;

	exchange_run(xj->work, xj->rq, &xj->verdict);
}

/* Requests that reached a worker are logged there; one that did not, here. */
static void log_shed(const struct exchange_job *xj)
{
	const struct request *rq = xj->rq;

	LOG_W("request", L_Z("cmd", eas_command_name(rq->query.command)), L_S("user", rq->login),
	      L_S("dev", rq->query.device_id), L_I("rid", rq->rid), L_S("peer", rq->peer), L_Z("verdict", "shed"),
	      L_I("http", xj->verdict.http_status), L_ERR(&xj->verdict.err));
}

static void shed_verdict(struct exchange_job *xj)
{
	struct verdict *v = &xj->verdict;

	*v = (struct verdict){ .kind = VERDICT_FAIL, .http_status = 503 };
	err_set(&v->err, ERR_BUSY, "shed after %lld ms in the queue",
		(long long)(clock_now(&clock_system) - xj->job.queued_ms));
	xj->job.started_ms = xj->job.ended_ms = clock_now(&clock_system);
}

/* The phone waits from here on. False: nobody takes it. */
static bool park(struct conn *c, struct exchange_job *xj)
{
	struct loop *l = conn_loop(c);

	if (!l->hooks.park || l->hooks.park(l->hooks.self, conn_id(c), xj->rq, &xj->verdict) < 0)
		return false;
	if (c->x && queue_slice(&c->x->pending).len == 0)
		conn_drop_xfer(c);
	else
		forget_request(c);
	if (c->wire)
		tlsio_park(c);
	conn_set_state(c, CONN_PARKED);
	if (c->x && l->hooks.hurry) {
		c->flags |= CONN_HURRIED;
		l->hooks.hurry(l->hooks.self, conn_id(c));
	}
	return true;
}

/* Only who was let in is counted: a stranger must not use up somebody's share. One too
 * many gets its answer and is closed; one that would wait is sent away. */
static bool has_room(struct conn *c, const struct exchange_job *xj)
{
	if (xj->job.shed || xj->verdict.err.code != ERR_NONE || xj->rq->user.len == 0)
		return true;
	if (conn_count_user(c, xj->rq->user))
		return true;
	c->flags &= (uint8_t)~CONN_KEEP;
	return false;
}

static void act(struct conn *c, struct exchange_job *xj)
{
	struct verdict *v = &xj->verdict;
	bool room = has_room(c, xj);

	if (v->kind != VERDICT_PARK) {
		conn_reply_verdict(c, v);
		return;
	}
	if (c->flags & CONN_HALF_CLOSED) {
		conn_close(c, "hung up before parking");
		return;
	}
	if (conn_loop(c)->draining) {
		conn_reply_simple(c, 200, S("application/vnd.ms-sync.wbxml"), v->expire_body, NULL);
		return;
	}
	if (!room || !park(c, xj))
		conn_reply_simple(c, 503, S_NONE, S_NONE, NULL);
}

static void exchange_done(struct job *j)
{
	struct exchange_job *xj = (struct exchange_job *)j;
	struct loop *l = xj->loop;
	struct conn *c;

	l->exchanges_running--;
	if (j->shed) {
		shed_verdict(xj);
		log_shed(xj);
	}
	if (l->hooks.after)
		l->hooks.after(l->hooks.self, xj->conn_id, xj->rq, &xj->verdict);
	c = conn_find(l, xj->conn_id);
	if (c && c->state == CONN_RUNNING) {
		act(c, xj);
		conn_settle(c);
	} else {
		l->late_answers++;
		metric_add(M_late_answers_total, 1);
	}
	/* Registered before the look, and now nobody is there to wait. */
	if (xj->verdict.kind == VERDICT_PARK && (!c || c->state != CONN_PARKED) && l->hooks.drop)
		l->hooks.drop(l->hooks.self, xj->conn_id);
	blob_free(&xj->verdict.body);
	request_free(&xj->rq);
	free(xj);
}

static bool may_park(const struct request *rq)
{
	return rq->query.command == EAS_CMD_PING || rq->query.command == EAS_CMD_SYNC;
}

void conn_request_done(struct conn *c)
{
	struct loop *l = conn_loop(c);
	struct xfer *x = c->x;
	struct exchange_job *xj;

	body_end(&x->body);
	if (!x->route.exchange) {
		answer_route(c, &x->route);
		return;
	}
	xj = mem_alloc(sizeof(*xj));
	xj->job = (struct job){ .cls = JOB_COMMAND, .run = exchange_work, .done = exchange_done };
	xj->loop = l;
	xj->work = l->deps.work;
	xj->rq = x->rq;
	xj->conn_id = conn_id(c);
	xj->bytes_in = x->body.in;
	x->rq = NULL;
	body_deinit(&x->body);
	http_deinit(&x->http);
	conn_set_state(c, CONN_RUNNING);
	if (l->hooks.before && may_park(xj->rq))
		l->hooks.before(l->hooks.self, xj->conn_id, xj->rq);
	l->exchanges_running++;
	job_submit(l->jobs, &xj->job);
}

/* -- answers of parked phones ------------------------------------------------------------ */

bool conn_answer_parked(struct loop *l, uint64_t id, int http_status, struct slice wbxml_body)
{
	struct conn *c = conn_find(l, id);

	if (!c || c->state != CONN_PARKED)
		return false;
	conn_reply_simple(c, http_status, S("application/vnd.ms-sync.wbxml"), wbxml_body, NULL);
	conn_settle(c);
	return true;
}

bool conn_answer_verdict(struct loop *l, uint64_t id, struct verdict *v)
{
	struct conn *c = conn_find(l, id);

	if (!c || c->state != CONN_PARKED) {
		blob_free(&v->body);
		return false;
	}
	conn_reply_verdict(c, v);
	conn_settle(c);
	return true;
}
