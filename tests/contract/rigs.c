/* rigs.c - the servers that a test process can make by itself. */
#include "contract/contract.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/fail.h"
#include "backend/local/local.h"
#include "backend/mem.h"
#include "base/digest.h"

static void two_people(struct world *w)
{
	w->cred[0] = (struct be_cred){ .user = S("alice"), .login = S("alice"), .password = S("s\xc3\xa9same: open") };
	w->cred[1] = (struct be_cred){ .user = S("bob"), .login = S("bob"), .password = S("bob's") };
	w->address[0] = S("alice@example.org");
	w->address[1] = S("bob@example.org");
	w->nobody = S("nobody@example.org");
	w->by_source = true;
}

/* -- mem: a restart is only that of the client; the server is another machine -- */

static void mem_up(struct world *w)
{
	struct err e;

	two_people(w);
	CHECK(mem_backend_ops.open(&w->b, &(struct be_env){ 0 }, &e) == 0);
	for (int i = 0; i < 2; i++)
		mem_add_user(w->b, w->cred[i].user, w->cred[i].password, w->address[i], S("Some One"));
	w->send = w->b;
}

static void mem_restart(struct world *w)
{
}

static void plain_down(struct world *w)
{
	w->b->ops->close(&w->b);
}

const struct rig rig_mem = { "mem", mem_up, mem_restart, plain_down };

/* -- fail without a script is the backend behind it -- */

static void fail_up(struct world *w)
{
	struct err e;

	mem_up(w);
	CHECK(fail_wrap(&w->b, w->b, &clock_system, S_NONE, &e) == 0);
	w->send = w->b;
}

const struct rig rig_fail = { "fail", fail_up, mem_restart, plain_down };

/* -- local -- */

struct local_dir {
	char dir[64], root[96], users[96];
};

static void local_open_again(struct world *w)
{
	struct local_dir *d = w->self;
	struct err e;

	if (local_new(&w->b, &(struct local_conf){ .root = d->root, .users = d->users }, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	w->send = w->b;
}

/* One round of hashing instead of a hundred thousand: made by the same format. */
static void local_up(struct world *w)
{
	struct local_dir *d = arena_alloc(w->a, sizeof(*d));
	FILE *f;

	two_people(w);
	/* In memory where that is possible: the contract is not about the speed of disks. */
	snprintf(d->dir, sizeof(d->dir), "%s/zpushd-contract-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	CHECK(mkdtemp(d->dir) != NULL);
	snprintf(d->root, sizeof(d->root), "%s/mail", d->dir);
	snprintf(d->users, sizeof(d->users), "%s/users", d->dir);
	f = fopen(d->users, "w");
	CHECK(f != NULL);
	for (int i = 0; i < 2; i++) {
		struct sha256 h = digest_pbkdf2(w->cred[i].password, S("salt"), 1);

		fprintf(f, "%.*s:{PBKDF2-SHA256}1$salt$%.*s:%.*s:Some One\n", SARG(w->cred[i].user),
			SARG(base64url_encode(w->a, &h, sizeof(h))), SARG(w->address[i]));
	}
	fclose(f);
	w->self = d;
	local_open_again(w);
}

static void local_restart(struct world *w)
{
	w->b->ops->close(&w->b);
	local_open_again(w);
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static void local_down(struct world *w)
{
	w->b->ops->close(&w->b);
	nftw(((struct local_dir *)w->self)->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const struct rig rig_local = { "local", local_up, local_restart, local_down };
