/* sync_options.h - what a phone asked for in a collection, remembered: a Sync
 * without Options means those of last time, a Sync without Collections the
 * collections of last time (MS-ASCMD 2.2.1.21, Partial). Pure.
 * Packed in the collection's record: record.h, format 1. */
#ifndef WORK_SYNC_OPTIONS_H
#define WORK_SYNC_OPTIONS_H

#include "proto/bodypick.h"
#include "proto/cmd_sync.h"
#include "work/record.h"

enum { SYNC_PREFS_MAX = 8, SYNC_WINDOW_DEFAULT = 100, SYNC_WINDOW_MAX = 512 };

struct sync_options_kept {
	int filter;                /* FilterType, 0 none */
	int conflict;              /* 1: the server wins */
	int mime_support;          /* 0, 1, 2 */
	uint64_t mime_truncation;  /* BODY_UNLIMITED when not given */
	struct body_pref pref[SYNC_PREFS_MAX];
	size_t n_pref;
	struct body_pref part;     /* BodyPartPreference (14.1); type BODY_NOTHING: none */
	bool deletes_as_moves;
	bool get_changes;
	uint16_t window;
	bool no_body;              /* 2.5 Truncation 0 */
};

void sync_options_default(struct sync_options_kept *k);
struct slice sync_options_pack(struct arena *a, const struct sync_options_kept *k);
/* Damaged: the defaults. */
void sync_options_unpack(struct sync_options_kept *k, struct slice packed);
/* What the collection says, over what is kept. key_zero: GetChanges defaults to
 * 0 in this request (kept stays 1). 0, or the status (4, 164) of a value that is
 * not legal for mail. */
int sync_options_take(struct sync_options_kept *k, const struct sync_collection *c, int version);
/* The last BodyPartPreference; false: one of a type that is not served (164). */
bool sync_part_take(struct body_pref *out, const struct body_preference *v, size_t n);
/* Also for GetItemEstimate and ItemOperations. */
void sync_options_body(const struct sync_options_kept *k, struct body_want *w_r, struct body_want *part_r);
size_t sync_prefs_take(struct body_pref *out, const struct body_preference *v, size_t n);
/* Email (or none said) and SMS, each once. */
bool sync_classes_legal(const struct sync_options *v, size_t n);
bool sync_filter_legal_mail(int64_t filter);

#endif
