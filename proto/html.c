/* html.c - HTML to text in one pass over the bytes. Any thread; state is one
 * struct in the arena, whatever the nesting: no tree, no recursion, any split.
 * The writer (text side) and the tokenizer (markup side) meet in put_text and
 * on_tag. The trap: line ends are wanted by blocks but written by the next
 * text, so that empty blocks at the end leave nothing. */
#include "proto/html.h"

#include <ctype.h>
#include <stdlib.h>

enum { TAG_MAX = 24, ATTR_MAX = 16, VALUE_MAX = 2000, ENTITY_MAX = 12, LIST_MAX = 16, QUOTE_MAX = 8, BREAKS_MAX = 20 };

enum tok {
	T_TEXT,
	T_ENTITY,
	T_OPEN,      /* behind '<' */
	T_NAME,
	T_ATTRS,     /* between attributes */
	T_ATTR,      /* in an attribute's name */
	T_EQ,        /* behind it */
	T_VALUE,     /* behind '=' */
	T_DOUBLE,
	T_SINGLE,
	T_BARE,
	T_BANG,      /* behind "<!" */
	T_COMMENT,
	T_BOGUS,     /* up to '>' */
	T_RAW,       /* script, style: up to "</name" */
};

struct html_reader {
	struct bytes *out;
	enum tok tok;
	bool slash, self;           /* </name, name/> */
	char tag[TAG_MAX], attr[ATTR_MAX], entity[ENTITY_MAX];
	unsigned tag_n, attr_n, entity_n;
	struct bytes value;         /* of the attribute in hand */
	struct bytes href, alt;     /* of the tag in hand */
	bool entity_in_value;
	enum tok value_tok;
	unsigned dashes;            /* seen in a comment */
	char raw[TAG_MAX];          /* name that ends T_RAW */
	unsigned raw_n;

	bool in_head, in_title;
	unsigned pre, quote;
	unsigned breaks;            /* line ends wanted before the next text */
	bool space, tab, started;
	struct bytes link;          /* href of the open <a> */
	size_t link_at;             /* where its text began in out */
	struct {
		bool ordered;
		unsigned count;
	} list[LIST_MAX];
	unsigned lists;
	bool bullet;
};

/* -- text side -- */

static void want_breaks(struct html_reader *r, unsigned n)
{
	if (r->breaks < n)
		r->breaks = n;
	r->space = r->tab = false;
}

static void write_breaks(struct html_reader *r)
{
	for (unsigned i = 0; i < r->breaks && r->started; i++) {
		bytes_slice(r->out, S("\r\n"));
		if (i + 1 == r->breaks)
			for (unsigned q = 0; q < r->quote; q++)
				bytes_slice(r->out, S("> "));
	}
	if (!r->started)
		for (unsigned q = 0; q < r->quote; q++)
			bytes_slice(r->out, S("> "));
	r->breaks = 0;
}

static void write_bullet(struct html_reader *r)
{
	char z[16] = "* ";
	unsigned level = r->lists ? r->lists - 1 : 0;

	if (r->lists && r->list[level].ordered) {
		unsigned v = ++r->list[level].count % 100000, n = 0;
		char digits[8];

		do
			digits[n++] = (char)('0' + v % 10);
		while ((v /= 10) > 0);
		for (unsigned i = 0; i < n; i++)
			z[i] = digits[n - 1 - i];
		z[n] = '.';
		z[n + 1] = ' ';
		z[n + 2] = 0;
	}
	for (unsigned i = 0; i < level; i++)
		bytes_slice(r->out, S("  "));
	bytes_slice(r->out, slice_str(z));
	r->bullet = false;
}

/* What must stand before the next visible character. */
static void begin_text(struct html_reader *r)
{
	if (r->breaks || !r->started) {
		write_breaks(r);
		r->space = r->tab = false;
	}
	r->started = true;
	if (r->bullet)
		write_bullet(r);
	else if (r->tab)
		bytes_char(r->out, '\t');
	else if (r->space)
		bytes_char(r->out, ' ');
	r->space = r->tab = false;
}

static bool hidden(const struct html_reader *r)
{
	return r->in_head || r->in_title;
}

static void put_run(struct html_reader *r, struct slice s)
{
	if (s.len == 0 || hidden(r))
		return;
	begin_text(r);
	bytes_slice(r->out, s);
}

static void put_blank(struct html_reader *r, char c)
{
	if (hidden(r))
		return;
	if (!r->pre) {
		r->space = r->started && !r->breaks;
	} else if (c == '\n') {
		if (r->breaks < BREAKS_MAX)
			r->breaks++;
	} else if (c != '\r') {
		put_run(r, slice(&c, 1));
	}
}

static void put_code(struct html_reader *r, uint32_t cp)
{
	static const uint16_t c1[32] = { /* windows-1252, as browsers read &#128; to &#159; */
		0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
		0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
		0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178,
	};

	if (cp == ' ' || (cp >= '\t' && cp <= '\r')) {
		put_blank(r, cp == '\n' ? '\n' : ' ');
		return;
	}
	if (cp < 32 || cp == 0xAD || cp == 0xFFFE || cp == 0xFFFF || hidden(r))
		return;
	if (cp >= 128 && cp < 160)
		cp = c1[cp - 128];
	begin_text(r);
	utf8_put(r->out, cp == 0xA0 ? ' ' : cp);
}

/* -- links -- */

static struct slice bare_url(struct slice u)
{
	static const struct slice prefixes[] = { { "mailto:", 7 }, { "http://", 7 }, { "https://", 8 } };

	u = slice_trim(u);
	for (size_t i = 0; i < 3; i++)
		if (slice_istarts(u, prefixes[i]))
			u = slice_from(u, prefixes[i].len);
	while (u.len && u.ptr[u.len - 1] == '/')
		u.len--;
	return u;
}

static void end_link(struct html_reader *r)
{
	struct slice url = slice_trim(bytes_get(&r->link)), text;
	bool useful = slice_istarts(url, S("http")) || slice_istarts(url, S("mailto:")) || slice_istarts(url, S("ftp"));

	if (!useful || r->out->full || r->out->n <= r->link_at || r->link.full || hidden(r)) {
		r->link.n = 0;
		return;
	}
	text = slice_trim(slice(r->out->p + r->link_at, r->out->n - r->link_at));
	if (!slice_ieq(bare_url(text), bare_url(url))) {
		bytes_slice(r->out, S(" <"));
		bytes_slice(r->out, url);
		bytes_char(r->out, '>');
	}
	r->link.n = 0;
}

static void begin_link(struct html_reader *r)
{
	end_link(r);
	bytes_slice(&r->link, bytes_get(&r->href));
	r->link.full = r->href.full;
	r->link_at = r->out->n;
}

/* -- markup side -- */

enum role {
	ROLE_INLINE,
	ROLE_BLOCK,   /* a line of its own */
	ROLE_PARA,    /* an empty line around */
	ROLE_BR,
	ROLE_CELL,
	ROLE_LIST,
	ROLE_ITEM,
	ROLE_PRE,
	ROLE_QUOTE,
	ROLE_LINK,
	ROLE_IMAGE,
	ROLE_HEAD,
	ROLE_BODY,
	ROLE_TITLE,
	ROLE_RAW,
};

static const struct tag_row {
	const char *name;
	enum role role;
} tags[] = { /* sorted by name */
	{ "a", ROLE_LINK },          { "address", ROLE_BLOCK },   { "article", ROLE_BLOCK }, { "aside", ROLE_BLOCK },
	{ "blockquote", ROLE_QUOTE }, { "body", ROLE_BODY },      { "br", ROLE_BR },         { "center", ROLE_BLOCK },
	{ "dd", ROLE_BLOCK },        { "dir", ROLE_LIST },        { "div", ROLE_BLOCK },     { "dl", ROLE_PARA },
	{ "dt", ROLE_BLOCK },        { "fieldset", ROLE_BLOCK },  { "footer", ROLE_BLOCK },  { "form", ROLE_BLOCK },
	{ "h1", ROLE_PARA },         { "h2", ROLE_PARA },         { "h3", ROLE_PARA },       { "h4", ROLE_PARA },
	{ "h5", ROLE_PARA },         { "h6", ROLE_PARA },         { "head", ROLE_HEAD },     { "header", ROLE_BLOCK },
	{ "hr", ROLE_PARA },         { "img", ROLE_IMAGE },       { "li", ROLE_ITEM },       { "main", ROLE_BLOCK },
	{ "menu", ROLE_LIST },       { "nav", ROLE_BLOCK },       { "ol", ROLE_LIST },       { "p", ROLE_PARA },
	{ "pre", ROLE_PRE },         { "script", ROLE_RAW },      { "section", ROLE_BLOCK }, { "style", ROLE_RAW },
	{ "table", ROLE_BLOCK },     { "tbody", ROLE_BLOCK },     { "td", ROLE_CELL },       { "th", ROLE_CELL },
	{ "title", ROLE_TITLE },     { "tr", ROLE_BLOCK },        { "ul", ROLE_LIST },
};

static int tag_cmp(const void *key, const void *row)
{
	return strcmp(key, ((const struct tag_row *)row)->name);
}

static void on_list(struct html_reader *r)
{
	want_breaks(r, r->lists ? 1 : 2);
	if (r->slash) {
		r->lists -= r->lists > 0;
		want_breaks(r, r->lists ? 1 : 2);
	} else if (r->lists < LIST_MAX) {
		r->list[r->lists].ordered = strcmp(r->tag, "ol") == 0;
		r->list[r->lists++].count = 0;
	}
	r->bullet = false;
}

static void on_image(struct html_reader *r)
{
	struct slice alt = slice_trim(bytes_get(&r->alt));

	if (alt.len == 0 || hidden(r))
		return;
	put_run(r, S("["));
	bytes_slice(r->out, utf8_cut(alt, 200));
	bytes_char(r->out, ']');
}

/* Nesting that is only counted. */
static void count(unsigned *n, bool closing, unsigned max)
{
	if (closing)
		*n -= *n > 0;
	else if (*n < max)
		++*n;
}

/* What can be seen ends a head that nobody closed. */
static void leave_head(struct html_reader *r, enum role role)
{
	if (role != ROLE_INLINE && role < ROLE_HEAD)
		r->in_head = r->in_title = false;
}

static void on_tag(struct html_reader *r)
{
	const struct tag_row *row;

	r->tag[r->tag_n] = 0;
	row = bsearch(r->tag, tags, sizeof(tags) / sizeof(*tags), sizeof(*tags), tag_cmp);
	leave_head(r, row ? row->role : ROLE_INLINE);
	switch (row ? row->role : ROLE_INLINE) {
	case ROLE_INLINE:
		break;
	case ROLE_BLOCK:
		want_breaks(r, 1);
		break;
	case ROLE_PARA:
		want_breaks(r, 2);
		break;
	case ROLE_BR:
		if (r->breaks < BREAKS_MAX && !hidden(r))
			r->breaks++;
		r->space = r->tab = false;
		break;
	case ROLE_CELL:
		if (!r->slash && r->started && !r->breaks)
			r->tab = true;
		break;
	case ROLE_LIST:
		on_list(r);
		break;
	case ROLE_ITEM:
		want_breaks(r, 1);
		r->bullet = !r->slash;
		break;
	case ROLE_PRE:
		want_breaks(r, 2);
		count(&r->pre, r->slash, 100);
		break;
	case ROLE_QUOTE:
		want_breaks(r, 2);
		count(&r->quote, r->slash, QUOTE_MAX);
		break;
	case ROLE_LINK:
		if (r->slash)
			end_link(r);
		else
			begin_link(r);
		break;
	case ROLE_IMAGE:
		on_image(r);
		break;
	case ROLE_HEAD:
		r->in_head = !r->slash;
		r->in_title = false;
		break;
	case ROLE_BODY:
		r->in_head = r->in_title = false;
		break;
	case ROLE_TITLE:
		r->in_title = !r->slash;
		break;
	case ROLE_RAW:
		if (!r->slash && !r->self) {
			memcpy(r->raw, r->tag, r->tag_n + 1);
			r->raw_n = 0;
			r->tok = T_RAW;
		}
		break;
	}
}

/* -- entities -- */

static const struct entity {
	const char *name;
	uint32_t cp;
} entities[] = {
#define E(name, cp) { name, cp },
#include "proto/entities.def"
#undef E
};

static int entity_cmp(const void *key, const void *row)
{
	return strcmp(key, ((const struct entity *)row)->name);
}

/* The code point of what stands between '&' and ';', 0 when unknown. */
static uint32_t entity_code(const char *name, unsigned n, bool semicolon)
{
	const struct entity *e;

	if (n > 1 && name[0] == '#') {
		bool is_hex = name[1] == 'x' || name[1] == 'X';
		char *end;
		unsigned long v = strtoul(name + 1 + is_hex, &end, is_hex ? 16 : 10);

		if (end != name + n || end == name + 1 + is_hex)
			return 0;
		return v == 0 || v > 0x10FFFF ? 0xFFFD : (uint32_t)v;
	}
	if (strcmp(name, "apos") == 0)
		return '\'';
	e = bsearch(name, entities, sizeof(entities) / sizeof(*entities), sizeof(*entities), entity_cmp);
	return e && (semicolon || e->cp < 256) ? e->cp : 0;
}

/* Not a name we know: as it was written. */
static void put_raw_entity(struct html_reader *r, struct slice tail)
{
	struct slice parts[3] = { S("&"), { r->entity, r->entity_n }, tail };

	for (int i = 0; i < 3; i++) {
		if (r->entity_in_value)
			bytes_slice(&r->value, parts[i]);
		else
			put_run(r, parts[i]);
	}
}

/* `next` is the byte that ended it; 0 at the end of the input. */
static void end_entity(struct html_reader *r, char next)
{
	uint32_t cp;

	r->entity[r->entity_n] = 0;
	r->tok = r->entity_in_value ? r->value_tok : T_TEXT;
	cp = entity_code(r->entity, r->entity_n, next == ';');
	if (r->entity_in_value && next == '=') /* href="?a=1&copy=2" */
		cp = 0;
	if (!cp)
		put_raw_entity(r, next == ';' ? S(";") : S_NONE);
	else if (r->entity_in_value)
		utf8_put(&r->value, cp);
	else
		put_code(r, cp);
}

static void begin_entity(struct html_reader *r, bool in_value)
{
	r->entity_n = 0;
	r->entity_in_value = in_value;
	if (in_value)
		r->value_tok = r->tok;
	r->tok = T_ENTITY;
}

/* -- tokenizer -- */

static void end_attr(struct html_reader *r)
{
	struct slice name = slice(r->attr, r->attr_n);
	struct bytes *to = slice_eq(name, S("href")) ? &r->href : slice_eq(name, S("alt")) ? &r->alt : NULL;

	if (to && to->n == 0) {
		bytes_slice(to, bytes_get(&r->value));
		to->full = r->value.full;
	}
	r->attr_n = 0;
	r->value.n = 0;
	r->value.full = false;
}

static void end_tag(struct html_reader *r)
{
	end_attr(r);
	r->tok = T_TEXT;
	on_tag(r);
}

static void begin_tag(struct html_reader *r)
{
	r->tag_n = r->attr_n = 0;
	r->slash = r->self = false;
	r->value.n = r->href.n = r->alt.n = 0;
	r->value.full = r->href.full = r->alt.full = false;
	r->tok = T_OPEN;
}

static void push(char *buf, unsigned *n, unsigned max, char c)
{
	if (*n + 1 < max)
		buf[(*n)++] = (char)tolower((unsigned char)c);
}

/* Each step takes one byte; false: look at it again in the new state. */
static bool step_open(struct html_reader *r, char c)
{
	if (c == '/' && !r->slash) {
		r->slash = true;
	} else if (c == '!' && !r->slash) {
		r->tok = T_BANG;
		r->dashes = 0;
	} else if (c == '?') {
		r->tok = T_BOGUS;
	} else if (isalpha((unsigned char)c)) {
		r->tok = T_NAME;
		return false;
	} else { /* "a < b": text */
		r->tok = r->slash ? T_BOGUS : T_TEXT;
		if (!r->slash)
			put_run(r, S("<"));
		return false;
	}
	return true;
}

static bool step_tag(struct html_reader *r, char c)
{
	bool blank = isspace((unsigned char)c);

	if (c == '>') {
		end_tag(r);
		return true;
	}
	switch (r->tok) {
	case T_NAME:
		if (blank || c == '/') {
			r->tok = T_ATTRS;
			r->self = c == '/';
		} else {
			push(r->tag, &r->tag_n, TAG_MAX, c);
		}
		return true;
	case T_ATTRS:
		if (c == '/')
			r->self = true;
		else if (!blank) {
			end_attr(r);
			r->tok = T_ATTR;
			return false;
		}
		return true;
	case T_ATTR:
		if (c == '=')
			r->tok = T_VALUE;
		else if (blank)
			r->tok = T_EQ;
		else if (c == '/')
			r->tok = T_ATTRS;
		else
			push(r->attr, &r->attr_n, ATTR_MAX, c);
		return true;
	case T_EQ:
		if (c == '=')
			r->tok = T_VALUE;
		else if (!blank) {
			r->tok = T_ATTRS;
			return false;
		}
		return true;
	default: /* T_VALUE */
		r->self = false;
		if (c == '"')
			r->tok = T_DOUBLE;
		else if (c == '\'')
			r->tok = T_SINGLE;
		else if (!blank) {
			r->tok = T_BARE;
			return false;
		}
		return true;
	}
}

static bool step_value(struct html_reader *r, char c)
{
	char end = r->tok == T_DOUBLE ? '"' : '\'';

	if (r->tok == T_BARE ? isspace((unsigned char)c) || c == '>' : c == end) {
		bool again = r->tok == T_BARE;

		r->tok = T_ATTRS;
		end_attr(r);
		return !again;
	}
	if (c == '&')
		begin_entity(r, true);
	else
		bytes_char(&r->value, c == '\n' || c == '\r' ? ' ' : c);
	return true;
}

static bool step_entity(struct html_reader *r, char c)
{
	if ((isalnum((unsigned char)c) || (c == '#' && r->entity_n == 0)) && r->entity_n + 1 < ENTITY_MAX) {
		r->entity[r->entity_n++] = c;
		return true;
	}
	end_entity(r, c);
	return c == ';';
}

static void step_comment(struct html_reader *r, char c)
{
	if (r->tok == T_BANG) {
		if (c == '-' && ++r->dashes == 2) {
			r->tok = T_COMMENT;
			r->dashes = 2; /* "<!-->" is whole */
		} else if (c != '-') {
			r->tok = c == '>' ? T_TEXT : T_BOGUS;
		}
		return;
	}
	if (c == '>' && r->dashes >= 2)
		r->tok = T_TEXT;
	r->dashes = c == '-' ? r->dashes + 1 : 0;
}

/* Counts how much of "</name" has matched in raw_n. */
static void step_raw(struct html_reader *r, char c)
{
	size_t len = strlen(r->raw);

	c = (char)tolower((unsigned char)c);
	if (c == '<') {
		r->raw_n = 1;
	} else if (r->raw_n == 1 && c == '/') {
		r->raw_n = 2;
	} else if (r->raw_n >= 2 && r->raw_n < len + 2 && c == r->raw[r->raw_n - 2]) {
		r->raw_n++;
	} else if (r->raw_n == len + 2 && (c == '>' || c == '/' || isspace((unsigned char)c))) {
		r->tok = c == '>' ? T_TEXT : T_BOGUS;
		r->raw_n = 0;
	} else {
		r->raw_n = 0;
	}
}

static bool step(struct html_reader *r, char c)
{
	switch (r->tok) {
	case T_TEXT:
		if (c == '<')
			begin_tag(r);
		else if (c == '&')
			begin_entity(r, false);
		else
			put_blank(r, c);
		return true;
	case T_ENTITY:
		return step_entity(r, c);
	case T_OPEN:
		return step_open(r, c);
	case T_DOUBLE:
	case T_SINGLE:
	case T_BARE:
		return step_value(r, c);
	case T_BANG:
	case T_COMMENT:
		step_comment(r, c);
		return true;
	case T_BOGUS:
		if (c == '>')
			r->tok = T_TEXT;
		return true;
	case T_RAW:
		step_raw(r, c);
		return true;
	default:
		return step_tag(r, c);
	}
}

static bool is_special(char c)
{
	return c == '<' || c == '&' || c == ' ' || (c >= '\t' && c <= '\r');
}

void html_feed(struct html_reader *r, struct slice in)
{
	size_t i = 0;

	while (i < in.len) {
		size_t run = i;

		if (r->tok == T_TEXT) {
			while (run < in.len && !is_special(in.ptr[run]))
				run++;
			put_run(r, slice(in.ptr + i, run - i));
			i = run;
			if (i == in.len)
				break;
		}
		if (step(r, in.ptr[i]))
			i++;
	}
}

struct html_reader *html_reader_new(struct arena *a, struct bytes *out)
{
	struct html_reader *r = ARENA_NEW(a, struct html_reader);

	r->out = out;
	bytes_init(&r->value, a, VALUE_MAX);
	bytes_init(&r->href, a, VALUE_MAX);
	bytes_init(&r->alt, a, VALUE_MAX);
	bytes_init(&r->link, a, VALUE_MAX);
	return r;
}

void html_end(struct html_reader *r)
{
	if (r->tok == T_ENTITY)
		end_entity(r, 0);
	if (r->tok == T_OPEN && !r->slash)
		put_run(r, S("<"));
	end_link(r);
}

struct slice html_to_text(struct arena *a, struct slice html, size_t limit_bytes, uint64_t *total_r)
{
	struct html_reader *r;
	struct bytes out;

	bytes_init(&out, a, limit_bytes);
	r = html_reader_new(a, &out);
	html_feed(r, html);
	html_end(r);
	if (total_r)
		*total_r = out.total;
	return utf8_whole(bytes_get(&out));
}
