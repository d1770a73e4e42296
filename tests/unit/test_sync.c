/* test_sync.c - Sync over the store and the backend in memory: what is told and
 * what is not, windows, filters, folders that vanish, refusals and outages. */
#include "rig/syncrig.c"

#include "work/sync_run.h"

static struct box inbox(void)
{
	return box_open(&p, "INBOX");
}

static struct sync_command *read_cmd(struct sync_request *q, struct slice id, int read)
{
	struct sync_command *c = ask_cmd(q, AIRSYNC_CHANGE, id);

	c->item->email->read = NUM(read);
	return c;
}

static struct email_flag *flag_cmd(struct sync_request *q, struct slice id, int status)
{
	struct sync_command *c = ask_cmd(q, AIRSYNC_CHANGE, id);
	struct email_flag *f = c->item->email->flag = ARENA_NEW(test_arena(), struct email_flag);

	if (status >= 0)
		f->status = NUM(status);
	if (status > 0)
		f->type = S("for Follow Up");
	return f;
}

static uint64_t data_len(const struct data *d)
{
	return d->blob ? blob_size(d->blob) : d->mem.len;
}

/* --- new mail, changes, deletions ------------------------------------------------------------ */

CASE(sync_first_run_is_newest_first_then_oldest_first)
{
	struct box b;

	up(NULL);
	for (int i = 0; i < 5; i++)
		deliver("a");
	b = inbox();
	b.window = NUM(2);
	CHECK_STR(told(next(&b)), "+5 +4");
	deliver("new"); /* in between: part of the run */
	CHECK_STR(told(next(&b)), "+6 +3");
	CHECK_STR(told(next(&b)), "+2 +1");
	CHECK(next(&b) == NULL);
	deliver("b");
	deliver("c");
	deliver("d");
	CHECK_STR(told(next(&b)), "+7 +8");
	CHECK_STR(told(next(&b)), "+9");
	down();
}

CASE(sync_after_an_empty_folder_new_mail_comes_oldest_first)
{
	struct box b;

	up(NULL);
	b = inbox();
	CHECK(next(&b) == NULL);
	deliver("a");
	deliver("b");
	CHECK_STR(told(next(&b)), "+1 +2");
	down();
}

CASE(sync_tells_what_others_did_and_only_that)
{
	struct slice words[] = { S("Blue"), S("Red one") };
	struct sync_reply_collection *c;
	struct box b;

	up(NULL);
	for (int i = 0; i < 4; i++)
		deliver("a");
	b = inbox();
	settle(&b);
	mem_webmail_flag(r.mail, S("alice"), S(""), 1, MAIL_SEEN, MAIL_SEEN);
	mem_webmail_flag(r.mail, S("alice"), S(""), 2, MAIL_FLAGGED, MAIL_FLAGGED);
	mem_webmail_keywords(r.mail, S("alice"), S(""), 3, words, 2);
	mem_webmail_delete(r.mail, S("alice"), S(""), 4);
	c = next(&b);
	CHECK_STR(told(c), "-4 ~1 ~2 ~3");
	CHECK(c->commands.v[1].item->email->read.v == 1 && !c->commands.v[1].item->email->flag &&
	      !c->commands.v[1].item->email->has_categories.has);
	CHECK(!c->commands.v[2].item->email->read.has && c->commands.v[2].item->email->flag->status.v == 2);
	CHECK(!c->commands.v[3].item->email->read.has && c->commands.v[3].item->email->categories.n == 2);
	CHECK_STR(c->commands.v[3].item->email->categories.v[1], "Red one");
	CHECK(next(&b) == NULL);
	/* There and back before anybody looked: nothing. */
	mem_webmail_flag(r.mail, S("alice"), S(""), 1, MAIL_SEEN, 0);
	mem_webmail_flag(r.mail, S("alice"), S(""), 1, MAIL_SEEN, MAIL_SEEN);
	CHECK(next(&b) == NULL);
	down();
}

CASE(sync_own_changes_do_not_come_back_but_reach_the_other_phone)
{
	struct phone q;
	struct box b, o;
	struct sync_request *s;
	struct sync_reply_collection *c;

	up(NULL);
	for (int i = 0; i < 3; i++)
		deliver("a");
	q = rig_phone(&r, "alice", "other", EAS_141);
	b = inbox();
	o = box_open(&q, "INBOX");
	settle(&b);
	settle(&o);
	s = ask_of(&b);
	read_cmd(s, item_id(&b, 1), 1);
	flag_cmd(s, item_id(&b, 2), 2);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 3));
	c = arrive(&b, s);
	CHECK(c->responses.n == 0 && c->commands.n == 0);
	CHECK(next(&b) == NULL);
	CHECK_STR(told(next(&o)), "-3 ~1 ~2");
	CHECK(next(&o) == NULL);
	/* And back. */
	s = ask_of(&o);
	read_cmd(s, item_id(&o, 1), 0);
	arrive(&o, s);
	CHECK_STR(told(next(&b)), "~1");
	CHECK(next(&o) == NULL);
	down();
}

CASE(sync_flag_details_survive_and_reach_the_other_phone)
{
	struct phone q;
	struct box b, o;
	struct sync_request *s;
	struct email_flag *f;
	struct sync_reply_collection *c;

	up(NULL);
	deliver("a");
	q = rig_phone(&r, "alice", "other", EAS_141);
	b = inbox();
	o = box_open(&q, "INBOX");
	settle(&b);
	settle(&o);
	s = ask_of(&b);
	f = flag_cmd(s, item_id(&b, 1), 2);
	f->subject = S("call back");
	f->start = f->utc_start = DATE_MS(1700000000000);
	f->due = f->utc_due = DATE_MS(1700086400000);
	arrive(&b, s);
	c = next(&o);
	CHECK_STR(told(c), "~1");
	f = c->commands.v[0].item->email->flag;
	CHECK_STR(f->subject, "call back");
	CHECK(f->due.has && f->due.ms == 1700086400000);
	/* A third device gets the details with the mail. */
	q = rig_phone(&r, "alice", "third", EAS_141);
	o = box_open(&q, "INBOX");
	c = next(&o);
	CHECK_STR(c->commands.v[0].item->email->flag->subject, "call back");
	/* Cleared by an empty Flag: gone for all, with its details. */
	s = ask_of(&b);
	flag_cmd(s, item_id(&b, 1), -1);
	arrive(&b, s);
	CHECK(next(&b) == NULL);
	c = next(&o);
	CHECK_STR(told(c), "~1");
	f = c->commands.v[0].item->email->flag;
	CHECK(!f->subject.len && !num_or(f->status, 0));
	down();
}

CASE(sync_deletes_go_to_the_trash_or_for_good)
{
	struct box b, t;
	struct sync_request *s;
	uint64_t *nums;

	up(NULL);
	deliver("a");
	deliver("b");
	b = inbox();
	settle(&b);
	s = ask_of(&b);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 1));
	arrive(&b, s);
	CHECK_INT(mem_list(r.mail, S("alice"), S("Trash"), test_arena(), &nums), 1);
	b.deletes_as_moves = NUM(0);
	s = ask_of(&b);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 2));
	arrive(&b, s);
	CHECK_INT(mem_list(r.mail, S("alice"), S("Trash"), test_arena(), &nums), 1);
	CHECK_INT(mem_list(r.mail, S("alice"), S(""), test_arena(), &nums), 0);
	t = box_open(&p, "Trash");
	settle(&t);
	s = ask_of(&t);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&t, 1));
	arrive(&t, s);
	CHECK_INT(mem_list(r.mail, S("alice"), S("Trash"), test_arena(), &nums), 0);
	down();
}

/* The map remembers a trash that webmail deleted: it is made again; never removed instead. */
CASE(sync_delete_without_a_trash_loses_nothing)
{
	struct box b;
	struct sync_request *s;
	struct sync_reply_collection *c;
	uint64_t *nums;

	up(NULL);
	deliver("a");
	deliver("b");
	b = inbox();
	settle(&b);
	CHECK(mem_webmail_folder_delete(r.mail, S("alice"), S("Trash")));
	s = ask_of(&b);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 1));
	script("folder_create temp");
	CHECK_INT(say(&b, s).v.http_status, 503);
	CHECK_INT(mem_list(r.mail, S("alice"), S(""), test_arena(), &nums), 2);
	script("");
	c = arrive(&b, s);
	CHECK_INT(c->responses.n, 0);
	CHECK_INT(mem_list(r.mail, S("alice"), S(""), test_arena(), &nums), 1);
	CHECK_INT(mem_list(r.mail, S("alice"), S("Trash"), test_arena(), &nums), 1);
	/* It may not be made: the server keeps the mail and says so. */
	mem_webmail_folder_delete(r.mail, S("alice"), S("Trash"));
	s = ask_of(&b);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 2));
	script("folder_create* perm=FORBIDDEN");
	c = arrive(&b, s);
	CHECK(c->responses.n == 1 && c->responses.v[0].status.v == SYNC_SERVER);
	script("");
	settle(&b);
	CHECK_INT(mem_list(r.mail, S("alice"), S(""), test_arena(), &nums), 1);
	down();
}

/* --- commands that cannot be done -------------------------------------------------------------- */

CASE(sync_commands_about_what_is_not_there)
{
	struct box b;
	struct sync_request *s;
	struct sync_reply_collection *c;

	up(NULL);
	deliver("a");
	b = inbox();
	settle(&b);
	s = ask_of(&b);
	read_cmd(s, item_id(&b, 99), 1);
	read_cmd(s, S("nonsense"), 1);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 99));
	ask_cmd(s, AIRSYNC_FETCH, item_id(&b, 99));
	ask_cmd(s, AIRSYNC_FETCH, S(":"));
	c = arrive(&b, s);
	CHECK_INT(c->responses.n, 5);
	for (size_t i = 0; i < 5; i++)
		CHECK_INT(c->responses.v[i].status.v, SYNC_NOT_FOUND);
	/* Known, but webmail was faster. */
	mem_webmail_delete(r.mail, S("alice"), S(""), 1);
	s = ask_of(&b);
	read_cmd(s, item_id(&b, 1), 1);
	c = arrive(&b, s);
	CHECK(c->responses.n == 1 && c->responses.v[0].status.v == SYNC_NOT_FOUND);
	CHECK_STR(told(c), "-1");
	down();
}

CASE(sync_refusals_by_kind)
{
	static const struct {
		const char *rule;
		int status;
	} rows[] = {
		{ "set_flags perm=QUOTA", SYNC_NO_SPACE },
		{ "set_flags perm=FORBIDDEN", SYNC_BAD_ITEM },
		{ "set_flags perm", SYNC_SERVER },
		{ "set_flags perm=NOT_FOUND", SYNC_NOT_FOUND },
	};
	struct box b;

	up(NULL);
	deliver("a");
	b = inbox();
	settle(&b);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct sync_request *s = ask_of(&b);
		struct sync_reply_collection *c;

		flag_cmd(s, item_id(&b, 1), 2)->subject = S("details");
		script(rows[i].rule);
		c = arrive(&b, s);
		CHECK_INT(c->responses.n, 1);
		CHECK_INT(c->responses.v[0].status.v, rows[i].status);
	}
	script("");
	/* Nothing of the refused details is kept. */
	mem_webmail_flag(r.mail, S("alice"), S(""), 1, MAIL_FLAGGED, MAIL_FLAGGED);
	CHECK(!next(&b)->commands.v[0].item->email->flag->subject.len);
	down();
}

CASE(sync_refused_delete_gives_the_mail_back)
{
	struct box b;
	struct sync_request *s;
	struct sync_reply_collection *c;

	up(NULL);
	deliver("a");
	b = inbox();
	settle(&b);
	s = ask_of(&b);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 1));
	script("move* perm=QUOTA");
	c = arrive(&b, s);
	CHECK(c->responses.n == 1 && c->responses.v[0].status.v == SYNC_SERVER);
	script("");
	if (c->commands.n == 0)
		c = next(&b);
	CHECK_STR(told(c), "+1");
	down();
}

CASE(sync_password_changed_in_the_middle_is_401)
{
	struct box b;
	struct sync_request *s;

	up(NULL);
	deliver("a");
	b = inbox();
	settle(&b);
	s = ask_of(&b);
	read_cmd(s, item_id(&b, 1), 1);
	script("set_flags perm=AUTH");
	CHECK_INT(say(&b, s).v.http_status, 401);
	script("");
	arrive(&b, s);
	CHECK(next(&b) == NULL);
	down();
}

/* --- conflicts -------------------------------------------------------------------------------------- */

CASE(sync_conflict_the_server_wins)
{
	struct slice blue = S("Blue");
	struct box b;
	struct sync_request *s;
	struct sync_reply_collection *c;
	struct sync_command *m;

	up(NULL);
	deliver("a");
	b = inbox();
	settle(&b);
	mem_webmail_keywords(r.mail, S("alice"), S(""), 1, &blue, 1);
	s = ask_of(&b);
	m = ask_cmd(s, AIRSYNC_CHANGE, item_id(&b, 1));
	m->item->email->has_categories = NUM(1);
	*LIST_PUSH(test_arena(), &m->item->email->categories) = S("Red");
	c = arrive(&b, s);
	CHECK(c->responses.n == 1 && c->responses.v[0].status.v == SYNC_CONFLICT);
	CHECK_STR(told(c), "~1");
	CHECK_STR(c->commands.v[0].item->email->categories.v[0], "Blue");
	CHECK(next(&b) == NULL);
	/* The phone wins where it asked for that. */
	mem_webmail_flag(r.mail, S("alice"), S(""), 1, MAIL_FLAGGED, MAIL_FLAGGED);
	s = ask_of(&b);
	LIST_PUSH(test_arena(), &ask_col(s)->options)->conflict = NUM(0);
	m = ask_cmd(s, AIRSYNC_CHANGE, item_id(&b, 1));
	m->item->email->has_categories = NUM(1);
	c = arrive(&b, s);
	CHECK_INT(c->responses.n, 0);
	down();
}

CASE(sync_conflict_look_fails)
{
	struct box b;
	struct sync_request *s;

	up(NULL);
	deliver("a");
	b = inbox();
	settle(&b);
	s = ask_of(&b);
	flag_cmd(s, item_id(&b, 1), 2);
	script("lookup temp");
	CHECK_INT(say(&b, s).v.http_status, 503);
	script("");
	CHECK_INT(arrive(&b, s)->responses.n, 0);
	down();
}

/* --- windows, time and bytes ------------------------------------------------------------------------ */

CASE(sync_window_of_the_whole_request_spans_collections)
{
	struct box b, t;
	struct sync_request *q;
	struct sync_reply *a;
	struct reply out;

	up(NULL);
	for (int i = 0; i < 3; i++) {
		deliver("a");
		deliver_to("Trash", "t");
	}
	b = inbox();
	t = box_open(&p, "Trash");
	q = ask_of(&b);
	q->window_size = NUM(4);
	*LIST_PUSH(test_arena(), &q->collections) = *ask_col(ask_of(&t));
	out = say(&b, q);
	a = out.obj;
	CHECK_INT(a->collections.n, 2);
	CHECK_STR(told(&a->collections.v[0]), "+3 +2 +1");
	CHECK_STR(told(&a->collections.v[1]), "+3");
	CHECK(!a->collections.v[0].more_available.has && a->collections.v[1].more_available.has);
	/* Full before the second begins: it is told that there is more. */
	deliver("b");
	b.key = a->collections.v[0].sync_key;
	t.key = a->collections.v[1].sync_key;
	q = ask_of(&b);
	q->window_size = NUM(1);
	*LIST_PUSH(test_arena(), &q->collections) = *ask_col(ask_of(&t));
	out = say(&b, q);
	a = out.obj;
	CHECK_INT(a->collections.n, 2);
	CHECK(a->collections.v[1].commands.n == 0 && a->collections.v[1].more_available.has);
	t.key = a->collections.v[1].sync_key;
	CHECK_STR(told(next(&t)), "+2 +1");
	down();
}

CASE(sync_reply_is_cut_by_bytes)
{
	const char *const set[] = { "limits.reply_bytes=1M", NULL };
	struct slice body = slice(arena_alloc(test_arena(), 700000), 700000);
	struct box b;
	size_t seen = 0;

	memset((char *)body.ptr, 'x', body.len);
	for (size_t i = 76; i < body.len; i += 78)
		memcpy((char *)body.ptr + i, "\r\n", 2);
	up(set);
	for (int i = 0; i < 4; i++)
		mem_deliver(r.mail, S("alice"), S(""), arena_printf(test_arena(), "Subject: big\r\n\r\n%.*s\r\n", SARG(body)));
	b = inbox();
	b.pref = (struct body_preference){ .type = NUM(1) };
	for (int i = 0; i < 4; i++) {
		struct sync_reply_collection *c = next(&b);

		CHECK(c->commands.n >= 1 && c->commands.n < 4);
		seen += c->commands.n;
		if (!c->more_available.has)
			break;
	}
	CHECK_INT(seen, 4);
	down();
}

CASE(sync_fetches_past_the_reply_are_asked_for_again)
{
	const char *const set[] = { "limits.reply_bytes=1M", NULL };
	struct slice body = slice(arena_alloc(test_arena(), 1200000), 1200000);
	struct box b;
	struct sync_request *s;
	struct sync_reply_collection *c;

	memset((char *)body.ptr, 'x', body.len);
	up(set);
	for (int i = 0; i < 2; i++)
		mem_deliver(r.mail, S("alice"), S(""), arena_printf(test_arena(), "Subject: big\r\n\r\n%.*s\r\n", SARG(body)));
	b = inbox();
	settle(&b);
	b.pref = (struct body_preference){ .type = NUM(1) };
	s = ask_of(&b);
	ask_cmd(s, AIRSYNC_FETCH, item_id(&b, 1));
	ask_cmd(s, AIRSYNC_FETCH, item_id(&b, 2));
	c = arrive(&b, s);
	CHECK_INT(c->responses.v[0].status.v, 1);
	CHECK_INT(data_len(&c->responses.v[0].item->body->data), 1200002);
	CHECK_INT(c->responses.v[1].status.v, SYNC_SERVER);
	s = ask_of(&b);
	ask_cmd(s, AIRSYNC_FETCH, item_id(&b, 2));
	CHECK_INT(arrive(&b, s)->responses.v[0].status.v, 1);
	down();
}

/* A slow server: the phone gets what there is before it gives up, and never silence. */
CASE(sync_reply_is_cut_by_time)
{
	struct box b;
	struct sync_reply_collection *c;
	struct sync_request *s;
	size_t seen = 0;

	up(NULL);
	for (int i = 0; i < 250; i++)
		deliver("a");
	b = inbox();
	b.window = NUM(512);
	script("heads* delay=15000");
	c = next(&b);
	CHECK(c->commands.n > 0 && c->commands.n < 250 && c->more_available.has);
	seen = c->commands.n;
	/* The time is up before the first item: MoreAvailable without items, also when it would wait. */
	script("changes delay=21000");
	s = ask_of(&b);
	s->wait = NUM(10);
	c = arrive(&b, s);
	CHECK(c && c->commands.n == 0 && c->more_available.has);
	script("");
	while ((c = next(&b)))
		seen += c->commands.n;
	CHECK_INT(seen, 250);
	down();
}

CASE(sync_mail_that_vanishes_while_it_is_loaded)
{
	struct box b;

	up(NULL);
	for (int i = 0; i < 3; i++)
		deliver("a");
	b = inbox();
	b.window = NUM(1);
	next(&b);
	mem_webmail_delete(r.mail, S("alice"), S(""), 2);
	b.window = NUM(10);
	CHECK_STR(told(next(&b)), "+1");
	CHECK(next(&b) == NULL);
	down();
}

/* --- filters ----------------------------------------------------------------------------------------- */

CASE(sync_filter_narrowed_soft_deletes_widened_adds)
{
	struct box b;
	struct sync_reply_collection *c;

	up(NULL);
	deliver("old");
	r.wall_ms += 5 * 24 * 3600 * 1000LL;
	deliver("new");
	b = inbox();
	settle(&b);
	b.filter = NUM(2); /* 3 days */
	c = next(&b);
	CHECK_STR(told(c), "!1");
	CHECK_INT(c->commands.v[0].tag, AIRSYNC_SOFT_DELETE);
	CHECK(next(&b) == NULL);
	/* A change of what the phone does not see is no change. */
	mem_webmail_flag(r.mail, S("alice"), S(""), 1, MAIL_SEEN, MAIL_SEEN);
	CHECK(next(&b) == NULL);
	b.filter = NUM(3); /* a week */
	CHECK_STR(told(next(&b)), "+1");
	/* Time alone moves the window as well; gone is gone. */
	r.wall_ms += 4 * 24 * 3600 * 1000LL;
	mem_webmail_delete(r.mail, S("alice"), S(""), 2);
	CHECK_STR(told(next(&b)), "-2 !1");
	down();
}

CASE(sync_soft_delete_waits_through_a_change)
{
	struct box b;

	up(NULL);
	deliver("a");
	deliver("b");
	r.wall_ms += 5 * 24 * 3600 * 1000LL;
	b = inbox();
	settle(&b);
	b.filter = NUM(2);
	b.window = NUM(1);
	CHECK_STR(told(next(&b)), "!1");
	mem_webmail_flag(r.mail, S("alice"), S(""), 2, MAIL_SEEN, MAIL_SEEN);
	CHECK_STR(told(next(&b)), "!2");
	CHECK(next(&b) == NULL);
	down();
}

/* --- folders and keys ------------------------------------------------------------------------------------ */

CASE(sync_folder_vanished_and_renewed)
{
	struct box b, w;
	struct sync_reply_collection *c;

	up(NULL);
	mem_webmail_folder_create(r.mail, S("alice"), S("Work"));
	deliver_to("Work", "w");
	deliver("a");
	b = inbox();
	settle(&b);
	w = box_open(&p, "Work");
	settle(&w);
	CHECK(mem_renew(r.mail, S("alice"), S("INBOX")));
	c = next(&b);
	CHECK_INT(c->status.v, SYNC_BAD_KEY);
	b.key = S("0");
	CHECK_INT(next(&b)->status.v, 1);
	CHECK_INT(next(&b)->commands.n, 1);
	mem_webmail_folder_delete(r.mail, S("alice"), S("Work"));
	CHECK_INT(next(&w)->status.v, SYNC_HIERARCHY);
	w.id = S("AAAAAAAAAAAAAAAA");
	CHECK_INT(next(&w)->status.v, SYNC_HIERARCHY);
	down();
}

CASE(sync_keys_that_are_not_good)
{
	struct box b;
	struct slice old;

	up(NULL);
	deliver("a");
	b = inbox();
	next(&b);
	old = b.key;
	deliver("b");
	next(&b);
	deliver("c");
	next(&b);
	b.key = old;
	CHECK_INT(next(&b)->status.v, SYNC_BAD_KEY);
	b.key = S("1AAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	CHECK_INT(next(&b)->status.v, SYNC_BAD_KEY);
	b.key = S("x");
	CHECK_INT(next(&b)->status.v, SYNC_BAD_KEY);
	down();
}

CASE(sync_two_equal_first_syncs_are_one)
{
	struct box b;
	struct slice first;

	up(NULL);
	deliver("a");
	b = inbox();
	first = b.key;
	b.key = S("0");
	next(&b);
	CHECK_SLICE(b.key, first);
	CHECK_STR(told(next(&b)), "+1");
	b.key = S("0");
	next(&b);
	CHECK(!slice_eq(b.key, first));
	CHECK_STR(told(next(&b)), "+1");
	down();
}

/* The request as a whole: one row a fault. */
CASE(sync_errors_of_the_whole_request)
{
	struct sync_collection again;
	struct box b;
	struct sync_request *q;
	struct reply a;

	up(NULL);
	b = inbox();
	a = rig_run(&p, rig_request(&p, EAS_CMD_SYNC, NULL, NULL), &sync_reply_schema);
	CHECK_INT(a.v.http_status, 200); /* remembered: nothing new */
	q = ask_of(&b);
	q->wait = NUM(5);
	q->heartbeat = NUM(300);
	CHECK_INT(say(&b, q).status, SYNC_PROTOCOL);
	q = ask_of(&b);
	q->wait = NUM(60);
	CHECK_INT(say(&b, q).status, SYNC_WAIT);
	q = ask_of(&b);
	q->heartbeat = NUM(1);
	a = say(&b, q);
	CHECK(a.status == SYNC_WAIT && ((struct sync_reply *)a.obj)->limit.has);
	q = ask_of(&b);
	again = q->collections.v[0], *LIST_PUSH(test_arena(), &q->collections) = again;
	CHECK_INT(say(&b, q).status, SYNC_PROTOCOL);
	q = ask_of(&b);
	for (int i = 0; i < 201; i++)
		ask_cmd(q, AIRSYNC_FETCH, item_id(&b, 1));
	CHECK_INT(say(&b, q).status, SYNC_PROTOCOL);
	b.filter = NUM(7);
	CHECK_INT(say(&b, ask_of(&b)).status, SYNC_PROTOCOL);
	b.filter = (struct num){ 0 };
	q = ask_of(&b);
	for (int i = 0; i < 301; i++)
		again = q->collections.v[0], *LIST_PUSH(test_arena(), &q->collections) = again;
	a = say(&b, q);
	CHECK(a.status == SYNC_TOO_MANY && ((struct sync_reply *)a.obj)->limit.v == 300);
	p.id = "fresh";
	a = rig_run(&p, rig_request(&p, EAS_CMD_SYNC, NULL, NULL), &sync_reply_schema);
	CHECK_INT(a.status, SYNC_INCOMPLETE);
	down();
}

/* --- as last time ----------------------------------------------------------------------------------------- */

CASE(sync_empty_and_partial_requests)
{
	struct box b, t;
	struct sync_request *q;
	struct reply a;

	up(NULL);
	b = inbox();
	t = box_open(&p, "Trash");
	q = ask_of(&b);
	*LIST_PUSH(test_arena(), &q->collections) = *ask_col(ask_of(&t));
	CHECK_INT(say(&b, q).body.len, 0);
	deliver("a");
	a = rig_run(&p, rig_request(&p, EAS_CMD_SYNC, NULL, NULL), &sync_reply_schema);
	CHECK_STR(told(col_of(a)), "+1");
	b.key = col_of(a)->sync_key;
	/* Partial names what is new; the other collection is as before. */
	deliver_to("Trash", "t");
	q = ask_of(&b);
	q->partial = NUM(1);
	a = say(&b, q);
	CHECK_SLICE(col_of(a)->collection_id, t.id);
	CHECK_STR(told(col_of(a)), "+1");
	down();
}

CASE(sync_waits_and_is_woken_by_what_it_may_see)
{
	struct box b;
	struct sync_request *q;
	struct request *rq;
	struct reply a;

	up(NULL);
	b = inbox();
	next(&b);
	q = ask_of(&b);
	q->wait = NUM(10);
	a = say(&b, q);
	CHECK_INT(a.v.kind, VERDICT_PARK);
	CHECK(a.v.park->n_folders == 1 && a.v.park->until_ms == r.now_ms + 600000);
	for (int i = 0; i < 2; i++) { /* once without news, once with */
		struct park *k = a.v.park;

		rq = rig_request(&p, EAS_CMD_NONE, NULL, NULL);
		rq->kind = REQUEST_CHECK;
		rq->user = k->user;
		rq->parked = k;
		if (i)
			deliver("a");
		a = rig_run(&p, rq, &sync_reply_schema);
		CHECK_INT(a.v.kind, i ? VERDICT_REPLY : VERDICT_PARK);
	}
	CHECK_STR(told(col_of(a)), "+1");
	down();
}

/* --- outages ------------------------------------------------------------------------------------------------ */

/* Every backend call of a busy Sync fails once; the phone repeats; nothing is lost or twice. */
CASE(sync_backend_fails_at_every_call)
{
	static const char *const ops[] = { "login", "changes", "heads", "parts", "set_flags", "move", "folders" };
	static const char *const acts[] = { "temp", "after", "lost" };

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		for (size_t k = 0; k < sizeof(acts) / sizeof(*acts); k++) {
			struct box b;
			struct sync_request *s;
			struct reply a;
			uint64_t *nums;

			up(NULL);
			deliver("a");
			deliver("b");
			b = inbox();
			settle(&b);
			deliver("c");
			pool_forget(r.w.pool, S("alice"));
			s = ask_of(&b);
			read_cmd(s, item_id(&b, 1), 1);
			ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 2));
			script(arena_str(test_arena(), arena_printf(test_arena(), "%s %s", ops[i], acts[k])));
			a = say(&b, s);
			if (fail_hits(fb))
				CHECK_INT(a.v.http_status, 503);
			script("");
			r.now_ms += 60000;
			if (a.v.http_status == 503)
				a = say(&b, s);
			CHECK_STR(told(col_of(a)), "+3");
			b.key = col_of(a)->sync_key;
			CHECK(next(&b) == NULL);
			CHECK_INT(mem_list(r.mail, S("alice"), S(""), test_arena(), &nums), 2);
			CHECK_INT(mem_list(r.mail, S("alice"), S("Trash"), test_arena(), &nums), 1);
			down();
		}
}

CASE(sync_store_fails_at_load_and_commit)
{
	static const enum store_fault faults[] = { STORE_FAIL_BEFORE, STORE_FAIL_AFTER, STORE_STALL, STORE_RACE };

	for (size_t i = 0; i < 8; i++) {
		struct box b;
		struct sync_request *s;
		struct sync_reply_collection *c;

		up(NULL);
		deliver("a");
		b = inbox();
		settle(&b);
		deliver("b");
		s = ask_of(&b);
		read_cmd(s, item_id(&b, 1), 1);
		r.next_fault[i < 4 ? STORE_CALL_LOAD : STORE_CALL_COMMIT] = faults[i % 4];
		if (i == 7) { /* the race is tried again by itself only when another one wrote */
			struct reply a = say(&b, s);

			CHECK(a.v.http_status == 503 || a.v.http_status == 200);
		} else {
			CHECK_INT(say(&b, s).v.http_status, 503);
		}
		r.now_ms += 300000; /* a claim whose answer got lost ends by its time */
		c = arrive(&b, s);
		CHECK_STR(told(c), "+2");
		CHECK(next(&b) == NULL);
		down();
	}
}

CASE(sync_round_trips_to_the_store)
{
	struct box b;

	up(NULL);
	deliver("a");
	b = inbox();
	memset(r.calls, 0, sizeof(r.calls));
	next(&b);
	CHECK_INT(r.calls[STORE_CALL_LOAD], 1);
	CHECK_INT(r.calls[STORE_CALL_COMMIT], 1);
	CHECK_INT(r.calls[STORE_CALL_RELEASE], 0);
	memset(r.calls, 0, sizeof(r.calls));
	CHECK(next(&b) == NULL);
	CHECK_INT(r.calls[STORE_CALL_LOAD] + r.calls[STORE_CALL_COMMIT] + r.calls[STORE_CALL_RELEASE], 2);
	down();
}

/* 100,000 mails: after the first run one changed mail costs one listing, and no long record. */
CASE(sync_work_follows_the_change_not_the_mailbox)
{
	struct slice mail = S("Subject: x\r\n\r\nx\r\n");
	struct box b;
	size_t n = 0;

	up(NULL);
	for (int i = 0; i < 100000; i++)
		mem_deliver(r.mail, S("alice"), S(""), mail);
	b = inbox();
	b.window = NUM(512);
	for (struct sync_reply_collection *c = next(&b); c; c = next(&b))
		n += c->commands.n;
	CHECK_INT(n, 100000);
	script("");
	for (int i = 0; i < 300; i++) { /* deltas upon deltas */
		mem_webmail_flag(r.mail, S("alice"), S(""), (uint64_t)(i * 331 + 1), MAIL_SEEN, MAIL_SEEN);
		CHECK_INT(next(&b)->commands.n, 1);
	}
	CHECK_INT(fail_calls(fb, "changes"), 300);
	CHECK_INT(fail_calls(fb, "heads") + fail_calls(fb, "parts") + fail_calls(fb, "lookup"), 0);
	down();
}
