/* test_settings.c - the settings table and snapshots made from it. */
#include "harness.h"

#include <stdio.h>

#include "base/settings_table.h"

static int set(struct settings *s, const char *k, const char *v, struct err *e)
{
	return settings_set(s, slice_str(k), slice_str(v), "test", e);
}

CASE(settings_defaults_are_typed)
{
	struct settings *s = settings_new();
	const struct slice *items;

	CHECK_STR(settings_str(s, "backend.mail"), "local");
	CHECK_INT(settings_int(s, "server.workers"), 128);
	CHECK_INT(settings_ms(s, "auth.cache"), 90 * 60000);
	CHECK_INT(settings_bytes(s, "limits.header_bytes"), 32768);
	CHECK(settings_bool(s, "net.tls_verify") && !settings_bool(s, "imap.shared"));
	CHECK_INT(settings_list(s, "push.sources", &items), 3);
	CHECK_STR(items[1], "idle");
	CHECK_INT(settings_list(s, "server.trusted_proxies", &items), 0);
	CHECK(!settings_given(s, "store.url"));
	settings_unref(&s);
	CHECK(s == NULL);
}

CASE(settings_every_row_is_sound)
{
	size_t n;
	const struct setting *t = settings_table(&n);

	for (size_t i = 0; i < n; i++) {
		const char *dot = strchr(t[i].name, '.');

		CHECK(settings_find(slice_str(t[i].name)) == &t[i]);
		CHECK(dot && settings_is_section(slice(t[i].name, (size_t)(dot - t[i].name))));
		CHECK(strlen(t[i].doc) > 5);
		CHECK(t[i].type == SETTING_ENUM ? t[i].words != NULL : true);
		if (t[i].type == SETTING_INT || t[i].type == SETTING_DURATION || t[i].type == SETTING_SIZE)
			CHECK(t[i].min < t[i].max);
	}
}

static void refused(const char *key, const char *value, const char *part)
{
	struct settings *s = settings_new();
	struct err e = { .code = ERR_NONE };

	CHECK_INT(set(s, key, value, &e), -1);
	CHECK_INT(e.code, ERR_CONFIG);
	if (!strstr(e.text, part))
		test_fail(__FILE__, __LINE__, "%s = %s: \"%s\" lacks \"%s\"", key, value, e.text, part);
	settings_unref(&s);
}

CASE(settings_refuse_with_what_is_legal)
{
	refused("server.workers", "many", "whole number");
	refused("server.workers", "1", "2 to 4096");
	refused("server.drain", "20", "number and a unit");
	refused("server.drain", "99999999999999999999s", "number and a unit");
	refused("server.drain", "9999999999999999d", "number and a unit");
	refused("limits.body_bytes", "20X", "number and a unit");
	refused("limits.body_bytes", "1K", "64K to");
	refused("server.listen", "127.0.0.1", "host:port");
	refused("server.listen", "127.0.0.1:8080,[::1]:99999", "host:port");
	refused("backend.mail", "imapp", "local imap");
	refused("push.sources", "idle,pigeon", "pigeon");
	refused("imap.shared", "maybe", "true or false");
	refused("store.uri", "x", "did you mean store.url");
	refused("imap.workers", "1", "did you mean server.workers");
	refused("policy.users.jane.MinDevicePasswordLenght", "4", "policy.MinDevicePasswordLength");
	refused("policy.users.jane.require", "off", "no such key");
	refused("policy.MaxDevicePasswordFailedAttempts", "3", "4 to 16");
	refused("store", "x", "section");
	refused("client.window", "5", "no such key");
}

static void count(void *arg, struct slice rest, struct slice value)
{
	int *n = arg;

	*n += 1;
	CHECK(rest.len > 0 && value.len > 0);
}

CASE(settings_policies_have_overrides)
{
	struct settings *s = settings_new();
	struct slice v;
	int n = 0;

	CHECK(!settings_user_str(s, S("jane"), "MinDevicePasswordLength", &v));
	CHECK_INT(set(s, "policy.MinDevicePasswordLength", "4", NULL), 0);
	CHECK_INT(set(s, "policy.DevicePasswordEnabled", "true", NULL), 0);
	CHECK_INT(set(s, "policy.require", "strict", NULL), 0);
	CHECK_INT(set(s, "policy.users.\"jane@example.org\".MinDevicePasswordLength", "8", NULL), 0);
	CHECK_INT(set(s, "policy.users.jane@example.org.AllowCamera", "false", NULL), 0);
	CHECK(settings_user_str(s, S("jane@example.org"), "MinDevicePasswordLength", &v));
	CHECK_STR(v, "8");
	CHECK(settings_user_str(s, S("joe"), "MinDevicePasswordLength", &v));
	CHECK_STR(v, "4");
	CHECK(settings_user_str(s, S("joe"), "DevicePasswordEnabled", &v));
	CHECK_STR(v, "1");
	CHECK(!settings_user_str(s, S("joe"), "require", &v));
	settings_each(s, "policy", count, &n);
	CHECK_INT(n, 2);
	settings_each(s, "policy.users.jane@example.org", count, &n);
	CHECK_INT(n, 4);
	settings_unref(&s);
}

CASE(settings_client_rows)
{
	struct settings *s = settings_new();
	size_t a = settings_client_new(s), b = settings_client_new(s);

	CHECK_INT(settings_client_set(s, a, S("type"), S("SAMSUNG*"), "f:1:1", NULL), 0);
	CHECK_INT(settings_client_set(s, b, S("heartbeat_max"), S("8m"), "f:2:1", NULL), 0);
	CHECK_INT(settings_client_set(s, b, S("colour"), S("x"), "f:3:1", NULL), -1);
	CHECK_INT(settings_clients(s), 2);
	CHECK_STR(settings_client_str(s, a, "type"), "SAMSUNG*");
	CHECK_STR(settings_client_str(s, b, "type"), "");
	CHECK_INT(settings_client_num(s, b, "heartbeat_max", -1), 480000);
	CHECK_INT(settings_client_num(s, a, "heartbeat_max", -1), -1);
	settings_unref(&s);
}

/* Every literal key that a getter is asked for, in the whole tree: a wrong one would
 * end the process on the first request that comes by. */
static const struct {
	const char *getter;
	unsigned types;
} getters[] = {
	{ "str", 1u << SETTING_STR | 1u << SETTING_SECRET | 1u << SETTING_ENUM | 1u << SETTING_ADDR },
	{ "bool", 1u << SETTING_BOOL },
	{ "int", 1u << SETTING_INT },
	{ "ms", 1u << SETTING_DURATION },
	{ "bytes", 1u << SETTING_SIZE },
	{ "list", 1u << SETTING_LIST | 1u << SETTING_ADDRS },
	{ "given", ~0u },
};

static size_t calls_checked;

static void check_call(const char *file, struct slice getter, struct slice key)
{
	const struct setting *row = settings_find(key);

	for (size_t i = 0; i < sizeof(getters) / sizeof(*getters); i++) {
		if (!slice_eq(getter, slice_str(getters[i].getter)))
			continue;
		calls_checked++;
		if (!row || !(getters[i].types & 1u << row->type))
			test_fail(file, 0, "settings_%.*s of \"%.*s\": no such key of that type", SARG(getter), SARG(key));
	}
}

/* settings_GETTER(anything but quotes and semicolons, "key" */
static void check_text(const char *file, struct slice t)
{
	const char *at;

	while (t.len && (at = memmem(t.ptr, t.len, "settings_", 9)) != NULL) {
		ptrdiff_t paren, quote, end;
		struct slice getter;

		t = slice_from(t, (size_t)(at - t.ptr) + 9);
		paren = slice_chr(t, '(');
		quote = slice_chr(t, '"');
		end = slice_chr(t, ';');
		if (paren < 0 || paren > 12 || quote < paren || (end >= 0 && end < quote))
			continue;
		getter = slice_to(t, (size_t)paren);
		t = slice_from(t, (size_t)quote + 1);
		check_call(file, getter, slice_to(t, (size_t)slice_chr(t, '"')));
	}
}

CASE(settings_asked_for_in_the_tree_exist)
{
	FILE *p = popen("find src backend bench -name '*.c' ! -path src/base/settings.c 2>/dev/null", "r");
	char file[512];

	CHECK(p);
	calls_checked = 0;
	while (fgets(file, sizeof(file), p)) {
		file[strcspn(file, "\n")] = 0;
		check_text(file, test_file(file));
	}
	pclose(p);
	CHECK(calls_checked > 50);
}
