/* wheel.h - timer wheel for hundreds of thousands of coarse deadlines: one
 * list link and one deadline a timer, no allocation, O(1) set and cancel.
 * Owner's thread only (loop or simulation). Resolution is `tick_ms`: a timer
 * fires in the first wheel_advance at or after its deadline, never before. */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <stdint.h>

#include "base/list.h"

struct wheel_timer {
	struct list link;   /* self-linked when idle */
	int64_t at_ms;
};

struct wheel {
	struct list slot[4][64];
	int64_t now_tick;
	int64_t next_tick;  /* nothing is to be done before this one */
	int tick_ms;
};

typedef void wheel_fn(void *arg, struct wheel_timer *t);

void wheel_init(struct wheel *w, int64_t now_ms, int tick_ms);
void wheel_timer_init(struct wheel_timer *t);
/* Sets or moves. A deadline in the past fires in the next advance. */
void wheel_set(struct wheel *w, struct wheel_timer *t, int64_t at_ms);
void wheel_cancel(struct wheel_timer *t);
bool wheel_armed(const struct wheel_timer *t);
/* When the next wheel_advance can have something to do: at or before the first
 * deadline. INT64_MAX: nothing is set. O(1). */
int64_t wheel_due_ms(const struct wheel *w);
/* Fires what is due; fn may set or cancel any timer, also freeing its own. */
void wheel_advance(struct wheel *w, int64_t now_ms, wheel_fn *fn, void *arg);

#endif
