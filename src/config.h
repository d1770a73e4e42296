/* config.h - from the command line to one snapshot of settings.
 * Command line > environment > file > default; every fault names its key and
 * where it stands. Main thread at start, the loop at SIGHUP (a file read, done
 * before anything waits on it).
 * Secrets given by environment or --set are copied here and overwritten where
 * /proc shows them. */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdio.h>

#include "base/settings_table.h"

enum config_action {
	CONFIG_RUN,
	CONFIG_CHECK,          /* --check */
	CONFIG_PRINT,          /* --print-config */
	CONFIG_PRINT_DEFAULTS, /* --print-defaults: zpushd.toml as it is documented */
	CONFIG_VERSION,
	CONFIG_HELP,
	CONFIG_ADMIN,          /* zpushd admin ...: admin_argv */
};

struct config_options {
	enum config_action action;
	char *file;          /* -c; NULL: ./zpushd.toml, else /etc/zpushd/zpushd.toml, when there */
	char **sets;         /* "section.key=value" */
	size_t n_sets;
	char **env;          /* "ZPUSHD_...=value" */
	size_t n_env;
	int admin_argc;      /* words behind "admin" */
	char **admin_argv;   /* borrowed from argv */
};

/* Parses argv and takes a copy of the ZPUSHD_ part of envp. -1 ERR_CONFIG: wrong
 * usage. Free with config_options_free. */
int config_main_options(int argc, char **argv, char **envp, struct config_options *o_r, struct err *e);
void config_options_free(struct config_options *o);
const char *config_usage(void);

enum config_level { CONFIG_WARNING, CONFIG_ERROR };
/* One call a fault: "zpushd.toml:3:7: store.uri: no such key; did you mean store.url?" */
typedef void config_report_fn(void *arg, enum config_level level, const char *text);

/* -1 with the first error in *e when there was any; all are reported (report may
 * be NULL). The snapshot is the caller's. */
int config_load(struct settings **s_r, const struct config_options *o, config_report_fn *report, void *arg,
		struct err *e);
/* SIGHUP: as config_load, but keys that need a restart keep the value of `old`,
 * with a warning for each that was changed. On -1 the old snapshot goes on. */
int config_reload(struct settings **s_r, const struct settings *old, const struct config_options *o,
		  config_report_fn *report, void *arg, struct err *e);

/* What contradicts, is missing together, or deserves a warning; config_load calls it. */
void config_check(const struct settings *s, const struct config_options *o, config_report_fn *report, void *arg);

/* Every key as TOML with where its value came from; secrets and passwords in
 * URLs are masked. */
void config_print(FILE *f, const struct settings *s);
void config_print_defaults(FILE *f);

#endif
