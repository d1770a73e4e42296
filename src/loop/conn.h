/* conn.h - one client connection: a small struct in a slab, and while it works
 * on a request a bigger `struct xfer` that is freed when it parks or idles.
 *
 * Others know a connection by its id (slab index + generation), never by
 * pointer: a connection may die while its job runs, and a late id misses.
 * One state, one setter (conn_set_state): the setter arms the deadline and the
 * poll mask of the state's row. Loop thread only. */
#ifndef LOOP_CONN_H
#define LOOP_CONN_H

#include "loop/room.h"

/* -- for the push registry -- */

/* Waits in Ping or Sync. False for an id that is gone. */
bool conn_is_parked(struct loop *l, uint64_t id);
/* Ends the wait. False (and nothing done) when it is not parked (any more). An
 * empty body: Content-Length 0 without a content type. Copies. */
bool conn_answer_parked(struct loop *l, uint64_t id, int http_status, struct slice wbxml_body);
/* The same with a whole verdict of a check (VERDICT_REPLY or _FAIL); takes v->body. */
bool conn_answer_verdict(struct loop *l, uint64_t id, struct verdict *v);
/* Close without an answer. */
void conn_kill(struct loop *l, uint64_t id);

/* -- for server.c -- */

struct conn_table;
struct conn_origin {
	uint8_t addr[16];  /* IPv6 or ::ffff:IPv4; all zero for a unix socket */
	uint16_t port;
	bool tls;
};

int conn_table_new(struct conn_table **t_r, struct loop *l, struct err *e);
void conn_table_free(struct conn_table **t);
/* Takes the accepted, non-blocking fd in every case. */
void conn_open(struct loop *l, int fd, const struct conn_origin *from);
unsigned conn_count(const struct loop *l);
unsigned conn_tls_count(const struct loop *l);
unsigned conn_parked_count(const struct loop *l);
/* Drain: idle ones go now, busy ones after their reply. */
void conn_drain_all(struct loop *l);
void conn_kill_all(struct loop *l);
size_t conn_parked_bytes(void);

#endif
