/* tlsio.h - TLS between a connection's socket and its plaintext: the handshake
 * (inline or as a job), then the record layer, or the engine for sessions that
 * the record layer does not do. Loop thread only. */
#ifndef LOOP_TLSIO_H
#define LOOP_TLSIO_H

#include "loop/conn_priv.h"

/* A new TLS connection: begins to listen for its hello. */
void tlsio_start(struct conn *c);
void tlsio_free(struct conn *c);
/* Bytes from the socket; plaintext goes on to conn_input. May close c. */
void tlsio_input(struct conn *c, struct slice in);
/* Bytes of records that wait for the socket. */
bool tlsio_output(const struct conn *c);
/* Writes what waits: 1 all written, 0 the socket is full, -1 it is dead. */
int tlsio_flush(struct conn *c);
/* Seals at most one record's worth of plaintext; how much was taken. Call when tlsio_flush gave 1. -1 dead. */
ssize_t tlsio_seal(struct conn *c, struct slice plain);
/* close_notify, as far as the socket takes it. */
void tlsio_shut(struct conn *c);
/* Frees what a parked connection does not need. */
void tlsio_park(struct conn *c);

#endif
