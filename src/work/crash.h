/* crash.h - what each worker has in hand, in a small shared mapping of data_dir
 * that survives the process. A fatal signal marks the worker it hit; the next
 * start reads the marks, logs them, and the item in hand is served to that
 * device as a safe stand-in from then on.
 *
 * crash_begin/_item/_end: worker, a few stores each. crash_is_poisoned: any
 * thread. All take ring NULL and do nothing then (the simulation). */
#ifndef WORK_CRASH_H
#define WORK_CRASH_H

#include "base/clock.h"
#include "base/err.h"

struct crash_ring;

/* Reads what the last process left, logs it, starts anew. */
int crash_open(struct crash_ring **r_r, struct slice data_dir, const struct clock *clk, struct err *e);
/* Claims that the last process held when it died. After crash_open. */
typedef void crash_left_fn(void *arg, struct slice user, struct slice device, struct slice owner);
void crash_left(const struct crash_ring *r, crash_left_fn *fn, void *arg);
/* Also says that the process ended in order. */
void crash_close(struct crash_ring **r);
/* SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT mark the thread's slot and go on to the default. */
void crash_arm(struct crash_ring *r);

void crash_begin(struct crash_ring *r, struct slice user, struct slice device, const char *command, uint64_t rid);
/* The claim that the command holds on its device: the next start gives it back. */
void crash_claim(struct crash_ring *r, struct slice owner);
/* The item that is worked on now; folder empty: none. */
void crash_item(struct crash_ring *r, struct slice folder, uint64_t num);
void crash_end(struct crash_ring *r);

/* folder: backend path. */
bool crash_is_poisoned(struct crash_ring *r, struct slice user, struct slice device, struct slice folder, uint64_t num);

#endif
