/* uidlist.h - UIDs of a Maildir folder in the file format of Dovecot
 * (dovecot-uidlist, version 3), so that both may serve one tree at a time.
 *
 *   3 V<uidvalidity> N<next uid> G<guid>
 *   <uid> [extensions] :<file name up to the flags>
 *
 * A line is appended for a new mail, under the dot lock dovecot-uidlist.lock and
 * synced before the mail is shown: a UID never comes to mean another mail. Lines
 * of mails that are gone stay until the file is written anew. */
#ifndef BACKEND_LOCAL_UIDLIST_H
#define BACKEND_LOCAL_UIDLIST_H

#include "backend/local/files.h"

struct uid_line {
	uint32_t uid;
	struct slice base; /* file name without ":2,..." */
	struct slice ext;  /* extension fields as they stand, blank at the end; may be empty */
};

struct uidlist {
	uint32_t validity;     /* 0: there is no usable list */
	uint32_t next;
	struct slice guid;     /* header fields behind N, as they stand */
	struct uid_line *v;    /* ascending uid */
	size_t n;
	char *data;            /* owns what the slices point at */
	struct stamp stamp;
	bool torn;             /* does not end in a line end: must be rewritten */
	uint32_t *index;       /* hash of bases: position + 1 in v */
	size_t index_size;
};

/* Missing or broken: validity 0 and no error. */
enum be_result uidlist_load(const char *dir, struct uidlist *u_r, struct err *e);
void uidlist_free(struct uidlist *u);
/* The uid of a base, 0 when it has none. */
uint32_t uidlist_find(struct uidlist *u, struct slice base);

/* -- with the lock held -- */
enum be_result uidlist_lock(const char *dir, int64_t deadline_ms, struct dotlock *l, struct err *e);
/* Lines for these bases: uids from u->next on, in order, written and synced. `u` must be
 * loaded under this lock. Makes the list when there is none or it is broken (new
 * validity). live: not NULL asks for a rewrite that keeps only those old lines. */
enum be_result uidlist_add(const char *dir, struct uidlist *u, const struct slice *bases, size_t n, uint32_t *uids_r,
			   bool (*live)(void *arg, const struct uid_line *l), void *arg, struct err *e);
/* UIDVALIDITY of a folder without reading its lines; makes an empty list when there
 * is none. 0 when that cannot be. */
uint32_t uidlist_validity(const char *dir, int64_t deadline_ms);

#endif
