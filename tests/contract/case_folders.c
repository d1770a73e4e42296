/* case_folders.c - logins and the tree of folders. */
#include "contract/contract.h"

CONTRACT(login_says_no_to_a_wrong_password_and_to_nobody_alike)
{
	struct be_cred wrong = w->cred[0], nobody = w->cred[0];
	struct err e1 = { 0 }, e2 = { 0 };
	struct session *s = NULL;

	wrong.password = S("not this one");
	nobody.user = nobody.login = S("nosuchuser");
	CHECK_INT(w->b->ops->login(w->b, &wrong, INT64_MAX, &s, &e1), BE_PERM);
	CHECK_INT(e1.code, ERR_AUTH);
	CHECK(s == NULL);
	CHECK_INT(w->b->ops->login(w->b, &nobody, INT64_MAX, &s, &e2), BE_PERM);
	CHECK_INT(e2.code, ERR_AUTH);
	CHECK(s == NULL);
	CHECK(!strstr(e1.text, "not this one"));
	CHECK_STR(slice_str(e1.text), e2.text);
}

CONTRACT(an_empty_password_is_wrong)
{
	struct be_cred empty = w->cred[0];
	struct session *s = NULL;
	struct err e = { 0 };

	empty.password = S_NONE;
	CHECK_INT(w->b->ops->login(w->b, &empty, INT64_MAX, &s, &e), BE_PERM);
	CHECK_INT(e.code, ERR_AUTH);
}

CONTRACT(account_tells_the_address_where_it_is_known)
{
	struct be_account acc = { 0 };
	struct err e;

	if (!w->b->ops->account)
		contract_skip(w, "keeps no accounts");
	CHECK_INT(w->s->ops->account(w->s, w->a, &acc, &e), BE_OK);
	CHECK_SLICE(acc.address, w->address[0]);
	CHECK_STR(acc.name, "Some One");
}

static size_t all_folders(struct world *w, struct session *s, struct be_folder **f_r)
{
	struct err e = { 0 };
	size_t n = 0;

	if (s->ops->folders(s, w->a, f_r, &n, &e) != BE_OK)
		test_fail(__FILE__, __LINE__, "folders: %s", e.text);
	return n;
}

static const struct be_folder *find(const struct be_folder *f, size_t n, struct slice path)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(f[i].path, path))
			return &f[i];
	return NULL;
}

CONTRACT(folders_are_a_tree_with_an_inbox)
{
	struct be_folder *f;
	size_t n = all_folders(w, w->s, &f), types[20] = { 0 };
	const struct be_folder *inbox = find(f, n, S("INBOX"));

	CHECK(inbox && inbox->type == FOLDER_INBOX && inbox->selectable && inbox->parent.len == 0);
	for (size_t i = 0; i < n; i++) {
		CHECK(f[i].path.len > 0 && f[i].path.len <= 1024 && f[i].name.len > 0);
		CHECK(find(f, n, f[i].path) == &f[i]); /* no path twice */
		CHECK((size_t)f[i].type < 20);
		types[f[i].type]++;
		if (f[i].parent.len) {
			const struct be_folder *up = find(f, n, f[i].parent);

			CHECK(up && up < &f[i]);
		}
	}
	CHECK_INT(types[FOLDER_INBOX], 1);
	CHECK_INT(types[FOLDER_SENT], 1);
	CHECK_INT(types[FOLDER_TRASH], 1);
	CHECK_INT(types[FOLDER_DRAFTS], 1);
}

CONTRACT(folder_identity_is_that_of_changes)
{
	struct be_folder *f;
	size_t n = all_folders(w, w->s, &f);
	struct seen l;

	for (size_t i = 0; i < n; i++) {
		if (!f[i].selectable || f[i].identity == 0)
			continue;
		look(w, w->s, f[i].path, S_NONE, 0, &l);
		CHECK_INT(l.c.identity, f[i].identity);
	}
}

CONTRACT(folder_create_tells_a_repeat_where_it_is)
{
	struct slice name = unique(w, "twice"), one, two = S_NONE, child;
	struct be_folder *f;
	struct err e = { 0 };
	const struct be_folder *made;
	size_t n;

	CHECK_INT(w->s->ops->folder_create(w->s, w->folder, name, FOLDER_USER_MAIL, w->a, &one, &e), BE_OK);
	CHECK_INT(w->s->ops->folder_create(w->s, w->folder, name, FOLDER_USER_MAIL, w->a, &two, &e), BE_PERM);
	CHECK_INT(e.code, ERR_EXISTS);
	CHECK_SLICE(two, one);
	n = all_folders(w, w->other, &f);
	made = find(f, n, one);
	CHECK(made && made->selectable && made->type == FOLDER_USER_MAIL);
	CHECK_SLICE(made->parent, w->folder);
	CHECK_SLICE(made->name, name);
	CHECK_INT(w->s->ops->folder_create(w->s, S("no/such-folder"), name, FOLDER_USER_MAIL, w->a, &child, &e), BE_PERM);
	CHECK_INT(e.code, ERR_NOT_FOUND);
}

CONTRACT(folder_names_are_utf8_and_never_refused_for_a_character)
{
	static const char *const names[] = { "Entw\xc3\xbcrfe & Caf\xc3\xa9", "\xe5\x8f\xb0\xe5\x8c\x97 \xf0\x9f\x93\xa7",
					     "v1.0/final", "a*b%c\"d\\e", "  blanks  inside  ", "&-~" };
	struct be_folder *f;
	struct err e = { 0 };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct slice path = S_NONE;
		const struct be_folder *made;
		enum be_result r = w->s->ops->folder_create(w->s, w->folder, slice_str(names[i]), FOLDER_USER_MAIL, w->a, &path, &e);

		if (r != BE_OK)
			test_fail(__FILE__, __LINE__, "\"%s\": %s", names[i], e.text);
		made = find(f, all_folders(w, w->other, &f), path);
		CHECK(made != NULL);
		CHECK_SLICE(made->parent, w->folder);
		if (i < 2)
			CHECK_STR(made->name, names[i]);
		CHECK(read_part(w, w->s, path, put(w, w->s, path, plain_mail(w, "x", "n@x", "y")), "1").len == 3);
	}
}

CONTRACT(folder_without_a_usable_name_is_refused)
{
	struct slice path;
	struct err e = { 0 };

	CHECK_INT(w->s->ops->folder_create(w->s, S_NONE, S(" \r\n"), FOLDER_USER_MAIL, w->a, &path, &e), BE_PERM);
	CHECK_INT(w->s->ops->folder_create(w->s, S_NONE, S("inbox"), FOLDER_USER_MAIL, w->a, &path, &e), BE_PERM);
	CHECK_INT(e.code, ERR_EXISTS);
}

CONTRACT(folder_rename_keeps_mails_numbers_and_tokens)
{
	struct slice child = make_folder(w, w->folder, "child"), path = S_NONE, again = S_NONE, name = unique(w, "renamed");
	uint64_t a = put(w, w->s, w->folder, plain_mail(w, "a", "a", "a")), b = put(w, w->s, child, plain_mail(w, "b", "b", "b"));
	struct model m = { .n = 0 }, mc = { .n = 0 };
	struct be_folder *f;
	const struct be_folder *moved = NULL;
	struct err e = { 0 };
	struct seen l;
	size_t n;

	model_sync(w, w->s, w->folder, &m, &l);
	model_sync(w, w->s, child, &mc, &l);
	CHECK_INT(w->s->ops->folder_rename(w->s, w->folder, S_NONE, name, w->a, &path, &e), BE_OK);
	n = all_folders(w, w->other, &f);
	CHECK(!find(f, n, w->folder));
	CHECK(find(f, n, path));
	for (size_t i = 0; i < n; i++)
		if (slice_eq(f[i].parent, path))
			moved = &f[i];
	CHECK(moved != NULL);
	model_sync(w, w->s, path, &m, &l);
	if (w->keeps_tokens)
		CHECK_INT(l.n, 0);
	CHECK_INT(m.v[0].num, a);
	model_sync(w, w->s, moved->path, &mc, &l);
	if (w->keeps_tokens)
		CHECK_INT(l.n, 0);
	CHECK_INT(mc.v[0].num, b);
	/* A repeat: gone there. */
	CHECK_INT(w->s->ops->folder_rename(w->s, w->folder, S_NONE, name, w->a, &again, &e), BE_PERM);
	CHECK_INT(e.code, ERR_NOT_FOUND);
	w->folder = path;
}

CONTRACT(folder_rename_refuses_what_makes_no_sense)
{
	struct slice child = make_folder(w, w->folder, "child"), sibling = make_folder(w, w->folder, "sibling"), path = S_NONE;
	struct be_folder *f;
	struct slice taken;
	struct err e = { 0 };
	size_t n = all_folders(w, w->s, &f);

	taken = find(f, n, sibling)->name;
	CHECK_INT(w->s->ops->folder_rename(w->s, child, w->folder, taken, w->a, &path, &e), BE_PERM);
	CHECK_INT(e.code, ERR_EXISTS);
	CHECK_SLICE(path, sibling);
	CHECK_INT(w->s->ops->folder_rename(w->s, w->folder, child, S("x"), w->a, &path, &e), BE_PERM);
	CHECK_INT(w->s->ops->folder_rename(w->s, child, S("no/such-folder"), S("x"), w->a, &path, &e), BE_PERM);
	CHECK_INT(e.code, ERR_NOT_FOUND);
	for (size_t i = 0; i < n; i++) {
		if (f[i].type == FOLDER_USER_MAIL || f[i].type == FOLDER_USER_GENERIC)
			continue;
		CHECK_INT(w->s->ops->folder_rename(w->s, f[i].path, S_NONE, S("x"), w->a, &path, &e), BE_PERM);
		CHECK_INT(e.code, ERR_SPECIAL);
		CHECK_INT(w->s->ops->folder_delete(w->s, f[i].path, &e), BE_PERM);
		CHECK_INT(e.code, ERR_SPECIAL);
	}
	CHECK_INT(all_folders(w, w->s, &f), n);
}

CONTRACT(folder_can_move_below_another_and_to_the_top)
{
	struct slice there = make_folder(w, w->folder, "there"), mover = make_folder(w, w->folder, "mover");
	struct slice path = S_NONE, name = unique(w, "top");
	struct be_folder *f;
	struct err e = { 0 };

	put(w, w->s, mover, plain_mail(w, "a", "a", "a"));
	CHECK_INT(w->s->ops->folder_rename(w->s, mover, there, S("in there"), w->a, &path, &e), BE_OK);
	CHECK_SLICE(find(f, all_folders(w, w->s, &f), path)->parent, there);
	mover = path;
	CHECK_INT(w->s->ops->folder_rename(w->s, mover, S_NONE, name, w->a, &path, &e), BE_OK);
	CHECK_INT(find(f, all_folders(w, w->s, &f), path)->parent.len, 0);
	CHECK_INT(w->s->ops->folder_delete(w->s, path, &e), BE_OK);
}

CONTRACT(folder_delete_takes_all_that_is_in_it)
{
	struct slice child = make_folder(w, w->folder, "child"), grand = make_folder(w, child, "grand");
	struct be_folder *f;
	struct err e = { 0 };
	size_t n;

	put(w, w->s, w->folder, plain_mail(w, "a", "a", "a"));
	put(w, w->s, grand, plain_mail(w, "b", "b", "b"));
	CHECK_INT(w->s->ops->folder_delete(w->s, w->folder, &e), BE_OK);
	n = all_folders(w, w->other, &f);
	CHECK(!find(f, n, w->folder) && !find(f, n, child) && !find(f, n, grand));
	CHECK_INT(w->s->ops->folder_delete(w->s, w->folder, &e), BE_PERM);
	CHECK_INT(e.code, ERR_NOT_FOUND);
}

static int no_item(void *arg, const struct be_item *it)
{
	return 0;
}

static int no_gone(void *arg, uint64_t first, uint64_t last)
{
	return 0;
}

#define GONE(call)                                \
	do {                                      \
		struct err e = { 0 };             \
		CHECK_INT((call), BE_PERM);       \
		CHECK_INT(e.code, ERR_NOT_FOUND); \
	} while (0)

CONTRACT(a_deleted_folder_is_not_found_by_anything)
{
	struct slice doomed = make_folder(w, S_NONE, "doomed");
	uint64_t num = put(w, w->other, doomed, plain_mail(w, "a", "a", "a")), new;
	uint64_t kept = put(w, w->s, w->folder, plain_mail(w, "k", "k", "k"));
	struct be_part p = { .num = num, .out = blob_new(0) };
	struct be_changes_sink sink = { no_item, no_gone, NULL };
	struct be_changes_ask ask = { .folder = doomed };
	struct be_flag_change c = { .mask = MAIL_SEEN };
	struct blob *mail = blob_new(0);
	struct be_changes ch;
	struct be_head h;
	uint32_t rev;
	struct seen l;
	struct err e0;
	size_t n;

	look(w, w->s, doomed, S_NONE, 0, &l); /* known to this session */
	blob_append(mail, "A: b\r\n\r\n", 8, NULL);
	CHECK_INT(w->other->ops->folder_delete(w->other, doomed, &e0), BE_OK);
	GONE(w->s->ops->changes(w->s, &ask, &sink, w->a, &ch, &e));
	ask.token = l.c.token;
	GONE(w->s->ops->changes(w->s, &ask, &sink, w->a, &ch, &e));
	GONE(w->s->ops->lookup(w->s, doomed, &num, 1, &sink, &e));
	GONE(w->s->ops->heads(w->s, doomed, &num, 1, w->a, &h, &n, &e));
	GONE(w->s->ops->parts(w->s, doomed, &p, 1, &e));
	GONE(w->s->ops->set_flags(w->s, doomed, num, &c, &rev, &e));
	GONE(w->s->ops->move(w->s, doomed, &num, 1, w->folder, &new, &e));
	GONE(w->s->ops->move(w->s, w->folder, &kept, 1, doomed, &new, &e));
	GONE(w->s->ops->remove(w->s, doomed, &num, 1, &e));
	GONE(w->s->ops->append(w->s, doomed, mail, 0, 0, &new, &e));
	GONE(w->s->ops->find_message_id(w->s, doomed, S("a@example.org"), &new, &e));
	CHECK(read_part(w, w->s, w->folder, kept, "").len > 0);
	blob_free(&p.out);
	blob_free(&mail);
}

CONTRACT(a_folder_made_anew_is_another_one)
{
	struct slice name = unique(w, "phoenix"), path, again;
	struct err e = { 0 };
	struct seen l, l2;

	CHECK_INT(w->s->ops->folder_create(w->s, w->folder, name, FOLDER_USER_MAIL, w->a, &path, &e), BE_OK);
	put(w, w->s, path, plain_mail(w, "a", "a", "a"));
	look(w, w->s, path, S_NONE, 0, &l);
	CHECK_INT(w->s->ops->folder_delete(w->s, path, &e), BE_OK);
	CHECK_INT(w->s->ops->folder_create(w->s, w->folder, name, FOLDER_USER_MAIL, w->a, &again, &e), BE_OK);
	CHECK_SLICE(again, path);
	put(w, w->s, path, plain_mail(w, "b", "b", "b"));
	look(w, w->s, path, l.c.token, 0, &l2);
	CHECK(l2.c.full);
	CHECK(l2.c.identity != l.c.identity);
	CHECK_INT(l2.n, 1);
}
