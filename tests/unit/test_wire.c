/* test_wire.c - annotated bytes in tests/wire (files .case): each is decoded by the
 * command's table, whole, byte by byte, in odd pieces and against the guard
 * page, then written again by the same table and compared as XML.
 *
 *   == name of the case
 *   Sync 14.1              command (or "reply Sync") and version
 *   03 01 6a 00  ; text    bytes; what stands behind ';' is for people
 *   --
 *   problems: 1 (misplaced Options/Class)    or   error: bad_wbxml
 *   <Sync ...              what was understood, as the encoder writes it */
#include "harness.h"

#include <ctype.h>
#include <glob.h>
#include <stdio.h>

#include "proto/commands.h"
#include "proto/xmltrace.h"

struct wire_case {
	struct slice name, head, bytes, want;
};

static struct slice line_of(struct slice *rest)
{
	ptrdiff_t nl = slice_chr(*rest, '\n');
	size_t n = nl < 0 ? rest->len : (size_t)nl;
	struct slice line = slice_to(*rest, n);

	*rest = slice_from(*rest, n + (nl >= 0));
	return line;
}

static void hex_line(struct slice line, char *out, size_t *n)
{
	unsigned v;

	for (size_t i = 0; i + 1 < line.len && line.ptr[i] != ';'; i++) {
		if (isspace((uint8_t)line.ptr[i]))
			continue;
		if (sscanf(line.ptr + i, "%2x", &v) != 1)
			test_fail(__FILE__, __LINE__, "bad hex: %.*s", SARG(line));
		out[(*n)++] = (char)v;
		i++;
	}
}

static bool next_case(struct slice *rest, struct wire_case *c)
{
	struct slice line;
	size_t n = 0;
	char *bytes;

	do {
		if (rest->len == 0)
			return false;
		line = line_of(rest);
	} while (!slice_starts(line, S("== ")));
	c->name = slice_from(line, 3);
	c->head = line_of(rest);
	bytes = arena_alloc(test_arena(), rest->len);
	while (rest->len && !slice_eq(line = line_of(rest), S("--")))
		hex_line(line, bytes, &n);
	c->bytes = slice(bytes, n);
	c->want = *rest;
	while (rest->len && !slice_starts(*rest, S("== ")))
		line_of(rest);
	c->want = slice_trim(slice_to(c->want, c->want.len - rest->len));
	return true;
}

static const struct schema *schema_of(struct slice *head)
{
	static const struct { const char *name; const struct schema *s; } replies[] = {
		{ "Sync", &sync_reply_schema },           { "FolderSync", &foldersync_reply_schema },
		{ "Provision", &provision_reply_schema }, { "ItemOperations", &itemops_reply_schema },
		{ "Ping", &ping_reply_schema },           { "Settings", &settings_reply_schema },
	};
	bool reply = slice_starts(*head, S("reply "));
	struct slice word;

	if (reply)
		*head = slice_from(*head, 6);
	slice_split(head, ' ', &word);
	for (size_t i = 0; reply && i < sizeof(replies) / sizeof(replies[0]); i++)
		if (slice_eq(slice_str(replies[i].name), word))
			return replies[i].s;
	if (!reply && command_find(eas_command_find(word)))
		return command_find(eas_command_find(word))->request;
	test_fail(__FILE__, __LINE__, "no schema %.*s", SARG(word));
}

static const char *tag_text(uint16_t tag)
{
	const char *name = wbxml_tag_name(tag);

	return name ? name : arena_printf(test_arena(), "%04x", tag).ptr;
}

static struct slice outcome(struct slice bytes, size_t step, const struct schema *s, enum eas_version v)
{
	struct decode_report r;
	struct decoder d;
	struct err e = { 0 };
	struct blob *wb = blob_new(0), *xml = blob_new(0);
	struct slice out;
	void *root;

	decode_begin(&d, s, v, test_arena(), &r, NULL);
	for (; bytes.len; bytes = slice_from(bytes, step))
		if (decode_feed(&d, slice_to(bytes, step), &e) < 0)
			break;
	root = decode_end(&d, &e);
	if (!root) {
		blob_printf(xml, NULL, "error: %s%s", err_name(e.code), r.wrong_root ? ", body of another command" : "");
	} else {
		blob_printf(xml, NULL, "problems: %u", r.problems);
		if (r.first.kind)
			blob_printf(xml, NULL, " (%s %s/%s)", problem_name(r.first.kind), tag_text(r.first.parent),
				    tag_text(r.first.tag));
		blob_printf(xml, NULL, "\n");
		CHECK_INT(encode_document(wb, s, root, v ? v : (enum eas_version)r.oldest, &e), 0);
		CHECK_INT(blob_map(wb, &out, NULL), 0);
		CHECK_INT(xmltrace(xml, out, NULL, &e), 0);
	}
	CHECK_INT(blob_map(xml, &out, NULL), 0);
	out = slice_trim(arena_slice(test_arena(), out));
	blob_free(&wb);
	blob_free(&xml);
	decode_report_deinit(&r);
	return out;
}

static void run_case(const struct wire_case *c)
{
	struct slice head = c->head;
	const struct schema *s = schema_of(&head);
	enum eas_version v = slice_eq(head, S("any")) ? EAS_ANY : (enum eas_version)eas_version_parse(head);
	struct slice got = outcome(test_guarded(c->bytes), c->bytes.len, s, v);

	if (!slice_eq(got, c->want))
		test_fail(__FILE__, __LINE__, "%.*s: got\n%.*s\nwant\n%.*s", SARG(c->name), SARG(got), SARG(c->want));
	for (size_t step = 1; step < 12; step += step == 1 ? 1 : 3) {
		struct slice other = outcome(c->bytes, step, s, v);

		if (!slice_eq(other, got))
			test_fail(__FILE__, __LINE__, "%.*s: in pieces of %zu\n%.*s", SARG(c->name), step, SARG(other));
	}
}

/* Every proper front of the bytes is an error or incomplete, never a crash. */
static void cut_case(const struct wire_case *c)
{
	struct slice head = c->head;
	const struct schema *s = schema_of(&head);

	for (size_t n = 0; n < c->bytes.len && n < 600; n++) {
		struct slice got = outcome(slice_to(c->bytes, n), 64, s, EAS_141);

		if (!slice_starts(got, S("error: ")))
			test_fail(__FILE__, __LINE__, "%.*s cut at %zu is whole", SARG(c->name), n);
	}
}

static int each(const char *path, void (*fn)(const struct wire_case *c))
{
	struct slice rest = test_file(path);
	struct wire_case c;
	int n = 0;

	for (; next_case(&rest, &c); n++)
		fn(&c);
	return n;
}

static void each_file(const char *pattern, void (*fn)(const struct wire_case *c))
{
	glob_t g;
	int n = 0;

	CHECK_INT(glob(pattern, 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++)
		n += each(g.gl_pathv[i], fn);
	globfree(&g);
	CHECK(n > 5);
}

CASE(recorded_requests) { each_file("tests/wire/recorded-*.case", run_case); }
CASE(made_requests) { each_file("tests/wire/made-*.case", run_case); }
CASE(cut_anywhere) { each_file("tests/wire/*.case", cut_case); }
