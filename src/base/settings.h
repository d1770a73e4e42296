/* settings.h - one immutable snapshot of every setting, typed, by name.
 * The table is src/settings.def (one row a key: type, default, bounds, doc);
 * src/config.c fills a snapshot from defaults, zpushd.toml, environment and
 * --set. Rooms below src/ read it here and know nothing of TOML.
 * Thread: read-only after load, shared by all threads. A reload (SIGHUP) makes
 * a new snapshot; who holds the old one keeps it with settings_ref.
 * A getter asked for a key that the table does not have, or of another type,
 * is a bug of ours and asserts. */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/err.h"

struct settings;

struct settings *settings_ref(struct settings *s);
void settings_unref(struct settings **s);

/* Empty slice when unset. Valid as long as the snapshot. */
struct slice settings_str(const struct settings *s, const char *key);
bool settings_bool(const struct settings *s, const char *key);
int64_t settings_int(const struct settings *s, const char *key);
int64_t settings_ms(const struct settings *s, const char *key);    /* durations */
uint64_t settings_bytes(const struct settings *s, const char *key); /* sizes */
size_t settings_list(const struct settings *s, const char *key, const struct slice **items_r);
/* Free tables under a prefix, such as policy.users."name".*: calls back with
 * the rest of the key behind "prefix." and the value as text. */
void settings_each(const struct settings *s, const char *prefix,
		   void (*fn)(void *arg, struct slice rest, struct slice value), void *arg);
/* policy.users."user".KEY when given, else policy.KEY. Same for ints. */
bool settings_user_str(const struct settings *s, struct slice user, const char *key, struct slice *v_r);

#endif
