/* reply.c - how a handler ends: fills the verdict. Worker. A later call
 * replaces an earlier one, so that a failed commit can take a reply back.
 * The trap: up to 12.1 there are no common statuses (100 and above); the same
 * fact is an HTTP status there (MS-ASCMD 2.2.2, R7545-R7567). */
#include "work/work.h"

#define WBXML_TYPE S("application/vnd.ms-sync.wbxml")

static const struct {
	int status, http;
} common[] = {
	{ 101, 400 }, { 102, 400 }, { 103, 400 }, { 104, 400 }, { 105, 400 }, { 106, 400 }, { 107, 400 },
	{ 108, 400 }, { 109, 400 }, { 110, 500 }, { 111, 503 }, { 112, 403 }, { 113, 507 }, { 114, 503 },
	{ 115, 507 }, { 116, 400 }, { 117, 403 }, { 118, 200 }, { 119, 400 }, { 120, 500 }, { 121, 500 },
	{ 122, 413 }, { 123, 403 }, { 124, 401 }, { 125, 403 }, { 126, 403 }, { 127, 403 }, { 128, 403 },
	{ 129, 403 }, { 130, 403 }, { 131, 403 }, { 132, 403 }, { 133, 503 }, { 134, 500 }, { 135, 503 },
	{ 136, 500 }, { 137, 501 }, { 138, 400 }, { 139, 449 }, { 140, 403 }, { 141, 449 }, { 142, 449 },
	{ 143, 449 }, { 144, 449 }, { 145, 403 }, { 147, 400 }, { 150, 404 }, { 177, 403 },
};

static int http_of(int status)
{
	for (size_t i = 0; i < sizeof(common) / sizeof(*common); i++)
		if (common[i].status == status)
			return common[i].http;
	return 500;
}

static void begin(struct exchange *x, int http_status, int status)
{
	struct verdict *v = x->v;

	blob_free(&v->body);
	v->kind = VERDICT_REPLY;
	v->http_status = http_status;
	v->content_type = S_NONE;
	v->park = NULL;
	v->expire_body = S_NONE;
	v->status = status;
	x->answered = true;
}

void reply_header(struct exchange *x, const char *name, struct slice value)
{
	struct verdict *v = x->v;

	for (size_t i = 0; i < v->n_headers; i++)
		if (slice_ieq(v->headers[i].name, slice_str(name))) {
			v->headers[i].value = value;
			return;
		}
	ASSERT(v->n_headers < sizeof(v->headers) / sizeof(*v->headers));
	v->headers[v->n_headers++] = (struct reply_header){ slice_str(name), value };
}

void reply_wbxml(struct exchange *x, struct blob **body, int status)
{
	begin(x, 200, status);
	x->v->content_type = WBXML_TYPE;
	/* Windows Phone says application/vnd.ms-sync and expects it back. */
	if (slice_ieq(x->rq->content_type, S("application/vnd.ms-sync")))
		x->v->content_type = S("application/vnd.ms-sync");
	x->v->body = *body;
	*body = NULL;
}

void reply_struct(struct exchange *x, const struct schema *s, const void *obj, int status)
{
	struct blob *b = blob_new(0);
	struct err e;

	if (encode_document(b, s, obj, (enum eas_version)x->rq->version, &e) < 0) {
		blob_free(&b);
		reply_fail(x, &e);
		return;
	}
	reply_wbxml(x, &b, status);
}

void reply_empty(struct exchange *x)
{
	begin(x, 200, 0);
}

void reply_http(struct exchange *x, int http_status)
{
	begin(x, http_status, 0);
	if (http_status == 503)
		reply_header(x, "Retry-After", S("30"));
	if (http_status == 401)
		reply_header(x, "WWW-Authenticate", S("Basic realm=\"ActiveSync\", charset=\"UTF-8\""));
}

void reply_status(struct exchange *x, int status)
{
	struct blob *b;
	struct err e;

	if (!x->wire || x->wire->status == TAG_NONE || (status >= 100 && x->rq->version < EAS_140)) {
		reply_http(x, http_of(status));
		x->v->status = status;
		return;
	}
	b = blob_new(0);
	if (encode_status_reply(b, x->wire, status, &e) == 0) {
		reply_wbxml(x, &b, status);
		return;
	}
	blob_free(&b);
	reply_http(x, 500);
	x->v->err = e;
}

void reply_fail(struct exchange *x, const struct err *e)
{
	struct err kept = *e;
	int http = err_http(e->code);

	switch (e->code) {
	case ERR_FORBIDDEN: reply_status(x, 130); break;
	case ERR_QUOTA: reply_status(x, 113); break;
	case ERR_INTERNAL:
	case ERR_STORE_FORMAT:
	case ERR_BACKEND_PERM: reply_status(x, 110); break;
	case ERR_BAD_REQUEST:
	case ERR_BAD_WBXML: reply_status(x, 103); break;
	default: reply_http(x, http == 200 ? 500 : http); break;
	}
	x->v->err = kept;
}

void reply_park(struct exchange *x, struct park *p, struct slice expire_body)
{
	begin(x, 200, 0);
	exchange_take(x);
	x->v->kind = VERDICT_PARK;
	x->v->park = p;
	x->v->expire_body = expire_body;
	if (expire_body.len)
		x->v->content_type = WBXML_TYPE;
	p->user = x->dev->user;
	p->device_id = x->dev->id;
	p->device_type = x->rq->query.device_type;
	p->version = x->rq->version;
	p->gen = x->gen;
	p->cred = x->cred;
}
