/* test_schema.c - the table engine on a made-up schema: each kind of field,
 * presence, bounds, problems and where they are recorded, limits. */
#include "harness.h"

#include <stdio.h>

#include "proto/commands.h"
#include "proto/item_in.h"

struct part {
	uint16_t tag;
	struct slice name;
	struct num n;
	struct field_problem problem;
};
struct doc {
	struct slice str;
	struct num num, small, yes, flag, old;
	struct date date, compact;
	struct part *obj;
	struct num wrapped;
	LIST_OF(struct part) list;
	str_list strs;
	struct tag_set tags;
	struct data data;
	struct slice bin, b64;
	int checks;
};

static void doc_check(void *obj, const struct check_ctx *c)
{
	struct doc *d = obj;

	d->checks++;
	if (d->num.has && d->num.v == 13)
		problem_set(c->problem, PROBLEM_RULE, AIRSYNC_WAIT, AIRSYNC_SYNC);
}

static const struct field part_fields[] = {
	F_STR(struct part, AIRSYNC_CLASS, name, EAS_10, EAS_MAX, .max_len = 4, .flags = FIELD_REQUIRED),
	F_NUM(struct part, AIRSYNC_WAIT, n, EAS_10, EAS_MAX, 0, 9),
};
static const struct schema part_schema = SCHEMA_TP(struct part, AIRSYNC_ADD, part_fields);

static const struct field wrap_fields[] = {
	F_LIST(struct doc, AIRSYNC_ADD, list, EAS_10, EAS_MAX, struct part, &part_schema, .max_n = 3),
	F_LIST(struct doc, AIRSYNC_DELETE, list, EAS_10, EAS_MAX, struct part, &part_schema, .max_n = 3),
	F_STRS(struct doc, AIRSYNC_CLIENT_ID, strs, EAS_10, EAS_MAX, .max_n = 2, .max_len = 5),
};
static const struct schema wrap_schema = SCHEMA(struct doc, AIRSYNC_COMMANDS, wrap_fields);

static const struct field doc_fields[] = {
	F_STR (struct doc, AIRSYNC_SYNC_KEY,    str,     EAS_10, EAS_MAX),
	F_NUM (struct doc, AIRSYNC_WAIT,        num,     EAS_10, EAS_MAX, -5, 1000),
	F_NUM (struct doc, AIRSYNC_CONFLICT,    small,   EAS_10, EAS_MAX, 0, 31, .legal = 1u << 2 | 1u << 5, .flags = FIELD_EMPTY),
	F_BOOL(struct doc, AIRSYNC_GET_CHANGES, yes,     EAS_10, EAS_MAX),
	F_FLAG(struct doc, AIRSYNC_PARTIAL,     flag,    EAS_10, EAS_MAX),
	F_NUM (struct doc, AIRSYNC_TRUNCATION,  old,     EAS_10, EAS_25, 0, 9),
	F_DATE(struct doc, EMAIL_DATE_RECEIVED, date,    EAS_120, EAS_MAX),
	F_DATEC(struct doc, CALENDAR_START_TIME, compact, EAS_10, EAS_MAX),
	F_OBJ (struct doc, AIRSYNC_CHANGE,      obj,     EAS_10, EAS_MAX, struct part, &part_schema),
	F_INTO(struct doc, AIRSYNC_COMMANDS,    wrapped, EAS_10, EAS_MAX, &wrap_schema),
	F_TAGS(struct doc, AIRSYNC_SUPPORTED,   tags,    EAS_10, EAS_MAX, .flags = FIELD_GHOST),
	F_DATA(struct doc, BASE_DATA,           data,    EAS_10, EAS_MAX),
	F_BIN (struct doc, EMAIL2_CONVERSATION_ID, bin,  EAS_140, EAS_MAX, .max_len = 16),
	F_B64 (struct doc, EMAIL_TIME_ZONE,     b64,     EAS_10, EAS_MAX, .max_len = 172),
};
static const struct schema doc_schema = SCHEMA(struct doc, AIRSYNC_SYNC, doc_fields, .check = doc_check);

static struct decode_report report;

/* A document from (tag, text) pairs; NULL text: empty element, "<": open, ">": close. */
struct step {
	uint16_t tag;
	const char *text;
};

static struct slice build(const struct step *s, size_t n)
{
	struct blob *b = blob_new(0);
	struct wbxml_writer w;
	struct slice out;

	wbxml_writer_init(&w, b);
	wbxml_open(&w, AIRSYNC_SYNC);
	for (size_t i = 0; i < n; i++) {
		if (!s[i].text)
			wbxml_empty(&w, s[i].tag);
		else if (strcmp(s[i].text, "<") == 0)
			wbxml_open(&w, s[i].tag);
		else if (strcmp(s[i].text, ">") == 0)
			wbxml_close(&w);
		else
			wbxml_text(&w, s[i].tag, slice_str(s[i].text));
	}
	wbxml_close(&w);
	CHECK_INT(wbxml_finish(&w, NULL), 0);
	CHECK_INT(blob_map(b, &out, NULL), 0);
	out = arena_slice(test_arena(), out);
	blob_free(&b);
	return out;
}

static struct doc *decode(struct slice bytes, enum eas_version v)
{
	struct err e = { 0 };
	struct doc *d = decode_all(test_guarded(bytes), &doc_schema, v, test_arena(), &report, &e);

	if (!d)
		test_fail(__FILE__, __LINE__, "decode: %s", e.text);
	CHECK_INT(d->checks, 1);
	return d;
}

#define DOC(v, ...) \
	decode(build((const struct step[]){ __VA_ARGS__ }, sizeof((const struct step[]){ __VA_ARGS__ }) / sizeof(struct step)), v)
#define FIRST(kind_, tag_) \
	do { CHECK_INT(report.first.kind, kind_); CHECK_INT(report.first.tag, tag_); } while (0)

CASE(absent_empty_and_given_differ)
{
	struct doc *d = DOC(EAS_141, { AIRSYNC_WAIT, "7" });

	CHECK(d->str.ptr == NULL);
	CHECK(!d->yes.has && !d->wrapped.has && !d->tags.has && !d->data.has && d->obj == NULL);
	d = DOC(EAS_141, { AIRSYNC_SYNC_KEY, NULL }, { AIRSYNC_COMMANDS, NULL }, { AIRSYNC_SUPPORTED, NULL }, { BASE_DATA, NULL });
	CHECK(d->str.ptr != NULL && d->str.len == 0);
	CHECK(d->wrapped.has && d->list.n == 0 && d->tags.has && d->data.has && d->data.blob == NULL);
	d = DOC(EAS_141, { AIRSYNC_SYNC_KEY, "k" }, { AIRSYNC_WAIT, "-5" });
	CHECK_STR(d->str, "k");
	CHECK_INT(d->num.v, -5);
	CHECK_INT(report.problems, 0);
}

CASE(numbers_keep_their_bounds)
{
	static const char *const bad[] = { "1001", "-6", "", "x", "1 2", "99999999999999999999", "0x10", "1.5" };
	static const char *const good[] = { "1000", "-5", " 7 ", "0" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct doc *d = DOC(EAS_141, { AIRSYNC_WAIT, bad[i] });

		CHECK(!d->num.has);
		FIRST(PROBLEM_BAD_VALUE, AIRSYNC_WAIT);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(DOC(EAS_141, { AIRSYNC_WAIT, good[i] })->num.has);
	CHECK(DOC(EAS_141, { AIRSYNC_CONFLICT, "5" })->small.has);
	CHECK(!DOC(EAS_141, { AIRSYNC_CONFLICT, "4" })->small.has);
	FIRST(PROBLEM_BAD_VALUE, AIRSYNC_CONFLICT);
	CHECK(!DOC(EAS_141, { AIRSYNC_CONFLICT, "" })->small.has);
	CHECK_INT(report.problems, 0); /* FIELD_EMPTY */
	DOC(EAS_141, { AIRSYNC_WAIT, "0000000000000000000000000000000000000000000000000000000000000000000001" });
	FIRST(PROBLEM_BAD_VALUE, AIRSYNC_WAIT);
}

CASE(booleans_and_flags)
{
	CHECK_INT(DOC(EAS_141, { AIRSYNC_GET_CHANGES, "1" })->yes.v, 1);
	CHECK(!DOC(EAS_141, { AIRSYNC_GET_CHANGES, "2" })->yes.has);
	CHECK(!DOC(EAS_141, { AIRSYNC_GET_CHANGES, "true" })->yes.has);
	CHECK(!DOC(EAS_141, { AIRSYNC_GET_CHANGES, NULL })->yes.has);
	FIRST(PROBLEM_BAD_VALUE, AIRSYNC_GET_CHANGES);
	CHECK_INT(DOC(EAS_141, { AIRSYNC_PARTIAL, NULL })->flag.v, 1);
	CHECK_INT(DOC(EAS_141, { AIRSYNC_PARTIAL, "1" })->flag.v, 1);
	struct doc *d = DOC(EAS_141, { AIRSYNC_PARTIAL, "0" });
	CHECK(d->flag.has && d->flag.v == 0);
}

CASE(dates_in_both_forms)
{
	struct doc *d = DOC(EAS_141, { EMAIL_DATE_RECEIVED, "20260102T030405Z" }, { CALENDAR_START_TIME, "2026-01-02T03:04:05.000Z" });

	CHECK_INT(d->date.ms, 1767323045000);
	CHECK_INT(d->compact.ms, 1767323045000);
	CHECK(!DOC(EAS_141, { EMAIL_DATE_RECEIVED, "yesterday" })->date.has);
	FIRST(PROBLEM_BAD_VALUE, EMAIL_DATE_RECEIVED);
}

CASE(versions_gate_elements)
{
	CHECK(!DOC(EAS_25, { EMAIL_DATE_RECEIVED, "20260102T030405Z" })->date.has);
	FIRST(PROBLEM_VERSION, EMAIL_DATE_RECEIVED);
	CHECK(!DOC(EAS_120, { AIRSYNC_TRUNCATION, "1" })->old.has);
	FIRST(PROBLEM_VERSION, AIRSYNC_TRUNCATION);
	CHECK(DOC(EAS_25, { AIRSYNC_TRUNCATION, "1" })->old.has);
	CHECK(DOC(EAS_ANY, { EMAIL_DATE_RECEIVED, "20260102T030405Z" }, { AIRSYNC_WAIT, "1" })->date.has);
	CHECK_INT(report.oldest, EAS_120);
}

CASE(the_last_of_repeated_elements_wins)
{
	struct doc *d = DOC(EAS_141, { AIRSYNC_SYNC_KEY, "one" }, { AIRSYNC_SYNC_KEY, "two" }, { AIRSYNC_CHANGE, "<" },
			    { AIRSYNC_CLASS, "a" }, { AIRSYNC_WAIT, "3" }, { 0, ">" }, { AIRSYNC_CHANGE, "<" }, { AIRSYNC_CLASS, "b" },
			    { 0, ">" }, { BASE_DATA, "long one" }, { BASE_DATA, "x" });
	struct slice data;

	CHECK_STR(d->str, "two");
	CHECK_STR(d->obj->name, "b");
	CHECK(!d->obj->n.has);
	CHECK_INT(blob_map(d->data.blob, &data, NULL), 0);
	CHECK_STR(data, "x");
	CHECK_INT(report.problems, 0);
	decode_report_deinit(&report);
}

CASE(a_bad_repeat_unsets_the_good_one)
{
	CHECK(!DOC(EAS_141, { AIRSYNC_WAIT, "1" }, { AIRSYNC_WAIT, "x" })->num.has);
}

CASE(one_list_from_several_tags_keeps_order)
{
	struct doc *d = DOC(EAS_141, { AIRSYNC_COMMANDS, "<" }, { AIRSYNC_DELETE, "<" }, { AIRSYNC_CLASS, "a" }, { 0, ">" },
			    { AIRSYNC_ADD, "<" }, { AIRSYNC_CLASS, "b" }, { 0, ">" }, { AIRSYNC_DELETE, "<" }, { AIRSYNC_CLASS, "c" },
			    { 0, ">" }, { 0, ">" });

	CHECK_INT(d->list.n, 3);
	CHECK_INT(d->list.v[0].tag, AIRSYNC_DELETE);
	CHECK_INT(d->list.v[1].tag, AIRSYNC_ADD);
	CHECK_STR(d->list.v[2].name, "c");
}

CASE(a_problem_belongs_to_the_nearest_struct_that_has_one)
{
	struct doc *d = DOC(EAS_141, { AIRSYNC_COMMANDS, "<" }, { AIRSYNC_ADD, "<" }, { AIRSYNC_CLASS, "good" }, { 0, ">" },
			    { AIRSYNC_ADD, "<" }, { AIRSYNC_CLASS, "toolong" }, { AIRSYNC_WAIT, "x" }, { 0, ">" },
			    { AIRSYNC_DELETE, "<" }, { AIRSYNC_CLASS, "b" }, { PING_ID, "y" }, { 0, ">" }, { 0, ">" });

	CHECK_INT(report.first.kind, PROBLEM_NONE);
	CHECK_INT(report.problems, 4); /* too long, then missing as it was dropped, bad, misplaced */
	CHECK_INT(d->list.v[0].problem.kind, PROBLEM_NONE);
	CHECK_INT(d->list.v[1].problem.kind, PROBLEM_TOO_LONG);
	CHECK_INT(d->list.v[1].problem.tag, AIRSYNC_CLASS);
	CHECK_INT(d->list.v[1].problem.parent, AIRSYNC_ADD);
	CHECK_INT(d->list.v[2].problem.kind, PROBLEM_MISPLACED);
	CHECK_INT(d->list.v[2].problem.parent, AIRSYNC_DELETE);
}

CASE(missing_required_members_and_broken_rules)
{
	struct doc *d = DOC(EAS_141, { AIRSYNC_CHANGE, NULL });

	CHECK_INT(d->obj->problem.kind, PROBLEM_MISSING);
	CHECK_INT(d->obj->problem.tag, AIRSYNC_CLASS);
	DOC(EAS_141, { AIRSYNC_WAIT, "13" });
	FIRST(PROBLEM_RULE, AIRSYNC_WAIT);
	CHECK_INT(report.problems, 1);
}

CASE(lists_have_a_limit)
{
	struct doc *d = DOC(EAS_141, { AIRSYNC_COMMANDS, "<" }, { AIRSYNC_ADD, NULL }, { AIRSYNC_ADD, NULL }, { AIRSYNC_DELETE, NULL },
			    { AIRSYNC_ADD, "<" }, { AIRSYNC_CLASS, "z" }, { 0, ">" }, { AIRSYNC_CLIENT_ID, "a" },
			    { AIRSYNC_CLIENT_ID, "toolong" }, { AIRSYNC_CLIENT_ID, NULL }, { AIRSYNC_CLIENT_ID, "c" }, { 0, ">" },
			    { AIRSYNC_SYNC_KEY, "after" });

	CHECK_INT(d->list.n, 3);
	CHECK_INT(d->strs.n, 2);
	CHECK_STR(d->strs.v[0], "a");
	CHECK_STR(d->strs.v[1], "");
	FIRST(PROBLEM_TOO_LONG, AIRSYNC_ADD);
	CHECK_STR(d->str, "after");
}

CASE(unknown_and_misplaced_subtrees_are_skipped_whole)
{
	struct doc *d = DOC(EAS_141, { 0x1f05, "<" }, { AIRSYNC_SYNC_KEY, "no" }, { 0x003e, NULL }, { 0, ">" },
			    { AIRSYNC_COLLECTIONS, "<" }, { AIRSYNC_SYNC_KEY, "no" }, { 0, ">" }, { AIRSYNC_WAIT, "<" },
			    { AIRSYNC_CLASS, "no" }, { 0, ">" }, { AIRSYNC_SYNC_KEY, "yes" });

	CHECK_STR(d->str, "yes");
	CHECK(!d->num.has);
	CHECK_INT(report.problems, 3);
	FIRST(PROBLEM_UNKNOWN, 0x1f05);
}

CASE(binary_in_three_ways)
{
	struct blob *b = blob_new(0);
	struct wbxml_writer w;
	struct slice bytes;
	struct doc *d;

	wbxml_writer_init(&w, b);
	wbxml_open(&w, AIRSYNC_SYNC);
	wbxml_opaque(&w, EMAIL2_CONVERSATION_ID, S("t\0x"));
	wbxml_close(&w);
	CHECK_INT(wbxml_finish(&w, NULL), 0);
	CHECK_INT(blob_map(b, &bytes, NULL), 0);
	d = decode(bytes, EAS_141);
	CHECK_SLICE(d->bin, S("t\0x"));
	blob_free(&b);
	CHECK_STR(DOC(EAS_141, { EMAIL2_CONVERSATION_ID, "YWJj" })->bin, "abc");
	CHECK_STR(DOC(EAS_141, { EMAIL_TIME_ZONE, "YWJj" })->b64, "abc");
	CHECK(DOC(EAS_141, { EMAIL_TIME_ZONE, "Y*W" })->b64.ptr == NULL);
	FIRST(PROBLEM_BAD_VALUE, EMAIL_TIME_ZONE);
	CHECK(DOC(EAS_141, { EMAIL2_CONVERSATION_ID, "YWJjYWJjYWJjYWJjYWJjYWJj" })->bin.ptr == NULL);
	CHECK(report.first.kind != PROBLEM_NONE);
}

CASE(large_data_goes_to_a_blob_that_can_be_taken)
{
	char *big = arena_alloc(test_arena(), 2 << 20);
	struct doc *d;
	struct blob *b;

	memset(big, 'm', (2 << 20) - 1);
	d = DOC(EAS_141, { BASE_DATA, big });
	CHECK(blob_fd(d->data.blob) >= 0);
	CHECK_INT(blob_size(d->data.blob), (2 << 20) - 1);
	b = decode_take(&report, &d->data);
	CHECK(b != NULL && d->data.blob == NULL);
	CHECK(decode_take(&report, &d->data) == NULL);
	decode_report_deinit(&report);
	CHECK_INT(blob_size(b), (2 << 20) - 1);
	blob_free(&b);
}

static int fed(uint16_t tag, uint64_t string_bytes, uint64_t opaque_bytes, struct err *e)
{
	struct wbxml_limits l = wbxml_limits_default;
	struct slice bytes = build((const struct step[]){ { tag, "0123456789" } }, 1);
	struct decoder d;
	struct err end;
	int rc;

	l.string_bytes = string_bytes;
	l.opaque_bytes = opaque_bytes;
	decode_begin(&d, &doc_schema, EAS_141, test_arena(), &report, &l);
	rc = decode_feed(&d, bytes, e);
	if (rc < 0)
		CHECK(decode_end(&d, &end) == NULL);
	decode_report_deinit(&report);
	return rc;
}

/* A mail that comes as an inline string is bounded as an opaque one is; any other
 * string, known or not, by its own limit. */
CASE(limits_of_strings_and_of_data)
{
	struct err e = { 0 };

	CHECK_INT(fed(BASE_DATA, 9, 9, &e), -1);
	CHECK_INT(e.code, ERR_LIMIT);
	CHECK_INT(fed(BASE_DATA, 9, 10, &e), 1);
	CHECK_INT(fed(AIRSYNC_SYNC_KEY, 10, 9, &e), 1);
	CHECK_INT(fed(AIRSYNC_SYNC_KEY, 9, 100, &e), -1);
	CHECK_INT(e.code, ERR_LIMIT);
	CHECK_INT(fed(AIRSYNC_CLIENT_ID, 9, 100, &e), -1); /* not of this schema: read over */
	CHECK_INT(e.code, ERR_LIMIT);
}

CASE(memory_of_one_request_is_bounded)
{
	struct decoder d;
	struct err e = { 0 };
	struct slice bytes = build((const struct step[]){ { AIRSYNC_SYNC_KEY, "0123456789012345678901234567890123456789" } }, 1);

	decode_begin(&d, &doc_schema, EAS_141, test_arena(), &report, NULL);
	d.arena_limit = sizeof(struct doc) + 32;
	CHECK_INT(decode_feed(&d, bytes, &e), -1);
	CHECK_INT(e.code, ERR_LIMIT);
}

CASE(wrong_root_and_early_end_are_told_apart)
{
	struct decoder d;
	struct err e = { 0 };

	decode_begin(&d, &doc_schema, EAS_141, test_arena(), &report, NULL);
	CHECK_INT(decode_feed(&d, S("\x03\x01\x6a\x00\x00\x0d\x05"), &e), -1);
	CHECK(report.wrong_root);
	CHECK_INT(report.root, PING_PING);
	decode_begin(&d, &doc_schema, EAS_141, test_arena(), &report, NULL);
	CHECK_INT(decode_feed(&d, S("\x03\x01\x6a\x00\x45\x4b"), &e), 0);
	CHECK(decode_end(&d, &e) == NULL);
	CHECK(!report.wrong_root);
	CHECK_INT(e.code, ERR_BAD_WBXML);
	decode_begin(&d, &doc_schema, EAS_141, test_arena(), &report, NULL);
	CHECK(decode_end(&d, &e) == NULL); /* no byte at all */
}

CASE(what_is_written_is_what_was_read)
{
	struct doc a = { .str = S("k"), .num = NUM(-5), .small = NUM(2), .yes = NUM(0), .flag = NUM(0), .old = NUM(3),
			 .date = DATE_MS(1767323045000), .compact = DATE_MS(1767323045000), .bin = S("\0\1"), .b64 = S("abcd"),
			 .data = DATA(S("text")) }, *b;
	struct part obj = { .name = S("o"), .n = NUM(0) };
	struct blob *out = blob_new(0);
	struct slice bytes, text;

	a.obj = &obj;
	*LIST_PUSH(test_arena(), &a.list) = (struct part){ .tag = AIRSYNC_DELETE, .name = S("d") };
	*LIST_PUSH(test_arena(), &a.list) = (struct part){ .tag = AIRSYNC_ADD, .name = S("a") };
	*LIST_PUSH(test_arena(), &a.list) = (struct part){ .tag = AIRSYNC_FETCH, .name = S("no such row") };
	*LIST_PUSH(test_arena(), &a.strs) = S("");
	a.tags.has = true;
	*LIST_PUSH(test_arena(), &a.tags.tags) = CONTACTS_FILE_AS;
	CHECK_INT(encode_document(out, &doc_schema, &a, EAS_141, NULL), 0);
	CHECK_INT(blob_map(out, &bytes, NULL), 0);
	b = decode(bytes, EAS_141);
	CHECK_INT(report.problems, 0);
	CHECK_STR(b->str, "k");
	CHECK_INT(b->num.v, -5);
	CHECK(b->flag.has && b->flag.v == 0 && b->yes.has && !b->old.has); /* old: not in 14.1 */
	CHECK_INT(b->date.ms, a.date.ms);
	CHECK_INT(b->compact.ms, a.compact.ms);
	CHECK_SLICE(b->bin, a.bin);
	CHECK_SLICE(b->b64, a.b64);
	CHECK(b->wrapped.has); /* written because a child is given */
	CHECK_INT(b->list.n, 2);
	CHECK_INT(b->list.v[0].tag, AIRSYNC_DELETE);
	CHECK_INT(b->strs.n, 1);
	CHECK(tag_set_has(&b->tags, CONTACTS_FILE_AS) && !tag_set_has(&b->tags, CONTACTS_TITLE));
	CHECK_INT(blob_map(b->data.blob, &text, NULL), 0);
	CHECK_STR(text, "text");
	decode_report_deinit(&report);
	blob_free(&out);
}

CASE(base64_of_every_length)
{
	for (size_t n = 0; n <= 172; n++) {
		char raw[172];
		struct doc a = { .b64 = slice(raw, n) }, *b;
		struct blob *out = blob_new(0);
		struct slice bytes;

		for (size_t i = 0; i < n; i++)
			raw[i] = (char)(i * 7 + n);
		CHECK_INT(encode_document(out, &doc_schema, &a, EAS_141, NULL), 0);
		CHECK_INT(blob_map(out, &bytes, NULL), 0);
		b = decode(bytes, EAS_141);
		CHECK_SLICE(b->b64, a.b64);
		blob_free(&out);
	}
}

CASE(ghosting_follows_the_supported_list)
{
	struct tag_set none = { 0 }, empty = { .has = true }, listed = { .has = true };
	const struct field *f = schema_find(&doc_schema, AIRSYNC_SUPPORTED, EAS_141);
	struct doc absent = { 0 }, given = { .tags.has = true };

	*LIST_PUSH(test_arena(), &listed.tags) = AIRSYNC_SUPPORTED;
	CHECK(field_omitted_deletes(f, &absent, &none));
	CHECK(!field_omitted_deletes(f, &absent, &empty));
	CHECK(field_omitted_deletes(f, &absent, &listed));
	CHECK(!field_omitted_deletes(f, &given, &none));
	CHECK(!field_omitted_deletes(&doc_fields[0], &absent, &none)); /* not ghostable */
}

static int produce(void *ctx, struct wbxml_writer *w, struct err *e)
{
	for (int i = 0; i < 3; i++)
		wbxml_text_chunk(w, S("chunk "));
	return ctx ? err_set(e, ERR_BACKEND_TEMP, "gone") : 0;
}

CASE(data_may_be_produced_while_writing)
{
	struct doc a = { .data = { .has = true, .produce = produce } }, *b;
	struct blob *out = blob_new(0);
	struct slice bytes;
	struct err e = { 0 };

	CHECK_INT(encode_document(out, &doc_schema, &a, EAS_141, &e), 0);
	CHECK_INT(blob_map(out, &bytes, NULL), 0);
	b = decode(bytes, EAS_141);
	CHECK_INT(blob_map(b->data.blob, &bytes, NULL), 0);
	CHECK_STR(bytes, "chunk chunk chunk ");
	decode_report_deinit(&report);
	a.data.ctx = &a; /* fails: the error comes out at the end */
	CHECK_INT(encode_document(out, &doc_schema, &a, EAS_141, &e), -1);
	CHECK_INT(e.code, ERR_BACKEND_TEMP);
	blob_free(&out);
}

/* --- the tables of the product -------------------------------------------------- */

static bool overlap(const struct field *a, const struct field *b)
{
	return a->tag == b->tag && a->first <= b->last && b->first <= a->last;
}

static bool alias_of(const struct field *a, const struct field *b)
{
	return a->kind == b->kind && a->offset == b->offset && a->kind != FIELD_LIST;
}

static void check_row(const struct schema *s, const struct field *f)
{
	const char *name = wbxml_tag_name(f->tag);

	CHECK(name != NULL);
	if (f->first > f->last || f->min > f->max || f->offset >= s->size)
		test_fail(__FILE__, __LINE__, "%s: versions, bounds or offset", name);
	if (f->sub && f->sub->size != f->elem)
		test_fail(__FILE__, __LINE__, "%s: struct of %u bytes, its table is for %u", name, f->elem, f->sub->size);
	if (f->kind == FIELD_INTO && f->elem != s->size)
		test_fail(__FILE__, __LINE__, "%s: a wrapper of another struct", name);
	for (const struct field *g = s->fields; g < f; g++) {
		if (overlap(f, g))
			test_fail(__FILE__, __LINE__, "%s stands twice", name);
		/* two names of one scalar in one version: one of them is never written */
		if (alias_of(f, g) && f->first <= g->last && g->first <= f->last && !((f->flags | g->flags) & FIELD_ALIAS))
			test_fail(__FILE__, __LINE__, "%s shares its member", name);
	}
}

static unsigned walk(const struct schema *s, unsigned depth)
{
	unsigned rows = s->n;

	CHECK(depth < DECODE_DEPTH - 1);
	for (unsigned i = 0; i < s->n; i++) {
		check_row(s, &s->fields[i]);
		if (s->fields[i].sub)
			rows += walk(s->fields[i].sub, depth + 1);
		if (s->fields[i].kind == FIELD_ITEM)
			rows += walk(&item_in_schema, depth + 1) + walk(item_schema(CLASS_EMAIL), depth + 1);
	}
	return rows;
}

CASE(every_table_of_the_product_is_consistent)
{
	static const struct schema *const replies[] = {
		&sync_reply_schema, &foldersync_reply_schema, &foldercreate_reply_schema, &folderupdate_reply_schema,
		&folderdelete_reply_schema, &itemops_reply_schema, &settings_reply_schema, &provision_reply_schema,
		&estimate_reply_schema, &moveitems_reply_schema, &ping_reply_schema, &sendmail_reply_schema,
		&smartreply_reply_schema, &smartforward_reply_schema,
	};
	const struct command *c;
	unsigned rows = 0;

	for (size_t i = 0; (c = command_at(i)); i++) {
		if (!c->request)
			continue;
		CHECK_INT(c->request->tag, c->root);
		rows += walk(c->request, 0);
	}
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		rows += walk(replies[i], 0);
	CHECK(rows > 400);
}
