/* wire.h - bytes and tokens of IMAP over a stream: a pull tokenizer that never
 * holds a response, and a buffer that collects commands until they are flushed
 * together (that is what makes several commands one round trip).
 * Worker threads, one owner. Blocks until the stream's deadline.
 *
 * Why not libetpan, which the design names: Debian's 1.9.4 was tried first over a
 * mailstream_low_driver of ours. It keeps whole responses (100,000 flags: 75 MB,
 * its msg_att handler is not called), recurses on lists (4 KB of "(" end a thread
 * of 1 MiB stack), holds a part twice, and gives up the session at any line it
 * does not know (untagged ESEARCH, vendors' lines). Nothing here recurses, and
 * memory does not depend on what the server sends.
 *
 * Failure is sticky: after the first one every call gives TOK_FAIL or -1 and
 * w->err says why; so callers check once, at the end of a response. */
#ifndef IMAP_WIRE_H
#define IMAP_WIRE_H

#include "base/arena.h"
#include "base/blob.h"
#include "base/stream.h"

enum {
	WIRE_IN = 8192,
	WIRE_TEXT_MAX = 256 * 1024,    /* longest atom, quoted string or status line that is kept */
	WIRE_LITERAL_MAX = 1 << 30,    /* a bigger one ends the session */
	WIRE_STRING_MAX = 64 * 1024,   /* what is kept of a string; the rest is read and dropped */
};

enum tok_kind { TOK_FAIL, TOK_ATOM, TOK_QUOTED, TOK_LITERAL, TOK_OPEN, TOK_CLOSE, TOK_EOL };

struct tok {
	enum tok_kind kind;
	struct slice text; /* ATOM, QUOTED: valid until the next call */
	uint64_t size;     /* LITERAL: bytes that follow; what is not taken is skipped */
};

struct wire {
	struct stream *s;
	struct err err;
	bool failed;
	size_t at, end;
	uint64_t literal_left;
	char *text;        /* scratch of tokens and lines; owned */
	size_t text_len, text_cap;
	char *out;         /* commands not flushed yet; owned */
	size_t out_len, out_cap;
	char in[WIRE_IN];
};

void wire_init(struct wire *w, struct stream *s); /* takes s */
void wire_deinit(struct wire *w);
/* Always -1; the first failure stays. */
int wire_fail(struct wire *w, enum err_code code, const char *why);

/* -- reading -- */
void wire_token(struct wire *w, struct tok *t_r);
/* The rest of the line without its end, valid until the next call. */
struct slice wire_line(struct wire *w);
/* Skips the rest of the line with the literals in it. */
void wire_skip_line(struct wire *w);
/* Skips the value that begins with t: nothing more for an atom, all of a list. */
void wire_skip_value(struct wire *w, const struct tok *t);
/* Text of an atom, quoted string or literal (cut at max), in the arena; empty for
 * NIL. A list is skipped and gives empty. */
struct slice wire_string(struct wire *w, const struct tok *t, struct arena *a, size_t max);
/* Appends the string or literal to out, at most max bytes of it (0: all). */
void wire_to_blob(struct wire *w, const struct tok *t, struct blob *out, uint64_t max);
/* A complete line lies in the buffer. */
bool wire_has_line(const struct wire *w);
/* Would reading return at once? */
bool wire_readable(const struct wire *w);
bool tok_is(const struct tok *t, const char *atom);

/* -- writing -- */
void wire_put(struct wire *w, const void *p, size_t n);
void wire_printf(struct wire *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As a quoted string. The caller has made sure that there is no CR, LF, NUL or 8-bit byte. */
void wire_quoted(struct wire *w, struct slice s);
int wire_flush(struct wire *w);

#endif
