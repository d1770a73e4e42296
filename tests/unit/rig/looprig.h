/* looprig.h - a real loop with listeners on loopback in a thread of its own, a
 * scripted exchange_run behind it, and a blocking client before it. */
#ifndef TESTS_LOOPRIG_H
#define TESTS_LOOPRIG_H

#include <pthread.h>
#include <semaphore.h>

#include "tests/unit/harness.h"
#include "loop/conn.h"

struct rig {
	struct loop *l;
	struct loop_config config;
	struct loop_deps deps;
	pthread_t thread;
	unsigned port, tls_port;
	char dir[64];
	/* The scripted exchange: DeviceId says what happens, see exchange_run. */
	sem_t gate;             /* "gate" waits here */
	sem_t entered;          /* posted when a request reached a worker */
	/* The fake push registry. */
	pthread_mutex_t lock;
	uint64_t parked_id;
	unsigned parks, drops, hurries, befores;
	bool answer_hurried;
	struct uv_async_s *answer; /* run on the loop: answers parked_id */
	int answer_status;
	bool answer_done, answer_ok;
};

/* Defaults, then start. */
void rig_init(struct rig *r);
void rig_start(struct rig *r, bool tls);
void rig_stop(struct rig *r);
/* On the loop: answers the parked connection with "woken". */
bool rig_answer(struct rig *r);
/* Runs fn on the loop and waits for it. */
void rig_on_loop(struct rig *r, void (*fn)(struct rig *r));

int dial(unsigned port);
void say(int fd, const char *text);
void say_bytes(int fd, struct slice s);
/* Reads until the peer closes; the text, NUL-terminated, in the case's arena. */
const char *hear_all(int fd);
/* Reads one reply with its Content-Length. */
const char *hear(int fd);
/* Waits (5 s) until the counter under the lock is at least n. */
void rig_wait(struct rig *r, unsigned *counter, unsigned n);

#endif
