/* gzip.c - a blob packed into another one. Worker; holds one step of memory beside
 * zlib's own 256 KiB, whatever the size (a large blob lies in a file). */
#include "work/gzip.h"

#include <zlib.h>

enum { STEP = 16 * 1024, LEVEL = 5, GZIP_WINDOW = 15 + 16 };

/* What deflate has to say to the bytes given; false: an error. */
static bool drain(z_stream *z, int flush, struct blob *out, uint64_t max)
{
	unsigned char buf[STEP];

	do {
		z->next_out = buf;
		z->avail_out = sizeof(buf);
		if (deflate(z, flush) == Z_STREAM_ERROR ||
		    blob_size(out) + sizeof(buf) - z->avail_out >= max ||
		    blob_append(out, buf, sizeof(buf) - z->avail_out, NULL) < 0)
			return false;
	} while (z->avail_out == 0);
	return true;
}

static bool pack(z_stream *z, const struct blob *in, struct blob *out)
{
	unsigned char buf[STEP];
	uint64_t size = blob_size(in);

	for (uint64_t off = 0; off < size;) {
		ssize_t n = blob_read(in, off, buf, sizeof(buf));

		if (n <= 0)
			return false;
		off += (uint64_t)n;
		z->next_in = buf;
		z->avail_in = (uInt)n;
		if (!drain(z, off < size ? Z_NO_FLUSH : Z_FINISH, out, size))
			return false;
	}
	return size > 0;
}

bool gzip_blob(struct blob **b)
{
	z_stream z = { 0 };
	struct blob *out;
	bool ok;

	if (deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	out = blob_new(0);
	ok = pack(&z, *b, out);
	deflateEnd(&z);
	if (ok) {
		blob_free(b);
		*b = out;
	} else {
		blob_free(&out);
	}
	return ok;
}
