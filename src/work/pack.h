/* pack.h - varints and byte runs: what store records are made of. Pure.
 * Writer grows in an arena. Reader is bounded: past the end or on a varint over
 * 64 bits it sets `bad` and gives zeros, so a decoder checks once at its end. */
#ifndef WORK_PACK_H
#define WORK_PACK_H

#include "base/arena.h"

struct packer {
	struct arena *a;
	uint8_t *p;
	size_t n, cap;
};

struct unpacker {
	struct slice in;
	bool bad;
};

static inline struct packer packer(struct arena *a)
{
	return (struct packer){ .a = a };
}
void pack_u8(struct packer *k, uint8_t v);
void pack_uint(struct packer *k, uint64_t v); /* LEB128 */
void pack_int(struct packer *k, int64_t v);   /* zigzag */
void pack_slice(struct packer *k, struct slice s); /* length and bytes */
void pack_raw(struct packer *k, const void *p, size_t n);
static inline struct slice packed(const struct packer *k)
{
	return slice(k->p, k->n);
}

static inline struct unpacker unpacker(struct slice in)
{
	return (struct unpacker){ .in = in };
}
uint8_t unpack_u8(struct unpacker *u);
uint64_t unpack_uint(struct unpacker *u);
int64_t unpack_int(struct unpacker *u);
/* Points into the input. */
struct slice unpack_slice(struct unpacker *u);
static inline bool unpack_more(const struct unpacker *u)
{
	return !u->bad && u->in.len > 0;
}

#endif
