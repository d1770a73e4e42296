/* cmd_foldersync.c - FolderSync (MS-ASCMD 2.2.1.5): the folder list as the
 * difference between what the phone's key stands for and what the backend has.
 * Worker. Two generations are kept: the one that the key was sent for last, and
 * the one before it, for a phone that never saw the answer.
 * The trap: key 0 is sent at every manual refresh by one big client; it never
 * touches the state of a collection, and two equal first ones are one. */
#include "base/log.h"
#include "work/hierarchy.h"

enum { ST_OK = 1, ST_SERVER = 6, ST_KEY = 9, ST_FORMAT = 10 };

void cmd_foldersync(struct exchange *x);

/* --- generations ------------------------------------------------------------------ */

struct slice hier_key_text(struct exchange *x, struct synckey k)
{
	struct synckey_scope s = exchange_scope(x, SYNCKEY_HIERARCHY);

	return synckey_make(x->a, &s, k);
}

bool hier_read_key(struct exchange *x, struct slice text, struct hier_ask *ask_r)
{
	static const hier_list nothing;
	struct synckey_scope s = exchange_scope(x, SYNCKEY_HIERARCHY);
	struct device *d = x->dev;

	memset(ask_r, 0, sizeof(*ask_r));
	ask_r->base = &nothing;
	ask_r->kind = synckey_read(x->a, &s, text, &ask_r->key);
	if (ask_r->kind != SYNCKEY_OURS)
		return ask_r->kind == SYNCKEY_ZERO;
	ask_r->place = synckey_place(ask_r->key, d->hier.key, d->hier_before.key);
	if (ask_r->place == SYNCKEY_AHEAD)
		LOG_W("store_stepped_back", L_S("user", d->user), L_S("dev", d->id), L_Z("what", "folder list"),
		      L_I("has", d->hier.key.counter), L_I("phone", ask_r->key.counter),
		      L_Z("do", "the phone starts its folder list over; check the store's persistence"));
	if (ask_r->place == SYNCKEY_CURRENT)
		ask_r->base = &d->hier.list;
	else if (ask_r->place == SYNCKEY_PREVIOUS)
		ask_r->base = &d->hier_before.list;
	else
		return false;
	return true;
}

struct slice hier_advance(struct exchange *x, const struct hier_ask *ask, const hier_list *now)
{
	struct device *d = x->dev;
	struct synckey next = { d->hier.key.series, d->hier.key.counter + 1 };

	if (ask->kind == SYNCKEY_ZERO)
		next = (struct synckey){ (uint32_t)rnd_u64(x->w->rnd), 1 };
	/* After a repeat the generation before stays: the phone has not moved. */
	if (ask->kind == SYNCKEY_ZERO || ask->place == SYNCKEY_CURRENT)
		d->hier_before = d->hier;
	d->hier.key = next;
	d->hier.list = *now;
	device_touch(d, DEVICE_HIERARCHY);
	return hier_key_text(x, next);
}

/* Both lists mostly stand in one order: look at the same place first. */
static const struct hier_entry *find_near(const hier_list *l, struct slice id, size_t hint)
{
	if (hint < l->n && slice_eq(l->v[hint].id, id))
		return &l->v[hint];
	return hier_find(l, id);
}

static bool in_map_near(const struct folder_map *m, struct slice id, size_t hint)
{
	return (hint < m->list.n && slice_eq(m->list.v[hint].id, id)) || folder_by_id(m, id);
}

const struct hier_entry *hier_find(const hier_list *l, struct slice id)
{
	for (size_t i = 0; i < l->n; i++)
		if (slice_eq(l->v[i].id, id))
			return &l->v[i];
	return NULL;
}

const struct folder_map *hier_shown(struct exchange *x, const struct folder_map *m)
{
	struct folder_map *some;

	if (!x->client.default_folders_only)
		return m;
	some = ARENA_NEW(x->a, struct folder_map);
	some->user = m->user;
	for (size_t i = 0; i < m->list.n; i++)
		if (clients_shows(&x->client, m->list.v[i].type))
			*LIST_PUSH(x->a, &some->list) = m->list.v[i];
	return some;
}

bool hier_equal(const hier_list *a, const hier_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct hier_entry *en = find_near(b, a->v[i].id, i);

		if (!en || en->hash != a->v[i].hash)
			return false;
	}
	return true;
}

/* --- the difference ------------------------------------------------------------------- */

static void push(struct exchange *x, struct foldersync_reply *r, uint16_t tag, struct slice id, const struct folder *f)
{
	struct folder_change *c = LIST_PUSH(x->a, &r->changes);

	c->tag = tag;
	c->server_id = id;
	if (!f)
		return;
	c->parent_id = f->parent;
	c->display_name = f->name;
	c->type = NUM(f->type);
}

/* Update, Delete, Add: the order of FolderSyncResponse.xsd. */
static void difference(struct exchange *x, const struct folder_map *m, const hier_list *known,
		       struct foldersync_reply *r)
{
	for (size_t i = 0; i < m->list.n; i++) {
		const struct hier_entry *en = find_near(known, m->list.v[i].id, i);

		if (en && en->hash != folder_hash(&m->list.v[i]))
			push(x, r, HIERARCHY_UPDATE, m->list.v[i].id, &m->list.v[i]);
	}
	for (size_t i = 0; i < known->n; i++)
		if (!in_map_near(m, known->v[i].id, i))
			push(x, r, HIERARCHY_DELETE, known->v[i].id, NULL);
	for (size_t i = 0; i < m->list.n; i++)
		if (!find_near(known, m->list.v[i].id, i))
			push(x, r, HIERARCHY_ADD, m->list.v[i].id, &m->list.v[i]);
	r->has_changes = NUM(1);
	r->count = NUM((int64_t)r->changes.n);
}

/* MS-ASHTTP R1104: a phone that starts over learns again what the server is. */
static void version_headers(struct exchange *x)
{
	reply_header(x, "MS-ASProtocolVersions", version_list(x->a, x->client.max_version));
	reply_header(x, "MS-ASProtocolCommands", command_list(x->a));
	reply_header(x, "X-MS-RP", version_list(x->a, x->client.max_version));
}

/* The answer of this state was given before, and nothing changed since. */
static bool answered_before(const struct exchange *x, const struct hier_ask *ask, const hier_list *now)
{
	const struct hier_state *h = &x->dev->hier;

	if (!hier_equal(&h->list, now))
		return false;
	if (ask->kind == SYNCKEY_ZERO)
		return h->key.counter == 1;
	return true;
}

static void sync_folders(struct exchange *x, const struct hier_ask *ask)
{
	struct foldersync_reply r = { .status = NUM(ST_OK) };
	struct err e;
	const struct folder_map *m = hier_shown(x, exchange_folders(x, &e));
	hier_list now;

	folder_map_snapshot(x->a, m, &now);
	difference(x, m, ask->base, &r);
	if (answered_before(x, ask, &now))
		r.sync_key = hier_key_text(x, x->dev->hier.key);
	else
		r.sync_key = hier_advance(x, ask, &now);
	x->v->items_out = (unsigned)r.changes.n;
	reply_struct(x, &foldersync_reply_schema, &r, ST_OK);
	if (ask->kind == SYNCKEY_ZERO)
		version_headers(x);
}

void cmd_foldersync(struct exchange *x)
{
	const struct folder_request *q = x->rq->decoded;
	struct hier_ask ask;
	struct err e;
	enum be_result r;

	if (!q->sync_key.ptr || q->sync_key.len == 0 || x->rq->report->problems) {
		reply_status(x, ST_FORMAT);
		return;
	}
	if (!hier_read_key(x, q->sync_key, &ask)) {
		reply_status(x, ST_KEY);
		return;
	}
	r = exchange_refresh_folders(x, &e);
	if (r == BE_OK) {
		sync_folders(x, &ask);
		return;
	}
	if (e.code == ERR_AUTH || err_is_temp(e.code)) {
		reply_fail(x, &e);
		return;
	}
	reply_status(x, ST_SERVER);
	x->v->err = e;
}
