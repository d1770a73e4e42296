/* sync_memory.c - "as last time". Pure. Commands are never remembered. */
#include "work/sync_memory.h"

enum { FORMAT = 1 };
enum { T_WAIT = 1, T_HEARTBEAT, T_WINDOW, T_COLLECTION };
enum { C_ID = 1, C_KEY, C_CLASS, C_CHANGES, C_WINDOW };

static void put_num(struct record_writer *w, unsigned tag, struct num n)
{
	if (n.has && n.v >= 0)
		record_int(w, tag, (uint64_t)n.v + 1);
}

static struct num get_num(const struct record_field *f)
{
	return NUM((int64_t)f->v - 1);
}

struct slice sync_memory_pack(struct arena *a, const struct sync_request *req)
{
	struct record_writer w, c;

	record_begin(&w, a, FORMAT);
	put_num(&w, T_WAIT, req->wait);
	put_num(&w, T_HEARTBEAT, req->heartbeat);
	put_num(&w, T_WINDOW, req->window_size);
	for (size_t i = 0; i < req->collections.n; i++) {
		const struct sync_collection *s = &req->collections.v[i];

		record_begin(&c, a, 0);
		record_bytes(&c, C_ID, s->collection_id);
		record_bytes(&c, C_KEY, s->sync_key);
		record_bytes(&c, C_CLASS, s->class);
		put_num(&c, C_CHANGES, s->get_changes);
		put_num(&c, C_WINDOW, s->window_size);
		record_item(&w, T_COLLECTION, record_end(&c));
	}
	return record_end(&w);
}

static void unpack_collection(struct arena *a, struct slice run, struct sync_collection *c)
{
	struct record_field f;

	while (record_next(&run, &f, NULL) > 0) {
		if (f.tag == C_ID && f.is_bytes)
			c->collection_id = arena_slice(a, f.bytes);
		else if (f.tag == C_KEY && f.is_bytes)
			c->sync_key = arena_slice(a, f.bytes);
		else if (f.tag == C_CLASS && f.is_bytes)
			c->class = arena_slice(a, f.bytes);
		else if (f.tag == C_CHANGES)
			c->get_changes = get_num(&f);
		else if (f.tag == C_WINDOW)
			c->window_size = get_num(&f);
	}
}

bool sync_memory_unpack(struct arena *a, struct slice packed, struct sync_request *req_r)
{
	struct slice rest;
	struct record_field f;

	*req_r = (struct sync_request){ 0 };
	if (packed.len == 0 || record_open(&rest, packed, FORMAT, NULL) < 0)
		return false;
	while (record_next(&rest, &f, NULL) > 0) {
		if (f.tag == T_WAIT)
			req_r->wait = get_num(&f);
		else if (f.tag == T_HEARTBEAT)
			req_r->heartbeat = get_num(&f);
		else if (f.tag == T_WINDOW)
			req_r->window_size = get_num(&f);
		else if (f.tag == T_COLLECTION && f.is_bytes)
			unpack_collection(a, f.bytes, LIST_PUSH(a, &req_r->collections));
	}
	req_r->has_collections = NUM(1);
	return req_r->collections.n != 0;
}

void sync_memory_merge(struct arena *a, struct sync_request *kept, const struct sync_request *partial)
{
	if (partial->wait.has || partial->heartbeat.has) {
		kept->wait = partial->wait;
		kept->heartbeat = partial->heartbeat;
	}
	if (partial->window_size.has)
		kept->window_size = partial->window_size;
	for (size_t i = 0; i < partial->collections.n; i++) {
		const struct sync_collection *p = &partial->collections.v[i];
		struct sync_collection *into = NULL;

		for (size_t k = 0; k < kept->collections.n && !into; k++)
			if (slice_eq(kept->collections.v[k].collection_id, p->collection_id))
				into = &kept->collections.v[k];
		if (!into)
			into = LIST_PUSH(a, &kept->collections);
		*into = *p;
	}
}
