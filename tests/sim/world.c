/* world.c - servers, store, mailbox, webmail and time of the simulation. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/settings_table.h"
#include "work/auth.h"
#include "work/policy.h"
#include "work/pool.h"

#define USER S("ada")
static const char *const folders[] = { "INBOX", "Archive" };

unsigned sim_pick(struct sim *s, unsigned n)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 7;
	s->rng ^= s->rng << 17;
	return (unsigned)(s->rng >> 33) % n;
}

void sim_note(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->verbose)
		return;
	printf("%5u %9lld  ", s->step, (long long)s->now_ms);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (*s->failure)
		return;
	va_start(ap, fmt);
	vsnprintf(s->failure, sizeof(s->failure), fmt, ap);
	va_end(ap);
	sim_note(s, "JUDGE: %s", s->failure);
}

/* --- time, chance, faults ------------------------------------------------------------ */

static int64_t virtual_now(void *self)
{
	return ((struct sim *)self)->now_ms;
}

static int64_t virtual_wall(void *self)
{
	return 1700000000000 + ((struct sim *)self)->now_ms;
}

static void seeded_fill(void *self, void *p, size_t n)
{
	uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)sim_pick(self, 256);
}

static void die(struct sim *s, const char *name)
{
	s->crash_armed = false;
	s->crash_name = name;
	longjmp(s->crash, 1);
}

static void on_crash_point(void *self, const char *name)
{
	struct sim *s = self;

	if (s->crash_armed && sim_pick(s, 2))
		die(s, name);
}

/* Between any two steps of a command somebody else may act, the store may fail,
 * or the process may die. */
static enum store_fault on_store_call(void *arg, enum store_call call, struct slice user)
{
	struct sim *s = arg;

	if (!s->in_exchange || !s->faults)
		return STORE_FINE;
	if (sim_pick(s, sim_quiet(s) ? 60 : 5) == 0)
		world_webmail(s);
	if (s->crash_armed && call == STORE_CALL_COMMIT && sim_pick(s, 3) == 0)
		die(s, "commit");
	switch (sim_pick(s, 40)) {
	case 0:
		return STORE_FAIL_BEFORE;
	case 1:
		return call == STORE_CALL_COMMIT ? STORE_FAIL_AFTER : STORE_FINE;
	default:
		return STORE_FINE;
	}
}

/* --- servers ------------------------------------------------------------------------------ */

static void act_check(void *self, uint64_t conn_id, uint32_t ticket, const struct park *p, struct slice device, struct slice user)
{
	struct sim_server *sv = self;

	if (sv->n_looks == SIM_LOOKS) {
		sim_fail(sv->sim, "more looks asked for than phones wait");
		return;
	}
	sv->looks[sv->n_looks].conn_id = conn_id;
	sv->looks[sv->n_looks].ticket = ticket;
	sv->looks[sv->n_looks].facts = *p;
	snprintf(sv->looks[sv->n_looks].device, sizeof(sv->looks[0].device), "%.*s", SARG(device));
	sv->n_looks++;
}

static struct sim_phone *phone_of(struct sim *s, uint64_t conn_id)
{
	for (int i = 0; i < SIM_PHONES; i++)
		if (s->phone[i].parked && s->phone[i].conn_id == conn_id)
			return &s->phone[i];
	return NULL;
}

static void act_answer(void *self, uint64_t conn_id, int http_status, struct slice body)
{
	struct sim_server *sv = self;
	struct sim_phone *p = phone_of(sv->sim, conn_id);

	if (p)
		phone_waiting_answer(sv->sim, p, http_status, body);
}

static void act_watch(void *self, struct push_user *u, const struct park *p)
{
	struct sim_server *sv = self;
	struct sim *s = sv->sim;
	struct be_cred c = { .user = USER, .login = USER, .password = S("secret") };
	struct session *ses;
	enum be_watch_kind kind;
	size_t missed;
	int fd;

	push_user_set_watch(u, self);
	if (sv->n_watches == sizeof(sv->watches) / sizeof(*sv->watches) ||
	    s->mail->ops->login(s->mail, &c, s->now_ms + 10000, &ses, NULL) != BE_OK ||
	    s->mail->ops->watch_open(&ses, p->folders, p->n_folders, s->now_ms + 10000, &sv->watches[sv->n_watches], &fd,
				     &kind, &missed, NULL) != BE_OK)
		abort();
	sv->n_watches++;
}

static void close_watches(struct sim_server *sv)
{
	while (sv->n_watches)
		sv->sim->mail->ops->watch_close(&sv->watches[--sv->n_watches]);
}

static void act_unwatch(void *self, struct push_user *u)
{
	push_user_set_watch(u, NULL);
	close_watches(self);
}

static void start_server(struct sim *s, int i)
{
	struct sim_server *sv = &s->server[i];
	struct push_options o = { .min_interval_ms = 3000, .linger_ms = 120000, .retry_ms = 5000, .rearm_rate = 100,
				  .jitter_percent = 10 };
	struct push_acts acts = { sv, act_check, act_answer, act_watch, act_unwatch };
	struct work *w = mem_alloc(sizeof(*w));
	struct clock *clk = mem_alloc(sizeof(*clk));
	struct rnd *rnd = mem_alloc(sizeof(*rnd));

	*clk = (struct clock){ virtual_now, virtual_wall, s };
	*rnd = (struct rnd){ seeded_fill, s };
	*w = (struct work){ .clock = clk, .rnd = rnd, .settings = s->settings, .store = s->store, .mail = s->mail,
			    .send = s->mail, .crash_point = on_crash_point, .crash_self = s };
	w->instance = rnd_u64(rnd) | 1;
	if (pool_new(&w->pool, s->settings, clk, rnd, NULL) < 0 || auth_new(&w->auth, s->settings, clk, rnd, NULL) < 0 ||
	    policies_new(&w->policies, s->settings, NULL) < 0 || clients_new(&w->clients, s->settings, NULL) < 0)
		abort();
	*sv = (struct sim_server){ .sim = s, .index = i, .work = w };
	push_new(&sv->push, &o, &acts, clk, rnd);
}

static void end_server(struct sim_server *sv, bool crashed)
{
	struct work *w = sv->work;

	push_free(&sv->push);
	close_watches(sv);
	/* After a crash a session may be out: what a process held goes with it. */
	if (!crashed)
		pool_free(&w->pool);
	auth_free(&w->auth);
	policies_free(&w->policies);
	clients_free(&w->clients);
	free((void *)w->clock);
	free((void *)w->rnd);
	free(w);
}

/* A key says how new the phone's state is; MoveItems has none. So a move that no
 * Sync of its folders followed is the one thing that a store may forget unseen. */
static bool unseen_moves(const struct sim *s)
{
	for (int i = 0; i < SIM_PHONES; i++) {
		if (s->phone[i].pending == SIM_MOVE)
			return true;
		for (size_t f = 0; f < s->phone[i].n_folders; f++)
			if (s->phone[i].folders[f].moved)
				return true;
	}
	return false;
}

/* Now and then the store comes back as it was some time ago: a fail-over to a
 * replica that lagged. */
static void step_back(struct sim *s)
{
	if (s->image && sim_pick(s, 6) == 0 && !unseen_moves(s)) {
		store_mem_restore(s->mem, s->image);
		for (int i = 0; i < SIM_PHONES; i++)
			for (size_t f = 0; f < s->phone[i].n_folders; f++)
				s->phone[i].folders[f].moved = true;
		s->rollbacks++;
		sim_note(s, "the store steps back");
	}
	if (sim_pick(s, 2)) {
		store_image_free(&s->image);
		s->image = store_mem_snapshot(s->mem);
	}
}

void world_restart(struct sim *s, int server)
{
	struct sim_server *sv = &s->server[server];

	sim_note(s, "server %d dies at %s", server, s->crash_name ? s->crash_name : "?");
	s->crashes++;
	for (int i = 0; i < SIM_PHONES; i++)
		if (s->phone[i].parked && s->phone[i].server == server)
			phone_waiting_answer(s, &s->phone[i], 0, S_NONE);
	end_server(sv, true);
	store_mem_crash(s->mem);
	step_back(s);
	start_server(s, server);
}

bool world_exchange(struct sim *s, int server, struct request *rq, struct verdict *v)
{
	*v = (struct verdict){ 0 };
	s->in_exchange = true;
	if (setjmp(s->crash)) {
		s->in_exchange = false;
		world_restart(s, server);
		return false;
	}
	exchange_run(s->server[server].work, rq, v);
	s->in_exchange = false;
	s->crash_armed = false;
	return true;
}

/* --- events and looks --------------------------------------------------------------------- */

static void on_mail_event(void *arg, struct slice user, struct slice folder)
{
	struct sim *s = arg;

	if (s->n_events == sizeof(s->events) / sizeof(*s->events))
		return;
	snprintf(s->events[s->n_events++].folder, sizeof(s->events[0].folder), "%.*s", SARG(folder));
}

bool world_deliver_event(struct sim *s)
{
	size_t at;
	struct slice folder;

	if (s->n_events == 0)
		return false;
	at = sim_pick(s, (unsigned)s->n_events);
	folder = slice_str(s->events[at].folder);
	sim_note(s, "event: %.*s", SARG(folder));
	for (int i = 0; i < SIM_SERVERS; i++)
		push_wake(s->server[i].push, USER, folder, WAKE_EVENT);
	s->events[at] = s->events[--s->n_events];
	return true;
}

static struct request *look_request(struct sim_server *sv, size_t at)
{
	struct arena *a = arena_new();
	struct request *rq = ARENA_NEW(a, struct request);

	rq->arena = a;
	rq->kind = REQUEST_CHECK;
	rq->received_ms = sv->sim->now_ms;
	rq->deadline_ms = sv->sim->now_ms + 50000;
	rq->version = sv->looks[at].facts.version;
	rq->user = USER;
	rq->parked = ARENA_NEW(a, struct park);
	*rq->parked = sv->looks[at].facts;
	rq->parked->user = USER;
	rq->parked->device_id = arena_slice(a, slice_str(sv->looks[at].device));
	rq->query.device_id = rq->parked->device_id;
	rq->parked->cred = (struct be_cred){ .user = USER, .login = USER, .password = S("secret") };
	return rq;
}

static void look(struct sim *s, struct sim_server *sv)
{
	size_t at = sim_pick(s, (unsigned)sv->n_looks);
	struct request *rq = look_request(sv, at);
	uint64_t conn_id = sv->looks[at].conn_id;
	uint32_t ticket = sv->looks[at].ticket;
	struct sim_phone *p = phone_of(s, conn_id);
	struct verdict v;
	struct slice body = S_NONE;

	sv->looks[at] = sv->looks[--sv->n_looks];
	s->crash_armed = s->faults && sim_pick(s, 50) == 0;
	if (!world_exchange(s, sv->index, rq, &v)) {
		request_free(&rq);
		return;
	}
	sim_note(s, "a look for %s on server %d: %s, HTTP %d%s%s", rq->query.device_id.ptr, sv->index,
		 v.kind == VERDICT_PARK ? "waits on" : "an answer", v.http_status, v.err.code ? ", " : "", v.err.text);
	if (!push_checked(sv->push, conn_id, ticket, &v) && p) {
		if (v.body)
			blob_map(v.body, &body, NULL);
		phone_waiting_answer(s, p, v.http_status, body);
	}
	blob_free(&v.body);
	request_free(&rq);
}

bool world_look(struct sim *s)
{
	int first = (int)sim_pick(s, SIM_SERVERS);

	for (int i = 0; i < SIM_SERVERS; i++) {
		struct sim_server *sv = &s->server[(first + i) % SIM_SERVERS];

		if (sv->n_looks) {
			look(s, sv);
			return true;
		}
	}
	return false;
}

void world_advance(struct sim *s, int64_t ms)
{
	s->now_ms += ms;
	for (int i = 0; i < SIM_SERVERS; i++)
		push_advance(s->server[i].push);
}

/* --- webmail --------------------------------------------------------------------------------- */

static void deliver(struct sim *s, const char *folder)
{
	char mail[300];
	int n = snprintf(mail, sizeof(mail),
			 "From: Bob <bob@example.org>\r\nTo: ada@example.org\r\nSubject: m%u\r\n"
			 "Message-ID: <m%u@example.org>\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\nText %u.\r\n",
			 s->delivered, s->delivered, s->delivered);

	mem_deliver(s->mail, USER, slice_str(folder), slice(mail, (size_t)n));
	sim_note(s, "webmail: m%u arrives in %s", s->delivered, folder);
	s->delivered++;
}

void world_webmail(struct sim *s)
{
	struct arena *a = arena_new();
	const char *folder = folders[sim_pick(s, 2)], *other = folders[folder == folders[0]];
	uint64_t *nums, num;
	size_t n = mem_list(s->mail, USER, slice_str(folder), a, &nums);
	unsigned bit = sim_pick(s, 2) ? MAIL_SEEN : MAIL_FLAGGED, act = sim_pick(s, 10);

	num = n ? nums[sim_pick(s, (unsigned)n)] : 0;
	if (!num || act < 4) {
		deliver(s, folder);
	} else if (act < 7) {
		bool on = sim_pick(s, 2);

		mem_webmail_flag(s->mail, USER, slice_str(folder), num, bit, on ? bit : 0);
		sim_note(s, "webmail: %s %llu bit %u %s", folder, (unsigned long long)num, bit, on ? "on" : "off");
	} else if (act < 8) {
		mem_webmail_move(s->mail, USER, slice_str(folder), num, slice_str(other));
		sim_note(s, "webmail: %s %llu moves to %s", folder, (unsigned long long)num, other);
	} else if (act < 9) {
		mem_webmail_delete(s->mail, USER, slice_str(folder), num);
		sim_note(s, "webmail: %s %llu is deleted", folder, (unsigned long long)num);
	} else if (sim_pick(s, 4) == 0) {
		mem_forget(s->mail, USER);
		sim_note(s, "webmail: the server forgets its journal");
	}
	arena_free(&a);
}

/* --- second judge ------------------------------------------------------------------------------ */

static bool subject_of(struct sim *s, struct slice folder, uint64_t num, struct arena *a, char *out, size_t size)
{
	struct slice mail = mem_mail(s->mail, USER, folder, num, a), rest = mail, line;

	while (slice_split(&rest, '\n', &line))
		if (slice_istarts(line, S("Subject: "))) {
			snprintf(out, size, "%.*s", SARG(slice_trim(slice_from(line, 9))));
			return true;
		}
	return false;
}

struct flags_seen {
	uint64_t num;
	bool read, flagged, found;
};

static int on_flags(void *arg, const struct be_item *it)
{
	struct flags_seen *f = arg;

	f->found = it->num == f->num;
	f->read = it->rev & MAIL_SEEN;
	f->flagged = it->rev & MAIL_FLAGGED;
	return 0;
}

static void compare_folder(struct sim *s, struct sim_phone *p, struct sim_folder *f, struct session *ses)
{
	struct arena *a = arena_new();
	uint64_t *nums;
	size_t n = mem_list(s->mail, USER, slice_str(f->name), a, &nums);

	for (size_t k = 0; k < f->n && n < f->n; k++) {
		bool there = false;

		for (size_t i = 0; i < n; i++)
			there = there || nums[i] == f->v[k].num;
		if (!there)
			sim_fail(s, "phone %d has %s (%llu) in %s, the mailbox has not", p->index, f->v[k].subject,
				 (unsigned long long)f->v[k].num, f->name);
	}
	for (size_t i = 0; i < n && !*s->failure; i++) {
		struct flags_seen seen = { .num = nums[i] };
		struct be_changes_sink sink = { .item = on_flags, .arg = &seen };
		struct sim_item *it = NULL;
		char subject[64] = "";

		for (size_t k = 0; k < f->n; k++)
			if (f->v[k].num == nums[i])
				it = &f->v[k];
		subject_of(s, slice_str(f->name), nums[i], a, subject, sizeof(subject));
		ses->ops->lookup(ses, slice_str(f->name), &nums[i], 1, &sink, NULL);
		if (!it)
			sim_fail(s, "phone %d lost %s (%llu) of %s", p->index, subject, (unsigned long long)nums[i], f->name);
		else if (strcmp(it->subject, subject) != 0)
			sim_fail(s, "phone %d has %s where the mailbox has %s", p->index, it->subject, subject);
		else if (it->read != seen.read || it->flagged != seen.flagged)
			sim_fail(s, "phone %d: flags of %s in %s differ (%d%d, mailbox %d%d)", p->index, subject, f->name,
				 it->read, it->flagged, seen.read, seen.flagged);
	}
	arena_free(&a);
}

void world_compare(struct sim *s, struct sim_phone *p, size_t only)
{
	struct be_cred c = { .user = USER, .login = USER, .password = S("secret") };
	struct session *ses = NULL;

	if (s->mail->ops->login(s->mail, &c, s->now_ms + 10000, &ses, NULL) != BE_OK)
		abort();
	for (size_t i = 0; i < p->n_folders && !*s->failure; i++)
		if (only == SIZE_MAX || only == i)
			compare_folder(s, p, &p->folders[i], ses);
	s->mail->ops->logout(&ses);
}

/* --- third judge: what phones sent -------------------------------------------------------------- */

static struct slice head_value(struct slice mail, const char *name)
{
	struct slice line;

	while (slice_split(&mail, '\n', &line) && slice_trim(line).len)
		if (slice_istarts(line, slice_str(name)))
			return slice_trim(slice_from(line, strlen(name)));
	return S_NONE;
}

/* Every mail that a phone was told is sent was handed over, under one Message-ID;
 * twice only where its copy in Sent was taken away before the repeat looked. */
void world_judge_sent(struct sim *s)
{
	struct arena *a = arena_new();

	for (int i = 0; i < SIM_PHONES; i++)
		for (unsigned k = 0; k < s->phone[i].sent && !*s->failure; k++) {
			struct slice want = arena_printf(a, "p%d-%u", i, k), id = S_NONE;
			struct mem_sent m;
			unsigned times = 0;

			for (size_t at = 0; mem_sent(s->mail, at, a, &m); at++) {
				struct slice this_id = head_value(m.mail, "Message-ID:");

				if (!slice_eq(head_value(m.mail, "Subject:"), want))
					continue;
				if (times++ && !slice_eq(id, this_id))
					sim_fail(s, "%.*s was sent under two Message-IDs", SARG(want));
				id = this_id;
			}
			if (times == 0)
				sim_fail(s, "%.*s was never sent", SARG(want));
			else if (times > 1)
				sim_fail(s, "%.*s was sent %u times", SARG(want), times);
		}
	arena_free(&a);
}

/* --- life ---------------------------------------------------------------------------------------- */

static void set(struct settings *s, const char *name, const char *value)
{
	struct err e;

	if (settings_set(s, slice_str(name), slice_str(value), "simulation", &e) < 0) {
		fprintf(stderr, "sim: %s: %s\n", name, e.text);
		abort();
	}
}

void world_open(struct sim *s, uint64_t seed, const char *secret_dir)
{
	struct clock clk = { virtual_now, virtual_wall, s };
	struct be_env env = { .clock = NULL };
	struct clock *clock = mem_alloc(sizeof(*clock));
	struct rnd *rnd = mem_alloc(sizeof(*rnd));

	*s = (struct sim){ .rng = seed * 0x9e3779b97f4a7c15u + 1, .now_ms = 1000000, .faults = true, .verbose = s->verbose };
	*clock = clk;
	*rnd = (struct rnd){ seeded_fill, s };
	s->settings = settings_new();
	set(s->settings, "server.data_dir", secret_dir);
	set(s->settings, "policy.require", "off");
	set(s->settings, "store.url", "memory:");
	set(s->settings, "backend.mail", "mem");
	set(s->settings, "push.heartbeat_min", "60s");
	env = (struct be_env){ s->settings, clock, rnd };
	if (mem_backend_ops.open(&s->mail, &env, NULL) < 0 || store_open(&s->mem, s->settings, clock, NULL) < 0)
		abort();
	mem_add_user(s->mail, USER, S("secret"), S("ada@example.org"), S("Ada"));
	mem_webmail_folder_create(s->mail, USER, S("Archive"));
	mem_set_hook(s->mail, on_mail_event, s);
	s->store = s->mem;
	s->store = store_fail_new(&s->store, on_store_call, s);
	for (int i = 0; i < SIM_SERVERS; i++)
		start_server(s, i);
	for (int i = 0; i < SIM_PHONES; i++)
		phone_init(&s->phone[i], i);
}

void world_close(struct sim *s)
{
	for (int i = 0; i < SIM_PHONES; i++)
		phone_deinit(&s->phone[i]);
	for (int i = 0; i < SIM_SERVERS; i++)
		end_server(&s->server[i], s->crashes != 0);
	store_image_free(&s->image);
	store_close(&s->store);
	s->mail->ops->close(&s->mail);
	settings_unref(&s->settings);
}
