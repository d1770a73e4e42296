/* pubsub.c - PSUBSCRIBE on a thread of its own. The thread owns stream and
 * reader; `stream` is shared with pubsub_free for its cancel, under the lock. */
#include "loop/pubsub.h"

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stream.h"
#include "keys.h"
#include "work/redis.h"

enum { CONNECT_MS = 5000, SILENCE_MS = 30000, REPLY_MS = 5000, PAUSE_MS = 1000, CHUNK = 16384 };

struct pubsub {
	struct redis_url url;
	struct stream_tls *tls;
	struct slice prefix; /* owned */
	pubsub_fn *fn;
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct stream *stream;
	redisReader *reader;
	bool stopping, down;
	_Atomic bool armed;
};

static int64_t now(void)
{
	return clock_now(&clock_system);
}

bool pubsub_armed(const struct pubsub *p)
{
	return p && atomic_load(&((struct pubsub *)p)->armed);
}

/* --- one connection ------------------------------------------------------------------- */

static int send_words(struct pubsub *p, const char **argv, const size_t *len, int n, struct err *e)
{
	char *out;
	int size = (int)redisFormatCommandArgv(&out, n, argv, len), rc;

	if (size < 0)
		return err_set(e, ERR_STORE, "command cannot be formatted");
	rc = stream_write(p->stream, out, (size_t)size, e);
	free(out);
	return rc;
}

/* Next whole reply, NULL with *e set on failure. Caller frees. */
static redisReply *next_reply(struct pubsub *p, int64_t deadline_ms, struct err *e)
{
	char buf[CHUNK];
	void *reply = NULL;

	stream_deadline(p->stream, deadline_ms);
	for (;;) {
		ssize_t n;

		if (redisReaderGetReply(p->reader, &reply) != REDIS_OK) {
			err_set(e, ERR_STORE, "reply of the store cannot be read: %s", p->reader->errstr);
			return NULL;
		}
		if (reply)
			return reply;
		n = stream_read(p->stream, buf, sizeof(buf), e);
		if (n == 0)
			err_set(e, ERR_STORE, "the store closed the subscription");
		if (n <= 0)
			return NULL;
		redisReaderFeed(p->reader, buf, (size_t)n);
	}
}

static int expect_ok(struct pubsub *p, struct err *e)
{
	redisReply *r = next_reply(p, now() + REPLY_MS, e);
	int rc = 0;

	if (!r)
		return -1;
	if (r->type == REDIS_REPLY_ERROR)
		rc = err_set(e, ERR_STORE, "subscription: %.*s", (int)r->len, r->str);
	freeReplyObject(r);
	return rc;
}

static int authenticate(struct pubsub *p, struct err *e)
{
	const char *argv[3] = { "AUTH", p->url.user ? p->url.user : p->url.password, p->url.password };
	size_t len[3];
	int n = p->url.user ? 3 : 2;

	if (!p->url.password)
		return 0;
	for (int i = 0; i < n; i++)
		len[i] = strlen(argv[i]);
	return send_words(p, argv, len, n, e) < 0 ? -1 : expect_ok(p, e);
}

static int subscribe(struct pubsub *p, struct err *e)
{
	struct arena *a = arena_new();
	struct slice pattern = key_channels(a, p->prefix);
	const char *argv[2] = { "PSUBSCRIBE", pattern.ptr };
	size_t len[2] = { 10, pattern.len };
	int rc = send_words(p, argv, len, 2, e) < 0 ? -1 : expect_ok(p, e);

	arena_free(&a);
	return rc;
}

static int open_stream(struct pubsub *p, struct err *e)
{
	struct stream *s;
	char *address;
	int rc;

	if (redis_master_address(&p->url, now() + CONNECT_MS, &address, e) < 0)
		return -1;
	rc = stream_open(&s, address, now() + CONNECT_MS, e);
	free(address);
	if (rc < 0)
		return -1;
	pthread_mutex_lock(&p->lock);
	p->stream = s;
	if (p->stopping)
		stream_cancel(s);
	pthread_mutex_unlock(&p->lock);
	p->reader = redisReaderCreate();
	if (p->url.tls && stream_start_tls(s, p->tls, p->url.host, e) < 0)
		return -1;
	return authenticate(p, e) < 0 ? -1 : subscribe(p, e);
}

static void close_stream(struct pubsub *p)
{
	struct stream *s;

	pthread_mutex_lock(&p->lock);
	s = p->stream;
	p->stream = NULL;
	pthread_mutex_unlock(&p->lock);
	if (s)
		stream_close(&s);
	if (p->reader)
		redisReaderFree(p->reader);
	p->reader = NULL;
}

/* pmessage PATTERN CHANNEL PAYLOAD */
static void handle(struct pubsub *p, const redisReply *r)
{
	struct arena *a;
	struct slice user, kind;

	if (r->type != REDIS_REPLY_ARRAY || r->elements != 4 || r->element[2]->type != REDIS_REPLY_STRING ||
	    r->element[3]->type != REDIS_REPLY_STRING)
		return;
	a = arena_new();
	if (key_user_of(a, p->prefix, slice(r->element[2]->str, (size_t)r->element[2]->len), &user, &kind) && user.len)
		p->fn(p->arg, user, slice(r->element[3]->str, (size_t)r->element[3]->len));
	arena_free(&a);
}

/* Reads until something breaks. A silent connection is asked for a sign of life. */
static void listen_on(struct pubsub *p, struct err *e)
{
	static const char *ping[1] = { "PING" };
	static const size_t ping_len[1] = { 4 };
	bool asked = false;

	for (;;) {
		redisReply *r = next_reply(p, now() + (asked ? REPLY_MS : SILENCE_MS), e);

		if (!r && e->code == ERR_TIMEOUT && !asked) {
			asked = true;
			stream_deadline(p->stream, now() + REPLY_MS);
			if (send_words(p, ping, ping_len, 1, e) < 0)
				return;
			continue;
		}
		if (!r)
			return;
		asked = false;
		handle(p, r);
		freeReplyObject(r);
	}
}

/* --- thread -------------------------------------------------------------------------------- */

static bool stopping(struct pubsub *p)
{
	bool yes;

	pthread_mutex_lock(&p->lock);
	yes = p->stopping;
	pthread_mutex_unlock(&p->lock);
	return yes;
}

static void rest(struct pubsub *p)
{
	struct timespec until;
	long ms = PAUSE_MS / 2 + (long)(rnd_u64(&rnd_system) % PAUSE_MS);

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&p->lock);
	if (!p->stopping)
		pthread_cond_timedwait(&p->wake, &p->lock, &until);
	pthread_mutex_unlock(&p->lock);
}

static void *run(void *arg)
{
	struct pubsub *p = arg;

	while (!stopping(p)) {
		struct err e = { 0 };

		if (open_stream(p, &e) == 0) {
			LOG_I(p->down ? "subscription_back" : "subscription_armed", L_Z("store", p->url.host ? p->url.host : ""));
			p->down = false;
			atomic_store(&p->armed, true);
			p->fn(p->arg, S_NONE, S("{}"));
			listen_on(p, &e);
			atomic_store(&p->armed, false);
		}
		close_stream(p);
		if (!p->down && !stopping(p))
			LOG_W("subscription_lost", L_Z("store", p->url.host ? p->url.host : ""), L_ERR(&e));
		p->down = true;
		rest(p);
	}
	return NULL;
}

static int start(struct pubsub *p, const struct settings *set, struct err *e)
{
	struct slice ca = settings_str(set, "net.tls_ca");
	char *ca_file = ca.len ? mem_str(ca) : NULL;
	int rc = 0;

	if (p->url.tls)
		rc = stream_tls_new(&p->tls, ca_file, settings_bool(set, "net.tls_verify"), e);
	free(ca_file);
	if (rc == 0 && pthread_create(&p->thread, NULL, run, p) != 0)
		rc = err_set(e, ERR_LIMIT, "thread for the subscription");
	return rc;
}

static void destroy(struct pubsub *p)
{
	if (p->tls)
		stream_tls_free(&p->tls);
	redis_url_free(&p->url);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free((char *)p->prefix.ptr);
	free(p);
}

int pubsub_new(struct pubsub **p_r, const struct settings *set, pubsub_fn *fn, void *arg, struct err *e)
{
	struct slice url = settings_str(set, "store.url");
	pthread_condattr_t attr;
	struct pubsub *p;

	*p_r = NULL;
	if (!slice_starts(url, S("redis")))
		return 0; /* an embedded store hands its messages over itself */
	p = mem_alloc(sizeof(*p));
	p->fn = fn;
	p->arg = arg;
	p->prefix = mem_slice(settings_str(set, "store.prefix"));
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (redis_url_parse(&p->url, url, e) < 0 || start(p, set, e) < 0) {
		destroy(p);
		return -1;
	}
	*p_r = p;
	return 0;
}

void pubsub_free(struct pubsub **pp)
{
	struct pubsub *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	if (p->stream)
		stream_cancel(p->stream);
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	destroy(p);
}
