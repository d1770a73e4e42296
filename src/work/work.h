/* work.h - what a worker may use, and the frame every command runs in.
 *
 * struct work is made once at start (and anew at SIGHUP), shared read-only by
 * all workers; what is inside is thread-safe. The simulation makes one by hand.
 * struct exchange is one request on its way: one worker's, gone with the request.
 *
 * Store round trips: a command names the records it needs before it runs (its
 * `want` hook), exchange loads them with the device in one trip; what it puts is
 * committed in one trip when it returns, or earlier by exchange_commit where the
 * order matters (between a claim and an act). At most two for any command. */
#ifndef WORK_WORK_H
#define WORK_WORK_H

#include "work/exchange.h"

struct pool;        /* pool.h: sessions on backends, checked out and returned */
struct auth;        /* auth.h: remembered verdicts, throttle */
struct policies;    /* policy.h */
struct crash_ring;  /* crash.h: what is in hand, survives the process; may be NULL */

/* Named crash points: tests and the simulation end the process or the run there.
 * delete_change, sendmail, moveitems, foldercreate: between backend write and commit. */
typedef void crash_point_fn(void *self, const char *name);

struct work {
	const struct clock *clock;
	const struct rnd *rnd;
	struct settings *settings;
	struct store *store;
	struct backend *mail, *send; /* by backend.mail; send: smtp beside imap */
	struct pool *pool;
	struct auth *auth;
	struct policies *policies;
	struct crash_ring *ring;
	crash_point_fn *crash_point; /* NULL: none armed */
	void *crash_self;
};

int work_new(struct work **w_r, struct settings *set, const struct clock *clk, const struct rnd *rnd, struct err *e);
void work_free(struct work **w);

struct device; /* device.h */

struct exchange {
	struct work *w;
	struct request *rq;
	struct verdict *v;
	struct arena *a;        /* the request's */
	struct device *dev;     /* loaded and gated; commands change it, exchange commits it */
	uint64_t gen;           /* change counter at load: read before anything looked */
	struct wanted *wanted;  /* records asked for by `want` */
	struct put *puts;       /* records to commit */
	struct session *sessions[2]; /* checked out: mail, send */
	bool claimed;           /* this exchange holds the device's claim */
};

/* Records. want: before the load. got: after it; empty slice when absent. put:
 * replaces (STORE_PUT) or appends (STORE_APPEND) at commit, expecting the revision loaded. */
void exchange_want(struct exchange *x, struct slice key);
struct slice exchange_got(struct exchange *x, struct slice key, uint32_t *base_len_r);
void exchange_put(struct exchange *x, struct slice key, enum store_op op, struct slice value, int64_t ttl_ms);
/* A record that `want` could not name (folders remembered in the device record): one more round trip. */
int exchange_load_more(struct exchange *x, struct err *e);
/* Now instead of at the end. */
int exchange_commit(struct exchange *x, unsigned flags, struct err *e);

/* The user's session in that role, checked out until the exchange ends. BE_PERM
 * ERR_AUTH ends the user's watch and answers 401. */
enum be_result exchange_session(struct exchange *x, enum be_role role, struct session **s_r, struct err *e);
/* Between a backend write and its commit. */
void exchange_crash_point(struct exchange *x, const char *name);

/* Verdicts. reply_wbxml: takes *body. reply_status: the command's Status-only reply
 * (or the HTTP status that versions up to 12.1 get instead). */
void reply_wbxml(struct exchange *x, struct blob **body, int status);
void reply_empty(struct exchange *x);
void reply_status(struct exchange *x, int status);
void reply_http(struct exchange *x, int http_status);
void reply_header(struct exchange *x, const char *name, struct slice value);
void reply_fail(struct exchange *x, const struct err *e);
void reply_park(struct exchange *x, struct park *p, struct slice expire_body);

/* One row of commands.def. */
enum command_flags {
	CMD_WRITES = 1 << 0,    /* takes the device's claim */
	CMD_NO_POLICY = 1 << 1, /* runs before provisioning is done (Provision, OPTIONS) */
	CMD_OFFERED = 1 << 2,   /* named in MS-ASProtocolCommands */
	CMD_PARKS = 1 << 3,     /* may end in PARK; `check` looks again */
};

struct command {
	const char *name;
	unsigned flags;
	void (*want)(struct exchange *x);  /* may be NULL */
	void (*run)(struct exchange *x);
	void (*check)(struct exchange *x); /* a parked one was woken */
};

const struct command *command_by_name(struct slice name);
/* The offered ones joined by commas, in table order, for a protocol version ceiling. */
struct slice command_list(struct arena *a);

#endif
