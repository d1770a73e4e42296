/* query.h - the request line of EAS in both forms (MS-ASHTTP 2.2.1.1.1): plain
 * "Cmd=..&User=..&DeviceId=..&DeviceType=.." and one base64 word. Pure, any
 * thread. Hostile input: every length is checked, percent-decoding is strict,
 * nothing is guessed. Strings are clean UTF-8 in the arena. */
#ifndef PROTO_QUERY_H
#define PROTO_QUERY_H

#include "base/arena.h"
#include "base/err.h"

enum {
	QUERY_MAX_BYTES = 8192,  /* of the whole query */
	QUERY_MAX_DEVICE_ID = 128,
	QUERY_MAX_VALUE = 2048,
};

/* Commands and their numbers in the base64 form (MS-ASHTTP 2.2.1.1.1.1.2);
 * numbers from 100 on are ours: plain form only. */
#define EAS_COMMANDS(X)        \
	X(SYNC, 0, "Sync")     \
	X(SEND_MAIL, 1, "SendMail") \
	X(SMART_FORWARD, 2, "SmartForward") \
	X(SMART_REPLY, 3, "SmartReply") \
	X(GET_ATTACHMENT, 4, "GetAttachment") \
	X(GET_HIERARCHY, 5, "GetHierarchy") \
	X(CREATE_COLLECTION, 6, "CreateCollection") \
	X(DELETE_COLLECTION, 7, "DeleteCollection") \
	X(MOVE_COLLECTION, 8, "MoveCollection") \
	X(FOLDER_SYNC, 9, "FolderSync") \
	X(FOLDER_CREATE, 10, "FolderCreate") \
	X(FOLDER_DELETE, 11, "FolderDelete") \
	X(FOLDER_UPDATE, 12, "FolderUpdate") \
	X(MOVE_ITEMS, 13, "MoveItems") \
	X(GET_ITEM_ESTIMATE, 14, "GetItemEstimate") \
	X(MEETING_RESPONSE, 15, "MeetingResponse") \
	X(SEARCH, 16, "Search") \
	X(SETTINGS, 17, "Settings") \
	X(PING, 18, "Ping") \
	X(ITEM_OPERATIONS, 19, "ItemOperations") \
	X(PROVISION, 20, "Provision") \
	X(RESOLVE_RECIPIENTS, 21, "ResolveRecipients") \
	X(VALIDATE_CERT, 22, "ValidateCert") \
	X(FIND, 23, "Find") \
	X(OPTIONS, 100, "OPTIONS") \
	X(NOTIFY, 101, "Notify")

enum eas_command {
#define X(id, code, name) EAS_CMD_##id = code,
	EAS_COMMANDS(X)
#undef X
	EAS_CMD_NONE = -1,    /* no Cmd at all */
	EAS_CMD_UNKNOWN = -2, /* 501; the text is in command_text */
};

struct eas_query {
	enum eas_command command;
	struct slice command_text;   /* plain form: as sent */
	struct slice user, device_id, device_type;
	struct slice attachment_name, collection_id, item_id, long_id, occurrence;
	int version;                 /* 25, 120, 121, 140, 141, 160, 161; 0: the form says nothing */
	uint16_t locale;
	uint32_t policy_key;
	bool has_policy_key;
	bool save_in_sent, accept_multipart;
	bool is_base64;
};

/* `query` is what stands behind the '?', raw. -1 with ERR_BAD_REQUEST: a broken
 * form, 400. An empty query is fine: command EAS_CMD_NONE. Missing device id or
 * type is the caller's business (status 108 and 109 need a version). */
int eas_query_parse(struct arena *a, struct slice query, struct eas_query *q_r, struct err *e);

const char *eas_command_name(enum eas_command c); /* "?" when unknown */
enum eas_command eas_command_find(struct slice name); /* exact case first, then any */
/* "14.1" -> 141; 0 when not a version we know by name. */
int eas_version_parse(struct slice s);
const char *eas_version_name(int version); /* 141 -> "14.1"; NULL when unknown */

/* The base64 form of q: for the bench and tests. */
struct slice eas_query_base64(struct arena *a, const struct eas_query *q);
/* %XX strictly; '+' is a blank in the plain query. false on a broken escape or a NUL. */
bool percent_decode(struct arena *a, struct slice in, struct slice *out_r);
struct slice percent_encode(struct arena *a, struct slice in); /* all but unreserved */

#endif
