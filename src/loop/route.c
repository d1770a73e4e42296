/* route.c - what a request is, before anybody works on it.
 * Pure; runs on the loop, so it does no I/O and its work is linear in the head. */
#include "loop/route.h"

#include "base/digest.h"
#include "proto/charset.h"

enum {
	STRAY_BODY = 64 * 1024,    /* of a request that will be refused: read over, then answered */
	UNKNOWN_BODY = 64 * 1024,  /* of a request without a login: it is answered 401 anyway */
	MAX_LOGIN = 4096,
};

static const char endpoint[] = "/Microsoft-Server-ActiveSync";

/* -- parts of the head ------------------------------------------------------- */

static struct slice latin1_to_utf8(struct arena *a, struct slice in)
{
	char *out = arena_alloc(a, in.len * 2 + 1);
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = (unsigned char)in.ptr[i];

		if (c >= 0x80)
			out[n++] = (char)(0xc0 | c >> 6);
		out[n++] = (char)(c < 0x80 ? c : (0x80 | (c & 0x3f)));
	}
	return slice(out, n);
}

bool basic_auth(struct arena *a, struct slice header, struct slice *login_r, struct slice *password_r)
{
	struct slice text, part[2];
	ptrdiff_t colon;

	if (header.len > MAX_LOGIN || !slice_istarts(header, S("Basic ")))
		return false;
	if (!base64_decode(a, slice_trim(slice_from(header, 6)), &text))
		return false;
	colon = slice_chr(text, ':');
	if (colon < 1 || slice_chr(text, '\0') >= 0)
		return false;
	part[0] = slice_to(text, (size_t)colon);
	part[1] = slice_from(text, (size_t)colon + 1);
	for (int i = 0; i < 2; i++)
		part[i] = utf8_valid(part[i]) ? arena_slice(a, part[i]) : latin1_to_utf8(a, part[i]);
	*login_r = part[0];
	*password_r = part[1];
	return true;
}

/* "/Microsoft-Server-ActiveSync", any case, a slash or "default.eas" behind it. */
static bool is_endpoint(struct slice path)
{
	struct slice tail;

	if (!slice_istarts(path, slice_str(endpoint)))
		return false;
	tail = slice_from(path, sizeof(endpoint) - 1);
	return tail.len == 0 || slice_eq(tail, S("/")) || slice_ieq(tail, S("/default.eas"));
}

static struct slice header(struct arena *a, const struct http_head *h, const char *name)
{
	struct slice v;

	return http_find(h, name, &v) ? arena_slice(a, v) : S_NONE;
}

/* The peer that the last trusted proxy saw: what stands before it was written by anybody. */
static struct slice forwarded(struct slice list)
{
	struct slice item, last = S_NONE;

	while (slice_split(&list, ',', &item))
		last = slice_trim(item);
	return last;
}

static void read_peer(const struct route_peer *p, const struct http_head *h, struct request *rq)
{
	struct slice v;
	struct net_block b;

	rq->peer = p->address;
	rq->tls = p->tls;
	if (p->trusted && http_find(h, "X-Forwarded-For", &v)) {
		v = forwarded(v);
		if (slice_chr(v, '/') < 0 && net_block_parse(v, &b))
			rq->peer = v;
	}
	if (p->trusted && http_find(h, "X-Forwarded-Proto", &v))
		rq->tls = slice_ieq(v, S("https"));
	rq->peer = arena_slice(rq->arena, rq->peer);
}

static void read_headers(const struct http_head *h, struct request *rq)
{
	struct slice v;
	uint64_t key;

	rq->host = header(rq->arena, h, "Host");
	rq->user_agent = header(rq->arena, h, "User-Agent");
	rq->content_type = header(rq->arena, h, "Content-Type");
	rq->accepts_gzip = http_find(h, "Accept-Encoding", &v) && http_list_has(v, "gzip");
	rq->accepts_multipart = rq->query.accept_multipart ||
				(http_find(h, "MS-ASAcceptMultiPart", &v) && slice_ieq(v, S("T")));
	rq->has_policy_key = rq->query.has_policy_key;
	rq->policy_key = rq->query.policy_key;
	if (!rq->has_policy_key && http_find(h, "X-MS-PolicyKey", &v) && slice_u64(v, &key) && key <= UINT32_MAX) {
		rq->has_policy_key = true;
		rq->policy_key = (uint32_t)key;
	}
	if (http_find(h, "Authorization", &v))
		rq->has_auth = basic_auth(rq->arena, v, &rq->login, &rq->password);
}

/* The base64 form's byte counts before the header (MS-ASHTTP 2.2.1.1.2.6). */
static bool read_version(const struct loop_config *c, const struct http_head *h, struct request *rq)
{
	struct slice v;

	rq->version = EAS_25;
	if (rq->query.version) {
		rq->version = rq->query.version;
	} else if (http_find(h, "MS-ASProtocolVersion", &v)) {
		rq->version = eas_version_parse(v);
		if (!rq->version)
			return false;
	} else {
		return true;
	}
	rq->version_given = true;
	return rq->version <= c->version_max;
}

/* -- the decision -------------------------------------------------------------- */

static void refuse(struct route *r, struct body *b, int status, const char *text)
{
	*r = (struct route){ .status = status, .text = text };
	b->sink = SINK_NONE;
	b->limit = STRAY_BODY;
}

static bool is_health(struct slice path)
{
	return slice_eq(path, S("/healthz"));
}

static void pick_sink(const struct loop_config *c, struct request *rq, struct body *b)
{
	const struct command *cmd = command_find(rq->query.command);

	b->limit = c->body_bytes;
	if (!rq->has_auth && b->limit > UNKNOWN_BODY)
		b->limit = UNKNOWN_BODY;
	if (!cmd || rq->method != HTTP_M_POST)
		return;
	if (cmd->body && rq->version < (int)cmd->body &&
	    (rq->version_given || slice_istarts(rq->content_type, S("message/rfc822"))))
		b->sink = SINK_RFC822;
	else if (cmd->request)
		b->sink = SINK_DECODE;
}

static void begin_sink(const struct loop_config *c, struct request *rq, struct body *b)
{
	struct wbxml_limits lim = wbxml_limits_default;
	const struct command *cmd;

	if (b->sink == SINK_RFC822) {
		rq->raw = blob_new(c->body_memory);
		return;
	}
	if (b->sink != SINK_DECODE)
		return;
	cmd = command_find(rq->query.command);
	lim.depth = c->wbxml_depth;
	lim.elements = c->wbxml_elements;
	lim.string_bytes = c->wbxml_string;
	lim.opaque_bytes = c->wbxml_opaque;
	lim.total_bytes = c->body_bytes;
	rq->report = ARENA_NEW(rq->arena, struct decode_report);
	b->decoder = ARENA_NEW(rq->arena, struct decoder);
	decode_begin(b->decoder, cmd->request, rq->version_given ? (enum eas_version)rq->version : EAS_MAX,
		     rq->arena, rq->report, &lim);
}

static bool begin_unpack(const struct http_head *h, struct body *b)
{
	struct slice v;

	if (!http_find(h, "Content-Encoding", &v) || v.len == 0 || slice_ieq(v, S("identity")))
		return true;
	if (!slice_ieq(v, S("gzip")) && !slice_ieq(v, S("x-gzip")))
		return false;
	b->packed = inflateInit2(&b->z, 15 + 16) == Z_OK;
	return b->packed;
}

static const enum http_method methods[] = {
	[HTTP_VERB_GET] = HTTP_M_GET,
	[HTTP_VERB_HEAD] = HTTP_M_HEAD,
	[HTTP_VERB_POST] = HTTP_M_POST,
	[HTTP_VERB_OPTIONS] = HTTP_M_OPTIONS,
};

void route_request(const struct loop_config *c, const struct http_head *h, const struct route_peer *peer,
		   struct request *rq, struct body *b, struct route *r_r)
{
	struct err e;

	*b = (struct body){ .rq = rq };
	if (h->verb == HTTP_VERB_OTHER) {
		refuse(r_r, b, 405, "method not allowed\n");
		r_r->header = "Allow: OPTIONS, POST, GET, HEAD";
		return;
	}
	rq->method = methods[h->verb];
	read_peer(peer, h, rq);
	if (is_health(h->path)) {
		refuse(r_r, b, peer->draining ? 503 : 200, peer->draining ? "draining\n" : "ok\n");
		return;
	}
	/* A person who typed the host alone means the information page. */
	if (slice_eq(h->path, S("/")) && (rq->method == HTTP_M_GET || rq->method == HTTP_M_HEAD)) {
		refuse(r_r, b, 302, "see /Microsoft-Server-ActiveSync\n");
		r_r->header = "Location: /Microsoft-Server-ActiveSync";
		return;
	}
	if (!is_endpoint(h->path)) {
		refuse(r_r, b, 404, "not found\n");
		return;
	}
	if (eas_query_parse(rq->arena, h->query, &rq->query, &e) < 0) {
		refuse(r_r, b, 400, "malformed request line\n");
		return;
	}
	read_headers(h, rq);
	if (!read_version(c, h, rq)) {
		refuse(r_r, b, 400, "unknown MS-ASProtocolVersion\n");
		return;
	}
	pick_sink(c, rq, b);
	if (!begin_unpack(h, b)) {
		refuse(r_r, b, 415, "unknown Content-Encoding\n");
		return;
	}
	begin_sink(c, rq, b);
	*r_r = (struct route){ .exchange = true };
}
