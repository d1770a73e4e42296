/* http.h - HTTP/1.x requests out of bytes in any split: llhttp with a guard
 * before it. Pure: no sockets, no loop; one owner at a time.
 *
 * The head is gathered whole (capped), checked line by line by the guard and
 * only then shown to llhttp: what the two could read differently (bare CR or
 * LF, folded lines, blanks around names, NUL, two lengths, Transfer-Encoding
 * beside Content-Length or in 1.0, any coding but chunked) is refused, because
 * a proxy in front may read it the other way (RFC 9112 section 11.2). */
#ifndef LOOP_HTTP_H
#define LOOP_HTTP_H

#include <llhttp.h>

#include "base/arena.h"
#include "base/err.h"

struct http_limits {
	uint32_t head_bytes, head_count;
};

struct http_header {
	struct slice name, value; /* value without blanks around it */
};

enum http_verb { HTTP_VERB_GET, HTTP_VERB_HEAD, HTTP_VERB_POST, HTTP_VERB_OPTIONS, HTTP_VERB_OTHER };

/* Valid until http_reset; all slices point into one buffer of the parser. */
struct http_head {
	enum http_verb verb;
	bool minor_0;             /* HTTP/1.0 */
	struct slice path, query; /* as sent, split at the first '?' */
	const struct http_header *v;
	size_t n;
	bool keep_alive, chunked, has_length;
	bool expects_continue, expects_other;
	uint64_t length;
};

/* First header of that name (any case); false when absent. */
bool http_find(const struct http_head *h, const char *name, struct slice *value_r);
/* Is `token` in the comma-separated value, parameters and q=0 regarded? */
bool http_list_has(struct slice value, const char *token);

enum http_event {
	HTTP_MORE, /* everything used, more is needed */
	HTTP_HEAD_DONE, /* p->head is filled; feed the rest */
	HTTP_COMPLETE,  /* the request is whole; the rest belongs to the next one */
	HTTP_BAD,  /* answer p->bad_status and close; *e says why */
};

struct http_parser {
	llhttp_t ll;
	struct http_limits limits;
	struct http_head head;
	/* Body bytes, in order; -1 stops the parse (bad_status 0: the sink knows). */
	int (*body)(void *arg, struct slice chunk);
	void *arg;
	char *buf;            /* the head */
	size_t len, cap, scanned, budget;
	struct http_header *headers;
	size_t cap_headers;
	uint64_t body_bytes, raw_bytes; /* after the head: content, and with framing */
	int bad_status;
	bool started, head_seen, whole;
};

/* Caller's memory. */
void http_init(struct http_parser *p, const struct http_limits *limits,
	       int (*body)(void *arg, struct slice chunk), void *arg);
void http_deinit(struct http_parser *p);
/* Ready for the next request on the connection. */
void http_reset(struct http_parser *p);
enum http_event http_feed(struct http_parser *p, struct slice in, size_t *used_r, struct err *e);

/* The guard alone: `head` ends with the blank line. 0, or the status to refuse with. */
int http_guard(struct slice head, const struct http_limits *limits, struct err *e);

#endif
