/* date.c - mail dates in, EAS dates in and out. Any thread, no libc time zone:
 * everything is UTC arithmetic on the proleptic Gregorian calendar. The trap:
 * mail dates are whatever senders wrote, so tokens are recognised by their
 * shape, not by their place. */
#include "proto/date.h"

#include <ctype.h>
#include <stdio.h>

enum { DAY_MS = 86400000 };

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char weekdays[] = "SunMonTueWedThuFriSat";

/* Howard Hinnant's method of counting from March, so that the leap day is last. */
int64_t date_days(int year, int month, int day)
{
	int64_t y = month <= 2 ? (int64_t)year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void date_civil(int64_t days, int *year_r, int *month_r, int *day_r)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*day_r = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month_r = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year_r = (int)(yoe + era * 400 + (*month_r <= 2));
}

struct parts {
	int year, month, day, hour, minute, second, ms;
	int zone_minutes; /* east of UTC */
};

static int64_t join(const struct parts *p)
{
	int64_t minutes = (int64_t)p->hour * 60 + p->minute - p->zone_minutes;

	return date_days(p->year, p->month, p->day) * DAY_MS + minutes * 60000 + (int64_t)p->second * 1000 + p->ms;
}

static int month_length(int year, int month)
{
	static const int length[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return month == 2 && (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)) ? 29 : length[month - 1];
}

static bool sane(const struct parts *p)
{
	return p->year >= 1 && p->year <= 9999 && p->month >= 1 && p->month <= 12 && p->day >= 1 &&
	       p->day <= month_length(p->year, p->month) && p->hour <= 23 && p->minute <= 59 && p->second <= 60 &&
	       p->zone_minutes > -1440 && p->zone_minutes < 1440;
}

/* -- mail -- */

struct mail_date {
	struct parts p;
	bool has_day, has_month, has_year, has_time, has_zone;
};

static const struct {
	char name[5];
	int minutes;
} zones[] = {
	{ "UT", 0 },      { "GMT", 0 },     { "UTC", 0 },     { "Z", 0 },       { "EST", -300 }, { "EDT", -240 },
	{ "CST", -360 },  { "CDT", -300 },  { "MST", -420 },  { "MDT", -360 },  { "PST", -480 }, { "PDT", -420 },
	{ "WET", 0 },     { "WEST", 60 },   { "CET", 60 },    { "CEST", 120 },  { "MEZ", 60 },   { "MESZ", 120 },
	{ "EET", 120 },   { "EEST", 180 },  { "MSK", 180 },   { "JST", 540 },
};

static void word_token(struct mail_date *d, struct slice w)
{
	if (w.len >= 3 && !d->has_month) {
		for (int m = 0; m < 12; m++) {
			if (strncasecmp(w.ptr, months + 3 * m, 3) == 0) {
				d->p.month = m + 1;
				d->has_month = true;
				return;
			}
		}
	}
	if (w.len == 2 && d->has_time && slice_ieq(w, S("PM")) && d->p.hour < 12)
		d->p.hour += 12;
	if (!d->has_time || d->has_zone)
		return;
	for (size_t i = 0; i < sizeof(zones) / sizeof(*zones); i++) {
		if (slice_ieq(w, slice_str(zones[i].name))) {
			d->p.zone_minutes = zones[i].minutes;
			d->has_zone = zones[i].minutes != 0; /* "GMT+1": the number follows */
		}
	}
}

static int number(struct slice s)
{
	int v = 0;

	for (size_t i = 0; i < s.len && i < 6; i++)
		v = v * 10 + (s.ptr[i] - '0');
	return v;
}

static void number_token(struct mail_date *d, struct slice w)
{
	int v = number(w);

	if (w.len <= 2 && !d->has_day && v >= 1 && v <= 31) {
		d->p.day = v;
		d->has_day = true;
	} else if (!d->has_year && w.len <= 4) {
		if (w.len <= 2)
			v += v < 50 ? 2000 : 1900;
		else if (w.len == 3)
			v += 1900;
		d->p.year = v;
		d->has_year = true;
	}
}

/* "16:59", "16:59:34", "16:59:34.123"; returns the bytes used. */
static size_t time_token(struct mail_date *d, struct slice s)
{
	int v[3] = { 0, 0, 0 };
	size_t i = 0;
	int n = 0;

	while (n < 3) {
		int digits = 0;

		for (; i < s.len && isdigit((unsigned char)s.ptr[i]); i++)
			if (digits++ < 4)
				v[n] = v[n] * 10 + (s.ptr[i] - '0');
		n++;
		if (i + 1 >= s.len || s.ptr[i] != ':' || !isdigit((unsigned char)s.ptr[i + 1]))
			break;
		i++;
	}
	if (i < s.len && s.ptr[i] == '.')
		for (i++; i < s.len && isdigit((unsigned char)s.ptr[i]);)
			i++;
	if (!d->has_time) {
		d->p.hour = v[0];
		d->p.minute = v[1];
		d->p.second = v[2];
		d->has_time = true;
	}
	return i;
}

/* "+0100", "-7", "+01:00"; returns the bytes used. */
static size_t zone_token(struct mail_date *d, struct slice s)
{
	int sign = *s.ptr == '-' ? -1 : 1, v = 0, digits = 0;
	size_t i = 1;

	for (; i < s.len && (isdigit((unsigned char)s.ptr[i]) || (s.ptr[i] == ':' && digits == 2)); i++)
		if (s.ptr[i] != ':' && digits++ < 4)
			v = v * 10 + (s.ptr[i] - '0');
	if (digits >= 1 && digits <= 4 && !d->has_zone) {
		d->p.zone_minutes = sign * (digits <= 2 ? v * 60 : v / 100 * 60 + v % 100);
		d->has_zone = true;
	}
	return i;
}

static size_t skip_comment(struct slice s)
{
	size_t i = 0;
	int depth = 0;

	for (; i < s.len; i++) {
		depth += s.ptr[i] == '(';
		depth -= s.ptr[i] == ')';
		if (depth == 0)
			return i + 1;
	}
	return i;
}

static size_t mail_token(struct mail_date *d, struct slice s)
{
	unsigned char c = (unsigned char)*s.ptr;
	size_t n = 0;

	if (c == '(')
		return skip_comment(s);
	if (isalpha(c)) {
		while (n < s.len && isalpha((unsigned char)s.ptr[n]))
			n++;
		word_token(d, slice_to(s, n));
		return n;
	}
	if (isdigit(c)) {
		while (n < s.len && isdigit((unsigned char)s.ptr[n]))
			n++;
		if (n < s.len && s.ptr[n] == ':')
			return time_token(d, s);
		number_token(d, slice_to(s, n));
		return n;
	}
	if ((c == '+' || c == '-') && d->has_time && s.len > 1 && isdigit((unsigned char)s.ptr[1]))
		return zone_token(d, s);
	return 1;
}

int64_t date_parse_mail(struct slice s)
{
	struct mail_date d = { 0 };
	int64_t ms;

	s = slice_to(slice_trim(s), 200);
	if (s.len >= 10 && isdigit((unsigned char)s.ptr[3]) && s.ptr[4] == '-' && date_parse_eas(s, &ms))
		return ms;
	while (s.len)
		s = slice_from(s, mail_token(&d, s));
	if (!d.has_day || !d.has_month || !d.has_year || !sane(&d.p))
		return DATE_NONE;
	return join(&d.p);
}

/* -- EAS -- */

static const int64_t first_ms = -62135596800000; /* 0001-01-01 */
static const int64_t last_ms = 253402300799999;  /* 9999-12-31T23:59:59.999 */

static struct parts split(int64_t ms)
{
	struct parts p = { 0 };
	int64_t days, rest;

	if (ms < first_ms)
		ms = first_ms;
	if (ms > last_ms)
		ms = last_ms;
	days = ms / DAY_MS - (ms % DAY_MS < 0);
	rest = ms - days * DAY_MS;
	date_civil(days, &p.year, &p.month, &p.day);
	p.hour = (int)(rest / 3600000);
	p.minute = (int)(rest / 60000 % 60);
	p.second = (int)(rest / 1000 % 60);
	p.ms = (int)(rest % 1000);
	return p;
}

struct slice date_format_mail(struct arena *a, int64_t ms)
{
	struct parts p = split(ms);
	int64_t days = date_days(p.year, p.month, p.day);
	int wd = (int)((days % 7 + 7 + 4) % 7); /* 1970-01-01 was a Thursday */

	return arena_printf(a, "%.3s, %d %.3s %04d %02d:%02d:%02d +0000", weekdays + 3 * wd, p.day,
			    months + 3 * (p.month - 1), p.year, p.hour, p.minute, p.second);
}

size_t date_format_eas(char buf[DATE_BUF], int64_t ms, enum date_style style)
{
	struct parts p = split(ms);
	int n = style == DATE_DASHED ?
			snprintf(buf, DATE_BUF, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)p.year % 10000,
				 (unsigned)p.month % 100, (unsigned)p.day % 100, (unsigned)p.hour % 100,
				 (unsigned)p.minute % 100, (unsigned)p.second % 100, (unsigned)p.ms % 1000) :
			snprintf(buf, DATE_BUF, "%04u%02u%02uT%02u%02u%02uZ", (unsigned)p.year % 10000,
				 (unsigned)p.month % 100, (unsigned)p.day % 100, (unsigned)p.hour % 100,
				 (unsigned)p.minute % 100, (unsigned)p.second % 100);

	return (size_t)n;
}

/* Exactly n digits. */
static bool digits(struct slice *s, size_t n, int *v_r)
{
	*v_r = 0;
	if (s->len < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)s->ptr[i]))
			return false;
		*v_r = *v_r * 10 + (s->ptr[i] - '0');
	}
	*s = slice_from(*s, n);
	return true;
}

static bool take(struct slice *s, char c)
{
	if (s->len == 0 || *s->ptr != c)
		return false;
	*s = slice_from(*s, 1);
	return true;
}

static bool fraction(struct slice *s, int *ms_r)
{
	int scale = 100;
	size_t i = 0;

	for (; i < s->len && isdigit((unsigned char)s->ptr[i]); i++) {
		*ms_r += (s->ptr[i] - '0') * scale;
		scale /= 10;
	}
	*s = slice_from(*s, i);
	return i > 0;
}

static bool offset(struct slice *s, int *minutes_r)
{
	int sign = *s->ptr == '-' ? -1 : 1, h, m;

	*s = slice_from(*s, 1);
	if (!digits(s, 2, &h))
		return false;
	take(s, ':');
	if (!digits(s, 2, &m) || m > 59)
		return false;
	*minutes_r = sign * (h * 60 + m);
	return true;
}

bool date_parse_eas(struct slice s, int64_t *ms_r)
{
	struct parts p = { 0 };
	bool dashed;

	s = slice_trim(s);
	if (!digits(&s, 4, &p.year))
		return false;
	dashed = take(&s, '-');
	if (!digits(&s, 2, &p.month) || (dashed && !take(&s, '-')) || !digits(&s, 2, &p.day))
		return false;
	if (s.len) {
		if (!take(&s, 'T') || !digits(&s, 2, &p.hour))
			return false;
		dashed = take(&s, ':');
		if (!digits(&s, 2, &p.minute) || (dashed && !take(&s, ':')) || !digits(&s, 2, &p.second))
			return false;
		if (take(&s, '.') && !fraction(&s, &p.ms))
			return false;
	}
	if (s.len && (*s.ptr == '+' || *s.ptr == '-')) {
		if (!offset(&s, &p.zone_minutes))
			return false;
	} else {
		take(&s, 'Z');
	}
	if (s.len || !sane(&p))
		return false;
	*ms_r = join(&p);
	return true;
}
