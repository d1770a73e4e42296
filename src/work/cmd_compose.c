/* cmd_compose.c - SendMail, SmartReply and SmartForward (MS-ASCMD 2.2.1.17-20).
 * Worker. Sending is at least once, because SMTP has no transaction: the mail of
 * one ClientId (before 14.0: of one body) always carries the same Message-ID,
 * *done* is recorded afterwards, and a repeat first looks whether the copy in
 * Sent is there already. Only a crash between the server's last OK and that copy
 * sends twice, and then the receivers see one Message-ID. */
#include "base/log.h"
#include "keys.h"
#include "proto/compose.h"
#include "proto/date.h"
#include "work/mailitem.h"
#include "work/sync_open.h"
#include "work/sync_run.h"

enum compose_status {
	ST_BAD_DATE = 104, ST_BAD_MIME = 107, ST_QUOTA = 115, ST_SENT_BEFORE = 118, ST_NO_RECIPIENT = 119, ST_FAILED = 120, ST_TOO_LARGE = 122,
	ST_NO_ITEM = 150, ST_BAD_ACCOUNT = 166, ST_BAD_REQUEST = 103,
};
enum { RECORD_FORMAT = 1, T_HASH = 1, VERB_REPLY = 1, VERB_FORWARD = 3 };
#define DONE_KEPT_MS (14 * 24 * 3600 * 1000LL)

struct sending {
	struct exchange *x;
	enum compose_kind kind;
	const struct compose_request *req; /* NULL before 14.0 */
	struct blob *mime;                 /* owned */
	struct slice mime_bytes;
	struct slice client_id, sent_key;
	struct sha256 hash;
	bool save, replace;
	struct slice source;               /* server id of the original */
	struct folder *folder;
	struct sync_view view;
	uint64_t num;
	struct blob *original, *out, *copy; /* owned */
	struct compose_result made;
};

/* --- what was sent --------------------------------------------------------------- */

static const struct compose_request *request_of(struct exchange *x)
{
	return x->rq->body_kind == BODY_DECODED ? x->rq->decoded : NULL;
}

static struct slice body_bytes(struct exchange *x)
{
	const struct compose_request *req = request_of(x);
	struct blob *b = req ? req->mime.blob : x->rq->raw;
	struct slice whole = S_NONE;

	if (req && !b)
		return req->mime.mem;
	if (b)
		blob_map(b, &whole, NULL);
	return whole;
}

static struct slice client_id_of(struct exchange *x)
{
	const struct compose_request *req = request_of(x);
	struct sha256 d;

	if (req && req->client_id.len)
		return req->client_id;
	d = digest_sha256(body_bytes(x));
	return hex_encode(x->a, d.b, 16);
}

static struct slice source_of(struct exchange *x)
{
	const struct compose_request *req = request_of(x);

	if (req)
		return req->long_id.len ? req->long_id : req->item_id;
	return x->rq->query.long_id.len ? x->rq->query.long_id : x->rq->query.item_id;
}

void want_compose(struct exchange *x)
{
	struct slice folder;
	uint64_t num;

	exchange_want(x, key_sent(x->a, x->rq->query.device_id, client_id_of(x)));
	if (server_id_parse(source_of(x), &folder, &num))
		sync_view_want(x, folder);
}

/* --- repeats ------------------------------------------------------------------------ */

enum before { BEFORE_NEVER, BEFORE_SAME, BEFORE_OTHER };

static enum before sent_before(struct sending *s)
{
	struct slice rest, record = exchange_got(s->x, s->sent_key, NULL);
	struct record_field f;

	if (record.len == 0 || record_open(&rest, record, RECORD_FORMAT, NULL) < 0)
		return BEFORE_NEVER;
	while (record_next(&rest, &f, NULL) > 0)
		if (f.tag == T_HASH && f.is_bytes)
			return slice_eq(f.bytes, slice(s->hash.b, 16)) ? BEFORE_SAME : BEFORE_OTHER;
	return BEFORE_OTHER;
}

static void record_done(struct sending *s)
{
	struct record_writer w;

	record_begin(&w, s->x->a, RECORD_FORMAT);
	record_bytes(&w, T_HASH, slice(s->hash.b, 16));
	exchange_put(s->x, s->sent_key, STORE_PUT, record_end(&w), DONE_KEPT_MS);
}

/* --- the original --------------------------------------------------------------------- */

/* 0, or the status. *temp: could not be told now. */
static int load_original(struct sending *s, struct session *mail, enum be_result *rc, struct err *e)
{
	uint64_t limit = settings_bytes(s->x->w->settings, "limits.mail_bytes");
	struct be_part part = { .part = S("") };
	struct slice folder_id;

	*rc = BE_OK;
	if (!server_id_parse(s->source, &folder_id, &s->num))
		return ST_NO_ITEM;
	s->folder = exchange_folder(s->x, folder_id, e);
	if (!s->folder) {
		*rc = e->code == ERR_NOT_FOUND ? BE_OK : BE_TEMP;
		return ST_NO_ITEM;
	}
	sync_view_open(s->x, s->folder, &s->view);
	if (s->replace)
		return 0;
	s->original = blob_new(0);
	part.num = s->num;
	part.out = s->original;
	part.max = limit + 1;
	*rc = exchange_result(s->x, BE_MAIL, mail->ops->parts(mail, s->folder->path, &part, 1, e));
	if (*rc == BE_PERM && e->code == ERR_NOT_FOUND) {
		*rc = BE_OK;
		return ST_NO_ITEM;
	}
	if (*rc == BE_OK && part.result == BE_OK && blob_size(s->original) > limit)
		return ST_TOO_LARGE; /* never a part of it in its place */
	return part.result == BE_OK ? 0 : ST_NO_ITEM;
}

static void mark_original(struct sending *s, struct session *mail)
{
	struct be_flag_change ch = { 0 };
	struct extra *x;
	uint32_t rev;
	struct err e;

	if (!s->folder || s->x->worst[0] == BE_TEMP) /* that session is not to be used again */
		return;
	ch.mask = ch.value = s->kind == COMPOSE_REPLY ? MAIL_ANSWERED : MAIL_FORWARDED;
	if (exchange_result(s->x, BE_MAIL, mail->ops->set_flags(mail, s->folder->path, s->num, &ch, &rev, &e)) != BE_OK) {
		LOG_W("original not marked", L_S("user", s->x->dev->user), L_S("folder", s->folder->path), L_ERR(&e));
		return;
	}
	x = extras_get(&s->view.extras, s->num);
	x->last_verb = s->kind == COMPOSE_REPLY ? VERB_REPLY : VERB_FORWARD;
	x->verb_ms = clock_wall(s->x->w->clock);
	s->view.extras.touched = true;
	sync_view_save(s->x, &s->view);
	/* The mail is on its way: another phone that wrote a flag meanwhile must not make
	 * this one send again. */
	exchange_put_loose(s->x, s->view.extra_key);
}

/* --- making and sending ------------------------------------------------------------------ */

/* A mail goes out under the user's own address (MS-ASCMD R448); a name that the
 * phone puts before it stays. */
static bool other_sender(struct sending *s, struct slice own)
{
	struct arena *a = s->x->a;
	struct address_list said, user;
	struct mail_headers h;

	mail_headers_parse(a, s->mime_bytes, &h);
	address_parse(a, h.from, &said);
	address_parse(a, own, &user);
	return user.n == 1 && slice_chr(user.v[0].addr, '@') > 0 &&
	       !(said.n == 1 && address_same(said.v[0].addr, user.v[0].addr));
}

static int compose(struct sending *s, struct err *e)
{
	struct exchange *x = s->x;
	struct slice parts[] = { x->dev->user, x->dev->id, s->client_id };
	struct sha256 d = digest_parts(parts, 3);
	struct slice from = exchange_address(x);
	ptrdiff_t at = slice_chr(from, '@');
	struct slice domain = at < 0 ? S("localhost") : slice_from(from, (size_t)at + 1);
	struct compose c = {
		.kind = s->kind, .mime = s->mime_bytes, .replace_mime = s->replace, .from = from,
		.force_from = other_sender(s, from),
		.date_ms = clock_wall(x->w->clock),
	};

	c.message_id = arena_printf(x->a, "<%.*s@%.*s>", SARG(hex_encode(x->a, d.b, 16)), SARG(domain));
	c.boundary_seed = c.message_id;
	if (s->original && blob_map(s->original, &c.original, e) < 0)
		return -1;
	s->out = blob_new(0);
	if (compose_mail(x->a, &c, s->out, &s->made, e) < 0)
		return -1;
	if (!s->save)
		return 0;
	c.keep_bcc = true;
	s->copy = blob_new(0);
	return compose_mail(x->a, &c, s->copy, &s->made, e);
}

static enum be_result submit(struct sending *s, struct err *e)
{
	struct exchange *x = s->x;
	struct slice *rcpt = arena_alloc(x->a, (s->made.rcpt.n + 1) * sizeof(*rcpt));
	struct be_submit m = { .from = s->made.sender, .rcpt = rcpt, .mail = s->out };
	struct session *send;
	enum be_result rc = exchange_session(x, BE_SEND, &send, e);

	for (size_t i = 0; i < s->made.rcpt.n; i++)
		if (s->made.rcpt.v[i].addr.len)
			rcpt[m.n_rcpt++] = s->made.rcpt.v[i].addr;
	if (rc != BE_OK)
		return rc;
	rc = exchange_result(x, BE_SEND, send->ops->submit(send, &m, e));
	if (rc != BE_OK)
		LOG_W("mail not sent", L_S("user", x->dev->user), L_S("dev", x->dev->id), L_S("refused", m.refused), L_ERR(e));
	return rc;
}

static bool next_line(struct slice *rest, struct slice *line_r)
{
	ptrdiff_t at = slice_chr(*rest, '\n');

	if (rest->len == 0)
		return false;
	*line_r = at < 0 ? *rest : slice_to(*rest, (size_t)at + 1);
	*rest = slice_from(*rest, line_r->len);
	return true;
}

/* Equal but for the Date that we gave. */
static bool same_mail(struct slice a, struct slice b)
{
	struct slice la, lb;
	bool more_a, more_b, head = true;

	for (;;) {
		more_a = next_line(&a, &la);
		more_b = next_line(&b, &lb);
		if (!more_a || !more_b)
			return more_a == more_b;
		if (head && slice_istarts(la, S("Date:")) && slice_istarts(lb, S("Date:")))
			continue;
		head = head && la.len > 2;
		if (!slice_eq(la, lb))
			return false;
	}
}

/* A phone may give two mails one Message-ID: only the very same mail was sent. */
static enum be_result same_copy(struct sending *s, struct session *mail, struct slice path, uint64_t *num, struct err *e)
{
	struct be_part part = { .num = *num, .part = S(""), .max = blob_size(s->copy) + 1024, .out = blob_new(0) };
	enum be_result rc = exchange_result(s->x, BE_MAIL, mail->ops->parts(mail, path, &part, 1, e));
	struct slice ours, there;

	if (rc == BE_OK && (blob_map(s->copy, &ours, e) < 0 || blob_map(part.out, &there, e) < 0))
		rc = BE_TEMP;
	if (rc == BE_OK && (part.result != BE_OK || !same_mail(ours, there)))
		*num = 0;
	blob_free(&part.out);
	return rc;
}

/* A copy that is there already says that a lost answer's mail was sent. */
static enum be_result find_copy(struct sending *s, struct session *mail, struct slice path, uint64_t *num_r, struct err *e)
{
	enum be_result rc;

	*num_r = 0;
	rc = exchange_result(s->x, BE_MAIL, mail->ops->find_message_id(mail, path, s->made.message_id, num_r, e));
	return rc == BE_OK && *num_r ? same_copy(s, mail, path, num_r, e) : rc;
}

/* Where the copy goes, and whether it is there already. BE_TEMP: not known, so
 * nothing may be sent yet. A user without such a folder sends without a copy. */
static enum be_result open_sent(struct sending *s, struct session *mail, struct folder **sent_r, uint64_t *copy_r,
				struct err *e)
{
	enum be_result rc = BE_OK;

	*sent_r = NULL;
	*copy_r = 0;
	for (int i = 0; i < 2 && rc == BE_OK; i++) {
		rc = sync_special_folder(s->x, mail, FOLDER_SENT, sent_r, e);
		if (rc == BE_OK)
			rc = find_copy(s, mail, (*sent_r)->path, copy_r, e);
		if (rc == BE_OK)
			return BE_OK;
		if (i || rc != BE_PERM || e->code != ERR_NOT_FOUND)
			break;
		rc = exchange_refresh_folders(s->x, e); /* it is not where it is remembered */
	}
	if (rc == BE_PERM && e->code != ERR_AUTH) {
		LOG_W("no folder for sent mail", L_S("user", s->x->dev->user), L_ERR(e));
		*sent_r = NULL;
		*copy_r = 0;
		rc = BE_OK;
	}
	return rc;
}

static void save_copy(struct sending *s, struct session *mail, struct folder *sent)
{
	uint64_t num;
	struct err e = { 0 };
	enum be_result rc;

	rc = exchange_result(s->x, BE_MAIL, mail->ops->append(mail, sent->path, s->copy, MAIL_SEEN,
							      clock_wall(s->x->w->clock), &num, &e));
	/* The mail is on its way: failing now would make the phone send it again. */
	if (rc != BE_OK)
		LOG_W("sent mail not kept", L_S("user", s->x->dev->user), L_S("dev", s->x->dev->id), L_ERR(&e));
}

static int status_of(const struct err *e)
{
	switch (e->code) {
	case ERR_QUOTA:
		return ST_QUOTA;
	case ERR_LIMIT:
		return ST_TOO_LARGE;
	default:
		return ST_FAILED;
	}
}

static void fail(struct sending *s, enum be_result rc, const struct err *e)
{
	if (rc == BE_PERM && e->code != ERR_AUTH) {
		reply_status(s->x, status_of(e));
		s->x->v->err = *e;
	} else {
		reply_fail(s->x, e);
	}
}

/* --- the story ------------------------------------------------------------------------------ */

static bool read_request(struct sending *s)
{
	struct exchange *x = s->x;
	const struct compose_request *req = request_of(x);
	int64_t instance_ms;

	s->req = req;
	s->mime_bytes = body_bytes(x);
	s->client_id = client_id_of(x);
	s->sent_key = key_sent(x->a, x->dev->id, s->client_id);
	s->hash = digest_sha256(s->mime_bytes);
	s->save = req ? req->save_in_sent.has && req->save_in_sent.v : x->rq->query.save_in_sent;
	s->replace = req && req->replace_mime.has && req->replace_mime.v;
	s->source = source_of(x);
	if (req && (req->client_id.len == 0 || (req->problem.kind && req->problem.kind != PROBLEM_VERSION))) {
		reply_status(x, ST_BAD_REQUEST);
		return false;
	}
	if (req && s->kind != COMPOSE_SEND && !req->has_source.has) {
		reply_status(x, ST_BAD_REQUEST);
		return false;
	}
	/* Accounts beside the own one do not exist (R4956). */
	if (req && req->account_id.len && x->rq->version >= EAS_141) {
		reply_status(x, ST_BAD_ACCOUNT);
		return false;
	}
	if (req && req->instance_id.len && !date_parse_eas(req->instance_id, &instance_ms)) {
		reply_status(x, ST_BAD_DATE);
		return false;
	}
	if (s->mime_bytes.len == 0) {
		reply_status(x, ST_BAD_MIME);
		return false;
	}
	if (s->mime_bytes.len > settings_bytes(x->w->settings, "limits.mail_bytes")) {
		reply_status(x, ST_TOO_LARGE);
		return false;
	}
	return true;
}

static void send_it(struct sending *s, struct session *mail)
{
	struct folder *sent = NULL;
	struct err e = { 0 };
	enum be_result rc = BE_OK;
	uint64_t copy = 0;

	if (s->save)
		rc = open_sent(s, mail, &sent, &copy, &e);
	if (rc == BE_OK && copy == 0) {
		rc = submit(s, &e);
		if (rc == BE_OK && sent)
			save_copy(s, mail, sent);
	}
	if (rc != BE_OK) {
		fail(s, rc, &e);
		return;
	}
	if (s->kind != COMPOSE_SEND)
		mark_original(s, mail);
	exchange_crash_point(s->x, "sendmail");
	record_done(s);
	s->x->v->items_in = 1;
	reply_empty(s->x);
}

static void compose_and_send(struct sending *s)
{
	struct exchange *x = s->x;
	struct session *mail;
	struct err e = { 0 };
	enum be_result rc = exchange_session(x, BE_MAIL, &mail, &e);
	int status = 0;

	if (rc == BE_OK && s->kind != COMPOSE_SEND)
		status = load_original(s, mail, &rc, &e);
	if (rc != BE_OK) {
		fail(s, rc, &e);
		return;
	}
	if (status) {
		reply_status(x, status);
		return;
	}
	if (compose(s, &e) < 0) {
		reply_status(x, e.code == ERR_BAD_REQUEST ? ST_BAD_MIME : ST_FAILED);
		x->v->err = e;
		return;
	}
	if (s->made.rcpt.n == 0) {
		reply_status(x, ST_NO_RECIPIENT);
		return;
	}
	send_it(s, mail);
}

static void run(struct exchange *x, enum compose_kind kind)
{
	struct sending s = { .x = x, .kind = kind };

	if (!read_request(&s))
		return;
	switch (sent_before(&s)) {
	case BEFORE_SAME:
		reply_empty(x); /* the answer got lost */
		break;
	case BEFORE_OTHER:
		reply_status(x, ST_SENT_BEFORE);
		break;
	case BEFORE_NEVER:
		compose_and_send(&s);
		break;
	}
	blob_free(&s.original);
	blob_free(&s.out);
	blob_free(&s.copy);
}

void cmd_sendmail(struct exchange *x)
{
	run(x, COMPOSE_SEND);
}

void cmd_smartreply(struct exchange *x)
{
	run(x, COMPOSE_REPLY);
}

void cmd_smartforward(struct exchange *x)
{
	run(x, COMPOSE_FORWARD);
}
