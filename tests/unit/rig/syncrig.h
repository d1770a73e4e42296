/* syncrig.h - workrig for the commands that sync: the backend in memory behind a
 * backend that fails on a script, and a phone that keeps its keys. Include
 * syncrig.c in a test. */
#ifndef TESTS_SYNCRIG_H
#define TESTS_SYNCRIG_H

#include "proto/mime.h" /* before the names below: it has a parameter of the same */
#include "backend/fail.h"
#include "proto/email.h"
#include "workrig.h"

/* One collection of a phone. */
struct box {
	struct phone *p;
	struct slice id, key;
	struct num window, filter, get_changes, deletes_as_moves;
	struct body_preference pref; /* type absent: no Options but the filter's */
};

/* The rig `r`, its phone `p` (alice, "dev", 14.1), the failing backend `fb`. */
static __attribute__((unused)) void up(const char *const *settings);
static __attribute__((unused)) void down(void);
static __attribute__((unused)) void script(const char *text);
static __attribute__((unused)) uint64_t deliver(const char *subject);
static __attribute__((unused)) uint64_t deliver_to(const char *folder, const char *subject);
/* FolderSync with key 0, and the id of that name. */
static __attribute__((unused)) struct slice folder_id(struct phone *ph, const char *name);
/* Primed: key 0 was answered. */
static __attribute__((unused)) struct box box_open(struct phone *ph, const char *folder);

/* A request by hand. */
static __attribute__((unused)) struct sync_request *ask_of(struct box *b);
static __attribute__((unused)) struct sync_collection *ask_col(struct sync_request *q);
static __attribute__((unused)) struct sync_command *ask_cmd(struct sync_request *q, uint16_t tag, struct slice server_id);
static __attribute__((unused)) struct slice item_id(const struct box *b, uint64_t num);
static __attribute__((unused)) struct reply say(struct box *b, struct sync_request *q);
/* The one collection of a reply; NULL where the body was empty. Fails on an error of the whole. */
static __attribute__((unused)) struct sync_reply_collection *col_of(struct reply a);
/* Sends, and keeps the key it gets: the answer arrived. */
static __attribute__((unused)) struct sync_reply_collection *arrive(struct box *b, struct sync_request *q);
static __attribute__((unused)) struct sync_reply_collection *next(struct box *b);
/* The answer got lost: the key stays. */
static __attribute__((unused)) struct sync_reply_collection *lose(struct box *b, struct sync_request *q);
static __attribute__((unused)) void settle(struct box *b);
/* "+7 ~8 -9 !10" for Add, Change, Delete and SoftDelete of those numbers. */
static __attribute__((unused)) struct slice told(const struct sync_reply_collection *c);

#endif
