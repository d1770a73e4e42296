/* test_itemops.c - ItemOperations and GetAttachment: mails, files and ranges, in
 * line and as parts, emptied folders; refusals and outages. */
#include "rig/syncrig.c"

enum { IO_OK = 1, IO_PROTOCOL = 2, IO_SERVER = 3, IO_NOT_FOUND = 6, IO_RANGE = 8, IO_STORE = 9, IO_LARGE = 11, IO_BAD_FILE = 15, IO_DENIED = 16 };

static struct box b;

/* 1: plain; 2: with the file 0123456789 (base64). */
static void begin(const char *const *settings)
{
	up(settings);
	deliver("plain");
	mem_deliver(r.mail, S("alice"), S(""),
		    S("Subject: file\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
		      "--b\r\nContent-Type: text/plain\r\n\r\nsee file\r\n"
		      "--b\r\nContent-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n"
		      "Content-Disposition: attachment; filename=a.png\r\n\r\nMDEyMzQ1Njc4OQ==\r\n--b--\r\n"));
	b = box_open(&p, "INBOX");
	settle(&b);
}

static struct itemops_request *ops(void)
{
	return ARENA_NEW(test_arena(), struct itemops_request);
}

static struct itemops_operation *fetch_op(struct itemops_request *q)
{
	struct itemops_operation *o = LIST_PUSH(test_arena(), &q->operations);

	o->tag = ITEMOPS_FETCH;
	o->store = S("Mailbox");
	return o;
}

static void fetch_mail(struct itemops_request *q, struct slice folder, struct slice item)
{
	struct itemops_operation *o = fetch_op(q);

	o->collection_id = folder;
	o->server_id = item;
}

static struct itemops_operation *fetch_file(struct itemops_request *q, struct slice ref)
{
	struct itemops_operation *o = fetch_op(q);

	o->file_reference = ref;
	o->options = ARENA_NEW(test_arena(), struct itemops_options);
	return o;
}

static struct reply send_ops(const struct itemops_request *q)
{
	return rig_send(&p, EAS_CMD_ITEM_OPERATIONS, &itemops_request_schema, q, &itemops_reply_schema);
}

static struct itemops_response *done(const struct itemops_request *q)
{
	struct reply a = send_ops(q);
	struct itemops_reply *m = a.obj;

	if (!m || m->status.v != 1 || m->responses.n != q->operations.n)
		test_fail(__FILE__, __LINE__, "ItemOperations: http %d status %d %s", a.v.http_status, a.status, a.v.err.text);
	return m->responses.v;
}

static struct slice file_ref(void)
{
	return arena_printf(test_arena(), "%.*s.2.2", SARG(b.id));
}

static struct slice bytes_of(const struct data *d)
{
	struct slice s = d->mem;

	if (d->blob)
		CHECK_INT(blob_map(d->blob, &s, NULL), 0);
	return s;
}

CASE(itemops_fetches_mails)
{
	struct itemops_request *q = ops();
	struct itemops_response *m;

	begin(NULL);
	fetch_mail(q, b.id, item_id(&b, 1));
	fetch_mail(q, b.id, item_id(&b, 99));
	fetch_mail(q, S("AAAAAAAAAAAAAAAA"), S("AAAAAAAAAAAAAAAA:1"));
	fetch_mail(q, b.id, S("AAAAAAAAAAAAAAAA:1"));
	fetch_mail(q, b.id, S("nonsense"));
	fetch_op(q)->long_id = item_id(&b, 2);
	m = done(q);
	CHECK_INT(m[0].status.v, IO_OK);
	CHECK_STR(m[0].class, "Email");
	CHECK_SLICE(m[0].server_id, item_id(&b, 1));
	CHECK_STR(m[0].properties->email->subject, "plain");
	for (int i = 1; i < 5; i++)
		CHECK_INT(m[i].status.v, IO_NOT_FOUND);
	CHECK_INT(m[5].status.v, IO_OK);
	CHECK_SLICE(m[5].long_id, item_id(&b, 2));
	CHECK_INT(m[5].properties->attachments.n, 1);
	CHECK_SLICE(m[5].properties->attachments.v[0].file_reference, file_ref());
	down();
}

CASE(itemops_ranges_of_a_file)
{
	static const struct {
		const char *range, *data, *told;
	} rows[] = {
		{ "", "0123456789", "" }, { "0-9", "0123456789", "0-9" }, { "3-5", "345", "3-5" }, { "9-9", "9", "9-9" },
		{ "8-99", "89", "8-9" }, { "0-18446744073709551615", "0123456789", "0-9" },
	};
	static const char *const bad[] = { "10-10", "5-3", "x-1", "1-", "-1", "5", "0-99999999999999999999" };

	begin(NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct itemops_request *q = ops();
		struct itemops_response *m;
		struct slice got;

		fetch_file(q, file_ref())->options->range = rows[i].range[0] ? slice_str(rows[i].range) : S_NONE;
		m = done(q);
		CHECK_INT(m->status.v, IO_OK);
		CHECK_STR(m->properties->content_type, "image/png");
		CHECK(base64_decode(test_arena(), bytes_of(&m->properties->data), &got));
		CHECK_SLICE(got, slice_str(rows[i].data));
		if (rows[i].told[0]) {
			CHECK_STR(m->properties->range, rows[i].told);
			CHECK_INT(m->properties->total.v, 10);
		}
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct itemops_request *q = ops();

		fetch_file(q, file_ref())->options->range = slice_str(bad[i]);
		CHECK_INT(done(q)->status.v, IO_RANGE);
	}
	down();
}

CASE(itemops_files_that_are_not_there)
{
	struct itemops_request *q = ops();
	struct itemops_response *m;
	struct slice refs[] = {
		S("nonsense"), S(".."), arena_printf(test_arena(), "%.*s.2.9", SARG(b.id)), S("AAAAAAAAAAAAAAAA.1.1"),
		S("AAAAAAAAAAAAAAAA.x.1"), S("AAAAAAAAAAAAAAAA.1./etc"),
	};
	size_t n = sizeof(refs) / sizeof(*refs);

	begin(NULL);
	for (size_t i = 0; i < n; i++)
		fetch_file(q, refs[i]);
	fetch_file(q, arena_printf(test_arena(), "%.*s.99.2", SARG(b.id)));
	m = done(q);
	for (size_t i = 0; i <= n; i++)
		CHECK_INT(m[i].status.v, IO_BAD_FILE);
	down();
}

CASE(itemops_other_faults)
{
	struct itemops_request *q = ops();
	struct itemops_response *m;

	begin(NULL);
	fetch_mail(q, b.id, item_id(&b, 1));
	q->operations.v[0].store = S("Document Library");
	CHECK_INT(done(q)->status.v, IO_STORE);
	q->operations.n = 0;
	CHECK_INT(send_ops(q).status, IO_PROTOCOL);
	for (int i = 0; i < 101; i++)
		fetch_mail(q, b.id, item_id(&b, 1));
	CHECK_INT(send_ops(q).status, 103);
	q = ops();
	LIST_PUSH(test_arena(), &q->operations)->tag = ITEMOPS_FETCH; /* of what? */
	q->operations.v[0].store = S("Mailbox");
	m = done(q);
	CHECK(m->status.v == IO_PROTOCOL || m->status.v == IO_NOT_FOUND);
	down();
}

CASE(itemops_outages)
{
	static const char *const rules[] = { "heads temp", "parts temp", "login temp", "heads lost" };

	begin(NULL);
	for (size_t i = 0; i < 2 * sizeof(rules) / sizeof(*rules); i++) {
		struct itemops_request *q = ops();

		if (i % 2)
			fetch_mail(q, b.id, item_id(&b, 1));
		else
			fetch_file(q, file_ref());
		pool_forget(r.w.pool, S("alice"));
		script(rules[i / 2]);
		CHECK_INT(send_ops(q).v.http_status, 503);
		script("");
		r.now_ms += 60000;
		CHECK_INT(done(q)->status.v, IO_OK);
		script("heads perm=AUTH");
		CHECK_INT(send_ops(q).v.http_status, 401);
		script("");
		pool_forget(r.w.pool, S("alice"));
	}
	down();
}

CASE(itemops_file_over_the_limit)
{
	const char *const set[] = { "limits.attachment_bytes=64K", "limits.reply_bytes=1M", NULL };
	struct itemops_request *q = ops();

	begin(set);
	mem_deliver(r.mail, S("alice"), S(""),
		    arena_printf(test_arena(), "Subject: x\r\nContent-Type: application/x; name=big\r\n"
				 "Content-Disposition: attachment; filename=big\r\n\r\n%0100000d\r\n", 1));
	fetch_file(q, arena_printf(test_arena(), "%.*s.3.1", SARG(b.id)));
	CHECK_INT(done(q)->status.v, IO_LARGE);
	down();
}

/* A reply holds limits.reply_bytes and one item more. */
CASE(itemops_reply_is_bounded)
{
	const char *const set[] = { "limits.reply_bytes=1M", NULL };
	struct itemops_request *q = ops();
	struct itemops_response *m;
	size_t ok = 0;

	begin(set);
	mem_deliver(r.mail, S("alice"), S(""),
		    arena_printf(test_arena(), "Subject: x\r\nContent-Type: application/x; name=big\r\n"
				 "Content-Disposition: attachment; filename=big\r\n\r\n%0600000d\r\n", 1));
	for (int i = 0; i < 10; i++)
		fetch_file(q, arena_printf(test_arena(), "%.*s.3.1", SARG(b.id)));
	m = done(q);
	for (int i = 0; i < 10; i++) {
		CHECK(m[i].status.v == IO_OK || m[i].status.v == IO_SERVER);
		ok += m[i].status.v == IO_OK;
	}
	CHECK_INT(ok, 2);
	script("heads* delay=21000");
	CHECK_INT(done(q)[1].status.v, IO_SERVER);
	down();
}

/* --- multipart: count, then offset and length of each, then the bytes ---------------------- */

static uint32_t le32_at(struct slice s, size_t at)
{
	const uint8_t *u = (const uint8_t *)s.ptr + at;

	CHECK(at + 4 <= s.len);
	return (uint32_t)(u[0] | u[1] << 8 | u[2] << 16) | (uint32_t)u[3] << 24;
}

CASE(itemops_multipart_layout)
{
	struct itemops_request *q = ops();
	struct itemops_operation *o;
	struct decode_report rep = { 0 };
	struct itemops_reply *m;
	struct request *rq;
	struct reply a;
	struct slice part[3];
	uint64_t at = 4 + 8 * 3;
	struct err e;

	begin(NULL);
	fetch_file(q, file_ref())->options->range = S("2-4");
	fetch_mail(q, b.id, item_id(&b, 1));
	o = &q->operations.v[1];
	o->options = ARENA_NEW(test_arena(), struct itemops_options);
	LIST_PUSH(test_arena(), &o->options->body)->type = NUM(1);
	rq = rig_request(&p, EAS_CMD_ITEM_OPERATIONS, &itemops_request_schema, q);
	rq->accepts_multipart = true;
	a = rig_run(&p, rq, NULL);
	CHECK_INT(a.v.http_status, 200);
	CHECK_STR(a.v.content_type, "application/vnd.ms-sync.multipart");
	CHECK_INT(le32_at(a.body, 0), 3);
	for (size_t i = 0; i < 3; i++) {
		CHECK_INT(le32_at(a.body, 4 + 8 * i), at);
		CHECK(at + le32_at(a.body, 8 + 8 * i) <= a.body.len);
		part[i] = slice(a.body.ptr + at, le32_at(a.body, 8 + 8 * i));
		at += part[i].len;
	}
	CHECK_INT(at, a.body.len);
	CHECK_STR(part[1], "234");
	CHECK_STR(part[2], "Text of plain.\r\n");
	m = decode_all(part[0], &itemops_reply_schema, EAS_141, test_arena(), &rep, &e);
	CHECK(m && m->responses.n == 2 && rep.problems == 0);
	CHECK_INT(m->responses.v[0].properties->part.v, 1);
	CHECK_INT(m->responses.v[1].properties->body->part.v, 2);
	decode_report_deinit(&rep);
	down();
}

/* --- EmptyFolderContents ---------------------------------------------------------------------- */

static struct itemops_request *empty_of(struct slice folder, bool below)
{
	struct itemops_request *q = ops();
	struct itemops_operation *o = LIST_PUSH(test_arena(), &q->operations);

	o->tag = ITEMOPS_EMPTY_FOLDER_CONTENTS;
	o->collection_id = folder;
	if (below) {
		o->options = ARENA_NEW(test_arena(), struct itemops_options);
		o->options->delete_sub_folders = NUM(1);
	}
	return q;
}

CASE(itemops_empties_a_folder)
{
	struct slice work;
	uint64_t *nums;

	begin(NULL);
	mem_webmail_folder_create(r.mail, S("alice"), S("Work"));
	mem_webmail_folder_create(r.mail, S("alice"), S("Work/Sub"));
	mem_webmail_folder_create(r.mail, S("alice"), S("Work/Sub/Leaf"));
	deliver_to("Work", "w");
	deliver_to("Work/Sub", "s");
	work = folder_id(&p, "Work");
	CHECK_INT(done(empty_of(work, false))->status.v, IO_OK);
	CHECK_INT(mem_list(r.mail, S("alice"), S("Work"), test_arena(), &nums), 0);
	CHECK_INT(mem_list(r.mail, S("alice"), S("Work/Sub"), test_arena(), &nums), 1);
	CHECK_INT(done(empty_of(work, true))->status.v, IO_OK);
	CHECK(!mem_webmail_folder_delete(r.mail, S("alice"), S("Work/Sub")));
	CHECK(mem_webmail_folder_delete(r.mail, S("alice"), S("Work")));
	CHECK_INT(done(empty_of(S("AAAAAAAAAAAAAAAA"), false))->status.v, IO_NOT_FOUND);
	down();
}

CASE(itemops_emptying_is_refused_or_fails)
{
	static const struct {
		const char *rule;
		int status;
	} rows[] = { { "remove perm=FORBIDDEN", IO_DENIED }, { "remove perm", IO_SERVER }, { "changes perm", IO_SERVER } };
	uint64_t *nums;

	begin(NULL);
	for (size_t i = 0; i < 3; i++) {
		script(rows[i].rule);
		CHECK_INT(done(empty_of(b.id, false))->status.v, rows[i].status);
	}
	script("remove temp");
	CHECK_INT(send_ops(empty_of(b.id, false)).v.http_status, 503);
	script("changes truncate=1");
	r.now_ms += 60000;
	CHECK_INT(send_ops(empty_of(b.id, false)).v.http_status, 503);
	script("");
	r.now_ms += 60000;
	CHECK_INT(mem_list(r.mail, S("alice"), S(""), test_arena(), &nums), 2);
	CHECK_INT(done(empty_of(b.id, false))->status.v, IO_OK);
	CHECK_INT(mem_list(r.mail, S("alice"), S(""), test_arena(), &nums), 0);
	down();
}

CASE(itemops_round_trips)
{
	struct itemops_request *q = ops();

	begin(NULL);
	fetch_mail(q, b.id, item_id(&b, 1));
	fetch_file(q, file_ref());
	memset(r.calls, 0, sizeof(r.calls));
	done(q);
	CHECK(r.calls[STORE_CALL_LOAD] + r.calls[STORE_CALL_COMMIT] + r.calls[STORE_CALL_RELEASE] <= 2);
	down();
}

/* --- GetAttachment -------------------------------------------------------------------------- */

static struct reply get_file(struct slice ref)
{
	struct request *rq;

	p.version = EAS_121;
	rq = rig_request(&p, EAS_CMD_GET_ATTACHMENT, NULL, NULL);
	rq->query.attachment_name = ref;
	return rig_run(&p, rq, NULL);
}

CASE(getattachment_gives_bytes_and_type)
{
	const char *const set[] = { "limits.attachment_bytes=64K", NULL };
	struct reply a;

	begin(set);
	a = get_file(file_ref());
	CHECK_INT(a.v.http_status, 200);
	CHECK_STR(a.body, "0123456789");
	CHECK_STR(a.v.content_type, "image/png");
	CHECK_INT(get_file(S("nonsense")).v.http_status, 404);
	CHECK_INT(get_file(S("")).v.http_status, 404);
	script("heads temp");
	CHECK_INT(get_file(file_ref()).v.http_status, 503);
	r.now_ms += 60000;
	script("heads perm");
	CHECK_INT(get_file(file_ref()).v.http_status, 500);
	script("heads perm=AUTH");
	CHECK_INT(get_file(file_ref()).v.http_status, 401);
	script("");
	mem_deliver(r.mail, S("alice"), S(""),
		    arena_printf(test_arena(), "Subject: x\r\nContent-Type: application/x; name=big\r\n"
				 "Content-Disposition: attachment; filename=big\r\n\r\n%0100000d\r\n", 1));
	CHECK_INT(get_file(arena_printf(test_arena(), "%.*s.3.1", SARG(b.id))).v.http_status, 413);
	down();
}
