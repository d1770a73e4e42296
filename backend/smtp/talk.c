/* talk.c - lines of SMTP (RFC 5321) and the way to an authenticated session.
 * Worker. Every failure has its text in c->e. Trap: what lies in the buffer when
 * TLS starts was sent by anybody and ends the conversation. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/smtp/smtp.h"
#include "base/digest.h"

enum { MAX_LINES = 200, LINE_KEPT = 512 };

enum be_result smtp_write(struct smtp *c, const void *p, size_t n)
{
	return stream_write(c->st, p, n, c->e) < 0 ? BE_TEMP : BE_OK;
}

enum be_result smtp_say(struct smtp *c, const char *fmt, ...)
{
	char z[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(z, sizeof(z) - 2, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(z) - 2) {
		err_set(c->e, ERR_FORBIDDEN, "SMTP line too long");
		return BE_PERM;
	}
	memcpy(z + n, "\r\n", 2);
	return smtp_write(c, z, (size_t)n + 2);
}

static int next_byte(struct smtp *c)
{
	if (c->at == c->end) {
		ssize_t n = stream_read(c->st, c->in, sizeof(c->in), c->e);

		if (n == 0)
			err_set(c->e, ERR_BACKEND_TEMP, "the server closed the connection");
		if (n <= 0)
			return -1;
		c->at = 0;
		c->end = (size_t)n;
	}
	return (unsigned char)c->in[c->at++];
}

/* One line without its end, cut at the size; false when the connection is lost. */
static bool read_line(struct smtp *c, char *z, size_t size, size_t *len_r)
{
	size_t n = 0;
	int b;

	while ((b = next_byte(c)) >= 0 && b != '\n')
		if (n + 1 < size)
			z[n++] = (char)b;
	if (n && z[n - 1] == '\r')
		n--;
	z[n] = 0;
	*len_r = n;
	return b >= 0;
}

static bool is_reply(const char *z, size_t n)
{
	return n >= 3 && z[0] >= '2' && z[0] <= '5' && z[1] >= '0' && z[1] <= '9' && z[2] >= '0' && z[2] <= '9' &&
	       (n == 3 || z[3] == ' ' || z[3] == '-');
}

enum be_result smtp_reply(struct smtp *c, void (*line_fn)(struct smtp *c, struct slice line))
{
	char z[LINE_KEPT];
	size_t n;

	for (int i = 0; i < MAX_LINES; i++) {
		if (!read_line(c, z, sizeof(z), &n))
			return BE_TEMP;
		if (!is_reply(z, n))
			break;
		if (i == 0)
			snprintf(c->text, sizeof(c->text), "%s", z);
		if (line_fn && n > 4)
			line_fn(c, slice(z + 4, n - 4));
		c->code = (z[0] - '0') * 100 + (z[1] - '0') * 10 + (z[2] - '0');
		if (n == 3 || z[3] == ' ')
			return BE_OK;
	}
	err_set(c->e, ERR_BACKEND_TEMP, "the server sent no SMTP reply");
	return BE_TEMP;
}

enum be_result smtp_refused(struct smtp *c, enum err_code code, const char *what)
{
	/* RFC 3463: 5.2.2 mailbox full, 5.3.4 too big. */
	bool full = c->code == 552 || strstr(c->text, " 5.2.2 ") || strstr(c->text, " 5.3.4 ");

	if (c->code >= 500) {
		err_set(c->e, full ? ERR_QUOTA : code, "%s: %s", what, c->text);
		return BE_PERM;
	}
	err_set(c->e, ERR_BACKEND_TEMP, "%s: %s", what, c->text);
	return BE_TEMP;
}

/* -- EHLO -- */

static const struct {
	const char *word;
	unsigned ext;
} exts[] = {
	{ "8BITMIME", EXT_8BITMIME }, { "PIPELINING", EXT_PIPELINING }, { "SIZE", EXT_SIZE },
	{ "SMTPUTF8", EXT_SMTPUTF8 }, { "STARTTLS", EXT_STARTTLS },
};

static void on_ehlo(struct smtp *c, struct slice line)
{
	struct slice rest = line, word;
	bool first = slice_split(&rest, ' ', &word), auth = slice_ieq(word, S("AUTH"));

	for (size_t i = 0; first && i < sizeof(exts) / sizeof(*exts); i++)
		if (slice_ieq(word, slice_str(exts[i].word)))
			c->ext |= exts[i].ext;
	if (slice_ieq(word, S("SIZE")))
		slice_u64(slice_trim(rest), &c->max_size);
	while (auth && slice_split(&rest, ' ', &word))
		c->ext |= slice_ieq(word, S("PLAIN")) ? EXT_AUTH_PLAIN : slice_ieq(word, S("LOGIN")) ? EXT_AUTH_LOGIN : 0;
}

static enum be_result hello(struct smtp *c)
{
	bool lmtp = c->s->b->mode == SMTP_LMTP;
	enum be_result r = smtp_say(c, "%s %s", lmtp ? "LHLO" : "EHLO", c->s->b->helo);

	c->ext = 0;
	c->max_size = 0;
	if (r == BE_OK)
		r = smtp_reply(c, on_ehlo);
	if (r == BE_OK && c->code >= 500 && !lmtp) { /* a server of before 1995 */
		c->ext = 0;
		r = smtp_say(c, "HELO %s", c->s->b->helo);
		if (r == BE_OK)
			r = smtp_reply(c, NULL);
	}
	if (r == BE_OK && c->code != 250)
		r = smtp_refused(c, ERR_BACKEND_PERM, "EHLO");
	return r;
}

static enum be_result starttls(struct smtp *c)
{
	struct smtp_backend *b = c->s->b;
	enum be_result r;

	if (!(c->ext & EXT_STARTTLS)) {
		err_set(c->e, ERR_TLS, "%s offers no STARTTLS", b->address);
		return BE_PERM;
	}
	r = smtp_say(c, "STARTTLS");
	if (r == BE_OK)
		r = smtp_reply(c, NULL);
	if (r != BE_OK)
		return r;
	if (c->code != 220)
		return smtp_refused(c, ERR_TLS, "STARTTLS");
	if (c->at != c->end) {
		err_set(c->e, ERR_TLS, "bytes before the TLS handshake");
		return BE_TEMP;
	}
	if (stream_start_tls(c->st, b->tls, b->host, c->e) < 0)
		return BE_TEMP;
	return hello(c);
}

/* -- AUTH (RFC 4954) -- */

static enum be_result say_base64(struct smtp *c, const char *prefix, struct slice raw)
{
	struct arena *a = arena_new();
	struct slice b = base64_encode(a, raw);
	enum be_result r = smtp_say(c, "%s%.*s", prefix, SARG(b));

	arena_free(&a);
	return r == BE_OK ? smtp_reply(c, NULL) : r;
}

static enum be_result auth_plain(struct smtp *c, struct slice user, struct slice password)
{
	struct arena *a = arena_new();
	size_t n = user.len + password.len + 2;
	char *z = arena_alloc(a, n);
	enum be_result r;

	memcpy(z + 1, user.ptr, user.len);
	memcpy(z + 2 + user.len, password.ptr, password.len);
	r = say_base64(c, "AUTH PLAIN ", slice(z, n));
	arena_free(&a);
	return r;
}

static enum be_result auth_login(struct smtp *c, struct slice user, struct slice password)
{
	enum be_result r = smtp_say(c, "AUTH LOGIN");

	if (r == BE_OK)
		r = smtp_reply(c, NULL);
	if (r == BE_OK && c->code == 334)
		r = say_base64(c, "", user);
	if (r == BE_OK && c->code == 334)
		r = say_base64(c, "", password);
	return r;
}

static enum be_result authenticate(struct smtp *c)
{
	struct smtp_session *s = c->s;
	struct slice user = slice_str(s->user), password = slice_str(s->password);
	enum be_result r;

	if (s->b->auth == SMTP_AUTH_NONE || !(c->ext & (EXT_AUTH_PLAIN | EXT_AUTH_LOGIN))) {
		if (s->b->auth != SMTP_AUTH_FIXED)
			return BE_OK;
		err_set(c->e, ERR_BACKEND_PERM, "%s offers no AUTH for smtp.user", s->b->address);
		return BE_PERM;
	}
	if (!password.len || !user.len) {
		err_set(c->e, ERR_BACKEND_TEMP, "no password at hand for the mail server");
		return BE_TEMP;
	}
	r = c->ext & EXT_AUTH_PLAIN ? auth_plain(c, user, password) : auth_login(c, user, password);
	if (r != BE_OK || c->code == 235)
		return r;
	/* Of the fixed account it is no verdict on the phone's password. */
	r = smtp_refused(c, c->code == 535 && s->b->auth == SMTP_AUTH_USER ? ERR_AUTH : ERR_BACKEND_PERM, "AUTH");
	return r;
}

static int64_t patience(const struct smtp *c, int64_t ms)
{
	int64_t until = clock_now(&clock_system) + ms, whole = c->s->deadline_ms;

	return ms && (whole == 0 || until < whole) ? until : whole;
}

void smtp_patience(struct smtp *c, int64_t ms)
{
	stream_deadline(c->st, patience(c, ms));
}

enum be_result smtp_begin(struct smtp *c)
{
	struct smtp_backend *b = c->s->b;
	enum be_result r;

	if (stream_open(&c->st, b->address, patience(c, b->login_ms), c->e) < 0)
		return BE_TEMP;
	if (b->mode == SMTP_TLS && stream_start_tls(c->st, b->tls, b->host, c->e) < 0)
		return BE_TEMP;
	r = smtp_reply(c, NULL);
	if (r == BE_OK && c->code != 220) /* 554: it does not want us; 4xx: not now */
		r = smtp_refused(c, ERR_BACKEND_PERM, "greeting");
	if (r == BE_OK)
		r = hello(c);
	if (r == BE_OK && b->mode == SMTP_STARTTLS)
		r = starttls(c);
	return r == BE_OK ? authenticate(c) : r;
}
