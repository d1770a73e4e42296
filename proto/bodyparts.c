/* bodyparts.c - which leaves of a mail are its body and which are attachments
 * (RFC 2046 5.1; RFC 2387 for related). Any thread; loops over the flat part
 * array, backwards to gather, forwards to hand down. The trap: Apple Mail puts
 * attachments inside an alternative, next to the HTML. */
#include "proto/bodypick.h"

enum { SEE_TEXT = 1, SEE_HTML = 2 };

struct marks {
	uint8_t has;   /* SEE_*: bodies below or here */
	uint8_t mask;  /* SEE_*: views that reach this part */
	bool inner;    /* inside a nested message */
};

static bool is_text_body_type(const struct mime_part *p)
{
	if (mime_is_multipart(p)) /* without boundary or parts: its text is all there is */
		return p->child == MIME_NONE && p->is_message;
	return mime_is(p, "text", "plain") || mime_is(p, "text", "html") || mime_is(p, "text", "enriched") ||
	       mime_is(p, "text", "markdown") || mime_is(p, "text", "x-markdown");
}

/* A name makes a text an attachment, except where it is the first thing there. */
static bool is_body_leaf(const struct mime_part *p, bool first)
{
	if (p->child != MIME_NONE || !is_text_body_type(p) || slice_eq(p->disposition, S("attachment")))
		return false;
	return first || (p->filename.len == 0 && p->name.len == 0);
}

static void gather(const struct mime_tree *t, struct marks *m)
{
	bool seen_leaf = false;

	for (size_t i = 0; i < t->n; i++) { /* parents come first */
		const struct mime_part *p = &t->v[i];

		if (p->parent != MIME_NONE)
			m[i].inner = m[p->parent].inner || mime_is(&t->v[p->parent], "message", NULL);
		if (m[i].inner || p->child != MIME_NONE)
			continue;
		if (is_body_leaf(p, !seen_leaf))
			m[i].has = mime_is(p, "text", "html") ? SEE_HTML : SEE_TEXT;
		seen_leaf = true;
	}
	for (size_t i = t->n; i-- > 1;)
		if (!m[i].inner)
			m[t->v[i].parent].has |= m[i].has;
}

/* The last HTML and the first text of the choices; each view takes its own,
 * or the other's where it has none. */
static void choose(const struct mime_tree *t, int alternative, struct marks *m)
{
	int text = MIME_NONE, html = MIME_NONE;

	for (int c = t->v[alternative].child; c != MIME_NONE; c = t->v[c].next) {
		if (m[c].has & SEE_HTML)
			html = c;
		else if ((m[c].has & SEE_TEXT) && text == MIME_NONE)
			text = c;
	}
	if (html == MIME_NONE)
		html = text;
	if (text == MIME_NONE)
		text = html;
	if (text != MIME_NONE) {
		m[text].mask |= m[alternative].mask & SEE_TEXT;
		m[html].mask |= m[alternative].mask & SEE_HTML;
	}
}

static void hand_down(const struct mime_tree *t, struct marks *m)
{
	m[0].mask = SEE_TEXT | SEE_HTML;
	for (size_t i = 0; i < t->n; i++) {
		const struct mime_part *p = &t->v[i];

		if (m[i].mask == 0 || !mime_is_multipart(p))
			continue;
		if (mime_is(p, "multipart", "alternative")) {
			choose(t, (int)i, m);
		} else if (mime_is(p, "multipart", "related") || mime_is(p, "multipart", "signed")) {
			if (p->child != MIME_NONE)
				m[p->child].mask = m[i].mask;
		} else {
			for (int c = p->child; c != MIME_NONE; c = t->v[c].next)
				m[c].mask = m[i].mask;
		}
	}
}

static void view_add(struct body_view *v, const struct mime_tree *t, int part)
{
	if (v->n == BODY_MAX_FETCH - 1) /* one is left for the preview */
		return;
	v->v[v->n++] = part;
	v->html |= mime_is(&t->v[part], "text", "html");
}

void body_parts_find(struct arena *a, const struct mime_tree *t, struct body_parts *p_r)
{
	struct marks *m = arena_alloc(a, t->n * sizeof(*m));

	*p_r = (struct body_parts){ .native = BODY_TEXT, .is_body = arena_alloc(a, t->n) };
	if (t->n == 0)
		return;
	gather(t, m);
	hand_down(t, m);
	for (int i = 0; i != MIME_NONE; i = mime_next(t, i, MIME_INTO)) {
		if (t->v[i].child != MIME_NONE || m[i].inner || m[i].has == 0)
			continue;
		p_r->is_body[i] = 1; /* also the alternative that no view takes: no attachment either */
		if (m[i].mask & SEE_TEXT)
			view_add(&p_r->text, t, i);
		if (m[i].mask & SEE_HTML)
			view_add(&p_r->html, t, i);
		if (m[i].mask == 0 && !mime_is(&t->v[t->v[i].parent], "multipart", "alternative"))
			p_r->is_body[i] = 0;
	}
	if (p_r->html.html)
		p_r->native = BODY_HTML;
}

/* -- attachments -- */

static const struct {
	const char *subtype, *extension;
} extensions[] = {
	{ "jpeg", "jpg" },  { "plain", "txt" },      { "calendar", "ics" }, { "svg+xml", "svg" },
	{ "x-vcard", "vcf" }, { "vcard", "vcf" },    { "octet-stream", "bin" }, { "pkcs7-mime", "p7m" },
	{ "x-pkcs7-mime", "p7m" }, { "pkcs7-signature", "p7s" }, { "x-pkcs7-signature", "p7s" }, { "msword", "doc" },
	{ "ms-tnef", "dat" }, { "delivery-status", "txt" }, { "rfc822-headers", "txt" },
};

static struct slice extension(const struct mime_part *p)
{
	for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++)
		if (slice_eq(p->subtype, slice_str(extensions[i].subtype)))
			return slice_str(extensions[i].extension);
	return p->subtype.len <= 5 ? p->subtype : S("bin");
}

static bool is_rfc822(const struct mime_part *p)
{
	return mime_is(p, "message", "rfc822") || mime_is(p, "message", "global");
}

/* Without folders in front: some senders write whole paths. */
static struct slice base_name(struct slice s)
{
	for (size_t i = s.len; i-- > 0;)
		if (s.ptr[i] == '/' || s.ptr[i] == '\\')
			return slice_from(s, i + 1);
	return s;
}

static struct slice display_name(struct arena *a, const struct mime_part *p)
{
	struct slice name = slice_trim(base_name(p->filename.len ? p->filename : p->name));

	if (is_rfc822(p)) {
		if (name.len == 0)
			name = slice_trim(utf8_cut(p->description, 200));
		if (name.len == 0)
			name = S("message");
		if (name.len > 4 && slice_ieq(slice_from(name, name.len - 4), S(".eml")))
			return name;
		return arena_printf(a, "%.*s.eml", SARG(name));
	}
	if (name.len)
		return name;
	return arena_printf(a, "attachment-%.*s.%.*s", SARG(p->number), SARG(extension(p)));
}

static bool is_attachment(const struct mime_tree *t, const struct body_parts *b, int i)
{
	const struct mime_part *p = &t->v[i];

	return !b->is_body[i] && !(mime_is_multipart(p) && (p->child != MIME_NONE || p->is_message));
}

static bool is_inline(const struct mime_tree *t, int i)
{
	const struct mime_part *p = &t->v[i];

	if (p->content_id.len == 0 && p->content_location.len == 0)
		return false;
	if (slice_eq(p->disposition, S("inline")))
		return true;
	return p->disposition.len == 0 && p->parent != MIME_NONE &&
	       mime_is(&t->v[p->parent], "multipart", "related");
}

size_t body_attachments(struct arena *a, const struct mime_tree *t, struct body_attachment **v_r)
{
	struct body_attachment *v = arena_alloc(a, t->n * sizeof(*v));
	struct body_parts b;
	size_t n = 0;

	body_parts_find(a, t, &b);
	for (int i = t->n ? 0 : MIME_NONE; i != MIME_NONE;) {
		const struct mime_part *p = &t->v[i];
		bool message = mime_is(p, "message", NULL);

		if (is_attachment(t, &b, i))
			v[n++] = (struct body_attachment){
				.part = i,
				.display_name = display_name(a, p),
				.method = is_rfc822(p) ? 5 : 1,
				.size = p->decoded_size,
				.content_id = p->content_id,
				.content_location = p->content_location,
				.is_inline = is_inline(t, i),
				.content_type = arena_printf(a, "%.*s/%.*s", SARG(p->type), SARG(p->subtype)),
			};
		i = mime_next(t, i, message ? MIME_OVER : MIME_INTO);
	}
	*v_r = v;
	return n;
}
