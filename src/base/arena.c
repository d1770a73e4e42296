/* arena.c - bump allocator in growing blocks. No thread of its own; the first
 * block is small because most requests are. A block is never moved, so
 * pointers stay valid until arena_free. */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIRST_BLOCK = 2048, MAX_BLOCK = 256 * 1024 };

struct block {
	struct block *next;
	size_t cap, used;
	_Alignas(16) char data[];
};

struct arena {
	struct block *head;
	size_t used, next_cap;
};

static _Noreturn void out_of_memory(size_t n)
{
	fprintf(stderr, "zpushd: out of memory asking for %zu bytes\n", n);
	abort();
}

void *mem_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		out_of_memory(n);
	return p;
}

void *mem_realloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p)
		out_of_memory(n);
	return p;
}

char *mem_str(struct slice s)
{
	char *z = mem_alloc(s.len + 1);

	if (s.len)
		memcpy(z, s.ptr, s.len);
	return z;
}

struct slice mem_slice(struct slice s)
{
	return slice(mem_str(s), s.len);
}

void mem_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

struct arena *arena_new(void)
{
	struct arena *a = mem_alloc(sizeof(*a));

	a->next_cap = FIRST_BLOCK;
	return a;
}

void arena_free(struct arena **ap)
{
	struct arena *a = *ap;

	*ap = NULL;
	if (!a)
		return;
	for (struct block *b = a->head, *next; b; b = next) {
		next = b->next;
		/* Requests carry passwords; nothing of one survives it. */
		mem_wipe(b->data, b->used);
		free(b);
	}
	free(a);
}

static struct block *add_block(struct arena *a, size_t need)
{
	size_t cap = a->next_cap > need ? a->next_cap : need;
	struct block *b = malloc(sizeof(*b) + cap);

	if (!b)
		out_of_memory(cap);
	b->cap = cap;
	b->used = 0;
	/* A big one-off goes behind the head, whose rest stays usable. */
	if (need > a->next_cap && a->head) {
		b->next = a->head->next;
		a->head->next = b;
	} else {
		b->next = a->head;
		a->head = b;
	}
	if (a->next_cap < MAX_BLOCK)
		a->next_cap *= 2;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t need = (n + 15) & ~(size_t)15;
	struct block *b = a->head;
	void *p;

	if (need < n)
		out_of_memory(n);
	if (!b || b->cap - b->used < need)
		b = add_block(a, need);
	p = b->data + b->used;
	b->used += need;
	a->used += need;
	memset(p, 0, need);
	return p;
}

void *arena_dup(struct arena *a, const void *p, size_t n)
{
	void *q = arena_alloc(a, n);

	if (n)
		memcpy(q, p, n);
	return q;
}

char *arena_str(struct arena *a, struct slice s)
{
	char *z = arena_alloc(a, s.len + 1);

	if (s.len)
		memcpy(z, s.ptr, s.len);
	return z;
}

struct slice arena_slice(struct arena *a, struct slice s)
{
	return slice(arena_str(a, s), s.len);
}

struct slice arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	int n;
	char *z;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return S_NONE;
	z = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(z, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return slice(z, (size_t)n);
}

void *arena_grow(struct arena *a, void *arr, size_t n, size_t *cap, size_t elem)
{
	size_t want;
	void *bigger;

	if (n < *cap)
		return arr;
	want = *cap ? *cap * 2 : 8;
	bigger = arena_alloc(a, want * elem);
	if (n)
		memcpy(bigger, arr, n * elem);
	*cap = want;
	return bigger;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}
