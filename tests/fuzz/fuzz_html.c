/* fuzz_html.c - HTML to text: any split gives the same clean text, and its size
 * is bounded by the input's. Also text to HTML and back. */
#include <stdlib.h>

#include "proto/html.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step = size ? data[0] % 16 + 1 : 1;
	struct arena *a = arena_new();
	struct slice in = utf8_make_clean(a, slice(data + (size > 0), size - (size > 0)));
	struct html_reader *r;
	struct slice whole;
	struct bytes out;
	uint64_t total;

	whole = html_to_text(a, in, 0, &total);
	bytes_init(&out, a, 0);
	r = html_reader_new(a, &out);
	for (size_t i = 0; i < in.len; i += step)
		html_feed(r, slice_to(slice_from(in, i), step));
	html_end(r);
	must(slice_eq(whole, bytes_get(&out)));
	must(utf8_clean(whole) && total == whole.len && total <= 64 * in.len + 64);
	must(html_to_text(a, in, 7, NULL).len <= 7);
	must(utf8_clean(text_to_html(a, in)));
	must(html_body_end(in) <= in.len && html_body(in).len <= in.len);
	arena_free(&a);
	return 0;
}
