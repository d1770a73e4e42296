/* snapshot.c - sorted array in memory, ranges and runs in the store. Pure.
 * Trap: a rev index is written by use count, so that 0 stands for the common one. */
#include "work/snapshot.h"

#include <stdlib.h>

enum { REVS_MAX = 65536 };

size_t snapshot_lower(const struct snapshot *s, uint64_t num)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->v[mid].num < num)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct snap_item *snapshot_find(const struct snapshot *s, uint64_t num)
{
	size_t i = snapshot_lower(s, num);

	return i < s->n && s->v[i].num == num ? &s->v[i] : NULL;
}

void snapshot_set(struct snapshot *s, uint64_t num, uint32_t rev)
{
	size_t i = s->n && s->v[s->n - 1].num < num ? s->n : snapshot_lower(s, num);

	if (i < s->n && s->v[i].num == num) {
		s->v[i].rev = rev;
		return;
	}
	s->v = arena_grow(s->a, s->v, s->n, &s->cap, sizeof(*s->v));
	memmove(s->v + i + 1, s->v + i, (s->n - i) * sizeof(*s->v));
	s->v[i] = (struct snap_item){ num, rev };
	s->n++;
}

bool snapshot_unset(struct snapshot *s, uint64_t num)
{
	size_t i = snapshot_lower(s, num);

	if (i == s->n || s->v[i].num != num)
		return false;
	memmove(s->v + i, s->v + i + 1, (s->n - i - 1) * sizeof(*s->v));
	s->n--;
	return true;
}

/* From the back, so that nothing is overwritten before it is read. */
static void merge_add(struct snapshot *s, const struct snapshot *add)
{
	size_t i = s->n, k = add->n, o = s->n + add->n, most = o;

	if (o > s->cap) {
		struct snap_item *bigger = arena_alloc(s->a, (o + o / 8) * sizeof(*bigger));

		if (s->n)
			memcpy(bigger, s->v, s->n * sizeof(*bigger));
		s->v = bigger;
		s->cap = o + o / 8;
	}
	while (k) {
		if (i && s->v[i - 1].num > add->v[k - 1].num) {
			s->v[--o] = s->v[--i];
			continue;
		}
		if (i && s->v[i - 1].num == add->v[k - 1].num)
			i--;
		s->v[--o] = add->v[--k];
	}
	/* 0..i stand where they were; what was in both leaves a gap. */
	memmove(s->v + i, s->v + o, (most - o) * sizeof(*s->v));
	s->n = i + most - o;
}

static void merge_drop(struct snapshot *s, const struct snapshot *drop)
{
	size_t d = 0, i = snapshot_lower(s, drop->v[0].num), o = i;

	for (; i < s->n; i++) {
		while (d < drop->n && drop->v[d].num < s->v[i].num)
			d++;
		if (!(d < drop->n && drop->v[d].num == s->v[i].num))
			s->v[o++] = s->v[i];
	}
	s->n = o;
}

void snapshot_merge(struct snapshot *s, const struct snapshot *add, const struct snapshot *drop)
{
	if (add && add->n)
		merge_add(s, add);
	if (drop && drop->n)
		merge_drop(s, drop);
}

struct snapshot snapshot_copy(const struct snapshot *s)
{
	struct snapshot out = *s;

	out.v = s->n ? arena_dup(s->a, s->v, s->n * sizeof(*s->v)) : NULL;
	out.cap = s->n;
	return out;
}

/* --- distinct revisions, most used first ---------------------------------- */

struct rev_use {
	uint32_t rev, uses;
};

static int by_rev(const void *x, const void *y)
{
	uint32_t a = ((const struct rev_use *)x)->rev, b = ((const struct rev_use *)y)->rev;

	return (a > b) - (a < b);
}

static int by_use(const void *x, const void *y)
{
	const struct rev_use *a = x, *b = y;

	if (a->uses != b->uses)
		return a->uses < b->uses ? 1 : -1;
	return by_rev(x, y);
}

static size_t count_revs(const struct snapshot *s, struct rev_use **use_r)
{
	struct rev_use *u = arena_alloc(s->a, (s->n + 1) * sizeof(*u));
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		u[i] = (struct rev_use){ s->v[i].rev, 1 };
	qsort(u, s->n, sizeof(*u), by_rev);
	for (size_t i = 0; i < s->n; i++) {
		if (n && u[n - 1].rev == u[i].rev)
			u[n - 1].uses++;
		else
			u[n++] = u[i];
	}
	qsort(u, n, sizeof(*u), by_use);
	*use_r = u;
	return n;
}

struct rev_index {
	uint32_t rev;
	uint32_t index;
};

static int by_index_rev(const void *x, const void *y)
{
	uint32_t a = ((const struct rev_index *)x)->rev, b = ((const struct rev_index *)y)->rev;

	return (a > b) - (a < b);
}

static uint32_t index_of(const struct rev_index *map, size_t n, uint32_t rev)
{
	const struct rev_index key = { .rev = rev };
	const struct rev_index *hit = bsearch(&key, map, n, sizeof(*map), by_index_rev);

	return hit->index;
}

static void pack_revs(const struct snapshot *s, struct packer *k)
{
	struct rev_use *use;
	size_t n = count_revs(s, &use), i = 0;
	struct rev_index *map = arena_alloc(s->a, (n + 1) * sizeof(*map));

	pack_uint(k, n);
	for (size_t r = 0; r < n; r++) {
		pack_uint(k, use[r].rev);
		map[r] = (struct rev_index){ use[r].rev, (uint32_t)r };
	}
	qsort(map, n, sizeof(*map), by_index_rev);
	while (i < s->n) {
		size_t run = 1;

		while (i + run < s->n && s->v[i + run].rev == s->v[i].rev)
			run++;
		/* Short runs of common revs in one byte: index < 8, run < 16. */
		uint32_t idx = index_of(map, n, s->v[i].rev);

		if (idx < 8 && run < 16) {
			pack_u8(k, (uint8_t)(idx << 4 | run));
		} else {
			pack_u8(k, 0x80);
			pack_uint(k, idx);
			pack_uint(k, run);
		}
		i += run;
	}
}

void snapshot_pack(const struct snapshot *s, struct packer *k)
{
	size_t ranges = 0, i;
	uint64_t next = 0;

	for (i = 0; i < s->n; i++)
		ranges += i == 0 || s->v[i].num != s->v[i - 1].num + 1;
	pack_uint(k, ranges);
	for (i = 0; i < s->n;) {
		size_t run = 1;

		while (i + run < s->n && s->v[i + run].num == s->v[i].num + run)
			run++;
		pack_uint(k, s->v[i].num - next);
		pack_uint(k, run);
		next = s->v[i].num + run;
		i += run;
	}
	if (s->n)
		pack_revs(s, k);
}

static void unpack_revs(struct snapshot *s, struct unpacker *u)
{
	uint64_t n = unpack_uint(u);
	uint32_t *rev;
	size_t i = 0;

	if (n == 0 || n > s->n || n > u->in.len) {
		u->bad = true;
		return;
	}
	rev = arena_alloc(s->a, n * sizeof(*rev));
	for (size_t r = 0; r < n; r++)
		rev[r] = (uint32_t)unpack_uint(u);
	while (i < s->n && !u->bad) {
		uint8_t b = unpack_u8(u);
		uint64_t idx = b & 0x80 ? unpack_uint(u) : b >> 4;
		uint64_t run = b & 0x80 ? unpack_uint(u) : b & 15;

		if (idx >= n || run == 0 || run > s->n - i) {
			u->bad = true;
			return;
		}
		for (uint64_t r = 0; r < run; r++)
			s->v[i++].rev = rev[idx];
	}
}

void snapshot_unpack(struct snapshot *s, struct unpacker *u, size_t max)
{
	uint64_t ranges = unpack_uint(u), next = 0;

	s->n = 0;
	if (ranges > u->in.len) {
		u->bad = true;
		return;
	}
	for (uint64_t r = 0; r < ranges && !u->bad; r++) {
		uint64_t gap = unpack_uint(u), run = unpack_uint(u);

		if (run == 0 || run > max - s->n || gap > UINT64_MAX - next - run) {
			u->bad = true;
			return;
		}
		while (s->n + run > s->cap) {
			size_t used = s->n;

			s->n = s->cap; /* grow looks at the fill */
			s->v = arena_grow(s->a, s->v, s->n, &s->cap, sizeof(*s->v));
			s->n = used;
		}
		for (uint64_t i = 0; i < run; i++)
			s->v[s->n++].num = next + gap + i;
		next += gap + run;
	}
	if (s->n && !u->bad)
		unpack_revs(s, u);
}
