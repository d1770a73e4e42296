/* test_gzip.c - replies packed: the same bytes come out, of any size, and what does
 * not shrink stays. */
#include "harness.h"

#include <zlib.h>

#include "base/arena.h"
#include "work/gzip.h"

static struct blob *filled(size_t n, bool noise)
{
	struct blob *b = blob_new(4096);
	char *p = arena_alloc(test_arena(), n);
	uint32_t r = 1;

	for (size_t i = 0; i < n; i++) {
		r = r * 1664525 + 1013904223;
		p[i] = noise ? (char)(r >> 24) : (char)('a' + i % 23 + (i / 1000) % 3);
	}
	CHECK_INT(blob_append(b, p, n, NULL), 0);
	return b;
}

static bool same_after(size_t n)
{
	struct blob *b = filled(n, false), *was = filled(n, false);
	struct slice packed, plain;
	char *out = arena_alloc(test_arena(), n + 1);
	z_stream z = { 0 };
	bool same;

	CHECK(gzip_blob(&b));
	CHECK(blob_size(b) < n);
	CHECK_INT(blob_map(b, &packed, NULL), 0);
	CHECK_INT(blob_map(was, &plain, NULL), 0);
	CHECK_INT(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = (unsigned char *)packed.ptr;
	z.avail_in = (uInt)packed.len;
	z.next_out = (unsigned char *)out;
	z.avail_out = (uInt)n + 1;
	CHECK_INT(inflate(&z, Z_FINISH), Z_STREAM_END);
	CHECK_INT(z.avail_in, 0);
	same = z.total_out == n && memcmp(out, plain.ptr, n) == 0;
	inflateEnd(&z);
	blob_free(&b);
	blob_free(&was);
	return same;
}

CASE(gzip_gives_the_same_bytes_back)
{
	static const size_t sizes[] = { 1025, 16383, 16384, 16385, 32768, 300000, 2000000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		CHECK(same_after(sizes[i]));
}

CASE(gzip_leaves_what_does_not_shrink)
{
	struct blob *b = filled(50000, true), *was = b;

	CHECK(!gzip_blob(&b));
	CHECK(b == was && blob_size(b) == 50000);
	blob_free(&b);
	b = blob_new(0);
	CHECK(!gzip_blob(&b));
	blob_free(&b);
}
