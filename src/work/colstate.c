/* colstate.c - the two generations of a collection and their record. Pure.
 * Trap: frames are applied in the order the exchange did things: fold, own,
 * new pend, sent (which leaves pend). */
#include "work/colstate.h"

enum { FORMAT = 1, ITEMS_MAX = 5000000, ADDS_MAX = 1000, REBASE_SLACK = 1024 };
enum { FLAG_FIRST_RUN = 1, FLAG_PEND_RESET = 2, FLAG_SENT_NEWEST = 4 };

struct snapshot *colops_set(struct colops *o, enum colop k)
{
	switch (k) {
	case COLOP_ADD:
		return &o->add;
	case COLOP_CHANGE:
		return &o->change;
	case COLOP_GONE:
		return &o->gone;
	case COLOP_SOFT:
		return &o->soft;
	default:
		return &o->drop;
	}
}

void colops_init(struct colops *o, struct arena *a)
{
	for (enum colop k = 0; k < COLOP_COUNT; k++)
		*colops_set(o, k) = snapshot_new(a);
}

void colops_drop(struct colops *o, uint64_t num)
{
	for (enum colop k = 0; k < COLOP_COUNT; k++)
		snapshot_unset(colops_set(o, k), num);
}

void colops_put(struct colops *o, enum colop k, uint64_t num, uint32_t rev)
{
	for (enum colop other = 0; other < COLOP_COUNT; other++)
		if (other != k)
			snapshot_unset(colops_set(o, other), num);
	snapshot_set(colops_set(o, k), num, rev);
}

size_t colops_count(const struct colops *o)
{
	return o->add.n + o->change.n + o->gone.n + o->soft.n;
}

/* Everything of `more` over what `o` holds. */
static void colops_apply(struct colops *o, struct colops *more)
{
	for (enum colop k = 0; k < COLOP_COUNT; k++) {
		const struct snapshot *set = colops_set(more, k);

		for (enum colop t = 0; t < COLOP_COUNT; t++)
			if (t != k)
				snapshot_merge(colops_set(o, t), NULL, set);
		if (k != COLOP_DROP)
			snapshot_merge(colops_set(o, k), set, NULL);
	}
}

static void fold(struct snapshot *have, const struct colops *o)
{
	snapshot_merge(have, &o->add, NULL);
	snapshot_merge(have, &o->change, NULL);
	snapshot_merge(have, NULL, &o->gone);
	snapshot_merge(have, NULL, &o->soft);
}

void colstate_init(struct colstate *st, struct arena *a)
{
	*st = (struct colstate){ .a = a, .have = snapshot_new(a), .first_run = true };
	colops_init(&st->own, a);
	colops_init(&st->sent, a);
	colops_init(&st->pend, a);
	colops_init(&st->new_pend, a);
}

static bool in_ops(const struct colops *o, uint64_t num, bool *there_r, uint32_t *rev_r)
{
	const struct snap_item *hit = snapshot_find(&o->change, num);

	if (!hit)
		hit = snapshot_find(&o->add, num);
	*there_r = hit != NULL;
	if (hit)
		*rev_r = hit->rev;
	return hit || snapshot_find(&o->gone, num) || snapshot_find(&o->soft, num);
}

bool colstate_known(const struct colstate *st, uint64_t num, uint32_t *rev_r)
{
	const struct snap_item *hit;
	bool there;

	if (in_ops(&st->sent, num, &there, rev_r) || in_ops(&st->own, num, &there, rev_r))
		return there;
	hit = snapshot_find(&st->have, num);
	if (hit)
		*rev_r = hit->rev;
	return hit != NULL;
}

struct snapshot colstate_known_all(const struct colstate *st)
{
	struct snapshot all = st->have;

	if (colops_count(&st->own) || colops_count(&st->sent))
		all = snapshot_copy(&st->have); /* fold works in place */
	fold(&all, &st->own);
	fold(&all, &st->sent);
	return all;
}

void colstate_confirm(struct colstate *st)
{
	fold(&st->have, &st->own);
	fold(&st->have, &st->sent);
	colops_init(&st->own, st->a);
	colops_init(&st->sent, st->a);
	st->adds = NULL;
	st->n_adds = st->cap_adds = 0;
	st->sent_newest = false;
	st->counter++;
	st->touched = true;
}

void colstate_pend(struct colstate *st, enum colop k, uint64_t num, uint32_t rev)
{
	if (k == COLOP_DROP)
		colops_drop(&st->pend, num);
	else
		colops_put(&st->pend, k, num, rev);
	colops_put(&st->new_pend, k, num, rev);
	st->touched = true;
}

void colstate_pend_reset(struct colstate *st)
{
	colops_init(&st->pend, st->a);
	colops_init(&st->new_pend, st->a);
	st->pend_reset = true;
	st->touched = true;
}

void colstate_sent(struct colstate *st, enum colop k, uint64_t num, uint32_t rev)
{
	colops_put(&st->sent, k, num, rev);
	colops_drop(&st->pend, num);
	st->touched = true;
}

void colstate_own(struct colstate *st, enum colop k, uint64_t num, uint32_t rev)
{
	colops_put(&st->own, k, num, rev);
	/* MoveItems comes between two Syncs: what the last answer told of it is past. */
	if (k == COLOP_GONE)
		colops_drop(&st->sent, num);
	st->touched = true;
}

void colstate_client_add(struct colstate *st, struct slice client_id, uint64_t num, uint8_t status)
{
	st->adds = arena_grow(st->a, st->adds, st->n_adds, &st->cap_adds, sizeof(*st->adds));
	st->adds[st->n_adds++] = (struct client_add){ arena_slice(st->a, client_id), num, status };
	st->touched = true;
}

const struct client_add *colstate_find_add(const struct colstate *st, struct slice client_id)
{
	for (size_t i = 0; i < st->n_adds; i++)
		if (slice_eq(st->adds[i].client_id, client_id))
			return &st->adds[i];
	return NULL;
}

/* --- record ---------------------------------------------------------------- */

static void pack_ops(struct packer *k, struct colops *o)
{
	uint8_t given = 0;

	for (enum colop s = 0; s < COLOP_COUNT; s++)
		given |= (uint8_t)((colops_set(o, s)->n != 0) << s);
	pack_u8(k, given);
	for (enum colop s = 0; s < COLOP_COUNT; s++)
		if (given >> s & 1)
			snapshot_pack(colops_set(o, s), k);
}

static void unpack_ops(struct colops *o, struct unpacker *u, struct arena *a)
{
	uint8_t given = unpack_u8(u);

	colops_init(o, a);
	for (enum colop s = 0; s < COLOP_COUNT; s++)
		if (given >> s & 1)
			snapshot_unpack(colops_set(o, s), u, ITEMS_MAX);
}

static void pack_head(const struct colstate *st, struct packer *k)
{
	pack_uint(k, st->series);
	pack_uint(k, st->counter);
	pack_u8(k, (uint8_t)((st->first_run ? FLAG_FIRST_RUN : 0) | (st->pend_reset ? FLAG_PEND_RESET : 0) |
			     (st->sent_newest ? FLAG_SENT_NEWEST : 0)));
	pack_slice(k, st->token);
	pack_uint(k, st->identity);
	pack_uint(k, st->gen);
	pack_int(k, st->since_ms);
	pack_slice(k, st->options);
	pack_uint(k, st->n_adds);
	for (size_t i = 0; i < st->n_adds; i++) {
		pack_slice(k, st->adds[i].client_id);
		pack_uint(k, st->adds[i].num);
		pack_u8(k, st->adds[i].status);
	}
}

static void unpack_head(struct colstate *st, struct unpacker *u)
{
	uint8_t flags;
	uint64_t n;

	st->series = (uint32_t)unpack_uint(u);
	st->counter = (uint32_t)unpack_uint(u);
	flags = unpack_u8(u);
	st->first_run = flags & FLAG_FIRST_RUN;
	st->pend_reset = flags & FLAG_PEND_RESET;
	st->sent_newest = flags & FLAG_SENT_NEWEST;
	st->token = unpack_slice(u);
	st->identity = unpack_uint(u);
	st->gen = unpack_uint(u);
	st->since_ms = unpack_int(u);
	st->options = unpack_slice(u);
	n = unpack_uint(u);
	if (n > ADDS_MAX)
		u->bad = true;
	st->adds = NULL;
	st->n_adds = st->cap_adds = 0;
	for (uint64_t i = 0; i < n && !u->bad; i++) {
		struct slice id = unpack_slice(u);
		uint64_t num = unpack_uint(u);

		colstate_client_add(st, id, num, unpack_u8(u));
	}
}

static void pack_base(const struct colstate *st, struct packer *k)
{
	pack_head(st, k);
	snapshot_pack(&st->have, k);
	pack_ops(k, (struct colops *)&st->own);
	pack_ops(k, (struct colops *)&st->sent);
	pack_ops(k, (struct colops *)&st->pend);
}

static void unpack_base(struct colstate *st, struct unpacker *u)
{
	unpack_head(st, u);
	snapshot_unpack(&st->have, u, ITEMS_MAX);
	unpack_ops(&st->own, u, st->a);
	unpack_ops(&st->sent, u, st->a);
	unpack_ops(&st->pend, u, st->a);
}

static void pack_delta(const struct colstate *st, struct packer *k)
{
	pack_head(st, k);
	pack_ops(k, (struct colops *)&st->own);
	pack_ops(k, (struct colops *)&st->new_pend);
	pack_ops(k, (struct colops *)&st->sent);
}

static void unpack_delta(struct colstate *st, struct unpacker *u, bool next)
{
	struct colops pend;

	if (next) {
		fold(&st->have, &st->own);
		fold(&st->have, &st->sent);
	}
	unpack_head(st, u);
	unpack_ops(&st->own, u, st->a);
	unpack_ops(&pend, u, st->a);
	unpack_ops(&st->sent, u, st->a);
	if (st->pend_reset)
		colops_init(&st->pend, st->a);
	colops_apply(&st->pend, &pend);
	/* A repeat tells nothing new: what it found waiting stays waiting. */
	for (enum colop s = 0; next && s < COLOP_COUNT; s++)
		for (enum colop t = 0; t < COLOP_COUNT; t++)
			snapshot_merge(colops_set(&st->pend, s), NULL, colops_set(&st->sent, t));
}

static int unpack_frame(struct colstate *st, struct slice frame, bool first)
{
	struct unpacker u = unpacker(frame);
	uint8_t kind = unpack_u8(&u);

	if (kind == COLFRAME_BASE)
		unpack_base(st, &u);
	else if (!first && (kind == COLFRAME_NEXT || kind == COLFRAME_REDO))
		unpack_delta(st, &u, kind == COLFRAME_NEXT);
	else
		return -1;
	return u.bad || u.in.len ? -1 : 0;
}

int colstate_unpack(struct colstate *st, struct arena *a, struct slice record, struct err *e)
{
	struct unpacker u = unpacker(record);
	bool first = true;

	colstate_init(st, a);
	if (record.len == 0)
		return 0;
	if (unpack_u8(&u) != FORMAT)
		return err_set(e, ERR_STORE_FORMAT, "collection record of format %d", record.ptr[0]);
	while (unpack_more(&u)) {
		struct slice frame = unpack_slice(&u);

		if (u.bad || unpack_frame(st, frame, first) < 0)
			break;
		first = false;
	}
	if (u.bad || u.in.len || first) {
		colstate_init(st, a);
		return err_set(e, ERR_STORE_FORMAT, "collection record damaged (%zu bytes)", record.len);
	}
	st->exists = true;
	st->touched = st->pend_reset = false;
	return 0;
}

struct slice colstate_frame(const struct colstate *st, enum colframe kind, size_t base_len, size_t record_len,
			    bool *append_r)
{
	struct packer frame = packer(st->a), out = packer(st->a);
	size_t deltas = record_len - base_len;

	*append_r = false;
	if (kind != COLFRAME_BASE && record_len) {
		pack_u8(&frame, (uint8_t)kind);
		pack_delta(st, &frame);
		if (deltas + frame.n <= base_len / 4 + REBASE_SLACK)
			*append_r = true;
	}
	if (!*append_r) {
		struct colstate base = *st;

		base.pend_reset = false;
		frame = packer(st->a);
		pack_u8(&frame, COLFRAME_BASE);
		pack_base(&base, &frame);
		pack_u8(&out, FORMAT);
	}
	pack_slice(&out, packed(&frame));
	return packed(&out);
}
