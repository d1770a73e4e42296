/* record.c - tagged fields of store records. Pure; what is read points into
 * the record, what is written grows in the caller's arena. The trap: lengths
 * come from a store that others can write, so each is checked before use. */
#include "work/record.h"

static void put(struct record_writer *w, const void *p, size_t n)
{
	if (w->cap - w->n < n) {
		size_t cap = (w->cap + n) * 2;
		char *bigger = arena_alloc(w->a, cap);

		if (w->n)
			memcpy(bigger, w->p, w->n);
		w->p = bigger;
		w->cap = cap;
	}
	if (n)
		memcpy(w->p + w->n, p, n);
	w->n += n;
}

static void put_varint(struct record_writer *w, uint64_t v)
{
	uint8_t b[10];
	size_t n = 0;

	do {
		b[n++] = (uint8_t)(v & 0x7f) | (v > 0x7f ? 0x80 : 0);
		v >>= 7;
	} while (v);
	put(w, b, n);
}

void record_begin(struct record_writer *w, struct arena *a, uint8_t format)
{
	*w = (struct record_writer){ .a = a, .cap = 256 };
	w->p = arena_alloc(a, w->cap);
	if (format)
		put(w, &format, 1);
}

void record_int(struct record_writer *w, unsigned tag, uint64_t v)
{
	if (v == 0)
		return;
	put_varint(w, (uint64_t)tag << 1);
	put_varint(w, v);
}

void record_item(struct record_writer *w, unsigned tag, struct slice v)
{
	put_varint(w, (uint64_t)tag << 1 | 1);
	put_varint(w, v.len);
	put(w, v.ptr, v.len);
}

void record_bytes(struct record_writer *w, unsigned tag, struct slice v)
{
	if (v.len)
		record_item(w, tag, v);
}

void record_raw(struct record_writer *w, struct slice raw)
{
	put(w, raw.ptr, raw.len);
}

struct slice record_end(struct record_writer *w)
{
	return slice(w->p, w->n);
}

int record_open(struct slice *rest_r, struct slice record, uint8_t max_format, struct err *e)
{
	uint8_t format = record.len ? (uint8_t)record.ptr[0] : 0;

	if (format == 0 || format > max_format)
		return err_set(e, ERR_STORE_FORMAT, "record of format %u, this program knows up to %u", format, max_format);
	*rest_r = slice_from(record, 1);
	return 0;
}

static bool get_varint(struct slice *rest, uint64_t *v_r)
{
	uint64_t v = 0;

	for (size_t i = 0; i < rest->len && i < 10; i++) {
		uint8_t b = (uint8_t)rest->ptr[i];

		if (i == 9 && b > 1)
			return false;
		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (!(b & 0x80)) {
			*rest = slice_from(*rest, i + 1);
			*v_r = v;
			return true;
		}
	}
	return false;
}

int record_next(struct slice *rest, struct record_field *f_r, struct err *e)
{
	struct slice start = *rest;
	uint64_t head, v;

	if (rest->len == 0)
		return 0;
	if (!get_varint(rest, &head) || head >> 1 > UINT16_MAX || !get_varint(rest, &v))
		return err_set(e, ERR_STORE_FORMAT, "damaged record");
	*f_r = (struct record_field){ .tag = (unsigned)(head >> 1), .is_bytes = head & 1 };
	if (f_r->is_bytes) {
		if (v > rest->len)
			return err_set(e, ERR_STORE_FORMAT, "damaged record: field %u is cut", f_r->tag);
		f_r->bytes = slice_to(*rest, (size_t)v);
		*rest = slice_from(*rest, (size_t)v);
	} else {
		f_r->v = v;
	}
	f_r->raw = slice(start.ptr, start.len - rest->len);
	return 1;
}
