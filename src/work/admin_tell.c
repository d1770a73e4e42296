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

enum { TELL_MS = 3000 };

static int post(const char *address, struct slice token, const char *json, struct err *e)
{
	struct arena *a = arena_new();
	int64_t deadline = clock_now(&clock_system) + TELL_MS;
	struct slice request = arena_printf(a,
		"POST /notify HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %.*s\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n%s", address, SARG(token), strlen(json), json);
	struct stream *s = NULL;
	char answer[64] = "";
	int rc = stream_open(&s, address, deadline, e);

	if (rc == 0)
		rc = stream_write(s, request.ptr, request.len, e);
	if (rc == 0 && stream_read(s, answer, sizeof(answer) - 1, e) <= 0)
		rc = err_set(e, ERR_REFUSED, "no answer of %s", address);
	if (rc == 0 && strncmp(answer, "HTTP/1.1 202", 12) != 0)
		rc = err_set(e, ERR_REFUSED, "%s answers %.12s", address, answer);
	if (s)
		stream_close(&s);
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
