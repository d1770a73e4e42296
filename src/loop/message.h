/* message.h - what hooks and Redis tell: the JSON of the push contract
 * (config.md) and of Dovecot's event exporter. Pure. Unknown members are
 * ignored, so that a newer sender can say more. */
#ifndef LOOP_MESSAGE_H
#define LOOP_MESSAGE_H

#include "base/arena.h"
#include "base/err.h"

enum { MESSAGE_MAX_BYTES = 64 * 1024, MESSAGE_MAX_DEPTH = 32 };

struct push_message {
	struct slice user;    /* as sent; empty on a channel message */
	struct slice folder;  /* empty: any */
	bool auth_changed;
	bool taken;           /* another server has a device of the user now: */
	struct slice device;  /* this one (empty: not said), */
	uint64_t epoch;       /* since this epoch */
};

/* -1 ERR_BAD_REQUEST: not JSON, not an object, or too large. */
int message_parse(struct arena *a, struct slice json, struct push_message *m_r, struct err *e);
/* What goes on the channel for it. */
struct slice message_format(struct arena *a, const struct push_message *m);

#endif
