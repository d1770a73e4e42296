/* case_mail.c - reading, flagging, moving, adding and finding mails. */
#include "contract/contract.h"

#include <stdio.h>

static const char nested[] =
	"From: Ann <ann@example.org>\r\n"
	"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
	"X-Folded: one\r\n two\r\n"
	"MIME-Version: 1.0\r\n"
	"Content-Type: multipart/mixed; boundary=out\r\n"
	"\r\n"
	"preamble\r\n"
	"--out\r\n"
	"Content-Type: multipart/alternative; boundary=in\r\n"
	"\r\n"
	"--in\r\n"
	"Content-Type: text/plain; charset=utf-8\r\n"
	"Content-Transfer-Encoding: quoted-printable\r\n"
	"\r\n"
	"Gr=C3=BC=C3=9Fe\r\n"
	"--in\r\n"
	"Content-Type: text/html\r\n"
	"\r\n"
	"<b>x</b>\r\n"
	"--in--\r\n"
	"--out\r\n"
	"Content-Type: application/octet-stream; name=\"a.bin\"\r\n"
	"Content-Transfer-Encoding: base64\r\n"
	"Content-Disposition: attachment; filename=\"a.bin\"\r\n"
	"\r\n"
	"AAECAwQFBgcICQ==\r\n"
	"--out--\r\n";

CONTRACT(heads_tell_structure_header_and_flags)
{
	struct slice red[] = { S("Red one") };
	uint64_t num = put_flags(w, w->s, w->folder, S(nested), MAIL_SEEN | MAIL_ANSWERED, INT64_C(1764000000000));
	struct be_head h;

	categories(w, w->s, w->folder, num, red, 1);
	CHECK(head_of(w, w->s, w->folder, num, &h));
	CHECK_INT(h.item.num, num);
	CHECK_INT(h.item.date_ms, INT64_C(1764000000000));
	CHECK_INT(h.flags, MAIL_SEEN | MAIL_ANSWERED);
	CHECK_INT(h.item.rev, mail_rev(h.flags, red, 1));
	CHECK_INT(h.n_keywords, 1);
	CHECK_STR(h.keywords[0], "Red one");
	CHECK_INT(h.size, sizeof(nested) - 1);
	CHECK(slice_starts(h.headers, S("From: Ann <ann@example.org>\r\n")));
	CHECK(h.headers.len > 4 && memcmp(h.headers.ptr + h.headers.len - 4, "\r\n\r\n", 4) == 0);
	CHECK(memmem(h.headers.ptr, h.headers.len, "X-Folded: one\r\n two\r\n", 21));
	CHECK_INT(h.tree->n, 5);
	CHECK(mime_is(&h.tree->v[0], "multipart", "mixed"));
	CHECK_INT(mime_find(h.tree, "text", "html"), mime_by_number(h.tree, S("1.2")));
	CHECK_STR(h.tree->v[mime_by_number(h.tree, S("2"))].filename, "a.bin");
	CHECK_INT(h.tree->v[mime_by_number(h.tree, S("1.1"))].encoding, TRANSFER_QP);
}

CONTRACT(heads_come_in_the_order_asked_without_the_gone)
{
	uint64_t a = put(w, w->s, w->folder, plain_mail(w, "a", "a", "a")), b = put(w, w->s, w->folder, plain_mail(w, "b", "b", "b"));
	uint64_t c = put(w, w->s, w->folder, plain_mail(w, "c", "c", "c")), ask[] = { c, 4000000, b, a };
	struct be_head h[4];
	struct err e = { 0 };
	size_t n = 9;

	remove_one(w, w->other, w->folder, b);
	CHECK_INT(w->s->ops->heads(w->s, w->folder, ask, 4, w->a, h, &n, &e), BE_OK);
	CHECK_INT(n, 2);
	CHECK_INT(h[0].item.num, c);
	CHECK_INT(h[1].item.num, a);
	CHECK_INT(w->s->ops->heads(w->s, w->folder, NULL, 0, w->a, h, &n, &e), BE_OK);
	CHECK_INT(n, 0);
}

CONTRACT(reading_changes_nothing)
{
	uint64_t a = put(w, w->s, w->folder, S(nested));
	struct model m = { .n = 0 };
	struct be_head h;
	struct seen l;

	model_sync(w, w->s, w->folder, &m, &l);
	CHECK(head_of(w, w->s, w->folder, a, &h));
	read_part(w, w->s, w->folder, a, "1.1");
	read_part(w, w->s, w->folder, a, "");
	model_sync(w, w->s, w->folder, &m, &l);
	CHECK_INT(m.v[0].rev, 0);
}

CONTRACT(parts_are_the_bytes_as_stored)
{
	uint64_t num = put(w, w->s, w->folder, S(nested)), one = put(w, w->s, w->folder, plain_mail(w, "a", "a", "just text"));

	CHECK_SLICE(read_part(w, w->s, w->folder, num, ""), S(nested));
	CHECK_STR(read_part(w, w->s, w->folder, num, "1.1"), "Gr=C3=BC=C3=9Fe");
	CHECK_STR(read_part(w, w->s, w->folder, num, "1.2"), "<b>x</b>");
	CHECK_STR(read_part(w, w->s, w->folder, num, "2"), "AAECAwQFBgcICQ==");
	CHECK_STR(read_part(w, w->s, w->folder, one, "1"), "just text\r\n");
}

CONTRACT(parts_can_be_cut_and_come_together)
{
	uint64_t num = put(w, w->s, w->folder, S(nested)), gone = put(w, w->s, w->folder, S("A: b\r\n\r\nc\r\n"));
	struct blob *b[6];
	struct be_part p[] = {
		{ .num = num, .part = S("2"), .offset = 4, .max = 5 },
		{ .num = num, .part = S(""), .max = 11 },
		{ .num = num, .part = S("1.2"), .offset = 6 },
		{ .num = num, .part = S("7.7") },
		{ .num = gone, .part = S("") },
		{ .num = num, .part = S("2"), .offset = 1000, .max = 5 },
	};
	static const char *const want[] = { "AwQFB", "From: Ann <", "b>", "", "", "" };
	struct err e = { 0 };
	struct slice got;

	remove_one(w, w->other, w->folder, gone);
	for (int i = 0; i < 6; i++)
		p[i].out = b[i] = blob_new(0);
	blob_append(b[1], "kept", 4, NULL);
	CHECK_INT(w->s->ops->parts(w->s, w->folder, p, 6, &e), BE_OK);
	for (int i = 0; i < 6; i++)
		if (i != 3) /* a part that is not there: a server may also say: nothing */
			CHECK_INT(p[i].result, i == 4 ? BE_PERM : BE_OK);
	CHECK(p[3].result != BE_TEMP);
	for (int i = 0; i < 6; i++) {
		CHECK(blob_map(b[i], &got, NULL) == 0);
		if (i == 1) {
			CHECK(slice_starts(got, S("kept")));
			got = slice_from(got, 4);
		}
		CHECK_STR(got, want[i]);
		blob_free(&b[i]);
	}
}

CONTRACT(big_and_odd_mails_come_back_as_they_were)
{
	enum { BIG = 3 * 1024 * 1024 };
	struct slice head = S("From: a@b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"), whole, again;
	char *p = arena_alloc(w->a, BIG);
	struct be_part cut = { .part = S("1"), .offset = BIG / 2, .max = 70000, .out = blob_new(0) };
	struct err e = { 0 };

	memcpy(p, head.ptr, head.len);
	for (size_t i = head.len, k = 0; i < BIG; i++, k++)
		p[i] = k % 80 == 78 ? '\r' : k % 80 == 79 ? '\n' : k % 7 ? (char)('!' + k / 80 % 90) : '\xe4';
	p[BIG - 2] = '\r';
	p[BIG - 1] = '\n';
	whole = slice(p, BIG);
	cut.num = put(w, w->s, w->folder, whole);
	again = read_part(w, w->s, w->folder, cut.num, "");
	CHECK_INT(again.len, whole.len);
	CHECK(slice_eq(again, whole));
	CHECK_INT(w->s->ops->parts(w->s, w->folder, &cut, 1, &e), BE_OK);
	CHECK(blob_map(cut.out, &again, NULL) == 0);
	CHECK(slice_eq(again, slice_to(slice_from(whole, head.len + BIG / 2), 70000)));
	blob_free(&cut.out);
	whole = S("Subject: no body at all\r\n\r\n");
	CHECK_SLICE(read_part(w, w->s, w->folder, put(w, w->s, w->folder, whole), ""), whole);
}

CONTRACT(flags_change_by_mask_and_tell_the_rev)
{
	uint64_t a = put_flags(w, w->s, w->folder, plain_mail(w, "a", "a", "a"), MAIL_SEEN | MAIL_FLAGGED, 0);
	struct be_flag_change c = { .mask = MAIL_SEEN };
	struct be_head h;
	struct err e = { 0 };
	uint32_t rev;
	struct seen l;

	CHECK_INT(flag(w, w->s, w->folder, a, MAIL_ANSWERED | MAIL_FLAGGED, MAIL_ANSWERED), MAIL_SEEN | MAIL_ANSWERED);
	look(w, w->other, w->folder, S_NONE, 0, &l);
	CHECK_INT(seen_item(&l, a)->rev, MAIL_SEEN | MAIL_ANSWERED);
	CHECK_INT(flag(w, w->s, w->folder, a, MAIL_FORWARDED, MAIL_FORWARDED), MAIL_SEEN | MAIL_ANSWERED | MAIL_FORWARDED);
	CHECK_INT(flag(w, w->s, w->folder, a, MAIL_FORWARDED, MAIL_FORWARDED), MAIL_SEEN | MAIL_ANSWERED | MAIL_FORWARDED);
	CHECK(head_of(w, w->other, w->folder, a, &h));
	CHECK_INT(h.flags, MAIL_SEEN | MAIL_ANSWERED | MAIL_FORWARDED);
	CHECK_INT(h.n_keywords, 0); /* $Forwarded is a flag, no category */
	CHECK_INT(flag(w, w->s, w->folder, a, MAIL_FORWARDED | MAIL_SEEN, 0), MAIL_ANSWERED);
	CHECK_INT(flag(w, w->s, w->folder, a, 0, 0xff), MAIL_ANSWERED);
	remove_one(w, w->other, w->folder, a);
	CHECK_INT(w->s->ops->set_flags(w->s, w->folder, a, &c, &rev, &e), BE_PERM);
	CHECK_INT(e.code, ERR_NOT_FOUND);
}

CONTRACT(categories_are_replaced_and_hold_any_text)
{
	struct slice k[] = { S("Red Category"), S("\xe5\x8f\xb0\xe5\x8c\x97"), S("to_do (1)"), S("a&b") };
	uint64_t a = put_flags(w, w->s, w->folder, plain_mail(w, "a", "a", "a"), MAIL_FLAGGED, 0);
	struct be_head h;

	CHECK_INT(categories(w, w->s, w->folder, a, k, 4), mail_rev(MAIL_FLAGGED, k, 4));
	CHECK(head_of(w, w->other, w->folder, a, &h));
	CHECK_INT(h.n_keywords, 4);
	for (size_t i = 0; i < 4; i++) {
		bool found = false;

		for (size_t n = 0; n < h.n_keywords; n++)
			found |= slice_eq(h.keywords[n], k[i]);
		if (!found)
			test_fail(__FILE__, __LINE__, "lost category %.*s", SARG(k[i]));
	}
	CHECK_INT(categories(w, w->s, w->folder, a, k + 1, 1), mail_rev(MAIL_FLAGGED, k + 1, 1));
	CHECK_INT(categories(w, w->s, w->folder, a, k + 1, 1), mail_rev(MAIL_FLAGGED, k + 1, 1));
	CHECK(head_of(w, w->other, w->folder, a, &h));
	CHECK_INT(h.n_keywords, 1);
	CHECK_INT(categories(w, w->s, w->folder, a, NULL, 0), MAIL_FLAGGED);
	CHECK_INT(flag(w, w->s, w->folder, a, MAIL_SEEN, MAIL_SEEN), MAIL_FLAGGED | MAIL_SEEN);
}

CONTRACT(move_takes_everything_along)
{
	struct slice dst = make_folder(w, w->folder, "dst"), k[] = { S("Some Thing"), S("Other") };
	uint64_t first = put(w, w->s, dst, plain_mail(w, "f", "f", "f"));
	uint64_t a = put_flags(w, w->s, w->folder, S(nested), MAIL_FLAGGED, INT64_C(1764000000000)), b, back;
	struct be_head h;
	struct seen l;

	categories(w, w->s, w->folder, a, k, 2);
	b = move_one(w, w->s, w->folder, a, dst);
	CHECK(b > first);
	CHECK(!head_of(w, w->s, w->folder, a, &h));
	CHECK(head_of(w, w->other, dst, b, &h));
	CHECK_INT(h.item.date_ms, INT64_C(1764000000000));
	CHECK_INT(h.item.rev, mail_rev(MAIL_FLAGGED, k, 2));
	CHECK_SLICE(read_part(w, w->other, dst, b, ""), S(nested));
	CHECK_INT(move_one(w, w->s, w->folder, a, dst), 0); /* a repeat */
	look(w, w->s, dst, S_NONE, 0, &l);
	CHECK_INT(l.n, 2);
	back = move_one(w, w->s, dst, b, w->folder);
	CHECK(back > a);
}

CONTRACT(move_of_many_and_of_the_gone)
{
	struct slice dst = make_folder(w, w->folder, "dst");
	uint64_t n[5], new[5];
	struct err e = { 0 };
	struct seen l;

	for (int i = 0; i < 5; i++)
		n[i] = put(w, w->s, w->folder, plain_mail(w, "x", arena_printf(w->a, "id%d", i).ptr, "x"));
	remove_one(w, w->other, w->folder, n[2]);
	CHECK_INT(w->s->ops->move(w->s, w->folder, n, 5, dst, new, &e), BE_OK);
	look(w, w->s, dst, S_NONE, 0, &l);
	CHECK_INT(l.n, 4);
	for (int i = 0; i < 5; i++) {
		uint64_t found;

		CHECK_INT(new[i] == 0, i == 2);
		CHECK_INT(w->s->ops->find_message_id(w->s, dst, arena_printf(w->a, "<id%d@example.org>", i), &found, &e), BE_OK);
		CHECK_INT(found, new[i]);
	}
	look(w, w->s, w->folder, S_NONE, 0, &l);
	CHECK_INT(l.n, 0);
	CHECK_INT(w->s->ops->move(w->s, w->folder, NULL, 0, dst, NULL, &e), BE_OK);
}

CONTRACT(move_to_nowhere_moves_nothing)
{
	uint64_t a = put(w, w->s, w->folder, plain_mail(w, "a", "a", "a")), new;
	struct err e = { 0 };
	struct be_head h;

	CHECK_INT(w->s->ops->move(w->s, w->folder, &a, 1, S("no/such-folder"), &new, &e), BE_PERM);
	CHECK_INT(e.code, ERR_NOT_FOUND);
	CHECK(head_of(w, w->s, w->folder, a, &h));
}

CONTRACT(remove_may_be_repeated)
{
	uint64_t a = put(w, w->s, w->folder, plain_mail(w, "a", "a", "a")), b = put(w, w->s, w->folder, plain_mail(w, "b", "b", "b"));
	struct be_head h;

	remove_one(w, w->s, w->folder, a);
	remove_one(w, w->s, w->folder, a);
	remove_one(w, w->s, w->folder, 4000000);
	CHECK(!head_of(w, w->other, w->folder, a, &h));
	CHECK(head_of(w, w->other, w->folder, b, &h));
}

CONTRACT(append_without_a_date_is_now)
{
	int64_t before = clock_wall(&clock_system), after;
	uint64_t a = put(w, w->s, w->folder, plain_mail(w, "a", "a", "a"));
	struct be_head h;

	after = clock_wall(&clock_system);
	CHECK(head_of(w, w->s, w->folder, a, &h));
	/* Servers keep whole seconds, and have a clock of their own. */
	CHECK(h.item.date_ms >= before - 2000 && h.item.date_ms <= after + 2000);
}

CONTRACT(append_may_be_a_draft)
{
	uint64_t a = put_flags(w, w->s, w->folder, plain_mail(w, "a", "a", "a"), MAIL_DRAFT | MAIL_SEEN, 0);
	struct be_head h;

	CHECK(head_of(w, w->other, w->folder, a, &h));
	CHECK_INT(h.flags, MAIL_DRAFT | MAIL_SEEN);
}

CONTRACT(find_message_id_finds_the_newest)
{
	struct slice id = unique(w, "mid");
	uint64_t a = put(w, w->s, w->folder, plain_mail(w, "a", arena_str(w->a, id), "a")), b, num;
	struct slice bare = arena_printf(w->a, "%.*s@example.org", SARG(id)), full = arena_printf(w->a, "<%.*s>", SARG(bare));
	struct err e = { 0 };

	put(w, w->s, w->folder, plain_mail(w, "x", "x", arena_printf(w->a, "Message-ID: %.*s", SARG(full)).ptr));
	CHECK_INT(w->s->ops->find_message_id(w->s, w->folder, full, &num, &e), BE_OK);
	CHECK_INT(num, a);
	b = put(w, w->other, w->folder, plain_mail(w, "b", arena_str(w->a, id), "b"));
	CHECK_INT(w->s->ops->find_message_id(w->s, w->folder, bare, &num, &e), BE_OK);
	CHECK_INT(num, b);
	remove_one(w, w->other, w->folder, b);
	CHECK_INT(w->s->ops->find_message_id(w->s, w->folder, full, &num, &e), BE_OK);
	CHECK_INT(num, a);
	CHECK_INT(w->s->ops->find_message_id(w->s, w->folder, S("<none@nowhere>"), &num, &e), BE_OK);
	CHECK_INT(num, 0);
	CHECK_INT(w->s->ops->find_message_id(w->s, w->folder, S_NONE, &num, &e), BE_OK);
	CHECK_INT(num, 0);
}

/* -- sending -- */

/* The Inbox's mail of that id, waiting for servers that deliver in their own time. */
static uint64_t arrived(struct world *w, struct session *s, struct slice id)
{
	int64_t until = clock_now(&clock_system) + 10000;
	struct err e = { 0 };
	uint64_t num = 0;

	while (num == 0 && clock_now(&clock_system) < until)
		CHECK_INT(s->ops->find_message_id(s, S("INBOX"), id, &num, &e), BE_OK);
	return num;
}

CONTRACT(submit_delivers_to_everyone)
{
	struct slice id = unique(w, "sent"), mail = plain_mail(w, "hello", arena_str(w->a, id), "body"), full;
	struct be_submit m = { .from = w->address[0], .rcpt = w->address, .n_rcpt = 2, .mail = blob_new(0) };
	struct session *s = NULL, *bob;
	struct err e = { 0 };

	if (!w->send)
		contract_skip(w, "takes no mail");
	blob_append(m.mail, mail.ptr, mail.len, NULL);
	CHECK_INT(w->send->ops->login(w->send, &w->cred[0], INT64_MAX, &s, &e), BE_OK);
	if (w->send->ops->submit(s, &m, &e) != BE_OK)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	s->ops->logout(&s);
	blob_free(&m.mail);
	bob = log_in(w, w->b, 1);
	id = arena_printf(w->a, "%.*s@example.org", SARG(id));
	full = read_part(w, bob, S("INBOX"), arrived(w, bob, id), "");
	/* Servers may put their own lines in front. */
	CHECK(memmem(full.ptr, full.len, mail.ptr, mail.len));
	CHECK(arrived(w, w->s, id) > 0);
	bob->ops->logout(&bob);
}

CONTRACT(submit_with_one_bad_recipient_reaches_nobody)
{
	struct slice id = unique(w, "refused"), mail = plain_mail(w, "hello", arena_str(w->a, id), "body");
	struct slice rcpt[] = { w->address[1], w->nobody };
	struct be_submit m = { .from = w->address[0], .rcpt = rcpt, .n_rcpt = 2, .mail = blob_new(0) };
	struct session *s = NULL, *bob;
	struct err e = { 0 };
	uint64_t num;

	if (!w->send || w->nobody.len == 0)
		contract_skip(w, "refuses nobody");
	blob_append(m.mail, mail.ptr, mail.len, NULL);
	CHECK_INT(w->send->ops->login(w->send, &w->cred[0], INT64_MAX, &s, &e), BE_OK);
	CHECK_INT(w->send->ops->submit(s, &m, &e), BE_PERM);
	CHECK_INT(e.code, ERR_FORBIDDEN);
	CHECK_SLICE(m.refused, w->nobody);
	CHECK(strstr(e.text, arena_str(w->a, w->nobody)));
	s->ops->logout(&s);
	blob_free(&m.mail);
	bob = log_in(w, w->b, 1);
	CHECK_INT(bob->ops->find_message_id(bob, S("INBOX"), arena_printf(w->a, "%.*s@example.org", SARG(id)), &num, &e), BE_OK);
	CHECK_INT(num, 0);
	bob->ops->logout(&bob);
}
