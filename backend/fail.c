/* fail.c - wraps a backend and fails by script. Workers (source_read: loop). Each
 * wrapped session points at the inner one; the script and its counts are shared
 * under a lock, which is never held while the inner backend works. Trap: `after`
 * and `half` have acted: callers must find out by themselves, as in real life. */
#include "backend/fail_script.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/role.h"

struct fail {
	struct backend backend;
	struct backend_ops ops; /* with the inner one's name and roles */
	struct backend *inner;
	const struct clock *clock;
	const struct rnd *rnd;
	pthread_mutex_t mu;
	struct fail_plan plan;
	uint64_t calls[F_OPS], hits;
	void (*sleep_ms)(void *arg, int64_t ms);
	void *sleep_arg;
};

struct fail_session {
	struct session session;
	struct fail *fail;
	struct session *inner;
	int64_t deadline_ms;
	bool lost;
};

struct fail_watch {
	struct watch watch;
	struct fail *fail;
	struct watch *inner;
	bool lost;
};

static void real_sleep(void *arg, int64_t ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* -- the script at work -- */

static bool matches(const struct fail *f, const struct fail_rule *r, enum fail_op op)
{
	uint64_t count = f->calls[r->op];

	if (r->op != op && r->op != F_ANY)
		return false;
	switch (r->when) {
	case F_RANGE: return r->from <= count && count <= r->to;
	case F_EVERY: return count % r->from == 0;
	case F_CHANCE: return f->rnd && rnd_u64(f->rnd) % 1000 < r->from;
	}
	return false;
}

/* Counts the call and says which rule is for it; action F_NONE when none is. */
static struct fail_rule decide(struct fail *f, enum fail_op op)
{
	struct fail_rule r = { .action = F_NONE };

	pthread_mutex_lock(&f->mu);
	f->calls[op]++;
	f->calls[F_ANY]++;
	for (size_t i = 0; i < f->plan.n; i++)
		if (matches(f, &f->plan.v[i], op)) {
			r = f->plan.v[i];
			f->hits++;
			break;
		}
	pthread_mutex_unlock(&f->mu);
	return r;
}

static enum be_result temp(struct err *e, enum fail_op op, const char *why)
{
	err_set(e, ERR_BACKEND_TEMP, "%s: %s by script", fail_op_name(op), why);
	return BE_TEMP;
}

static enum be_result stall(struct fail *f, int64_t ms, int64_t deadline_ms, enum fail_op op, struct err *e)
{
	int64_t left = deadline_ms - clock_now(f->clock);

	if (left < 0)
		left = 0;
	f->sleep_ms(f->sleep_arg, ms < left ? ms : left);
	if (ms <= left)
		return BE_OK;
	err_set(e, ERR_TIMEOUT, "%s: no answer by script", fail_op_name(op));
	return BE_TEMP;
}

/* Before the inner call: BE_OK lets it happen. */
static enum be_result before(struct fail *f, const struct fail_rule *r, enum fail_op op, bool *lost,
			     int64_t deadline_ms, struct err *e)
{
	ASSERT_WORKER();
	if (lost && *lost)
		return temp(e, op, "session lost");
	switch (r->action) {
	case F_TEMP: return temp(e, op, "failed before");
	case F_PERM:
		err_set(e, r->code, "%s: refused by script", fail_op_name(op));
		return BE_PERM;
	case F_LOST:
		if (lost)
			*lost = true;
		return temp(e, op, "session lost");
	case F_DELAY: return stall(f, (int64_t)r->value, deadline_ms, op, e);
	default: return BE_OK;
	}
}

static enum be_result after(const struct fail_rule *r, enum be_result result, enum fail_op op, struct err *e)
{
	return r->action == F_AFTER && result == BE_OK ? temp(e, op, "answer lost") : result;
}

/* The frame of every call of a session. */
#define CALL(OP, INNER)                                                                     \
	struct fail_session *s = (struct fail_session *)session;                            \
	struct fail_rule rule = decide(s->fail, OP);                                        \
	enum be_result r = before(s->fail, &rule, OP, &s->lost, s->deadline_ms, e);         \
                                                                                            \
	if (r != BE_OK)                                                                     \
		return r;                                                                   \
	r = s->inner->ops->INNER;                                                           \
	return after(&rule, r, OP, e)

/* -- server and sessions -- */

static int f_open(struct backend **b_r, const struct be_env *env, struct err *e)
{
	*b_r = NULL;
	return err_set(e, ERR_CONFIG, "backend \"fail\" wraps another one and is chosen by tests only");
}

static void f_close(struct backend **bp)
{
	struct fail *f = (struct fail *)*bp;

	*bp = NULL;
	if (!f)
		return;
	f->inner->ops->close(&f->inner);
	pthread_mutex_destroy(&f->mu);
	free(f->plan.v);
	free(f);
}

static enum be_result f_login(struct backend *b, const struct be_cred *c, int64_t deadline_ms, struct session **s_r,
			      struct err *e)
{
	struct fail *f = (struct fail *)b;
	struct fail_rule rule = decide(f, F_LOGIN);
	enum be_result r = before(f, &rule, F_LOGIN, NULL, deadline_ms, e);
	struct session *inner = NULL;
	struct fail_session *s;

	*s_r = NULL;
	if (r == BE_OK)
		r = f->inner->ops->login(f->inner, c, deadline_ms, &inner, e);
	r = after(&rule, r, F_LOGIN, e);
	if (r != BE_OK && inner)
		inner->ops->logout(&inner);
	if (r != BE_OK || !inner)
		return r;
	s = mem_alloc(sizeof(*s));
	s->session.ops = b->ops;
	s->session.backend = b;
	s->fail = f;
	s->inner = inner;
	s->deadline_ms = deadline_ms;
	*s_r = &s->session;
	return BE_OK;
}

static void f_logout(struct session **sp)
{
	struct fail_session *s = (struct fail_session *)*sp;

	*sp = NULL;
	if (!s)
		return;
	if (s->inner)
		s->inner->ops->logout(&s->inner);
	free(s);
}

static void f_set_deadline(struct session *session, int64_t deadline_ms)
{
	struct fail_session *s = (struct fail_session *)session;

	s->deadline_ms = deadline_ms;
	if (s->inner) /* a watch that was lost while it was opened took it along */
		s->inner->ops->set_deadline(s->inner, deadline_ms);
}

static bool f_alive(struct session *session)
{
	struct fail_session *s = (struct fail_session *)session;

	return !s->lost && s->inner->ops->alive(s->inner);
}

static enum be_result f_account(struct session *session, struct arena *a, struct be_account *acc_r, struct err *e)
{
	struct fail_session *s = (struct fail_session *)session;

	return s->inner->ops->account(s->inner, a, acc_r, e);
}

/* -- folders -- */

static enum be_result f_folders(struct session *session, struct arena *a, struct be_folder **f_r, size_t *n_r, struct err *e)
{
	struct fail_session *s = (struct fail_session *)session;
	struct fail_rule rule = decide(s->fail, F_FOLDERS);
	enum be_result r = before(s->fail, &rule, F_FOLDERS, &s->lost, s->deadline_ms, e);

	if (r == BE_OK)
		r = s->inner->ops->folders(s->inner, a, f_r, n_r, e);
	if (r == BE_OK && rule.action == F_TRUNCATE)
		r = temp(e, F_FOLDERS, "listing cut");
	return after(&rule, r, F_FOLDERS, e);
}

static enum be_result f_folder_create(struct session *session, struct slice parent, struct slice name,
				      enum folder_type type, struct arena *a, struct slice *path_r, struct err *e)
{
	CALL(F_FOLDER_CREATE, folder_create(s->inner, parent, name, type, a, path_r, e));
}

static enum be_result f_folder_rename(struct session *session, struct slice path, struct slice new_parent,
				      struct slice new_name, struct arena *a, struct slice *path_r, struct err *e)
{
	CALL(F_FOLDER_RENAME, folder_rename(s->inner, path, new_parent, new_name, a, path_r, e));
}

static enum be_result f_folder_delete(struct session *session, struct slice path, struct err *e)
{
	CALL(F_FOLDER_DELETE, folder_delete(s->inner, path, e));
}

/* -- changes: a cut listing ends in the middle of the call backs -- */

struct cut {
	const struct be_changes_sink *sink;
	uint64_t left;
	bool cut;
};

static int cut_item(void *arg, const struct be_item *it)
{
	struct cut *c = arg;

	if (c->left == 0) {
		c->cut = true;
		return -1;
	}
	c->left--;
	return c->sink->item(c->sink->arg, it);
}

static int cut_gone(void *arg, uint64_t first, uint64_t last)
{
	struct cut *c = arg;

	if (c->left == 0) {
		c->cut = true;
		return -1;
	}
	c->left--;
	return c->sink->gone(c->sink->arg, first, last);
}

static enum be_result cut_result(const struct fail_rule *rule, const struct cut *c, enum be_result r, enum fail_op op,
				 struct err *e)
{
	/* Also when all fitted in: the end of the listing is what never came. */
	if (rule->action == F_TRUNCATE && (r == BE_OK || c->cut))
		return temp(e, op, "listing cut");
	return after(rule, r, op, e);
}

static enum be_result f_changes(struct session *session, const struct be_changes_ask *ask,
				const struct be_changes_sink *sink, struct arena *a, struct be_changes *c_r, struct err *e)
{
	struct fail_session *s = (struct fail_session *)session;
	struct fail_rule rule = decide(s->fail, F_CHANGES);
	enum be_result r = before(s->fail, &rule, F_CHANGES, &s->lost, s->deadline_ms, e);
	struct cut c = { sink, rule.action == F_TRUNCATE ? rule.value : UINT64_MAX, false };

	if (r != BE_OK)
		return r;
	r = s->inner->ops->changes(s->inner, ask, &(struct be_changes_sink){ cut_item, cut_gone, &c }, a, c_r, e);
	return cut_result(&rule, &c, r, F_CHANGES, e);
}

static enum be_result f_lookup(struct session *session, struct slice folder, const uint64_t *nums, size_t n,
			       const struct be_changes_sink *sink, struct err *e)
{
	struct fail_session *s = (struct fail_session *)session;
	struct fail_rule rule = decide(s->fail, F_LOOKUP);
	enum be_result r = before(s->fail, &rule, F_LOOKUP, &s->lost, s->deadline_ms, e);
	struct cut c = { sink, rule.action == F_TRUNCATE ? rule.value : UINT64_MAX, false };

	if (r != BE_OK)
		return r;
	r = s->inner->ops->lookup(s->inner, folder, nums, n, &(struct be_changes_sink){ cut_item, cut_gone, &c }, e);
	return cut_result(&rule, &c, r, F_LOOKUP, e);
}

/* -- mails -- */

static enum be_result f_heads(struct session *session, struct slice folder, const uint64_t *nums, size_t n,
			      struct arena *a, struct be_head *heads_r, size_t *n_r, struct err *e)
{
	struct fail_session *s = (struct fail_session *)session;
	struct fail_rule rule = decide(s->fail, F_HEADS);
	enum be_result r = before(s->fail, &rule, F_HEADS, &s->lost, s->deadline_ms, e);

	if (r == BE_OK)
		r = s->inner->ops->heads(s->inner, folder, nums, n, a, heads_r, n_r, e);
	if (r == BE_OK && rule.action == F_TRUNCATE)
		r = temp(e, F_HEADS, "answer cut");
	return after(&rule, r, F_HEADS, e);
}

static void cut_part(struct be_part *p, uint64_t had, uint64_t max)
{
	if (p->result == BE_OK && blob_size(p->out) > had + max)
		blob_truncate(p->out, had + max);
}

static enum be_result f_parts(struct session *session, struct slice folder, struct be_part *parts, size_t n,
			      struct err *e)
{
	struct fail_session *s = (struct fail_session *)session;
	struct fail_rule rule = decide(s->fail, F_PARTS);
	enum be_result r = before(s->fail, &rule, F_PARTS, &s->lost, s->deadline_ms, e);

	/* One by one, so that each blob's length before is known even where two share one. */
	for (size_t i = 0; i < n && r == BE_OK && rule.action == F_TRUNCATE; i++) {
		uint64_t had = blob_size(parts[i].out);

		r = s->inner->ops->parts(s->inner, folder, &parts[i], 1, e);
		cut_part(&parts[i], had, rule.value);
	}
	if (r == BE_OK && rule.action != F_TRUNCATE)
		r = s->inner->ops->parts(s->inner, folder, parts, n, e);
	return after(&rule, r, F_PARTS, e);
}

static enum be_result f_set_flags(struct session *session, struct slice folder, uint64_t num,
				  const struct be_flag_change *c, uint32_t *rev_r, struct err *e)
{
	CALL(F_SET_FLAGS, set_flags(s->inner, folder, num, c, rev_r, e));
}

static size_t half(const struct fail_rule *rule, size_t n)
{
	return rule->action == F_HALF && rule->value < n ? (size_t)rule->value : n;
}

static enum be_result half_result(const struct fail_rule *rule, enum be_result r, enum fail_op op, struct err *e)
{
	return r == BE_OK && rule->action == F_HALF ? temp(e, op, "half done") : after(rule, r, op, e);
}

static enum be_result f_move(struct session *session, struct slice folder, const uint64_t *nums, size_t n,
			     struct slice dst, uint64_t *new_r, struct err *e)
{
	struct fail_session *s = (struct fail_session *)session;
	struct fail_rule rule = decide(s->fail, F_MOVE);
	enum be_result r = before(s->fail, &rule, F_MOVE, &s->lost, s->deadline_ms, e);

	if (r == BE_OK)
		r = s->inner->ops->move(s->inner, folder, nums, half(&rule, n), dst, new_r, e);
	return half_result(&rule, r, F_MOVE, e);
}

static enum be_result f_remove(struct session *session, struct slice folder, const uint64_t *nums, size_t n, struct err *e)
{
	struct fail_session *s = (struct fail_session *)session;
	struct fail_rule rule = decide(s->fail, F_REMOVE);
	enum be_result r = before(s->fail, &rule, F_REMOVE, &s->lost, s->deadline_ms, e);

	if (r == BE_OK)
		r = s->inner->ops->remove(s->inner, folder, nums, half(&rule, n), e);
	return half_result(&rule, r, F_REMOVE, e);
}

static enum be_result f_append(struct session *session, struct slice folder, struct blob *mail, unsigned flags,
			       int64_t date_ms, uint64_t *num_r, struct err *e)
{
	CALL(F_APPEND, append(s->inner, folder, mail, flags, date_ms, num_r, e));
}

static enum be_result f_find_message_id(struct session *session, struct slice folder, struct slice id, uint64_t *num_r,
					struct err *e)
{
	CALL(F_FIND, find_message_id(s->inner, folder, id, num_r, e));
}

static enum be_result f_submit(struct session *session, struct be_submit *m, struct err *e)
{
	CALL(F_SUBMIT, submit(s->inner, m, e));
}

/* -- watching -- */

static enum be_result f_watch_open(struct session **sp, const struct slice *folders, size_t n, int64_t deadline_ms,
				   struct watch **w_r, int *fd_r, enum be_watch_kind *kind_r, size_t *missed_r,
				   struct err *e)
{
	struct fail_session *s = (struct fail_session *)*sp;
	struct fail_rule rule = decide(s->fail, F_WATCH_OPEN);
	enum be_result r = before(s->fail, &rule, F_WATCH_OPEN, &s->lost, deadline_ms, e);
	struct watch *inner = NULL;
	struct fail_watch *w;

	if (r == BE_OK)
		r = s->inner->ops->watch_open(&s->inner, folders, n, deadline_ms, &inner, fd_r, kind_r, missed_r, e);
	if (r == BE_OK && rule.action == F_AFTER) {
		/* The session went into the watch and ends with it. */
		inner->ops->watch_close(&inner);
		s->lost = true;
		r = temp(e, F_WATCH_OPEN, "answer lost");
	}
	if (r != BE_OK)
		return r;
	w = mem_alloc(sizeof(*w));
	w->watch.ops = s->session.ops;
	w->fail = s->fail;
	w->inner = inner;
	*w_r = &w->watch;
	f_logout(sp);
	return BE_OK;
}

static enum be_result f_watch_read(struct watch *watch, be_event_fn *fn, void *arg, struct err *e)
{
	struct fail_watch *w = (struct fail_watch *)watch;
	struct fail_rule rule = decide(w->fail, F_WATCH_READ);
	enum be_result r = before(w->fail, &rule, F_WATCH_READ, &w->lost, INT64_MAX, e);

	if (r == BE_OK)
		r = w->inner->ops->watch_read(w->inner, fn, arg, e);
	return after(&rule, r, F_WATCH_READ, e);
}

static void f_watch_close(struct watch **wp)
{
	struct fail_watch *w = (struct fail_watch *)*wp;

	*wp = NULL;
	if (!w)
		return;
	w->inner->ops->watch_close(&w->inner);
	free(w);
}

static int f_source_fd(struct backend *b)
{
	struct fail *f = (struct fail *)b;

	return f->inner->ops->source_fd ? f->inner->ops->source_fd(f->inner) : -1;
}

static bool f_source_read(struct backend *b, be_event_fn *fn, void *arg)
{
	struct fail *f = (struct fail *)b;

	return f->inner->ops->source_read && f->inner->ops->source_read(f->inner, fn, arg);
}

const struct backend_ops fail_backend_ops = {
	.name = "fail",
	.roles = 0,
	.open = f_open,
	.close = f_close,
	.login = f_login,
	.logout = f_logout,
	.set_deadline = f_set_deadline,
	.alive = f_alive,
	.account = f_account,
	.folders = f_folders,
	.folder_create = f_folder_create,
	.folder_rename = f_folder_rename,
	.folder_delete = f_folder_delete,
	.changes = f_changes,
	.lookup = f_lookup,
	.heads = f_heads,
	.parts = f_parts,
	.set_flags = f_set_flags,
	.move = f_move,
	.remove = f_remove,
	.append = f_append,
	.find_message_id = f_find_message_id,
	.submit = f_submit,
	.watch_open = f_watch_open,
	.watch_read = f_watch_read,
	.watch_close = f_watch_close,
	.source_fd = f_source_fd,
	.source_read = f_source_read,
};

/* -- for tests -- */

int fail_wrap(struct backend **b_r, struct backend *inner, const struct clock *clock, struct slice script, struct err *e)
{
	struct fail *f = mem_alloc(sizeof(*f));

	f->ops = fail_backend_ops;
	f->ops.name = inner->ops->name;
	f->ops.roles = inner->ops->roles;
	if (!inner->ops->account)
		f->ops.account = NULL;
	if (!inner->ops->submit)
		f->ops.submit = NULL;
	f->backend.ops = &f->ops;
	f->inner = inner;
	f->clock = clock ? clock : &clock_system;
	f->sleep_ms = real_sleep;
	pthread_mutex_init(&f->mu, NULL);
	*b_r = &f->backend;
	if (fail_script(*b_r, script, e) == 0)
		return 0;
	f_close(b_r);
	return -1;
}

int fail_script(struct backend *b, struct slice script, struct err *e)
{
	struct fail *f = (struct fail *)b;
	struct fail_plan plan;

	if (fail_plan_parse(script, &plan, e) < 0)
		return -1;
	pthread_mutex_lock(&f->mu);
	free(f->plan.v);
	f->plan = plan;
	memset(f->calls, 0, sizeof(f->calls));
	f->hits = 0;
	pthread_mutex_unlock(&f->mu);
	return 0;
}

void fail_random(struct backend *b, const struct rnd *rnd)
{
	((struct fail *)b)->rnd = rnd;
}

void fail_set_sleep(struct backend *b, void (*sleep_ms)(void *arg, int64_t ms), void *arg)
{
	struct fail *f = (struct fail *)b;

	f->sleep_ms = sleep_ms;
	f->sleep_arg = arg;
}

uint64_t fail_hits(struct backend *b)
{
	struct fail *f = (struct fail *)b;
	uint64_t n;

	pthread_mutex_lock(&f->mu);
	n = f->hits;
	pthread_mutex_unlock(&f->mu);
	return n;
}

uint64_t fail_calls(struct backend *b, const char *op)
{
	struct fail *f = (struct fail *)b;
	uint64_t n = 0;

	pthread_mutex_lock(&f->mu);
	for (int i = 0; i < F_OPS; i++)
		if (strcmp(fail_op_name((enum fail_op)i), op) == 0)
			n = f->calls[i];
	pthread_mutex_unlock(&f->mu);
	return n;
}

struct backend *fail_inner(struct backend *b)
{
	return ((struct fail *)b)->inner;
}
