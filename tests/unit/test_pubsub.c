/* test_pubsub.c - the subscription over a real redis-server: armed, told, cut, back. */
#include "store_env.h"

#include "base/log.h"
#include "loop/pubsub.h"
#include "keys.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int armings, messages;
static char last_user[64], last_json[256];

static void on_message(void *arg, struct slice user, struct slice json)
{
	pthread_mutex_lock(&lock);
	if (user.len == 0) {
		armings++;
	} else {
		messages++;
		snprintf(last_user, sizeof(last_user), "%.*s", SARG(user));
		snprintf(last_json, sizeof(last_json), "%.*s", SARG(json));
	}
	pthread_mutex_unlock(&lock);
}

static bool reached(const int *counter, int n)
{
	for (int i = 0; i < 1000; i++) {
		bool yes;

		pthread_mutex_lock(&lock);
		yes = *counter >= n;
		pthread_mutex_unlock(&lock);
		if (yes)
			return true;
		usleep(10000);
	}
	return false;
}

static struct pubsub *subscribe(struct settings *s)
{
	struct pubsub *p;
	struct err e;

	armings = messages = 0;
	log_open("/dev/null", LOG_DEBUG, LOG_LOGFMT, NULL);
	if (pubsub_new(&p, s, on_message, NULL, &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	return p;
}

CASE(pubsub_is_none_for_other_stores)
{
	struct settings *s = settings_for(MEM, NULL, NULL);
	struct pubsub *p = subscribe(s);

	CHECK(!p && !pubsub_armed(p));
	pubsub_free(&p);
	settings_unref(&s);
}

CASE(pubsub_hears_users_and_survives_an_outage)
{
	struct settings *s;
	struct pubsub *p;

	need_own_redis();
	s = settings_for(REDIS, NULL, NULL);
	p = subscribe(s);
	CHECK(reached(&armings, 1) && pubsub_armed(p));
	ask("PUBLISH zpush:push:{ada@example.org} '{\"folder\":\"INBOX\"}'");
	CHECK(reached(&messages, 1));
	CHECK_STR(slice_str(last_user), "ada@example.org");
	ask("PUBLISH zpush:other:{ada} x");
	ask("PUBLISH zpush:push:ada x");
	ask("PUBLISH zpush:push:{bob} {}");
	CHECK(reached(&messages, 2));
	CHECK_STR(slice_str(last_user), "bob");
	CHECK_STR(slice_str(last_json), "{}");
	kill_redis();
	for (int i = 0; i < 500 && pubsub_armed(p); i++)
		usleep(10000);
	CHECK(!pubsub_armed(p));
	launch_redis();
	CHECK(reached(&armings, 2)); /* told, so that everybody is looked after */
	ask("PUBLISH zpush:push:{ada} {}");
	CHECK(reached(&messages, 3));
	pubsub_free(&p);
	CHECK(!p);
	log_open("-", LOG_INFO, LOG_LOGFMT, NULL);
	settings_unref(&s);
}

CASE(pubsub_ends_at_once_whatever_it_waits_for)
{
	struct settings *s;
	struct pubsub *p;
	int64_t start;

	need_own_redis();
	s = settings_for(REDIS, NULL, NULL);
	p = subscribe(s);
	CHECK(reached(&armings, 1));
	start = clock_now(&clock_system);
	pubsub_free(&p); /* reading */
	kill_redis();
	p = subscribe(s);
	usleep(100000);
	pubsub_free(&p); /* resting after a refused connection */
	CHECK(clock_now(&clock_system) - start < 2000);
	launch_redis();
	log_open("-", LOG_INFO, LOG_LOGFMT, NULL);
	settings_unref(&s);
}
