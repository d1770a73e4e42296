/* watch.c - watches of users. Loop thread; jobs carry copies and come back by
 * pointer, because a watch lives until its last job is back (dying).
 * Trap: a poll handle belongs to the watch's fd, so it is closed before the
 * closing job closes the fd. */
#include "loop/watch.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/secret.h"
#include "work/pool.h"
#include "work/work.h"

enum { EVENTS_MAX = 64, FOLDERS_MAX = 64, FIRST_PAUSE_MS = 1000, LONGEST_PAUSE_MS = 60000 };
#define REFRESH_MS (20 * 60 * 1000LL) /* RFC 2177: re-issue IDLE before 29 minutes */

enum watch_state { WATCH_IDLE, WATCH_OPENING, WATCH_ARMED, WATCH_READING, WATCH_PAUSED, WATCH_CLOSING };

struct watched {
	struct loop_timer timer; /* the sooner of due and sweep */
	struct list link;
	struct watch_room *room;
	struct push_user *u;      /* NULL when dying */
	struct slice user, login; /* owned */
	struct secret *password;
	struct watch *w;
	uv_poll_t *poll;
	int fd;
	enum watch_state state;
	enum be_watch_kind kind;
	char **folders;             /* owned, of exact size: most users wait for one or two */
	size_t n_folders, n_open;   /* known, and those of them that the open watch covers */
	size_t missed;
	int64_t pause_ms, due_ms, sweep_ms;
	bool dying;
};

struct watch_room {
	struct loop *loop;
	struct park_room *park; /* not after watch_room_free: dying watches do not use it */
	struct list all;
	unsigned counts[5];
	bool closing;
};

struct watch_job {
	struct job job;
	struct work *work;
	struct watched *w;
	enum { JOB_OPEN, JOB_READ, JOB_CLOSE } what;
	struct arena *a;
	struct be_cred cred;
	struct slice *folders;
	size_t n_folders;
	/* results */
	struct watch *watch;
	int fd;
	enum be_watch_kind kind;
	size_t missed;
	enum be_result rc;
	struct err err;
	struct slice events[EVENTS_MAX];
	size_t n_events;
	bool overflow;
};

struct watch_room *watch_room_new(struct park_room *park)
{
	struct watch_room *r = mem_alloc(sizeof(*r));

	r->park = park;
	r->loop = park_loop(park);
	list_init(&r->all);
	return r;
}

static struct loop *loop_of(const struct watched *w)
{
	return w->room->loop;
}

static int64_t now_of(const struct watched *w)
{
	return loop_now(loop_of(w));
}

/* --- poll ------------------------------------------------------------------------- */

static void free_handle(uv_handle_t *h)
{
	free(h);
}

static void stop_poll(struct watched *w)
{
	if (!w->poll)
		return;
	uv_poll_stop(w->poll);
	uv_close((uv_handle_t *)w->poll, free_handle);
	w->poll = NULL;
}

static void submit(struct watched *w, int what);

static void on_readable(uv_poll_t *p, int status, int events)
{
	struct watched *w = p->data;

	uv_poll_stop(p);
	if (w->state == WATCH_ARMED)
		submit(w, JOB_READ);
}

static void start_poll(struct watched *w)
{
	if (w->fd < 0)
		return;
	if (!w->poll) {
		w->poll = mem_alloc(sizeof(*w->poll));
		w->poll->data = w;
		if (uv_poll_init(&loop_of(w)->uv, w->poll, w->fd) < 0) {
			free(w->poll);
			w->poll = NULL;
			return;
		}
	}
	uv_poll_start(w->poll, UV_READABLE, on_readable);
}

/* --- jobs --------------------------------------------------------------------------- */

static void on_event(void *arg, struct slice user, struct slice folder)
{
	struct watch_job *j = arg;

	if (j->n_events == EVENTS_MAX) {
		j->overflow = true;
		return;
	}
	for (size_t i = 0; i < j->n_events; i++)
		if (slice_eq(j->events[i], folder))
			return;
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

	if (j->what == JOB_OPEN)
		run_open(j);
	else if (j->what == JOB_READ)
		j->rc = ops->watch_read(j->watch, on_event, j, &j->err);
	else if (j->watch)
		ops->watch_close(&j->watch);
}

static void free_watched(struct watched *w)
{
	struct watch_room *r = w->room;

	loop_timer_cancel(&w->timer);
	list_del(&w->link);
	secret_free(&w->password);
	for (size_t i = 0; i < w->n_folders; i++)
		free(w->folders[i]);
	free(w->folders);
	free((char *)w->user.ptr);
	free((char *)w->login.ptr);
	free(w);
	if (r->closing && list_empty(&r->all))
		free(r);
}

static bool sweeps(const struct watched *w)
{
	return w->missed || w->kind == BE_WATCH_NONE;
}

static void set_timer(struct watched *w)
{
	int64_t at = w->state == WATCH_ARMED && w->fd < 0 ? INT64_MAX : w->due_ms;

	if (w->state == WATCH_ARMED && sweeps(w) && w->sweep_ms < at)
		at = w->sweep_ms;
	loop_timer_cancel(&w->timer);
	if (at != INT64_MAX && (w->state == WATCH_ARMED || w->state == WATCH_PAUSED))
		loop_timer_set(w->room->loop, &w->timer, at);
}

static void count(struct watched *w, int by)
{
	w->room->counts[w->kind] = (unsigned)((int)w->room->counts[w->kind] + by);
	metric_add(M_watches, by);
}

static void pause_watch(struct watched *w)
{
	uint64_t r = rnd_u64(loop_of(w)->deps.rnd);

	w->pause_ms = w->pause_ms ? w->pause_ms * 2 : FIRST_PAUSE_MS;
	if (w->pause_ms > LONGEST_PAUSE_MS)
		w->pause_ms = LONGEST_PAUSE_MS;
	w->due_ms = now_of(w) + w->pause_ms / 2 + (int64_t)(r % (uint64_t)w->pause_ms);
	w->state = WATCH_PAUSED;
	set_timer(w);
}

static void armed(struct watched *w, struct watch_job *j)
{
	w->w = j->watch;
	w->fd = j->fd;
	w->kind = j->kind;
	w->missed = j->missed;
	w->n_open = j->n_folders;
	w->pause_ms = 0;
	w->state = WATCH_ARMED;
	w->due_ms = now_of(w) + REFRESH_MS;
	w->sweep_ms = now_of(w) + settings_ms(park_settings(w->room->park), "push.fallback_sweep");
	count(w, 1);
	start_poll(w);
	set_timer(w);
	if (sweeps(w))
		LOG_D("watch_incomplete", L_S("user", w->user), L_I("kind", w->kind), L_I("folders_by_sweep", w->missed));
	/* What happened before the server confirmed was not told. */
	push_wake(park_push(w->room->park), w->user, S_NONE, WAKE_ARMED);
}

static void opened(struct watched *w, struct watch_job *j)
{
	if (j->rc == BE_OK) {
		armed(w, j);
		return;
	}
	LOG_W("watch_failed", L_S("user", w->user), L_I("pause_ms", w->pause_ms), L_ERR(&j->err));
	pause_watch(w);
	if (j->rc == BE_PERM && j->err.code == ERR_AUTH)
		park_refuse(w->room->park, w->user); /* comes back by watch_drop: w is dying then */
}

static void lost(struct watched *w, const struct err *e)
{
	LOG_W("watch_lost", L_S("user", w->user), L_ERR(e));
	metric_add(M_watch_losses_total, 1);
	stop_poll(w);
	count(w, -1);
	submit(w, JOB_CLOSE);
}

static void was_read(struct watched *w, struct watch_job *j)
{
	struct push *p = park_push(w->room->park);

	for (size_t i = 0; i < j->n_events; i++)
		push_wake(p, w->user, j->overflow ? S_NONE : j->events[i], WAKE_EVENT);
	if (j->rc != BE_OK) {
		lost(w, &j->err);
		return;
	}
	w->state = WATCH_ARMED;
	w->due_ms = now_of(w) + REFRESH_MS;
	start_poll(w);
	set_timer(w);
}

static void next_step(struct watched *w)
{
	if (w->dying) {
		stop_poll(w);
		if (w->state == WATCH_ARMED || w->state == WATCH_READING)
			count(w, -1);
		if (w->w)
			submit(w, JOB_CLOSE);
		else
			free_watched(w);
	} else if (w->state == WATCH_ARMED && w->n_folders > w->n_open && w->kind != BE_WATCH_NONE) {
		/* Another phone waits for more folders: open anew with all of them. */
		stop_poll(w);
		count(w, -1);
		submit(w, JOB_CLOSE);
	}
}

static void was_shed(struct watch_job *j)
{
	j->rc = BE_TEMP;
	err_set(&j->err, ERR_BUSY, "shed");
	if (j->what == JOB_CLOSE && j->watch) {
		enum role was = role_current;

		role_current = ROLE_NONE; /* the loop is ending: nothing is left to be blocked */
		j->work->mail->ops->watch_close(&j->watch);
		role_current = was;
	}
}

static void back(struct job *job)
{
	struct watch_job *j = (struct watch_job *)job;
	struct watched *w = j->w;
	int what = j->what;

	if (job->shed)
		was_shed(j);
	if (what == JOB_OPEN && w->dying && j->rc == BE_OK) {
		w->w = j->watch; /* next_step closes it */
		w->state = WATCH_IDLE;
	} else if (what == JOB_OPEN && !w->dying) {
		opened(w, j);
	} else if (what == JOB_READ && !w->dying) {
		was_read(w, j);
	} else if (what == JOB_CLOSE) {
		w->w = NULL;
		w->state = WATCH_IDLE;
		if (!w->dying)
			pause_watch(w);
	}
	/* A job that was submitted just now owns the next step. */
	if (w->state != WATCH_OPENING && w->state != WATCH_CLOSING && (w->state != WATCH_READING || what == JOB_READ))
		next_step(w);
	arena_free(&j->a);
	free(j);
}

static void submit(struct watched *w, int what)
{
	struct watch_job *j = mem_alloc(sizeof(*j));

	j->job = (struct job){ .cls = JOB_BACKGROUND, .run = run_job, .done = back };
	j->work = loop_of(w)->deps.work;
	j->w = w;
	j->what = what;
	j->a = arena_new();
	j->watch = w->w;
	w->state = what == JOB_OPEN ? WATCH_OPENING : what == JOB_READ ? WATCH_READING : WATCH_CLOSING;
	if (what == JOB_CLOSE)
		w->w = NULL;
	if (what == JOB_OPEN) {
		j->cred = (struct be_cred){ arena_slice(j->a, w->user), arena_slice(j->a, w->login),
					    arena_slice(j->a, secret_get(w->password)) };
		j->n_folders = w->n_folders;
		j->folders = arena_alloc(j->a, (w->n_folders + 1) * sizeof(*j->folders));
		for (size_t i = 0; i < w->n_folders; i++)
			j->folders[i] = arena_slice(j->a, slice_str(w->folders[i]));
	}
	job_submit(loop_of(w)->jobs, &j->job);
}

/* --- from the registry ------------------------------------------------------------------ */

static bool hook_tells(const struct settings *set)
{
	const struct slice *v;
	size_t n = settings_list(set, "push.sources", &v);

	for (size_t i = 0; i < n; i++)
		if (slice_eq(v[i], S("hook")))
			return true;
	return false;
}

static void add_folders(struct watched *w, const struct park *p)
{
	for (size_t i = 0; i < p->n_folders && w->n_folders < FOLDERS_MAX; i++) {
		bool known = false;

		for (size_t k = 0; k < w->n_folders && !known; k++)
			known = slice_eq(slice_str(w->folders[k]), p->folders[i]);
		if (known)
			continue;
		w->folders = mem_realloc(w->folders, (w->n_folders + 1) * sizeof(*w->folders));
		w->folders[w->n_folders++] = mem_str(p->folders[i]);
	}
}

static void on_timer(struct loop *l, struct loop_timer *t);

static struct watched *new_watched(struct watch_room *r, struct push_user *u, const struct park *p)
{
	struct watched *w = mem_alloc(sizeof(*w));

	w->room = r;
	w->u = u;
	w->user = mem_slice(push_user_name(u));
	w->login = mem_slice(p->cred.login);
	w->fd = -1;
	loop_timer_init(&w->timer, on_timer);
	list_add_tail(&r->all, &w->link);
	push_user_set_watch(u, w);
	return w;
}

void watch_want(struct watch_room *r, struct push_user *u, const struct park *p)
{
	struct watched *w = push_user_watch(u);

	if (!w)
		w = new_watched(r, u, p);
	if (!w->password || !slice_eq(secret_get(w->password), p->cred.password)) {
		struct secret *fresh = secret_new(p->cred.password);

		if (!fresh)
			return;
		secret_free(&w->password);
		w->password = fresh;
	}
	add_folders(w, p);
	if (w->state == WATCH_IDLE && !hook_tells(park_settings(r->park)))
		submit(w, JOB_OPEN);
	else if (w->state == WATCH_ARMED)
		next_step(w);
}

void watch_drop(struct watch_room *r, struct push_user *u)
{
	struct watched *w = push_user_watch(u);

	push_user_set_watch(u, NULL);
	if (!w)
		return;
	w->u = NULL;
	w->dying = true;
	secret_free(&w->password);
	loop_timer_cancel(&w->timer);
	if (w->state == WATCH_IDLE || w->state == WATCH_PAUSED || w->state == WATCH_ARMED)
		next_step(w);
}

bool watch_cred(const struct push_user *u, struct arena *a, struct be_cred *c_r)
{
	const struct watched *w = push_user_watch(u);

	if (!w || !w->password)
		return false;
	*c_r = (struct be_cred){ arena_slice(a, w->user), arena_slice(a, w->login),
				 arena_slice(a, secret_get(w->password)) };
	return true;
}

void watch_counts(const struct watch_room *r, unsigned counts[5])
{
	memcpy(counts, r->counts, sizeof(r->counts));
}

/* --- time ---------------------------------------------------------------------------------- */

static void on_timer(struct loop *l, struct loop_timer *t)
{
	struct watched *w = list_entry(t, struct watched, timer);
	int64_t now = loop_now(l);

	if (w->dying)
		return;
	if (w->state == WATCH_PAUSED && now >= w->due_ms) {
		submit(w, JOB_OPEN);
		return;
	}
	if (w->state == WATCH_ARMED && sweeps(w) && now >= w->sweep_ms) {
		w->sweep_ms = now + settings_ms(park_settings(w->room->park), "push.fallback_sweep");
		metric_add(M_sweeps_total, 1);
		push_wake(park_push(w->room->park), w->user, S_NONE, WAKE_ARMED);
	}
	if (w->state == WATCH_ARMED && w->fd >= 0 && now >= w->due_ms) {
		if (w->poll)
			uv_poll_stop(w->poll);
		submit(w, JOB_READ); /* refreshes IDLE */
		return;
	}
	set_timer(w);
}

void watch_room_free(struct watch_room **rp)
{
	struct watch_room *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	/* Every user was dropped by push_free; closing jobs that are still out come
	 * back in loop_free, and the last one frees the room. */
	r->closing = true;
	if (list_empty(&r->all))
		free(r);
}
