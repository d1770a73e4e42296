/* message.c - JSON of the push contract by jansson. Pure. */
#include "loop/message.h"

#include <jansson.h>

static struct slice text(struct arena *a, const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	if (!json_is_string(v))
		return S_NONE;
	return arena_slice(a, slice(json_string_value(v), json_string_length(v)));
}

/* IMAP commands that change nothing but the folder that the event names. The others
 * name another one (COPY and MOVE the source, APPEND what is selected), or change
 * the list of folders: any folder is meant. */
static bool in_one_folder(struct slice command)
{
	static const char *const names[] = { "STORE", "UID STORE", "EXPUNGE", "UID EXPUNGE", "CLOSE" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (slice_ieq(command, slice_str(names[i])))
			return true;
	return false;
}

/* {"event":"mail_delivery_finished","fields":{"user":"ada","mailbox":"INBOX"}} */
static void read_dovecot(struct arena *a, const json_t *root, struct push_message *m)
{
	const json_t *fields = json_object_get(root, "fields");
	struct slice command;

	if (!json_is_object(fields))
		return;
	if (m->user.len == 0)
		m->user = text(a, fields, "user");
	command = text(a, fields, "cmd_name");
	if (m->folder.len == 0 && (command.len == 0 || in_one_folder(command)))
		m->folder = text(a, fields, "mailbox");
}

/* jansson descends by recursion: more brackets than a message has are refused before. */
static bool too_deep(struct slice json)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < json.len; i++) {
		char c = json.ptr[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			depth++;
		else if (!quoted && (c == '}' || c == ']'))
			depth--;
		if (depth > MESSAGE_MAX_DEPTH)
			return true;
	}
	return false;
}

int message_parse(struct arena *a, struct slice json, struct push_message *m_r, struct err *e)
{
	json_error_t why;
	json_t *root;

	*m_r = (struct push_message){ 0 };
	if (json.len > MESSAGE_MAX_BYTES)
		return err_set(e, ERR_BAD_REQUEST, "message of %zu bytes", json.len);
	if (too_deep(json))
		return err_set(e, ERR_BAD_REQUEST, "message nests too deep");
	root = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(e, ERR_BAD_REQUEST, "message is no JSON object: %s", why.text);
	}
	m_r->user = text(a, root, "user");
	m_r->folder = text(a, root, "folder");
	m_r->auth_changed = slice_eq(text(a, root, "auth"), S("changed"));
	m_r->taken = json_object_get(root, "taken") != NULL;
	if (m_r->taken && json_is_integer(json_object_get(root, "taken"))) {
		m_r->device = text(a, root, "device");
		m_r->epoch = (uint64_t)json_integer_value(json_object_get(root, "taken"));
	}
	read_dovecot(a, root, m_r);
	json_decref(root);
	return 0;
}

struct slice message_format(struct arena *a, const struct push_message *m)
{
	json_t *o = json_object();
	struct slice out;
	char *z;

	if (m->folder.len)
		json_object_set_new(o, "folder", json_stringn(m->folder.ptr, m->folder.len));
	if (m->auth_changed)
		json_object_set_new(o, "auth", json_string("changed"));
	z = json_dumps(o, JSON_COMPACT);
	out = z ? arena_slice(a, slice_str(z)) : S("{}");
	free(z);
	json_decref(o);
	return out;
}
