/* case_changes.c - listings, tokens, look-ups. */
#include "contract/contract.h"

CONTRACT(an_empty_folder_lists_as_whole_and_empty)
{
	struct seen l;

	look(w, w->s, w->folder, S_NONE, 0, &l);
	CHECK(l.c.full);
	CHECK_INT(l.n, 0);
}

CONTRACT(a_token_tells_each_kind_of_change)
{
	struct model m = { .n = 0 };
	struct slice red[] = { S("Red") }, dst = make_folder(w, w->folder, "dst");
	uint64_t a, b, c;
	struct seen l;

	model_sync(w, w->s, w->folder, &m, &l);
	a = put(w, w->s, w->folder, plain_mail(w, "a", "a", "a"));
	b = put(w, w->s, w->folder, plain_mail(w, "b", "b", "b"));
	c = put(w, w->s, w->folder, plain_mail(w, "c", "c", "c"));
	CHECK(a < b && b < c);
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK(seen_item(&l, a) && seen_item(&l, b) && seen_item(&l, c));
	model_sync(w, w->s, w->folder, &m, &l);
	if (w->keeps_tokens)
		CHECK_INT(l.n, 0);
	flag(w, w->s, w->folder, b, MAIL_SEEN, MAIL_SEEN);
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK(seen_item(&l, b) && seen_item(&l, b)->rev == MAIL_SEEN);
	if (w->keeps_tokens)
		CHECK(!seen_item(&l, a) && !seen_item(&l, c));
	categories(w, w->s, w->folder, a, red, 1);
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK(seen_item(&l, a) && seen_item(&l, a)->rev == mail_rev(0, red, 1));
	remove_one(w, w->s, w->folder, b);
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK(!seen_item(&l, b) && !seen_gone(&l, a) && !seen_gone(&l, c));
	move_one(w, w->s, w->folder, a, dst);
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK_INT(m.n, 1);
	CHECK_INT(m.v[0].num, c);
}

CONTRACT(another_client_is_seen)
{
	struct model m = { .n = 0 };
	struct slice dst = make_folder(w, w->folder, "dst"), blue[] = { S("Blue"), S("Gr\xc3\xbcn und Rot") };
	uint64_t n[5];
	struct seen l;

	for (int i = 0; i < 4; i++)
		n[i] = put(w, w->s, w->folder, plain_mail(w, "x", "x", "x"));
	model_sync(w, w->s, w->folder, &m, &l);
	flag(w, w->other, w->folder, n[0], MAIL_FLAGGED | MAIL_ANSWERED, MAIL_FLAGGED | MAIL_ANSWERED);
	categories(w, w->other, w->folder, n[1], blue, 2);
	remove_one(w, w->other, w->folder, n[2]);
	move_one(w, w->other, w->folder, n[3], dst);
	n[4] = put(w, w->other, w->folder, plain_mail(w, "y", "y", "y"));
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK_INT(m.n, 3);
	CHECK_INT(seen_item(&l, n[0])->rev, MAIL_FLAGGED | MAIL_ANSWERED);
	CHECK_INT(seen_item(&l, n[1])->rev, mail_rev(0, blue, 2));
	CHECK(seen_item(&l, n[4]));
	if (!l.c.full)
		CHECK(seen_gone(&l, n[2]) && seen_gone(&l, n[3]));
	flag(w, w->other, w->folder, n[0], MAIL_FLAGGED, 0);
	categories(w, w->other, w->folder, n[1], NULL, 0);
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK_INT(seen_item(&l, n[0])->rev, MAIL_ANSWERED);
	CHECK_INT(seen_item(&l, n[1])->rev, 0);
}

CONTRACT(many_changes_between_two_looks)
{
	struct model m = { .n = 0 };
	uint64_t n[60];
	struct seen l;

	for (int i = 0; i < 60; i++)
		n[i] = put(w, w->s, w->folder, plain_mail(w, "x", "x", "x"));
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK_INT(m.n, 60);
	for (int i = 0; i < 60; i++) {
		if (i % 3 == 0)
			remove_one(w, w->other, w->folder, n[i]);
		else if (i % 3 == 1)
			flag(w, w->other, w->folder, n[i], MAIL_SEEN, MAIL_SEEN);
	}
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK_INT(m.n, 40);
	CHECK_INT(w->s->ops->remove(w->s, w->folder, n, 60, &(struct err){ 0 }), BE_OK);
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK_INT(m.n, 0);
}

static void restart(struct world *w)
{
	w->s->ops->logout(&w->s);
	w->other->ops->logout(&w->other);
	w->rig->restart(w);
	w->s = log_in(w, w->b, 0);
	w->other = log_in(w, w->b, 0);
}

CONTRACT(tokens_survive_a_restart)
{
	struct model m = { .n = 0 };
	uint64_t a = put(w, w->s, w->folder, plain_mail(w, "a", "a", "a")), b = put(w, w->s, w->folder, plain_mail(w, "b", "b", "b"));
	struct seen l;

	flag(w, w->s, w->folder, a, MAIL_SEEN, MAIL_SEEN);
	look(w, w->s, w->folder, S_NONE, 0, &l);
	restart(w);
	look(w, w->s, w->folder, l.c.token, 0, &l);
	if (w->keeps_tokens)
		CHECK(!l.c.full && l.n == 0 && l.n_gone == 0);
	m.token = S_NONE;
	model_sync(w, w->s, w->folder, &m, &l);
	remove_one(w, w->s, w->folder, a);
	restart(w);
	/* Told by journal or by a full listing; never "nothing". */
	look(w, w->s, w->folder, m.token, 0, &l);
	CHECK(!seen_item(&l, a));
	CHECK(l.c.full ? seen_item(&l, b) != NULL : seen_gone(&l, a) && !seen_gone(&l, b));
}

CONTRACT(numbers_are_never_used_again)
{
	uint64_t a = put(w, w->s, w->folder, plain_mail(w, "a", "a", "a")), b, c;

	remove_one(w, w->s, w->folder, a);
	b = put(w, w->s, w->folder, plain_mail(w, "b", "b", "b"));
	CHECK(b > a);
	remove_one(w, w->s, w->folder, b);
	restart(w);
	c = put(w, w->s, w->folder, plain_mail(w, "c", "c", "c"));
	CHECK(c > b);
	CHECK_INT(move_one(w, w->s, w->folder, b, w->folder), 0);
}

CONTRACT(a_token_that_means_nothing_gives_a_full_listing)
{
	static const char *const bad[] = { "x", "m1:", "m1:1:99999999999", "l1:0:0:0:0:0", "l1:1:zz", "::::::::", "\xff\xfe" };
	uint64_t a = put(w, w->s, w->folder, plain_mail(w, "a", "a", "a"));
	struct slice other = make_folder(w, w->folder, "other");
	struct seen l, l2;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		look(w, w->s, w->folder, test_guarded(slice_str(bad[i])), 0, &l);
		CHECK(l.c.full && l.n == 1 && l.v[0].num == a);
	}
	look(w, w->s, other, S_NONE, 0, &l2);
	look(w, w->s, w->folder, l2.c.token, 0, &l);
	CHECK(l.c.full && l.n == 1);
}

CONTRACT(since_leaves_out_what_is_old_and_nothing_else)
{
	const int64_t day = 86400000, now = INT64_C(1764000000000);
	uint64_t old, border, young;
	struct seen l;

	old = put_flags(w, w->s, w->folder, plain_mail(w, "o", "o", "o"), 0, now - 10 * day);
	border = put_flags(w, w->s, w->folder, plain_mail(w, "b", "b", "b"), 0, now - 3 * day + 60000);
	young = put_flags(w, w->s, w->folder, plain_mail(w, "y", "y", "y"), 0, now);
	look(w, w->s, w->folder, S_NONE, now - 3 * day, &l);
	CHECK(seen_item(&l, border) && seen_item(&l, young) && !seen_item(&l, old));
	CHECK(l.c.full);
	look(w, w->s, w->folder, S_NONE, 0, &l);
	CHECK(seen_item(&l, old) && seen_item(&l, border));
	CHECK_INT(seen_item(&l, young)->date_ms, now);
}

static int stop_at_once(void *arg, const struct be_item *it)
{
	++*(int *)arg;
	return -1;
}

static int no_gone(void *arg, uint64_t first, uint64_t last)
{
	return 0;
}

CONTRACT(a_sink_may_end_the_listing)
{
	int calls = 0;
	struct be_changes_sink sink = { stop_at_once, no_gone, &calls };
	struct be_changes_ask ask = { .folder = w->folder };
	struct be_changes c;
	struct err e = { 0 };
	struct seen l;

	for (int i = 0; i < 3; i++)
		put(w, w->s, w->folder, plain_mail(w, "x", "x", "x"));
	CHECK_INT(w->s->ops->changes(w->s, &ask, &sink, w->a, &c, &e), BE_TEMP);
	CHECK_INT(calls, 1);
	look(w, w->s, w->folder, S_NONE, 0, &l);
	CHECK_INT(l.n, 3);
}

struct asked {
	uint64_t nums[8];
	uint32_t revs[8];
	size_t n;
};

static int note(void *arg, const struct be_item *it)
{
	struct asked *q = arg;

	CHECK(q->n < 8);
	q->nums[q->n] = it->num;
	q->revs[q->n++] = it->rev;
	return 0;
}

CONTRACT(lookup_finds_what_is_there_in_the_order_asked)
{
	uint64_t a = put(w, w->s, w->folder, plain_mail(w, "a", "a", "a")), b = put(w, w->s, w->folder, plain_mail(w, "b", "b", "b"));
	uint64_t c = put(w, w->s, w->folder, plain_mail(w, "c", "c", "c")), ask[] = { c, 4000000, a, b };
	struct asked q = { .n = 0 };
	struct be_changes_sink sink = { note, no_gone, &q };
	struct err e = { 0 };

	flag(w, w->s, w->folder, a, MAIL_SEEN, MAIL_SEEN);
	remove_one(w, w->s, w->folder, b);
	CHECK_INT(w->s->ops->lookup(w->s, w->folder, ask, 4, &sink, &e), BE_OK);
	CHECK_INT(q.n, 2);
	CHECK_INT(q.nums[0], c);
	CHECK_INT(q.nums[1], a);
	CHECK_INT(q.revs[1], MAIL_SEEN);
	CHECK_INT(w->s->ops->lookup(w->s, w->folder, NULL, 0, &sink, &e), BE_OK);
	CHECK_INT(q.n, 2);
}

CONTRACT(a_mail_marked_deleted_is_gone)
{
	struct model m = { .n = 0 };
	uint64_t a = put(w, w->s, w->folder, plain_mail(w, "a", "a", "a")), b = put(w, w->s, w->folder, plain_mail(w, "b", "b", "b"));
	struct asked q = { .n = 0 };
	struct be_changes_sink sink = { note, no_gone, &q };
	struct err e = { 0 };
	struct be_head h;
	struct seen l;

	model_sync(w, w->s, w->folder, &m, &l);
	flag(w, w->other, w->folder, a, MAIL_DELETED, MAIL_DELETED);
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK_INT(m.n, 1);
	CHECK_INT(m.v[0].num, b);
	if (!l.c.full)
		CHECK(seen_gone(&l, a));
	CHECK_INT(w->s->ops->lookup(w->s, w->folder, &a, 1, &sink, &e), BE_OK);
	CHECK_INT(q.n, 0);
	CHECK(!head_of(w, w->s, w->folder, a, &h));
}
