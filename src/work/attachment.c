/* attachment.c - file reference to bytes. Worker. */
#include "work/attachment.h"

#include "proto/mime.h"
#include "work/mailitem.h"

enum { CHUNK = 48 * 1024 };

static int decode_into(struct exchange *x, enum transfer kind, const struct blob *in, struct blob *out, struct err *e)
{
	struct transfer_reader t;
	struct bytes got;
	char *buf = arena_alloc(x->a, CHUNK);
	uint64_t off = 0;
	ssize_t n;

	transfer_init(&t, kind);
	bytes_init(&got, x->a, 4 * CHUNK);
	while ((n = blob_read(in, off, buf, CHUNK)) > 0) {
		off += (uint64_t)n;
		transfer_feed(&t, slice(buf, (size_t)n), &got);
		if (blob_append(out, got.p, got.n, e) < 0)
			return -1;
		got.n = 0;
	}
	if (n < 0)
		return err_set(e, ERR_INTERNAL, "attachment spill cannot be read");
	transfer_end(&t, &got);
	return blob_append(out, got.p, got.n, e);
}

static enum be_result not_found(struct err *e)
{
	err_set(e, ERR_NOT_FOUND, "no such attachment");
	return BE_PERM;
}

static enum be_result fetch_part(struct exchange *x, struct session *s, struct slice folder, uint64_t num,
				 const struct mime_part *p, struct attachment_data *d, struct err *e)
{
	struct be_part part = { .num = num, .part = p->number, .out = blob_new(0) };
	enum be_result rc = exchange_result(x, BE_MAIL, s->ops->parts(s, folder, &part, 1, e));

	if (rc == BE_OK && part.result != BE_OK)
		rc = not_found(e);
	if (rc == BE_OK) {
		d->bytes = blob_new(0);
		if (decode_into(x, p->encoding, part.out, d->bytes, e) < 0) {
			blob_free(&d->bytes);
			rc = BE_TEMP;
		}
	}
	blob_free(&part.out);
	return rc;
}

static void describe(struct exchange *x, const struct mime_part *p, struct attachment_data *d)
{
	d->content_type = arena_printf(x->a, "%.*s/%.*s", SARG(p->type), SARG(p->subtype));
	d->name = p->filename.len ? p->filename : p->name;
}

enum be_result attachment_load(struct exchange *x, struct slice reference, struct attachment_data *d_r, struct err *e)
{
	struct slice folder_id, number;
	struct folder *f;
	struct session *s;
	struct be_head head;
	const struct mime_part *p;
	enum be_result rc;
	size_t n = 0;
	uint64_t num;
	int at;

	*d_r = (struct attachment_data){ 0 };
	if (!file_reference_parse(reference, &folder_id, &num, &number))
		return not_found(e);
	f = exchange_folder(x, folder_id, e);
	if (!f)
		return e->code == ERR_NOT_FOUND ? BE_PERM : BE_TEMP;
	rc = exchange_session(x, BE_MAIL, &s, e);
	if (rc == BE_OK)
		rc = exchange_result(x, BE_MAIL, s->ops->heads(s, f->path, &num, 1, x->a, &head, &n, e));
	if (rc != BE_OK)
		return rc;
	at = n && head.tree ? mime_by_number(head.tree, number) : MIME_NONE;
	if (at == MIME_NONE)
		return not_found(e);
	p = &head.tree->v[at];
	if (p->size > settings_bytes(x->w->settings, "limits.attachment_bytes") * 4 / 3 + 1024) {
		err_set(e, ERR_LIMIT, "attachment of %llu bytes is over limits.attachment_bytes", (unsigned long long)p->size);
		return BE_PERM;
	}
	describe(x, p, d_r);
	return fetch_part(x, s, f->path, num, p, d_r, e);
}
