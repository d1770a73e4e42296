/* test_bodypick.c - plans, bodies, previews, attachments. */
#include "harness.h"

#include "proto/bodypick.h"

static struct mime_tree t;

static struct body make(struct slice raw, const struct body_want *w)
{
	struct body b;

	mime_parse(test_arena(), test_guarded(raw), &t);
	body_from_raw(test_arena(), &t, raw, w, &b);
	CHECK(utf8_clean(b.data));
	CHECK(utf8_clean(b.preview));
	return b;
}

static struct body make1(struct slice raw, enum body_type type, uint64_t truncation)
{
	struct body_pref p = { .type = type, .truncation = truncation };
	struct body_want w = { .pref = &p, .n_pref = 1, .mime_support = 2, .mime_truncation = BODY_UNLIMITED };

	return make(raw, &w);
}

#define ALT "Content-Type: multipart/alternative; boundary=a\r\n\r\n"                                       \
	    "--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain t\xc3\xa9xt\r\n"                    \
	    "--a\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<p>html t\xe9xt</p>\r\n--a--\r\n"
#define HTML "Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>Hello</p><p>W\xc3\xb6rld</p></body></html>"

CASE(body_of_alternative_follows_the_wish)
{
	struct body b = make1(S(ALT), BODY_TEXT, BODY_UNLIMITED);

	CHECK_INT(b.type, BODY_TEXT);
	CHECK_INT(b.native, BODY_HTML);
	CHECK_STR(b.data, "plain téxt");
	CHECK_INT(b.size, 11);
	CHECK(!b.truncated);
	b = make1(S(ALT), BODY_HTML, BODY_UNLIMITED);
	CHECK_INT(b.type, BODY_HTML);
	CHECK_STR(b.data, "<p>html téxt</p>");
}

CASE(body_html_turns_into_text_never_back)
{
	struct body b = make1(S(HTML), BODY_TEXT, BODY_UNLIMITED);

	CHECK_INT(b.type, BODY_TEXT);
	CHECK_STR(b.data, "Hello\r\n\r\nWörld");
	CHECK_INT(b.size, 15);
	b = make1(S("Subject: x\r\n\r\nonly text"), BODY_HTML, BODY_UNLIMITED);
	CHECK_INT(b.type, BODY_TEXT);
	CHECK_INT(b.native, BODY_TEXT);
	CHECK_STR(b.data, "only text");
}

CASE(body_truncation_is_exact_and_whole_characters)
{
	struct slice raw = S("Content-Type: text/plain; charset=utf-8\r\n\r\n0123456789\xe2\x82\xac" "abc");

	for (uint64_t n = 0; n <= 20; n++) {
		struct body b = make1(raw, BODY_TEXT, n);

		CHECK_INT(b.size, 16);
		CHECK_INT(b.truncated, n < 16);
		CHECK_INT(b.data.len, n >= 16 ? 16 : n >= 13 || n <= 10 ? n : 10);
		CHECK_INT(b.has_data, n > 0);
	}
}

CASE(body_500_bytes_of_a_large_part_without_fetching_it)
{
	struct body_pref p = { .type = BODY_TEXT, .truncation = 500 };
	struct body_want w = { .pref = &p, .n_pref = 1 };
	struct body_plan plan;
	struct bytes raw;
	struct slice got;
	struct body b;

	bytes_init(&raw, test_arena(), 0);
	bytes_slice(&raw, S("Content-Type: text/plain\r\n\r\n"));
	while (raw.n < 4000000)
		bytes_slice(&raw, S("A line of text that repeats.\r\n"));
	mime_parse(test_arena(), bytes_get(&raw), &t);
	body_plan_make(test_arena(), &t, &w, &plan);
	CHECK_INT(plan.n, 1);
	CHECK(plan.fetch[0].bytes <= 100000);
	got = slice_to(mime_body(&t, 0, bytes_get(&raw)), (size_t)plan.fetch[0].bytes);
	CHECK_INT(body_make(test_arena(), &t, &w, &plan, &got, &b), 1);
	CHECK_INT(b.data.len, 500);
	CHECK(b.truncated);
	CHECK(b.size > 3600000 && b.size < 4400000);
}

CASE(body_asks_again_when_markup_swallowed_the_bytes)
{
	struct body_pref p = { .type = BODY_TEXT, .truncation = 500 };
	struct body_want w = { .pref = &p, .n_pref = 1 };
	struct body_plan plan;
	struct bytes raw;
	struct slice got;
	struct body b;
	int rounds = 1;

	bytes_init(&raw, test_arena(), 0);
	bytes_slice(&raw, S("Content-Type: text/html\r\n\r\n<style>"));
	while (raw.n < 2000000)
		bytes_slice(&raw, S("p { color: red }\r\n"));
	bytes_slice(&raw, S("</style>"));
	while (raw.n < 2100000)
		bytes_slice(&raw, S("<p>text</p>"));
	mime_parse(test_arena(), bytes_get(&raw), &t);
	body_plan_make(test_arena(), &t, &w, &plan);
	for (;; rounds++) {
		got = mime_body(&t, 0, bytes_get(&raw));
		if (plan.fetch[0].bytes < got.len)
			got = slice_to(got, (size_t)plan.fetch[0].bytes);
		if (body_make(test_arena(), &t, &w, &plan, &got, &b) == 1)
			break;
		CHECK(rounds < 6);
	}
	CHECK(rounds > 1);
	CHECK_INT(b.data.len, 500);
	CHECK(slice_starts(b.data, S("text\r\n\r\ntext")));
}

CASE(body_all_or_none_goes_to_the_next)
{
	struct body_pref p[] = { { .type = BODY_HTML, .truncation = 5, .all_or_none = true },
				 { .type = BODY_TEXT, .truncation = 7, .all_or_none = false } };
	struct body_want w = { .pref = p, .n_pref = 2 };
	struct body b = make(S(HTML), &w);

	CHECK_INT(b.type, BODY_TEXT);
	CHECK_STR(b.data, "Hello\r\n");
	CHECK(b.truncated);
	p[1].all_or_none = true;
	b = make(S(HTML), &w);
	CHECK_INT(b.type, BODY_HTML);
	CHECK(!b.has_data && b.truncated);
	CHECK_INT(b.size, 51);
	p[0].truncation = 100;
	b = make(S(HTML), &w);
	CHECK_INT(b.type, BODY_HTML);
	CHECK(b.has_data && !b.truncated);
}

CASE(body_own_form_before_order)
{
	struct body_pref p[] = { { .type = BODY_TEXT, .truncation = BODY_UNLIMITED },
				 { .type = BODY_HTML, .truncation = BODY_UNLIMITED } };
	struct body_want w = { .pref = p, .n_pref = 2 };

	CHECK_INT(make(S(HTML), &w).type, BODY_HTML);
	CHECK_INT(make(S("A: b\r\n\r\nx"), &w).type, BODY_TEXT);
}

CASE(body_mime_by_support)
{
	struct slice smime = S("Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nMIIB");
	struct body_pref p[] = { { .type = BODY_HTML, .truncation = BODY_UNLIMITED },
				 { .type = BODY_MIME, .truncation = BODY_UNLIMITED } };
	struct body_want w = { .pref = p, .n_pref = 2, .mime_truncation = BODY_UNLIMITED };
	struct body b;

	CHECK_INT(make(S(ALT), &w).type, BODY_HTML);
	w.mime_support = 1;
	CHECK_INT(make(S(ALT), &w).type, BODY_HTML);
	b = make(smime, &w);
	CHECK_INT(b.type, BODY_MIME);
	CHECK_SLICE(b.data, smime);
	CHECK_INT(b.size, smime.len);
	w.mime_support = 2;
	CHECK_INT(make(S(ALT), &w).type, BODY_MIME);
	w.mime_truncation = 20;
	b = make(smime, &w);
	CHECK_INT(b.data.len, 20);
	CHECK(b.truncated);
	w.mime_truncation = 0;
	b = make(smime, &w);
	CHECK(!b.has_data && b.truncated);
}

static bool has(struct slice s, const char *z)
{
	return memmem(s.ptr, s.len, z, strlen(z)) != NULL;
}

CASE(body_mime_of_8bit_mail_is_text_and_reads_the_same)
{
	struct slice raw = S("Subject: caf\xe9\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
			     "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\nX-Kept: 1\r\n\r\nna\xefve = \r\n--b\r\n"
			     "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>\xc3\xa9\r\n--b--\r\n");
	struct body b = make1(raw, BODY_MIME, BODY_UNLIMITED);
	struct slice safe = b.data;

	CHECK_INT(b.size, raw.len);
	CHECK(has(safe, "X-Kept: 1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nna=EFve =3D=20\r\n--b"));
	CHECK(has(safe, "8bit\r\n\r\n<p>\xc3\xa9\r\n--b--"));
	CHECK(slice_starts(safe, S("Subject: caf\xc3\xa9\r\n")));
	CHECK_STR(make1(safe, BODY_TEXT, BODY_UNLIMITED).data, "naïve = \r\né");
	CHECK_STR(make1(raw, BODY_TEXT, BODY_UNLIMITED).data, "naïve = \r\né");
	for (uint64_t n = 0; n < raw.len; n++)
		CHECK(make1(raw, BODY_MIME, n).data.len <= n);
}

CASE(body_mime_truncation_tables)
{
	static const uint64_t want[] = { 0, 4096, 5120, 7168, 10240, 20480, 51200, 102400 };

	for (unsigned i = 0; i < 8; i++)
		CHECK_INT(body_mime_truncation(i), want[i]);
	CHECK(body_mime_truncation(8) == BODY_UNLIMITED);
	CHECK_INT(body_truncation(0), 0);
	CHECK_INT(body_truncation(1), 512);
	CHECK(body_truncation(9) == BODY_UNLIMITED);
}

CASE(body_preview)
{
	struct body_pref p = { .type = BODY_HTML, .truncation = 3, .all_or_none = true, .preview = 8 };
	struct body_want w = { .pref = &p, .n_pref = 1, .mime_support = 2, .mime_truncation = BODY_UNLIMITED };
	struct body b = make(S(HTML), &w);

	CHECK(!b.has_data);
	CHECK_STR(b.preview, "Hello Wö");
	p.type = BODY_MIME;
	p.truncation = 10;
	p.all_or_none = false;
	b = make(S(HTML), &w);
	CHECK_INT(b.data.len, 10);
	CHECK_STR(b.preview, "Hello Wö");
	p.type = BODY_TEXT;
	CHECK_INT(make(S(HTML), &w).preview.len, 0); /* Data is its own preview */
}

CASE(body_of_several_texts_is_joined)
{
	struct slice raw = S("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: image/png\r\n\r\nx\r\n"
			     "--b\r\n\r\ntwo\r\n--b\r\nContent-Type: text/html\r\n\r\n<html><body><i>3</i></body></html>\r\n--b--\r\n");
	struct body b = make1(raw, BODY_TEXT, BODY_UNLIMITED);

	CHECK_STR(b.data, "one\r\ntwo\r\n3");
	CHECK_INT(b.size, 11);
	b = make1(raw, BODY_HTML, BODY_UNLIMITED);
	CHECK_STR(b.data, "onetwo<i>3</i>");
	CHECK_INT(b.size, 14);
}

CASE(body_empty_mail)
{
	struct body b = make1(S("Subject: x\r\n\r\n"), BODY_TEXT, 100);

	CHECK(!b.has_data && !b.truncated);
	CHECK_INT(b.size, 0);
	b = make1(S("Content-Type: image/png\r\n\r\nxxxx"), BODY_HTML, 100);
	CHECK(!b.has_data && !b.truncated);
	CHECK_INT(b.type, BODY_TEXT);
}

static struct slice list(struct slice raw)
{
	struct body_attachment *v;
	struct bytes out;
	size_t n;

	mime_parse(test_arena(), test_guarded(raw), &t);
	n = body_attachments(test_arena(), &t, &v);
	bytes_init(&out, test_arena(), 0);
	for (size_t i = 0; i < n; i++)
		bytes_slice(&out, arena_printf(test_arena(), "%.*s|%.*s|%d|%.*s|%d|%llu;", SARG(t.v[v[i].part].number),
					       SARG(v[i].display_name), v[i].method, SARG(v[i].content_id),
					       v[i].is_inline, (unsigned long long)v[i].size));
	return bytes_get(&out);
}

#define B "\r\n--b\r\n"
#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n"

CASE(attachments_listed)
{
	CHECK_STR(list(S(ALT)), "");
	CHECK_STR(list(S(MIXED B "\r\ntext" B "Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n"
			 "--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=\"C:\\\\x\\\\n.txt\"\r\n\r\nnote" B
			 "Content-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\nhi\r\n--b--")),
		  "2|a.pdf|1||0|5;3|n.txt|1||0|4;4|message.eml|5||0|16;");
	CHECK_STR(list(S("Content-Type: multipart/related; boundary=b\r\n" B "Content-Type: text/html\r\n\r\n<img src=cid:i>" B
			 "Content-Type: image/png\r\nContent-ID: <i>\r\n\r\nxx\r\n--b--")),
		  "2|attachment-2.png|1|i|1|2;");
	CHECK_STR(list(S("Content-Type: application/pkcs7-mime; name=smime.p7m\r\n\r\nx")), "1|smime.p7m|1||0|1;");
	CHECK_STR(list(S("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n" B "\r\nt" B
			 "Content-Type: application/pkcs7-signature; name=smime.p7s\r\n\r\ns\r\n--b--")),
		  "2|smime.p7s|1||0|1;");
}

/* Without meetings its calendar part can only reach a phone as a file. */
CASE(attachments_invitation_is_a_file)
{
	CHECK_STR(list(S("Content-Type: multipart/alternative; boundary=b\r\n" B "\r\nt" B "Content-Type: text/html\r\n\r\nh" B
			 "Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n--b--")),
		  "3|attachment-3.ics|1||0|15;");
	CHECK_STR(list(S(MIXED B "\r\nt" B "Content-Type: text/calendar; name=invite.ics\r\nContent-Disposition: attachment\r\n\r\nB\r\n--b--")),
		  "2|invite.ics|1||0|1;");
}

CASE(attachments_inside_an_alternative)
{
	struct slice raw = S("Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\nt\r\n--a\r\n" MIXED B
			     "Content-Type: text/html\r\n\r\nh" B "Content-Type: application/pdf; name=p.pdf\r\n\r\np\r\n--b--\r\n--a--");

	CHECK_STR(list(raw), "2.2|p.pdf|1||0|1;");
	CHECK_STR(make1(raw, BODY_HTML, BODY_UNLIMITED).data, "h");
	CHECK_STR(make1(raw, BODY_TEXT, BODY_UNLIMITED).data, "t");
}

CASE(body_cut_at_every_byte)
{
	struct slice raw = S(MIXED B "Content-Type: text/html; charset=shift_jis\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
			     "<p>=93=FA=\r\n=96=7B</p>" B "Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx\r\n--b--");

	for (size_t n = 0; n <= raw.len; n++)
		for (int type = 1; type <= 4; type++)
			make1(slice_to(raw, n), type, 7);
	CHECK_STR(make1(raw, BODY_TEXT, 100).data, "日本");
}
