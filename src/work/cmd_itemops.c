/* cmd_itemops.c - ItemOperations (MS-ASCMD 2.2.1.10): Fetch of mails and
 * attachments, in line or as multipart, and EmptyFolderContents. Worker. Each
 * operation has its own status; a server that fails ends the whole, because the
 * phone then asks again. */
#include "work/attachment.h"
#include "work/sync_open.h"
#include "work/sync_run.h"

enum itemops_status {
	IO_OK = 1, IO_PROTOCOL = 2, IO_SERVER = 3, IO_NOT_FOUND = 6, IO_BAD_RANGE = 8, IO_BAD_STORE = 9, IO_TOO_LARGE = 11,
	IO_BAD_ATTACHMENT = 15, IO_DENIED = 16, IO_MOVE_ALWAYS = 155, IO_UNSUPPORTED = 156, IO_PART_TYPE = 164,
};
enum { OPERATIONS_MAX = 100, STATUS_PROTOCOL = 103 };

struct part_out {
	struct slice mem;
	const struct blob *blob;
	uint64_t off, len;
};

struct itemops {
	struct exchange *x;
	struct itemops_reply reply;
	struct mailitems *mails; /* own blobs until the reply is encoded */
	struct blob **blobs;
	size_t n_mails, n_blobs;
	LIST_OF(struct part_out) parts;
	bool multipart;
	uint64_t bytes; /* fetched so far */
};

static struct slice mail_id(const struct itemops_operation *op)
{
	return op->long_id.len ? op->long_id : op->server_id;
}

void want_itemops(struct exchange *x)
{
	const struct itemops_request *req = x->rq->decoded;
	struct slice folder;
	uint64_t num;

	for (size_t i = 0; x->rq->body_kind == BODY_DECODED && req && i < req->operations.n && i < OPERATIONS_MAX; i++)
		if (server_id_parse(mail_id(&req->operations.v[i]), &folder, &num))
			sync_view_want(x, folder);
}

/* --- data: in line or as a part ------------------------------------------------------ */

static int produce_base64(void *ctx, struct wbxml_writer *w, struct err *e)
{
	const struct part_out *p = ctx;
	enum { STEP = 3 * 8192 };
	struct arena *a = arena_new();
	char *buf = arena_alloc(a, STEP);
	int rc = 0;

	for (uint64_t at = 0; at < p->len && rc == 0;) {
		struct arena *piece = arena_new();
		ssize_t n = blob_read(p->blob, p->off + at, buf, p->len - at < STEP ? (size_t)(p->len - at) : STEP);

		if (n <= 0)
			rc = err_set(e, ERR_INTERNAL, "attachment spill cannot be read");
		else
			wbxml_text_chunk(w, base64_encode(piece, slice(buf, (size_t)n)));
		at += n > 0 ? (uint64_t)n : 0;
		arena_free(&piece);
	}
	arena_free(&a);
	return rc;
}

static struct num add_part(struct itemops *io, struct part_out p)
{
	*LIST_PUSH(io->x->a, &io->parts) = p;
	return NUM((int64_t)io->parts.n); /* part 0 is the WBXML itself */
}

/* --- Fetch: attachment ------------------------------------------------------------------- */

/* "a-b", inclusive. false: not a range, or behind the end. */
static bool read_range(struct slice text, uint64_t size, uint64_t *off_r, uint64_t *len_r)
{
	struct slice a, b = text;
	uint64_t first, last;

	if (!slice_split(&b, '-', &a) || !slice_u64(a, &first) || !slice_u64(b, &last) || last < first || first >= size)
		return false;
	if (last >= size)
		last = size - 1;
	*off_r = first;
	*len_r = last - first + 1;
	return true;
}

static int put_file(struct itemops *io, const struct itemops_operation *op, const struct attachment_data *d,
		    struct itemops_response *out)
{
	struct slice range = op->options ? op->options->range : S_NONE;
	struct part_out *p = ARENA_NEW(io->x->a, struct part_out);
	struct item *it = ARENA_NEW(io->x->a, struct item);
	uint64_t size = blob_size(d->bytes);

	*p = (struct part_out){ .blob = d->bytes, .len = size };
	if (range.len) {
		if (!read_range(range, size, &p->off, &p->len))
			return IO_BAD_RANGE;
		it->range = arena_printf(io->x->a, "%llu-%llu", (unsigned long long)p->off,
					 (unsigned long long)(p->off + p->len - 1));
		it->total = NUM((int64_t)size);
	}
	it->content_type = d->content_type;
	if (io->multipart)
		it->part = add_part(io, *p);
	else
		it->data = (struct data){ .has = true, .produce = produce_base64, .ctx = p };
	out->properties = it;
	return IO_OK;
}

static enum be_result fetch_file(struct itemops *io, const struct itemops_operation *op, struct itemops_response *out,
				 struct err *e)
{
	struct attachment_data d;
	enum be_result rc = attachment_load(io->x, op->file_reference, &d, e);

	out->file_reference = op->file_reference;
	if (rc == BE_OK) {
		io->blobs[io->n_blobs++] = d.bytes;
		io->bytes += blob_size(d.bytes);
		out->status = NUM(put_file(io, op, &d, out));
		return BE_OK;
	}
	if (rc == BE_TEMP || e->code == ERR_AUTH)
		return rc;
	out->status = NUM(e->code == ERR_LIMIT ? IO_TOO_LARGE : IO_BAD_ATTACHMENT);
	return BE_OK;
}

/* --- Fetch: mail ----------------------------------------------------------------------------- */

static void body_to_part(struct itemops *io, struct item *it)
{
	if (!io->multipart || !it->body || !it->body->data.has)
		return;
	it->body->part = add_part(io, (struct part_out){ .mem = it->body->data.mem, .len = it->body->data.mem.len });
	it->body->data = (struct data){ 0 };
}

/* false: a form of the body part that is not served. */
static bool want_body(const struct itemops_operation *op, struct arena *a, struct mail_ask *k)
{
	struct body_pref *prefs = arena_alloc(a, (SYNC_PREFS_MAX + 1) * sizeof(*prefs)), *part = prefs + SYNC_PREFS_MAX;

	k->body = (struct body_want){ .pref = prefs, .mime_truncation = BODY_UNLIMITED };
	if (!op->options)
		return true;
	k->body.n_pref = sync_prefs_take(prefs, op->options->body.v, op->options->body.n);
	k->body.mime_support = (int)num_or(op->options->mime_support, 0);
	if (!sync_part_take(part, op->options->body_part.v, op->options->body_part.n))
		return false;
	k->part = (struct body_want){ .pref = part, .n_pref = part->type != BODY_NOTHING };
	return true;
}

static enum be_result fetch_mail(struct itemops *io, const struct itemops_operation *op, struct itemops_response *out,
				 struct err *e)
{
	struct exchange *x = io->x;
	struct mailitems *m = &io->mails[io->n_mails];
	struct mail_ask k = { .version = x->rq->version, .a = x->a };
	struct slice folder_id;
	struct sync_view v;
	enum be_result rc;
	uint64_t num;

	out->status = NUM(IO_NOT_FOUND);
	if (op->long_id.len)
		out->long_id = op->long_id;
	if (!server_id_parse(mail_id(op), &folder_id, &num) ||
	    (op->collection_id.len && !slice_eq(op->collection_id, folder_id)))
		return BE_OK;
	sync_view_want(x, folder_id);
	v.folder = exchange_folder(x, folder_id, e);
	if (!v.folder)
		return e->code == ERR_NOT_FOUND ? BE_OK : BE_TEMP;
	sync_view_open(x, v.folder, &v);
	rc = exchange_session(x, BE_MAIL, &k.session, e);
	if (rc != BE_OK)
		return rc;
	k.folder = v.folder->path;
	k.folder_id = v.folder->id;
	k.extras = &v.extras;
	if (!want_body(op, x->a, &k)) {
		out->status = NUM(IO_PART_TYPE);
		return BE_OK;
	}
	clients_cap_body(&x->client, x->a, &k.body);
	clients_cap_body(&x->client, x->a, &k.part);
	rc = exchange_result(x, BE_MAIL, mailitems_load(&k, &num, 1, m, e));
	io->n_mails++;
	for (size_t i = 0; i < m->n_blobs; i++)
		io->bytes += blob_size(m->blobs[i]);
	if (rc == BE_PERM && e->code == ERR_NOT_FOUND)
		return BE_OK;
	if (rc != BE_OK || m->n == 0 || m->v[0].missing)
		return rc;
	out->status = NUM(IO_OK);
	if (!op->long_id.len) {
		out->collection_id = v.folder->id;
		out->server_id = op->server_id;
	}
	out->class = S("Email");
	out->properties = m->v[0].item;
	if (op->options && op->options->schema.has)
		item_keep_only(out->properties, &op->options->schema);
	body_to_part(io, out->properties);
	x->v->items_out++;
	return BE_OK;
}

/* --- EmptyFolderContents ------------------------------------------------------------------------ */

struct nums {
	struct arena *a;
	LIST_OF(uint64_t) list;
};

static int on_num(void *arg, const struct be_item *it)
{
	struct nums *n = arg;

	*LIST_PUSH(n->a, &n->list) = it->num;
	return 0;
}

static enum be_result empty_one(struct exchange *x, struct session *s, struct slice path, struct err *e)
{
	struct nums all = { .a = x->a };
	struct be_changes_sink sink = { .item = on_num, .arg = &all };
	struct be_changes_ask ask = { .folder = path };
	struct be_changes got;
	enum be_result rc = exchange_result(x, BE_MAIL, s->ops->changes(s, &ask, &sink, x->a, &got, e));

	if (rc != BE_OK || all.list.n == 0)
		return rc;
	return exchange_result(x, BE_MAIL, s->ops->remove(s, path, all.list.v, all.list.n, e));
}

static bool below(struct slice id, const struct folder_map *map, struct slice top)
{
	for (size_t depth = 0; depth < 100; depth++) {
		const struct folder *f = folder_by_id(map, id);

		if (!f)
			return false;
		if (slice_eq(f->parent, top))
			return true;
		id = f->parent;
	}
	return false;
}

static enum be_result empty_below(struct exchange *x, struct session *s, struct folder *top, struct err *e)
{
	struct folder_map *map = exchange_folders(x, e);
	enum be_result rc = BE_OK;

	/* Children stand behind their parents: from the end, leaves go first. */
	for (size_t i = map ? map->list.n : 0; i-- > 0 && rc == BE_OK;)
		if (below(map->list.v[i].id, map, top->id)) {
			rc = exchange_result(x, BE_MAIL, s->ops->folder_delete(s, map->list.v[i].path, e));
			if (rc == BE_PERM && e->code == ERR_NOT_FOUND)
				rc = BE_OK;
			if (rc == BE_OK)
				folder_map_remove(map, x->a, map->list.v[i].id);
		}
	return rc;
}

static enum be_result empty_folder(struct itemops *io, const struct itemops_operation *op, struct itemops_response *out,
				   struct err *e)
{
	struct exchange *x = io->x;
	struct folder *f = exchange_folder(x, op->collection_id, e);
	struct session *s;
	enum be_result rc;

	out->collection_id = op->collection_id;
	out->status = NUM(IO_NOT_FOUND);
	if (!f)
		return e->code == ERR_NOT_FOUND ? BE_OK : BE_TEMP;
	rc = exchange_session(x, BE_MAIL, &s, e);
	if (rc != BE_OK)
		return rc;
	rc = empty_one(x, s, f->path, e);
	if (rc == BE_OK && op->options && num_or(op->options->delete_sub_folders, 0))
		rc = empty_below(x, s, f, e);
	if (rc == BE_PERM && e->code != ERR_AUTH) {
		out->status = NUM(e->code == ERR_FORBIDDEN || e->code == ERR_SPECIAL ? IO_DENIED : IO_SERVER);
		return BE_OK;
	}
	out->status = NUM(IO_OK);
	return rc;
}

/* --- the story ---------------------------------------------------------------------------------- */

static enum be_result operate(struct itemops *io, const struct itemops_operation *op, struct err *e)
{
	struct itemops_response *out = LIST_PUSH(io->x->a, &io->reply.responses);

	out->tag = op->tag;
	io->reply.has_response = NUM(1);
	if (op->problem.kind && op->problem.kind != PROBLEM_VERSION) {
		out->status = NUM(IO_PROTOCOL);
		return BE_OK;
	}
	if (op->tag == ITEMOPS_EMPTY_FOLDER_CONTENTS)
		return empty_folder(io, op, out, e);
	if (op->tag == ITEMOPS_MOVE) {
		/* Conversations are not grouped by the servers behind. */
		out->conversation_id = op->conversation_id;
		out->status = NUM(op->options && op->options->move_always.has ? IO_UNSUPPORTED : IO_MOVE_ALWAYS);
		return BE_OK;
	}
	if (op->store.len == 0 || (op->file_reference.len == 0 && mail_id(op).len == 0)) {
		out->status = NUM(IO_PROTOCOL);
		return BE_OK;
	}
	if (!slice_ieq(op->store, S("Mailbox"))) {
		out->status = NUM(IO_BAD_STORE);
		return BE_OK;
	}
	/* The reply is full, or the phone has waited long enough: asked for again by itself. */
	if (io->bytes >= settings_bytes(io->x->w->settings, "limits.reply_bytes") ||
	    clock_now(io->x->w->clock) >= io->x->rq->received_ms + settings_ms(io->x->w->settings, "limits.reply_time")) {
		out->status = NUM(IO_SERVER);
		return BE_OK;
	}
	return op->file_reference.len ? fetch_file(io, op, out, e) : fetch_mail(io, op, out, e);
}

static void le32(struct blob *b, uint64_t v)
{
	uint8_t n[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) };

	blob_append(b, n, 4, NULL);
}

static int append_blob(struct blob *out, const struct blob *in, uint64_t off, uint64_t len, struct err *e)
{
	char buf[16384];

	while (len) {
		ssize_t n = blob_read(in, off, buf, len < sizeof(buf) ? (size_t)len : sizeof(buf));

		if (n <= 0)
			return err_set(e, ERR_INTERNAL, "spill cannot be read");
		if (blob_append(out, buf, (size_t)n, e) < 0)
			return -1;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* MultiPartResponse (MS-ASCMD 2.2.1.10.1): count, offset and length of each, bytes. */
static int reply_multipart(struct itemops *io, struct err *e)
{
	struct blob *wbxml = blob_new(0), *out = blob_new(0);
	uint64_t at = 4 + 8 * (uint64_t)(io->parts.n + 1);
	int rc = encode_document(wbxml, &itemops_reply_schema, &io->reply, (enum eas_version)io->x->rq->version, e);

	le32(out, io->parts.n + 1);
	le32(out, at);
	le32(out, blob_size(wbxml));
	at += blob_size(wbxml);
	for (size_t i = 0; i < io->parts.n; i++) {
		le32(out, at);
		le32(out, io->parts.v[i].len);
		at += io->parts.v[i].len;
	}
	if (rc == 0)
		rc = append_blob(out, wbxml, 0, blob_size(wbxml), e);
	for (size_t i = 0; i < io->parts.n && rc == 0; i++) {
		const struct part_out *p = &io->parts.v[i];

		rc = p->blob ? append_blob(out, p->blob, p->off, p->len, e) : blob_append(out, p->mem.ptr, p->mem.len, e);
	}
	blob_free(&wbxml);
	if (rc < 0) {
		blob_free(&out);
		return -1;
	}
	reply_wbxml(io->x, &out, IO_OK);
	io->x->v->content_type = S("application/vnd.ms-sync.multipart");
	return 0;
}

static void operations(struct itemops *io, const struct itemops_request *req)
{
	enum be_result rc = BE_OK;
	struct err e = { 0 };

	for (size_t i = 0; i < req->operations.n && rc == BE_OK; i++)
		rc = operate(io, &req->operations.v[i], &e);
	io->reply.status = NUM(IO_OK);
	if (rc != BE_OK)
		reply_fail(io->x, &e);
	else if (!io->multipart)
		reply_struct(io->x, &itemops_reply_schema, &io->reply, IO_OK);
	else if (reply_multipart(io, &e) < 0)
		reply_fail(io->x, &e);
}

/* An answer names its folder or conversation; without one there is none but to
 * the request as a whole (R7238). */
static bool can_answer(const struct itemops_request *req)
{
	for (size_t i = 0; i < req->operations.n; i++) {
		const struct itemops_operation *op = &req->operations.v[i];

		if ((op->tag == ITEMOPS_EMPTY_FOLDER_CONTENTS && op->collection_id.len == 0) ||
		    (op->tag == ITEMOPS_MOVE && op->conversation_id.len == 0))
			return false;
	}
	return req->operations.n > 0;
}

void cmd_itemops(struct exchange *x)
{
	const struct itemops_request *req = x->rq->decoded;
	struct itemops io = { .x = x, .multipart = x->rq->accepts_multipart || x->rq->query.accept_multipart };
	size_t n = req->operations.n;

	if (n > OPERATIONS_MAX) {
		reply_status(x, x->rq->version >= EAS_140 ? STATUS_PROTOCOL : IO_PROTOCOL);
		return;
	}
	if (!can_answer(req)) {
		reply_status(x, IO_PROTOCOL);
		return;
	}
	io.mails = arena_alloc(x->a, n * sizeof(*io.mails));
	io.blobs = arena_alloc(x->a, n * sizeof(*io.blobs));
	operations(&io, req);
	for (size_t i = 0; i < io.n_mails; i++)
		mailitems_deinit(&io.mails[i]);
	for (size_t i = 0; i < io.n_blobs; i++)
		blob_free(&io.blobs[i]);
}
