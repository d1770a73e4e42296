/* item.c - the shared parts of all item classes and the way between the forms
 * of 2.5 and later ones. Pure, any thread. The decoder fills a struct item_in;
 * callers only see the struct item at its front. */
#include "proto/email.h"
#include "proto/item_in.h"

static const struct field body_preference_fields[] = {
	F_NUM (struct body_preference, BASE_TYPE,            type,            EAS_120, EAS_MAX, 1, 4, .flags = FIELD_REQUIRED),
	F_NUM (struct body_preference, BASE_TRUNCATION_SIZE, truncation_size, EAS_120, EAS_MAX, 0, UINT32_MAX),
	F_BOOL(struct body_preference, BASE_ALL_OR_NONE,     all_or_none,     EAS_120, EAS_MAX, .flags = FIELD_ONCE),
	F_NUM (struct body_preference, BASE_PREVIEW,         preview,         EAS_140, EAS_MAX, 0, 255),
};
const struct schema body_preference_schema =
	SCHEMA(struct body_preference, BASE_BODY_PREFERENCE, body_preference_fields);
const struct schema body_part_preference_schema =
	SCHEMA(struct body_preference, BASE_BODY_PART_PREFERENCE, body_preference_fields);

static const struct field body_fields[] = {
	F_NUM (struct item_body, BASE_TYPE,                type,           EAS_120, EAS_MAX, 1, 4),
	F_NUM (struct item_body, BASE_ESTIMATED_DATA_SIZE, estimated_size, EAS_120, EAS_MAX, 0, UINT32_MAX),
	F_BOOL(struct item_body, BASE_TRUNCATED,           truncated,      EAS_120, EAS_MAX),
	F_DATA(struct item_body, BASE_DATA,                data,           EAS_120, EAS_MAX),
	F_STR (struct item_body, BASE_PREVIEW,             preview,        EAS_140, EAS_MAX),
	F_NUM (struct item_body, ITEMOPS_PART,             part,           EAS_120, EAS_MAX, 0, INT32_MAX),
};
static const struct schema body_schema = SCHEMA(struct item_body, BASE_BODY, body_fields);

static const struct field body_part_fields[] = {
	F_NUM (struct item_body, BASE_STATUS,              status,         EAS_141, EAS_MAX, 0, 255),
	F_NUM (struct item_body, BASE_TYPE,                type,           EAS_141, EAS_MAX, 1, 4),
	F_NUM (struct item_body, BASE_ESTIMATED_DATA_SIZE, estimated_size, EAS_141, EAS_MAX, 0, UINT32_MAX),
	F_BOOL(struct item_body, BASE_TRUNCATED,           truncated,      EAS_141, EAS_MAX),
	F_DATA(struct item_body, BASE_DATA,                data,           EAS_141, EAS_MAX),
	F_STR (struct item_body, BASE_PREVIEW,             preview,        EAS_141, EAS_MAX),
	F_NUM (struct item_body, ITEMOPS_PART,             part,           EAS_141, EAS_MAX, 0, INT32_MAX),
};
static const struct schema body_part_schema = SCHEMA(struct item_body, BASE_BODY_PART, body_part_fields);

static const struct field attachment_fields[] = {
	F_STR (struct attachment, BASE_DISPLAY_NAME,        display_name,     EAS_120, EAS_MAX),
	F_STR (struct attachment, BASE_FILE_REFERENCE,      file_reference,   EAS_120, EAS_MAX),
	F_NUM (struct attachment, BASE_METHOD,              method,           EAS_120, EAS_MAX, 0, 255),
	F_NUM (struct attachment, BASE_ESTIMATED_DATA_SIZE, estimated_size,   EAS_120, EAS_MAX, 0, UINT32_MAX),
	F_STR (struct attachment, BASE_CONTENT_ID,          content_id,       EAS_120, EAS_MAX),
	F_STR (struct attachment, BASE_CONTENT_LOCATION,    content_location, EAS_120, EAS_MAX),
	F_BOOL(struct attachment, BASE_IS_INLINE,           is_inline,        EAS_120, EAS_MAX),
	F_NUM (struct attachment, EMAIL2_UM_ATT_DURATION,   um_duration,      EAS_140, EAS_MAX, 0, INT32_MAX),
	F_NUM (struct attachment, EMAIL2_UM_ATT_ORDER,      um_order,         EAS_140, EAS_MAX, 0, INT32_MAX),
};
static const struct schema attachment_schema = SCHEMA(struct attachment, BASE_ATTACHMENT, attachment_fields);

/* The child order that 2.5 devices know (the XSD's order came with 12.0). */
static const struct field attachment25_fields[] = {
	F_NUM(struct attachment, EMAIL_ATT_METHOD,   method,         EAS_10, EAS_25, 0, 255),
	F_NUM(struct attachment, EMAIL_ATT_SIZE,     estimated_size, EAS_10, EAS_25, 0, UINT32_MAX),
	F_STR(struct attachment, EMAIL_DISPLAY_NAME, display_name,   EAS_10, EAS_25),
	F_STR(struct attachment, EMAIL_ATT_NAME,     file_reference, EAS_10, EAS_25),
	F_STR(struct attachment, EMAIL_ATT0_ID,      content_id,     EAS_10, EAS_25),
};
static const struct schema attachment25_schema = SCHEMA(struct attachment, EMAIL_ATTACHMENT, attachment25_fields);

static const struct field attachments_fields[] = {
	F_LIST(struct item_in, BASE_ATTACHMENT, it.attachments, EAS_120, EAS_MAX, struct attachment, &attachment_schema),
};
static const struct schema attachments_schema = SCHEMA(struct item_in, BASE_ATTACHMENTS, attachments_fields);

static const struct field attachments25_fields[] = {
	F_LIST(struct item_in, EMAIL_ATTACHMENT, it.attachments, EAS_10, EAS_25, struct attachment, &attachment25_schema),
};
static const struct schema attachments25_schema = SCHEMA(struct item_in, EMAIL_ATTACHMENTS, attachments25_fields);

static const struct field item_fields[] = {
	F_INTO(struct item_in, BASE_ATTACHMENTS,      it.has_attachments,  EAS_120, EAS_MAX, &attachments_schema),
	F_INTO(struct item_in, EMAIL_ATTACHMENTS,     it.has_attachments,  EAS_10, EAS_25, &attachments25_schema),
	F_OBJ (struct item_in, BASE_BODY,             it.body,             EAS_120, EAS_MAX, struct item_body, &body_schema),
	F_LIST(struct item_in, BASE_BODY_PART,        it.body_parts,       EAS_141, EAS_MAX, struct item_body, &body_part_schema),
	F_NUM (struct item_in, BASE_NATIVE_BODY_TYPE, it.native_body_type, EAS_120, EAS_MAX, 0, 255),
	F_DATA(struct item_in, EMAIL_BODY,            body,                EAS_10, EAS_25),
	F_NUM (struct item_in, EMAIL_BODY_SIZE,       body_size,           EAS_10, EAS_25, 0, UINT32_MAX),
	F_BOOL(struct item_in, EMAIL_BODY_TRUNCATED,  body_truncated,      EAS_10, EAS_25),
	F_DATA(struct item_in, EMAIL_MIME_DATA,       mime,                EAS_25, EAS_25),
	F_NUM (struct item_in, EMAIL_MIME_SIZE,       mime_size,           EAS_25, EAS_25, 0, UINT32_MAX),
	F_BOOL(struct item_in, EMAIL_MIME_TRUNCATED,  mime_truncated,      EAS_25, EAS_25),
	F_STR (struct item_in, BASE_CONTENT_TYPE,     it.content_type,     EAS_120, EAS_MAX),
	F_STR (struct item_in, ITEMOPS_RANGE,         it.range,            EAS_120, EAS_MAX),
	F_NUM (struct item_in, ITEMOPS_TOTAL,         it.total,            EAS_120, EAS_MAX, 0, UINT32_MAX),
	F_DATA(struct item_in, ITEMOPS_DATA,          it.data,             EAS_120, EAS_MAX),
	F_NUM (struct item_in, ITEMOPS_PART,          it.part,             EAS_120, EAS_MAX, 0, INT32_MAX),
};
static void item_check(void *obj, const struct check_ctx *c);
const struct schema item_in_schema =
	SCHEMA(struct item_in, AIRSYNC_APPLICATION_DATA, item_fields, .check = item_check);

/* --- classes ---------------------------------------------------------------- */

struct class_row {
	const char *name;
	const struct schema *schema;
	size_t member; /* of the pointer in struct item */
};

static const struct class_row classes[CLASS_COUNT] = {
#define CLASS(id, text, member_, schema_, page, page2) [CLASS_##id] = { text, &schema_, offsetof(struct item, member_) },
#include "proto/classes.def"
#undef CLASS
};

static const uint8_t class_of_page[WBXML_PAGES] = {
#define CLASS(id, text, member_, schema_, page, page2) [page] = CLASS_##id, [page2] = CLASS_##id,
#include "proto/classes.def"
#undef CLASS
};

enum item_class item_class_find(struct slice text)
{
	for (unsigned i = CLASS_NONE + 1; i < CLASS_COUNT; i++)
		if (slice_eq(slice_str(classes[i].name), text))
			return (enum item_class)i;
	return CLASS_NONE;
}

const char *item_class_name(enum item_class c)
{
	return c > CLASS_NONE && c < CLASS_COUNT ? classes[c].name : "";
}

const struct schema *item_schema(enum item_class c)
{
	return c > CLASS_NONE && c < CLASS_COUNT ? classes[c].schema : NULL;
}

static void **class_member(struct item *it, enum item_class c)
{
	return (void **)((char *)it + classes[c].member);
}

/* --- decode ------------------------------------------------------------------- */

const struct field *item_in_find(struct decoder *d, struct item_in *in, uint16_t tag, uint16_t *hint,
				 char **obj_r, bool *other_version_r)
{
	enum item_class c = tag >> 8 < WBXML_PAGES ? class_of_page[tag >> 8] : CLASS_NONE;
	const struct field *f;

	if (c && (in->it.class == CLASS_NONE || in->it.class == c)) {
		f = schema_pick(classes[c].schema, tag, d->version, hint, other_version_r);
		if (f) {
			void **m = class_member(&in->it, c);

			if (!*m)
				*m = arena_alloc(d->arena, classes[c].schema->size);
			in->it.class = c;
			*obj_r = *m;
			return f;
		}
	}
	return schema_pick(&item_in_schema, tag, d->version, hint, other_version_r);
}

/* What 2.5 says in flat elements becomes the body everyone else knows. */
static void fold_old_body(struct item_in *in, const struct check_ctx *c)
{
	bool mime = in->mime.has || in->mime_size.has;

	if (in->it.body || (!in->body.has && !in->body_size.has && !mime))
		return;
	in->it.body = ARENA_NEW(c->arena, struct item_body);
	in->it.body->type = NUM(mime ? 4 : 1);
	in->it.body->data = mime ? in->mime : in->body;
	in->it.body->estimated_size = mime ? in->mime_size : in->body_size;
	in->it.body->truncated = mime ? in->mime_truncated : in->body_truncated;
}

static void item_check(void *obj, const struct check_ctx *c)
{
	struct item_in *in = obj;

	fold_old_body(in, c);
	if (in->it.class && classes[in->it.class].schema->check)
		classes[in->it.class].schema->check(*class_member(&in->it, in->it.class), c);
}

/* --- encode ------------------------------------------------------------------- */

static void unfold_body(struct item_in *in)
{
	const struct item_body *b = in->it.body;

	if (!b)
		return;
	if (num_or(b->type, 1) == 4) {
		in->mime = b->data;
		in->mime_size = b->estimated_size;
		in->mime_truncated = NUM(num_or(b->truncated, 0));
	} else {
		in->body = b->data;
		in->body_size = b->estimated_size;
		in->body_truncated = NUM(num_or(b->truncated, 0));
	}
}

void item_encode(struct wbxml_writer *w, const struct item *it, enum eas_version version)
{
	struct item_in in = { .it = *it };

	for (unsigned i = CLASS_NONE + 1; i < CLASS_COUNT; i++) {
		void *obj = *class_member(&in.it, (enum item_class)i);

		if (obj)
			encode_fields(w, classes[i].schema, obj, version);
	}
	if (version < EAS_120)
		unfold_body(&in);
	encode_fields(w, &item_in_schema, &in, version);
}

/* --- Schema ------------------------------------------------------------------- */

static size_t member_size(enum field_kind k)
{
	switch (k) {
	case FIELD_NUM:
	case FIELD_BOOL:
	case FIELD_FLAG:
	case FIELD_INTO:
		return sizeof(struct num);
	case FIELD_DATE:
	case FIELD_DATEC:
		return sizeof(struct date);
	case FIELD_OBJ:
	case FIELD_ITEM:
		return sizeof(void *);
	case FIELD_LIST:
	case FIELD_STRS:
		return sizeof(str_list); /* every list has this shape */
	case FIELD_TAGS:
		return sizeof(struct tag_set);
	case FIELD_DATA:
		return sizeof(struct data);
	default:
		return sizeof(struct slice);
	}
}

static void take_out(const struct field *f, void *obj)
{
	memset((char *)obj + f->offset, 0, member_size(f->kind));
	for (unsigned i = 0; f->kind == FIELD_INTO && i < f->sub->n; i++) {
		const struct field *child = &f->sub->fields[i];

		memset((char *)obj + child->offset, 0, member_size(child->kind));
	}
}

static void keep_fields(const struct schema *s, void *obj, const struct tag_set *keep)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!tag_set_has(keep, s->fields[i].tag))
			take_out(&s->fields[i], obj);
}

void item_keep_only(struct item *it, const struct tag_set *keep)
{
	struct item_in in = { .it = *it };

	if (it->class && *class_member(it, it->class))
		keep_fields(classes[it->class].schema, *class_member(it, it->class), keep);
	/* Rows of 2.5 name the same members: Schema came with 12.0. */
	for (unsigned i = 0; i < item_in_schema.n; i++) {
		const struct field *f = &item_in_schema.fields[i];

		if (f->last >= EAS_120 && !tag_set_has(keep, f->tag))
			take_out(f, &in);
	}
	*it = in.it;
}
