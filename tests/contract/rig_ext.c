/* rig_ext.c - a real server that the environment names:
 *   ZPUSHD_CONTRACT          imap://host:port (becomes imap.url)
 *   ZPUSHD_CONTRACT_SMTP     smtp://host:port, optional (smtp.url)
 *   ZPUSHD_CONTRACT_USERS    login:password:address,login:password:address
 *   ZPUSHD_CONTRACT_NOBODY   an address that the SMTP server refuses, optional
 *   ZPUSHD_CONTRACT_FULL     set: the server has no CONDSTORE, full listings are fine
 * Passwords here hold neither ':' nor ','. The mailbox may be in use: each case
 * works in a folder of its own. */
#include "contract/contract.h"

#include "base/settings_table.h"

struct ext {
	struct settings *settings;
	struct be_env env;
};

static void set(struct settings *s, const char *key, const char *value)
{
	struct err e;

	if (settings_set(s, slice_str(key), slice_str(value), "contract", &e) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", key, e.text);
}

static void open_both(struct world *w)
{
	const struct backend_ops *imap = backend_by_name(S("imap")), *smtp = backend_by_name(S("smtp"));
	struct ext *x = w->self;
	struct err e;

	CHECK(imap != NULL);
	if (imap->open(&w->b, &x->env, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	if (getenv("ZPUSHD_CONTRACT_SMTP")) {
		CHECK(smtp != NULL);
		if (smtp->open(&w->send, &x->env, &e) < 0)
			test_fail(__FILE__, __LINE__, "%s", e.text);
	}
}

static void people(struct world *w, const char *text)
{
	struct slice rest = slice_str(text), one, login, password;

	for (int i = 0; i < 2; i++) {
		CHECK(slice_split(&rest, ',', &one));
		CHECK(slice_split(&one, ':', &login) && slice_split(&one, ':', &password));
		w->cred[i] = (struct be_cred){ .user = login, .login = login, .password = password };
		w->address[i] = one;
	}
}

static void ext_up(struct world *w)
{
	struct ext *x = arena_alloc(w->a, sizeof(*x));
	const char *users = getenv("ZPUSHD_CONTRACT_USERS"), *nobody = getenv("ZPUSHD_CONTRACT_NOBODY");

	CHECK(users != NULL);
	people(w, users);
	w->nobody = slice_str(nobody);
	w->keeps_tokens = !getenv("ZPUSHD_CONTRACT_FULL");
	x->settings = settings_new();
	set(x->settings, "imap.url", getenv("ZPUSHD_CONTRACT"));
	if (getenv("ZPUSHD_CONTRACT_SMTP"))
		set(x->settings, "smtp.url", getenv("ZPUSHD_CONTRACT_SMTP"));
	x->env = (struct be_env){ x->settings, &clock_system, &rnd_system };
	w->self = x;
	open_both(w);
}

static void close_both(struct world *w)
{
	w->b->ops->close(&w->b);
	if (w->send)
		w->send->ops->close(&w->send);
}

static void ext_restart(struct world *w)
{
	close_both(w);
	open_both(w);
}

static void ext_down(struct world *w)
{
	struct ext *x = w->self;

	close_both(w);
	settings_unref(&x->settings);
}

const struct rig rig_ext = { "ext", ext_up, ext_restart, ext_down };
