/* folders.c - LIST and NAMESPACE into the contract's folder tree. Worker; results
 * are the caller's arena's. One round trip: NAMESPACE (once a session), LIST with
 * UIDVALIDITY where LIST-STATUS is offered, LSUB where it is needed.
 * A path is the server's whole name in UTF-8; the personal prefix ("INBOX." of
 * some servers) is part of the path but no level of the tree. */
#include "backend/imap/folders.h"

#include <stdlib.h>

enum { MAX_FOLDERS = 10000 };

struct collect {
	struct imap_session *s;
	struct arena *a, *keep; /* keep: the session's */
	struct node *v;
	size_t n, cap;
	struct slice *subs;     /* by LSUB */
	size_t n_subs, cap_subs;
	struct { struct slice name; uint64_t uidvalidity; } *st;
	size_t n_st, cap_st;
	size_t cap_spaces;
};

static int by_path(const void *a, const void *b)
{
	return slice_cmp(((const struct node *)a)->path, ((const struct node *)b)->path);
}

static int by_slice(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

struct node *node_find(struct node *v, size_t n, struct slice path)
{
	struct node key = { .path = path };

	return n ? bsearch(&key, v, n, sizeof(*v), by_path) : NULL;
}

/* -- what the server says -- */

static void on_list(void *arg, const struct imap_list *l)
{
	struct collect *c = arg;
	struct slice name = slice_ieq(l->name, S("INBOX")) ? S("INBOX") : l->name;

	if (l->lsub) {
		if (c->n_subs >= MAX_FOLDERS)
			return;
		c->subs = arena_grow(c->a, c->subs, c->n_subs, &c->cap_subs, sizeof(*c->subs));
		c->subs[c->n_subs++] = name;
		return;
	}
	if (c->n >= MAX_FOLDERS || name.len > 1024)
		return;
	c->v = arena_grow(c->a, c->v, c->n, &c->cap, sizeof(*c->v));
	c->v[c->n++] = (struct node){ .path = name, .sep = l->sep, .attrs = l->attrs };
}

static void on_status(void *arg, struct slice name, uint64_t uidvalidity)
{
	struct collect *c = arg;

	if (c->n_st >= MAX_FOLDERS)
		return;
	c->st = arena_grow(c->a, c->st, c->n_st, &c->cap_st, sizeof(*c->st));
	c->st[c->n_st].name = slice_ieq(name, S("INBOX")) ? S("INBOX") : name;
	c->st[c->n_st++].uidvalidity = uidvalidity;
}

static void on_space(void *arg, const struct imap_namespace *n)
{
	struct collect *c = arg;
	struct imap_session *s = c->s;

	if (s->n_spaces >= 100)
		return;
	s->spaces = arena_grow(s->mem, s->spaces, s->n_spaces, &c->cap_spaces, sizeof(*s->spaces));
	s->spaces[s->n_spaces] = *n;
	s->spaces[s->n_spaces].prefix = arena_slice(s->mem, n->prefix);
	if (n->kind == 0 && !s->personal.sep)
		s->personal = s->spaces[s->n_spaces];
	s->n_spaces++;
}

static unsigned list_cmd(struct imap_session *s, bool extended)
{
	unsigned tag = imap_cmd(s, "LIST \"\" \"*\"");

	if (extended) {
		imap_arg(s, " RETURN (SUBSCRIBED%s%s)", imap_has(s, CAP_SPECIAL_USE) ? " SPECIAL-USE" : "",
			 imap_has(s, CAP_LIST_STATUS) ? " STATUS (UIDVALIDITY)" : "");
	}
	imap_end(s);
	return tag;
}

static enum be_result fetch_lists(struct imap_session *s, struct collect *c, struct err *e)
{
	bool extended = imap_has(s, CAP_LIST_EXTENDED);
	unsigned space = 0, lsub = 0, lists;
	struct imap_done d;
	enum be_result r;

	if (!s->have_spaces && imap_has(s, CAP_NAMESPACE)) {
		space = imap_cmd(s, "NAMESPACE");
		imap_end(s);
	}
	lists = list_cmd(s, extended);
	if (s->b->subscribed_only && !extended) {
		lsub = imap_cmd(s, "LSUB \"\" \"*\"");
		imap_end(s);
	}
	if (space && imap_wait(s, space, &d, e) != BE_OK)
		return BE_TEMP;
	s->have_spaces = true;
	r = imap_ok(s, lists, "LIST", e);
	if (r == BE_PERM && extended) {
		c->n = 0;
		r = imap_ok(s, list_cmd(s, false), "LIST", e);
	}
	if (r == BE_OK && lsub)
		r = imap_ok(s, lsub, "LSUB", e);
	return r;
}

/* -- shaping -- */

static const struct imap_namespace *space_of(const struct imap_session *s, struct slice path)
{
	const struct imap_namespace *best = NULL;

	for (size_t i = 0; i < s->n_spaces; i++) {
		struct slice p = s->spaces[i].prefix;
		struct slice bare = p.len && s->spaces[i].sep && p.ptr[p.len - 1] == s->spaces[i].sep ? slice_to(p, p.len - 1) : p;

		if (!slice_starts(path, p) && !slice_eq(path, bare))
			continue;
		if (!best || p.len > best->prefix.len)
			best = &s->spaces[i];
	}
	return best;
}

static void place(struct imap_session *s, struct node *f)
{
	const struct imap_namespace *ns = space_of(s, f->path);
	size_t skip = ns && ns->kind == 0 && f->path.len > ns->prefix.len ? ns->prefix.len : 0;
	size_t at = f->path.len;

	f->foreign = ns && ns->kind != 0;
	if (f->sep)
		while (at > skip && f->path.ptr[at - 1] != f->sep)
			at--;
	else
		at = skip;
	f->name = slice_from(f->path, at > skip ? at : skip);
	f->parent = at > skip ? slice_to(f->path, at - 1) : S_NONE;
	if (f->name.len == 0) /* "a/": a node that some servers list with its separator */
		f->name = f->path;
}

/* Levels that the server did not list become nodes. */
static void add_parents(struct collect *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct node up = { .path = c->v[i].parent, .sep = c->v[i].sep, .attrs = ATTR_NOSELECT };
		bool have = up.path.len == 0;

		for (size_t k = 0; k < c->n && !have; k++)
			have = slice_eq(c->v[k].path, up.path);
		if (have || c->n >= MAX_FOLDERS)
			continue;
		place(c->s, &up);
		c->v = arena_grow(c->a, c->v, c->n, &c->cap, sizeof(*c->v));
		c->v[c->n++] = up;
	}
}

static void sort_nodes(struct collect *c)
{
	size_t out = 0;

	if (!c->n)
		return;
	qsort(c->v, c->n, sizeof(*c->v), by_path);
	for (size_t i = 0; i < c->n; i++) {
		if (out && slice_eq(c->v[out - 1].path, c->v[i].path))
			c->v[out - 1].attrs |= c->v[i].attrs;
		else
			c->v[out++] = c->v[i];
	}
	c->n = out;
}

static void add_facts(struct collect *c)
{
	if (c->n_subs)
		qsort(c->subs, c->n_subs, sizeof(*c->subs), by_slice);
	for (size_t i = 0; i < c->n && c->n_subs; i++)
		if (bsearch(&c->v[i].path, c->subs, c->n_subs, sizeof(*c->subs), by_slice))
			c->v[i].attrs |= ATTR_SUBSCRIBED;
	for (size_t i = 0; i < c->n_st; i++) {
		struct node *f = node_find(c->v, c->n, c->st[i].name);

		if (f)
			f->identity = c->st[i].uidvalidity;
	}
}

/* -- special folders -- */

static const struct {
	const char *name;
	enum imap_special sp;
} usual_names[] = {
	{ "Sent", SP_SENT },                 { "Sent Items", SP_SENT },       { "Sent Messages", SP_SENT },
	{ "Sent Mail", SP_SENT },            { "sent-mail", SP_SENT },        { "Gesendet", SP_SENT },
	{ "Gesendete Objekte", SP_SENT },    { "Gesendete Elemente", SP_SENT }, { "Envoyés", SP_SENT },
	{ "Éléments envoyés", SP_SENT },     { "Enviados", SP_SENT },         { "Elementos enviados", SP_SENT },
	{ "Posta inviata", SP_SENT },        { "Inviata", SP_SENT },          { "Verzonden", SP_SENT },
	{ "Verzonden items", SP_SENT },      { "Itens enviados", SP_SENT },   { "Skickat", SP_SENT },
	{ "Wysłane", SP_SENT },              { "Отправленные", SP_SENT },
	{ "Trash", SP_TRASH },               { "Deleted Items", SP_TRASH },   { "Deleted Messages", SP_TRASH },
	{ "Deleted", SP_TRASH },             { "Papierkorb", SP_TRASH },      { "Gelöschte Objekte", SP_TRASH },
	{ "Gelöschte Elemente", SP_TRASH },  { "Corbeille", SP_TRASH },       { "Éléments supprimés", SP_TRASH },
	{ "Papelera", SP_TRASH },            { "Elementos eliminados", SP_TRASH }, { "Cestino", SP_TRASH },
	{ "Prullenbak", SP_TRASH },          { "Verwijderde items", SP_TRASH }, { "Lixeira", SP_TRASH },
	{ "Papperskorgen", SP_TRASH },       { "Kosz", SP_TRASH },            { "Удалённые", SP_TRASH },
	{ "Drafts", SP_DRAFTS },             { "Draft", SP_DRAFTS },          { "Entwürfe", SP_DRAFTS },
	{ "Brouillons", SP_DRAFTS },         { "Borradores", SP_DRAFTS },     { "Bozze", SP_DRAFTS },
	{ "Concepten", SP_DRAFTS },          { "Rascunhos", SP_DRAFTS },      { "Utkast", SP_DRAFTS },
	{ "Robocze", SP_DRAFTS },            { "Черновики", SP_DRAFTS },
	{ "Junk", SP_JUNK },                 { "Spam", SP_JUNK },             { "Junk E-mail", SP_JUNK },
	{ "Junk-E-Mail", SP_JUNK },          { "Bulk Mail", SP_JUNK },
};

static const unsigned special_attr[SP_COUNT] = { ATTR_SENT, ATTR_TRASH, ATTR_DRAFTS, ATTR_JUNK };
static const enum folder_type special_type[SP_COUNT] = { FOLDER_SENT, FOLDER_TRASH, FOLDER_DRAFTS, FOLDER_USER_MAIL };
static const char *const special_default[SP_COUNT] = { "Sent", "Trash", "Drafts", "Junk" };

/* The setting names a path, with or without the personal prefix. */
static struct node *by_setting(struct collect *c, struct slice want)
{
	struct node *f = node_find(c->v, c->n, want);
	struct slice p = c->s->personal.prefix;

	if (f || !p.len)
		return f;
	return node_find(c->v, c->n, arena_printf(c->a, "%.*s%.*s", SARG(p), SARG(want)));
}

static struct node *by_usual_name(struct collect *c, enum imap_special sp)
{
	for (size_t k = 0; k < sizeof(usual_names) / sizeof(*usual_names); k++)
		for (size_t i = 0; usual_names[k].sp == sp && i < c->n; i++) {
			struct node *f = &c->v[i];
			bool top = f->parent.len == 0 || slice_eq(f->parent, S("INBOX"));

			if (top && !f->foreign && !(f->attrs & ATTR_NOSELECT) && f->special < 0 &&
			    slice_ieq(f->name, slice_str(usual_names[k].name)))
				return f;
		}
	return NULL;
}

static struct node *find_special(struct collect *c, enum imap_special sp)
{
	struct slice want = c->s->b->special[sp];

	if (want.len)
		return by_setting(c, want);
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].attrs & special_attr[sp] && !c->v[i].foreign && !(c->v[i].attrs & ATTR_NOSELECT))
			return &c->v[i];
	return by_usual_name(c, sp);
}

static void name_specials(struct collect *c)
{
	for (size_t i = 0; i < c->n; i++) {
		c->v[i].special = -1;
		c->v[i].type = slice_eq(c->v[i].path, S("INBOX")) ? FOLDER_INBOX : FOLDER_USER_MAIL;
	}
	for (enum imap_special sp = 0; sp < SP_COUNT; sp++) {
		struct node *f = find_special(c, sp);

		if (!f || f->type == FOLDER_INBOX)
			continue;
		f->special = (int)sp;
		f->type = special_type[sp];
	}
}

static void ensure_inbox(struct collect *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (slice_eq(c->v[i].path, S("INBOX"))) {
			c->v[i].attrs &= ~(unsigned)ATTR_NOSELECT;
			return;
		}
	c->v = arena_grow(c->a, c->v, c->n, &c->cap, sizeof(*c->v));
	c->v[c->n++] = (struct node){ .path = S("INBOX"), .sep = c->s->personal.sep, .attrs = ATTR_SUBSCRIBED };
}

static void learn_separator(struct collect *c)
{
	for (size_t i = 0; i < c->n && !c->s->personal.sep; i++)
		c->s->personal.sep = c->v[i].sep;
}

enum be_result folders_tree(struct imap_session *s, struct arena *a, struct node **v_r, size_t *n_r, struct err *e)
{
	struct collect *c = ARENA_NEW(a, struct collect);
	const struct imap_handlers h = {
		.arg = c, .a = a, .list = on_list, .status = on_status, .name_space = on_space
	};
	enum be_result r;

	c->s = s;
	c->a = a;
	imap_set_handlers(s, &h);
	r = fetch_lists(s, c, e);
	imap_set_handlers(s, NULL);
	if (r != BE_OK)
		return r;
	learn_separator(c);
	ensure_inbox(c);
	for (size_t i = 0; i < c->n; i++)
		place(s, &c->v[i]);
	add_parents(c);
	sort_nodes(c);
	add_facts(c);
	name_specials(c);
	*v_r = c->v;
	*n_r = c->n;
	return BE_OK;
}

struct slice folders_special_path(struct imap_session *s, struct arena *a, enum folder_type type)
{
	for (enum imap_special sp = 0; sp < SP_JUNK; sp++)
		if (special_type[sp] == type) {
			struct slice want = s->b->special[sp], p = s->personal.prefix;

			if (!want.len)
				want = slice_str(special_default[sp]);
			return slice_starts(want, p) ? want : arena_printf(a, "%.*s%.*s", SARG(p), SARG(want));
		}
	return S_NONE;
}

/* -- the contract -- */

/* imap.notes, as the server names it or below the personal namespace. */
static bool is_notes(const struct imap_session *s, const struct node *f)
{
	struct slice want = s->b->notes, prefix = s->personal.prefix;

	if (!want.len || f->foreign)
		return false;
	return slice_eq(f->path, want) ||
	       (slice_starts(f->path, prefix) && slice_eq(slice_from(f->path, prefix.len), want));
}

static bool hidden(const struct imap_session *s, const struct node *f)
{
	if (is_notes(s, f))
		return true;
	if (f->foreign && !s->b->shared)
		return true;
	if (!s->b->subscribed_only || f->type != FOLDER_USER_MAIL || f->special >= 0)
		return false;
	return !(f->attrs & ATTR_SUBSCRIBED);
}

/* Back to front: a hidden or unselectable node stays while something below it is seen. */
static void mark_shown(const struct imap_session *s, struct node *v, size_t n)
{
	for (size_t i = n; i-- > 0;) {
		struct node *up;
		bool hide = hidden(s, &v[i]);

		if (hide)
			v[i].attrs |= ATTR_NOSELECT;
		if (!(v[i].attrs & ATTR_NOSELECT))
			v[i].shown = true;
		if (v[i].shown && v[i].parent.len && (up = node_find(v, n, v[i].parent)) != NULL)
			up->shown = true;
	}
}

enum be_result imap_folders(struct session *base, struct arena *a, struct be_folder **f_r, size_t *n_r, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	struct be_folder *out;
	struct node *v;
	size_t n, k = 0;
	enum be_result r = folders_tree(s, a, &v, &n, e);

	*n_r = 0;
	if (r != BE_OK)
		return r;
	mark_shown(s, v, n);
	out = arena_alloc(a, n * sizeof(*out));
	for (size_t i = 0; i < n; i++)
		if (v[i].shown)
			out[k++] = (struct be_folder){ .path = v[i].path, .parent = v[i].parent, .name = v[i].name,
						       .type = v[i].type, .identity = v[i].identity,
						       .selectable = !(v[i].attrs & ATTR_NOSELECT) };
	*f_r = out;
	*n_r = k;
	return BE_OK;
}
