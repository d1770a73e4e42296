/* commands.c - the table of handlers, made of commands.def, and what OPTIONS
 * tells of it. Any thread; constant. */
#include "work/work.h"

#define HANDLER(ID, suffix, flags, want, check) void cmd_##suffix(struct exchange *x);
#include "work/commands.def"
#undef HANDLER

/* want and check hooks stand in the same files as the commands. */
void want_sync(struct exchange *x);
void want_ping(struct exchange *x);
void want_estimate(struct exchange *x);
void want_moveitems(struct exchange *x);
void want_itemops(struct exchange *x);
void want_compose(struct exchange *x);
void check_sync(struct exchange *x);
void check_ping(struct exchange *x);

static const struct handler handlers[] = {
#define HANDLER(ID, suffix, flags_, want_, check_) \
	{ .id = EAS_CMD_##ID, .flags = (flags_), .want = (want_), .run = cmd_##suffix, .check = (check_) },
#include "work/commands.def"
#undef HANDLER
};

const struct handler *handler_find(enum eas_command id)
{
	if (!command_find(id))
		return NULL;
	for (size_t i = 0; i < sizeof(handlers) / sizeof(*handlers); i++)
		if (handlers[i].id == id)
			return &handlers[i];
	return NULL;
}

struct slice command_list(struct arena *a)
{
	struct slice all = S_NONE;
	const struct command *c;

	for (size_t i = 0; (c = command_at(i)); i++)
		if (handler_find(c->id))
			all = all.len ? arena_printf(a, "%.*s,%s", SARG(all), c->name) : slice_str(c->name);
	return all;
}

struct slice version_list(struct arena *a, int max)
{
	/* 16.0 and 16.1 follow with their classes. */
	static const int versions[] = { EAS_25, EAS_120, EAS_121, EAS_140, EAS_141 };
	struct slice all = S_NONE;

	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions) && versions[i] <= max; i++) {
		const char *name = eas_version_name(versions[i]);

		all = all.len ? arena_printf(a, "%.*s,%s", SARG(all), name) : slice_str(name);
	}
	return all;
}
