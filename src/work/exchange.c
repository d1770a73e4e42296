/* exchange.c - one request: authenticate, load, gate, run, commit, answer.
 * Worker thread, or the simulation without threads. Owns what it checks out
 * (claim, sessions) and gives all of it back before it returns, whatever
 * happened. The trap: a reply exists before its commit; when the commit fails
 * the reply is taken back, because the phone would hold a key that the store
 * does not have. */
#include "work/exchange.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/role.h"
#include "work/auth.h"
#include "work/crash.h"
#include "work/fuse.h"
#include "work/gate.h"
#include "work/gzip.h"
#include "work/info.h"
#include "work/pool.h"
#include "work/records.h"
#include "work/trace.h"
#include "work/work.h"

void request_free(struct request **rp)
{
	struct request *r = *rp;
	struct arena *a;

	*rp = NULL;
	if (!r)
		return;
	blob_free(&r->raw);
	blob_free(&r->traced);
	if (r->report)
		decode_report_deinit(r->report);
	a = r->arena; /* the request itself lives in it */
	arena_free(&a);
}

/* --- sessions --------------------------------------------------------------- */

static unsigned slot_of(enum be_role role)
{
	return role == BE_SEND;
}

enum be_result exchange_session(struct exchange *x, enum be_role role, struct session **s_r, struct err *e)
{
	unsigned i = slot_of(role);
	struct backend *b = role == BE_SEND ? x->w->send : x->w->mail;
	enum be_result r;

	if (!b) {
		err_set(e, ERR_UNSUPPORTED, "no backend serves this");
		return BE_PERM;
	}
	if (x->session[i]) {
		*s_r = x->session[i];
		return BE_OK;
	}
	r = exchange_result(x, role, pool_get(x->w->pool, b, &x->cred, x->rq->deadline_ms, &x->session[i], e));
	/* It was right when it was remembered: changed since. (A wrong password that was
	 * never right does not get here, so that guessing ends nobody's Ping.) */
	if (r == BE_PERM && e->code == ERR_AUTH && role == BE_MAIL) {
		auth_learn(x->w->auth, &(struct auth_ask){ x->cred.user, x->cred.password, x->rq->query.device_id,
							   x->rq->peer }, false);
		x->v->drop_user = true;
	}
	*s_r = x->session[i];
	return r;
}

enum be_result exchange_result(struct exchange *x, enum be_role role, enum be_result r)
{
	if (r == BE_TEMP)
		x->worst[slot_of(role)] = r;
	return r;
}

static void return_sessions(struct exchange *x)
{
	for (int i = 0; i < 2; i++)
		if (x->session[i])
			pool_put(x->w->pool, &x->session[i], x->worst[i]);
}

void exchange_crash_point(struct exchange *x, const char *name)
{
	if (x->w->crash_point)
		x->w->crash_point(x->w->crash_self, name);
}

void exchange_take(struct exchange *x)
{
	struct device *d = x->dev;

	if (d->holder == x->w->instance)
		return;
	x->took = d->holder != 0;
	d->holder = x->w->instance;
	d->epoch++;
	device_touch(d, DEVICE_HOLDER);
}

/* Host of server.public_url: the domain of an address whose login has none. */
static struct slice public_host(const struct settings *set)
{
	struct slice url = settings_str(set, "server.public_url");
	const char *at = url.len ? memmem(url.ptr, url.len, "://", 3) : NULL;
	size_t n = 0;

	if (at)
		url = slice_from(url, (size_t)(at - url.ptr) + 3);
	while (n < url.len && url.ptr[n] != '/' && url.ptr[n] != ':')
		n++;
	return n ? slice_to(url, n) : S("localhost");
}

struct slice exchange_address(struct exchange *x)
{
	struct slice address = backend_expand(x->a, settings_str(x->w->settings, "user.address"), x->cred.login);
	struct be_account acc = { .address = S_NONE };
	struct session *s;
	struct slice host;
	struct err e;

	/* The accounts file or a directory knows better than the template. */
	if (x->w->mail && x->w->mail->ops->account && exchange_session(x, BE_MAIL, &s, &e) == BE_OK && s &&
	    exchange_result(x, BE_MAIL, s->ops->account(s, x->a, &acc, &e)) == BE_OK && acc.address.len)
		return acc.address;
	if (slice_chr(address, '@') >= 0)
		return address;
	host = public_host(x->w->settings);
	return arena_printf(x->a, "%.*s@%.*s", SARG(address), SARG(host));
}

struct synckey_scope exchange_scope(struct exchange *x, struct slice collection)
{
	return (struct synckey_scope){ auth_secret(x->w->auth), x->dev->user, x->dev->id, collection };
}

/* --- folders ------------------------------------------------------------------ */

enum be_result exchange_refresh_folders(struct exchange *x, struct err *e)
{
	struct folder_map *m = exchange_folders(x, e);
	size_t n, max = (size_t)settings_int(x->w->settings, "limits.folders");
	struct be_folder *f;
	struct session *s;
	enum be_result r;

	if (!m)
		return BE_PERM;
	r = exchange_session(x, BE_MAIL, &s, e);
	if (r == BE_OK)
		r = exchange_result(x, BE_MAIL, s->ops->folders(s, x->a, &f, &n, e));
	if (r == BE_OK)
		folder_map_refresh(x->a, m, f, n < max ? n : max);
	return r;
}

struct folder *exchange_folder(struct exchange *x, struct slice id, struct err *e)
{
	struct folder_map *m = exchange_folders(x, e);
	struct folder *f;

	if (!m)
		return NULL;
	f = folder_by_id(m, id);
	/* The record may be lost or older than the phone: ids derive from paths, so
	 * the backend's list brings the same ones back. */
	if (!f && id.len == FOLDER_ID_LEN && exchange_refresh_folders(x, e) != BE_OK)
		return NULL;
	if (!f)
		f = folder_by_id(m, id);
	if (!f)
		err_set(e, ERR_NOT_FOUND, "no folder of that id");
	return f;
}

/* --- authentication ------------------------------------------------------------- */

static bool refuse_login(struct exchange *x, const char *why)
{
	reply_http(x, 401);
	err_set(&x->v->err, ERR_AUTH, "%s", why);
	return false;
}

static bool ask_backend(struct exchange *x, const struct auth_ask *ask)
{
	struct err e;
	enum be_result r = exchange_result(x, BE_MAIL, pool_get(x->w->pool, x->w->mail, &x->cred, x->rq->deadline_ms,
								&x->session[0], &e));

	if (r == BE_OK) {
		auth_learn(x->w->auth, ask, true);
		return true;
	}
	if (r == BE_PERM && e.code == ERR_AUTH) {
		auth_learn(x->w->auth, ask, false);
		metric_add(M_auth_failures_total, 1);
		return refuse_login(x, "user name or password is wrong");
	}
	reply_fail(x, &e);
	return false;
}

static bool authenticate(struct exchange *x)
{
	struct request *r = x->rq;
	struct auth_ask ask;
	int64_t retry_ms = 0;

	if (r->kind == REQUEST_CHECK) {
		x->cred = r->parked->cred;
		x->cred.user = r->user;
		return true;
	}
	/* An empty password is an anonymous bind on some directories behind mail servers. */
	if (!r->has_auth || r->password.len == 0)
		return refuse_login(x, "no credentials");
	if (!auth_canonical(r->arena, x->w->settings, r->login, &r->user, &x->cred.login))
		return refuse_login(x, "no legal user name");
	x->cred.user = r->user;
	x->cred.password = r->password;
	ask = (struct auth_ask){ r->user, r->password, r->query.device_id, r->peer };
	switch (auth_recall(x->w->auth, &ask, &retry_ms)) {
	case AUTH_KNOWN:
		metric_add(M_auth_cached_total, 1);
		return true;
	case AUTH_ASK_BACKEND:
		return ask_backend(x, &ask);
	case AUTH_THROTTLED:
		break;
	}
	metric_add(M_auth_throttled_total, 1);
	reply_http(x, 503);
	reply_header(x, "Retry-After", arena_printf(x->a, "%lld", (long long)(retry_ms + 999) / 1000));
	err_set(&x->v->err, ERR_THROTTLED, "too many wrong passwords");
	return false;
}

/* --- what was asked --------------------------------------------------------------- */

static bool bad(struct exchange *x, int status, const char *why)
{
	reply_status(x, status);
	err_set(&x->v->err, ERR_BAD_REQUEST, "%s", why);
	return false;
}

/* A check knows no User-Agent: its device is asked once it is loaded. */
static void know_client(struct exchange *x)
{
	struct request *r = x->rq;
	bool check = r->kind == REQUEST_CHECK;

	clients_find(x->w->clients, check && x->dev ? x->dev->type : r->query.device_type,
		     check && x->dev ? x->dev->agent : r->user_agent, r->version, &x->client);
}

static bool know_version(struct exchange *x)
{
	int v = x->rq->version;

	know_client(x);
	if (v >= EAS_10 && v <= x->client.max_version)
		return true;
	reply_http(x, 400);
	reply_header(x, "MS-ASProtocolVersions", version_list(x->a, x->client.max_version));
	err_set(&x->v->err, ERR_BAD_REQUEST, "protocol version %d is not served", v);
	return false;
}

static bool know_command(struct exchange *x)
{
	enum eas_command id = x->rq->query.command;

	if (x->rq->kind == REQUEST_CHECK)
		id = x->rq->parked->kind == PARK_PING ? EAS_CMD_PING : EAS_CMD_SYNC;
	if (id == EAS_CMD_NONE) {
		reply_http(x, 400);
		err_set(&x->v->err, ERR_BAD_REQUEST, "no command");
		return false;
	}
	x->wire = command_find(id);
	x->handler = handler_find(id);
	if (!x->handler) {
		x->wire = NULL;
		reply_http(x, 501);
		err_set(&x->v->err, ERR_UNSUPPORTED, "command is not served: %.*s", SARG(x->rq->query.command_text));
		return false;
	}
	if (x->rq->version >= (int)x->wire->first && x->rq->version <= (int)x->wire->last)
		return true;
	return bad(x, 138, "command is not part of this protocol version");
}

static bool know_device(struct exchange *x)
{
	struct request *r = x->rq;

	if (r->query.device_id.len == 0 || r->query.device_id.len > QUERY_MAX_DEVICE_ID)
		return bad(x, 108, "device id is missing or too long");
	if (r->query.device_type.len == 0 && r->kind == REQUEST_HTTP)
		return bad(x, 109, "device type is missing");
	return true;
}

/* A device that asks without end. One that is slowed just now goes on to be loaded, and
 * gets its mark for the admin there; after that it costs no round trip. */
static bool fuse_holds(struct exchange *x)
{
	struct request *r = x->rq;
	struct fuse_ask ask = { r->user, r->query.device_id, S_NONE,
				(uint32_t)settings_int(x->w->settings, "limits.fuse_requests") };
	int64_t retry_ms = 0;
	enum fuse_state state;

	if (r->kind != REQUEST_HTTP)
		return true;
	state = fuse_take(x->w->fuse, FUSE_REQUESTS, &ask, &retry_ms);
	x->fused_ms = state == FUSE_BLOWS ? retry_ms : 0;
	if (state != FUSE_BLOWN)
		return true;
	x->quiet = true;
	exchange_slow(x, retry_ms, "limits.fuse_requests");
	return false;
}

void exchange_slow(struct exchange *x, int64_t retry_ms, const char *limit)
{
	reply_http(x, 503);
	reply_header(x, "Retry-After", arena_printf(x->a, "%lld", (long long)(retry_ms + 999) / 1000));
	err_set(&x->v->err, ERR_THROTTLED, "slowed by %s", limit);
}

static bool know_body(struct exchange *x)
{
	struct request *r = x->rq;
	bool wants_wbxml = x->wire->request && x->wire->body && r->version >= (int)x->wire->body;

	if (r->kind == REQUEST_CHECK)
		return true;
	if (r->body_kind == BODY_BAD)
		return bad(x, r->report && r->report->wrong_root ? 103 : r->report ? 102 : 101, "body cannot be read");
	if (r->body_kind == BODY_DECODED && (!wants_wbxml || !r->decoded))
		return bad(x, 103, "body is not of this command");
	if (r->body_kind == BODY_RFC822 && wants_wbxml)
		return bad(x, 101, "body is not WBXML");
	if (r->body_kind == BODY_NONE && x->wire->request && !(x->handler->flags & CMD_EMPTY_BODY))
		return bad(x, wants_wbxml ? 103 : 101, "body is missing");
	return true;
}

/* --- the story ---------------------------------------------------------------------- */

static bool load(struct exchange *x)
{
	struct err e;

	if (x->handler->want)
		x->handler->want(x);
	if (records_load(x, &e) == 0)
		return true;
	reply_fail(x, &e);
	return false;
}

/* A parked one whose device another server, or a newer Ping there, has taken. */
static bool superseded(struct exchange *x)
{
	if (x->rq->kind != REQUEST_CHECK || x->rq->parked->session == x->dev->epoch)
		return false;
	if (x->rq->parked->kind == PARK_PING)
		reply_status(x, 3);
	else
		reply_empty(x);
	return true;
}

bool exchange_look_again(struct exchange *x)
{
	struct err e;

	return_sessions(x); /* the command that is waited for may need one */
	if (records_reload(x, &e) < 0) {
		reply_fail(x, &e);
		return false;
	}
	return gate_pass(x) && !superseded(x);
}

static void run(struct exchange *x)
{
	struct request *r = x->rq;

	if (r->kind == REQUEST_HTTP)
		device_seen(x->dev, r->query.device_type, r->user_agent, r->version, clock_wall(x->w->clock));
	else
		know_client(x);
	if (x->fused_ms) {
		device_fused(x->dev, FUSE_REQUESTS, clock_wall(x->w->clock));
		exchange_slow(x, x->fused_ms, "limits.fuse_requests");
		return;
	}
	if (!gate_pass(x) || superseded(x))
		return;
	crash_begin(x->w->ring, r->user, x->dev->id, x->wire->name, r->rid);
	if (x->claimed)
		crash_claim(x->w->ring, x->claim.owner);
	if (r->kind == REQUEST_CHECK)
		x->handler->check(x);
	else
		x->handler->run(x);
	crash_end(x->w->ring);
}

/* Device ids are free text: what JSON wants escaped is escaped. */
static const char *json_text(struct arena *a, struct slice s)
{
	char *text = arena_alloc(a, s.len * 6 + 1), *at = text;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c < 0x20 || c == '"' || c == '\\')
			at += snprintf(at, 7, "\\u%04x", c);
		else
			*at++ = (char)c;
	}
	return text;
}

static struct slice taken_json(struct arena *a, struct slice device, uint64_t epoch)
{
	return arena_printf(a, "{\"taken\":%llu,\"device\":\"%s\"}", (unsigned long long)epoch, json_text(a, device));
}

/* The mail server does not see flag details, so its events do not either. */
static void tell_details(struct exchange *x)
{
	struct err e;

	if (store_publish(x->w->store, x->rq->user, arena_printf(x->a, "{\"folder\":\"%s\"}", json_text(x->a, x->told)), true, &e) < 0)
		LOG_W("change_not_told", L_S("user", x->rq->user), L_S("dev", x->dev->id), L_S("folder", x->told), L_ERR(&e));
}

static void settle(struct exchange *x)
{
	struct err e = { ERR_NONE, "" };
	bool found_wipe = false;

	if (records_finish(x, &found_wipe, &e) < 0) {
		reply_fail(x, &e);
	} else if (found_wipe) {
		/* The order came while the command ran: its answer stays here. */
		gate_pass(x);
	}
	if (x->v->kind == VERDICT_PARK)
		x->v->park->session = x->dev->epoch;
	if (x->told.len && x->v->kind != VERDICT_FAIL)
		tell_details(x);
	if (x->took) {
		struct slice json = taken_json(x->a, x->dev->id, x->dev->epoch);

		if (store_publish(x->w->store, x->rq->user, json, false, &e) < 0)
			LOG_W("taken_not_told", L_S("user", x->rq->user), L_S("dev", x->dev->id), L_ERR(&e));
	}
}

static void command(struct exchange *x)
{
	struct request *r = x->rq;

	if (r->kind == REQUEST_CHECK) {
		r->query.device_id = r->parked->device_id;
		r->query.device_type = r->parked->device_type;
		r->version = r->parked->version;
	}
	if (!know_version(x) || !know_command(x) || !know_device(x) || !fuse_holds(x) || !know_body(x) || !load(x))
		return;
	run(x);
	if (!x->answered)
		reply_http(x, 500);
	settle(x);
}

static void options(struct exchange *x)
{
	know_client(x);
	reply_http(x, 200);
	reply_header(x, "MS-Server-ActiveSync", S("14.1"));
	reply_header(x, "MS-ASProtocolVersions", version_list(x->a, x->client.max_version));
	reply_header(x, "MS-ASProtocolCommands", command_list(x->a));
	reply_header(x, "Public", S("OPTIONS,POST"));
	reply_header(x, "Allow", S("OPTIONS,POST"));
}

static void dispatch(struct exchange *x)
{
	struct request *r = x->rq;

	if (!authenticate(x))
		return;
	if (r->kind == REQUEST_HTTP && r->method == HTTP_M_OPTIONS) {
		options(x);
		return;
	}
	if (r->kind == REQUEST_HTTP && (r->method == HTTP_M_GET || r->method == HTTP_M_HEAD) &&
	    r->query.command != EAS_CMD_GET_ATTACHMENT) {
		info_page(x);
		return;
	}
	command(x);
	if (x->v->kind == VERDICT_REPLY && x->v->http_status < 500)
		reply_header(x, "MS-Server-ActiveSync", S("14.1"));
}

static const char *method_name(enum http_method m)
{
	static const char *const name[] = { "GET", "HEAD", "POST", "OPTIONS" };

	return name[m];
}

/* scheme://host:port of a URL that may hold a password. */
static struct slice place_of(struct slice url)
{
	ptrdiff_t colon = slice_chr(url, ':'), at;
	struct slice rest = slice_from(url, colon < 0 ? url.len : (size_t)colon + 1);

	while (rest.len && rest.ptr[0] == '/')
		rest = slice_from(rest, 1);
	while ((at = slice_chr(rest, '@')) >= 0)
		rest = slice_from(rest, (size_t)at + 1);
	at = slice_chr(rest, '/');
	return at < 0 ? rest : slice_to(rest, (size_t)at);
}

/* Where it went wrong, for the log. */
static struct slice failed_place(struct exchange *x)
{
	const struct settings *set = x->w->settings;

	if (x->worst[slot_of(BE_SEND)] == BE_TEMP)
		return place_of(settings_str(set, "smtp.url"));
	if (x->worst[slot_of(BE_MAIL)] == BE_TEMP)
		return place_of(settings_str(set, "imap.url"));
	return err_is_temp(x->v->err.code) ? place_of(settings_str(set, "store.url")) : S_NONE;
}

/* Refused for what its body holds: the status is the phone's answer, this the admin's. */
static void name_problem(struct exchange *x)
{
	const struct decode_report *r = x->rq->report;
	bool refused = x->v->status == 4 || (x->v->status >= 100 && x->v->status < 109);

	if (refused && x->v->err.code == ERR_NONE && r && r->problems)
		err_set(&x->v->err, ERR_BAD_WBXML, "%u wrong element(s) in the body%s%s", r->problems,
			r->first.kind ? ": " : "", r->first.kind ? problem_name(r->first.kind) : "");
}

static void log_request(struct exchange *x)
{
	struct verdict *v = x->v;
	struct request *r = x->rq;
	static const char *const verdict[] = { "reply", "park", "fail" };
	const char *asked = r->query.command == EAS_CMD_NONE ? NULL : eas_command_name(r->query.command);
	const char *cmd = x->wire ? x->wire->name : asked ? asked : method_name(r->method);
	enum log_level level = v->err.code == ERR_NONE || v->err.code == ERR_AUTH ? LOG_INFO : LOG_WARN;

	if (r->kind == REQUEST_CHECK && v->kind == VERDICT_PARK)
		level = LOG_DEBUG;
	if (x->quiet)
		level = LOG_DEBUG;
	const struct log_field f[] = {
		L_Z("cmd", cmd), L_S("user", r->user), L_S("dev", r->query.device_id), L_I("rid", r->rid),
		L_I("v", r->version), L_S("peer", r->peer), L_I("ms", clock_now(x->w->clock) - r->received_ms),
		L_I("in", r->raw ? blob_size(r->raw) : 0), L_I("out", v->body ? blob_size(v->body) : 0),
		L_I("items_in", v->items_in), L_I("items", v->items_out), L_Z("verdict", verdict[v->kind]),
		L_I("http", v->http_status), L_I("status", v->status), L_S("server", failed_place(x)), L_ERR(&v->err),
	};
	size_t n = sizeof(f) / sizeof(*f);

	/* The four fields of an error only where there is one. */
	if (log_on(level))
		log_emit(level, "request", f, v->err.code == ERR_NONE ? n - 4 : n);
}

/* Last of all: logs and traces saw it plain. Multipart and attachments stay as they are:
 * offsets into the one are given, the other is mostly packed already. */
static void pack(struct exchange *x)
{
	struct verdict *v = x->v;
	bool text = slice_starts(v->content_type, S("text/")) ||
		    slice_eq(v->content_type, S("application/vnd.ms-sync")) ||
		    slice_eq(v->content_type, S("application/vnd.ms-sync.wbxml"));

	if (v->kind != VERDICT_REPLY || v->http_status != 200 || !v->body || !text || !x->rq->accepts_gzip ||
	    x->client.quirks & QUIRK_NO_GZIP || x->rq->query.command == EAS_CMD_GET_ATTACHMENT ||
	    blob_size(v->body) <= GZIP_FROM_BYTES)
		return;
	if (v->n_headers < sizeof(v->headers) / sizeof(*v->headers) && gzip_blob(&v->body))
		reply_header(x, "Content-Encoding", S("gzip"));
}

void exchange_run(struct work *w, struct request *r, struct verdict *v_r)
{
	struct exchange x = { .w = w, .rq = r, .v = v_r, .a = r->arena };

	ASSERT_WORKER();
	memset(v_r, 0, sizeof(*v_r));
	dispatch(&x);
	records_release(&x);
	return_sessions(&x);
	/* A login that turned out wrong in the middle of a command. */
	if (v_r->drop_user && v_r->err.code == ERR_AUTH)
		reply_http(&x, 401);
	metric_add(M_requests_total, 1);
	if (v_r->http_status >= 400 || v_r->err.code != ERR_NONE)
		metric_add(M_requests_failed_total, 1);
	name_problem(&x);
	log_request(&x);
	if (trace_wants(w->trace, r->query.device_id))
		trace_write(w->trace, r, v_r, clock_wall(w->clock));
	pack(&x);
}
