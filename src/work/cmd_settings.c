/* cmd_settings.c - Settings (MS-ASCMD 2.2.1.18). Worker, without the claim: it
 * writes one group of the device record. Parts are answered in request order.
 * Served: DeviceInformation Set, UserInformation Get. Out-of-office and the
 * recovery password are answered with the status that says no: out-of-office
 * needs sieve.url, which a later version serves. */
#include "base/settings.h"
#include "work/deviceinfo.h"

enum { ST_OK = 1, ST_PROTOCOL = 2, ST_DENIED = 3, ST_UNAVAILABLE = 4, ST_ARGUMENTS = 5, ST_POLICY = 7,
       PASSWORD_MAX = 255 };

void cmd_settings(struct exchange *x);

static bool differs(const struct device_information *a, const struct device_information *b)
{
	return !slice_eq(a->model, b->model) || !slice_eq(a->imei, b->imei) || !slice_eq(a->os, b->os) ||
	       !slice_eq(a->friendly_name, b->friendly_name) || !slice_eq(a->os_language, b->os_language) ||
	       !slice_eq(a->phone_number, b->phone_number) || !slice_eq(a->user_agent, b->user_agent) ||
	       !slice_eq(a->mobile_operator, b->mobile_operator) ||
	       num_or(a->enable_outbound_sms, 0) != num_or(b->enable_outbound_sms, 0);
}

int deviceinfo_store(struct exchange *x, const struct device_information *info)
{
	struct device *d = x->dev;

	if (!info->set.has)
		return ST_PROTOCOL;
	/* An element of a newer version, or of none (a real server: 200 and status 2). */
	if (info->problem.kind == PROBLEM_BAD_VALUE || info->problem.kind == PROBLEM_TOO_LONG)
		return ST_ARGUMENTS;
	if (info->problem.kind != PROBLEM_NONE)
		return ST_PROTOCOL;
	/* Phones send it at every start: write only what is new. */
	if (d->has_info && !differs(&d->info, info))
		return ST_OK;
	d->info = *info;
	d->has_info = true;
	device_touch(d, DEVICE_INFO);
	return ST_OK;
}

/* --- UserInformation ---------------------------------------------------------------- */

static struct settings_user_information *user_information(struct exchange *x, const struct settings_request *q)
{
	struct settings_user_information *u = ARENA_NEW(x->a, struct settings_user_information);
	struct slice address = exchange_address(x);

	u->status = NUM(q->user_information.get.has ? ST_OK : ST_PROTOCOL);
	if (!q->user_information.get.has)
		return u;
	u->get = NUM(1);
	if (x->rq->version >= EAS_141) {
		struct settings_account *acc;

		u->has_accounts = NUM(1);
		acc = LIST_PUSH(x->a, &u->accounts); /* the primary one has no AccountId (R729) */
		acc->has_addresses = NUM(1);
		*LIST_PUSH(x->a, &acc->smtp_addresses) = address;
		acc->primary = address;
	} else {
		u->has_addresses = NUM(1);
		*LIST_PUSH(x->a, &u->smtp_addresses) = address;
	}
	return u;
}

/* --- what is not served ----------------------------------------------------------------- */

static int oof_status(const struct oof *o)
{
	if (o->problem.kind != PROBLEM_NONE || o->get.has == o->set.has)
		return ST_PROTOCOL;
	if (o->set.has && o->start.has != o->end.has) /* R2272 */
		return ST_PROTOCOL;
	return ST_DENIED;
}

static struct settings_status *just(struct exchange *x, int status)
{
	struct settings_status *s = ARENA_NEW(x->a, struct settings_status);

	s->status = NUM(status);
	return s;
}

void cmd_settings(struct exchange *x)
{
	const struct settings_request *q = x->rq->decoded;
	struct settings_reply r = { .status = NUM(ST_OK), .order = q->order };

	if (x->rq->report->problems && x->rq->report->first.kind != PROBLEM_NONE) {
		reply_status(x, ST_PROTOCOL);
		return;
	}
	if (q->device)
		r.device = just(x, deviceinfo_store(x, q->device));
	if (q->user_information.has.has)
		r.user_information = user_information(x, q);
	if (q->oof) {
		r.oof = ARENA_NEW(x->a, struct settings_oof_reply);
		r.oof->status = NUM(oof_status(q->oof));
	}
	if (q->device_password.has.has) {
		int status = !q->device_password.set.has ? ST_PROTOCOL
			   : q->device_password.password.len > PASSWORD_MAX ? ST_ARGUMENTS : ST_POLICY;

		r.device_password = just(x, status);
	}
	reply_struct(x, &settings_reply_schema, &r, ST_OK);
}
