/* admin_tell.c - tells the running server of an order that `zpushd admin` wrote
 * into an embedded store: Redis would carry the message, SQLite does not. By the
 * server's own POST /notify with the token of data_dir. The program's thread. */
#include "work/admin_tell.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/stream.h"
#include "work/datadir.h"
#include "work/trace.h"

enum { TELL_MS = 3000 };

/* One request on a side listener; the whole answer, as it came. */
static int ask(struct arena *a, const char *address, struct slice token, const char *line, struct slice body,
	       struct slice *answer_r, struct err *e)
{
	enum { ANSWER_MAX = 64 * 1024 };
	struct slice request = arena_printf(a,
		"%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %.*s\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n%.*s", line, address, SARG(token), body.len, SARG(body));
	char *answer = arena_alloc(a, ANSWER_MAX + 1);
	struct stream *s = NULL;
	size_t n = 0;
	ssize_t got = 1;
	int rc = stream_open(&s, address, clock_now(&clock_system) + TELL_MS, e);

	if (rc == 0)
		rc = stream_write(s, request.ptr, request.len, e);
	while (rc == 0 && n < ANSWER_MAX && (got = stream_read(s, answer + n, ANSWER_MAX - n, e)) > 0)
		n += (size_t)got;
	if (rc == 0 && n < 12)
		rc = err_set(e, ERR_REFUSED, "no answer of %s", address);
	if (s)
		stream_close(&s);
	answer[n] = 0;
	*answer_r = slice(answer, n);
	return rc;
}

static int post(const char *address, struct slice token, const char *json, struct err *e)
{
	struct arena *a = arena_new();
	struct slice answer = S_NONE;
	int rc = ask(a, address, token, "POST /notify", slice_str(json), &answer, e);

	if (rc == 0 && strncmp(answer.ptr, "HTTP/1.1 202", 12) != 0)
		rc = err_set(e, ERR_REFUSED, "%s answers %.12s", address, answer.ptr);
	arena_free(&a);
	return rc;
}

/* The message with its user, as the hook's contract wants it. */
static char *with_user(struct slice user, struct slice json)
{
	json_t *o = json_loadb(json.ptr, json.len, 0, NULL);
	char *z;

	if (!json_is_object(o)) {
		json_decref(o);
		o = json_object();
	}
	json_object_set_new(o, "user", json_stringn(user.ptr, user.len));
	z = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return z;
}

void admin_tell_server(void *settings, struct slice user, struct slice json)
{
	const struct settings *set = settings;
	struct arena *a = arena_new();
	char *address = arena_str(a, settings_str(set, "push.notify_listen")), *text = with_user(user, json);
	struct slice token;
	struct err e = { 0 };

	if (!*address)
		err_set(&e, ERR_CONFIG, "push.notify_listen is off");
	if (e.code || !text || datadir_notify_token(a, set, &rnd_system, &token, &e) < 0 || post(address, token, text, &e) < 0)
		fprintf(stderr, "zpushd: written, but a running server was not told (%s); a phone that waits hears of it at "
			"the end of its heartbeat\n", e.text);
	free(text);
	arena_free(&a);
}

/* --- zpushd admin trace ---------------------------------------------------------------- */

static void say_traced(struct slice list, bool json)
{
	bool first = true;

	if (!json) {
		fwrite(list.ptr, 1, list.len, stdout);
		return;
	}
	printf("[");
	for (size_t i = 0, from = 0; i < list.len; i++) {
		json_t *id;
		char *z;

		if (list.ptr[i] != '\n')
			continue;
		id = json_stringn(list.ptr + from, i - from);
		z = json_dumps(id, JSON_ENCODE_ANY);
		printf("%s%s", first ? "" : ",", z ? z : "\"\"");
		free(z);
		json_decref(id);
		first = false;
		from = i + 1;
	}
	printf("]\n");
}

/* device empty: lists; else what is "on" or "off". */
static int admin_trace(const struct settings *set, const char *what, struct slice device, bool json)
{
	struct arena *a = arena_new();
	char *address = arena_str(a, settings_str(set, "admin.listen"));
	const char *line = device.len == 0 ? "GET /trace" : strcmp(what, "on") == 0 ? "POST /trace/on" : "POST /trace/off";
	struct slice token, answer = S_NONE, name;
	struct err e = { 0 };
	int rc = *address ? datadir_admin_token(a, set, &rnd_system, &token, &e)
			  : err_set(&e, ERR_CONFIG, "admin.listen is off: set log.trace_devices and reload instead");

	if (rc == 0)
		rc = ask(a, address, token, line, device, &answer, &e);
	if (rc == 0 && strncmp(answer.ptr, "HTTP/1.1 200", 12) != 0)
		rc = err_set(&e, ERR_REFUSED, "%s answers %.12s", address, answer.ptr);
	if (rc < 0) {
		fprintf(stderr, "zpushd: %s (a running server is asked, at admin.listen)\n", e.text);
	} else if (device.len == 0) {
		const char *body = strstr(answer.ptr, "\r\n\r\n");

		say_traced(body ? slice_str(body + 4) : S_NONE, json);
	} else if (strcmp(what, "on") == 0) {
		name = trace_file_name(a, device);
		printf("%.*s/trace/%.*s\n", SARG(settings_str(set, "server.data_dir")), SARG(name));
	}
	arena_free(&a);
	return rc < 0;
}

int admin_trace_main(int argc, char **argv, const struct settings *set)
{
	bool json = argc > 0 && strcmp(argv[argc - 1], "--json") == 0;

	argc -= json;
	if (argc == 0)
		return admin_trace(set, "", S_NONE, json);
	if (argc == 2 && (strcmp(argv[0], "on") == 0 || strcmp(argv[0], "off") == 0) && *argv[1])
		return admin_trace(set, argv[0], slice_str(argv[1]), json);
	fputs("usage: zpushd admin trace [--json] | trace on|off DEVICE\n", stderr);
	return 2;
}

/* --- zpushd admin stats ------------------------------------------------------------------ */

/* "zpushd_NAME VALUE" lines of the metrics; labels stay part of the name. */
static void say_stats(struct slice text, bool json)
{
	struct slice line;
	bool first = true;

	while (slice_split(&text, '\n', &line)) {
		ptrdiff_t blank = slice_chr(line, ' ');
		json_t *name;
		char *z;

		if (line.len == 0 || line.ptr[0] == '#' || blank <= 0)
			continue;
		if (slice_starts(line, S("zpushd_"))) {
			line = slice_from(line, 7);
			blank -= 7;
		}
		if (!json) {
			printf("%-44.*s %.*s\n", (int)blank, line.ptr, SARG(slice_from(line, (size_t)blank + 1)));
			continue;
		}
		name = json_stringn(line.ptr, (size_t)blank);
		z = json_dumps(name, JSON_ENCODE_ANY);
		printf("%s%s:%.*s", first ? "{" : ",\n", z ? z : "\"\"", SARG(slice_from(line, (size_t)blank + 1)));
		free(z);
		json_decref(name);
		first = false;
	}
	if (json)
		printf("%s}\n", first ? "{" : "");
}

int admin_stats_main(int argc, char **argv, const struct settings *set)
{
	bool json = argc == 1 && strcmp(argv[0], "--json") == 0;
	struct arena *a = arena_new();
	char *address = arena_str(a, settings_str(set, "admin.listen"));
	struct slice token, answer = S_NONE;
	struct err e = { 0 };
	int rc = argc > json ? err_set(&e, ERR_CONFIG, "usage: zpushd admin stats [--json]")
		 : *address ? datadir_admin_token(a, set, &rnd_system, &token, &e)
			    : err_set(&e, ERR_CONFIG, "admin.listen is off");

	if (rc == 0)
		rc = ask(a, address, token, "GET /metrics", S_NONE, &answer, &e);
	if (rc == 0 && strncmp(answer.ptr, "HTTP/1.1 200", 12) != 0)
		rc = err_set(&e, ERR_REFUSED, "%s answers %.12s", address, answer.ptr);
	if (rc == 0) {
		const char *body = strstr(answer.ptr, "\r\n\r\n");

		say_stats(body ? slice_str(body + 4) : S_NONE, json);
	} else {
		fprintf(stderr, "zpushd: %s (a running server is asked, at admin.listen)\n", e.text);
	}
	arena_free(&a);
	return rc < 0;
}
