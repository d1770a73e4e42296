/* test_imap_real.c - the IMAP backend against a real server: ZPUSHD_TEST_IMAP is
 * its URL (account alice:alice-secret of tests/env/dovecot.py). Each case works in
 * a folder of its own. tests/e2e/test_imap_servers.py runs it over servers that
 * lack extensions. Without the variable all cases skip. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/settings_table.h"
#include "base/stream.h"
#include "proto/mime.h"
#include "tests/unit/harness.h"

struct box {
	struct settings *set;
	struct backend *b;
	struct session *s;
	const struct backend_ops *ops;
	struct slice folder; /* own one; empty: none made */
	struct err e;
};

static int64_t soon(void)
{
	return clock_now(&clock_system) + 20000;
}

static void set(struct box *x, const char *key, const char *value)
{
	if (settings_set(x->set, slice_str(key), slice_str(value), "test", &x->e) < 0)
		test_fail(__FILE__, __LINE__, "%s", x->e.text);
}

#define OK(x, call)                                                                              \
	do {                                                                                     \
		enum be_result r_ = (call);                                                      \
		if (r_ != BE_OK)                                                                 \
			test_fail(__FILE__, __LINE__, "%s: %d %s", #call, r_, (x)->e.text);      \
	} while (0)

static void open_backend(struct box *x)
{
	const char *url = getenv("ZPUSHD_TEST_IMAP"), *ca = getenv("ZPUSHD_TEST_CA");
	struct be_env env = { .clock = &clock_system, .rnd = &rnd_system };

	memset(x, 0, sizeof(*x));
	if (!url)
		test_skip("needs a real server");
	x->set = settings_new();
	set(x, "imap.url", url);
	if (ca)
		set(x, "net.tls_ca", ca);
	x->ops = backend_by_name(S("imap"));
	CHECK(x->ops);
	env.settings = x->set;
	if (x->ops->open(&x->b, &env, &x->e) < 0)
		test_fail(__FILE__, __LINE__, "%s", x->e.text);
}

static struct be_cred alice(void)
{
	return (struct be_cred){ .user = S("alice"), .login = S("alice"), .password = S("alice-secret") };
}

static void login(struct box *x)
{
	struct be_cred c = alice();

	OK(x, x->ops->login(x->b, &c, soon(), &x->s, &x->e));
}

static struct session *another(struct box *x)
{
	struct be_cred c = alice();
	struct session *s;

	OK(x, x->ops->login(x->b, &c, soon(), &s, &x->e));
	return s;
}

static void make_folder(struct box *x)
{
	static int n;
	struct slice name = arena_printf(test_arena(), "zt %d %d ü", (int)getpid(), n++);

	OK(x, x->ops->folder_create(x->s, S_NONE, name, FOLDER_USER_MAIL, test_arena(), &x->folder, &x->e));
}

static void setup(struct box *x)
{
	open_backend(x);
	login(x);
	make_folder(x);
}

static void finish(struct box *x)
{
	if (x->folder.len)
		OK(x, x->ops->folder_delete(x->s, x->folder, &x->e));
	if (x->s)
		x->ops->logout(&x->s);
	x->ops->close(&x->b);
	settings_unref(&x->set);
}

static uint64_t put(struct box *x, const char *id, const char *body, unsigned flags, int64_t date_ms)
{
	struct blob *b = blob_new(0);
	uint64_t num = 0;

	blob_printf(b, NULL, "From: a@example.org\r\nTo: b@example.org\r\nSubject: %s\r\nMessage-ID: <%s@t>\r\n%s", id, id, body);
	OK(x, x->ops->append(x->s, x->folder, b, flags, date_ms, &num, &x->e));
	blob_free(&b);
	CHECK(num);
	return num;
}

static const char plain[] = "\r\nhello\r\n";

/* -- listing -- */

struct seen {
	uint64_t num[4096];
	uint32_t rev[4096];
	int64_t date[4096];
	size_t n;
	uint64_t gone[64][2];
	size_t n_gone;
};

static int see_item(void *arg, const struct be_item *it)
{
	struct seen *s = arg;

	CHECK(s->n < 4096);
	CHECK(s->n == 0 || s->num[s->n - 1] < it->num);
	s->num[s->n] = it->num;
	s->date[s->n] = it->date_ms;
	s->rev[s->n++] = it->rev;
	return 0;
}

static int see_gone(void *arg, uint64_t a, uint64_t b)
{
	struct seen *s = arg;

	CHECK(s->n_gone < 64);
	s->gone[s->n_gone][0] = a;
	s->gone[s->n_gone++][1] = b;
	return 0;
}

static bool is_gone(const struct seen *s, uint64_t num)
{
	for (size_t i = 0; i < s->n_gone; i++)
		if (num >= s->gone[i][0] && num <= s->gone[i][1])
			return true;
	return false;
}

static struct be_changes changes(struct box *x, struct slice token, int64_t since, struct seen *s)
{
	struct be_changes_ask ask = { .folder = x->folder, .token = token, .since_ms = since };
	struct be_changes_sink sink = { see_item, see_gone, s };
	struct be_changes c = { 0 };

	s->n = s->n_gone = 0;
	OK(x, x->ops->changes(x->s, &ask, &sink, test_arena(), &c, &x->e));
	CHECK(c.token.len > 0 && c.token.len <= 256);
	return c;
}

static struct seen seen, again;

CASE(imap_login_right_and_wrong)
{
	struct be_cred c = alice();
	struct box x;

	open_backend(&x);
	login(&x);
	CHECK(x.ops->alive(x.s));
	x.ops->logout(&x.s);
	c.password = S("wrong");
	CHECK_INT(x.ops->login(x.b, &c, soon(), &x.s, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_AUTH);
	CHECK(!x.s);
	c.password = S("");
	CHECK_INT(x.ops->login(x.b, &c, soon(), &x.s, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_AUTH);
	c.trusted = true; /* no master user is set */
	CHECK_INT(x.ops->login(x.b, &c, soon(), &x.s, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_AUTH);
	finish(&x);
}

CASE(imap_login_utf8_password)
{
	struct be_cred c = { .user = S("carol"), .login = S("carol"), .password = S("pässwörd-✓") };
	struct box x;

	open_backend(&x);
	OK(&x, x.ops->login(x.b, &c, soon(), &x.s, &x.e));
	finish(&x);
}

static const struct be_folder *find_folder(struct be_folder *f, size_t n, struct slice path)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(f[i].path, path))
			return &f[i];
	return NULL;
}

CASE(imap_folders_tree)
{
	struct be_folder *f;
	struct slice child, moved;
	const struct be_folder *it;
	struct box x;
	size_t n;

	setup(&x);
	OK(&x, x.ops->folder_create(x.s, x.folder, S("Kind/. & 1"), FOLDER_USER_MAIL, test_arena(), &child, &x.e));
	CHECK_INT(x.ops->folder_create(x.s, x.folder, S("Kind/. & 1"), FOLDER_USER_MAIL, test_arena(), &moved, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_EXISTS);
	CHECK_SLICE(moved, child);
	OK(&x, x.ops->folders(x.s, test_arena(), &f, &n, &x.e));
	CHECK((it = find_folder(f, n, S("INBOX"))) != NULL);
	CHECK_INT(it->type, FOLDER_INBOX);
	CHECK((it = find_folder(f, n, child)) != NULL);
	CHECK_SLICE(it->parent, x.folder);
	CHECK_INT(it->type, FOLDER_USER_MAIL);
	CHECK((it = find_folder(f, n, x.folder)) != NULL && it->selectable);
	CHECK_INT(it->parent.len, 0);
	for (size_t i = 0; i < n; i++) /* parents first */
		CHECK(!f[i].parent.len || find_folder(f, i, f[i].parent));

	OK(&x, x.ops->folder_rename(x.s, child, S_NONE, S("zt umgezogen"), test_arena(), &moved, &x.e));
	OK(&x, x.ops->folders(x.s, test_arena(), &f, &n, &x.e));
	CHECK(!find_folder(f, n, child));
	CHECK((it = find_folder(f, n, moved)) != NULL);
	CHECK_STR(it->name, "zt umgezogen");
	OK(&x, x.ops->folder_delete(x.s, moved, &x.e));
	CHECK_INT(x.ops->folder_delete(x.s, moved, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_NOT_FOUND);
	CHECK_INT(x.ops->folder_delete(x.s, S("INBOX"), &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_SPECIAL);
	CHECK_INT(x.ops->folder_create(x.s, S("no such"), S("x"), FOLDER_USER_MAIL, test_arena(), &moved, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_NOT_FOUND);
	finish(&x);
}

CASE(imap_special_folders_exist_or_are_made)
{
	enum folder_type types[] = { FOLDER_SENT, FOLDER_TRASH, FOLDER_DRAFTS };
	struct be_folder *f;
	struct box x;
	size_t n;

	open_backend(&x);
	login(&x);
	for (int i = 0; i < 3; i++) {
		struct slice path;
		enum be_result r = x.ops->folder_create(x.s, S_NONE, S_NONE, types[i], test_arena(), &path, &x.e);
		const struct be_folder *it;

		CHECK(r == BE_OK || x.e.code == ERR_EXISTS);
		OK(&x, x.ops->folders(x.s, test_arena(), &f, &n, &x.e));
		it = find_folder(f, n, path);
		CHECK(it && it->type == types[i]);
		CHECK_INT(x.ops->folder_delete(x.s, path, &x.e), BE_PERM);
		CHECK_INT(x.e.code, ERR_SPECIAL);
	}
	finish(&x);
}

/* -- changes -- */

CASE(imap_changes_new_flags_gone)
{
	struct be_flag_change seen_on = { .mask = MAIL_SEEN, .value = MAIL_SEEN };
	uint64_t a, b, c, only[1];
	struct be_changes ch;
	struct box x;
	uint32_t rev;

	setup(&x);
	ch = changes(&x, S_NONE, 0, &seen);
	CHECK(ch.full && seen.n == 0);
	a = put(&x, "a", plain, 0, 0);
	b = put(&x, "b", plain, MAIL_FLAGGED, 0);
	c = put(&x, "c", plain, 0, 0);
	ch = changes(&x, ch.token, 0, &seen);
	CHECK_INT(seen.n, 3);
	CHECK(seen.num[0] == a && seen.num[1] == b && seen.num[2] == c);
	CHECK_INT(MAIL_REV_FLAGS(seen.rev[1]), MAIL_FLAGGED);

	ch = changes(&x, ch.token, 0, &again);
	if (!ch.full) {
		CHECK_INT(again.n, 0);
		CHECK_INT(again.n_gone, 0);
	}
	CHECK(ch.round_trips <= 1);

	OK(&x, x.ops->set_flags(x.s, x.folder, a, &seen_on, &rev, &x.e));
	CHECK_INT(rev, MAIL_SEEN);
	only[0] = b;
	OK(&x, x.ops->remove(x.s, x.folder, only, 1, &x.e));
	ch = changes(&x, ch.token, 0, &again);
	if (ch.full) {
		CHECK_INT(again.n, 2);
		CHECK(again.num[0] == a && again.num[1] == c);
		CHECK_INT(again.rev[0], MAIL_SEEN);
	} else {
		CHECK_INT(again.n, 1);
		CHECK(again.num[0] == a && again.rev[0] == MAIL_SEEN);
		CHECK(is_gone(&again, b));
		CHECK(!is_gone(&again, a) && !is_gone(&again, c));
	}
	finish(&x);
}

CASE(imap_changes_by_another_session)
{
	struct be_flag_change flag = { .mask = MAIL_FLAGGED, .value = MAIL_FLAGGED };
	struct be_head head;
	struct be_changes ch;
	struct session *mine, *other;
	struct box x;
	uint64_t a, b;
	size_t n;

	setup(&x);
	a = put(&x, "a", plain, 0, 0);
	ch = changes(&x, S_NONE, 0, &seen);
	mine = x.s;
	other = another(&x);
	x.s = other;
	b = put(&x, "b", plain, 0, 0);
	OK(&x, x.ops->set_flags(other, x.folder, a, &flag, NULL, &x.e));
	x.s = mine;
	/* Selected before b came: it must be found all the same. */
	OK(&x, x.ops->heads(mine, x.folder, &b, 1, test_arena(), &head, &n, &x.e));
	CHECK_INT(n, 1);
	ch = changes(&x, ch.token, 0, &seen);
	CHECK_INT(seen.n, 2);
	CHECK_INT(seen.rev[0], MAIL_FLAGGED);
	CHECK(seen.num[1] == b);
	x.ops->logout(&other);
	finish(&x);
}

CASE(imap_changes_window)
{
	int64_t now = clock_wall(&clock_system), day = 24 * 3600 * 1000;
	struct be_changes ch, ch2;
	struct box x;
	uint64_t young, old;

	setup(&x);
	old = put(&x, "old", plain, 0, now - 20 * day);
	young = put(&x, "young", plain, 0, now - 2 * day);
	ch = changes(&x, S_NONE, now - 7 * day, &seen);
	CHECK(ch.full);
	CHECK_INT(seen.n, 1);
	CHECK(seen.num[0] == young);
	CHECK(seen.date[0] / 1000 == (now - 2 * day) / 1000);
	/* The same day: the token holds. */
	ch2 = changes(&x, ch.token, now - 7 * day, &seen);
	CHECK(ch2.round_trips <= 2);
	/* A flag of an old one is outside. */
	OK(&x, x.ops->set_flags(x.s, x.folder, old, &(struct be_flag_change){ .mask = 1, .value = 1 }, NULL, &x.e));
	changes(&x, ch2.token, now - 7 * day, &seen);
	for (size_t i = 0; i < seen.n; i++)
		CHECK(seen.num[i] != old);
	/* Another window: all anew. */
	ch = changes(&x, ch2.token, now - 30 * day, &seen);
	CHECK(ch.full);
	CHECK_INT(seen.n, 2);
	finish(&x);
}

CASE(imap_deleted_mark_is_gone)
{
	struct be_flag_change mark = { .mask = MAIL_DELETED, .value = MAIL_DELETED }, off = { .mask = MAIL_DELETED };
	struct be_changes_sink sink = { see_item, see_gone, &again };
	struct be_changes ch;
	struct be_head head;
	struct box x;
	uint64_t a;
	size_t n;

	setup(&x);
	a = put(&x, "a", plain, 0, 0);
	ch = changes(&x, S_NONE, 0, &seen);
	OK(&x, x.ops->set_flags(x.s, x.folder, a, &mark, NULL, &x.e));
	ch = changes(&x, ch.token, 0, &seen);
	CHECK_INT(seen.n, 0);
	CHECK(ch.full || is_gone(&seen, a));
	again.n = 0;
	OK(&x, x.ops->lookup(x.s, x.folder, &a, 1, &sink, &x.e));
	CHECK_INT(again.n, 0);
	OK(&x, x.ops->heads(x.s, x.folder, &a, 1, test_arena(), &head, &n, &x.e));
	CHECK_INT(n, 0);
	CHECK_INT(x.ops->set_flags(x.s, x.folder, a, &off, NULL, &x.e), BE_OK);
	finish(&x);
}

CASE(imap_token_of_nonsense_lists_all)
{
	const char *bad[] = { "x", "1:1:1:1:1:0", "2:1:1:1:1:0", "1:99999999999999999999:1:1:1:0", "1:1:1", "::::::" };
	struct box x;

	setup(&x);
	put(&x, "a", plain, 0, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct be_changes ch = changes(&x, slice_str(bad[i]), 0, &seen);

		CHECK(ch.full);
		CHECK_INT(seen.n, 1);
	}
	finish(&x);
}

CASE(imap_unknown_folder_is_not_found)
{
	struct be_changes_ask ask = { .folder = S("no such folder") };
	struct be_changes_sink sink = { see_item, see_gone, &seen };
	struct be_changes c;
	struct be_head head;
	uint64_t one = 1, num;
	struct box x;
	size_t n;

	setup(&x);
	CHECK_INT(x.ops->changes(x.s, &ask, &sink, test_arena(), &c, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_NOT_FOUND);
	CHECK_INT(x.ops->heads(x.s, ask.folder, &one, 1, test_arena(), &head, &n, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_NOT_FOUND);
	CHECK_INT(x.ops->remove(x.s, ask.folder, &one, 1, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_NOT_FOUND);
	CHECK_INT(x.ops->find_message_id(x.s, ask.folder, S("<a@t>"), &num, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_NOT_FOUND);
	one = put(&x, "a", plain, 0, 0);
	CHECK_INT(x.ops->move(x.s, x.folder, &one, 1, ask.folder, &num, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_NOT_FOUND);
	CHECK(x.ops->alive(x.s));
	finish(&x);
}

/* -- reading -- */

static const char multi[] =
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n"
	"--b1\r\nContent-Type: multipart/alternative; boundary=b2\r\n\r\n"
	"--b2\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain text\r\n"
	"--b2\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>html text</p>\r\n--b2--\r\n"
	"--b1\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
	"Content-Disposition: attachment; filename=\"a b.bin\"\r\n\r\nAAECAwQFBgcICQ==\r\n"
	"--b1\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: text/plain\r\n\r\ninner text\r\n"
	"--b1--\r\n";

static struct slice part_text(struct be_part *p)
{
	struct slice s;

	CHECK_INT(blob_map(p->out, &s, NULL), 0);
	return s;
}

CASE(imap_heads_and_parts)
{
	struct be_head h[3];
	struct be_part p[5] = { 0 };
	const struct mime_tree *t;
	uint64_t nums[3];
	struct box x;
	size_t n;
	int leaf;

	setup(&x);
	nums[1] = put(&x, "multi", multi, MAIL_SEEN, 1600000000000);
	nums[0] = put(&x, "plain", plain, 0, 0);
	nums[2] = nums[0] + 1000;
	OK(&x, x.ops->heads(x.s, x.folder, nums, 3, test_arena(), h, &n, &x.e));
	CHECK_INT(n, 2);
	CHECK(h[0].item.num == nums[0] && h[1].item.num == nums[1]);
	CHECK_INT(h[1].item.date_ms, 1600000000000);
	CHECK_INT(h[1].flags, MAIL_SEEN);
	CHECK(slice_starts(h[1].headers, S("From: a@example.org\r\n")));
	CHECK(h[1].size > 500 && h[1].tree->size == h[1].size);
	t = h[1].tree;
	CHECK(t && t->n == 7);
	CHECK(mime_is(&t->v[0], "multipart", "mixed"));
	leaf = mime_find(t, "text", "html");
	CHECK(leaf != MIME_NONE);
	CHECK_STR(t->v[leaf].number, "1.2");
	leaf = mime_find(t, "application", "octet-stream");
	CHECK(leaf != MIME_NONE);
	CHECK_STR(t->v[leaf].filename, "a b.bin");
	CHECK_STR(t->v[leaf].disposition, "attachment");

	for (int i = 0; i < 5; i++)
		p[i] = (struct be_part){ .num = nums[1], .out = blob_new(0) };
	p[0].part = S("1.1");
	p[1].part = S("1.2");
	p[1].offset = 3;
	p[1].max = 4;
	p[2].part = S("2");
	p[3].num = nums[2];
	p[3].part = S("1");
	OK(&x, x.ops->parts(x.s, x.folder, p, 5, &x.e)); /* p[4]: whole */
	CHECK_SLICE(part_text(&p[0]), S("plain text"));
	CHECK_SLICE(part_text(&p[1]), S("html"));
	CHECK_SLICE(slice_trim(part_text(&p[2])), S("AAECAwQFBgcICQ=="));
	CHECK_INT(p[3].result, BE_PERM);
	CHECK_INT(blob_size(p[3].out), 0);
	CHECK_INT(p[4].result, BE_OK);
	CHECK_INT(blob_size(p[4].out), h[1].size);
	for (int i = 0; i < 5; i++)
		blob_free(&p[i].out);
	finish(&x);
}

CASE(imap_big_part_is_streamed)
{
	enum { SIZE = 6 << 20 };
	struct be_part p = { .part = S(""), .out = blob_new(0) };
	struct blob *mail = blob_new(0);
	char line[1026];
	uint64_t num;
	struct box x;

	setup(&x);
	memset(line, 'x', 1024);
	memcpy(line + 1024, "\r\n", 2);
	blob_printf(mail, NULL, "Subject: big\r\n\r\n");
	while (blob_size(mail) < SIZE)
		blob_append(mail, line, sizeof(line), NULL);
	OK(&x, x.ops->append(x.s, x.folder, mail, 0, 0, &num, &x.e));
	if (!num) { /* neither UIDPLUS nor a Message-ID */
		changes(&x, S_NONE, 0, &seen);
		num = seen.num[0];
	}
	p.num = num;
	OK(&x, x.ops->parts(x.s, x.folder, &p, 1, &x.e));
	CHECK_INT(blob_size(p.out), blob_size(mail));
	blob_free(&mail);
	blob_free(&p.out);
	finish(&x);
}

/* -- writing -- */

CASE(imap_keywords)
{
	struct slice one[] = { S("Rote Kategorie"), S("Büro") }, two[] = { S("Büro"), S("x") };
	struct be_flag_change c = { .mask = MAIL_FORWARDED | MAIL_ANSWERED, .value = MAIL_FORWARDED | MAIL_ANSWERED,
				    .set_keywords = true, .keywords = one, .n_keywords = 2 };
	struct be_head h;
	struct box x;
	uint64_t a;
	uint32_t rev;
	size_t n;

	setup(&x);
	a = put(&x, "a", plain, 0, 0);
	OK(&x, x.ops->set_flags(x.s, x.folder, a, &c, &rev, &x.e));
	OK(&x, x.ops->heads(x.s, x.folder, &a, 1, test_arena(), &h, &n, &x.e));
	CHECK_INT(n, 1);
	CHECK_INT(h.flags, MAIL_FORWARDED | MAIL_ANSWERED);
	CHECK_INT(h.n_keywords, 2);
	CHECK_INT(h.item.rev, rev);
	CHECK_INT(rev, mail_rev(h.flags, one, 2));
	c = (struct be_flag_change){ .set_keywords = true, .keywords = two, .n_keywords = 2 };
	OK(&x, x.ops->set_flags(x.s, x.folder, a, &c, &rev, &x.e));
	CHECK_INT(rev, mail_rev(MAIL_FORWARDED | MAIL_ANSWERED, two, 2));
	c.n_keywords = 0;
	c.mask = MAIL_FORWARDED | MAIL_ANSWERED;
	OK(&x, x.ops->set_flags(x.s, x.folder, a, &c, &rev, &x.e));
	CHECK_INT(rev, 0);
	a += 1000;
	CHECK_INT(x.ops->set_flags(x.s, x.folder, a, &c, &rev, &x.e), BE_PERM);
	CHECK_INT(x.e.code, ERR_NOT_FOUND);
	finish(&x);
}

CASE(imap_move_and_find)
{
	uint64_t nums[4], new[4], found;
	struct slice dst;
	struct box x;

	setup(&x);
	OK(&x, x.ops->folder_create(x.s, x.folder, S("dst"), FOLDER_USER_MAIL, test_arena(), &dst, &x.e));
	nums[0] = put(&x, "m0", plain, 0, 0);
	nums[1] = put(&x, "m1", plain, 0, 0);
	nums[2] = nums[1] + 500;
	nums[3] = put(&x, "m3", plain, 0, 0);
	OK(&x, x.ops->move(x.s, x.folder, nums, 3, dst, new, &x.e));
	CHECK(new[0] && new[1] && new[0] != new[1]);
	CHECK_INT(new[2], 0);
	OK(&x, x.ops->find_message_id(x.s, dst, S("<m1@t>"), &found, &x.e));
	CHECK_INT(found, new[1]);
	OK(&x, x.ops->find_message_id(x.s, x.folder, S("<m1@t>"), &found, &x.e));
	CHECK_INT(found, 0);
	OK(&x, x.ops->find_message_id(x.s, x.folder, S("m3@t"), &found, &x.e));
	CHECK_INT(found, nums[3]);
	changes(&x, S_NONE, 0, &seen);
	CHECK_INT(seen.n, 1);
	CHECK(seen.num[0] == nums[3]);
	OK(&x, x.ops->remove(x.s, x.folder, nums, 4, &x.e)); /* most are not there */
	changes(&x, S_NONE, 0, &seen);
	CHECK_INT(seen.n, 0);
	finish(&x);
}

CASE(imap_remove_leaves_marks_of_others)
{
	struct be_flag_change mark = { .mask = MAIL_DELETED, .value = MAIL_DELETED }, off = { .mask = MAIL_DELETED };
	struct box x;
	uint64_t a, b;

	setup(&x);
	a = put(&x, "a", plain, 0, 0);
	b = put(&x, "b", plain, 0, 0);
	OK(&x, x.ops->set_flags(x.s, x.folder, a, &mark, NULL, &x.e));
	OK(&x, x.ops->remove(x.s, x.folder, &b, 1, &x.e));
	OK(&x, x.ops->set_flags(x.s, x.folder, a, &off, NULL, &x.e)); /* still there */
	changes(&x, S_NONE, 0, &seen);
	CHECK_INT(seen.n, 1);
	CHECK(seen.num[0] == a);
	finish(&x);
}

/* -- the first Sync of 1000 mails by windows of 100 -- */

CASE(imap_round_trips_of_a_first_sync)
{
	enum { N = 200, WINDOW = 100 };
	struct be_head *h = arena_alloc(test_arena(), WINDOW * sizeof(*h));
	struct be_part *p = arena_alloc(test_arena(), WINDOW * sizeof(*p));
	struct be_changes ch;
	struct box x;

	setup(&x);
	for (int i = 0; i < N; i++) {
		char id[16];

		snprintf(id, sizeof(id), "s%d", i);
		put(&x, id, multi, 0, 0);
	}
	ch = changes(&x, S_NONE, 0, &seen);
	CHECK_INT(seen.n, N);
	CHECK_INT(ch.round_trips, 1);
	for (int w = 0; w < N / WINDOW; w++) {
		struct be_changes none;
		size_t n;

		OK(&x, x.ops->heads(x.s, x.folder, seen.num + w * WINDOW, WINDOW, test_arena(), h, &n, &x.e));
		CHECK_INT(n, WINDOW);
		for (int i = 0; i < WINDOW; i++)
			p[i] = (struct be_part){ .num = h[i].item.num, .part = S("1.1"), .max = 500, .out = blob_new(0) };
		OK(&x, x.ops->parts(x.s, x.folder, p, WINDOW, &x.e));
		for (int i = 0; i < WINDOW; i++) {
			CHECK_INT(p[i].result, BE_OK);
			CHECK_SLICE(part_text(&p[i]), S("plain text"));
			blob_free(&p[i].out);
		}
		none = changes(&x, ch.token, 0, &again);
		CHECK_INT(none.round_trips, 1);
	}
	finish(&x);
}

/* -- watching -- */

struct events {
	int n;
	char folder[128];
};

static void on_event(void *arg, struct slice user, struct slice folder)
{
	struct events *v = arg;

	CHECK_STR(user, "alice");
	v->n++;
	if (folder.len)
		snprintf(v->folder, sizeof(v->folder), "%.*s", SARG(folder));
}

static bool wait_event(struct box *x, struct watch *w, int fd, struct events *v, int ms)
{
	int64_t end = clock_now(&clock_system) + ms;

	while (v->n == 0 && clock_now(&clock_system) < end) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, (int)(end - clock_now(&clock_system))) > 0)
			OK(x, x->ops->watch_read(w, on_event, v, &x->e));
	}
	return v->n > 0;
}

static void watch_case(const char *source)
{
	struct events v = { 0 };
	enum be_watch_kind kind;
	struct session *ws;
	struct watch *w;
	struct box x;
	size_t missed;
	enum be_result r;
	int fd;

	open_backend(&x);
	x.ops->close(&x.b);
	set(&x, "push.sources", source);
	CHECK_INT(x.ops->open(&x.b, &(struct be_env){ x.set, &clock_system, &rnd_system }, &x.e), 0);
	login(&x);
	make_folder(&x);
	ws = another(&x);
	r = x.ops->watch_open(&ws, &x.folder, 1, soon(), &w, &fd, &kind, &missed, &x.e);
	if (r == BE_PERM && x.e.code == ERR_UNSUPPORTED) {
		x.ops->logout(&ws);
		finish(&x);
		test_skip("the server has no such push");
	}
	OK(&x, r);
	CHECK(!ws && fd >= 0);
	CHECK_INT(missed, 0);
	CHECK_INT(kind, strcmp(source, "idle") == 0 ? BE_WATCH_IDLE : BE_WATCH_NOTIFY);
	OK(&x, x.ops->watch_read(w, on_event, &v, &x.e)); /* refresh with nothing there */
	v.n = 0;
	put(&x, "w1", plain, 0, 0);
	CHECK(wait_event(&x, w, fd, &v, 8000));
	CHECK_SLICE(slice_str(v.folder), x.folder);
	x.ops->watch_close(&w);
	CHECK(!w);
	finish(&x);
}

CASE(imap_watch_idle)
{
	watch_case("idle");
}

CASE(imap_watch_notify)
{
	watch_case("notify");
}
