/* server.c - listening sockets, who may come in, and the descriptor budget.
 * Loop thread only. Owns listeners and the counts per address. Trap: with no
 * descriptor left, accept fails but the listener stays readable and the loop
 * would spin; the spare descriptor is closed to accept and drop one peer. */
#include "loop/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "loop/counts.h"

enum {
	ACCEPT_BUDGET = 64,
	BACKLOG = 4096,
	PAUSE_MS = 200,     /* listeners rest when even the spare is gone */
};

struct listener {
	uv_poll_t poll;
	struct listener *next;
	int fd;
	enum listen_kind kind;
	char unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	bool polling;
};

struct server {
	struct listener *listeners;
	struct counts addresses;
	uint64_t refused_limit, refused_address, accepted;
	unsigned limit;
	int spare_fd;
	bool tls_paused, stopped;
	struct loop_timer rest;
	struct log_limit log_full, log_address;
};

/* -- counts per address -------------------------------------------------------------- */

/* A phone's IPv6 network is its /64. */
static void address_key(const uint8_t addr[16], uint8_t key[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(key, addr, 16);
	if (memcmp(addr, mapped, 12))
		memset(key + 8, 0, 8);
}

bool server_admit(struct loop *l, const uint8_t addr[16])
{
	struct server *s = l->server;
	uint8_t key[16];

	address_key(addr, key);
	if (counts_take(&s->addresses, key, l->config.connections_per_address))
		return true;
	s->refused_address++;
	return false;
}

void server_release(struct loop *l, const uint8_t addr[16])
{
	uint8_t key[16];

	address_key(addr, key);
	counts_release(&l->server->addresses, key);
}

/* -- accepting -------------------------------------------------------------------------- */

static void read_origin(const struct sockaddr_storage *sa, struct conn_origin *o)
{
	if (sa->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		o->addr[10] = o->addr[11] = 0xff;
		memcpy(o->addr + 12, &in->sin_addr, 4);
		o->port = ntohs(in->sin_port);
	} else if (sa->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		memcpy(o->addr, &in6->sin6_addr, 16);
		o->port = ntohs(in6->sin6_port);
	}
}

static void on_acceptable(uv_poll_t *h, int status, int events);

static void poll_listener(struct loop *l, struct listener *ln)
{
	struct server *s = l->server;
	bool want = !(s->tls_paused && ln->kind == LISTEN_TLS) && !wheel_armed(&s->rest.w);

	if (want == ln->polling)
		return;
	ln->polling = want;
	if (want)
		uv_poll_start(&ln->poll, UV_READABLE, on_acceptable);
	else
		uv_poll_stop(&ln->poll);
}

static void poll_listeners(struct loop *l)
{
	for (struct listener *ln = l->server->listeners; ln; ln = ln->next)
		poll_listener(l, ln);
}

static void rested(struct loop *l, struct loop_timer *t)
{
	(void)t;
	poll_listeners(l);
}

/* No descriptor is left: drop one peer, so that it knows and the loop does not spin. */
static void out_of_descriptors(struct loop *l, struct listener *ln)
{
	struct server *s = l->server;

	if (s->spare_fd >= 0) {
		int fd;

		close(s->spare_fd);
		fd = accept4(ln->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			close(fd);
		s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	s->refused_limit++;
	if (log_allowed(&s->log_full, loop_now(l), 1, 10000))
		LOG_W("out_of_descriptors", L_I("connections", conn_count(l)), L_Z("do", "raise LimitNOFILE"));
	loop_timer_set(l, &s->rest, loop_now(l) + PAUSE_MS);
	poll_listeners(l);
}

static bool admit(struct loop *l, const struct conn_origin *o)
{
	struct server *s = l->server;

	if (conn_count(l) >= s->limit) {
		s->refused_limit++;
		if (log_allowed(&s->log_full, loop_now(l), 1, 10000))
			LOG_W("connection_limit", L_I("connections", conn_count(l)), L_Z("do", "see limits.connections"));
		return false;
	}
	if (!server_admit(l, o->addr)) {
		if (log_allowed(&s->log_address, loop_now(l), 1, 10000))
			LOG_W("address_limit", L_Z("do", "see limits.connections_per_address"));
		return false;
	}
	return true;
}

/* False: nothing more to accept now. */
static bool accept_one(struct loop *l, struct listener *ln)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	struct conn_origin from = { .tls = ln->kind == LISTEN_TLS };
	int fd = accept4(ln->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			out_of_descriptors(l, ln);
		return errno == ECONNABORTED || errno == EINTR;
	}
	read_origin(&sa, &from);
	if (!admit(l, &from)) {
		close(fd);
		return true;
	}
	l->server->accepted++;
	conn_open(l, fd, &from);
	return true;
}

static void on_acceptable(uv_poll_t *h, int status, int events)
{
	struct listener *ln = h->data;
	struct loop *l = h->loop->data;

	(void)events;
	if (status < 0)
		return;
	/* The rest waits in the backlog for the next turn. */
	for (int i = 0; i < ACCEPT_BUDGET && ln->polling; i++)
		if (!accept_one(l, ln))
			return;
}

void server_pause_tls(struct loop *l, bool pause)
{
	if (l->server->tls_paused == pause)
		return;
	l->server->tls_paused = pause;
	poll_listeners(l);
}

/* -- listening ------------------------------------------------------------------------------ */

struct bound {
	struct sockaddr_storage sa;
	socklen_t len;
	char unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static int parse_unix(struct slice path, struct bound *b, struct err *e)
{
	struct sockaddr_un *un = (void *)&b->sa;

	if (path.len == 0 || path.len >= sizeof(un->sun_path))
		return err_set(e, ERR_CONFIG, "unix socket path is empty or too long");
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path.ptr, path.len);
	memcpy(b->unix_path, path.ptr, path.len);
	b->len = sizeof(*un);
	return 0;
}

static int parse_listen(struct slice address, struct bound *b, struct err *e)
{
	char host[256], port[8];
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *ai;
	size_t colon = address.len;
	struct slice h, p;
	int rc;

	memset(b, 0, sizeof(*b));
	if (slice_starts(address, S("unix:")))
		return parse_unix(slice_from(address, 5), b, e);
	while (colon && address.ptr[colon - 1] != ':')
		colon--;
	if (colon == 0)
		return err_set(e, ERR_CONFIG, "listen address \"%.*s\" has no port", SARG(address));
	h = slice_to(address, colon - 1);
	p = slice_from(address, colon);
	if (h.len >= 2 && h.ptr[0] == '[' && h.ptr[h.len - 1] == ']')
		h = slice(h.ptr + 1, h.len - 2);
	if (h.len == 0 || slice_eq(h, S("*")))
		h = S("::");
	if (h.len >= sizeof(host) || p.len == 0 || p.len >= sizeof(port))
		return err_set(e, ERR_CONFIG, "listen address \"%.*s\"", SARG(address));
	snprintf(host, sizeof(host), "%.*s", SARG(h));
	snprintf(port, sizeof(port), "%.*s", SARG(p));
	hints.ai_flags |= slice_eq(h, S("localhost")) ? 0 : AI_NUMERICHOST;
	rc = getaddrinfo(host, port, &hints, &ai);
	if (rc != 0)
		return err_set(e, ERR_CONFIG, "listen address \"%.*s\": %s", SARG(address), gai_strerror(rc));
	memcpy(&b->sa, ai->ai_addr, ai->ai_addrlen);
	b->len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return 0;
}

static int open_listener(struct bound *b, struct slice address, struct err *e)
{
	int fd = socket(b->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0;

	/* "[::]" on a machine without IPv6 still means every address. */
	if (fd < 0 && errno == EAFNOSUPPORT && b->sa.ss_family == AF_INET6) {
		uint16_t port = ((struct sockaddr_in6 *)&b->sa)->sin6_port;

		*(struct sockaddr_in *)&b->sa = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = port };
		b->len = sizeof(struct sockaddr_in);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	if (fd < 0)
		return err_set(e, ERR_CONFIG, "listen on %.*s: %s", SARG(address), strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (b->sa.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (b->unix_path[0])
		unlink(b->unix_path);
	if (bind(fd, (struct sockaddr *)&b->sa, b->len) < 0 || listen(fd, BACKLOG) < 0) {
		err_set(e, ERR_CONFIG, "listen on %.*s: %s", SARG(address), strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static unsigned bound_port(int fd)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	struct conn_origin o = { 0 };

	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
		read_origin(&sa, &o);
	return o.port;
}

int server_listen(struct loop *l, struct slice address, enum listen_kind kind, unsigned *port_r, struct err *e)
{
	struct bound b;
	struct listener *ln;
	int fd;

	if (parse_listen(address, &b, e) < 0)
		return -1;
	fd = open_listener(&b, address, e);
	if (fd < 0)
		return -1;
	ln = mem_alloc(sizeof(*ln));
	ln->fd = fd;
	ln->kind = kind;
	memcpy(ln->unix_path, b.unix_path, sizeof(ln->unix_path));
	uv_poll_init(&l->uv, &ln->poll, fd);
	ln->poll.data = ln;
	ln->next = l->server->listeners;
	l->server->listeners = ln;
	poll_listener(l, ln);
	if (port_r)
		*port_r = bound_port(fd);
	return 0;
}

/* -- life ------------------------------------------------------------------------------------- */

static unsigned capacity(const struct loop_config *c, rlim_t fds)
{
	rlim_t most = fds > c->descriptor_reserve * 2 ? fds - c->descriptor_reserve : fds / 2;

	if (c->connections && c->connections < most)
		return c->connections;
	return most > 2000000 ? 2000000 : (unsigned)most;
}

void server_raise_limits(struct loop *l)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	if (r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
		getrlimit(RLIMIT_NOFILE, &r);
	}
	l->server->limit = capacity(&l->config, r.rlim_cur);
	LOG_I("capacity", L_I("descriptors", r.rlim_cur), L_I("phones", l->server->limit),
	      L_I("reserve", l->config.descriptor_reserve));
}

void server_new(struct loop *l)
{
	struct server *s = mem_alloc(sizeof(*s));

	counts_init(&s->addresses, rnd_u64(l->deps.rnd));
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	loop_timer_init(&s->rest, rested);
	l->server = s;
}

static void on_listener_closed(uv_handle_t *h)
{
	free(h->data);
}

void server_stop(struct loop *l)
{
	struct server *s = l->server;

	s->stopped = true;
	loop_timer_cancel(&s->rest);
	while (s->listeners) {
		struct listener *ln = s->listeners;

		s->listeners = ln->next;
		ln->polling = false;
		uv_close((uv_handle_t *)&ln->poll, on_listener_closed);
		close(ln->fd);
		if (ln->unix_path[0])
			unlink(ln->unix_path);
	}
}

void server_free(struct loop *l)
{
	struct server *s = l->server;

	if (!s)
		return;
	l->server = NULL;
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	counts_deinit(&s->addresses);
	free(s);
}

void server_counts(const struct loop *l, struct loop_stats *st)
{
	st->accepted = l->server->accepted;
	st->refused_limit = l->server->refused_limit;
	st->refused_address = l->server->refused_address;
}
