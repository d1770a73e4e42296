/* watch_job.c - the calls of watches into backends. run_job and what it calls run
 * on a worker and touch nothing but their job; the rest on the loop thread. A job
 * carries copies and names its watch by pointer: a watch lives until its last job
 * is back. */
#include <stdlib.h>

#include "loop/watch_priv.h"
#include "work/pool.h"

/* --- worker ------------------------------------------------------------------------ */

static void on_event(void *arg, struct slice user, struct slice folder)
{
	struct watch_job *j = arg;

	for (size_t i = 0; i < j->n_events; i++)
		if (slice_eq(j->events[i], folder))
			return;
	if (j->n_events == WATCH_EVENTS_MAX)
		j->overflow = true;
	else
		j->events[j->n_events++] = arena_slice(j->a, folder);
}

static void run_open(struct watch_job *j)
{
	struct work *wk = j->work;
	int64_t deadline = clock_now(wk->clock) + settings_ms(wk->settings, "limits.login_deadline");
	struct session *s = NULL;

	j->fd = -1;
	if (!wk->mail->ops->watch_open) {
		j->kind = BE_WATCH_NONE;
		return;
	}
	j->rc = pool_get(wk->pool, wk->mail, &j->cred, deadline, &s, &j->err);
	if (j->rc != BE_OK)
		return;
	pool_detach(wk->pool, s);
	j->rc = wk->mail->ops->watch_open(&s, j->folders, j->n_folders, deadline, &j->watch, &j->fd, &j->kind, &j->missed,
					  &j->err);
	if (j->rc == BE_PERM && j->err.code == ERR_UNSUPPORTED) {
		j->kind = BE_WATCH_NONE; /* a server without push: it is looked after by sweeps */
		j->rc = BE_OK;
	}
	if (s)
		wk->mail->ops->logout(&s);
}

static void run_job(struct job *job)
{
	struct watch_job *j = (struct watch_job *)job;
	const struct backend_ops *ops = j->work->mail->ops;

	if (j->what == WATCH_JOB_OPEN)
		run_open(j);
	else if (j->what == WATCH_JOB_READ)
		j->rc = ops->watch_read(j->watch, on_event, j, &j->err);
	else if (j->watch)
		ops->watch_close(&j->watch);
}

/* --- loop ---------------------------------------------------------------------------- */

void watch_submit(struct watched *w, enum watch_what what, void (*done)(struct job *j))
{
	static const enum watch_state state[] = {
		[WATCH_JOB_OPEN] = WATCH_OPENING, [WATCH_JOB_READ] = WATCH_READING, [WATCH_JOB_CLOSE] = WATCH_CLOSING,
	};
	struct watch_job *j = mem_alloc(sizeof(*j));
	struct loop *l = w->loop;

	j->job = (struct job){ .cls = JOB_BACKGROUND, .run = run_job, .done = done };
	j->work = l->deps.work;
	j->w = w;
	j->what = what;
	j->a = arena_new();
	j->watch = w->w;
	w->state = state[what];
	if (what == WATCH_JOB_CLOSE)
		w->w = NULL;
	if (what == WATCH_JOB_OPEN) {
		j->cred = (struct be_cred){ arena_slice(j->a, w->user), arena_slice(j->a, w->login),
					    arena_slice(j->a, secret_get(w->password)) };
		j->n_folders = w->n_folders;
		j->folders = arena_alloc(j->a, (w->n_folders + 1) * sizeof(*j->folders));
		for (size_t i = 0; i < w->n_folders; i++)
			j->folders[i] = arena_slice(j->a, slice_str(w->folders[i]));
	}
	job_submit(l->jobs, &j->job);
}

void watch_job_free(struct watch_job *j)
{
	arena_free(&j->a); /* wipes the password */
	free(j);
}

void watch_close_here(struct watch_job *j)
{
	enum role was = role_current;

	role_current = ROLE_NONE; /* nobody is left to be kept waiting */
	if (j->watch)
		j->work->mail->ops->watch_close(&j->watch);
	role_current = was;
}
