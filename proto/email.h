/* email.h - the Email class whole (MS-ASEMAIL), 2.5 to 14.1: one table row an
 * element in email.c. Body, attachments and NativeBodyType are in struct item.
 * A client may write Read, Flag and Categories; a value or rule that is broken
 * is recorded in the problem of the Sync command that carries the item (status 6). */
#ifndef PROTO_EMAIL_H
#define PROTO_EMAIL_H

#include "proto/item.h"

/* email:Flag. An empty element clears the flag: pointer set, status absent. */
struct email_flag {
	struct slice subject;
	struct num status;             /* 0 cleared, 1 complete, 2 active */
	struct slice type;             /* "for Follow Up" */
	struct date date_completed, complete_time;
	struct date start, due, utc_start, utc_due;
	struct num reminder_set;
	struct date reminder_time, ordinal;
	struct slice sub_ordinal;
};

struct meeting_recurrence {
	struct num type, interval;
	struct date until;
	struct num occurrences, week_of_month, day_of_month, day_of_week, month_of_year;
	struct num calendar_type, is_leap_month; /* 14.0 */
	struct num first_day_of_week;            /* 14.1 */
};

struct meeting_request {
	struct num all_day;
	struct date start, dt_stamp, end;
	struct num instance_type;      /* 0 single, 1 master, 2 instance, 3 exception */
	struct slice location, organizer;
	struct date recurrence_id;
	struct num reminder;           /* minutes */
	struct num response_requested;
	struct num has_recurrences;
	LIST_OF(struct meeting_recurrence) recurrences; /* exactly one */
	struct num sensitivity, busy_status;
	struct slice time_zone;        /* 172 raw bytes; base64 on the wire */
	struct slice global_obj_id;    /* raw bytes; base64 on the wire */
	struct num disallow_new_time;  /* 14.0 */
	struct num meeting_message_type; /* 14.1 */
};

struct email {
	struct slice to, cc, from, subject, reply_to;
	struct date date_received;
	struct slice display_to, thread_topic;
	struct num importance, read;       /* 0 low 1 normal 2 high; 0 1 */
	struct slice message_class;
	struct meeting_request *meeting;
	struct num internet_cpid;
	struct email_flag *flag;           /* 12.0 */
	struct slice content_class;        /* 12.0 */
	struct num has_categories;         /* 14.0; the container stood there, maybe empty */
	str_list categories;
	struct slice um_caller_id, um_user_notes; /* 14.0 */
	struct slice conversation_id, conversation_index; /* 14.0, raw bytes */
	struct num last_verb;              /* 14.0: 0, 1 reply, 2 reply all, 3 forward */
	struct date last_verb_time;
	struct num received_as_bcc;
	struct slice sender;               /* 14.0 */
	struct slice account_id;           /* 14.1 */
};

extern const struct schema email_schema, email_flag_schema;

/* A Change by a client: sets *p (PROBLEM_READ_ONLY) when it holds Sender,
 * ConversationId, ConversationIndex, ReceivedAsBcc, UmCallerID or UmUserNotes. What else it may not write
 * is to be ignored: rows without FIELD_CLIENT. */
void email_check_write(const struct email *m, struct field_problem *p);

#endif
