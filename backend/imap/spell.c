/* spell.c - IMAP's dates and sets. Pure, any thread; results live in the arena. */
#include "backend/imap/spell.h"

#include <stdio.h>
#include <time.h>

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static int month_of(const char *m)
{
	for (int i = 0; i < 12; i++)
		if (strncasecmp(months + 3 * i, m, 3) == 0)
			return i;
	return -1;
}

bool imap_date_parse(struct slice s, int64_t *ms_r)
{
	char z[40], mon[4], sign;
	struct tm tm = { 0 };
	int zone, year;

	s = slice_trim(s);
	if (s.len >= sizeof(z) || s.len < 11)
		return false;
	memcpy(z, s.ptr, s.len);
	z[s.len] = 0;
	if (sscanf(z, "%2d-%3[A-Za-z]-%4d %2d:%2d:%2d %c%4d", &tm.tm_mday, mon, &year, &tm.tm_hour, &tm.tm_min,
		   &tm.tm_sec, &sign, &zone) != 8)
		return false;
	tm.tm_mon = month_of(mon);
	tm.tm_year = year - 1900;
	if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || (sign != '+' && sign != '-'))
		return false;
	zone = (zone / 100) * 60 + zone % 100;
	*ms_r = ((int64_t)timegm(&tm) - (sign == '-' ? -zone : zone) * 60) * 1000;
	return true;
}

static void split(int64_t ms, struct tm *tm)
{
	time_t t = (time_t)(ms / 1000);

	if (!gmtime_r(&t, tm) || tm->tm_year < -1900 || tm->tm_year > 8099) {
		t = 0;
		gmtime_r(&t, tm);
	}
}

void imap_date_format(int64_t ms, char out[32])
{
	struct tm tm;

	split(ms, &tm);
	snprintf(out, 32, "\"%02d-%.3s-%04d %02d:%02d:%02d +0000\"", tm.tm_mday, months + 3 * tm.tm_mon,
		 (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void imap_day_format(int64_t ms, char out[16])
{
	struct tm tm;

	split(ms, &tm);
	snprintf(out, 16, "%d-%.3s-%04d", tm.tm_mday, months + 3 * tm.tm_mon, (tm.tm_year + 1900) % 10000);
}

/* -- sets -- */

static bool set_number(struct slice s, uint64_t *v_r)
{
	if (slice_eq(s, S("*"))) {
		*v_r = UINT32_MAX;
		return true;
	}
	return slice_u64(s, v_r);
}

bool set_next(struct slice *rest, uint64_t *first_r, uint64_t *last_r)
{
	struct slice part;
	ptrdiff_t colon;

	if (!slice_split(rest, ',', &part))
		return false;
	colon = slice_chr(part, ':');
	if (!set_number(colon < 0 ? part : slice_to(part, (size_t)colon), first_r))
		return false;
	*last_r = *first_r;
	if (colon >= 0 && !set_number(slice_from(part, (size_t)colon + 1), last_r))
		return false;
	if (*first_r > *last_r) {
		uint64_t t = *first_r;

		*first_r = *last_r;
		*last_r = t;
	}
	return true;
}

struct slice set_format(struct arena *a, const uint64_t *nums, size_t n)
{
	char *z = arena_alloc(a, n * 22 + 1);
	size_t len = 0;

	for (size_t i = 0; i < n;) {
		size_t k = i;

		while (k + 1 < n && nums[k + 1] == nums[k] + 1)
			k++;
		len += (size_t)sprintf(z + len, "%s%llu", i ? "," : "", (unsigned long long)nums[i]);
		if (k > i)
			len += (size_t)sprintf(z + len, ":%llu", (unsigned long long)nums[k]);
		i = k + 1;
	}
	return slice(z, len);
}
