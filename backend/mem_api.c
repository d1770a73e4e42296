/* mem_api.c - how a test reaches into the memory backend from behind: users,
 * deliveries, what another client does, dumps. Any thread. */
#include "backend/mem_box.h"
#include <stdlib.h>

#include "base/digest.h"

void mem_add_user(struct backend *b, struct slice user, struct slice password, struct slice address, struct slice name)
{
	static const struct {
		const char *path;
		enum folder_type type;
	} first[] = {
		{ "INBOX", FOLDER_INBOX },
		{ "Drafts", FOLDER_DRAFTS },
		{ "Sent", FOLDER_SENT },
		{ "Trash", FOLDER_TRASH },
		{ "Junk", FOLDER_USER_MAIL },
	};
	struct mem *m = mem_enter(b);
	struct mem_user *u = mem_alloc(sizeof(*u));

	u->user = mem_slice(user);
	u->password = mem_slice(password);
	u->address = mem_slice(address.len ? address : user);
	u->name = mem_slice(name);
	list_init(&u->folders);
	list_init(&u->watches);
	list_add_tail(&m->users, &u->link);
	for (size_t i = 0; i < sizeof(first) / sizeof(*first); i++)
		mem_folder_add(m, u, slice_str(first[i].path), first[i].type);
	mem_leave(m);
}

void mem_set_password(struct backend *b, struct slice user, struct slice password)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u = mem_user(m, user);
	struct slice old = S_NONE;

	if (u) {
		old = u->password;
		u->password = mem_slice(password);
	}
	mem_leave(m);
	free((char *)old.ptr);
}

void mem_set_hook(struct backend *b, be_event_fn *fn, void *arg)
{
	struct mem *m = mem_enter(b);

	m->hook = fn;
	m->hook_arg = arg;
	mem_leave(m);
}

/* User and folder, both or nothing. */
static struct mem_folder *find(struct mem *m, struct slice user, struct slice folder, struct mem_user **u_r)
{
	*u_r = mem_user(m, user);
	return *u_r ? mem_folder(*u_r, folder) : NULL;
}

uint64_t mem_deliver(struct backend *b, struct slice user, struct slice folder, struct slice mail)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u;
	struct mem_folder *f = find(m, user, folder, &u);
	uint64_t num = f ? mem_item_add(m, u, f, mail, 0, 0) : 0;

	mem_leave(m);
	return num;
}

static bool change(struct backend *b, struct slice user, struct slice folder, uint64_t num, const struct be_flag_change *c)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u;
	struct mem_folder *f = find(m, user, folder, &u);
	struct mem_item *it = f ? mem_item(f, num) : NULL;

	if (it)
		mem_item_flags(m, u, f, it, c);
	mem_leave(m);
	return it != NULL;
}

bool mem_webmail_flag(struct backend *b, struct slice user, struct slice folder, uint64_t num, unsigned mask, unsigned value)
{
	return change(b, user, folder, num, &(struct be_flag_change){ .mask = mask, .value = value });
}

bool mem_webmail_keywords(struct backend *b, struct slice user, struct slice folder, uint64_t num,
			  const struct slice *keywords, size_t n)
{
	return change(b, user, folder, num,
		      &(struct be_flag_change){ .set_keywords = true, .keywords = keywords, .n_keywords = n });
}

uint64_t mem_webmail_move(struct backend *b, struct slice user, struct slice folder, uint64_t num, struct slice dst)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u;
	struct mem_folder *f = find(m, user, folder, &u), *to = u ? mem_folder(u, dst) : NULL;
	uint64_t new = f && to ? mem_item_move(m, u, f, num, to) : 0;

	mem_leave(m);
	return new;
}

bool mem_webmail_delete(struct backend *b, struct slice user, struct slice folder, uint64_t num)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u;
	struct mem_folder *f = find(m, user, folder, &u);
	bool done = f && mem_item_drop(m, u, f, num);

	mem_leave(m);
	return done;
}

bool mem_webmail_folder_create(struct backend *b, struct slice user, struct slice path)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u = mem_user(m, user);
	bool can = u && path.len && !mem_folder(u, path);

	if (can)
		mem_folder_add(m, u, path, FOLDER_USER_MAIL);
	mem_leave(m);
	return can;
}

bool mem_webmail_folder_rename(struct backend *b, struct slice user, struct slice path, struct slice new_path)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u = mem_user(m, user);
	bool can = u && path.len && new_path.len && mem_folder(u, path) && !mem_folder(u, new_path);

	if (can)
		mem_folder_move(m, u, path, new_path);
	mem_leave(m);
	return can;
}

bool mem_webmail_folder_delete(struct backend *b, struct slice user, struct slice path)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u = mem_user(m, user);
	bool can = u && path.len && !slice_eq(path, S("INBOX")) && mem_folder(u, path);

	if (can)
		mem_folder_drop(m, u, path);
	mem_leave(m);
	return can;
}

void mem_forget(struct backend *b, struct slice user)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u = mem_user(m, user);

	if (u)
		list_for(l, &u->folders) {
			struct mem_folder *f = list_entry(l, struct mem_folder, link);

			f->journal_from = ++f->modseq;
			f->n_gone = 0;
		}
	mem_leave(m);
}

bool mem_renew(struct backend *b, struct slice user, struct slice folder)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u;
	struct mem_folder *f = find(m, user, folder, &u);

	if (f) {
		f->identity = ++m->next_identity;
		f->next = 1;
		for (size_t i = 0; i < f->n; i++)
			f->v[i].num = f->next++;
		f->n_gone = 0;
		mem_changed(m, u, f);
	}
	mem_leave(m);
	return f != NULL;
}

size_t mem_sent_count(struct backend *b)
{
	struct mem *m = mem_enter(b);
	size_t n = m->n_sent;

	mem_leave(m);
	return n;
}

bool mem_sent(struct backend *b, size_t i, struct arena *a, struct mem_sent *s_r)
{
	struct mem *m = mem_enter(b);
	bool there = i < m->n_sent;

	if (there) {
		const struct mem_sent *s = &m->sent[i];
		struct slice *rcpt = arena_alloc(a, s->n_rcpt * sizeof(*rcpt));

		for (size_t k = 0; k < s->n_rcpt; k++)
			rcpt[k] = arena_slice(a, s->rcpt[k]);
		*s_r = (struct mem_sent){ arena_slice(a, s->from), arena_slice(a, s->mail), rcpt, s->n_rcpt };
	}
	mem_leave(m);
	return there;
}

struct slice mem_dump(struct backend *b, struct slice user, struct arena *a)
{
	struct blob *out = blob_new(SIZE_MAX);
	struct mem *m = mem_enter(b);
	struct mem_user *u = mem_user(m, user);
	struct slice all = S_NONE;

	if (u)
		list_for(l, &u->folders) {
			struct mem_folder *f = list_entry(l, struct mem_folder, link);

			blob_printf(out, NULL, "%.*s %d %llu\n", SARG(f->path), (int)f->type, (unsigned long long)f->identity);
			for (size_t i = 0; i < f->n; i++) {
				struct mem_item *it = &f->v[i];
				struct sha256 d = digest_sha256(it->raw);

				if (it->flags & MAIL_DELETED)
					continue;
				blob_printf(out, NULL, " %llu %02x", (unsigned long long)it->num, it->flags);
				for (size_t k = 0; k < it->n_keywords; k++)
					blob_printf(out, NULL, " [%.*s]", SARG(it->keywords[k]));
				blob_printf(out, NULL, " %lld %02x%02x%02x%02x%02x%02x\n", (long long)it->date_ms, d.b[0],
					    d.b[1], d.b[2], d.b[3], d.b[4], d.b[5]);
			}
		}
	mem_leave(m);
	if (blob_map(out, &all, NULL) == 0)
		all = arena_slice(a, all);
	blob_free(&out);
	return all;
}

size_t mem_list(struct backend *b, struct slice user, struct slice folder, struct arena *a, uint64_t **nums_r)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u;
	struct mem_folder *f = find(m, user, folder, &u);
	size_t n = 0;

	*nums_r = arena_alloc(a, (f ? f->n : 0) * sizeof(**nums_r));
	for (size_t i = 0; f && i < f->n; i++)
		if (!(f->v[i].flags & MAIL_DELETED))
			(*nums_r)[n++] = f->v[i].num;
	mem_leave(m);
	return n;
}

struct slice mem_mail(struct backend *b, struct slice user, struct slice folder, uint64_t num, struct arena *a)
{
	struct mem *m = mem_enter(b);
	struct mem_user *u;
	struct mem_folder *f = find(m, user, folder, &u);
	struct mem_item *it = f ? mem_item(f, num) : NULL;
	struct slice raw = it ? arena_slice(a, it->raw) : S_NONE;

	mem_leave(m);
	return raw;
}

uint64_t mem_logins(struct backend *b)
{
	struct mem *m = mem_enter(b);
	uint64_t n = m->logins;

	mem_leave(m);
	return n;
}
