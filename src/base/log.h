/* log.h - one event, one line, fields not prose. Any thread; a line is one
 * write(2). logfmt or JSON lines. Values are escaped here, so hostile text is
 * safe. Never bodies, passwords; subjects only at debug.
 *
 *   LOG_I("request", L_S("user", user), L_I("ms", ms), L_Z("verdict", "reply"));
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/clock.h"
#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
	const char *key;
	enum { LOG_F_INT, LOG_F_SLICE } kind;
	int64_t i;
	struct slice s;
};

#define L_I(k, v) ((struct log_field){ .key = (k), .kind = LOG_F_INT, .i = (int64_t)(v) })
#define L_S(k, v) ((struct log_field){ .key = (k), .kind = LOG_F_SLICE, .s = (v) })
#define L_Z(k, v) L_S(k, slice_str(v))
/* The three fields of an error: err=, reason= and do=. */
#define L_ERR(e) L_Z("err", err_name((e)->code)), L_Z("reason", (e)->text), L_Z("do", err_advice((e)->code))

/* path "-" is stderr. Reopen (SIGHUP) by calling again. */
int log_open(const char *path, enum log_level min, enum log_format format, struct err *e);
bool log_on(enum log_level level);
void log_emit(enum log_level level, const char *event, const struct log_field *f, size_t n);
/* True at most `burst` times in each `every_ms` per place: for what may repeat
 * a thousand times a second. The suppressed count is logged with the next one. */
struct log_limit {
	int64_t window_start_ms;
	unsigned in_window, suppressed;
};
bool log_allowed(struct log_limit *l, int64_t now_ms, unsigned burst, int64_t every_ms);

#define LOG_AT(level, event, ...)                                                         \
	do {                                                                              \
		if (log_on(level)) {                                                      \
			const struct log_field log_f_[] = { __VA_ARGS__ };                \
			log_emit(level, event, log_f_, sizeof(log_f_) / sizeof(*log_f_)); \
		}                                                                         \
	} while (0)
#define LOG_D(event, ...) LOG_AT(LOG_DEBUG, event, __VA_ARGS__)
#define LOG_I(event, ...) LOG_AT(LOG_INFO, event, __VA_ARGS__)
#define LOG_W(event, ...) LOG_AT(LOG_WARN, event, __VA_ARGS__)
#define LOG_E(event, ...) LOG_AT(LOG_ERROR, event, __VA_ARGS__)

#endif
