/* room.h - struct loop and what the files of this room share: the wheel, the
 * hooks between connections and the push registry, the scratch buffers. Not for
 * other rooms. Loop thread only. */
#ifndef LOOP_ROOM_H
#define LOOP_ROOM_H

#include <uv.h>

#include "base/role.h"
#include "base/wheel.h"
#include "loop/loop.h"
#include "work/exchange.h"

/* A deadline on the loop's wheel (100 ms ticks): embed, loop_timer_init, set. */
struct loop_timer {
	struct wheel_timer w;
	void (*fire)(struct loop *l, struct loop_timer *t);
};

/* How connections tell the push registry; push_init sets them. All may be NULL:
 * then a PARK verdict is answered 503. Every call is on the loop, and none may
 * call back into the connection named by the id (answers come in a later call). */
struct park_hooks {
	void *self;
	/* A request that may park is about to become a job: register first, check
	 * afterwards. `conn_id` is its connection. */
	void (*before)(void *self, uint64_t conn_id, const struct request *rq);
	/* Every verdict of an exchange, before it is acted upon: drop_user, ends_older. */
	void (*after)(void *self, uint64_t conn_id, const struct request *rq, const struct verdict *v);
	/* VERDICT_PARK: copy what is kept of v->park and v->expire_body (they go with
	 * the request). 0, or -1: not taken, the connection answers 503. */
	int (*park)(void *self, uint64_t conn_id, const struct request *rq, const struct verdict *v);
	/* The parked connection is gone. */
	void (*drop)(void *self, uint64_t conn_id);
	/* The phone sent bytes while parked: answer it now with its expire body. */
	void (*hurry)(void *self, uint64_t conn_id);
	/* SIGTERM: answer all parked ones, spread over that time. */
	void (*drain)(void *self, int64_t over_ms);
};

struct conn_table; /* conn.c */
struct server;     /* server.c */
struct tls_server; /* tls.c */

enum { LOOP_SCRATCH = 64 * 1024 };

struct loop {
	uv_loop_t uv;
	struct loop_config config;
	struct loop_deps deps;
	struct jobs *jobs;
	struct wheel wheel;
	uv_timer_t tick;
	int64_t tick_at_ms;     /* when it fires; INT64_MAX: it does not */
	uv_async_t stop;
	uv_prepare_t turn_end;
	uv_check_t turn_begin;
	uint64_t turn_began_us;
	int64_t turn_longest_us;
	uv_signal_t signals[3];
	struct conn_table *conns;
	struct server *server;
	struct tls_server *tls;
	struct park_hooks hooks;
	uint64_t next_rid;
	unsigned exchanges_running;
	unsigned handshakes;    /* jobs queued or running */
	uint64_t late_answers;
	bool draining, stopped;
	int64_t drain_end_ms;
	int64_t date_second;    /* `date` is of that second */
	char date[40];          /* "Tue, 24 Nov 2026 17:00:00 GMT" */
	char scratch[LOOP_SCRATCH]; /* socket reads; never kept over a callback */
	char scratch_out[LOOP_SCRATCH]; /* pread of spilled replies */
	char sealed[20 * 1024];         /* one record, sealed or opened by the engine */
};

static inline int64_t loop_now(const struct loop *l)
{
	return clock_now(l->deps.clock);
}
void loop_timer_init(struct loop_timer *t, void (*fire)(struct loop *l, struct loop_timer *t));
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at_ms);
void loop_timer_cancel(struct loop_timer *t);
/* Text for a Date header, made once a second. */
struct slice loop_date(struct loop *l);

int signal_init(struct loop *l, struct err *e);
void signal_close(struct loop *l);

#endif
