/* mailinfo.h - the facts of the Email class (MS-ASEMAIL) out of a mail's head,
 * its parts and its flags. Pure, any thread. Strings are clean UTF-8 in the
 * arena; an empty one means: leave the element out. */
#ifndef PROTO_MAILINFO_H
#define PROTO_MAILINFO_H

#include "proto/address.h"
#include "proto/mime.h"

struct mailinfo {
	struct slice to, cc, from, reply_to, sender, display_to; /* sender empty when equal to from */
	struct slice subject, thread_topic;
	int64_t date_received_ms;
	uint8_t importance;               /* 0, 1, 2 */
	const char *message_class;        /* "IPM.Note" ... */
	const char *content_class;        /* "urn:content-classes:message" ... */
	unsigned internet_cpid;           /* never 0 */
	uint8_t native_body_type;         /* 1 text, 2 html */
	uint8_t conversation_id[16];
	struct slice conversation_index;  /* 5 bytes + 5 a reply */
	int calendar_part;                /* index of text/calendar, or MIME_NONE */
	struct slice message_id;          /* with <> */
	struct slice um_caller_id;
};

/* received_ms: INTERNALDATE; DATE_NONE: the Date header, else 0. `t` may be NULL
 * when the structure is not known (headers only). */
void mailinfo_fill(struct arena *a, const struct mail_headers *h, const struct mime_tree *t, int64_t received_ms,
		   struct mailinfo *m_r);
/* What of struct email (email.h) follows from it; read state, flag, categories
 * and last verb are the caller's. */
struct email;
void mailinfo_to_email(struct arena *a, const struct mailinfo *m, struct email *e);
/* Without "Re:", "Fwd:", "AW:", "WG:" ... and "[n]" counters, repeated. */
struct slice mail_topic(struct slice subject);

#endif
