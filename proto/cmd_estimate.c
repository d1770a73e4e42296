/* cmd_estimate.c - tables of GetItemEstimate. Pure, any thread. */
#include "proto/cmd_estimate.h"

#include "proto/cmd_options.h"

enum { MAX_ID = 64 };

static const struct field collection_fields[] = {
	F_STR (struct estimate_collection, ESTIMATE_CLASS,            class,             EAS_10, EAS_121),
	F_STR (struct estimate_collection, AIRSYNC_CLASS,             class,             EAS_10, EAS_MAX, .flags = FIELD_ALIAS),
	F_STR (struct estimate_collection, AIRSYNC_SYNC_KEY,          sync_key,          EAS_10, EAS_MAX, .max_len = MAX_ID),
	F_STR (struct estimate_collection, ESTIMATE_COLLECTION_ID,    collection_id,     EAS_10, EAS_MAX, .max_len = MAX_ID),
	F_FLAG(struct estimate_collection, AIRSYNC_CONVERSATION_MODE, conversation_mode, EAS_140, EAS_MAX),
	F_NUM (struct estimate_collection, AIRSYNC_FILTER_TYPE,       filter_type,       EAS_10, EAS_121, 0, 8),
	F_LIST(struct estimate_collection, AIRSYNC_OPTIONS,           options,           EAS_140, EAS_MAX,
	       struct sync_options, &sync_options_schema, .max_n = 8),
};
static const struct schema collection_schema =
	SCHEMA_P(struct estimate_collection, ESTIMATE_COLLECTION, collection_fields);

static const struct field collections_fields[] = {
	F_LIST(struct estimate_request, ESTIMATE_COLLECTION, collections, EAS_10, EAS_MAX,
	       struct estimate_collection, &collection_schema),
};
static const struct schema collections_schema =
	SCHEMA(struct estimate_request, ESTIMATE_COLLECTIONS, collections_fields);

static const struct field request_fields[] = {
	F_INTO(struct estimate_request, ESTIMATE_COLLECTIONS, has_collections, EAS_10, EAS_MAX, &collections_schema),
};
const struct schema estimate_request_schema =
	SCHEMA(struct estimate_request, ESTIMATE_GET_ITEM_ESTIMATE, request_fields);

/* --- reply -------------------------------------------------------------------- */

static const struct field reply_collection_fields[] = {
	F_STR(struct estimate_response, ESTIMATE_CLASS,         class,         EAS_10, EAS_121),
	F_STR(struct estimate_response, ESTIMATE_COLLECTION_ID, collection_id, EAS_10, EAS_MAX),
	F_NUM(struct estimate_response, ESTIMATE_ESTIMATE,      estimate,      EAS_10, EAS_MAX, 0, INT32_MAX),
};
static const struct schema reply_collection_schema =
	SCHEMA(struct estimate_response, ESTIMATE_COLLECTION, reply_collection_fields);

static const struct field response_fields[] = {
	F_NUM (struct estimate_response, ESTIMATE_STATUS,     status,         EAS_10, EAS_MAX, 0, 999),
	F_INTO(struct estimate_response, ESTIMATE_COLLECTION, has_collection, EAS_10, EAS_MAX, &reply_collection_schema),
};
static const struct schema response_schema = SCHEMA(struct estimate_response, ESTIMATE_RESPONSE, response_fields);

static const struct field reply_fields[] = {
	F_NUM (struct estimate_reply, ESTIMATE_STATUS,   status,    EAS_10, EAS_MAX, 0, 999),
	F_LIST(struct estimate_reply, ESTIMATE_RESPONSE, responses, EAS_10, EAS_MAX, struct estimate_response, &response_schema),
};
const struct schema estimate_reply_schema =
	SCHEMA(struct estimate_reply, ESTIMATE_GET_ITEM_ESTIMATE, reply_fields);
