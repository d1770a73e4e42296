/* cmd_settings.h - Settings (MS-ASCMD 2.2.1.18), and DeviceInformation, which
 * 14.1 also carries inside Provision. Replies stand in request order: copy
 * `order` of the request into the reply. */
#ifndef PROTO_CMD_SETTINGS_H
#define PROTO_CMD_SETTINGS_H

#include "proto/schema.h"

struct device_information {
	struct num set;              /* the Set element stood there */
	struct slice model, imei, friendly_name, os, os_language, phone_number; /* 12.0 */
	struct slice user_agent;     /* 12.0 */
	struct num enable_outbound_sms; /* 14.0 */
	struct slice mobile_operator;   /* 14.0 */
	struct field_problem problem;
};

struct oof_message {
	struct num internal, external_known, external_unknown;
	struct num enabled;
	struct slice reply_message;
	struct slice body_type;      /* "Text", "HTML": legality is the handler's (status 5) */
};
struct oof {
	struct num get, set;
	struct slice get_body_type;
	struct num state;            /* 0 off, 1 global, 2 by time */
	struct date start, end;
	LIST_OF(struct oof_message) messages;
	struct field_problem problem;
};

struct settings_request {
	struct oof *oof;
	tag_list order;              /* of the parts, as sent */
	struct {
		struct num has, set;
		struct slice password;
	} device_password;
	struct device_information *device;
	struct { struct num has, get; } user_information;
	struct { struct num has, get; } rights_management; /* 14.1 */
};
extern const struct schema settings_request_schema;
/* settings:DeviceInformation by itself (Provision). */
extern const struct schema device_information_schema, device_information_status_schema;

struct settings_account {            /* 14.1 */
	struct slice account_id, account_name, user_display_name;
	struct num send_disabled;
	struct num has_addresses;
	str_list smtp_addresses;
	struct slice primary;
};
struct settings_user_information {
	struct num status, get;
	struct num has_addresses;    /* flat: to 14.0 */
	str_list smtp_addresses;
	struct slice primary;        /* 14.1 inside an account */
	struct num has_accounts;     /* 14.1 */
	LIST_OF(struct settings_account) accounts;
};
struct settings_oof_reply {
	struct num status, get;
	struct num state;
	struct date start, end;
	LIST_OF(struct oof_message) messages;
};
struct settings_status {
	struct num status;
};
struct settings_rights {             /* 14.1 */
	struct num status, get;
	struct num templates;        /* empty list of templates; needed with get */
};
struct settings_reply {
	struct num status;
	tag_list order;              /* copy of the request's */
	struct settings_oof_reply *oof;
	struct settings_status *device_password, *device;
	struct settings_rights *rights_management;
	struct settings_user_information *user_information;
};
extern const struct schema settings_reply_schema;

#endif
