/* slice.c - the few slice helpers that are too long for the header. Pure. */
#include "base/slice.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice a)
{
	while (a.len && is_blank(a.ptr[0])) {
		a.ptr++;
		a.len--;
	}
	while (a.len && is_blank(a.ptr[a.len - 1]))
		a.len--;
	return a;
}

bool slice_split(struct slice *rest, char sep, struct slice *part_r)
{
	ptrdiff_t at;

	if (!rest->ptr)
		return false;
	at = slice_chr(*rest, sep);
	if (at < 0) {
		*part_r = *rest;
		*rest = S_NONE;
		return true;
	}
	*part_r = slice_to(*rest, (size_t)at);
	*rest = slice_from(*rest, (size_t)at + 1);
	return true;
}

bool slice_u64(struct slice a, uint64_t *v_r)
{
	uint64_t v = 0;

	if (a.len == 0)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		unsigned d = (unsigned char)a.ptr[i] - '0';

		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*v_r = v;
	return true;
}

bool slice_i64(struct slice a, int64_t *v_r)
{
	bool neg = a.len && a.ptr[0] == '-';
	uint64_t v;

	if (!slice_u64(slice_from(a, neg), &v) || v > (uint64_t)INT64_MAX)
		return false;
	*v_r = neg ? -(int64_t)v : (int64_t)v;
	return true;
}

uint64_t slice_hash(struct slice a)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < a.len; i++)
		h = (h ^ (unsigned char)a.ptr[i]) * 0x100000001b3u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ (h >> 32);
}
