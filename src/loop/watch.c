/* watch.c - watches of users: their states, time and pacing. Loop thread; what
 * calls backends is in watch_job.c. A watch belongs to its user until watch_drop,
 * then it is dying and goes when its last job is back.
 * Trap: park_refuse comes back by watch_drop for the very watch whose job's end is
 * being worked on: `held` keeps it until back() is through. */
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "loop/watch_priv.h"

enum { FOLDERS_MAX = 256, FIRST_PAUSE_MS = 1000, LONGEST_PAUSE_MS = 60000, PACE_MS = 100 };
/* RFC 2177: IDLE is to be renewed before 29 minutes. The backend renews at a read
 * that finds nothing; one that finds something is followed by another soon. */
#define REFRESH_MS (12 * 60 * 1000LL)
enum { REFRESH_AGAIN_MS = 60 * 1000, STABLE_MS = 60 * 1000 };

struct watch_room {
	struct loop *loop;
	struct park_room *park; /* not after watch_room_free: dying watches do not use it */
	struct list all, queue; /* queue: WATCH_QUEUED, oldest first */
	struct loop_timer pace;
	int64_t tokens_at_ms;
	int64_t tokens;         /* logins that may begin now, in thousandths */
	struct log_limit lost_limit, failed_limit;
	unsigned counts[5];
	bool closing;
};

static void step(struct watched *w);
static void back(struct job *job);

static int64_t now_of(const struct watched *w)
{
	return loop_now(w->loop);
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

static void read_now(struct watched *w, bool refresh)
{
	if (w->poll)
		uv_poll_stop(w->poll);
	w->refresh = refresh;
	watch_submit(w, WATCH_JOB_READ, back);
}

static void on_readable(uv_poll_t *p, int status, int events)
{
	struct watched *w = p->data;

	if (w->state == WATCH_ARMED)
		read_now(w, false);
	else
		uv_poll_stop(p);
}

/* False: the descriptor cannot be polled. */
static bool start_poll(struct watched *w)
{
	if (w->fd < 0)
		return true;
	if (!w->poll) {
		w->poll = mem_alloc(sizeof(*w->poll));
		w->poll->data = w;
		if (uv_poll_init(&w->loop->uv, w->poll, w->fd) < 0) {
			free(w->poll);
			w->poll = NULL;
			return false;
		}
	}
	return uv_poll_start(w->poll, UV_READABLE, on_readable) == 0;
}

/* --- time --------------------------------------------------------------------------- */

static size_t extras_armed(const struct watched *w)
{
	size_t n = 0;

	list_for(l, &w->extras) {
		enum watch_state s = list_entry(l, struct watched, of_main)->state;

		n += s == WATCH_ARMED || s == WATCH_READING;
	}
	return n;
}

/* Are there folders that no server tells of? An extra's are its main's. */
static bool sweeps(const struct watched *w)
{
	return !w->extra && (w->kind == BE_WATCH_NONE || w->left_out || w->missed > extras_armed(w));
}

static void set_timer(struct watched *w)
{
	int64_t at = w->state == WATCH_ARMED && w->fd < 0 ? INT64_MAX : w->due_ms;

	if (w->state == WATCH_ARMED && sweeps(w) && w->sweep_ms < at)
		at = w->sweep_ms;
	loop_timer_cancel(&w->timer);
	if (at != INT64_MAX && (w->state == WATCH_ARMED || w->state == WATCH_PAUSED || w->state == WATCH_UNCLOSED))
		loop_timer_set(w->loop, &w->timer, at);
}

static int64_t jittered(const struct watched *w, int64_t ms)
{
	return ms - (int64_t)(rnd_u64(w->loop->deps.rnd) % (uint64_t)(ms / 10 + 1));
}

static void pause_watch(struct watched *w)
{
	uint64_t r = rnd_u64(w->loop->deps.rnd);

	w->pause_ms = w->pause_ms ? w->pause_ms * 2 : FIRST_PAUSE_MS;
	if (w->pause_ms > LONGEST_PAUSE_MS)
		w->pause_ms = LONGEST_PAUSE_MS;
	w->due_ms = now_of(w) + w->pause_ms / 2 + (int64_t)(r % (uint64_t)w->pause_ms);
	w->state = WATCH_PAUSED;
	set_timer(w);
}

/* --- logins, paced -------------------------------------------------------------------- */

static void run_queue(struct watch_room *r)
{
	int64_t now = loop_now(r->loop), rate = settings_int(park_settings(r->park), "push.rearm_rate");

	r->tokens += (now - r->tokens_at_ms) * rate;
	r->tokens_at_ms = now;
	if (r->tokens > rate * 1000)
		r->tokens = rate * 1000;
	while (r->tokens >= 1000 && !list_empty(&r->queue)) {
		struct watched *w = list_entry(r->queue.next, struct watched, in_queue);

		r->tokens -= 1000;
		list_del(&w->in_queue);
		watch_submit(w, WATCH_JOB_OPEN, back);
	}
	if (!list_empty(&r->queue))
		loop_timer_set(r->loop, &r->pace, now + PACE_MS);
}

static void on_pace(struct loop *l, struct loop_timer *t)
{
	run_queue(list_entry(t, struct watch_room, pace));
}

static void want_open(struct watched *w)
{
	w->state = WATCH_QUEUED;
	list_add_tail(&w->room->queue, &w->in_queue);
	run_queue(w->room);
}

/* --- life of one ------------------------------------------------------------------------ */

static void on_timer(struct loop *l, struct loop_timer *t);

static struct watched *new_watched(struct watch_room *r, struct slice user, struct slice login)
{
	struct watched *w = mem_alloc(sizeof(*w));

	w->room = r;
	w->loop = r->loop;
	w->user = mem_slice(user);
	w->login = slice_eq(user, login) ? w->user : mem_slice(login);
	w->fd = -1;
	loop_timer_init(&w->timer, on_timer);
	list_init(&w->in_queue);
	list_init(&w->extras);
	list_init(&w->of_main);
	list_add_tail(&r->all, &w->link);
	return w;
}

static void free_room(struct watch_room *r)
{
	if (r->closing && list_empty(&r->all))
		free(r);
}

static void free_watched(struct watched *w)
{
	struct watch_room *r = w->room;

	loop_timer_cancel(&w->timer);
	list_del(&w->link);
	list_del(&w->in_queue);
	list_del(&w->of_main);
	secret_free(&w->password);
	for (size_t i = 0; i < w->n_folders; i++)
		free(w->folders[i]);
	free(w->folders);
	if (w->login.ptr != w->user.ptr)
		free((char *)w->login.ptr);
	free((char *)w->user.ptr);
	free(w);
	free_room(r);
}

static void count(struct watched *w, int by)
{
	w->room->counts[w->kind] = (unsigned)((int)w->room->counts[w->kind] + by);
	metric_add(M_watches, by);
}

/* From ARMED or READING to a closing job. */
static void disarm(struct watched *w)
{
	stop_poll(w);
	count(w, -1);
	loop_timer_cancel(&w->timer);
	w->fd = -1;
	watch_submit(w, WATCH_JOB_CLOSE, back);
	if (w->main)
		set_timer(w->main); /* its folder is the sweeps' now */
}

static void kill_watch(struct watched *w)
{
	w->dying = true;
	w->main = NULL;
	list_del(&w->of_main);
	list_del(&w->in_queue);
	loop_timer_cancel(&w->timer);
	secret_free(&w->password);
	list_for_safe(l, &w->extras)
		kill_watch(list_entry(l, struct watched, of_main)); /* one level: extras have none */
	step(w);
}

static void end(struct watched *w)
{
	if (w->state == WATCH_ARMED)
		disarm(w);
	else if (w->w && w->state != WATCH_UNCLOSED)
		watch_submit(w, WATCH_JOB_CLOSE, back);
	else if (w->state == WATCH_UNCLOSED)
		set_timer(w);
	else
		free_watched(w);
}

static bool job_is_out(const struct watched *w)
{
	return w->state == WATCH_OPENING || w->state == WATCH_READING || w->state == WATCH_CLOSING;
}

/* --- IDLE: which folders -------------------------------------------------------------------- */

static bool has_inbox(char *const *folders, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(slice_str(folders[i]), S("INBOX")))
			return true;
	return false;
}

/* The one that the backend picked of those it was told: INBOX, else the first. */
static bool is_own(const struct watched *w, size_t i)
{
	return has_inbox(w->folders, w->n_open) ? slice_ieq(slice_str(w->folders[i]), S("INBOX")) : i == 0;
}

static bool has_extra(const struct watched *w, const char *folder)
{
	list_for(l, &w->extras)
		if (strcmp(list_entry(l, struct watched, of_main)->folders[0], folder) == 0)
			return true;
	return false;
}

static void set_password(struct watched *w, struct slice password)
{
	struct secret *fresh = secret_new(password);

	if (!fresh)
		return;
	secret_free(&w->password);
	w->password = fresh;
}

static void add_extra(struct watched *w, const char *folder)
{
	struct watched *x = new_watched(w->room, w->user, w->login);

	x->extra = true;
	x->main = w;
	list_add_tail(&w->extras, &x->of_main);
	x->folders = mem_alloc(sizeof(*x->folders));
	x->folders[x->n_folders++] = mem_str(slice_str(folder));
	set_password(x, secret_get(w->password));
	want_open(x);
}

static void keep_extras(struct watched *w)
{
	int64_t most = settings_int(park_settings(w->room->park), "push.idle_folders") - 1, n = 0;

	if (w->kind != BE_WATCH_IDLE)
		most = 0;
	list_for_safe(l, &w->extras)
		if (++n > most)
			kill_watch(list_entry(l, struct watched, of_main));
	for (size_t i = 0; i < w->n_folders && n < most; i++) {
		if (is_own(w, i) || has_extra(w, w->folders[i]))
			continue;
		add_extra(w, w->folders[i]);
		n++;
	}
}

/* Folders came that the open watch was not told of. */
static void cover_more(struct watched *w)
{
	size_t more = w->n_folders - w->n_open;
	bool inbox_too = !has_inbox(w->folders, w->n_open) && has_inbox(w->folders, w->n_folders);

	if (w->kind == BE_WATCH_NOTIFY || w->kind == BE_WATCH_NONE) {
		w->n_open = w->n_folders; /* of all folders, or of none */
		return;
	}
	/* IDLE prefers INBOX, and took it where it was told of no folder. */
	if (w->kind != BE_WATCH_IDLE || inbox_too || w->n_open == 0) {
		w->reopen = true;
		disarm(w);
		return;
	}
	w->missed += more;
	w->n_open = w->n_folders;
	keep_extras(w);
	set_timer(w);
}

/* What comes next where no job is out. */
static void step(struct watched *w)
{
	if (w->held || job_is_out(w))
		return;
	if (w->dying)
		end(w);
	else if (w->state == WATCH_ARMED && w->n_folders > w->n_open)
		cover_more(w);
}

/* --- jobs come back --------------------------------------------------------------------- */

static void lost(struct watched *w, const struct err *e)
{
	if (log_allowed(&w->room->lost_limit, now_of(w), 10, 10000))
		LOG_W("watch_lost", L_S("user", w->user), L_ERR(e));
	metric_add(M_watch_losses_total, 1);
	/* One that is lost as soon as it stands is no reason to begin with short pauses. */
	if (now_of(w) - w->armed_ms > STABLE_MS)
		w->pause_ms = 0;
	disarm(w);
}

static void armed(struct watched *w, struct watch_job *j)
{
	struct err e = { 0 };

	w->w = j->watch;
	w->fd = j->fd;
	w->kind = j->kind;
	w->missed = j->missed;
	w->n_open = j->n_folders;
	w->state = WATCH_ARMED;
	w->armed_ms = now_of(w);
	w->due_ms = w->armed_ms + jittered(w, REFRESH_MS);
	w->sweep_ms = w->armed_ms + jittered(w, settings_ms(park_settings(w->room->park), "push.fallback_sweep"));
	count(w, 1);
	if (!start_poll(w)) {
		err_set(&e, ERR_INTERNAL, "descriptor %d cannot be polled", w->fd);
		lost(w, &e);
		return;
	}
	keep_extras(w);
	set_timer(w);
	if (w->main)
		set_timer(w->main);
	if (sweeps(w))
		LOG_D("watch_incomplete", L_S("user", w->user), L_I("kind", w->kind), L_I("folders_by_sweep", w->missed));
	/* What happened before the server confirmed was not told. */
	push_wake(park_push(w->room->park), w->user, w->extra ? slice_str(w->folders[0]) : S_NONE, WAKE_ARMED);
}

static void opened(struct watched *w, struct watch_job *j)
{
	bool refused = j->rc == BE_PERM && j->err.code == ERR_AUTH;

	if (j->rc == BE_OK) {
		armed(w, j);
		return;
	}
	if (log_allowed(&w->room->failed_limit, now_of(w), 10, 10000))
		LOG_W("watch_failed", L_S("user", w->user), L_I("pause_ms", w->pause_ms), L_ERR(&j->err));
	pause_watch(w);
	if (refused && slice_eq(secret_get(w->password), j->cred.password))
		park_refuse(w->room->park, w->user); /* comes back by watch_drop: dying then */
}

static void was_read(struct watched *w, struct watch_job *j)
{
	struct push *p = park_push(w->room->park);

	if (j->job.shed) {
		/* Nobody had time to read it: the phones look when they can, it is read a little later. */
		push_wake(p, w->user, S_NONE, WAKE_ARMED);
		w->state = WATCH_ARMED;
		w->due_ms = now_of(w) + FIRST_PAUSE_MS;
		set_timer(w);
		return;
	}
	if (j->overflow)
		push_wake(p, w->user, S_NONE, WAKE_EVENT);
	for (size_t i = 0; i < j->n_events && !j->overflow; i++)
		push_wake(p, w->user, j->events[i], WAKE_EVENT);
	if (w->refresh || w->due_ms <= now_of(w))
		w->due_ms = now_of(w) + (j->n_events ? REFRESH_AGAIN_MS : jittered(w, REFRESH_MS));
	if (j->rc != BE_OK || !start_poll(w)) {
		lost(w, &j->err);
		return;
	}
	w->state = WATCH_ARMED;
	set_timer(w);
}

static void was_closed(struct watched *w, struct watch_job *j)
{
	if (j->job.shed && w->room->closing) {
		watch_close_here(j);
	} else if (j->job.shed) {
		w->w = j->watch;
		w->due_ms = now_of(w) + FIRST_PAUSE_MS;
		w->state = WATCH_UNCLOSED;
		set_timer(w);
		return;
	}
	w->state = WATCH_IDLE;
	if (w->dying)
		return;
	if (w->reopen)
		want_open(w);
	else
		pause_watch(w);
	w->reopen = false;
}

static void back(struct job *job)
{
	struct watch_job *j = (struct watch_job *)job;
	struct watched *w = j->w;

	if (job->shed) {
		j->rc = BE_TEMP;
		err_set(&j->err, ERR_BUSY, "shed");
	}
	w->held = true;
	if (j->what == WATCH_JOB_CLOSE) {
		was_closed(w, j);
	} else if (w->dying) {
		if (j->what == WATCH_JOB_OPEN)
			w->w = j->rc == BE_OK ? j->watch : NULL;
		w->state = j->what == WATCH_JOB_READ ? WATCH_ARMED : WATCH_IDLE;
	} else if (j->what == WATCH_JOB_OPEN) {
		opened(w, j);
	} else {
		was_read(w, j);
	}
	w->held = false;
	watch_job_free(j);
	step(w);
}

/* --- from the registry ------------------------------------------------------------------ */

static void add_folders(struct watched *w, const struct park *p)
{
	for (size_t i = 0; i < p->n_folders; i++) {
		bool known = false;

		for (size_t k = 0; k < w->n_folders && !known; k++)
			known = slice_eq(slice_str(w->folders[k]), p->folders[i]);
		if (known)
			continue;
		if (w->n_folders == FOLDERS_MAX) {
			w->left_out++;
			continue;
		}
		w->folders = mem_realloc(w->folders, (w->n_folders + 1) * sizeof(*w->folders));
		w->folders[w->n_folders++] = mem_str(p->folders[i]);
	}
}

void watch_want(struct watch_room *r, struct push_user *u, const struct park *p)
{
	struct watched *w = push_user_watch(u);

	if (!w) {
		w = new_watched(r, push_user_name(u), p->cred.login);
		push_user_set_watch(u, w);
	}
	if (!w->password || !slice_eq(secret_get(w->password), p->cred.password)) {
		set_password(w, p->cred.password);
		list_for(l, &w->extras)
			set_password(list_entry(l, struct watched, of_main), p->cred.password);
	}
	if (!w->password)
		return; /* longer than any that is kept */
	/* Where the hook tells, this only keeps the login for looks: nothing is opened. */
	if (w->state == WATCH_IDLE && settings_list_has(park_settings(r->park), "push.sources", S("hook")))
		return;
	add_folders(w, p);
	if (w->state == WATCH_IDLE)
		want_open(w);
	else
		step(w);
}

void watch_drop(struct watch_room *r, struct push_user *u)
{
	struct watched *w = push_user_watch(u);

	push_user_set_watch(u, NULL);
	if (w)
		kill_watch(w);
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

size_t watch_bytes(void)
{
	return sizeof(struct watched);
}

/* --- timer ---------------------------------------------------------------------------------- */

static void on_timer(struct loop *l, struct loop_timer *t)
{
	struct watched *w = list_entry(t, struct watched, timer);
	int64_t now = loop_now(l);

	if (w->state == WATCH_UNCLOSED) {
		watch_submit(w, WATCH_JOB_CLOSE, back);
		return;
	}
	if (w->dying)
		return;
	if (w->state == WATCH_PAUSED && now >= w->due_ms) {
		want_open(w);
		return;
	}
	if (w->state == WATCH_ARMED && sweeps(w) && now >= w->sweep_ms) {
		w->sweep_ms = now + settings_ms(park_settings(w->room->park), "push.fallback_sweep");
		metric_add(M_sweeps_total, 1);
		push_wake(park_push(w->room->park), w->user, S_NONE, WAKE_ARMED);
	}
	if (w->state == WATCH_ARMED && w->fd >= 0 && now >= w->due_ms) {
		read_now(w, true); /* refreshes IDLE */
		return;
	}
	set_timer(w);
}

/* --- the room --------------------------------------------------------------------------------- */

struct watch_room *watch_room_new(struct park_room *park)
{
	struct watch_room *r = mem_alloc(sizeof(*r));

	r->park = park;
	r->loop = park_loop(park);
	list_init(&r->all);
	list_init(&r->queue);
	loop_timer_init(&r->pace, on_pace);
	r->tokens_at_ms = loop_now(r->loop);
	r->tokens = settings_int(park_settings(park), "push.rearm_rate") * 1000;
	return r;
}

void watch_room_free(struct watch_room **rp)
{
	struct watch_room *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	r->closing = true;
	loop_timer_cancel(&r->pace);
	list_for(l, &r->all) {
		struct watched *w = list_entry(l, struct watched, link);

		loop_timer_cancel(&w->timer);
		if (w->state == WATCH_UNCLOSED)
			watch_submit(w, WATCH_JOB_CLOSE, back);
	}
	free_room(r);
}
