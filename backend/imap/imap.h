/* imap.h - inside of the IMAP backend: its structs and what its files call of
 * each other. Nobody outside backend/imap includes it.
 *
 *   wire.c     bytes, tokens, command buffer      spell.c   dates, sets
 *   reply.c    untagged answers, FETCH            bodystructure.c  part trees
 *   conn.c     commands and their results         login.c   connect, TLS, SASL
 *   folders.c  the folder tree                    folderops.c  create, rename, delete
 *   select.c   the folder at hand
 *   changes.c  what changed since a token         read.c    heads, parts, lookup
 *   write.c    flags, move, remove                append.c  append, find
 *   watch.c    IDLE and NOTIFY                    backend.c settings, ops table
 *
 * Commands are collected (imap_cmd ...) and flushed by the first imap_wait, so
 * what is written before it is one round trip; each is then waited for in order. */
#ifndef IMAP_IMAP_H
#define IMAP_IMAP_H

#include "backend/backend.h"
#include "backend/imap/spell.h"
#include "backend/imap/wire.h"
#include "proto/mime.h"

enum imap_cap {
	CAP_LITERAL_PLUS = 1 << 0,
	CAP_LITERAL_MINUS = 1 << 1,
	CAP_SASL_IR = 1 << 2,
	CAP_AUTH_PLAIN = 1 << 3,
	CAP_AUTH_LOGIN = 1 << 4,
	CAP_LOGINDISABLED = 1 << 5,
	CAP_STARTTLS = 1 << 6,
	CAP_ENABLE = 1 << 7,
	CAP_CONDSTORE = 1 << 8,
	CAP_QRESYNC = 1 << 9,
	CAP_NAMESPACE = 1 << 10,
	CAP_SPECIAL_USE = 1 << 11,
	CAP_CREATE_SPECIAL = 1 << 12,
	CAP_LIST_EXTENDED = 1 << 13,
	CAP_LIST_STATUS = 1 << 14,
	CAP_UIDPLUS = 1 << 15,
	CAP_MOVE = 1 << 16,
	CAP_IDLE = 1 << 17,
	CAP_NOTIFY = 1 << 18,
	CAP_UNSELECT = 1 << 19,
};

enum imap_security { IMAP_PLAIN, IMAP_TLS, IMAP_STARTTLS };
enum imap_special { SP_SENT, SP_TRASH, SP_DRAFTS, SP_JUNK, SP_COUNT };

struct imap_backend {
	struct backend base;
	const struct clock *clock;
	enum imap_security security;
	char *address, *host;              /* "host:port"; name in the certificate */
	struct stream_tls *tls;
	struct slice user_template, master_user, master_password; /* owned */
	struct slice special[SP_COUNT];    /* configured paths; empty: by SPECIAL-USE or name */
	struct slice notes;                /* folder of another class: not shown; empty: none */
	bool shared, subscribed_only;
	bool use_idle, use_notify;
	int64_t call_ms;                   /* limits.backend_deadline: silence in an answer */
};

/* Result of a tagged command. */
enum imap_status { IMAP_OK, IMAP_NO, IMAP_BAD };
struct imap_done {
	enum imap_status status;
	struct slice code, args, text; /* of "[CODE args] text"; until the next wait */
};

enum fetch_have { HAVE_UID = 1, HAVE_FLAGS = 2, HAVE_DATE = 4, HAVE_SIZE = 8, HAVE_MODSEQ = 16, HAVE_HEADER = 32 };
enum { IMAP_KEYWORDS_MAX = 64 };
struct imap_fetch {
	unsigned have;
	uint64_t seq, uid, size, modseq;
	unsigned flags;
	struct slice keywords[IMAP_KEYWORDS_MAX]; /* categories, decoded; until the next response */
	struct slice raw[IMAP_KEYWORDS_MAX];      /* the same as the server writes them */
	size_t n_keywords;
	int64_t date_ms;
	struct slice header;           /* in the handlers' arena */
	struct mime_tree *tree;
	char kw_text[8192];
};

struct imap_list {
	struct slice name;   /* UTF-8; arena of the handlers */
	char sep;            /* 0: flat */
	unsigned attrs;
	bool lsub;
};
enum list_attr {
	ATTR_NOSELECT = 1, ATTR_NONEXISTENT = 2, ATTR_SENT = 4, ATTR_TRASH = 8, ATTR_DRAFTS = 16, ATTR_JUNK = 32,
	ATTR_SUBSCRIBED = 64,
};
struct imap_namespace {
	int kind; /* 0 personal, 1 other users, 2 shared */
	struct slice prefix; /* UTF-8 */
	char sep;
};

/* Who gets the untagged data of the running commands; members may be NULL. */
struct imap_handlers {
	void *arg;
	struct arena *a; /* for strings and trees handed out; NULL: headers and structures are skipped */
	void (*fetch)(void *arg, const struct imap_fetch *f);
	/* Where the bytes of this section go (uid 0: not named yet), NULL: nowhere. */
	struct be_part *(*part)(void *arg, uint64_t uid, struct slice section);
	void (*list)(void *arg, const struct imap_list *l);
	void (*name_space)(void *arg, const struct imap_namespace *n);
	void (*status)(void *arg, struct slice mailbox, uint64_t uidvalidity);
	void (*search)(void *arg, uint64_t uid);
	void (*gone)(void *arg, uint64_t first, uint64_t last);
	void (*code)(void *arg, struct slice code, struct slice args); /* of untagged OK */
	void (*touched)(void *arg); /* EXISTS, EXPUNGE, VANISHED, FETCH: for watches */
};

struct imap_selected {
	char *path;            /* UTF-8, owned; NULL: none */
	uint64_t uidvalidity, uidnext, modseq, exists;
	bool no_modseq, any_keyword, read_only;
	char *permanent;       /* " \Seen kw ... ", owned */
};

struct imap_session {
	struct session base;
	struct imap_backend *b;
	struct wire w;
	char *user;            /* canonical, owned: whom events are for */
	unsigned caps, enabled; /* enum imap_cap */
	bool have_caps;        /* the server named them since connect or STARTTLS */
	unsigned tag;
	bool bye;              /* the server said BYE, or a command failed on the wire */
	struct imap_selected sel;
	const struct imap_handlers *h;
	struct imap_fetch *f;  /* scratch of FETCH */
	struct imap_namespace personal, *spaces;
	size_t n_spaces;
	bool have_spaces;
	struct arena *mem;     /* lives as long as the session: namespaces */
	char code[64];         /* scratch of imap_done */
	char *done_text;
};

/* -- conn.c -- */
/* Starts a command; text up to the first argument. Returns its tag. */
unsigned imap_cmd(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void imap_arg(struct imap_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void imap_arg_mailbox(struct imap_session *s, struct slice utf8); /* encoded and quoted */
/* Quoted, or a literal where it must be (may flush and wait for "+": -1). */
int imap_arg_string(struct imap_session *s, struct slice v, struct err *e);
void imap_end(struct imap_session *s);
/* Flushes, reads until the answer to `tag`. BE_TEMP: the connection is lost. */
enum be_result imap_wait(struct imap_session *s, unsigned tag, struct imap_done *d_r, struct err *e);
/* The same, and anything but OK is an error, mapped from its response code. */
enum be_result imap_ok(struct imap_session *s, unsigned tag, const char *what, struct err *e);
/* Waits for "+ ...". */
enum be_result imap_wait_plus(struct imap_session *s, unsigned tag, const char *what, struct err *e);
/* A tagged NO or BAD as an error, by its response code (RFC 5530). */
enum be_result imap_refused(const struct imap_done *d, const char *what, struct err *e);
enum be_result imap_lost(struct imap_session *s, struct err *e);
bool imap_has(const struct imap_session *s, enum imap_cap c);
void imap_set_handlers(struct imap_session *s, const struct imap_handlers *h);
bool imap_code(const struct imap_done *d, const char *code);
/* Reads one response and acts on it; kind says what it was. For conn.c and watch.c. */
enum imap_line { LINE_FAIL, LINE_UNTAGGED, LINE_PLUS, LINE_TAGGED };
enum imap_line imap_read_line(struct imap_session *s, unsigned *tag_r, struct imap_done *d_r);

/* -- reply.c -- */
void reply_untagged(struct imap_session *s);
void reply_caps(struct imap_session *s, struct slice words);
void reply_status_line(struct imap_session *s, enum imap_status st, struct imap_done *d_r);

/* -- bodystructure.c -- the list whose "(" was read */
struct mime_tree *bodystructure_read(struct wire *w, struct arena *a);

/* -- login.c -- */
enum be_result imap_login(struct backend *b, const struct be_cred *c, int64_t deadline_ms, struct session **s_r,
			  struct err *e);
void imap_logout(struct session **s);

/* -- select.c -- */
/* Writes SELECT when the folder is not the selected one (or always, with fresh):
 * returns its tag, 0 when nothing was needed. select_done waits for it. */
unsigned select_cmd(struct imap_session *s, struct slice folder, bool fresh);
enum be_result select_done(struct imap_session *s, unsigned tag, struct slice folder, struct err *e);
void select_forget(struct imap_session *s);
/* Leaves the folder when it is the selected one (before it is renamed or deleted). */
enum be_result select_leave(struct imap_session *s, struct slice folder, struct err *e);
bool select_allows_keyword(const struct imap_session *s, struct slice keyword);

/* -- the operations -- */
enum be_result imap_folders(struct session *s, struct arena *a, struct be_folder **f_r, size_t *n_r, struct err *e);
enum be_result imap_folder_create(struct session *s, struct slice parent, struct slice name, enum folder_type type,
				  struct arena *a, struct slice *path_r, struct err *e);
enum be_result imap_folder_rename(struct session *s, struct slice path, struct slice new_parent, struct slice new_name,
				  struct arena *a, struct slice *path_r, struct err *e);
enum be_result imap_folder_delete(struct session *s, struct slice path, struct err *e);
enum be_result imap_changes(struct session *s, const struct be_changes_ask *ask, const struct be_changes_sink *sink,
			    struct arena *a, struct be_changes *c_r, struct err *e);
enum be_result imap_lookup(struct session *s, struct slice folder, const uint64_t *nums, size_t n,
			   const struct be_changes_sink *sink, struct err *e);
enum be_result imap_heads(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct arena *a,
			  struct be_head *heads_r, size_t *n_r, struct err *e);
enum be_result imap_parts(struct session *s, struct slice folder, struct be_part *parts, size_t n, struct err *e);
enum be_result imap_set_flags(struct session *s, struct slice folder, uint64_t num, const struct be_flag_change *c,
			      uint32_t *rev_r, struct err *e);
enum be_result imap_move(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct slice dst,
			 uint64_t *new_r, struct err *e);
enum be_result imap_remove(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct err *e);
enum be_result imap_append(struct session *s, struct slice folder, struct blob *mail, unsigned flags, int64_t date_ms,
			   uint64_t *num_r, struct err *e);
enum be_result imap_find_message_id(struct session *s, struct slice folder, struct slice id, uint64_t *num_r,
				    struct err *e);
enum be_result imap_watch_open(struct session **s, const struct slice *folders, size_t n, int64_t deadline_ms,
			       struct watch **w_r, int *fd_r, enum be_watch_kind *kind_r, size_t *missed_r,
			       struct err *e);
enum be_result imap_watch_read(struct watch *w, be_event_fn *fn, void *arg, struct err *e);
void imap_watch_close(struct watch **w);

/* rev of a fetched mail: mail_rev of its flags and categories. */
extern const struct backend_ops imap_backend_ops;

uint32_t imap_rev(const struct imap_fetch *f);
bool fetch_keyword_is_category(struct slice atom);
/* Mailbox name as the server writes it to UTF-8: as it is when it is no modified UTF-7. */
struct slice imap_name(struct arena *a, struct slice raw);

#endif
