/* test_ping.c - Ping and GetItemEstimate: statuses, what is remembered, what
 * wakes and what does not. */
#include "rig/syncrig.c"

static struct ping_request *ping_of(int heartbeat, const struct box *b)
{
	struct ping_request *q = ARENA_NEW(test_arena(), struct ping_request);

	if (heartbeat)
		q->heartbeat = NUM(heartbeat);
	if (b) {
		struct ping_folder *f = LIST_PUSH(test_arena(), &q->folders);

		q->has_folders = NUM(1);
		f->id = b->id;
		f->class = S("Email");
	}
	return q;
}

static struct reply ping(const struct ping_request *q)
{
	return rig_send(&p, EAS_CMD_PING, q ? &ping_request_schema : NULL, q, &ping_reply_schema);
}

static struct reply check(const struct park *k, bool folders)
{
	struct request *rq = rig_request(&p, EAS_CMD_NONE, NULL, NULL);
	struct park *copy = arena_dup(rq->arena, k, sizeof(*k));

	rq->kind = REQUEST_CHECK;
	rq->user = k->user;
	rq->parked = copy;
	copy->wants_hierarchy = folders;
	return rig_run(&p, rq, &ping_reply_schema);
}

static struct box ready(void)
{
	struct box b;

	up(NULL);
	b = box_open(&p, "INBOX");
	settle(&b);
	return b;
}

CASE(ping_parks_and_is_woken_by_news_alone)
{
	struct box b = ready();
	struct reply a = ping(ping_of(480, &b));
	struct ping_reply *g;
	struct park *k = a.v.park;

	CHECK_INT(a.v.kind, VERDICT_PARK);
	CHECK(k->n_folders == 1 && k->wants_hierarchy && k->until_ms == r.now_ms + 480000);
	CHECK(a.v.ends_older && a.v.older_body.len && a.v.expire_body.len);
	CHECK_INT(check(k, false).v.kind, VERDICT_PARK);
	deliver_to("Junk", "not this one");
	CHECK_INT(check(k, true).v.kind, VERDICT_PARK);
	deliver("a");
	a = check(k, false);
	CHECK_INT(a.status, 2);
	g = a.obj;
	CHECK(g->folders.n == 1 && slice_eq(g->folders.v[0], b.id));
	/* Again without a body, also when it says that there is news at once. */
	CHECK_INT(ping(NULL).status, 2);
	settle(&b);
	CHECK_INT(ping(NULL).v.kind, VERDICT_PARK);
	down();
}

CASE(ping_does_not_wake_for_the_phones_own_doing_or_outside_its_filter)
{
	struct box b;
	struct sync_request *s;

	up(NULL);
	deliver("old");
	r.wall_ms += 9 * 24 * 3600 * 1000LL;
	deliver("a");
	b = box_open(&p, "INBOX");
	b.filter = NUM(2);
	settle(&b);
	mem_webmail_flag(r.mail, S("alice"), S(""), 1, MAIL_SEEN, MAIL_SEEN);
	CHECK_INT(ping(ping_of(480, &b)).v.kind, VERDICT_PARK);
	s = ask_of(&b);
	ask_cmd(s, AIRSYNC_CHANGE, item_id(&b, 2))->item->email->read = NUM(1);
	arrive(&b, s);
	CHECK_INT(ping(NULL).v.kind, VERDICT_PARK);
	mem_webmail_flag(r.mail, S("alice"), S(""), 2, MAIL_SEEN, 0);
	CHECK_INT(ping(NULL).status, 2);
	down();
}

CASE(ping_statuses)
{
	struct box b;
	struct ping_request *q;
	struct reply a;
	static const int beats[] = { -5, 0, 1, 100000 };

	up(NULL);
	CHECK_INT(ping(NULL).status, 3);
	CHECK_INT(ping(ping_of(0, NULL)).status, 4);
	CHECK_INT(ping(ping_of(480, NULL)).status, 3);
	b = box_open(&p, "INBOX");
	settle(&b);
	for (size_t i = 0; i < 4; i++) {
		q = ping_of(480, &b);
		q->heartbeat = NUM(beats[i]);
		a = ping(q);
		CHECK_INT(a.status, 5);
		CHECK(((struct ping_reply *)a.obj)->heartbeat.v == (i < 3 ? 60 : 3540));
	}
	q = ping_of(480, &b);
	while (q->folders.n < 301) {
		struct ping_folder f = q->folders.v[0];

		*LIST_PUSH(test_arena(), &q->folders) = f;
	}
	a = ping(q);
	CHECK_INT(a.status, 6);
	CHECK_INT(((struct ping_reply *)a.obj)->max_folders.v, 300);
	q = ping_of(480, &b);
	q->folders.v[0].id = arena_printf(test_arena(), "%070d", 1);
	CHECK_INT(ping(q).status, 4);
	/* Never listed the folders. */
	p.id = "fresh";
	CHECK_INT(ping(ping_of(480, &b)).status, 7);
	down();
}

CASE(ping_folders_that_come_and_go)
{
	struct box b = ready();
	struct reply a = ping(ping_of(480, &b));
	struct park *k = a.v.park;

	mem_webmail_folder_create(r.mail, S("alice"), S("Work"));
	CHECK_INT(check(k, false).v.kind, VERDICT_PARK); /* nobody said that folders changed */
	CHECK_INT(check(k, true).status, 7);
	b = box_open(&p, "Work");
	settle(&b);
	CHECK_INT(ping(ping_of(480, &b)).v.kind, VERDICT_PARK);
	mem_webmail_folder_delete(r.mail, S("alice"), S("Work"));
	CHECK_INT(ping(NULL).status, 7);
	/* One that never was. */
	folder_id(&p, "INBOX");
	b.id = S("AAAAAAAAAAAAAAAA");
	CHECK_INT(ping(ping_of(480, &b)).status, 7);
	down();
}

CASE(ping_of_a_renewed_folder_wakes)
{
	struct box b = ready();

	deliver("a");
	settle(&b);
	CHECK(mem_renew(r.mail, S("alice"), S("INBOX")));
	CHECK_INT(ping(ping_of(480, &b)).status, 2);
	down();
}

CASE(ping_of_a_folder_that_was_never_synced_wakes)
{
	struct box b;

	up(NULL);
	b = (struct box){ .p = &p, .id = folder_id(&p, "Junk"), .key = S("0") };
	deliver_to("Junk", "a");
	CHECK_INT(ping(ping_of(480, &b)).status, 2); /* a lost state: its next Sync finds out */
	down();
}

CASE(ping_outages)
{
	static const char *const rules[] = { "changes temp", "login temp", "changes lost" };
	struct box b = ready();
	struct park *k;

	for (size_t i = 0; i < 3; i++) {
		pool_forget(r.w.pool, S("alice"));
		script(rules[i]);
		CHECK_INT(ping(ping_of(480, &b)).v.http_status, 503);
		script("");
		r.now_ms += 60000;
	}
	r.next_fault[STORE_CALL_LOAD] = STORE_FAIL_BEFORE;
	CHECK_INT(ping(ping_of(480, &b)).v.http_status, 503);
	k = ping(ping_of(480, &b)).v.park;
	CHECK(k != NULL);
	script("folders temp");
	CHECK_INT(check(k, true).v.http_status, 503);
	script("");
	r.now_ms += 60000;
	CHECK_INT(check(k, true).v.kind, VERDICT_PARK);
	script("changes perm=AUTH");
	CHECK(check(k, false).v.drop_user || fail_hits(fb) == 1);
	down();
}

/* Taken over: the older one ends without a look. */
CASE(ping_superseded_at_another_server)
{
	struct work second;
	struct box b = ready();
	struct park *k = ping(ping_of(480, &b)).v.park;

	rig_second(&r, &second);
	second.mail = second.send = fb;
	p.w = &second;
	CHECK_INT(ping(NULL).v.kind, VERDICT_PARK);
	p.w = NULL;
	CHECK_INT(check(k, false).status, 3);
	rig_second_down(&second);
	down();
}

CASE(ping_round_trips)
{
	struct box b = ready();

	CHECK_INT(ping(ping_of(480, &b)).v.kind, VERDICT_PARK);
	memset(r.calls, 0, sizeof(r.calls));
	script("");
	CHECK_INT(ping(ping_of(480, &b)).v.kind, VERDICT_PARK);
	CHECK_INT(r.calls[STORE_CALL_LOAD] + r.calls[STORE_CALL_COMMIT] + r.calls[STORE_CALL_RELEASE], 1);
	CHECK_INT(fail_calls(fb, "changes"), 1);
	CHECK_INT(fail_calls(fb, "folders"), 0);
	memset(r.calls, 0, sizeof(r.calls));
	CHECK_INT(ping(NULL).v.kind, VERDICT_PARK);
	CHECK_INT(r.calls[STORE_CALL_LOAD] + r.calls[STORE_CALL_COMMIT] + r.calls[STORE_CALL_RELEASE], 2);
	down();
}

/* A hook that counts every change: an equal counter means no backend call at all. */
CASE(ping_by_the_change_counter_asks_no_backend)
{
	const char *const set[] = { "push.sources=hook", NULL };
	struct box b;
	struct err e;

	up(set);
	CHECK_INT(store_publish(r.store, S("alice"), S("{}"), true, &e), 0);
	deliver("a");
	b = box_open(&p, "INBOX");
	settle(&b);
	script("");
	CHECK_INT(ping(ping_of(480, &b)).v.kind, VERDICT_PARK);
	CHECK(next(&b) == NULL);
	CHECK_INT(fail_calls(fb, "any"), 0);
	deliver("b");
	CHECK_INT(store_publish(r.store, S("alice"), S("{}"), true, &e), 0);
	CHECK_INT(ping(NULL).status, 2);
	CHECK_STR(told(next(&b)), "+2");
	down();
}

/* --- GetItemEstimate -------------------------------------------------------------------- */

static struct estimate_request *estimate_of(struct box *b)
{
	struct estimate_request *q = ARENA_NEW(test_arena(), struct estimate_request);
	struct estimate_collection *c = LIST_PUSH(test_arena(), &q->collections);

	q->has_collections = NUM(1);
	c->collection_id = b->id;
	c->sync_key = b->key;
	if (b->filter.has)
		LIST_PUSH(test_arena(), &c->options)->filter_type = b->filter;
	return q;
}

static struct reply estimate(const struct estimate_request *q)
{
	return rig_send(&p, EAS_CMD_GET_ITEM_ESTIMATE, &estimate_request_schema, q, &estimate_reply_schema);
}

static struct estimate_response *estimated(struct box *b)
{
	struct reply a = estimate(estimate_of(b));
	struct estimate_reply *g = a.obj;

	if (!g || g->responses.n != 1)
		test_fail(__FILE__, __LINE__, "GetItemEstimate: http %d status %d", a.v.http_status, a.status);
	return g->responses.v;
}

CASE(estimate_counts_and_changes_nothing)
{
	struct box b;

	up(NULL);
	deliver("a");
	r.wall_ms += 5 * 24 * 3600 * 1000LL;
	deliver("b");
	b = box_open(&p, "INBOX");
	CHECK_INT(estimated(&b)->estimate.v, 2);
	b.filter = NUM(2);
	CHECK_INT(estimated(&b)->estimate.v, 1);
	b.filter = (struct num){ 0 };
	settle(&b);
	CHECK_INT(estimated(&b)->estimate.v, 0);
	deliver("c");
	mem_webmail_flag(r.mail, S("alice"), S(""), 1, MAIL_SEEN, MAIL_SEEN);
	CHECK_INT(estimated(&b)->estimate.v, 2);
	CHECK_STR(told(next(&b)), "~1 +3");
	down();
}

CASE(estimate_statuses)
{
	struct box b, w;
	struct estimate_request *q;

	up(NULL);
	mem_webmail_folder_create(r.mail, S("alice"), S("Work"));
	b = box_open(&p, "INBOX");
	w = b;
	w.id = S("AAAAAAAAAAAAAAAA");
	CHECK_INT(estimated(&w)->status.v, 2);
	w = b;
	w.key = S("1AAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	CHECK_INT(estimated(&w)->status.v, 4);
	w.key = S("0");
	CHECK_INT(estimated(&w)->status.v, 3);
	w.id = folder_id(&p, "Junk");
	CHECK_INT(estimated(&w)->status.v, 3);
	w = box_open(&p, "Work");
	settle(&w);
	mem_webmail_folder_delete(r.mail, S("alice"), S("Work"));
	CHECK_INT(estimated(&w)->status.v, 2);
	deliver("a");
	settle(&b);
	mem_renew(r.mail, S("alice"), S("INBOX"));
	CHECK_INT(estimated(&b)->status.v, 4);
	script("changes temp");
	CHECK_INT(estimate(estimate_of(&b)).v.http_status, 503);
	script("");
	q = estimate_of(&b);
	q->collections.n = 0;
	CHECK_INT(estimate(q).status, 103);
	b.filter = NUM(8);
	CHECK(estimate(estimate_of(&b)).status != 1);
	down();
}
