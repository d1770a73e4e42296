/* loop.c - one loop: made, run, watched, drained, freed.
 * Owns everything in struct loop (room.h). Thread: the caller's, which becomes
 * the loop thread in loop_run. Trap: jobs_free runs done callbacks, so the
 * connections and hooks must still be there: connections go after it. */
#include "loop/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/metrics.h"
#include "loop/conn.h"
#include "loop/server.h"
#include "loop/tls.h"

enum { TICK_MS = 100, /* of the wheel; the timer itself runs only when something is due */
       SLOW_TURN_US = 100 * 1000, DRAIN_GRACE_MS = 5000 };

/* -- timers ------------------------------------------------------------------- */

void loop_timer_init(struct loop_timer *t, void (*fire)(struct loop *l, struct loop_timer *t))
{
	wheel_timer_init(&t->w);
	t->fire = fire;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t at_ms)
{
	wheel_set(&l->wheel, &t->w, at_ms);
}

void loop_timer_cancel(struct loop_timer *t)
{
	wheel_cancel(&t->w);
}

static void fire(void *arg, struct wheel_timer *w)
{
	struct loop_timer *t = (struct loop_timer *)((char *)w - offsetof(struct loop_timer, w));

	t->fire(arg, t);
}

static void finish_drain(struct loop *l);

static void on_tick(uv_timer_t *h)
{
	struct loop *l = h->data;

	l->tick_at_ms = INT64_MAX;
	wheel_advance(&l->wheel, loop_now(l), fire, l);
	if (l->draining)
		finish_drain(l);
}

/* Before the loop sleeps: an idle process is not woken for nothing. */
static void arm_tick(struct loop *l)
{
	int64_t due = wheel_due_ms(&l->wheel), now = loop_now(l);

	if (l->draining && due > now + TICK_MS)
		due = now + TICK_MS;
	if (due >= l->tick_at_ms && due > now)
		return; /* a timer that comes too early does nothing and is set again */
	l->tick_at_ms = due;
	uv_update_time(&l->uv);
	uv_timer_start(&l->tick, on_tick, due > now ? (uint64_t)(due - now) : 0, 0);
}

struct slice loop_date(struct loop *l)
{
	time_t now = (time_t)(clock_wall(l->deps.clock) / 1000);
	struct tm tm;

	if (now != l->date_second || !l->date[0]) {
		gmtime_r(&now, &tm);
		strftime(l->date, sizeof(l->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		l->date_second = now;
	}
	return slice_str(l->date);
}

/* -- watchdog: how long a turn keeps the others waiting ------------------------------ */

static uint64_t now_us(void)
{
	return uv_hrtime() / 1000;
}

static void on_turn_begin(uv_check_t *h)
{
	((struct loop *)h->data)->turn_began_us = now_us();
}

static void on_turn_end(uv_prepare_t *h)
{
	static struct log_limit limit;
	struct loop *l = h->data;
	int64_t took;

	arm_tick(l);
	if (!l->turn_began_us)
		return;
	took = (int64_t)(now_us() - l->turn_began_us);
	if (took > l->turn_longest_us)
		l->turn_longest_us = took;
	if (took > metric_get(M_turn_longest_us))
		metric_set(M_turn_longest_us, took);
	if (took > SLOW_TURN_US && log_allowed(&limit, loop_now(l), 1, 10000))
		LOG_W("slow_turn", L_I("us", took), L_I("connections", conn_count(l)));
	l->turn_began_us = 0;
}

/* -- drain ----------------------------------------------------------------------------- */

void loop_drain(struct loop *l)
{
	if (l->draining)
		return;
	l->draining = true;
	l->drain_end_ms = loop_now(l) + l->config.drain_ms + DRAIN_GRACE_MS;
	LOG_I("drain", L_I("connections", conn_count(l)), L_I("parked", conn_parked_count(l)),
	      L_I("over_ms", l->config.drain_ms));
	server_stop(l);
	conn_drain_all(l);
	if (l->hooks.drain)
		l->hooks.drain(l->hooks.self, l->config.drain_ms);
}

static void finish_drain(struct loop *l)
{
	if (conn_count(l) && loop_now(l) < l->drain_end_ms)
		return;
	if (conn_count(l))
		LOG_W("drain_cut", L_I("connections", conn_count(l)));
	uv_stop(&l->uv);
}

/* -- life -------------------------------------------------------------------------------- */

static void on_stop(uv_async_t *h)
{
	uv_stop(h->loop);
}

static int start_jobs(struct loop *l, struct err *e)
{
	struct jobs_options o = {
		.workers = l->config.workers,
		.queue_max = l->config.queue_max,
		.stack_bytes = 1024 * 1024,
	};

	memcpy(o.max_wait_ms, l->config.job_wait_ms, sizeof(o.max_wait_ms));
	return jobs_new(&l->jobs, &l->uv, &o, e);
}

/* Handles that watch, but do not keep the loop alive by themselves. */
static void start_handles(struct loop *l)
{
	uv_async_init(&l->uv, &l->stop, on_stop);
	uv_timer_init(&l->uv, &l->tick);
	uv_check_init(&l->uv, &l->turn_begin);
	uv_prepare_init(&l->uv, &l->turn_end);
	l->tick.data = l->turn_begin.data = l->turn_end.data = l;
	l->tick_at_ms = INT64_MAX;
	uv_check_start(&l->turn_begin, on_turn_begin);
	uv_prepare_start(&l->turn_end, on_turn_end);
}

int loop_new(struct loop **l_r, const struct loop_config *c, const struct loop_deps *d, struct err *e)
{
	struct loop *l = mem_alloc(sizeof(*l));

	l->config = *c;
	l->deps = *d;
	if (uv_loop_init(&l->uv) < 0) {
		free(l);
		return err_set(e, ERR_LIMIT, "cannot make the event loop");
	}
	l->uv.data = l;
	wheel_init(&l->wheel, loop_now(l), TICK_MS);
	start_handles(l);
	server_new(l);
	server_raise_limits(l);
	*l_r = l;
	if (conn_table_new(&l->conns, l, e) < 0 || start_jobs(l, e) < 0 || signal_init(l, e) < 0) {
		loop_free(l_r);
		return -1;
	}
	return 0;
}

static int load_tls(struct loop *l, const char *certificate, const char *key, struct err *e)
{
	struct tls_options o = {
		.certificate = certificate,
		.key = key,
		.data_dir = l->deps.data_dir,
		.min_version = l->deps.tls_min_version,
		.secret = l->deps.secret,
		.clock = l->deps.clock,
		.rnd = l->deps.rnd,
	};
	struct tls_server *fresh;

	if (tls_server_new(&fresh, &o, e) < 0)
		return -1;
	tls_server_unref(&l->tls); /* handshakes under way hold their own reference */
	l->tls = fresh;
	return 0;
}

int loop_reload_tls(struct loop *l, const char *certificate, const char *key, struct err *e)
{
	return l->tls ? load_tls(l, certificate, key, e) : 0;
}

int loop_listen(struct loop *l, struct slice address, enum listen_kind kind, unsigned *port_r, struct err *e)
{
	if (kind == LISTEN_TLS && !l->tls && load_tls(l, l->deps.certificate, l->deps.key, e) < 0)
		return -1;
	return server_listen(l, address, kind, port_r, e);
}

void loop_run(struct loop *l)
{
	role_current = ROLE_LOOP;
	uv_run(&l->uv, UV_RUN_DEFAULT);
	role_current = ROLE_NONE;
}

void loop_stop(struct loop *l)
{
	uv_async_send(&l->stop);
}

static void close_handles(struct loop *l)
{
	uv_close((uv_handle_t *)&l->stop, NULL);
	uv_close((uv_handle_t *)&l->tick, NULL);
	uv_close((uv_handle_t *)&l->turn_begin, NULL);
	uv_close((uv_handle_t *)&l->turn_end, NULL);
	signal_close(l);
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	server_stop(l);
	if (l->conns)
		conn_kill_all(l);
	jobs_free(&l->jobs);
	close_handles(l);
	while (uv_run(&l->uv, UV_RUN_DEFAULT))
		;
	uv_loop_close(&l->uv);
	conn_table_free(&l->conns);
	server_free(l);
	tls_server_unref(&l->tls);
	free(l);
}

uv_loop_t *loop_uv(struct loop *l)
{
	return &l->uv;
}

struct jobs *loop_jobs(struct loop *l)
{
	return l->jobs;
}

void loop_set_work(struct loop *l, struct work *w)
{
	l->deps.work = w;
}

void loop_configure(struct loop *l, const struct loop_config *c)
{
	struct loop_config fresh = *c;

	fresh.workers = l->config.workers;
	fresh.queue_max = l->config.queue_max;
	fresh.connections = l->config.connections;
	fresh.handshakes = l->config.handshakes;
	fresh.descriptor_reserve = l->config.descriptor_reserve;
	fresh.proxy_protocol = l->config.proxy_protocol;
	memcpy(fresh.job_wait_ms, l->config.job_wait_ms, sizeof(fresh.job_wait_ms));
	l->config = fresh;
}

void loop_stats(struct loop *l, struct loop_stats *s_r)
{
	*s_r = (struct loop_stats){
		.connections = conn_count(l),
		.tls_connections = conn_tls_count(l),
		.parked = conn_parked_count(l),
		.draining = l->draining,
		.late_answers = l->late_answers,
		.exchanges_running = l->exchanges_running,
		.longest_turn_us = l->turn_longest_us,
		.bytes_per_parked = conn_parked_bytes(),
	};
	server_counts(l, s_r);
	l->turn_longest_us = 0;
}
