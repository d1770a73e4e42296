/* peer.c - one HTTP/1.1 client connection of a simulated phone, plain or TLS 1.2 by
 * mbedTLS. Non-blocking, buffers on the heap only while they hold something.
 * Trap: after peer_step gave a reply its body lies in the buffer: peer_consume. */
#include "fleet.h"

#include <errno.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { READ_BYTES = 16 * 1024, MAX_REPLY = 64 * 1024 * 1024 };

static int random_bytes(void *arg, unsigned char *p, size_t n)
{
	rnd_system.fill(rnd_system.self, p, n);
	return 0;
}

int peer_tls_config(struct mbedtls_ssl_config **c_r)
{
	static const int suites[] = { MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
				      MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0 };
	mbedtls_ssl_config *c = mem_alloc(sizeof(*c));

	mbedtls_ssl_config_init(c);
	if (mbedtls_ssl_config_defaults(c, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
					MBEDTLS_SSL_PRESET_DEFAULT) != 0)
		return -1;
	mbedtls_ssl_conf_rng(c, random_bytes, NULL);
	mbedtls_ssl_conf_ciphersuites(c, suites);
	mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_NONE); /* a bench, against a certificate made at first start */
	*c_r = c;
	return 0;
}

static int bio_send(void *arg, const unsigned char *p, size_t n)
{
	ssize_t put = send(((struct peer *)arg)->fd, p, n, MSG_NOSIGNAL);

	if (put >= 0)
		return (int)put;
	return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_NET_SEND_FAILED;
}

static int bio_recv(void *arg, unsigned char *p, size_t n)
{
	ssize_t got = recv(((struct peer *)arg)->fd, p, n, 0);

	if (got >= 0)
		return (int)got;
	return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_NET_RECV_FAILED;
}

static int start_tls(struct peer *p, const struct wire_conf *w)
{
	p->ssl = mem_alloc(sizeof(*p->ssl));
	mbedtls_ssl_init(p->ssl);
	if (mbedtls_ssl_setup(p->ssl, w->tls) != 0)
		return -1;
	mbedtls_ssl_set_bio(p->ssl, p, bio_send, bio_recv, NULL);
	if (p->session && p->resume)
		mbedtls_ssl_set_session(p->ssl, p->session);
	p->shaking = true;
	return 0;
}

int peer_connect(struct peer *p, const struct wire_conf *w)
{
	int one = 1;

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		return -1;
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (p->from.sin_addr.s_addr != 0) {
		/* The port is chosen at connect: the same one may serve many addresses. */
		setsockopt(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		if (bind(p->fd, (struct sockaddr *)&p->from, sizeof(p->from)) < 0)
			return -1;
	}
	if (connect(p->fd, (const struct sockaddr *)&w->server, sizeof(w->server)) < 0 && errno != EINPROGRESS)
		return -1;
	p->connecting = true;
	return w->tls ? start_tls(p, w) : 0;
}

static void free_tls(struct peer *p)
{
	if (!p->ssl)
		return;
	mbedtls_ssl_free(p->ssl);
	free(p->ssl);
	p->ssl = NULL;
}

void peer_close(struct peer *p)
{
	if (p->ssl && !p->shaking && !p->connecting)
		mbedtls_ssl_close_notify(p->ssl);
	free_tls(p);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = NO_FD;
	free(p->out);
	free(p->in);
	p->out = p->in = NULL;
	p->out_len = p->out_off = p->in_len = p->in_cap = 0;
	p->connecting = p->shaking = false;
	p->mask = 0;
}

void peer_free(struct peer *p)
{
	peer_close(p);
	if (p->session) {
		mbedtls_ssl_session_free(p->session);
		free(p->session);
	}
}

void peer_send(struct peer *p, struct slice bytes)
{
	p->out = mem_realloc(p->out, p->out_len + bytes.len);
	memcpy(p->out + p->out_len, bytes.ptr, bytes.len);
	p->out_len += bytes.len;
}

/* --- bytes ----------------------------------------------------------------------- */

/* >0, 0 would block, -1 over */
static ssize_t raw_write(struct peer *p, const char *b, size_t n)
{
	ssize_t put;

	if (p->ssl) {
		put = mbedtls_ssl_write(p->ssl, (const unsigned char *)b, n);
		return put == MBEDTLS_ERR_SSL_WANT_WRITE || put == MBEDTLS_ERR_SSL_WANT_READ ? 0 : put > 0 ? put : -1;
	}
	put = send(p->fd, b, n, MSG_NOSIGNAL);
	return put >= 0 ? put : errno == EAGAIN ? 0 : -1;
}

static ssize_t raw_read(struct peer *p, char *b, size_t n)
{
	ssize_t got;

	if (p->ssl) {
		got = mbedtls_ssl_read(p->ssl, (unsigned char *)b, n);
		return got == MBEDTLS_ERR_SSL_WANT_WRITE || got == MBEDTLS_ERR_SSL_WANT_READ ? 0 : got > 0 ? got : -1;
	}
	got = recv(p->fd, b, n, 0);
	return got > 0 ? got : got < 0 && errno == EAGAIN ? 0 : -1;
}

static int shake(struct peer *p)
{
	int rc = mbedtls_ssl_handshake(p->ssl);

	if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
		return 0;
	if (rc != 0)
		return -1;
	p->shaking = false;
	if (p->session)
		mbedtls_ssl_session_free(p->session);
	else
		p->session = mem_alloc(sizeof(*p->session));
	mbedtls_ssl_session_init(p->session);
	return mbedtls_ssl_get_session(p->ssl, p->session) == 0 ? 1 : -1;
}

static int finish_connect(struct peer *p)
{
	int error = 0;
	socklen_t n = sizeof(error);
	struct sockaddr_in who;
	socklen_t who_len = sizeof(who);

	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0 || error)
		return -1;
	if (getpeername(p->fd, (struct sockaddr *)&who, &who_len) < 0)
		return errno == ENOTCONN ? 0 : -1;
	p->connecting = false;
	return 1;
}

static int flush(struct peer *p)
{
	while (p->out_off < p->out_len) {
		ssize_t put = raw_write(p, p->out + p->out_off, p->out_len - p->out_off);

		if (put <= 0)
			return (int)put;
		p->out_off += (size_t)put;
	}
	free(p->out);
	p->out = NULL;
	p->out_len = p->out_off = 0;
	return 1;
}

static int fill(struct peer *p)
{
	for (;;) {
		ssize_t got;

		if (p->in_cap - p->in_len < READ_BYTES) {
			p->in_cap = p->in_len + READ_BYTES + p->in_len / 2;
			p->in = mem_realloc(p->in, p->in_cap);
		}
		got = raw_read(p, p->in + p->in_len, p->in_cap - p->in_len);
		if (got <= 0)
			return (int)got;
		p->in_len += (size_t)got;
		if (p->in_len > MAX_REPLY)
			return -1;
	}
}

/* --- replies ------------------------------------------------------------------------ */

static struct slice header_of(struct slice head, const char *name)
{
	struct slice line, rest = head;

	while (slice_split(&rest, '\n', &line)) {
		ptrdiff_t at = slice_chr(line, ':');

		if (at > 0 && slice_ieq(slice_to(line, (size_t)at), slice_str(name)))
			return slice_trim(slice_from(line, (size_t)at + 1));
	}
	return S_NONE;
}

/* Bytes of the reply at the front; 0: not whole; -1: none of ours. */
static ssize_t whole_reply(const struct peer *p, struct reply *r)
{
	const char *end = p->in_len ? memmem(p->in, p->in_len, "\r\n\r\n", 4) : NULL;
	struct slice head, length;
	uint64_t n = 0;

	if (!end)
		return 0;
	head = slice(p->in, (size_t)(end - p->in) + 2);
	if (head.len < 12 || !slice_starts(head, S("HTTP/1.1 ")))
		return -1;
	r->status = atoi(head.ptr + 9);
	length = header_of(head, "Content-Length");
	if (length.len && !slice_u64(length, &n))
		return -1;
	r->close = slice_ieq(header_of(head, "Connection"), S("close"));
	if (p->in_len < head.len + 2 + n)
		return 0;
	r->body = slice(p->in + head.len + 2, n);
	return (ssize_t)(head.len + 2 + n);
}

int peer_step(struct peer *p, struct reply *r)
{
	ssize_t n;
	int over = 0;

	if (p->connecting && finish_connect(p) < 0)
		return -1;
	if (p->connecting)
		return 0;
	if (p->shaking) {
		int rc = shake(p);

		if (rc <= 0)
			return rc;
	}
	if (flush(p) < 0 || fill(p) < 0)
		over = 1;
	n = whole_reply(p, r);
	if (n > 0)
		return 1;
	if (p->in_len == 0) {
		free(p->in);
		p->in = NULL;
		p->in_cap = 0;
	}
	return n < 0 || over ? -1 : 0;
}

void peer_consume(struct peer *p)
{
	struct reply r;
	ssize_t n = whole_reply(p, &r);

	if (n <= 0)
		return;
	p->in_len -= (size_t)n;
	memmove(p->in, p->in + n, p->in_len);
}

uint32_t peer_wants(const struct peer *p)
{
	return p->connecting || p->out_off < p->out_len ? EPOLLIN | EPOLLOUT : EPOLLIN;
}

