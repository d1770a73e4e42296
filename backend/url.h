/* url.h - "scheme://host[:port][/]" of backend settings, and net.tls_* of them.
 * Any thread. */
#ifndef BACKEND_URL_H
#define BACKEND_URL_H

#include "base/settings.h"
#include "base/stream.h"

struct url_scheme {
	const char *name;
	int value;
	const char *port; /* default; NULL: a unix socket, "scheme:/path" */
};

struct url {
	int scheme;    /* value of the scheme found */
	char *address; /* for stream_open; caller frees */
	char *host;    /* for certificates; caller frees; NULL for a unix socket */
};

/* -1: none of these schemes, or no host. */
int url_parse(struct slice s, const struct url_scheme *schemes, size_t n, struct url *u_r);
/* A TLS client by net.tls_ca and net.tls_verify; caller frees. */
int url_tls(struct stream_tls **t_r, const struct settings *set, struct err *e);

#endif
