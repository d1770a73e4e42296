/* proxy.h - PROXY protocol v1 and v2: the first bytes of a connection from a
 * trusted proxy name the real peer. Parser pure; proxy_input on the loop. */
#ifndef LOOP_PROXY_H
#define LOOP_PROXY_H

#include "base/slice.h"

struct conn;

enum { PROXY_MAX_BYTES = 1024 };

struct proxy_line {
	bool local;        /* the proxy's own connection (health check): keep the address */
	uint8_t addr[16];
	uint16_t port;
};

/* Length of the header, 0 need more, -1 not one. */
int proxy_parse(struct slice in, struct proxy_line *p_r);
void proxy_input(struct conn *c, struct slice in);

#endif
