/* test_colstate.c - what a chain of frames gives back is what was in memory. */
#include "harness.h"

#include <stdlib.h>

#include "work/colstate.h"

struct chain {
	char *record;
	size_t len, base_len;
	int bases, appends;
};

static void commit(struct chain *c, const struct colstate *st, enum colframe kind)
{
	bool append;
	struct slice f = colstate_frame(st, kind, c->base_len, c->len, &append);

	if (!append) {
		c->len = 0;
		c->base_len = f.len;
		c->bases++;
	} else {
		c->appends++;
	}
	c->record = realloc(c->record, c->len + f.len);
	memcpy(c->record + c->len, f.ptr, f.len);
	c->len += f.len;
}

static void same_set(const struct snapshot *a, const struct snapshot *b)
{
	CHECK_INT(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		CHECK(a->v[i].num == b->v[i].num && a->v[i].rev == b->v[i].rev);
}

static void same_ops(struct colops *a, struct colops *b)
{
	for (enum colop k = 0; k < COLOP_DROP; k++)
		same_set(colops_set(a, k), colops_set(b, k));
}

static void same_state(struct colstate *a, struct colstate *b)
{
	CHECK_INT(a->counter, b->counter);
	CHECK_INT(a->series, b->series);
	CHECK_INT(a->gen, b->gen);
	CHECK_INT(a->n_adds, b->n_adds);
	CHECK_SLICE(a->token, b->token);
	same_set(&a->have, &b->have);
	same_ops(&a->own, &b->own);
	same_ops(&a->sent, &b->sent);
	same_ops(&a->pend, &b->pend);
}

static void random_request(struct colstate *st, enum colframe kind)
{
	struct snapshot all;

	if (kind == COLFRAME_NEXT)
		colstate_confirm(st);
	all = colstate_known_all(st);
	if (all.n && rand() % 3 == 0)
		colstate_own(st, rand() % 2 ? COLOP_CHANGE : COLOP_GONE, all.v[(size_t)rand() % all.n].num, (uint32_t)rand() % 9);
	if (rand() % 5 == 0)
		colstate_client_add(st, S("client-1"), (uint64_t)rand() % 500, 1);
	if (rand() % 10 == 0)
		colstate_pend_reset(st);
	for (int i = rand() % 8; i > 0; i--)
		colstate_pend(st, (enum colop)(rand() % COLOP_COUNT), (uint64_t)(rand() % 500), (uint32_t)(rand() % 9));
	if (kind == COLFRAME_NEXT)
		for (enum colop k = 0; k < COLOP_DROP; k++)
			while (colops_set(&st->pend, k)->n && rand() % 2) {
				struct snap_item it = colops_set(&st->pend, k)->v[0];

				colstate_sent(st, k, it.num, it.rev);
			}
	st->gen = (uint64_t)rand();
	st->token = S("token");
}

CASE(colstate_frames_replay_to_the_same_state)
{
	for (unsigned seed = 0; seed < 60; seed++) {
		struct chain c = { 0 };
		struct colstate st;

		srand(seed);
		colstate_init(&st, test_arena());
		st.series = seed;
		commit(&c, &st, COLFRAME_BASE);
		for (int step = 0; step < 60; step++) {
			struct colstate now, again;
			enum colframe kind = rand() % 4 ? COLFRAME_NEXT : COLFRAME_REDO;

			CHECK_INT(colstate_unpack(&now, test_arena(), slice(c.record, c.len), NULL), 0);
			random_request(&now, kind);
			commit(&c, &now, kind);
			CHECK_INT(colstate_unpack(&again, test_arena(), slice(c.record, c.len), NULL), 0);
			same_state(&now, &again);
		}
		CHECK(c.appends > 5);
		free(c.record);
	}
}

CASE(colstate_known_follows_the_generations)
{
	struct colstate st;
	uint32_t rev = 0;

	colstate_init(&st, test_arena());
	colstate_pend(&st, COLOP_ADD, 5, 1);
	colstate_sent(&st, COLOP_ADD, 5, 1);
	CHECK_INT(colops_count(&st.pend), 0);
	CHECK(colstate_known(&st, 5, &rev) && rev == 1);
	CHECK_INT(st.have.n, 0);
	colstate_confirm(&st);
	CHECK(snapshot_find(&st.have, 5));
	colstate_own(&st, COLOP_CHANGE, 5, 3);
	CHECK(colstate_known(&st, 5, &rev) && rev == 3);
	colstate_sent(&st, COLOP_SOFT, 5, 0);
	CHECK(!colstate_known(&st, 5, &rev));
	CHECK_INT(colstate_known_all(&st).n, 0);
	CHECK_INT(st.have.n, 1);
}

CASE(colstate_told_then_moved_away_is_gone)
{
	struct colstate st;
	uint32_t rev;

	colstate_init(&st, test_arena());
	colstate_pend(&st, COLOP_ADD, 7, 1);
	colstate_confirm(&st);
	colstate_sent(&st, COLOP_ADD, 7, 1);
	CHECK(colstate_known(&st, 7, &rev));
	colstate_own(&st, COLOP_GONE, 7, 0); /* MoveItems, before the next Sync */
	CHECK(!colstate_known(&st, 7, &rev));
	colstate_confirm(&st);
	CHECK(!colstate_known(&st, 7, &rev));
	CHECK_INT(st.have.n, 0);
}

CASE(colstate_one_changed_message_is_a_small_append)
{
	struct chain c = { 0 };
	struct colstate st;
	size_t before;

	colstate_init(&st, test_arena());
	st.token = S("a token of a usual length, forty bytes..");
	for (uint64_t i = 1; i <= 100000; i++)
		snapshot_set(&st.have, i * 2, (uint32_t)(i % 3));
	commit(&c, &st, COLFRAME_BASE);
	before = c.len;
	colstate_confirm(&st);
	colstate_pend(&st, COLOP_CHANGE, 4000, 1);
	colstate_sent(&st, COLOP_CHANGE, 4000, 1);
	commit(&c, &st, COLFRAME_NEXT);
	CHECK_INT(c.appends, 1);
	CHECK(c.len - before < 256);
	free(c.record);
}

CASE(colstate_damaged_or_newer_records_are_refused)
{
	struct chain c = { 0 };
	struct colstate st;
	struct err e;

	colstate_init(&st, test_arena());
	for (uint64_t i = 1; i <= 50; i++)
		snapshot_set(&st.have, i, 1);
	commit(&c, &st, COLFRAME_BASE);
	for (size_t cut = 1; cut < c.len; cut++)
		CHECK_INT(colstate_unpack(&st, test_arena(), test_guarded(slice(c.record, cut)), &e), -1);
	c.record[0] = 2;
	CHECK_INT(colstate_unpack(&st, test_arena(), slice(c.record, c.len), &e), -1);
	CHECK_INT(e.code, ERR_STORE_FORMAT);
	free(c.record);
}
