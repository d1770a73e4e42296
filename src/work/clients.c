/* clients.c - [[client]] rules compiled to rows, and looked up. Read-only after
 * clients_new; any thread. Owns its rows; strings are the settings' snapshot's.
 * The trap: a rule of the admin replaces what stands for everybody, a built-in one
 * only narrows it (clients.def), so that a bound set on purpose is never loosened
 * by a row that nobody sees. */
#include "work/clients.h"

#include <stdlib.h>

#include "proto/bodypick.h"
#include "proto/query.h"
#include "work/gate.h"
#include "work/sync_options.h"

/* 0 or NULL: nothing is said. */
struct client_rule {
	const char *name, *type, *agent, *version;
	int max_version;
	int64_t heartbeat_min_ms, heartbeat_max_ms, answer_ms;
	int64_t window, truncation; /* truncation: bytes + 1 */
	const char *extra_folders;
	unsigned quirks;
};

static const struct client_rule built_in[] = {
#define CLIENT(n, t, a, v, ...) { .name = n, .type = t, .agent = a, .version = v, __VA_ARGS__ },
#include "work/clients.def"
#undef CLIENT
};

struct clients {
	struct settings *set;
	struct arena *a;
	struct client_rule *v;
	size_t n;
	struct client_traits everybody;
	bool folders_by_rule; /* devices.extra_folders = "auto" */
};

static const struct {
	const char *word;
	unsigned quirk;
} quirks[] = {
	{ "no_gzip", QUIRK_NO_GZIP },
	{ "no_provision", QUIRK_NO_PROVISION },
};

/* --- compiling ------------------------------------------------------------------ */

static int quirks_of(struct slice list, unsigned *q_r, struct err *e)
{
	struct slice word;

	*q_r = 0;
	while (slice_split(&list, ',', &word)) {
		unsigned found = 0;

		word = slice_trim(word);
		for (size_t i = 0; i < sizeof(quirks) / sizeof(*quirks); i++)
			if (slice_eq(word, slice_str(quirks[i].word)))
				found = quirks[i].quirk;
		if (word.len && !found)
			return err_set(e, ERR_CONFIG, "client.quirks: no quirk \"%.*s\"", SARG(slice_to(word, 40)));
		*q_r |= found;
	}
	return 0;
}

/* NULL when the rule does not say. */
static const char *text_of(struct clients *c, size_t row, const char *column)
{
	struct slice v = settings_client_str(c->set, row, column);

	return v.len ? arena_str(c->a, v) : NULL;
}

static int compile(struct clients *c, size_t row, struct client_rule *r, struct err *e)
{
	struct slice version = settings_client_str(c->set, row, "max_version");

	r->name = text_of(c, row, "name");
	r->type = text_of(c, row, "type");
	r->agent = text_of(c, row, "agent");
	r->version = text_of(c, row, "version");
	r->max_version = version.len ? eas_version_parse(version) : 0;
	r->heartbeat_min_ms = settings_client_num(c->set, row, "heartbeat_min", 0);
	r->heartbeat_max_ms = settings_client_num(c->set, row, "heartbeat_max", 0);
	r->answer_ms = settings_client_num(c->set, row, "answer", 0);
	r->window = settings_client_num(c->set, row, "window", 0);
	r->truncation = settings_client_num(c->set, row, "truncation", -1) + 1;
	r->extra_folders = text_of(c, row, "extra_folders");
	if (!r->name)
		r->name = arena_printf(c->a, "client %zu", row + 1).ptr;
	if (r->heartbeat_min_ms && r->heartbeat_max_ms && r->heartbeat_min_ms > r->heartbeat_max_ms)
		return err_set(e, ERR_CONFIG, "client.heartbeat_min of \"%s\" is above its heartbeat_max", r->name);
	return quirks_of(settings_client_str(c->set, row, "quirks"), &r->quirks, e);
}

static void everybody(struct clients *c)
{
	struct slice folders = settings_str(c->set, "devices.extra_folders");

	c->folders_by_rule = slice_eq(folders, S("auto"));
	c->everybody = (struct client_traits){
		.max_version = EAS_141,
		.heartbeat_min_ms = settings_ms(c->set, "push.heartbeat_min"),
		.heartbeat_max_ms = settings_ms(c->set, "push.heartbeat_max"),
		.answer_ms = settings_ms(c->set, "limits.reply_time"),
		.window = SYNC_WINDOW_MAX,
		.truncation = BODY_UNLIMITED,
		.default_folders_only = slice_eq(folders, S("hide")),
	};
}

int clients_new(struct clients **c_r, struct settings *set, struct err *e)
{
	struct clients *c = mem_alloc(sizeof(*c));

	c->set = settings_ref(set);
	c->a = arena_new();
	c->n = settings_clients(set);
	c->v = arena_alloc(c->a, (c->n + 1) * sizeof(*c->v));
	everybody(c);
	*c_r = c;
	for (size_t i = 0; i < c->n; i++)
		if (compile(c, i, &c->v[i], e) < 0) {
			clients_free(c_r);
			return -1;
		}
	return 0;
}

void clients_free(struct clients **cp)
{
	struct clients *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	arena_free(&c->a);
	settings_unref(&c->set);
	free(c);
}

/* --- looking up ------------------------------------------------------------------- */

static bool fits(const char *pattern, struct slice text)
{
	return !pattern || gate_glob(slice_str(pattern), text);
}

static const struct client_rule *find(const struct client_rule *v, size_t n, struct slice type, struct slice agent,
				      struct slice version)
{
	for (size_t i = 0; i < n; i++)
		if (fits(v[i].type, type) && fits(v[i].agent, agent) && fits(v[i].version, version))
			return &v[i];
	return NULL;
}

static void replace(const struct client_rule *r, struct client_traits *t)
{
	if (r->heartbeat_min_ms)
		t->heartbeat_min_ms = r->heartbeat_min_ms;
	if (r->heartbeat_max_ms)
		t->heartbeat_max_ms = r->heartbeat_max_ms;
	if (r->answer_ms)
		t->answer_ms = r->answer_ms;
}

static int64_t least(int64_t have, int64_t said)
{
	return said && said < have ? said : have;
}

static void narrow(const struct client_rule *r, struct client_traits *t)
{
	t->heartbeat_min_ms = least(t->heartbeat_min_ms, r->heartbeat_min_ms);
	t->heartbeat_max_ms = least(t->heartbeat_max_ms, r->heartbeat_max_ms);
	t->answer_ms = least(t->answer_ms, r->answer_ms);
}

static void apply(const struct clients *c, const struct client_rule *r, struct client_traits *t)
{
	t->rule = slice_str(r->name);
	if (r->max_version)
		t->max_version = r->max_version;
	if (r->window)
		t->window = (size_t)r->window;
	if (r->truncation)
		t->truncation = (uint64_t)r->truncation - 1;
	if (r->extra_folders && c->folders_by_rule)
		t->default_folders_only = strcmp(r->extra_folders, "hide") == 0;
	t->quirks = r->quirks;
}

void clients_find(const struct clients *c, struct slice type, struct slice agent, int version,
		  struct client_traits *t_r)
{
	const char *name = version ? eas_version_name(version) : NULL;
	struct slice v = slice_str(name ? name : "");
	const struct client_rule *r = find(c->v, c->n, type, agent, v);

	*t_r = c->everybody;
	if (r) {
		replace(r, t_r);
	} else {
		r = find(built_in, sizeof(built_in) / sizeof(*built_in), type, agent, v);
		if (!r)
			return;
		narrow(r, t_r);
	}
	apply(c, r, t_r);
	/* A rule gives one bound, the settings the other. */
	if (t_r->heartbeat_max_ms < t_r->heartbeat_min_ms) {
		if (r->heartbeat_max_ms)
			t_r->heartbeat_min_ms = t_r->heartbeat_max_ms;
		else
			t_r->heartbeat_max_ms = t_r->heartbeat_min_ms;
	}
}

void clients_cap_body(const struct client_traits *t, struct arena *a, struct body_want *w)
{
	struct body_pref *out;

	if (t->truncation == BODY_UNLIMITED)
		return;
	out = arena_alloc(a, (w->n_pref + 1) * sizeof(*out));
	for (size_t i = 0; i < w->n_pref; i++) {
		out[i] = w->pref[i];
		if (out[i].truncation > t->truncation)
			out[i].truncation = t->truncation;
	}
	w->pref = out;
	if (w->mime_truncation > t->truncation)
		w->mime_truncation = t->truncation;
}

bool clients_shows(const struct client_traits *t, enum folder_type type)
{
	return !t->default_folders_only || (type >= FOLDER_INBOX && type <= FOLDER_JOURNAL);
}
