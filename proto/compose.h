/* compose.h - mails that leave: what SendMail fixes in a head, and SmartReply
 * and SmartForward made of the phone's MIME and the original (MS-ASCMD
 * 2.2.1.18, .19). Pure, any thread (the output is a blob: it may spill).
 * Original parts are copied as they stand, byte for byte. Line ends become
 * CRLF; dot-stuffing is smtp's. */
#ifndef PROTO_COMPOSE_H
#define PROTO_COMPOSE_H

#include "base/blob.h"
#include "proto/address.h"
#include "proto/mime.h"

enum compose_kind { COMPOSE_SEND, COMPOSE_REPLY, COMPOSE_FORWARD };

struct compose {
	enum compose_kind kind;
	struct slice mime;           /* what the phone sent */
	struct slice original;       /* raw original mail; empty for SEND */
	bool replace_mime;           /* ComposeMail ReplaceMime: nothing of the original is added */
	struct slice from;           /* `"Name" <addr>` or addr: our user. Empty: leave From alone */
	bool force_from;             /* set From even where the phone gave one; else only when missing */
	struct slice message_id;     /* with <>: used when the mail has none, or always with force_message_id */
	bool force_message_id;       /* repeats of one claim carry the same id */
	int64_t date_ms;             /* used when the mail has none */
	struct slice boundary_seed;  /* makes our boundaries unique and repeatable: e.g. the message id */
	bool keep_bcc;               /* Sent copy: Bcc stays in its head */
};

struct compose_result {
	struct address_list rcpt;    /* To, Cc, Bcc, each address once */
	struct slice sender;         /* bare address of From: the envelope's */
	struct slice message_id;     /* as it stands in the mail, with <> */
	struct slice subject;
};

/* What becomes of the original: its text is quoted behind the phone's, in each
 * form (text, HTML) the phone wrote; a forward adds its attachments, a reply the
 * inline images of a quoted HTML. An original that is signed or encrypted is
 * attached whole (message/rfc822). A phone's mail that is signed or encrypted
 * itself leaves as it is.
 * Appends the mail to `out`. -1: ERR_BAD_REQUEST the phone's MIME has no head
 * at all; ERR_LIMIT the disk is full. No recipient is no error here: rcpt.n. */
int compose_mail(struct arena *a, const struct compose *c, struct blob *out, struct compose_result *r_r,
		 struct err *e);

#endif
