/* watch_priv.h - what watch.c (states, time, users) and watch_job.c (calls into
 * backends on workers) share. Not for others. */
#ifndef LOOP_WATCH_PRIV_H
#define LOOP_WATCH_PRIV_H

#include "base/secret.h"
#include "loop/watch.h"
#include "work/work.h"

enum { WATCH_EVENTS_MAX = 64 };

enum watch_state {
	WATCH_IDLE,    /* nothing is open; may never be (push.sources has hook) */
	WATCH_QUEUED,  /* waits for its turn to log in */
	WATCH_OPENING, /* a job is out */
	WATCH_ARMED,
	WATCH_READING, /* a job is out */
	WATCH_CLOSING, /* a job is out */
	WATCH_PAUSED,  /* to be opened again when due */
	WATCH_UNCLOSED /* its closing job was shed: once more when due */
};

struct watched {
	struct loop_timer timer; /* the sooner of due and sweep */
	struct list link;        /* room's all */
	struct list in_queue;    /* room's queue: WATCH_QUEUED */
	struct watch_room *room;
	struct loop *loop;
	struct watched *main;    /* an extra's; NULL in others, and once that is dying */
	struct list extras, of_main;
	struct slice user, login; /* owned */
	struct secret *password;
	struct watch *w;
	uv_poll_t *poll;         /* of fd; closed before the job that closes fd */
	int fd;
	enum watch_state state;
	enum be_watch_kind kind;
	char **folders;             /* owned, of exact size: most users wait for one or two */
	uint32_t n_folders, n_open; /* known, and those of them that the open watch knows */
	uint32_t missed, left_out;  /* not covered by the server; beyond FOLDERS_MAX */
	int64_t pause_ms, due_ms, sweep_ms, armed_ms;
	bool dying;
	bool extra;
	bool held;                  /* a job's end is being worked on: not to be freed in between */
	bool refresh;               /* the read that is out was asked for by time */
	bool reopen;                /* closed for more folders: opened again without a pause */
};

enum watch_what { WATCH_JOB_OPEN, WATCH_JOB_READ, WATCH_JOB_CLOSE };

struct watch_job {
	struct job job;
	struct work *work;
	struct watched *w;
	enum watch_what what;
	struct arena *a;
	struct be_cred cred;
	struct slice *folders;
	size_t n_folders;
	/* results */
	struct watch *watch;
	int fd;
	enum be_watch_kind kind;
	size_t missed;
	enum be_result rc;
	struct err err;
	struct slice events[WATCH_EVENTS_MAX];
	size_t n_events;
	bool overflow;
};

/* Has a worker do it; `done` (loop) takes the job back. Sets the state. A closing
 * job takes w->w. */
void watch_submit(struct watched *w, enum watch_what what, void (*done)(struct job *j));
void watch_job_free(struct watch_job *j);
/* The loop is ending and no worker is left: closes on this thread. */
void watch_close_here(struct watch_job *j);

#endif
