/* test_moveitems.c - MoveItems: every status, lost answers, deaths between the
 * move and its commit, and what the next Syncs tell of it. */
#include "rig/syncrig.c"

enum { BAD_SOURCE = 1, BAD_TARGET = 2, MOVED = 3, SAME = 4, FAILED = 5 };

static struct moveitems_request *move_of(struct slice src_id, struct slice src, struct slice dst)
{
	struct moveitems_request *q = ARENA_NEW(test_arena(), struct moveitems_request);

	*LIST_PUSH(test_arena(), &q->moves) = (struct move_item){ .src_id = src_id, .src_folder = src, .dst_folder = dst };
	return q;
}

static void also(struct moveitems_request *q, struct slice src_id, struct slice src, struct slice dst)
{
	*LIST_PUSH(test_arena(), &q->moves) = (struct move_item){ .src_id = src_id, .src_folder = src, .dst_folder = dst };
}

static struct reply send_moves(const struct moveitems_request *q)
{
	return rig_send(&p, EAS_CMD_MOVE_ITEMS, &moveitems_request_schema, q, &moveitems_reply_schema);
}

static struct move_response *moved(const struct moveitems_request *q)
{
	struct reply a = send_moves(q);
	struct moveitems_reply *m = a.obj;

	if (r.died)
		return NULL;
	if (!m || m->responses.n != q->moves.n)
		test_fail(__FILE__, __LINE__, "MoveItems: http %d status %d %s", a.v.http_status, a.status, a.v.err.text);
	return m->responses.v;
}

static size_t count(const char *folder)
{
	uint64_t *nums;

	return mem_list(r.mail, S("alice"), slice_str(folder), test_arena(), &nums);
}

static void boxes(struct box *b, struct box *t)
{
	*b = box_open(&p, "INBOX");
	*t = box_open(&p, "Junk");
	settle(b);
	settle(t);
}

CASE(moveitems_moves_and_no_sync_tells_it_back)
{
	struct box b, t, o;
	struct move_response *m;
	struct phone q;

	up(NULL);
	deliver("a");
	deliver("b");
	boxes(&b, &t);
	q = rig_phone(&r, "alice", "other", EAS_141);
	o = box_open(&q, "INBOX");
	settle(&o);
	m = moved(move_of(item_id(&b, 1), b.id, t.id));
	CHECK_INT(m->status.v, MOVED);
	CHECK_SLICE(m->src_id, item_id(&b, 1));
	CHECK_SLICE(m->dst_id, item_id(&t, 1));
	CHECK(next(&b) == NULL);
	CHECK(next(&t) == NULL);
	CHECK_STR(told(next(&o)), "-1");
	/* It is an item of its new folder. */
	struct sync_request *s = ask_of(&t);
	ask_cmd(s, AIRSYNC_CHANGE, m->dst_id)->item->email->read = NUM(1);
	CHECK_INT(arrive(&t, s)->responses.n, 0);
	CHECK(next(&t) == NULL);
	down();
}

CASE(moveitems_statuses)
{
	struct box b, t;
	struct moveitems_request *q;
	struct move_response *m;

	up(NULL);
	deliver("a");
	boxes(&b, &t);
	q = move_of(item_id(&b, 99), b.id, t.id);
	also(q, S("nonsense"), b.id, t.id);
	also(q, item_id(&b, 1), S("AAAAAAAAAAAAAAAA"), t.id);
	also(q, item_id(&b, 1), b.id, S("AAAAAAAAAAAAAAAA"));
	also(q, item_id(&b, 1), b.id, b.id);
	also(q, item_id(&b, 1), b.id, t.id);
	also(q, item_id(&b, 1), b.id, t.id); /* twice in one request */
	m = moved(q);
	CHECK_INT(m[0].status.v, BAD_SOURCE);
	CHECK_INT(m[1].status.v, BAD_SOURCE);
	CHECK_INT(m[2].status.v, BAD_SOURCE);
	CHECK_INT(m[3].status.v, BAD_TARGET);
	CHECK_INT(m[4].status.v, SAME);
	CHECK_INT(m[5].status.v, MOVED);
	CHECK(!m[0].dst_id.len && !m[3].dst_id.len);
	CHECK_INT(count("Junk"), 1);
	q->moves.n = 0;
	CHECK_INT(send_moves(q).status, 103);
	down();
}

CASE(moveitems_refused)
{
	static const struct {
		const char *rule;
		int status;
	} rows[] = { { "move perm=QUOTA", FAILED }, { "move perm=NOT_FOUND", BAD_TARGET }, { "move perm", FAILED } };
	struct box b, t;

	up(NULL);
	deliver("a");
	boxes(&b, &t);
	for (size_t i = 0; i < 3; i++) {
		script(rows[i].rule);
		CHECK_INT(moved(move_of(item_id(&b, 1), b.id, t.id))->status.v, rows[i].status);
	}
	script("");
	CHECK(next(&b) == NULL);
	CHECK_INT(moved(move_of(item_id(&b, 1), b.id, t.id))->status.v, MOVED);
	script("move perm=AUTH");
	CHECK_INT(send_moves(move_of(item_id(&t, 1), t.id, b.id)).v.http_status, 401);
	down();
}

CASE(moveitems_folders_that_are_gone_on_the_server)
{
	struct box b, t, w;

	up(NULL);
	mem_webmail_folder_create(r.mail, S("alice"), S("Work"));
	deliver("a");
	deliver_to("Work", "w");
	boxes(&b, &t);
	w = box_open(&p, "Work");
	settle(&w);
	mem_webmail_folder_delete(r.mail, S("alice"), S("Work"));
	CHECK_INT(moved(move_of(item_id(&w, 1), w.id, t.id))->status.v, BAD_SOURCE);
	CHECK_INT(moved(move_of(item_id(&b, 1), b.id, w.id))->status.v, BAD_TARGET);
	CHECK_INT(count("INBOX"), 1);
	down();
}

/* The answer got lost: the same answer again, and one mail. */
CASE(moveitems_repeated)
{
	struct box b, t;
	struct moveitems_request *q;
	struct slice first;

	up(NULL);
	deliver("a");
	boxes(&b, &t);
	q = move_of(item_id(&b, 1), b.id, t.id);
	first = moved(q)->dst_id;
	CHECK_INT(moved(q)->status.v, MOVED);
	CHECK_SLICE(moved(q)->dst_id, first);
	CHECK_INT(count("Junk"), 1);
	/* It went on from there: the repeat still says where it went to. */
	CHECK(next(&b) == NULL && next(&t) == NULL);
	/* Deleted by webmail instead: not moved. */
	deliver("b");
	settle(&b);
	mem_webmail_delete(r.mail, S("alice"), S(""), 2);
	CHECK_INT(moved(move_of(item_id(&b, 2), b.id, t.id))->status.v, BAD_SOURCE);
	down();
}

CASE(moveitems_dies_after_the_move)
{
	struct box b, t;
	struct moveitems_request *q;
	struct move_response *m;

	up(NULL);
	deliver("a");
	deliver("b");
	boxes(&b, &t);
	q = move_of(item_id(&b, 1), b.id, t.id);
	also(q, item_id(&b, 2), b.id, t.id);
	r.die_at = "moveitems";
	CHECK(moved(q) == NULL && r.died);
	r.die_at = NULL;
	r.now_ms += 300000;
	m = moved(q);
	CHECK(m[0].status.v == MOVED && m[1].status.v == MOVED);
	CHECK(m[0].dst_id.len && !slice_eq(m[0].dst_id, m[1].dst_id));
	CHECK_INT(count("Junk"), 2);
	CHECK(next(&b) == NULL && next(&t) == NULL);
	down();
}

/* 300 at once die: all of them are found again. */
CASE(moveitems_of_many_remembers_all)
{
	struct box b, t;
	struct moveitems_request *q = ARENA_NEW(test_arena(), struct moveitems_request);
	struct move_response *m;

	up(NULL);
	for (int i = 0; i < 300; i++)
		deliver(arena_str(test_arena(), arena_printf(test_arena(), "m%d", i)));
	boxes(&b, &t);
	for (int i = 0; i < 300; i++)
		also(q, item_id(&b, (uint64_t)i + 1), b.id, t.id);
	r.die_at = "moveitems";
	moved(q);
	r.die_at = NULL;
	r.now_ms += 300000;
	m = moved(q);
	for (int i = 0; i < 300; i++)
		CHECK_INT(m[i].status.v, MOVED);
	CHECK_INT(count("Junk"), 300);
	settle(&t);
	CHECK(next(&b) == NULL);
	down();
}

CASE(moveitems_fails_at_each_call)
{
	static const char *const rules[] = { "heads temp", "heads lost", "move temp", "move after", "move half=1", "login temp" };

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		struct box b, t;
		struct moveitems_request *q;
		struct move_response *m;

		up(NULL);
		deliver("a");
		deliver("b");
		boxes(&b, &t);
		pool_forget(r.w.pool, S("alice"));
		q = move_of(item_id(&b, 1), b.id, t.id);
		also(q, item_id(&b, 2), b.id, t.id);
		script(rules[i]);
		CHECK_INT(send_moves(q).v.http_status, 503);
		script("find_message_id temp");
		r.now_ms += 60000;
		if (i == 3 || i == 4) { /* where the repeat has to look for its mail */
			CHECK_INT(send_moves(q).v.http_status, 503);
			r.now_ms += 60000;
		}
		script("");
		m = moved(q);
		CHECK(m[0].status.v == MOVED && m[1].status.v == MOVED);
		CHECK_INT(count("Junk"), 2);
		CHECK_INT(count("INBOX"), 0);
		CHECK(next(&b) == NULL && next(&t) == NULL);
		down();
	}
}

CASE(moveitems_store_fails_at_each_call)
{
	static const enum store_fault faults[] = { STORE_FAIL_BEFORE, STORE_FAIL_AFTER, STORE_RACE };

	for (size_t i = 0; i < 3; i++) {
		struct box b, t;
		struct moveitems_request *q;

		up(NULL);
		deliver("a");
		boxes(&b, &t);
		q = move_of(item_id(&b, 1), b.id, t.id);
		r.next_fault[STORE_CALL_COMMIT] = faults[i]; /* the note: nothing may be moved */
		CHECK_INT(send_moves(q).v.http_status, 503);
		CHECK_INT(count("INBOX"), 1);
		CHECK_INT(moved(q)->status.v, MOVED);
		CHECK_INT(count("Junk"), 1);
		down();
	}
}

/* An unknown folder makes the map anew in the middle: what was done before it stays told. */
CASE(moveitems_with_an_unknown_folder_between)
{
	struct box b, t;
	struct moveitems_request *q;
	struct move_response *m;

	up(NULL);
	deliver("a");
	deliver("b");
	boxes(&b, &t);
	q = move_of(item_id(&b, 1), b.id, t.id);
	also(q, item_id(&b, 1), S("AAAAAAAAAAAAAAAA"), t.id);
	also(q, item_id(&b, 2), b.id, t.id);
	m = moved(q);
	CHECK(m[0].status.v == MOVED && m[1].status.v == BAD_SOURCE && m[2].status.v == MOVED);
	CHECK(next(&b) == NULL && next(&t) == NULL);
	down();
}

/* Load, note, commit: three, whatever the request holds. */
CASE(moveitems_round_trips_to_the_store)
{
	struct box b, t;
	struct moveitems_request *q;

	up(NULL);
	deliver("a");
	deliver_to("Junk", "b");
	deliver_to("Trash", "c");
	boxes(&b, &t);
	struct box u = box_open(&p, "Trash");
	settle(&u);
	q = move_of(item_id(&b, 1), b.id, t.id);
	also(q, item_id(&t, 1), t.id, b.id);
	also(q, item_id(&u, 1), u.id, b.id);
	memset(r.calls, 0, sizeof(r.calls));
	moved(q);
	CHECK_INT(r.calls[STORE_CALL_LOAD], 1);
	CHECK_INT(r.calls[STORE_CALL_COMMIT], 2);
	CHECK_INT(r.calls[STORE_CALL_RELEASE], 0);
	down();
}

/* Flag details go along. */
CASE(moveitems_takes_details_along)
{
	struct box b, t, o;
	struct sync_request *s;
	struct email_flag *f;
	struct phone q;
	struct sync_reply_collection *c;

	up(NULL);
	deliver("a");
	boxes(&b, &t);
	s = ask_of(&b);
	f = ask_cmd(s, AIRSYNC_CHANGE, item_id(&b, 1))->item->email->flag = ARENA_NEW(test_arena(), struct email_flag);
	*f = (struct email_flag){ .status = NUM(2), .type = S("for Follow Up"), .subject = S("mind this") };
	arrive(&b, s);
	moved(move_of(item_id(&b, 1), b.id, t.id));
	q = rig_phone(&r, "alice", "other", EAS_141);
	o = box_open(&q, "Junk");
	c = next(&o);
	CHECK_STR(c->commands.v[0].item->email->flag->subject, "mind this");
	CHECK(next(&t) == NULL);
	down();
}
