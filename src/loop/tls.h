/* tls.h - the TLS engine (mbedTLS 2.28), which only shakes hands: bytes in,
 * bytes out, then keys for tlsrec.h. All knowledge of the library is in tls*.c
 * and ticket.c. An engine is one owner's at a time: it travels to a worker
 * for a full handshake and comes back. struct tls_server is read-only after load,
 * reference-counted, shared by engines of both sides. */
#ifndef LOOP_TLS_H
#define LOOP_TLS_H

#include "base/arena.h"
#include "base/err.h"

struct loop;
struct tls_server;

/* Loads certificate and key (or makes them), ticket secret, into l->tls. The old
 * one stays on an error. */
int tls_server_load(struct loop *l, struct err *e);
void tls_server_unref(struct tls_server **s);

#endif
