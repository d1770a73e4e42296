/* phone.c - what a simulated phone asks for, and what it reads in the answers.
 * One step at a time; requests and replies by the tables of proto/. A phone that
 * meets what it does not expect fails and is counted: nothing is repeated silently,
 * except that a 503 with Retry-After is tried again as a phone would. */
#include "fleet.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/blob.h"
#include "proto/cmd_folder.h"
#include "proto/cmd_ping.h"
#include "proto/cmd_provision.h"
#include "proto/cmd_sync.h"
#include "proto/query.h"

#define VERSION EAS_141
enum { TYPE_INBOX = 2, MAX_RETRIES = 20 };

static struct arena *scratch(const struct phone *p)
{
	return p->fleet->scratch;
}

static void give_up(struct phone *p, const char *why, int status)
{
	p->step = STEP_FAILED;
	fleet_phone_failed(p, why, status);
	fleet_unwatch(p);
	peer_close(&p->peer);
}

/* --- requests ---------------------------------------------------------------------- */

static struct slice numbered(struct phone *p, const char *format, unsigned n)
{
	char text[160];

	snprintf(text, sizeof(text), format, n);
	return arena_slice(scratch(p), slice_str(text));
}

static struct slice base64(struct arena *a, struct slice s)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = arena_alloc(a, (s.len + 2) / 3 * 4 + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.len; i += 3) {
		uint32_t v = (uint32_t)(unsigned char)s.ptr[i] << 16;

		v |= i + 1 < s.len ? (uint32_t)(unsigned char)s.ptr[i + 1] << 8 : 0;
		v |= i + 2 < s.len ? (uint32_t)(unsigned char)s.ptr[i + 2] : 0;
		out[n++] = letters[v >> 18 & 63];
		out[n++] = letters[v >> 12 & 63];
		out[n++] = i + 1 < s.len ? letters[v >> 6 & 63] : '=';
		out[n++] = i + 2 < s.len ? letters[v & 63] : '=';
	}
	return slice(out, n);
}

static struct slice authorization(struct phone *p)
{
	const struct fleet_options *o = &p->fleet->o;
	struct slice user = numbered(p, o->user, p->number % o->users + 1);
	struct slice pair = arena_printf(scratch(p), "%.*s:%s", SARG(user), o->password);

	return base64(scratch(p), pair);
}

static void put_request(struct phone *p, const char *verb, struct slice target, struct slice headers, struct slice body)
{
	struct slice head;

	head = arena_printf(scratch(p),
			    "%s %.*s HTTP/1.1\r\nHost: bench\r\nUser-Agent: zpush-bench/1\r\n%.*s"
			    "Content-Length: %zu\r\n\r\n", verb, SARG(target), SARG(headers), body.len);
	peer_send(&p->peer, head);
	if (body.len)
		peer_send(&p->peer, body);
	p->fleet->n.sent_bytes += head.len + body.len;
	p->in_flight++;
	p->asked_us = now_us();
}

static void post(struct phone *p, enum eas_command command, const struct schema *s, const void *obj)
{
	struct eas_query q = {
		.command = command, .device_id = numbered(p, p->fleet->o.device, p->number), .device_type = S("Bench"),
		.version = VERSION, .locale = 0x0409, .has_policy_key = true, .policy_key = p->policy_key,
	};
	struct slice line = eas_query_base64(scratch(p), &q), auth = authorization(p), body = S_NONE;
	struct blob *b = blob_new(0);
	struct err e;

	if (obj && (encode_document(b, s, obj, VERSION, &e) < 0 || blob_map(b, &body, &e) < 0)) {
		blob_free(&b);
		give_up(p, e.text, 0);
		return;
	}
	put_request(p, "POST", arena_printf(scratch(p), "/Microsoft-Server-ActiveSync?%.*s", SARG(line)),
		    arena_printf(scratch(p), "Authorization: Basic %.*s\r\nContent-Type: application/vnd.ms-sync.wbxml\r\n",
				 SARG(auth)), body);
	blob_free(&b);
}

static void ask_policy(struct phone *p)
{
	struct provision_policy_request *policy;
	struct provision_request rq = { .has_policies = NUM(1) };
	struct device_information device = { .set = NUM(1), .model = S("bench"), .os = S("bench") };
	char key[16];

	policy = LIST_PUSH(scratch(p), &rq.policies);
	policy->type = S("MS-EAS-Provisioning-WBXML");
	if (p->step == STEP_PROVISION) {
		p->policy_key = 0;
		rq.device = &device;
	} else {
		snprintf(key, sizeof(key), "%u", p->policy_key);
		policy->key = slice_str(key);
		policy->status = NUM(1);
	}
	post(p, EAS_CMD_PROVISION, &provision_request_schema, &rq);
}

static void ask_folders(struct phone *p)
{
	struct folder_request rq = { .sync_key = slice_str(p->hierarchy_key) };

	post(p, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &rq);
}

static void ask_sync(struct phone *p)
{
	struct sync_request rq = { .has_collections = NUM(1) };
	struct sync_collection *c = LIST_PUSH(scratch(p), &rq.collections);
	struct body_preference *text;
	struct sync_options *o;

	c->sync_key = slice_str(p->sync_key);
	c->collection_id = slice_str(p->inbox);
	if (p->step != STEP_FIRST_SYNC) {
		c->get_changes = NUM(1);
		c->window_size = NUM(p->fleet->o.window);
		o = LIST_PUSH(scratch(p), &c->options);
		o->filter_type = NUM(0);
		text = LIST_PUSH(scratch(p), &o->body);
		text->type = NUM(1);
		text->truncation_size = NUM(p->fleet->o.truncation);
	}
	post(p, EAS_CMD_SYNC, &sync_request_schema, &rq);
}

static void ask_ping(struct phone *p)
{
	struct ping_request rq = { .heartbeat = NUM(p->fleet->o.heartbeat), .has_folders = NUM(1) };
	struct ping_folder *f = LIST_PUSH(scratch(p), &rq.folders);

	f->id = slice_str(p->inbox);
	f->class = S("Email");
	post(p, EAS_CMD_PING, &ping_request_schema, &rq);
	p->fleet->n.pings++;
}

static void ask_health(struct phone *p)
{
	put_request(p, "GET", S("/healthz"), S_NONE, S_NONE);
}

static void (*const ask[])(struct phone *p) = {
	[STEP_PROVISION] = ask_policy, [STEP_ACKNOWLEDGE] = ask_policy, [STEP_FOLDERS] = ask_folders,
	[STEP_FIRST_SYNC] = ask_sync, [STEP_SYNC] = ask_sync, [STEP_PING] = ask_ping, [STEP_RESYNC] = ask_sync,
	[STEP_CONNECT] = ask_health,
};

static void go(struct phone *p, enum phone_step step)
{
	p->step = (uint8_t)step;
	if (step < STEP_DONE)
		ask[step](p);
}

/* --- replies -------------------------------------------------------------------------- */

static void keep(char *to, size_t n, struct slice s)
{
	snprintf(to, n, "%.*s", SARG(s));
}

/* NULL: it failed. */
static void *read_body(struct phone *p, const struct reply *r, const struct schema *s)
{
	struct decode_report report;
	struct err e = { 0 };
	void *obj = decode_all(r->body, s, VERSION, scratch(p), &report, &e);

	if (!obj)
		give_up(p, e.text, r->status);
	decode_report_deinit(&report); /* bodies are counted, not read */
	return obj;
}

static void got_policy(struct phone *p, const struct reply *r)
{
	const struct provision_reply *a = read_body(p, r, &provision_reply_schema);
	uint64_t key = 0;

	if (!a)
		return;
	if (a->policies.n == 0 || !slice_u64(a->policies.v[0].key, &key)) {
		/* Nothing to obey here: the status says so. */
		if (a->policies.n && a->policies.v[0].status.v == 2)
			go(p, STEP_FOLDERS);
		else
			give_up(p, "no policy key", (int)a->status.v);
		return;
	}
	p->policy_key = (unsigned)key;
	go(p, p->step == STEP_PROVISION ? STEP_ACKNOWLEDGE : STEP_FOLDERS);
}

static void got_folders(struct phone *p, const struct reply *r)
{
	const struct foldersync_reply *a = read_body(p, r, &foldersync_reply_schema);

	if (!a)
		return;
	keep(p->hierarchy_key, sizeof(p->hierarchy_key), a->sync_key);
	for (size_t i = 0; i < a->changes.n; i++)
		if (a->changes.v[i].type.v == TYPE_INBOX)
			keep(p->inbox, sizeof(p->inbox), a->changes.v[i].server_id);
	if (a->status.v != 1 || !p->inbox[0])
		give_up(p, "FolderSync without an inbox", (int)a->status.v);
	else
		go(p, STEP_FIRST_SYNC);
}

static void synced_nothing(struct phone *p)
{
	p->fleet->n.syncs++;
	if (p->again) {
		p->again--;
		go(p, STEP_RESYNC);
		return;
	}
	fleet_phone_done(p);
	go(p, STEP_PING);
}

static void got_sync(struct phone *p, const struct reply *r)
{
	const struct sync_reply *a;
	const struct sync_reply_collection *c;

	if (r->body.len == 0) { /* nothing new */
		if (p->step == STEP_RESYNC)
			synced_nothing(p);
		else
			go(p, STEP_PING);
		return;
	}
	a = read_body(p, r, &sync_reply_schema);
	if (!a)
		return;
	if (a->collections.n != 1 || a->collections.v[0].status.v != 1) {
		give_up(p, "Sync status", (int)(a->collections.n ? a->collections.v[0].status.v : a->status.v));
		return;
	}
	c = &a->collections.v[0];
	keep(p->sync_key, sizeof(p->sync_key), c->sync_key);
	p->fleet->n.items += c->commands.n;
	if (p->step == STEP_SYNC)
		p->fleet->n.windows++;
	if (p->step == STEP_RESYNC)
		synced_nothing(p);
	else if (p->step == STEP_FIRST_SYNC || c->more_available.has)
		go(p, STEP_SYNC);
	else
		go(p, STEP_PING);
}

static void got_ping(struct phone *p, const struct reply *r)
{
	const struct ping_reply *a = read_body(p, r, &ping_reply_schema);

	if (!a)
		return;
	if (a->status.v != 1 && a->status.v != 2) {
		give_up(p, "Ping status", (int)a->status.v);
		return;
	}
	if (a->status.v == 2 && p->in_flight == 0) {
		go(p, STEP_SYNC);
		return;
	}
	if (p->again) {
		p->again--;
		ask_ping(p);
	} else if (p->in_flight == 0) {
		ask_ping(p);
	} else {
		fleet_phone_done(p);
	}
}

static void reconnect(struct phone *p);

static void got_health(struct phone *p, const struct reply *r)
{
	if (r->status != 200) {
		give_up(p, "healthz", r->status);
	} else if (p->again) {
		p->again--;
		reconnect(p);
	} else {
		p->step = STEP_DONE;
		fleet_phone_done(p);
	}
}

static void (*const got[])(struct phone *p, const struct reply *r) = {
	[STEP_PROVISION] = got_policy, [STEP_ACKNOWLEDGE] = got_policy, [STEP_FOLDERS] = got_folders,
	[STEP_FIRST_SYNC] = got_sync, [STEP_SYNC] = got_sync, [STEP_PING] = got_ping, [STEP_RESYNC] = got_sync,
	[STEP_CONNECT] = got_health,
};

static void on_reply(struct phone *p, const struct reply *r)
{
	p->in_flight--;
	p->fleet->n.replies++;
	p->fleet->n.body_bytes += r->body.len;
	if (r->status == 503 && p->retries++ < MAX_RETRIES && p->step < STEP_DONE) {
		p->fleet->n.busy++;
		go(p, (enum phone_step)p->step);
	} else if (r->status != 200 || p->step >= STEP_DONE) {
		give_up(p, "HTTP status", r->status);
	} else {
		got[p->step](p, r);
	}
}

/* --- connection --------------------------------------------------------------------------- */

static void reconnect(struct phone *p)
{
	fleet_unwatch(p);
	peer_close(&p->peer);
	p->in_flight = 0;
	if (peer_connect(&p->peer, &p->fleet->o.wire) < 0) {
		give_up(p, "connect", 0);
		return;
	}
	fleet_watch(p);
	go(p, (enum phone_step)p->step);
}

void phone_start(struct phone *p)
{
	snprintf(p->hierarchy_key, sizeof(p->hierarchy_key), "0");
	snprintf(p->sync_key, sizeof(p->sync_key), "0");
	p->step = STEP_PROVISION;
	reconnect(p);
	phone_ready(p);
}

void phone_ready(struct phone *p)
{
	struct reply r;
	int rc = 0;

	while (p->peer.fd >= 0 && (rc = peer_step(&p->peer, &r)) > 0) {
		on_reply(p, &r);
		arena_free(&p->fleet->scratch);
		p->fleet->scratch = arena_new();
		if (p->peer.in) /* not a new connection */
			peer_consume(&p->peer);
	}
	if (rc < 0 && p->peer.fd >= 0)
		give_up(p, "the server closed the connection", 0);
	if (p->peer.fd >= 0)
		fleet_watch(p);
	fleet_set_waiting(p, p->step == STEP_PING && p->in_flight == 1 && p->peer.out_len == 0);
}

void phone_ping_again(struct phone *p, unsigned n)
{
	p->again = n - 1;
	ask_ping(p); /* the server answers the one that waits: bytes came */
	phone_ready(p);
}

void phone_sync_again(struct phone *p, unsigned n)
{
	p->again = n - 1;
	p->step = STEP_RESYNC;
	reconnect(p); /* drops the Ping */
	phone_ready(p);
}

void phone_connect_again(struct phone *p, unsigned n, bool resume)
{
	p->again = n - 1;
	p->peer.resume = resume;
	p->step = STEP_CONNECT;
	reconnect(p);
	phone_ready(p);
}
