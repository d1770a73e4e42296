/* cmd_ping.c - tables of Ping. Pure, any thread. */
#include "proto/cmd_ping.h"

static const struct field folder_fields[] = {
	F_STR(struct ping_folder, PING_ID,    id,    EAS_10, EAS_MAX, .max_len = 64, .flags = FIELD_REQUIRED),
	F_STR(struct ping_folder, PING_CLASS, class, EAS_10, EAS_MAX),
};
static const struct schema folder_schema = SCHEMA_P(struct ping_folder, PING_FOLDER, folder_fields);

static const struct field folders_fields[] = {
	F_LIST(struct ping_request, PING_FOLDER, folders, EAS_10, EAS_MAX, struct ping_folder, &folder_schema),
};
static const struct schema folders_schema = SCHEMA(struct ping_request, PING_FOLDERS, folders_fields);

static const struct field request_fields[] = {
	F_NUM (struct ping_request, PING_HEARTBEAT_INTERVAL, heartbeat,   EAS_10, EAS_MAX, INT32_MIN, INT32_MAX),
	F_INTO(struct ping_request, PING_FOLDERS,            has_folders, EAS_10, EAS_MAX, &folders_schema),
};
const struct schema ping_request_schema = SCHEMA(struct ping_request, PING_PING, request_fields);

static const struct field reply_folders_fields[] = {
	F_STRS(struct ping_reply, PING_FOLDER, folders, EAS_10, EAS_MAX),
};
static const struct schema reply_folders_schema = SCHEMA(struct ping_reply, PING_FOLDERS, reply_folders_fields);

static const struct field reply_fields[] = {
	F_NUM (struct ping_reply, PING_STATUS,             status,      EAS_10, EAS_MAX, 0, 999),
	F_INTO(struct ping_reply, PING_FOLDERS,            has_folders, EAS_10, EAS_MAX, &reply_folders_schema),
	F_NUM (struct ping_reply, PING_MAX_FOLDERS,        max_folders, EAS_10, EAS_MAX, 0, INT32_MAX),
	F_NUM (struct ping_reply, PING_HEARTBEAT_INTERVAL, heartbeat,   EAS_10, EAS_MAX, 0, INT32_MAX),
};
const struct schema ping_reply_schema = SCHEMA(struct ping_reply, PING_PING, reply_fields);
