/* push.c - the long-poll registry. Owner's thread (the loop, or the simulation).
 * Owns waiters and users; points at connections by id only. One allocation a
 * waiter: struct, device id and topics together; replies are shared by content.
 * Trap: acts may come back into this file (an answer drops a waiter), so nothing
 * here walks a list over a call into acts without holding the next link safe. */
#include "loop/push.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/metrics.h"

/* CHECK_GRACE_MS: so much longer than its heartbeat a phone waits for a look that runs. */
enum { TICK_MS = 100, ANSWERED_KEPT = 16, CHECK_GRACE_MS = 3000, FIRST_RETRY_MS = 500 };

enum waiter_state {
	W_NEW,      /* registered, its first look is under way */
	W_PARKED,
	W_QUEUED,   /* wants a check; waits for its turn or for min_interval */
	W_CHECKING,
};

struct waiter {
	struct map_node by_conn;
	struct list of_user;
	struct list in_queue;      /* paced checks */
	struct wheel_timer timer;  /* end of the wait, or start of a spaced check */
	struct push_user *user;
	uint64_t conn_id, session;
	int64_t until_ms;
	uint32_t device_hash, ticket; /* ticket: of the check that runs */
	uint16_t device_len, n_topics;
	uint8_t version_index, kind, state, failures; /* failures: looks in a row that told nothing */
	bool dirty, hurried, wants_hierarchy;
	uint8_t expire;            /* number of the text its time's end is answered with; 0 none */
	uint32_t topics[];         /* then the device id's bytes */
};

/* The different expire bodies, counted: one a protocol version, made by our own
 * encoder, so a waiter holds a number instead of a pointer. */
struct reply_text {
	unsigned users; /* 0: free */
	struct slice body;
};
enum { TEXTS = 64 };

struct answered {
	uint32_t device_hash;
	int64_t at_ms;
};

struct push_user {
	struct map_node by_name;
	struct list waiters;
	struct wheel_timer linger;
	struct answered *answered; /* grows by one device answered */
	void *watch;
	uint64_t taken_epoch;      /* of the device that was taken last: for those not parked yet */
	uint32_t taken_device;
	uint16_t name_len, n_answered;
	char name[];
};

struct push {
	struct push_options o;
	struct push_acts acts;
	const struct clock *clock;
	const struct rnd *rnd;
	struct wheel wheel, lingers; /* waiters; users */
	struct map conns, users;
	struct list queue;         /* W_QUEUED, paced */
	struct reply_text texts[TEXTS]; /* from 1 */
	int64_t tokens_at_ms;
	unsigned tokens;
	uint32_t next_ticket;
	unsigned n;
	size_t bytes;
};

static const uint8_t versions[] = { 0, 25, 120, 121, 140, 141, 160, 161 };

uint32_t push_topic(struct slice folder)
{
	return (uint32_t)slice_hash(folder);
}

static int64_t now(const struct push *p)
{
	return clock_now(p->clock);
}

int push_new(struct push **p_r, const struct push_options *o, const struct push_acts *acts, const struct clock *clk,
	     const struct rnd *rnd)
{
	struct push *p = mem_alloc(sizeof(*p));

	p->o = *o;
	p->acts = *acts;
	p->clock = clk;
	p->rnd = rnd;
	wheel_init(&p->wheel, now(p), TICK_MS);
	wheel_init(&p->lingers, now(p), TICK_MS);
	map_init(&p->conns);
	map_init(&p->users);
	list_init(&p->queue);
	p->tokens_at_ms = now(p);
	*p_r = p;
	return 0;
}

void push_configure(struct push *p, const struct push_options *o)
{
	p->o = *o;
}

/* --- users ------------------------------------------------------------------------- */

struct slice push_user_name(const struct push_user *u)
{
	return slice(u->name, u->name_len);
}

void *push_user_watch(const struct push_user *u)
{
	return u->watch;
}

void push_user_set_watch(struct push_user *u, void *watch)
{
	u->watch = watch;
}

bool push_user_waits(const struct push_user *u)
{
	return !list_empty(&u->waiters);
}

struct push_user *push_find_user(struct push *p, struct slice user)
{
	for (struct map_node *n = map_first(&p->users, slice_hash(user)); n; n = map_next(n)) {
		struct push_user *u = map_entry(n, struct push_user, by_name);

		if (slice_eq(push_user_name(u), user))
			return u;
	}
	return NULL;
}

static struct push_user *get_user(struct push *p, struct slice user)
{
	struct push_user *u = push_find_user(p, user);

	if (u)
		return u;
	u = mem_alloc(sizeof(*u) + user.len);
	u->name_len = (uint16_t)user.len;
	memcpy(u->name, user.ptr, user.len);
	list_init(&u->waiters);
	wheel_timer_init(&u->linger);
	map_add(&p->users, &u->by_name, slice_hash(user));
	p->bytes += sizeof(*u) + user.len;
	return u;
}

static void free_user(struct push *p, struct push_user *u)
{
	if (u->watch)
		p->acts.unwatch(p->acts.self, u);
	wheel_cancel(&u->linger);
	map_del(&p->users, &u->by_name);
	p->bytes -= sizeof(*u) + u->name_len + u->n_answered * sizeof(*u->answered);
	free(u->answered);
	free(u);
}

/* --- shared texts ------------------------------------------------------------------- */

static uint8_t get_text(struct push *p, struct slice body)
{
	unsigned free_slot = 0, i = 1;

	for (; i < TEXTS && !(p->texts[i].users && slice_eq(p->texts[i].body, body)); i++)
		if (!free_slot && !p->texts[i].users)
			free_slot = i;
	if (i == TEXTS) {
		ASSERT(free_slot); /* more bodies than protocol versions: not a peer's doing */
		i = free_slot;
		p->texts[i].body = mem_slice(body);
	}
	p->texts[i].users++;
	return (uint8_t)i;
}

static void put_text(struct push *p, uint8_t i)
{
	if (!i || --p->texts[i].users)
		return;
	free((char *)p->texts[i].body.ptr);
	p->texts[i].body = S_NONE;
}

/* --- waiters -------------------------------------------------------------------------- */

static struct waiter *find_waiter(const struct push *p, uint64_t conn_id)
{
	for (struct map_node *n = map_first(&p->conns, map_mix(conn_id)); n; n = map_next(n)) {
		struct waiter *w = map_entry(n, struct waiter, by_conn);

		if (w->conn_id == conn_id)
			return w;
	}
	return NULL;
}

static struct slice device_of(const struct waiter *w)
{
	return slice((const char *)(w->topics + w->n_topics), w->device_len);
}

static size_t waiter_size(size_t n_topics, size_t device_len)
{
	return offsetof(struct waiter, topics) + n_topics * sizeof(uint32_t) + device_len;
}

static void link_waiter(struct push *p, struct waiter *w, struct push_user *u)
{
	w->user = u;
	list_init(&w->in_queue);
	wheel_timer_init(&w->timer);
	list_add_tail(&u->waiters, &w->of_user);
	map_add(&p->conns, &w->by_conn, map_mix(w->conn_id));
	wheel_cancel(&u->linger);
	p->bytes += waiter_size(w->n_topics, w->device_len);
	p->n++;
}

static void unlink_waiter(struct push *p, struct waiter *w)
{
	wheel_cancel(&w->timer);
	list_del(&w->in_queue);
	list_del(&w->of_user);
	map_del(&p->conns, &w->by_conn);
	p->bytes -= waiter_size(w->n_topics, w->device_len);
	p->n--;
}

static void free_waiter(struct push *p, struct waiter **wp)
{
	struct waiter *w = *wp;
	struct push_user *u = w->user;

	*wp = NULL;
	if (w->state != W_NEW)
		metric_add(M_parked, -1);
	unlink_waiter(p, w);
	put_text(p, w->expire);
	free(w);
	/* A name that nobody proved to be his is not kept: a guesser has many. */
	if (list_empty(&u->waiters))
		wheel_set(&p->lingers, &u->linger, now(p) + (u->watch || u->n_answered ? p->o.linger_ms : 0));
}

static struct waiter *new_waiter(struct push *p, uint64_t conn_id, struct push_user *u, size_t n_topics, struct slice device)
{
	struct waiter *w = mem_alloc(waiter_size(n_topics, device.len));

	w->conn_id = conn_id;
	w->n_topics = (uint16_t)n_topics;
	w->device_len = (uint16_t)device.len;
	if (device.len)
		memcpy(w->topics + n_topics, device.ptr, device.len);
	w->device_hash = push_topic(device);
	link_waiter(p, w, u);
	return w;
}

static void answer(struct push *p, struct waiter *w, int http_status, struct slice body)
{
	struct slice kept = body.len ? mem_slice(body) : S_NONE; /* may live in w */
	uint64_t conn_id = w->conn_id;

	free_waiter(p, &w);
	p->acts.answer(p->acts.self, conn_id, http_status, kept);
	free((char *)kept.ptr);
}

static void expire(struct push *p, struct waiter *w)
{
	answer(p, w, 200, p->texts[w->expire].body);
}

/* --- checks ---------------------------------------------------------------------------- */

static void check(struct push *p, struct waiter *w)
{
	struct park facts = {
		.kind = (enum park_kind)w->kind, .version = versions[w->version_index], .until_ms = w->until_ms,
		.session = w->session, .wants_hierarchy = w->wants_hierarchy,
	};

	list_del(&w->in_queue);
	wheel_set(&p->wheel, &w->timer, (w->until_ms > now(p) ? w->until_ms : now(p)) + CHECK_GRACE_MS);
	w->state = W_CHECKING;
	w->dirty = false;
	w->ticket = ++p->next_ticket;
	metric_add(M_wakes_total, 1);
	p->acts.check(p->acts.self, w->conn_id, w->ticket, &facts, device_of(w), push_user_name(w->user));
}

static int64_t spaced_until(const struct push *p, const struct waiter *w)
{
	for (size_t i = 0; i < w->user->n_answered; i++)
		if (w->user->answered[i].device_hash == w->device_hash)
			return w->user->answered[i].at_ms + p->o.min_interval_ms;
	return 0;
}

static void note_answered(struct push *p, const struct waiter *w)
{
	struct push_user *u = w->user;
	size_t at = 0, oldest = 0;

	while (at < u->n_answered && u->answered[at].device_hash != w->device_hash) {
		if (u->answered[at].at_ms < u->answered[oldest].at_ms)
			oldest = at;
		at++;
	}
	if (at == ANSWERED_KEPT)
		at = oldest;
	if (at == u->n_answered) {
		u->answered = mem_realloc(u->answered, ++u->n_answered * sizeof(*u->answered));
		p->bytes += sizeof(*u->answered);
	}
	u->answered[at] = (struct answered){ w->device_hash, now(p) };
}

static void want_check(struct push *p, struct waiter *w, enum wake_why why)
{
	int64_t spaced;

	if (w->state != W_PARKED) {
		/* An event overtakes a paced look, and one that is to be repeated. */
		if (w->state == W_QUEUED && why == WAKE_EVENT && spaced_until(p, w) <= now(p))
			check(p, w);
		else
			w->dirty = true;
		return;
	}
	spaced = spaced_until(p, w);
	if (spaced > now(p)) {
		w->state = W_QUEUED;
		wheel_set(&p->wheel, &w->timer, spaced < w->until_ms ? spaced : w->until_ms);
	} else if (why == WAKE_EVENT) {
		check(p, w);
	} else {
		w->state = W_QUEUED;
		list_add_tail(&p->queue, &w->in_queue);
	}
}

static void run_queue(struct push *p)
{
	int64_t t = now(p), gained = (t - p->tokens_at_ms) * p->o.rearm_rate / 1000;

	if (gained > 0) {
		p->tokens_at_ms = t;
		p->tokens = (unsigned)(p->tokens + gained > p->o.rearm_rate ? p->o.rearm_rate : p->tokens + gained);
	}
	while (p->tokens && !list_empty(&p->queue)) {
		p->tokens--;
		check(p, list_entry(p->queue.next, struct waiter, in_queue));
	}
}

/* --- what requests do --------------------------------------------------------------------- */

void push_before(struct push *p, uint64_t conn_id, struct slice user)
{
	struct waiter *old = find_waiter(p, conn_id);

	if (old)
		free_waiter(p, &old);
	if (user.len == 0 || user.len > 512)
		return;
	new_waiter(p, conn_id, get_user(p, user), 0, S_NONE);
}

static void end_older(struct push *p, uint64_t conn_id, struct slice user, struct slice device_id, struct slice body)
{
	struct push_user *u = push_find_user(p, user);
	uint32_t hash = push_topic(device_id);

	if (!u)
		return;
	for (struct list *l = u->waiters.next, *next; l != &u->waiters; l = next) {
		struct waiter *w = list_entry(l, struct waiter, of_user);

		next = l->next;
		if (w->conn_id == conn_id || w->state == W_NEW || w->kind != PARK_PING || w->device_hash != hash)
			continue;
		answer(p, w, 200, body);
	}
}

static void drop_user(struct push *p, struct slice user)
{
	struct push_user *u = push_find_user(p, user);

	if (!u)
		return;
	for (struct list *l = u->waiters.next, *next; l != &u->waiters; l = next) {
		struct waiter *w = list_entry(l, struct waiter, of_user);

		next = l->next;
		if (w->state != W_NEW)
			answer(p, w, 401, S_NONE);
	}
	if (u->watch)
		p->acts.unwatch(p->acts.self, u);
}

void push_after(struct push *p, uint64_t conn_id, struct slice user, struct slice device_id, const struct verdict *v)
{
	struct waiter *w;

	if (v->ends_older)
		end_older(p, conn_id, user, device_id, v->older_body);
	if (v->drop_user)
		drop_user(p, user);
	if (v->kind == VERDICT_PARK)
		return;
	w = find_waiter(p, conn_id);
	if (w && w->state == W_NEW)
		free_waiter(p, &w);
}

static uint8_t version_index(int version)
{
	for (uint8_t i = 0; i < sizeof(versions); i++)
		if (versions[i] == version)
			return i;
	return 1;
}

static void fill(struct push *p, struct waiter *w, const struct verdict *v)
{
	const struct park *k = v->park;

	for (size_t i = 0; i < k->n_folders; i++)
		w->topics[i] = push_topic(k->folders[i]);
	w->kind = (uint8_t)k->kind;
	w->version_index = version_index(k->version);
	w->wants_hierarchy = k->wants_hierarchy;
	w->session = k->session;
	w->until_ms = k->until_ms;
	if (v->expire_body.len)
		w->expire = get_text(p, v->expire_body);
}

void push_park(struct push *p, uint64_t conn_id, const struct verdict *v)
{
	const struct park *k = v->park;
	struct waiter *w = find_waiter(p, conn_id), *sized;
	int64_t left = k->until_ms - now(p);
	bool dirty = w && w->dirty, hurried = w && w->hurried;
	struct push_user *u = get_user(p, k->user);

	/* The real one, with its device and topics, in place of the registered. */
	sized = new_waiter(p, conn_id, u, k->n_folders > UINT16_MAX ? 0 : k->n_folders, k->device_id);
	if (w)
		free_waiter(p, &w);
	w = sized;
	fill(p, w, v);
	if (left > 0 && p->o.jitter_percent)
		w->until_ms -= (int64_t)(rnd_u64(p->rnd) % (uint64_t)(left * p->o.jitter_percent / 100 + 1));
	if (hurried)
		w->until_ms = now(p);
	w->state = W_PARKED;
	metric_add(M_parked, 1);
	wheel_set(&p->wheel, &w->timer, w->until_ms);
	p->acts.watch(p->acts.self, u, k);
	if (dirty || (u->taken_device == w->device_hash && w->session < u->taken_epoch))
		want_check(p, w, WAKE_EVENT);
}

/* Half a second (two looks at one record got into each other's way), doubling to retry_ms; jittered. */
static int64_t retry_after(const struct push *p, struct waiter *w)
{
	int64_t ms = FIRST_RETRY_MS << (w->failures < 16 ? w->failures++ : 16);

	if (ms > p->o.retry_ms)
		ms = p->o.retry_ms;
	return ms / 2 + (int64_t)(rnd_u64(p->rnd) % (uint64_t)(ms + 1));
}

bool push_checked(struct push *p, uint64_t conn_id, uint32_t ticket, const struct verdict *v)
{
	struct waiter *w = find_waiter(p, conn_id);
	bool passing = v->kind != VERDICT_PARK && v->http_status == 503;

	if (!w || w->state != W_CHECKING || w->ticket != ticket)
		return true; /* answered meanwhile by someone else */
	if (v->kind != VERDICT_PARK && !passing) {
		note_answered(p, w);
		free_waiter(p, &w);
		return false;
	}
	w->state = W_PARKED;
	if (!passing) {
		metric_add(M_wakes_false_total, 1);
		w->failures = 0;
		w->session = v->park->session;
		if (w->dirty && w->until_ms > now(p)) {
			check(p, w);
			return true;
		}
	} else {
		/* Nothing could be told for the moment: the phone is not to pay for it. */
		int64_t again = now(p) + retry_after(p, w);

		if (again < w->until_ms) {
			w->state = W_QUEUED;
			wheel_set(&p->wheel, &w->timer, again);
			return true;
		}
	}
	wheel_set(&p->wheel, &w->timer, w->until_ms);
	return true;
}

void push_drop(struct push *p, uint64_t conn_id)
{
	struct waiter *w = find_waiter(p, conn_id);

	if (w)
		free_waiter(p, &w);
}

void push_hurry(struct push *p, uint64_t conn_id)
{
	struct waiter *w = find_waiter(p, conn_id);

	/* In the next advance: the connection that calls may be the one to answer. */
	if (w && w->state == W_NEW)
		w->hurried = true;
	if (w && w->state != W_NEW) {
		w->until_ms = now(p);
		if (w->state != W_CHECKING)
			wheel_set(&p->wheel, &w->timer, w->until_ms);
	}
}

void push_hurry_user(struct push *p, struct push_user *u)
{
	for (struct list *l = u->waiters.next; l != &u->waiters; l = l->next)
		push_hurry(p, list_entry(l, struct waiter, of_user)->conn_id);
}

void push_drain(struct push *p, int64_t over_ms)
{
	int64_t t = now(p);

	for (size_t b = 0; b <= p->conns.mask; b++)
		for (struct map_node *n = p->conns.bucket[b]; n; n = n->next) {
			struct waiter *w = map_entry(n, struct waiter, by_conn);

			if (w->state == W_NEW)
				continue;
			w->until_ms = t + (int64_t)(rnd_u64(p->rnd) % (uint64_t)(over_ms > 0 ? over_ms : 1));
			wheel_set(&p->wheel, &w->timer, w->until_ms + (w->state == W_CHECKING ? CHECK_GRACE_MS : 0));
		}
}

/* --- wakes ------------------------------------------------------------------------------- */

static bool concerns(const struct waiter *w, uint32_t topic)
{
	if (topic == 0 || w->n_topics == 0)
		return true;
	for (size_t i = 0; i < w->n_topics; i++)
		if (w->topics[i] == topic)
			return true;
	return false;
}

static void wake_user(struct push *p, struct push_user *u, uint32_t topic, enum wake_why why)
{
	for (struct list *l = u->waiters.next, *next; l != &u->waiters; l = next) {
		struct waiter *w = list_entry(l, struct waiter, of_user);

		next = l->next;
		if (concerns(w, topic))
			want_check(p, w, why);
	}
}

bool push_wake(struct push *p, struct slice user, struct slice folder, enum wake_why why)
{
	struct push_user *u = push_find_user(p, user);

	if (!u)
		return false;
	wake_user(p, u, folder.len ? push_topic(folder) : 0, why);
	return true;
}

void push_taken(struct push *p, struct slice user, struct slice device_id, uint64_t epoch)
{
	struct push_user *u = push_find_user(p, user);
	uint32_t hash = push_topic(device_id);
	bool other;

	if (!u)
		return;
	other = u->taken_epoch && u->taken_device != hash;
	for (struct list *l = u->waiters.next, *next; l != &u->waiters; l = next) {
		struct waiter *w = list_entry(l, struct waiter, of_user);

		next = l->next;
		if (w->state == W_NEW)
			w->dirty |= other; /* one is remembered until they park; a second makes them look */
		else if (w->device_hash == hash && w->session < epoch)
			want_check(p, w, WAKE_EVENT);
	}
	u->taken_device = hash;
	u->taken_epoch = epoch;
}

void push_wake_all(struct push *p, enum wake_why why)
{
	for (size_t b = 0; b <= p->users.mask; b++)
		for (struct map_node *n = p->users.bucket[b]; n; n = n->next)
			wake_user(p, map_entry(n, struct push_user, by_name), 0, why);
}

/* --- time ---------------------------------------------------------------------------------- */

static void on_linger(void *arg, struct wheel_timer *t)
{
	free_user(arg, list_entry(t, struct push_user, linger));
}

static void on_timer(void *arg, struct wheel_timer *t)
{
	struct push *p = arg;
	struct waiter *w = list_entry(t, struct waiter, timer);

	if (w->until_ms <= now(p) || w->state == W_CHECKING)
		expire(p, w);
	else
		check(p, w); /* W_QUEUED: spaced, or to be tried again */
}

void push_advance(struct push *p)
{
	wheel_advance(&p->wheel, now(p), on_timer, p);
	wheel_advance(&p->lingers, now(p), on_linger, p);
	run_queue(p);
}

int64_t push_due_ms(const struct push *p)
{
	int64_t due = wheel_due_ms(&p->wheel), linger = wheel_due_ms(&p->lingers);

	if (!list_empty(&p->queue) && due > now(p) + TICK_MS)
		due = now(p) + TICK_MS;
	return due < linger ? due : linger;
}

unsigned push_waiting(const struct push *p)
{
	return p->n;
}

size_t push_bytes(const struct push *p)
{
	return p->bytes + (p->conns.mask + 1 + p->users.mask + 1) * sizeof(void *);
}

void push_free(struct push **pp)
{
	struct push *p = *pp;
	struct map_node *n;

	*pp = NULL;
	if (!p)
		return;
	while ((n = map_any(&p->conns)) != NULL) {
		struct waiter *w = map_entry(n, struct waiter, by_conn);

		free_waiter(p, &w);
	}
	while ((n = map_any(&p->users)) != NULL)
		free_user(p, map_entry(n, struct push_user, by_name));
	map_deinit(&p->conns);
	map_deinit(&p->users);
	free(p);
}
