/* test_fuse.c - the growth fuse: its counting, and that exchange slows, marks and
 * loses nothing. */
#include "rig/workrig.c"

#include "proto/cmd_sync.h"
#include <stdio.h>

#include "work/admin.h"

static int64_t now_ms;

static int64_t fake_now(void *self)
{
	return now_ms;
}

static const struct clock fake = { fake_now, fake_now, NULL };

static enum fuse_state take(struct fuse *f, enum device_fuse kind, const char *dev, uint32_t limit, int64_t *retry)
{
	struct fuse_ask ask = { S("alice"), slice_str(dev), S("f"), limit };

	return fuse_take(f, kind, &ask, retry);
}

CASE(fuse_requests_by_the_minute)
{
	struct fuse *f;
	int64_t retry = 0;

	now_ms = 5000;
	fuse_new(&f, &fake);
	for (int i = 0; i < 3; i++)
		CHECK_INT(take(f, FUSE_REQUESTS, "a", 3, &retry), FUSE_WHOLE);
	now_ms += 20000;
	CHECK_INT(take(f, FUSE_REQUESTS, "a", 3, &retry), FUSE_BLOWS);
	CHECK_INT(retry, 40000);
	CHECK_INT(take(f, FUSE_REQUESTS, "a", 3, &retry), FUSE_BLOWN);
	CHECK_INT(take(f, FUSE_REQUESTS, "b", 3, &retry), FUSE_WHOLE);
	now_ms += retry;
	CHECK_INT(take(f, FUSE_REQUESTS, "a", 3, &retry), FUSE_WHOLE);
	fuse_free(&f);
	CHECK_INT(take(NULL, FUSE_REQUESTS, "a", 0, &retry), FUSE_WHOLE);
}

CASE(fuse_resyncs_go_on_slowly)
{
	struct fuse *f;
	int64_t retry = 0;

	now_ms = 0;
	fuse_new(&f, &fake);
	for (int i = 0; i < 60; i++)
		CHECK_INT(take(f, FUSE_RESYNCS, "a", 60, &retry), FUSE_WHOLE);
	CHECK_INT(take(f, FUSE_RESYNCS, "a", 60, &retry), FUSE_BLOWS);
	CHECK_INT(retry, 60000);
	now_ms += 59999;
	CHECK_INT(take(f, FUSE_RESYNCS, "a", 60, &retry), FUSE_BLOWN);
	CHECK_INT(retry, 1);
	now_ms += 1;
	CHECK_INT(take(f, FUSE_RESYNCS, "a", 60, &retry), FUSE_WHOLE);
	CHECK_INT(take(f, FUSE_RESYNCS, "a", 60, &retry), FUSE_BLOWN);
	fuse_free(&f);
}

CASE(fuse_is_bounded_and_keeps_who_asks_most)
{
	struct fuse *f;
	int64_t retry = 0;
	int whole = 0;

	now_ms = 0;
	fuse_new(&f, &fake);
	for (int i = 0; i < 100; i++)
		take(f, FUSE_REQUESTS, "hot", 100, &retry);
	for (int i = 0; i < 100000; i++) {
		char id[16];

		snprintf(id, sizeof(id), "d%d", i);
		whole += take(f, FUSE_REQUESTS, id, 100, &retry) == FUSE_WHOLE;
	}
	CHECK_INT(whole, 100000);
	CHECK_INT(take(f, FUSE_REQUESTS, "hot", 100, &retry), FUSE_BLOWS);
	fuse_free(&f);
}

/* --- in exchange ------------------------------------------------------------------------ */

static struct rig r;

static struct reply folder_sync(struct phone *p, struct slice key)
{
	struct folder_request q = { .sync_key = key };

	return rig_send(p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, &foldersync_reply_schema);
}

static struct slice header(const struct reply *a, const char *name)
{
	for (size_t i = 0; i < a->v.n_headers; i++)
		if (slice_ieq(a->v.headers[i].name, slice_str(name)))
			return a->v.headers[i].value;
	return S_NONE;
}

static struct slice listing(enum admin_form form)
{
	struct blob *b = blob_new(0);
	struct slice all;
	struct err e;

	CHECK_INT(admin_devices(r.store, &r.clock, S("alice"), form, b, &e), 0);
	CHECK_INT(blob_map(b, &all, &e), 0);
	all = arena_slice(test_arena(), all);
	blob_free(&b);
	return all;
}

static bool contains(struct slice hay, const char *needle)
{
	return memmem(hay.ptr, hay.len, needle, strlen(needle)) != NULL;
}

CASE(fuse_slows_a_device_marks_it_and_lets_it_go_on)
{
	const char *const set[] = { "limits.fuse_requests=10", NULL };
	struct phone p, other;
	struct reply a = { 0 };
	struct slice key;
	struct err e;
	unsigned loads;

	rig_up(&r, set);
	p = rig_phone(&r, "alice", "dev1", EAS_141);
	other = rig_phone(&r, "alice", "dev2", EAS_141);
	for (int i = 0; i < 10; i++)
		a = folder_sync(&p, i ? ((struct foldersync_reply *)a.obj)->sync_key : S("0"));
	CHECK_INT(a.status, 1);
	key = ((struct foldersync_reply *)a.obj)->sync_key;
	a = folder_sync(&p, key);
	CHECK_INT(a.v.http_status, 503);
	CHECK_STR(header(&a, "Retry-After"), "60");
	CHECK(contains(listing(ADMIN_JSON), "\"slowed\":\"requests\""));
	CHECK(contains(listing(ADMIN_TEXT), "slowed: requests"));
	loads = r.calls[STORE_CALL_LOAD];
	a = folder_sync(&p, key);
	CHECK_INT(a.v.http_status, 503);
	CHECK_INT(r.calls[STORE_CALL_LOAD], loads); /* costs no round trip any more */
	CHECK_INT(folder_sync(&other, S("0")).status, 1);
	r.now_ms += 61000;
	CHECK_INT(folder_sync(&p, key).status, 1);
	CHECK_INT(admin_allow(r.store, &r.clock, S("alice"), S("dev1"), &e), 0);
	CHECK(contains(listing(ADMIN_JSON), "\"slowed\":\"\""));
	rig_down(&r);
}

CASE(fuse_slows_first_syncs_and_keeps_the_state)
{
	const char *const set[] = { "limits.fuse_resyncs=2", NULL };
	struct phone p;
	struct reply a;
	struct sync_request q = { 0 };
	struct sync_collection *c = LIST_PUSH(test_arena(), &q.collections);
	struct foldersync_reply *f;
	struct slice key;

	rig_up(&r, set);
	p = rig_phone(&r, "alice", "dev1", EAS_141);
	f = folder_sync(&p, S("0")).obj;
	c->collection_id = f->changes.v[0].server_id;
	c->sync_key = S("0");
	for (int i = 0; i < 2; i++)
		CHECK_INT(rig_send(&p, EAS_CMD_SYNC, &sync_request_schema, &q, &sync_reply_schema).v.http_status, 200);
	a = rig_send(&p, EAS_CMD_SYNC, &sync_request_schema, &q, &sync_reply_schema);
	CHECK_INT(a.v.http_status, 503);
	CHECK_STR(header(&a, "Retry-After"), "1800");
	CHECK(contains(listing(ADMIN_JSON), "\"slowed\":\"resyncs\""));
	r.now_ms += 1800000;
	a = rig_send(&p, EAS_CMD_SYNC, &sync_request_schema, &q, &sync_reply_schema);
	CHECK_INT(a.v.http_status, 200);
	key = ((struct sync_reply *)a.obj)->collections.v[0].sync_key;
	CHECK_INT(rig_send(&p, EAS_CMD_SYNC, &sync_request_schema, &q, &sync_reply_schema).v.http_status, 503);
	c->sync_key = key; /* what it has goes on */
	a = rig_send(&p, EAS_CMD_SYNC, &sync_request_schema, &q, &sync_reply_schema);
	CHECK_INT(a.v.http_status, 200);
	rig_down(&r);
}
