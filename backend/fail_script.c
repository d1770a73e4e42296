/* fail_script.c - reads the script of fail.h. Pure, any thread. */
#include <stdlib.h>

#include "backend/fail_script.h"

static const char *const op_names[F_OPS] = {
	[F_LOGIN] = "login",
	[F_FOLDERS] = "folders",
	[F_FOLDER_CREATE] = "folder_create",
	[F_FOLDER_RENAME] = "folder_rename",
	[F_FOLDER_DELETE] = "folder_delete",
	[F_CHANGES] = "changes",
	[F_LOOKUP] = "lookup",
	[F_HEADS] = "heads",
	[F_PARTS] = "parts",
	[F_SET_FLAGS] = "set_flags",
	[F_MOVE] = "move",
	[F_REMOVE] = "remove",
	[F_APPEND] = "append",
	[F_FIND] = "find_message_id",
	[F_SUBMIT] = "submit",
	[F_WATCH_OPEN] = "watch_open",
	[F_WATCH_READ] = "watch_read",
	[F_ANY] = "any",
};

enum value { NO_VALUE, NUMBER, CODE };

static const struct {
	const char *name;
	enum fail_action action;
	enum value value;
} actions[] = {
	{ "temp", F_TEMP, NO_VALUE },   { "after", F_AFTER, NO_VALUE },     { "perm", F_PERM, CODE },
	{ "delay", F_DELAY, NUMBER },   { "lost", F_LOST, NO_VALUE },       { "truncate", F_TRUNCATE, NUMBER },
	{ "half", F_HALF, NUMBER },
};

static const struct {
	const char *name;
	enum err_code code;
} codes[] = {
#define X(name, http, advice) { #name, ERR_##name },
#include "base/err.def"
#undef X
};

const char *fail_op_name(enum fail_op op)
{
	return op_names[op];
}

static bool parse_op(struct slice s, struct fail_rule *r)
{
	for (int i = 0; i < F_OPS; i++)
		if (slice_eq(s, slice_str(op_names[i]))) {
			r->op = (enum fail_op)i;
			return true;
		}
	return false;
}

/* "#2-4" and the others, without the operation in front. */
static bool parse_when(struct slice s, struct fail_rule *r)
{
	struct slice rest = slice_from(s, 1);
	ptrdiff_t dash = slice_chr(rest, '-');

	r->when = F_RANGE;
	r->from = r->to = 1;
	if (s.len == 0)
		return true;
	switch (s.ptr[0]) {
	case '*':
		r->to = UINT64_MAX;
		return rest.len == 0;
	case '/':
		r->when = F_EVERY;
		return slice_u64(rest, &r->from) && r->from > 0;
	case '~':
		r->when = F_CHANCE;
		return slice_u64(rest, &r->from) && r->from <= 1000;
	case '#':
		if (dash < 0)
			return slice_u64(rest, &r->from) && (r->to = r->from) > 0;
		r->to = UINT64_MAX;
		return slice_u64(slice_to(rest, (size_t)dash), &r->from) &&
		       ((size_t)dash + 1 == rest.len || slice_u64(slice_from(rest, (size_t)dash + 1), &r->to));
	}
	return false;
}

static bool parse_value(struct slice s, enum value kind, struct fail_rule *r)
{
	r->code = ERR_BACKEND_PERM;
	if (kind == NUMBER)
		return slice_u64(s, &r->value);
	if (kind == NO_VALUE || s.len == 0)
		return s.len == 0;
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (slice_ieq(s, slice_str(codes[i].name))) {
			r->code = codes[i].code;
			return true;
		}
	return false;
}

static bool parse_action(struct slice s, struct fail_rule *r)
{
	ptrdiff_t eq = slice_chr(s, '=');
	struct slice name = eq < 0 ? s : slice_to(s, (size_t)eq);
	struct slice value = eq < 0 ? S_NONE : slice_from(s, (size_t)eq + 1);

	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (slice_eq(name, slice_str(actions[i].name))) {
			r->action = actions[i].action;
			return parse_value(value, actions[i].value, r);
		}
	return false;
}

/* What an action means depends on the operation; some pairs mean nothing. */
static bool fits(const struct fail_rule *r)
{
	if (r->action == F_HALF)
		return r->op == F_MOVE || r->op == F_REMOVE;
	if (r->action == F_TRUNCATE)
		return r->op == F_PARTS || r->op == F_CHANGES || r->op == F_FOLDERS || r->op == F_LOOKUP || r->op == F_HEADS;
	return true;
}

static bool parse_rule(struct slice s, struct fail_rule *r)
{
	size_t op = 0, gap;

	*r = (struct fail_rule){ 0 };
	while (op < s.len && ((s.ptr[op] >= 'a' && s.ptr[op] <= 'z') || s.ptr[op] == '_'))
		op++;
	for (gap = op; gap < s.len && s.ptr[gap] != ' ' && s.ptr[gap] != '\t'; gap++)
		;
	return parse_op(slice_to(s, op), r) && parse_when(slice_from(slice_to(s, gap), op), r) &&
	       parse_action(slice_trim(slice_from(s, gap)), r) && fits(r);
}

int fail_plan_parse(struct slice text, struct fail_plan *p_r, struct err *e)
{
	struct slice line, one;

	*p_r = (struct fail_plan){ 0 };
	while (slice_split(&text, '\n', &line)) {
		ptrdiff_t comment = -1;

		/* '#' also counts calls: a comment begins at the line's start or behind a blank. */
		for (size_t i = 0; i < line.len && comment < 0; i++)
			if (line.ptr[i] == '#' && (i == 0 || line.ptr[i - 1] == ' ' || line.ptr[i - 1] == '\t'))
				comment = (ptrdiff_t)i;
		if (comment >= 0)
			line = slice_to(line, (size_t)comment);
		while (slice_split(&line, ';', &one)) {
			struct fail_rule r;

			one = slice_trim(one);
			if (one.len == 0)
				continue;
			if (!parse_rule(one, &r)) {
				free(p_r->v);
				*p_r = (struct fail_plan){ 0 };
				return err_set(e, ERR_CONFIG, "fail script: cannot read \"%.*s\"", SARG(one));
			}
			p_r->v = mem_realloc(p_r->v, (p_r->n + 1) * sizeof(*p_r->v));
			p_r->v[p_r->n++] = r;
		}
	}
	return 0;
}
