/* extra.h - what a mail server cannot keep of a mail: the details of its flag
 * (MS-ASEMAIL Flag: texts, dates, reminder) and which verb was used last. One
 * record a folder (KEY_EXTRA), shared by all devices of the user. The server's
 * own \Flagged, \Answered and $Forwarded stay the truth about whether; this adds
 * how. A record that is lost costs details, never mails. Pure; record format 1:
 * record.h, one nested run of fields a mail. */
#ifndef WORK_EXTRA_H
#define WORK_EXTRA_H

#include "proto/email.h"
#include "work/record.h"

struct extra {
	uint64_t num;
	struct email_flag *flag; /* NULL: none kept */
	uint8_t last_verb;       /* 0 none kept */
	int64_t verb_ms;
};

struct extras {
	struct arena *a;
	struct extra *v; /* ascending num */
	size_t n, cap;
	uint64_t identity; /* of the folder they belong to (UIDVALIDITY); 0 not known yet */
	bool touched;
};

enum { EXTRAS_MAX = 20000 }; /* past it the lowest numbers go */

void extras_init(struct extras *x, struct arena *a);
int extras_unpack(struct extras *x, struct arena *a, struct slice record, struct err *e);
struct slice extras_pack(const struct extras *x);
const struct extra *extras_find(const struct extras *x, uint64_t num);
/* New empty one when there is none. */
struct extra *extras_get(struct extras *x, uint64_t num);
/* What `from` says over what `into` has; false: it says nothing (an empty Flag). */
bool extra_flag_merge(struct email_flag *into, const struct email_flag *from);
void extras_remove(struct extras *x, uint64_t num);
/* The folder is that one now. True: it was another one, and its details are
 * dropped, because the same numbers mean other mails. */
bool extras_belong(struct extras *x, uint64_t identity);

/* The revision a phone is held to: the backend's flags, 12 bits of its keyword
 * hash, 12 bits of the flag details: each tells what to send when it differs. */
uint32_t item_rev(uint32_t be_rev, const struct extra *x);
#define ITEM_REV_FLAGS(rev)    ((rev) & 0xff)
#define ITEM_REV_KEYWORDS(rev) ((rev) >> 8 & 0xfff)
#define ITEM_REV_EXTRA(rev)    ((rev) >> 20)
/* The phone has one of two versions: it was told twice and only one answer came.
 * Whatever the server has is told again, whole. */
#define ITEM_REV_UNCERTAIN UINT32_MAX
/* Is there something between the two that a phone of this protocol version can
 * be told? 2.5 knows Read alone, 12.x the flag too. */
bool item_rev_differs(uint32_t from, uint32_t to, int version);

#endif
