/* notify.c - changes of Maildirs by inotify. Workers add and remove, the loop
 * reads. Two locks: `order` keeps adding and removing of kernel watches apart
 * (a descriptor means one directory, shared by all that watch it); `mu` guards
 * the table and is never held over a system call, because the loop takes it.
 * Trap: an event may name a watch that was removed meanwhile; it is ignored. */
#include "backend/local/notify.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "backend/local/files.h"
#include "base/list.h"
#include "base/log.h"
#include "base/role.h"

enum {
	BUCKETS = 4096,
	READ_BYTES = 16 * 1024, /* a turn: about 300 deliveries */
	MAIL_EVENTS = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE,
};

/* One directory the kernel watches. */
struct target {
	struct list bucket;
	struct list subs;
	int wd;
	bool is_root;  /* only the coming and going of folders counts */
	bool hit;      /* in this turn */
};

/* Who wants to know of it. */
struct sub {
	struct list link; /* of its target */
	struct target *target;
	struct notify_watch *watch;
	struct slice folder; /* the watch's */
};

struct notify_watch {
	struct list link;
	struct slice user;
	struct slice *folders;
	struct sub *subs;
	size_t n_subs, n_folders;
};

struct notify {
	int fd;
	pthread_mutex_t order, mu;
	struct list bucket[BUCKETS];
	struct list watches;
	struct log_limit limit;
};

struct notify *notify_new(void)
{
	struct notify *n = mem_alloc(sizeof(*n));

	pthread_mutex_init(&n->order, NULL);
	pthread_mutex_init(&n->mu, NULL);
	list_init(&n->watches);
	for (int i = 0; i < BUCKETS; i++)
		list_init(&n->bucket[i]);
	n->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (n->fd < 0)
		LOG_W("local_no_inotify", L_I("errno", errno),
		      L_Z("do", "raise fs.inotify.max_user_instances; until then folders are looked at in turns"));
	return n;
}

int notify_fd(const struct notify *n)
{
	return n->fd;
}

static struct list *bucket_of(struct notify *n, int wd)
{
	return &n->bucket[(unsigned)wd % BUCKETS];
}

static struct target *target_find(struct notify *n, int wd)
{
	list_for(l, bucket_of(n, wd)) {
		struct target *t = list_entry(l, struct target, bucket);

		if (t->wd == wd)
			return t;
	}
	return NULL;
}

static void out_of_watches(struct notify *n)
{
	if (log_allowed(&n->limit, clock_now(&clock_system), 1, 60000))
		LOG_W("local_out_of_watches",
		      L_Z("do", "raise fs.inotify.max_user_watches (sysctl): three for each user, two more for each "
				"further folder"));
}

/* order held. */
static bool subscribe(struct notify *n, struct notify_watch *w, const char *dir, const char *sub, struct slice folder)
{
	bool root = !sub;
	char *path = root ? mem_str(slice_str(dir)) : path_join("%s/%s", dir, sub);
	int wd = inotify_add_watch(n->fd, path, MAIL_EVENTS | IN_ONLYDIR);
	struct sub *s;
	struct target *t;

	free(path);
	if (wd < 0) {
		if (errno == ENOSPC || errno == ENOMEM)
			out_of_watches(n);
		return false;
	}
	pthread_mutex_lock(&n->mu);
	t = target_find(n, wd);
	if (!t) {
		t = mem_alloc(sizeof(*t));
		t->wd = wd;
		t->is_root = root;
		list_init(&t->subs);
		list_add_tail(bucket_of(n, wd), &t->bucket);
	}
	s = &w->subs[w->n_subs++];
	s->target = t;
	s->watch = w;
	s->folder = folder;
	list_add_tail(&t->subs, &s->link);
	pthread_mutex_unlock(&n->mu);
	return true;
}

struct notify_watch *notify_open(struct notify *n, struct slice user, const char *root, const struct slice *folders,
				 char *const *dirs, size_t n_dirs, size_t *missed_r)
{
	struct notify_watch *w = mem_alloc(sizeof(*w));

	w->user = mem_slice(user);
	w->folders = mem_alloc((n_dirs + 1) * sizeof(*w->folders));
	w->n_folders = n_dirs;
	w->subs = mem_alloc((2 * n_dirs + 1) * sizeof(*w->subs));
	*missed_r = 0;
	pthread_mutex_lock(&n->order);
	list_add_tail(&n->watches, &w->link);
	subscribe(n, w, root, NULL, S_NONE);
	for (size_t i = 0; i < n_dirs; i++) {
		bool both;

		w->folders[i] = mem_slice(folders[i]);
		both = dirs[i] && subscribe(n, w, dirs[i], "cur", w->folders[i]);
		both = both && subscribe(n, w, dirs[i], "new", w->folders[i]);
		*missed_r += !both;
	}
	pthread_mutex_unlock(&n->order);
	return w;
}

/* order held. */
static void unsubscribe(struct notify *n, struct sub *s)
{
	struct target *t;
	bool last;

	pthread_mutex_lock(&n->mu);
	t = s->target;
	list_del(&s->link);
	last = t && list_empty(&t->subs);
	if (last)
		list_del(&t->bucket);
	pthread_mutex_unlock(&n->mu);
	if (!last)
		return;
	inotify_rm_watch(n->fd, t->wd); /* fails when the directory went first */
	free(t);
}

void notify_close(struct notify *n, struct notify_watch **wp)
{
	struct notify_watch *w = *wp;

	*wp = NULL;
	if (!w)
		return;
	pthread_mutex_lock(&n->order);
	for (size_t i = 0; i < w->n_subs; i++)
		unsubscribe(n, &w->subs[i]);
	pthread_mutex_lock(&n->mu);
	list_del(&w->link);
	pthread_mutex_unlock(&n->mu);
	pthread_mutex_unlock(&n->order);
	for (size_t i = 0; i < w->n_folders; i++)
		free((char *)w->folders[i].ptr);
	free(w->folders);
	free((char *)w->user.ptr);
	free(w->subs);
	free(w);
}

void notify_free(struct notify **np)
{
	struct notify *n = *np;

	*np = NULL;
	if (!n)
		return;
	ASSERT(list_empty(&n->watches));
	if (n->fd >= 0)
		close(n->fd);
	pthread_mutex_destroy(&n->mu);
	pthread_mutex_destroy(&n->order);
	free(n);
}

/* -- reading -- */

struct report {
	struct slice user, folder;
};

struct turn {
	struct arena *a;
	struct report *v;
	size_t n, cap;
	struct target **hit;
	size_t n_hit, cap_hit;
};

static void report_add(struct turn *t, struct slice user, struct slice folder)
{
	t->v = arena_grow(t->a, t->v, t->n, &t->cap, sizeof(*t->v));
	t->v[t->n++] = (struct report){ arena_slice(t->a, user), arena_slice(t->a, folder) };
}

/* In the root only folders count; ".." hides what is being deleted. */
static bool counts(const struct target *t, const struct inotify_event *ev)
{
	if (!t->is_root)
		return true;
	return (ev->mask & IN_ISDIR) && ev->len && ev->name[0] == '.' && ev->name[1] != '.';
}

static void on_event(struct notify *n, struct turn *t, const struct inotify_event *ev)
{
	struct target *target;

	if (ev->mask & IN_Q_OVERFLOW) {
		/* The kernel dropped events: everyone looks. */
		list_for(l, &n->watches)
			report_add(t, list_entry(l, struct notify_watch, link)->user, S_NONE);
		return;
	}
	target = (ev->mask & IN_IGNORED) ? NULL : target_find(n, ev->wd);
	if (!target || target->hit || !counts(target, ev))
		return;
	target->hit = true;
	t->hit = arena_grow(t->a, t->hit, t->n_hit, &t->cap_hit, sizeof(*t->hit));
	t->hit[t->n_hit++] = target;
	list_for(l, &target->subs) {
		struct sub *s = list_entry(l, struct sub, link);

		report_add(t, s->watch->user, s->folder);
	}
}

/* new/ and cur/ of one folder are one change. */
static bool repeated(const struct turn *t, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (slice_eq(t->v[k].user, t->v[i].user) && slice_eq(t->v[k].folder, t->v[i].folder))
			return true;
	return false;
}

bool notify_read(struct notify *n, be_event_fn *fn, void *arg)
{
	_Alignas(struct inotify_event) char buf[READ_BYTES];
	struct turn t = { 0 };
	ssize_t got;

	ASSERT_LOOP();
	got = n->fd < 0 ? -1 : read(n->fd, buf, sizeof(buf));
	if (got <= 0)
		return false;
	t.a = arena_new();
	pthread_mutex_lock(&n->mu);
	for (char *p = buf; p < buf + got;) {
		const struct inotify_event *ev = (const struct inotify_event *)p;

		on_event(n, &t, ev);
		p += sizeof(*ev) + ev->len;
	}
	for (size_t i = 0; i < t.n_hit; i++)
		t.hit[i]->hit = false;
	pthread_mutex_unlock(&n->mu);
	for (size_t i = 0; i < t.n; i++)
		if (!repeated(&t, i))
			fn(arg, t.v[i].user, t.v[i].folder);
	arena_free(&t.a);
	return got > READ_BYTES / 2; /* a full buffer: likely more */
}
