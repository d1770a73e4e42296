/* mailfile.c - reading and writing one mail file. Worker threads. Owns nothing
 * but its buffers. Trap: offsets of parts count CRLF line ends; a file with bare
 * LFs must be read from its beginning to find them. */
#include "backend/local/mailfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/local/maildir.h"

enum { PIECE = 32 * 1024 };

/* Reads a file piece by piece with CRLF line ends. */
struct reader {
	int fd;
	uint64_t at;        /* in the file */
	uint64_t bare;      /* bare LFs met so far */
	char last;          /* byte before the next piece */
	char in[PIECE];
	char out[2 * PIECE];
};

static struct reader *reader_new(int fd, uint64_t at)
{
	struct reader *r = malloc(sizeof(*r)); /* 96 KiB that need no zeros */

	if (!r)
		abort();
	r->fd = fd;
	r->at = at;
	r->bare = 0;
	r->last = 0;
	return r;
}

/* Next piece, empty at the end; -1 with errno. */
static int reader_next(struct reader *r, struct slice *s_r)
{
	ssize_t n;
	size_t k = 0;

	do
		n = pread(r->fd, r->in, PIECE, (off_t)r->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -1;
	r->at += (uint64_t)n;
	for (const char *p = r->in, *end = r->in + n; p < end;) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t run = (size_t)((lf ? lf : end) - p);

		memcpy(r->out + k, p, run);
		k += run;
		if (run)
			r->last = p[run - 1];
		p += run;
		if (!lf)
			break;
		if (r->last != '\r') {
			r->out[k++] = '\r';
			r->bare++;
		}
		r->out[k++] = '\n';
		r->last = '\n';
		p++;
	}
	*s_r = slice(r->out, k);
	return 0;
}

static enum be_result read_failed(struct err *e)
{
	char text[128];

	err_set(e, ERR_BACKEND_TEMP, "read mail: %s", strerror_r(errno, text, sizeof(text)));
	return BE_TEMP;
}

/* The first n bytes with CRLF line ends. */
static enum be_result first_bytes(int fd, size_t n, struct arena *a, struct slice *s_r, struct err *e)
{
	struct reader *r = reader_new(fd, 0);
	char *p = arena_alloc(a, n + 1);
	struct slice piece;
	size_t k = 0;
	int ok = 0;

	while (k < n && (ok = reader_next(r, &piece)) == 0 && piece.len) {
		piece = slice_to(piece, n - k);
		memcpy(p + k, piece.ptr, piece.len);
		k += piece.len;
	}
	free(r);
	*s_r = slice(p, k);
	return ok < 0 ? read_failed(e) : BE_OK;
}

enum be_result mailfile_shape(int fd, struct arena *a, struct mail_shape *s_r, struct err *e)
{
	struct mime_reader *mime = mime_reader_new(a);
	struct reader *r = reader_new(fd, 0);
	struct slice piece;
	int ok;

	s_r->size = 0;
	while ((ok = reader_next(r, &piece)) == 0 && piece.len) {
		mime_feed(mime, piece);
		s_r->size += piece.len;
	}
	mime_end(mime, &s_r->tree);
	s_r->bare = r->bare > 0;
	free(r);
	return ok < 0 ? read_failed(e) : BE_OK;
}

enum be_result mailfile_head(int fd, const struct mail_shape *s, struct arena *a, struct slice *headers_r, struct err *e)
{
	uint64_t n = s->tree.v[0].body_off;

	return first_bytes(fd, n < HEADER_MAX_BYTES ? (size_t)n : HEADER_MAX_BYTES, a, headers_r, e);
}

enum be_result mailfile_copy(int fd, bool bare, uint64_t off, uint64_t max, struct blob *out, struct err *e)
{
	struct reader *r = reader_new(fd, bare ? 0 : off);
	uint64_t skip = bare ? off : 0, left = max ? max : UINT64_MAX;
	enum be_result result = BE_OK;
	struct slice piece;
	int ok = 0;

	/* A jump into the middle: what stands before decides about the first LF. */
	if (!bare && off && pread(fd, &r->last, 1, (off_t)off - 1) != 1)
		r->last = 0;
	while (left && (ok = reader_next(r, &piece)) == 0 && piece.len) {
		size_t cut = skip < piece.len ? (size_t)skip : piece.len;

		skip -= cut;
		piece = slice_from(piece, cut);
		if (piece.len > left)
			piece = slice_to(piece, (size_t)left);
		left -= piece.len;
		if (blob_append(out, piece.ptr, piece.len, e) < 0) {
			result = BE_TEMP;
			break;
		}
	}
	free(r);
	return ok < 0 ? read_failed(e) : result;
}

enum be_result mailfile_header(int fd, struct arena *a, struct slice *header_r, struct err *e)
{
	size_t cap = 8192, n = 0;

	for (;;) {
		char *p = arena_alloc(a, cap);
		ssize_t got;

		n = 0;
		while (n < cap && (got = pread(fd, p + n, cap - n, (off_t)n)) != 0) {
			if (got < 0 && errno == EINTR)
				continue;
			if (got < 0)
				return read_failed(e);
			n += (size_t)got;
		}
		*header_r = slice_to(slice(p, n), header_length(slice(p, n)));
		/* Shorter than what was read, or all there is, or more than we care for. */
		if (header_r->len < n || n < cap || cap >= HEADER_MAX_BYTES)
			return BE_OK;
		cap = HEADER_MAX_BYTES;
	}
}

static uint64_t count_bare(struct slice s, char *last)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		n += s.ptr[i] == '\n' && *last != '\r';
		*last = s.ptr[i];
	}
	return n;
}

static int write_blob(int fd, struct blob *b, uint64_t *bare_r)
{
	static const size_t piece = PIECE;
	char *buf = mem_alloc(piece), last = 0;
	uint64_t at = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = blob_read(b, at, buf, piece)) != 0) {
		if (n < 0) {
			errno = EIO;
			r = -1;
			break;
		}
		*bare_r += count_bare(slice(buf, (size_t)n), &last);
		r = file_write_all(fd, buf, (size_t)n);
		at += (uint64_t)n;
	}
	free(buf);
	return r;
}

enum be_result mailfile_write(const char *dir, struct slice head, struct blob *mail, int64_t date_ms, struct arena *a,
			      char **path_r, struct slice *sizes_r, struct err *e)
{
	struct timespec t[2] = { { 0, UTIME_OMIT }, { date_ms / 1000, date_ms % 1000 * 1000000 } };
	uint64_t size = head.len + blob_size(mail), bare = 0;
	char unique[128], *path, *tmp;
	enum be_result r = BE_OK;
	int fd;

	md_unique(unique, sizeof(unique));
	tmp = path_join("%s/tmp", dir);
	mkdir(tmp, 0700);
	path = path_join("%s/%s", tmp, unique);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || file_write_all(fd, head.ptr, head.len) < 0 || write_blob(fd, mail, &bare) < 0 ||
	    futimens(fd, t) < 0 || fsync(fd) < 0) {
		r = files_errno(e, "write", path);
		if (fd >= 0)
			unlink(path);
	}
	if (fd >= 0)
		close(fd);
	*sizes_r = arena_printf(a, ",S=%" PRIu64 ",W=%" PRIu64, size, size + bare);
	free(tmp);
	if (r != BE_OK) {
		free(path);
		path = NULL;
	}
	*path_r = path;
	return r;
}
