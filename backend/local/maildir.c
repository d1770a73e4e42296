/* maildir.c - looking at a Maildir folder and remembering it. Any worker, with
 * m->mu held. Owns the list of mails, the journal and the tokens.
 *
 * A look: read new/ first, then cur/ (a mail on its way from the one to the other is
 * then seen twice instead of never), compare by base name, give UIDs to what has
 * none. readdir may miss a file that is renamed meanwhile, so a mail counts as gone
 * only when two looks missed it and nothing moved during the second. */
#include "backend/local/maildir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOKS = 5,
	JOURNAL_MAX = 8192,
	NAME_MAX_BYTES = 255,
	GRAIN_MS = 100,         /* file systems stamp by the kernel's tick */
	GRAIN_COARSE_MS = 2100, /* or by seconds: then the nanoseconds are 0 */
};

/* -- memory -- */

static uint64_t mix(uint64_t uid, uint64_t rev)
{
	uint64_t x = uid * 0x9e3779b97f4a7c15u ^ (rev + 1) * 0xc2b2ae3d27d4eb4fu;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9u;
	return x ^ x >> 32;
}

static struct slice base_of(const struct md_mail *m)
{
	return slice(m->name, m->base_len);
}

/* Marked deleted means gone for everyone but the file. */
static bool listed(const struct md_mail *m)
{
	return !(m->flags & MAIL_DELETED);
}

static void sum_toggle(struct maildir *m, const struct md_mail *mail, int sign)
{
	if (listed(mail))
		m->sum += (uint64_t)sign * mix(mail->uid, mail->rev);
}

static void index_put(struct maildir *m, size_t pos)
{
	size_t at = slice_hash(base_of(&m->v[pos])) & (m->index_size - 1);

	while (m->index[at])
		at = (at + 1) & (m->index_size - 1);
	m->index[at] = (uint32_t)pos + 1;
}

static void index_make(struct maildir *m)
{
	size_t size = 16;

	while (size < m->n * 2)
		size *= 2;
	free(m->index);
	m->index = mem_alloc(size * sizeof(*m->index));
	m->index_size = size;
	for (size_t i = 0; i < m->n; i++)
		index_put(m, i);
}

struct md_mail *md_find_base(struct maildir *m, struct slice base)
{
	if (!m->index_size)
		return NULL;
	for (size_t at = slice_hash(base) & (m->index_size - 1); m->index[at]; at = (at + 1) & (m->index_size - 1)) {
		struct md_mail *mail = &m->v[m->index[at] - 1];

		if (!mail->left && slice_eq(base_of(mail), base))
			return mail;
	}
	return NULL;
}

static size_t position(const struct maildir *m, uint64_t uid)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->v[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct md_mail *md_find(struct maildir *m, uint64_t uid)
{
	size_t i = position(m, uid);

	if (i == m->n || m->v[i].uid != uid || m->v[i].left || !listed(&m->v[i]))
		return NULL;
	return &m->v[i];
}

static void journal(struct maildir *m, uint32_t uid)
{
	if (m->n_gone == JOURNAL_MAX) {
		m->journal_from = m->gone[JOURNAL_MAX / 2 - 1].modseq;
		m->n_gone -= JOURNAL_MAX / 2;
		memmove(m->gone, m->gone + JOURNAL_MAX / 2, m->n_gone * sizeof(*m->gone));
	}
	if (m->n_gone == m->cap_gone) {
		m->cap_gone = m->cap_gone ? m->cap_gone * 2 : 16;
		m->gone = mem_realloc(m->gone, m->cap_gone * sizeof(*m->gone));
	}
	m->gone[m->n_gone++] = (struct md_gone){ uid, ++m->modseq };
}

static uint32_t rev_of(const struct maildir *m, unsigned flags, uint32_t letters)
{
	struct slice k[KEYWORDS];
	size_t n = 0;

	for (int i = 0; i < KEYWORDS; i++)
		if ((letters >> i & 1) && m->kw[i].category.len)
			k[n++] = m->kw[i].category;
	return mail_rev(flags, k, n);
}

/* Flags from the name, $Forwarded also from its keyword. */
static void read_name(const struct maildir *m, struct md_mail *mail)
{
	unsigned flags;

	md_name_flags(mail->name, &flags, &mail->letters);
	for (int i = 0; i < KEYWORDS; i++)
		if ((mail->letters >> i & 1) && slice_ieq(m->kw[i].atom, S("$Forwarded")))
			flags |= MAIL_FORWARDED;
	mail->flags = (uint8_t)flags;
	mail->rev = rev_of(m, flags, mail->letters);
}

void md_refresh(struct maildir *m, struct md_mail *mail)
{
	uint32_t before = mail->rev;

	sum_toggle(m, mail, -1);
	read_name(m, mail);
	sum_toggle(m, mail, 1);
	if (mail->rev != before)
		mail->modseq = ++m->modseq;
}

void md_insert(struct maildir *m, const struct md_mail *mail)
{
	size_t i = position(m, mail->uid);
	struct md_mail *at;

	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		m->v = mem_realloc(m->v, m->cap * sizeof(*m->v));
	}
	at = &m->v[i];
	memmove(at + 1, at, (m->n - i) * sizeof(*at));
	m->n++;
	*at = *mail;
	at->base_len = (uint16_t)md_base_len(at->name);
	at->scan = m->scan;
	at->modseq = ++m->modseq;
	read_name(m, at);
	sum_toggle(m, at, 1);
	if (i + 1 == m->n && m->n * 2 <= m->index_size)
		index_put(m, i);
	else
		index_make(m);
}

void md_leave(struct maildir *m, struct md_mail *mail)
{
	if (mail->left)
		return;
	sum_toggle(m, mail, -1);
	journal(m, mail->uid);
	mail->left = true;
}

void md_compact(struct maildir *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (m->v[i].left)
			free(m->v[i].name);
		else
			m->v[n++] = m->v[i];
	}
	if (n == m->n)
		return;
	m->n = n;
	index_make(m);
}

/* Nothing is known any more; tokens of this memory are worth a full listing. */
void md_clear(struct maildir *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].name);
	m->n = 0;
	m->n_gone = 0;
	m->sum = 0;
	m->journal_from = ++m->modseq;
	m->loaded = m->settled = false;
	m->validity = 0;
	index_make(m);
}

void md_free(struct maildir **mp)
{
	struct maildir *m = *mp;

	*mp = NULL;
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].name);
	for (int i = 0; i < KEYWORDS; i++) {
		free((char *)m->kw[i].atom.ptr);
		free((char *)m->kw[i].category.ptr);
	}
	free(m->v);
	free(m->index);
	free(m->gone);
	free(m->path);
	pthread_mutex_destroy(&m->mu);
	free(m);
}

void md_unsettle(struct maildir *m)
{
	m->settled = false;
}

/* -- one look at the directories -- */

/* A mail that is not remembered yet. */
struct fresh {
	char *name;
	size_t base_len;
	bool in_new;
	int64_t date_ms;
	uint32_t uid;
};

struct look {
	struct arena *a;
	struct fresh *v;
	size_t n, cap;
	size_t seen; /* remembered mails that are there */
};

/* What cannot stand in the list of UIDs is no mail of anyone. */
static bool usable_name(const char *name)
{
	size_t n = 0;

	if (name[0] == '.' || name[0] == ':')
		return false;
	for (; name[n]; n++)
		if ((unsigned char)name[n] < 0x20 || name[n] == 0x7f)
			return false;
	return n <= NAME_MAX_BYTES;
}

static void saw_known(struct maildir *m, struct md_mail *mail, const char *name, bool in_new, struct look *l)
{
	l->seen += mail->scan != m->scan;
	mail->scan = m->scan;
	mail->in_new = in_new;
	if (strcmp(mail->name, name) == 0)
		return;
	free(mail->name);
	mail->name = mem_str(slice_str(name));
	md_refresh(m, mail);
}

static enum be_result look_dir(struct maildir *m, const char *sub, bool in_new, struct look *l, struct err *e)
{
	char *path = path_join("%s/%s", m->path, sub);
	DIR *d = opendir(path);
	/* Without new/ there is just nothing new: the next delivery makes it. */
	enum be_result r = d || (in_new && errno == ENOENT) ? BE_OK : files_errno(e, "read", path);
	struct dirent *f;

	while (d && (errno = 0, f = readdir(d))) {
		struct md_mail *mail;

		if (!usable_name(f->d_name) || f->d_type == DT_DIR)
			continue;
		mail = md_find_base(m, slice(f->d_name, md_base_len(f->d_name)));
		if (mail) {
			saw_known(m, mail, f->d_name, in_new, l);
			continue;
		}
		l->v = arena_grow(l->a, l->v, l->n, &l->cap, sizeof(*l->v));
		l->v[l->n++] = (struct fresh){ arena_str(l->a, slice_str(f->d_name)), md_base_len(f->d_name), in_new, 0, 0 };
	}
	if (d && errno)
		r = files_errno(e, "read", path);
	if (d)
		closedir(d);
	free(path);
	return r;
}

/* By time of delivery, which begins the name, then by name; cur/ before new/. */
static int by_arrival(const void *a, const void *b)
{
	const struct fresh *x = a, *y = b;
	unsigned long long tx = strtoull(x->name, NULL, 10), ty = strtoull(y->name, NULL, 10);
	int r;

	if (tx != ty)
		return tx < ty ? -1 : 1;
	r = slice_cmp(slice(x->name, x->base_len), slice(y->name, y->base_len));
	return r ? r : (int)x->in_new - (int)y->in_new;
}

/* Sorts, drops doubles (seen in both directories) and what is no file, dates the rest. */
static void look_finish(struct maildir *m, struct look *l)
{
	size_t n = 0;

	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_arrival);
	for (size_t i = 0; i < l->n; i++) {
		struct fresh *f = &l->v[i];
		char *path;
		struct stat st;
		int ok;

		if (n && slice_eq(slice(f->name, f->base_len), slice(l->v[n - 1].name, l->v[n - 1].base_len)))
			continue;
		path = path_join("%s/%s/%s", m->path, f->in_new ? "new" : "cur", f->name);
		ok = lstat(path, &st) == 0 && S_ISREG(st.st_mode);
		free(path);
		if (!ok)
			continue; /* renamed just now: the next look has it */
		f->date_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
		l->v[n++] = *f;
	}
	l->n = n;
}

static enum be_result read_stamps(struct maildir *m, struct md_stamps *s, struct err *e)
{
	static const struct {
		const char *name;
		size_t off;
	} what[] = {
		{ "new", offsetof(struct md_stamps, dir_new) },
		{ "cur", offsetof(struct md_stamps, dir_cur) },
		{ "dovecot-uidlist", offsetof(struct md_stamps, uidlist) },
		{ "dovecot-keywords", offsetof(struct md_stamps, keywords) },
	};
	enum be_result r = BE_OK;

	for (size_t i = 0; i < sizeof(what) / sizeof(*what) && r == BE_OK; i++) {
		char *path = path_join("%s/%s", m->path, what[i].name);

		if (stamp_of(path, (struct stamp *)((char *)s + what[i].off)) < 0)
			r = files_errno(e, "look at", path);
		free(path);
	}
	return r;
}

static bool dirs_eq(const struct md_stamps *a, const struct md_stamps *b)
{
	return stamp_eq(&a->dir_new, &b->dir_new) && stamp_eq(&a->dir_cur, &b->dir_cur);
}

static bool stamps_eq(const struct md_stamps *a, const struct md_stamps *b)
{
	return dirs_eq(a, b) && stamp_eq(&a->uidlist, &b->uidlist) && stamp_eq(&a->keywords, &b->keywords);
}

/* Is the stamp old enough that a change after the look gets another one? */
static bool old_enough(const struct stamp *s, int64_t wall_ms)
{
	int64_t grain = s->mtime_ns % 1000000000 ? GRAIN_MS : GRAIN_COARSE_MS;

	return (int64_t)(s->mtime_ns / 1000000) + grain < wall_ms;
}

static bool stamps_settled(const struct md_stamps *s, int64_t wall_ms)
{
	return old_enough(&s->dir_new, wall_ms) && old_enough(&s->dir_cur, wall_ms) &&
	       old_enough(&s->uidlist, wall_ms) && old_enough(&s->keywords, wall_ms);
}

/* -- UIDs -- */

/* Does the list still say what is remembered? */
static bool list_agrees(struct maildir *m, struct uidlist *u)
{
	if (u->validity != m->validity)
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (uidlist_find(u, base_of(&m->v[i])) != m->v[i].uid)
			return false;
	return true;
}

static size_t find_uids(struct look *l, struct uidlist *u)
{
	size_t missing = 0;

	for (size_t i = 0; i < l->n; i++) {
		l->v[i].uid = u->validity ? uidlist_find(u, slice(l->v[i].name, l->v[i].base_len)) : 0;
		missing += l->v[i].uid == 0;
	}
	return missing;
}

static int by_text(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* What is in the folder now, seen under the list's lock, for a rewrite of it. */
struct live {
	struct maildir *m;
	struct slice *v;
	size_t n;
};

static bool line_live(void *arg, const struct uid_line *line)
{
	struct live *l = arg;

	return md_find_base(l->m, line->base) || bsearch(&line->base, l->v, l->n, sizeof(*l->v), by_text);
}

static struct live *live_now(struct maildir *m, struct arena *a)
{
	struct live *live = ARENA_NEW(a, struct live);
	struct look l = { .a = a };

	if (look_dir(m, "new", true, &l, NULL) != BE_OK || look_dir(m, "cur", false, &l, NULL) != BE_OK)
		return NULL;
	live->m = m;
	live->v = arena_alloc(a, l.n * sizeof(*live->v));
	live->n = l.n;
	for (size_t i = 0; i < l.n; i++)
		live->v[i] = slice(l.v[i].name, l.v[i].base_len);
	if (live->n)
		qsort(live->v, live->n, sizeof(*live->v), by_text);
	return live;
}

/* UIDs for what has none, under the lock: another process may have been first. */
static enum be_result give_uids(struct maildir *m, struct look *l, struct uidlist *u, int64_t deadline_ms, struct err *e)
{
	enum { DEAD_LINES = 100 }; /* borne before a rewrite, beside a quarter */
	struct dotlock lock;
	enum be_result r = uidlist_lock(m->path, deadline_ms, &lock, e);
	struct slice *bases;
	uint32_t *uids;
	size_t n = 0;

	if (r != BE_OK)
		return r;
	uidlist_free(u);
	r = uidlist_load(m->path, u, e);
	if (r == BE_OK && (find_uids(l, u) || u->validity == 0)) {
		size_t here = m->n + l->n;
		struct live *live = u->n > here + here / 4 + DEAD_LINES ? live_now(m, l->a) : NULL;

		bases = arena_alloc(l->a, l->n * sizeof(*bases));
		uids = arena_alloc(l->a, l->n * sizeof(*uids));
		for (size_t i = 0; i < l->n; i++)
			if (l->v[i].uid == 0)
				bases[n++] = slice(l->v[i].name, l->v[i].base_len);
		r = uidlist_add(m->path, u, bases, n, uids, live ? line_live : NULL, live, e);
		n = 0;
		for (size_t i = 0; i < l->n && r == BE_OK; i++)
			if (l->v[i].uid == 0)
				l->v[i].uid = uids[n++];
	}
	dotlock_release(&lock);
	return r;
}

static int by_uid(const void *a, const void *b)
{
	const struct fresh *x = a, *y = b;

	return (x->uid > y->uid) - (x->uid < y->uid);
}

static void take_fresh(struct maildir *m, struct look *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_uid);
	for (size_t i = 0; i < l->n; i++) {
		struct fresh *f = &l->v[i];

		md_insert(m, &(struct md_mail){ .name = mem_str(slice_str(f->name)), .uid = f->uid,
						.date_ms = f->date_ms, .in_new = f->in_new });
	}
}

/* -- the look as a whole -- */

enum looked { LOOK_DONE, LOOK_AGAIN, LOOK_FAILED };

static void drop_missing(struct maildir *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].scan != m->scan)
			md_leave(m, &m->v[i]);
	md_compact(m);
}

/* Names and UIDs of what this look found that is new. */
static enum looked settle_uids(struct maildir *m, struct look *l, const struct md_stamps *s, int64_t deadline_ms,
			       enum be_result *r_r, struct err *e)
{
	struct uidlist u = { 0 };
	enum looked out = LOOK_FAILED;

	if (m->loaded && l->n == 0 && stamp_eq(&m->stamps.uidlist, &s->uidlist))
		return LOOK_DONE;
	/* New mails mostly need new UIDs: straight to the lock, the list is long. */
	*r_r = l->n ? BE_OK : uidlist_load(m->path, &u, e);
	if (*r_r == BE_OK && u.validity == 0)
		*r_r = give_uids(m, l, &u, deadline_ms, e);
	if (*r_r == BE_OK && m->n && !list_agrees(m, &u)) {
		md_clear(m); /* somebody made the list anew */
		out = LOOK_AGAIN;
	} else if (*r_r == BE_OK) {
		if (m->validity != u.validity)
			md_clear(m);
		m->validity = u.validity;
		take_fresh(m, l);
		out = LOOK_DONE;
	}
	uidlist_free(&u);
	return out;
}

static enum looked look_once(struct maildir *m, int nth, struct look *l, int64_t deadline_ms, enum be_result *r_r,
			     struct err *e)
{
	int64_t wall = clock_wall(&clock_system);
	struct md_stamps before, after;
	bool quiet, missing;
	enum looked out;

	*r_r = read_stamps(m, &before, e);
	if (*r_r != BE_OK)
		return LOOK_FAILED;
	if (m->loaded && m->settled && stamps_eq(&m->stamps, &before))
		return LOOK_DONE;
	if (!stamp_eq(&m->stamps.keywords, &before.keywords) || !m->loaded)
		*r_r = md_keywords_load(m, e);
	m->scan++;
	if (*r_r == BE_OK)
		*r_r = look_dir(m, "new", true, l, e);
	if (*r_r == BE_OK)
		*r_r = look_dir(m, "cur", false, l, e);
	if (*r_r == BE_OK)
		*r_r = read_stamps(m, &after, e);
	if (*r_r != BE_OK)
		return LOOK_FAILED;
	quiet = dirs_eq(&before, &after);
	missing = l->seen < m->n;
	if (missing && nth + 1 < LOOKS && !(nth > 0 && quiet))
		return LOOK_AGAIN;
	if (missing && quiet)
		drop_missing(m);
	look_finish(m, l);
	out = settle_uids(m, l, &after, deadline_ms, r_r, e);
	if (out != LOOK_DONE)
		return out;
	m->loaded = true;
	m->settled = quiet && stamps_settled(&before, wall) && stamps_eq(&before, &after);
	m->stamps = after;
	return LOOK_DONE;
}

static enum be_result folder_gone(struct maildir *m, struct err *e)
{
	md_clear(m);
	err_set(e, ERR_NOT_FOUND, "no folder %s", m->path);
	return BE_PERM;
}

enum be_result md_sync(struct maildir *m, int64_t deadline_ms, struct err *e)
{
	enum looked out = LOOK_AGAIN;
	enum be_result r = BE_OK;

	for (int nth = 0; out == LOOK_AGAIN && nth < 2 * LOOKS; nth++) {
		struct look l = { .a = arena_new() };

		out = look_once(m, nth, &l, deadline_ms, &r, e);
		arena_free(&l.a);
	}
	if (out == LOOK_FAILED && r == BE_PERM && e->code == ERR_NOT_FOUND)
		return folder_gone(m, e);
	if (out == LOOK_AGAIN) {
		err_set(e, ERR_BACKEND_TEMP, "%s changes faster than it can be read", m->path);
		return BE_TEMP;
	}
	return r;
}

/* -- tokens -- */

static uint64_t stamps_hash(const struct md_stamps *s)
{
	const struct stamp *v[] = { &s->dir_new, &s->dir_cur, &s->uidlist, &s->keywords };
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < 4; i++)
		h = mix(mix(h ^ v[i]->mtime_ns, v[i]->size), v[i]->dev_ino);
	return h ? h : 1;
}

struct slice md_token(const struct maildir *m, struct arena *a)
{
	return arena_printf(a, "l1:%" PRIu32 ":%" PRIx64 ":%" PRIu64 ":%" PRIx64 ":%" PRIx64, m->validity, m->generation,
			    m->modseq, m->sum, m->settled ? stamps_hash(&m->stamps) : 0);
}

struct token {
	uint64_t validity, generation, modseq, sum, stamps;
};

static bool hex64(struct slice s, uint64_t *v_r)
{
	uint64_t v = 0;

	if (s.len == 0 || s.len > 16)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (d < 0)
			return false;
		v = v << 4 | (uint64_t)d;
	}
	*v_r = v;
	return true;
}

static bool token_parse(struct slice s, struct token *t)
{
	struct slice f[6];

	for (int i = 0; i < 6; i++)
		if (!slice_split(&s, ':', &f[i]))
			return false;
	return slice_eq(f[0], S("l1")) && slice_u64(f[1], &t->validity) && hex64(f[2], &t->generation) &&
	       slice_u64(f[3], &t->modseq) && hex64(f[4], &t->sum) && hex64(f[5], &t->stamps);
}

enum md_since md_token_read(const struct maildir *m, struct slice token, uint64_t *modseq_r)
{
	struct token t;

	*modseq_r = 0;
	if (!token_parse(token, &t) || t.validity != m->validity)
		return MD_FULL;
	if (t.generation == m->generation && t.modseq >= m->journal_from && t.modseq <= m->modseq) {
		*modseq_r = t.modseq;
		return t.modseq == m->modseq ? MD_NOTHING : MD_JOURNAL;
	}
	return t.sum == m->sum ? MD_NOTHING : MD_FULL;
}

bool md_token_fresh(const char *path, struct slice token, uint32_t *validity_r)
{
	struct maildir m = { .path = (char *)path };
	struct md_stamps s;
	struct token t;

	if (!token_parse(token, &t) || t.stamps == 0 || read_stamps(&m, &s, NULL) != BE_OK || s.dir_cur.dev_ino == 0)
		return false;
	*validity_r = (uint32_t)t.validity;
	return stamps_hash(&s) == t.stamps;
}
