/* fleet.c - the epoll loop of the phones: who starts when, words from stdin, counts.
 * One thread. Phones are an array that never moves: epoll holds pointers into it. */
#include "fleet.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, SHOWN_FAILURES = 10 };

int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

int fleet_init(struct fleet *f, const struct fleet_options *o)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };

	*f = (struct fleet){ .o = *o, .scratch = arena_new(), .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	f->phones = mem_alloc(o->phones * sizeof(*f->phones));
	for (unsigned i = 0; i < o->phones; i++) {
		struct phone *p = &f->phones[i];

		p->number = i;
		p->fleet = f;
		p->peer.fd = NO_FD;
		p->peer.resume = true;
		p->peer.from.sin_family = AF_INET;
		p->peer.from.sin_addr.s_addr = htonl(o->source ? o->source + i : 0);
	}
	return f->epoll_fd < 0 || epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &e) < 0 ? -1 : 0;
}

void fleet_deinit(struct fleet *f)
{
	for (unsigned i = 0; i < f->o.phones; i++)
		peer_free(&f->phones[i].peer);
	free(f->phones);
	arena_free(&f->scratch);
	close(f->epoll_fd);
}

/* --- from the phones --------------------------------------------------------------- */

void fleet_watch(struct phone *p)
{
	uint32_t wants = peer_wants(&p->peer);
	struct epoll_event e = { .events = wants, .data.ptr = p };

	if (wants == p->peer.mask)
		return;
	epoll_ctl(p->fleet->epoll_fd, p->peer.mask ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, p->peer.fd, &e);
	p->peer.mask = wants;
}

void fleet_unwatch(struct phone *p)
{
	if (p->peer.mask)
		epoll_ctl(p->fleet->epoll_fd, EPOLL_CTL_DEL, p->peer.fd, NULL);
	p->peer.mask = 0;
}

static void print_counts(struct fleet *f, const char *event)
{
	const struct fleet_counts *n = &f->n;

	printf("%s seconds=%.6f waiting=%u failed=%u busy=%u replies=%llu items=%llu windows=%llu pings=%llu syncs=%llu "
	       "sent_bytes=%llu body_bytes=%llu\n", event, (double)(now_us() - f->word_us) / 1e6, n->waiting, n->failed,
	       n->busy, (unsigned long long)n->replies, (unsigned long long)n->items, (unsigned long long)n->windows,
	       (unsigned long long)n->pings, (unsigned long long)n->syncs, (unsigned long long)n->sent_bytes,
	       (unsigned long long)n->body_bytes);
	fflush(stdout);
}

static void start_more(struct fleet *f)
{
	while (f->next < f->o.phones && f->set_up < f->o.parallel) {
		f->set_up++;
		phone_start(&f->phones[f->next++]);
	}
}

static void was_set_up(struct fleet *f)
{
	f->set_up--;
	if (f->set_up == 0 && f->next == f->o.phones)
		print_counts(f, "parked");
}

void fleet_set_waiting(struct phone *p, bool waits)
{
	struct fleet *f = p->fleet;
	bool first = waits && !p->set_up;

	if (waits != p->waits)
		f->n.waiting += waits ? 1 : -1u;
	p->waits = waits;
	if (first) {
		p->set_up = true;
		was_set_up(f);
	}
}

void fleet_phone_done(struct phone *p)
{
	struct fleet *f = p->fleet;

	if (p->at_work) {
		p->at_work = false;
		if (--f->working == 0)
			print_counts(f, "done");
	}
}

void fleet_phone_failed(struct phone *p, const char *why, int status)
{
	struct fleet *f = p->fleet;

	if (f->n.failed++ < SHOWN_FAILURES)
		printf("failed phone=%u status=%d reason=\"%s\"\n", p->number, status, why);
	if (!p->set_up) {
		p->set_up = true;
		was_set_up(f);
	}
	fleet_phone_done(p);
}

/* --- words --------------------------------------------------------------------------- */

static void give_work(struct fleet *f, const char *word, unsigned n, bool resume)
{
	f->word_us = now_us();
	for (unsigned i = 0; i < f->o.phones; i++)
		if (f->phones[i].step == STEP_PING || f->phones[i].step == STEP_DONE) {
			f->phones[i].at_work = true;
			f->working++;
		}
	for (unsigned i = 0; i < f->o.phones; i++) {
		struct phone *p = &f->phones[i];

		if (!p->at_work)
			continue;
		if (strcmp(word, "ping") == 0)
			phone_ping_again(p, n);
		else if (strcmp(word, "sync") == 0)
			phone_sync_again(p, n);
		else
			phone_connect_again(p, n, resume);
	}
}

static bool do_word(struct fleet *f, const char *line)
{
	char word[16] = "", how[16] = "";
	unsigned n = 0;

	if (sscanf(line, "%15s %u %15s", word, &n, how) < 1)
		return true;
	if (strcmp(word, "quit") == 0)
		return false;
	if (strcmp(word, "count") == 0)
		print_counts(f, "count");
	else if (n && (strcmp(word, "ping") == 0 || strcmp(word, "sync") == 0 || strcmp(word, "connect") == 0))
		give_work(f, word, n, strcmp(how, "full") != 0);
	else
		printf("unknown word=\"%s\"\n", word);
	fflush(stdout);
	return true;
}

/* false: the end. */
static bool read_words(struct fleet *f)
{
	char text[256], *line, *next = text;
	ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = 0;
	while ((line = strsep(&next, "\n")) != NULL)
		if (*line && !do_word(f, line))
			return false;
	return true;
}

void fleet_run(struct fleet *f)
{
	struct epoll_event events[EVENTS];
	bool more = true;

	f->word_us = now_us();
	while (more) {
		int n;

		start_more(f);
		n = epoll_wait(f->epoll_fd, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				phone_ready(events[i].data.ptr);
			else
				more = read_words(f);
		}
	}
}
