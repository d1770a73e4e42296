/* wbxml.h - WBXML 1.1-1.3 as ActiveSync uses it (MS-ASWBXML): a push parser
 * and a writer. Tags are 16-bit constants, page << 8 | token (codepages.def).
 *
 * Reader: takes bytes in any split, holds constant state (plus a string table
 * where a peer sends one), never recurses, and calls back. Any thread, one
 * owner at a time. Accepts inline strings, string table references, entities
 * and opaque data; attributes, literals, extensions and processing
 * instructions are errors, as is a byte behind the root element.
 *
 * Writer: appends to a blob. Errors stick: nothing fails in between, the last
 * call tells. Text is made fit for XML on its way: NUL and control bytes are
 * dropped, broken UTF-8 becomes U+FFFD, so that no mail can break a reply. */
#ifndef PROTO_WBXML_H
#define PROTO_WBXML_H

#include "base/arena.h"
#include "base/blob.h"

enum wbxml_tag {
	TAG_NONE = 0,
#define PAGE(number, prefix, name) PAGE_##prefix = (number),
#define TAG(prefix, token, id, name) prefix##_##id = PAGE_##prefix << 8 | (token),
#include "proto/codepages.def"
#undef PAGE
#undef TAG
};

enum { WBXML_PAGES = 26 };

/* "Sync"; NULL when no such tag is known. */
const char *wbxml_tag_name(uint16_t tag);
/* "AirSync"; NULL when no such page is known. */
const char *wbxml_page_name(uint8_t page);
/* By page and name; TAG_NONE when unknown. Slow: tools and tests. */
uint16_t wbxml_tag_find(struct slice page, struct slice name);

/* What a peer may make us hold or do. All inclusive; 0 means none allowed. */
struct wbxml_limits {
	uint32_t depth;        /* open elements at once */
	uint32_t elements;     /* in the whole document */
	uint32_t table_bytes;  /* string table */
	uint64_t string_bytes; /* one run of text between two tags */
	uint64_t opaque_bytes; /* one opaque run */
	uint64_t total_bytes;  /* all text and opaque bytes together */
};
extern const struct wbxml_limits wbxml_limits_default;

/* Each returns 0, or -1 with *e set, which ends the parse. `open` of an empty
 * element is followed by `close` at once. Text comes in any number of chunks,
 * valid during the call only; an empty string gives no chunk. */
struct wbxml_events {
	int (*open)(void *ctx, uint16_t tag, bool has_content, struct err *e);
	int (*text)(void *ctx, struct slice chunk, struct err *e);
	int (*opaque)(void *ctx, struct slice chunk, struct err *e);
	int (*close)(void *ctx, struct err *e);
};

struct wbxml_reader {
	const struct wbxml_events *events;
	void *ctx;
	struct arena *arena; /* string table only */
	struct wbxml_limits limits;
	uint8_t state, page, mb_len;
	bool rooted;
	uint32_t mb, depth, elements, table_len, table_have;
	uint64_t run, opaque_left, total;
	char *table;
};

/* `events` must outlive the reader; `arena` is borrowed. */
void wbxml_reader_init(struct wbxml_reader *r, const struct wbxml_events *events, void *ctx,
		       struct arena *arena, const struct wbxml_limits *limits);
/* 1: the root element is closed and every byte used. 0: more is needed (or
 * may follow: whatever does is an error). -1: *e is set (ERR_BAD_WBXML, or
 * ERR_LIMIT); the reader is dead. An empty slice asks for the state. */
int wbxml_feed(struct wbxml_reader *r, struct slice bytes, struct err *e);

enum { WBXML_BUFFER = 2048, WBXML_MAX_DEPTH = 32 };

/* Lives on a stack or inside another struct; owns nothing. `out` is borrowed. */
struct wbxml_writer {
	struct blob *out;
	struct err err;
	bool failed;
	uint8_t page;
	uint16_t pending; /* start tag not written yet: may turn out empty */
	uint8_t depth;
	bool in_text;
	uint8_t held_len; /* UTF-8 sequence cut by a chunk border */
	char held[4];
	size_t n;
	char buf[WBXML_BUFFER];
};

/* Writes the header (1.3, public id 1, UTF-8, no string table). */
void wbxml_writer_init(struct wbxml_writer *w, struct blob *out);
void wbxml_open(struct wbxml_writer *w, uint16_t tag);
/* Closes the innermost element; one without content is written as empty. */
void wbxml_close(struct wbxml_writer *w);
void wbxml_empty(struct wbxml_writer *w, uint16_t tag);
void wbxml_text(struct wbxml_writer *w, uint16_t tag, struct slice s); /* <tag>s</tag> */
void wbxml_num(struct wbxml_writer *w, uint16_t tag, int64_t v);
void wbxml_opaque(struct wbxml_writer *w, uint16_t tag, struct slice bytes);
/* Large text inside the open element: begin, any number of chunks, end. */
void wbxml_text_begin(struct wbxml_writer *w);
void wbxml_text_chunk(struct wbxml_writer *w, struct slice chunk);
void wbxml_text_end(struct wbxml_writer *w);
/* `len` bytes from `off` of a blob as one inline string / one opaque run in the open element. */
void wbxml_text_blob(struct wbxml_writer *w, const struct blob *b, uint64_t off, uint64_t len);
void wbxml_opaque_blob(struct wbxml_writer *w, const struct blob *b, uint64_t off, uint64_t len);
/* Bytes written so far, buffered ones included. */
uint64_t wbxml_size(const struct wbxml_writer *w);
/* An encoder takes back what it began: everything after the mark. */
struct wbxml_mark {
	uint64_t size;
	uint16_t pending;
	uint8_t page, depth;
};
struct wbxml_mark wbxml_mark(struct wbxml_writer *w);
void wbxml_rewind(struct wbxml_writer *w, struct wbxml_mark m);
/* Flushes; all elements must be closed. 0, or -1 with what failed first. */
int wbxml_finish(struct wbxml_writer *w, struct err *e);

#endif
