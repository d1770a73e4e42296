/* role.h - which thread may be here. Set once per thread; a thread without a
 * role (tests, the simulation) passes every assert. */
#ifndef BASE_ROLE_H
#define BASE_ROLE_H

#include "base/err.h"

enum role { ROLE_NONE, ROLE_LOOP, ROLE_WORKER };

extern __thread enum role role_current;

#define ASSERT_LOOP()   ASSERT(role_current != ROLE_WORKER)
#define ASSERT_WORKER() ASSERT(role_current != ROLE_LOOP)

#endif
