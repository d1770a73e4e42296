/* mime_safe.h - a whole mail (or its front) as clean UTF-8 text, with as little
 * change as that takes. Pure, any thread, linear. */
#ifndef PROTO_MIME_SAFE_H
#define PROTO_MIME_SAFE_H

#include "base/arena.h"

/* `raw` itself when it is clean UTF-8 already (utf8.h), which nearly every mail is. */
struct slice mime_make_safe(struct arena *a, struct slice raw);

#endif
