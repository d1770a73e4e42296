/* records.h - the store side of an exchange: what it wants, got and puts.
 * Behind work.h's exchange_want, _got, _put, _load_more and _commit; this is the
 * part for exchange.c. Worker. */
#ifndef WORK_RECORDS_H
#define WORK_RECORDS_H

#include "work/work.h"

/* Device, user record and what `want` named; takes the claim where the command writes. */
int records_load(struct exchange *x, struct err *e);
/* All of it anew, with the device's claim: when this returns no command of the device
 * is between its backend write and its commit. Puts that were not committed are gone. */
int records_reload(struct exchange *x, struct err *e);
/* Commits what is left and gives the claim back in the same trip. *found_wipe_r: a
 * wipe was ordered since the load, whatever the command has answered. */
int records_finish(struct exchange *x, bool *found_wipe_r, struct err *e);
/* After a failure: the claim does not stay. Safe to call always. */
void records_release(struct exchange *x);

#endif
