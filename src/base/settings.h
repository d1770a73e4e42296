/* settings.h - one immutable snapshot of every setting, typed, by name.
 * The table is src/settings.def (one row a key: type, default, bounds, doc);
 * src/config.c fills a snapshot from defaults, zpushd.toml, environment and
 * --set. Rooms below src/ read it here and know nothing of TOML.
 * Thread: read-only after load, shared by all threads. A reload (SIGHUP) makes
 * a new snapshot; who holds the old one keeps it with settings_ref.
 * A getter asked for a key that the table does not have, or of another type,
 * is a bug of ours and asserts.
 * Policies and free tables come as text: a number in decimal, a boolean as 1 or
 * 0 (what the wire wants), a list joined by commas. Tests and the simulation
 * make a snapshot by settings_new and settings_set (settings_table.h). */
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
/* Does the list hold that word? */
bool settings_list_has(const struct settings *s, const char *key, struct slice word);
size_t settings_list(const struct settings *s, const char *key, const struct slice **items_r);
/* Every key below a prefix that somebody set, such as "policy" (rest
 * "MinDevicePasswordLength") or "policy.users.jane" (her own): calls back with
 * the rest of the key behind "prefix." and the value as text. */
void settings_each(const struct settings *s, const char *prefix,
		   void (*fn)(void *arg, struct slice rest, struct slice value), void *arg);
/* policy.users."user".KEY when given, else policy.KEY; false when neither is. */
bool settings_user_str(const struct settings *s, struct slice user, const char *key, struct slice *v_r);
/* Is anything said of this user alone? */
bool settings_names_user(const struct settings *s, struct slice user);
/* Did anyone say it, in file, environment or --set? (else its default stands) */
bool settings_given(const struct settings *s, const char *key);

/* [[client]] rows in the order of the file; columns as in settings.def without
 * "client.". _str: empty when the row does not say; _num (integers, durations in
 * ms, sizes in bytes): `absent`. */
size_t settings_clients(const struct settings *s);
struct slice settings_client_str(const struct settings *s, size_t row, const char *column);
int64_t settings_client_num(const struct settings *s, size_t row, const char *column, int64_t absent);

#endif
