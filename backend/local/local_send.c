/* local_send.c - submission of the local backend: to accounts here by address,
 * to others through the relay (smtp) where one is set. Workers. All recipients
 * are checked before anyone gets anything. The relay goes first: it is the one
 * that may still refuse. A relay that took the mail and a disk that then failed
 * is BE_TEMP; the repeat carries the same Message-ID. */
#include <stdlib.h>
#include <unistd.h>

#include "backend/local/local_priv.h"
#include "backend/local/mailfile.h"

enum be_result local_deliver(struct local *l, const char *home, struct slice from, struct blob *mail,
			     int64_t deadline_ms, struct err *e)
{
	struct md_incoming in = { .date_ms = clock_wall(l->clock) };
	struct arena *a = arena_new();
	struct slice head = arena_printf(a, "Return-Path: <%.*s>\r\n", SARG(from));
	enum be_result r = tree_ensure(home, e);
	struct maildir *m;
	char *path = NULL;
	uint64_t uid;

	if (r == BE_OK)
		r = mailfile_write(home, head, mail, in.date_ms, a, &path, &in.sizes, e);
	if (r == BE_OK) {
		in.from = path;
		m = md_acquire(&l->cache, home);
		r = md_sync(m, deadline_ms, e);
		if (r == BE_OK)
			r = md_put_many(m, &in, 1, deadline_ms, &uid, e);
		md_release(&l->cache, &m);
		if (r != BE_OK)
			unlink(path);
	}
	free(path);
	arena_free(&a);
	return r;
}

/* Addresses go into a header and may come from anywhere. */
static bool clean(struct slice address)
{
	for (size_t i = 0; i < address.len; i++)
		if ((unsigned char)address.ptr[i] <= ' ' || address.ptr[i] == 0x7f || address.ptr[i] == '<' ||
		    address.ptr[i] == '>')
			return false;
	return true;
}

static enum be_result refuse(struct be_submit *m, struct slice rcpt, const char *why, struct err *e)
{
	m->refused = rcpt;
	err_set(e, ERR_FORBIDDEN, "%.*s: %s", SARG(rcpt), why);
	return BE_PERM;
}

struct routes {
	char **homes; /* accounts here, each once */
	size_t n_homes;
	struct slice *remote;
	size_t n_remote;
};

static void add_home(struct routes *t, char *home)
{
	for (size_t i = 0; i < t->n_homes; i++)
		if (strcmp(t->homes[i], home) == 0) {
			free(home);
			return;
		}
	t->homes[t->n_homes++] = home;
}

static enum be_result route(struct local *l, struct be_submit *m, struct arena *a, struct routes *t, struct err *e)
{
	t->homes = arena_alloc(a, m->n_rcpt * sizeof(*t->homes));
	t->remote = arena_alloc(a, m->n_rcpt * sizeof(*t->remote));
	for (size_t i = 0; i < m->n_rcpt; i++) {
		struct account acc;
		enum be_result r;

		if (!clean(m->rcpt[i]) || m->rcpt[i].len == 0)
			return refuse(m, m->rcpt[i], "no address", e);
		r = accounts_find(l->accounts, m->rcpt[i], a, &acc, e);
		if (r == BE_OK)
			add_home(t, local_home(l, acc.name));
		else if (r == BE_TEMP)
			return r;
		else if (!l->relay)
			return refuse(m, m->rcpt[i], "no account here, and smtp.url is not set", e);
		else
			t->remote[t->n_remote++] = m->rcpt[i];
	}
	return BE_OK;
}

static enum be_result relay(struct local_session *s, struct be_submit *m, const struct routes *t, struct err *e)
{
	struct backend *b = s->local->relay;
	struct be_submit part = *m;
	struct session *session = NULL;
	enum be_result r = b->ops->login(b, &s->cred, s->deadline_ms, &session, e);

	if (r == BE_PERM) {
		/* The relay's password is not the user's concern: he is logged in here. */
		e->code = ERR_BACKEND_PERM;
		err_add(e, "smtp login");
	}
	if (r != BE_OK)
		return r;
	part.rcpt = t->remote;
	part.n_rcpt = t->n_remote;
	r = b->ops->submit(session, &part, e);
	m->refused = part.refused;
	b->ops->logout(&session);
	return r;
}

enum be_result local_submit(struct session *session, struct be_submit *m, struct err *e)
{
	struct local_session *s = (struct local_session *)session;
	struct arena *a = arena_new();
	struct routes t = { 0 };
	enum be_result r;

	ASSERT_WORKER();
	if (clean(m->from))
		r = route(s->local, m, a, &t, e);
	else
		r = refuse(m, m->from, "no address", e);
	if (r == BE_OK && t.n_remote)
		r = relay(s, m, &t, e);
	for (size_t i = 0; i < t.n_homes && r == BE_OK; i++)
		r = local_deliver(s->local, t.homes[i], m->from, m->mail, s->deadline_ms, e);
	for (size_t i = 0; i < t.n_homes; i++)
		free(t.homes[i]);
	arena_free(&a);
	return r;
}
