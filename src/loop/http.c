/* http.c - the guard, the gathering of the head, and llhttp behind both.
 * Pure. The parser owns `buf` and `headers`; slices in `head` point into buf.
 * Trap: llhttp 8.1.0 accepts bare LF, folded lines and blanks before the colon;
 * nothing reaches it that http_guard has not read line by line. */
#include "loop/http.h"

#include <stdlib.h>

enum {
	FIRST_HEAD = 1024,
	BLANK_BYTES = 8,      /* CRLFs before a request line: some clients send one behind a body */
	FRAMING_FREE = 8192,  /* chunk sizes, extensions and trailers that cost nothing */
	FRAMING_FACTOR = 8,   /* beyond: framing per byte of content (a chunk of 1 byte has 5) */
	LENGTH_DIGITS = 18,
};

/* -- guard ---------------------------------------------------------------- */

struct seen {
	unsigned lengths, encodings, hosts, lines;
	bool minor_0;
};

static bool is_token(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static int refuse(int status, struct err *e, const char *why)
{
	err_set(e, ERR_BAD_REQUEST, "%s", why);
	return status;
}

/* Next line without its CRLF; false when a CR, LF or control byte stands alone. */
static bool next_line(struct slice *rest, struct slice *line_r)
{
	ptrdiff_t lf = slice_chr(*rest, '\n');

	if (lf < 1 || rest->ptr[lf - 1] != '\r')
		return false;
	*line_r = slice(rest->ptr, (size_t)lf - 1);
	*rest = slice_from(*rest, (size_t)lf + 1);
	for (size_t i = 0; i < line_r->len; i++) {
		unsigned char c = (unsigned char)line_r->ptr[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int guard_request_line(struct slice line, struct seen *s, struct err *e)
{
	struct slice method, target, rest = line;

	if (!slice_split(&rest, ' ', &method) || !slice_split(&rest, ' ', &target))
		return refuse(400, e, "request line");
	if (method.len == 0 || method.len > 20 || target.len == 0 || slice_chr(line, '\t') >= 0)
		return refuse(400, e, "request line");
	for (size_t i = 0; i < method.len; i++)
		if (method.ptr[i] < 'A' || method.ptr[i] > 'Z')
			return refuse(400, e, "method");
	if (!slice_starts(rest, S("HTTP/")) || slice_chr(rest, ' ') >= 0)
		return refuse(400, e, "request line");
	s->minor_0 = slice_eq(rest, S("HTTP/1.0"));
	if (!s->minor_0 && !slice_eq(rest, S("HTTP/1.1")))
		return refuse(505, e, "HTTP version");
	return 0;
}

static int guard_length(struct slice value, struct seen *s, struct err *e)
{
	if (s->lengths++)
		return refuse(400, e, "two Content-Length headers");
	if (value.len == 0 || value.len > LENGTH_DIGITS)
		return refuse(400, e, "Content-Length");
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return refuse(400, e, "Content-Length");
	return 0;
}

static int guard_header(struct slice line, struct seen *s, struct err *e)
{
	ptrdiff_t colon = slice_chr(line, ':');
	struct slice name, value;

	if (colon < 1)
		return refuse(400, e, "header without a name");
	name = slice_to(line, (size_t)colon);
	value = slice_trim(slice_from(line, (size_t)colon + 1));
	for (size_t i = 0; i < name.len; i++)
		if (!is_token((unsigned char)name.ptr[i]))
			return refuse(400, e, "header name (folded line or blank?)");
	if (slice_ieq(name, S("Content-Length")))
		return guard_length(value, s, e);
	if (slice_ieq(name, S("Transfer-Encoding"))) {
		if (s->encodings++)
			return refuse(400, e, "two Transfer-Encoding headers");
		if (!slice_ieq(value, S("chunked")))
			return refuse(400, e, "Transfer-Encoding other than chunked");
	}
	if (slice_ieq(name, S("Host")) && s->hosts++)
		return refuse(400, e, "two Host headers");
	return 0;
}

int http_guard(struct slice head, const struct http_limits *limits, struct err *e)
{
	struct slice rest = head, line;
	struct seen s = { 0 };
	int status;

	if (!next_line(&rest, &line))
		return refuse(400, e, "control byte or bare line end");
	status = guard_request_line(line, &s, e);
	if (status)
		return status;
	for (;;) {
		if (!next_line(&rest, &line))
			return refuse(400, e, "control byte or bare line end");
		if (line.len == 0)
			break;
		if (++s.lines > limits->head_count)
			return refuse(431, e, "too many header lines");
		status = guard_header(line, &s, e);
		if (status)
			return status;
	}
	if (rest.len)
		return refuse(400, e, "blank line inside the head");
	if (s.encodings && s.lengths)
		return refuse(400, e, "Transfer-Encoding with Content-Length");
	if (s.encodings && s.minor_0)
		return refuse(400, e, "Transfer-Encoding in HTTP/1.0");
	if (!s.hosts && !s.minor_0)
		return refuse(400, e, "no Host header");
	return 0;
}

/* -- llhttp's callbacks ------------------------------------------------------ */

static struct http_parser *self(llhttp_t *ll)
{
	return ll->data;
}

static int on_url(llhttp_t *ll, const char *at, size_t n)
{
	struct http_head *h = &self(ll)->head;

	if (h->path.ptr && h->path.ptr + h->path.len == at)
		h->path.len += n;
	else
		h->path = slice(at, n);
	return 0;
}

static int on_field(llhttp_t *ll, const char *at, size_t n)
{
	struct http_parser *p = self(ll);
	struct http_header *last = p->head.n ? &p->headers[p->head.n - 1] : NULL;

	if (p->head_seen) /* trailers: read over, their bytes are framing */
		return 0;
	if (last && last->name.ptr + last->name.len == at) {
		last->name.len += n;
		return 0;
	}
	if (p->head.n == p->cap_headers) {
		p->cap_headers = p->cap_headers ? p->cap_headers * 2 : 16;
		p->headers = mem_realloc(p->headers, p->cap_headers * sizeof(*p->headers));
	}
	p->headers[p->head.n++] = (struct http_header){ .name = slice(at, n) };
	return 0;
}

static int on_value(llhttp_t *ll, const char *at, size_t n)
{
	struct http_parser *p = self(ll);
	struct http_header *last = p->head.n ? &p->headers[p->head.n - 1] : NULL;

	if (p->head_seen || !last)
		return 0;
	if (last->value.ptr && last->value.ptr + last->value.len == at)
		last->value.len += n;
	else
		last->value = slice(at, n);
	return 0;
}

static int on_headers_complete(llhttp_t *ll)
{
	struct http_parser *p = self(ll);

	/* "Upgrade: h2c" is an offer; we decline it by answering in HTTP/1.1. */
	ll->upgrade = 0;
	p->head_seen = true;
	return 0;
}

static int on_body(llhttp_t *ll, const char *at, size_t n)
{
	struct http_parser *p = self(ll);

	p->body_bytes += n;
	return p->body(p->arg, slice(at, n)) < 0 ? HPE_USER : 0;
}

static int on_complete(llhttp_t *ll)
{
	self(ll)->whole = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t callbacks = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

/* -- the head -------------------------------------------------------------- */

bool http_find(const struct http_head *h, const char *name, struct slice *value_r)
{
	struct slice want = slice_str(name);

	for (size_t i = 0; i < h->n; i++)
		if (slice_ieq(h->v[i].name, want)) {
			*value_r = h->v[i].value;
			return true;
		}
	*value_r = S_NONE;
	return false;
}

static bool quality_zero(struct slice params)
{
	struct slice part;

	while (slice_split(&params, ';', &part)) {
		part = slice_trim(part);
		if (!slice_istarts(part, S("q=")))
			continue;
		for (size_t i = 2; i < part.len; i++)
			if (part.ptr[i] >= '1' && part.ptr[i] <= '9')
				return false;
		return true;
	}
	return false;
}

bool http_list_has(struct slice value, const char *token)
{
	struct slice want = slice_str(token), item, word;

	while (slice_split(&value, ',', &item)) {
		if (!slice_split(&item, ';', &word))
			continue;
		if (slice_ieq(slice_trim(word), want))
			return !quality_zero(item);
	}
	return false;
}

static enum http_verb verb_of(const llhttp_t *ll)
{
	switch (ll->method) {
	case HTTP_GET: return HTTP_VERB_GET;
	case HTTP_HEAD: return HTTP_VERB_HEAD;
	case HTTP_POST: return HTTP_VERB_POST;
	case HTTP_OPTIONS: return HTTP_VERB_OPTIONS;
	default: return HTTP_VERB_OTHER;
	}
}

/* "http://host/path" as proxies send it: the path counts. */
static struct slice without_authority(struct slice target)
{
	size_t skip = slice_istarts(target, S("http://")) ? 7 : slice_istarts(target, S("https://")) ? 8 : 0;
	ptrdiff_t slash;

	if (skip == 0)
		return target;
	slash = slice_chr(slice_from(target, skip), '/');
	return slash < 0 ? S("/") : slice_from(target, skip + (size_t)slash);
}

static void describe(struct http_parser *p)
{
	struct http_head *h = &p->head;
	struct slice v, target = without_authority(h->path);
	ptrdiff_t q = slice_chr(target, '?');

	h->v = p->headers;
	for (size_t i = 0; i < h->n; i++)
		p->headers[i].value = slice_trim(p->headers[i].value);
	h->verb = verb_of(&p->ll);
	h->minor_0 = p->ll.http_minor == 0;
	h->path = q < 0 ? target : slice_to(target, (size_t)q);
	h->query = q < 0 ? S_NONE : slice_from(target, (size_t)q + 1);
	h->keep_alive = llhttp_should_keep_alive(&p->ll);
	h->chunked = http_find(h, "Transfer-Encoding", &v);
	if (http_find(h, "Content-Length", &v))
		h->has_length = slice_u64(v, &h->length);
	if (http_find(h, "Expect", &v)) {
		h->expects_continue = slice_ieq(v, S("100-continue")) && !h->minor_0;
		h->expects_other = !slice_ieq(v, S("100-continue"));
	}
}

static enum http_event bad(struct http_parser *p, int status)
{
	p->bad_status = status;
	return HTTP_BAD;
}

/* The whole head is in buf. */
static enum http_event read_head(struct http_parser *p, struct err *e)
{
	int status = http_guard(slice(p->buf, p->len), &p->limits, e);
	llhttp_errno_t rc;

	if (status)
		return bad(p, status);
	rc = llhttp_execute(&p->ll, p->buf, p->len);
	if ((rc != HPE_OK && rc != HPE_PAUSED) || !p->head_seen) {
		err_set(e, ERR_BAD_REQUEST, "%s", rc == HPE_OK ? "head" : llhttp_errno_name(rc));
		/* A method that llhttp does not know is one we do not serve. */
		return bad(p, rc == HPE_INVALID_METHOD ? 405 : 400);
	}
	describe(p);
	return HTTP_HEAD_DONE;
}

static void keep(struct http_parser *p, const char *s, size_t n)
{
	if (p->len + n > p->cap) {
		p->cap = p->cap ? p->cap : FIRST_HEAD;
		while (p->cap < p->len + n)
			p->cap *= 2;
		p->buf = mem_realloc(p->buf, p->cap);
	}
	memcpy(p->buf + p->len, s, n);
	p->len += n;
}

/* Offset behind the blank line in buf, or 0. */
static size_t head_end(struct http_parser *p)
{
	const char *at = memmem(p->buf + p->scanned, p->len - p->scanned, "\r\n\r\n", 4);

	if (at)
		return (size_t)(at - p->buf) + 4;
	p->scanned = p->len > 3 ? p->len - 3 : 0;
	return 0;
}

static enum http_event gather(struct http_parser *p, struct slice in, size_t *used_r, struct err *e)
{
	size_t skip = 0, had, take, end;

	while (!p->started && skip < in.len && (in.ptr[skip] == '\r' || in.ptr[skip] == '\n')) {
		if (++p->budget > BLANK_BYTES) {
			err_set(e, ERR_BAD_REQUEST, "blank lines before the request");
			return bad(p, 400);
		}
		skip++;
	}
	*used_r = skip;
	in = slice_from(in, skip);
	if (in.len == 0)
		return HTTP_MORE;
	if (!p->started && (in.ptr[0] < 'A' || in.ptr[0] > 'Z')) {
		/* A TLS hello on a plain port, or noise: no need to wait for a blank line. */
		err_set(e, ERR_BAD_REQUEST, "not HTTP");
		return bad(p, 400);
	}
	p->started = true;
	had = p->len;
	take = in.len < p->limits.head_bytes - had ? in.len : p->limits.head_bytes - had;
	keep(p, in.ptr, take);
	end = head_end(p);
	if (end == 0) {
		*used_r = skip + take;
		if (p->len < p->limits.head_bytes)
			return HTTP_MORE;
		err_set(e, ERR_LIMIT, "head larger than %u bytes", (unsigned)p->limits.head_bytes);
		return bad(p, 431);
	}
	p->len = end;
	*used_r = skip + (end - had);
	return read_head(p, e);
}

/* -- the body ---------------------------------------------------------------- */

static enum http_event read_body(struct http_parser *p, struct slice in, size_t *used_r, struct err *e)
{
	llhttp_errno_t rc = llhttp_execute(&p->ll, in.ptr, in.len);

	*used_r = rc == HPE_OK ? in.len : (size_t)(llhttp_get_error_pos(&p->ll) - in.ptr);
	p->raw_bytes += *used_r;
	if (rc == HPE_USER)
		return bad(p, 0);
	if (rc != HPE_OK && rc != HPE_PAUSED) {
		err_set(e, ERR_BAD_REQUEST, "body: %s", llhttp_errno_name(rc));
		return bad(p, 400);
	}
	if (p->raw_bytes - p->body_bytes > FRAMING_FREE + FRAMING_FACTOR * p->body_bytes) {
		err_set(e, ERR_LIMIT, "more framing than content");
		return bad(p, 400);
	}
	return p->whole ? HTTP_COMPLETE : HTTP_MORE;
}

enum http_event http_feed(struct http_parser *p, struct slice in, size_t *used_r, struct err *e)
{
	*used_r = 0;
	if (!p->head_seen)
		return gather(p, in, used_r, e);
	if (p->whole)
		return HTTP_COMPLETE;
	if (in.len == 0)
		return HTTP_MORE;
	return read_body(p, in, used_r, e);
}

void http_reset(struct http_parser *p)
{
	llhttp_init(&p->ll, HTTP_REQUEST, &callbacks);
	p->ll.data = p;
	p->head = (struct http_head){ 0 };
	p->len = p->scanned = p->budget = 0;
	p->body_bytes = p->raw_bytes = 0;
	p->bad_status = 0;
	p->started = p->head_seen = p->whole = false;
}

void http_init(struct http_parser *p, const struct http_limits *limits,
	       int (*body)(void *arg, struct slice chunk), void *arg)
{
	memset(p, 0, sizeof(*p));
	p->limits = *limits;
	p->body = body;
	p->arg = arg;
	http_reset(p);
}

void http_deinit(struct http_parser *p)
{
	if (p->buf)
		mem_wipe(p->buf, p->cap); /* Authorization */
	free(p->buf);
	free(p->headers);
	memset(p, 0, sizeof(*p));
}
