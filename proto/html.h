/* html.h - HTML to text and back, for phones that ask for the other form.
 * Pure, any thread, own iterative tokenizer: no recursion, no tree, linear
 * time, fixed stack. Input and output are clean UTF-8 (charset.h). */
#ifndef PROTO_HTML_H
#define PROTO_HTML_H

#include "proto/charset.h"

/* Blocks and <br> to line ends (CRLF), lists with "* ", table cells with tabs,
 * links as "text <url>" where the text is not the url; head, style, script and
 * comments dropped; entities decoded; blanks folded (not in <pre>). At most
 * limit_bytes of text are kept (0: no limit), *total_r (may be NULL) is what
 * the whole would take. */
struct slice html_to_text(struct arena *a, struct slice html, size_t limit_bytes, uint64_t *total_r);

/* Streaming form: any split gives the same result. */
struct html_reader;
struct html_reader *html_reader_new(struct arena *a, struct bytes *out);
void html_feed(struct html_reader *r, struct slice in);
void html_end(struct html_reader *r);

/* A whole small document around the escaped text: line ends to <br>, runs of
 * blanks kept, http(s) and mailto addresses linked. */
struct slice text_to_html(struct arena *a, struct slice text);
/* The same without the document around it: for quoting into another. */
struct slice text_to_html_fragment(struct arena *a, struct slice text);
void html_escape(struct bytes *out, struct slice text);
/* Offset of the byte where quoted content goes at the end of a document:
 * before the last </body>, else </html>, else the end. */
size_t html_body_end(struct slice html);
/* What stands between <body ...> and </body>; the whole when there is none. */
struct slice html_body(struct slice html);

#endif
