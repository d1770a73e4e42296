/* address.h - address lists of mail headers (RFC 5322, 3.4, and what is found
 * in the wild). Pure, any thread, iterative: 10,000 brackets, 5,000 groups or
 * nested comments cost linear time and fixed stack. Strings are clean UTF-8 in
 * the arena, or point into `value`. */
#ifndef PROTO_ADDRESS_H
#define PROTO_ADDRESS_H

#include "base/arena.h"

enum {
	ADDRESS_MAX = 2000,          /* addresses of one list; the rest is left out */
	ADDRESS_MAX_COMMENT = 32,    /* depth; deeper brackets are flat text */
	ADDRESS_MAX_CHARS = 32768,   /* email:To, email:From (MS-ASEMAIL 2.2.2.79) */
};

struct address {
	struct slice display; /* decoded name, may be empty */
	struct slice addr;    /* local@domain without brackets, may be empty in a broken list */
};

struct address_list {
	struct address *v;
	size_t n;
	bool truncated; /* more than ADDRESS_MAX */
};

/* value: raw or unfolded header value. Group names are dropped, members kept. */
void address_parse(struct arena *a, struct slice value, struct address_list *l_r);

enum address_form {
	ADDRESS_FULL, /* "Name" <addr>, or "addr" <addr> without a name */
	ADDRESS_NAME, /* Name, or addr without a name: for DisplayTo */
	ADDRESS_ADDR, /* addr */
};
/* Joined by `sep` (", " for To and Cc, "; " for ReplyTo and DisplayTo), whole
 * addresses up to max_chars. */
struct slice address_format(struct arena *a, const struct address_list *l, enum address_form form, struct slice sep,
			    size_t max_chars);
/* For a header that we write: encoded words, folded. */
struct slice address_header(struct arena *a, const struct address_list *l);
/* Same mailbox (ASCII case ignored). */
bool address_same(struct slice a, struct slice b);

#endif
