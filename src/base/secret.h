/* secret.h - long-lived passwords: in pages of their own that are locked (no
 * swap), left out of core dumps, and wiped when freed. Thread-safe. The process
 * is not dumpable either (main.c), so /proc shows them to nobody but root. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/slice.h"

enum { SECRET_MAX = 16000 }; /* bytes: tokens are passwords too; longer ones are refused */

struct secret;

/* NULL when too long. Caller frees. */
struct secret *secret_new(struct slice s);
struct slice secret_get(const struct secret *s);
void secret_free(struct secret **s);

#endif
