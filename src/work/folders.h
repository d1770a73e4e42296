/* folders.h - the folders of a user: id <-> path. Part of the record KEY_USER,
 * shared by all devices of the user.
 *
 * An id is 16 URL-safe characters without ':' derived from user and path at
 * first sight, so that two servers, two devices and a lost store agree on it.
 * It stays with the folder when a phone renames it, and when it is renamed
 * elsewhere if the backend's identity tells that it is the same one. An id that
 * is taken by a renamed folder is salted for the next folder of that path.
 * Folders that are gone leave the map; a new one of the same path gets the same
 * id, and the sync state's own identity says that it holds other items.
 * Worker; pure but for folders_refresh's caller. */
#ifndef WORK_FOLDERS_H
#define WORK_FOLDERS_H

#include "backend/backend.h"
#include "proto/schema.h"
#include "work/device.h"

enum { FOLDER_ID_LEN = 16 };

struct folder {
	struct slice id;
	struct slice path;     /* the backend's */
	struct slice parent;   /* id; "0" at the top */
	struct slice name;
	enum folder_type type;
	uint64_t identity;     /* as last seen, 0 unknown */
	bool selectable;
	bool changed;          /* since the record was loaded */
};

struct folder_map {
	struct slice user;
	uint64_t rev;          /* of the record; 0: none yet */
	LIST_OF(struct folder) list; /* parents before children */
	str_list gone;         /* ids taken out since the load */
	bool dirty;
	struct slice unknown;  /* fields of a newer program, kept */
};

int folder_map_decode(struct arena *a, struct slice user, struct slice value, uint64_t rev, struct folder_map *m_r,
		      struct err *e);
struct slice folder_map_encode(struct arena *a, const struct folder_map *m);
/* NULL when there is none. */
struct folder *folder_by_id(const struct folder_map *m, struct slice id);
struct folder *folder_by_path(const struct folder_map *m, struct slice path);
/* Makes the map what the backend lists: new ones get ids, vanished ones go, renames are recognised. */
void folder_map_refresh(struct arena *a, struct folder_map *m, const struct be_folder *f, size_t n);
/* One folder by hand, after FolderCreate and FolderUpdate: id empty gives it one. */
struct folder *folder_map_put(struct arena *a, struct folder_map *m, struct slice id, const struct be_folder *f);
void folder_map_remove(struct folder_map *m, struct arena *a, struct slice id);
/* Another command wrote the record meanwhile: this one's changes over it. */
void folder_map_merge(struct arena *a, struct folder_map *fresh, const struct folder_map *mine);

/* What a phone is told of it, as a hash. */
uint32_t folder_hash(const struct folder *f);
/* Does the phone's snapshot differ from the map? (Ping status 7) */
bool folder_map_differs(const struct folder_map *m, const hier_list *known);
/* The map as a snapshot. */
void folder_map_snapshot(struct arena *a, const struct folder_map *m, hier_list *l_r);

#endif
