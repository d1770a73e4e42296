/* job.c - bounded worker pool and the way back to the loop.
 * One mutex guards queues and counters; a worker takes the next job by class
 * share, runs it unlocked, and puts it on the done list; one uv_async wakes the
 * loop for any number of done jobs. Trap: uv_async coalesces, so on_async drains
 * the whole list. */
#include "job.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

#include "base/arena.h"
#include "base/metrics.h"
#include "base/role.h"

enum { DONE_BUDGET = 256 }; /* done calls in one turn of the loop */

struct queue {
	struct list jobs;
	unsigned queued, running, running_max;
	int64_t max_wait_ms;
	uint64_t finished, shed;
};

struct jobs {
	uv_loop_t *loop;
	uv_async_t async;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct queue q[JOB_CLASSES];
	struct list done;
	pthread_t *threads;
	unsigned n_threads, queue_max, idle;
	bool stopping;
};

/* Most workers a class may hold at once, in percent: what is left over is the
 * reserved share of the others. */
static const unsigned share_percent[JOB_CLASSES] = {
	[JOB_COMMAND] = 90,
	[JOB_CHECK] = 40,
	[JOB_BACKGROUND] = 40,
	[JOB_HANDSHAKE] = 25,
};

static unsigned queued_all(const struct jobs *q)
{
	unsigned n = 0;

	for (int c = 0; c < JOB_CLASSES; c++)
		n += q->q[c].queued;
	return n;
}

static struct job *pop(struct queue *u, bool newest)
{
	struct job *j = list_entry(newest ? u->jobs.prev : u->jobs.next, struct job, link);

	list_del(&j->link);
	u->queued--;
	return j;
}

static void finish(struct jobs *q, struct job *j)
{
	list_add_tail(&q->done, &j->link);
	uv_async_send(&q->async);
}

static void shed(struct jobs *q, struct job *j)
{
	j->shed = true;
	q->q[j->cls].shed++;
	metric_add(M_jobs_shed_total, 1);
	finish(q, j);
}

/* Next job whose class has a free share; NULL when there is none. */
static struct job *take(struct jobs *q, int64_t now)
{
	for (int c = 0; c < JOB_CLASSES; c++) {
		struct queue *u = &q->q[c];

		while (u->queued && u->running < u->running_max) {
			/* Handshakes newest first: the oldest client has given up. */
			struct job *j = pop(u, c == JOB_HANDSHAKE);

			if (u->max_wait_ms && now - j->queued_ms > u->max_wait_ms) {
				shed(q, j);
				continue;
			}
			u->running++;
			return j;
		}
	}
	return NULL;
}

static void *worker(void *arg)
{
	struct jobs *q = arg;
	struct job *j;

	role_current = ROLE_WORKER;
	pthread_mutex_lock(&q->lock);
	for (;;) {
		j = take(q, clock_now(&clock_system));
		if (!j) {
			if (q->stopping)
				break;
			q->idle++;
			pthread_cond_wait(&q->work, &q->lock);
			q->idle--;
			continue;
		}
		pthread_mutex_unlock(&q->lock);
		j->started_ms = clock_now(&clock_system);
		j->run(j);
		j->ended_ms = clock_now(&clock_system);
		pthread_mutex_lock(&q->lock);
		q->q[j->cls].running--;
		q->q[j->cls].finished++;
		finish(q, j);
		/* A class at its share may have work for another sleeper now. */
		if (q->idle && queued_all(q))
			pthread_cond_signal(&q->work);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

static struct job *next_done(struct jobs *q)
{
	struct job *j = NULL;

	pthread_mutex_lock(&q->lock);
	if (!list_empty(&q->done)) {
		j = list_entry(q->done.next, struct job, link);
		list_del(&j->link);
	}
	pthread_mutex_unlock(&q->lock);
	return j;
}

static void on_async(uv_async_t *h)
{
	struct jobs *q = h->data;
	struct job *j;

	for (int n = 0; n < DONE_BUDGET; n++) {
		j = next_done(q);
		if (!j)
			return;
		j->done(j);
	}
	uv_async_send(h);
}

static int start_threads(struct jobs *q, const struct jobs_options *o, struct err *e)
{
	pthread_attr_t attr;
	int rc = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, o->stack_bytes ? o->stack_bytes : 1024 * 1024);
	q->threads = mem_alloc(o->workers * sizeof(*q->threads));
	for (; q->n_threads < o->workers && rc == 0; q->n_threads += rc == 0)
		rc = pthread_create(&q->threads[q->n_threads], &attr, worker, q);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		return err_set(e, ERR_LIMIT, "worker thread %u of %u: error %d; lower server.workers or raise the process limit",
			       q->n_threads + 1, o->workers, rc);
	return 0;
}

int jobs_new(struct jobs **q_r, uv_loop_t *loop, const struct jobs_options *o, struct err *e)
{
	struct jobs *q = mem_alloc(sizeof(*q));

	q->loop = loop;
	q->queue_max = o->queue_max ? o->queue_max : 10000;
	list_init(&q->done);
	for (int c = 0; c < JOB_CLASSES; c++) {
		unsigned most = o->workers * share_percent[c] / 100;

		list_init(&q->q[c].jobs);
		q->q[c].running_max = most ? most : 1;
		q->q[c].max_wait_ms = o->max_wait_ms[c];
	}
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	uv_async_init(loop, &q->async, on_async);
	q->async.data = q;
	*q_r = q;
	if (start_threads(q, o, e) < 0) {
		jobs_free(q_r);
		return -1;
	}
	return 0;
}

/* Over the limit the oldest of the fullest class goes: it is the likeliest to be given up. */
static void shed_oldest(struct jobs *q)
{
	struct queue *most = &q->q[0];

	for (int c = 1; c < JOB_CLASSES; c++)
		if (q->q[c].queued > most->queued)
			most = &q->q[c];
	if (most->queued)
		shed(q, pop(most, false));
}

void job_submit(struct jobs *q, struct job *j)
{
	ASSERT_LOOP();
	j->queued_ms = clock_now(&clock_system);
	j->shed = false;
	pthread_mutex_lock(&q->lock);
	if (q->stopping) {
		shed(q, j);
	} else {
		if (queued_all(q) >= q->queue_max)
			shed_oldest(q);
		list_add_tail(&q->q[j->cls].jobs, &j->link);
		q->q[j->cls].queued++;
		pthread_cond_signal(&q->work);
	}
	pthread_mutex_unlock(&q->lock);
}

void jobs_stats(struct jobs *q, struct jobs_stats *s_r)
{
	int64_t now = clock_now(&clock_system);

	*s_r = (struct jobs_stats){ 0 };
	pthread_mutex_lock(&q->lock);
	for (int c = 0; c < JOB_CLASSES; c++) {
		struct queue *u = &q->q[c];

		s_r->queued[c] = u->queued;
		s_r->running[c] = u->running;
		s_r->finished[c] = u->finished;
		s_r->shed[c] = u->shed;
		if (u->queued) {
			int64_t age = now - list_entry(u->jobs.next, struct job, link)->queued_ms;

			if (age > s_r->oldest_ms)
				s_r->oldest_ms = age;
		}
	}
	pthread_mutex_unlock(&q->lock);
}

static void on_closed(uv_handle_t *h)
{
	*(bool *)h->data = true;
}

void jobs_free(struct jobs **qp)
{
	struct jobs *q = *qp;
	struct job *j;
	bool closed = false;

	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	q->stopping = true;
	for (int c = 0; c < JOB_CLASSES; c++)
		while (q->q[c].queued)
			shed(q, pop(&q->q[c], false));
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	for (unsigned i = 0; i < q->n_threads; i++)
		pthread_join(q->threads[i], NULL);
	/* A done may submit once more (a watch that was being opened is closed): that is shed. */
	while ((j = next_done(q)) != NULL)
		j->done(j);
	*qp = NULL;
	q->async.data = &closed;
	uv_close((uv_handle_t *)&q->async, on_closed);
	while (!closed)
		uv_run(q->loop, UV_RUN_ONCE);
	pthread_cond_destroy(&q->work);
	pthread_mutex_destroy(&q->lock);
	free(q->threads);
	free(q);
}
