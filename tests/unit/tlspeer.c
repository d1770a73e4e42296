/* tlspeer.c - mbedTLS as a server for the tests of stream and imap. The caller's
 * thread; owns its key, certificate and session. */
#include "tests/unit/tlspeer.h"

#include <mbedtls/ecp.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/clock.h"
#include "tests/unit/harness.h"

struct tlspeer {
	mbedtls_pk_context key;
	mbedtls_x509_crt crt;
	mbedtls_ssl_config conf;
	mbedtls_ssl_context ssl;
	int fd;
};

static int rng(void *arg, unsigned char *p, size_t n)
{
	rnd_system.fill(NULL, p, n);
	return 0;
}

/* subjectAltName: DNS:localhost, IP:127.0.0.1 */
static const unsigned char alt_names[] = { 0x30, 0x11, 0x82, 9, 'l', 'o', 'c', 'a', 'l', 'h', 'o',
					   's',  't',  0x87, 4, 127, 0,   0,   1 };

static void make_certificate(struct tlspeer *p, char pem[4096])
{
	mbedtls_x509write_cert w;
	mbedtls_mpi serial;

	CHECK_INT(mbedtls_pk_setup(&p->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), 0);
	CHECK_INT(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(p->key), rng, NULL), 0);
	mbedtls_x509write_crt_init(&w);
	mbedtls_mpi_init(&serial);
	mbedtls_mpi_lset(&serial, 1);
	mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(&w, &p->key);
	mbedtls_x509write_crt_set_issuer_key(&w, &p->key);
	mbedtls_x509write_crt_set_serial(&w, &serial);
	CHECK_INT(mbedtls_x509write_crt_set_subject_name(&w, "CN=localhost"), 0);
	CHECK_INT(mbedtls_x509write_crt_set_issuer_name(&w, "CN=localhost"), 0);
	CHECK_INT(mbedtls_x509write_crt_set_validity(&w, "20200101000000", "20991231235959"), 0);
	CHECK_INT(mbedtls_x509write_crt_set_basic_constraints(&w, 1, -1), 0);
	CHECK_INT(mbedtls_x509write_crt_set_extension(&w, "\x55\x1d\x11", 3, 0, alt_names, sizeof(alt_names)), 0);
	CHECK_INT(mbedtls_x509write_crt_pem(&w, (unsigned char *)pem, 4096, rng, NULL), 0);
	mbedtls_mpi_free(&serial);
	mbedtls_x509write_crt_free(&w);
}

struct tlspeer *tlspeer_new(const char *pem_path)
{
	struct tlspeer *p = mem_alloc(sizeof(*p));
	char pem[4096];
	FILE *f = fopen(pem_path, "w");

	CHECK(f);
	mbedtls_pk_init(&p->key);
	mbedtls_x509_crt_init(&p->crt);
	mbedtls_ssl_config_init(&p->conf);
	mbedtls_ssl_init(&p->ssl);
	make_certificate(p, pem);
	fputs(pem, f);
	fclose(f);
	CHECK_INT(mbedtls_x509_crt_parse(&p->crt, (unsigned char *)pem, strlen(pem) + 1), 0);
	CHECK_INT(mbedtls_ssl_config_defaults(&p->conf, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
					      MBEDTLS_SSL_PRESET_DEFAULT), 0);
	mbedtls_ssl_conf_rng(&p->conf, rng, NULL);
	CHECK_INT(mbedtls_ssl_conf_own_cert(&p->conf, &p->crt, &p->key), 0);
	CHECK_INT(mbedtls_ssl_setup(&p->ssl, &p->conf), 0);
	return p;
}

void tlspeer_free(struct tlspeer **pp)
{
	struct tlspeer *p = *pp;

	*pp = NULL;
	mbedtls_ssl_free(&p->ssl);
	mbedtls_ssl_config_free(&p->conf);
	mbedtls_x509_crt_free(&p->crt);
	mbedtls_pk_free(&p->key);
	free(p);
}

static int out(void *arg, const unsigned char *b, size_t n)
{
	ssize_t r = send(*(int *)arg, b, n, MSG_NOSIGNAL);

	return r < 0 ? MBEDTLS_ERR_NET_SEND_FAILED : (int)r;
}

static int in(void *arg, unsigned char *b, size_t n)
{
	ssize_t r = recv(*(int *)arg, b, n, 0);

	return r < 0 ? MBEDTLS_ERR_NET_RECV_FAILED : (int)r;
}

bool tlspeer_accept(struct tlspeer *p, int fd)
{
	p->fd = fd;
	mbedtls_ssl_session_reset(&p->ssl);
	mbedtls_ssl_set_bio(&p->ssl, &p->fd, out, in, NULL);
	return mbedtls_ssl_handshake(&p->ssl) == 0;
}

int tlspeer_read(struct tlspeer *p, void *buf, size_t n)
{
	int r = mbedtls_ssl_read(&p->ssl, buf, n);

	return r < 0 ? 0 : r;
}

int tlspeer_write(struct tlspeer *p, const void *buf, size_t n)
{
	return mbedtls_ssl_write(&p->ssl, buf, n);
}

void tlspeer_bye(struct tlspeer *p)
{
	mbedtls_ssl_close_notify(&p->ssl);
}
