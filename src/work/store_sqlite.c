/* store_sqlite.c - the embedded store, "embedded:[file]" below server.data_dir.
 * Workers; a few connections, each one worker's at a time. One server process on
 * a file (datadir_lock), so claims and the epoch live in memory; `zpushd admin`
 * may read and write beside it. WAL, synchronous NORMAL; FULL for one commit with
 * STORE_DURABLE. Writers queue on a mutex instead of SQLite's busy polling.
 *
 * Public format, version 1 (PRAGMA user_version):
 *   record(id, user, name, rev, until_ms, sliding)   one row a record; until_ms is
 *       Unix time in ms, NULL never; name as in keys.h
 *   part(record, seq, bytes)   seq 0 the base, then the deltas in order: an append
 *       writes its own row and leaves a large base alone
 *   gen(user, n)               change counters
 *   meta(name, n)              'rev': last revision handed out */
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "work/datadir.h"
#include "work/store_claims.h"
#include "work/store_drivers.h"

enum { CONNECTIONS = 4, SCHEMA = 1, PURGE_EVERY = 1000 };

enum statement {
	Q_BEGIN_READ,
	Q_BEGIN_WRITE,
	Q_COMMIT,
	Q_ROLLBACK,
	Q_FIND,
	Q_PARTS,
	Q_TOUCH,
	Q_INSERT,
	Q_UPDATE,
	Q_DELETE,
	Q_DELETE_PARTS,
	Q_ADD_PART,
	Q_GEN,
	Q_COUNT,
	Q_LIST,
	Q_PURGE,
	Q_REV,
	Q_SET_REV,
	Q_COUNT_OF,
};

static const char *const sql[Q_COUNT_OF] = {
	[Q_BEGIN_READ] = "BEGIN",
	[Q_BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[Q_COMMIT] = "COMMIT",
	[Q_ROLLBACK] = "ROLLBACK",
	[Q_FIND] = "SELECT id, rev, until_ms, sliding FROM record WHERE user = ?1 AND name = ?2 "
		   "AND (until_ms IS NULL OR until_ms > ?3)",
	[Q_PARTS] = "SELECT bytes FROM part WHERE record = ?1 ORDER BY seq",
	[Q_TOUCH] = "UPDATE record SET until_ms = ?2 WHERE id = ?1",
	[Q_INSERT] = "INSERT INTO record (user, name, rev, until_ms, sliding) VALUES (?1, ?2, ?3, ?4, ?5) "
		     "ON CONFLICT (user, name) DO UPDATE SET rev = ?3, until_ms = ?4, sliding = ?5 RETURNING id",
	[Q_UPDATE] = "UPDATE record SET rev = ?2, until_ms = ?3, sliding = ?4 WHERE id = ?1",
	[Q_DELETE] = "DELETE FROM record WHERE id = ?1",
	[Q_DELETE_PARTS] = "DELETE FROM part WHERE record = ?1",
	[Q_ADD_PART] = "INSERT INTO part (record, seq, bytes) "
		       "VALUES (?1, (SELECT coalesce(max(seq) + 1, 0) FROM part WHERE record = ?1), ?2)",
	[Q_GEN] = "SELECT n FROM gen WHERE user = ?1",
	[Q_COUNT] = "INSERT INTO gen (user, n) VALUES (?1, 1) ON CONFLICT (user) DO UPDATE SET n = n + 1",
	[Q_LIST] = "SELECT user, name FROM record WHERE (?1 = '' OR user = ?1) AND substr(name, 1, length(?2)) = ?2 "
		   "AND (until_ms IS NULL OR until_ms > ?3)",
	[Q_PURGE] = "DELETE FROM record WHERE id IN (SELECT id FROM record WHERE until_ms <= ?1 LIMIT 100)",
	[Q_REV] = "SELECT n FROM meta WHERE name = 'rev'",
	[Q_SET_REV] = "UPDATE meta SET n = ?1 WHERE name = 'rev'",
};

static const char schema[] =
	"CREATE TABLE record (id INTEGER PRIMARY KEY, user TEXT NOT NULL, name TEXT NOT NULL, rev INTEGER NOT NULL,"
	" until_ms INTEGER, sliding INTEGER NOT NULL, UNIQUE (user, name));"
	"CREATE INDEX record_until ON record (until_ms) WHERE until_ms IS NOT NULL;"
	"CREATE TABLE part (record INTEGER NOT NULL REFERENCES record ON DELETE CASCADE, seq INTEGER NOT NULL,"
	" bytes BLOB NOT NULL, PRIMARY KEY (record, seq));"
	"CREATE TABLE gen (user TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE meta (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO meta VALUES ('rev', 0);"
	"PRAGMA user_version = 1;";

struct connection {
	struct connection *next;
	sqlite3 *db;
	sqlite3_stmt *st[Q_COUNT_OF];
};

struct embedded {
	struct store s;
	struct claims *claims;
	char *path;
	int64_t deadline_ms;
	char epoch[16]; /* random per process: a restored file must not look unchanged */

	pthread_mutex_t lock; /* of idle */
	pthread_cond_t freed;
	struct connection *idle;
	struct connection all[CONNECTIONS];

	pthread_mutex_t writing;
	unsigned commits; /* under writing */
};

static struct embedded *embedded_of(struct store *s)
{
	return (struct embedded *)s;
}

static int fail(struct embedded *m, sqlite3 *db, const char *what, struct err *e)
{
	int rc = db ? sqlite3_extended_errcode(db) & 0xff : SQLITE_NOMEM;

	return err_set(e, rc == SQLITE_BUSY ? ERR_TIMEOUT : ERR_STORE, "%s: %s: %s", m->path, what,
		       db ? sqlite3_errmsg(db) : "out of memory");
}

/* Connections. */

static int open_one(struct embedded *m, struct connection *c, struct err *e)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(m->path, &c->db, flags, NULL) != SQLITE_OK)
		return fail(m, c->db, "open", e);
	sqlite3_busy_timeout(c->db, (int)m->deadline_ms);
	if (sqlite3_exec(c->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;", NULL,
			 NULL, NULL) != SQLITE_OK)
		return fail(m, c->db, "open", e);
	return 0;
}

static int64_t pragma(sqlite3 *db, const char *text)
{
	sqlite3_stmt *st;
	int64_t v = -1;

	if (sqlite3_prepare_v2(db, text, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return v;
}

/* Makes the tables of a new file; two processes may try at once. */
static int make_schema(struct embedded *m, sqlite3 *db, struct err *e)
{
	int64_t version;

	if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return fail(m, db, "open", e);
	version = pragma(db, "PRAGMA user_version");
	if (version == 0 && sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK) {
		fail(m, db, "make tables", e);
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		return fail(m, db, "make tables", e);
	if (version > SCHEMA || version < 0)
		return err_set(e, ERR_STORE_FORMAT, "%s: schema %lld is newer than this program's %d", m->path,
			       (long long)version, SCHEMA);
	return 0;
}

static int prepare_all(struct embedded *m, struct connection *c, struct err *e)
{
	for (size_t i = 0; i < Q_COUNT_OF; i++)
		if (sqlite3_prepare_v3(c->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &c->st[i], NULL) != SQLITE_OK)
			return fail(m, c->db, sql[i], e);
	return 0;
}

static struct connection *check_out(struct embedded *m)
{
	struct connection *c;

	pthread_mutex_lock(&m->lock);
	while (!m->idle)
		pthread_cond_wait(&m->freed, &m->lock); /* short: every holder has a busy timeout */
	c = m->idle;
	m->idle = c->next;
	pthread_mutex_unlock(&m->lock);
	metric_add(M_store_round_trips_total, 1);
	return c;
}

static void check_in(struct embedded *m, struct connection *c)
{
	pthread_mutex_lock(&m->lock);
	c->next = m->idle;
	m->idle = c;
	pthread_cond_signal(&m->freed);
	pthread_mutex_unlock(&m->lock);
}

/* Statements. */

static sqlite3_stmt *bind_text(struct connection *c, enum statement q, int at, struct slice s)
{
	sqlite3_bind_text64(c->st[q], at, s.len ? s.ptr : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
	return c->st[q];
}

/* Runs a statement that gives no row. */
static int run(struct embedded *m, struct connection *c, enum statement q, struct err *e)
{
	int rc = sqlite3_step(c->st[q]);

	sqlite3_reset(c->st[q]);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : fail(m, c->db, sql[q], e);
}

static int run_id(struct embedded *m, struct connection *c, enum statement q, int64_t id, struct err *e)
{
	sqlite3_bind_int64(c->st[q], 1, id);
	return run(m, c, q, e);
}

struct found {
	bool there, sliding;
	int64_t id, until_ms;
	uint64_t rev;
};

static int find(struct embedded *m, struct connection *c, struct slice user, struct slice key, struct found *f_r,
		struct err *e)
{
	sqlite3_stmt *st = bind_text(c, Q_FIND, 1, user);
	int rc;

	bind_text(c, Q_FIND, 2, key);
	sqlite3_bind_int64(st, 3, clock_wall(m->s.clock));
	rc = sqlite3_step(st);
	memset(f_r, 0, sizeof(*f_r));
	if (rc == SQLITE_ROW) {
		f_r->there = true;
		f_r->id = sqlite3_column_int64(st, 0);
		f_r->rev = (uint64_t)sqlite3_column_int64(st, 1);
		f_r->until_ms = sqlite3_column_int64(st, 2);
		f_r->sliding = sqlite3_column_int(st, 3) != 0;
	}
	sqlite3_reset(st);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : fail(m, c->db, "find", e);
}


/* Base and deltas into one run of memory. */
static int read_parts(struct embedded *m, struct connection *c, int64_t id, struct store_get *g, struct arena *a,
		      struct err *e)
{
	sqlite3_stmt *st = c->st[Q_PARTS];
	struct slice *part = NULL;
	size_t n = 0, cap = 0, total = 0, at = 0;
	char *whole;
	int rc;

	sqlite3_bind_int64(st, 1, id);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		part = arena_grow(a, part, n, &cap, sizeof(*part));
		part[n] = arena_slice(a, slice(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)));
		total += part[n++].len;
	}
	sqlite3_reset(st);
	if (rc != SQLITE_DONE)
		return fail(m, c->db, "read", e);
	g->base_len = n ? (uint32_t)part[0].len : 0;
	if (n < 2) {
		g->value = n ? part[0] : S_NONE;
		return 0;
	}
	whole = arena_alloc(a, total);
	for (size_t i = 0; i < n; at += part[i++].len)
		memcpy(whole + at, part[i].ptr, part[i].len);
	g->value = slice(whole, total);
	return 0;
}

static int read_gen(struct embedded *m, struct connection *c, struct slice user, uint64_t *gen_r, struct err *e)
{
	sqlite3_stmt *st = bind_text(c, Q_GEN, 1, user);
	int rc = sqlite3_step(st);
	uint64_t n = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;

	sqlite3_reset(st);
	*gen_r = store_gen_mix(slice(m->epoch, sizeof(m->epoch)), n);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : fail(m, c->db, "counter", e);
}

/* Transactions. */

static int begin_write(struct embedded *m, struct connection *c, struct err *e)
{
	pthread_mutex_lock(&m->writing);
	if (run(m, c, Q_BEGIN_WRITE, e) == 0)
		return 0;
	pthread_mutex_unlock(&m->writing);
	return -1;
}

/* rc of what was done inside: commits, or rolls back. */
static int end_write(struct embedded *m, struct connection *c, int rc, struct err *e)
{
	if (rc == 0 && run(m, c, Q_COMMIT, e) < 0)
		rc = -1;
	if (rc < 0)
		run(m, c, Q_ROLLBACK, NULL);
	pthread_mutex_unlock(&m->writing);
	return rc;
}

static int purge(struct embedded *m, struct connection *c, struct err *e)
{
	return run_id(m, c, Q_PURGE, clock_wall(m->s.clock), e);
}

/* Revisions of the whole file ascend; the clock keeps them from being used twice
 * when an older copy of the file comes back. */
static int next_rev(struct embedded *m, struct connection *c, uint64_t *rev_r, struct err *e)
{
	int64_t now = clock_wall(m->s.clock) * 1000, last = 0;
	int rc = sqlite3_step(c->st[Q_REV]);

	if (rc == SQLITE_ROW)
		last = sqlite3_column_int64(c->st[Q_REV], 0);
	sqlite3_reset(c->st[Q_REV]);
	if (rc != SQLITE_ROW)
		return fail(m, c->db, "revision", e);
	last = last + 1 > now ? last + 1 : now;
	*rev_r = (uint64_t)last;
	return run_id(m, c, Q_SET_REV, last, e);
}

static void bind_ttl(struct embedded *m, sqlite3_stmt *st, int at, int64_t ttl_ms)
{
	if (ttl_ms < 0)
		sqlite3_bind_null(st, at);
	else
		sqlite3_bind_int64(st, at, clock_wall(m->s.clock) + (ttl_ms ? ttl_ms : m->s.forget_ms));
	sqlite3_bind_int(st, at + 1, ttl_ms == 0);
}

static int add_part(struct embedded *m, struct connection *c, int64_t id, struct slice bytes, struct err *e)
{
	sqlite3_bind_blob64(c->st[Q_ADD_PART], 2, bytes.len ? bytes.ptr : "", bytes.len, SQLITE_STATIC);
	return run_id(m, c, Q_ADD_PART, id, e);
}

/* A new base: over what is there, also over an expired row of that name. */
static int put_base(struct embedded *m, struct connection *c, struct slice user, struct store_put *p, struct err *e)
{
	sqlite3_stmt *st = bind_text(c, Q_INSERT, 1, user);
	int64_t id = 0;
	int rc;

	bind_text(c, Q_INSERT, 2, p->key);
	sqlite3_bind_int64(st, 3, (int64_t)p->rev);
	bind_ttl(m, st, 4, p->ttl_ms);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		id = sqlite3_column_int64(st, 0);
		rc = sqlite3_step(st);
	}
	sqlite3_reset(st);
	if (rc != SQLITE_DONE)
		return fail(m, c->db, "put", e);
	if (run_id(m, c, Q_DELETE_PARTS, id, e) < 0)
		return -1;
	return add_part(m, c, id, p->value, e);
}

static int put_delta(struct embedded *m, struct connection *c, const struct found *f, struct store_put *p, struct err *e)
{
	sqlite3_stmt *st = c->st[Q_UPDATE];

	sqlite3_bind_int64(st, 2, (int64_t)p->rev);
	bind_ttl(m, st, 3, p->ttl_ms);
	if (run_id(m, c, Q_UPDATE, f->id, e) < 0)
		return -1;
	return add_part(m, c, f->id, p->value, e);
}

static int put(struct embedded *m, struct connection *c, struct slice user, struct store_put *p, uint64_t rev,
	       struct err *e)
{
	struct found f;

	if (find(m, c, user, p->key, &f, e) < 0)
		return -1;
	p->rev = p->op == STORE_DELETE ? 0 : rev;
	if (p->op == STORE_DELETE)
		return f.there ? run_id(m, c, Q_DELETE, f.id, e) : 0;
	if (p->op == STORE_APPEND && f.there)
		return put_delta(m, c, &f, p, e);
	return put_base(m, c, user, p, e);
}

static int judge(struct embedded *m, struct connection *c, struct slice user, const struct store_put *p, size_t n,
		 struct err *e)
{
	struct found f;

	for (size_t i = 0; i < n; i++) {
		if (p[i].expect == STORE_ANY)
			continue;
		if (find(m, c, user, p[i].key, &f, e) < 0)
			return -1;
		if (f.rev != p[i].expect)
			return err_set(e, ERR_STORE_RACE, "record %.*s was written meanwhile", SARG(slice_to(p[i].key, 80)));
	}
	return 0;
}

static int write_all(struct embedded *m, struct connection *c, struct slice user, struct store_put *p, size_t n,
		     struct err *e)
{
	uint64_t rev;

	if (judge(m, c, user, p, n, e) < 0 || next_rev(m, c, &rev, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (put(m, c, user, &p[i], rev, e) < 0)
			return -1;
	return ++m->commits % PURGE_EVERY == 0 ? purge(m, c, e) : 0;
}

/* The operations. */

static int sqlite_commit(struct store *s, struct slice user, struct store_put *p, size_t n,
			 const struct store_claim *release, unsigned flags, struct err *e)
{
	struct embedded *m = embedded_of(s);
	struct connection *c = check_out(m);
	int rc;

	/* Outside a transaction only; off again for the next user of the connection. */
	if (flags & STORE_DURABLE)
		sqlite3_exec(c->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	rc = begin_write(m, c, e);
	if (rc == 0)
		rc = end_write(m, c, write_all(m, c, user, p, n, e), e);
	if (flags & STORE_DURABLE)
		sqlite3_exec(c->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
	check_in(m, c);
	if (rc == 0 && release)
		claims_release(m->claims, user, release);
	return rc;
}

/* Loads in one read transaction; *touch_r: a sliding record wants its time anew. */
static int load_all(struct embedded *m, struct connection *c, struct slice user, struct store_get *g, size_t n,
		    uint64_t *gen_r, struct arena *a, bool *touch_r, struct err *e)
{
	int64_t soon = clock_wall(m->s.clock) + m->s.forget_ms - m->s.forget_ms / 16;
	struct found f;

	for (size_t i = 0; i < n; i++) {
		g[i].value = S_NONE;
		g[i].base_len = 0;
		if (find(m, c, user, g[i].key, &f, e) < 0)
			return -1;
		g[i].rev = f.rev;
		if (f.there && read_parts(m, c, f.id, &g[i], a, e) < 0)
			return -1;
		*touch_r |= f.sliding && f.until_ms < soon;
	}
	return gen_r ? read_gen(m, c, user, gen_r, e) : 0;
}

static int touch_all(struct embedded *m, struct connection *c, struct slice user, struct store_get *g, size_t n,
		     struct err *e)
{
	struct found f;

	for (size_t i = 0; i < n; i++) {
		if (find(m, c, user, g[i].key, &f, e) < 0)
			return -1;
		if (!f.there || !f.sliding)
			continue;
		sqlite3_bind_int64(c->st[Q_TOUCH], 2, clock_wall(m->s.clock) + m->s.forget_ms);
		if (run_id(m, c, Q_TOUCH, f.id, e) < 0)
			return -1;
	}
	return 0;
}

static int sqlite_load(struct store *s, struct slice user, struct store_get *g, size_t n,
		       const struct store_claim *claim, uint64_t *gen_r, struct arena *a, struct err *e)
{
	struct embedded *m = embedded_of(s);
	struct connection *c;
	bool touch = false;
	int rc;

	if (claim && claims_take(m->claims, user, claim, e) < 0)
		return -1;
	c = check_out(m);
	rc = run(m, c, Q_BEGIN_READ, e);
	if (rc == 0) {
		rc = load_all(m, c, user, g, n, gen_r, a, &touch, e);
		run(m, c, Q_COMMIT, NULL);
	}
	if (rc == 0 && touch && begin_write(m, c, e) == 0)
		end_write(m, c, touch_all(m, c, user, g, n, e), e); /* next load tries again */
	check_in(m, c);
	if (rc < 0 && claim)
		claims_release(m->claims, user, claim);
	return rc;
}

static int sqlite_release(struct store *s, struct slice user, const struct store_claim *claim, struct err *e)
{
	claims_release(embedded_of(s)->claims, user, claim);
	return 0;
}

static int sqlite_gen(struct store *s, struct slice user, uint64_t *gen_r, struct err *e)
{
	struct embedded *m = embedded_of(s);
	struct connection *c = check_out(m);
	int rc = read_gen(m, c, user, gen_r, e);

	check_in(m, c);
	return rc;
}

static int sqlite_publish(struct store *s, struct slice user, struct slice json, bool count, struct err *e)
{
	struct embedded *m = embedded_of(s);
	struct connection *c;
	int rc;

	if (!count)
		return 0;
	c = check_out(m);
	rc = begin_write(m, c, e);
	if (rc == 0) {
		bind_text(c, Q_COUNT, 1, user);
		rc = end_write(m, c, run(m, c, Q_COUNT, e), e);
	}
	check_in(m, c);
	return rc;
}

static int sqlite_list(struct store *s, struct slice user, struct slice prefix,
		       int (*fn)(void *arg, struct slice user, struct slice key), void *arg, struct err *e)
{
	struct embedded *m = embedded_of(s);
	struct connection *c = check_out(m);
	sqlite3_stmt *st = bind_text(c, Q_LIST, 1, user);
	struct arena *a = arena_new();
	struct store_put *found = NULL; /* value: the user */
	size_t n = 0, cap = 0;
	int rc;

	bind_text(c, Q_LIST, 2, prefix);
	sqlite3_bind_int64(st, 3, clock_wall(s->clock));
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		found = arena_grow(a, found, n, &cap, sizeof(*found));
		found[n].value = arena_slice(a, slice(sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0)));
		found[n++].key = arena_slice(a, slice(sqlite3_column_text(st, 1), (size_t)sqlite3_column_bytes(st, 1)));
	}
	sqlite3_reset(st);
	rc = rc == SQLITE_DONE ? 0 : fail(m, c->db, "list", e);
	check_in(m, c);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = fn(arg, found[i].value, found[i].key);
	arena_free(&a);
	return rc;
}

static int sqlite_check(struct store *s, struct arena *a, struct slice *warning_r, struct err *e)
{
	struct embedded *m = embedded_of(s);
	struct connection *c = check_out(m);
	int rc = begin_write(m, c, e); /* a full or read-only disk shows here */

	if (rc == 0)
		rc = end_write(m, c, 0, e);
	check_in(m, c);
	*warning_r = S_NONE;
	return rc;
}

static void sqlite_close(struct store **s)
{
	struct embedded *m = embedded_of(*s);

	for (size_t i = 0; i < CONNECTIONS; i++) {
		for (size_t q = 0; q < Q_COUNT_OF; q++)
			sqlite3_finalize(m->all[i].st[q]);
		sqlite3_close(m->all[i].db);
	}
	claims_free(&m->claims);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->writing);
	pthread_cond_destroy(&m->freed);
	free(m->path);
	free(m);
	*s = NULL;
}

/* "embedded:" or "embedded:file", below data_dir unless it is absolute. */
static char *path_of(const struct settings *set, struct slice url)
{
	struct slice file = slice_from(url, 9), path;
	struct arena *a = arena_new();
	char *out;

	if (file.len && file.ptr[0] == '/')
		path = file;
	else
		path = datadir_path(a, set, S_NONE, file.len ? arena_str(a, file) : "state.sqlite");
	out = mem_str(path);
	arena_free(&a);
	return out;
}

static int open_all(struct embedded *m, struct err *e)
{
	for (size_t i = 0; i < CONNECTIONS; i++) {
		if (open_one(m, &m->all[i], e) < 0)
			return -1;
		if (i == 0 && make_schema(m, m->all[0].db, e) < 0)
			return -1;
		if (prepare_all(m, &m->all[i], e) < 0)
			return -1;
		check_in(m, &m->all[i]);
	}
	return purge(m, &m->all[0], e);
}

static int sqlite_open(struct store **s_r, struct slice url, const struct settings *set, const struct clock *clk,
		       struct err *e)
{
	struct embedded *m = mem_alloc(sizeof(*m));
	struct store *s = &m->s;

	store_init(s, &store_sqlite_ops, set, clk);
	m->claims = claims_new(clk);
	m->deadline_ms = settings_ms(set, "limits.store_deadline");
	m->path = path_of(set, url);
	rnd_system.fill(rnd_system.self, m->epoch, sizeof(m->epoch));
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->writing, NULL);
	pthread_cond_init(&m->freed, NULL);
	if (datadir_open(set, e) < 0 || open_all(m, e) < 0) {
		store_close(&s);
		return -1;
	}
	*s_r = s;
	return 0;
}

const struct store_ops store_sqlite_ops = {
	.scheme = "embedded",
	.publishes_here = true,
	.open = sqlite_open,
	.close = sqlite_close,
	.load = sqlite_load,
	.commit = sqlite_commit,
	.release = sqlite_release,
	.gen = sqlite_gen,
	.publish = sqlite_publish,
	.list = sqlite_list,
	.check = sqlite_check,
};
