/* cmd_moveitems.c - MoveItems (MS-ASCMD 2.2.1.12). Worker. A repeat whose answer
 * got lost, or whose process died after the move, finds its mails: before a mail
 * is moved, the record "moved:DEV" says where to and under which Message-ID.
 * Record format 1: one nested run of fields a mail, newest last. */
#include "keys.h"
#include "proto/header.h"
#include "work/mailitem.h"
#include "work/sync_open.h"
#include "work/sync_run.h"

enum move_status { MOVE_BAD_SOURCE = 1, MOVE_BAD_TARGET = 2, MOVE_OK = 3, MOVE_SAME = 4, MOVE_FAILED = 5, MOVE_LOCKED = 7 };
enum { MOVES_MAX = 1000, REMEMBERED_MAX = 200, STATUS_PROTOCOL = 103, FORMAT = 1 };
enum { T_MOVED = 1, M_SRC = 1, M_DST_FOLDER, M_MESSAGE_ID, M_NUM };
#define MOVED_KEPT_MS (24 * 3600 * 1000LL)

struct moved {
	struct slice src_id, dst_folder, message_id;
	uint64_t num; /* in the target; 0 not known */
};

struct one {
	const struct move_item *ask;
	struct move_response *out;
	struct folder *src, *dst;
	uint64_t num;
	bool todo;
	bool noted; /* in m->notes: may be moved once those are committed */
};

struct moving {
	struct exchange *x;
	struct session *s;
	struct one *v;
	size_t n;
	LIST_OF(struct moved) notes;
	struct sync_view *views;
	size_t n_views;
	struct slice key;
};

void want_moveitems(struct exchange *x)
{
	const struct moveitems_request *req = x->rq->decoded;

	exchange_want(x, key_moved(x->a, x->rq->query.device_id));
	for (size_t i = 0; x->rq->body_kind == BODY_DECODED && req && i < req->moves.n && i < MOVES_MAX; i++) {
		sync_view_want(x, req->moves.v[i].src_folder);
		sync_view_want(x, req->moves.v[i].dst_folder);
	}
}

/* --- the notes --------------------------------------------------------------------- */

static void read_notes(struct moving *m)
{
	struct slice rest, record = exchange_got(m->x, m->key, NULL), run;
	struct record_field f, g;

	if (record.len == 0 || record_open(&rest, record, FORMAT, NULL) < 0)
		return;
	while (record_next(&rest, &f, NULL) > 0) {
		struct moved *n = f.tag == T_MOVED && f.is_bytes ? LIST_PUSH(m->x->a, &m->notes) : NULL;

		run = f.bytes;
		while (n && record_next(&run, &g, NULL) > 0) {
			if (g.tag == M_SRC)
				n->src_id = g.bytes;
			else if (g.tag == M_DST_FOLDER)
				n->dst_folder = g.bytes;
			else if (g.tag == M_MESSAGE_ID)
				n->message_id = g.bytes;
			else if (g.tag == M_NUM)
				n->num = g.v;
		}
	}
}

static void put_notes(struct moving *m)
{
	struct record_writer w, one;
	size_t most = m->n > REMEMBERED_MAX ? m->n : REMEMBERED_MAX; /* this request's all of them */
	size_t from = m->notes.n > most ? m->notes.n - most : 0;

	record_begin(&w, m->x->a, FORMAT);
	for (size_t i = from; i < m->notes.n; i++) {
		const struct moved *n = &m->notes.v[i];

		record_begin(&one, m->x->a, 0);
		record_bytes(&one, M_SRC, n->src_id);
		record_bytes(&one, M_DST_FOLDER, n->dst_folder);
		record_bytes(&one, M_MESSAGE_ID, n->message_id);
		record_int(&one, M_NUM, n->num);
		record_item(&w, T_MOVED, record_end(&one));
	}
	exchange_put(m->x, m->key, STORE_PUT, record_end(&w), MOVED_KEPT_MS);
}

/* Newest note of that mail into that folder, as an index; -1. */
static ptrdiff_t find_note(const struct moving *m, const struct one *o)
{
	for (size_t i = m->notes.n; i-- > 0;)
		if (slice_eq(m->notes.v[i].src_id, o->ask->src_id) && slice_eq(m->notes.v[i].dst_folder, o->dst->id))
			return (ptrdiff_t)i;
	return -1;
}

/* --- reading the request -------------------------------------------------------------- */

static enum move_status judge(struct moving *m, struct one *o, bool *temp, struct err *e)
{
	struct slice folder;

	*temp = false;
	if (o->ask->problem.kind == PROBLEM_RULE)
		return MOVE_FAILED; /* more than one DstFldId (R4222) */
	o->src = exchange_folder(m->x, o->ask->src_folder, e);
	*temp = !o->src && e->code != ERR_NOT_FOUND;
	if (!o->src || !server_id_parse(o->ask->src_id, &folder, &o->num) || !slice_eq(folder, o->src->id))
		return MOVE_BAD_SOURCE;
	o->dst = exchange_folder(m->x, o->ask->dst_folder, e);
	*temp = !o->dst && e->code != ERR_NOT_FOUND;
	if (!o->dst || !o->dst->selectable)
		return MOVE_BAD_TARGET;
	return slice_eq(o->dst->id, o->src->id) ? MOVE_SAME : MOVE_OK;
}

static bool read_moves(struct moving *m, const struct moveitems_request *req, struct moveitems_reply *reply, struct err *e)
{
	m->n = req->moves.n;
	m->v = arena_alloc(m->x->a, (m->n + 1) * sizeof(*m->v));
	for (size_t i = 0; i < m->n; i++)
		LIST_PUSH(m->x->a, &reply->responses);
	for (size_t i = 0; i < m->n; i++) {
		struct one *o = &m->v[i];
		enum move_status status;
		bool temp = false;

		o->ask = &req->moves.v[i];
		o->out = &reply->responses.v[i];
		o->out->src_id = o->ask->src_id;
		status = judge(m, o, &temp, e);
		if (temp)
			return false;
		o->out->status = NUM(status);
		o->todo = status == MOVE_OK;
	}
	return true;
}

/* --- one run: all mails of one pair of folders ------------------------------------------- */

/* By id: a look for an unknown folder may have made the map anew. */
static struct sync_view *view_of(struct moving *m, struct folder *f)
{
	for (size_t i = 0; i < m->n_views; i++)
		if (slice_eq(m->views[i].folder->id, f->id))
			return &m->views[i];
	sync_view_open(m->x, f, &m->views[m->n_views]);
	return &m->views[m->n_views++];
}

static size_t collect(struct moving *m, const struct one *first, struct one **run)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].todo && m->v[i].noted == first->noted && slice_eq(m->v[i].src->id, first->src->id) &&
		    slice_eq(m->v[i].dst->id, first->dst->id))
			run[n++] = &m->v[i];
	return n;
}

/* What the move means for the phone's states: gone here, held there. Also for a
 * repeat whose first run died before it could say so. */
static void moved_one(struct moving *m, struct one *o, uint64_t num)
{
	struct sync_view *src = view_of(m, o->src), *dst = view_of(m, o->dst);
	const struct extra *kept = extras_find(&src->extras, o->num);
	uint32_t rev = ITEM_REV_UNCERTAIN, there; /* unless its old folder knows better */
	ptrdiff_t at = find_note(m, o);

	o->todo = false;
	if (num == 0) {
		/* Gone before it could be moved, or not to be found there: the next Syncs
		 * of both folders tell what became of it. */
		o->out->status = NUM(MOVE_BAD_SOURCE);
		return;
	}
	if (colstate_known(&src->st, o->num, &rev)) {
		colstate_own(&src->st, COLOP_GONE, o->num, 0);
		colstate_pend(&src->st, COLOP_DROP, o->num, 0);
	}
	if (at >= 0)
		m->notes.v[at].num = num;
	o->out->dst_id = server_id_make(m->x->a, o->dst->id, num);
	if (!colstate_known(&dst->st, num, &there)) {
		colstate_own(&dst->st, COLOP_ADD, num, rev);
		colstate_pend(&dst->st, COLOP_DROP, num, 0);
	}
	if (kept) {
		struct extra copy = *kept;

		copy.num = num;
		*extras_get(&dst->extras, num) = copy;
		dst->extras.touched = true;
		extras_remove(&src->extras, o->num);
	}
}

/* Not in the source any more: did an earlier request of this phone move it? */
static enum be_result recall(struct moving *m, struct one *o, struct err *e)
{
	ptrdiff_t at = find_note(m, o);
	enum be_result rc = BE_OK;
	struct moved *n;

	o->todo = false;
	o->out->status = NUM(MOVE_BAD_SOURCE);
	if (at < 0)
		return BE_OK;
	n = &m->notes.v[at];
	if (n->num == 0 && n->message_id.len)
		rc = exchange_result(m->x, BE_MAIL, m->s->ops->find_message_id(m->s, o->dst->path, n->message_id, &n->num, e));
	if (rc == BE_PERM && e->code != ERR_AUTH)
		return BE_OK; /* the target is gone as well */
	if (rc == BE_OK && n->num) {
		o->out->status = NUM(MOVE_OK);
		moved_one(m, o, n->num);
	}
	return rc;
}

static void note_head(struct moving *m, struct one *o, const struct be_head *h)
{
	struct mail_headers headers;
	struct moved *n = LIST_PUSH(m->x->a, &m->notes);

	mail_headers_parse(m->x->a, h->headers, &headers);
	*n = (struct moved){ .src_id = o->ask->src_id, .dst_folder = o->dst->id, .message_id = headers.message_id };
}

/* Heads of the run: who is still there, and under which Message-ID. The others
 * are answered. */
static enum be_result prepare(struct moving *m, struct one **run, size_t n, struct err *e)
{
	struct be_head *heads = arena_alloc(m->x->a, (n + 1) * sizeof(*heads));
	uint64_t *nums = arena_alloc(m->x->a, (n + 1) * sizeof(*nums));
	size_t n_heads = 0, h = 0;
	enum be_result rc;

	for (size_t i = 0; i < n; i++)
		nums[i] = run[i]->num;
	rc = exchange_result(m->x, BE_MAIL,
			     m->s->ops->heads(m->s, run[0]->src->path, nums, n, m->x->a, heads, &n_heads, e));
	if (rc == BE_PERM && e->code == ERR_NOT_FOUND) {
		n_heads = 0; /* the folder itself is gone: nothing is there any more */
		rc = BE_OK;
	}
	for (size_t i = 0; i < n && rc == BE_OK; i++) {
		if (h < n_heads && heads[h].item.num == run[i]->num) {
			note_head(m, run[i], &heads[h++]);
			run[i]->noted = true;
		} else {
			rc = recall(m, run[i], e);
		}
	}
	return rc;
}

static enum be_result move_run(struct moving *m, struct one **run, size_t n, struct err *e)
{
	uint64_t *nums = arena_alloc(m->x->a, (n + 1) * sizeof(*nums)), *made = arena_alloc(m->x->a, (n + 1) * sizeof(*made));
	enum be_result rc;

	for (size_t i = 0; i < n; i++)
		nums[i] = run[i]->num;
	rc = exchange_result(m->x, BE_MAIL, m->s->ops->move(m->s, run[0]->src->path, nums, n, run[0]->dst->path, made, e));
	if (rc == BE_PERM && e->code != ERR_AUTH) {
		for (size_t i = 0; i < n; i++) {
			run[i]->todo = false;
			run[i]->out->status = NUM(e->code == ERR_NOT_FOUND ? MOVE_BAD_TARGET : MOVE_FAILED);
		}
		return BE_OK;
	}
	for (size_t i = 0; i < n && rc == BE_OK; i++)
		moved_one(m, run[i], made[i]);
	return rc;
}

/* Each pair of folders whose mails are at that stage. */
static enum be_result each_run(struct moving *m, bool noted,
			       enum be_result (*act)(struct moving *m, struct one **run, size_t n, struct err *e),
			       struct err *e)
{
	struct one **run = arena_alloc(m->x->a, (m->n + 1) * sizeof(*run));
	enum be_result rc = BE_OK;

	for (size_t i = 0; i < m->n && rc == BE_OK; i++)
		if (m->v[i].todo && m->v[i].noted == noted)
			rc = act(m, run, collect(m, &m->v[i], run), e);
	return rc;
}

/* Each Move names all three; nothing else belongs there. */
static bool well_formed(const struct moveitems_request *req, const struct decode_report *report)
{
	if (req->moves.n == 0 || req->moves.n > MOVES_MAX || (report && report->first.kind))
		return false;
	for (size_t i = 0; i < req->moves.n; i++) {
		const struct move_item *m = &req->moves.v[i];

		if (m->src_id.len == 0 || m->src_folder.len == 0 || m->dst_folder.len == 0 ||
		    (m->problem.kind != PROBLEM_NONE && m->problem.kind != PROBLEM_RULE))
			return false;
	}
	return true;
}

/* One commit of notes for all, then the moves. */
static enum be_result move_all(struct moving *m, struct err *e)
{
	size_t before = m->notes.n;
	enum be_result rc = each_run(m, false, prepare, e);

	if (rc != BE_OK || m->notes.n == before)
		return rc;
	put_notes(m);
	if (exchange_commit(m->x, 0, e) < 0)
		return BE_TEMP;
	return each_run(m, true, move_run, e);
}

void cmd_moveitems(struct exchange *x)
{
	const struct moveitems_request *req = x->rq->decoded;
	struct moving m = { .x = x, .key = key_moved(x->a, x->dev->id) };
	struct moveitems_reply reply = { 0 };
	struct err e = { 0 };
	enum be_result rc;

	if (!well_formed(req, x->rq->report)) {
		reply_status(x, STATUS_PROTOCOL);
		return;
	}
	m.views = arena_alloc(x->a, (2 * req->moves.n + 1) * sizeof(*m.views));
	read_notes(&m);
	if (!read_moves(&m, req, &reply, &e)) {
		reply_fail(x, &e);
		return;
	}
	rc = exchange_session(x, BE_MAIL, &m.s, &e);
	if (rc == BE_OK)
		rc = move_all(&m, &e);
	if (rc != BE_OK) {
		reply_fail(x, &e);
		return;
	}
	exchange_crash_point(x, "moveitems");
	put_notes(&m);
	for (size_t i = 0; i < m.n_views; i++)
		sync_view_save(x, &m.views[i]);
	x->v->items_in = (unsigned)m.n;
	reply_struct(x, &moveitems_reply_schema, &reply, MOVE_OK);
}
