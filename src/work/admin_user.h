/* admin_user.h - accounts of the embedded default from the command line. */
#ifndef WORK_ADMIN_USER_H
#define WORK_ADMIN_USER_H

#include "base/settings.h"

/* Words behind "zpushd admin user"; returns the exit status. */
int admin_user_main(int argc, char **argv, const struct settings *set);

#endif
