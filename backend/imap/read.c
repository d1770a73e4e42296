/* read.c - heads, parts and look-ups of mails by UID. Worker. One flush each: SELECT
 * where it is needed and everything asked for behind it.
 * Trap: a session that selected the folder some time ago may not see newer mails;
 * so what is missing is asked for once more behind a fresh SELECT before it
 * counts as gone. */
#include <stdlib.h>

#include "backend/imap/imap.h"

enum { SET_MAX = 500, PIPELINE_MAX = 100 };

/* -- numbers asked for, and what came -- */

struct slot {
	uint64_t uid;
	size_t at; /* index in the question */
};

struct slots {
	struct slot *v;
	size_t n;
	bool *got;
};

static int by_uid(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

static void slots_init(struct slots *k, struct arena *a, const uint64_t *nums, size_t n)
{
	k->v = arena_alloc(a, n * sizeof(*k->v));
	k->got = arena_alloc(a, n);
	k->n = n;
	for (size_t i = 0; i < n; i++)
		k->v[i] = (struct slot){ nums[i], i };
	if (n)
		qsort(k->v, n, sizeof(*k->v), by_uid);
}

/* Index in the question, or -1. */
static ptrdiff_t slot_of(const struct slots *k, uint64_t uid)
{
	struct slot key = { .uid = uid }, *hit = k->n ? bsearch(&key, k->v, k->n, sizeof(key), by_uid) : NULL;

	return hit ? (ptrdiff_t)hit->at : -1;
}

static struct slice missing_set(const struct slots *k, struct arena *a, size_t from, size_t *next_r)
{
	uint64_t *uids = arena_alloc(a, SET_MAX * sizeof(*uids));
	size_t n = 0;

	for (; from < k->n && n < SET_MAX; from++)
		if (!k->got[k->v[from].at] && k->v[from].uid && (!n || uids[n - 1] != k->v[from].uid))
			uids[n++] = k->v[from].uid;
	*next_r = from;
	return set_format(a, uids, n);
}

/* One pass over what is missing. */
static enum be_result fetch_missing(struct imap_session *s, struct slice folder, const struct slots *k, const char *items,
				    bool fresh, struct arena *a, struct err *e)
{
	unsigned sel = select_cmd(s, folder, fresh), last = 0;
	struct imap_done d;
	enum be_result r;

	for (size_t i = 0; i < k->n;) {
		struct slice set = missing_set(k, a, i, &i);

		if (!set.len)
			continue;
		last = imap_cmd(s, "UID FETCH ");
		wire_put(&s->w, set.ptr, set.len);
		imap_arg(s, " (%s)", items);
		imap_end(s);
	}
	r = select_done(s, sel, folder, e);
	if (s->w.failed)
		return BE_TEMP;
	if (!last)
		return r;
	if (imap_wait(s, last, &d, r == BE_OK ? e : NULL) != BE_OK)
		return BE_TEMP;
	/* NO with data: RFC 2180, some of them were expunged meanwhile. */
	if (r == BE_OK && d.status == IMAP_BAD)
		r = imap_refused(&d, "FETCH", e);
	return r;
}

static bool any_missing(const struct slots *k)
{
	for (size_t i = 0; i < k->n; i++)
		if (!k->got[i])
			return true;
	return false;
}

static enum be_result fetch_slots(struct imap_session *s, struct slice folder, const struct slots *k, const char *items,
				  struct err *e)
{
	struct arena *a = arena_new();
	bool was_selected = s->sel.path && slice_eq(slice_str(s->sel.path), folder);
	enum be_result r = fetch_missing(s, folder, k, items, false, a, e);

	if (r == BE_OK && was_selected && any_missing(k))
		r = fetch_missing(s, folder, k, items, true, a, e);
	arena_free(&a);
	return r;
}

/* -- lookup -- */

struct lookup {
	struct slots k;
	struct be_item *items;
	bool *gone;
};

static void on_item(void *arg, const struct imap_fetch *f)
{
	struct lookup *l = arg;
	unsigned need = HAVE_UID | HAVE_FLAGS | HAVE_DATE;
	ptrdiff_t at = (f->have & need) == need ? slot_of(&l->k, f->uid) : -1;

	if (at < 0)
		return;
	l->k.got[at] = true;
	l->gone[at] = (f->flags & MAIL_DELETED) != 0;
	l->items[at] = (struct be_item){ .num = f->uid, .rev = imap_rev(f), .date_ms = f->date_ms };
}

enum be_result imap_lookup(struct session *base, struct slice folder, const uint64_t *nums, size_t n,
			   const struct be_changes_sink *sink, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	struct arena *a = arena_new();
	struct lookup l = { .items = arena_alloc(a, n * sizeof(*l.items)), .gone = arena_alloc(a, n) };
	const struct imap_handlers h = { .arg = &l, .fetch = on_item };
	enum be_result r;

	slots_init(&l.k, a, nums, n);
	imap_set_handlers(s, &h);
	r = fetch_slots(s, folder, &l.k, "UID FLAGS INTERNALDATE", e);
	imap_set_handlers(s, NULL);
	for (size_t i = 0; i < n && r == BE_OK; i++) {
		ptrdiff_t at = slot_of(&l.k, nums[i]);

		if (at >= 0 && l.k.got[at] && !l.gone[at] && sink->item(sink->arg, &l.items[at]) < 0)
			r = BE_TEMP;
	}
	arena_free(&a);
	return r;
}

/* -- heads -- */

struct heads {
	struct slots k;
	struct arena *a; /* the caller's */
	struct be_head *v;
};

static const struct slice *copy_keywords(struct arena *a, const struct imap_fetch *f)
{
	struct slice *k = arena_alloc(a, f->n_keywords * sizeof(*k));

	for (size_t i = 0; i < f->n_keywords; i++)
		k[i] = arena_slice(a, f->keywords[i]);
	return k;
}

static void on_head(void *arg, const struct imap_fetch *f)
{
	struct heads *h = arg;
	unsigned need = HAVE_UID | HAVE_FLAGS | HAVE_HEADER;
	ptrdiff_t at = (f->have & need) == need ? slot_of(&h->k, f->uid) : -1;
	struct be_head *v;

	if (at < 0 || h->k.got[at])
		return;
	h->k.got[at] = true;
	v = &h->v[at];
	*v = (struct be_head){ .item = { .num = f->uid, .rev = imap_rev(f), .date_ms = f->date_ms }, .flags = f->flags,
			       .keywords = copy_keywords(h->a, f), .n_keywords = f->n_keywords, .headers = f->header,
			       .tree = f->tree, .size = f->size };
	if (f->tree)
		f->tree->size = f->size;
}

enum be_result imap_heads(struct session *base, struct slice folder, const uint64_t *nums, size_t n, struct arena *a,
			  struct be_head *heads_r, size_t *n_r, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	struct heads h = { .a = a, .v = arena_alloc(a, n * sizeof(*h.v)) };
	const struct imap_handlers on = { .arg = &h, .a = a, .fetch = on_head };
	enum be_result r;

	*n_r = 0;
	slots_init(&h.k, a, nums, n);
	imap_set_handlers(s, &on);
	r = fetch_slots(s, folder, &h.k, "UID FLAGS INTERNALDATE RFC822.SIZE BODYSTRUCTURE BODY.PEEK[HEADER]", e);
	imap_set_handlers(s, NULL);
	for (size_t i = 0; i < n && r == BE_OK; i++) {
		ptrdiff_t at = slot_of(&h.k, nums[i]);

		if (at >= 0 && h.k.got[at] && !(h.v[at].flags & MAIL_DELETED))
			heads_r[(*n_r)++] = h.v[at];
	}
	return r;
}

/* -- parts: one command each, all in one flush, bytes straight into the blobs -- */

struct parts {
	struct be_part *v;
	size_t n, at; /* commands in order: at is the first not answered yet */
	bool *got;
};

/* The UID stands behind the body on some servers (uid 0 here): then it is the first
 * open question for such a section, since commands are answered in order. */
static struct be_part *on_part(void *arg, uint64_t uid, struct slice section)
{
	struct parts *p = arg;

	for (size_t i = p->at; i < p->n; i++)
		if (!p->got[i] && (uid == 0 || p->v[i].num == uid) && slice_ieq(p->v[i].part, section)) {
			p->got[i] = true;
			return &p->v[i];
		}
	return NULL;
}

static bool section_ok(struct slice part)
{
	for (size_t i = 0; i < part.len; i++)
		if (!strchr("0123456789.ABCDEFGHIJKLMNOPQRSTUVWXYZ", part.ptr[i]) || !part.ptr[i])
			return false;
	return part.len < 60;
}

static unsigned part_cmd(struct imap_session *s, const struct be_part *p)
{
	unsigned tag = imap_cmd(s, "UID FETCH %llu (UID BODY.PEEK[%.*s]", (unsigned long long)p->num, SARG(p->part));

	if (p->offset || p->max)
		imap_arg(s, "<%llu.%llu>", (unsigned long long)p->offset,
			 (unsigned long long)(p->max && p->max < UINT32_MAX ? p->max : UINT32_MAX));
	imap_arg(s, ")");
	imap_end(s);
	return tag;
}

static enum be_result parts_pass(struct imap_session *s, struct slice folder, struct parts *p, bool fresh, struct err *e)
{
	unsigned sel = select_cmd(s, folder, fresh);
	unsigned tags[PIPELINE_MAX];
	struct imap_done d;
	enum be_result r;

	for (size_t i = 0; i < p->n; i++)
		tags[i] = !p->got[i] && section_ok(p->v[i].part) ? part_cmd(s, &p->v[i]) : 0;
	p->at = 0;
	r = select_done(s, sel, folder, e);
	if (s->w.failed)
		return BE_TEMP;
	for (size_t i = 0; i < p->n; i++) {
		if (tags[i] && imap_wait(s, tags[i], &d, r == BE_OK ? e : NULL) != BE_OK)
			return BE_TEMP;
		p->at = i + 1;
	}
	return r;
}

/* -- an empty part, or none? Dovecot answers both with an empty string, so the
 * structure decides; asked for only when something came back empty. -- */

struct doubts {
	struct parts *p;
	const bool *doubted;
};

static void on_structure(void *arg, const struct imap_fetch *f)
{
	struct doubts *d = arg;

	if (!(f->have & HAVE_UID) || !f->tree)
		return;
	for (size_t i = 0; i < d->p->n; i++)
		if (d->doubted[i] && d->p->v[i].num == f->uid && mime_by_number(f->tree, d->p->v[i].part) == MIME_NONE)
			d->p->got[i] = false;
}

static bool is_number(struct slice part)
{
	return part.len && part.ptr[0] >= '0' && part.ptr[0] <= '9' && part.ptr[part.len - 1] <= '9';
}

static enum be_result settle_doubts(struct imap_session *s, struct parts *p, const uint64_t *before, struct err *e)
{
	bool doubted[PIPELINE_MAX] = { false };
	struct doubts d = { p, doubted };
	struct arena *a = NULL;
	struct imap_handlers h;
	struct imap_done done;
	unsigned last = 0;
	enum be_result r = BE_OK;

	for (size_t i = 0; i < p->n; i++) {
		doubted[i] = p->got[i] && !p->v[i].offset && is_number(p->v[i].part) && blob_size(p->v[i].out) == before[i];
		if (!doubted[i])
			continue;
		last = imap_cmd(s, "UID FETCH %llu (UID BODYSTRUCTURE)", (unsigned long long)p->v[i].num);
		imap_end(s);
	}
	if (!last)
		return BE_OK;
	a = arena_new();
	h = (struct imap_handlers){ .arg = &d, .a = a, .fetch = on_structure };
	imap_set_handlers(s, &h);
	r = imap_wait(s, last, &done, e);
	imap_set_handlers(s, NULL);
	arena_free(&a);
	return r;
}

static enum be_result parts_chunk(struct imap_session *s, struct slice folder, struct be_part *v, size_t n, struct err *e)
{
	bool got[PIPELINE_MAX] = { false }, all = true;
	struct parts p = { .v = v, .n = n, .got = got };
	const struct imap_handlers h = { .arg = &p, .part = on_part };
	bool was_selected = s->sel.path && slice_eq(slice_str(s->sel.path), folder);
	uint64_t before[PIPELINE_MAX];
	enum be_result r;

	for (size_t i = 0; i < n; i++)
		before[i] = blob_size(v[i].out);
	imap_set_handlers(s, &h);
	r = parts_pass(s, folder, &p, false, e);
	for (size_t i = 0; i < n; i++)
		all = all && got[i];
	if (r == BE_OK && !all && was_selected)
		r = parts_pass(s, folder, &p, true, e);
	imap_set_handlers(s, NULL);
	if (r == BE_OK)
		r = settle_doubts(s, &p, before, e);
	for (size_t i = 0; i < n; i++)
		v[i].result = r != BE_OK ? r : got[i] ? BE_OK : BE_PERM;
	return r;
}

enum be_result imap_parts(struct session *base, struct slice folder, struct be_part *parts, size_t n, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	enum be_result r = BE_OK;

	for (size_t i = 0; i < n && r == BE_OK; i += PIPELINE_MAX)
		r = parts_chunk(s, folder, parts + i, n - i < PIPELINE_MAX ? n - i : PIPELINE_MAX, e);
	return r;
}
