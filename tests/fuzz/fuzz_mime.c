/* fuzz_mime.c - a mail: parsed whole and in pieces it gives the same tree, and
 * the tree is one: parents before children, bodies inside the mail.
 * The first byte of the input chooses the split. */
#include <stdint.h>

#include "proto/mime.h"

static void check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static void check_part(const struct mime_tree *t, int i, struct slice raw)
{
	const struct mime_part *p = &t->v[i];
	struct slice body = mime_body(t, i, raw);

	check(p->type.len && p->subtype.len);
	check(i == 0 ? p->parent == MIME_NONE : p->parent >= 0 && p->parent < i);
	check(p->depth >= 0 && p->depth <= MIME_MAX_DEPTH);
	check(p->body_off <= raw.len && p->size <= raw.len - p->body_off);
	check(body.len == 0 || (body.ptr >= raw.ptr && body.ptr + body.len <= raw.ptr + raw.len));
	check(mime_by_number(t, p->number) != MIME_NONE);
}

static void check_tree(const struct mime_tree *t, struct slice raw)
{
	size_t seen = 0;

	check(t->n >= 1 && t->n <= MIME_MAX_PARTS);
	for (size_t i = 0; i < t->n; i++)
		check_part(t, (int)i, raw);
	for (int i = 0; i != MIME_NONE; i = mime_next(t, i, MIME_INTO))
		check(++seen <= t->n);
	check(seen == t->n);
}

static void check_same(const struct mime_tree *x, const struct mime_tree *y)
{
	check(x->n == y->n);
	for (size_t i = 0; i < x->n; i++) {
		check(slice_eq(x->v[i].type, y->v[i].type) && slice_eq(x->v[i].subtype, y->v[i].subtype));
		check(x->v[i].body_off == y->v[i].body_off && x->v[i].size == y->v[i].size);
		check(x->v[i].parent == y->v[i].parent);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct arena *a = arena_new();
	struct mime_tree whole, pieces;
	struct mime_reader *r = mime_reader_new(a);
	struct slice raw = len ? slice((const char *)data + 1, len - 1) : S_NONE;
	size_t step = len ? 1 + data[0] % 32 : 1;

	mime_parse(a, raw, &whole);
	check_tree(&whole, raw);
	for (size_t at = 0; at < raw.len; at += step)
		mime_feed(r, slice_to(slice_from(raw, at), step));
	mime_end(r, &pieces);
	check_same(&whole, &pieces);
	arena_free(&a);
	return 0;
}
