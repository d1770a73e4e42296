/* clock.h - time and randomness as arguments, so that a simulation owns both.
 * now_ms: monotonic milliseconds, for deadlines. wall_ms: Unix time in
 * milliseconds, for what people and records see. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct clock {
	int64_t (*now_ms)(void *self);
	int64_t (*wall_ms)(void *self);
	void *self;
};

struct rnd {
	void (*fill)(void *self, void *p, size_t n);
	void *self;
};

/* The real ones: CLOCK_MONOTONIC, CLOCK_REALTIME, getrandom. */
extern const struct clock clock_system;
extern const struct rnd rnd_system;

static inline int64_t clock_now(const struct clock *c)
{
	return c->now_ms(c->self);
}
static inline int64_t clock_wall(const struct clock *c)
{
	return c->wall_ms(c->self);
}
static inline uint64_t rnd_u64(const struct rnd *r)
{
	uint64_t v;

	r->fill(r->self, &v, sizeof(v));
	return v;
}

#endif
