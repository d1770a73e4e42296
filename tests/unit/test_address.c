/* test_address.c - address lists, tidy and hostile. */
#include "harness.h"

#include "proto/address.h"
#include "proto/utf8.h"

static struct address_list parse(struct slice s)
{
	struct address_list l;

	address_parse(test_arena(), test_guarded(s), &l);
	return l;
}

static struct slice full(const char *z)
{
	struct address_list l = parse(slice_str(z));

	return address_format(test_arena(), &l, ADDRESS_FULL, S(", "), ADDRESS_MAX_CHARS);
}

CASE(address_forms)
{
	CHECK_STR(full("a@x.org"), "\"a@x.org\" <a@x.org>");
	CHECK_STR(full("Joe Doe <joe@x>"), "\"Joe Doe\" <joe@x>");
	CHECK_STR(full("\"Doe, Joe\" <joe@x>, b@x (Bob)"), "\"Doe, Joe\" <joe@x>, \"Bob\" <b@x>");
	CHECK_STR(full("=?utf-8?Q?J=C3=B6rg,_M?= <j@x>"), "\"Jörg, M\" <j@x>");
	CHECK_STR(full("\"=?utf-8?B?w7w=?=\" <j@x>"), "\"ü\" <j@x>");
	CHECK_STR(full("Friends: a@x, B <b@x>;, c@x"), "\"a@x\" <a@x>, \"B\" <b@x>, \"c@x\" <c@x>");
	CHECK_STR(full("undisclosed-recipients:;"), "");
	CHECK_STR(full("<@r1,@r2:a@x>"), "\"a@x\" <a@x>");
	CHECK_STR(full("A <a@x"), "\"A\" <a@x>");
	CHECK_STR(full("A <a@x, B <b@x>"), "\"A\" <a@x>, \"B\" <b@x>");
	CHECK_STR(full("a@x; b@x"), "\"a@x\" <a@x>, \"b@x\" <b@x>");
	CHECK_STR(full("\"q\\\"uote\" <a@x>"), "\"q\\\"uote\" <a@x>");
	CHECK_STR(full("root"), "\"root\" <root>");
	CHECK_STR(full("J\xf6rg <j@x>"), "\"Jörg\" <j@x>");
	CHECK_STR(full("A\r\n B <ab@x>"), "\"A B\" <ab@x>");
	CHECK_STR(full(",,, ;; ,"), "");
	CHECK_STR(full("\"john doe\"@x.org"), "\"\\\"john doe\\\"@x.org\" <\"john doe\"@x.org>");
	CHECK_STR(full("a @ x . org"), "\"a@x.org\" <a@x.org>");
	CHECK_STR(full("a@x (c (nested) d)"), "\"c (nested) d\" <a@x>");
}

CASE(address_other_formats)
{
	struct address_list l = parse(S("Joe <joe@x>, b@x"));

	CHECK_STR(address_format(test_arena(), &l, ADDRESS_NAME, S("; "), 1000), "Joe; b@x");
	CHECK_STR(address_format(test_arena(), &l, ADDRESS_ADDR, S(", "), 1000), "joe@x, b@x");
	CHECK_STR(address_format(test_arena(), &l, ADDRESS_NAME, S("; "), 4), "Joe");
	CHECK_STR(address_header(test_arena(), &l), "Joe <joe@x>,\r\n <b@x>");
	CHECK(address_same(S("A@X"), S("a@x ")));
}

static struct slice repeat(const char *z, size_t times)
{
	struct bytes b;

	bytes_init(&b, test_arena(), 0);
	for (size_t i = 0; i < times; i++)
		bytes_slice(&b, slice_str(z));
	return bytes_get(&b);
}

CASE(address_hostile_nesting_is_flat)
{
	static const char *const units[] = { "(", "((", "<", "\"", "\\", "g: ", "g: a@x, ", "=?", "=?utf-8?Q?", ")", ">",
					     "<(", "(\\", "@", "<@a,", ",", ";", "a@x <" };

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		struct address_list l = parse(repeat(units[i], 10000));

		CHECK(l.n <= ADDRESS_MAX);
	}
	CHECK(parse(repeat("g: a@x;, ", 5000)).truncated);
	CHECK_INT(parse(repeat("(c) ", 10000)).n, 0);
}

CASE(address_many_are_capped)
{
	struct address_list l = parse(repeat("a@x, ", 20000));

	CHECK_INT(l.n, ADDRESS_MAX);
	CHECK(l.truncated);
	CHECK(utf8_chars(address_format(test_arena(), &l, ADDRESS_FULL, S(", "), 500)) <= 502);
}

CASE(address_cut_at_every_byte)
{
	struct slice s = S("G: \"A \\\" B\" (c(d)) <@r:a@x>, =?utf-8?Q?=C3=BC?= <b@x>; c@x (e)");

	for (size_t n = 0; n <= s.len; n++)
		parse(slice_to(s, n));
	CHECK_INT(parse(s).n, 3);
}
