/* test_imap.c - the IMAP backend against scripted servers: odd, hostile, hanging.
 * Tags of the client are 1, 2, 3 ... so that scripts can answer them. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/settings_table.h"
#include "base/stream.h"
#include "proto/mime.h"
#include "tests/unit/fake.h"
#include "tests/unit/harness.h"

struct box {
	struct fake f;
	struct settings *set;
	struct backend *b;
	struct session *s;
	const struct backend_ops *ops;
	struct err e;
	enum be_result r; /* of login */
};

static int64_t in_ms(int ms)
{
	return clock_now(&clock_system) + ms;
}

static void start(struct box *x, const char *const *script, const char *key, const char *value)
{
	struct be_env env = { .clock = &clock_system, .rnd = &rnd_system };
	struct be_cred c = { .user = S("alice"), .login = S("alice@x.org"), .password = S("pass") };
	char url[100];

	memset(x, 0, sizeof(*x));
	fake_start(&x->f, script);
	snprintf(url, sizeof(url), "imap://%s", x->f.address);
	x->set = settings_new();
	CHECK_INT(settings_set(x->set, S("imap.url"), slice_str(url), "test", &x->e), 0);
	if (key)
		CHECK_INT(settings_set(x->set, slice_str(key), slice_str(value), "test", &x->e), 0);
	env.settings = x->set;
	x->ops = backend_by_name(S("imap"));
	CHECK_INT(x->ops->open(&x->b, &env, &x->e), 0);
	x->r = x->ops->login(x->b, &c, in_ms(2500), &x->s, &x->e);
}

static void finish(struct box *x)
{
	if (x->s)
		x->ops->logout(&x->s);
	x->ops->close(&x->b);
	settings_unref(&x->set);
	fake_stop(&x->f);
}

/* Greeting with capabilities, LOGIN as 1 (no AUTH= is offered). */
#define LOGIN(caps) "> * OK [CAPABILITY IMAP4rev1 " caps "] hi", "< 1 LOGIN \"alice@x.org\" \"pass\"", \
		    "> 1 OK [CAPABILITY IMAP4rev1 " caps "] in"
#define SELECTED(tag) "= * FLAGS (\\Seen)\r\n* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 30] x\r\n" tag " OK done\r\n"

static void check_login(const char *const *script, enum be_result r, enum err_code code)
{
	struct box x;

	start(&x, script, NULL, NULL);
	CHECK_INT(x.r, r);
	if (r != BE_OK)
		CHECK_INT(x.e.code, code);
	finish(&x);
}

CASE(imap_login_answers)
{
	static const char *const ok[] = { LOGIN(""), NULL };
	static const char *const no_code[] = { "> * OK [CAPABILITY IMAP4rev1] hi", "<*", "> 1 NO nope", NULL };
	static const char *const wrong[] = { "> * OK [CAPABILITY IMAP4rev1] hi", "<*", "> 1 NO [AUTHENTICATIONFAILED] x", NULL };
	static const char *const busy[] = { "> * OK [CAPABILITY IMAP4rev1] hi", "<*", "> 1 NO [UNAVAILABLE] x", NULL };
	static const char *const disabled[] = { "> * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi", NULL };
	static const char *const bye[] = { "> * BYE full", NULL };
	static const char *const preauth[] = { "> * PREAUTH hi", NULL };
	static const char *const http[] = { "> HTTP/1.1 400 Bad", NULL };
	static const char *const gone[] = { "? close", NULL };
	static const char *const late[] = { "> * OK [CAPABILITY IMAP4rev1] hi", "<*", "> * BYE bye", NULL };
	static const char *const endless[] = { "= * OK ", "*3000000 x", NULL };

	check_login(ok, BE_OK, ERR_NONE);
	check_login(no_code, BE_PERM, ERR_AUTH);
	check_login(wrong, BE_PERM, ERR_AUTH);
	check_login(busy, BE_TEMP, ERR_BACKEND_TEMP);
	check_login(disabled, BE_PERM, ERR_BACKEND_PERM);
	check_login(bye, BE_TEMP, ERR_BACKEND_TEMP);
	check_login(preauth, BE_TEMP, ERR_BACKEND_TEMP);
	check_login(http, BE_TEMP, ERR_BACKEND_TEMP);
	check_login(gone, BE_TEMP, ERR_BACKEND_TEMP);
	check_login(late, BE_TEMP, ERR_BACKEND_TEMP);
	check_login(endless, BE_TEMP, ERR_BACKEND_TEMP);
}

CASE(imap_login_hang_and_drip_end_at_the_deadline)
{
	static const char *const hang[] = { "? hang", NULL };
	static const char *const drip[] = { "~40 * OK aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
					    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL };

	check_login(hang, BE_TEMP, ERR_TIMEOUT);
	check_login(drip, BE_TEMP, ERR_TIMEOUT);
}

CASE(imap_login_sasl_plain_and_master)
{
	/* \0alice@x.org\0pass */
	static const char *const ir[] = { "> * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi",
					  "< 1 AUTHENTICATE PLAIN AGFsaWNlQHgub3JnAHBhc3M=", "> 1 OK [CAPABILITY IMAP4rev1] in", NULL };
	static const char *const no_ir[] = { "> * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi", "< 1 AUTHENTICATE PLAIN", "> +",
					     "< AGFsaWNlQHgub3JnAHBhc3M=", "> 1 OK [CAPABILITY IMAP4rev1] in", NULL };
	static const char *const literal[] = { "> * OK [CAPABILITY IMAP4rev1] hi", "< 1 LOGIN {6}", "> + go",
					       "< al\xc3\xadxe {5}", "> +", "< p\xc3\xa4ss", "> 1 OK [CAPABILITY IMAP4rev1] in", NULL };
	static const char *const master[] = { "> * OK [CAPABILITY IMAP4rev1] hi", "< 1 LOGIN \"alice*root\" \"\\\\x\\\"y\"",
					      "> 1 OK [CAPABILITY IMAP4rev1] in", NULL };
	struct be_cred c = { .user = S("alice"), .login = S("al\xc3\xadxe"), .password = S("p\xc3\xa4ss") };
	struct box x;

	check_login(ir, BE_OK, ERR_NONE);
	check_login(no_ir, BE_OK, ERR_NONE);
	start(&x, literal, NULL, NULL);
	CHECK_INT(x.r, BE_TEMP); /* that was alice@x.org, who needs no literal */
	CHECK(x.f.unexpected);
	CHECK_INT(x.ops->login(x.b, &c, in_ms(2000), &x.s, &x.e), BE_OK);
	finish(&x);

	start(&x, master, "imap.master_user", "root");
	CHECK(x.r != BE_OK);
	x.ops->close(&x.b);
	settings_set(x.set, S("imap.master_password"), S("\\x\"y"), "test", NULL);
	settings_set(x.set, S("imap.user"), S("%n"), "test", NULL);
	CHECK_INT(x.ops->open(&x.b, &(struct be_env){ x.set, &clock_system, &rnd_system }, &x.e), 0);
	c.login = S("alice@x.org");
	c.password = S_NONE;
	CHECK_INT(x.ops->login(x.b, &c, in_ms(2000), &x.s, &x.e), BE_PERM); /* an empty password of a phone */
	CHECK_INT(x.e.code, ERR_AUTH);
	c.trusted = true;
	CHECK_INT(x.ops->login(x.b, &c, in_ms(2000), &x.s, &x.e), BE_OK);
	finish(&x);
}

/* -- answers of FETCH -- */

static enum be_result one_head(struct box *x, struct be_head *h, size_t *n)
{
	uint64_t num = 5;

	*n = 0;
	return x->ops->heads(x->s, S("INBOX"), &num, 1, test_arena(), h, n, &x->e);
}

#define HEAD(structure) "= * 1 FETCH (UID 5 FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 44 BODYSTRUCTURE " \
			structure " BODY[HEADER] {10}\r\nA: b\r\n\r\nxx)\r\n"

CASE(imap_odd_lines_are_skipped)
{
	static const char *const script[] = {
		LOGIN(""), "< 2 SELECT \"INBOX\"", "< 3 UID FETCH 5 (UID FLAGS", "> * FLAGS", "= * VENDOR {5}\r\na)\r\nb (((\r\n",
		"> * ESEARCH (TAG \"3\") UID ALL 1:3", "> * OK", "> *", "> ", "> * 9 RECENT", "> * 4 FETCH (FLAGS ())",
		"> * QUOTA \"x\" (STORAGE 1 2)", SELECTED("2"), "> * 1 FETCH (X-NEW (1 (2 {3}", "= a(b) \"q\\\"(\" NIL) UID 4 FLAGS (a b))\r\n",
		HEAD("(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\") NIL NIL \"7BIT\" -1 2)"), "> 3 OK done", "< LOGOUT", NULL
	};
	struct be_head h;
	struct box x;
	size_t n;

	start(&x, script, NULL, NULL);
	CHECK_INT(x.r, BE_OK);
	if (one_head(&x, &h, &n) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", x.e.text);
	CHECK_INT(n, 1);
	CHECK_INT(h.item.date_ms, 837596665000);
	CHECK_SLICE(h.headers, S("A: b\r\n\r\nxx"));
	CHECK(mime_is(&h.tree->v[0], "text", "plain"));
	CHECK_STR(h.tree->v[0].charset, "utf-8");
	CHECK(!x.f.unexpected);
	finish(&x);
}

static void bad_fetch(const char *const *script)
{
	struct be_head h;
	struct box x;
	size_t n;

	start(&x, script, NULL, NULL);
	CHECK_INT(x.r, BE_OK);
	CHECK_INT(one_head(&x, &h, &n), BE_TEMP);
	CHECK(x.e.text[0]);
	CHECK(!x.ops->alive(x.s));
	finish(&x);
}

#define FETCHING LOGIN(""), "<*", "<*", SELECTED("2")

CASE(imap_nonsense_ends_the_session)
{
	static const char *const close1[] = { FETCHING, "= * 1 FETCH (UID 5 BODY[HEADER] {100}\r\nabc", NULL };
	static const char *const huge[] = { FETCHING, "= * 1 FETCH (UID 5 BODY[HEADER] {99999999999}\r\nabc", "? hang", NULL };
	static const char *const open1[] = { FETCHING, "> * 1 FETCH (UID 5 FLAGS (", "? hang", NULL };
	static const char *const quote[] = { FETCHING, "> * 1 FETCH (UID 5 INTERNALDATE \"abc", "? hang", NULL };
	static const char *const word[] = { FETCHING, "= * 1 FETCH (UID 5 ", "*1000000 x", "? hang", NULL };
	static const char *const tag[] = { FETCHING, "> 99 OK what", "? hang", NULL };
	static const char *const bare[] = { FETCHING, "> hello", "? hang", NULL };
	static const char *const silent[] = { FETCHING, "? hang", NULL };
	static const char *const bye[] = { FETCHING, "> * BYE shutting down", NULL };

	bad_fetch(close1);
	bad_fetch(huge);
	bad_fetch(open1);
	bad_fetch(quote);
	bad_fetch(word);
	bad_fetch(tag);
	bad_fetch(bare);
	bad_fetch(silent);
	bad_fetch(bye);
}

/* 4 KB of this end a thread of 1 MiB stack in libraries that recurse. */
CASE(imap_deep_nesting_costs_nothing)
{
	static const char *const structure[] = { FETCHING, "= * 1 FETCH (UID 5 BODYSTRUCTURE ", "*2000000 (", "*2000000 )",
						 "= )\r\n", HEAD("(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1 2)"), "> 3 OK done",
						 "< LOGOUT", NULL };
	static const char *const unknown[] = { FETCHING, "= * 1 FETCH (UID 5 X ", "*2000000 (", "*2000000 )", "= )\r\n",
					       HEAD("(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 1 2)"), "> 3 OK done", "< LOGOUT", NULL };
	const char *const *scripts[] = { structure, unknown };

	for (int i = 0; i < 2; i++) {
		struct be_head h;
		struct box x;
		size_t n;

		start(&x, scripts[i], NULL, NULL);
		if (one_head(&x, &h, &n) != BE_OK)
			test_fail(__FILE__, __LINE__, "%s", x.e.text);
		CHECK_INT(n, 1);
		finish(&x);
	}
}

CASE(imap_structures)
{
	static const char *const script[] = {
		FETCHING,
		HEAD("(((\"text\" \"plain\" (\"charset\" {5}\r\nutf-8) \"<id1>\" \"d\" \"quoted-printable\" 10 1 NIL "
		     "(\"inline\" NIL) NIL NIL)(\"text\" \"html\" NIL NIL NIL \"base64\" 20 2) \"alternative\" (\"boundary\" \"x\") NIL NIL)"
		     "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 300 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
		     "((\"text\" \"plain\" NIL NIL NIL \"7bit\" 3 1)(\"image\" \"png\" (\"name\" \"a.png\") NIL NIL \"base64\" 9) \"mixed\") 12 "
		     "NIL (\"attachment\" (\"filename*0\" \"lo\" \"filename*1\" \"ng.eml\")))"
		     "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 30 NIL (\"attachment\" NIL) NIL) \"mixed\" (\"boundary\" \"y\"))"),
		"> 3 OK done", "< LOGOUT", NULL
	};
	const struct mime_part *v;
	struct be_head h;
	struct box x;
	size_t n;

	start(&x, script, NULL, NULL);
	if (one_head(&x, &h, &n) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", x.e.text);
	CHECK_INT(n, 1);
	CHECK_INT(h.tree->n, 9);
	v = h.tree->v;
	CHECK(mime_is(&v[0], "multipart", "mixed") && mime_is(&v[1], "multipart", "alternative"));
	CHECK(mime_is(&v[2], "text", "plain") && mime_is(&v[3], "text", "html"));
	CHECK_STR(v[2].charset, "utf-8");
	CHECK_STR(v[2].content_id, "id1");
	CHECK_STR(v[2].number, "1.1");
	CHECK_INT(v[3].size, 20);
	CHECK(mime_is(&v[4], "message", "rfc822") && mime_is(&v[5], "multipart", "mixed"));
	CHECK_STR(v[4].filename, "long.eml");
	CHECK(mime_is(&v[7], "image", "png"));
	CHECK_STR(v[7].number, "2.2");
	CHECK_STR(v[7].name, "a.png");
	CHECK_STR(v[8].number, "3");
	finish(&x);
}

/* The server names the UID behind the body; an empty part; one that is not there (NIL),
 * which is asked for once more behind a fresh SELECT. */
CASE(imap_parts_of_odd_servers)
{
	static const char *const script[] = {
		LOGIN(""), "< 2 SELECT", "< 3 UID FETCH 5 (UID BODY.PEEK[1])", "< 4 UID FETCH 6 (UID BODY.PEEK[1]<2.3>)",
		"< 5 UID FETCH 7 (UID BODY.PEEK[1])", "< 6 UID FETCH 8", SELECTED("2"), "= * 1 FETCH (BODY[1] {3}\r\nabc UID 5)\r\n3 OK x\r\n",
		"= * 2 FETCH (FLAGS (\\Seen) UID 6)\r\n* 2 FETCH (BODY[1]<2> \"xyzzzz\" UID 6)\r\n4 OK x\r\n",
		"> * 3 FETCH (UID 7 BODY[1] \"\")", "> 5 OK x", "> * 4 FETCH (UID 8 BODY[1] NIL)", "> 6 OK x",
		"< 7 UID FETCH 7 (UID BODYSTRUCTURE)",
		"= * 3 FETCH (UID 7 BODYSTRUCTURE (\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0))\r\n7 OK x\r\n", "< LOGOUT", NULL
	};
	const char *want[] = { "abc", "xyz", "", "" };
	struct be_part p[4];
	struct box x;

	start(&x, script, NULL, NULL);
	for (int i = 0; i < 4; i++)
		p[i] = (struct be_part){ .num = (uint64_t)i + 5, .part = S("1"), .out = blob_new(0) };
	p[1].offset = 2;
	p[1].max = 3;
	if (x.ops->parts(x.s, S("INBOX"), p, 4, &x.e) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", x.e.text);
	CHECK(!x.f.unexpected);
	for (int i = 0; i < 4; i++) {
		struct slice got;

		CHECK_INT(p[i].result, i == 3 ? BE_PERM : BE_OK);
		CHECK_INT(blob_map(p[i].out, &got, NULL), 0);
		CHECK_STR(got, want[i]);
		blob_free(&p[i].out);
	}
	finish(&x);
}

/* -- changes -- */

static int count_item(void *arg, const struct be_item *it)
{
	(*(int *)arg)++;
	return 0;
}

static int count_gone(void *arg, uint64_t a, uint64_t b)
{
	return 0;
}

CASE(imap_unfinished_listing_is_no_listing)
{
	static const char *const no[] = { LOGIN(""), "<*", "<*", SELECTED("2"), "> 3 NO [SERVERBUG] oops", "? hang", NULL };
	static const char *const cut[] = { LOGIN(""), "<*", "<*", SELECTED("2"),
					   "> * 1 FETCH (UID 1 FLAGS () INTERNALDATE \"17-Jul-1996 02:44:25 -0700\")", NULL };
	const char *const *scripts[] = { no, cut };

	for (int i = 0; i < 2; i++) {
		struct be_changes_ask ask = { .folder = S("INBOX") };
		struct be_changes c = { 0 };
		struct box x;
		int items = 0;
		struct be_changes_sink sink = { count_item, count_gone, &items };

		start(&x, scripts[i], NULL, NULL);
		CHECK_INT(x.ops->changes(x.s, &ask, &sink, test_arena(), &c, &x.e), BE_TEMP);
		finish(&x);
	}
}

CASE(imap_another_folder_of_the_same_name)
{
	static const char *const script[] = {
		LOGIN("ENABLE QRESYNC"), "< 2 ENABLE QRESYNC", "= * ENABLED QRESYNC\r\n2 OK x\r\n", "< 3 SELECT",
		"< 4 UID FETCH 1:* (UID FLAGS INTERNALDATE) (CHANGEDSINCE 10 VANISHED)",
		"= * 1 EXISTS\r\n* OK [UIDVALIDITY 8] x\r\n* OK [UIDNEXT 30] x\r\n* OK [HIGHESTMODSEQ 12] x\r\n3 OK done\r\n",
		"= * VANISHED (EARLIER) 1:4294967295\r\n* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"17-Jul-1996 02:44:25 -0700\")\r\n4 OK x\r\n",
		"< 5 SELECT", "< 6 UID FETCH 1:*",
		"= * 1 EXISTS\r\n* OK [UIDVALIDITY 8] x\r\n* OK [UIDNEXT 30] x\r\n* OK [HIGHESTMODSEQ 12] x\r\n5 OK done\r\n",
		"= * 1 FETCH (UID 1 FLAGS () INTERNALDATE \"17-Jul-1996 02:44:25 -0700\")\r\n6 OK x\r\n", "< LOGOUT", NULL
	};
	struct be_changes_ask ask = { .folder = S("INBOX"), .token = S("1:7:10:20:5:0") };
	struct be_changes c = { 0 };
	struct box x;
	int items = 0;
	struct be_changes_sink sink = { count_item, count_gone, &items };

	start(&x, script, NULL, NULL);
	if (x.ops->changes(x.s, &ask, &sink, test_arena(), &c, &x.e) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", x.e.text);
	CHECK(c.full);
	CHECK_INT(items, 1);
	CHECK_INT(c.identity, 8);
	finish(&x);
}

/* -- watching -- */

static void on_event(void *arg, struct slice user, struct slice folder)
{
	char (*names)[64] = arg;
	int i = 0;

	while (names[i][0])
		i++;
	snprintf(names[i], 64, "%.*s.", SARG(folder));
}

/* "+" and EXISTS in one segment: the descriptor never fires for that EXISTS, so it
 * must be read before watch_open returns; and the next one is reported. */
CASE(imap_watch_reads_what_came_with_the_plus)
{
	static const char *const script[] = { LOGIN("IDLE"), "< 2 SELECT", SELECTED("2"), "< 3 IDLE",
					      "= + idling\r\n* 3 EXISTS\r\n", "~400 *", "=  4 EXISTS\r\n* OK Still here\r\n",
					      "< DONE", NULL };
	char names[4][64] = { "" };
	enum be_watch_kind kind;
	struct watch *w;
	struct pollfd p = { .events = POLLIN };
	struct box x;
	size_t missed;

	start(&x, script, NULL, NULL);
	if (x.ops->watch_open(&x.s, NULL, 0, in_ms(2000), &w, &p.fd, &kind, &missed, &x.e) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", x.e.text);
	CHECK_INT(kind, BE_WATCH_IDLE);
	CHECK_INT(poll(&p, 1, 5000), 1);
	CHECK_INT(x.ops->watch_read(w, on_event, names, &x.e), BE_OK);
	CHECK_STR(slice_str(names[0]), "INBOX.");
	CHECK_STR(slice_str(names[1]), "");
	x.ops->watch_close(&w);
	finish(&x);
}

CASE(imap_watch_notify_names_folders)
{
	static const char *const script[] = { LOGIN("NOTIFY IDLE"), "< 2 NOTIFY SET (personal (", "> 2 OK on",
					      "= * STATUS \"Entw&APw-rfe\" (MESSAGES 1)\r\n* STATUS INBOX (UIDNEXT 3 UIDVALIDITY 1)\r\n"
					      "* LIST () \"/\" \"new\"\r\n", "? hang", NULL };
	char names[8][64] = { "" };
	enum be_watch_kind kind;
	struct watch *w;
	struct pollfd p = { .events = POLLIN };
	struct box x;
	size_t missed;
	int got = 0;

	start(&x, script, NULL, NULL);
	if (x.ops->watch_open(&x.s, NULL, 0, in_ms(2000), &w, &p.fd, &kind, &missed, &x.e) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", x.e.text);
	CHECK_INT(kind, BE_WATCH_NOTIFY);
	/* What came with the OK is covered by the caller's check; the rest is reported. */
	if (poll(&p, 1, 300) > 0)
		CHECK_INT(x.ops->watch_read(w, on_event, names, &x.e), BE_OK);
	while (names[got][0])
		got++;
	CHECK(got == 0 || got == 3);
	if (got == 3) {
		CHECK_STR(slice_str(names[0]), "Entwürfe.");
		CHECK_STR(slice_str(names[1]), "INBOX.");
		CHECK_STR(slice_str(names[2]), ".");
	}
	x.ops->watch_close(&w);
	finish(&x);
}

CASE(imap_watch_lost_connection)
{
	static const char *const script[] = { LOGIN("IDLE"), "< 2 SELECT", SELECTED("2"), "< 3 IDLE", "> + idling", NULL };
	char names[4][64] = { "" };
	enum be_watch_kind kind;
	struct watch *w;
	struct pollfd p = { .events = POLLIN };
	struct box x;
	size_t missed;
	enum be_result r;

	start(&x, script, NULL, NULL);
	r = x.ops->watch_open(&x.s, NULL, 0, in_ms(2000), &w, &p.fd, &kind, &missed, &x.e);
	if (r == BE_OK) {
		CHECK_INT(poll(&p, 1, 5000), 1);
		CHECK_INT(x.ops->watch_read(w, on_event, names, &x.e), BE_TEMP);
		x.ops->watch_close(&w);
	} else {
		CHECK_INT(r, BE_TEMP);
	}
	finish(&x);
}

/* -- writes -- */

CASE(imap_append_refusals)
{
	static const char *const quota[] = { LOGIN(""), "< 2 APPEND \"INBOX\" (\\Seen) {6}", "> 2 NO [OVERQUOTA] full", "< LOGOUT", NULL };
	static const char *const late[] = { LOGIN("LITERAL+"), "< 2 APPEND \"INBOX\" (\\Seen) {6+}", "< A: b", "<*",
					    "> 2 NO Quota exceeded", "< LOGOUT", NULL };
	static const char *const lost[] = { LOGIN("LITERAL+"), "< 2 APPEND", "< A: b", NULL };
	static const struct {
		const char *const *script;
		enum be_result r;
		enum err_code code;
	} cases[] = { { quota, BE_PERM, ERR_QUOTA }, { late, BE_PERM, ERR_QUOTA }, { lost, BE_TEMP, ERR_BACKEND_TEMP } };

	for (size_t i = 0; i < 3; i++) {
		struct blob *b = blob_new(0);
		uint64_t num;
		struct box x;

		start(&x, cases[i].script, NULL, NULL);
		blob_printf(b, NULL, "A: b\r\n");
		CHECK_INT(x.ops->append(x.s, S("INBOX"), b, MAIL_SEEN, 0, &num, &x.e), cases[i].r);
		CHECK_INT(x.e.code, cases[i].code);
		CHECK(!x.f.unexpected);
		blob_free(&b);
		finish(&x);
	}
}

CASE(imap_folder_trees_of_others)
{
	static const char *const script[] = {
		LOGIN("NAMESPACE"), "< 2 NAMESPACE", "< 3 LIST \"\" \"*\"",
		"> * NAMESPACE ((\"INBOX.\" \".\")) ((\"user.\" \".\" \"X\" (\"a\" \"b\"))) NIL", "> 2 OK x",
		"= * LIST (\\HasChildren) \".\" \"INBOX\"\r\n* LIST () \".\" \"INBOX.Gel&APY-schte Objekte\"\r\n* LIST () \".\" INBOX.a.b.c\r\n"
		"* LIST (\\Noselect) \".\" \"INBOX.empty\"\r\n* LIST () \".\" \"user.bob.x\"\r\n* LIST () NIL \"flat\"\r\n"
		"* LIST () \".\" {10}\r\nINBOX.Sent\r\n* LIST broken\r\n3 OK x\r\n",
		"< LOGOUT", NULL
	};
	static const struct {
		const char *path, *parent, *name;
		enum folder_type type;
		bool selectable;
	} want[] = {
		{ "INBOX", "", "INBOX", FOLDER_INBOX, true },
		{ "INBOX.Gelöschte Objekte", "", "Gelöschte Objekte", FOLDER_TRASH, true },
		{ "INBOX.Sent", "", "Sent", FOLDER_SENT, true },
		{ "INBOX.a", "", "a", FOLDER_USER_MAIL, false },
		{ "INBOX.a.b", "INBOX.a", "b", FOLDER_USER_MAIL, false },
		{ "INBOX.a.b.c", "INBOX.a.b", "c", FOLDER_USER_MAIL, true },
		{ "flat", "", "flat", FOLDER_USER_MAIL, true },
	};
	struct be_folder *f;
	struct box x;
	size_t n;

	start(&x, script, NULL, NULL);
	if (x.ops->folders(x.s, test_arena(), &f, &n, &x.e) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", x.e.text);
	CHECK_INT(n, sizeof(want) / sizeof(*want));
	for (size_t i = 0; i < n; i++) {
		CHECK_STR(f[i].path, want[i].path);
		CHECK_STR(f[i].parent, want[i].parent);
		CHECK_STR(f[i].name, want[i].name);
		CHECK_INT(f[i].type, want[i].type);
		CHECK_INT(f[i].selectable, want[i].selectable);
	}
	finish(&x);
}
