/* backend.c - settings of submission and its row in the table of backends. A
 * session is only the user's login: the connection lives for one mail, since
 * phones send rarely and servers drop idle submission early. */
#include <stdlib.h>
#include <unistd.h>

#include "backend/smtp/smtp.h"
#include "backend/url.h"

extern const struct backend_ops smtp_backend_ops;

static int read_url(struct smtp_backend *b, struct slice url, struct err *e)
{
	static const struct url_scheme schemes[] = {
		{ "smtp", SMTP_PLAIN, "25" },
		{ "smtps", SMTP_TLS, "465" },
		{ "smtp+starttls", SMTP_STARTTLS, "587" },
		{ "lmtp+unix", SMTP_LMTP, NULL },
	};
	struct url u;

	if (url_parse(url, schemes, sizeof(schemes) / sizeof(*schemes), &u) < 0)
		return err_set(e, ERR_CONFIG, "smtp.url: %.*s is not smtp://host:port, smtps://, smtp+starttls:// or lmtp+unix:/path",
			       SARG(url));
	b->mode = (enum smtp_mode)u.scheme;
	b->address = u.address;
	b->host = u.host;
	return 0;
}

/* What EHLO says: the host's name, when it is one that fits. */
static char *helo_name(void)
{
	char z[256] = "";

	gethostname(z, sizeof(z) - 1);
	for (const char *p = z; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", *p))
			return mem_str(S("localhost"));
	return mem_str(z[0] ? slice_str(z) : S("localhost"));
}

static void smtp_close(struct backend **bp)
{
	struct smtp_backend *b = (struct smtp_backend *)*bp;

	*bp = NULL;
	if (!b)
		return;
	stream_tls_free(&b->tls);
	mem_wipe((char *)b->password.ptr, b->password.len);
	free((char *)b->password.ptr);
	free((char *)b->user.ptr);
	free(b->address);
	free(b->host);
	free(b->helo);
	free(b);
}

static int smtp_open(struct backend **b_r, const struct be_env *env, struct err *e)
{
	const struct settings *set = env->settings;
	struct slice auth = settings_str(set, "smtp.auth");
	struct smtp_backend *b = mem_alloc(sizeof(*b));

	b->base.ops = &smtp_backend_ops;
	b->auth = slice_eq(auth, S("none")) ? SMTP_AUTH_NONE : slice_eq(auth, S("fixed")) ? SMTP_AUTH_FIXED : SMTP_AUTH_USER;
	/* The user's own login is spelled for SMTP as it is for IMAP. */
	b->user = mem_slice(settings_str(set, b->auth == SMTP_AUTH_FIXED ? "smtp.user" : "imap.user"));
	b->password = mem_slice(settings_str(set, "smtp.password"));
	b->helo = helo_name();
	b->login_ms = settings_ms(set, "limits.login_deadline");
	b->call_ms = settings_ms(set, "limits.backend_deadline");
	*b_r = &b->base;
	if (read_url(b, settings_str(set, "smtp.url"), e) < 0 ||
	    ((b->mode == SMTP_TLS || b->mode == SMTP_STARTTLS) && url_tls(&b->tls, set, e) < 0)) {
		smtp_close(b_r);
		return -1;
	}
	return 0;
}

static enum be_result smtp_login(struct backend *base, const struct be_cred *c, int64_t deadline_ms, struct session **s_r,
				 struct err *e)
{
	struct smtp_backend *b = (struct smtp_backend *)base;
	struct smtp_session *s = mem_alloc(sizeof(*s));
	struct arena *a = arena_new();

	s->base.ops = b->base.ops;
	s->base.backend = base;
	s->b = b;
	s->deadline_ms = deadline_ms;
	if (b->auth == SMTP_AUTH_FIXED) {
		s->user = mem_str(b->user);
		s->password = mem_str(b->password);
	} else {
		s->user = mem_str(backend_expand(a, b->user, c->login));
		s->password = mem_str(c->password);
	}
	arena_free(&a);
	*s_r = &s->base;
	return BE_OK;
}

static void smtp_logout(struct session **sp)
{
	struct smtp_session *s = (struct smtp_session *)*sp;

	*sp = NULL;
	if (!s)
		return;
	mem_wipe(s->password, strlen(s->password));
	free(s->password);
	free(s->user);
	free(s);
}

static void smtp_set_deadline(struct session *s, int64_t deadline_ms)
{
	((struct smtp_session *)s)->deadline_ms = deadline_ms;
}

static bool smtp_alive(struct session *s)
{
	return true;
}

const struct backend_ops smtp_backend_ops = {
	.name = "smtp",
	.roles = BE_SEND,
	.open = smtp_open,
	.close = smtp_close,
	.login = smtp_login,
	.logout = smtp_logout,
	.set_deadline = smtp_set_deadline,
	.alive = smtp_alive,
	.submit = smtp_submit,
};
