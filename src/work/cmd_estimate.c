/* cmd_estimate.c - GetItemEstimate (MS-ASCMD 2.2.1.9): how much a Sync would
 * bring. Worker. Looks, saves nothing. */
#include "work/sync_open.h"

enum estimate_status { EST_OK = 1, EST_BAD_COLLECTION = 2, EST_NOT_PRIMED = 3, EST_BAD_KEY = 4 };
enum { COLLECTIONS_MAX = 1000, STATUS_PROTOCOL = 103, STATUS_FILTER = 110, WITHOUT_OPTIONS_MAX = 512 };

void want_estimate(struct exchange *x)
{
	const struct estimate_request *req = x->rq->decoded;

	for (size_t i = 0; x->rq->body_kind == BODY_DECODED && req && i < req->collections.n && i < COLLECTIONS_MAX; i++)
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

/* The Options of mail; NULL: none. SMS may stand beside them. */
static const struct sync_options *mail_options(const struct estimate_collection *c)
{
	for (size_t i = 0; i < c->options.n; i++)
		if (!slice_eq(c->options.v[i].class, S("SMS")))
			return &c->options.v[i];
	return NULL;
}

/* What is not said is no filter (R2970, R3543), whatever the last Sync asked for. */
static int64_t filter_of(const struct estimate_collection *c)
{
	const struct sync_options *o = mail_options(c);

	return o ? num_or(o->filter_type, 0) : num_or(c->filter_type, 0);
}

/* 0, or the status of the whole. */
static int judge_request(struct exchange *x, const struct estimate_request *req)
{
	if (req->collections.n == 0 || req->collections.n > COLLECTIONS_MAX ||
	    (x->rq->report->first.kind && x->rq->report->first.kind != PROBLEM_VERSION))
		return STATUS_PROTOCOL;
	for (size_t i = 0; i < req->collections.n; i++) {
		const struct estimate_collection *c = &req->collections.v[i];

		if ((c->collection_id.len == 0 && sync_class_folder(x, c->class).len == 0) || (c->problem.kind && c->problem.kind != PROBLEM_VERSION))
			return STATUS_PROTOCOL;
		if (!sync_classes_legal(c->options.v, c->options.n))
			return EST_BAD_KEY; /* R908 */
		if (!sync_filter_legal_mail(filter_of(c)))
			return STATUS_FILTER; /* R3005-R3007 */
	}
	return 0;
}

static enum be_result estimate(struct exchange *x, const struct estimate_collection *c, struct estimate_response *out,
			       struct err *e)
{
	struct slice id = c->collection_id.len ? c->collection_id : sync_class_folder(x, c->class);
	struct folder *f = exchange_folder(x, id, e);
	enum estimate_status status;
	struct session *s;
	struct sync_view v;
	size_t waiting = 0;
	enum be_result rc;

	if (!f && e->code != ERR_NOT_FOUND)
		return BE_TEMP;
	out->status = NUM(EST_BAD_COLLECTION);
	if (!f || !f->selectable || (mail_options(c) && mail_options(c)->max_items.has))
		return BE_OK; /* MaxItems: of the recipient cache only (R3265) */
	sync_view_want(x, f->id);
	if (exchange_load_more(x, e) < 0)
		return BE_TEMP;
	sync_view_open(x, f, &v);
	status = judge_key(x, &v, c->sync_key);
	out->status = NUM(status);
	if (status != EST_OK)
		return BE_OK;
	rc = exchange_session(x, BE_MAIL, &s, e);
	if (rc == BE_OK)
		rc = sync_view_look(x, s, &v, (int)filter_of(c), &waiting, e);
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
	if (x->rq->version >= EAS_140 && !mail_options(c) && waiting > WITHOUT_OPTIONS_MAX)
		waiting = WITHOUT_OPTIONS_MAX; /* R3543 */
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
	int status = judge_request(x, req);

	if (status) {
		reply_status(x, status);
		return;
	}
	for (size_t i = 0; i < req->collections.n; i++) {
		if (estimate(x, &req->collections.v[i], LIST_PUSH(x->a, &reply.responses), &e) != BE_OK) {
			reply_fail(x, &e);
			return;
		}
	}
	reply_struct(x, &estimate_reply_schema, &reply, EST_OK);
}
