/* settings_value.c - values as people write them: durations, sizes, addresses.
 * Pure; any thread. Messages say what is legal. */
#include "base/settings_table.h"

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit durations[] = {
	{ "ms", 1 },
	{ "s", SETTING_S },
	{ "m", SETTING_MIN },
	{ "h", SETTING_H },
	{ "d", SETTING_DAY },
	{ NULL, 0 },
};

static const struct unit sizes[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "K", SETTING_KIB },
	{ "M", SETTING_MIB },
	{ "G", 1024 * SETTING_MIB },
	{ NULL, 0 },
};

/* Digits, then a unit; false also on overflow. */
static bool number_unit(struct slice t, const struct unit *u, int64_t *v_r)
{
	size_t digits = 0;
	uint64_t n;

	while (digits < t.len && t.ptr[digits] >= '0' && t.ptr[digits] <= '9')
		digits++;
	if (!slice_u64(slice_to(t, digits), &n))
		return false;
	for (; u->name; u++) {
		if (!slice_eq(slice_from(t, digits), slice_str(u->name)))
			continue;
		if (n > (uint64_t)(INT64_MAX / u->factor))
			return false;
		*v_r = (int64_t)n * u->factor;
		return true;
	}
	return false;
}

int setting_parse_ms(struct slice text, int64_t *ms_r, struct err *e)
{
	if (slice_eq(text, S("0"))) {
		*ms_r = 0;
		return 0;
	}
	if (!number_unit(text, durations, ms_r))
		return err_set(e, ERR_CONFIG, "a duration is a number and a unit (ms, s, m, h, d), such as \"55s\", not \"%.*s\"",
			       SARG(slice_to(text, 40)));
	return 0;
}

int setting_parse_size(struct slice text, int64_t *bytes_r, struct err *e)
{
	if (!number_unit(text, sizes, bytes_r))
		return err_set(e, ERR_CONFIG, "a size is a number and a unit (K, M, G), such as \"20M\", not \"%.*s\"",
			       SARG(slice_to(text, 40)));
	return 0;
}

static bool port_ok(struct slice p)
{
	uint64_t n;

	return slice_u64(p, &n) && n <= 65535;
}

int setting_check_address(struct slice t, struct err *e)
{
	ptrdiff_t at;

	if (slice_starts(t, S("unix:")) && t.len > 5)
		return 0;
	if (slice_starts(t, S("["))) {
		at = slice_chr(t, ']');
		if (at > 1 && slice_starts(slice_from(t, (size_t)at), S("]:")) && port_ok(slice_from(t, (size_t)at + 2)))
			return 0;
	} else {
		at = slice_chr(t, ':');
		if (at > 0 && port_ok(slice_from(t, (size_t)at + 1)))
			return 0;
	}
	return err_set(e, ERR_CONFIG, "an address is \"host:port\", \"[v6]:port\" or \"unix:/path\", not \"%.*s\"",
		       SARG(slice_to(t, 60)));
}
