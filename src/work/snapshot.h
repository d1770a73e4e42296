/* snapshot.h - a set of items as numbers with their revisions, sorted, and its
 * compact form in the store: at most 2 bytes a message in a real mailbox.
 * Pure; memory is the arena's. 100,000 messages: 1.6 MB while in use.
 *
 * Form: count of ranges, then (gap, length) of each run of consecutive numbers;
 * the distinct revisions, most used first; then (revision index, run length) over
 * all items in order. A class whose items have names adds a second form with its
 * own version byte (see colstate.h). */
#ifndef WORK_SNAPSHOT_H
#define WORK_SNAPSHOT_H

#include "work/pack.h"

struct snap_item {
	uint64_t num;
	uint32_t rev;
};

struct snapshot {
	struct arena *a;
	struct snap_item *v; /* ascending num, each once */
	size_t n, cap;
};

static inline struct snapshot snapshot_new(struct arena *a)
{
	return (struct snapshot){ .a = a };
}
/* NULL when absent; valid until the next change. O(log n). */
struct snap_item *snapshot_find(const struct snapshot *s, uint64_t num);
/* First index with v[i].num >= num. */
size_t snapshot_lower(const struct snapshot *s, uint64_t num);
/* Adds or replaces. O(1) in ascending order. */
void snapshot_set(struct snapshot *s, uint64_t num, uint32_t rev);
bool snapshot_unset(struct snapshot *s, uint64_t num);
/* Many at once, linear and in place: everything of `add` set, everything of `drop`
 * unset (drop wins). A record is some hundred of these over one large set. */
void snapshot_merge(struct snapshot *s, const struct snapshot *add, const struct snapshot *drop);
struct snapshot snapshot_copy(const struct snapshot *s);

void snapshot_pack(const struct snapshot *s, struct packer *k);
/* Sets u->bad on damage, also when it names more than `max` items. */
void snapshot_unpack(struct snapshot *s, struct unpacker *u, size_t max);

#endif
