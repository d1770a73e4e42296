/* watch.h - one watch a user and process: a backend session that tells changes
 * while phones wait (IMAP IDLE, NOTIFY, inotify). It holds the login it was made
 * with; re-checks of the user's phones use it too. Loop thread; the calls into
 * backends run as background jobs, one at a time a watch.
 *
 * Armed means: the server confirmed it. One look of the user's phones follows
 * each arming. A lost watch is opened again after a pause that doubles to a
 * minute, jittered; all logins of watches together stay under push.rearm_rate a
 * second. A refused login ends the user's waits, unless a phone brought another
 * password meanwhile. Where the server has no push, or not for all folders, the
 * user is looked after every push.fallback_sweep too.
 *
 * IDLE tells of one folder a connection. push.idle_folders connections are kept
 * for a user at most: the first is the watch, the others (extras) are watches of
 * one folder each that come and go with it.
 *
 * Price (measured): 272 bytes a watch, the names of user, login and folders, and a slot of
 * 64 bytes for the password; with a descriptor 160 more (its poll handle). */
#ifndef LOOP_WATCH_H
#define LOOP_WATCH_H

#include "loop/park.h"

struct watch_room; /* all watches of a loop */

struct watch_room *watch_room_new(struct park_room *park);
/* After push_free, which dropped every user. Closing jobs that are still out come
 * back in loop_free; the last one frees the room. */
void watch_room_free(struct watch_room **r);
/* A phone of the user parked: opens a watch, or adds its folders and login to it. */
void watch_want(struct watch_room *r, struct push_user *u, const struct park *p);
/* No phone waits any more. */
void watch_drop(struct watch_room *r, struct push_user *u);
/* The login for a check of the user's phones. false: there is none (yet). Copies into the arena. */
bool watch_cred(const struct push_user *u, struct arena *a, struct be_cred *c_r);
/* Armed ones by kind, extras too. */
void watch_counts(const struct watch_room *r, unsigned counts[5]);
/* User-space bytes of one without its strings: for the documented price. */
size_t watch_bytes(void);

#endif
