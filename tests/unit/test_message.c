/* test_message.c - the JSON of the push contract and of Dovecot's exporter. */
#include "harness.h"

#include <stdlib.h>

#include "loop/message.h"

static int parse(struct slice json, struct push_message *m)
{
	struct err e = { 0 };
	int rc = message_parse(test_arena(), test_guarded(json), m, &e);

	CHECK(rc == 0 || e.code == ERR_BAD_REQUEST);
	return rc;
}

CASE(message_reads_the_contract)
{
	static const struct {
		const char *json, *user, *folder;
		bool auth, taken;
	} rows[] = {
		{ "{}", "", "", false, false },
		{ "{\"folder\":\"INBOX\"}", "", "INBOX", false, false },
		{ "{\"user\":\"ada\",\"folder\":\"B\\u00fccher\",\"event\":\"new\",\"uid\":7}", "ada", "B\xc3\xbc" "cher", false, false },
		{ "{\"class\":\"calendar\",\"path\":\"x\"}", "", "", false, false },
		{ "{\"auth\":\"changed\"}", "", "", true, false },
		{ "{\"auth\":\"other\",\"folder\":7}", "", "", false, false },
		{ "{\"taken\":3,\"device\":\"D\"}", "", "", false, true },
		{ "{\"event\":\"mail_delivery_finished\",\"fields\":{\"user\":\"ada\",\"mailbox\":\"INBOX\"}}", "ada", "INBOX", false, false },
		{ "{\"fields\":{\"user\":\"ada\",\"mailbox\":\"A\",\"cmd_name\":\"UID STORE\"}}", "ada", "A", false, false },
		{ "{\"fields\":{\"user\":\"ada\",\"mailbox\":\"A\",\"cmd_name\":\"UID MOVE\"}}", "ada", "", false, false },
		{ "{\"fields\":[1,2]}", "", "", false, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct push_message m;

		CHECK_INT(parse(slice_str(rows[i].json), &m), 0);
		CHECK_STR(m.user, rows[i].user);
		CHECK_STR(m.folder, rows[i].folder);
		CHECK_INT(m.auth_changed, rows[i].auth);
		CHECK_INT(m.taken, rows[i].taken);
	}
}

CASE(message_taken_names_device_and_epoch)
{
	struct push_message m;

	CHECK_INT(parse(S("{\"taken\":12,\"device\":\"a\\u0022b\"}"), &m), 0);
	CHECK_STR(m.device, "a\"b");
	CHECK_INT(m.epoch, 12);
	CHECK_INT(parse(S("{\"taken\":\"x\",\"device\":\"D\"}"), &m), 0);
	CHECK(m.taken && m.device.len == 0);
}

CASE(message_refuses_what_is_none)
{
	static const char *const bad[] = { "", "x", "[]", "7", "\"a\"", "{", "{\"a\":}", "{\"a\":1,\"a\":2}",
					   "{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}", "{} x" };
	struct push_message m;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK_INT(parse(slice_str(bad[i]), &m), -1);
}

CASE(message_refuses_the_deep_and_the_large)
{
	char *deep = arena_alloc(test_arena(), MESSAGE_MAX_BYTES + 2);
	struct push_message m;

	memset(deep, '[', MESSAGE_MAX_BYTES + 1);
	CHECK_INT(parse(slice(deep, MESSAGE_MAX_BYTES), &m), -1);
	CHECK_INT(parse(slice(deep, MESSAGE_MAX_BYTES + 1), &m), -1);
	/* brackets in strings are none, also behind escaped quotes */
	CHECK_INT(parse(S("{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}"), &m), 0);
	CHECK_INT(parse(S("{\"a\":\"\\\\\",\"b\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"), &m), -1);
}

CASE(message_written_reads_the_same)
{
	struct push_message m = { .folder = S("B\xc3\xbc\"\\x"), .auth_changed = true }, again;

	CHECK_INT(parse(message_format(test_arena(), &m), &again), 0);
	CHECK_SLICE(again.folder, m.folder);
	CHECK(again.auth_changed);
	m = (struct push_message){ 0 };
	CHECK_STR(message_format(test_arena(), &m), "{}");
	m.folder = S("\xff"); /* no UTF-8: something changed */
	CHECK_STR(message_format(test_arena(), &m), "{}");
}
