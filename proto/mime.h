/* mime.h - the structure of a mail as one flat array of parts, filled from two
 * sources: the raw bytes (mime_parse, mime_feed) or IMAP's BODYSTRUCTURE (the
 * imap backend, by mime_add ... mime_finish). Pure, any thread, iterative and
 * streaming: memory is bounded by the caps below, time is linear. Part 0 is
 * the mail itself. Strings are in the arena.
 *
 * Broken mails give a usable tree, never an error: a missing final boundary
 * ends with the mail, a boundary of an outer part ends the inner ones, a
 * multipart without boundary or without parts is a leaf, a header without a
 * blank line ends at the first line that is none. */
#ifndef PROTO_MIME_H
#define PROTO_MIME_H

#include "proto/charset.h"
#include "proto/header.h"

enum {
	MIME_MAX_DEPTH = 100,
	MIME_MAX_PARTS = 1000,                /* beyond: the rest belongs to the last part, opaque */
	MIME_MAX_HEADER_BYTES = 256 * 1024,   /* of all parts together; the rest is not looked at */
	MIME_NONE = -1,
};

struct mime_part {
	/* Lower case. Never empty: text/plain by default (message/rfc822 inside
	 * multipart/digest), application/octet-stream for a broken type. */
	struct slice type, subtype;
	struct slice charset;          /* lower case, empty if none */
	struct slice name, filename;   /* Content-Type name=, Content-Disposition filename=: decoded */
	struct slice boundary;
	struct slice method;           /* text/calendar method=, upper case */
	struct slice smime_type, protocol, report_type, format; /* lower case */
	struct slice disposition;      /* lower case: "attachment", "inline" or empty */
	struct slice content_id;       /* without <> */
	struct slice content_location, description, content_class;
	enum transfer encoding;
	uint64_t header_off, body_off; /* bytes in the raw mail; 0 from BODYSTRUCTURE */
	uint64_t size;                 /* encoded bytes of the body */
	uint64_t decoded_size;         /* estimate from the encoding; exact for 7bit, 8bit, binary */
	uint32_t lines;
	int parent, child, next;       /* index or MIME_NONE */
	int last_child;
	int depth;
	/* What stands in IMAP's BODY[...] to get the encoded body: "1", "2.1.3";
	 * "TEXT" or "2.TEXT" for a multipart that is a whole message. */
	struct slice number;
	bool is_message;               /* part 0, or the root part inside a message/rfc822 */
};

struct mime_tree {
	struct arena *arena;
	struct mime_part *v;
	size_t n, cap;
	struct slice header;           /* raw header block of the mail (mime_parse only) */
	uint64_t size;                 /* bytes of the whole mail; the imap backend sets RFC822.SIZE */
	bool capped;                   /* a cap was reached */
};

/* -- source (a): bytes -- */

void mime_parse(struct arena *a, struct slice raw, struct mime_tree *t_r);

struct mime_reader;
struct mime_reader *mime_reader_new(struct arena *a); /* lives in the arena */
void mime_feed(struct mime_reader *r, struct slice bytes);
void mime_end(struct mime_reader *r, struct mime_tree *t_r);

/* -- source (b): structure from elsewhere -- parents before their children, siblings
 * in order. mime_add returns the new index, MIME_NONE at a cap (leave the
 * subtree out). The pointer t->v moves at each add: keep indices. */
void mime_tree_init(struct mime_tree *t, struct arena *a);
int mime_add(struct mime_tree *t, int parent /* MIME_NONE for part 0 */);
void mime_set_type(struct mime_tree *t, int part, struct slice type, struct slice subtype);
/* Content-Type and Content-Disposition parameters as pairs, still encoded. */
void mime_set_type_params(struct mime_tree *t, int part, const struct param *pairs, size_t n);
void mime_set_disposition(struct mime_tree *t, int part, struct slice value, const struct param *pairs, size_t n);
void mime_set_content_id(struct mime_tree *t, int part, struct slice raw); /* with or without <> */
void mime_set_encoding(struct mime_tree *t, int part, struct slice name, uint64_t size_bytes, uint32_t lines);
/* Numbers, defaults, decoded sizes. A message/rfc822 has its message as only child. */
void mime_finish(struct mime_tree *t);

/* -- looking -- */

/* Next part in reading order; MIME_NONE at the end. */
enum mime_walk { MIME_INTO, MIME_OVER };
int mime_next(const struct mime_tree *t, int part, enum mime_walk how);
bool mime_is(const struct mime_part *p, const char *type, const char *subtype /* NULL: any */);
static inline bool mime_is_multipart(const struct mime_part *p)
{
	return mime_is(p, "multipart", NULL);
}
/* First part of that type in reading order, outside nested messages; MIME_NONE. */
int mime_find(const struct mime_tree *t, const char *type, const char *subtype);
/* By IMAP number; MIME_NONE. */
int mime_by_number(const struct mime_tree *t, struct slice number);
/* The part's encoded body inside the raw mail (mime_parse only). */
struct slice mime_body(const struct mime_tree *t, int part, struct slice raw);
/* multipart/signed or application/pkcs7-mime (RFC 8551), at the top. */
enum mime_smime { MIME_SMIME_NONE, MIME_SMIME_SIGNED, MIME_SMIME_OPAQUE };
enum mime_smime mime_smime(const struct mime_tree *t);

#endif
