/* trace.c - see trace.h. A mutex guards the list, which is short; the text of an
 * exchange is made by the worker that served it and appended in one write.
 * The trap: passwords. Headers are not written at all, and elements that hold one
 * (Settings, Search, ItemOperations) are emptied in the text. */
#include "work/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/role.h"
#include "proto/commands.h"
#include "proto/xmltrace.h"
#include "work/work.h"

enum { DEVICES_MAX = 64, VALUE_MAX = 32 * 1024 };

struct traced {
	char *device;
	bool configured, switched, on; /* switched: by the admin, and `on` counts */
};

struct trace {
	pthread_mutex_t lock;
	struct traced v[DEVICES_MAX];
	size_t n;
	_Atomic unsigned wanted;
	char *dir;
	uint64_t max_bytes;
};

static bool wants(const struct traced *d)
{
	return d->switched ? d->on : d->configured;
}

static struct traced *find(struct trace *t, struct slice device)
{
	for (size_t i = 0; i < t->n; i++)
		if (slice_eq(slice_str(t->v[i].device), device))
			return &t->v[i];
	return NULL;
}

static struct traced *get(struct trace *t, struct slice device)
{
	struct traced *d = find(t, device);

	if (!d && t->n < DEVICES_MAX && device.len) {
		d = &t->v[t->n++];
		*d = (struct traced){ .device = mem_str(device) };
	}
	return d;
}

static void count(struct trace *t)
{
	unsigned n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += wants(&t->v[i]);
	atomic_store(&t->wanted, n);
}

void trace_configure(struct trace *t, const struct settings *set)
{
	const struct slice *v;
	size_t n = settings_list(set, "log.trace_devices", &v);
	struct traced *d;

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->max_bytes = settings_bytes(set, "log.trace_bytes");
	for (size_t i = 0; i < t->n; i++)
		t->v[i].configured = false;
	for (size_t i = 0; i < n; i++)
		if ((d = get(t, v[i])))
			d->configured = true;
	count(t);
	pthread_mutex_unlock(&t->lock);
}

struct trace *trace_new(const struct settings *set)
{
	struct slice dir = settings_str(set, "server.data_dir");
	struct trace *t = mem_alloc(sizeof(*t));
	size_t n = dir.len + sizeof("/trace");

	pthread_mutex_init(&t->lock, NULL);
	t->dir = mem_alloc(n);
	snprintf(t->dir, n, "%.*s/trace", SARG(dir));
	trace_configure(t, set);
	return t;
}

void trace_free(struct trace **tp)
{
	struct trace *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].device);
	pthread_mutex_destroy(&t->lock);
	free(t->dir);
	free(t);
}

int trace_switch(struct trace *t, struct slice device, bool on, struct err *e)
{
	struct traced *d;

	pthread_mutex_lock(&t->lock);
	d = get(t, device);
	if (d) {
		d->switched = true;
		d->on = on;
		count(t);
	}
	pthread_mutex_unlock(&t->lock);
	return d ? 0 : err_set(e, ERR_LIMIT, "at most %d devices are traced", DEVICES_MAX);
}

bool trace_wants(struct trace *t, struct slice device)
{
	struct traced *d;
	bool yes;

	if (!t || atomic_load_explicit(&t->wanted, memory_order_relaxed) == 0)
		return false;
	pthread_mutex_lock(&t->lock);
	d = find(t, device);
	yes = d && wants(d);
	pthread_mutex_unlock(&t->lock);
	return yes;
}

bool trace_wanted(const struct work *w, struct slice device)
{
	return w && trace_wants(w->trace, device);
}

void trace_list(struct trace *t, struct blob *out)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->n; i++)
		if (wants(&t->v[i]))
			blob_printf(out, NULL, "%s\n", t->v[i].device);
	pthread_mutex_unlock(&t->lock);
}

/* --- text --------------------------------------------------------------------------- */

/* Does a start tag at "<" name an element whose text is a secret? */
static bool is_secret(struct slice tag)
{
	size_t n = 1;

	while (n < tag.len && tag.ptr[n] != ' ' && tag.ptr[n] != '>' && tag.ptr[n] != '/')
		n++;
	return n > 8 && memcmp(tag.ptr + n - 8, "Password", 8) == 0 && tag.ptr[tag.len - 2] != '/';
}

static void put_masked(struct blob *out, struct slice xml)
{
	size_t from = 0, i = 0;

	while (i < xml.len) {
		size_t open = i;

		while (open < xml.len && xml.ptr[open] != '<')
			open++;
		i = open;
		while (i < xml.len && xml.ptr[i] != '>')
			i++;
		if (i == xml.len || !is_secret(slice(xml.ptr + open, ++i - open)))
			continue;
		blob_append(out, xml.ptr + from, i - from, NULL);
		blob_append(out, "***", 3, NULL);
		while (i < xml.len && xml.ptr[i] != '<')
			i++;
		from = i;
	}
	blob_append(out, xml.ptr + from, xml.len - from, NULL);
}

/* Whatever is no WBXML: printable, so that a terminal survives it. */
static void put_plain(struct blob *out, struct slice text)
{
	size_t n = text.len < VALUE_MAX ? text.len : VALUE_MAX;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f))
			blob_append(out, &text.ptr[i], 1, NULL);
		else if (c != '\r')
			blob_printf(out, NULL, "\\x%02x", c);
	}
	blob_printf(out, NULL, n < text.len ? "\n...(%zu bytes)\n" : "\n", text.len);
}

static void put_body(struct blob *out, struct blob *body)
{
	struct xmltrace_limits limits = { .text_bytes = VALUE_MAX, .total_bytes = 2 * TRACE_BODY_MAX };
	struct blob *xml;
	struct slice all;
	struct err e;

	if (!body || blob_size(body) == 0 || blob_map(body, &all, &e) < 0)
		return;
	if (all.ptr[0] != 3) {
		put_plain(out, all);
		return;
	}
	xml = blob_new(0);
	xmltrace(xml, all, &limits, &e); /* a broken one says where */
	if (blob_map(xml, &all, &e) == 0)
		put_masked(out, all);
	blob_printf(out, NULL, "\n");
	blob_free(&xml);
}

static void put_stamp(struct blob *out, int64_t wall_ms)
{
	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;
	char z[32];

	gmtime_r(&s, &tm);
	strftime(z, sizeof(z), "%Y-%m-%dT%H:%M:%S", &tm);
	blob_printf(out, NULL, "=== %s.%03dZ ", z, (int)(wall_ms % 1000));
}

static void put_exchange(struct blob *out, const struct request *r, const struct verdict *v, int64_t wall_ms)
{
	static const char *const kinds[] = { "reply", "park", "fail" };
	const char *cmd = r->kind == REQUEST_CHECK ? r->parked->kind == PARK_PING ? "Ping (woken)" : "Sync (woken)"
						   : eas_command_name(r->query.command);

	put_stamp(out, wall_ms);
	blob_printf(out, NULL, "rid=%llu user=%.*s v=%d > %s %llu bytes\n", (unsigned long long)r->rid, SARG(r->user),
		    r->version, cmd && *cmd ? cmd : "-", (unsigned long long)(r->traced ? blob_size(r->traced) : 0));
	put_body(out, r->traced);
	put_stamp(out, wall_ms);
	blob_printf(out, NULL, "rid=%llu < %s http=%d status=%d %llu bytes%s%s\n", (unsigned long long)r->rid, kinds[v->kind],
		    v->http_status, v->status, (unsigned long long)(v->body ? blob_size(v->body) : 0),
		    v->err.code == ERR_NONE ? "" : " reason=", v->err.code == ERR_NONE ? "" : v->err.text);
	put_body(out, v->body);
}

/* --- file ----------------------------------------------------------------------------- */

struct slice trace_file_name(struct arena *a, struct slice device)
{
	char *z = arena_alloc(a, device.len * 3 + sizeof(".log"));
	size_t n = 0;

	for (size_t i = 0; i < device.len; i++) {
		unsigned char c = (unsigned char)device.ptr[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_';

		n += (size_t)sprintf(z + n, plain ? "%c" : "%%%02X", c);
	}
	memcpy(z + n, ".log", sizeof(".log"));
	return slice(z, n + 4);
}

static void append(struct trace *t, struct slice device, struct slice text)
{
	struct arena *a = arena_new();
	struct slice name = trace_file_name(a, device);
	struct slice path = arena_printf(a, "%s/%.*s", t->dir, SARG(name));
	struct slice old = arena_printf(a, "%.*s.1", SARG(path));
	struct stat st;
	int fd;

	if (mkdir(t->dir, 0700) < 0 && errno != EEXIST)
		LOG_W("trace_not_written", L_Z("file", t->dir), L_Z("reason", strerror(errno)));
	if (stat(path.ptr, &st) == 0 && (uint64_t)st.st_size + text.len > t->max_bytes)
		rename(path.ptr, old.ptr);
	fd = open(path.ptr, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, text.ptr, text.len) != (ssize_t)text.len)
		LOG_W("trace_not_written", L_S("file", path), L_Z("reason", strerror(errno)));
	if (fd >= 0)
		close(fd);
	arena_free(&a);
}

void trace_write(struct trace *t, const struct request *r, const struct verdict *v, int64_t wall_ms)
{
	struct blob *out;
	struct slice text;

	ASSERT_WORKER();
	out = blob_new(0);
	put_exchange(out, r, v, wall_ms);
	if (blob_map(out, &text, NULL) == 0)
		append(t, r->query.device_id, text);
	blob_free(&out);
}
