/* side.h - the small HTTP listeners beside the phones': POST /notify from mail
 * and groupware servers (push.notify_listen), metrics, health and readiness
 * (admin.listen). One request a connection. Loop thread; what may block (store)
 * runs as a background job.
 *
 * Both want their token: "Authorization: Bearer TOKEN", or as the password of
 * Basic (Dovecot 2.3 puts it into the URL). /healthz and /readyz are open.
 *
 *   POST /notify   JSON of the push contract with "user", or Dovecot's event
 *                  exporter: 202 once it is queued. The change counter is raised
 *                  and the message published before a phone is woken.
 *   GET /metrics   Prometheus text
 *   GET /healthz   200 while the loop turns
 *   GET /readyz    200 when the store answers, else 503 and why */
#ifndef LOOP_SIDE_H
#define LOOP_SIDE_H

#include "loop/park.h"

enum side_kind { SIDE_NOTIFY, SIDE_ADMIN };

struct side;

/* address: as loop_listen. token: copied. *port_r (may be NULL): the bound port. */
int side_listen(struct side **s_r, struct loop *l, struct park_room *park, enum side_kind kind, struct slice address,
		struct slice token, unsigned *port_r, struct err *e);
void side_free(struct side **s);

#endif
