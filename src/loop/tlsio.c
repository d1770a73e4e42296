/* tlsio.c - TLS listeners are refused at start until the engine is here; the
 * rest is never reached without one. */
#include "loop/tlsio.h"
#include "loop/tls.h"
void tlsio_start(struct conn *c) { conn_close(c, "tls"); }
void tlsio_free(struct conn *c) { (void)c; }
void tlsio_input(struct conn *c, struct slice in) { (void)c; (void)in; }
bool tlsio_output(const struct conn *c) { (void)c; return false; }
int tlsio_flush(struct conn *c) { (void)c; return 1; }
ssize_t tlsio_seal(struct conn *c, struct slice plain) { (void)c; (void)plain; return -1; }
void tlsio_shut(struct conn *c) { (void)c; }
void tlsio_park(struct conn *c) { (void)c; }
int tls_server_load(struct loop *l, struct err *e) { (void)l; return err_set(e, ERR_CONFIG, "TLS listeners are not there yet"); }
void tls_server_unref(struct tls_server **s) { (void)s; }
