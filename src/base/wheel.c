/* wheel.c - four levels of 64 slots; a timer cascades down as its time nears.
 * Span at 100 ms ticks: 19 days; later deadlines wait in the last slot. */
#include "base/wheel.h"

void wheel_init(struct wheel *w, int64_t now_ms, int tick_ms)
{
	for (int l = 0; l < 4; l++)
		for (int s = 0; s < 64; s++)
			list_init(&w->slot[l][s]);
	w->tick_ms = tick_ms;
	w->now_tick = now_ms / tick_ms;
	w->next_tick = INT64_MAX;
}

void wheel_timer_init(struct wheel_timer *t)
{
	list_init(&t->link);
	t->at_ms = 0;
}

bool wheel_armed(const struct wheel_timer *t)
{
	return !list_empty(&t->link);
}

void wheel_cancel(struct wheel_timer *t)
{
	list_del(&t->link);
}

/* first_tick: the next tick whose slot 0 is still to be run. */
static void place(struct wheel *w, struct wheel_timer *t, int64_t first_tick)
{
	int64_t at_tick = (t->at_ms + w->tick_ms - 1) / w->tick_ms; /* up: never early */
	int64_t delta;
	int level = 0;

	if (at_tick < first_tick)
		at_tick = first_tick;
	delta = at_tick - w->now_tick;
	while (level < 3 && delta >= (int64_t)1 << (6 * (level + 1)))
		level++;
	if (delta >= (int64_t)1 << 24)
		at_tick = w->now_tick + ((int64_t)1 << 24) - 1;
	list_add_tail(&w->slot[level][at_tick >> (6 * level) & 63], &t->link);
	/* A slot of an upper level is handed down when its span begins. */
	at_tick = at_tick >> (6 * level) << (6 * level);
	if (at_tick < w->next_tick)
		w->next_tick = at_tick;
}

/* The first tick after now_tick with a slot to run or to hand down. */
static int64_t find_next(const struct wheel *w)
{
	int64_t next = INT64_MAX;

	for (int level = 0; level < 4; level++) {
		int64_t block = w->now_tick >> (6 * level);

		for (int i = 1; i <= 64; i++) {
			int64_t at = (block + i) << (6 * level);

			if (at >= next)
				break;
			if (!list_empty(&w->slot[level][(block + i) & 63]))
				next = at;
		}
	}
	return next;
}

int64_t wheel_due_ms(const struct wheel *w)
{
	return w->next_tick == INT64_MAX ? INT64_MAX : w->next_tick * w->tick_ms;
}

void wheel_set(struct wheel *w, struct wheel_timer *t, int64_t at_ms)
{
	list_del(&t->link);
	t->at_ms = at_ms;
	place(w, t, w->now_tick + 1);
}

/* Moves a whole slot aside, so that callbacks may touch the wheel freely. */
static void take(struct list *slot, struct list *out)
{
	list_init(out);
	if (list_empty(slot))
		return;
	*out = *slot;
	out->next->prev = out;
	out->prev->next = out;
	list_init(slot);
}

static void cascade(struct wheel *w, int level)
{
	struct list moved;
	int idx = (int)(w->now_tick >> (6 * level) & 63);

	if (level < 3 && idx == 0)
		cascade(w, level + 1);
	take(&w->slot[level][idx], &moved);
	while (!list_empty(&moved)) {
		struct wheel_timer *t = list_entry(moved.next, struct wheel_timer, link);

		list_del(&t->link);
		place(w, t, w->now_tick); /* slot 0 of this very tick runs after the cascade */
	}
}

void wheel_advance(struct wheel *w, int64_t now_ms, wheel_fn *fn, void *arg)
{
	int64_t target = now_ms / w->tick_ms;

	while (w->now_tick < target) {
		struct list due;

		if (w->next_tick > target) {
			w->now_tick = target;
			return;
		}
		if (w->next_tick > w->now_tick + 1)
			w->now_tick = w->next_tick - 1;
		w->now_tick++;
		if ((w->now_tick & 63) == 0)
			cascade(w, 1);
		take(&w->slot[0][w->now_tick & 63], &due);
		while (!list_empty(&due)) {
			struct wheel_timer *t = list_entry(due.next, struct wheel_timer, link);

			list_del(&t->link);
			fn(arg, t);
		}
		if (w->next_tick <= w->now_tick)
			w->next_tick = find_next(w);
	}
}
