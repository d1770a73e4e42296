/* err.c - error values and the one table behind them. Any thread. */
#include "base/err.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name, *advice;
	int http;
} table[ERR_COUNT] = {
#define X(n, h, a) [ERR_##n] = { #n, a, h },
#include "base/err.def"
#undef X
};

static void clean(char *z)
{
	for (; *z; z++)
		if ((unsigned char)*z < 0x20 || *z == 0x7f)
			*z = '?';
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -1;
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	clean(e->text);
	return -1;
}

int err_add(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->text)];
	va_list ap;
	int n;

	if (!e)
		return -1;
	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->text) - 3)
		snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %.220s", old);
	clean(e->text);
	return -1;
}

const char *err_name(enum err_code code)
{
	static __thread char low[32];
	size_t i = 0;

	for (; table[code].name[i] && i < sizeof(low) - 1; i++)
		low[i] = (char)tolower((unsigned char)table[code].name[i]);
	low[i] = 0;
	return low;
}

const char *err_advice(enum err_code code)
{
	return table[code].advice;
}

int err_http(enum err_code code)
{
	return table[code].http;
}

bool err_is_temp(enum err_code code)
{
	return table[code].http == 503;
}

_Noreturn void assert_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "zpushd: assertion failed at %s:%d: %s\n", file, line, what);
	abort();
}
