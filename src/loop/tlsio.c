/* tlsio.c - TLS of one connection: engine for the handshake, then records.
 * Loop thread, except handshake_work on a worker. Owns struct wire. While a
 * job has the engine, wire->engine is NULL and nothing is read; a connection
 * that dies meanwhile is missed by the job's id, and the job frees the engine.
 * A parked connection keeps struct wire only (128 bytes). */
#include "loop/tlsio.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/metrics.h"
#include "loop/tls.h"

/* What an active one has beyond its keys. */
struct wire_live {
	struct tlsrec_live *rec;
	struct queue_buf in;  /* a record that is not whole yet */
	struct queue_buf out; /* sealed records that wait for the socket */
};

struct wire {
	struct tlsrec rec;
	struct wire_live *live;
	struct tls_engine *engine; /* shaking hands, or kept (`kept`) */
	bool kept, shut;
};

struct handshake_job {
	struct job job;
	struct loop *loop; /* used in done only */
	struct tls_engine *engine;
	uint64_t conn_id;
	enum tls_progress progress;
	struct err err;
};

/* -- life --------------------------------------------------------------------- */

static struct wire_live *live(struct wire *w)
{
	if (!w->live)
		w->live = mem_alloc(sizeof(*w->live));
	if (!w->live->rec && !w->engine && w->rec.suite)
		w->live->rec = tlsrec_live_new(&w->rec);
	return w->live;
}

static void drop_live(struct wire *w)
{
	if (!w->live)
		return;
	tlsrec_live_free(&w->live->rec);
	queue_free(&w->live->in);
	queue_free(&w->live->out);
	free(w->live);
	w->live = NULL;
}

void tlsio_start(struct conn *c)
{
	struct wire *w = mem_alloc(sizeof(*w));

	c->wire = w;
	w->engine = tls_engine_new(conn_loop(c)->tls);
	conn_set_state(c, CONN_HANDSHAKE);
}

void tlsio_free(struct conn *c)
{
	struct wire *w = c->wire;

	c->wire = NULL;
	if (!w)
		return;
	drop_live(w);
	if (w->kept)
		metric_add(M_tls_engine_kept, -1);
	tls_engine_free(&w->engine);
	tlsrec_wipe(&w->rec);
	free(w);
}

void tlsio_park(struct conn *c)
{
	struct wire *w = c->wire;

	if (w->live && !queue_slice(&w->live->in).len && !queue_slice(&w->live->out).len)
		drop_live(w);
}

/* -- out ------------------------------------------------------------------------ */

bool tlsio_output(const struct conn *c)
{
	const struct wire *w = c->wire;

	return (w->engine && tls_engine_output(w->engine).len) || (w->live && queue_slice(&w->live->out).len);
}

/* Bytes sent; 0 socket full; -1. */
static ssize_t send_bytes(struct conn *c, struct slice s)
{
	ssize_t n = send(c->fd, s.ptr, s.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return n;
}

int tlsio_flush(struct conn *c)
{
	struct wire *w = c->wire;

	for (;;) {
		struct slice s = w->engine ? tls_engine_output(w->engine) : S_NONE;
		bool engine = s.len > 0;
		ssize_t n;

		if (!engine && w->live)
			s = queue_slice(&w->live->out);
		if (s.len == 0)
			return 1;
		n = send_bytes(c, s);
		if (n <= 0)
			return (int)n;
		if (engine)
			tls_engine_sent(w->engine, (size_t)n);
		else
			queue_drop(&w->live->out, (size_t)n);
	}
}

ssize_t tlsio_seal(struct conn *c, struct slice plain)
{
	struct wire *w = c->wire;
	char *out = conn_loop(c)->sealed;
	size_t used;
	ssize_t n;

	if (w->kept)
		return tls_engine_write(w->engine, plain);
	if (!w->rec.suite)
		return -1;
	n = tlsrec_seal(live(w)->rec, plain, out, &used);
	if (n < 0)
		return -1;
	queue_put(&w->live->out, slice(out, (size_t)n));
	return (ssize_t)used;
}

static void put_alert(struct conn *c, enum tlsrec_alert alert)
{
	struct wire *w = c->wire;
	char out[TLSREC_OVERHEAD_MAX + 2];
	ssize_t n;

	if (w->shut || (!w->kept && !w->rec.suite))
		return;
	w->shut = true;
	if (w->kept) {
		tls_engine_shut(w->engine);
		return;
	}
	n = tlsrec_seal_alert(live(w)->rec, alert, out);
	if (n > 0)
		queue_put(&w->live->out, slice(out, (size_t)n));
}

void tlsio_shut(struct conn *c)
{
	put_alert(c, TLSREC_CLOSE_NOTIFY);
	tlsio_flush(c);
}

static void fail(struct conn *c, enum tlsrec_alert alert, const char *why)
{
	put_alert(c, alert);
	tlsio_flush(c);
	conn_close(c, why);
}

/* -- in: records ------------------------------------------------------------------ */

/* close_notify: as an end of the stream is, but said by the peer itself. */
static void peer_closed(struct conn *c)
{
	if (c->state == CONN_RUNNING || c->state == CONN_WRITING)
		c->flags |= CONN_HALF_CLOSED;
	else
		fail(c, TLSREC_CLOSE_NOTIFY, "close_notify");
}

/* Opens what is whole in buf, in place; how many bytes were used. */
static size_t open_records(struct conn *c, char *buf, size_t len)
{
	struct wire *w = c->wire;
	size_t at = 0;

	while (c->state != CONN_CLOSING) {
		struct tlsrec_in in;
		struct err e;
		int rc = tlsrec_open(w->live->rec, buf + at, len - at, &in, &e);

		if (rc == 0)
			break;
		if (rc < 0) {
			fail(c, in.alert, e.text);
			break;
		}
		at += in.used;
		if (in.closed) {
			peer_closed(c);
			break;
		}
		if (in.plain.len)
			conn_input(c, in.plain);
	}
	return at;
}

static void input_records(struct conn *c, struct slice in)
{
	struct wire *w = c->wire;
	struct queue_buf *held = &live(w)->in;
	size_t used;

	if (queue_slice(held).len) {
		struct slice all;

		queue_put(held, in);
		all = queue_slice(held);
		used = open_records(c, (char *)all.ptr, all.len);
		if (c->state != CONN_CLOSING)
			queue_drop(held, used);
		return;
	}
	used = open_records(c, (char *)in.ptr, in.len);
	if (c->state != CONN_CLOSING)
		queue_put(held, slice_from(in, used));
}

static void input_kept(struct conn *c, struct slice in)
{
	struct wire *w = c->wire;
	char *buf = conn_loop(c)->sealed; /* not the scratch: `in` is copied by then, but keep them apart */

	if (tls_engine_feed(w->engine, in) < 0) {
		conn_close(c, "too much behind a request");
		return;
	}
	while (c->state != CONN_CLOSING) {
		ssize_t n = tls_engine_read(w->engine, buf, TLSREC_PLAIN_MAX);

		if (n == 0)
			return;
		if (n < 0) {
			peer_closed(c);
			return;
		}
		conn_input(c, slice(buf, (size_t)n));
	}
}

/* -- in: handshake --------------------------------------------------------------------- */

/* The engine has done its work; the keys move into the record layer. */
static void established(struct conn *c)
{
	struct wire *w = c->wire;
	struct tls_engine *t = w->engine;
	struct queue_buf rest = { 0 };

	metric_add(tls_engine_resumed(t) ? M_tls_resumed_total : M_tls_handshakes_total, 1);
	LOG_D("tls", L_Z("version", tls_engine_version(t)), L_Z("suite", tls_engine_suite(t)),
	      L_I("resumed", tls_engine_resumed(t)), L_I("conn", conn_id(c)));
	queue_put(&rest, tls_engine_rest(t));
	if (tls_engine_keys(t, &w->rec)) {
		w->engine = NULL;
		queue_put(&live(w)->out, tls_engine_output(t));
		tls_engine_free(&t);
		conn_set_state(c, CONN_HEAD);
		if (queue_slice(&rest).len)
			input_records(c, queue_slice(&rest));
	} else {
		w->kept = true;
		metric_add(M_tls_engine_kept, 1);
		conn_set_state(c, CONN_HEAD);
		input_kept(c, S_NONE);
	}
	queue_free(&rest);
}

static void handshake_next(struct conn *c);

static void handshake_result(struct conn *c, enum tls_progress p, const struct err *e)
{
	if (p == TLS_DONE) {
		established(c);
	} else if (p == TLS_FAILED) {
		LOG_D("tls_failed", L_Z("reason", e->text), L_I("conn", conn_id(c)));
		tlsio_flush(c);
		conn_close(c, "handshake failed");
	} else {
		if (c->state != CONN_HANDSHAKE)
			conn_set_state(c, CONN_HANDSHAKE);
		handshake_next(c);
	}
}

static void handshake_work(struct job *j)
{
	struct handshake_job *h = (struct handshake_job *)j;

	h->progress = tls_engine_step(h->engine, &h->err);
}

static void count_handshakes(struct loop *l, int n)
{
	l->handshakes += (unsigned)n;
	if (l->handshakes >= l->config.handshakes)
		server_pause_tls(l, true);
	else if (l->handshakes <= l->config.handshakes / 4 * 3)
		server_pause_tls(l, false);
}

static void handshake_done(struct job *j)
{
	struct handshake_job *h = (struct handshake_job *)j;
	struct loop *l = h->loop;
	struct conn *c = conn_find(l, h->conn_id);

	count_handshakes(l, -1);
	if (c && c->state == CONN_HANDSHAKING && c->wire) {
		c->wire->engine = h->engine;
		h->engine = NULL;
		if (j->shed) {
			conn_close(c, "handshake shed");
		} else {
			handshake_result(c, h->progress, &h->err);
			conn_settle(c);
		}
	}
	tls_engine_free(&h->engine);
	free(h);
}

static void submit_handshake(struct conn *c)
{
	struct loop *l = conn_loop(c);
	struct handshake_job *h = mem_alloc(sizeof(*h));

	h->job = (struct job){ .cls = JOB_HANDSHAKE, .run = handshake_work, .done = handshake_done };
	h->loop = l;
	h->engine = c->wire->engine;
	h->conn_id = conn_id(c);
	c->wire->engine = NULL;
	conn_set_state(c, CONN_HANDSHAKING);
	count_handshakes(l, 1);
	job_submit(l->jobs, &h->job);
}

static void handshake_next(struct conn *c)
{
	struct err e = { 0 };

	switch (tls_engine_cost(c->wire->engine)) {
	case TLS_WAIT:
		break;
	case TLS_CHEAP:
		handshake_result(c, tls_engine_step(c->wire->engine, &e), &e);
		break;
	case TLS_COSTLY:
		submit_handshake(c);
		break;
	}
}

void tlsio_input(struct conn *c, struct slice in)
{
	struct wire *w = c->wire;

	if (w->kept) {
		input_kept(c, in);
	} else if (!w->engine) {
		input_records(c, in);
	} else if (tls_engine_feed(w->engine, in) < 0) {
		conn_close(c, "handshake too long");
	} else {
		handshake_next(c);
	}
}
