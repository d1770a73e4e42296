/* header.h - RFC 5322 header blocks: fields, folding, encoded words (RFC 2047),
 * parameters (RFC 2045, 2231), and the facts of a mail's head in one struct.
 * Pure, any thread, iterative, linear. Tolerates LF and CRLF, NULs, 8-bit
 * bytes, a line without colon (ends the block), blocks without a blank line at the end.
 * All result strings are clean UTF-8 (charset.h) in the arena. */
#ifndef PROTO_HEADER_H
#define PROTO_HEADER_H

#include "base/arena.h"
#include "proto/date.h"

enum {
	HEADER_MAX_BYTES = 256 * 1024, /* of one block; what is behind is not read */
	HEADER_MAX_PARAMS = 64,
};

struct header_field {
	struct slice name;  /* as written, no blanks */
	struct slice value; /* raw: still folded, still encoded, without the last line end */
	struct slice line;  /* whole field with its line end(s) */
};

/* Next field of a block; false at the blank line, at a line that is no field,
 * or at the end. *rest advances. Lines "From " in front (mbox) are skipped. */
bool header_next(struct slice *rest, struct header_field *f_r);
bool header_is_field(struct slice line);
bool header_is_envelope(struct slice line); /* "From " and ">From " of mbox files */
/* First field of that name (any case), or false. */
bool header_find(struct slice block, struct slice name, struct header_field *f_r);
/* Offset of the first byte behind the blank line of a mail; its length if none. */
size_t header_length(struct slice mail);

/* Line ends out, runs of folding blanks to one space; bytes otherwise kept. */
struct slice header_unfold(struct arena *a, struct slice value);
/* Unfolded and decoded text: encoded words (adjacent ones joined, also where a
 * character is split over two), raw 8-bit guessed. For Subject and the like. */
struct slice header_text(struct arena *a, struct slice value);
/* Encoded words as far as needed, folded at 76: for headers we write. `s` is
 * UTF-8; the result has no line end behind it. */
struct slice header_encode(struct arena *a, struct slice s, size_t used_columns);

struct param {
	struct slice name;  /* lower case, without * and numbers */
	struct slice value; /* decoded */
};
/* "text/plain; charset=x; name*0*=..." -> main value (lower case) and
 * parameters; RFC 2231 pieces joined, RFC 2047 in values decoded (wrong but
 * common). Comments dropped. */
struct params {
	struct slice main;
	struct param *v;
	size_t n;
};
void params_parse(struct arena *a, struct slice value, struct params *p_r);
/* The same for parameters that came in as pairs (BODYSTRUCTURE): names like
 * "filename*0*" are joined and decoded. */
void params_join(struct arena *a, const struct param *pairs, size_t n, struct params *p_r);
struct slice params_get(const struct params *p, const char *name); /* empty if none */

enum mail_importance { MAIL_LOW, MAIL_NORMAL, MAIL_HIGH }; /* email:Importance 0 1 2 */

/* The head of one mail. First field wins where it is there twice (To and Cc: joined by
 * ", "). Empty slice: not there. */
struct mail_headers {
	struct slice from, sender, to, cc, bcc, reply_to; /* unfolded, raw: for address_parse */
	struct slice subject;                             /* text */
	int64_t date_ms;                                  /* DATE_NONE when missing or unreadable */
	struct slice message_id, in_reply_to, references; /* unfolded */
	enum mail_importance importance;                  /* Importance, X-Priority, Priority, X-MSMail-Priority */
	struct slice thread_topic;                        /* text */
	struct slice thread_index;                        /* base64 as it stands */
	struct slice content_class, list_id, list_unsubscribe, auto_submitted, receipt_to; /* Disposition-Notification-To */
	struct slice content_type; /* raw value of the top part */
	struct slice voice_caller; /* X-CallingTelephoneNumber, Exchange unified messaging */
	bool has_importance, is_list, is_auto;
};

/* `block` may be a whole mail: reads up to the blank line. */
void mail_headers_parse(struct arena *a, struct slice block, struct mail_headers *h_r);
/* The fields it reads, separated by blanks: for BODY.PEEK[HEADER.FIELDS (...)]. */
extern const char mail_header_fields[];

#endif
