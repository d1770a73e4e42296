/* loop.h - the loop room from outside: what main calls.
 *
 * One `struct loop` is one libuv loop with its listeners, connections, worker
 * pool and one timer wheel; several in a process are possible. Everything here
 * runs on the thread that calls loop_run, except loop_stop.
 *
 *   loop_config_load(&cfg, settings);
 *   loop_new(&l, &cfg, &deps, &e);
 *   push_init(l); ...                      rooms beside that hang on to it
 *   loop_listen(l, S("127.0.0.1:8080"), LISTEN_PLAIN, NULL, &e);
 *   (drop privileges)
 *   loop_run(l);                           until loop_stop or SIGTERM's drain
 *   ...deinit in mirror order...
 *   loop_free(&l); */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/clock.h"
#include "base/settings.h"
#include "job.h"

struct loop;
struct work;

enum { LOOP_MAX_PROXIES = 64 };

/* An address block: IPv4 is kept as ::ffff:a.b.c.d. */
struct net_block {
	uint8_t addr[16];
	uint8_t bits; /* leading bits that count, 0..128 */
};

/* Copied by loop_new; durations in milliseconds of clock now_ms. */
struct loop_config {
	unsigned workers;
	unsigned queue_max;             /* jobs waiting at once */
	unsigned connections;           /* open at once; 0: what descriptors carry */
	unsigned connections_per_address;
	unsigned connections_per_user;  /* who has proved to be one */
	unsigned descriptor_reserve;    /* kept for backends and store */
	uint32_t head_bytes;            /* request line and headers */
	uint32_t head_count;            /* header lines */
	uint64_t body_bytes;            /* request body, after unpacking */
	uint32_t body_memory;           /* of one in memory, the rest spills */
	uint32_t wbxml_depth, wbxml_elements;
	uint64_t wbxml_string, wbxml_opaque;
	int64_t idle_ms;                /* keep-alive without a request */
	int64_t head_ms;                /* first byte to end of headers */
	int64_t body_ms;                /* for each 16 KiB of body */
	int64_t write_ms;               /* for each 16 KiB of reply */
	int64_t handshake_ms;           /* TLS, whole */
	int64_t request_ms;             /* request.deadline_ms after its arrival */
	int64_t job_wait_ms[JOB_CLASSES]; /* older jobs are shed; 0 never */
	int64_t keepalive_ms;           /* TCP keep-alive */
	int64_t drain_ms;               /* SIGTERM: over how long parked phones are answered */
	unsigned handshakes;            /* full TLS handshakes queued or running; beyond: not accepted */
	bool proxy_protocol;
	struct net_block proxies[LOOP_MAX_PROXIES]; /* whose headers and PROXY lines count */
	size_t n_proxies;
	int version_max;                /* highest protocol version served, 141 */
};

void loop_config_default(struct loop_config *c);
/* The defaults overlaid by settings. -1 with ERR_CONFIG names the key. */
int loop_config_load(struct loop_config *c, const struct settings *s, struct err *e);
/* "10.0.0.0/8", "::1"; false when neither. */
bool net_block_parse(struct slice s, struct net_block *b_r);

/* Borrowed; must outlive the loop. */
struct loop_deps {
	const struct clock *clock;
	const struct rnd *rnd;
	struct work *work;
	const char *data_dir;                     /* self-made certificate, auth secret */
	const char *certificate, *key;            /* PEM files; NULL or "": self-made in data_dir */
	const char *tls_min_version;              /* "1.2" or "1.0"; NULL: "1.2" */
	struct slice secret;                      /* auth_secret: TLS tickets survive a restart and work on
						   * every instance. Empty: drawn at start */
	void (*on_reload)(void *arg, struct loop *l); /* SIGHUP, on the loop; may be NULL */
	void *reload_arg;
};

enum listen_kind { LISTEN_PLAIN, LISTEN_TLS };

/* Raises the descriptor limit, starts the workers. Signals are handled by the
 * loop from here on: SIGTERM and SIGINT drain, SIGHUP reloads, SIGPIPE ignored. */
int loop_new(struct loop **l_r, const struct loop_config *c, const struct loop_deps *d, struct err *e);
/* "host:port" with a numeric host or "localhost", "[::]:8443", "*:80", "unix:/path". *port_r
 * (may be NULL) is the bound port: 0 asks the kernel for a free one. The first
 * TLS listener loads (or makes) the certificate. */
int loop_listen(struct loop *l, struct slice address, enum listen_kind kind, unsigned *port_r, struct err *e);
/* Blocks; returns after a drain or loop_stop. */
void loop_run(struct loop *l);
/* From any thread or a signal handler: ends loop_run without a drain. */
void loop_stop(struct loop *l);
/* Loop: what SIGTERM does. */
void loop_drain(struct loop *l);
/* Frees connections, waits for running jobs, joins the workers. */
void loop_free(struct loop **l);

uv_loop_t *loop_uv(struct loop *l);
struct jobs *loop_jobs(struct loop *l);
/* After a reload: later jobs use w. Jobs in flight keep the old one until *in_flight_r is 0. */
void loop_set_work(struct loop *l, struct work *w);
/* New limits and times (SIGHUP): what workers, queue and listeners were made from stays. */
void loop_configure(struct loop *l, const struct loop_config *c);
/* Reads certificate and key again. The old ones stay in use on an error. */
int loop_reload_tls(struct loop *l, const char *certificate, const char *key, struct err *e);

struct loop_stats {
	unsigned connections, tls_connections, parked, draining;
	uint64_t accepted, refused_limit, refused_address, late_answers;
	unsigned exchanges_running; /* jobs that hold the struct work they started with */
	int64_t longest_turn_us;    /* since the last call */
	size_t bytes_per_parked;    /* this room's user-space bytes of a parked phone, plain TCP */
};
void loop_stats(struct loop *l, struct loop_stats *s_r);

#endif
