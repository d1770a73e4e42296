/* blob.h - bytes of any size that are written once, from front to back, then
 * read: request bodies, mails on their way, replies. In memory up to a limit,
 * then in a memfd, past that in an unlinked file of data_dir (blob_set_dir).
 * One owner at a time; travels across the job border whole. Not thread-safe. */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include <sys/types.h>

#include "base/err.h"

enum {
	BLOB_MEMORY = 256 * 1024,     /* default mem_limit */
	BLOB_MEMFD = 4 * 1024 * 1024, /* above this the memfd becomes a file */
};

struct blob;

/* Directory for unlinked files; set once at start, before threads. NULL: memfd only. */
void blob_set_dir(const char *dir);

struct blob *blob_new(size_t mem_limit_bytes); /* 0: BLOB_MEMORY; caller frees */
void blob_free(struct blob **b);
/* -1 with ERR_LIMIT only when the disk is full. */
int blob_append(struct blob *b, const void *p, size_t n, struct err *e);
int blob_printf(struct blob *b, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
uint64_t blob_size(const struct blob *b);
/* Up to n bytes at offset; returns how many (0 at the end), -1 on a read error. */
ssize_t blob_read(const struct blob *b, uint64_t off, void *p, size_t n);
/* The whole as one run of memory, valid until the next append or free (a
 * spilled blob is mapped). Parsers of whole mails use this. */
int blob_map(struct blob *b, struct slice *whole_r, struct err *e);
/* Memory pointer when not spilled, else NULL: the loop writes from it directly. */
const char *blob_memory(const struct blob *b);
int blob_fd(const struct blob *b); /* fd when spilled, else -1; borrowed */
/* Cut back to n bytes (n <= size): an encoder takes back what it began. */
void blob_truncate(struct blob *b, uint64_t n);
/* Overwrite bytes inside what is written (a length in front). */
void blob_patch(struct blob *b, uint64_t off, const void *p, size_t n);

#endif
