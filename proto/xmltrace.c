/* xmltrace.c - WBXML as XML text. Pure, any thread; owns nothing. A namespace
 * is declared where it changes, so that each element is valid by itself.
 * Passwords are masked here, whoever calls. */
#include "proto/xmltrace.h"

#include "proto/wbxml.h"

enum { MAX_DEPTH = 64 };

struct trace {
	struct blob *out;
	struct err *e;
	const struct xmltrace_limits *l;
	uint64_t start;
	uint16_t stack[MAX_DEPTH];
	unsigned depth;
	bool open_tag;    /* "<Name" is written, ">" is not */
	bool text_only;   /* no child in the innermost element yet */
	bool cut;
	uint64_t seen, shown; /* bytes of the value at hand */
	uint8_t carry[3];     /* base64 */
	unsigned carry_n;
};

static int put(struct trace *t, const char *p, size_t n)
{
	return blob_append(t->out, p, n, t->e);
}

#define PUT(t, lit) put((t), (lit), sizeof(lit) - 1)

static void indent(struct trace *t, unsigned depth)
{
	PUT(t, "\n");
	while (depth--)
		PUT(t, "  ");
}

static void put_name(struct trace *t, uint16_t tag)
{
	const char *name = wbxml_tag_name(tag);

	if (name)
		put(t, name, strlen(name));
	else
		blob_printf(t->out, t->e, "Unknown-%04X", tag);
}

static void put_namespace(struct trace *t, uint16_t tag)
{
	const char *name = wbxml_page_name((uint8_t)(tag >> 8));

	if (t->depth && t->stack[t->depth - 1] >> 8 == tag >> 8)
		return;
	if (name)
		blob_printf(t->out, t->e, " xmlns=\"%s\"", name);
	else
		blob_printf(t->out, t->e, " xmlns=\"page%u\"", tag >> 8);
}

static int room(struct trace *t, struct err *e)
{
	if (!t->l->total_bytes || blob_size(t->out) - t->start < t->l->total_bytes)
		return 0;
	t->cut = true;
	return err_set(e, ERR_LIMIT, "trace is cut at %zu bytes", t->l->total_bytes);
}

static void finish_open(struct trace *t)
{
	if (t->open_tag)
		PUT(t, ">");
	t->open_tag = false;
}

static int on_open(void *ctx, uint16_t tag, bool has_content, struct err *e)
{
	struct trace *t = ctx;

	if (room(t, e) < 0)
		return -1;
	if (t->depth == MAX_DEPTH)
		return err_set(e, ERR_LIMIT, "more than %d levels", MAX_DEPTH);
	finish_open(t);
	if (t->depth)
		indent(t, t->depth);
	PUT(t, "<");
	put_name(t, tag);
	put_namespace(t, tag);
	t->stack[t->depth++] = tag;
	t->open_tag = t->text_only = true;
	t->seen = t->shown = 0;
	t->carry_n = 0;
	return 0;
}

static bool is_secret(uint16_t tag)
{
	return tag == SETTINGS_PASSWORD || tag == ITEMOPS_PASSWORD || tag == SEARCH_PASSWORD;
}

/* How much of the next n bytes of the value is shown. */
static size_t take(struct trace *t, size_t n)
{
	uint64_t left = t->l->text_bytes ? t->l->text_bytes - t->shown : UINT64_MAX;

	t->seen += n;
	if (n > left)
		n = (size_t)left;
	t->shown += n;
	return n;
}

static void escape(struct trace *t, const char *p, size_t n)
{
	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)p[i];
		const char *as = c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '\r' ? "&#13;" :
			c < 0x20 && c != '\n' && c != '\t' ? "?" : NULL;

		if (!as)
			continue;
		put(t, p + from, i - from);
		put(t, as, strlen(as));
		from = i + 1;
	}
	put(t, p + from, n - from);
}

static int on_text(void *ctx, struct slice s, struct err *e)
{
	struct trace *t = ctx;
	size_t n;

	finish_open(t);
	if (room(t, e) < 0)
		return -1;
	if (is_secret(t->stack[t->depth - 1])) {
		if (t->seen++ == 0)
			PUT(t, "***");
		t->shown = t->seen;
		return 0;
	}
	n = take(t, s.len);
	escape(t, s.ptr, n);
	return 0;
}

static void put_group(struct trace *t, const uint8_t *p, unsigned n)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t x = (uint32_t)p[0] << 16 | (n > 1 ? p[1] : 0u) << 8 | (n > 2 ? p[2] : 0u);
	char q[4] = { digit[x >> 18], digit[x >> 12 & 63], n > 1 ? digit[x >> 6 & 63] : '=', n > 2 ? digit[x & 63] : '=' };

	put(t, q, 4);
}

static int on_opaque(void *ctx, struct slice s, struct err *e)
{
	struct trace *t = ctx;
	uint16_t tag = t->stack[t->depth - 1];

	if (tag == COMPOSE_MIME || is_secret(tag)) /* a mail: people want to read it */
		return on_text(ctx, s, e);
	finish_open(t);
	if (room(t, e) < 0)
		return -1;
	s.len = take(t, s.len);
	for (size_t i = 0; i < s.len; i++) {
		t->carry[t->carry_n++] = (uint8_t)s.ptr[i];
		if (t->carry_n == 3) {
			put_group(t, t->carry, 3);
			t->carry_n = 0;
		}
	}
	return 0;
}

static void end_value(struct trace *t)
{
	if (t->carry_n)
		put_group(t, t->carry, t->carry_n);
	t->carry_n = 0;
	if (t->seen > t->shown)
		blob_printf(t->out, t->e, "...(%llu bytes)", (unsigned long long)t->seen);
	t->seen = t->shown = 0;
}

static int on_close(void *ctx, struct err *e)
{
	struct trace *t = ctx;
	uint16_t tag = t->stack[--t->depth];

	end_value(t);
	if (t->open_tag) {
		PUT(t, "/>");
	} else {
		if (!t->text_only)
			indent(t, t->depth);
		PUT(t, "</");
		put_name(t, tag);
		PUT(t, ">");
	}
	t->open_tag = t->text_only = false;
	return 0;
}

int xmltrace(struct blob *out, struct slice wbxml, const struct xmltrace_limits *l, struct err *e)
{
	static const struct wbxml_events events = { on_open, on_text, on_opaque, on_close };
	static const struct xmltrace_limits none;
	struct err own = { 0 }, put_err = { 0 };
	struct trace t = { .out = out, .e = &put_err, .l = l ? l : &none, .start = blob_size(out) };
	struct arena *a = arena_new();
	struct wbxml_reader r;
	int rc;

	wbxml_reader_init(&r, &events, &t, a, NULL);
	rc = wbxml_feed(&r, wbxml, &own);
	if (rc == 0)
		err_set(&own, ERR_BAD_WBXML, "the document ends early");
	if (rc != 1) {
		finish_open(&t);
		blob_printf(out, &put_err, "<!-- %s -->", own.text);
		while (t.depth)
			on_close(&t, &own);
	}
	PUT(&t, "\n");
	arena_free(&a);
	if (e)
		*e = put_err.code ? put_err : own;
	return put_err.code || (rc != 1 && !t.cut) ? -1 : 0;
}
