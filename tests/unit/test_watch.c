/* test_watch.c - watches over a real loop, real workers and a scripted backend: every
 * state, every way out of it, pacing, IDLE on several folders, shutdown at any moment. The
 * test's thread is the loop's; the clock is the real one plus what the test adds. */
#include "harness.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/settings_table.h"
#include "loop/park.h"
#include "loop/watch.h"
#include "work/auth.h"
#include "work/pool.h"
#include "work/work.h"

/* --- clock ------------------------------------------------------------------------ */

static _Atomic int64_t added_ms;

static int64_t moved_now(void *self)
{
	return clock_now(&clock_system) + atomic_load(&added_ms);
}
static const struct clock moved_clock = { moved_now, moved_now, NULL };

/* --- a backend on a script ------------------------------------------------------------ */

enum { SOCKETS = 16 };

static struct stub {
	struct backend base;
	_Atomic int logins, opens, reads, closes, on_loop;
	_Atomic int login_rc;            /* 0 OK, 1 TEMP, 2 PERM ERR_AUTH */
	_Atomic int open_rc;             /* 0 OK, 1 TEMP, 2 PERM ERR_UNSUPPORTED */
	_Atomic int read_rc;             /* 0 OK, 1 TEMP: lost */
	_Atomic int kind, with_fd, many; /* many: a read reports so many folders */
	_Atomic bool hold_open, hold_read, hold_close;
	sem_t entered, gate;
	pthread_mutex_t lock;
	int peer[SOCKETS];               /* of the watches with a descriptor, in order of opening */
	char folder[SOCKETS][32];        /* the one that each IDLE watches */
	int n_peers;
} stub;

struct stub_session {
	struct session base;
};
struct stub_watch {
	struct watch base;
	int fd;
	char folder[32];
};

static void pass(_Atomic bool *hold)
{
	if (role_current == ROLE_LOOP)
		stub.on_loop++;
	if (!*hold)
		return;
	sem_post(&stub.entered);
	sem_wait(&stub.gate);
}

static enum be_result stub_login(struct backend *b, const struct be_cred *c, int64_t deadline_ms, struct session **s_r,
				 struct err *e)
{
	struct stub_session *s;
	static _Atomic bool never;

	stub.logins++;
	pass(stub.hold_open ? &stub.hold_open : &never);
	*s_r = NULL;
	if (stub.login_rc == 1 || (stub.login_rc == 2 && slice_eq(c->password, S("old")))) {
		err_set(e, stub.login_rc == 1 ? ERR_BACKEND_TEMP : ERR_AUTH, "scripted");
		return stub.login_rc == 1 ? BE_TEMP : BE_PERM;
	}
	s = mem_alloc(sizeof(*s));
	s->base = (struct session){ b->ops, b };
	*s_r = &s->base;
	return BE_OK;
}
static void stub_logout(struct session **s)
{
	free(*s);
	*s = NULL;
}
static void stub_deadline(struct session *s, int64_t ms)
{
}
static bool stub_alive(struct session *s)
{
	return true;
}

static enum be_result stub_open(struct session **s, const struct slice *folders, size_t n, int64_t deadline_ms,
				struct watch **w_r, int *fd_r, enum be_watch_kind *kind_r, size_t *missed_r, struct err *e)
{
	struct stub_watch *w;
	int pair[2];

	if (stub.open_rc) {
		err_set(e, stub.open_rc == 1 ? ERR_BACKEND_TEMP : ERR_UNSUPPORTED, "scripted");
		return stub.open_rc == 1 ? BE_TEMP : BE_PERM;
	}
	stub.opens++;
	w = mem_alloc(sizeof(*w));
	w->base.ops = (*s)->ops;
	w->fd = -1;
	snprintf(w->folder, sizeof(w->folder), "%.*s", SARG(n ? folders[0] : S("INBOX")));
	for (size_t i = 0; i < n; i++)
		if (slice_eq(folders[i], S("INBOX")))
			strcpy(w->folder, "INBOX");
	if (stub.with_fd) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
			abort();
		pthread_mutex_lock(&stub.lock);
		w->fd = pair[0];
		strcpy(stub.folder[stub.n_peers], w->folder);
		stub.peer[stub.n_peers++] = pair[1];
		pthread_mutex_unlock(&stub.lock);
	}
	*w_r = &w->base;
	*fd_r = w->fd;
	*kind_r = (enum be_watch_kind)stub.kind;
	*missed_r = stub.kind == BE_WATCH_IDLE && n > 1 ? n - 1 : 0;
	stub_logout(s);
	return BE_OK;
}

static enum be_result stub_read(struct watch *base, be_event_fn *fn, void *arg, struct err *e)
{
	struct stub_watch *w = (struct stub_watch *)base;
	char buf[64], name[16];

	stub.reads++;
	pass(&stub.hold_read);
	while (read(w->fd, buf, sizeof(buf)) > 0)
		fn(arg, S("ada"), slice_str(w->folder));
	for (int i = 0; i < stub.many; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		fn(arg, S("ada"), slice_str(name));
	}
	if (!stub.read_rc)
		return BE_OK;
	err_set(e, ERR_BACKEND_TEMP, "scripted");
	return BE_TEMP;
}

static void stub_close(struct watch **wp)
{
	struct stub_watch *w = (struct stub_watch *)*wp;

	pass(&stub.hold_close);
	if (w->fd >= 0)
		close(w->fd);
	free(w);
	*wp = NULL;
	stub.closes++;
}

static const struct backend_ops stub_ops = {
	.name = "stub", .login = stub_login, .logout = stub_logout, .set_deadline = stub_deadline, .alive = stub_alive,
	.watch_open = stub_open, .watch_read = stub_read, .watch_close = stub_close,
};

/* --- what a look finds ------------------------------------------------------------------- */

static _Atomic int looks;
static _Atomic bool hold_look;

void request_free(struct request **r)
{
	if (*r)
		arena_free(&(*r)->arena);
	*r = NULL;
}

void exchange_run(struct work *w, struct request *rq, struct verdict *v)
{
	looks++;
	pass(&hold_look);
	*v = (struct verdict){ .kind = VERDICT_PARK, .http_status = 200, .park = rq->parked };
}

/* --- rig ---------------------------------------------------------------------------------- */

static struct rig {
	struct settings *set;
	struct work work;
	struct loop *l;
	struct park_room *park;
} rig;

static void set(struct settings *s, const char *key, const char *value)
{
	struct err e;

	if (settings_set(s, slice_str(key), slice_str(value), "test", &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
}

static struct settings *new_settings(const char *key, const char *value)
{
	struct settings *s = settings_new();

	set(s, "store.url", "memory:");
	set(s, "push.jitter", "0");
	if (key)
		set(s, key, value);
	return s;
}

static void up(enum be_watch_kind kind, bool with_fd, const char *key, const char *value)
{
	struct loop_config c;
	struct loop_deps d = { .clock = &moved_clock, .rnd = &rnd_system, .work = &rig.work };
	struct err e;

	log_open("/dev/null", LOG_DEBUG, LOG_LOGFMT, NULL);
	memset(&stub, 0, sizeof(stub));
	memset(&rig, 0, sizeof(rig));
	looks = 0;
	hold_look = false;
	stub.base.ops = &stub_ops;
	stub.kind = (int)kind;
	stub.with_fd = with_fd;
	sem_init(&stub.entered, 0, 0);
	sem_init(&stub.gate, 0, 0);
	pthread_mutex_init(&stub.lock, NULL);
	rig.set = new_settings(key, value);
	rig.work = (struct work){ .clock = &moved_clock, .rnd = &rnd_system, .settings = rig.set, .mail = &stub.base };
	loop_config_default(&c);
	c.workers = 8;
	if (store_open(&rig.work.store, rig.set, &moved_clock, &e) < 0 ||
	    pool_new(&rig.work.pool, rig.set, &moved_clock, &rnd_system, &e) < 0 || loop_new(&rig.l, &c, &d, &e) < 0 ||
	    park_init(&rig.park, rig.l, rig.set, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	role_current = ROLE_LOOP;
}

static void *release(void *arg)
{
	struct timespec t = { 0, 30000000 };

	nanosleep(&t, NULL);
	stub.hold_open = stub.hold_read = stub.hold_close = hold_look = false;
	for (int i = 0; i < 32; i++)
		sem_post(&stub.gate);
	return NULL;
}

/* The end of the process, whatever is under way: workers that are held come free meanwhile. */
static void down(void)
{
	pthread_t t;

	pthread_create(&t, NULL, release, NULL);
	role_current = ROLE_NONE;
	park_deinit(&rig.park);
	loop_free(&rig.l);
	pthread_join(t, NULL);
	pool_free(&rig.work.pool);
	store_close(&rig.work.store);
	settings_unref(&rig.set);
	for (int i = 0; i < stub.n_peers; i++)
		close(stub.peer[i]);
	CHECK_INT(stub.closes, stub.opens);
	log_open("-", LOG_INFO, LOG_LOGFMT, NULL);
}

static void turn(void)
{
	struct timespec t = { 0, 1000000 };

	uv_run(loop_uv(rig.l), UV_RUN_NOWAIT);
	nanosleep(&t, NULL);
}

#define UNTIL(cond)                                              \
	do {                                                     \
		int n_ = 0;                                      \
		while (!(cond) && n_++ < 8000)                   \
			turn();                                  \
		CHECK(cond);                                     \
	} while (0)

static void turns(int n)
{
	while (n-- > 0)
		turn();
}

static void skip_ms(int64_t ms)
{
	added_ms += ms;
	turns(5);
}

static void park_on(uint64_t conn, const char *user, const char *password, const char *const *folders)
{
	struct slice v[320];
	struct park k = { .kind = PARK_PING, .user = slice_str(user), .version = 141, .until_ms = moved_now(NULL) + 40000000,
			  .folders = v };
	struct verdict verdict = { .kind = VERDICT_PARK, .park = &k };
	char id[16];

	snprintf(id, sizeof(id), "D%llu", (unsigned long long)conn);
	k.device_id = slice_str(id);
	k.cred = (struct be_cred){ k.user, k.user, slice_str(password) };
	while (folders[k.n_folders]) {
		v[k.n_folders] = slice_str(folders[k.n_folders]);
		k.n_folders++;
	}
	push_before(park_push(rig.park), conn, k.user);
	push_park(park_push(rig.park), conn, &verdict);
}

static const char *const inbox[] = { "INBOX", NULL };

static unsigned armed(enum be_watch_kind k)
{
	struct park_stats s;

	park_stats(rig.park, &s);
	return s.watches[k];
}

static unsigned waiting(void)
{
	return push_waiting(park_push(rig.park));
}

static void hit(int i)
{
	CHECK(write(stub.peer[i], "x", 1) == 1);
}

/* --- cases ----------------------------------------------------------------------------------- */

CASE(watch_is_armed_then_looked_and_tells)
{
	up(BE_WATCH_IDLE, true, NULL, NULL);
	park_on(1, "ada", "pw", inbox);
	UNTIL(armed(BE_WATCH_IDLE) == 1 && looks == 1);
	turns(20);
	CHECK_INT(looks, 1);
	hit(0);
	UNTIL(looks == 2);
	hit(0);
	UNTIL(looks == 3);
	CHECK_INT(stub.reads, 2);
	CHECK_INT(waiting(), 1);
	CHECK_INT(stub.on_loop, 0);
	down();
}

CASE(watch_many_events_at_once_are_one_for_any_folder)
{
	up(BE_WATCH_NOTIFY, true, NULL, NULL);
	park_on(1, "ada", "pw", inbox);
	UNTIL(looks == 1);
	stub.many = 500;
	stub.kind = BE_WATCH_NOTIFY;
	hit(0);
	UNTIL(looks >= 2);
	down();
}

CASE(watch_refused_login_ends_the_waits)
{
	up(BE_WATCH_IDLE, true, NULL, NULL);
	stub.login_rc = 2;
	park_on(1, "ada", "old", inbox);
	park_on(2, "ada", "old", inbox);
	UNTIL(waiting() == 0);
	CHECK(!push_user_watch(push_find_user(park_push(rig.park), S("ada"))));
	turns(20);
	CHECK_INT(stub.logins, 1);
	down();
}

CASE(watch_refusal_of_a_password_that_was_replaced_ends_nothing)
{
	up(BE_WATCH_IDLE, true, NULL, NULL);
	stub.login_rc = 2;
	stub.hold_open = true;
	park_on(1, "ada", "old", inbox);
	turns(10);
	sem_wait(&stub.entered);
	park_on(2, "ada", "new", inbox);
	stub.hold_open = false;
	sem_post(&stub.gate);
	UNTIL(stub.logins == 1);
	turns(30);
	CHECK_INT(waiting(), 2);
	skip_ms(2000);
	UNTIL(armed(BE_WATCH_IDLE) == 1);
	CHECK_INT(waiting(), 2);
	down();
}

CASE(watch_dropped_while_opening_goes_whatever_comes)
{
	for (int rc = 0; rc < 3; rc++) {
		up(BE_WATCH_IDLE, true, "push.linger", "0s");
		stub.hold_open = true;
		stub.login_rc = rc == 2;
		stub.open_rc = rc == 1;
		park_on(1, "ada", "pw", inbox);
		turns(5);
		sem_wait(&stub.entered);
		push_drop(park_push(rig.park), 1);
		skip_ms(200);
		UNTIL(!push_find_user(park_push(rig.park), S("ada")));
		stub.hold_open = false;
		sem_post(&stub.gate);
		turns(50);
		CHECK_INT(armed(BE_WATCH_IDLE), 0);
		UNTIL(stub.closes == stub.opens);
		down();
	}
}

CASE(watch_lost_is_closed_opened_again_and_looked_after)
{
	up(BE_WATCH_IDLE, true, NULL, NULL);
	park_on(1, "ada", "pw", inbox);
	UNTIL(looks == 1);
	stub.read_rc = 1;
	hit(0);
	UNTIL(stub.closes == 1);
	stub.read_rc = 0;
	turns(20);
	CHECK_INT(armed(BE_WATCH_IDLE), 0);
	CHECK_INT(stub.opens, 1);
	skip_ms(1600);
	UNTIL(stub.opens == 2 && armed(BE_WATCH_IDLE) == 1);
	skip_ms(200);
	UNTIL(looks >= 3); /* by the event of the read that failed, and after the arming */
	hit(1);
	UNTIL(stub.reads == 2);
	down();
}

CASE(watch_pauses_grow_to_a_minute)
{
	up(BE_WATCH_IDLE, true, NULL, NULL);
	stub.open_rc = 1;
	park_on(1, "ada", "pw", inbox);
	for (int i = 0; i < 600; i++) {
		added_ms += 1000;
		turns(2);
	}
	/* 1 2 4 8 16 32 60 60 ... of ten minutes, each by half longer or shorter; the pool may
	 * refuse without asking */
	CHECK(stub.logins >= 5 && stub.logins <= 30);
	CHECK_INT(waiting(), 1);
	stub.open_rc = 0;
	for (int i = 0; i < 200 && !armed(BE_WATCH_IDLE); i++) {
		added_ms += 1000;
		turns(2);
	}
	CHECK_INT(armed(BE_WATCH_IDLE), 1);
	down();
}

CASE(watch_logins_after_a_mass_loss_are_paced)
{
	enum { USERS = 300 };
	char name[16];
	int before;

	up(BE_WATCH_MEMORY, false, "push.rearm_rate", "50");
	stub.login_rc = 1;
	for (int i = 0; i < USERS; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		park_on((uint64_t)i + 1, name, "pw", inbox);
	}
	turns(50);
	before = stub.logins;
	CHECK(before <= 60);
	stub.login_rc = 0;
	for (int i = 0; i < 20; i++) {
		added_ms += 100;
		turns(3);
	}
	CHECK(stub.logins <= 50 + 2 * 50 + 60);
	for (int i = 0; i < 1500 && armed(BE_WATCH_MEMORY) < USERS; i++) {
		added_ms += 100;
		turns(1);
	}
	CHECK_INT(armed(BE_WATCH_MEMORY), USERS);
	down();
}

CASE(watch_without_push_is_swept)
{
	up(BE_WATCH_IDLE, true, NULL, NULL);
	stub.open_rc = 2;
	park_on(1, "ada", "pw", inbox);
	UNTIL(looks == 1 && armed(BE_WATCH_NONE) == 1);
	skip_ms(50000);
	turns(20);
	CHECK_INT(looks, 1);
	skip_ms(11000);
	skip_ms(200);
	UNTIL(looks == 2);
	skip_ms(61000);
	skip_ms(200);
	UNTIL(looks == 3);
	down();
}

static const char *const four[] = { "Lists", "INBOX", "Work", "Home", NULL };

CASE(watch_idle_on_several_folders)
{
	int work = -1;

	up(BE_WATCH_IDLE, true, "push.idle_folders", "3");
	park_on(1, "ada", "pw", four);
	UNTIL(armed(BE_WATCH_IDLE) == 3);
	skip_ms(300);
	turns(100);
	CHECK_STR(slice_str(stub.folder[0]), "INBOX");
	for (int i = 1; i < 3; i++)
		if (strcmp(stub.folder[i], "Lists") == 0)
			work = i;
	CHECK(work > 0);
	looks = 0;
	hit(work);
	UNTIL(looks == 1);
	/* Home is nobody's: swept */
	skip_ms(61000);
	skip_ms(200);
	UNTIL(looks == 2);
	/* a lost extra comes back by itself; the watch stays */
	stub.read_rc = 1;
	hit(work);
	UNTIL(armed(BE_WATCH_IDLE) == 2);
	stub.read_rc = 0;
	skip_ms(2000);
	UNTIL(armed(BE_WATCH_IDLE) == 3);
	CHECK_INT(stub.opens, 4);
	push_drop(park_push(rig.park), 1);
	skip_ms(121000);
	UNTIL(armed(BE_WATCH_IDLE) == 0 && stub.closes == 4);
	down();
}

CASE(watch_new_folders)
{
	static const char *const other[] = { "Work", NULL };

	/* all folders are told of anyway */
	up(BE_WATCH_NOTIFY, true, NULL, NULL);
	park_on(1, "ada", "pw", inbox);
	UNTIL(armed(BE_WATCH_NOTIFY) == 1);
	park_on(2, "ada", "pw", other);
	turns(30);
	CHECK_INT(stub.opens, 1);
	down();
	/* told by folder: opened anew at once */
	up(BE_WATCH_MEMORY, false, NULL, NULL);
	park_on(1, "ada", "pw", inbox);
	UNTIL(armed(BE_WATCH_MEMORY) == 1);
	park_on(2, "ada", "pw", other);
	UNTIL(stub.opens == 2 && stub.closes == 1 && armed(BE_WATCH_MEMORY) == 1);
	down();
	/* IDLE prefers INBOX */
	up(BE_WATCH_IDLE, true, NULL, NULL);
	park_on(1, "ada", "pw", other);
	UNTIL(armed(BE_WATCH_IDLE) == 1);
	park_on(2, "ada", "pw", four);
	UNTIL(stub.opens == 2 && armed(BE_WATCH_IDLE) == 1);
	CHECK_STR(slice_str(stub.folder[1]), "INBOX");
	down();
}

CASE(watch_folders_beyond_the_limit_are_swept)
{
	static char names[300][8];
	const char *v[301] = { 0 };

	for (int i = 0; i < 300; i++) {
		snprintf(names[i], sizeof(names[i]), "f%d", i);
		v[i] = names[i];
	}
	up(BE_WATCH_MEMORY, false, NULL, NULL);
	park_on(1, "ada", "pw", v);
	UNTIL(looks == 1);
	skip_ms(61000);
	skip_ms(200);
	UNTIL(looks == 2);
	down();
}

CASE(watch_is_refreshed_in_time)
{
	up(BE_WATCH_IDLE, true, NULL, NULL);
	park_on(1, "ada", "pw", inbox);
	UNTIL(looks == 1);
	for (int i = 0; i < 11; i++) {
		skip_ms(59000);
		hit(0); /* events do not put it off */
		turns(10);
	}
	UNTIL(stub.reads >= 11);
	turns(20);
	/* Eleven reads were for events; one more, now or on the way, is the refresh. */
	skip_ms(120000);
	UNTIL(stub.reads >= 12);
	CHECK_INT(armed(BE_WATCH_IDLE), 1);
	down();
}

CASE(watch_hook_keeps_no_connection)
{
	up(BE_WATCH_IDLE, true, "push.sources", "hook");
	park_on(1, "ada", "pw", inbox);
	turns(30);
	CHECK_INT(stub.logins, 0);
	CHECK(push_wake(park_push(rig.park), S("ada"), S("INBOX"), WAKE_EVENT));
	UNTIL(looks == 1);
	down();
}

CASE(watch_jobs_that_are_shed_are_repeated)
{
	char name[16];

	/* All places of background jobs are taken, and what waits is shed by its age. */
	up(BE_WATCH_IDLE, true, "push.linger", "0s");
	park_on(1, "ada", "pw", inbox);
	UNTIL(armed(BE_WATCH_IDLE) == 1);
	stub.hold_open = true;
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "b%d", i);
		park_on((uint64_t)i + 10, name, "pw", inbox);
	}
	turns(20);
	for (int i = 0; i < 3; i++)
		sem_wait(&stub.entered); /* 8 workers, 40 in 100 */
	push_drop(park_push(rig.park), 1);
	skip_ms(200);
	turns(20);
	CHECK_INT(stub.closes, 0);
	/* the end sheds what waits: closed here, not leaked */
	down();
	CHECK_INT(stub.on_loop, 0);
}

/* --- the end, at any moment ------------------------------------------------------------------- */

CASE(watch_shutdown_in_every_state)
{
	for (int state = 0; state < 8; state++) {
		up(state == 6 ? BE_WATCH_MEMORY : BE_WATCH_IDLE, state != 6, "push.idle_folders", "3");
		stub.hold_open = state == 0;
		stub.login_rc = state == 3;
		park_on(1, "ada", "pw", four);
		if (state == 0) {
			turns(5);
			sem_wait(&stub.entered);
		} else if (state != 3) {
			UNTIL(armed((enum be_watch_kind)stub.kind) >= 1);
		} else {
			UNTIL(stub.logins == 1);
			turns(10); /* paused */
		}
		if (state == 1) {
			stub.hold_read = true;
			hit(0);
			turns(10);
			sem_wait(&stub.entered);
		} else if (state == 2) {
			stub.read_rc = 1;
			stub.hold_close = true;
			hit(0);
			turns(20);
			sem_wait(&stub.entered);
		} else if (state == 4) {
			push_drop(park_push(rig.park), 1);
		} else if (state == 5) {
			hit(0); /* unread */
		} else if (state == 7) {
			hold_look = true;
			push_wake(park_push(rig.park), S("ada"), S_NONE, WAKE_EVENT);
			turns(10);
		}
		down();
	}
}

CASE(watch_reload_during_a_look)
{
	struct settings *fresh = new_settings("push.min_interval", "9s");
	struct work second;

	up(BE_WATCH_IDLE, true, NULL, NULL);
	park_on(1, "ada", "pw", inbox);
	UNTIL(looks == 1);
	hold_look = true;
	hit(0);
	UNTIL(looks == 2);
	second = rig.work;
	second.settings = fresh;
	loop_set_work(rig.l, &second);
	park_configure(rig.park, fresh);
	hold_look = false;
	sem_post(&stub.gate);
	turns(30);
	CHECK_INT(waiting(), 1);
	hit(0);
	UNTIL(looks == 3);
	down();
	settings_unref(&fresh);
}

/* --- messages ------------------------------------------------------------------------------------ */

CASE(park_messages_wake_forget_and_take)
{
	struct err e;

	up(BE_WATCH_MEMORY, false, NULL, NULL);
	park_on(1, "ada", "pw", inbox);
	UNTIL(looks == 1);
	role_current = ROLE_NONE;
	CHECK_INT(store_publish(rig.work.store, S("ada"), S("{\"folder\":\"INBOX\"}"), true, &e), 0);
	UNTIL(looks == 2);
	CHECK_INT(store_publish(rig.work.store, S("ada"), S("{\"folder\":\"Spam\"}"), true, &e), 0);
	CHECK_INT(store_publish(rig.work.store, S("bob"), S("{}"), true, &e), 0);
	CHECK_INT(store_publish(rig.work.store, S("ada"), S("no json"), true, &e), 0);
	CHECK_INT(store_publish(rig.work.store, S("ada"), S("{\"taken\":0,\"device\":\"D1\"}"), true, &e), 0);
	CHECK_INT(store_publish(rig.work.store, S("ada"), S("{\"taken\":9,\"device\":\"D2\"}"), true, &e), 0);
	turns(30);
	CHECK_INT(looks, 2);
	CHECK_INT(store_publish(rig.work.store, S("ada"), S("{\"taken\":9,\"device\":\"D1\"}"), true, &e), 0);
	UNTIL(looks == 3);
	down();
}

static void *flood(void *arg)
{
	for (int i = 0; i < 70000; i++)
		park_published(rig.park, S("ada"), S("{\"folder\":\"Spam\"}"));
	return NULL;
}

CASE(park_flood_of_messages_is_bounded_and_loses_nobody)
{
	pthread_t t;

	up(BE_WATCH_MEMORY, false, NULL, NULL);
	park_on(1, "ada", "pw", inbox);
	UNTIL(looks == 1);
	pthread_create(&t, NULL, flood, NULL);
	pthread_join(t, NULL); /* nobody reads meanwhile: some are not kept */
	skip_ms(200);
	UNTIL(looks == 2); /* and so everybody looks */
	down();
}

static void count_turn(uv_check_t *h)
{
	++*(int *)h->data;
}
static void stop_loop(uv_timer_t *t)
{
	uv_stop(t->loop);
}

CASE(park_idle_process_sleeps)
{
	uv_check_t check;
	uv_timer_t end;
	int n = 0;

	up(BE_WATCH_MEMORY, false, NULL, NULL);
	turns(20);
	uv_check_init(loop_uv(rig.l), &check);
	uv_timer_init(loop_uv(rig.l), &end);
	check.data = &n;
	uv_check_start(&check, count_turn);
	uv_timer_start(&end, stop_loop, 1500, 0);
	uv_run(loop_uv(rig.l), UV_RUN_DEFAULT);
	CHECK(n <= 4);
	uv_close((uv_handle_t *)&check, NULL);
	uv_close((uv_handle_t *)&end, NULL);
	turns(3);
	down();
}
