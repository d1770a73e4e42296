/* cmd_getattachment.c - GetAttachment (MS-ASCMD 2.2.1.8; up to 12.1): the file
 * as it is, with its own type. The reference stands in the query. Worker. */
#include "work/attachment.h"
#include "work/mailitem.h"
#include "work/sync_open.h"

void cmd_getattachment(struct exchange *x)
{
	struct attachment_data d;
	struct err e = { 0 };
	enum be_result rc = attachment_load(x, x->rq->query.attachment_name, &d, &e);

	if (rc == BE_OK) {
		reply_wbxml(x, &d.bytes, 0);
		x->v->content_type = d.content_type;
		x->v->items_out = 1;
	} else if (rc == BE_PERM && e.code != ERR_AUTH) {
		reply_http(x, e.code == ERR_LIMIT ? 413 : e.code == ERR_NOT_FOUND ? 404 : 500);
		x->v->err = e;
	} else {
		reply_fail(x, &e);
	}
}
