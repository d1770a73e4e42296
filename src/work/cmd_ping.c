/* cmd_ping.c - Ping (MS-ASCMD 2.2.1.13): remembers what to watch, looks once,
 * and parks. Worker. A Ping without a body is the last one again, also after a
 * status 3. The look after the loop registered the waiter is what makes that no
 * change is lost: whoever comes in between sets the waiter's dirty bit. */
#include "work/hierarchy.h"
#include "work/sync_open.h"
#include "work/work.h"

enum ping_status {
	PING_EXPIRED = 1, PING_CHANGED = 2, PING_MISSING = 3, PING_SYNTAX = 4, PING_INTERVAL = 5, PING_TOO_MANY = 6,
	PING_HIERARCHY = 7, PING_SERVER = 8,
};

void want_ping(struct exchange *x)
{
	const struct ping_request *req = x->rq->decoded;

	if (x->rq->kind == REQUEST_CHECK || x->rq->body_kind != BODY_DECODED || !req)
		return;
	if (req->folders.n > (uint64_t)settings_int(x->w->settings, "limits.ping_folders"))
		return; /* status 6: nothing is looked at */
	for (size_t i = 0; i < req->folders.n; i++)
		sync_view_want(x, req->folders.v[i].id);
}

static struct slice encoded(struct exchange *x, const struct ping_reply *reply)
{
	struct blob *b = blob_new(0);
	struct slice whole = S_NONE;

	if (encode_document(b, &ping_reply_schema, reply, (enum eas_version)x->rq->version, NULL) == 0 &&
	    blob_map(b, &whole, NULL) == 0)
		whole = arena_slice(x->a, whole);
	blob_free(&b);
	return whole;
}

static void answer(struct exchange *x, enum ping_status status)
{
	struct ping_reply reply = { .status = NUM(status) };

	reply_struct(x, &ping_reply_schema, &reply, (int)status);
}

static bool same_memory(const struct ping_memory *a, const struct ping_memory *b)
{
	if (a->heartbeat_s != b->heartbeat_s || a->folders.n != b->folders.n)
		return false;
	for (size_t i = 0; i < a->folders.n; i++)
		if (!slice_eq(a->folders.v[i].id, b->folders.v[i].id))
			return false;
	return true;
}

/* What is said over what is remembered. */
static enum ping_status merge(struct exchange *x, struct ping_memory *m)
{
	const struct ping_request *req = x->rq->body_kind == BODY_DECODED ? x->rq->decoded : NULL;
	const struct device *d = x->dev;

	if (d->has_ping)
		*m = d->ping;
	if (req) {
		if (!d->has_ping && !req->heartbeat.has && !req->folders.n)
			return PING_SYNTAX;
		for (size_t i = 0; i < req->folders.n; i++)
			if (req->folders.v[i].id.len == 0 || req->folders.v[i].id.len > 64 ||
			    (req->folders.v[i].problem.kind && req->folders.v[i].problem.kind != PROBLEM_VERSION))
				return PING_SYNTAX;
		if (x->rq->report && x->rq->report->first.kind && x->rq->report->first.kind != PROBLEM_VERSION)
			return PING_SYNTAX;
		if (req->heartbeat.has)
			m->heartbeat_s = req->heartbeat.v > 0 ? (uint32_t)req->heartbeat.v : 1; /* too short */
		if (req->folders.n) {
			m->folders.v = req->folders.v;
			m->folders.n = m->folders.cap = req->folders.n;
		}
	}
	return m->heartbeat_s && m->folders.n ? 0 : PING_MISSING;
}

/* 0, or answered. */
static int check_bounds(struct exchange *x, const struct ping_memory *m)
{
	int64_t low = x->client.heartbeat_min_ms / 1000, high = x->client.heartbeat_max_ms / 1000;
	int64_t most = settings_int(x->w->settings, "limits.ping_folders");
	struct ping_reply reply = { 0 };

	if (m->heartbeat_s < low || m->heartbeat_s > high) {
		reply.status = NUM(PING_INTERVAL);
		reply.heartbeat = NUM(m->heartbeat_s < low ? low : high);
	} else if ((int64_t)m->folders.n > most) {
		reply.status = NUM(PING_TOO_MANY);
		reply.max_folders = NUM(most);
	} else {
		return 0;
	}
	reply_struct(x, &ping_reply_schema, &reply, (int)reply.status.v);
	return -1;
}

static bool remember(struct exchange *x)
{
	struct ping_memory m = { 0 };
	enum ping_status status;

	if (x->rq->kind == REQUEST_CHECK)
		return x->dev->has_ping;
	status = merge(x, &m);
	if (status) {
		answer(x, status);
		return false;
	}
	if (check_bounds(x, &m) < 0)
		return false;
	if (!x->dev->has_ping || !same_memory(&x->dev->ping, &m)) {
		x->dev->ping = m;
		x->dev->has_ping = true;
		device_touch(x->dev, DEVICE_PING);
	}
	return true;
}

static bool hierarchy_changed(struct exchange *x, struct err *e, enum be_result *rc)
{
	struct folder_map *map = exchange_folders(x, e);

	*rc = BE_OK;
	if (!map) {
		*rc = BE_PERM;
		return false;
	}
	if (x->dev->hier.key.counter == 0)
		return true;
	/* Something happened: it may be to the folders themselves. */
	if (x->rq->kind == REQUEST_CHECK && x->rq->parked->wants_hierarchy)
		*rc = exchange_refresh_folders(x, e);
	return *rc == BE_OK && folder_map_differs(hier_shown(x, map), &x->dev->hier.list);
}

struct ping_look {
	struct ping_reply reply;
	struct slice *paths;
	size_t n_paths;
};

static enum be_result look_at(struct exchange *x, struct folder *f, struct ping_look *l, struct err *e)
{
	struct sync_view v;
	struct session *s;
	size_t waiting = 0;
	enum be_result rc;

	l->paths[l->n_paths++] = f->path;
	sync_view_open(x, f, &v);
	/* Phones wait for what they synced: a state that is not here got lost, and the
	 * phone's next Sync finds that out. */
	if (!v.st.exists) {
		l->reply.has_folders = NUM(1);
		*LIST_PUSH(x->a, &l->reply.folders) = f->id;
		return BE_OK;
	}
	if (sync_gen_tells(x) && x->gen && v.st.gen == x->gen && colops_count(&v.st.pend) == 0)
		return BE_OK;
	rc = exchange_session(x, BE_MAIL, &s, e);
	if (rc == BE_OK)
		rc = sync_view_look(x, s, &v, v.opt.filter, &waiting, e);
	/* Made anew under the same name: the phone's next Sync finds out. */
	if (rc == BE_PERM && e->code == ERR_CONFLICT) {
		rc = BE_OK;
		waiting = 1;
	}
	if (rc == BE_OK && waiting) {
		l->reply.has_folders = NUM(1);
		*LIST_PUSH(x->a, &l->reply.folders) = f->id;
	}
	return rc;
}

/* BE_PERM ERR_NOT_FOUND: a folder is not there any more. */
static enum be_result look(struct exchange *x, struct ping_look *l, struct err *e)
{
	struct ping_memory *m = &x->dev->ping;
	enum be_result rc = BE_OK;

	l->paths = arena_alloc(x->a, (m->folders.n + 1) * sizeof(*l->paths));
	for (size_t i = 0; i < m->folders.n && rc == BE_OK; i++) {
		struct folder *f = exchange_folder(x, m->folders.v[i].id, e);

		if (!f)
			return e->code == ERR_NOT_FOUND ? BE_PERM : BE_TEMP;
		rc = look_at(x, f, l, e);
	}
	return rc;
}

static void park(struct exchange *x, const struct ping_look *l)
{
	struct park *p = ARENA_NEW(x->a, struct park);
	struct ping_reply expired = { .status = NUM(PING_EXPIRED) };

	p->kind = PARK_PING;
	p->folders = l->paths;
	p->n_folders = l->n_paths;
	p->wants_hierarchy = true;
	p->until_ms = x->rq->kind == REQUEST_CHECK
			      ? x->rq->parked->until_ms
			      : clock_now(x->w->clock) + (int64_t)x->dev->ping.heartbeat_s * 1000;
	reply_park(x, p, encoded(x, &expired));
}

enum news { NEWS_NONE, NEWS_ITEMS, NEWS_FOLDERS, NEWS_UNKNOWN };

static enum news find_news(struct exchange *x, struct ping_look *l, struct err *e)
{
	enum be_result rc = BE_OK;

	*l = (struct ping_look){ .reply = { .status = NUM(PING_CHANGED) } };
	for (size_t i = 0; i < x->dev->ping.folders.n; i++)
		sync_view_want(x, x->dev->ping.folders.v[i].id);
	if (exchange_load_more(x, e) < 0)
		return NEWS_UNKNOWN;
	if (hierarchy_changed(x, e, &rc))
		return NEWS_FOLDERS;
	if (rc == BE_OK)
		rc = look(x, l, e);
	if (rc == BE_PERM && e->code == ERR_NOT_FOUND)
		return NEWS_FOLDERS;
	if (rc != BE_OK)
		return NEWS_UNKNOWN;
	return l->reply.folders.n ? NEWS_ITEMS : NEWS_NONE;
}

static void ping(struct exchange *x)
{
	struct ping_look l;
	struct err e = { 0 };
	enum news news;

	if (!remember(x))
		return;
	news = find_news(x, &l, &e);
	/* A hook tells of the phone's own change before its command has committed. */
	if ((news == NEWS_ITEMS || news == NEWS_FOLDERS) && x->rq->kind == REQUEST_CHECK) {
		if (!exchange_look_again(x))
			return;
		if (!x->dev->has_ping) {
			answer(x, PING_MISSING);
			return;
		}
		news = find_news(x, &l, &e);
	}
	switch (news) {
	case NEWS_NONE:
		park(x, &l);
		break;
	case NEWS_ITEMS:
		reply_struct(x, &ping_reply_schema, &l.reply, PING_CHANGED);
		break;
	case NEWS_FOLDERS:
		answer(x, PING_HIERARCHY);
		break;
	case NEWS_UNKNOWN:
		reply_fail(x, &e);
		break;
	}
}

void cmd_ping(struct exchange *x)
{
	struct ping_reply superseded = { .status = NUM(PING_MISSING) };

	/* A newer Ping of a device ends the older one at once, whatever becomes of it. */
	exchange_take(x);
	x->v->ends_older = true;
	x->v->older_body = encoded(x, &superseded);
	ping(x);
}

void check_ping(struct exchange *x)
{
	if (!x->dev->has_ping) {
		answer(x, PING_MISSING); /* forgotten meanwhile: the phone says it again */
		return;
	}
	ping(x);
}
