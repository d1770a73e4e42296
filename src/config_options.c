/* config_options.c - the command line and the ZPUSHD_ part of the environment.
 * Main thread, before any other. Copies what it keeps, because SIGHUP reads it
 * again, and then overwrites secrets in argv and envp: both are in /proc. */
#include "config.h"

#include <stdlib.h>

struct options_reader {
	struct config_options *o;
	int argc, at;
	char **argv;
};

static const struct {
	const char *name;
	enum config_action action;
} actions[] = {
	{ "--check", CONFIG_CHECK },
	{ "--print-config", CONFIG_PRINT },
	{ "--print-defaults", CONFIG_PRINT_DEFAULTS },
	{ "--version", CONFIG_VERSION },
	{ "--help", CONFIG_HELP },
	{ "-h", CONFIG_HELP },
};

const char *config_usage(void)
{
	return "usage: zpushd [-c zpushd.toml] [--set section.key=value]...\n"
	       "              [--check | --print-config | --print-defaults | --version | --help]\n"
	       "       zpushd [-c zpushd.toml] admin COMMAND...   (zpushd admin help lists them)\n"
	       "\n"
	       "  -c FILE           settings; without it ./zpushd.toml or /etc/zpushd/zpushd.toml, when there\n"
	       "  --set k=v         one setting, above file and environment; lists joined by commas\n"
	       "  --check           say what is wrong with the settings, and exit 1 if anything is\n"
	       "  --print-config    every setting and where its value came from\n"
	       "  --print-defaults  every setting with its default and why, as a zpushd.toml\n"
	       "\n"
	       "Environment: ZPUSHD_SECTION_KEY=value; a secret also as ZPUSHD_SECTION_KEY_FILE=path.\n";
}

static void add(char ***list, size_t *n, struct slice text)
{
	*list = mem_realloc(*list, (*n + 1) * sizeof(**list));
	(*list)[(*n)++] = mem_str(text);
}

/* A password inside a URL (scheme://user:pass@host). */
static bool has_url_password(struct slice v)
{
	const char *at = memchr(v.ptr, '@', v.len), *sep = memmem(v.ptr, v.len, "://", 3);

	return at && sep && sep < at && memchr(sep + 3, ':', (size_t)(at - sep - 3));
}

static void hide(char *value, bool secret)
{
	size_t n = strlen(value);

	if (secret || has_url_password(slice(value, n)))
		memset(value, '*', n);
}

static bool is_secret_key(struct slice key)
{
	const struct setting *row = settings_find(key);

	return row && row->type == SETTING_SECRET;
}

static void hide_set(char *arg)
{
	char *eq = strchr(arg, '=');

	if (eq)
		hide(eq + 1, is_secret_key(slice(arg, (size_t)(eq - arg))));
}

/* Anything that may name a secret, also one that a typing error made unknown. */
static bool is_secret_env(struct slice name)
{
	static const char *const parts[] = { "PASSWORD", "TOKEN", "SECRET" };

	if (name.len > 5 && slice_eq(slice_from(name, name.len - 5), S("_FILE")))
		return false;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (memmem(name.ptr, name.len, parts[i], strlen(parts[i])))
			return true;
	return false;
}

static void take_env(struct config_options *o, char **envp)
{
	for (; envp && *envp; envp++) {
		char *eq = strchr(*envp, '=');

		if (!eq || strncmp(*envp, "ZPUSHD_", 7) != 0)
			continue;
		add(&o->env, &o->n_env, slice_str(*envp));
		hide(eq + 1, is_secret_env(slice(*envp, (size_t)(eq - *envp))));
	}
}

/* The value of an option: behind "=", or the next word. NULL: there is none. */
static char *value_of(struct options_reader *r, const char *name)
{
	char *arg = r->argv[r->at];
	size_t n = strlen(name);

	if (strncmp(arg, name, n) == 0 && arg[n] == '=')
		return arg + n + 1;
	return r->at + 1 < r->argc ? r->argv[++r->at] : NULL;
}

static bool is_option(const char *arg, const char *name)
{
	size_t n = strlen(name);

	return strncmp(arg, name, n) == 0 && (arg[n] == 0 || (arg[n] == '=' && name[1] == '-'));
}

static int take_set(struct options_reader *r, struct err *e)
{
	char *v = value_of(r, "--set");

	if (!v || !strchr(v, '='))
		return err_set(e, ERR_CONFIG, "--set %s: section.key=value is wanted", v ? v : "");
	add(&r->o->sets, &r->o->n_sets, slice_str(v));
	hide_set(v);
	return 0;
}

static int take_file(struct options_reader *r, const char *name, struct err *e)
{
	char *v = value_of(r, name);

	if (!v || !*v)
		return err_set(e, ERR_CONFIG, "%s wants a file name", name);
	free(r->o->file);
	r->o->file = mem_str(slice_str(v));
	return 0;
}

static int take_option(struct options_reader *r, struct err *e)
{
	const char *arg = r->argv[r->at];

	if (is_option(arg, "--set"))
		return take_set(r, e);
	if (is_option(arg, "-c"))
		return take_file(r, "-c", e);
	if (is_option(arg, "--config"))
		return take_file(r, "--config", e);
	if (strcmp(arg, "admin") == 0) {
		r->o->action = CONFIG_ADMIN;
		r->o->admin_argc = r->argc - r->at - 1;
		r->o->admin_argv = r->argv + r->at + 1;
		r->at = r->argc;
		return 0;
	}
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		if (strcmp(arg, actions[i].name) == 0) {
			r->o->action = actions[i].action;
			return 0;
		}
	}
	return err_set(e, ERR_CONFIG, "unknown option %s; see zpushd --help", arg);
}

int config_main_options(int argc, char **argv, char **envp, struct config_options *o_r, struct err *e)
{
	struct options_reader r = { .o = o_r, .argc = argc, .at = 1, .argv = argv };

	memset(o_r, 0, sizeof(*o_r));
	take_env(o_r, envp);
	for (; r.at < argc; r.at++) {
		if (take_option(&r, e) < 0) {
			config_options_free(o_r);
			return -1;
		}
	}
	return 0;
}

static void free_list(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		mem_wipe(list[i], strlen(list[i]));
		free(list[i]);
	}
	free(list);
}

void config_options_free(struct config_options *o)
{
	free(o->file);
	free_list(o->sets, o->n_sets);
	free_list(o->env, o->n_env);
	memset(o, 0, sizeof(*o));
}
