/* digest.c - mbedTLS behind digest.h, and base64 in both alphabets. Pure. */
#include "base/digest.h"

#include <mbedtls/md.h>
#include <mbedtls/pkcs5.h>
#include <mbedtls/sha256.h>

#include "base/err.h"

struct sha256 digest_sha256(struct slice s)
{
	struct sha256 d;

	mbedtls_sha256_ret((const unsigned char *)s.ptr, s.len, d.b, 0);
	return d;
}

struct sha256 digest_parts(const struct slice *parts, size_t n)
{
	mbedtls_sha256_context c;
	struct sha256 d;

	mbedtls_sha256_init(&c);
	mbedtls_sha256_starts_ret(&c, 0);
	for (size_t i = 0; i < n; i++) {
		uint8_t len[8];

		for (int k = 0; k < 8; k++)
			len[k] = (uint8_t)((uint64_t)parts[i].len >> (8 * k));
		mbedtls_sha256_update_ret(&c, len, 8);
		mbedtls_sha256_update_ret(&c, (const unsigned char *)parts[i].ptr, parts[i].len);
	}
	mbedtls_sha256_finish_ret(&c, d.b);
	mbedtls_sha256_free(&c);
	return d;
}

struct sha256 digest_hmac(struct slice key, struct slice s)
{
	struct sha256 d;

	mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), (const unsigned char *)key.ptr,
			key.len, (const unsigned char *)s.ptr, s.len, d.b);
	return d;
}

struct sha256 digest_pbkdf2(struct slice password, struct slice salt, unsigned rounds)
{
	mbedtls_md_context_t md;
	struct sha256 d;

	mbedtls_md_init(&md);
	ASSERT(mbedtls_md_setup(&md, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1) == 0);
	mbedtls_pkcs5_pbkdf2_hmac(&md, (const unsigned char *)password.ptr, password.len,
				  (const unsigned char *)salt.ptr, salt.len, rounds, sizeof(d.b), d.b);
	mbedtls_md_free(&md);
	return d;
}

bool digest_equal(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}

struct slice hex_encode(struct arena *a, const void *p, size_t n)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *b = p;
	char *z = arena_alloc(a, 2 * n + 1);

	for (size_t i = 0; i < n; i++) {
		z[2 * i] = digit[b[i] >> 4];
		z[2 * i + 1] = digit[b[i] & 15];
	}
	return slice(z, 2 * n);
}

static size_t encode64(char *out, const uint8_t *b, size_t n, const char *last2, bool pad)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t o = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)b[i] << 16 | (i + 1 < n ? b[i + 1] : 0) << 8 | (i + 2 < n ? b[i + 2] : 0);
		int chars = n - i >= 3 ? 4 : (int)(n - i) + 1;

		for (int k = 0; k < chars; k++) {
			unsigned d = v >> (18 - 6 * k) & 63;

			out[o++] = d < 62 ? digit[d] : last2[d - 62];
		}
		for (int k = chars; pad && k < 4; k++)
			out[o++] = '=';
	}
	return o;
}

struct slice base64url_encode(struct arena *a, const void *p, size_t n)
{
	char *z = arena_alloc(a, (n + 2) / 3 * 4 + 1);

	return slice(z, encode64(z, p, n, "-_", false));
}

struct slice base64_encode(struct arena *a, struct slice in)
{
	char *z = arena_alloc(a, (in.len + 2) / 3 * 4 + 1);

	return slice(z, encode64(z, (const uint8_t *)in.ptr, in.len, "+/", true));
}

static int value64(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

bool base64_decode(struct arena *a, struct slice in, struct slice *out_r)
{
	char *out = arena_alloc(a, in.len / 4 * 3 + 4);
	uint32_t acc = 0;
	int bits = 0;
	size_t o = 0, i = 0;

	for (; i < in.len && in.ptr[i] != '='; i++) {
		int v = value64(in.ptr[i]);

		if (strchr(" \t\r\n", in.ptr[i]) && in.ptr[i])
			continue;
		if (v < 0)
			return false;
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[o++] = (char)(acc >> bits);
		}
	}
	for (; i < in.len; i++)
		if (!in.ptr[i] || !strchr("= \t\r\n", in.ptr[i]))
			return false;
	out[o] = 0;
	*out_r = slice(out, o);
	return bits < 6; /* six dangling bits: a lone character */
}
