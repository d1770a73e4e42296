/* fake.h - a server on a script, on a thread of its own and a free port, for tests
 * of clients that must survive odd servers. One connection after the other, each
 * plays the script from its beginning. A step is one string:
 *   "> text"   send it with CRLF          "= text"   send it as it stands
 *   "< text"   read a line that contains it; a line without it ends the connection
 *   "<*"       read any line              "<."       read lines up to a lone dot
 *   "*N c"     send the byte c N times    "~N text"  send text byte by byte, N ms apart
 *   "? hang"   keep silent until the client leaves
 *   "? close"  end the connection */
#ifndef TESTS_FAKE_H
#define TESTS_FAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct fake {
	int listener;
	char address[64];          /* 127.0.0.1:port */
	const char *const *script; /* ends with NULL */
	pthread_t thread;
	char heard[65536];         /* every line read, joined by '\n' */
	size_t heard_len;
	atomic_bool unexpected;          /* a "<" step got another line */
};

void fake_start(struct fake *f, const char *const *script);
void fake_stop(struct fake *f);
/* A line with that in it was read; after fake_stop. */
bool fake_heard(const struct fake *f, const char *text);

#endif
