/* test_sync_options.c - what is remembered of a request: options of a collection
 * and the collections of the last Sync, packed, damaged, merged. */
#include "harness.h"

#include "work/sync_memory.h"
#include "work/sync_options.h"

CASE(options_pack_and_unpack)
{
	struct sync_options_kept k, back;
	struct slice rec;

	sync_options_default(&k);
	sync_options_unpack(&back, sync_options_pack(test_arena(), &k));
	CHECK_SLICE(sync_options_pack(test_arena(), &back), sync_options_pack(test_arena(), &k));
	CHECK(back.conflict == 1 && back.mime_truncation == BODY_UNLIMITED && back.window == SYNC_WINDOW_DEFAULT &&
	      back.deletes_as_moves && back.get_changes);
	k.filter = 3;
	k.conflict = 0;
	k.mime_support = 2;
	k.mime_truncation = 0;
	k.deletes_as_moves = k.get_changes = false;
	k.window = 512;
	k.no_body = true;
	for (int i = 0; i < SYNC_PREFS_MAX; i++)
		k.pref[k.n_pref++] = (struct body_pref){ .type = BODY_MIME, .truncation = (uint64_t)i, .all_or_none = true,
							 .preview = 255 };
	rec = sync_options_pack(test_arena(), &k);
	sync_options_unpack(&back, test_guarded(rec));
	CHECK(back.filter == 3 && back.conflict == 0 && back.mime_support == 2 && back.mime_truncation == 0);
	CHECK(!back.deletes_as_moves && !back.get_changes && back.window == 512 && back.no_body);
	CHECK(back.n_pref == SYNC_PREFS_MAX && back.pref[0].truncation == 0 && back.pref[7].truncation == 7);
	CHECK(back.pref[7].all_or_none && back.pref[7].preview == 255 && back.pref[7].type == BODY_MIME);
	for (size_t i = 0; i < rec.len; i++) { /* damage: some options, never a crash */
		struct slice copy = slice(arena_dup(test_arena(), rec.ptr, rec.len), rec.len);

		((char *)copy.ptr)[i] ^= 0x55;
		sync_options_unpack(&back, test_guarded(copy));
		sync_options_unpack(&back, test_guarded(slice_to(rec, i)));
		CHECK(back.n_pref <= SYNC_PREFS_MAX && back.window > 0);
	}
}

static struct sync_options *options(struct sync_collection *c)
{
	return LIST_PUSH(test_arena(), &c->options);
}

CASE(options_taken)
{
	struct sync_options_kept k;
	struct sync_collection c = { .window_size = NUM(0) };
	struct sync_options *o;

	sync_options_default(&k);
	CHECK_INT(sync_options_take(&k, &c, EAS_141), 0);
	CHECK_INT(k.window, SYNC_WINDOW_MAX);
	c.window_size = NUM(5000);
	c.get_changes = c.deletes_as_moves = NUM(0);
	CHECK_INT(sync_options_take(&k, &c, EAS_141), 0);
	CHECK(k.window == SYNC_WINDOW_MAX && !k.get_changes && !k.deletes_as_moves);
	c = (struct sync_collection){ .window_size = NUM(7) };
	o = options(&c);
	o->filter_type = NUM(4);
	o->conflict = NUM(0);
	for (int i = 0; i < 12; i++) {
		struct body_preference *b = LIST_PUSH(test_arena(), &o->body);

		if (i != 1)
			b->type = NUM(1);
	}
	CHECK_INT(sync_options_take(&k, &c, EAS_141), 0);
	CHECK(k.window == 7 && k.filter == 4 && k.conflict == 0 && k.n_pref == SYNC_PREFS_MAX && k.get_changes);
	/* Without Options those of last time; an empty one replaces them. */
	c = (struct sync_collection){ .window_size = NUM(8) };
	CHECK_INT(sync_options_take(&k, &c, EAS_141), 0);
	CHECK(k.filter == 4 && k.n_pref == SYNC_PREFS_MAX);
	options(&c);
	CHECK_INT(sync_options_take(&k, &c, EAS_141), 0);
	CHECK(k.filter == 0 && k.n_pref == 0 && k.conflict == 1);
}

CASE(options_refused)
{
	struct sync_options_kept k;
	static const char *const twice[][2] = { { "Email", "Email" }, { "", "Email" }, { "SMS", "SMS" }, { "Calendar", "Email" } };
	struct sync_collection c;

	sync_options_default(&k);
	for (size_t i = 0; i < 4; i++) {
		c = (struct sync_collection){ 0 };
		options(&c)->class = slice_str(twice[i][0]);
		options(&c)->class = slice_str(twice[i][1]);
		CHECK_INT(sync_options_take(&k, &c, EAS_141), 4);
	}
	c = (struct sync_collection){ 0 };
	options(&c)->class = S("SMS");
	options(&c)->class = S("Email");
	CHECK_INT(sync_options_take(&k, &c, EAS_141), 0);
	for (int f = -1; f <= 8; f++) {
		c = (struct sync_collection){ 0 };
		options(&c)->filter_type = NUM(f);
		CHECK_INT(sync_options_take(&k, &c, EAS_141), f < 0 || f > 5 ? 4 : 0);
	}
	c = (struct sync_collection){ 0 };
	options(&c)->max_items = NUM(1);
	CHECK_INT(sync_options_take(&k, &c, EAS_141), 4);
}

CASE(options_of_2_5)
{
	struct sync_options_kept k;
	struct sync_collection c = { 0 };
	struct body_want w, part;

	sync_options_default(&k);
	options(&c)->truncation = NUM(1);
	c.options.v[0].mime_support = NUM(2);
	CHECK_INT(sync_options_take(&k, &c, EAS_25), 0);
	CHECK(k.n_pref == 2 && k.pref[0].type == BODY_MIME && k.pref[1].type == BODY_TEXT);
	sync_options_body(&k, &w, &part);
	CHECK(w.n_pref == 2 && w.mime_support == 2 && w.pref == k.pref);
}

CASE(memory_pack_unpack_merge)
{
	struct sync_request q = { .wait = NUM(5), .heartbeat = NUM(0), .window_size = NUM(50) }, back, part = { 0 };
	struct sync_collection *c;
	struct slice rec;

	for (int i = 0; i < 3; i++) {
		c = LIST_PUSH(test_arena(), &q.collections);
		*c = (struct sync_collection){ .collection_id = arena_printf(test_arena(), "c%d", i), .sync_key = S("k"),
					       .class = i ? S("Email") : S_NONE, .get_changes = NUM(i), .window_size = NUM(i) };
	}
	rec = sync_memory_pack(test_arena(), &q);
	CHECK(sync_memory_unpack(test_arena(), test_guarded(rec), &back));
	CHECK_SLICE(sync_memory_pack(test_arena(), &back), rec);
	CHECK(back.wait.v == 5 && back.heartbeat.has && back.heartbeat.v == 0 && back.window_size.v == 50);
	CHECK(back.collections.n == 3 && back.collections.v[2].window_size.v == 2 && back.collections.v[0].get_changes.has);
	CHECK_STR(back.collections.v[1].class, "Email");
	for (size_t i = 0; i < rec.len; i++)
		sync_memory_unpack(test_arena(), test_guarded(slice_to(rec, i)), &part);
	CHECK(!sync_memory_unpack(test_arena(), S(""), &part));
	CHECK(!sync_memory_unpack(test_arena(), S("\177"), &part));
	/* Partial: its own over the remembered ones. */
	part = (struct sync_request){ .heartbeat = NUM(300), .window_size = NUM(9) };
	c = LIST_PUSH(test_arena(), &part.collections);
	c->collection_id = S("c1");
	c->sync_key = S("k2");
	c = LIST_PUSH(test_arena(), &part.collections);
	c->collection_id = S("new");
	c->sync_key = S("k3");
	sync_memory_merge(test_arena(), &back, &part);
	CHECK(!back.wait.has && back.heartbeat.v == 300 && back.window_size.v == 9 && back.collections.n == 4);
	CHECK_STR(back.collections.v[1].sync_key, "k2");
	CHECK_STR(back.collections.v[0].sync_key, "k");
	CHECK_STR(back.collections.v[3].collection_id, "new");
}
