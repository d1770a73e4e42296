/* test_push.c - the registry under a clock that moves when the test says so:
 * no wake-up is lost between look and park, none answers a phone by itself. */
#include "harness.h"

#include <stdio.h>

#include "loop/push.h"

static int64_t time_ms;
static int64_t fake_now(void *self)
{
	return time_ms;
}
static void fake_fill(void *self, void *p, size_t n)
{
	memset(p, 0, n);
}
static const struct clock fake_clock = { fake_now, fake_now, NULL };
static const struct rnd fake_rnd = { fake_fill, NULL };

static struct {
	int checks, answers, watches, unwatches;
	uint64_t checked, answered;
	uint32_t ticket;
	int status;
	char body[64];
	char device[64];
} seen;

static void on_check(void *self, uint64_t conn, uint32_t ticket, const struct park *p, struct slice device, struct slice user)
{
	seen.checks++;
	seen.checked = conn;
	seen.ticket = ticket;
	snprintf(seen.device, sizeof(seen.device), "%.*s", SARG(device));
}
static void on_answer(void *self, uint64_t conn, int status, struct slice body)
{
	seen.answers++;
	seen.answered = conn;
	seen.status = status;
	snprintf(seen.body, sizeof(seen.body), "%.*s", SARG(body));
}
static void on_watch(void *self, struct push_user *u, const struct park *p)
{
	seen.watches++;
	push_user_set_watch(u, &seen);
}
static void on_unwatch(void *self, struct push_user *u)
{
	seen.unwatches++;
	push_user_set_watch(u, NULL);
}

static struct push *fresh(void)
{
	static const struct push_acts acts = { NULL, on_check, on_answer, on_watch, on_unwatch };
	static const struct push_options o = { .min_interval_ms = 3000, .linger_ms = 120000, .retry_ms = 10000,
					       .rearm_rate = 10, .jitter_percent = 0 };
	struct push *p;

	memset(&seen, 0, sizeof(seen));
	time_ms = 1000000;
	push_new(&p, &o, &acts, &fake_clock, &fake_rnd);
	return p;
}

static const struct slice topics[] = { { "INBOX", 5 }, { "Lists/dev", 9 } };

static void park_as(struct push *p, uint64_t conn, const char *device, enum park_kind kind)
{
	struct park k = { .kind = kind, .user = S("ada"), .device_id = slice_str(device), .version = 141,
			  .until_ms = time_ms + 600000, .folders = topics, .n_folders = 2 };
	struct verdict v = { .kind = VERDICT_PARK, .park = &k, .expire_body = S("expired") };

	push_after(p, conn, S("ada"), k.device_id, &v);
	push_park(p, conn, &v);
}

static bool checked(struct push *p, uint64_t conn, int status)
{
	struct park k = { .user = S("ada") };
	struct verdict v = { .kind = status ? VERDICT_REPLY : VERDICT_PARK, .http_status = status, .park = &k };

	return push_checked(p, conn, seen.ticket, &v);
}

static void run_for(struct push *p, int64_t ms)
{
	for (int64_t end = time_ms + ms; time_ms < end; time_ms += 100)
		push_advance(p);
}

CASE(push_wake_before_the_park_checks_again)
{
	struct push *p = fresh();

	push_before(p, 1, S("ada"));
	CHECK(push_wake(p, S("ada"), S("INBOX"), WAKE_EVENT));
	CHECK_INT(seen.checks, 0);
	park_as(p, 1, "D1", PARK_PING);
	CHECK_INT(seen.checks, 1);
	/* and a wake during that check leads to one more */
	push_wake(p, S("ada"), S("INBOX"), WAKE_EVENT);
	CHECK_INT(seen.checks, 1);
	CHECK(checked(p, 1, 0));
	CHECK_INT(seen.checks, 2);
	CHECK(checked(p, 1, 0));
	CHECK_INT(seen.answers, 0);
	push_wake(p, S("ada"), S("INBOX"), WAKE_EVENT);
	CHECK_INT(seen.checks, 3);
	CHECK(!checked(p, 1, 200));
	CHECK_INT(push_waiting(p), 0);
	CHECK_STR(slice_str(seen.device), "D1");
	push_free(&p);
}

CASE(push_other_folder_other_user_wake_nobody)
{
	struct push *p = fresh();

	push_before(p, 1, S("ada"));
	park_as(p, 1, "D1", PARK_PING);
	push_wake(p, S("ada"), S("Spam"), WAKE_EVENT);
	CHECK(!push_wake(p, S("bob"), S("INBOX"), WAKE_EVENT));
	CHECK_INT(seen.checks, 0);
	push_wake(p, S("ada"), S("Lists/dev"), WAKE_EVENT);
	CHECK_INT(seen.checks, 1);
	push_free(&p);
}

CASE(push_expires_in_time_and_lingers)
{
	struct push *p = fresh();

	push_before(p, 1, S("ada"));
	park_as(p, 1, "D1", PARK_PING);
	CHECK_INT(seen.watches, 1);
	run_for(p, 599900);
	CHECK_INT(seen.answers, 0);
	run_for(p, 400);
	CHECK_INT(seen.answers, 1);
	CHECK_INT(seen.status, 200);
	CHECK_STR(slice_str(seen.body), "expired");
	CHECK_INT(seen.unwatches, 0);
	run_for(p, 121000);
	CHECK_INT(seen.unwatches, 1);
	CHECK(!push_find_user(p, S("ada")));
	push_free(&p);
}

CASE(push_newer_ping_ends_the_older_only)
{
	struct push *p = fresh();
	struct verdict newer = { .kind = VERDICT_REPLY, .http_status = 200, .ends_older = true, .older_body = S("three") };

	for (uint64_t c = 1; c <= 3; c++) {
		push_before(p, c, S("ada"));
		park_as(p, c, c == 2 ? "D2" : "D1", c == 3 ? PARK_SYNC : PARK_PING);
	}
	push_before(p, 4, S("ada"));
	push_after(p, 4, S("ada"), S("D1"), &newer);
	CHECK_INT(seen.answers, 1);
	CHECK_INT(seen.answered, 1);
	CHECK_STR(slice_str(seen.body), "three");
	CHECK_INT(push_waiting(p), 2); /* D2's Ping and D1's Sync; 4 was answered */
	push_free(&p);
}

CASE(push_spaces_the_second_answer_not_the_first)
{
	struct push *p = fresh();

	push_before(p, 1, S("ada"));
	park_as(p, 1, "D1", PARK_PING);
	push_wake(p, S("ada"), S("INBOX"), WAKE_EVENT);
	CHECK_INT(seen.checks, 1);
	CHECK(!checked(p, 1, 200));
	push_before(p, 2, S("ada"));
	park_as(p, 2, "D1", PARK_PING);
	push_wake(p, S("ada"), S("INBOX"), WAKE_EVENT);
	CHECK_INT(seen.checks, 1);
	run_for(p, 3300);
	CHECK_INT(seen.checks, 2);
	CHECK_INT(seen.checked, 2);
	push_free(&p);
}

CASE(push_a_failing_check_is_tried_again_unseen)
{
	struct push *p = fresh();

	push_before(p, 1, S("ada"));
	park_as(p, 1, "D1", PARK_PING);
	push_wake(p, S("ada"), S(""), WAKE_EVENT);
	CHECK(checked(p, 1, 503));
	CHECK_INT(push_waiting(p), 1);
	run_for(p, 1100);
	CHECK_INT(seen.checks, 2);
	CHECK_INT(seen.answers, 0);
	/* the pauses grow; an event is not kept waiting by them */
	for (int i = 0; i < 5; i++) {
		CHECK(checked(p, 1, 503));
		run_for(p, 16000);
	}
	CHECK_INT(seen.checks, 7);
	CHECK(checked(p, 1, 503));
	push_wake(p, S("ada"), S("INBOX"), WAKE_EVENT);
	CHECK_INT(seen.checks, 8);
	CHECK(!checked(p, 1, 200));
	push_free(&p);
}

CASE(push_a_verdict_of_an_older_wait_is_not_the_newers)
{
	struct push *p = fresh();
	struct park k = { .user = S("ada") };
	struct verdict old = { .kind = VERDICT_REPLY, .http_status = 200, .park = &k };
	uint32_t ticket;

	push_before(p, 1, S("ada"));
	park_as(p, 1, "D1", PARK_PING);
	push_wake(p, S("ada"), S("INBOX"), WAKE_EVENT);
	ticket = seen.ticket;
	/* answered by a newer Ping; the same connection waits and looks again */
	push_drop(p, 1);
	push_before(p, 1, S("ada"));
	park_as(p, 1, "D1", PARK_PING);
	push_wake(p, S("ada"), S("INBOX"), WAKE_EVENT);
	CHECK_INT(seen.checks, 2);
	CHECK(push_checked(p, 1, ticket, &old));
	CHECK_INT(push_waiting(p), 1);
	CHECK(!checked(p, 1, 200));
	push_free(&p);
}

CASE(push_a_look_that_hangs_holds_no_phone)
{
	struct push *p = fresh();

	push_before(p, 1, S("ada"));
	park_as(p, 1, "D1", PARK_PING);
	push_wake(p, S("ada"), S("INBOX"), WAKE_EVENT);
	run_for(p, 602900);
	CHECK_INT(seen.answers, 0);
	run_for(p, 300);
	CHECK_INT(seen.answers, 1);
	CHECK_STR(slice_str(seen.body), "expired");
	CHECK(checked(p, 1, 200)); /* too late: nobody is there */
	push_free(&p);
}

CASE(push_drain_reaches_waiters_in_every_state)
{
	struct push *p = fresh();

	for (uint64_t c = 1; c <= 40; c++) {
		char id[16];

		snprintf(id, sizeof(id), "D%llu", (unsigned long long)c);
		push_before(p, c, S("ada"));
		park_as(p, c, id, PARK_PING);
	}
	push_wake_all(p, WAKE_ARMED); /* queued: rate 10 */
	run_for(p, 500);
	CHECK(seen.checks > 0 && seen.checks < 10); /* and some are being checked */
	push_drain(p, 1000);
	run_for(p, 4400);
	CHECK_INT(push_waiting(p), 0);
	CHECK_INT(seen.answers, 40);
	push_free(&p);
}

CASE(push_names_of_strangers_are_not_kept)
{
	struct push *p = fresh();
	struct verdict no = { .kind = VERDICT_REPLY, .http_status = 401 };
	size_t before = push_bytes(p);

	for (uint64_t c = 1; c <= 50; c++) {
		char name[16];

		snprintf(name, sizeof(name), "u%llu", (unsigned long long)c);
		push_before(p, c, slice_str(name));
		CHECK(push_find_user(p, slice_str(name)));
		push_after(p, c, slice_str(name), S("D"), &no);
	}
	run_for(p, 300);
	CHECK(!push_find_user(p, S("u7")));
	CHECK_INT(push_bytes(p), before);
	push_free(&p);
}

CASE(push_taken_concerns_older_waiters_of_that_device)
{
	struct push *p = fresh();

	push_before(p, 1, S("ada"));
	park_as(p, 1, "D1", PARK_PING); /* epoch 0 */
	push_before(p, 2, S("ada"));
	park_as(p, 2, "D2", PARK_PING);
	push_taken(p, S("ada"), S("D1"), 0);
	push_taken(p, S("bob"), S("D1"), 9);
	CHECK_INT(seen.checks, 0);
	push_taken(p, S("ada"), S("D1"), 1);
	CHECK_INT(seen.checks, 1);
	CHECK_INT(seen.checked, 1);
	/* taken between the look and the park */
	push_before(p, 3, S("ada"));
	push_taken(p, S("ada"), S("D3"), 5);
	park_as(p, 3, "D3", PARK_PING);
	CHECK_INT(seen.checks, 2);
	CHECK_INT(seen.checked, 3);
	/* its own taking is no news */
	push_before(p, 4, S("ada"));
	push_taken(p, S("ada"), S("D4"), 0);
	park_as(p, 4, "D4", PARK_PING);
	CHECK_INT(seen.checks, 3); /* D3 was forgotten for D4: it looks to be sure */
	push_free(&p);
}

CASE(push_hurries_also_those_not_parked_yet)
{
	struct push *p = fresh();

	push_before(p, 1, S("ada"));
	push_hurry_user(p, push_find_user(p, S("ada")));
	park_as(p, 1, "D1", PARK_PING);
	run_for(p, 300);
	CHECK_INT(seen.answers, 1);
	push_free(&p);
}

CASE(push_says_when_it_is_due)
{
	struct push *p = fresh();

	CHECK(push_due_ms(p) == INT64_MAX);
	push_before(p, 1, S("ada"));
	CHECK(push_due_ms(p) == INT64_MAX);
	park_as(p, 1, "D1", PARK_PING);
	/* not later than the end of the wait, and not all the time either */
	CHECK(push_due_ms(p) <= time_ms + 600000);
	for (int turns = 0; push_waiting(p); turns++) {
		CHECK(turns < 8);
		CHECK(push_due_ms(p) > time_ms);
		time_ms = push_due_ms(p);
		push_advance(p);
	}
	CHECK(time_ms >= 1600000 && time_ms <= 1600100);
	push_free(&p);
}

CASE(push_refused_login_ends_the_users_waits)
{
	struct push *p = fresh();
	struct verdict v = { .kind = VERDICT_REPLY, .http_status = 401, .drop_user = true };

	push_before(p, 1, S("ada"));
	park_as(p, 1, "D1", PARK_PING);
	push_before(p, 2, S("ada"));
	push_after(p, 2, S("ada"), S("D2"), &v);
	CHECK_INT(seen.status, 401);
	CHECK_INT(push_waiting(p), 0);
	CHECK_INT(seen.unwatches, 1);
	push_free(&p);
}

CASE(push_mass_event_is_paced)
{
	struct push *p = fresh();

	for (uint64_t c = 1; c <= 50; c++) {
		char id[16];

		snprintf(id, sizeof(id), "D%llu", (unsigned long long)c);
		push_before(p, c, S("ada"));
		park_as(p, c, id, PARK_PING);
	}
	run_for(p, 1000);
	push_wake_all(p, WAKE_ARMED);
	CHECK_INT(seen.checks, 0);
	run_for(p, 1000);
	CHECK(seen.checks >= 10 && seen.checks <= 22);
	run_for(p, 5000);
	CHECK_INT(seen.checks, 50);
	push_free(&p);
}

CASE(push_a_parked_ping_is_small)
{
	struct push *p = fresh();
	size_t before = push_bytes(p);

	for (uint64_t c = 1; c <= 1000; c++) {
		push_before(p, c, S("ada"));
		park_as(p, c, "ApplDMQ12345678901234567890", PARK_PING);
	}
	CHECK((push_bytes(p) - before) / 1000 < 256);
	push_free(&p);
}

CASE(push_drop_and_hurry)
{
	struct push *p = fresh();

	push_before(p, 1, S("ada"));
	park_as(p, 1, "D1", PARK_PING);
	push_drop(p, 1);
	push_drop(p, 1);
	CHECK_INT(push_waiting(p), 0);
	push_before(p, 2, S("ada"));
	park_as(p, 2, "D1", PARK_PING);
	push_hurry(p, 2);
	CHECK_INT(seen.answers, 0);
	run_for(p, 300);
	CHECK_INT(seen.answered, 2);
	push_free(&p);
}

CASE(push_fifty_thousand_users_cost_little)
{
	enum { N = 50000 };
	struct push *p = fresh();
	int64_t t[5];
	char name[16];

	t[0] = clock_now(&clock_system);
	for (uint64_t c = 1; c <= N; c++) {
		struct park k = { .kind = PARK_PING, .device_id = S("ApplDMQ12345678901234567890"), .version = 141,
				  .until_ms = time_ms + 600000 + (int64_t)c, .folders = topics, .n_folders = 2 };
		struct verdict v = { .kind = VERDICT_PARK, .park = &k, .expire_body = S("expired") };

		snprintf(name, sizeof(name), "u%llu", (unsigned long long)c);
		k.user = slice_str(name);
		push_before(p, c, k.user);
		push_park(p, c, &v);
	}
	t[1] = clock_now(&clock_system);
	push_wake_all(p, WAKE_ARMED);
	run_for(p, 60000);
	t[2] = clock_now(&clock_system);
	CHECK(seen.checks >= 590 && seen.checks <= 610); /* the rate of fresh() is 10 */
	push_drain(p, 20000);
	run_for(p, 24000);
	t[3] = clock_now(&clock_system);
	CHECK_INT(push_waiting(p), 0);
	push_free(&p);
	t[4] = clock_now(&clock_system);
	printf("# 50,000 users: park %lld ms, a minute of ticks %lld ms, drain %lld ms, free %lld ms\n", (long long)(t[1] - t[0]),
	       (long long)(t[2] - t[1]), (long long)(t[3] - t[2]), (long long)(t[4] - t[3]));
	CHECK(t[4] - t[0] < 20000);
}
