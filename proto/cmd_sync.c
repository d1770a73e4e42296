/* cmd_sync.c - tables of Sync, request and reply. Pure, any thread. */
#include "proto/cmd_sync.h"

#include "proto/cmd_options.h"

enum { MAX_ID = 64 };

static const struct field options_fields[] = {
	F_NUM (struct sync_options, AIRSYNC_FILTER_TYPE,     filter_type,     EAS_10, EAS_MAX, 0, 8),
	F_STR (struct sync_options, AIRSYNC_CLASS,           class,           EAS_10, EAS_MAX),
	F_NUM (struct sync_options, AIRSYNC_TRUNCATION,      truncation,      EAS_10, EAS_MAX, 0, 9),
	F_NUM (struct sync_options, AIRSYNC_RTF_TRUNCATION,  rtf_truncation,  EAS_10, EAS_MAX, 0, 9),
	F_LIST(struct sync_options, BASE_BODY_PREFERENCE,    body,            EAS_120, EAS_MAX, struct body_preference,
	       &body_preference_schema, .max_n = 32),
	F_LIST(struct sync_options, BASE_BODY_PART_PREFERENCE, body_part,     EAS_141, EAS_MAX, struct body_preference,
	       &body_part_preference_schema, .max_n = 32),
	F_NUM (struct sync_options, AIRSYNC_CONFLICT,        conflict,        EAS_10, EAS_MAX, 0, 1),
	F_NUM (struct sync_options, AIRSYNC_MIME_SUPPORT,    mime_support,    EAS_25, EAS_MAX, 0, 2),
	F_NUM (struct sync_options, AIRSYNC_MIME_TRUNCATION, mime_truncation, EAS_25, EAS_MAX, 0, 8),
	F_NUM (struct sync_options, AIRSYNC_MAX_ITEMS,       max_items,       EAS_140, EAS_MAX, 1, INT32_MAX),
	F_BOOL(struct sync_options, RM_RIGHTS_MANAGEMENT_SUPPORT, rm_support, EAS_141, EAS_MAX),
	F_FLAG(struct sync_options, AIRSYNC_CONVERSATION_MODE, conversation_mode, EAS_140, EAS_MAX),
};
const struct schema sync_options_schema = SCHEMA(struct sync_options, AIRSYNC_OPTIONS, options_fields);

/* --- commands ---------------------------------------------------------------- */

/* One order serves all: requests, server commands and Responses (SyncResponse.xsd). */
static const struct field command_fields[] = {
	F_STR (struct sync_command, AIRSYNC_CLASS,            class,     EAS_10, EAS_MAX),
	F_STR (struct sync_command, AIRSYNC_CLIENT_ID,        client_id, EAS_10, EAS_MAX, .max_len = MAX_ID),
	F_STR (struct sync_command, AIRSYNC_SERVER_ID,        server_id, EAS_10, EAS_MAX, .max_len = MAX_ID),
	F_NUM (struct sync_command, AIRSYNC_STATUS,           status,    EAS_10, EAS_MAX, 0, 999),
	F_ITEM(struct sync_command, AIRSYNC_APPLICATION_DATA, item,      EAS_10, EAS_MAX),
};

static void need(const struct check_ctx *c, const struct sync_command *cmd, bool given, uint16_t tag)
{
	if (!given)
		problem_set(c->problem, PROBLEM_MISSING, tag, cmd->tag);
}

static void command_check(void *obj, const struct check_ctx *c)
{
	const struct sync_command *cmd = obj;

	if (cmd->tag == AIRSYNC_ADD)
		need(c, cmd, cmd->client_id.len > 0, AIRSYNC_CLIENT_ID);
	else
		need(c, cmd, cmd->server_id.len > 0, AIRSYNC_SERVER_ID);
	if (cmd->tag == AIRSYNC_ADD || cmd->tag == AIRSYNC_CHANGE)
		need(c, cmd, cmd->item != NULL, AIRSYNC_APPLICATION_DATA);
}

static const struct schema request_command_schema =
	SCHEMA_TP(struct sync_command, AIRSYNC_ADD, command_fields, .check = command_check);

#define REPLY_COMMAND(tag_) SCHEMA_TP(struct sync_command, tag_, command_fields)
static const struct schema reply_add = REPLY_COMMAND(AIRSYNC_ADD);
static const struct schema reply_change = REPLY_COMMAND(AIRSYNC_CHANGE);
static const struct schema reply_delete = REPLY_COMMAND(AIRSYNC_DELETE);
static const struct schema reply_fetch = REPLY_COMMAND(AIRSYNC_FETCH);
static const struct schema reply_soft_delete = REPLY_COMMAND(AIRSYNC_SOFT_DELETE);

const struct schema *sync_command_schema(uint16_t tag)
{
	static const struct schema *const all[] = { &reply_add, &reply_change, &reply_delete, &reply_fetch,
						    &reply_soft_delete };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i]->tag == tag)
			return all[i];
	return NULL;
}

const struct schema *sync_response_schema(uint16_t tag)
{
	return sync_command_schema(tag);
}

/* --- request ------------------------------------------------------------------ */

static const struct field request_commands_fields[] = {
	F_LIST(struct sync_collection, AIRSYNC_ADD,    commands, EAS_10, EAS_MAX, struct sync_command, &request_command_schema),
	F_LIST(struct sync_collection, AIRSYNC_CHANGE, commands, EAS_10, EAS_MAX, struct sync_command, &request_command_schema),
	F_LIST(struct sync_collection, AIRSYNC_DELETE, commands, EAS_10, EAS_MAX, struct sync_command, &request_command_schema),
	F_LIST(struct sync_collection, AIRSYNC_FETCH,  commands, EAS_10, EAS_MAX, struct sync_command, &request_command_schema),
};
static const struct schema request_commands_schema =
	SCHEMA(struct sync_collection, AIRSYNC_COMMANDS, request_commands_fields);

static const struct field collection_fields[] = {
	F_STR (struct sync_collection, AIRSYNC_CLASS,             class,             EAS_10, EAS_MAX),
	F_STR (struct sync_collection, AIRSYNC_SYNC_KEY,          sync_key,          EAS_10, EAS_MAX, .max_len = MAX_ID,
	       .flags = FIELD_REQUIRED),
	F_STR (struct sync_collection, AIRSYNC_COLLECTION_ID,     collection_id,     EAS_10, EAS_MAX, .max_len = MAX_ID),
	F_TAGS(struct sync_collection, AIRSYNC_SUPPORTED,         supported,         EAS_10, EAS_MAX),
	F_FLAG(struct sync_collection, AIRSYNC_DELETES_AS_MOVES,  deletes_as_moves,  EAS_10, EAS_MAX),
	F_FLAG(struct sync_collection, AIRSYNC_GET_CHANGES,       get_changes,       EAS_10, EAS_MAX),
	F_NUM (struct sync_collection, AIRSYNC_WINDOW_SIZE,       window_size,       EAS_10, EAS_MAX, 0, INT32_MAX),
	F_FLAG(struct sync_collection, AIRSYNC_CONVERSATION_MODE, conversation_mode, EAS_140, EAS_MAX),
	F_LIST(struct sync_collection, AIRSYNC_OPTIONS,           options,           EAS_10, EAS_MAX, struct sync_options,
	       &sync_options_schema, .max_n = 8),
	F_INTO(struct sync_collection, AIRSYNC_COMMANDS,          has_commands,      EAS_10, EAS_MAX, &request_commands_schema),
};

/* A folder is named by CollectionId; the 1.0 to 2.5 family may name its default
 * folder by Class alone. */
static void collection_check(void *obj, const struct check_ctx *c)
{
	const struct sync_collection *col = obj;

	if (col->collection_id.len == 0 && (c->version >= EAS_120 || col->class.len == 0))
		problem_set(c->problem, PROBLEM_MISSING, AIRSYNC_COLLECTION_ID, AIRSYNC_COLLECTION);
}

static const struct schema collection_schema =
	SCHEMA_P(struct sync_collection, AIRSYNC_COLLECTION, collection_fields, .check = collection_check);

static const struct field collections_fields[] = {
	F_LIST(struct sync_request, AIRSYNC_COLLECTION, collections, EAS_10, EAS_MAX, struct sync_collection, &collection_schema),
};
static const struct schema collections_schema = SCHEMA(struct sync_request, AIRSYNC_COLLECTIONS, collections_fields);

static const struct field request_fields[] = {
	F_INTO(struct sync_request, AIRSYNC_COLLECTIONS,        has_collections, EAS_10, EAS_MAX, &collections_schema),
	F_NUM (struct sync_request, AIRSYNC_WAIT,               wait,            EAS_121, EAS_MAX, INT32_MIN, INT32_MAX),
	F_NUM (struct sync_request, AIRSYNC_HEARTBEAT_INTERVAL, heartbeat,       EAS_140, EAS_MAX, INT32_MIN, INT32_MAX),
	F_NUM (struct sync_request, AIRSYNC_WINDOW_SIZE,        window_size,     EAS_121, EAS_MAX, 0, INT32_MAX),
	F_FLAG(struct sync_request, AIRSYNC_PARTIAL,            partial,         EAS_121, EAS_MAX),
};
const struct schema sync_request_schema = SCHEMA(struct sync_request, AIRSYNC_SYNC, request_fields);

/* --- reply -------------------------------------------------------------------- */

#define RESPONSE(tag_, schema_) \
	F_LIST(struct sync_reply_collection, tag_, responses, EAS_10, EAS_MAX, struct sync_command, schema_)
static const struct field responses_fields[] = {
	RESPONSE(AIRSYNC_CHANGE, &reply_change),
	RESPONSE(AIRSYNC_ADD,    &reply_add),
	RESPONSE(AIRSYNC_DELETE, &reply_delete),
	RESPONSE(AIRSYNC_FETCH,  &reply_fetch),
};
static const struct schema responses_schema =
	SCHEMA(struct sync_reply_collection, AIRSYNC_RESPONSES, responses_fields);

#define REPLY(tag_, schema_) \
	F_LIST(struct sync_reply_collection, tag_, commands, EAS_10, EAS_MAX, struct sync_command, schema_)
static const struct field reply_commands_fields[] = {
	REPLY(AIRSYNC_ADD,         &reply_add),
	REPLY(AIRSYNC_CHANGE,      &reply_change),
	REPLY(AIRSYNC_DELETE,      &reply_delete),
	REPLY(AIRSYNC_SOFT_DELETE, &reply_soft_delete),
};
static const struct schema reply_commands_schema =
	SCHEMA(struct sync_reply_collection, AIRSYNC_COMMANDS, reply_commands_fields);

/* The order that Exchange uses: phones of every age have seen it. */
static const struct field reply_collection_fields[] = {
	F_STR (struct sync_reply_collection, AIRSYNC_CLASS,          class,          EAS_10, EAS_121),
	F_STR (struct sync_reply_collection, AIRSYNC_SYNC_KEY,       sync_key,       EAS_10, EAS_MAX, .max_len = MAX_ID),
	F_STR (struct sync_reply_collection, AIRSYNC_COLLECTION_ID,  collection_id,  EAS_10, EAS_MAX, .max_len = MAX_ID),
	F_NUM (struct sync_reply_collection, AIRSYNC_STATUS,         status,         EAS_10, EAS_MAX, 0, 999),
	F_FLAG(struct sync_reply_collection, AIRSYNC_MORE_AVAILABLE, more_available, EAS_10, EAS_MAX),
	F_INTO(struct sync_reply_collection, AIRSYNC_RESPONSES,      has_responses,  EAS_10, EAS_MAX, &responses_schema),
	F_INTO(struct sync_reply_collection, AIRSYNC_COMMANDS,       has_commands,   EAS_10, EAS_MAX, &reply_commands_schema),
};
static const struct schema reply_collection_schema =
	SCHEMA_P(struct sync_reply_collection, AIRSYNC_COLLECTION, reply_collection_fields);

static const struct field reply_collections_fields[] = {
	F_LIST(struct sync_reply, AIRSYNC_COLLECTION, collections, EAS_10, EAS_MAX, struct sync_reply_collection,
	       &reply_collection_schema),
};
static const struct schema reply_collections_schema =
	SCHEMA(struct sync_reply, AIRSYNC_COLLECTIONS, reply_collections_fields);

static const struct field reply_fields[] = {
	F_NUM (struct sync_reply, AIRSYNC_STATUS,      status,          EAS_10, EAS_MAX, 0, 999),
	F_NUM (struct sync_reply, AIRSYNC_LIMIT,       limit,           EAS_121, EAS_MAX, 0, INT32_MAX),
	F_INTO(struct sync_reply, AIRSYNC_COLLECTIONS, has_collections, EAS_10, EAS_MAX, &reply_collections_schema),
};
const struct schema sync_reply_schema = SCHEMA(struct sync_reply, AIRSYNC_SYNC, reply_fields);
