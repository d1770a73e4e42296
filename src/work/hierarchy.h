/* hierarchy.h - the generations of the folder list that a phone holds, shared by
 * FolderSync and FolderCreate, -Update, -Delete. Worker. */
#ifndef WORK_HIERARCHY_H
#define WORK_HIERARCHY_H

#include "work/work.h"

/* What a request's key stands for. */
struct hier_ask {
	enum synckey_kind kind;
	enum synckey_place place;
	struct synckey key;
	const hier_list *base; /* what the phone knows; empty for key 0 */
};

/* false: the key is none of ours or too old (status 9). */
bool hier_read_key(struct exchange *x, struct slice text, struct hier_ask *ask_r);
/* A new generation: `now` was sent. Returns its key as text. */
struct slice hier_advance(struct exchange *x, const struct hier_ask *ask, const hier_list *now);
struct slice hier_key_text(struct exchange *x, struct synckey k);
const struct hier_entry *hier_find(const hier_list *l, struct slice id);
bool hier_equal(const hier_list *a, const hier_list *b);

/* The map as this device is shown it: all, or the default folders (devices.extra_folders). */
const struct folder_map *hier_shown(struct exchange *x, const struct folder_map *m);

#endif
