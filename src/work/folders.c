/* folders.c - the folder map of a user. Pure; lists in the request's arena.
 * The trap: ids are derived from paths, so an id whose folder was renamed by a
 * phone blocks the id of its old path: new_id salts until it is free. */
#include "work/folders.h"

#include "work/record.h"

enum { FORMAT = 1, FOLDERS_MAX = 100000, ID_BYTES = FOLDER_ID_LEN * 3 / 4 };

enum { T_FOLDER = 1 };
enum { F_ID = 1, F_PATH, F_PARENT, F_NAME, F_TYPE, F_IDENTITY, F_SELECTABLE };

/* --- record ---------------------------------------------------------------- */

static int get_folder(struct slice raw, struct folder *to, struct err *e)
{
	struct record_field f;
	int rc;

	while ((rc = record_next(&raw, &f, e)) > 0)
		switch (f.tag) {
		case F_ID: to->id = f.bytes; break;
		case F_PATH: to->path = f.bytes; break;
		case F_PARENT: to->parent = f.bytes; break;
		case F_NAME: to->name = f.bytes; break;
		case F_TYPE: to->type = (enum folder_type)f.v; break;
		case F_IDENTITY: to->identity = f.v; break;
		case F_SELECTABLE: to->selectable = f.v != 0; break;
		}
	if (rc == 0 && (to->id.len == 0 || to->path.len == 0))
		return err_set(e, ERR_STORE_FORMAT, "folder without id or path");
	return rc;
}

int folder_map_decode(struct arena *a, struct slice user, struct slice value, uint64_t rev, struct folder_map *m_r,
		      struct err *e)
{
	struct record_writer unknown;
	struct record_field f;
	struct slice rest;
	int rc;

	*m_r = (struct folder_map){ .user = user, .rev = rev };
	if (value.len == 0)
		return 0;
	if (record_open(&rest, value, FORMAT, e) < 0)
		return err_add(e, "folder map");
	record_begin(&unknown, a, 0);
	while ((rc = record_next(&rest, &f, e)) > 0) {
		if (f.tag != T_FOLDER || !f.is_bytes) {
			record_raw(&unknown, f.raw);
			continue;
		}
		if (m_r->list.n >= FOLDERS_MAX)
			rc = err_set(e, ERR_STORE_FORMAT, "too many folders");
		else
			rc = get_folder(f.bytes, LIST_PUSH(a, &m_r->list), e);
		if (rc < 0)
			break;
	}
	m_r->unknown = record_end(&unknown);
	return rc < 0 ? err_add(e, "folder map") : 0;
}

struct slice folder_map_encode(struct arena *a, const struct folder_map *m)
{
	struct record_writer w, f;

	record_begin(&w, a, FORMAT);
	for (size_t i = 0; i < m->list.n; i++) {
		const struct folder *fo = &m->list.v[i];

		record_begin(&f, a, 0);
		record_bytes(&f, F_ID, fo->id);
		record_bytes(&f, F_PATH, fo->path);
		record_bytes(&f, F_PARENT, fo->parent);
		record_bytes(&f, F_NAME, fo->name);
		record_int(&f, F_TYPE, fo->type);
		record_int(&f, F_IDENTITY, fo->identity);
		record_int(&f, F_SELECTABLE, fo->selectable);
		record_item(&w, T_FOLDER, record_end(&f));
	}
	record_raw(&w, m->unknown);
	return record_end(&w);
}

/* --- look-ups --------------------------------------------------------------- */

struct folder *folder_by_id(const struct folder_map *m, struct slice id)
{
	for (size_t i = 0; i < m->list.n; i++)
		if (slice_eq(m->list.v[i].id, id))
			return &m->list.v[i];
	return NULL;
}

struct folder *folder_by_path(const struct folder_map *m, struct slice path)
{
	for (size_t i = 0; i < m->list.n; i++)
		if (slice_eq(m->list.v[i].path, path))
			return &m->list.v[i];
	return NULL;
}

uint32_t folder_hash(const struct folder *f)
{
	uint8_t type = (uint8_t)f->type;
	struct sha256 d = digest_parts((const struct slice[]){ f->parent, f->name, slice(&type, 1) }, 3);

	return (uint32_t)d.b[0] | (uint32_t)d.b[1] << 8 | (uint32_t)d.b[2] << 16 | (uint32_t)d.b[3] << 24;
}

static const struct hier_entry *entry_of(const hier_list *l, struct slice id)
{
	for (size_t i = 0; i < l->n; i++)
		if (slice_eq(l->v[i].id, id))
			return &l->v[i];
	return NULL;
}

bool folder_map_differs(const struct folder_map *m, const hier_list *known)
{
	if (m->list.n != known->n)
		return true;
	for (size_t i = 0; i < m->list.n; i++) {
		/* Mostly both stand in one order: look there first. */
		const struct hier_entry *en = slice_eq(known->v[i].id, m->list.v[i].id)
						      ? &known->v[i] : entry_of(known, m->list.v[i].id);

		if (!en || en->hash != folder_hash(&m->list.v[i]))
			return true;
	}
	return false;
}

void folder_map_snapshot(struct arena *a, const struct folder_map *m, hier_list *l_r)
{
	memset(l_r, 0, sizeof(*l_r));
	for (size_t i = 0; i < m->list.n; i++) {
		struct hier_entry *en = LIST_PUSH(a, l_r);

		en->id = m->list.v[i].id;
		en->hash = folder_hash(&m->list.v[i]);
	}
}

/* --- changes ----------------------------------------------------------------- */

static struct slice new_id(struct arena *a, const struct folder_map *m, struct slice path)
{
	for (unsigned salt = 0;; salt++) {
		struct slice n = salt ? arena_printf(a, "%u", salt) : S_NONE, id;
		struct sha256 d = digest_parts((const struct slice[]){ S("folder"), m->user, path, n }, 4);

		id = base64url_encode(a, d.b, ID_BYTES);
		/* Some clients show or sort ids; a leading dash has been taken for a number. */
		if (id.ptr[0] != '-' && !folder_by_id(m, id))
			return id;
	}
}

static bool same(const struct folder *f, const struct be_folder *b, struct slice parent)
{
	return slice_eq(f->path, b->path) && slice_eq(f->parent, parent) && slice_eq(f->name, b->name) &&
	       f->type == b->type && f->identity == b->identity && f->selectable == b->selectable;
}

static void set(struct folder *f, const struct be_folder *b, struct slice parent)
{
	f->path = b->path;
	f->parent = parent;
	f->name = b->name;
	f->type = b->type;
	f->identity = b->identity;
	f->selectable = b->selectable;
	f->changed = true;
}

static struct slice parent_id(const struct folder_map *m, struct slice path)
{
	const struct folder *p = path.len ? folder_by_path(m, path) : NULL;

	return p ? p->id : S("0");
}

static bool listed(const struct be_folder *f, size_t n, struct slice path)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(f[i].path, path))
			return true;
	return false;
}

/* The folder that b was before: it vanished under its old path, and its identity is
 * that of b and of no other vanished or new one. */
static struct folder *renamed_from(struct folder_map *m, const struct be_folder *f, size_t n, const struct be_folder *b)
{
	struct folder *was = NULL;

	if (b->identity == 0)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (&f[i] != b && f[i].identity == b->identity && !folder_by_path(m, f[i].path))
			return NULL;
	for (size_t i = 0; i < m->list.n; i++) {
		struct folder *c = &m->list.v[i];

		if (c->identity != b->identity || listed(f, n, c->path))
			continue;
		if (was)
			return NULL;
		was = c;
	}
	return was;
}

void folder_map_remove(struct folder_map *m, struct arena *a, struct slice id)
{
	for (size_t i = 0; i < m->list.n; i++) {
		if (!slice_eq(m->list.v[i].id, id))
			continue;
		*LIST_PUSH(a, &m->gone) = m->list.v[i].id;
		memmove(&m->list.v[i], &m->list.v[i + 1], (m->list.n - i - 1) * sizeof(m->list.v[0]));
		m->list.n--;
		m->dirty = true;
		return;
	}
}

struct folder *folder_map_put(struct arena *a, struct folder_map *m, struct slice id, const struct be_folder *b)
{
	struct slice parent = parent_id(m, b->parent);
	struct folder *f = id.len ? folder_by_id(m, id) : folder_by_path(m, b->path);

	if (!f) {
		/* Before LIST_PUSH: the new element has an empty path and must not be met. */
		struct slice fresh = id.len ? id : new_id(a, m, b->path);

		f = LIST_PUSH(a, &m->list);
		f->id = fresh;
	} else if (same(f, b, parent)) {
		return f;
	}
	set(f, b, parent);
	m->dirty = true;
	return f;
}

/* Parents before children, as the backend lists them: FolderSync sends in this order. */
static void sort_like(struct arena *a, struct folder_map *m, const struct be_folder *f, size_t n)
{
	struct folder *sorted = arena_alloc(a, m->list.n * sizeof(*sorted));
	size_t k = 0;

	for (size_t i = 0; i < n && k < m->list.n; i++) {
		const struct folder *fo = folder_by_path(m, f[i].path);

		if (fo && (k == 0 || !slice_eq(sorted[k - 1].path, fo->path)))
			sorted[k++] = *fo;
	}
	if (k != m->list.n)
		return; /* the backend named a path twice: leave the order as it is */
	memcpy(m->list.v, sorted, m->list.n * sizeof(*sorted));
}

void folder_map_refresh(struct arena *a, struct folder_map *m, const struct be_folder *f, size_t n)
{
	bool was_dirty = m->dirty;

	/* Renames first: the old path leaves the map and does not count as vanished. */
	for (size_t i = 0; i < n; i++) {
		struct folder *was;

		if (folder_by_path(m, f[i].path))
			continue;
		was = renamed_from(m, f, n, &f[i]);
		if (was) {
			was->path = f[i].path;
			was->changed = m->dirty = true;
		}
	}
	for (size_t i = 0; i < m->list.n;) {
		if (listed(f, n, m->list.v[i].path))
			i++;
		else
			folder_map_remove(m, a, m->list.v[i].id);
	}
	for (size_t i = 0; i < n; i++)
		folder_map_put(a, m, S_NONE, &f[i]);
	if (m->dirty && !was_dirty)
		sort_like(a, m, f, n);
}

void folder_map_merge(struct arena *a, struct folder_map *fresh, const struct folder_map *mine)
{
	for (size_t i = 0; i < mine->gone.n; i++)
		folder_map_remove(fresh, a, mine->gone.v[i]);
	for (size_t i = 0; i < mine->list.n; i++) {
		const struct folder *f = &mine->list.v[i];
		struct folder *to;

		if (!f->changed)
			continue;
		to = folder_by_id(fresh, f->id);
		if (!to)
			to = LIST_PUSH(a, &fresh->list);
		*to = *f;
		fresh->dirty = true;
	}
}
