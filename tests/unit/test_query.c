/* test_query.c - the request line, plain and base64. */
#include "harness.h"

#include "proto/query.h"

static struct err e;

static int parse(const char *z, struct eas_query *q)
{
	return eas_query_parse(test_arena(), test_guarded(slice_str(z)), q, &e);
}

CASE(query_plain)
{
	struct eas_query q;

	CHECK_INT(parse("Cmd=Sync&User=DOM%5Cjoe&DeviceId=ABC&DeviceType=My%20Phone", &q), 0);
	CHECK_INT(q.command, EAS_CMD_SYNC);
	CHECK_STR(q.user, "DOM\\joe");
	CHECK_STR(q.device_id, "ABC");
	CHECK_STR(q.device_type, "My Phone");
	CHECK_INT(q.version, 0);
	CHECK(!q.save_in_sent && !q.is_base64);
	CHECK_INT(parse("user=j%fc&cmd=smartreply&DeviceId=1&DeviceType=x&CollectionId=5&ItemId=5%3A12&LongId=l&Occurrence=o&SaveInSent=T", &q), 0);
	CHECK_INT(q.command, EAS_CMD_SMART_REPLY);
	CHECK_STR(q.user, "jü");
	CHECK_STR(q.item_id, "5:12");
	CHECK_STR(q.collection_id, "5");
	CHECK_STR(q.long_id, "l");
	CHECK_STR(q.occurrence, "o");
	CHECK(q.save_in_sent);
	CHECK_INT(parse("Cmd=OPTIONS&DeviceId=validate", &q), 0);
	CHECK_INT(q.command, EAS_CMD_OPTIONS);
	CHECK_INT(parse("Cmd=Nonsense&DeviceId=1", &q), 0);
	CHECK_INT(q.command, EAS_CMD_UNKNOWN);
	CHECK_STR(q.command_text, "Nonsense");
	CHECK_INT(parse("", &q), 0);
	CHECK_INT(q.command, EAS_CMD_NONE);
	CHECK_INT(parse("&&a=b&=&", &q), 0);
	CHECK_INT(q.command, EAS_CMD_NONE);
}

CASE(query_base64_of_the_specification)
{
	struct eas_query q;

	CHECK_INT(parse("jAAJBAp2MTQwRGV2aWNlAApTbWFydFBob25l", &q), 0);
	CHECK_INT(q.version, 140);
	CHECK_INT(q.command, EAS_CMD_SYNC);
	CHECK_INT(q.locale, 0x0409);
	CHECK_STR(q.device_id, "v140Device");
	CHECK_STR(q.device_type, "SmartPhone");
	CHECK(!q.has_policy_key && q.is_base64);
}

CASE(query_base64_with_byte_145_and_user)
{
	struct eas_query q;

	CHECK_INT(parse("kRQJBAxSRU04ODQzNTA1MjIAClNtYXJ0UGhvbmUICHVzZXIxMDEw", &q), 0);
	CHECK_INT(q.version, 141);
	CHECK_INT(q.command, EAS_CMD_PROVISION);
	CHECK_STR(q.device_id, "REM884350522");
	CHECK_STR(q.user, "user1010");
}

CASE(query_base64_turns_back)
{
	struct eas_query q = { .command = EAS_CMD_SMART_FORWARD, .version = 121, .device_id = S("dev"), .device_type = S("typ"),
			       .has_policy_key = true, .policy_key = 0xdeadbeef, .save_in_sent = true, .accept_multipart = true,
			       .collection_id = S("c"), .item_id = S("i"), .user = S("u"), .locale = 1033,
			       .attachment_name = S("a%20b"), .long_id = S("l"), .occurrence = S("o") }, r;
	struct slice z = eas_query_base64(test_arena(), &q);

	CHECK_INT(eas_query_parse(test_arena(), test_guarded(z), &r, &e), 0);
	CHECK_INT(r.command, q.command);
	CHECK_INT(r.version, 121);
	CHECK_INT(r.policy_key, 0xdeadbeef);
	CHECK(r.has_policy_key && r.save_in_sent && r.accept_multipart);
	CHECK_STR(r.attachment_name, "a%20b");
	CHECK_STR(r.collection_id, "c");
	CHECK_STR(r.item_id, "i");
	CHECK_STR(r.long_id, "l");
	CHECK_STR(r.occurrence, "o");
	CHECK_INT(eas_query_parse(test_arena(), percent_encode(test_arena(), z), &r, &e), 0);
	CHECK_INT(r.policy_key, 0xdeadbeef);
}

CASE(query_base64_cut_at_every_byte_is_refused_or_whole)
{
	struct eas_query q = { .command = EAS_CMD_PING, .version = 140, .device_id = S("device"), .device_type = S("type"),
			       .has_policy_key = true, .user = S("u") }, r;
	struct slice z = eas_query_base64(test_arena(), &q);

	for (size_t n = 1; n < z.len; n++)
		if (eas_query_parse(test_arena(), test_guarded(slice_to(z, n)), &r, &e) == 0)
			CHECK_STR(r.device_type, "type");
}

CASE(query_refuses_broken_forms)
{
	static const char *const rows[] = { "Cmd=Sync&User=%zz", "Cmd=Sync&User=a%", "Cmd=Sync&User=a%0", "Cmd=Sync&User=a%00b",
					    "!!!", "A", "vwAJBAE=", "a=%&b", "%%%" };
	struct eas_query q;
	char big[QUERY_MAX_BYTES + 2];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CHECK_INT(parse(rows[i], &q), -1);
		CHECK_INT(e.code, ERR_BAD_REQUEST);
	}
	memset(big, 'A', sizeof(big));
	CHECK_INT(eas_query_parse(test_arena(), slice(big, sizeof(big)), &q, &e), -1);
	memcpy(big, "DeviceId=", 9);
	CHECK_INT(eas_query_parse(test_arena(), slice(big, 9 + QUERY_MAX_DEVICE_ID + 1), &q, &e), -1);
	CHECK_INT(eas_query_parse(test_arena(), slice(big, 9 + QUERY_MAX_DEVICE_ID), &q, &e), 0);
}

CASE(query_version_191_is_refused)
{
	struct eas_query q = { .command = EAS_CMD_SYNC, .version = 191, .device_id = S("d"), .device_type = S("t") }, r;

	CHECK_INT(eas_query_parse(test_arena(), eas_query_base64(test_arena(), &q), &r, &e), -1);
	CHECK_INT(e.code, ERR_BAD_REQUEST);
}

CASE(query_binary_device_id_becomes_hex)
{
	struct eas_query q = { .command = EAS_CMD_SYNC, .version = 141, .device_id = S("\x01\xff\x80"), .device_type = S("t") }, r;

	CHECK_INT(eas_query_parse(test_arena(), eas_query_base64(test_arena(), &q), &r, &e), 0);
	CHECK_STR(r.device_id, "01ff80");
}

/* Found by fuzz_query: the one-byte length of the short form allows 255, as hex 510. */
CASE(query_base64_device_id_has_the_same_limit)
{
	static char id[256];
	struct eas_query q = { .command = EAS_CMD_SYNC, .version = 141, .device_type = S("t") }, r;

	memset(id, 'x', sizeof(id));
	q.device_id = slice(id, QUERY_MAX_DEVICE_ID);
	CHECK_INT(eas_query_parse(test_arena(), eas_query_base64(test_arena(), &q), &r, &e), 0);
	q.device_id = slice(id, QUERY_MAX_DEVICE_ID + 1);
	CHECK_INT(eas_query_parse(test_arena(), eas_query_base64(test_arena(), &q), &r, &e), -1);
	CHECK_INT(e.code, ERR_BAD_REQUEST);
	memset(id, 1, sizeof(id));
	q.device_id = slice(id, QUERY_MAX_DEVICE_ID / 2 + 1); /* binary: twice as long in hex */
	CHECK_INT(eas_query_parse(test_arena(), eas_query_base64(test_arena(), &q), &r, &e), -1);
}

CASE(query_tables)
{
	CHECK_INT(eas_version_parse(S("14.1")), 141);
	CHECK_INT(eas_version_parse(S("14.10")), 0);
	CHECK_STR(slice_str(eas_version_name(25)), "2.5");
	CHECK(eas_version_name(99) == NULL);
	CHECK_STR(slice_str(eas_command_name(EAS_CMD_FIND)), "Find");
	CHECK_STR(slice_str(eas_command_name(EAS_CMD_UNKNOWN)), "?");
	CHECK_INT(eas_command_find(S("itemoperations")), EAS_CMD_ITEM_OPERATIONS);
}
