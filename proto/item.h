/* item.h - what travels as ApplicationData (Sync) and Properties
 * (ItemOperations): one item of any class, with the AirSyncBase parts that all
 * classes share. Backends and the sync engine exchange these structs, never
 * tags. The old forms of 2.5 (Email Body, BodySize, MIMEData, Attachments) are
 * made from and turned into the same members at the wire: nobody else sees them.
 * Structs are plain, in the arena of their request; presence as in schema.h. */
#ifndef PROTO_ITEM_H
#define PROTO_ITEM_H

#include "proto/schema.h"

enum item_class {
	CLASS_NONE,
#define CLASS(id, text, member, schema, page, page2) CLASS_##id,
#include "proto/classes.def"
#undef CLASS
	CLASS_COUNT
};
/* "Email" -> CLASS_EMAIL; CLASS_NONE when not built in. */
enum item_class item_class_find(struct slice text);
const char *item_class_name(enum item_class c); /* "" for none */

/* What a client asks for (Options of Sync, ItemOperations, Search). In the order sent. */
struct body_preference {
	struct num type;            /* 1 text, 2 HTML, 3 RTF, 4 MIME */
	struct num truncation_size; /* bytes; absent: no limit */
	struct num all_or_none, preview;
};
extern const struct schema body_preference_schema;      /* airsyncbase:BodyPreference, 12.0 */
extern const struct schema body_part_preference_schema; /* airsyncbase:BodyPartPreference, 14.1 */

/* airsyncbase:Body, and BodyPart (with status). */
struct item_body {
	struct num status;         /* BodyPart only: 1, 176 */
	struct num type;           /* 1..4 */
	struct num estimated_size; /* bytes of the whole */
	struct num truncated;      /* leave absent when whole */
	struct data data;          /* absent when the body is empty or not asked for */
	struct slice preview;      /* 14.0 */
	struct num part;           /* ItemOperations multipart: index of the part */
};

struct attachment {
	struct slice display_name;
	struct slice file_reference;   /* URL-safe; the 2.5 AttName */
	struct num method;             /* 1 file, 5 message, 6 OLE */
	struct num estimated_size;     /* bytes */
	struct slice content_id, content_location;
	struct num is_inline;          /* 12.0; left out when 0 */
	struct num um_duration, um_order; /* 14.0, voice mail */
};

struct email;
struct item {
	enum item_class class;
	struct email *email;
	/* contact, event, task, note: a pointer each, with their classes.def line */
	struct item_body *body;
	LIST_OF(struct item_body) body_parts;     /* 14.1 */
	struct num has_attachments;               /* the container stood there */
	LIST_OF(struct attachment) attachments;
	struct num native_body_type;              /* 12.0: 1, 2, 3 */
	/* ItemOperations Properties of an attachment (Data or Part) */
	struct slice content_type;
	struct slice range;
	struct num total;
	struct data data;
	struct num part;
};

/* The members of `it` into the open element (ApplicationData, Properties), in
 * the forms of `version`. `class` of the item says which member. */
void item_encode(struct wbxml_writer *w, const struct item *it, enum eas_version version);
/* ItemOperations Schema: takes out of `it` what is not named in keep. */
void item_keep_only(struct item *it, const struct tag_set *keep);
/* Classes' schema by number; NULL for CLASS_NONE. */
const struct schema *item_schema(enum item_class c);

#endif
