/* wbxml_write.c - WBXML onto a blob through a small buffer. Any thread, one
 * owner at a time; owns nothing. A start tag is held back until it is known
 * whether content follows. Text goes through `clean`, which passes valid UTF-8
 * in whole runs and mends the rest; a sequence cut by a chunk border waits in
 * `held`. */
#include "proto/wbxml.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif


enum { G_SWITCH_PAGE = 0x00, G_END = 0x01, G_STR_I = 0x03, G_OPAQUE = 0xC3, TAG_CONTENT = 0x40 };

static void fail(struct wbxml_writer *w)
{
	w->failed = true;
}

static void flush(struct wbxml_writer *w)
{
	if (w->n && !w->failed && blob_append(w->out, w->buf, w->n, &w->err) < 0)
		fail(w);
	w->n = 0;
}

static void put(struct wbxml_writer *w, const char *p, size_t n)
{
	if (n > sizeof(w->buf) - w->n)
		flush(w);
	if (n <= sizeof(w->buf)) {
		memcpy(w->buf + w->n, p, n);
		w->n += n;
	} else if (!w->failed && blob_append(w->out, p, n, &w->err) < 0) {
		fail(w);
	}
}

static void put_byte(struct wbxml_writer *w, uint8_t c)
{
	if (w->n == sizeof(w->buf))
		flush(w);
	w->buf[w->n++] = (char)c;
}

static void put_mb(struct wbxml_writer *w, uint32_t v)
{
	for (int shift = 28; shift > 0; shift -= 7)
		if (v >> shift)
			put_byte(w, (uint8_t)(0x80 | (v >> shift & 0x7f)));
	put_byte(w, v & 0x7f);
}

static void put_tag(struct wbxml_writer *w, uint16_t tag, uint8_t content)
{
	uint8_t page = (uint8_t)(tag >> 8);

	if (page != w->page) {
		put_byte(w, G_SWITCH_PAGE);
		put_byte(w, page);
		w->page = page;
	}
	put_byte(w, (uint8_t)(tag & 0xff) | content);
}

static void settle(struct wbxml_writer *w)
{
	if (!w->pending)
		return;
	put_tag(w, w->pending, TAG_CONTENT);
	w->pending = TAG_NONE;
}

void wbxml_writer_init(struct wbxml_writer *w, struct blob *out)
{
	static const char header[] = { 0x03, 0x01, 0x6a, 0x00 };

	memset(w, 0, offsetof(struct wbxml_writer, buf));
	w->out = out;
	put(w, header, sizeof(header));
}

void wbxml_open(struct wbxml_writer *w, uint16_t tag)
{
	settle(w);
	w->pending = tag;
	w->depth++;
}

void wbxml_close(struct wbxml_writer *w)
{
	ASSERT(w->depth > 0);
	w->depth--;
	if (w->pending)
		put_tag(w, w->pending, 0);
	else
		put_byte(w, G_END);
	w->pending = TAG_NONE;
}

void wbxml_empty(struct wbxml_writer *w, uint16_t tag)
{
	wbxml_open(w, tag);
	wbxml_close(w);
}

/* --- text ------------------------------------------------------------------ */

/* Bytes of the valid sequence at p (1-4), 0 when it is cut short by the end,
 * -1 when p does not start one that XML allows. */
static int utf8_len(const uint8_t *p, size_t n)
{
	int len = p[0] < 0xc2 ? -1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : -1;

	if (p[0] < 0x80)
		return p[0] >= 0x20 || p[0] == '\t' || p[0] == '\n' || p[0] == '\r' ? 1 : -1;
	if (len < 0)
		return -1;
	if (n > 1 && ((p[1] & 0xc0) != 0x80 || (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		      (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)))
		return -1;
	for (int i = 2; i < len && (size_t)i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return -1;
	if ((size_t)len > n)
		return 0;
	return len == 3 && p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe ? -1 : len;
}

static bool is_plain(uint8_t c)
{
	return (c >= 0x20 && c < 0x80) || c == '\t' || c == '\n' || c == '\r';
}

/* Length of the front that is ASCII and fit for XML, 16 bytes a step. */
static size_t plain_len(const uint8_t *p, size_t n)
{
	size_t i = 0;

#ifdef __SSE2__
	const __m128i space = _mm_set1_epi8(0x20), tab = _mm_set1_epi8('\t'), lf = _mm_set1_epi8('\n'),
		      cr = _mm_set1_epi8('\r');

	for (; i + 16 <= n; i += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		/* signed: control bytes and everything from 0x80 are below a space */
		__m128i low = _mm_cmplt_epi8(x, space);
		__m128i blank = _mm_or_si128(_mm_cmpeq_epi8(x, tab), _mm_or_si128(_mm_cmpeq_epi8(x, lf), _mm_cmpeq_epi8(x, cr)));
		unsigned odd = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(blank, low));

		if (odd)
			return i + (size_t)__builtin_ctz(odd);
	}
#endif
	while (i < n && is_plain(p[i]))
		i++;
	return i;
}

/* Length of the front that needs no mending; *cut_r: what follows is a
 * sequence that the end cuts short. */
static size_t good_len(const uint8_t *p, size_t n, bool *cut_r)
{
	size_t i = plain_len(p, n);

	*cut_r = false;
	while (i < n) {
		int k = utf8_len(p + i, n - i);

		if (k <= 0) {
			*cut_r = k == 0;
			return i;
		}
		i += (size_t)k;
		if (i < n && p[i] < 0x80)
			i += plain_len(p + i, n - i);
	}
	return i;
}

static void put_broken(struct wbxml_writer *w, uint8_t c)
{
	if (c >= 0x80)
		put(w, "\xef\xbf\xbd", 3);
	/* control bytes are dropped: no XML 1.0 parser would take them */
}

/* Mends and writes; the last bytes may stay in `held`. */
static void clean(struct wbxml_writer *w, const uint8_t *p, size_t n)
{
	while (n) {
		bool cut;
		size_t good = good_len(p, n, &cut);

		put(w, (const char *)p, good);
		p += good;
		n -= good;
		if (n == 0)
			return;
		if (cut) {
			memcpy(w->held, p, n); /* at most three bytes */
			w->held_len = (uint8_t)n;
			return;
		}
		put_broken(w, *p);
		p++;
		n--;
		while (n && (*p & 0xc0) == 0x80) { /* rest of the same broken sequence */
			p++;
			n--;
		}
	}
}

/* One more byte for the held sequence; true when it was used. */
static bool held_add(struct wbxml_writer *w, uint8_t c)
{
	uint8_t t[4];
	int k;

	memcpy(t, w->held, w->held_len);
	t[w->held_len] = c;
	k = utf8_len(t, w->held_len + 1u);
	if (k < 0) {
		w->held_len = 0;
		put_broken(w, 0xff);
		return (c & 0xc0) == 0x80;
	}
	if (k > 0) {
		put(w, (const char *)t, (size_t)k);
		w->held_len = 0;
	} else {
		w->held[w->held_len++] = (char)c;
	}
	return true;
}

void wbxml_text_begin(struct wbxml_writer *w)
{
	settle(w);
	put_byte(w, G_STR_I);
	w->in_text = true;
	w->held_len = 0;
}

void wbxml_text_chunk(struct wbxml_writer *w, struct slice chunk)
{
	while (w->held_len && chunk.len) {
		if (held_add(w, (uint8_t)chunk.ptr[0]))
			chunk = slice_from(chunk, 1);
	}
	if (chunk.len)
		clean(w, (const uint8_t *)chunk.ptr, chunk.len);
}

void wbxml_text_end(struct wbxml_writer *w)
{
	if (w->held_len)
		put_broken(w, 0xff);
	w->held_len = 0;
	w->in_text = false;
	put_byte(w, 0);
}

void wbxml_text(struct wbxml_writer *w, uint16_t tag, struct slice s)
{
	wbxml_open(w, tag);
	if (s.len) {
		wbxml_text_begin(w);
		wbxml_text_chunk(w, s);
		wbxml_text_end(w);
	}
	wbxml_close(w);
}

void wbxml_num(struct wbxml_writer *w, uint16_t tag, int64_t v)
{
	char z[24], *p = z + sizeof(z);
	uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;

	*--p = 0;
	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0)
		*--p = '-';
	wbxml_open(w, tag);
	settle(w);
	put_byte(w, G_STR_I);
	put(w, p, (size_t)(z + sizeof(z) - p));
	wbxml_close(w);
}

/* --- opaque data and blobs --------------------------------------------------- */

static bool opaque_begin(struct wbxml_writer *w, uint64_t len)
{
	if (len > UINT32_MAX) {
		err_set(&w->err, ERR_LIMIT, "opaque data of %llu bytes", (unsigned long long)len);
		fail(w);
		return false;
	}
	settle(w);
	put_byte(w, G_OPAQUE);
	put_mb(w, (uint32_t)len);
	return true;
}

void wbxml_opaque(struct wbxml_writer *w, uint16_t tag, struct slice bytes)
{
	wbxml_open(w, tag);
	if (opaque_begin(w, bytes.len))
		put(w, bytes.ptr, bytes.len);
	wbxml_close(w);
}

typedef void (*chunk_fn)(struct wbxml_writer *w, struct slice chunk);

static void put_chunk(struct wbxml_writer *w, struct slice chunk)
{
	put(w, chunk.ptr, chunk.len);
}

static void each_chunk(struct wbxml_writer *w, const struct blob *b, uint64_t off, uint64_t len, chunk_fn fn)
{
	const char *mem = blob_memory(b);
	char buf[8192];

	if (mem) {
		fn(w, slice(mem + off, (size_t)len));
		return;
	}
	while (len && !w->failed) {
		ssize_t n = blob_read(b, off, buf, len < sizeof(buf) ? (size_t)len : sizeof(buf));

		if (n <= 0) {
			err_set(&w->err, ERR_INTERNAL, "spilled data cannot be read");
			fail(w);
			return;
		}
		fn(w, slice(buf, (size_t)n));
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
}

static uint64_t clamp_len(const struct blob *b, uint64_t off, uint64_t len)
{
	uint64_t size = blob_size(b);

	return off > size ? 0 : len < size - off ? len : size - off;
}

void wbxml_text_blob(struct wbxml_writer *w, const struct blob *b, uint64_t off, uint64_t len)
{
	len = clamp_len(b, off, len);
	if (len == 0)
		return;
	wbxml_text_begin(w);
	each_chunk(w, b, off, len, wbxml_text_chunk);
	wbxml_text_end(w);
}

void wbxml_opaque_blob(struct wbxml_writer *w, const struct blob *b, uint64_t off, uint64_t len)
{
	len = clamp_len(b, off, len);
	if (opaque_begin(w, len) && len)
		each_chunk(w, b, off, len, put_chunk);
}

/* --- whole ------------------------------------------------------------------- */

uint64_t wbxml_size(const struct wbxml_writer *w)
{
	return blob_size(w->out) + w->n;
}

struct wbxml_mark wbxml_mark(struct wbxml_writer *w)
{
	return (struct wbxml_mark){ wbxml_size(w), w->pending, w->page, w->depth };
}

void wbxml_rewind(struct wbxml_writer *w, struct wbxml_mark m)
{
	uint64_t base = blob_size(w->out);

	ASSERT(m.size <= base + w->n);
	if (m.size < base) {
		blob_truncate(w->out, m.size);
		w->n = 0;
	} else {
		w->n = (size_t)(m.size - base);
	}
	w->pending = m.pending;
	w->page = m.page;
	w->depth = m.depth;
	w->in_text = false;
	w->held_len = 0;
}

int wbxml_finish(struct wbxml_writer *w, struct err *e)
{
	ASSERT(w->depth == 0 && !w->in_text);
	flush(w);
	if (!w->failed)
		return 0;
	if (e)
		*e = w->err;
	return -1;
}
