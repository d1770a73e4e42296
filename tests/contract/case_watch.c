/* case_watch.c - a watch tells of each kind of change, and of nothing else; and
 * several workers in one folder at a time. */
#include "contract/contract.h"

#include <poll.h>
#include <pthread.h>

enum { SOON_MS = 5000, QUIET_MS = 60 };

struct events {
	struct slice user, folder; /* expected */
	unsigned here, list, elsewhere, strangers;
};

static void on_event(void *arg, struct slice user, struct slice folder)
{
	struct events *ev = arg;

	if (!slice_eq(user, ev->user))
		ev->strangers++;
	else if (folder.len == 0)
		ev->list++;
	else if (slice_eq(folder, ev->folder))
		ev->here++;
	else
		ev->elsewhere++;
}

struct watching {
	struct watch *w;
	int fd;
	enum be_watch_kind kind;
	struct events ev;
};

static void open_watch(struct world *w, struct watching *wt)
{
	struct err e = { 0 };
	size_t missed = 9;

	*wt = (struct watching){ .fd = -1, .ev = { .user = w->cred[0].user, .folder = w->folder } };
	if (w->s->ops->watch_open(&w->s, &w->folder, 1, clock_now(&clock_system) + SOON_MS, &wt->w, &wt->fd, &wt->kind, &missed,
				  &e) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	CHECK(w->s == NULL && wt->w != NULL);
	CHECK_INT(missed, 0);
	CHECK(wt->kind != BE_WATCH_NONE);
	CHECK((wt->fd < 0) == w->by_source);
	w->s = log_in(w, w->b, 0);
}

/* Reads what comes within ms; ends early when something came (and a little more quiet). */
static void gather(struct world *w, struct watching *wt, int ms)
{
	int64_t until = clock_now(&clock_system) + ms;
	struct err e;

	for (;;) {
		int64_t left = until - clock_now(&clock_system);
		struct pollfd p = { .fd = wt->fd >= 0 ? wt->fd : w->b->ops->source_fd(w->b), .events = POLLIN };

		CHECK(p.fd >= 0);
		if (left < 0 || poll(&p, 1, (int)left) <= 0)
			return;
		if (wt->fd >= 0)
			CHECK_INT(wt->w->ops->watch_read(wt->w, on_event, &wt->ev, &e), BE_OK);
		else
			while (w->b->ops->source_read(w->b, on_event, &wt->ev))
				;
		if (wt->ev.here || wt->ev.list)
			until = clock_now(&clock_system) + QUIET_MS;
	}
}

static void expect(struct world *w, struct watching *wt, const char *what)
{
	wt->ev.here = wt->ev.list = 0;
	gather(w, wt, SOON_MS);
	if (!wt->ev.here)
		test_fail(__FILE__, __LINE__, "no event after %s", what);
	CHECK_INT(wt->ev.strangers, 0);
}

CONTRACT(a_watch_tells_of_each_kind_of_change)
{
	struct slice other = make_folder(w, w->folder, "other"), red[] = { S("Red") };
	uint64_t a, b, c;
	struct watching wt;

	b = put(w, w->other, other, plain_mail(w, "b", "b", "b"));
	open_watch(w, &wt);
	gather(w, &wt, QUIET_MS);
	CHECK_INT(wt.ev.here + wt.ev.list + wt.ev.elsewhere + wt.ev.strangers, 0);
	a = put(w, w->other, w->folder, plain_mail(w, "a", "a", "a"));
	expect(w, &wt, "a delivery");
	flag(w, w->other, w->folder, a, MAIL_SEEN, MAIL_SEEN);
	expect(w, &wt, "a flag");
	categories(w, w->other, w->folder, a, red, 1);
	expect(w, &wt, "a category");
	c = move_one(w, w->other, other, b, w->folder);
	expect(w, &wt, "a move in");
	move_one(w, w->other, w->folder, c, other);
	expect(w, &wt, "a move out");
	remove_one(w, w->other, w->folder, a);
	expect(w, &wt, "a removal");
	if (w->by_source)
		CHECK_INT(wt.ev.elsewhere, 0);
	wt.w->ops->watch_close(&wt.w);
	CHECK(wt.w == NULL);
}

CONTRACT(reading_is_no_event)
{
	uint64_t a = put(w, w->other, w->folder, plain_mail(w, "a", "a", "a"));
	struct watching wt;
	struct be_head h;
	struct seen l;

	look(w, w->s, w->folder, S_NONE, 0, &l);
	open_watch(w, &wt);
	look(w, w->s, w->folder, l.c.token, 0, &l);
	look(w, w->s, w->folder, S_NONE, 0, &l);
	CHECK(head_of(w, w->s, w->folder, a, &h));
	read_part(w, w->s, w->folder, a, "");
	gather(w, &wt, QUIET_MS);
	CHECK_INT(wt.ev.here + wt.ev.list + wt.ev.elsewhere, 0);
	wt.w->ops->watch_close(&wt.w);
}

CONTRACT(a_new_folder_is_an_event_for_the_list)
{
	struct watching wt;
	struct slice path, name = unique(w, "fresh");
	struct err e = { 0 };

	if (!w->by_source)
		contract_skip(w, "IMAP tells of folders by NOTIFY only");
	open_watch(w, &wt);
	CHECK_INT(w->other->ops->folder_create(w->other, w->folder, name, FOLDER_USER_MAIL, w->a, &path, &e), BE_OK);
	gather(w, &wt, SOON_MS);
	CHECK(wt.ev.list > 0);
	wt.ev.list = 0;
	CHECK_INT(w->other->ops->folder_delete(w->other, path, &e), BE_OK);
	gather(w, &wt, SOON_MS);
	CHECK(wt.ev.list > 0);
	wt.w->ops->watch_close(&wt.w);
}

CONTRACT(nobody_hears_of_others_or_after_the_end)
{
	struct session *bob = log_in(w, w->b, 1);
	struct watching wt;
	struct slice elsewhere = make_folder(w, w->folder, "elsewhere");

	if (!w->by_source) {
		bob->ops->logout(&bob);
		contract_skip(w, "a connection of its own");
	}
	open_watch(w, &wt);
	put(w, bob, S("INBOX"), plain_mail(w, "x", "x", "x"));
	put(w, w->other, elsewhere, plain_mail(w, "x", "x", "x"));
	gather(w, &wt, QUIET_MS);
	CHECK_INT(wt.ev.here + wt.ev.list + wt.ev.elsewhere + wt.ev.strangers, 0);
	wt.w->ops->watch_close(&wt.w);
	put(w, w->other, w->folder, plain_mail(w, "x", "x", "x"));
	gather(w, &wt, QUIET_MS);
	CHECK_INT(wt.ev.here + wt.ev.list + wt.ev.elsewhere + wt.ev.strangers, 0);
	bob->ops->logout(&bob);
}

CONTRACT(two_watches_of_one_folder_live_and_end_alone)
{
	struct watching one, two;

	if (!w->by_source)
		contract_skip(w, "a connection of its own");
	open_watch(w, &one);
	open_watch(w, &two);
	one.w->ops->watch_close(&one.w);
	put(w, w->other, w->folder, plain_mail(w, "x", "x", "x"));
	expect(w, &two, "a delivery");
	two.w->ops->watch_close(&two.w);
}

CONTRACT(a_watch_counts_what_it_cannot_watch)
{
	struct slice f[] = { w->folder, S("no/such-folder") };
	enum be_watch_kind kind;
	struct watch *watch;
	struct err e = { 0 };
	size_t missed = 0;
	int fd;

	if (!w->by_source)
		contract_skip(w, "idle_folders decides");
	CHECK_INT(w->s->ops->watch_open(&w->s, f, 2, INT64_MAX, &watch, &fd, &kind, &missed, &e), BE_OK);
	CHECK_INT(missed, 1);
	watch->ops->watch_close(&watch);
}

/* -- several at once -- */

enum { WORKERS = 4, EACH = 12 };

struct worker {
	struct world *w;
	struct session *s;
	struct slice dst;
	uint64_t here[EACH];
	bool good;
};

/* No CHECK here: a failed one jumps, and only on its own thread. */
static void *work(void *arg)
{
	struct worker *k = arg;
	const struct backend_ops *ops = k->s->ops;
	struct err e;

	k->good = true;
	for (int i = 0; i < EACH; i++) {
		struct blob *b = blob_new(0);
		struct be_flag_change c = { .mask = MAIL_SEEN, .value = MAIL_SEEN };
		uint64_t num = 0, moved = 0;
		uint32_t rev;

		blob_append(b, "From: a@b\r\n\r\nx\r\n", 16, NULL);
		k->good &= ops->append(k->s, k->w->folder, b, 0, 0, &num, &e) == BE_OK;
		k->good &= ops->set_flags(k->s, k->w->folder, num, &c, &rev, &e) == BE_OK && rev == MAIL_SEEN;
		if (i % 2) {
			k->good &= ops->move(k->s, k->w->folder, &num, 1, k->dst, &moved, &e) == BE_OK && moved > 0;
			num = moved;
		}
		k->here[i] = num;
		blob_free(&b);
	}
	return NULL;
}

CONTRACT(workers_share_a_folder)
{
	struct slice dst = make_folder(w, w->folder, "dst");
	struct worker k[WORKERS];
	struct seen src_l, dst_l;
	pthread_t t[WORKERS];

	for (int i = 0; i < WORKERS; i++) {
		k[i] = (struct worker){ .w = w, .s = log_in(w, w->b, 0), .dst = dst };
		CHECK(pthread_create(&t[i], NULL, work, &k[i]) == 0);
	}
	for (int i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	look(w, w->s, w->folder, S_NONE, 0, &src_l);
	look(w, w->s, dst, S_NONE, 0, &dst_l);
	CHECK_INT(src_l.n, WORKERS * EACH / 2);
	CHECK_INT(dst_l.n, WORKERS * EACH / 2);
	for (int i = 0; i < WORKERS; i++) {
		CHECK(k[i].good);
		for (int n = 0; n < EACH; n++) {
			const struct be_item *it = seen_item(n % 2 ? &dst_l : &src_l, k[i].here[n]);

			CHECK(it && it->rev == MAIL_SEEN);
		}
		k[i].s->ops->logout(&k[i].s);
	}
}
