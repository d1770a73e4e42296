/* admin.c - lists and orders on the store. Worker, or the program `zpushd admin`.
 * Orders are durable writes with the revision that was read, tried again when a
 * phone's own write came between; then the user's channel is told, so that a
 * waiting phone is looked at and finds the order.
 * The trap: an order must reach a phone that waits on another server, so it is
 * published with the change counter raised: a check never takes the short way. */
#include "work/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "keys.h"
#include "work/admin_tell.h"
#include "work/admin_user.h"
#include "work/device.h"
#include "work/gate.h"

enum { TRIES = 8 };

/* --- finding --------------------------------------------------------------------------- */

struct found {
	struct slice user, key;
};

struct search {
	struct arena *a;
	LIST_OF(struct found) list;
};

static int collect(void *arg, struct slice user, struct slice key)
{
	struct search *s = arg;
	struct found *f = LIST_PUSH(s->a, &s->list);

	f->user = arena_slice(s->a, user);
	f->key = arena_slice(s->a, key);
	return 0;
}

static int load(struct store *s, struct arena *a, struct slice user, struct slice key, struct device *d_r, struct err *e)
{
	struct store_get g = { .key = key };

	if (store_load(s, user, &g, 1, NULL, NULL, a, e) < 0)
		return -1;
	if (g.value.len == 0)
		return err_set(e, ERR_NOT_FOUND, "no such device");
	return device_decode(a, user, key, g.value, g.rev, d_r, e);
}

/* The one user that has this device, when none was named. */
static int only_user(struct store *s, struct arena *a, struct slice device, struct slice *user_r, struct err *e)
{
	struct slice key = key_device(a, device);
	struct search all = { .a = a };

	if (store_list(s, S_NONE, key, collect, &all, e) < 0)
		return -1;
	*user_r = S_NONE;
	for (size_t i = 0; i < all.list.n; i++) {
		if (!slice_eq(all.list.v[i].key, key))
			continue; /* the id is only a prefix of this one */
		if (user_r->len)
			return err_set(e, ERR_NOT_FOUND, "several users have that device: name one");
		*user_r = all.list.v[i].user;
	}
	return user_r->len ? 0 : err_set(e, ERR_NOT_FOUND, "no such device");
}

/* --- orders ------------------------------------------------------------------------------ */

typedef int order_fn(struct device *d, int64_t wall_ms, struct err *e);

static int give_order(struct store *s, const struct clock *clk, struct arena *a, struct slice user, struct slice device,
		      order_fn *fn, struct err *e)
{
	struct slice key = key_device(a, device), json;

	for (int i = 0; i < TRIES; i++) {
		struct store_put p = { .key = key, .op = STORE_PUT, .ttl_ms = -1 };
		struct device d;

		if (load(s, a, user, key, &d, e) < 0 || fn(&d, clock_wall(clk), e) < 0)
			return -1;
		p.value = device_encode(a, &d);
		p.expect = d.rev;
		if (!gate_wiping(&d) && d.access == ACCESS_ALLOWED)
			p.ttl_ms = 0;
		if (store_commit(s, user, &p, 1, NULL, STORE_DURABLE, e) == 0) {
			json = arena_printf(a, "{\"event\":\"device\"}");
			return store_publish(s, user, json, true, e);
		}
		if (e->code != ERR_STORE_RACE)
			return -1;
	}
	return -1;
}

static int order(struct store *s, const struct clock *clk, struct slice user, struct slice device, order_fn *fn,
		 struct err *e)
{
	struct arena *a = arena_new();
	int rc = user.len ? 0 : only_user(s, a, device, &user, e);

	if (rc == 0)
		rc = give_order(s, clk, a, user, device, fn, e);
	arena_free(&a);
	return rc;
}

static int order_wipe(struct device *d, int64_t wall_ms, struct err *e)
{
	if (!gate_wiping(d)) {
		d->wipe = WIPE_ORDERED;
		d->wipe_ms = wall_ms;
	}
	return 0;
}

static int order_unwipe(struct device *d, int64_t wall_ms, struct err *e)
{
	if (d->wipe == WIPE_NONE)
		return err_set(e, ERR_NOT_FOUND, "no wipe was ordered for this device");
	d->wipe = WIPE_NONE;
	d->wipe_ms = wall_ms;
	return 0;
}

static int order_allow(struct device *d, int64_t wall_ms, struct err *e)
{
	d->access = ACCESS_ALLOWED;
	d->fuse = FUSE_NEVER;
	d->fuse_ms = 0;
	return 0;
}

static int order_block(struct device *d, int64_t wall_ms, struct err *e)
{
	d->access = ACCESS_BLOCKED;
	return 0;
}

/* The folder list starts over; collections are deleted by admin_resync. */
static int order_resync(struct device *d, int64_t wall_ms, struct err *e)
{
	device_reset(d);
	return 0;
}

int admin_wipe(struct store *s, const struct clock *clk, struct slice user, struct slice device, struct err *e)
{
	return order(s, clk, user, device, order_wipe, e);
}

int admin_unwipe(struct store *s, const struct clock *clk, struct slice user, struct slice device, struct err *e)
{
	return order(s, clk, user, device, order_unwipe, e);
}

int admin_allow(struct store *s, const struct clock *clk, struct slice user, struct slice device, struct err *e)
{
	return order(s, clk, user, device, order_allow, e);
}

int admin_block(struct store *s, const struct clock *clk, struct slice user, struct slice device, struct err *e)
{
	return order(s, clk, user, device, order_block, e);
}

static int drop_collections(struct store *s, struct arena *a, struct slice user, struct slice device, struct err *e)
{
	struct slice dev = key_device(a, device);
	/* "dev:ID" and "col:ID:FOLDER" share the escaped id. */
	struct slice prefix = arena_printf(a, "col:%.*s:", SARG(slice_from(dev, 4)));
	struct search all = { .a = a };

	if (store_list(s, user, prefix, collect, &all, e) < 0)
		return -1;
	for (size_t i = 0; i < all.list.n; i++) {
		struct store_put p = { .key = all.list.v[i].key, .op = STORE_DELETE, .expect = STORE_ANY };

		if (store_commit(s, user, &p, 1, NULL, 0, e) < 0)
			return -1;
	}
	return 0;
}

int admin_resync(struct store *s, const struct clock *clk, struct slice user, struct slice device, struct err *e)
{
	struct arena *a = arena_new();
	int rc = user.len ? 0 : only_user(s, a, device, &user, e);

	if (rc == 0)
		rc = drop_collections(s, a, user, device, e);
	if (rc == 0)
		rc = give_order(s, clk, a, user, device, order_resync, e);
	arena_free(&a);
	return rc;
}

int admin_logout(struct store *s, struct slice user, struct err *e)
{
	return store_publish(s, user, S("{\"auth\":\"changed\"}"), false, e);
}

/* --- listing ------------------------------------------------------------------------------- */

static void json_text(struct blob *b, struct slice s)
{
	blob_append(b, "\"", 1, NULL);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c == '"' || c == '\\')
			blob_printf(b, NULL, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			blob_printf(b, NULL, "\\u%04x", c);
		else
			blob_append(b, &s.ptr[i], 1, NULL);
	}
	blob_append(b, "\"", 1, NULL);
}

static void json_member(struct blob *b, const char *name, struct slice s)
{
	blob_printf(b, NULL, ",\"%s\":", name);
	json_text(b, s);
}

static struct slice iso(struct arena *a, int64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (wall_ms == 0)
		return S_NONE;
	gmtime_r(&t, &tm);
	return arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
			    tm.tm_min, tm.tm_sec);
}

static struct slice version_text(const struct device *d)
{
	return slice_str(d->version ? eas_version_name(d->version) : NULL);
}

static void as_json(struct blob *b, struct arena *a, const struct device *d)
{
	blob_printf(b, NULL, "{\"user\":");
	json_text(b, d->user);
	json_member(b, "device", d->id);
	json_member(b, "type", d->type);
	json_member(b, "agent", d->agent);
	json_member(b, "version", version_text(d));
	json_member(b, "first_seen", iso(a, d->first_seen_ms));
	json_member(b, "last_seen", iso(a, d->last_seen_ms));
	json_member(b, "last_sync", iso(a, d->last_sync_ms));
	json_member(b, "policy", slice_str(policy_state_name(d->policy_state)));
	json_member(b, "wipe", slice_str(wipe_state_name(d->wipe)));
	json_member(b, "wipe_changed", iso(a, d->wipe_ms));
	json_member(b, "access", slice_str(device_access_name(d->access)));
	json_member(b, "slowed", slice_str(device_fuse_name(d->fuse)));
	json_member(b, "slowed_at", iso(a, d->fuse_ms));
	if (d->has_info) {
		json_member(b, "model", d->info.model);
		json_member(b, "name", d->info.friendly_name);
		json_member(b, "os", d->info.os);
		json_member(b, "imei", d->info.imei);
		json_member(b, "phone", d->info.phone_number);
	}
	blob_printf(b, NULL, "}");
}

/* Text for a terminal: what a phone said must not move the cursor. */
static struct slice plain(struct arena *a, struct slice s)
{
	char *z = arena_str(a, s);

	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)z[i] < 0x20 || z[i] == 0x7f)
			z[i] = '?';
	return s.len ? slice(z, s.len) : S("-");
}

static void as_text(struct blob *b, struct arena *a, const struct device *d)
{
	struct slice user = plain(a, d->user), id = plain(a, d->id), type = plain(a, d->type);
	struct slice version = plain(a, version_text(d)), seen = plain(a, iso(a, d->last_seen_ms));
	struct slice sync = plain(a, iso(a, d->last_sync_ms));
	const char *slowed = device_fuse_name(d->fuse);

	blob_printf(b, NULL, "%-24.*s %-34.*s %-14.*s %-5.*s %-20.*s %-20.*s %-8s %-12s %s%s%s\n", SARG(user), SARG(id),
		    SARG(type), SARG(version), SARG(seen), SARG(sync), policy_state_name(d->policy_state),
		    wipe_state_name(d->wipe), device_access_name(d->access), *slowed ? ", slowed: " : "", slowed);
}

int admin_devices(struct store *s, const struct clock *clk, struct slice user, enum admin_form form, struct blob *out,
		  struct err *e)
{
	struct arena *a = arena_new();
	struct search all = { .a = a };
	bool first = true;
	int rc = store_list(s, user, S("dev:"), collect, &all, e);

	if (form == ADMIN_TEXT)
		blob_printf(out, NULL, "%-24s %-34s %-14s %-5s %-20s %-20s %-8s %-12s %s\n", "USER", "DEVICE", "TYPE", "EAS",
			    "LAST SEEN", "LAST SYNC", "POLICY", "WIPE", "ACCESS");
	else
		blob_printf(out, NULL, "[");
	for (size_t i = 0; rc == 0 && i < all.list.n; i++) {
		struct arena *one = arena_new();
		struct device d;
		struct err skip;

		/* One that vanished or is damaged does not hide the others. */
		if (load(s, one, all.list.v[i].user, all.list.v[i].key, &d, &skip) == 0) {
			if (form == ADMIN_JSON) {
				blob_printf(out, NULL, "%s", first ? "" : ",\n");
				as_json(out, one, &d);
			} else {
				as_text(out, one, &d);
			}
			first = false;
		} else if (skip.code != ERR_NOT_FOUND) {
			rc = err_is_temp(skip.code) ? -1 : rc;
			if (rc < 0)
				*e = skip;
		}
		arena_free(&one);
	}
	if (form == ADMIN_JSON)
		blob_printf(out, NULL, "]\n");
	arena_free(&a);
	return rc;
}

/* --- zpushd admin ------------------------------------------------------------------------------ */

static const char usage[] =
	"usage: zpushd admin devices [--json] [USER]\n"
	"       zpushd admin wipe|unwipe|allow|block|resync [--user USER] DEVICE\n"
	"       zpushd admin logout USER\n"
	"       zpushd admin stats [--json]   (of the running server)\n"
	"       zpushd admin trace [--json] | trace on|off DEVICE   (of the running server)\n"
	"       zpushd admin user list|add|password|remove …   (accounts of the backend local)\n";

struct words {
	bool json;
	struct slice user, word;
	bool bad;
};

static struct words parse(int argc, char **argv)
{
	struct words w = { 0 };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			w.json = true;
		else if (strcmp(argv[i], "--user") == 0 && i + 1 < argc)
			w.user = slice_str(argv[++i]);
		else if (argv[i][0] == '-' || w.word.len)
			w.bad = true;
		else
			w.word = slice_str(argv[i]);
	}
	return w;
}

static int say_devices(struct store *s, struct slice user, enum admin_form form, struct err *e)
{
	struct blob *b = blob_new(0);
	struct slice all;
	int rc = admin_devices(s, &clock_system, user, form, b, e);

	if (rc == 0 && (rc = blob_map(b, &all, e)) == 0)
		fwrite(all.ptr, 1, all.len, stdout);
	blob_free(&b);
	return rc;
}

int admin_main(int argc, char **argv, const struct settings *set)
{
	static const struct {
		const char *verb;
		int (*fn)(struct store *, const struct clock *, struct slice, struct slice, struct err *);
	} orders[] = {
		{ "wipe", admin_wipe }, { "unwipe", admin_unwipe }, { "allow", admin_allow },
		{ "block", admin_block }, { "resync", admin_resync },
	};
	struct words w = parse(argc, argv);
	struct store *s = NULL;
	struct err e = { ERR_NONE, "" };
	int rc = 2;

	if (argc > 0 && strcmp(argv[0], "user") == 0)
		return admin_user_main(argc - 1, argv + 1, set);
	if (argc > 0 && strcmp(argv[0], "stats") == 0)
		return admin_stats_main(argc - 1, argv + 1, set);
	if (argc > 0 && strcmp(argv[0], "trace") == 0)
		return admin_trace_main(argc - 1, argv + 1, set);
	if (argc < 1 || w.bad) {
		fputs(usage, stderr);
		return 2;
	}
	if (store_open(&s, set, &clock_system, &e) < 0) {
		fprintf(stderr, "zpushd: %s (%s)\n", e.text, err_advice(e.code));
		return 1;
	}
	/* Redis carries the messages of an order to the servers itself. */
	if (s->ops->publishes_here)
		store_on_publish(s, admin_tell_server, (void *)set);
	if (strcmp(argv[0], "devices") == 0)
		rc = say_devices(s, w.word.len ? w.word : w.user, w.json ? ADMIN_JSON : ADMIN_TEXT, &e) < 0;
	else if (strcmp(argv[0], "logout") == 0 && w.word.len)
		rc = admin_logout(s, w.word, &e) < 0;
	for (size_t i = 0; w.word.len && i < sizeof(orders) / sizeof(*orders); i++)
		if (strcmp(argv[0], orders[i].verb) == 0)
			rc = orders[i].fn(s, &clock_system, w.user, w.word, &e) < 0;
	if (rc == 2)
		fputs(usage, stderr);
	else if (rc)
		fprintf(stderr, "zpushd: %s\n", e.text);
	store_close(&s);
	return rc;
}
