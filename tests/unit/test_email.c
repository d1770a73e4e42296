/* test_email.c - the Email class: rules of the flag, what a client may write,
 * versions, the forms of 2.5, and which class an item is. */
#include "harness.h"

#include "proto/cmd_sync.h"
#include "proto/email.h"
#include "proto/xmltrace.h"

static struct decode_report report;

/* One Change with this item inside, encoded and decoded as a request. */
static const struct sync_command *through(const struct item *it, enum eas_version v)
{
	struct sync_request q = { 0 }, *got;
	struct sync_collection *c = LIST_PUSH(test_arena(), &q.collections);
	struct sync_command *cmd = LIST_PUSH(test_arena(), &c->commands);
	struct blob *b = blob_new(0);
	struct slice bytes;
	struct err e = { 0 };

	c->sync_key = S("k");
	c->collection_id = S("5");
	cmd->tag = AIRSYNC_CHANGE;
	cmd->server_id = S("5:1");
	cmd->item = (struct item *)it;
	CHECK_INT(encode_document(b, &sync_request_schema, &q, v, &e), 0);
	CHECK_INT(blob_map(b, &bytes, NULL), 0);
	got = decode_all(test_guarded(bytes), &sync_request_schema, v, test_arena(), &report, &e);
	CHECK(got != NULL);
	blob_free(&b);
	CHECK_INT(got->collections.n, 1);
	CHECK_INT(got->collections.v[0].commands.n, 1);
	return &got->collections.v[0].commands.v[0];
}

static const struct sync_command *flagged(const struct email_flag *f)
{
	struct email m = { .flag = (struct email_flag *)f };

	return through(&(struct item){ .email = &m }, EAS_141);
}

#define FLAG_RULE(tag_, ...) \
	do { \
		const struct sync_command *c_ = flagged(&(struct email_flag){ __VA_ARGS__ }); \
		CHECK_INT(c_->problem.tag, tag_); \
		CHECK_INT(c_->problem.kind, (tag_) ? PROBLEM_RULE : PROBLEM_NONE); \
	} while (0)

#define T(n) DATE_MS(1700000000000 + (n) * 1000)

CASE(flag_rules)
{
	FLAG_RULE(TAG_NONE, .status = NUM(0));
	FLAG_RULE(TAG_NONE, .status = NUM(2), .type = S("for Follow Up"));
	FLAG_RULE(TAG_NONE, .status = NUM(2), .type = S("x"), .start = T(0), .due = T(1), .utc_start = T(0), .utc_due = T(1));
	FLAG_RULE(TAG_NONE, .status = NUM(2), .type = S("x"), .start = T(1), .due = T(1), .utc_start = T(1), .utc_due = T(1));
	FLAG_RULE(TASKS_DUE_DATE, .status = NUM(2), .start = T(0));
	FLAG_RULE(TASKS_START_DATE, .status = NUM(2), .due = T(0), .utc_due = T(0));
	FLAG_RULE(TASKS_DUE_DATE, .status = NUM(2), .start = T(2), .due = T(1), .utc_start = T(0), .utc_due = T(1));
	FLAG_RULE(TASKS_UTC_DUE_DATE, .status = NUM(2), .start = T(0), .due = T(1), .utc_start = T(2), .utc_due = T(1));
	FLAG_RULE(EMAIL_COMPLETE_TIME, .status = NUM(1));
	FLAG_RULE(EMAIL_COMPLETE_TIME, .status = NUM(1), .date_completed = T(0));
	FLAG_RULE(TASKS_DATE_COMPLETED, .status = NUM(1), .complete_time = T(0));
	FLAG_RULE(TAG_NONE, .status = NUM(1), .complete_time = T(0), .date_completed = T(0));
	FLAG_RULE(TASKS_REMINDER_TIME, .status = NUM(2), .reminder_set = NUM(1));
	FLAG_RULE(TAG_NONE, .status = NUM(2), .type = S("x"), .reminder_set = NUM(0));
	FLAG_RULE(TAG_NONE, .status = NUM(2), .type = S("x"), .reminder_set = NUM(1), .reminder_time = T(0));
	FLAG_RULE(EMAIL_FLAG_TYPE, .status = NUM(2));
	FLAG_RULE(TAG_NONE, .start = T(0), .due = T(1), .utc_start = T(0), .utc_due = T(1));
	CHECK_INT(report.first.kind, PROBLEM_NONE); /* never in the request itself */
}

CASE(flag_status_other_than_0_1_2)
{
	const struct sync_command *c = flagged(&(struct email_flag){ .status = NUM(3) });

	CHECK_INT(c->problem.kind, PROBLEM_BAD_VALUE);
	CHECK_INT(c->problem.tag, EMAIL_STATUS);
}

CASE(flag_empty_and_whole)
{
	struct email_flag all = { .subject = S("s"), .status = NUM(2), .type = S("Flag for follow up"), .date_completed = T(1),
				  .complete_time = T(2), .start = T(3), .due = T(4), .utc_start = T(5), .utc_due = T(6),
				  .reminder_set = NUM(1), .reminder_time = T(7), .ordinal = T(8), .sub_ordinal = S("5") };
	const struct sync_command *c = flagged(&(struct email_flag){ 0 });
	const struct email_flag *f = c->item->email->flag;

	CHECK(f != NULL && !f->status.has);
	c = flagged(&all);
	CHECK_INT(c->problem.kind, PROBLEM_NONE);
	f = c->item->email->flag;
	CHECK_STR(f->subject, "s");
	CHECK_STR(f->type, "Flag for follow up");
	CHECK_STR(f->sub_ordinal, "5");
	CHECK_INT(f->date_completed.ms, all.date_completed.ms);
	CHECK_INT(f->ordinal.ms, all.ordinal.ms);
	CHECK_INT(f->utc_due.ms, all.utc_due.ms);
	CHECK_INT(f->reminder_time.ms, all.reminder_time.ms);
}

CASE(read_must_be_boolean)
{
	struct email m = { .read = NUM(2) };
	const struct sync_command *c = through(&(struct item){ .email = &m }, EAS_141);

	CHECK_INT(c->problem.kind, PROBLEM_BAD_VALUE);
	CHECK_INT(c->problem.tag, EMAIL_READ);
	CHECK(!c->item->email->read.has);
	m.read = NUM(0);
	c = through(&(struct item){ .email = &m }, EAS_25);
	CHECK(c->item->email->read.has && c->item->email->read.v == 0);
	CHECK_INT(c->item->class, CLASS_EMAIL);
}

CASE(what_the_server_owns_is_refused)
{
	static const struct { struct email m; uint16_t tag; } t[] = {
		{ { .sender = S("x@example.org") }, EMAIL2_SENDER },
		{ { .conversation_id = S("\0\1") }, EMAIL2_CONVERSATION_ID },
		{ { .conversation_index = S("\1") }, EMAIL2_CONVERSATION_INDEX },
		{ { .um_user_notes = S("n") }, EMAIL2_UM_USER_NOTES },
		{ { .read = { 1, true }, .subject = S("s") }, TAG_NONE },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct field_problem p = { 0 };

		email_check_write(&t[i].m, &p);
		CHECK_INT(p.tag, t[i].tag);
		CHECK_INT(p.kind, t[i].tag ? PROBLEM_READ_ONLY : PROBLEM_NONE);
	}
}

CASE(versions_gate_flag_and_categories)
{
	struct email_flag f = { .status = NUM(2) };
	struct email m = { .flag = &f, .has_categories = NUM(1), .conversation_id = S("abc"), .read = NUM(1),
			   .account_id = S("a") };
	struct item it = { .email = &m };

	CHECK(through(&it, EAS_25)->item->email->flag == NULL);
	CHECK(through(&it, EAS_120)->item->email->flag != NULL);
	CHECK(!through(&it, EAS_121)->item->email->has_categories.has);
	CHECK(through(&it, EAS_140)->item->email->has_categories.has);
	CHECK_SLICE(through(&it, EAS_140)->item->email->conversation_id, S("abc"));
	CHECK(through(&it, EAS_140)->item->email->account_id.ptr == NULL);
	CHECK_STR(through(&it, EAS_141)->item->email->account_id, "a");
}

static struct slice text_of(struct data *d)
{
	struct slice s;

	CHECK(d->blob != NULL);
	CHECK_INT(blob_map(d->blob, &s, NULL), 0);
	return s;
}

CASE(body_and_attachments_survive_both_forms)
{
	static const enum eas_version versions[] = { EAS_25, EAS_120, EAS_121, EAS_140, EAS_141 };

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct item_body b = { .type = NUM(1), .estimated_size = NUM(9), .truncated = NUM(1), .data = DATA(S("hello")) };
		struct email m = { .subject = S("s") };
		struct item it = { .email = &m, .body = &b };
		struct item *got;

		*LIST_PUSH(test_arena(), &it.attachments) = (struct attachment){
			.display_name = S("a.txt"), .file_reference = S("ref"), .method = NUM(1), .estimated_size = NUM(10) };
		got = through(&it, versions[i])->item;
		CHECK_INT(report.problems, 0);
		CHECK(got->body != NULL);
		CHECK_INT(got->body->type.v, 1);
		CHECK_INT(got->body->estimated_size.v, 9);
		CHECK_INT(got->body->truncated.v, 1);
		CHECK_STR(text_of(&got->body->data), "hello");
		CHECK_INT(got->attachments.n, 1);
		CHECK_STR(got->attachments.v[0].file_reference, "ref");
		CHECK_STR(got->attachments.v[0].display_name, "a.txt");
		CHECK_INT(got->attachments.v[0].estimated_size.v, 10);
		decode_report_deinit(&report);
	}
}

CASE(mime_body_of_25)
{
	struct item_body b = { .type = NUM(4), .estimated_size = NUM(12), .data = DATA(S("From: a\r\n")) };
	struct item it = { .email = &(struct email){ .subject = S("s") }, .body = &b };
	struct item *got = through(&it, EAS_25)->item;

	CHECK_INT(got->body->type.v, 4);
	CHECK_INT(got->body->truncated.v, 0);
	CHECK_STR(text_of(&got->body->data), "From: a\r\n");
	decode_report_deinit(&report);
}

CASE(item_without_a_known_class)
{
	struct item it = { .body = &(struct item_body){ .type = NUM(1) } };
	const struct sync_command *c = through(&it, EAS_141);

	CHECK_INT(c->item->class, CLASS_NONE);
	CHECK(c->item->email == NULL && c->item->body != NULL);
	CHECK_INT(c->problem.kind, PROBLEM_NONE);
}

CASE(classes_by_name)
{
	CHECK_INT(item_class_find(S("Email")), CLASS_EMAIL);
	CHECK_INT(item_class_find(S("email")), CLASS_NONE);
	CHECK_INT(item_class_find(S("")), CLASS_NONE);
	CHECK_STR(slice_str(item_class_name(CLASS_EMAIL)), "Email");
	CHECK_STR(slice_str(item_class_name(CLASS_NONE)), "");
	CHECK(item_schema(CLASS_EMAIL) == &email_schema && item_schema(CLASS_NONE) == NULL);
}

CASE(every_row_of_the_class_is_read_as_it_is_written)
{
	struct meeting_request mr = { .all_day = NUM(1), .start = T(1), .dt_stamp = T(2), .end = T(3), .instance_type = NUM(1),
				      .location = S("here"), .organizer = S("o@example.org"), .recurrence_id = T(4),
				      .reminder = NUM(15), .response_requested = NUM(1), .sensitivity = NUM(0), .busy_status = NUM(2),
				      .time_zone = S("zone bytes"), .global_obj_id = S("id bytes"), .disallow_new_time = NUM(0),
				      .meeting_message_type = NUM(1) };
	struct email m = { .to = S("t"), .cc = S("c"), .from = S("f"), .subject = S("s"), .reply_to = S("r"),
			   .date_received = T(0), .display_to = S("d"), .thread_topic = S("tt"), .importance = NUM(1),
			   .read = NUM(1), .message_class = S("IPM.Note"), .meeting = &mr, .internet_cpid = NUM(65001),
			   .flag = &(struct email_flag){ 0 }, .content_class = S("urn:content-classes:message"),
			   .has_categories = NUM(1), .um_caller_id = S("+1"), .um_user_notes = S("n"),
			   .conversation_id = S("0123456789abcdef"), .conversation_index = S("12345"), .last_verb = NUM(1),
			   .last_verb_time = T(9), .received_as_bcc = NUM(1), .sender = S("se"), .account_id = S("a") };
	const struct sync_command *c;

	*LIST_PUSH(test_arena(), &m.categories) = S("Red");
	*LIST_PUSH(test_arena(), &mr.recurrences) = (struct meeting_recurrence){ .type = NUM(1), .interval = NUM(2), .until = T(5),
		.day_of_week = NUM(2), .calendar_type = NUM(0), .is_leap_month = NUM(0), .first_day_of_week = NUM(1) };
	c = through(&(struct item){ .email = &m }, EAS_141);
	CHECK_INT(report.problems, 0);
	for (unsigned i = 0; i < email_schema.n; i++)
		if (!field_given(&email_schema.fields[i], c->item->email))
			test_fail(__FILE__, __LINE__, "%s is lost", wbxml_tag_name(email_schema.fields[i].tag));
	CHECK_SLICE(c->item->email->meeting->time_zone, mr.time_zone);
	CHECK_INT(c->item->email->meeting->recurrences.v[0].until.ms, mr.recurrences.v[0].until.ms);
	CHECK_STR(c->item->email->categories.v[0], "Red");
	CHECK_SLICE(c->item->email->conversation_id, m.conversation_id);
}
