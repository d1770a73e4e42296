/* signal.c - SIGTERM and SIGINT drain (a second one ends at once), SIGHUP
 * reloads, SIGPIPE is ignored. Loop thread. */
#include <signal.h>

#include "base/log.h"
#include "loop/room.h"

static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

static void on_signal(uv_signal_t *h, int signum)
{
	struct loop *l = h->data;

	LOG_I("signal", L_I("number", signum));
	if (signum == SIGHUP) {
		if (l->deps.on_reload)
			l->deps.on_reload(l->deps.reload_arg, l);
	} else if (l->draining) {
		uv_stop(&l->uv);
	} else {
		loop_drain(l);
	}
}

int signal_init(struct loop *l, struct err *e)
{
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		uv_signal_init(&l->uv, &l->signals[i]);
		l->signals[i].data = l;
		if (uv_signal_start(&l->signals[i], on_signal, signals[i]) < 0)
			return err_set(e, ERR_INTERNAL, "signal %d", signals[i]);
	}
	return 0;
}

void signal_close(struct loop *l)
{
	for (int i = 0; i < 3; i++)
		if (l->signals[i].data)
			uv_close((uv_handle_t *)&l->signals[i], NULL);
}
