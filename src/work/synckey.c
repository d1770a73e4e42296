/* synckey.c - sync keys: made, read, compared. Pure. The trap: the counter may
 * jump by more than one between generations (a replay that found news), so
 * "previous" is a stored key and not counter - 1. */
#include "work/synckey.h"

enum { MAC_BYTES = 13, RAW_BYTES = 8 + MAC_BYTES, TEXT_BYTES = 1 + RAW_BYTES * 4 / 3 };

static void put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void fill(uint8_t raw[RAW_BYTES], const struct synckey_scope *s, struct synckey k)
{
	struct sha256 body, mac;

	put32(raw, k.series);
	put32(raw + 4, k.counter);
	body = digest_parts((const struct slice[]){ S("synckey"), s->user, s->device, s->collection, slice(raw, 8) }, 5);
	mac = digest_hmac(s->secret, slice(body.b, sizeof(body.b)));
	memcpy(raw + 8, mac.b, MAC_BYTES);
}

struct slice synckey_make(struct arena *a, const struct synckey_scope *s, struct synckey k)
{
	uint8_t raw[RAW_BYTES];
	struct slice text;

	fill(raw, s, k);
	text = base64url_encode(a, raw, sizeof(raw));
	return arena_printf(a, "1%.*s", SARG(text));
}

enum synckey_kind synckey_read(struct arena *a, const struct synckey_scope *s, struct slice text, struct synckey *k_r)
{
	uint8_t want[RAW_BYTES];
	struct slice raw;

	*k_r = (struct synckey){ 0, 0 };
	if (slice_eq(text, S("0")))
		return SYNCKEY_ZERO;
	if (text.len != TEXT_BYTES || text.ptr[0] != '1' || !base64_decode(a, slice_from(text, 1), &raw) ||
	    raw.len != RAW_BYTES)
		return SYNCKEY_BAD;
	*k_r = (struct synckey){ get32((const uint8_t *)raw.ptr), get32((const uint8_t *)raw.ptr + 4) };
	fill(want, s, *k_r);
	if (k_r->counter == 0 || !digest_equal(want, raw.ptr, RAW_BYTES)) {
		*k_r = (struct synckey){ 0, 0 };
		return SYNCKEY_BAD;
	}
	return SYNCKEY_OURS;
}

enum synckey_place synckey_place(struct synckey k, struct synckey current, struct synckey previous)
{
	if (k.counter == 0)
		return SYNCKEY_FOREIGN;
	if (k.series == current.series && k.counter == current.counter)
		return SYNCKEY_CURRENT;
	if (k.series == previous.series && k.counter == previous.counter)
		return SYNCKEY_PREVIOUS;
	/* A series that the store does not know at all, under our own MAC: the store lost
	 * it or a newer series replaced it. Only within one series "newer" can be told. */
	if (k.series == current.series && k.counter > current.counter)
		return SYNCKEY_AHEAD;
	return SYNCKEY_FOREIGN;
}
