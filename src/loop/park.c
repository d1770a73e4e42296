/* park.c - the waiting room: connections that wait, who wakes them, and the
 * looks that workers take for them. Loop thread, except park_published, which runs
 * on the publishing thread and hands its message over by a locked list.
 * Trap: hooks of a connection must not answer that very connection; answers come
 * in a later turn (the tick) or in the done of a job. */
#include "loop/park.h"

#include <pthread.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "loop/conn.h"
#include "loop/pubsub.h"
#include "loop/watch.h"
#include "work/auth.h"
#include "work/pool.h"
#include "work/work.h"

enum {
	CALM_REQUESTS = 100,    /* at most so many between two looks: a calm moment */
	TRIM_REQUESTS = 1000,   /* so many since the last trim: worth another */
	SOURCE_TURNS = 4,       /* of some hundred events each; the rest comes next turn */
	EXPIRE_MS = 5000,
	INBOX_TURN = 256,       /* messages handled in one turn */
	INBOX_MAX = 65536,      /* beyond it everybody is looked after instead */
};

/* A message published by a worker of this process (embedded store). */
struct published {
	struct published *next;
	struct slice user, json;
};

struct park_room {
	struct loop *l;
	struct settings *set;
	struct push *push;
	struct watch_room *watches;
	struct pubsub *pubsub;
	uv_timer_t tick, expiry;
	uv_prepare_t before_sleep;
	int64_t tick_at_ms;        /* when the tick fires; INT64_MAX: it does not */
	uv_async_t inbox_async;
	pthread_mutex_t inbox_lock; /* of the next four */
	struct published *inbox, **inbox_end;
	unsigned inbox_n;
	bool inbox_lost;
	uv_poll_t source;
	bool has_source;
	int open_handles;
	uint64_t rid_seen, rid_trimmed; /* requests so far: at the last look, at the last trim */
	unsigned checks;           /* jobs out; the last one back frees a room that is gone */
	bool gone;
};

struct push *park_push(struct park_room *r)
{
	return r->push;
}

struct loop *park_loop(struct park_room *r)
{
	return r->l;
}

struct settings *park_settings(struct park_room *r)
{
	return r->set;
}

/* --- looks ---------------------------------------------------------------------------- */

struct check_job {
	struct job job;
	struct park_room *room;
	struct work *work;
	struct request *rq;
	struct verdict verdict;
	uint64_t conn_id;
	uint32_t ticket;
};

static void run_check(struct job *j)
{
	struct check_job *cj = (struct check_job *)j;

	if (cj->rq)
		exchange_run(cj->work, cj->rq, &cj->verdict);
	else
		cj->verdict = (struct verdict){ .kind = VERDICT_FAIL, .http_status = 503 };
}

static void free_check(struct check_job *cj)
{
	blob_free(&cj->verdict.body);
	if (cj->rq)
		request_free(&cj->rq);
	free(cj);
}

/* Is the login that was refused still the one that the user's watch has? A phone may
 * have brought a new password while the look ran. */
static bool login_is_theirs(struct park_room *r, const struct request *rq)
{
	struct push_user *u = push_find_user(r->push, rq->user);
	struct arena *a = arena_new();
	struct be_cred c;
	bool same = u && (!watch_cred(u, a, &c) || slice_eq(c.password, rq->parked->cred.password));

	arena_free(&a);
	return same;
}

static void check_done(struct job *j)
{
	struct check_job *cj = (struct check_job *)j;
	struct park_room *r = cj->room;

	r->l->exchanges_running--;
	r->checks--;
	if (r->gone) {
		free_check(cj);
		if (r->checks == 0)
			free(r);
		return;
	}
	if (j->shed) {
		cj->verdict = (struct verdict){ .kind = VERDICT_FAIL, .http_status = 503 };
		err_set(&cj->verdict.err, ERR_BUSY, "shed");
	}
	if (cj->verdict.drop_user && login_is_theirs(r, cj->rq))
		park_refuse(r, cj->rq->user);
	if (!push_checked(r->push, cj->conn_id, cj->ticket, &cj->verdict))
		conn_answer_verdict(r->l, cj->conn_id, &cj->verdict);
	free_check(cj);
}

/* NULL: there is no login to look with. An empty one would be refused, and with it
 * the user's phones. */
static struct request *check_request(struct park_room *r, const struct park *facts, struct slice device_id,
				     struct slice user)
{
	struct arena *a = arena_new();
	struct request *rq = ARENA_NEW(a, struct request);
	struct push_user *u = push_find_user(r->push, user);
	struct be_cred cred;

	if (!u || !watch_cred(u, a, &cred)) {
		arena_free(&a);
		return NULL;
	}
	rq->arena = a;
	rq->kind = REQUEST_CHECK;
	rq->rid = ++r->l->next_rid;
	rq->received_ms = loop_now(r->l);
	rq->deadline_ms = rq->received_ms + settings_ms(r->set, "limits.command_deadline");
	rq->version = facts->version;
	rq->user = arena_slice(a, user);
	rq->parked = ARENA_NEW(a, struct park);
	*rq->parked = *facts;
	rq->parked->user = rq->user;
	rq->parked->device_id = arena_slice(a, device_id);
	rq->query.device_id = rq->parked->device_id;
	rq->query.version = facts->version;
	rq->parked->cred = cred;
	return rq;
}

static void act_check(void *self, uint64_t conn_id, uint32_t ticket, const struct park *p, struct slice device_id,
		      struct slice user)
{
	struct park_room *r = self;
	struct check_job *cj = mem_alloc(sizeof(*cj));

	cj->job = (struct job){ .cls = JOB_CHECK, .run = run_check, .done = check_done };
	cj->room = r;
	cj->work = r->l->deps.work;
	cj->conn_id = conn_id;
	cj->ticket = ticket;
	cj->rq = check_request(r, p, device_id, user);
	r->l->exchanges_running++;
	r->checks++;
	job_submit(r->l->jobs, &cj->job);
}

static void act_answer(void *self, uint64_t conn_id, int http_status, struct slice body)
{
	struct park_room *r = self;

	conn_answer_parked(r->l, conn_id, http_status, body);
}

static void act_watch(void *self, struct push_user *u, const struct park *p)
{
	struct park_room *r = self;

	watch_want(r->watches, u, p);
}

static void act_unwatch(void *self, struct push_user *u)
{
	struct park_room *r = self;

	watch_drop(r->watches, u);
}

void park_refuse(struct park_room *r, struct slice user)
{
	struct verdict v = { .kind = VERDICT_FAIL, .http_status = 401, .drop_user = true };

	push_after(r->push, 0, user, S_NONE, &v);
}

/* --- hooks of connections ----------------------------------------------------------------- */

static void hook_before(void *self, uint64_t conn_id, const struct request *rq)
{
	struct park_room *r = self;
	struct arena *a = arena_new();
	struct slice user, login;

	/* The name only: whether the password is right is found out by the worker. */
	if (rq->has_auth && auth_canonical(a, r->set, rq->login, &user, &login))
		push_before(r->push, conn_id, user);
	arena_free(&a);
}

static void hook_after(void *self, uint64_t conn_id, const struct request *rq, const struct verdict *v)
{
	struct park_room *r = self;

	push_after(r->push, conn_id, rq->user, rq->query.device_id, v);
}

static int hook_park(void *self, uint64_t conn_id, const struct request *rq, const struct verdict *v)
{
	struct park_room *r = self;

	push_park(r->push, conn_id, v);
	return 0;
}

static void hook_drop(void *self, uint64_t conn_id)
{
	struct park_room *r = self;

	push_drop(r->push, conn_id);
}

static void hook_hurry(void *self, uint64_t conn_id)
{
	struct park_room *r = self;

	push_hurry(r->push, conn_id);
}

static void hook_drain(void *self, int64_t over_ms)
{
	struct park_room *r = self;

	push_drain(r->push, over_ms);
}

/* --- messages ------------------------------------------------------------------------------- */

void park_message(struct park_room *r, struct slice user, const struct push_message *m)
{
	struct work *w = r->l->deps.work;
	struct push_user *u;

	if (m->auth_changed) {
		auth_forget(w->auth, user);
		pool_forget(w->pool, user);
		u = push_find_user(r->push, user);
		/* The phones come back with what their owners type. */
		if (u)
			push_hurry_user(r->push, u);
		return;
	}
	if (m->taken && m->device.len)
		push_taken(r->push, user, m->device, m->epoch);
	else
		push_wake(r->push, user, m->folder, WAKE_EVENT);
}

void park_rearmed(struct park_room *r)
{
	push_wake_all(r->push, WAKE_ARMED);
}

/* What has to be handed over however long the list is: passwords to forget. */
static bool is_urgent(struct slice json)
{
	return json.len <= MESSAGE_MAX_BYTES && memmem(json.ptr, json.len, "\"auth\"", 6);
}

void park_published(void *arg, struct slice user, struct slice json)
{
	struct park_room *r = arg;
	struct published *m;

	pthread_mutex_lock(&r->inbox_lock);
	if (json.len > MESSAGE_MAX_BYTES)
		json = S("{}"); /* whatever it says, something happened */
	if (user.len && r->inbox_n >= INBOX_MAX && !is_urgent(json)) {
		r->inbox_lost = true;
	} else {
		m = mem_alloc(sizeof(*m));
		m->user = mem_slice(user);
		m->json = mem_slice(json);
		*r->inbox_end = m;
		r->inbox_end = &m->next;
		r->inbox_n++;
	}
	pthread_mutex_unlock(&r->inbox_lock);
	uv_async_send(&r->inbox_async);
}

/* The oldest, NULL when there is none; *lost_r: some were not kept. */
static struct published *take_one(struct park_room *r, bool *lost_r)
{
	struct published *m;

	pthread_mutex_lock(&r->inbox_lock);
	m = r->inbox;
	if (m) {
		r->inbox = m->next;
		r->inbox_n--;
	}
	if (!r->inbox)
		r->inbox_end = &r->inbox;
	*lost_r = r->inbox_lost;
	r->inbox_lost = false;
	pthread_mutex_unlock(&r->inbox_lock);
	return m;
}

static void free_published(struct published *m)
{
	free((char *)m->user.ptr);
	free((char *)m->json.ptr);
	free(m);
}

static void handle_published(struct park_room *r, const struct published *m)
{
	struct push_message msg;
	struct arena *a;

	if (m->user.len == 0) {
		park_rearmed(r);
		return;
	}
	/* Every server hears of every user: most messages are of nobody here. */
	if (!push_find_user(r->push, m->user) && !is_urgent(m->json))
		return;
	a = arena_new();
	if (message_parse(a, m->json, &msg, NULL) == 0)
		park_message(r, m->user, &msg);
	arena_free(&a);
}

static void on_inbox(uv_async_t *h)
{
	struct park_room *r = h->data;
	struct published *m;
	bool lost;

	for (int n = 0; n < INBOX_TURN; n++) {
		m = take_one(r, &lost);
		if (lost)
			park_rearmed(r);
		if (!m)
			return;
		handle_published(r, m);
		free_published(m);
	}
	uv_async_send(h);
}

/* --- sources of the whole process --------------------------------------------------------------- */

static void source_event(void *arg, struct slice user, struct slice folder)
{
	struct park_room *r = arg;

	push_wake(r->push, user, folder, WAKE_EVENT);
}

static void on_source(uv_poll_t *h, int status, int events)
{
	struct park_room *r = h->data;
	struct backend *b = r->l->deps.work->mail;

	for (int i = 0; i < SOURCE_TURNS && b->ops->source_read(b, source_event, r); i++)
		;
}

static int arm_source(struct park_room *r, struct err *e)
{
	struct backend *b = r->l->deps.work->mail;
	int fd = b && b->ops->source_fd ? b->ops->source_fd(b) : -1;

	if (fd < 0)
		return 0;
	r->has_source = uv_poll_init(&r->l->uv, &r->source, fd) == 0;
	r->source.data = r;
	if (!r->has_source || uv_poll_start(&r->source, UV_READABLE, on_source) < 0)
		return err_set(e, ERR_INTERNAL, "source of backend %s cannot be polled", b->ops->name);
	return 0;
}

/* --- life ----------------------------------------------------------------------------------------- */

struct tidy_job {
	struct job job;
	struct work *work;
	bool trim;
};

static void run_tidy(struct job *j)
{
	struct tidy_job *t = (struct tidy_job *)j;

	pool_expire(t->work->pool);
	/* What a burst of requests took stays in the allocator's arenas otherwise:
	 * some 300 bytes for each phone that came to wait. */
	if (t->trim)
		malloc_trim(0);
}

static void tidy_done(struct job *j)
{
	free(j);
}

/* Sessions that nobody used for a while are closed, also when nothing else happens. */
static void tidy(struct park_room *r, bool trim)
{
	struct tidy_job *t = mem_alloc(sizeof(*t));

	t->job = (struct job){ .cls = JOB_BACKGROUND, .run = run_tidy, .done = tidy_done };
	t->work = r->l->deps.work;
	t->trim = trim;
	job_submit(r->l->jobs, &t->job);
}

/* Calm after a burst: since the last look few requests came, but many since the last trim. */
static bool worth_trimming(struct park_room *r)
{
	uint64_t rid = r->l->next_rid;
	bool calm = rid - r->rid_seen < CALM_REQUESTS, much = rid - r->rid_trimmed >= TRIM_REQUESTS;

	r->rid_seen = rid;
	if (calm && much)
		r->rid_trimmed = rid;
	return calm && much;
}

static void on_tick(uv_timer_t *t)
{
	struct park_room *r = t->data;

	r->tick_at_ms = INT64_MAX;
	push_advance(r->push);
}

/* Nothing that waits for time: no tick. */
static void on_before_sleep(uv_prepare_t *h)
{
	struct park_room *r = h->data;
	int64_t due = push_due_ms(r->push), now = loop_now(r->l);

	if (due >= r->tick_at_ms && due > now)
		return; /* a tick that comes too early does nothing and is set again */
	r->tick_at_ms = due;
	uv_update_time(&r->l->uv);
	uv_timer_start(&r->tick, on_tick, due > now ? (uint64_t)(due - now) : 0, 0);
}

static void on_expiry(uv_timer_t *t)
{
	struct park_room *r = t->data;
	struct pool_stats s;

	bool trim = worth_trimming(r);

	pool_stats(r->l->deps.work->pool, &s);
	if (s.idle || trim)
		tidy(r, trim);
}

static struct push_options options_of(const struct settings *set)
{
	return (struct push_options){
		.min_interval_ms = settings_ms(set, "push.min_interval"),
		.linger_ms = settings_ms(set, "push.linger"),
		.retry_ms = 10000,
		.rearm_rate = (unsigned)settings_int(set, "push.rearm_rate"),
		.jitter_percent = (unsigned)settings_int(set, "push.jitter"),
	};
}

void park_configure(struct park_room *r, struct settings *set)
{
	struct push_options o = options_of(set);
	struct settings *old = r->set;

	r->set = settings_ref(set);
	settings_unref(&old);
	push_configure(r->push, &o);
}

static void set_hooks(struct park_room *r)
{
	r->l->hooks = (struct park_hooks){
		.self = r, .before = hook_before, .after = hook_after, .park = hook_park, .drop = hook_drop,
		.hurry = hook_hurry, .drain = hook_drain,
	};
}

int park_init(struct park_room **r_r, struct loop *l, struct settings *set, struct err *e)
{
	struct park_room *r = mem_alloc(sizeof(*r));
	struct push_options o = options_of(set);
	struct push_acts acts = { r, act_check, act_answer, act_watch, act_unwatch };

	r->l = l;
	r->set = settings_ref(set);
	r->inbox_end = &r->inbox;
	pthread_mutex_init(&r->inbox_lock, NULL);
	push_new(&r->push, &o, &acts, l->deps.clock, l->deps.rnd);
	r->watches = watch_room_new(r);
	uv_timer_init(&l->uv, &r->tick);
	uv_timer_init(&l->uv, &r->expiry);
	uv_prepare_init(&l->uv, &r->before_sleep);
	r->tick.data = r->expiry.data = r->before_sleep.data = r;
	r->tick_at_ms = INT64_MAX;
	uv_timer_start(&r->expiry, on_expiry, EXPIRE_MS, EXPIRE_MS);
	uv_prepare_start(&r->before_sleep, on_before_sleep);
	uv_async_init(&l->uv, &r->inbox_async, on_inbox);
	r->inbox_async.data = r;
	store_on_publish(l->deps.work->store, park_published, r);
	set_hooks(r);
	*r_r = r;
	if (arm_source(r, e) < 0 || pubsub_new(&r->pubsub, set, park_published, r, e) < 0) {
		park_deinit(r_r);
		return -1;
	}
	return 0;
}

static void on_closed(uv_handle_t *h)
{
	struct park_room *r = h->data;

	r->open_handles--;
}

static void close_handle(struct park_room *r, uv_handle_t *h)
{
	r->open_handles++;
	uv_close(h, on_closed);
}

void park_deinit(struct park_room **rp)
{
	struct park_room *r = *rp;
	struct published *m;
	bool lost;

	*rp = NULL;
	if (!r)
		return;
	r->gone = true;
	r->checks++; /* looks that come back while handles close do not free it */
	store_on_publish(r->l->deps.work->store, NULL, NULL);
	r->l->hooks = (struct park_hooks){ 0 };
	pubsub_free(&r->pubsub); /* joins its thread: nothing is published after it */
	push_free(&r->push);
	watch_room_free(&r->watches);
	close_handle(r, (uv_handle_t *)&r->tick);
	close_handle(r, (uv_handle_t *)&r->expiry);
	close_handle(r, (uv_handle_t *)&r->before_sleep);
	close_handle(r, (uv_handle_t *)&r->inbox_async);
	if (r->has_source)
		close_handle(r, (uv_handle_t *)&r->source);
	while (r->open_handles)
		uv_run(&r->l->uv, UV_RUN_ONCE);
	while ((m = take_one(r, &lost)) != NULL)
		free_published(m);
	pthread_mutex_destroy(&r->inbox_lock);
	settings_unref(&r->set);
	if (--r->checks == 0)
		free(r);
}

void park_stats(struct park_room *r, struct park_stats *s_r)
{
	s_r->waiting = push_waiting(r->push);
	s_r->bytes = push_bytes(r->push);
	watch_counts(r->watches, s_r->watches);
}
