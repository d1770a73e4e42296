/* counts.h - how many connections each key has: addresses, users. Loop thread.
 * Open addressing; a key whose count is 0 takes no room. */
#ifndef LOOP_COUNTS_H
#define LOOP_COUNTS_H

#include "base/slice.h"

struct count_slot {
	uint8_t key[16];
	uint32_t n; /* 0: free */
};

struct counts {
	struct count_slot *slots;
	uint32_t n_slots, used;
	uint64_t seed; /* random: keys are the peers' to choose */
};

void counts_init(struct counts *c, uint64_t seed);
void counts_deinit(struct counts *c);
/* One more, unless the key has `limit` already. */
bool counts_take(struct counts *c, const uint8_t key[16], uint32_t limit);
void counts_release(struct counts *c, const uint8_t key[16]);

#endif
