/* test_linear.c - no reader of mails may become quadratic on hostile bytes: the
 * CPU time for eight times the input must stay near eight times, not sixty-four.
 * Thread CPU time, best of several runs, so a busy machine does not matter. */
#include <time.h>

#include "harness.h"

#include "proto/bodypick.h"
#include "proto/compose.h"
#include "proto/html.h"
#include "proto/mailinfo.h"

enum { SMALL = 128 * 1024, FACTOR = 8 };

typedef void reader_fn(struct arena *a, struct slice s);

static void r_mime(struct arena *a, struct slice s)
{
	struct mime_tree t;

	mime_parse(a, s, &t);
}

static void r_head(struct arena *a, struct slice s)
{
	struct mail_headers h;

	mail_headers_parse(a, s, &h);
	header_length(s);
}

static void r_text(struct arena *a, struct slice s)
{
	header_text(a, s);
}

static void r_params(struct arena *a, struct slice s)
{
	struct params p;

	params_parse(a, s, &p);
}

static void r_address(struct arena *a, struct slice s)
{
	struct address_list l;

	address_parse(a, s, &l);
	address_format(a, &l, ADDRESS_FULL, S(", "), ADDRESS_MAX_CHARS);
}

static void r_html(struct arena *a, struct slice s)
{
	html_to_text(a, s, 0, NULL);
	html_body(s);
}

static void r_to_html(struct arena *a, struct slice s)
{
	text_to_html(a, s);
}

static void r_qp(struct arena *a, struct slice s)
{
	transfer_decode(a, TRANSFER_QP, s, 0);
}

static void r_sjis(struct arena *a, struct slice s)
{
	charset_to_utf8(a, S("shift_jis"), s);
}

static void r_guess(struct arena *a, struct slice s)
{
	charset_to_utf8(a, S_NONE, s);
}

static void r_body(struct arena *a, struct slice s)
{
	struct body_pref p = { .type = BODY_TEXT, .truncation = 500, .preview = 255 };
	struct body_want w = { .pref = &p, .n_pref = 1 };
	struct mime_tree t;
	struct body b;

	mime_parse(a, s, &t);
	body_from_raw(a, &t, s, &w, &b);
}

static void r_reply(struct arena *a, struct slice s)
{
	struct compose c = { .kind = COMPOSE_REPLY, .mime = s, .original = s };
	struct blob *b = blob_new(64 * 1024 * 1024);
	struct compose_result res;

	compose_mail(a, &c, b, &res, NULL);
	blob_free(&b);
}

static struct slice filled(const char *head, const char *unit, size_t n)
{
	size_t h = strlen(head), u = strlen(unit);
	char *p = arena_alloc(test_arena(), n);

	for (size_t i = 0; i < n; i++)
		p[i] = i < h ? head[i] : unit[(i - h) % u];
	return slice(p, n);
}

static double cpu_ms(reader_fn *fn, struct slice s, int runs)
{
	double best = 1e9;

	for (int i = 0; i < runs; i++) {
		struct arena *a = arena_new();
		struct timespec t0, t1;
		double ms;

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
		fn(a, s);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
		arena_free(&a);
		ms = (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6;
		best = ms < best ? ms : best;
	}
	return best;
}

static void check_linear(reader_fn *fn, const char *head, const char *unit)
{
	struct slice large = filled(head, unit, SMALL * FACTOR);
	double one = cpu_ms(fn, filled(head, unit, SMALL), 2);
	double more = cpu_ms(fn, large, 1);

	if (more > one * FACTOR * 2)
		more = cpu_ms(fn, large, 2);
	if (more > one * FACTOR * 3 + 10)
		test_fail(__FILE__, __LINE__, "\"%s\": %.1f ms for %d bytes, %.1f ms for %d times as many", unit, one,
			  SMALL, more, FACTOR);
}

#define M "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

CASE(linear_mime)
{
	static const char *const units[] = { "--b\r\n", "--b\r\n\r\n", "--b--\r\n", "--\r\n", "\r\n", "\r", "x: y\r\n", " fold\r\n", "--b",
					     "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", "Content-Type: message/rfc822\r\n\r\n",
					     "a", "=", "Content-Type: a/b; x=\"\\\"", "From x\n" };

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		check_linear(r_mime, M, units[i]);
		check_linear(r_mime, "", units[i]);
	}
}

CASE(linear_head)
{
	static const char *const units[] = { "To: a@x\r\n", "To: ", "a@x, ", "x: y\r\n", " f\r\n", "=?a?q?b?= ", "=?", "List-X: y\n", ";", "\r\n\t" };

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		check_linear(r_head, "To: ", units[i]);
		check_linear(r_text, "", units[i]);
		check_linear(r_params, "a/b;", units[i]);
	}
	check_linear(r_text, "", "=?utf-8?b?w7w=?= =?iso-8859-1?q?=fc?= ");
	check_linear(r_text, "", "=?utf-8?q?");
	check_linear(r_params, "a/b", "; x=\"");
	check_linear(r_params, "a/b", "; x*0*=''%");
	check_linear(r_params, "a/b", "(");
}

CASE(linear_address)
{
	static const char *const units[] = { "(", "<", "\"", "\\", "g: ", "g: a@x;", "=?", "=?utf-8?q?a", "a <", "a ", "@,", "<@a,", "(()", ",;", "a=" };

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		check_linear(r_address, "", units[i]);
}

CASE(linear_html)
{
	static const char *const units[] = { "<", "<a href=http://x>y", "<a href='", "<!--", "<script>", "&", "&#1", "<ul>", "<blockquote>x", "</",
					     "<body ", "</body", " ", "<br>", "<td>x", "-", "<pre>  ", "<p a='x' b=\"y\">", "<a href=http://x/////>/////" };

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		check_linear(r_html, "", units[i]);
	check_linear(r_to_html, "", "http://");
	check_linear(r_to_html, "", "http://. ");
	check_linear(r_to_html, "", "http://.......");
	check_linear(r_to_html, "", "  <\n");
}

CASE(linear_bytes)
{
	check_linear(r_qp, "", "=");
	check_linear(r_qp, "", " ");
	check_linear(r_qp, "", "= \t");
	check_linear(r_sjis, "", "\x81");
	check_linear(r_sjis, "", "\xff");
	check_linear(r_guess, "", "\xc3");
	check_linear(r_guess, "", "\xe2\x82\x01");
}

CASE(linear_body_and_reply)
{
	check_linear(r_body, "Content-Type: text/html\r\n\r\n", "<p>");
	check_linear(r_body, M, "--b\r\n\r\nx\r\n");
	check_linear(r_body, M, "--b\r\nContent-Type: text/html\r\n\r\n</body>\r\n");
	check_linear(r_reply, "To: a@x\r\n\r\n", "\r");
	check_linear(r_reply, "To: a@x\r\nContent-Type: text/html\r\n\r\n", "</body>");
	check_linear(r_reply, M, "--b\r\nContent-Type: a/b\r\n\r\nx\r\n");
	check_linear(r_reply, "To: a@x\r\nReferences: ", "<a@x> ");
}
