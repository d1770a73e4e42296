/* test_http.c - the guard before llhttp and the request parser: whole, byte by
 * byte, in every split in two, and against the guard page. */
#include "loop/http.h"

#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

static const struct http_limits limits = { .head_bytes = 4096, .head_count = 20 };

struct result {
	int status;            /* 0: complete; -1: wants more */
	enum http_verb verb;
	char path[256], query[256], body[4096];
	size_t n_body, n_headers, rest;
	bool keep_alive, expects, chunked;
	uint64_t length;
};

static int take_body(void *arg, struct slice chunk)
{
	struct result *r = arg;

	CHECK(r->n_body + chunk.len < sizeof(r->body));
	memcpy(r->body + r->n_body, chunk.ptr, chunk.len);
	r->n_body += chunk.len;
	r->body[r->n_body] = 0;
	return 0;
}

static void copy(char *to, struct slice s)
{
	snprintf(to, 256, "%.*s", SARG(s));
}

static void note_head(struct result *r, const struct http_head *h)
{
	r->verb = h->verb;
	copy(r->path, h->path);
	copy(r->query, h->query);
	r->n_headers = h->n;
	r->keep_alive = h->keep_alive;
	r->expects = h->expects_continue;
	r->chunked = h->chunked;
	r->length = h->length;
}

/* Feeds in; true when the request ended, well or badly. */
static bool feed(struct http_parser *p, struct slice in, struct result *r)
{
	struct err e;

	for (;;) {
		size_t used;
		enum http_event ev = http_feed(p, in, &used, &e);

		CHECK(used <= in.len);
		in = slice_from(in, used);
		switch (ev) {
		case HTTP_MORE:
			CHECK_INT(in.len, 0);
			return false;
		case HTTP_HEAD_DONE:
			note_head(r, &p->head);
			break;
		case HTTP_COMPLETE:
			r->rest = in.len;
			r->status = 0;
			return true;
		case HTTP_BAD:
			r->status = p->bad_status;
			CHECK(e.text[0]);
			return true;
		}
	}
}

static struct result parse_split(struct slice in, size_t step)
{
	struct result r = { .status = -1 };
	struct http_parser p;

	http_init(&p, &limits, take_body, &r);
	for (size_t off = 0; off < in.len; off += step) {
		struct slice part = test_guarded(slice_to(slice_from(in, off), step));

		if (feed(&p, part, &r)) {
			r.rest += in.len - off - part.len;
			break;
		}
	}
	http_deinit(&p);
	return r;
}

static struct result parse(const char *text)
{
	struct slice in = slice_str(text);
	struct result whole = parse_split(in, in.len);

	for (size_t step = 1; step < 4; step++) {
		struct result part = parse_split(in, step);

		CHECK_INT(part.status, whole.status);
		CHECK_INT(part.n_body, whole.n_body);
		if (whole.status == 0)
			CHECK_INT(part.rest, whole.rest);
		CHECK(!memcmp(part.body, whole.body, whole.n_body));
		CHECK_STR(slice_str(part.path), whole.path);
	}
	return whole;
}

CASE(http_reads_a_get)
{
	struct result r = parse("GET /a/b?x=1&y=?2 HTTP/1.1\r\nHost: h\r\nX-Empty:\r\nAccept:  text/html \r\n\r\n");

	CHECK_INT(r.status, 0);
	CHECK_INT(r.verb, HTTP_VERB_GET);
	CHECK_STR(slice_str(r.path), "/a/b");
	CHECK_STR(slice_str(r.query), "x=1&y=?2");
	CHECK_INT(r.n_headers, 3);
	CHECK(r.keep_alive);
}

CASE(http_reads_a_body_by_length_and_leaves_the_next_request)
{
	struct result r = parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n");

	CHECK_INT(r.status, 0);
	CHECK_STR(slice_str(r.body), "hello");
	CHECK_INT(r.rest, 16);
	CHECK_INT(r.length, 5);
}

CASE(http_reads_chunks_with_extension_and_trailer)
{
	struct result r = parse("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
				"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: v\r\n\r\nNEXT");

	CHECK_INT(r.status, 0);
	CHECK(r.chunked);
	CHECK_STR(slice_str(r.body), "abcde");
	CHECK_INT(r.rest, 4);
	CHECK_INT(r.n_headers, 2); /* a trailer is no header */
}

CASE(http_waits_for_the_rest)
{
	CHECK_INT(parse("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhell").status, -1);
	CHECK_INT(parse("GET / HTTP/1.1\r\nHost: h\r\n").status, -1);
	CHECK_INT(parse("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n").status, -1);
}

CASE(http_knows_keep_alive_of_both_versions)
{
	CHECK(!parse("GET / HTTP/1.0\r\n\r\n").keep_alive);
	CHECK(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
	CHECK(!parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").keep_alive);
}

CASE(http_declines_an_upgrade)
{
	struct result r = parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
				"HTTP2-Settings: AAMAAABk\r\n\r\n");

	CHECK_INT(r.status, 0);
	CHECK_INT(r.rest, 0);
}

CASE(http_knows_expect)
{
	CHECK(parse("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx").expects);
	CHECK(!parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx").expects);
}

CASE(http_takes_the_path_of_an_absolute_target)
{
	CHECK_STR(slice_str(parse("GET http://h:80/p?q HTTP/1.1\r\nHost: h\r\n\r\n").path), "/p");
	CHECK_STR(slice_str(parse("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n").path), "/");
}

CASE(http_skips_few_blank_lines_in_front)
{
	CHECK_INT(parse("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 0);
	CHECK_INT(parse("\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 400);
}

/* What a proxy in front could read as two requests, or another one. */
static const struct {
	const char *what, *text;
	int status;
} refused[] = {
	{ "bare CR in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", 400 },
	{ "bare CR behind a name", "GET / HTTP/1.1\r\nHost: h\r\nX\r: a\r\n\r\n", 400 },
	{ "bare LF", "GET / HTTP/1.1\r\nHost: h\nX: a\r\n\r\n", 400 },
	{ "bare LF behind the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400 },
	{ "folded line", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400 },
	{ "folded by tab", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n\tb\r\n\r\n", 400 },
	{ "empty name", "GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n", 400 },
	{ "blank before the colon", "GET / HTTP/1.1\r\nHost: h\r\nX : a\r\n\r\n", 400 },
	{ "blank in a name", "POST / HTTP/1.1\r\nHost: h\r\nContent Length: 3\r\n\r\nabc", 400 },
	{ "no colon", "GET / HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n", 400 },
	{ "length and chunked", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
	{ "chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
	{ "two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400 },
	{ "two equal lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400 },
	{ "list of lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc", 400 },
	{ "negative length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -3\r\n\r\nabc", 400 },
	{ "plus length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", 400 },
	{ "hex length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3\r\n\r\nabc", 400 },
	{ "empty length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", 400 },
	{ "huge length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", 400 },
	{ "gzip coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 400 },
	{ "gzip, chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400 },
	{ "chunked twice", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
	{ "chunked with a tab", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n", 400 },
	{ "bad chunk size", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 400 },
	{ "huge chunk size", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400 },
	{ "two hosts", "GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400 },
	{ "no host", "GET / HTTP/1.1\r\n\r\n", 400 },
	{ "third blank in the line", "GET / x HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "tab in the line", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "lower-case method", "get / HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
	{ "HTTP/0.9", "GET /\r\n\r\n", 400 },
	{ "HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505 },
	{ "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
	{ "unknown method", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 405 },
	{ "control byte", "GET / HTTP/1.1\r\nHost: h\r\nX: \x01\r\n\r\n", 400 },
	{ "TLS hello", "\x16\x03\x01\x02\x01", 400 },
};

CASE(http_refuses_what_two_readers_could_read_differently)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		int got = parse(refused[i].text).status;

		if (got != refused[i].status)
			test_fail(__FILE__, __LINE__, "%s: got %d, want %d", refused[i].what, got, refused[i].status);
	}
}

CASE(http_refuses_nul)
{
	struct slice in = S("GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n");

	CHECK_INT(parse_split(in, in.len).status, 400);
	CHECK_INT(parse_split(in, 1).status, 400);
	in = S("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n");
	CHECK_INT(parse_split(in, in.len).status, 400);
}

CASE(http_caps_the_head)
{
	char big[6000];
	int n = snprintf(big, sizeof(big), "GET / HTTP/1.1\r\nHost: h\r\nX: ");

	memset(big + n, 'a', sizeof(big) - (size_t)n);
	CHECK_INT(parse_split(slice(big, sizeof(big)), sizeof(big)).status, 431);
	CHECK_INT(parse_split(slice(big, sizeof(big)), 7).status, 431);
	n = snprintf(big, sizeof(big), "GET / HTTP/1.1\r\nHost: h\r\n");
	for (int i = 0; i < 30; i++)
		n += snprintf(big + n, sizeof(big) - (size_t)n, "X: y\r\n");
	n += snprintf(big + n, sizeof(big) - (size_t)n, "\r\n");
	CHECK_INT(parse_split(slice(big, (size_t)n), 100).status, 431);
}

CASE(http_caps_framing)
{
	static const char head[] = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;";
	char *big = malloc(40000);
	struct result r;

	memcpy(big, head, sizeof(head) - 1);
	memset(big + sizeof(head) - 1, 'x', 40000 - sizeof(head));
	r = parse_split(slice(big, 39000), 1000);
	free(big);
	CHECK_INT(r.status, 400);
}

CASE(http_reads_one_byte_chunks)
{
	char text[8192];
	int n = snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
	struct result r;

	for (int i = 0; i < 1000; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "1\r\n%c\r\n", 'a' + i % 26);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "0\r\n\r\n");
	r = parse_split(slice(text, (size_t)n), 100);
	CHECK_INT(r.status, 0);
	CHECK_INT(r.n_body, 1000);
}

CASE(http_reads_lists)
{
	CHECK(http_list_has(S("gzip, deflate"), "gzip"));
	CHECK(http_list_has(S("deflate;q=1,GZIP;q=0.5"), "gzip"));
	CHECK(!http_list_has(S("gzip;q=0"), "gzip"));
	CHECK(!http_list_has(S("gzip;q=0.00, br"), "gzip"));
	CHECK(!http_list_has(S("xgzip"), "gzip"));
}

CASE(http_parser_serves_the_next_request)
{
	struct result r = { 0 };
	struct http_parser p;
	struct slice in = S("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nabGET /2?z HTTP/1.1\r\nHost: h\r\n\r\n");

	http_init(&p, &limits, take_body, &r);
	CHECK(feed(&p, in, &r));
	CHECK_STR(slice_str(r.path), "/1");
	http_reset(&p);
	CHECK(feed(&p, slice_from(in, in.len - r.rest), &r));
	CHECK_STR(slice_str(r.path), "/2");
	CHECK_INT(r.rest, 0);
	http_deinit(&p);
}
