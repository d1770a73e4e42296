/* log.c - formats a line into a stack buffer and writes it whole. Any thread.
 * A line longer than the buffer is cut at a field border and says cut=1. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, VALUE_MAX_BYTES = 1024 };

static _Atomic int out_fd = 2;
static _Atomic int min_level = LOG_INFO;
static _Atomic int out_format = LOG_LOGFMT;

static const char *level_name[] = { "debug", "info", "warn", "error" };

struct line {
	char b[LINE_MAX_BYTES];
	size_t n;
	bool cut;
};

int log_open(const char *path, enum log_level min, enum log_format format, struct err *e)
{
	int fd = 2, old;

	if (strcmp(path, "-") != 0) {
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
		if (fd < 0)
			return err_set(e, ERR_CONFIG, "log.file %s: %s", path, strerror(errno));
	}
	old = atomic_exchange(&out_fd, fd);
	if (old > 2)
		close(old);
	atomic_store(&min_level, min);
	atomic_store(&out_format, format);
	return 0;
}

bool log_on(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&min_level, memory_order_relaxed);
}

static void put(struct line *l, const char *p, size_t n)
{
	if (l->n + n > sizeof(l->b) - 16) {
		l->cut = true;
		return;
	}
	memcpy(l->b + l->n, p, n);
	l->n += n;
}

static void put_z(struct line *l, const char *z)
{
	put(l, z, strlen(z));
}

static void put_escaped(struct line *l, struct slice s)
{
	if (s.len > VALUE_MAX_BYTES)
		s.len = VALUE_MAX_BYTES;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		char esc[8];

		if (c == '"' || c == '\\') {
			esc[0] = '\\';
			esc[1] = (char)c;
			put(l, esc, 2);
		} else if (c < 0x20 || c == 0x7f) {
			snprintf(esc, sizeof(esc), "\\u%04x", c);
			put(l, esc, 6);
		} else {
			put(l, (const char *)&c, 1);
		}
	}
}

static bool needs_quotes(struct slice s)
{
	if (s.len == 0)
		return true;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c <= 0x20 || c == '"' || c == '=' || c == '\\' || c == 0x7f)
			return true;
	}
	return false;
}

static void put_value(struct line *l, const struct log_field *f, bool json)
{
	char num[24];

	if (f->kind == LOG_F_INT) {
		snprintf(num, sizeof(num), "%lld", (long long)f->i);
		put_z(l, num);
		return;
	}
	if (json || needs_quotes(f->s)) {
		put(l, "\"", 1);
		put_escaped(l, f->s);
		put(l, "\"", 1);
		return;
	}
	put(l, f->s.ptr, f->s.len < VALUE_MAX_BYTES ? f->s.len : VALUE_MAX_BYTES);
}

static void put_time(struct line *l)
{
	struct timespec t;
	struct tm tm;
	char b[96];

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	snprintf(b, sizeof(b), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", (tm.tm_year + 1900) % 10000, tm.tm_mon + 1,
		 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, t.tv_nsec / 1000000);
	put_z(l, b);
}

void log_emit(enum log_level level, const char *event, const struct log_field *f, size_t n)
{
	bool json = atomic_load_explicit(&out_format, memory_order_relaxed) == LOG_JSON;
	struct line l = { .n = 0 };
	ssize_t w;

	put_z(&l, json ? "{\"time\":\"" : "time=");
	put_time(&l);
	put_z(&l, json ? "\",\"level\":\"" : " level=");
	put_z(&l, level_name[level]);
	put_z(&l, json ? "\",\"event\":\"" : " event=");
	put_z(&l, event);
	put_z(&l, json ? "\"" : "");
	for (size_t i = 0; i < n && !l.cut; i++) {
		size_t before = l.n;

		put_z(&l, json ? ",\"" : " ");
		put_z(&l, f[i].key);
		put_z(&l, json ? "\":" : "=");
		put_value(&l, &f[i], json);
		if (l.cut)
			l.n = before;
	}
	if (l.cut) {
		l.cut = false;
		memcpy(l.b + l.n, json ? ",\"cut\":1" : " cut=1", json ? 8 : 6);
		l.n += json ? 8 : 6;
	}
	memcpy(l.b + l.n, json ? "}\n" : "\n", json ? 2 : 1);
	l.n += json ? 2 : 1;
	do {
		w = write(atomic_load_explicit(&out_fd, memory_order_relaxed), l.b, l.n);
	} while (w < 0 && errno == EINTR);
}

bool log_allowed(struct log_limit *l, int64_t now_ms, unsigned burst, int64_t every_ms)
{
	if (now_ms - l->window_start_ms >= every_ms) {
		l->window_start_ms = now_ms;
		l->in_window = 0;
	}
	if (l->in_window < burst) {
		l->in_window++;
		return true;
	}
	l->suppressed++;
	return false;
}
