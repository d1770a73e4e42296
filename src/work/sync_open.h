/* sync_open.h - a device's state of a collection for commands that look but do
 * not sync: Ping, GetItemEstimate, MoveItems, ItemOperations. Worker. */
#ifndef WORK_SYNC_OPEN_H
#define WORK_SYNC_OPEN_H

#include "work/colstate.h"
#include "work/extra.h"
#include "work/sync_options.h"
#include "work/work.h"

struct sync_view {
	struct folder *folder;
	struct slice col_key, extra_key;
	uint32_t base_len;
	size_t record_len;
	struct colstate st;       /* st.exists false: never synced */
	struct extras extras;
	struct sync_options_kept opt;
};

/* Names the two records of a collection for the load. */
/* 1.0 to 2.5: a collection that is named by its class alone is the default folder
 * of that class. The id, or S_NONE. */
struct slice sync_class_folder(struct exchange *x, struct slice class);
void sync_view_want(struct exchange *x, struct slice folder_id);
/* After it. A damaged record is logged and reads as never synced. */
void sync_view_open(struct exchange *x, struct folder *f, struct sync_view *v);
/* Waiting work of the collection now, under its own filter; asks the backend
 * once unless the change counter tells. Nothing is saved. */
enum be_result sync_view_look(struct exchange *x, struct session *s, struct sync_view *v, int filter, size_t *waiting_r,
			      struct err *e);
/* Puts what a command other than Sync did to the state (own, pend). */
void sync_view_save(struct exchange *x, struct sync_view *v);
/* push.sources promises that every change is counted: an equal counter means no change. */
bool sync_gen_tells(const struct exchange *x);

#endif
