/* fail_script.h - the script of fail.h as data. Inside fail*.c only. */
#ifndef BACKEND_FAIL_SCRIPT_H
#define BACKEND_FAIL_SCRIPT_H

#include "backend/fail.h"

enum fail_op {
	F_LOGIN, F_FOLDERS, F_FOLDER_CREATE, F_FOLDER_RENAME, F_FOLDER_DELETE, F_CHANGES, F_LOOKUP, F_HEADS, F_PARTS,
	F_SET_FLAGS, F_MOVE, F_REMOVE, F_APPEND, F_FIND, F_SUBMIT, F_WATCH_OPEN, F_WATCH_READ, F_ANY, F_OPS
};

enum fail_action { F_NONE, F_TEMP, F_AFTER, F_PERM, F_DELAY, F_LOST, F_TRUNCATE, F_HALF };

enum fail_when { F_RANGE, F_EVERY, F_CHANCE };

struct fail_rule {
	enum fail_op op;
	enum fail_when when;
	uint64_t from, to;      /* F_RANGE: counts, inclusive; F_EVERY, F_CHANCE: from */
	enum fail_action action;
	uint64_t value;         /* ms, bytes, entries */
	enum err_code code;     /* F_PERM */
};

struct fail_plan {
	struct fail_rule *v;    /* malloc */
	size_t n;
};

/* -1 ERR_CONFIG; *p_r is then empty. */
int fail_plan_parse(struct slice text, struct fail_plan *p_r, struct err *e);
const char *fail_op_name(enum fail_op op);

#endif
