/* test_stream.c - the stream over real sockets: a peer thread plays the server. */
#include "base/stream.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/harness.h"
#include "tests/unit/tlspeer.h"

struct peer {
	int listener;
	char address[64];
	pthread_t thread;
	void (*play)(struct peer *p, int fd);
	struct tlspeer *tls;
	struct stream *victim;
};

static int64_t in_ms(int ms)
{
	return clock_now(&clock_system) + ms;
}

static void *run(void *arg)
{
	struct peer *p = arg;
	int fd = accept(p->listener, NULL, NULL);

	if (fd >= 0) {
		p->play(p, fd);
		close(fd);
	}
	return NULL;
}

static void start(struct peer *p, void (*play)(struct peer *, int))
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	p->play = play;
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(bind(p->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	CHECK_INT(listen(p->listener, 8), 0);
	getsockname(p->listener, (struct sockaddr *)&a, &len);
	snprintf(p->address, sizeof(p->address), "127.0.0.1:%d", ntohs(a.sin_port));
	CHECK_INT(pthread_create(&p->thread, NULL, run, p), 0);
}

static void stop(struct peer *p)
{
	pthread_join(p->thread, NULL);
	close(p->listener);
}

static void echo(struct peer *p, int fd)
{
	char buf[70000];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		send(fd, buf, (size_t)n, MSG_NOSIGNAL);
}

static void mute(struct peer *p, int fd)
{
	char buf[16];

	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
}

static void drip(struct peer *p, int fd)
{
	while (send(fd, "x", 1, MSG_NOSIGNAL) == 1)
		usleep(1000);
}

static void *read_all(void *arg)
{
	struct stream *s = arg;
	char buf[8192];
	size_t *total = mem_alloc(sizeof(*total));
	ssize_t n;

	while (*total < 3000000 && (n = stream_read(s, buf, sizeof(buf), NULL)) > 0)
		*total += (size_t)n;
	return total;
}

CASE(stream_echo_and_round_trips)
{
	struct peer p = { 0 };
	struct stream *s;
	struct err e = { 0 };
	char buf[8];

	start(&p, echo);
	CHECK_INT(stream_open(&s, p.address, in_ms(5000), &e), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_INT(stream_write(s, "a", 1, &e), 0);
		CHECK_INT(stream_write(s, "b", 1, &e), 0);
		for (size_t got = 0; got < 2;)
			got += (size_t)stream_read(s, buf, sizeof(buf), &e);
	}
	CHECK_INT(stream_round_trips(s), 3);
	CHECK_INT(stream_bytes_in(s), 6);
	CHECK_INT(stream_bytes_out(s), 6);
	CHECK(!stream_readable(s));
	stream_close(&s);
	CHECK(!s);
	stop(&p);
}

CASE(stream_reads_the_end)
{
	struct peer p = { 0 };
	struct stream *s;
	struct err e = { 0 };
	char buf[8];

	start(&p, mute);
	CHECK_INT(stream_open(&s, p.address, in_ms(5000), &e), 0);
	shutdown(stream_fd(s), SHUT_WR);
	CHECK_INT(stream_read(s, buf, sizeof(buf), &e), 0);
	stream_close(&s);
	stop(&p);
}

CASE(stream_refused_and_bad_addresses)
{
	struct stream *s;
	struct err e = { 0 };
	struct peer p = { 0 };

	start(&p, mute);
	shutdown(p.listener, SHUT_RDWR);
	stop(&p);
	CHECK_INT(stream_open(&s, p.address, in_ms(5000), &e), -1);
	CHECK_INT(e.code, ERR_REFUSED);
	CHECK(!s);
	CHECK_INT(stream_open(&s, "nohost", in_ms(100), &e), -1);
	CHECK_INT(e.code, ERR_CONFIG);
	CHECK_INT(stream_open(&s, "x:", in_ms(100), &e), -1);
	CHECK_INT(e.code, ERR_CONFIG);
	CHECK_INT(stream_open(&s, "no-such-host.invalid:1", in_ms(3000), &e), -1);
	CHECK(e.code == ERR_REFUSED || e.code == ERR_TIMEOUT);
	CHECK_INT(stream_open(&s, "unix:/nonexistent/socket", in_ms(100), &e), -1);
	CHECK_INT(e.code, ERR_REFUSED);
}

/* "localhost" is two addresses on many machines; only one of them listens. */
CASE(stream_tries_every_address)
{
	struct peer p = { 0 };
	struct stream *s;
	struct err e = { 0 };
	char by_name[64];

	start(&p, mute);
	snprintf(by_name, sizeof(by_name), "localhost%s", strchr(p.address, ':'));
	CHECK_INT(stream_open(&s, by_name, in_ms(5000), &e), 0);
	stream_close(&s);
	stop(&p);
}

CASE(stream_deadline_while_waiting)
{
	struct peer p = { 0 };
	struct stream *s;
	struct err e = { 0 };
	char buf[8];
	int64_t began;

	start(&p, mute);
	CHECK_INT(stream_open(&s, p.address, in_ms(5000), &e), 0);
	began = clock_now(&clock_system);
	stream_deadline(s, began + 60);
	CHECK_INT(stream_read(s, buf, sizeof(buf), &e), -1);
	CHECK_INT(e.code, ERR_TIMEOUT);
	CHECK(clock_now(&clock_system) - began >= 60);
	CHECK(clock_now(&clock_system) - began < 2000);
	stream_close(&s);
	stop(&p);
}

CASE(stream_deadline_ends_a_drip)
{
	struct peer p = { 0 };
	struct stream *s;
	struct err e = { 0 };
	char buf[8];
	int64_t began = clock_now(&clock_system);

	start(&p, drip);
	CHECK_INT(stream_open(&s, p.address, in_ms(5000), &e), 0);
	stream_deadline(s, began + 80);
	while (stream_read(s, buf, sizeof(buf), &e) > 0)
		CHECK(clock_now(&clock_system) - began < 3000);
	CHECK_INT(e.code, ERR_TIMEOUT);
	stream_close(&s);
	stop(&p);
}

CASE(stream_deadline_ends_a_write)
{
	struct peer p = { 0 };
	struct stream *s;
	struct err e = { 0 };
	static char big[16 << 20];

	start(&p, drip); /* never reads */
	CHECK_INT(stream_open(&s, p.address, in_ms(5000), &e), 0);
	stream_deadline(s, in_ms(80));
	CHECK_INT(stream_write(s, big, sizeof(big), &e), -1);
	CHECK_INT(e.code, ERR_TIMEOUT);
	stream_close(&s);
	stop(&p);
}

static void *cancel_soon(void *arg)
{
	usleep(30000);
	stream_cancel(arg);
	return NULL;
}

CASE(stream_cancel_wakes_a_reader)
{
	struct peer p = { 0 };
	struct stream *s;
	struct err e = { 0 };
	pthread_t t;
	char buf[8];

	start(&p, mute);
	CHECK_INT(stream_open(&s, p.address, in_ms(10000), &e), 0);
	pthread_create(&t, NULL, cancel_soon, s);
	CHECK_INT(stream_read(s, buf, sizeof(buf), &e), -1);
	CHECK_INT(e.code, ERR_CANCELLED);
	pthread_join(t, NULL);
	CHECK_INT(stream_write(s, "x", 1, &e), -1);
	CHECK_INT(e.code, ERR_CANCELLED);
	stream_close(&s);
	stop(&p);
}

CASE(stream_unix_socket)
{
	char dir[] = "/tmp/stream-XXXXXX";
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct peer p = { .play = echo };
	struct stream *s;
	struct err e = { 0 };
	char buf[8];

	CHECK(mkdtemp(dir));
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", dir);
	snprintf(p.address, sizeof(p.address), "unix:%s/s", dir);
	p.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_INT(bind(p.listener, (struct sockaddr *)&a, sizeof(a)), 0);
	CHECK_INT(listen(p.listener, 1), 0);
	pthread_create(&p.thread, NULL, run, &p);
	CHECK_INT(stream_open(&s, p.address, in_ms(5000), &e), 0);
	CHECK_INT(stream_write(s, "hi", 2, &e), 0);
	CHECK_INT(stream_read(s, buf, sizeof(buf), &e), 2);
	stream_close(&s);
	stop(&p);
	unlink(a.sun_path);
	rmdir(dir);
}

/* -- TLS -- */

static void tls_echo(struct peer *p, int fd)
{
	char buf[20000];
	int n;

	if (!tlspeer_accept(p->tls, fd))
		return;
	while ((n = tlspeer_read(p->tls, buf, sizeof(buf))) > 0)
		for (int put = 0; put < n;)
			put += tlspeer_write(p->tls, buf + put, (size_t)(n - put));
	tlspeer_bye(p->tls);
}

static void tls_one_record(struct peer *p, int fd)
{
	char buf[8];

	if (!tlspeer_accept(p->tls, fd))
		return;
	tlspeer_write(p->tls, "+ idling\r\n* 3 EXISTS\r\n", 23);
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
}

struct tls_case {
	struct peer p;
	struct stream_tls *t;
	struct stream *s;
	char pem[64];
};

static void tls_open(struct tls_case *c, void (*play)(struct peer *, int), bool trusted)
{
	struct err e = { 0 };

	strcpy(c->pem, "/tmp/stream-pem-XXXXXX");
	close(mkstemp(c->pem));
	c->p.tls = tlspeer_new(c->pem);
	start(&c->p, play);
	CHECK_INT(stream_tls_new(&c->t, trusted ? c->pem : NULL, true, &e), 0);
	CHECK_INT(stream_open(&c->s, c->p.address, in_ms(20000), &e), 0);
}

static void tls_close(struct tls_case *c)
{
	stream_close(&c->s);
	stop(&c->p);
	stream_tls_free(&c->t);
	tlspeer_free(&c->p.tls);
	unlink(c->pem);
}

CASE(stream_tls_echo_by_name_and_by_address)
{
	const char *hosts[] = { "localhost", "127.0.0.1" };

	for (int i = 0; i < 2; i++) {
		struct tls_case c = { 0 };
		struct err e = { 0 };
		char out[5000], in[5000];

		tls_open(&c, tls_echo, true);
		if (stream_start_tls(c.s, c.t, hosts[i], &e) < 0)
			test_fail(__FILE__, __LINE__, "%s", e.text);
		CHECK(stream_is_tls(c.s));
		memset(out, 'a' + i, sizeof(out));
		CHECK_INT(stream_write(c.s, out, sizeof(out), &e), 0);
		for (size_t got = 0; got < sizeof(in);) {
			ssize_t n = stream_read(c.s, in + got, sizeof(in) - got, &e);

			CHECK(n > 0);
			got += (size_t)n;
		}
		CHECK(memcmp(in, out, sizeof(in)) == 0);
		tls_close(&c);
	}
}

CASE(stream_tls_refuses_other_names_and_strangers)
{
	struct {
		const char *host;
		bool trusted;
	} bad[] = { { "mail.example.org", true }, { "127.0.0.2", true }, { "localhost", false } };

	for (size_t i = 0; i < 3; i++) {
		struct tls_case c = { 0 };
		struct err e = { 0 };

		tls_open(&c, tls_echo, bad[i].trusted);
		CHECK_INT(stream_start_tls(c.s, c.t, bad[i].host, &e), -1);
		CHECK_INT(e.code, ERR_TLS);
		tls_close(&c);
	}
}

CASE(stream_tls_pending_shows_what_poll_does_not)
{
	struct tls_case c = { 0 };
	struct err e = { 0 };
	char buf[10];

	tls_open(&c, tls_one_record, true);
	CHECK_INT(stream_start_tls(c.s, c.t, "localhost", &e), 0);
	CHECK_INT(stream_read(c.s, buf, 10, &e), 10);
	CHECK_INT(stream_pending(c.s), 13);
	CHECK(stream_readable(c.s));
	tls_close(&c);
}

CASE(stream_tls_to_a_plain_server_fails_in_time)
{
	struct tls_case c = { 0 };
	struct err e = { 0 };

	tls_open(&c, mute, true);
	stream_deadline(c.s, in_ms(80));
	CHECK_INT(stream_start_tls(c.s, c.t, "localhost", &e), -1);
	CHECK_INT(e.code, ERR_TIMEOUT);
	tls_close(&c);
}

CASE(stream_big_transfer_both_ways)
{
	struct peer p = { 0 };
	struct stream *s;
	struct err e = { 0 };
	static char chunk[100000];
	pthread_t t;
	void *total;

	start(&p, echo);
	CHECK_INT(stream_open(&s, p.address, in_ms(20000), &e), 0);
	/* 30 rounds, each small enough for the socket buffers of an echo peer. */
	for (int i = 0; i < 30; i++) {
		CHECK_INT(stream_write(s, chunk, sizeof(chunk), &e), 0);
		for (size_t got = 0; got < sizeof(chunk);) {
			char buf[8192];
			ssize_t n = stream_read(s, buf, sizeof(buf), &e);

			CHECK(n > 0);
			got += (size_t)n;
		}
	}
	CHECK_INT(stream_bytes_in(s), 3000000);
	/* Handed to another thread: the owner changes, the stream does not mind. */
	shutdown(stream_fd(s), SHUT_WR);
	pthread_create(&t, NULL, read_all, s);
	pthread_join(t, &total);
	CHECK_INT(*(size_t *)total, 0);
	free(total);
	stream_close(&s);
	stop(&p);
}
