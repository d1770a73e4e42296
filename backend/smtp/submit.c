/* submit.c - one mail to the submission server: envelope, then the mail streamed
 * from its blob, dots doubled and line ends made CRLF on the way (a lone CR or LF
 * next to a dot is how mails are smuggled). Worker.
 * All recipients or none: the first refusal ends it before DATA. An answer lost
 * behind the final dot is BE_TEMP: it may have been sent; the caller repeats with
 * the same Message-ID. LMTP answers once a recipient behind the dot; there one
 * refusal is reported although others may have got it. */
#include "backend/smtp/smtp.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/role.h"

enum { PIECE = 16384 };

/* -- what the mail needs -- */

static bool has_8bit(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 0x80)
			return true;
	return false;
}

static bool blob_has_8bit(const struct blob *b)
{
	char buf[PIECE];
	uint64_t off = 0;
	ssize_t n;

	while ((n = blob_read(b, off, buf, sizeof(buf))) > 0) {
		if (has_8bit(slice(buf, (size_t)n)))
			return true;
		off += (uint64_t)n;
	}
	return false;
}

/* A bare address that cannot end its command. */
static bool address_ok(struct slice a)
{
	for (size_t i = 0; i < a.len; i++)
		if ((unsigned char)a.ptr[i] <= ' ' || a.ptr[i] == '<' || a.ptr[i] == '>' || a.ptr[i] == 0x7f)
			return false;
	return a.len <= 500;
}

static enum be_result check(struct smtp *c, struct be_submit *m)
{
	bool utf8 = (c->ext & EXT_SMTPUTF8) != 0;

	if (!address_ok(m->from) || (has_8bit(m->from) && !utf8)) {
		err_set(c->e, ERR_FORBIDDEN, "sender %.*s", SARG(m->from));
		return BE_PERM;
	}
	for (size_t i = 0; i < m->n_rcpt; i++)
		if (!m->rcpt[i].len || !address_ok(m->rcpt[i]) || (has_8bit(m->rcpt[i]) && !utf8)) {
			m->refused = m->rcpt[i];
			err_set(c->e, ERR_FORBIDDEN, "recipient %.*s", SARG(m->rcpt[i]));
			return BE_PERM;
		}
	if (c->max_size && blob_size(m->mail) > c->max_size) {
		err_set(c->e, ERR_QUOTA, "the mail server takes %llu bytes at most", (unsigned long long)c->max_size);
		return BE_PERM;
	}
	return BE_OK;
}

/* -- envelope -- */

static enum be_result say_from(struct smtp *c, const struct be_submit *m)
{
	bool utf8 = has_8bit(m->from);
	char size[40] = "";

	for (size_t i = 0; i < m->n_rcpt; i++)
		utf8 = utf8 || has_8bit(m->rcpt[i]);
	if (c->ext & EXT_SIZE)
		snprintf(size, sizeof(size), " SIZE=%llu", (unsigned long long)blob_size(m->mail));
	return smtp_say(c, "MAIL FROM:<%.*s>%s%s%s", SARG(m->from), size,
			c->ext & EXT_8BITMIME && (utf8 || blob_has_8bit(m->mail)) ? " BODY=8BITMIME" : "",
			utf8 ? " SMTPUTF8" : "");
}

static enum be_result from_reply(struct smtp *c)
{
	enum be_result r = smtp_reply(c, NULL);

	/* 530: it wants AUTH, which was not to be or is not offered: ours to configure. */
	if (r == BE_OK && c->code != 250)
		r = smtp_refused(c, c->code == 530 ? ERR_BACKEND_PERM : ERR_FORBIDDEN, "sender refused");
	return r;
}

static enum be_result rcpt_reply(struct smtp *c, struct be_submit *m, struct slice rcpt)
{
	enum be_result r = smtp_reply(c, NULL);

	if (r != BE_OK || c->code / 100 == 2)
		return r;
	m->refused = rcpt;
	return smtp_refused(c, ERR_FORBIDDEN, "recipient refused");
}

/* Some recipients a flush, so that neither side's socket buffer fills. */
static enum be_result envelope(struct smtp *c, struct be_submit *m)
{
	size_t batch = c->ext & EXT_PIPELINING ? 50 : 1;
	enum be_result r;

	smtp_patience(c, c->s->b->call_ms);
	r = say_from(c, m);
	if (r == BE_OK)
		r = from_reply(c);
	for (size_t i = 0; i < m->n_rcpt && r == BE_OK; i += batch) {
		size_t end = i + batch < m->n_rcpt ? i + batch : m->n_rcpt;

		for (size_t k = i; k < end && r == BE_OK; k++)
			r = smtp_say(c, "RCPT TO:<%.*s>", SARG(m->rcpt[k]));
		for (size_t k = i; k < end && r == BE_OK; k++)
			r = rcpt_reply(c, m, m->rcpt[k]);
	}
	return r;
}

/* -- the mail -- */

struct stuffer {
	char last;       /* byte before; '\n' at the start of a line */
	char out[2 * PIECE + 8];
	size_t n;
};

static void stuff(struct stuffer *o, char b)
{
	if (o->last == '\r' && b != '\n') { /* a lone CR ends its line */
		o->out[o->n++] = '\n';
		o->last = '\n';
	}
	if (b == '\n' && o->last != '\r')
		o->out[o->n++] = '\r';
	if (b == '.' && o->last == '\n')
		o->out[o->n++] = '.';
	o->out[o->n++] = b;
	o->last = b;
}

static enum be_result send_mail(struct smtp *c, const struct blob *mail)
{
	struct stuffer *o = mem_alloc(sizeof(*o));
	char buf[PIECE / 2];
	enum be_result r = BE_OK;
	uint64_t off = 0;
	ssize_t n;

	o->last = '\n';
	while (r == BE_OK && (n = blob_read(mail, off, buf, sizeof(buf))) > 0) {
		o->n = 0;
		for (ssize_t i = 0; i < n; i++)
			stuff(o, buf[i]);
		r = smtp_write(c, o->out, o->n);
		off += (uint64_t)n;
	}
	if (r == BE_OK && off != blob_size(mail)) {
		err_set(c->e, ERR_INTERNAL, "the mail cannot be read"); /* no dot: nothing is sent */
		r = BE_TEMP;
	}
	if (r == BE_OK)
		r = smtp_say(c, "%s.", o->last == '\n' ? "" : o->last == '\r' ? "\n" : "\r\n");
	free(o);
	return r;
}

static enum be_result data_reply(struct smtp *c, struct be_submit *m)
{
	size_t answers = c->s->b->mode == SMTP_LMTP ? m->n_rcpt : 1;
	enum be_result worst = BE_OK;

	for (size_t i = 0; i < answers; i++) {
		enum be_result r = smtp_reply(c, NULL);

		if (r != BE_OK)
			return r;
		if (c->code / 100 == 2 || worst == BE_PERM)
			continue;
		if (answers > 1)
			m->refused = m->rcpt[i];
		worst = smtp_refused(c, c->s->b->mode == SMTP_LMTP ? ERR_FORBIDDEN : ERR_BACKEND_PERM, "mail refused");
	}
	return worst;
}

static enum be_result data(struct smtp *c, struct be_submit *m)
{
	enum be_result r = smtp_say(c, "DATA");

	if (r == BE_OK)
		r = smtp_reply(c, NULL);
	if (r == BE_OK && c->code != 354)
		return smtp_refused(c, ERR_BACKEND_PERM, "DATA");
	/* Behind the dot filters and relays are at work: giving up early sends it twice. */
	smtp_patience(c, 0);
	if (r == BE_OK)
		r = send_mail(c, m->mail);
	return r == BE_OK ? data_reply(c, m) : r;
}

enum be_result smtp_submit(struct session *base, struct be_submit *m, struct err *e)
{
	struct smtp *c = mem_alloc(sizeof(*c));
	struct err own = { 0 };
	enum be_result r;

	ASSERT_WORKER();
	m->refused = S_NONE;
	c->s = (struct smtp_session *)base;
	c->e = &own;
	r = m->n_rcpt ? smtp_begin(c) : BE_PERM;
	if (!m->n_rcpt)
		err_set(c->e, ERR_FORBIDDEN, "no recipient");
	if (r == BE_OK)
		r = check(c, m);
	if (r == BE_OK)
		r = envelope(c, m);
	if (r == BE_OK)
		r = data(c, m);
	if (c->st && r != BE_TEMP) {
		struct err late = own; /* the verdict is in; a QUIT that fails changes nothing */

		stream_deadline(c->st, clock_now(&clock_system) + 1000);
		smtp_say(c, "QUIT");
		own = late;
	}
	stream_close(&c->st);
	free(c);
	if (e && r != BE_OK)
		*e = own;
	return r;
}
