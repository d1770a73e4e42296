/* route.h - from a request's head to a struct request, or to the answer that
 * needs no worker; and the sink of its body. Pure: no sockets; runs on the loop.
 * MS-ASHTTP 2.2.1.1, and protocol.md on what clients leave out. */
#ifndef LOOP_ROUTE_H
#define LOOP_ROUTE_H

#include <zlib.h>

#include "loop/http.h"
#include "loop/loop.h"
#include "proto/commands.h"
#include "work/exchange.h"

enum sink {
	SINK_NONE,    /* a body is not expected: read over */
	SINK_DECODE,  /* WBXML into the command's request struct */
	SINK_RFC822,  /* the mail itself, into a blob */
};

/* Reads one body as it arrives. A body that cannot be read is read over to its
 * end, so that the command can answer with its status. */
struct body {
	struct request *rq;
	enum sink sink;
	bool broken;           /* decoder or unpacker gave up; rest is read over */
	bool too_large, complete;
	bool packed, unpacked_end;
	uint64_t limit, in, out; /* bytes: as sent, after unpacking */
	struct decoder *decoder; /* in the request's arena */
	z_stream z;
	struct err err;
};

struct route {
	bool exchange;       /* else answer with status and text, no worker */
	int status;
	const char *text;    /* body of that answer, text/plain */
	const char *header;  /* one more line, whole; may be NULL */
};

/* Where it came from. */
struct route_peer {
	struct slice address; /* text */
	bool tls, trusted;    /* trusted: its X-Forwarded-* count */
	bool draining;
};

/* Fills rq (zeroed, with its arena) and the sink. All slices are copied into the arena. */
void route_request(const struct loop_config *c, const struct http_head *h, const struct route_peer *peer,
		   struct request *rq, struct body *b, struct route *r_r);

/* 0, or -1: past limits.body_bytes (answer 413). */
int body_feed(struct body *b, struct slice chunk);
/* The body ended: fills rq->body_kind, decoded, version. */
void body_end(struct body *b);
/* Frees what the arena does not own. */
void body_deinit(struct body *b);

/* "Basic ..." to login and password, both UTF-8: valid UTF-8 is taken as it is, else it was Latin-1. */
bool basic_auth(struct arena *a, struct slice header, struct slice *login_r, struct slice *password_r);

#endif
