/* exchange.h - one request through the workers: authenticate, load the device,
 * gate it (allowed? wipe? policy?), run its command, and end in a verdict.
 *
 * Worker thread; also called without loop or threads by the simulation: clock,
 * randomness, store and backends come in by `struct work`.
 * Ownership: a request owns its arena, its decoded body and its blobs. The
 * verdict's body is handed to the loop. A handler ends in REPLY, PARK or FAIL. */
#ifndef WORK_EXCHANGE_H
#define WORK_EXCHANGE_H

#include "backend/backend.h"
#include "proto/query.h"
#include "work/store.h"

struct work;          /* work.h: everything a worker may use */
struct decode_report; /* proto/schema.h */

enum http_method { HTTP_M_GET, HTTP_M_HEAD, HTTP_M_POST, HTTP_M_OPTIONS };

enum body_kind {
	BODY_NONE,    /* Content-Length: 0 or no body at all */
	BODY_DECODED, /* WBXML, read into `decoded` by the command's request schema */
	BODY_RFC822,  /* SendMail and friends before 14.0: `raw` */
	BODY_BAD,     /* could not be read, or is of another command: see `report` */
};

enum request_kind {
	REQUEST_HTTP,  /* a phone sent it */
	REQUEST_CHECK, /* a parked Ping or Sync was woken: look whether something changed */
};

struct request {
	struct arena *arena;      /* owns everything below; freed with the request */
	enum request_kind kind;
	uint64_t rid;             /* request id, for logs */
	int64_t received_ms;      /* clock now_ms */
	int64_t deadline_ms;      /* the reply must be begun by then */

	enum http_method method;
	bool tls;
	struct slice peer;        /* address text, after proxies */
	struct slice host;        /* Host header */
	struct slice user_agent;
	struct slice content_type;
	bool accepts_gzip, accepts_multipart;
	struct eas_query query;   /* request line; query.version 0 when it has none */
	int version;              /* enum eas_version the request is read as */
	bool version_given;       /* by header or base64 line */
	bool has_policy_key;
	uint32_t policy_key;

	bool has_auth;            /* Basic, decoded */
	struct slice login, password;
	struct slice user;        /* canonical; filled by exchange (CHECK: given) */

	enum body_kind body_kind;
	void *decoded;            /* struct of the command's request schema, in the arena */
	struct decode_report *report;
	struct blob *raw;         /* owned */

	struct blob *traced;      /* owned; the body as it came, for a device that is traced; else NULL */

	/* REQUEST_CHECK: what was parked. */
	struct park *parked;
};

enum park_kind { PARK_PING, PARK_SYNC };

/* What the loop keeps of a waiting phone. In the request's arena: the loop copies
 * what it keeps. */
struct park {
	enum park_kind kind;
	struct slice user, device_id, device_type;
	int version;
	int64_t until_ms;            /* clock now_ms; before the jitter the loop applies */
	uint64_t gen;                /* change counter read before the check looked */
	const struct slice *folders; /* backend paths it waits for (topics); n 0: all */
	size_t n_folders;
	bool wants_hierarchy;        /* folder list changes count too */
	uint64_t session;            /* device epoch: a check finds out that it was superseded */
	struct be_cred cred;         /* for the watch and later checks */
};

enum verdict_kind { VERDICT_REPLY, VERDICT_PARK, VERDICT_FAIL };

struct reply_header {
	struct slice name, value;
};

struct verdict {
	enum verdict_kind kind;
	int http_status;
	struct slice content_type;      /* empty: none is sent */
	struct reply_header headers[16];
	size_t n_headers;
	struct blob *body;              /* NULL: Content-Length: 0; the loop's after return */
	struct park *park;              /* VERDICT_PARK */
	/* Answer when a parked phone's time is up, made in advance; small. NULL with
	 * status 200: an empty body. */
	struct slice expire_body;
	struct err err;                 /* VERDICT_FAIL and error replies: for the one log line */
	/* Tells the loop about other waiters and watches. */
	bool ends_older;                /* a newer Ping of this device: end the parked one */
	struct slice older_body;        /* with this body (Ping status 3) */
	bool drop_user;                 /* login refused: end this user's watch and Pings */
	/* For the request's log line. */
	unsigned items_in, items_out;
	int status;                     /* EAS Status, 0 none */
};

void request_free(struct request **r);
/* Fills *v_r whole; never fails otherwise. */
void exchange_run(struct work *w, struct request *r, struct verdict *v_r);

#endif
