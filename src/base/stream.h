/* stream.h - the one blocking stream under IMAP, SMTP, ManageSieve and Redis:
 * TCP or unix socket, poll with a deadline, TLS client (mbedTLS), cancel from
 * another thread. Worker threads only; one owner at a time (session pools hand
 * it on). Never blocks past its deadline. Name resolution: getaddrinfo on the
 * worker, bounded by the deadline and shared for a minute (resolve.h). */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"

struct stream;

/* Loaded once (net.tls_ca, net.tls_verify), shared read-only by all threads. */
struct stream_tls;
int stream_tls_new(struct stream_tls **t_r, const char *ca_file /* NULL: system */, bool verify, struct err *e);
void stream_tls_free(struct stream_tls **t);

/* "host:port", "[v6]:port" or "unix:/path". deadline_ms on clock_system. */
int stream_open(struct stream **s_r, const char *address, int64_t deadline_ms, struct err *e);
/* TLS from here on; host is checked against the certificate and sent as SNI. */
int stream_start_tls(struct stream *s, const struct stream_tls *t, const char *host, struct err *e);
void stream_close(struct stream **s);

/* All later calls end by then with ERR_TIMEOUT. */
void stream_deadline(struct stream *s, int64_t deadline_ms);
/* A peer that neither sends nor takes a byte for so long ends a call before its
 * deadline, also with ERR_TIMEOUT. 0, the default: only the deadline counts. */
void stream_patience(struct stream *s, int64_t patience_ms);
/* At least 1 byte, 0 at end of stream, -1. TLS: an end without close_notify is -1,
 * an ended connection mid-record is never taken for the end of the data. */
ssize_t stream_read(struct stream *s, void *p, size_t n, struct err *e);
int stream_write(struct stream *s, const void *p, size_t n, struct err *e); /* all of it */
/* Bytes already here that poll(2) on the fd does not show (TLS records). */
size_t stream_pending(const struct stream *s);
int stream_fd(const struct stream *s);
bool stream_is_tls(const struct stream *s);
/* Would a read return at once (bytes, end or error)? No blocking, no reading. */
bool stream_readable(const struct stream *s);
/* From any thread: wakes a blocked call, which then fails with ERR_CANCELLED, as
 * do all later ones. The caller makes sure that nobody closes it meanwhile. */
void stream_cancel(struct stream *s);
uint64_t stream_bytes_in(const struct stream *s);
uint64_t stream_bytes_out(const struct stream *s);
/* How often the direction turned from writing to waiting for a read: the
 * round trips that benchmarks and tests count. */
uint64_t stream_round_trips(const struct stream *s);

#endif
