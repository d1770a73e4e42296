/* utf8.h - a growing run of bytes, and UTF-8 that WBXML and XML 1.0 can carry:
 * well-formed, no NUL, no C0 control but tab, LF and CR, no U+FFFE/U+FFFF.
 * Pure functions, any thread. */
#ifndef PROTO_UTF8_H
#define PROTO_UTF8_H

#include "base/arena.h"

/* A run of bytes that grows in an arena up to a limit; past it bytes are
 * dropped and `full` is set. `total` counts all bytes ever offered. */
struct bytes {
	struct arena *arena;
	char *p;
	size_t n, cap, limit;
	uint64_t total;
	bool full;
};

void bytes_init(struct bytes *b, struct arena *a, size_t limit_bytes);
void bytes_add(struct bytes *b, const void *p, size_t n);
static inline void bytes_slice(struct bytes *b, struct slice s)
{
	bytes_add(b, s.ptr, s.len);
}
static inline void bytes_char(struct bytes *b, char c)
{
	bytes_add(b, &c, 1);
}
static inline struct slice bytes_get(const struct bytes *b)
{
	return (struct slice){ b->p, b->n };
}

bool utf8_valid(struct slice s);          /* well-formed */
bool utf8_clean(struct slice s);          /* valid in the sense above */
/* Makes it so; the input itself when it is clean already. */
struct slice utf8_make_clean(struct arena *a, struct slice s);
/* At most n bytes, cut at a character boundary. */
struct slice utf8_cut(struct slice s, size_t n_bytes);
/* Without the begin of a character at the very end. */
struct slice utf8_whole(struct slice s);
/* At most n characters (code points). */
struct slice utf8_cut_chars(struct slice s, size_t n_chars);
size_t utf8_chars(struct slice s);
void utf8_put(struct bytes *out, uint32_t code_point); /* not encodable: U+FFFD */

/* Length of the character at s (n >= 1 bytes there), 0: cut off, -1: broken. */
int utf8_step(const char *s, size_t n);
/* Bytes of well-formed text at the front; *cut_r: what follows is the begin of
 * a character at the very end. */
size_t utf8_valid_prefix(struct slice s, bool *cut_r);

/* Streaming form of utf8_make_clean; start zeroed. */
struct utf8_cleaner {
	char hold[4];
	unsigned held;
};
void utf8_cleaner_feed(struct utf8_cleaner *c, struct slice in, struct bytes *out);
void utf8_cleaner_end(struct utf8_cleaner *c, struct bytes *out);

#endif
