/* stream_tls.c - TLS client of stream.c by mbedTLS 2.28 (TLS 1.2). Worker threads.
 * struct stream_tls (CA list, options) is read-only after stream_tls_new and shared;
 * each stream owns its own context. Randomness is getrandom: no shared generator,
 * no lock.
 * Traps: an mbedTLS write that wants to wait must be repeated with the same
 * arguments; the library checks DNS names only, so an address as host is
 * compared with the certificate's iPAddress names here and sends no SNI. */
#include <arpa/inet.h>
#include <errno.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <poll.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/stream_priv.h"

static const char system_ca[] = "/etc/ssl/certs/ca-certificates.crt";

struct stream_tls {
	mbedtls_ssl_config conf;
	mbedtls_x509_crt ca;
	bool verify;
};

struct stream_crypt {
	mbedtls_ssl_context ssl;
};

static int tls_err(struct err *e, const char *what, int rc)
{
	char text[128];

	mbedtls_strerror(rc, text, sizeof(text));
	return err_set(e, ERR_TLS, "%s: %s", what, text);
}

static int random_bytes(void *arg, unsigned char *p, size_t n)
{
	rnd_system.fill(rnd_system.self, p, n);
	return 0;
}

static int load_ca(struct stream_tls *t, const char *file, struct err *e)
{
	int rc = mbedtls_x509_crt_parse_file(&t->ca, file);

	/* Above zero: so many certificates of the bundle are of a kind the library
	 * does not know; the others are in. */
	if (rc < 0 || (rc > 0 && t->ca.version == 0))
		return err_set(e, ERR_CONFIG, "net.tls_ca: cannot read certificates from %s", file);
	return 0;
}

int stream_tls_new(struct stream_tls **t_r, const char *ca_file, bool verify, struct err *e)
{
	struct stream_tls *t = mem_alloc(sizeof(*t));

	mbedtls_ssl_config_init(&t->conf);
	mbedtls_x509_crt_init(&t->ca);
	t->verify = verify;
	*t_r = t;
	if (verify && load_ca(t, ca_file ? ca_file : system_ca, e) < 0)
		goto fail;
	if (mbedtls_ssl_config_defaults(&t->conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
					MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
		err_set(e, ERR_NOMEM, "TLS configuration");
		goto fail;
	}
	mbedtls_ssl_conf_rng(&t->conf, random_bytes, NULL);
	mbedtls_ssl_conf_min_version(&t->conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
	mbedtls_ssl_conf_authmode(&t->conf, verify ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_ca_chain(&t->conf, &t->ca, NULL);
	return 0;
fail:
	stream_tls_free(t_r);
	return -1;
}

void stream_tls_free(struct stream_tls **tp)
{
	struct stream_tls *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	mbedtls_ssl_config_free(&t->conf);
	mbedtls_x509_crt_free(&t->ca);
	free(t);
}

/* -- socket under the library -- */

static int bio_send(void *arg, const unsigned char *p, size_t n)
{
	ssize_t put = stream_raw_write(arg, p, n);

	if (put >= 0)
		return (int)put;
	return errno == EAGAIN || errno == EWOULDBLOCK ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_NET_SEND_FAILED;
}

static int bio_recv(void *arg, unsigned char *p, size_t n)
{
	ssize_t got = stream_raw_read(arg, p, n);

	if (got >= 0)
		return (int)got;
	return errno == EAGAIN || errno == EWOULDBLOCK ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_NET_RECV_FAILED;
}

/* -- who is it -- */

static size_t parse_ip(const char *host, unsigned char ip[16])
{
	if (inet_pton(AF_INET, host, ip) == 1)
		return 4;
	return inet_pton(AF_INET6, host, ip) == 1 ? 16 : 0;
}

static int check_ip(mbedtls_ssl_context *ssl, const unsigned char *ip, size_t len, struct err *e)
{
	enum { IP_ADDRESS = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7 }; /* RFC 5280 4.2.1.6 */
	const mbedtls_x509_crt *peer = mbedtls_ssl_get_peer_cert(ssl);
	const mbedtls_x509_sequence *n = peer ? &peer->subject_alt_names : NULL;

	for (; n; n = n->next)
		if (n->buf.tag == IP_ADDRESS && n->buf.len == len && memcmp(n->buf.p, ip, len) == 0)
			return 0;
	return err_set(e, ERR_TLS, "the certificate does not name the address");
}

static int handshake(struct stream *s, struct err *e)
{
	mbedtls_ssl_context *ssl = &s->crypt->ssl;
	int rc;

	while ((rc = mbedtls_ssl_handshake(ssl)) != 0) {
		if (rc != MBEDTLS_ERR_SSL_WANT_READ && rc != MBEDTLS_ERR_SSL_WANT_WRITE)
			break;
		if (stream_wait(s, rc == MBEDTLS_ERR_SSL_WANT_READ ? POLLIN : POLLOUT, "TLS handshake", e) < 0)
			return -1;
	}
	if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
		char why[160] = "";

		mbedtls_x509_crt_verify_info(why, sizeof(why), "", mbedtls_ssl_get_verify_result(ssl));
		return err_set(e, ERR_TLS, "certificate: %s", why);
	}
	return rc ? tls_err(e, "TLS handshake", rc) : 0;
}

int stream_start_tls(struct stream *s, const struct stream_tls *t, const char *host, struct err *e)
{
	unsigned char ip[16];
	size_t ip_len = parse_ip(host, ip);
	int rc;

	ASSERT(!s->crypt);
	s->crypt = mem_alloc(sizeof(*s->crypt));
	mbedtls_ssl_init(&s->crypt->ssl);
	rc = mbedtls_ssl_setup(&s->crypt->ssl, &t->conf);
	if (rc == 0 && !ip_len)
		rc = mbedtls_ssl_set_hostname(&s->crypt->ssl, host);
	if (rc)
		return tls_err(e, "TLS setup", rc);
	mbedtls_ssl_set_bio(&s->crypt->ssl, s, bio_send, bio_recv, NULL);
	if (handshake(s, e) < 0)
		return err_add(e, "%s", host);
	if (t->verify && ip_len && check_ip(&s->crypt->ssl, ip, ip_len, e) < 0)
		return err_add(e, "%s", host);
	return 0;
}

/* -- bytes -- */

static ssize_t want(int rc, struct stream *s, const char *what, struct err *e)
{
	if (rc == MBEDTLS_ERR_SSL_WANT_READ)
		return STREAM_WANT_READ;
	if (rc == MBEDTLS_ERR_SSL_WANT_WRITE)
		return STREAM_WANT_WRITE;
	if (atomic_load_explicit(&s->cancelled, memory_order_acquire))
		return err_set(e, ERR_CANCELLED, "%s: cancelled", what);
	tls_err(e, what, rc);
	return STREAM_FAILED;
}

ssize_t stream_crypt_read(struct stream *s, void *p, size_t n, struct err *e)
{
	int rc = mbedtls_ssl_read(&s->crypt->ssl, p, n);

	if (rc >= 0)
		return rc;
	if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
		return 0;
	return want(rc, s, "TLS read", e);
}

ssize_t stream_crypt_write(struct stream *s, const void *p, size_t n, struct err *e)
{
	int rc = mbedtls_ssl_write(&s->crypt->ssl, p, n);

	return rc >= 0 ? rc : want(rc, s, "TLS write", e);
}

size_t stream_crypt_pending(const struct stream_crypt *c)
{
	size_t n = mbedtls_ssl_get_bytes_avail(&c->ssl);

	return n ? n : mbedtls_ssl_check_pending(&c->ssl) != 0;
}

void stream_crypt_free(struct stream_crypt **cp)
{
	struct stream_crypt *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	mbedtls_ssl_close_notify(&c->ssl); /* one try, never waits */
	mbedtls_ssl_free(&c->ssl);
	free(c);
}
