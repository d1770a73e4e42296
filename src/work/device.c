/* device.c - the device record: encode, decode, merge. Pure; strings in the
 * request's arena. The trap: tags below are a public format (add, never reuse),
 * and a new member belongs to a group in device_merge, or a lost race drops it. */
#include "work/device.h"

#include "work/record.h"

enum { FORMAT = 1, SEEN_EVERY_MS = 10 * 60 * 1000, PING_FOLDERS_MAX = 10000, HIER_MAX = 100000 };

enum tag {
	T_FIRST_SEEN = 1, T_LAST_SEEN, T_TYPE, T_AGENT, T_VERSION, T_LAST_SYNC, T_ID,
	T_POLICY_STATE = 10, T_POLICY_KEY, T_PENDING_KEY, T_POLICY_HASH, T_PENDING_HASH,
	T_HAS_INFO = 20, T_MODEL, T_IMEI, T_FRIENDLY_NAME, T_OS, T_OS_LANGUAGE, T_PHONE_NUMBER,
	T_USER_AGENT, T_OUTBOUND_SMS, T_MOBILE_OPERATOR,
	T_WIPE = 40, T_WIPE_MS, T_ACCESS, T_FUSE, T_FUSE_MS,
	T_EPOCH = 50, T_HOLDER,
	T_HAS_PING = 60, T_PING_HEARTBEAT, T_PING_FOLDER, T_SYNC,
	T_HIER = 70, T_HIER_BEFORE, T_OP_SERIES, T_OP_COUNTER, T_OP_HASH, T_OP_ID,
};
enum { PF_ID = 1, PF_CLASS };
enum { H_SERIES = 1, H_COUNTER, H_ENTRY };

void device_touch(struct device *d, unsigned groups)
{
	d->touched |= groups;
}

static bool note(struct slice *have, struct slice now)
{
	if (now.len == 0 || slice_eq(*have, now))
		return false;
	*have = now;
	return true;
}

void device_seen(struct device *d, struct slice type, struct slice agent, int version, int64_t wall_ms)
{
	bool changed = note(&d->type, slice_to(type, 64));

	/* Two programs of one phone take turns with two agents (Samsung): noting
	 * each would write the record at every request, so the time rules it. */
	if (d->agent.len == 0)
		changed |= note(&d->agent, slice_to(agent, 256));
	if (version && d->version != version) {
		d->version = version;
		changed = true;
	}
	if (d->first_seen_ms == 0)
		d->first_seen_ms = wall_ms;
	if (wall_ms - d->last_seen_ms >= SEEN_EVERY_MS || wall_ms < d->last_seen_ms) {
		note(&d->agent, slice_to(agent, 256));
		d->last_seen_ms = wall_ms;
		changed = true;
	}
	if (changed)
		device_touch(d, DEVICE_SEEN);
}

void device_synced(struct device *d, int64_t wall_ms)
{
	if (wall_ms - d->last_sync_ms < 60 * 1000 && wall_ms >= d->last_sync_ms)
		return;
	d->last_sync_ms = wall_ms;
	device_touch(d, DEVICE_LAST_SYNC);
}

void device_fused(struct device *d, enum device_fuse why, int64_t wall_ms)
{
	if (d->rev == 0)
		return;
	d->fuse = why;
	d->fuse_ms = wall_ms;
	device_touch(d, DEVICE_FUSE);
}

void device_reset(struct device *d)
{
	d->policy_state = POLICY_NEVER;
	d->policy_key = d->pending_key = 0;
	d->policy_hash = d->pending_hash = 0;
	d->has_ping = false;
	memset(&d->ping, 0, sizeof(d->ping));
	d->sync = S_NONE;
	memset(&d->hier, 0, sizeof(d->hier));
	memset(&d->hier_before, 0, sizeof(d->hier_before));
	d->op_key = (struct synckey){ 0, 0 };
	d->op_hash = 0;
	d->op_id = S_NONE;
	device_touch(d, DEVICE_POLICY | DEVICE_PING | DEVICE_SYNC | DEVICE_HIERARCHY);
}

/* --- encode --------------------------------------------------------------- */

static void put_info(struct record_writer *w, const struct device_information *i)
{
	record_int(w, T_HAS_INFO, 1);
	record_bytes(w, T_MODEL, i->model);
	record_bytes(w, T_IMEI, i->imei);
	record_bytes(w, T_FRIENDLY_NAME, i->friendly_name);
	record_bytes(w, T_OS, i->os);
	record_bytes(w, T_OS_LANGUAGE, i->os_language);
	record_bytes(w, T_PHONE_NUMBER, i->phone_number);
	record_bytes(w, T_USER_AGENT, i->user_agent);
	record_int(w, T_OUTBOUND_SMS, (uint64_t)num_or(i->enable_outbound_sms, 0));
	record_bytes(w, T_MOBILE_OPERATOR, i->mobile_operator);
}

static void put_ping(struct arena *a, struct record_writer *w, const struct ping_memory *p)
{
	record_int(w, T_HAS_PING, 1);
	record_int(w, T_PING_HEARTBEAT, p->heartbeat_s);
	for (size_t i = 0; i < p->folders.n; i++) {
		struct record_writer f;

		record_begin(&f, a, 0);
		record_bytes(&f, PF_ID, p->folders.v[i].id);
		record_bytes(&f, PF_CLASS, p->folders.v[i].class);
		record_item(w, T_PING_FOLDER, record_end(&f));
	}
}

static void put_hier(struct arena *a, struct record_writer *w, unsigned tag, const struct hier_state *h)
{
	struct record_writer f;

	if (h->key.counter == 0)
		return;
	record_begin(&f, a, 0);
	record_int(&f, H_SERIES, h->key.series);
	record_int(&f, H_COUNTER, h->key.counter);
	for (size_t i = 0; i < h->list.n; i++) {
		const struct hier_entry *en = &h->list.v[i];
		char b[4 + 64];
		size_t n = en->id.len < 64 ? en->id.len : 64;

		for (int k = 0; k < 4; k++)
			b[k] = (char)(en->hash >> (8 * k));
		memcpy(b + 4, en->id.ptr, n);
		record_item(&f, H_ENTRY, slice(b, 4 + n));
	}
	record_bytes(w, tag, record_end(&f));
}

struct slice device_encode(struct arena *a, const struct device *d)
{
	struct record_writer w;

	record_begin(&w, a, FORMAT);
	record_bytes(&w, T_ID, d->id); /* for the admin: key names are escaped */
	record_int(&w, T_FIRST_SEEN, (uint64_t)d->first_seen_ms);
	record_int(&w, T_LAST_SEEN, (uint64_t)d->last_seen_ms);
	record_bytes(&w, T_TYPE, d->type);
	record_bytes(&w, T_AGENT, d->agent);
	record_int(&w, T_VERSION, (uint64_t)d->version);
	record_int(&w, T_LAST_SYNC, (uint64_t)d->last_sync_ms);
	record_int(&w, T_POLICY_STATE, d->policy_state);
	record_int(&w, T_POLICY_KEY, d->policy_key);
	record_int(&w, T_PENDING_KEY, d->pending_key);
	record_int(&w, T_POLICY_HASH, d->policy_hash);
	record_int(&w, T_PENDING_HASH, d->pending_hash);
	if (d->has_info)
		put_info(&w, &d->info);
	record_int(&w, T_WIPE, d->wipe);
	record_int(&w, T_WIPE_MS, (uint64_t)d->wipe_ms);
	record_int(&w, T_ACCESS, d->access);
	record_int(&w, T_FUSE, d->fuse);
	record_int(&w, T_FUSE_MS, (uint64_t)d->fuse_ms);
	record_int(&w, T_EPOCH, d->epoch);
	record_int(&w, T_HOLDER, d->holder);
	if (d->has_ping)
		put_ping(a, &w, &d->ping);
	record_bytes(&w, T_SYNC, d->sync);
	put_hier(a, &w, T_HIER, &d->hier);
	put_hier(a, &w, T_HIER_BEFORE, &d->hier_before);
	record_int(&w, T_OP_SERIES, d->op_key.series);
	record_int(&w, T_OP_COUNTER, d->op_key.counter);
	record_int(&w, T_OP_HASH, d->op_hash);
	record_bytes(&w, T_OP_ID, d->op_id);
	record_raw(&w, d->unknown);
	return record_end(&w);
}

/* --- decode --------------------------------------------------------------- */

static int get_ping_folder(struct arena *a, struct slice raw, struct ping_memory *p, struct err *e)
{
	struct ping_folder *pf;
	struct record_field f;
	int rc;

	if (p->folders.n >= PING_FOLDERS_MAX)
		return err_set(e, ERR_STORE_FORMAT, "device record: too many folders");
	pf = LIST_PUSH(a, &p->folders);
	while ((rc = record_next(&raw, &f, e)) > 0) {
		if (f.tag == PF_ID)
			pf->id = f.bytes;
		else if (f.tag == PF_CLASS)
			pf->class = f.bytes;
	}
	return rc;
}

static int get_hier(struct arena *a, struct slice raw, struct hier_state *h, struct err *e)
{
	struct record_field f;
	int rc;

	while ((rc = record_next(&raw, &f, e)) > 0) {
		struct hier_entry *en;

		if (f.tag == H_SERIES)
			h->key.series = (uint32_t)f.v;
		else if (f.tag == H_COUNTER)
			h->key.counter = (uint32_t)f.v;
		if (f.tag != H_ENTRY || f.bytes.len < 5)
			continue;
		if (h->list.n >= HIER_MAX)
			return err_set(e, ERR_STORE_FORMAT, "device record: too many folders");
		en = LIST_PUSH(a, &h->list);
		for (int k = 0; k < 4; k++)
			en->hash |= (uint32_t)(uint8_t)f.bytes.ptr[k] << (8 * k);
		en->id = slice_from(f.bytes, 4);
	}
	return rc;
}

/* Text members; false when the tag is none of them. */
static bool get_text(struct device *d, const struct record_field *f)
{
	const struct {
		unsigned tag;
		struct slice *to;
	} row[] = {
		{ T_ID, &d->id },
		{ T_TYPE, &d->type },
		{ T_AGENT, &d->agent },
		{ T_MODEL, &d->info.model },
		{ T_IMEI, &d->info.imei },
		{ T_FRIENDLY_NAME, &d->info.friendly_name },
		{ T_OS, &d->info.os },
		{ T_OS_LANGUAGE, &d->info.os_language },
		{ T_PHONE_NUMBER, &d->info.phone_number },
		{ T_USER_AGENT, &d->info.user_agent },
		{ T_MOBILE_OPERATOR, &d->info.mobile_operator },
		{ T_SYNC, &d->sync },
		{ T_OP_ID, &d->op_id },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++)
		if (row[i].tag == f->tag) {
			*row[i].to = f->bytes;
			return true;
		}
	return false;
}

static bool get_number(struct device *d, const struct record_field *f)
{
	switch (f->tag) {
	case T_FIRST_SEEN: d->first_seen_ms = (int64_t)f->v; return true;
	case T_LAST_SEEN: d->last_seen_ms = (int64_t)f->v; return true;
	case T_VERSION: d->version = (int)f->v; return true;
	case T_LAST_SYNC: d->last_sync_ms = (int64_t)f->v; return true;
	case T_POLICY_STATE: d->policy_state = (enum policy_state)f->v; return true;
	case T_POLICY_KEY: d->policy_key = (uint32_t)f->v; return true;
	case T_PENDING_KEY: d->pending_key = (uint32_t)f->v; return true;
	case T_POLICY_HASH: d->policy_hash = f->v; return true;
	case T_PENDING_HASH: d->pending_hash = f->v; return true;
	case T_HAS_INFO: d->has_info = f->v != 0; return true;
	case T_OUTBOUND_SMS: d->info.enable_outbound_sms = NUM((int64_t)f->v); return true;
	case T_WIPE: d->wipe = (enum wipe_state)f->v; return true;
	case T_WIPE_MS: d->wipe_ms = (int64_t)f->v; return true;
	case T_ACCESS: d->access = (enum device_access)f->v; return true;
	case T_FUSE: d->fuse = (enum device_fuse)f->v; return true;
	case T_FUSE_MS: d->fuse_ms = (int64_t)f->v; return true;
	case T_EPOCH: d->epoch = f->v; return true;
	case T_HOLDER: d->holder = f->v; return true;
	case T_HAS_PING: d->has_ping = f->v != 0; return true;
	case T_PING_HEARTBEAT: d->ping.heartbeat_s = (uint32_t)f->v; return true;
	case T_OP_SERIES: d->op_key.series = (uint32_t)f->v; return true;
	case T_OP_COUNTER: d->op_key.counter = (uint32_t)f->v; return true;
	case T_OP_HASH: d->op_hash = f->v; return true;
	default: return false;
	}
}

int device_decode(struct arena *a, struct slice user, struct slice id, struct slice value, uint64_t rev,
		  struct device *d_r, struct err *e)
{
	struct record_writer unknown;
	struct record_field f;
	struct slice rest;
	int rc;

	*d_r = (struct device){ .user = user, .id = id, .rev = rev };
	if (value.len == 0)
		return 0;
	if (record_open(&rest, value, FORMAT, e) < 0)
		return err_add(e, "device %.*s", SARG(id));
	record_begin(&unknown, a, 0);
	while ((rc = record_next(&rest, &f, e)) > 0) {
		if (f.is_bytes && f.tag == T_PING_FOLDER)
			rc = get_ping_folder(a, f.bytes, &d_r->ping, e);
		else if (f.is_bytes && f.tag == T_HIER)
			rc = get_hier(a, f.bytes, &d_r->hier, e);
		else if (f.is_bytes && f.tag == T_HIER_BEFORE)
			rc = get_hier(a, f.bytes, &d_r->hier_before, e);
		else if (f.is_bytes ? !get_text(d_r, &f) : !get_number(d_r, &f))
			record_raw(&unknown, f.raw);
		if (rc < 0)
			break;
	}
	d_r->unknown = record_end(&unknown);
	/* A state that this program does not know must not open what it closed. */
	if (d_r->wipe > WIPE_FAILED)
		d_r->wipe = WIPE_ORDERED;
	if (d_r->access > ACCESS_BLOCKED)
		d_r->access = ACCESS_BLOCKED;
	return rc < 0 ? err_add(e, "device %.*s", SARG(id)) : 0;
}

void device_merge(struct device *fresh, const struct device *mine, unsigned groups)
{
	fresh->touched = groups;
	if (fresh->first_seen_ms == 0)
		fresh->first_seen_ms = mine->first_seen_ms;
	if (groups & DEVICE_SEEN) {
		fresh->last_seen_ms = mine->last_seen_ms;
		fresh->type = mine->type;
		fresh->agent = mine->agent;
		fresh->version = mine->version;
	}
	if (groups & DEVICE_LAST_SYNC)
		fresh->last_sync_ms = mine->last_sync_ms;
	if (groups & DEVICE_POLICY) {
		fresh->policy_state = mine->policy_state;
		fresh->policy_key = mine->policy_key;
		fresh->pending_key = mine->pending_key;
		fresh->policy_hash = mine->policy_hash;
		fresh->pending_hash = mine->pending_hash;
	}
	if (groups & DEVICE_INFO) {
		fresh->info = mine->info;
		fresh->has_info = mine->has_info;
	}
	if (groups & DEVICE_WIPE) {
		fresh->wipe = mine->wipe;
		fresh->wipe_ms = mine->wipe_ms;
	}
	if (groups & DEVICE_ACCESS)
		fresh->access = mine->access;
	if (groups & DEVICE_FUSE) {
		fresh->fuse = mine->fuse;
		fresh->fuse_ms = mine->fuse_ms;
	}
	if (groups & DEVICE_HOLDER) {
		/* Both took it: the later commit has it, with an epoch above both. */
		fresh->epoch = (fresh->epoch >= mine->epoch ? fresh->epoch + 1 : mine->epoch);
		fresh->holder = mine->holder;
	}
	if (groups & DEVICE_PING) {
		fresh->has_ping = mine->has_ping;
		fresh->ping = mine->ping;
	}
	if (groups & DEVICE_SYNC)
		fresh->sync = mine->sync;
	if (groups & DEVICE_HIERARCHY) {
		fresh->hier = mine->hier;
		fresh->hier_before = mine->hier_before;
		fresh->op_key = mine->op_key;
		fresh->op_hash = mine->op_hash;
		fresh->op_id = mine->op_id;
	}
}

const char *wipe_state_name(enum wipe_state s)
{
	static const char *const name[] = { "none", "ordered", "sent", "acknowledged", "failed" };

	return s <= WIPE_FAILED ? name[s] : "unknown";
}

const char *device_access_name(enum device_access a)
{
	static const char *const name[] = { "allowed", "quarantined", "blocked" };

	return a <= ACCESS_BLOCKED ? name[a] : "unknown";
}

const char *device_fuse_name(enum device_fuse f)
{
	static const char *const name[] = { "", "requests", "resyncs" };

	return f <= FUSE_RESYNCS ? name[f] : "unknown";
}

const char *policy_state_name(enum policy_state s)
{
	static const char *const name[] = { "never", "offered", "applied", "partly", "refused", "asked" };

	return s <= POLICY_ASKED ? name[s] : "unknown";
}
