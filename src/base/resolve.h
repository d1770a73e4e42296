/* resolve.h - names to addresses with a deadline: getaddrinfo runs on a thread of
 * its own, because the C library's resolver has none, and answers are shared by
 * the process for a minute. Any thread; blocks at most until the deadline. */
#ifndef BASE_RESOLVE_H
#define BASE_RESOLVE_H

#include <sys/socket.h>

#include "base/err.h"

enum { RESOLVE_MAX = 8 }; /* addresses kept of one name, in the resolver's order */

struct resolve_addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

struct resolved {
	struct resolve_addr v[RESOLVE_MAX];
	size_t n; /* at least 1 after success */
};

/* -1: ERR_TIMEOUT, ERR_REFUSED (no such name), ERR_BUSY (too many look-ups hang). */
int resolve(const char *host, const char *port, int64_t deadline_ms, struct resolved *r_r, struct err *e);

/* How long an answer is kept, for the whole process (limits.dns_cache); at start. */
void resolve_keep(int64_t ms);

#endif
