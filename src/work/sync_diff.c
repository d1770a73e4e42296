/* sync_diff.c - listings against what the phone knows. Worker; pure but for the
 * backend it is given. Traps: a delta names items outside the window; a full
 * listing that ended early must never be read as "all deleted" (the backend's
 * contract: it returns an error then). */
#include "work/sync_diff.h"

#define DAY_MS (24 * 3600 * 1000LL)

int64_t sync_since(int filter, int64_t wall_ms)
{
	static const int days[] = { 0, 1, 3, 7, 14, 30, 90, 180 };
	int64_t today = wall_ms / DAY_MS;

	if (filter <= 0 || filter > 7)
		return 0;
	return (today - days[filter]) * DAY_MS;
}

struct diff {
	const struct sync_look *k;
	struct colstate *st;
	struct snapshot listed;   /* full listing: in the window */
	struct snapshot outside;  /* full listing: named, but older */
	struct snapshot gone_from, gone_to; /* ranges as pairs with equal index */
};

static int on_item(void *arg, const struct be_item *it)
{
	struct diff *d = arg;
	uint32_t rev = item_rev(it->rev, extras_find(d->k->extras, it->num));
	bool inside = d->k->since_ms == 0 || it->date_ms >= d->k->since_ms;

	if (it->rev & MAIL_DELETED)
		return 0;
	snapshot_set(inside ? &d->listed : &d->outside, it->num, rev);
	return 0;
}

static int on_gone(void *arg, uint64_t first, uint64_t last)
{
	struct diff *d = arg;

	d->gone_from.v = arena_grow(d->k->a, d->gone_from.v, d->gone_from.n, &d->gone_from.cap, sizeof(*d->gone_from.v));
	d->gone_to.v = arena_grow(d->k->a, d->gone_to.v, d->gone_to.n, &d->gone_to.cap, sizeof(*d->gone_to.v));
	d->gone_from.v[d->gone_from.n++].num = first;
	d->gone_to.v[d->gone_to.n++].num = last;
	return 0;
}

/* One item that the server has, in revision rev: what has the phone to be told? */
static void compare(const struct diff *d, uint64_t num, uint32_t rev, bool inside)
{
	struct colstate *st = d->st;
	uint32_t known;

	if (!colstate_known(st, num, &known)) {
		if (inside)
			colstate_pend(st, COLOP_ADD, num, rev);
	} else if (item_rev_differs(known, rev, d->k->version)) {
		colstate_pend(st, COLOP_CHANGE, num, rev);
	} else if (snapshot_find(&st->pend.change, num)) {
		colstate_pend(st, COLOP_DROP, num, 0); /* changed back before it was told */
	}
}

static void gone(struct colstate *st, uint64_t num)
{
	uint32_t known;

	colstate_pend(st, colstate_known(st, num, &known) ? COLOP_GONE : COLOP_DROP, num, 0);
}

static void apply_gone_range(struct colstate *st, const struct snapshot *known, uint64_t first, uint64_t last)
{
	const struct snapshot *sets[] = { &st->pend.add, known };
	struct snapshot hit = snapshot_new(st->a);

	for (size_t s = 0; s < 2; s++)
		for (size_t i = snapshot_lower(sets[s], first); i < sets[s]->n && sets[s]->v[i].num <= last; i++)
			snapshot_set(&hit, sets[s]->v[i].num, 0);
	for (size_t i = 0; i < hit.n; i++)
		gone(st, hit.v[i].num);
}

static void apply_delta(struct diff *d)
{
	struct snapshot known = d->gone_from.n ? colstate_known_all(d->st) : snapshot_new(d->k->a);

	for (size_t i = 0; i < d->gone_from.n; i++)
		apply_gone_range(d->st, &known, d->gone_from.v[i].num, d->gone_to.v[i].num);
	for (size_t i = 0; i < d->listed.n; i++)
		compare(d, d->listed.v[i].num, d->listed.v[i].rev, true);
	for (size_t i = 0; i < d->outside.n; i++)
		if (!snapshot_find(&d->st->pend.soft, d->outside.v[i].num)) /* it leaves the phone, changed or not */
			compare(d, d->outside.v[i].num, d->outside.v[i].rev, false);
}

/* Flag details are not the backend's: no listing tells that another phone changed
 * them alone. Both sets ascend. */
static void apply_extras(const struct diff *d)
{
	const struct extras *x = d->k->extras;
	struct snapshot known = colstate_known_all(d->st);
	size_t at = 0;

	for (size_t i = 0; i < known.n; i++) {
		const struct snap_item *it = &known.v[i], *pend = snapshot_find(&d->st->pend.change, it->num);
		uint32_t rev = pend ? pend->rev : it->rev, extra;

		if (snapshot_find(&d->st->pend.gone, it->num) || snapshot_find(&d->st->pend.soft, it->num))
			continue; /* a number waits for one thing only */
		while (at < x->n && x->v[at].num < it->num)
			at++;
		extra = item_rev(0, at < x->n && x->v[at].num == it->num ? &x->v[at] : NULL);
		if (it->rev != ITEM_REV_UNCERTAIN && ITEM_REV_EXTRA(rev) != ITEM_REV_EXTRA(extra))
			compare(d, it->num, (rev & 0xfffff) | extra, true);
	}
}

static int on_still_there(void *arg, const struct be_item *it)
{
	if (!(it->rev & MAIL_DELETED))
		snapshot_set(arg, it->num, 0);
	return 0;
}

/* Known, but not in the listing: gone, or only out of the window? */
static enum be_result apply_missing(struct diff *d, struct err *e)
{
	struct snapshot known = colstate_known_all(d->st), there = snapshot_new(d->k->a);
	struct be_changes_sink sink = { .item = on_still_there, .arg = &there };
	uint64_t *ask = arena_alloc(d->k->a, (known.n + 1) * sizeof(*ask));
	enum be_result rc = BE_OK;
	size_t n = 0;

	for (size_t i = 0; i < known.n; i++)
		if (!snapshot_find(&d->listed, known.v[i].num) && !snapshot_find(&d->outside, known.v[i].num))
			ask[n++] = known.v[i].num;
	if (n && d->k->since_ms)
		rc = d->k->session->ops->lookup(d->k->session, d->k->folder, ask, n, &sink, e);
	for (size_t i = 0; i < n && rc == BE_OK; i++)
		colstate_pend(d->st, snapshot_find(&there, ask[i]) ? COLOP_SOFT : COLOP_GONE, ask[i], 0);
	return rc;
}

static enum be_result apply_full(struct diff *d, struct err *e)
{
	uint32_t known;

	colstate_pend_reset(d->st);
	for (size_t i = 0; i < d->listed.n; i++)
		compare(d, d->listed.v[i].num, d->listed.v[i].rev, true);
	for (size_t i = 0; i < d->outside.n; i++)
		if (colstate_known(d->st, d->outside.v[i].num, &known))
			colstate_pend(d->st, COLOP_SOFT, d->outside.v[i].num, 0);
	return apply_missing(d, e);
}

enum be_result sync_look(const struct sync_look *k, struct colstate *st, struct err *e)
{
	struct diff d = { .k = k, .st = st };
	struct be_changes_sink sink = { .item = on_item, .gone = on_gone, .arg = &d };
	struct be_changes_ask ask = { .folder = k->folder, .since_ms = k->since_ms };
	struct be_changes got = { 0 };
	enum be_result rc;

	d.listed = d.outside = snapshot_new(k->a);
	/* The window moved: what left it is only found by looking at all of it. */
	if (k->since_ms == st->since_ms)
		ask.token = st->token;
	rc = k->session->ops->changes(k->session, &ask, &sink, k->a, &got, e);
	if (rc != BE_OK)
		return rc;
	if (st->identity && got.identity && got.identity != st->identity) {
		err_set(e, ERR_CONFLICT, "folder %.*s was made anew (identity %llu, was %llu)", SARG(k->folder),
			(unsigned long long)got.identity, (unsigned long long)st->identity);
		return BE_PERM;
	}
	if (got.full)
		rc = apply_full(&d, e);
	else
		apply_delta(&d);
	if (!got.full && rc == BE_OK)
		apply_extras(&d);
	if (rc != BE_OK)
		return rc;
	if (!slice_eq(st->token, got.token) || st->since_ms != k->since_ms || st->identity != got.identity)
		st->touched = true;
	st->token = arena_slice(st->a, got.token);
	st->identity = got.identity;
	st->since_ms = k->since_ms;
	return BE_OK;
}
