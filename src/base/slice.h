/* slice.h - a borrowed run of bytes: pointer and length, passed by value.
 * Not NUL-terminated; may hold NULs. Empty is {NULL, 0} or any pointer with
 * len 0. A slice never owns; who owns the bytes is said where it is made. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *ptr;
	size_t len;
};

#define S(lit) ((struct slice){ (lit), sizeof(lit) - 1 })
#define S_NONE ((struct slice){ NULL, 0 })
/* printf("%.*s", SARG(s)) */
#define SARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline struct slice slice(const void *p, size_t n)
{
	return (struct slice){ (const char *)p, n };
}
static inline struct slice slice_str(const char *z)
{
	return (struct slice){ z, z ? strlen(z) : 0 };
}
static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
/* ASCII case only. */
static inline bool slice_ieq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool slice_starts(struct slice a, struct slice prefix)
{
	return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}
static inline bool slice_istarts(struct slice a, struct slice prefix)
{
	return a.len >= prefix.len && (prefix.len == 0 || strncasecmp(a.ptr, prefix.ptr, prefix.len) == 0);
}
static inline int slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int r = n ? memcmp(a.ptr, b.ptr, n) : 0;

	return r ? r : (a.len > b.len) - (a.len < b.len);
}
/* From byte `off` (clamped) to the end. */
static inline struct slice slice_from(struct slice a, size_t off)
{
	if (off > a.len)
		off = a.len;
	return (struct slice){ a.ptr ? a.ptr + off : NULL, a.len - off };
}
static inline struct slice slice_to(struct slice a, size_t n)
{
	return (struct slice){ a.ptr, n < a.len ? n : a.len };
}
/* Offset of the first c, or -1. */
static inline ptrdiff_t slice_chr(struct slice a, char c)
{
	const char *p = a.len ? memchr(a.ptr, c, a.len) : NULL;

	return p ? p - a.ptr : -1;
}
/* Without blanks, tabs, CR and LF at both ends. */
struct slice slice_trim(struct slice a);
/* Up to the next `sep` (consumed); false when *rest is exhausted. */
bool slice_split(struct slice *rest, char sep, struct slice *part_r);
/* Decimal, whole slice, no sign for u64; false on anything else or overflow. */
bool slice_u64(struct slice a, uint64_t *v_r);
bool slice_i64(struct slice a, int64_t *v_r);
/* FNV-1a folded with a finaliser: a fast hash for tables, not for ids that
 * leave the process (digest.h) and not against hostile keys. */
uint64_t slice_hash(struct slice a);

#endif
