/* email.c - the Email class: one row an element, in the order that strict
 * clients want (MeetingRequest and Flag are sequences). Pure, any thread. */
#include "proto/email.h"

/* MS-ASEMAIL Flag: order Subject, Status, FlagType, ... */
static const struct field flag_fields[] = {
	F_STR (struct email_flag, TASKS_SUBJECT,        subject,        EAS_120, EAS_MAX),
	F_NUM (struct email_flag, EMAIL_STATUS,         status,         EAS_120, EAS_MAX, 0, 2),
	F_STR (struct email_flag, EMAIL_FLAG_TYPE,      type,           EAS_120, EAS_MAX),
	F_DATE(struct email_flag, TASKS_DATE_COMPLETED, date_completed, EAS_120, EAS_MAX),
	F_DATE(struct email_flag, EMAIL_COMPLETE_TIME,  complete_time,  EAS_120, EAS_MAX),
	F_DATE(struct email_flag, TASKS_START_DATE,     start,          EAS_120, EAS_MAX),
	F_DATE(struct email_flag, TASKS_DUE_DATE,       due,            EAS_120, EAS_MAX),
	F_DATE(struct email_flag, TASKS_UTC_START_DATE, utc_start,      EAS_120, EAS_MAX),
	F_DATE(struct email_flag, TASKS_UTC_DUE_DATE,   utc_due,        EAS_120, EAS_MAX),
	F_BOOL(struct email_flag, TASKS_REMINDER_SET,   reminder_set,   EAS_120, EAS_MAX),
	F_DATE(struct email_flag, TASKS_REMINDER_TIME,  reminder_time,  EAS_120, EAS_MAX),
	F_DATE(struct email_flag, TASKS_ORDINAL_DATE,   ordinal,        EAS_120, EAS_MAX),
	F_STR (struct email_flag, TASKS_SUB_ORDINAL_DATE, sub_ordinal,  EAS_120, EAS_MAX),
};
static void flag_check(void *obj, const struct check_ctx *c);
const struct schema email_flag_schema = SCHEMA(struct email_flag, EMAIL_FLAG, flag_fields, .check = flag_check);

static const struct field recurrence_fields[] = {
	F_NUM (struct meeting_recurrence, EMAIL_TYPE,               type,           EAS_10, EAS_MAX, 0, 6),
	F_NUM (struct meeting_recurrence, EMAIL_INTERVAL,           interval,       EAS_10, EAS_MAX, 0, 999),
	F_DATEC(struct meeting_recurrence, EMAIL_UNTIL,             until,          EAS_10, EAS_MAX),
	F_NUM (struct meeting_recurrence, EMAIL_OCCURRENCES,        occurrences,    EAS_10, EAS_MAX, 0, 999),
	F_NUM (struct meeting_recurrence, EMAIL_WEEK_OF_MONTH,      week_of_month,  EAS_10, EAS_MAX, 1, 5),
	F_NUM (struct meeting_recurrence, EMAIL_DAY_OF_MONTH,       day_of_month,   EAS_10, EAS_MAX, 1, 31),
	F_NUM (struct meeting_recurrence, EMAIL_DAY_OF_WEEK,        day_of_week,    EAS_10, EAS_MAX, 1, 127),
	F_NUM (struct meeting_recurrence, EMAIL_MONTH_OF_YEAR,      month_of_year,  EAS_10, EAS_MAX, 1, 12),
	F_NUM (struct meeting_recurrence, EMAIL2_CALENDAR_TYPE,     calendar_type,  EAS_140, EAS_MAX, 0, 20),
	F_BOOL(struct meeting_recurrence, EMAIL2_IS_LEAP_MONTH,     is_leap_month,  EAS_140, EAS_MAX),
	F_NUM (struct meeting_recurrence, EMAIL2_FIRST_DAY_OF_WEEK, first_day_of_week, EAS_141, EAS_MAX, 0, 6),
};
static const struct schema recurrence_schema =
	SCHEMA(struct meeting_recurrence, EMAIL_RECURRENCE, recurrence_fields);

static const struct field recurrences_fields[] = {
	F_LIST(struct meeting_request, EMAIL_RECURRENCE, recurrences, EAS_10, EAS_MAX, struct meeting_recurrence,
	       &recurrence_schema),
};
static const struct schema recurrences_schema = SCHEMA(struct meeting_request, EMAIL_RECURRENCES, recurrences_fields);

static const struct field meeting_fields[] = {
	F_BOOL(struct meeting_request, EMAIL_ALL_DAY_EVENT,      all_day,            EAS_10, EAS_MAX),
	F_DATE(struct meeting_request, EMAIL_START_TIME,         start,              EAS_10, EAS_MAX),
	F_DATE(struct meeting_request, EMAIL_DT_STAMP,           dt_stamp,           EAS_10, EAS_MAX),
	F_DATE(struct meeting_request, EMAIL_END_TIME,           end,                EAS_10, EAS_MAX),
	F_NUM (struct meeting_request, EMAIL_INSTANCE_TYPE,      instance_type,      EAS_10, EAS_MAX, 0, 4),
	F_STR (struct meeting_request, EMAIL_LOCATION,           location,           EAS_10, EAS_141, .max_len = 32768),
	F_STR (struct meeting_request, EMAIL_ORGANIZER,          organizer,          EAS_10, EAS_MAX),
	F_DATE(struct meeting_request, EMAIL_RECURRENCE_ID,      recurrence_id,      EAS_10, EAS_MAX),
	F_NUM (struct meeting_request, EMAIL_REMINDER,           reminder,           EAS_10, EAS_MAX, 0, UINT16_MAX),
	F_BOOL(struct meeting_request, EMAIL_RESPONSE_REQUESTED, response_requested, EAS_10, EAS_MAX),
	F_INTO(struct meeting_request, EMAIL_RECURRENCES,        has_recurrences,    EAS_10, EAS_MAX, &recurrences_schema),
	F_NUM (struct meeting_request, EMAIL_SENSITIVITY,        sensitivity,        EAS_10, EAS_MAX, 0, 3),
	F_NUM (struct meeting_request, EMAIL_BUSY_STATUS,        busy_status,        EAS_10, EAS_MAX, 0, 4),
	F_B64 (struct meeting_request, EMAIL_TIME_ZONE,          time_zone,          EAS_10, EAS_MAX),
	F_B64 (struct meeting_request, EMAIL_GLOBAL_OBJ_ID,      global_obj_id,      EAS_10, EAS_141),
	F_BOOL(struct meeting_request, EMAIL_DISALLOW_NEW_TIME_PROPOSAL, disallow_new_time, EAS_140, EAS_MAX),
	F_NUM (struct meeting_request, EMAIL2_MEETING_MESSAGE_TYPE, meeting_message_type, EAS_141, EAS_MAX, 0, 6),
};
static const struct schema meeting_schema = SCHEMA(struct meeting_request, EMAIL_MEETING_REQUEST, meeting_fields);

static const struct field categories_fields[] = {
	F_STRS(struct email, EMAIL_CATEGORY, categories, EAS_140, EAS_MAX, .max_n = 300),
};
static const struct schema categories_schema = SCHEMA(struct email, EMAIL_CATEGORIES, categories_fields);

static const struct field email_fields[] = {
	F_STR (struct email, EMAIL_TO,              to,              EAS_10, EAS_MAX, .max_len = 32768),
	F_STR (struct email, EMAIL_CC,              cc,              EAS_10, EAS_MAX, .max_len = 32768),
	F_STR (struct email, EMAIL_FROM,            from,            EAS_10, EAS_MAX, .max_len = 32768),
	F_STR (struct email, EMAIL_SUBJECT,         subject,         EAS_10, EAS_MAX),
	F_STR (struct email, EMAIL_REPLY_TO,        reply_to,        EAS_10, EAS_MAX),
	F_DATE(struct email, EMAIL_DATE_RECEIVED,   date_received,   EAS_10, EAS_MAX),
	F_STR (struct email, EMAIL_DISPLAY_TO,      display_to,      EAS_10, EAS_MAX),
	F_STR (struct email, EMAIL_THREAD_TOPIC,    thread_topic,    EAS_10, EAS_MAX),
	F_NUM (struct email, EMAIL_IMPORTANCE,      importance,      EAS_10, EAS_MAX, 0, 2),
	F_BOOL(struct email, EMAIL_READ,            read,            EAS_10, EAS_MAX, .flags = FIELD_CLIENT),
	F_STR (struct email, EMAIL_MESSAGE_CLASS,   message_class,   EAS_10, EAS_MAX),
	F_OBJ (struct email, EMAIL_MEETING_REQUEST, meeting,         EAS_10, EAS_MAX, struct meeting_request, &meeting_schema),
	F_NUM (struct email, EMAIL_INTERNET_CPID,   internet_cpid,   EAS_10, EAS_MAX, 0, INT32_MAX),
	F_OBJ (struct email, EMAIL_FLAG,            flag,            EAS_120, EAS_MAX, struct email_flag, &email_flag_schema,
	       .flags = FIELD_CLIENT),
	F_STR (struct email, EMAIL_CONTENT_CLASS,   content_class,   EAS_120, EAS_MAX),
	F_INTO(struct email, EMAIL_CATEGORIES,      has_categories,  EAS_140, EAS_MAX, &categories_schema,
	       .flags = FIELD_CLIENT),
	F_STR (struct email, EMAIL2_UM_CALLER_ID,   um_caller_id,    EAS_140, EAS_MAX),
	F_STR (struct email, EMAIL2_UM_USER_NOTES,  um_user_notes,   EAS_140, EAS_MAX, .max_len = 16374),
	F_BIN (struct email, EMAIL2_CONVERSATION_ID, conversation_id, EAS_140, EAS_MAX),
	F_BIN (struct email, EMAIL2_CONVERSATION_INDEX, conversation_index, EAS_140, EAS_MAX),
	F_NUM (struct email, EMAIL2_LAST_VERB_EXECUTED, last_verb,   EAS_140, EAS_MAX, 0, 3),
	F_DATE(struct email, EMAIL2_LAST_VERB_EXECUTION_TIME, last_verb_time, EAS_140, EAS_MAX),
	F_BOOL(struct email, EMAIL2_RECEIVED_AS_BCC, received_as_bcc, EAS_140, EAS_MAX),
	F_STR (struct email, EMAIL2_SENDER,         sender,          EAS_140, EAS_MAX),
	F_STR (struct email, EMAIL2_ACCOUNT_ID,     account_id,      EAS_141, EAS_MAX),
};
const struct schema email_schema = SCHEMA(struct email, AIRSYNC_APPLICATION_DATA, email_fields);

static void rule(const struct check_ctx *c, uint16_t tag)
{
	problem_set(c->problem, PROBLEM_RULE, tag, EMAIL_FLAG);
}

/* To set a flag the four dates are all given or all absent, and in order
 * (MS-ASEMAIL R406-R409, R738-R740, R850-R864). */
static void check_active(const struct email_flag *f, const struct check_ctx *c)
{
	int n = f->start.has + f->due.has + f->utc_start.has + f->utc_due.has;

	if (n != 0 && n != 4)
		rule(c, f->start.has ? TASKS_DUE_DATE : TASKS_START_DATE);
	if (f->start.has && f->due.has && f->start.ms > f->due.ms)
		rule(c, TASKS_DUE_DATE);
	if (f->utc_start.has && f->utc_due.has && f->utc_start.ms > f->utc_due.ms)
		rule(c, TASKS_UTC_DUE_DATE);
}

/* Setting needs a type (R940, R92), complete both times (R86, R359); a reminder needs its time (R702). */
static void flag_check(void *obj, const struct check_ctx *c)
{
	const struct email_flag *f = obj;

	if (f->status.has && f->status.v == 1 && (!f->complete_time.has || !f->date_completed.has))
		rule(c, f->complete_time.has ? TASKS_DATE_COMPLETED : EMAIL_COMPLETE_TIME);
	if (f->date_completed.has && !f->complete_time.has)
		rule(c, EMAIL_COMPLETE_TIME);
	if (f->reminder_set.has && f->reminder_set.v && !f->reminder_time.has)
		rule(c, TASKS_REMINDER_TIME);
	check_active(f, c);
	if (f->status.has && f->status.v == 2 && f->type.len == 0)
		rule(c, EMAIL_FLAG_TYPE);
}

/* The elements whose sending is an error by the tables (R347, R648, R723, R817, R835).
 * Others that only the server owns are ignored: old clients send whole items. */
void email_check_write(const struct email *m, struct field_problem *p)
{
	static const uint16_t refused[] = { EMAIL2_CONVERSATION_ID, EMAIL2_CONVERSATION_INDEX, EMAIL2_SENDER,
					    EMAIL2_UM_USER_NOTES, EMAIL2_UM_CALLER_ID, EMAIL2_RECEIVED_AS_BCC };

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const struct field *f = schema_find(&email_schema, refused[i], EAS_ANY);

		if (field_given(f, m))
			problem_set(p, PROBLEM_READ_ONLY, refused[i], AIRSYNC_APPLICATION_DATA);
	}
}
