/* test_pool.c - the session pool over a scripted backend: reuse, caps, waiting,
 * breaker, expiry, forgetting; and many threads at once (for the thread
 * sanitizer). Own clock where no thread waits. */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/settings_table.h"
#include "work/pool.h"

/* --- a backend that counts ----------------------------------------------------------------- */

struct fake {
	struct backend base;
	_Atomic int logins, open;
	_Atomic int answer; /* 0 OK, 1 TEMP, 2 PERM ERR_AUTH */
};
struct fake_session {
	struct session base;
	struct fake *f;
	_Atomic int users; /* more than one at a time: the pool is broken */
	bool dead;
	int64_t deadline_ms;
};

static enum be_result fake_login(struct backend *b, const struct be_cred *c, int64_t deadline_ms, struct session **s_r,
				 struct err *e)
{
	struct fake *f = (struct fake *)b;
	struct fake_session *s;

	f->logins++;
	*s_r = NULL;
	if (f->answer == 1) {
		err_set(e, ERR_BACKEND_TEMP, "down");
		return BE_TEMP;
	}
	if (f->answer == 2 || slice_eq(c->password, S("wrong"))) {
		err_set(e, ERR_AUTH, "no");
		return BE_PERM;
	}
	s = mem_alloc(sizeof(*s));
	s->base = (struct session){ b->ops, b };
	s->f = f;
	f->open++;
	*s_r = &s->base;
	return BE_OK;
}

static void fake_logout(struct session **sp)
{
	struct fake_session *s = (struct fake_session *)*sp;

	*sp = NULL;
	s->f->open--;
	free(s);
}

static void fake_deadline(struct session *s, int64_t deadline_ms)
{
	((struct fake_session *)s)->deadline_ms = deadline_ms;
}

static bool fake_alive(struct session *s)
{
	return !((struct fake_session *)s)->dead;
}

static const struct backend_ops fake_ops = {
	.name = "fake", .login = fake_login, .logout = fake_logout, .set_deadline = fake_deadline, .alive = fake_alive,
};

/* --- a pool ----------------------------------------------------------------------------------- */

static int64_t now;

static int64_t now_fn(void *self)
{
	return now;
}

static const struct clock clk = { now_fn, now_fn, NULL };

struct rig {
	struct settings *set;
	struct fake f;
	struct pool *p;
};

static void rig_up(struct rig *r, const struct clock *c, const char *sessions, const char *per_user)
{
	struct err e;

	log_open("/dev/null", LOG_INFO, LOG_LOGFMT, NULL);
	memset(r, 0, sizeof(*r));
	now = 1000;
	r->set = settings_new();
	CHECK_INT(settings_set(r->set, S("limits.backend_sessions"), slice_str(sessions), "test", &e), 0);
	CHECK_INT(settings_set(r->set, S("limits.backend_sessions_per_user"), slice_str(per_user), "test", &e), 0);
	r->f.base.ops = &fake_ops;
	CHECK_INT(pool_new(&r->p, r->set, c, &rnd_system, &e), 0);
}

static void rig_down(struct rig *r)
{
	pool_free(&r->p);
	CHECK_INT(r->f.open, 0);
	settings_unref(&r->set);
	log_open("-", LOG_INFO, LOG_LOGFMT, NULL);
}

static struct be_cred cred(const char *user, const char *password)
{
	return (struct be_cred){ .user = slice_str(user), .login = slice_str(user), .password = slice_str(password) };
}

static enum be_result get(struct rig *r, const char *user, const char *password, struct session **s, struct err *e)
{
	struct be_cred c = cred(user, password);

	return pool_get(r->p, &r->f.base, &c, now + 10000, s, e);
}

static struct session *must(struct rig *r, const char *user, const char *password)
{
	struct session *s;
	struct err e;

	if (get(r, user, password, &s, &e) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return s;
}

CASE(pool_hands_a_session_on)
{
	struct rig r;
	struct session *a, *b;

	rig_up(&r, &clk, "10", "4");
	a = must(&r, "alice", "pw");
	pool_put(r.p, &a, BE_OK);
	CHECK(a == NULL);
	a = must(&r, "alice", "pw");
	b = must(&r, "alice", "pw"); /* the first is out */
	CHECK_INT(r.f.logins, 2);
	CHECK(a != b);
	CHECK_INT(((struct fake_session *)a)->deadline_ms, now + 10000);
	pool_put(r.p, &a, BE_OK);
	pool_put(r.p, &b, BE_OK);
	rig_down(&r);
}

/* Nobody gets a session by a wrong password or as another user. */
CASE(pool_credentials_do_not_mix)
{
	struct rig r;
	struct session *a, *b;
	struct err e;

	rig_up(&r, &clk, "10", "4");
	a = must(&r, "alice", "pw");
	pool_put(r.p, &a, BE_OK);
	CHECK_INT(get(&r, "alice", "wrong", &b, &e), BE_PERM);
	CHECK_INT(e.code, ERR_AUTH);
	CHECK(b == NULL);
	b = must(&r, "bob", "pw");
	CHECK_INT(r.f.logins, 3);
	pool_put(r.p, &b, BE_OK);
	rig_down(&r);
}

/* What a master user opened for a watch is no answer to an empty password. */
CASE(pool_trusted_sessions_are_apart)
{
	struct be_cred watch = cred("alice", ""), guess = watch;
	struct rig r;
	struct session *a, *b;
	struct err e;

	rig_up(&r, &clk, "10", "4");
	watch.trusted = true;
	CHECK_INT(pool_get(r.p, &r.f.base, &watch, now + 1000, &a, &e), BE_OK);
	pool_put(r.p, &a, BE_OK);
	CHECK_INT(pool_get(r.p, &r.f.base, &guess, now + 1000, &b, &e), BE_OK);
	CHECK_INT(r.f.logins, 2); /* the backend was asked */
	pool_put(r.p, &b, BE_OK);
	rig_down(&r);
}

CASE(pool_drops_broken_and_dead_sessions)
{
	struct rig r;
	struct session *a;

	rig_up(&r, &clk, "10", "4");
	a = must(&r, "alice", "pw");
	pool_put(r.p, &a, BE_TEMP);
	CHECK_INT(r.f.open, 0);
	a = must(&r, "alice", "pw");
	((struct fake_session *)a)->dead = true;
	pool_put(r.p, &a, BE_OK);
	a = must(&r, "alice", "pw"); /* the dead one is closed, a new one made */
	CHECK_INT(r.f.logins, 3);
	CHECK_INT(r.f.open, 1);
	pool_put(r.p, &a, BE_OK);
	rig_down(&r);
}

CASE(pool_expires_idle_sessions)
{
	struct rig r;
	struct session *a, *b;
	struct pool_stats st;

	rig_up(&r, &clk, "10", "4");
	a = must(&r, "alice", "pw");
	b = must(&r, "bob", "pw");
	pool_put(r.p, &a, BE_OK);
	now += 59999;
	pool_expire(r.p);
	CHECK_INT(r.f.open, 2);
	now += 1;
	pool_expire(r.p);
	CHECK_INT(r.f.open, 1); /* bob's is out */
	pool_stats(r.p, &st);
	CHECK(st.out == 1 && st.idle == 0);
	pool_put(r.p, &b, BE_OK);
	rig_down(&r);
}

CASE(pool_full_closes_what_nobody_uses)
{
	struct rig r;
	struct session *a, *b, *c;
	struct err e;

	rig_up(&r, &clk, "2", "4");
	a = must(&r, "alice", "pw");
	b = must(&r, "bob", "pw");
	pool_put(r.p, &a, BE_OK);
	c = must(&r, "carol", "pw"); /* alice's idle one makes room */
	CHECK_INT(r.f.open, 2);
	now += 20000; /* the deadline is past: no waiting */
	{
		struct be_cred dave = cred("dave", "pw");

		CHECK_INT(pool_get(r.p, &r.f.base, &dave, now, &a, &e), BE_TEMP);
	}
	CHECK_INT(e.code, ERR_BUSY);
	pool_put(r.p, &b, BE_OK);
	pool_put(r.p, &c, BE_OK);
	rig_down(&r);
}

CASE(pool_caps_a_user)
{
	struct rig r;
	struct session *a, *b, *c;
	struct err e;
	struct be_cred alice = cred("alice", "pw");

	rig_up(&r, &clk, "10", "2");
	a = must(&r, "alice", "pw");
	b = must(&r, "alice", "pw");
	CHECK_INT(pool_get(r.p, &r.f.base, &alice, now, &c, &e), BE_TEMP);
	CHECK_INT(e.code, ERR_BUSY);
	c = must(&r, "bob", "pw");
	pool_put(r.p, &a, BE_OK);
	a = must(&r, "alice", "other"); /* in place of the idle one of another password */
	CHECK_INT(r.f.open, 3);
	pool_put(r.p, &a, BE_OK);
	pool_put(r.p, &b, BE_OK);
	pool_put(r.p, &c, BE_OK);
	rig_down(&r);
}

CASE(pool_forget_closes_now_and_later)
{
	struct rig r;
	struct session *a, *b, *c;

	rig_up(&r, &clk, "10", "4");
	a = must(&r, "alice", "pw");
	b = must(&r, "alice", "pw");
	c = must(&r, "bob", "pw");
	pool_put(r.p, &a, BE_OK);
	pool_put(r.p, &c, BE_OK);
	pool_forget(r.p, S("alice"));
	CHECK_INT(r.f.open, 2);
	pool_put(r.p, &b, BE_OK); /* was out when it was said */
	CHECK_INT(r.f.open, 1);
	a = must(&r, "bob", "pw");
	CHECK_INT(r.f.logins, 3);
	pool_put(r.p, &a, BE_OK);
	rig_down(&r);
}

CASE(pool_detached_ones_are_the_watchs)
{
	struct rig r;
	struct session *a;
	struct pool_stats st;

	rig_up(&r, &clk, "1", "1");
	a = must(&r, "alice", "pw");
	pool_detach(r.p, a);
	pool_stats(r.p, &st);
	CHECK_INT(st.out, 0);
	{
		struct session *b = must(&r, "alice", "pw"); /* its place is free */

		pool_put(r.p, &b, BE_OK);
	}
	fake_logout(&a);
	rig_down(&r);
}

CASE(pool_breaker_opens_probes_and_closes)
{
	struct rig r;
	struct session *s;
	struct err e;
	int i;

	rig_up(&r, &clk, "10", "4");
	r.f.answer = 1;
	for (i = 0; i < 8; i++) {
		CHECK_INT(get(&r, "alice", "pw", &s, &e), BE_TEMP);
		CHECK_INT(e.code, ERR_BACKEND_TEMP);
	}
	CHECK_INT(get(&r, "bob", "pw", &s, &e), BE_TEMP);
	CHECK_INT(e.code, ERR_REFUSED);
	CHECK_INT(r.f.logins, 8); /* the server is left alone */
	now += 5000;
	CHECK_INT(get(&r, "bob", "pw", &s, &e), BE_TEMP); /* the probe */
	CHECK_INT(e.code, ERR_BACKEND_TEMP);
	CHECK_INT(get(&r, "bob", "pw", &s, &e), BE_TEMP);
	CHECK_INT(e.code, ERR_REFUSED);
	CHECK_INT(r.f.logins, 9);
	r.f.answer = 0;
	now += 10000; /* the second pause is twice as long at most */
	s = must(&r, "bob", "pw");
	pool_put(r.p, &s, BE_OK);
	for (i = 0; i < 3; i++) {
		s = must(&r, "carol", "pw");
		pool_put(r.p, &s, BE_OK);
	}
	rig_down(&r);
}

/* A refused password says that the server is well. */
CASE(pool_breaker_ignores_wrong_passwords)
{
	struct rig r;
	struct session *s;
	struct err e;

	rig_up(&r, &clk, "10", "4");
	for (int i = 0; i < 100; i++)
		CHECK_INT(get(&r, "alice", "wrong", &s, &e), BE_PERM);
	s = must(&r, "alice", "pw");
	pool_put(r.p, &s, BE_OK);
	r.f.answer = 1;
	for (int i = 0; i < 8; i++)
		get(&r, "bob", "pw", &s, &e);
	r.f.answer = 2;
	now += 5000;
	CHECK_INT(get(&r, "bob", "pw", &s, &e), BE_PERM); /* a probe that was answered no */
	r.f.answer = 0;
	s = must(&r, "bob", "pw");
	pool_put(r.p, &s, BE_OK);
	rig_down(&r);
}

CASE(pool_breaker_counts_failing_sessions)
{
	struct rig r;
	struct session *s[8];
	struct err e;

	rig_up(&r, &clk, "10", "10");
	for (int i = 0; i < 8; i++)
		s[i] = must(&r, "alice", "pw");
	for (int i = 0; i < 8; i++)
		pool_put(r.p, &s[i], BE_TEMP); /* it hangs: each ran into its deadline */
	CHECK_INT(get(&r, "bob", "pw", &s[0], &e), BE_TEMP);
	CHECK_INT(e.code, ERR_REFUSED);
	rig_down(&r);
}

/* --- threads ------------------------------------------------------------------------------------- */

enum { THREADS = 8, ROUNDS = 300 };

struct crowd {
	struct rig r;
	_Atomic int clashes, got, busy;
};

static void *member(void *arg)
{
	struct crowd *c = arg;
	static _Atomic unsigned next;
	unsigned me = atomic_fetch_add(&next, 1);
	const char *const user[] = { "alice", "bob", "carol" };

	for (int i = 0; i < ROUNDS; i++) {
		struct be_cred cr = cred(user[(me + (unsigned)i) % 3], "pw");
		struct fake_session *fs;
		struct session *s;
		struct err e;

		if (pool_get(c->r.p, &c->r.f.base, &cr, clock_now(&clock_system) + 5000, &s, &e) != BE_OK) {
			c->busy++;
			continue;
		}
		fs = (struct fake_session *)s;
		if (atomic_fetch_add(&fs->users, 1) != 0)
			c->clashes++;
		c->got++;
		if (i % 16 == 0)
			pool_expire(c->r.p);
		if (i % 50 == 0)
			pool_forget(c->r.p, S("bob"));
		atomic_fetch_sub(&fs->users, 1);
		pool_put(c->r.p, &s, i % 97 == 96 ? BE_TEMP : BE_OK);
	}
	return NULL;
}

CASE(pool_many_threads_few_places)
{
	static struct crowd c;
	pthread_t t[THREADS];

	rig_up(&c.r, &clock_system, "3", "2");
	c.clashes = c.got = c.busy = 0;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, member, &c);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK_INT(c.clashes, 0);
	CHECK_INT(c.busy, 0);
	CHECK_INT(c.got, THREADS * ROUNDS);
	CHECK(c.r.f.open <= 3);
	rig_down(&c.r);
}

struct late {
	struct rig *r;
	struct session *s;
};

static void *give_back(void *arg)
{
	struct late *l = arg;
	struct timespec t = { 0, 20 * 1000000 };

	nanosleep(&t, NULL);
	pool_put(l->r->p, &l->s, BE_OK);
	return NULL;
}

CASE(pool_waits_for_a_place)
{
	struct rig r;
	struct late l = { &r, NULL };
	struct be_cred bob = cred("bob", "pw"), alice = cred("alice", "pw");
	struct session *s;
	struct err e;
	pthread_t t;

	rig_up(&r, &clock_system, "1", "1");
	CHECK_INT(pool_get(r.p, &r.f.base, &alice, clock_now(&clock_system) + 1000, &l.s, &e), BE_OK);
	CHECK_INT(pool_get(r.p, &r.f.base, &bob, clock_now(&clock_system) + 5, &s, &e), BE_TEMP);
	CHECK_INT(e.code, ERR_BUSY);
	pthread_create(&t, NULL, give_back, &l);
	CHECK_INT(pool_get(r.p, &r.f.base, &bob, clock_now(&clock_system) + 5000, &s, &e), BE_OK);
	pthread_join(t, NULL);
	pool_put(r.p, &s, BE_OK);
	rig_down(&r);
}
