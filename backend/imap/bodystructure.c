/* bodystructure.c - BODYSTRUCTURE (RFC 3501 7.4.2) into proto/mime.h's part tree,
 * with a stack of its own: a hostile server's nesting costs no C stack. Beyond
 * mime.h's caps a subtree is read and left out. Worker; the tree is the arena's.
 * Trap: a multipart shows what it is only by its first child. */
#include "backend/imap/imap.h"

enum kind { UNKNOWN, MULTI, MULTI_EXT, SINGLE };

struct frame {
	int part;
	enum kind kind;
	int field;             /* next field of this kind */
	struct slice type, subtype;
	bool is_text, is_message;
	struct slice encoding;
	uint64_t size;
};

struct reader {
	struct wire *w;
	struct arena *a;
	struct mime_tree *t;
	struct frame stack[MIME_MAX_DEPTH + 2];
	int depth; /* frames in use */
};

static struct slice text(struct reader *r, const struct tok *t)
{
	return wire_string(r->w, t, r->a, 8192);
}

static uint64_t number(struct reader *r, const struct tok *t)
{
	uint64_t n = 0;

	if (t->kind == TOK_ATOM)
		slice_u64(t->text, &n); /* "-1" and other nonsense count as 0 */
	else
		wire_skip_value(r->w, t);
	return n;
}

/* ("name" "value" ...) or NIL. */
static size_t params(struct reader *r, const struct tok *first, struct param **v_r)
{
	struct param *v = NULL;
	size_t n = 0, cap = 0;
	struct tok t;

	*v_r = NULL;
	if (first->kind != TOK_OPEN) {
		wire_skip_value(r->w, first);
		return 0;
	}
	for (wire_token(r->w, &t); t.kind != TOK_CLOSE && t.kind != TOK_FAIL; wire_token(r->w, &t)) {
		struct param p;

		if (t.kind == TOK_EOL) {
			wire_fail(r->w, ERR_BACKEND_TEMP, "the server sent an open list");
			break;
		}
		p.name = text(r, &t);
		wire_token(r->w, &t);
		if (t.kind == TOK_CLOSE)
			break;
		p.value = text(r, &t);
		if (n >= HEADER_MAX_PARAMS)
			continue;
		v = arena_grow(r->a, v, n, &cap, sizeof(*v));
		v[n++] = p;
	}
	*v_r = v;
	return n;
}

static void disposition(struct reader *r, int part, const struct tok *first)
{
	struct slice value;
	struct param *v;
	size_t n;
	struct tok t;

	if (first->kind != TOK_OPEN) {
		wire_skip_value(r->w, first);
		return;
	}
	wire_token(r->w, &t);
	if (t.kind == TOK_CLOSE)
		return;
	value = text(r, &t);
	wire_token(r->w, &t);
	n = t.kind == TOK_CLOSE ? 0 : params(r, &t, &v);
	if (value.len)
		mime_set_disposition(r->t, part, value, n ? v : NULL, n);
	if (t.kind == TOK_CLOSE)
		return;
	for (wire_token(r->w, &t); t.kind != TOK_CLOSE && t.kind != TOK_EOL && !r->w->failed; wire_token(r->w, &t))
		wire_skip_value(r->w, &t);
}

static void set_params(struct reader *r, int part, const struct tok *t)
{
	struct param *v;
	size_t n = params(r, t, &v);

	if (n)
		mime_set_type_params(r->t, part, v, n);
}

/* "(" of a body: a new frame, or the whole of it skipped at a cap. */
static void push(struct reader *r, int parent, const struct tok *open)
{
	int part = r->depth < (int)(sizeof(r->stack) / sizeof(*r->stack)) ? mime_add(r->t, parent) : MIME_NONE;

	if (part == MIME_NONE) {
		r->t->capped = true;
		wire_skip_value(r->w, open);
		return;
	}
	r->stack[r->depth++] = (struct frame){ .part = part };
}

/* Field of a multipart behind its children: subtype, params, disposition, rest. */
static void multi_field(struct reader *r, struct frame *f, const struct tok *t)
{
	switch (f->field++) {
	case 0:
		mime_set_type(r->t, f->part, S("multipart"), text(r, t));
		break;
	case 1:
		set_params(r, f->part, t);
		break;
	case 2:
		disposition(r, f->part, t);
		break;
	default:
		wire_skip_value(r->w, t);
	}
}

/* Fields of a leaf. What follows the size depends on the type: text has lines,
 * message/rfc822 an envelope, a body and lines; then MD5, disposition, language ... */
enum { F_TYPE, F_SUBTYPE, F_PARAMS, F_ID, F_DESCRIPTION, F_ENCODING, F_SIZE, F_ENVELOPE, F_BODY, F_LINES, F_MD5,
       F_DISPOSITION, F_REST };

static void after_size(struct reader *r, struct frame *f)
{
	mime_set_encoding(r->t, f->part, f->encoding, f->size, 0);
	f->field = f->is_message ? F_ENVELOPE : f->is_text ? F_LINES : F_MD5;
}

static void single_head(struct reader *r, struct frame *f, const struct tok *t)
{
	switch (f->field++) {
	case F_TYPE:
		f->type = text(r, t);
		f->is_text = slice_ieq(f->type, S("text"));
		break;
	case F_SUBTYPE:
		f->subtype = text(r, t);
		f->is_message = slice_ieq(f->type, S("message")) &&
				(slice_ieq(f->subtype, S("rfc822")) || slice_ieq(f->subtype, S("global")));
		mime_set_type(r->t, f->part, f->type, f->subtype);
		break;
	case F_PARAMS:
		set_params(r, f->part, t);
		break;
	case F_ID: {
		struct slice id = text(r, t);

		if (id.len)
			mime_set_content_id(r->t, f->part, id);
		break;
	}
	case F_DESCRIPTION:
		r->t->v[f->part].description = text(r, t);
		break;
	case F_ENCODING:
		f->encoding = text(r, t);
		break;
	default:
		f->size = number(r, t);
		after_size(r, f);
	}
}

static void single_field(struct reader *r, struct frame *f, const struct tok *t)
{
	if (f->field <= F_SIZE) {
		single_head(r, f, t);
		return;
	}
	switch (f->field++) {
	case F_ENVELOPE:
		/* Servers that do not parse nested messages send them as plain leaves: here
		 * stands their MD5. */
		if (t->kind != TOK_OPEN)
			f->field = F_DISPOSITION;
		wire_skip_value(r->w, t);
		break;
	case F_BODY:
		if (t->kind == TOK_OPEN)
			push(r, f->part, t);
		else
			wire_skip_value(r->w, t);
		break;
	case F_LINES:
		r->t->v[f->part].lines = (uint32_t)number(r, t);
		break;
	case F_DISPOSITION:
		disposition(r, f->part, t);
		break;
	default:
		wire_skip_value(r->w, t);
	}
}

static void step(struct reader *r, const struct tok *t)
{
	struct frame *f = &r->stack[r->depth - 1];

	if (t->kind == TOK_CLOSE) {
		r->depth--;
		return;
	}
	if (f->kind == UNKNOWN)
		f->kind = t->kind == TOK_OPEN ? MULTI : SINGLE;
	if (f->kind == MULTI && t->kind == TOK_OPEN) {
		push(r, f->part, t);
		return;
	}
	if (f->kind == MULTI)
		f->kind = MULTI_EXT;
	if (f->kind == MULTI_EXT)
		multi_field(r, f, t);
	else
		single_field(r, f, t);
}

struct mime_tree *bodystructure_read(struct wire *w, struct arena *a)
{
	struct reader *r = ARENA_NEW(a, struct reader);
	struct tok t = { .kind = TOK_OPEN };

	r->w = w;
	r->a = a;
	r->t = ARENA_NEW(a, struct mime_tree);
	mime_tree_init(r->t, a);
	push(r, MIME_NONE, &t);
	while (r->depth && !w->failed) {
		wire_token(w, &t);
		if (t.kind == TOK_EOL)
			wire_fail(w, ERR_BACKEND_TEMP, "the server sent an open BODYSTRUCTURE");
		else if (t.kind != TOK_FAIL)
			step(r, &t);
	}
	if (w->failed)
		return NULL;
	mime_finish(r->t);
	return r->t;
}
