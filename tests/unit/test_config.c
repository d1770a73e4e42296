/* test_config.c - file, environment and command line to one snapshot; the
 * documented zpushd.toml; every fault with its place. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"

struct heard {
	char errors[4000], warnings[4000];
	int n_errors, n_warnings;
};

static void hear(void *arg, enum config_level level, const char *text)
{
	struct heard *h = arg;
	char *to = level == CONFIG_ERROR ? h->errors : h->warnings;
	size_t at = strlen(to);

	snprintf(to + at, sizeof(h->errors) - at, "%s\n", text);
	*(level == CONFIG_ERROR ? &h->n_errors : &h->n_warnings) += 1;
}

static char path[64];

static void write_file(const char *doc)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/zpushd-test-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || write(fd, doc, strlen(doc)) != (ssize_t)strlen(doc))
		abort();
	close(fd);
}

/* doc may be NULL: no file. sets and env end with NULL. */
static struct settings *load(const char *doc, char **sets, char **env, struct heard *h, struct err *e)
{
	static char *none[] = { NULL };
	char *argv[20] = { "zpushd", "-c", NULL };
	struct config_options o;
	struct settings *s;
	int argc = 3;

	write_file(doc ? doc : "");
	argv[2] = path;
	for (; sets && *sets; sets++) {
		argv[argc++] = "--set";
		argv[argc++] = *sets;
	}
	memset(h, 0, sizeof(*h));
	CHECK_INT(config_main_options(argc, argv, env ? env : none, &o, e), 0);
	config_load(&s, &o, hear, h, e);
	config_options_free(&o);
	unlink(path);
	return s;
}

static void refuse(const char *doc, const char *place, const char *part)
{
	struct heard h;
	struct err e = { .code = ERR_NONE };
	struct settings *s = load(doc, NULL, NULL, &h, &e);
	char want[80];

	snprintf(want, sizeof(want), "%s%s:", path, place);
	if (s || h.n_errors != 1 || !strstr(h.errors, want) || !strstr(h.errors, part))
		test_fail(__FILE__, __LINE__, "\"%s\": heard \"%s\", want \"%s ... %s\"", doc, h.errors, want, part);
	CHECK_INT(e.code, ERR_CONFIG);
}

CASE(config_names_faults_by_line_and_column)
{
	refuse("[store]\nuri = \"redis://h:1/0\"\n", ":2:1", "did you mean store.url?");
	refuse("[stor]\nurl = \"embedded:\"\n", ":2:1", "did you mean store.url?");
	refuse("[imap]\nworkers = 3\n", ":2:1", "did you mean server.workers?");
	refuse("[server]\nworkers = \"3\"\n", ":2:11", "whole number, without quotes");
	refuse("[server]\n  workers = 1\n", ":2:13", "2 to 4096");
	refuse("[server]\ndrain = 20\n", ":2:9", "duration in quotes");
	refuse("[tls]\nmin_version = 1.2\n", ":2:15", "word in quotes");
	refuse("[push]\nsources = [\"idle\", 7]\n", ":2:20", "list of strings");
	refuse("[push]\nsources = [\"idle\", \"crow\"]\n", ":2:11", "crow");
	refuse("[imap]\nshared = true\nshared = false\n", ":3:10", "cannot redefine");
	refuse("[imap\n", ":1:6", "");
	refuse("x = \n", ":1:5", "expected value");
	refuse("policy.users.\"a@b\".require = \"off\"\n", ":1:20", "no such key");
	refuse("[policy.users.\"a@b\"]\nMinDevicePasswordLength = 40\n", ":2:27", "1 to 16");
	refuse("[[client]]\nwindow = 0\n", ":2:10", "1 to 512");
	refuse("[[client]]\nwindows = 5\n", ":2:1", "did you mean client.window?");
	refuse("client.window = 5\n", ":1:8", "no such key");
	refuse("[a.b.c.d.e.f.g.h.i.j]\nk = 1\n", ":1:16", "no such key");
}

CASE(config_reports_all_faults_of_a_file)
{
	struct heard h;
	struct err e;

	CHECK(load("[server]\nworkers = 1\nport = 5\n[log]\nlevel = \"loud\"\n", NULL, NULL, &h, &e) == NULL);
	CHECK_INT(h.n_errors, 3);
	CHECK(strstr(h.errors, "server.workers") && strstr(h.errors, "server.port") && strstr(h.errors, "log.level"));
}

CASE(config_precedence)
{
	struct heard h;
	struct err e;
	char *sets[] = { "log.level=error", "server.listen=127.0.0.1:1,[::1]:2", NULL };
	char env1[] = "ZPUSHD_LOG_LEVEL=warn", env2[] = "ZPUSHD_LOG_FORMAT=json", env3[] = "PATH=/bin";
	char *env[] = { env1, env2, env3, NULL };
	struct settings *s = load("[log]\nlevel = \"debug\"\nformat = \"logfmt\"\nfile = \"x\"\n", sets, env, &h, &e);
	const struct slice *items;
	char at[80];

	CHECK(s);
	CHECK_STR(settings_str(s, "log.level"), "error");
	CHECK_STR(settings_str(s, "log.format"), "json");
	CHECK_STR(settings_str(s, "log.file"), "x");
	CHECK_STR(slice_str(settings_origin(s, "log.level")), "--set");
	CHECK_STR(slice_str(settings_origin(s, "log.format")), "environment ZPUSHD_LOG_FORMAT");
	snprintf(at, sizeof(at), "%s:4:8", path);
	CHECK_STR(slice_str(settings_origin(s, "log.file")), at);
	CHECK_INT(settings_list(s, "server.listen", &items), 2);
	CHECK_STR(items[1], "[::1]:2");
	settings_unref(&s);
}

CASE(config_names_faults_of_environment_and_set)
{
	struct heard h;
	struct err e;
	char *sets[] = { "store.uri=x", NULL };
	char env1[] = "ZPUSHD_SERVER_WORKERS=none", env2[] = "ZPUSHD_STORE_URI=x", env3[] = "ZPUSHD_TEST_REDIS=x";
	char *env[] = { env1, env2, env3, NULL };

	CHECK(load(NULL, sets, env, &h, &e) == NULL);
	CHECK_INT(h.n_errors, 2);
	CHECK_INT(h.n_warnings, 1);
	CHECK(strstr(h.errors, "environment ZPUSHD_SERVER_WORKERS: server.workers: must be a whole number"));
	CHECK(strstr(h.errors, "--set store.uri: no such key; did you mean store.url?"));
	CHECK(strstr(h.warnings, "ZPUSHD_STORE_URI: names no key; did you mean store.url?"));
}

CASE(config_hides_secrets_in_proc)
{
	struct heard h;
	struct err e;
	char set1[] = "admin.token=topsecret", set2[] = "store.url=redis://u:topsecret@127.0.0.1:1/0";
	char env1[] = "ZPUSHD_PUSH_NOTIFY_TOKEN=topsecret";
	char *sets[] = { set1, set2, NULL }, *env[] = { env1, NULL };
	struct settings *s = load(NULL, sets, env, &h, &e);
	char *out;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	CHECK(s);
	CHECK_STR(settings_str(s, "admin.token"), "topsecret");
	CHECK_STR(settings_str(s, "push.notify_token"), "topsecret");
	CHECK(!strstr(set1, "topsecret") && !strstr(set2, "topsecret") && !strstr(env1, "topsecret"));
	config_print(f, s);
	fclose(f);
	CHECK(!strstr(out, "topsecret"));
	CHECK(strstr(out, "url = \"redis://u:***@127.0.0.1:1/0\"  # --set"));
	CHECK(strstr(out, "notify_token = \"***\"  # environment ZPUSHD_PUSH_NOTIFY_TOKEN"));
	free(out);
	settings_unref(&s);
}

CASE(config_reads_a_secret_from_a_file)
{
	struct heard h;
	struct err e;
	char env1[200], env2[] = "ZPUSHD_SMTP_PASSWORD_FILE=/nonexistent/x", secret[] = "/tmp/zpushd-test-XXXXXX";
	char *env[] = { env1, NULL }, *bad[] = { env2, NULL };
	int fd = mkstemp(secret);
	struct settings *s;

	CHECK(fd >= 0 && write(fd, "s3 cret\r\n", 9) == 9);
	close(fd);
	snprintf(env1, sizeof(env1), "ZPUSHD_ADMIN_TOKEN_FILE=%s", secret);
	s = load(NULL, NULL, env, &h, &e);
	unlink(secret);
	CHECK(s);
	CHECK_STR(settings_str(s, "admin.token"), "s3 cret");
	settings_unref(&s);
	CHECK(load(NULL, NULL, bad, &h, &e) == NULL);
	CHECK(strstr(h.errors, "ZPUSHD_SMTP_PASSWORD_FILE: smtp.password: /nonexistent/x: "));
}

static void contradicts(const char *doc, const char *part)
{
	struct heard h;
	struct err e;
	struct settings *s = load(doc, NULL, NULL, &h, &e);

	if (s || !strstr(h.errors, part))
		test_fail(__FILE__, __LINE__, "\"%s\": heard \"%s\", want \"%s\"", doc, h.errors, part);
}

CASE(config_cross_checks)
{
	struct heard h;
	struct err e;
	char env1[] = "ZPUSHD_CONTAINER=1", env2[] = "ZPUSHD_STORE_URL=redis://r:6379/0";
	char *container[] = { env1, NULL }, *both[] = { env1, env2, NULL };
	struct settings *s;

	contradicts("[backend]\nmail = \"imap\"\n", "imap.url: is needed");
	contradicts("[backend]\nmail = \"imap\"\n[imap]\nurl = \"http://x\"\n", "imap.url: must begin");
	contradicts("[tls]\ncertificate = \"/x\"\n", "give both or none");
	contradicts("[store]\nurl = \"mysql://x\"\n", "store.url: must begin");
	contradicts("[smtp]\nauth = \"fixed\"\n", "smtp.user");
	contradicts("[server]\nproxy_protocol = true\n", "trusted_proxies");
	contradicts("[server]\ntrusted_proxies = [\"10.0.0.0/33\"]\n", "10.0.0.0/33");
	contradicts("[push]\nheartbeat_min = \"20m\"\nheartbeat_max = \"10m\"\n", "heartbeat_min");
	contradicts("[server]\nlisten = []\nlisten_tls = []\n", "both are empty");
	CHECK(load(NULL, NULL, container, &h, &e) == NULL);
	CHECK(strstr(h.errors, "store.url: must be given in a container"));
	s = load(NULL, NULL, both, &h, &e);
	CHECK(s);
	settings_unref(&s);
	s = load("[tls]\nmin_version = \"1.0\"\n[net]\ntls_verify = false\n", NULL, NULL, &h, &e);
	CHECK(s && h.n_warnings == 2);
	settings_unref(&s);
}

CASE(config_the_ten_lines_are_enough)
{
	struct heard h;
	struct err e;
	struct settings *s = load("[store]\nurl = \"redis://127.0.0.1:6379/0\"\n[backend]\nmail = \"imap\"\n[imap]\n"
				  "url = \"imap://127.0.0.1:143\"\n[smtp]\nurl = \"smtp://127.0.0.1:25\"\n",
				  NULL, NULL, &h, &e);

	CHECK(s);
	CHECK_INT(h.n_warnings, 0);
	CHECK_STR(settings_str(s, "imap.url"), "imap://127.0.0.1:143");
	settings_unref(&s);
}

CASE(config_lists_policies_and_clients_of_a_file)
{
	struct heard h;
	struct err e;
	const struct slice *items;
	struct slice v;
	struct settings *s = load("[policy]\nAllowCamera = true\nApprovedApplicationList = [\"a\", \"b\"]\n"
				  "[policy.users.\"j.doe@example.org\"]\nAllowCamera = false\n"
				  "[devices]\nallow = \"all\"\n"
				  "[[client]]\ntype = \"a,b*\"\nwindow = 25\n[[client]]\nheartbeat_max = \"8m\"\n",
				  NULL, NULL, &h, &e);

	CHECK(s);
	CHECK(settings_user_str(s, S("j.doe@example.org"), "AllowCamera", &v));
	CHECK_STR(v, "0");
	CHECK(settings_user_str(s, S("x"), "AllowCamera", &v));
	CHECK_STR(v, "1");
	CHECK_INT(settings_list(s, "policy.ApprovedApplicationList", &items), 2);
	CHECK_INT(settings_list(s, "devices.allow", &items), 1);
	CHECK_INT(settings_clients(s), 2);
	CHECK_STR(settings_client_str(s, 0, "type"), "a,b*");
	CHECK_INT(settings_client_num(s, 1, "heartbeat_max", 0), 480000);
	settings_unref(&s);
}

static struct config_options options_with(char *set)
{
	char *argv[] = { "zpushd", "--set", set, "-c", "/dev/null", NULL }, *env[] = { NULL };
	struct config_options o;
	struct err e;

	CHECK_INT(config_main_options(5, argv, env, &o, &e), 0);
	return o;
}

CASE(config_reload_keeps_what_needs_a_restart)
{
	struct heard h = { .n_errors = 0 };
	struct err e;
	struct config_options one = options_with((char[]){ "server.listen=127.0.0.1:1" });
	struct config_options two = options_with((char[]){ "server.listen=127.0.0.1:2" });
	struct config_options three = options_with((char[]){ "log.level=warn" });
	struct settings *a, *b, *c;
	const struct slice *items;

	CHECK_INT(config_load(&a, &one, hear, &h, &e), 0);
	CHECK_INT(config_reload(&b, a, &two, hear, &h, &e), 0);
	CHECK_INT(settings_list(b, "server.listen", &items), 1);
	CHECK_STR(items[0], "127.0.0.1:1");
	CHECK(strstr(h.warnings, "server.listen: changed, but needs a restart"));
	CHECK_INT(config_reload(&c, a, &three, hear, &h, &e), 0);
	CHECK_STR(settings_str(c, "log.level"), "warn");
	settings_unref(&a);
	settings_list(b, "server.listen", &items);
	CHECK_STR(items[0], "127.0.0.1:1");
	settings_unref(&b);
	settings_unref(&c);
	config_options_free(&one);
	config_options_free(&two);
	config_options_free(&three);
}

CASE(config_options_of_the_command_line)
{
	char *env[] = { NULL };
	char *admin[] = { "zpushd", "--config=/x", "admin", "devices", "--json", NULL };
	char *bad[] = { "zpushd", "--sett", NULL }, *open[] = { "zpushd", "--set", NULL };
	char *check[] = { "zpushd", "--check", "--set=a.b=c=d", NULL };
	struct config_options o;
	struct err e;

	CHECK_INT(config_main_options(5, admin, env, &o, &e), 0);
	CHECK_INT(o.action, CONFIG_ADMIN);
	CHECK_INT(o.admin_argc, 2);
	CHECK_STR(slice_str(o.admin_argv[1]), "--json");
	CHECK_STR(slice_str(o.file), "/x");
	config_options_free(&o);
	CHECK_INT(config_main_options(2, bad, env, &o, &e), -1);
	CHECK(strstr(e.text, "--sett"));
	CHECK_INT(config_main_options(2, open, env, &o, &e), -1);
	CHECK_INT(config_main_options(3, check, env, &o, &e), 0);
	CHECK_INT(o.action, CONFIG_CHECK);
	CHECK_STR(slice_str(o.sets[0]), "a.b=c=d");
	config_options_free(&o);
}

/* zpushd.toml without the "# " before every key and table, its prose dropped;
 * what has no default ([policy] samples, [[client]]) left out. */
static char *uncommented(struct slice doc)
{
	char *out = arena_alloc(test_arena(), doc.len + 1);
	size_t at = 0;
	struct slice line;
	bool skip = false;

	while (slice_split(&doc, '\n', &line)) {
		struct slice body = slice_starts(line, S("# ")) ? slice_from(line, 2) : line;
		size_t key = 0;

		while (key < body.len && (body.ptr[key] == '_' || (body.ptr[key] >= 'a' && body.ptr[key] <= 'z')))
			key++;
		if (slice_eq(body, S("[[client]]")))
			skip = true;
		if (!skip && (slice_starts(line, S("[")) || (key && slice_starts(slice_from(body, key), S(" = "))))) {
			memcpy(out + at, body.ptr, body.len);
			at += body.len;
			out[at++] = '\n';
		}
	}
	return out;
}

CASE(config_documented_defaults_are_the_defaults)
{
	struct heard h;
	struct err e;
	size_t n;
	const struct setting *t = settings_table(&n);
	struct settings *d = settings_new(), *s = load(uncommented(test_file("zpushd.toml")), NULL, NULL, &h, &e);

	if (!s)
		test_fail(__FILE__, __LINE__, "%s", h.errors);
	for (size_t i = 0; i < n; i++) {
		if (t[i].flags & SETTING_UNSET)
			continue;
		if (!settings_given(s, t[i].name))
			test_fail(__FILE__, __LINE__, "zpushd.toml does not document %s", t[i].name);
		CHECK_SLICE(settings_text(s, t[i].name), settings_text(d, t[i].name));
	}
	settings_unref(&s);
	settings_unref(&d);
}

CASE(config_documented_file_is_the_printed_one)
{
	char *out;
	size_t n;
	FILE *f = open_memstream(&out, &n);
	bool same;

	config_print_defaults(f);
	fclose(f);
	same = slice_eq(slice(out, n), test_file("zpushd.toml"));
	free(out);
	if (!same)
		test_fail(__FILE__, __LINE__, "zpushd.toml is stale: build/zpushd --print-defaults > zpushd.toml");
}
