/* test_sendmail.c - SendMail, SmartReply and SmartForward: sent once whatever
 * gets lost, one copy in Sent, the original marked; every refusal. */
#include "rig/syncrig.c"

static void begin(const char *const *settings)
{
	up(settings);
	mem_add_user(r.mail, S("hidden"), S("pw"), S("hidden@example.org"), S("Hidden"));
	mem_add_user(r.mail, S("carol"), S("pw"), S("carol@example.org"), S("Carol"));
}

static struct slice mail_to(const char *to, const char *text)
{
	return arena_printf(test_arena(),
			    "From: alice@example.org\r\nTo: %s\r\nBcc: hidden@example.org\r\nSubject: hello\r\n\r\n%s\r\n", to, text);
}

static struct compose_request *send_of(const char *client_id, struct slice mime)
{
	struct compose_request *q = ARENA_NEW(test_arena(), struct compose_request);

	q->tag = COMPOSE_SEND_MAIL;
	q->client_id = slice_str(client_id);
	q->save_in_sent = NUM(1);
	q->mime = DATA(mime);
	return q;
}

static struct reply submit(const struct compose_request *q)
{
	return rig_send(&p, EAS_CMD_SEND_MAIL, &sendmail_request_schema, q, &sendmail_reply_schema);
}

static struct reply smart(enum eas_command c, struct compose_request *q, struct slice folder, struct slice item)
{
	bool reply = c == EAS_CMD_SMART_REPLY;

	q->tag = reply ? COMPOSE_SMART_REPLY : COMPOSE_SMART_FORWARD;
	q->has_source = NUM(1);
	q->folder_id = folder;
	q->item_id = item;
	return rig_send(&p, c, reply ? &smartreply_request_schema : &smartforward_request_schema, q,
			reply ? &smartreply_reply_schema : &smartforward_reply_schema);
}

static void check_sent(struct reply a)
{
	if (a.v.http_status != 200 || a.body.len)
		test_fail(__FILE__, __LINE__, "http %d status %d: %s", a.v.http_status, a.status, a.v.err.text);
}

static size_t copies(void)
{
	uint64_t *nums;

	return mem_list(r.mail, S("alice"), S("Sent"), test_arena(), &nums);
}

static struct slice copy(size_t i)
{
	uint64_t *nums;
	size_t n = mem_list(r.mail, S("alice"), S("Sent"), test_arena(), &nums);

	CHECK(i < n);
	return mem_mail(r.mail, S("alice"), S("Sent"), nums[i], test_arena());
}

static struct slice sent_mail(size_t i)
{
	struct mem_sent m;

	CHECK(mem_sent(r.mail, i, test_arena(), &m));
	return m.mail;
}

static bool holds(struct slice s, const char *part)
{
	return s.len && memmem(s.ptr, s.len, part, strlen(part)) != NULL;
}

static struct slice message_id(struct slice mail)
{
	const char *at = memmem(mail.ptr, mail.len, "Message-ID: ", 12);
	struct slice rest;
	ptrdiff_t end;

	CHECK(at != NULL);
	rest = slice_from(mail, (size_t)(at - mail.ptr) + 12);
	end = slice_chr(rest, '\r');
	return slice_to(rest, (size_t)end);
}

CASE(sendmail_bcc_is_stripped_and_kept_in_the_copy)
{
	struct mem_sent m;

	begin(NULL);
	check_sent(submit(send_of("c1", mail_to("bob@example.org", "hi"))));
	CHECK_INT(mem_sent_count(r.mail), 1);
	CHECK(mem_sent(r.mail, 0, test_arena(), &m));
	CHECK_INT(m.n_rcpt, 2);
	CHECK_STR(m.rcpt[1], "hidden@example.org");
	CHECK(!holds(m.mail, "hidden@"));
	CHECK_INT(copies(), 1);
	CHECK(holds(copy(0), "Bcc: hidden@example.org"));
	CHECK_SLICE(message_id(copy(0)), message_id(m.mail));
	down();
}

CASE(sendmail_without_a_copy)
{
	struct compose_request *q = send_of("c1", mail_to("bob@example.org", "hi"));

	begin(NULL);
	q->save_in_sent = (struct num){ 0 };
	check_sent(submit(q));
	CHECK(mem_sent_count(r.mail) == 1 && copies() == 0);
	down();
}

CASE(sendmail_client_id_said_again)
{
	begin(NULL);
	check_sent(submit(send_of("c1", mail_to("bob@example.org", "hi"))));
	check_sent(submit(send_of("c1", mail_to("bob@example.org", "hi"))));
	CHECK_INT(mem_sent_count(r.mail), 1);
	CHECK_INT(submit(send_of("c1", mail_to("bob@example.org", "other"))).status, 118);
	CHECK_INT(mem_sent_count(r.mail), 1);
	check_sent(submit(send_of("c2", mail_to("bob@example.org", "hi"))));
	CHECK(mem_sent_count(r.mail) == 2 && copies() == 2);
	CHECK(!slice_eq(message_id(sent_mail(0)), message_id(sent_mail(1))));
	down();
}

/* Two mails of a phone under one Message-ID of its own: both are sent. */
CASE(sendmail_one_message_id_for_two_mails)
{
	struct slice one = S("From: alice@example.org\r\nTo: bob@example.org\r\nMessage-ID: <x@phone>\r\nSubject: a\r\n\r\none\r\n");
	struct slice two = S("From: alice@example.org\r\nTo: bob@example.org\r\nMessage-ID: <x@phone>\r\nSubject: a\r\n\r\ntwo\r\n");
	struct slice longer = S("From: alice@example.org\r\nTo: bob@example.org\r\nMessage-ID: <x@phone>\r\nSubject: a\r\n\r\n"
				"one\r\nmore\r\n");

	begin(NULL);
	check_sent(submit(send_of("c1", one)));
	check_sent(submit(send_of("c2", two)));
	check_sent(submit(send_of("c3", longer)));
	CHECK_INT(mem_sent_count(r.mail), 3);
	CHECK_INT(copies(), 3);
	down();
}

CASE(sendmail_dies_after_sending)
{
	struct slice first;

	begin(NULL);
	r.die_at = "sendmail";
	submit(send_of("c1", mail_to("bob@example.org", "hi")));
	CHECK(r.died);
	r.die_at = NULL;
	r.now_ms += 300000;
	r.wall_ms += 300000; /* our Date is another one now */
	first = message_id(sent_mail(0));
	check_sent(submit(send_of("c1", mail_to("bob@example.org", "hi"))));
	CHECK_INT(mem_sent_count(r.mail), 1);
	CHECK_INT(copies(), 1);
	CHECK_SLICE(message_id(copy(0)), first);
	down();
}

CASE(sendmail_store_fails)
{
	static const enum store_fault faults[] = { STORE_FAIL_BEFORE, STORE_FAIL_AFTER, STORE_RACE };

	for (size_t i = 0; i < 3; i++) {
		begin(NULL);
		r.next_fault[STORE_CALL_COMMIT] = faults[i];
		submit(send_of("c1", mail_to("bob@example.org", "hi")));
		check_sent(submit(send_of("c1", mail_to("bob@example.org", "hi"))));
		CHECK_INT(mem_sent_count(r.mail), 1);
		CHECK_INT(copies(), 1);
		r.next_fault[STORE_CALL_LOAD] = faults[i];
		CHECK_INT(submit(send_of("c2", mail_to("bob@example.org", "ho"))).v.http_status, 503);
		CHECK_INT(mem_sent_count(r.mail), 1);
		down();
	}
}

/* Nothing is sent while the copy cannot be looked for; once it is sent, nothing fails it. */
CASE(sendmail_backend_fails_at_each_call)
{
	static const struct {
		const char *rule;
		int http;
		size_t sent, kept; /* after the repeat */
	} rows[] = {
		{ "login#1 temp", 503, 1, 1 },
		{ "find_message_id temp", 503, 1, 1 },
		{ "submit temp", 503, 1, 1 },
		{ "submit after", 503, 2, 1 }, /* no transaction in SMTP: twice, under one Message-ID */
		{ "append temp", 200, 1, 0 },
		{ "append after", 200, 1, 1 },
		{ "append perm=QUOTA", 200, 1, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		begin(NULL);
		folder_id(&p, "Sent");
		pool_forget(r.w.pool, S("alice"));
		script(rows[i].rule);
		CHECK_INT(submit(send_of("c1", mail_to("bob@example.org", "hi"))).v.http_status, rows[i].http);
		CHECK(fail_hits(fb) == 1);
		script("");
		r.now_ms += 60000;
		check_sent(submit(send_of("c1", mail_to("bob@example.org", "hi"))));
		CHECK_INT(mem_sent_count(r.mail), rows[i].sent);
		CHECK_INT(copies(), rows[i].kept);
		if (rows[i].sent == 2)
			CHECK_SLICE(message_id(sent_mail(0)), message_id(sent_mail(1)));
		down();
	}
}

CASE(sendmail_reading_the_copy_fails)
{
	begin(NULL);
	r.die_at = "sendmail";
	submit(send_of("c1", mail_to("bob@example.org", "hi")));
	r.die_at = NULL;
	r.now_ms += 300000;
	script("parts temp");
	CHECK_INT(submit(send_of("c1", mail_to("bob@example.org", "hi"))).v.http_status, 503);
	script("");
	r.now_ms += 60000;
	check_sent(submit(send_of("c1", mail_to("bob@example.org", "hi"))));
	CHECK(mem_sent_count(r.mail) == 1 && copies() == 1);
	down();
}

CASE(sendmail_sent_folder_is_gone)
{
	begin(NULL);
	folder_id(&p, "Sent");
	CHECK(mem_webmail_folder_delete(r.mail, S("alice"), S("Sent")));
	script("folder_create temp");
	CHECK_INT(submit(send_of("c1", mail_to("bob@example.org", "hi"))).v.http_status, 503);
	CHECK_INT(mem_sent_count(r.mail), 0);
	script("");
	r.now_ms += 60000;
	check_sent(submit(send_of("c1", mail_to("bob@example.org", "hi"))));
	CHECK(mem_sent_count(r.mail) == 1 && copies() == 1);
	/* It may not be made: sent without a copy. */
	mem_webmail_folder_delete(r.mail, S("alice"), S("Sent"));
	script("folder_create* perm=FORBIDDEN");
	check_sent(submit(send_of("c2", mail_to("bob@example.org", "ho"))));
	CHECK_INT(mem_sent_count(r.mail), 2);
	down();
}

CASE(sendmail_statuses)
{
	static const struct {
		const char *rule;
		int status;
	} rows[] = { { "submit perm=QUOTA", 115 }, { "submit perm=FORBIDDEN", 120 }, { "submit perm", 120 } };
	const char *const set[] = { "limits.mail_bytes=64K", NULL };
	struct compose_request *q;

	begin(set);
	for (size_t i = 0; i < 3; i++) {
		script(rows[i].rule);
		CHECK_INT(submit(send_of("c1", mail_to("bob@example.org", "hi"))).status, rows[i].status);
	}
	script("submit perm=AUTH");
	CHECK_INT(submit(send_of("c1", mail_to("bob@example.org", "hi"))).v.http_status, 401);
	script("");
	CHECK_INT(submit(send_of("c1", S("From: a@b\r\nSubject: x\r\n\r\nx\r\n"))).status, 119);
	CHECK_INT(submit(send_of("c1", S(""))).status, 107);
	CHECK_INT(submit(send_of("c1", arena_printf(test_arena(), "To: b@c\r\n\r\n%070000d", 1))).status, 122);
	q = send_of("", mail_to("bob@example.org", "hi"));
	CHECK_INT(submit(q).status, 103);
	CHECK_INT(mem_sent_count(r.mail), 0);
	check_sent(submit(send_of("c1", mail_to("bob@example.org", "hi")))); /* no refusal is remembered */
	CHECK_INT(mem_sent_count(r.mail), 1);
	down();
}

/* Before 14.0: the body is the mail, its hash is the ClientId. */
static struct reply submit_25(struct slice mime, bool save)
{
	struct request *rq;

	p.version = EAS_121;
	rq = rig_request(&p, EAS_CMD_SEND_MAIL, NULL, NULL);
	rq->body_kind = BODY_RFC822;
	rq->raw = blob_new(0);
	CHECK_INT(blob_append(rq->raw, mime.ptr, mime.len, NULL), 0);
	rq->query.save_in_sent = save;
	return rig_run(&p, rq, NULL);
}

CASE(sendmail_before_14)
{
	begin(NULL);
	check_sent(submit_25(mail_to("bob@example.org", "hi"), true));
	check_sent(submit_25(mail_to("bob@example.org", "hi"), true));
	CHECK(mem_sent_count(r.mail) == 1 && copies() == 1);
	check_sent(submit_25(mail_to("bob@example.org", "ho"), false));
	CHECK(mem_sent_count(r.mail) == 2 && copies() == 1);
	script("submit perm");
	CHECK_INT(submit_25(mail_to("bob@example.org", "hu"), false).v.http_status, 500);
	down();
}

/* --- the original ------------------------------------------------------------------------ */

CASE(smart_reply_and_forward_mark_the_original)
{
	struct box b;
	struct sync_reply_collection *c;
	struct compose_request *q;

	begin(NULL);
	deliver("first");
	deliver("second");
	b = box_open(&p, "INBOX");
	settle(&b);
	check_sent(smart(EAS_CMD_SMART_REPLY, send_of("c1", mail_to("bob@example.org", "re")), b.id, item_id(&b, 1)));
	check_sent(smart(EAS_CMD_SMART_FORWARD, send_of("c2", mail_to("carol@example.org", "fw")), b.id, item_id(&b, 2)));
	CHECK(holds(sent_mail(0), "Text of first."));
	CHECK(holds(sent_mail(1), "Text of second."));
	CHECK(holds(sent_mail(0), "In-Reply-To: <first@example.org>"));
	c = next(&b);
	CHECK_STR(told(c), "~1 ~2");
	CHECK_INT(c->commands.v[0].item->email->last_verb.v, 1);
	CHECK_INT(c->commands.v[1].item->email->last_verb.v, 3);
	CHECK(c->commands.v[0].item->email->last_verb_time.has);
	CHECK(next(&b) == NULL);
	/* ReplaceMime: nothing of the original, but it is marked. */
	q = send_of("c3", mail_to("bob@example.org", "all mine"));
	q->replace_mime = NUM(1);
	check_sent(smart(EAS_CMD_SMART_FORWARD, q, b.id, item_id(&b, 1)));
	CHECK(!holds(sent_mail(2), "Text of first."));
	down();
}

CASE(smart_original_is_not_there)
{
	const char *const set[] = { "limits.mail_bytes=64K", NULL };
	struct box b;
	struct compose_request *q;

	begin(set);
	deliver("a");
	b = box_open(&p, "INBOX");
	settle(&b);
	q = send_of("c1", mail_to("bob@example.org", "re"));
	CHECK_INT(smart(EAS_CMD_SMART_REPLY, q, b.id, item_id(&b, 9)).status, 150);
	CHECK_INT(smart(EAS_CMD_SMART_REPLY, q, S("AAAAAAAAAAAAAAAA"), S("AAAAAAAAAAAAAAAA:1")).status, 150);
	CHECK_INT(smart(EAS_CMD_SMART_REPLY, q, b.id, S("nonsense")).status, 150);
	mem_deliver(r.mail, S("alice"), S(""), arena_printf(test_arena(), "Subject: big\r\n\r\n%070000d\r\n", 1));
	CHECK_INT(smart(EAS_CMD_SMART_FORWARD, q, b.id, item_id(&b, 2)).status, 122);
	script("parts temp");
	CHECK_INT(smart(EAS_CMD_SMART_REPLY, q, b.id, item_id(&b, 1)).v.http_status, 503);
	script("parts perm");
	r.now_ms += 60000;
	CHECK_INT(smart(EAS_CMD_SMART_REPLY, q, b.id, item_id(&b, 1)).status, 120);
	script("parts perm=NOT_FOUND");
	CHECK_INT(smart(EAS_CMD_SMART_REPLY, q, b.id, item_id(&b, 1)).status, 150);
	CHECK_INT(mem_sent_count(r.mail), 0);
	script("set_flags perm"); /* on its way: not failed by the mark */
	check_sent(smart(EAS_CMD_SMART_REPLY, q, b.id, item_id(&b, 1)));
	CHECK_INT(mem_sent_count(r.mail), 1);
	down();
}

/* Another phone writes a flag of the same folder while this mail is under way. */
static void *other_phone;

static enum store_fault meddle(void *self, enum store_call call, struct slice user)
{
	struct rig *rg = self;

	(void)user;
	rg->calls[call]++;
	if (call == STORE_CALL_COMMIT && other_phone) {
		struct box *o = other_phone;
		struct store_put put = { .key = arena_printf(test_arena(), "extra:%.*s", SARG(o->id)), .value = S("\001"),
					 .op = STORE_PUT, .expect = STORE_ANY };
		struct err e;

		other_phone = NULL;
		CHECK_INT(store_commit(store_fail_inner(rg->store), S("alice"), &put, 1, NULL, 0, &e), 0);
	}
	return STORE_FINE;
}

CASE(smart_reply_is_not_failed_by_another_phones_flag)
{
	struct box b;
	struct store *inner, *wrapped;

	begin(NULL);
	deliver("a");
	b = box_open(&p, "INBOX");
	settle(&b);
	inner = r.store;
	wrapped = store_fail_new(&inner, meddle, &r);
	r.w.store = r.store = wrapped;
	/* meddle writes through the wrapped one, that is below this hook. */
	other_phone = &b;
	check_sent(smart(EAS_CMD_SMART_REPLY, send_of("c1", mail_to("bob@example.org", "re")), b.id, item_id(&b, 1)));
	CHECK(other_phone == NULL);
	check_sent(smart(EAS_CMD_SMART_REPLY, send_of("c1", mail_to("bob@example.org", "re")), b.id, item_id(&b, 1)));
	CHECK_INT(mem_sent_count(r.mail), 1);
	down();
}

CASE(sendmail_round_trips)
{
	struct box b;

	begin(NULL);
	deliver("a");
	b = box_open(&p, "INBOX");
	settle(&b);
	memset(r.calls, 0, sizeof(r.calls));
	check_sent(smart(EAS_CMD_SMART_REPLY, send_of("c1", mail_to("bob@example.org", "re")), b.id, item_id(&b, 1)));
	CHECK_INT(r.calls[STORE_CALL_LOAD] + r.calls[STORE_CALL_COMMIT] + r.calls[STORE_CALL_RELEASE], 2);
	down();
}
