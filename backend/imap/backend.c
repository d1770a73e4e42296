/* backend.c - the IMAP backend's settings and its row in the table of backends.
 * struct imap_backend is read-only after open and shared by all workers. */
#include <stdlib.h>

#include "backend/imap/imap.h"
#include "backend/url.h"

static bool usable(const struct imap_session *s)
{
	return !s->w.failed && !s->bye;
}

static int read_url(struct imap_backend *b, struct slice url, struct err *e)
{
	static const struct url_scheme schemes[] = {
		{ "imap", IMAP_PLAIN, "143" }, { "imaps", IMAP_TLS, "993" }, { "imap+starttls", IMAP_STARTTLS, "143" }
	};
	struct url u;

	if (url_parse(url, schemes, sizeof(schemes) / sizeof(*schemes), &u) < 0)
		return err_set(e, ERR_CONFIG, "imap.url: %.*s is not imap://host:port, imaps:// or imap+starttls://", SARG(url));
	b->security = (enum imap_security)u.scheme;
	b->address = u.address;
	b->host = u.host;
	return 0;
}

static void read_settings(struct imap_backend *b, const struct settings *set)
{
	static const char *const special[SP_COUNT] = { "imap.sent", "imap.trash", "imap.drafts", "imap.junk" };

	b->user_template = mem_slice(settings_str(set, "imap.user"));
	b->master_user = mem_slice(settings_str(set, "imap.master_user"));
	b->master_password = mem_slice(settings_str(set, "imap.master_password"));
	for (int i = 0; i < SP_COUNT; i++)
		b->special[i] = mem_slice(settings_str(set, special[i]));
	b->notes = mem_slice(settings_str(set, "imap.notes"));
	b->shared = settings_bool(set, "imap.shared");
	b->subscribed_only = settings_bool(set, "imap.subscribed_only");
	b->call_ms = settings_ms(set, "limits.backend_deadline");
	b->use_idle = settings_list_has(set, "push.sources", S("idle"));
	b->use_notify = settings_list_has(set, "push.sources", S("notify"));
}

static void imap_close(struct backend **bp)
{
	struct imap_backend *b = (struct imap_backend *)*bp;

	*bp = NULL;
	if (!b)
		return;
	stream_tls_free(&b->tls);
	mem_wipe((char *)b->master_password.ptr, b->master_password.len);
	free((char *)b->master_password.ptr);
	free((char *)b->master_user.ptr);
	free((char *)b->user_template.ptr);
	for (int i = 0; i < SP_COUNT; i++)
		free((char *)b->special[i].ptr);
	free((char *)b->notes.ptr);
	free(b->address);
	free(b->host);
	free(b);
}

static int imap_open(struct backend **b_r, const struct be_env *env, struct err *e)
{
	struct imap_backend *b = mem_alloc(sizeof(*b));

	b->base.ops = &imap_backend_ops;
	b->clock = env->clock;
	*b_r = &b->base;
	read_settings(b, env->settings);
	if (read_url(b, settings_str(env->settings, "imap.url"), e) < 0 ||
	    (b->security != IMAP_PLAIN && url_tls(&b->tls, env->settings, e) < 0)) {
		imap_close(b_r);
		return -1;
	}
	return 0;
}

static void imap_set_deadline(struct session *base, int64_t deadline_ms)
{
	stream_deadline(((struct imap_session *)base)->w.s, deadline_ms);
}

/* What lies there unasked is read: news of the folder, or the server's BYE. */
static bool imap_alive(struct session *base)
{
	enum { LINES = 100, LINE_MS = 500 };
	struct imap_session *s = (struct imap_session *)base;
	struct imap_done d;
	unsigned tag;

	imap_set_handlers(s, NULL);
	stream_deadline(s->w.s, clock_now(&clock_system) + LINE_MS);
	for (int i = 0; i < LINES && usable(s) && wire_readable(&s->w); i++)
		if (imap_read_line(s, &tag, &d) != LINE_UNTAGGED)
			return false;
	return usable(s);
}

const struct backend_ops imap_backend_ops = {
	.name = "imap",
	.roles = BE_MAIL | BE_AUTH,
	.open = imap_open,
	.close = imap_close,
	.login = imap_login,
	.logout = imap_logout,
	.set_deadline = imap_set_deadline,
	.alive = imap_alive,
	.folders = imap_folders,
	.folder_create = imap_folder_create,
	.folder_rename = imap_folder_rename,
	.folder_delete = imap_folder_delete,
	.changes = imap_changes,
	.lookup = imap_lookup,
	.heads = imap_heads,
	.parts = imap_parts,
	.set_flags = imap_set_flags,
	.move = imap_move,
	.remove = imap_remove,
	.append = imap_append,
	.find_message_id = imap_find_message_id,
	.watch_open = imap_watch_open,
	.watch_read = imap_watch_read,
	.watch_close = imap_watch_close,
};
