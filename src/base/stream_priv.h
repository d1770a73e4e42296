/* stream_priv.h - between stream.c (socket, deadline) and stream_tls.c (mbedTLS).
 * Nobody else includes it. */
#ifndef BASE_STREAM_PRIV_H
#define BASE_STREAM_PRIV_H

#include <stdatomic.h>

#include "base/stream.h"

/* Results below zero of the crypt calls. */
enum { STREAM_FAILED = -1, STREAM_WANT_READ = -2, STREAM_WANT_WRITE = -3 };

struct stream_crypt;

struct stream {
	int fd;
	atomic_bool cancelled;
	bool wrote;          /* since the last read */
	int64_t deadline_ms;
	int patience_ms;     /* 0: none */
	uint64_t bytes_in, bytes_out, round_trips;
	struct stream_crypt *crypt; /* NULL: plain */
};

/* Never block; errno as recv(2) and send(2). */
ssize_t stream_raw_read(struct stream *s, void *p, size_t n);
ssize_t stream_raw_write(struct stream *s, const void *p, size_t n);
/* Until ready, cancelled or late (-1). */
int stream_wait(struct stream *s, short events, const char *what, struct err *e);

ssize_t stream_crypt_read(struct stream *s, void *p, size_t n, struct err *e);
ssize_t stream_crypt_write(struct stream *s, const void *p, size_t n, struct err *e);
size_t stream_crypt_pending(const struct stream_crypt *c);
void stream_crypt_free(struct stream_crypt **c);

#endif
