/* folders.c - the folder map of a user. Pure; lists in the request's arena.
 * The trap: ids are derived from paths, so an id whose folder was renamed by a
 * phone blocks the id of its old path: it is salted until it is free. */
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

static struct slice derive_id(struct arena *a, struct slice user, struct slice path, unsigned salt)
{
	struct slice n = salt ? arena_printf(a, "%u", salt) : S_NONE;
	struct sha256 d = digest_parts((const struct slice[]){ S("folder"), user, path, n }, 4);

	/* A leading dash could be taken for a number. */
	if ((d.b[0] & 0xfc) == 0xf8)
		d.b[0] ^= 0x80;
	return base64url_encode(a, d.b, ID_BYTES);
}

static struct slice new_id(struct arena *a, const struct folder_map *m, struct slice path)
{
	for (unsigned salt = 0;; salt++) {
		struct slice id = derive_id(a, m->user, path, salt);

		if (!folder_by_id(m, id))
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

/* The list as it was, in one pass: the common case, and 5,000 folders squared are not. */
static bool unchanged(const struct folder_map *m, const struct be_folder *f, size_t n)
{
	if (m->list.n != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct slice parent = S("0");

		/* Parents stand before their children, mostly close. */
		for (size_t up = i; up-- > 0 && f[i].parent.len;)
			if (slice_eq(f[up].path, f[i].parent)) {
				parent = m->list.v[up].id;
				break;
			}
		if (!same(&m->list.v[i], &f[i], parent))
			return false;
	}
	return true;
}

/* --- refresh ------------------------------------------------------------------ */

enum { NOT_THERE = UINT32_MAX };

/* Names to numbers, open addressing, never more than half full. */
struct index {
	struct slice *key;
	uint32_t *value;
	size_t mask;
};

static void index_init(struct arena *a, struct index *ix, size_t n)
{
	size_t cap = 16;

	while (cap < 2 * n + 2)
		cap *= 2;
	ix->key = arena_alloc(a, cap * sizeof(*ix->key));
	ix->value = arena_alloc(a, cap * sizeof(*ix->value));
	ix->mask = cap - 1;
}

static size_t index_slot(const struct index *ix, struct slice key)
{
	size_t i = slice_hash(key) & ix->mask;

	while (ix->key[i].ptr && !slice_eq(ix->key[i], key))
		i = (i + 1) & ix->mask;
	return i;
}

static uint32_t index_get(const struct index *ix, struct slice key)
{
	size_t i = index_slot(ix, key);

	return key.len && ix->key[i].ptr ? ix->value[i] : NOT_THERE;
}

/* The first one of a name stays. */
static void index_put(struct index *ix, struct slice key, uint32_t value)
{
	size_t i = index_slot(ix, key);

	if (key.len == 0 || ix->key[i].ptr)
		return;
	ix->key[i] = key;
	ix->value[i] = value;
}

struct refresh {
	struct arena *a;
	struct folder_map *m;
	const struct be_folder *f;
	size_t n;
	struct index listed;   /* path -> number in f */
	struct index known;    /* path -> number in m->list */
	struct index ids;      /* those in use from now on */
	uint32_t *was;         /* per f: number in m->list that it is; NOT_THERE: new */
};

/* The vanished folder that the new one b was before: its identity is that of b
 * and of no other vanished or new one. */
static uint32_t renamed_from(const struct refresh *r, size_t b)
{
	uint32_t found = NOT_THERE;
	uint64_t identity = r->f[b].identity;

	for (size_t i = 0; identity && i < r->m->list.n; i++) {
		const struct folder *c = &r->m->list.v[i];

		if (c->identity != identity || index_get(&r->listed, c->path) != NOT_THERE)
			continue;
		if (found != NOT_THERE)
			return NOT_THERE;
		found = (uint32_t)i;
	}
	for (size_t i = 0; found != NOT_THERE && i < r->n; i++)
		if (i != b && r->f[i].identity == identity && index_get(&r->known, r->f[i].path) == NOT_THERE)
			return NOT_THERE;
	return found;
}

static struct slice id_for(struct refresh *r, struct slice path)
{
	struct slice id;

	for (unsigned salt = 0;; salt++) {
		id = derive_id(r->a, r->m->user, path, salt);
		if (index_get(&r->ids, id) == NOT_THERE)
			break;
	}
	index_put(&r->ids, id, 0);
	return id;
}

/* Which old folder each listed one is; the ids of those stay theirs. */
static void recognise(struct refresh *r)
{
	size_t gone = r->m->list.n;

	for (size_t i = 0; i < r->n; i++) {
		r->was[i] = index_get(&r->listed, r->f[i].path) == i ? index_get(&r->known, r->f[i].path) : NOT_THERE;
		gone -= r->was[i] != NOT_THERE;
	}
	for (size_t i = 0; gone && i < r->n; i++)
		if (r->was[i] == NOT_THERE && index_get(&r->listed, r->f[i].path) == i)
			r->was[i] = renamed_from(r, i);
	for (size_t i = 0; i < r->n; i++)
		if (r->was[i] != NOT_THERE)
			index_put(&r->ids, r->m->list.v[r->was[i]].id, 0);
}

static void note_gone(struct refresh *r)
{
	for (size_t i = 0; i < r->m->list.n; i++)
		if (index_get(&r->ids, r->m->list.v[i].id) == NOT_THERE) {
			*LIST_PUSH(r->a, &r->m->gone) = r->m->list.v[i].id;
			r->m->dirty = true;
		}
}

/* The new list in the backend's order: parents before children. */
static void rebuild(struct refresh *r)
{
	struct folder *list = arena_alloc(r->a, r->n * sizeof(*list));
	uint32_t *at = arena_alloc(r->a, r->n * sizeof(*at)); /* per f: its place in list */
	size_t k = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct folder *fo = &list[k];
		uint32_t up = index_get(&r->listed, r->f[i].parent);
		struct slice parent = up != NOT_THERE && up < i ? list[at[up]].id : S("0");

		if (index_get(&r->listed, r->f[i].path) != i)
			continue; /* named twice, or not at all */
		at[i] = (uint32_t)k++;
		if (r->was[i] != NOT_THERE)
			*fo = r->m->list.v[r->was[i]];
		else
			*fo = (struct folder){ .id = id_for(r, r->f[i].path) };
		if (!same(fo, &r->f[i], parent)) {
			set(fo, &r->f[i], parent);
			r->m->dirty = true;
		}
	}
	r->m->list.v = list;
	r->m->list.n = k;
	r->m->list.cap = r->n;
}

void folder_map_refresh(struct arena *a, struct folder_map *m, const struct be_folder *f, size_t n)
{
	struct refresh r = { .a = a, .m = m, .f = f, .n = n };

	if (unchanged(m, f, n))
		return;
	index_init(a, &r.listed, n);
	index_init(a, &r.known, m->list.n);
	index_init(a, &r.ids, n);
	for (size_t i = 0; i < n; i++)
		index_put(&r.listed, f[i].path, (uint32_t)i);
	for (size_t i = 0; i < m->list.n; i++)
		index_put(&r.known, m->list.v[i].path, (uint32_t)i);
	r.was = arena_alloc(a, n * sizeof(*r.was));
	recognise(&r);
	note_gone(&r);
	rebuild(&r);
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
