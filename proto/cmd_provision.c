/* cmd_provision.c - tables of Provision and the policy document in both of its
 * forms. Pure, any thread. */
#include "proto/cmd_provision.h"

enum { MAX_TYPE = 256, MAX_KEY = 64 };

static const struct field policy_request_fields[] = {
	F_STR(struct provision_policy_request, PROVISION_POLICY_TYPE, type,   EAS_10, EAS_MAX, .max_len = MAX_TYPE),
	F_STR(struct provision_policy_request, PROVISION_POLICY_KEY,  key,    EAS_10, EAS_MAX, .max_len = MAX_KEY),
	F_NUM(struct provision_policy_request, PROVISION_STATUS,      status, EAS_10, EAS_MAX, 0, 999),
};
static const struct schema policy_request_schema =
	SCHEMA(struct provision_policy_request, PROVISION_POLICY, policy_request_fields);

static const struct field policies_request_fields[] = {
	F_LIST(struct provision_request, PROVISION_POLICY, policies, EAS_10, EAS_MAX, struct provision_policy_request,
	       &policy_request_schema, .max_n = 16),
};
static const struct schema policies_request_schema =
	SCHEMA(struct provision_request, PROVISION_POLICIES, policies_request_fields);

static const struct field wipe_fields[] = {
	F_NUM(struct provision_request, PROVISION_STATUS, remote_wipe_status, EAS_10, EAS_MAX, 0, 999),
};
static const struct schema wipe_schema = SCHEMA(struct provision_request, PROVISION_REMOTE_WIPE, wipe_fields);

static const struct field account_wipe_fields[] = {
	F_NUM(struct provision_request, PROVISION_STATUS, account_wipe_status, EAS_161, EAS_MAX, 0, 999),
};
static const struct schema account_wipe_schema =
	SCHEMA(struct provision_request, PROVISION_ACCOUNT_ONLY_REMOTE_WIPE, account_wipe_fields);

/* DeviceInformation: from 14.1 by the tables; some 14.0 clients send it too. */
static const struct field request_fields[] = {
	F_OBJ (struct provision_request, SETTINGS_DEVICE_INFORMATION, device, EAS_140, EAS_MAX, struct device_information,
	       &device_information_schema),
	F_INTO(struct provision_request, PROVISION_POLICIES,    has_policies, EAS_10, EAS_MAX, &policies_request_schema),
	F_INTO(struct provision_request, PROVISION_REMOTE_WIPE, remote_wipe,  EAS_10, EAS_MAX, &wipe_schema),
	F_INTO(struct provision_request, PROVISION_ACCOUNT_ONLY_REMOTE_WIPE, account_wipe, EAS_161, EAS_MAX,
	       &account_wipe_schema),
};
const struct schema provision_request_schema =
	SCHEMA(struct provision_request, PROVISION_PROVISION, request_fields);

/* --- the document ----------------------------------------------------------------- */

static const struct field unapproved_fields[] = {
	F_STRS(struct policy, PROVISION_APPLICATION_NAME, unapproved_applications, EAS_121, EAS_MAX),
};
static const struct schema unapproved_schema =
	SCHEMA(struct policy, PROVISION_UNAPPROVED_IN_ROM_APPLICATION_LIST, unapproved_fields);

static const struct field approved_fields[] = {
	F_STRS(struct policy, PROVISION_HASH, approved_hashes, EAS_121, EAS_MAX),
};
static const struct schema approved_schema =
	SCHEMA(struct policy, PROVISION_APPROVED_APPLICATION_LIST, approved_fields);

#define ROW_BOOL(tag_, member_, first_, lo_, hi_) F_BOOL(struct policy, tag_, member_, first_, EAS_MAX)
#define ROW_NUM(tag_, member_, first_, lo_, hi_) \
	F_NUM(struct policy, tag_, member_, first_, EAS_MAX, lo_, hi_, .flags = FIELD_EMPTY)
static const struct field policy_fields[] = {
#define P(kind, tag, member, first, lo, hi) ROW_##kind(tag, member, first, lo, hi),
#include "proto/policy.def"
#undef P
	F_INTO(struct policy, PROVISION_UNAPPROVED_IN_ROM_APPLICATION_LIST, has_unapproved, EAS_121, EAS_MAX,
	       &unapproved_schema),
	F_INTO(struct policy, PROVISION_APPROVED_APPLICATION_LIST, has_approved, EAS_121, EAS_MAX, &approved_schema),
};
const struct schema policy_schema = SCHEMA(struct policy, PROVISION_EAS_PROVISION_DOC, policy_fields);

const struct field *policy_field(struct slice element)
{
	for (unsigned i = 0; i < policy_schema.n; i++)
		if (slice_eq(slice_str(wbxml_tag_name(policy_fields[i].tag)), element))
			return &policy_fields[i];
	return NULL;
}

struct num *policy_member(struct policy *p, struct slice element)
{
	const struct field *f = policy_field(element);

	return f && f->kind != FIELD_INTO ? (struct num *)((char *)p + f->offset) : NULL;
}

/* --- reply ------------------------------------------------------------------------- */

static const struct field data_fields[] = {
	F_OBJ(struct provision_policy_reply, PROVISION_EAS_PROVISION_DOC, policy, EAS_120, EAS_MAX, struct policy,
	      &policy_schema),
};
static const struct schema data_schema = SCHEMA(struct provision_policy_reply, PROVISION_DATA, data_fields);

static const struct field policy_reply_fields[] = {
	F_STR (struct provision_policy_reply, PROVISION_POLICY_TYPE, type,     EAS_10, EAS_MAX),
	F_NUM (struct provision_policy_reply, PROVISION_STATUS,      status,   EAS_10, EAS_MAX, 0, 999),
	F_STR (struct provision_policy_reply, PROVISION_POLICY_KEY,  key,      EAS_10, EAS_MAX),
	F_STR (struct provision_policy_reply, PROVISION_DATA,        wap_xml,  EAS_10, EAS_25),
	F_INTO(struct provision_policy_reply, PROVISION_DATA,        has_data, EAS_120, EAS_MAX, &data_schema),
};
static const struct schema policy_reply_schema =
	SCHEMA(struct provision_policy_reply, PROVISION_POLICY, policy_reply_fields);

static const struct field policies_reply_fields[] = {
	F_LIST(struct provision_reply, PROVISION_POLICY, policies, EAS_10, EAS_MAX, struct provision_policy_reply,
	       &policy_reply_schema),
};
static const struct schema policies_reply_schema =
	SCHEMA(struct provision_reply, PROVISION_POLICIES, policies_reply_fields);

static const struct field reply_fields[] = {
	F_OBJ (struct provision_reply, SETTINGS_DEVICE_INFORMATION, device, EAS_140, EAS_MAX, struct settings_status,
	       &device_information_status_schema),
	F_NUM (struct provision_reply, PROVISION_STATUS,      status,       EAS_10, EAS_MAX, 0, 255),
	F_INTO(struct provision_reply, PROVISION_POLICIES,    has_policies, EAS_10, EAS_MAX, &policies_reply_schema),
	F_FLAG(struct provision_reply, PROVISION_REMOTE_WIPE, remote_wipe,  EAS_10, EAS_MAX),
	F_FLAG(struct provision_reply, PROVISION_ACCOUNT_ONLY_REMOTE_WIPE, account_wipe, EAS_161, EAS_MAX),
};
const struct schema provision_reply_schema = SCHEMA(struct provision_reply, PROVISION_PROVISION, reply_fields);

/* --- 2.5: the same as Windows Mobile provisioning XML ---------------------------------- */

#define LASSD "HKLM\\Comm\\Security\\Policy\\LASSD"

static void parm(struct blob *b, const char *name, long long v)
{
	blob_printf(b, NULL, "<parm name=\"%s\" value=\"%lld\"/>", name, v);
}

static void key_begin(struct blob *b, const char *key)
{
	blob_printf(b, NULL, "<characteristic type=\"%s\">", key);
}

static void key_end(struct blob *b)
{
	blob_printf(b, NULL, "</characteristic>");
}

/* SecurityPolicy 4131: 0 a password is required, 1 it is not. LASSD: lock after
 * minutes idle, wipe after failed attempts, length and kind of the password. */
static void registry(struct blob *b, const struct policy *p)
{
	int64_t idle_s = num_or(p->max_inactivity_time_device_lock, 0);

	key_begin(b, "Registry");
	key_begin(b, LASSD "\\AE\\{50C13377-C66D-400C-889E-C316FC4AB374}");
	parm(b, "AEFrequencyType", idle_s > 0);
	if (idle_s > 0)
		parm(b, "AEFrequencyValue", (idle_s + 59) / 60);
	key_end(b);
	if (p->max_device_password_failed_attempts.has) {
		key_begin(b, LASSD);
		parm(b, "DeviceWipeThreshold", p->max_device_password_failed_attempts.v);
		key_end(b);
	}
	key_begin(b, LASSD "\\LAP\\lap_pw");
	if (p->min_device_password_length.has)
		parm(b, "MinimumPasswordLength", p->min_device_password_length.v);
	parm(b, "PasswordComplexity", num_or(p->alphanumeric_device_password_required, 0) ? 0 : 2);
	key_end(b);
	key_end(b);
}

struct slice policy_wap_xml(struct arena *a, const struct policy *p)
{
	bool locked = num_or(p->device_password_enabled, 0) != 0;
	struct blob *b = blob_new(0);
	struct slice out;

	blob_printf(b, NULL, "<wap-provisioningdoc>");
	key_begin(b, "SecurityPolicy");
	parm(b, "4131", !locked);
	key_end(b);
	if (locked)
		registry(b, p);
	blob_printf(b, NULL, "</wap-provisioningdoc>");
	out = arena_slice(a, slice(blob_memory(b), (size_t)blob_size(b)));
	blob_free(&b);
	return out;
}
