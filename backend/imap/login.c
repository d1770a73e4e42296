/* login.c - from an address to a session: connect, greeting, STARTTLS, SASL,
 * capabilities, ENABLE. Worker. The session owns the stream.
 * Traps: what lies in the buffer when TLS starts was sent by anybody (the
 * STARTTLS injection) and ends the session; a PREAUTH greeting verifies nobody,
 * so it is refused; the password passes through the command buffer, which is
 * wiped behind it. */
#include <stdlib.h>

#include "backend/imap/imap.h"
#include "base/digest.h"
#include "base/metrics.h"
#include "base/role.h"

struct who {
	struct slice user, authcid, authzid, password;
};

static enum be_result greeting(struct imap_session *s, struct err *e)
{
	struct imap_done d;
	struct tok t;

	wire_token(&s->w, &t);
	if (tok_is(&t, "*")) {
		wire_token(&s->w, &t);
		if (tok_is(&t, "OK")) {
			reply_status_line(s, IMAP_OK, &d);
			return s->w.failed ? imap_lost(s, e) : BE_OK;
		}
		if (tok_is(&t, "BYE")) {
			reply_status_line(s, IMAP_NO, &d);
			wire_fail(&s->w, ERR_BACKEND_TEMP, "the server refuses connections");
			return imap_lost(s, e);
		}
	}
	wire_fail(&s->w, ERR_BACKEND_TEMP, "the server sent no IMAP greeting that asks for a login");
	return imap_lost(s, e);
}

static enum be_result ask_caps(struct imap_session *s, struct err *e)
{
	unsigned tag = imap_cmd(s, "CAPABILITY");

	imap_end(s);
	return imap_ok(s, tag, "CAPABILITY", e);
}

static enum be_result starttls(struct imap_session *s, struct err *e)
{
	enum be_result r;
	unsigned tag;

	if (!imap_has(s, CAP_STARTTLS)) {
		err_set(e, ERR_TLS, "%s offers no STARTTLS", s->b->address);
		return BE_PERM;
	}
	tag = imap_cmd(s, "STARTTLS");
	imap_end(s);
	r = imap_ok(s, tag, "STARTTLS", e);
	if (r != BE_OK)
		return r;
	if (s->w.at != s->w.end) {
		wire_fail(&s->w, ERR_TLS, "bytes before the TLS handshake");
		return imap_lost(s, e);
	}
	if (stream_start_tls(s->w.s, s->b->tls, s->b->host, &s->w.err) < 0) {
		s->w.failed = true;
		return imap_lost(s, e);
	}
	s->caps = 0;
	s->have_caps = false;
	return BE_OK;
}

static enum be_result secure(struct imap_session *s, struct err *e)
{
	enum be_result r = s->have_caps ? BE_OK : ask_caps(s, e);

	if (r == BE_OK && s->b->security == IMAP_STARTTLS)
		r = starttls(s, e);
	if (r == BE_OK && !s->have_caps)
		r = ask_caps(s, e);
	return r;
}

/* -- proving who it is -- */

static void put_base64(struct imap_session *s, struct arena *a, struct slice raw)
{
	struct slice b = base64_encode(a, raw);

	wire_put(&s->w, b.ptr, b.len);
	imap_end(s);
}

static struct slice plain_message(struct arena *a, const struct who *w)
{
	size_t n = w->authzid.len + w->authcid.len + w->password.len + 2;
	char *z = arena_alloc(a, n), *at = z;

	memcpy(at, w->authzid.ptr ? w->authzid.ptr : "", w->authzid.len);
	at += w->authzid.len + 1;
	memcpy(at, w->authcid.ptr, w->authcid.len);
	at += w->authcid.len + 1;
	memcpy(at, w->password.ptr, w->password.len);
	return slice(z, n);
}

static enum be_result auth_plain(struct imap_session *s, struct arena *a, const struct who *w, unsigned *tag_r,
				 struct err *e)
{
	struct slice m = plain_message(a, w);

	if (imap_has(s, CAP_SASL_IR)) {
		*tag_r = imap_cmd(s, "AUTHENTICATE PLAIN ");
	} else {
		enum be_result r;

		*tag_r = imap_cmd(s, "AUTHENTICATE PLAIN");
		imap_end(s);
		r = imap_wait_plus(s, *tag_r, "login", e);
		if (r != BE_OK)
			return r;
	}
	put_base64(s, a, m);
	return BE_OK;
}

static enum be_result auth_login(struct imap_session *s, struct arena *a, const struct who *w, unsigned *tag_r,
				 struct err *e)
{
	enum be_result r;

	*tag_r = imap_cmd(s, "AUTHENTICATE LOGIN");
	imap_end(s);
	r = imap_wait_plus(s, *tag_r, "login", e);
	if (r != BE_OK)
		return r;
	put_base64(s, a, w->user);
	r = imap_wait_plus(s, *tag_r, "login", e);
	if (r == BE_OK)
		put_base64(s, a, w->password);
	return r;
}

static enum be_result login_command(struct imap_session *s, const struct who *w, unsigned *tag_r, struct err *e)
{
	*tag_r = imap_cmd(s, "LOGIN ");
	if (imap_arg_string(s, w->user, e) < 0)
		return s->w.failed ? BE_TEMP : BE_PERM;
	imap_arg(s, " ");
	if (imap_arg_string(s, w->password, e) < 0)
		return s->w.failed ? BE_TEMP : BE_PERM;
	imap_end(s);
	return BE_OK;
}

static enum be_result auth_start(struct imap_session *s, struct arena *a, const struct who *w, unsigned *tag_r,
				 struct err *e)
{
	if (imap_has(s, CAP_AUTH_PLAIN))
		return auth_plain(s, a, w, tag_r, e);
	if (!imap_has(s, CAP_LOGINDISABLED))
		return login_command(s, w, tag_r, e);
	if (imap_has(s, CAP_AUTH_LOGIN))
		return auth_login(s, a, w, tag_r, e);
	err_set(e, ERR_BACKEND_PERM, "%s offers no login by password here (LOGINDISABLED); use imaps:// or imap+starttls://",
		s->b->address);
	return BE_PERM;
}

static enum be_result refused_login(const struct imap_done *d, struct err *e)
{
	enum be_result r = imap_refused(d, "login", e);

	if (d->status == IMAP_BAD && e && e->code == ERR_BACKEND_PERM)
		return BE_PERM; /* not understood: no verdict on the password */
	if (r == BE_PERM && e && (e->code == ERR_BACKEND_PERM || e->code == ERR_AUTH))
		err_set(e, ERR_AUTH, "the mail server refused user name or password");
	return r;
}

static enum be_result authenticate(struct imap_session *s, struct arena *a, const struct who *w, struct err *e)
{
	struct imap_done d;
	unsigned tag = 0;
	struct err own = { 0 };
	enum be_result r = auth_start(s, a, w, &tag, &own);

	if (r == BE_OK)
		r = imap_wait(s, tag, &d, &own);
	if (s->w.out)
		mem_wipe(s->w.out, s->w.out_cap);
	if (r == BE_OK && d.status != IMAP_OK)
		r = refused_login(&d, &own);
	else if (r == BE_OK && !imap_code(&d, "CAPABILITY"))
		r = ask_caps(s, &own);
	if (e)
		*e = own;
	return r;
}

static enum be_result enable(struct imap_session *s, struct err *e)
{
	const char *what = imap_has(s, CAP_QRESYNC) ? "QRESYNC" : imap_has(s, CAP_CONDSTORE) ? "CONDSTORE" : NULL;
	struct imap_done d;
	unsigned tag;

	if (!imap_has(s, CAP_ENABLE) || !what)
		return BE_OK;
	tag = imap_cmd(s, "ENABLE %s", what);
	imap_end(s);
	return imap_wait(s, tag, &d, e); /* refused: s->enabled stays without it */
}

/* -- the session -- */

static bool choose_who(struct imap_backend *b, const struct be_cred *c, struct arena *a, struct who *w_r, struct err *e)
{
	struct slice user = backend_expand(a, b->user_template, c->login);
	bool master = c->password.len == 0 && c->trusted && b->master_user.len;

	*w_r = (struct who){ .user = user, .authcid = user, .password = c->password };
	if (master) {
		w_r->authzid = user;
		w_r->authcid = b->master_user;
		w_r->password = b->master_password;
		w_r->user = arena_printf(a, "%.*s*%.*s", SARG(user), SARG(b->master_user));
	}
	/* A NUL would end a field of SASL PLAIN early. */
	if (w_r->password.len == 0 || user.len == 0 || slice_chr(user, 0) >= 0 || slice_chr(w_r->password, 0) >= 0) {
		err_set(e, ERR_AUTH, "the mail server refused user name or password");
		return false;
	}
	return true;
}

static enum be_result connect_to(struct imap_backend *b, int64_t deadline_ms, struct stream **st_r, struct err *e)
{
	if (stream_open(st_r, b->address, deadline_ms, e) < 0)
		return BE_TEMP;
	if (b->security == IMAP_TLS && stream_start_tls(*st_r, b->tls, b->host, e) < 0) {
		stream_close(st_r);
		return BE_TEMP;
	}
	return BE_OK;
}

static struct imap_session *session_new(struct imap_backend *b, struct slice user, struct stream *st)
{
	struct imap_session *s = mem_alloc(sizeof(*s));

	s->base.ops = b->base.ops;
	s->base.backend = &b->base;
	s->b = b;
	s->user = mem_str(user);
	s->f = mem_alloc(sizeof(*s->f));
	s->mem = arena_new();
	wire_init(&s->w, st);
	return s;
}

enum be_result imap_login(struct backend *base, const struct be_cred *c, int64_t deadline_ms, struct session **s_r,
			  struct err *e)
{
	struct imap_backend *b = (struct imap_backend *)base;
	struct arena *a = arena_new();
	struct imap_session *s = NULL;
	struct stream *st = NULL;
	struct who w;
	enum be_result r = BE_PERM;

	ASSERT_WORKER();
	*s_r = NULL;
	if (choose_who(b, c, a, &w, e))
		r = connect_to(b, deadline_ms, &st, e);
	if (r == BE_OK) {
		s = session_new(b, c->user, st);
		r = greeting(s, e);
	}
	if (s && r == BE_OK)
		r = secure(s, e);
	if (s && r == BE_OK)
		r = authenticate(s, a, &w, e);
	if (s && r == BE_OK)
		r = enable(s, e);
	arena_free(&a);
	if (r == BE_OK) {
		stream_patience(s->w.s, b->call_ms);
		metric_add(M_sessions_opened_total, 1);
		*s_r = &s->base;
	} else if (s) {
		struct session *gone = &s->base;

		imap_logout(&gone);
	}
	return r;
}

void imap_logout(struct session **sp)
{
	struct imap_session *s = (struct imap_session *)*sp;

	*sp = NULL;
	if (!s)
		return;
	if (!s->w.failed && !s->bye) {
		s->w.out_len = 0;
		stream_deadline(s->w.s, clock_now(&clock_system) + 1000);
		imap_cmd(s, "LOGOUT");
		imap_end(s);
		wire_flush(&s->w); /* its answer is not waited for */
	}
	wire_deinit(&s->w);
	select_forget(s);
	arena_free(&s->mem);
	free(s->done_text);
	free(s->f);
	free(s->user);
	free(s);
}
