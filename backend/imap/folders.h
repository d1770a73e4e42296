/* folders.h - the folder tree as the server has it, for folders.c and folderops.c. */
#ifndef IMAP_FOLDERS_H
#define IMAP_FOLDERS_H

#include "backend/imap/imap.h"

struct node {
	struct slice path, parent, name;
	char sep;
	unsigned attrs;      /* enum list_attr */
	uint64_t identity;
	enum folder_type type;
	int special;         /* enum imap_special, -1 */
	bool foreign;        /* of other users or shared */
	bool shown;
};

/* All folders, sorted by path (parents come first), hidden ones too. */
enum be_result folders_tree(struct imap_session *s, struct arena *a, struct node **v_r, size_t *n_r, struct err *e);
struct node *node_find(struct node *v, size_t n, struct slice path);
/* Where a missing Sent, Trash or Drafts is made; empty for other types. */
struct slice folders_special_path(struct imap_session *s, struct arena *a, enum folder_type type);

#endif
