/* workrig.c - see workrig.h. */
#include "workrig.h"

#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

static jmp_buf rig_died;

/* What a process that dies holds is no leak of ours. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static void rig_may_die(struct rig *r, bool begins)
{
	if (r->die_at && __lsan_disable)
		(begins ? __lsan_disable : __lsan_enable)();
}

static int64_t rig_now(void *self)
{
	return ((struct rig *)self)->now_ms;
}

static int64_t rig_wall(void *self)
{
	return ((struct rig *)self)->wall_ms;
}

static void rig_fill(void *self, void *p, size_t n)
{
	struct rig *r = self;

	for (size_t i = 0; i < n; i++) {
		r->random = r->random * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)p)[i] = (uint8_t)(r->random >> 56);
	}
}

static enum store_fault rig_fault(void *self, enum store_call call, struct slice user)
{
	struct rig *r = self;
	enum store_fault f = r->next_fault[call];

	r->calls[call]++;
	r->next_fault[call] = STORE_FINE;
	return f;
}

static void rig_crash_point(void *self, const char *name)
{
	struct rig *r = self;

	if (r->die_at && strcmp(r->die_at, name) == 0) {
		r->died = true;
		longjmp(rig_died, 1);
	}
}

static struct settings *rig_settings(const char *const *settings)
{
	struct settings *s = settings_new();
	struct err e;

	for (; settings && *settings; settings++) {
		const char *eq = strchr(*settings, '=');

		if (settings_set(s, slice(*settings, (size_t)(eq - *settings)), slice_str(eq + 1), "test", &e) < 0)
			test_fail(__FILE__, __LINE__, "%s: %s", *settings, e.text);
	}
	return s;
}

/* The secret of every rig: two servers share it. */
static struct auth *rig_auth(struct rig *r, struct settings *set)
{
	char path[] = "/tmp/zpushd-rig-XXXXXX";
	int fd = mkstemp(path);
	struct settings *own = rig_settings(NULL);
	struct auth *a;
	struct err e;

	CHECK(fd >= 0 && write(fd, "0123456789abcdef0123456789abcdef\n", 33) == 33);
	close(fd);
	CHECK_INT(settings_set(own, S("auth.secret_file"), slice_str(path), "test", &e), 0);
	if (auth_new(&a, own, &r->clock, &r->rnd, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	auth_configure(a, set);
	unlink(path);
	settings_unref(&own);
	return a;
}

static void rig_work(struct rig *r, struct work *w, uint64_t instance)
{
	struct err e;

	*w = (struct work){ .clock = &r->clock, .rnd = &r->rnd, .settings = r->set, .store = r->store,
			    .mail = r->mail, .send = r->mail, .instance = instance,
			    .crash_point = rig_crash_point, .crash_self = r };
	w->auth = rig_auth(r, r->set);
	fuse_new(&w->fuse, &r->clock);
	if (pool_new(&w->pool, r->set, &r->clock, &r->rnd, &e) < 0 || policies_new(&w->policies, r->set, &e) < 0 ||
	    clients_new(&w->clients, r->set, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
}

void rig_up(struct rig *r, const char *const *settings)
{
	struct be_env env;
	struct store *inner;
	struct err e;

	memset(r, 0, sizeof(*r));
	log_open("/dev/null", LOG_DEBUG, LOG_LOGFMT, NULL);
	r->now_ms = 1000000;
	r->wall_ms = 1700000000000;
	r->clock = (struct clock){ rig_now, rig_wall, r };
	r->rnd = (struct rnd){ rig_fill, r };
	r->set = rig_settings(settings);
	CHECK_INT(settings_set(r->set, S("store.url"), S("memory:"), "test", &e), 0);
	CHECK_INT(settings_set(r->set, S("limits.claim_wait"), S("0s"), "test", &e), 0);
	if (store_open(&inner, r->set, &r->clock, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	r->store = store_fail_new(&inner, rig_fault, r);
	env = (struct be_env){ r->set, &r->clock, &r->rnd };
	CHECK_INT(mem_backend_ops.open(&r->mail, &env, &e), 0);
	mem_add_user(r->mail, S("alice"), S("pw"), S("alice@example.org"), S("Alice"));
	mem_add_user(r->mail, S("bob"), S("pw"), S("bob@example.org"), S("Bob"));
	rig_work(r, &r->w, 101);
}

static void rig_work_down(struct work *w)
{
	pool_free(&w->pool);
	auth_free(&w->auth);
	fuse_free(&w->fuse);
	policies_free(&w->policies);
	clients_free(&w->clients);
}

void rig_down(struct rig *r)
{
	for (size_t i = 0; i < r->reports.n; i++)
		decode_report_deinit(r->reports.v[i]);
	rig_work_down(&r->w);
	r->mail->ops->close(&r->mail);
	store_close(&r->store);
	settings_unref(&r->set);
	log_open("-", LOG_INFO, LOG_LOGFMT, NULL);
}

void rig_second(struct rig *r, struct work *w_r)
{
	rig_work(r, w_r, 202);
}

void rig_second_down(struct work *w)
{
	rig_work_down(w);
}

void rig_set(struct rig *r, const char *key, const char *value)
{
	struct err e;

	CHECK_INT(settings_set(r->set, slice_str(key), slice_str(value), "test", &e), 0);
	policies_free(&r->w.policies);
	CHECK_INT(policies_new(&r->w.policies, r->set, &e), 0);
	clients_free(&r->w.clients);
	CHECK_INT(clients_new(&r->w.clients, r->set, &e), 0);
	auth_configure(r->w.auth, r->set);
	pool_configure(r->w.pool, r->set);
}

struct phone rig_phone(struct rig *r, const char *user, const char *id, int version)
{
	return (struct phone){ .r = r, .user = user, .password = "pw", .id = id, .type = "SimPhone", .agent = "Sim/1.0",
			       .version = version };
}

struct request *rig_request(struct phone *p, enum eas_command c, const struct schema *ask, const void *obj)
{
	struct arena *a = arena_new();
	struct request *rq = ARENA_NEW(a, struct request);
	struct blob *b;
	struct slice bytes;
	struct err e;

	rq->arena = a;
	rq->rid = ++p->r->random;
	rq->received_ms = p->r->now_ms;
	rq->deadline_ms = p->r->now_ms + 50000;
	rq->method = HTTP_M_POST;
	rq->peer = S("192.0.2.7");
	rq->user_agent = slice_str(p->agent);
	rq->query.command = c;
	rq->query.device_id = slice_str(p->id);
	rq->query.device_type = slice_str(p->type);
	rq->version = p->version;
	rq->version_given = true;
	rq->has_policy_key = !p->no_key;
	rq->policy_key = p->key;
	rq->has_auth = true;
	rq->login = slice_str(p->user);
	rq->password = slice_str(p->password);
	rq->report = ARENA_NEW(a, struct decode_report);
	if (!ask)
		return rq;
	b = blob_new(0);
	if (encode_document(b, ask, obj, (enum eas_version)p->version, &e) < 0)
		test_fail(__FILE__, __LINE__, "request: %s", e.text);
	CHECK_INT(blob_map(b, &bytes, &e), 0);
	rq->decoded = decode_all(arena_slice(a, bytes), ask, (enum eas_version)p->version, a, rq->report, &e);
	rq->body_kind = rq->decoded ? BODY_DECODED : BODY_BAD;
	blob_free(&b);
	return rq;
}

/* <Root><Status>n</Status>: the first Status that stands in the root. */
static int rig_status(struct slice body)
{
	for (size_t i = 4; i + 3 < body.len && i < 24; i++)
		if (body.ptr[i + 1] == 0x03 && body.ptr[i] & 0x40)
			return atoi(body.ptr + i + 2);
	return 0;
}

struct reply rig_run(struct phone *p, struct request *rq, const struct schema *reply)
{
	struct reply out = { .status = 0 };
	struct slice bytes;
	struct err e;

	p->r->died = false;
	if (setjmp(rig_died)) {
		rig_may_die(p->r, false);
		/* The process is gone: what it held is lost, the store and the mail server stand. */
		pool_crash(p->r->w.pool);
		store_mem_crash(store_fail_inner(p->r->store));
		request_free(&rq);
		return (struct reply){ .status = 0 };
	}
	rig_may_die(p->r, true);
	exchange_run(p->w ? p->w : &p->r->w, rq, &out.v);
	rig_may_die(p->r, false);
	if (out.v.body) {
		CHECK_INT(blob_map(out.v.body, &bytes, &e), 0);
		out.body = arena_slice(test_arena(), bytes);
		blob_free(&out.v.body);
	}
	if (out.body.len && out.v.status && slice_starts(out.v.content_type, S("application/vnd.ms-sync")))
		out.status = rig_status(out.body);
	out.v.content_type = arena_slice(test_arena(), out.v.content_type);
	for (size_t i = 0; i < out.v.n_headers; i++)
		out.v.headers[i].value = arena_slice(test_arena(), out.v.headers[i].value);
	if (out.body.len && reply && out.v.http_status == 200) {
		struct decode_report *rep = ARENA_NEW(test_arena(), struct decode_report);

		out.obj = decode_all(out.body, reply, (enum eas_version)p->version, test_arena(), rep, &e);
		if (!out.obj)
			test_fail(__FILE__, __LINE__, "reply: %s", e.text);
		*LIST_PUSH(test_arena(), &p->r->reports) = rep;
		if (rep->problems)
			test_fail(__FILE__, __LINE__, "reply: %s at %s", problem_name(rep->first.kind), wbxml_tag_name(rep->first.tag));
	}
	if (out.v.park) { /* copied, as the loop does */
		struct park *k = arena_dup(test_arena(), out.v.park, sizeof(*k));

		k->user = arena_slice(test_arena(), k->user);
		k->device_id = arena_slice(test_arena(), k->device_id);
		k->device_type = arena_slice(test_arena(), k->device_type);
		k->cred.user = arena_slice(test_arena(), k->cred.user);
		k->cred.login = arena_slice(test_arena(), k->cred.login);
		k->cred.password = arena_slice(test_arena(), k->cred.password);
		out.v.park = k;
	}
	request_free(&rq);
	return out;
}

struct reply rig_send(struct phone *p, enum eas_command c, const struct schema *ask, const void *obj,
		      const struct schema *reply)
{
	return rig_run(p, rig_request(p, c, ask, obj), reply);
}

void rig_provision(struct phone *p)
{
	struct provision_request q = { .has_policies = NUM(1) };
	struct provision_policy_request *pol = LIST_PUSH(test_arena(), &q.policies);
	struct provision_reply *r;
	struct reply out;
	uint64_t key;

	pol->type = p->version < EAS_120 ? S("MS-WAP-Provisioning-XML") : S("MS-EAS-Provisioning-WBXML");
	for (int phase = 1; phase <= 2; phase++) {
		out = rig_send(p, EAS_CMD_PROVISION, &provision_request_schema, &q, &provision_reply_schema);
		r = out.obj;
		if (!r || r->policies.n != 1 || !slice_u64(r->policies.v[0].key, &key))
			test_fail(__FILE__, __LINE__, "provision phase %d: http %d status %d", phase, out.v.http_status, out.status);
		pol->key = r->policies.v[0].key;
		pol->status = NUM(1);
		p->key = (uint32_t)key;
	}
}
