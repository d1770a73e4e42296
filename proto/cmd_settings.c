/* cmd_settings.c - tables of Settings, and of DeviceInformation inside
 * Provision. Pure, any thread. */
#include "proto/cmd_settings.h"

enum { MAX_INFO = 1024, MAX_PASSWORD = 255 };

#define INFO(tag_, member_, first_) \
	F_STR(struct device_information, tag_, member_, first_, EAS_MAX, .max_len = MAX_INFO)
static const struct field device_set_fields[] = {
	INFO(SETTINGS_MODEL,         model,         EAS_120),
	INFO(SETTINGS_IMEI,          imei,          EAS_120),
	INFO(SETTINGS_FRIENDLY_NAME, friendly_name, EAS_120),
	INFO(SETTINGS_OS,            os,            EAS_120),
	INFO(SETTINGS_OS_LANGUAGE,    os_language,   EAS_120),
	INFO(SETTINGS_PHONE_NUMBER,  phone_number,  EAS_120),
	INFO(SETTINGS_USER_AGENT,    user_agent,    EAS_120),
	F_BOOL(struct device_information, SETTINGS_ENABLE_OUTBOUND_SMS, enable_outbound_sms, EAS_140, EAS_MAX),
	INFO(SETTINGS_MOBILE_OPERATOR, mobile_operator, EAS_140),
};
static const struct schema device_set_schema = SCHEMA(struct device_information, SETTINGS_SET, device_set_fields);

static const struct field device_fields[] = {
	F_INTO(struct device_information, SETTINGS_SET, set, EAS_120, EAS_MAX, &device_set_schema),
};
const struct schema device_information_schema =
	SCHEMA_P(struct device_information, SETTINGS_DEVICE_INFORMATION, device_fields);

/* --- out of office -------------------------------------------------------------- */

static const struct field oof_message_fields[] = {
	F_FLAG(struct oof_message, SETTINGS_APPLIES_TO_INTERNAL,         internal,         EAS_120, EAS_MAX),
	F_FLAG(struct oof_message, SETTINGS_APPLIES_TO_EXTERNAL_KNOWN,   external_known,   EAS_120, EAS_MAX),
	F_FLAG(struct oof_message, SETTINGS_APPLIES_TO_EXTERNAL_UNKNOWN, external_unknown, EAS_120, EAS_MAX),
	F_BOOL(struct oof_message, SETTINGS_ENABLED,                     enabled,          EAS_120, EAS_MAX),
	F_STR (struct oof_message, SETTINGS_REPLY_MESSAGE,               reply_message,    EAS_120, EAS_MAX),
	F_STR (struct oof_message, SETTINGS_BODY_TYPE,                   body_type,        EAS_120, EAS_MAX),
};
static const struct schema oof_message_schema =
	SCHEMA(struct oof_message, SETTINGS_OOF_MESSAGE, oof_message_fields);

#define OOF_STATE(S_) \
	F_NUM (S_, SETTINGS_OOF_STATE,  state, EAS_120, EAS_MAX, 0, 2), \
	F_DATE(S_, SETTINGS_START_TIME, start, EAS_120, EAS_MAX), \
	F_DATE(S_, SETTINGS_END_TIME,   end,   EAS_120, EAS_MAX), \
	F_LIST(S_, SETTINGS_OOF_MESSAGE, messages, EAS_120, EAS_MAX, struct oof_message, &oof_message_schema, .max_n = 16)

static const struct field oof_get_fields[] = {
	F_STR(struct oof, SETTINGS_BODY_TYPE, get_body_type, EAS_120, EAS_MAX),
};
static const struct schema oof_get_schema = SCHEMA(struct oof, SETTINGS_GET, oof_get_fields);

static const struct field oof_set_fields[] = { OOF_STATE(struct oof) };
static const struct schema oof_set_schema = SCHEMA(struct oof, SETTINGS_SET, oof_set_fields);

static const struct field oof_fields[] = {
	F_INTO(struct oof, SETTINGS_GET, get, EAS_120, EAS_MAX, &oof_get_schema),
	F_INTO(struct oof, SETTINGS_SET, set, EAS_120, EAS_MAX, &oof_set_schema),
};
static const struct schema oof_schema = SCHEMA_P(struct oof, SETTINGS_OOF, oof_fields);

/* --- request ---------------------------------------------------------------------- */

static const struct field password_set_fields[] = {
	F_STR(struct settings_request, SETTINGS_PASSWORD, device_password.password, EAS_120, EAS_MAX, .max_len = MAX_PASSWORD + MAX_INFO), /* too long is the handler's to say */
};
static const struct schema password_set_schema = SCHEMA(struct settings_request, SETTINGS_SET, password_set_fields);
static const struct field password_fields[] = {
	F_INTO(struct settings_request, SETTINGS_SET, device_password.set, EAS_120, EAS_MAX, &password_set_schema),
};
static const struct schema password_schema = SCHEMA(struct settings_request, SETTINGS_DEVICE_PASSWORD, password_fields);

static const struct field user_fields[] = {
	F_FLAG(struct settings_request, SETTINGS_GET, user_information.get, EAS_120, EAS_MAX),
};
static const struct schema user_schema = SCHEMA(struct settings_request, SETTINGS_USER_INFORMATION, user_fields);

static const struct field rights_fields[] = {
	F_FLAG(struct settings_request, SETTINGS_GET, rights_management.get, EAS_141, EAS_MAX),
};
static const struct schema rights_schema =
	SCHEMA(struct settings_request, SETTINGS_RIGHTS_MANAGEMENT_INFORMATION, rights_fields);

static const struct field request_fields[] = {
	F_OBJ (struct settings_request, SETTINGS_OOF,                oof,                  EAS_120, EAS_MAX, struct oof, &oof_schema),
	F_INTO(struct settings_request, SETTINGS_DEVICE_PASSWORD,    device_password.has,  EAS_120, EAS_MAX, &password_schema),
	F_OBJ (struct settings_request, SETTINGS_DEVICE_INFORMATION, device,               EAS_120, EAS_MAX,
	       struct device_information, &device_information_schema),
	F_INTO(struct settings_request, SETTINGS_USER_INFORMATION,   user_information.has, EAS_120, EAS_MAX, &user_schema),
	F_INTO(struct settings_request, SETTINGS_RIGHTS_MANAGEMENT_INFORMATION, rights_management.has, EAS_141, EAS_MAX,
	       &rights_schema),
};
const struct schema settings_request_schema =
	SCHEMA(struct settings_request, SETTINGS_SETTINGS, request_fields,
	       .order_off = offsetof(struct settings_request, order));

/* --- reply ------------------------------------------------------------------------- */

static const struct field status_fields[] = {
	F_NUM(struct settings_status, SETTINGS_STATUS, status, EAS_120, EAS_MAX, 0, 999),
};
const struct schema device_information_status_schema =
	SCHEMA(struct settings_status, SETTINGS_DEVICE_INFORMATION, status_fields);
static const struct schema password_status_schema =
	SCHEMA(struct settings_status, SETTINGS_DEVICE_PASSWORD, status_fields);

static const struct field rights_get_fields[] = {
	F_FLAG(struct settings_rights, RM_RIGHTS_MANAGEMENT_TEMPLATES, templates, EAS_141, EAS_MAX),
};
static const struct schema rights_get_schema = SCHEMA(struct settings_rights, SETTINGS_GET, rights_get_fields);
static const struct field rights_reply_fields[] = {
	F_NUM (struct settings_rights, SETTINGS_STATUS, status, EAS_141, EAS_MAX, 0, 999),
	F_INTO(struct settings_rights, SETTINGS_GET,    get,    EAS_141, EAS_MAX, &rights_get_schema),
};
static const struct schema rights_reply_schema =
	SCHEMA(struct settings_rights, SETTINGS_RIGHTS_MANAGEMENT_INFORMATION, rights_reply_fields);

static const struct field oof_reply_get_fields[] = { OOF_STATE(struct settings_oof_reply) };
static const struct schema oof_reply_get_schema =
	SCHEMA(struct settings_oof_reply, SETTINGS_GET, oof_reply_get_fields);
static const struct field oof_reply_fields[] = {
	F_NUM (struct settings_oof_reply, SETTINGS_STATUS, status, EAS_120, EAS_MAX, 0, 999),
	F_INTO(struct settings_oof_reply, SETTINGS_GET,    get,    EAS_120, EAS_MAX, &oof_reply_get_schema),
};
static const struct schema oof_reply_schema = SCHEMA(struct settings_oof_reply, SETTINGS_OOF, oof_reply_fields);

/* Addresses: flat to 14.0, one set an account from 14.1. */
static const struct field account_addresses_fields[] = {
	F_STRS(struct settings_account, SETTINGS_SMTP_ADDRESS,          smtp_addresses, EAS_141, EAS_MAX),
	F_STR (struct settings_account, SETTINGS_PRIMARY_SMTP_ADDRESS, primary,        EAS_141, EAS_MAX),
};
static const struct schema account_addresses_schema =
	SCHEMA(struct settings_account, SETTINGS_EMAIL_ADDRESSES, account_addresses_fields);

static const struct field account_fields[] = {
	F_STR (struct settings_account, SETTINGS_ACCOUNT_ID,        account_id,        EAS_141, EAS_MAX),
	F_STR (struct settings_account, SETTINGS_ACCOUNT_NAME,      account_name,      EAS_141, EAS_MAX),
	F_STR (struct settings_account, SETTINGS_USER_DISPLAY_NAME, user_display_name, EAS_141, EAS_MAX),
	F_BOOL(struct settings_account, SETTINGS_SEND_DISABLED,     send_disabled,     EAS_141, EAS_MAX),
	F_INTO(struct settings_account, SETTINGS_EMAIL_ADDRESSES,   has_addresses,     EAS_141, EAS_MAX, &account_addresses_schema),
};
static const struct schema account_schema = SCHEMA(struct settings_account, SETTINGS_ACCOUNT, account_fields);

static const struct field accounts_fields[] = {
	F_LIST(struct settings_user_information, SETTINGS_ACCOUNT, accounts, EAS_141, EAS_MAX, struct settings_account,
	       &account_schema),
};
static const struct schema accounts_schema =
	SCHEMA(struct settings_user_information, SETTINGS_ACCOUNTS, accounts_fields);

static const struct field addresses_fields[] = {
	F_STRS(struct settings_user_information, SETTINGS_SMTP_ADDRESS, smtp_addresses, EAS_120, EAS_140),
	F_STR (struct settings_user_information, SETTINGS_PRIMARY_SMTP_ADDRESS, primary, EAS_120, EAS_140),
};
static const struct schema addresses_schema =
	SCHEMA(struct settings_user_information, SETTINGS_EMAIL_ADDRESSES, addresses_fields);

static const struct field user_get_fields[] = {
	F_INTO(struct settings_user_information, SETTINGS_EMAIL_ADDRESSES, has_addresses, EAS_120, EAS_140, &addresses_schema),
	F_INTO(struct settings_user_information, SETTINGS_ACCOUNTS,        has_accounts,  EAS_141, EAS_MAX, &accounts_schema),
};
static const struct schema user_get_schema =
	SCHEMA(struct settings_user_information, SETTINGS_GET, user_get_fields);

static const struct field user_reply_fields[] = {
	F_NUM (struct settings_user_information, SETTINGS_STATUS, status, EAS_120, EAS_MAX, 0, 999),
	F_INTO(struct settings_user_information, SETTINGS_GET,    get,    EAS_120, EAS_MAX, &user_get_schema),
};
static const struct schema user_reply_schema =
	SCHEMA(struct settings_user_information, SETTINGS_USER_INFORMATION, user_reply_fields);

#define STATUS_OBJ(tag_, member_, schema_) \
	F_OBJ(struct settings_reply, tag_, member_, EAS_120, EAS_MAX, struct settings_status, schema_)
static const struct field reply_fields[] = {
	F_NUM(struct settings_reply, SETTINGS_STATUS, status, EAS_120, EAS_MAX, 0, 999),
	F_OBJ(struct settings_reply, SETTINGS_OOF, oof, EAS_120, EAS_MAX, struct settings_oof_reply, &oof_reply_schema),
	STATUS_OBJ(SETTINGS_DEVICE_INFORMATION, device, &device_information_status_schema),
	STATUS_OBJ(SETTINGS_DEVICE_PASSWORD, device_password, &password_status_schema),
	F_OBJ(struct settings_reply, SETTINGS_USER_INFORMATION, user_information, EAS_120, EAS_MAX,
	      struct settings_user_information, &user_reply_schema),
	F_OBJ(struct settings_reply, SETTINGS_RIGHTS_MANAGEMENT_INFORMATION, rights_management, EAS_141, EAS_MAX,
	      struct settings_rights, &rights_reply_schema),
};
const struct schema settings_reply_schema =
	SCHEMA(struct settings_reply, SETTINGS_SETTINGS, reply_fields, .order_off = offsetof(struct settings_reply, order));
