/* test_html.c - HTML to text, text to HTML. */
#include "harness.h"

#include "proto/html.h"

static struct slice pieces(struct slice in, size_t n)
{
	struct html_reader *r;
	struct bytes out;

	bytes_init(&out, test_arena(), 0);
	r = html_reader_new(test_arena(), &out);
	for (size_t i = 0; i < in.len; i += n)
		html_feed(r, test_guarded(slice_to(slice_from(in, i), n)));
	html_end(r);
	return bytes_get(&out);
}

CASE(html_to_text_forms)
{
	static const char *const rows[][2] = {
		{ "plain", "plain" },
		{ "<html><head><title>T</title><style>p{}</style></head><body><p>Hi</p></body></html>", "Hi" },
		{ "<p>one</p><p>two</p>", "one\r\n\r\ntwo" },
		{ "a<br>b<BR/>c", "a\r\nb\r\nc" },
		{ "<div>a</div><div><br></div><div>b</div>", "a\r\n\r\nb" },
		{ "  a \n  b\t<b>c</b> d ", "a b c d" },
		{ "&lt;a&gt; &amp; &eacute; &#233; &#xe9; &#146; &nbsp;x &hearts;", "<a> & é é é ’  x ♥" },
		{ "&bogus; &amp &copy1 AT&T &", "&bogus; & &copy1 AT&T &" },
		{ "<ul><li>a<li>b<ol><li>x</li><li>y</li></ol></ul>z", "* a\r\n* b\r\n  1. x\r\n  2. y\r\n\r\nz" },
		{ "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a\tb\r\nc" },
		{ "<a href=\"http://x/y\">here</a>.", "here <http://x/y>." },
		{ "<a href='https://x.org/'>x.org</a>", "x.org" },
		{ "<a href=mailto:a@x>a@x</a>", "a@x" },
		{ "<a href=\"javascript:x\">t</a>", "t" },
		{ "<a href=\"http://x?a=1&amp;b=2&copy=3\">t</a>", "t <http://x?a=1&b=2&copy=3>" },
		{ "x<script>alert('</p>')</script>y<style>b</STYLE >z", "xyz" },
		{ "a<!-- <p>no</p> -- > -->b<!doctype x>c<?xml?>d", "abcd" },
		{ "<pre>a  b\n c</pre>", "a  b\r\n c" },
		{ "<img src=x alt=\"a cat\">", "[a cat]" },
		{ "1 < 2 and 3 <4", "1 < 2 and 3 <4" },
		{ "<p", "" },
		{ "<html><head><title>lost</title><meta x><p>seen", "seen" },
		{ "<!--[if mso]><p>no</p><![endif]--><![if !mso]>yes<![endif]><o:p> </o:p>", "yes" },
		{ "", "" },
		{ "a<br><br><br>", "a" },
		{ "é€😀", "é€😀" },
		{ "<p title=\"a>b\" x='>' y=z>t", "t" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct slice in = slice_str(rows[i][0]);

		CHECK_STR(html_to_text(test_arena(), test_guarded(in), 0, NULL), rows[i][1]);
		for (size_t n = 1; n < 5; n++)
			CHECK_STR(pieces(in, n), rows[i][1]);
	}
}

CASE(html_quote_is_marked)
{
	CHECK_STR(html_to_text(test_arena(), S("a<blockquote>q<br>r</blockquote>b"), 0, NULL), "a\r\n\r\n> q\r\n> r\r\n\r\nb");
	CHECK_STR(html_to_text(test_arena(), S("<blockquote><p>q</p></blockquote>"), 0, NULL), "> q");
}

CASE(html_limit_and_total)
{
	uint64_t total;

	CHECK_STR(html_to_text(test_arena(), S("<p>ab€cd</p>"), 4, &total), "ab");
	CHECK_INT(total, 7);
}

static struct slice repeat(const char *z, size_t bytes)
{
	struct bytes b;

	bytes_init(&b, test_arena(), 0);
	while (b.n < bytes)
		bytes_slice(&b, slice_str(z));
	return bytes_get(&b);
}

CASE(html_hostile_input_stays_small)
{
	static const char *const units[] = { "<div>", "<", "&", "<!--", "<a href=", "<a href=\"http://x\">y", "<ul><li>", "<blockquote>",
					     "<script>", "</", "<br>", "&#", "<p a='", "-->", "<b <b ", "<table><tr><td>", "\t\n ",
					     "<img alt='aaaaaaaaaaaa'>", "<pre>\n" };

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		struct slice in = repeat(units[i], 2 * 1024 * 1024);
		uint64_t total;

		html_to_text(test_arena(), in, 1000, &total);
		CHECK(total <= 8 * in.len);
	}
}

CASE(text_to_html_forms)
{
	CHECK_STR(text_to_html_fragment(test_arena(), S("a<b>&\"\r\n  c  d")),
		  "a&lt;b&gt;&amp;&quot;<br>\r\n&nbsp;&nbsp;c &nbsp;d");
	CHECK_STR(text_to_html_fragment(test_arena(), S("see http://x.org/a?b=1&c=2.")),
		  "see <a href=\"http://x.org/a?b=1&amp;c=2\">http://x.org/a?b=1&amp;c=2</a>.");
	CHECK_STR(html_to_text(test_arena(), text_to_html(test_arena(), S("a & b\n\nc")), 0, NULL), "a & b\r\n\r\nc");
}

CASE(html_body_bounds)
{
	CHECK_INT(html_body_end(S("<body>x</body></html>")), 7);
	CHECK_INT(html_body_end(S("x</HTML>")), 1);
	CHECK_INT(html_body_end(S("x")), 1);
	CHECK_STR(html_body(S("<html><BODY class=x>a<b>c</body>")), "a<b>c");
	CHECK_STR(html_body(S("a")), "a");
	CHECK_STR(html_body(S("<body")), "<body");
}
