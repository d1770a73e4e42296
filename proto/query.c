/* query.c - the request line of EAS. Any thread; the loop calls it for every
 * request before anybody is authenticated, so everything is checked and
 * nothing is guessed. The trap: the base64 word may itself be percent-encoded,
 * and a '+' in it is a digit, not a blank. */
#include "proto/query.h"

#include <ctype.h>

#include "base/digest.h"
#include "proto/charset.h"

static const struct {
	enum eas_command command;
	const char *name;
} commands[] = {
#define X(id, code, name) { EAS_CMD_##id, name },
	EAS_COMMANDS(X)
#undef X
};

static const struct {
	int version;
	const char *name;
} versions[] = {
	{ 10, "1.0" },   { 20, "2.0" },   { 21, "2.1" },   { 25, "2.5" },   { 120, "12.0" },
	{ 121, "12.1" }, { 140, "14.0" }, { 141, "14.1" }, { 160, "16.0" }, { 161, "16.1" },
};

const char *eas_command_name(enum eas_command c)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (commands[i].command == c)
			return commands[i].name;
	return "?";
}

enum eas_command eas_command_find(struct slice name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (slice_ieq(slice_str(commands[i].name), name))
			return commands[i].command;
	return name.len ? EAS_CMD_UNKNOWN : EAS_CMD_NONE;
}

int eas_version_parse(struct slice s)
{
	s = slice_trim(s);
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		if (slice_eq(slice_str(versions[i].name), s))
			return versions[i].version;
	return 0;
}

const char *eas_version_name(int version)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		if (versions[i].version == version)
			return versions[i].name;
	return NULL;
}

/* -- percent -- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool unescape(struct arena *a, struct slice in, char plus, struct slice *out_r)
{
	char *p = arena_alloc(a, in.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		char c = in.ptr[i];

		if (c == '%') {
			if (in.len - i < 3 || hex(in.ptr[i + 1]) < 0 || hex(in.ptr[i + 2]) < 0)
				return false;
			c = (char)(hex(in.ptr[i + 1]) << 4 | hex(in.ptr[i + 2]));
			i += 2;
		} else if (c == '+') {
			c = plus;
		}
		if (c == 0)
			return false;
		p[n++] = c;
	}
	*out_r = slice(p, n);
	return true;
}

bool percent_decode(struct arena *a, struct slice in, struct slice *out_r)
{
	return unescape(a, in, ' ', out_r);
}

struct slice percent_encode(struct arena *a, struct slice in)
{
	static const char digit[] = "0123456789ABCDEF";
	char *p = arena_alloc(a, in.len * 3 + 1);
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = (unsigned char)in.ptr[i];

		if (isalnum(c) || memchr("-._~", c, 4)) {
			p[n++] = (char)c;
		} else {
			p[n++] = '%';
			p[n++] = digit[c >> 4];
			p[n++] = digit[c & 15];
		}
	}
	return slice(p, n);
}

/* -- plain -- */

static const struct {
	const char *name;
	size_t offset;
	size_t max;
} plain_params[] = {
	{ "Cmd", offsetof(struct eas_query, command_text), 64 },
	{ "User", offsetof(struct eas_query, user), QUERY_MAX_VALUE },
	{ "DeviceId", offsetof(struct eas_query, device_id), QUERY_MAX_DEVICE_ID },
	{ "DeviceType", offsetof(struct eas_query, device_type), QUERY_MAX_DEVICE_ID },
	{ "AttachmentName", offsetof(struct eas_query, attachment_name), QUERY_MAX_VALUE },
	{ "CollectionId", offsetof(struct eas_query, collection_id), QUERY_MAX_VALUE },
	{ "ItemId", offsetof(struct eas_query, item_id), QUERY_MAX_VALUE },
	{ "LongId", offsetof(struct eas_query, long_id), QUERY_MAX_VALUE },
	{ "Occurrence", offsetof(struct eas_query, occurrence), QUERY_MAX_VALUE },
};

static int plain_param(struct arena *a, struct slice name, struct slice raw, struct eas_query *q, struct err *e)
{
	struct slice value;

	if (!percent_decode(a, raw, &value))
		return err_set(e, ERR_BAD_REQUEST, "query: broken escape in the value of %.*s", SARG(slice_to(name, 32)));
	value = charset_to_utf8(a, S_NONE, value);
	if (slice_ieq(name, S("SaveInSent"))) {
		q->save_in_sent = slice_ieq(value, S("T"));
		return 0;
	}
	for (size_t i = 0; i < sizeof(plain_params) / sizeof(*plain_params); i++) {
		if (!slice_ieq(name, slice_str(plain_params[i].name)))
			continue;
		if (value.len > plain_params[i].max)
			return err_set(e, ERR_BAD_REQUEST, "query: %s has %zu bytes, limit %zu", plain_params[i].name,
				       value.len, plain_params[i].max);
		*(struct slice *)((char *)q + plain_params[i].offset) = value;
	}
	return 0;
}

static int parse_plain(struct arena *a, struct slice query, struct eas_query *q, struct err *e)
{
	struct slice pair, name;

	while (slice_split(&query, '&', &pair)) {
		ptrdiff_t eq = slice_chr(pair, '=');

		if (pair.len == 0)
			continue;
		name = eq < 0 ? pair : slice_to(pair, (size_t)eq);
		if (plain_param(a, name, eq < 0 ? S_NONE : slice_from(pair, (size_t)eq + 1), q, e) < 0)
			return -1;
	}
	q->command = eas_command_find(q->command_text);
	return 0;
}

/* -- base64 -- */

struct cursor {
	struct slice s;
	bool bad;
};

static struct slice take(struct cursor *c, size_t n)
{
	struct slice v = slice_to(c->s, n);

	c->bad |= v.len < n;
	c->s = slice_from(c->s, n);
	return v;
}

static unsigned take_byte(struct cursor *c)
{
	struct slice v = take(c, 1);

	return v.len ? (unsigned char)*v.ptr : 0;
}

static struct slice take_string(struct cursor *c)
{
	return take(c, take_byte(c));
}

/* Little endian. */
static uint32_t take_int(struct cursor *c, size_t n)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= take_byte(c) << (8 * i);
	return v;
}

/* A device id may be a GUID as 16 raw bytes. */
static struct slice device_id(struct arena *a, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 32 || (unsigned char)s.ptr[i] > 126)
			return hex_encode(a, s.ptr, s.len);
	return arena_slice(a, s);
}

static int version_byte(unsigned byte)
{
	if (byte == 145) /* a client library writes 14.1 this way */
		return 141;
	return eas_version_name((int)byte) ? (int)byte : 0;
}

static int tagged(struct arena *a, unsigned tag, struct slice v, struct eas_query *q, struct err *e)
{
	struct slice text = charset_to_utf8(a, S_NONE, arena_slice(a, v));

	switch (tag) {
	case 0:
		q->attachment_name = text;
		break;
	case 1:
		q->collection_id = text;
		break;
	case 3:
		q->item_id = text;
		break;
	case 4:
		q->long_id = text;
		break;
	case 6:
		q->occurrence = text;
		break;
	case 7:
		if (v.len != 1)
			return err_set(e, ERR_BAD_REQUEST, "query: options of %zu bytes", v.len);
		q->save_in_sent = *v.ptr & 1;
		q->accept_multipart = (*v.ptr & 2) != 0;
		break;
	case 8:
		q->user = text;
		break;
	default: /* 2 and 5 belonged to 1.0; unknown ones do not concern us */
		break;
	}
	return 0;
}

static int parse_fields(struct arena *a, struct cursor *c, struct eas_query *q, struct err *e)
{
	unsigned version = take_byte(c), command = take_byte(c), key_len;

	q->version = version_byte(version);
	if (q->version == 0)
		return err_set(e, ERR_BAD_REQUEST, "query: protocol version %u", version);
	q->command = strcmp(eas_command_name((enum eas_command)command), "?") == 0 || command >= 100 ?
			     EAS_CMD_UNKNOWN : (enum eas_command)command;
	q->command_text = q->command == EAS_CMD_UNKNOWN ? arena_printf(a, "#%u", command) :
							  slice_str(eas_command_name(q->command));
	q->locale = (uint16_t)take_int(c, 2);
	q->device_id = device_id(a, take_string(c));
	key_len = take_byte(c);
	if (key_len != 0 && key_len != 4)
		return err_set(e, ERR_BAD_REQUEST, "query: policy key of %u bytes", key_len);
	q->has_policy_key = key_len == 4;
	q->policy_key = take_int(c, key_len);
	q->device_type = charset_to_utf8(a, S_NONE, arena_slice(a, take_string(c)));
	if (q->device_id.len > QUERY_MAX_DEVICE_ID || q->device_type.len > QUERY_MAX_DEVICE_ID)
		return err_set(e, ERR_BAD_REQUEST, "query: device id or type of more than %d bytes", QUERY_MAX_DEVICE_ID);
	while (!c->bad && c->s.len) {
		unsigned tag = take_byte(c);
		struct slice v = take_string(c);

		if (!c->bad && tagged(a, tag, v, q, e) < 0)
			return -1;
	}
	return c->bad ? err_set(e, ERR_BAD_REQUEST, "query: base64 form cut off") : 0;
}

static int parse_base64(struct arena *a, struct slice query, struct eas_query *q, struct err *e)
{
	struct cursor c = { 0 };

	q->is_base64 = true;
	if (!unescape(a, query, '+', &query))
		return err_set(e, ERR_BAD_REQUEST, "query: broken escape");
	if (!base64_decode(a, query, &c.s))
		return err_set(e, ERR_BAD_REQUEST, "query: neither parameters nor base64");
	return parse_fields(a, &c, q, e);
}

/* An '=' in front of anything but '=' is no padding. */
static bool is_plain(struct slice s)
{
	if (slice_chr(s, '&') >= 0)
		return true;
	while (s.len && s.ptr[s.len - 1] == '=')
		s.len--;
	return slice_chr(s, '=') >= 0 || slice_ieq(s, S("Cmd"));
}

int eas_query_parse(struct arena *a, struct slice query, struct eas_query *q_r, struct err *e)
{
	*q_r = (struct eas_query){ .command = EAS_CMD_NONE };
	if (query.len > QUERY_MAX_BYTES)
		return err_set(e, ERR_BAD_REQUEST, "query of %zu bytes, limit %d", query.len, QUERY_MAX_BYTES);
	if (query.len == 0)
		return 0;
	return is_plain(query) ? parse_plain(a, query, q_r, e) : parse_base64(a, query, q_r, e);
}

/* -- writing -- */

static void put_string(struct bytes *out, struct slice s)
{
	s = slice_to(s, 255);
	bytes_char(out, (char)s.len);
	bytes_slice(out, s);
}

static void put_tagged(struct bytes *out, char tag, struct slice s)
{
	if (s.len == 0)
		return;
	bytes_char(out, tag);
	put_string(out, s);
}

struct slice eas_query_base64(struct arena *a, const struct eas_query *q)
{
	char options = (char)(q->save_in_sent | q->accept_multipart << 1);
	struct bytes out;

	bytes_init(&out, a, 0);
	bytes_char(&out, (char)q->version);
	bytes_char(&out, (char)q->command);
	bytes_char(&out, (char)q->locale);
	bytes_char(&out, (char)(q->locale >> 8));
	put_string(&out, q->device_id);
	bytes_char(&out, q->has_policy_key ? 4 : 0);
	for (int i = 0; i < 4 && q->has_policy_key; i++)
		bytes_char(&out, (char)(q->policy_key >> (8 * i)));
	put_string(&out, q->device_type);
	put_tagged(&out, 0, q->attachment_name);
	put_tagged(&out, 1, q->collection_id);
	put_tagged(&out, 3, q->item_id);
	put_tagged(&out, 4, q->long_id);
	put_tagged(&out, 6, q->occurrence);
	put_tagged(&out, 7, slice(&options, options != 0));
	put_tagged(&out, 8, q->user);
	return base64_encode(a, bytes_get(&out));
}
