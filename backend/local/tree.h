/* tree.h - the folders of one Maildir++ tree: names, listing, create, rename,
 * delete. "A/B" of backend.h is the directory ".A.B" of the root, each part in
 * modified UTF-7 as Dovecot writes it; INBOX is the root itself. Worker threads;
 * no state: the directory is the truth. */
#ifndef BACKEND_LOCAL_TREE_H
#define BACKEND_LOCAL_TREE_H

#include "backend/local/files.h"

/* Directory of a folder; malloc. NULL: such a name cannot exist here. */
char *tree_dir(const char *root, struct slice path);
/* Root with new/, cur/, tmp/ and the special folders, as far as they are missing. */
enum be_result tree_ensure(const char *root, struct err *e);
bool tree_exists(const char *root, struct slice path);

enum be_result tree_list(const char *root, int64_t deadline_ms, struct arena *a, struct be_folder **f_r, size_t *n_r,
			 struct err *e);
enum be_result tree_create(const char *root, struct slice parent, struct slice name, struct arena *a,
			   struct slice *path_r, struct err *e);
/* moved: called with each directory before it is renamed or deleted. */
typedef void tree_moved_fn(void *arg, const char *dir);
enum be_result tree_rename(const char *root, struct slice path, struct slice new_parent, struct slice new_name,
			   tree_moved_fn *moved, void *arg, struct arena *a, struct slice *path_r, struct err *e);
enum be_result tree_delete(const char *root, struct slice path, tree_moved_fn *moved, void *arg, struct err *e);

#endif
