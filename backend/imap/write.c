/* write.c - flags, moves, removals. Worker. Each stands behind a fresh SELECT, so
 * that it sees mails that came a moment ago.
 * Without UIDPLUS a removal expunges only when nobody else's mail is marked
 * \Deleted; else the mark stays, which the listing takes for gone. */
#include "backend/head.h"
#include "backend/imap/imap.h"

/* -- flags -- */

static const struct {
	unsigned flag;
	const char *word;
} flag_words[] = {
	{ MAIL_SEEN, "\\Seen" },   { MAIL_FLAGGED, "\\Flagged" }, { MAIL_ANSWERED, "\\Answered" },
	{ MAIL_DRAFT, "\\Draft" }, { MAIL_DELETED, "\\Deleted" }, { MAIL_FORWARDED, "$Forwarded" },
};
enum { N_FLAGS = sizeof(flag_words) / sizeof(*flag_words) };

struct words {
	struct slice v[IMAP_KEYWORDS_MAX * 2 + N_FLAGS];
	size_t n;
};

struct flagging {
	struct arena *a;
	uint64_t uid;
	bool found, gone;
	uint32_t rev;
	struct words have;    /* keywords as the server writes them */
};

static void on_flags(void *arg, const struct imap_fetch *f)
{
	struct flagging *c = arg;

	if ((f->have & (HAVE_UID | HAVE_FLAGS)) != (HAVE_UID | HAVE_FLAGS) || f->uid != c->uid)
		return;
	c->found = true;
	c->gone = (f->flags & MAIL_DELETED) != 0;
	c->rev = imap_rev(f);
	c->have.n = 0;
	for (size_t i = 0; i < f->n_keywords; i++)
		c->have.v[c->have.n++] = arena_slice(c->a, f->raw[i]);
}

static bool words_have(const struct words *w, struct slice k)
{
	for (size_t i = 0; i < w->n; i++)
		if (slice_ieq(w->v[i], k))
			return true;
	return false;
}

static void words_add(struct words *w, struct slice k)
{
	if (w->n < sizeof(w->v) / sizeof(*w->v) && k.len && !words_have(w, k))
		w->v[w->n++] = k;
}

static unsigned store_cmd(struct imap_session *s, uint64_t uid, char sign, const struct words *w)
{
	unsigned tag;

	if (!w->n)
		return 0;
	tag = imap_cmd(s, "UID STORE %llu %cFLAGS.SILENT (", (unsigned long long)uid, sign);
	for (size_t i = 0; i < w->n; i++)
		imap_arg(s, "%s%.*s", i ? " " : "", SARG(w->v[i]));
	imap_arg(s, ")");
	imap_end(s);
	return tag;
}

static unsigned look_cmd(struct imap_session *s, uint64_t uid)
{
	unsigned tag = imap_cmd(s, "UID FETCH %llu (UID FLAGS)", (unsigned long long)uid);

	imap_end(s);
	return tag;
}

static enum be_result gone(struct err *e, uint64_t uid)
{
	err_set(e, ERR_NOT_FOUND, "no mail %llu", (unsigned long long)uid);
	return BE_PERM;
}

/* SELECT and a look at the flags: what keyword changes need to know first. */
static enum be_result look(struct imap_session *s, struct slice folder, struct flagging *c, struct err *e)
{
	unsigned sel = select_cmd(s, folder, true), see = look_cmd(s, c->uid);
	enum be_result r = select_done(s, sel, folder, e), r2;

	if (s->w.failed)
		return BE_TEMP;
	r2 = imap_ok(s, see, "FETCH", r == BE_OK ? e : NULL);
	if (r != BE_OK || r2 != BE_OK)
		return r != BE_OK ? r : r2;
	return c->found && !c->gone ? BE_OK : gone(e, c->uid);
}

static enum be_result keyword_diff(struct imap_session *s, const struct flagging *c, const struct be_flag_change *want,
				   struct words *add, struct words *del, struct err *e)
{
	struct words wanted = { .n = 0 };

	for (size_t i = 0; i < want->n_keywords && wanted.n < IMAP_KEYWORDS_MAX; i++)
		words_add(&wanted, mail_keyword_encode(c->a, want->keywords[i]));
	for (size_t i = 0; i < wanted.n; i++) {
		if (words_have(&c->have, wanted.v[i]))
			continue;
		if (!select_allows_keyword(s, wanted.v[i])) {
			err_set(e, ERR_UNSUPPORTED, "the folder takes no keyword %.*s", SARG(wanted.v[i]));
			return BE_PERM;
		}
		words_add(add, wanted.v[i]);
	}
	for (size_t i = 0; i < c->have.n; i++)
		if (!words_have(&wanted, c->have.v[i]))
			words_add(del, c->have.v[i]);
	return BE_OK;
}

static enum be_result store_and_look(struct imap_session *s, struct slice folder, unsigned sel, struct flagging *c,
				     const struct words *add, const struct words *del, struct err *e)
{
	unsigned tags[2] = { store_cmd(s, c->uid, '+', add), store_cmd(s, c->uid, '-', del) };
	unsigned see = look_cmd(s, c->uid);
	enum be_result r = select_done(s, sel, folder, e);
	struct imap_done d;

	c->found = false;
	for (int i = 0; i < 2; i++) {
		if (s->w.failed)
			return BE_TEMP;
		if (tags[i] && r == BE_OK)
			r = imap_ok(s, tags[i], "STORE", e);
	}
	if (s->w.failed || imap_wait(s, see, &d, r == BE_OK ? e : NULL) != BE_OK)
		return BE_TEMP;
	if (r == BE_OK && (!c->found || (c->gone && !words_have(add, S("\\Deleted")))))
		r = gone(e, c->uid);
	return r;
}

static void system_words(const struct imap_session *s, const struct be_flag_change *c, struct words *add, struct words *del)
{
	for (size_t i = 0; i < N_FLAGS; i++) {
		struct slice word = slice_str(flag_words[i].word);

		/* $Forwarded is an ornament: where the folder takes no keywords it is left out. */
		if (!(c->mask & flag_words[i].flag) ||
		    (flag_words[i].flag == MAIL_FORWARDED && s->sel.path && !select_allows_keyword(s, word)))
			continue;
		words_add(c->value & flag_words[i].flag ? add : del, word);
	}
}

enum be_result imap_set_flags(struct session *base, struct slice folder, uint64_t num, const struct be_flag_change *c,
			      uint32_t *rev_r, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	bool look_first = c->set_keywords || c->mask & MAIL_FORWARDED;
	struct flagging f = { .a = arena_new(), .uid = num };
	const struct imap_handlers h = { .arg = &f, .fetch = on_flags };
	struct words add = { .n = 0 }, del = { .n = 0 };
	enum be_result r = BE_OK;
	unsigned sel = 0;

	imap_set_handlers(s, &h);
	if (look_first)
		r = look(s, folder, &f, e);
	if (r == BE_OK && c->set_keywords)
		r = keyword_diff(s, &f, c, &add, &del, e);
	if (r == BE_OK) {
		system_words(s, c, &add, &del);
		if (!look_first)
			sel = select_cmd(s, folder, true);
		r = store_and_look(s, folder, sel, &f, &add, &del, e);
	}
	imap_set_handlers(s, NULL);
	if (r == BE_OK && rev_r)
		*rev_r = f.rev;
	arena_free(&f.a);
	return r;
}

/* -- move -- */

struct moving {
	struct arena *a;
	const uint64_t *nums;
	uint64_t *new_r;
	size_t n;
	struct slice *ids;   /* Message-IDs, when the server gives no COPYUID */
	bool mapped;
	uint64_t best;       /* newest hit of a search */
};

/* "uidvalidity source-set destination-set" (RFC 4315): two sets walked in step. */
static void map_copyuid(struct moving *m, struct slice args)
{
	struct slice word, src, dst;
	uint64_t s1 = 1, s2 = 0, d1 = 1, d2 = 0;

	if (!slice_split(&args, ' ', &word) || !slice_split(&args, ' ', &src) || !slice_split(&args, ' ', &dst))
		return;
	m->mapped = true;
	for (size_t steps = 0; steps < m->n + 1000; steps++, s1++, d1++) {
		if (s1 > s2 && !set_next(&src, &s1, &s2))
			return;
		if (d1 > d2 && !set_next(&dst, &d1, &d2))
			return;
		for (size_t i = 0; i < m->n; i++)
			if (m->nums[i] == s1)
				m->new_r[i] = d1;
	}
}

static void on_code(void *arg, struct slice code, struct slice args)
{
	if (slice_ieq(code, S("COPYUID")))
		map_copyuid(arg, args);
}

static void on_id(void *arg, const struct imap_fetch *f)
{
	struct moving *m = arg;

	if ((f->have & (HAVE_UID | HAVE_HEADER)) != (HAVE_UID | HAVE_HEADER))
		return;
	for (size_t i = 0; i < m->n; i++)
		if (m->nums[i] == f->uid)
			m->ids[i] = head_message_id(f->header);
}

static void on_hit(void *arg, uint64_t uid)
{
	struct moving *m = arg;

	if (uid > m->best)
		m->best = uid;
}

static void put_set(struct imap_session *s, struct slice set)
{
	wire_put(&s->w, set.ptr, set.len);
}

static enum be_result learn_ids(struct imap_session *s, struct slice folder, struct moving *m, struct slice set,
				struct err *e)
{
	const struct imap_handlers h = { .arg = m, .a = m->a, .fetch = on_id };
	unsigned sel, tag;
	enum be_result r;

	m->ids = arena_alloc(m->a, m->n * sizeof(*m->ids));
	imap_set_handlers(s, &h);
	sel = select_cmd(s, folder, true);
	tag = imap_cmd(s, "UID FETCH ");
	put_set(s, set);
	imap_arg(s, " (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
	imap_end(s);
	r = select_done(s, sel, folder, e);
	if (s->w.failed)
		return BE_TEMP;
	if (r != BE_OK) {
		struct imap_done d;

		return imap_wait(s, tag, &d, NULL) == BE_OK ? r : BE_TEMP;
	}
	return imap_ok(s, tag, "FETCH", e);
}

static enum be_result mark_and_expunge(struct imap_session *s, struct slice set, struct err *e);

static enum be_result move_cmd(struct imap_session *s, struct slice folder, struct slice set, struct slice dst,
			       struct moving *m, struct err *e)
{
	struct imap_done d;
	enum be_result r = select_done(s, select_cmd(s, folder, true), folder, e);
	unsigned tag;

	/* Not in one flush: a server that keeps the old folder after a refused SELECT
	 * would move other mails. */
	if (r != BE_OK)
		return r;
	tag = imap_cmd(s, imap_has(s, CAP_MOVE) ? "UID MOVE " : "UID COPY ");
	put_set(s, set);
	imap_arg(s, " ");
	imap_arg_mailbox(s, dst);
	imap_end(s);
	if (imap_wait(s, tag, &d, e) != BE_OK)
		return BE_TEMP;
	if (d.status != IMAP_OK) {
		r = imap_refused(&d, "move", e);
		if (r == BE_PERM && d.status == IMAP_NO && d.code.len == 0)
			err_set(e, ERR_NOT_FOUND, "move: %.*s", SARG(d.text));
		return r;
	}
	if (imap_code(&d, "COPYUID"))
		map_copyuid(m, d.args);
	return imap_has(s, CAP_MOVE) ? BE_OK : mark_and_expunge(s, set, e);
}

/* New numbers by Message-ID, all searches in one flush. */
static enum be_result find_moved(struct imap_session *s, struct slice dst, struct moving *m, struct err *e)
{
	const struct imap_handlers h = { .arg = m, .search = on_hit };
	unsigned *tags = arena_alloc(m->a, m->n * sizeof(*tags));
	unsigned sel;
	enum be_result r;

	imap_set_handlers(s, &h);
	sel = select_cmd(s, dst, true);
	for (size_t i = 0; i < m->n; i++) {
		if (!m->ids[i].len)
			continue;
		tags[i] = imap_cmd(s, "UID SEARCH UNDELETED HEADER MESSAGE-ID ");
		if (imap_arg_string(s, arena_printf(m->a, "<%.*s>", SARG(m->ids[i])), e) < 0)
			return BE_TEMP;
		imap_end(s);
	}
	r = select_done(s, sel, dst, e);
	for (size_t i = 0; i < m->n; i++) {
		struct imap_done d;

		m->best = 0;
		if (!tags[i])
			continue;
		if (s->w.failed || imap_wait(s, tags[i], &d, e) != BE_OK)
			return BE_TEMP;
		m->new_r[i] = m->best;
	}
	return r == BE_TEMP ? r : BE_OK;
}

enum be_result imap_move(struct session *base, struct slice folder, const uint64_t *nums, size_t n, struct slice dst,
			 uint64_t *new_r, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	struct moving m = { .a = arena_new(), .nums = nums, .new_r = new_r, .n = n };
	const struct imap_handlers h = { .arg = &m, .code = on_code };
	struct slice set = set_format(m.a, nums, n);
	enum be_result r = BE_OK;

	for (size_t i = 0; i < n; i++)
		new_r[i] = 0;
	if (n && !imap_has(s, CAP_UIDPLUS))
		r = learn_ids(s, folder, &m, set, e);
	imap_set_handlers(s, &h);
	if (n && r == BE_OK)
		r = move_cmd(s, folder, set, dst, &m, e);
	if (r == BE_OK && m.ids && !m.mapped)
		r = find_moved(s, dst, &m, e);
	imap_set_handlers(s, NULL);
	arena_free(&m.a);
	return r;
}

/* -- remove -- */

struct marked {
	struct slice set; /* ours, as written */
	bool others;
};

static void on_marked(void *arg, uint64_t uid)
{
	struct marked *m = arg;
	struct slice rest = m->set;
	uint64_t a, b;

	while (set_next(&rest, &a, &b))
		if (uid >= a && uid <= b)
			return;
	m->others = true;
}

static unsigned mark_cmd(struct imap_session *s, struct slice set)
{
	unsigned tag = imap_cmd(s, "UID STORE ");

	put_set(s, set);
	imap_arg(s, " +FLAGS.SILENT (\\Deleted)");
	imap_end(s);
	return tag;
}

static enum be_result expunge_if_alone(struct imap_session *s, struct slice set, struct err *e)
{
	struct marked m = { .set = set };
	const struct imap_handlers h = { .arg = &m, .search = on_marked };
	const struct imap_handlers *was = s->h;
	unsigned tag = imap_cmd(s, "UID SEARCH DELETED");
	enum be_result r;

	imap_end(s);
	imap_set_handlers(s, &h);
	r = imap_ok(s, tag, "SEARCH", e);
	if (r == BE_OK && !m.others) {
		tag = imap_cmd(s, "EXPUNGE");
		imap_end(s);
		r = imap_ok(s, tag, "EXPUNGE", e);
	}
	imap_set_handlers(s, was);
	return r;
}

/* The folder is selected (or its SELECT is written before). */
static enum be_result mark_and_expunge(struct imap_session *s, struct slice set, struct err *e)
{
	unsigned mark = mark_cmd(s, set), expunge = 0;
	struct imap_done d;
	enum be_result r;

	if (imap_has(s, CAP_UIDPLUS)) {
		expunge = imap_cmd(s, "UID EXPUNGE ");
		put_set(s, set);
		imap_end(s);
	}
	r = imap_ok(s, mark, "STORE", e);
	if (s->w.failed)
		return BE_TEMP;
	if (!expunge)
		return r == BE_OK ? expunge_if_alone(s, set, e) : r;
	if (r == BE_OK)
		return imap_ok(s, expunge, "EXPUNGE", e);
	return imap_wait(s, expunge, &d, NULL) == BE_OK ? r : BE_TEMP;
}

enum be_result imap_remove(struct session *base, struct slice folder, const uint64_t *nums, size_t n, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	struct arena *a = arena_new();
	struct slice set = set_format(a, nums, n);
	unsigned sel = n ? select_cmd(s, folder, true) : 0;
	enum be_result r = BE_OK;

	/* Not in one flush: after a refused SELECT nothing must be marked elsewhere. */
	if (n)
		r = select_done(s, sel, folder, e);
	if (n && r == BE_OK)
		r = mark_and_expunge(s, set, e);
	arena_free(&a);
	return r;
}
