/* fuzz_schema.c - hostile bodies through reader, tables and trace. The first
 * byte picks table and version, the second how the bytes are split; the rest
 * is the body. What decodes is encoded and must decode again. Build and run:
 * make fuzz-build, then build/fuzz/tests/fuzz/fuzz_schema tests/fuzz/corpus/schema */
#include <stdlib.h>

#include "proto/commands.h"
#include "proto/email.h"
#include "proto/xmltrace.h"

static const struct schema *const replies[] = {
	&sync_reply_schema, &foldersync_reply_schema, &itemops_reply_schema, &settings_reply_schema,
	&provision_reply_schema, &estimate_reply_schema, &moveitems_reply_schema, &ping_reply_schema,
};
static const enum eas_version versions[] = { EAS_ANY, EAS_25, EAS_120, EAS_121, EAS_140, EAS_141, EAS_161 };

enum { N_REPLIES = sizeof(replies) / sizeof(replies[0]), N_VERSIONS = sizeof(versions) / sizeof(versions[0]) };

static const struct schema *schema_at(unsigned i)
{
	const struct command *c;

	if (i < N_REPLIES)
		return replies[i];
	c = command_at(i - N_REPLIES);
	return c && c->request ? c->request : NULL;
}

static void must_decode(struct slice bytes, const struct schema *s, enum eas_version v, struct arena *a)
{
	struct decode_report r;
	struct err e;

	if (!decode_all(bytes, s, v, a, &r, &e))
		abort();
	decode_report_deinit(&r);
}

static void encode_again(const struct schema *s, const void *obj, enum eas_version v, struct arena *a)
{
	struct blob *b = blob_new(0);
	struct slice bytes;
	struct err e;

	if (encode_document(b, s, obj, v, &e) < 0 || blob_map(b, &bytes, &e) < 0)
		abort();
	must_decode(bytes, s, v, a);
	blob_free(&b);
}

static void run(struct slice body, size_t step, const struct schema *s, enum eas_version v)
{
	struct arena *a = arena_new();
	struct decode_report r;
	struct decoder d;
	struct err e;
	void *obj;

	decode_begin(&d, s, v, a, &r, NULL);
	for (; body.len; body = slice_from(body, step))
		if (decode_feed(&d, slice_to(body, step), &e) < 0)
			break;
	obj = decode_end(&d, &e);
	if (obj)
		encode_again(s, obj, v ? v : EAS_141, a);
	decode_report_deinit(&r);
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xmltrace_limits l = { .text_bytes = 100, .total_bytes = 100000 };
	enum eas_version v;
	struct slice body;
	struct blob *xml;

	if (size < 3)
		return 0;
	v = versions[data[0] % N_VERSIONS];
	body = slice(data + 2, size - 2);
	for (unsigned i = 0; i < N_REPLIES + 16; i++)
		if (schema_at(i))
			run(body, 1 + data[1], schema_at(i), v);
	xml = blob_new(0);
	xmltrace(xml, body, &l, NULL);
	blob_free(&xml);
	return 0;
}
