/* settings_table.c - the rows of settings.def, their index by name, and the
 * nearest name for a typing error. Any thread; constant after the first look. */
#include "base/settings_table.h"

#include <pthread.h>

enum { INDEX_SIZE = 1024 }; /* power of two, at least twice the rows */

static const struct setting table[] = {
#define SECTION(name, doc)
#define X(n, t, d, lo, hi, w, f, doc) { n, SETTING_##t, d, lo, hi, w, f, doc },
#include "settings.def"
#undef X
#undef SECTION
};
enum { ROWS = sizeof(table) / sizeof(*table) };
_Static_assert(ROWS * 2 <= INDEX_SIZE, "raise INDEX_SIZE");

static const struct {
	const char *name, *doc;
} sections[] = {
#define SECTION(name, doc) { name, doc },
#define X(n, t, d, lo, hi, w, f, doc)
#include "settings.def"
#undef X
#undef SECTION
};

static uint16_t index_of[INDEX_SIZE]; /* row + 1, open addressing */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build_index(void)
{
	for (size_t i = 0; i < ROWS; i++) {
		size_t at = slice_hash(slice_str(table[i].name)) % INDEX_SIZE;

		while (index_of[at])
			at = (at + 1) % INDEX_SIZE;
		index_of[at] = (uint16_t)(i + 1);
	}
}

const struct setting *settings_table(size_t *n_r)
{
	*n_r = ROWS;
	return table;
}

const struct setting *settings_find(struct slice name)
{
	size_t at = slice_hash(name) % INDEX_SIZE;

	pthread_once(&once, build_index);
	for (; index_of[at]; at = (at + 1) % INDEX_SIZE)
		if (slice_eq(slice_str(table[index_of[at] - 1].name), name))
			return &table[index_of[at] - 1];
	return NULL;
}

const char *settings_section_doc(struct slice name)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++)
		if (slice_eq(slice_str(sections[i].name), name))
			return sections[i].doc;
	return NULL;
}

bool settings_is_section(struct slice name)
{
	return settings_section_doc(name) != NULL;
}

/* Edit distance of two short names, adjacent letters swapped counting one;
 * 99 when one is too long for the rows kept here. */
static unsigned distance(struct slice a, struct slice b)
{
	unsigned d[3][80];
	unsigned *two = d[0], *one = d[1], *now = d[2];

	if (a.len >= 80 || b.len >= 80)
		return 99;
	for (size_t j = 0; j <= b.len; j++)
		one[j] = (unsigned)j;
	for (size_t i = 1; i <= a.len; i++) {
		unsigned *t = two;

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b.len; j++) {
			unsigned best = one[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);

			if (one[j] + 1 < best)
				best = one[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
			    two[j - 2] + 1 < best)
				best = two[j - 2] + 1;
			now[j] = best;
		}
		two = one;
		one = now;
		now = t;
	}
	return one[b.len];
}

static struct slice last_part(struct slice name)
{
	for (size_t i = name.len; i > 0; i--)
		if (name.ptr[i - 1] == '.')
			return slice_from(name, i);
	return name;
}

/* The right key in the wrong section is as likely as a typing error. */
const char *settings_nearest(struct slice name)
{
	const char *best = NULL;
	unsigned least = (unsigned)name.len / 3 + 1;

	for (size_t i = 0; i < ROWS; i++) {
		struct slice row = slice_str(table[i].name);
		unsigned d = distance(name, row);

		if (d > 1 && slice_ieq(last_part(name), last_part(row)))
			d = 1;
		if (d < least) {
			least = d;
			best = table[i].name;
		}
	}
	return best;
}
