/* config.c - fills a snapshot: defaults, file, environment, --set, in this
 * order, so that the later wins. Each fault is reported with its place and the
 * rest is read on, so that --check names all of them at once. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "config_toml.h"

enum { FILE_MAX_BYTES = 4 * 1024 * 1024, SECRET_MAX_BYTES = 64 * 1024 };

struct loader {
	struct settings *s;
	struct arena *a;
	const struct config_options *o;
	const char *file;
	config_report_fn *report;
	void *arg;
	struct err *first;
	int errors;
	size_t client_rows; /* of the file, made so far */
};

static void fault(struct loader *l, enum config_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void fault(struct loader *l, enum config_level level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (level == CONFIG_ERROR && l->errors++ == 0)
		err_set(l->first, ERR_CONFIG, "%s", text);
	if (l->report)
		l->report(l->arg, level, text);
}

static void on_check(void *arg, enum config_level level, const char *text)
{
	fault(arg, level, "%s", text);
}

/* Whole file, at most max bytes. */
static int read_file(struct arena *a, const char *path, size_t max, struct slice *text_r, struct err *e)
{
	FILE *f = fopen(path, "re");
	char *buf;
	size_t n;

	if (!f)
		return err_set(e, ERR_CONFIG, "%s", strerror(errno));
	buf = arena_alloc(a, max + 1);
	n = fread(buf, 1, max + 1, f);
	if (ferror(f) || n > max) {
		fclose(f);
		return err_set(e, ERR_CONFIG, n > max ? "larger than %zu bytes" : "cannot be read (limit %zu)", max);
	}
	fclose(f);
	*text_r = slice(buf, n);
	return 0;
}

/* The file. */

static struct slice joined(struct loader *l, const struct toml_value *v, size_t from)
{
	struct slice name = S_NONE;

	for (size_t i = from; i < v->n_path; i++)
		name = arena_printf(l->a, "%.*s%s%.*s", SARG(name), i > from ? "." : "", (int)v->path[i].len, v->path[i].ptr);
	return name;
}

static const char *place(struct loader *l, unsigned line, unsigned column)
{
	return arena_printf(l->a, "%s:%u:%u", l->file, line, column).ptr;
}

static const char *wanted(const struct setting *row)
{
	static const char *const text[] = {
		[SETTING_STR] = "a string in quotes",
		[SETTING_SECRET] = "a string in quotes",
		[SETTING_BOOL] = "true or false, without quotes",
		[SETTING_INT] = "a whole number, without quotes",
		[SETTING_DURATION] = "a duration in quotes, such as \"55s\"",
		[SETTING_SIZE] = "a size in quotes, such as \"20M\"",
		[SETTING_ENUM] = "a word in quotes",
		[SETTING_LIST] = "a list of strings, such as [\"a\", \"b\"]",
		[SETTING_ADDR] = "an address in quotes, such as \"127.0.0.1:8080\"",
		[SETTING_ADDRS] = "a list of addresses, such as [\"[::]:8443\"]",
	};

	return text[row->type];
}

/* Does the TOML type suit the row? A list of one may be written as a string. */
static bool suits(const struct setting *row, enum toml_kind kind)
{
	switch (row->type) {
	case SETTING_BOOL:
		return kind == TOML_BOOLEAN;
	case SETTING_INT:
		return kind == TOML_INTEGER;
	case SETTING_LIST:
	case SETTING_ADDRS:
		return kind == TOML_LIST || kind == TOML_STRING;
	default:
		return kind == TOML_STRING;
	}
}

static struct slice list_text(struct loader *l, const struct toml_value *v)
{
	struct slice t = S_NONE;

	for (size_t i = 0; i < v->n_items; i++)
		t = arena_printf(l->a, "%.*s%s%.*s", SARG(t), i ? "," : "", (int)v->items[i].len, v->items[i].ptr);
	return t;
}

static int store_value(struct loader *l, const struct setting *row, const struct toml_value *v, struct slice name,
		       const char *origin, struct err *e)
{
	struct slice text = v->kind == TOML_LIST ? list_text(l, v) : slice(v->text.ptr, v->text.len);

	if (v->in_rows)
		return settings_client_set(l->s, v->row, slice_from(name, 7), text, origin, e);
	if (v->n_path == 4)
		return settings_set_user(l->s, slice(v->path[2].ptr, v->path[2].len), slice(v->path[3].ptr, v->path[3].len),
					 text, origin, e);
	if (row->type == SETTING_LIST || row->type == SETTING_ADDRS) {
		struct slice *items = arena_alloc(l->a, (v->n_items + 1) * sizeof(*items));

		for (size_t i = 0; i < v->n_items; i++)
			items[i] = slice(v->items[i].ptr, v->items[i].len);
		if (v->kind == TOML_STRING)
			items[0] = text;
		return settings_set_items(l->s, name, items, v->kind == TOML_STRING ? text.len > 0 : v->n_items, origin, e);
	}
	return settings_set(l->s, name, text, origin, e);
}

/* The row of a value: of [[client]], of policy.users."name".KEY, or by its name. */
static const struct setting *row_of(struct loader *l, const struct toml_value *v, struct slice *name_r)
{
	bool user = v->n_path == 4 && slice_eq(slice(v->path[0].ptr, v->path[0].len), S("policy")) &&
		    slice_eq(slice(v->path[1].ptr, v->path[1].len), S("users"));
	const struct setting *row;

	*name_r = user ? arena_printf(l->a, "policy.%.*s", (int)v->path[3].len, v->path[3].ptr) : joined(l, v, 0);
	row = settings_find(*name_r);
	if (row && v->in_rows != slice_starts(*name_r, S("client.")))
		return NULL;
	if (row && user && !(row->flags & SETTING_UNSET))
		return NULL;
	return row;
}

static void on_value(void *arg, const struct toml_value *v)
{
	struct loader *l = arg;
	struct slice name;
	const struct setting *row = row_of(l, v, &name);
	struct slice shown = joined(l, v, 0);
	const char *at = place(l, v->line, v->column);
	struct err e;

	if (!row) {
		const char *near = settings_nearest(name);

		fault(l, CONFIG_ERROR, "%s: %.*s: no such key%s%s%s", place(l, v->key_line, v->key_column), SARG(shown),
		      near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
		return;
	}
	if (!suits(row, v->kind)) {
		fault(l, CONFIG_ERROR, "%s: %.*s: must be %s", at, SARG(shown), wanted(row));
		return;
	}
	while (v->in_rows && l->client_rows <= v->row)
		l->client_rows = settings_client_new(l->s) + 1;
	if (store_value(l, row, v, name, at, &e) < 0)
		fault(l, CONFIG_ERROR, "%s: %.*s: %s", at, SARG(shown), e.text);
}

static void load_file(struct loader *l)
{
	unsigned line = 0, column = 0;
	struct slice text;
	char message[256];
	struct err e;

	if (read_file(l->a, l->file, FILE_MAX_BYTES, &text, &e) < 0) {
		fault(l, CONFIG_ERROR, "%s: %s", l->file, e.text);
		return;
	}
	if (config_toml_parse(text.ptr, text.len, on_value, l, message, sizeof(message), &line, &column) < 0)
		fault(l, CONFIG_ERROR, "%s:%u:%u: %s", l->file, line, column, message);
}

static const char *default_file(void)
{
	static const char *const files[] = { "zpushd.toml", "/etc/zpushd/zpushd.toml" };

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (access(files[i], F_OK) == 0)
			return files[i];
	return NULL;
}

/* The environment. */

/* ZPUSHD_STORE_URL of "store.url"; ASCII upper case, dots become underscores. */
static bool env_name_is(const char *key, struct slice name)
{
	size_t n = strlen(key);

	if (name.len != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name.ptr[i] != (key[i] == '.' ? '_' : (char)toupper((unsigned char)key[i])))
			return false;
	return true;
}

static const struct setting *env_row(struct slice name)
{
	size_t n;
	const struct setting *t = settings_table(&n);

	for (size_t i = 0; i < n; i++)
		if (env_name_is(t[i].name, name) && strncmp(t[i].name, "client.", 7) != 0)
			return &t[i];
	return NULL;
}

static void set_env(struct loader *l, const struct setting *row, const char *name, struct slice value)
{
	struct err e;

	if (settings_set(l->s, slice_str(row->name), value, arena_printf(l->a, "environment %s", name).ptr, &e) < 0)
		fault(l, CONFIG_ERROR, "environment %s: %s: %s", name, row->name, e.text);
}

static void set_env_file(struct loader *l, const struct setting *row, const char *name, const char *path)
{
	struct slice text;
	struct err e;

	if (read_file(l->a, path, SECRET_MAX_BYTES, &text, &e) < 0) {
		fault(l, CONFIG_ERROR, "environment %s: %s: %s: %s", name, row->name, path, e.text);
		return;
	}
	while (text.len && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
		text.len--;
	set_env(l, row, name, text);
}

/* For the program itself, not settings; ZPUSHD_TEST_ belongs to the tests. */
static bool is_own_env(struct slice name)
{
	return slice_eq(name, S("CONTAINER")) || slice_starts(name, S("TEST_")) || slice_starts(name, S("CRASH_"));
}

static void unknown_env(struct loader *l, const char *full, struct slice name)
{
	char *guess = arena_str(l->a, name), *us = strchr(guess, '_');
	const char *near;

	for (char *c = guess; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (us)
		*us = '.';
	near = settings_nearest(slice_str(guess));
	fault(l, CONFIG_WARNING, "environment %s: names no key%s%s%s", full, near ? "; did you mean " : "", near ? near : "",
	      near ? "?" : "");
}

static void load_env(struct loader *l, const char *var)
{
	const char *eq = strchr(var, '=');
	struct slice name = slice(var + 7, (size_t)(eq - var) - 7), base;
	const char *full = arena_str(l->a, slice(var, (size_t)(eq - var)));
	const struct setting *row = env_row(name);

	if (row) {
		set_env(l, row, full, slice_str(eq + 1));
		return;
	}
	if (name.len > 5 && slice_eq(slice_from(name, name.len - 5), S("_FILE"))) {
		base = slice_to(name, name.len - 5);
		row = env_row(base);
		if (row && row->type == SETTING_SECRET) {
			set_env_file(l, row, full, eq + 1);
			return;
		}
	}
	if (!is_own_env(name))
		unknown_env(l, full, name);
}

/* --set. */

static void load_set(struct loader *l, const char *set)
{
	const char *eq = strchr(set, '=');
	struct slice name = slice(set, (size_t)(eq - set));
	struct err e;

	if (settings_set(l->s, name, slice_str(eq + 1), "--set", &e) < 0)
		fault(l, CONFIG_ERROR, "--set %.*s: %s", SARG(name), e.text);
}

int config_load(struct settings **s_r, const struct config_options *o, config_report_fn *report, void *arg,
		struct err *e)
{
	struct err dummy;
	struct loader l = { .o = o, .report = report, .arg = arg, .first = e ? e : &dummy };

	l.s = settings_new();
	l.a = arena_new();
	l.file = o->file ? o->file : default_file();
	if (l.file)
		load_file(&l);
	for (size_t i = 0; i < o->n_env; i++)
		load_env(&l, o->env[i]);
	for (size_t i = 0; i < o->n_sets; i++)
		load_set(&l, o->sets[i]);
	if (l.errors == 0)
		config_check(l.s, o, on_check, &l);
	arena_free(&l.a);
	if (l.errors)
		settings_unref(&l.s);
	*s_r = l.s;
	return l.errors ? -1 : 0;
}

struct reload {
	config_report_fn *report;
	void *arg;
};

static void on_restart_key(void *arg, const char *key)
{
	struct reload *r = arg;
	char text[160];

	snprintf(text, sizeof(text), "%s: changed, but needs a restart; the old value stays", key);
	if (r->report)
		r->report(r->arg, CONFIG_WARNING, text);
}

int config_reload(struct settings **s_r, const struct settings *old, const struct config_options *o,
		  config_report_fn *report, void *arg, struct err *e)
{
	struct reload r = { report, arg };

	if (config_load(s_r, o, report, arg, e) < 0)
		return -1;
	settings_keep_restart(*s_r, old, on_restart_key, &r);
	return 0;
}
