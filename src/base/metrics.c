/* metrics.c - the table behind metrics.h. Any thread. */
#include "base/metrics.h"

_Atomic int64_t metric_values[M_COUNT];

static const struct {
	const char *name, *type, *help;
} table[M_COUNT] = {
#define X(n, t, h) [M_##n] = { "zpushd_" #n, t, h },
#include "base/metrics.def"
#undef X
};

const char *metric_name(enum metric m)
{
	return table[m].name;
}

const char *metric_type(enum metric m)
{
	return table[m].type;
}

const char *metric_help(enum metric m)
{
	return table[m].help;
}
