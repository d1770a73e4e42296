/* synckey.h - sync keys of FolderSync and Sync. Public format 1 (29 characters):
 * "1" + base64url of series (4 bytes), counter (4), MAC (13 bytes). The MAC is
 * HMAC-SHA256 by the fleet's secret over user, device, collection, series and
 * counter: a key says by itself that we made it, so that a store which stepped
 * back in time (fail-over, restored backup) is recognised instead of trusted.
 * series: random, new at each start from "0". counter: 1, 2, 3 … within it.
 * Pure; any thread. */
#ifndef WORK_SYNCKEY_H
#define WORK_SYNCKEY_H

#include "base/digest.h"

struct synckey {
	uint32_t series, counter; /* both 0: no key yet */
};

/* What a key is bound to. collection: folder id, or SYNCKEY_HIERARCHY. */
struct synckey_scope {
	struct slice secret, user, device, collection;
};
#define SYNCKEY_HIERARCHY S("\001hierarchy")

enum synckey_kind {
	SYNCKEY_ZERO, /* "0": start over */
	SYNCKEY_OURS, /* *k_r is what we once made for this scope */
	SYNCKEY_BAD,  /* absent, malformed, of another scope or forged */
};

struct slice synckey_make(struct arena *a, const struct synckey_scope *s, struct synckey k);
enum synckey_kind synckey_read(struct arena *a, const struct synckey_scope *s, struct slice text, struct synckey *k_r);

/* Where a key of ours stands to the state that the store holds. */
enum synckey_place {
	SYNCKEY_CURRENT,  /* what was sent last: the phone has it all */
	SYNCKEY_PREVIOUS, /* the answer got lost, or the request is repeated */
	SYNCKEY_AHEAD,    /* newer than the store: it stepped back in time */
	SYNCKEY_FOREIGN,  /* older, or of another series: start over */
};
enum synckey_place synckey_place(struct synckey k, struct synckey current, struct synckey previous);

#endif
