/* cmd_moveitems.h - MoveItems (MS-ASCMD 2.2.1.12). Success is status 3. */
#ifndef PROTO_CMD_MOVEITEMS_H
#define PROTO_CMD_MOVEITEMS_H

#include "proto/schema.h"

struct move_item {
	struct slice src_id, src_folder, dst_folder;
	struct field_problem problem;
};
struct moveitems_request {
	LIST_OF(struct move_item) moves;
};
extern const struct schema moveitems_request_schema;

struct move_response {
	struct slice src_id;
	struct num status;
	struct slice dst_id;
};
struct moveitems_reply {
	struct num status;           /* alone, 14.0 */
	LIST_OF(struct move_response) responses;
};
extern const struct schema moveitems_reply_schema;

#endif
