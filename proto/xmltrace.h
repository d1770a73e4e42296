/* xmltrace.h - WBXML as indented XML for people: the wire trace of a device and
 * the tests. Namespaces as prefixes declared on the root; opaque data as
 * base64. Pure, any thread. */
#ifndef PROTO_XMLTRACE_H
#define PROTO_XMLTRACE_H

#include "base/blob.h"

struct xmltrace_limits {
	size_t text_bytes;   /* of one value; the rest is "...(n bytes)"; 0: no cap */
	size_t total_bytes;  /* of the output; then it is cut and closed with a comment; 0: no cap */
};

/* Appends to out. A malformed document gives what was understood and a comment
 * that says where it broke; -1 then, 0 otherwise. */
int xmltrace(struct blob *out, struct slice wbxml, const struct xmltrace_limits *l, struct err *e);

#endif
