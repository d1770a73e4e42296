/* test_fail.c - the wrapper that fails by script: what each action does. */
#include "harness.h"

#include "backend/fail.h"
#include "backend/mem.h"

static struct backend *server(const char *script, struct session **s_r)
{
	struct be_cred c = { .user = S("eva"), .login = S("eva"), .password = S("pw") };
	struct backend *b;
	struct err e = { 0 };

	CHECK(mem_backend_ops.open(&b, &(struct be_env){ 0 }, &e) == 0);
	mem_add_user(b, S("eva"), S("pw"), S("eva@x"), S("Eva"));
	CHECK(fail_wrap(&b, b, NULL, S_NONE, &e) == 0);
	if (s_r)
		CHECK_INT(b->ops->login(b, &c, INT64_MAX, s_r, &e), BE_OK);
	if (fail_script(b, slice_str(script), &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return b;
}

static void done(struct backend *b, struct session *s)
{
	if (s)
		s->ops->logout(&s);
	b->ops->close(&b);
}

static uint64_t mails(struct backend *b)
{
	uint64_t *nums;

	return mem_list(fail_inner(b), S("eva"), S("INBOX"), test_arena(), &nums);
}

static enum be_result append(struct session *s, struct err *e)
{
	struct blob *m = blob_new(0);
	uint64_t num;
	enum be_result r;

	blob_append(m, "From: a@b\r\n\r\nhello world\r\n", 26, NULL);
	r = s->ops->append(s, S("INBOX"), m, 0, 0, &num, e);
	blob_free(&m);
	return r;
}

CASE(fail_before_acting_and_after)
{
	struct session *s;
	struct backend *b = server("append#1 temp; append#2 after; append#4 perm=QUOTA", &s);
	struct err e = { 0 };

	CHECK_INT(append(s, &e), BE_TEMP);
	CHECK_INT(e.code, ERR_BACKEND_TEMP);
	CHECK_INT(mails(b), 0);
	CHECK_INT(append(s, &e), BE_TEMP);
	CHECK_INT(mails(b), 1); /* done, but the answer was lost */
	CHECK_INT(append(s, &e), BE_OK);
	CHECK_INT(append(s, &e), BE_PERM);
	CHECK_INT(e.code, ERR_QUOTA);
	CHECK_INT(mails(b), 2);
	CHECK_INT(fail_hits(b), 3);
	CHECK_INT(fail_calls(b, "append"), 4);
	done(b, s);
}

CASE(fail_counts_ranges_and_every)
{
	struct session *s;
	struct backend *b = server("append#2-3 temp # a comment\nappend/5 temp", &s);
	static const int want[] = { BE_OK, BE_TEMP, BE_TEMP, BE_OK, BE_TEMP, BE_OK, BE_OK, BE_OK, BE_OK, BE_TEMP };
	struct err e;

	for (int i = 0; i < 10; i++)
		CHECK_INT(append(s, &e), want[i]);
	CHECK(fail_script(b, S("any#2- temp"), &e) == 0);
	CHECK_INT(append(s, &e), BE_OK);
	CHECK_INT(append(s, &e), BE_TEMP);
	CHECK_INT(append(s, &e), BE_TEMP);
	done(b, s);
}

CASE(fail_loses_a_session_for_good)
{
	struct be_cred c = { .user = S("eva"), .login = S("eva"), .password = S("pw") };
	struct session *s, *t;
	struct backend *b = server("append#1 lost", &s);
	struct err e;

	CHECK(s->ops->alive(s));
	CHECK_INT(append(s, &e), BE_TEMP);
	CHECK(!s->ops->alive(s));
	CHECK(fail_script(b, S_NONE, &e) == 0);
	CHECK_INT(append(s, &e), BE_TEMP);
	CHECK_INT(b->ops->login(b, &c, INT64_MAX, &t, &e), BE_OK);
	CHECK_INT(append(t, &e), BE_OK);
	t->ops->logout(&t);
	done(b, s);
}

static void advance(void *arg, int64_t ms)
{
	*(int64_t *)arg += ms;
}

static int64_t frozen_now(void *self)
{
	return *(int64_t *)self;
}

CASE(fail_stalls_by_the_clock_given)
{
	int64_t now = 1000;
	struct clock clock = { frozen_now, frozen_now, &now };
	struct be_cred c = { .user = S("eva"), .login = S("eva"), .password = S("pw") };
	struct session *s;
	struct backend *b;
	struct err e;

	CHECK(mem_backend_ops.open(&b, &(struct be_env){ .clock = &clock }, &e) == 0);
	mem_add_user(b, S("eva"), S("pw"), S_NONE, S_NONE);
	CHECK(fail_wrap(&b, b, &clock, S("append* delay=700"), &e) == 0);
	fail_set_sleep(b, advance, &now);
	CHECK_INT(b->ops->login(b, &c, 2000, &s, &e), BE_OK);
	CHECK_INT(append(s, &e), BE_OK);
	CHECK_INT(now, 1700);
	CHECK_INT(append(s, &e), BE_TEMP);
	CHECK_INT(e.code, ERR_TIMEOUT);
	CHECK_INT(now, 2000); /* not past the deadline */
	CHECK_INT(mails(b), 1);
	done(b, s);
}

static int ok_item(void *arg, const struct be_item *it)
{
	++*(int *)arg;
	return 0;
}

static int ok_gone(void *arg, uint64_t first, uint64_t last)
{
	return 0;
}

CASE(fail_never_lets_a_cut_listing_pass_for_a_whole_one)
{
	struct session *s;
	struct backend *b = server("changes#1 truncate=2; changes#2 truncate=99; folders#1 truncate=0", &s);
	int calls = 0;
	struct be_changes_sink sink = { ok_item, ok_gone, &calls };
	struct be_changes_ask ask = { .folder = S("INBOX") };
	struct be_changes c;
	struct be_folder *f;
	struct err e;
	size_t n;

	for (int i = 0; i < 3; i++)
		mem_deliver(fail_inner(b), S("eva"), S_NONE, S("A: b\r\n\r\n"));
	CHECK_INT(s->ops->changes(s, &ask, &sink, test_arena(), &c, &e), BE_TEMP);
	CHECK_INT(calls, 2);
	CHECK_INT(s->ops->changes(s, &ask, &sink, test_arena(), &c, &e), BE_TEMP);
	CHECK_INT(s->ops->changes(s, &ask, &sink, test_arena(), &c, &e), BE_OK);
	CHECK_INT(s->ops->folders(s, test_arena(), &f, &n, &e), BE_TEMP);
	done(b, s);
}

CASE(fail_cuts_parts_and_does_half_a_move)
{
	struct session *s;
	struct backend *b = server("parts#1 truncate=9; move#1 half=2; remove#1 half=1", &s);
	struct be_part p = { .num = 1, .part = S(""), .out = blob_new(0) };
	uint64_t nums[] = { 1, 2, 3 }, new[3];
	struct err e;

	for (int i = 0; i < 3; i++)
		mem_deliver(fail_inner(b), S("eva"), S_NONE, S("From: a@b\r\n\r\nx"));
	CHECK_INT(s->ops->parts(s, S("INBOX"), &p, 1, &e), BE_OK);
	CHECK_INT(blob_size(p.out), 9);
	CHECK_INT(s->ops->move(s, S("INBOX"), nums, 3, S("Trash"), new, &e), BE_TEMP);
	CHECK_INT(mails(b), 1);
	CHECK_INT(s->ops->remove(s, S("INBOX"), nums + 2, 1, &e), BE_TEMP);
	CHECK_INT(mails(b), 0);
	blob_free(&p.out);
	done(b, s);
}

CASE(fail_loses_a_watch)
{
	struct session *s;
	struct backend *b = server("watch_read#2 lost", &s);
	enum be_watch_kind kind;
	struct watch *w;
	struct err e;
	size_t missed;
	int fd;

	CHECK_INT(s->ops->watch_open(&s, NULL, 0, INT64_MAX, &w, &fd, &kind, &missed, &e), BE_OK);
	CHECK(s == NULL);
	CHECK_INT(w->ops->watch_read(w, NULL, NULL, &e), BE_OK);
	CHECK_INT(w->ops->watch_read(w, NULL, NULL, &e), BE_TEMP);
	CHECK_INT(w->ops->watch_read(w, NULL, NULL, &e), BE_TEMP);
	w->ops->watch_close(&w);
	done(b, NULL);
}

static void count_up(void *self, void *p, size_t n)
{
	uint64_t v = ++*(uint64_t *)self;

	memset(p, 0, n);
	memcpy(p, &v, n < sizeof(v) ? n : sizeof(v));
}

CASE(fail_by_chance_repeats_with_its_numbers)
{
	uint64_t at = 0;
	struct rnd rnd = { count_up, &at };
	struct session *s;
	struct backend *b = server("append~3 temp", &s);
	struct err e;
	int failed = 0;

	CHECK_INT(append(s, &e), BE_OK); /* no numbers: never */
	fail_random(b, &rnd);
	for (int i = 0; i < 1000; i++)
		failed += append(s, &e) == BE_TEMP;
	CHECK_INT(failed, 3);
	done(b, s);
}

CASE(fail_names_the_rule_it_cannot_read)
{
	static const char *const bad[] = { "appendx temp", "append", "append#0 temp", "append#x temp", "append explode",
					   "append delay=", "append temp=3", "append perm=NOSUCH", "append truncate=3",
					   "parts half=1", "append/0 temp", "append~1001 temp", "append# temp", "#1 temp x;; y" };
	struct backend *b = server("", NULL);
	struct err e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad) - 1; i++) {
		if (fail_script(b, test_guarded(slice_str(bad[i])), &e) == 0)
			test_fail(__FILE__, __LINE__, "took %s", bad[i]);
		CHECK_INT(e.code, ERR_CONFIG);
		CHECK(strstr(e.text, bad[i]));
	}
	CHECK(fail_script(b, S("# only a comment\n ; ; \n  any* lost  \n"), &e) == 0);
	done(b, NULL);
}
