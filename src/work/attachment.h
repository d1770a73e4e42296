/* attachment.h - the bytes behind a file reference, decoded, for GetAttachment
 * and ItemOperations. Worker. A large one is streamed into a blob that spills. */
#ifndef WORK_ATTACHMENT_H
#define WORK_ATTACHMENT_H

#include "work/work.h"

struct attachment_data {
	struct blob *bytes;       /* caller frees */
	struct slice content_type; /* "image/png"; message/rfc822 for a nested mail */
	struct slice name;
};

/* BE_PERM ERR_NOT_FOUND: no such reference (any more); ERR_LIMIT: larger than
 * limits.attachment_bytes or the policy allows. */
enum be_result attachment_load(struct exchange *x, struct slice reference, struct attachment_data *d_r, struct err *e);

#endif
