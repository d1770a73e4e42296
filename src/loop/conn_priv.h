/* conn_priv.h - what the conn_*.c files share. conn.c: slab, states, deadlines;
 * conn_io.c: bytes in and out; conn_job.c: request to job to reply. */
#ifndef LOOP_CONN_PRIV_H
#define LOOP_CONN_PRIV_H

#include "loop/conn.h"
#include "loop/route.h"
#include "loop/server.h"

enum conn_state {
	CONN_FREE,
	CONN_PROXY,       /* a trusted proxy's PROXY line is to come */
	CONN_HANDSHAKE,   /* TLS: the peer has to send */
	CONN_HANDSHAKING, /* TLS: a worker has the engine */
	CONN_IDLE,        /* kept alive between two requests: no xfer */
	CONN_HEAD,
	CONN_BODY,
	CONN_RUNNING,     /* a worker has the request */
	CONN_PARKED,
	CONN_WRITING,
	CONN_LINGER,      /* answered and shut: reads over what the peer still sends */
	CONN_CLOSING,     /* handle closing; the slot is free after its callback */
	CONN_STATES
};

enum {
	CONN_TLS = 1 << 0,
	CONN_HALF_CLOSED = 1 << 1, /* the peer sends no more */
	CONN_KEEP = 1 << 2,        /* keep alive after this reply */
	CONN_HEAD_ONLY = 1 << 3,   /* HEAD: no body in the reply */
	CONN_TRUSTED = 1 << 4,     /* a trusted proxy */
	CONN_COUNTED = 1 << 5,     /* in the count of its address */
	CONN_HURRIED = 1 << 6,     /* parked, and the peer sent bytes already */
	CONN_LINGERS = 1 << 7,     /* reply ends in CONN_LINGER: the peer may still be sending */
};

/* Bytes in a heap buffer, used up from the front. */
struct queue_buf {
	char *p;
	size_t off, len, cap;
};
static inline struct slice queue_slice(const struct queue_buf *q)
{
	return slice(q->p ? q->p + q->off : NULL, q->len - q->off);
}
void queue_put(struct queue_buf *q, struct slice s);
/* Drops n from the front; empties in place. */
void queue_drop(struct queue_buf *q, size_t n);
void queue_free(struct queue_buf *q);

/* While a request is read, run or answered. */
struct xfer {
	struct http_parser http;
	struct body body;
	struct route route;
	struct request *rq;       /* ours until the job takes it */
	struct queue_buf pending; /* bytes behind the request: the next one */
	struct queue_buf head;    /* 100 Continue, reply head and small bodies */
	struct blob *reply;
	uint64_t reply_off;
	bool reading;             /* a worker brings the next part of a spilled reply from disk */
	uint64_t moved;           /* bytes since the deadline was set */
	uint64_t lingered;
	int64_t began_ms;
	int refuse;               /* status to refuse with when the body is too large */
};

struct wire; /* tlsio.h: TLS state of a connection; NULL on plain ones */

/* Owner: the slab. Parked: this, its TLS keys, and the push registry's waiter. */
struct conn {
	uv_poll_t poll;
	struct loop_timer timer;
	struct xfer *x;
	struct wire *wire;
	uint8_t addr[16];
	uint64_t user;    /* hash of the one it is counted for; 0: none */
	uint32_t index, gen;
	uint32_t next_free;
	int fd;
	uint16_t port;
	uint8_t state, flags, mask;
};

static inline struct loop *conn_loop(const struct conn *c)
{
	return c->poll.loop->data;
}
static inline uint64_t conn_id(const struct conn *c)
{
	return (uint64_t)c->gen << 32 | c->index;
}
const char *conn_state_name(const struct conn *c);

/* conn.c */
struct conn *conn_find(struct loop *l, uint64_t id); /* NULL: gone */
void conn_set_state(struct conn *c, enum conn_state s);
/* The deadline of the state anew, when enough moved. */
void conn_progress(struct conn *c, size_t bytes);
void conn_poll(struct conn *c); /* mask by state and pending output */
void conn_close(struct conn *c, const char *why);
struct xfer *conn_xfer(struct conn *c); /* made when missing */
void conn_drop_xfer(struct conn *c);
bool conn_trusted(const struct loop_config *g, const uint8_t addr[16]);
struct slice conn_peer_text(const struct conn *c, char *buf, size_t n);

/* Counts it for this user, who was verified. False: the user has enough of them. */
bool conn_count_user(struct conn *c, struct slice user);

/* conn_io.c */
void conn_on_poll(uv_poll_t *h, int status, int events);
/* Does all that can be done without waiting: writes, then reads the next
 * pipelined request, and so on. Every entry ends here. The conn may be closed after. */
void conn_settle(struct conn *c);
bool conn_output(const struct conn *c); /* something to write */
/* Plaintext that arrived. */
void conn_input(struct conn *c, struct slice in);

/* conn_job.c */
/* The head is there: route it. */
void conn_head_done(struct conn *c);
/* The request is whole: make it a job, or answer. */
void conn_request_done(struct conn *c);
/* Answer without a worker; close: after it, with lingering. */
void conn_refuse(struct conn *c, int status, const struct err *e);
void conn_reply_simple(struct conn *c, int status, struct slice type, struct slice body, const char *header);
void conn_reply_verdict(struct conn *c, struct verdict *v);
/* The reply is written: next request, linger or close. */
void conn_reply_done(struct conn *c);

#endif
