/* blob.c - append-only bytes that spill. Any thread, one owner at a time.
 * Trap: blob_map and blob_memory pointers die with the next append. */
#include "base/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"

struct blob {
	char *mem;
	size_t cap, mem_limit;
	uint64_t size;
	int fd;
	bool on_disk;
	void *map;
	size_t map_len;
};

static const char *spill_dir;

void blob_set_dir(const char *dir)
{
	spill_dir = dir;
}

struct blob *blob_new(size_t mem_limit_bytes)
{
	struct blob *b = mem_alloc(sizeof(*b));

	b->mem_limit = mem_limit_bytes ? mem_limit_bytes : BLOB_MEMORY;
	b->fd = -1;
	return b;
}

static void unmap(struct blob *b)
{
	if (b->map)
		munmap(b->map, b->map_len);
	b->map = NULL;
}

void blob_free(struct blob **bp)
{
	struct blob *b = *bp;

	*bp = NULL;
	if (!b)
		return;
	unmap(b);
	if (b->fd >= 0)
		close(b->fd);
	free(b->mem);
	free(b);
}

static int write_all(int fd, const char *p, size_t n, uint64_t off, struct err *e)
{
	while (n) {
		ssize_t w = pwrite(fd, p, n, (off_t)off);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return err_set(e, ERR_LIMIT, "spill: %s", strerror(errno));
		p += w;
		n -= (size_t)w;
		off += (uint64_t)w;
	}
	return 0;
}

static int spill_to_memfd(struct blob *b, struct err *e)
{
	b->fd = memfd_create("zpushd-blob", MFD_CLOEXEC);
	if (b->fd < 0)
		return err_set(e, ERR_LIMIT, "memfd: %s", strerror(errno));
	if (write_all(b->fd, b->mem, (size_t)b->size, 0, e) < 0)
		return -1;
	free(b->mem);
	b->mem = NULL;
	b->cap = 0;
	return 0;
}

static int move_to_disk(struct blob *b, struct err *e)
{
	int fd = open(spill_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char buf[65536];

	if (fd < 0)
		return err_set(e, ERR_LIMIT, "spill file in %s: %s", spill_dir, strerror(errno));
	for (uint64_t off = 0; off < b->size;) {
		ssize_t n = pread(b->fd, buf, sizeof(buf), (off_t)off);

		if (n <= 0 || write_all(fd, buf, (size_t)n, off, e) < 0) {
			close(fd);
			return -1;
		}
		off += (uint64_t)n;
	}
	close(b->fd);
	b->fd = fd;
	b->on_disk = true;
	return 0;
}

static void reserve(struct blob *b, size_t need)
{
	size_t cap = b->cap ? b->cap : 256;

	if (need <= b->cap)
		return;
	while (cap < need)
		cap *= 2;
	b->mem = mem_realloc(b->mem, cap);
	b->cap = cap;
}

int blob_append(struct blob *b, const void *p, size_t n, struct err *e)
{
	if (n == 0)
		return 0;
	unmap(b);
	if (b->fd < 0 && b->size + n <= b->mem_limit) {
		reserve(b, (size_t)b->size + n);
		memcpy(b->mem + b->size, p, n);
		b->size += n;
		return 0;
	}
	if (b->fd < 0 && spill_to_memfd(b, e) < 0)
		return -1;
	if (!b->on_disk && spill_dir && b->size + n > BLOB_MEMFD && move_to_disk(b, e) < 0)
		return -1;
	if (write_all(b->fd, p, n, b->size, e) < 0)
		return -1;
	b->size += n;
	return 0;
}

int blob_printf(struct blob *b, struct err *e, const char *fmt, ...)
{
	char small[512], *z = small;
	va_list ap;
	int n, rc;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_set(e, ERR_INTERNAL, "format");
	if ((size_t)n >= sizeof(small)) {
		z = mem_alloc((size_t)n + 1);
		va_start(ap, fmt);
		vsnprintf(z, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	rc = blob_append(b, z, (size_t)n, e);
	if (z != small)
		free(z);
	return rc;
}

uint64_t blob_size(const struct blob *b)
{
	return b->size;
}

ssize_t blob_read(const struct blob *b, uint64_t off, void *p, size_t n)
{
	if (off >= b->size)
		return 0;
	if (n > b->size - off)
		n = (size_t)(b->size - off);
	if (b->fd >= 0)
		return pread(b->fd, p, n, (off_t)off);
	memcpy(p, b->mem + off, n);
	return (ssize_t)n;
}

int blob_map(struct blob *b, struct slice *whole_r, struct err *e)
{
	if (b->fd < 0 || b->size == 0) {
		*whole_r = slice(b->mem ? b->mem : "", (size_t)b->size);
		return 0;
	}
	if (!b->map) {
		void *m = mmap(NULL, (size_t)b->size, PROT_READ, MAP_PRIVATE, b->fd, 0);

		if (m == MAP_FAILED)
			return err_set(e, ERR_LIMIT, "map spill: %s", strerror(errno));
		b->map = m;
		b->map_len = (size_t)b->size;
	}
	*whole_r = slice(b->map, b->map_len);
	return 0;
}

const char *blob_memory(const struct blob *b)
{
	return b->fd < 0 ? (b->mem ? b->mem : "") : NULL;
}

int blob_fd(const struct blob *b)
{
	return b->fd;
}

void blob_truncate(struct blob *b, uint64_t n)
{
	ASSERT(n <= b->size);
	unmap(b);
	if (b->fd >= 0 && ftruncate(b->fd, (off_t)n) < 0)
		return; /* the size below is what counts */
	b->size = n;
}

void blob_patch(struct blob *b, uint64_t off, const void *p, size_t n)
{
	ASSERT(off + n <= b->size);
	unmap(b);
	if (b->fd >= 0) {
		write_all(b->fd, p, n, off, NULL);
		return;
	}
	memcpy(b->mem + off, p, n);
}
