/* sync_options.c - options of a collection: defaults, what is said, what is kept. Pure. */
#include "work/sync_options.h"

enum { FORMAT = 1, STATUS_PART_TYPE = 164 };
enum { T_FILTER = 1, T_CONFLICT, T_MIME_SUPPORT, T_MIME_TRUNC, T_NO_MOVES, T_NO_CHANGES, T_WINDOW, T_NO_BODY, T_PREF, T_PART };
enum { P_TYPE = 1, P_TRUNC, P_ALL_OR_NONE, P_PREVIEW };

void sync_options_default(struct sync_options_kept *k)
{
	*k = (struct sync_options_kept){
		.conflict = 1, .mime_truncation = BODY_UNLIMITED, .deletes_as_moves = true, .get_changes = true,
		.window = SYNC_WINDOW_DEFAULT,
	};
}

/* Limits as value + 1, so that 0 (left out) stands for unlimited. */
static uint64_t limit_out(uint64_t v)
{
	return v == BODY_UNLIMITED ? 0 : v + 1;
}

static uint64_t limit_in(uint64_t v)
{
	return v ? v - 1 : BODY_UNLIMITED;
}

static void pack_pref(struct record_writer *w, struct arena *a, unsigned tag, const struct body_pref *pref)
{
	struct record_writer p;

	record_begin(&p, a, 0);
	record_int(&p, P_TYPE, (uint64_t)pref->type);
	record_int(&p, P_TRUNC, limit_out(pref->truncation));
	record_int(&p, P_ALL_OR_NONE, pref->all_or_none);
	record_int(&p, P_PREVIEW, pref->preview);
	record_item(w, tag, record_end(&p));
}

struct slice sync_options_pack(struct arena *a, const struct sync_options_kept *k)
{
	struct record_writer w;

	record_begin(&w, a, FORMAT);
	record_int(&w, T_FILTER, (uint64_t)k->filter);
	record_int(&w, T_CONFLICT, (uint64_t)k->conflict);
	record_int(&w, T_MIME_SUPPORT, (uint64_t)k->mime_support);
	record_int(&w, T_MIME_TRUNC, limit_out(k->mime_truncation));
	record_int(&w, T_NO_MOVES, !k->deletes_as_moves);
	record_int(&w, T_NO_CHANGES, !k->get_changes);
	record_int(&w, T_WINDOW, k->window);
	record_int(&w, T_NO_BODY, k->no_body);
	for (size_t i = 0; i < k->n_pref; i++)
		pack_pref(&w, a, T_PREF, &k->pref[i]);
	if (k->part.type)
		pack_pref(&w, a, T_PART, &k->part);
	return record_end(&w);
}

static void unpack_pref(struct body_pref *p, struct slice run)
{
	struct record_field f;

	*p = (struct body_pref){ .truncation = BODY_UNLIMITED };
	while (record_next(&run, &f, NULL) > 0) {
		if (f.tag == P_TYPE)
			p->type = (enum body_type)f.v;
		else if (f.tag == P_TRUNC)
			p->truncation = limit_in(f.v);
		else if (f.tag == P_ALL_OR_NONE)
			p->all_or_none = f.v;
		else if (f.tag == P_PREVIEW)
			p->preview = (uint8_t)f.v;
	}
}

static void unpack_field(struct sync_options_kept *k, const struct record_field *f)
{
	switch (f->tag) {
	case T_FILTER:
		k->filter = (int)f->v;
		break;
	case T_CONFLICT:
		k->conflict = (int)f->v;
		break;
	case T_MIME_SUPPORT:
		k->mime_support = (int)f->v;
		break;
	case T_MIME_TRUNC:
		k->mime_truncation = limit_in(f->v);
		break;
	case T_NO_MOVES:
		k->deletes_as_moves = !f->v;
		break;
	case T_NO_CHANGES:
		k->get_changes = !f->v;
		break;
	case T_WINDOW:
		k->window = (uint16_t)f->v;
		break;
	case T_NO_BODY:
		k->no_body = f->v;
		break;
	case T_PREF:
		if (f->is_bytes && k->n_pref < SYNC_PREFS_MAX)
			unpack_pref(&k->pref[k->n_pref++], f->bytes);
		break;
	case T_PART:
		if (f->is_bytes)
			unpack_pref(&k->part, f->bytes);
		break;
	default:
		break; /* of a newer program */
	}
}

void sync_options_unpack(struct sync_options_kept *k, struct slice packed)
{
	struct slice rest;
	struct record_field f;

	sync_options_default(k);
	if (packed.len == 0 || record_open(&rest, packed, FORMAT, NULL) < 0)
		return;
	k->conflict = 0; /* zeros are left out of a record */
	while (record_next(&rest, &f, NULL) > 0)
		unpack_field(k, &f);
	if (k->window == 0)
		k->window = SYNC_WINDOW_DEFAULT;
}

static void pref_take(struct body_pref *out, const struct body_preference *v)
{
	*out = (struct body_pref){
		.type = (enum body_type)v->type.v,
		.truncation = v->truncation_size.has ? (uint64_t)v->truncation_size.v : BODY_UNLIMITED,
		.all_or_none = num_or(v->all_or_none, 0) != 0,
		.preview = (uint8_t)num_or(v->preview, 0),
	};
}

bool sync_part_take(struct body_pref *out, const struct body_preference *v, size_t n)
{
	*out = (struct body_pref){ 0 };
	for (size_t i = 0; i < n; i++) {
		if (v[i].type.v != BODY_HTML)
			return false;
		pref_take(out, &v[i]);
	}
	return true;
}

size_t sync_prefs_take(struct body_pref *out, const struct body_preference *v, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n && kept < SYNC_PREFS_MAX; i++) {
		if (!v[i].type.has)
			continue;
		pref_take(&out[kept++], &v[i]);
	}
	return kept;
}

bool sync_filter_legal_mail(int64_t filter)
{
	return filter >= 0 && filter <= 5;
}

/* Options of one class may come beside those of SMS, each once (R930, R934, R935). */
bool sync_classes_legal(const struct sync_options *v, size_t n)
{
	unsigned mail = 0, sms = 0;

	for (size_t i = 0; i < n; i++) {
		struct slice class = v[i].class;

		if (class.len && slice_eq(class, S("SMS")))
			sms++;
		else if (class.len == 0 || slice_eq(class, S("Email")))
			mail++;
		else
			return false;
	}
	return mail <= 1 && sms <= 1;
}

/* One Options element replaces the whole of the one before. */
static int take_block(struct sync_options_kept *k, const struct sync_options *o, int version)
{
	if (!sync_filter_legal_mail(num_or(o->filter_type, 0)) || o->max_items.has)
		return 4; /* MaxItems is the recipient cache's alone (R3269) */
	k->filter = (int)num_or(o->filter_type, 0);
	k->conflict = (int)num_or(o->conflict, 1);
	k->mime_support = (int)num_or(o->mime_support, 0);
	k->mime_truncation = o->mime_truncation.has ? body_mime_truncation((unsigned)o->mime_truncation.v) : BODY_UNLIMITED;
	k->n_pref = 0;
	k->no_body = false;
	if (!sync_part_take(&k->part, o->body_part.v, o->body_part.n))
		return STATUS_PART_TYPE;
	if (version >= EAS_120) {
		k->n_pref = sync_prefs_take(k->pref, o->body.v, o->body.n);
		return 0;
	}
	/* 2.5: plain text cut by Truncation; MIME in its own element when asked for. */
	if (k->mime_support)
		k->pref[k->n_pref++] = (struct body_pref){ .type = BODY_MIME, .truncation = k->mime_truncation };
	k->pref[k->n_pref++] = (struct body_pref){
		.type = BODY_TEXT,
		.truncation = o->truncation.has ? body_truncation((unsigned)o->truncation.v) : BODY_UNLIMITED,
	};
	return 0;
}

int sync_options_take(struct sync_options_kept *k, const struct sync_collection *c, int version)
{
	int status;

	if (!sync_classes_legal(c->options.v, c->options.n))
		return 4;
	for (size_t i = 0; i < c->options.n; i++) {
		if (slice_eq(c->options.v[i].class, S("SMS")))
			continue; /* SMS beside mail: no such items here, nothing to keep */
		status = take_block(k, &c->options.v[i], version);
		if (status)
			return status;
	}
	k->deletes_as_moves = num_or(c->deletes_as_moves, 1); /* not sticky: absent is the default (R2161) */
	if (c->get_changes.has)
		k->get_changes = c->get_changes.v;
	else
		k->get_changes = true;
	if (c->window_size.has) {
		int64_t w = c->window_size.v;

		k->window = w <= 0 || w > SYNC_WINDOW_MAX ? SYNC_WINDOW_MAX : (uint16_t)w;
	} else {
		k->window = SYNC_WINDOW_DEFAULT;
	}
	return 0;
}

void sync_options_body(const struct sync_options_kept *k, struct body_want *w_r, struct body_want *part_r)
{
	*part_r = (struct body_want){ .pref = &k->part, .n_pref = k->part.type != BODY_NOTHING };
	*w_r = (struct body_want){
		.pref = k->pref, .n_pref = k->n_pref, .mime_support = k->mime_support,
		.mime_truncation = k->mime_truncation,
	};
}
