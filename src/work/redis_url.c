/* redis_url.c - store.url taken apart, and the master that sentinels name. Any
 * blocking thread (workers; the subscription's own). The trap: a sentinel that is
 * cut off still answers with the old master, so who connects must find out whether
 * it really is one (redis_note_epoch; READONLY). */
#include <stdio.h>
#include <stdlib.h>

#include "base/stream.h"
#include "work/redis.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX decoded, for user and password. */
static char *decoded(struct slice s)
{
	char *out = mem_str(s), *to = out;

	for (size_t i = 0; i < s.len; i++) {
		int hi = i + 2 < s.len && s.ptr[i] == '%' ? hex_value(s.ptr[i + 1]) : -1;
		int lo = hi >= 0 ? hex_value(s.ptr[i + 2]) : -1;

		*to++ = lo >= 0 ? (char)(hi << 4 | lo) : s.ptr[i];
		i += lo >= 0 ? 2 : 0;
	}
	*to = 0;
	return out;
}

static void parse_login(struct redis_url *u, struct slice login)
{
	ptrdiff_t colon = slice_chr(login, ':');

	if (colon < 0) {
		u->user = login.len ? decoded(login) : NULL;
		return;
	}
	if (colon > 0)
		u->user = decoded(slice_to(login, (size_t)colon));
	u->password = decoded(slice_from(login, (size_t)colon + 1));
}

static ptrdiff_t last_chr(struct slice s, char c)
{
	for (size_t i = s.len; i > 0; i--)
		if (s.ptr[i - 1] == c)
			return (ptrdiff_t)i - 1;
	return -1;
}

/* host, host:port, [v6], [v6]:port */
static int parse_host(struct redis_url *u, struct slice at, uint64_t port, struct err *e)
{
	bool v6 = slice_starts(at, S("["));
	ptrdiff_t end = v6 ? slice_chr(at, ']') : slice_chr(at, ':');
	struct slice host = v6 ? slice_to(slice_from(at, 1), end > 0 ? (size_t)end - 1 : 0)
			       : slice_to(at, end < 0 ? at.len : (size_t)end);
	struct slice rest = end < 0 ? S_NONE : slice_from(at, (size_t)end + v6);
	char text[300];

	if (host.len == 0 || host.len > 255 || (rest.len && (rest.ptr[0] != ':' || !slice_u64(slice_from(rest, 1), &port))) ||
	    port > 65535)
		return err_set(e, ERR_CONFIG, "store.url: wants redis://[user:pass@]host:port/db");
	snprintf(text, sizeof(text), v6 ? "[%.*s]:%u" : "%.*s:%u", SARG(host), (unsigned)port);
	u->address = mem_str(slice_str(text));
	u->host = mem_str(host);
	return 0;
}

/* host:port,host:port/name[/db]: kept as it is, asked in this order. */
static int parse_sentinels(struct redis_url *u, struct slice rest, struct err *e)
{
	struct slice hosts, name, host;
	struct redis_url one;

	if (!slice_split(&rest, '/', &hosts) || !slice_split(&rest, '/', &name) || name.len == 0 || name.len > 200)
		return err_set(e, ERR_CONFIG, "store.url: wants redis-sentinel://host:port,host:port/name");
	u->sentinels = mem_str(hosts);
	u->master = mem_str(name);
	u->address = mem_str(hosts); /* for messages */
	while (slice_split(&hosts, ',', &host)) {
		memset(&one, 0, sizeof(one));
		if (parse_host(&one, host, 26379, e) < 0)
			return -1;
		redis_url_free(&one);
	}
	return 0;
}

static int parse_db(struct redis_url *u, struct slice db, struct err *e)
{
	uint64_t n = 0;

	if (db.len && (!slice_u64(db, &n) || n > 1000000))
		return err_set(e, ERR_CONFIG, "store.url: the database is a number");
	u->db = (unsigned)n;
	return 0;
}

static const struct {
	const char *scheme;
	bool tls, sentinel;
} schemes[] = {
	{ "redis://", false, false },
	{ "rediss://", true, false },
	{ "redis-sentinel://", false, true },
};

/* Behind the scheme. */
static int parse_rest(struct redis_url *u, struct slice url, bool sentinel, struct err *e)
{
	ptrdiff_t at = last_chr(url, '@'), slash;
	struct slice host = slice_from(url, (size_t)(at + 1));

	if (at >= 0)
		parse_login(u, slice_to(url, (size_t)at));
	if (sentinel) {
		slash = last_chr(host, '/');
		/* name/db, when there are two slashes */
		if (slash >= 0 && slash != slice_chr(host, '/') && parse_db(u, slice_from(host, (size_t)slash + 1), e) < 0)
			return -1;
		return parse_sentinels(u, host, e);
	}
	slash = slice_chr(host, '/');
	if (slash >= 0 && parse_db(u, slice_from(host, (size_t)slash + 1), e) < 0)
		return -1;
	return parse_host(u, slash < 0 ? host : slice_to(host, (size_t)slash), 6379, e);
}

int redis_url_parse(struct redis_url *u, struct slice url, struct err *e)
{
	memset(u, 0, sizeof(*u));
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		struct slice scheme = slice_str(schemes[i].scheme);

		if (!slice_starts(url, scheme))
			continue;
		u->tls = schemes[i].tls;
		if (parse_rest(u, slice_from(url, scheme.len), schemes[i].sentinel, e) == 0)
			return 0;
		redis_url_free(u);
		return -1;
	}
	return err_set(e, ERR_CONFIG, "store.url: must begin with redis://, rediss:// or redis-sentinel://");
}

void redis_url_free(struct redis_url *u)
{
	if (u->password)
		mem_wipe(u->password, strlen(u->password));
	free(u->address);
	free(u->host);
	free(u->sentinels);
	free(u->master);
	free(u->user);
	free(u->password);
	memset(u, 0, sizeof(*u));
}

/* --- sentinels ---------------------------------------------------------------- */

enum { SENTINEL_MS = 1000 };

/* Host and port of the reply as an address. */
static char *address_of(const redisReply *r)
{
	char text[300];
	struct slice host;

	if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 2)
		return NULL;
	host = redis_str(r->element[0]);
	if (host.len == 0 || host.len > 255)
		return NULL;
	snprintf(text, sizeof(text), slice_chr(host, ':') >= 0 ? "[%.*s]:%.*s" : "%.*s:%.*s", SARG(host),
		 SARG(redis_str(r->element[1])));
	return mem_str(slice_str(text));
}

static redisReply *one_reply(struct stream *s, struct err *e)
{
	redisReader *reader = redisReaderCreate();
	redisReply *r = NULL;
	char buf[1024];
	ssize_t n;

	while (!r) {
		n = stream_read(s, buf, sizeof(buf), e);
		if (n == 0)
			err_set(e, ERR_STORE, "closed the connection");
		if (n <= 0 || redisReaderFeed(reader, buf, (size_t)n) != REDIS_OK ||
		    redisReaderGetReply(reader, (void **)&r) != REDIS_OK)
			break;
	}
	redisReaderFree(reader);
	return r;
}

static char *ask_sentinel(const char *address, const char *master, int64_t deadline_ms, struct err *e)
{
	const char *argv[] = { "SENTINEL", "get-master-addr-by-name", master };
	struct stream *s = NULL;
	redisReply *r = NULL;
	char *text = NULL, *found;
	int n = redisFormatCommandArgv(&text, 3, argv, NULL);

	if (n > 0 && stream_open(&s, address, deadline_ms, e) == 0 && stream_write(s, text, (size_t)n, e) == 0)
		r = one_reply(s, e);
	found = address_of(r);
	if (r && !found)
		err_set(e, ERR_STORE, "knows no master %s", master);
	if (r)
		freeReplyObject(r);
	redisFreeCommand(text);
	stream_close(&s);
	return found;
}

int redis_master_address(const struct redis_url *u, int64_t deadline_ms, char **address_r, struct err *e)
{
	struct slice rest = slice_str(u->sentinels), one;

	*address_r = NULL;
	if (!u->sentinels) {
		*address_r = mem_str(slice_str(u->address));
		return 0;
	}
	while (!*address_r && slice_split(&rest, ',', &one)) {
		struct redis_url host = { .db = 0 };
		int64_t soon = clock_now(&clock_system) + SENTINEL_MS;

		if (parse_host(&host, one, 26379, e) < 0)
			return -1;
		*address_r = ask_sentinel(host.address, u->master, soon < deadline_ms ? soon : deadline_ms, e);
		redis_url_free(&host);
	}
	return *address_r ? 0 : err_add(e, "sentinels %s", u->sentinels);
}
