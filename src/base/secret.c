/* secret.c - slots of three sizes in locked pages. Thread-safe by one mutex; the
 * pages are never given back, only their slots. When the lock limit is too low
 * (ulimit -l) pages are used unlocked, and that is logged once. */
#include "base/secret.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "base/log.h"

enum { CLASSES = 3, PAGES_BYTES = 64 * 1024 };

static const size_t slot_bytes[CLASSES] = { 64, 1024, 16 * 1024 };

struct secret {
	struct secret *next_free;
	uint16_t len, size;
	char data[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct secret *free_slots[CLASSES];
static bool warned;

static void add_pages(unsigned cls)
{
	size_t size = slot_bytes[cls];
	char *m = mmap(NULL, PAGES_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		abort();
	madvise(m, PAGES_BYTES, MADV_DONTDUMP);
	if (mlock(m, PAGES_BYTES) < 0 && !warned) {
		warned = true;
		LOG_W("passwords_not_locked", L_Z("do", "raise the limit on locked memory (ulimit -l, LimitMEMLOCK=) or have no swap"));
	}
	for (size_t at = 0; at + size <= PAGES_BYTES; at += size) {
		struct secret *s = (struct secret *)(m + at);

		s->size = (uint16_t)size;
		s->next_free = free_slots[cls];
		free_slots[cls] = s;
	}
}

struct secret *secret_new(struct slice v)
{
	unsigned cls = 0;
	struct secret *s;

	if (v.len > SECRET_MAX)
		return NULL;
	while (v.len + sizeof(struct secret) > slot_bytes[cls])
		cls++;
	pthread_mutex_lock(&lock);
	if (!free_slots[cls])
		add_pages(cls);
	s = free_slots[cls];
	free_slots[cls] = s->next_free;
	pthread_mutex_unlock(&lock);
	s->len = (uint16_t)v.len;
	if (v.len)
		memcpy(s->data, v.ptr, v.len);
	return s;
}

struct slice secret_get(const struct secret *s)
{
	return slice(s->data, s->len);
}

void secret_free(struct secret **sp)
{
	struct secret *s = *sp;
	unsigned cls = 0;

	*sp = NULL;
	if (!s)
		return;
	mem_wipe(s->data, s->len);
	while (s->size != slot_bytes[cls])
		cls++;
	pthread_mutex_lock(&lock);
	s->next_free = free_slots[cls];
	free_slots[cls] = s;
	pthread_mutex_unlock(&lock);
}
