/* test_compose.c - mails that leave: heads, replies, forwards. */
#include "harness.h"

#include "proto/bodypick.h"
#include "proto/compose.h"

static struct err e;
static struct compose_result res;

/* The mail as it leaves; every line ends with CRLF. */
static struct slice compose(struct compose c)
{
	struct blob *b = blob_new(0);
	struct slice s;

	c.mime = test_guarded(c.mime);
	c.original = test_guarded(c.original);
	CHECK_INT(compose_mail(test_arena(), &c, b, &res, &e), 0);
	CHECK_INT(blob_map(b, &s, &e), 0);
	s = arena_slice(test_arena(), s);
	blob_free(&b);
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\n')
			CHECK(i && s.ptr[i - 1] == '\r');
		if (s.ptr[i] == '\r')
			CHECK(i + 1 < s.len && s.ptr[i + 1] == '\n');
	}
	return s;
}

static bool has(struct slice s, const char *z)
{
	return memmem(s.ptr, s.len, z, strlen(z)) != NULL;
}

static struct slice body_text(struct slice mail, enum body_type type)
{
	struct body_pref p = { .type = type, .truncation = BODY_UNLIMITED };
	struct body_want w = { .pref = &p, .n_pref = 1 };
	struct mime_tree t;
	struct body b;

	mime_parse(test_arena(), mail, &t);
	body_from_raw(test_arena(), &t, mail, &w, &b);
	CHECK_INT(b.type, type);
	return b.data;
}

CASE(compose_send_fixes_the_head)
{
	struct slice m = compose((struct compose){ .mime = S("To: a@x, B <b@x>\nCc: A@X\nBcc: c@x,\n d@x\nSubject: s\n\nbody\nend"),
						   .from = S("Jörg <me@x>"), .message_id = S("<id@x>"), .date_ms = 0 });

	CHECK_STR(m, "To: a@x, B <b@x>\r\nCc: A@X\r\nSubject: s\r\nFrom: =?utf-8?B?SsO2cmc=?= <me@x>\r\n"
		     "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <id@x>\r\nMIME-Version: 1.0\r\n\r\nbody\r\nend\r\n");
	CHECK_INT(res.rcpt.n, 4);
	CHECK_STR(res.rcpt.v[3].addr, "d@x");
	CHECK_STR(res.sender, "me@x");
	CHECK_STR(res.message_id, "<id@x>");
}

CASE(compose_send_keeps_what_is_there)
{
	struct slice in = S("From: other@x\r\nTo: a@x\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\nMessage-ID: <own@x>\r\nMIME-Version: 1.0\r\n"
			    "Content-Type: text/plain; charset=iso-8859-1\r\n\r\n\xe9\r\n");
	struct compose c = { .mime = in, .from = S("me@x"), .message_id = S("<id@x>") };

	CHECK_SLICE(compose(c), in);
	CHECK_STR(res.sender, "other@x");
	CHECK_STR(res.message_id, "<own@x>");
	c.force_from = c.force_message_id = true;
	CHECK(has(compose(c), "From: <me@x>\r\n"));
	CHECK(!has(compose(c), "other@x") && !has(compose(c), "own@x"));
	CHECK_STR(res.sender, "me@x");
	CHECK_STR(res.message_id, "<id@x>");
}

CASE(compose_bcc_stays_in_the_sent_copy)
{
	struct compose c = { .mime = S("To: a@x\r\nBcc: b@x\r\n\r\nx"), .keep_bcc = true };

	CHECK(has(compose(c), "Bcc: b@x"));
	c.keep_bcc = false;
	CHECK(!has(compose(c), "Bcc"));
	CHECK_INT(res.rcpt.n, 2);
}

CASE(compose_raw_8bit_head_is_encoded)
{
	struct slice m = compose((struct compose){ .mime = S("To: J\xc3\xb6rg <a@x>\r\nSubject: Gr\xc3\xbc\xc3\x9f" "e\r\n\r\nx") });

	CHECK(has(m, "To: =?utf-8?B?SsO2cmc=?= <a@x>\r\n"));
	CHECK(has(m, "Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n"));
}

CASE(compose_without_head_is_refused)
{
	struct compose c = { .mime = S("no head here") };
	struct blob *b = blob_new(0);

	CHECK_INT(compose_mail(test_arena(), &c, b, &res, &e), -1);
	CHECK_INT(e.code, ERR_BAD_REQUEST);
	blob_free(&b);
}

#define ORIG_HEAD "From: Ann <ann@x>\r\nTo: me@x\r\nSubject: Orig\r\nMessage-ID: <o@x>\r\nReferences: <r@x>\r\n" \
		  "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
#define PHONE "From: me@x\r\nTo: ann@x\r\nSubject: Re: Orig\r\nMIME-Version: 1.0\r\n"

CASE(compose_reply_quotes_text)
{
	struct slice m = compose((struct compose){ .kind = COMPOSE_REPLY,
		.mime = S(PHONE "Content-Type: text/plain; charset=iso-8859-1\r\n\r\nMy \xe9 reply"),
		.original = S(ORIG_HEAD "Content-Type: text/plain; charset=utf-8\r\n\r\nfirst \xe2\x82\xac\r\n> older\r\n") });

	CHECK(has(m, "In-Reply-To: <o@x>\r\nReferences: <r@x> <o@x>\r\n"));
	CHECK_STR(body_text(m, BODY_TEXT),
		  "My é reply\r\n\r\n-----Original Message-----\r\nFrom: \"Ann\" <ann@x>\r\nSent: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
		  "To: \"me@x\" <me@x>\r\nSubject: Orig\r\n\r\n> first €\r\n>> older\r\n");
}

CASE(compose_reply_quotes_html_and_brings_its_images)
{
	struct slice m = compose((struct compose){ .kind = COMPOSE_REPLY, .boundary_seed = S("seed"),
		.mime = S(PHONE "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGh0bWw+PGJvZHk+SGk8L2JvZHk+PC9odG1sPg=="),
		.original = S(ORIG_HEAD "Content-Type: multipart/related; boundary=r\r\n\r\n--r\r\nContent-Type: text/html\r\n\r\n<html><body><img src=\"cid:i\">o</body></html>\r\n"
			      "--r\r\nContent-Type: image/png\r\nContent-ID: <i>\r\n\r\nPNG\r\n--r\r\nContent-Type: application/pdf; name=x.pdf\r\n\r\npdf\r\n--r--") });
	struct body_attachment *v;
	struct mime_tree t;

	mime_parse(test_arena(), m, &t);
	CHECK_INT(body_attachments(test_arena(), &t, &v), 1);
	CHECK_STR(v[0].content_id, "i");
	m = body_text(m, BODY_HTML);
	CHECK(slice_starts(m, S("<html><body>Hi<br><hr>")));
	CHECK(has(m, "<img src=\"cid:i\">o"));
	CHECK(slice_eq(slice_from(m, m.len - 14), S("</body></html>")));
}

CASE(compose_forward_attaches_parts_untouched)
{
	struct slice m = compose((struct compose){ .kind = COMPOSE_FORWARD, .boundary_seed = S("seed"),
		.mime = S(PHONE "Content-Type: text/plain\r\n\r\nsee below"),
		.original = S(ORIG_HEAD "Content-Type: multipart/mixed; boundary=r\r\n\r\n--r\r\n\r\ntext\r\n"
			      "--r\r\nContent-Type: application/pdf; name=\"x.pdf\"\r\nX-Odd: kept\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVs\r\nbG8=\r\n--r--\r\n") });
	struct body_attachment *v;
	struct mime_tree t;

	CHECK(has(m, "Content-Type: application/pdf; name=\"x.pdf\"\r\nX-Odd: kept\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVs\r\nbG8=\r\n--"));
	CHECK(!has(m, "In-Reply-To"));
	CHECK(has(m, "References: <r@x> <o@x>"));
	mime_parse(test_arena(), m, &t);
	CHECK_INT(body_attachments(test_arena(), &t, &v), 1);
	CHECK_STR(v[0].display_name, "x.pdf");
	CHECK(slice_starts(body_text(m, BODY_TEXT), S("see below\r\n\r\n-----Original Message-----\r\n")));
	CHECK(has(body_text(m, BODY_TEXT), "\r\n\r\ntext"));
}

CASE(compose_forward_of_smime_attaches_it_whole)
{
	struct slice orig = S(ORIG_HEAD "Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\nMIIB\r\n");
	struct slice m = compose((struct compose){ .kind = COMPOSE_FORWARD, .mime = S(PHONE "\r\nhi"), .original = orig });
	struct body_attachment *v;
	struct mime_tree t;

	CHECK(has(m, orig.ptr));
	mime_parse(test_arena(), m, &t);
	CHECK_INT(body_attachments(test_arena(), &t, &v), 1);
	CHECK_INT(v[0].method, 5);
}

CASE(compose_alternative_gets_both_quotes)
{
	struct slice m = compose((struct compose){ .kind = COMPOSE_REPLY,
		.mime = S(PHONE "Content-Type: multipart/alternative; boundary=p\r\n\r\n--p\r\n\r\nt\r\n--p\r\nContent-Type: text/html\r\n\r\n<p>h</p>\r\n--p--\r\n"),
		.original = S(ORIG_HEAD "\r\noriginal") });

	CHECK(has(body_text(m, BODY_TEXT), "> original"));
	CHECK(has(body_text(m, BODY_HTML), "original"));
	CHECK(has(body_text(m, BODY_HTML), "<p>h</p>"));
}

CASE(compose_reply_without_text_puts_the_quote_in_front)
{
	struct slice m = compose((struct compose){ .kind = COMPOSE_REPLY,
		.mime = S(PHONE "Content-Type: image/png; name=i.png\r\n\r\nPNG"), .original = S(ORIG_HEAD "\r\noriginal") });
	struct body_attachment *v;
	struct mime_tree t;

	CHECK(has(body_text(m, BODY_TEXT), "> original"));
	mime_parse(test_arena(), m, &t);
	CHECK_INT(body_attachments(test_arena(), &t, &v), 1);
	CHECK_STR(v[0].display_name, "i.png");
}

CASE(compose_replace_mime_and_smime_leave_as_they_are)
{
	struct slice in = S(PHONE "Content-Type: application/pkcs7-mime\r\n\r\nMIIB\r\n");
	struct slice m = compose((struct compose){ .kind = COMPOSE_REPLY, .mime = in, .original = S(ORIG_HEAD "\r\noriginal") });

	CHECK(!has(m, "original"));
	CHECK(has(m, "Content-Type: application/pkcs7-mime\r\n\r\nMIIB\r\n"));
	m = compose((struct compose){ .kind = COMPOSE_FORWARD, .mime = S(PHONE "\r\nx"), .original = S(ORIG_HEAD "\r\noriginal"), .replace_mime = true });
	CHECK(!has(m, "original"));
	CHECK(has(m, "References: <r@x> <o@x>"));
}

CASE(compose_cut_at_every_byte)
{
	struct slice phone = S(PHONE "Content-Type: multipart/alternative; boundary=p\r\n\r\n--p\r\n\r\nt\r\n--p\r\nContent-Type: text/html\r\n\r\n<p>h</p>\r\n--p--\r\n");
	struct slice orig = S(ORIG_HEAD "Content-Type: multipart/mixed; boundary=r\r\n\r\n--r\r\n\r\ntext\r\n--r\r\nContent-Type: a/b; name=\"x\"\r\n\r\nSGVs\r\n--r--\r\n");

	for (size_t n = 6; n <= phone.len; n++)
		compose((struct compose){ .kind = COMPOSE_FORWARD, .mime = slice_to(phone, n), .original = orig });
	for (size_t n = 0; n <= orig.len; n++)
		compose((struct compose){ .kind = COMPOSE_FORWARD, .mime = phone, .original = slice_to(orig, n) });
	CHECK_INT(res.rcpt.n, 1);
}
