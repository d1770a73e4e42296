/* clock.c - the system's clock and randomness behind clock.h. Any thread. */
#include "base/clock.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t system_now(void *self)
{
	(void)self;
	return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_wall(void *self)
{
	(void)self;
	return read_clock(CLOCK_REALTIME);
}

static void system_fill(void *self, void *p, size_t n)
{
	char *at = p;

	(void)self;
	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got <= 0)
			abort(); /* without randomness no key is safe */
		at += got;
		n -= (size_t)got;
	}
}

const struct clock clock_system = { system_now, system_wall, NULL };
const struct rnd rnd_system = { system_fill, NULL };
