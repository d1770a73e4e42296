/* tlspeer.h - a TLS server side for tests: a P-256 certificate made on the spot
 * and a blocking server session over one accepted socket. One thread each. */
#ifndef TESTS_TLSPEER_H
#define TESTS_TLSPEER_H

#include <stdbool.h>
#include <stddef.h>

struct tlspeer;

/* Self-signed for "localhost" and 127.0.0.1. pem_path: the certificate is written there. */
struct tlspeer *tlspeer_new(const char *pem_path);
void tlspeer_free(struct tlspeer **p);
/* Handshake as server on a connected blocking socket; false when the client gave up. */
bool tlspeer_accept(struct tlspeer *p, int fd);
int tlspeer_read(struct tlspeer *p, void *buf, size_t n);
int tlspeer_write(struct tlspeer *p, const void *buf, size_t n);
void tlspeer_bye(struct tlspeer *p); /* close_notify */

#endif
