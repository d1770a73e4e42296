/* phone.c - a simulated phone: what it holds, what its user did, and the first
 * judge: an item it has is never added again, a mail it sent is sent once. */
#include "sim.h"

#include "keys.h"
#include "work/colstate.h"

#include <stdio.h>
#include <stdlib.h>

#define VERSION EAS_141

void phone_init(struct sim_phone *p, int index)
{
	*p = (struct sim_phone){ .index = index };
	snprintf(p->device, sizeof(p->device), "SIM%d", index);
	snprintf(p->hierarchy_key, sizeof(p->hierarchy_key), "0");
}

void phone_deinit(struct sim_phone *p)
{
	for (size_t i = 0; i < p->n_folders; i++)
		free(p->folders[i].v);
	free(p->folders);
	blob_free(&p->body);
}

size_t phone_find(struct sim_phone *p, const char *name)
{
	for (size_t i = 0; i < p->n_folders; i++)
		if (strcmp(p->folders[i].name, name) == 0)
			return i;
	return SIZE_MAX;
}

static struct sim_item *find_item(struct sim_folder *f, uint64_t num)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].num == num)
			return &f->v[i];
	return NULL;
}

static void drop_item(struct sim_folder *f, struct sim_item *it)
{
	*it = f->v[--f->n];
}

static struct sim_item *new_item(struct sim_folder *f, uint64_t num)
{
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 16;
		f->v = mem_realloc(f->v, f->cap * sizeof(*f->v));
	}
	f->v[f->n] = (struct sim_item){ .num = num };
	return &f->v[f->n++];
}

static uint64_t num_of(struct slice server_id)
{
	struct slice folder;
	uint64_t num = 0;

	if (!slice_split(&server_id, ':', &folder) || !slice_u64(server_id, &num))
		return 0;
	return num;
}

/* --- requests ------------------------------------------------------------------------- */

static void encode(struct sim_phone *p, const struct schema *schema, const void *req)
{
	blob_free(&p->body);
	p->body = blob_new(0);
	if (encode_document(p->body, schema, req, VERSION, NULL) < 0)
		abort();
}

static void begin_foldersync(struct sim_phone *p)
{
	struct folder_request req = { .sync_key = slice_str(p->hierarchy_key) };

	p->pending = SIM_FOLDERSYNC;
	encode(p, &foldersync_request_schema, &req);
}

static void put_wishes(struct sim_folder *f, struct sync_collection *c, struct arena *a)
{
	for (size_t i = 0; i < f->n && c->commands.n < 20; i++) {
		struct sim_item *it = &f->v[i];
		struct sync_command *cmd;

		it->in_flight = it->deleted || it->dirty_read || it->dirty_flag;
		if (!it->in_flight)
			continue;
		cmd = LIST_PUSH(a, &c->commands);
		cmd->tag = it->deleted ? AIRSYNC_DELETE : AIRSYNC_CHANGE;
		cmd->server_id = arena_printf(a, "%s:%llu", f->id, (unsigned long long)it->num);
		if (it->deleted)
			continue;
		cmd->item = ARENA_NEW(a, struct item);
		cmd->item->class = CLASS_EMAIL;
		cmd->item->email = ARENA_NEW(a, struct email);
		if (it->dirty_read)
			cmd->item->email->read = NUM(it->read);
		if (it->dirty_flag) {
			cmd->item->email->flag = ARENA_NEW(a, struct email_flag);
			if (it->flagged) {
				cmd->item->email->flag->status = NUM(2);
				cmd->item->email->flag->type = S("Flag");
			}
		}
	}
	if (c->commands.n)
		c->has_commands = NUM(1);
}

static void begin_sync(struct sim *s, struct sim_phone *p, size_t folder, bool with_wishes)
{
	struct sim_folder *f = &p->folders[folder];
	struct arena *a = arena_new();
	struct sync_request req = { .has_collections = NUM(1) };
	struct sync_collection *c = LIST_PUSH(a, &req.collections);
	struct body_preference *pref;
	struct sync_options *o;

	p->pending = SIM_SYNC;
	p->folder = folder;
	c->sync_key = slice_str(f->key);
	c->collection_id = slice_str(f->id);
	c->window_size = NUM(1 + sim_pick(s, 6));
	if (strcmp(f->key, "0") != 0) {
		c->get_changes = NUM(1);
		o = LIST_PUSH(a, &c->options);
		pref = LIST_PUSH(a, &o->body);
		pref->type = NUM(1);
		pref->truncation_size = NUM(100);
		for (size_t i = 0; i < f->n; i++)
			f->v[i].in_flight = false;
		if (with_wishes)
			put_wishes(f, c, a);
		if (s->faults && sim_pick(s, 6) == 0)
			req.heartbeat = NUM(120);
	}
	encode(p, &sync_request_schema, &req);
	arena_free(&a);
}

static void begin_ping(struct sim_phone *p)
{
	struct arena *a = arena_new();
	struct ping_request req = { .heartbeat = NUM(300), .has_folders = NUM(1) };

	p->pending = SIM_PING;
	for (size_t i = 0; i < p->n_folders; i++) {
		struct ping_folder *f = LIST_PUSH(a, &req.folders);

		f->id = slice_str(p->folders[i].id);
		f->class = S("Email");
	}
	encode(p, &ping_request_schema, &req);
	arena_free(&a);
}

static void begin_send(struct sim *s, struct sim_phone *p)
{
	char mime[300], client_id[32];
	int n = snprintf(mime, sizeof(mime), "To: ada@example.org\r\nSubject: p%d-%u\r\nMIME-Version: 1.0\r\n\r\nHello.\r\n",
			 p->index, p->sent);
	struct compose_request req = { .tag = COMPOSE_SEND_MAIL, .save_in_sent = NUM(1) };

	snprintf(client_id, sizeof(client_id), "c%d-%u", p->index, p->sent++);
	req.client_id = slice_str(client_id);
	req.mime = (struct data){ .has = true, .opaque = true, .mem = slice(mime, (size_t)n) };
	p->pending = SIM_SEND;
	encode(p, &sendmail_request_schema, &req);
	sim_note(s, "phone %d: sends %s", p->index, client_id);
}

static void begin_create(struct sim *s, struct sim_phone *p)
{
	char name[32];
	struct folder_request req = { .sync_key = slice_str(p->hierarchy_key), .parent_id = S("0"), .type = NUM(FOLDER_USER_MAIL) };

	snprintf(name, sizeof(name), "F%d-%u", p->index, p->created);
	req.display_name = slice_str(name);
	p->pending = SIM_CREATE;
	encode(p, &foldercreate_request_schema, &req);
	sim_note(s, "phone %d: makes folder %s", p->index, name);
}

static bool begin_move(struct sim *s, struct sim_phone *p)
{
	size_t from = phone_find(p, "INBOX"), to = phone_find(p, "Archive");
	struct arena *a;
	struct moveitems_request req = { 0 };
	struct move_item *m;
	struct sim_item *it;

	if (sim_pick(s, 2)) {
		size_t t = from;

		from = to;
		to = t;
	}
	if (from == SIZE_MAX || to == SIZE_MAX || p->folders[from].n == 0 || strcmp(p->folders[to].key, "0") == 0)
		return false;
	/* After the store stepped back a Sync must find it out first: a move has no key. */
	if (p->folders[from].moved || p->folders[to].moved)
		return false;
	it = &p->folders[from].v[sim_pick(s, (unsigned)p->folders[from].n)];
	if (it->deleted)
		return false;
	a = arena_new();
	m = LIST_PUSH(a, &req.moves);
	m->src_id = arena_printf(a, "%s:%llu", p->folders[from].id, (unsigned long long)it->num);
	m->src_folder = slice_str(p->folders[from].id);
	m->dst_folder = slice_str(p->folders[to].id);
	p->pending = SIM_MOVE;
	p->folder = from;
	p->target = to;
	p->move_num = it->num;
	encode(p, &moveitems_request_schema, &req);
	arena_free(&a);
	return true;
}

/* --- answers ---------------------------------------------------------------------------- */

static void add_folder(struct sim *s, struct sim_phone *p, struct slice id, struct slice name)
{
	struct sim_folder *f;

	for (size_t k = 0; k < p->n_folders; k++)
		if (slice_eq(slice_str(p->folders[k].id), id) || slice_eq(slice_str(p->folders[k].name), name)) {
			sim_fail(s, "phone %d is given folder %.*s twice", p->index, SARG(name));
			return;
		}
	p->folders = mem_realloc(p->folders, (p->n_folders + 1) * sizeof(*p->folders));
	f = &p->folders[p->n_folders++];
	memset(f, 0, sizeof(*f));
	snprintf(f->id, sizeof(f->id), "%.*s", SARG(id));
	snprintf(f->name, sizeof(f->name), "%.*s", SARG(name));
	snprintf(f->key, sizeof(f->key), "0");
}

/* A phone that starts its folder list over drops the folders with their items. */
static void restart_list(struct sim_phone *p)
{
	for (size_t i = 0; i < p->n_folders; i++)
		free(p->folders[i].v);
	p->n_folders = 0;
}

static void got_create(struct sim *s, struct sim_phone *p, struct folder_reply *r)
{
	char name[32];

	snprintf(name, sizeof(name), "F%d-%u", p->index, p->created);
	switch (num_or(r->status, 0)) {
	case 1:
		p->created++;
		snprintf(p->hierarchy_key, sizeof(p->hierarchy_key), "%.*s", SARG(r->sync_key));
		add_folder(s, p, r->server_id, slice_str(name));
		break;
	case 9:
		snprintf(p->hierarchy_key, sizeof(p->hierarchy_key), "0");
		break;
	case 2: /* it exists: this phone's first try, or the store stepped back since */
		p->created++;
		p->hierarchy_changed = true;
		break;
	default:
		sim_fail(s, "FolderCreate status %lld", (long long)num_or(r->status, 0));
	}
}

static void got_foldersync(struct sim *s, struct sim_phone *p, struct foldersync_reply *r)
{
	if (num_or(r->status, 0) == 9) {
		snprintf(p->hierarchy_key, sizeof(p->hierarchy_key), "0");
		return;
	}
	if (num_or(r->status, 0) != 1) {
		sim_fail(s, "FolderSync status %lld", (long long)num_or(r->status, 0));
		return;
	}
	/* Key 0: the whole list comes anew. */
	if (strcmp(p->hierarchy_key, "0") == 0)
		restart_list(p);
	p->hierarchy_changed = false;
	snprintf(p->hierarchy_key, sizeof(p->hierarchy_key), "%.*s", SARG(r->sync_key));
	for (size_t i = 0; i < r->changes.n; i++) {
		struct folder_change *c = &r->changes.v[i];
		bool inbox = num_or(c->type, 0) == FOLDER_INBOX;

		if (c->tag == HIERARCHY_ADD)
			add_folder(s, p, c->server_id, inbox ? S("INBOX") : c->display_name);
	}
}

static void apply_facts(struct sim_item *it, const struct email *m)
{
	if (m->subject.ptr)
		snprintf(it->subject, sizeof(it->subject), "%.*s", SARG(m->subject));
	/* What the user wants and has not told yet stands. */
	if (m->read.has && !it->dirty_read)
		it->read = m->read.v;
	if (m->flag && !it->dirty_flag)
		it->flagged = num_or(m->flag->status, 0) == 2;
}

static void got_command(struct sim *s, struct sim_phone *p, struct sim_folder *f, const struct sync_command *c)
{
	uint64_t num = num_of(c->server_id);
	struct sim_item *it = find_item(f, num);

	sim_note(s, "phone %d <- %s %llu %s", p->index, wbxml_tag_name(c->tag), (unsigned long long)num,
		 it ? it->subject : "");
	if (c->tag == AIRSYNC_ADD) {
		/* A store that stepped back may tell an item again, under the same id. */
		if (it && !s->rollbacks) {
			sim_fail(s, "phone %d gets %s of %s twice", p->index, it->subject, f->name);
			return;
		}
		if (!it)
			it = new_item(f, num);
	}
	if ((c->tag == AIRSYNC_DELETE || c->tag == AIRSYNC_SOFT_DELETE) && it) {
		drop_item(f, it);
	} else if (c->tag == AIRSYNC_CHANGE && !it && !s->rollbacks) {
		sim_fail(s, "phone %d: a change of %llu in %s, which it does not have", p->index, (unsigned long long)num, f->name);
	} else if (it && c->item && c->item->email) {
		apply_facts(it, c->item->email);
		sim_note(s, "             %s is read %d flagged %d", it->subject, it->read, it->flagged);
	}
}

/* What was in the request is told now; a wish that failed is dropped. */
static void wishes_done(struct sim_folder *f)
{
	for (size_t i = f->n; i-- > 0;) {
		struct sim_item *it = &f->v[i];

		if (!it->in_flight)
			continue;
		it->in_flight = false;
		if (it->deleted)
			drop_item(f, it);
		else
			it->dirty_read = it->dirty_flag = false;
	}
}

static void start_over(struct sim *s, struct sim_phone *p, struct sim_folder *f)
{
	sim_note(s, "phone %d starts %s over", p->index, f->name);
	f->n = 0;
	f->more = false;
	snprintf(f->key, sizeof(f->key), "0");
}

static void got_sync(struct sim *s, struct sim_phone *p, struct sync_reply *r)
{
	struct sim_folder *f = &p->folders[p->folder];
	struct sync_reply_collection *c = r->collections.n ? &r->collections.v[0] : NULL;

	if (!c) {
		sim_fail(s, "Sync status %lld without a collection", (long long)num_or(r->status, 0));
		return;
	}
	if (num_or(c->status, 0) == 3) {
		start_over(s, p, f);
		return;
	}
	if (num_or(c->status, 0) != 1) {
		sim_fail(s, "Sync: collection status %lld", (long long)num_or(c->status, 0));
		return;
	}
	wishes_done(f);
	f->moved = false;
	snprintf(f->key, sizeof(f->key), "%.*s", SARG(c->sync_key));
	f->more = c->more_available.has;
	for (size_t i = 0; i < c->commands.n; i++)
		got_command(s, p, f, &c->commands.v[i]);
}

static void got_move(struct sim *s, struct sim_phone *p, struct moveitems_reply *r)
{
	struct sim_folder *from = &p->folders[p->folder], *to = &p->folders[p->target];
	struct move_response *m = r->responses.n ? &r->responses.v[0] : NULL;
	struct sim_item *it = find_item(from, p->move_num), *moved;
	uint64_t num;

	from->moved = to->moved = true;
	if (!m || num_or(m->status, 0) != 3 || !it)
		return; /* gone meanwhile: the next Sync tells */
	num = num_of(m->dst_id);
	sim_note(s, "phone %d: %s moved to %llu of %s", p->index, it->subject, (unsigned long long)num, to->name);
	if (num && find_item(to, num) && !s->rollbacks) {
		sim_fail(s, "phone %d: %s moved onto an item it has", p->index, it->subject);
		return;
	}
	if (num && !find_item(to, num)) {
		struct sim_item copy = *it;

		moved = new_item(to, num);
		copy.num = num;
		*moved = copy;
	}
	it = find_item(from, p->move_num);
	drop_item(from, it);
}

static void got(struct sim *s, struct sim_phone *p, struct slice body)
{
	static const struct schema *const schemas[] = {
		[SIM_FOLDERSYNC] = &foldersync_reply_schema, [SIM_SYNC] = &sync_reply_schema,
		[SIM_MOVE] = &moveitems_reply_schema, [SIM_CREATE] = &foldercreate_reply_schema,
	};
	struct arena *a = arena_new();
	struct decode_report report = { 0 };
	struct err e = { 0 };
	void *r = NULL;

	if (p->pending != SIM_SEND && body.len) {
		r = decode_all(body, schemas[p->pending], VERSION, a, &report, &e);
		if (!r)
			sim_fail(s, "a reply cannot be read: %s", e.text);
	}
	if (p->pending == SIM_SEND && body.len)
		sim_fail(s, "SendMail answered with a status");
	if (r && p->pending == SIM_FOLDERSYNC)
		got_foldersync(s, p, r);
	else if (r && p->pending == SIM_SYNC)
		got_sync(s, p, r);
	else if (r && p->pending == SIM_MOVE)
		got_move(s, p, r);
	else if (r && p->pending == SIM_CREATE)
		got_create(s, p, r);
	else if (p->pending == SIM_SYNC && !body.len)
		p->folders[p->folder].more = false;
	p->pending = SIM_NONE;
	p->tries = 0;
	decode_report_deinit(&report);
	arena_free(&a);
}

/* --- the wire ------------------------------------------------------------------------------ */

static const struct {
	enum eas_command id;
	const struct schema *request;
} kinds[] = {
	[SIM_FOLDERSYNC] = { EAS_CMD_FOLDER_SYNC, &foldersync_request_schema },
	[SIM_SYNC] = { EAS_CMD_SYNC, &sync_request_schema },
	[SIM_SEND] = { EAS_CMD_SEND_MAIL, &sendmail_request_schema },
	[SIM_MOVE] = { EAS_CMD_MOVE_ITEMS, &moveitems_request_schema },
	[SIM_PING] = { EAS_CMD_PING, &ping_request_schema },
	[SIM_CREATE] = { EAS_CMD_FOLDER_CREATE, &foldercreate_request_schema },
};

static const char *const kind_names[] = { "nothing", "FolderSync", "Sync", "SendMail", "MoveItems", "Ping", "FolderCreate" };

static struct request *make_request(struct sim *s, struct sim_phone *p)
{
	struct arena *a = arena_new();
	struct request *rq = ARENA_NEW(a, struct request);
	struct slice body;

	rq->arena = a;
	rq->kind = REQUEST_HTTP;
	rq->method = HTTP_M_POST;
	rq->received_ms = s->now_ms;
	rq->deadline_ms = s->now_ms + 50000;
	rq->peer = S("192.0.2.1");
	rq->user_agent = S("sim");
	rq->version = VERSION;
	rq->version_given = true;
	rq->has_auth = true;
	rq->login = S("ada");
	rq->password = S("secret");
	rq->query.command = kinds[p->pending].id;
	rq->query.device_id = slice_str(p->device);
	rq->query.device_type = S("Simulated");
	blob_map(p->body, &body, NULL);
	rq->report = ARENA_NEW(a, struct decode_report);
	rq->decoded = decode_all(body, kinds[p->pending].request, VERSION, a, rq->report, NULL);
	if (!rq->decoded)
		abort();
	rq->body_kind = BODY_DECODED;
	return rq;
}

static void note_set(struct sim *s, const char *name, const struct snapshot *set)
{
	char line[200] = "";
	size_t n = 0;

	for (size_t i = 0; i < set->n && n < sizeof(line) - 24; i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " %llu:%x", (unsigned long long)set->v[i].num, set->v[i].rev);
	if (set->n)
		sim_note(s, "             %s%s", name, line);
}

/* What the server holds of the phone's collection, for a replay by hand. */
static void note_state(struct sim *s, struct sim_phone *p)
{
	struct arena *a = arena_new();
	struct store_get g = { .key = key_collection(a, slice_str(p->device), slice_str(p->folders[p->folder].id)) };
	struct colstate st;

	if (s->verbose && store_load(s->mem, S("ada"), &g, 1, NULL, NULL, a, NULL) == 0 &&
	    colstate_unpack(&st, a, g.value, NULL) == 0) {
		sim_note(s, "             state of %s: counter %u", p->folders[p->folder].name, st.counter);
		note_set(s, "have", &st.have);
		note_set(s, "own change", &st.own.change);
		note_set(s, "own gone", &st.own.gone);
		note_set(s, "sent add", &st.sent.add);
		note_set(s, "sent change", &st.sent.change);
		note_set(s, "sent gone", &st.sent.gone);
		note_set(s, "pend add", &st.pend.add);
		note_set(s, "pend change", &st.pend.change);
		note_set(s, "pend gone", &st.pend.gone);
	}
	arena_free(&a);
}

static void park(struct sim *s, struct sim_phone *p, int server, uint64_t conn, const struct verdict *v)
{
	sim_note(s, "phone %d waits on server %d for %zu folders of %zu", p->index, server, v->park->n_folders, p->n_folders);
	if (p->pending == SIM_PING)
		p->pending = SIM_NONE;
	p->tries = 0;
	p->parked = true;
	p->server = server;
	p->conn_id = conn;
	push_park(s->server[server].push, conn, v);
	/* The watch is armed: one look follows. */
	push_wake(s->server[server].push, S("ada"), S_NONE, WAKE_ARMED);
}

static void got_ping(struct sim *s, struct sim_phone *p, struct slice body)
{
	struct arena *a = arena_new();
	struct decode_report report;
	struct ping_reply *r = decode_all(body, &ping_reply_schema, VERSION, a, &report, NULL);

	sim_note(s, "phone %d: Ping answered %lld at once", p->index, r ? (long long)num_or(r->status, 0) : -1);
	for (size_t i = 0; r && i < r->folders.n; i++)
		for (size_t k = 0; k < p->n_folders; k++)
			if (slice_eq(r->folders.v[i], slice_str(p->folders[k].id)))
				p->folders[k].more = true;
	if (r && num_or(r->status, 0) == 7)
		p->hierarchy_changed = true;
	decode_report_deinit(&report);
	arena_free(&a);
}

static void answered(struct sim *s, struct sim_phone *p, struct verdict *v)
{
	struct slice body = S_NONE;

	s->answers++;
	if (v->http_status == 503)
		return; /* try again later: the same bytes */
	if (v->http_status != 200) {
		sim_fail(s, "HTTP %d: %s", v->http_status, v->err.text);
		return;
	}
	if (v->body)
		blob_map(v->body, &body, NULL);
	if (p->pending == SIM_PING) {
		p->pending = SIM_NONE; /* an answer at once: Sync decides */
		p->tries = 0;
		got_ping(s, p, body);
		return;
	}
	got(s, p, body);
}

static void transmit(struct sim *s, struct sim_phone *p)
{
	int server = (int)sim_pick(s, SIM_SERVERS);
	struct request *rq = make_request(s, p);
	uint64_t conn = ++s->next_conn;
	bool lose = s->faults && sim_pick(s, 6) == 0;
	struct verdict v;

	sim_note(s, "phone %d -> server %d: %s %s%s", p->index, server, kind_names[p->pending],
		 p->pending == SIM_SYNC || p->pending == SIM_MOVE ? p->folders[p->folder].name : "", p->tries ? " again" : "");
	s->repeats += p->tries++ > 0;
	s->crash_armed = s->faults && sim_pick(s, 8) == 0;
	push_before(s->server[server].push, conn, S("ada"));
	if (!world_exchange(s, server, rq, &v)) {
		request_free(&rq);
		return;
	}
	push_after(s->server[server].push, conn, S("ada"), slice_str(p->device), &v);
	if (p->pending == SIM_SYNC)
		note_state(s, p);
	if (lose) {
		sim_note(s, "phone %d: the answer gets lost", p->index);
		s->lost++;
		push_drop(s->server[server].push, conn);
	} else if (v.kind == VERDICT_PARK) {
		park(s, p, server, conn, &v);
	} else {
		answered(s, p, &v);
	}
	blob_free(&v.body);
	request_free(&rq);
}

static int ping_status(struct slice body)
{
	struct arena *a = arena_new();
	struct decode_report report;
	struct ping_reply *r = decode_all(body, &ping_reply_schema, VERSION, a, &report, NULL);
	int status = r ? (int)num_or(r->status, 0) : 0;

	decode_report_deinit(&report);
	arena_free(&a);
	return status;
}

void phone_waiting_answer(struct sim *s, struct sim_phone *p, int http_status, struct slice body)
{
	int status = http_status == 200 && p->pending != SIM_SYNC ? ping_status(body) : 0;

	sim_note(s, "phone %d: the wait ends, HTTP %d, Ping status %d", p->index, http_status, status);
	s->pings++;
	p->parked = false;
	if (p->pending == SIM_SYNC) {
		if (http_status == 200)
			got(s, p, body);
		return; /* else: the same bytes again */
	}
	if (status == 2)
		for (size_t i = 0; i < p->n_folders; i++)
			p->folders[i].more = true;
	p->hierarchy_changed = p->hierarchy_changed || status == 7;
}

/* --- what its user does ------------------------------------------------------------------------ */

static void touch(struct sim *s, struct sim_phone *p)
{
	struct sim_folder *f = &p->folders[p->touched = sim_pick(s, (unsigned)p->n_folders)];
	struct sim_item *it = f->n ? &f->v[sim_pick(s, (unsigned)f->n)] : NULL;

	if (!it || it->deleted)
		return;
	switch (sim_pick(s, 3)) {
	case 0:
		it->read = !it->read;
		it->dirty_read = true;
		break;
	case 1:
		it->flagged = !it->flagged;
		it->dirty_flag = true;
		break;
	default:
		it->deleted = true;
	}
	sim_note(s, "phone %d: its user touches %s (%llu) in %s: read %d flagged %d%s", p->index, it->subject,
		 (unsigned long long)it->num, f->name, it->read, it->flagged, it->deleted ? " deleted" : "");
}

static void hang_up(struct sim *s, struct sim_phone *p)
{
	push_drop(s->server[p->server].push, p->conn_id);
	p->parked = false;
}

static bool wants_sync(const struct sim_phone *p, size_t *folder_r)
{
	for (size_t i = 0; i < p->n_folders; i++) {
		const struct sim_folder *f = &p->folders[i];
		bool wish = false;

		for (size_t k = 0; k < f->n; k++)
			wish = wish || f->v[k].dirty_read || f->v[k].dirty_flag || f->v[k].deleted;
		if (f->more || wish || strcmp(f->key, "0") == 0) {
			*folder_r = i;
			return true;
		}
	}
	return false;
}

static void begin(struct sim *s, struct sim_phone *p)
{
	unsigned act = sim_pick(s, 24);
	size_t folder;

	if (strcmp(p->hierarchy_key, "0") == 0 || p->hierarchy_changed || act == 0)
		begin_foldersync(p);
	else if (act == 1)
		begin_send(s, p);
	else if (act == 2)
		begin_create(s, p);
	else if (act < 5 && begin_move(s, p))
		return;
	else if (act < 8) {
		touch(s, p);
		begin_sync(s, p, p->touched, true);
	} else if (wants_sync(p, &folder))
		begin_sync(s, p, folder, true);
	else if (act < 10)
		begin_sync(s, p, sim_pick(s, (unsigned)p->n_folders), true);
	else
		begin_ping(p);
}

/* A phone that restarted repeats the key without what its user had done. */
static void forget_wishes(struct sim *s, struct sim_phone *p)
{
	struct sim_folder *f = &p->folders[p->folder];

	if (strcmp(f->key, "0") == 0)
		return;
	sim_note(s, "phone %d repeats %s without its commands", p->index, f->name);
	begin_sync(s, p, p->folder, false);
}

void phone_act(struct sim *s, struct sim_phone *p)
{
	if (p->parked) {
		if (sim_pick(s, 10))
			return;
		hang_up(s, p);
	}
	if (p->pending == SIM_NONE)
		begin(s, p);
	else if (p->pending == SIM_SYNC && p->tries > 0 && p->folder < p->n_folders && sim_pick(s, 5) == 0)
		forget_wishes(s, p);
	transmit(s, p);
}

void phone_settle(struct sim *s, struct sim_phone *p)
{
	for (int round = 0; round < 3000 && !*s->failure; round++) {
		size_t folder;

		world_advance(s, 1000);
		if (p->parked) {
			hang_up(s, p);
			p->pending = SIM_NONE; /* a Sync that waits has nothing to tell: it is asked anew */
		}
		if (p->pending != SIM_NONE)
			transmit(s, p);
		else if (strcmp(p->hierarchy_key, "0") == 0 || p->hierarchy_changed)
			begin_foldersync(p);
		else if (wants_sync(p, &folder))
			begin_sync(s, p, folder, true);
		else
			break;
	}
	/* One look at each folder, so that what webmail did last is told too. */
	for (size_t i = 0; i < p->n_folders && !*s->failure; i++) {
		do {
			begin_sync(s, p, i, true);
			while (p->pending != SIM_NONE && !*s->failure)
				transmit(s, p);
		} while (p->folders[i].more && !*s->failure);
	}
}
