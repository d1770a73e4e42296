/* datadir.c - see datadir.h. Main thread. The trap: a secret must never exist
 * half written or readable by others, not even for a moment: it is written to a
 * file of its own (0600), synced, and linked to its name; whoever loses that race
 * reads the winner's. */
#include "work/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"

enum { SECRET_MAX = 4096, SECRET_MIN = 16 };

struct slice datadir_path(struct arena *a, const struct settings *s, struct slice configured, const char *name)
{
	struct slice dir = settings_str(s, "server.data_dir");

	if (configured.len)
		return arena_slice(a, configured);
	return arena_printf(a, "%.*s/%s", SARG(dir), name);
}

static int make_dir(const char *dir, struct err *e)
{
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_set(e, ERR_CONFIG, "server.data_dir %s: %s", dir, strerror(errno));
	if (stat(dir, &st) < 0)
		return err_set(e, ERR_CONFIG, "server.data_dir %s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_CONFIG, "server.data_dir %s: not a directory", dir);
	if (access(dir, R_OK | W_OK | X_OK) < 0)
		return err_set(e, ERR_CONFIG, "server.data_dir %s: %s", dir, strerror(errno));
	if (st.st_mode & 022)
		return err_set(e, ERR_CONFIG, "server.data_dir %s: others may write there; chmod 700 it", dir);
	return 0;
}

int datadir_open(const struct settings *s, struct err *e)
{
	char *dir = mem_str(settings_str(s, "server.data_dir"));
	int rc = make_dir(dir, e);

	free(dir);
	return rc;
}

bool datadir_needs_lock(const struct settings *s)
{
	return slice_starts(settings_str(s, "store.url"), S("embedded:")) ||
	       slice_eq(settings_str(s, "backend.mail"), S("local"));
}

int datadir_lock(const struct settings *s, int *fd_r, struct err *e)
{
	struct arena *a = arena_new();
	const char *path = datadir_path(a, s, S_NONE, "lock").ptr;
	char pid[32] = "";
	int rc = 0, fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ssize_t n;

	*fd_r = -1;
	if (fd < 0) {
		rc = err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		n = read(fd, pid, sizeof(pid) - 1);
		pid[n > 0 ? strcspn(pid, "\n") : 0] = 0;
		rc = err_set(e, ERR_CONFIG, "server.data_dir: used by process %s; one server needs one of its own",
			     *pid ? pid : "(unknown)");
		close(fd);
	} else {
		n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
		if (ftruncate(fd, 0) < 0 || write(fd, pid, (size_t)n) != n)
			rc = err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
		*fd_r = fd;
	}
	arena_free(&a);
	return rc;
}

static int read_secret(struct arena *a, const char *path, struct slice *secret_r, struct err *e)
{
	char buf[SECRET_MAX];
	struct stat st;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_CONFIG, "%s: %s", path, strerror(errno));
	n = fstat(fd, &st) < 0 ? -1 : read(fd, buf, sizeof(buf));
	close(fd);
	if (n < 0)
		return err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	*secret_r = arena_slice(a, slice_trim(slice(buf, (size_t)n)));
	mem_wipe(buf, sizeof(buf));
	/* The group may: that is how secrets are mounted into containers. */
	if (st.st_mode & 07)
		return err_set(e, ERR_CONFIG, "%s: others may read it; chmod 600", path);
	if (secret_r->len < SECRET_MIN)
		return err_set(e, ERR_CONFIG, "%s: a secret has at least %d characters", path, SECRET_MIN);
	return 0;
}

static int write_all(int fd, struct slice text)
{
	while (text.len) {
		ssize_t n = write(fd, text.ptr, text.len);

		if (n < 0)
			return -1;
		text = slice_from(text, (size_t)n);
	}
	return fsync(fd);
}

/* 0 also when another process was first. */
static int make_secret(struct arena *a, const char *path, size_t n, const struct rnd *rnd, struct err *e)
{
	char *tmp = arena_str(a, arena_printf(a, "%s.XXXXXX", path));
	uint8_t raw[64];
	struct slice text;
	int fd, rc;

	ASSERT(n <= sizeof(raw));
	rnd->fill(rnd->self, raw, n);
	text = base64url_encode(a, raw, n);
	mem_wipe(raw, sizeof(raw));
	fd = mkostemp(tmp, O_CLOEXEC); /* 0600 */
	if (fd < 0)
		return err_set(e, ERR_CONFIG, "%s: %s", tmp, strerror(errno));
	rc = write_all(fd, arena_printf(a, "%.*s\n", SARG(text)));
	close(fd);
	if (rc == 0 && link(tmp, path) < 0 && errno != EEXIST)
		rc = -1;
	if (rc < 0)
		err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	unlink(tmp);
	return rc;
}

int datadir_secret(struct arena *a, const char *path, size_t n, const struct rnd *rnd, struct slice *secret_r,
		   struct err *e)
{
	struct err why;

	if (read_secret(a, path, secret_r, &why) == 0)
		return 0;
	if (why.code == ERR_NOT_FOUND)
		return make_secret(a, path, n, rnd, e) < 0 ? -1 : read_secret(a, path, secret_r, e);
	return err_set(e, why.code, "%s", why.text);
}

int datadir_auth_secret(const struct settings *s, const struct rnd *rnd, uint8_t key_r[32], struct err *e)
{
	struct slice given = settings_str(s, "auth.secret_file"), text;
	struct arena *a = arena_new();
	const char *path = datadir_path(a, s, given, "auth.secret").ptr;
	int rc;

	if (given.len)
		rc = read_secret(a, path, &text, e);
	else
		rc = datadir_open(s, e) < 0 ? -1 : datadir_secret(a, path, 32, rnd, &text, e);
	if (rc < 0) {
		if (given.len)
			err_add(e, "auth.secret_file");
		if (e)
			e->code = ERR_CONFIG;
	} else {
		struct sha256 key = digest_sha256(text);

		memcpy(key_r, key.b, 32);
		mem_wipe(&key, sizeof(key));
		mem_wipe((char *)text.ptr, text.len);
	}
	arena_free(&a);
	return rc;
}

static int token(struct arena *a, const struct settings *s, const char *key, const char *file, const struct rnd *rnd,
		 struct slice *t_r, struct err *e)
{
	struct slice given = settings_str(s, key);

	if (given.len) {
		*t_r = arena_slice(a, given);
		return 0;
	}
	return datadir_secret(a, datadir_path(a, s, S_NONE, file).ptr, 24, rnd, t_r, e);
}

int datadir_admin_token(struct arena *a, const struct settings *s, const struct rnd *rnd, struct slice *t_r,
			struct err *e)
{
	return token(a, s, "admin.token", "admin.token", rnd, t_r, e);
}

int datadir_notify_token(struct arena *a, const struct settings *s, const struct rnd *rnd, struct slice *t_r,
			 struct err *e)
{
	return token(a, s, "push.notify_token", "notify.token", rnd, t_r, e);
}
