/* cmd_folder.h - FolderSync, FolderCreate, FolderUpdate, FolderDelete
 * (MS-ASCMD 2.2.1.2-5). On an error reply only `status` is set. */
#ifndef PROTO_CMD_FOLDER_H
#define PROTO_CMD_FOLDER_H

#include "proto/schema.h"

/* FolderCreate, FolderUpdate, FolderDelete and FolderSync requests. */
struct folder_request {
	struct slice sync_key;
	struct slice server_id;      /* Update, Delete */
	struct slice parent_id;      /* Create, Update; "0" is the root */
	struct slice display_name;   /* Create, Update */
	struct num type;             /* Create */
};
extern const struct schema foldersync_request_schema, foldercreate_request_schema;
extern const struct schema folderupdate_request_schema, folderdelete_request_schema;

/* FolderCreate (with server_id), FolderUpdate and FolderDelete replies. */
struct folder_reply {
	struct num status;
	struct slice sync_key, server_id;
};
extern const struct schema foldercreate_reply_schema, folderupdate_reply_schema, folderdelete_reply_schema;

struct folder_change {
	uint16_t tag;                /* HIERARCHY_ADD, _UPDATE, _DELETE */
	struct slice server_id, parent_id, display_name;
	struct num type;
	struct field_problem problem;
};
struct foldersync_reply {
	struct num status;
	struct slice sync_key;
	struct num has_changes;
	struct num count;
	LIST_OF(struct folder_change) changes; /* written Update, Delete, Add: sort by tag so */
};
extern const struct schema foldersync_reply_schema;

#endif
