/* store_claims.h - claims of a store that one process owns (embedded, memory):
 * kept in memory, because they end with the process anyway, and waiters are woken
 * instead of polling. Thread-safe. */
#ifndef WORK_STORE_CLAIMS_H
#define WORK_STORE_CLAIMS_H

#include "work/store.h"

struct claims;

struct claims *claims_new(const struct clock *clk);
void claims_free(struct claims **c);
/* Waits up to claim->wait_ms for another holder, by the clock; with a clock that
 * is not the system's (simulation) nobody would move it: fails at once. -1
 * ERR_STORE_RACE. Taking one's own again renews it. */
int claims_take(struct claims *c, struct slice user, const struct store_claim *claim, struct err *e);
/* No effect when it is another's by now. */
void claims_release(struct claims *c, struct slice user, const struct store_claim *claim);
/* All of them: the process that held them died (simulation). */
void claims_clear(struct claims *c);

#endif
