/* test_extra.c - flag details: their record, its damage, revisions, the bound. */
#include "harness.h"

#include "backend/backend.h"
#include "work/extra.h"

static struct extras some(void)
{
	struct extras x;
	struct extra *it;

	extras_init(&x, test_arena());
	for (uint64_t num = 5; num < 9; num++)
		extras_get(&x, num)->last_verb = (uint8_t)(num - 4);
	it = extras_get(&x, 6);
	it->verb_ms = 1700000000123;
	it->flag = ARENA_NEW(test_arena(), struct email_flag);
	*it->flag = (struct email_flag){
		.subject = S("s"), .status = NUM(0), .type = S("t"), .date_completed = DATE_MS(0), .complete_time = DATE_MS(1),
		.start = DATE_MS(2), .due = DATE_MS(3), .utc_start = DATE_MS(4), .utc_due = DATE_MS(5),
		.reminder_set = NUM(1), .reminder_time = DATE_MS(6), .ordinal = DATE_MS(7), .sub_ordinal = S(""),
	};
	return x;
}

CASE(extras_pack_and_unpack)
{
	struct extras x = some(), y;
	struct slice rec = extras_pack(&x);
	const struct email_flag *f;
	struct err e;

	CHECK_INT(extras_unpack(&y, test_arena(), test_guarded(rec), &e), 0);
	CHECK_INT(y.n, 4);
	CHECK_SLICE(extras_pack(&y), rec);
	f = extras_find(&y, 6)->flag;
	CHECK_STR(f->subject, "s");
	CHECK(f->status.has && f->status.v == 0 && f->date_completed.has && f->date_completed.ms == 0);
	CHECK(f->ordinal.ms == 7 && f->sub_ordinal.ptr && f->reminder_set.v == 1);
	CHECK_INT(extras_find(&y, 6)->verb_ms, 1700000000123);
	CHECK(!extras_find(&y, 5)->flag && !extras_find(&y, 4) && !extras_find(&y, 9));
	CHECK(!y.touched);
	extras_remove(&y, 4);
	CHECK(!y.touched);
	extras_remove(&y, 5);
	CHECK(y.touched && y.n == 3);
}

/* Nothing of a mail is left: it leaves the record. */
CASE(extras_empty_ones_are_not_kept)
{
	struct extras x, y;
	struct err e;

	extras_init(&x, test_arena());
	extras_get(&x, 1);
	extras_get(&x, 2)->last_verb = 1;
	CHECK_INT(extras_unpack(&y, test_arena(), extras_pack(&x), &e), 0);
	CHECK(y.n == 1 && y.v[0].num == 2);
	CHECK_INT(extras_unpack(&y, test_arena(), S(""), &e), 0);
	CHECK_INT(y.n, 0);
}

CASE(extras_damage_never_crashes)
{
	struct extras x = some(), y;
	struct slice rec = extras_pack(&x);
	struct err e;
	unsigned bad = 0;

	for (size_t cut = 1; cut < rec.len; cut++)
		bad += extras_unpack(&y, test_arena(), test_guarded(slice_to(rec, cut)), &e) < 0;
	CHECK(bad > rec.len / 2);
	for (size_t i = 0; i < rec.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			struct slice copy = slice(arena_dup(test_arena(), rec.ptr, rec.len), rec.len);

			((char *)copy.ptr)[i] = (char)(copy.ptr[i] ^ 1 << bit);
			if (extras_unpack(&y, test_arena(), copy, &e) == 0)
				extras_pack(&y);
		}
	CHECK_INT(extras_unpack(&y, test_arena(), S("\177abc"), &e), -1);
	CHECK_INT(e.code, ERR_STORE_FORMAT);
}

CASE(extras_are_bounded_the_lowest_go)
{
	struct extras x;

	extras_init(&x, test_arena());
	for (uint64_t num = 10; num < 10 + EXTRAS_MAX; num++)
		extras_get(&x, num)->last_verb = 1;
	CHECK_INT(extras_get(&x, 100000)->num, 100000);
	CHECK(x.n == EXTRAS_MAX && !extras_find(&x, 10) && extras_find(&x, 11));
	CHECK_INT(extras_get(&x, 15)->num, 15);
	CHECK(extras_find(&x, 100000));
}

CASE(extras_a_flag_over_another)
{
	struct email_flag into = { .subject = S("a"), .status = NUM(2) }, from = { .due = DATE_MS(9), .status = NUM(1) };
	struct email_flag none = { .status = { .has = false } };

	CHECK(!extra_flag_merge(&into, &none));
	CHECK(extra_flag_merge(&into, &from));
	CHECK_STR(into.subject, "a");
	CHECK(into.status.v == 1 && into.due.ms == 9);
}

CASE(extras_revisions_tell_what_differs)
{
	struct slice blue = S("Blue");
	uint32_t plain = item_rev(mail_rev(MAIL_SEEN, NULL, 0), NULL), kw = item_rev(mail_rev(MAIL_SEEN, &blue, 1), NULL);
	struct extras x = some();
	uint32_t flagged = item_rev(mail_rev(MAIL_SEEN, NULL, 0), extras_find(&x, 6));
	uint32_t verb = item_rev(mail_rev(MAIL_SEEN, NULL, 0), extras_find(&x, 5));
	uint32_t answered = item_rev(mail_rev(MAIL_SEEN | MAIL_ANSWERED, NULL, 0), NULL);
	uint32_t unread = item_rev(0, NULL);

	CHECK(plain == item_rev(mail_rev(MAIL_SEEN, NULL, 0), NULL) && ITEM_REV_FLAGS(plain) == MAIL_SEEN);
	CHECK(ITEM_REV_KEYWORDS(kw) && !ITEM_REV_KEYWORDS(plain));
	CHECK(ITEM_REV_EXTRA(flagged) && ITEM_REV_EXTRA(verb) && ITEM_REV_EXTRA(flagged) != ITEM_REV_EXTRA(verb));
	/* 2.5 is told Read alone, 12.x flags too, 14.x everything. */
	CHECK(item_rev_differs(plain, unread, EAS_25) && !item_rev_differs(plain, flagged, EAS_25));
	CHECK(item_rev_differs(plain, flagged, EAS_120) && !item_rev_differs(plain, kw, EAS_121));
	CHECK(item_rev_differs(plain, kw, EAS_140) && item_rev_differs(plain, answered, EAS_140));
	CHECK(!item_rev_differs(plain, answered, EAS_121) && !item_rev_differs(plain, plain, EAS_141));
	CHECK(item_rev_differs(ITEM_REV_UNCERTAIN, plain, EAS_25));
}

CASE(extra_details_of_a_folder_that_was_made_anew_are_dropped)
{
	struct extras x, back;

	extras_init(&x, test_arena());
	extras_get(&x, 7)->last_verb = 1;
	CHECK(!extras_belong(&x, 100)); /* not known until now */
	CHECK_INT(extras_unpack(&back, test_arena(), extras_pack(&x), NULL), 0);
	CHECK_INT(back.identity, 100);
	CHECK(!extras_belong(&back, 100));
	CHECK(!extras_belong(&back, 0));
	CHECK(extras_find(&back, 7));
	CHECK(extras_belong(&back, 101));
	CHECK(!extras_find(&back, 7) && back.touched);
}
