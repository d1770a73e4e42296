/* store_mem.h - the store in memory, "memory:": complete, for tests, the bench
 * and the simulation, which takes images of it and steps back. Thread-safe. */
#ifndef WORK_STORE_MEM_H
#define WORK_STORE_MEM_H

#include "work/store.h"

/* Everything but claims, at one moment. Any number, each the caller's. */
struct store_image;

struct store_image *store_mem_snapshot(struct store *s);
/* As if the store came back from that moment (a fail-over, a restored backup): the
 * epoch changes, revisions handed out since are not used again. Claims are gone. */
void store_mem_restore(struct store *s, const struct store_image *img);
void store_image_free(struct store_image **img);
/* The process died: its claims end, nothing else is lost. */
void store_mem_crash(struct store *s);
/* FLUSHALL. */
void store_mem_flush(struct store *s);
/* One record vanishes, as an eviction does it. */
void store_mem_evict(struct store *s, struct slice user, struct slice key);
/* Bytes of all values: for the bench. */
uint64_t store_mem_bytes(struct store *s);

#endif
