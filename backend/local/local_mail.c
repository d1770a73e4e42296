/* local_mail.c - reading and changing mails of the local backend. Workers. The
 * folder's lock is held to find a file and to change its name, never while a
 * mail is read: an open file stays what it is. Trap: a file that is not where it
 * was a moment ago was renamed by somebody: look again before calling it gone. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/head.h"
#include "backend/local/local_priv.h"
#include "backend/local/mailfile.h"
#include "base/digest.h"

enum { TRIES = 4 }; /* looks before a file that keeps moving is given up */

static enum be_result no_mail(struct err *e, struct slice folder, uint64_t num)
{
	err_set(e, ERR_NOT_FOUND, "no mail %" PRIu64 " in %.*s", num, SARG(folder));
	return BE_PERM;
}

/* -- reading -- */

/* Opens a mail; *fd_r -1 when it is gone. With a head: what the folder knows of it. */
static enum be_result open_mail(struct local_session *s, struct maildir *m, uint64_t num, struct arena *a,
				struct be_head *h, int *fd_r, struct err *e)
{
	enum be_result r = BE_OK;

	*fd_r = -1;
	for (int i = 0; i < TRIES && r == BE_OK && *fd_r < 0; i++) {
		struct md_mail *mail = md_find(m, num);
		char *path;

		if (!mail)
			break;
		path = md_file(m, mail);
		*fd_r = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (*fd_r >= 0 && h) {
			h->item = (struct be_item){ .num = mail->uid, .rev = mail->rev, .date_ms = mail->date_ms };
			h->flags = mail->flags;
			h->n_keywords = md_categories(m, mail, a, &h->keywords);
		}
		if (*fd_r < 0 && errno == ENOENT) {
			md_unsettle(m);
			r = md_sync(m, s->deadline_ms, e);
		} else if (*fd_r < 0) {
			files_errno(e, "open", path);
			r = BE_TEMP;
		}
		free(path);
	}
	return r;
}

static enum be_result read_head(int fd, struct arena *a, struct be_head *h, struct err *e)
{
	struct mail_shape *shape = ARENA_NEW(a, struct mail_shape);
	enum be_result r = mailfile_shape(fd, a, shape, e);

	if (r == BE_OK)
		r = mailfile_head(fd, shape, a, &h->headers, e);
	close(fd);
	h->tree = &shape->tree;
	h->size = shape->size;
	return r;
}

enum be_result local_heads(struct session *session, struct slice folder, const uint64_t *nums, size_t n, struct arena *a,
			   struct be_head *heads_r, size_t *n_r, struct err *e)
{
	struct local_session *s = (struct local_session *)session;
	struct maildir *m;
	enum be_result r = local_folder(s, folder, &m, e);

	*n_r = 0;
	for (size_t i = 0; i < n && r == BE_OK; i++) {
		struct be_head *h = &heads_r[*n_r];
		int fd;

		r = open_mail(s, m, nums[i], a, h, &fd, e);
		if (r != BE_OK || fd < 0)
			continue;
		local_folder_done(s, &m);
		r = read_head(fd, a, h, e);
		*n_r += 1;
		m = local_folder_again(s, folder);
	}
	if (m)
		local_folder_done(s, &m);
	return r;
}

/* The mail that the last part came from: parts of one mail come one after another. */
struct reading {
	int fd;
	uint64_t num;
	struct arena *a;
	struct mail_shape shape;
	bool shaped;
};

static void reading_close(struct reading *rd)
{
	if (rd->fd >= 0)
		close(rd->fd);
	arena_free(&rd->a);
	*rd = (struct reading){ .fd = -1 };
}

static enum be_result reading_open(struct local_session *s, struct slice folder, uint64_t num, struct reading *rd,
				   struct err *e)
{
	struct maildir *m;
	enum be_result r;

	if (rd->a && rd->num == num)
		return BE_OK;
	reading_close(rd);
	rd->a = arena_new();
	rd->num = num;
	m = local_folder_again(s, folder);
	r = open_mail(s, m, num, rd->a, NULL, &rd->fd, e);
	local_folder_done(s, &m);
	return r;
}

static enum be_result read_part(struct reading *rd, struct be_part *p, struct err *e)
{
	const struct mime_part *part;
	uint64_t left, max = p->max;
	enum be_result r;
	int i;

	if (p->part.len == 0)
		return mailfile_copy(rd->fd, true, p->offset, p->max, p->out, e);
	if (!rd->shaped) {
		r = mailfile_shape(rd->fd, rd->a, &rd->shape, e);
		if (r != BE_OK)
			return r;
		rd->shaped = true;
	}
	i = mime_by_number(&rd->shape.tree, p->part);
	if (i == MIME_NONE)
		return BE_PERM;
	part = &rd->shape.tree.v[i];
	if (p->offset >= part->size)
		return BE_OK;
	left = part->size - p->offset;
	if (max == 0 || max > left)
		max = left;
	return mailfile_copy(rd->fd, rd->shape.bare, part->body_off + p->offset, max, p->out, e);
}

enum be_result local_parts(struct session *session, struct slice folder, struct be_part *parts, size_t n, struct err *e)
{
	struct local_session *s = (struct local_session *)session;
	struct reading rd = { .fd = -1 };
	struct maildir *m;
	enum be_result r = local_folder(s, folder, &m, e);

	if (r != BE_OK)
		return r;
	local_folder_done(s, &m);
	for (size_t i = 0; i < n && r == BE_OK; i++) {
		r = reading_open(s, folder, parts[i].num, &rd, e);
		if (r != BE_OK)
			break;
		parts[i].result = rd.fd < 0 ? BE_PERM : read_part(&rd, &parts[i], e);
		if (parts[i].result == BE_TEMP)
			r = BE_TEMP;
	}
	reading_close(&rd);
	return r;
}

/* -- flags -- */

/* $Forwarded is a keyword for IMAP and a letter of its own for Maildir: both are
 * written, the keyword only as far as letters are left. */
static uint32_t forwarded_letter(struct local_session *s, struct maildir *m, bool make)
{
	uint32_t bit = 0;

	for (int i = 0; i < KEYWORDS; i++)
		if (slice_ieq(m->kw[i].atom, S("$Forwarded")))
			return 1u << i;
	if (make && md_letters(m, &S("$Forwarded"), 1, s->deadline_ms, &bit, NULL) != BE_OK)
		bit = 0;
	return bit;
}

static enum be_result wanted_letters(struct local_session *s, struct maildir *m, const struct md_mail *mail,
				     const struct be_flag_change *c, unsigned flags, uint32_t *letters_r, struct err *e)
{
	uint32_t keep = mail->letters, set = 0, forwarded;
	enum be_result r = BE_OK;

	if (c->set_keywords) {
		r = md_letters(m, c->keywords, c->n_keywords, s->deadline_ms, &set, e);
		/* What is no category stays: $Junk, $MDNSent, and letters without a name. */
		for (int i = 0; i < KEYWORDS; i++)
			if (m->kw[i].atom.len && m->kw[i].atom.ptr[0] != '$')
				keep &= ~(1u << i);
	}
	forwarded = forwarded_letter(s, m, flags & MAIL_FORWARDED);
	*letters_r = ((keep | set) & ~forwarded) | (flags & MAIL_FORWARDED ? forwarded : 0);
	return r;
}

static enum be_result set_once(struct local_session *s, struct maildir *m, struct md_mail *mail,
			       const struct be_flag_change *c, struct err *e)
{
	unsigned flags = (mail->flags & ~c->mask) | (c->value & c->mask);
	uint64_t uid = mail->uid;
	uint32_t letters;
	enum be_result r = wanted_letters(s, m, mail, c, flags, &letters, e);

	return r == BE_OK ? md_set(m, md_find(m, uid), flags, letters, e) : r;
}

enum be_result local_set_flags(struct session *session, struct slice folder, uint64_t num, const struct be_flag_change *c,
			       uint32_t *rev_r, struct err *e)
{
	struct local_session *s = (struct local_session *)session;
	struct maildir *m;
	enum be_result r = local_folder(s, folder, &m, e);

	if (r != BE_OK)
		return r;
	for (int i = 0; i < TRIES; i++) {
		struct md_mail *mail;

		if (i && (r = md_sync(m, s->deadline_ms, e)) != BE_OK)
			break;
		mail = md_find(m, num);
		if (!mail) {
			r = no_mail(e, folder, num);
			break;
		}
		r = set_once(s, m, mail, c, e);
		if (r == BE_OK)
			*rev_r = mail->rev;
		if (r != BE_PERM || e->code != ERR_NOT_FOUND)
			break;
	}
	local_folder_done(s, &m);
	return r;
}

/* -- removing and moving -- */

enum be_result local_remove(struct session *session, struct slice folder, const uint64_t *nums, size_t n, struct err *e)
{
	struct local_session *s = (struct local_session *)session;
	struct maildir *m;
	enum be_result r = local_folder(s, folder, &m, e);

	if (r != BE_OK)
		return r;
	for (int tries = 0; tries < TRIES; tries++) {
		bool again = false;

		for (size_t i = 0; i < n && r == BE_OK; i++) {
			struct md_mail *mail = md_find(m, nums[i]);

			if (mail)
				r = md_remove(m, mail, e);
			if (r == BE_PERM && e->code == ERR_NOT_FOUND) {
				again = true;
				r = BE_OK;
			}
		}
		md_compact(m);
		if (!again || r != BE_OK || (r = md_sync(m, s->deadline_ms, e)) != BE_OK)
			break;
	}
	local_folder_done(s, &m);
	return r;
}

/* The letters of dst for a mail of src; keywords that do not fit there are left behind. */
static uint32_t letters_in(struct local_session *s, struct maildir *src, struct md_mail *mail, struct maildir *dst)
{
	struct slice v[KEYWORDS];
	uint32_t letters = 0;
	size_t n = 0;

	for (int i = 0; i < KEYWORDS; i++)
		if ((mail->letters >> i & 1) && src->kw[i].category.len)
			v[n++] = src->kw[i].category;
	if (n && md_letters(dst, v, n, s->deadline_ms, &letters, NULL) != BE_OK)
		letters = 0;
	return letters;
}

/* ",S=1,W=2" of a name goes along. */
static struct slice sizes_of(const struct md_mail *mail, struct arena *a)
{
	struct slice base = slice(mail->name, mail->base_len);
	const char *at = memmem(base.ptr, base.len, ",S=", 3);

	return at ? arena_slice(a, slice_from(base, (size_t)(at - base.ptr))) : S_NONE;
}

static enum be_result move_all(struct local_session *s, struct maildir *src, struct maildir *dst, const uint64_t *nums,
			       size_t n, uint64_t *new_r, struct err *e)
{
	struct arena *a = arena_new();
	struct md_incoming *in = arena_alloc(a, n * sizeof(*in));
	uint64_t *uids = arena_alloc(a, n * sizeof(*uids));
	size_t *at = arena_alloc(a, n * sizeof(*at)), k = 0;
	enum be_result r;

	for (size_t i = 0; i < n; i++) {
		struct md_mail *mail = new_r[i] ? NULL : md_find(src, nums[i]);
		char *from;

		if (!mail)
			continue;
		from = md_file(src, mail);
		in[k] = (struct md_incoming){ .from = arena_str(a, slice_str(from)), .flags = mail->flags,
					      .letters = letters_in(s, src, mail, dst), .date_ms = mail->date_ms,
					      .id_hash = mail->id_hash, .sizes = sizes_of(mail, a) };
		at[k++] = i;
		free(from);
	}
	r = md_put_many(dst, in, k, s->deadline_ms, uids, e);
	for (size_t i = 0; i < k; i++)
		if (uids[i]) {
			new_r[at[i]] = uids[i];
			md_leave(src, md_find(src, nums[at[i]]));
		}
	md_compact(src);
	md_unsettle(src);
	arena_free(&a);
	return r;
}

enum be_result local_move(struct session *session, struct slice folder, const uint64_t *nums, size_t n, struct slice dst,
			  uint64_t *new_r, struct err *e)
{
	struct local_session *s = (struct local_session *)session;
	char *from = tree_dir(s->root, folder), *to = tree_dir(s->root, dst);
	struct maildir *a = NULL, *b = NULL;
	enum be_result r = BE_OK;

	ASSERT_WORKER();
	if (!from || !to || !tree_exists(s->root, dst)) {
		err_set(e, ERR_NOT_FOUND, "no folder %.*s or %.*s", SARG(folder), SARG(dst));
		r = BE_PERM;
	} else {
		md_acquire_two(&s->local->cache, from, to, &a, &b);
	}
	for (size_t i = 0; i < n; i++)
		new_r[i] = 0;
	for (int tries = 0; tries < TRIES && r == BE_OK; tries++) {
		bool rest = false;

		r = md_sync(a, s->deadline_ms, e);
		if (r == BE_OK && a != b)
			r = md_sync(b, s->deadline_ms, e);
		for (size_t i = 0; i < n && r == BE_OK; i++)
			rest |= new_r[i] == 0 && md_find(a, nums[i]);
		if (!rest || r != BE_OK)
			break;
		for (size_t i = 0; i < n && a == b; i++)
			new_r[i] = md_find(a, nums[i]) ? nums[i] : 0;
		if (a != b)
			r = move_all(s, a, b, nums, n, new_r, e);
	}
	if (b && b != a)
		local_folder_done(s, &b);
	if (a)
		local_folder_done(s, &a);
	free(from);
	free(to);
	return r;
}

/* -- adding and finding -- */

enum be_result local_append(struct session *session, struct slice folder, struct blob *mail, unsigned flags,
			    int64_t date_ms, uint64_t *num_r, struct err *e)
{
	struct local_session *s = (struct local_session *)session;
	struct md_incoming in = { .flags = flags, .date_ms = date_ms ? date_ms : clock_wall(s->local->clock) };
	struct maildir *m;
	struct arena *a;
	char *path;
	enum be_result r = local_folder(s, folder, &m, e);

	if (r != BE_OK)
		return r;
	local_folder_done(s, &m); /* writing takes long */
	a = arena_new();
	{
		char *dir = tree_dir(s->root, folder);

		r = mailfile_write(dir, S_NONE, mail, in.date_ms, a, &path, &in.sizes, e);
		free(dir);
	}
	if (r == BE_OK)
		r = local_folder(s, folder, &m, e);
	if (r == BE_OK) {
		in.from = path;
		if (flags & MAIL_FORWARDED)
			in.letters = forwarded_letter(s, m, true);
		r = md_put_many(m, &in, 1, s->deadline_ms, num_r, e);
		local_folder_done(s, &m);
	}
	if (path && r != BE_OK)
		unlink(path);
	free(path);
	arena_free(&a);
	return r;
}

static uint64_t hash_of_id(struct slice id)
{
	uint64_t h = slice_hash(id);

	return h < 2 ? 2 : h;
}

/* Message-ID of one mail, remembered by its hash; compares in full on a match. */
static enum be_result has_id(struct local_session *s, struct slice folder, uint64_t uid, struct slice bare, bool *is_r,
			     struct err *e)
{
	struct maildir *m = local_folder_again(s, folder);
	struct md_mail *mail = m ? md_find(m, uid) : NULL;
	enum be_result r = BE_OK;
	struct slice head, id;
	struct arena *a;
	int fd = -1;

	*is_r = false;
	if (mail && (mail->id_hash == 0 || mail->id_hash == hash_of_id(bare)))
		r = open_mail(s, m, uid, NULL, NULL, &fd, e);
	local_folder_done(s, &m);
	if (fd < 0)
		return r;
	a = arena_new();
	r = mailfile_header(fd, a, &head, e);
	close(fd);
	if (r == BE_OK) {
		id = head_message_id(head);
		*is_r = slice_eq(id, bare);
		m = local_folder_again(s, folder);
		mail = md_find(m, uid);
		if (mail)
			mail->id_hash = id.len ? hash_of_id(id) : 1;
		local_folder_done(s, &m);
	}
	arena_free(&a);
	return r;
}

enum be_result local_find_message_id(struct session *session, struct slice folder, struct slice id, uint64_t *num_r,
				     struct err *e)
{
	struct local_session *s = (struct local_session *)session;
	struct slice bare = slice_trim(id);
	uint32_t *uids;
	struct maildir *m;
	size_t n;
	enum be_result r = local_folder(s, folder, &m, e);

	*num_r = 0;
	if (r != BE_OK)
		return r;
	if (bare.len > 2 && bare.ptr[0] == '<' && bare.ptr[bare.len - 1] == '>')
		bare = slice(bare.ptr + 1, bare.len - 2);
	n = bare.len ? m->n : 0;
	uids = mem_alloc((n + 1) * sizeof(*uids));
	for (size_t i = 0; i < n; i++)
		uids[i] = m->v[i].uid;
	local_folder_done(s, &m);
	while (n-- > 0 && r == BE_OK && *num_r == 0) {
		bool is;

		r = has_id(s, folder, uids[n], bare, &is, e);
		if (r == BE_OK && is)
			*num_r = uids[n];
		if (r == BE_OK && clock_now(&clock_system) > s->deadline_ms) {
			err_set(e, ERR_TIMEOUT, "search in %.*s took too long", SARG(folder));
			r = BE_TEMP;
		}
	}
	free(uids);
	return r;
}
