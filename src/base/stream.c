/* stream.c - the blocking stream: a non-blocking socket, poll(2) and a deadline.
 * TLS is in stream_tls.c, behind struct stream_crypt.
 * One owner at a time; only stream_cancel comes from elsewhere: it sets a flag
 * and shuts the socket down, which ends the owner's poll. One descriptor a
 * stream, because parked watches are many.
 * Trap: data that drips in keeps poll happy for ever, so the deadline is
 * looked at before each read and write, not only while waiting. */
#include "base/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/resolve.h"
#include "base/stream_priv.h"

enum { NEXT_ADDRESS_MS = 250 }; /* RFC 8305: when the next address is tried beside the first */

static int deadline_left(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_now(&clock_system);

	return left <= 0 ? 0 : left > 1000000 ? 1000000 : (int)left;
}

static int check(struct stream *s, const char *what, struct err *e)
{
	if (atomic_load_explicit(&s->cancelled, memory_order_acquire))
		return err_set(e, ERR_CANCELLED, "%s: cancelled", what);
	if (deadline_left(s->deadline_ms) == 0)
		return err_set(e, ERR_TIMEOUT, "%s: deadline passed", what);
	return 0;
}

int stream_wait(struct stream *s, short events, const char *what, struct err *e)
{
	for (;;) {
		struct pollfd p = { .fd = s->fd, .events = events };
		int rc, left;
		bool patient;

		if (check(s, what, e) < 0)
			return -1;
		left = deadline_left(s->deadline_ms);
		patient = s->patience_ms == 0 || left <= s->patience_ms;
		rc = poll(&p, 1, patient ? left : s->patience_ms);
		if (rc > 0)
			return 0; /* errors show up in the call that follows */
		if (rc == 0 && !patient)
			return err_set(e, ERR_TIMEOUT, "%s: silent for %d ms", what, s->patience_ms);
		if (rc < 0 && errno != EINTR)
			return err_set(e, ERR_BACKEND_TEMP, "poll: %s", strerror(errno));
	}
}

/* -- opening -- */

static int start_connect(const struct resolve_addr *a)
{
	int on = 1, fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (a->sa.ss_family != AF_UNIX) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	}
	if (connect(fd, (const struct sockaddr *)&a->sa, a->len) < 0 && errno != EINPROGRESS) {
		int was = errno;

		close(fd);
		errno = was;
		return -1;
	}
	return fd;
}

/* Attempts under way: the first that connects wins, the others are closed. */
struct race {
	struct pollfd p[RESOLVE_MAX];
	nfds_t n;
	int last_errno;
};

static void race_add(struct race *r, const struct resolve_addr *a)
{
	int fd = start_connect(a);

	if (fd < 0)
		r->last_errno = errno;
	else
		r->p[r->n++] = (struct pollfd){ .fd = fd, .events = POLLOUT };
}

/* The winner's fd, or -1; losers that failed leave the race. */
static int race_step(struct race *r)
{
	for (nfds_t i = 0; i < r->n; i++) {
		int err = 0, fd = r->p[i].fd;
		socklen_t len = sizeof(err);

		if (!r->p[i].revents)
			continue;
		r->p[i] = r->p[--r->n];
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0)
			return fd;
		r->last_errno = err ? err : ECONNREFUSED;
		close(fd);
		i--;
	}
	return -1;
}

static int race_run(struct race *r, const struct resolved *to, int64_t deadline_ms)
{
	size_t next = 0;

	while (next < to->n || r->n) {
		int left = deadline_left(deadline_ms), fd;

		if (left == 0) {
			r->last_errno = ETIMEDOUT;
			return -1;
		}
		if (next < to->n) {
			race_add(r, &to->v[next++]);
			if (!r->n)
				continue;
		}
		if (next < to->n && left > NEXT_ADDRESS_MS)
			left = NEXT_ADDRESS_MS;
		if (poll(r->p, r->n, left) > 0 && (fd = race_step(r)) >= 0)
			return fd;
	}
	return -1;
}

static int connect_any(const struct resolved *to, const char *address, int64_t deadline_ms, struct err *e)
{
	struct race r = { .last_errno = ECONNREFUSED };
	int fd = race_run(&r, to, deadline_ms);

	for (nfds_t i = 0; i < r.n; i++)
		close(r.p[i].fd);
	if (fd < 0)
		err_set(e, r.last_errno == ETIMEDOUT ? ERR_TIMEOUT : ERR_REFUSED, "connect %s: %s", address,
			strerror(r.last_errno));
	return fd;
}

static int unix_address(const char *path, struct resolved *to, struct err *e)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&to->v[0].sa;

	memset(to, 0, sizeof(*to));
	if (strlen(path) >= sizeof(un->sun_path))
		return err_set(e, ERR_CONFIG, "unix:%s: path too long", path);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path) + 1);
	to->v[0].len = sizeof(*un);
	to->n = 1;
	return 0;
}

/* "host:port" or "[v6]:port". */
static int split_address(const char *address, char host[256], char port[16], struct err *e)
{
	const char *colon = strrchr(address, ':');
	const char *from = address;
	size_t len;

	if (!colon || colon == address)
		return err_set(e, ERR_CONFIG, "address %s: no port", address);
	len = (size_t)(colon - address);
	if (*from == '[' && from[len - 1] == ']') {
		from++;
		len -= 2;
	}
	if (len >= 256 || strlen(colon + 1) >= 16 || !colon[1])
		return err_set(e, ERR_CONFIG, "address %s: not host:port", address);
	memcpy(host, from, len);
	host[len] = 0;
	strcpy(port, colon + 1);
	return 0;
}

static int find_address(const char *address, int64_t deadline_ms, struct resolved *to, struct err *e)
{
	char host[256], port[16];

	if (strncmp(address, "unix:", 5) == 0)
		return unix_address(address + 5, to, e);
	if (split_address(address, host, port, e) < 0)
		return -1;
	return resolve(host, port, deadline_ms, to, e);
}

int stream_open(struct stream **s_r, const char *address, int64_t deadline_ms, struct err *e)
{
	struct resolved to;
	struct stream *s;
	int fd;

	*s_r = NULL;
	if (find_address(address, deadline_ms, &to, e) < 0)
		return -1;
	fd = connect_any(&to, address, deadline_ms, e);
	if (fd < 0)
		return -1;
	s = mem_alloc(sizeof(*s));
	s->fd = fd;
	s->deadline_ms = deadline_ms;
	*s_r = s;
	return 0;
}

void stream_close(struct stream **sp)
{
	struct stream *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	if (s->crypt)
		stream_crypt_free(&s->crypt);
	close(s->fd);
	free(s);
}

/* -- bytes -- */

ssize_t stream_raw_read(struct stream *s, void *p, size_t n)
{
	ssize_t got;

	do
		got = recv(s->fd, p, n, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		s->bytes_in += (uint64_t)got;
	return got;
}

ssize_t stream_raw_write(struct stream *s, const void *p, size_t n)
{
	ssize_t put;

	do
		put = send(s->fd, p, n, MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put > 0)
		s->bytes_out += (uint64_t)put;
	return put;
}

static int failed(struct stream *s, const char *what, struct err *e)
{
	if (atomic_load_explicit(&s->cancelled, memory_order_acquire))
		return err_set(e, ERR_CANCELLED, "%s: cancelled", what);
	return err_set(e, ERR_BACKEND_TEMP, "%s: %s", what, strerror(errno));
}

ssize_t stream_read(struct stream *s, void *p, size_t n, struct err *e)
{
	if (s->wrote) {
		s->wrote = false;
		s->round_trips++;
	}
	for (;;) {
		ssize_t got;

		if (check(s, "read", e) < 0)
			return -1;
		got = s->crypt ? stream_crypt_read(s, p, n, e) : stream_raw_read(s, p, n);
		if (got == 0 && check(s, "read", e) < 0)
			return -1; /* the end that stream_cancel made is no end of stream */
		if (got >= 0 || (s->crypt && got == STREAM_FAILED))
			return got;
		if (!s->crypt && errno != EAGAIN && errno != EWOULDBLOCK)
			return failed(s, "read", e);
		if (stream_wait(s, got == STREAM_WANT_WRITE ? POLLOUT : POLLIN, "read", e) < 0)
			return -1;
	}
}

int stream_write(struct stream *s, const void *p, size_t n, struct err *e)
{
	const char *at = p;

	s->wrote = true;
	while (n) {
		ssize_t put;

		if (check(s, "write", e) < 0)
			return -1;
		put = s->crypt ? stream_crypt_write(s, at, n, e) : stream_raw_write(s, at, n);
		if (put >= 0) {
			at += put;
			n -= (size_t)put;
			continue;
		}
		if (s->crypt && put == STREAM_FAILED)
			return -1;
		if (!s->crypt && errno != EAGAIN && errno != EWOULDBLOCK)
			return failed(s, "write", e);
		if (stream_wait(s, s->crypt && put == STREAM_WANT_READ ? POLLIN : POLLOUT, "write", e) < 0)
			return -1;
	}
	return 0;
}

/* -- the rest -- */

void stream_patience(struct stream *s, int64_t patience_ms)
{
	s->patience_ms = patience_ms > 1000000 ? 1000000 : (int)patience_ms;
}

void stream_deadline(struct stream *s, int64_t deadline_ms)
{
	s->deadline_ms = deadline_ms;
}

size_t stream_pending(const struct stream *s)
{
	return s->crypt ? stream_crypt_pending(s->crypt) : 0;
}

bool stream_is_tls(const struct stream *s)
{
	return s->crypt != NULL;
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}

bool stream_readable(const struct stream *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };

	return stream_pending(s) || poll(&p, 1, 0) != 0;
}

void stream_cancel(struct stream *s)
{
	atomic_store_explicit(&s->cancelled, true, memory_order_release);
	shutdown(s->fd, SHUT_RDWR);
}

uint64_t stream_bytes_in(const struct stream *s)
{
	return s->bytes_in;
}

uint64_t stream_bytes_out(const struct stream *s)
{
	return s->bytes_out;
}

uint64_t stream_round_trips(const struct stream *s)
{
	return s->round_trips;
}
