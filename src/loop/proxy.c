/* proxy.c - PROXY protocol. A header that is broken closes the connection: who
 * is configured to send one and does not is no phone. */
#include "loop/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "loop/conn_priv.h"
#include "loop/tlsio.h"

enum { V1_MAX = 107, V2_FIXED = 16 };

static const char v2_mark[12] = "\r\n\r\n\0\r\nQUIT\n";

static bool parse_address(struct slice text, bool v6, uint8_t addr[16])
{
	struct net_block b;

	if (slice_chr(text, '/') >= 0 || (slice_chr(text, ':') >= 0) != v6 || !net_block_parse(text, &b))
		return false;
	memcpy(addr, b.addr, 16);
	return true;
}

static int parse_v1(struct slice in, struct proxy_line *p)
{
	ptrdiff_t lf = slice_chr(slice_to(in, V1_MAX), '\n');
	struct slice rest, word[6];
	size_t n = 0;
	uint64_t port;

	if (lf < 0)
		return in.len >= V1_MAX ? -1 : 0;
	if (lf < 1 || in.ptr[lf - 1] != '\r')
		return -1;
	rest = slice_to(in, (size_t)lf - 1);
	while (n < 6 && slice_split(&rest, ' ', &word[n]))
		n++;
	if (n >= 2 && slice_eq(word[1], S("UNKNOWN"))) {
		p->local = true;
		return (int)lf + 1;
	}
	if (n != 6 || rest.ptr || (!slice_eq(word[1], S("TCP4")) && !slice_eq(word[1], S("TCP6"))))
		return -1;
	if (!parse_address(word[2], word[1].ptr[3] == '6', p->addr))
		return -1;
	if (!slice_u64(word[4], &port) || port > 65535)
		return -1;
	p->port = (uint16_t)port;
	return (int)lf + 1;
}

static unsigned be16(const uint8_t *b)
{
	return (unsigned)b[0] << 8 | b[1];
}

static int parse_v2(struct slice in, struct proxy_line *p)
{
	const uint8_t *b = (const uint8_t *)in.ptr;
	unsigned len, family;

	if (in.len < V2_FIXED)
		return 0;
	len = be16(b + 14);
	family = b[13];
	if (b[12] != 0x20 && b[12] != 0x21)
		return -1;
	if (V2_FIXED + len > PROXY_MAX_BYTES)
		return -1;
	if (in.len < V2_FIXED + len)
		return 0;
	if (b[12] == 0x20) { /* LOCAL */
		p->local = true;
	} else if (family == 0x11 && len >= 12) { /* TCP over IPv4 */
		p->addr[10] = p->addr[11] = 0xff;
		memcpy(p->addr + 12, b + 16, 4);
		p->port = (uint16_t)be16(b + 24);
	} else if (family == 0x21 && len >= 36) {
		memcpy(p->addr, b + 16, 16);
		p->port = (uint16_t)be16(b + 48);
	} else if (family == 0x00) {
		p->local = true;
	} else {
		return -1;
	}
	return (int)(V2_FIXED + len);
}

int proxy_parse(struct slice in, struct proxy_line *p_r)
{
	size_t n2 = in.len < sizeof(v2_mark) ? in.len : sizeof(v2_mark);
	size_t n1 = in.len < 6 ? in.len : 6;

	*p_r = (struct proxy_line){ 0 };
	if (in.len == 0)
		return 0;
	if (!memcmp(in.ptr, v2_mark, n2))
		return n2 < sizeof(v2_mark) ? 0 : parse_v2(in, p_r);
	if (!memcmp(in.ptr, "PROXY ", n1))
		return n1 < 6 ? 0 : parse_v1(in, p_r);
	return -1;
}

/* The address counts against its own share, not the proxy's. */
static bool change_peer(struct conn *c, const struct proxy_line *p)
{
	struct loop *l = conn_loop(c);

	if (p->local)
		return true;
	server_release(l, c->addr);
	c->flags &= (uint8_t)~CONN_COUNTED;
	memcpy(c->addr, p->addr, sizeof(c->addr));
	c->port = p->port;
	if (!server_admit(l, c->addr))
		return false;
	c->flags |= CONN_COUNTED;
	return true;
}

void proxy_input(struct conn *c, struct slice in)
{
	struct queue_buf *q = &conn_xfer(c)->pending;
	struct proxy_line p;
	struct queue_buf rest;
	int n;

	queue_put(q, in);
	n = proxy_parse(queue_slice(q), &p);
	if (n == 0)
		return;
	if (n < 0 || !change_peer(c, &p)) {
		conn_close(c, n < 0 ? "no PROXY header" : "address limit");
		return;
	}
	queue_drop(q, (size_t)n);
	rest = *q;
	*q = (struct queue_buf){ 0 };
	conn_drop_xfer(c);
	if (c->flags & CONN_TLS) {
		tlsio_start(c);
		if (queue_slice(&rest).len)
			tlsio_input(c, queue_slice(&rest));
	} else {
		conn_set_state(c, CONN_HEAD);
		conn_input(c, queue_slice(&rest));
	}
	queue_free(&rest);
}
