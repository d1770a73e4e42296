/* changes.c - what differs from a token. Worker; nothing is kept but gone ranges.
 *
 * Always a fresh SELECT and the FETCH behind it in one flush: one round trip
 * when nothing changed and when something did. (STATUS first would be one trip
 * only as long as nothing changed; NOOP in a selected folder saves Dovecot
 * nothing that could be measured and gives no UIDNEXT.)
 *   QRESYNC    UID FETCH 1:* (CHANGEDSINCE n VANISHED)
 *   CONDSTORE  UID FETCH 1:* (CHANGEDSINCE n); deletions by counting, and only
 *              when the count says so by UID SEARCH
 *   neither    all flags, full listing
 * A window (since_ms) is cut at days, so that a token of the same day still
 * fits; on another day the listing is full. Its old end is found by UID SEARCH
 * SINCE, in the same flush as SELECT, and mails are compared by INTERNALDATE.
 * Traps: new mail or flags that come between SELECT and FETCH may be listed, but
 * the token says what SELECT said, so they come again: twice, never never. */
#include <stdio.h>
#include <stdlib.h>

#include "backend/imap/imap.h"

enum { DAY_MS = 24 * 3600 * 1000, MAX_GONE = 200000 };

struct token {
	uint64_t uidvalidity, modseq, uidnext, count;
	int64_t day;
};

struct range {
	uint64_t first, last;
};

struct scan {
	struct imap_session *s;
	const struct be_changes_sink *sink;
	struct token old, now;
	bool delta;          /* items are reported against old */
	bool deaf;           /* answers are of no use: read and dropped */
	bool stopped;        /* the sink said so */
	int64_t start_ms;    /* of the window; 0: none */
	uint64_t last_uid, fresh; /* fresh: UIDs at or above old.uidnext */
	uint64_t lowest;     /* of SEARCH; 0: none */
	struct range *gone;
	size_t n_gone, cap_gone;
	bool overflow;
};

/* -- tokens: "1:uidvalidity:modseq:uidnext:count:day" -- */

static bool token_read(struct slice t, struct token *k)
{
	uint64_t v[6];
	struct slice part;
	int n = 0;

	while (n < 6 && slice_split(&t, ':', &part))
		if (!slice_u64(part, &v[n++]))
			return false;
	if (n != 6 || v[0] != 1 || t.len)
		return false;
	*k = (struct token){ .uidvalidity = v[1], .modseq = v[2], .uidnext = v[3], .count = v[4], .day = (int64_t)v[5] };
	return true;
}

static struct slice token_write(struct arena *a, const struct token *k)
{
	return arena_printf(a, "1:%llu:%llu:%llu:%llu:%lld", (unsigned long long)k->uidvalidity,
			    (unsigned long long)k->modseq, (unsigned long long)k->uidnext,
			    (unsigned long long)k->count, (long long)k->day);
}

/* -- answers -- */

static void add_gone(struct scan *c, uint64_t first, uint64_t last)
{
	if (!c->delta || c->deaf)
		return;
	if (c->n_gone && c->gone[c->n_gone - 1].last + 1 == first) {
		c->gone[c->n_gone - 1].last = last;
		return;
	}
	if (c->n_gone >= MAX_GONE) {
		c->overflow = true;
		return;
	}
	if (c->n_gone == c->cap_gone) {
		c->cap_gone = c->cap_gone ? c->cap_gone * 2 : 64;
		c->gone = mem_realloc(c->gone, c->cap_gone * sizeof(*c->gone));
	}
	c->gone[c->n_gone++] = (struct range){ first, last };
}

static void on_gone(void *arg, uint64_t first, uint64_t last)
{
	add_gone(arg, first, last);
}

static void on_fetch(void *arg, const struct imap_fetch *f)
{
	struct scan *c = arg;
	unsigned need = HAVE_UID | HAVE_FLAGS | HAVE_DATE; /* what was asked for: others come unasked */

	if ((f->have & need) != need || c->deaf || c->stopped)
		return;
	if (f->uid <= c->last_uid)
		return; /* again, out of order: the next call tells */
	c->last_uid = f->uid;
	if (f->uid >= c->old.uidnext && (!c->now.uidnext || f->uid < c->now.uidnext))
		c->fresh++;
	if (f->flags & MAIL_DELETED) {
		add_gone(c, f->uid, f->uid);
		return;
	}
	if (c->start_ms && f->date_ms && f->date_ms < c->start_ms)
		return;
	if (c->sink->item(c->sink->arg, &(struct be_item){ .num = f->uid, .rev = imap_rev(f), .date_ms = f->date_ms }) < 0)
		c->stopped = true;
}

static void on_lowest(void *arg, uint64_t uid)
{
	struct scan *c = arg;

	if (uid && (!c->lowest || uid < c->lowest))
		c->lowest = uid;
}

/* -- delta -- */

static unsigned fetch_changed(struct scan *c)
{
	bool vanished = (c->s->enabled & CAP_QRESYNC) != 0;
	unsigned tag = imap_cmd(c->s, "UID FETCH 1:* (UID FLAGS INTERNALDATE) (CHANGEDSINCE %llu%s)",
				(unsigned long long)c->old.modseq, vanished ? " VANISHED" : "");

	imap_end(c->s);
	return tag;
}

/* UIDs that are there, sorted by the server or not: what lies between is gone. */
struct present {
	uint64_t *v;
	size_t n, cap;
};

static void on_present(void *arg, uint64_t uid)
{
	struct present *p = arg;

	if (p->n == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 1024;
		p->v = mem_realloc(p->v, p->cap * sizeof(*p->v));
	}
	p->v[p->n++] = uid;
}

static int by_uid(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void gaps_are_gone(struct scan *c, struct present *p)
{
	uint64_t next = 1;

	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), by_uid);
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i] > next)
			add_gone(c, next, p->v[i] - 1);
		if (p->v[i] >= next)
			next = p->v[i] + 1;
	}
	if (c->old.uidnext > next)
		add_gone(c, next, c->old.uidnext - 1);
}

/* Without VANISHED: did the count fall short? Then see who is missing. */
static enum be_result find_gone(struct scan *c, struct err *e)
{
	struct present p = { 0 };
	const struct imap_handlers h = { .arg = &p, .search = on_present };
	enum be_result r;
	unsigned tag;

	if (c->s->enabled & CAP_QRESYNC || c->now.count == c->old.count + c->fresh)
		return BE_OK;
	imap_set_handlers(c->s, &h);
	tag = imap_cmd(c->s, "UID SEARCH ALL");
	imap_end(c->s);
	r = imap_ok(c->s, tag, "SEARCH", e);
	if (r == BE_OK)
		gaps_are_gone(c, &p);
	free(p.v);
	return r;
}

static int by_first(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static void report_gone(struct scan *c)
{
	if (c->n_gone)
		qsort(c->gone, c->n_gone, sizeof(*c->gone), by_first);
	for (size_t i = 0; i < c->n_gone && !c->stopped; i++)
		if (c->sink->gone(c->sink->arg, c->gone[i].first, c->gone[i].last) < 0)
			c->stopped = true;
}

/* -- the two ways -- */

static void note_selected(struct scan *c)
{
	const struct imap_selected *sel = &c->s->sel;

	c->now.uidvalidity = sel->uidvalidity;
	c->now.modseq = sel->no_modseq ? 0 : sel->modseq;
	c->now.uidnext = sel->uidnext;
	c->now.count = sel->exists;
}

static bool delta_holds(const struct scan *c)
{
	if (c->now.uidvalidity != c->old.uidvalidity || c->now.modseq == 0 || c->now.modseq < c->old.modseq)
		return false;
	return (c->s->enabled & CAP_QRESYNC) || (c->now.uidnext && c->old.uidnext);
}

/* BE_OK with c->delta cleared: it cannot be told that way. */
static enum be_result try_delta(struct scan *c, struct slice folder, struct err *e)
{
	const struct imap_handlers h = { .arg = c, .fetch = on_fetch, .gone = on_gone };
	unsigned sel, fetch;
	struct imap_done d;
	enum be_result r;

	imap_set_handlers(c->s, &h);
	c->deaf = true; /* until SELECT said that the token is of this folder */
	sel = select_cmd(c->s, folder, true);
	fetch = fetch_changed(c);
	r = select_done(c->s, sel, folder, e);
	note_selected(c);
	c->deaf = r != BE_OK || !delta_holds(c);
	if (c->s->w.failed)
		return BE_TEMP;
	if (imap_wait(c->s, fetch, &d, r == BE_OK ? e : NULL) != BE_OK)
		return BE_TEMP;
	if (r != BE_OK)
		return r;
	c->delta = !c->deaf && d.status == IMAP_OK;
	if (c->delta)
		r = find_gone(c, e);
	if (r == BE_OK && c->delta && !c->overflow)
		report_gone(c);
	c->delta = c->delta && !c->overflow;
	return r;
}

static enum be_result fetch_all(struct scan *c, uint64_t from, struct err *e)
{
	struct imap_done d;
	unsigned tag = imap_cmd(c->s, "UID FETCH %llu:* (UID FLAGS INTERNALDATE)", (unsigned long long)from);

	imap_end(c->s);
	if (imap_wait(c->s, tag, &d, e) != BE_OK)
		return BE_TEMP;
	/* Some servers find 1:* of nothing wrong. */
	return d.status == IMAP_OK || c->now.count == 0 ? BE_OK : imap_refused(&d, "FETCH", e);
}

static enum be_result search_since(struct scan *c, unsigned *tag_r)
{
	char day[16];

	/* A day earlier: SINCE compares in the server's zone. */
	imap_day_format(c->start_ms - DAY_MS, day);
	*tag_r = imap_cmd(c->s, "UID SEARCH SINCE %s", day);
	imap_end(c->s);
	return BE_OK;
}

static enum be_result list_window(struct scan *c, struct slice folder, unsigned sel, struct err *e)
{
	unsigned search = 0;
	struct imap_done d;
	enum be_result r;

	search_since(c, &search);
	r = select_done(c->s, sel, folder, e);
	if (c->s->w.failed)
		return BE_TEMP;
	note_selected(c);
	if (imap_wait(c->s, search, &d, r == BE_OK ? e : NULL) != BE_OK)
		return BE_TEMP;
	if (r == BE_OK && d.status != IMAP_OK)
		c->lowest = 1; /* no search: all, compared by date */
	if (r == BE_OK && c->lowest)
		r = fetch_all(c, c->lowest, e);
	return r;
}

static enum be_result list_whole(struct scan *c, struct slice folder, unsigned sel, struct err *e)
{
	unsigned tag = imap_cmd(c->s, "UID FETCH 1:* (UID FLAGS INTERNALDATE)");
	struct imap_done d;
	enum be_result r;

	imap_end(c->s);
	r = select_done(c->s, sel, folder, e);
	if (c->s->w.failed)
		return BE_TEMP;
	note_selected(c);
	if (imap_wait(c->s, tag, &d, r == BE_OK ? e : NULL) != BE_OK)
		return BE_TEMP;
	if (r == BE_OK && d.status != IMAP_OK && c->now.count)
		r = imap_refused(&d, "FETCH", e);
	return r;
}

static enum be_result list_full(struct scan *c, struct slice folder, struct err *e)
{
	const struct imap_handlers h = { .arg = c, .fetch = on_fetch, .search = on_lowest };
	unsigned sel;

	imap_set_handlers(c->s, &h);
	c->deaf = c->delta = false;
	c->last_uid = 0;
	sel = select_cmd(c->s, folder, true);
	return c->start_ms ? list_window(c, folder, sel, e) : list_whole(c, folder, sel, e);
}

enum be_result imap_changes(struct session *base, const struct be_changes_ask *ask, const struct be_changes_sink *sink,
			    struct arena *a, struct be_changes *c_r, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	uint64_t trips = stream_round_trips(s->w.s);
	struct scan c = { .s = s, .sink = sink };
	enum be_result r = BE_OK;

	c.now.day = ask->since_ms > 0 ? ask->since_ms / DAY_MS : 0;
	c.start_ms = c.now.day * DAY_MS;
	c.delta = token_read(ask->token, &c.old) && c.old.modseq && c.old.day == c.now.day && imap_has(s, CAP_CONDSTORE);
	if (c.delta)
		r = try_delta(&c, ask->folder, e);
	if (r == BE_OK && !c.delta && !c.stopped) {
		c_r->full = true;
		r = list_full(&c, ask->folder, e);
	} else {
		c_r->full = false;
	}
	imap_set_handlers(s, NULL);
	free(c.gone);
	c_r->token = token_write(a, &c.now);
	c_r->identity = c.now.uidvalidity;
	c_r->round_trips = stream_round_trips(s->w.s) - trips;
	return c.stopped ? BE_TEMP : r;
}
