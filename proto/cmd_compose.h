/* cmd_compose.h - SendMail, SmartReply, SmartForward (MS-ASCMD 2.2.1.17, .19,
 * .20) as WBXML, from 14.0. Before that the body is message/rfc822 and the
 * parameters are in the query line. Success is an empty HTTP body. */
#ifndef PROTO_CMD_COMPOSE_H
#define PROTO_CMD_COMPOSE_H

#include "proto/schema.h"

struct compose_request {
	uint16_t tag;                /* COMPOSE_SEND_MAIL, _SMART_REPLY, _SMART_FORWARD */
	struct slice client_id;      /* 1..40, required */
	struct slice account_id;     /* 14.1; Evolution sends it at 14.0 too */
	struct num has_source;
	struct slice folder_id, item_id, long_id, instance_id; /* Source of a smart command */
	struct num save_in_sent, replace_mime;
	struct data mime;            /* in a blob: decode_take() */
	struct field_problem problem;
};
extern const struct schema sendmail_request_schema, smartreply_request_schema, smartforward_request_schema;

struct compose_reply {
	struct num status;
};
extern const struct schema sendmail_reply_schema, smartreply_reply_schema, smartforward_reply_schema;

#endif
