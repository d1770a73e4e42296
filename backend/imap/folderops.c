/* folderops.c - create, rename, delete. Worker. Each looks at the tree first (one
 * round trip), because servers differ in what they say when something is there
 * already, and the contract does not. */
#include "backend/imap/folders.h"

static bool is_special(const struct node *f)
{
	return f->type == FOLDER_INBOX || (f->special >= 0 && f->special != SP_JUNK);
}

static enum be_result perm(struct err *e, enum err_code code, const char *what, struct slice path)
{
	err_set(e, code, "%s: %.*s", what, SARG(path));
	return BE_PERM;
}

static struct slice join(struct imap_session *s, struct arena *a, struct slice parent, struct slice name)
{
	if (!parent.len)
		return arena_printf(a, "%.*s%.*s", SARG(s->personal.prefix), SARG(name));
	return arena_printf(a, "%.*s%c%.*s", SARG(parent), s->personal.sep ? s->personal.sep : '/', SARG(name));
}

static unsigned cmd1(struct imap_session *s, const char *verb, struct slice path)
{
	unsigned tag = imap_cmd(s, "%s ", verb);

	imap_arg_mailbox(s, path);
	imap_end(s);
	return tag;
}

/* Path of a new folder below parent; BE_PERM when there is no such parent or name.
 * timid: without what the storage behind a server may not hold (Dovecot's Maildir++
 * refuses dots, whatever its separator is). */
static enum be_result new_path(struct imap_session *s, struct arena *a, struct node *v, size_t n, struct slice parent,
			       struct slice name, bool timid, struct slice *path_r, struct err *e)
{
	struct slice clean = backend_folder_name(a, name, s->personal.sep);

	if (timid)
		clean = backend_folder_name(a, clean, '.');

	if (parent.len && !node_find(v, n, parent))
		return perm(e, ERR_NOT_FOUND, "no such parent", parent);
	if (parent.len && !s->personal.sep)
		return perm(e, ERR_UNSUPPORTED, "the server has no folders in folders", parent);
	if (!clean.len)
		return perm(e, ERR_FORBIDDEN, "not a folder name", name);
	if (!parent.len && slice_ieq(clean, S("INBOX"))) { /* "INBOX.inbox" would look like a second one */
		*path_r = S("INBOX");
		return BE_OK;
	}
	*path_r = join(s, a, parent, clean);
	if (path_r->len > 1024)
		return perm(e, ERR_FORBIDDEN, "folder name too long", slice_to(name, 60));
	return BE_OK;
}

static const char *use_of(enum folder_type type)
{
	return type == FOLDER_SENT ? "\\Sent" : type == FOLDER_TRASH ? "\\Trash" : type == FOLDER_DRAFTS ? "\\Drafts" : NULL;
}

static enum be_result create(struct imap_session *s, struct slice path, enum folder_type type, struct err *e)
{
	const char *use = imap_has(s, CAP_CREATE_SPECIAL) ? use_of(type) : NULL;
	struct imap_done d;
	unsigned made = imap_cmd(s, "CREATE "), sub;
	enum be_result r;

	imap_arg_mailbox(s, path);
	if (use)
		imap_arg(s, " (USE (%s))", use);
	imap_end(s);
	sub = cmd1(s, "SUBSCRIBE", path);
	r = imap_ok(s, made, "CREATE", e);
	if (r == BE_TEMP && s->w.failed)
		return r;
	if (imap_wait(s, sub, &d, r == BE_OK ? e : NULL) != BE_OK)
		return BE_TEMP;
	return r;
}

static enum be_result find_by_type(struct node *v, size_t n, enum folder_type type, struct slice *path_r, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].type == type && !v[i].foreign) {
			*path_r = v[i].path;
			return perm(e, ERR_EXISTS, "there already", v[i].path);
		}
	return BE_OK;
}

static enum be_result create_new(struct imap_session *s, struct node *v, size_t n, struct slice *path, enum folder_type type,
				 struct err *e)
{
	struct node *old = node_find(v, n, *path);

	if (slice_ieq(*path, S("INBOX")))
		*path = S("INBOX");
	if ((old && !(old->attrs & ATTR_NOSELECT)) || slice_eq(*path, S("INBOX")))
		return perm(e, ERR_EXISTS, "there already", *path);
	return create(s, *path, type, e);
}

/* No for a reason that another name may cure. */
static bool name_refused(const struct imap_session *s, enum be_result r, const struct err *e)
{
	return r == BE_PERM && e && !s->w.failed && (e->code == ERR_BACKEND_PERM || e->code == ERR_FORBIDDEN);
}

enum be_result imap_folder_create(struct session *base, struct slice parent, struct slice name, enum folder_type type,
				  struct arena *a, struct slice *path_r, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	bool special = type == FOLDER_INBOX || use_of(type);
	struct node *v;
	size_t n;
	enum be_result r = folders_tree(s, a, &v, &n, e);

	*path_r = S_NONE;
	if (r == BE_OK && special)
		r = find_by_type(v, n, type, path_r, e);
	if (r != BE_OK)
		return r;
	if (special)
		*path_r = folders_special_path(s, a, type);
	else
		r = new_path(s, a, v, n, parent, name, false, path_r, e);
	if (r == BE_OK)
		r = create_new(s, v, n, path_r, type, e);
	if (!special && name_refused(s, r, e)) {
		r = new_path(s, a, v, n, parent, name, true, path_r, e);
		if (r == BE_OK)
			r = create_new(s, v, n, path_r, type, e);
	}
	return r;
}

/* Does path lie below root? */
static bool below(struct slice path, struct slice root, char sep)
{
	return sep && path.len > root.len && slice_starts(path, root) && path.ptr[root.len] == sep;
}

/* Subscriptions follow a rename; servers leave that to us. */
static enum be_result resubscribe(struct imap_session *s, struct arena *a, const struct node *v, size_t n,
				  const struct node *root, struct slice new_path, struct err *e)
{
	struct imap_done d;
	unsigned last = 0;

	for (size_t i = 0; i < n; i++) {
		if (&v[i] != root && !below(v[i].path, root->path, root->sep))
			continue;
		cmd1(s, "SUBSCRIBE", arena_printf(a, "%.*s%.*s", SARG(new_path), SARG(slice_from(v[i].path, root->path.len))));
		last = cmd1(s, "UNSUBSCRIBE", v[i].path);
	}
	return last ? imap_wait(s, last, &d, e) : BE_OK;
}

static enum be_result check_rename(struct imap_session *s, struct arena *a, struct node *v, size_t n, const struct node *f,
				   struct slice path, struct slice parent, struct slice name, bool timid,
				   struct slice *path_r, struct err *e)
{
	enum be_result r;

	if (!f)
		return perm(e, ERR_NOT_FOUND, "no such folder", path);
	if (is_special(f))
		return perm(e, ERR_SPECIAL, "special folder", path);
	r = new_path(s, a, v, n, parent, name, timid, path_r, e);
	if (r != BE_OK)
		return r;
	if (slice_eq(parent, path) || below(parent, path, f->sep))
		return perm(e, ERR_FORBIDDEN, "into itself", path);
	if (node_find(v, n, *path_r))
		return perm(e, ERR_EXISTS, "there already", *path_r);
	return BE_OK;
}

static enum be_result rename_to(struct imap_session *s, const struct node *f, struct slice to, struct err *e)
{
	struct slice at = slice_str(s->sel.path);
	enum be_result r = BE_OK;
	unsigned tag;

	if (at.len && (slice_eq(at, f->path) || below(at, f->path, f->sep)))
		r = select_leave(s, at, e);
	if (r != BE_OK)
		return r;
	tag = imap_cmd(s, "RENAME ");
	imap_arg_mailbox(s, f->path);
	imap_arg(s, " ");
	imap_arg_mailbox(s, to);
	imap_end(s);
	return imap_ok(s, tag, "RENAME", e);
}

enum be_result imap_folder_rename(struct session *base, struct slice path, struct slice new_parent, struct slice new_name,
				  struct arena *a, struct slice *path_r, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	struct node *v, *f;
	size_t n;
	enum be_result r = folders_tree(s, a, &v, &n, e);

	*path_r = S_NONE;
	if (r != BE_OK)
		return r;
	f = node_find(v, n, path);
	r = check_rename(s, a, v, n, f, path, new_parent, new_name, false, path_r, e);
	if (r == BE_OK)
		r = rename_to(s, f, *path_r, e);
	if (f && name_refused(s, r, e)) {
		r = check_rename(s, a, v, n, f, path, new_parent, new_name, true, path_r, e);
		if (r == BE_OK)
			r = rename_to(s, f, *path_r, e);
	}
	return r == BE_OK ? resubscribe(s, a, v, n, f, *path_r, e) : r;
}

/* Deepest first, in one flush. A level that is only a name may refuse: it goes
 * with its last child. */
static enum be_result delete_all(struct imap_session *s, const struct node *v, size_t n, const struct node *root,
				 struct arena *a, struct err *e)
{
	unsigned *tags = arena_alloc(a, n * sizeof(*tags));
	enum be_result worst = BE_OK;

	for (size_t i = n; i-- > 0;)
		if (&v[i] == root || below(v[i].path, root->path, root->sep)) {
			tags[i] = cmd1(s, "DELETE", v[i].path);
			cmd1(s, "UNSUBSCRIBE", v[i].path);
		}
	for (size_t i = n; i-- > 0;) {
		struct err own = { 0 };
		enum be_result r = tags[i] ? imap_ok(s, tags[i], "DELETE", &own) : BE_OK;

		if (r == BE_OK || own.code == ERR_NOT_FOUND || (r == BE_PERM && v[i].attrs & ATTR_NOSELECT))
			continue;
		worst = r;
		if (e)
			*e = own;
		if (s->w.failed)
			return BE_TEMP;
	}
	return worst;
}

enum be_result imap_folder_delete(struct session *base, struct slice path, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	struct arena *a = arena_new();
	struct node *v, *f = NULL;
	size_t n;
	enum be_result r = folders_tree(s, a, &v, &n, e);

	if (r == BE_OK)
		f = node_find(v, n, path);
	if (r == BE_OK && !f)
		r = perm(e, ERR_NOT_FOUND, "no such folder", path);
	else if (r == BE_OK && is_special(f))
		r = perm(e, ERR_SPECIAL, "special folder", path);
	if (r == BE_OK && s->sel.path)
		r = select_leave(s, slice_str(s->sel.path), e);
	if (r == BE_OK)
		r = delete_all(s, v, n, f, a, e);
	arena_free(&a);
	return r;
}
