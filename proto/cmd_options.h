/* cmd_options.h - private to proto/: the Options element that Sync and
 * GetItemEstimate share. */
#ifndef PROTO_CMD_OPTIONS_H
#define PROTO_CMD_OPTIONS_H

#include "proto/schema.h"

extern const struct schema sync_options_schema;

#endif
