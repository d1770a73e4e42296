/* test_contract.c - the world a contract case runs in, and its hands and eyes. */
#include "contract/contract.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE_MS = 30000 };

static int64_t deadline(void)
{
	return clock_now(&clock_system) + DEADLINE_MS;
}

struct session *log_in(struct world *w, struct backend *b, int who)
{
	struct session *s = NULL;
	struct err e = { 0 };
	enum be_result r = b->ops->login(b, &w->cred[who], deadline(), &s, &e);

	if (r != BE_OK)
		test_fail(__FILE__, __LINE__, "login: %s", e.text);
	CHECK(s != NULL);
	return s;
}

struct slice unique(struct world *w, const char *prefix)
{
	static unsigned n;

	return arena_printf(w->a, "%s-%lx-%lx-%u", prefix, (long)time(NULL) & 0xffffff, (long)getpid(), n++);
}

/* Static: after a failed check the next case still finds what was left open. */
static struct world world;

static void leave(struct world *w)
{
	struct err e;

	if (w->s && w->folder.len)
		w->s->ops->folder_delete(w->s, w->folder, &e);
	if (w->s)
		w->s->ops->logout(&w->s);
	if (w->other)
		w->other->ops->logout(&w->other);
	w->rig->down(w);
}

void contract_run(const struct rig *rig, contract_fn *fn)
{
	struct world *w = &world;

	if (w->s) /* of a case that failed; servers count connections */
		w->s->ops->logout(&w->s);
	if (w->other)
		w->other->ops->logout(&w->other);
	*w = (struct world){ .rig = rig, .a = test_arena(), .keeps_tokens = true };
	rig->up(w);
	w->s = log_in(w, w->b, 0);
	w->other = log_in(w, w->b, 0);
	w->folder = make_folder(w, S_NONE, "case");
	fn(w);
	leave(w);
}

void contract_skip(struct world *w, const char *reason)
{
	leave(w);
	test_skip(reason);
}

#define OK(call)                                                                             \
	do {                                                                                 \
		struct err e = { 0 };                                                        \
		enum be_result r_ = (call);                                                  \
		if (r_ != BE_OK)                                                             \
			test_fail(__FILE__, __LINE__, "%s: %d %s", #call, (int)r_, e.text);  \
	} while (0)

struct slice make_folder(struct world *w, struct slice parent, const char *name)
{
	struct slice path;

	OK(w->s->ops->folder_create(w->s, parent, unique(w, name), FOLDER_USER_MAIL, w->a, &path, &e));
	CHECK(path.len > 0);
	return path;
}

uint64_t put_flags(struct world *w, struct session *s, struct slice folder, struct slice mail, unsigned flags, int64_t date_ms)
{
	struct blob *b = blob_new(0);
	uint64_t num = 0;

	CHECK(blob_append(b, mail.ptr, mail.len, NULL) == 0);
	OK(s->ops->append(s, folder, b, flags, date_ms, &num, &e));
	blob_free(&b);
	CHECK(num > 0);
	return num;
}

uint64_t put(struct world *w, struct session *s, struct slice folder, struct slice mail)
{
	return put_flags(w, s, folder, mail, 0, 0);
}

uint32_t flag(struct world *w, struct session *s, struct slice folder, uint64_t num, unsigned mask, unsigned value)
{
	struct be_flag_change c = { .mask = mask, .value = value };
	uint32_t rev = 0;

	OK(s->ops->set_flags(s, folder, num, &c, &rev, &e));
	return rev;
}

uint32_t categories(struct world *w, struct session *s, struct slice folder, uint64_t num, const struct slice *k, size_t n)
{
	struct be_flag_change c = { .set_keywords = true, .keywords = k, .n_keywords = n };
	uint32_t rev = 0;

	OK(s->ops->set_flags(s, folder, num, &c, &rev, &e));
	return rev;
}

uint64_t move_one(struct world *w, struct session *s, struct slice folder, uint64_t num, struct slice dst)
{
	uint64_t new = 0;

	OK(s->ops->move(s, folder, &num, 1, dst, &new, &e));
	return new;
}

void remove_one(struct world *w, struct session *s, struct slice folder, uint64_t num)
{
	OK(s->ops->remove(s, folder, &num, 1, &e));
}

struct slice read_part(struct world *w, struct session *s, struct slice folder, uint64_t num, const char *part)
{
	struct be_part p = { .num = num, .part = slice_str(part), .out = blob_new(0) };
	struct slice all;

	OK(s->ops->parts(s, folder, &p, 1, &e));
	CHECK_INT(p.result, BE_OK);
	CHECK(blob_map(p.out, &all, NULL) == 0);
	all = arena_slice(w->a, all);
	blob_free(&p.out);
	return all;
}

bool head_of(struct world *w, struct session *s, struct slice folder, uint64_t num, struct be_head *h)
{
	size_t n = 0;

	OK(s->ops->heads(s, folder, &num, 1, w->a, h, &n, &e));
	return n == 1;
}

struct slice plain_mail(struct world *w, const char *subject, const char *id, const char *body)
{
	return arena_printf(w->a,
			    "From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: %s\r\n"
			    "Message-ID: <%s@example.org>\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
			    "Content-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n",
			    subject, id, body);
}

/* -- seeing -- */

static int see_item(void *arg, const struct be_item *it)
{
	struct seen *l = arg;

	if (l->n && l->v[l->n - 1].num >= it->num)
		test_fail(__FILE__, __LINE__, "items do not ascend: %llu", (unsigned long long)it->num);
	l->v = arena_grow(l->a, l->v, l->n, &l->cap, sizeof(*l->v));
	l->v[l->n++] = *it;
	return 0;
}

static int see_gone(void *arg, uint64_t first, uint64_t last)
{
	struct seen *l = arg;

	CHECK(first <= last);
	CHECK(l->n_gone == 0 || l->gone[l->n_gone - 1][1] < first);
	l->gone = arena_grow(l->a, l->gone, l->n_gone, &l->cap_gone, sizeof(*l->gone));
	l->gone[l->n_gone][0] = first;
	l->gone[l->n_gone++][1] = last;
	return 0;
}

void look(struct world *w, struct session *s, struct slice folder, struct slice token, int64_t since_ms, struct seen *l)
{
	struct be_changes_ask ask = { .folder = folder, .token = token, .since_ms = since_ms };
	struct be_changes_sink sink = { see_item, see_gone, l };

	*l = (struct seen){ .a = w->a };
	OK(s->ops->changes(s, &ask, &sink, w->a, &l->c, &e));
	CHECK(l->c.token.len > 0 && l->c.token.len <= 256);
	CHECK(l->c.identity != 0);
	CHECK(!l->c.full || l->n_gone == 0);
	CHECK(token.len || l->c.full);
}

const struct be_item *seen_item(const struct seen *l, uint64_t num)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].num == num)
			return &l->v[i];
	return NULL;
}

bool seen_gone(const struct seen *l, uint64_t num)
{
	for (size_t i = 0; i < l->n_gone; i++)
		if (l->gone[i][0] <= num && num <= l->gone[i][1])
			return true;
	return false;
}

static void model_set(struct model *m, const struct be_item *it)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].num == it->num) {
			m->v[i] = *it;
			return;
		}
	CHECK(m->n < sizeof(m->v) / sizeof(*m->v));
	m->v[m->n++] = *it;
}

void model_sync(struct world *w, struct session *s, struct slice folder, struct model *m, struct seen *l)
{
	struct seen whole;
	size_t kept = 0;

	look(w, s, folder, m->token, 0, l);
	if (w->keeps_tokens && m->token.len)
		CHECK(!l->c.full);
	for (size_t i = 0; i < m->n; i++)
		if (!l->c.full && !(seen_gone(l, m->v[i].num) && !seen_item(l, m->v[i].num)))
			m->v[kept++] = m->v[i];
	m->n = kept;
	for (size_t i = 0; i < l->n; i++)
		model_set(m, &l->v[i]);
	m->token = l->c.token;
	look(w, s, folder, S_NONE, 0, &whole);
	CHECK_INT(m->n, whole.n);
	for (size_t i = 0; i < m->n; i++) {
		const struct be_item *it = seen_item(&whole, m->v[i].num);

		CHECK(it != NULL);
		CHECK_INT(it->rev, m->v[i].rev);
		CHECK_INT(it->date_ms, m->v[i].date_ms);
	}
}
