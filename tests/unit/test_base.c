/* test_base.c - slice, arena, blob, digest, err, wheel. */
#include "harness.h"

#include <stdio.h>

#include "base/blob.h"
#include "base/digest.h"
#include "base/wheel.h"

CASE(slice_numbers)
{
	uint64_t u;
	int64_t i;

	CHECK(slice_u64(S("18446744073709551615"), &u) && u == UINT64_MAX);
	CHECK(!slice_u64(S("18446744073709551616"), &u));
	CHECK(!slice_u64(S(""), &u) && !slice_u64(S("1 "), &u) && !slice_u64(S("-1"), &u));
	CHECK(slice_i64(S("-42"), &i) && i == -42);
}

CASE(slice_splits_keep_empty_parts)
{
	struct slice rest = S("a,,b"), p;

	CHECK(slice_split(&rest, ',', &p));
	CHECK_STR(p, "a");
	CHECK(slice_split(&rest, ',', &p));
	CHECK_STR(p, "");
	CHECK(slice_split(&rest, ',', &p));
	CHECK_STR(p, "b");
	CHECK(!slice_split(&rest, ',', &p));
}

CASE(err_adds_context_and_cleans)
{
	struct err e;

	CHECK_INT(err_set(&e, ERR_BACKEND_TEMP, "select %s", "a\nb"), -1);
	err_add(&e, "sync %d", 7);
	CHECK_STR(slice_str(e.text), "sync 7: select a?b");
	CHECK_STR(slice_str(err_name(e.code)), "backend_temp");
	CHECK(err_is_temp(e.code));
}

CASE(arena_pointers_stay)
{
	struct arena *a = arena_new();
	char *p = arena_str(a, S("hold"));

	for (int i = 0; i < 1000; i++)
		arena_alloc(a, (size_t)i * 37 % 9000);
	CHECK_STR(slice_str(p), "hold");
	arena_free(&a);
	CHECK(a == NULL);
}

static void blob_case(size_t limit, size_t total)
{
	struct blob *b = blob_new(limit);
	struct slice whole;
	char buf[1000];

	for (size_t n = 0; n < total; n += 997) {
		size_t k = total - n < 997 ? total - n : 997;

		for (size_t i = 0; i < k; i++)
			buf[i] = (char)((n + i) * 31 % 251);
		CHECK_INT(blob_append(b, buf, k, NULL), 0);
	}
	CHECK_INT(blob_size(b), total);
	blob_patch(b, 5, "XY", 2);
	CHECK_INT(blob_map(b, &whole, NULL), 0);
	CHECK_INT(whole.len, total);
	CHECK(whole.ptr[5] == 'X' && whole.ptr[6] == 'Y');
	for (size_t i = 7; i < total; i++)
		CHECK(whole.ptr[i] == (char)(i * 31 % 251));
	CHECK_INT(blob_read(b, total - 3, buf, 100), 3);
	CHECK_INT(blob_read(b, total, buf, 100), 0);
	blob_truncate(b, 10);
	CHECK_INT(blob_size(b), 10);
	CHECK_INT(blob_append(b, "!", 1, NULL), 0);
	CHECK_INT(blob_read(b, 10, buf, 1), 1);
	CHECK(buf[0] == '!');
	blob_free(&b);
}

CASE(blob_in_memory_memfd_and_file)
{
	blob_case(1 << 20, 5000);
	blob_case(100, 5000);
	blob_set_dir("/tmp");
	blob_case(100, 5 * 1024 * 1024);
	blob_set_dir(NULL);
}

CASE(digest_known_answers)
{
	struct sha256 d = digest_sha256(S("abc"));
	struct slice out;

	CHECK_STR(slice_to(hex_encode(test_arena(), d.b, 32), 16), "ba7816bf8f01cfea");
	d = digest_hmac(S("key"), S("The quick brown fox jumps over the lazy dog"));
	CHECK_STR(slice_to(hex_encode(test_arena(), d.b, 32), 16), "f7bc83f430538424");
	CHECK_STR(base64_encode(test_arena(), S("any carnal pleas")), "YW55IGNhcm5hbCBwbGVhcw==");
	CHECK(base64_decode(test_arena(), S("YW55IGNhcm5hbCBwbGVhcw"), &out));
	CHECK_STR(out, "any carnal pleas");
	CHECK(!base64_decode(test_arena(), S("YW55*"), &out));
	CHECK(!base64_decode(test_arena(), S("YW55I"), &out));
	CHECK_STR(base64url_encode(test_arena(), "\xfb\xff", 2), "-_8");
}

struct fired {
	int n;
	int64_t now, worst_late, early;
};

static void on_fire(void *arg, struct wheel_timer *t)
{
	struct fired *f = arg;

	f->n++;
	if (t->at_ms > f->now)
		f->early++;
	if (f->now - t->at_ms > f->worst_late)
		f->worst_late = f->now - t->at_ms;
}

CASE(wheel_never_early_never_lost)
{
	enum { N = 2000 };
	static struct wheel_timer t[N];
	struct wheel w;
	struct fired f = { 0 };
	int64_t start = 1000000007;

	wheel_init(&w, start, 100);
	for (int i = 0; i < N; i++) {
		wheel_timer_init(&t[i]);
		wheel_set(&w, &t[i], start + (int64_t)i * i * 3);
	}
	wheel_cancel(&t[7]);
	for (f.now = start; f.now < start + 3LL * N * N + 1000; f.now += 100)
		wheel_advance(&w, f.now, on_fire, &f);
	CHECK_INT(f.n, N - 1);
	CHECK_INT(f.early, 0);
	CHECK(f.worst_late <= 300);
}
