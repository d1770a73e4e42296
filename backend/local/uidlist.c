/* uidlist.c - the list of UIDs of a folder. Worker threads; callers hold the
 * folder's mutex, writers its dot lock too. Owns one buffer that all slices
 * point into. Trap: the last line may be torn after a power loss; it is not
 * believed, and the next writer writes the file anew. */
#include "backend/local/uidlist.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LIST_MAX_BYTES = 512 * 1024 * 1024 };

/* -- reading -- */

static struct slice word(struct slice *rest)
{
	struct slice w = S_NONE;

	while (slice_split(rest, ' ', &w) && w.len == 0)
		;
	return w;
}

static bool header_read(struct slice line, struct uidlist *u)
{
	struct slice w = word(&line), extra = S_NONE;
	uint64_t v = 0, next = 0;

	if (!slice_eq(w, S("3")))
		return false;
	while (line.len) {
		struct slice at = line;

		w = word(&line);
		if (w.len < 2)
			continue;
		if (w.ptr[0] == 'V' && !slice_u64(slice_from(w, 1), &v))
			return false;
		if (w.ptr[0] == 'N' && !slice_u64(slice_from(w, 1), &next))
			return false;
		if (w.ptr[0] == 'G')
			extra = slice_trim(at);
	}
	if (v == 0 || v > UINT32_MAX || next == 0 || next >= UINT32_MAX)
		return false;
	u->validity = (uint32_t)v;
	u->next = (uint32_t)next;
	u->guid = extra;
	return true;
}

static bool line_read(struct slice line, struct uid_line *l)
{
	struct slice w = word(&line);
	ptrdiff_t colon;
	uint64_t uid;

	if (!slice_u64(w, &uid) || uid == 0 || uid >= UINT32_MAX - 1)
		return false;
	/* ":name" stands at the begin or behind a blank; extensions hold no " :". */
	if (line.len && line.ptr[0] == ':') {
		colon = 0;
	} else {
		const char *at = memmem(line.ptr, line.len, " :", 2);

		if (!at)
			return false;
		colon = at + 1 - line.ptr;
	}
	l->uid = (uint32_t)uid;
	l->ext = slice_to(line, (size_t)colon);
	l->base = slice_from(line, (size_t)colon + 1);
	colon = slice_chr(l->base, ':');
	if (colon >= 0)
		l->base = slice_to(l->base, (size_t)colon);
	return l->base.len > 0;
}

static bool parse(struct uidlist *u, struct slice all)
{
	size_t cap = 0;
	struct slice line;
	uint32_t last = 0;

	if (all.len && all.ptr[all.len - 1] != '\n') {
		u->torn = true;
		while (all.len && all.ptr[all.len - 1] != '\n')
			all.len--;
	}
	if (!slice_split(&all, '\n', &line) || !header_read(line, u))
		return false;
	while (slice_split(&all, '\n', &line)) {
		struct uid_line l;

		if (line.len == 0)
			continue;
		if (!line_read(line, &l) || l.uid <= last)
			return false;
		if (u->n == cap) {
			cap = cap ? cap * 2 : 64;
			u->v = mem_realloc(u->v, cap * sizeof(*u->v));
		}
		u->v[u->n++] = l;
		last = l.uid;
	}
	if (u->next <= last)
		u->next = last + 1;
	return true;
}

static void index_make(struct uidlist *u)
{
	size_t size = 16;

	while (size < u->n * 2)
		size *= 2;
	u->index = mem_alloc(size * sizeof(*u->index));
	u->index_size = size;
	/* From the back, so that the newest line of a doubled base is found first. */
	for (size_t i = u->n; i-- > 0;) {
		size_t at = slice_hash(u->v[i].base) & (size - 1);

		while (u->index[at])
			at = (at + 1) & (size - 1);
		u->index[at] = (uint32_t)i + 1;
	}
}

enum be_result uidlist_load(const char *dir, struct uidlist *u, struct err *e)
{
	char *path = path_join("%s/dovecot-uidlist", dir);
	enum be_result r = BE_OK;
	size_t n;

	*u = (struct uidlist){ 0 };
	if (file_read(path, LIST_MAX_BYTES, &u->data, &n, &u->stamp) < 0)
		r = files_errno(e, "read", path);
	else if (u->data && !parse(u, slice(u->data, n)))
		u->validity = 0, u->n = 0;
	free(path);
	return r;
}

void uidlist_free(struct uidlist *u)
{
	free(u->data);
	free(u->v);
	free(u->index);
	*u = (struct uidlist){ 0 };
}

uint32_t uidlist_find(struct uidlist *u, struct slice base)
{
	if (!u->index)
		index_make(u);
	for (size_t at = slice_hash(base) & (u->index_size - 1); u->index[at]; at = (at + 1) & (u->index_size - 1))
		if (slice_eq(u->v[u->index[at] - 1].base, base))
			return u->v[u->index[at] - 1].uid;
	return 0;
}

/* -- writing -- */

enum be_result uidlist_lock(const char *dir, int64_t deadline_ms, struct dotlock *l, struct err *e)
{
	char *path = path_join("%s/dovecot-uidlist", dir);
	enum be_result r = dotlock_take(l, path, deadline_ms, e);

	free(path);
	return r;
}

/* Seconds, as every server does, but never one twice in this process: a folder
 * that is deleted and made again within a second is another one. */
static uint32_t new_validity(void)
{
	static uint32_t last;
	uint32_t now = (uint32_t)time(NULL), before = __atomic_load_n(&last, __ATOMIC_SEQ_CST), next;

	do
		next = now > before ? now : before + 1;
	while (!__atomic_compare_exchange_n(&last, &before, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return next;
}

static void put_header(FILE *f, const struct uidlist *u, uint32_t next)
{
	fprintf(f, "3 V%" PRIu32 " N%" PRIu32 "%s%.*s\n", u->validity, next, u->guid.len ? " " : "", SARG(u->guid));
}

static void put_line(FILE *f, uint32_t uid, struct slice ext, struct slice base)
{
	fprintf(f, "%" PRIu32 " %.*s:%.*s\n", uid, SARG(ext), SARG(base));
}

static int append(const char *path, const char *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC), no;

	if (fd < 0)
		return -1;
	if (file_write_all(fd, data, n) < 0 || fdatasync(fd) < 0) {
		no = errno;
		close(fd);
		errno = no;
		return -1;
	}
	close(fd);
	return 0;
}

enum be_result uidlist_add(const char *dir, struct uidlist *u, const struct slice *bases, size_t n, uint32_t *uids_r,
			   bool (*live)(void *arg, const struct uid_line *l), void *arg, struct err *e)
{
	char *path = path_join("%s/dovecot-uidlist", dir), *text = NULL;
	bool whole = u->validity == 0 || u->torn || live;
	enum be_result r = BE_OK;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (u->validity == 0) {
		u->validity = new_validity();
		u->next = 1;
		u->n = 0;
	}
	if (whole) {
		put_header(f, u, u->next + (uint32_t)n);
		for (size_t i = 0; i < u->n; i++)
			if (!live || live(arg, &u->v[i]))
				put_line(f, u->v[i].uid, u->v[i].ext, u->v[i].base);
	}
	for (size_t i = 0; i < n; i++) {
		uids_r[i] = u->next++;
		put_line(f, uids_r[i], S_NONE, bases[i]);
	}
	fclose(f);
	if ((whole ? file_replace(path, text, len, 0600) : append(path, text, len)) < 0)
		r = files_errno(e, "write", path);
	free(text);
	free(path);
	return r;
}

uint32_t uidlist_validity(const char *dir, int64_t deadline_ms)
{
	char *path = path_join("%s/dovecot-uidlist", dir), head[256];
	struct uidlist u = { 0 };
	struct dotlock lock;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, head, sizeof(head));
	struct slice all = slice(head, n > 0 ? (size_t)n : 0), line;

	if (fd >= 0)
		close(fd);
	free(path);
	if (slice_chr(all, '\n') >= 0 && slice_split(&all, '\n', &line) && header_read(line, &u))
		return u.validity;
	if (uidlist_lock(dir, deadline_ms, &lock, NULL) != BE_OK)
		return 0;
	if (uidlist_load(dir, &u, NULL) == BE_OK && u.validity == 0 &&
	    uidlist_add(dir, &u, NULL, 0, NULL, NULL, NULL, NULL) != BE_OK)
		u.validity = 0;
	dotlock_release(&lock);
	{
		uint32_t v = u.validity;

		uidlist_free(&u);
		return v;
	}
}
