/* cmd_compose.c - tables of SendMail, SmartReply, SmartForward. Pure, any thread. */
#include "proto/cmd_compose.h"

enum { MAX_CLIENT_ID = 40, MAX_ID = 64, MAX_LONG_ID = 256 };

static const struct field source_fields[] = {
	F_STR(struct compose_request, COMPOSE_FOLDER_ID,   folder_id,   EAS_140, EAS_MAX, .max_len = MAX_ID),
	F_STR(struct compose_request, COMPOSE_ITEM_ID,     item_id,     EAS_140, EAS_MAX, .max_len = MAX_ID),
	F_STR(struct compose_request, COMPOSE_LONG_ID,     long_id,     EAS_140, EAS_MAX, .max_len = MAX_LONG_ID),
	F_STR(struct compose_request, COMPOSE_INSTANCE_ID, instance_id, EAS_140, EAS_MAX),
	/* Evolution's name for the same thing; written as FolderId */
	F_STR(struct compose_request, AIRSYNC_COLLECTION_ID, folder_id, EAS_140, EAS_MAX, .max_len = MAX_ID, .flags = FIELD_ALIAS),
};
static const struct schema source_schema = SCHEMA(struct compose_request, COMPOSE_SOURCE, source_fields);

#define CLIENT_ID F_STR (struct compose_request, COMPOSE_CLIENT_ID, client_id, EAS_140, EAS_MAX, .max_len = MAX_CLIENT_ID, .flags = FIELD_REQUIRED)
#define ACCOUNT   F_STR (struct compose_request, COMPOSE_ACCOUNT_ID, account_id, EAS_140, EAS_MAX)
#define SOURCE    F_INTO(struct compose_request, COMPOSE_SOURCE, has_source, EAS_140, EAS_MAX, &source_schema)
#define SAVE      F_FLAG(struct compose_request, COMPOSE_SAVE_IN_SENT_ITEMS, save_in_sent, EAS_140, EAS_MAX)
#define REPLACE   F_FLAG(struct compose_request, COMPOSE_REPLACE_MIME, replace_mime, EAS_140, EAS_MAX)
#define MIME      F_DATA(struct compose_request, COMPOSE_MIME, mime, EAS_140, EAS_MAX, .flags = FIELD_REQUIRED)

static const struct field send_fields[] = { CLIENT_ID, ACCOUNT, SAVE, MIME };
const struct schema sendmail_request_schema = SCHEMA_TP(struct compose_request, COMPOSE_SEND_MAIL, send_fields);

static const struct field smart_fields[] = { CLIENT_ID, SOURCE, ACCOUNT, SAVE, REPLACE, MIME };
const struct schema smartreply_request_schema = SCHEMA_TP(struct compose_request, COMPOSE_SMART_REPLY, smart_fields);
const struct schema smartforward_request_schema =
	SCHEMA_TP(struct compose_request, COMPOSE_SMART_FORWARD, smart_fields);

static const struct field reply_fields[] = {
	F_NUM(struct compose_reply, COMPOSE_STATUS, status, EAS_140, EAS_MAX, 0, 999),
};
const struct schema sendmail_reply_schema = SCHEMA(struct compose_reply, COMPOSE_SEND_MAIL, reply_fields);
const struct schema smartreply_reply_schema = SCHEMA(struct compose_reply, COMPOSE_SMART_REPLY, reply_fields);
const struct schema smartforward_reply_schema = SCHEMA(struct compose_reply, COMPOSE_SMART_FORWARD, reply_fields);
