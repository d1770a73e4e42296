/* fuzz_mail.c - a mail of any bytes through what is made of its part tree (that
 * one is fuzz_mime's): head, bodies of all types, previews, attachments, Email
 * facts, and as phone's mail and original of a reply. */
#include <stdlib.h>

#include "proto/bodypick.h"
#include "proto/compose.h"
#include "proto/mailinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void tree(struct arena *a, struct slice raw, struct mime_tree *t)
{
	mime_parse(a, raw, t);
	for (size_t i = 0; i < t->n; i++)
		must(utf8_clean(t->v[i].filename) && utf8_clean(t->v[i].content_id) && utf8_clean(t->v[i].name));
}

static void bodies(struct arena *a, const struct mime_tree *t, struct slice raw, unsigned knob)
{
	struct body_pref prefs[] = {
		{ .type = BODY_HTML, .truncation = knob * 3, .all_or_none = knob & 1, .preview = (uint8_t)knob },
		{ .type = BODY_TEXT, .truncation = knob, .all_or_none = knob & 2 },
		{ .type = BODY_MIME, .truncation = knob & 8 ? BODY_UNLIMITED : knob },
	};
	struct body_attachment *v;
	struct body b;

	for (size_t n = 0; n <= 3; n++) {
		struct body_want w = { .pref = prefs, .n_pref = n, .mime_support = (int)(knob % 3), .mime_truncation = 1000 };

		body_from_raw(a, t, raw, &w, &b);
		must(utf8_clean(b.data) && utf8_clean(b.preview));
		must(b.truncated || b.type == BODY_MIME || b.data.len == b.size);
		must(utf8_chars(b.preview) <= 255);
	}
	for (size_t i = 0, n = body_attachments(a, t, &v); i < n; i++)
		must(v[i].display_name.len > 0 && utf8_clean(v[i].display_name));
}

static void reply(struct arena *a, struct slice raw, unsigned knob)
{
	struct compose c = { .kind = (enum compose_kind)(knob % 3), .mime = raw, .original = raw, .from = S("Me <me@x>"),
			     .message_id = S("<m@x>"), .boundary_seed = S("s"), .force_from = knob & 1 };
	struct blob *b = blob_new(0);
	struct compose_result res;

	compose_mail(a, &c, b, &res, NULL);
	blob_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned knob = size ? data[0] : 0;
	struct slice raw = slice(data + (size > 0), size - (size > 0));
	struct arena *a = arena_new();
	struct mail_headers h;
	struct mime_tree t;
	struct mailinfo m;

	tree(a, raw, &t);
	mail_headers_parse(a, t.header, &h);
	must(utf8_clean(h.subject) && utf8_clean(h.to) && utf8_clean(h.from));
	mailinfo_fill(a, &h, &t, DATE_NONE, &m);
	must(utf8_clean(m.to) && utf8_clean(m.display_to) && m.conversation_index.len >= 5);
	bodies(a, &t, raw, knob);
	reply(a, raw, knob);
	arena_free(&a);
	return 0;
}
