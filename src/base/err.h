/* err.h - what went wrong, said once where it happened, logged once at the top.
 * Functions that can fail return 0, or -1 with *e filled. Parsers: 1 done,
 * 0 need more, -1. e may be NULL where the caller does not care. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/slice.h"

enum err_code {
#define X(name, http, advice) ERR_##name,
#include "base/err.def"
#undef X
	ERR_COUNT
};

struct err {
	enum err_code code;
	char text[232]; /* NUL-terminated, cut at the end when too long, never a secret */
};

/* Always -1. Control bytes of hostile text become '?'. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "context: " before the text; always -1. */
int err_add(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *err_name(enum err_code code);   /* "backend_temp" style, lower case */
const char *err_advice(enum err_code code);
int err_http(enum err_code code);
/* May the phone simply try again later? */
bool err_is_temp(enum err_code code);

/* For what only we can cause: stays on in release builds. A peer must never reach one. */
#define ASSERT(x) ((x) ? (void)0 : assert_failed(#x, __FILE__, __LINE__))
#ifdef DEBUG
#define DASSERT(x) ASSERT(x)
#else
#define DASSERT(x) ((void)0)
#endif
_Noreturn void assert_failed(const char *what, const char *file, int line);

#endif
