/* test_smtp.c - submission against a scripted server; with ZPUSHD_TEST_SMTP also
 * against a real one. */
#include <stdio.h>
#include <stdlib.h>

#include "backend/backend.h"
#include "base/settings_table.h"
#include "tests/unit/fake.h"
#include "tests/unit/harness.h"

struct sender {
	struct settings *set;
	struct backend *b;
	struct session *s;
	const struct backend_ops *ops;
	struct err e;
};

static void open_sender(struct sender *x, const char *url, const char *auth)
{
	struct be_env env = { .clock = &clock_system, .rnd = &rnd_system };
	struct be_cred c = { .user = S("alice"), .login = S("alice"), .password = S("alice-secret") };

	memset(x, 0, sizeof(*x));
	x->set = settings_new();
	CHECK_INT(settings_set(x->set, S("smtp.url"), slice_str(url), "test", &x->e), 0);
	CHECK_INT(settings_set(x->set, S("smtp.auth"), slice_str(auth), "test", &x->e), 0);
	env.settings = x->set;
	x->ops = backend_by_name(S("smtp"));
	CHECK_INT(x->ops->open(&x->b, &env, &x->e), 0);
	CHECK_INT(x->ops->login(x->b, &c, clock_now(&clock_system) + 3000, &x->s, &x->e), BE_OK);
}

static void close_sender(struct sender *x)
{
	x->ops->logout(&x->s);
	x->ops->close(&x->b);
	settings_unref(&x->set);
}

static enum be_result submit(struct sender *x, const char *from, const struct slice *rcpt, size_t n, struct slice text,
			     struct slice *refused_r)
{
	struct be_submit m = { .from = slice_str(from), .rcpt = rcpt, .n_rcpt = n, .mail = blob_new(0) };
	enum be_result r;

	blob_append(m.mail, text.ptr, text.len, NULL);
	x->e.code = ERR_NONE;
	r = x->ops->submit(x->s, &m, &x->e);
	if (refused_r)
		*refused_r = m.refused;
	blob_free(&m.mail);
	return r;
}

struct run {
	struct fake f;
	struct sender x;
	enum be_result r;
	struct slice refused;
};

static struct run play_auth(const char *const *script, struct slice text, const char *auth)
{
	static const struct slice rcpt[] = { { "b@x.org", 7 }, { "c@x.org", 7 } };
	static struct run t;
	char url[100];

	fake_start(&t.f, script);
	snprintf(url, sizeof(url), "smtp://%s", t.f.address);
	open_sender(&t.x, url, auth);
	t.r = submit(&t.x, "a@x.org", rcpt, 2, text, &t.refused);
	close_sender(&t.x);
	fake_stop(&t.f);
	return t;
}

static const struct slice hello = { "Subject: x\r\n\r\nhi\r\n", 18 };

static struct run play(const char *const *script)
{
	return play_auth(script, hello, "none");
}

#define BEGIN "> 220 fake", "< EHLO", "= 250-fake\r\n250-SIZE 1000\r\n250 8BITMIME\r\n"
#define ENVELOPE "< MAIL FROM:<a@x.org> SIZE=", "> 250 ok", "< RCPT TO:<b@x.org>", "> 250 ok", "< RCPT TO:<c@x.org>", "> 250 ok"

CASE(smtp_sends)
{
	static const char *const script[] = { BEGIN, ENVELOPE, "< DATA", "> 354 go", "<.", "> 250 queued", "< QUIT", NULL };
	struct run t = play(script);

	CHECK_INT(t.r, BE_OK);
	CHECK(!t.f.unexpected);
	CHECK(fake_heard(&t.f, "\nhi\n.\nQUIT"));
}

CASE(smtp_doubles_dots_and_ends_lines)
{
	static const char *const script[] = { BEGIN, ENVELOPE, "< DATA", "> 354 go", "<.", "> 250 ok", NULL };
	struct run t = play_auth(script, S("A: b\r\n\r\n.\r\n..x\n.\nz\r.\ry"), "none");

	CHECK_INT(t.r, BE_OK);
	CHECK(fake_heard(&t.f, "A: b\n\n..\n...x\n..\nz\n..\ny\n.\n"));
}

CASE(smtp_refused_recipient_stops_all)
{
	static const char *const script[] = { BEGIN, "< MAIL", "> 250 ok", "< RCPT", "> 250 ok", "< RCPT",
					      "> 550 5.1.1 no such user", "< QUIT", NULL };
	struct run t = play(script);

	CHECK_INT(t.r, BE_PERM);
	CHECK_INT(t.x.e.code, ERR_FORBIDDEN);
	CHECK_STR(t.refused, "c@x.org");
	CHECK(!fake_heard(&t.f, "DATA"));
}

CASE(smtp_errors_are_sorted)
{
	static const char *const later[] = { BEGIN, "< MAIL", "> 451 4.3.0 later", NULL };
	static const char *const full[] = { BEGIN, "< MAIL", "> 250 ok", "< RCPT", "> 552 5.2.2 mailbox full", NULL };
	static const char *const sender[] = { BEGIN, "< MAIL", "> 553 5.7.1 not yours", NULL };
	static const char *const spam[] = { BEGIN, ENVELOPE, "< DATA", "> 354 go", "<.", "> 554 5.7.1 spam", NULL };
	static const char *const lost[] = { BEGIN, ENVELOPE, "< DATA", "> 354 go", "<.", "? close", NULL };
	static const char *const greeting[] = { "> 421 too many", NULL };
	static const char *const garbage[] = { "> HTTP/1.1 400 Bad Request", NULL };
	static const struct {
		const char *const *script;
		enum be_result r;
		enum err_code code;
	} cases[] = {
		{ later, BE_TEMP, ERR_BACKEND_TEMP },  { full, BE_PERM, ERR_QUOTA },
		{ sender, BE_PERM, ERR_FORBIDDEN },    { spam, BE_PERM, ERR_BACKEND_PERM },
		{ lost, BE_TEMP, ERR_BACKEND_TEMP },   { greeting, BE_TEMP, ERR_BACKEND_TEMP },
		{ garbage, BE_TEMP, ERR_BACKEND_TEMP },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct run t = play(cases[i].script);

		CHECK_INT(t.r, cases[i].r);
		CHECK_INT(t.x.e.code, cases[i].code);
	}
}

CASE(smtp_too_big_is_not_sent)
{
	static const char *const script[] = { BEGIN, "< QUIT", NULL };
	static char big[2000];
	struct run t;

	memset(big, 'x', sizeof(big));
	t = play_auth(script, slice(big, sizeof(big)), "none");
	CHECK_INT(t.r, BE_PERM);
	CHECK_INT(t.x.e.code, ERR_QUOTA);
	CHECK(!t.f.unexpected);
}

CASE(smtp_hang_ends_at_the_deadline)
{
	static const char *const script[] = { BEGIN, "< MAIL", "? hang", NULL };
	int64_t began = clock_now(&clock_system);
	struct run t = play(script);

	CHECK_INT(t.r, BE_TEMP);
	CHECK_INT(t.x.e.code, ERR_TIMEOUT);
	CHECK(clock_now(&clock_system) - began < 8000);
}

CASE(smtp_endless_reply_ends)
{
	static const char *const script[] = { "*3000000 2", NULL };
	struct run t = play(script);

	CHECK_INT(t.r, BE_TEMP);
}

CASE(smtp_auth)
{
	/* base64 of \0alice\0alice-secret */
	static const char *const plain[] = { "> 220 x", "< EHLO", "= 250-x\r\n250 AUTH LOGIN PLAIN\r\n",
					     "< AUTH PLAIN AGFsaWNlAGFsaWNlLXNlY3JldA==", "> 235 ok", "< MAIL FROM:<a@x.org>",
					     "> 250 ok", "<*", "> 250 ok", "<*", "> 250 ok", "< DATA", "> 354 go", "<.",
					     "> 250 ok", NULL };
	static const char *const login[] = { "> 220 x", "< EHLO", "= 250 AUTH LOGIN\r\n", "< AUTH LOGIN", "> 334 VXNlcm5hbWU6",
					     "< YWxpY2U=", "> 334 UGFzc3dvcmQ6", "< YWxpY2Utc2VjcmV0", "> 535 no", NULL };
	struct run t = play_auth(plain, hello, "user");

	CHECK_INT(t.r, BE_OK);
	CHECK(!t.f.unexpected);
	t = play_auth(login, hello, "user");
	CHECK(!t.f.unexpected);
	CHECK_INT(t.r, BE_PERM);
	CHECK_INT(t.x.e.code, ERR_AUTH);
}

CASE(smtp_address_cannot_inject)
{
	static const char *const script[] = { BEGIN, "< QUIT", NULL };
	static const struct slice rcpt[] = { { "b@x.org>\r\nRCPT TO:<d@x.org", 27 } };
	struct sender x;
	struct fake f;
	char url[100];

	fake_start(&f, script);
	snprintf(url, sizeof(url), "smtp://%s", f.address);
	open_sender(&x, url, "none");
	CHECK_INT(submit(&x, "a@x.org", rcpt, 1, hello, NULL), BE_PERM);
	CHECK_INT(x.e.code, ERR_FORBIDDEN);
	close_sender(&x);
	fake_stop(&f);
	CHECK(!fake_heard(&f, "RCPT"));
}

CASE(smtp_real_server)
{
	static const struct slice rcpt[] = { { "alice@example.org", 17 } };
	const char *url = getenv("ZPUSHD_TEST_SMTP");
	struct sender x;

	if (!url)
		test_skip("needs a real server");
	open_sender(&x, url, "user");
	if (submit(&x, "alice@example.org", rcpt, 1, hello, NULL) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", x.e.text);
	close_sender(&x);
}
