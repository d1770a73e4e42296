/* tls.c - mbedTLS as an engine for handshakes.
 * A step runs on the loop or on a worker, whoever owns the engine then. Owns:
 * tls_server the certificate, key and configuration; tls_engine its context, a
 * shallow copy of the configuration (the key export callback needs an argument of
 * its own) and two byte queues. Trap: the library is fed whole records only, so
 * that tls_engine_cost can read the next one in the queue. */
#include "loop/tls.h"

#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"

enum {
	QUEUE_MAX = 160 * 1024,
	RECORD_MAX = 16384 + 2048,
	HELLO_TYPE = 1,
	EXT_TICKET = 35,
};

struct queue {
	char *p;
	size_t off, len, cap;
};

struct tls_server {
	atomic_uint refs;
	mbedtls_x509_crt chain;
	mbedtls_pk_context key;
	mbedtls_ssl_config conf;
	struct tls_tickets tickets;
};

struct tls_engine {
	struct tls_server *server;
	mbedtls_ssl_config conf;  /* shallow copy */
	mbedtls_ssl_context ssl;
	struct queue in, out;
	size_t servable;          /* of `in`: whole records */
	bool resumed, done, failed, have_keys;
	size_t key_len, iv_len;
	uint8_t key_in[32], key_out[32], iv_in[16], iv_out[16];
};

/* P-256 first: half the price of the next curve here. */
static const mbedtls_ecp_group_id curves[] = {
	MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_NONE
};

static const struct {
	int id;
	enum tlsrec_suite suite;
} aead_suites[] = {
	{ MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLSREC_AES_128_GCM },
	{ MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLSREC_AES_128_GCM },
	{ MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLSREC_CHACHA20_POLY1305 },
	{ MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, TLSREC_CHACHA20_POLY1305 },
	{ MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLSREC_AES_256_GCM },
	{ MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLSREC_AES_256_GCM },
};
enum { N_AEAD = sizeof(aead_suites) / sizeof(*aead_suites) };

static const int strict_suites[] = {
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	0
};

/* tls.min_version below 1.2: what Windows Mobile, old Android and Symbian offer. */
static const int old_suites[] = {
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	MBEDTLS_TLS_RSA_WITH_AES_128_CBC_SHA,
	MBEDTLS_TLS_RSA_WITH_AES_256_CBC_SHA,
	0
};

enum tlsrec_suite tls_suite_of(int id)
{
	for (size_t i = 0; i < N_AEAD; i++)
		if (aead_suites[i].id == id)
			return aead_suites[i].suite;
	return TLSREC_NONE;
}

int tls_error(struct err *e, const char *what, int rc)
{
	char text[128];

	mbedtls_strerror(rc, text, sizeof(text));
	return err_set(e, ERR_TLS, "%s: %s", what, text);
}

int tls_rng(void *rnd, unsigned char *out, size_t n)
{
	const struct rnd *r = rnd;

	r->fill(r->self, out, n);
	return 0;
}

/* -- server ------------------------------------------------------------------- */

static int export_keys(void *arg, const unsigned char *ms, const unsigned char *kb, size_t maclen, size_t keylen,
		       size_t ivlen, const unsigned char client_random[32], const unsigned char server_random[32],
		       mbedtls_tls_prf_types prf)
{
	struct tls_engine *t = arg;
	const unsigned char *key = kb + 2 * maclen, *iv = key + 2 * keylen;

	(void)ms;
	(void)client_random;
	(void)server_random;
	(void)prf;
	t->have_keys = maclen == 0 && keylen <= sizeof(t->key_in) && ivlen <= sizeof(t->iv_in);
	if (!t->have_keys)
		return 0;
	t->key_len = keylen;
	t->iv_len = ivlen;
	memcpy(t->key_in, key, keylen); /* the client's write key */
	memcpy(t->key_out, key + keylen, keylen);
	memcpy(t->iv_in, iv, ivlen);
	memcpy(t->iv_out, iv + ivlen, ivlen);
	return 0;
}

static int min_minor(const char *version)
{
	if (version && !strcmp(version, "1.0"))
		return MBEDTLS_SSL_MINOR_VERSION_1;
	if (version && !strcmp(version, "1.1"))
		return MBEDTLS_SSL_MINOR_VERSION_2;
	return MBEDTLS_SSL_MINOR_VERSION_3;
}

static int load_pair(struct tls_server *s, const char *cert, const char *key, struct err *e)
{
	int rc = mbedtls_x509_crt_parse_file(&s->chain, cert);

	if (rc != 0)
		return tls_error(e, cert, rc < 0 ? rc : MBEDTLS_ERR_X509_CERT_UNKNOWN_FORMAT);
	rc = mbedtls_pk_parse_keyfile(&s->key, key, NULL);
	if (rc != 0)
		return tls_error(e, key, rc);
	rc = mbedtls_pk_check_pair(&s->chain.pk, &s->key);
	if (rc != 0)
		return err_set(e, ERR_CONFIG, "%s is not the key of %s", key, cert);
	return 0;
}

/* The library fills a table in the key at its first signature; done here, the key
 * is only read afterwards and threads may share it. */
static int warm_key(struct tls_server *s, const struct tls_options *o, struct err *e)
{
	unsigned char hash[32] = { 1 }, sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
	size_t n;
	int rc = mbedtls_pk_sign(&s->key, MBEDTLS_MD_SHA256, hash, sizeof(hash), sig, &n, tls_rng, (void *)o->rnd);

	return rc == 0 ? 0 : tls_error(e, "tls.key: cannot sign", rc);
}

static int configure(struct tls_server *s, const struct tls_options *o, struct err *e)
{
	mbedtls_ssl_config *c = &s->conf;
	int minor = min_minor(o->min_version);
	int rc = mbedtls_ssl_config_defaults(c, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
					     MBEDTLS_SSL_PRESET_DEFAULT);

	if (rc != 0)
		return tls_error(e, "TLS defaults", rc);
	mbedtls_ssl_conf_min_version(c, MBEDTLS_SSL_MAJOR_VERSION_3, minor);
	mbedtls_ssl_conf_ciphersuites(c, minor == MBEDTLS_SSL_MINOR_VERSION_3 ? strict_suites : old_suites);
	mbedtls_ssl_conf_curves(c, curves);
	mbedtls_ssl_conf_rng(c, tls_rng, (void *)o->rnd);
	mbedtls_ssl_conf_export_keys_ext_cb(c, export_keys, NULL);
	mbedtls_ssl_conf_session_tickets_cb(c, tls_ticket_write, tls_ticket_parse, &s->tickets);
	rc = mbedtls_ssl_conf_own_cert(c, &s->chain, &s->key);
	return rc == 0 ? 0 : tls_error(e, "tls.certificate", rc);
}

static void init_tickets(struct tls_server *s, const struct tls_options *o)
{
	struct tls_tickets *t = &s->tickets;

	t->clock = o->clock;
	t->rnd = o->rnd;
	t->aead_only = min_minor(o->min_version) == MBEDTLS_SSL_MINOR_VERSION_3;
	if (o->secret.len)
		memcpy(t->secret, digest_hmac(o->secret, S("zpushd tls tickets")).b, sizeof(t->secret));
	else
		o->rnd->fill(o->rnd->self, t->secret, sizeof(t->secret));
}

int tls_server_new(struct tls_server **s_r, const struct tls_options *o, struct err *e)
{
	struct tls_server *s;
	char cert[512], key[512];
	bool own = !o->certificate || !o->certificate[0];

	snprintf(cert, sizeof(cert), "%s%s", own ? o->data_dir : o->certificate, own ? "/tls.crt" : "");
	snprintf(key, sizeof(key), "%s%s", own ? o->data_dir : o->key ? o->key : "", own ? "/tls.key" : "");
	if (own && tls_cert_make(cert, key, o, e) < 0)
		return -1;
	s = mem_alloc(sizeof(*s));
	atomic_init(&s->refs, 1);
	mbedtls_x509_crt_init(&s->chain);
	mbedtls_pk_init(&s->key);
	mbedtls_ssl_config_init(&s->conf);
	init_tickets(s, o);
	if (load_pair(s, cert, key, e) < 0 || warm_key(s, o, e) < 0 || configure(s, o, e) < 0) {
		tls_server_unref(&s);
		return -1;
	}
	*s_r = s;
	return 0;
}

struct tls_server *tls_server_ref(struct tls_server *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void tls_server_unref(struct tls_server **sp)
{
	struct tls_server *s = *sp;

	*sp = NULL;
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	mbedtls_ssl_config_free(&s->conf);
	mbedtls_pk_free(&s->key);
	mbedtls_x509_crt_free(&s->chain);
	mem_wipe(&s->tickets, sizeof(s->tickets));
	free(s);
}

/* -- engine: bytes ----------------------------------------------------------------- */

static void put(struct queue *q, const void *p, size_t n)
{
	if (n == 0)
		return;
	if (q->off) {
		memmove(q->p, q->p + q->off, q->len - q->off);
		q->len -= q->off;
		q->off = 0;
	}
	if (q->len + n > q->cap) {
		q->cap = (q->len + n) * 2;
		q->p = mem_realloc(q->p, q->cap);
	}
	memcpy(q->p + q->len, p, n);
	q->len += n;
}

static int bio_send(void *arg, const unsigned char *p, size_t n)
{
	struct tls_engine *t = arg;

	put(&t->out, p, n);
	return (int)n;
}

static int bio_recv(void *arg, unsigned char *p, size_t n)
{
	struct tls_engine *t = arg;

	if (t->servable == 0)
		return MBEDTLS_ERR_SSL_WANT_READ;
	if (n > t->servable)
		n = t->servable;
	memcpy(p, t->in.p + t->in.off, n);
	t->in.off += n;
	t->servable -= n;
	return (int)n;
}

static size_t waiting(const struct tls_engine *t)
{
	return t->in.len - t->in.off;
}

/* Bytes of whole records at the front. What is no record is served as it is: the
 * library says what is wrong with it. */
static size_t whole_records(const struct tls_engine *t)
{
	const uint8_t *b = (const uint8_t *)t->in.p + t->in.off;
	size_t have = waiting(t), at = 0;

	while (have - at >= 5) {
		size_t n = 5 + ((size_t)b[at + 3] << 8 | b[at + 4]);

		if (b[at] < 20 || b[at] > 23 || b[at + 1] != 3 || n > RECORD_MAX)
			return have;
		if (have - at < n)
			break;
		at += n;
	}
	return at;
}

int tls_engine_feed(struct tls_engine *t, struct slice in)
{
	if (waiting(t) + in.len > QUEUE_MAX)
		return -1;
	put(&t->in, in.ptr, in.len);
	return 0;
}

struct slice tls_engine_output(const struct tls_engine *t)
{
	return slice(t->out.p ? t->out.p + t->out.off : NULL, t->out.len - t->out.off);
}

void tls_engine_sent(struct tls_engine *t, size_t n)
{
	t->out.off += n;
	if (t->out.off == t->out.len)
		t->out.off = t->out.len = 0;
}

struct slice tls_engine_rest(const struct tls_engine *t)
{
	return slice(t->in.p + t->in.off, waiting(t));
}

/* -- engine: what comes next ---------------------------------------------------------- */

/* Takes a vector with a length of `width` bytes in front. */
static bool skip_vector(struct slice *s, size_t width, struct slice *v_r)
{
	size_t n = 0;

	if (s->len < width)
		return false;
	for (size_t i = 0; i < width; i++)
		n = n << 8 | (uint8_t)s->ptr[i];
	if (s->len - width < n)
		return false;
	*v_r = slice(s->ptr + width, n);
	*s = slice_from(*s, width + n);
	return true;
}

/* The session ticket of a ClientHello record (RFC 5246 7.4.1.2, RFC 5077). */
static struct slice hello_ticket(struct slice record)
{
	struct slice s = slice_from(record, 5), v, ext, body;

	if (s.len < 4 + 34 || s.ptr[0] != HELLO_TYPE)
		return S_NONE;
	s = slice_from(s, 4 + 34); /* type and length; version and random */
	if (!skip_vector(&s, 1, &v) || !skip_vector(&s, 2, &v) || !skip_vector(&s, 1, &v) || !skip_vector(&s, 2, &ext))
		return S_NONE;
	while (ext.len >= 4) {
		unsigned type = (unsigned)(uint8_t)ext.ptr[0] << 8 | (uint8_t)ext.ptr[1];

		ext = slice_from(ext, 2);
		if (!skip_vector(&ext, 2, &body))
			break;
		if (type == EXT_TICKET)
			return body;
	}
	return S_NONE;
}

enum tls_cost tls_engine_cost(struct tls_engine *t)
{
	size_t whole = whole_records(t);
	const uint8_t *b = (const uint8_t *)t->in.p + t->in.off;
	struct slice ticket;

	if (whole == 0)
		return TLS_WAIT;
	if (t->failed || t->done || b[0] != TLSREC_HANDSHAKE || whole < 5 || t->ssl.state > MBEDTLS_SSL_CLIENT_KEY_EXCHANGE)
		return TLS_CHEAP;
	if (t->ssl.state > MBEDTLS_SSL_CLIENT_HELLO)
		return TLS_COSTLY;
	ticket = hello_ticket(slice(b, whole));
	return ticket.len && tls_ticket_good(&t->server->tickets, ticket) ? TLS_CHEAP : TLS_COSTLY;
}

/* -- engine: work ----------------------------------------------------------------------- */

struct tls_engine *tls_engine_new(struct tls_server *s)
{
	struct tls_engine *t = mem_alloc(sizeof(*t));
	int rc;

	t->server = tls_server_ref(s);
	t->conf = s->conf;
	t->conf.p_export_keys = t;
	mbedtls_ssl_init(&t->ssl);
	rc = mbedtls_ssl_setup(&t->ssl, &t->conf);
	ASSERT(rc == 0); /* fails without memory only */
	mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
	return t;
}

static void free_queue(struct queue *q)
{
	if (q->p)
		mem_wipe(q->p, q->cap);
	free(q->p);
}

void tls_engine_free(struct tls_engine **tp)
{
	struct tls_engine *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	mbedtls_ssl_free(&t->ssl);
	free_queue(&t->in);
	free_queue(&t->out);
	tls_server_unref(&t->server);
	mem_wipe(t, sizeof(*t));
	free(t);
}

enum tls_progress tls_engine_step(struct tls_engine *t, struct err *e)
{
	bool hello = t->ssl.state <= MBEDTLS_SSL_CLIENT_HELLO;
	int rc;

	if (t->failed)
		return TLS_FAILED;
	t->servable = whole_records(t);
	rc = mbedtls_ssl_handshake(&t->ssl);
	if (hello && t->ssl.state > MBEDTLS_SSL_CLIENT_KEY_EXCHANGE)
		t->resumed = true;
	if (rc == 0) {
		t->done = true;
		return TLS_DONE;
	}
	if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
		return TLS_MORE;
	t->failed = true;
	tls_error(e, "handshake", rc);
	return TLS_FAILED;
}

bool tls_engine_keys(struct tls_engine *t, struct tlsrec *r_r)
{
	enum tlsrec_suite suite;

	if (!t->done || !t->have_keys || t->ssl.minor_ver != MBEDTLS_SSL_MINOR_VERSION_3)
		return false;
	suite = tls_suite_of(t->ssl.session->ciphersuite);
	if (suite == TLSREC_NONE || tlsrec_key_len(suite) != t->key_len || tlsrec_iv_len(suite) != t->iv_len)
		return false;
	tlsrec_init(r_r, suite, t->key_in, t->key_out, t->iv_in, t->iv_out,
		    (uint16_t)mbedtls_ssl_get_max_out_record_payload(&t->ssl));
	return true;
}

bool tls_engine_resumed(const struct tls_engine *t)
{
	return t->resumed;
}

const char *tls_engine_version(const struct tls_engine *t)
{
	return mbedtls_ssl_get_version(&t->ssl);
}

const char *tls_engine_suite(const struct tls_engine *t)
{
	const char *name = mbedtls_ssl_get_ciphersuite(&t->ssl);

	return name ? name : "none";
}

ssize_t tls_engine_read(struct tls_engine *t, char *buf, size_t n)
{
	int rc;

	t->servable = whole_records(t);
	rc = mbedtls_ssl_read(&t->ssl, (unsigned char *)buf, n);
	if (rc > 0)
		return rc;
	return rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE ? 0 : -1;
}

ssize_t tls_engine_write(struct tls_engine *t, struct slice plain)
{
	int rc = mbedtls_ssl_write(&t->ssl, (const unsigned char *)plain.ptr, plain.len);

	return rc >= 0 ? rc : -1;
}

void tls_engine_shut(struct tls_engine *t)
{
	if (t->done && !t->failed)
		mbedtls_ssl_close_notify(&t->ssl);
}
