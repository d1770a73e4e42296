/* mem.h - the backend in memory: complete, deterministic, and a mailbox that a
 * test can reach into from behind. For tests, the simulation and benchmarks; it
 * is chosen by nothing but them. It is also the worked example of README.md.
 *
 * mem_backend_ops.open makes an empty server; numbers, identities and tokens
 * come from counters, times from env->clock: two runs of one script are equal.
 * Every function below is thread-safe. Strings given in are copied. An empty
 * folder means INBOX.
 *
 * Events: a change is reported for users with an open watch on that folder.
 * Without a hook they are queued for source_fd/source_read (an eventfd); with
 * one they are handed over inside the call that changed, after it is done. */
#ifndef BACKEND_MEM_H
#define BACKEND_MEM_H

#include "backend/backend.h"

extern const struct backend_ops mem_backend_ops;

/* Also makes INBOX, Drafts, Sent, Trash, Junk. Address empty: the user name. */
void mem_add_user(struct backend *b, struct slice user, struct slice password, struct slice address, struct slice name);
void mem_set_password(struct backend *b, struct slice user, struct slice password);
/* Events to fn instead of the queue; NULL: back to the queue. */
void mem_set_hook(struct backend *b, be_event_fn *fn, void *arg);

/* Number of the new mail; 0 when there is no such user or folder. */
uint64_t mem_deliver(struct backend *b, struct slice user, struct slice folder, struct slice mail);

/* What another client does. false / 0 when there is no such thing. */
bool mem_webmail_flag(struct backend *b, struct slice user, struct slice folder, uint64_t num, unsigned mask, unsigned value);
bool mem_webmail_keywords(struct backend *b, struct slice user, struct slice folder, uint64_t num,
			  const struct slice *keywords, size_t n);
uint64_t mem_webmail_move(struct backend *b, struct slice user, struct slice folder, uint64_t num, struct slice dst);
bool mem_webmail_delete(struct backend *b, struct slice user, struct slice folder, uint64_t num);
bool mem_webmail_folder_create(struct backend *b, struct slice user, struct slice path);
bool mem_webmail_folder_rename(struct backend *b, struct slice user, struct slice path, struct slice new_path);
bool mem_webmail_folder_delete(struct backend *b, struct slice user, struct slice path);

/* The server loses its journal: every token so far is answered by a full listing. */
void mem_forget(struct backend *b, struct slice user);
/* The folder is another one from now on (new UIDVALIDITY): mails get new numbers. */
bool mem_renew(struct backend *b, struct slice user, struct slice folder);

/* What submit was given, oldest first; copies in the arena. false past the end. */
struct mem_sent {
	struct slice from, mail;
	const struct slice *rcpt;
	size_t n_rcpt;
};
size_t mem_sent_count(struct backend *b);
bool mem_sent(struct backend *b, size_t i, struct arena *a, struct mem_sent *s_r);

/* Canonical text of a mailbox, for comparison: a line "path type identity" per
 * folder in order of creation, then a line " num flags keywords date hash" per
 * mail that is not marked deleted. Empty for an unknown user. */
struct slice mem_dump(struct backend *b, struct slice user, struct arena *a);
/* Numbers of the folder's mails that are not marked deleted, ascending. */
size_t mem_list(struct backend *b, struct slice user, struct slice folder, struct arena *a, uint64_t **nums_r);
/* The raw mail; empty when gone. */
struct slice mem_mail(struct backend *b, struct slice user, struct slice folder, uint64_t num, struct arena *a);
uint64_t mem_logins(struct backend *b);

#endif
