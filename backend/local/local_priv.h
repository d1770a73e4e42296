/* local_priv.h - inside local*.c: the server and a session. */
#ifndef BACKEND_LOCAL_PRIV_H
#define BACKEND_LOCAL_PRIV_H

#include "backend/local/accounts.h"
#include "backend/local/local.h"
#include "backend/local/maildir.h"
#include "backend/local/notify.h"
#include "backend/local/tree.h"
#include "base/role.h"

struct local {
	struct backend backend;
	char *root;
	const struct clock *clock;
	const struct rnd *rnd;
	struct accounts *accounts;
	struct md_cache cache;
	struct notify *notify;
	struct backend *relay; /* NULL: none */
};

struct local_session {
	struct session session;
	struct local *local;
	struct slice user, address, display;
	char *root;            /* root/NAME/Maildir */
	int64_t deadline_ms;
	struct be_cred cred;   /* for the relay; empty without one */
};

struct local_watch {
	struct watch watch;
	struct local_session *session;
	struct notify_watch *notify;
};

/* The Maildir of an account; malloc. */
char *local_home(const struct local *l, struct slice name);
/* The folder, looked at and locked; BE_OK or nothing is held. */
enum be_result local_folder(struct local_session *s, struct slice path, struct maildir **m_r, struct err *e);
/* The same without looking again. */
struct maildir *local_folder_again(struct local_session *s, struct slice path);
void local_folder_done(struct local_session *s, struct maildir **m);

/* local_mail.c, local_send.c: rows of the table in local.c */
enum be_result local_heads(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct arena *a,
			   struct be_head *heads_r, size_t *n_r, struct err *e);
enum be_result local_parts(struct session *s, struct slice folder, struct be_part *parts, size_t n, struct err *e);
enum be_result local_set_flags(struct session *s, struct slice folder, uint64_t num, const struct be_flag_change *c,
			       uint32_t *rev_r, struct err *e);
enum be_result local_move(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct slice dst,
			  uint64_t *new_r, struct err *e);
enum be_result local_remove(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct err *e);
enum be_result local_append(struct session *s, struct slice folder, struct blob *mail, unsigned flags, int64_t date_ms,
			    uint64_t *num_r, struct err *e);
enum be_result local_find_message_id(struct session *s, struct slice folder, struct slice id, uint64_t *num_r,
				     struct err *e);
enum be_result local_submit(struct session *s, struct be_submit *m, struct err *e);
/* One mail into the Inbox below `home`, with a Return-Path. */
enum be_result local_deliver(struct local *l, const char *home, struct slice from, struct blob *mail,
			     int64_t deadline_ms, struct err *e);

#endif
