/* sync_serve.c - what the server did since, told to the phone: deletions and
 * changes first, then new items by windows, oldest first (newest first while the
 * first run fills an empty phone). Worker. Bounded by the window, the time a
 * phone waits for a byte, and the bytes of a reply. */
#include "work/crash.h"
#include "work/sync_open.h"
#include "work/sync_run.h"

enum { BATCH = 100 };

enum be_result sync_look_coll(struct sync_run *r, struct sync_coll *c, struct err *e)
{
	struct sync_look k = {
		.session = r->session, .folder = c->folder->path, .extras = &c->extras, .a = r->a,
		.version = r->x->rq->version, .since_ms = sync_since(c->opt.filter, clock_wall(r->x->w->clock)),
	};
	enum be_result rc;

	c->looked = true;
	if (sync_gen_tells(r->x) && c->st.token.len && c->st.gen == r->x->gen && c->st.since_ms == k.since_ms && r->x->gen)
		return BE_OK;
	rc = exchange_result(r->x, BE_MAIL, sync_look(&k, &c->st, e));
	if (rc == BE_OK && extras_belong(&c->extras, c->st.identity)) {
		/* Revisions were made with details of the folder that was here before. */
		c->st.token = S_NONE;
		rc = exchange_result(r->x, BE_MAIL, sync_look(&k, &c->st, e));
	}
	if (rc == BE_OK)
		c->st.gen = r->x->gen;
	return rc;
}

static struct sync_command *tell(struct sync_run *r, struct sync_coll *c, uint16_t tag, uint64_t num)
{
	struct sync_command *out = LIST_PUSH(r->a, &c->out->commands);

	c->out->has_commands = NUM(1);
	out->tag = tag;
	out->server_id = server_id_make(r->a, c->folder->id, num);
	c->n_told++;
	if (r->window_left)
		r->window_left--;
	return out;
}

static size_t room(const struct sync_run *r, const struct sync_coll *c)
{
	size_t left = c->opt.window > c->n_told ? c->opt.window - c->n_told : 0;

	if (clock_now(r->x->w->clock) >= r->deadline_ms || r->bytes_left == 0)
		return 0;
	return left < r->window_left ? left : r->window_left;
}

/* --- deletions and changes -------------------------------------------------------- */

static void serve_gone(struct sync_run *r, struct sync_coll *c, enum colop k, uint16_t tag)
{
	const struct snapshot *todo = colops_set(&c->st.pend, k);

	for (size_t n = room(r, c); n && todo->n; n--) {
		uint64_t num = todo->v[0].num;

		tell(r, c, tag, num);
		colstate_sent(&c->st, k, num, 0); /* leaves pend */
	}
}

struct change_todo {
	uint64_t num;
	uint32_t from, to;
};

static size_t collect_changes(struct sync_coll *c, struct change_todo *out, size_t max)
{
	const struct snapshot *s = &c->st.pend.change;
	size_t n = 0;

	for (size_t i = 0; i < s->n && n < max;) {
		out[n] = (struct change_todo){ .num = s->v[i].num, .to = s->v[i].rev };
		if (colstate_known(&c->st, out[n].num, &out[n].from)) {
			n++;
			i++;
		} else {
			/* Not there to be changed: left waiting, it would mean MoreAvailable for ever. */
			colstate_pend(&c->st, COLOP_DROP, out[n].num, 0);
		}
	}
	return n;
}

/* Keyword names are not in a revision: one more round trip, for those alone. */
static enum be_result load_keywords(struct sync_run *r, struct sync_coll *c, const struct change_todo *t, size_t n,
				    struct be_head **heads_r, size_t *n_r, struct err *e)
{
	uint64_t *nums = arena_alloc(r->a, (n + 1) * sizeof(*nums));
	size_t ask = 0;

	*n_r = 0;
	for (size_t i = 0; i < n; i++)
		if (ITEM_REV_KEYWORDS(t[i].from) != ITEM_REV_KEYWORDS(t[i].to))
			nums[ask++] = t[i].num;
	*heads_r = arena_alloc(r->a, (ask + 1) * sizeof(**heads_r));
	if (ask == 0)
		return BE_OK;
	return exchange_result(r->x, BE_MAIL, r->session->ops->heads(r->session, c->folder->path, nums, ask, r->a,
								     *heads_r, n_r, e));
}

static const struct be_head *head_of(const struct be_head *h, size_t n, uint64_t num)
{
	for (size_t i = 0; i < n; i++)
		if (h[i].item.num == num)
			return &h[i];
	return NULL;
}

static enum be_result tell_changes(struct sync_run *r, struct sync_coll *c, const struct change_todo *t, size_t n,
				   bool record, struct err *e)
{
	struct be_head *heads;
	size_t n_heads;
	enum be_result rc = load_keywords(r, c, t, n, &heads, &n_heads, e);

	for (size_t i = 0; i < n && rc == BE_OK; i++) {
		const struct be_head *h = head_of(heads, n_heads, t[i].num);

		if (record)
			colstate_sent(&c->st, COLOP_CHANGE, t[i].num, t[i].to);
		if (!item_rev_differs(t[i].from, t[i].to, r->x->rq->version))
			continue;
		tell(r, c, AIRSYNC_CHANGE, t[i].num)->item =
			mailitem_change(r->a, t[i].from, t[i].to, extras_find(&c->extras, t[i].num),
					h ? h->keywords : NULL, h ? h->n_keywords : 0);
	}
	return rc;
}

static enum be_result serve_changes(struct sync_run *r, struct sync_coll *c, struct err *e)
{
	size_t max = room(r, c);
	struct change_todo *t = arena_alloc(r->a, (max + 1) * sizeof(*t));
	size_t n = collect_changes(c, t, max);

	return n ? tell_changes(r, c, t, n, true, e) : BE_OK;
}

/* --- new items ---------------------------------------------------------------------- */

static void keep(struct sync_run *r, const struct mailitems *m)
{
	r->loaded = arena_grow(r->a, r->loaded, r->n_loaded, &r->cap_loaded, sizeof(*r->loaded));
	r->loaded[r->n_loaded++] = *m;
}

static bool poisoned(void *arg, uint64_t num)
{
	void **p = arg;
	struct sync_run *r = p[0];
	struct sync_coll *c = p[1];

	crash_item(r->x->w->ring, c->folder->path, num);
	if (crash_is_poisoned(r->x->w->ring, r->x->dev->user, r->x->dev->id, c->folder->path, num))
		return true;
	if (r->x->w->crash_point && r->x->w->core) /* the simulation has its own ways to die */
		exchange_crash_point(r->x, arena_printf(r->a, "item:%llu", (unsigned long long)num).ptr);
	return false;
}

static uint64_t blob_bytes(const struct mailitems *m)
{
	uint64_t n = 0;

	for (size_t i = 0; i < m->n_blobs; i++)
		n += blob_size(m->blobs[i]);
	return n;
}

enum be_result sync_load(struct sync_run *r, struct sync_coll *c, const uint64_t *nums, size_t n, bool no_body,
			 struct mailitems *m_r, struct err *e)
{
	void *who[2] = { r, c };
	struct mail_ask k = {
		.session = r->session, .folder = c->folder->path, .folder_id = c->folder->id, .extras = &c->extras,
		.no_body = no_body, .budget_bytes = r->bytes_left, .version = r->x->rq->version, .a = r->a,
		.poisoned = poisoned, .poisoned_arg = who,
	};
	enum be_result rc;
	uint64_t got;

	sync_options_body(&c->opt, &k.body, &k.part);
	clients_cap_body(&r->x->client, r->a, &k.body);
	clients_cap_body(&r->x->client, r->a, &k.part);
	rc = exchange_result(r->x, BE_MAIL, mailitems_load(&k, nums, n, m_r, e));
	crash_item(r->x->w->ring, S_NONE, 0);
	keep(r, m_r);
	got = blob_bytes(m_r);
	r->bytes_left = got < r->bytes_left ? r->bytes_left - got : 0;
	return rc;
}

static size_t pick_adds(const struct sync_coll *c, uint64_t *nums, size_t max)
{
	const struct snapshot *s = &c->st.pend.add;
	size_t n = s->n < max ? s->n : max;

	for (size_t i = 0; i < n; i++)
		nums[i] = c->st.first_run ? s->v[s->n - 1 - i].num : s->v[i].num;
	return n;
}

static void tell_add(struct sync_run *r, struct sync_coll *c, const struct mail_loaded *m)
{
	struct sync_command *out = tell(r, c, AIRSYNC_ADD, m->num);

	out->item = m->item;
	r->x->v->items_out++;
}

static enum be_result serve_adds(struct sync_run *r, struct sync_coll *c, struct err *e)
{
	uint64_t nums[BATCH];

	for (;;) {
		size_t left = room(r, c), n = pick_adds(c, nums, left < BATCH ? left : BATCH);
		struct mailitems m;
		enum be_result rc;

		if (n == 0)
			return BE_OK;
		rc = sync_load(r, c, nums, n, c->opt.no_body, &m, e);
		if (rc != BE_OK)
			return rc;
		for (size_t i = 0; i < m.n; i++) {
			if (m.v[i].missing) {
				colstate_pend(&c->st, COLOP_DROP, m.v[i].num, 0);
				continue;
			}
			tell_add(r, c, &m.v[i]);
			c->st.sent_newest = c->st.first_run;
			colstate_sent(&c->st, COLOP_ADD, m.v[i].num, m.v[i].rev);
		}
	}
}

/* --- the same again ------------------------------------------------------------------- */

/* Of what the phone did before its answer got lost, what it did not do again:
 * it does not know that it was done, so it is told like any change. */
static enum be_result redo_own(struct sync_run *r, struct sync_coll *c, struct err *e)
{
	struct change_todo *t = arena_alloc(r->a, (c->st.own.change.n + 1) * sizeof(*t));
	size_t n = 0;

	for (size_t i = 0; i < c->st.own.gone.n; i++)
		if (!snapshot_find(&c->repeated.gone, c->st.own.gone.v[i].num))
			tell(r, c, AIRSYNC_DELETE, c->st.own.gone.v[i].num);
	for (size_t i = 0; i < c->st.own.change.n; i++) {
		const struct snap_item *own = &c->st.own.change.v[i], *had = snapshot_find(&c->st.have, own->num);

		if (had && !snapshot_find(&c->repeated.change, own->num) && had->rev != own->rev)
			t[n++] = (struct change_todo){ own->num, had->rev, own->rev };
	}
	return n ? tell_changes(r, c, t, n, false, e) : BE_OK;
}

/* It may have changed since the lost answer, and change back before the next
 * look: which of the two versions the phone has is not known. */
static void tell_add_again(struct sync_run *r, struct sync_coll *c, const struct mail_loaded *m, uint32_t told)
{
	tell_add(r, c, m);
	if (m->rev == told)
		return;
	colstate_sent(&c->st, COLOP_ADD, m->num, ITEM_REV_UNCERTAIN);
	colstate_pend(&c->st, COLOP_CHANGE, m->num, m->rev);
}

/* In the order of the first answer. */
static const struct snap_item *nth_sent(const struct sync_coll *c, const struct snapshot *s, size_t i)
{
	return &s->v[c->st.sent_newest ? s->n - 1 - i : i];
}

static enum be_result redo_adds(struct sync_run *r, struct sync_coll *c, struct err *e)
{
	const struct snapshot all = snapshot_copy(&c->st.sent.add), *s = &all; /* revisions are replaced on the way */

	for (size_t at = 0; at < s->n;) {
		uint64_t nums[BATCH];
		struct mailitems m;
		enum be_result rc;
		size_t n = 0;

		for (; n < BATCH && at + n < s->n; n++)
			nums[n] = nth_sent(c, s, at + n)->num;
		/* All of it must go: the state says that it was sent. */
		if (r->bytes_left == 0)
			r->bytes_left = 1;
		rc = sync_load(r, c, nums, n, c->opt.no_body, &m, e);
		if (rc != BE_OK)
			return rc;
		for (size_t i = 0; i < m.n; i++)
			if (!m.v[i].missing)
				tell_add_again(r, c, &m.v[i], nth_sent(c, s, at + i)->rev);
		at += m.n;
	}
	return BE_OK;
}

static enum be_result serve_redo(struct sync_run *r, struct sync_coll *c, struct err *e)
{
	struct colops *s = &c->st.sent;
	struct change_todo *t = arena_alloc(r->a, (s->change.n + 1) * sizeof(*t));
	enum be_result rc;
	size_t n = 0;

	for (size_t i = 0; i < s->gone.n; i++)
		tell(r, c, AIRSYNC_DELETE, s->gone.v[i].num);
	for (size_t i = 0; i < s->soft.n; i++)
		tell(r, c, AIRSYNC_SOFT_DELETE, s->soft.v[i].num);
	for (size_t i = 0; i < s->change.n; i++) {
		const struct snap_item *had = snapshot_find(&c->st.have, s->change.v[i].num);

		if (had)
			t[n++] = (struct change_todo){ had->num, had->rev, s->change.v[i].rev };
	}
	rc = n ? tell_changes(r, c, t, n, false, e) : BE_OK;
	if (rc == BE_OK)
		rc = redo_own(r, c, e);
	return rc == BE_OK ? redo_adds(r, c, e) : rc;
}

enum be_result sync_serve(struct sync_run *r, struct sync_coll *c, struct err *e)
{
	enum be_result rc;

	if (c->mode == MODE_REDO) {
		rc = serve_redo(r, c, e);
	} else {
		c->more = colops_count(&c->st.pend) != 0;
		if (!c->more) {
			c->st.touched = c->st.touched || c->st.first_run;
			c->st.first_run = false; /* an empty folder is told whole as well */
			return BE_OK;
		}
		/* Time or room is used up before the first item: an answer without items and
		 * with MoreAvailable; silence would read as "nothing new". */
		sync_confirm(c);
		serve_gone(r, c, COLOP_GONE, AIRSYNC_DELETE);
		serve_gone(r, c, COLOP_SOFT, AIRSYNC_SOFT_DELETE);
		rc = serve_changes(r, c, e);
		if (rc == BE_OK)
			rc = serve_adds(r, c, e);
	}
	c->more = colops_count(&c->st.pend) != 0;
	if (!c->more && c->mode != MODE_REDO)
		c->st.first_run = false;
	return rc;
}
