/* tls_cert.c - the self-made certificate: P-256, for localhost, this host's name
 * and its addresses. Blocks; at start only. Files are written beside and renamed,
 * so that a crash leaves no half of a pair. */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <mbedtls/ecp.h>
#include <mbedtls/pem.h>
#include <mbedtls/x509_crt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "loop/tls.h"

enum {
	DAYS = 800,            /* phones of one vendor refuse more than 825 */
	MAX_NAMES_BYTES = 1024,
	SAN_DNS = 0x82,        /* GeneralName [2] and [7], RFC 5280 4.2.1.6 */
	SAN_IP = 0x87,
};

struct names {
	unsigned char b[MAX_NAMES_BYTES];
	size_t n;
};

static void add_name(struct names *s, int tag, const void *p, size_t n)
{
	if (n == 0 || n > 127 || s->n + n + 2 > sizeof(s->b))
		return;
	s->b[s->n++] = (unsigned char)tag;
	s->b[s->n++] = (unsigned char)n;
	memcpy(s->b + s->n, p, n);
	s->n += n;
}

static void add_addresses(struct names *s)
{
	struct ifaddrs *list;

	if (getifaddrs(&list) < 0)
		return;
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET)
			add_name(s, SAN_IP, &((struct sockaddr_in *)i->ifa_addr)->sin_addr, 4);
		else if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET6)
			add_name(s, SAN_IP, &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr, 16);
	}
	freeifaddrs(list);
}

/* SEQUENCE of the names; returns its length. */
static size_t wrap(const struct names *s, unsigned char out[MAX_NAMES_BYTES + 4])
{
	size_t h = 0;

	out[h++] = 0x30;
	if (s->n > 255) {
		out[h++] = 0x82;
		out[h++] = (unsigned char)(s->n >> 8);
	} else if (s->n > 127) {
		out[h++] = 0x81;
	}
	out[h++] = (unsigned char)s->n;
	memcpy(out + h, s->b, s->n);
	return h + s->n;
}

static int add_extensions(mbedtls_x509write_cert *w, const char *host)
{
	static const char san_oid[] = "\x55\x1d\x11", eku_oid[] = "\x55\x1d\x25";
	static const unsigned char server_auth[] = { 0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01 };
	unsigned char san[MAX_NAMES_BYTES + 4];
	struct names s = { .n = 0 };
	size_t n;
	int rc;

	add_name(&s, SAN_DNS, "localhost", 9);
	if (strcmp(host, "localhost"))
		add_name(&s, SAN_DNS, host, strlen(host));
	add_addresses(&s);
	n = wrap(&s, san);
	rc = mbedtls_x509write_crt_set_extension(w, san_oid, 3, 0, san, n);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_extension(w, eku_oid, 3, 0, server_auth, sizeof(server_auth));
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_basic_constraints(w, 0, -1);
	return rc;
}

static void stamp(char out[16], int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 16, "%Y%m%d%H%M%S", &tm);
}

static int fill_cert(mbedtls_x509write_cert *w, mbedtls_pk_context *key, const struct tls_options *o)
{
	char host[128] = "localhost", subject[192], from[16], to[16];
	int64_t now = clock_wall(o->clock) / 1000;
	unsigned char serial[16];
	mbedtls_mpi m;
	int rc;

	gethostname(host, sizeof(host) - 1);
	for (char *p = host; *p; p++) /* what a name may not hold in this notation */
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", *p))
			*p = '-';
	snprintf(subject, sizeof(subject), "CN=%.60s,O=zpushd self-made", host);
	stamp(from, now - 86400);
	stamp(to, now + (int64_t)DAYS * 86400);
	o->rnd->fill(o->rnd->self, serial, sizeof(serial));
	serial[0] &= 0x7f;
	serial[0] |= 0x01;
	mbedtls_x509write_crt_set_version(w, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(w, MBEDTLS_MD_SHA256);
	mbedtls_x509write_crt_set_subject_key(w, key);
	mbedtls_x509write_crt_set_issuer_key(w, key);
	mbedtls_mpi_init(&m);
	rc = mbedtls_mpi_read_binary(&m, serial, sizeof(serial));
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_serial(w, &m);
	mbedtls_mpi_free(&m);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_validity(w, from, to);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_subject_name(w, subject);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_issuer_name(w, subject);
	return rc == 0 ? add_extensions(w, host) : rc;
}

static int write_file(const char *path, const char *text, struct err *e)
{
	char tmp[600];
	size_t n = strlen(text);
	int fd;
	bool ok;

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, ERR_CONFIG, "%s: %s", tmp, strerror(errno));
	ok = write(fd, text, n) == (ssize_t)n && fsync(fd) == 0;
	close(fd);
	if (!ok || rename(tmp, path) < 0)
		return err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	return 0;
}

static int make_pair(char *cert, size_t n_cert, char *key_text, size_t n_key, const struct tls_options *o)
{
	mbedtls_x509write_cert w;
	mbedtls_pk_context key;
	int rc;

	mbedtls_x509write_crt_init(&w);
	mbedtls_pk_init(&key);
	rc = mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
	if (rc == 0)
		rc = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), tls_rng, (void *)o->rnd);
	if (rc == 0)
		rc = fill_cert(&w, &key, o);
	if (rc == 0)
		rc = mbedtls_x509write_crt_pem(&w, (unsigned char *)cert, n_cert, tls_rng, (void *)o->rnd);
	if (rc == 0)
		rc = mbedtls_pk_write_key_pem(&key, (unsigned char *)key_text, n_key);
	mbedtls_pk_free(&key);
	mbedtls_x509write_crt_free(&w);
	return rc;
}

/* There, readable, and not past its end. */
static bool usable(const char *cert_file, const char *key_file)
{
	mbedtls_x509_crt c;
	bool ok;

	if (access(key_file, R_OK) < 0)
		return false;
	mbedtls_x509_crt_init(&c);
	ok = mbedtls_x509_crt_parse_file(&c, cert_file) == 0 && !mbedtls_x509_time_is_past(&c.valid_to);
	mbedtls_x509_crt_free(&c);
	return ok;
}

int tls_cert_make(const char *cert_file, const char *key_file, const struct tls_options *o, struct err *e)
{
	char cert[4096], key[1024];
	int rc;

	if (usable(cert_file, key_file))
		return 0;
	if (mkdir(o->data_dir, 0700) < 0 && errno != EEXIST)
		return err_set(e, ERR_CONFIG, "server.data_dir %s: %s", o->data_dir, strerror(errno));
	rc = make_pair(cert, sizeof(cert), key, sizeof(key), o);
	if (rc != 0)
		return tls_error(e, "self-made certificate", rc);
	rc = write_file(key_file, key, e);
	mem_wipe(key, sizeof(key));
	if (rc < 0 || write_file(cert_file, cert, e) < 0)
		return -1;
	LOG_I("certificate_made", L_Z("file", cert_file));
	return 0;
}
