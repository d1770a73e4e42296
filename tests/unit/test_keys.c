/* test_keys.c - the public names of the store, version 1. */
#include "harness.h"

#include "keys.h"

CASE(keys_are_the_public_format)
{
	struct arena *a = test_arena();
	struct slice p = S("zpush:"), u = S("jane@example.org");

	CHECK_STR(key_gen(a, p, u), "zpush:gen:{jane@example.org}");
	CHECK_STR(key_channel(a, p, u), "zpush:push:{jane@example.org}");
	CHECK_STR(key_channels(a, p), "zpush:push:{*}");
	CHECK_STR(key_channels(a, S("a*")), "a\\*push:{*}");
	CHECK_STR(key_epoch(a, p), "zpush:epoch");
	CHECK_STR(key_record(a, p, u, key_device(a, S("ABC"))), "zpush:rec:{jane@example.org}:dev:ABC");
	CHECK_STR(key_collection(a, S("ABC"), S("f1")), "col:ABC:f1");
	CHECK_STR(key_claim(a, S("ABC")), "claim:ABC");
	CHECK_STR(key_sent(a, S("ABC"), S("c 1")), "sent:ABC:c 1");
	CHECK_STR(key_extra(a, S("f1")), "extra:f1");
}

CASE(keys_of_hostile_words_do_not_meet)
{
	struct arena *a = test_arena();
	struct slice kind, parts[2];
	size_t n = 2;

	CHECK_STR(key_collection(a, S("a:b"), S("c")), "col:a%3Ab:c");
	CHECK_STR(key_collection(a, S("a"), S("b:c")), "col:a:b%3Ac");
	CHECK_STR(key_gen(a, S("z:"), S("a}b%{\n")), "z:gen:{a%7Db%25%7B%0A}");
	CHECK(key_split(a, S("col:a%3Ab:c"), &kind, parts, &n));
	CHECK_STR(kind, "col");
	CHECK_INT(n, 2);
	CHECK_STR(parts[0], "a:b");
	CHECK_STR(parts[1], "c");
	n = 1;
	CHECK(!key_split(a, S("col:a:b"), &kind, parts, &n));
	n = 2;
	CHECK(!key_split(a, S("dev:%4"), &kind, parts, &n));
	CHECK(key_split(a, S("user"), &kind, parts, &n) && n == 0);
}

CASE(keys_name_their_user)
{
	struct arena *a = test_arena();
	struct slice p = S("zpush:"), user, kind;

	CHECK(key_user_of(a, p, key_channel(a, p, S("a}b%{:")), &user, &kind));
	CHECK_STR(user, "a}b%{:");
	CHECK_STR(kind, "push");
	CHECK(key_user_of(a, p, S("zpush:rec:{u}:dev:1"), &user, &kind));
	CHECK_STR(user, "u");
	CHECK_STR(kind, "rec");
	CHECK(!key_user_of(a, p, S("zpush:epoch"), &user, &kind));
	CHECK(!key_user_of(a, p, S("other:gen:{u}"), &user, &kind));
	CHECK(!key_user_of(a, p, S("zpush:gen:}u{"), &user, &kind));
	CHECK(!key_user_of(a, p, S("zpush:gen:{u"), &user, &kind));
	CHECK(!key_user_of(a, p, S("zpush:gen:{%zz}"), &user, &kind));
	CHECK(!key_user_of(a, p, S("zpush:"), &user, &kind));
}
