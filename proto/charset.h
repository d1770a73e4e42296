/* charset.h - any bytes to UTF-8 that WBXML and XML 1.0 can carry, and the
 * transfer encodings of mail. Pure functions, any thread, no I/O. Result
 * strings live in the caller's arena, or are the input where nothing had to
 * change. Valid here means: well-formed UTF-8, no NUL, no C0 control but tab,
 * LF and CR, no U+FFFE/U+FFFF (XML 1.0, 2.2). Never fails: bad bytes turn
 * into U+FFFD, an unknown charset is guessed. */
#ifndef PROTO_CHARSET_H
#define PROTO_CHARSET_H

#include "proto/utf8.h"

enum transfer { /* Content-Transfer-Encoding */
	TRANSFER_7BIT,
	TRANSFER_8BIT,
	TRANSFER_BINARY,
	TRANSFER_BASE64,
	TRANSFER_QP,
	TRANSFER_UU,
};

/* Of a header value or a BODYSTRUCTURE string, any case; unknown: 8BIT. */
enum transfer transfer_parse(struct slice name);

/* -- transfer decoding, streaming -- any split of the input gives the same
 * output. Junk in base64 is skipped; a broken =XX of quoted-printable stays as
 * it is; uuencode reads between "begin" and "end". */
struct transfer_reader {
	enum transfer kind;
	uint32_t acc;
	unsigned bits;
	bool end;
	unsigned held; /* bytes of `hold`: an unfinished =XX, blanks before an EOL, or a uu line */
	char hold[128];
	bool uu_in;
};

void transfer_init(struct transfer_reader *r, enum transfer kind);
void transfer_feed(struct transfer_reader *r, struct slice in, struct bytes *out);
void transfer_end(struct transfer_reader *r, struct bytes *out);
/* Whole. At most limit_bytes of result (0: no limit). */
struct slice transfer_decode(struct arena *a, enum transfer kind, struct slice in, size_t limit_bytes);
/* 76 characters a line, CRLF behind each. */
void base64_lines(struct slice in, struct bytes *out);
/* Text with any line ends to quoted-printable, CRLF. */
void qp_encode(struct slice in, struct bytes *out);

/* -- charsets -- */

/* Streaming converter; holds an iconv handle. charset_free when done, also
 * when the request's arena dies first. */
struct charset_reader;
struct charset_reader *charset_open(struct slice name);
void charset_feed(struct charset_reader *r, struct slice in, struct bytes *out);
void charset_end(struct charset_reader *r, struct bytes *out);
void charset_free(struct charset_reader **r);

/* Whole. An empty or unknown name: UTF-8 if it is that, else windows-1252.
 * us-ascii with 8-bit bytes in it: the same guess. */
struct slice charset_to_utf8(struct arena *a, struct slice name, struct slice in);
/* The iconv name that `name` stands for ("ks_c_5601-1987" -> "CP949"), or NULL
 * when unknown. */
const char *charset_iconv_name(struct slice name);
/* Windows code page number for InternetCPID: 65001 utf-8, 28591 iso-8859-1,
 * 20127 us-ascii ...; 0 when unknown. */
unsigned charset_codepage(struct slice name);

#endif
