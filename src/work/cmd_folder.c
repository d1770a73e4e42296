/* cmd_folder.c - FolderCreate, FolderUpdate, FolderDelete (MS-ASCMD 2.2.1.2-4, 6).
 * Worker, with the device's claim. Each asks the backend for its list first, so
 * that statuses tell the truth and a repeat finds what the lost one did:
 *   - the reply got lost: the key is the previous one and the same was asked:
 *     the same answer is given, nothing is done;
 *   - the process died between backend and store: the key is the current one,
 *     and what was asked for is there already, but was never told to anybody.
 * On error neither key nor id is sent. The snapshot gets this one change only:
 * what else changed on the server the next FolderSync tells. */
#include "work/hierarchy.h"

enum {
	ST_OK = 1, ST_EXISTS = 2, ST_SPECIAL = 3, ST_NONE = 4, ST_NO_PARENT = 5, ST_SERVER = 6,
	ST_KEY = 9, ST_FORMAT = 10, ST_UNKNOWN = 11,
	NAME_MAX_BYTES = 255,
};

void cmd_foldercreate(struct exchange *x);
void cmd_folderupdate(struct exchange *x);
void cmd_folderdelete(struct exchange *x);

struct act {
	struct exchange *x;
	const struct folder_request *q;
	const struct schema *reply;
	struct hier_ask ask;
	uint64_t hash;          /* of what is asked */
	struct folder_map *map;
	struct session *s;
};

/* --- the frame ------------------------------------------------------------------------ */

static uint64_t hash_of(const struct exchange *x, const struct folder_request *q)
{
	struct slice type = arena_printf(x->a, "%lld", (long long)num_or(q->type, -1));
	struct sha256 d = digest_parts((const struct slice[]){ slice_str(x->wire->name), q->server_id, q->parent_id,
							       q->display_name, type }, 5);
	uint64_t h;

	memcpy(&h, d.b, sizeof(h));
	return h;
}

static void answer(struct act *t, struct slice key, struct slice id)
{
	struct folder_reply r = { .status = NUM(ST_OK), .sync_key = key, .server_id = id };

	reply_struct(t->x, t->reply, &r, ST_OK);
}

/* The change is in the snapshot: a new generation, remembered with what was asked. */
static void succeed(struct act *t, const hier_list *now, struct slice id)
{
	struct device *d = t->x->dev;
	struct slice key;

	d->op_key = t->ask.key;
	d->op_hash = t->hash;
	d->op_id = id;
	key = hier_advance(t->x, &t->ask, now);
	answer(t, key, id);
}

static void copy_list(struct arena *a, const hier_list *from, hier_list *to)
{
	memset(to, 0, sizeof(*to));
	for (size_t i = 0; i < from->n; i++)
		*LIST_PUSH(a, to) = from->v[i];
}

/* The snapshot with this folder as it is now. */
static void with_folder(struct arena *a, const hier_list *base, const struct folder *f, hier_list *to)
{
	struct hier_entry *en = NULL;

	copy_list(a, base, to);
	for (size_t i = 0; i < to->n && !en; i++)
		if (slice_eq(to->v[i].id, f->id))
			en = &to->v[i];
	if (!en)
		en = LIST_PUSH(a, to);
	en->id = f->id;
	en->hash = folder_hash(f);
}

static void without_folder(struct arena *a, const hier_list *base, struct slice id, hier_list *to)
{
	memset(to, 0, sizeof(*to));
	for (size_t i = 0; i < base->n; i++)
		if (!slice_eq(base->v[i].id, id))
			*LIST_PUSH(a, to) = base->v[i];
}

static bool given(struct slice s)
{
	return s.ptr && s.len;
}

/* Key, repeat, folder list. false: the reply stands. */
static bool begin(struct act *t, bool complete)
{
	struct exchange *x = t->x;
	struct device *d = x->dev;
	struct err e;

	if (!complete || x->rq->report->problems || t->q->display_name.len > NAME_MAX_BYTES) {
		reply_status(x, ST_FORMAT);
		return false;
	}
	if (!hier_read_key(x, t->q->sync_key, &t->ask) || t->ask.kind == SYNCKEY_ZERO) {
		reply_status(x, ST_KEY);
		return false;
	}
	t->hash = hash_of(x, t->q);
	if (t->ask.place == SYNCKEY_PREVIOUS && t->ask.key.counter == d->op_key.counter &&
	    t->ask.key.series == d->op_key.series && t->hash == d->op_hash) {
		answer(t, hier_key_text(x, d->hier.key), d->op_id);
		return false;
	}
	if (exchange_refresh_folders(x, &e) != BE_OK || exchange_session(x, BE_MAIL, &t->s, &e) != BE_OK) {
		if (e.code == ERR_AUTH || err_is_temp(e.code))
			reply_fail(x, &e);
		else
			reply_status(x, ST_SERVER);
		x->v->err = e;
		return false;
	}
	t->map = exchange_folders(x, &e);
	return true;
}

static void fail(struct act *t, const struct err *e, int not_found)
{
	static const struct {
		enum err_code code;
		int status;
	} row[] = {
		{ ERR_EXISTS, ST_EXISTS }, { ERR_SPECIAL, ST_SPECIAL }, { ERR_FORBIDDEN, ST_FORMAT },
		{ ERR_BAD_REQUEST, ST_FORMAT }, { ERR_LIMIT, ST_FORMAT }, { ERR_UNSUPPORTED, ST_UNKNOWN },
	};
	int status = ST_SERVER;

	if (e->code == ERR_AUTH || e->code == ERR_QUOTA || err_is_temp(e->code)) {
		reply_fail(t->x, e);
		return;
	}
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++)
		if (row[i].code == e->code)
			status = row[i].status;
	if (e->code == ERR_NOT_FOUND)
		status = not_found;
	reply_status(t->x, status);
	t->x->v->err = *e;
}

static bool is_special(const struct folder *f)
{
	return f->type != FOLDER_USER_GENERIC && (f->type < FOLDER_USER_MAIL || f->type == FOLDER_RI_CACHE);
}

/* *path_r of a parent id; empty for the root. false: no such folder. */
static bool parent_path(const struct act *t, struct slice *path_r)
{
	const struct folder *p;

	*path_r = S_NONE;
	if (slice_eq(t->q->parent_id, S("0")))
		return true;
	p = folder_by_id(t->map, t->q->parent_id);
	if (p)
		*path_r = p->path;
	return p != NULL;
}

static struct folder *child_named(const struct act *t)
{
	for (size_t i = 0; i < t->map->list.n; i++)
		if (slice_eq(t->map->list.v[i].parent, t->q->parent_id) &&
		    slice_eq(t->map->list.v[i].name, t->q->display_name))
			return &t->map->list.v[i];
	return NULL;
}

/* Refreshed from the backend, or by hand where that fails: the act is done. */
static struct folder *note(struct act *t, struct slice id, struct slice path, struct slice parent)
{
	struct be_folder f = {
		.path = path, .parent = parent, .name = t->q->display_name, .type = FOLDER_USER_MAIL, .selectable = true,
	};
	struct folder *have;
	struct err e;

	exchange_refresh_folders(t->x, &e);
	have = folder_by_path(t->map, path);
	return have ? have : folder_map_put(t->x->a, t->map, id, &f);
}

/* --- FolderCreate ------------------------------------------------------------------------ */

/* 0: a type that may be made here. */
static int type_status(int64_t type)
{
	if (type == FOLDER_USER_GENERIC || type == FOLDER_USER_MAIL)
		return 0;
	if (type == FOLDER_RI_CACHE)
		return ST_SPECIAL;
	/* Default folders; user folders of classes without a backend; nonsense. */
	return ST_FORMAT;
}

static void create(struct act *t, struct slice parent)
{
	struct exchange *x = t->x;
	struct folder *f = child_named(t);
	struct slice path = S_NONE;
	hier_list now;
	struct err e;

	/* There already. Seen now for the first time by anybody: the request before this
	 * one made it and died. Else it is another folder of that name. */
	if (f && (!f->changed || hier_find(t->ask.base, f->id))) {
		reply_status(x, ST_EXISTS);
		return;
	}
	if (!f) {
		enum be_result r = t->s->ops->folder_create(t->s, parent, t->q->display_name, FOLDER_USER_MAIL, x->a, &path, &e);

		if (exchange_result(x, BE_MAIL, r) != BE_OK) {
			fail(t, &e, ST_NO_PARENT);
			return;
		}
		exchange_crash_point(x, "foldercreate");
		f = note(t, S_NONE, path, parent);
	}
	with_folder(x->a, t->ask.base, f, &now);
	succeed(t, &now, f->id);
}

void cmd_foldercreate(struct exchange *x)
{
	struct act t = { .x = x, .q = x->rq->decoded, .reply = &foldercreate_reply_schema };
	struct slice parent;
	int status;

	if (!begin(&t, given(t.q->sync_key) && given(t.q->parent_id) && given(t.q->display_name) && t.q->type.has))
		return;
	status = type_status(t.q->type.v);
	if (status == 0 && !parent_path(&t, &parent))
		status = ST_NO_PARENT;
	if (status)
		reply_status(x, status);
	else
		create(&t, parent);
}

/* --- FolderUpdate ------------------------------------------------------------------------- */

static bool is_below(const struct folder_map *m, const struct folder *f, struct slice id)
{
	for (size_t up = 0; f && up <= m->list.n; up++) {
		if (slice_eq(f->parent, id))
			return true;
		f = folder_by_id(m, f->parent);
	}
	return false;
}

/* What hangs below moves along, also on servers whose folders have no identity. */
static void move_paths(struct act *t, struct slice id, struct slice from, struct slice to)
{
	for (size_t i = 0; i < t->map->list.n; i++) {
		struct folder *f = &t->map->list.v[i];

		if (!slice_eq(f->id, id) && !is_below(t->map, f, id))
			continue;
		if (!slice_starts(f->path, from))
			continue;
		f->path = arena_printf(t->x->a, "%.*s%.*s", SARG(to), SARG(slice_from(f->path, from.len)));
		f->changed = t->map->dirty = true;
	}
}

static void update(struct act *t, struct folder *f, struct slice parent)
{
	struct exchange *x = t->x;
	struct slice id = f->id, from = f->path, path;
	hier_list now;
	struct err e;

	/* A repeat, or no change at all. */
	if (!slice_eq(f->parent, t->q->parent_id) || !slice_eq(f->name, t->q->display_name)) {
		enum be_result r = t->s->ops->folder_rename(t->s, f->path, parent, t->q->display_name, x->a, &path, &e);

		if (exchange_result(x, BE_MAIL, r) != BE_OK) {
			fail(t, &e, ST_NO_PARENT);
			return;
		}
		exchange_crash_point(x, "folderupdate");
		move_paths(t, id, from, path);
		f = note(t, id, path, parent);
	}
	with_folder(x->a, t->ask.base, f, &now);
	succeed(t, &now, S_NONE);
}

void cmd_folderupdate(struct exchange *x)
{
	struct act t = { .x = x, .q = x->rq->decoded, .reply = &folderupdate_reply_schema };
	struct folder *f, *same;
	struct slice parent;

	if (!begin(&t, given(t.q->sync_key) && given(t.q->server_id) && given(t.q->parent_id) && given(t.q->display_name)))
		return;
	f = folder_by_id(t.map, t.q->server_id);
	same = child_named(&t);
	if (!f)
		reply_status(x, ST_NONE);
	else if (is_special(f)) /* R4102: 2; only the recipient cache is 3 */
		reply_status(x, f->type == FOLDER_RI_CACHE ? ST_SPECIAL : ST_EXISTS);
	else if (!parent_path(&t, &parent))
		reply_status(x, ST_NO_PARENT);
	else if (same && same != f)
		reply_status(x, ST_EXISTS);
	else if (slice_eq(t.q->parent_id, f->id) || is_below(t.map, folder_by_id(t.map, t.q->parent_id), f->id))
		reply_status(x, ST_FORMAT);
	else
		update(&t, f, parent);
}

/* --- FolderDelete --------------------------------------------------------------------------- */

static void forget(struct act *t, struct slice id)
{
	hier_list now;

	folder_map_remove(t->map, t->x->a, id);
	without_folder(t->x->a, t->ask.base, id, &now);
	succeed(t, &now, S_NONE);
}

void cmd_folderdelete(struct exchange *x)
{
	struct act t = { .x = x, .q = x->rq->decoded, .reply = &folderdelete_reply_schema };
	struct folder *f;
	struct err e;
	enum be_result r;

	if (!begin(&t, given(t.q->sync_key) && given(t.q->server_id)))
		return;
	f = folder_by_id(t.map, t.q->server_id);
	/* The phone knows it and it is gone: what it wants is done, maybe by itself. */
	if (!f && hier_find(t.ask.base, t.q->server_id)) {
		forget(&t, t.q->server_id);
		return;
	}
	if (!f) {
		reply_status(x, ST_NONE);
		return;
	}
	if (is_special(f)) {
		reply_status(x, ST_SPECIAL);
		return;
	}
	r = exchange_result(x, BE_MAIL, t.s->ops->folder_delete(t.s, f->path, &e));
	if (r != BE_OK && e.code != ERR_NOT_FOUND) {
		fail(&t, &e, ST_NONE);
		return;
	}
	exchange_crash_point(x, "folderdelete");
	forget(&t, t.q->server_id);
}
