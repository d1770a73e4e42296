/* map.h - intrusive hash table: the node is a member, keyed by a 64-bit hash that
 * the owner computes; equal hashes stand together, the owner compares keys.
 * Grows by doubling, never shrinks by itself. Owner's thread only.
 *
 *   for (struct map_node *n = map_first(&m, h); n; n = map_next(n))
 *           if (same(map_entry(n, struct user, node), key)) ... */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_node {
	struct map_node *next;
	uint64_t hash;
};

struct map {
	struct map_node **bucket;
	size_t n, mask; /* bucket count - 1 */
	size_t hint;    /* map_any begins here: taking all away walks the buckets once */
};

void map_init(struct map *m);
void map_deinit(struct map *m); /* the nodes are the owner's */
void map_add(struct map *m, struct map_node *n, uint64_t hash);
void map_del(struct map *m, struct map_node *n);
struct map_node *map_first(const struct map *m, uint64_t hash);
struct map_node *map_next(const struct map_node *n); /* of the same hash */
/* Any node; NULL: there is none. For taking all of them away. */
struct map_node *map_any(struct map *m);

#define map_entry(n, type, member) ((type *)((char *)(n) - offsetof(type, member)))

/* splitmix64: spreads ids that count upwards. */
static inline uint64_t map_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

#endif
