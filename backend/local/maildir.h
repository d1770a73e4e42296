/* maildir.h - one Maildir folder as the process remembers it: which mails are
 * there, under which UID, name and flags, and what changed since when.
 *
 * The directory is the truth and anyone may change it at any moment (deliveries,
 * Dovecot, a shell). maildir_sync looks: two directories, the list of UIDs and
 * the keywords have the stamps (mtime, size, inode) of the last look, and that
 * look was later than the last change by more than the clock's grain: nothing
 * changed, four stat(2). Else new/ and cur/ are read once and compared by name.
 *
 * Token: "l1:validity:generation:modseq:sum:stamps". generation is of this
 * memory: while it lives, changes are told by modseq from a journal. Another
 * process or a restart knows other modseqs; there equal stamps or an equal sum
 * (over uid and rev of all mails) still mean "no change", else it is a full listing.
 *
 * Thread: any worker; everything with md->mu held. Owner: the cache. */
#ifndef BACKEND_LOCAL_MAILDIR_H
#define BACKEND_LOCAL_MAILDIR_H

#include <pthread.h>

#include "backend/local/uidlist.h"
#include "base/list.h"

enum { KEYWORDS = 26 };

struct md_mail {
	char *name;          /* file name with flags; owned */
	uint32_t uid;
	uint32_t rev;
	uint64_t modseq;
	int64_t date_ms;     /* mtime of the file, as Dovecot has it */
	uint64_t id_hash;    /* of its Message-ID; 0 not looked at yet, 1 has none */
	uint32_t letters;    /* keywords, bit 0 = 'a' */
	uint16_t base_len;
	uint8_t flags;       /* enum mail_flag */
	bool in_new;
	bool left;           /* gone, not yet compacted */
	uint32_t scan;       /* last look that saw it */
};

struct md_gone {
	uint32_t uid;
	uint64_t modseq;
};

struct md_stamps {
	struct stamp dir_new, dir_cur, uidlist, keywords;
};

struct md_keyword {
	struct slice atom;     /* as in dovecot-keywords; owned */
	struct slice category; /* decoded; owned */
};

struct maildir {
	struct list link;      /* cache: least recently used first */
	struct list bucket;
	size_t counted;        /* its part of cache->mails */
	unsigned refs;         /* cache's mutex */
	bool dead;             /* renamed or deleted: not in the cache any more */
	char *path;
	const struct clock *clock;
	pthread_mutex_t mu;
	uint64_t generation;   /* random */
	bool loaded, settled;
	struct md_stamps stamps;
	uint32_t validity, scan;
	struct md_mail *v;     /* ascending uid */
	size_t n, cap;
	uint32_t *index;       /* hash of base names: position + 1 in v */
	size_t index_size;
	uint64_t modseq, journal_from, sum;
	struct md_gone *gone;
	size_t n_gone, cap_gone;
	struct md_keyword kw[KEYWORDS];
};

/* -- the cache: one maildir per path -- */

enum { MD_BUCKETS = 1024 };

struct md_cache {
	pthread_mutex_t mu;
	struct list all;
	struct list bucket[MD_BUCKETS];
	size_t mails;          /* remembered over all folders, as of their last release */
	const struct clock *clock;
	const struct rnd *rnd;
};

void md_cache_init(struct md_cache *c, const struct clock *clock, const struct rnd *rnd);
void md_cache_deinit(struct md_cache *c);
/* Locked; give back with md_release. Takes the caller's path as text. */
struct maildir *md_acquire(struct md_cache *c, const char *path);
/* Two at once (a move), without a deadlock against another move. May be the same folder:
 * then both pointers are equal and it is released once. */
void md_acquire_two(struct md_cache *c, const char *a, const char *b, struct maildir **a_r, struct maildir **b_r);
void md_release(struct md_cache *c, struct maildir **m);
/* The path means something else from now on (deleted, renamed). */
void md_forget(struct md_cache *c, const char *path);

/* -- one folder -- */

/* Up to date with the directory. BE_PERM ERR_NOT_FOUND when it is gone. */
enum be_result md_sync(struct maildir *m, int64_t deadline_ms, struct err *e);
/* As if nothing were known of the directory's state: look again. */
void md_unsettle(struct maildir *m);
/* Not marked deleted; NULL when not there. */
struct md_mail *md_find(struct maildir *m, uint64_t uid);
/* "new/NAME" or "cur/NAME" below the folder; malloc. */
char *md_file(const struct maildir *m, const struct md_mail *mail);
/* Renames the file so that it carries flags and keywords. BE_PERM ERR_NOT_FOUND: it moved
 * away under us; sync and try again. */
enum be_result md_set(struct maildir *m, struct md_mail *mail, unsigned flags, uint32_t letters, struct err *e);
/* The letters of these categories, making what is missing in dovecot-keywords. BE_PERM
 * ERR_UNSUPPORTED when all 26 letters are taken. */
enum be_result md_letters(struct maildir *m, const struct slice *categories, size_t n, int64_t deadline_ms,
			  uint32_t *letters_r, struct err *e);
/* Categories of a mail; slices in the arena. $Forwarded and the like are not among them. */
size_t md_categories(const struct maildir *m, const struct md_mail *mail, struct arena *a, const struct slice **v_r);
/* Puts files of the same file system into the folder, UID first, then the name, under
 * one lock and in order; uids_r[i] 0 where the file was gone. BE_TEMP: some may be there. */
struct md_incoming {
	const char *from;
	unsigned flags;
	uint32_t letters;
	int64_t date_ms;
	uint64_t id_hash;
	struct slice sizes; /* ",S=1,W=2" or empty: goes into the new name */
};
enum be_result md_put_many(struct maildir *m, const struct md_incoming *in, size_t n, int64_t deadline_ms,
			   uint64_t *uids_r, struct err *e);
/* Unlinks the file and lets go of the mail. BE_PERM ERR_NOT_FOUND as in md_set. */
enum be_result md_remove(struct maildir *m, struct md_mail *mail, struct err *e);
/* Its file is not here any more. Pointers stay good and md_find skips it until
 * md_compact, which comes before the folder is released. */
void md_leave(struct maildir *m, struct md_mail *mail);
void md_compact(struct maildir *m);

/* -- inside md_*.c and maildir.c -- */
void md_insert(struct maildir *m, const struct md_mail *mail); /* takes its name; a new uid */
void md_refresh(struct maildir *m, struct md_mail *mail);      /* flags and rev from its name */
struct md_mail *md_find_base(struct maildir *m, struct slice base);
void md_clear(struct maildir *m);
void md_free(struct maildir **m);
enum be_result md_keywords_load(struct maildir *m, struct err *e);

/* -- tokens -- */

struct slice md_token(const struct maildir *m, struct arena *a);
enum md_since { MD_FULL, MD_NOTHING, MD_JOURNAL };
/* What a token is worth after md_sync; *modseq_r for MD_JOURNAL. */
enum md_since md_token_read(const struct maildir *m, struct slice token, uint64_t *modseq_r);
/* Without memory of the folder: does the token carry the stamps that are there now?
 * Four stat(2), for the first look after a restart. *validity_r from the token. */
bool md_token_fresh(const char *path, struct slice token, uint32_t *validity_r);

/* -- names (md_name.c) -- */

/* Unique in the world and over time: time, process, counter, host. */
void md_unique(char *buf, size_t n);
size_t md_base_len(const char *name);
/* Flags and keyword letters of ":2,..." */
void md_name_flags(const char *name, unsigned *flags_r, uint32_t *letters_r);
/* base + ":2," + letters in order; letters we do not know are kept from `old`. malloc. */
char *md_name_make(struct slice base, const char *old, unsigned flags, uint32_t letters);

#endif
