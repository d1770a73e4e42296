/* cmd_sync.c - Sync (MS-ASCMD 2.2.1.21): reads the request as it is meant, judges
 * keys, lets sync_apply and sync_serve work, and writes reply and records.
 * Worker. The one order that matters: backend writes, then the commit, then the
 * reply; a process that dies in between is repeated by the phone under the same
 * key, and repeats harm nothing. */
#include "base/log.h"
#include "keys.h"
#include "work/crash.h"
#include "work/fuse.h"
#include "work/sync_memory.h"
#include "work/sync_open.h"
#include "work/sync_run.h"

enum { COMMANDS_MAX = 200, WAIT_MAX_MIN = 59 };

void sync_confirm(struct sync_coll *c)
{
	if (c->mode != MODE_NEXT || c->confirmed)
		return;
	colstate_confirm(&c->st);
	c->confirmed = true;
}

enum be_result sync_special_folder(struct exchange *x, struct session *s, enum folder_type type, struct folder **f_r,
				   struct err *e)
{
	struct folder_map *map = exchange_folders(x, e);
	struct be_folder made = { .type = type, .selectable = true };
	enum be_result rc;

	if (!map)
		return BE_PERM;
	for (size_t i = 0; i < map->list.n; i++)
		if (map->list.v[i].type == type) {
			*f_r = &map->list.v[i];
			return BE_OK;
		}
	made.name = type == FOLDER_TRASH ? S("Trash") : type == FOLDER_SENT ? S("Sent") : S("Drafts");
	rc = exchange_result(x, BE_MAIL, s->ops->folder_create(s, S(""), made.name, type, x->a, &made.path, e));
	if (rc != BE_OK && !(rc == BE_PERM && e->code == ERR_EXISTS))
		return rc;
	*f_r = folder_map_put(x->a, map, S_NONE, &made);
	return BE_OK;
}

/* --- the request as it is meant ------------------------------------------------------ */

static bool usable_id(struct slice id)
{
	return id.len > 0 && id.len <= 64;
}

static bool too_many(const struct exchange *x, const struct sync_request *req)
{
	return req->collections.n > (uint64_t)settings_int(x->w->settings, "limits.sync_collections");
}

void want_sync(struct exchange *x)
{
	const struct sync_request *req = x->rq->decoded;

	if (x->rq->body_kind != BODY_DECODED || !req || too_many(x, req))
		return;
	for (size_t i = 0; i < req->collections.n; i++)
		if (usable_id(req->collections.v[i].collection_id))
			sync_view_want(x, req->collections.v[i].collection_id);
}

/* A request with a body takes the place of the remembered one also where it is
 * refused (R674): the next empty one is told 13 instead of something old. */
static void forget_request(struct exchange *x)
{
	if (x->rq->kind == REQUEST_CHECK || x->rq->body_kind == BODY_NONE || x->dev->sync.len == 0)
		return;
	x->dev->sync = S_NONE;
	device_touch(x->dev, DEVICE_SYNC);
}

static void fail_whole(struct exchange *x, enum sync_status status, struct num limit)
{
	struct sync_reply reply = { .status = NUM(status), .limit = limit };

	forget_request(x);
	reply_struct(x, &sync_reply_schema, &reply, (int)status);
}

static bool bad_problem(const struct field_problem *p)
{
	return p->kind != PROBLEM_NONE && p->kind != PROBLEM_VERSION;
}

static void name_by_class(struct sync_run *r)
{
	for (size_t i = 0; i < r->req.collections.n; i++) {
		struct sync_collection *c = &r->req.collections.v[i];

		if (c->collection_id.len)
			continue;
		c->collection_id = sync_class_folder(r->x, c->class);
		if (c->collection_id.len)
			sync_view_want(r->x, c->collection_id);
	}
}

/* 0, or the status of the request as a whole. */
static int effective_request(struct sync_run *r)
{
	struct exchange *x = r->x;
	const struct sync_request *given = x->rq->decoded;
	bool empty = x->rq->body_kind == BODY_NONE || x->rq->kind == REQUEST_CHECK;

	if (!empty && x->rq->report && bad_problem(&x->rq->report->first))
		return SYNC_PROTOCOL;
	/* Before anything is done for each of them. */
	if (!empty && too_many(x, given))
		return SYNC_TOO_MANY;
	if (!empty && !(given->partial.has && given->partial.v)) {
		r->req = *given;
		name_by_class(r);
		return given->collections.n ? 0 : SYNC_PROTOCOL;
	}
	if (!sync_memory_unpack(r->a, x->dev->sync, &r->req))
		return SYNC_INCOMPLETE;
	if (!empty)
		sync_memory_merge(r->a, &r->req, given);
	for (size_t i = 0; i < r->req.collections.n; i++)
		sync_view_want(x, r->req.collections.v[i].collection_id);
	return 0;
}

/* What a command must hold (MS-ASCMD Commands, R4431): without it nobody could be
 * answered. */
static bool commands_complete(const struct sync_collection *c)
{
	for (size_t i = 0; i < c->commands.n; i++) {
		const struct sync_command *cmd = &c->commands.v[i];

		if ((cmd->tag == AIRSYNC_ADD ? cmd->client_id : cmd->server_id).len == 0)
			return false;
		if (!cmd->item && (cmd->tag == AIRSYNC_ADD || cmd->tag == AIRSYNC_CHANGE))
			return false;
	}
	return true;
}

static int check_collections(const struct sync_run *r)
{
	size_t commands = 0;

	for (size_t i = 0; i < r->req.collections.n; i++) {
		const struct sync_collection *c = &r->req.collections.v[i];

		if (bad_problem(&c->problem) || !usable_id(c->collection_id) || c->sync_key.len == 0 ||
		    !commands_complete(c))
			return SYNC_PROTOCOL;
		if (slice_eq(c->sync_key, S("0")) && c->commands.n)
			return SYNC_PROTOCOL; /* about what? nothing is known yet */
		/* 12.1 and later: asking for changes of what is not known yet. */
		if (slice_eq(c->sync_key, S("0")) && num_or(c->get_changes, 0) && r->x->rq->version >= EAS_121)
			return SYNC_PROTOCOL;
		for (size_t k = 0; k < i; k++)
			if (slice_eq(r->req.collections.v[k].collection_id, c->collection_id))
				return SYNC_PROTOCOL;
		commands += c->commands.n;
	}
	return commands > COMMANDS_MAX ? SYNC_PROTOCOL : 0;
}

static int check_wait(struct sync_run *r, struct num *limit_r)
{
	int64_t low = r->x->client.heartbeat_min_ms / 1000, high = r->x->client.heartbeat_max_ms / 1000;
	const struct num *wait = &r->req.wait, *beat = &r->req.heartbeat;

	if (wait->has && beat->has)
		return SYNC_PROTOCOL;
	if (wait->has && (wait->v < 1 || wait->v > WAIT_MAX_MIN)) {
		*limit_r = NUM(wait->v < 1 ? 1 : WAIT_MAX_MIN);
		return SYNC_WAIT;
	}
	if (beat->has && (beat->v < low || beat->v > high)) {
		*limit_r = NUM(beat->v < low ? low : high);
		return SYNC_WAIT;
	}
	r->wait_ms = wait->has ? wait->v * 60000 : beat->has ? beat->v * 1000 : 0;
	return 0;
}

static int check_request(struct sync_run *r, struct num *limit_r)
{
	int status = too_many(r->x, &r->req) ? SYNC_TOO_MANY : check_collections(r);

	return status ? status : check_wait(r, limit_r);
}

/* --- keys ----------------------------------------------------------------------------- */

static void start_over(struct sync_run *r, struct sync_coll *c)
{
	bool same_first = c->st.exists && c->st.counter == 1 && c->st.have.n == 0 &&
			  colops_count(&c->st.sent) == 0 && colops_count(&c->st.own) == 0;
	struct colstate fresh;

	c->mode = MODE_FIRST;
	/* Two equal first Syncs are one: both answers carry the same key. */
	if (same_first)
		return;
	colstate_init(&fresh, r->a);
	fresh.series = (uint32_t)rnd_u64(r->x->w->rnd);
	fresh.counter = 1;
	c->st = fresh;
	c->fresh = true;
}

static void judge_key(struct sync_run *r, struct sync_coll *c)
{
	struct synckey_scope scope = exchange_scope(r->x, c->folder->id);
	struct synckey key, now = { c->st.series, c->st.counter };
	struct synckey before = { c->st.series, c->st.counter - 1 };
	enum synckey_kind kind = synckey_read(r->a, &scope, c->ask->sync_key, &key);

	if (kind == SYNCKEY_ZERO) {
		start_over(r, c);
		return;
	}
	c->status = SYNC_BAD_KEY;
	if (kind == SYNCKEY_BAD || !c->st.exists)
		return;
	switch (synckey_place(key, now, before)) {
	case SYNCKEY_CURRENT:
		c->mode = MODE_NEXT;
		c->status = SYNC_OK;
		return;
	case SYNCKEY_PREVIOUS:
		c->mode = MODE_REDO;
		c->status = SYNC_OK;
		return;
	case SYNCKEY_AHEAD:
		LOG_W("sync state stepped back", L_S("user", r->x->dev->user), L_S("dev", r->x->dev->id),
		      L_S("folder", c->folder->path), L_I("key", key.counter), L_I("state", now.counter),
		      L_Z("do", "the store lost writes (fail-over, restored backup?); this collection is synced anew"));
		return;
	default:
		return;
	}
}

static void load_records(struct sync_run *r, struct sync_coll *c)
{
	struct sync_view v;

	sync_view_open(r->x, c->folder, &v);
	c->col_key = v.col_key;
	c->extra_key = v.extra_key;
	c->base_len = v.base_len;
	c->record_len = v.record_len;
	c->st = v.st;
	c->extras = v.extras;
}

static int open_options(struct sync_run *r, struct sync_coll *c)
{
	sync_options_unpack(&c->opt, c->st.options);
	c->opt_before = c->st.options;
	return sync_options_take(&c->opt, c->ask, r->x->rq->version);
}

/* 0, or the status of the whole request. *temp: the backend could not tell. */
static int open_collection(struct sync_run *r, struct sync_coll *c, bool *temp, struct err *e)
{
	int status;

	c->out = ARENA_NEW(r->a, struct sync_reply_collection);
	c->status = SYNC_OK;
	colops_init(&c->repeated, r->a);
	c->folder = exchange_folder(r->x, c->ask->collection_id, e);
	if (!c->folder || !c->folder->selectable) {
		*temp = !c->folder && e->code != ERR_NOT_FOUND;
		c->folder = NULL;
		c->status = SYNC_HIERARCHY;
		return 0;
	}
	load_records(r, c);
	judge_key(r, c);
	status = c->status == SYNC_OK ? open_options(r, c) : 0;
	if (status)
		return status;
	c->wants_changes = c->mode != MODE_FIRST && c->opt.get_changes;
	return 0;
}

/* --- work ------------------------------------------------------------------------------ */

static bool active(const struct sync_coll *c)
{
	return c->status == SYNC_OK && c->mode != MODE_FIRST;
}

/* A refusal that concerns this collection only: BE_OK. */
static enum be_result collection_refused(struct sync_coll *c, enum be_result rc, const struct err *e)
{
	if (rc != BE_PERM || e->code == ERR_AUTH)
		return rc;
	if (e->code == ERR_CONFLICT)
		c->status = SYNC_BAD_KEY;
	else if (e->code == ERR_NOT_FOUND)
		c->status = SYNC_HIERARCHY;
	else
		c->status = SYNC_SERVER;
	return BE_OK;
}

/* Key 0 brings no items, but its phone comes back for them at once: the listing is
 * made now, so that the first window costs no more round trips than the others. A
 * mail server that fails now may be better then. */
static void list_ahead(struct sync_run *r, struct sync_coll *c)
{
	struct err e;

	if (c->mode == MODE_FIRST && c->fresh && c->status == SYNC_OK &&
	    exchange_session(r->x, BE_MAIL, &r->session, &e) == BE_OK)
		(void)sync_look_coll(r, c, &e);
}

static enum be_result work_collections(struct sync_run *r, struct err *e)
{
	enum be_result rc = BE_OK;

	for (size_t i = 0; i < r->n && rc == BE_OK; i++)
		if (active(&r->v[i]))
			rc = collection_refused(&r->v[i], sync_apply(r, &r->v[i], e), e);
	for (size_t i = 0; i < r->n && rc == BE_OK; i++) {
		struct sync_coll *c = &r->v[i];

		if (!active(c)) {
			list_ahead(r, c);
			continue;
		}
		if (c->mode == MODE_NEXT && c->wants_changes)
			rc = collection_refused(c, sync_look_coll(r, c, e), e);
		if (rc == BE_OK && active(c) && (c->wants_changes || c->mode == MODE_REDO))
			rc = collection_refused(c, sync_serve(r, c, e), e);
	}
	return rc;
}

/* --- reply and records ------------------------------------------------------------------ */

static bool has_news(const struct sync_coll *c)
{
	return c->status != SYNC_OK || c->mode != MODE_NEXT || c->confirmed;
}

static void finish_collection(struct sync_run *r, struct sync_coll *c)
{
	struct sync_reply_collection *out = c->out;
	int version = r->x->rq->version;

	out->collection_id = c->ask->collection_id;
	out->status = NUM(c->status);
	if (version < EAS_140 && c->ask->class.len)
		out->class = c->ask->class;
	if (c->status == SYNC_OK) {
		struct synckey_scope scope = exchange_scope(r->x, c->folder->id);

		out->sync_key = synckey_make(r->a, &scope, (struct synckey){ c->st.series, c->st.counter });
	} else {
		/* Nothing of a refused collection is told. */
		*out = (struct sync_reply_collection){ .class = out->class, .collection_id = out->collection_id,
						       .status = out->status, .sync_key = S("0") };
	}
	if (c->more && c->status == SYNC_OK)
		out->more_available = NUM(1);
	*LIST_PUSH(r->a, &r->reply.collections) = *out;
	r->reply.has_collections = NUM(1);
}

static void save_collection(struct sync_run *r, struct sync_coll *c)
{
	enum colframe kind = c->mode == MODE_FIRST ? COLFRAME_BASE : c->confirmed ? COLFRAME_NEXT : COLFRAME_REDO;
	bool append;
	struct slice frame;

	if (!c->folder || (c->status != SYNC_OK && c->mode != MODE_FIRST))
		return;
	if (c->status == SYNC_OK)
		c->st.options = sync_options_pack(r->a, &c->opt);
	if (!c->st.touched && !c->fresh && slice_eq(c->st.options, c->opt_before))
		return;
	frame = colstate_frame(&c->st, kind, c->base_len, c->record_len, &append);
	exchange_put(r->x, c->col_key, append ? STORE_APPEND : STORE_PUT, frame, 0);
	if (!c->extras.touched)
		return;
	exchange_put(r->x, c->extra_key, STORE_PUT, extras_pack(&c->extras), -1);
	r->x->told = c->folder->path;
}

static void remember_request(struct sync_run *r)
{
	struct slice packed = sync_memory_pack(r->a, &r->req);

	if (slice_eq(packed, r->x->dev->sync))
		return;
	r->x->dev->sync = packed;
	device_touch(r->x->dev, DEVICE_SYNC);
}

static void park(struct sync_run *r)
{
	struct exchange *x = r->x;
	struct park *p = ARENA_NEW(r->a, struct park);
	struct slice *paths = arena_alloc(r->a, r->n * sizeof(*paths));

	p->kind = PARK_SYNC;
	p->gen = x->gen;
	p->until_ms = x->rq->kind == REQUEST_CHECK ? x->rq->parked->until_ms : clock_now(x->w->clock) + r->wait_ms;
	for (size_t i = 0; i < r->n; i++)
		paths[p->n_folders++] = r->v[i].folder->path;
	p->folders = paths;
	reply_park(x, p, S_NONE);
}

static void answer(struct sync_run *r)
{
	bool news = false;

	for (size_t i = 0; i < r->n; i++)
		news = news || has_news(&r->v[i]);
	if (!news && r->wait_ms) {
		park(r);
		return;
	}
	if (!news) {
		reply_empty(r->x);
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		if (has_news(&r->v[i]))
			finish_collection(r, &r->v[i]);
	reply_struct(r->x, &sync_reply_schema, &r->reply, SYNC_OK);
}

static void run_deinit(struct sync_run *r)
{
	for (size_t i = 0; i < r->n_loaded; i++)
		mailitems_deinit(&r->loaded[i]);
}

/* false: answered already. */
static bool open_all(struct sync_run *r, struct err *e)
{
	r->n = r->req.collections.n;
	r->v = arena_alloc(r->a, (r->n + 1) * sizeof(*r->v));
	for (size_t i = 0; i < r->n; i++) {
		bool temp = false;
		int status;

		r->v[i].ask = &r->req.collections.v[i];
		status = open_collection(r, &r->v[i], &temp, e);
		if (temp)
			reply_fail(r->x, e);
		else if (status)
			fail_whole(r->x, (enum sync_status)status, (struct num){ 0 });
		if (temp || status)
			return false;
	}
	return true;
}

static bool needs_session(const struct sync_run *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (active(&r->v[i]))
			return true;
	return false;
}

/* Absent: no limit of the whole; 0 and too much are the most (R4768). */
static size_t window_of(struct num n)
{
	return !n.has || n.v <= 0 || n.v > SYNC_WINDOW_MAX ? SYNC_WINDOW_MAX : (size_t)n.v;
}

/* First Syncs of one collection again and again: slowed before anything is written. */
static bool fuse_holds(struct sync_run *r)
{
	struct exchange *x = r->x;
	struct fuse_ask ask = { x->dev->user, x->dev->id, S_NONE,
				(uint32_t)settings_int(x->w->settings, "limits.fuse_resyncs") };
	int64_t retry_ms = 0;

	for (size_t i = 0; i < r->req.collections.n && x->rq->kind == REQUEST_HTTP; i++) {
		enum fuse_state state;

		if (!slice_eq(r->req.collections.v[i].sync_key, S("0")))
			continue;
		ask.what = r->req.collections.v[i].collection_id;
		state = fuse_take(x->w->fuse, FUSE_RESYNCS, &ask, &retry_ms);
		if (state == FUSE_WHOLE)
			continue;
		if (state == FUSE_BLOWS)
			device_fused(x->dev, FUSE_RESYNCS, clock_wall(x->w->clock));
		x->quiet = state == FUSE_BLOWN;
		exchange_slow(x, retry_ms, "limits.fuse_resyncs");
		return false;
	}
	return true;
}

static void run_sync(struct sync_run *r)
{
	struct exchange *x = r->x;
	enum be_result rc = BE_OK;
	struct num limit = { 0 };
	struct err e = { 0 };
	int status = effective_request(r);

	if (!status)
		status = check_request(r, &limit);
	r->window_left = window_of(r->req.window_size);
	if (r->window_left > x->client.window)
		r->window_left = x->client.window;
	if (status == SYNC_TOO_MANY)
		limit = NUM(settings_int(x->w->settings, "limits.sync_collections"));
	if (status) {
		fail_whole(x, (enum sync_status)status, limit);
		return;
	}
	if (!fuse_holds(r))
		return;
	if (exchange_load_more(x, &e) < 0) {
		reply_fail(x, &e);
		return;
	}
	if (!open_all(r, &e))
		return;
	if (needs_session(r))
		rc = exchange_session(x, BE_MAIL, &r->session, &e);
	if (rc == BE_OK)
		rc = work_collections(r, &e);
	if (rc != BE_OK) {
		reply_fail(x, &e);
		return;
	}
	if (r->wrote)
		exchange_crash_point(x, "delete_change");
	for (size_t i = 0; i < r->n; i++)
		save_collection(r, &r->v[i]);
	remember_request(r);
	answer(r);
	device_synced(x->dev, clock_wall(x->w->clock));
}

static void sync_once(struct exchange *x)
{
	struct sync_run r = { .x = x, .a = x->a };

	r.deadline_ms = x->rq->received_ms + x->client.answer_ms;
	r.bytes_left = settings_bytes(x->w->settings, "limits.reply_bytes");
	run_sync(&r);
	run_deinit(&r);
}

void cmd_sync(struct exchange *x)
{
	sync_once(x);
}

/* A parked one was woken: the remembered request, looked at again. */
void check_sync(struct exchange *x)
{
	sync_once(x);
}
