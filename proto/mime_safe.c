/* mime_safe.c - a mail whose bytes are not UTF-8, made fit to travel as text
 * (airsyncbase:Data of type 4 is an XML string). Any thread. Only what is not
 * UTF-8 changes: such bodies become quoted-printable in their own charset, such
 * headers are read as mail_headers reads them. What is UTF-8 or 7-bit stays
 * byte for byte, so S/MIME and signatures survive. */
#include "proto/mime_safe.h"

#include "proto/mime.h"

static struct slice between(struct slice raw, uint64_t from, uint64_t to)
{
	return slice_to(slice_from(raw, (size_t)from), (size_t)(to - from));
}

static void put_text(struct arena *a, struct bytes *out, struct slice s)
{
	bytes_slice(out, charset_to_utf8(a, S_NONE, s));
}

/* The part's header block with the new transfer encoding. */
static void put_header(struct arena *a, struct bytes *out, struct slice block)
{
	struct slice rest = block;
	struct header_field f;

	while (header_next(&rest, &f))
		if (!slice_ieq(f.name, S("Content-Transfer-Encoding")))
			put_text(a, out, f.line);
	if (out->n && out->p[out->n - 1] != '\n') /* the last field was cut off */
		bytes_slice(out, S("\r\n"));
	bytes_slice(out, S("Content-Transfer-Encoding: quoted-printable\r\n\r\n"));
}

static bool needs_encoding(const struct mime_part *p, struct slice body)
{
	return p->child == MIME_NONE && p->encoding <= TRANSFER_BINARY && !utf8_clean(body);
}

struct slice mime_make_safe(struct arena *a, struct slice raw)
{
	struct mime_tree t;
	struct bytes out;
	uint64_t at = 0;

	if (utf8_clean(raw))
		return raw;
	mime_parse(a, raw, &t);
	bytes_init(&out, a, 0);
	for (size_t i = 0; i < t.n; i++) {
		const struct mime_part *p = &t.v[i];
		struct slice body = mime_body(&t, (int)i, raw);

		if (!needs_encoding(p, body))
			continue;
		put_text(a, &out, between(raw, at, p->header_off));
		put_header(a, &out, between(raw, p->header_off, p->body_off));
		qp_encode(body, &out);
		at = p->body_off + p->size;
	}
	put_text(a, &out, slice_from(raw, (size_t)at));
	return utf8_make_clean(a, bytes_get(&out));
}
