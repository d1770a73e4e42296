/* wbxml_read.c - push parser of WBXML. Any thread, one owner at a time; calls
 * back while it holds nothing. State between two feeds is a few integers, so
 * any split of the bytes gives the same events (text in other chunks).
 * Trap: a callback may end the parse, after which the reader stays dead. */
#include "proto/wbxml.h"

enum state {
	ST_VERSION, ST_PUBLIC_ID, ST_PUBLIC_INDEX, ST_CHARSET, ST_TABLE_LEN, ST_TABLE,
	ST_BODY, ST_PAGE, ST_STR_I, ST_STR_T, ST_ENTITY, ST_OPAQUE_LEN, ST_OPAQUE,
	ST_DONE, ST_DEAD,
};

enum global {
	G_SWITCH_PAGE = 0x00, G_END = 0x01, G_ENTITY = 0x02, G_STR_I = 0x03, G_LITERAL = 0x04,
	G_STR_T = 0x83, G_OPAQUE = 0xC3,
	TAG_CONTENT = 0x40, TAG_ATTRIBUTES = 0x80, TAG_MASK = 0x3f,
};

enum { CHARSET_UNKNOWN = 0, CHARSET_UTF8 = 106 };

/* Depth 48: the deepest request of any command is below 12; elements 200,000:
 * a Sync of 512 full events is below 60,000. */
const struct wbxml_limits wbxml_limits_default = {
	.depth = 48,
	.elements = 200000,
	.table_bytes = 4096,
	.string_bytes = 32u << 20,
	.opaque_bytes = 64u << 20,
	.total_bytes = 96u << 20,
};

void wbxml_reader_init(struct wbxml_reader *r, const struct wbxml_events *events, void *ctx,
		       struct arena *arena, const struct wbxml_limits *limits)
{
	memset(r, 0, sizeof(*r));
	r->events = events;
	r->ctx = ctx;
	r->arena = arena;
	r->limits = limits ? *limits : wbxml_limits_default;
}

static int bad(struct err *e, const char *what, unsigned v)
{
	return err_set(e, ERR_BAD_WBXML, "%s 0x%02x", what, v);
}

static int past(struct err *e, const char *what, uint64_t limit)
{
	return err_set(e, ERR_LIMIT, "more than %llu %s", (unsigned long long)limit, what);
}

static int give_text(struct wbxml_reader *r, struct slice s, struct err *e)
{
	if (s.len == 0)
		return 0;
	r->run += s.len;
	r->total += s.len;
	if (r->run > r->limits.string_bytes)
		return past(e, "bytes of text", r->limits.string_bytes);
	if (r->total > r->limits.total_bytes)
		return past(e, "bytes of content", r->limits.total_bytes);
	return r->events->text(r->ctx, s, e);
}

/* 1 the number is whole, 0 more, -1. */
static int mb_byte(struct wbxml_reader *r, uint8_t c, struct err *e)
{
	if (r->mb_len == 5 || r->mb > UINT32_MAX >> 7)
		return bad(e, "number too large at byte", c);
	r->mb = r->mb << 7 | (c & 0x7f);
	r->mb_len++;
	if (c & 0x80)
		return 0;
	r->mb_len = 0;
	return 1;
}

/* The number is read; takes it and leaves 0 for the next one. */
static uint32_t mb_take(struct wbxml_reader *r)
{
	uint32_t v = r->mb;

	r->mb = 0;
	return v;
}

static int table_begin(struct wbxml_reader *r, uint32_t len, struct err *e)
{
	if (len > r->limits.table_bytes)
		return past(e, "bytes of string table", r->limits.table_bytes);
	r->table_len = len;
	r->table = len ? arena_alloc(r->arena, len) : NULL;
	r->state = len ? ST_TABLE : ST_BODY;
	return 0;
}

static int table_text(struct wbxml_reader *r, uint32_t off, struct err *e)
{
	const char *end;

	r->state = ST_BODY;
	if (off >= r->table_len)
		return bad(e, "string table offset", off);
	end = memchr(r->table + off, 0, r->table_len - off);
	if (!end)
		return bad(e, "open string in table at", off);
	return give_text(r, slice(r->table + off, (size_t)(end - r->table) - off), e);
}

/* A character by number, as UTF-8. */
static int entity(struct wbxml_reader *r, uint32_t c, struct err *e)
{
	char u[4];
	size_t n = 0;

	r->state = ST_BODY;
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return bad(e, "entity", c);
	if (c < 0x80) {
		u[n++] = (char)c;
	} else if (c < 0x800) {
		u[n++] = (char)(0xc0 | c >> 6);
		u[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		if (c >= 0x10000) {
			u[n++] = (char)(0xf0 | c >> 18);
			u[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		} else {
			u[n++] = (char)(0xe0 | c >> 12);
		}
		u[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		u[n++] = (char)(0x80 | (c & 0x3f));
	}
	return give_text(r, slice(u, n), e);
}

static int opaque_begin(struct wbxml_reader *r, uint32_t len, struct err *e)
{
	if (len > r->limits.opaque_bytes)
		return past(e, "opaque bytes", r->limits.opaque_bytes);
	r->total += len;
	if (r->total > r->limits.total_bytes)
		return past(e, "bytes of content", r->limits.total_bytes);
	r->opaque_left = len;
	r->state = len ? ST_OPAQUE : ST_BODY;
	return 0;
}

static int number_done(struct wbxml_reader *r, struct err *e)
{
	uint32_t v = mb_take(r);

	switch ((enum state)r->state) {
	case ST_PUBLIC_ID:
		r->state = v ? ST_CHARSET : ST_PUBLIC_INDEX;
		return 0;
	case ST_PUBLIC_INDEX:
		r->state = ST_CHARSET;
		return 0;
	case ST_CHARSET:
		r->state = ST_TABLE_LEN;
		return v == CHARSET_UTF8 || v == CHARSET_UNKNOWN ? 0 : bad(e, "charset", v);
	case ST_TABLE_LEN:
		return table_begin(r, v, e);
	case ST_STR_T:
		return table_text(r, v, e);
	case ST_ENTITY:
		return entity(r, v, e);
	default:
		return opaque_begin(r, v, e);
	}
}

static int close_tag(struct wbxml_reader *r, struct err *e)
{
	if (r->depth == 0)
		return bad(e, "end without element", G_END);
	r->run = 0;
	if (--r->depth == 0)
		r->state = ST_DONE;
	return r->events->close(r->ctx, e);
}

static int open_tag(struct wbxml_reader *r, uint8_t c, struct err *e)
{
	uint16_t tag = (uint16_t)(r->page << 8 | (c & TAG_MASK));

	if (c & TAG_ATTRIBUTES)
		return bad(e, "attributes or unknown token", c);
	if ((c & TAG_MASK) < 5)
		return bad(e, "unknown token", c);
	if (r->depth >= r->limits.depth)
		return past(e, "open elements", r->limits.depth);
	if (r->elements >= r->limits.elements)
		return past(e, "elements", r->limits.elements);
	r->rooted = true;
	r->elements++;
	r->depth++;
	r->run = 0;
	if (r->events->open(r->ctx, tag, (c & TAG_CONTENT) != 0, e) < 0)
		return -1;
	return c & TAG_CONTENT ? 0 : close_tag(r, e);
}

static int body_byte(struct wbxml_reader *r, uint8_t c, struct err *e)
{
	bool content = c == G_STR_I || c == G_STR_T || c == G_OPAQUE || c == G_ENTITY;

	if (content && r->depth == 0)
		return bad(e, "content outside the root element", c);
	switch (c) {
	case G_SWITCH_PAGE:
		r->state = ST_PAGE;
		return 0;
	case G_END:
		return close_tag(r, e);
	case G_STR_I:
		r->state = ST_STR_I;
		return 0;
	case G_STR_T:
		r->state = ST_STR_T;
		return 0;
	case G_ENTITY:
		r->state = ST_ENTITY;
		return 0;
	case G_OPAQUE:
		r->state = ST_OPAQUE_LEN;
		return 0;
	default:
		return open_tag(r, c, e);
	}
}

/* Runs of bytes: inline string, opaque data, string table. Returns how many
 * were used, -1 on error. */
static ptrdiff_t take_run(struct wbxml_reader *r, struct slice s, struct err *e)
{
	if (r->state == ST_STR_I) {
		ptrdiff_t nul = slice_chr(s, 0);
		size_t n = nul < 0 ? s.len : (size_t)nul;

		if (nul >= 0)
			r->state = ST_BODY;
		return give_text(r, slice_to(s, n), e) < 0 ? -1 : (ptrdiff_t)(n + (nul >= 0));
	}
	if (r->state == ST_OPAQUE) {
		size_t n = s.len < r->opaque_left ? s.len : (size_t)r->opaque_left;

		r->opaque_left -= n;
		if (r->opaque_left == 0)
			r->state = ST_BODY;
		return r->events->opaque(r->ctx, slice_to(s, n), e) < 0 ? -1 : (ptrdiff_t)n;
	}
	size_t n = r->table_len - r->table_have;

	if (n > s.len)
		n = s.len;
	memcpy(r->table + r->table_have, s.ptr, n);
	r->table_have += (uint32_t)n;
	if (r->table_have == r->table_len)
		r->state = ST_BODY;
	return (ptrdiff_t)n;
}

static int take_byte(struct wbxml_reader *r, uint8_t c, struct err *e)
{
	int rc;

	switch ((enum state)r->state) {
	case ST_BODY:
		return body_byte(r, c, e);
	case ST_PAGE:
		r->page = c;
		r->state = ST_BODY;
		return 0;
	case ST_VERSION:
		r->state = ST_PUBLIC_ID;
		return c >= 1 && c <= 3 ? 0 : bad(e, "not WBXML 1.1-1.3: version", c);
	case ST_DONE:
		return bad(e, "byte behind the root element", c);
	case ST_DEAD:
		return err_set(e, ERR_BAD_WBXML, "the document was given up");
	default:
		rc = mb_byte(r, c, e);
		return rc == 1 ? number_done(r, e) : rc;
	}
}

static int dead(struct wbxml_reader *r)
{
	r->state = ST_DEAD;
	return -1;
}

int wbxml_feed(struct wbxml_reader *r, struct slice bytes, struct err *e)
{
	while (bytes.len) {
		if (r->state == ST_STR_I || r->state == ST_OPAQUE || r->state == ST_TABLE) {
			ptrdiff_t n = take_run(r, bytes, e);

			if (n < 0)
				return dead(r);
			bytes = slice_from(bytes, (size_t)n);
			continue;
		}
		if (take_byte(r, (uint8_t)bytes.ptr[0], e) < 0)
			return dead(r);
		bytes.ptr++;
		bytes.len--;
	}
	if (r->state == ST_DEAD)
		return err_set(e, ERR_BAD_WBXML, "the document was given up");
	return r->state == ST_DONE;
}
