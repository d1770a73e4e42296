/* test_snapshot.c - the set, its merge against a naive one, its size and damage. */
#include "harness.h"

#include <stdlib.h>

#include "work/snapshot.h"

static struct slice pack_of(const struct snapshot *s)
{
	struct packer k = packer(test_arena());

	snapshot_pack(s, &k);
	return packed(&k);
}

static void check_same(const struct snapshot *a, const struct snapshot *b)
{
	CHECK_INT(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		CHECK(a->v[i].num == b->v[i].num && a->v[i].rev == b->v[i].rev);
}

static void round_trip(const struct snapshot *s)
{
	struct snapshot back = snapshot_new(test_arena());
	struct unpacker u = unpacker(test_guarded(pack_of(s)));

	snapshot_unpack(&back, &u, 1000000);
	CHECK(!u.bad && u.in.len == 0);
	check_same(s, &back);
}

CASE(snapshot_round_trips)
{
	struct snapshot s = snapshot_new(test_arena());

	round_trip(&s);
	snapshot_set(&s, UINT64_MAX - 1, 7);
	round_trip(&s);
	srand(1);
	for (int i = 0; i < 3000; i++)
		snapshot_set(&s, (uint64_t)(rand() % 5000), (uint32_t)(rand() % 40));
	round_trip(&s);
	for (int i = 0; i < 1000; i++)
		snapshot_unset(&s, (uint64_t)(rand() % 5000));
	round_trip(&s);
	CHECK(snapshot_find(&s, 5001) == NULL);
}

CASE(snapshot_merge_is_the_naive_one)
{
	for (int round = 0; round < 200; round++) {
		struct snapshot s = snapshot_new(test_arena()), add = s, drop = s, want = s;

		srand((unsigned)round);
		for (int i = 0; i < 60; i++) {
			snapshot_set(&s, (uint64_t)(rand() % 100), 1);
			if (i % 2)
				snapshot_set(&add, (uint64_t)(rand() % 100), 2);
			if (i % 3 == 0)
				snapshot_set(&drop, (uint64_t)(rand() % 100), 0);
		}
		for (size_t i = 0; i < s.n; i++)
			snapshot_set(&want, s.v[i].num, s.v[i].rev);
		for (size_t i = 0; i < add.n; i++)
			snapshot_set(&want, add.v[i].num, add.v[i].rev);
		for (size_t i = 0; i < drop.n; i++)
			snapshot_unset(&want, drop.v[i].num);
		snapshot_merge(&s, &add, &drop);
		check_same(&s, &want);
	}
}

CASE(snapshot_two_bytes_a_message)
{
	struct snapshot s = snapshot_new(test_arena());

	/* A lived-in mailbox: gaps where mail was deleted, a mix of flags. */
	srand(7);
	for (uint64_t num = 1; s.n < 100000; num += 1 + (rand() % 10 == 0 ? (uint64_t)(rand() % 20) : 0))
		snapshot_set(&s, num, rand() % 5 == 0 ? 0 : rand() % 10 == 0 ? 5 : 1);
	CHECK(pack_of(&s).len <= 2 * s.n);
}

CASE(snapshot_damage_is_noticed_never_followed)
{
	struct snapshot s = snapshot_new(test_arena());
	struct slice good;

	for (uint64_t i = 0; i < 300; i += 1 + i % 3)
		snapshot_set(&s, i, (uint32_t)(i % 11));
	good = pack_of(&s);
	for (size_t cut = 0; cut < good.len; cut++) {
		struct snapshot back = snapshot_new(test_arena());
		struct unpacker u = unpacker(test_guarded(slice_to(good, cut)));

		snapshot_unpack(&back, &u, 100000);
		CHECK(u.bad);
	}
	for (int i = 0; i < 20000; i++) {
		struct snapshot back = snapshot_new(test_arena());
		struct slice bad = slice(arena_dup(test_arena(), good.ptr, good.len), good.len);
		struct unpacker u;

		((char *)bad.ptr)[rand() % (int)bad.len] = (char)rand();
		u = unpacker(bad);
		snapshot_unpack(&back, &u, 1000);
		CHECK(back.n <= 1000);
	}
}
