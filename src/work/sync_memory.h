/* sync_memory.h - the last Sync request of a device, kept in its record, because
 * an empty Sync and Partial mean "as last time" (MS-ASCMD 2.2.1.21). Options
 * stand with each collection; here only which collections, under which keys, and
 * how long to wait. Pure; record.h, format 1. */
#ifndef WORK_SYNC_MEMORY_H
#define WORK_SYNC_MEMORY_H

#include "proto/cmd_sync.h"
#include "work/record.h"

struct slice sync_memory_pack(struct arena *a, const struct sync_request *req);
/* false: nothing is remembered. */
bool sync_memory_unpack(struct arena *a, struct slice packed, struct sync_request *req_r);
/* A Partial request over the remembered one: its collections replace theirs, its
 * wait and window replace the old ones when given. */
void sync_memory_merge(struct arena *a, struct sync_request *kept, const struct sync_request *partial);

#endif
