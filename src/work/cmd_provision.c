/* cmd_provision.c - Provision (MS-ASPROV 3.2.5): policies in two phases, and the
 * order to erase the device. Worker; runs for every device that may log in, also
 * one that is to be wiped. Without the claim: the record merges.
 *
 * Phase 1 offers the document under a temporary key; asked again (the reply got
 * lost, or a second program of the phone asks too) it offers the same key. Phase
 * 2 acknowledges it and gets the permanent key; repeated it gets the same one.
 * Keys are random, never 0. A device is told to wipe with every Provision from
 * the order on, until it says that it did. */
#include "base/log.h"
#include "work/deviceinfo.h"
#include "work/gate.h"
#include "work/policy.h"

enum {
	ST_OK = 1, ST_PROTOCOL = 2, ST_SERVER = 3,
	POL_OK = 1, POL_UNKNOWN_TYPE = 3, POL_WRONG_KEY = 5,
	ACK_APPLIED = 1, ACK_PARTLY = 2, ACK_NOT = 3, ACK_THIRD_PARTY = 4,
	ST_NOT_FULLY = 139, ST_NOT_PROVISIONABLE = 141, ST_MANAGED_ELSEWHERE = 145,
};

#define TYPE_WBXML S("MS-EAS-Provisioning-WBXML")
#define TYPE_WAP   S("MS-WAP-Provisioning-XML")

void cmd_provision(struct exchange *x);

static uint32_t fresh_key(struct exchange *x)
{
	uint32_t k;

	do
		k = (uint32_t)rnd_u64(x->w->rnd);
	while (k == 0 || k == x->dev->policy_key || k == x->dev->pending_key);
	return k;
}

static struct slice key_text(struct exchange *x, uint32_t key)
{
	return arena_printf(x->a, "%u", key);
}

/* --- policies ------------------------------------------------------------------------- */

static void offer(struct exchange *x, struct provision_policy_reply *p)
{
	struct device *d = x->dev;
	uint64_t hash;
	struct policy *doc = policies_for(x->w->policies, x->a, d->user, &hash);

	if (d->policy_state != POLICY_OFFERED || d->pending_hash != hash || d->pending_key == 0) {
		d->pending_key = fresh_key(x);
		d->pending_hash = hash;
		d->policy_state = POLICY_OFFERED;
		device_touch(d, DEVICE_POLICY);
	}
	p->status = NUM(POL_OK);
	p->key = key_text(x, d->pending_key);
	if (x->rq->version < EAS_120) {
		p->wap_xml = policy_wap_xml(x->a, doc);
	} else {
		p->has_data = NUM(1);
		p->policy = doc;
	}
}

/* 0: the device may go on with what it did; else the Status of the reply. */
static int compliance(const struct exchange *x, int64_t ack)
{
	bool common = x->rq->version >= EAS_140;

	if (ack == ACK_APPLIED || policies_mode(x->w->policies, x->dev->user) != POLICY_STRICT)
		return 0;
	if (ack == ACK_PARTLY)
		return common ? ST_NOT_FULLY : ST_PROTOCOL;
	if (ack == ACK_THIRD_PARTY)
		return common ? ST_MANAGED_ELSEWHERE : ST_PROTOCOL;
	return common ? ST_NOT_PROVISIONABLE : ST_PROTOCOL;
}

static int acknowledge(struct exchange *x, const struct provision_policy_request *q, struct provision_policy_reply *p)
{
	struct device *d = x->dev;
	int64_t ack = num_or(q->status, ACK_APPLIED);
	uint64_t key;
	int status;

	if (!slice_u64(q->key, &key) || key == 0 || key != d->pending_key) {
		p->status = NUM(POL_WRONG_KEY);
		return ST_OK;
	}
	status = compliance(x, ack);
	if (status) {
		d->policy_state = POLICY_REFUSED;
		d->policy_key = 0;
		device_touch(d, DEVICE_POLICY);
		return status;
	}
	if (d->policy_state == POLICY_OFFERED || d->policy_key == 0) {
		d->policy_key = fresh_key(x);
		d->policy_hash = d->pending_hash;
		d->policy_state = ack == ACK_APPLIED ? POLICY_APPLIED : ack == ACK_PARTLY ? POLICY_PARTLY : POLICY_REFUSED;
		device_touch(d, DEVICE_POLICY);
	}
	p->status = NUM(POL_OK);
	p->key = key_text(x, d->policy_key);
	return ST_OK;
}

static void policies(struct exchange *x, const struct provision_request *q, struct provision_reply *r)
{
	const struct provision_policy_request *ask = &q->policies.v[0];
	struct slice type = x->rq->version < EAS_120 ? TYPE_WAP : TYPE_WBXML;
	struct provision_policy_reply *p;
	int status = ST_OK;

	if (!ask->type.ptr || ask->type.len == 0) { /* MS-ASCMD R4989 */
		r->status = NUM(ST_PROTOCOL);
		return;
	}
	r->has_policies = NUM(1);
	p = LIST_PUSH(x->a, &r->policies);
	p->type = ask->type;
	if (!slice_eq(ask->type, type))
		p->status = NUM(POL_UNKNOWN_TYPE);
	else if (ask->key.ptr && ask->key.len)
		status = acknowledge(x, ask, p);
	else
		offer(x, p);
	r->status = NUM(status);
	if (status != ST_OK) {
		r->has_policies = (struct num){ 0 };
		r->policies.n = 0;
	}
}

/* --- wipe --------------------------------------------------------------------------------- */

static void set_wipe(struct exchange *x, enum wipe_state s)
{
	struct device *d = x->dev;

	LOG_W("remote_wipe", L_S("user", d->user), L_S("dev", d->id), L_S("type", d->type),
	      L_Z("was", wipe_state_name(d->wipe)), L_Z("is", wipe_state_name(s)));
	d->wipe = s;
	d->wipe_ms = clock_wall(x->w->clock);
	device_touch(d, DEVICE_WIPE);
}

/* MS-ASPROV R663-R666, R701: success ends the order, failure repeats it. */
static void wipe(struct exchange *x, const struct provision_request *q, struct provision_reply *r)
{
	if (q->remote_wipe.has && num_or(q->remote_wipe_status, 0) == 1) {
		set_wipe(x, WIPE_ACKNOWLEDGED);
		device_reset(x->dev);
		r->status = NUM(ST_OK);
		return;
	}
	if (q->remote_wipe.has) {
		set_wipe(x, WIPE_FAILED);
		r->status = NUM(ST_PROTOCOL);
	} else {
		if (x->dev->wipe == WIPE_ORDERED)
			set_wipe(x, WIPE_SENT);
		r->status = NUM(ST_OK);
	}
	r->remote_wipe = NUM(1);
}

void cmd_provision(struct exchange *x)
{
	const struct provision_request *q = x->rq->decoded;
	struct provision_reply r = { .status = NUM(ST_OK) };

	if (x->rq->report->problems && x->rq->report->first.kind != PROBLEM_NONE) {
		reply_status(x, ST_PROTOCOL);
		return;
	}
	if (gate_wiping(x->dev)) {
		wipe(x, q, &r);
	} else if (q->remote_wipe.has) {
		/* A repeated acknowledgement (its answer got lost) is fine; one without an order is not. */
		r.status = NUM(x->dev->wipe == WIPE_ACKNOWLEDGED ? ST_OK : ST_PROTOCOL);
	} else {
		if (q->device) {
			r.device = ARENA_NEW(x->a, struct settings_status);
			r.device->status = NUM(deviceinfo_store(x, q->device));
		}
		if (q->policies.n)
			policies(x, q, &r);
		else if (q->has_policies.has || !q->device) /* MS-ASCMD R4989 */
			r.status = NUM(ST_PROTOCOL);
	}
	reply_struct(x, &provision_reply_schema, &r, (int)r.status.v);
}
