/* fuse.c - windows of counts by user, device and kind. One mutex, held for a few
 * comparisons. A fixed table of sets with a few places each (0.6 MB of address
 * space, touched as devices come): a row that is pushed out by others starts
 * over, which slows nobody wrongly.
 * The trap: device ids are the client's to invent, so a full set gives up the row
 * that counted least, not the one that counts most. */
#include "work/fuse.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/metrics.h"

enum { SETS = 4096, PLACES = 4 };

struct row {
	uint64_t key; /* 0: free */
	int64_t ends_ms, last_ms;
	uint32_t count;
	bool blown;
};

struct fuse {
	pthread_mutex_t lock;
	const struct clock *clock;
	struct row set[SETS][PLACES];
};

void fuse_new(struct fuse **f_r, const struct clock *clk)
{
	struct fuse *f = mem_alloc(sizeof(*f));

	pthread_mutex_init(&f->lock, NULL);
	f->clock = clk;
	*f_r = f;
}

void fuse_free(struct fuse **fp)
{
	struct fuse *f = *fp;

	*fp = NULL;
	if (!f)
		return;
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static uint64_t key_of(enum device_fuse kind, const struct fuse_ask *ask)
{
	struct sha256 d = digest_parts((const struct slice[]){
		slice(kind == FUSE_REQUESTS ? "q" : "r", 1), ask->user, ask->device, ask->what }, 4);
	uint64_t key;

	memcpy(&key, d.b, sizeof(key));
	return key ? key : 1;
}

static struct row *row_of(struct fuse *f, uint64_t key, int64_t now, int64_t window_ms)
{
	struct row *set = f->set[key % SETS], *out = &set[0];

	for (int i = 0; i < PLACES; i++) {
		if (set[i].ends_ms <= now)
			set[i].count = 0;
		if (set[i].key == key) {
			out = &set[i];
			break;
		}
		if (set[i].count < out->count)
			out = &set[i];
	}
	if (out->key != key || out->ends_ms <= now)
		*out = (struct row){ .key = key, .ends_ms = now + window_ms };
	return out;
}

static enum fuse_state count(struct row *r, const struct fuse_ask *ask, int64_t apart_ms, int64_t now,
			     int64_t *retry_ms_r)
{
	enum fuse_state state = r->blown ? FUSE_BLOWN : FUSE_BLOWS;

	if (r->count < ask->limit) {
		r->count++;
		r->last_ms = now;
		return FUSE_WHOLE;
	}
	if (apart_ms && now - r->last_ms >= apart_ms) {
		r->last_ms = now;
		return FUSE_WHOLE;
	}
	*retry_ms_r = apart_ms ? apart_ms - (now - r->last_ms) : r->ends_ms - now;
	r->blown = true;
	return state;
}

static void say(enum device_fuse kind, const struct fuse_ask *ask, int64_t retry_ms)
{
	metric_add(M_fuse_blown_total, 1);
	LOG_W("device_slowed", L_S("user", ask->user), L_S("dev", ask->device), L_Z("by", device_fuse_name(kind)),
	      L_S("folder", ask->what), L_I("limit", ask->limit), L_I("retry_ms", retry_ms),
	      L_Z("do", "the device asks without end: look at it, or see limits.fuse_requests and limits.fuse_resyncs"));
}

enum fuse_state fuse_take(struct fuse *f, enum device_fuse kind, const struct fuse_ask *ask, int64_t *retry_ms_r)
{
	int64_t window_ms = kind == FUSE_REQUESTS ? FUSE_REQUESTS_MS : FUSE_RESYNCS_MS;
	int64_t apart_ms = kind == FUSE_REQUESTS ? 0 : window_ms / (ask->limit ? ask->limit : 1), now;
	enum fuse_state state;
	uint64_t key;

	if (!f)
		return FUSE_WHOLE;
	key = key_of(kind, ask);
	now = clock_now(f->clock);
	pthread_mutex_lock(&f->lock);
	state = count(row_of(f, key, now, window_ms), ask, apart_ms, now, retry_ms_r);
	pthread_mutex_unlock(&f->lock);
	if (state == FUSE_BLOWS)
		say(kind, ask, *retry_ms_r);
	return state;
}
