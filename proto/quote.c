/* quote.c - quoting an original. Any thread. The trap: "-----Original Message"
 * and the four lines below it are what mail programs recognise to fold quotes,
 * so they stay English. */
#include "proto/quote.h"

#include "proto/address.h"
#include "proto/html.h"

struct line {
	const char *name;
	struct slice value;
};

enum { HEAD_LINES = 5 };

static struct slice names(struct arena *a, struct slice value)
{
	struct address_list l;

	address_parse(a, value, &l);
	return address_format(a, &l, ADDRESS_FULL, S(", "), 4000);
}

static void head_lines(struct arena *a, const struct mail_headers *h, struct line v[HEAD_LINES])
{
	v[0] = (struct line){ "From", names(a, h->from) };
	v[1] = (struct line){ "Sent", h->date_ms == DATE_NONE ? S_NONE : date_format_mail(a, h->date_ms) };
	v[2] = (struct line){ "To", names(a, h->to) };
	v[3] = (struct line){ "Cc", names(a, h->cc) };
	v[4] = (struct line){ "Subject", h->subject };
}

static struct body original_body(struct arena *a, const struct mime_tree *t, struct slice raw, enum body_type form)
{
	struct body_pref p = { .type = form, .truncation = QUOTE_MAX_BYTES };
	struct body_want w = { .pref = &p, .n_pref = 1 };
	struct body b;

	body_from_raw(a, t, raw, &w, &b);
	return b;
}

static void put_marked(struct bytes *out, struct slice text)
{
	struct slice line;

	if (text.len && text.ptr[text.len - 1] == '\n')
		text.len--; /* it ends the last line, it begins none */
	while (slice_split(&text, '\n', &line)) {
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		bytes_slice(out, line.len && *line.ptr == '>' ? S(">") : S("> "));
		bytes_slice(out, line);
		bytes_slice(out, S("\r\n"));
	}
}

static void quote_text(struct arena *a, struct bytes *out, const struct line *head, struct slice text,
		       enum quote_style style)
{
	bytes_slice(out, S("-----Original Message-----\r\n"));
	for (int i = 0; i < HEAD_LINES; i++)
		if (head[i].value.len)
			bytes_slice(out, arena_printf(a, "%s: %.*s\r\n", head[i].name, SARG(head[i].value)));
	bytes_slice(out, S("\r\n"));
	if (style == QUOTE_REPLY)
		put_marked(out, text);
	else
		bytes_slice(out, text);
}

static void quote_html(struct bytes *out, const struct line *head, struct slice body, enum quote_style style)
{
	bytes_slice(out, S("<br><hr>\r\n<div>"));
	for (int i = 0; i < HEAD_LINES; i++) {
		if (head[i].value.len == 0)
			continue;
		bytes_slice(out, S("<b>"));
		bytes_slice(out, slice_str(head[i].name));
		bytes_slice(out, S(":</b> "));
		html_escape(out, head[i].value);
		bytes_slice(out, S("<br>\r\n"));
	}
	bytes_slice(out, style == QUOTE_REPLY ? S("</div>\r\n<blockquote type=\"cite\">\r\n") : S("</div><br>\r\n"));
	bytes_slice(out, body);
	bytes_slice(out, style == QUOTE_REPLY ? S("\r\n</blockquote>\r\n") : S("\r\n"));
}

struct slice quote_original(struct arena *a, const struct mail_headers *h, const struct mime_tree *t, struct slice raw,
			    enum body_type form, enum quote_style style)
{
	struct body b = original_body(a, t, raw, form);
	struct line head[HEAD_LINES];
	struct bytes out;

	head_lines(a, h, head);
	bytes_init(&out, a, 0);
	if (form == BODY_TEXT)
		quote_text(a, &out, head, b.data, style);
	else
		quote_html(&out, head, b.type == BODY_HTML ? html_body(b.data) : text_to_html_fragment(a, b.data),
			   style);
	return bytes_get(&out);
}

struct slice quote_join(struct arena *a, struct slice text, struct slice quote, enum body_type form)
{
	size_t at = form == BODY_HTML ? html_body_end(text) : text.len;
	struct bytes out;

	bytes_init(&out, a, 0);
	bytes_slice(&out, slice_to(text, at));
	if (form == BODY_TEXT)
		bytes_slice(&out, S("\r\n\r\n"));
	bytes_slice(&out, quote);
	bytes_slice(&out, slice_from(text, at));
	return bytes_get(&out);
}
