/* test_sync_diff.c - listings against a state: windows, deltas, ranges of what is
 * gone, folders that are another one; against a backend made of a script. */
#include "harness.h"

#include "work/sync_diff.h"

#define DAY INT64_C(86400000)

/* One answer of changes(), and who exists by lookup(). */
static struct answer {
	struct be_item items[16];
	size_t n_items;
	struct {
		uint64_t first, last;
	} gone[8];
	size_t n_gone;
	bool full;
	uint64_t identity;
	const char *token;
	enum be_result rc;
	uint64_t there[16];
	size_t n_there;
	enum be_result lookup_rc;
	struct slice asked_token; /* what the engine asked with */
	unsigned lookups, looked_up;
} an;

static enum be_result on_changes(struct session *s, const struct be_changes_ask *ask, const struct be_changes_sink *sink,
				 struct arena *a, struct be_changes *c_r, struct err *e)
{
	an.asked_token = ask->token;
	for (size_t i = 0; i < an.n_gone; i++)
		sink->gone(sink->arg, an.gone[i].first, an.gone[i].last);
	for (size_t i = 0; i < an.n_items; i++)
		sink->item(sink->arg, &an.items[i]);
	*c_r = (struct be_changes){ .token = slice_str(an.token ? an.token : "t"), .full = an.full, .identity = an.identity };
	if (an.rc != BE_OK)
		err_set(e, ERR_BACKEND_TEMP, "scripted");
	return an.rc;
}

static enum be_result on_lookup(struct session *s, struct slice folder, const uint64_t *nums, size_t n,
				const struct be_changes_sink *sink, struct err *e)
{
	an.lookups++;
	an.looked_up += (unsigned)n;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < an.n_there; k++)
			if (an.there[k] == nums[i])
				sink->item(sink->arg, &(struct be_item){ .num = nums[i] });
	return an.lookup_rc;
}

static const struct backend_ops ops = { .name = "script", .changes = on_changes, .lookup = on_lookup };
static struct session session = { .ops = &ops };
static struct extras extras;
static struct colstate st;

static void begin(void)
{
	memset(&an, 0, sizeof(an));
	extras_init(&extras, test_arena());
	colstate_init(&st, test_arena());
}

static void item(uint64_t num, uint32_t rev, int64_t date_ms)
{
	an.items[an.n_items++] = (struct be_item){ .num = num, .rev = rev, .date_ms = date_ms };
}

static enum be_result look_since(int64_t since_ms, struct err *e)
{
	struct sync_look k = { .session = &session, .folder = S("F"), .since_ms = since_ms, .extras = &extras,
			       .a = test_arena(), .version = EAS_141 };
	enum be_result rc = sync_look(&k, &st, e);

	an.n_items = an.n_gone = 0;
	return rc;
}

static void look(void)
{
	struct err e;

	CHECK_INT(look_since(0, &e), BE_OK);
}

/* "+1 ~2 -3 !4" of what waits. */
static struct slice waits(void)
{
	static const char sign[] = "+~-!";
	struct slice out = S("");

	for (enum colop k = COLOP_ADD; k <= COLOP_SOFT; k++)
		for (size_t i = 0; i < colops_set(&st.pend, k)->n; i++)
			out = arena_printf(test_arena(), "%.*s%s%c%llu", SARG(out), out.len ? " " : "", sign[k],
					   (unsigned long long)colops_set(&st.pend, k)->v[i].num);
	return out;
}

/* The phone has these, unread. */
static void known(uint64_t first, uint64_t last)
{
	for (; first <= last; first++)
		snapshot_set(&st.have, first, 0);
}

CASE(diff_full_listing_then_deltas)
{
	begin();
	an.full = true;
	for (uint64_t n = 1; n <= 3; n++)
		item(n, 0, 0);
	look();
	CHECK_STR(waits(), "+1 +2 +3");
	CHECK_STR(an.asked_token, "");
	an.full = false;
	item(2, MAIL_SEEN, 0); /* not told yet: stays new, in its new revision */
	item(4, 0, 0);
	an.gone[an.n_gone].first = 3;
	an.gone[an.n_gone++].last = 3;
	look();
	CHECK_STR(an.asked_token, "t");
	CHECK_STR(waits(), "+1 +2 +4");
	CHECK_INT(snapshot_find(&st.pend.add, 2)->rev, MAIL_SEEN);
}

CASE(diff_deleted_marks_are_gone)
{
	begin();
	known(1, 2);
	an.full = true;
	item(1, MAIL_DELETED, 0);
	item(2, 0, 0);
	look();
	CHECK_STR(waits(), "-1");
}

CASE(diff_there_and_back_is_nothing)
{
	begin();
	known(1, 1);
	st.token = S("t");
	item(1, MAIL_SEEN, 0);
	look();
	CHECK_STR(waits(), "~1");
	item(1, 0, 0);
	look();
	CHECK_STR(waits(), "");
}

CASE(diff_ranges_of_any_size)
{
	begin();
	known(5, 8);
	st.token = S("t");
	colstate_pend(&st, COLOP_ADD, 20, 0);
	colstate_pend(&st, COLOP_CHANGE, 6, MAIL_SEEN);
	an.gone[an.n_gone].first = 1;
	an.gone[an.n_gone++].last = 4;
	an.gone[an.n_gone].first = 6;
	an.gone[an.n_gone++].last = 7;
	an.gone[an.n_gone].first = 19;
	an.gone[an.n_gone++].last = UINT64_MAX;
	look();
	CHECK_STR(waits(), "-6 -7");
}

CASE(diff_window_moves)
{
	struct err e;

	begin();
	known(1, 4);
	st.token = S("t");
	an.full = true;
	item(2, 0, 9 * DAY); /* named by a server that rounds to days: older than the window */
	item(3, 0, 11 * DAY);
	an.there[an.n_there++] = 1;
	CHECK_INT(look_since(10 * DAY, &e), BE_OK);
	CHECK_STR(an.asked_token, ""); /* another window: everything */
	CHECK_STR(waits(), "-4 !1 !2");
	CHECK(an.lookups == 1 && an.looked_up == 2);
	/* What waits to leave keeps waiting, changed or not; unknown old ones do not exist. */
	an.full = false;
	item(2, MAIL_SEEN, 9 * DAY);
	item(9, 0, 9 * DAY);
	CHECK_INT(look_since(10 * DAY, &e), BE_OK);
	CHECK_STR(waits(), "-4 !1 !2");
	/* Widened again before it was told. */
	an.full = true;
	for (uint64_t n = 1; n <= 3; n++)
		item(n, 0, (7 + (int64_t)n) * DAY);
	CHECK_INT(look_since(5 * DAY, &e), BE_OK);
	CHECK_STR(waits(), "-4");
}

CASE(diff_errors_change_nothing)
{
	struct err e;

	begin();
	known(1, 3);
	st.token = S("old");
	st.identity = 7;
	an.full = true;
	an.rc = BE_TEMP; /* a listing that ended early is not "all deleted" */
	CHECK_INT(look_since(0, &e), BE_TEMP);
	CHECK_STR(waits(), "");
	CHECK_STR(st.token, "old");
	an.rc = BE_OK;
	an.lookup_rc = BE_TEMP;
	an.identity = 7;
	CHECK_INT(look_since(5 * DAY, &e), BE_TEMP);
	CHECK_STR(st.token, "old");
	an.identity = 8;
	CHECK_INT(look_since(0, &e), BE_PERM);
	CHECK_INT(e.code, ERR_CONFLICT);
	an.identity = 0; /* not told: not another one */
	an.lookup_rc = BE_OK;
	CHECK_INT(look_since(0, &e), BE_OK);
	CHECK_STR(waits(), "-1 -2 -3");
}

CASE(diff_flag_details_of_another_phone)
{
	begin();
	known(1, 3);
	st.token = S("t");
	extras_get(&extras, 2)->last_verb = 1;
	extras_get(&extras, 9)->last_verb = 1;
	look();
	CHECK_STR(waits(), "~2");
	extras_remove(&extras, 2);
	look();
	CHECK_STR(waits(), "");
	snapshot_set(&st.have, 3, ITEM_REV_UNCERTAIN);
	look();
	CHECK_STR(waits(), "");
	extras_get(&extras, 1)->last_verb = 1;
	an.gone[an.n_gone].first = 1;
	an.gone[an.n_gone++].last = 1;
	look();
	CHECK_STR(waits(), "-1");
}

CASE(diff_windows_of_the_filters)
{
	int64_t wall = 100 * DAY + 5000;

	CHECK_INT(sync_since(0, wall), 0);
	CHECK_INT(sync_since(1, wall), 99 * DAY);
	CHECK_INT(sync_since(5, wall), 70 * DAY);
	CHECK_INT(sync_since(5, wall + DAY - 6000), 70 * DAY);
	CHECK_INT(sync_since(-1, wall), 0);
	CHECK_INT(sync_since(8, wall), 0);
}
