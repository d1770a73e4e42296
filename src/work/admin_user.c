/* admin_user.c - `zpushd admin user …`: accounts of the backend local. The
 * program's thread; the running server reads the file anew when it changed. */
#include "work/admin_user.h"

#include <stdio.h>

#include "backend/local/local.h"

static const char usage[] =
	"usage: zpushd admin user list\n"
	"       zpushd admin user add|password NAME [--address ADDR] [--name \"Full Name\"] [--password-stdin]\n"
	"       zpushd admin user remove NAME     (the mails stay)\n";

struct words {
	struct slice verb, name, address, display;
	bool from_stdin, bad;
};

static struct words parse(int argc, char **argv)
{
	struct words w = { 0 };

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--address") == 0 && i + 1 < argc)
			w.address = slice_str(argv[++i]);
		else if (strcmp(argv[i], "--name") == 0 && i + 1 < argc)
			w.display = slice_str(argv[++i]);
		else if (strcmp(argv[i], "--password-stdin") == 0)
			w.from_stdin = true;
		else if (argv[i][0] == '-' || w.name.len)
			w.bad = true;
		else if (!w.verb.len)
			w.verb = slice_str(argv[i]);
		else
			w.name = slice_str(argv[i]);
	}
	return w;
}

/* Read, or made: 16 letters and digits that are not mixed up. */
static int get_password(const struct words *w, char *out, size_t size, struct err *e)
{
	static const char digit[] = "abcdefghjkmnpqrstuvwxyz23456789";
	uint8_t r[16];

	if (w->from_stdin) {
		if (!fgets(out, (int)size, stdin))
			return err_set(e, ERR_BAD_REQUEST, "no password on standard input");
		out[strcspn(out, "\r\n")] = 0;
		return *out ? 0 : err_set(e, ERR_BAD_REQUEST, "the password is empty");
	}
	rnd_system.fill(rnd_system.self, r, sizeof(r));
	for (size_t i = 0; i < sizeof(r); i++)
		out[i] = digit[r[i] % (sizeof(digit) - 1)];
	out[sizeof(r)] = 0;
	return 0;
}

static void say_account(void *arg, struct slice name, struct slice address, struct slice display)
{
	printf("%.*s\t%.*s\t%.*s\n", SARG(name), SARG(address), SARG(display));
}

static int run(const char *users, const struct words *w, struct err *e)
{
	char password[256];
	bool add = slice_eq(w->verb, S("add"));
	int rc;

	if (slice_eq(w->verb, S("list")))
		return local_user_list(users, say_account, NULL, e);
	if (slice_eq(w->verb, S("remove")))
		return local_user_remove(users, w->name, e);
	if (get_password(w, password, sizeof(password), e) < 0)
		return -1;
	rc = add ? local_user_add(users, w->name, slice_str(password), w->address, w->display, &rnd_system, e)
		 : local_user_password(users, w->name, slice_str(password), &rnd_system, e);
	if (rc == 0 && !w->from_stdin)
		printf("user      %.*s\npassword  %s\n", SARG(w->name), password);
	mem_wipe(password, sizeof(password));
	return rc;
}

int admin_user_main(int argc, char **argv, const struct settings *set)
{
	struct words w = parse(argc, argv);
	struct arena *a = arena_new();
	struct err e = { 0 };
	bool list = slice_eq(w.verb, S("list"));
	bool known = list || slice_eq(w.verb, S("add")) || slice_eq(w.verb, S("password")) || slice_eq(w.verb, S("remove"));
	int rc = 2;

	if (w.bad || !known || (!list && !w.name.len))
		fputs(usage, stderr);
	else if ((rc = run(arena_str(a, local_users_path(set, a)), &w, &e) < 0))
		fprintf(stderr, "zpushd: %s\n", e.text);
	arena_free(&a);
	return rc;
}
