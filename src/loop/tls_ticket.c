/* tls_ticket.c - session tickets: hour (8) | nonce (12) | sealed session | tag.
 * Any thread: everything is on the stack or read-only. A ticket is opened with the
 * key of the hour it names, if that is at most TLS_TICKET_LIFE_S old. The random
 * nonce under a key of one hour and one fleet: far below 2^32 tickets. */
#include <mbedtls/gcm.h>
#include <mbedtls/ssl.h>

#include "base/digest.h"
#include "loop/tls.h"

enum { HOUR = 8, NONCE = 12, TAG = 16, SESSION_MAX = 512 };

static int64_t hour_now(const struct tls_tickets *t)
{
	return clock_wall(t->clock) / 3600000;
}

static void put_hour(uint8_t *to, int64_t hour)
{
	for (int i = 0; i < HOUR; i++)
		to[i] = (uint8_t)((uint64_t)hour >> (8 * (HOUR - 1 - i)));
}

static int64_t get_hour(const uint8_t *from)
{
	uint64_t v = 0;

	for (int i = 0; i < HOUR; i++)
		v = v << 8 | from[i];
	return (int64_t)v;
}

static struct sha256 key_of(const struct tls_tickets *t, int64_t hour)
{
	char label[32] = "zpushd tls ticket 1 ";

	put_hour((uint8_t *)label + 20, hour);
	return digest_hmac(slice(t->secret, sizeof(t->secret)), slice(label, 28));
}

static int open_gcm(mbedtls_gcm_context *g, const struct tls_tickets *t, int64_t hour)
{
	struct sha256 key = key_of(t, hour);
	int rc;

	mbedtls_gcm_init(g);
	rc = mbedtls_gcm_setkey(g, MBEDTLS_CIPHER_ID_AES, key.b, 256);
	mem_wipe(&key, sizeof(key));
	return rc;
}

int tls_ticket_write(void *tickets, const struct mbedtls_ssl_session *s, unsigned char *start,
		     const unsigned char *end, size_t *len_r, uint32_t *lifetime_r)
{
	const struct tls_tickets *t = tickets;
	uint8_t plain[SESSION_MAX];
	mbedtls_gcm_context g;
	size_t n;
	int64_t hour = hour_now(t);
	int rc = mbedtls_ssl_session_save(s, plain, sizeof(plain), &n);

	if (rc != 0)
		return rc;
	if ((size_t)(end - start) < HOUR + NONCE + n + TAG)
		return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
	put_hour(start, hour);
	t->rnd->fill(t->rnd->self, start + HOUR, NONCE);
	rc = open_gcm(&g, t, hour);
	if (rc == 0)
		rc = mbedtls_gcm_crypt_and_tag(&g, MBEDTLS_GCM_ENCRYPT, n, start + HOUR, NONCE, start, HOUR, plain,
					       start + HOUR + NONCE, TAG, start + HOUR + NONCE + n);
	mbedtls_gcm_free(&g);
	mem_wipe(plain, sizeof(plain));
	*len_r = HOUR + NONCE + n + TAG;
	*lifetime_r = TLS_TICKET_LIFE_S;
	return rc;
}

/* Length of the session in plain, or -1. */
static int open_ticket(const struct tls_tickets *t, const uint8_t *b, size_t len, uint8_t plain[SESSION_MAX])
{
	mbedtls_gcm_context g;
	size_t n;
	int64_t hour, now = hour_now(t);
	int rc;

	if (len < HOUR + NONCE + TAG + 1 || len > HOUR + NONCE + TAG + SESSION_MAX)
		return -1;
	hour = get_hour(b);
	/* One hour ahead: another instance's clock. */
	if (hour > now + 1 || hour < now - TLS_TICKET_LIFE_S / 3600)
		return -1;
	n = len - HOUR - NONCE - TAG;
	rc = open_gcm(&g, t, hour);
	if (rc == 0)
		rc = mbedtls_gcm_auth_decrypt(&g, n, b + HOUR, NONCE, b, HOUR, b + len - TAG, TAG, b + HOUR + NONCE, plain);
	mbedtls_gcm_free(&g);
	return rc == 0 ? (int)n : -1;
}

bool tls_ticket_good(const struct tls_tickets *t, struct slice ticket)
{
	uint8_t plain[SESSION_MAX];
	int n = open_ticket(t, (const uint8_t *)ticket.ptr, ticket.len, plain);

	mem_wipe(plain, sizeof(plain));
	return n >= 0;
}

/* A session made when older suites were allowed does not outlive that. */
static bool allowed(const struct tls_tickets *t, const mbedtls_ssl_session *s)
{
	return !t->aead_only || tls_suite_of(s->ciphersuite) != TLSREC_NONE;
}

int tls_ticket_parse(void *tickets, struct mbedtls_ssl_session *s, unsigned char *buf, size_t len)
{
	const struct tls_tickets *t = tickets;
	uint8_t plain[SESSION_MAX];
	int n = open_ticket(t, buf, len, plain), rc;

	if (n < 0)
		return MBEDTLS_ERR_SSL_INVALID_MAC;
	rc = mbedtls_ssl_session_load(s, plain, (size_t)n);
	mem_wipe(plain, sizeof(plain));
	if (rc == 0 && !allowed(t, s))
		rc = MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED;
	if (rc == 0 && clock_wall(t->clock) / 1000 - (int64_t)s->start > TLS_TICKET_LIFE_S)
		rc = MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED;
	return rc;
}
