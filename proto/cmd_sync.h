/* cmd_sync.h - Sync request and reply (MS-ASCMD 2.2.1.21), 2.5 to 14.1.
 * A body that is absent altogether is not decoded: "as last time". */
#ifndef PROTO_CMD_SYNC_H
#define PROTO_CMD_SYNC_H

#include "proto/item.h"

/* One Options element; 14.0 allows one for Email and one for SMS. */
struct sync_options {
	struct slice class;
	struct num filter_type;      /* 0-8, legality by class is the engine's */
	struct num truncation;       /* 2.5: 0-9 */
	struct num rtf_truncation;   /* 2.5 */
	struct num conflict;         /* 0 client wins, 1 server wins */
	struct num mime_support, mime_truncation;
	struct num max_items;        /* recipient cache */
	struct num rm_support;       /* 14.1 */
	struct num conversation_mode;/* belongs to the collection; Evolution sends it here */
	LIST_OF(struct body_preference) body;      /* 12.0, in the order sent */
	LIST_OF(struct body_preference) body_part; /* 14.1 */
};

/* One command, or one line of Responses. The order sent is kept. A problem
 * inside (bad element, bad value, broken rule) is its own: item status 6. */
struct sync_command {
	uint16_t tag;                /* AIRSYNC_ADD, _CHANGE, _DELETE, _FETCH; server: _SOFT_DELETE too */
	struct slice class;          /* 14.0: "SMS" in an Email collection */
	struct slice server_id, client_id;
	struct num status;           /* Responses only */
	struct item *item;           /* ApplicationData; NULL when absent */
	struct field_problem problem;
};

struct sync_collection {
	struct slice class;          /* to 12.0; 12.1 and later by folder. Replies: to 12.1 */
	struct slice sync_key, collection_id;
	struct tag_set supported;
	struct num deletes_as_moves; /* absent: 1 */
	struct num get_changes;      /* absent: 0 with key 0, else 1 */
	struct num window_size;      /* absent: 100; 0 and above 512 are 512 */
	struct num conversation_mode;
	LIST_OF(struct sync_options) options;
	struct num has_commands;
	LIST_OF(struct sync_command) commands;
	struct field_problem problem; /* outside its commands: Sync status 4 */
};

struct sync_request {
	struct num wait;             /* minutes; bounds are the handler's (status 14) */
	struct num heartbeat;        /* seconds, 14.0 */
	struct num window_size;
	struct num partial;          /* 12.1 */
	struct num has_collections;
	LIST_OF(struct sync_collection) collections;
};
extern const struct schema sync_request_schema;

/* Reply. The engine may build it whole, or write the outer elements itself and
 * stream commands one by one with encode_struct(w, sync_command_schema(tag), ...). */
struct sync_reply_collection {
	struct slice class;          /* never from 14.0 */
	struct slice sync_key, collection_id;
	struct num status;
	struct num more_available;
	struct num has_responses;
	LIST_OF(struct sync_command) responses;
	struct num has_commands;
	LIST_OF(struct sync_command) commands;
	struct field_problem problem;
};

struct sync_reply {
	struct num status;           /* alone, or with limit: errors of the request as a whole */
	struct num limit;
	struct num has_collections;
	LIST_OF(struct sync_reply_collection) collections;
};
extern const struct schema sync_reply_schema;
/* Of one server command / one line of Responses (all five tags). */
const struct schema *sync_command_schema(uint16_t tag);
const struct schema *sync_response_schema(uint16_t tag);

#endif
