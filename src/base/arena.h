/* arena.h - memory of one request: bump allocation, freed whole.
 * Thread: one owner at a time (it travels with the request). Out of memory
 * aborts with a message: sizes a peer chose have limits before they get here. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>

#include "base/slice.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena **a);
/* Zeroed, 16-byte aligned. n == 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_dup(struct arena *a, const void *p, size_t n);
/* Copy; the copy is NUL-terminated behind its length. */
struct slice arena_slice(struct arena *a, struct slice s);
char *arena_str(struct arena *a, struct slice s);
struct slice arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Grow an array of `n` used elements so that one more fits: returns the array,
 * moved when *cap was full. Start with NULL, 0, 0. */
void *arena_grow(struct arena *a, void *arr, size_t n, size_t *cap, size_t elem);
/* Bytes handed out so far: for limits. */
size_t arena_used(const struct arena *a);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))

/* Allocation that outlives a request; aborts with a message when out of memory. */
void *mem_alloc(size_t n);            /* zeroed; caller frees with free() */
void *mem_realloc(void *p, size_t n);
char *mem_str(struct slice s);        /* NUL-terminated copy; free() */
struct slice mem_slice(struct slice s); /* copy; free((char *)s.ptr) */
/* Overwrites with zeros in a way the compiler keeps: for secrets. */
void mem_wipe(void *p, size_t n);

#endif
