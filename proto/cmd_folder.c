/* cmd_folder.c - tables of the four folder commands. Pure, any thread.
 * What is missing or malformed in a request is the handler's status 10. */
#include "proto/cmd_folder.h"

enum { MAX_ID = 64, MAX_NAME = 1024 };

#define KEY(flags_)    F_STR(struct folder_request, HIERARCHY_SYNC_KEY, sync_key, EAS_10, EAS_MAX, .max_len = MAX_ID, .flags = (flags_))
#define SERVER(flags_) F_STR(struct folder_request, HIERARCHY_SERVER_ID, server_id, EAS_10, EAS_MAX, .max_len = MAX_ID, .flags = (flags_))
#define PARENT(flags_) F_STR(struct folder_request, HIERARCHY_PARENT_ID, parent_id, EAS_10, EAS_MAX, .max_len = MAX_ID, .flags = (flags_))
#define NAME(flags_)   F_STR(struct folder_request, HIERARCHY_DISPLAY_NAME, display_name, EAS_10, EAS_MAX, .max_len = MAX_NAME, .flags = (flags_))
#define TYPE(flags_)   F_NUM(struct folder_request, HIERARCHY_TYPE, type, EAS_10, EAS_MAX, 0, INT32_MAX, .flags = (flags_))

static const struct field sync_fields[] = { KEY(FIELD_REQUIRED) };
const struct schema foldersync_request_schema = SCHEMA(struct folder_request, HIERARCHY_FOLDER_SYNC, sync_fields);

static const struct field create_fields[] = {
	KEY(FIELD_REQUIRED), PARENT(FIELD_REQUIRED), NAME(FIELD_REQUIRED), TYPE(FIELD_REQUIRED),
};
const struct schema foldercreate_request_schema =
	SCHEMA(struct folder_request, HIERARCHY_FOLDER_CREATE, create_fields);

static const struct field update_fields[] = {
	KEY(FIELD_REQUIRED), SERVER(FIELD_REQUIRED), PARENT(FIELD_REQUIRED), NAME(FIELD_REQUIRED),
};
const struct schema folderupdate_request_schema =
	SCHEMA(struct folder_request, HIERARCHY_FOLDER_UPDATE, update_fields);

static const struct field delete_fields[] = { KEY(FIELD_REQUIRED), SERVER(FIELD_REQUIRED) };
const struct schema folderdelete_request_schema =
	SCHEMA(struct folder_request, HIERARCHY_FOLDER_DELETE, delete_fields);

/* --- replies ------------------------------------------------------------------ */

static const struct field reply_fields[] = {
	F_NUM(struct folder_reply, HIERARCHY_STATUS,    status,    EAS_10, EAS_MAX, 0, 999),
	F_STR(struct folder_reply, HIERARCHY_SYNC_KEY,  sync_key,  EAS_10, EAS_MAX, .max_len = MAX_ID),
	F_STR(struct folder_reply, HIERARCHY_SERVER_ID, server_id, EAS_10, EAS_MAX, .max_len = MAX_ID),
};
const struct schema foldercreate_reply_schema = SCHEMA(struct folder_reply, HIERARCHY_FOLDER_CREATE, reply_fields);

static const struct field short_reply_fields[] = {
	F_NUM(struct folder_reply, HIERARCHY_STATUS,   status,   EAS_10, EAS_MAX, 0, 999),
	F_STR(struct folder_reply, HIERARCHY_SYNC_KEY, sync_key, EAS_10, EAS_MAX, .max_len = MAX_ID),
};
const struct schema folderupdate_reply_schema =
	SCHEMA(struct folder_reply, HIERARCHY_FOLDER_UPDATE, short_reply_fields);
const struct schema folderdelete_reply_schema =
	SCHEMA(struct folder_reply, HIERARCHY_FOLDER_DELETE, short_reply_fields);

static const struct field change_fields[] = {
	F_STR(struct folder_change, HIERARCHY_SERVER_ID,    server_id,    EAS_10, EAS_MAX, .max_len = MAX_ID),
	F_STR(struct folder_change, HIERARCHY_PARENT_ID,    parent_id,    EAS_10, EAS_MAX, .max_len = MAX_ID),
	F_STR(struct folder_change, HIERARCHY_DISPLAY_NAME, display_name, EAS_10, EAS_MAX),
	F_NUM(struct folder_change, HIERARCHY_TYPE,         type,         EAS_10, EAS_MAX, 0, INT32_MAX),
};
static const struct schema change_schema = SCHEMA_TP(struct folder_change, HIERARCHY_ADD, change_fields);

#define CHANGE(tag_) F_LIST(struct foldersync_reply, tag_, changes, EAS_10, EAS_MAX, struct folder_change, &change_schema)
static const struct field changes_fields[] = {
	F_NUM(struct foldersync_reply, HIERARCHY_COUNT, count, EAS_10, EAS_MAX, 0, INT32_MAX),
	CHANGE(HIERARCHY_UPDATE),
	CHANGE(HIERARCHY_DELETE),
	CHANGE(HIERARCHY_ADD),
};
static const struct schema changes_schema = SCHEMA(struct foldersync_reply, HIERARCHY_CHANGES, changes_fields);

static const struct field sync_reply_fields[] = {
	F_NUM (struct foldersync_reply, HIERARCHY_STATUS,   status,      EAS_10, EAS_MAX, 0, 999),
	F_STR (struct foldersync_reply, HIERARCHY_SYNC_KEY, sync_key,    EAS_10, EAS_MAX, .max_len = MAX_ID),
	F_INTO(struct foldersync_reply, HIERARCHY_CHANGES,  has_changes, EAS_10, EAS_MAX, &changes_schema),
};
const struct schema foldersync_reply_schema =
	SCHEMA(struct foldersync_reply, HIERARCHY_FOLDER_SYNC, sync_reply_fields);
