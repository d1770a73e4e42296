/* test_cmd_replies.c - every kind of reply the server can send, built from the
 * structs, encoded for each version, decoded again by the same table. With
 * ZPUSHD_DUMP=DIR the replies are also left there as NAME-VERSION.wbxml and
 * .xml: tests/xsd.py judges them by the schemas and by wbxml2xml. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/commands.h"
#include "proto/email.h"
#include "proto/xmltrace.h"

static const enum eas_version versions[] = { EAS_25, EAS_120, EAS_121, EAS_140, EAS_141 };

static void dump_file(const char *name, const char *ext, struct slice s)
{
	struct slice path = arena_printf(test_arena(), "%s/%s.%s", getenv("ZPUSHD_DUMP"), name, ext);
	FILE *f = fopen(path.ptr, "wb");

	CHECK(f != NULL);
	CHECK_INT(fwrite(s.ptr, 1, s.len, f), s.len);
	CHECK_INT(fclose(f), 0);
}

static struct slice take_bytes(struct blob **b)
{
	struct slice s;

	CHECK_INT(blob_map(*b, &s, NULL), 0);
	s = arena_slice(test_arena(), s);
	blob_free(b);
	return s;
}

static void judge(const char *what, enum eas_version v, struct slice wbxml)
{
	const char *name = arena_printf(test_arena(), "%s-%s", what, eas_version_name(v)).ptr;
	struct blob *xml = blob_new(0);
	struct err e = { 0 };
	struct slice text;

	if (xmltrace(xml, wbxml, NULL, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", name, e.text);
	text = take_bytes(&xml);
	if (getenv("ZPUSHD_DUMP")) {
		dump_file(name, "wbxml", wbxml);
		dump_file(name, "xml", text);
	}
}

/* Encodes, decodes and encodes again: the second bytes equal the first, and
 * the decoder has nothing to complain about. */
static void check_reply(const char *what, const struct schema *s, const void *reply, enum eas_version v)
{
	struct blob *b = blob_new(0), *again = blob_new(0);
	struct decode_report r;
	struct err e = { 0 };
	struct slice first;
	void *got;

	CHECK_INT(encode_document(b, s, reply, v, &e), 0);
	first = take_bytes(&b);
	got = decode_all(test_guarded(first), s, v, test_arena(), &r, &e);
	if (!got)
		test_fail(__FILE__, __LINE__, "%s %d: %s", what, v, e.text);
	if (r.problems)
		test_fail(__FILE__, __LINE__, "%s %d: %u problems, %s at %s", what, v, r.problems,
			  problem_name(r.first.kind), r.first.tag ? wbxml_tag_name(r.first.tag) : "-");
	CHECK_INT(encode_document(again, s, got, v, &e), 0);
	CHECK_SLICE(take_bytes(&again), first);
	decode_report_deinit(&r);
	judge(what, v, first);
}

static void in_versions(const char *what, const struct schema *s, const void *reply, enum eas_version first)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (versions[i] >= first)
			check_reply(what, s, reply, versions[i]);
}

#define T(n) DATE_MS(1700000000000 + (n) * 1000)

static struct meeting_request *a_meeting(void)
{
	struct meeting_request *m = ARENA_NEW(test_arena(), struct meeting_request);

	*m = (struct meeting_request){ .all_day = NUM(0), .start = T(1), .dt_stamp = T(2), .end = T(3), .instance_type = NUM(1),
		.location = S("Room 1"), .organizer = S("\"O\" <o@example.org>"), .reminder = NUM(15), .response_requested = NUM(1),
		.sensitivity = NUM(0), .busy_status = NUM(2), .time_zone = S("172 bytes in life"),
		.global_obj_id = S("\4\0\0\0\x82\0\xe0\0"), .disallow_new_time = NUM(0), .meeting_message_type = NUM(1) };
	*LIST_PUSH(test_arena(), &m->recurrences) = (struct meeting_recurrence){ .type = NUM(1), .interval = NUM(1),
		.until = T(5), .day_of_week = NUM(2), .first_day_of_week = NUM(1) };
	return m;
}

static struct email *a_mail(void)
{
	struct email *m = ARENA_NEW(test_arena(), struct email);

	*m = (struct email){ .to = S("\"B\" <b@example.org>"), .cc = S("c@example.org"), .from = S("\"A\" <a@example.org>"),
		.subject = S("Gr\xc3\xbc\xc3\x9f\x65 & <more>"), .reply_to = S("r@example.org"), .date_received = T(0),
		.display_to = S("B"), .thread_topic = S("Topic"), .importance = NUM(1), .read = NUM(0),
		.message_class = S("IPM.Note"), .internet_cpid = NUM(65001),
		.flag = ARENA_NEW(test_arena(), struct email_flag), .content_class = S("urn:content-classes:message"),
		.has_categories = NUM(1), .conversation_id = S("0123456789abcdef"), .conversation_index = S("12345"),
		.last_verb = NUM(1), .last_verb_time = T(9), .received_as_bcc = NUM(0), .sender = S("s@example.org") };
	return m;
}

static struct email_flag *a_flag(void)
{
	struct email_flag *f = ARENA_NEW(test_arena(), struct email_flag);

	*f = (struct email_flag){ .subject = S("s"), .status = NUM(2), .type = S("for Follow Up"), .start = T(0), .due = T(1),
		.utc_start = T(0), .utc_due = T(1), .reminder_set = NUM(1), .reminder_time = T(0), .ordinal = T(2),
		.sub_ordinal = S("5") };
	return f;
}

static struct item *an_item(enum eas_version v)
{
	struct item *it = ARENA_NEW(test_arena(), struct item);

	it->email = a_mail();
	it->body = ARENA_NEW(test_arena(), struct item_body);
	*it->body = (struct item_body){ .type = NUM(2), .estimated_size = NUM(5000), .truncated = NUM(1),
		.data = DATA(S("<p>hello</p>")), .preview = S("hello") };
	if (v < EAS_120)
		it->body->type = NUM(1);
	it->native_body_type = NUM(2);
	*LIST_PUSH(test_arena(), &it->attachments) = (struct attachment){ .display_name = S("a.txt"),
		.file_reference = S("5%3a1%3a2"), .method = NUM(1), .estimated_size = NUM(10) };
	if (v >= EAS_120) {
		*LIST_PUSH(test_arena(), &it->attachments) = (struct attachment){ .display_name = S("i.png"),
			.file_reference = S("5%3a1%3a3"), .method = NUM(1), .estimated_size = NUM(99), .content_id = S("x@y"),
			.content_location = S("l"), .is_inline = NUM(1) };
		*LIST_PUSH(test_arena(), &it->body_parts) = (struct item_body){ .status = NUM(1), .type = NUM(2),
			.estimated_size = NUM(9), .truncated = NUM(1), .data = DATA(S("part")), .preview = S("p") };
	}
	return it;
}

static struct sync_command *push_command(struct sync_reply_collection *c, uint16_t tag, struct item *it)
{
	struct sync_command *cmd = LIST_PUSH(test_arena(), &c->commands);

	cmd->tag = tag;
	cmd->server_id = S("5:1");
	cmd->item = it;
	return cmd;
}

static struct item *one_member(struct email m)
{
	struct item *it = ARENA_NEW(test_arena(), struct item);

	it->email = arena_dup(test_arena(), &m, sizeof(m));
	return it;
}

static void push_response(struct sync_reply_collection *c, struct sync_command r)
{
	*LIST_PUSH(test_arena(), &c->responses) = r;
}

CASE(sync_with_items)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct sync_reply r = { 0 };
		struct sync_reply_collection *c = LIST_PUSH(test_arena(), &r.collections);
		struct item *meeting = an_item(versions[i]);

		c->sync_key = S("AbC-2");
		c->collection_id = S("5");
		c->status = NUM(1);
		c->more_available = NUM(1);
		push_command(c, AIRSYNC_ADD, an_item(versions[i]));
		meeting->email->meeting = a_meeting();
		meeting->email->flag = a_flag();
		push_command(c, AIRSYNC_ADD, meeting);
		push_command(c, AIRSYNC_CHANGE, one_member((struct email){ .read = NUM(1) }));
		push_command(c, AIRSYNC_DELETE, NULL);
		push_command(c, AIRSYNC_SOFT_DELETE, NULL);
		check_reply("sync-items", &sync_reply_schema, &r, versions[i]);
	}
}

CASE(sync_with_responses)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct sync_reply r = { 0 };
		struct sync_reply_collection *c = LIST_PUSH(test_arena(), &r.collections);
		struct item *fetched = an_item(versions[i]);

		fetched->body_parts.n = 0; /* SyncResponse.xsd has no BodyPart inside Responses */
		c->sync_key = S("AbC-3");
		c->collection_id = S("5");
		c->status = NUM(1);
		push_response(c, (struct sync_command){ .tag = AIRSYNC_ADD, .client_id = S("c1"), .status = NUM(6) });
		push_response(c, (struct sync_command){ .tag = AIRSYNC_ADD, .client_id = S("c2"), .server_id = S("5:9"), .status = NUM(1) });
		push_response(c, (struct sync_command){ .tag = AIRSYNC_CHANGE, .server_id = S("5:1"), .status = NUM(7) });
		push_response(c, (struct sync_command){ .tag = AIRSYNC_FETCH, .server_id = S("5:2"), .status = NUM(1),
							.item = fetched });
		push_response(c, (struct sync_command){ .tag = AIRSYNC_FETCH, .server_id = S("5:3"), .status = NUM(8) });
		check_reply("sync-responses", &sync_reply_schema, &r, versions[i]);
	}
}

CASE(sync_errors)
{
	struct sync_reply r = { .status = NUM(14), .limit = NUM(59) };
	struct sync_reply_collection *c;

	in_versions("sync-limit", &sync_reply_schema, &r, EAS_121);
	r = (struct sync_reply){ 0 };
	c = LIST_PUSH(test_arena(), &r.collections);
	c->sync_key = S("0");
	c->collection_id = S("5");
	c->status = NUM(3);
	in_versions("sync-key", &sync_reply_schema, &r, EAS_25);
	c->class = S("Email"); /* sent to 12.1 at the most */
	in_versions("sync-class", &sync_reply_schema, &r, EAS_25);
}

CASE(folders)
{
	struct foldersync_reply r = { .status = NUM(1), .sync_key = S("F1"), .has_changes = NUM(1), .count = NUM(3) };

	*LIST_PUSH(test_arena(), &r.changes) = (struct folder_change){ .tag = HIERARCHY_UPDATE, .server_id = S("5"),
		.parent_id = S("0"), .display_name = S("Inbox"), .type = NUM(2) };
	*LIST_PUSH(test_arena(), &r.changes) = (struct folder_change){ .tag = HIERARCHY_DELETE, .server_id = S("6") };
	*LIST_PUSH(test_arena(), &r.changes) = (struct folder_change){ .tag = HIERARCHY_ADD, .server_id = S("7"),
		.parent_id = S("5"), .display_name = S("\xc3\x84"), .type = NUM(12) };
	in_versions("foldersync", &foldersync_reply_schema, &r, EAS_25);
	r = (struct foldersync_reply){ .status = NUM(1), .sync_key = S("F1"), .has_changes = NUM(1), .count = NUM(0) };
	in_versions("foldersync-same", &foldersync_reply_schema, &r, EAS_25);
	struct folder_reply f = { .status = NUM(1), .sync_key = S("F2"), .server_id = S("8") };
	in_versions("foldercreate", &foldercreate_reply_schema, &f, EAS_25);
	in_versions("folderupdate", &folderupdate_reply_schema, &f, EAS_25);
	in_versions("folderdelete", &folderdelete_reply_schema, &f, EAS_25);
}

CASE(estimate_move_ping)
{
	struct estimate_reply g = { 0 };
	struct moveitems_reply m = { 0 };
	struct ping_reply p = { .status = NUM(2), .has_folders = NUM(1) };

	*LIST_PUSH(test_arena(), &g.responses) = (struct estimate_response){ .status = NUM(1), .collection_id = S("5"),
		.estimate = NUM(42) };
	*LIST_PUSH(test_arena(), &g.responses) = (struct estimate_response){ .status = NUM(2), .collection_id = S("6") };
	in_versions("getitemestimate", &estimate_reply_schema, &g, EAS_25);
	g.responses.v[0].class = S("Email");
	in_versions("getitemestimate-class", &estimate_reply_schema, &g, EAS_25);
	*LIST_PUSH(test_arena(), &m.responses) = (struct move_response){ S("5:1"), NUM(3), S("7:1") };
	*LIST_PUSH(test_arena(), &m.responses) = (struct move_response){ .src_id = S("5:2"), .status = NUM(1) };
	in_versions("moveitems", &moveitems_reply_schema, &m, EAS_25);
	*LIST_PUSH(test_arena(), &p.folders) = S("5");
	*LIST_PUSH(test_arena(), &p.folders) = S("7");
	in_versions("ping-changes", &ping_reply_schema, &p, EAS_25);
	p = (struct ping_reply){ .status = NUM(6), .max_folders = NUM(200) };
	in_versions("ping-folders", &ping_reply_schema, &p, EAS_25);
	p = (struct ping_reply){ .status = NUM(5), .heartbeat = NUM(3540) };
	in_versions("ping-heartbeat", &ping_reply_schema, &p, EAS_25);
}

CASE(settings)
{
	struct settings_user_information u = { .status = NUM(1), .get = NUM(1), .primary = S("a@example.org") };
	struct settings_reply r = { .status = NUM(1), .device = &(struct settings_status){ NUM(1) },
		.device_password = &(struct settings_status){ NUM(1) }, .user_information = &u,
		.oof = &(struct settings_oof_reply){ .status = NUM(1), .get = NUM(1), .state = NUM(0) },
		.rights_management = &(struct settings_rights){ .status = NUM(1), .get = NUM(1), .templates = NUM(1) } };
	struct settings_account *a = LIST_PUSH(test_arena(), &u.accounts);

	*LIST_PUSH(test_arena(), &u.smtp_addresses) = S("a@example.org");
	*LIST_PUSH(test_arena(), &a->smtp_addresses) = S("a@example.org");
	a->primary = S("a@example.org");
	a->user_display_name = S("A");
	*LIST_PUSH(test_arena(), &r.oof->messages) = (struct oof_message){ .internal = NUM(1), .enabled = NUM(1),
		.reply_message = S("away"), .body_type = S("Text") };
	in_versions("settings", &settings_reply_schema, &r, EAS_120);
	*LIST_PUSH(test_arena(), &r.order) = SETTINGS_USER_INFORMATION;
	*LIST_PUSH(test_arena(), &r.order) = SETTINGS_DEVICE_INFORMATION;
	in_versions("settings-order", &settings_reply_schema, &r, EAS_120);
}

static struct slice encoded(const struct schema *s, const void *obj, enum eas_version v)
{
	struct blob *b = blob_new(0), *xml = blob_new(0);

	CHECK_INT(encode_document(b, s, obj, v, NULL), 0);
	CHECK_INT(xmltrace(xml, take_bytes(&b), NULL, NULL), 0);
	return take_bytes(&xml);
}

CASE(settings_answers_in_request_order)
{
	struct settings_user_information u = { .status = NUM(1) };
	struct settings_reply r = { .status = NUM(1), .device = &(struct settings_status){ NUM(1) }, .user_information = &u };

	*LIST_PUSH(test_arena(), &r.order) = SETTINGS_USER_INFORMATION;
	*LIST_PUSH(test_arena(), &r.order) = SETTINGS_DEVICE_INFORMATION;
	CHECK_STR(encoded(&settings_reply_schema, &r, EAS_141),
		  "<Settings xmlns=\"Settings\">\n  <Status>1</Status>\n  <UserInformation>\n    <Status>1</Status>\n"
		  "  </UserInformation>\n  <DeviceInformation>\n    <Status>1</Status>\n  </DeviceInformation>\n</Settings>\n");
}

/* Each policy element with its lowest legal value. */
static struct policy *a_policy(void)
{
	struct policy *p = ARENA_NEW(test_arena(), struct policy);

	for (unsigned i = 0; i < policy_schema.n; i++) {
		struct slice name = slice_str(wbxml_tag_name(policy_schema.fields[i].tag));
		struct num *m = policy_member(p, name);

		if (m)
			*m = NUM(policy_schema.fields[i].min);
		CHECK(policy_field(name) == &policy_schema.fields[i]);
	}
	*LIST_PUSH(test_arena(), &p->unapproved_applications) = S("game.exe");
	*LIST_PUSH(test_arena(), &p->approved_hashes) = S("AQIDBAUGBwgJCgsMDQ4PEBESExQ=");
	return p;
}

CASE(provision)
{
	struct provision_reply r = { .status = NUM(1) };
	struct provision_policy_reply *p = LIST_PUSH(test_arena(), &r.policies);

	p->type = S("MS-EAS-Provisioning-WBXML");
	p->status = NUM(1);
	p->key = S("1234567");
	in_versions("provision-ack", &provision_reply_schema, &r, EAS_120);
	p->policy = a_policy();
	in_versions("provision-document", &provision_reply_schema, &r, EAS_120);
	r.device = &(struct settings_status){ NUM(1) };
	in_versions("provision-device", &provision_reply_schema, &r, EAS_141);
	r = (struct provision_reply){ .status = NUM(1), .remote_wipe = NUM(1) };
	in_versions("provision-wipe", &provision_reply_schema, &r, EAS_25);
}

CASE(provision_of_25_is_one_xml_string)
{
	struct policy p = { .device_password_enabled = NUM(1), .min_device_password_length = NUM(6),
			    .max_inactivity_time_device_lock = NUM(301), .max_device_password_failed_attempts = NUM(8) };
	struct provision_reply r = { .status = NUM(1) };
	struct provision_policy_reply *d = LIST_PUSH(test_arena(), &r.policies);
	struct slice xml;

	d->type = S("MS-WAP-Provisioning-XML");
	d->status = NUM(1);
	d->key = S("1");
	d->wap_xml = policy_wap_xml(test_arena(), &p);
	check_reply("provision-wap", &provision_reply_schema, &r, EAS_25);
	xml = d->wap_xml;
	CHECK(slice_starts(xml, S("<wap-provisioningdoc><characteristic type=\"SecurityPolicy\"><parm name=\"4131\" value=\"0\"/>")));
	CHECK(memmem(xml.ptr, xml.len, "\"AEFrequencyValue\" value=\"6\"", 28) != NULL); /* whole minutes, rounded up */
	CHECK(memmem(xml.ptr, xml.len, "\"MinimumPasswordLength\" value=\"6\"", 33) != NULL);
	CHECK(memmem(xml.ptr, xml.len, "\"DeviceWipeThreshold\" value=\"8\"", 31) != NULL);
	CHECK_STR(policy_wap_xml(test_arena(), &(struct policy){ 0 }),
		  "<wap-provisioningdoc><characteristic type=\"SecurityPolicy\"><parm name=\"4131\" value=\"1\"/>"
		  "</characteristic></wap-provisioningdoc>");
}

CASE(itemoperations)
{
	for (size_t i = 1; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct itemops_reply r = { .status = NUM(1) };
		struct item *file = ARENA_NEW(test_arena(), struct item);

		if (versions[i] >= EAS_140)
			*LIST_PUSH(test_arena(), &r.responses) = (struct itemops_response){ .tag = ITEMOPS_MOVE, .status = NUM(156),
				.conversation_id = S("\0\1") };
		*LIST_PUSH(test_arena(), &r.responses) = (struct itemops_response){ .tag = ITEMOPS_EMPTY_FOLDER_CONTENTS,
			.status = NUM(1), .collection_id = S("5") };
		*LIST_PUSH(test_arena(), &r.responses) = (struct itemops_response){ .tag = ITEMOPS_FETCH, .status = NUM(1),
			.collection_id = S("5"), .server_id = S("5:1"), .class = S("Email"), .properties = an_item(versions[i]) };
		file->content_type = S("image/png");
		file->range = S("0-3");
		file->total = NUM(4);
		file->data = DATA(S("YWJj"));
		*LIST_PUSH(test_arena(), &r.responses) = (struct itemops_response){ .tag = ITEMOPS_FETCH, .status = NUM(1),
			.file_reference = S("5%3a1%3a2"), .properties = file };
		*LIST_PUSH(test_arena(), &r.responses) = (struct itemops_response){ .tag = ITEMOPS_FETCH, .status = NUM(6),
			.collection_id = S("5"), .server_id = S("5:7") };
		check_reply("itemoperations", &itemops_reply_schema, &r, versions[i]);
	}
}

CASE(every_command_has_a_reply_that_is_only_a_status)
{
	const struct command *c;

	for (size_t i = 0; (c = command_at(i)); i++) {
		struct blob *b = blob_new(0);
		struct err e;

		CHECK(command_find(c->id) == c);
		CHECK_STR(slice_str(c->name), eas_command_name(c->id));
		if (c->root == TAG_NONE) {
			CHECK_INT(c->id, EAS_CMD_GET_ATTACHMENT);
			CHECK_INT(encode_status_reply(b, c, 103, &e), -1);
			blob_free(&b);
			continue;
		}
		CHECK_INT(encode_status_reply(b, c, 103, &e), 0);
		judge(arena_printf(test_arena(), "status-%s", c->name).ptr, EAS_141, take_bytes(&b));
	}
	CHECK(command_find(EAS_CMD_SEARCH) == NULL); /* not offered yet */
}
