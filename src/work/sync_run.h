/* sync_run.h - one Sync on its way through its three halves: sync_apply.c does
 * what the phone did, sync_serve.c tells it what the server did, cmd_sync.c
 * reads the request, judges the keys and writes the reply and the records.
 * Worker; everything is the exchange's arena's, but the body blobs. */
#ifndef WORK_SYNC_RUN_H
#define WORK_SYNC_RUN_H

#include "work/colstate.h"
#include "work/extra.h"
#include "work/mailitem.h"
#include "work/sync_diff.h"
#include "work/sync_options.h"
#include "work/work.h"

/* MS-ASCMD Status (Sync). */
enum sync_status {
	SYNC_OK = 1, SYNC_BAD_KEY = 3, SYNC_PROTOCOL = 4, SYNC_SERVER = 5, SYNC_BAD_ITEM = 6, SYNC_CONFLICT = 7,
	SYNC_NOT_FOUND = 8, SYNC_NO_SPACE = 9, SYNC_HIERARCHY = 12, SYNC_INCOMPLETE = 13, SYNC_WAIT = 14,
	SYNC_TOO_MANY = 15,
};

enum sync_mode {
	MODE_FIRST, /* key 0: a new key, no items */
	MODE_NEXT,  /* the newest key: the last answer arrived */
	MODE_REDO,  /* the key before: it did not; the same is told again */
};

struct sync_coll {
	const struct sync_collection *ask;
	struct folder *folder;
	struct slice col_key, extra_key; /* records */
	uint32_t base_len;
	size_t record_len;
	struct colstate st;
	struct extras extras;
	struct sync_options_kept opt;
	struct slice opt_before;   /* packed, as loaded */
	enum sync_mode mode;
	bool confirmed;            /* MODE_NEXT: this answer gets a new key */
	bool fresh;                /* MODE_FIRST: the record is new */
	int status;
	bool wants_changes, looked, more;
	struct colops repeated;    /* MODE_REDO: of `own`, what the phone did again */
	struct sync_reply_collection *out;
	unsigned n_told;
};

struct sync_run {
	struct exchange *x;
	struct arena *a;
	struct session *session;
	struct sync_request req;   /* as meant: with what is remembered */
	struct sync_coll *v;
	size_t n;
	struct sync_reply reply;
	size_t window_left;
	int64_t deadline_ms;       /* to begin no further batch */
	uint64_t bytes_left;
	struct mailitems *loaded;  /* bodies that the reply still points at */
	size_t n_loaded, cap_loaded;
	bool wrote;                /* a backend was written to: crash point before the commit */
	int64_t wait_ms;           /* 0: answer at once */
};

/* BE_TEMP ends the exchange: nothing is lost, the phone repeats. */
enum be_result sync_apply(struct sync_run *r, struct sync_coll *c, struct err *e);
enum be_result sync_look_coll(struct sync_run *r, struct sync_coll *c, struct err *e);
enum be_result sync_serve(struct sync_run *r, struct sync_coll *c, struct err *e);

/* "FOLDER:NUM" */
struct slice server_id_make(struct arena *a, struct slice folder_id, uint64_t num);
bool server_id_parse(struct slice id, struct slice *folder_id_r, uint64_t *num_r);
/* Loads mails for a collection and remembers their blobs for sync_run_deinit. */
enum be_result sync_load(struct sync_run *r, struct sync_coll *c, const uint64_t *nums, size_t n, bool no_body,
			 struct mailitems *m_r, struct err *e);
/* The next generation, once: from here on the answer carries a new key. */
void sync_confirm(struct sync_coll *c);
/* The user's folder of that type, made when there is none. */
enum be_result sync_special_folder(struct exchange *x, struct session *s, enum folder_type type, struct folder **f_r,
				   struct err *e);

#endif
