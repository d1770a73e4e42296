/* local.h - the backend on local disk: Maildir++ below local.root/NAME/Maildir
 * and an accounts file (format in accounts.h). What the server's start and
 * `zpushd admin user` use. Any thread, blocking. */
#ifndef BACKEND_LOCAL_LOCAL_H
#define BACKEND_LOCAL_LOCAL_H

#include "backend/backend.h"

extern const struct backend_ops local_backend_ops;

/* What ops.open reads from the settings; for tests and tools without them. */
struct local_conf {
	const char *root, *users;
	const struct clock *clock;
	const struct rnd *rnd;
	const struct backend_ops *relay; /* for other people's addresses; NULL: they are refused */
	const struct be_env *relay_env;
};
int local_new(struct backend **b_r, const struct local_conf *c, struct err *e);

/* Where things are: local.users and local.root, by default "users" and "mail" in server.data_dir. */
struct slice local_users_path(const struct settings *s, struct arena *a);
struct slice local_root_path(const struct settings *s, struct arena *a);

/* First start: without an accounts file (and only then) makes data directory, one
 * account with a random password, and sample mail. */
struct local_first {
	bool made;
	char user[32], password[32], address[64];
};
int local_setup(const struct settings *s, const struct rnd *rnd, struct local_first *f_r, struct err *e);

/* Accounts. `users` is the path of the file. -1: ERR_EXISTS, ERR_NOT_FOUND, ERR_BAD_REQUEST
 * (a name or a text that the file cannot hold), ERR_BACKEND_TEMP. Atomic; other lines stay. */
enum { LOCAL_ROUNDS = 100000 }; /* PBKDF2: about 0.1 s a login; auth.cache keeps them rare */
int local_user_add(const char *users, struct slice name, struct slice password, struct slice address,
		   struct slice display, const struct rnd *rnd, struct err *e);
int local_user_password(const char *users, struct slice name, struct slice password, const struct rnd *rnd,
			struct err *e);
int local_user_remove(const char *users, struct slice name, struct err *e); /* the mails stay */
/* For each account in the file's order. */
int local_user_list(const char *users, void (*fn)(void *arg, struct slice name, struct slice address, struct slice display),
		    void *arg, struct err *e);

#endif
