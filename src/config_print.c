/* config_print.c - settings as TOML: those in force with their origin, and the
 * documented defaults that zpushd.toml in the tree consists of. Main thread.
 * Secrets never leave here: set or not is all that is shown. */
#include "config.h"

#include <ctype.h>

enum { WIDTH = 96 };

static void put_quoted(FILE *f, struct slice s)
{
	fputc('"', f);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

/* redis://user:PASS@host: what stands between is not for a screen. */
static void put_masked(FILE *f, struct slice s)
{
	const char *sep = memmem(s.ptr, s.len, "://", 3), *at = memrchr(s.ptr, '@', s.len);
	const char *colon = sep && at && sep < at ? memchr(sep + 3, ':', (size_t)(at - sep - 3)) : NULL;
	char text[1024];

	if (colon) {
		snprintf(text, sizeof(text), "%.*s***%.*s", (int)(colon + 1 - s.ptr), s.ptr, (int)(s.ptr + s.len - at), at);
		s = slice_str(text);
	}
	put_quoted(f, s);
}

static void put_list(FILE *f, struct slice text)
{
	struct slice part;
	const char *comma = "";

	fputc('[', f);
	while (text.len && slice_split(&text, ',', &part)) {
		fputs(comma, f);
		put_quoted(f, part);
		comma = ", ";
	}
	fputc(']', f);
}

static void put_value(FILE *f, const struct setting *row, struct slice text)
{
	switch (row->type) {
	case SETTING_BOOL:
		fputs(slice_eq(text, S("1")) || slice_eq(text, S("true")) ? "true" : "false", f);
		return;
	case SETTING_INT:
		fprintf(f, "%.*s", SARG(text));
		return;
	case SETTING_LIST:
	case SETTING_ADDRS:
		put_list(f, text);
		return;
	case SETTING_SECRET:
		put_quoted(f, text.len ? S("***") : S(""));
		return;
	default:
		put_masked(f, text);
	}
}

static struct slice section_of(const struct setting *row)
{
	return slice(row->name, strcspn(row->name, "."));
}

static const char *key_of(const struct setting *row)
{
	return row->name + section_of(row).len + 1;
}

struct user_printer {
	FILE *f;
	struct slice last;
};

static void print_user(void *arg, struct slice user, const struct setting *row, struct slice text, const char *origin)
{
	struct user_printer *p = arg;

	if (!slice_eq(p->last, user) || !p->last.ptr) {
		fputs("\n[policy.users.", p->f);
		put_quoted(p->f, user);
		fputs("]\n", p->f);
		p->last = user;
	}
	fprintf(p->f, "%s = ", key_of(row));
	put_value(p->f, row, text);
	fprintf(p->f, "  # %s\n", origin);
}

static void print_clients(FILE *f, const struct settings *s)
{
	size_t n;
	const struct setting *t = settings_table(&n);

	for (size_t r = 0; r < settings_clients(s); r++) {
		fputs("\n[[client]]\n", f);
		for (size_t i = 0; i < n; i++) {
			const char *origin;

			if (!slice_eq(section_of(&t[i]), S("client")))
				continue;
			origin = settings_client_origin(s, r, key_of(&t[i]));
			if (!origin)
				continue;
			fprintf(f, "%s = ", key_of(&t[i]));
			put_value(f, &t[i], settings_client_str(s, r, key_of(&t[i])));
			fprintf(f, "  # %s\n", origin);
		}
	}
}

void config_print(FILE *f, const struct settings *s)
{
	struct user_printer p = { f, S_NONE };
	struct slice section = S_NONE;
	size_t n;
	const struct setting *t = settings_table(&n);

	for (size_t i = 0; i < n; i++) {
		if (slice_eq(section_of(&t[i]), S("client")))
			continue;
		if (t[i].flags & SETTING_UNSET && !settings_given(s, t[i].name))
			continue;
		if (!slice_eq(section, section_of(&t[i]))) {
			fprintf(f, "%s[%.*s]\n", section.len ? "\n" : "", SARG(section_of(&t[i])));
			section = section_of(&t[i]);
		}
		fprintf(f, "%s = ", key_of(&t[i]));
		put_value(f, &t[i], settings_text(s, t[i].name));
		fprintf(f, "  # %s\n", settings_origin(s, t[i].name));
	}
	settings_each_user(s, print_user, &p);
	print_clients(f, s);
}

/* Comment lines of at most WIDTH columns, broken at blanks. */
static void put_comment(FILE *f, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (column == 0 || column + 1 + word > WIDTH) {
			fputs(column ? "\n#" : "#", f);
			column = 1;
		}
		fprintf(f, " %.*s", (int)word, text);
		column += 1 + word;
		text += word + (text[word] == ' ');
	}
	fputc('\n', f);
}

/* A value that shows the form, for rows without default. */
static void put_sample(FILE *f, const struct setting *row)
{
	struct slice rest = slice_str(row->words ? row->words : ""), word = S("...");

	switch (row->type) {
	case SETTING_BOOL:
		fputs("true", f);
		return;
	case SETTING_INT:
		fprintf(f, "%lld", (long long)(row->min > 0 ? row->min : 0));
		return;
	case SETTING_DURATION:
		fputs("\"8m\"", f);
		return;
	case SETTING_SIZE:
		fputs("\"32K\"", f);
		return;
	case SETTING_LIST:
		fputs("[\"...\"]", f);
		return;
	default:
		if (rest.len)
			slice_split(&rest, ' ', &word);
		put_quoted(f, word);
	}
}

static void put_bounds(FILE *f, const struct setting *row)
{
	if (row->words && row->type == SETTING_ENUM)
		fprintf(f, "# One of: %s.\n", row->words);
	else if (row->words)
		fprintf(f, "# Any of: %s.\n", row->words);
	if (row->type == SETTING_INT)
		fprintf(f, "# %lld to %lld.\n", (long long)row->min, (long long)row->max);
}

static void put_default(FILE *f, const struct setting *row)
{
	put_comment(f, row->doc);
	put_bounds(f, row);
	fprintf(f, "# %s = ", key_of(row));
	if (row->flags & SETTING_UNSET)
		put_sample(f, row);
	else
		put_value(f, row, slice_str(row->def));
	fputc('\n', f);
}

static const char *const head[] = {
	"# zpushd.toml - every setting with its default, commented out, and why it is so.",
	"#",
	"# Command line (--set section.key=value) > environment (ZPUSHD_SECTION_KEY; a secret also as",
	"# ZPUSHD_SECTION_KEY_FILE) > this file > default. `zpushd --check` names faults by line and",
	"# column, `zpushd --print-config` shows what is in force and where it came from. Durations",
	"# are \"55s\", \"12h\", \"180d\", sizes \"20M\", addresses \"host:port\" or \"unix:/path\".",
	"#",
	"# As it stands it serves the accounts of the `local` backend. For a real mail server these",
	"# lines are enough:",
	"#",
	"#   [store]",
	"#   url = \"redis://127.0.0.1:6379/0\"",
	"#   [backend]",
	"#   mail = \"imap\"",
	"#   [imap]",
	"#   url = \"imap://127.0.0.1:143\"",
	"#   [smtp]",
	"#   url = \"smtp://127.0.0.1:25\"",
	"#",
	"# Written by `zpushd --print-defaults` from src/settings.def; a test keeps them equal.",
};

static void put_section(FILE *f, struct slice section)
{
	fputs("\n", f);
	put_comment(f, settings_section_doc(section));
	if (slice_eq(section, S("client")))
		fputs("# [[client]]\n", f);
	else
		fprintf(f, "[%.*s]\n", SARG(section));
}

void config_print_defaults(FILE *f)
{
	struct slice section = S_NONE;
	size_t n;
	const struct setting *t = settings_table(&n);

	for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
		fprintf(f, "%s\n", head[i]);
	for (size_t i = 0; i < n; i++) {
		if (!slice_eq(section, section_of(&t[i]))) {
			section = section_of(&t[i]);
			put_section(f, section);
		} else {
			fputc('\n', f);
		}
		put_default(f, &t[i]);
	}
}
