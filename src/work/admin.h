/* admin.h - what an admin may ask and order, on the store alone: works in the
 * running server, beside it (SQLite), and on Redis. Orders are published, so
 * that waiting phones are woken. Worker or a program of its own.
 *
 * JSON is a public format: members are added, never renamed. */
#ifndef WORK_ADMIN_H
#define WORK_ADMIN_H

#include "base/blob.h"
#include "work/store.h"

enum admin_form { ADMIN_TEXT, ADMIN_JSON };

/* user empty: of all users. */
int admin_devices(struct store *s, const struct clock *clk, struct slice user, enum admin_form form, struct blob *out,
		  struct err *e);
/* ERR_NOT_FOUND when there is no such device. *user may be empty when only one user has that device. */
int admin_wipe(struct store *s, const struct clock *clk, struct slice user, struct slice device, struct err *e);
int admin_unwipe(struct store *s, const struct clock *clk, struct slice user, struct slice device, struct err *e);
int admin_allow(struct store *s, const struct clock *clk, struct slice user, struct slice device, struct err *e);
int admin_block(struct store *s, const struct clock *clk, struct slice user, struct slice device, struct err *e);
/* Forgets the device's state: it starts over. */
int admin_resync(struct store *s, const struct clock *clk, struct slice user, struct slice device, struct err *e);
/* Remembered passwords of the user are dropped on every server. */
int admin_logout(struct store *s, struct slice user, struct err *e);

/* `zpushd admin VERB …` behind "admin": returns the exit status. Output goes to stdout, errors to stderr. */
int admin_main(int argc, char **argv, const struct settings *set);

#endif
