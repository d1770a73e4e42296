/* watch.c - one connection that tells of changes: NOTIFY (RFC 5465) for all of the
 * user's folders, else IDLE (RFC 2177) on one. Worker; the watch owns its session.
 *
 * Armed means confirmed: "+" of IDLE or OK of NOTIFY was read. Events that lie
 * behind it in the same segment (in our buffer, or in a TLS record, where poll
 * does not see them) are read and forgotten in watch_open: the caller's check
 * comes after it and sees what they stand for. watch_read leaves nothing complete
 * unread either, so a silent descriptor means that nothing came. */
#include <stdlib.h>

#include "backend/imap/imap.h"
#include "base/role.h"

enum {
	LINE_MS = 10000,               /* a line that began must end by then */
	RENEW_MS = 60 * 1000,          /* refreshed at a call with nothing to read */
	RENEW_LATEST_MS = 25 * 60 * 1000, /* servers may drop IDLE after 29 minutes */
};

struct imap_watch {
	struct watch base;
	struct imap_session *s;
	const struct clock *clock;
	enum be_watch_kind kind;
	char *folder;      /* IDLE: the one, owned */
	unsigned idle_tag;
	int64_t since_ms;
	bool touched;      /* IDLE: the folder changed */
	be_event_fn *fn;
	void *arg;
};

/* -- events -- */

static void on_touched(void *arg)
{
	struct imap_watch *w = arg;

	w->touched = true;
}

static void report(struct imap_watch *w, struct slice folder)
{
	if (w->fn)
		w->fn(w->arg, slice_str(w->s->user), folder);
}

static void on_status(void *arg, struct slice mailbox, uint64_t uidvalidity)
{
	report(arg, slice_ieq(mailbox, S("INBOX")) ? S("INBOX") : mailbox);
}

static void on_list(void *arg, const struct imap_list *l)
{
	report(arg, S_NONE); /* the tree changed */
}

static enum be_result read_events(struct imap_watch *w, struct err *e)
{
	struct imap_session *s = w->s;
	struct imap_done d;
	unsigned tag;

	while (wire_readable(&s->w)) {
		enum imap_line l = imap_read_line(s, &tag, &d);

		if (l == LINE_FAIL)
			return imap_lost(s, e);
		/* The server ended IDLE by itself. */
		if (l == LINE_TAGGED && w->kind == BE_WATCH_IDLE && tag == w->idle_tag)
			wire_fail(&s->w, ERR_BACKEND_TEMP, "the server ended IDLE");
		if (s->bye || s->w.failed)
			return imap_lost(s, e);
	}
	return BE_OK;
}

/* -- arming -- */

static enum be_result arm_notify(struct imap_watch *w, struct err *e)
{
	struct imap_session *s = w->s;
	enum be_result r = s->sel.path ? select_leave(s, slice_str(s->sel.path), e) : BE_OK;
	unsigned tag;

	if (r != BE_OK)
		return r;
	tag = imap_cmd(s, "NOTIFY SET (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))");
	imap_end(s);
	w->kind = BE_WATCH_NOTIFY;
	return imap_ok(s, tag, "NOTIFY", e);
}

static enum be_result start_idle(struct imap_watch *w, struct err *e)
{
	w->idle_tag = imap_cmd(w->s, "IDLE");
	imap_end(w->s);
	return imap_wait_plus(w->s, w->idle_tag, "IDLE", e);
}

static enum be_result arm_idle(struct imap_watch *w, struct err *e)
{
	struct slice folder = slice_str(w->folder);
	enum be_result r = select_done(w->s, select_cmd(w->s, folder, true), folder, e);

	w->kind = BE_WATCH_IDLE;
	return r == BE_OK ? start_idle(w, e) : r;
}

static struct slice idle_folder(const struct slice *folders, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(folders[i], S("INBOX")))
			return S("INBOX");
	return n ? folders[0] : S("INBOX");
}

static enum be_result arm(struct imap_watch *w, size_t n_folders, size_t *missed_r, struct err *e)
{
	struct imap_session *s = w->s;
	enum be_result r = BE_PERM;

	*missed_r = 0;
	if (s->b->use_notify && imap_has(s, CAP_NOTIFY)) {
		r = arm_notify(w, e);
		if (r != BE_PERM)
			return r;
	}
	if (s->b->use_idle && imap_has(s, CAP_IDLE)) {
		*missed_r = n_folders > 1 ? n_folders - 1 : 0;
		return arm_idle(w, e);
	}
	*missed_r = n_folders;
	w->kind = BE_WATCH_NONE;
	err_set(e, ERR_UNSUPPORTED, "%s offers neither NOTIFY nor IDLE that push.sources allows", s->b->address);
	return BE_PERM;
}

static void attend(struct imap_watch *w, struct imap_handlers *h, struct arena *a, be_event_fn *fn, void *arg)
{
	*h = (struct imap_handlers){ .arg = w, .a = a };
	if (w->kind == BE_WATCH_NOTIFY) {
		h->status = on_status;
		h->list = on_list;
	} else {
		h->touched = on_touched;
	}
	w->fn = fn;
	w->arg = arg;
	w->touched = false;
	imap_set_handlers(w->s, h);
}

enum be_result imap_watch_open(struct session **sp, const struct slice *folders, size_t n, int64_t deadline_ms,
			       struct watch **w_r, int *fd_r, enum be_watch_kind *kind_r, size_t *missed_r,
			       struct err *e)
{
	struct imap_session *s = (struct imap_session *)*sp;
	struct imap_watch *w = mem_alloc(sizeof(*w));
	enum be_result r;

	ASSERT_WORKER();
	*w_r = NULL;
	*fd_r = -1;
	w->base.ops = s->base.ops;
	w->s = s;
	w->clock = s->b->clock;
	w->folder = mem_str(idle_folder(folders, n));
	stream_deadline(s->w.s, deadline_ms);
	imap_set_handlers(s, NULL);
	r = arm(w, n, missed_r, e);
	if (r == BE_OK)
		r = read_events(w, e);
	*kind_r = r == BE_OK ? w->kind : BE_WATCH_NONE;
	if (r != BE_OK) {
		free(w->folder);
		free(w);
		return r;
	}
	w->since_ms = clock_now(w->clock);
	*sp = NULL;
	*w_r = &w->base;
	*fd_r = stream_fd(s->w.s);
	return BE_OK;
}

/* -- living -- */

static enum be_result renew(struct imap_watch *w, struct err *e)
{
	struct imap_session *s = w->s;
	enum be_result r;
	unsigned tag;

	if (w->kind == BE_WATCH_NOTIFY) {
		tag = imap_cmd(s, "NOOP");
		imap_end(s);
		r = imap_ok(s, tag, "NOOP", e);
	} else {
		wire_put(&s->w, "DONE\r\n", 6);
		r = imap_ok(s, w->idle_tag, "IDLE", e);
		if (r == BE_OK)
			r = start_idle(w, e);
	}
	w->since_ms = clock_now(w->clock);
	return r == BE_OK ? read_events(w, e) : BE_TEMP;
}

enum be_result imap_watch_read(struct watch *base, be_event_fn *fn, void *arg, struct err *e)
{
	struct imap_watch *w = (struct imap_watch *)base;
	bool quiet = !wire_readable(&w->s->w);
	int64_t age = clock_now(w->clock) - w->since_ms;
	struct arena *a = arena_new();
	struct imap_handlers h;
	enum be_result r;

	ASSERT_WORKER();
	stream_deadline(w->s->w.s, clock_now(&clock_system) + LINE_MS);
	attend(w, &h, a, fn, arg);
	r = read_events(w, e);
	if (r == BE_OK && (age > RENEW_LATEST_MS || (quiet && age > RENEW_MS)))
		r = renew(w, e);
	if (w->touched)
		report(w, slice_str(w->folder));
	w->fn = NULL;
	imap_set_handlers(w->s, NULL);
	arena_free(&a);
	return r;
}

void imap_watch_close(struct watch **wp)
{
	struct imap_watch *w = (struct imap_watch *)*wp;
	struct session *s;

	*wp = NULL;
	if (!w)
		return;
	s = &w->s->base;
	if (w->kind == BE_WATCH_IDLE && !w->s->w.failed)
		wire_put(&w->s->w, "DONE\r\n", 6);
	imap_logout(&s);
	free(w->folder);
	free(w);
}
