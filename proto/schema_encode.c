/* schema_encode.c - structs to WBXML by table. Any thread; owns nothing.
 * Recursion follows the tables, whose nesting is fixed, never any input. */
#include "base/digest.h"
#include "proto/date.h"
#include "proto/item.h"

struct list_head {
	char *v;
	size_t n, cap;
};

static void encode_field(struct wbxml_writer *w, const struct schema *s, const struct field *f, const void *obj,
			 enum eas_version v);

static void put_date(struct wbxml_writer *w, const struct field *f, const struct date *d)
{
	char buf[DATE_BUF];
	size_t n = date_format_eas(buf, d->ms, f->kind == FIELD_DATEC ? DATE_COMPACT : DATE_DASHED);

	wbxml_text(w, f->tag, slice(buf, n));
}

static void put_base64(struct wbxml_writer *w, uint16_t tag, struct slice raw)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char buf[1024];
	size_t n = 0;

	wbxml_open(w, tag);
	if (raw.len)
		wbxml_text_begin(w);
	for (size_t i = 0; i < raw.len; i += 3) {
		const uint8_t *p = (const uint8_t *)raw.ptr + i;
		size_t k = raw.len - i;
		uint32_t x = (uint32_t)p[0] << 16 | (k > 1 ? p[1] : 0u) << 8 | (k > 2 ? p[2] : 0u);

		buf[n++] = digit[x >> 18];
		buf[n++] = digit[x >> 12 & 63];
		buf[n++] = k > 1 ? digit[x >> 6 & 63] : '=';
		buf[n++] = k > 2 ? digit[x & 63] : '=';
		if (n == sizeof(buf)) {
			wbxml_text_chunk(w, slice(buf, n));
			n = 0;
		}
	}
	if (raw.len) {
		wbxml_text_chunk(w, slice(buf, n));
		wbxml_text_end(w);
	}
	wbxml_close(w);
}

static void put_data(struct wbxml_writer *w, uint16_t tag, const struct data *d)
{
	uint64_t len = d->len ? d->len : UINT64_MAX;

	if (!d->produce && !d->blob) {
		if (d->opaque)
			wbxml_opaque(w, tag, d->mem);
		else
			wbxml_text(w, tag, d->mem);
		return;
	}
	wbxml_open(w, tag);
	if (d->produce) {
		wbxml_text_begin(w);
		if (d->produce(d->ctx, w, &w->err) < 0)
			w->failed = true;
		wbxml_text_end(w);
	} else if (d->opaque) {
		wbxml_opaque_blob(w, d->blob, d->off, len);
	} else {
		wbxml_text_blob(w, d->blob, d->off, len);
	}
	wbxml_close(w);
}

static void put_tags(struct wbxml_writer *w, uint16_t tag, const struct tag_set *t)
{
	wbxml_open(w, tag);
	for (size_t i = 0; i < t->tags.n; i++)
		wbxml_empty(w, t->tags.v[i]);
	wbxml_close(w);
}

/* Several rows may feed one list: the first of them writes all elements, each
 * under the tag that it carries. */
static void put_list(struct wbxml_writer *w, const struct schema *s, const struct field *f, const void *obj,
		     enum eas_version v)
{
	const struct list_head *l = (const struct list_head *)((const char *)obj + f->offset);

	for (const struct field *g = s->fields; g < f; g++)
		if (g->kind == FIELD_LIST && g->offset == f->offset && v >= g->first && v <= g->last)
			return;
	for (size_t i = 0; i < l->n; i++) {
		const char *elem = l->v + i * f->sub->size;
		const struct field *row = f;

		if (f->sub->tag_off != NO_MEMBER) {
			uint16_t tag;

			memcpy(&tag, elem + f->sub->tag_off, sizeof(tag));
			row = schema_find(s, tag, v);
			if (!row)
				continue;
		}
		wbxml_open(w, row->tag);
		encode_fields(w, row->sub, elem, v);
		wbxml_close(w);
	}
}

static void put_strs(struct wbxml_writer *w, uint16_t tag, const str_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		wbxml_text(w, tag, l->v[i]);
}

static void put_item(struct wbxml_writer *w, uint16_t tag, const struct item *it, enum eas_version v)
{
	wbxml_open(w, tag);
	item_encode(w, it, v);
	wbxml_close(w);
}

static void put_container(struct wbxml_writer *w, const struct field *f, const void *obj, enum eas_version v)
{
	wbxml_open(w, f->tag);
	encode_fields(w, f->sub, obj, v);
	wbxml_close(w);
}

static void put_num(struct wbxml_writer *w, const struct field *f, const struct num *m)
{
	if (f->kind == FIELD_FLAG && m->v)
		wbxml_empty(w, f->tag);
	else
		wbxml_num(w, f->tag, m->v);
}

static void encode_field(struct wbxml_writer *w, const struct schema *s, const struct field *f, const void *obj,
			 enum eas_version v)
{
	const void *m = (const char *)obj + f->offset;

	switch ((enum field_kind)f->kind) {
	case FIELD_STR:
		wbxml_text(w, f->tag, *(const struct slice *)m);
		break;
	case FIELD_NUM:
	case FIELD_BOOL:
	case FIELD_FLAG:
		put_num(w, f, m);
		break;
	case FIELD_DATE:
	case FIELD_DATEC:
		put_date(w, f, m);
		break;
	case FIELD_OBJ:
		put_container(w, f, *(void *const *)m, v);
		break;
	case FIELD_INTO:
		put_container(w, f, obj, v);
		break;
	case FIELD_LIST:
		put_list(w, s, f, obj, v);
		break;
	case FIELD_STRS:
		put_strs(w, f->tag, m);
		break;
	case FIELD_TAGS:
		put_tags(w, f->tag, m);
		break;
	case FIELD_DATA:
		put_data(w, f->tag, m);
		break;
	case FIELD_BIN:
		wbxml_opaque(w, f->tag, *(const struct slice *)m);
		break;
	case FIELD_B64:
		put_base64(w, f->tag, *(const struct slice *)m);
		break;
	case FIELD_ITEM:
		put_item(w, f->tag, *(struct item *const *)m, v);
		break;
	}
}

static bool in_order(const tag_list *l, uint16_t tag)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i] == tag)
			return true;
	return false;
}

static void encode_if_given(struct wbxml_writer *w, const struct schema *s, const struct field *f, const void *obj,
			    enum eas_version v)
{
	if (v >= f->first && v <= f->last && !(f->flags & FIELD_ALIAS) && field_given(f, obj))
		encode_field(w, s, f, obj, v);
}

void encode_fields(struct wbxml_writer *w, const struct schema *s, const void *obj, enum eas_version version)
{
	static const tag_list none;
	const tag_list *order = s->order_off ? (const tag_list *)((const char *)obj + s->order_off) : &none;

	if (!order->n) {
		for (unsigned i = 0; i < s->n; i++)
			encode_if_given(w, s, &s->fields[i], obj, version);
		return;
	}
	/* Settings: its own status, then the parts as asked for, then the rest. */
	for (unsigned i = 0; i < s->n; i++)
		if (!in_order(order, s->fields[i].tag) && !s->fields[i].sub)
			encode_if_given(w, s, &s->fields[i], obj, version);
	for (size_t i = 0; i < order->n; i++) {
		const struct field *f = schema_find(s, order->v[i], version);

		if (f)
			encode_if_given(w, s, f, obj, version);
	}
	for (unsigned i = 0; i < s->n; i++)
		if (!in_order(order, s->fields[i].tag) && s->fields[i].sub)
			encode_if_given(w, s, &s->fields[i], obj, version);
}

void encode_struct(struct wbxml_writer *w, const struct schema *s, const void *obj, enum eas_version version)
{
	wbxml_open(w, s->tag);
	encode_fields(w, s, obj, version);
	wbxml_close(w);
}

int encode_document(struct blob *out, const struct schema *s, const void *obj, enum eas_version version,
		    struct err *e)
{
	struct wbxml_writer w;

	wbxml_writer_init(&w, out);
	encode_struct(&w, s, obj, version);
	return wbxml_finish(&w, e);
}
