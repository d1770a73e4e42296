/* compose.c - a mail that leaves: its head set right, and for SmartReply and
 * SmartForward the original worked in. Any thread; output goes to a blob.
 * The phone's parts are spliced by offset, never taken apart: what is not a
 * quoted text is copied as it stands. The trap: "Content-*" fields belong to
 * the body, so they move into the first part when the mail gets a new shell. */
#include "proto/compose.h"

#include <ctype.h>

#include "base/digest.h"
#include "proto/bodypick.h"
#include "proto/html.h"
#include "proto/quote.h"

struct writer {
	struct blob *out;
	struct err *err;
	char last;
	bool failed;
};

static void put(struct writer *w, struct slice s)
{
	if (s.len == 0 || w->failed)
		return;
	w->failed = blob_append(w->out, s.ptr, s.len, w->err) < 0;
	w->last = s.ptr[s.len - 1];
}

/* Any line end to CRLF, also over calls. */
static void put_crlf(struct writer *w, struct slice s)
{
	size_t from = 0;

	for (size_t i = 0; i < s.len; i++) {
		char before = i ? s.ptr[i - 1] : w->last;

		if (s.ptr[i] == '\n' && before != '\r') {
			put(w, slice(s.ptr + from, i - from));
			put(w, S("\r\n"));
			from = i + 1;
		} else if (s.ptr[i] != '\n' && before == '\r') { /* bare CR */
			put(w, slice(s.ptr + from, i - from));
			put(w, S("\n"));
			from = i;
		}
	}
	put(w, slice(s.ptr + from, s.len - from));
}

static void end_line(struct writer *w)
{
	if (w->last == '\r')
		put(w, S("\n"));
	else if (w->last != '\n')
		put(w, S("\r\n"));
}

static void put_field(struct writer *w, struct slice name, struct slice value)
{
	put(w, name);
	put(w, S(": "));
	put(w, value);
	put(w, S("\r\n"));
}

/* -- the job -- */

enum { MAX_EDITS = 2 };

/* A leaf of the phone's mail that gets a new text. */
struct edit {
	int part;
	enum body_type type;
	struct slice text; /* new, whole, UTF-8 */
};

struct job {
	struct arena *a;
	const struct compose *c;
	struct writer w;
	struct mime_tree phone, orig;
	struct slice head;             /* header block of the phone's mail */
	struct mail_headers h, oh;
	struct edit edit[MAX_EDITS];
	size_t n_edits;
	struct slice lead;             /* a text part of ours in front, when the phone wrote no text */
	const struct body_attachment *add; /* original parts that go along */
	size_t n_add;
	bool attach_whole;
	bool shell;                    /* we put multipart/mixed around */
	struct slice boundary;
};

static bool is_content_field(struct slice name)
{
	return slice_istarts(name, S("Content-"));
}

static bool is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] > 126)
			return false;
	return true;
}

/* Raw 8-bit in a head is not allowed on the way: written as encoded words. */
static void put_field_line(struct job *j, const struct header_field *f)
{
	if (is_ascii(f->line)) {
		put_crlf(&j->w, f->line);
		end_line(&j->w);
	} else if (slice_ieq(f->name, S("From")) || slice_ieq(f->name, S("To")) || slice_ieq(f->name, S("Cc")) ||
		   slice_ieq(f->name, S("Bcc")) || slice_ieq(f->name, S("Reply-To")) || slice_ieq(f->name, S("Sender"))) {
		struct address_list l;

		address_parse(j->a, f->value, &l);
		put_field(&j->w, f->name, address_header(j->a, &l));
	} else if (is_content_field(f->name)) { /* parameters: our reader copes, others do too */
		put_crlf(&j->w, f->line);
		end_line(&j->w);
	} else {
		put_field(&j->w, f->name, header_encode(j->a, header_text(j->a, f->value), f->name.len + 2));
	}
}

static const struct edit *edit_of(const struct job *j, int part)
{
	for (size_t i = 0; i < j->n_edits; i++)
		if (j->edit[i].part == part)
			return &j->edit[i];
	return NULL;
}

static void put_text_headers(struct job *j, enum body_type type)
{
	put_field(&j->w, S("Content-Type"),
		  type == BODY_HTML ? S("text/html; charset=utf-8") : S("text/plain; charset=utf-8"));
	put_field(&j->w, S("Content-Transfer-Encoding"), S("quoted-printable"));
}

static void put_qp(struct job *j, struct slice text)
{
	struct bytes qp;

	bytes_init(&qp, j->a, 0);
	qp_encode(text, &qp);
	put(&j->w, bytes_get(&qp));
}

/* Content fields of a part's header block; an edited leaf gets ours. */
static void put_content_fields(struct job *j, struct slice block, const struct edit *e)
{
	struct header_field f;

	while (header_next(&block, &f)) {
		if (!is_content_field(f.name))
			continue;
		if (e && (slice_ieq(f.name, S("Content-Type")) || slice_ieq(f.name, S("Content-Transfer-Encoding")) ||
			  slice_ieq(f.name, S("Content-Length")) || slice_ieq(f.name, S("Content-MD5"))))
			continue;
		put_field_line(j, &f);
	}
	if (e)
		put_text_headers(j, e->type);
}

/* -- head -- */

static struct slice with_reference(struct job *j)
{
	struct slice refs = j->oh.references.len ? j->oh.references : j->oh.in_reply_to, id;
	struct bytes out;
	size_t column = 12;

	bytes_init(&out, j->a, 8192);
	refs = arena_printf(j->a, "%.*s %.*s", SARG(refs), SARG(j->oh.message_id));
	while (slice_split(&refs, ' ', &id)) {
		if (id.len == 0 || out.n + id.len > 8000)
			continue;
		if (out.n)
			bytes_slice(&out, column + id.len > 76 ? S("\r\n ") : S(" "));
		column = column + id.len > 76 ? id.len + 1 : column + id.len + 1;
		bytes_slice(&out, id);
	}
	return bytes_get(&out);
}

static void put_missing(struct job *j, bool has_mime_version)
{
	const struct compose *c = j->c;
	struct address_list l;

	if (c->from.len && (c->force_from || j->h.from.len == 0)) {
		address_parse(j->a, c->from, &l);
		put_field(&j->w, S("From"), address_header(j->a, &l));
	}
	if (j->h.date_ms == DATE_NONE)
		put_field(&j->w, S("Date"), date_format_mail(j->a, c->date_ms));
	if (c->message_id.len && (c->force_message_id || j->h.message_id.len == 0))
		put_field(&j->w, S("Message-ID"), c->message_id);
	if (c->kind != COMPOSE_SEND && j->oh.message_id.len) {
		if (c->kind == COMPOSE_REPLY && j->h.in_reply_to.len == 0)
			put_field(&j->w, S("In-Reply-To"), j->oh.message_id);
		if (j->h.references.len == 0)
			put_field(&j->w, S("References"), with_reference(j));
	}
	if (!has_mime_version)
		put_field(&j->w, S("MIME-Version"), S("1.0"));
}

static bool is_replaced(const struct job *j, struct slice name)
{
	const struct compose *c = j->c;

	if (slice_ieq(name, S("Bcc")))
		return !c->keep_bcc;
	if (slice_ieq(name, S("From")))
		return c->force_from && c->from.len;
	if (slice_ieq(name, S("Message-ID")))
		return c->force_message_id && c->message_id.len;
	if (slice_ieq(name, S("Date"))) /* one that nobody can read is replaced */
		return j->h.date_ms == DATE_NONE;
	return is_content_field(name);
}

static void put_head(struct job *j)
{
	struct slice block = j->head;
	struct header_field f;
	bool mime_version = false;

	while (header_next(&block, &f)) {
		if (is_replaced(j, f.name))
			continue;
		mime_version |= slice_ieq(f.name, S("MIME-Version"));
		put_field_line(j, &f);
	}
	put_missing(j, mime_version);
}

/* -- body -- */

static struct slice raw_between(struct slice raw, uint64_t from, uint64_t to)
{
	return slice_to(slice_from(raw, (size_t)from), (size_t)(to - from));
}

/* The phone's body with its edited leaves exchanged. */
static void put_phone_body(struct job *j)
{
	struct slice raw = j->c->mime;
	uint64_t at = j->phone.v[0].body_off;

	for (size_t i = 0; i < j->phone.n; i++) {
		const struct mime_part *p = &j->phone.v[i];
		const struct edit *e = edit_of(j, (int)i);

		if (!e)
			continue;
		if (i > 0) {
			put_crlf(&j->w, raw_between(raw, at, p->header_off));
			put_content_fields(j, raw_between(raw, p->header_off, p->body_off), e);
			put(&j->w, S("\r\n"));
		}
		put_qp(j, e->text);
		at = p->body_off + p->size;
	}
	put_crlf(&j->w, slice_from(raw, (size_t)at));
}

static void put_boundary(struct job *j, struct slice tail)
{
	end_line(&j->w);
	put(&j->w, S("--"));
	put(&j->w, j->boundary);
	put(&j->w, tail);
	put(&j->w, S("\r\n"));
}

/* A part of the original, header and body, as it stands. */
static void put_original_part(struct job *j, int part)
{
	const struct mime_part *p = &j->orig.v[part];

	put_boundary(j, S(""));
	if (part == 0) { /* the mail is one attachment: only its content fields go along */
		put_content_fields(j, j->orig.header, NULL);
		put(&j->w, S("\r\n"));
		put_crlf(&j->w, mime_body(&j->orig, 0, j->c->original));
		return;
	}
	put_crlf(&j->w, raw_between(j->c->original, p->header_off, p->body_off + p->size));
}

static void put_original_whole(struct job *j)
{
	put_boundary(j, S(""));
	put_field(&j->w, S("Content-Type"), S("message/rfc822"));
	put_field(&j->w, S("Content-Disposition"), S("attachment"));
	put(&j->w, S("\r\n"));
	put_crlf(&j->w, j->c->original);
}

static void put_shelled(struct job *j)
{
	put(&j->w, S("Content-Type: multipart/mixed; boundary=\""));
	put(&j->w, j->boundary);
	put(&j->w, S("\"\r\n\r\n"));
	if (j->lead.len) {
		put_boundary(j, S(""));
		put_text_headers(j, BODY_TEXT);
		put(&j->w, S("\r\n"));
		put_qp(j, j->lead);
	}
	put_boundary(j, S(""));
	put_content_fields(j, j->head, edit_of(j, 0));
	put(&j->w, S("\r\n"));
	put_phone_body(j);
	for (size_t i = 0; i < j->n_add; i++)
		put_original_part(j, j->add[i].part);
	if (j->attach_whole)
		put_original_whole(j);
	put_boundary(j, S("--"));
}

static void put_body(struct job *j)
{
	if (j->shell) {
		put_shelled(j);
		return;
	}
	put_content_fields(j, j->head, edit_of(j, 0));
	put(&j->w, S("\r\n"));
	put_phone_body(j);
}

/* -- what of the original goes along -- */

static void add_edit(struct job *j, int part, enum body_type type)
{
	struct slice raw = j->c->mime, text, quote;
	const struct mime_part *p = &j->phone.v[part];

	text = transfer_decode(j->a, p->encoding, mime_body(&j->phone, part, raw), 0);
	text = charset_to_utf8(j->a, p->charset, text);
	quote = quote_original(j->a, &j->oh, &j->orig, j->c->original, type,
			       j->c->kind == COMPOSE_REPLY ? QUOTE_REPLY : QUOTE_FORWARD);
	j->edit[j->n_edits].part = part;
	j->edit[j->n_edits].type = type;
	j->edit[j->n_edits++].text = quote_join(j->a, text, quote, type);
}

static void plan_quotes(struct job *j)
{
	struct body_parts b;

	body_parts_find(j->a, &j->phone, &b);
	for (size_t i = 0; i < b.text.n && j->n_edits == 0; i++)
		if (mime_is(&j->phone.v[b.text.v[i]], "text", "plain"))
			add_edit(j, b.text.v[i], BODY_TEXT);
	for (size_t i = 0; i < b.html.n && j->n_edits < 2; i++) {
		if (!mime_is(&j->phone.v[b.html.v[i]], "text", "html"))
			continue;
		add_edit(j, b.html.v[i], BODY_HTML);
		break;
	}
	if (j->n_edits == 0)
		j->lead = quote_original(j->a, &j->oh, &j->orig, j->c->original, BODY_TEXT,
					 j->c->kind == COMPOSE_REPLY ? QUOTE_REPLY : QUOTE_FORWARD);
}

static void plan_attachments(struct job *j)
{
	struct body_attachment *v;
	size_t n = body_attachments(j->a, &j->orig, &v);
	bool html = false;

	for (size_t i = 0; i < j->n_edits; i++)
		html |= j->edit[i].type == BODY_HTML;
	j->add = v;
	for (size_t i = 0; i < n; i++)
		if (j->c->kind == COMPOSE_FORWARD || (html && v[i].is_inline))
			v[j->n_add++] = v[i];
}

/* A boundary that occurs in neither mail. */
static struct slice make_boundary(struct job *j)
{
	for (unsigned i = 0; i < 8; i++) {
		struct slice n = arena_printf(j->a, "boundary %u", i), parts[2] = { j->c->boundary_seed, n };
		struct sha256 d = digest_parts(parts, 2);
		struct slice b = arena_printf(j->a, "=_%.*s", SARG(hex_encode(j->a, d.b, 16)));

		if (!memmem(j->c->mime.ptr, j->c->mime.len, b.ptr, b.len) &&
		    !memmem(j->c->original.ptr ? j->c->original.ptr : "", j->c->original.len, b.ptr, b.len))
			return b;
	}
	return S("=_zpushd_boundary");
}

static void plan(struct job *j)
{
	const struct compose *c = j->c;

	mime_parse(j->a, c->mime, &j->phone);
	if (c->kind == COMPOSE_SEND || c->original.len == 0)
		return;
	mime_parse(j->a, c->original, &j->orig);
	mail_headers_parse(j->a, j->orig.header, &j->oh);
	if (c->replace_mime || mime_smime(&j->phone) != MIME_SMIME_NONE)
		return;
	if (c->kind == COMPOSE_FORWARD && mime_smime(&j->orig) != MIME_SMIME_NONE) {
		j->attach_whole = true;
	} else {
		plan_quotes(j);
		plan_attachments(j);
	}
	j->shell = j->n_add || j->attach_whole || j->lead.len;
	if (j->shell)
		j->boundary = make_boundary(j);
}

/* -- result -- */

static void add_recipients(struct job *j, struct slice value, struct address_list *to, size_t *cap)
{
	struct address_list l;

	address_parse(j->a, value, &l);
	for (size_t i = 0; i < l.n; i++) {
		size_t k = 0;

		if (l.v[i].addr.len == 0)
			continue;
		while (k < to->n && !address_same(to->v[k].addr, l.v[i].addr))
			k++;
		if (k < to->n)
			continue;
		to->v = arena_grow(j->a, to->v, to->n, cap, sizeof(*to->v));
		to->v[to->n++] = l.v[i];
	}
	to->truncated |= l.truncated;
}

static void fill_result(struct job *j, struct compose_result *r)
{
	const struct compose *c = j->c;
	struct address_list l;
	size_t cap = 0;

	*r = (struct compose_result){ .subject = j->h.subject };
	add_recipients(j, j->h.to, &r->rcpt, &cap);
	add_recipients(j, j->h.cc, &r->rcpt, &cap);
	add_recipients(j, j->h.bcc, &r->rcpt, &cap);
	address_parse(j->a, c->from.len && (c->force_from || j->h.from.len == 0) ? c->from : j->h.from, &l);
	r->sender = l.n ? l.v[0].addr : S_NONE;
	r->message_id = c->message_id.len && (c->force_message_id || j->h.message_id.len == 0) ? c->message_id :
												  j->h.message_id;
}

int compose_mail(struct arena *a, const struct compose *c, struct blob *out, struct compose_result *r_r, struct err *e)
{
	struct job j = { .a = a, .c = c, .w = { .out = out, .err = e, .last = '\n' } };
	struct slice rest;
	struct header_field f;

	j.head = slice_to(c->mime, header_length(c->mime));
	rest = j.head;
	if (!header_next(&rest, &f))
		return err_set(e, ERR_BAD_REQUEST, "the mail to send has no head");
	mail_headers_parse(a, j.head, &j.h);
	plan(&j);
	put_head(&j);
	put_body(&j);
	end_line(&j.w);
	fill_result(&j, r_r);
	return j.w.failed ? -1 : 0;
}
