/* bodypick.h - which parts of a mail make its body for this phone, how many of
 * their bytes are needed, and what comes out (MS-ASAIRS 2.2.2; 2.5: MS-ASCMD
 * Truncation, MIMETruncation). Pure, any thread. In two steps, so that a 30 MB
 * mail is never fetched for a preview:
 *
 *   body_plan_make(a, &tree, &want, &plan);
 *   do {
 *       for each plan.fetch[i]: get `bytes` encoded bytes of the part (or of the
 *       whole mail) from offset 0 -> got[i]
 *   } while (body_make(a, &tree, &want, &plan, got, &body) == 0);
 *
 * body_make asks again (a few times, each time for four times as much) when
 * markup swallowed what it had, and when a preference turns out not to fit.
 *
 * Which preference: MIME where MIMESupport allows it; then the one of the
 * mail's own form (MS-ASAIRS R77); then the others as sent. All-or-none skips one
 * that would be cut (R78, R80). HTML becomes text for type 1; text asked for as
 * type 2 stays text and says so, NativeBodyType and Type then agree (R2411). */
#ifndef PROTO_BODYPICK_H
#define PROTO_BODYPICK_H

#include "proto/mime.h"

enum body_type { BODY_NOTHING = 0, BODY_TEXT = 1, BODY_HTML = 2, BODY_RTF = 3, BODY_MIME = 4 };

#define BODY_UNLIMITED UINT64_MAX

/* One BodyPreference in the order sent. */
struct body_pref {
	enum body_type type;
	uint64_t truncation;   /* TruncationSize in bytes, BODY_UNLIMITED when absent */
	bool all_or_none;
	uint8_t preview;       /* characters, 0: none */
};

struct body_want {
	const struct body_pref *pref; /* n_pref 0: type text, unlimited */
	size_t n_pref;                /* at most 64 are looked at */
	int mime_support;             /* 0 never, 1 S/MIME only, 2 all mail: MIME first where asked for */
	uint64_t mime_truncation;     /* bytes for type 4; BODY_UNLIMITED when absent */
	uint64_t max_bytes;           /* our own ceiling on Data, 0: none (limits.*) */
};

/* airsync:Truncation 0-9 (2.5) and MIMETruncation 0-8 as bytes. */
uint64_t body_truncation(unsigned code);
uint64_t body_mime_truncation(unsigned code);

enum { BODY_MAX_FETCH = 16 };

struct body_fetch {
	int part;        /* index in the tree; MIME_NONE: the whole mail, raw */
	uint64_t bytes;  /* encoded bytes from the front; BODY_UNLIMITED: all of it */
};

struct body_plan {
	enum body_type type;          /* the form that will come out */
	const struct body_pref *pref; /* the preference it answers, or NULL */
	struct body_fetch fetch[BODY_MAX_FETCH];
	size_t n;                     /* 0: nothing to fetch (no body) */
	size_t n_main;                /* the first of them make Data, the others Preview */
	unsigned round;               /* how often it was enlarged */
	uint64_t skip;                /* preferences that turned out not to fit, as bits */
	bool no_data;                 /* all-or-none: nothing fits, Data stays away */
	uint64_t known_size;          /* of what did not fit */
};

struct body {
	enum body_type type;       /* airsyncbase:Type */
	enum body_type native;     /* airsyncbase:NativeBodyType: 1 or 2 */
	uint64_t size;             /* EstimatedDataSize: bytes of the whole */
	bool truncated;            /* Truncated: left out of the reply when false */
	bool has_data;             /* Data is there (not when size is 0, or by all-or-none) */
	struct slice data;         /* clean UTF-8; MIME: 7-bit or UTF-8 bytes of the mail */
	struct slice preview;      /* Preview, when asked for */
};

void body_plan_make(struct arena *a, const struct mime_tree *t, const struct body_want *w, struct body_plan *p_r);
/* got[i] answers p->fetch[i]; it may be shorter when the part is. 1: done,
 * 0: fetch again with the larger numbers that *p now holds. */
int body_make(struct arena *a, const struct mime_tree *t, const struct body_want *w, struct body_plan *p,
	      const struct slice *got, struct body *b_r);
/* Both steps on a mail that is in memory. */
void body_from_raw(struct arena *a, const struct mime_tree *t, struct slice raw, const struct body_want *w,
		   struct body *b_r);

/* -- what belongs where -- */

/* The leaves that make the body, in order, for a phone that takes text or HTML.
 * They differ below multipart/alternative only. */
struct body_view {
	int v[BODY_MAX_FETCH];
	size_t n;
	bool html; /* one of them is HTML */
};
struct body_parts {
	struct body_view text, html;
	enum body_type native;     /* BODY_TEXT or BODY_HTML */
	uint8_t *is_body;          /* a byte a part: 1 in some view */
};
void body_parts_find(struct arena *a, const struct mime_tree *t, struct body_parts *p_r);

/* -- attachments -- */

struct body_attachment {
	int part;                       /* index; its number is in the tree */
	struct slice display_name;      /* never empty */
	uint8_t method;                 /* 1 file, 5 nested message, 6 OLE (never made) */
	uint64_t size;                  /* EstimatedDataSize: decoded bytes, an estimate */
	struct slice content_id, content_location; /* may be empty */
	bool is_inline;                 /* referred to by the HTML body */
	struct slice content_type;      /* "image/png" */
};
/* What is not body. S/MIME opaque: the one smime.p7m; signed: smime.p7s too. */
size_t body_attachments(struct arena *a, const struct mime_tree *t, struct body_attachment **v_r);

#endif
