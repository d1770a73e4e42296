/* bodypick.c - the body of a mail for one phone: plan what to fetch, then make
 * Data, Preview and their sizes of what came. Any thread. Parts stream through
 * transfer decoder, charset and HTML reader, so that only what is kept takes
 * memory. The trap: sizes are of the text that comes out, so an exact one needs
 * the whole part; of a piece it is extrapolated. */
#include "proto/bodypick.h"

#include "proto/html.h"
#include "proto/mime_safe.h"

enum {
	WHOLE_BELOW = 64 * 1024, /* smaller parts are fetched whole: one round trip, exact size */
	MAX_ROUNDS = 3,
	CHUNK = 8192,
	PREVIEW_BYTES = 2048,    /* 255 characters of at most 4 bytes, and blanks */
	PREVIEW_SOURCE = 64 * 1024,
};

uint64_t body_truncation(unsigned code)
{
	static const uint64_t table[] = { 0, 512, 1024, 2048, 5120, 10240, 20480, 51200, 102400 };

	return code < sizeof(table) / sizeof(*table) ? table[code] : BODY_UNLIMITED;
}

uint64_t body_mime_truncation(unsigned code)
{
	static const uint64_t table[] = { 0, 4096, 5120, 7168, 10240, 20480, 51200, 102400 };

	return code < sizeof(table) / sizeof(*table) ? table[code] : BODY_UNLIMITED;
}

/* -- which preference -- */

static bool mime_allowed(const struct mime_tree *t, const struct body_want *w)
{
	return w->mime_support == 2 || (w->mime_support == 1 && mime_smime(t) != MIME_SMIME_NONE);
}

static const struct body_pref *first_of(const struct body_want *w, uint64_t skip, enum body_type type)
{
	for (size_t i = 0; i < w->n_pref && i < 64; i++)
		if (w->pref[i].type == type && !(skip >> i & 1))
			return &w->pref[i];
	return NULL;
}

static const struct body_pref *choose_pref(const struct mime_tree *t, const struct body_want *w, uint64_t skip,
					   enum body_type native)
{
	const struct body_pref *p = mime_allowed(t, w) ? first_of(w, skip, BODY_MIME) : NULL;

	if (!p)
		p = first_of(w, skip, native);
	for (size_t i = 0; !p && i < w->n_pref && i < 64; i++)
		if ((w->pref[i].type == BODY_TEXT || w->pref[i].type == BODY_HTML) && !(skip >> i & 1))
			p = &w->pref[i];
	/* Only MIME or RTF asked for, and not to be had: the mail's own form. */
	if (!p && skip == 0 && w->n_pref)
		p = &w->pref[0];
	return p;
}

static enum body_type type_for(const struct mime_tree *t, const struct body_want *w, const struct body_pref *p,
			       enum body_type native)
{
	if (!p || p->type == BODY_TEXT)
		return BODY_TEXT;
	if (p->type == BODY_MIME && mime_allowed(t, w))
		return BODY_MIME;
	return native;
}

static uint64_t limit_of(const struct body_want *w, const struct body_plan *p)
{
	uint64_t n = p->pref ? p->pref->truncation : BODY_UNLIMITED;

	if (p->type == BODY_MIME && w->mime_truncation < n)
		n = w->mime_truncation;
	return w->max_bytes && w->max_bytes < n ? w->max_bytes : n;
}

/* -- how much of a part -- */

static uint64_t bytes_needed(const struct mime_part *p, enum body_type to, uint64_t limit, unsigned round)
{
	uint64_t n = limit;

	if (p->size <= WHOLE_BELOW || limit >= p->size || round >= MAX_ROUNDS)
		return BODY_UNLIMITED;
	n += 64;
	if (to == BODY_TEXT && mime_is(p, "text", "html"))
		n = n * 6 + 24 * 1024;
	if (p->encoding == TRANSFER_BASE64)
		n = n * 7 / 5;
	else if (p->encoding == TRANSFER_QP)
		n *= 2;
	if (slice_starts(p->charset, S("utf-16")) || slice_starts(p->charset, S("utf-7")))
		n *= 3;
	n = (n + 1024) << (2 * round);
	if (n < WHOLE_BELOW)
		n = WHOLE_BELOW;
	return n >= p->size - p->size / 4 ? BODY_UNLIMITED : n;
}

static const struct body_view *view_of(const struct body_parts *b, enum body_type type)
{
	return type == BODY_HTML ? &b->html : &b->text;
}

static void plan_fetches(const struct mime_tree *t, const struct body_want *w, const struct body_parts *b,
			 struct body_plan *p)
{
	const struct body_view *v = view_of(b, p->type);
	uint64_t limit = limit_of(w, p);

	p->n = 0;
	if (p->type == BODY_MIME && !p->no_data && limit)
		p->fetch[p->n++] = (struct body_fetch){ MIME_NONE, limit >= t->size ? BODY_UNLIMITED : limit };
	for (size_t i = 0; p->type != BODY_MIME && !p->no_data && i < v->n; i++)
		p->fetch[p->n++] =
			(struct body_fetch){ v->v[i], bytes_needed(&t->v[v->v[i]], p->type, limit, p->round) };
	p->n_main = p->n;
	if (p->pref && p->pref->preview && (p->type == BODY_MIME || p->n == 0) && b->text.n)
		p->fetch[p->n++] = (struct body_fetch){ b->text.v[0], bytes_needed(&t->v[b->text.v[0]], BODY_TEXT,
										   PREVIEW_BYTES, p->round) };
}

/* The next preference that is not skipped; MIME's size is known beforehand. */
static void plan_pref(const struct mime_tree *t, const struct body_want *w, const struct body_parts *b,
		      struct body_plan *p)
{
	for (;;) {
		p->pref = choose_pref(t, w, p->skip, b->native);
		if (!p->pref && p->skip) {
			p->no_data = true;
			p->pref = choose_pref(t, w, 0, b->native);
		}
		p->type = type_for(t, w, p->pref, b->native);
		p->round = 0;
		if (p->no_data || p->type != BODY_MIME || !p->pref || !p->pref->all_or_none || limit_of(w, p) >= t->size)
			break;
		if (p->known_size == 0)
			p->known_size = t->size;
		p->skip |= (uint64_t)1 << (p->pref - w->pref);
	}
	plan_fetches(t, w, b, p);
}

void body_plan_make(struct arena *a, const struct mime_tree *t, const struct body_want *w, struct body_plan *p_r)
{
	struct body_parts b;

	*p_r = (struct body_plan){ 0 };
	body_parts_find(a, t, &b);
	plan_pref(t, w, &b, p_r);
}

/* -- one part to text -- */

/* Transfer encoding and charset off; to `text` (bytes) or, for HTML to text,
 * through a reader. */
static void render_leaf(struct arena *a, const struct mime_part *p, struct slice got, enum body_type to,
			struct bytes *out)
{
	struct charset_reader *cs = charset_open(p->charset);
	struct html_reader *html = NULL;
	struct transfer_reader tr;
	struct bytes raw, utf8;

	bytes_init(&raw, a, 0);
	bytes_init(&utf8, a, 0);
	transfer_init(&tr, p->encoding);
	if (to == BODY_TEXT && mime_is(p, "text", "html"))
		html = html_reader_new(a, out);
	for (bool end = false; !end;) {
		struct bytes *sink = html ? &utf8 : out;

		end = got.len <= CHUNK;
		raw.n = utf8.n = 0;
		transfer_feed(&tr, slice_to(got, CHUNK), &raw);
		if (end)
			transfer_end(&tr, &raw);
		charset_feed(cs, bytes_get(&raw), sink);
		if (end)
			charset_end(cs, sink);
		if (html)
			html_feed(html, bytes_get(&utf8));
		got = slice_from(got, CHUNK);
	}
	if (html)
		html_end(html);
	charset_free(&cs);
}

static void html_append(struct arena *a, struct bytes *out, struct slice piece)
{
	size_t at = html_body_end(bytes_get(out));
	struct slice tail = arena_slice(a, slice_from(bytes_get(out), at));

	out->n = at;
	bytes_slice(out, piece);
	bytes_slice(out, tail);
	out->total -= tail.len;
}

/* A leaf behind others, or text where HTML comes out. */
static void join_leaf(struct arena *a, const struct mime_part *p, struct slice got, enum body_type to,
		      struct bytes *out)
{
	struct bytes one;
	struct slice s;

	if (to == BODY_TEXT) {
		if (out->n)
			bytes_slice(out, S("\r\n"));
		render_leaf(a, p, got, to, out);
		return;
	}
	if (out->n == 0 && mime_is(p, "text", "html")) {
		render_leaf(a, p, got, to, out);
		return;
	}
	bytes_init(&one, a, 0);
	render_leaf(a, p, got, to, &one);
	s = bytes_get(&one);
	s = mime_is(p, "text", "html") ? html_body(s) : text_to_html_fragment(a, s);
	if (out->full)
		out->total += s.len;
	else
		html_append(a, out, s);
}

static bool is_whole(const struct mime_tree *t, const struct body_fetch *f, struct slice got)
{
	uint64_t size = f->part == MIME_NONE ? t->size : t->v[f->part].size;

	return f->bytes == BODY_UNLIMITED || got.len >= size || got.len < f->bytes;
}

/* All parts of the plan into `out`; *size_r: bytes of the whole, *whole_r: exact. */
static void render(struct arena *a, const struct mime_tree *t, const struct body_plan *p, const struct slice *got,
		   struct bytes *out, uint64_t *size_r, bool *whole_r)
{
	*size_r = 0;
	*whole_r = true;
	for (size_t i = 0; i < p->n_main; i++) {
		const struct mime_part *part = &t->v[p->fetch[i].part];
		struct slice g = slice_to(got[i], p->fetch[i].bytes < SIZE_MAX ? (size_t)p->fetch[i].bytes : SIZE_MAX);
		uint64_t before = out->total;

		join_leaf(a, part, g, p->type, out);
		if (is_whole(t, &p->fetch[i], g)) {
			*size_r += out->total - before;
		} else {
			*whole_r = false;
			*size_r += g.len ? (out->total - before) * (part->size / 64 + 1) / (g.len / 64 + 1) : part->size;
		}
	}
}

/* -- results -- */

static struct slice fold_blanks(struct arena *a, struct slice s)
{
	struct bytes out;

	bytes_init(&out, a, 0);
	for (size_t i = 0; i < s.len; i++) {
		bool blank = s.ptr[i] == ' ' || (s.ptr[i] >= '\t' && s.ptr[i] <= '\r');

		if (!blank)
			bytes_char(&out, s.ptr[i]);
		else if (out.n && out.p[out.n - 1] != ' ')
			bytes_char(&out, ' ');
	}
	return slice_trim(bytes_get(&out));
}

static struct slice make_preview(struct arena *a, const struct mime_tree *t, const struct body_plan *p,
				 const struct slice *got)
{
	size_t i = p->n > p->n_main ? p->n_main : 0;
	struct bytes out;

	if (p->n == 0 || p->fetch[i].part == MIME_NONE)
		return S_NONE;
	bytes_init(&out, a, PREVIEW_BYTES);
	render_leaf(a, &t->v[p->fetch[i].part], slice_to(got[i], PREVIEW_SOURCE), BODY_TEXT, &out);
	return utf8_cut_chars(fold_blanks(a, utf8_whole(bytes_get(&out))), p->pref->preview);
}

static void make_mime(struct arena *a, const struct mime_tree *t, const struct body_plan *p, uint64_t limit,
		      const struct slice *got, struct body *b)
{
	b->size = t->size;
	b->truncated = limit < t->size;
	if (p->n_main == 0)
		return;
	if (limit > SIZE_MAX)
		limit = SIZE_MAX;
	b->data = mime_make_safe(a, utf8_whole(slice_to(got[0], (size_t)limit)));
	b->data = utf8_cut(b->data, (size_t)limit); /* encoding made it longer */
	b->has_data = b->data.len > 0;
}

/* 0: what was fetched is too little, *p holds the larger numbers. */
static int make_text(struct arena *a, const struct mime_tree *t, const struct body_want *w,
		     const struct body_parts *parts, struct body_plan *p, const struct slice *got, struct body *b)
{
	uint64_t limit = limit_of(w, p);
	struct bytes out;
	bool whole;

	bytes_init(&out, a, limit == 0 ? 1 : limit < SIZE_MAX ? (size_t)limit : 0);
	render(a, t, p, got, &out, &b->size, &whole);
	if (!whole && out.n < limit && p->round < MAX_ROUNDS) {
		p->round++;
		plan_fetches(t, w, parts, p);
		return 0;
	}
	if (b->size < out.n)
		b->size = out.n;
	if (!whole && b->size <= limit)
		b->size = limit + 1; /* there is more, whatever the estimate says */
	b->truncated = b->size > limit;
	if (b->truncated && p->pref && p->pref->all_or_none && b->size > p->pref->truncation) {
		if (p->known_size == 0) /* of the form that the reply will name */
			p->known_size = b->size;
		p->skip |= (uint64_t)1 << (p->pref - w->pref);
		plan_pref(t, w, parts, p);
		return 0;
	}
	if (limit)
		b->data = utf8_whole(bytes_get(&out));
	b->has_data = b->data.len > 0;
	return 1;
}

int body_make(struct arena *a, const struct mime_tree *t, const struct body_want *w, struct body_plan *p,
	      const struct slice *got, struct body *b_r)
{
	struct body_parts parts;

	body_parts_find(a, t, &parts);
	*b_r = (struct body){ .type = p->type, .native = parts.native };
	if (p->no_data) {
		b_r->size = p->known_size;
		b_r->truncated = true;
	} else if (p->type == BODY_MIME) {
		make_mime(a, t, p, limit_of(w, p), got, b_r);
	} else if (make_text(a, t, w, &parts, p, got, b_r) == 0) {
		return 0;
	}
	/* Type 1 with Data is its own preview (MS-ASAIRS R1001036). */
	if (p->pref && p->pref->preview && !(p->type == BODY_TEXT && b_r->has_data))
		b_r->preview = make_preview(a, t, p, got);
	return 1;
}

void body_from_raw(struct arena *a, const struct mime_tree *t, struct slice raw, const struct body_want *w,
		   struct body *b_r)
{
	struct slice got[BODY_MAX_FETCH];
	struct body_plan p;

	body_plan_make(a, t, w, &p);
	do {
		for (size_t i = 0; i < p.n; i++) {
			got[i] = p.fetch[i].part == MIME_NONE ? raw : mime_body(t, p.fetch[i].part, raw);
			if (p.fetch[i].bytes < got[i].len)
				got[i] = slice_to(got[i], (size_t)p.fetch[i].bytes);
		}
	} while (body_make(a, t, w, &p, got, b_r) == 0);
}
