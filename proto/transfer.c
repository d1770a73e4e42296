/* transfer.c - content transfer encodings of mail, streaming: base64,
 * quoted-printable, uuencode, and the plain ones. Any thread; all state is in
 * the caller's struct. The trap: blanks before a line end are not text in
 * quoted-printable, so they are held until the next byte tells. */
#include "proto/charset.h"

enum transfer transfer_parse(struct slice name)
{
	static const struct {
		struct slice name;
		enum transfer kind;
	} known[] = {
		{ { "7bit", 4 }, TRANSFER_7BIT },
		{ { "8bit", 4 }, TRANSFER_8BIT },
		{ { "binary", 6 }, TRANSFER_BINARY },
		{ { "base64", 6 }, TRANSFER_BASE64 },
		{ { "quoted-printable", 16 }, TRANSFER_QP },
		{ { "x-uuencode", 10 }, TRANSFER_UU },
		{ { "x-uue", 5 }, TRANSFER_UU },
		{ { "uuencode", 8 }, TRANSFER_UU },
	};

	name = slice_trim(name);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (slice_ieq(known[i].name, name))
			return known[i].kind;
	return TRANSFER_8BIT;
}

void transfer_init(struct transfer_reader *r, enum transfer kind)
{
	*r = (struct transfer_reader){ .kind = kind };
}

/* -- base64 -- */

/* Value of a digit, -1 for what is none. */
static const signed char digit[128] = {
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, -1, -1, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1,
	-1,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, -1,
	-1, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1,
};

static int base64_value(unsigned char c)
{
	return c < 128 ? digit[c] : -1;
}

/* Whole groups of four digits at the front: nearly all of a line. Returns the bytes used. */
static size_t base64_groups(struct slice in, char *buf, size_t room, size_t *n)
{
	const unsigned char *p = (const unsigned char *)in.ptr;
	size_t i = 0;

	for (; i + 4 <= in.len && *n + 3 <= room; i += 4) {
		int a = base64_value(p[i]), b = base64_value(p[i + 1]);
		int c = base64_value(p[i + 2]), d = base64_value(p[i + 3]);
		uint32_t v;

		if ((a | b | c | d) < 0)
			break;
		v = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | (uint32_t)d;
		buf[(*n)++] = (char)(v >> 16);
		buf[(*n)++] = (char)(v >> 8);
		buf[(*n)++] = (char)v;
	}
	return i;
}

static void base64_byte(struct transfer_reader *r, char c, char *buf, size_t *n)
{
	int v = base64_value((unsigned char)c);

	if (v < 0) {
		if (c == '=') /* padding; another run may follow */
			r->acc = r->bits = 0;
		return;
	}
	r->acc = (r->acc << 6 | (uint32_t)v) & 0xFFFFFF;
	r->bits += 6;
	if (r->bits >= 8) {
		r->bits -= 8;
		buf[(*n)++] = (char)(r->acc >> r->bits);
	}
}

static void base64_feed(struct transfer_reader *r, struct slice in, struct bytes *out)
{
	char buf[768];
	size_t n = 0;

	while (in.len) {
		size_t used = r->bits == 0 ? base64_groups(in, buf, sizeof(buf) - 1, &n) : 0;

		in = slice_from(in, used);
		if (in.len) {
			base64_byte(r, *in.ptr, buf, &n);
			in = slice_from(in, 1);
		}
		if (n + 4 > sizeof(buf) - 1 || in.len == 0) {
			bytes_add(out, buf, n);
			n = 0;
		}
	}
}

/* -- quoted-printable -- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void hold_flush(struct transfer_reader *r, struct bytes *out)
{
	bytes_add(out, r->hold, r->held);
	r->held = 0;
}

static void hold_add(struct transfer_reader *r, char c, struct bytes *out)
{
	if (r->held == sizeof(r->hold))
		hold_flush(r, out);
	r->hold[r->held++] = c;
}

/* One byte behind a held '='. True when c is used up. */
static bool qp_escape(struct transfer_reader *r, char c, struct bytes *out)
{
	char second = r->held > 1 ? r->hold[1] : 0;

	if (c == '\n' && (second == 0 || second == '\r' || is_blank(second))) {
		r->held = 0; /* soft line end */
		return true;
	}
	if (second == '\r') {
		r->held = 0;
		return false;
	}
	if ((second == 0 || is_blank(second)) && (c == '\r' || is_blank(c))) {
		r->held = 1;
		r->hold[r->held++] = c;
		return true;
	}
	if (second == 0 && hex_value(c) >= 0) {
		r->hold[r->held++] = c;
		return true;
	}
	if (hex_value(second) >= 0 && hex_value(c) >= 0) {
		bytes_char(out, (char)(hex_value(second) << 4 | hex_value(c)));
		r->held = 0;
		return true;
	}
	hold_flush(r, out);
	return false;
}

static void qp_byte(struct transfer_reader *r, char c, struct bytes *out)
{
	if (r->held && r->hold[0] == '=' && qp_escape(r, c, out))
		return;
	if (c == '=') {
		hold_flush(r, out);
		hold_add(r, c, out);
	} else if (is_blank(c)) {
		hold_add(r, c, out);
	} else {
		if (c == '\r' || c == '\n')
			r->held = 0;
		hold_flush(r, out);
		bytes_char(out, c);
	}
}

/* Bytes at the front that stand for themselves whatever follows. */
static size_t qp_plain_run(struct slice s)
{
	size_t i = 0;

	while (i < s.len && s.ptr[i] != '=') {
		if (is_blank(s.ptr[i]) && (i + 1 == s.len || is_blank(s.ptr[i + 1]) || s.ptr[i + 1] == '\r' ||
					   s.ptr[i + 1] == '\n' || s.ptr[i + 1] == '='))
			break;
		i++;
	}
	return i;
}

static void qp_feed(struct transfer_reader *r, struct slice in, struct bytes *out)
{
	while (in.len) {
		if (r->held == 0) {
			size_t run = qp_plain_run(in);

			bytes_add(out, in.ptr, run);
			in = slice_from(in, run);
			if (in.len == 0)
				break;
		}
		qp_byte(r, *in.ptr, out);
		in = slice_from(in, 1);
	}
}

/* -- uuencode -- */

static void uu_line(struct transfer_reader *r, struct bytes *out)
{
	struct slice line = { r->hold, r->held };
	size_t left;

	if (!r->uu_in) {
		r->uu_in = slice_starts(line, S("begin "));
		return;
	}
	if (slice_starts(line, S("end"))) {
		r->uu_in = false;
		return;
	}
	if (line.len == 0)
		return;
	left = (size_t)(line.ptr[0] - 32) & 63;
	for (size_t i = 1; i + 1 < line.len && left; i += 4) {
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++)
			v = v << 6 | (i + k < line.len ? (uint32_t)(line.ptr[i + k] - 32) & 63 : 0);
		for (int shift = 16; shift >= 0 && left; shift -= 8, left--)
			bytes_char(out, (char)(v >> shift));
	}
}

static void uu_feed(struct transfer_reader *r, struct slice in, struct bytes *out)
{
	for (size_t i = 0; i < in.len; i++) {
		if (in.ptr[i] == '\n') {
			uu_line(r, out);
			r->held = 0;
		} else if (in.ptr[i] != '\r' && r->held < sizeof(r->hold)) {
			r->hold[r->held++] = in.ptr[i];
		}
	}
}

void transfer_feed(struct transfer_reader *r, struct slice in, struct bytes *out)
{
	switch (r->kind) {
	case TRANSFER_BASE64:
		base64_feed(r, in, out);
		break;
	case TRANSFER_QP:
		qp_feed(r, in, out);
		break;
	case TRANSFER_UU:
		uu_feed(r, in, out);
		break;
	default:
		bytes_slice(out, in);
	}
}

void transfer_end(struct transfer_reader *r, struct bytes *out)
{
	if (r->kind == TRANSFER_UU && r->held)
		uu_line(r, out);
	else if (r->kind == TRANSFER_QP && !(r->held == 1 && r->hold[0] == '='))
		hold_flush(r, out);
	r->held = 0;
}

struct slice transfer_decode(struct arena *a, enum transfer kind, struct slice in, size_t limit_bytes)
{
	struct transfer_reader r;
	struct bytes out;

	if (kind <= TRANSFER_BINARY)
		return limit_bytes ? slice_to(in, limit_bytes) : in;
	bytes_init(&out, a, limit_bytes);
	transfer_init(&r, kind);
	transfer_feed(&r, in, &out);
	transfer_end(&r, &out);
	return bytes_get(&out);
}

void base64_lines(struct slice in, struct bytes *out)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)in.ptr;
	char line[78];
	size_t n = 0;

	for (size_t i = 0; i < in.len; i += 3) {
		size_t left = in.len - i;
		uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);

		line[n++] = alphabet[v >> 18];
		line[n++] = alphabet[v >> 12 & 63];
		line[n++] = left > 1 ? alphabet[v >> 6 & 63] : '=';
		line[n++] = left > 2 ? alphabet[v & 63] : '=';
		if (n == 76 || left <= 3) {
			line[n++] = '\r';
			line[n++] = '\n';
			bytes_add(out, line, n);
			n = 0;
		}
	}
}

void qp_encode(struct slice in, struct bytes *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t column = 0;

	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = (unsigned char)in.ptr[i];
		bool eol_next = i + 1 == in.len || in.ptr[i + 1] == '\r' || in.ptr[i + 1] == '\n';
		bool plain = (c >= 33 && c < 127 && c != '=') || ((c == ' ' || c == '\t') && !eol_next);

		if (c == '\r' || c == '\n') {
			if (c == '\r' && i + 1 < in.len && in.ptr[i + 1] == '\n')
				i++;
			bytes_add(out, "\r\n", 2);
			column = 0;
			continue;
		}
		if (column + (plain ? 1 : 3) > 75) {
			bytes_add(out, "=\r\n", 3);
			column = 0;
		}
		if (plain)
			bytes_char(out, (char)c);
		else
			bytes_add(out, (char[]){ '=', hex[c >> 4], hex[c & 15] }, 3);
		column += plain ? 1 : 3;
	}
}
