/* colstate.h - what one phone knows of one collection: two generations, what is
 * waiting to be told, and the backend's token (architecture: Sync). Pure.
 *
 *   have    what the phone confirmed (it sent the key `counter`)
 *   own     what the phone itself did in the request that key counter was the answer to
 *   sent    what that answer told it
 *   pend    what differs on the server and was not told yet
 *
 * The phone either got the answer `counter` (its next key is counter: own and
 * sent are folded into have) or it lost it (it repeats counter - 1: the same
 * `sent` is told again; of `own` what it does not repeat is told as well).
 * known = have + own + sent: what the phone has once it got the answer.
 *
 * Record format 1 (public): byte 1, then frames, each a length and bytes: BASE
 * (whole state), NEXT (one answered Sync), REDO (one repeated Sync). A commit
 * appends a frame; colstate_frame says when to write a new base. Unknown frames
 * are of a newer program: the record is not read (ERR_STORE_FORMAT), and the
 * phone starts this collection over. */
#ifndef WORK_COLSTATE_H
#define WORK_COLSTATE_H

#include "base/err.h"
#include "work/snapshot.h"

/* Each number stands in one set at most. */
struct colops {
	struct snapshot add, change; /* rev: the new one */
	struct snapshot gone, soft;  /* rev: unused */
	struct snapshot drop;        /* pend only: forget what was waiting */
};
enum colop { COLOP_ADD, COLOP_CHANGE, COLOP_GONE, COLOP_SOFT, COLOP_DROP, COLOP_COUNT };

void colops_init(struct colops *o, struct arena *a);
/* Into set `k`, out of the others. */
void colops_put(struct colops *o, enum colop k, uint64_t num, uint32_t rev);
void colops_drop(struct colops *o, uint64_t num); /* out of all sets */
size_t colops_count(const struct colops *o);      /* add, change, gone, soft */
struct snapshot *colops_set(struct colops *o, enum colop k);

/* An Add of the phone that was answered in the generation `counter`. */
struct client_add {
	struct slice client_id;
	uint64_t num;
	uint8_t status;
};

struct colstate {
	struct arena *a;
	bool exists;          /* there is a record */
	uint32_t series, counter;
	struct snapshot have;
	struct colops own, sent, pend;
	struct client_add *adds;
	size_t n_adds, cap_adds;
	struct slice token;   /* the backend's, of the last listing; empty: list everything */
	uint64_t identity, gen;
	int64_t since_ms;     /* window of that listing */
	bool first_run;       /* the first listing is not told whole yet: newest first */
	bool sent_newest;     /* the items of `sent` were told newest first */
	struct slice options; /* what the phone asked for, packed (sync_options.h) */
	/* What this exchange adds; becomes the frame. */
	struct colops new_pend;
	bool pend_reset, touched;
};

void colstate_init(struct colstate *st, struct arena *a);
/* 0, or -1: damaged or newer (ERR_STORE_FORMAT). Empty record: exists = false. */
int colstate_unpack(struct colstate *st, struct arena *a, struct slice record, struct err *e);

/* Does the phone have it, and in which revision, once it got answer `counter`? */
bool colstate_known(const struct colstate *st, uint64_t num, uint32_t *rev_r);
/* All of it, as one set. */
struct snapshot colstate_known_all(const struct colstate *st);

/* The phone sent key `counter`: fold own and sent, begin the next generation. */
void colstate_confirm(struct colstate *st);
/* Waiting work, found by a listing. */
void colstate_pend(struct colstate *st, enum colop k, uint64_t num, uint32_t rev);
void colstate_pend_reset(struct colstate *st);
/* Told in this answer: leaves pend. */
void colstate_sent(struct colstate *st, enum colop k, uint64_t num, uint32_t rev);
/* Done by the phone in this request. */
void colstate_own(struct colstate *st, enum colop k, uint64_t num, uint32_t rev);
void colstate_client_add(struct colstate *st, struct slice client_id, uint64_t num, uint8_t status);
const struct client_add *colstate_find_add(const struct colstate *st, struct slice client_id);

enum colframe { COLFRAME_BASE = 1, COLFRAME_NEXT = 2, COLFRAME_REDO = 3 };
/* The bytes to store: *append_r true: append them; false: they are the whole
 * record. base_len and record_len: what the record has now. */
struct slice colstate_frame(const struct colstate *st, enum colframe kind, size_t base_len, size_t record_len,
			    bool *append_r);

#endif
