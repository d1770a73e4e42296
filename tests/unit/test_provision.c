/* test_provision.c - Provision and Settings over the backend and the store in
 * memory: both phases, repeats, every status, each version. */
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

/* Is the key accepted? */
static bool passes(void)
{
	struct folder_request q = { .sync_key = S("0") };

	return rig_send(&p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, NULL).status == 1;
}

/* --- Provision ----------------------------------------------------------------------------------------------- */

static struct reply provision_raw(const struct provision_request *q)
{
	return rig_send(&p, EAS_CMD_PROVISION, &provision_request_schema, q, &provision_reply_schema);
}

static struct provision_reply *provision(const char *type, const char *key, int status)
{
	struct provision_request q = { .has_policies = NUM(1) };
	struct provision_policy_request *pol = LIST_PUSH(test_arena(), &q.policies);
	struct reply a;

	pol->type = slice_str(type);
	pol->key = slice_str(key);
	if (status)
		pol->status = NUM(status);
	a = provision_raw(&q);
	if (!a.obj)
		test_fail(__FILE__, __LINE__, "Provision: http %d", a.v.http_status);
	return a.obj;
}

#define WBXML "MS-EAS-Provisioning-WBXML"
#define WAP   "MS-WAP-Provisioning-XML"

CASE(provision_two_phases_in_every_version)
{
	static const char *const set[] = { "policy.DevicePasswordEnabled=true", "policy.MinDevicePasswordLength=6",
					   "policy.AllowCamera=false", NULL };

	rig_up(&r, set);
	for (size_t i = 0; i < N_VERSIONS; i++) {
		const char *type = versions[i] < EAS_120 ? WAP : WBXML;
		struct provision_reply *a, *b;

		p = rig_phone(&r, "alice", arena_printf(test_arena(), "d%zu", i).ptr, versions[i]);
		a = provision(type, NULL, 0);
		CHECK(a->status.v == 1 && a->policies.n == 1 && !a->remote_wipe.has);
		CHECK_STR(a->policies.v[0].type, type);
		CHECK_INT(a->policies.v[0].status.v, 1);
		CHECK(a->policies.v[0].key.len && !slice_eq(a->policies.v[0].key, S("0")));
		if (versions[i] < EAS_120) {
			CHECK(memmem(a->policies.v[0].wap_xml.ptr, a->policies.v[0].wap_xml.len, "<wap-provisioningdoc>", 21));
		} else {
			CHECK_INT(a->policies.v[0].policy->device_password_enabled.v, 1);
			CHECK_INT(a->policies.v[0].policy->min_device_password_length.v, 6);
			CHECK_INT(a->policies.v[0].policy->allow_camera.has, versions[i] >= EAS_121); /* came with 12.1 */
		}
		b = provision(type, a->policies.v[0].key.ptr, 1);
		CHECK(b->status.v == 1 && b->policies.v[0].status.v == 1);
		CHECK(!b->policies.v[0].has_data.has && !b->policies.v[0].wap_xml.ptr);
		CHECK(!slice_eq(b->policies.v[0].key, a->policies.v[0].key));
	}
	rig_down(&r);
}

CASE(provision_repeats_are_answered_alike)
{
	struct provision_reply *a, *b, *c, *d;

	up();
	a = provision(WBXML, NULL, 0);
	b = provision(WBXML, NULL, 0); /* lost, or the phone's other program */
	CHECK_SLICE(a->policies.v[0].key, b->policies.v[0].key);
	c = provision(WBXML, a->policies.v[0].key.ptr, 1);
	d = provision(WBXML, a->policies.v[0].key.ptr, 1);
	CHECK_SLICE(c->policies.v[0].key, d->policies.v[0].key);
	/* Once more from the start: the key in use stays until the new one is acknowledged. */
	a = provision(WBXML, NULL, 0);
	p.key = (uint32_t)strtoul(c->policies.v[0].key.ptr, NULL, 10);
	CHECK(passes());
	b = provision(WBXML, a->policies.v[0].key.ptr, 1);
	p.key = (uint32_t)strtoul(b->policies.v[0].key.ptr, NULL, 10);
	CHECK(passes());
	rig_down(&r);
}

CASE(provision_statuses)
{
	struct provision_request nothing = { .has_policies = { 0 } }, empty = { .has_policies = NUM(1) };
	struct provision_reply *a;

	up();
	a = provision("Unknown", NULL, 0);
	CHECK(a->status.v == 1 && a->policies.v[0].status.v == 3 && !a->policies.v[0].key.ptr);
	a = provision(WAP, NULL, 0); /* 2.5 only */
	CHECK_INT(a->policies.v[0].status.v, 3);
	a = provision(WBXML, "12345", 1); /* nothing was offered */
	CHECK(a->status.v == 1 && a->policies.v[0].status.v == 5 && !a->policies.v[0].key.ptr);
	a = provision(WBXML, "not a number", 1);
	CHECK_INT(a->policies.v[0].status.v, 5);
	a = provision(WBXML, "0", 1);
	CHECK_INT(a->policies.v[0].status.v, 5);
	CHECK_INT(provision_raw(&nothing).status, 2); /* R4989 */
	CHECK_INT(provision_raw(&empty).status, 2);
	a = provision("", NULL, 0);
	CHECK(a->status.v == 2 && a->policies.n == 0);
	rig_down(&r);
}

CASE(provision_strict_wants_the_policy_applied)
{
	static const char *const set[] = { "policy.require=strict", NULL };
	static const struct {
		int ack, status14, status12;
	} row[] = { { 2, 139, 2 }, { 3, 141, 2 }, { 4, 145, 2 } };
	struct provision_reply *a;

	rig_up(&r, set);
	for (size_t i = 0; i < 3; i++)
		for (int v = EAS_121; v <= EAS_141; v += EAS_141 - EAS_121) {
			p = rig_phone(&r, "alice", "dev", v);
			a = provision(WBXML, NULL, 0);
			a = provision(WBXML, a->policies.v[0].key.ptr, row[i].ack);
			CHECK_INT(a->status.v, v == EAS_141 ? row[i].status14 : row[i].status12);
			CHECK_INT(a->policies.n, 0);
		}
	rig_set(&r, "policy.require", "loose");
	a = provision(WBXML, NULL, 0);
	a = provision(WBXML, a->policies.v[0].key.ptr, 3);
	CHECK(a->status.v == 1 && a->policies.v[0].key.len);
	rig_down(&r);
}

CASE(provision_carries_device_information)
{
	struct provision_request q = { .has_policies = NUM(1) };
	struct provision_reply *a;

	up();
	q.device = ARENA_NEW(test_arena(), struct device_information);
	q.device->set = NUM(1);
	q.device->model = S("Model");
	q.device->friendly_name = S("My phone");
	LIST_PUSH(test_arena(), &q.policies)->type = S(WBXML);
	a = provision_raw(&q).obj;
	CHECK(a->status.v == 1 && a->device && a->device->status.v == 1 && a->policies.n == 1);
	rig_down(&r);
}

/* --- Settings --------------------------------------------------------------------------------------------------- */

static struct settings_reply *settings(const struct settings_request *q)
{
	struct reply a = rig_send(&p, EAS_CMD_SETTINGS, &settings_request_schema, q, &settings_reply_schema);

	if (!a.obj)
		test_fail(__FILE__, __LINE__, "Settings: http %d", a.v.http_status);
	return a.obj;
}

CASE(settings_device_information)
{
	struct settings_request q = { .device = NULL };
	struct settings_reply *a;
	unsigned commits;

	up();
	q.device = ARENA_NEW(test_arena(), struct device_information);
	q.device->set = NUM(1);
	q.device->model = S("Model");
	q.device->imei = S("490154203237518");
	a = settings(&q);
	CHECK(a->status.v == 1 && a->device->status.v == 1);
	commits = r.calls[STORE_CALL_COMMIT];
	a = settings(&q); /* phones send it at every start: nothing new, nothing written */
	CHECK_INT(a->device->status.v, 1);
	CHECK_INT(r.calls[STORE_CALL_COMMIT], commits);
	memset(q.device, 0, sizeof(*q.device)); /* without Set */
	CHECK_INT(settings(&q)->device->status.v, 2);
	rig_down(&r);
}

CASE(settings_user_information_flat_and_by_account)
{
	static const char *const set[] = { "user.address=%n@example.org", NULL };
	struct settings_request q = { .user_information = { .has = NUM(1), .get = NUM(1) } };
	struct settings_reply *a;

	rig_up(&r, set);
	for (size_t i = 1; i < N_VERSIONS; i++) {
		p = rig_phone(&r, "alice", "dev", versions[i]);
		a = settings(&q);
		CHECK(a->status.v == 1 && a->user_information->status.v == 1);
		if (versions[i] >= EAS_141) {
			CHECK_INT(a->user_information->accounts.n, 1);
			CHECK_STR(a->user_information->accounts.v[0].primary, "alice@example.org");
			CHECK_STR(a->user_information->accounts.v[0].smtp_addresses.v[0], "alice@example.org");
			CHECK(!a->user_information->accounts.v[0].account_id.ptr && !a->user_information->has_addresses.has);
		} else {
			CHECK_STR(a->user_information->smtp_addresses.v[0], "alice@example.org");
			CHECK_INT(a->user_information->accounts.n, 0);
		}
	}
	rig_down(&r);
}

CASE(settings_answers_in_request_order)
{
	struct settings_request q = { .user_information = { .has = NUM(1), .get = NUM(1) } };
	struct settings_reply *a;

	up();
	q.device = ARENA_NEW(test_arena(), struct device_information);
	q.device->set = NUM(1);
	*LIST_PUSH(test_arena(), &q.order) = SETTINGS_USER_INFORMATION;
	*LIST_PUSH(test_arena(), &q.order) = SETTINGS_DEVICE_INFORMATION;
	a = settings(&q);
	CHECK_INT(a->order.n, 3);
	CHECK_INT(a->order.v[0], SETTINGS_STATUS);
	CHECK_INT(a->order.v[1], SETTINGS_USER_INFORMATION);
	CHECK_INT(a->order.v[2], SETTINGS_DEVICE_INFORMATION);
	rig_down(&r);
}

CASE(settings_says_no_where_nothing_is_served)
{
	struct settings_request q = { .oof = NULL };
	struct settings_reply *a;

	up();
	q.oof = ARENA_NEW(test_arena(), struct oof);
	q.oof->get = NUM(1);
	q.oof->get_body_type = S("Text");
	q.device_password.has = NUM(1);
	q.device_password.set = NUM(1);
	q.device_password.password = S("1234");
	a = settings(&q);
	CHECK_INT(a->status.v, 1);
	CHECK_INT(a->oof->status.v, 3);
	CHECK_INT(a->device_password->status.v, 7);
	memset(q.oof, 0, sizeof(*q.oof));
	q.oof->set = NUM(1);
	q.oof->state = NUM(2);
	q.oof->start = DATE_MS(1600000000000);
	CHECK_INT(settings(&q)->oof->status.v, 2); /* one time without the other: R2272 */
	rig_down(&r);
}
