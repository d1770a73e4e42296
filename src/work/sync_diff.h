/* sync_diff.h - the one diff engine: asks the backend what changed and turns it
 * into waiting work of a collection's state. Every class and backend. Worker. */
#ifndef WORK_SYNC_DIFF_H
#define WORK_SYNC_DIFF_H

#include "backend/backend.h"
#include "work/colstate.h"
#include "work/extra.h"

struct sync_look {
	struct session *session;
	struct slice folder;      /* backend path */
	int64_t since_ms;         /* start of the filter window; 0 all */
	const struct extras *extras;
	struct arena *a;
	int version;              /* enum eas_version: what the phone cannot be told is no change */
};

/* First millisecond that a filter lets through: whole UTC days, so that it moves
 * once a day. filter: MS-ASCMD FilterType 0-7; 0 gives 0. */
int64_t sync_since(int filter, int64_t wall_ms);

/* One call to the backend's changes(), plus one lookup when items left the
 * window. st->pend, token, identity and since follow. BE_PERM ERR_CONFLICT: the
 * folder is another one now (identity): the phone has to start over. */
enum be_result sync_look(const struct sync_look *k, struct colstate *st, struct err *e);

#endif
