/* settings.c - the snapshot of every setting and its typed getters.
 * Filled by one thread, then read-only and shared. Everything hangs in the
 * snapshot's arena; the last settings_unref wipes secrets and frees it. The
 * trap: a list given as text is split at commas, one given as items is not. */
#include "base/settings_table.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct value {
	struct slice text;         /* canonical: what getters of text see */
	int64_t num;               /* BOOL, INT, DURATION, SIZE */
	const struct slice *items; /* LIST, ADDRS */
	size_t n_items;
	const char *origin;        /* NULL: not given */
};

struct user_value {
	struct slice user;
	const struct setting *row;
	struct value v;
};

struct client_row {
	struct value *columns; /* by row number of the table */
};

struct settings {
	atomic_int refs;
	struct arena *arena;
	const struct setting *table;
	size_t rows;
	struct value *values;
	struct user_value *users;
	size_t n_users, cap_users;
	struct client_row *clients;
	size_t n_clients, cap_clients;
};

/* Parsing one value by its row. */

static bool word_of(const char *words, struct slice t)
{
	struct slice rest = slice_str(words), w;

	while (slice_split(&rest, ' ', &w))
		if (slice_eq(w, t))
			return true;
	return false;
}

static int parse_bool(struct slice t, struct value *v, struct err *e)
{
	static const struct slice yes[] = { { "true", 4 }, { "1", 1 }, { "yes", 3 }, { "on", 2 } };
	static const struct slice no[] = { { "false", 5 }, { "0", 1 }, { "no", 2 }, { "off", 3 } };

	for (size_t i = 0; i < 4; i++) {
		if (slice_eq(t, yes[i]) || slice_eq(t, no[i])) {
			v->num = slice_eq(t, yes[i]);
			v->text = v->num ? S("1") : S("0");
			return 0;
		}
	}
	return err_set(e, ERR_CONFIG, "must be true or false, not \"%.*s\"", SARG(slice_to(t, 40)));
}

static int parse_number(const struct setting *row, struct slice t, struct value *v, struct err *e)
{
	int64_t lo = row->min, hi = row->max;

	if (row->type == SETTING_DURATION) {
		if (setting_parse_ms(t, &v->num, e) < 0)
			return -1;
	} else if (row->type == SETTING_SIZE) {
		if (setting_parse_size(t, &v->num, e) < 0)
			return -1;
	} else if (!slice_i64(t, &v->num)) {
		return err_set(e, ERR_CONFIG, "must be a whole number, not \"%.*s\"", SARG(slice_to(t, 40)));
	}
	if (v->num >= lo && v->num <= hi)
		return 0;
	if (row->type == SETTING_INT)
		return err_set(e, ERR_CONFIG, "must be %lld to %lld, not %lld", (long long)lo, (long long)hi, (long long)v->num);
	if (row->type == SETTING_SIZE)
		return err_set(e, ERR_CONFIG, "must be %lldK to %lldK, not %.*s", (long long)lo / 1024, (long long)hi / 1024,
			       SARG(slice_to(t, 40)));
	return err_set(e, ERR_CONFIG, "must be %g to %g seconds, not %.*s", (double)lo / 1000, (double)hi / 1000,
		       SARG(slice_to(t, 40)));
}

static int check_item(const struct setting *row, struct slice t, struct err *e)
{
	if (row->type == SETTING_ADDRS)
		return setting_check_address(t, e);
	if (row->words && !word_of(row->words, t))
		return err_set(e, ERR_CONFIG, "must be one of: %s; not \"%.*s\"", row->words, SARG(slice_to(t, 40)));
	return 0;
}

static int parse_items(struct arena *a, const struct setting *row, const struct slice *items, size_t n, struct value *v,
		       struct err *e)
{
	struct slice *copy = arena_alloc(a, n * sizeof(*copy));
	size_t total = 0, at = 0;
	char *text;

	for (size_t i = 0; i < n; i++) {
		if (check_item(row, items[i], e) < 0)
			return -1;
		copy[i] = arena_slice(a, items[i]);
		total += items[i].len + 1;
	}
	text = arena_alloc(a, total + 1);
	for (size_t i = 0; i < n; i++) {
		if (i)
			text[at++] = ',';
		if (items[i].len)
			memcpy(text + at, items[i].ptr, items[i].len);
		at += items[i].len;
	}
	v->items = copy;
	v->n_items = n;
	v->text = slice(text, at);
	return 0;
}

static int parse_list(struct arena *a, const struct setting *row, struct slice t, struct value *v, struct err *e)
{
	struct slice *items = NULL, part;
	size_t n = 0, cap = 0;

	while (slice_split(&t, ',', &part)) {
		part = slice_trim(part);
		if (part.len == 0)
			continue;
		items = arena_grow(a, items, n, &cap, sizeof(*items));
		items[n++] = part;
	}
	return parse_items(a, row, items, n, v, e);
}

static int parse_value(struct arena *a, const struct setting *row, struct slice t, struct value *v, struct err *e)
{
	v->text = arena_slice(a, t);
	switch (row->type) {
	case SETTING_STR:
	case SETTING_SECRET:
		if (memchr(v->text.ptr, 0, t.len))
			return err_set(e, ERR_CONFIG, "must not hold a NUL byte");
		return 0;
	case SETTING_BOOL:
		return parse_bool(t, v, e);
	case SETTING_INT:
	case SETTING_DURATION:
	case SETTING_SIZE:
		return parse_number(row, t, v, e);
	case SETTING_ENUM:
		return check_item(row, t, e);
	case SETTING_ADDR:
		return t.len ? setting_check_address(t, e) : 0;
	case SETTING_LIST:
	case SETTING_ADDRS:
		return parse_list(a, row, t, v, e);
	}
	return err_set(e, ERR_CONFIG, "of unknown type");
}

/* Filling. */

struct settings *settings_new(void)
{
	struct settings *s = mem_alloc(sizeof(*s));
	struct err e;

	atomic_init(&s->refs, 1);
	s->arena = arena_new();
	s->table = settings_table(&s->rows);
	s->values = arena_alloc(s->arena, s->rows * sizeof(*s->values));
	for (size_t i = 0; i < s->rows; i++) {
		if (s->table[i].flags & SETTING_UNSET)
			continue;
		if (parse_value(s->arena, &s->table[i], slice_str(s->table[i].def), &s->values[i], &e) < 0) {
			fprintf(stderr, "settings.def: %s: %s\n", s->table[i].name, e.text);
			abort();
		}
	}
	return s;
}

static int unknown_key(struct slice name, struct err *e)
{
	const char *near = settings_nearest(name);

	if (settings_is_section(name))
		return err_set(e, ERR_CONFIG, "is a section, not a key");
	if (near)
		return err_set(e, ERR_CONFIG, "no such key; did you mean %s?", near);
	return err_set(e, ERR_CONFIG, "no such key");
}

static bool is_client_column(const struct setting *row)
{
	return strncmp(row->name, "client.", 7) == 0;
}

/* The user and the key of policy.users.USER.KEY or policy.users."USER".KEY: a
 * user may hold dots, a key never does. */
static bool split_user(struct slice name, struct slice *user_r, struct slice *key_r)
{
	size_t i;

	if (!slice_starts(name, S("policy.users.")))
		return false;
	name = slice_from(name, 13);
	for (i = name.len; i > 0 && name.ptr[i - 1] != '.'; i--)
		;
	if (i < 2)
		return false;
	*key_r = slice_from(name, i);
	*user_r = slice_to(name, i - 1);
	if (user_r->len >= 2 && user_r->ptr[0] == '"' && user_r->ptr[user_r->len - 1] == '"')
		*user_r = slice_to(slice_from(*user_r, 1), user_r->len - 2);
	return user_r->len > 0;
}

int settings_set(struct settings *s, struct slice name, struct slice text, const char *origin, struct err *e)
{
	const struct setting *row = settings_find(name);
	struct slice user, key;
	struct value v = { .num = 0 };

	if (!row && split_user(name, &user, &key))
		return settings_set_user(s, user, key, text, origin, e);
	if (!row || is_client_column(row))
		return unknown_key(name, e);
	if (parse_value(s->arena, row, text, &v, e) < 0)
		return -1;
	v.origin = arena_str(s->arena, slice_str(origin));
	s->values[row - s->table] = v;
	return 0;
}

int settings_set_items(struct settings *s, struct slice name, const struct slice *items, size_t n, const char *origin,
		       struct err *e)
{
	const struct setting *row = settings_find(name);
	struct value v = { .num = 0 };

	if (!row || is_client_column(row))
		return unknown_key(name, e);
	if (row->type != SETTING_LIST && row->type != SETTING_ADDRS)
		return err_set(e, ERR_CONFIG, "must be one value, not a list");
	if (parse_items(s->arena, row, items, n, &v, e) < 0)
		return -1;
	v.origin = arena_str(s->arena, slice_str(origin));
	s->values[row - s->table] = v;
	return 0;
}

static const struct setting *policy_row(struct slice key)
{
	char name[96];
	const struct setting *row;

	if (key.len > 80)
		return NULL;
	snprintf(name, sizeof(name), "policy.%.*s", SARG(key));
	row = settings_find(slice_str(name));
	return row && row->flags & SETTING_UNSET ? row : NULL;
}

static struct user_value *find_user(const struct settings *s, struct slice user, const struct setting *row)
{
	for (size_t i = 0; i < s->n_users; i++)
		if (s->users[i].row == row && slice_eq(s->users[i].user, user))
			return &s->users[i];
	return NULL;
}

int settings_set_user(struct settings *s, struct slice user, struct slice key, struct slice text, const char *origin,
		      struct err *e)
{
	const struct setting *row = policy_row(key);
	struct user_value *u;
	struct value v = { .num = 0 };

	if (!row)
		return unknown_key(arena_printf(s->arena, "policy.%.*s", SARG(key)), e);
	if (parse_value(s->arena, row, text, &v, e) < 0)
		return -1;
	v.origin = arena_str(s->arena, slice_str(origin));
	u = find_user(s, user, row);
	if (!u) {
		s->users = arena_grow(s->arena, s->users, s->n_users, &s->cap_users, sizeof(*s->users));
		u = &s->users[s->n_users++];
		u->user = arena_slice(s->arena, user);
		u->row = row;
	}
	u->v = v;
	return 0;
}

size_t settings_client_new(struct settings *s)
{
	s->clients = arena_grow(s->arena, s->clients, s->n_clients, &s->cap_clients, sizeof(*s->clients));
	s->clients[s->n_clients].columns = arena_alloc(s->arena, s->rows * sizeof(struct value));
	return s->n_clients++;
}

static const struct setting *client_row(struct slice column)
{
	char name[64];

	if (column.len > 48)
		return NULL;
	snprintf(name, sizeof(name), "client.%.*s", SARG(column));
	return settings_find(slice_str(name));
}

int settings_client_set(struct settings *s, size_t row, struct slice column, struct slice text, const char *origin,
			struct err *e)
{
	const struct setting *c = client_row(column);
	struct value v = { .num = 0 };

	ASSERT(row < s->n_clients);
	if (!c)
		return unknown_key(arena_printf(s->arena, "client.%.*s", SARG(column)), e);
	if (parse_value(s->arena, c, text, &v, e) < 0)
		return -1;
	v.origin = arena_str(s->arena, slice_str(origin));
	s->clients[row].columns[c - s->table] = v;
	return 0;
}

/* Life. */

struct settings *settings_ref(struct settings *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void settings_unref(struct settings **sp)
{
	struct settings *s = *sp;

	*sp = NULL;
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	for (size_t i = 0; i < s->rows; i++)
		if (s->table[i].type == SETTING_SECRET && s->values[i].text.len)
			mem_wipe((char *)s->values[i].text.ptr, s->values[i].text.len);
	arena_free(&s->arena);
	free(s);
}

/* Getters. */

static const struct value *get(const struct settings *s, const char *key, unsigned types)
{
	const struct setting *row = settings_find(slice_str(key));

	if (!row || !(types & 1u << row->type)) {
		fprintf(stderr, "zpushd: setting %s asked for as another type, or not in settings.def\n", key);
		ASSERT(!"setting of that name and type");
	}
	return &s->values[row - s->table];
}

struct slice settings_str(const struct settings *s, const char *key)
{
	return get(s, key, 1u << SETTING_STR | 1u << SETTING_SECRET | 1u << SETTING_ENUM | 1u << SETTING_ADDR)->text;
}

bool settings_bool(const struct settings *s, const char *key)
{
	return get(s, key, 1u << SETTING_BOOL)->num != 0;
}

int64_t settings_int(const struct settings *s, const char *key)
{
	return get(s, key, 1u << SETTING_INT)->num;
}

int64_t settings_ms(const struct settings *s, const char *key)
{
	return get(s, key, 1u << SETTING_DURATION)->num;
}

uint64_t settings_bytes(const struct settings *s, const char *key)
{
	return (uint64_t)get(s, key, 1u << SETTING_SIZE)->num;
}

size_t settings_list(const struct settings *s, const char *key, const struct slice **items_r)
{
	const struct value *v = get(s, key, 1u << SETTING_LIST | 1u << SETTING_ADDRS);

	*items_r = v->items;
	return v->n_items;
}

bool settings_list_has(const struct settings *s, const char *key, struct slice word)
{
	const struct slice *v;
	size_t n = settings_list(s, key, &v);

	for (size_t i = 0; i < n; i++)
		if (slice_eq(v[i], word))
			return true;
	return false;
}

static const char *row_tail(const struct setting *row, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(row->name, prefix, n) == 0 && row->name[n] == '.' ? row->name + n + 1 : NULL;
}

void settings_each(const struct settings *s, const char *prefix,
		   void (*fn)(void *arg, struct slice rest, struct slice value), void *arg)
{
	struct slice user = slice_str(prefix);

	if (slice_starts(user, S("policy.users."))) {
		user = slice_from(user, 13);
		for (size_t i = 0; i < s->n_users; i++)
			if (slice_eq(s->users[i].user, user))
				fn(arg, slice_str(row_tail(s->users[i].row, "policy")), s->users[i].v.text);
		return;
	}
	for (size_t i = 0; i < s->rows; i++) {
		const char *rest = row_tail(&s->table[i], prefix);

		if (rest && s->values[i].origin && s->table[i].flags & SETTING_UNSET)
			fn(arg, slice_str(rest), s->values[i].text);
	}
}

bool settings_names_user(const struct settings *s, struct slice user)
{
	for (size_t i = 0; i < s->n_users; i++)
		if (slice_eq(s->users[i].user, user))
			return true;
	return false;
}

bool settings_user_str(const struct settings *s, struct slice user, const char *key, struct slice *v_r)
{
	const struct setting *row = policy_row(slice_str(key));
	const struct user_value *u;

	if (!row)
		return false;
	u = find_user(s, user, row);
	if (u)
		*v_r = u->v.text;
	else if (s->values[row - s->table].origin)
		*v_r = s->values[row - s->table].text;
	else
		return false;
	return true;
}

bool settings_given(const struct settings *s, const char *key)
{
	return get(s, key, ~0u)->origin != NULL;
}

const char *settings_origin(const struct settings *s, const char *key)
{
	const struct value *v = get(s, key, ~0u);

	return v->origin ? v->origin : "default";
}

struct slice settings_text(const struct settings *s, const char *key)
{
	return get(s, key, ~0u)->text;
}

size_t settings_clients(const struct settings *s)
{
	return s->n_clients;
}

static const struct value *client_value(const struct settings *s, size_t row, const char *column)
{
	const struct setting *c = client_row(slice_str(column));

	ASSERT(c && row < s->n_clients);
	return &s->clients[row].columns[c - s->table];
}

struct slice settings_client_str(const struct settings *s, size_t row, const char *column)
{
	return client_value(s, row, column)->text;
}

int64_t settings_client_num(const struct settings *s, size_t row, const char *column, int64_t absent)
{
	const struct value *v = client_value(s, row, column);

	return v->origin ? v->num : absent;
}

const char *settings_client_origin(const struct settings *s, size_t row, const char *column)
{
	return client_value(s, row, column)->origin;
}

void settings_each_user(const struct settings *s,
			void (*fn)(void *arg, struct slice user, const struct setting *row, struct slice text, const char *origin),
			void *arg)
{
	for (size_t i = 0; i < s->n_users; i++)
		fn(arg, s->users[i].user, s->users[i].row, s->users[i].v.text, s->users[i].v.origin);
}

void settings_keep_restart(struct settings *s, const struct settings *old, void (*fn)(void *arg, const char *key), void *arg)
{
	struct err e;

	for (size_t i = 0; i < s->rows; i++) {
		const struct value *was = &old->values[i];
		struct value v = { .num = 0 };
		int r;

		if (s->table[i].flags & SETTING_LIVE || slice_eq(s->values[i].text, was->text))
			continue;
		fn(arg, s->table[i].name);
		r = was->items ? parse_items(s->arena, &s->table[i], was->items, was->n_items, &v, &e)
			       : parse_value(s->arena, &s->table[i], was->text, &v, &e);
		ASSERT(r == 0); /* it was legal before */
		v.origin = was->origin ? arena_str(s->arena, slice_str(was->origin)) : NULL;
		s->values[i] = v;
	}
}
