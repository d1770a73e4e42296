/* mime_reader.c - fills a part tree from the bytes of a mail, line by line and
 * in any pieces. Any thread; lives in the request's arena. Memory: the header
 * lines (capped) and the open boundaries, never the bodies. The traps: a line
 * end in front of a boundary belongs to the boundary, and a boundary of an
 * outer part ends all inner ones, closed or not. */
#include "proto/mime.h"

struct boundary {
	struct slice text;
	int part;
};

struct mime_reader {
	struct mime_tree t;
	uint64_t pos;          /* offset of the line in hand */
	uint64_t line_len;     /* its bytes so far, partial ones included */
	struct bytes partial;  /* a line that began in an earlier piece */
	int cur;               /* innermost open part */
	bool in_header;
	bool opaque;           /* cap on parts: boundaries no longer count */
	unsigned prev_eol;     /* bytes of the line end before this line */
	struct bytes header;   /* of the part in hand */
	size_t header_total;
	uint64_t decoded;      /* of the leaf in hand */
	struct boundary open[MIME_MAX_DEPTH];
	int n_open;
};

struct line {
	struct slice head;  /* content without its line end; a very long one is cut */
	uint64_t len;       /* content */
	unsigned eol;       /* 0, 1 or 2 */
	uint64_t off;
};

void mime_set_header(struct mime_tree *t, int part, struct slice block);

struct mime_reader *mime_reader_new(struct arena *a)
{
	struct mime_reader *r = ARENA_NEW(a, struct mime_reader);

	mime_tree_init(&r->t, a);
	bytes_init(&r->partial, a, MIME_MAX_HEADER_BYTES);
	bytes_init(&r->header, a, MIME_MAX_HEADER_BYTES);
	r->cur = mime_add(&r->t, MIME_NONE);
	r->in_header = true;
	return r;
}

static void close_part(struct mime_reader *r, uint64_t end)
{
	struct mime_part *p = &r->t.v[r->cur];

	p->size = end > p->body_off ? end - p->body_off : 0;
	if (p->child == MIME_NONE && p->encoding >= TRANSFER_BASE64)
		p->decoded_size = r->decoded;
	r->decoded = 0;
	r->cur = p->parent;
}

/* Down to the open part `keep`, which stays. */
static void close_inside(struct mime_reader *r, int keep, uint64_t end)
{
	while (r->cur != keep)
		close_part(r, end);
}

static void open_part(struct mime_reader *r, int parent, uint64_t off)
{
	int i = mime_add(&r->t, parent);

	if (i == MIME_NONE) {
		r->opaque = r->t.n >= MIME_MAX_PARTS;
		return;
	}
	r->cur = i;
	r->t.v[i].header_off = r->t.v[i].body_off = off;
	r->in_header = true;
	bytes_init(&r->header, r->t.arena, MIME_MAX_HEADER_BYTES - r->header_total);
}

/* The header of the part in hand is complete; its body begins at `off`. */
static void end_header(struct mime_reader *r, uint64_t off)
{
	struct mime_part *p;
	int part = r->cur;

	r->in_header = false;
	r->header_total += r->header.n;
	if (r->header_total >= MIME_MAX_HEADER_BYTES) {
		r->header_total = MIME_MAX_HEADER_BYTES - 1; /* 0 would mean no limit */
		r->t.capped = true;
	}
	mime_set_header(&r->t, part, bytes_get(&r->header));
	if (part == 0)
		r->t.header = bytes_get(&r->header);
	p = &r->t.v[part];
	p->body_off = off;
	if (mime_is_multipart(p) && p->boundary.len) {
		if (p->depth + 1 < MIME_MAX_DEPTH)
			r->open[r->n_open++] = (struct boundary){ p->boundary, part };
		else
			r->t.capped = true;
	} else if ((mime_is(p, "message", "rfc822") || mime_is(p, "message", "global")) &&
		   p->encoding <= TRANSFER_BINARY) {
		open_part(r, part, off);
	}
}

/* Index in r->open of the boundary on this line, or -1. *final_r: "--" behind. */
static int match_boundary(const struct mime_reader *r, const struct line *l, bool *final_r)
{
	struct slice s = l->head;

	if (r->opaque || l->len != s.len || !slice_starts(s, S("--")))
		return -1;
	s = slice_from(s, 2);
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	for (int i = r->n_open - 1; i >= 0; i--) {
		struct slice b = r->open[i].text;

		if (s.len == b.len && slice_eq(s, b)) {
			*final_r = false;
			return i;
		}
		if (s.len == b.len + 2 && slice_starts(s, b) && s.ptr[b.len] == '-' && s.ptr[b.len + 1] == '-') {
			*final_r = true;
			return i;
		}
	}
	return -1;
}

static bool at_boundary(struct mime_reader *r, const struct line *l)
{
	bool final;
	int i = match_boundary(r, l, &final);
	uint64_t end = l->off - r->prev_eol;
	int owner;

	if (i < 0)
		return false;
	if (!final && r->t.n >= MIME_MAX_PARTS) {
		r->opaque = r->t.capped = true;
		return false;
	}
	if (r->in_header)
		end_header(r, l->off);
	owner = r->open[i].part;
	close_inside(r, owner, end);
	r->in_header = false;
	r->n_open = final ? i : i + 1;
	if (!final)
		open_part(r, owner, l->off + l->len + l->eol);
	return true;
}

static bool header_goes_on(const struct mime_reader *r, const struct line *l)
{
	if (l->head.len && (*l->head.ptr == ' ' || *l->head.ptr == '\t'))
		return r->header.n > 0 || r->header.full;
	if (header_is_field(l->head))
		return true;
	return r->header.n == 0 && header_is_envelope(l->head);
}

static void count_decoded(struct mime_reader *r, const struct line *l)
{
	struct slice s = l->head;
	uint64_t n = l->len;

	switch (r->t.v[r->cur].encoding) {
	case TRANSFER_BASE64:
		r->decoded += n * 3 / 4;
		for (int i = 0; i < 2 && s.len && n >= 4 && s.ptr[s.len - 1] == '='; i++, s.len--)
			r->decoded -= r->decoded > 0;
		break;
	case TRANSFER_QP:
		n += l->eol;
		if (s.len && s.ptr[s.len - 1] == '=') {
			n -= 1 + l->eol;
			s.len--;
		}
		for (size_t i = 0; i < s.len && n >= 2; i++)
			if (s.ptr[i] == '=')
				n -= 2;
		r->decoded += n;
		break;
	case TRANSFER_UU:
		r->decoded += n * 45 / 61;
		break;
	default:
		break;
	}
}

static void take_line(struct mime_reader *r, const struct line *l)
{
	if (at_boundary(r, l)) {
		r->prev_eol = l->eol;
		return;
	}
	while (r->in_header) { /* again for the message inside a message */
		if (l->len == 0) {
			end_header(r, l->off + l->eol);
			r->prev_eol = 0;
			return;
		}
		if (header_goes_on(r, l)) {
			bytes_slice(&r->header, l->head);
			bytes_slice(&r->header, S("\r\n"));
			r->prev_eol = l->eol;
			return;
		}
		end_header(r, l->off);
	}
	count_decoded(r, l);
	r->t.v[r->cur].lines++;
	r->prev_eol = l->eol;
}

/* Behind the LF: what is in hand is a line. */
static void finish_line(struct mime_reader *r, struct slice s, unsigned lf)
{
	struct line l = { .head = s, .len = r->line_len - lf, .eol = lf, .off = r->pos };

	if (l.head.len > l.len)
		l.head.len = (size_t)l.len;
	if (lf && l.len && l.len == l.head.len && l.head.ptr[l.len - 1] == '\r') {
		l.head.len--;
		l.len--;
		l.eol++;
	}
	r->pos += r->line_len;
	r->line_len = 0;
	take_line(r, &l);
	r->partial.n = 0;
}

void mime_feed(struct mime_reader *r, struct slice in)
{
	while (in.len) {
		ptrdiff_t lf = slice_chr(in, '\n');
		struct slice s = lf < 0 ? in : slice_to(in, (size_t)lf + 1);

		in = slice_from(in, s.len);
		if (lf < 0 || r->line_len) {
			bytes_slice(&r->partial, s);
			r->line_len += s.len;
			if (lf >= 0)
				finish_line(r, bytes_get(&r->partial), 1);
		} else {
			r->line_len = s.len;
			finish_line(r, slice_to(s, MIME_MAX_HEADER_BYTES), 1);
		}
	}
}

void mime_end(struct mime_reader *r, struct mime_tree *t_r)
{
	if (r->line_len)
		finish_line(r, bytes_get(&r->partial), 0);
	while (r->in_header)
		end_header(r, r->pos);
	close_inside(r, MIME_NONE, r->pos);
	r->t.size = r->pos;
	mime_finish(&r->t);
	*t_r = r->t;
}

void mime_parse(struct arena *a, struct slice raw, struct mime_tree *t_r)
{
	struct mime_reader *r = mime_reader_new(a);

	mime_feed(r, raw);
	mime_end(r, t_r);
}
