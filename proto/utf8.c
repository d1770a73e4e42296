/* utf8.c - UTF-8 as WBXML and XML 1.0 can carry it, and the growing byte run.
 * Any thread, no state but the caller's. The trap: "clean" is narrower than
 * "valid", and a cut must not split a character. */
#include "proto/utf8.h"

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

void bytes_init(struct bytes *b, struct arena *a, size_t limit_bytes)
{
	*b = (struct bytes){ .arena = a, .limit = limit_bytes ? limit_bytes : SIZE_MAX };
}

void bytes_add(struct bytes *b, const void *p, size_t n)
{
	b->total += n;
	if (n > b->limit - b->n) {
		n = b->limit - b->n;
		b->full = true;
	}
	if (n == 0)
		return;
	if (n > b->cap - b->n) {
		size_t cap = b->cap ? b->cap * 2 : 128;
		char *q;

		while (cap - b->n < n)
			cap *= 2;
		q = arena_alloc(b->arena, cap);
		if (b->n)
			memcpy(q, b->p, b->n);
		b->p = q;
		b->cap = cap;
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

/* Second byte ranges of Unicode table 3-7: no overlong form, no surrogate,
 * nothing above U+10FFFF. */
int utf8_step(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char lo = 0x80, hi = 0xBF;
	int len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return -1;
	len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if (p[0] == 0xE0)
		lo = 0xA0;
	else if (p[0] == 0xED)
		hi = 0x9F;
	else if (p[0] == 0xF0)
		lo = 0x90;
	else if (p[0] == 0xF4)
		hi = 0x8F;
	for (int i = 1; i < len; i++) {
		if ((size_t)i == n)
			return 0;
		if (p[i] < lo || p[i] > hi)
			return -1;
		lo = 0x80;
		hi = 0xBF;
	}
	return len;
}

static bool ascii_clean(unsigned char c)
{
	return c >= 0x20 || c == '\t' || c == '\n' || c == '\r';
}

/* U+FFFE and U+FFFF are no XML characters. */
static bool not_xml(const char *p, int len)
{
	return len == 3 && (unsigned char)p[0] == 0xEF && (unsigned char)p[1] == 0xBF && (unsigned char)p[2] >= 0xBE;
}

/* All eight bytes printable ASCII: no high bit, and none of them below 0x20. */
static bool eight_plain(const char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return ((v | (v - 0x2020202020202020)) & 0x8080808080808080) == 0;
}

/* Length of the clean run at the front. */
static size_t clean_run(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n) {
		int len;

		if (i + 8 <= n && eight_plain(p + i)) {
			i += 8;
			continue;
		}

		if ((unsigned char)p[i] < 0x80) {
			if (!ascii_clean((unsigned char)p[i]))
				break;
			i++;
			continue;
		}
		len = utf8_step(p + i, n - i);
		if (len <= 0 || not_xml(p + i, len))
			break;
		i += (size_t)len;
	}
	return i;
}

/* Everything that can be decided; returns how many bytes were used (all but an
 * unfinished character of at most three bytes). */
static size_t clean_some(const char *p, size_t n, struct bytes *out)
{
	size_t i = 0;

	while (i < n) {
		size_t run = clean_run(p + i, n - i);
		int len;

		bytes_add(out, p + i, run);
		i += run;
		if (i == n)
			break;
		len = utf8_step(p + i, n - i);
		if (len == 0)
			break;
		if (len < 0)
			bytes_add(out, replacement, 3);
		i += len > 0 ? (size_t)len : 1; /* a control or U+FFFE: dropped */
	}
	return i;
}

void utf8_cleaner_feed(struct utf8_cleaner *c, struct slice in, struct bytes *out)
{
	size_t used;

	while (c->held && in.len) { /* finish what the last piece began */
		c->hold[c->held++] = *in.ptr;
		in = slice_from(in, 1);
		used = clean_some(c->hold, c->held, out);
		c->held -= (unsigned)used;
		memmove(c->hold, c->hold + used, c->held);
	}
	if (in.len == 0)
		return;
	used = clean_some(in.ptr, in.len, out);
	c->held = (unsigned)(in.len - used);
	memcpy(c->hold, in.ptr + used, c->held);
}

void utf8_cleaner_end(struct utf8_cleaner *c, struct bytes *out)
{
	if (c->held) /* one cut character, one mark */
		bytes_add(out, replacement, 3);
	c->held = 0;
}

size_t utf8_valid_prefix(struct slice s, bool *cut_r)
{
	size_t i = 0;

	*cut_r = false;
	while (i < s.len) {
		int len = utf8_step(s.ptr + i, s.len - i);

		if (len <= 0) {
			*cut_r = len == 0;
			break;
		}
		i += (size_t)len;
	}
	return i;
}

bool utf8_valid(struct slice s)
{
	bool cut;

	return utf8_valid_prefix(s, &cut) == s.len;
}

bool utf8_clean(struct slice s)
{
	return clean_run(s.ptr, s.len) == s.len;
}

struct slice utf8_make_clean(struct arena *a, struct slice s)
{
	struct utf8_cleaner c = { 0 };
	struct bytes out;

	if (utf8_clean(s))
		return s;
	bytes_init(&out, a, 0);
	utf8_cleaner_feed(&c, s, &out);
	utf8_cleaner_end(&c, &out);
	return bytes_get(&out);
}

struct slice utf8_cut(struct slice s, size_t n_bytes)
{
	size_t n = n_bytes;

	if (s.len <= n_bytes)
		return s;
	for (int back = 0; back < 4 && n > 0 && ((unsigned char)s.ptr[n] & 0xC0) == 0x80; back++)
		n--;
	return slice_to(s, n);
}

struct slice utf8_whole(struct slice s)
{
	for (size_t back = 1; back <= 3 && back <= s.len; back++) {
		const char *p = s.ptr + s.len - back;

		if (((unsigned char)*p & 0xC0) != 0x80) {
			if (utf8_step(p, back) == 0)
				s.len -= back;
			break;
		}
	}
	return s;
}

struct slice utf8_cut_chars(struct slice s, size_t n_chars)
{
	size_t i = 0;

	while (i < s.len) {
		if (((unsigned char)s.ptr[i] & 0xC0) != 0x80 && n_chars-- == 0)
			break;
		i++;
	}
	return slice_to(s, i);
}

size_t utf8_chars(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
	return n;
}

void utf8_put(struct bytes *out, uint32_t cp)
{
	char b[4];

	if (cp < 0x80) {
		b[0] = (char)cp;
		bytes_add(out, b, 1);
	} else if (cp < 0x800) {
		b[0] = (char)(0xC0 | cp >> 6);
		b[1] = (char)(0x80 | (cp & 63));
		bytes_add(out, b, 2);
	} else if ((cp >= 0xD800 && cp < 0xE000) || cp > 0x10FFFF) {
		bytes_add(out, replacement, 3);
	} else if (cp < 0x10000) {
		b[0] = (char)(0xE0 | cp >> 12);
		b[1] = (char)(0x80 | (cp >> 6 & 63));
		b[2] = (char)(0x80 | (cp & 63));
		bytes_add(out, b, 3);
	} else {
		b[0] = (char)(0xF0 | cp >> 18);
		b[1] = (char)(0x80 | (cp >> 12 & 63));
		b[2] = (char)(0x80 | (cp >> 6 & 63));
		b[3] = (char)(0x80 | (cp & 63));
		bytes_add(out, b, 4);
	}
}
