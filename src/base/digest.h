/* digest.h - hashes for ids, claims, MACs and remembered passwords (mbedTLS).
 * Any thread. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/arena.h"

struct sha256 {
	uint8_t b[32];
};

struct sha256 digest_sha256(struct slice s);
/* Of the parts with their lengths, so that ("ab","c") differs from ("a","bc"). */
struct sha256 digest_parts(const struct slice *parts, size_t n);
struct sha256 digest_hmac(struct slice key, struct slice s);
/* PBKDF2-HMAC-SHA256. */
struct sha256 digest_pbkdf2(struct slice password, struct slice salt, unsigned rounds);
bool digest_equal(const void *a, const void *b, size_t n); /* constant time */
/* Lower-case hex / URL-safe base64 without padding, of n bytes. */
struct slice hex_encode(struct arena *a, const void *p, size_t n);
struct slice base64url_encode(struct arena *a, const void *p, size_t n);
/* Standard or URL-safe alphabet, padding optional, blanks skipped; false on anything else. */
bool base64_decode(struct arena *a, struct slice in, struct slice *out_r);
struct slice base64_encode(struct arena *a, struct slice in); /* padded, one line */

#endif
