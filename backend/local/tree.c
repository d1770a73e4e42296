/* tree.c - folders of a Maildir++ tree. Worker threads, nothing owned. A rename
 * takes the children first and the folder itself last, a delete moves each
 * directory out of sight before it empties it: a repeat after a crash in the
 * middle then finds the folder still there and ends the work. Trap: directories
 * beginning with ".." are never folders; what is being deleted hides there. */
#include "backend/local/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/local/maildir.h"

enum { DIR_NAME_MAX = 250 };

static const struct {
	const char *path;
	enum folder_type type;
} special[] = {
	{ "INBOX", FOLDER_INBOX },
	{ "Drafts", FOLDER_DRAFTS },
	{ "Sent", FOLDER_SENT },
	{ "Trash", FOLDER_TRASH },
	{ "Junk", FOLDER_USER_MAIL },
};

static int special_of(struct slice path)
{
	for (size_t i = 0; i < sizeof(special) / sizeof(*special); i++)
		if (slice_eq(slice_str(special[i].path), path))
			return (int)i;
	return -1;
}

/* -- names -- */

/* "A/B" -> ".A.B"; empty when it cannot be one. */
static struct slice dir_name(struct arena *a, struct slice path)
{
	struct slice rest = path, part, out = S_NONE;

	if (path.len == 0 || memchr(path.ptr, 0, path.len) || path.ptr[path.len - 1] == '/')
		return S_NONE;
	while (slice_split(&rest, '/', &part)) {
		struct slice enc = mutf7_encode(a, part);

		if (part.len == 0 || slice_chr(part, '.') >= 0)
			return S_NONE;
		out = arena_printf(a, "%.*s.%.*s", SARG(out), SARG(enc));
	}
	return out.len <= DIR_NAME_MAX ? out : S_NONE;
}

char *tree_dir(const char *root, struct slice path)
{
	struct arena *a;
	struct slice name;
	char *dir = NULL;

	if (slice_eq(path, S("INBOX")))
		return path_join("%s", root);
	a = arena_new();
	name = dir_name(a, path);
	if (name.len)
		dir = path_join("%s/%.*s", root, SARG(name));
	arena_free(&a);
	return dir;
}

/* ".A.B" -> "A/B"; false when it is no folder of ours. */
static bool folder_path(struct arena *a, struct slice dir, struct slice *path_r)
{
	struct slice rest = slice_from(dir, 1), part, out = S_NONE, dec;

	if (dir.len < 2 || dir.ptr[0] != '.' || dir.ptr[dir.len - 1] == '.')
		return false;
	while (slice_split(&rest, '.', &part)) {
		if (part.len == 0 || !mutf7_decode(a, part, &dec) || slice_chr(dec, '/') >= 0)
			return false;
		out = out.len ? arena_printf(a, "%.*s/%.*s", SARG(out), SARG(dec)) : dec;
	}
	*path_r = out;
	return !slice_eq(out, S("INBOX"));
}

static bool has_cur(const char *dir)
{
	char *cur = path_join("%s/cur", dir);
	struct stat st;
	bool is = stat(cur, &st) == 0 && S_ISDIR(st.st_mode);

	free(cur);
	return is;
}

bool tree_exists(const char *root, struct slice path)
{
	char *dir = tree_dir(root, path);
	bool is = dir && has_cur(dir);

	free(dir);
	return is;
}

static struct slice parent_of(struct slice path)
{
	while (path.len && path.ptr[path.len - 1] != '/')
		path.len--;
	return slice_to(path, path.len ? path.len - 1 : 0);
}

static struct slice name_of(struct slice path)
{
	struct slice parent = parent_of(path);

	return slice_from(path, parent.len ? parent.len + 1 : 0);
}

static bool below(struct slice path, struct slice top)
{
	return path.len > top.len && slice_starts(path, top) && path.ptr[top.len] == '/';
}

/* -- making -- */

static int make_folder(const char *dir)
{
	static const char *const sub[] = { "", "/tmp", "/new", "/cur" }; /* cur last: it makes it a folder */

	for (size_t i = 0; i < sizeof(sub) / sizeof(*sub); i++) {
		char *p = path_join("%s%s", dir, sub[i]);
		int r = mkdir(p, 0700) < 0 && errno != EEXIST ? -1 : 0;

		free(p);
		if (r < 0)
			return -1;
	}
	return 0;
}

enum be_result tree_ensure(const char *root, struct err *e)
{
	enum be_result r = BE_OK;

	if (!has_cur(root) && dir_make(root) < 0)
		return files_errno(e, "make", root);
	for (size_t i = 0; i < sizeof(special) / sizeof(*special) && r == BE_OK; i++) {
		char *dir = tree_dir(root, slice_str(special[i].path));

		if (!has_cur(dir) && make_folder(dir) < 0)
			r = files_errno(e, "make", dir);
		free(dir);
	}
	return r;
}

/* -- listing -- */

struct paths {
	struct slice *v;
	size_t n, cap;
};

static int by_path(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* All folders that are there, without INBOX, sorted: parents before children. */
static enum be_result read_paths(const char *root, struct arena *a, struct paths *p, struct err *e)
{
	DIR *d = opendir(root);
	enum be_result r = BE_OK;
	struct dirent *f;

	if (!d)
		return files_errno(e, "read", root);
	while ((errno = 0, f = readdir(d))) {
		struct slice path;
		char *dir;

		if (f->d_name[0] != '.' || !folder_path(a, slice_str(f->d_name), &path))
			continue;
		dir = path_join("%s/%s", root, f->d_name);
		if (has_cur(dir)) {
			p->v = arena_grow(a, p->v, p->n, &p->cap, sizeof(*p->v));
			p->v[p->n++] = arena_slice(a, path);
		}
		free(dir);
	}
	if (errno)
		r = files_errno(e, "read", root);
	closedir(d);
	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), by_path);
	return r;
}

static bool has_path(const struct paths *p, struct slice path)
{
	return p->n && bsearch(&path, p->v, p->n, sizeof(*p->v), by_path);
}

/* Parents that exist only in the names of their children. */
static void add_nodes(struct paths *p, struct arena *a, struct paths *nodes)
{
	for (size_t i = 0; i < p->n; i++)
		for (struct slice up = parent_of(p->v[i]); up.len; up = parent_of(up)) {
			bool there = has_path(p, up);

			for (size_t k = 0; k < nodes->n && !there; k++)
				there = slice_eq(nodes->v[k], up);
			if (there)
				continue;
			nodes->v = arena_grow(a, nodes->v, nodes->n, &nodes->cap, sizeof(*nodes->v));
			nodes->v[nodes->n++] = up;
		}
}

static struct be_folder folder_at(const char *root, struct slice path, int64_t deadline_ms)
{
	int sp = special_of(path);
	char *dir = tree_dir(root, path);
	struct be_folder f = {
		.path = path,
		.parent = parent_of(path),
		.name = name_of(path),
		.type = sp < 0 ? FOLDER_USER_MAIL : special[sp].type,
		.identity = dir ? uidlist_validity(dir, deadline_ms) : 0,
		.selectable = true,
	};

	free(dir);
	return f;
}

static int by_folder_path(const void *a, const void *b)
{
	return slice_cmp(((const struct be_folder *)a)->path, ((const struct be_folder *)b)->path);
}

enum be_result tree_list(const char *root, int64_t deadline_ms, struct arena *a, struct be_folder **f_r, size_t *n_r,
			 struct err *e)
{
	struct paths p = { 0 }, nodes = { 0 };
	enum be_result r = read_paths(root, a, &p, e);
	struct be_folder *v;
	size_t n = 0;

	if (r != BE_OK)
		return r;
	add_nodes(&p, a, &nodes);
	v = arena_alloc(a, (p.n + nodes.n + 1) * sizeof(*v));
	v[n++] = folder_at(root, S("INBOX"), deadline_ms);
	for (size_t i = 0; i < p.n; i++)
		v[n++] = folder_at(root, p.v[i], deadline_ms);
	for (size_t i = 0; i < nodes.n; i++)
		v[n++] = (struct be_folder){ .path = nodes.v[i], .parent = parent_of(nodes.v[i]),
					     .name = name_of(nodes.v[i]), .type = FOLDER_USER_MAIL };
	qsort(v, n, sizeof(*v), by_folder_path);
	*f_r = v;
	*n_r = n;
	return BE_OK;
}

/* -- changing -- */

static enum be_result no_folder(struct err *e, struct slice path)
{
	err_set(e, ERR_NOT_FOUND, "no folder %.*s", SARG(path));
	return BE_PERM;
}

/* There as a folder, or as a node above one. */
static bool known(const struct paths *p, struct slice path)
{
	if (slice_eq(path, S("INBOX")) || has_path(p, path))
		return true;
	for (size_t i = 0; i < p->n; i++)
		if (below(p->v[i], path))
			return true;
	return false;
}

/* INBOX has no children in a Maildir++ tree: what is made below it stands beside it. */
static struct slice real_parent(struct slice parent)
{
	return slice_eq(parent, S("INBOX")) ? S_NONE : parent;
}

static enum be_result new_path(const struct paths *p, struct slice parent, struct slice name, struct arena *a,
			       struct slice *path_r, struct err *e)
{
	struct slice fit = backend_folder_name(a, name, '.');

	if (parent.len && !known(p, parent))
		return no_folder(e, parent);
	parent = real_parent(parent);
	*path_r = parent.len ? arena_printf(a, "%.*s/%.*s", SARG(parent), SARG(fit)) : fit;
	if (fit.len == 0 || dir_name(a, *path_r).len == 0) {
		err_set(e, ERR_FORBIDDEN, "\"%.*s\" can be no folder's name here", SARG(name));
		return BE_PERM;
	}
	if (has_path(p, *path_r) || slice_ieq(*path_r, S("INBOX"))) {
		err_set(e, ERR_EXISTS, "folder %.*s exists", SARG(*path_r));
		return BE_PERM;
	}
	return BE_OK;
}

enum be_result tree_create(const char *root, struct slice parent, struct slice name, struct arena *a,
			   struct slice *path_r, struct err *e)
{
	struct paths p = { 0 };
	enum be_result r = read_paths(root, a, &p, e);
	char *dir;

	if (r == BE_OK)
		r = new_path(&p, parent, name, a, path_r, e);
	if (r != BE_OK)
		return r;
	dir = tree_dir(root, *path_r);
	if (make_folder(dir) < 0)
		r = files_errno(e, "make", dir);
	else
		dir_sync(root);
	free(dir);
	return r;
}

static enum be_result own_folder(const struct paths *p, struct slice path, struct err *e)
{
	if (special_of(path) >= 0) {
		err_set(e, ERR_SPECIAL, "%.*s is a special folder", SARG(path));
		return BE_PERM;
	}
	return known(p, path) ? BE_OK : no_folder(e, path);
}

static enum be_result rename_dir(const char *root, struct slice from, struct slice to, tree_moved_fn *moved, void *arg,
				 struct err *e)
{
	char *a = tree_dir(root, from), *b = tree_dir(root, to);
	enum be_result r = BE_OK;

	if (!a || !b) {
		err_set(e, ERR_FORBIDDEN, "%.*s would have too long a name", SARG(to));
		r = BE_PERM;
	} else {
		moved(arg, a);
		moved(arg, b);
		if (rename(a, b) < 0)
			r = files_errno(e, "rename", a);
	}
	free(a);
	free(b);
	return r;
}

/* The path itself or below; `to` of it. */
static struct slice moved_path(struct arena *a, struct slice path, struct slice top, struct slice to)
{
	return arena_printf(a, "%.*s%.*s", SARG(to), SARG(slice_from(path, top.len)));
}

enum be_result tree_rename(const char *root, struct slice path, struct slice new_parent, struct slice new_name,
			   tree_moved_fn *moved, void *arg, struct arena *a, struct slice *path_r, struct err *e)
{
	struct paths p = { 0 };
	enum be_result r = read_paths(root, a, &p, e);

	if (r == BE_OK)
		r = own_folder(&p, path, e);
	if (r == BE_OK && (slice_eq(new_parent, path) || below(new_parent, path))) {
		err_set(e, ERR_FORBIDDEN, "%.*s cannot go below itself", SARG(path));
		r = BE_PERM;
	}
	if (r == BE_OK)
		r = new_path(&p, new_parent, new_name, a, path_r, e);
	for (size_t i = 0; i < p.n && r == BE_OK; i++)
		if (below(p.v[i], path) && !dir_name(a, moved_path(a, p.v[i], path, *path_r)).len) {
			err_set(e, ERR_FORBIDDEN, "%.*s would have too long a name", SARG(p.v[i]));
			r = BE_PERM;
		}
	for (size_t i = p.n; i-- > 0 && r == BE_OK;)
		if (below(p.v[i], path))
			r = rename_dir(root, p.v[i], moved_path(a, p.v[i], path, *path_r), moved, arg, e);
	if (r == BE_OK && has_path(&p, path))
		r = rename_dir(root, path, *path_r, moved, arg, e);
	dir_sync(root);
	return r;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path) < 0 && errno != ENOENT ? -1 : 0;
}

static enum be_result delete_dir(const char *root, struct slice path, tree_moved_fn *moved, void *arg, struct err *e)
{
	enum { FDS = 8 };
	char *dir = tree_dir(root, path), unique[128], *away;
	enum be_result r = BE_OK;

	md_unique(unique, sizeof(unique));
	away = path_join("%s/..deleted-%s", root, unique);
	moved(arg, dir);
	if (rename(dir, away) < 0)
		r = errno == ENOENT ? BE_OK : files_errno(e, "delete", dir);
	else
		/* Out of sight is what was promised; what cannot be unlinked only takes space. */
		nftw(away, remove_entry, FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(dir);
	free(away);
	return r;
}

enum be_result tree_delete(const char *root, struct slice path, tree_moved_fn *moved, void *arg, struct err *e)
{
	struct arena *a = arena_new();
	struct paths p = { 0 };
	enum be_result r = read_paths(root, a, &p, e);

	if (r == BE_OK)
		r = own_folder(&p, path, e);
	for (size_t i = p.n; i-- > 0 && r == BE_OK;)
		if (below(p.v[i], path))
			r = delete_dir(root, p.v[i], moved, arg, e);
	if (r == BE_OK && has_path(&p, path))
		r = delete_dir(root, path, moved, arg, e);
	arena_free(&a);
	return r;
}
