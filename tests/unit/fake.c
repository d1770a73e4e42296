/* fake.c - the scripted server. Its thread owns the connection; what it heard is
 * read by the test after fake_stop joined it. */
#include "tests/unit/fake.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/harness.h"

struct link {
	int fd;
	char in[8192];
	size_t at, end;
};

static bool send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t put = send(fd, p, n, MSG_NOSIGNAL);

		if (put <= 0)
			return false;
		p += put;
		n -= (size_t)put;
	}
	return true;
}

static int next_byte(struct link *l)
{
	if (l->at == l->end) {
		ssize_t n = recv(l->fd, l->in, sizeof(l->in), 0);

		if (n <= 0)
			return -1;
		l->at = 0;
		l->end = (size_t)n;
	}
	return (unsigned char)l->in[l->at++];
}

static bool read_line(struct fake *f, struct link *l, char *z, size_t size)
{
	size_t n = 0;
	int c;

	while ((c = next_byte(l)) >= 0 && c != '\n')
		if (c != '\r' && n + 1 < size)
			z[n++] = (char)c;
	z[n] = 0;
	if (c < 0)
		return false;
	if (f->heard_len + n + 2 < sizeof(f->heard)) {
		memcpy(f->heard + f->heard_len, z, n);
		f->heard_len += n;
		f->heard[f->heard_len++] = '\n';
	}
	return true;
}

static bool expect(struct fake *f, struct link *l, const char *what)
{
	char z[4096];

	if (what[0] == '.') {
		do
			if (!read_line(f, l, z, sizeof(z)))
				return false;
		while (strcmp(z, ".") != 0);
		return true;
	}
	if (!read_line(f, l, z, sizeof(z)))
		return false;
	if (what[0] == '*' || strstr(z, what + 1))
		return true;
	f->unexpected = true;
	return false;
}

static bool repeat(int fd, const char *step)
{
	char *end, chunk[4096];
	long n = strtol(step, &end, 10);

	memset(chunk, end[1], sizeof(chunk));
	for (; n > 0; n -= (long)sizeof(chunk))
		if (!send_all(fd, chunk, n < (long)sizeof(chunk) ? (size_t)n : sizeof(chunk)))
			return false;
	return true;
}

static bool drip(int fd, const char *step)
{
	char *text;
	long ms = strtol(step, &text, 10);

	for (text++; *text; text++) {
		if (!send_all(fd, text, 1))
			return false;
		usleep((useconds_t)ms * 1000);
	}
	return true;
}

static bool play(struct fake *f, struct link *l, const char *step)
{
	char buf[256];

	switch (step[0]) {
	case '>':
		return send_all(l->fd, step + 2, strlen(step + 2)) && send_all(l->fd, "\r\n", 2);
	case '=':
		return send_all(l->fd, step + 2, strlen(step + 2));
	case '<':
		return expect(f, l, step + 1);
	case '*':
		return repeat(l->fd, step + 1);
	case '~':
		return drip(l->fd, step + 1);
	}
	if (strcmp(step, "? hang") == 0)
		while (recv(l->fd, buf, sizeof(buf), 0) > 0)
			;
	return false;
}

static void *serve(void *arg)
{
	struct fake *f = arg;
	int fd;

	while ((fd = accept(f->listener, NULL, NULL)) >= 0) {
		struct link l = { .fd = fd };
		bool on = true;

		for (size_t i = 0; on && f->script[i]; i++)
			on = play(f, &l, f->script[i]);
		close(fd);
	}
	return NULL;
}

void fake_start(struct fake *f, const char *const *script)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	memset(f, 0, sizeof(*f));
	f->script = script;
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_INT(bind(f->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	CHECK_INT(listen(f->listener, 8), 0);
	getsockname(f->listener, (struct sockaddr *)&a, &len);
	snprintf(f->address, sizeof(f->address), "127.0.0.1:%d", ntohs(a.sin_port));
	CHECK_INT(pthread_create(&f->thread, NULL, serve, f), 0);
}

void fake_stop(struct fake *f)
{
	shutdown(f->listener, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->listener);
}

bool fake_heard(const struct fake *f, const char *text)
{
	return memmem(f->heard, f->heard_len, text, strlen(text)) != NULL;
}
