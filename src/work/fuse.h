/* fuse.h - the growth fuse: counts what one device asks for in a while, and says
 * when it is too much. In the memory of this process; a server that starts anew
 * or another one of a fleet counts from nothing, because what is limited here is
 * load, not access. Any thread. */
#ifndef WORK_FUSE_H
#define WORK_FUSE_H

#include "base/clock.h"
#include "work/device.h"

enum {
	FUSE_REQUESTS_MS = 60 * 1000,     /* past the limit: until this window ends */
	FUSE_RESYNCS_MS = 60 * 60 * 1000, /* past the limit: one each window / limit */
};

enum fuse_state {
	FUSE_WHOLE, /* go on */
	FUSE_BLOWS, /* too much, from now on: the one log line and the mark */
	FUSE_BLOWN, /* still too much */
};

struct fuse_ask {
	struct slice user, device, what; /* what: the collection, for resyncs */
	uint32_t limit;
};

struct fuse;

void fuse_new(struct fuse **f_r, const struct clock *clk);
void fuse_free(struct fuse **f);
/* Counts one. Unless whole, *retry_ms_r is when to come again. f NULL: always whole. */
enum fuse_state fuse_take(struct fuse *f, enum device_fuse kind, const struct fuse_ask *ask, int64_t *retry_ms_r);

#endif
