/* head.c - raw mail to head and parts. Pure, any thread. Trap: mime_parse may
 * point into its input, so what outlives the input is copied first. */
#include "backend/head.h"

static struct slice bare_id(struct slice id)
{
	id = slice_trim(id);
	if (id.len >= 2 && id.ptr[0] == '<' && id.ptr[id.len - 1] == '>')
		id = slice(id.ptr + 1, id.len - 2);
	return id;
}

struct slice head_message_id(struct slice head)
{
	struct header_field f;

	if (!header_find(slice_to(head, header_length(head)), S("Message-ID"), &f))
		return S_NONE;
	return bare_id(f.value);
}

bool head_has_message_id(struct slice head, struct slice id)
{
	struct slice have = head_message_id(head);

	id = bare_id(id);
	return id.len && slice_eq(have, id);
}

void head_from_raw(struct arena *a, struct slice raw, struct be_head *h_r)
{
	struct mime_tree *t = ARENA_NEW(a, struct mime_tree);
	size_t n = header_length(raw);

	mime_parse(a, raw, t);
	h_r->headers = arena_slice(a, slice_to(raw, n < HEADER_MAX_BYTES ? n : HEADER_MAX_BYTES));
	t->header = h_r->headers;
	h_r->tree = t;
	h_r->size = raw.len;
}

bool head_part(struct slice raw, struct slice number, struct slice *body_r)
{
	struct mime_tree t;
	struct arena *a;
	int i;

	*body_r = raw;
	if (number.len == 0)
		return true;
	a = arena_new();
	mime_parse(a, raw, &t);
	i = mime_by_number(&t, number);
	if (i != MIME_NONE)
		*body_r = mime_body(&t, i, raw);
	arena_free(&a);
	return i != MIME_NONE;
}
