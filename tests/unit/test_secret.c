/* test_secret.c - locked slots: every size, reuse, wiping, many threads. */
#include "harness.h"

#include <pthread.h>

#include "base/secret.h"

static struct slice filled(size_t n, char c)
{
	char *p = arena_alloc(test_arena(), n + 1);

	memset(p, c, n);
	return slice(p, n);
}

CASE(secret_keeps_every_length)
{
	static const size_t lengths[] = { 0, 1, 47, 48, 49, 64, 1000, 1007, 1008, 1009, 1024, 15999, SECRET_MAX };
	struct secret *s[16];
	size_t n = sizeof(lengths) / sizeof(*lengths);

	for (size_t i = 0; i < n; i++) {
		s[i] = secret_new(filled(lengths[i], (char)('a' + i)));
		CHECK(s[i]);
	}
	for (size_t i = 0; i < n; i++)
		CHECK_SLICE(secret_get(s[i]), filled(lengths[i], (char)('a' + i)));
	for (size_t i = 0; i < n; i++) {
		secret_free(&s[i]);
		CHECK(!s[i]);
		secret_free(&s[i]);
	}
	CHECK(!secret_new(filled(SECRET_MAX + 1, 'x')));
}

CASE(secret_freed_is_wiped)
{
	struct secret *s = secret_new(S("correct horse"));
	const char *at = secret_get(s).ptr;

	secret_free(&s);
	for (int i = 0; i < 13; i++)
		CHECK_INT(at[i], 0); /* the page stays ours */
}

static void *churn(void *arg)
{
	struct secret *s[50];
	long bad = 0;

	for (int round = 0; round < 50; round++) {
		for (size_t i = 0; i < 50; i++)
			s[i] = secret_new(slice((const char *)arg, 1 + i % 3 * 20));
		for (size_t i = 0; i < 50; i++) {
			bad += secret_get(s[i]).ptr[0] != *(const char *)arg;
			secret_free(&s[i]);
		}
	}
	return (void *)bad;
}

CASE(secret_many_threads)
{
	static char text[4][64] = { "aaaa", "bbbb", "cccc", "dddd" };
	pthread_t t[4];
	void *bad;

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, churn, text[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &bad);
		CHECK(!bad);
	}
}
