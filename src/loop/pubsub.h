/* pubsub.h - the subscription to the users' channels of Redis (config.md, push
 * contract). A thread of its own reads it by the blocking stream, because the
 * stream has what the loop would have to write again: TLS, deadlines, names;
 * what it hears goes to the loop by `fn`. Armed means: Redis confirmed the
 * PSUBSCRIBE; fn is then called with an empty user, so that everybody is looked
 * after who may have missed something. An outage is retried every second or so,
 * jittered, and logged once. */
#ifndef LOOP_PUBSUB_H
#define LOOP_PUBSUB_H

#include "base/settings.h"

struct pubsub;

/* Called on the subscription's thread; must be quick. */
typedef void pubsub_fn(void *arg, struct slice user, struct slice json);

/* *p_r NULL and 0 where store.url is no Redis. */
int pubsub_new(struct pubsub **p_r, const struct settings *set, pubsub_fn *fn, void *arg, struct err *e);
void pubsub_free(struct pubsub **p); /* joins */
/* Is the subscription confirmed right now? */
bool pubsub_armed(const struct pubsub *p);

#endif
