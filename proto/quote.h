/* quote.h - the original inside a reply or forward: its head in a few lines and
 * its text, in the form (text or HTML) of the mail it goes into. Pure, any
 * thread. Of the original at most QUOTE_MAX_BYTES are quoted. */
#ifndef PROTO_QUOTE_H
#define PROTO_QUOTE_H

#include "proto/bodypick.h"

enum { QUOTE_MAX_BYTES = 2 * 1024 * 1024 };
enum quote_style { QUOTE_REPLY /* lines marked, HTML in a blockquote */, QUOTE_FORWARD };

/* form: BODY_TEXT or BODY_HTML (a fragment). */
struct slice quote_original(struct arena *a, const struct mail_headers *h, const struct mime_tree *t, struct slice raw,
			    enum body_type form, enum quote_style style);
/* The phone's text with the quote behind it. */
struct slice quote_join(struct arena *a, struct slice text, struct slice quote, enum body_type form);

#endif
