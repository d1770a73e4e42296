/* backend.c - the registry of backends and what all of them share: the rev of
 * a mail and templates of logins. Any thread; nothing here is owned. */
#include "backend/backend.h"

#include <stdlib.h>

#define X(name) extern const struct backend_ops name##_backend_ops;
#include "backend/backends.def"
#undef X

static const struct backend_ops *const all[] = {
#define X(name) &name##_backend_ops,
#include "backend/backends.def"
#undef X
	NULL, /* keeps the table valid without any line */
};

const struct backend_ops *const *backend_all(size_t *n_r)
{
	*n_r = sizeof(all) / sizeof(*all) - 1;
	return all;
}

const struct backend_ops *backend_by_name(struct slice name)
{
	for (size_t i = 0; all[i]; i++)
		if (slice_eq(slice_str(all[i]->name), name))
			return all[i];
	return NULL;
}

/* FNV-1a over lower-cased ASCII, spelled out because revs live in stored state. */
static uint32_t keyword_hash(struct slice k)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < k.len; i++) {
		unsigned char c = (unsigned char)k.ptr[i];

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		h = (h ^ c) * 16777619u;
	}
	return h;
}

uint32_t mail_rev(unsigned flags, const struct slice *keywords, size_t n)
{
	uint32_t sum = 0;
	bool any = false;

	/* A sum: servers list keywords in any order. */
	for (size_t i = 0; i < n; i++) {
		if (keywords[i].len == 0 || keywords[i].ptr[0] == '$' || keywords[i].ptr[0] == '\\')
			continue;
		sum += keyword_hash(keywords[i]);
		any = true;
	}
	sum = (sum ^ sum >> 24) & 0xffffff;
	if (any && sum == 0)
		sum = 1;
	return (flags & 0xff) | sum << 8;
}

struct slice backend_expand(struct arena *a, struct slice tmpl, struct slice login)
{
	ptrdiff_t at = slice_chr(login, '@');
	struct slice local = at < 0 ? login : slice_to(login, (size_t)at);
	struct slice domain = at < 0 ? S_NONE : slice_from(login, (size_t)at + 1);
	char *out = arena_alloc(a, tmpl.len * (login.len + 1) + 1);
	size_t n = 0;

	for (size_t i = 0; i < tmpl.len; i++) {
		struct slice put = slice(tmpl.ptr + i, 1);

		if (tmpl.ptr[i] == '%' && i + 1 < tmpl.len) {
			switch (tmpl.ptr[i + 1]) {
			case 'u': put = login; i++; break;
			case 'n': put = local; i++; break;
			case 'd': put = domain; i++; break;
			case '%': i++; break;
			}
		}
		if (put.len)
			memcpy(out + n, put.ptr, put.len);
		n += put.len;
	}
	return slice(out, n);
}

static int by_num(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int backend_report(const struct be_changes_sink *sink, const struct be_item *items, size_t n_items, uint64_t *gone,
		   size_t n_gone)
{
	if (n_gone)
		qsort(gone, n_gone, sizeof(*gone), by_num);
	for (size_t i = 0, k; i < n_gone; i = k) {
		for (k = i + 1; k < n_gone && gone[k] <= gone[k - 1] + 1; k++)
			;
		if (sink->gone(sink->arg, gone[i], gone[k - 1]) < 0)
			return -1;
	}
	for (size_t i = 0; i < n_items; i++)
		if (sink->item(sink->arg, &items[i]) < 0)
			return -1;
	return 0;
}
