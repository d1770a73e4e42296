/* test_clients.c - [[client]] rules: which one matches, what it changes, and that
 * the commands heed it. */
#include "rig/workrig.c"

#include "proto/bodypick.h"
#include "proto/cmd_sync.h"

static struct settings *with(const char *const *columns)
{
	struct settings *s = settings_new();
	struct err e;
	size_t row = 0;

	for (; *columns; columns++) {
		const char *eq = strchr(*columns, '=');

		if (strcmp(*columns, "[[client]]") == 0) {
			row = settings_client_new(s);
			continue;
		}
		struct slice key = slice(*columns, (size_t)(eq - *columns));
		int rc = slice_chr(key, '.') >= 0 ? settings_set(s, key, slice_str(eq + 1), "test", &e)
						   : settings_client_set(s, row, key, slice_str(eq + 1), "test", &e);

		if (rc < 0)
			test_fail(__FILE__, __LINE__, "%s: %s", *columns, e.text);
	}
	return s;
}

static struct client_traits ask(const char *const *columns, const char *type, const char *agent, int version)
{
	struct settings *s = with(columns);
	struct client_traits t;
	struct clients *c;
	struct err e;

	if (clients_new(&c, s, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	clients_find(c, slice_str(type), slice_str(agent), version, &t);
	t.rule = arena_slice(test_arena(), t.rule);
	clients_free(&c);
	settings_unref(&s);
	return t;
}

CASE(clients_nobody_special_gets_the_settings)
{
	const char *const none[] = { "push.heartbeat_min=90s", "limits.reply_time=7s", NULL };
	struct client_traits t = ask(none, "iPhone", "Apple-iPhone6C1/1202.466", EAS_141);

	CHECK_INT(t.rule.len, 0);
	CHECK_INT(t.max_version, EAS_141);
	CHECK_INT(t.heartbeat_min_ms, 90000);
	CHECK_INT(t.heartbeat_max_ms, 3540000);
	CHECK_INT(t.answer_ms, 7000);
	CHECK_INT(t.window, 512);
	CHECK(t.truncation == BODY_UNLIMITED);
	CHECK(!t.default_folders_only);
	CHECK_INT(t.quirks, 0);
}

CASE(clients_first_match_wins_and_all_given_patterns_must_match)
{
	const char *const rules[] = {
		"[[client]]", "name=one", "type=And*", "agent=*Bad/1.?", "version=14.*", "window=3",
		"[[client]]", "name=two", "type=android", "max_version=12.1", "heartbeat_min=5m", "truncation=4K", "answer=9s",
		"quirks=no_gzip, no_provision",
		"[[client]]", "type=*", "window=9", NULL,
	};

	CHECK_STR(ask(rules, "Android", "Very Bad/1.2", EAS_141).rule, "one");
	CHECK_STR(ask(rules, "Android", "Very Bad/1.2", EAS_121).rule, "two");
	CHECK_STR(ask(rules, "Android", "Very Bad/1.22", EAS_141).rule, "two");
	CHECK_STR(ask(rules, "Androids", "Very Bad/1.22", EAS_141).rule, "client 3");
	CHECK_INT(ask(rules, "Androids", "", EAS_141).window, 9);

	struct client_traits t = ask(rules, "Android", "", 0);

	CHECK_INT(t.max_version, EAS_121);
	CHECK_INT(t.heartbeat_min_ms, 300000);
	CHECK_INT(t.truncation, 4096);
	CHECK_INT(t.answer_ms, 9000);
	CHECK_INT(t.window, 512);
	CHECK_INT(t.quirks, QUIRK_NO_GZIP | QUIRK_NO_PROVISION);
}

CASE(clients_truncation_of_zero_is_a_bound)
{
	const char *const rules[] = { "[[client]]", "type=x", "truncation=0", NULL };

	CHECK_INT(ask(rules, "x", "", EAS_141).truncation, 0);
}

CASE(clients_built_in_rows_only_narrow)
{
	const char *const strict[] = { "push.heartbeat_min=8m", "limits.reply_time=40s", NULL };
	const char *const lax[] = { "push.heartbeat_min=60s", "limits.reply_time=5s", NULL };
	const char *const own[] = { "[[client]]", "name=mine", "type=Outlook", "heartbeat_min=10m", NULL };

	CHECK_INT(ask(strict, "Outlook", "Outlook-iOS-Android/1.0", EAS_141).heartbeat_min_ms, 180000);
	CHECK_INT(ask(strict, "Outlook", "", EAS_141).heartbeat_min_ms, 180000);
	CHECK_INT(ask(lax, "Outlook", "Outlook-iOS-Android/1.0", EAS_141).heartbeat_min_ms, 60000);
	CHECK_INT(ask(strict, "Android", "Android-Mail/2021.01", EAS_141).answer_ms, 20000);
	CHECK_INT(ask(lax, "Android", "Android-Mail/2021.01", EAS_141).answer_ms, 5000);
	CHECK_INT(ask(own, "Outlook", "Outlook-iOS-Android/1.0", EAS_141).heartbeat_min_ms, 600000);
}

CASE(clients_bounds_never_cross)
{
	const char *const high[] = { "push.heartbeat_max=10m", "[[client]]", "type=x", "heartbeat_min=20m", NULL };
	const char *const low[] = { "push.heartbeat_min=10m", "[[client]]", "type=x", "heartbeat_max=2m", NULL };
	const char *const crossed[] = { "[[client]]", "type=x", "heartbeat_min=20m", "heartbeat_max=2m", NULL };
	struct client_traits t = ask(high, "x", "", EAS_141);
	struct settings *s = with(crossed);
	struct clients *c;
	struct err e;

	CHECK_INT(t.heartbeat_min_ms, 1200000);
	CHECK_INT(t.heartbeat_max_ms, 1200000);
	t = ask(low, "x", "", EAS_141);
	CHECK_INT(t.heartbeat_min_ms, 120000);
	CHECK_INT(t.heartbeat_max_ms, 120000);
	CHECK_INT(clients_new(&c, s, &e), -1);
	CHECK_INT(e.code, ERR_CONFIG);
	settings_unref(&s);
}

CASE(clients_wrong_words_are_refused)
{
	struct settings *s = settings_new();
	size_t row = settings_client_new(s);
	struct err e;

	CHECK_INT(settings_client_set(s, row, S("quirks"), S("no_gzip,teapot"), "test", &e), -1);
	CHECK_INT(settings_client_set(s, row, S("max_version"), S("16.1"), "test", &e), -1);
	CHECK_INT(settings_client_set(s, row, S("extra_folders"), S("merge"), "test", &e), -1);
	settings_unref(&s);
}

CASE(clients_extra_folders_by_rule_or_for_all)
{
	const char *const rule[] = { "[[client]]", "type=x", "extra_folders=hide", NULL };
	const char *const all[] = { "devices.extra_folders=all", "[[client]]", "type=x", "extra_folders=hide", NULL };
	const char *const hide[] = { "devices.extra_folders=hide", "[[client]]", "type=x", "extra_folders=all", NULL };
	struct client_traits t = ask(rule, "x", "", 0);

	CHECK(t.default_folders_only);
	CHECK(clients_shows(&t, FOLDER_INBOX) && clients_shows(&t, FOLDER_SENT));
	CHECK(!clients_shows(&t, FOLDER_USER_MAIL) && !clients_shows(&t, FOLDER_USER_GENERIC));
	CHECK(!ask(rule, "y", "", 0).default_folders_only);
	CHECK(!ask(all, "x", "", 0).default_folders_only);
	CHECK(ask(hide, "x", "", 0).default_folders_only);
}

CASE(clients_cap_bodies_without_touching_what_is_remembered)
{
	const struct body_pref said[] = {
		{ .type = BODY_TEXT, .truncation = 100 }, { .type = BODY_HTML, .truncation = BODY_UNLIMITED },
	};
	struct body_want w = { .pref = said, .n_pref = 2, .mime_truncation = BODY_UNLIMITED };
	struct client_traits t = { .truncation = 500 };

	clients_cap_body(&t, test_arena(), &w);
	CHECK_INT(w.pref[0].truncation, 100);
	CHECK_INT(w.pref[1].truncation, 500);
	CHECK_INT(w.mime_truncation, 500);
	CHECK(said[1].truncation == BODY_UNLIMITED);
}

/* --- in exchange -------------------------------------------------------------------- */

static struct rig r;

static void rule(const char *column, const char *value)
{
	struct err e;

	if (settings_clients(r.set) == 0)
		settings_client_new(r.set);
	CHECK_INT(settings_client_set(r.set, 0, slice_str(column), slice_str(value), "test", &e), 0);
	rig_set(&r, "limits.folders", "5000"); /* compiled anew, as by SIGHUP */
}

static struct slice header(const struct reply *a, const char *name)
{
	for (size_t i = 0; i < a->v.n_headers; i++)
		if (slice_ieq(a->v.headers[i].name, slice_str(name)))
			return a->v.headers[i].value;
	return S_NONE;
}

static struct reply options(struct phone *p)
{
	struct request *rq = rig_request(p, EAS_CMD_NONE, NULL, NULL);

	rq->method = HTTP_M_OPTIONS;
	return rig_run(p, rq, NULL);
}

CASE(clients_version_ceiling_in_options_and_commands)
{
	struct phone p;
	struct reply a;
	struct folder_request q = { .sync_key = S("0") };

	rig_up(&r, NULL);
	rule("type", "SimPhone");
	rule("max_version", "12.1");
	p = rig_phone(&r, "alice", "dev1", EAS_141);
	a = options(&p);
	CHECK_STR(header(&a, "MS-ASProtocolVersions"), "2.5,12.0,12.1");
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, NULL);
	CHECK_INT(a.v.http_status, 400);
	CHECK_STR(header(&a, "MS-ASProtocolVersions"), "2.5,12.0,12.1");
	p.version = EAS_121;
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, &foldersync_reply_schema);
	CHECK_INT(a.v.http_status, 200);
	CHECK_STR(header(&a, "MS-ASProtocolVersions"), "2.5,12.0,12.1");
	p.version = EAS_141;
	p.type = "OtherPhone";
	p.id = "dev2";
	a = options(&p);
	CHECK_STR(header(&a, "MS-ASProtocolVersions"), "2.5,12.0,12.1,14.0,14.1");
	rig_down(&r);
}

CASE(clients_heartbeat_bounds_in_ping)
{
	struct phone p;
	struct reply a;
	struct ping_request q = { .heartbeat = NUM(480) };
	struct ping_reply *got;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev1", EAS_141);
	LIST_PUSH(test_arena(), &q.folders)->id = S("ABCDEFGHIJKLMNOP");
	rule("agent", "Sim/*");
	rule("heartbeat_max", "2m");
	a = rig_send(&p, EAS_CMD_PING, &ping_request_schema, &q, &ping_reply_schema);
	got = a.obj;
	CHECK(got && got->status.v == 5 && got->heartbeat.v == 120);
	rule("heartbeat_max", "20m");
	rule("heartbeat_min", "10m");
	a = rig_send(&p, EAS_CMD_PING, &ping_request_schema, &q, &ping_reply_schema);
	got = a.obj;
	CHECK(got && got->status.v == 5 && got->heartbeat.v == 600);
	rig_down(&r);
}

CASE(clients_default_folders_only)
{
	struct phone p;
	struct reply a;
	struct folder_request q = { .sync_key = S("0") };
	struct foldersync_reply *f;
	size_t all;

	rig_up(&r, NULL);
	p = rig_phone(&r, "alice", "dev1", EAS_141);
	struct folder_request c = { .parent_id = S("0"), .display_name = S("Projects"), .type = NUM(FOLDER_USER_MAIL) };
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, &foldersync_reply_schema);
	c.sync_key = ((struct foldersync_reply *)a.obj)->sync_key;
	a = rig_send(&p, EAS_CMD_FOLDER_CREATE, &foldercreate_request_schema, &c, NULL);
	CHECK_INT(a.status, 1);
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, &foldersync_reply_schema);
	all = ((struct foldersync_reply *)a.obj)->changes.n;
	q.sync_key = ((struct foldersync_reply *)a.obj)->sync_key;
	rule("type", "SimPhone");
	rule("extra_folders", "hide");
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, &foldersync_reply_schema);
	f = a.obj;
	CHECK(f && f->changes.n >= 1 && f->changes.n < all);
	for (size_t i = 0; i < f->changes.n; i++)
		CHECK_INT(f->changes.v[i].tag, HIERARCHY_DELETE);
	q.sync_key = f->sync_key;
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, &foldersync_reply_schema);
	CHECK_INT(((struct foldersync_reply *)a.obj)->changes.n, 0);
	rule("extra_folders", "all");
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, &foldersync_reply_schema);
	CHECK((f = a.obj) && f->changes.n >= 1 && f->changes.v[0].tag == HIERARCHY_ADD);
	rig_down(&r);
}

CASE(clients_that_cannot_provision_are_not_asked)
{
	struct phone p;
	struct reply a;
	struct folder_request q = { .sync_key = S("0") };
	const char *const policy[] = { "policy.DevicePasswordEnabled=true", NULL };

	rig_up(&r, policy);
	p = rig_phone(&r, "alice", "dev1", EAS_141);
	rule("type", "SimPhone");
	rule("quirks", "no_provision");
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, NULL);
	CHECK_INT(a.status, 1);
	p.id = "dev2";
	p.type = "OtherPhone";
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, NULL);
	CHECK_INT(a.status, 142);
	rig_set(&r, "policy.require", "strict");
	p.id = "dev3";
	p.type = "SimPhone";
	a = rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, NULL);
	CHECK_INT(a.status, 142);
	rig_down(&r);
}
