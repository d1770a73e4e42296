/* gzip.h - replies packed for phones that ask for it. Worker. */
#ifndef WORK_GZIP_H
#define WORK_GZIP_H

#include "base/blob.h"

enum { GZIP_FROM_BYTES = 1024 }; /* smaller bodies fit a segment anyway */

/* Replaces *b by its gzip form, streamed from one to the other. False: *b is as it
 * was, because packing failed or made it no smaller. */
bool gzip_blob(struct blob **b);

#endif
