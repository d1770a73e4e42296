/* role.c - the thread's role. */
#include "base/role.h"

__thread enum role role_current = ROLE_NONE;
