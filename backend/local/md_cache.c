/* md_cache.c - which folders the process remembers. Any worker. Owns all
 * maildirs; a folder is locked while it is lent out, and forgotten, least
 * recently used first, when all together hold too many mails. Trap: lock order
 * is folder, then cache; two folders are locked in the order of their paths. */
#include <stdlib.h>

#include "backend/local/maildir.h"

enum { MAILS_MAX = 500000 }; /* about 150 bytes each */

void md_cache_init(struct md_cache *c, const struct clock *clock, const struct rnd *rnd)
{
	pthread_mutex_init(&c->mu, NULL);
	list_init(&c->all);
	for (int i = 0; i < MD_BUCKETS; i++)
		list_init(&c->bucket[i]);
	c->mails = 0;
	c->clock = clock;
	c->rnd = rnd;
}

static void take_out(struct md_cache *c, struct maildir *m)
{
	list_del(&m->link);
	list_del(&m->bucket);
	c->mails -= m->counted;
	m->counted = 0;
	m->dead = true;
}

void md_cache_deinit(struct md_cache *c)
{
	list_for_safe(l, &c->all) {
		struct maildir *m = list_entry(l, struct maildir, link);

		take_out(c, m);
		md_free(&m);
	}
	pthread_mutex_destroy(&c->mu);
}

static struct list *bucket_of(struct md_cache *c, const char *path)
{
	return &c->bucket[slice_hash(slice_str(path)) % MD_BUCKETS];
}

static struct maildir *look_up(struct md_cache *c, const char *path)
{
	list_for(l, bucket_of(c, path)) {
		struct maildir *m = list_entry(l, struct maildir, bucket);

		if (strcmp(m->path, path) == 0)
			return m;
	}
	return NULL;
}

static struct maildir *make(struct md_cache *c, const char *path)
{
	struct maildir *m = mem_alloc(sizeof(*m));

	m->path = mem_str(slice_str(path));
	m->clock = c->clock;
	m->generation = rnd_u64(c->rnd);
	m->modseq = m->journal_from = 1;
	pthread_mutex_init(&m->mu, NULL);
	list_init(&m->link);
	list_add_tail(bucket_of(c, path), &m->bucket);
	return m;
}

static struct maildir *reference(struct md_cache *c, const char *path)
{
	struct maildir *m;

	pthread_mutex_lock(&c->mu);
	m = look_up(c, path);
	if (!m)
		m = make(c, path);
	list_del(&m->link);
	list_add_tail(&c->all, &m->link);
	m->refs++;
	pthread_mutex_unlock(&c->mu);
	return m;
}

struct maildir *md_acquire(struct md_cache *c, const char *path)
{
	struct maildir *m = reference(c, path);

	pthread_mutex_lock(&m->mu);
	return m;
}

void md_acquire_two(struct md_cache *c, const char *a, const char *b, struct maildir **a_r, struct maildir **b_r)
{
	int order = strcmp(a, b);

	*a_r = *b_r = NULL;
	if (order <= 0)
		*a_r = md_acquire(c, a);
	*b_r = order ? md_acquire(c, b) : *a_r;
	if (order > 0)
		*a_r = md_acquire(c, a);
}

void md_release(struct md_cache *c, struct maildir **mp)
{
	struct maildir *m = *mp, *drop = NULL;

	*mp = NULL;
	if (!m)
		return;
	pthread_mutex_lock(&c->mu);
	if (!m->dead) {
		c->mails = c->mails - m->counted + m->n;
		m->counted = m->n;
	}
	pthread_mutex_unlock(&m->mu);
	if (--m->refs == 0 && m->dead)
		drop = m;
	list_for_safe(l, &c->all) {
		struct maildir *old = list_entry(l, struct maildir, link);

		if (c->mails <= MAILS_MAX || drop)
			break;
		if (old->refs || old->counted == 0)
			continue;
		take_out(c, old);
		drop = old; /* one a call is enough: only a call adds */
	}
	pthread_mutex_unlock(&c->mu);
	md_free(&drop);
}

void md_forget(struct md_cache *c, const char *path)
{
	struct maildir *m;

	pthread_mutex_lock(&c->mu);
	m = look_up(c, path);
	if (m) {
		take_out(c, m);
		if (m->refs)
			m = NULL; /* its last user frees it */
	}
	pthread_mutex_unlock(&c->mu);
	md_free(&m);
}
