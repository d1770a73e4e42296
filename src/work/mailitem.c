/* mailitem.c - from heads and parts to items. Worker; one owner.
 * Trap: a body of type MIME is a view into a blob's mapping; the blob lives in
 * struct mailitems until the reply is encoded. */
#include "work/mailitem.h"

#include "proto/mailinfo.h"

enum { VERB_NONE = 0, VERB_REPLY = 1, VERB_FORWARD = 3 };

/* --- file references ------------------------------------------------------- */

struct slice file_reference_make(struct arena *a, struct slice folder_id, uint64_t num, struct slice part)
{
	return arena_printf(a, "%.*s.%llu.%.*s", SARG(folder_id), (unsigned long long)num, SARG(part));
}

bool file_reference_parse(struct slice ref, struct slice *folder_id_r, uint64_t *num_r, struct slice *part_r)
{
	struct slice num;

	if (!slice_split(&ref, '.', folder_id_r) || !slice_split(&ref, '.', &num) || !slice_u64(num, num_r))
		return false;
	*part_r = ref;
	if (folder_id_r->len == 0 || ref.len == 0 || ref.len > 400)
		return false;
	for (size_t i = 0; i < ref.len; i++)
		if (!strchr("0123456789.TEX", ref.ptr[i]) || !ref.ptr[i])
			return false;
	return true;
}

/* --- flags ------------------------------------------------------------------ */

struct email_flag *mailitem_flag(struct arena *a, unsigned flags, const struct extra *x)
{
	struct email_flag *f = ARENA_NEW(a, struct email_flag);
	bool kept_complete = x && x->flag && x->flag->status.has && x->flag->status.v == 1;

	/* The server's \Flagged decides whether; details only say how. */
	if (flags & MAIL_FLAGGED) {
		if (x && x->flag && !kept_complete)
			*f = *x->flag;
		f->status = NUM(2);
		if (!f->type.ptr)
			f->type = S("for Follow Up");
	} else if (kept_complete) {
		*f = *x->flag;
	}
	return f;
}

static void put_verb(struct email *m, unsigned flags, const struct extra *x)
{
	uint8_t verb = VERB_NONE;

	if (x && x->last_verb)
		verb = x->last_verb;
	else if (flags & MAIL_ANSWERED)
		verb = VERB_REPLY;
	else if (flags & MAIL_FORWARDED)
		verb = VERB_FORWARD;
	if (verb == VERB_NONE)
		return;
	m->last_verb = NUM(verb);
	if (x && x->last_verb)
		m->last_verb_time = DATE_MS(x->verb_ms);
}

static void put_categories(struct arena *a, struct email *m, const struct slice *keywords, size_t n)
{
	m->has_categories = NUM(1);
	for (size_t i = 0; i < n; i++)
		if (keywords[i].len && keywords[i].ptr[0] != '$' && keywords[i].ptr[0] != '\\')
			*LIST_PUSH(a, &m->categories) = keywords[i];
}

struct item *mailitem_change(struct arena *a, uint32_t from_rev, uint32_t to_rev, const struct extra *x,
			     const struct slice *keywords, size_t n_keywords)
{
	struct item *it = ARENA_NEW(a, struct item);
	unsigned diff, to = ITEM_REV_FLAGS(to_rev);
	bool extra_differs;

	if (from_rev == ITEM_REV_UNCERTAIN)
		from_rev = ~to_rev;
	diff = ITEM_REV_FLAGS(from_rev ^ to_rev);
	extra_differs = ITEM_REV_EXTRA(from_rev) != ITEM_REV_EXTRA(to_rev);
	it->class = CLASS_EMAIL;
	it->email = ARENA_NEW(a, struct email);
	if (diff & MAIL_SEEN)
		it->email->read = NUM((to & MAIL_SEEN) != 0);
	if ((diff & MAIL_FLAGGED) || extra_differs)
		it->email->flag = mailitem_flag(a, to, x);
	if (ITEM_REV_KEYWORDS(from_rev) != ITEM_REV_KEYWORDS(to_rev))
		put_categories(a, it->email, keywords, n_keywords);
	if ((diff & (MAIL_ANSWERED | MAIL_FORWARDED)) || extra_differs)
		put_verb(it->email, to, x);
	return it;
}

/* --- the whole mail ---------------------------------------------------------- */

static struct slice given(struct slice s)
{
	return s.len ? s : S_NONE;
}

/* Meetings do not exist yet: an invitation is a plain mail with its calendar
 * part as a file, else a phone would answer it by a command that is not there. */
static void plain_invitation(struct email *m)
{
	if (!slice_starts(m->message_class, S("IPM.Schedule")))
		return;
	m->message_class = S("IPM.Note");
	m->content_class = S("urn:content-classes:message");
}

static void put_facts(const struct mail_ask *k, const struct be_head *h, struct item *it)
{
	struct email *m = ARENA_NEW(k->a, struct email);
	const struct extra *x = extras_find(k->extras, h->item.num);
	struct mail_headers headers;
	struct mailinfo info;

	it->class = CLASS_EMAIL;
	it->email = m;
	mail_headers_parse(k->a, h->headers, &headers);
	mailinfo_fill(k->a, &headers, h->tree, h->item.date_ms, &info);
	mailinfo_to_email(k->a, &info, m);
	plain_invitation(m);
	m->read = NUM((h->flags & MAIL_SEEN) != 0);
	m->flag = mailitem_flag(k->a, h->flags, x);
	put_categories(k->a, m, h->keywords, h->n_keywords);
	put_verb(m, h->flags, x);
	it->native_body_type = NUM(info.native_body_type ? info.native_body_type : 1);
}

static void put_attachments(const struct mail_ask *k, const struct be_head *h, struct item *it)
{
	struct body_attachment *v;
	size_t n = h->tree ? body_attachments(k->a, h->tree, &v) : 0;

	for (size_t i = 0; i < n; i++) {
		struct attachment *t = LIST_PUSH(k->a, &it->attachments);

		t->display_name = v[i].display_name;
		t->file_reference = file_reference_make(k->a, k->folder_id, h->item.num, h->tree->v[v[i].part].number);
		t->method = NUM(v[i].method);
		t->estimated_size = NUM((int64_t)v[i].size);
		t->content_id = given(v[i].content_id);
		t->content_location = given(v[i].content_location);
		if (v[i].is_inline)
			t->is_inline = NUM(1);
	}
	if (n)
		it->has_attachments = NUM(1);
}

static void fill_body(const struct body *b, struct item_body *out)
{
	out->type = NUM(b->type);
	out->estimated_size = NUM((int64_t)b->size);
	if (b->truncated)
		out->truncated = NUM(1);
	else if (b->type == BODY_MIME)
		out->truncated = NUM(0); /* S/MIME readers want it said (MS-ASCMD R3409) */
	if (b->has_data && b->data.len)
		out->data = DATA(b->data);
	out->preview = given(b->preview);
}

static void put_body(struct arena *a, const struct body *b, struct item *it)
{
	if (b->type == BODY_NOTHING)
		return;
	it->body = ARENA_NEW(a, struct item_body);
	fill_body(b, it->body);
	if (b->native)
		it->native_body_type = NUM(b->native);
}

/* The part of a conversation that this mail holds: all of its body, because what
 * it quotes of others is not told apart. */
static void put_body_part(struct arena *a, const struct body *b, struct item *it)
{
	struct item_body *out = LIST_PUSH(a, &it->body_parts);

	fill_body(b, out);
	out->status = NUM(1);
	if (out->type.v == BODY_NOTHING)
		out->type = NUM(BODY_TEXT);
}

/* --- loading in two round trips ----------------------------------------------- */

struct loading {
	const struct be_head *head;
	struct item *item;
	const struct body_want *want;
	bool is_part; /* BodyPart */
	struct body_plan plan;
	struct blob *got[BODY_MAX_FETCH];
	size_t first_part; /* in the batch of this round */
	bool waiting;
};

static struct blob *new_blob(struct mailitems *m)
{
	m->blobs = arena_grow(m->a, m->blobs, m->n_blobs, &m->cap_blobs, sizeof(*m->blobs));
	return m->blobs[m->n_blobs++] = blob_new(0);
}

static uint64_t plan_bytes(const struct loading *l)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < l->plan.n; i++) {
		const struct body_fetch *f = &l->plan.fetch[i];
		uint64_t whole = f->part == MIME_NONE ? l->head->size : l->head->tree->v[f->part].size;

		sum += f->bytes < whole ? f->bytes : whole;
	}
	return sum;
}

static struct slice part_number(const struct be_head *h, int part)
{
	return part == MIME_NONE ? S("") : h->tree->v[part].number;
}

static size_t batch_parts(struct mailitems *m, struct loading *l, size_t n, struct be_part *parts)
{
	size_t n_parts = 0;

	for (size_t i = 0; i < n; i++) {
		l[i].first_part = n_parts;
		for (size_t f = 0; l[i].waiting && f < l[i].plan.n; f++) {
			const struct body_fetch *want = &l[i].plan.fetch[f];

			parts[n_parts++] = (struct be_part){
				.num = l[i].head->item.num,
				.part = part_number(l[i].head, want->part),
				.max = want->bytes == BODY_UNLIMITED ? 0 : want->bytes,
				.out = new_blob(m),
			};
		}
	}
	return n_parts;
}

/* 1 done, 0 another round, -1. */
static int make_body(const struct mail_ask *k, struct loading *l, const struct be_part *parts, struct err *e)
{
	struct slice got[BODY_MAX_FETCH];
	struct body body = { 0 };

	for (size_t f = 0; f < l->plan.n; f++) {
		if (parts[l->first_part + f].result != BE_OK) {
			l->item = NULL; /* gone between the two round trips */
			return 1;
		}
		if (blob_map(parts[l->first_part + f].out, &got[f], e) < 0)
			return -1;
	}
	if (body_make(k->a, l->head->tree, l->want, &l->plan, got, &body) == 0)
		return 0;
	if (l->is_part)
		put_body_part(k->a, &body, l->item);
	else
		put_body(k->a, &body, l->item);
	return 1;
}

static enum be_result load_bodies(const struct mail_ask *k, struct mailitems *m, struct loading *l, size_t n,
				  struct err *e)
{
	struct be_part *parts = arena_alloc(k->a, (n * BODY_MAX_FETCH + 1) * sizeof(*parts));

	for (bool more = true; more;) {
		size_t n_parts = batch_parts(m, l, n, parts);
		enum be_result rc = BE_OK;

		if (n_parts)
			rc = k->session->ops->parts(k->session, k->folder, parts, n_parts, e);
		if (rc != BE_OK)
			return rc;
		more = false;
		for (size_t i = 0; i < n; i++) {
			int done;

			if (!l[i].waiting)
				continue;
			done = make_body(k, &l[i], parts, e);
			if (done < 0)
				return BE_TEMP;
			l[i].waiting = done == 0;
			more = more || l[i].waiting;
		}
	}
	return BE_OK;
}

/* For a mail that once took the process down with it: nothing of it is parsed. */
static void stand_in(const struct mail_ask *k, const struct be_head *h, struct item *it)
{
	struct slice text = S("This message cannot be shown on a phone. It is unchanged in your mailbox.");

	it->class = CLASS_EMAIL;
	it->email = ARENA_NEW(k->a, struct email);
	it->email->subject = S("(message that cannot be shown)");
	it->email->date_received = DATE_MS(h->item.date_ms);
	it->email->importance = NUM(1);
	it->email->read = NUM((h->flags & MAIL_SEEN) != 0);
	it->email->message_class = S("IPM.Note");
	it->email->flag = mailitem_flag(k->a, h->flags, NULL);
	it->native_body_type = NUM(BODY_TEXT);
	it->body = ARENA_NEW(k->a, struct item_body);
	it->body->type = NUM(BODY_TEXT);
	it->body->estimated_size = NUM((int64_t)text.len);
	it->body->data = DATA(text);
}

static void begin_item(const struct mail_ask *k, struct loading *l)
{
	const struct be_head *h = l->head;

	l->item = ARENA_NEW(k->a, struct item);
	if (k->poisoned && k->poisoned(k->poisoned_arg, h->item.num)) {
		stand_in(k, h, l->item);
		return;
	}
	put_facts(k, h, l->item);
	put_attachments(k, h, l->item);
	if (k->no_body || !h->tree)
		return;
	l->want = &k->body;
	body_plan_make(k->a, h->tree, l->want, &l->plan);
	l->waiting = true;
}

/* Behind the items: one more body each, of those that have one. */
static size_t begin_parts(const struct mail_ask *k, struct loading *l, size_t n)
{
	size_t total = n;

	for (size_t i = 0; i < n && k->part.n_pref; i++) {
		if (!l[i].waiting)
			continue;
		l[total] = (struct loading){ .head = l[i].head, .item = l[i].item, .want = &k->part, .is_part = true,
					     .waiting = true };
		body_plan_make(k->a, l[i].head->tree, &k->part, &l[total++].plan);
	}
	return total;
}

enum be_result mailitems_load(const struct mail_ask *k, const uint64_t *nums, size_t n, struct mailitems *m_r,
			      struct err *e)
{
	struct be_head *heads = arena_alloc(k->a, (n + 1) * sizeof(*heads));
	struct loading *l = arena_alloc(k->a, (2 * n + 1) * sizeof(*l));
	enum be_result rc;
	uint64_t bytes = 0;
	size_t n_heads = 0, n_load = 0, h = 0;

	*m_r = (struct mailitems){ .a = k->a };
	m_r->v = arena_alloc(k->a, (n + 1) * sizeof(*m_r->v));
	rc = k->session->ops->heads(k->session, k->folder, nums, n, k->a, heads, &n_heads, e);
	if (rc != BE_OK)
		return rc;
	/* Heads come in the order asked; those gone are left out. */
	for (; m_r->n < n; m_r->n++) {
		struct mail_loaded *v = &m_r->v[m_r->n];

		*v = (struct mail_loaded){ .num = nums[m_r->n], .missing = true };
		if (h == n_heads || heads[h].item.num != v->num)
			continue;
		l[n_load] = (struct loading){ .head = &heads[h] };
		begin_item(k, &l[n_load]);
		bytes += plan_bytes(&l[n_load]);
		if (n_load && k->budget_bytes && bytes > k->budget_bytes)
			break;
		v->missing = false;
		v->rev = item_rev(heads[h].item.rev, extras_find(k->extras, v->num));
		v->date_ms = heads[h].item.date_ms;
		n_load++;
		h++;
	}
	rc = load_bodies(k, m_r, l, begin_parts(k, l, n_load), e);
	for (size_t i = 0, at = 0; i < m_r->n; i++)
		if (!m_r->v[i].missing) {
			m_r->v[i].item = l[at++].item;
			m_r->v[i].missing = m_r->v[i].item == NULL;
		}
	return rc;
}

void mailitems_deinit(struct mailitems *m)
{
	for (size_t i = 0; i < m->n_blobs; i++)
		blob_free(&m->blobs[i]);
	m->n_blobs = 0;
}
