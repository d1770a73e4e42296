/* harness.c - runs the registered cases one after another. */
#include "harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Cases slower than this are named with their time; tests/run lists them. */
#define SLOW_MS 20

static struct test_case *first, **last = &first;
static jmp_buf out;
static struct arena *arena;
static const char *skipped;
static struct {
	void *p;
	size_t n;
} maps[4096];
static size_t n_maps;

void test_register(struct test_case *c)
{
	*last = c;
	last = &c->next;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("  %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	longjmp(out, 1);
}

void test_skip(const char *reason)
{
	skipped = reason;
	longjmp(out, 2);
}

struct arena *test_arena(void)
{
	return arena;
}

static void unmap_all(void)
{
	for (size_t i = 0; i < n_maps; i++)
		munmap(maps[i].p, maps[i].n);
	n_maps = 0;
}

struct slice test_guarded(struct slice s)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t body = (s.len + page - 1) / page * page;
	char *m;

	if (n_maps == sizeof(maps) / sizeof(*maps))
		unmap_all();
	m = mmap(NULL, body + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		abort();
	mprotect(m + body, page, PROT_NONE);
	if (s.len)
		memcpy(m + body - s.len, s.ptr, s.len);
	maps[n_maps].p = m;
	maps[n_maps++].n = body + page;
	return slice(m + body - s.len, s.len);
}

struct slice test_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *p;
	long n;

	if (!f)
		test_fail(__FILE__, __LINE__, "cannot open %s", path);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	p = arena_alloc(arena, (size_t)n + 1);
	if (fread(p, 1, (size_t)n, f) != (size_t)n)
		test_fail(__FILE__, __LINE__, "short read of %s", path);
	fclose(f);
	return slice(p, (size_t)n);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	static long start;
	static int passed, failed, skips; /* static: survive the longjmp */
	static struct test_case *c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (c = first; c; c = c->next) {
		int rc;

		if (argc > 1 && !strstr(c->name, argv[1]))
			continue;
		arena = arena_new();
		start = now_ms();
		rc = setjmp(out);
		if (rc == 0)
			c->run();
		if (rc == 0) {
			passed++;
			if (now_ms() - start >= SLOW_MS)
				printf("ok   %s (%ld ms)\n", c->name, now_ms() - start);
		} else if (rc == 1) {
			failed++;
			printf("FAIL %s\n", c->name);
		} else {
			skips++;
			printf("SKIP %s: %s\n", c->name, skipped);
		}
		arena_free(&arena);
		unmap_all();
	}
	printf("%s: %d passed, %d failed, %d skipped\n", argv[0], passed, failed, skips);
	return failed != 0;
}
