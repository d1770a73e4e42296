/* cmd_estimate.c - GetItemEstimate (MS-ASCMD 2.2.1.9): how much a Sync would
 * bring. Worker. Looks, saves nothing. */
#include "work/sync_open.h"

enum estimate_status { EST_OK = 1, EST_BAD_COLLECTION = 2, EST_NOT_PRIMED = 3, EST_BAD_KEY = 4 };
enum { COLLECTIONS_MAX = 1000, STATUS_PROTOCOL = 103 };

void want_estimate(struct exchange *x)
{
	const struct estimate_request *req = x->rq->decoded;

	for (size_t i = 0; x->rq->body_kind == BODY_DECODED && req && i < req->collections.n; i++)
		sync_view_want(x, req->collections.v[i].collection_id);
}

/* EST_OK, or what is wrong with the key. */
static enum estimate_status judge_key(struct exchange *x, const struct sync_view *v, struct slice text)
{
	struct synckey_scope scope = exchange_scope(x, v->folder->id);
	struct synckey key, now = { v->st.series, v->st.counter }, before = { v->st.series, v->st.counter - 1 };

	if (!v->st.exists)
		return EST_NOT_PRIMED;
	switch (synckey_read(x->a, &scope, text, &key)) {
	case SYNCKEY_OURS:
		break;
	case SYNCKEY_ZERO:
		return EST_NOT_PRIMED;
	default:
		return EST_BAD_KEY;
	}
	switch (synckey_place(key, now, before)) {
	case SYNCKEY_CURRENT:
	case SYNCKEY_PREVIOUS:
		return EST_OK;
	default:
		return EST_BAD_KEY;
	}
}

static int filter_of(const struct estimate_collection *c, const struct sync_view *v)
{
	if (c->options.n && c->options.v[0].filter_type.has)
		return (int)c->options.v[0].filter_type.v;
	if (c->filter_type.has)
		return (int)c->filter_type.v;
	return v->opt.filter;
}

static enum be_result estimate(struct exchange *x, const struct estimate_collection *c, struct estimate_response *out,
			       struct err *e)
{
	struct folder *f = exchange_folder(x, c->collection_id, e);
	enum estimate_status status;
	struct session *s;
	struct sync_view v;
	size_t waiting = 0;
	enum be_result rc;

	if (!f && e->code != ERR_NOT_FOUND)
		return BE_TEMP;
	out->status = NUM(EST_BAD_COLLECTION);
	if (!f || !f->selectable)
		return BE_OK;
	sync_view_open(x, f, &v);
	status = judge_key(x, &v, c->sync_key);
	out->status = NUM(status);
	if (status != EST_OK)
		return BE_OK;
	rc = exchange_session(x, BE_MAIL, &s, e);
	if (rc == BE_OK)
		rc = sync_view_look(x, s, &v, filter_of(c, &v), &waiting, e);
	if (rc == BE_PERM && e->code == ERR_CONFLICT) {
		out->status = NUM(EST_BAD_KEY);
		return BE_OK;
	}
	if (rc == BE_PERM && e->code == ERR_NOT_FOUND) {
		out->status = NUM(EST_BAD_COLLECTION);
		return BE_OK;
	}
	out->has_collection = NUM(1);
	out->collection_id = f->id;
	out->estimate = NUM((int64_t)waiting);
	if (x->rq->version < EAS_140)
		out->class = c->class;
	return rc;
}

void cmd_estimate(struct exchange *x)
{
	const struct estimate_request *req = x->rq->decoded;
	struct estimate_reply reply = { 0 };
	struct err e = { 0 };

	if (req->collections.n == 0 || req->collections.n > COLLECTIONS_MAX) {
		reply_status(x, STATUS_PROTOCOL);
		return;
	}
	for (size_t i = 0; i < req->collections.n; i++) {
		const struct estimate_collection *c = &req->collections.v[i];
		int64_t filter = c->options.n ? num_or(c->options.v[0].filter_type, 0) : num_or(c->filter_type, 0);

		if (!sync_filter_legal_mail(filter) || c->collection_id.len == 0) {
			reply_status(x, STATUS_PROTOCOL);
			return;
		}
		if (estimate(x, c, LIST_PUSH(x->a, &reply.responses), &e) != BE_OK) {
			reply_fail(x, &e);
			return;
		}
	}
	reply_struct(x, &estimate_reply_schema, &reply, EST_OK);
}
