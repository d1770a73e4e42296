/* accounts.c - reading and changing the accounts file. Any thread. Owns the
 * parsed list, replaced whole under a lock when the file changed. Trap: the
 * check of a password takes long by design and runs outside that lock. */
#include "backend/local/accounts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "backend/local/local.h"
#include "base/digest.h"
#include "base/log.h"

enum {
	FILE_MAX_BYTES = 64 * 1024 * 1024,
	ROUNDS_MAX = 10000000,
	SALT_BYTES = 16,
	NAME_BYTES = 128,
};

static const char scheme[] = "{PBKDF2-SHA256}";

struct accounts {
	char *path;
	pthread_mutex_t mu;
	struct stamp stamp;
	bool loaded;
	struct arena *arena; /* of the list below */
	struct account *v;
	size_t n, cap;
};

/* -- one line -- */

static bool name_ok(struct slice name)
{
	if (name.len == 0 || name.len > NAME_BYTES || name.ptr[0] == '.')
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.ptr[i]) && !strchr("._+-@", name.ptr[i]))
			return false;
	return true;
}

/* "{PBKDF2-SHA256}rounds$salt$hash" */
static void hash_parse(struct arena *a, struct slice text, struct account *acc)
{
	struct slice rest = slice_from(text, sizeof(scheme) - 1), rounds, raw;
	uint64_t n;

	acc->hash = NULL;
	if (!slice_starts(text, slice_str(scheme)) || !slice_split(&rest, '$', &rounds) ||
	    !slice_split(&rest, '$', &acc->salt))
		return;
	if (!slice_u64(rounds, &n) || n == 0 || n > ROUNDS_MAX || !base64_decode(a, rest, &raw) ||
	    raw.len != sizeof(struct sha256))
		return;
	acc->rounds = (unsigned)n;
	acc->hash = arena_dup(a, raw.ptr, raw.len);
}

/* 1: an account, 0: nothing in it, -1: cannot be read. */
static int line_parse(struct arena *a, struct slice line, struct account *acc)
{
	struct slice hash;

	line = slice_trim(line);
	if (line.len == 0 || line.ptr[0] == '#')
		return 0;
	*acc = (struct account){ 0 };
	if (!slice_split(&line, ':', &acc->name) || !slice_split(&line, ':', &hash) || !name_ok(acc->name))
		return -1;
	(void)slice_split(&line, ':', &acc->address);
	acc->display = line;
	if (acc->address.len == 0)
		acc->address = acc->name;
	hash_parse(a, hash, acc);
	return acc->hash ? 1 : -1;
}

static void list_parse(struct accounts *l, struct slice all)
{
	struct slice line;
	unsigned number = 0;

	while (slice_split(&all, '\n', &line)) {
		struct account acc;
		int r = line_parse(l->arena, line, &acc);

		number++;
		if (r < 0)
			LOG_W("local_account_skipped", L_Z("file", l->path), L_I("line", number),
			      L_Z("do", "name:{PBKDF2-SHA256}rounds$salt$hash:address:Display Name"));
		if (r <= 0)
			continue;
		l->v = arena_grow(l->arena, l->v, l->n, &l->cap, sizeof(*l->v));
		l->v[l->n++] = acc;
	}
}

/* -- the list -- */

struct accounts *accounts_new(const char *path)
{
	struct accounts *l = mem_alloc(sizeof(*l));

	l->path = mem_str(slice_str(path));
	l->arena = arena_new();
	pthread_mutex_init(&l->mu, NULL);
	return l;
}

void accounts_free(struct accounts **lp)
{
	struct accounts *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	arena_free(&l->arena);
	pthread_mutex_destroy(&l->mu);
	free(l->path);
	free(l);
}

/* mu held. A file that cannot be read is no verdict on any login. */
static enum be_result refresh(struct accounts *l, struct err *e)
{
	struct stamp now;
	char *data;
	size_t n;

	if (stamp_of(l->path, &now) < 0)
		return files_errno(e, "look at", l->path), BE_TEMP;
	if (l->loaded && stamp_eq(&now, &l->stamp))
		return BE_OK;
	if (file_read(l->path, FILE_MAX_BYTES, &data, &n, &now) < 0)
		return files_errno(e, "read", l->path), BE_TEMP;
	arena_free(&l->arena);
	l->arena = arena_new();
	l->v = NULL;
	l->n = l->cap = 0;
	list_parse(l, arena_slice(l->arena, slice(data, n)));
	free(data);
	l->stamp = now;
	l->loaded = true;
	return BE_OK;
}

static struct account *look_up(struct accounts *l, struct slice who)
{
	for (size_t i = 0; i < l->n; i++)
		if (slice_ieq(l->v[i].name, who))
			return &l->v[i];
	for (size_t i = 0; i < l->n; i++)
		if (slice_ieq(l->v[i].address, who))
			return &l->v[i];
	return NULL;
}

static void copy_account(struct arena *a, const struct account *from, struct account *to)
{
	*to = (struct account){
		.name = arena_slice(a, from->name),
		.address = arena_slice(a, from->address),
		.display = arena_slice(a, from->display),
		.salt = arena_slice(a, from->salt),
		.hash = arena_dup(a, from->hash, sizeof(*from->hash)),
		.rounds = from->rounds,
	};
}

static enum be_result find(struct accounts *l, struct slice who, struct arena *a, struct account *a_r, unsigned *rounds_r,
			   struct err *e)
{
	struct account *acc = NULL;
	enum be_result r;

	pthread_mutex_lock(&l->mu);
	r = refresh(l, e);
	if (r == BE_OK)
		acc = look_up(l, who);
	if (acc)
		copy_account(a, acc, a_r);
	*rounds_r = l->n ? l->v[0].rounds : LOCAL_ROUNDS;
	pthread_mutex_unlock(&l->mu);
	if (r == BE_OK && !acc) {
		err_set(e, ERR_NOT_FOUND, "no account %.*s", SARG(who));
		r = BE_PERM;
	}
	return r;
}

enum be_result accounts_find(struct accounts *l, struct slice who, struct arena *a, struct account *a_r, struct err *e)
{
	unsigned rounds;

	return find(l, who, a, a_r, &rounds, e);
}

enum be_result accounts_check(struct accounts *l, struct slice who, struct slice password, struct arena *a,
			      struct account *a_r, struct err *e)
{
	static const struct sha256 nobody;
	unsigned rounds;
	enum be_result r = find(l, who, a, a_r, &rounds, e);
	bool known = r == BE_OK;
	struct sha256 got;

	if (r == BE_TEMP)
		return r;
	got = digest_pbkdf2(password, known ? a_r->salt : S("0123456789abcdef012345"), known ? a_r->rounds : rounds);
	if (digest_equal(&got, known ? a_r->hash : &nobody, sizeof(got)) && known)
		return BE_OK;
	err_set(e, ERR_AUTH, "wrong user name or password");
	return BE_PERM;
}

/* -- changing the file -- */

static bool text_ok(struct slice s, bool colon)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f || (s.ptr[i] == ':' && !colon))
			return false;
	return s.len <= 256;
}

static struct slice hash_make(struct arena *a, struct slice password, const struct rnd *rnd)
{
	char raw[SALT_BYTES];
	struct slice salt;
	struct sha256 h;

	rnd->fill(rnd->self, raw, sizeof(raw));
	salt = base64url_encode(a, raw, sizeof(raw));
	h = digest_pbkdf2(password, salt, LOCAL_ROUNDS);
	return arena_printf(a, "%s%d$%.*s$%.*s", scheme, LOCAL_ROUNDS, SARG(salt), SARG(base64url_encode(a, &h, sizeof(h))));
}

enum edit { EDIT_ADD, EDIT_PASSWORD, EDIT_REMOVE };

struct editing {
	enum edit what;
	struct slice name;
	struct slice line; /* ADD: the new line; PASSWORD: the new hash */
};

/* Writes the file's text with the change made. */
static int edit_text(struct arena *a, struct slice all, const struct editing *ed, FILE *out, struct err *e)
{
	struct slice line;
	bool found = false;

	while (slice_split(&all, '\n', &line)) {
		struct account acc;
		bool mine = line_parse(a, line, &acc) == 1 && slice_ieq(acc.name, ed->name);

		found |= mine;
		if (mine && ed->what == EDIT_REMOVE)
			continue;
		if (mine && ed->what == EDIT_PASSWORD)
			fprintf(out, "%.*s:%.*s:%.*s:%.*s\n", SARG(acc.name), SARG(ed->line), SARG(acc.address),
				SARG(acc.display));
		else if (line.len || all.len) /* not behind the last line end */
			fprintf(out, "%.*s\n", SARG(line));
	}
	if (ed->what == EDIT_ADD && found)
		return err_set(e, ERR_EXISTS, "account %.*s exists", SARG(ed->name));
	if (ed->what != EDIT_ADD && !found)
		return err_set(e, ERR_NOT_FOUND, "no account %.*s", SARG(ed->name));
	if (ed->what == EDIT_ADD)
		fprintf(out, "%.*s\n", SARG(ed->line));
	return 0;
}

static int edit(const char *users, struct arena *a, const struct editing *ed, struct err *e)
{
	enum { WAIT_MS = 10000 };
	struct dotlock lock;
	char *data = NULL, *text = NULL;
	size_t n, len = 0;
	FILE *out;
	int r = -1;

	if (dotlock_take(&lock, users, clock_now(&clock_system) + WAIT_MS, e) != BE_OK)
		return -1;
	out = open_memstream(&text, &len);
	if (file_read(users, FILE_MAX_BYTES, &data, &n, NULL) < 0)
		files_errno(e, "read", users);
	else
		r = edit_text(a, slice(data, n), ed, out, e);
	fclose(out);
	if (r == 0 && file_replace(users, text, len, 0600) < 0) {
		files_errno(e, "write", users);
		r = -1;
	}
	dotlock_release(&lock);
	free(data);
	free(text);
	return r;
}

int local_user_add(const char *users, struct slice name, struct slice password, struct slice address,
		   struct slice display, const struct rnd *rnd, struct err *e)
{
	struct editing ed = { .what = EDIT_ADD, .name = name };
	struct arena *a;
	int r;

	if (!name_ok(name) || password.len == 0 || !text_ok(address, false) || !text_ok(display, true))
		return err_set(e, ERR_BAD_REQUEST, "an account needs a name of letters, digits and ._+-@ and a password");
	a = arena_new();
	ed.line = arena_printf(a, "%.*s:%.*s:%.*s:%.*s", SARG(name), SARG(hash_make(a, password, rnd)), SARG(address),
			       SARG(display));
	r = edit(users, a, &ed, e);
	arena_free(&a);
	return r;
}

int local_user_password(const char *users, struct slice name, struct slice password, const struct rnd *rnd,
			struct err *e)
{
	struct editing ed = { .what = EDIT_PASSWORD, .name = name };
	struct arena *a;
	int r;

	if (password.len == 0)
		return err_set(e, ERR_BAD_REQUEST, "an empty password is none");
	a = arena_new();
	ed.line = hash_make(a, password, rnd);
	r = edit(users, a, &ed, e);
	arena_free(&a);
	return r;
}

int local_user_remove(const char *users, struct slice name, struct err *e)
{
	struct arena *a = arena_new();
	int r = edit(users, a, &(struct editing){ .what = EDIT_REMOVE, .name = name }, e);

	arena_free(&a);
	return r;
}

int local_user_list(const char *users, void (*fn)(void *arg, struct slice name, struct slice address, struct slice display),
		    void *arg, struct err *e)
{
	struct accounts *l = accounts_new(users);
	int r = refresh(l, e) == BE_OK ? 0 : -1;

	for (size_t i = 0; i < l->n && r == 0; i++)
		fn(arg, l->v[i].name, l->v[i].address, l->v[i].display);
	accounts_free(&l);
	return r;
}
