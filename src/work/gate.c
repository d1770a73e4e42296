/* gate.c - who may join, wipe orders, policy keys. Worker.
 * Order: blocked, wipe, quarantine, policy: a lost phone that is also blocked
 * must still hear that it shall erase itself, so a wipe order comes before a
 * block that the admin set (not before devices.allow for a new device).
 * The trap: Provision passes for a device to be wiped (it brings the order). */
#include "work/gate.h"

#include "base/settings.h"
#include "work/policy.h"

bool gate_wiping(const struct device *d)
{
	return d->wipe == WIPE_ORDERED || d->wipe == WIPE_SENT || d->wipe == WIPE_FAILED;
}

/* * and ?, ASCII case folded; iterative, linear in practice. */
bool gate_glob(struct slice pattern, struct slice text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star = p++;
			mark = t;
		} else if (p < pattern.len && (pattern.ptr[p] == '?' ||
			   strncasecmp(&pattern.ptr[p], &text.ptr[t], 1) == 0)) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

bool gate_listed(const struct slice *patterns, size_t n, const struct device *d)
{
	for (size_t i = 0; i < n; i++) {
		struct slice p = patterns[i];
		const struct {
			struct slice prefix, text;
		} kind[] = {
			{ S("type:"), d->type }, { S("id:"), d->id }, { S("agent:"), d->agent }, { S("user:"), d->user },
		};

		if (slice_ieq(p, S("all")))
			return true;
		for (size_t k = 0; k < sizeof(kind) / sizeof(*kind); k++)
			if (slice_istarts(p, kind[k].prefix) && gate_glob(slice_from(p, kind[k].prefix.len), kind[k].text))
				return true;
	}
	return false;
}

static bool refuse(struct exchange *x, int status, const char *why)
{
	reply_status(x, status);
	err_set(&x->v->err, ERR_FORBIDDEN, "%s", why);
	return false;
}

static int count_one(void *arg, struct slice user, struct slice key)
{
	++*(size_t *)arg;
	return 0;
}

/* Only a new device is counted: one listing in its life. A listing that fails lets it
 * in: the limit guards the store, and the store has its own errors. */
static bool one_too_many(struct exchange *x)
{
	size_t n = 0;
	struct err e;

	return x->dev->rev == 0 && store_list(x->w->store, x->dev->user, S("dev:"), count_one, &n, &e) == 0 &&
	       n >= (size_t)settings_int(x->w->settings, "limits.devices_per_user");
}

static bool allowed(struct exchange *x)
{
	const struct slice *patterns;
	size_t n = settings_list(x->w->settings, "devices.allow", &patterns);
	struct device *d = x->dev;

	if (!gate_listed(patterns, n, d)) {
		if (d->rev == 0)
			d->touched = 0;
		return refuse(x, 129, "device is not in devices.allow");
	}
	if (d->access == ACCESS_BLOCKED)
		return refuse(x, 129, "device was blocked by the admin");
	if (one_too_many(x)) {
		d->touched = 0; /* nothing is remembered of it */
		return refuse(x, 177, "limits.devices_per_user is reached");
	}
	if (d->rev == 0 && settings_bool(x->w->settings, "devices.quarantine") && d->access == ACCESS_ALLOWED) {
		d->access = ACCESS_QUARANTINED;
		device_touch(d, DEVICE_ACCESS);
	}
	if (d->access == ACCESS_QUARANTINED)
		return refuse(x, 129, "device waits in quarantine: zpushd admin allow");
	return true;
}

/* MS-ASCMD R7561: up to 12.1 403 without a policy key header, else 449. A Ping never
 * has one; there it counts whether the device ever provisioned, because 449 is what
 * makes it ask and hear the order. */
static bool wipe(struct exchange *x)
{
	bool keyless = x->rq->kind == REQUEST_CHECK || (x->handler->flags & CMD_NO_KEY);

	if (x->rq->version < EAS_140)
		reply_http(x, x->rq->has_policy_key || (keyless && x->dev->policy_key) ? 449 : 403);
	else
		reply_status(x, 140);
	err_set(&x->v->err, ERR_FORBIDDEN, "a remote wipe is ordered for this device");
	return false;
}

/* 142 never provisioned, 143 the policy changed, 144 not the key that was given. */
static bool provision_first(struct exchange *x, int status)
{
	if (x->rq->version < EAS_140)
		reply_http(x, 449);
	else
		reply_status(x, status);
	return false;
}

/* Loose, and no key yet. Without the header it is a device that knows nothing of
 * policies. Key 0 says "I know them and have none": it is asked once, because phones
 * provision only when they are told to; one that comes again without is let in. */
static bool loose(struct exchange *x)
{
	struct device *d = x->dev;

	if (!x->rq->has_policy_key || d->policy_state == POLICY_ASKED || x->client.quirks & QUIRK_NO_PROVISION ||
	    !policies_configured(x->w->policies, d->user))
		return true;
	if (d->policy_state == POLICY_NEVER) {
		d->policy_state = POLICY_ASKED;
		device_touch(d, DEVICE_POLICY);
	}
	return provision_first(x, 142);
}

static bool policy(struct exchange *x)
{
	enum policy_mode mode = policies_mode(x->w->policies, x->dev->user);
	struct device *d = x->dev;

	if (mode == POLICY_OFF || x->rq->kind == REQUEST_CHECK)
		return true;
	if (x->rq->has_policy_key && x->rq->policy_key != 0) {
		if (x->rq->policy_key != d->policy_key)
			return provision_first(x, 144);
		return policies_hash(x->w->policies, x->a, d->user) == d->policy_hash ? true : provision_first(x, 143);
	}
	/* A phone's Ping comes without a key (MS-ASPROV R757); what it is told is not data. */
	if ((x->handler->flags & CMD_NO_KEY) && d->policy_key)
		return true;
	return mode == POLICY_STRICT ? provision_first(x, 142) : loose(x);
}

bool gate_pass(struct exchange *x)
{
	bool provisioning = x->handler->flags & CMD_NO_POLICY;

	if (gate_wiping(x->dev))
		return provisioning ? true : wipe(x);
	if (!allowed(x))
		return false;
	return provisioning || policy(x);
}
