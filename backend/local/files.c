/* files.c - dot locks, whole files, stamps. Worker threads. Owns the list of
 * locks this process holds: a lock that carries our pid but is not in it was
 * left by a dead process that had the same pid (containers start at 1 again). */
#include "backend/local/files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	LOCK_STALE_S = 300, /* nobody keeps a list locked for longer */
	LOCK_WAIT_MS = 10,
};

static pthread_mutex_t held_mu = PTHREAD_MUTEX_INITIALIZER;
static struct dotlock *held;

enum be_result files_errno(struct err *e, const char *what, const char *path)
{
	int no = errno;
	enum err_code code = ERR_BACKEND_TEMP;
	char text[128];

	if (no == ENOENT || no == ENOTDIR)
		code = ERR_NOT_FOUND;
	else if (no == ENOSPC || no == EDQUOT)
		code = ERR_QUOTA;
	err_set(e, code, "%s %s: %s", what, path, strerror_r(no, text, sizeof(text)));
	return code == ERR_BACKEND_TEMP ? BE_TEMP : BE_PERM;
}

char *path_join(const char *fmt, ...)
{
	va_list ap;
	char *p = NULL;

	va_start(ap, fmt);
	if (vasprintf(&p, fmt, ap) < 0)
		abort();
	va_end(ap);
	return p;
}

static struct stamp stamp_from(const struct stat *st)
{
	return (struct stamp){
		.dev_ino = (uint64_t)st->st_dev * 0x9e3779b97f4a7c15u + (uint64_t)st->st_ino,
		.mtime_ns = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec,
		.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
	};
}

int stamp_of(const char *path, struct stamp *s_r)
{
	struct stat st;

	*s_r = (struct stamp){ 0 };
	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	*s_r = stamp_from(&st);
	return 0;
}

/* -- dot locks -- */

static bool held_here(const char *path)
{
	bool found = false;

	pthread_mutex_lock(&held_mu);
	for (struct dotlock *l = held; l && !found; l = l->next)
		found = strcmp(l->path, path) == 0;
	pthread_mutex_unlock(&held_mu);
	return found;
}

static void own_name(char *buf, size_t n)
{
	char host[128];

	if (gethostname(host, sizeof(host)) < 0)
		host[0] = 0;
	host[sizeof(host) - 1] = 0;
	snprintf(buf, n, "%ld:%s", (long)getpid(), host);
}

/* Was its holder seen to be dead, or is it older than anyone may hold it? */
static bool lock_stale(const char *path, const char *own, struct stat *st)
{
	char text[192] = "", *host;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;
	long pid;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	if (fstat(fd, st) < 0)
		n = -1;
	close(fd);
	if (n < 0)
		return false;
	if (time(NULL) - st->st_mtime > LOCK_STALE_S)
		return true;
	pid = strtol(text, &host, 10);
	if (pid <= 0 || *host != ':' || strcmp(host, strchr(own, ':')) != 0)
		return false;
	if (pid == (long)getpid())
		return !held_here(path);
	return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* Removes it if it still is the one that was judged. */
static void lock_break(const char *path, const struct stat *judged)
{
	struct stat now;

	if (lstat(path, &now) == 0 && now.st_ino == judged->st_ino && now.st_mtim.tv_sec == judged->st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == judged->st_mtim.tv_nsec)
		unlink(path);
}

static void lock_held(struct dotlock *l, char *path)
{
	l->path = path;
	pthread_mutex_lock(&held_mu);
	l->next = held;
	held = l;
	pthread_mutex_unlock(&held_mu);
}

enum be_result dotlock_take(struct dotlock *l, const char *path, int64_t deadline_ms, struct err *e)
{
	char *lock = path_join("%s.lock", path), own[192];
	struct stat st;

	*l = (struct dotlock){ 0 };
	own_name(own, sizeof(own));
	for (;;) {
		int fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		if (fd >= 0) {
			(void)!write(fd, own, strlen(own));
			close(fd);
			lock_held(l, lock);
			return BE_OK;
		}
		if (errno != EEXIST) {
			enum be_result r = files_errno(e, "lock", lock);

			free(lock);
			return r;
		}
		if (lock_stale(lock, own, &st))
			lock_break(lock, &st);
		else if (clock_now(&clock_system) >= deadline_ms)
			break;
		else
			nanosleep(&(struct timespec){ .tv_nsec = LOCK_WAIT_MS * 1000000L }, NULL);
	}
	err_set(e, ERR_TIMEOUT, "%s is held by another process", lock);
	free(lock);
	return BE_TEMP;
}

void dotlock_release(struct dotlock *l)
{
	if (!l->path)
		return;
	unlink(l->path);
	pthread_mutex_lock(&held_mu);
	for (struct dotlock **p = &held; *p; p = &(*p)->next)
		if (*p == l) {
			*p = l->next;
			break;
		}
	pthread_mutex_unlock(&held_mu);
	free(l->path);
	*l = (struct dotlock){ 0 };
}

/* -- whole files -- */

int file_read(const char *path, size_t max, char **data_r, size_t *n_r, struct stamp *s_r)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t n = 0, cap;
	char *data;

	*data_r = NULL;
	*n_r = 0;
	if (s_r)
		*s_r = (struct stamp){ 0 };
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > max) {
		close(fd);
		errno = EFBIG;
		return -1;
	}
	cap = (size_t)st.st_size;
	data = mem_alloc(cap + 1);
	while (n < cap) {
		ssize_t got = read(fd, data + n, cap - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	if (s_r)
		*s_r = stamp_from(&st);
	*data_r = data;
	*n_r = n;
	return 0;
}

int file_write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

int file_replace(const char *path, const char *data, size_t n, mode_t mode)
{
	char *tmp = path_join("%s.tmp", path);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode), no;

	if (fd < 0 || file_write_all(fd, data, n) < 0 || fdatasync(fd) < 0 || rename(tmp, path) < 0) {
		no = errno;
		if (fd >= 0) {
			close(fd);
			unlink(tmp);
		}
		free(tmp);
		errno = no;
		return -1;
	}
	close(fd);
	free(tmp);
	return 0;
}

int dir_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = fsync(fd);
	close(fd);
	return r;
}

int dir_make(const char *path)
{
	char *p = path_join("%s", path);
	int r = 0;

	for (char *at = p + 1; *at && r == 0; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		if (mkdir(p, 0700) < 0 && errno != EEXIST)
			r = -1;
		*at = '/';
	}
	if (r == 0 && mkdir(p, 0700) < 0 && errno != EEXIST)
		r = -1;
	free(p);
	return r;
}
