/* records.c - loads and commits the records of one exchange. Worker.
 * Wanted 0 is the device, 1 the user record, the others the command's. The
 * device and the folder map may lose the race against another command of the
 * device or the user: then they are loaded anew, this command's changes are laid
 * over them, and the commit is tried again. A command's own record that lost is
 * the command's business: ERR_STORE_RACE. */
#include "work/records.h"

#include "keys.h"
#include "work/gate.h"

enum { W_DEVICE, W_USER, TRIES = 4 };

struct wanted {
	struct store_get get;
	bool loaded, put, loose;
	enum store_op op;
	struct slice value;
	int64_t ttl_ms;
};

static struct wanted *find(struct exchange *x, struct slice key)
{
	for (size_t i = 0; i < x->n_wanted; i++)
		if (slice_eq(x->wanted[i].get.key, key))
			return &x->wanted[i];
	return NULL;
}

static struct wanted *want(struct exchange *x, struct slice key)
{
	struct wanted *w = find(x, key);

	if (w)
		return w;
	x->wanted = arena_grow(x->a, x->wanted, x->n_wanted, &x->cap_wanted, sizeof(*x->wanted));
	w = &x->wanted[x->n_wanted++];
	memset(w, 0, sizeof(*w));
	w->get.key = arena_slice(x->a, key);
	return w;
}

/* Device and user come first, also when the want hook has not run yet. */
static void want_base(struct exchange *x)
{
	if (x->n_wanted == 0) {
		want(x, key_device(x->a, x->rq->query.device_id));
		want(x, S(KEY_USER));
	}
}

void exchange_want(struct exchange *x, struct slice key)
{
	want_base(x);
	want(x, key);
}

struct slice exchange_got(struct exchange *x, struct slice key, uint32_t *base_len_r)
{
	struct wanted *w = find(x, key);

	if (base_len_r)
		*base_len_r = w ? w->get.base_len : 0;
	return w ? w->get.value : S_NONE;
}

void exchange_put(struct exchange *x, struct slice key, enum store_op op, struct slice value, int64_t ttl_ms)
{
	struct wanted *w;

	want_base(x);
	w = want(x, key);
	w->put = true;
	w->loose = false;
	w->op = op;
	w->value = value;
	w->ttl_ms = ttl_ms;
}

void exchange_put_loose(struct exchange *x, struct slice key)
{
	struct wanted *w = find(x, key);

	if (w)
		w->loose = w->put;
}

/* --- load --------------------------------------------------------------------- */

static int load_missing(struct exchange *x, const struct store_claim *claim, uint64_t *gen_r, struct err *e)
{
	struct store_get *g = arena_alloc(x->a, x->n_wanted * sizeof(*g));
	size_t n = 0;

	for (size_t i = 0; i < x->n_wanted; i++)
		if (!x->wanted[i].loaded)
			g[n++].key = x->wanted[i].get.key;
	if (n == 0 && !claim)
		return 0;
	if (store_load(x->w->store, x->rq->user, g, n, claim, gen_r, x->a, e) < 0) {
		if (claim && e->code != ERR_STORE_RACE)
			store_claim_lost(x->w->store, x->rq->user, claim);
		return -1;
	}
	for (size_t i = 0, k = 0; i < x->n_wanted; i++)
		if (!x->wanted[i].loaded) {
			x->wanted[i].get = g[k++];
			x->wanted[i].loaded = true;
		}
	return 0;
}

static int decode_device(struct exchange *x, struct err *e)
{
	const struct store_get *g = &x->wanted[W_DEVICE].get;

	x->dev = ARENA_NEW(x->a, struct device);
	if (device_decode(x->a, x->rq->user, x->rq->query.device_id, g->value, g->rev, x->dev, e) < 0)
		return -1;
	x->hier_loaded = x->dev->hier.key;
	return 0;
}

static void make_claim(struct exchange *x)
{
	uint8_t owner[16];

	x->w->rnd->fill(x->w->rnd->self, owner, sizeof(owner));
	x->claim = (struct store_claim){
		.key = key_claim(x->a, x->rq->query.device_id),
		.ttl_ms = settings_ms(x->w->settings, "limits.claim_ttl"),
		.wait_ms = settings_ms(x->w->settings, "limits.claim_wait"),
	};
	if (!store_claim_found(x->w->store, x->rq->user, x->claim.key, x->a, &x->claim.owner))
		x->claim.owner = hex_encode(x->a, owner, sizeof(owner));
}

int records_load(struct exchange *x, struct err *e)
{
	bool claim = (x->handler->flags & CMD_WRITES) != 0;

	want_base(x);
	if (claim)
		make_claim(x);
	if (load_missing(x, claim ? &x->claim : NULL, &x->gen, e) < 0)
		return -1;
	x->claimed = claim;
	return decode_device(x, e);
}

int records_reload(struct exchange *x, struct err *e)
{
	for (size_t i = 0; i < x->n_wanted; i++)
		x->wanted[i].loaded = x->wanted[i].put = false;
	x->map = NULL;
	make_claim(x);
	if (load_missing(x, &x->claim, &x->gen, e) < 0)
		return -1;
	x->claimed = true;
	return decode_device(x, e);
}

int exchange_load_more(struct exchange *x, struct err *e)
{
	return load_missing(x, NULL, NULL, e);
}

struct folder_map *exchange_folders(struct exchange *x, struct err *e)
{
	const struct store_get *g = &x->wanted[W_USER].get;
	struct folder_map *m;

	if (x->map)
		return x->map;
	m = ARENA_NEW(x->a, struct folder_map);
	if (folder_map_decode(x->a, x->rq->user, g->value, g->rev, m, e) < 0)
		return NULL;
	x->map = m;
	return m;
}

/* --- commit ------------------------------------------------------------------- */

/* Device and map become puts; false when nothing is to be written. */
static bool prepare(struct exchange *x)
{
	bool any = false;

	if (x->dev && x->dev->touched) {
		struct wanted *w = &x->wanted[W_DEVICE];

		w->put = true;
		w->op = STORE_PUT;
		w->value = device_encode(x->a, x->dev);
		w->ttl_ms = settings_ms(x->w->settings, "devices.forget");
		/* What the admin decided outlives the phone's silence. */
		if (gate_wiping(x->dev) || x->dev->access != ACCESS_ALLOWED)
			w->ttl_ms = -1;
	}
	if (x->map && x->map->dirty) {
		struct wanted *w = &x->wanted[W_USER];

		w->put = true;
		w->op = STORE_PUT;
		w->value = folder_map_encode(x->a, x->map);
		w->ttl_ms = -1;
	}
	for (size_t i = 0; i < x->n_wanted; i++)
		any |= x->wanted[i].put;
	return any;
}

static int try_commit(struct exchange *x, unsigned flags, const struct store_claim *release, struct err *e)
{
	struct store_put *p = arena_alloc(x->a, x->n_wanted * sizeof(*p));
	size_t n = 0;

	for (size_t i = 0; i < x->n_wanted; i++) {
		const struct wanted *w = &x->wanted[i];

		if (w->put)
			p[n++] = (struct store_put){
				.key = w->get.key, .value = w->value, .op = w->op, .ttl_ms = w->ttl_ms,
				.expect = w->loaded ? w->get.rev : STORE_ANY,
			};
	}
	if (store_commit(x->w->store, x->rq->user, p, n, release, flags, e) < 0)
		return -1;
	for (size_t i = 0, k = 0; i < x->n_wanted; i++) {
		struct wanted *w = &x->wanted[i];

		if (!w->put)
			continue;
		w->get.rev = w->op == STORE_DELETE ? 0 : p[k].rev;
		if (w->op != STORE_APPEND)
			w->get.value = w->op == STORE_PUT ? w->value : S_NONE;
		w->put = false;
		w->loaded = true;
		k++;
	}
	if (x->dev) {
		x->dev->touched = 0;
		x->dev->rev = x->wanted[W_DEVICE].get.rev;
		x->hier_loaded = x->dev->hier.key;
	}
	if (x->map)
		x->map->dirty = false;
	return 0;
}

static bool same_key(struct synckey a, struct synckey b)
{
	return a.series == b.series && a.counter == b.counter;
}

/* What is only a detail gives way. false: there was nothing of that kind. */
static bool drop_loose(struct exchange *x)
{
	bool any = false;

	for (size_t i = 0; i < x->n_wanted; i++)
		if (x->wanted[i].put && x->wanted[i].loose) {
			x->wanted[i].put = false;
			any = true;
		}
	return any;
}

/* Loads device and map again and lays this command's changes over them. -1 when what
 * lost is the command's own, or the folder list was sent anew by another one. */
static int merge(struct exchange *x, struct err *e)
{
	struct store_get g[2] = { { .key = x->wanted[W_DEVICE].get.key }, { .key = x->wanted[W_USER].get.key } };
	struct device *fresh = ARENA_NEW(x->a, struct device);
	struct folder_map *map = x->map;

	if (store_load(x->w->store, x->rq->user, g, 2, NULL, NULL, x->a, e) < 0)
		return -1;
	if (g[0].rev == x->wanted[W_DEVICE].get.rev && g[1].rev == x->wanted[W_USER].get.rev)
		return drop_loose(x) ? 0 : err_set(e, ERR_STORE_RACE, "another command of this device wrote first");
	if (device_decode(x->a, x->rq->user, x->dev->id, g[0].value, g[0].rev, fresh, e) < 0)
		return -1;
	if ((x->dev->touched & DEVICE_HIERARCHY) && !same_key(fresh->hier.key, x->hier_loaded))
		return err_set(e, ERR_STORE_RACE, "the folder list was sent by another command");
	device_merge(fresh, x->dev, x->dev->touched);
	*x->dev = *fresh; /* handlers hold the pointer */
	x->wanted[W_DEVICE].get = g[0];
	x->wanted[W_USER].get = g[1];
	if (map) {
		x->map = NULL;
		if (!exchange_folders(x, e))
			return -1;
		folder_map_merge(x->a, x->map, map);
		*map = *x->map;
		x->map = map;
	}
	return 0;
}

static int commit(struct exchange *x, unsigned flags, const struct store_claim *release, struct err *e)
{
	for (int i = 0; i < TRIES; i++) {
		if (!prepare(x))
			return release ? store_release(x->w->store, x->rq->user, release, e) : 0;
		if (try_commit(x, flags, release, e) == 0)
			return 0;
		if (e->code != ERR_STORE_RACE || merge(x, e) < 0)
			return -1;
	}
	return -1;
}

int exchange_commit(struct exchange *x, unsigned flags, struct err *e)
{
	return commit(x, flags, NULL, e);
}

int records_finish(struct exchange *x, bool *found_wipe_r, struct err *e)
{
	bool wiping = gate_wiping(x->dev);
	int rc = commit(x, 0, x->claimed ? &x->claim : NULL, e);

	if (rc == 0)
		x->claimed = false;
	*found_wipe_r = !wiping && gate_wiping(x->dev);
	return rc;
}

void records_release(struct exchange *x)
{
	struct err e;

	if (x->claimed && store_release(x->w->store, x->rq->user, &x->claim, &e) < 0)
		store_claim_lost(x->w->store, x->rq->user, &x->claim);
	x->claimed = false;
}
