/* test_wbxml.c - reader and writer: bytes in any split, limits, bad input,
 * text made fit for XML, pages, rewinding. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/wbxml.h"
#include "proto/xmltrace.h"

/* Events as one line of text: "(0005" open, ")" close, "'text'", "[hex]". */
struct log {
	char text[4096];
	size_t n;
	char last; /* joins chunks */
};

static void add(struct log *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	g->n += (size_t)vsnprintf(g->text + g->n, sizeof(g->text) - g->n, fmt, ap);
	va_end(ap);
	CHECK(g->n < sizeof(g->text));
}

static void end_run(struct log *g)
{
	if (g->last)
		add(g, "%c", g->last == '\'' ? '\'' : ']');
	g->last = 0;
}

static int log_open(void *ctx, uint16_t tag, bool has_content, struct err *e)
{
	end_run(ctx);
	add(ctx, "(%04x", tag);
	return 0;
}

static int log_text(void *ctx, struct slice s, struct err *e)
{
	struct log *g = ctx;

	if (g->last != '\'') {
		end_run(g);
		add(g, "'");
		g->last = '\'';
	}
	add(g, "%.*s", SARG(s));
	return 0;
}

static int log_opaque(void *ctx, struct slice s, struct err *e)
{
	struct log *g = ctx;

	if (g->last != '[') {
		end_run(g);
		add(g, "[");
		g->last = '[';
	}
	for (size_t i = 0; i < s.len; i++)
		add(g, "%02x", (uint8_t)s.ptr[i]);
	return 0;
}

static int log_close(void *ctx, struct err *e)
{
	end_run(ctx);
	add(ctx, ")");
	return 0;
}

static const struct wbxml_events log_events = { log_open, log_text, log_opaque, log_close };

/* rc of the whole, events in g; fed `step` bytes at a time. */
static int feed(struct slice s, size_t step, const struct wbxml_limits *l, struct log *g, struct err *e)
{
	struct wbxml_reader r;
	int rc = 0;

	memset(g, 0, sizeof(*g));
	wbxml_reader_init(&r, &log_events, g, test_arena(), l);
	while (s.len && rc >= 0) {
		size_t n = s.len < step ? s.len : step;

		rc = wbxml_feed(&r, slice_to(s, n), e);
		s = slice_from(s, n);
	}
	return rc;
}

static int feed_all_ways(struct slice s, const struct wbxml_limits *l, struct log *g)
{
	struct log other;
	struct err e = { 0 };
	int rc = feed(test_guarded(s), s.len ? s.len : 1, l, g, &e);

	for (size_t step = 1; step < 8; step++) {
		CHECK_INT(feed(s, step, l, &other, &e), rc);
		if (rc >= 0)
			CHECK_STR(slice(other.text, other.n), g->text);
	}
	return rc;
}

#define BYTES(...) slice((const char[]){ __VA_ARGS__ }, sizeof((const char[]){ __VA_ARGS__ }))
#define HEAD 0x03, 0x01, 0x6a, 0x00
#define C(x) (char)(x)

CASE(reads_text_opaque_pages_and_empty_tags)
{
	struct log g;

	/* FolderSync(SyncKey "0") then a page switch and back, opaque, empty */
	CHECK_INT(feed_all_ways(BYTES(HEAD, 0x00, 0x07, 0x56, 0x52, 0x03, '0', 0x00, 0x01, 0x00, 0x15, 0x50, C(0xc3), 0x03,
				      0x01, 0x00, C(0xff), 0x01, 0x08, 0x01), NULL, &g), 1);
	CHECK_STR(slice(g.text, g.n), "(0716(0712'0')(1510[0100ff])(1508))");
}

CASE(reads_string_table_and_entities)
{
	struct log g;

	/* table "ab\0cd\0"; STR_T 3, entity U+20AC, STR_I */
	CHECK_INT(feed_all_ways(BYTES(0x02, 0x01, 0x6a, 0x06, 'a', 'b', 0, 'c', 'd', 0, 0x45, C(0x83), 0x03, 0x02, C(0xc1),
				      0x2c, 0x03, 'x', 0, 0x01), NULL, &g), 1);
	CHECK_STR(slice(g.text, g.n), "(0005'cd\xe2\x82\xacx')");
}

CASE(public_id_as_string_and_unknown_charset_are_accepted)
{
	struct log g;

	CHECK_INT(feed_all_ways(BYTES(0x01, 0x00, 0x00, 0x00, 0x02, 'p', 0, 0x05), NULL, &g), 1);
	CHECK_STR(slice(g.text, g.n), "(0005)");
}

CASE(refuses_what_is_not_eas_wbxml)
{
	static const struct {
		const char *what;
		struct slice bytes;
	} bad[] = {
		{ "xml", { "<?xml version=\"1.0\"?>", 21 } },
		{ "version 0", { "\x00\x01\x6a\x00\x05", 5 } },
		{ "version 1.4", { "\x04\x01\x6a\x00\x05", 5 } },
		{ "iso-8859-1", { "\x03\x01\x04\x00\x05", 5 } },
		{ "attributes", { "\x03\x01\x6a\x00\x85\x01", 6 } },
		{ "literal", { "\x03\x01\x6a\x00\x45\x04\x00\x01", 8 } },
		{ "extension", { "\x03\x01\x6a\x00\x45\x40x\x00\x01", 9 } },
		{ "processing instruction", { "\x03\x01\x6a\x00\x43\x01", 6 } },
		{ "text before the root", { "\x03\x01\x6a\x00\x03x\x00\x05", 8 } },
		{ "end before the root", { "\x03\x01\x6a\x00\x01", 5 } },
		{ "two roots", { "\x03\x01\x6a\x00\x05\x05", 6 } },
		{ "trailing byte", { "\x03\x01\x6a\x00\x05\x00", 6 } },
		{ "table offset", { "\x03\x01\x6a\x02z\x00\x45\x83\x02\x01", 10 } },
		{ "open string in table", { "\x03\x01\x6a\x01z\x45\x83\x00\x01", 9 } },
		{ "number of 6 bytes", { "\x03\x01\x6a\x00\x45\xc3\x81\x81\x81\x81\x81\x01", 12 } },
		{ "number past 32 bits", { "\x03\x01\x6a\x00\x45\xc3\x9f\xff\xff\xff\x7f", 11 } },
		{ "entity 0", { "\x03\x01\x6a\x00\x45\x02\x00\x01", 8 } },
		{ "surrogate entity", { "\x03\x01\x6a\x00\x45\x02\x83\xb0\x00\x01", 10 } },
	};
	struct log g;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (feed_all_ways(bad[i].bytes, NULL, &g) != -1)
			test_fail(__FILE__, __LINE__, "accepted: %s", bad[i].what);
}

CASE(a_dead_reader_stays_dead)
{
	struct wbxml_reader r;
	struct log g = { 0 };
	struct err e;

	wbxml_reader_init(&r, &log_events, &g, test_arena(), NULL);
	CHECK_INT(wbxml_feed(&r, S("<"), &e), -1);
	CHECK_INT(wbxml_feed(&r, BYTES(HEAD, 0x05), &e), -1);
	CHECK_INT(wbxml_feed(&r, S_NONE, &e), -1);
}

static struct slice nested(size_t depth)
{
	char *p = arena_alloc(test_arena(), 4 + 2 * depth);

	memcpy(p, (const char[]){ HEAD }, 4);
	memset(p + 4, 0x45, depth);
	memset(p + 4 + depth, 0x01, depth);
	return slice(p, 4 + 2 * depth);
}

CASE(limits_hold_at_the_border)
{
	struct wbxml_limits l = wbxml_limits_default;
	struct log g;
	struct err e;
	struct slice text = BYTES(HEAD, 0x45, 0x03, 'a', 'b', 'c', 0, 0x03, 'd', 0, 0x01);
	struct slice opaque = BYTES(HEAD, 0x45, C(0xc3), 0x04, 1, 2, 3, 4, 0x01);

	l.depth = 7;
	CHECK_INT(feed_all_ways(nested(7), &l, &g), 1);
	CHECK_INT(feed(nested(8), 100, &l, &g, &e), -1);
	CHECK_INT(e.code, ERR_LIMIT);
	l.elements = 6;
	CHECK_INT(feed_all_ways(nested(7), &l, &g), -1);
	l = wbxml_limits_default;
	l.string_bytes = 4; /* both runs are one text */
	CHECK_INT(feed_all_ways(text, &l, &g), 1);
	l.string_bytes = 3;
	CHECK_INT(feed_all_ways(text, &l, &g), -1);
	l = wbxml_limits_default;
	l.opaque_bytes = 3;
	CHECK_INT(feed_all_ways(opaque, &l, &g), -1);
	l.opaque_bytes = 4;
	l.total_bytes = 4;
	CHECK_INT(feed_all_ways(opaque, &l, &g), 1);
	l.total_bytes = 3;
	CHECK_INT(feed_all_ways(opaque, &l, &g), -1);
	l = wbxml_limits_default;
	l.table_bytes = 1;
	CHECK_INT(feed_all_ways(BYTES(0x03, 0x01, 0x6a, 0x02, 'a', 0, 0x05), &l, &g), -1);
}

CASE(depth_of_a_hundred_thousand_is_no_problem)
{
	struct log g;
	struct err e;

	CHECK_INT(feed(nested(100000), 4096, NULL, &g, &e), -1);
	CHECK_INT(e.code, ERR_LIMIT);
}

/* --- writer -------------------------------------------------------------------- */

static struct slice bytes_of(struct blob *b)
{
	struct slice s;

	CHECK_INT(blob_map(b, &s, NULL), 0);
	s = arena_slice(test_arena(), s);
	return s;
}

static struct slice done(struct wbxml_writer *w)
{
	struct slice s;

	CHECK_INT(wbxml_finish(w, NULL), 0);
	s = bytes_of(w->out);
	blob_free(&w->out);
	return s;
}

CASE(writes_pages_only_where_they_change)
{
	struct wbxml_writer w;

	wbxml_writer_init(&w, blob_new(0));
	wbxml_open(&w, AIRSYNC_SYNC);
	wbxml_empty(&w, AIRSYNC_COMMANDS);
	wbxml_open(&w, AIRSYNC_OPTIONS);
	wbxml_text(&w, BASE_PREVIEW, S("x"));
	wbxml_num(&w, BASE_TYPE, -12);
	wbxml_text(&w, AIRSYNC_CLASS, S(""));
	wbxml_close(&w);
	wbxml_opaque(&w, EMAIL2_CONVERSATION_ID, S("\x00\x01"));
	wbxml_close(&w);
	CHECK_SLICE(done(&w), BYTES(HEAD, 0x45, 0x16, 0x57, 0x00, 0x11, 0x58, 0x03, 'x', 0, 0x01, 0x46, 0x03, '-', '1', '2', 0,
				    0x01, 0x00, 0x00, 0x10, 0x01, 0x00, 0x16, 0x49, C(0xc3), 0x02, 0, 1, 0x01, 0x01));
}

/* The text written in chunks of `step`, read back. */
static struct slice through(struct slice s, size_t step)
{
	struct wbxml_writer w;
	struct slice out;

	wbxml_writer_init(&w, blob_new(0));
	wbxml_open(&w, BASE_DATA);
	wbxml_text_begin(&w);
	for (; s.len; s = slice_from(s, step))
		wbxml_text_chunk(&w, slice_to(s, step));
	wbxml_text_end(&w);
	wbxml_close(&w);
	out = done(&w);
	/* header, page switch, tag, STR_I ... NUL, END */
	return slice(out.ptr + 8, out.len - 10);
}

CASE(text_is_made_fit_for_xml)
{
	static const struct { const char *in; size_t n; const char *out; } t[] = {
		{ "plain ascii that is long enough for words\r\n\t", 44, "plain ascii that is long enough for words\r\n\t" },
		{ "nul \0 bell \a end", 16, "nul  bell  end" },
		{ "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 ok", 19, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 ok" },
		{ "latin \xfc!", 8, "latin \xef\xbf\xbd!" },
		{ "cut \xe2\x82", 6, "cut \xef\xbf\xbd" },
		{ "cut \xe2\x82!", 7, "cut \xef\xbf\xbd!" },
		{ "surrogate \xed\xa0\x80!", 14, "surrogate \xef\xbf\xbd!" },
		{ "overlong \xc0\xaf!", 12, "overlong \xef\xbf\xbd!" },
		{ "noncharacter \xef\xbf\xbf!", 17, "noncharacter \xef\xbf\xbd!" },
		{ "\x80\x81 stray", 8, "\xef\xbf\xbd stray" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		for (size_t step = 1; step <= t[i].n; step++) {
			struct slice got = through(slice(t[i].in, t[i].n), step);

			if (step == t[i].n)
				CHECK_STR(got, t[i].out);
			/* a split may give one sign more for one broken run, never bad bytes */
			CHECK(got.len >= strlen(t[i].out));
			if (i < 3)
				CHECK_STR(got, t[i].out);
		}
}

CASE(large_text_and_spilled_blobs_pass_through)
{
	struct blob *big = blob_new(1000);
	struct wbxml_writer w;
	struct slice out;
	char line[64];
	size_t total = 0;

	for (int i = 0; i < 5000; i++) {
		int n = snprintf(line, sizeof(line), "line %d \xc3\xa9\n", i);

		CHECK_INT(blob_append(big, line, (size_t)n, NULL), 0);
		total += (size_t)n;
	}
	CHECK(blob_fd(big) >= 0);
	wbxml_writer_init(&w, blob_new(0));
	wbxml_open(&w, AIRSYNC_SYNC);
	wbxml_open(&w, BASE_DATA);
	wbxml_text_blob(&w, big, 0, UINT64_MAX);
	wbxml_close(&w);
	wbxml_open(&w, COMPOSE_MIME);
	wbxml_opaque_blob(&w, big, 5, 300);
	wbxml_close(&w);
	wbxml_close(&w);
	out = done(&w);
	CHECK_INT(out.len, 4 + 1 + 4 + total + 2 + 4 + 2 + 300 + 2);
	CHECK_SLICE(slice(out.ptr + 9, 7), S("line 0 "));
	blob_free(&big);
}

CASE(rewind_takes_back_what_was_begun)
{
	for (size_t filler = 1; filler < 6000; filler += 1500) {
		struct wbxml_writer w;
		struct wbxml_mark m;
		char *x = arena_alloc(test_arena(), filler);
		struct slice out;

		memset(x, 'y', filler);
		wbxml_writer_init(&w, blob_new(0));
		wbxml_open(&w, AIRSYNC_SYNC);
		wbxml_open(&w, AIRSYNC_COMMANDS);
		m = wbxml_mark(&w);
		wbxml_open(&w, AIRSYNC_ADD);
		wbxml_text(&w, EMAIL_SUBJECT, slice(x, filler));
		wbxml_rewind(&w, m);
		wbxml_close(&w); /* nothing is left in Commands: written as empty */
		wbxml_close(&w);
		out = done(&w);
		CHECK_SLICE(out, BYTES(HEAD, 0x45, 0x16, 0x01));
	}
}

CASE(what_the_writer_writes_the_reader_reads)
{
	struct wbxml_writer w;
	struct log g;

	wbxml_writer_init(&w, blob_new(0));
	wbxml_open(&w, AIRSYNC_SYNC);
	wbxml_num(&w, AIRSYNC_STATUS, INT64_MIN);
	wbxml_num(&w, EMAIL_READ, 0);
	wbxml_close(&w);
	CHECK_INT(feed_all_ways(done(&w), NULL, &g), 1);
	CHECK_STR(slice(g.text, g.n), "(0005(000e'-9223372036854775808')(0215'0'))");
}

/* --- names and trace -------------------------------------------------------------- */

CASE(names_by_tag_and_back)
{
	int known = 0;

	for (unsigned tag = 0; tag < 0x10000; tag++) {
		const char *name = wbxml_tag_name((uint16_t)tag);

		if (!name)
			continue;
		known++;
		CHECK_INT(wbxml_tag_find(slice_str(wbxml_page_name((uint8_t)(tag >> 8))), slice_str(name)), tag);
	}
	CHECK(known > 600);
	CHECK_STR(slice_str(wbxml_tag_name(AIRSYNC_SYNC)), "Sync");
	CHECK(wbxml_page_name(26) == NULL);
}

static struct slice trace(struct slice s, struct xmltrace_limits l, int want_rc)
{
	struct blob *b = blob_new(0);
	struct slice out;
	struct err e = { 0 };

	CHECK_INT(xmltrace(b, test_guarded(s), &l, &e), want_rc);
	out = bytes_of(b);
	blob_free(&b);
	return out;
}

CASE(trace_is_readable_and_capped)
{
	struct slice doc = BYTES(HEAD, 0x45, 0x5c, 0x00, 0x02, 0x54, 0x03, 'a', '<', 'b', 0, 0x01, 0x00, 0x16, 0x49, C(0xc3),
				 0x04, 'a', 'b', 'c', 'd', 0x01, 0x01, 0x00, 0x00, 0x16, 0x01);

	CHECK_STR(trace(doc, (struct xmltrace_limits){ 0 }, 0),
		  "<Sync xmlns=\"AirSync\">\n  <Collections>\n    <Subject xmlns=\"Email\">a&lt;b</Subject>\n"
		  "    <ConversationId xmlns=\"Email2\">YWJjZA==</ConversationId>\n  </Collections>\n  <Commands/>\n</Sync>\n");
	CHECK_STR(trace(doc, (struct xmltrace_limits){ .text_bytes = 1 }, 0),
		  "<Sync xmlns=\"AirSync\">\n  <Collections>\n    <Subject xmlns=\"Email\">a...(3 bytes)</Subject>\n"
		  "    <ConversationId xmlns=\"Email2\">YQ==...(4 bytes)</ConversationId>\n  </Collections>\n  <Commands/>\n</Sync>\n");
	CHECK_STR(trace(doc, (struct xmltrace_limits){ .total_bytes = 20 }, 0),
		  "<Sync xmlns=\"AirSync\"><!-- trace is cut at 20 bytes --></Sync>\n");
	CHECK_STR(trace(slice_to(doc, 11), (struct xmltrace_limits){ 0 }, -1),
		  "<Sync xmlns=\"AirSync\">\n  <Collections>\n    <Subject xmlns=\"Email\">a"
		  "<!-- the document ends early --></Subject>\n  </Collections>\n</Sync>\n");
}

CASE(trace_masks_passwords)
{
	struct wbxml_writer w;
	struct slice out;

	wbxml_writer_init(&w, blob_new(0));
	wbxml_open(&w, SETTINGS_SETTINGS);
	wbxml_text(&w, SETTINGS_PASSWORD, S("hunter2"));
	wbxml_close(&w);
	out = trace(done(&w), (struct xmltrace_limits){ 0 }, 0);
	CHECK(memmem(out.ptr, out.len, "hunter2", 7) == NULL);
	CHECK(memmem(out.ptr, out.len, "***", 3) != NULL);
}
