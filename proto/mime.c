/* mime.c - the part tree: building, numbering, looking. Any thread. The byte
 * reader that fills it is mime_reader.c, the imap backend is the other source.
 * Parts are in reading order, parents before children. The trap: t->v moves
 * when a part is added, so nothing keeps pointers across mime_add. */
#include "proto/mime.h"

#include <ctype.h>

void mime_tree_init(struct mime_tree *t, struct arena *a)
{
	*t = (struct mime_tree){ .arena = a };
}

int mime_add(struct mime_tree *t, int parent)
{
	struct mime_part *p;
	int depth = parent == MIME_NONE ? 0 : t->v[parent].depth + 1;
	int i = (int)t->n;

	if (t->n >= MIME_MAX_PARTS || depth >= MIME_MAX_DEPTH) {
		t->capped = true;
		return MIME_NONE;
	}
	t->v = arena_grow(t->arena, t->v, t->n, &t->cap, sizeof(*t->v));
	p = &t->v[t->n++];
	*p = (struct mime_part){ .type = S("text"), .subtype = S("plain"), .parent = parent, .child = MIME_NONE,
				 .next = MIME_NONE, .last_child = MIME_NONE, .depth = depth };
	if (parent == MIME_NONE)
		return i;
	if (t->v[parent].child == MIME_NONE)
		t->v[parent].child = i;
	else
		t->v[t->v[parent].last_child].next = i;
	t->v[parent].last_child = i;
	if (mime_is(&t->v[parent], "multipart", "digest")) {
		p->type = S("message");
		p->subtype = S("rfc822");
	}
	return i;
}

/* -- properties -- */

static struct slice mapped(struct arena *a, struct slice s, int (*map)(int))
{
	char *p;

	s = slice_trim(s);
	p = arena_alloc(a, s.len + 1);
	for (size_t i = 0; i < s.len; i++)
		p[i] = (char)map((unsigned char)s.ptr[i]);
	return slice(p, s.len);
}

/* Type names go into replies: letters, digits and - . + _ only. */
static bool token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) && !strchr("-.+_$!#&^", s.ptr[i]))
			return false;
	return s.len > 0 && s.len <= 127;
}

void mime_set_type(struct mime_tree *t, int part, struct slice type, struct slice subtype)
{
	struct mime_part *p = &t->v[part];

	type = mapped(t->arena, type, tolower);
	subtype = mapped(t->arena, subtype, tolower);
	if (slice_eq(type, S("text")) && subtype.len == 0)
		subtype = S("plain");
	if (!token(type) || !token(subtype)) {
		type = S("application");
		subtype = S("octet-stream");
	}
	p->type = type;
	p->subtype = subtype;
}

static struct slice get_lower(struct mime_tree *t, const struct params *p, const char *name)
{
	return mapped(t->arena, params_get(p, name), tolower);
}

/* "utf-8 (comment)" and "utf-8 format=x" without semicolon. */
static struct slice first_word(struct slice s)
{
	size_t i = 0;

	while (i < s.len && !isspace((unsigned char)s.ptr[i]) && s.ptr[i] != '(')
		i++;
	return slice_to(s, i);
}

static void apply_type_params(struct mime_tree *t, int part, const struct params *ps)
{
	struct mime_part *p = &t->v[part];

	p->charset = first_word(get_lower(t, ps, "charset"));
	p->name = params_get(ps, "name");
	p->boundary = params_get(ps, "boundary");
	p->method = mapped(t->arena, params_get(ps, "method"), toupper);
	p->smime_type = get_lower(t, ps, "smime-type");
	p->protocol = get_lower(t, ps, "protocol");
	p->report_type = get_lower(t, ps, "report-type");
	p->format = get_lower(t, ps, "format");
}

void mime_set_type_params(struct mime_tree *t, int part, const struct param *pairs, size_t n)
{
	struct params ps;

	params_join(t->arena, pairs, n, &ps);
	apply_type_params(t, part, &ps);
}

void mime_set_disposition(struct mime_tree *t, int part, struct slice value, const struct param *pairs, size_t n)
{
	struct params ps;

	params_join(t->arena, pairs, n, &ps);
	t->v[part].disposition = mapped(t->arena, value, tolower);
	t->v[part].filename = params_get(&ps, "filename");
}

void mime_set_content_id(struct mime_tree *t, int part, struct slice raw)
{
	struct slice s = charset_to_utf8(t->arena, S_NONE, slice_trim(header_unfold(t->arena, raw)));

	if (s.len && *s.ptr == '<')
		s = slice_from(s, 1);
	if (s.len && s.ptr[s.len - 1] == '>')
		s.len--;
	t->v[part].content_id = s;
}

void mime_set_encoding(struct mime_tree *t, int part, struct slice name, uint64_t size_bytes, uint32_t lines)
{
	t->v[part].encoding = transfer_parse(first_word(slice_trim(name)));
	t->v[part].size = size_bytes;
	t->v[part].lines = lines;
}

static struct slice text_of(struct mime_tree *t, struct slice block, struct slice name)
{
	struct header_field f;

	return header_find(block, name, &f) ? header_text(t->arena, f.value) : S_NONE;
}

/* The header block of a part, as the byte reader found it. */
void mime_set_header(struct mime_tree *t, int part, struct slice block)
{
	struct header_field f;
	struct params ps;

	if (header_find(block, S("Content-Type"), &f)) {
		ptrdiff_t slash;

		params_parse(t->arena, f.value, &ps);
		slash = slice_chr(ps.main, '/');
		if (ps.main.len) /* an empty one says nothing: the default stays */
			mime_set_type(t, part, slash < 0 ? ps.main : slice_to(ps.main, (size_t)slash),
				      slash < 0 ? S_NONE : slice_from(ps.main, (size_t)slash + 1));
		apply_type_params(t, part, &ps);
	}
	if (header_find(block, S("Content-Disposition"), &f)) {
		params_parse(t->arena, f.value, &ps);
		t->v[part].disposition = utf8_make_clean(t->arena, ps.main);
		t->v[part].filename = params_get(&ps, "filename");
	}
	if (header_find(block, S("Content-Transfer-Encoding"), &f))
		t->v[part].encoding = transfer_parse(first_word(header_unfold(t->arena, f.value)));
	if (header_find(block, S("Content-ID"), &f))
		mime_set_content_id(t, part, f.value);
	t->v[part].content_location = text_of(t, block, S("Content-Location"));
	t->v[part].description = text_of(t, block, S("Content-Description"));
	t->v[part].content_class = text_of(t, block, S("Content-Class"));
}

/* -- finishing -- */

static uint64_t estimate(const struct mime_part *p)
{
	switch (p->encoding) {
	case TRANSFER_BASE64: /* 76 characters and CRLF carry 57 bytes */
		if (p->lines && p->size > 2 * (uint64_t)p->lines)
			return (p->size - 2 * (uint64_t)p->lines) * 3 / 4;
		return p->size < 78 ? p->size * 3 / 4 : p->size / 78 * 57 + p->size % 78 * 57 / 78;
	case TRANSFER_UU: /* 61 characters and CRLF carry 45 */
		return p->size / 63 * 45 + p->size % 63 * 45 / 63;
	default:
		return p->size;
	}
}

static void number_part(struct mime_tree *t, int i, struct slice *prefix, int *count)
{
	struct mime_part *p = &t->v[i];
	struct slice outer = p->parent == MIME_NONE ? S_NONE : prefix[p->parent];
	const char *dot = outer.len ? "." : "";

	if (p->is_message && mime_is_multipart(p)) {
		p->number = arena_printf(t->arena, "%.*s%sTEXT", SARG(outer), dot);
		prefix[i] = outer;
		return;
	}
	p->number = arena_printf(t->arena, "%.*s%s%d", SARG(outer), dot,
				 p->parent == MIME_NONE ? 1 : ++count[p->parent]);
	prefix[i] = p->number;
}

void mime_finish(struct mime_tree *t)
{
	struct slice *prefix = arena_alloc(t->arena, t->n * sizeof(*prefix));
	int *count = arena_alloc(t->arena, t->n * sizeof(*count));

	for (size_t i = 0; i < t->n; i++) {
		struct mime_part *p = &t->v[i];

		p->is_message = p->parent == MIME_NONE || mime_is(&t->v[p->parent], "message", NULL);
		if (p->decoded_size == 0)
			p->decoded_size = estimate(p);
		number_part(t, (int)i, prefix, count);
	}
}

/* -- looking -- */

bool mime_is(const struct mime_part *p, const char *type, const char *subtype)
{
	return slice_eq(p->type, slice_str(type)) && (!subtype || slice_eq(p->subtype, slice_str(subtype)));
}

int mime_next(const struct mime_tree *t, int part, enum mime_walk how)
{
	if (how == MIME_INTO && t->v[part].child != MIME_NONE)
		return t->v[part].child;
	while (part != MIME_NONE && t->v[part].next == MIME_NONE)
		part = t->v[part].parent;
	return part == MIME_NONE ? MIME_NONE : t->v[part].next;
}

int mime_find(const struct mime_tree *t, const char *type, const char *subtype)
{
	int i = t->n ? 0 : MIME_NONE;

	while (i != MIME_NONE && !mime_is(&t->v[i], type, subtype))
		i = mime_next(t, i, mime_is(&t->v[i], "message", NULL) ? MIME_OVER : MIME_INTO);
	return i;
}

int mime_by_number(const struct mime_tree *t, struct slice number)
{
	for (size_t i = 0; i < t->n; i++)
		if (slice_ieq(t->v[i].number, number))
			return (int)i;
	return MIME_NONE;
}

struct slice mime_body(const struct mime_tree *t, int part, struct slice raw)
{
	const struct mime_part *p = &t->v[part];

	return slice_to(slice_from(raw, (size_t)p->body_off), (size_t)p->size);
}

enum mime_smime mime_smime(const struct mime_tree *t)
{
	const struct mime_part *p = t->v;

	if (t->n == 0)
		return MIME_SMIME_NONE;
	if (mime_is(p, "multipart", "signed"))
		return memmem(p->protocol.ptr ? p->protocol.ptr : "", p->protocol.len, "pkcs7", 5) ?
			       MIME_SMIME_SIGNED : MIME_SMIME_NONE;
	if (mime_is(p, "application", "pkcs7-mime") || mime_is(p, "application", "x-pkcs7-mime"))
		return MIME_SMIME_OPAQUE;
	if (mime_is(p, "application", "octet-stream") &&
	    (slice_ieq(p->filename, S("smime.p7m")) || slice_ieq(p->name, S("smime.p7m"))))
		return MIME_SMIME_OPAQUE;
	return MIME_SMIME_NONE;
}
