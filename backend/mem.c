/* mem.c - the backend in memory: the operations of backend.h over the boxes of
 * mem_box.c. Worker threads (source_read: loop); one mutex a server. A session
 * holds only the user's name, so a user's data may change behind it at any time
 * as on a real server. Trap: mails are parsed under the lock, so what heads
 * hands out must not point into the mail: it is copied first. */
#include "backend/mem_box.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend/head.h"
#include "base/digest.h"
#include "base/role.h"

struct mem_session {
	struct session session;
	struct slice user; /* owned */
};

/* -- server and session -- */

static int mem_open(struct backend **b_r, const struct be_env *env, struct err *e)
{
	struct mem *m = mem_alloc(sizeof(*m));

	m->backend.ops = &mem_backend_ops;
	m->clock = env && env->clock ? env->clock : &clock_system;
	m->event_fd = -1;
	pthread_mutex_init(&m->mu, NULL);
	list_init(&m->users);
	list_init(&m->events);
	*b_r = &m->backend;
	return 0;
}

static void event_free(struct mem_event *ev)
{
	list_del(&ev->link);
	free((char *)ev->user.ptr);
	free((char *)ev->folder.ptr);
	free(ev);
}

static void user_free(struct mem_user *u)
{
	ASSERT(list_empty(&u->watches));
	list_for_safe(l, &u->folders) {
		struct mem_folder *f = list_entry(l, struct mem_folder, link);

		mem_folder_free(&f);
	}
	list_del(&u->link);
	free((char *)u->user.ptr);
	free((char *)u->password.ptr);
	free((char *)u->address.ptr);
	free((char *)u->name.ptr);
	free(u);
}

static void sent_clear(struct mem_sent *s)
{
	for (size_t i = 0; i < s->n_rcpt; i++)
		free((char *)s->rcpt[i].ptr);
	free((void *)s->rcpt);
	free((char *)s->from.ptr);
	free((char *)s->mail.ptr);
}

static void mem_close(struct backend **b)
{
	struct mem *m = (struct mem *)*b;

	*b = NULL;
	if (!m)
		return;
	list_for_safe(l, &m->users)
		user_free(list_entry(l, struct mem_user, link));
	list_for_safe(l, &m->events)
		event_free(list_entry(l, struct mem_event, link));
	for (size_t i = 0; i < m->n_sent; i++)
		sent_clear(&m->sent[i]);
	free(m->sent);
	if (m->event_fd >= 0)
		close(m->event_fd);
	pthread_mutex_destroy(&m->mu);
	free(m);
}

static enum be_result mem_login(struct backend *b, const struct be_cred *c, int64_t deadline_ms, struct session **s_r,
				struct err *e)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u = mem_user(m, c->user);
	bool good = u && (c->trusted || slice_eq(u->password, c->password));
	struct mem_session *s;

	ASSERT_WORKER();
	m->logins++;
	mem_leave(m);
	if (!good) {
		err_set(e, ERR_AUTH, "wrong user name or password");
		return BE_PERM;
	}
	s = mem_alloc(sizeof(*s));
	s->session.ops = b->ops;
	s->session.backend = b;
	s->user = mem_slice(c->user);
	*s_r = &s->session;
	return BE_OK;
}

static void mem_logout(struct session **sp)
{
	struct mem_session *s = (struct mem_session *)*sp;

	*sp = NULL;
	if (!s)
		return;
	free((char *)s->user.ptr);
	free(s);
}

static void mem_set_deadline(struct session *s, int64_t deadline_ms)
{
}

static bool mem_alive(struct session *s)
{
	return true;
}

/* Where a call works: the server, locked, the user, and a folder of it. */
struct at {
	struct mem *m;
	struct mem_user *u;
	struct mem_folder *f;
};

static enum be_result no_folder(struct err *e, struct slice path)
{
	err_set(e, ERR_NOT_FOUND, "no folder %.*s", SARG(path));
	return BE_PERM;
}

static void enter(struct session *s, struct at *at)
{
	ASSERT_WORKER();
	at->m = mem_enter(s->backend);
	at->u = mem_user(at->m, ((struct mem_session *)s)->user);
	at->f = NULL;
	ASSERT(at->u); /* users are never removed */
}

/* Leaves again by itself when there is no such folder. */
static enum be_result enter_folder(struct session *s, struct slice path, struct at *at, struct err *e)
{
	enter(s, at);
	at->f = path.len ? mem_folder(at->u, path) : NULL;
	if (at->f)
		return BE_OK;
	mem_leave(at->m);
	return no_folder(e, path);
}

static enum be_result mem_account(struct session *s, struct arena *a, struct be_account *acc_r, struct err *e)
{
	struct at at;

	enter(s, &at);
	*acc_r = (struct be_account){ arena_slice(a, at.u->address), arena_slice(a, at.u->name) };
	mem_leave(at.m);
	return BE_OK;
}

/* -- folders -- */

static struct slice path_parent(struct slice path)
{
	while (path.len && path.ptr[path.len - 1] != '/')
		path.len--;
	return slice_to(path, path.len ? path.len - 1 : 0);
}

static struct slice path_name(struct slice path)
{
	struct slice parent = path_parent(path);

	return slice_from(path, parent.len ? parent.len + 1 : 0);
}

static int by_path(const void *a, const void *b)
{
	return slice_cmp(((const struct be_folder *)a)->path, ((const struct be_folder *)b)->path);
}

static enum be_result mem_folders(struct session *s, struct arena *a, struct be_folder **f_r, size_t *n_r, struct err *e)
{
	struct be_folder *v = NULL;
	size_t n = 0, cap = 0;
	struct at at;

	enter(s, &at);
	list_for(l, &at.u->folders) {
		struct mem_folder *f = list_entry(l, struct mem_folder, link);
		struct slice path = arena_slice(a, f->path);

		v = arena_grow(a, v, n, &cap, sizeof(*v));
		v[n++] = (struct be_folder){
			.path = path,
			.parent = path_parent(path),
			.name = path_name(path),
			.type = f->type,
			.identity = f->identity,
			.selectable = true,
		};
	}
	mem_leave(at.m);
	/* A parent's path is a prefix of its children's, so it sorts before them. */
	qsort(v, n, sizeof(*v), by_path);
	*f_r = v;
	*n_r = n;
	return BE_OK;
}

/* The path of a folder to be: BE_OK with *path_r (in the arena) not there yet. */
static enum be_result new_path(struct mem_user *u, struct slice parent, struct slice name, struct arena *a,
			       struct slice *path_r, struct err *e)
{
	struct slice fit = backend_folder_name(a, name, '/');

	if (fit.len == 0) {
		err_set(e, ERR_FORBIDDEN, "a folder needs a name");
		return BE_PERM;
	}
	if (parent.len && !mem_folder(u, parent))
		return no_folder(e, parent);
	*path_r = parent.len ? arena_printf(a, "%.*s/%.*s", SARG(parent), SARG(fit)) : fit;
	if (mem_folder(u, *path_r) || slice_ieq(*path_r, S("INBOX"))) {
		err_set(e, ERR_EXISTS, "folder %.*s exists", SARG(*path_r));
		return BE_PERM;
	}
	return BE_OK;
}

static enum be_result mem_folder_create(struct session *s, struct slice parent, struct slice name, enum folder_type type,
					struct arena *a, struct slice *path_r, struct err *e)
{
	struct at at;
	enum be_result r;

	enter(s, &at);
	r = new_path(at.u, parent, name, a, path_r, e);
	if (r == BE_OK)
		mem_folder_add(at.m, at.u, *path_r, FOLDER_USER_MAIL);
	mem_leave(at.m);
	return r;
}

/* A folder that a phone may rename or delete. */
static enum be_result own_folder(struct mem_user *u, struct slice path, struct err *e)
{
	struct mem_folder *f = path.len ? mem_folder(u, path) : NULL;

	if (!f)
		return no_folder(e, path);
	if (f->type != FOLDER_USER_MAIL) {
		err_set(e, ERR_SPECIAL, "%.*s is a special folder", SARG(path));
		return BE_PERM;
	}
	return BE_OK;
}

static enum be_result mem_folder_rename(struct session *s, struct slice path, struct slice new_parent, struct slice new_name,
					struct arena *a, struct slice *path_r, struct err *e)
{
	struct slice below = arena_printf(a, "%.*s/", SARG(path));
	struct at at;
	enum be_result r;

	enter(s, &at);
	r = own_folder(at.u, path, e);
	if (r == BE_OK && (slice_eq(new_parent, path) || slice_starts(new_parent, below))) {
		err_set(e, ERR_FORBIDDEN, "%.*s cannot go below itself", SARG(path));
		r = BE_PERM;
	}
	if (r == BE_OK)
		r = new_path(at.u, new_parent, new_name, a, path_r, e);
	if (r == BE_OK)
		mem_folder_move(at.m, at.u, path, *path_r);
	mem_leave(at.m);
	return r;
}

static enum be_result mem_folder_delete(struct session *s, struct slice path, struct err *e)
{
	struct at at;
	enum be_result r;

	enter(s, &at);
	r = own_folder(at.u, path, e);
	if (r == BE_OK)
		mem_folder_drop(at.m, at.u, path);
	mem_leave(at.m);
	return r;
}

/* -- what changed -- */

static struct be_item as_item(const struct mem_item *it)
{
	return (struct be_item){ .num = it->num, .rev = mem_item_rev(it), .date_ms = it->date_ms };
}

/* "m1:identity:modseq". False: not ours, of another folder, or too old. */
static bool token_read(struct slice token, const struct mem_folder *f, uint64_t *modseq_r)
{
	struct slice head, id;
	uint64_t identity;

	if (!slice_split(&token, ':', &head) || !slice_eq(head, S("m1")) || !slice_split(&token, ':', &id))
		return false;
	if (!slice_u64(id, &identity) || identity != f->identity || !slice_u64(token, modseq_r))
		return false;
	return *modseq_r >= f->journal_from && *modseq_r <= f->modseq;
}

/* A copy of what a call back has to see, so that the sink runs without the lock. */
struct listing {
	struct be_item *items;
	size_t n_items, cap_items;
	uint64_t *gone;
	size_t n_gone, cap_gone;
};

static void list_changes(const struct mem_folder *f, uint64_t since, int64_t since_ms, bool full, struct arena *a,
			 struct listing *l)
{
	for (size_t i = 0; i < f->n_gone && !full; i++) {
		if (f->gone[i].modseq <= since)
			continue;
		l->gone = arena_grow(a, l->gone, l->n_gone, &l->cap_gone, sizeof(*l->gone));
		l->gone[l->n_gone++] = f->gone[i].num;
	}
	for (size_t i = 0; i < f->n; i++) {
		const struct mem_item *it = &f->v[i];

		if (!full && it->modseq <= since)
			continue;
		if (it->flags & MAIL_DELETED) {
			l->gone = arena_grow(a, l->gone, l->n_gone, &l->cap_gone, sizeof(*l->gone));
			l->gone[l->n_gone++] = it->num;
		} else if (it->date_ms >= since_ms) {
			l->items = arena_grow(a, l->items, l->n_items, &l->cap_items, sizeof(*l->items));
			l->items[l->n_items++] = as_item(it);
		}
	}
}

static enum be_result mem_changes(struct session *s, const struct be_changes_ask *ask, const struct be_changes_sink *sink,
				  struct arena *a, struct be_changes *c_r, struct err *e)
{
	struct listing l = { 0 };
	uint64_t since = 0;
	enum be_result r;
	struct at at;

	r = enter_folder(s, ask->folder, &at, e);
	if (r != BE_OK)
		return r;
	c_r->full = !token_read(ask->token, at.f, &since);
	c_r->identity = at.f->identity;
	c_r->round_trips = 0;
	c_r->token = arena_printf(a, "m1:%" PRIu64 ":%" PRIu64, at.f->identity, at.f->modseq);
	list_changes(at.f, since, ask->since_ms, c_r->full, a, &l);
	mem_leave(at.m);
	/* A call back that ends the call filled the caller's own error. */
	return backend_report(sink, l.items, l.n_items, l.gone, c_r->full ? 0 : l.n_gone) < 0 ? BE_TEMP : BE_OK;
}

static enum be_result mem_lookup(struct session *s, struct slice folder, const uint64_t *nums, size_t n,
				 const struct be_changes_sink *sink, struct err *e)
{
	struct be_item *found = mem_alloc((n + 1) * sizeof(*found));
	size_t n_found = 0;
	enum be_result r;
	struct at at;

	r = enter_folder(s, folder, &at, e);
	if (r == BE_OK) {
		for (size_t i = 0; i < n; i++) {
			struct mem_item *it = mem_item(at.f, nums[i]);

			if (it)
				found[n_found++] = as_item(it);
		}
		mem_leave(at.m);
	}
	for (size_t i = 0; i < n_found && r == BE_OK; i++)
		if (sink->item(sink->arg, &found[i]) < 0)
			r = BE_TEMP;
	free(found);
	return r;
}

/* -- mails -- */

static void fill_head(const struct mem_item *it, struct arena *a, struct be_head *h)
{
	struct slice *k = arena_alloc(a, it->n_keywords * sizeof(*k));

	for (size_t i = 0; i < it->n_keywords; i++)
		k[i] = arena_slice(a, it->keywords[i]);
	h->item = as_item(it);
	h->flags = it->flags;
	h->keywords = k;
	h->n_keywords = it->n_keywords;
	head_from_raw(a, it->raw, h);
}

static enum be_result mem_heads(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct arena *a,
				struct be_head *heads_r, size_t *n_r, struct err *e)
{
	enum be_result r;
	struct at at;

	*n_r = 0;
	r = enter_folder(s, folder, &at, e);
	if (r != BE_OK)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct mem_item *it = mem_item(at.f, nums[i]);

		if (it)
			fill_head(it, a, &heads_r[(*n_r)++]);
	}
	mem_leave(at.m);
	return BE_OK;
}

static enum be_result one_part(struct mem_folder *f, struct be_part *p, struct err *e)
{
	struct mem_item *it = mem_item(f, p->num);
	struct slice body;

	if (!it || !head_part(it->raw, p->part, &body)) {
		p->result = BE_PERM;
		return BE_OK;
	}
	body = slice_from(body, p->offset < body.len ? (size_t)p->offset : body.len);
	if (p->max)
		body = slice_to(body, p->max < body.len ? (size_t)p->max : body.len);
	p->result = blob_append(p->out, body.ptr, body.len, e) < 0 ? BE_TEMP : BE_OK;
	return p->result;
}

static enum be_result mem_parts(struct session *s, struct slice folder, struct be_part *parts, size_t n, struct err *e)
{
	enum be_result r;
	struct at at;

	r = enter_folder(s, folder, &at, e);
	if (r != BE_OK)
		return r;
	for (size_t i = 0; i < n && r == BE_OK; i++)
		r = one_part(at.f, &parts[i], e);
	mem_leave(at.m);
	return r;
}

static enum be_result mem_set_flags(struct session *s, struct slice folder, uint64_t num, const struct be_flag_change *c,
				    uint32_t *rev_r, struct err *e)
{
	struct mem_item *it;
	enum be_result r;
	struct at at;

	r = enter_folder(s, folder, &at, e);
	if (r != BE_OK)
		return r;
	it = mem_item(at.f, num);
	if (it) {
		mem_item_flags(at.m, at.u, at.f, it, c);
		*rev_r = mem_item_rev(it);
	} else {
		err_set(e, ERR_NOT_FOUND, "no mail %" PRIu64 " in %.*s", num, SARG(folder));
		r = BE_PERM;
	}
	mem_leave(at.m);
	return r;
}

static enum be_result mem_move(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct slice dst,
			       uint64_t *new_r, struct err *e)
{
	struct mem_folder *to;
	enum be_result r;
	struct at at;

	r = enter_folder(s, folder, &at, e);
	if (r != BE_OK)
		return r;
	to = dst.len ? mem_folder(at.u, dst) : NULL;
	for (size_t i = 0; i < n && to; i++)
		new_r[i] = mem_item_move(at.m, at.u, at.f, nums[i], to);
	mem_leave(at.m);
	return to ? BE_OK : no_folder(e, dst);
}

static enum be_result mem_remove(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct err *e)
{
	enum be_result r;
	struct at at;

	r = enter_folder(s, folder, &at, e);
	if (r != BE_OK)
		return r;
	for (size_t i = 0; i < n; i++)
		mem_item_drop(at.m, at.u, at.f, nums[i]);
	mem_leave(at.m);
	return BE_OK;
}

static enum be_result mem_append(struct session *s, struct slice folder, struct blob *mail, unsigned flags, int64_t date_ms,
				 uint64_t *num_r, struct err *e)
{
	struct slice raw;
	enum be_result r;
	struct at at;

	if (blob_map(mail, &raw, e) < 0)
		return BE_TEMP;
	r = enter_folder(s, folder, &at, e);
	if (r != BE_OK)
		return r;
	*num_r = mem_item_add(at.m, at.u, at.f, raw, flags, date_ms);
	mem_leave(at.m);
	return BE_OK;
}

static enum be_result mem_find_message_id(struct session *s, struct slice folder, struct slice id, uint64_t *num_r,
					  struct err *e)
{
	enum be_result r;
	struct at at;

	*num_r = 0;
	r = enter_folder(s, folder, &at, e);
	if (r != BE_OK)
		return r;
	for (size_t i = at.f->n; i-- > 0 && !*num_r;)
		if (!(at.f->v[i].flags & MAIL_DELETED) && head_has_message_id(at.f->v[i].raw, id))
			*num_r = at.f->v[i].num;
	mem_leave(at.m);
	return BE_OK;
}

/* -- sending -- */

/* Addresses of a domain that has a user here are known whole; all others are
 * taken as if a relay did. */
static bool refused(struct mem *m, struct slice rcpt)
{
	ptrdiff_t at = slice_chr(rcpt, '@');

	if (at <= 0 || mem_user_by_address(m, rcpt))
		return at <= 0 && !mem_user_by_address(m, rcpt);
	list_for(l, &m->users) {
		struct mem_user *u = list_entry(l, struct mem_user, link);
		ptrdiff_t d = slice_chr(u->address, '@');

		if (d >= 0 && slice_ieq(slice_from(u->address, (size_t)d), slice_from(rcpt, (size_t)at)))
			return true;
	}
	return false;
}

static void record(struct mem *m, const struct be_submit *sub, struct slice raw)
{
	struct slice *rcpt = mem_alloc(sub->n_rcpt * sizeof(*rcpt));

	for (size_t i = 0; i < sub->n_rcpt; i++)
		rcpt[i] = mem_slice(sub->rcpt[i]);
	m->sent = mem_realloc(m->sent, (m->n_sent + 1) * sizeof(*m->sent));
	m->sent[m->n_sent++] = (struct mem_sent){ mem_slice(sub->from), mem_slice(raw), rcpt, sub->n_rcpt };
}

static enum be_result mem_submit(struct session *s, struct be_submit *sub, struct err *e)
{
	enum be_result r = BE_OK;
	struct slice raw;
	struct at at;

	if (blob_map(sub->mail, &raw, e) < 0)
		return BE_TEMP;
	enter(s, &at);
	for (size_t i = 0; i < sub->n_rcpt && r == BE_OK; i++) {
		if (!refused(at.m, sub->rcpt[i]))
			continue;
		sub->refused = sub->rcpt[i];
		err_set(e, ERR_FORBIDDEN, "no such recipient: %.*s", SARG(sub->rcpt[i]));
		r = BE_PERM;
	}
	for (size_t i = 0; i < sub->n_rcpt && r == BE_OK; i++) {
		struct mem_user *to = mem_user_by_address(at.m, sub->rcpt[i]);

		if (to)
			mem_item_add(at.m, to, mem_folder(to, S_NONE), raw, 0, 0);
	}
	if (r == BE_OK)
		record(at.m, sub, raw);
	mem_leave(at.m);
	return r;
}

/* -- watching -- */

static enum be_result mem_watch_open(struct session **s, const struct slice *folders, size_t n, int64_t deadline_ms,
				     struct watch **w_r, int *fd_r, enum be_watch_kind *kind_r, size_t *missed_r,
				     struct err *e)
{
	struct mem_watch *w = mem_alloc(sizeof(*w));
	struct at at;

	enter(*s, &at);
	w->watch.ops = (*s)->ops;
	w->mem = at.m;
	w->session = *s;
	w->n = n;
	w->folders = mem_alloc(n * sizeof(*w->folders));
	*missed_r = 0;
	for (size_t i = 0; i < n; i++) {
		w->folders[i] = mem_slice(folders[i]);
		*missed_r += mem_folder(at.u, folders[i]) == NULL;
	}
	list_add_tail(&at.u->watches, &w->link);
	mem_leave(at.m);
	*s = NULL;
	*w_r = &w->watch;
	*fd_r = -1;
	*kind_r = BE_WATCH_MEMORY;
	return BE_OK;
}

static enum be_result mem_watch_read(struct watch *w, be_event_fn *fn, void *arg, struct err *e)
{
	return BE_OK; /* events come by the source; there is no connection to keep */
}

static void mem_watch_close(struct watch **wp)
{
	struct mem_watch *w = (struct mem_watch *)*wp;
	struct mem *m;

	*wp = NULL;
	if (!w)
		return;
	m = mem_enter(&w->mem->backend);
	list_del(&w->link);
	mem_leave(m);
	mem_logout(&w->session);
	for (size_t i = 0; i < w->n; i++)
		free((char *)w->folders[i].ptr);
	free(w->folders);
	free(w);
}

static int mem_source_fd(struct backend *b)
{
	struct mem *m = mem_enter(b);
	int fd;

	if (m->event_fd < 0)
		m->event_fd = eventfd(list_empty(&m->events) ? 0 : 1, EFD_NONBLOCK | EFD_CLOEXEC);
	fd = m->event_fd;
	mem_leave(m);
	return fd;
}

static bool mem_source_read(struct backend *b, be_event_fn *fn, void *arg)
{
	enum { TURN = 64 }; /* events a call: the loop's turn has a budget */
	struct list turn;
	bool rest;
	struct mem *m;
	eventfd_t v;

	ASSERT_LOOP();
	list_init(&turn);
	m = mem_enter(b);
	for (int i = 0; i < TURN && !list_empty(&m->events); i++) {
		struct list *l = m->events.next;

		list_del(l);
		list_add_tail(&turn, l);
	}
	rest = !list_empty(&m->events);
	if (!rest && m->event_fd >= 0)
		(void)!eventfd_read(m->event_fd, &v);
	mem_leave(m);
	list_for_safe(l, &turn) {
		struct mem_event *ev = list_entry(l, struct mem_event, link);

		fn(arg, ev->user, ev->folder);
		event_free(ev);
	}
	return rest;
}

const struct backend_ops mem_backend_ops = {
	.name = "mem",
	.roles = BE_MAIL | BE_SEND | BE_AUTH,
	.open = mem_open,
	.close = mem_close,
	.login = mem_login,
	.logout = mem_logout,
	.set_deadline = mem_set_deadline,
	.alive = mem_alive,
	.account = mem_account,
	.folders = mem_folders,
	.folder_create = mem_folder_create,
	.folder_rename = mem_folder_rename,
	.folder_delete = mem_folder_delete,
	.changes = mem_changes,
	.lookup = mem_lookup,
	.heads = mem_heads,
	.parts = mem_parts,
	.set_flags = mem_set_flags,
	.move = mem_move,
	.remove = mem_remove,
	.append = mem_append,
	.find_message_id = mem_find_message_id,
	.submit = mem_submit,
	.watch_open = mem_watch_open,
	.watch_read = mem_watch_read,
	.watch_close = mem_watch_close,
	.source_fd = mem_source_fd,
	.source_read = mem_source_read,
};
