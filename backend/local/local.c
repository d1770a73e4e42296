/* local.c - the backend on local disk: server, sessions, folders, changes,
 * watches. Workers (source_read: loop). The server owns accounts, the cache of
 * folders and the inotify descriptor; a session is a user and a directory and
 * costs nothing to keep. Trap: nothing here may trust what it saw a moment ago:
 * Dovecot, a delivery agent or an admin's shell may change the tree. */
#include "backend/local/local_priv.h"

#include <errno.h>
#include <stdlib.h>

static struct slice own(struct slice s)
{
	return s.len ? mem_slice(s) : S_NONE;
}

static void drop(struct slice *s)
{
	if (s->ptr) {
		mem_wipe((char *)s->ptr, s->len);
		free((char *)s->ptr);
	}
	*s = S_NONE;
}

/* -- server -- */

static struct slice path_setting(const struct settings *s, struct arena *a, const char *key, const char *in_data)
{
	struct slice v = settings_str(s, key);

	return v.len ? v : arena_printf(a, "%.*s/%s", SARG(settings_str(s, "server.data_dir")), in_data);
}

struct slice local_users_path(const struct settings *s, struct arena *a)
{
	return path_setting(s, a, "local.users", "users");
}

struct slice local_root_path(const struct settings *s, struct arena *a)
{
	return path_setting(s, a, "local.root", "mail");
}

static void local_close(struct backend **bp)
{
	struct local *l = (struct local *)*bp;

	*bp = NULL;
	if (!l)
		return;
	if (l->relay)
		l->relay->ops->close(&l->relay);
	notify_free(&l->notify);
	md_cache_deinit(&l->cache);
	accounts_free(&l->accounts);
	free(l->root);
	free(l);
}

int local_new(struct backend **b_r, const struct local_conf *c, struct err *e)
{
	struct local *l = mem_alloc(sizeof(*l));

	l->backend.ops = &local_backend_ops;
	l->root = mem_str(slice_str(c->root));
	l->clock = c->clock ? c->clock : &clock_system;
	l->rnd = c->rnd ? c->rnd : &rnd_system;
	l->accounts = accounts_new(c->users);
	md_cache_init(&l->cache, l->clock, l->rnd);
	l->notify = notify_new();
	*b_r = &l->backend;
	if (c->relay && c->relay->open(&l->relay, c->relay_env, e) < 0) {
		local_close(b_r);
		return -1;
	}
	if (dir_make(c->root) < 0) {
		files_errno(e, "make", c->root);
		local_close(b_r);
		e->code = ERR_CONFIG;
		return -1;
	}
	return 0;
}

static int local_open(struct backend **b_r, const struct be_env *env, struct err *e)
{
	struct arena *a = arena_new();
	bool relay = settings_str(env->settings, "smtp.url").len > 0;
	int r = local_new(b_r,
			  &(struct local_conf){
				  .root = arena_str(a, local_root_path(env->settings, a)),
				  .users = arena_str(a, local_users_path(env->settings, a)),
				  .clock = env->clock,
				  .rnd = env->rnd,
				  .relay = relay ? backend_by_name(S("smtp")) : NULL,
				  .relay_env = env,
			  },
			  e);

	arena_free(&a);
	return r;
}

char *local_home(const struct local *l, struct slice name)
{
	char *lower = mem_str(name), *home;

	for (char *p = lower; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 'a' - 'A');
	home = path_join("%s/%s/Maildir", l->root, lower);
	free(lower);
	return home;
}

/* -- sessions -- */

static void local_logout(struct session **sp)
{
	struct local_session *s = (struct local_session *)*sp;

	*sp = NULL;
	if (!s)
		return;
	drop(&s->user);
	drop(&s->address);
	drop(&s->display);
	drop(&s->cred.user);
	drop(&s->cred.login);
	drop(&s->cred.password);
	free(s->root);
	free(s);
}

static enum be_result local_login(struct backend *b, const struct be_cred *c, int64_t deadline_ms, struct session **s_r,
				  struct err *e)
{
	struct local *l = (struct local *)b;
	struct arena *a = arena_new();
	struct local_session *s = NULL;
	struct account acc;
	enum be_result r;

	ASSERT_WORKER();
	if (c->trusted) /* the verdict is remembered: no 0.1 s of hashing again */
		r = accounts_find(l->accounts, c->user, a, &acc, e);
	else
		r = accounts_check(l->accounts, c->user, c->password, a, &acc, e);
	if (r == BE_PERM && c->trusted)
		err_set(e, ERR_AUTH, "wrong user name or password"); /* the account was removed meanwhile */
	if (r == BE_OK) {
		s = mem_alloc(sizeof(*s));
		s->session.ops = b->ops;
		s->session.backend = b;
		s->local = l;
		s->user = own(c->user);
		s->address = own(acc.address);
		s->display = own(acc.display);
		s->root = local_home(l, acc.name);
		s->deadline_ms = deadline_ms;
		if (l->relay)
			s->cred = (struct be_cred){ .user = own(c->user), .login = own(c->login), .password = own(c->password) };
		r = tree_ensure(s->root, e);
		if (r == BE_PERM)
			r = BE_TEMP; /* the password was right: this is no verdict on it */
	}
	*s_r = s ? &s->session : NULL;
	if (r != BE_OK && s)
		local_logout(s_r);
	arena_free(&a);
	return r;
}

static void local_set_deadline(struct session *s, int64_t deadline_ms)
{
	((struct local_session *)s)->deadline_ms = deadline_ms;
}

static bool local_alive(struct session *s)
{
	return true;
}

static enum be_result local_account(struct session *session, struct arena *a, struct be_account *acc_r, struct err *e)
{
	struct local_session *s = (struct local_session *)session;

	*acc_r = (struct be_account){ arena_slice(a, s->address), arena_slice(a, s->display) };
	return BE_OK;
}

/* -- folders -- */

static enum be_result no_folder(struct err *e, struct slice path)
{
	err_set(e, ERR_NOT_FOUND, "no folder %.*s", SARG(path));
	return BE_PERM;
}

struct maildir *local_folder_again(struct local_session *s, struct slice path)
{
	char *dir = tree_dir(s->root, path);
	struct maildir *m = dir ? md_acquire(&s->local->cache, dir) : NULL;

	free(dir);
	return m;
}

enum be_result local_folder(struct local_session *s, struct slice path, struct maildir **m_r, struct err *e)
{
	enum be_result r;

	ASSERT_WORKER();
	*m_r = local_folder_again(s, path);
	if (!*m_r)
		return no_folder(e, path);
	r = md_sync(*m_r, s->deadline_ms, e);
	if (r != BE_OK)
		local_folder_done(s, m_r);
	return r;
}

void local_folder_done(struct local_session *s, struct maildir **m)
{
	md_release(&s->local->cache, m);
}

static enum be_result local_folders(struct session *session, struct arena *a, struct be_folder **f_r, size_t *n_r,
				    struct err *e)
{
	struct local_session *s = (struct local_session *)session;

	ASSERT_WORKER();
	return tree_list(s->root, s->deadline_ms, a, f_r, n_r, e);
}

static enum be_result local_folder_create(struct session *session, struct slice parent, struct slice name,
					  enum folder_type type, struct arena *a, struct slice *path_r, struct err *e)
{
	ASSERT_WORKER();
	return tree_create(((struct local_session *)session)->root, parent, name, a, path_r, e);
}

static void on_moved(void *arg, const char *dir)
{
	struct local_session *s = arg;

	md_forget(&s->local->cache, dir);
}

static enum be_result local_folder_rename(struct session *session, struct slice path, struct slice new_parent,
					  struct slice new_name, struct arena *a, struct slice *path_r, struct err *e)
{
	ASSERT_WORKER();
	return tree_rename(((struct local_session *)session)->root, path, new_parent, new_name, on_moved, session, a,
			   path_r, e);
}

static enum be_result local_folder_delete(struct session *session, struct slice path, struct err *e)
{
	ASSERT_WORKER();
	return tree_delete(((struct local_session *)session)->root, path, on_moved, session, e);
}

/* -- what changed -- */

/* Copied under the lock, reported without it. */
struct listing {
	struct be_item *items;
	uint64_t *gone;
	size_t n_items, n_gone;
};

static void list_changes(const struct maildir *m, uint64_t since, int64_t since_ms, bool full, struct listing *l)
{
	l->items = mem_alloc((m->n + 1) * sizeof(*l->items));
	l->gone = mem_alloc((m->n_gone + m->n + 1) * sizeof(*l->gone));
	for (size_t i = 0; i < m->n_gone && !full; i++)
		if (m->gone[i].modseq > since)
			l->gone[l->n_gone++] = m->gone[i].uid;
	for (size_t i = 0; i < m->n; i++) {
		const struct md_mail *mail = &m->v[i];

		if (!full && mail->modseq <= since)
			continue;
		if (mail->flags & MAIL_DELETED)
			l->gone[l->n_gone++] = mail->uid;
		else if (mail->date_ms >= since_ms)
			l->items[l->n_items++] =
				(struct be_item){ .num = mail->uid, .rev = mail->rev, .date_ms = mail->date_ms };
	}
}

/* Nothing remembered and nothing happened: the first look after a restart. */
static bool still_fresh(struct local_session *s, const struct be_changes_ask *ask, struct arena *a, struct be_changes *c_r)
{
	char *dir = ask->token.len ? tree_dir(s->root, ask->folder) : NULL;
	uint32_t validity;
	bool fresh = dir && md_token_fresh(dir, ask->token, &validity);

	free(dir);
	if (fresh)
		*c_r = (struct be_changes){ .token = arena_slice(a, ask->token), .identity = validity };
	return fresh;
}

static enum be_result local_changes(struct session *session, const struct be_changes_ask *ask,
				    const struct be_changes_sink *sink, struct arena *a, struct be_changes *c_r, struct err *e)
{
	struct local_session *s = (struct local_session *)session;
	struct listing l = { 0 };
	struct maildir *m;
	enum md_since since;
	enum be_result r;
	uint64_t modseq;

	if (still_fresh(s, ask, a, c_r))
		return BE_OK;
	r = local_folder(s, ask->folder, &m, e);
	if (r != BE_OK)
		return r;
	since = md_token_read(m, ask->token, &modseq);
	*c_r = (struct be_changes){ .token = md_token(m, a), .full = since == MD_FULL, .identity = m->validity };
	if (since != MD_NOTHING)
		list_changes(m, modseq, ask->since_ms, since == MD_FULL, &l);
	local_folder_done(s, &m);
	if (backend_report(sink, l.items, l.n_items, l.gone, since == MD_FULL ? 0 : l.n_gone) < 0)
		r = BE_TEMP;
	free(l.items);
	free(l.gone);
	return r;
}

static enum be_result local_lookup(struct session *session, struct slice folder, const uint64_t *nums, size_t n,
				   const struct be_changes_sink *sink, struct err *e)
{
	struct local_session *s = (struct local_session *)session;
	struct be_item *found = mem_alloc((n + 1) * sizeof(*found));
	struct maildir *m;
	size_t n_found = 0;
	enum be_result r = local_folder(s, folder, &m, e);

	for (size_t i = 0; i < n && r == BE_OK; i++) {
		struct md_mail *mail = md_find(m, nums[i]);

		if (mail)
			found[n_found++] =
				(struct be_item){ .num = mail->uid, .rev = mail->rev, .date_ms = mail->date_ms };
	}
	if (r == BE_OK)
		local_folder_done(s, &m);
	for (size_t i = 0; i < n_found && r == BE_OK; i++)
		if (sink->item(sink->arg, &found[i]) < 0)
			r = BE_TEMP;
	free(found);
	return r;
}

/* -- watching -- */

/* All selectable folders, where the caller names none. */
static enum be_result all_folders(struct local_session *s, struct arena *a, const struct slice **folders_r, size_t *n_r,
				  struct err *e)
{
	struct be_folder *f;
	struct slice *v;
	size_t n;
	enum be_result r = tree_list(s->root, s->deadline_ms, a, &f, &n, e);

	if (r != BE_OK)
		return r;
	v = arena_alloc(a, n * sizeof(*v));
	*n_r = 0;
	for (size_t i = 0; i < n; i++)
		if (f[i].selectable)
			v[(*n_r)++] = f[i].path;
	*folders_r = v;
	return BE_OK;
}

static enum be_result local_watch_open(struct session **session, const struct slice *folders, size_t n,
				       int64_t deadline_ms, struct watch **w_r, int *fd_r, enum be_watch_kind *kind_r,
				       size_t *missed_r, struct err *e)
{
	struct local_session *s = (struct local_session *)*session;
	struct arena *a = arena_new();
	enum be_result r = n ? BE_OK : all_folders(s, a, &folders, &n, e);
	struct local_watch *w;
	char **dirs;

	ASSERT_WORKER();
	if (r == BE_OK) {
		w = mem_alloc(sizeof(*w));
		w->watch.ops = (*session)->ops;
		w->session = s;
		dirs = arena_alloc(a, n * sizeof(*dirs));
		for (size_t i = 0; i < n; i++)
			dirs[i] = tree_dir(s->root, folders[i]);
		w->notify = notify_open(s->local->notify, s->user, s->root, folders, dirs, n, missed_r);
		for (size_t i = 0; i < n; i++)
			free(dirs[i]);
		*w_r = &w->watch;
		*fd_r = -1;
		*kind_r = notify_fd(s->local->notify) < 0 ? BE_WATCH_NONE : BE_WATCH_INOTIFY;
		*session = NULL;
	}
	arena_free(&a);
	return r;
}

static enum be_result local_watch_read(struct watch *w, be_event_fn *fn, void *arg, struct err *e)
{
	return BE_OK; /* events come by the source; there is no connection to keep */
}

static void local_watch_close(struct watch **wp)
{
	struct local_watch *w = (struct local_watch *)*wp;
	struct session *s;

	*wp = NULL;
	if (!w)
		return;
	notify_close(w->session->local->notify, &w->notify);
	s = &w->session->session;
	local_logout(&s);
	free(w);
}

static int local_source_fd(struct backend *b)
{
	return notify_fd(((struct local *)b)->notify);
}

static bool local_source_read(struct backend *b, be_event_fn *fn, void *arg)
{
	return notify_read(((struct local *)b)->notify, fn, arg);
}

const struct backend_ops local_backend_ops = {
	.name = "local",
	.roles = BE_MAIL | BE_SEND | BE_AUTH,
	.open = local_open,
	.close = local_close,
	.login = local_login,
	.logout = local_logout,
	.set_deadline = local_set_deadline,
	.alive = local_alive,
	.account = local_account,
	.folders = local_folders,
	.folder_create = local_folder_create,
	.folder_rename = local_folder_rename,
	.folder_delete = local_folder_delete,
	.changes = local_changes,
	.lookup = local_lookup,
	.heads = local_heads,
	.parts = local_parts,
	.set_flags = local_set_flags,
	.move = local_move,
	.remove = local_remove,
	.append = local_append,
	.find_message_id = local_find_message_id,
	.submit = local_submit,
	.watch_open = local_watch_open,
	.watch_read = local_watch_read,
	.watch_close = local_watch_close,
	.source_fd = local_source_fd,
	.source_read = local_source_read,
};
