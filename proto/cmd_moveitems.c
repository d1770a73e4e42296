/* cmd_moveitems.c - tables of MoveItems. Pure, any thread. */
#include "proto/cmd_moveitems.h"

enum { MAX_ID = 64 };

static const struct field move_fields[] = {
	F_STR(struct move_item, MOVE_SRC_MSG_ID, src_id,     EAS_10, EAS_MAX, .max_len = MAX_ID, .flags = FIELD_REQUIRED),
	F_STR(struct move_item, MOVE_SRC_FLD_ID, src_folder, EAS_10, EAS_MAX, .max_len = MAX_ID, .flags = FIELD_REQUIRED),
	F_STR(struct move_item, MOVE_DST_FLD_ID, dst_folder, EAS_10, EAS_MAX, .max_len = MAX_ID,
	      .flags = FIELD_REQUIRED | FIELD_ONCE),
};
static const struct schema move_schema = SCHEMA_P(struct move_item, MOVE_MOVE, move_fields);

static const struct field request_fields[] = {
	F_LIST(struct moveitems_request, MOVE_MOVE, moves, EAS_10, EAS_MAX, struct move_item, &move_schema),
};
const struct schema moveitems_request_schema = SCHEMA(struct moveitems_request, MOVE_MOVE_ITEMS, request_fields);

/* Order checked by strict clients: SrcMsgId, Status, DstMsgId. */
static const struct field response_fields[] = {
	F_STR(struct move_response, MOVE_SRC_MSG_ID, src_id, EAS_10, EAS_MAX),
	F_NUM(struct move_response, MOVE_STATUS,     status, EAS_10, EAS_MAX, 0, 999),
	F_STR(struct move_response, MOVE_DST_MSG_ID, dst_id, EAS_10, EAS_MAX),
};
static const struct schema response_schema = SCHEMA(struct move_response, MOVE_RESPONSE, response_fields);

static const struct field reply_fields[] = {
	F_NUM (struct moveitems_reply, MOVE_STATUS,   status,    EAS_10, EAS_MAX, 0, 999),
	F_LIST(struct moveitems_reply, MOVE_RESPONSE, responses, EAS_10, EAS_MAX, struct move_response, &response_schema),
};
const struct schema moveitems_reply_schema = SCHEMA(struct moveitems_reply, MOVE_MOVE_ITEMS, reply_fields);
