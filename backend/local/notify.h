/* notify.h - one inotify descriptor for all users of the process. Watches are
 * opened and closed by workers; the loop reads. Owns its watches' table. */
#ifndef BACKEND_LOCAL_NOTIFY_H
#define BACKEND_LOCAL_NOTIFY_H

#include "backend/backend.h"

struct notify;
struct notify_watch;

struct notify *notify_new(void); /* descriptor -1 when the system has none left: logged with advice */
void notify_free(struct notify **n);
int notify_fd(const struct notify *n);

/* new/ and cur/ of each directory, and root for the list of folders. Reports as (user,
 * folders[i]), list changes as (user, ""). On return everything is armed. *missed_r:
 * folders that could not be (gone, or out of watches: logged with advice). */
struct notify_watch *notify_open(struct notify *n, struct slice user, const char *root, const struct slice *folders,
				 char *const *dirs, size_t n_dirs, size_t *missed_r);
void notify_close(struct notify *n, struct notify_watch **w);
/* Loop thread; bounded work; true when there is more. */
bool notify_read(struct notify *n, be_event_fn *fn, void *arg);

#endif
