/* map.c - chained buckets. Owner's thread. */
#include "base/map.h"

#include <stdlib.h>

#include "base/arena.h"

enum { FIRST = 64 };

void map_init(struct map *m)
{
	m->bucket = mem_alloc(FIRST * sizeof(*m->bucket));
	m->mask = FIRST - 1;
	m->n = 0;
	m->hint = 0;
}

void map_deinit(struct map *m)
{
	free(m->bucket);
	m->bucket = NULL;
	m->n = 0;
}

static void grow(struct map *m)
{
	size_t n = (m->mask + 1) * 2;
	struct map_node **bigger = mem_alloc(n * sizeof(*bigger));

	for (size_t b = 0; b <= m->mask; b++)
		for (struct map_node *at = m->bucket[b], *next; at; at = next) {
			next = at->next;
			at->next = bigger[at->hash & (n - 1)];
			bigger[at->hash & (n - 1)] = at;
		}
	free(m->bucket);
	m->bucket = bigger;
	m->mask = n - 1;
}

void map_add(struct map *m, struct map_node *n, uint64_t hash)
{
	if (m->n > m->mask)
		grow(m);
	n->hash = hash;
	n->next = m->bucket[hash & m->mask];
	m->bucket[hash & m->mask] = n;
	m->n++;
}

void map_del(struct map *m, struct map_node *n)
{
	struct map_node **at = &m->bucket[n->hash & m->mask];

	while (*at && *at != n)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = n->next;
	m->n--;
}

struct map_node *map_first(const struct map *m, uint64_t hash)
{
	struct map_node *n = m->bucket[hash & m->mask];

	while (n && n->hash != hash)
		n = n->next;
	return n;
}

struct map_node *map_next(const struct map_node *n)
{
	uint64_t hash = n->hash;

	do
		n = n->next;
	while (n && n->hash != hash);
	return (struct map_node *)n;
}

struct map_node *map_any(struct map *m)
{
	for (size_t i = 0; i <= m->mask && m->n; i++) {
		if (m->bucket[m->hint])
			return m->bucket[m->hint];
		m->hint = (m->hint + 1) & m->mask;
	}
	return NULL;
}
