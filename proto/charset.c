/* charset.c - every charset of mail to clean UTF-8, through iconv. Any thread;
 * a reader owns its iconv handle. The trap: what mail calls iso-8859-1 is
 * windows-1252 and what it calls gb2312 is gb18030, so names are aliases of
 * the larger set (as browsers do it). */
#include "proto/charset.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>

struct alias {
	const char *name;  /* lower case */
	const char *iconv; /* NULL: guess */
	unsigned codepage;
};

/* Sorted by name: bsearch. Names not here: iconv is asked with them as they are. */
static const struct alias aliases[] = {
	{ "ansi_x3.4-1968",     NULL,           20127 },
	{ "ascii",              NULL,           20127 },
	{ "big5",               "BIG5-HKSCS",   950 },
	{ "big5-hkscs",         "BIG5-HKSCS",   950 },
	{ "cn-big5",            "BIG5-HKSCS",   950 },
	{ "cn-gb",              "GB18030",      936 },
	{ "cp1250",             "CP1250",       1250 },
	{ "cp1251",             "CP1251",       1251 },
	{ "cp1252",             "CP1252",       1252 },
	{ "cp437",              "CP437",        437 },
	{ "cp850",              "CP850",        850 },
	{ "cp932",              "CP932",        932 },
	{ "cp936",              "GB18030",      936 },
	{ "cp949",              "CP949",        949 },
	{ "cp950",              "BIG5-HKSCS",   950 },
	{ "euc-cn",             "GB18030",      51936 },
	{ "euc-jp",             "EUC-JP",       51932 },
	{ "euc-kr",             "CP949",        51949 },
	{ "gb18030",            "GB18030",      54936 },
	{ "gb2312",             "GB18030",      936 },
	{ "gb_2312-80",         "GB18030",      936 },
	{ "gbk",                "GB18030",      936 },
	{ "hz-gb-2312",         NULL,           52936 },
	{ "ibm437",             "CP437",        437 },
	{ "ibm850",             "CP850",        850 },
	{ "iso-2022-jp",        "ISO-2022-JP-2", 50220 },
	{ "iso-2022-jp-ms",     "CP932",        50221 },
	{ "iso-2022-kr",        "ISO-2022-KR",  50225 },
	{ "iso-8859-1",         "CP1252",       28591 },
	{ "iso-8859-11",        "CP874",        874 },
	{ "iso-8859-13",        "ISO-8859-13",  28603 },
	{ "iso-8859-15",        "ISO-8859-15",  28605 },
	{ "iso-8859-2",         "ISO-8859-2",   28592 },
	{ "iso-8859-3",         "ISO-8859-3",   28593 },
	{ "iso-8859-4",         "ISO-8859-4",   28594 },
	{ "iso-8859-5",         "ISO-8859-5",   28595 },
	{ "iso-8859-6",         "ISO-8859-6",   28596 },
	{ "iso-8859-7",         "ISO-8859-7",   28597 },
	{ "iso-8859-8",         "ISO-8859-8",   28598 },
	{ "iso-8859-8-i",       "ISO-8859-8",   38598 },
	{ "iso-8859-9",         "CP1254",       28599 },
	{ "iso8859-1",          "CP1252",       28591 },
	{ "iso_8859-1",         "CP1252",       28591 },
	{ "koi8-r",             "KOI8-R",       20866 },
	{ "koi8-u",             "KOI8-U",       21866 },
	{ "ks_c_5601",          "CP949",        949 },
	{ "ks_c_5601-1987",     "CP949",        949 },
	{ "ks_c_5601-1989",     "CP949",        949 },
	{ "ksc5601",            "CP949",        949 },
	{ "ksc_5601",           "CP949",        949 },
	{ "latin-1",            "CP1252",       28591 },
	{ "latin1",             "CP1252",       28591 },
	{ "macintosh",          "MACINTOSH",    10000 },
	{ "ms_kanji",           "CP932",        932 },
	{ "shift-jis",          "CP932",        932 },
	{ "shift_jis",          "CP932",        932 },
	{ "sjis",               "CP932",        932 },
	{ "tis-620",            "CP874",        874 },
	{ "unicode-1-1-utf-7",  "UTF-7",        65000 },
	{ "unicode-1-1-utf-8",  "UTF-8",        65001 },
	{ "us-ascii",           NULL,           20127 },
	{ "utf-16",             "UTF-16",       1200 },
	{ "utf-16be",           "UTF-16BE",     1201 },
	{ "utf-16le",           "UTF-16LE",     1200 },
	{ "utf-7",              "UTF-7",        65000 },
	{ "utf-8",              "UTF-8",        65001 },
	{ "utf7",               "UTF-7",        65000 },
	{ "utf8",               "UTF-8",        65001 },
	{ "windows-1250",       "CP1250",       1250 },
	{ "windows-1251",       "CP1251",       1251 },
	{ "windows-1252",       "CP1252",       1252 },
	{ "windows-1253",       "CP1253",       1253 },
	{ "windows-1254",       "CP1254",       1254 },
	{ "windows-1255",       "CP1255",       1255 },
	{ "windows-1256",       "CP1256",       1256 },
	{ "windows-1257",       "CP1257",       1257 },
	{ "windows-1258",       "CP1258",       1258 },
	{ "windows-31j",        "CP932",        932 },
	{ "windows-874",        "CP874",        874 },
	{ "windows-949",        "CP949",        949 },
	{ "x-gbk",              "GB18030",      936 },
	{ "x-mac-roman",        "MACINTOSH",    10000 },
	{ "x-sjis",             "CP932",        932 },
	{ "x-user-defined",     NULL,           1252 },
	{ "x-windows-949",      "CP949",        949 },
};

enum { NAME_MAX_BYTES = 40 };

/* Lower case, trimmed, quotes off; false: empty or not a charset name. */
static bool normal_name(struct slice s, char out[NAME_MAX_BYTES + 1])
{
	size_t n = 0;

	s = slice_trim(s);
	while (s.len && (*s.ptr == '"' || *s.ptr == '\''))
		s = slice_from(s, 1);
	while (s.len && (s.ptr[s.len - 1] == '"' || s.ptr[s.len - 1] == '\''))
		s.len--;
	if (s.len == 0 || s.len > NAME_MAX_BYTES)
		return false;
	for (; n < s.len; n++) {
		unsigned char c = (unsigned char)s.ptr[n];

		if (!isalnum(c) && !strchr("-_.:+", c))
			return false;
		out[n] = (char)tolower(c);
	}
	out[n] = 0;
	return true;
}

static int alias_cmp(const void *key, const void *row)
{
	return strcmp(key, ((const struct alias *)row)->name);
}

static const struct alias *alias_find(struct slice name)
{
	char low[NAME_MAX_BYTES + 1];

	if (!normal_name(name, low))
		return NULL;
	return bsearch(low, aliases, sizeof(aliases) / sizeof(*aliases), sizeof(*aliases), alias_cmp);
}

const char *charset_iconv_name(struct slice name)
{
	const struct alias *al = alias_find(name);

	return al ? al->iconv : NULL;
}

unsigned charset_codepage(struct slice name)
{
	const struct alias *al = alias_find(name);

	return al ? al->codepage : 0;
}

/* -- streaming -- */

enum mode { MODE_GUESS, MODE_UTF8, MODE_ICONV };

struct charset_reader {
	enum mode mode;
	iconv_t cd;
	struct utf8_cleaner clean;
	char hold[16]; /* unfinished character of the source, or of the guess */
	unsigned held;
};

static iconv_t open_iconv(struct slice name)
{
	const struct alias *al = alias_find(name);
	char low[NAME_MAX_BYTES + 1];

	if (al)
		return al->iconv ? iconv_open("UTF-8", al->iconv) : (iconv_t)-1;
	if (!normal_name(name, low))
		return (iconv_t)-1;
	return iconv_open("UTF-8", low);
}

static void set_iconv(struct charset_reader *r, iconv_t cd)
{
	if (cd == (iconv_t)-1)
		return;
	r->cd = cd;
	r->mode = MODE_ICONV;
}

struct charset_reader *charset_open(struct slice name)
{
	struct charset_reader *r = mem_alloc(sizeof(*r));
	const char *to = charset_iconv_name(name);

	r->mode = MODE_GUESS;
	r->cd = (iconv_t)-1;
	if (to && strcmp(to, "UTF-8") == 0)
		r->mode = MODE_UTF8;
	else
		set_iconv(r, open_iconv(name));
	return r;
}

void charset_free(struct charset_reader **r)
{
	if (*r && (*r)->cd != (iconv_t)-1)
		iconv_close((*r)->cd);
	free(*r);
	*r = NULL;
}

enum { CHUNK = 4096 };

/* Converts what it can, a bad byte becomes U+FFFD. Returns the bytes used: all
 * but an unfinished character. */
static size_t convert(struct charset_reader *r, const char *p, size_t n, struct bytes *out)
{
	char *in = (char *)(uintptr_t)p, *end = in + n; /* iconv's prototype; it does not write */

	while (in < end) {
		char buf[1024], *o = buf, *before = in;
		size_t room = sizeof(buf), left = (size_t)(end - in) < CHUNK ? (size_t)(end - in) : CHUNK;
		size_t rc = iconv(r->cd, &in, &left, &o, &room);
		int err = errno;

		utf8_cleaner_feed(&r->clean, slice(buf, sizeof(buf) - room), out);
		if (rc != (size_t)-1 || err == E2BIG)
			continue;
		if (err == EINVAL && (size_t)(end - in) < sizeof(r->hold))
			break; /* cut off by the end of the input */
		if (err == EINVAL && in > before)
			continue; /* cut off by the chunk */
		utf8_cleaner_feed(&r->clean, S("\xEF\xBF\xBD"), out);
		in++;
	}
	return n - (size_t)(end - in);
}

static void iconv_feed(struct charset_reader *r, struct slice in, struct bytes *out)
{
	size_t used;

	while (r->held && in.len) {
		r->hold[r->held++] = *in.ptr;
		in = slice_from(in, 1);
		used = convert(r, r->hold, r->held, out);
		r->held -= (unsigned)used;
		memmove(r->hold, r->hold + used, r->held);
	}
	if (in.len == 0)
		return;
	used = convert(r, in.ptr, in.len, out);
	r->held = (unsigned)(in.len - used);
	memcpy(r->hold, in.ptr + used, r->held);
}

static void decide(struct charset_reader *r, bool is_utf8)
{
	r->mode = MODE_UTF8;
	if (!is_utf8)
		set_iconv(r, iconv_open("UTF-8", "CP1252"));
}

/* The first character that is not ASCII decides. */
static void guess_feed(struct charset_reader *r, struct slice in, struct bytes *out)
{
	while (in.len && r->mode == MODE_GUESS) {
		size_t run = 0;
		int len;

		while (r->held == 0 && run < in.len && (unsigned char)in.ptr[run] < 0x80)
			run++;
		utf8_cleaner_feed(&r->clean, slice_to(in, run), out);
		in = slice_from(in, run);
		if (in.len == 0)
			return;
		r->hold[r->held++] = *in.ptr;
		in = slice_from(in, 1);
		len = utf8_step(r->hold, r->held);
		if (len != 0)
			decide(r, len > 0);
	}
	if (r->mode != MODE_GUESS) {
		char first[sizeof(r->hold)];
		struct slice held = { first, r->held };

		memcpy(first, r->hold, r->held);
		r->held = 0;
		charset_feed(r, held, out);
		charset_feed(r, in, out);
	}
}

void charset_feed(struct charset_reader *r, struct slice in, struct bytes *out)
{
	if (in.len == 0)
		return;
	switch (r->mode) {
	case MODE_GUESS:
		guess_feed(r, in, out);
		break;
	case MODE_UTF8:
		utf8_cleaner_feed(&r->clean, in, out);
		break;
	case MODE_ICONV:
		iconv_feed(r, in, out);
		break;
	}
}

static void flush_state(struct charset_reader *r, struct bytes *out)
{
	char buf[64], *o = buf;
	size_t room = sizeof(buf);

	if (iconv(r->cd, NULL, NULL, &o, &room) != (size_t)-1)
		utf8_cleaner_feed(&r->clean, slice(buf, sizeof(buf) - room), out);
}

void charset_end(struct charset_reader *r, struct bytes *out)
{
	if (r->mode == MODE_ICONV)
		flush_state(r, out);
	if (r->held)
		utf8_cleaner_feed(&r->clean, S("\xEF\xBF\xBD"), out);
	r->held = 0;
	utf8_cleaner_end(&r->clean, out);
}

/* UTF-8, perhaps cut off at the end. A lone high byte there is no evidence. */
static bool looks_utf8(struct slice s)
{
	bool cut;
	size_t n = utf8_valid_prefix(s, &cut);

	return n == s.len || (cut && utf8_chars(slice_to(s, n)) < n);
}

struct slice charset_to_utf8(struct arena *a, struct slice name, struct slice in)
{
	const char *to = charset_iconv_name(name);
	struct charset_reader *r;
	struct bytes out;

	if (to && strcmp(to, "UTF-8") == 0)
		return utf8_make_clean(a, in);
	if (!to && alias_find(name) && utf8_clean(in))
		return in; /* us-ascii and it is */
	if (name.len == 0 && utf8_clean(in))
		return in;
	r = charset_open(name);
	if (r->mode == MODE_GUESS) /* all of it is here: decide by all of it */
		decide(r, looks_utf8(in));
	bytes_init(&out, a, 0);
	charset_feed(r, in, &out);
	charset_end(r, &out);
	charset_free(&r);
	return bytes_get(&out);
}
