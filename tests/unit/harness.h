/* harness.h - the unit-test harness: cases register themselves, a failed check
 * ends its case, output is one line a case and "N passed, N failed, N skipped".
 *
 *   CASE(wbxml_reads_empty_tag) { CHECK(...); CHECK_STR(got, "want"); }
 *
 * Run one case: build/tests/unit/test_wbxml NAME-PART. */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <setjmp.h>

#include "base/arena.h"
#include "base/err.h"

struct test_case {
	const char *name;
	void (*run)(void);
	struct test_case *next;
};

void test_register(struct test_case *c);
_Noreturn void test_fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
_Noreturn void test_skip(const char *reason);

#define CASE(id)                                                                        \
	static void case_##id(void);                                                    \
	static struct test_case tc_##id = { #id, case_##id, NULL };                     \
	__attribute__((constructor)) static void reg_##id(void) { test_register(&tc_##id); } \
	static void case_##id(void)

#define CHECK(x) ((x) ? (void)0 : test_fail(__FILE__, __LINE__, "%s", #x))
#define CHECK_INT(got, want)                                                               \
	do {                                                                               \
		long long g_ = (long long)(got), w_ = (long long)(want);                   \
		if (g_ != w_)                                                              \
			test_fail(__FILE__, __LINE__, "%s: got %lld, want %lld", #got, g_, w_); \
	} while (0)
#define CHECK_SLICE(got, want)                                                             \
	do {                                                                               \
		struct slice g_ = (got), w_ = (want);                                      \
		if (!slice_eq(g_, w_))                                                     \
			test_fail(__FILE__, __LINE__, "%s: got \"%.*s\", want \"%.*s\"", #got, SARG(g_), SARG(w_)); \
	} while (0)
#define CHECK_STR(got, want) CHECK_SLICE(got, slice_str(want))

/* The bytes placed so that the byte behind the last is unmapped: a parser that
 * reads one too far dies here. Freed at the end of the case. */
struct slice test_guarded(struct slice s);
/* Arena of the running case. */
struct arena *test_arena(void);
/* Whole file into the case's arena; path relative to the repository's root. */
struct slice test_file(const char *path);

#endif
