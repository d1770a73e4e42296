/* config_toml.h - TOML behind a C interface: one call for each value of the
 * document, with where it stands. Plain C types, so that the one C++ file needs
 * no other header of ours. Any thread; nothing outlives the call. */
#ifndef CONFIG_TOML_H
#define CONFIG_TOML_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct toml_text {
	const char *ptr;
	size_t len;
};

enum toml_kind {
	TOML_STRING,
	TOML_INTEGER, /* text in decimal */
	TOML_FLOAT,
	TOML_BOOLEAN, /* text "true" or "false" */
	TOML_LIST,    /* of strings: items */
	TOML_OTHER,   /* dates, lists of anything else, tables too deep */
};

enum { TOML_PATH_MAX = 8 };

struct toml_value {
	struct toml_text path[TOML_PATH_MAX]; /* "store", "url" */
	size_t n_path;
	size_t row;               /* inside [[path[0]]]: its number; else 0 */
	int in_rows;              /* inside an array of tables */
	enum toml_kind kind;
	struct toml_text text;
	const struct toml_text *items;
	size_t n_items;
	unsigned key_line, key_column; /* from 1 */
	unsigned line, column;         /* of the value */
};

typedef void toml_value_fn(void *arg, const struct toml_value *v);

/* 0, or -1 with message (cut to n bytes) and place when the document is not TOML
 * or gives a key twice; nothing is called back then. */
int config_toml_parse(const char *doc, size_t len, toml_value_fn *fn, void *arg, char *message, size_t n,
		      unsigned *line_r, unsigned *column_r);

#ifdef __cplusplus
}
#endif
#endif
