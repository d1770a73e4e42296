/* params.c - Content-Type and Content-Disposition values: main value and
 * parameters, RFC 2231 pieces joined and decoded. Any thread, iterative. Kept
 * apart from header.c because IMAP's BODYSTRUCTURE brings the same parameters
 * as pairs. The trap: unquoted file names with blanks and brackets are common,
 * so a value reaches to the next semicolon, not to the next blank. */
#include "proto/header.h"

#include <ctype.h>

#include "proto/charset.h"

static struct slice lower(struct arena *a, struct slice s)
{
	char *p = arena_alloc(a, s.len + 1);

	for (size_t i = 0; i < s.len; i++)
		p[i] = (char)tolower((unsigned char)s.ptr[i]);
	return slice(p, s.len);
}

/* Offset behind the comment at the front; nesting counted, not recursed. */
static size_t skip_comment(struct slice s)
{
	size_t i = 0;
	int depth = 0;

	for (; i < s.len; i++) {
		if (s.ptr[i] == '\\')
			i++;
		else if (s.ptr[i] == '(')
			depth++;
		else if (s.ptr[i] == ')' && --depth == 0)
			return i + 1;
	}
	return s.len;
}

static void skip_blanks(struct slice *s)
{
	while (s->len) {
		if (isspace((unsigned char)*s->ptr))
			*s = slice_from(*s, 1);
		else if (*s->ptr == '(')
			*s = slice_from(*s, skip_comment(*s));
		else
			break;
	}
}

static struct slice quoted(struct arena *a, struct slice *s)
{
	size_t n = 0, end = 1;
	char *p;

	while (end < s->len && s->ptr[end] != '"')
		end += s->ptr[end] == '\\' && end + 1 < s->len ? 2 : 1;
	if (end > s->len)
		end = s->len;
	p = arena_alloc(a, end);
	for (size_t i = 1; i < end; i++) {
		/* Windows paths come with single backslashes: only \" and \\ escape. */
		if (s->ptr[i] == '\\' && i + 1 < end && (s->ptr[i + 1] == '"' || s->ptr[i + 1] == '\\'))
			i++;
		p[n++] = s->ptr[i];
	}
	*s = slice_from(*s, end < s->len ? end + 1 : end);
	return slice(p, n);
}

static struct slice token_to_semicolon(struct slice *s)
{
	ptrdiff_t semi = slice_chr(*s, ';');
	struct slice v = semi < 0 ? *s : slice_to(*s, (size_t)semi);

	*s = slice_from(*s, v.len);
	return slice_trim(v);
}

static bool next_pair(struct arena *a, struct slice *s, struct param *p_r)
{
	size_t n = 0;

	for (;;) {
		skip_blanks(s);
		if (s->len == 0)
			return false;
		if (*s->ptr == ';') {
			*s = slice_from(*s, 1);
			continue;
		}
		for (n = 0; n < s->len && s->ptr[n] != '=' && s->ptr[n] != ';';)
			n++;
		if (n < s->len && s->ptr[n] == '=')
			break;
		*s = slice_from(*s, n); /* no '=': not a parameter */
	}
	p_r->name = slice_trim(slice_to(*s, n));
	*s = slice_from(*s, n + 1);
	while (s->len && isspace((unsigned char)*s->ptr))
		*s = slice_from(*s, 1);
	if (s->len && *s->ptr == '"') {
		p_r->value = quoted(a, s);
		token_to_semicolon(s);
	} else {
		p_r->value = token_to_semicolon(s);
	}
	return true;
}

void params_parse(struct arena *a, struct slice value, struct params *p_r)
{
	struct param pairs[HEADER_MAX_PARAMS];
	struct slice s = header_unfold(a, value), main;
	size_t n = 0, i = 0;

	skip_blanks(&s);
	while (i < s.len && s.ptr[i] != ';' && s.ptr[i] != '(' && !isspace((unsigned char)s.ptr[i]))
		i++;
	main = lower(a, slice_to(s, i));
	s = slice_from(s, i);
	while (n < HEADER_MAX_PARAMS && next_pair(a, &s, &pairs[n]))
		n++;
	params_join(a, pairs, n, p_r);
	p_r->main = main;
}

/* -- RFC 2231 -- */

enum { PIECE_PLAIN = -1, PIECE_WHOLE = -2, PIECE_BAD = -3 }; /* name=, name*=, name*x= */

struct piece {
	struct slice base, value;
	int index;     /* name*N, or one of the above */
	bool extended; /* percent-encoded */
	bool used;
};

static void piece_parse(struct arena *a, const struct param *p, struct piece *out)
{
	struct slice name = p->name;
	ptrdiff_t star = slice_chr(name, '*');
	uint64_t v;

	*out = (struct piece){ .value = p->value, .index = PIECE_PLAIN };
	out->base = lower(a, star < 0 ? name : slice_to(name, (size_t)star));
	if (star < 0)
		return;
	name = slice_from(name, (size_t)star + 1);
	if (name.len == 0) {
		out->index = PIECE_WHOLE;
		out->extended = true;
		return;
	}
	if (name.ptr[name.len - 1] == '*') {
		out->extended = true;
		name.len--;
	}
	out->index = slice_u64(name, &v) && v < HEADER_MAX_PARAMS ? (int)v : PIECE_BAD;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void unpercent(struct slice s, struct bytes *out)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '%' && i + 2 < s.len && hex(s.ptr[i + 1]) >= 0 && hex(s.ptr[i + 2]) >= 0) {
			bytes_char(out, (char)(hex(s.ptr[i + 1]) << 4 | hex(s.ptr[i + 2])));
			i += 2;
		} else {
			bytes_char(out, s.ptr[i]);
		}
	}
}

/* charset'language'text; without the quotes all of it is text. */
static struct slice split_charset(struct slice *s)
{
	ptrdiff_t q1 = slice_chr(*s, '\''), q2;
	struct slice charset;

	if (q1 < 0)
		return S_NONE;
	q2 = slice_chr(slice_from(*s, (size_t)q1 + 1), '\'');
	if (q2 < 0)
		return S_NONE;
	charset = slice_to(*s, (size_t)q1);
	*s = slice_from(*s, (size_t)(q1 + q2) + 2);
	return charset;
}

static struct piece *piece_find(struct piece *v, size_t n, struct slice base, int index)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].index == index && slice_eq(v[i].base, base))
			return &v[i];
	return NULL;
}

static struct slice join_numbered(struct arena *a, struct piece *v, size_t n, struct slice base)
{
	struct slice charset = S_NONE;
	struct bytes out;

	bytes_init(&out, a, HEADER_MAX_BYTES);
	for (int i = 0; i < HEADER_MAX_PARAMS; i++) {
		struct piece *p = piece_find(v, n, base, i);
		struct slice s;

		if (!p)
			break;
		s = p->value;
		if (p->extended && i == 0)
			charset = split_charset(&s);
		if (p->extended)
			unpercent(s, &out);
		else
			bytes_slice(&out, s);
	}
	if (charset.len == 0 && memmem(out.p ? out.p : "", out.n, "=?", 2))
		return header_text(a, bytes_get(&out));
	return charset_to_utf8(a, charset, bytes_get(&out));
}

static struct slice piece_value(struct arena *a, struct piece *v, size_t n, struct slice base)
{
	struct piece *whole = piece_find(v, n, base, PIECE_WHOLE), *plain;
	struct bytes out;

	if (whole) {
		struct slice s = whole->value, charset = split_charset(&s);

		bytes_init(&out, a, HEADER_MAX_BYTES);
		unpercent(s, &out);
		return charset_to_utf8(a, charset, bytes_get(&out));
	}
	if (piece_find(v, n, base, 0))
		return join_numbered(a, v, n, base);
	plain = piece_find(v, n, base, PIECE_PLAIN);
	return plain ? header_text(a, plain->value) : S_NONE;
}

void params_join(struct arena *a, const struct param *pairs, size_t n, struct params *p_r)
{
	struct piece v[HEADER_MAX_PARAMS];

	if (n > HEADER_MAX_PARAMS)
		n = HEADER_MAX_PARAMS;
	*p_r = (struct params){ .v = arena_alloc(a, n * sizeof(struct param)) };
	for (size_t i = 0; i < n; i++)
		piece_parse(a, &pairs[i], &v[i]);
	for (size_t i = 0; i < n; i++) {
		if (v[i].base.len == 0 || params_get(p_r, v[i].base.ptr).ptr)
			continue;
		p_r->v[p_r->n].name = v[i].base;
		p_r->v[p_r->n].value = piece_value(a, v, n, v[i].base);
		p_r->n++;
	}
}

struct slice params_get(const struct params *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (slice_eq(p->v[i].name, slice_str(name)))
			return p->v[i].value;
	return S_NONE;
}
