/* schema.c - what decoder and encoder share: presence, look-up, problems,
 * blobs of a request. Any thread; tables are constant. */
#include "proto/schema.h"

#include "proto/item_in.h"

struct list_head {
	void *v;
	size_t n, cap;
};

bool field_given(const struct field *f, const void *obj)
{
	const char *m = (const char *)obj + f->offset;

	switch ((enum field_kind)f->kind) {
	case FIELD_STR:
	case FIELD_BIN:
	case FIELD_B64:
		return ((const struct slice *)m)->ptr != NULL;
	case FIELD_NUM:
	case FIELD_BOOL:
	case FIELD_FLAG:
		return ((const struct num *)m)->has;
	case FIELD_INTO:
		if (((const struct num *)m)->has)
			return true;
		for (unsigned i = 0; i < f->sub->n; i++)
			if (field_given(&f->sub->fields[i], obj))
				return true;
		return false;
	case FIELD_DATE:
	case FIELD_DATEC:
		return ((const struct date *)m)->has;
	case FIELD_OBJ:
	case FIELD_ITEM:
		return *(void *const *)m != NULL;
	case FIELD_LIST:
	case FIELD_STRS:
		return ((const struct list_head *)m)->n > 0;
	case FIELD_TAGS:
		return ((const struct tag_set *)m)->has;
	case FIELD_DATA:
		return ((const struct data *)m)->has;
	}
	return false;
}

bool field_omitted_deletes(const struct field *f, const void *obj, const struct tag_set *supported)
{
	if (!(f->flags & FIELD_GHOST) || field_given(f, obj))
		return false;
	return !supported || !supported->has || tag_set_has(supported, f->tag);
}

/* Looks on from the row that matched last, because most documents keep the order. */
const struct field *schema_pick(const struct schema *s, uint16_t tag, enum eas_version v, uint16_t *hint,
				bool *other_version_r)
{
	for (unsigned i = 0, at = *hint; i < s->n; i++, at++) {
		const struct field *f;

		if (at >= s->n)
			at = 0;
		f = &s->fields[at];
		if (f->tag != tag)
			continue;
		if (v == EAS_ANY || (v >= f->first && v <= f->last)) {
			*hint = (uint16_t)at;
			return f;
		}
		*other_version_r = true;
	}
	return NULL;
}

const struct field *schema_find(const struct schema *s, uint16_t tag, enum eas_version v)
{
	uint16_t hint = 0;
	bool other;

	return schema_pick(s, tag, v, &hint, &other);
}

bool tag_set_has(const struct tag_set *t, uint16_t tag)
{
	for (size_t i = 0; i < t->tags.n; i++)
		if (t->tags.v[i] == tag)
			return true;
	return false;
}

const char *problem_name(enum problem_kind k)
{
	static const char *const names[] = {
		[PROBLEM_NONE] = "none",
		[PROBLEM_UNKNOWN] = "unknown",
		[PROBLEM_MISPLACED] = "misplaced",
		[PROBLEM_VERSION] = "version",
		[PROBLEM_BAD_VALUE] = "bad value",
		[PROBLEM_TOO_LONG] = "too long",
		[PROBLEM_MISSING] = "missing",
		[PROBLEM_RULE] = "rule",
		[PROBLEM_READ_ONLY] = "read only",
	};

	return (size_t)k < sizeof(names) / sizeof(names[0]) ? names[k] : "?";
}

void problem_set(struct field_problem *p, enum problem_kind k, uint16_t tag, uint16_t parent)
{
	if (p->kind == PROBLEM_NONE)
		*p = (struct field_problem){ (uint8_t)k, tag, parent };
}

struct blob *decode_take(struct decode_report *r, struct data *d)
{
	struct blob *b = d->blob;

	if (!b)
		return NULL;
	for (size_t i = 0; i < r->blobs.n; i++)
		if (r->blobs.v[i] == b)
			r->blobs.v[i] = NULL;
	d->blob = NULL;
	return b;
}

void decode_report_deinit(struct decode_report *r)
{
	for (size_t i = 0; i < r->blobs.n; i++)
		blob_free(&r->blobs.v[i]);
	r->blobs.n = 0;
}
