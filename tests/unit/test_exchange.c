/* test_exchange.c - the frame of every command: methods, authentication, what
 * was asked, the gate (access, wipe, policy keys), commits that lose a race, two
 * servers. Hand-made requests over the store and the backend in memory. */
#include "rig/workrig.c"

#include "work/admin.h"

static struct rig r;

static const struct schema *const FS_ASK = &foldersync_request_schema;

static struct reply folder_sync(struct phone *p, const char *key)
{
	struct folder_request q = { .sync_key = slice_str(key) };

	return rig_send(p, EAS_CMD_FOLDER_SYNC, FS_ASK, &q, &foldersync_reply_schema);
}

static struct slice header(const struct reply *a, const char *name)
{
	for (size_t i = 0; i < a->v.n_headers; i++)
		if (slice_ieq(a->v.headers[i].name, slice_str(name)))
			return a->v.headers[i].value;
	return S_NONE;
}

static bool contains(struct slice hay, const char *needle)
{
	return hay.len && memmem(hay.ptr, hay.len, needle, strlen(needle)) != NULL;
}

/* The device record as it stands in the store. */
static struct device stored(struct phone *p)
{
	struct store_get g = { .key = arena_printf(test_arena(), "dev:%s", p->id) };
	struct device d;
	struct err e;

	CHECK_INT(store_load(store_fail_inner(r.store), slice_str(p->user), &g, 1, NULL, NULL, test_arena(), &e), 0);
	CHECK_INT(device_decode(test_arena(), slice_str(p->user), slice_str(p->id), g.value, g.rev, &d, &e), 0);
	return d;
}

static void store_device(struct phone *p, struct device *d)
{
	struct store_put put = { .key = arena_printf(test_arena(), "dev:%s", p->id), .op = STORE_PUT, .expect = STORE_ANY };
	struct err e;

	put.value = device_encode(test_arena(), d);
	CHECK_INT(store_commit(store_fail_inner(r.store), slice_str(p->user), &put, 1, NULL, 0, &e), 0);
}

/* --- methods --------------------------------------------------------------------------------- */

CASE(options_names_versions_and_commands)
{
	struct phone p;
	struct request *rq;
	struct reply a;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "", 0);
	rq = rig_request(&p, EAS_CMD_NONE, NULL, NULL);
	rq->method = HTTP_M_OPTIONS;
	a = rig_run(&p, rq, NULL);
	CHECK_INT(a.v.http_status, 200);
	CHECK_STR(header(&a, "MS-ASProtocolVersions"), "2.5,12.0,12.1,14.0,14.1");
	CHECK(contains(header(&a, "MS-ASProtocolCommands"), "FolderSync,FolderCreate,FolderDelete,FolderUpdate"));
	CHECK(contains(header(&a, "MS-ASProtocolCommands"), "Provision"));
	CHECK(!contains(header(&a, "MS-ASProtocolCommands"), "Search")); /* not there: not offered */
	CHECK(header(&a, "MS-Server-ActiveSync").len && header(&a, "Public").len && header(&a, "Allow").len);
	CHECK_INT(a.body.len, 0);
	rig_down(&r);
}

CASE(information_page_shows_ones_own_devices_escaped)
{
	struct phone p, other;
	struct request *rq;
	struct reply a;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev<1>", EAS_141);
	p.agent = "<script>alert(1)</script>&\"'";
	folder_sync(&p, "0");
	other = rig_phone(&r, "bob", "bobs-phone", EAS_121);
	folder_sync(&other, "0");
	rq = rig_request(&p, EAS_CMD_NONE, NULL, NULL);
	rq->method = HTTP_M_GET;
	a = rig_run(&p, rq, NULL);
	CHECK_INT(a.v.http_status, 200);
	CHECK_STR(a.v.content_type, "text/html; charset=utf-8");
	CHECK(contains(a.body, "<dt>User<dd>alice\n"));
	CHECK(contains(a.body, ", 1 device</p>"));
	CHECK(contains(a.body, "<dt>Last sync<dd>never\n"));
	CHECK(contains(a.body, "dev&lt;1&gt;"));
	CHECK(contains(a.body, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;"));
	CHECK(!contains(a.body, "<script>"));
	CHECK(!contains(a.body, "bobs-phone"));
	CHECK(contains(a.body, "14.1"));
	rq = rig_request(&p, EAS_CMD_NONE, NULL, NULL);
	rq->method = HTTP_M_GET;
	rq->has_auth = false;
	a = rig_run(&p, rq, NULL);
	CHECK_INT(a.v.http_status, 401);
	CHECK(contains(header(&a, "WWW-Authenticate"), "Basic"));
	rig_down(&r);
}

/* --- authentication ----------------------------------------------------------------------------- */

CASE(login_is_asked_once_and_remembered)
{
	struct phone p;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	for (int i = 0; i < 5; i++) {
		CHECK_INT(folder_sync(&p, "0").status, 1);
		pool_forget(r.w.pool, S("nobody"));
	}
	CHECK_INT(mem_logins(r.mail), 1); /* one login, one session kept */
	rig_down(&r);
}

CASE(wrong_password_and_unknown_user_look_alike)
{
	struct phone p;
	struct reply a, b;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	p.password = "wrong";
	a = folder_sync(&p, "0");
	p.user = "nobody";
	b = folder_sync(&p, "0");
	CHECK_INT(a.v.http_status, 401);
	CHECK_INT(b.v.http_status, 401);
	CHECK_INT(a.v.n_headers, b.v.n_headers);
	CHECK_SLICE(header(&a, "WWW-Authenticate"), header(&b, "WWW-Authenticate"));
	CHECK_STR(slice_str(a.v.err.text), b.v.err.text);
	CHECK_INT(a.body.len, 0);
	/* And nothing was remembered of a device that could not log in. */
	CHECK_INT(stored(&p).rev, 0);
	/* Guessing ends nobody's Ping. */
	CHECK(!a.v.drop_user);
	rig_down(&r);
}

CASE(throttle_answers_503_with_the_time)
{
	struct phone p;
	struct reply a;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	p.password = "wrong";
	for (int i = 0; i < 10; i++)
		CHECK_INT(folder_sync(&p, "0").v.http_status, 401);
	a = folder_sync(&p, "0");
	CHECK_INT(a.v.http_status, 503);
	CHECK_STR(header(&a, "Retry-After"), "300");
	p.id = "other";
	p.password = "pw";
	CHECK_INT(folder_sync(&p, "0").status, 1);
	rig_down(&r);
}

CASE(a_password_changed_elsewhere_ends_in_401_and_drops_the_user)
{
	struct phone p;
	struct reply a;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	CHECK_INT(folder_sync(&p, "0").status, 1);
	mem_set_password(r.mail, S("alice"), S("new"));
	pool_forget(r.w.pool, S("alice")); /* its session ended */
	a = folder_sync(&p, "0");
	CHECK_INT(a.v.http_status, 401);
	CHECK(a.v.drop_user);
	a = folder_sync(&p, "0");
	CHECK_INT(a.v.http_status, 401);
	CHECK(!a.v.drop_user);
	p.password = "new";
	CHECK_INT(folder_sync(&p, "0").status, 1);
	rig_down(&r);
}

/* --- what was asked ------------------------------------------------------------------------------- */

CASE(unknown_commands_versions_and_devices)
{
	struct phone p;
	struct request *rq;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	CHECK_INT(rig_send(&p, EAS_CMD_UNKNOWN, NULL, NULL, NULL).v.http_status, 501);
	CHECK_INT(rig_send(&p, EAS_CMD_SEARCH, NULL, NULL, NULL).v.http_status, 501);
	CHECK_INT(rig_send(&p, EAS_CMD_NONE, NULL, NULL, NULL).v.http_status, 400);
	p.version = EAS_161;
	rq = rig_request(&p, EAS_CMD_FOLDER_SYNC, NULL, NULL);
	CHECK_INT(rig_run(&p, rq, NULL).v.http_status, 400);
	p.version = 99;
	CHECK_INT(rig_send(&p, EAS_CMD_FOLDER_SYNC, NULL, NULL, NULL).v.http_status, 400);
	p.version = EAS_25; /* Settings came with 12.0 */
	CHECK_INT(rig_send(&p, EAS_CMD_SETTINGS, NULL, NULL, NULL).v.http_status, 400);
	rig_down(&r);
}

CASE(missing_device_id_and_type)
{
	static const struct {
		int version, http, id_status, type_status;
	} row[] = { { EAS_121, 400, 108, 109 }, { EAS_141, 200, 108, 109 } };
	struct phone p;

	rig_up(&r, NULL);
	for (size_t i = 0; i < 2; i++) {
		struct reply a;

		p = rig_phone(&r, "alice", "", row[i].version);
		a = folder_sync(&p, "0");
		CHECK_INT(a.v.http_status, row[i].http);
		CHECK_INT(a.v.status, row[i].id_status);
		p = rig_phone(&r, "alice", "dev", row[i].version);
		p.type = "";
		a = folder_sync(&p, "0");
		CHECK_INT(a.v.http_status, row[i].http);
		CHECK_INT(a.v.status, row[i].type_status);
	}
	rig_down(&r);
}

CASE(bodies_that_cannot_be_read)
{
	struct ping_request ping = { .heartbeat = NUM(100) };
	struct phone p;

	rig_up(&r, NULL);
	for (int v = EAS_121; v <= EAS_141; v += EAS_141 - EAS_121) {
		struct request *rq;
		struct reply a;

		p = rig_phone(&r, "alice", "dev", v);
		/* Ping's body under FolderSync. */
		rq = rig_request(&p, EAS_CMD_FOLDER_SYNC, &ping_request_schema, &ping);
		rq->body_kind = BODY_BAD;
		rq->report->wrong_root = true;
		a = rig_run(&p, rq, NULL);
		CHECK_INT(v == EAS_121 ? a.v.http_status : a.status, v == EAS_121 ? 400 : 103);
		/* Not WBXML at all. */
		rq = rig_request(&p, EAS_CMD_FOLDER_SYNC, NULL, NULL);
		rq->body_kind = BODY_BAD;
		rq->report = NULL;
		a = rig_run(&p, rq, NULL);
		CHECK_INT(v == EAS_121 ? a.v.http_status : a.status, v == EAS_121 ? 400 : 101);
		/* Broken WBXML. */
		rq = rig_request(&p, EAS_CMD_FOLDER_SYNC, NULL, NULL);
		rq->body_kind = BODY_BAD;
		a = rig_run(&p, rq, NULL);
		CHECK_INT(v == EAS_121 ? a.v.http_status : a.status, v == EAS_121 ? 400 : 102);
		/* None where one is needed. */
		a = rig_send(&p, EAS_CMD_FOLDER_SYNC, NULL, NULL, NULL);
		CHECK_INT(v == EAS_121 ? a.v.http_status : a.status, v == EAS_121 ? 400 : 103);
	}
	rig_down(&r);
}

/* --- access ---------------------------------------------------------------------------------------- */

CASE(devices_allow_patterns)
{
	static const char *const set[] = { "devices.allow=type:iPh*,id:GOOD?", NULL };
	struct phone p;

	rig_up(&r, set);
	p = rig_phone(&r, "alice", "bad", EAS_141);
	CHECK_INT(folder_sync(&p, "0").status, 129);
	p.version = EAS_121;
	CHECK_INT(folder_sync(&p, "0").v.http_status, 403);
	p.type = "IPHONE12";
	CHECK_INT(folder_sync(&p, "0").status, 1);
	p = rig_phone(&r, "alice", "good1", EAS_141);
	CHECK_INT(folder_sync(&p, "0").status, 1);
	p = rig_phone(&r, "alice", "good12", EAS_141);
	CHECK_INT(folder_sync(&p, "0").status, 129);
	rig_down(&r);
}

CASE(quarantine_holds_new_devices_only)
{
	struct phone old, fresh;
	struct device d;

	rig_up(&r, NULL);
	old = rig_phone(&r, "alice", "old", EAS_141);
	CHECK_INT(folder_sync(&old, "0").status, 1);
	rig_set(&r, "devices.quarantine", "true");
	CHECK_INT(folder_sync(&old, "0").status, 1);
	fresh = rig_phone(&r, "alice", "fresh", EAS_141);
	CHECK_INT(folder_sync(&fresh, "0").status, 129);
	CHECK_INT(folder_sync(&fresh, "0").status, 129);
	d = stored(&fresh);
	CHECK_INT(d.access, ACCESS_QUARANTINED);
	d.access = ACCESS_ALLOWED;
	store_device(&fresh, &d);
	CHECK_INT(folder_sync(&fresh, "0").status, 1);
	d.access = ACCESS_BLOCKED;
	store_device(&fresh, &d);
	CHECK_INT(folder_sync(&fresh, "0").status, 129);
	rig_down(&r);
}

CASE(devices_per_user_are_bounded)
{
	static const char *const set[] = { "limits.devices_per_user=2", NULL };
	struct phone p;

	rig_up(&r, set);
	for (int i = 0; i < 2; i++) {
		p = rig_phone(&r, "alice", i ? "two" : "one", EAS_141);
		CHECK_INT(folder_sync(&p, "0").status, 1);
	}
	p = rig_phone(&r, "alice", "three", EAS_141);
	CHECK_INT(folder_sync(&p, "0").status, 177);
	CHECK_INT(stored(&p).rev, 0);
	p.version = EAS_121;
	CHECK_INT(folder_sync(&p, "0").v.http_status, 403);
	p = rig_phone(&r, "alice", "one", EAS_141);
	CHECK_INT(folder_sync(&p, "0").status, 1);
	p = rig_phone(&r, "bob", "three", EAS_141);
	CHECK_INT(folder_sync(&p, "0").status, 1);
	rig_down(&r);
}

/* --- wipe -------------------------------------------------------------------------------------------- */

static void order_wipe(struct phone *p)
{
	struct device d = stored(p);

	d.wipe = WIPE_ORDERED;
	store_device(p, &d);
}

static struct provision_reply *provision(struct phone *p, const struct provision_request *q)
{
	struct reply a = rig_send(p, EAS_CMD_PROVISION, &provision_request_schema, q, &provision_reply_schema);

	if (!a.obj)
		test_fail(__FILE__, __LINE__, "http %d status %d", a.v.http_status, a.status);
	return a.obj;
}

CASE(wipe_lets_nothing_out_in_any_version_until_acknowledged)
{
	static const int versions[] = { EAS_25, EAS_120, EAS_121, EAS_140, EAS_141 };
	struct provision_request empty = { .has_policies = { 0 } };
	struct provision_request failed = { .remote_wipe = NUM(1), .remote_wipe_status = NUM(2) };
	struct provision_request done = { .remote_wipe = NUM(1), .remote_wipe_status = NUM(1) };

	rig_up(&r, NULL);
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
		struct phone p = rig_phone(&r, "alice", arena_printf(test_arena(), "dev%zu", i).ptr, versions[i]);
		struct provision_reply *a;
		struct reply b;

		rig_provision(&p);
		CHECK_INT(folder_sync(&p, "0").status, 1);
		order_wipe(&p);
		b = folder_sync(&p, "0");
		CHECK_INT(versions[i] < EAS_140 ? b.v.http_status : b.status, versions[i] < EAS_140 ? 449 : 140);
		CHECK(!contains(b.body, "INBOX"));
		p.no_key = true;
		b = folder_sync(&p, "0");
		CHECK_INT(versions[i] < EAS_140 ? b.v.http_status : b.status, versions[i] < EAS_140 ? 403 : 140);
		p.no_key = false;
		a = provision(&p, &empty);
		CHECK(a->status.v == 1 && a->remote_wipe.has && a->policies.n == 0);
		CHECK_INT(stored(&p).wipe, WIPE_SENT);
		a = provision(&p, &failed); /* R665, R701: 2, and told again */
		CHECK(a->status.v == 2 && a->remote_wipe.has);
		CHECK_INT(stored(&p).wipe, WIPE_FAILED);
		b = folder_sync(&p, "0");
		CHECK(b.v.http_status != 200 || b.status == 140);
		a = provision(&p, &done);
		CHECK(a->status.v == 1 && !a->remote_wipe.has);
		CHECK_INT(stored(&p).wipe, WIPE_ACKNOWLEDGED);
		a = provision(&p, &done); /* its answer got lost */
		CHECK(a->status.v == 1 && !a->remote_wipe.has);
		/* The old key is gone with what was on the phone; it may start as a new one. */
		b = folder_sync(&p, "0");
		CHECK_INT(versions[i] < EAS_140 ? b.v.http_status : b.status, versions[i] < EAS_140 ? 449 : 144);
		p.key = 0;
		rig_provision(&p);
		CHECK_INT(folder_sync(&p, "0").status, 1);
	}
	rig_down(&r);
}

CASE(wipe_comes_before_a_block_and_an_acknowledgement_needs_an_order)
{
	struct provision_request done = { .remote_wipe = NUM(1), .remote_wipe_status = NUM(1) };
	struct provision_request empty = { .has_policies = { 0 } };
	struct phone p;
	struct device d;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	rig_provision(&p);
	CHECK_INT(provision(&p, &done)->status.v, 2);
	CHECK_INT(stored(&p).wipe, WIPE_NONE);
	d = stored(&p);
	d.access = ACCESS_BLOCKED;
	d.wipe = WIPE_ORDERED;
	store_device(&p, &d);
	CHECK(provision(&p, &empty)->remote_wipe.has);
	rig_down(&r);
}

/* --- policy keys --------------------------------------------------------------------------------------- */

static int refused(struct phone *p)
{
	struct reply a = folder_sync(p, "0");

	if (a.v.http_status == 449)
		return 449;
	return a.status == 1 ? 0 : a.status;
}

CASE(policy_strict_needs_the_key)
{
	static const char *const set[] = { "policy.require=strict", NULL };

	rig_up(&r, set);
	for (int v = EAS_121; v <= EAS_141; v += EAS_141 - EAS_121) {
		struct phone p = rig_phone(&r, "alice", v == EAS_121 ? "a" : "b", v);
		bool old = v == EAS_121;

		CHECK_INT(refused(&p), old ? 449 : 142);
		p.no_key = true;
		CHECK_INT(refused(&p), old ? 449 : 142);
		p.no_key = false;
		p.key = 12345;
		CHECK_INT(refused(&p), old ? 449 : 144);
		rig_provision(&p);
		CHECK_INT(refused(&p), 0);
		p.key ^= 1;
		CHECK_INT(refused(&p), old ? 449 : 144);
		p.key ^= 1;
		p.no_key = true;
		CHECK_INT(refused(&p), old ? 449 : 142);
	}
	rig_down(&r);
}

CASE(policy_loose_asks_once_and_refuses_wrong_keys)
{
	struct phone p;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	CHECK_INT(refused(&p), 0); /* nothing is configured: nothing to insist on */
	rig_set(&r, "policy.DevicePasswordEnabled", "true");
	p = rig_phone(&r, "alice", "no-header", EAS_141);
	p.no_key = true;
	CHECK_INT(refused(&p), 0);
	p = rig_phone(&r, "alice", "zero", EAS_141);
	CHECK_INT(refused(&p), 142);
	CHECK_INT(refused(&p), 0); /* was told, came again: it cannot */
	p.key = 99;
	CHECK_INT(refused(&p), 144);
	p = rig_phone(&r, "alice", "can", EAS_141);
	CHECK_INT(refused(&p), 142);
	rig_provision(&p);
	CHECK_INT(refused(&p), 0);
	p.key++;
	CHECK_INT(refused(&p), 144);
	rig_down(&r);
}

CASE(policy_off_asks_nobody)
{
	static const char *const set[] = { "policy.require=off", "policy.DevicePasswordEnabled=true", NULL };
	struct phone p;

	rig_up(&r, set);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	CHECK_INT(refused(&p), 0);
	p.key = 4711;
	CHECK_INT(refused(&p), 0);
	rig_provision(&p);
	CHECK(p.key != 0);
	rig_down(&r);
}

CASE(policy_change_makes_devices_provision_again)
{
	struct phone p;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	rig_provision(&p);
	CHECK_INT(refused(&p), 0);
	rig_set(&r, "policy.MinDevicePasswordLength", "6");
	CHECK_INT(refused(&p), 143);
	rig_provision(&p);
	CHECK_INT(refused(&p), 0);
	rig_down(&r);
}

/* --- the store ------------------------------------------------------------------------------------------- */

CASE(a_known_phone_that_asks_for_nothing_new_writes_nothing)
{
	struct phone p;
	struct reply a;
	struct slice key;
	unsigned commits;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	a = folder_sync(&p, "0");
	key = ((struct foldersync_reply *)a.obj)->sync_key;
	folder_sync(&p, key.ptr);
	commits = r.calls[STORE_CALL_COMMIT];
	for (int i = 0; i < 3; i++) {
		unsigned loads = r.calls[STORE_CALL_LOAD];

		CHECK_INT(folder_sync(&p, key.ptr).status, 1);
		CHECK_INT(r.calls[STORE_CALL_LOAD], loads + 1);
	}
	CHECK_INT(r.calls[STORE_CALL_COMMIT], commits);
	rig_down(&r);
}

CASE(store_faults_answer_503_and_the_phone_repeats)
{
	struct phone p;
	struct reply a;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	r.next_fault[STORE_CALL_LOAD] = STORE_FAIL_BEFORE;
	a = folder_sync(&p, "0");
	CHECK_INT(a.v.http_status, 503);
	CHECK(header(&a, "Retry-After").len);
	CHECK_INT(a.body.len, 0);
	r.next_fault[STORE_CALL_COMMIT] = STORE_FAIL_BEFORE;
	a = folder_sync(&p, "0");
	CHECK_INT(a.v.http_status, 503);
	CHECK_INT(a.body.len, 0); /* the reply was taken back: its key is not in the store */
	r.next_fault[STORE_CALL_COMMIT] = STORE_FAIL_AFTER;
	a = folder_sync(&p, "0");
	CHECK_INT(a.v.http_status, 503);
	a = folder_sync(&p, "0");
	CHECK_INT(a.status, 1);
	/* The claim of the failed ones is gone: nothing waits. */
	CHECK_INT(folder_sync(&p, ((struct foldersync_reply *)a.obj)->sync_key.ptr).status, 1);
	rig_down(&r);
}

CASE(a_lost_race_over_the_device_record_is_merged)
{
	struct settings_request q = { .device = ARENA_NEW(test_arena(), struct device_information) };
	struct phone p;
	struct reply a;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	folder_sync(&p, "0");
	q.device->set = NUM(1);
	q.device->model = S("Model 1");
	r.next_fault[STORE_CALL_COMMIT] = STORE_RACE; /* another command wrote in between */
	a = rig_send(&p, EAS_CMD_SETTINGS, &settings_request_schema, &q, &settings_reply_schema);
	/* Nothing did write in truth, so the race cannot be explained: 503, repeat. */
	CHECK_INT(a.v.http_status, 503);
	a = rig_send(&p, EAS_CMD_SETTINGS, &settings_request_schema, &q, &settings_reply_schema);
	CHECK_INT(a.status, 1);
	CHECK_STR(stored(&p).info.model, "Model 1");
	rig_down(&r);
}

/* Someone writes the record between this command's load and its commit. */
static struct phone *racer;
static void (*race)(struct phone *p);

static void race_point(void *self, const char *name)
{
	void (*fn)(struct phone *p) = race;

	race = NULL;
	if (fn)
		fn(racer);
}

static void race_provision(struct phone *p)
{
	struct phone other = *p; /* the phone's other program */

	rig_provision(&other);
	p->key = other.key;
}

static void race_wipe(struct phone *p)
{
	order_wipe(p);
}

static struct reply create_racing(struct phone *p, const char *key, void (*fn)(struct phone *))
{
	struct folder_request q = { .sync_key = slice_str(key), .parent_id = S("0"), .display_name = S("New"), .type = NUM(12) };

	racer = p;
	race = fn;
	r.w.crash_point = race_point;
	return rig_send(p, EAS_CMD_FOLDER_CREATE, &foldercreate_request_schema, &q, &foldercreate_reply_schema);
}

CASE(two_commands_of_one_device_merge)
{
	struct phone p;
	struct reply a;
	struct device d;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	a = folder_sync(&p, "0");
	a = create_racing(&p, ((struct foldersync_reply *)a.obj)->sync_key.ptr, race_provision);
	CHECK_INT(a.status, 1);
	d = stored(&p);
	CHECK_INT(d.policy_key, p.key); /* the other command's */
	CHECK_INT(d.hier.key.counter, 2); /* and this one's */
	rig_down(&r);
}

CASE(a_wipe_ordered_while_a_command_runs_keeps_its_answer_here)
{
	struct phone p;
	struct reply a;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	a = folder_sync(&p, "0");
	a = create_racing(&p, ((struct foldersync_reply *)a.obj)->sync_key.ptr, race_wipe);
	CHECK_INT(a.v.status, 140);
	CHECK_INT(stored(&p).wipe, WIPE_ORDERED);
	rig_down(&r);
}

CASE(damaged_records_are_refused_not_trusted)
{
	struct store_put put = { .key = S("dev:dev"), .op = STORE_PUT, .expect = STORE_ANY, .value = S("\001\xff\xff") };
	struct phone p;
	struct reply a;
	struct err e;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	CHECK_INT(store_commit(store_fail_inner(r.store), S("alice"), &put, 1, NULL, 0, &e), 0);
	a = folder_sync(&p, "0");
	CHECK_INT(a.v.status, 110);
	CHECK_INT(a.v.err.code, ERR_STORE_FORMAT);
	p.version = EAS_121;
	CHECK_INT(folder_sync(&p, "0").v.http_status, 500);
	rig_down(&r);
}

/* --- two servers -------------------------------------------------------------------------------------------- */

CASE(a_second_server_takes_over_between_any_two_requests)
{
	struct work two;
	struct phone p;
	struct slice key;

	rig_up(&r, NULL);
	rig_second(&r, &two);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	rig_provision(&p);
	p.w = &two;
	key = ((struct foldersync_reply *)folder_sync(&p, "0").obj)->sync_key;
	p.w = NULL;
	CHECK_INT(folder_sync(&p, key.ptr).status, 1);
	p.w = &two;
	CHECK_INT(folder_sync(&p, key.ptr).status, 1);
	rig_second_down(&two);
	rig_down(&r);
}

/* --- waiting phones -------------------------------------------------------------------------------------------- */

static struct slice inbox_of(struct phone *p)
{
	struct foldersync_reply *a = folder_sync(p, "0").obj;

	for (size_t i = 0; i < a->changes.n; i++)
		if (a->changes.v[i].type.v == FOLDER_INBOX)
			return a->changes.v[i].server_id;
	test_fail(__FILE__, __LINE__, "no INBOX");
}

/* A first Sync of the folder, then a Ping for it: parked. */
static struct reply park(struct phone *p, struct slice folder)
{
	struct ping_request q = { .heartbeat = NUM(470), .has_folders = NUM(1) };
	struct sync_request s = { .has_collections = NUM(1) };
	struct sync_collection *c = LIST_PUSH(test_arena(), &s.collections);
	struct ping_folder *f = LIST_PUSH(test_arena(), &q.folders);
	struct reply a;

	c->sync_key = S("0");
	c->collection_id = folder;
	a = rig_send(p, EAS_CMD_SYNC, &sync_request_schema, &s, NULL);
	CHECK_INT(a.v.http_status, 200);
	f->id = folder;
	f->class = S("Email");
	return rig_send(p, EAS_CMD_PING, &ping_request_schema, &q, &ping_reply_schema);
}

/* What the loop does when the waiter is woken. */
static struct reply check(struct phone *p, struct park *parked)
{
	struct request *rq = rig_request(p, EAS_CMD_NONE, NULL, NULL);

	rq->kind = REQUEST_CHECK;
	rq->parked = parked;
	rq->user = parked->user;
	rq->has_auth = false;
	return rig_run(p, rq, &ping_reply_schema);
}

CASE(a_waiting_ping_ends_when_a_wipe_is_ordered)
{
	struct phone p;
	struct reply a, b;
	struct err e;

	rig_up(&r, NULL);
	for (int v = EAS_121; v <= EAS_141; v += EAS_141 - EAS_121) {
		p = rig_phone(&r, "alice", v == EAS_121 ? "a" : "b", v);
		a = park(&p, inbox_of(&p));
		CHECK_INT(a.v.kind, VERDICT_PARK);
		b = check(&p, a.v.park);
		CHECK_INT(b.v.kind, VERDICT_PARK); /* a wake without a change */
		CHECK_INT(admin_wipe(store_fail_inner(r.store), &r.clock, S("alice"), slice_str(p.id), &e), 0);
		b = check(&p, a.v.park);
		CHECK_INT(b.v.kind, VERDICT_REPLY);
		if (v == EAS_121)
			CHECK(b.v.http_status == 449 || b.v.http_status == 403);
		else
			CHECK_INT(b.v.status, 140);
	}
	rig_down(&r);
}

CASE(a_ping_on_another_server_ends_the_older_one)
{
	struct work two;
	struct phone p;
	struct reply a, b, c;
	struct slice inbox;

	rig_up(&r, NULL);
	rig_second(&r, &two);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	inbox = inbox_of(&p);
	a = park(&p, inbox);
	CHECK_INT(a.v.kind, VERDICT_PARK);
	p.w = &two;
	b = park(&p, inbox);
	CHECK_INT(b.v.kind, VERDICT_PARK);
	CHECK(b.v.park->session > a.v.park->session);
	p.w = NULL;
	c = check(&p, a.v.park);
	CHECK_INT(c.v.kind, VERDICT_REPLY);
	CHECK_INT(c.status, 3);
	p.w = &two;
	CHECK_INT(check(&p, b.v.park).v.kind, VERDICT_PARK);
	rig_second_down(&two);
	rig_down(&r);
}

/* The same Ping again: no login, no backend call, nothing written. */
CASE(a_repeated_ping_costs_no_login_and_no_write)
{
	struct phone p;
	struct reply a;
	unsigned commits;
	uint64_t logins;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	a = park(&p, inbox_of(&p));
	CHECK_INT(a.v.kind, VERDICT_PARK);
	commits = r.calls[STORE_CALL_COMMIT];
	logins = mem_logins(r.mail);
	pool_expire(r.w.pool);
	for (int i = 0; i < 3; i++) {
		a = rig_send(&p, EAS_CMD_PING, NULL, NULL, &ping_reply_schema); /* no body: as last time */
		CHECK_INT(a.v.kind, VERDICT_PARK);
	}
	CHECK_INT(r.calls[STORE_CALL_COMMIT], commits);
	CHECK_INT(mem_logins(r.mail), logins);
	rig_down(&r);
}

/* --- admin --------------------------------------------------------------------------------------------------------- */

static struct slice list_devices(const char *user, enum admin_form form)
{
	struct blob *b = blob_new(0);
	struct slice all;
	struct err e;

	CHECK_INT(admin_devices(store_fail_inner(r.store), &r.clock, slice_str(user), form, b, &e), 0);
	CHECK_INT(blob_map(b, &all, &e), 0);
	all = arena_slice(test_arena(), all);
	blob_free(&b);
	return all;
}

CASE(admin_lists_and_orders)
{
	struct store *s;
	struct phone p, q;
	struct slice out;
	struct err e;

	rig_up(&r, NULL);
	s = store_fail_inner(r.store);
	CHECK_STR(list_devices("", ADMIN_JSON), "[]\n");
	p = rig_phone(&r, "alice", "dev:1", EAS_141);
	p.agent = "Evil\x1b[2J\"\\";
	q = rig_phone(&r, "bob", "tablet", EAS_121);
	folder_sync(&p, "0");
	folder_sync(&q, "0");
	out = list_devices("", ADMIN_JSON);
	CHECK(contains(out, "\"user\":\"alice\",\"device\":\"dev:1\",\"type\":\"SimPhone\""));
	CHECK(contains(out, "\"agent\":\"Evil\\u001b[2J\\\"\\\\\""));
	CHECK(contains(out, "\"version\":\"12.1\""));
	CHECK(contains(out, "\"wipe\":\"none\""));
	CHECK(!contains(list_devices("bob", ADMIN_JSON), "alice"));
	out = list_devices("", ADMIN_TEXT);
	CHECK(contains(out, "alice") && contains(out, "tablet") && !contains(out, "\x1b"));
	/* Orders: by user and device, or by the device alone where that is enough. */
	CHECK_INT(admin_wipe(s, &r.clock, S_NONE, S("nothing"), &e), -1);
	CHECK_INT(e.code, ERR_NOT_FOUND);
	CHECK_INT(admin_wipe(s, &r.clock, S("bob"), S("dev:1"), &e), -1);
	CHECK_INT(admin_wipe(s, &r.clock, S_NONE, S("dev:1"), &e), 0);
	CHECK_INT(stored(&q).wipe, WIPE_NONE);
	CHECK(contains(list_devices("alice", ADMIN_JSON), "\"wipe\":\"ordered\""));
	CHECK_INT(folder_sync(&p, "0").v.status, 140);
	CHECK_INT(admin_unwipe(s, &r.clock, S("alice"), S("dev:1"), &e), 0);
	CHECK_INT(folder_sync(&p, "0").status, 1);
	CHECK_INT(admin_unwipe(s, &r.clock, S("alice"), S("dev:1"), &e), -1);
	CHECK_INT(admin_block(s, &r.clock, S("alice"), S("dev:1"), &e), 0);
	CHECK_INT(folder_sync(&p, "0").v.status, 129);
	CHECK_INT(admin_allow(s, &r.clock, S("alice"), S("dev:1"), &e), 0);
	CHECK_INT(folder_sync(&p, "0").status, 1);
	q.user = "alice";
	folder_sync(&q, "0");
	CHECK_INT(admin_wipe(s, &r.clock, S_NONE, S("tablet"), &e), -1); /* two users have it */
	rig_down(&r);
}

CASE(admin_resync_starts_a_device_over)
{
	struct store_get g = { 0 };
	struct phone p;
	struct slice key, inbox;
	struct err e;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev", EAS_141);
	inbox = inbox_of(&p);
	key = ((struct foldersync_reply *)folder_sync(&p, "0").obj)->sync_key;
	park(&p, inbox);
	g.key = arena_printf(test_arena(), "col:dev:%.*s", SARG(inbox));
	CHECK_INT(store_load(store_fail_inner(r.store), S("alice"), &g, 1, NULL, NULL, test_arena(), &e), 0);
	CHECK(g.value.len);
	CHECK_INT(admin_resync(store_fail_inner(r.store), &r.clock, S("alice"), S("dev"), &e), 0);
	CHECK_INT(store_load(store_fail_inner(r.store), S("alice"), &g, 1, NULL, NULL, test_arena(), &e), 0);
	CHECK_INT(g.value.len, 0);
	CHECK_INT(folder_sync(&p, key.ptr).status, 9);
	CHECK_INT(folder_sync(&p, "0").status, 1);
	rig_down(&r);
}
