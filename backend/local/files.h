/* files.h - file work that the local backend does in many places: locks that
 * Dovecot honours, whole files, atomic replacement, stamps. Worker threads. */
#ifndef BACKEND_LOCAL_FILES_H
#define BACKEND_LOCAL_FILES_H

#include <sys/stat.h>

#include "backend/backend.h"

/* BE_TEMP or BE_PERM for errno: the disk (ENOSPC, EDQUOT: ERR_QUOTA), what is gone
 * (ENOENT, ENOTDIR: ERR_NOT_FOUND), all else is worth another try. */
enum be_result files_errno(struct err *e, const char *what, const char *path);

/* What tells one state of a file or directory from another. All zero: not there. */
struct stamp {
	uint64_t dev_ino;
	uint64_t mtime_ns, size;
};
/* -1 with errno only for errors other than "not there". */
int stamp_of(const char *path, struct stamp *s_r);
static inline bool stamp_eq(const struct stamp *a, const struct stamp *b)
{
	return a->dev_ino == b->dev_ino && a->mtime_ns == b->mtime_ns && a->size == b->size;
}

/* A dot lock: path with ".lock" behind it, made exclusively, holding "pid:host". Waits
 * until deadline_ms (clock_system); takes over locks of dead processes and such
 * older than five minutes. */
struct dotlock {
	char *path;
	struct dotlock *next;
};
enum be_result dotlock_take(struct dotlock *l, const char *path, int64_t deadline_ms, struct err *e);
void dotlock_release(struct dotlock *l); /* fine on a zeroed one */

/* Whole file, at most max bytes, NUL behind; *data_r is freed by the caller. Missing:
 * 0 with NULL. -1 with errno. Stamp of what was read. */
int file_read(const char *path, size_t max, char **data_r, size_t *n_r, struct stamp *s_r);
/* Replaces the file by data: written beside it, synced, renamed. -1 with errno. */
int file_replace(const char *path, const char *data, size_t n, mode_t mode);
int file_write_all(int fd, const char *p, size_t n);
int dir_sync(const char *path);
/* mkdir -p with mode 0700; -1 with errno. */
int dir_make(const char *path);

/* printf into malloc; aborts when out of memory. */
char *path_join(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
