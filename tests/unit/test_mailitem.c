/* test_mailitem.c - mails as items: what is kept of flags and verbs, bodies cut,
 * mails that vanish between the two round trips, stand-ins, file references. */
#include "rig/syncrig.c"

#include "work/mailitem.h"

static struct session *s;
static struct extras extras;

static void begin(void)
{
	struct be_cred c = { .user = S("alice"), .login = S("alice"), .password = S("pw") };
	struct err e;

	up(NULL);
	CHECK_INT(fb->ops->login(fb, &c, r.now_ms + 60000, &s, &e), BE_OK);
	extras_init(&extras, test_arena());
}

static void end(void)
{
	fb->ops->logout(&s);
	down();
}

static struct mail_ask ask_all(struct body_pref *pref)
{
	return (struct mail_ask){ .session = s, .folder = S("INBOX"), .folder_id = S("F"), .extras = &extras,
				  .body = { .pref = pref, .n_pref = pref ? 1 : 0, .mime_truncation = BODY_UNLIMITED },
				  .version = EAS_141, .a = test_arena() };
}

static struct item *load_one(const struct mail_ask *k, uint64_t num, struct mailitems *m)
{
	struct err e;

	CHECK_INT(mailitems_load(k, &num, 1, m, &e), BE_OK);
	CHECK_INT(m->n, 1);
	return m->v[0].item;
}

static uint64_t put(const char *mail)
{
	return mem_deliver(r.mail, S("alice"), S(""), slice_str(mail));
}

CASE(mailitem_loads_in_two_round_trips)
{
	struct body_pref text = { .type = BODY_TEXT, .truncation = 4 };
	struct mail_ask k;
	struct mailitems m;
	uint64_t nums[3];
	struct err e;

	begin();
	for (int i = 0; i < 3; i++)
		nums[i] = deliver("a");
	mem_webmail_delete(r.mail, S("alice"), S(""), nums[1]);
	k = ask_all(&text);
	script("");
	CHECK_INT(mailitems_load(&k, nums, 3, &m, &e), BE_OK);
	CHECK(fail_calls(fb, "heads") == 1 && fail_calls(fb, "parts") == 1);
	CHECK_INT(m.n, 3);
	CHECK(!m.v[0].missing && m.v[1].missing && !m.v[1].item && !m.v[2].missing);
	CHECK_STR(m.v[0].item->body->data.mem, "Text");
	CHECK(m.v[0].item->body->truncated.v == 1 && m.v[0].item->body->estimated_size.v == 12);
	mailitems_deinit(&m);
	/* Past its budget it gives what it has, one at least. */
	k.budget_bytes = 1;
	CHECK_INT(mailitems_load(&k, nums, 3, &m, &e), BE_OK);
	CHECK_INT(m.n, 2); /* the missing one costs nothing */
	mailitems_deinit(&m);
	k.no_body = true;
	k.budget_bytes = 0;
	CHECK(!load_one(&k, nums[0], &m)->body);
	mailitems_deinit(&m);
	end();
}

CASE(mailitem_failures)
{
	struct body_pref text = { .type = BODY_TEXT, .truncation = BODY_UNLIMITED };
	struct mail_ask k;
	struct mailitems m;
	uint64_t num;
	struct err e;

	begin();
	num = deliver("a");
	k = ask_all(&text);
	script("heads temp");
	CHECK_INT(mailitems_load(&k, &num, 1, &m, &e), BE_TEMP);
	mailitems_deinit(&m);
	script("parts temp");
	CHECK_INT(mailitems_load(&k, &num, 1, &m, &e), BE_TEMP);
	mailitems_deinit(&m);
	k.folder = S("nowhere");
	script("");
	CHECK_INT(mailitems_load(&k, &num, 1, &m, &e), BE_PERM);
	CHECK_INT(e.code, ERR_NOT_FOUND);
	mailitems_deinit(&m);
	end();
}

/* Deleted between heads and parts. */
static struct backend_ops vanishing;
static const struct backend_ops *real_ops;

static enum be_result parts_gone(struct session *se, struct slice folder, struct be_part *parts, size_t n, struct err *e)
{
	mem_webmail_delete(r.mail, S("alice"), S(""), parts[0].num);
	return real_ops->parts(se, folder, parts, n, e);
}

CASE(mailitem_gone_between_the_round_trips)
{
	struct body_pref text = { .type = BODY_TEXT, .truncation = BODY_UNLIMITED };
	struct mail_ask k;
	struct mailitems m;
	uint64_t nums[2];
	struct err e;

	begin();
	nums[0] = deliver("a");
	nums[1] = deliver("b");
	k = ask_all(&text);
	real_ops = s->ops;
	vanishing = *s->ops;
	vanishing.parts = parts_gone;
	s->ops = &vanishing;
	CHECK_INT(mailitems_load(&k, nums, 2, &m, &e), BE_OK);
	s->ops = real_ops;
	CHECK(m.v[0].missing && !m.v[0].item && !m.v[1].missing);
	CHECK_STR(m.v[1].item->email->subject, "b");
	mailitems_deinit(&m);
	end();
}

static bool is_poison(void *arg, uint64_t num)
{
	return num == *(uint64_t *)arg;
}

CASE(mailitem_stand_in_for_a_mail_that_killed_the_process)
{
	struct body_pref text = { .type = BODY_TEXT, .truncation = BODY_UNLIMITED };
	struct mail_ask k;
	struct mailitems m;
	struct item *it;
	uint64_t nums[2], poison;
	struct err e;

	begin();
	nums[0] = deliver("a");
	nums[1] = deliver("b");
	poison = nums[0];
	mem_webmail_flag(r.mail, S("alice"), S(""), nums[0], MAIL_SEEN | MAIL_FLAGGED, MAIL_SEEN | MAIL_FLAGGED);
	k = ask_all(&text);
	k.poisoned = is_poison;
	k.poisoned_arg = &poison;
	CHECK_INT(mailitems_load(&k, nums, 2, &m, &e), BE_OK);
	it = m.v[0].item;
	CHECK(!slice_eq(it->email->subject, S("a")) && it->body->data.mem.len);
	CHECK(it->email->read.v == 1 && it->email->flag->status.v == 2 && !it->email->from.len);
	CHECK_STR(m.v[1].item->email->subject, "b");
	mailitems_deinit(&m);
	end();
}

CASE(mailitem_flags_and_verbs)
{
	struct email_flag kept = { .status = NUM(2), .subject = S("mine"), .type = S("Call") };
	struct email_flag complete = { .status = NUM(1), .date_completed = DATE_MS(5), .type = S("Call") };
	struct extra x = { .num = 1, .flag = &kept }, c = { .num = 1, .flag = &complete };
	struct mail_ask k;
	struct mailitems m;
	struct email *mail;
	struct email_flag *f;
	uint64_t num;

	CHECK(!mailitem_flag(test_arena(), 0, NULL)->status.has);
	f = mailitem_flag(test_arena(), MAIL_FLAGGED, NULL);
	CHECK(f->status.v == 2 && slice_eq(f->type, S("for Follow Up")));
	CHECK_STR(mailitem_flag(test_arena(), MAIL_FLAGGED, &x)->subject, "mine");
	CHECK_STR(mailitem_flag(test_arena(), MAIL_FLAGGED, &x)->type, "Call");
	CHECK(!mailitem_flag(test_arena(), 0, &x)->subject.len); /* cleared by webmail: the server decides */
	CHECK(mailitem_flag(test_arena(), 0, &c)->status.v == 1);
	f = mailitem_flag(test_arena(), MAIL_FLAGGED, &c); /* flagged anew elsewhere */
	CHECK(f->status.v == 2 && !f->date_completed.has);

	begin();
	num = deliver("a");
	mem_webmail_flag(r.mail, S("alice"), S(""), num, MAIL_ANSWERED, MAIL_ANSWERED);
	k = ask_all(NULL);
	mail = load_one(&k, num, &m)->email;
	CHECK(mail->last_verb.v == 1 && !mail->last_verb_time.has);
	mailitems_deinit(&m);
	mem_webmail_flag(r.mail, S("alice"), S(""), num, MAIL_ANSWERED | MAIL_FORWARDED, MAIL_FORWARDED);
	mail = load_one(&k, num, &m)->email;
	CHECK_INT(mail->last_verb.v, 3);
	mailitems_deinit(&m);
	extras_get(&extras, num)->last_verb = 2;
	extras_get(&extras, num)->verb_ms = 77;
	mail = load_one(&k, num, &m)->email;
	CHECK(mail->last_verb.v == 2 && mail->last_verb_time.ms == 77);
	mailitems_deinit(&m);
	end();
}

CASE(mailitem_change_tells_what_differs_alone)
{
	struct slice words[] = { S("Blue"), S("$hidden"), S("\\Seen") };
	uint32_t plain = item_rev(0, NULL), seen = item_rev(MAIL_SEEN, NULL), flagged = item_rev(MAIL_FLAGGED, NULL);
	uint32_t words_rev = item_rev(mail_rev(0, words, 1), NULL);
	struct email *m = mailitem_change(test_arena(), plain, seen, NULL, NULL, 0)->email;

	CHECK(m->read.v == 1 && !m->flag && !m->has_categories.has && !m->last_verb.has);
	m = mailitem_change(test_arena(), flagged, plain, NULL, NULL, 0)->email;
	CHECK(!m->read.has && m->flag && !m->flag->status.has);
	m = mailitem_change(test_arena(), plain, words_rev, NULL, words, 3)->email;
	CHECK(!m->read.has && !m->flag && m->categories.n == 1);
	m = mailitem_change(test_arena(), plain, item_rev(MAIL_ANSWERED, NULL), NULL, NULL, 0)->email;
	CHECK(m->last_verb.v == 1 && !m->read.has && !m->flag);
	m = mailitem_change(test_arena(), ITEM_REV_UNCERTAIN, seen, NULL, NULL, 0)->email;
	CHECK(m->read.v == 1 && m->flag && m->has_categories.has);
}

CASE(mailitem_attachments_and_invitations)
{
	struct body_pref html = { .type = BODY_HTML, .truncation = BODY_UNLIMITED };
	struct mail_ask k;
	struct mailitems m;
	struct item *it;
	uint64_t num;

	begin();
	num = put("Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
		  "--b\r\nContent-Type: text/html\r\n\r\n<img src=\"cid:i@x\">\r\n"
		  "--b\r\nContent-Type: image/png\r\nContent-ID: <i@x>\r\nContent-Disposition: inline; filename=i.png\r\n\r\nPNG\r\n"
		  "--b--\r\n");
	k = ask_all(&html);
	it = load_one(&k, num, &m);
	CHECK_INT(it->attachments.n, 1);
	CHECK_STR(it->attachments.v[0].display_name, "i.png");
	CHECK(it->attachments.v[0].is_inline.v == 1 && it->attachments.v[0].content_id.len);
	CHECK_INT(it->native_body_type.v, 2);
	mailitems_deinit(&m);
	num = put("Subject: meet\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
		  "--b\r\nContent-Type: text/plain\r\n\r\nmeet\r\n"
		  "--b\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n--b--\r\n");
	it = load_one(&k, num, &m);
	CHECK_STR(it->email->message_class, "IPM.Note");
	mailitems_deinit(&m);
	end();
}

CASE(file_references)
{
	static const char *const bad[] = { "", ".", "..", "F", "F.1", "F.1.", "F.x.1", ".1.1", "F.1.1/..", "F.1.a", "F.-1.1",
					   "F.99999999999999999999.1" };
	struct slice folder, part, ref = file_reference_make(test_arena(), S("Fold-er_1"), UINT64_MAX, S("1.2.TEXT"));
	uint64_t num;

	CHECK(file_reference_parse(ref, &folder, &num, &part));
	CHECK_STR(folder, "Fold-er_1");
	CHECK_STR(part, "1.2.TEXT");
	CHECK(num == UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (file_reference_parse(test_guarded(slice_str(bad[i])), &folder, &num, &part))
			test_fail(__FILE__, __LINE__, "\"%s\" was taken", bad[i]);
	CHECK(!file_reference_parse(arena_printf(test_arena(), "F.1.%0500d", 1), &folder, &num, &part));
	CHECK(!file_reference_parse(slice("F.1.\0", 5), &folder, &num, &part));
}
