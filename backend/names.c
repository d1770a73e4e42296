/* names.c - how names of folders and keywords look on a server: modified UTF-7
 * (RFC 3501 5.1.3), keyword atoms, names made fit. Pure, any thread; results
 * are in the arena. Trap: what is decoded here came from a mail server or a
 * directory listing and may be anything. */
#include "backend/backend.h"

enum { NAME_MAX_BYTES = 128 };

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* Next code point of UTF-8; a bad byte counts as U+FFFD. */
static uint32_t utf8_next(struct slice *s)
{
	const unsigned char *p = (const unsigned char *)s->ptr;
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned more = p[0] < 0x80 ? 0 : p[0] >= 0xf0 && p[0] < 0xf5 ? 3 : p[0] >= 0xe0 && p[0] < 0xf0 ? 2 :
			p[0] >= 0xc2 && p[0] < 0xe0 ? 1 : 4;
	uint32_t c = more == 0 ? p[0] : p[0] & (0x3fu >> more);

	if (more > 3 || s->len <= more) {
		*s = slice_from(*s, 1);
		return 0xfffd;
	}
	for (unsigned i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			*s = slice_from(*s, 1);
			return 0xfffd;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	*s = slice_from(*s, more + 1);
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0xfffd;
	return c;
}

static size_t utf8_put(char *o, uint32_t c)
{
	if (c < 0x80)
		return o[0] = (char)c, 1;
	if (c < 0x800)
		return o[0] = (char)(0xc0 | c >> 6), o[1] = (char)(0x80 | (c & 63)), 2;
	if (c < 0x10000)
		return o[0] = (char)(0xe0 | c >> 12), o[1] = (char)(0x80 | (c >> 6 & 63)),
		       o[2] = (char)(0x80 | (c & 63)), 3;
	o[0] = (char)(0xf0 | c >> 18);
	o[1] = (char)(0x80 | (c >> 12 & 63));
	o[2] = (char)(0x80 | (c >> 6 & 63));
	o[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* Writer of one encoded name: bits wait until six are together. */
struct encoder {
	char *out;
	size_t n;
	uint32_t bits;
	int n_bits;
	bool shifted;
};

static void put_unit(struct encoder *w, uint32_t unit)
{
	if (!w->shifted) {
		w->out[w->n++] = '&';
		w->shifted = true;
	}
	w->bits = (w->bits & 0x3f) << 16 | unit;
	w->n_bits += 16;
	for (; w->n_bits >= 6; w->n_bits -= 6)
		w->out[w->n++] = b64[w->bits >> (w->n_bits - 6) & 63];
}

static void unshift(struct encoder *w)
{
	if (!w->shifted)
		return;
	if (w->n_bits)
		w->out[w->n++] = b64[w->bits << (6 - w->n_bits) & 63];
	w->out[w->n++] = '-';
	w->shifted = false;
	w->n_bits = 0;
	w->bits = 0;
}

static void put_wide(struct encoder *w, uint32_t c)
{
	if (c >= 0x10000) {
		put_unit(w, 0xd800 + ((c - 0x10000) >> 10));
		put_unit(w, 0xdc00 + ((c - 0x10000) & 0x3ff));
	} else {
		put_unit(w, c);
	}
}

struct slice mutf7_encode(struct arena *a, struct slice in)
{
	/* Worst: '&', three letters and '-' for one byte in. */
	struct encoder w = { .out = arena_alloc(a, in.len * 8 + 8) };

	while (in.len) {
		uint32_t c = utf8_next(&in);

		if (c < 0x20 || c > 0x7e) {
			put_wide(&w, c);
			continue;
		}
		unshift(&w);
		w.out[w.n++] = (char)c;
		if (c == '&')
			w.out[w.n++] = '-';
	}
	unshift(&w);
	w.out[w.n] = 0;
	return slice(w.out, w.n);
}

/* One "&...-" run, *in behind the '&'; false when it is malformed. strict: what could have
 * stood plainly must not be encoded (a second spelling of one name would be two folders). */
static bool decode_run(struct slice *in, char *out, size_t *n, bool strict)
{
	uint32_t bits = 0, high = 0;
	int n_bits = 0;

	for (;;) {
		const char *at;
		uint32_t c;

		if (in->len == 0)
			return false;
		if (in->ptr[0] == '-')
			break;
		if (in->ptr[0] == 0 || !(at = strchr(b64, in->ptr[0])))
			return false;
		*in = slice_from(*in, 1);
		bits = bits << 6 | (uint32_t)(at - b64);
		n_bits += 6;
		if (n_bits < 16)
			continue;
		n_bits -= 16;
		c = bits >> n_bits & 0xffff;
		bits &= (1u << n_bits) - 1;
		if (high) {
			if (c < 0xdc00 || c > 0xdfff)
				return false;
			c = 0x10000 + ((high - 0xd800) << 10) + (c - 0xdc00);
			high = 0;
		} else if (c >= 0xd800 && c < 0xdc00) {
			high = c;
			continue;
		} else if (c == 0 || (c >= 0xdc00 && c < 0xe000) || (strict && c >= 0x20 && c < 0x7f)) {
			return false;
		}
		*n += utf8_put(out + *n, c);
	}
	*in = slice_from(*in, 1);
	return !high && n_bits < 6 && bits == 0;
}

static bool decode(struct arena *a, struct slice in, bool keyword, struct slice *utf8_r)
{
	char *out = arena_alloc(a, in.len * 2 + 8);
	size_t n = 0;

	while (in.len) {
		unsigned char c = (unsigned char)in.ptr[0];

		in = slice_from(in, 1);
		if (c < 0x20 || c > 0x7e)
			return false;
		if (c != '&') {
			out[n++] = keyword && c == '_' ? ' ' : (char)c;
		} else if (in.len && in.ptr[0] == '-') {
			out[n++] = '&';
			in = slice_from(in, 1);
		} else if (!decode_run(&in, out, &n, !keyword)) {
			return false;
		}
	}
	out[n] = 0;
	*utf8_r = slice(out, n);
	return true;
}

bool mutf7_decode(struct arena *a, struct slice in, struct slice *utf8_r)
{
	return decode(a, in, false, utf8_r);
}

/* RFC 3501 atom-specials, and '_' because it stands for the blank. */
static bool keyword_plain(uint32_t c)
{
	return c > 0x20 && c < 0x7f && !strchr("(){%*\"\\]_&", (int)c);
}

struct slice mail_keyword_encode(struct arena *a, struct slice in)
{
	struct encoder w = { .out = arena_alloc(a, in.len * 8 + 8) };

	while (in.len) {
		uint32_t c = utf8_next(&in);

		if (c != ' ' && !keyword_plain(c)) {
			put_wide(&w, c);
			continue;
		}
		unshift(&w);
		w.out[w.n++] = c == ' ' ? '_' : (char)c;
	}
	unshift(&w);
	w.out[w.n] = 0;
	return slice(w.out, w.n);
}

struct slice mail_keyword_decode(struct arena *a, struct slice atom)
{
	struct slice v;

	return decode(a, atom, true, &v) ? v : arena_slice(a, atom);
}

static struct slice stand_in(char c)
{
	return c == '/' ? S("\xe2\x88\x95") : c == '.' ? S("\xe2\x80\xa4") : S("_");
}

struct slice backend_folder_name(struct arena *a, struct slice name, char delimiter)
{
	char *out = arena_alloc(a, name.len * 3 + 4);
	size_t n = 0;

	name = slice_trim(name);
	while (name.len) {
		uint32_t c = utf8_next(&name);
		char one[4];
		struct slice put = { one, utf8_put(one, c) };

		if (c < 0x20 || c == 0x7f || c == 0x2028 || c == 0x2029)
			continue;
		if (c == '/' || c == (unsigned char)delimiter)
			put = stand_in((char)c);
		if (n + put.len > NAME_MAX_BYTES)
			break;
		memcpy(out + n, put.ptr, put.len);
		n += put.len;
	}
	return slice_trim(slice(out, n));
}
