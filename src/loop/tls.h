/* tls.h - the TLS engine (mbedTLS 2.28), which only shakes hands: bytes in,
 * bytes out, then keys for tlsrec.h. All knowledge of the library is in tls.c,
 * tls_cert.c and tls_ticket.c. A second engine (TLS 1.3) replaces these files.
 *
 * struct tls_server: certificate, key, ticket keys. Read-only after load,
 * reference-counted, used from loop and workers. struct tls_engine: one
 * handshake, one owner at a time; travels to a worker for the costly steps. */
#ifndef LOOP_TLS_H
#define LOOP_TLS_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "loop/tlsrec.h"

struct tls_server;
struct tls_engine;

struct tls_options {
	const char *certificate, *key; /* PEM files; NULL or "": self-made in data_dir */
	const char *data_dir;
	const char *min_version;       /* "1.0", "1.1", "1.2"; NULL: "1.2" */
	struct slice secret;           /* of the fleet, for ticket keys; empty: drawn */
	const struct clock *clock;
	const struct rnd *rnd;
};

/* Reads (or makes) the certificate. Blocks on files: at start and at SIGHUP. */
int tls_server_new(struct tls_server **s_r, const struct tls_options *o, struct err *e);
struct tls_server *tls_server_ref(struct tls_server *s);
void tls_server_unref(struct tls_server **s);

struct tls_engine *tls_engine_new(struct tls_server *s);
void tls_engine_free(struct tls_engine **e);

/* Bytes from the socket (copied). -1: more than a handshake ever has. */
int tls_engine_feed(struct tls_engine *t, struct slice in);

/* What the next step would cost, looked at without doing it. */
enum tls_cost {
	TLS_WAIT,  /* no whole record is here */
	TLS_CHEAP, /* a resumption, the end of a handshake, nonsense: do it here */
	TLS_COSTLY,/* public-key work of milliseconds: on a worker */
};
enum tls_cost tls_engine_cost(struct tls_engine *t);

enum tls_progress { TLS_MORE, TLS_DONE, TLS_FAILED };
/* Works on what is here. Output may be there in every case (an alert). */
enum tls_progress tls_engine_step(struct tls_engine *t, struct err *e);
struct slice tls_engine_output(const struct tls_engine *t);
void tls_engine_sent(struct tls_engine *t, size_t n);

/* After TLS_DONE. keys: false when the record layer does not do this session
 * (CBC, below 1.2): then the engine is kept and read and written. */
bool tls_engine_keys(struct tls_engine *t, struct tlsrec *r_r);
bool tls_engine_resumed(const struct tls_engine *t);
const char *tls_engine_version(const struct tls_engine *t); /* "TLSv1.2" */
const char *tls_engine_suite(const struct tls_engine *t);
/* Bytes that came behind the handshake. */
struct slice tls_engine_rest(const struct tls_engine *t);

/* A kept engine. read: bytes, 0 none now, -1 over. write: plaintext taken, -1. */
ssize_t tls_engine_read(struct tls_engine *t, char *buf, size_t n);
ssize_t tls_engine_write(struct tls_engine *t, struct slice plain);
void tls_engine_shut(struct tls_engine *t);

/* tls_ticket.c: session tickets. Keys are HMAC(secret, hour): a restart or another
 * instance makes the same. Any thread. */
struct tls_tickets {
	uint8_t secret[32];
	const struct clock *clock;
	const struct rnd *rnd;
	bool aead_only; /* sessions of older suites are not resumed */
};
enum { TLS_TICKET_LIFE_S = 12 * 3600 };
/* Would it open? Costs one AEAD. */
bool tls_ticket_good(const struct tls_tickets *t, struct slice ticket);
struct mbedtls_ssl_session;
int tls_ticket_write(void *tickets, const struct mbedtls_ssl_session *s, unsigned char *start,
		     const unsigned char *end, size_t *len_r, uint32_t *lifetime_r);
int tls_ticket_parse(void *tickets, struct mbedtls_ssl_session *s, unsigned char *buf, size_t len);

/* tls_cert.c: a self-signed P-256 certificate for localhost, the host's name and addresses,
 * into the two files, unless a usable pair is there. */
int tls_cert_make(const char *cert_file, const char *key_file, const struct tls_options *o, struct err *e);
/* RNG for the library: rnd_system behind its signature. `rnd` is a const struct rnd *. */
int tls_rng(void *rnd, unsigned char *out, size_t n);
/* The record layer's suite for the library's number; TLSREC_NONE: it has none. */
enum tlsrec_suite tls_suite_of(int id);
/* "what: library's text" */
int tls_error(struct err *e, const char *what, int rc);

#endif
