/* device.h - what is known of one phone of one user: the record key_device(id).
 *
 * Public format 1 (record.h), tags in device.c. Loaded with every request,
 * written only when a group of members was touched: a new Ping of a known phone
 * writes nothing. Groups exist for two commands of one device at a time (phones
 * do that, also on two servers): when a commit loses the race, exchange loads
 * the record anew, lays the touched groups over it and commits again.
 * Strings live in the request's arena. Worker; pure. */
#ifndef WORK_DEVICE_H
#define WORK_DEVICE_H

#include "proto/cmd_ping.h"
#include "proto/cmd_settings.h"
#include "work/store.h"
#include "work/synckey.h"

enum wipe_state {
	WIPE_NONE,
	WIPE_ORDERED,      /* the admin's word: from here on no data leaves */
	WIPE_SENT,         /* the device was told */
	WIPE_ACKNOWLEDGED, /* it said: done; the order is over */
	WIPE_FAILED,       /* it said: failed; it is told again */
};

enum device_access {
	ACCESS_ALLOWED,
	ACCESS_QUARANTINED, /* waits for the admin (devices.quarantine) */
	ACCESS_BLOCKED,     /* by the admin */
};

enum policy_state {
	POLICY_NEVER,   /* nothing was ever asked for */
	POLICY_OFFERED, /* a document and a temporary key are out */
	POLICY_APPLIED, /* acknowledged as applied */
	POLICY_PARTLY,  /* acknowledged: in part */
	POLICY_REFUSED, /* acknowledged: not applied, or managed elsewhere */
	POLICY_ASKED,   /* was told to provision once (loose mode), and has not yet */
};

/* Why the device was slowed last (fuse.h). */
enum device_fuse {
	FUSE_NEVER,
	FUSE_REQUESTS, /* limits.fuse_requests */
	FUSE_RESYNCS,  /* limits.fuse_resyncs */
};

/* Members that change together; device_touch names them. */
enum device_group {
	DEVICE_SEEN = 1 << 0,      /* last seen, type, agent, version */
	DEVICE_POLICY = 1 << 1,
	DEVICE_INFO = 1 << 2,
	DEVICE_WIPE = 1 << 3,
	DEVICE_ACCESS = 1 << 4,
	DEVICE_HOLDER = 1 << 5,    /* epoch, holder */
	DEVICE_PING = 1 << 6,
	DEVICE_SYNC = 1 << 7,      /* the sync engine's own bytes */
	DEVICE_HIERARCHY = 1 << 8, /* key, snapshots, last operation */
	DEVICE_LAST_SYNC = 1 << 9,
	DEVICE_FUSE = 1 << 10,
	DEVICE_ALL = 0x7ff,
};

struct ping_memory {
	uint32_t heartbeat_s;
	LIST_OF(struct ping_folder) folders; /* id and class */
};

/* What the phone knows of one folder: enough to tell whether it has to be told. */
struct hier_entry {
	struct slice id;
	uint32_t hash; /* of parent id, name and type */
};
typedef LIST_OF(struct hier_entry) hier_list;

/* One generation of the folder list: the key it was sent under, and what it held. */
struct hier_state {
	struct synckey key; /* counter 0: none */
	hier_list list;
};

struct device {
	struct slice user, id;
	uint64_t rev;          /* of the record as loaded; 0: a new device */
	unsigned touched;      /* enum device_group */

	int64_t first_seen_ms, last_seen_ms; /* wall; last_seen is coarse (10 minutes) */
	struct slice type, agent;
	int version;           /* of the last request, enum eas_version */
	int64_t last_sync_ms;  /* wall, coarse: set by device_synced */

	enum policy_state policy_state;
	uint32_t policy_key;   /* valid now; 0 none */
	uint32_t pending_key;  /* offered, or the one that policy_key came from */
	uint64_t policy_hash;  /* of the document that policy_key stands for */
	uint64_t pending_hash;

	struct device_information info; /* .set and .problem unused */
	bool has_info;

	enum wipe_state wipe;
	int64_t wipe_ms;       /* wall, of the last change */
	enum device_access access;
	enum device_fuse fuse; /* the mark for the admin; `zpushd admin allow` takes it away */
	int64_t fuse_ms;       /* wall */

	uint64_t epoch;        /* grows when another server takes the device's waiting request */
	uint64_t holder;       /* instance that has it (struct work.instance) */

	bool has_ping;
	struct ping_memory ping;
	struct slice sync;     /* opaque, the sync engine's: its last request (Partial, empty Sync) */

	struct hier_state hier, hier_before;
	/* The last FolderCreate, Update or Delete: a repeat gets the same answer. */
	struct synckey op_key; /* key it came with */
	uint64_t op_hash;      /* of what it asked */
	struct slice op_id;    /* folder it was about */

	struct slice unknown;  /* fields of a newer program, kept */
};

void device_touch(struct device *d, unsigned groups);
/* Called for every request: notes type, agent and version when they changed, and
 * the time when the last is over ten minutes old. */
void device_seen(struct device *d, struct slice type, struct slice agent, int version, int64_t wall_ms);
/* A Sync brought something: coarse time for people. */
void device_synced(struct device *d, int64_t wall_ms);
/* It was slowed: the admin shall see it. Nothing of a device that has no record yet. */
void device_fused(struct device *d, enum device_fuse why, int64_t wall_ms);
/* A device that was wiped starts as a new one: keys, memory and snapshots go. */
void device_reset(struct device *d);

struct slice device_encode(struct arena *a, const struct device *d);
/* value empty: a new device. -1 ERR_STORE_FORMAT. */
int device_decode(struct arena *a, struct slice user, struct slice id, struct slice value, uint64_t rev,
		  struct device *d_r, struct err *e);
/* The groups over what another command wrote meanwhile. */
void device_merge(struct device *fresh, const struct device *mine, unsigned groups);

const char *wipe_state_name(enum wipe_state s);
const char *device_access_name(enum device_access a);
const char *device_fuse_name(enum device_fuse f); /* "" for none */
const char *policy_state_name(enum policy_state s);

#endif
