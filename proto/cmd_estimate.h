/* cmd_estimate.h - GetItemEstimate (MS-ASCMD 2.2.1.9). */
#ifndef PROTO_CMD_ESTIMATE_H
#define PROTO_CMD_ESTIMATE_H

#include "proto/cmd_sync.h"

struct estimate_collection {
	struct slice class;          /* to 12.1 a child; from 14.0 inside Options */
	struct slice collection_id, sync_key;
	struct num filter_type;      /* to 12.1 a child; from 14.0 inside Options */
	struct num conversation_mode;
	LIST_OF(struct sync_options) options; /* 14.0 */
	struct field_problem problem;
};
struct estimate_request {
	struct num has_collections;
	LIST_OF(struct estimate_collection) collections;
};
extern const struct schema estimate_request_schema;

struct estimate_response {
	struct num status;
	struct num has_collection;
	struct slice class;          /* to 12.1 only */
	struct slice collection_id;
	struct num estimate;
};
struct estimate_reply {
	struct num status;           /* alone: errors of the request as a whole, 14.0 */
	LIST_OF(struct estimate_response) responses;
};
extern const struct schema estimate_reply_schema;

#endif
