/* mem_box.c - mailboxes of the memory backend: plain lists and sorted arrays
 * under one lock. Any thread. Owns all users, folders and mails. Trap: a struct
 * mem_item pointer dies with the next add or drop in its folder. */
#include "backend/mem_box.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { JOURNAL_MAX = 4096 }; /* gone mails remembered per folder */

static void drop_slice(struct slice *s)
{
	free((char *)s->ptr);
	*s = S_NONE;
}

struct mem *mem_enter(struct backend *b)
{
	struct mem *m = (struct mem *)b;

	ASSERT(b->ops == &mem_backend_ops);
	pthread_mutex_lock(&m->mu);
	return m;
}

/* Events leave outside the lock: a hook may come back in. */
void mem_leave(struct mem *m)
{
	if (!m->hook && !list_empty(&m->events) && m->event_fd >= 0)
		eventfd_write(m->event_fd, 1);
	while (m->hook && !list_empty(&m->events)) {
		struct mem_event *ev = list_entry(m->events.next, struct mem_event, link);
		be_event_fn *fn = m->hook;
		void *arg = m->hook_arg;

		list_del(&ev->link);
		pthread_mutex_unlock(&m->mu);
		fn(arg, ev->user, ev->folder);
		drop_slice(&ev->user);
		drop_slice(&ev->folder);
		free(ev);
		pthread_mutex_lock(&m->mu);
	}
	pthread_mutex_unlock(&m->mu);
}

struct mem_user *mem_user(struct mem *m, struct slice user)
{
	list_for(l, &m->users) {
		struct mem_user *u = list_entry(l, struct mem_user, link);

		if (slice_eq(u->user, user))
			return u;
	}
	return NULL;
}

struct mem_user *mem_user_by_address(struct mem *m, struct slice address)
{
	list_for(l, &m->users) {
		struct mem_user *u = list_entry(l, struct mem_user, link);

		if (slice_ieq(u->address, address))
			return u;
	}
	return NULL;
}

struct mem_folder *mem_folder(struct mem_user *u, struct slice path)
{
	if (path.len == 0)
		path = S("INBOX");
	list_for(l, &u->folders) {
		struct mem_folder *f = list_entry(l, struct mem_folder, link);

		if (slice_eq(f->path, path))
			return f;
	}
	return NULL;
}

static bool watched(const struct mem_user *u, const struct mem_folder *f)
{
	list_for(l, &u->watches) {
		struct mem_watch *w = list_entry(l, struct mem_watch, link);

		if (!f || w->n == 0)
			return true;
		for (size_t i = 0; i < w->n; i++)
			if (slice_eq(w->folders[i], f->path))
				return true;
	}
	return false;
}

void mem_changed(struct mem *m, struct mem_user *u, const struct mem_folder *f)
{
	struct slice path = f ? f->path : S_NONE;
	struct mem_event *ev;

	if (!watched(u, f))
		return;
	list_for(l, &m->events) {
		ev = list_entry(l, struct mem_event, link);
		if (slice_eq(ev->user, u->user) && slice_eq(ev->folder, path))
			return;
	}
	ev = mem_alloc(sizeof(*ev));
	ev->user = mem_slice(u->user);
	ev->folder = mem_slice(path);
	list_add_tail(&m->events, &ev->link);
}

struct mem_folder *mem_folder_add(struct mem *m, struct mem_user *u, struct slice path, enum folder_type type)
{
	struct mem_folder *f = mem_alloc(sizeof(*f));

	f->path = mem_slice(path);
	f->type = type;
	f->identity = ++m->next_identity;
	f->next = 1;
	f->modseq = 1;
	list_add_tail(&u->folders, &f->link);
	mem_changed(m, u, NULL);
	return f;
}

static void item_clear(struct mem_item *it)
{
	drop_slice(&it->raw);
	for (size_t i = 0; i < it->n_keywords; i++)
		drop_slice(&it->keywords[i]);
	free(it->keywords);
	it->keywords = NULL;
	it->n_keywords = 0;
}

void mem_folder_free(struct mem_folder **fp)
{
	struct mem_folder *f = *fp;

	for (size_t i = 0; i < f->n; i++)
		item_clear(&f->v[i]);
	list_del(&f->link);
	free(f->v);
	free(f->gone);
	drop_slice(&f->path);
	free(f);
	*fp = NULL;
}

static bool at_or_below(struct slice path, struct slice top)
{
	return slice_starts(path, top) && (path.len == top.len || path.ptr[top.len] == '/');
}

void mem_folder_drop(struct mem *m, struct mem_user *u, struct slice path)
{
	struct slice top = mem_slice(path);

	list_for_safe(l, &u->folders) {
		struct mem_folder *f = list_entry(l, struct mem_folder, link);

		if (!at_or_below(f->path, top))
			continue;
		mem_changed(m, u, f);
		mem_folder_free(&f);
	}
	mem_changed(m, u, NULL);
	drop_slice(&top);
}

void mem_folder_move(struct mem *m, struct mem_user *u, struct slice path, struct slice to)
{
	struct slice top = mem_slice(path);

	list_for(l, &u->folders) {
		struct mem_folder *f = list_entry(l, struct mem_folder, link);
		struct slice rest = slice_from(f->path, top.len);
		char *p;

		if (!at_or_below(f->path, top))
			continue;
		p = mem_alloc(to.len + rest.len + 1);
		memcpy(p, to.ptr, to.len);
		if (rest.len)
			memcpy(p + to.len, rest.ptr, rest.len);
		rest = slice(p, to.len + rest.len);
		drop_slice(&f->path);
		f->path = rest;
	}
	mem_changed(m, u, NULL);
	drop_slice(&top);
}

/* Index of the first item with num or more. */
static size_t item_at(const struct mem_folder *f, uint64_t num)
{
	size_t lo = 0, hi = f->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->v[mid].num < num)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct mem_item *mem_item(struct mem_folder *f, uint64_t num)
{
	size_t i = item_at(f, num);

	if (i == f->n || f->v[i].num != num || (f->v[i].flags & MAIL_DELETED))
		return NULL;
	return &f->v[i];
}

uint32_t mem_item_rev(const struct mem_item *it)
{
	return mail_rev(it->flags, it->keywords, it->n_keywords);
}

static void *more(void *v, size_t n, size_t *cap, size_t elem)
{
	if (n < *cap)
		return v;
	*cap = *cap ? *cap * 2 : 16;
	return mem_realloc(v, *cap * elem);
}

static struct mem_item *item_push(struct mem_folder *f)
{
	struct mem_item *it;

	f->v = more(f->v, f->n, &f->cap, sizeof(*f->v));
	it = &f->v[f->n++];
	memset(it, 0, sizeof(*it));
	it->num = f->next++;
	it->modseq = ++f->modseq;
	return it;
}

uint64_t mem_item_add(struct mem *m, struct mem_user *u, struct mem_folder *f, struct slice raw, unsigned flags,
		      int64_t date_ms)
{
	struct mem_item *it = item_push(f);

	it->raw = mem_slice(raw);
	it->flags = flags;
	it->date_ms = date_ms ? date_ms : clock_wall(m->clock);
	mem_changed(m, u, f);
	return it->num;
}

static void set_keywords(struct mem_item *it, const struct slice *k, size_t n)
{
	struct slice *v = n ? mem_alloc(n * sizeof(*v)) : NULL;

	for (size_t i = 0; i < n; i++)
		v[i] = mem_slice(k[i]);
	for (size_t i = 0; i < it->n_keywords; i++)
		drop_slice(&it->keywords[i]);
	free(it->keywords);
	it->keywords = v;
	it->n_keywords = n;
}

void mem_item_flags(struct mem *m, struct mem_user *u, struct mem_folder *f, struct mem_item *it,
		    const struct be_flag_change *c)
{
	uint32_t before = mem_item_rev(it);

	it->flags = (it->flags & ~c->mask) | (c->value & c->mask);
	if (c->set_keywords)
		set_keywords(it, c->keywords, c->n_keywords);
	if (mem_item_rev(it) == before)
		return;
	it->modseq = ++f->modseq;
	mem_changed(m, u, f);
}

static void journal(struct mem_folder *f, uint64_t num)
{
	if (f->n_gone == JOURNAL_MAX) {
		f->journal_from = f->gone[JOURNAL_MAX / 2 - 1].modseq;
		f->n_gone -= JOURNAL_MAX / 2;
		memmove(f->gone, f->gone + JOURNAL_MAX / 2, f->n_gone * sizeof(*f->gone));
	}
	f->gone = more(f->gone, f->n_gone, &f->cap_gone, sizeof(*f->gone));
	f->gone[f->n_gone++] = (struct mem_gone){ num, ++f->modseq };
}

/* Out of its folder; the caller owns what the item holds. */
static struct mem_item item_take(struct mem *m, struct mem_user *u, struct mem_folder *f, size_t i)
{
	struct mem_item it = f->v[i];

	f->n--;
	memmove(f->v + i, f->v + i + 1, (f->n - i) * sizeof(*f->v));
	journal(f, it.num);
	mem_changed(m, u, f);
	return it;
}

uint64_t mem_item_move(struct mem *m, struct mem_user *u, struct mem_folder *f, uint64_t num, struct mem_folder *dst)
{
	struct mem_item *it = mem_item(f, num), old, *to;
	uint64_t modseq;

	if (!it)
		return 0;
	if (f == dst)
		return num;
	old = item_take(m, u, f, (size_t)(it - f->v));
	to = item_push(dst);
	num = to->num;
	modseq = to->modseq;
	*to = old;
	to->num = num;
	to->modseq = modseq;
	mem_changed(m, u, dst);
	return num;
}

bool mem_item_drop(struct mem *m, struct mem_user *u, struct mem_folder *f, uint64_t num)
{
	size_t i = item_at(f, num);
	struct mem_item it;

	if (i == f->n || f->v[i].num != num)
		return false;
	it = item_take(m, u, f, i);
	item_clear(&it);
	return true;
}
