/* cmd_itemops.h - ItemOperations (MS-ASCMD 2.2.1.10), 12.0 and later. The
 * operations of a request stand in one list in the order sent. */
#ifndef PROTO_CMD_ITEMOPS_H
#define PROTO_CMD_ITEMOPS_H

#include "proto/item.h"

struct itemops_options {
	struct tag_set schema;
	struct slice range;          /* "0-999" */
	struct slice user_name, password;
	struct num mime_support;
	struct num rm_support;       /* 14.1 */
	LIST_OF(struct body_preference) body;
	LIST_OF(struct body_preference) body_part; /* 14.1 */
	struct num delete_sub_folders; /* EmptyFolderContents */
	struct num move_always;        /* Move */
};

struct itemops_operation {
	uint16_t tag;                /* ITEMOPS_FETCH, ITEMOPS_EMPTY_FOLDER_CONTENTS, ITEMOPS_MOVE */
	struct slice store;          /* "Mailbox", "Document Library" */
	struct slice collection_id, server_id;
	struct slice long_id, link_id, file_reference;
	struct num remove_rights;    /* 14.1 */
	struct slice conversation_id;/* Move, raw bytes */
	struct slice dst_folder;     /* Move */
	struct itemops_options *options;
	struct field_problem problem;
};
struct itemops_request {
	LIST_OF(struct itemops_operation) operations;
};
extern const struct schema itemops_request_schema;

struct itemops_response {
	uint16_t tag;                /* as in the request */
	struct num status;
	struct slice collection_id, server_id, long_id, class, link_id, file_reference;
	struct slice conversation_id;
	struct item *properties;
	struct field_problem problem;
};
struct itemops_reply {
	struct num status;
	struct num has_response;
	LIST_OF(struct itemops_response) responses; /* written Move, EmptyFolderContents, Fetch where grouped so */
};
extern const struct schema itemops_reply_schema;

#endif
