/* fuzz_tlsrec.c - the record layer: noise in each suite, and valid streams that
 * are then changed, cut and split as the input says. What comes out is a prefix of
 * what went in, up to the first changed record, and nothing after it. */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "loop/tlsrec.h"

enum { MAX_STREAM = 64 * 1024 };

static void check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static const uint8_t key[2][32] = { "key of one direction, 32 bytes.", "key of the other, also 32 bytes" };
static const uint8_t iv[2][12] = { "one iv 12 b", "two iv 12 b" };

/* Opens a stream in pieces of `step`; the plaintext goes to out. */
static size_t open_stream(enum tlsrec_suite suite, char *stream, size_t len, size_t step, char *out, size_t room)
{
	struct tlsrec r;
	struct tlsrec_live *v;
	size_t from = 0, n = 0;
	bool over = false;

	tlsrec_init(&r, suite, key[0], key[1], iv[0], iv[1], 0);
	v = tlsrec_live_new(&r);
	for (size_t have = step; !over; have += step) {
		struct tlsrec_in in;
		struct err e;
		int rc;

		if (have > len)
			have = len;
		while ((rc = tlsrec_open(v, stream + from, have - from, &in, &e)) == 1) {
			check(in.used <= have - from && in.plain.len <= TLSREC_PLAIN_MAX && n + in.plain.len <= room);
			if (in.plain.len)
				memcpy(out + n, in.plain.ptr, in.plain.len);
			n += in.plain.len;
			from += in.used;
		}
		check(rc == 0 || in.plain.len == 0);
		over = rc < 0 || have == len;
		if (rc < 0)
			check(tlsrec_open(v, stream + from, len - from, &in, &e) == -1);
	}
	tlsrec_live_free(&v);
	tlsrec_wipe(&r);
	return n;
}

/* Seals text in records of `piece` bytes. */
static size_t seal_stream(enum tlsrec_suite suite, struct slice text, size_t piece, char *stream)
{
	struct tlsrec r;
	struct tlsrec_live *v;
	size_t len = 0;

	tlsrec_init(&r, suite, key[1], key[0], iv[1], iv[0], (uint16_t)piece);
	v = tlsrec_live_new(&r);
	while (text.len && len + TLSREC_OVERHEAD_MAX + piece <= MAX_STREAM) {
		size_t used;
		ssize_t n = tlsrec_seal(v, text, stream + len, &used);

		check(n > 0);
		len += (size_t)n;
		text = slice_from(text, used);
	}
	len += (size_t)tlsrec_seal_alert(v, TLSREC_CLOSE_NOTIFY, stream + len);
	tlsrec_live_free(&v);
	tlsrec_wipe(&r);
	return len;
}

/* Input: suite, step, piece, flags, position (2), xor; then the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum tlsrec_suite suite;
	char *stream, *out;
	size_t n, got, step, piece;
	struct slice text;

	if (len < 8 || len > 8192)
		return 0;
	suite = (enum tlsrec_suite)(1 + data[0] % 3);
	step = 1 + data[1];
	piece = 1 + data[2];
	text = slice((const char *)data + 7, len - 7);
	stream = malloc(MAX_STREAM + 256);
	out = malloc(MAX_STREAM);
	memcpy(stream, text.ptr, text.len);
	check(open_stream(suite, stream, text.len, step, out, MAX_STREAM) == 0); /* noise has no tag */
	n = seal_stream(suite, text, piece, stream);
	if (data[3] & 1)
		stream[(data[4] << 8 | data[5]) % n] ^= (char)data[6];
	if (data[3] & 2)
		n = (size_t)(data[4] << 8 | data[5]) % n;
	got = open_stream(suite, stream, n, step, out, MAX_STREAM);
	check(got <= text.len && memcmp(out, text.ptr, got) == 0);
	free(stream);
	free(out);
	return 0;
}
