/* test_folder_commands.c - FolderSync, FolderCreate, FolderUpdate, FolderDelete
 * over the backend and the store in memory: every status, lost replies, dead
 * processes, a store that stepped back. */
#include "rig/workrig.c"

static struct rig r;
static struct phone p;

static const int versions[] = { EAS_25, EAS_120, EAS_121, EAS_140, EAS_141 };
enum { N_VERSIONS = sizeof(versions) / sizeof(*versions) };

static void up(void)
{
	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
}

static struct foldersync_reply *hsync_as(struct phone *ph, struct slice key)
{
	struct folder_request q = { .sync_key = key };
	struct reply a = rig_send(ph, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, &foldersync_reply_schema);

	if (!a.obj)
		test_fail(__FILE__, __LINE__, "FolderSync: http %d status %d", a.v.http_status, a.v.status);
	return a.obj;
}

static struct foldersync_reply *hsync(struct slice key)
{
	return hsync_as(&p, key);
}

static struct folder_reply *create(struct slice key, const char *parent, const char *name, int type)
{
	struct folder_request q = { .sync_key = key, .parent_id = slice_str(parent), .display_name = slice_str(name),
				    .type = NUM(type) };
	struct reply a = rig_send(&p, EAS_CMD_FOLDER_CREATE, &foldercreate_request_schema, &q, &foldercreate_reply_schema);

	if (!a.obj && !r.died)
		test_fail(__FILE__, __LINE__, "FolderCreate: http %d", a.v.http_status);
	return a.obj;
}

static struct folder_reply *update(struct slice key, struct slice id, const char *parent, const char *name)
{
	struct folder_request q = { .sync_key = key, .server_id = id, .parent_id = slice_str(parent),
				    .display_name = slice_str(name) };
	struct reply a = rig_send(&p, EAS_CMD_FOLDER_UPDATE, &folderupdate_request_schema, &q, &folderupdate_reply_schema);

	if (!a.obj && !r.died)
		test_fail(__FILE__, __LINE__, "FolderUpdate: http %d", a.v.http_status);
	return a.obj;
}

static struct folder_reply *delete(struct slice key, struct slice id)
{
	struct folder_request q = { .sync_key = key, .server_id = id };
	struct reply a = rig_send(&p, EAS_CMD_FOLDER_DELETE, &folderdelete_request_schema, &q, &folderdelete_reply_schema);

	if (!a.obj && !r.died)
		test_fail(__FILE__, __LINE__, "FolderDelete: http %d", a.v.http_status);
	return a.obj;
}

/* On error neither key nor id. */
static void check_error(const struct folder_reply *a, int status)
{
	CHECK_INT(a->status.v, status);
	CHECK(!a->sync_key.ptr && !a->server_id.ptr);
}

static const struct folder_change *find(const struct foldersync_reply *a, const char *name)
{
	for (size_t i = 0; i < a->changes.n; i++)
		if (slice_eq(a->changes.v[i].display_name, slice_str(name)))
			return &a->changes.v[i];
	return NULL;
}

static struct slice id_of(const struct foldersync_reply *a, const char *name)
{
	const struct folder_change *c = find(a, name);

	if (!c)
		test_fail(__FILE__, __LINE__, "no %s", name);
	return c->server_id;
}

/* --- FolderSync --------------------------------------------------------------------------------- */

CASE(foldersync_tells_all_then_nothing)
{
	rig_up(&r, NULL);
	for (size_t i = 0; i < N_VERSIONS; i++) {
		struct foldersync_reply *a, *b;

		p = rig_phone(&r, "alice", arena_printf(test_arena(), "d%zu", i).ptr, versions[i]);
		a = hsync(S("0"));
		CHECK_INT(a->status.v, 1);
		CHECK_INT(a->count.v, 5);
		CHECK_INT(a->changes.n, 5);
		CHECK_INT(find(a, "INBOX")->type.v, FOLDER_INBOX);
		CHECK_INT(find(a, "Sent")->type.v, FOLDER_SENT);
		CHECK_STR(find(a, "INBOX")->parent_id, "0");
		CHECK(a->sync_key.len > 0 && a->sync_key.len <= 64);
		b = hsync(a->sync_key);
		CHECK_INT(b->status.v, 1);
		CHECK(b->has_changes.has && b->count.has && b->count.v == 0 && b->changes.n == 0);
		CHECK_SLICE(b->sync_key, a->sync_key);
	}
	rig_down(&r);
}

CASE(foldersync_key_0_names_versions_again)
{
	struct folder_request q = { .sync_key = S("0") };
	struct reply a;
	unsigned seen = 0;

	up();
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, NULL);
	for (size_t i = 0; i < a.v.n_headers; i++)
		seen += slice_eq(a.v.headers[i].name, S("MS-ASProtocolVersions")) ||
			slice_eq(a.v.headers[i].name, S("MS-ASProtocolCommands")) ||
			slice_eq(a.v.headers[i].name, S("X-MS-RP"));
	CHECK_INT(seen, 3);
	rig_down(&r);
}

CASE(foldersync_reports_add_update_delete_of_others)
{
	struct foldersync_reply *a, *b;
	struct slice work, sub;

	up();
	mem_webmail_folder_create(r.mail, S("alice"), S("Work"));
	mem_webmail_folder_create(r.mail, S("alice"), S("Work/Sub"));
	mem_webmail_folder_create(r.mail, S("alice"), S("Old"));
	a = hsync(S("0"));
	work = id_of(a, "Work");
	sub = id_of(a, "Sub");
	CHECK_SLICE(find(a, "Sub")->parent_id, work);
	mem_webmail_folder_rename(r.mail, S("alice"), S("Work"), S("Office"));
	mem_webmail_folder_delete(r.mail, S("alice"), S("Old"));
	mem_webmail_folder_create(r.mail, S("alice"), S("Fresh"));
	b = hsync(a->sync_key);
	CHECK_INT(b->count.v, 3); /* Sub hangs below the same id: nothing to tell */
	CHECK_INT(b->changes.v[0].tag, HIERARCHY_UPDATE);
	CHECK_SLICE(b->changes.v[0].server_id, work);
	CHECK_STR(b->changes.v[0].display_name, "Office");
	CHECK_INT(b->changes.v[1].tag, HIERARCHY_DELETE);
	CHECK_SLICE(b->changes.v[1].server_id, id_of(a, "Old"));
	CHECK_INT(b->changes.v[2].tag, HIERARCHY_ADD);
	CHECK_STR(b->changes.v[2].display_name, "Fresh");
	CHECK(!slice_eq(b->sync_key, a->sync_key));
	CHECK_INT(hsync(b->sync_key)->count.v, 0);
	CHECK(sub.len);
	rig_down(&r);
}

CASE(foldersync_ids_are_the_same_everywhere)
{
	struct phone two;
	struct foldersync_reply *a, *b;

	up();
	two = rig_phone(&r, "alice", "tablet", EAS_121);
	a = hsync(S("0"));
	b = hsync_as(&two, S("0"));
	CHECK_SLICE(id_of(a, "INBOX"), id_of(b, "INBOX"));
	store_mem_flush(store_fail_inner(r.store)); /* the store is lost: they are derived */
	b = hsync_as(&two, S("0"));
	CHECK_SLICE(id_of(a, "INBOX"), id_of(b, "INBOX"));
	two = rig_phone(&r, "bob", "dev", EAS_141);
	CHECK(!slice_eq(id_of(hsync_as(&two, S("0")), "INBOX"), id_of(a, "INBOX")));
	rig_down(&r);
}

CASE(foldersync_a_lost_reply_gets_the_same_answer)
{
	struct foldersync_reply *a, *b, *c, *d;

	up();
	a = hsync(S("0"));
	mem_webmail_folder_create(r.mail, S("alice"), S("One"));
	b = hsync(a->sync_key); /* lost */
	c = hsync(a->sync_key);
	CHECK_SLICE(c->sync_key, b->sync_key);
	CHECK_INT(c->count.v, 1);
	CHECK_SLICE(id_of(c, "One"), id_of(b, "One"));
	/* Lost again, and now something more happened: both are told, under a new key. */
	mem_webmail_folder_create(r.mail, S("alice"), S("Two"));
	d = hsync(a->sync_key);
	CHECK_INT(d->count.v, 2);
	CHECK(!slice_eq(d->sync_key, b->sync_key));
	CHECK_INT(hsync(d->sync_key)->count.v, 0);
	/* Once confirmed, the oldest key is history. */
	mem_webmail_folder_create(r.mail, S("alice"), S("Three"));
	CHECK_INT(hsync(d->sync_key)->count.v, 1);
	CHECK_INT(hsync(a->sync_key)->status.v, 9);
	rig_down(&r);
}

CASE(foldersync_two_equal_first_ones_are_one)
{
	struct foldersync_reply *a, *b, *c;

	up();
	a = hsync(S("0"));
	b = hsync(S("0"));
	CHECK_SLICE(a->sync_key, b->sync_key);
	CHECK_INT(b->count.v, 5);
	mem_webmail_folder_create(r.mail, S("alice"), S("New"));
	c = hsync(S("0"));
	CHECK(!slice_eq(a->sync_key, c->sync_key));
	CHECK_INT(c->count.v, 6);
	/* The phone's other program holds the older key: it goes on from there. */
	CHECK_INT(hsync(a->sync_key)->count.v, 1);
	rig_down(&r);
}

CASE(foldersync_foreign_keys_are_status_9)
{
	static const char *const bad[] = { "1", "no-such-key", "{guid}3", "1AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "-1", "00" };
	struct phone two;
	struct slice theirs;

	up();
	hsync(S("0"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct foldersync_reply *a = hsync(slice_str(bad[i]));

		CHECK_INT(a->status.v, 9);
		CHECK(!a->sync_key.ptr && !a->has_changes.has);
	}
	two = rig_phone(&r, "alice", "tablet", EAS_141);
	theirs = hsync_as(&two, S("0"))->sync_key;
	CHECK_INT(hsync(theirs)->status.v, 9); /* another device's */
	rig_down(&r);
}

CASE(foldersync_without_a_key_is_status_10)
{
	struct folder_request q = { .sync_key = S_NONE };
	struct reply a;

	up();
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, &foldersync_reply_schema);
	CHECK_INT(a.status, 10);
	p.version = EAS_121;
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, &foldersync_reply_schema);
	CHECK_INT(a.status, 10);
	rig_down(&r);
}

CASE(foldersync_a_store_that_stepped_back_is_recognised)
{
	struct store_image *img;
	struct foldersync_reply *a, *b;
	struct slice inbox;

	up();
	a = hsync(S("0"));
	inbox = id_of(a, "INBOX");
	img = store_mem_snapshot(store_fail_inner(r.store));
	mem_webmail_folder_create(r.mail, S("alice"), S("Later"));
	b = hsync(a->sync_key);
	store_mem_restore(store_fail_inner(r.store), img);
	CHECK_INT(hsync(b->sync_key)->status.v, 9); /* authentic, but newer than the store */
	b = hsync(S("0"));
	CHECK_INT(b->count.v, 6);
	CHECK_SLICE(id_of(b, "INBOX"), inbox); /* ids stay: collections go on */
	store_image_free(&img);
	rig_down(&r);
}

CASE(foldersync_never_touches_collections)
{
	struct store_put put = { .key = S("col:dev:f1"), .op = STORE_PUT, .expect = 0, .value = S("\001state") };
	struct store_get g = { .key = S("col:dev:f1") };
	struct err e;

	up();
	hsync(S("0"));
	CHECK_INT(store_commit(store_fail_inner(r.store), S("alice"), &put, 1, NULL, 0, &e), 0);
	hsync(S("0"));
	CHECK_INT(store_load(store_fail_inner(r.store), S("alice"), &g, 1, NULL, NULL, test_arena(), &e), 0);
	CHECK_STR(g.value, "\001state");
	rig_down(&r);
}

/* --- FolderCreate ----------------------------------------------------------------------------------- */

CASE(foldercreate_makes_one_that_others_see)
{
	struct phone two;
	struct foldersync_reply *a, *b;
	struct folder_reply *c;

	up();
	two = rig_phone(&r, "alice", "tablet", EAS_121);
	a = hsync(S("0"));
	b = hsync_as(&two, S("0"));
	c = create(a->sync_key, "0", "Für Uwe & Co", 12);
	CHECK_INT(c->status.v, 1);
	CHECK(c->sync_key.len && c->server_id.len && c->server_id.len <= 64);
	CHECK_INT(hsync(c->sync_key)->count.v, 0);
	b = hsync_as(&two, b->sync_key);
	CHECK_INT(b->count.v, 1);
	CHECK_SLICE(id_of(b, "Für Uwe & Co"), c->server_id);
	CHECK_INT(b->changes.v[0].type.v, 12);
	rig_down(&r);
}

CASE(foldercreate_below_another)
{
	struct foldersync_reply *a;
	struct folder_reply *c, *d;

	up();
	a = hsync(S("0"));
	c = create(a->sync_key, "0", "Top", 1);
	d = create(c->sync_key, c->server_id.ptr, "Below", 12);
	CHECK_INT(d->status.v, 1);
	a = hsync(S("0"));
	CHECK_SLICE(find(a, "Below")->parent_id, c->server_id);
	CHECK_SLICE(id_of(a, "Below"), d->server_id);
	rig_down(&r);
}

CASE(foldercreate_statuses)
{
	static const struct {
		const char *parent, *name;
		int type, status;
	} row[] = {
		{ "0", "INBOX", 12, 2 }, { "0", "Sent", 12, 2 }, { "no-such-folder", "X", 12, 5 },
		{ "0", "X", 2, 10 }, { "0", "X", 6, 10 }, { "0", "X", 9, 10 }, { "0", "X", 13, 10 },
		{ "0", "X", 19, 3 }, { "0", "X", 0, 10 }, { "0", "X", 99, 10 }, { "0", "", 12, 10 }, { "", "X", 12, 10 },
	};
	struct folder_request q = { .sync_key = S("x"), .parent_id = S("0"), .display_name = S("X") };
	struct slice key;
	struct reply a;
	char longer[400];

	up();
	key = hsync(S("0"))->sync_key;
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		struct folder_reply *c = create(key, row[i].parent, row[i].name, row[i].type);

		if (c->status.v != row[i].status)
			test_fail(__FILE__, __LINE__, "row %zu: %lld", i, (long long)c->status.v);
		check_error(c, row[i].status);
	}
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	check_error(create(key, "0", longer, 12), 10);
	check_error(create(S("0"), "0", "X", 12), 9);
	check_error(create(S("bad"), "0", "X", 12), 9);
	a = rig_send(&p, EAS_CMD_FOLDER_CREATE, &foldercreate_request_schema, &q, &foldercreate_reply_schema);
	CHECK_INT(a.status, 10); /* no Type */
	CHECK_INT(hsync(key)->count.v, 0); /* nothing was made */
	rig_down(&r);
}

CASE(foldercreate_repeated_makes_one)
{
	struct slice key;
	struct folder_reply *a, *b;

	up();
	key = hsync(S("0"))->sync_key;
	a = create(key, "0", "Once", 12);
	b = create(key, "0", "Once", 12); /* the reply got lost */
	CHECK_INT(b->status.v, 1);
	CHECK_SLICE(b->server_id, a->server_id);
	CHECK_SLICE(b->sync_key, a->sync_key);
	check_error(create(b->sync_key, "0", "Once", 12), 2); /* the user does it again */
	CHECK_INT(hsync(S("0"))->count.v, 6);
	rig_down(&r);
}

CASE(foldercreate_a_process_that_died_is_repeated)
{
	struct slice key;
	struct folder_reply *b;

	up();
	key = hsync(S("0"))->sync_key;
	r.die_at = "foldercreate";
	create(key, "0", "Once", 12);
	CHECK(r.died);
	r.die_at = NULL;
	b = create(key, "0", "Once", 12);
	CHECK_INT(b->status.v, 1);
	CHECK(b->server_id.len);
	CHECK_INT(hsync(b->sync_key)->count.v, 0);
	CHECK_INT(hsync(S("0"))->count.v, 6); /* nothing twice */
	rig_down(&r);
}

/* The commit was made, its answer got lost: the phone repeats and learns what was done. */
CASE(foldercreate_a_lost_commit_answer_is_repeated)
{
	struct slice key;
	struct folder_request q = { .parent_id = S("0"), .display_name = S("Once"), .type = NUM(12) };
	struct folder_reply *b;
	struct reply a;

	up();
	key = q.sync_key = hsync(S("0"))->sync_key;
	r.next_fault[STORE_CALL_COMMIT] = STORE_FAIL_AFTER;
	a = rig_send(&p, EAS_CMD_FOLDER_CREATE, &foldercreate_request_schema, &q, NULL);
	CHECK_INT(a.v.http_status, 503);
	b = create(key, "0", "Once", 12);
	CHECK_INT(b->status.v, 1);
	r.next_fault[STORE_CALL_COMMIT] = STORE_FAIL_BEFORE;
	q.sync_key = b->sync_key;
	q.display_name = S("Second");
	a = rig_send(&p, EAS_CMD_FOLDER_CREATE, &foldercreate_request_schema, &q, NULL);
	CHECK_INT(a.v.http_status, 503);
	b = create(b->sync_key, "0", "Second", 12);
	CHECK_INT(b->status.v, 1);
	CHECK_INT(hsync(S("0"))->count.v, 7);
	rig_down(&r);
}

CASE(foldercreate_of_what_webmail_made_and_another_phone_saw_is_2)
{
	struct phone two;
	struct slice key;

	up();
	two = rig_phone(&r, "alice", "tablet", EAS_141);
	key = hsync(S("0"))->sync_key;
	mem_webmail_folder_create(r.mail, S("alice"), S("Theirs"));
	hsync_as(&two, S("0"));
	check_error(create(key, "0", "Theirs", 12), 2);
	rig_down(&r);
}

/* --- FolderUpdate -------------------------------------------------------------------------------------- */

CASE(folderupdate_keeps_the_id)
{
	struct phone two;
	struct foldersync_reply *a, *b;
	struct folder_reply *c, *sub, *u;

	up();
	two = rig_phone(&r, "alice", "tablet", EAS_121);
	a = hsync(S("0"));
	c = create(a->sync_key, "0", "Before", 12);
	sub = create(c->sync_key, c->server_id.ptr, "Sub", 12);
	b = hsync_as(&two, S("0"));
	u = update(sub->sync_key, c->server_id, "0", "After");
	CHECK_INT(u->status.v, 1);
	CHECK_INT(hsync(u->sync_key)->count.v, 0);
	b = hsync_as(&two, b->sync_key);
	CHECK_INT(b->count.v, 1);
	CHECK_INT(b->changes.v[0].tag, HIERARCHY_UPDATE);
	CHECK_SLICE(b->changes.v[0].server_id, c->server_id);
	CHECK_STR(b->changes.v[0].display_name, "After");
	/* A move: Sub to the top. */
	u = update(u->sync_key, sub->server_id, "0", "Sub");
	CHECK_INT(u->status.v, 1);
	b = hsync_as(&two, b->sync_key);
	CHECK_INT(b->count.v, 1);
	CHECK_SLICE(b->changes.v[0].server_id, sub->server_id);
	CHECK_STR(b->changes.v[0].parent_id, "0");
	/* A new folder of the old name is another folder. */
	u = create(u->sync_key, "0", "Before", 12);
	CHECK_INT(u->status.v, 1);
	CHECK(!slice_eq(u->server_id, c->server_id));
	rig_down(&r);
}

CASE(folderupdate_statuses)
{
	struct foldersync_reply *a;
	struct folder_reply *c, *d;
	struct slice key, inbox;

	up();
	a = hsync(S("0"));
	inbox = id_of(a, "INBOX");
	c = create(a->sync_key, "0", "One", 12);
	d = create(c->sync_key, c->server_id.ptr, "Two", 12);
	key = d->sync_key;
	check_error(update(key, S("no-such-folder"), "0", "X"), 4);
	check_error(update(key, inbox, "0", "X"), 2); /* R4102 */
	check_error(update(key, c->server_id, "no-such-folder", "X"), 5);
	check_error(update(key, c->server_id, "0", "Sent"), 2);
	check_error(update(key, c->server_id, c->server_id.ptr, "One"), 10); /* below itself */
	check_error(update(key, c->server_id, d->server_id.ptr, "One"), 10);
	check_error(update(S("bad"), c->server_id, "0", "X"), 9);
	check_error(update(key, c->server_id, "0", ""), 10);
	CHECK_INT(hsync(key)->count.v, 0);
	CHECK_INT(update(key, c->server_id, "0", "One")->status.v, 1); /* nothing to do is no error */
	rig_down(&r);
}

CASE(folderupdate_repeated_and_after_a_death)
{
	struct folder_reply *c, *u, *v;
	struct slice key;

	up();
	c = create(hsync(S("0"))->sync_key, "0", "Before", 12);
	key = c->sync_key;
	u = update(key, c->server_id, "0", "After");
	v = update(key, c->server_id, "0", "After");
	CHECK_INT(v->status.v, 1);
	CHECK_SLICE(u->sync_key, v->sync_key);
	r.die_at = "folderupdate";
	update(v->sync_key, c->server_id, "0", "Third");
	CHECK(r.died);
	r.die_at = NULL;
	u = update(v->sync_key, c->server_id, "0", "Third");
	CHECK_INT(u->status.v, 1);
	CHECK_SLICE(id_of(hsync(S("0")), "Third"), c->server_id);
	rig_down(&r);
}

/* --- FolderDelete ----------------------------------------------------------------------------------------- */

CASE(folderdelete_and_its_statuses)
{
	struct phone two;
	struct foldersync_reply *a, *b;
	struct folder_reply *c, *d;

	up();
	two = rig_phone(&r, "alice", "tablet", EAS_121);
	a = hsync(S("0"));
	c = create(a->sync_key, "0", "Gone", 12);
	b = hsync_as(&two, S("0"));
	check_error(delete(c->sync_key, S("no-such-folder")), 4);
	check_error(delete(c->sync_key, id_of(a, "INBOX")), 3);
	check_error(delete(c->sync_key, id_of(a, "Sent")), 3);
	check_error(delete(S("bad"), c->server_id), 9);
	check_error(delete(c->sync_key, S_NONE), 10);
	d = delete(c->sync_key, c->server_id);
	CHECK_INT(d->status.v, 1);
	CHECK(!d->server_id.ptr);
	CHECK_INT(hsync(d->sync_key)->count.v, 0);
	b = hsync_as(&two, b->sync_key);
	CHECK_INT(b->count.v, 1);
	CHECK_INT(b->changes.v[0].tag, HIERARCHY_DELETE);
	CHECK_SLICE(b->changes.v[0].server_id, c->server_id);
	check_error(delete(d->sync_key, c->server_id), 4);
	rig_down(&r);
}

CASE(folderdelete_repeated_and_after_a_death)
{
	struct folder_reply *c, *d, *again;

	up();
	c = create(hsync(S("0"))->sync_key, "0", "One", 12);
	d = delete(c->sync_key, c->server_id);
	again = delete(c->sync_key, c->server_id);
	CHECK_INT(again->status.v, 1);
	CHECK_SLICE(again->sync_key, d->sync_key);
	c = create(d->sync_key, "0", "Two", 12);
	r.die_at = "folderdelete";
	delete(c->sync_key, c->server_id);
	CHECK(r.died);
	r.die_at = NULL;
	CHECK_INT(delete(c->sync_key, c->server_id)->status.v, 1);
	CHECK_INT(hsync(S("0"))->count.v, 5);
	rig_down(&r);
}
