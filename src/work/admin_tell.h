/* admin_tell.h - see admin_tell.c: for store_on_publish, settings as argument. */
#ifndef WORK_ADMIN_TELL_H
#define WORK_ADMIN_TELL_H

#include "base/settings.h"

/* A store_publish_fn. A failure is said on stderr: the order itself stands. */
void admin_tell_server(void *settings, struct slice user, struct slice json);
/* `zpushd admin trace`: the words behind it; exit status. */
int admin_trace_main(int argc, char **argv, const struct settings *set);
/* `zpushd admin stats`: the counters of the running server. */
int admin_stats_main(int argc, char **argv, const struct settings *set);

#endif
