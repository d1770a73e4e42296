/* policy.c - policy.* of the settings as EASProvisionDoc. Read-only after
 * policies_new; any thread. The elements, their bounds and versions are rows of
 * proto/policy.def; this file only fills them.
 * The trap: "no limit" is an absent element; a value out of bounds is refused at
 * start and never sent. */
#include "work/policy.h"

#include <stdlib.h>

#include "base/digest.h"

struct policies {
	struct settings *set;
	uint64_t hash;   /* of everybody without settings of his own: asked at every request */
	bool configured;
};

static const struct row {
	uint16_t tag;
	size_t offset;
	int64_t lo, hi;
} rows[] = {
#define P(kind, tag_, member, first, lo_, hi_) { tag_, offsetof(struct policy, member), lo_, hi_ },
#include "proto/policy.def"
#undef P
};

static bool text_number(struct slice v, int64_t *n_r)
{
	if (slice_ieq(v, S("true"))) {
		*n_r = 1;
		return true;
	}
	if (slice_ieq(v, S("false"))) {
		*n_r = 0;
		return true;
	}
	return slice_i64(v, n_r);
}

/* One element for one user: 1 set, 0 not configured, -1 out of bounds. */
static int value_of(const struct settings *set, struct slice user, const struct row *r, struct num *to, struct err *e)
{
	const char *element = wbxml_tag_name(r->tag);
	struct slice v;
	int64_t n;

	if (!settings_user_str(set, user, element, &v) || v.len == 0)
		return 0;
	if (!text_number(v, &n) || n < r->lo || n > r->hi)
		return err_set(e, ERR_CONFIG, "policy.%s = %.*s: must be %lld to %lld", element, SARG(v),
			       (long long)r->lo, (long long)r->hi);
	*to = NUM(n);
	return 1;
}

static void list_of(const struct settings *set, struct slice user, const char *key, struct arena *a, struct num *has,
		    str_list *to)
{
	struct slice v, part;

	if (!settings_user_str(set, user, key, &v) || v.len == 0)
		return;
	*has = NUM(1);
	while (slice_split(&v, ',', &part)) {
		part = slice_trim(part);
		if (part.len)
			*LIST_PUSH(a, to) = arena_slice(a, part);
	}
}

/* -1: an element was out of bounds and is left out. */
static int fill(const struct settings *set, struct arena *a, struct slice user, struct policy *p, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (value_of(set, user, &rows[i], (struct num *)((char *)p + rows[i].offset), e) < 0)
			rc = -1;
	list_of(set, user, "UnapprovedInROMApplicationList", a, &p->has_unapproved, &p->unapproved_applications);
	list_of(set, user, "ApprovedApplicationList", a, &p->has_approved, &p->approved_hashes);
	return rc;
}

static bool configured(const struct settings *set, struct slice user)
{
	struct slice v;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (settings_user_str(set, user, wbxml_tag_name(rows[i].tag), &v) && v.len)
			return true;
	return (settings_user_str(set, user, "UnapprovedInROMApplicationList", &v) && v.len) ||
	       (settings_user_str(set, user, "ApprovedApplicationList", &v) && v.len);
}

int policies_new(struct policies **p_r, struct settings *set, struct err *e)
{
	struct arena *a = arena_new();
	struct policy everyone = { 0 };
	struct policies *p;
	int rc = fill(set, a, S_NONE, &everyone, e);

	if (rc == 0) {
		p = mem_alloc(sizeof(*p));
		p->set = settings_ref(set);
		p->configured = configured(set, S_NONE);
		policies_for(p, a, S_NONE, &p->hash);
		*p_r = p;
	}
	arena_free(&a);
	return rc;
}

void policies_free(struct policies **pp)
{
	struct policies *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	settings_unref(&p->set);
	free(p);
}

enum policy_mode policies_mode(const struct policies *p, struct slice user)
{
	struct slice v;

	if (!settings_names_user(p->set, user) || !settings_user_str(p->set, user, "require", &v))
		v = settings_str(p->set, "policy.require");
	if (slice_eq(v, S("off")))
		return POLICY_OFF;
	return slice_eq(v, S("strict")) ? POLICY_STRICT : POLICY_LOOSE;
}

bool policies_configured(const struct policies *p, struct slice user)
{
	return settings_names_user(p->set, user) ? configured(p->set, user) : p->configured;
}

uint64_t policies_hash(const struct policies *p, struct arena *a, struct slice user)
{
	uint64_t hash = p->hash;

	if (settings_names_user(p->set, user))
		policies_for(p, a, user, &hash);
	return hash;
}

static uint64_t hash_of(struct arena *a, const struct policy *p)
{
	str_list parts = { NULL, 0, 0 };
	struct sha256 d;
	uint64_t h;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct num *n = (const struct num *)((const char *)p + rows[i].offset);

		if (n->has)
			*LIST_PUSH(a, &parts) = arena_printf(a, "%x=%lld", rows[i].tag, (long long)n->v);
	}
	for (size_t i = 0; i < p->unapproved_applications.n; i++)
		*LIST_PUSH(a, &parts) = p->unapproved_applications.v[i];
	*LIST_PUSH(a, &parts) = S("/");
	for (size_t i = 0; i < p->approved_hashes.n; i++)
		*LIST_PUSH(a, &parts) = p->approved_hashes.v[i];
	d = digest_parts(parts.v, parts.n);
	memcpy(&h, d.b, sizeof(h));
	return h ? h : 1;
}

struct policy *policies_for(const struct policies *p, struct arena *a, struct slice user, uint64_t *hash_r)
{
	struct policy *doc = ARENA_NEW(a, struct policy);
	struct err e;

	/* Bounds were checked with the settings, for each user named as well; an element
	 * that is out of those of the protocol all the same is left out. */
	fill(p->set, a, user, doc, &e);
	/* MS-ASPROV R652: what was set before and is not any more is sent as its default. */
	if (!doc->device_password_enabled.has)
		doc->device_password_enabled = NUM(0);
	if (!doc->attachments_enabled.has)
		doc->attachments_enabled = NUM(1);
	*hash_r = hash_of(a, doc);
	return doc;
}
