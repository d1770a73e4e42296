/* commands.c - commands.def as a table. Pure, any thread; constant data only. */
#include "proto/commands.h"

static const struct command rows[] = {
#define COMMAND(id_, name_, root_, status_, request_, first_, last_, body_) \
	{ .id = EAS_CMD_##id_, .name = (name_), .root = (root_), .status = (status_), .request = (request_), \
	  .first = (first_), .last = (last_), .body = (body_) },
#include "proto/commands.def"
#undef COMMAND
};

const struct command *command_at(size_t i)
{
	return i < sizeof(rows) / sizeof(rows[0]) ? &rows[i] : NULL;
}

const struct command *command_find(enum eas_command id)
{
	const struct command *c;

	for (size_t i = 0; (c = command_at(i)); i++)
		if (c->id == id)
			return c;
	return NULL;
}

int encode_status_reply(struct blob *out, const struct command *c, int status, struct err *e)
{
	struct wbxml_writer w;

	if (c->root == TAG_NONE)
		return err_set(e, ERR_INTERNAL, "%s has no reply of its own", c->name);
	wbxml_writer_init(&w, out);
	wbxml_open(&w, c->root);
	wbxml_num(&w, c->status, status);
	wbxml_close(&w);
	return wbxml_finish(&w, e);
}
