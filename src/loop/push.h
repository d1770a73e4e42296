/* push.h - who waits for what, and who to wake.
 *
 * Pure: no sockets, no libuv, no threads; the loop owns one, the simulation
 * another. Time comes in by push_advance, acts go out by struct push_acts.
 * Waiters name connections by id; a connection that died is told by push_drop.
 *
 * Register first, check afterwards: push_before makes a waiter before the
 * request's job is queued; wakes from then on set its dirty bit; push_park with
 * a dirty bit checks again at once. So a change between the look and the park is
 * seen twice instead of never.
 *
 * A wake never answers a phone: it has a worker look (acts.check), and a look
 * that finds nothing parks again unseen. At most one check of a waiter runs.
 * The first wake is answered at once; a device answered less than min_interval
 * ago waits out the rest.
 *
 * Price (measured): 144 bytes a waiter, its device id and 4 bytes a folder; 88 bytes a
 * user, the name and 16 bytes a device answered. No timer runs while nothing is due. */
#ifndef LOOP_PUSH_H
#define LOOP_PUSH_H

#include "base/list.h"
#include "base/map.h"
#include "base/wheel.h"
#include "work/exchange.h"

struct push;
struct push_user;

struct push_options {
	int64_t min_interval_ms;   /* push.min_interval */
	int64_t linger_ms;         /* push.linger: a watch outlives its last waiter */
	int64_t retry_ms;          /* a check that failed for the moment is repeated; the pauses grow to this */
	unsigned rearm_rate;       /* checks a second that a mass event may cause */
	unsigned jitter_percent;   /* heartbeats end up to this much early */
};

struct push_acts {
	void *self;
	/* Have a worker look (REQUEST_CHECK with w's facts); the verdict comes back by
	 * push_checked, with the ticket: the connection may wait for something else by
	 * then. Strings are borrowed for the call. */
	void (*check)(void *self, uint64_t conn_id, uint32_t ticket, const struct park *p, struct slice device_id,
		      struct slice user);
	/* Answer and forget: the waiter is gone when this is called. */
	void (*answer)(void *self, uint64_t conn_id, int http_status, struct slice body);
	/* The first waiter of a user parked: see that its mail server tells changes; cred
	 * is borrowed. Called for every park: later ones bring topics and fresh passwords. */
	void (*watch)(void *self, struct push_user *u, const struct park *p);
	/* The last waiter left a linger ago, or the user's login was refused. */
	void (*unwatch)(void *self, struct push_user *u);
};

int push_new(struct push **p_r, const struct push_options *o, const struct push_acts *acts, const struct clock *clk,
	     const struct rnd *rnd);
void push_free(struct push **p);
void push_configure(struct push *p, const struct push_options *o);

/* A request that may park is about to be looked at. */
void push_before(struct push *p, uint64_t conn_id, struct slice user);
/* Its verdict: not PARK, and the waiter goes. ends_older and drop_user are done here. */
void push_after(struct push *p, uint64_t conn_id, struct slice user, struct slice device_id, const struct verdict *v);
/* Parked. Copies what is kept. */
void push_park(struct push *p, uint64_t conn_id, const struct verdict *v);
/* The verdict of a check. True: it was a PARK or a passing failure, and the phone
 * waits on. False: answer the phone with it; the waiter is gone. */
bool push_checked(struct push *p, uint64_t conn_id, uint32_t ticket, const struct verdict *v);
void push_drop(struct push *p, uint64_t conn_id);
/* Bytes came from the phone: answer it as if its time were up, in the next advance. */
void push_hurry(struct push *p, uint64_t conn_id);
/* All of the user's, also those whose first look is under way: they do not park. */
void push_hurry_user(struct push *p, struct push_user *u);
/* Answers all, spread over that time. */
void push_drain(struct push *p, int64_t over_ms);

enum wake_why {
	WAKE_EVENT, /* something changed: look now */
	WAKE_ARMED, /* a source was armed or came back: look when the rate allows */
};
/* folder: backend path, empty for any. Unknown users are no error: false. */
bool push_wake(struct push *p, struct slice user, struct slice folder, enum wake_why why);
/* Another server has the device since `epoch`: its waiters of an older epoch look. */
void push_taken(struct push *p, struct slice user, struct slice device_id, uint64_t epoch);
/* After an outage of the pub/sub connection: everybody, paced. */
void push_wake_all(struct push *p, enum wake_why why);

/* Timers and paced checks; call when push_due_ms has come. */
void push_advance(struct push *p);
/* INT64_MAX: nothing waits for time. */
int64_t push_due_ms(const struct push *p);
unsigned push_waiting(const struct push *p);
/* User-space bytes of all waiters and users. */
size_t push_bytes(const struct push *p);

/* What the watch of a user needs. */
struct slice push_user_name(const struct push_user *u);
void *push_user_watch(const struct push_user *u);
void push_user_set_watch(struct push_user *u, void *watch);
struct push_user *push_find_user(struct push *p, struct slice user);
bool push_user_waits(const struct push_user *u);

/* Which parked folders a topic hash stands for. */
uint32_t push_topic(struct slice folder);

#endif
