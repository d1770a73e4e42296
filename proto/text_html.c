/* text_html.c - plain text to HTML, and where a document's body begins and
 * ends. Any thread, linear: every search runs once over the input. */
#include "proto/html.h"

#include <ctype.h>

void html_escape(struct bytes *out, struct slice s)
{
	size_t from = 0;

	for (size_t i = 0; i < s.len; i++) {
		struct slice e = S_NONE;

		switch (s.ptr[i]) {
		case '<':
			e = S("&lt;");
			break;
		case '>':
			e = S("&gt;");
			break;
		case '&':
			e = S("&amp;");
			break;
		case '"':
			e = S("&quot;");
			break;
		}
		if (e.len == 0)
			continue;
		bytes_add(out, s.ptr + from, i - from);
		bytes_slice(out, e);
		from = i + 1;
	}
	bytes_add(out, s.ptr + from, s.len - from);
}

/* Length of the address at the front, 0 if there is none. */
static size_t url_length(struct slice s)
{
	size_t n = 0;

	if (!slice_istarts(s, S("http://")) && !slice_istarts(s, S("https://")) && !slice_istarts(s, S("mailto:")))
		return 0;
	while (n < s.len && !isspace((unsigned char)s.ptr[n]) && !strchr("<>\"", s.ptr[n]))
		n++;
	while (n && strchr(".,;:!?)'", s.ptr[n - 1]))
		n--;
	return n > 8 ? n : 0;
}

static void put_link(struct bytes *out, struct slice url)
{
	bytes_slice(out, S("<a href=\""));
	html_escape(out, url);
	bytes_slice(out, S("\">"));
	html_escape(out, url);
	bytes_slice(out, S("</a>"));
}

static void fragment(struct bytes *out, struct slice s)
{
	bool line_start = true, word_start = true;
	size_t i = 0;

	while (i < s.len) {
		char c = s.ptr[i];
		size_t url = word_start ? url_length(slice_from(s, i)) : 0;

		word_start = !isalnum((unsigned char)c);
		if (url) {
			put_link(out, slice(s.ptr + i, url));
			i += url;
			line_start = false;
			continue;
		}
		if (c == '\n') {
			bytes_slice(out, S("<br>\r\n"));
		} else if (c == ' ' && (line_start || (i && s.ptr[i - 1] == ' '))) {
			bytes_slice(out, S("&nbsp;"));
		} else if (c != '\r') {
			html_escape(out, slice(s.ptr + i, 1));
		}
		line_start = c == '\n';
		i++;
	}
}

struct slice text_to_html_fragment(struct arena *a, struct slice text)
{
	struct bytes out;

	bytes_init(&out, a, 0);
	fragment(&out, text);
	return bytes_get(&out);
}

struct slice text_to_html(struct arena *a, struct slice text)
{
	struct bytes out;

	bytes_init(&out, a, 0);
	bytes_slice(&out, S("<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">"
			    "</head><body>\r\n"));
	fragment(&out, text);
	bytes_slice(&out, S("\r\n</body></html>\r\n"));
	return bytes_get(&out);
}

/* Offset of the last `tag` (lower case, like "</body"), or -1. */
static ptrdiff_t last_tag(struct slice html, struct slice tag)
{
	for (size_t i = html.len; i-- > 0;)
		if (html.ptr[i] == '<' && slice_istarts(slice_from(html, i), tag))
			return (ptrdiff_t)i;
	return -1;
}

size_t html_body_end(struct slice html)
{
	ptrdiff_t at = last_tag(html, S("</body"));

	if (at < 0)
		at = last_tag(html, S("</html"));
	return at < 0 ? html.len : (size_t)at;
}

struct slice html_body(struct slice html)
{
	struct slice s = slice_to(html, html_body_end(html));

	for (size_t i = 0; i + 6 <= s.len; i++) {
		ptrdiff_t gt;

		if (s.ptr[i] != '<' || !slice_istarts(slice_from(s, i), S("<body")))
			continue;
		gt = slice_chr(slice_from(s, i), '>');
		return gt < 0 ? s : slice_from(s, i + (size_t)gt + 1);
	}
	return s;
}
