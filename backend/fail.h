/* fail.h - a backend that fails on a script: wraps any other and makes it fail,
 * stall, truncate or lose its session at chosen calls. For tests and the
 * simulation; deterministic.
 *
 * Script: rules separated by ';' or line ends, '#' begins a comment.
 *
 *   OP[WHEN] ACTION[=VALUE]
 *
 * OP      login folders folder_create folder_rename folder_delete changes lookup
 *         heads parts set_flags move remove append find_message_id submit
 *         watch_open watch_read, or any
 * WHEN    nothing or #1: the first call   #3: the third   #2-4: second to fourth
 *         #2-: from the second on   *: every   /5: every fifth
 *         ~20: 20 of 1000 calls, by chance (needs fail_random)
 *         Calls are counted per OP (`any` counts all), from the script's setting on.
 * ACTION  temp            BE_TEMP before acting: nothing happened
 *         after           acts, then BE_TEMP: done, but the answer is lost
 *         perm[=CODE]     BE_PERM without acting; CODE as in err.def (AUTH, NOT_FOUND,
 *                         EXISTS, SPECIAL, QUOTA, FORBIDDEN, ...), BACKEND_PERM by default
 *         delay=MS        waits, then acts; past the session's deadline: BE_TEMP
 *                         ERR_TIMEOUT at the deadline, without acting
 *         lost            BE_TEMP, and so is every later call of this session; a
 *                         watch is lost by its next watch_read
 *         truncate=N      parts: at most N bytes a part, as if the mail were cut there;
 *                         changes, folders, lookup, heads: after N entries BE_TEMP,
 *                         so a cut listing is never taken for a whole one
 *         half=N          move, remove: only the first N are done, then BE_TEMP
 * The first rule that matches a call is the one; its action is done once.
 * "login#2 temp; append after; changes/10 delay=200; move#1 half=1"
 *
 * Made by fail_wrap only: backend.mail = "fail" cannot be opened. Thread-safe. Sessions and watches of the wrapped backend are the
 * wrapper's; ops->close closes both. */
#ifndef BACKEND_FAIL_H
#define BACKEND_FAIL_H

#include "backend/backend.h"

extern const struct backend_ops fail_backend_ops;

/* Takes `inner` (also when it fails). Its name and roles stay. *b_r may be &inner. -1
 * ERR_CONFIG names the rule that cannot be read. */
int fail_wrap(struct backend **b_r, struct backend *inner, const struct clock *clock, struct slice script, struct err *e);
/* A new script; counts begin anew. Empty: nothing fails. Lost sessions stay lost. */
int fail_script(struct backend *b, struct slice script, struct err *e);
/* Numbers for ~; may be set at any time. NULL: rules with ~ never match. */
void fail_random(struct backend *b, const struct rnd *rnd);
/* Who waits for delay; default: nanosleep. A simulation moves its clock here. */
void fail_set_sleep(struct backend *b, void (*sleep_ms)(void *arg, int64_t ms), void *arg);
/* How many calls failed by a rule since the script was set; calls of one op, by its name. */
uint64_t fail_hits(struct backend *b);
uint64_t fail_calls(struct backend *b, const char *op);
/* The wrapped one, to reach into mem behind it. */
struct backend *fail_inner(struct backend *b);

#endif
