/* conn_io.c - bytes of a connection: socket to parser, reply to socket.
 * Loop thread only. conn_settle is the engine: every entry (poll event, job
 * done, answer of a parked one) puts something in place and lets it run until
 * nothing moves without waiting. Trap: any call here may close the connection;
 * look at the state before touching c->x again. */
#include "loop/conn_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/proxy.h"
#include "loop/tlsio.h"

enum {
	WRITE_BUDGET = 512 * 1024, /* per event: a fast reader must not hold the loop */
	LINGER_BYTES = 256 * 1024,
	AHEAD_BYTES = 1024 * 1024,
	TLS_RECORD = 16 * 1024,
};

static bool accepting(const struct conn *c)
{
	return c->state == CONN_IDLE || c->state == CONN_HEAD || c->state == CONN_BODY;
}

/* -- out ------------------------------------------------------------------- */

static bool plain_waiting(const struct conn *c)
{
	const struct xfer *x = c->x;

	return x && (queue_slice(&x->head).len || (x->reply && x->reply_off < blob_size(x->reply)));
}

bool conn_output(const struct conn *c)
{
	return (plain_waiting(c) && !c->x->reading) || (c->wire && tlsio_output(c));
}

/* -- spilled replies: the loop takes what is in the page cache, a worker fetches the rest -- */

struct ahead_job {
	struct job job;
	struct loop *loop; /* used in done only */
	uint64_t conn_id, off;
	int fd;            /* ours */
};

static void ahead_work(struct job *j)
{
	struct ahead_job *a = (struct ahead_job *)j;
	char buf[16 * 1024];

	for (uint64_t off = a->off; off < a->off + AHEAD_BYTES; off += sizeof(buf))
		if (pread(a->fd, buf, sizeof(buf), (off_t)off) <= 0)
			break;
}

static void ahead_done(struct job *j)
{
	struct ahead_job *a = (struct ahead_job *)j;
	struct conn *c = conn_find(a->loop, a->conn_id);

	if (c && c->state == CONN_WRITING && c->x && c->x->reading) {
		c->x->reading = false;
		if (j->shed)
			conn_close(c, "read ahead shed");
		conn_settle(c);
	}
	close(a->fd);
	free(a);
}

/* False: no descriptor for it; the caller reads itself. */
static bool read_ahead(struct conn *c)
{
	int fd = dup(blob_fd(c->x->reply));
	struct ahead_job *a;

	if (fd < 0)
		return false;
	a = mem_alloc(sizeof(*a));
	a->job = (struct job){ .cls = JOB_COMMAND, .run = ahead_work, .done = ahead_done };
	a->loop = conn_loop(c);
	a->conn_id = conn_id(c);
	a->off = c->x->reply_off;
	a->fd = fd;
	c->x->reading = true;
	job_submit(a->loop->jobs, &a->job);
	return true;
}

/* Bytes into scratch_out; 0: a worker fetches them; -1. */
static ssize_t read_spilled(struct conn *c)
{
	struct loop *l = conn_loop(c);
	struct xfer *x = c->x;
	struct iovec v = { l->scratch_out, LOOP_SCRATCH };
	ssize_t n = preadv2(blob_fd(x->reply), &v, 1, (off_t)x->reply_off, RWF_NOWAIT);

	if (n > 0)
		return n;
	if (n < 0 && errno == EAGAIN && read_ahead(c))
		return 0;
	/* File systems in memory know no RWF_NOWAIT, and need none. */
	n = blob_read(x->reply, x->reply_off, l->scratch_out, LOOP_SCRATCH);
	return n > 0 ? n : -1;
}

/* The next pieces of plaintext, 0 while they are fetched; -1 when a spilled reply
 * cannot be read. */
static int gather(struct conn *c, struct iovec iov[2])
{
	struct xfer *x = c->x;
	struct slice head = queue_slice(&x->head);
	int n = 0;
	const char *mem;
	ssize_t got;

	if (head.len)
		iov[n++] = (struct iovec){ (void *)head.ptr, head.len };
	if (!x->reply || x->reply_off >= blob_size(x->reply))
		return n;
	mem = blob_memory(x->reply);
	if (mem) {
		iov[n++] = (struct iovec){ (void *)(mem + x->reply_off), blob_size(x->reply) - x->reply_off };
		return n;
	}
	got = read_spilled(c);
	if (got <= 0)
		return got < 0 ? -1 : n;
	iov[n++] = (struct iovec){ conn_loop(c)->scratch_out, (size_t)got };
	return n;
}

static void advance(struct xfer *x, size_t n)
{
	size_t head = queue_slice(&x->head).len;

	if (head > n)
		head = n;
	queue_drop(&x->head, head);
	x->reply_off += n - head;
}

/* Bytes sent, 0 socket full, -1. */
static ssize_t send_some(struct conn *c)
{
	struct iovec iov[2];
	int n = gather(c, iov);
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };
	ssize_t sent;

	if (n <= 0)
		return n;
	sent = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	advance(c->x, (size_t)sent);
	return sent;
}

/* One record out of up to two pieces. */
static ssize_t seal_some(struct conn *c)
{
	struct iovec iov[2];
	int n = gather(c, iov);
	char small[2048];
	struct slice plain;
	ssize_t took;

	if (n <= 0)
		return n;
	plain = slice(iov[0].iov_base, iov[0].iov_len);
	if (n == 2 && iov[0].iov_len + iov[1].iov_len <= sizeof(small)) {
		/* Head and a small body share a record and a packet. */
		memcpy(small, iov[0].iov_base, iov[0].iov_len);
		memcpy(small + iov[0].iov_len, iov[1].iov_base, iov[1].iov_len);
		plain = slice(small, iov[0].iov_len + iov[1].iov_len);
	}
	took = tlsio_seal(c, slice_to(plain, TLS_RECORD));
	if (took > 0)
		advance(c->x, (size_t)took);
	return took;
}

/* 1 all written, 0 the socket is full, -1 dead. */
static int pump(struct conn *c)
{
	size_t done = 0;

	for (;;) {
		ssize_t n;

		if (c->wire) {
			int rc = tlsio_flush(c);

			if (rc != 1)
				return rc;
		}
		if (!plain_waiting(c))
			return 1;
		if (c->x->reading)
			return 0;
		n = c->wire ? seal_some(c) : send_some(c);
		if (n <= 0)
			return (int)n;
		conn_progress(c, (size_t)n);
		done += (size_t)n;
		if (done >= WRITE_BUDGET)
			return 0;
	}
}

/* -- in ---------------------------------------------------------------------- */

static int to_body(void *arg, struct slice chunk)
{
	return body_feed(arg, chunk);
}

static void begin_request(struct conn *c)
{
	struct loop *l = conn_loop(c);
	struct xfer *x = conn_xfer(c);
	struct http_limits limits = { l->config.head_bytes, l->config.head_count };

	if (!x->http.body)
		http_init(&x->http, &limits, to_body, &x->body);
	else if (c->state == CONN_IDLE)
		http_reset(&x->http);
	x->began_ms = loop_now(l);
	conn_set_state(c, CONN_HEAD);
}

/* One step of the parser; how many bytes it used. */
static size_t feed(struct conn *c, struct slice in)
{
	struct xfer *x;
	struct err e;
	size_t used;

	if (c->state == CONN_IDLE || !c->x || !c->x->http.body)
		begin_request(c);
	x = c->x;
	switch (http_feed(&x->http, in, &used, &e)) {
	case HTTP_MORE:
		if (c->state == CONN_BODY)
			conn_progress(c, used);
		break;
	case HTTP_HEAD_DONE:
		conn_head_done(c);
		if (c->state == CONN_BODY && x->http.whole)
			conn_request_done(c);
		break;
	case HTTP_COMPLETE:
		conn_request_done(c);
		break;
	case HTTP_BAD:
		if (x->http.bad_status == 0)
			conn_refuse(c, x->refuse, &x->body.err);
		else
			conn_refuse(c, x->http.bad_status, &e);
		break;
	}
	return used;
}

static bool is_blank(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] != '\r' && s.ptr[i] != '\n')
			return false;
	return true;
}

/* A waiting phone sent something: it wants an answer now. */
static void hurry(struct conn *c)
{
	struct loop *l = conn_loop(c);

	if (c->flags & CONN_HURRIED)
		return;
	c->flags |= CONN_HURRIED;
	if (l->hooks.hurry)
		l->hooks.hurry(l->hooks.self, conn_id(c));
}

static void linger(struct conn *c, size_t n)
{
	struct xfer *x = conn_xfer(c);

	x->lingered += n;
	if (x->lingered > LINGER_BYTES)
		conn_close(c, "linger");
}

void conn_input(struct conn *c, struct slice in)
{
	if (c->state == CONN_LINGER) {
		linger(c, in.len);
		return;
	}
	if (c->state == CONN_IDLE && !c->x && is_blank(in))
		return; /* a line end behind a body: older clients send one */
	if (c->state == CONN_PROXY) {
		proxy_input(c, in);
		return;
	}
	while (in.len && accepting(c) && !(c->x && queue_slice(&c->x->pending).len))
		in = slice_from(in, feed(c, in));
	if (in.len == 0 || c->state == CONN_CLOSING)
		return;
	if (c->state == CONN_PARKED && is_blank(in))
		return;
	queue_put(&conn_xfer(c)->pending, in);
	if (c->state == CONN_PARKED)
		hurry(c);
}

static bool feed_pending(struct conn *c)
{
	struct slice in;
	size_t used;

	if (!accepting(c) || !c->x)
		return false;
	in = queue_slice(&c->x->pending);
	if (in.len == 0)
		return false;
	used = feed(c, in);
	if (c->state == CONN_CLOSING || !c->x)
		return false;
	queue_drop(&c->x->pending, used);
	return true;
}

void conn_settle(struct conn *c)
{
	for (;;) {
		int rc = c->state == CONN_CLOSING ? 0 : pump(c);

		if (rc < 0)
			conn_close(c, "write");
		if (rc <= 0)
			break;
		if (c->state == CONN_WRITING)
			conn_reply_done(c);
		else if (!feed_pending(c))
			break;
	}
	conn_poll(c);
}

/* Parked on plain TCP: the bytes stay in the kernel, no buffer is made for them. */
static void peek_parked(struct conn *c)
{
	char few[64];
	ssize_t n = recv(c->fd, few, sizeof(few), MSG_PEEK | MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		conn_close(c, "hung up while parked");
		return;
	}
	if (n < 0)
		return;
	if (!is_blank(slice(few, (size_t)n)))
		hurry(c);
	else if (recv(c->fd, few, (size_t)n, MSG_DONTWAIT) < 0)
		conn_close(c, "read");
}

static void read_socket(struct conn *c)
{
	struct loop *l = conn_loop(c);
	ssize_t n = recv(c->fd, l->scratch, LOOP_SCRATCH, MSG_DONTWAIT);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			conn_close(c, "read");
		return;
	}
	if (n == 0) {
		conn_close(c, "peer closed");
		return;
	}
	if (c->wire)
		tlsio_input(c, slice(l->scratch, (size_t)n));
	else
		conn_input(c, slice(l->scratch, (size_t)n));
}

void conn_on_poll(uv_poll_t *h, int status, int events)
{
	struct conn *c = h->data;

	if (status < 0) {
		conn_close(c, "socket error");
		return;
	}
	if (events & UV_READABLE) {
		if (c->state == CONN_PARKED && !c->wire)
			peek_parked(c);
		else
			read_socket(c);
	}
	if ((events & UV_DISCONNECT) && c->state == CONN_HANDSHAKING)
		conn_close(c, "hung up in the handshake");
	/* No more requests, but an answer under way may still be read. */
	if ((events & UV_DISCONNECT) && c->state != CONN_CLOSING && !(c->mask & UV_READABLE))
		c->flags |= CONN_HALF_CLOSED;
	conn_settle(c);
}
