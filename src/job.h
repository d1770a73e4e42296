/* job.h - the one border between the loop and the workers.
 *
 * A job is owned by exactly one side at a time: the loop fills it, job_submit
 * passes it whole, `run` works on it on a worker, and it comes back to the loop,
 * where `done` is called in a turn of the loop. Nothing in a job may point at
 * a loop object: it carries ids, and a late answer is a look-up that misses.
 *
 * Four classes with reserved shares of the workers: a flood of one cannot starve
 * another. A job that waited longer than its class allows is shed: `run` is not
 * called, `done` sees job.shed (answer: 503 + Retry-After). At shutdown queued
 * jobs are shed, running ones finish. */
#ifndef JOB_H
#define JOB_H

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"

typedef struct uv_loop_s uv_loop_t;

enum job_class {
	JOB_COMMAND,    /* a phone waits for it */
	JOB_CHECK,      /* re-check of a parked phone: may be late, nothing is lost */
	JOB_BACKGROUND, /* watches, sweeps, admin */
	JOB_HANDSHAKE,  /* TLS full handshakes: CPU only, newest first */
	JOB_CLASSES
};

struct job {
	struct list link;           /* the pool's */
	enum job_class cls;
	void (*run)(struct job *j);  /* worker */
	void (*done)(struct job *j); /* loop; takes the job back and frees it */
	int64_t queued_ms, started_ms, ended_ms; /* clock_system */
	bool shed;
};

struct jobs_options {
	unsigned workers;             /* server.workers */
	unsigned queue_max;           /* limits.queue: past it the oldest is shed */
	int64_t max_wait_ms[JOB_CLASSES]; /* age at which a job is shed; 0 never */
	size_t stack_bytes;           /* 1 MiB */
};

struct jobs_stats {
	unsigned queued[JOB_CLASSES], running[JOB_CLASSES];
	uint64_t finished[JOB_CLASSES], shed[JOB_CLASSES];
	int64_t oldest_ms;            /* age of the oldest queued one */
};

struct jobs;

int jobs_new(struct jobs **q_r, uv_loop_t *loop, const struct jobs_options *o, struct err *e);
/* Loop. Takes the job. */
void job_submit(struct jobs *q, struct job *j);
void jobs_stats(struct jobs *q, struct jobs_stats *s_r);
/* Loop: sheds what is queued, waits for what runs (bounded by the callers'
 * deadlines), calls every done, joins the threads. */
void jobs_free(struct jobs **q);

#endif
