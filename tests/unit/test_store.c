/* test_store.c - the contract suite over memory, SQLite and Redis; then what memory,
 * SQLite and the failing store have of their own: a clock that moves, steps back,
 * restarts, yesterday's records, scripts. Redis's own are in test_store_redis.c. */
#include "store_env.h"

/* --- the suite ---------------------------------------------------------------- */

SUITE(store_put_load_delete)
{
	struct err e;
	uint64_t r1, r2, r3;
	struct store_get g = got(s, "dev:A");

	CHECK(g.rev == 0 && g.value.len == 0 && g.base_len == 0);
	MUST(put(s, "dev:A", "1one", STORE_PUT, 0, &r1, &e));
	g = got(s, "dev:A");
	CHECK_STR(g.value, "1one");
	CHECK(g.rev == r1 && g.base_len == 4 && r1 != 0);
	CHECK_INT(put(s, "dev:A", "1two", STORE_PUT, 0, NULL, &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	CHECK(strstr(e.text, "dev:A"));
	MUST(put(s, "dev:A", "1two", STORE_PUT, r1, &r2, &e));
	CHECK(r2 != r1);
	CHECK_INT(put(s, "dev:A", "1x", STORE_DELETE, r1, NULL, &e), -1);
	MUST(put(s, "dev:A", "1three", STORE_PUT, STORE_ANY, &r2, &e));
	MUST(put(s, "dev:A", "", STORE_DELETE, r2, &r3, &e));
	CHECK_INT(r3, 0);
	CHECK_INT(got(s, "dev:A").rev, 0);
	MUST(put(s, "dev:A", "", STORE_DELETE, 0, NULL, &e));
	MUST(put(s, "dev:A", "1new", STORE_PUT, 0, &r3, &e));
	CHECK(r3 != r1 && r3 != r2); /* never used twice */
}

SUITE(store_any_bytes)
{
	struct err e;
	size_t n = 300000;
	char *big = arena_alloc(test_arena(), n);
	struct slice user = S("a}b{c%\0 \xc3\xa9'\"*");
	struct store_put p[2] = { { .key = slice("dev:a\0b", 7), .ttl_ms = -1 }, { .key = S("col:x y:*"), .ttl_ms = 0 } };
	struct store_get g[2] = { { .key = p[0].key }, { .key = p[1].key } };

	for (size_t i = 0; i < n; i++)
		big[i] = (char)(i * 7 % 256);
	p[0].value = slice(big, n);
	p[1].value = S("\0");
	MUST(store_commit(s, user, p, 2, NULL, STORE_DURABLE, &e));
	MUST(store_load(s, user, g, 2, NULL, NULL, test_arena(), &e));
	CHECK(slice_eq(g[0].value, p[0].value));
	CHECK(slice_eq(g[1].value, p[1].value));
	MUST(store_load(s, jane, g, 2, NULL, NULL, test_arena(), &e));
	CHECK(g[0].rev == 0 && g[1].rev == 0);
}

SUITE(store_empty_values_are_there)
{
	struct err e;
	uint64_t rev;

	MUST(put(s, "dev:E", "", STORE_PUT, 0, &rev, &e));
	CHECK(got(s, "dev:E").rev == rev && rev != 0);
}

SUITE(store_appends_are_joined)
{
	struct err e;
	uint64_t rev;
	struct store_get g;

	MUST(put(s, "col:A:f", "base", STORE_APPEND, 0, &rev, &e)); /* absent: as PUT */
	MUST(put(s, "col:A:f", "+1", STORE_APPEND, rev, &rev, &e));
	MUST(put(s, "col:A:f", "+22", STORE_APPEND, rev, &rev, &e));
	CHECK_INT(put(s, "col:A:f", "+3", STORE_APPEND, rev + 1, NULL, &e), -1);
	g = got(s, "col:A:f");
	CHECK_STR(g.value, "base+1+22");
	CHECK_INT(g.base_len, 4);
	CHECK(g.rev == rev);
	MUST(put(s, "col:A:f", "rebased", STORE_PUT, rev, &rev, &e));
	g = got(s, "col:A:f");
	CHECK_STR(g.value, "rebased");
	CHECK_INT(g.base_len, 7);
}

SUITE(store_commit_is_all_or_nothing)
{
	struct err e;
	struct store_put p[3] = {
		{ .key = S("dev:1"), .value = S("a"), .ttl_ms = -1 },
		{ .key = S("dev:2"), .value = S("b"), .expect = 7, .ttl_ms = -1 },
		{ .key = S("dev:3"), .value = S("c"), .ttl_ms = -1 },
	};

	CHECK_INT(store_commit(s, jane, p, 3, NULL, 0, &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	CHECK(strstr(e.text, "dev:2"));
	CHECK(got(s, "dev:1").rev == 0 && got(s, "dev:3").rev == 0);
	p[1].expect = 0;
	MUST(store_commit(s, jane, p, 3, NULL, 0, &e));
	CHECK_STR(got(s, "dev:3").value, "c");
}

SUITE(store_refuses_a_record_too_large)
{
	struct err e;
	struct store_put p = { .key = S("dev:1"), .value = { NULL, 0 }, .ttl_ms = -1 };
	size_t n = (size_t)s->record_max_bytes + 1;
	char *big = calloc(1, n);

	p.value = slice(big, n);
	CHECK_INT(store_commit(s, jane, &p, 1, NULL, 0, &e), -1);
	free(big);
	CHECK_INT(e.code, ERR_LIMIT);
	CHECK_INT(got(s, "dev:1").rev, 0);
}

SUITE(store_claims_exclude_and_expire)
{
	struct err e;
	struct store_get g = { .key = S("dev:A") };
	struct store_claim one = claim_of("one", 60000, 0), two = claim_of("two", 100, 30), three = claim_of("three", 60000, 3000);
	struct store_put p = { .key = S("dev:A"), .value = S("v"), .ttl_ms = -1 };
	int64_t t0;

	MUST(store_load(s, jane, &g, 1, &one, NULL, test_arena(), &e));
	MUST(store_load(s, jane, &g, 1, &one, NULL, test_arena(), &e)); /* its own again */
	CHECK_INT(store_load(s, jane, &g, 1, &two, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	MUST(store_load(s, jane, &g, 1, NULL, NULL, test_arena(), &e)); /* a reader never queues */
	MUST(store_commit(s, jane, &p, 1, &one, 0, &e));                /* releases */
	MUST(store_load(s, jane, &g, 1, &two, NULL, test_arena(), &e));
	CHECK_STR(g.value, "v");
	MUST(store_release(s, jane, &one, &e)); /* not the holder: no effect */
	t0 = clock_now(&clock_system);
	MUST(store_load(s, jane, &g, 1, &three, NULL, test_arena(), &e)); /* two's time ends */
	CHECK(clock_now(&clock_system) - t0 >= 50);
	MUST(store_release(s, jane, &three, &e));
	MUST(store_load(s, jane, &g, 1, &one, NULL, test_arena(), &e));
	MUST(store_release(s, jane, &one, &e));
}

/* A commit that lost keeps the claim: the command looks again and still holds it. */
SUITE(store_lost_commit_keeps_the_claim)
{
	struct err e;
	struct store_get g = { .key = S("dev:A") };
	struct store_claim one = claim_of("one", 60000, 0), two = claim_of("two", 60000, 0);
	struct store_put p = { .key = S("dev:A"), .value = S("v"), .expect = 99, .ttl_ms = -1 };

	MUST(store_load(s, jane, &g, 1, &one, NULL, test_arena(), &e));
	CHECK_INT(store_commit(s, jane, &p, 1, &one, 0, &e), -1);
	CHECK_INT(store_load(s, jane, &g, 1, &two, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	MUST(store_release(s, jane, &one, &e));
}

SUITE(store_records_expire)
{
	struct err e;
	struct store_put p = { .key = S("sent:A:1"), .value = S("v"), .ttl_ms = 60 };
	int i;

	MUST(store_commit(s, jane, &p, 1, NULL, 0, &e));
	CHECK(got(s, "sent:A:1").rev != 0);
	for (i = 0; i < 300 && got(s, "sent:A:1").rev; i++)
		usleep(10000);
	CHECK(i < 300);
	MUST(store_commit(s, jane, &p, 1, NULL, 0, &e)); /* absent again */
	p.op = STORE_APPEND;
	p.expect = STORE_ANY;
	p.ttl_ms = -1;
	MUST(store_commit(s, jane, &p, 1, NULL, 0, &e));
	usleep(120000);
	CHECK_STR(got(s, "sent:A:1").value, "vv"); /* lives on */
}

SUITE(store_counts_changes)
{
	struct err e;
	uint64_t a, b, c, other0, other;

	MUST(store_gen(s, jane, &a, &e));
	CHECK_INT(STORE_GEN_COUNTER(a), 0);
	MUST(store_gen(s, S("joe"), &other0, &e));
	MUST(store_publish(s, jane, S("{}"), true, &e));
	MUST(store_gen(s, jane, &b, &e));
	CHECK(a != b);
	CHECK_INT(STORE_GEN_COUNTER(b), 1);
	MUST(store_publish(s, jane, S("{\"auth\":\"changed\"}"), false, &e));
	MUST(store_load(s, jane, NULL, 0, NULL, &c, test_arena(), &e));
	CHECK(b == c);
	MUST(store_gen(s, S("joe"), &other, &e));
	CHECK(other == other0);
}

SUITE(store_lists)
{
	struct err e = { .code = ERR_NONE };
	struct seen all = { .s = s }, mine = { .s = s }, none = { .s = s }, first = { .s = s, .stop_at = 1 };
	struct store_put p = { .key = S("dev:Z"), .value = S("v"), .ttl_ms = -1 };

	MUST(put(s, "dev:A", "1", STORE_PUT, 0, NULL, &e));
	MUST(put(s, "dev:B", "1", STORE_PUT, 0, NULL, &e));
	MUST(put(s, "dev:C", "1", STORE_PUT, 0, NULL, &e));
	MUST(put(s, "dev:C", "", STORE_DELETE, STORE_ANY, NULL, &e));
	MUST(put(s, "col:A:1", "1", STORE_PUT, 0, NULL, &e));
	MUST(store_commit(s, S("joe"), &p, 1, NULL, 0, &e));
	MUST(store_list(s, jane, S("dev:"), on_key, &mine, &e));
	CHECK_INT(mine.n, 2);
	CHECK(strstr(mine.text, "jane@example.org/dev:A ") && strstr(mine.text, "jane@example.org/dev:B "));
	MUST(store_list(s, S_NONE, S("dev:"), on_key, &all, &e));
	CHECK_INT(all.n, 3);
	CHECK(strstr(all.text, "joe/dev:Z "));
	MUST(store_list(s, S("nobody"), S_NONE, on_key, &none, &e));
	CHECK_INT(none.n, 0);
	CHECK_INT(store_list(s, S_NONE, S_NONE, on_key, &first, &e), -1);
	CHECK_INT(first.n, 1);
}

SUITE(store_list_leaves_expired_ones_out)
{
	struct err e;
	struct seen l = { .s = s };
	struct store_put p = { .key = S("dev:X"), .value = S("v"), .ttl_ms = 20 };

	MUST(store_commit(s, jane, &p, 1, NULL, 0, &e));
	usleep(60000);
	MUST(store_list(s, jane, S("dev:"), on_key, &l, &e));
	CHECK_INT(l.n, 0);
}

SUITE(store_checks)
{
	struct err e;
	struct slice w;

	MUST(store_check(s, test_arena(), &w, &e));
	if (d != MEM)
		CHECK_STR(w, "");
}

/* --- threads ------------------------------------------------------------------ */

SUITE(store_threads_lose_no_write)
{
	race_all(s, false);
}

SUITE(store_threads_take_turns_by_claim)
{
	race_all(s, true);
}

/* --- memory and SQLite -------------------------------------------------------- */

static void moves_with_the_clock(enum driver d)
{
	struct settings *set = settings_for(d, "devices.forget", "1h");
	struct store *s = open_with(&set, &fake_clock);
	struct store_put p = { .key = S("dev:A"), .value = S("v") };
	struct err e;

	MUST(store_commit(s, jane, &p, 1, NULL, 0, &e));
	for (int i = 0; i < 5; i++) {
		fake_time.now += 50 * 60000; /* seen again and again: it stays */
		CHECK(got(s, "dev:A").rev != 0);
	}
	fake_time.now += 61 * 60000;
	CHECK_INT(got(s, "dev:A").rev, 0);
	store_close(&s);
}

CASE(store_forgets_what_was_not_seen)
{
	moves_with_the_clock(MEM);
	moves_with_the_clock(SQLITE);
}

CASE(store_claim_does_not_wait_on_a_clock_nobody_moves)
{
	struct settings *set = settings_for(MEM, NULL, NULL);
	struct store *s = open_with(&set, &fake_clock);
	struct store_claim one = claim_of("one", 1000, 0), two = claim_of("two", 1000, 60000);
	struct err e;

	MUST(store_load(s, jane, NULL, 0, &one, NULL, test_arena(), &e));
	CHECK_INT(store_load(s, jane, NULL, 0, &two, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	fake_time.now += 1000;
	MUST(store_load(s, jane, NULL, 0, &two, NULL, test_arena(), &e));
	store_mem_crash(s); /* its holder died */
	MUST(store_load(s, jane, NULL, 0, &one, NULL, test_arena(), &e));
	store_close(&s);
}

CASE(store_mem_steps_back_in_time)
{
	struct settings *set = settings_for(MEM, NULL, NULL);
	struct store *s = open_with(&set, &clock_system);
	struct store_image *img;
	uint64_t r1, r2, r3, g1, g2;
	struct err e;

	MUST(put(s, "dev:A", "1", STORE_PUT, 0, &r1, &e));
	MUST(store_publish(s, jane, S("{}"), true, &e));
	MUST(store_gen(s, jane, &g1, &e));
	img = store_mem_snapshot(s);
	MUST(put(s, "dev:A", "2", STORE_PUT, r1, &r2, &e));
	CHECK_INT(store_mem_bytes(s), 1);
	store_mem_restore(s, img);
	store_mem_restore(s, img);
	store_image_free(&img);
	CHECK_STR(got(s, "dev:A").value, "1");
	MUST(store_gen(s, jane, &g2, &e));
	CHECK(g1 != g2 && STORE_GEN_COUNTER(g1) == STORE_GEN_COUNTER(g2));
	CHECK_INT(put(s, "dev:A", "3", STORE_PUT, r2, NULL, &e), -1);
	MUST(put(s, "dev:A", "3", STORE_PUT, r1, &r3, &e));
	CHECK(r3 != r2);
	store_mem_evict(s, jane, S("dev:A"));
	CHECK_INT(got(s, "dev:A").rev, 0);
	store_mem_flush(s);
	MUST(store_gen(s, jane, &g1, &e));
	CHECK_INT(STORE_GEN_COUNTER(g1), 0);
	store_close(&s);
}

static void on_publish(void *arg, struct slice user, struct slice json)
{
	struct seen *l = arg;

	snprintf(l->text, sizeof(l->text), "%.*s %.*s", SARG(user), SARG(json));
	l->n++;
}

CASE(store_publishes_inside_the_process)
{
	for (int d = MEM; d <= SQLITE; d++) {
		struct store *s = open_store((enum driver)d);
		struct seen l = { .n = 0 };
		struct err e;

		store_on_publish(s, on_publish, &l);
		MUST(store_publish(s, jane, S("{\"folder\":\"INBOX\"}"), true, &e));
		CHECK_STR(slice_str(l.text), "jane@example.org {\"folder\":\"INBOX\"}");
		store_close(&s);
	}
}

static struct settings *settings_of_file(const char *file)
{
	struct settings *set = settings_for(SQLITE, NULL, NULL);
	struct err e;
	char url[64];

	snprintf(url, sizeof(url), "embedded:%s", file);
	CHECK_INT(settings_set(set, S("store.url"), slice_str(url), "test", &e), 0);
	return set;
}

CASE(store_sqlite_survives_a_restart_and_a_reader_beside)
{
	struct settings *set = settings_of_file("again.sqlite"), *set2 = settings_of_file("again.sqlite"),
			*set3 = settings_of_file("again.sqlite");
	struct store *s = open_with(&set, &clock_system), *beside = open_with(&set2, &clock_system);
	uint64_t r1, g1, g2;
	struct err e;

	MUST(put(s, "dev:A", "1", STORE_PUT, 0, &r1, &e));
	MUST(store_publish(s, jane, S("{}"), true, &e));
	MUST(store_gen(s, jane, &g1, &e));
	CHECK_STR(got(beside, "dev:A").value, "1");
	MUST(put(beside, "dev:A", "2", STORE_PUT, r1, NULL, &e));
	CHECK_INT(put(s, "dev:A", "3", STORE_PUT, r1, NULL, &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	store_close(&s);
	store_close(&beside);
	s = open_with(&set3, &clock_system);
	CHECK_STR(got(s, "dev:A").value, "2");
	MUST(store_gen(s, jane, &g2, &e));
	CHECK(g1 != g2); /* the file may be a restored one */
	CHECK_INT(STORE_GEN_COUNTER(g2), 1);
	store_close(&s);
}

CASE(store_sqlite_refuses_a_newer_schema)
{
	struct settings *set = settings_of_file("newer.sqlite");
	struct store *s;
	struct err e;
	char path[200];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/newer.sqlite", private_dir());
	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	CHECK_INT(store_open(&s, set, &clock_system, &e), -1);
	CHECK_INT(e.code, ERR_STORE_FORMAT);
	settings_unref(&set);
}

CASE(store_sqlite_reads_version_1)
{
	struct settings *set = settings_of_file("v1.sqlite");
	struct slice text = test_file("tests/unit/data/store_v1.sql");
	struct store *s;
	char path[200], *error = NULL;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/v1.sqlite", private_dir());
	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_exec(db, arena_str(test_arena(), text), NULL, NULL, &error);
	if (error)
		test_fail(__FILE__, __LINE__, "%s", error);
	sqlite3_close(db);
	s = open_with(&set, &clock_system);
	reads_yesterday(s);
	store_close(&s);
}

/* --- faults on a script ------------------------------------------------------- */

CASE(store_fail_follows_its_script)
{
	struct settings *set = settings_for(MEM, NULL, NULL);
	struct store *inner = open_with(&set, &clock_system), *s;
	struct store_script *script;
	struct store_claim c = claim_of("one", 1000, 0);
	struct err e;

	MUST(store_script_new(&script, "commit=ok commit=before commit=after commit=race*2 load=stall load=race", &e));
	s = store_fail_new(&inner, store_script_hook, script);
	MUST(put(s, "dev:A", "1", STORE_PUT, STORE_ANY, NULL, &e));
	CHECK_INT(put(s, "dev:A", "2", STORE_PUT, STORE_ANY, NULL, &e), -1);
	CHECK_INT(e.code, ERR_STORE);
	CHECK_STR(got(store_fail_inner(s), "dev:A").value, "1");
	CHECK_INT(put(s, "dev:A", "3", STORE_PUT, STORE_ANY, NULL, &e), -1);
	CHECK_INT(e.code, ERR_TIMEOUT);
	CHECK_STR(got(store_fail_inner(s), "dev:A").value, "3"); /* it happened */
	CHECK_INT(put(s, "dev:A", "4", STORE_PUT, STORE_ANY, NULL, &e), -1);
	CHECK_INT(put(s, "dev:A", "4", STORE_PUT, STORE_ANY, NULL, &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	CHECK_INT(store_load(s, jane, NULL, 0, NULL, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_TIMEOUT);
	CHECK(!store_script_done(script));
	CHECK_INT(store_load(s, jane, NULL, 0, &c, NULL, test_arena(), &e), -1);
	CHECK_INT(e.code, ERR_STORE_RACE);
	CHECK(store_script_done(script));
	MUST(put(s, "dev:A", "5", STORE_PUT, STORE_ANY, NULL, &e));
	store_close(&s);
	store_script_free(&script);
	CHECK_INT(store_script_new(&script, "commit=sideways", &e), -1);
	CHECK_INT(store_script_new(&script, "commit=ok*x", &e), -1);
	CHECK_INT(store_script_new(&script, "commit", &e), -1);
}

CASE(store_gen_mixes_epoch_and_counter)
{
	CHECK(store_gen_mix(S("a"), 1) != store_gen_mix(S("b"), 1));
	CHECK(store_gen_mix(S("a"), 1) != store_gen_mix(S("a"), 2));
	CHECK_INT(STORE_GEN_COUNTER(store_gen_mix(S("a"), 77)), 77);
	CHECK_INT(store_gen_mix(S_NONE, 3), 3);
}
