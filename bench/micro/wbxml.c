/* wbxml.c - our WBXML beside Debian's libwbxml2, in one process, on the same
 * documents: `make bench-wbxml`. Three columns of ours: the reader alone, the
 * whole way into structs, and the trace (the same work as the library's: its
 * only interface makes XML text). Encoding: structs to WBXML beside XML text to
 * WBXML. The two take turns, a round each, and the best round counts, so that a
 * busy machine touches both alike. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wbxml/wbxml.h>

#include "proto/commands.h"
#include "proto/email.h"
#include "proto/xmltrace.h"

struct document {
	const char *name;
	const struct schema *schema;
	void *obj;
	struct slice wbxml, xml;
};

static struct arena *mem;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

/* --- documents ------------------------------------------------------------------ */

static struct slice prose(size_t n)
{
	static const char line[] = "The quick brown fox reads its mail on the train, gr\xc3\xbc\xc3\x9f\x65 inclusive.\r\n";
	char *p = arena_alloc(mem, n);

	for (size_t i = 0; i < n; i++)
		p[i] = line[i % (sizeof(line) - 1)];
	while (n && (p[n - 1] & 0x80))
		n--;
	return slice(p, n);
}

static struct item *mail(int i, size_t body_bytes)
{
	struct item *it = ARENA_NEW(mem, struct item);
	struct email *m = ARENA_NEW(mem, struct email);

	*m = (struct email){ .to = S("\"Somebody\" <somebody@example.org>"), .from = S("\"Someone Else\" <else@example.org>"),
		.subject = arena_printf(mem, "Subject of mail number %d", i), .date_received = DATE_MS(1700000000000 + i * 1000),
		.display_to = S("Somebody"), .thread_topic = S("Subject of mail"), .importance = NUM(1), .read = NUM(i & 1),
		.message_class = S("IPM.Note"), .internet_cpid = NUM(65001), .flag = ARENA_NEW(mem, struct email_flag),
		.content_class = S("urn:content-classes:message"), .has_categories = NUM(1) };
	it->email = m;
	it->body = ARENA_NEW(mem, struct item_body);
	*it->body = (struct item_body){ .type = NUM(1), .estimated_size = NUM((int64_t)body_bytes), .data = DATA(prose(body_bytes)) };
	it->native_body_type = NUM(1);
	return it;
}

static void *sync_reply(int items, size_t body_bytes)
{
	struct sync_reply *r = ARENA_NEW(mem, struct sync_reply);
	struct sync_reply_collection *c = LIST_PUSH(mem, &r->collections);

	c->sync_key = S("A1-00000000-2");
	c->collection_id = S("5");
	c->status = NUM(1);
	for (int i = 0; i < items; i++) {
		struct sync_command *cmd = LIST_PUSH(mem, &c->commands);

		cmd->tag = AIRSYNC_ADD;
		cmd->server_id = arena_printf(mem, "5:%d", i);
		cmd->item = mail(i, body_bytes);
	}
	return r;
}

static void *sync_request(void)
{
	struct sync_request *r = ARENA_NEW(mem, struct sync_request);

	for (int i = 0; i < 5; i++) {
		struct sync_collection *c = LIST_PUSH(mem, &r->collections);
		struct sync_options *o = LIST_PUSH(mem, &c->options);

		c->sync_key = S("A1-00000000-2");
		c->collection_id = arena_printf(mem, "%d", i);
		c->window_size = NUM(25);
		o->filter_type = NUM(3);
		o->mime_support = NUM(2);
		*LIST_PUSH(mem, &o->body) = (struct body_preference){ .type = NUM(1), .truncation_size = NUM(500) };
	}
	return r;
}

static void *folders(int n)
{
	struct foldersync_reply *r = ARENA_NEW(mem, struct foldersync_reply);

	r->status = NUM(1);
	r->sync_key = S("F-1");
	r->count = NUM(n);
	for (int i = 0; i < n; i++)
		*LIST_PUSH(mem, &r->changes) = (struct folder_change){ .tag = HIERARCHY_ADD, .server_id = arena_printf(mem, "f%d", i),
			.parent_id = S("0"), .display_name = arena_printf(mem, "Folder %d", i), .type = NUM(12) };
	return r;
}

static struct slice bytes_of(struct blob *b)
{
	struct slice s;

	if (blob_map(b, &s, NULL) < 0)
		die("blob", "map");
	s = arena_slice(mem, s);
	blob_free(&b);
	return s;
}

/* The library's own XML, so that its encoder gets what it likes. */
static struct slice their_xml(struct slice wbxml);

static struct document document(const char *name, const struct schema *s, void *obj)
{
	struct document d = { .name = name, .schema = s, .obj = obj };
	struct blob *b = blob_new(0);

	if (encode_document(b, s, obj, EAS_121, NULL) < 0)
		die(name, "encode");
	d.wbxml = bytes_of(b);
	d.xml = their_xml(d.wbxml);
	return d;
}

/* --- theirs ----------------------------------------------------------------------- */

static struct slice their_decode(struct slice wbxml)
{
	WBXMLConvWBXML2XML *c = NULL;
	WB_UTINY *xml = NULL;
	WB_ULONG n = 0;
	WBXMLError e;

	wbxml_conv_wbxml2xml_create(&c);
	wbxml_conv_wbxml2xml_set_language(c, WBXML_LANG_ACTIVESYNC);
	wbxml_conv_wbxml2xml_set_gen_type(c, WBXML_GEN_XML_COMPACT);
	e = wbxml_conv_wbxml2xml_run(c, (WB_UTINY *)(uintptr_t)wbxml.ptr, (WB_ULONG)wbxml.len, &xml, &n);
	if (e != WBXML_OK)
		die("wbxml2xml", (const char *)wbxml_errors_string(e));
	wbxml_conv_wbxml2xml_destroy(c);
	return slice(xml, n); /* caller frees */
}

static size_t their_encode(struct slice xml)
{
	WBXMLConvXML2WBXML *c = NULL;
	WB_UTINY *wbxml = NULL;
	WB_ULONG n = 0;
	WBXMLError e;

	wbxml_conv_xml2wbxml_create(&c);
	wbxml_conv_xml2wbxml_disable_string_table(c);
	wbxml_conv_xml2wbxml_enable_preserve_whitespaces(c);
	e = wbxml_conv_xml2wbxml_run(c, (WB_UTINY *)(uintptr_t)xml.ptr, (WB_ULONG)xml.len, &wbxml, &n);
	if (e != WBXML_OK)
		die("xml2wbxml", (const char *)wbxml_errors_string(e));
	wbxml_conv_xml2wbxml_destroy(c);
	free(wbxml);
	return n;
}

static struct slice their_xml(struct slice wbxml)
{
	struct slice s = their_decode(wbxml), copy = arena_slice(mem, s);

	free((char *)(uintptr_t)s.ptr);
	return copy;
}

/* --- the contestants: one document once --------------------------------------------- */

static volatile size_t sink;

static int nop_open(void *ctx, uint16_t tag, bool has_content, struct err *e) { return 0; }
static int nop_bytes(void *ctx, struct slice s, struct err *e) { return 0; }
static int nop_close(void *ctx, struct err *e) { return 0; }

static void our_reader(const struct document *d)
{
	static const struct wbxml_events nop = { nop_open, nop_bytes, nop_bytes, nop_close };
	struct wbxml_reader r;
	struct err e;

	wbxml_reader_init(&r, &nop, NULL, mem, NULL);
	if (wbxml_feed(&r, d->wbxml, &e) != 1)
		die(d->name, e.text);
}

static void our_decode(const struct document *d)
{
	struct arena *a = arena_new();
	struct decode_report r;
	struct err e;

	if (!decode_all(d->wbxml, d->schema, EAS_121, a, &r, &e))
		die(d->name, e.text);
	sink += r.problems;
	decode_report_deinit(&r);
	arena_free(&a);
}

static void our_trace(const struct document *d)
{
	struct blob *b = blob_new(64 << 20);

	if (xmltrace(b, d->wbxml, NULL, NULL) < 0)
		die(d->name, "trace");
	sink += blob_size(b);
	blob_free(&b);
}

static void lib_decode(const struct document *d)
{
	struct slice s = their_decode(d->wbxml);

	sink += s.len;
	free((char *)(uintptr_t)s.ptr);
}

static void our_encode(const struct document *d)
{
	struct blob *b = blob_new(64 << 20);

	if (encode_document(b, d->schema, d->obj, EAS_121, NULL) < 0)
		die(d->name, "encode");
	sink += blob_size(b);
	blob_free(&b);
}

static void lib_encode(const struct document *d)
{
	sink += their_encode(d->xml);
}

/* --- measuring ----------------------------------------------------------------------- */

typedef void (*once_fn)(const struct document *d);

static double round_us(once_fn fn, const struct document *d)
{
	double start = now_s(), used;
	long n = 0;

	do {
		fn(d);
		n++;
		used = now_s() - start;
	} while (used < 0.03);
	return used / (double)n * 1e6;
}

static void measure(const struct document *d)
{
	static const once_fn fns[] = { our_reader, our_decode, our_trace, lib_decode, our_encode, lib_encode };
	double best[6] = { 0 };

	for (int round = 0; round < 5; round++)
		for (int i = 0; i < 6; i++) {
			double us = round_us(fns[i], d);

			if (round == 0 || us < best[i])
				best[i] = us;
		}
	printf("%-22s %8zu  %9.1f %9.1f %9.1f %10.1f  %6.1fx %6.1fx  %9.1f %10.1f  %6.1fx  %7.0f\n", d->name, d->wbxml.len,
	       best[0], best[1], best[2], best[3], best[3] / best[1], best[3] / best[2], best[4], best[5], best[5] / best[4],
	       (double)d->wbxml.len / best[1]);
}

int main(void)
{
	mem = arena_new();
	printf("%-22s %8s  %9s %9s %9s %10s  %7s %7s  %9s %10s  %7s  %7s\n", "document", "bytes", "reader us", "struct us",
	       "trace us", "libwbxml2", "structs", "trace", "encode us", "libwbxml2", "encode", "MB/s");
	struct document all[] = {
		document("FolderSync, 40 folders", &foldersync_reply_schema, folders(40)),
		document("Sync request, 5 folders", &sync_request_schema, sync_request()),
		document("Sync, 100 mails 500 B", &sync_reply_schema, sync_reply(100, 500)),
		document("Sync, 25 mails 32 KB", &sync_reply_schema, sync_reply(25, 32768)),
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		measure(&all[i]);
	arena_free(&mem);
	return 0;
}
