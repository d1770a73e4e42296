/* test_mime.c - the part tree from bytes (whole, in pieces, cut off) and from
 * a structure, tidy and broken mails. */
#include "harness.h"

#include "proto/mime.h"

static struct mime_tree parse(struct slice raw)
{
	struct mime_tree t;

	mime_parse(test_arena(), test_guarded(raw), &t);
	return t;
}

static struct mime_tree parse_pieces(struct slice raw, size_t n)
{
	struct mime_reader *r = mime_reader_new(test_arena());
	struct mime_tree t;

	for (size_t i = 0; i < raw.len; i += n)
		mime_feed(r, test_guarded(slice_to(slice_from(raw, i), n)));
	mime_end(r, &t);
	return t;
}

/* "number type/subtype [body];" a part. */
static struct slice shape(const struct mime_tree *t, struct slice raw)
{
	struct bytes b;

	bytes_init(&b, test_arena(), 0);
	for (size_t i = 0; i < t->n; i++) {
		const struct mime_part *p = &t->v[i];

		bytes_slice(&b, arena_printf(test_arena(), "%.*s %.*s/%.*s", SARG(p->number), SARG(p->type),
					     SARG(p->subtype)));
		if (p->child == MIME_NONE)
			bytes_slice(&b, arena_printf(test_arena(), " [%.*s]", SARG(mime_body(t, (int)i, raw))));
		bytes_char(&b, ';');
	}
	return bytes_get(&b);
}

static void check_shape(struct slice raw, const char *want)
{
	struct mime_tree t = parse(raw);

	CHECK_STR(shape(&t, raw), want);
	CHECK_INT(t.size, raw.len);
	for (size_t n = 1; n < 8; n++) {
		t = parse_pieces(raw, n);
		CHECK_STR(shape(&t, raw), want);
		CHECK_INT(t.size, raw.len);
	}
}

CASE(mime_single_part)
{
	check_shape(S("Subject: x\r\n\r\nbody\r\n"), "1 text/plain [body\r\n];");
	check_shape(S("Content-Type: TEXT/HTML; charset=x\n\n<p>"), "1 text/html [<p>];");
	check_shape(S(""), "1 text/plain [];");
	check_shape(S("\r\nbody"), "1 text/plain [body];");
	check_shape(S("no header at all\r\nreally"), "1 text/plain [no header at all\r\nreally];");
	check_shape(S("A: b\r\nmissing blank line\r\nC: d\r\n"), "1 text/plain [missing blank line\r\nC: d\r\n];");
	check_shape(S("From x Mon\nA: b\n\nt"), "1 text/plain [t];");
	check_shape(S("Content-Type: nonsense\r\n\r\nx"), "1 application/octet-stream [x];");
	check_shape(S("Content-Type: text\r\n\r\nx"), "1 text/plain [x];");
}

#define MIXED "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n"

CASE(mime_multipart)
{
	check_shape(S(MIXED "pre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n--b--\r\nepilogue\r\n"),
		    "TEXT multipart/mixed;1 text/plain [one];2 text/html [two];");
	check_shape(S("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n"),
		    "TEXT multipart/mixed;1 text/plain [one];2 text/plain [two];");
	/* final boundary missing */
	check_shape(S(MIXED "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n"), "TEXT multipart/mixed;1 text/plain [one];2 text/plain [two\r\n];");
	/* no part at all, no boundary parameter */
	check_shape(S(MIXED "nothing"), "TEXT multipart/mixed [nothing];");
	check_shape(S(MIXED "--b--\r\n"), "TEXT multipart/mixed [--b--\r\n];");
	check_shape(S("Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx"), "TEXT multipart/mixed [--b\r\n\r\nx];");
	/* part whose header runs into the next boundary; blanks behind a boundary */
	check_shape(S(MIXED "--b \t\r\nContent-Type: text/html\r\n--b\r\n\r\nx\r\n--b-- \r\n"),
		    "TEXT multipart/mixed;1 text/html [];2 text/plain [x];");
	check_shape(S(MIXED "--b\r\n--b\r\n--b--"), "TEXT multipart/mixed;1 text/plain [];2 text/plain [];");
}

CASE(mime_nested_multiparts)
{
	check_shape(S(MIXED "--b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n--bb\r\n\r\nt\r\n--bb\r\n"
			    "Content-Type: text/html\r\n\r\nh\r\n--bb--\r\n\r\n--b\r\nContent-Type: image/png\r\n\r\ni\r\n--b--\r\n"),
		    "TEXT multipart/mixed;1 multipart/alternative;1.1 text/plain [t];1.2 text/html [h];2 image/png [i];");
	/* the inner one never ends: the outer boundary ends it. "b" is a prefix of "bb". */
	check_shape(S(MIXED "--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\nt\r\n--b\r\n\r\nu\r\n--b--\r\n"),
		    "TEXT multipart/mixed;1 multipart/mixed;1.1 text/plain [t];2 text/plain [u];");
	/* both use one boundary */
	check_shape(S(MIXED "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nt\r\n--b--\r\n--b\r\n\r\nu\r\n--b--\r\n"),
		    "TEXT multipart/mixed;1 multipart/mixed;1.1 text/plain [t];2 text/plain [u];");
}

CASE(mime_message_inside)
{
	check_shape(S(MIXED "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nhello\r\n--b\r\n"
			    "Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n1\r\n--c\r\n\r\n2\r\n--c--\r\n\r\n--b--\r\n"),
		    "TEXT multipart/mixed;1 message/rfc822;1.1 text/plain [hello];2 message/rfc822;2.TEXT multipart/mixed;"
		    "2.1 text/plain [1];2.2 text/plain [2];");
	check_shape(S("Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx"), "1 message/rfc822;1.1 text/plain [x];");
	check_shape(S("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTog"),
		    "1 message/rfc822 [QTog];");
	check_shape(S("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n\r\nx\r\n--b--\r\n"),
		    "TEXT multipart/digest;1 message/rfc822;1.1 text/plain [x];");
}

CASE(mime_odd_bytes)
{
	struct slice raw = S("A\0: b\r\n\r\nx\ry");
	struct mime_tree t = parse(raw);

	CHECK_SLICE(mime_body(&t, 0, raw), raw); /* a NUL is no name: there is no header */
	t = parse(S("Subject: a\rb\xff\r\n\xff: 8-bit name\r\n\r\nx"));
	CHECK_INT(t.n, 1);
	t = parse(S("Content-Type: text/html\r\nContent-Type: image/png\r\n\r\nx"));
	CHECK_STR(t.v[0].subtype, "html"); /* the first one counts */
}

CASE(mime_part_properties)
{
	struct slice raw = S("Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=\"ISO-8859-1\" (x)\r\n"
			     "Content-Transfer-Encoding: Quoted-Printable\r\n\r\n=E9=\r\nx\r\n--b\r\n"
			     "Content-Type: image/png; name=\"=?utf-8?Q?=C3=BC.png?=\"\r\nContent-Disposition: inline;\r\n filename*=utf-8''%C3%BC.png\r\n"
			     "Content-ID: <img@x>\r\nContent-Transfer-Encoding: base64\r\nContent-Location: i.png\r\n\r\nSGVsbG8=\r\n--b--\r\n");
	struct mime_tree t = parse(raw);

	CHECK_INT(t.n, 3);
	CHECK_STR(t.v[1].charset, "iso-8859-1");
	CHECK_INT(t.v[1].encoding, TRANSFER_QP);
	CHECK_STR(t.v[2].name, "ü.png");
	CHECK_STR(t.v[2].filename, "ü.png");
	CHECK_STR(t.v[2].disposition, "inline");
	CHECK_STR(t.v[2].content_id, "img@x");
	CHECK_STR(t.v[2].content_location, "i.png");
	CHECK_INT(t.v[2].encoding, TRANSFER_BASE64);
	CHECK_INT(t.v[2].decoded_size, 5);
	CHECK_INT(mime_by_number(&t, S("2")), 2);
	CHECK_INT(mime_find(&t, "image", NULL), 2);
	CHECK_INT(mime_find(&t, "video", NULL), MIME_NONE);
	CHECK_INT(mime_smime(&t), MIME_SMIME_NONE);
}

CASE(mime_smime_kinds)
{
	struct mime_tree t = parse(S("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n"));

	CHECK_INT(mime_smime(&t), MIME_SMIME_SIGNED);
	t = parse(S("Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data\r\n\r\nx"));
	CHECK_INT(mime_smime(&t), MIME_SMIME_OPAQUE);
	t = parse(S("Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n"));
	CHECK_INT(mime_smime(&t), MIME_SMIME_NONE);
}

CASE(mime_from_structure_numbers_like_bytes)
{
	struct mime_tree t;
	struct param ps[] = { { S("FILENAME*0"), S("a") }, { S("filename*1"), S("b") } };
	int root, msg, inner;

	mime_tree_init(&t, test_arena());
	root = mime_add(&t, MIME_NONE);
	mime_set_type(&t, root, S("MULTIPART"), S("MIXED"));
	mime_set_type(&t, mime_add(&t, root), S("TEXT"), S("PLAIN"));
	msg = mime_add(&t, root);
	mime_set_type(&t, msg, S("MESSAGE"), S("RFC822"));
	inner = mime_add(&t, msg);
	mime_set_type(&t, inner, S("multipart"), S("alternative"));
	mime_add(&t, inner);
	mime_set_disposition(&t, mime_add(&t, inner), S("ATTACHMENT"), ps, 2);
	mime_set_encoding(&t, 5, S("BASE64"), 78000, 0);
	mime_finish(&t);
	CHECK_STR(t.v[0].number, "TEXT");
	CHECK_STR(t.v[1].number, "1");
	CHECK_STR(t.v[2].number, "2");
	CHECK_STR(t.v[3].number, "2.TEXT");
	CHECK_STR(t.v[4].number, "2.1");
	CHECK_STR(t.v[5].number, "2.2");
	CHECK_STR(t.v[5].filename, "ab");
	CHECK_STR(t.v[5].disposition, "attachment");
	CHECK_INT(t.v[5].decoded_size, 57000);
	CHECK(t.v[3].is_message && t.v[0].is_message && !t.v[4].is_message);
}

static struct slice nested(int levels)
{
	struct bytes b;

	bytes_init(&b, test_arena(), 0);
	for (int i = 0; i < levels; i++)
		bytes_slice(&b, arena_printf(test_arena(), "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i));
	bytes_slice(&b, S("\r\nthe end\r\n"));
	return bytes_get(&b);
}

CASE(mime_2000_nested_parts_are_capped)
{
	struct mime_tree t = parse(nested(2000));

	CHECK(t.capped);
	CHECK_INT(t.n, MIME_MAX_DEPTH);
	CHECK_INT(t.v[t.n - 1].depth, MIME_MAX_DEPTH - 1);
	t = parse(nested(50));
	CHECK(!t.capped);
	CHECK_INT(t.n, 51);
}

CASE(mime_nested_messages_are_capped)
{
	struct bytes b;
	struct mime_tree t;

	bytes_init(&b, test_arena(), 0);
	for (int i = 0; i < 2000; i++)
		bytes_slice(&b, S("Content-Type: message/rfc822\r\n\r\n"));
	t = parse(bytes_get(&b));
	CHECK(t.capped);
	CHECK_INT(t.n, MIME_MAX_DEPTH);
}

CASE(mime_many_parts_are_capped)
{
	struct bytes b;
	struct mime_tree t;
	uint64_t sum = 0;

	bytes_init(&b, test_arena(), 0);
	bytes_slice(&b, S(MIXED));
	for (int i = 0; i < 3000; i++)
		bytes_slice(&b, S("--b\r\n\r\nx\r\n"));
	bytes_slice(&b, S("--b--\r\n"));
	t = parse(bytes_get(&b));
	CHECK(t.capped);
	CHECK_INT(t.n, MIME_MAX_PARTS);
	for (size_t i = 1; i < t.n; i++)
		sum += t.v[i].size;
	CHECK(sum > 18000); /* the last part holds the rest */
}

CASE(mime_headers_are_capped)
{
	struct bytes b;
	struct mime_tree t;

	bytes_init(&b, test_arena(), 0);
	for (int i = 0; i < 100000; i++)
		bytes_slice(&b, S("X: yyyyyyyyyyyyyyy\r\n"));
	bytes_slice(&b, S("Content-Type: text/html\r\n\r\nbody"));
	t = parse(bytes_get(&b));
	CHECK(t.capped);
	CHECK(t.header.len <= MIME_MAX_HEADER_BYTES);
	CHECK_STR(mime_body(&t, 0, bytes_get(&b)), "body");
}

CASE(mime_cut_at_every_byte)
{
	struct slice raw = S(MIXED "--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/alternative;\r\n boundary=c\r\n\r\n"
				   "--c\r\nContent-Transfer-Encoding: base64\r\n\r\nSGk=\r\n--c\r\nContent-Type: text/html\r\n\r\n<p>=\r\n--c--\r\n--b--\r\n");

	for (size_t n = 0; n <= raw.len; n++) {
		struct mime_tree t = parse(slice_to(raw, n));
		struct mime_tree p = parse_pieces(slice_to(raw, n), 3);

		CHECK_SLICE(shape(&t, raw), shape(&p, raw));
		for (size_t i = 0; i < t.n; i++)
			CHECK(t.v[i].body_off + t.v[i].size <= n);
	}
}

/* Lines that all look like boundaries, behind 99 open ones: bytes in, arena
 * bytes out must grow alike, and it ends. */
CASE(mime_boundary_storm_is_linear)
{
	struct bytes b;
	struct mime_tree t;

	bytes_init(&b, test_arena(), 0);
	bytes_slice(&b, nested(99));
	while (b.n < 4 * 1024 * 1024)
		bytes_slice(&b, S("--b98x\r\n--c\r\n--\r\n"));
	t = parse(bytes_get(&b));
	CHECK(t.n >= 99);
}
