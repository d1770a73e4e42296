/* redis.h - blocking Redis connections for workers: URL, pool by check-out,
 * pipelines with a deadline. hiredis formats and reads, base/stream carries.
 * A connection belongs to one worker between check-out and check-in. */
#ifndef WORK_REDIS_H
#define WORK_REDIS_H

#include <hiredis/hiredis.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/settings.h"

/* redis://[user:pass@]host[:port][/db], rediss:// with TLS,
 * redis-sentinel://[user:pass@]host[:port],.../name[/db] (login and db are the
 * master's). NUL-terminated, owned; also used by the subscription. */
struct redis_url {
	char *address;   /* "host:port"; with sentinels for messages only */
	char *host;      /* for the certificate */
	char *sentinels; /* "host:port,host:port", or NULL */
	char *master;    /* the name they know it by */
	char *user, *password; /* NULL: none */
	unsigned db;
	bool tls;
};
int redis_url_parse(struct redis_url *u_r, struct slice url, struct err *e);
void redis_url_free(struct redis_url *u);
/* Where to connect: the address, or what the first sentinel that answers says (a second
 * each at most). Blocking. Caller frees. */
int redis_master_address(const struct redis_url *u, int64_t deadline_ms, char **address_r, struct err *e);

enum redis_script { REDIS_LOAD, REDIS_COMMIT, REDIS_RELEASE, REDIS_LIST, REDIS_SCRIPTS };

struct redis_pool;
struct redis;

/* scripts: REDIS_SCRIPTS Lua texts, static. epoch_key: where the run id of the
 * server is noted (see store_redis.c). Connects lazily. */
int redis_pool_new(struct redis_pool **p_r, struct slice url, const struct settings *set, const char *const *scripts,
		   struct slice epoch_key, struct err *e);
void redis_pool_free(struct redis_pool **p);

/* fresh: do not take one that was idle. Deadline: limits.store_deadline from now.
 * -1 ERR_REFUSED, ERR_TIMEOUT, ERR_STORE, ERR_TLS. */
int redis_check_out(struct redis_pool *p, bool fresh, struct redis **c_r, struct err *e);
/* A connection that failed or is out of step is closed. Takes it. */
void redis_check_in(struct redis_pool *p, struct redis **c);
/* Was it idle before this check-out (so that it may have died unseen)? */
bool redis_reused(const struct redis *c);

/* Adds a command to what the next redis_flush sends. */
void redis_add(struct redis *c, const struct slice *argv, size_t argc);
void redis_add_script(struct redis *c, enum redis_script script, size_t n_keys, const struct slice *argv, size_t argc);
/* Sends and reads n replies into out (freeReplyObject each, also after -1: NULL
 * where there is none). An error reply of the server is a reply. */
int redis_flush(struct redis *c, redisReply **out, size_t n, struct err *e);
/* -1 with *e when it is an error reply or NULL; marks the connection for closing
 * when the server is no master any more. */
int redis_reply_ok(struct redis *c, const redisReply *r, struct err *e);
bool redis_is_noscript(const redisReply *r);
/* Loads the scripts again (SCRIPT FLUSH, a fail-over). */
int redis_load_scripts(struct redis *c, struct err *e);
/* Run id of the server is the epoch's part: notes it when it is a new one. */
int redis_note_epoch(struct redis *c, struct err *e);

static inline struct slice redis_str(const redisReply *r)
{
	return r && (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS || r->type == REDIS_REPLY_ERROR)
		       ? slice(r->str, (size_t)r->len)
		       : S_NONE;
}

#endif
