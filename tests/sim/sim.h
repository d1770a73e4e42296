/* sim.h - the whole server without loop and threads, under a seeded scheduler
 * with virtual time: two server instances on one store and one mailbox, phones
 * that lose requests and replies and repeat them, webmail, and crashes.
 *
 * A run is a function of its seed: every choice comes from sim_pick. Three judges
 * watch: nothing lost, nothing twice (phone.c, at every reply), and after the
 * last fault every phone comes to equal its mailbox (world.c, at the end).
 * To add a class: give webmail its acts in world.c and phones their view in
 * phone.c. To add a fault: one more branch in sim_fate or on_store_call. */
#ifndef SIM_H
#define SIM_H

#include <setjmp.h>

#include "backend/mem.h"
#include "loop/push.h"
#include "proto/email.h"
#include "proto/commands.h"
#include "work/store_fail.h"
#include "work/store_mem.h"
#include "work/work.h"

enum { SIM_PHONES = 2, SIM_SERVERS = 2, SIM_LOOKS = 64 };

struct sim;

struct sim_item {
	uint64_t num;             /* of the server id */
	char subject[24];
	bool read, flagged;
	bool dirty_read, dirty_flag, deleted; /* the user's wish, not yet told */
	bool in_flight;           /* told in the request under way */
};

struct sim_folder {
	char id[65], name[32];
	char key[80];             /* sync key; "0" at first */
	bool more;
	bool moved;               /* MoveItems or a store that stepped back, since its last Sync */
	struct sim_item *v;
	size_t n, cap;
};

enum sim_request_kind { SIM_NONE, SIM_FOLDERSYNC, SIM_SYNC, SIM_SEND, SIM_MOVE, SIM_PING, SIM_CREATE };

struct sim_phone {
	int index;
	char device[16];
	char hierarchy_key[80];
	struct sim_folder *folders;
	size_t n_folders;
	/* The request under way: the same bytes until an answer comes. */
	enum sim_request_kind pending;
	struct blob *body;
	size_t folder;            /* SYNC, MOVE: index */
	size_t target;            /* MOVE */
	uint64_t move_num;
	int tries;
	/* A parked Ping, or a Sync that waits (then it is pending still). */
	bool parked;
	int server;
	uint64_t conn_id;
	unsigned sent, created;   /* mails, folders so far */
	size_t touched;           /* folder its user was in last */
	bool hierarchy_changed;
};

struct sim_server {
	struct sim *sim;
	int index;
	struct work *work;
	struct push *push;
	struct {                  /* checks that workers are to do */
		uint64_t conn_id;
		uint32_t ticket;
		struct park facts;
		char device[16];
	} looks[SIM_LOOKS];
	size_t n_looks;
	struct watch *watches[256]; /* one a park: of its folders; closed with the user's last */
	size_t n_watches;
};

struct sim_event {
	char folder[64];
};

struct sim {
	uint64_t rng;
	bool verbose, faults;
	int64_t now_ms;
	struct settings *settings;
	struct backend *mail;
	struct store *store, *mem; /* wrapper, and the store inside */
	struct sim_server server[SIM_SERVERS];
	struct sim_phone phone[SIM_PHONES];
	struct sim_event events[256];
	size_t n_events;
	uint64_t next_conn;
	struct store_image *image; /* to step back to */
	unsigned delivered;       /* subjects handed out */
	unsigned step, answers, crashes, rollbacks, lost, repeats, false_wakes, pings;
	/* The exchange under way, for crashes out of its middle. */
	bool crash_armed, in_exchange;
	const char *crash_name;
	jmp_buf crash;
	char failure[512];        /* first judge's word; empty: fine */
};

/* The mailbox is busy and quiet in turns, so that phones come to wait. */
static inline bool sim_quiet(const struct sim *s)
{
	return s->step / 40 % 2;
}
/* Uniform in 0..n-1. */
unsigned sim_pick(struct sim *s, unsigned n);
void sim_note(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A judge's verdict: the run ends. */
void sim_fail(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* world.c */
void world_open(struct sim *s, uint64_t seed, const char *secret_dir);
void world_close(struct sim *s);
void world_webmail(struct sim *s);
/* One message of an event source, or one look of a worker. false: nothing was there. */
bool world_deliver_event(struct sim *s);
bool world_look(struct sim *s);
void world_advance(struct sim *s, int64_t ms);
/* Runs one request through a server. false: the server died on it. */
bool world_exchange(struct sim *s, int server, struct request *rq, struct verdict *v);
void world_restart(struct sim *s, int server);
/* Second judge; only: one folder, SIZE_MAX: all. */
void world_compare(struct sim *s, struct sim_phone *p, size_t only);
/* Third: after every request was answered. */
void world_judge_sent(struct sim *s);

/* phone.c */
void phone_init(struct sim_phone *p, int index);
void phone_deinit(struct sim_phone *p);
/* One act: begins a request, or repeats the one under way. */
void phone_act(struct sim *s, struct sim_phone *p);
/* Its waiting Ping or Sync was answered, or (http 0) its server died. */
void phone_waiting_answer(struct sim *s, struct sim_phone *p, int http_status, struct slice body);
/* Without faults: syncs until nothing is left to tell on either side. */
void phone_settle(struct sim *s, struct sim_phone *p);
size_t phone_find(struct sim_phone *p, const char *name);

#endif
