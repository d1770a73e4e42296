/* date.h - dates of mail and of EAS. Milliseconds since 1970-01-01 UTC as
 * int64; DATE_NONE is "no date". Pure, any thread. */
#ifndef PROTO_DATE_H
#define PROTO_DATE_H

#include "base/arena.h"

#define DATE_NONE INT64_MIN

/* RFC 5322 with its obsolete forms, two-digit years, missing seconds, missing
 * weekday, named zones, comments, "GMT+1", IMAP's INTERNALDATE and asctime.
 * Milliseconds, or DATE_NONE. */
int64_t date_parse_mail(struct slice s);
/* "Tue, 24 Nov 2026 16:59:34 +0000" */
struct slice date_format_mail(struct arena *a, int64_t ms);

enum date_style {
	DATE_DASHED,  /* 2020-01-01T00:00:00.000Z: Email, Tasks, Notes */
	DATE_COMPACT, /* 20200101T000000Z: Calendar up to 14.1 */
};
enum { DATE_BUF = 32 };
/* Returns the length; buf is NUL-terminated. Years 1-9999, others clamped. */
size_t date_format_eas(char buf[DATE_BUF], int64_t ms, enum date_style style);
/* Either style, with or without fraction, a zone offset allowed (xs:dateTime);
 * also a bare date. false on anything else. */
bool date_parse_eas(struct slice s, int64_t *ms_r);

/* Proleptic Gregorian. month 1-12, day 1-31. Days since 1970-01-01. */
int64_t date_days(int year, int month, int day);
void date_civil(int64_t days, int *year_r, int *month_r, int *day_r);

#endif
