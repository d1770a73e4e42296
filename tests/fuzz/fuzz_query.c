/* fuzz_query.c - the request line, both forms, and what is read of it again. */
#include <stdint.h>

#include "proto/query.h"
#include "proto/utf8.h"

static void check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

/* What was parsed and written in base64 reads the same. */
static void round_trip(struct arena *a, const struct eas_query *q)
{
	struct eas_query again;
	struct err e = { 0 };

	if (q->command < 0 || q->command >= EAS_CMD_OPTIONS || !q->version || !eas_version_name(q->version))
		return;
	if (q->device_id.len > 255 || q->device_type.len > 255)
		return;
	if (eas_query_parse(a, eas_query_base64(a, q), &again, &e) < 0)
		return;		/* parameters that the short form cannot carry */
	check(again.command == q->command);
	check(slice_eq(again.device_id, q->device_id));
	check(again.version == q->version);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct arena *a = arena_new();
	struct eas_query q;
	struct slice out;
	struct err e = { 0 };

	if (eas_query_parse(a, slice((const char *)data, len), &q, &e) == 0) {
		check(q.device_id.len <= QUERY_MAX_DEVICE_ID);
		check(utf8_clean(q.user) && utf8_clean(q.device_id) && utf8_clean(q.device_type));
		check(utf8_clean(q.collection_id) && utf8_clean(q.item_id) && utf8_clean(q.command_text));
		round_trip(a, &q);
	}
	if (percent_decode(a, slice((const char *)data, len), &out))
		percent_encode(a, out);
	arena_free(&a);
	return 0;
}
