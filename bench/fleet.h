/* fleet.h - a fleet of simulated phones in one thread over epoll.
 *
 * peer.c: one HTTP/1.1 connection, plain or TLS, non-blocking. phone.c: what a
 * device asks for, step by step, and what it reads in the answers. fleet.c: the
 * epoll loop, who may start, the counts. zpush-bench.c: options and the words read
 * from stdin. Owns everything; no other threads. */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include <netinet/in.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/list.h"

struct mbedtls_ssl_context;
struct mbedtls_ssl_session;
struct mbedtls_ssl_config;

enum { NO_FD = -1 };

/* --- peer.c ------------------------------------------------------------------- */

struct peer {
	int fd;
	bool connecting, shaking, resume;
	uint32_t mask;              /* epoll events asked for */
	struct sockaddr_in from;    /* source address; port 0 */
	struct mbedtls_ssl_context *ssl;     /* NULL on plain connections */
	struct mbedtls_ssl_session *session; /* of the last connection, for the next */
	char *out, *in;             /* heap, only while there is something in them */
	size_t out_len, out_off, in_len, in_cap;
};

struct reply {
	int status;
	bool close;                 /* the server ends the connection behind it */
	struct slice body;          /* borrowed for the call */
};

struct wire_conf {
	struct sockaddr_in server;
	const struct mbedtls_ssl_config *tls; /* NULL: plain */
};

int peer_tls_config(struct mbedtls_ssl_config **c_r);
/* Starts to connect; 0 or -1 with errno. */
int peer_connect(struct peer *p, const struct wire_conf *w);
void peer_close(struct peer *p);
void peer_free(struct peer *p);
/* Copies; is sent when the socket takes it. */
void peer_send(struct peer *p, struct slice bytes);
/* Does what the socket allows. 1: a whole reply is in *r_r (call peer_consume after
 * it was looked at, then peer_step again), 0: wait, -1: the connection is over. */
int peer_step(struct peer *p, struct reply *r_r);
void peer_consume(struct peer *p);
/* EPOLLIN, EPOLLOUT that it waits for. */
uint32_t peer_wants(const struct peer *p);

/* --- phone.c ------------------------------------------------------------------- */

enum phone_step {
	STEP_PROVISION,  /* asks for the policy */
	STEP_ACKNOWLEDGE,/* takes it */
	STEP_FOLDERS,
	STEP_FIRST_SYNC, /* key 0 of the inbox */
	STEP_SYNC,       /* windows until nothing is left */
	STEP_PING,       /* waits */
	STEP_RESYNC,     /* Syncs that find nothing, then waits again */
	STEP_CONNECT,    /* connects, asks /healthz, and so on */
	STEP_DONE,       /* connected and silent */
	STEP_FAILED,
};

struct fleet;
struct phone {
	struct peer peer;
	struct fleet *fleet;
	unsigned number;
	uint8_t step;
	bool set_up, waits, at_work;
	unsigned retries;
	unsigned again;       /* re-Pings or Syncs left of the word given */
	unsigned in_flight;   /* requests without an answer */
	unsigned policy_key;
	char hierarchy_key[72], sync_key[72], inbox[72]; /* NUL-terminated */
	int64_t asked_us;
};

void phone_start(struct phone *p);
/* The socket may do something. */
void phone_ready(struct phone *p);
/* Words of stdin: so many more Pings (bytes that come while a Ping waits end it), so
 * many Syncs, so many connections with one small request. */
void phone_ping_again(struct phone *p, unsigned n);
void phone_sync_again(struct phone *p, unsigned n);
void phone_connect_again(struct phone *p, unsigned n, bool resume);

/* --- fleet.c ------------------------------------------------------------------- */

struct fleet_options {
	const char *user, *password, *device; /* user, device: printf formats with one %u */
	unsigned phones, users, parallel, window, heartbeat, truncation;
	struct wire_conf wire;
	uint32_t source;      /* first source address, host order; 0: the kernel's choice */
};

struct fleet_counts {
	unsigned waiting, failed, busy;
	uint64_t replies, items, windows, pings, syncs;
	uint64_t sent_bytes, body_bytes;
};

struct fleet {
	struct fleet_options o;
	struct fleet_counts n;
	struct phone *phones;
	struct arena *scratch; /* of one reply */
	int epoll_fd;
	unsigned next;         /* phones started so far */
	unsigned set_up;       /* started and not waiting yet */
	unsigned working;      /* phones that have not finished the word */
	int64_t word_us;
};

int fleet_init(struct fleet *f, const struct fleet_options *o);
void fleet_deinit(struct fleet *f);
/* Starts the phones, then does what stdin says, until it ends or says quit: "ping N",
 * "sync N", "connect N resume|full", each by every phone that waits. Prints one line
 * an event: parked, done, count. */
void fleet_run(struct fleet *f);
/* From phone.c. */
void fleet_watch(struct phone *p);
void fleet_unwatch(struct phone *p);
void fleet_set_waiting(struct phone *p, bool waits);
void fleet_phone_done(struct phone *p); /* with the word */
void fleet_phone_failed(struct phone *p, const char *why, int status);
int64_t now_us(void);

#endif
