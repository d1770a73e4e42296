/* test_job.c - the border: every job comes back once, shares and shedding hold. */
#include "harness.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "job.h"

struct probe {
	struct job j;
	_Atomic int *running, *peak;
	int sleep_us, *done, *shed;
};

static void run(struct job *j)
{
	struct probe *p = (struct probe *)j;
	int now = atomic_fetch_add(p->running, 1) + 1;

	for (int old = atomic_load(p->peak); now > old && !atomic_compare_exchange_weak(p->peak, &old, now);)
		;
	if (p->sleep_us)
		usleep((useconds_t)p->sleep_us);
	atomic_fetch_sub(p->running, 1);
}

static void done(struct job *j)
{
	struct probe *p = (struct probe *)j;

	(*p->done)++;
	*p->shed += j->shed;
	free(p);
}

static int flood(enum job_class cls, unsigned workers, int n, int sleep_us, struct jobs_options o, int *shed_r)
{
	_Atomic int running = 0, peak = 0;
	int n_done = 0;
	struct jobs *q;
	uv_loop_t loop;

	*shed_r = 0;
	uv_loop_init(&loop);
	o.workers = workers;
	CHECK_INT(jobs_new(&q, &loop, &o, NULL), 0);
	for (int i = 0; i < n; i++) {
		struct probe *p = calloc(1, sizeof(*p));

		*p = (struct probe){ .j = { .cls = cls, .run = run, .done = done }, .running = &running,
				     .peak = &peak, .sleep_us = sleep_us, .done = &n_done, .shed = shed_r };
		job_submit(q, &p->j);
	}
	while (n_done < n)
		uv_run(&loop, UV_RUN_ONCE);
	jobs_free(&q);
	CHECK_INT(uv_loop_close(&loop), 0);
	CHECK_INT(n_done, n);
	return peak;
}

CASE(job_all_come_back)
{
	int n_shed;

	flood(JOB_COMMAND, 8, 20000, 0, (struct jobs_options){ .queue_max = 30000 }, &n_shed);
	CHECK_INT(n_shed, 0);
}

CASE(job_class_keeps_to_its_share)
{
	int n_shed;

	CHECK(flood(JOB_CHECK, 10, 60, 2000, (struct jobs_options){ 0 }, &n_shed) <= 4);
	CHECK(flood(JOB_COMMAND, 10, 60, 2000, (struct jobs_options){ 0 }, &n_shed) <= 9);
}

CASE(job_queue_limit_sheds_the_oldest)
{
	int n_shed;

	flood(JOB_COMMAND, 1, 100, 1000, (struct jobs_options){ .queue_max = 10 }, &n_shed);
	CHECK(n_shed >= 80 && n_shed < 100);
}

CASE(job_too_old_is_shed)
{
	int n_shed;

	flood(JOB_COMMAND, 1, 50, 10000, (struct jobs_options){ .max_wait_ms = { [JOB_COMMAND] = 50 } }, &n_shed);
	CHECK(n_shed > 20 && n_shed < 50);
}

CASE(job_free_sheds_and_waits)
{
	_Atomic int running = 0, peak = 0;
	int n_done = 0, n_shed = 0;
	struct jobs *q;
	uv_loop_t loop;

	uv_loop_init(&loop);
	CHECK_INT(jobs_new(&q, &loop, &(struct jobs_options){ .workers = 2 }, NULL), 0);
	for (int i = 0; i < 20; i++) {
		struct probe *p = calloc(1, sizeof(*p));

		*p = (struct probe){ .j = { .cls = JOB_COMMAND, .run = run, .done = done }, .running = &running,
				     .peak = &peak, .sleep_us = 20000, .done = &n_done, .shed = &n_shed };
		job_submit(q, &p->j);
	}
	jobs_free(&q);
	CHECK_INT(uv_loop_close(&loop), 0);
	CHECK_INT(n_done, 20);
	CHECK(n_shed >= 16);
}
