/* fuzz_http.c - guard, llhttp, routing and body sink: the same bytes whole and
 * in pieces (the first byte says how) give the same request. Also the PROXY line. */
#include <stdint.h>
#include <stdlib.h>

#include "loop/proxy.h"
#include "loop/route.h"

static void check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

struct outcome {
	enum http_event end; /* HTTP_MORE: not whole */
	int status, version, route_status;
	enum body_kind kind;
	bool exchange;
	uint64_t body, used;
};

struct run {
	struct http_parser p;
	struct body body;
	struct route route;
	struct request *rq;
	struct outcome o;
};

static int sink(void *arg, struct slice chunk)
{
	struct run *r = arg;

	return body_feed(&r->body, chunk);
}

static void head_done(struct run *r)
{
	static struct loop_config config;
	struct arena *a = arena_new();
	struct route_peer peer = { .address = S("192.0.2.1"), .trusted = true };

	loop_config_default(&config);
	r->rq = ARENA_NEW(a, struct request);
	r->rq->arena = a;
	route_request(&config, &r->p.head, &peer, r->rq, &r->body, &r->route);
	check(r->route.exchange || r->route.status >= 200);
	r->o.exchange = r->route.exchange;
	r->o.route_status = r->route.status;
}

/* False: the request ended. */
static bool feed(struct run *r, struct slice in)
{
	for (;;) {
		struct err e;
		size_t used;
		enum http_event ev = http_feed(&r->p, in, &used, &e);

		check(used <= in.len);
		in = slice_from(in, used);
		r->o.used += used;
		r->o.end = ev;
		if (ev == HTTP_MORE) {
			check(in.len == 0);
			return true;
		}
		if (ev == HTTP_HEAD_DONE) {
			head_done(r);
			continue;
		}
		if (ev == HTTP_BAD)
			r->o.status = r->p.bad_status;
		return false;
	}
}

static struct outcome run(struct slice in, size_t step)
{
	static const struct http_limits limits = { .head_bytes = 4096, .head_count = 50 };
	struct run r = { 0 };
	struct outcome o;

	http_init(&r.p, &limits, sink, &r);
	for (size_t off = 0; off < in.len; off += step)
		if (!feed(&r, slice_to(slice_from(in, off), step)))
			break;
	r.o.body = r.p.body_bytes;
	if (r.rq) {
		if (r.o.end == HTTP_COMPLETE && r.route.exchange) {
			body_end(&r.body);
			r.o.kind = r.rq->body_kind;
			r.o.version = r.rq->version;
		}
		body_deinit(&r.body);
		blob_free(&r.rq->raw);
		if (r.rq->report)
			decode_report_deinit(r.rq->report);
		struct arena *a = r.rq->arena;
		arena_free(&a);
	}
	o = r.o;
	http_deinit(&r.p);
	return o;
}

static void proxy(struct slice in)
{
	struct proxy_line whole, part;
	int n = proxy_parse(in, &whole);

	check(n <= (int)in.len);
	for (size_t i = 0; i < in.len && i < PROXY_MAX_BYTES; i++) {
		int m = proxy_parse(slice_to(in, i), &part);

		check(m == 0 || m == -1 || m == n);
		check(m != -1 || n == -1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice in = slice((const char *)data, len);
	struct outcome whole, part;

	if (len < 2)
		return 0;
	proxy(slice_from(in, 1));
	in = slice_from(in, 1);
	whole = run(in, in.len);
	part = run(in, 1 + data[0] % 61);
	check(whole.end == part.end);
	check(whole.status == part.status || whole.end != HTTP_BAD);
	check(whole.exchange == part.exchange && whole.route_status == part.route_status);
	if (whole.end == HTTP_COMPLETE) {
		check(whole.used == part.used && whole.body == part.body);
		check(whole.kind == part.kind && whole.version == part.version);
	}
	return 0;
}
