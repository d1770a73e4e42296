/* cmd_itemops.c - tables of ItemOperations. Pure, any thread. */
#include "proto/cmd_itemops.h"

enum { MAX_ID = 64, MAX_LONG_ID = 256, MAX_REFERENCE = 1024, MAX_STORE = 256 };

static const struct field options_fields[] = {
	F_TAGS(struct itemops_options, ITEMOPS_SCHEMA,            schema,             EAS_120, EAS_MAX),
	F_STR (struct itemops_options, ITEMOPS_RANGE,             range,              EAS_120, EAS_MAX, .max_len = 64),
	F_STR (struct itemops_options, ITEMOPS_USER_NAME,         user_name,          EAS_120, EAS_MAX, .max_len = 100),
	F_STR (struct itemops_options, ITEMOPS_PASSWORD,          password,           EAS_120, EAS_MAX, .max_len = 256),
	F_NUM (struct itemops_options, AIRSYNC_MIME_SUPPORT,      mime_support,       EAS_120, EAS_MAX, 0, 2),
	F_LIST(struct itemops_options, BASE_BODY_PREFERENCE,      body,               EAS_120, EAS_MAX,
	       struct body_preference, &body_preference_schema, .max_n = 32),
	F_LIST(struct itemops_options, BASE_BODY_PART_PREFERENCE, body_part,          EAS_141, EAS_MAX,
	       struct body_preference, &body_part_preference_schema, .max_n = 32),
	F_BOOL(struct itemops_options, RM_RIGHTS_MANAGEMENT_SUPPORT, rm_support,      EAS_141, EAS_MAX),
	F_FLAG(struct itemops_options, ITEMOPS_DELETE_SUB_FOLDERS, delete_sub_folders, EAS_120, EAS_MAX),
	F_FLAG(struct itemops_options, ITEMOPS_MOVE_ALWAYS,       move_always,        EAS_140, EAS_MAX),
};
static const struct schema options_schema = SCHEMA(struct itemops_options, ITEMOPS_OPTIONS, options_fields);

static const struct field operation_fields[] = {
	F_STR (struct itemops_operation, ITEMOPS_STORE,         store,          EAS_120, EAS_MAX, .max_len = MAX_STORE),
	F_STR (struct itemops_operation, AIRSYNC_COLLECTION_ID, collection_id,  EAS_120, EAS_MAX, .max_len = MAX_ID),
	F_STR (struct itemops_operation, AIRSYNC_SERVER_ID,     server_id,      EAS_120, EAS_MAX, .max_len = MAX_ID),
	F_STR (struct itemops_operation, SEARCH_LONG_ID,        long_id,        EAS_120, EAS_MAX, .max_len = MAX_LONG_ID),
	F_STR (struct itemops_operation, DOC_LINK_ID,           link_id,        EAS_120, EAS_MAX),
	F_STR (struct itemops_operation, BASE_FILE_REFERENCE,   file_reference, EAS_120, EAS_MAX, .max_len = MAX_REFERENCE),
	F_FLAG(struct itemops_operation, RM_REMOVE_RIGHTS_MANAGEMENT_PROTECTION, remove_rights, EAS_141, EAS_MAX),
	F_BIN (struct itemops_operation, ITEMOPS_CONVERSATION_ID, conversation_id, EAS_140, EAS_MAX, .max_len = 1024),
	F_STR (struct itemops_operation, ITEMOPS_DST_FLD_ID,    dst_folder,     EAS_140, EAS_MAX, .max_len = MAX_ID),
	F_OBJ (struct itemops_operation, ITEMOPS_OPTIONS,       options,        EAS_120, EAS_MAX, struct itemops_options,
	       &options_schema),
};
static const struct schema operation_schema =
	SCHEMA_TP(struct itemops_operation, ITEMOPS_FETCH, operation_fields);

#define OPERATION(tag_, first_) \
	F_LIST(struct itemops_request, tag_, operations, first_, EAS_MAX, struct itemops_operation, &operation_schema)
static const struct field request_fields[] = {
	OPERATION(ITEMOPS_FETCH, EAS_120),
	OPERATION(ITEMOPS_EMPTY_FOLDER_CONTENTS, EAS_120),
	OPERATION(ITEMOPS_MOVE, EAS_140),
};
const struct schema itemops_request_schema = SCHEMA(struct itemops_request, ITEMOPS_ITEM_OPERATIONS, request_fields);

/* --- reply ------------------------------------------------------------------------- */

static const struct field response_fields[] = {
	F_NUM (struct itemops_response, ITEMOPS_STATUS,          status,          EAS_120, EAS_MAX, 0, 999),
	F_STR (struct itemops_response, AIRSYNC_COLLECTION_ID,   collection_id,   EAS_120, EAS_MAX),
	F_STR (struct itemops_response, AIRSYNC_SERVER_ID,       server_id,       EAS_120, EAS_MAX),
	F_STR (struct itemops_response, SEARCH_LONG_ID,          long_id,         EAS_120, EAS_MAX),
	F_STR (struct itemops_response, AIRSYNC_CLASS,           class,           EAS_120, EAS_MAX),
	F_STR (struct itemops_response, DOC_LINK_ID,             link_id,         EAS_120, EAS_MAX),
	F_STR (struct itemops_response, BASE_FILE_REFERENCE,     file_reference,  EAS_120, EAS_MAX),
	F_BIN (struct itemops_response, ITEMOPS_CONVERSATION_ID, conversation_id, EAS_140, EAS_MAX),
	F_ITEM(struct itemops_response, ITEMOPS_PROPERTIES,      properties,      EAS_120, EAS_MAX),
};
static const struct schema response_schema = SCHEMA_TP(struct itemops_response, ITEMOPS_FETCH, response_fields);

#define RESPONSE(tag_, first_) \
	F_LIST(struct itemops_reply, tag_, responses, first_, EAS_MAX, struct itemops_response, &response_schema)
static const struct field responses_fields[] = {
	RESPONSE(ITEMOPS_MOVE, EAS_140),
	RESPONSE(ITEMOPS_EMPTY_FOLDER_CONTENTS, EAS_120),
	RESPONSE(ITEMOPS_FETCH, EAS_120),
};
static const struct schema responses_schema = SCHEMA(struct itemops_reply, ITEMOPS_RESPONSE, responses_fields);

static const struct field reply_fields[] = {
	F_NUM (struct itemops_reply, ITEMOPS_STATUS,   status,       EAS_120, EAS_MAX, 0, 999),
	F_INTO(struct itemops_reply, ITEMOPS_RESPONSE, has_response, EAS_120, EAS_MAX, &responses_schema),
};
const struct schema itemops_reply_schema = SCHEMA(struct itemops_reply, ITEMOPS_ITEM_OPERATIONS, reply_fields);
