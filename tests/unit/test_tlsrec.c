/* test_tlsrec.c - the record layer alone: both ends of a session, every bit
 * flipped, every cut, foreign records, limits. */
#include "loop/tlsrec.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

struct pair {
	struct tlsrec a, b;         /* a seals what b opens, and back */
	struct tlsrec_live *la, *lb;
};

static void pair_init(struct pair *p, enum tlsrec_suite suite)
{
	uint8_t k1[32], k2[32], i1[12], i2[12];

	for (int i = 0; i < 32; i++) {
		k1[i] = (uint8_t)(i * 7 + 1);
		k2[i] = (uint8_t)(i * 3 + 200);
		i1[i % 12] = (uint8_t)(i + 9);
		i2[i % 12] = (uint8_t)(i * 11);
	}
	tlsrec_init(&p->a, suite, k1, k2, i1, i2, TLSREC_PLAIN_MAX);
	tlsrec_init(&p->b, suite, k2, k1, i2, i1, TLSREC_PLAIN_MAX);
	p->la = tlsrec_live_new(&p->a);
	p->lb = tlsrec_live_new(&p->b);
}

static void pair_free(struct pair *p)
{
	tlsrec_live_free(&p->la);
	tlsrec_live_free(&p->lb);
	tlsrec_wipe(&p->a);
	tlsrec_wipe(&p->b);
}

static const enum tlsrec_suite all[] = { TLSREC_AES_128_GCM, TLSREC_AES_256_GCM, TLSREC_CHACHA20_POLY1305 };
#define EACH_SUITE(s) for (const enum tlsrec_suite *s = all; s < all + 3; s++)

static size_t seal(struct pair *p, struct slice plain, char *out)
{
	size_t used;
	ssize_t n = tlsrec_seal(p->la, plain, out, &used);

	CHECK(n > 0);
	CHECK_INT(used, plain.len);
	return (size_t)n;
}

CASE(tlsrec_carries_bytes_both_ways)
{
	EACH_SUITE(s) {
		struct pair p;
		char buf[TLSREC_WIRE_MAX];
		struct tlsrec_in in;
		struct err e;
		size_t used;
		ssize_t n;

		pair_init(&p, *s);
		for (int i = 0; i < 100; i++) {
			struct slice want = arena_printf(test_arena(), "record %d", i);

			n = (ssize_t)seal(&p, want, buf);
			CHECK_INT(tlsrec_open(p.lb, buf, (size_t)n, &in, &e), 1);
			CHECK_SLICE(in.plain, want);
			CHECK_INT(in.used, n);
			n = tlsrec_seal(p.lb, want, buf, &used);
			CHECK_INT(tlsrec_open(p.la, buf, (size_t)n, &in, &e), 1);
			CHECK_SLICE(in.plain, want);
		}
		CHECK_INT(p.a.seq_out, 101);
		CHECK_INT(p.b.seq_in, 101);
		pair_free(&p);
	}
}

CASE(tlsrec_waits_for_the_whole_record)
{
	EACH_SUITE(s) {
		struct pair p;
		char buf[256];
		struct tlsrec_in in;
		struct err e;
		size_t n;

		pair_init(&p, *s);
		n = seal(&p, S("hello"), buf);
		for (size_t cut = 0; cut < n; cut++) {
			struct slice part = test_guarded(slice(buf, cut));

			CHECK_INT(tlsrec_open(p.lb, (char *)part.ptr, part.len, &in, &e), 0);
			CHECK_INT(in.plain.len, 0);
		}
		CHECK_INT(tlsrec_open(p.lb, buf, n, &in, &e), 1);
		pair_free(&p);
	}
}

CASE(tlsrec_refuses_every_flipped_bit)
{
	EACH_SUITE(s) {
		char good[256], bad[256];
		size_t n;
		struct pair first;

		pair_init(&first, *s);
		n = seal(&first, S("attack at dawn"), good);
		pair_free(&first);
		for (size_t bit = 0; bit < n * 8; bit++) {
			struct pair p;
			struct tlsrec_in in;
			struct err e;
			int rc;

			pair_init(&p, *s);
			memcpy(bad, good, n);
			bad[bit / 8] ^= (char)(1 << bit % 8);
			rc = tlsrec_open(p.lb, bad, n, &in, &e);
			/* A longer length waits; whatever else is the end. Never plaintext. */
			CHECK(rc == -1 || (rc == 0 && (bit / 8 == 3 || bit / 8 == 4)));
			CHECK_INT(in.plain.len, 0);
			CHECK(!memmem(bad, n, "attack", 6));
			if (rc == -1)
				CHECK_INT(tlsrec_open(p.lb, good, n, &in, &e), -1); /* dead for good */
			pair_free(&p);
		}
	}
}

CASE(tlsrec_refuses_replay_reorder_and_loss)
{
	EACH_SUITE(s) {
		struct pair p;
		char r1[64], r2[64], copy[64];
		struct tlsrec_in in;
		struct err e;
		size_t n1, n2;

		pair_init(&p, *s);
		n1 = seal(&p, S("one"), r1);
		n2 = seal(&p, S("two"), r2);
		memcpy(copy, r1, n1);
		CHECK_INT(tlsrec_open(p.lb, r1, n1, &in, &e), 1);
		CHECK_INT(tlsrec_open(p.lb, copy, n1, &in, &e), -1);
		CHECK_INT(in.alert, TLSREC_BAD_RECORD_MAC);
		pair_free(&p);
		pair_init(&p, *s);
		CHECK_INT(tlsrec_open(p.lb, r2, n2, &in, &e), -1);
		pair_free(&p);
	}
}

/* Puts a header with that type, version and length over a record. */
static int open_with(enum tlsrec_suite suite, int type, int minor, size_t len, struct tlsrec_in *in)
{
	struct pair p;
	char buf[64];
	struct err e;
	int rc;

	pair_init(&p, suite);
	seal(&p, S("x"), buf);
	buf[0] = (char)type;
	buf[2] = (char)minor;
	buf[3] = (char)(len >> 8);
	buf[4] = (char)len;
	rc = tlsrec_open(p.lb, buf, TLSREC_HEADER, in, &e); /* the header alone decides */
	pair_free(&p);
	return rc;
}

CASE(tlsrec_judges_by_the_header)
{
	EACH_SUITE(s) {
		struct tlsrec_in in;
		size_t over = *s == TLSREC_CHACHA20_POLY1305 ? 16 : 24;

		CHECK_INT(open_with(*s, TLSREC_DATA, 3, over, &in), 0);
		CHECK_INT(open_with(*s, TLSREC_CCS, 3, over + 1, &in), -1);
		CHECK_INT(in.alert, TLSREC_UNEXPECTED_MESSAGE);
		CHECK_INT(open_with(*s, 24, 3, over + 1, &in), -1);
		CHECK_INT(open_with(*s, 'G', 3, over + 1, &in), -1);
		CHECK_INT(open_with(*s, TLSREC_DATA, 1, over + 1, &in), -1);
		CHECK_INT(in.alert, TLSREC_PROTOCOL_VERSION);
		CHECK_INT(open_with(*s, TLSREC_DATA, 3, over - 1, &in), -1);
		CHECK_INT(open_with(*s, TLSREC_DATA, 3, 0, &in), -1);
		CHECK_INT(in.alert, TLSREC_DECODE_ERROR);
		CHECK_INT(open_with(*s, TLSREC_DATA, 3, over + TLSREC_PLAIN_MAX, &in), 0);
		CHECK_INT(open_with(*s, TLSREC_DATA, 3, over + TLSREC_PLAIN_MAX + 1, &in), -1);
		CHECK_INT(in.alert, TLSREC_RECORD_OVERFLOW);
	}
}

CASE(tlsrec_close_notify_ends_both_directions)
{
	EACH_SUITE(s) {
		struct pair p;
		char buf[64], more[64];
		struct tlsrec_in in;
		struct err e;
		ssize_t n;
		size_t used;

		pair_init(&p, *s);
		n = tlsrec_seal_alert(p.la, TLSREC_CLOSE_NOTIFY, buf);
		CHECK(n > 0);
		CHECK_INT(tlsrec_seal(p.la, S("late"), more, &used), -1);
		CHECK_INT(tlsrec_seal_alert(p.la, TLSREC_CLOSE_NOTIFY, more), -1);
		CHECK_INT(tlsrec_open(p.lb, buf, (size_t)n, &in, &e), 1);
		CHECK(in.closed);
		CHECK_INT(tlsrec_open(p.lb, buf, (size_t)n, &in, &e), -1);
		pair_free(&p);
		/* Another alert is the end too. */
		pair_init(&p, *s);
		n = tlsrec_seal_alert(p.la, TLSREC_BAD_RECORD_MAC, buf);
		CHECK_INT(tlsrec_open(p.lb, buf, (size_t)n, &in, &e), -1);
		CHECK(!in.closed);
		pair_free(&p);
	}
}

CASE(tlsrec_splits_and_bounds_what_it_sends)
{
	struct pair p;
	char buf[TLSREC_WIRE_MAX], big[20000];
	struct tlsrec_in in;
	struct err e;
	size_t used;
	ssize_t n;

	memset(big, 'b', sizeof(big));
	pair_init(&p, TLSREC_AES_128_GCM);
	n = tlsrec_seal(p.la, slice(big, sizeof(big)), buf, &used);
	CHECK_INT(used, TLSREC_PLAIN_MAX);
	CHECK_INT(n, TLSREC_WIRE_MAX);
	CHECK_INT(tlsrec_open(p.lb, buf, (size_t)n, &in, &e), 1);
	CHECK_INT(in.plain.len, TLSREC_PLAIN_MAX);
	p.a.max_out = 512; /* a peer with small buffers (RFC 6066) */
	n = tlsrec_seal(p.la, slice(big, sizeof(big)), buf, &used);
	CHECK_INT(used, 512);
	CHECK_INT(tlsrec_open(p.lb, buf, (size_t)n, &in, &e), 1);
	pair_free(&p);
}

CASE(tlsrec_ends_a_stream_of_empty_records)
{
	struct pair p;
	char buf[64];
	struct tlsrec_in in;
	struct err e;
	int rc = 1, i;

	pair_init(&p, TLSREC_CHACHA20_POLY1305);
	for (i = 0; i < 100 && rc == 1; i++)
		rc = tlsrec_open(p.lb, buf, seal(&p, S_NONE, buf), &in, &e);
	CHECK_INT(rc, -1);
	CHECK_INT(i, 33);
	pair_free(&p);
}

CASE(tlsrec_stops_before_the_sequence_ends)
{
	EACH_SUITE(s) {
		struct pair p;
		char buf[64];
		size_t used;

		pair_init(&p, *s);
		tlsrec_live_free(&p.la);
		p.a.seq_out = (uint64_t)1 << 32;
		p.la = tlsrec_live_new(&p.a);
		CHECK_INT(tlsrec_seal(p.la, S("x"), buf, &used), -1);
		pair_free(&p);
	}
}

CASE(tlsrec_goes_on_where_it_parked)
{
	EACH_SUITE(s) {
		struct pair p;
		char buf[64];
		struct tlsrec_in in;
		struct err e;

		pair_init(&p, *s);
		for (int i = 0; i < 10; i++) {
			size_t n = seal(&p, S("again"), buf);

			CHECK_INT(tlsrec_open(p.lb, buf, n, &in, &e), 1);
			tlsrec_live_free(&p.la);
			tlsrec_live_free(&p.lb);
			p.la = tlsrec_live_new(&p.a);
			p.lb = tlsrec_live_new(&p.b);
		}
		pair_free(&p);
	}
	CHECK(sizeof(struct tlsrec) <= 112);
}

/* A struct that was copied while live, or opened twice, must stop the process
 * rather than use a nonce again. */
static int dies(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		fn();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void copy_back(void)
{
	struct pair p;
	struct tlsrec old;
	char buf[64];
	size_t used;

	pair_init(&p, TLSREC_AES_128_GCM);
	old = p.a;
	tlsrec_seal(p.la, S("one"), buf, &used);
	p.a = old;
	tlsrec_seal(p.la, S("two"), buf, &used);
}

static void open_twice(void)
{
	struct pair p;

	pair_init(&p, TLSREC_AES_128_GCM);
	tlsrec_live_new(&p.a);
}

CASE(tlsrec_never_uses_a_nonce_twice)
{
	CHECK(dies(copy_back));
	CHECK(dies(open_twice));
}
