/* conn.c - commands out, results in. Worker; one owner of the session at a time.
 * Several commands may be written before the first wait; results then come in
 * order. Trap: an imap_done's slices die with the next wait. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/imap/imap.h"

bool imap_has(const struct imap_session *s, enum imap_cap c)
{
	return (s->caps & c) != 0;
}

void imap_set_handlers(struct imap_session *s, const struct imap_handlers *h)
{
	s->h = h;
}

static void vput(struct imap_session *s, const char *fmt, va_list ap)
{
	char z[1024];
	int n;
	va_list again;

	va_copy(again, ap);
	n = vsnprintf(z, sizeof(z), fmt, ap);
	if (n >= 0 && (size_t)n < sizeof(z)) {
		wire_put(&s->w, z, (size_t)n);
	} else if (n > 0) {
		char *big = mem_alloc((size_t)n + 1);

		vsnprintf(big, (size_t)n + 1, fmt, again);
		wire_put(&s->w, big, (size_t)n);
		free(big);
	}
	va_end(again);
}

unsigned imap_cmd(struct imap_session *s, const char *fmt, ...)
{
	va_list ap;

	wire_printf(&s->w, "%u ", ++s->tag);
	va_start(ap, fmt);
	vput(s, fmt, ap);
	va_end(ap);
	return s->tag;
}

void imap_arg(struct imap_session *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vput(s, fmt, ap);
	va_end(ap);
}

void imap_arg_mailbox(struct imap_session *s, struct slice utf8)
{
	struct arena *a = arena_new();
	bool inbox = slice_ieq(utf8, S("INBOX"));

	wire_quoted(&s->w, inbox ? S("INBOX") : mutf7_encode(a, utf8));
	arena_free(&a);
}

void imap_end(struct imap_session *s)
{
	wire_put(&s->w, "\r\n", 2);
}

static bool quotable(struct slice v)
{
	for (size_t i = 0; i < v.len; i++)
		if ((unsigned char)v.ptr[i] < 0x20 || (unsigned char)v.ptr[i] >= 0x7f)
			return false;
	return v.len < 1000;
}

int imap_arg_string(struct imap_session *s, struct slice v, struct err *e)
{
	bool plus = imap_has(s, CAP_LITERAL_PLUS) || (imap_has(s, CAP_LITERAL_MINUS) && v.len <= 4096);

	if (quotable(v)) {
		wire_quoted(&s->w, v);
		return 0;
	}
	wire_printf(&s->w, "{%zu%s}\r\n", v.len, plus ? "+" : "");
	if (!plus && imap_wait_plus(s, s->tag, "literal", e) != BE_OK)
		return -1;
	wire_put(&s->w, v.ptr, v.len);
	return 0;
}

enum be_result imap_lost(struct imap_session *s, struct err *e)
{
	s->bye = true;
	if (e) {
		*e = s->w.err;
		if (e->code == ERR_NONE)
			err_set(e, ERR_BACKEND_TEMP, "the IMAP session is lost");
	}
	return BE_TEMP;
}

/* -- reading -- */

static bool status_of(struct slice word, enum imap_status *st_r)
{
	static const struct {
		struct slice word;
		enum imap_status st;
	} table[] = { { { "OK", 2 }, IMAP_OK }, { { "NO", 2 }, IMAP_NO }, { { "BAD", 3 }, IMAP_BAD } };

	for (size_t i = 0; i < 3; i++)
		if (slice_ieq(word, table[i].word)) {
			*st_r = table[i].st;
			return true;
		}
	return false;
}

static enum imap_line tagged(struct imap_session *s, struct slice tag, unsigned *tag_r, struct imap_done *d_r)
{
	enum imap_status st;
	struct tok t;
	uint64_t n;

	if (!slice_u64(tag, &n) || n == 0 || n > s->tag) {
		wire_fail(&s->w, ERR_BACKEND_TEMP, "the server sent no IMAP answer");
		return LINE_FAIL;
	}
	*tag_r = (unsigned)n;
	wire_token(&s->w, &t);
	if (t.kind != TOK_ATOM || !status_of(t.text, &st)) {
		wire_fail(&s->w, ERR_BACKEND_TEMP, "the server sent a bad tagged answer");
		return LINE_FAIL;
	}
	reply_status_line(s, st, d_r);
	return s->w.failed ? LINE_FAIL : LINE_TAGGED;
}

enum imap_line imap_read_line(struct imap_session *s, unsigned *tag_r, struct imap_done *d_r)
{
	struct tok t;

	wire_token(&s->w, &t);
	if (t.kind == TOK_EOL) /* an empty line between responses: seen, harmless */
		return LINE_UNTAGGED;
	if (tok_is(&t, "*")) {
		reply_untagged(s);
		return s->w.failed ? LINE_FAIL : LINE_UNTAGGED;
	}
	if (tok_is(&t, "+")) {
		wire_skip_line(&s->w);
		return s->w.failed ? LINE_FAIL : LINE_PLUS;
	}
	if (t.kind == TOK_ATOM)
		return tagged(s, t.text, tag_r, d_r);
	wire_fail(&s->w, ERR_BACKEND_TEMP, "the server sent no IMAP answer");
	return LINE_FAIL;
}

enum be_result imap_wait(struct imap_session *s, unsigned tag, struct imap_done *d_r, struct err *e)
{
	if (wire_flush(&s->w) < 0)
		return imap_lost(s, e);
	for (;;) {
		unsigned got = 0;
		enum imap_line l = imap_read_line(s, &got, d_r);

		if (l == LINE_TAGGED && got == tag)
			return BE_OK;
		if (l == LINE_TAGGED && got > tag)
			wire_fail(&s->w, ERR_BACKEND_TEMP, "the server answered out of order");
		if (l == LINE_FAIL || s->w.failed)
			return imap_lost(s, e);
	}
}

enum be_result imap_wait_plus(struct imap_session *s, unsigned tag, const char *what, struct err *e)
{
	struct imap_done d;

	if (wire_flush(&s->w) < 0)
		return imap_lost(s, e);
	for (;;) {
		unsigned got = 0;
		enum imap_line l = imap_read_line(s, &got, &d);

		if (l == LINE_PLUS)
			return BE_OK;
		if (l == LINE_TAGGED && got == tag && d.status != IMAP_OK)
			return imap_refused(&d, what, e);
		if (l == LINE_FAIL || (l == LINE_TAGGED && got >= tag)) {
			wire_fail(&s->w, ERR_BACKEND_TEMP, "the server did not ask to go on");
			return imap_lost(s, e);
		}
	}
}

/* -- results -- */

/* RFC 5530 and friends. */
static const struct {
	const char *code;
	enum err_code err;
	enum be_result result;
} refusals[] = {
	{ "ALREADYEXISTS", ERR_EXISTS, BE_PERM },
	{ "AUTHENTICATIONFAILED", ERR_AUTH, BE_PERM },
	{ "AUTHORIZATIONFAILED", ERR_AUTH, BE_PERM },
	{ "CANNOT", ERR_FORBIDDEN, BE_PERM },
	{ "CLIENTBUG", ERR_BACKEND_PERM, BE_PERM },
	{ "CORRUPTION", ERR_BACKEND_TEMP, BE_TEMP },
	{ "EXPIRED", ERR_AUTH, BE_PERM },
	{ "INUSE", ERR_BACKEND_TEMP, BE_TEMP },
	{ "LIMIT", ERR_BACKEND_TEMP, BE_TEMP },
	{ "NONEXISTENT", ERR_NOT_FOUND, BE_PERM },
	{ "NOPERM", ERR_FORBIDDEN, BE_PERM },
	{ "OVERQUOTA", ERR_QUOTA, BE_PERM },
	{ "PRIVACYREQUIRED", ERR_BACKEND_PERM, BE_PERM },
	{ "SERVERBUG", ERR_BACKEND_TEMP, BE_TEMP },
	{ "TOOBIG", ERR_QUOTA, BE_PERM },
	{ "TRYCREATE", ERR_NOT_FOUND, BE_PERM },
	{ "UNAVAILABLE", ERR_BACKEND_TEMP, BE_TEMP },
};

bool imap_code(const struct imap_done *d, const char *code)
{
	return slice_ieq(d->code, slice_str(code));
}

enum be_result imap_refused(const struct imap_done *d, const char *what, struct err *e)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
		if (imap_code(d, refusals[i].code)) {
			err_set(e, refusals[i].err, "%s: %.*s", what, SARG(d->text));
			return refusals[i].result;
		}
	err_set(e, ERR_BACKEND_PERM, "%s: %.*s", what, SARG(d->text));
	return BE_PERM;
}

enum be_result imap_ok(struct imap_session *s, unsigned tag, const char *what, struct err *e)
{
	struct imap_done d;

	if (imap_wait(s, tag, &d, e) != BE_OK) {
		err_add(e, "%s", what);
		return BE_TEMP;
	}
	return d.status == IMAP_OK ? BE_OK : imap_refused(&d, what, e);
}
