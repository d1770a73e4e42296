/* address.c - address lists: one pass over the value with a small state, no
 * recursion and no look-ahead, so hostile nesting costs linear time. Any
 * thread. The trap: names hold encoded words with commas inside, which count
 * as one word although the grammar forbids them. */
#include "proto/address.h"

#include <ctype.h>

#include "proto/charset.h"
#include "proto/header.h"

struct state {
	struct arena *arena;
	struct address_list *list;
	size_t cap;
	struct bytes phrase;  /* words outside brackets, quotes off, comments out */
	struct bytes plain;   /* the same as an address: quotes kept, blanks out */
	struct bytes angle;   /* inside < > */
	struct bytes comment; /* the last comment */
	bool in_angle, has_angle, blank;
};

static void reset(struct state *s)
{
	s->phrase.n = s->plain.n = s->angle.n = s->comment.n = 0;
	s->in_angle = s->has_angle = s->blank = false;
}

static struct slice keep(struct state *s, struct slice v)
{
	return arena_slice(s->arena, charset_to_utf8(s->arena, S_NONE, v));
}

/* "@a,@b:local@domain" -> "local@domain", blanks out. */
static struct slice without_route(struct slice v)
{
	v = slice_trim(v);
	if (v.len && *v.ptr == '@') {
		ptrdiff_t colon = slice_chr(v, ':');

		if (colon >= 0)
			v = slice_from(v, (size_t)colon + 1);
	}
	return slice_trim(v);
}

static void add(struct state *s, struct slice display, struct slice addr)
{
	struct address_list *l = s->list;

	if (l->n >= ADDRESS_MAX) {
		l->truncated = true;
		return;
	}
	l->v = arena_grow(s->arena, l->v, l->n, &s->cap, sizeof(*l->v));
	l->v[l->n].addr = keep(s, addr);
	l->v[l->n].display = arena_slice(s->arena, header_text(s->arena, display));
	if (slice_eq(l->v[l->n].display, l->v[l->n].addr))
		l->v[l->n].display = S_NONE;
	l->n++;
}

static void end_address(struct state *s)
{
	struct slice phrase = slice_trim(bytes_get(&s->phrase)), plain = bytes_get(&s->plain);
	struct slice comment = slice_trim(bytes_get(&s->comment));

	if (s->has_angle) {
		struct slice addr = without_route(bytes_get(&s->angle));

		if (addr.len || phrase.len)
			add(s, phrase.len ? phrase : comment, addr);
	} else if (phrase.len || plain.len) {
		bool single = slice_chr(plain, '@') >= 0 || (slice_chr(phrase, ' ') < 0 && slice_chr(phrase, '?') < 0);

		add(s, single ? comment : phrase, single ? plain : S_NONE);
	}
	reset(s);
}

static void word_gap(struct state *s)
{
	if (s->blank && s->phrase.n)
		bytes_char(&s->phrase, ' ');
	s->blank = false;
}

/* Both return how many bytes they took. */
static size_t take_comment(struct state *s, struct slice v)
{
	size_t i = 0;
	int depth = 0;

	s->comment.n = 0;
	for (; i < v.len; i++) {
		if (v.ptr[i] == '\\' && i + 1 < v.len)
			i++;
		else if (v.ptr[i] == '(' && depth < ADDRESS_MAX_COMMENT && depth++ == 0)
			continue;
		else if (v.ptr[i] == ')' && --depth == 0)
			return i + 1;
		bytes_char(&s->comment, v.ptr[i]);
	}
	return v.len;
}

static size_t take_quoted(struct state *s, struct slice v)
{
	size_t i = 1;

	word_gap(s);
	bytes_char(&s->plain, '"');
	for (; i < v.len && v.ptr[i] != '"'; i++) {
		if (v.ptr[i] == '\\' && i + 1 < v.len)
			bytes_char(&s->plain, v.ptr[i++]);
		bytes_char(&s->plain, v.ptr[i]);
		bytes_char(&s->phrase, v.ptr[i]);
	}
	bytes_char(&s->plain, '"');
	return i < v.len ? i + 1 : i;
}

/* "=?...?=" as one word, whatever is in it; 0 when it is none. */
static size_t encoded_word(struct slice v)
{
	struct slice head = slice_to(v, 1024);
	int marks = 0;

	if (!slice_starts(v, S("=?")))
		return 0;
	for (size_t i = 2; i < head.len && !isspace((unsigned char)head.ptr[i]); i++) {
		if (head.ptr[i] == '?' && marks++ >= 2 && i + 1 < head.len && head.ptr[i + 1] == '=')
			return i + 2;
	}
	return 0;
}

static size_t take_word(struct state *s, struct slice v)
{
	size_t n = encoded_word(v);

	if (n == 0)
		for (n = 1; n < v.len && !memchr(" \t\r\n()<>,;:\"=", v.ptr[n], 13);)
			n++;
	word_gap(s);
	bytes_add(&s->phrase, v.ptr, n);
	bytes_add(&s->plain, v.ptr, n);
	return n;
}

static size_t in_angle(struct state *s, struct slice v)
{
	char c = *v.ptr;
	struct slice so_far = bytes_get(&s->angle);

	if (c == '>') {
		s->in_angle = false;
	} else if (c == '<') {
		s->angle.n = 0;
	} else if (c == '(') {
		return take_comment(s, v);
	} else if (c == ',' && !(so_far.len && *so_far.ptr == '@')) {
		end_address(s); /* ">" is missing */
	} else if (!isspace((unsigned char)c)) {
		bytes_char(&s->angle, c);
	}
	return 1;
}

static size_t outside(struct state *s, struct slice v)
{
	switch (*v.ptr) {
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		s->blank = true;
		return 1;
	case '(':
		return take_comment(s, v);
	case '"':
		return take_quoted(s, v);
	case '<':
		if (!s->has_angle)
			s->in_angle = s->has_angle = true;
		return 1;
	case ',':
	case ';': /* Outlook's separator, and the end of a group */
		end_address(s);
		return 1;
	case ':': /* what came before named a group */
		reset(s);
		return 1;
	case ')':
	case '>':
		return 1;
	default:
		return take_word(s, v);
	}
}

void address_parse(struct arena *a, struct slice value, struct address_list *l_r)
{
	struct state s = { .arena = a, .list = l_r };
	struct slice v = header_unfold(a, value);

	*l_r = (struct address_list){ 0 };
	bytes_init(&s.phrase, a, 0);
	bytes_init(&s.plain, a, 0);
	bytes_init(&s.angle, a, 0);
	bytes_init(&s.comment, a, 0);
	while (v.len && !l_r->truncated)
		v = slice_from(v, s.in_angle ? in_angle(&s, v) : outside(&s, v));
	end_address(&s);
}

/* -- writing -- */

static void put_quoted(struct bytes *out, struct slice s)
{
	bytes_char(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"' || s.ptr[i] == '\\')
			bytes_char(out, '\\');
		bytes_char(out, s.ptr[i]);
	}
	bytes_char(out, '"');
}

static void put_address(struct bytes *out, const struct address *ad, enum address_form form)
{
	struct slice name = ad->display.len ? ad->display : ad->addr;

	switch (form) {
	case ADDRESS_ADDR:
		bytes_slice(out, ad->addr);
		break;
	case ADDRESS_NAME:
		bytes_slice(out, name);
		break;
	case ADDRESS_FULL:
		put_quoted(out, name);
		if (ad->addr.len) {
			bytes_slice(out, S(" <"));
			bytes_slice(out, ad->addr);
			bytes_char(out, '>');
		}
		break;
	}
}

struct slice address_format(struct arena *a, const struct address_list *l, enum address_form form, struct slice sep,
			    size_t max_chars)
{
	struct bytes out;
	size_t chars = 0;

	bytes_init(&out, a, 0);
	for (size_t i = 0; i < l->n; i++) {
		size_t before = out.n;

		if (form == ADDRESS_ADDR && l->v[i].addr.len == 0)
			continue;
		if (before)
			bytes_slice(&out, sep);
		put_address(&out, &l->v[i], form);
		chars += utf8_chars(slice(out.p + before, out.n - before));
		if (chars > max_chars) {
			out.n = before;
			break;
		}
	}
	return bytes_get(&out);
}

static bool is_atom_text(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) && !strchr(" !#$%&'*+-/=?^_`{|}~", s.ptr[i]))
			return false;
	return true;
}

static bool is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 32 || (unsigned char)s.ptr[i] > 126)
			return false;
	return true;
}

struct slice address_header(struct arena *a, const struct address_list *l)
{
	struct bytes out;

	bytes_init(&out, a, 0);
	for (size_t i = 0; i < l->n; i++) {
		const struct address *ad = &l->v[i];

		if (i)
			bytes_slice(&out, S(",\r\n "));
		if (ad->display.len && is_ascii(ad->display) && !is_atom_text(ad->display))
			put_quoted(&out, ad->display);
		else
			bytes_slice(&out, header_encode(a, ad->display, 10));
		if (ad->display.len)
			bytes_char(&out, ' ');
		bytes_char(&out, '<');
		bytes_slice(&out, ad->addr);
		bytes_char(&out, '>');
	}
	return bytes_get(&out);
}

bool address_same(struct slice a, struct slice b)
{
	return slice_ieq(slice_trim(a), slice_trim(b));
}
