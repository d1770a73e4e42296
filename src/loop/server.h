/* server.h - listeners and admission: accept budget, limits in all and per
 * address, a spare descriptor for EMFILE. Loop thread only. */
#ifndef LOOP_SERVER_H
#define LOOP_SERVER_H

#include "loop/conn.h"

struct server;

void server_new(struct loop *l);
void server_free(struct loop *l);
int server_listen(struct loop *l, struct slice address, enum listen_kind kind, unsigned *port_r, struct err *e);
/* No more accepts; listeners are closed. */
void server_stop(struct loop *l);
/* Soft limit to the hard one; logs how many phones that carries. */
void server_raise_limits(struct loop *l);
/* Counts per address (IPv6: per /64). False: the address has its share. */
bool server_admit(struct loop *l, const uint8_t addr[16]);
void server_release(struct loop *l, const uint8_t addr[16]);
/* TLS admission: handshakes are at their limit, or no longer. */
void server_pause_tls(struct loop *l, bool pause);
void server_counts(const struct loop *l, struct loop_stats *s);

#endif
