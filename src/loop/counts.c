/* counts.c - counts by 16-byte keys: open addressing, linear probing, holes closed
 * by shifting back, so that there are no tombstones. Loop thread. */
#include "loop/counts.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"

enum { FIRST_SLOTS = 256 };

void counts_init(struct counts *c, uint64_t seed)
{
	*c = (struct counts){ .n_slots = FIRST_SLOTS, .seed = seed };
	c->slots = mem_alloc(c->n_slots * sizeof(*c->slots));
}

void counts_deinit(struct counts *c)
{
	free(c->slots);
	*c = (struct counts){ 0 };
}

static uint32_t home(const struct counts *c, const uint8_t key[16])
{
	uint64_t a, b;

	memcpy(&a, key, 8);
	memcpy(&b, key + 8, 8);
	a = (a ^ c->seed) * 0x9e3779b97f4a7c15u;
	b = (b ^ a ^ a >> 29) * 0xbf58476d1ce4e5b9u;
	return (uint32_t)((b ^ b >> 31) & (c->n_slots - 1));
}

static uint32_t probe(const struct counts *c, const uint8_t key[16])
{
	uint32_t i = home(c, key);

	while (c->slots[i].n && memcmp(c->slots[i].key, key, 16))
		i = (i + 1) & (c->n_slots - 1);
	return i;
}

static void grow(struct counts *c)
{
	struct count_slot *old = c->slots;
	uint32_t n_old = c->n_slots;

	c->n_slots *= 2;
	c->slots = mem_alloc(c->n_slots * sizeof(*c->slots));
	for (uint32_t i = 0; i < n_old; i++)
		if (old[i].n)
			c->slots[probe(c, old[i].key)] = old[i];
	free(old);
}

bool counts_take(struct counts *c, const uint8_t key[16], uint32_t limit)
{
	uint32_t i = probe(c, key);

	if (c->slots[i].n >= limit)
		return false;
	if (c->slots[i].n++ == 0) {
		memcpy(c->slots[i].key, key, 16);
		if (++c->used > c->n_slots / 4 * 3)
			grow(c);
	}
	return true;
}

static void close_hole(struct counts *c, uint32_t hole)
{
	uint32_t mask = c->n_slots - 1;

	for (uint32_t i = (hole + 1) & mask; c->slots[i].n; i = (i + 1) & mask) {
		uint32_t h = home(c, c->slots[i].key);

		if (((i - h) & mask) < ((i - hole) & mask))
			continue;
		c->slots[hole] = c->slots[i];
		c->slots[i].n = 0;
		hole = i;
	}
}

void counts_release(struct counts *c, const uint8_t key[16])
{
	uint32_t i = probe(c, key);

	ASSERT(c->slots[i].n > 0);
	if (--c->slots[i].n == 0) {
		c->used--;
		close_hole(c, i);
	}
}
