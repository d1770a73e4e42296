/* info.c - the information page: small HTML, no script, nothing loaded from
 * elsewhere. Worker. Everything that came from a phone or a login is escaped
 * here. Lists by store_list, which is not for a phone's path: people only. */
#include "work/info.h"

#include <time.h>

struct page {
	struct exchange *x;
	struct blob *b;
	size_t devices;
	struct slice keys[256];
	size_t n_keys;
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

static void cell(struct page *p, struct slice s)
{
	text(p, "<td>");
	escaped(p, s.len ? s : S("-"));
	text(p, "</td>");
}

static struct slice when(struct page *p, int64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (wall_ms == 0)
		return S("never");
	gmtime_r(&t, &tm);
	return arena_printf(p->x->a, "%04d-%02d-%02d %02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			    tm.tm_hour, tm.tm_min);
}

static int collect(void *arg, struct slice user, struct slice key)
{
	struct page *p = arg;

	if (p->n_keys < sizeof(p->keys) / sizeof(*p->keys))
		p->keys[p->n_keys++] = arena_slice(p->x->a, key);
	return 0;
}

static void device_row(struct page *p, const struct device *d)
{
	const char *policy = policy_state_name(d->policy_state);

	if (d->wipe != WIPE_NONE)
		policy = arena_printf(p->x->a, "wipe %s", wipe_state_name(d->wipe)).ptr;
	else if (d->access != ACCESS_ALLOWED)
		policy = device_access_name(d->access);
	text(p, "<tr>");
	cell(p, d->has_info && d->info.friendly_name.len ? d->info.friendly_name : d->info.model.len ? d->info.model : d->type);
	cell(p, d->id);
	cell(p, d->agent);
	cell(p, d->version ? slice_str(eas_version_name(d->version) ? eas_version_name(d->version) : "?") : S_NONE);
	cell(p, when(p, d->last_sync_ms));
	cell(p, when(p, d->last_seen_ms));
	cell(p, slice_str(policy));
	text(p, "</tr>\n");
}

static int devices(struct page *p, struct err *e)
{
	struct exchange *x = p->x;
	struct store_get *g;

	if (store_list(x->w->store, x->rq->user, S("dev:"), collect, p, e) < 0)
		return -1;
	g = arena_alloc(x->a, p->n_keys * sizeof(*g));
	for (size_t i = 0; i < p->n_keys; i++)
		g[i].key = p->keys[i];
	if (p->n_keys && store_load(x->w->store, x->rq->user, g, p->n_keys, NULL, NULL, x->a, e) < 0)
		return -1;
	text(p, "<table><tr><th>Device<th>Id<th>Program<th>Protocol<th>Last sync<th>Last seen<th>Policy</tr>\n");
	for (size_t i = 0; i < p->n_keys; i++) {
		struct device d;

		if (g[i].value.len && device_decode(x->a, x->rq->user, g[i].key, g[i].value, g[i].rev, &d, e) == 0)
			device_row(p, &d);
	}
	text(p, "</table>\n");
	return 0;
}

void info_page(struct exchange *x)
{
	struct page p = { .x = x, .b = blob_new(0) };
	struct err e;

	text(&p, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>ActiveSync</title>\n"
		 "<style>body{font:16px sans-serif;margin:2em}td,th{text-align:left;padding:.2em 1em .2em 0}</style>"
		 "</head><body>\n<h1>ActiveSync</h1>\n<p>This address is for phones: enter it there as the server of an "
		 "Exchange account.</p>\n<p>Account: <b>");
	escaped(&p, x->rq->user);
	text(&p, "</b> (");
	escaped(&p, exchange_address(x));
	text(&p, ")</p>\n");
	if (devices(&p, &e) < 0) {
		blob_free(&p.b);
		reply_fail(x, &e);
		return;
	}
	text(&p, "</body></html>\n");
	reply_wbxml(x, &p.b, 0);
	x->v->content_type = S("text/html; charset=utf-8");
	reply_header(x, "Cache-Control", S("no-store"));
	reply_header(x, "Content-Security-Policy", S("default-src 'none'; style-src 'unsafe-inline'"));
}
