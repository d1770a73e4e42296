/* main.c - options, then one init line a room, the loop, and the same lines
 * backwards. Main thread; after loop_new it is the loop's thread. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <malloc.h>

#include "backend/local/local.h"
#include "base/blob.h"
#include "base/log.h"
#include "config.h"
#include "loop/loop.h"
#include "loop/park.h"
#include "loop/side.h"
#include "work/admin.h"
#include "work/auth.h"
#include "work/crash.h"
#include "work/datadir.h"
#include "work/work.h"

#ifndef ZPUSHD_VERSION
#define ZPUSHD_VERSION "0.1.0"
#endif

enum { OLD_WORKS = 1024 };

struct daemon {
	const char *program;         /* as it was called, for words to people */
	struct config_options options;
	struct settings *settings;
	struct work *work;
	struct work *old[OLD_WORKS]; /* renewed: jobs in flight may hold them; freed at the end */
	size_t n_old;
	struct loop *loop;
	struct park_room *park;
	struct side *notify, *admin;
	struct arena *strings;       /* what the loop points at */
	int lock_fd;
	unsigned plain_port, tls_port;
};

/* --- words for people ------------------------------------------------------------------- */

static void report(void *arg, enum config_level level, const char *text)
{
	fprintf(stderr, "zpushd: %s%s\n", level == CONFIG_WARNING ? "warning: " : "", text);
}

static int refuse(const struct err *e)
{
	fprintf(stderr, "zpushd: %s%s%s%s\n", e->text, *err_advice(e->code) ? " (" : "", err_advice(e->code),
		*err_advice(e->code) ? ")" : "");
	return 1;
}

static void say_first_start(const struct local_first *f, const struct daemon *d)
{
	char host[256] = "";

	if (!f->made)
		return;
	if (gethostname(host, sizeof(host) - 1) < 0)
		snprintf(host, sizeof(host), "localhost");
	printf("\nA first account with sample mail was made. On a phone, add an Exchange account:\n\n"
	       "    e-mail     %s\n", f->address);
	if (d->tls_port)
		printf("    server     %s:%u, or this machine's address (TLS, self-signed: accept it)\n", host, d->tls_port);
	if (d->plain_port)
		printf("               or port %u on the loopback without TLS\n", d->plain_port);
	printf("    domain     (empty)\n    user       %s\n    password   %s\n\n"
	       "The password is shown this once. Another account: %s admin user add NAME\n\n",
	       f->user, f->password, d->program);
	fflush(stdout);
}

/* --- start -------------------------------------------------------------------------------- */

static enum log_level level_of(struct slice word)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };

	for (int i = 0; i < 4; i++)
		if (slice_eq(word, slice_str(names[i])))
			return (enum log_level)i;
	return LOG_INFO;
}

static int open_log(const struct settings *s, struct err *e)
{
	char *file = mem_str(settings_str(s, "log.file"));
	int rc = log_open(file, level_of(settings_str(s, "log.level")),
			  slice_eq(settings_str(s, "log.format"), S("json")) ? LOG_JSON : LOG_LOGFMT, e);

	free(file);
	return rc;
}

static int prepare_dirs(struct daemon *d, struct local_first *first, struct err *e)
{
	struct arena *a = arena_new();
	struct slice spill = datadir_path(a, d->settings, S_NONE, "spill");
	int rc = datadir_open(d->settings, e);

	if (rc == 0 && datadir_needs_lock(d->settings))
		rc = datadir_lock(d->settings, &d->lock_fd, e);
	if (rc == 0 && mkdir(spill.ptr, 0700) < 0 && errno != EEXIST)
		rc = err_set(e, ERR_CONFIG, "%s: %s", spill.ptr, strerror(errno));
	if (rc == 0)
		blob_set_dir(mem_str(spill)); /* as long as the process */
	if (rc == 0 && slice_eq(settings_str(d->settings, "backend.mail"), S("local")))
		rc = local_setup(d->settings, &rnd_system, first, e);
	arena_free(&a);
	return rc;
}

static int check_store(struct daemon *d, struct err *e)
{
	struct arena *a = arena_new();
	struct slice warning = S_NONE;
	int rc = store_check(d->work->store, a, &warning, e);

	/* A fleet may start before its store does: phones get 503 until then. */
	if (rc < 0)
		LOG_W("store_not_ready", L_ERR(e));
	else if (warning.len)
		LOG_W("store_warning", L_S("reason", warning));
	arena_free(&a);
	return 0;
}

static int listen_all(struct daemon *d, const char *key, enum listen_kind kind, unsigned *port_r, struct err *e)
{
	const struct slice *v;
	size_t n = settings_list(d->settings, key, &v);

	for (size_t i = 0; i < n; i++) {
		unsigned port = 0;

		if (loop_listen(d->loop, v[i], kind, &port, e) < 0)
			return err_add(e, "%s", key);
		if (i == 0)
			*port_r = port;
		LOG_I("listening", L_Z("key", key), L_S("address", v[i]), L_I("port", port),
		      L_Z("tls", kind == LISTEN_TLS ? "yes" : "no"));
	}
	return 0;
}

static int listen_sides(struct daemon *d, struct err *e)
{
	struct slice notify = settings_str(d->settings, "push.notify_listen");
	struct slice admin = settings_str(d->settings, "admin.listen"), token;
	struct arena *a = arena_new();
	unsigned port = 0;
	int rc = 0;

	if (notify.len) {
		rc = datadir_notify_token(a, d->settings, d->work->rnd, &token, e);
		if (rc == 0)
			rc = side_listen(&d->notify, d->loop, d->park, SIDE_NOTIFY, notify, token, &port, e);
		if (rc == 0)
			LOG_I("listening", L_Z("key", "push.notify_listen"), L_S("address", notify), L_I("port", port));
	}
	if (rc == 0 && admin.len) {
		rc = datadir_admin_token(a, d->settings, d->work->rnd, &token, e);
		if (rc == 0)
			rc = side_listen(&d->admin, d->loop, d->park, SIDE_ADMIN, admin, token, &port, e);
		if (rc == 0)
			LOG_I("listening", L_Z("key", "admin.listen"), L_S("address", admin), L_I("port", port));
	}
	arena_free(&a);
	return rc;
}

static int drop_privileges(const struct settings *s, struct err *e)
{
	char *user = mem_str(settings_str(s, "server.user")), *group = mem_str(settings_str(s, "server.group"));
	struct passwd *pw = *user ? getpwnam(user) : NULL;
	struct group *gr = *group ? getgrnam(group) : NULL;
	gid_t gid = gr ? gr->gr_gid : pw ? pw->pw_gid : 0;
	int rc = 0;

	if (*user && !pw)
		rc = err_set(e, ERR_CONFIG, "server.user: there is no user %s", user);
	else if (*group && !gr)
		rc = err_set(e, ERR_CONFIG, "server.group: there is no group %s", group);
	else if (pw && geteuid() == 0 &&
		 (initgroups(user, gid) < 0 || setgid(gid) < 0 || setuid(pw->pw_uid) < 0))
		rc = err_set(e, ERR_CONFIG, "server.user: cannot become %s: %s", user, strerror(errno));
	free(user);
	free(group);
	return rc;
}

/* --- SIGHUP ---------------------------------------------------------------------------------- */

static void log_report(void *arg, enum config_level level, const char *text)
{
	LOG_AT(level == CONFIG_WARNING ? LOG_WARN : LOG_ERROR, "config", L_Z("reason", text));
}

static void reload_certificate(struct daemon *d, struct loop *l)
{
	char *cert = mem_str(settings_str(d->settings, "tls.certificate"));
	char *key = mem_str(settings_str(d->settings, "tls.key"));
	struct err e;

	if (d->tls_port && loop_reload_tls(l, cert, key, &e) < 0)
		LOG_E("certificate_not_reloaded", L_ERR(&e));
	free(cert);
	free(key);
}

/* What earlier reloads replaced may be held by a job; when none is out it can go. */
static void free_old_works(struct daemon *d, struct loop *l)
{
	struct jobs_stats js;
	unsigned out = 0;

	jobs_stats(loop_jobs(l), &js);
	for (int c = 0; c < JOB_CLASSES; c++)
		out += js.queued[c] + js.running[c];
	while (out == 0 && d->n_old)
		work_free(&d->old[--d->n_old]);
}

static void on_reload(void *arg, struct loop *l)
{
	struct daemon *d = arg;
	struct settings *fresh = NULL;
	struct work *work = NULL;
	struct loop_config cfg;
	struct err e = { 0 };

	free_old_works(d, l);
	if (d->n_old == OLD_WORKS) {
		LOG_W("reload_refused", L_Z("do", "too many reloads under load; restart, or reload at a calmer time"));
		return;
	}
	if (config_reload(&fresh, d->settings, &d->options, log_report, NULL, &e) < 0 ||
	    work_renew(&work, d->work, fresh, &e) < 0) {
		LOG_E("reload_refused", L_ERR(&e));
		settings_unref(&fresh);
		return;
	}
	d->old[d->n_old++] = d->work;
	d->work = work;
	settings_unref(&d->settings);
	d->settings = fresh;
	loop_set_work(l, work);
	if (loop_config_load(&cfg, fresh, &e) < 0)
		LOG_E("limits_not_reloaded", L_ERR(&e));
	else
		loop_configure(l, &cfg);
	park_configure(d->park, fresh);
	if (open_log(fresh, &e) < 0)
		LOG_E("log_not_reopened", L_ERR(&e));
	reload_certificate(d, l);
	LOG_I("reloaded", L_I("times", d->n_old));
}

/* --- run --------------------------------------------------------------------------------------- */

static int new_loop(struct daemon *d, struct err *e)
{
	struct loop_config cfg;
	const struct settings *s = d->settings;
	struct arena *a = d->strings = arena_new();
	struct loop_deps deps = {
		.clock = &clock_system, .rnd = &rnd_system, .work = d->work,
		.data_dir = arena_str(a, settings_str(s, "server.data_dir")),
		.certificate = arena_str(a, settings_str(s, "tls.certificate")),
		.key = arena_str(a, settings_str(s, "tls.key")),
		.tls_min_version = arena_str(a, settings_str(s, "tls.min_version")),
		.secret = auth_secret(d->work->auth), .on_reload = on_reload, .reload_arg = d,
	};

	loop_config_default(&cfg);
	if (loop_config_load(&cfg, s, e) < 0)
		return -1;
	return loop_new(&d->loop, &cfg, &deps, e);
}

static int start(struct daemon *d, struct local_first *first, struct err *e)
{
	if (open_log(d->settings, e) < 0 || prepare_dirs(d, first, e) < 0 ||
	    work_new(&d->work, d->settings, &clock_system, &rnd_system, e) < 0 || check_store(d, e) < 0 ||
	    new_loop(d, e) < 0 || park_init(&d->park, d->loop, d->settings, e) < 0 ||
	    listen_all(d, "server.listen", LISTEN_PLAIN, &d->plain_port, e) < 0 ||
	    listen_all(d, "server.listen_tls", LISTEN_TLS, &d->tls_port, e) < 0 || listen_sides(d, e) < 0)
		return -1;
	return drop_privileges(d->settings, e);
}

static void stop(struct daemon *d)
{
	side_free(&d->admin);
	side_free(&d->notify);
	park_deinit(&d->park);
	loop_free(&d->loop);
	arena_free(&d->strings);
	while (d->n_old)
		work_free(&d->old[--d->n_old]);
	work_free(&d->work);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
}

static int run(struct daemon *d)
{
	struct local_first first = { 0 };
	struct err e = { 0 };

	/* No core dump and no /proc/PID/mem with passwords in it. */
	prctl(PR_SET_DUMPABLE, 0);
	mallopt(M_ARENA_MAX, 4);
	if (start(d, &first, &e) < 0) {
		refuse(&e);
		say_first_start(&first, d); /* the account is there: its password must not be lost */
		stop(d);
		return 1;
	}
	if (d->work->ring)
		crash_arm(d->work->ring);
	say_first_start(&first, d);
	LOG_I("ready", L_Z("version", ZPUSHD_VERSION), L_I("pid", getpid()), L_I("port", d->plain_port),
	      L_I("tls_port", d->tls_port), L_S("backend", settings_str(d->settings, "backend.mail")));
	loop_run(d->loop);
	stop(d);
	LOG_I("stopped", L_I("pid", getpid()));
	return 0;
}

static int act(struct daemon *d)
{
	struct err e = { 0 };

	switch (d->options.action) {
	case CONFIG_VERSION:
		puts("zpushd " ZPUSHD_VERSION);
		return 0;
	case CONFIG_HELP:
		fputs(config_usage(), stdout);
		return 0;
	case CONFIG_PRINT_DEFAULTS:
		config_print_defaults(stdout);
		return 0;
	default:
		break;
	}
	if (config_load(&d->settings, &d->options, report, NULL, &e) < 0)
		return 1; /* every fault was reported by name and line */
	if (d->options.action == CONFIG_CHECK) {
		puts("the configuration is fine");
		return 0;
	}
	if (d->options.action == CONFIG_PRINT) {
		config_print(stdout, d->settings);
		return 0;
	}
	if (d->options.action == CONFIG_ADMIN)
		return admin_main(d->options.admin_argc, d->options.admin_argv, d->settings);
	return run(d);
}

int main(int argc, char **argv, char **envp)
{
	struct daemon d = { .program = argc ? argv[0] : "zpushd", .lock_fd = -1 };
	struct err e = { 0 };
	int rc;

	if (config_main_options(argc, argv, envp, &d.options, &e) < 0) {
		fprintf(stderr, "zpushd: %s\n%s", e.text, config_usage());
		return 2;
	}
	rc = act(&d);
	settings_unref(&d.settings);
	config_options_free(&d.options);
	return rc;
}
