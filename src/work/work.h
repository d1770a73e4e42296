/* work.h - what a worker may use, and the frame every command runs in.
 *
 * struct work is made once at start (and anew at SIGHUP), shared read-only by
 * all workers; what is inside is thread-safe. The simulation makes one by hand.
 * struct exchange is one request on its way: one worker's, gone with the request.
 *
 * Store round trips: a command names the records it needs before it runs (its
 * `want` hook), exchange loads them with the device and the user record in one
 * trip; what it puts is committed in one trip when it returns, or earlier by
 * exchange_commit where the order matters (between a claim and an act). At most
 * two for any command. */
#ifndef WORK_WORK_H
#define WORK_WORK_H

#include "proto/commands.h"
#include "work/clients.h"
#include "work/device.h"
#include "work/exchange.h"
#include "work/folders.h"

struct pool;        /* pool.h: sessions on backends, checked out and returned */
struct auth;        /* auth.h: remembered verdicts, throttle */
struct policies;    /* policy.h */
struct fuse;        /* fuse.h: devices that ask without end; may be NULL */
struct crash_ring;  /* crash.h: what is in hand, survives the process; may be NULL */

/* Named crash points: tests and the simulation end the process or the run there.
 * delete_change, sendmail, moveitems, foldercreate: between backend write and commit. */
typedef void crash_point_fn(void *self, const char *name);

/* What outlives a reload: shared by a work and its successor. */
struct work_core;

struct work {
	const struct clock *clock;
	const struct rnd *rnd;
	struct settings *settings;
	struct store *store;
	struct backend *mail, *send; /* by backend.mail; send: smtp beside imap */
	struct pool *pool;
	struct auth *auth;
	struct policies *policies;
	struct clients *clients;     /* clients.h */
	struct fuse *fuse;
	struct crash_ring *ring;
	struct trace *trace;         /* trace.h; may be NULL */
	uint64_t instance;           /* this process, random */
	crash_point_fn *crash_point; /* NULL: none armed */
	void *crash_self;
	struct work_core *core;      /* NULL: made by hand, nothing is freed with it */
};

/* Opens store, backends, pool, auth, crash ring by the settings. */
int work_new(struct work **w_r, struct settings *set, const struct clock *clk, const struct rnd *rnd, struct err *e);
/* SIGHUP: the same store, backends, sessions and remembered logins under new
 * settings (those that need no restart). The old one stays valid until freed. */
int work_renew(struct work **w_r, struct work *old, struct settings *set, struct err *e);
/* The last one of a core closes everything. */
void work_free(struct work **w);

struct handler;
struct wanted;

struct exchange {
	struct work *w;
	struct request *rq;
	struct verdict *v;
	struct arena *a;               /* the request's */
	const struct handler *handler;
	const struct command *wire;    /* proto/commands.h */
	struct device *dev;            /* loaded and gated; touched groups are committed */
	struct client_traits client;   /* by [[client]]: bounds of this device */
	uint64_t gen;                  /* change counter at load: read before anything looked */
	struct be_cred cred;
	bool claimed;                  /* this exchange holds the device's claim */
	bool answered;                 /* a verdict stands */
	bool quiet;                    /* slowed again: its one log line was written */
	int64_t fused_ms;              /* slowed just now, for so long: marked once the device is loaded */

	/* exchange.c's and records.c's own */
	struct wanted *wanted;
	size_t n_wanted, cap_wanted, n_loaded;
	struct folder_map *map;
	struct synckey hier_loaded;    /* dev->hier.key as loaded */
	struct store_claim claim;
	struct session *session[2];    /* mail, send */
	enum be_result worst[2];
	bool took;                     /* device epoch was raised: publish after commit */
	struct slice told;             /* folder whose flag details changed: no mail server tells the others */
};

/* Records. want: before the load (or any time before exchange_load_more). got: after
 * it; empty slice when absent. put: replaces (STORE_PUT), appends or deletes at commit,
 * expecting the revision loaded (STORE_ANY when it was not loaded). */
void exchange_want(struct exchange *x, struct slice key);
struct slice exchange_got(struct exchange *x, struct slice key, uint32_t *base_len_r);
void exchange_put(struct exchange *x, struct slice key, enum store_op op, struct slice value, int64_t ttl_ms);
/* What was put there may be left out of the commit when another one wrote first. */
void exchange_put_loose(struct exchange *x, struct slice key);
/* Records that `want` could not name: one more round trip. */
int exchange_load_more(struct exchange *x, struct err *e);
/* Now instead of at the end; the claim stays. ERR_STORE_RACE: another command of this
 * device or another server wrote one of the records put; load and look again. */
int exchange_commit(struct exchange *x, unsigned flags, struct err *e);

/* The user's folders as remembered (no backend call). NULL with *e when the record is damaged. */
struct folder_map *exchange_folders(struct exchange *x, struct err *e);
/* Asks the backend and refreshes the map. */
enum be_result exchange_refresh_folders(struct exchange *x, struct err *e);
/* An id, looked up; where the map does not have it the backend is asked once. NULL:
 * there is none (*e ERR_NOT_FOUND) or it could not be told (other code). */
struct folder *exchange_folder(struct exchange *x, struct slice id, struct err *e);
/* The user's mail address, by user.address: From, UserInformation. */
struct slice exchange_address(struct exchange *x);
struct synckey_scope exchange_scope(struct exchange *x, struct slice collection);

/* The user's session in that role (BE_MAIL, BE_SEND), checked out until the exchange
 * ends. BE_PERM ERR_AUTH ends the user's watch and answers 401. */
enum be_result exchange_session(struct exchange *x, enum be_role role, struct session **s_r, struct err *e);
/* Each call's result on a session, so that a broken one is not reused. Returns r. */
enum be_result exchange_result(struct exchange *x, enum be_role role, enum be_result r);
/* For a check that found news: waits for commands of this device that are under way and
 * loads anew, so that what the phone is just doing itself does not count. False: it
 * is answered. Everything read from records before is void. */
bool exchange_look_again(struct exchange *x);
/* 503: the device asks too often; nothing is lost, it comes back. */
void exchange_slow(struct exchange *x, int64_t retry_ms, const char *limit);
/* Between a backend write and its commit. */
void exchange_crash_point(struct exchange *x, const char *name);
/* This server now has the device's waiting request: raises the epoch when another had
 * it, and tells the others. Ping calls it first; reply_park does it by itself. */
void exchange_take(struct exchange *x);

/* Verdicts; the last one counts. reply_wbxml: takes *body. reply_struct: encodes it.
 * reply_status: the command's Status-only reply from 14.0, or the HTTP status that
 * versions up to 12.1 get instead of the common ones (100-…); a command's own
 * statuses (below 100) go in a reply at any version. */
void reply_wbxml(struct exchange *x, struct blob **body, int status);
void reply_struct(struct exchange *x, const struct schema *s, const void *obj, int status);
void reply_empty(struct exchange *x);
void reply_status(struct exchange *x, int status);
void reply_http(struct exchange *x, int http_status);
void reply_header(struct exchange *x, const char *name, struct slice value);
/* By the error's code: 401, 503 with Retry-After, or the fitting common status. */
void reply_fail(struct exchange *x, const struct err *e);
void reply_park(struct exchange *x, struct park *p, struct slice expire_body);

/* One row of src/work/commands.def. */
enum handler_flags {
	CMD_WRITES = 1 << 0,    /* takes the device's claim */
	CMD_NO_POLICY = 1 << 1, /* runs before provisioning is done, and for a device to be wiped (Provision) */
	CMD_PARKS = 1 << 2,     /* may end in PARK; `check` looks again */
	CMD_NO_KEY = 1 << 3,    /* sent without a policy key by real phones (Ping) */
	CMD_EMPTY_BODY = 1 << 4,/* no body at all is legal (Ping, Sync) */
};

struct handler {
	enum eas_command id;
	unsigned flags;
	void (*want)(struct exchange *x);  /* may be NULL; device and user record are loaded anyway */
	void (*run)(struct exchange *x);
	void (*check)(struct exchange *x); /* a parked one was woken; NULL without CMD_PARKS */
};

/* NULL: not there. */
const struct handler *handler_find(enum eas_command id);
/* What OPTIONS names, joined by commas: commands that have a handler, in proto's order. */
struct slice command_list(struct arena *a);
/* Up to and with max (enum eas_version). */
struct slice version_list(struct arena *a, int max);

#endif
