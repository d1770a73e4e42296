/* backend.h - the contract between zpushd and a mail or groupware server.
 *
 * A backend is one table of functions (struct backend_ops) and one line in
 * backends.def. It knows nothing of EAS, devices, sync keys or the store: it
 * lists, reads and writes one user's objects on one server, and can watch them.
 *
 * Thread: every function runs on a worker (blocking, plain sequential code,
 * never past `deadline_ms` of the session), except backend_ops.source_read,
 * which the loop calls and which must not block.
 * Ownership: pointers given in are borrowed for the call. What is handed out is
 * allocated in the arena that was given in.
 * Results: BE_OK; BE_TEMP - try again later, nothing was decided (network,
 * overload, timeout); BE_PERM - the answer is no and stays no (see err.code:
 * ERR_AUTH, ERR_NOT_FOUND, ERR_EXISTS, ERR_SPECIAL, ERR_QUOTA, ERR_UNSUPPORTED,
 * ERR_FORBIDDEN, ERR_BACKEND_PERM). err is filled in both cases. A session on
 * which a call gave BE_TEMP is closed by the pool and never used again.
 * Guarantee: a write that returned BE_OK is on the server. One that returned
 * BE_TEMP may be or may not be; callers repeat it in an idempotent way.
 * An empty listing is only ever returned when the server said so completely. */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include "base/arena.h"
#include "base/blob.h"
#include "base/clock.h"
#include "base/settings.h"

enum be_result { BE_OK = 0, BE_TEMP, BE_PERM };

/* What a backend can serve; backend.mail, backend.contacts … choose one each. */
enum be_role {
	BE_MAIL = 1 << 0,
	BE_SEND = 1 << 1, /* submission; chosen with mail: smtp beside imap, local itself */
	BE_AUTH = 1 << 2, /* can tell whether a password is right */
	/* BE_CONTACTS, BE_CALENDAR, BE_TASKS, BE_NOTES, BE_DIRECTORY follow with their classes. */
};

/* MS-ASCMD 2.2.3.186.3 (FolderSync Type); the numbers of the wire. */
enum folder_type {
	FOLDER_USER_GENERIC = 1,
	FOLDER_INBOX = 2,
	FOLDER_DRAFTS = 3,
	FOLDER_TRASH = 4,
	FOLDER_SENT = 5,
	FOLDER_OUTBOX = 6,
	FOLDER_TASKS = 7,
	FOLDER_CALENDAR = 8,
	FOLDER_CONTACTS = 9,
	FOLDER_NOTES = 10,
	FOLDER_JOURNAL = 11,
	FOLDER_USER_MAIL = 12,
	FOLDER_USER_CALENDAR = 13,
	FOLDER_USER_CONTACTS = 14,
	FOLDER_USER_TASKS = 15,
	FOLDER_USER_JOURNAL = 16,
	FOLDER_USER_NOTES = 17,
	FOLDER_UNKNOWN = 18,
	FOLDER_RI_CACHE = 19,
};

struct be_cred {
	struct slice user;     /* canonical name: keys everything */
	struct slice login;    /* as typed after auth.domain; %u %n %d of templates come from here */
	struct slice password; /* never logged, wiped with its arena */
	bool trusted;          /* the user was verified by other means (a remembered verdict of auth):
				* with an empty password a backend may log in by its master user. Never
				* set it for what a phone just sent. */
};

struct be_folder {
	struct slice path;   /* the backend's own name of it, UTF-8, unique, at most 1024 bytes */
	struct slice parent; /* path of the parent, empty at the top */
	struct slice name;   /* what people see */
	enum folder_type type;
	uint64_t identity;   /* changes when the folder is another one of the same name
			      * (UIDVALIDITY); 0: not known without a further round trip */
	bool selectable;     /* false: only a node of the tree */
};

/* One object of a folder. Mail numbers its objects (IMAP UID: ascending, never
 * reused while identity stays). Backends whose objects have names (DAV) give
 * `name` and set num to a 64-bit hash of it. */
struct be_item {
	uint64_t num;
	struct slice name;
	uint32_t rev;    /* differs when the phone has to be told: for mail mail_rev() */
	int64_t date_ms; /* mail: internal date; what filter windows compare */
};

/* Mail flags, the low byte of rev. */
enum mail_flag {
	MAIL_SEEN = 1 << 0,
	MAIL_FLAGGED = 1 << 1,
	MAIL_ANSWERED = 1 << 2,
	MAIL_FORWARDED = 1 << 3, /* keyword $Forwarded */
	MAIL_DRAFT = 1 << 4,
	MAIL_DELETED = 1 << 5,   /* marked \Deleted on the server: listed as gone */
};

/* rev of a mail: flags | hash of its other keywords << 8 (0 when none). The
 * keywords are those that are categories: everything not beginning with $ or \. */
uint32_t mail_rev(unsigned flags, const struct slice *keywords, size_t n);
#define MAIL_REV_FLAGS(rev) ((rev) & 0xff)

/* changes(): what differs from the state that `token` stands for. */
struct be_changes_ask {
	struct slice folder;
	struct slice token;   /* of an earlier answer, or empty: list everything */
	int64_t since_ms;     /* only items dated at or after (0: all). An item may be listed
			       * that is up to a day older, never one missing that is newer. */
};
struct be_changes_sink {
	/* Changed or new since the token (all, in a full listing). Ascending num. */
	int (*item)(void *arg, const struct be_item *it);
	/* Gone since the token: first..last inclusive. Not called in a full listing;
	 * may name numbers that never existed. Ascending; before, between or after items. */
	int (*gone)(void *arg, uint64_t first, uint64_t last);
	void *arg;
	/* A callback that returns -1 ends the call with BE_TEMP and err left alone; the
	 * session stays good. Callbacks may not call the backend. */
};
struct be_changes {
	struct slice token;   /* for the next call; opaque, at most 256 bytes; survives restarts */
	bool full;            /* a full listing: what was not listed is not there */
	uint64_t identity;    /* of the folder now */
	uint64_t round_trips; /* spent; for tests and metrics */
};

/* A mail without its bodies: proto/mime.h's part tree from BODYSTRUCTURE or
 * parsed, and the raw header block. */
struct mime_tree;
struct be_head {
	struct be_item item;
	unsigned flags;              /* enum mail_flag */
	const struct slice *keywords;
	size_t n_keywords;
	struct slice headers;        /* raw, up to and with the empty line, at most 256 KiB */
	const struct mime_tree *tree;
	uint64_t size;               /* RFC822.SIZE */
};

/* Bytes of one part, transfer-encoded as stored. */
struct be_part {
	uint64_t num;
	struct slice part;    /* IMAP part number "1.2"; "" the whole mail, raw */
	uint64_t offset, max; /* max 0: to the end */
	struct blob *out;     /* caller's; bytes are appended */
	enum be_result result; /* of this one: BE_PERM when the mail is gone; a part that the mail
				* does not have: the same, or BE_OK and no bytes */
};

struct be_flag_change {
	unsigned mask, value;         /* enum mail_flag: set what mask names to value */
	bool set_keywords;            /* replace the categories by these */
	const struct slice *keywords;
	size_t n_keywords;
};

struct be_submit {
	struct slice from;            /* envelope sender, bare address */
	const struct slice *rcpt;     /* envelope recipients, bare addresses */
	size_t n_rcpt;
	struct blob *mail;            /* RFC 822, CRLF, without Bcc; borrowed */
	struct slice refused;         /* out: first refused recipient (one of rcpt), for the log */
};

/* What a watch reports: a folder of the user changed (empty: something did). */
typedef void be_event_fn(void *arg, struct slice user, struct slice folder);

/* What the backend itself knows of the person; empty where it does not. */
struct be_account {
	struct slice address; /* bare mail address */
	struct slice name;    /* display name, UTF-8 */
};

/* How a watch learns: for logs and metrics, and what the doctor prints. */
enum be_watch_kind { BE_WATCH_NONE, BE_WATCH_IDLE, BE_WATCH_NOTIFY, BE_WATCH_INOTIFY, BE_WATCH_MEMORY };

struct backend;  /* one configured server: shared by all workers, thread-safe */
struct session;  /* one user logged in there: one owner at a time */
struct watch;    /* one user's notifications: one owner at a time */

struct be_env {
	const struct settings *settings;
	const struct clock *clock;
	const struct rnd *rnd;
};

struct backend_ops {
	const char *name;      /* the word in backend.mail etc. */
	unsigned roles;        /* enum be_role */

	int (*open)(struct backend **b_r, const struct be_env *env, struct err *e); /* 0 / -1 ERR_CONFIG */
	void (*close)(struct backend **b);

	/* Is the password right? BE_PERM ERR_AUTH says no; anything else is no verdict.
	 * On BE_OK *s_r is a session, or NULL where the backend needs none. A wrong user
	 * and a wrong password take the same time and give the same text. */
	enum be_result (*login)(struct backend *b, const struct be_cred *c, int64_t deadline_ms,
				struct session **s_r, struct err *e);
	void (*logout)(struct session **s);
	/* New deadline for the next calls, when the pool hands the session on. */
	void (*set_deadline)(struct session *s, int64_t deadline_ms);
	/* May the pool hand this session on? Cheap, no round trip. */
	bool (*alive)(struct session *s);

	/* Address and name of the user, where a backend keeps accounts (accounts file,
	 * directory). NULL where it does not: user.address decides. No round trip that
	 * login did not make already. */
	enum be_result (*account)(struct session *s, struct arena *a, struct be_account *acc_r, struct err *e);

	/* Folders, parents before children. INBOX exists always. */
	enum be_result (*folders)(struct session *s, struct arena *a, struct be_folder **f_r, size_t *n_r, struct err *e);
	/* Idempotent as a repeat needs it: creating what exists gives ERR_EXISTS with *path_r
	 * set; renaming to what exists likewise, renaming or deleting what is gone gives
	 * ERR_NOT_FOUND, so does a parent that is not there. Characters of a name that the
	 * server cannot hold come back replaced (backend_folder_name), never refused. Inbox
	 * and special folders: ERR_SPECIAL. With type FOLDER_SENT, _TRASH or _DRAFTS the missing
	 * special folder is made where the backend keeps it (parent and name are not looked
	 * at), or ERR_EXISTS names the one there is. A rename takes children along and keeps identity,
	 * numbers and tokens of all of them. */
	enum be_result (*folder_create)(struct session *s, struct slice parent, struct slice name, enum folder_type type,
					struct arena *a, struct slice *path_r, struct err *e);
	enum be_result (*folder_rename)(struct session *s, struct slice path, struct slice new_parent, struct slice new_name,
					struct arena *a, struct slice *path_r, struct err *e);
	/* With everything in it. */
	enum be_result (*folder_delete)(struct session *s, struct slice path, struct err *e);

	enum be_result (*changes)(struct session *s, const struct be_changes_ask *ask, const struct be_changes_sink *sink,
				  struct arena *a, struct be_changes *c_r, struct err *e);
	/* Which of these exist now, with rev and date, in the order asked. Missing ones are
	 * not called back. */
	enum be_result (*lookup)(struct session *s, struct slice folder, const uint64_t *nums, size_t n,
				 const struct be_changes_sink *sink, struct err *e);

	/* Mail. A folder that is gone: BE_PERM ERR_NOT_FOUND, from each of these. heads: one
	 * round trip for all, in the order asked; those gone are left out. */
	enum be_result (*heads)(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct arena *a,
				struct be_head *heads_r, size_t *n_r, struct err *e);
	/* One round trip for all parts where the server allows (pipelined). */
	enum be_result (*parts)(struct session *s, struct slice folder, struct be_part *parts, size_t n, struct err *e);
	enum be_result (*set_flags)(struct session *s, struct slice folder, uint64_t num, const struct be_flag_change *c,
				    uint32_t *rev_r, struct err *e);
	/* On a mail that is gone: set_flags BE_PERM ERR_NOT_FOUND; move BE_OK and 0 in its
	 * place; remove BE_OK.
	 * new_r[i]: number in dst, 0 where the server does not tell and it cannot be found. */
	enum be_result (*move)(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct slice dst,
			       uint64_t *new_r, struct err *e);
	enum be_result (*remove)(struct session *s, struct slice folder, const uint64_t *nums, size_t n, struct err *e);
	/* date_ms: becomes the item's date; 0: now. */
	enum be_result (*append)(struct session *s, struct slice folder, struct blob *mail, unsigned flags, int64_t date_ms,
				 uint64_t *num_r, struct err *e);
	/* Newest mail with this Message-ID, 0 when none: lets a repeat find what it did. */
	enum be_result (*find_message_id)(struct session *s, struct slice folder, struct slice id, uint64_t *num_r,
					  struct err *e);

	/* BE_SEND. BE_PERM with ERR_FORBIDDEN: a recipient or the sender was refused, and
	 * nobody got anything. m->refused then lives as long as m->rcpt. */
	enum be_result (*submit)(struct session *s, struct be_submit *m, struct err *e);

	/* Watching. watch_open takes over the session (*s is NULL then, and it is the
	 * watch's until watch_close; on failure it stays the caller's) and returns only when the server confirmed the watch, so that a
	 * check made afterwards misses nothing. fd_r: to be polled for reading by the
	 * loop; -1 where events come by the backend's source. `folders` are those of the
	 * user's parked phones; those that cannot be watched are counted in *missed_r. */
	enum be_result (*watch_open)(struct session **s, const struct slice *folders, size_t n, int64_t deadline_ms,
				     struct watch **w_r, int *fd_r, enum be_watch_kind *kind_r, size_t *missed_r,
				     struct err *e);
	/* Worker, when fd became readable or `refresh` time came: reads what is there and
	 * reports it; keeps the connection alive (re-issues IDLE before 29 minutes).
	 * BE_TEMP: the connection is lost, open a new watch and check. */
	enum be_result (*watch_read)(struct watch *w, be_event_fn *fn, void *arg, struct err *e);
	void (*watch_close)(struct watch **w);

	/* A source for all users of the process at once (inotify, memory): fd to poll,
	 * or -1. source_read: loop thread, never blocks, bounded work a call; returns
	 * true when there is more. */
	int (*source_fd)(struct backend *b);
	bool (*source_read)(struct backend *b, be_event_fn *fn, void *arg);
};

/* Every backend of this build (backends.def), by name; NULL when there is none. */
const struct backend_ops *backend_by_name(struct slice name);
const struct backend_ops *const *backend_all(size_t *n_r);

/* First member of each backend's own struct. */
struct backend {
	const struct backend_ops *ops;
};
struct session {
	const struct backend_ops *ops;
	struct backend *backend;
};
struct watch {
	const struct backend_ops *ops;
};

/* Keywords in be_head and be_flag_change are categories as people write them (UTF-8, blanks).
 * A server that wants IMAP atoms stores them by these: blank <-> '_', what no atom may hold
 * in modified UTF-7. Foreign keywords that are no valid encoding come back as they are. */
struct slice mail_keyword_encode(struct arena *a, struct slice category);
struct slice mail_keyword_decode(struct arena *a, struct slice atom);
/* Modified UTF-7 of mailbox names (RFC 3501 5.1.3). Decode: false when it is none. */
struct slice mutf7_encode(struct arena *a, struct slice utf8);
bool mutf7_decode(struct arena *a, struct slice in, struct slice *utf8_r);
/* A name that a phone wants made fit for a server with that hierarchy delimiter: trimmed,
 * control bytes out, '/' and the delimiter replaced by a look-alike (U+2215 division
 * slash, U+2024 one dot leader, else '_'), at most 128 bytes. Empty: nothing usable. */
struct slice backend_folder_name(struct arena *a, struct slice name, char delimiter);

/* Tells a sink what changed, for backends that gather it first: gone (sorted here)
 * as ranges, then the items in their order. n_gone 0 in a full listing. -1: the sink's. */
int backend_report(const struct be_changes_sink *sink, const struct be_item *items, size_t n_items, uint64_t *gone,
		   size_t n_gone);

/* "%u %n %d" of a template from the login: whole, local part, domain. */
struct slice backend_expand(struct arena *a, struct slice tmpl, struct slice login);

#endif
