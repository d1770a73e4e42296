/* schema_decode.c - the engine that turns WBXML events into structs by table.
 * Any thread, one owner at a time. A stack of frames, one an open container;
 * below it at most one scalar (`field`), below that only skipped elements
 * (`skip`). Structs are the arena's, blobs the report's.
 * Trap: a list's array moves when it grows; a frame's obj stays valid only
 * because no list grows while one of its own elements is open. */
#include "proto/schema.h"

#include <limits.h>

#include "base/digest.h"
#include "proto/date.h"
#include "proto/item_in.h"

/* Memory one request may take for its structs and strings; large data is in blobs. */
enum { ARENA_LIMIT = 32 << 20 };

struct list_head {
	char *v;
	size_t n, cap;
};

static struct decode_frame *top(struct decoder *d)
{
	return &d->frame[d->depth - 1];
}

static void *member(struct decoder *d)
{
	return d->field_obj + d->field->offset;
}

static void problem(struct decoder *d, enum problem_kind k, uint16_t tag)
{
	d->report->problems++;
	problem_set(top(d)->problem, k, tag, top(d)->tag);
}

static int over_memory(struct decoder *d, struct err *e)
{
	if (arena_used(d->arena) - d->arena_start <= d->arena_limit)
		return 0;
	return err_set(e, ERR_LIMIT, "request needs more than %zu bytes of memory", d->arena_limit);
}

/* --- containers -------------------------------------------------------------- */

static int push_frame(struct decoder *d, const struct schema *s, char *obj, uint16_t tag, struct err *e)
{
	struct decode_frame *f = &d->frame[d->depth];

	if (d->depth == DECODE_DEPTH)
		return err_set(e, ERR_LIMIT, "more than %d nested structures", DECODE_DEPTH);
	f->schema = s;
	f->obj = obj;
	f->tag = tag;
	f->hint = 0;
	f->noise = false;
	f->problem = d->depth ? d->frame[d->depth - 1].problem : &d->report->first;
	if (s->problem_off != NO_MEMBER)
		f->problem = (struct field_problem *)(obj + s->problem_off);
	if (s->tag_off != NO_MEMBER)
		memcpy(obj + s->tag_off, &tag, sizeof(tag));
	d->depth++;
	return 0;
}

static int open_root(struct decoder *d, uint16_t tag, struct err *e)
{
	d->report->root = tag;
	if (tag != d->root_schema->tag) {
		d->report->wrong_root = true;
		return err_set(e, ERR_BAD_WBXML, "root element 0x%04x is not of this command", tag);
	}
	d->root = arena_alloc(d->arena, d->root_schema->size);
	return push_frame(d, d->root_schema, d->root, tag, e);
}

static char *list_push(struct decoder *d, const struct field *f, char *obj, size_t size)
{
	struct list_head *l = (struct list_head *)(obj + f->offset);
	char *elem;

	if (l->n >= (f->max_n ? f->max_n : FIELD_MAX_N)) {
		problem(d, PROBLEM_TOO_LONG, f->tag);
		return NULL;
	}
	if (!l->v) { /* most lists hold one or two: large elements start small */
		l->cap = size > 64 ? 2 : 8;
		l->v = arena_alloc(d->arena, l->cap * size);
	}
	l->v = arena_grow(d->arena, l->v, l->n, &l->cap, size);
	elem = l->v + l->n++ * size;
	memset(elem, 0, size);
	return elem;
}

static int open_container(struct decoder *d, const struct field *f, char *obj, struct err *e)
{
	char *child = obj;

	switch ((enum field_kind)f->kind) {
	case FIELD_INTO:
		*(struct num *)(obj + f->offset) = NUM(1);
		return push_frame(d, f->sub, obj, f->tag, e);
	case FIELD_LIST:
		child = list_push(d, f, obj, f->sub->size);
		if (child)
			return push_frame(d, f->sub, child, f->tag, e);
		d->skip = 1;
		return 0;
	case FIELD_ITEM:
		child = arena_alloc(d->arena, item_in_schema.size);
		*(char **)(obj + f->offset) = child;
		return push_frame(d, &item_in_schema, child, f->tag, e);
	default:
		child = arena_alloc(d->arena, f->sub->size);
		*(char **)(obj + f->offset) = child;
		return push_frame(d, f->sub, child, f->tag, e);
	}
}

static const struct field *find(struct decoder *d, uint16_t tag, char **obj_r)
{
	struct decode_frame *fr = top(d);
	bool other = false;
	const struct field *f;

	*obj_r = fr->obj;
	if (fr->schema == &item_in_schema)
		f = item_in_find(d, (struct item_in *)fr->obj, tag, &fr->hint, obj_r, &other);
	else
		f = schema_pick(fr->schema, tag, d->version, &fr->hint, &other);
	if (!f)
		problem(d, other ? PROBLEM_VERSION : wbxml_tag_name(tag) ? PROBLEM_MISPLACED : PROBLEM_UNKNOWN, tag);
	return f;
}

static bool is_container(const struct field *f)
{
	return f->kind == FIELD_OBJ || f->kind == FIELD_INTO || f->kind == FIELD_LIST || f->kind == FIELD_ITEM;
}

/* A scalar begins: what an earlier element of that name left is gone. */
static int open_scalar(struct decoder *d, const struct field *f, char *obj, bool has_content)
{
	if ((f->flags & FIELD_ONCE) && field_given(f, obj))
		problem(d, PROBLEM_RULE, f->tag);
	d->field = f;
	d->field_obj = obj;
	d->value = NULL;
	d->value_len = d->value_cap = 0;
	d->too_long = d->stray = false;
	if (f->kind == FIELD_FLAG && !has_content)
		d->small[d->value_len++] = '1';
	if (f->kind == FIELD_STRS && !list_push(d, f, obj, sizeof(struct slice))) {
		d->field = NULL; /* the list is full */
		d->skip = 1;
	}
	if (f->kind == FIELD_TAGS)
		*(struct tag_set *)(obj + f->offset) = (struct tag_set){ .has = true };
	if (f->kind == FIELD_DATA) {
		struct data *m = (struct data *)(obj + f->offset);

		if (m->blob)
			blob_truncate(m->blob, 0);
		m->has = true;
		m->mem = S("");
	}
	return 0;
}

static void tag_named(struct decoder *d, uint16_t tag)
{
	struct tag_set *t = member(d);

	if (t->tags.n < (d->field->max_n ? d->field->max_n : 512))
		*LIST_PUSH(d->arena, &t->tags) = tag;
}

static void order_keep(struct decoder *d, uint16_t tag)
{
	tag_list *l = (tag_list *)(top(d)->obj + top(d)->schema->order_off);

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i] == tag)
			return;
	*LIST_PUSH(d->arena, l) = tag;
}

static int on_open(void *ctx, uint16_t tag, bool has_content, struct err *e)
{
	struct decoder *d = ctx;
	const struct field *f;
	char *obj;

	if (d->skip) {
		d->skip++;
		return 0;
	}
	if (d->field) { /* a child of a scalar */
		d->skip = 1;
		if (d->field->kind == FIELD_TAGS) {
			tag_named(d, tag);
		} else {
			d->stray = true;
			problem(d, PROBLEM_MISPLACED, tag);
		}
		return over_memory(d, e);
	}
	if (d->depth == 0)
		return open_root(d, tag, e);
	f = find(d, tag, &obj);
	if (!f) {
		d->skip = 1;
		return 0;
	}
	if (top(d)->schema->order_off)
		order_keep(d, tag);
	if (f->first > d->report->oldest)
		d->report->oldest = f->first;
	if (over_memory(d, e) < 0)
		return -1;
	return is_container(f) ? open_container(d, f, obj, e) : open_scalar(d, f, obj, has_content);
}

/* --- text ---------------------------------------------------------------------- */

static bool is_short(const struct field *f)
{
	return f->kind == FIELD_NUM || f->kind == FIELD_BOOL || f->kind == FIELD_FLAG || f->kind == FIELD_DATE ||
	       f->kind == FIELD_DATEC;
}

static void add_short(struct decoder *d, struct slice s)
{
	if (s.len > sizeof(d->small) - d->value_len) {
		d->too_long = true;
		return;
	}
	memcpy(d->small + d->value_len, s.ptr, s.len);
	d->value_len += s.len;
}

static int add_long(struct decoder *d, struct slice s, struct err *e)
{
	size_t max = d->field->max_len ? d->field->max_len : FIELD_MAX_LEN, need = d->value_len + s.len;
	char *p;

	if (d->field->kind == FIELD_B64 || (d->field->kind == FIELD_BIN && d->small[0] == 't'))
		max = max / 3 * 4 + 4; /* of base64; the raw length is looked at on close */
	if (d->too_long || need > max) {
		d->too_long = true;
		return 0;
	}
	if (need > d->value_cap) {
		d->value_cap = d->value ? need * 2 : need;
		p = arena_alloc(d->arena, d->value_cap + 1);
		if (d->value_len)
			memcpy(p, d->value, d->value_len);
		d->value = p;
	}
	memcpy(d->value + d->value_len, s.ptr, s.len);
	d->value_len = need;
	return over_memory(d, e);
}

static int add_data(struct decoder *d, struct slice s, bool is_opaque, struct err *e)
{
	struct data *m = member(d);

	if (!m->blob) {
		m->blob = blob_new(0);
		*LIST_PUSH(d->arena, &d->report->blobs) = m->blob;
	}
	m->opaque = is_opaque;
	if (d->field->max_len && blob_size(m->blob) + s.len > d->field->max_len) {
		d->too_long = true;
		return 0;
	}
	return blob_append(m->blob, s.ptr, s.len, e);
}

static int content(struct decoder *d, struct slice s, bool is_opaque, struct err *e)
{
	if (d->skip)
		return 0;
	if (!d->field || d->field->kind == FIELD_TAGS) {
		if (slice_trim(s).len && !top(d)->noise) {
			top(d)->noise = true;
			problem(d, PROBLEM_BAD_VALUE, top(d)->tag);
		}
		return 0;
	}
	if (is_short(d->field)) {
		add_short(d, s);
		return 0;
	}
	if (d->field->kind == FIELD_DATA)
		return add_data(d, s, is_opaque, e);
	if (d->field->kind == FIELD_BIN && is_opaque)
		d->small[0] = 'o'; /* raw bytes, not base64 */
	else if (d->field->kind == FIELD_BIN && d->value_len == 0)
		d->small[0] = 't';
	return add_long(d, s, e);
}

static int on_text(void *ctx, struct slice s, struct err *e)
{
	const struct decoder *d = ctx;
	bool data = !d->skip && d->field && d->field->kind == FIELD_DATA;

	if (!data && d->reader.run > d->string_limit)
		return err_set(e, ERR_LIMIT, "a string of more than %llu bytes", (unsigned long long)d->string_limit);
	return content(ctx, s, false, e);
}

static int on_opaque(void *ctx, struct slice s, struct err *e)
{
	return content(ctx, s, true, e);
}

/* --- values --------------------------------------------------------------------- */

static bool num_value(const struct field *f, struct slice s, struct num *m)
{
	int64_t lo = f->kind == FIELD_NUM ? f->min : 0, hi = f->kind == FIELD_NUM ? f->max : 1, v;

	if (!slice_i64(s, &v) || v < lo || v > hi)
		return false;
	if (f->legal && (v < 0 || v > 31 || !(f->legal >> v & 1)))
		return false;
	*m = NUM(v);
	return true;
}

static bool date_value(struct slice s, struct date *m)
{
	m->has = date_parse_eas(s, &m->ms);
	return m->has;
}

static bool short_value(struct decoder *d)
{
	struct slice s = slice_trim(slice(d->small, d->value_len));
	bool is_date = d->field->kind == FIELD_DATE || d->field->kind == FIELD_DATEC;

	memset(member(d), 0, is_date ? sizeof(struct date) : sizeof(struct num));
	if (s.len == 0 && (d->field->flags & FIELD_EMPTY))
		return true;
	if (s.len == 0 && d->field->kind == FIELD_FLAG) { /* <GetChanges></GetChanges> is <GetChanges/> */
		*(struct num *)member(d) = NUM(1);
		return true;
	}
	return is_date ? date_value(s, member(d)) : num_value(d->field, s, member(d));
}

static bool long_value(struct decoder *d)
{
	struct slice v = d->value ? slice(d->value, d->value_len) : S(""), *m = member(d);
	bool text = d->field->kind == FIELD_B64 || (d->field->kind == FIELD_BIN && d->value && d->small[0] == 't');

	if (d->field->kind == FIELD_STRS) {
		struct list_head *l = member(d);

		m = (struct slice *)l->v + l->n - 1;
	}
	if (text && v.len) {
		struct slice raw;

		*m = S_NONE;
		if (!base64_decode(d->arena, v, &raw) || raw.len > (d->field->max_len ? d->field->max_len : FIELD_MAX_LEN))
			return false;
		v = raw;
	}
	*m = v;
	return true;
}

static void drop_value(struct decoder *d)
{
	const struct field *f = d->field;

	if (f->kind == FIELD_STRS) {
		((struct list_head *)member(d))->n--;
	} else if (f->kind == FIELD_DATA) {
		struct data *m = member(d);

		m->has = false;
		if (m->blob)
			blob_truncate(m->blob, 0);
	} else if (is_short(f)) {
		memset(member(d), 0, sizeof(struct num));
	} else if (f->kind != FIELD_TAGS) {
		*(struct slice *)member(d) = S_NONE;
	}
}

static void close_scalar(struct decoder *d)
{
	const struct field *f = d->field;
	bool good = true;

	if (d->too_long || d->stray) {
		if (d->too_long)
			problem(d, is_short(f) ? PROBLEM_BAD_VALUE : PROBLEM_TOO_LONG, f->tag);
		drop_value(d);
	} else if (is_short(f)) {
		good = short_value(d);
	} else if (f->kind != FIELD_DATA && f->kind != FIELD_TAGS) {
		good = long_value(d);
	}
	if (!good)
		problem(d, PROBLEM_BAD_VALUE, f->tag);
	d->field = NULL;
}

static void check_required(struct decoder *d, const struct decode_frame *fr)
{
	for (unsigned i = 0; i < fr->schema->n; i++) {
		const struct field *f = &fr->schema->fields[i];

		if (!(f->flags & FIELD_REQUIRED) || d->version < f->first || d->version > f->last)
			continue;
		if (!field_given(f, fr->obj))
			problem(d, PROBLEM_MISSING, f->tag);
	}
}

static void run_checks(struct decoder *d, const struct decode_frame *fr)
{
	struct check_ctx c = { d->arena, d->version, fr->problem };
	uint8_t before;

	check_required(d, fr);
	if (!fr->schema->check)
		return;
	before = fr->problem->kind;
	fr->schema->check(fr->obj, &c);
	if (fr->problem->kind != before)
		d->report->problems++;
}

static int on_close(void *ctx, struct err *e)
{
	struct decoder *d = ctx;

	if (d->skip) {
		d->skip--;
	} else if (d->field) {
		close_scalar(d);
	} else {
		run_checks(d, top(d));
		d->depth--;
	}
	return 0;
}

/* --- entry points ------------------------------------------------------------------ */

static const struct wbxml_events events = { on_open, on_text, on_opaque, on_close };

void decode_begin(struct decoder *d, const struct schema *root, enum eas_version version,
		  struct arena *arena, struct decode_report *report, const struct wbxml_limits *limits)
{
	memset(d, 0, sizeof(*d));
	memset(report, 0, sizeof(*report));
	report->oldest = EAS_10;
	d->arena = arena;
	d->root_schema = root;
	d->report = report;
	d->version = version;
	d->arena_limit = ARENA_LIMIT;
	d->arena_start = arena_used(arena);
	wbxml_reader_init(&d->reader, &events, d, arena, limits);
	d->string_limit = d->reader.limits.string_bytes;
	if (d->reader.limits.string_bytes < d->reader.limits.opaque_bytes)
		d->reader.limits.string_bytes = d->reader.limits.opaque_bytes;
}

int decode_feed(struct decoder *d, struct slice bytes, struct err *e)
{
	return wbxml_feed(&d->reader, bytes, e);
}

void *decode_end(struct decoder *d, struct err *e)
{
	int rc = wbxml_feed(&d->reader, S_NONE, e);

	if (rc == 0)
		err_set(e, ERR_BAD_WBXML, "the body ends in the middle of the document");
	return rc == 1 ? d->root : NULL;
}

void *decode_all(struct slice body, const struct schema *root, enum eas_version version,
		 struct arena *arena, struct decode_report *report, struct err *e)
{
	struct decoder d;

	decode_begin(&d, root, version, arena, report, NULL);
	if (decode_feed(&d, body, e) < 0)
		return NULL;
	return decode_end(&d, e);
}
