/* fuzz_message.c - the JSON that hooks and Redis send, and what is passed on of it. */
#include <stdint.h>

#include "loop/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct arena *a = arena_new();
	struct push_message m, again;
	struct err e = { 0 };

	if (message_parse(a, slice((const char *)data, len), &m, &e) == 0) {
		/* What goes on the channel is read by every server, and says the same. */
		if (message_parse(a, message_format(a, &m), &again, &e) < 0 || again.auth_changed != m.auth_changed ||
		    !slice_eq(again.folder, m.folder))
			__builtin_trap();
	}
	arena_free(&a);
	return 0;
}
