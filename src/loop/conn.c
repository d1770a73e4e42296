/* conn.c - slab of connections, their states and deadlines.
 * Loop thread only. The table owns the slab chunks; a slot is reused after its
 * poll handle's close callback, with the next generation, so that an old id
 * misses. Trap: conn_close may run inside any call that reads or writes;
 * callers look at the state afterwards, the slot itself stays valid this turn. */
#include "loop/conn_priv.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "loop/counts.h"
#include "loop/tlsio.h"

enum {
	CHUNK = 256,
	MAX_CHUNKS = 8192,        /* 2 million connections */
	PROGRESS_BYTES = 16 * 1024,
	LINGER_MS = 2000,
};

struct conn_table {
	struct conn *chunk[MAX_CHUNKS];
	uint32_t n_chunks, free_head; /* index + 1; 0 none */
	unsigned count, parked, tls;
	struct counts users;
	struct log_limit log_user;
};

/* One row a state: what to wait for, and how long. */
static const struct state_row {
	const char *name;
	uint8_t mask;
	size_t deadline;    /* offset of an int64_t in loop_config; 0 none */
	int64_t fixed_ms;
} states[CONN_STATES] = {
	[CONN_FREE] = { "free", 0, 0, 0 },
	[CONN_PROXY] = { "proxy", UV_READABLE, offsetof(struct loop_config, head_ms), 0 },
	[CONN_HANDSHAKE] = { "handshake", UV_READABLE, offsetof(struct loop_config, handshake_ms), 0 },
	[CONN_HANDSHAKING] = { "handshaking", UV_DISCONNECT, 0, 0 },
	[CONN_IDLE] = { "idle", UV_READABLE, offsetof(struct loop_config, idle_ms), 0 },
	[CONN_HEAD] = { "head", UV_READABLE, offsetof(struct loop_config, head_ms), 0 },
	[CONN_BODY] = { "body", UV_READABLE, offsetof(struct loop_config, body_ms), 0 },
	[CONN_RUNNING] = { "running", UV_DISCONNECT, 0, 0 },
	[CONN_PARKED] = { "parked", UV_READABLE | UV_DISCONNECT, 0, 0 },
	[CONN_WRITING] = { "writing", UV_DISCONNECT, offsetof(struct loop_config, write_ms), 0 },
	[CONN_LINGER] = { "linger", UV_READABLE, 0, LINGER_MS },
	[CONN_CLOSING] = { "closing", 0, 0, 0 },
};

const char *conn_state_name(const struct conn *c)
{
	return states[c->state].name;
}

/* -- buffers ---------------------------------------------------------------- */

void queue_put(struct queue_buf *q, struct slice s)
{
	if (s.len == 0)
		return;
	if (q->off && q->off == q->len)
		q->off = q->len = 0;
	if (q->len + s.len > q->cap) {
		size_t cap = q->cap ? q->cap : 512;

		if (q->off) {
			memmove(q->p, q->p + q->off, q->len - q->off);
			q->len -= q->off;
			q->off = 0;
		}
		while (cap < q->len + s.len)
			cap *= 2;
		q->p = mem_realloc(q->p, cap);
		q->cap = cap;
	}
	memcpy(q->p + q->len, s.ptr, s.len);
	q->len += s.len;
}

void queue_drop(struct queue_buf *q, size_t n)
{
	q->off += n;
	if (q->off == q->len)
		q->off = q->len = 0;
}

void queue_free(struct queue_buf *q)
{
	if (q->p)
		mem_wipe(q->p, q->cap);
	free(q->p);
	*q = (struct queue_buf){ 0 };
}

/* -- slab -------------------------------------------------------------------- */

static struct conn *slot(const struct conn_table *t, uint32_t index)
{
	return &t->chunk[index / CHUNK][index % CHUNK];
}

static void add_chunk(struct conn_table *t)
{
	struct conn *v;

	if (t->n_chunks == MAX_CHUNKS)
		return;
	v = mem_alloc(CHUNK * sizeof(*v));
	for (uint32_t i = CHUNK; i-- > 0;) {
		v[i].index = t->n_chunks * CHUNK + i;
		v[i].gen = 1;
		v[i].next_free = t->free_head;
		t->free_head = v[i].index + 1;
	}
	t->chunk[t->n_chunks++] = v;
}

static struct conn *take_slot(struct conn_table *t)
{
	struct conn *c;

	if (!t->free_head)
		add_chunk(t);
	if (!t->free_head)
		return NULL;
	c = slot(t, t->free_head - 1);
	t->free_head = c->next_free;
	return c;
}

static void on_closed(uv_handle_t *h)
{
	struct conn *c = h->data;
	struct conn_table *t = conn_loop(c)->conns;

	c->state = CONN_FREE;
	c->gen = c->gen == UINT32_MAX ? 1 : c->gen + 1;
	c->next_free = t->free_head;
	t->free_head = c->index + 1;
}

struct conn *conn_find(struct loop *l, uint64_t id)
{
	uint32_t index = (uint32_t)id, gen = (uint32_t)(id >> 32);
	struct conn *c;

	if (index >= l->conns->n_chunks * CHUNK)
		return NULL;
	c = slot(l->conns, index);
	return c->gen == gen && c->state != CONN_FREE && c->state != CONN_CLOSING ? c : NULL;
}

/* -- states -------------------------------------------------------------------- */

void conn_poll(struct conn *c)
{
	int mask;

	if (c->state == CONN_FREE || c->state == CONN_CLOSING)
		return;
	mask = states[c->state].mask;
	if (c->flags & CONN_HALF_CLOSED)
		mask &= ~(UV_READABLE | UV_DISCONNECT);
	if (c->flags & CONN_HURRIED)
		mask &= ~UV_READABLE;
	if (conn_output(c))
		mask |= UV_WRITABLE;
	if (mask == c->mask)
		return;
	c->mask = (uint8_t)mask;
	if (mask)
		uv_poll_start(&c->poll, mask, conn_on_poll);
	else
		uv_poll_stop(&c->poll);
}

static void arm_deadline(struct conn *c)
{
	struct loop *l = conn_loop(c);
	const struct state_row *row = &states[c->state];
	int64_t ms = row->fixed_ms;

	if (row->deadline)
		ms = *(const int64_t *)((const char *)&l->config + row->deadline);
	if (ms)
		loop_timer_set(l, &c->timer, loop_now(l) + ms);
	else
		loop_timer_cancel(&c->timer);
	if (c->x)
		c->x->moved = 0;
}

void conn_set_state(struct conn *c, enum conn_state s)
{
	struct conn_table *t = conn_loop(c)->conns;

	ASSERT(c->state != CONN_CLOSING && s != CONN_FREE);
	t->parked -= c->state == CONN_PARKED;
	t->parked += s == CONN_PARKED;
	if ((c->state == CONN_PARKED) != (s == CONN_PARKED))
		metric_set(M_parked, t->parked);
	c->state = (uint8_t)s;
	c->flags &= (uint8_t)~CONN_HURRIED;
	if (s == CONN_CLOSING)
		loop_timer_cancel(&c->timer);
	else
		arm_deadline(c);
	conn_poll(c);
}

void conn_progress(struct conn *c, size_t bytes)
{
	c->x->moved += bytes;
	/* A floor on the rate: so many bytes buy the state's time again. */
	if (c->x->moved >= PROGRESS_BYTES)
		arm_deadline(c);
}

static void on_deadline(struct loop *l, struct loop_timer *t)
{
	struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, timer));
	struct err e;

	(void)l;
	if (c->x && (c->state == CONN_HEAD || c->state == CONN_BODY)) {
		err_set(&e, ERR_TIMEOUT, "request too slow");
		conn_refuse(c, 408, &e);
		conn_settle(c);
		return;
	}
	conn_close(c, "deadline");
}

/* -- life ------------------------------------------------------------------------ */

struct xfer *conn_xfer(struct conn *c)
{
	return c->x ? c->x : (c->x = mem_alloc(sizeof(*c->x)));
}

void conn_drop_xfer(struct conn *c)
{
	struct xfer *x = c->x;

	c->x = NULL;
	if (!x)
		return;
	http_deinit(&x->http);
	body_deinit(&x->body);
	if (x->rq)
		request_free(&x->rq);
	blob_free(&x->reply);
	queue_free(&x->pending);
	queue_free(&x->head);
	free(x);
}

static bool in_block(const uint8_t addr[16], const struct net_block *b)
{
	unsigned bytes = b->bits / 8, bits = b->bits % 8;

	if (memcmp(addr, b->addr, bytes))
		return false;
	return !bits || !((addr[bytes] ^ b->addr[bytes]) & (uint8_t)(0xff00 >> bits));
}

bool conn_trusted(const struct loop_config *g, const uint8_t addr[16])
{
	for (size_t i = 0; i < g->n_proxies; i++)
		if (in_block(addr, &g->proxies[i]))
			return true;
	return false;
}

struct slice conn_peer_text(const struct conn *c, char *buf, size_t n)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }, none[16];

	if (!memcmp(c->addr, none, 16))
		return S("unix");
	if (!memcmp(c->addr, mapped, 12))
		inet_ntop(AF_INET, c->addr + 12, buf, (socklen_t)n);
	else
		inet_ntop(AF_INET6, c->addr, buf, (socklen_t)n);
	return slice_str(buf);
}

static void socket_options(int fd, int64_t keepalive_ms)
{
	int on = 1, idle = (int)(keepalive_ms / 1000), each = 30, times = 4;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (idle <= 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &each, sizeof(each));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
}

static void reset_slot(struct conn *c, int fd, const struct conn_origin *from)
{
	c->x = NULL;
	c->wire = NULL;
	c->user = 0;
	c->fd = fd;
	c->port = from->port;
	memcpy(c->addr, from->addr, sizeof(c->addr));
	c->mask = 0;
	c->flags = CONN_COUNTED | (from->tls ? CONN_TLS : 0);
	c->state = CONN_IDLE;
	loop_timer_init(&c->timer, on_deadline);
}

void conn_open(struct loop *l, int fd, const struct conn_origin *from)
{
	struct conn *c = take_slot(l->conns);

	if (!c || uv_poll_init(&l->uv, &c->poll, fd) < 0) {
		if (c) {
			c->next_free = l->conns->free_head;
			l->conns->free_head = c->index + 1;
		}
		server_release(l, from->addr);
		close(fd);
		return;
	}
	c->poll.data = c;
	reset_slot(c, fd, from);
	socket_options(fd, l->config.keepalive_ms);
	l->conns->count++;
	l->conns->tls += from->tls;
	metric_set(M_connections, l->conns->count);
	metric_add(M_connections_total, 1);
	if (conn_trusted(&l->config, from->addr))
		c->flags |= CONN_TRUSTED;
	if (l->config.proxy_protocol && (c->flags & CONN_TRUSTED))
		conn_set_state(c, CONN_PROXY);
	else if (from->tls)
		tlsio_start(c);
	else
		conn_set_state(c, CONN_HEAD); /* the first request has the head's time, not the idle one */
}

static void release_user(struct conn *c)
{
	uint8_t key[16] = { 0 };

	if (!c->user)
		return;
	memcpy(key, &c->user, 8);
	counts_release(&conn_loop(c)->conns->users, key);
	c->user = 0;
}

bool conn_count_user(struct conn *c, struct slice user)
{
	struct loop *l = conn_loop(c);
	struct sha256 d = digest_sha256(user);
	uint8_t key[16] = { 0 };
	uint64_t hash;

	memcpy(&hash, d.b, 8);
	hash |= 1;
	if (c->user == hash)
		return true;
	release_user(c); /* a balancer's connection carries many */
	memcpy(key, &hash, 8);
	if (counts_take(&l->conns->users, key, l->config.connections_per_user)) {
		c->user = hash;
		return true;
	}
	if (log_allowed(&l->conns->log_user, loop_now(l), 1, 10000))
		LOG_W("user_limit", L_S("user", user), L_Z("do", "see limits.connections_per_user"));
	return false;
}

void conn_close(struct conn *c, const char *why)
{
	struct loop *l = conn_loop(c);
	bool parked = c->state == CONN_PARKED;

	if (c->state == CONN_CLOSING)
		return;
	LOG_D("conn_closed", L_Z("why", why), L_Z("state", conn_state_name(c)), L_I("conn", conn_id(c)));
	if (parked && l->hooks.drop)
		l->hooks.drop(l->hooks.self, conn_id(c));
	conn_set_state(c, CONN_CLOSING);
	conn_drop_xfer(c);
	tlsio_free(c);
	release_user(c);
	if (c->flags & CONN_COUNTED)
		server_release(l, c->addr);
	l->conns->count--;
	l->conns->tls -= (c->flags & CONN_TLS) != 0;
	metric_set(M_connections, l->conns->count);
	uv_close((uv_handle_t *)&c->poll, on_closed);
	close(c->fd);
	c->fd = -1;
}

/* -- table --------------------------------------------------------------------------- */

int conn_table_new(struct conn_table **t_r, struct loop *l, struct err *e)
{
	(void)e;
	*t_r = mem_alloc(sizeof(**t_r));
	counts_init(&(*t_r)->users, rnd_u64(l->deps.rnd));
	return 0;
}

void conn_table_free(struct conn_table **tp)
{
	struct conn_table *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n_chunks; i++)
		free(t->chunk[i]);
	counts_deinit(&t->users);
	free(t);
}

unsigned conn_count(const struct loop *l)
{
	return l->conns->count;
}

unsigned conn_tls_count(const struct loop *l)
{
	return l->conns->tls;
}

unsigned conn_parked_count(const struct loop *l)
{
	return l->conns->parked;
}

size_t conn_parked_bytes(void)
{
	return sizeof(struct conn);
}

static void each(struct loop *l, void (*fn)(struct conn *c))
{
	for (uint32_t i = 0; i < l->conns->n_chunks * CHUNK; i++) {
		struct conn *c = slot(l->conns, i);

		if (c->state != CONN_FREE && c->state != CONN_CLOSING)
			fn(c);
	}
}

static void drain_one(struct conn *c)
{
	c->flags &= (uint8_t)~CONN_KEEP;
	if (c->state == CONN_IDLE || c->state == CONN_LINGER || (c->state == CONN_HEAD && !c->x))
		conn_close(c, "drain");
	else if (c->state == CONN_PARKED && !conn_loop(c)->hooks.drain)
		conn_close(c, "drain");
}

static void kill_one(struct conn *c)
{
	conn_close(c, "shutdown");
}

void conn_drain_all(struct loop *l)
{
	each(l, drain_one);
}

void conn_kill_all(struct loop *l)
{
	each(l, kill_one);
}

void conn_kill(struct loop *l, uint64_t id)
{
	struct conn *c = conn_find(l, id);

	if (c)
		conn_close(c, "killed");
}

bool conn_is_parked(struct loop *l, uint64_t id)
{
	struct conn *c = conn_find(l, id);

	return c && c->state == CONN_PARKED;
}
