/* spell.h - how IMAP writes dates and sets of UIDs. Pure, any thread. */
#ifndef IMAP_SPELL_H
#define IMAP_SPELL_H

#include "base/arena.h"

/* "17-Jul-1996 02:44:25 -0700" to Unix milliseconds; false when it is none. */
bool imap_date_parse(struct slice s, int64_t *ms_r);
/* The same way back, in UTC, with the quotes. */
void imap_date_format(int64_t ms, char out[32]);
/* "17-Jul-1996" of that day in UTC. */
void imap_day_format(int64_t ms, char out[16]);

/* Next "a", "a:b", "b:a" of "1:3,7,9:*"; * is UINT32_MAX. false at the end or at nonsense. */
bool set_next(struct slice *rest, uint64_t *first_r, uint64_t *last_r);
/* "1:3,7" of ascending or unordered numbers. */
struct slice set_format(struct arena *a, const uint64_t *nums, size_t n);

#endif
