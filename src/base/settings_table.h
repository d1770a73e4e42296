/* settings_table.h - the rows behind settings.h and how a snapshot is filled.
 * For src/config.c, tests and the simulation; rooms that only read settings
 * include settings.h. A snapshot is filled by one thread before it is shared. */
#ifndef BASE_SETTINGS_TABLE_H
#define BASE_SETTINGS_TABLE_H

#include "base/arena.h"
#include "base/settings.h"

enum setting_type {
	SETTING_STR,
	SETTING_SECRET,   /* masked in print-config; environment also as ..._FILE */
	SETTING_BOOL,
	SETTING_INT,
	SETTING_DURATION, /* milliseconds; "55s", "12h", "180d", "1500ms" */
	SETTING_SIZE,     /* bytes; "20M", powers of 1024 */
	SETTING_ENUM,     /* one of words */
	SETTING_LIST,     /* each one of words, when there are words */
	SETTING_ADDR,     /* "host:port", "[v6]:port", "unix:/path"; empty: off */
	SETTING_ADDRS,
};

/* Units of min and max. */
#define SETTING_S   INT64_C(1000)
#define SETTING_MIN (60 * SETTING_S)
#define SETTING_H   (60 * SETTING_MIN)
#define SETTING_DAY (24 * SETTING_H)
#define SETTING_KIB INT64_C(1024)
#define SETTING_MIB (1024 * SETTING_KIB)

enum setting_flags {
	SETTING_LIVE = 1 << 0,  /* SIGHUP is enough; else a restart */
	SETTING_UNSET = 1 << 1, /* has no default: absent means nothing is said (policies) */
};

struct setting {
	const char *name;  /* "section.key" */
	enum setting_type type;
	const char *def;   /* as in the environment: lists joined by commas */
	int64_t min, max;  /* INT: number, DURATION: ms, SIZE: bytes */
	const char *words; /* blank-separated, NULL: any */
	unsigned flags;
	const char *doc;   /* what and why, for zpushd.toml */
};

/* All rows in the order of settings.def; [[client]] columns are named "client.X". */
const struct setting *settings_table(size_t *n_r);
const struct setting *settings_find(struct slice name); /* NULL: no such key */
bool settings_is_section(struct slice name);
const char *settings_section_doc(struct slice name);
/* The known key that a typing error most likely meant; NULL when none is near. */
const char *settings_nearest(struct slice name);

/* All defaults. The caller's; settings_unref frees. */
struct settings *settings_new(void);
/* name "section.key" or policy.users."user".KEY (quotes optional in text sources
 * when the user has no dot). origin: "zpushd.toml:3:7", "--set", … copied.
 * -1 ERR_CONFIG says what is legal, without naming the origin. */
int settings_set(struct settings *s, struct slice name, struct slice text, const char *origin, struct err *e);
int settings_set_items(struct settings *s, struct slice name, const struct slice *items, size_t n, const char *origin,
		       struct err *e);
int settings_set_user(struct settings *s, struct slice user, struct slice key, struct slice text, const char *origin,
		      struct err *e);
/* A new [[client]] row; its number. */
size_t settings_client_new(struct settings *s);
int settings_client_set(struct settings *s, size_t row, struct slice column, struct slice text, const char *origin,
			struct err *e);

/* For print-config: where a value came from ("default") and its text form. */
const char *settings_origin(const struct settings *s, const char *key);
struct slice settings_text(const struct settings *s, const char *key);

/* Overrides in the order they came: policy.users."user".key. */
void settings_each_user(const struct settings *s,
			void (*fn)(void *arg, struct slice user, const struct setting *row, struct slice text, const char *origin),
			void *arg);
const char *settings_client_origin(const struct settings *s, size_t row, const char *column); /* NULL: not given */
/* A reload: keys without SETTING_LIVE get the value of old back; fn for each that differed. */
void settings_keep_restart(struct settings *s, const struct settings *old, void (*fn)(void *arg, const char *key), void *arg);

/* Values as text. -1 ERR_CONFIG. */
int setting_parse_ms(struct slice text, int64_t *ms_r, struct err *e);
int setting_parse_size(struct slice text, int64_t *bytes_r, struct err *e);
int setting_check_address(struct slice text, struct err *e);

#endif
