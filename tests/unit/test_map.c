/* test_map.c - the intrusive hash table: growth, equal hashes, taking all away. */
#include "harness.h"

#include "base/map.h"

struct thing {
	struct map_node node;
	int v;
};

static int count(struct map *m, uint64_t hash)
{
	int n = 0;

	for (struct map_node *at = map_first(m, hash); at; at = map_next(at))
		n++;
	return n;
}

CASE(map_grows_and_finds)
{
	enum { N = 5000 };
	static struct thing t[N];
	struct map m;

	map_init(&m);
	for (int i = 0; i < N; i++) {
		t[i].v = i;
		map_add(&m, &t[i].node, map_mix((uint64_t)i));
	}
	CHECK_INT(m.n, N);
	for (int i = 0; i < N; i++)
		CHECK(map_entry(map_first(&m, map_mix((uint64_t)i)), struct thing, node)->v == i);
	CHECK(!map_first(&m, map_mix(N + 1)));
	for (int i = 0; i < N; i += 2)
		map_del(&m, &t[i].node);
	map_del(&m, &t[0].node); /* twice is nothing */
	CHECK_INT(m.n, N / 2);
	CHECK(!map_first(&m, map_mix(4)) && map_first(&m, map_mix(5)));
	map_deinit(&m);
}

CASE(map_equal_hashes_stand_together)
{
	struct thing t[6] = { 0 };
	struct map m;

	map_init(&m);
	for (int i = 0; i < 6; i++)
		map_add(&m, &t[i].node, i % 2 ? 64 : 0); /* one bucket, two hashes */
	CHECK_INT(count(&m, 0), 3);
	CHECK_INT(count(&m, 64), 3);
	CHECK_INT(count(&m, 128), 0);
	map_del(&m, &t[2].node);
	CHECK_INT(count(&m, 0), 2);
	map_deinit(&m);
}

CASE(map_any_takes_all_away_also_while_some_come)
{
	enum { N = 3000 };
	static struct thing t[N];
	struct map m;
	struct map_node *n;
	int taken = 0, added = N / 2;

	map_init(&m);
	CHECK(!map_any(&m));
	for (int i = 0; i < N / 2; i++)
		map_add(&m, &t[i].node, map_mix((uint64_t)i));
	while ((n = map_any(&m)) != NULL) {
		map_del(&m, n);
		if (++taken % 2 == 0 && added < N) {
			map_add(&m, &t[added].node, map_mix((uint64_t)added));
			added++;
		}
	}
	CHECK_INT(taken, added);
	CHECK_INT(m.n, 0);
	map_deinit(&m);
}
