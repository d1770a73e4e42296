/* test_local.c - the local backend among others: Maildirs that delivery agents
 * and Dovecot change behind it, accounts, the first start. */
#include "harness.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend/local/accounts.h"
#include "backend/local/local.h"
#include "backend/local/maildir.h"
#include "base/digest.h"
#include "base/settings_table.h"
#include "proto/mime.h"

/* -- a place, a user, a second hand -- */

struct place {
	char dir[64], users[96], root[96], box[128];
	struct backend *b;
	struct session *s;
};

static void write_file(const char *dir, const char *name, const char *text)
{
	char *path = path_join("%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	if (!f)
		test_fail(__FILE__, __LINE__, "cannot write %s", path);
	fputs(text, f);
	fclose(f);
	free(path);
}

static struct slice read_file(const char *dir, const char *name)
{
	char *path = path_join("%s/%s", dir, name), *data;
	struct slice s;
	size_t n;

	CHECK(file_read(path, 1 << 20, &data, &n, NULL) == 0 && data);
	s = arena_slice(test_arena(), slice(data, n));
	free(data);
	free(path);
	return s;
}

static void move_file(const char *dir, const char *from, const char *to)
{
	char *a = path_join("%s/%s", dir, from), *b = path_join("%s/%s", dir, to);

	if (rename(a, b) < 0)
		test_fail(__FILE__, __LINE__, "rename %s %s", a, b);
	free(a);
	free(b);
}

static char *tmp_path(const char *dir, const char *name)
{
	return (char *)arena_printf(test_arena(), "%s/%s%c", dir, name, 0).ptr;
}

static void make_dir(const char *dir, const char *name)
{
	char *path = path_join("%s/%s", dir, name);

	CHECK(dir_make(path) == 0);
	free(path);
}

static struct session *log_in(struct backend *b)
{
	struct be_cred c = { .user = S("eva"), .login = S("eva"), .password = S("pw") };
	struct session *s = NULL;
	struct err e = { 0 };

	if (b->ops->login(b, &c, clock_now(&clock_system) + 20000, &s, &e) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return s;
}

static struct backend *open_server(struct place *p)
{
	struct backend *b;
	struct err e = { 0 };

	if (local_new(&b, &(struct local_conf){ .root = p->root, .users = p->users }, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return b;
}

static struct place *place_new(void)
{
	struct place *p = arena_alloc(test_arena(), sizeof(*p));
	struct sha256 h = digest_pbkdf2(S("pw"), S("salt"), 1);
	char *line;

	snprintf(p->dir, sizeof(p->dir), "%s/zpushd-local-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	CHECK(mkdtemp(p->dir) != NULL);
	snprintf(p->users, sizeof(p->users), "%s/users", p->dir);
	snprintf(p->root, sizeof(p->root), "%s/mail", p->dir);
	snprintf(p->box, sizeof(p->box), "%s/eva/Maildir", p->root);
	line = path_join("eva:{PBKDF2-SHA256}1$salt$%.*s:eva@example.org:Eva\n",
			 SARG(base64url_encode(test_arena(), &h, sizeof(h))));
	write_file(p->dir, "users", line);
	free(line);
	p->b = open_server(p);
	p->s = log_in(p->b);
	return p;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static void place_free(struct place *p)
{
	if (p->s)
		p->s->ops->logout(&p->s);
	if (p->b)
		p->b->ops->close(&p->b);
	nftw(p->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void restart(struct place *p)
{
	p->s->ops->logout(&p->s);
	p->b->ops->close(&p->b);
	p->b = open_server(p);
	p->s = log_in(p->b);
}

struct listed {
	struct be_item v[64];
	size_t n;
	uint64_t gone[64];
	size_t n_gone;
	struct be_changes c;
};

static int list_item(void *arg, const struct be_item *it)
{
	struct listed *l = arg;

	CHECK(l->n < 64);
	l->v[l->n++] = *it;
	return 0;
}

static int list_gone(void *arg, uint64_t first, uint64_t last)
{
	struct listed *l = arg;

	for (; first <= last; first++)
		l->gone[l->n_gone++] = first;
	return 0;
}

static struct listed *changes(struct session *s, struct slice folder, struct slice token)
{
	struct listed *l = arena_alloc(test_arena(), sizeof(*l));
	struct be_changes_ask ask = { .folder = folder, .token = token };
	struct be_changes_sink sink = { list_item, list_gone, l };
	struct err e = { 0 };

	if (s->ops->changes(s, &ask, &sink, test_arena(), &l->c, &e) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return l;
}

static struct slice whole(struct session *s, struct slice folder, uint64_t num, const char *part)
{
	struct be_part p = { .num = num, .part = slice_str(part), .out = blob_new(0) };
	struct slice v;
	struct err e = { 0 };

	if (s->ops->parts(s, folder, &p, 1, &e) != BE_OK || p.result != BE_OK)
		test_fail(__FILE__, __LINE__, "part: %s", e.text);
	CHECK(blob_map(p.out, &v, NULL) == 0);
	v = arena_slice(test_arena(), v);
	blob_free(&p.out);
	return v;
}

/* -- others at work -- */

CASE(local_takes_what_any_agent_drops_into_new)
{
	struct place *p = place_new();
	struct listed *l = changes(p->s, S("INBOX"), S_NONE);

	CHECK_INT(l->n, 0);
	write_file(p->box, "new/1700000002.b.host", "Subject: two\n\nx\n");
	write_file(p->box, "new/1700000001.a.host", "Subject: one\n\nx\n");
	l = changes(p->s, S("INBOX"), l->c.token);
	CHECK(!l->c.full);
	CHECK_INT(l->n, 2);
	/* In the order of their delivery. */
	CHECK_STR(whole(p->s, S("INBOX"), l->v[0].num, ""), "Subject: one\r\n\r\nx\r\n");
	CHECK(l->v[0].num < l->v[1].num);
	place_free(p);
}

CASE(local_sees_renames_and_deletions_by_others)
{
	struct place *p = place_new();
	struct listed *l;
	uint64_t a, b;

	write_file(p->box, "new/1.a", "Subject: a\n\n");
	write_file(p->box, "cur/2.b:2,S", "Subject: b\n\n");
	l = changes(p->s, S("INBOX"), S_NONE);
	CHECK_INT(l->n, 2);
	a = l->v[0].num;
	b = l->v[1].num;
	CHECK_INT(l->v[1].rev, MAIL_SEEN);
	move_file(p->box, "new/1.a", "cur/1.a:2,"); /* what an IMAP server does first */
	l = changes(p->s, S("INBOX"), l->c.token);
	CHECK_INT(l->n + l->n_gone, 0);
	move_file(p->box, "cur/1.a:2,", "cur/1.a:2,FRS");
	unlink(tmp_path(p->box, "cur/2.b:2,S"));
	l = changes(p->s, S("INBOX"), l->c.token);
	CHECK_INT(l->n, 1);
	CHECK_INT(l->v[0].num, a);
	CHECK_INT(l->v[0].rev, MAIL_FLAGGED | MAIL_ANSWERED | MAIL_SEEN);
	CHECK_INT(l->n_gone, 1);
	CHECK_INT(l->gone[0], b);
	place_free(p);
}

CASE(local_flags_a_mail_that_moved_under_it)
{
	struct place *p = place_new();
	struct be_flag_change c = { .mask = MAIL_SEEN, .value = MAIL_SEEN };
	struct err e = { 0 };
	struct listed *l;
	uint32_t rev;

	write_file(p->box, "new/1.a", "Subject: a\n\n");
	l = changes(p->s, S("INBOX"), S_NONE);
	move_file(p->box, "new/1.a", "cur/1.a:2,FXz"); /* with letters nobody told us about */
	CHECK_INT(p->s->ops->set_flags(p->s, S("INBOX"), l->v[0].num, &c, &rev, &e), BE_OK);
	CHECK_INT(rev, MAIL_SEEN | MAIL_FLAGGED);
	CHECK_STR(read_file(p->box, "cur/1.a:2,FSXz"), "Subject: a\n\n");
	place_free(p);
}

CASE(local_reads_bare_line_ends_as_network_ones)
{
	struct place *p = place_new();
	struct be_head h;
	struct listed *l;
	struct err e;
	uint64_t num;
	size_t n;

	write_file(p->box, "new/1.a", "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\nline\n--b\n\ntwo\n--b--\n");
	l = changes(p->s, S("INBOX"), S_NONE);
	num = l->v[0].num;
	CHECK_STR(whole(p->s, S("INBOX"), num, "1"), "one\r\nline");
	CHECK_STR(whole(p->s, S("INBOX"), num, "2"), "two");
	CHECK_INT(p->s->ops->heads(p->s, S("INBOX"), &num, 1, test_arena(), &h, &n, &e), BE_OK);
	CHECK_STR(h.headers, "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
	CHECK_INT(h.size, whole(p->s, S("INBOX"), num, "").len);
	place_free(p);
}

CASE(local_ignores_what_is_no_mail)
{
	struct place *p = place_new();
	struct listed *l;

	make_dir(p->box, "cur/a directory");
	make_dir(p->box, ".no-cur-inside");
	make_dir(p->box, ".&AA-/cur");
	make_dir(p->box, "..hidden/cur");
	write_file(p->box, "new/.hidden", "x");
	write_file(p->box, "new/two\nlines", "x");
	CHECK(symlink("/etc/passwd", tmp_path(p->box, "new/9.link")) == 0);
	write_file(p->box, "new/1.a b c", "Subject: blanks in the name\n\n");
	write_file(p->box, "new/2.empty", "");
	l = changes(p->s, S("INBOX"), S_NONE);
	CHECK_INT(l->n, 2);
	CHECK_INT(whole(p->s, S("INBOX"), l->v[1].num, "").len, 0);
	restart(p);
	CHECK_INT(changes(p->s, S("INBOX"), S_NONE)->v[0].num, l->v[0].num);
	{
		struct be_folder *f;
		struct err e;
		size_t n;

		CHECK_INT(p->s->ops->folders(p->s, test_arena(), &f, &n, &e), BE_OK);
		CHECK_INT(n, 5);
	}
	place_free(p);
}

/* -- the list of UIDs -- */

CASE(local_reads_and_extends_a_list_of_dovecot)
{
	struct place *p = place_new();
	struct listed *l;

	write_file(p->box, "dovecot-uidlist",
		   "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
		   "25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n"
		   "25017 W2481 :1276533073.M242911P3632.kurkku:2,F\n");
	write_file(p->box, "dovecot-keywords", "0 Red_One\n1 $Forwarded\n");
	write_file(p->box, "cur/1276528487.M364837P9451.kurkku,S=1355,W=1394:2,Sa", "A: b\n\n");
	write_file(p->box, "cur/1276533073.M242911P3632.kurkku:2,b", "A: b\n\n");
	write_file(p->box, "new/1276533999.new", "A: b\n\n");
	l = changes(p->s, S("INBOX"), S_NONE);
	CHECK_INT(l->c.identity, 1275660208);
	CHECK_INT(l->n, 3);
	CHECK_INT(l->v[0].num, 25006);
	CHECK_INT(l->v[0].rev, mail_rev(MAIL_SEEN, &S("Red One"), 1));
	CHECK_INT(l->v[1].num, 25017);
	CHECK_INT(l->v[1].rev, MAIL_FORWARDED);
	CHECK_INT(l->v[2].num, 25022);
	CHECK_STR(read_file(p->box, "dovecot-uidlist"),
		  "3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n"
		  "25006 :1276528487.M364837P9451.kurkku,S=1355,W=1394:2,\n"
		  "25017 W2481 :1276533073.M242911P3632.kurkku:2,F\n"
		  "25022 :1276533999.new\n");
	place_free(p);
}

CASE(local_mends_a_torn_list_and_keeps_its_numbers)
{
	struct place *p = place_new();
	struct listed *l;

	write_file(p->box, "cur/1.a:2,", "A: a\n\n");
	write_file(p->box, "cur/2.b:2,", "A: b\n\n");
	write_file(p->box, "cur/3.c:2,", "A: c\n\n");
	write_file(p->box, "dovecot-uidlist", "3 V77 N10\n7 :1.a\n8 :2.b\n9 :3"); /* the machine stopped here */
	l = changes(p->s, S("INBOX"), S_NONE);
	CHECK_INT(l->c.identity, 77);
	CHECK_INT(l->n, 3);
	CHECK_INT(l->v[0].num, 7);
	CHECK_INT(l->v[1].num, 8);
	CHECK(l->v[2].num >= 10); /* 9 was promised to somebody, perhaps */
	CHECK(slice_starts(read_file(p->box, "dovecot-uidlist"), S("3 V77 N11\n7 :1.a\n8 :2.b\n10 :3.c\n")));
	place_free(p);
}

CASE(local_makes_a_broken_list_anew)
{
	static const char *const bad[] = { "", "nonsense\n", "3 V0 N1\n", "3 V5\n", "3 V5 N9\n8 :a\n7 :b\n", "3 V5 N4294967295\n",
					   "3 V5 N9\n0 :a\n", "3 V5 N9\n8 no-name\n", "1 5 9\n", "3 V5 N9\n99999999999 :1.a\n" };
	struct place *p = place_new();

	write_file(p->box, "cur/1.a:2,", "A: a\n\n");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct listed *l;

		write_file(p->box, "dovecot-uidlist", bad[i]);
		l = changes(p->s, S("INBOX"), S_NONE);
		CHECK_INT(l->n, 1);
		CHECK(l->c.identity > 1000000 && l->v[0].num == 1);
	}
	place_free(p);
}

CASE(local_follows_a_list_that_somebody_made_anew)
{
	struct place *p = place_new();
	struct listed *l, *l2;

	write_file(p->box, "cur/1.a:2,", "A: a\n\n");
	l = changes(p->s, S("INBOX"), S_NONE);
	write_file(p->box, "dovecot-uidlist", "3 V4242 N50\n49 :1.a\n");
	l2 = changes(p->s, S("INBOX"), l->c.token);
	CHECK(l2->c.full);
	CHECK_INT(l2->c.identity, 4242);
	CHECK_INT(l2->n, 1);
	CHECK_INT(l2->v[0].num, 49);
	place_free(p);
}

CASE(local_rewrites_a_list_full_of_dead_lines)
{
	struct place *p = place_new();
	char text[16384] = "3 V9 N401\n";
	struct listed *l;

	for (int i = 1; i <= 400; i++)
		sprintf(text + strlen(text), "%d :%d.x\n", i, i);
	write_file(p->box, "dovecot-uidlist", text);
	write_file(p->box, "cur/7.x:2,S", "A: a\n\n");
	write_file(p->box, "new/900.fresh", "A: a\n\n");
	l = changes(p->s, S("INBOX"), S_NONE);
	CHECK_INT(l->n, 2);
	CHECK_INT(l->v[1].num, 401);
	CHECK_STR(read_file(p->box, "dovecot-uidlist"), "3 V9 N402\n7 :7.x\n401 :900.fresh\n");
	place_free(p);
}

CASE(local_takes_over_the_lock_of_a_dead_process_and_waits_for_a_living_one)
{
	struct place *p = place_new();
	char host[64], text[128];
	struct be_changes_ask ask = { .folder = S("INBOX") };
	struct listed l = { .n = 0 };
	struct be_changes_sink sink = { list_item, list_gone, &l };
	struct err e = { 0 };

	gethostname(host, sizeof(host));
	write_file(p->box, "new/1.a", "A: a\n\n");
	snprintf(text, sizeof(text), "%d:%s", 1 << 22, host); /* beyond pid_max of any machine */
	write_file(p->box, "dovecot-uidlist.lock", text);
	CHECK_INT(changes(p->s, S("INBOX"), S_NONE)->n, 1);
	write_file(p->box, "new/2.b", "A: a\n\n");
	snprintf(text, sizeof(text), "%ld:%s", (long)getppid(), host);
	write_file(p->box, "dovecot-uidlist.lock", text);
	p->s->ops->set_deadline(p->s, clock_now(&clock_system) + 50);
	CHECK_INT(p->s->ops->changes(p->s, &ask, &sink, test_arena(), &l.c, &e), BE_TEMP);
	CHECK_INT(e.code, ERR_TIMEOUT);
	unlink(tmp_path(p->box, "dovecot-uidlist.lock"));
	p->s->ops->set_deadline(p->s, clock_now(&clock_system) + 5000);
	CHECK_INT(changes(p->s, S("INBOX"), S_NONE)->n, 2);
	/* Our own pid, left by a predecessor of the same number. */
	snprintf(text, sizeof(text), "%ld:%s", (long)getpid(), host);
	write_file(p->box, "dovecot-uidlist.lock", text);
	write_file(p->box, "new/3.c", "A: a\n\n");
	CHECK_INT(changes(p->s, S("INBOX"), S_NONE)->n, 3);
	place_free(p);
}

CASE(local_servers_share_one_tree)
{
	struct place *p = place_new();
	struct backend *b2 = open_server(p);
	struct session *s2 = log_in(b2);
	struct listed *l, *l2;
	uint64_t num;
	struct err e;

	for (int i = 0; i < 10; i++) {
		struct blob *m = blob_new(0);
		struct session *s = i % 2 ? s2 : p->s;

		blob_append(m, "A: b\r\n\r\n", 8, NULL);
		CHECK_INT(s->ops->append(s, S("INBOX"), m, i % 3 ? MAIL_SEEN : 0, 0, &num, &e), BE_OK);
		CHECK_INT(num, i + 1);
		blob_free(&m);
	}
	l = changes(p->s, S("INBOX"), S_NONE);
	l2 = changes(s2, S("INBOX"), l->c.token); /* the other one's token */
	CHECK_INT(l->n, 10);
	CHECK(!l2->c.full);
	CHECK_INT(l2->n, 0);
	num = 3;
	CHECK_INT(s2->ops->remove(s2, S("INBOX"), &num, 1, &e), BE_OK);
	l = changes(p->s, S("INBOX"), l->c.token);
	CHECK(!l->c.full && l->n_gone == 1 && l->gone[0] == 3);
	l2 = changes(s2, S("INBOX"), l2->c.token);
	CHECK(!l2->c.full && l2->n_gone == 1);
	s2->ops->logout(&s2);
	b2->ops->close(&b2);
	place_free(p);
}

CASE(local_journal_that_is_too_old_is_a_full_listing)
{
	struct place *p = place_new();
	struct listed *l;
	struct md_cache c;
	struct maildir *m;
	struct arena *a = test_arena();
	struct slice token;
	uint64_t modseq;
	struct err e;

	write_file(p->box, "cur/1.a:2,", "A: a\n\n");
	l = changes(p->s, S("INBOX"), S_NONE);
	md_cache_init(&c, &clock_system, &rnd_system);
	m = md_acquire(&c, p->box);
	CHECK_INT(md_sync(m, INT64_MAX, &e), BE_OK);
	token = md_token(m, a);
	CHECK_INT(md_token_read(m, token, &modseq), MD_NOTHING);
	CHECK_INT(md_token_read(m, l->c.token, &modseq), MD_NOTHING); /* of another memory, same sum */
	md_set(m, md_find(m, l->v[0].num), MAIL_SEEN, 0, &e);
	CHECK_INT(md_token_read(m, token, &modseq), MD_JOURNAL);
	CHECK_INT(md_token_read(m, l->c.token, &modseq), MD_FULL);
	m->journal_from = m->modseq;
	CHECK_INT(md_token_read(m, token, &modseq), MD_FULL);
	md_release(&c, &m);
	md_cache_deinit(&c);
	place_free(p);
}

/* -- folders, submission, accounts -- */

CASE(local_lists_a_parent_that_is_only_a_name)
{
	struct place *p = place_new();
	struct be_folder *f;
	struct err e;
	bool seen = false;
	size_t n;

	make_dir(p->box, ".Work.2026.Q&-A/cur");
	CHECK_INT(p->s->ops->folders(p->s, test_arena(), &f, &n, &e), BE_OK);
	CHECK_INT(n, 8);
	for (size_t i = 0; i < n; i++)
		if (slice_eq(f[i].path, S("Work/2026"))) {
			CHECK(!f[i].selectable && slice_eq(f[i].parent, S("Work")));
			CHECK(f[i + 1].selectable && slice_eq(f[i + 1].path, S("Work/2026/Q&A")));
			seen = true;
		}
	CHECK(seen);
	place_free(p);
}

CASE(local_refuses_addresses_that_could_break_a_header)
{
	struct place *p = place_new();
	struct slice rcpt[] = { S("eva@example.org") }, bad[] = { S("eva@example.org"), S("a@b>\r\nX: y") };
	struct be_submit m = { .from = S("x\r\nBcc: all@example.org"), .rcpt = rcpt, .n_rcpt = 1, .mail = blob_new(0) };
	struct err e = { 0 };

	blob_append(m.mail, "A: b\r\n\r\n", 8, NULL);
	CHECK_INT(p->s->ops->submit(p->s, &m, &e), BE_PERM);
	CHECK_INT(e.code, ERR_FORBIDDEN);
	m.from = S("eva@example.org");
	m.rcpt = bad;
	m.n_rcpt = 2;
	CHECK_INT(p->s->ops->submit(p->s, &m, &e), BE_PERM);
	CHECK_INT(changes(p->s, S("INBOX"), S_NONE)->n, 0);
	m.rcpt = rcpt;
	m.n_rcpt = 1;
	CHECK_INT(p->s->ops->submit(p->s, &m, &e), BE_OK);
	CHECK_STR(whole(p->s, S("INBOX"), 1, ""), "Return-Path: <eva@example.org>\r\nA: b\r\n\r\n");
	blob_free(&m.mail);
	place_free(p);
}

CASE(local_accounts_are_read_again_and_bad_lines_skipped)
{
	struct place *p = place_new();
	struct accounts *l = accounts_new(p->users);
	struct account acc;
	struct err e = { 0 };

	CHECK_INT(accounts_check(l, S("EVA"), S("pw"), test_arena(), &acc, &e), BE_OK);
	CHECK_STR(acc.display, "Eva");
	CHECK_INT(accounts_check(l, S("eva@example.org"), S("pw"), test_arena(), &acc, &e), BE_OK);
	CHECK_STR(acc.name, "eva");
	write_file(p->dir, "users", "# nothing\nbad\n../x:{PBKDF2-SHA256}1$s$x:a:b\neva:{PLAIN}pw:a:b\neva:{PBKDF2-SHA256}0$s$AA:a:b\n");
	CHECK_INT(accounts_check(l, S("eva"), S("pw"), test_arena(), &acc, &e), BE_PERM);
	CHECK_INT(e.code, ERR_AUTH);
	unlink(p->users);
	CHECK_INT(accounts_check(l, S("eva"), S("pw"), test_arena(), &acc, &e), BE_PERM);
	accounts_free(&l);
	place_free(p);
}

static void count_account(void *arg, struct slice name, struct slice address, struct slice display)
{
	++*(int *)arg;
}

CASE(local_accounts_can_be_added_changed_and_removed)
{
	struct place *p = place_new();
	struct accounts *l = accounts_new(p->users);
	struct account acc;
	struct err e = { 0 };
	int n = 0;

	CHECK(local_user_add(p->users, S("tom"), S("geheim"), S("tom@example.org"), S("Tom: the cat"), &rnd_system, &e) == 0);
	CHECK_INT(accounts_check(l, S("tom"), S("geheim"), test_arena(), &acc, &e), BE_OK);
	CHECK_STR(acc.display, "Tom: the cat");
	CHECK(local_user_add(p->users, S("TOM"), S("x"), S_NONE, S_NONE, &rnd_system, &e) < 0);
	CHECK_INT(e.code, ERR_EXISTS);
	CHECK(local_user_password(p->users, S("tom"), S("neu"), &rnd_system, &e) == 0);
	CHECK_INT(accounts_check(l, S("tom"), S("geheim"), test_arena(), &acc, &e), BE_PERM);
	CHECK_INT(accounts_check(l, S("tom"), S("neu"), test_arena(), &acc, &e), BE_OK);
	CHECK_STR(acc.address, "tom@example.org");
	CHECK_INT(accounts_check(l, S("eva"), S("pw"), test_arena(), &acc, &e), BE_OK);
	CHECK(local_user_add(p->users, S("../tom"), S("x"), S_NONE, S_NONE, &rnd_system, &e) < 0);
	CHECK(local_user_add(p->users, S("jo"), S("x"), S("a:b"), S_NONE, &rnd_system, &e) < 0);
	CHECK(local_user_add(p->users, S("jo"), S("x"), S_NONE, S("two\nlines"), &rnd_system, &e) < 0);
	CHECK_INT(e.code, ERR_BAD_REQUEST);
	CHECK(local_user_list(p->users, count_account, &n, &e) == 0);
	CHECK_INT(n, 2);
	CHECK(local_user_remove(p->users, S("tom"), &e) == 0);
	CHECK(local_user_remove(p->users, S("tom"), &e) < 0);
	CHECK_INT(e.code, ERR_NOT_FOUND);
	CHECK(!memmem(read_file(p->dir, "users").ptr, read_file(p->dir, "users").len, "tom", 3));
	accounts_free(&l);
	place_free(p);
}

CASE(local_first_start_makes_one_account_with_mail_once)
{
	struct place *p = place_new();
	struct settings *set = settings_new();
	struct be_env env = { .settings = set, .clock = &clock_system, .rnd = &rnd_system };
	struct local_first f, again;
	struct be_cred c;
	struct backend *b;
	struct session *s;
	struct be_head h[16];
	struct listed *l;
	struct err e = { 0 };
	uint64_t nums[16];
	size_t n;

	CHECK(settings_set(set, S("server.data_dir"), slice_str(tmp_path(p->dir, "fresh/data")), "test", &e) == 0);
	if (local_setup(set, &rnd_system, &f, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	CHECK(f.made && strlen(f.password) == 12);
	CHECK(local_setup(set, &rnd_system, &again, &e) == 0);
	CHECK(!again.made);
	CHECK(local_backend_ops.open(&b, &env, &e) == 0);
	c = (struct be_cred){ .user = slice_str(f.user), .login = slice_str(f.user), .password = slice_str(f.password) };
	CHECK_INT(b->ops->login(b, &c, clock_now(&clock_system) + 20000, &s, &e), BE_OK);
	l = changes(s, S("INBOX"), S_NONE);
	CHECK_INT(l->n, 5);
	for (size_t i = 0; i < l->n; i++)
		nums[i] = l->v[i].num;
	CHECK_INT(s->ops->heads(s, S("INBOX"), nums, 5, test_arena(), h, &n, &e), BE_OK);
	CHECK_INT(n, 5);
	CHECK(mime_is(&h[0].tree->v[0], "multipart", "related") && mime_find(h[0].tree, "image", "png") != MIME_NONE);
	CHECK(mime_is(&h[1].tree->v[0], "multipart", "mixed") && mime_is(&h[3].tree->v[0], "multipart", "alternative"));
	CHECK(!memmem(h[4].headers.ptr, h[4].headers.len, "@TO@", 4));
	s->ops->logout(&s);
	b->ops->close(&b);
	settings_unref(&set);
	place_free(p);
}

/* -- size -- */

static double ms_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) * 1e3 + (double)(now.tv_nsec - t->tv_nsec) / 1e6;
}

static int count_item(void *arg, const struct be_item *it)
{
	++*(size_t *)arg;
	return 0;
}

/* Prints times; asserts only what does not depend on the machine: that nothing is
 * quadratic (a minute would not be enough) and that "nothing new" reads no directory. */
CASE(local_large_folder)
{
	enum { MAILS = 20000 };
	struct place *p = place_new();
	size_t n = 0, big = getenv("LOCAL_MAILS") ? (size_t)atol(getenv("LOCAL_MAILS")) : MAILS;
	struct be_changes_sink sink = { count_item, list_gone, &n };
	struct be_changes_ask ask = { .folder = S("INBOX") };
	struct be_changes c;
	struct timespec t;
	struct err e;
	uint64_t nums[100];
	struct be_head *h = arena_alloc(test_arena(), 100 * sizeof(*h));

	for (size_t i = 0; i < big; i++) {
		char name[64];

		snprintf(name, sizeof(name), "cur/%zu.M%zuP1.host:2,S", 1700000000 + i, i);
		write_file(p->box, name, "From: a@b\nSubject: x\n\nhello\n");
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	CHECK_INT(p->s->ops->changes(p->s, &ask, &sink, test_arena(), &c, &e), BE_OK);
	printf("  %zu mails: first look %.1f ms", n, ms_since(&t));
	CHECK_INT(n, big);
	/* The stamps of the directory get old enough to be believed. */
	for (int i = 0; i < 2; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 150 * 1000000 }, NULL);
		ask.token = c.token;
		clock_gettime(CLOCK_MONOTONIC, &t);
		CHECK_INT(p->s->ops->changes(p->s, &ask, &sink, test_arena(), &c, &e), BE_OK);
	}
	printf(", nothing new %.3f ms", ms_since(&t));
	CHECK_INT(n, big);
	ask.token = c.token;
	restart(p);
	clock_gettime(CLOCK_MONOTONIC, &t);
	CHECK_INT(p->s->ops->changes(p->s, &ask, &sink, test_arena(), &c, &e), BE_OK);
	printf(", after a restart %.3f ms", ms_since(&t));
	CHECK_INT(n, big);
	CHECK(!c.full);
	write_file(p->box, "new/1900000000.x", "A: b\n\n");
	clock_gettime(CLOCK_MONOTONIC, &t);
	CHECK_INT(p->s->ops->changes(p->s, &ask, &sink, test_arena(), &c, &e), BE_OK);
	printf(", restart and a delivery %.1f ms", ms_since(&t));
	ask.token = c.token;
	write_file(p->box, "new/1900000001.x", "A: b\n\n");
	n = 0;
	clock_gettime(CLOCK_MONOTONIC, &t);
	CHECK_INT(p->s->ops->changes(p->s, &ask, &sink, test_arena(), &c, &e), BE_OK);
	printf(", a delivery %.1f ms", ms_since(&t));
	CHECK_INT(n, 1);
	for (size_t i = 0; i < 100; i++)
		nums[i] = big - 99 + i;
	clock_gettime(CLOCK_MONOTONIC, &t);
	CHECK_INT(p->s->ops->heads(p->s, S("INBOX"), nums, 100, test_arena(), h, &n, &e), BE_OK);
	printf(", 100 heads %.2f ms\n", ms_since(&t));
	CHECK_INT(n, 100);
	place_free(p);
}
