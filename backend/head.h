/* head.h - from raw mail to what backend.h hands out, for backends that hold
 * mails as bytes. Pure, any thread. */
#ifndef BACKEND_HEAD_H
#define BACKEND_HEAD_H

#include "backend/backend.h"
#include "proto/mime.h"

/* headers, tree and size; nothing of it points into raw. */
void head_from_raw(struct arena *a, struct slice raw, struct be_head *h_r);
/* The bytes of a part inside raw, by the number of backend.h ("": all of it). */
bool head_part(struct slice raw, struct slice number, struct slice *body_r);
/* Is this its Message-ID? Both with or without <>. `head` may be a whole mail. */
bool head_has_message_id(struct slice head, struct slice id);
/* Message-ID of a head without <>, empty when it has none. */
struct slice head_message_id(struct slice head);

#endif
