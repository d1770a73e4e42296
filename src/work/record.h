/* record.h - how records of src/work look in the store: one format byte, then
 * tagged fields: varint (tag << 1 | kind), then a varint (kind 0) or a length
 * and bytes (kind 1). Zero and empty are left out. Public format: tags are
 * added, never reused; the format byte changes only when old programs must not
 * read on. Unknown tags are kept by owners that rewrite a record, so that in a
 * rolling upgrade the older program loses nothing of the newer. Pure; any thread. */
#ifndef WORK_RECORD_H
#define WORK_RECORD_H

#include "base/arena.h"
#include "base/err.h"

struct record_writer {
	struct arena *a;
	char *p;
	size_t n, cap;
};

/* format 0: a nested run of fields without a format byte. */
void record_begin(struct record_writer *w, struct arena *a, uint8_t format);
void record_int(struct record_writer *w, unsigned tag, uint64_t v);
void record_bytes(struct record_writer *w, unsigned tag, struct slice v);
/* Also when v is empty: list elements. */
void record_item(struct record_writer *w, unsigned tag, struct slice v);
/* Fields as read (record_field.raw): what this program does not know. */
void record_raw(struct record_writer *w, struct slice raw);
/* Valid as long as the arena; the writer is done. */
struct slice record_end(struct record_writer *w);

struct record_field {
	unsigned tag;
	bool is_bytes;
	uint64_t v;         /* kind 0 */
	struct slice bytes; /* kind 1; points into the record */
	struct slice raw;   /* the whole field */
};

/* Checks the format byte: 1..max. -1 ERR_STORE_FORMAT. */
int record_open(struct slice *rest_r, struct slice record, uint8_t max_format, struct err *e);
/* 1 a field, 0 the end, -1 ERR_STORE_FORMAT: damaged. */
int record_next(struct slice *rest, struct record_field *f_r, struct err *e);

#endif
