/* redis.c - see redis.h. Workers. The pool owns idle connections, a worker the
 * one it checked out. The trap: after a deadline or a broken read the replies of
 * a connection no longer match its commands, so it is closed, never reused. */
#include "work/redis.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/metrics.h"
#include "base/stream.h"

enum { READ_BYTES = 16384, IDLE_MAX_MS = 5 * 60 * 1000 };

struct redis {
	struct redis *next;
	struct redis_pool *pool;
	struct stream *stream;
	redisReader *reader;
	char *out;
	size_t n_out, cap_out;
	char sha[REDIS_SCRIPTS][41];
	char run_id[64];
	int64_t idle_since_ms;
	bool broken, reused;
};

struct redis_pool {
	struct redis_url url;
	struct stream_tls *tls;
	const char *const *scripts;
	struct slice epoch_key; /* owned */
	int64_t deadline_ms;
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct redis *idle; /* the last used first: the others may grow old and go */
	unsigned open, max;
};

/* --- commands and replies ----------------------------------------------------- */

void redis_add(struct redis *c, const struct slice *argv, size_t argc)
{
	const char **v = mem_alloc(argc * sizeof(*v));
	size_t *len = mem_alloc(argc * sizeof(*len));
	char *text = NULL;
	int n;

	for (size_t i = 0; i < argc; i++) {
		v[i] = argv[i].len ? argv[i].ptr : "";
		len[i] = argv[i].len;
	}
	n = redisFormatCommandArgv(&text, (int)argc, v, len);
	ASSERT(n > 0); /* only memory could be missing */
	if (c->n_out + (size_t)n > c->cap_out) {
		c->cap_out = (c->n_out + (size_t)n) * 3 / 2;
		c->out = mem_realloc(c->out, c->cap_out);
	}
	memcpy(c->out + c->n_out, text, (size_t)n);
	c->n_out += (size_t)n;
	redisFreeCommand(text);
	free(v);
	free(len);
}

void redis_add_script(struct redis *c, enum redis_script script, size_t n_keys, const struct slice *argv, size_t argc)
{
	struct slice *all = mem_alloc((argc + 3) * sizeof(*all));
	char keys[24];

	snprintf(keys, sizeof(keys), "%zu", n_keys);
	all[0] = S("EVALSHA");
	all[1] = slice_str(c->sha[script]);
	all[2] = slice_str(keys);
	memcpy(all + 3, argv, argc * sizeof(*argv));
	redis_add(c, all, argc + 3);
	free(all);
}

/* One reply, reading as long as it takes. */
static int read_reply(struct redis *c, redisReply **r_r, struct err *e)
{
	char buf[READ_BYTES];
	ssize_t n;

	for (;;) {
		if (redisReaderGetReply(c->reader, (void **)r_r) != REDIS_OK)
			return err_set(e, ERR_STORE, "redis %s: nonsense: %s", c->pool->url.address, c->reader->errstr);
		if (*r_r)
			return 0;
		n = stream_read(c->stream, buf, sizeof(buf), e);
		if (n < 0)
			return err_add(e, "redis %s", c->pool->url.address);
		if (n == 0)
			return err_set(e, ERR_STORE, "redis %s: closed the connection", c->pool->url.address);
		if (redisReaderFeed(c->reader, buf, (size_t)n) != REDIS_OK)
			return err_set(e, ERR_STORE, "redis %s: %s", c->pool->url.address, c->reader->errstr);
	}
}

int redis_flush(struct redis *c, redisReply **out, size_t n, struct err *e)
{
	memset(out, 0, n * sizeof(*out));
	metric_add(M_store_round_trips_total, 1);
	if (stream_write(c->stream, c->out, c->n_out, e) < 0) {
		c->broken = true;
		c->n_out = 0;
		return err_add(e, "redis %s", c->pool->url.address);
	}
	c->n_out = 0;
	for (size_t i = 0; i < n; i++) {
		if (read_reply(c, &out[i], e) < 0) {
			c->broken = true;
			return -1;
		}
	}
	return 0;
}

int redis_reply_ok(struct redis *c, const redisReply *r, struct err *e)
{
	if (r && r->type != REDIS_REPLY_ERROR)
		return 0;
	if (!r)
		return err_set(e, ERR_STORE, "redis %s: no reply", c->pool->url.address);
	/* Not the master any more, or not yet ready: a new connection may find the right one. */
	if (slice_starts(redis_str(r), S("READONLY")) || slice_starts(redis_str(r), S("LOADING")) ||
	    slice_starts(redis_str(r), S("MASTERDOWN")))
		c->broken = true;
	return err_set(e, ERR_STORE, "redis %s: %.*s", c->pool->url.address, SARG(slice_to(redis_str(r), 120)));
}

bool redis_is_noscript(const redisReply *r)
{
	return r && r->type == REDIS_REPLY_ERROR && slice_starts(redis_str(r), S("NOSCRIPT"));
}

static void free_replies(redisReply **r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (r[i])
			freeReplyObject(r[i]);
}

int redis_load_scripts(struct redis *c, struct err *e)
{
	redisReply *r[REDIS_SCRIPTS];
	int rc;

	for (size_t i = 0; i < REDIS_SCRIPTS; i++)
		redis_add(c, (struct slice[]){ S("SCRIPT"), S("LOAD"), slice_str(c->pool->scripts[i]) }, 3);
	rc = redis_flush(c, r, REDIS_SCRIPTS, e);
	for (size_t i = 0; i < REDIS_SCRIPTS && rc == 0; i++) {
		rc = redis_reply_ok(c, r[i], e);
		if (rc == 0)
			snprintf(c->sha[i], sizeof(c->sha[i]), "%.*s", SARG(redis_str(r[i])));
	}
	free_replies(r, REDIS_SCRIPTS);
	return rc;
}

/* --- connecting --------------------------------------------------------------- */

static void redis_close(struct redis *c)
{
	stream_close(&c->stream);
	if (c->reader)
		redisReaderFree(c->reader);
	free(c->out);
	free(c);
}

/* The value of "name:" in an INFO reply. */
static struct slice info_field(struct slice info, const char *name)
{
	struct slice line;

	while (slice_split(&info, '\n', &line))
		if (slice_starts(line, slice_str(name)) && line.len > strlen(name) && line.ptr[strlen(name)] == ':')
			return slice_trim(slice_from(line, strlen(name) + 1));
	return S_NONE;
}

static int log_in(struct redis *c, struct err *e)
{
	const struct redis_url *u = &c->pool->url;
	redisReply *r[3];
	size_t n = 0;
	char db[16];
	int rc;

	snprintf(db, sizeof(db), "%u", u->db);
	if (u->password && u->user)
		redis_add(c, (struct slice[]){ S("AUTH"), slice_str(u->user), slice_str(u->password) }, 3), n++;
	else if (u->password)
		redis_add(c, (struct slice[]){ S("AUTH"), slice_str(u->password) }, 2), n++;
	if (u->db)
		redis_add(c, (struct slice[]){ S("SELECT"), slice_str(db) }, 2), n++;
	redis_add(c, (struct slice[]){ S("INFO"), S("server") }, 2), n++;
	rc = redis_flush(c, r, n, e);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = redis_reply_ok(c, r[i], e);
	if (rc == 0)
		snprintf(c->run_id, sizeof(c->run_id), "%.*s", SARG(slice_to(info_field(redis_str(r[n - 1]), "run_id"), 60)));
	free_replies(r, n);
	return rc;
}

/* Keeps the epoch of this run of the server, or begins one. */
static const char epoch_script[] =
	"local v = redis.call('GET', KEYS[1]) "
	"if v and string.sub(v, 1, #ARGV[1] + 1) == ARGV[1] .. ':' then return v end "
	"redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2]) return ARGV[1] .. ':' .. ARGV[2]";

int redis_note_epoch(struct redis *c, struct err *e)
{
	uint64_t v = rnd_u64(&rnd_system);
	redisReply *r;
	char text[24];
	int rc;

	snprintf(text, sizeof(text), "%016llx", (unsigned long long)v);
	redis_add(c, (struct slice[]){ S("EVAL"), slice_str(epoch_script), S("1"), c->pool->epoch_key, slice_str(c->run_id),
				       slice_str(text) }, 6);
	rc = redis_flush(c, &r, 1, e);
	if (rc == 0)
		rc = redis_reply_ok(c, r, e);
	if (r)
		freeReplyObject(r);
	return rc;
}

static int open_stream(struct redis *c, int64_t deadline_ms, struct err *e)
{
	const struct redis_url *u = &c->pool->url;
	char *address;
	int rc;

	if (redis_master_address(u, deadline_ms, &address, e) < 0)
		return -1;
	rc = stream_open(&c->stream, address, deadline_ms, e);
	if (rc == 0 && u->tls)
		rc = stream_start_tls(c->stream, c->pool->tls, u->host, e);
	if (rc < 0)
		err_add(e, "redis %s", address);
	free(address);
	return rc;
}

/* redis_note_epoch writes when the server is another one than before, so a replica is
 * found out here. */
static int redis_connect(struct redis_pool *p, int64_t deadline_ms, struct redis **c_r, struct err *e)
{
	struct redis *c = mem_alloc(sizeof(*c));

	c->pool = p;
	c->reader = redisReaderCreate();
	if (open_stream(c, deadline_ms, e) < 0) {
		redis_close(c);
		return -1;
	}
	stream_deadline(c->stream, deadline_ms);
	if (log_in(c, e) < 0 || redis_load_scripts(c, e) < 0 || redis_note_epoch(c, e) < 0) {
		redis_close(c);
		return -1;
	}
	*c_r = c;
	return 0;
}

/* --- the pool ----------------------------------------------------------------- */

int redis_pool_new(struct redis_pool **p_r, struct slice url, const struct settings *set, const char *const *scripts,
		   struct slice epoch_key, struct err *e)
{
	struct redis_pool *p = mem_alloc(sizeof(*p));
	pthread_condattr_t a;
	char *ca = mem_str(settings_str(set, "net.tls_ca"));
	int rc = redis_url_parse(&p->url, url, e);

	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&p->freed, &a);
	pthread_condattr_destroy(&a);
	p->scripts = scripts;
	p->epoch_key = mem_slice(epoch_key);
	p->deadline_ms = settings_ms(set, "limits.store_deadline");
	p->max = (unsigned)settings_int(set, "limits.store_connections");
	if (rc == 0 && p->url.tls)
		rc = stream_tls_new(&p->tls, *ca ? ca : NULL, settings_bool(set, "net.tls_verify"), e);
	free(ca);
	if (rc < 0)
		redis_pool_free(&p);
	*p_r = p;
	return rc;
}

void redis_pool_free(struct redis_pool **pp)
{
	struct redis_pool *p = *pp;

	if (!p)
		return;
	while (p->idle) {
		struct redis *c = p->idle;

		p->idle = c->next;
		redis_close(c);
	}
	stream_tls_free(&p->tls);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->freed);
	free((char *)p->epoch_key.ptr);
	redis_url_free(&p->url);
	free(p);
	*pp = NULL;
}

static struct timespec timespec_of(int64_t ms)
{
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000 };
}

/* An idle one, or the right to open one (*c_r NULL). Waits until the deadline. */
static int take_slot(struct redis_pool *p, int64_t deadline_ms, struct redis **c_r, struct err *e)
{
	struct timespec t = timespec_of(deadline_ms);
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	while (!p->idle && p->open >= p->max && rc == 0)
		if (pthread_cond_timedwait(&p->freed, &p->lock, &t) != 0 && !p->idle && p->open >= p->max)
			rc = err_set(e, ERR_TIMEOUT, "redis %s: all %u connections are busy", p->url.address, p->max);
	*c_r = NULL;
	if (rc == 0 && p->idle) {
		*c_r = p->idle;
		p->idle = p->idle->next;
	} else if (rc == 0) {
		p->open++;
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

static void give_slot(struct redis_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->open--;
	pthread_cond_signal(&p->freed);
	pthread_mutex_unlock(&p->lock);
}

/* Nothing may wait on an idle connection: bytes there are its end, or a stray reply. */
static bool is_fresh(const struct redis *c)
{
	return !stream_readable(c->stream) && clock_now(&clock_system) - c->idle_since_ms < IDLE_MAX_MS;
}

int redis_check_out(struct redis_pool *p, bool fresh, struct redis **c_r, struct err *e)
{
	int64_t deadline = clock_now(&clock_system) + p->deadline_ms;
	struct redis *c;

	if (take_slot(p, deadline, &c, e) < 0)
		return -1;
	if (c && (fresh || !is_fresh(c))) {
		redis_close(c); /* its slot is ours */
		c = NULL;
	}
	if (c) {
		c->reused = true;
		stream_deadline(c->stream, deadline);
	} else if (redis_connect(p, deadline, &c, e) < 0) {
		give_slot(p);
		return -1;
	}
	*c_r = c;
	return 0;
}

void redis_check_in(struct redis_pool *p, struct redis **cp)
{
	struct redis *c = *cp;

	*cp = NULL;
	if (!c)
		return;
	if (c->broken) {
		redis_close(c);
		give_slot(p);
		return;
	}
	c->idle_since_ms = clock_now(&clock_system);
	pthread_mutex_lock(&p->lock);
	c->next = p->idle;
	p->idle = c;
	pthread_cond_signal(&p->freed);
	pthread_mutex_unlock(&p->lock);
}

bool redis_reused(const struct redis *c)
{
	return c->reused;
}
