/* resolve.c - a small table of names, one look-up thread per missing name.
 * Any thread, one mutex. An entry is owned by the table and by everyone who
 * waits for it (refs); the look-up thread holds one too, so that a caller whose
 * deadline passed can leave while the resolver still hangs.
 * Trap: the look-up thread must not touch an entry after its unref. */
#include "base/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/list.h"

enum {
	FAILED_MS = 2 * 1000, /* a failure is shared too, but not for long */
	MAX_ENTRIES = 64,
	MAX_LOOKUPS = 16, /* threads that may hang in the resolver at once */
};

enum state { PENDING, READY, FAILED };

struct entry {
	struct list link;
	char *host, *port;
	unsigned refs;
	enum state state;
	int gai;
	int64_t expires_ms;
	struct resolved got;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct list entries = { &entries, &entries };
static unsigned n_entries, n_lookups;
static _Atomic int64_t fresh_ms = 30 * 1000;

void resolve_keep(int64_t ms)
{
	atomic_store(&fresh_ms, ms);
}

static void init(void)
{
	pthread_condattr_t at;

	pthread_condattr_init(&at);
	pthread_condattr_setclock(&at, CLOCK_MONOTONIC);
	pthread_cond_init(&changed, &at);
	pthread_condattr_destroy(&at);
}

static void unref(struct entry *n)
{
	if (--n->refs)
		return;
	free(n->host);
	free(n->port);
	free(n);
}

static int query(const char *host, const char *port, int flags, struct resolved *r)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM, .ai_flags = flags }, *all;
	int rc = getaddrinfo(host, port, &want, &all);

	r->n = 0;
	if (rc)
		return rc;
	for (struct addrinfo *a = all; a && r->n < RESOLVE_MAX; a = a->ai_next) {
		if (a->ai_addrlen > sizeof(r->v[0].sa))
			continue;
		memcpy(&r->v[r->n].sa, a->ai_addr, a->ai_addrlen);
		r->v[r->n++].len = a->ai_addrlen;
	}
	freeaddrinfo(all);
	return r->n ? 0 : EAI_NONAME;
}

static void *lookup(void *arg)
{
	struct entry *n = arg;
	struct resolved got;
	int rc = query(n->host, n->port, AI_ADDRCONFIG, &got);

	pthread_mutex_lock(&lock);
	n->got = got;
	n->gai = rc;
	n->state = rc ? FAILED : READY;
	n->expires_ms = clock_now(&clock_system) + (rc ? FAILED_MS : atomic_load(&fresh_ms));
	n_lookups--;
	unref(n);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static int start_lookup(struct entry *n)
{
	pthread_attr_t at;
	pthread_t t;
	int rc;

	if (n_lookups >= MAX_LOOKUPS)
		return -1;
	pthread_attr_init(&at);
	pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&at, 256 * 1024);
	rc = pthread_create(&t, &at, lookup, n);
	pthread_attr_destroy(&at);
	if (rc)
		return -1;
	n_lookups++;
	n->refs++;
	return 0;
}

static void drop(struct entry *n)
{
	list_del(&n->link);
	n_entries--;
	unref(n);
}

/* The live entry of that name; outdated ones are thrown out on the way. */
static struct entry *find(const char *host, const char *port, int64_t now)
{
	struct entry *hit = NULL;

	list_for_safe(l, &entries) {
		struct entry *n = list_entry(l, struct entry, link);

		if (n->state != PENDING && n->expires_ms <= now)
			drop(n);
		else if (strcmp(n->host, host) == 0 && strcmp(n->port, port) == 0)
			hit = n;
	}
	return hit;
}

static struct entry *add(const char *host, const char *port)
{
	struct entry *n = mem_alloc(sizeof(*n));

	n->host = mem_str(slice_str(host));
	n->port = mem_str(slice_str(port));
	n->refs = 1;
	if (start_lookup(n) < 0) {
		unref(n);
		return NULL;
	}
	if (n_entries >= MAX_ENTRIES)
		drop(list_entry(entries.next, struct entry, link));
	list_add_tail(&entries, &n->link);
	n_entries++;
	return n;
}

/* Lock held. */
static int wait_for(struct entry *n, const char *host, int64_t deadline_ms, struct resolved *r_r, struct err *e)
{
	struct timespec until = { .tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000 };

	while (n->state == PENDING)
		if (pthread_cond_timedwait(&changed, &lock, &until) == ETIMEDOUT)
			return err_set(e, ERR_TIMEOUT, "resolve %s: no answer in time", host);
	if (n->state == FAILED)
		return err_set(e, ERR_REFUSED, "resolve %s: %s", host, gai_strerror(n->gai));
	*r_r = n->got;
	return 0;
}

int resolve(const char *host, const char *port, int64_t deadline_ms, struct resolved *r_r, struct err *e)
{
	struct entry *n;
	int rc;

	if (query(host, port, AI_NUMERICHOST | AI_NUMERICSERV, r_r) == 0)
		return 0;
	pthread_once(&once, init);
	pthread_mutex_lock(&lock);
	n = find(host, port, clock_now(&clock_system));
	if (!n)
		n = add(host, port);
	if (!n) {
		pthread_mutex_unlock(&lock);
		return err_set(e, ERR_BUSY, "resolve %s: too many look-ups hang", host);
	}
	n->refs++;
	rc = wait_for(n, host, deadline_ms < 0 ? 0 : deadline_ms, r_r, e);
	unref(n);
	pthread_mutex_unlock(&lock);
	return rc;
}
