/* info.c - the information page: small HTML, no script, nothing loaded from
 * elsewhere. Worker. Everything that came from a phone or a login is escaped
 * here. The style is inline because one request must be enough: the address
 * answers nothing else to a browser. Lists by store_list, which is not for a phone's path: people only. */
#include "work/info.h"

#include <stdlib.h>
#include <time.h>

struct page {
	struct exchange *x;
	struct blob *b;
	struct slice keys[256];
	size_t n_keys;
	struct device *devices;
	size_t n_devices;
};

static void text(struct page *p, const char *z)
{
	blob_append(p->b, z, strlen(z), NULL);
}

static void escaped(struct page *p, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		switch (s.ptr[i]) {
		case '<': text(p, "&lt;"); break;
		case '>': text(p, "&gt;"); break;
		case '&': text(p, "&amp;"); break;
		case '"': text(p, "&quot;"); break;
		case '\'': text(p, "&#39;"); break;
		default: blob_append(p->b, &s.ptr[i], 1, NULL);
		}
}

static void line(struct page *p, const char *name, struct slice value)
{
	text(p, "<dt>");
	text(p, name);
	text(p, "<dd>");
	escaped(p, value.len ? value : S("-"));
	text(p, "\n");
}

static struct slice age(struct page *p, int64_t ms)
{
	long long minutes = ms / 60000;

	if (minutes < 1)
		return S("just now");
	if (minutes < 120)
		return arena_printf(p->x->a, "%lld min ago", minutes);
	if (minutes < 48 * 60)
		return arena_printf(p->x->a, "%lld hours ago", minutes / 60);
	return arena_printf(p->x->a, "%lld days ago", minutes / (24 * 60));
}

static struct slice when(struct page *p, int64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (wall_ms == 0)
		return S("never");
	gmtime_r(&t, &tm);
	return arena_printf(p->x->a, "%.*s (%04d-%02d-%02d %02d:%02d UTC)",
			    SARG(age(p, clock_wall(p->x->w->clock) - wall_ms)), tm.tm_year + 1900, tm.tm_mon + 1,
			    tm.tm_mday, tm.tm_hour, tm.tm_min);
}

static int collect(void *arg, struct slice user, struct slice key)
{
	struct page *p = arg;

	if (p->n_keys < sizeof(p->keys) / sizeof(*p->keys))
		p->keys[p->n_keys++] = arena_slice(p->x->a, key);
	return 0;
}

/* --- one device ---------------------------------------------------------------------------- */

struct badge {
	const char *class, *text;
};

static struct badge badge_of(const struct device *d)
{
	static const struct badge wipe[] = {
		[WIPE_ORDERED] = { "bad", "wipe ordered" },
		[WIPE_SENT] = { "bad", "wipe sent" },
		[WIPE_ACKNOWLEDGED] = { "bad", "wiped" },
		[WIPE_FAILED] = { "bad", "wipe failed" },
	};
	static const struct badge policy[] = {
		[POLICY_NEVER] = { "", "no policy asked for" },
		[POLICY_OFFERED] = { "mid", "policy offered" },
		[POLICY_APPLIED] = { "good", "policy applied" },
		[POLICY_PARTLY] = { "mid", "policy applied in part" },
		[POLICY_REFUSED] = { "bad", "policy refused" },
		[POLICY_ASKED] = { "mid", "policy asked for" },
	};

	if (d->wipe != WIPE_NONE && d->wipe <= WIPE_FAILED)
		return wipe[d->wipe];
	if (d->access == ACCESS_BLOCKED)
		return (struct badge){ "bad", "blocked" };
	if (d->access == ACCESS_QUARANTINED)
		return (struct badge){ "mid", "waits for the administrator" };
	return d->policy_state <= POLICY_ASKED ? policy[d->policy_state] : (struct badge){ "", "policy unknown" };
}

static struct slice device_name(const struct device *d)
{
	if (d->has_info && d->info.friendly_name.len)
		return d->info.friendly_name;
	return d->has_info && d->info.model.len ? d->info.model : d->type;
}

static void device_card(struct page *p, const struct device *d)
{
	struct badge b = badge_of(d);
	const char *version = d->version ? eas_version_name(d->version) : NULL;

	text(p, "<section><h2>");
	escaped(p, device_name(d));
	text(p, " <span class=\"");
	text(p, b.class);
	text(p, "\">");
	text(p, b.text);
	text(p, "</span></h2><dl>\n");
	line(p, "Last sync", when(p, d->last_sync_ms));
	line(p, "Last seen", when(p, d->last_seen_ms));
	if (d->has_info && (d->info.model.len || d->info.os.len))
		line(p, "Model", arena_printf(p->x->a, "%.*s%s%.*s", SARG(d->info.model),
					      d->info.model.len && d->info.os.len ? ", " : "", SARG(d->info.os)));
	line(p, "Program", d->agent);
	line(p, "Protocol", version ? slice_str(version) : S_NONE);
	line(p, "Since", when(p, d->first_seen_ms));
	line(p, "Id", d->id);
	text(p, "</dl></section>\n");
}

static int latest_first(const void *a, const void *b)
{
	const struct device *l = a, *r = b;

	return l->last_seen_ms < r->last_seen_ms ? 1 : l->last_seen_ms > r->last_seen_ms ? -1 : slice_cmp(l->id, r->id);
}

static int load_devices(struct page *p, struct err *e)
{
	struct exchange *x = p->x;
	struct store_get *g;

	if (store_list(x->w->store, x->rq->user, S("dev:"), collect, p, e) < 0)
		return -1;
	g = arena_alloc(x->a, (p->n_keys + 1) * sizeof(*g));
	p->devices = arena_alloc(x->a, (p->n_keys + 1) * sizeof(*p->devices));
	for (size_t i = 0; i < p->n_keys; i++)
		g[i].key = p->keys[i];
	if (p->n_keys && store_load(x->w->store, x->rq->user, g, p->n_keys, NULL, NULL, x->a, e) < 0)
		return -1;
	for (size_t i = 0; i < p->n_keys; i++) {
		struct device *d = &p->devices[p->n_devices];

		if (g[i].value.len && device_decode(x->a, x->rq->user, g[i].key, g[i].value, g[i].rev, d, e) == 0)
			p->n_devices++;
	}
	qsort(p->devices, p->n_devices, sizeof(*p->devices), latest_first);
	return 0;
}

/* --- the page ------------------------------------------------------------------------------ */

static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>ActiveSync</title>\n"
	"<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\">\n<style>\n"
	":root{--fg:#1d2733;--dim:#5b6b7b;--bg:#f3f5f7;--card:#fff;--line:#dde3e9;--good:#1a7f4b;--mid:#8a5a00;--bad:#b3261e}\n"
	"@media(prefers-color-scheme:dark){:root{--fg:#e4e9ee;--dim:#97a5b3;--bg:#12171c;--card:#1b2229;--line:#2e3841;"
	"--good:#58c48d;--mid:#e0ac4a;--bad:#ff8a80}}\n"
	"body{font:16px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:44rem;margin:0 auto;"
	"padding:1.5rem 1rem}\n"
	"h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:0 0 .5rem}p{margin:.25rem 0 1rem;color:var(--dim)}\n"
	"section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem 1.25rem;"
	"margin:0 0 1rem}\n"
	"dl{display:grid;grid-template-columns:7rem 1fr;gap:.2rem 1rem;margin:0}dt{color:var(--dim)}"
	"dd{margin:0;overflow-wrap:anywhere}\n"
	"span{font-size:.8rem;font-weight:500;border:1px solid;border-radius:1rem;padding:.1rem .6rem;white-space:nowrap;"
	"color:var(--dim)}.good{color:var(--good)}.mid{color:var(--mid)}.bad{color:var(--bad)}\n"
	"@media(max-width:30rem){dl{grid-template-columns:5.5rem 1fr}section{padding:.8rem 1rem}}\n"
	"</style></head><body>\n";

static struct slice count(struct page *p)
{
	return p->n_devices == 1 ? S("1 device") : arena_printf(p->x->a, "%zu devices", p->n_devices);
}

/* What to type on the next phone. */
static void setup(struct page *p, struct slice address)
{
	struct exchange *x = p->x;

	text(p, "<section><h2>On a phone: add an account of type Exchange</h2><dl>\n");
	line(p, "E-mail", address);
	line(p, "Server", x->rq->host);
	line(p, "Security", x->rq->tls ? S("TLS (SSL) on") : S("this connection has no TLS: use the HTTPS address"));
	line(p, "Domain", S("leave empty"));
	line(p, "User", x->rq->login);
	line(p, "Password", S("the one of your mailbox"));
	text(p, "</dl></section>\n");
}

void info_page(struct exchange *x)
{
	struct page p = { .x = x };
	struct slice address;
	struct err e;

	if (load_devices(&p, &e) < 0) {
		reply_fail(x, &e);
		return;
	}
	p.b = blob_new(0);
	address = exchange_address(x);
	text(&p, head);
	text(&p, "<h1>ActiveSync</h1><p>");
	escaped(&p, address);
	text(&p, ", ");
	escaped(&p, count(&p));
	text(&p, "</p>\n");
	for (size_t i = 0; i < p.n_devices; i++)
		device_card(&p, &p.devices[i]);
	setup(&p, address);
	if (p.n_devices)
		text(&p, "<p>Times are kept to about ten minutes. A device you do not know? Change your password and tell "
			 "your administrator.</p>\n");
	text(&p, "</body></html>\n");
	reply_wbxml(x, &p.b, 0);
	x->v->content_type = S("text/html; charset=utf-8");
	reply_header(x, "Cache-Control", S("no-store"));
	reply_header(x, "Content-Security-Policy",
		     S("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"));
}
