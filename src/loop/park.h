/* park.h - between connections, the push registry, watches and messages: parks a
 * connection, has workers look when something woke it, answers it. Loop thread
 * only, except park_published. */
#ifndef LOOP_PARK_H
#define LOOP_PARK_H

#include "loop/message.h"
#include "loop/push.h"
#include "loop/room.h"

struct park_room;

/* After loop_new, before loop_run: sets the loop's hooks, arms the sources that
 * backend and store have for the whole process. */
int park_init(struct park_room **r_r, struct loop *l, struct settings *set, struct err *e);
/* Before loop_free: ends watches; their closing jobs run in loop_free. */
void park_deinit(struct park_room **r);
void park_configure(struct park_room *r, struct settings *set);

/* A message of a hook, of Redis or of the embedded store about a canonical user. */
void park_message(struct park_room *r, struct slice user, const struct push_message *m);
/* The subscription came back: everybody is looked after, paced. */
void park_rearmed(struct park_room *r);
/* Any thread (arg: the room): a message of this process or of Redis; handed to the
 * loop. Empty user: the subscription was armed, also after an outage. */
void park_published(void *arg, struct slice user, struct slice json);
/* Refuses a user's waits with 401 (the mail server refuses the watch's login). */
void park_refuse(struct park_room *r, struct slice user);

struct push *park_push(struct park_room *r);
struct loop *park_loop(struct park_room *r);
struct settings *park_settings(struct park_room *r);

struct park_stats {
	unsigned waiting, watches[5]; /* by enum be_watch_kind */
	size_t bytes;
};
void park_stats(struct park_room *r, struct park_stats *s_r);

#endif
