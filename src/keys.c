/* keys.c - builds and takes apart every name in the store. Pure; any thread.
 * The trap: device ids, folder ids and client ids are a peer's words, so the
 * parts of a record name are escaped too, or "a:b" + "c" would be "a" + "b:c". */
#include "keys.h"

static bool must_escape(unsigned char c, bool part)
{
	return c < 0x20 || c == 0x7f || c == '%' || c == '{' || c == '}' || (part && c == ':');
}

/* Percent-encodes; `part`: inside a record name, where ':' separates. */
static struct slice escape(struct arena *a, struct slice s, bool part)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;
	char *out;

	for (size_t i = 0; i < s.len; i++)
		n += must_escape((unsigned char)s.ptr[i], part) ? 3 : 1;
	if (n == s.len)
		return s;
	out = arena_alloc(a, n + 1);
	n = 0;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (!must_escape(c, part)) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	return slice(out, n);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* False on a percent sign that we would not have written. */
static bool unescape(struct arena *a, struct slice s, struct slice *out_r)
{
	char *out = arena_alloc(a, s.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		int hi, lo;

		if (s.ptr[i] != '%') {
			out[n++] = s.ptr[i];
			continue;
		}
		if (s.len - i < 3)
			return false;
		hi = hex_digit(s.ptr[i + 1]);
		lo = hex_digit(s.ptr[i + 2]);
		if (hi < 0 || lo < 0)
			return false;
		out[n++] = (char)(hi << 4 | lo);
		i += 2;
	}
	*out_r = slice(out, n);
	return true;
}

/* kind:part or kind:part:part2. */
static struct slice name1(struct arena *a, const char *kind, struct slice p)
{
	return arena_printf(a, "%s:%.*s", kind, SARG(escape(a, p, true)));
}

static struct slice name2(struct arena *a, const char *kind, struct slice p, struct slice q)
{
	struct slice ep = escape(a, p, true), eq = escape(a, q, true);

	return arena_printf(a, "%s:%.*s:%.*s", kind, SARG(ep), SARG(eq));
}

struct slice key_device(struct arena *a, struct slice device_id)
{
	return name1(a, "dev", device_id);
}

struct slice key_collection(struct arena *a, struct slice device_id, struct slice folder_id)
{
	return name2(a, "col", device_id, folder_id);
}

struct slice key_claim(struct arena *a, struct slice device_id)
{
	return name1(a, "claim", device_id);
}

struct slice key_sent(struct arena *a, struct slice device_id, struct slice client_id)
{
	return name2(a, "sent", device_id, client_id);
}

struct slice key_extra(struct arena *a, struct slice folder_id)
{
	return name1(a, KEY_EXTRA, folder_id);
}

struct slice key_moved(struct arena *a, struct slice device_id)
{
	return name1(a, "moved", device_id);
}

struct slice key_record(struct arena *a, struct slice prefix, struct slice user, struct slice key)
{
	struct slice u = escape(a, user, false);

	return arena_printf(a, "%.*srec:{%.*s}:%.*s", SARG(prefix), SARG(u), SARG(key));
}

static struct slice of_user(struct arena *a, struct slice prefix, const char *kind, struct slice user)
{
	struct slice u = escape(a, user, false);

	return arena_printf(a, "%.*s%s:{%.*s}", SARG(prefix), kind, SARG(u));
}

struct slice key_gen(struct arena *a, struct slice prefix, struct slice user)
{
	return of_user(a, prefix, "gen", user);
}

struct slice key_channel(struct arena *a, struct slice prefix, struct slice user)
{
	return of_user(a, prefix, "push", user);
}

struct slice key_index(struct arena *a, struct slice prefix, struct slice user)
{
	return of_user(a, prefix, "idx", user);
}

/* A glob: what the prefix holds stands for itself. */
static struct slice pattern(struct arena *a, struct slice prefix, const char *kind)
{
	struct slice glob = S("*?[]\\");
	char *out = arena_alloc(a, prefix.len * 2 + 1);
	size_t n = 0;

	for (size_t i = 0; i < prefix.len; i++) {
		if (slice_chr(glob, prefix.ptr[i]) >= 0)
			out[n++] = '\\';
		out[n++] = prefix.ptr[i];
	}
	return arena_printf(a, "%.*s%s:{*}", (int)n, out, kind);
}

struct slice key_channels(struct arena *a, struct slice prefix)
{
	return pattern(a, prefix, "push");
}

struct slice key_indexes(struct arena *a, struct slice prefix)
{
	return pattern(a, prefix, "idx");
}

struct slice key_epoch(struct arena *a, struct slice prefix)
{
	return arena_printf(a, "%.*sepoch", SARG(prefix));
}

bool key_user_of(struct arena *a, struct slice prefix, struct slice name, struct slice *user_r, struct slice *kind_r)
{
	ptrdiff_t open, close;

	if (!slice_starts(name, prefix))
		return false;
	name = slice_from(name, prefix.len);
	open = slice_chr(name, '{');
	close = slice_chr(name, '}');
	if (open < 2 || close < open || name.ptr[open - 1] != ':')
		return false;
	*kind_r = slice_to(name, (size_t)open - 1);
	return unescape(a, slice_to(slice_from(name, (size_t)open + 1), (size_t)(close - open) - 1), user_r);
}

bool key_split(struct arena *a, struct slice key, struct slice *kind_r, struct slice *parts, size_t *n_parts)
{
	struct slice part;
	size_t max = *n_parts;

	*n_parts = 0;
	if (!slice_split(&key, ':', kind_r))
		return false;
	while (slice_split(&key, ':', &part)) {
		if (*n_parts == max || !unescape(a, part, &parts[*n_parts]))
			return false;
		*n_parts += 1;
	}
	return true;
}
