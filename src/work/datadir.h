/* datadir.h - server.data_dir: made 0700, locked by one process, and the secrets
 * that are made at first start with mode 0600. Main thread at start. */
#ifndef WORK_DATADIR_H
#define WORK_DATADIR_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/settings.h"

/* Path below data_dir, or `configured` when it is not empty (absolute, or as the
 * process stands). NUL-terminated. */
struct slice datadir_path(struct arena *a, const struct settings *s, struct slice configured, const char *name);
/* Makes it; -1 ERR_CONFIG when it cannot be made or is another user's. Idempotent. */
int datadir_open(const struct settings *s, struct err *e);
/* The one server on this directory: holds a lock on data_dir/lock until fd is closed
 * or the process ends. -1 ERR_CONFIG "used by process N". Needed when the store is
 * embedded or the backend is local; others may share it. */
int datadir_lock(const struct settings *s, int *fd_r, struct err *e);
/* Does the configuration need the lock? */
bool datadir_needs_lock(const struct settings *s);

/* Whole file `path`, or when there is none `n` random bytes made there, written so
 * that two processes starting at once end up with the same. The value is text:
 * base64url, a trailing newline is not part of it. At least 16 characters, else -1. */
int datadir_secret(struct arena *a, const char *path, size_t n, const struct rnd *rnd, struct slice *secret_r,
		   struct err *e);
/* The three of them, by settings. auth: 32 bytes of key, from the text of the file; one
 * that is named by auth.secret_file must be there: an instance of a fleet that made its
 * own would refuse every sync key of the others. */
int datadir_auth_secret(const struct settings *s, const struct rnd *rnd, uint8_t key_r[32], struct err *e);
int datadir_admin_token(struct arena *a, const struct settings *s, const struct rnd *rnd, struct slice *t_r,
			struct err *e);
int datadir_notify_token(struct arena *a, const struct settings *s, const struct rnd *rnd, struct slice *t_r,
			 struct err *e);

#endif
