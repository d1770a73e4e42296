/* test_backend.c - what all backends share: revs, templates, names. */
#include "harness.h"

#include "backend/backend.h"

CASE(backend_rev_of_flags_alone_is_the_flags)
{
	CHECK_INT(mail_rev(MAIL_SEEN | MAIL_DRAFT, NULL, 0), MAIL_SEEN | MAIL_DRAFT);
}

CASE(backend_rev_sees_keywords_in_any_order)
{
	struct slice ab[] = { S("Red"), S("Blue") }, ba[] = { S("blue"), S("Red") }, sys[] = { S("$Junk"), S("\\X") };

	CHECK_INT(mail_rev(1, ab, 2), mail_rev(1, ba, 2));
	CHECK(mail_rev(1, ab, 2) != mail_rev(1, ab, 1));
	CHECK(mail_rev(0, ab, 1) >> 8 != 0);
	CHECK_INT(mail_rev(1, sys, 2), 1);
	/* Revs are stored: this value must not change between versions. */
	CHECK_INT(mail_rev(1, ab, 2), 0xf0766a01u);
}

CASE(backend_expands_templates)
{
	struct arena *a = test_arena();

	CHECK_STR(backend_expand(a, S("%u"), S("eva@example.org")), "eva@example.org");
	CHECK_STR(backend_expand(a, S("x-%n/%d%%%z%"), S("eva@example.org")), "x-eva/example.org%%z%");
	CHECK_STR(backend_expand(a, S("%n+%d"), S("eva")), "eva+");
	CHECK_INT(backend_expand(a, S_NONE, S("eva")).len, 0);
}

static const struct {
	const char *utf8, *mutf7;
} names[] = {
	{ "Entw\xc3\xbcrfe", "Entw&APw-rfe" },
	{ "Tom & Jerry", "Tom &- Jerry" },
	{ "\xe5\x8f\xb0\xe5\x8c\x97", "&U,BTFw-" },
	{ "\xf0\x9f\x93\xa7 Mail", "&2D3c5w- Mail" },
	{ "plain", "plain" },
};

CASE(backend_folder_names_in_modified_utf7)
{
	struct arena *a = test_arena();
	struct slice v;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		CHECK_STR(mutf7_encode(a, test_guarded(slice_str(names[i].utf8))), names[i].mutf7);
		CHECK(mutf7_decode(a, test_guarded(slice_str(names[i].mutf7)), &v));
		CHECK_STR(v, names[i].utf8);
	}
}

CASE(backend_refuses_bad_modified_utf7)
{
	static const char *const bad[] = { "&", "&AP", "&A-", "&AGE-", "&2D0-", "&2D3-", "&3D3c5w-", "\xc3\xbc", "&AP*-", "&AAA-" };
	struct slice v;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(!mutf7_decode(test_arena(), test_guarded(slice_str(bad[i])), &v));
}

CASE(backend_mutf7_of_any_byte_string_decodes_again)
{
	struct arena *a = test_arena();
	uint32_t x = 1;

	for (int i = 0; i < 2000; i++) {
		char b[16];
		struct slice enc, dec;
		size_t n = (size_t)i % sizeof(b);

		for (size_t k = 0; k < n; k++)
			b[k] = (char)((x = x * 1664525u + 1013904223u) >> 24 ? x >> 24 : 1);
		enc = mutf7_encode(a, test_guarded(slice(b, n)));
		CHECK(mutf7_decode(a, enc, &dec));
		CHECK_SLICE(mutf7_encode(a, dec), enc);
		CHECK_SLICE(mail_keyword_encode(a, mail_keyword_decode(a, mail_keyword_encode(a, slice(b, n)))),
			    mail_keyword_encode(a, slice(b, n)));
	}
}

CASE(backend_keywords_are_atoms)
{
	struct arena *a = test_arena();

	CHECK_STR(mail_keyword_encode(a, S("Red Category")), "Red_Category");
	CHECK_STR(mail_keyword_decode(a, S("Red_Category")), "Red Category");
	CHECK_STR(mail_keyword_encode(a, S("to_do (1)")), "to&AF8-do_&ACg-1&ACk-");
	CHECK_STR(mail_keyword_decode(a, S("to&AF8-do_&ACg-1&ACk-")), "to_do (1)");
	CHECK_STR(mail_keyword_encode(a, S("Gr\xc3\xbcn")), "Gr&APw-n");
	CHECK_STR(mail_keyword_decode(a, S("a&b")), "a&b");
	CHECK_STR(mail_keyword_encode(a, S("$label1")), "$label1");
}

CASE(backend_makes_folder_names_fit)
{
	struct arena *a = test_arena();
	char big[1000];

	CHECK_STR(backend_folder_name(a, S(" v1.0/b\r\n "), '.'), "v1\xe2\x80\xa4" "0\xe2\x88\x95" "b");
	CHECK_STR(backend_folder_name(a, S("v1.0"), '/'), "v1.0");
	CHECK_STR(backend_folder_name(a, S("a^b"), '^'), "a_b");
	CHECK_INT(backend_folder_name(a, S(" \t\x01 "), '.').len, 0);
	CHECK_STR(backend_folder_name(a, S("a\xff" "b"), '.'), "a\xef\xbf\xbd" "b");
	memset(big, 'x', sizeof(big));
	CHECK_INT(backend_folder_name(a, slice(big, sizeof(big)), '.').len, 128);
}
