/* cmd_ping.h - Ping (MS-ASCMD 2.2.1.13). No body at all: as last time. */
#ifndef PROTO_CMD_PING_H
#define PROTO_CMD_PING_H

#include "proto/schema.h"

struct ping_folder {
	struct slice id, class;
	struct field_problem problem;
};
struct ping_request {
	struct num heartbeat;        /* seconds; bounds are the handler's (status 5) */
	struct num has_folders;
	LIST_OF(struct ping_folder) folders;
};
extern const struct schema ping_request_schema;

struct ping_reply {
	struct num status;
	struct num has_folders;      /* set with status 2 */
	str_list folders;
	struct num max_folders;      /* status 6 */
	struct num heartbeat;        /* status 5 */
};
extern const struct schema ping_reply_schema;

#endif
