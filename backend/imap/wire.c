/* wire.c - tokenizer and command buffer of IMAP. One worker at a time; owns the
 * stream. Trap: w->text is shared scratch: a token's text dies with the next call. */
#include "backend/imap/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metrics.h"

void wire_init(struct wire *w, struct stream *s)
{
	memset(w, 0, offsetof(struct wire, in));
	w->s = s;
}

void wire_deinit(struct wire *w)
{
	stream_close(&w->s);
	if (w->out)
		mem_wipe(w->out, w->out_cap); /* passwords went through it */
	free(w->out);
	free(w->text);
	memset(w, 0, offsetof(struct wire, in));
}

int wire_fail(struct wire *w, enum err_code code, const char *why)
{
	if (!w->failed) {
		w->failed = true;
		err_set(&w->err, code, "%s", why);
	}
	return -1;
}

/* -- bytes -- */

static bool fill(struct wire *w)
{
	uint64_t trips = stream_round_trips(w->s);
	ssize_t n;

	if (w->failed)
		return false;
	n = stream_read(w->s, w->in, sizeof(w->in), &w->err);
	metric_add(M_backend_round_trips_total, (int64_t)(stream_round_trips(w->s) - trips));
	if (n > 0) {
		w->at = 0;
		w->end = (size_t)n;
		return true;
	}
	if (n == 0)
		wire_fail(w, ERR_BACKEND_TEMP, "the server closed the connection");
	w->failed = true;
	return false;
}

static int peek(struct wire *w)
{
	if (w->at == w->end && !fill(w))
		return -1;
	return (unsigned char)w->in[w->at];
}

static int get(struct wire *w)
{
	int c = peek(w);

	if (c >= 0)
		w->at++;
	return c;
}

static bool keep(struct wire *w, int c)
{
	if (w->text_len + 1 >= w->text_cap) {
		if (w->text_len >= WIRE_TEXT_MAX)
			return wire_fail(w, ERR_BACKEND_TEMP, "the server sent an endless word") == 0;
		w->text_cap = w->text_cap ? w->text_cap * 2 : 256;
		w->text = mem_realloc(w->text, w->text_cap);
	}
	w->text[w->text_len++] = (char)c;
	w->text[w->text_len] = 0;
	return true;
}

static struct slice kept(const struct wire *w)
{
	return slice(w->text ? w->text : "", w->text_len);
}

/* Up to n bytes that are in the buffer (filled when empty); 0 on failure. */
static size_t chunk(struct wire *w, uint64_t n, const char **p_r)
{
	size_t have;

	if (peek(w) < 0)
		return 0;
	have = w->end - w->at;
	if (have > n)
		have = (size_t)n;
	*p_r = w->in + w->at;
	w->at += have;
	return have;
}

static void skip_literal(struct wire *w)
{
	const char *p;

	while (w->literal_left) {
		size_t n = chunk(w, w->literal_left, &p);

		if (n == 0)
			return;
		w->literal_left -= n;
	}
}

/* -- tokens -- */

static void literal_start(struct wire *w, struct tok *t)
{
	uint64_t n = 0;
	int c, digits = 0;

	while ((c = get(w)) >= '0' && c <= '9' && digits++ < 12)
		n = n * 10 + (uint64_t)(c - '0');
	if (c == '+')
		c = get(w);
	if (c != '}' || digits == 0 || n > WIRE_LITERAL_MAX)
		goto bad;
	c = get(w);
	if (c == '\r')
		c = get(w);
	if (c != '\n')
		goto bad;
	t->kind = TOK_LITERAL;
	t->size = w->literal_left = n;
	return;
bad:
	wire_fail(w, ERR_BACKEND_TEMP, "the server sent a bad literal");
}

static void quoted(struct wire *w, struct tok *t)
{
	int c;

	while ((c = get(w)) != '"') {
		if (c == '\\')
			c = get(w);
		if (c < 0 || !keep(w, c))
			return;
		if (c == '\n') {
			wire_fail(w, ERR_BACKEND_TEMP, "the server sent an open string");
			return;
		}
	}
	t->kind = TOK_QUOTED;
}

/* BODY[HEADER.FIELDS (FROM TO)]<0> is one word with blanks in its brackets. */
static bool has_section(const struct wire *w)
{
	struct slice s = kept(w);

	return slice_ieq(s, S("BODY")) || slice_ieq(s, S("BINARY"));
}

static void atom(struct wire *w, struct tok *t)
{
	bool inside = false;
	int c;

	while ((c = peek(w)) >= 0) {
		if (c == '\r' || c == '\n' || (!inside && (c == ' ' || c == '(' || c == ')')))
			break;
		if (c == '[' && has_section(w))
			inside = true;
		else if (c == ']')
			inside = false;
		w->at++;
		if (!keep(w, c))
			return;
	}
	if (c >= 0)
		t->kind = TOK_ATOM;
}

static void line_end(struct wire *w, struct tok *t)
{
	if (peek(w) == '\r')
		w->at++;
	if (get(w) == '\n')
		t->kind = TOK_EOL;
	else
		wire_fail(w, ERR_BACKEND_TEMP, "the server sent a lone CR");
}

static void literal8(struct wire *w, struct tok *t)
{
	get(w);
	if (peek(w) == '{') {
		get(w);
		literal_start(w, t);
	} else if (keep(w, '~')) {
		atom(w, t);
	}
}

void wire_token(struct wire *w, struct tok *t_r)
{
	int c;

	*t_r = (struct tok){ .kind = TOK_FAIL };
	skip_literal(w);
	w->text_len = 0;
	while ((c = peek(w)) == ' ')
		w->at++;
	switch (c) {
	case -1:
		return;
	case '(':
	case ')':
		w->at++;
		t_r->kind = c == '(' ? TOK_OPEN : TOK_CLOSE;
		return;
	case '"':
		w->at++;
		quoted(w, t_r);
		break;
	case '{':
		w->at++;
		literal_start(w, t_r);
		return;
	case '~':
		literal8(w, t_r);
		break;
	case '\r':
	case '\n':
		line_end(w, t_r);
		return;
	default:
		atom(w, t_r);
	}
	if (w->failed)
		t_r->kind = TOK_FAIL;
	t_r->text = kept(w);
}

struct slice wire_line(struct wire *w)
{
	int c;

	skip_literal(w);
	w->text_len = 0;
	if (peek(w) == ' ')
		w->at++;
	while ((c = get(w)) >= 0 && c != '\n')
		if (!keep(w, c))
			break;
	if (w->text_len && w->text[w->text_len - 1] == '\r')
		w->text[--w->text_len] = 0;
	return kept(w);
}

/* A literal's head stands at the end of its line, so a line that ends in {n} goes on. */
void wire_skip_line(struct wire *w)
{
	uint64_t n = 0;
	enum { TEXT, DIGITS, CLOSED } state = TEXT;
	int c;

	skip_literal(w);
	while ((c = get(w)) >= 0) {
		if (c == '\n' && state != CLOSED)
			return;
		if (c == '\n') {
			if (n > WIRE_LITERAL_MAX) {
				wire_fail(w, ERR_BACKEND_TEMP, "the server sent a huge literal");
				return;
			}
			w->literal_left = n;
			skip_literal(w);
			state = TEXT;
		} else if (c == '{') {
			state = DIGITS;
			n = 0;
		} else if (state == DIGITS && c >= '0' && c <= '9' && n <= WIRE_LITERAL_MAX) {
			n = n * 10 + (uint64_t)(c - '0');
		} else if (state == DIGITS && c == '}') {
			state = CLOSED;
		} else if (c != '\r') {
			state = TEXT;
		}
	}
}

void wire_skip_value(struct wire *w, const struct tok *t)
{
	struct tok in = *t;
	size_t depth = 0;

	for (;;) {
		if (in.kind == TOK_OPEN)
			depth++;
		else if (in.kind == TOK_CLOSE && depth)
			depth--;
		else if (in.kind == TOK_EOL)
			wire_fail(w, ERR_BACKEND_TEMP, "the server sent an open list");
		if (depth == 0 || w->failed)
			return;
		wire_token(w, &in);
	}
}

struct slice wire_string(struct wire *w, const struct tok *t, struct arena *a, size_t max)
{
	size_t want, got = 0;
	char *z;

	if (t->kind == TOK_ATOM && slice_ieq(t->text, S("NIL")))
		return S_NONE;
	if (t->kind == TOK_ATOM || t->kind == TOK_QUOTED)
		return arena_slice(a, slice_to(t->text, max));
	if (t->kind != TOK_LITERAL) {
		wire_skip_value(w, t);
		return S_NONE;
	}
	want = t->size < max ? (size_t)t->size : max;
	z = arena_alloc(a, want + 1);
	while (got < want) {
		const char *p;
		size_t n = chunk(w, want - got, &p);

		if (n == 0)
			return S_NONE;
		memcpy(z + got, p, n);
		got += n;
		w->literal_left -= n;
	}
	return slice(z, got);
}

void wire_to_blob(struct wire *w, const struct tok *t, struct blob *out, uint64_t max)
{
	uint64_t left = t->size;

	if (max == 0)
		max = UINT64_MAX;
	if (t->kind == TOK_QUOTED) {
		if (blob_append(out, t->text.ptr, slice_to(t->text, (size_t)max).len, &w->err) < 0)
			w->failed = true;
		return;
	}
	if (t->kind != TOK_LITERAL) {
		wire_skip_value(w, t);
		return;
	}
	if (left > max)
		left = max;
	while (left) {
		const char *p;
		size_t n = chunk(w, left, &p);

		if (n == 0)
			return;
		left -= n;
		w->literal_left -= n;
		if (blob_append(out, p, n, &w->err) < 0) {
			w->failed = true;
			return;
		}
	}
}

bool wire_has_line(const struct wire *w)
{
	return memchr(w->in + w->at, '\n', w->end - w->at) != NULL;
}

bool wire_readable(const struct wire *w)
{
	return wire_has_line(w) || stream_readable(w->s);
}

bool tok_is(const struct tok *t, const char *word)
{
	return t->kind == TOK_ATOM && slice_ieq(t->text, slice_str(word));
}

/* -- writing -- */

void wire_put(struct wire *w, const void *p, size_t n)
{
	if (w->out_len + n > w->out_cap) {
		w->out_cap = (w->out_len + n) * 2;
		w->out = mem_realloc(w->out, w->out_cap);
	}
	if (n)
		memcpy(w->out + w->out_len, p, n);
	w->out_len += n;
}

void wire_printf(struct wire *w, const char *fmt, ...)
{
	char small[512], *z = small;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(small)) {
		z = mem_alloc((size_t)n + 1);
		va_start(ap, fmt);
		vsnprintf(z, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	wire_put(w, z, (size_t)n);
	if (z != small)
		free(z);
}

void wire_quoted(struct wire *w, struct slice s)
{
	wire_put(w, "\"", 1);
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"' || s.ptr[i] == '\\')
			wire_put(w, "\\", 1);
		wire_put(w, s.ptr + i, 1);
	}
	wire_put(w, "\"", 1);
}

int wire_flush(struct wire *w)
{
	size_t n = w->out_len;

	w->out_len = 0;
	if (w->failed)
		return -1;
	if (n && stream_write(w->s, w->out, n, &w->err) < 0) {
		w->failed = true;
		return -1;
	}
	return 0;
}
