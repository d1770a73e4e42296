/* test_charset.c - charsets, transfer encodings, clean UTF-8. */
#include "harness.h"

#include "proto/charset.h"

static struct slice conv(const char *name, struct slice in)
{
	return charset_to_utf8(test_arena(), slice_str(name), test_guarded(in));
}

/* Streamed in pieces of n bytes. */
static struct slice conv_pieces(const char *name, struct slice in, size_t n)
{
	struct charset_reader *r = charset_open(slice_str(name));
	struct bytes out;

	bytes_init(&out, test_arena(), 0);
	for (size_t i = 0; i < in.len; i += n)
		charset_feed(r, test_guarded(slice_to(slice_from(in, i), n)), &out);
	charset_end(r, &out);
	charset_free(&r);
	return bytes_get(&out);
}

CASE(charset_converts_by_name_and_alias)
{
	static const struct {
		const char *name;
		struct slice in;
		const char *want;
	} rows[] = {
		{ "iso-8859-1", S("caf\xe9 \x80"), "café €" },
		{ "\"ISO-8859-15\"", S("\xa4"), "€" },
		{ "windows-1251", S("\xcf\xf0\xe8\xe2\xe5\xf2"), "Привет" },
		{ "gb2312", S("\xc4\xe3\xba\xc3"), "你好" },
		{ "GBK", S("\x96\x7c"), "東" },
		{ "ks_c_5601-1987", S("\xbe\xc8\xb3\xe7"), "안녕" },
		{ "Shift_JIS", S("\x93\xfa\x96\x7b"), "日本" },
		{ "iso-2022-jp", S("\x1b$BF|K\\\x1b(B!"), "日本!" },
		{ "utf-7", S("Hi +AOk-"), "Hi é" },
		{ "koi8-r", S("\xf0"), "П" },
		{ "utf-16le", S("h\0i\0"), "hi" },
		{ "us-ascii", S("na\xc3\xafve"), "naïve" },
		{ "", S("na\xefve"), "naïve" },
		{ "x-no-such-set", S("na\xefve"), "naïve" },
		{ "../../etc/passwd", S("plain"), "plain" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CHECK_STR(conv(rows[i].name, rows[i].in), rows[i].want);
		for (size_t n = 1; n < 4; n++)
			CHECK_STR(conv_pieces(rows[i].name, rows[i].in, n), rows[i].want);
	}
}

CASE(charset_bad_bytes_become_marks)
{
	CHECK_STR(conv("utf-8", S("a\xff" "b\xc3")), "a\xEF\xBF\xBD" "b\xEF\xBF\xBD");
	CHECK_STR(conv("shift_jis", S("a\x93")), "a\xEF\xBF\xBD");
	CHECK_STR(conv_pieces("shift_jis", S("a\x93"), 1), "a\xEF\xBF\xBD");
}

CASE(charset_no_alias_is_lost_and_each_one_exists)
{
	static const char *const names[] = { "ansi_x3.4-1968", "big5", "cp949", "gb_2312-80", "iso-2022-kr",
					     "iso-8859-8-i", "iso_8859-1", "ksc_5601", "tis-620", "utf8",
					     "windows-874", "x-windows-949", "x-sjis", "macintosh" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		CHECK(charset_codepage(slice_str(names[i])) != 0);
	CHECK_INT(charset_codepage(S("UTF-8")), 65001);
	CHECK_INT(charset_codepage(S("iso-8859-1")), 28591);
	CHECK_INT(charset_codepage(S("klingon")), 0);
}

CASE(utf8_clean_drops_what_xml_cannot_carry)
{
	struct arena *a = test_arena();

	CHECK_STR(utf8_make_clean(a, S("a\0b\x01\x1f\t\r\nc\xEF\xBF\xBE\x7f")), "ab\t\r\nc\x7f");
	CHECK_STR(utf8_make_clean(a, S("\xed\xa0\x80")), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
	CHECK(!utf8_valid(S("\xc0\xaf")));
	CHECK(!utf8_valid(S("\xf4\x90\x80\x80")));
	CHECK(utf8_valid(S("\xf4\x8f\xbf\xbf")));
}

CASE(utf8_cuts_at_characters)
{
	struct slice s = S("aé€😀");

	for (size_t n = 0; n <= s.len; n++)
		CHECK(utf8_valid(utf8_cut(s, n)));
	CHECK_STR(utf8_cut(s, 3), "aé");
	CHECK_STR(utf8_cut(s, 5), "aé");
	CHECK_STR(utf8_cut_chars(s, 2), "aé");
	CHECK_INT(utf8_chars(s), 4);
	CHECK_STR(utf8_whole(slice_to(s, 5)), "aé");
	CHECK_STR(utf8_whole(s), "aé€😀");
}

static struct slice decode_pieces(enum transfer kind, struct slice in, size_t n)
{
	struct transfer_reader r;
	struct bytes out;

	bytes_init(&out, test_arena(), 0);
	transfer_init(&r, kind);
	for (size_t i = 0; i < in.len; i += n)
		transfer_feed(&r, test_guarded(slice_to(slice_from(in, i), n)), &out);
	transfer_end(&r, &out);
	return bytes_get(&out);
}

CASE(transfer_decodes_whole_and_in_pieces)
{
	static const struct {
		enum transfer kind;
		const char *in, *want;
	} rows[] = {
		{ TRANSFER_BASE64, "SGVsbG8=", "Hello" },
		{ TRANSFER_BASE64, "SGVs\r\nbG8=\r\n", "Hello" },
		{ TRANSFER_BASE64, "SGVs!bG8", "Hello" },
		{ TRANSFER_BASE64, "SGk=SGk=", "HiHi" },
		{ TRANSFER_QP, "caf=C3=A9", "caf\xc3\xa9" },
		{ TRANSFER_QP, "soft=\r\nbreak=\nagain", "softbreakagain" },
		{ TRANSFER_QP, "soft= \t\r\nblank", "softblank" },
		{ TRANSFER_QP, "trail  \t\r\nx", "trail\r\nx" },
		{ TRANSFER_QP, "bad =G1 =4 ==3D", "bad =G1 =4 ==" },
		{ TRANSFER_QP, "end=", "end" },
		{ TRANSFER_UU, "begin 644 x\r\n%2&5L;&\\\r\n`\r\nend\r\n", "Hello" },
		{ TRANSFER_8BIT, "as is=3D", "as is=3D" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CHECK_STR(transfer_decode(test_arena(), rows[i].kind, test_guarded(slice_str(rows[i].in)), 0),
			  rows[i].want);
		for (size_t n = 1; n < 6; n++)
			CHECK_STR(decode_pieces(rows[i].kind, slice_str(rows[i].in), n), rows[i].want);
	}
}

CASE(transfer_encodings_turn_back)
{
	char raw[1000];
	struct bytes out;

	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = (char)(i * 7 + i / 256);
	for (size_t n = 0; n < 200; n++) {
		bytes_init(&out, test_arena(), 0);
		base64_lines(slice(raw, n), &out);
		CHECK_SLICE(transfer_decode(test_arena(), TRANSFER_BASE64, bytes_get(&out), 0), slice(raw, n));
	}
	bytes_init(&out, test_arena(), 0);
	qp_encode(S("d\xc3\xa9j\xc3\xa0 = \nline with trailing \nand a very long line that needs to be broken softly "
		    "because it is longer than 76 characters"), &out);
	CHECK_SLICE(transfer_decode(test_arena(), TRANSFER_QP, bytes_get(&out), 0),
		    S("d\xc3\xa9j\xc3\xa0 = \r\nline with trailing \r\nand a very long line that needs to be broken "
		      "softly because it is longer than 76 characters"));
	for (struct slice rest = bytes_get(&out), line; slice_split(&rest, '\n', &line);)
		CHECK(line.len <= 77);
}

CASE(transfer_limit_holds)
{
	CHECK_STR(transfer_decode(test_arena(), TRANSFER_BASE64, S("SGVsbG8="), 3), "Hel");
}
