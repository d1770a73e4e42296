/* smtp.h - inside of the SMTP backend: settings, one conversation. Nobody outside
 * backend/smtp includes it.
 *
 * A small client of its own over base/stream, not libetpan's: that one wants the
 * whole mail and all recipients in memory, refuses lines it does not expect, and
 * has neither deadline nor cancel over a foreign stream. */
#ifndef SMTP_SMTP_H
#define SMTP_SMTP_H

#include "backend/backend.h"
#include "base/stream.h"

enum smtp_mode { SMTP_PLAIN, SMTP_TLS, SMTP_STARTTLS, SMTP_LMTP };
enum smtp_auth { SMTP_AUTH_USER, SMTP_AUTH_FIXED, SMTP_AUTH_NONE };

struct smtp_backend {
	struct backend base;
	enum smtp_mode mode;
	enum smtp_auth auth;
	char *address, *host;         /* host NULL: unix socket */
	char *helo;
	struct stream_tls *tls;
	int64_t login_ms, call_ms;    /* limits.login_deadline, limits.backend_deadline */
	struct slice user, password;  /* fixed account, or the template of the login; owned */
};

struct smtp_session {
	struct session base;
	struct smtp_backend *b;
	int64_t deadline_ms;
	char *user, *password;        /* owned; wiped */
};

enum smtp_ext {
	EXT_STARTTLS = 1, EXT_PIPELINING = 2, EXT_8BITMIME = 4, EXT_SMTPUTF8 = 8, EXT_SIZE = 16,
	EXT_AUTH_PLAIN = 32, EXT_AUTH_LOGIN = 64,
};

/* One conversation; owns its stream. */
struct smtp {
	struct smtp_session *s;
	struct stream *st;
	struct err *e;
	unsigned ext;
	uint64_t max_size;            /* of SIZE; 0: not said */
	int code;                     /* of the last reply */
	char text[200];               /* its first line */
	size_t at, end;
	char in[4096];
};

enum be_result smtp_submit(struct session *s, struct be_submit *m, struct err *e);

/* -- talk.c -- */
enum be_result smtp_say(struct smtp *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
enum be_result smtp_write(struct smtp *c, const void *p, size_t n);
/* Reads one reply; BE_TEMP when the connection is lost. line_fn sees each line. */
enum be_result smtp_reply(struct smtp *c, void (*line_fn)(struct smtp *c, struct slice line));
/* The reply as an error: 4xx BE_TEMP, 5xx BE_PERM with `code` (or ERR_QUOTA). */
enum be_result smtp_refused(struct smtp *c, enum err_code code, const char *what);
/* What follows has that long, and no longer than the request. 0: all of the request's. */
void smtp_patience(struct smtp *c, int64_t ms);
/* Greeting, EHLO, TLS, AUTH. */
enum be_result smtp_begin(struct smtp *c);

#endif
