/* syncrig.c - see syncrig.h. */
#include "syncrig.h"

#include "workrig.c"

static struct rig r;
static struct phone p;
static struct backend *fb;

static void rig_sleep(void *arg, int64_t ms)
{
	((struct rig *)arg)->now_ms += ms;
}

static void up(const char *const *settings)
{
	struct err e;

	rig_up(&r, settings);
	if (fail_wrap(&fb, r.mail, &r.clock, S(""), &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
	fail_set_sleep(fb, rig_sleep, &r);
	r.w.mail = r.w.send = fb;
	p = rig_phone(&r, "alice", "dev", EAS_141);
}

static void down(void)
{
	r.mail = fb; /* closes both */
	rig_down(&r);
}

static void script(const char *text)
{
	struct err e;

	if (fail_script(fb, slice_str(text), &e) < 0)
		test_fail(__FILE__, __LINE__, "%s", e.text);
}

static uint64_t deliver_to(const char *folder, const char *subject)
{
	struct slice mail = arena_printf(test_arena(),
					 "From: Bob <bob@example.org>\r\nTo: alice@example.org\r\nSubject: %s\r\n"
					 "Message-ID: <%s@example.org>\r\nDate: Tue, 14 Nov 2023 22:00:00 +0000\r\n\r\n"
					 "Text of %s.\r\n", subject, subject, subject);
	uint64_t num = mem_deliver(r.mail, S("alice"), slice_str(folder), mail);

	CHECK(num != 0);
	return num;
}

static uint64_t deliver(const char *subject)
{
	return deliver_to("INBOX", subject);
}

static struct slice folder_id(struct phone *ph, const char *name)
{
	struct folder_request q = { .sync_key = S("0") };
	struct reply a = rig_send(ph, EAS_CMD_FOLDER_SYNC, &foldersync_request_schema, &q, &foldersync_reply_schema);
	struct foldersync_reply *f = a.obj;

	for (size_t i = 0; f && i < f->changes.n; i++)
		if (slice_eq(f->changes.v[i].display_name, slice_str(name)))
			return f->changes.v[i].server_id;
	test_fail(__FILE__, __LINE__, "no folder %s (http %d)", name, a.v.http_status);
}

static struct box box_open(struct phone *ph, const char *folder)
{
	struct box b = { .p = ph, .id = folder_id(ph, folder), .key = S("0") };
	struct sync_reply_collection *c = next(&b);

	CHECK(c && c->status.v == 1);
	return b;
}

static struct sync_request *ask_of(struct box *b)
{
	struct sync_request *q = ARENA_NEW(test_arena(), struct sync_request);
	struct sync_collection *c = LIST_PUSH(test_arena(), &q->collections);

	q->has_collections = NUM(1);
	c->collection_id = b->id;
	c->sync_key = b->key;
	if (b->p->version <= EAS_120)
		c->class = S("Email");
	c->window_size = b->window;
	c->get_changes = b->get_changes;
	c->deletes_as_moves = b->deletes_as_moves;
	if (b->filter.has || b->pref.type.has) {
		struct sync_options *o = LIST_PUSH(test_arena(), &c->options);

		o->filter_type = b->filter;
		if (b->pref.type.has)
			*LIST_PUSH(test_arena(), &o->body) = b->pref;
	}
	return q;
}

static struct sync_collection *ask_col(struct sync_request *q)
{
	return &q->collections.v[0];
}

static struct sync_command *ask_cmd(struct sync_request *q, uint16_t tag, struct slice server_id)
{
	struct sync_command *c = LIST_PUSH(test_arena(), &ask_col(q)->commands);

	ask_col(q)->has_commands = NUM(1);
	c->tag = tag;
	c->server_id = server_id;
	if (tag == AIRSYNC_CHANGE) {
		c->item = ARENA_NEW(test_arena(), struct item);
		c->item->class = CLASS_EMAIL;
		c->item->email = ARENA_NEW(test_arena(), struct email);
	}
	return c;
}

static struct slice item_id(const struct box *b, uint64_t num)
{
	return arena_printf(test_arena(), "%.*s:%llu", SARG(b->id), (unsigned long long)num);
}

static struct reply say(struct box *b, struct sync_request *q)
{
	return rig_send(b->p, EAS_CMD_SYNC, &sync_request_schema, q, &sync_reply_schema);
}

static struct sync_reply_collection *col_of(struct reply a)
{
	struct sync_reply *s = a.obj;

	if (r.died || (a.v.http_status == 200 && a.v.kind == VERDICT_REPLY && a.body.len == 0))
		return NULL;
	if (!s || !s->collections.n)
		test_fail(__FILE__, __LINE__, "Sync: http %d kind %d status %d %s", a.v.http_status, a.v.kind, a.status,
			  a.v.err.text);
	return &s->collections.v[0];
}

static struct sync_reply_collection *arrive(struct box *b, struct sync_request *q)
{
	struct sync_reply_collection *c = col_of(say(b, q));

	if (c && c->status.v == 1)
		b->key = c->sync_key;
	return c;
}

static struct sync_reply_collection *next(struct box *b)
{
	return arrive(b, ask_of(b));
}

static struct sync_reply_collection *lose(struct box *b, struct sync_request *q)
{
	return col_of(say(b, q));
}

static void settle(struct box *b)
{
	for (int i = 0; i < 10000; i++) {
		struct sync_reply_collection *c = next(b);

		if (!c || !c->more_available.has)
			return;
	}
	test_fail(__FILE__, __LINE__, "MoreAvailable for ever");
}

static struct slice told(const struct sync_reply_collection *c)
{
	struct slice out = S("");

	for (size_t i = 0; c && i < c->commands.n; i++) {
		const struct sync_command *m = &c->commands.v[i];
		char sign = m->tag == AIRSYNC_ADD ? '+' : m->tag == AIRSYNC_CHANGE ? '~' : m->tag == AIRSYNC_DELETE ? '-' : '!';
		ptrdiff_t at = slice_chr(m->server_id, ':');
		struct slice num = slice_from(m->server_id, (size_t)at + 1);

		out = arena_printf(test_arena(), "%.*s%s%c%.*s", SARG(out), i ? " " : "", sign, SARG(num));
	}
	return out;
}
