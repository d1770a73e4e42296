/* test_datadir.c - data_dir and the secrets made at first start. */
#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/settings_table.h"
#include "work/datadir.h"

static char dir[64];

static struct settings *settings_in_new_dir(void)
{
	struct settings *s = settings_new();
	char path[80];

	snprintf(dir, sizeof(dir), "/tmp/zpushd-data-XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/data", dir);
	CHECK_INT(settings_set(s, S("server.data_dir"), slice_str(path), "test", NULL), 0);
	return s;
}

static void remove_dir(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	CHECK_INT(system(cmd), 0);
}

static unsigned mode_of(const char *path)
{
	struct stat st;

	CHECK_INT(stat(path, &st), 0);
	return st.st_mode & 0777;
}

CASE(datadir_is_made_for_one)
{
	struct settings *s = settings_in_new_dir();
	struct arena *a = test_arena();
	int fd, fd2;
	struct err e;

	CHECK_INT(datadir_open(s, &e), 0);
	CHECK_INT(datadir_open(s, &e), 0);
	CHECK_INT(mode_of(datadir_path(a, s, S_NONE, ".").ptr), 0700);
	CHECK_INT(datadir_lock(s, &fd, &e), 0);
	CHECK_INT(datadir_lock(s, &fd2, &e), -1);
	CHECK_INT(e.code, ERR_CONFIG);
	CHECK(strstr(e.text, arena_printf(a, "process %ld", (long)getpid()).ptr));
	close(fd);
	CHECK_INT(datadir_lock(s, &fd, &e), 0);
	close(fd);
	CHECK_INT(chmod(datadir_path(a, s, S_NONE, "").ptr, 0770), 0);
	CHECK_INT(datadir_open(s, &e), -1);
	CHECK_STR(datadir_path(a, s, S("/etc/x"), "y"), "/etc/x");
	settings_unref(&s);
	remove_dir();
}

CASE(datadir_needs_its_lock_where_files_are_its_own)
{
	struct settings *s = settings_new();

	CHECK(datadir_needs_lock(s));
	settings_set(s, S("store.url"), S("redis://h/0"), "test", NULL);
	CHECK(datadir_needs_lock(s));
	settings_set(s, S("backend.mail"), S("imap"), "test", NULL);
	CHECK(!datadir_needs_lock(s));
	settings_unref(&s);
}

CASE(datadir_secrets_are_made_once_and_private)
{
	struct settings *s = settings_in_new_dir();
	struct arena *a = test_arena();
	struct slice one, two, notify;
	uint8_t k1[32], k2[32];
	struct err e;

	CHECK_INT(datadir_open(s, &e), 0);
	CHECK_INT(datadir_admin_token(a, s, &rnd_system, &one, &e), 0);
	CHECK_INT(datadir_admin_token(a, s, &rnd_system, &two, &e), 0);
	CHECK_INT(datadir_notify_token(a, s, &rnd_system, &notify, &e), 0);
	CHECK_SLICE(one, two);
	CHECK_INT(one.len, 32);
	CHECK(!slice_eq(one, notify));
	CHECK_INT(mode_of(datadir_path(a, s, S_NONE, "admin.token").ptr), 0600);
	CHECK_INT(datadir_auth_secret(s, &rnd_system, k1, &e), 0);
	CHECK_INT(datadir_auth_secret(s, &rnd_system, k2, &e), 0);
	CHECK(memcmp(k1, k2, 32) == 0);
	CHECK_INT(mode_of(datadir_path(a, s, S_NONE, "auth.secret").ptr), 0600);
	settings_set(s, S("admin.token"), S("given"), "test", NULL);
	CHECK_INT(datadir_admin_token(a, s, &rnd_system, &one, &e), 0);
	CHECK_STR(one, "given");
	settings_unref(&s);
	remove_dir();
}

CASE(datadir_refuses_a_poor_secret)
{
	struct settings *s = settings_in_new_dir();
	struct arena *a = test_arena();
	struct slice t;
	struct err e;
	FILE *f;

	CHECK_INT(datadir_open(s, &e), 0);
	f = fopen(datadir_path(a, s, S_NONE, "auth.secret").ptr, "w");
	CHECK(f && fputs("short\n", f) >= 0 && fchmod(fileno(f), 0600) == 0);
	fclose(f);
	CHECK_INT(datadir_secret(a, datadir_path(a, s, S_NONE, "auth.secret").ptr, 32, &rnd_system, &t, &e), -1);
	CHECK(strstr(e.text, "16 characters"));
	CHECK_INT(datadir_secret(a, "/nonexistent/dir/secret", 32, &rnd_system, &t, &e), -1);
	settings_unref(&s);
	remove_dir();
}

struct starter {
	const char *path;
	struct arena *a;
	struct slice secret;
	int rc;
};

static void *start(void *arg)
{
	struct starter *p = arg;
	struct err e;

	p->rc = datadir_secret(p->a, p->path, 32, &rnd_system, &p->secret, &e);
	return NULL;
}

CASE(datadir_two_starters_agree_on_a_secret)
{
	struct settings *s = settings_in_new_dir();
	enum { N = 8 };
	struct starter p[N];
	pthread_t t[N];
	struct err e;

	CHECK_INT(datadir_open(s, &e), 0);
	for (int i = 0; i < N; i++) {
		p[i] = (struct starter){ .path = datadir_path(test_arena(), s, S_NONE, "x").ptr, .a = arena_new() };
		pthread_create(&t[i], NULL, start, &p[i]);
	}
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < N; i++) {
		CHECK_INT(p[i].rc, 0);
		CHECK_SLICE(p[i].secret, p[0].secret);
	}
	for (int i = 0; i < N; i++)
		arena_free(&p[i].a);
	settings_unref(&s);
	remove_dir();
}
