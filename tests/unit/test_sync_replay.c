/* test_sync_replay.c - answers that got lost: the key before is said again, with
 * each kind of change in it, after deaths at the crash point and with another
 * phone or webmail in between. Nothing twice, nothing lost, the same order. */
#include "rig/syncrig.c"

static struct sync_request *with_read(struct box *b, uint64_t num, int read)
{
	struct sync_request *s = ask_of(b);

	ask_cmd(s, AIRSYNC_CHANGE, item_id(b, num))->item->email->read = NUM(read);
	return s;
}

CASE(replay_of_each_kind_of_server_change)
{
	struct slice blue = S("Blue");
	struct sync_reply_collection *one, *two;
	struct box b;

	up(NULL);
	deliver("old");
	r.wall_ms += 5 * 24 * 3600 * 1000LL;
	for (int i = 0; i < 4; i++)
		deliver("a");
	b = box_open(&p, "INBOX");
	settle(&b);
	deliver("new");
	mem_webmail_flag(r.mail, S("alice"), S(""), 2, MAIL_SEEN, MAIL_SEEN);
	mem_webmail_flag(r.mail, S("alice"), S(""), 3, MAIL_FLAGGED, MAIL_FLAGGED);
	mem_webmail_keywords(r.mail, S("alice"), S(""), 4, &blue, 1);
	mem_webmail_delete(r.mail, S("alice"), S(""), 5);
	b.filter = NUM(2);
	one = lose(&b, ask_of(&b));
	CHECK_STR(told(one), "-5 !1 ~2 ~3 ~4 +6");
	two = lose(&b, ask_of(&b));
	CHECK_SLICE(told(two), told(one));
	CHECK_SLICE(two->sync_key, one->sync_key);
	CHECK(two->commands.v[2].item->email->read.v == 1 && !two->commands.v[2].item->email->flag);
	CHECK(!two->commands.v[3].item->email->read.has && two->commands.v[3].item->email->flag->status.v == 2);
	CHECK_STR(two->commands.v[4].item->email->categories.v[0], "Blue");
	two = arrive(&b, ask_of(&b));
	CHECK_SLICE(told(two), told(one));
	CHECK(next(&b) == NULL);
	down();
}

/* Both orders of new items. */
CASE(replay_keeps_the_order)
{
	struct box b;

	up(NULL);
	for (int i = 0; i < 250; i++)
		deliver("a");
	b = box_open(&p, "INBOX");
	b.window = NUM(240);
	CHECK_SLICE(told(lose(&b, ask_of(&b))), told(lose(&b, ask_of(&b))));
	next(&b);
	CHECK_STR(told(lose(&b, ask_of(&b))), "+10 +9 +8 +7 +6 +5 +4 +3 +2 +1");
	CHECK_STR(told(next(&b)), "+10 +9 +8 +7 +6 +5 +4 +3 +2 +1");
	deliver("b");
	deliver("c");
	CHECK_STR(told(lose(&b, ask_of(&b))), "+251 +252");
	CHECK_STR(told(next(&b)), "+251 +252");
	CHECK(next(&b) == NULL);
	down();
}

/* The whole request is said again: its changes are done once and not told back. */
CASE(replay_of_the_phones_own_changes)
{
	struct box b;
	struct sync_request *s;
	struct sync_reply_collection *c;
	uint64_t *nums;

	up(NULL);
	for (int i = 0; i < 3; i++)
		deliver("a");
	b = box_open(&p, "INBOX");
	settle(&b);
	s = with_read(&b, 1, 1);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 2));
	ask_cmd(s, AIRSYNC_FETCH, item_id(&b, 3));
	lose(&b, s);
	c = arrive(&b, s);
	CHECK_STR(told(c), "");
	CHECK(c->responses.n == 1 && c->responses.v[0].status.v == 1);
	CHECK_INT(mem_list(r.mail, S("alice"), S("Trash"), test_arena(), &nums), 1);
	CHECK(next(&b) == NULL);
	down();
}

/* It forgot what it did: it is told like anything that the server did. */
CASE(replay_without_the_changes_tells_them)
{
	struct box b;
	struct sync_request *s;
	struct sync_reply_collection *c;

	up(NULL);
	for (int i = 0; i < 3; i++)
		deliver("a");
	b = box_open(&p, "INBOX");
	settle(&b);
	s = with_read(&b, 1, 1);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 2));
	lose(&b, s);
	c = next(&b);
	CHECK_STR(told(c), "-2 ~1");
	CHECK_INT(c->commands.v[1].item->email->read.v, 1);
	CHECK(next(&b) == NULL);
	down();
}

CASE(replay_with_other_changes_does_those_too)
{
	struct box b;
	struct sync_reply_collection *c;
	struct slice dump;

	up(NULL);
	for (int i = 0; i < 2; i++)
		deliver("a");
	b = box_open(&p, "INBOX");
	settle(&b);
	lose(&b, with_read(&b, 1, 1));
	c = arrive(&b, with_read(&b, 2, 1));
	CHECK_STR(told(c), "~1");
	CHECK(next(&b) == NULL);
	dump = mem_dump(r.mail, S("alice"), test_arena());
	CHECK(dump.len > 0);
	/* Both are read on the server: told to a fresh phone so. */
	p.id = "fresh";
	b = box_open(&p, "INBOX");
	c = next(&b);
	CHECK(c->commands.v[0].item->email->read.v == 1 && c->commands.v[1].item->email->read.v == 1);
	down();
}

CASE(replay_while_another_one_changes_things)
{
	struct box b;
	struct sync_reply_collection *c;

	up(NULL);
	for (int i = 0; i < 3; i++)
		deliver("a");
	b = box_open(&p, "INBOX");
	lose(&b, ask_of(&b));
	mem_webmail_flag(r.mail, S("alice"), S(""), 1, MAIL_SEEN, MAIL_SEEN);
	mem_webmail_delete(r.mail, S("alice"), S(""), 2);
	deliver("d");
	c = next(&b);
	CHECK_STR(told(c), "+3 +1");
	CHECK_INT(c->commands.v[1].item->email->read.v, 1);
	/* Changed back before the next look: which one the phone has is not known, so it is told. */
	mem_webmail_flag(r.mail, S("alice"), S(""), 1, MAIL_SEEN, 0);
	c = next(&b);
	CHECK_STR(told(c), "-2 ~1 +4");
	CHECK_INT(c->commands.v[1].item->email->read.v, 0);
	CHECK(next(&b) == NULL);
	down();
}

CASE(replay_after_a_death_before_the_commit)
{
	struct box b;
	struct sync_request *s;
	struct sync_reply_collection *c;
	uint64_t *nums;

	up(NULL);
	for (int i = 0; i < 3; i++)
		deliver("a");
	b = box_open(&p, "INBOX");
	settle(&b);
	deliver("b");
	s = with_read(&b, 1, 1);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 2));
	r.die_at = "delete_change";
	CHECK(lose(&b, s) == NULL && r.died);
	CHECK(lose(&b, s) == NULL && r.died);
	r.die_at = NULL;
	r.now_ms += 300000;
	c = arrive(&b, s);
	CHECK_STR(told(c), "+4");
	CHECK_INT(c->responses.n, 0);
	CHECK_INT(mem_list(r.mail, S("alice"), S("Trash"), test_arena(), &nums), 1);
	CHECK(next(&b) == NULL);
	down();
}

/* Died, and the phone does not say it again: it comes as the server's doing. */
CASE(replay_of_nothing_after_a_death)
{
	struct box b;
	struct sync_request *s;

	up(NULL);
	for (int i = 0; i < 2; i++)
		deliver("a");
	b = box_open(&p, "INBOX");
	settle(&b);
	s = with_read(&b, 1, 1);
	ask_cmd(s, AIRSYNC_DELETE, item_id(&b, 2));
	r.die_at = "delete_change";
	lose(&b, s);
	r.die_at = NULL;
	r.now_ms += 300000;
	CHECK_STR(told(next(&b)), "-2 ~1");
	CHECK(next(&b) == NULL);
	down();
}

/* Another server on the same store, between any two requests and after a lost answer. */
CASE(replay_at_another_server)
{
	struct work second;
	struct box b;
	struct slice one;

	up(NULL);
	rig_second(&r, &second);
	second.mail = second.send = fb;
	for (int i = 0; i < 3; i++)
		deliver("a");
	b = box_open(&p, "INBOX");
	one = told(lose(&b, ask_of(&b)));
	p.w = &second;
	CHECK_SLICE(told(next(&b)), one);
	p.w = NULL;
	CHECK(next(&b) == NULL);
	mem_webmail_delete(r.mail, S("alice"), S(""), 1);
	p.w = &second;
	CHECK_STR(told(next(&b)), "-1");
	rig_second_down(&second);
	down();
}

/* The commit happened, its answer did not come: 503, and the same key again. */
CASE(replay_after_a_commit_without_an_answer)
{
	struct box b;
	struct sync_request *s;

	up(NULL);
	for (int i = 0; i < 2; i++)
		deliver("a");
	b = box_open(&p, "INBOX");
	settle(&b);
	deliver("b");
	s = with_read(&b, 1, 1);
	r.next_fault[STORE_CALL_COMMIT] = STORE_FAIL_AFTER;
	CHECK_INT(say(&b, s).v.http_status, 503);
	CHECK_STR(told(arrive(&b, s)), "+3");
	CHECK(next(&b) == NULL);
	down();
}

CASE(replay_fails_at_each_backend_call)
{
	static const char *const rules[] = { "heads temp", "parts temp" };
	struct slice blue = S("Blue");

	for (size_t i = 0; i < 3; i++) {
		struct box b;
		struct slice one;

		up(NULL);
		deliver("a");
		b = box_open(&p, "INBOX");
		settle(&b);
		if (i == 2) /* heads for the names of categories alone */
			mem_webmail_keywords(r.mail, S("alice"), S(""), 1, &blue, 1);
		else
			deliver("b");
		one = told(lose(&b, ask_of(&b)));
		script(rules[i % 2]);
		CHECK_INT(say(&b, ask_of(&b)).v.http_status, 503);
		script("");
		r.now_ms += 60000;
		CHECK_SLICE(told(next(&b)), one);
		CHECK(next(&b) == NULL);
		down();
	}
}

/* A busy mailbox, every third answer lost: phone and server end up equal. */
CASE(replay_in_a_busy_mailbox_ends_equal)
{
	bool has[200] = { false };
	struct box b;
	uint64_t *nums;
	size_t n, count = 0;

	up(NULL);
	b = box_open(&p, "INBOX");
	b.window = NUM(3);
	for (int i = 0; i < 120; i++) {
		struct sync_request *q = ask_of(&b);
		struct sync_reply_collection *c;

		if (i < 90)
			deliver("a");
		if (i % 5 == 4 && i < 90)
			mem_webmail_delete(r.mail, S("alice"), S(""), (uint64_t)i / 2 + 1);
		c = i % 3 == 2 ? lose(&b, q) : arrive(&b, q);
		for (size_t k = 0; c && i % 3 != 2 && k < c->commands.n; k++) {
			struct slice id = c->commands.v[k].server_id, folder;
			uint64_t num;

			CHECK(slice_split(&id, ':', &folder) && slice_u64(id, &num) && num < 200);
			if (c->commands.v[k].tag == AIRSYNC_ADD)
				CHECK(!has[num]);
			if (c->commands.v[k].tag != AIRSYNC_CHANGE)
				has[num] = c->commands.v[k].tag == AIRSYNC_ADD;
		}
	}
	n = mem_list(r.mail, S("alice"), S(""), test_arena(), &nums);
	for (size_t i = 0; i < n; i++)
		CHECK(has[nums[i]]);
	for (size_t i = 0; i < 200; i++)
		count += has[i];
	CHECK_INT(count, n);
	down();
}
