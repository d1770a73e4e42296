/* header.c - header blocks: fields, folding, encoded words, and the head of a
 * mail in one struct. Any thread, iterative. Parameters are in params.c. The
 * trap: searching a hostile "=?=?=?..." again and again for its end would be
 * quadratic, so the next "?=" is remembered. */
#include "proto/header.h"

#include <ctype.h>
#include <stdlib.h>

#include "proto/charset.h"

/* -- fields -- */

/* Length of the line at the front with its line end. */
static size_t line_length(struct slice s)
{
	ptrdiff_t lf = slice_chr(s, '\n');

	return lf < 0 ? s.len : (size_t)lf + 1;
}

static struct slice without_eol(struct slice s)
{
	if (s.len && s.ptr[s.len - 1] == '\n')
		s.len--;
	if (s.len && s.ptr[s.len - 1] == '\r')
		s.len--;
	return s;
}

/* Bytes of the field name, 0 when the line is no field. *colon_r: its offset. */
static size_t name_length(struct slice line, size_t *colon_r)
{
	size_t n = 0, i;

	while (n < line.len && line.ptr[n] > 32 && line.ptr[n] < 127 && line.ptr[n] != ':')
		n++;
	for (i = n; i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t');)
		i++;
	if (n == 0 || i == line.len || line.ptr[i] != ':')
		return 0;
	*colon_r = i;
	return n;
}

bool header_is_field(struct slice line)
{
	size_t colon;

	return name_length(line, &colon) > 0;
}

bool header_is_envelope(struct slice line)
{
	return slice_starts(line, S("From ")) || slice_starts(line, S(">From "));
}

bool header_next(struct slice *rest, struct header_field *f_r)
{
	struct slice s = *rest;
	size_t n, name, colon, lines = 0;

	while (header_is_envelope(s) && lines++ < 2) /* mbox */
		s = slice_from(s, line_length(s));
	n = line_length(s);
	name = name_length(slice_to(s, n), &colon);
	if (name == 0)
		return false;
	while (n < s.len && (s.ptr[n] == ' ' || s.ptr[n] == '\t'))
		n += line_length(slice_from(s, n));
	f_r->name = slice_to(s, name);
	f_r->line = slice_to(s, n);
	f_r->value = without_eol(slice_from(f_r->line, colon + 1));
	*rest = slice_from(s, n);
	return true;
}

bool header_find(struct slice block, struct slice name, struct header_field *f_r)
{
	while (header_next(&block, f_r))
		if (slice_ieq(f_r->name, name))
			return true;
	return false;
}

size_t header_length(struct slice mail)
{
	struct header_field f;
	struct slice rest = mail;
	size_t n;

	while (header_next(&rest, &f)) {
	}
	while (header_is_envelope(rest) && rest.ptr == mail.ptr)
		rest = slice_from(rest, line_length(rest));
	n = mail.len - rest.len;
	if (slice_starts(rest, S("\r\n")))
		n += 2;
	else if (slice_starts(rest, S("\n")))
		n += 1;
	return n;
}

/* -- text -- */

struct slice header_unfold(struct arena *a, struct slice v)
{
	char *p;
	size_t n = 0;

	v = slice_trim(v);
	if (slice_chr(v, '\n') < 0 && slice_chr(v, '\r') < 0 && slice_chr(v, 0) < 0)
		return v;
	p = arena_alloc(a, v.len + 1);
	for (size_t i = 0; i < v.len; i++) {
		char c = v.ptr[i];

		if (c == '\n' || c == '\r') {
			while (n && (p[n - 1] == ' ' || p[n - 1] == '\t'))
				n--;
			while (i + 1 < v.len && strchr(" \t\r\n", v.ptr[i + 1]) && v.ptr[i + 1])
				i++;
			p[n++] = ' ';
		} else if (c) {
			p[n++] = c;
		}
	}
	return slice(p, n);
}

enum { MAX_WORDS = 4000 }; /* encoded words of one value; the rest stays as it is */

/* A run of source bytes in one charset, waiting to be converted whole. */
struct text {
	struct arena *arena;
	struct bytes out;     /* done */
	struct bytes pending; /* source bytes */
	struct slice charset;
	size_t end_mark;      /* where the next "?=" is, once looked for */
	unsigned words;
};

static void text_flush(struct text *t)
{
	bytes_slice(&t->out, charset_to_utf8(t->arena, t->charset, bytes_get(&t->pending)));
	t->pending.n = 0;
}

static void text_literal(struct text *t, struct slice s)
{
	if (s.len == 0)
		return;
	text_flush(t);
	t->charset = S_NONE;
	bytes_slice(&t->out, charset_to_utf8(t->arena, S_NONE, s));
}

/* Offset of the next two characters `mark` at or behind `at`, or SIZE_MAX. */
static size_t find_mark(struct slice s, size_t at, const char mark[2])
{
	for (;;) {
		ptrdiff_t q = slice_chr(slice_from(s, at), mark[0]);

		if (q < 0 || (at += (size_t)q) + 1 >= s.len)
			return SIZE_MAX;
		if (s.ptr[at + 1] == mark[1])
			return at;
		at++;
	}
}

struct word {
	struct slice charset, text;
	char encoding;
	size_t len;
};

/* The encoded word at offset `at` of s, which starts with "=?". */
static bool word_at(struct text *t, struct slice s, size_t at, struct word *w)
{
	struct slice rest = slice_from(s, at + 2);
	ptrdiff_t q = slice_chr(slice_to(rest, 64), '?');
	size_t begin;

	if (q <= 0 || rest.len < (size_t)q + 3 || rest.ptr[q + 2] != '?')
		return false;
	w->charset = slice_to(rest, (size_t)q);
	w->encoding = (char)tolower((unsigned char)rest.ptr[q + 1]);
	if ((w->encoding != 'b' && w->encoding != 'q') || slice_chr(w->charset, ' ') >= 0)
		return false;
	begin = at + 2 + (size_t)q + 3;
	if (t->end_mark < begin)
		t->end_mark = find_mark(s, begin, "?=");
	if (t->end_mark == SIZE_MAX)
		return false;
	w->text = slice(s.ptr + begin, t->end_mark - begin);
	w->len = t->end_mark + 2 - at;
	q = slice_chr(w->charset, '*'); /* RFC 2231 language */
	if (q > 0)
		w->charset = slice_to(w->charset, (size_t)q);
	return true;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void word_decode(struct word *w, struct bytes *out)
{
	struct slice s = w->text;

	if (w->encoding == 'b') {
		struct transfer_reader r;

		transfer_init(&r, TRANSFER_BASE64);
		transfer_feed(&r, s, out);
		return;
	}
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == '=' && i + 2 < s.len && hex(s.ptr[i + 1]) >= 0 && hex(s.ptr[i + 2]) >= 0) {
			c = (char)(hex(s.ptr[i + 1]) << 4 | hex(s.ptr[i + 2]));
			i += 2;
		} else if (c == '_') {
			c = ' ';
		}
		bytes_char(out, c);
	}
}

static void text_word(struct text *t, struct word *w)
{
	if (!slice_ieq(t->charset, w->charset))
		text_flush(t);
	t->charset = w->charset;
	word_decode(w, &t->pending);
	t->words++;
}

static bool only_blanks(struct slice s)
{
	return slice_trim(s).len == 0;
}

struct slice header_text(struct arena *a, struct slice value)
{
	struct slice s = header_unfold(a, value);
	struct text t = { .arena = a };
	size_t done = 0, at = 0;
	bool after_word = false;

	if (find_mark(s, 0, "=?") == SIZE_MAX)
		return charset_to_utf8(a, S_NONE, s);
	bytes_init(&t.out, a, 0);
	bytes_init(&t.pending, a, 0);
	while (at < s.len && t.words < MAX_WORDS) {
		struct slice gap;
		struct word w;

		at = find_mark(s, at, "=?");
		if (at == SIZE_MAX)
			break;
		if (!word_at(&t, s, at, &w)) {
			at += 2;
			continue;
		}
		gap = slice(s.ptr + done, at - done);
		if (!after_word || !only_blanks(gap))
			text_literal(&t, gap);
		text_word(&t, &w);
		after_word = true;
		at += w.len;
		done = at;
	}
	text_flush(&t);
	text_literal(&t, slice_from(s, done));
	return slice_trim(utf8_make_clean(a, bytes_get(&t.out)));
}

/* -- writing -- */

static bool needs_words(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 127 || (unsigned char)s.ptr[i] < 32 ||
		    (s.ptr[i] == '=' && i + 1 < s.len && s.ptr[i + 1] == '?'))
			return true;
	return false;
}

static void encode_words(struct slice s, struct bytes *out)
{
	bool first = true;

	while (s.len) {
		struct slice piece = utf8_cut(s, 45); /* 60 characters of base64 */

		if (piece.len == 0) /* no character ends here: not UTF-8 */
			piece = slice_to(s, 45);
		if (!first)
			bytes_slice(out, S("\r\n "));
		bytes_slice(out, S("=?utf-8?B?"));
		base64_lines(piece, out);
		out->n -= 2; /* its line end */
		bytes_slice(out, S("?="));
		s = slice_from(s, piece.len);
		first = false;
	}
}

struct slice header_encode(struct arena *a, struct slice s, size_t used_columns)
{
	size_t column = used_columns;
	struct slice word;
	struct bytes out;
	bool first = true;

	bytes_init(&out, a, 0);
	if (needs_words(s)) {
		encode_words(s, &out);
		return bytes_get(&out);
	}
	while (slice_split(&s, ' ', &word)) {
		if (!first && column + 1 + word.len > 76 && word.len) {
			bytes_slice(&out, S("\r\n"));
			column = 0;
		}
		if (!first)
			bytes_char(&out, ' ');
		bytes_slice(&out, word);
		column += word.len + 1;
		first = false;
	}
	return bytes_get(&out);
}

/* -- the head of a mail -- */

const char mail_header_fields[] =
	"From Sender To Cc Bcc Reply-To Subject Date Message-ID In-Reply-To References Importance X-Priority Priority "
	"X-MSMail-Priority Thread-Topic Thread-Index Content-Class List-ID List-Unsubscribe Auto-Submitted Precedence "
	"Disposition-Notification-To Content-Type X-CallingTelephoneNumber";

enum kind { K_RAW, K_TEXT, K_LIST, K_DATE, K_IMPORTANCE, K_PRECEDENCE };

#define H(name, kind, member) { name, kind, offsetof(struct mail_headers, member) }

static const struct head_field {
	const char *name;
	enum kind kind;
	size_t offset;
} head_fields[] = {
	H("From", K_RAW, from),
	H("Sender", K_RAW, sender),
	H("To", K_LIST, to),
	H("Cc", K_LIST, cc),
	H("Bcc", K_LIST, bcc),
	H("Reply-To", K_RAW, reply_to),
	H("Subject", K_TEXT, subject),
	H("Date", K_DATE, date_ms),
	H("Message-ID", K_RAW, message_id),
	H("In-Reply-To", K_RAW, in_reply_to),
	H("References", K_RAW, references),
	H("Importance", K_IMPORTANCE, importance),
	H("X-Priority", K_IMPORTANCE, importance),
	H("Priority", K_IMPORTANCE, importance),
	H("X-MSMail-Priority", K_IMPORTANCE, importance),
	H("Thread-Topic", K_TEXT, thread_topic),
	H("Thread-Index", K_RAW, thread_index),
	H("Content-Class", K_RAW, content_class),
	H("List-ID", K_RAW, list_id),
	H("List-Unsubscribe", K_RAW, list_unsubscribe),
	H("Auto-Submitted", K_RAW, auto_submitted),
	H("Precedence", K_PRECEDENCE, is_list),
	H("Disposition-Notification-To", K_RAW, receipt_to),
	H("Content-Type", K_RAW, content_type),
	H("X-CallingTelephoneNumber", K_TEXT, voice_caller),
};

static const struct head_field *head_field(struct slice name)
{
	for (size_t i = 0; i < sizeof(head_fields) / sizeof(*head_fields); i++)
		if (slice_ieq(name, slice_str(head_fields[i].name)))
			return &head_fields[i];
	return NULL;
}

static void set_importance(struct mail_headers *h, struct slice name, struct slice value)
{
	static const struct {
		struct slice word;
		enum mail_importance is;
	} words[] = {
		{ { "high", 4 }, MAIL_HIGH },   { { "urgent", 6 }, MAIL_HIGH },  { { "low", 3 }, MAIL_LOW },
		{ { "non-urgent", 10 }, MAIL_LOW }, { { "normal", 6 }, MAIL_NORMAL }, { { "1", 1 }, MAIL_HIGH },
		{ { "2", 1 }, MAIL_HIGH },      { { "3", 1 }, MAIL_NORMAL },     { { "4", 1 }, MAIL_LOW },
		{ { "5", 1 }, MAIL_LOW },
	};

	if (h->has_importance && !slice_ieq(name, S("Importance")))
		return;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (slice_istarts(value, words[i].word)) {
			h->importance = words[i].is;
			h->has_importance = true;
			return;
		}
	}
}

static void head_set(struct arena *a, struct mail_headers *h, const struct head_field *row,
		     const struct header_field *f, struct bytes *list)
{
	struct slice *member = (struct slice *)((char *)h + row->offset);
	struct slice value;

	if ((row->kind == K_RAW || row->kind == K_TEXT) && member->len)
		return; /* the first one counts */
	value = row->kind == K_TEXT ? header_text(a, f->value) :
				      charset_to_utf8(a, S_NONE, header_unfold(a, f->value));
	switch (row->kind) {
	case K_RAW:
	case K_TEXT:
		*member = value;
		break;
	case K_LIST:
		if (list->n && value.len)
			bytes_slice(list, S(", "));
		bytes_slice(list, value);
		*member = bytes_get(list);
		break;
	case K_DATE:
		if (h->date_ms == DATE_NONE)
			h->date_ms = date_parse_mail(value);
		break;
	case K_IMPORTANCE:
		set_importance(h, f->name, value);
		break;
	case K_PRECEDENCE:
		h->is_list |= slice_istarts(value, S("list"));
		h->is_auto |= slice_istarts(value, S("bulk")) || slice_istarts(value, S("auto")) ||
			      slice_istarts(value, S("junk"));
		break;
	}
}

void mail_headers_parse(struct arena *a, struct slice block, struct mail_headers *h_r)
{
	struct bytes lists[3];
	struct header_field f;

	*h_r = (struct mail_headers){ .date_ms = DATE_NONE, .importance = MAIL_NORMAL };
	for (int i = 0; i < 3; i++)
		bytes_init(&lists[i], a, HEADER_MAX_BYTES);
	block = slice_to(block, HEADER_MAX_BYTES);
	while (header_next(&block, &f)) {
		const struct head_field *row = head_field(f.name);
		int list = 0;

		if (!row) {
			h_r->is_list |= slice_istarts(f.name, S("List-"));
			continue;
		}
		if (row->kind == K_LIST)
			list = row->offset == offsetof(struct mail_headers, to) ? 0 :
			       row->offset == offsetof(struct mail_headers, cc) ? 1 : 2;
		head_set(a, h_r, row, &f, &lists[list]);
	}
	h_r->is_list |= h_r->list_id.len > 0 || h_r->list_unsubscribe.len > 0;
	h_r->is_auto |= h_r->auto_submitted.len > 0 && !slice_istarts(h_r->auto_submitted, S("no"));
}
