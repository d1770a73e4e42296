/* item_in.h - how the decoder reads an item: private to proto/. The class is
 * not named where an item stands, so the first child of a class's own code page
 * picks it; members of the 2.5 forms wait here until the item is closed. */
#ifndef PROTO_ITEM_IN_H
#define PROTO_ITEM_IN_H

#include "proto/item.h"

struct item_in {
	struct item it; /* first: the struct item * that callers see */
	/* email:Body ... of 2.5, folded into it.body on close */
	struct data body, mime;
	struct num body_size, body_truncated, mime_size, mime_truncated;
};

extern const struct schema item_in_schema;

/* Row of a tag in this version; *other_version_r is set when only other versions have it. */
const struct field *schema_pick(const struct schema *s, uint16_t tag, enum eas_version v, uint16_t *hint,
				bool *other_version_r);

/* A tag that item_in_schema does not hold: the row of the class it belongs to,
 * with *obj_r the class's struct (made at first sight). NULL: no class of this
 * build has it here; *other_version_r as in frame look-up. */
const struct field *item_in_find(struct decoder *d, struct item_in *in, uint16_t tag, uint16_t *hint,
				 char **obj_r, bool *other_version_r);

#endif
