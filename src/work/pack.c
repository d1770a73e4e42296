/* pack.c - see pack.h. Pure; any thread. */
#include "work/pack.h"

void pack_raw(struct packer *k, const void *p, size_t n)
{
	if (k->n + n > k->cap) {
		size_t cap = k->cap ? k->cap * 2 : 128;
		uint8_t *bigger;

		while (cap < k->n + n)
			cap *= 2;
		bigger = arena_alloc(k->a, cap);
		if (k->n)
			memcpy(bigger, k->p, k->n);
		k->p = bigger;
		k->cap = cap;
	}
	if (n)
		memcpy(k->p + k->n, p, n);
	k->n += n;
}

void pack_u8(struct packer *k, uint8_t v)
{
	pack_raw(k, &v, 1);
}

void pack_uint(struct packer *k, uint64_t v)
{
	uint8_t b[10];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		b[n++] = (uint8_t)(v | 0x80);
	b[n++] = (uint8_t)v;
	pack_raw(k, b, n);
}

void pack_int(struct packer *k, int64_t v)
{
	pack_uint(k, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

void pack_slice(struct packer *k, struct slice s)
{
	pack_uint(k, s.len);
	pack_raw(k, s.ptr, s.len);
}

uint8_t unpack_u8(struct unpacker *u)
{
	uint8_t v;

	if (u->bad || u->in.len == 0) {
		u->bad = true;
		return 0;
	}
	v = (uint8_t)u->in.ptr[0];
	u->in = slice_from(u->in, 1);
	return v;
}

uint64_t unpack_uint(struct unpacker *u)
{
	uint64_t v = 0;

	for (int shift = 0; shift < 64; shift += 7) {
		uint8_t b = unpack_u8(u);

		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	u->bad = true;
	return 0;
}

int64_t unpack_int(struct unpacker *u)
{
	uint64_t v = unpack_uint(u);

	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

struct slice unpack_slice(struct unpacker *u)
{
	uint64_t n = unpack_uint(u);
	struct slice s;

	if (u->bad || n > u->in.len) {
		u->bad = true;
		return S_NONE;
	}
	s = slice_to(u->in, (size_t)n);
	u->in = slice_from(u->in, (size_t)n);
	return s;
}
