/* test_date.c - mail dates and EAS dates. */
#include "harness.h"

#include "proto/date.h"

static const int64_t day_ms = 86400000;

CASE(date_civil_turns_back)
{
	for (int64_t d = -800000; d < 800000; d += 97) {
		int y, m, dd;

		date_civil(d, &y, &m, &dd);
		CHECK_INT(date_days(y, m, dd), d);
	}
	CHECK_INT(date_days(1970, 1, 1), 0);
	CHECK_INT(date_days(2000, 3, 1), 11017);
}

CASE(date_reads_what_mails_carry)
{
	static const struct {
		const char *in;
		int64_t want_s;
	} rows[] = {
		{ "Tue, 24 Nov 2026 16:59:34 +0000", 1795539574 },
		{ "24 Nov 2026 16:59:34 GMT", 1795539574 },
		{ "Tue, 24 Nov 2026 17:59:34 +0100 (CET)", 1795539574 },
		{ "Tue, 24 Nov 26 11:59:34 EST", 1795539574 },
		{ "Tue Nov 24 16:59:34 2026", 1795539574 },
		{ "24-Nov-2026 16:59:34 +0000", 1795539574 },
		{ "Tue,24 Nov 2026 16:59:34 UTC", 1795539574 },
		{ "Tue, 24 Nov 2026 17:59:34 GMT+1", 1795539574 },
		{ "Tue, 24 Nov 2026 04:59:34 PM +0000", 1795539574 },
		{ "Tue, 24 Nov 2026 16:59 -0000", 1795539540 },
		{ "2026-11-24T16:59:34Z", 1795539574 },
		{ "Thu, 1 Jan 1970 00:00:00 +0000", 0 },
		{ " (comment (nested)) 1 Jan 70 00:00:00 Z", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		CHECK_INT(date_parse_mail(test_guarded(slice_str(rows[i].in))), rows[i].want_s * 1000);
}

CASE(date_refuses_nonsense)
{
	static const char *const rows[] = { "", "yesterday", "32 Jan 2020 00:00:00 Z", "30 Feb 2020 00:00:00 Z",
					    "1 Jan 2020 25:00:00 Z", "1 Jan 99999 00:00:00", "((((((", "+", "12:00",
					    "1 Jan 2020 00:00:00 +9999" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		CHECK(date_parse_mail(test_guarded(slice_str(rows[i]))) == DATE_NONE);
}

CASE(date_eas_both_styles_turn_back)
{
	char buf[DATE_BUF];
	int64_t ms;

	for (int64_t t = -60000 * day_ms; t < 60000 * day_ms; t += 86399123) {
		CHECK(date_parse_eas(slice(buf, date_format_eas(buf, t, DATE_DASHED)), &ms));
		CHECK_INT(ms, t);
		CHECK(date_parse_eas(slice(buf, date_format_eas(buf, t, DATE_COMPACT)), &ms));
		CHECK(ms / 1000 == t / 1000 || ms / 1000 == t / 1000 - 1);
	}
	date_format_eas(buf, 1577836800000, DATE_DASHED);
	CHECK_STR(slice_str(buf), "2020-01-01T00:00:00.000Z");
	date_format_eas(buf, 1577836800000, DATE_COMPACT);
	CHECK_STR(slice_str(buf), "20200101T000000Z");
	date_format_eas(buf, INT64_MIN, DATE_DASHED);
	CHECK_STR(slice_str(buf), "0001-01-01T00:00:00.000Z");
	date_format_eas(buf, INT64_MAX, DATE_DASHED);
	CHECK_STR(slice_str(buf), "9999-12-31T23:59:59.999Z");
}

CASE(date_eas_accepts_and_refuses)
{
	int64_t ms;

	CHECK(date_parse_eas(S("2020-01-01T01:00:00.5+01:00"), &ms));
	CHECK_INT(ms, 1577836800500);
	CHECK(date_parse_eas(S("20200101"), &ms));
	CHECK(date_parse_eas(S("2020-01-01T00:00:00"), &ms));
	CHECK(!date_parse_eas(S("2020-13-01T00:00:00Z"), &ms));
	CHECK(!date_parse_eas(S("2020-01-01T00:00:00Zx"), &ms));
	CHECK(!date_parse_eas(S("2020-01"), &ms));
	CHECK(!date_parse_eas(S(""), &ms));
	CHECK(!date_parse_eas(S("2020-01-01T00:00:00."), &ms));
}

CASE(date_mail_format)
{
	CHECK_STR(date_format_mail(test_arena(), 1795539574000), "Tue, 24 Nov 2026 16:59:34 +0000");
	CHECK_STR(date_format_mail(test_arena(), 0), "Thu, 1 Jan 1970 00:00:00 +0000");
}
