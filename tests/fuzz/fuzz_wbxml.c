/* fuzz_wbxml.c - the reader: any bytes, any split, the same events; and what
 * it accepts the writer writes so that it reads the same again.
 * The first byte of the input chooses the split. */
#include <stdint.h>
#include <string.h>

#include "proto/wbxml.h"

/* One pass: a digest of the events, so that two passes can be compared. */
struct pass {
	uint64_t sum;
	unsigned depth;
	bool in_text;
	struct wbxml_writer *w; /* NULL: only read */
};

static void check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static void mix(struct pass *p, uint64_t v)
{
	p->sum = (p->sum ^ v) * 1099511628211u;
}

static void end_text(struct pass *p)
{
	if (p->in_text && p->w)
		wbxml_text_end(p->w);
	p->in_text = false;
}

static int on_open(void *ctx, uint16_t tag, bool has_content, struct err *e)
{
	struct pass *p = ctx;

	end_text(p);
	mix(p, tag);
	p->depth++;
	if (p->w)
		wbxml_open(p->w, tag);
	return 0;
}

static int on_text(void *ctx, struct slice chunk, struct err *e)
{
	struct pass *p = ctx;

	if (p->w && !p->in_text)
		wbxml_text_begin(p->w);
	p->in_text = true;
	for (size_t i = 0; i < chunk.len; i++)
		mix(p, (unsigned char)chunk.ptr[i]);
	if (p->w)
		wbxml_text_chunk(p->w, chunk);
	return 0;
}

static int on_opaque(void *ctx, struct slice chunk, struct err *e)
{
	struct pass *p = ctx;

	for (size_t i = 0; i < chunk.len; i++)
		mix(p, 0x100u + (unsigned char)chunk.ptr[i]);
	return 0;
}

static int on_close(void *ctx, struct err *e)
{
	struct pass *p = ctx;

	end_text(p);
	check(p->depth-- > 0);
	mix(p, 0xffff);
	if (p->w)
		wbxml_close(p->w);
	return 0;
}

static const struct wbxml_events events = { on_open, on_text, on_opaque, on_close };
static const struct wbxml_limits limits = {
	.depth = WBXML_MAX_DEPTH, .elements = 5000, .table_bytes = 1000,
	.string_bytes = 100000, .opaque_bytes = 100000, .total_bytes = 200000,
};

/* Feeds in pieces of `step` bytes (0: at once); the reader's last word. */
static int feed(struct pass *p, struct slice in, size_t step, struct arena *a)
{
	struct wbxml_reader r;
	struct err e = { 0 };
	int rc = 0;

	wbxml_reader_init(&r, &events, p, a, &limits);
	for (size_t at = 0; at < in.len && rc >= 0; at += step ? step : in.len) {
		size_t n = in.len - at < step || !step ? in.len - at : step;

		rc = wbxml_feed(&r, slice(in.ptr + at, n), &e);
	}
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct arena *a = arena_new();
	struct pass whole = { 0 }, split = { 0 };
	struct slice in;

	if (len < 1) {
		arena_free(&a);
		return 0;
	}
	in = slice((const char *)data + 1, len - 1);
	int rc = feed(&whole, in, 0, a);

	check(feed(&split, in, 1 + data[0] % 16, a) == rc);
	if (rc == 1) {
		struct blob *out = blob_new(0);
		struct wbxml_writer w;
		struct pass again = { .w = &w };
		struct err e = { 0 };

		check(whole.sum == split.sum && whole.depth == 0);
		wbxml_writer_init(&w, out);
		check(feed(&again, in, 0, a) == 1);
		check(wbxml_finish(&w, &e) == 0);
		blob_free(&out);
	}
	arena_free(&a);
	return 0;
}
