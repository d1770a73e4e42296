/* crash.c - a page per fact that survives a crash: what each worker had in hand.
 * The mapping is shared with the file, so the kernel keeps it when the process
 * dies. Slots belong to threads (one each, taken at first use, given back never:
 * workers live as long as the process). Only a slot that a fatal signal marked
 * names a culprit; what the others had in hand is logged and left alone, or one
 * kill -9 would take mails away from everyone.
 * Handlers are async-signal-safe: they store one word and re-raise. */
#include "work/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/log.h"

/* Layout of the file, format 2; a file of another format is started anew. */
enum { SLOTS = 512, POISONED_MAX = 256, FORMAT = 2, SIGNAL_STACK = 64 * 1024 };

struct slot {
	_Atomic uint32_t busy;
	_Atomic uint32_t signal; /* what ended the process while this was in hand */
	uint64_t rid, num;
	int64_t since_ms;        /* wall */
	char user[128], device[128], command[24], folder[256]; /* for people, cut */
	char claim[40];          /* owner of the device's claim; empty: none */
	uint64_t item;           /* hash of user, device, folder and num; 0: no item */
};

struct poison {
	uint64_t item;
	int64_t since_ms;
};

struct file {
	char magic[8];
	uint32_t format, size;
	_Atomic uint32_t ended;  /* 1: in order */
	uint32_t n_poisoned;     /* a ring: the oldest are overwritten */
	struct poison poisoned[POISONED_MAX];
	struct slot slot[SLOTS];
};

struct left {
	char user[128], device[128], claim[40];
};

struct crash_ring {
	struct file *f;
	struct left *left; /* claims that the last process died with */
	size_t n_left;
	const struct clock *clock;
	_Atomic uint32_t next_slot;
};

static __thread struct slot *mine;
static __thread struct slot *armed; /* set while busy: what a handler may touch */
static __thread bool has_stack;

static uint64_t item_of(struct slice user, struct slice device, struct slice folder, uint64_t num)
{
	struct sha256 d = digest_parts((const struct slice[]){ user, device, folder, slice(&num, sizeof(num)) }, 4);
	uint64_t h;

	memcpy(&h, d.b, sizeof(h));
	return h ? h : 1;
}

static void poison(struct file *f, uint64_t item, int64_t now)
{
	for (uint32_t i = 0; i < POISONED_MAX; i++)
		if (f->poisoned[i].item == item)
			return;
	f->poisoned[f->n_poisoned++ % POISONED_MAX] = (struct poison){ item, now };
}

/* The file may be damaged: a name need not end. */
static struct slice bounded(const char *z, size_t cap)
{
	return slice(z, strnlen(z, cap));
}

static void report(struct file *f, struct slot *s, int64_t now)
{
	bool culprit = s->signal != 0;

	LOG_AT(culprit ? LOG_ERROR : LOG_WARN, culprit ? "crashed_on" : "was_in_hand", L_S("user", bounded(s->user, sizeof(s->user))),
	       L_S("dev", bounded(s->device, sizeof(s->device))), L_S("cmd", bounded(s->command, sizeof(s->command))),
	       L_I("rid", s->rid), L_S("folder", bounded(s->folder, sizeof(s->folder))),
	       L_I("num", s->num), L_I("signal", s->signal),
	       L_Z("do", culprit && s->item ? "the item is served as a stand-in to this device; please report it" : ""));
	if (culprit && s->item)
		poison(f, s->item, now);
}

static void keep_claim(struct crash_ring *r, const struct slot *s)
{
	struct left *l;

	if (!s->claim[0])
		return;
	if (!r->left)
		r->left = mem_alloc(SLOTS * sizeof(*r->left));
	l = &r->left[r->n_left++];
	memcpy(l->user, s->user, sizeof(l->user));
	memcpy(l->device, s->device, sizeof(l->device));
	memcpy(l->claim, s->claim, sizeof(l->claim));
}

static void read_previous(struct crash_ring *r, int64_t now)
{
	struct file *f = r->f;

	for (int i = 0; i < SLOTS && !atomic_load(&f->ended); i++)
		if (atomic_load(&f->slot[i].busy)) {
			report(f, &f->slot[i], now);
			keep_claim(r, &f->slot[i]);
		}
	memset(f->slot, 0, sizeof(f->slot));
}

void crash_left(const struct crash_ring *r, crash_left_fn *fn, void *arg)
{
	for (size_t i = 0; i < r->n_left; i++) {
		const struct left *l = &r->left[i];

		fn(arg, bounded(l->user, sizeof(l->user)), bounded(l->device, sizeof(l->device)),
		   bounded(l->claim, sizeof(l->claim)));
	}
}

int crash_open(struct crash_ring **r_r, struct slice data_dir, const struct clock *clk, struct err *e)
{
	char path[1024];
	struct file *f;
	struct stat st;
	bool fresh;
	int fd;

	snprintf(path, sizeof(path), "%.*s/crash.ring", SARG(data_dir));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || ftruncate(fd, sizeof(*f)) < 0) {
		close(fd);
		return err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	}
	/* Without blocks of its own a write into the mapping on a full disk is a SIGBUS. */
	errno = posix_fallocate(fd, 0, sizeof(*f));
	if (errno) {
		err_set(e, ERR_CONFIG, "server.data_dir: %s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (f == MAP_FAILED)
		return err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	fresh = st.st_size != sizeof(*f) || memcmp(f->magic, "zpushcr", 8) != 0 || f->format != FORMAT ||
		f->size != sizeof(*f);
	*r_r = mem_alloc(sizeof(**r_r));
	(*r_r)->f = f;
	(*r_r)->clock = clk;
	if (fresh)
		memset(f, 0, sizeof(*f));
	else
		read_previous(*r_r, clock_wall(clk));
	memcpy(f->magic, "zpushcr", 8);
	f->format = FORMAT;
	f->size = sizeof(*f);
	atomic_store(&f->ended, 0);
	return 0;
}

void crash_close(struct crash_ring **rp)
{
	struct crash_ring *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	atomic_store(&r->f->ended, 1);
	mine = armed = NULL;
	munmap(r->f, sizeof(*r->f));
	free(r->left);
	free(r);
}

/* --- the signal -------------------------------------------------------------------- */

static void on_fatal(int signo)
{
	if (armed)
		atomic_store(&armed->signal, (uint32_t)signo);
	signal(signo, SIG_DFL);
	raise(signo);
}

void crash_arm(struct crash_ring *r)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	struct sigaction sa = { .sa_handler = on_fatal, .sa_flags = SA_ONSTACK | SA_NODEFER };

	if (!r)
		return;
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
		sigaction(fatal[i], &sa, NULL);
}

/* A worker that overflows its stack needs another one for the handler. */
static void give_stack(void)
{
	stack_t s = { .ss_size = SIGNAL_STACK };

	has_stack = true;
	s.ss_sp = mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s.ss_sp != MAP_FAILED)
		sigaltstack(&s, NULL);
}

/* --- a worker's slot ------------------------------------------------------------------ */

static void cut(char *to, size_t cap, struct slice s)
{
	size_t n = s.len < cap - 1 ? s.len : cap - 1;

	if (n)
		memcpy(to, s.ptr, n);
	to[n] = 0;
}

void crash_begin(struct crash_ring *r, struct slice user, struct slice device, const char *command, uint64_t rid)
{
	if (!r)
		return;
	if (!mine) {
		uint32_t i = atomic_fetch_add(&r->next_slot, 1);

		if (i >= SLOTS)
			return; /* more threads than slots: these go unnamed */
		mine = &r->f->slot[i];
	}
	if (!has_stack)
		give_stack();
	mine->rid = rid;
	mine->num = mine->item = 0;
	mine->folder[0] = mine->claim[0] = 0;
	mine->since_ms = clock_wall(r->clock);
	cut(mine->user, sizeof(mine->user), user);
	cut(mine->device, sizeof(mine->device), device);
	cut(mine->command, sizeof(mine->command), slice_str(command));
	atomic_store(&mine->busy, 1);
	armed = mine;
}

void crash_claim(struct crash_ring *r, struct slice owner)
{
	if (r && armed)
		cut(armed->claim, sizeof(armed->claim), owner);
}

void crash_item(struct crash_ring *r, struct slice folder, uint64_t num)
{
	if (!r || !armed)
		return;
	cut(armed->folder, sizeof(armed->folder), folder);
	armed->num = num;
	armed->item = folder.len ? item_of(slice_str(armed->user), slice_str(armed->device), folder, num) : 0;
}

void crash_end(struct crash_ring *r)
{
	if (!r || !armed)
		return;
	armed = NULL;
	atomic_store(&mine->busy, 0);
}

bool crash_is_poisoned(struct crash_ring *r, struct slice user, struct slice device, struct slice folder, uint64_t num)
{
	char u[128], d[128];
	uint64_t item;

	if (!r || r->f->n_poisoned == 0)
		return false;
	/* The names as a slot holds them: cut alike. */
	cut(u, sizeof(u), user);
	cut(d, sizeof(d), device);
	item = item_of(slice_str(u), slice_str(d), folder, num);
	for (uint32_t i = 0; i < POISONED_MAX; i++)
		if (r->f->poisoned[i].item == item)
			return true;
	return false;
}
