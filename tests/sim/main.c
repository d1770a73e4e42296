/* main.c - runs seeds: `sim 1-200`, `sim fresh`, `sim -v 17`. A seed that failed
 * is printed and replays exactly. Ends with "N passed, N failed, N skipped". */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"

enum { STEPS = 500 };

static void step(struct sim *s)
{
	switch (sim_pick(s, 10)) {
	case 0:
	case 1:
		if (!sim_quiet(s) || sim_pick(s, 6) == 0)
			world_webmail(s);
		break;
	case 2:
	case 3:
		world_deliver_event(s);
		break;
	case 4:
	case 5:
		world_look(s);
		break;
	case 6:
		world_advance(s, 100 * (1 + sim_pick(s, 100)));
		break;
	default:
		phone_act(s, &s->phone[sim_pick(s, SIM_PHONES)]);
	}
}

/* Events and looks until nothing moves: a phone that still waits then must have
 * nothing to be told of. */
static void drain(struct sim *s)
{
	for (int i = 0; i < 2000; i++) {
		bool moved = world_deliver_event(s);

		moved = world_look(s) || moved;
		world_advance(s, 500);
		if (!moved && i > 60)
			break;
	}
}

/* No lost wake-up: who still waits has everything; a Sync brings it nothing. */
static void judge_waiting(struct sim *s)
{
	for (int i = 0; i < SIM_PHONES && !*s->failure; i++) {
		struct sim_phone *p = &s->phone[i];
		bool waited = p->parked, wish = false;

		for (size_t f = 0; f < p->n_folders; f++)
			for (size_t k = 0; k < p->folders[f].n; k++)
				wish = wish || p->folders[f].v[k].dirty_read || p->folders[f].v[k].dirty_flag ||
				       p->folders[f].v[k].deleted;
		if (waited && !wish)
			world_compare(s, p, p->pending == SIM_SYNC ? p->folder : SIZE_MAX);
		if (*s->failure)
			snprintf(s->failure + strlen(s->failure), sizeof(s->failure) - strlen(s->failure),
				 " - and its Ping still waits");
	}
}

/* A directory of its own: what a first start makes there (the secret) is drawn
 * from the seed too. */
static bool run(struct sim *s, uint64_t seed, const char *top)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "%s/%llu", top, (unsigned long long)seed);
	world_open(s, seed, dir);
	for (s->step = 0; s->step < STEPS && !*s->failure; s->step++)
		step(s);
	s->faults = false;
	drain(s);
	judge_waiting(s);
	for (int i = 0; i < SIM_PHONES && !*s->failure; i++)
		phone_settle(s, &s->phone[i]);
	for (int i = 0; i < SIM_PHONES && !*s->failure; i++) {
		phone_settle(s, &s->phone[i]);
		world_compare(s, &s->phone[i], SIZE_MAX);
	}
	if (!*s->failure)
		world_judge_sent(s);
	if (*s->failure)
		printf("FAIL seed %llu at step %u: %s\n     replay: sim -v %llu\n", (unsigned long long)seed, s->step, s->failure,
		       (unsigned long long)seed);
	else
		sim_note(s, "fine: %u answers, %u lost, %u repeats, %u crashes, %u rollbacks, %u pings", s->answers, s->lost,
			 s->repeats, s->crashes, s->rollbacks, s->pings);
	world_close(s);
	return !*s->failure;
}

int main(int argc, char **argv)
{
	static struct sim s;
	char dir[] = "/tmp/zpushd-sim-XXXXXX", cmd[64];
	int passed = 0, failed = 0;

	if (!mkdtemp(dir))
		return 2;
	log_open("-", LOG_ERROR, LOG_LOGFMT, NULL);
	for (int i = 1; i < argc; i++) {
		unsigned long long from = 0, to;
		int n = sscanf(argv[i], "%llu-%llu", &from, &to);

		if (strcmp(argv[i], "-v") == 0) {
			s.verbose = true;
			continue;
		}
		if (strcmp(argv[i], "fresh") == 0) {
			if (getrandom(&from, sizeof(from), 0) < 0)
				return 2;
			from = from % 1000000000000 + 1;
			printf("fresh seed %llu\n", from);
			n = 1;
		}
		if (n < 1) {
			fprintf(stderr, "usage: sim [-v] SEED | FROM-TO | fresh ...\n");
			return 2;
		}
		for (unsigned long long seed = from; seed <= (n == 2 ? to : from); seed++)
			run(&s, seed, dir) ? passed++ : failed++;
	}
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0)
		return 2;
	printf("sim: %d passed, %d failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
