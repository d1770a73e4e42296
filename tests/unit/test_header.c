/* test_header.c - header blocks, encoded words, parameters, the head of a mail. */
#include "harness.h"

#include "proto/header.h"
#include "proto/utf8.h"

static struct slice text(const char *z)
{
	return header_text(test_arena(), test_guarded(slice_str(z)));
}

CASE(header_text_decodes_words)
{
	CHECK_STR(text("=?utf-8?Q?caf=C3=A9?="), "café");
	CHECK_STR(text("=?UTF-8?b?Y2Fmw6k=?= au lait"), "café au lait");
	CHECK_STR(text("a =?iso-8859-1?q?=E9?= b"), "a é b");
	CHECK_STR(text("=?utf-8?Q?a_b?= =?utf-8?Q?c?="), "a bc");
	CHECK_STR(text("=?utf-8?Q?a?=\r\n =?utf-8?Q?b?="), "ab");
	CHECK_STR(text("=?utf-8?B?4oI=?= =?utf-8?B?rA==?="), "€"); /* one character over two words */
	CHECK_STR(text("=?utf-8*de?Q?gr=C3=BC=C3=9F?="), "grüß");
	CHECK_STR(text("=?utf-8?Q?" "?="), "");
	CHECK_STR(text("folded\r\n\tvalue"), "folded value");
}

CASE(header_text_keeps_broken_words)
{
	CHECK_STR(text("=?utf-8?Q?open"), "=?utf-8?Q?open");
	CHECK_STR(text("=?utf-8?X?abc?="), "=?utf-8?X?abc?=");
	CHECK_STR(text("=?=?=?"), "=?=?=?");
	CHECK_STR(text("a =? b ?= c"), "a =? b ?= c");
	CHECK_STR(text("=?nosuch?Q?=E9?="), "é");
}

CASE(header_text_guesses_raw_bytes)
{
	CHECK_STR(text("caf\xc3\xa9"), "café");
	CHECK_STR(text("caf\xe9"), "café");
	CHECK_STR(header_text(test_arena(), S("a\0b\x01")), "ab");
}

CASE(header_text_is_linear)
{
	enum { N = 256 * 1024 };
	char *p = arena_alloc(test_arena(), N);

	for (size_t i = 0; i + 8 <= N; i += 8)
		memcpy(p + i, "=?a?q?b ", 8);
	CHECK(header_text(test_arena(), slice(p, N)).len > N - 16);
	for (size_t i = 0; i + 2 <= N; i += 2)
		memcpy(p + i, "=?", 2);
	CHECK_INT(header_text(test_arena(), slice(p, N)).len, N);
}

CASE(header_fields_one_by_one)
{
	struct slice rest = S("From me Mon Jan 1\r\nSubject: a\r\n b\r\nX : y\nnocolon\r\nLost: z\r\n\r\nbody");
	struct header_field f;

	CHECK(header_next(&rest, &f));
	CHECK_STR(f.name, "Subject");
	CHECK_STR(f.value, " a\r\n b");
	CHECK(header_next(&rest, &f));
	CHECK_STR(f.name, "X");
	CHECK(!header_next(&rest, &f));
	CHECK_INT(header_length(S("A: b\r\n\r\nbody")), 8);
	CHECK_INT(header_length(S("A: b\n\nbody")), 6);
	CHECK_INT(header_length(S("A: b\nbody")), 5);
	CHECK_INT(header_length(S("body")), 0);
	CHECK_INT(header_length(S("")), 0);
}

CASE(params_join_rfc2231)
{
	struct params p;

	params_parse(test_arena(), S("Text/Plain; charset=\"UTF-8\"; name*0*=utf-8''%e2%82; name*1*=%ac; name*2=.txt"), &p);
	CHECK_STR(p.main, "text/plain");
	CHECK_STR(params_get(&p, "charset"), "UTF-8");
	CHECK_STR(params_get(&p, "name"), "€.txt");
	params_parse(test_arena(), S("attachment; filename*=iso-8859-1'en'%E9.pdf; filename=e.pdf"), &p);
	CHECK_STR(params_get(&p, "filename"), "é.pdf");
	params_parse(test_arena(), S("attachment; filename=my report (1).pdf; size=3"), &p);
	CHECK_STR(params_get(&p, "filename"), "my report (1).pdf");
	CHECK_STR(params_get(&p, "size"), "3");
	params_parse(test_arena(), S("attachment; filename=\"=?utf-8?Q?=C3=A9.pdf?=\""), &p);
	CHECK_STR(params_get(&p, "filename"), "é.pdf");
	params_parse(test_arena(), S("a/b; filename=\"a\\\"b\\\\c\\d\""), &p);
	CHECK_STR(params_get(&p, "filename"), "a\"b\\c\\d");
	params_parse(test_arena(), S("a/b; x; =y; ;;; z=\"open"), &p);
	CHECK_STR(params_get(&p, "z"), "open");
	params_parse(test_arena(), S("a/b; n*99999999999=x; n*1=late"), &p);
	CHECK_STR(params_get(&p, "n"), "");
	params_parse(test_arena(), S(""), &p);
	CHECK_INT(p.n, 0);
}

CASE(params_many_are_capped)
{
	struct bytes b;
	struct params p;

	bytes_init(&b, test_arena(), 0);
	bytes_slice(&b, S("a/b"));
	for (int i = 0; i < 5000; i++)
		bytes_slice(&b, arena_printf(test_arena(), "; p%d=v", i));
	params_parse(test_arena(), bytes_get(&b), &p);
	CHECK_INT(p.n, HEADER_MAX_PARAMS);
}

CASE(mail_headers_whole)
{
	struct mail_headers h;

	mail_headers_parse(test_arena(), S("From: =?utf-8?Q?J=C3=B6rg?= <j@x.org>\r\nTo: a@x\r\nTo: b@x\r\n"
					   "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nsubject: second\r\n"
					   "Date: Thu, 1 Jan 1970 00:00:01 +0000\r\nMessage-Id: <1@x>\r\nX-Priority: 1 (High)\r\n"
					   "List-Id: <l.x>\r\nAuto-Submitted: auto-replied\r\nReferences: <a@x>\r\n\t<b@x>\r\n"
					   "\r\nSubject: in the body\r\n"), &h);
	CHECK_STR(h.from, "=?utf-8?Q?J=C3=B6rg?= <j@x.org>");
	CHECK_STR(h.to, "a@x, b@x");
	CHECK_STR(h.subject, "Grüße");
	CHECK_INT(h.date_ms, 1000);
	CHECK_STR(h.message_id, "<1@x>");
	CHECK_STR(h.references, "<a@x> <b@x>");
	CHECK_INT(h.importance, MAIL_HIGH);
	CHECK(h.is_list && h.is_auto);
	mail_headers_parse(test_arena(), S(""), &h);
	CHECK(h.date_ms == DATE_NONE);
	CHECK_INT(h.importance, MAIL_NORMAL);
	mail_headers_parse(test_arena(), S("X-Priority: 1\nImportance: low\n\n"), &h);
	CHECK_INT(h.importance, MAIL_LOW);
}

CASE(mail_headers_cut_at_every_byte)
{
	struct slice mail = S("From: \"A, B\" <a@x>\r\nSubject: =?utf-8?B?w7w=?= =?utf-8?Q?=C3=BC?=\r\n f\r\nTo: g: a@x;\r\n\r\nb");
	struct mail_headers h;

	for (size_t n = 0; n <= mail.len; n++)
		mail_headers_parse(test_arena(), test_guarded(slice_to(mail, n)), &h);
	CHECK_STR(h.subject, "üü f");
}

CASE(header_encode_turns_back)
{
	static const char *const rows[] = { "plain", "Grüße aus Köln, und noch viel mehr Text, damit es mehrere Wörter werden",
					    "日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語", "fake =?utf-8?Q?a?=",
					    "a long but plain subject that has to be folded because it is longer than the "
					    "seventy-six columns that a line may have" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct slice enc = header_encode(test_arena(), slice_str(rows[i]), 9), line;

		CHECK_STR(header_text(test_arena(), enc), rows[i]);
		while (slice_split(&enc, '\n', &line))
			CHECK(line.len <= 78);
	}
}
