/* commands.h - the offered commands (commands.def) and what the wire needs of
 * each: request schema, versions, the reply that is only a Status. Any thread. */
#ifndef PROTO_COMMANDS_H
#define PROTO_COMMANDS_H

#include "proto/cmd_compose.h"
#include "proto/cmd_estimate.h"
#include "proto/cmd_folder.h"
#include "proto/cmd_itemops.h"
#include "proto/cmd_moveitems.h"
#include "proto/cmd_ping.h"
#include "proto/cmd_provision.h"
#include "proto/cmd_settings.h"
#include "proto/cmd_sync.h"
#include "proto/query.h"

struct command {
	enum eas_command id;
	const char *name;            /* "Sync" */
	uint16_t root, status;       /* tags of the status-only reply; TAG_NONE: has none */
	const struct schema *request;/* NULL: never a WBXML body */
	enum eas_version first, last;
	enum eas_version body;       /* first version with a WBXML request, 0: never */
};

/* NULL: not offered (501). */
const struct command *command_find(enum eas_command id);
/* i from 0; NULL behind the last. For OPTIONS and tests. */
const struct command *command_at(size_t i);
/* <Root><Status>n</Status></Root> into `out`. -1 when the command has no such reply. */
int encode_status_reply(struct blob *out, const struct command *c, int status, struct err *e);

#endif
