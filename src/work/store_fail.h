/* store_fail.h - wraps a store and fails when told to: for tests and the
 * simulation. Thread-safe as far as the hook is. */
#ifndef WORK_STORE_FAIL_H
#define WORK_STORE_FAIL_H

#include "work/store.h"

enum store_call { STORE_CALL_LOAD, STORE_CALL_COMMIT, STORE_CALL_RELEASE, STORE_CALL_GEN, STORE_CALL_PUBLISH, STORE_CALL_LIST };

enum store_fault {
	STORE_FINE,
	STORE_FAIL_BEFORE, /* ERR_STORE, nothing was done */
	STORE_FAIL_AFTER,  /* done, but the answer got lost: ERR_TIMEOUT */
	STORE_STALL,       /* nothing was done, ERR_TIMEOUT; the hook moves the clock if it likes */
	STORE_RACE,        /* ERR_STORE_RACE, nothing was done; load: only with a claim */
};

/* Asked before every call. */
typedef enum store_fault store_fail_hook(void *arg, enum store_call call, struct slice user);

/* Takes *inner; closing the wrapper closes it. No breaker of its own: the inner's
 * is not reached by faults made here. */
struct store *store_fail_new(struct store **inner, store_fail_hook *hook, void *arg);
struct store *store_fail_inner(struct store *s);

/* A hook that follows a script: "commit=after load=race*3 load=ok*2 commit=before".
 * Each call takes the first entry left of its own kind; none left: fine. -1 on a
 * word it does not know. The script must not be shared by stores. */
struct store_script;
int store_script_new(struct store_script **p_r, const char *text, struct err *e);
void store_script_free(struct store_script **p);
bool store_script_done(struct store_script *p);
enum store_fault store_script_hook(void *script, enum store_call call, struct slice user);

#endif
