/* test_auth.c - names, remembered verdicts, throttle, the secret; the policies
 * of the settings; the crash ring over a process that dies. Own clock. */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/settings_table.h"
#include "work/auth.h"
#include "work/crash.h"
#include "work/policy.h"

static int64_t now = 1000000;

static int64_t now_fn(void *self)
{
	return now;
}

static const struct clock clk = { now_fn, now_fn, NULL };

static char dir[] = "/tmp/zpushd-auth-XXXXXX";

static void must_set(struct settings *s, const char *key, const char *value)
{
	struct err e;

	if (settings_set(s, slice_str(key), slice_str(value), "test", &e) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", key, e.text);
}

static struct settings *config(void)
{
	struct settings *s = settings_new();

	strcpy(dir, "/tmp/zpushd-auth-XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	must_set(s, "server.data_dir", dir);
	return s;
}

static void cleanup(struct settings **s)
{
	const char *const name[] = { "auth.secret", "crash.ring" };

	for (size_t i = 0; i < 2; i++)
		unlink(arena_printf(test_arena(), "%s/%s", dir, name[i]).ptr);
	rmdir(dir);
	settings_unref(s);
}

static struct auth *make(struct settings *s)
{
	struct auth *a;
	struct err e;

	if (auth_new(&a, s, &clk, &rnd_system, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return a;
}

/* --- names ---------------------------------------------------------------------------------- */

CASE(auth_canonical_names)
{
	static const struct {
		const char *rule, *lowercase, *login, *user, *pass_on; /* user NULL: refused */
	} row[] = {
		{ "auto", "true", "alice", "alice", "alice" },
		{ "auto", "true", "Alice", "alice", "Alice" },
		{ "auto", "true", "CORP\\Alice", "alice", "Alice" },
		{ "auto", "true", "alice@Example.org", "alice@example.org", "alice@Example.org" },
		{ "auto", "false", "Alice", "Alice", "Alice" },
		{ "auto", "true", " alice ", "alice", "alice" },
		{ "auto", "true", "", NULL, NULL },
		{ "auto", "true", "CORP\\", NULL, NULL },
		{ "auto", "true", "a\001b", NULL, NULL },
		{ "strip", "true", "alice@example.org", "alice", "alice" },
		{ "strip", "true", "CORP\\alice", "alice", "alice" },
		{ "strip", "true", "@example.org", NULL, NULL },
		{ "keep", "true", "CORP\\Alice", "corp\\alice", "CORP\\Alice" },
		{ "required", "true", "alice", NULL, NULL },
		{ "required", "true", "alice@example.org", "alice@example.org", "alice@example.org" },
		{ "required", "true", "example.org\\alice", "alice@example.org", "alice@example.org" },
		{ "auto", "true", "J\xc3\xb6rg", "j\xc3\xb6rg", "J\xc3\xb6rg" },
	};
	struct settings *s = settings_new();

	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct slice user, login;
		bool ok;

		must_set(s, "auth.domain", row[i].rule);
		must_set(s, "auth.lowercase", row[i].lowercase);
		ok = auth_canonical(test_arena(), s, slice_str(row[i].login), &user, &login);
		if (ok != (row[i].user != NULL))
			test_fail(__FILE__, __LINE__, "%s \"%s\": %d", row[i].rule, row[i].login, ok);
		if (!ok)
			continue;
		CHECK_STR(user, row[i].user);
		CHECK_STR(login, row[i].pass_on);
	}
	settings_unref(&s);
}

/* --- verdicts ---------------------------------------------------------------------------------- */

static struct auth_ask ask(const char *user, const char *password, const char *device)
{
	return (struct auth_ask){ slice_str(user), slice_str(password), slice_str(device), S("192.0.2.1") };
}

static enum auth_verdict recall(struct auth *a, struct auth_ask q)
{
	int64_t retry;

	return auth_recall(a, &q, &retry);
}

static void learn(struct auth *a, struct auth_ask q, bool right)
{
	auth_learn(a, &q, right);
}

CASE(auth_remembers_what_was_right)
{
	struct settings *s = config();
	struct auth *a = make(s);

	CHECK_INT(recall(a, ask("alice", "secret", "d1")), AUTH_ASK_BACKEND);
	learn(a, ask("alice", "secret", "d1"), true);
	CHECK_INT(recall(a, ask("alice", "secret", "d1")), AUTH_KNOWN);
	CHECK_INT(recall(a, ask("alice", "secret", "d2")), AUTH_KNOWN);
	CHECK_INT(recall(a, ask("alice", "Secret", "d1")), AUTH_ASK_BACKEND);
	CHECK_INT(recall(a, ask("bob", "secret", "d1")), AUTH_ASK_BACKEND);
	CHECK_INT(recall(a, ask("alic", "esecret", "d1")), AUTH_ASK_BACKEND);
	auth_free(&a);
	cleanup(&s);
}

CASE(auth_memory_slides_and_ends)
{
	struct settings *s = config();
	struct auth *a = make(s);
	int64_t start = now;

	learn(a, ask("alice", "secret", "d"), true);
	for (int i = 0; i < 8; i++) { /* used every 80 minutes: past 90 from the start */
		now += 80 * 60 * 1000;
		CHECK_INT(recall(a, ask("alice", "secret", "d")), AUTH_KNOWN);
	}
	now = start + 12 * 3600 * 1000; /* auth.cache_max ends it all the same */
	CHECK_INT(recall(a, ask("alice", "secret", "d")), AUTH_ASK_BACKEND);
	learn(a, ask("alice", "secret", "d"), true);
	now += 90 * 60 * 1000;
	CHECK_INT(recall(a, ask("alice", "secret", "d")), AUTH_ASK_BACKEND);
	must_set(s, "auth.cache", "0s");
	auth_configure(a, s);
	learn(a, ask("alice", "secret", "d"), true);
	CHECK_INT(recall(a, ask("alice", "secret", "d")), AUTH_ASK_BACKEND);
	auth_free(&a);
	cleanup(&s);
}

CASE(auth_forget_asks_again)
{
	struct settings *s = config();
	struct auth *a = make(s);

	learn(a, ask("alice", "one", "d1"), true);
	learn(a, ask("alice", "two", "d2"), true); /* an app password of another device */
	learn(a, ask("bob", "b", "d"), true);
	CHECK_INT(recall(a, ask("alice", "one", "d1")), AUTH_KNOWN);
	auth_forget(a, S("alice"));
	auth_forget(a, S("nobody"));
	CHECK_INT(recall(a, ask("alice", "one", "d1")), AUTH_ASK_BACKEND);
	CHECK_INT(recall(a, ask("alice", "two", "d2")), AUTH_ASK_BACKEND);
	CHECK_INT(recall(a, ask("bob", "b", "d")), AUTH_KNOWN);
	auth_free(&a);
	cleanup(&s);
}

CASE(auth_a_refused_password_is_no_longer_known)
{
	struct settings *s = config();
	struct auth *a = make(s);

	learn(a, ask("alice", "old", "d1"), true);
	learn(a, ask("alice", "app", "d2"), true);
	learn(a, ask("alice", "old", "d1"), false); /* the backend said no in the middle */
	CHECK_INT(recall(a, ask("alice", "old", "d1")), AUTH_ASK_BACKEND);
	CHECK_INT(recall(a, ask("alice", "app", "d2")), AUTH_KNOWN);
	auth_free(&a);
	cleanup(&s);
}

CASE(auth_throttles_user_and_device)
{
	struct settings *s = config();
	struct auth *a = make(s);
	int64_t retry;
	struct auth_ask q = ask("alice", "wrong", "d1");

	learn(a, ask("alice", "right", "d0"), true);
	for (int i = 0; i < 10; i++) {
		CHECK_INT(recall(a, q), AUTH_ASK_BACKEND);
		learn(a, q, false);
	}
	CHECK_INT(auth_recall(a, &q, &retry), AUTH_THROTTLED);
	CHECK(retry > 0 && retry <= 5 * 60 * 1000);
	CHECK_INT(recall(a, ask("alice", "wrong", "d2")), AUTH_ASK_BACKEND); /* another device */
	CHECK_INT(recall(a, ask("bob", "wrong", "d1")), AUTH_ASK_BACKEND);
	CHECK_INT(recall(a, ask("alice", "right", "d1")), AUTH_KNOWN); /* who knows it passes */
	now += 5 * 60 * 1000;
	CHECK_INT(recall(a, q), AUTH_ASK_BACKEND);
	auth_free(&a);
	cleanup(&s);
}

/* Device ids are invented: a user has a limit of its own, an address a far higher one. */
CASE(auth_throttles_invented_devices_and_sprayed_users)
{
	struct settings *s = config();
	struct auth *a = make(s);
	char name[32];
	int i;

	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "dev%d", i);
		if (recall(a, ask("alice", "wrong", name)) == AUTH_THROTTLED)
			break;
		learn(a, ask("alice", "wrong", name), false);
	}
	CHECK_INT(i, 100);
	for (i = 100; i < 2000; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		if (recall(a, ask(name, "wrong", "d")) == AUTH_THROTTLED)
			break;
		learn(a, ask(name, "wrong", "d"), false);
	}
	CHECK_INT(i, 500);
	auth_free(&a);
	cleanup(&s);
}

CASE(auth_a_success_clears_the_devices_count)
{
	struct settings *s = config();
	struct auth *a = make(s);

	for (int i = 0; i < 9; i++)
		learn(a, ask("alice", "wrong", "d1"), false);
	learn(a, ask("alice", "right", "d1"), true);
	for (int i = 0; i < 9; i++)
		learn(a, ask("alice", "wrong", "d1"), false);
	CHECK_INT(recall(a, ask("alice", "wrong", "d1")), AUTH_ASK_BACKEND);
	auth_free(&a);
	cleanup(&s);
}

CASE(auth_many_passwords_push_out_the_oldest)
{
	struct settings *s = config();
	struct auth *a = make(s);
	char pw[16];

	for (int i = 0; i < 9; i++) {
		snprintf(pw, sizeof(pw), "pw%d", i);
		now++;
		learn(a, ask("alice", pw, "d"), true);
	}
	CHECK_INT(recall(a, ask("alice", "pw0", "d")), AUTH_ASK_BACKEND);
	CHECK_INT(recall(a, ask("alice", "pw1", "d")), AUTH_KNOWN);
	CHECK_INT(recall(a, ask("alice", "pw8", "d")), AUTH_KNOWN);
	auth_free(&a);
	cleanup(&s);
}

CASE(auth_secret_is_made_once_and_private)
{
	struct settings *s = config();
	struct auth *a = make(s), *b = make(s);
	struct slice path = arena_printf(test_arena(), "%s/auth.secret", dir);
	struct stat st;
	struct err e;

	CHECK_SLICE(auth_secret(a), auth_secret(b));
	CHECK_INT(auth_secret(a).len, 32);
	CHECK(stat(path.ptr, &st) == 0 && (st.st_mode & 0777) == 0600);
	auth_free(&a);
	auth_free(&b);
	CHECK(truncate(path.ptr, 3) == 0);
	CHECK_INT(auth_new(&a, s, &clk, &rnd_system, &e), -1);
	CHECK_INT(e.code, ERR_CONFIG);
	cleanup(&s);
}

/* --- policies -------------------------------------------------------------------------------------- */

CASE(policy_from_settings_with_overrides)
{
	struct settings *s = settings_new();
	struct policies *p;
	struct policy *doc;
	uint64_t everyone, bob, none, again;
	struct err e;

	CHECK_INT(policies_new(&p, s, &e), 0);
	doc = policies_for(p, test_arena(), S("alice"), &none);
	CHECK(doc->device_password_enabled.has && doc->device_password_enabled.v == 0);
	CHECK(!doc->allow_camera.has && !doc->min_device_password_length.has);
	CHECK(!policies_configured(p, S("alice")));
	CHECK_INT(policies_mode(p, S("alice")), POLICY_LOOSE);
	policies_free(&p);
	must_set(s, "policy.DevicePasswordEnabled", "true");
	must_set(s, "policy.MinDevicePasswordLength", "4");
	must_set(s, "policy.require", "strict");
	CHECK_INT(settings_set_user(s, S("bob"), S("MinDevicePasswordLength"), S("8"), "test", &e), 0);
	CHECK_INT(policies_new(&p, s, &e), 0);
	doc = policies_for(p, test_arena(), S("alice"), &everyone);
	CHECK_INT(doc->device_password_enabled.v, 1);
	CHECK_INT(doc->min_device_password_length.v, 4);
	doc = policies_for(p, test_arena(), S("bob"), &bob);
	CHECK_INT(doc->min_device_password_length.v, 8);
	CHECK_INT(doc->device_password_enabled.v, 1);
	policies_for(p, test_arena(), S("bob"), &again);
	CHECK(none != everyone && everyone != bob && bob == again && bob != 0);
	CHECK(policies_configured(p, S("alice")));
	CHECK_INT(policies_mode(p, S("alice")), POLICY_STRICT);
	policies_free(&p);
	settings_unref(&s);
}

CASE(policy_lists)
{
	struct settings *s = settings_new();
	struct policies *p;
	struct policy *doc;
	uint64_t hash;
	struct err e;

	must_set(s, "policy.UnapprovedInROMApplicationList", "games.exe,chat.exe");
	CHECK_INT(policies_new(&p, s, &e), 0);
	doc = policies_for(p, test_arena(), S("alice"), &hash);
	CHECK(doc->has_unapproved.has && !doc->has_approved.has);
	CHECK_INT(doc->unapproved_applications.n, 2);
	CHECK_STR(doc->unapproved_applications.v[1], "chat.exe");
	policies_free(&p);
	settings_unref(&s);
}

/* --- crash ring ----------------------------------------------------------------------------------------- */

/* A child that dies with an item in hand. signo 0: it ends in order. */
static void child(int signo, bool item)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct crash_ring *r;
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 2);
		if (crash_open(&r, slice_str(dir), &clk, NULL) < 0)
			_exit(3);
		crash_arm(r);
		crash_begin(r, S("alice"), S("dev"), "Sync", 17);
		if (item)
			crash_item(r, S("INBOX"), 42);
		crash_claim(r, S("its owner"));
		if (signo)
			raise(signo);
		crash_end(r);
		crash_close(&r);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	CHECK_INT(signo ? WTERMSIG(status) : WEXITSTATUS(status), signo);
}

static bool poisoned_now(uint64_t num)
{
	struct crash_ring *r;
	struct err e;
	bool yes;

	log_open("/dev/null", LOG_INFO, LOG_LOGFMT, NULL);
	CHECK_INT(crash_open(&r, slice_str(dir), &clk, &e), 0);
	yes = crash_is_poisoned(r, S("alice"), S("dev"), S("INBOX"), num);
	CHECK(!crash_is_poisoned(r, S("bob"), S("dev"), S("INBOX"), num));
	crash_close(&r);
	log_open("-", LOG_INFO, LOG_LOGFMT, NULL);
	return yes;
}

CASE(crash_ring_names_the_item_that_killed)
{
	struct settings *s = config();

	child(0, true);
	CHECK(!poisoned_now(42));
	child(SIGKILL, true); /* not its fault */
	CHECK(!poisoned_now(42));
	child(SIGABRT, false); /* nothing in hand */
	CHECK(!poisoned_now(42));
	child(SIGSEGV, true);
	CHECK(poisoned_now(42));
	CHECK(!poisoned_now(43));
	CHECK(poisoned_now(42)); /* and stays over further starts */
	child(SIGABRT, true);
	CHECK(poisoned_now(42));
	cleanup(&s);
}

static void on_left(void *arg, struct slice user, struct slice device, struct slice owner)
{
	CHECK_STR(user, "alice");
	CHECK_STR(device, "dev");
	CHECK_STR(owner, "its owner");
	++*(int *)arg;
}

CASE(crash_ring_tells_the_claims_of_the_dead)
{
	struct settings *s = config();
	struct crash_ring *r;
	struct err e;
	int n;

	child(0, true);
	for (int i = 0; i < 3; i++) {
		log_open("/dev/null", LOG_INFO, LOG_LOGFMT, NULL);
		CHECK_INT(crash_open(&r, slice_str(dir), &clk, &e), 0);
		n = 0;
		crash_left(r, on_left, &n);
		CHECK_INT(n, i == 1); /* once, and not of one that ended in order */
		crash_close(&r);
		log_open("-", LOG_INFO, LOG_LOGFMT, NULL);
		if (i == 0)
			child(SIGKILL, false);
	}
	cleanup(&s);
}

CASE(crash_ring_absent_is_fine)
{
	crash_begin(NULL, S("u"), S("d"), "Sync", 1);
	crash_item(NULL, S("f"), 1);
	crash_end(NULL);
	CHECK(!crash_is_poisoned(NULL, S("u"), S("d"), S("f"), 1));
}
