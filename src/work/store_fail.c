/* store_fail.c - see store_fail.h. Any thread of a test. Owns the inner store. */
#include "work/store_fail.h"

#include <pthread.h>
#include <stdlib.h>

struct failing {
	struct store s;
	struct store *inner;
	store_fail_hook *hook;
	void *arg;
};

static struct failing *failing_of(struct store *s)
{
	return (struct failing *)s;
}

/* -1 when the call ends here; *after_r: do it, then lose the answer. */
static int before(struct store *s, enum store_call call, struct slice user, bool *after_r, struct err *e)
{
	struct failing *f = failing_of(s);

	*after_r = false;
	switch (f->hook(f->arg, call, user)) {
	case STORE_FINE:
		return 0;
	case STORE_FAIL_AFTER:
		*after_r = true;
		return 0;
	case STORE_FAIL_BEFORE:
		return err_set(e, ERR_STORE, "made to fail");
	case STORE_STALL:
		return err_set(e, ERR_TIMEOUT, "made to stall");
	case STORE_RACE:
		return err_set(e, ERR_STORE_RACE, "made to lose a race");
	}
	return 0;
}

static int after(int rc, bool lose, struct err *e)
{
	return rc == 0 && lose ? err_set(e, ERR_TIMEOUT, "made to lose the answer") : rc;
}

static int fail_load(struct store *s, struct slice user, struct store_get *g, size_t n, const struct store_claim *claim,
		     uint64_t *gen_r, struct arena *a, struct err *e)
{
	bool lose;

	if (before(s, STORE_CALL_LOAD, user, &lose, e) < 0 && (claim || e->code != ERR_STORE_RACE))
		return -1;
	return after(store_load(failing_of(s)->inner, user, g, n, claim, gen_r, a, e), lose, e);
}

static int fail_commit(struct store *s, struct slice user, struct store_put *p, size_t n,
		       const struct store_claim *release, unsigned flags, struct err *e)
{
	bool lose;

	if (before(s, STORE_CALL_COMMIT, user, &lose, e) < 0)
		return -1;
	return after(store_commit(failing_of(s)->inner, user, p, n, release, flags, e), lose, e);
}

static int fail_release(struct store *s, struct slice user, const struct store_claim *c, struct err *e)
{
	bool lose;

	if (before(s, STORE_CALL_RELEASE, user, &lose, e) < 0)
		return -1;
	return after(store_release(failing_of(s)->inner, user, c, e), lose, e);
}

static int fail_gen(struct store *s, struct slice user, uint64_t *gen_r, struct err *e)
{
	bool lose;

	if (before(s, STORE_CALL_GEN, user, &lose, e) < 0)
		return -1;
	return after(store_gen(failing_of(s)->inner, user, gen_r, e), lose, e);
}

static int fail_publish(struct store *s, struct slice user, struct slice json, bool count, struct err *e)
{
	bool lose;

	if (before(s, STORE_CALL_PUBLISH, user, &lose, e) < 0)
		return -1;
	return after(store_publish(failing_of(s)->inner, user, json, count, e), lose, e);
}

static int fail_list(struct store *s, struct slice user, struct slice prefix,
		     int (*fn)(void *arg, struct slice user, struct slice key), void *arg, struct err *e)
{
	bool lose;

	if (before(s, STORE_CALL_LIST, user, &lose, e) < 0)
		return -1;
	return after(store_list(failing_of(s)->inner, user, prefix, fn, arg, e), lose, e);
}

static int fail_check(struct store *s, struct arena *a, struct slice *warning_r, struct err *e)
{
	return store_check(failing_of(s)->inner, a, warning_r, e);
}

static void fail_close(struct store **s)
{
	struct failing *f = failing_of(*s);

	store_close(&f->inner);
	free(f);
	*s = NULL;
}

static const struct store_ops store_fail_ops = {
	.scheme = "fail",
	.close = fail_close,
	.load = fail_load,
	.commit = fail_commit,
	.release = fail_release,
	.gen = fail_gen,
	.publish = fail_publish,
	.list = fail_list,
	.check = fail_check,
};

/* A listener of the wrapper hears what the inner store publishes. */
static void pass_on(void *arg, struct slice user, struct slice json)
{
	struct failing *f = arg;

	if (f->s.on_publish)
		f->s.on_publish(f->s.on_publish_arg, user, json);
}

struct store *store_fail_new(struct store **inner, store_fail_hook *hook, void *arg)
{
	struct failing *f = mem_alloc(sizeof(*f));

	f->s = **inner;
	f->s.ops = &store_fail_ops;
	f->s.breaker = NULL;
	f->s.lost = NULL;
	f->inner = *inner;
	f->hook = hook;
	f->arg = arg;
	store_on_publish(f->inner, pass_on, f);
	*inner = NULL;
	return &f->s;
}

struct store *store_fail_inner(struct store *s)
{
	ASSERT(s->ops == &store_fail_ops);
	return failing_of(s)->inner;
}

/* Scripts. */

struct step {
	enum store_call call;
	enum store_fault fault;
	uint64_t times;
};

struct store_script {
	pthread_mutex_t lock;
	struct step *step;
	size_t n;
};

static const char *const call_names[] = { "load", "commit", "release", "gen", "publish", "list" };
static const char *const fault_names[] = { "ok", "before", "after", "stall", "race" };

static int index_of(const char *const *names, size_t n, struct slice word)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(slice_str(names[i]), word))
			return (int)i;
	return -1;
}

/* call=fault*times */
static int parse_step(struct slice word, struct step *s_r)
{
	struct slice call, fault;
	int c, f;

	s_r->times = 1;
	if (!slice_split(&word, '=', &call) || !slice_split(&word, '*', &fault))
		return -1;
	if (word.ptr && !slice_u64(word, &s_r->times))
		return -1;
	c = index_of(call_names, sizeof(call_names) / sizeof(*call_names), call);
	f = index_of(fault_names, sizeof(fault_names) / sizeof(*fault_names), fault);
	if (c < 0 || f < 0)
		return -1;
	s_r->call = (enum store_call)c;
	s_r->fault = (enum store_fault)f;
	return 0;
}

int store_script_new(struct store_script **p_r, const char *text, struct err *e)
{
	struct store_script *p = mem_alloc(sizeof(*p));
	struct slice rest = slice_str(text), word;

	pthread_mutex_init(&p->lock, NULL);
	while (slice_split(&rest, ' ', &word)) {
		if (word.len == 0)
			continue;
		p->step = mem_realloc(p->step, (p->n + 1) * sizeof(*p->step));
		if (parse_step(word, &p->step[p->n++]) < 0) {
			err_set(e, ERR_CONFIG, "store script: \"%.*s\" is not call=fault*times", SARG(slice_to(word, 60)));
			store_script_free(&p);
			*p_r = NULL;
			return -1;
		}
	}
	*p_r = p;
	return 0;
}

void store_script_free(struct store_script **p)
{
	if (!*p)
		return;
	pthread_mutex_destroy(&(*p)->lock);
	free((*p)->step);
	free(*p);
	*p = NULL;
}

bool store_script_done(struct store_script *p)
{
	bool done = true;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->n; i++)
		done &= p->step[i].times == 0;
	pthread_mutex_unlock(&p->lock);
	return done;
}

enum store_fault store_script_hook(void *script, enum store_call call, struct slice user)
{
	struct store_script *p = script;
	enum store_fault f = STORE_FINE;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->n; i++) {
		if (p->step[i].call != call || p->step[i].times == 0)
			continue;
		p->step[i].times--;
		f = p->step[i].fault;
		break;
	}
	pthread_mutex_unlock(&p->lock);
	return f;
}
