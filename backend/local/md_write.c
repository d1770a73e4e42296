/* md_write.c - changing a Maildir folder: flags, keywords, new mails, removal.
 * Any worker, with m->mu held and after md_sync. What is changed here is also
 * changed in memory, so the answer's rev and UID are those the next look finds.
 * Trap: any file may be renamed by somebody else between look and change. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/local/maildir.h"

enum { KEYWORDS_MAX_BYTES = 64 * 1024 };

char *md_file(const struct maildir *m, const struct md_mail *mail)
{
	return path_join("%s/%s/%s", m->path, mail->in_new ? "new" : "cur", mail->name);
}

/* Gone under us is nothing bad: look again. */
static enum be_result moved_away(struct maildir *m, const char *what, const char *path, struct err *e)
{
	enum be_result r = files_errno(e, what, path);

	md_unsettle(m);
	return r;
}

enum be_result md_set(struct maildir *m, struct md_mail *mail, unsigned flags, uint32_t letters, struct err *e)
{
	char *name = md_name_make(slice(mail->name, mail->base_len), mail->name, flags, letters), *from, *to;
	enum be_result r = BE_OK;

	if (flags == mail->flags && letters == mail->letters) {
		free(name);
		return BE_OK;
	}
	from = md_file(m, mail);
	to = path_join("%s/cur/%s", m->path, name);
	if (rename(from, to) < 0) {
		r = moved_away(m, "rename", from, e);
		free(name);
	} else {
		free(mail->name);
		mail->name = name;
		mail->in_new = false;
		md_refresh(m, mail);
		md_unsettle(m);
	}
	free(from);
	free(to);
	return r;
}

enum be_result md_remove(struct maildir *m, struct md_mail *mail, struct err *e)
{
	char *path = md_file(m, mail);
	enum be_result r = BE_OK;

	if (unlink(path) < 0)
		r = moved_away(m, "delete", path, e);
	else
		md_leave(m, mail);
	free(path);
	md_unsettle(m);
	return r;
}

/* -- keywords: "0 name" a line, 0 is the letter a -- */

static void keyword_set(struct md_keyword *k, struct slice atom)
{
	struct arena *a;

	if (slice_eq(k->atom, atom))
		return;
	free((char *)k->atom.ptr);
	free((char *)k->category.ptr);
	*k = (struct md_keyword){ 0 };
	if (atom.len == 0)
		return;
	a = arena_new();
	k->atom = mem_slice(atom);
	k->category = mem_slice(mail_keyword_decode(a, atom));
	arena_free(&a);
}

static void keywords_parse(struct slice all, struct slice *atoms)
{
	struct slice line, number;
	uint64_t i;

	while (slice_split(&all, '\n', &line))
		if (slice_split(&line, ' ', &number) && slice_u64(number, &i) && i < KEYWORDS)
			atoms[i] = slice_trim(line);
}

enum be_result md_keywords_load(struct maildir *m, struct err *e)
{
	char *path = path_join("%s/dovecot-keywords", m->path), *data;
	struct slice atoms[KEYWORDS] = { { 0 } };
	enum be_result r = BE_OK;
	bool changed = false;
	size_t n;

	if (file_read(path, KEYWORDS_MAX_BYTES, &data, &n, &m->stamps.keywords) < 0) {
		r = files_errno(e, "read", path);
	} else {
		keywords_parse(slice(data, n), atoms);
		for (int i = 0; i < KEYWORDS; i++) {
			changed |= !slice_eq(m->kw[i].atom, atoms[i]);
			keyword_set(&m->kw[i], atoms[i]);
		}
		free(data);
	}
	free(path);
	for (size_t i = 0; i < m->n && changed; i++)
		if (m->v[i].letters)
			md_refresh(m, &m->v[i]);
	return r;
}

static enum be_result keywords_save(struct maildir *m, const char *path, struct err *e)
{
	enum be_result r = BE_OK;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	for (int i = 0; i < KEYWORDS; i++)
		if (m->kw[i].atom.len)
			fprintf(f, "%d %.*s\n", i, SARG(m->kw[i].atom));
	fclose(f);
	if (file_replace(path, text, n, 0600) < 0)
		r = files_errno(e, "write", path);
	free(text);
	return r;
}

static int keyword_find(const struct maildir *m, struct slice atom)
{
	for (int i = 0; i < KEYWORDS; i++)
		if (slice_ieq(m->kw[i].atom, atom))
			return i;
	return -1;
}

static int keyword_add(struct maildir *m, struct slice atom)
{
	for (int i = 0; i < KEYWORDS; i++)
		if (m->kw[i].atom.len == 0) {
			keyword_set(&m->kw[i], atom);
			return i;
		}
	return -1;
}

/* All of them, or which is missing. */
static bool letters_known(const struct maildir *m, const struct slice *atoms, size_t n, uint32_t *letters_r)
{
	*letters_r = 0;
	for (size_t i = 0; i < n; i++) {
		int at = keyword_find(m, atoms[i]);

		if (at < 0)
			return false;
		*letters_r |= 1u << at;
	}
	return true;
}

static enum be_result letters_make(struct maildir *m, const char *path, const struct slice *atoms, size_t n,
				   struct err *e)
{
	enum be_result r = md_keywords_load(m, e); /* under the lock: another may have been first */

	for (size_t i = 0; i < n && r == BE_OK; i++)
		if (keyword_find(m, atoms[i]) < 0 && keyword_add(m, atoms[i]) < 0) {
			err_set(e, ERR_UNSUPPORTED, "%s: a folder holds at most %d different categories", m->path, KEYWORDS);
			r = BE_PERM;
		}
	if (r == BE_OK)
		r = keywords_save(m, path, e);
	if (r != BE_OK)
		md_keywords_load(m, NULL);
	return r;
}

enum be_result md_letters(struct maildir *m, const struct slice *categories, size_t n, int64_t deadline_ms,
			  uint32_t *letters_r, struct err *e)
{
	struct arena *a = arena_new();
	struct slice *atoms = arena_alloc(a, n * sizeof(*atoms));
	enum be_result r = BE_OK;
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		atoms[used] = mail_keyword_encode(a, categories[i]);
		used += atoms[used].len > 0;
	}
	if (!letters_known(m, atoms, used, letters_r)) {
		char *path = path_join("%s/dovecot-keywords", m->path);
		struct dotlock lock = { 0 };

		r = dotlock_take(&lock, path, deadline_ms, e);
		if (r == BE_OK)
			r = letters_make(m, path, atoms, used, e);
		dotlock_release(&lock);
		free(path);
		letters_known(m, atoms, used, letters_r);
	}
	arena_free(&a);
	return r;
}

size_t md_categories(const struct maildir *m, const struct md_mail *mail, struct arena *a, const struct slice **v_r)
{
	struct slice *v = arena_alloc(a, KEYWORDS * sizeof(*v));
	size_t n = 0;

	for (int i = 0; i < KEYWORDS; i++)
		if ((mail->letters >> i & 1) && m->kw[i].category.len && m->kw[i].atom.ptr[0] != '$')
			v[n++] = arena_slice(a, m->kw[i].category);
	*v_r = v;
	return n;
}

/* -- new mails -- */

/* tmp/, new/ and cur/ as far as they are missing. */
static void make_dirs(const struct maildir *m)
{
	static const char *const sub[] = { "tmp", "new", "cur" };

	for (size_t i = 0; i < 3; i++) {
		char *path = path_join("%s/%s", m->path, sub[i]);

		mkdir(path, 0700);
		free(path);
	}
}

/* A plain delivery stays in new/, as from any other agent. */
static bool goes_new(const struct md_incoming *in)
{
	return in->flags == 0 && in->letters == 0;
}

static enum be_result put_one(struct maildir *m, const struct md_incoming *in, char *base, uint32_t uid, bool remember,
			      struct err *e)
{
	bool in_new = goes_new(in);
	char *name = in_new ? mem_str(slice_str(base)) : md_name_make(slice_str(base), "", in->flags, in->letters);
	char *to = path_join("%s/%s/%s", m->path, in_new ? "new" : "cur", name);
	enum be_result r = BE_OK;

	if (rename(in->from, to) < 0)
		r = files_errno(e, "move", in->from);
	else if (remember)
		md_insert(m, &(struct md_mail){ .name = name, .uid = uid, .date_ms = in->date_ms, .in_new = in_new,
						.id_hash = in->id_hash });
	if (r != BE_OK || !remember)
		free(name);
	free(to);
	return r;
}

static void sync_dir(const struct maildir *m, const char *sub)
{
	char *path = path_join("%s/%s", m->path, sub);

	dir_sync(path);
	free(path);
}

static enum be_result put_all(struct maildir *m, const struct md_incoming *in, size_t n, char **bases,
			      uint64_t *uids_r, struct err *e)
{
	struct slice *names = mem_alloc((n + 1) * sizeof(*names));
	uint32_t *uids = mem_alloc((n + 1) * sizeof(*uids));
	struct uidlist u = { 0 };
	enum be_result r = uidlist_load(m->path, &u, e);
	bool dirs[2] = { false, false };

	for (size_t i = 0; i < n; i++)
		names[i] = slice_str(bases[i]);
	if (r == BE_OK)
		r = uidlist_add(m->path, &u, names, n, uids, NULL, NULL, e);
	for (size_t i = 0; i < n && r == BE_OK; i++) {
		r = put_one(m, &in[i], bases[i], uids[i], u.validity == m->validity, e);
		if (r == BE_OK) {
			uids_r[i] = uids[i];
			dirs[goes_new(&in[i])] = true;
		} else if (r == BE_PERM && e->code == ERR_NOT_FOUND) {
			r = BE_OK; /* gone from where it was */
		}
	}
	if (dirs[0])
		sync_dir(m, "cur");
	if (dirs[1])
		sync_dir(m, "new");
	uidlist_free(&u);
	free(names);
	free(uids);
	return r;
}

enum be_result md_put_many(struct maildir *m, const struct md_incoming *in, size_t n, int64_t deadline_ms,
			   uint64_t *uids_r, struct err *e)
{
	char **bases = mem_alloc((n + 1) * sizeof(*bases));
	struct dotlock lock = { 0 };
	enum be_result r;

	for (size_t i = 0; i < n; i++) {
		char unique[128];

		uids_r[i] = 0;
		md_unique(unique, sizeof(unique));
		bases[i] = path_join("%s%.*s", unique, SARG(in[i].sizes));
	}
	make_dirs(m);
	r = n ? uidlist_lock(m->path, deadline_ms, &lock, e) : BE_OK;
	if (r == BE_OK && n)
		r = put_all(m, in, n, bases, uids_r, e);
	dotlock_release(&lock);
	md_unsettle(m);
	for (size_t i = 0; i < n; i++)
		free(bases[i]);
	free(bases);
	return r;
}
