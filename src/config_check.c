/* config_check.c - what no single row can know: keys that need each other,
 * contradict each other, or are legal and unwise. One function a theme; a new
 * check is a few lines in one of them. Main thread. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/settings_table.h"

struct check {
	const struct settings *s;
	const struct config_options *o;
	config_report_fn *report;
	void *arg;
};

static void say(struct check *c, enum config_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void say(struct check *c, enum config_level level, const char *fmt, ...)
{
	char text[400], placed[600], key[80];
	const char *origin = NULL;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = strcspn(text, ":");
	if (n < sizeof(key)) {
		snprintf(key, sizeof(key), "%.*s", (int)n, text);
		origin = settings_find(slice_str(key)) ? settings_origin(c->s, key) : NULL;
	}
	if (origin && strcmp(origin, "default") == 0)
		origin = NULL;
	snprintf(placed, sizeof(placed), "%s%s%s", origin ? origin : "", origin ? ": " : "", text);
	if (c->report)
		c->report(c->arg, level, placed);
}

#define WRONG(c, ...) say(c, CONFIG_ERROR, __VA_ARGS__)
#define UNWISE(c, ...) say(c, CONFIG_WARNING, __VA_ARGS__)

static struct slice str(const struct check *c, const char *key)
{
	return settings_str(c->s, key);
}

static bool is(const struct check *c, const char *key, const char *word)
{
	return slice_eq(str(c, key), slice_str(word));
}

static bool given(const struct check *c, const char *key)
{
	return str(c, key).len > 0;
}

/* Is the URL's scheme one of words (each with its colon)? */
static bool scheme_in(struct slice url, const char *words)
{
	struct slice rest = slice_str(words), w;

	while (slice_split(&rest, ' ', &w))
		if (slice_istarts(url, w))
			return true;
	return false;
}

static bool is_loopback(struct slice address)
{
	static const struct slice names[] = { { "127.", 4 }, { "[::1]", 5 }, { "localhost", 9 }, { "unix:", 5 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (slice_starts(address, names[i]))
			return true;
	return false;
}

static struct slice url_host(struct slice url)
{
	const char *sep = memmem(url.ptr, url.len, "://", 3);
	struct slice host = sep ? slice_from(url, (size_t)(sep - url.ptr) + 3) : S_NONE;
	ptrdiff_t at = slice_chr(host, '@');

	return at >= 0 ? slice_from(host, (size_t)at + 1) : host;
}

static void check_listeners(struct check *c)
{
	const struct slice *plain, *tls;
	size_t n = settings_list(c->s, "server.listen", &plain), m = settings_list(c->s, "server.listen_tls", &tls);

	if (n + m == 0)
		WRONG(c, "server.listen, server.listen_tls: both are empty; phones need one");
	for (size_t i = 0; i < n; i++)
		if (!is_loopback(plain[i]))
			UNWISE(c, "server.listen: %.*s takes passwords unencrypted; leave it to a balancer that speaks TLS",
			       SARG(plain[i]));
	if (given(c, "server.public_url") && !scheme_in(str(c, "server.public_url"), "https:// http://"))
		WRONG(c, "server.public_url: must begin with https:// or http://");
	if (given(c, "server.group") && !given(c, "server.user"))
		WRONG(c, "server.group: needs server.user");
}

/* "10.0.0.0/8", "::1", "192.0.2.7". */
static bool is_network(struct slice t)
{
	char text[64], bin[16];
	char *slash;
	bool v4;
	uint64_t bits = 0;

	if (t.len >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%.*s", SARG(t));
	slash = strchr(text, '/');
	if (slash)
		*slash++ = 0;
	v4 = inet_pton(AF_INET, text, bin) == 1;
	if (!v4 && inet_pton(AF_INET6, text, bin) != 1)
		return false;
	return !slash || (slice_u64(slice_str(slash), &bits) && bits <= (v4 ? 32 : 128));
}

static void check_proxies(struct check *c)
{
	const struct slice *p;
	size_t n = settings_list(c->s, "server.trusted_proxies", &p);

	for (size_t i = 0; i < n; i++)
		if (!is_network(p[i]))
			WRONG(c, "server.trusted_proxies: %.*s is not an address or network", SARG(slice_to(p[i], 60)));
	if (settings_bool(c->s, "server.proxy_protocol") && n == 0)
		WRONG(c, "server.proxy_protocol: needs server.trusted_proxies, else anybody could name any address");
}

static void check_readable(struct check *c, const char *key)
{
	char path[4096];

	if (!given(c, key))
		return;
	snprintf(path, sizeof(path), "%.*s", SARG(str(c, key)));
	if (access(path, R_OK) < 0)
		WRONG(c, "%s: %s: %s", key, path, strerror(errno));
}

static void check_tls(struct check *c)
{
	if (given(c, "tls.certificate") != given(c, "tls.key"))
		WRONG(c, "tls.certificate, tls.key: give both or none");
	check_readable(c, "tls.certificate");
	check_readable(c, "tls.key");
	check_readable(c, "net.tls_ca");
	if (!is(c, "tls.min_version", "1.2"))
		UNWISE(c, "tls.min_version: %.*s lets broken encryption in, for the sake of the oldest phones",
		       SARG(str(c, "tls.min_version")));
	if (!settings_bool(c->s, "net.tls_verify"))
		UNWISE(c, "net.tls_verify: off: whoever sits between can read every password");
}

static void check_store(struct check *c)
{
	const char *container = NULL;

	for (size_t i = 0; i < c->o->n_env; i++)
		if (strncmp(c->o->env[i], "ZPUSHD_CONTAINER=", 17) == 0)
			container = c->o->env[i] + 17;
	if (container && strcmp(container, "1") == 0 && !settings_given(c->s, "store.url"))
		WRONG(c, "store.url: must be given in a container (ZPUSHD_STORE_URL), because a store inside it is lost with it");
	if (scheme_in(str(c, "store.url"), "redis-cluster:"))
		WRONG(c, "store.url: this version knows no redis-cluster yet; use redis:// or redis-sentinel://");
	else if (!scheme_in(str(c, "store.url"), "embedded: redis:// rediss:// redis-sentinel:// memory:"))
		WRONG(c, "store.url: must begin with embedded:, redis://, rediss:// or redis-sentinel://");
	if (slice_chr(str(c, "store.prefix"), '{') >= 0 || slice_chr(str(c, "store.prefix"), '}') >= 0)
		WRONG(c, "store.prefix: must not hold braces: they mark the user in a key");
	if (is(c, "store.url", "memory:"))
		UNWISE(c, "store.url: memory: forgets every device at exit");
}

static void check_imap(struct check *c)
{
	struct slice url = str(c, "imap.url");

	if (!is(c, "backend.mail", "imap"))
		return;
	if (url.len == 0)
		WRONG(c, "imap.url: is needed by backend.mail = \"imap\"");
	else if (!scheme_in(url, "imap:// imaps:// imap+starttls://"))
		WRONG(c, "imap.url: must begin with imap://, imaps:// or imap+starttls://");
	else if (scheme_in(url, "imap://") && !is_loopback(url_host(url)))
		UNWISE(c, "imap.url: passwords travel unencrypted; imaps:// or imap+starttls:// would not");
	if (!given(c, "smtp.url"))
		UNWISE(c, "smtp.url: is not set: phones cannot send mail");
	if (given(c, "imap.master_user") != given(c, "imap.master_password"))
		WRONG(c, "imap.master_user, imap.master_password: give both or none");
}

static void check_smtp(struct check *c)
{
	struct slice url = str(c, "smtp.url");

	if (url.len && !scheme_in(url, "smtp:// smtps:// smtp+starttls:// lmtp+unix:"))
		WRONG(c, "smtp.url: must begin with smtp://, smtps://, smtp+starttls:// or lmtp+unix:");
	if (is(c, "smtp.auth", "fixed") && (!given(c, "smtp.user") || !given(c, "smtp.password")))
		WRONG(c, "smtp.auth: fixed needs smtp.user and smtp.password");
	if (scheme_in(url, "smtp://") && !is_loopback(url_host(url)) && !is(c, "smtp.auth", "none"))
		UNWISE(c, "smtp.url: passwords travel unencrypted; smtps:// or smtp+starttls:// would not");
}

static bool has_source(const struct check *c, const char *word)
{
	const struct slice *src;
	size_t n = settings_list(c->s, "push.sources", &src);

	for (size_t i = 0; i < n; i++)
		if (slice_eq(src[i], slice_str(word)))
			return true;
	return false;
}

static void check_push(struct check *c)
{
	if (settings_ms(c->s, "push.heartbeat_min") > settings_ms(c->s, "push.heartbeat_max"))
		WRONG(c, "push.heartbeat_min: is above push.heartbeat_max");
	if (has_source(c, "hook") && !given(c, "push.notify_listen") && !scheme_in(str(c, "store.url"), "redis:// rediss:// redis-sentinel://"))
		WRONG(c, "push.sources: hook promises events, but neither push.notify_listen nor Redis can bring one");
	if (settings_ms(c->s, "auth.cache") > settings_ms(c->s, "auth.cache_max"))
		WRONG(c, "auth.cache: is above auth.cache_max");
	if (settings_ms(c->s, "auth.cache") < settings_ms(c->s, "push.heartbeat_max"))
		UNWISE(c, "auth.cache: is below push.heartbeat_max: every Ping costs a login");
}

static void check_limits(struct check *c)
{
	uint64_t mail = settings_bytes(c->s, "limits.mail_bytes");

	if (settings_ms(c->s, "limits.reply_time") >= settings_ms(c->s, "limits.command_deadline"))
		WRONG(c, "limits.reply_time: must be below limits.command_deadline");
	if (mail > settings_bytes(c->s, "limits.body_bytes") || mail > settings_bytes(c->s, "limits.wbxml_opaque"))
		WRONG(c, "limits.mail_bytes: is above limits.body_bytes or limits.wbxml_opaque");
	if (settings_ms(c->s, "limits.claim_ttl") < settings_ms(c->s, "limits.command_deadline"))
		UNWISE(c, "limits.claim_ttl: is below limits.command_deadline: two commands of a device may meet");
	if (settings_bytes(c->s, "limits.memory_bytes") < settings_bytes(c->s, "limits.header_bytes"))
		UNWISE(c, "limits.memory_bytes: is below limits.header_bytes");
}

/* The numbers that the protocol skips. */
static void check_policy(struct check *c)
{
	struct slice v;

	if (settings_user_str(c->s, S_NONE, "MaxCalendarAgeFilter", &v) && v.len == 1 && v.ptr[0] >= '1' && v.ptr[0] <= '3')
		WRONG(c, "policy.MaxCalendarAgeFilter: must be 0 or 4 to 7");
	if (slice_chr(str(c, "user.address"), '%') < 0)
		WRONG(c, "user.address: holds no %%u, %%n or %%d: every user would have the same address");
}

void config_check(const struct settings *s, const struct config_options *o, config_report_fn *report, void *arg)
{
	static void (*const all[])(struct check *c) = {
		check_listeners, check_proxies, check_tls,    check_store,  check_imap,
		check_smtp,      check_push,    check_limits, check_policy,
	};
	struct check c = { s, o, report, arg };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		all[i](&c);
}
