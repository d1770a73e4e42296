/* tlsrec.c - records of TLS 1.2 with AEAD suites. Pure.
 * Invariants: (1) a sequence number seals one record: it is taken before the
 * AEAD runs and never given back; (2) the live's own count must agree with the
 * struct's, so a copied or twice-opened struct stops the process instead of
 * repeating a nonce; (3) `plain` points at bytes whose tag was right. */
#include "loop/tlsrec.h"

#include <mbedtls/chachapoly.h>
#include <mbedtls/gcm.h>
#include <stdlib.h>

#include "base/arena.h"

enum {
	TLSREC_S_DEAD = 1,      /* nothing is opened any more */
	TLSREC_S_SHUT = 2,      /* we sent an alert: nothing is sealed any more */
	TLSREC_S_LIVE = 4,      /* a tlsrec_live is bound */

	TAG = 16,
	EXPLICIT = 8,           /* nonce bytes that GCM sends along (RFC 5288 section 3) */
	AAD = 13,
	NONCE = 12,
	EMPTY_MAX = 32,         /* records without content in a row: each costs us, none says anything */
};
/* Far below 2^64 - 1, where the sequence would wrap, and what GCM bears under one key is
 * 2^24.5 full records (RFC 9325 section 4.4): a phone never gets there. */
#define SEQ_MAX ((uint64_t)1 << 32)

struct tlsrec_live {
	struct tlsrec *r;
	uint64_t seq_in, seq_out;
	unsigned empties;
	union aead {
		mbedtls_gcm_context gcm;
		mbedtls_chachapoly_context chacha;
	} in, out;
};

static const struct suite {
	uint8_t key, iv, explicit_nonce;
} suites[] = {
	[TLSREC_AES_128_GCM] = { 16, 4, EXPLICIT },
	[TLSREC_AES_256_GCM] = { 32, 4, EXPLICIT },
	[TLSREC_CHACHA20_POLY1305] = { 32, 12, 0 },
};

size_t tlsrec_key_len(enum tlsrec_suite suite)
{
	return suites[suite].key;
}

size_t tlsrec_iv_len(enum tlsrec_suite suite)
{
	return suites[suite].iv;
}

void tlsrec_init(struct tlsrec *r, enum tlsrec_suite suite, const uint8_t *key_in, const uint8_t *key_out,
		 const uint8_t *iv_in, const uint8_t *iv_out, uint16_t max_out)
{
	const struct suite *s = &suites[suite];

	ASSERT(suite > TLSREC_NONE && suite <= TLSREC_CHACHA20_POLY1305);
	*r = (struct tlsrec){ .seq_in = 1, .seq_out = 1, .suite = (uint8_t)suite, .max_out = max_out };
	if (max_out == 0 || max_out > TLSREC_PLAIN_MAX)
		r->max_out = TLSREC_PLAIN_MAX;
	memcpy(r->key_in, key_in, s->key);
	memcpy(r->key_out, key_out, s->key);
	memcpy(r->iv_in, iv_in, s->iv);
	memcpy(r->iv_out, iv_out, s->iv);
}

void tlsrec_wipe(struct tlsrec *r)
{
	ASSERT(!(r->state & TLSREC_S_LIVE));
	mem_wipe(r, sizeof(*r));
	r->state = TLSREC_S_DEAD | TLSREC_S_SHUT;
}

/* -- AEAD ------------------------------------------------------------------ */

static void aead_init(union aead *a, const struct tlsrec *r, const uint8_t *key)
{
	int rc;

	if (r->suite == TLSREC_CHACHA20_POLY1305) {
		mbedtls_chachapoly_init(&a->chacha);
		rc = mbedtls_chachapoly_setkey(&a->chacha, key);
	} else {
		mbedtls_gcm_init(&a->gcm);
		rc = mbedtls_gcm_setkey(&a->gcm, MBEDTLS_CIPHER_ID_AES, key, suites[r->suite].key * 8u);
	}
	ASSERT(rc == 0); /* fails on a wrong key size or without memory only */
}

static void aead_free(union aead *a, const struct tlsrec *r)
{
	if (r->suite == TLSREC_CHACHA20_POLY1305)
		mbedtls_chachapoly_free(&a->chacha);
	else
		mbedtls_gcm_free(&a->gcm);
}

struct tlsrec_live *tlsrec_live_new(struct tlsrec *r)
{
	struct tlsrec_live *v = mem_alloc(sizeof(*v));

	ASSERT(!(r->state & TLSREC_S_LIVE) && r->suite != TLSREC_NONE);
	r->state |= TLSREC_S_LIVE;
	v->r = r;
	v->seq_in = r->seq_in;
	v->seq_out = r->seq_out;
	aead_init(&v->in, r, r->key_in);
	aead_init(&v->out, r, r->key_out);
	return v;
}

void tlsrec_live_free(struct tlsrec_live **vp)
{
	struct tlsrec_live *v = *vp;

	*vp = NULL;
	if (!v)
		return;
	v->r->state &= (uint8_t)~TLSREC_S_LIVE;
	aead_free(&v->in, v->r);
	aead_free(&v->out, v->r);
	mem_wipe(v, sizeof(*v));
	free(v);
}

static void put_be(uint8_t *to, uint64_t v, int bytes)
{
	while (bytes-- > 0) {
		to[bytes] = (uint8_t)v;
		v >>= 8;
	}
}

static void make_aad(uint8_t aad[AAD], uint64_t seq, uint8_t type, size_t plain_len)
{
	put_be(aad, seq, 8);
	aad[8] = type;
	aad[9] = aad[10] = 3;
	put_be(aad + 11, plain_len, 2);
}

/* GCM: fixed part, then what the record carries. ChaCha20: sequence into the iv. */
static void make_nonce(uint8_t nonce[NONCE], const struct tlsrec *r, const uint8_t *iv, const uint8_t *explicit_nonce,
		       uint64_t seq)
{
	if (r->suite != TLSREC_CHACHA20_POLY1305) {
		memcpy(nonce, iv, 4);
		memcpy(nonce + 4, explicit_nonce, EXPLICIT);
		return;
	}
	memset(nonce, 0, 4);
	put_be(nonce + 4, seq, 8);
	for (int i = 0; i < NONCE; i++)
		nonce[i] ^= iv[i];
}

/* -- in ---------------------------------------------------------------------- */

static int dead(struct tlsrec_live *v, struct tlsrec_in *in, uint8_t alert, struct err *e, const char *why)
{
	v->r->state |= TLSREC_S_DEAD;
	in->plain = S_NONE;
	in->alert = alert;
	return err_set(e, ERR_BAD_REQUEST, "TLS record: %s", why);
}

static int decrypt(struct tlsrec_live *v, uint8_t type, uint8_t *body, size_t plain_len, uint8_t *text)
{
	struct tlsrec *r = v->r;
	uint8_t aad[AAD], nonce[NONCE];
	int rc;

	make_aad(aad, v->seq_in, type, plain_len);
	make_nonce(nonce, r, r->iv_in, body, v->seq_in);
	if (r->suite == TLSREC_CHACHA20_POLY1305)
		rc = mbedtls_chachapoly_auth_decrypt(&v->in.chacha, plain_len, nonce, aad, AAD, text + plain_len, text, text);
	else
		rc = mbedtls_gcm_auth_decrypt(&v->in.gcm, plain_len, nonce, NONCE, aad, AAD, text + plain_len, TAG, text,
					      text);
	return rc;
}

static int read_alert(struct tlsrec_live *v, struct tlsrec_in *in, struct err *e)
{
	if (in->plain.len != 2)
		return dead(v, in, TLSREC_DECODE_ERROR, e, "alert of a wrong length");
	if (in->plain.ptr[1] != TLSREC_CLOSE_NOTIFY)
		return dead(v, in, TLSREC_CLOSE_NOTIFY, e, "the peer sent an alert");
	v->r->state |= TLSREC_S_DEAD;
	in->plain = S_NONE;
	in->closed = true;
	return 1;
}

static int read_content(struct tlsrec_live *v, uint8_t type, struct tlsrec_in *in, struct err *e)
{
	if (type == TLSREC_ALERT)
		return read_alert(v, in, e);
	if (type != TLSREC_DATA)
		return dead(v, in, TLSREC_UNEXPECTED_MESSAGE, e, "renegotiation or a foreign message");
	v->empties = in->plain.len ? 0 : v->empties + 1;
	if (v->empties > EMPTY_MAX)
		return dead(v, in, TLSREC_UNEXPECTED_MESSAGE, e, "empty records only");
	return 1;
}

/* The header says enough to refuse before the record is here. */
static int check_header(struct tlsrec_live *v, const uint8_t *h, size_t overhead, struct tlsrec_in *in, struct err *e)
{
	size_t n = (size_t)h[3] << 8 | h[4];

	if (h[0] < TLSREC_CCS || h[0] > TLSREC_DATA)
		return dead(v, in, TLSREC_UNEXPECTED_MESSAGE, e, "unknown type");
	if (h[0] == TLSREC_CCS)
		return dead(v, in, TLSREC_UNEXPECTED_MESSAGE, e, "change of cipher");
	if (h[1] != 3 || h[2] != 3)
		return dead(v, in, TLSREC_PROTOCOL_VERSION, e, "another version");
	if (n < overhead)
		return dead(v, in, TLSREC_DECODE_ERROR, e, "too short");
	if (n - overhead > TLSREC_PLAIN_MAX)
		return dead(v, in, TLSREC_RECORD_OVERFLOW, e, "too long");
	return 0;
}

int tlsrec_open(struct tlsrec_live *v, char *buf, size_t len, struct tlsrec_in *in_r, struct err *e)
{
	struct tlsrec *r = v->r;
	uint8_t *h = (uint8_t *)buf, *text;
	size_t head = suites[r->suite].explicit_nonce, body, plain_len;

	*in_r = (struct tlsrec_in){ 0 };
	if (r->state & TLSREC_S_DEAD)
		return dead(v, in_r, TLSREC_CLOSE_NOTIFY, e, "after the end");
	ASSERT(v->seq_in == r->seq_in);
	if (len < TLSREC_HEADER)
		return 0;
	if (check_header(v, h, head + TAG, in_r, e) < 0)
		return -1;
	body = (size_t)h[3] << 8 | h[4];
	if (len < TLSREC_HEADER + body)
		return 0;
	if (v->seq_in >= SEQ_MAX)
		return dead(v, in_r, TLSREC_CLOSE_NOTIFY, e, "sequence used up");
	plain_len = body - head - TAG;
	text = h + TLSREC_HEADER + head;
	if (decrypt(v, h[0], h + TLSREC_HEADER, plain_len, text) != 0) {
		mem_wipe(text, plain_len);
		return dead(v, in_r, TLSREC_BAD_RECORD_MAC, e, "bad tag");
	}
	v->seq_in = ++r->seq_in;
	in_r->used = TLSREC_HEADER + body;
	in_r->plain = slice(text, plain_len);
	return read_content(v, h[0], in_r, e);
}

/* -- out ---------------------------------------------------------------------- */

static ssize_t seal(struct tlsrec_live *v, uint8_t type, struct slice plain, char *out)
{
	struct tlsrec *r = v->r;
	uint8_t *h = (uint8_t *)out, *text, aad[AAD], nonce[NONCE];
	size_t head = suites[r->suite].explicit_nonce;
	uint64_t seq;
	int rc;

	if ((r->state & TLSREC_S_SHUT) || r->seq_out >= SEQ_MAX)
		return -1;
	/* Never a nonce twice: whoever copied the struct is found out here. */
	ASSERT(v->seq_out == r->seq_out && (r->state & TLSREC_S_LIVE));
	seq = r->seq_out++;
	v->seq_out = r->seq_out;
	h[0] = type;
	h[1] = h[2] = 3;
	put_be(h + 3, head + plain.len + TAG, 2);
	if (head)
		put_be(h + TLSREC_HEADER, seq, EXPLICIT);
	text = h + TLSREC_HEADER + head;
	make_aad(aad, seq, type, plain.len);
	make_nonce(nonce, r, r->iv_out, h + TLSREC_HEADER, seq);
	if (r->suite == TLSREC_CHACHA20_POLY1305)
		rc = mbedtls_chachapoly_encrypt_and_tag(&v->out.chacha, plain.len, nonce, aad, AAD,
							(const uint8_t *)plain.ptr, text, text + plain.len);
	else
		rc = mbedtls_gcm_crypt_and_tag(&v->out.gcm, MBEDTLS_GCM_ENCRYPT, plain.len, nonce, NONCE, aad, AAD,
					       (const uint8_t *)plain.ptr, text, TAG, text + plain.len);
	ASSERT(rc == 0);
	return (ssize_t)(TLSREC_HEADER + head + plain.len + TAG);
}

ssize_t tlsrec_seal(struct tlsrec_live *v, struct slice plain, char *out, size_t *used_r)
{
	plain = slice_to(plain, v->r->max_out);
	*used_r = plain.len;
	return seal(v, TLSREC_DATA, plain, out);
}

ssize_t tlsrec_seal_alert(struct tlsrec_live *v, enum tlsrec_alert alert, char *out)
{
	char body[2] = { alert == TLSREC_CLOSE_NOTIFY ? 1 : 2, (char)alert };
	ssize_t n = seal(v, TLSREC_ALERT, slice(body, 2), out);

	v->r->state |= TLSREC_S_SHUT;
	return n;
}
