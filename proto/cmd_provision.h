/* cmd_provision.h - Provision (MS-ASPROV). Two phases with one request form.
 * Policy type "MS-EAS-Provisioning-WBXML" (12.0 and later) carries the document
 * as elements; "MS-WAP-Provisioning-XML" (2.5) as one XML string, made from the
 * same struct by policy_wap_xml(). */
#ifndef PROTO_CMD_PROVISION_H
#define PROTO_CMD_PROVISION_H

#include "proto/cmd_settings.h"

struct provision_policy_request {
	struct slice type, key;
	struct num status;           /* second phase: 1, 2, 3, 4 */
};
struct provision_request {
	struct device_information *device; /* 14.1 */
	struct num has_policies;
	LIST_OF(struct provision_policy_request) policies;
	struct num remote_wipe;      /* the element stood there: acknowledgement */
	struct num remote_wipe_status;
	struct num account_wipe;     /* 16.1 */
	struct num account_wipe_status;
};
extern const struct schema provision_request_schema;

/* EASProvisionDoc. One row each in policy.def: P(BOOL|NUM, TAG, member, first version, min, max).
 * Absent: left out. Never -1 for "no limit": leave it absent. */
struct policy {
#define P(kind, tag, member, first, lo, hi) struct num member;
#include "proto/policy.def"
#undef P
	struct num has_unapproved;
	str_list unapproved_applications; /* names in ROM, 12.1 */
	struct num has_approved;
	str_list approved_hashes;         /* SHA1, base64 text, 12.1 */
};
extern const struct schema policy_schema;

struct provision_policy_reply {
	struct slice type;
	struct num status;
	struct slice key;
	struct num has_data;         /* 12.0: the document follows */
	struct policy *policy;
	struct slice wap_xml;        /* 2.5: Data as text */
};
struct provision_reply {
	struct settings_status *device;  /* 14.1 */
	struct num status;
	struct num has_policies;
	LIST_OF(struct provision_policy_reply) policies; /* one */
	struct num remote_wipe;      /* order to wipe */
	struct num account_wipe;
};
extern const struct schema provision_reply_schema;

/* The wap-provisioningdoc of a 2.5 device, in the arena. */
struct slice policy_wap_xml(struct arena *a, const struct policy *p);
/* "MaxAttachmentSize" -> its row (bounds, kind, first version) and its member;
 * NULL when there is no such element (policy_member: or it is a list). */
const struct field *policy_field(struct slice element);
struct num *policy_member(struct policy *p, struct slice element);

#endif
