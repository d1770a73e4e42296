/* sync_apply.c - what the phone did: its Change, Delete, Fetch and Add commands
 * of one collection, in the order sent. Worker. Every act is repeatable: flags
 * are set to values, what is deleted stays deleted, so a request that comes
 * again after a crash does nothing twice. */
#include "work/sync_run.h"

struct slice server_id_make(struct arena *a, struct slice folder_id, uint64_t num)
{
	return arena_printf(a, "%.*s:%llu", SARG(folder_id), (unsigned long long)num);
}

bool server_id_parse(struct slice id, struct slice *folder_id_r, uint64_t *num_r)
{
	return id.ptr && slice_split(&id, ':', folder_id_r) && slice_u64(id, num_r) && *num_r != 0;
}

static struct sync_command *respond(struct sync_run *r, struct sync_coll *c, const struct sync_command *cmd, int status)
{
	struct sync_command *out = LIST_PUSH(r->a, &c->out->responses);

	c->out->has_responses = NUM(1);
	out->tag = cmd->tag;
	if (cmd->server_id.len)
		out->server_id = cmd->server_id;
	if (cmd->client_id.len)
		out->client_id = cmd->client_id;
	/* Told only where it is not the collection's own (MS-ASCMD R942). */
	if (r->x->rq->version >= EAS_140 && cmd->class.len && !slice_eq(cmd->class, S("Email")))
		out->class = cmd->class;
	out->status = NUM(status);
	return out;
}

/* Item status of a refusal; 0: not one item's business. */
static int item_status(enum err_code code)
{
	switch (code) {
	case ERR_NOT_FOUND:
		return SYNC_NOT_FOUND;
	case ERR_QUOTA:
		return SYNC_NO_SPACE;
	case ERR_AUTH:
		return 0;
	case ERR_FORBIDDEN:
	case ERR_UNSUPPORTED:
		return SYNC_BAD_ITEM; /* it will never be taken: 5 would be tried for ever */
	default:
		return SYNC_SERVER;
	}
}

static bool our_item(const struct sync_coll *c, struct slice server_id, uint64_t *num_r)
{
	struct slice folder;

	return server_id_parse(server_id, &folder, num_r) && slice_eq(folder, c->folder->id);
}

/* --- Change ------------------------------------------------------------------ */

/* Without a Status it is about the details of the flag that is there (MS-ASEMAIL
 * R90); an empty Flag clears (R8800). */
static bool is_update(const struct email_flag *f)
{
	struct email_flag said = { 0 };

	return !f->status.has && extra_flag_merge(&said, f);
}

/* The flag's details are ours to keep; the server keeps whether. */
static void keep_flag(struct sync_coll *c, uint64_t num, const struct email_flag *f)
{
	struct extra *x = extras_get(&c->extras, num);
	struct email_flag *kept = ARENA_NEW(c->extras.a, struct email_flag);
	bool update = is_update(f);

	if (update && x->flag)
		*kept = *x->flag;
	extra_flag_merge(kept, f);
	x->flag = update || num_or(f->status, 0) ? kept : NULL;
	c->extras.touched = true;
}

static bool flag_change(const struct email *m, struct be_flag_change *ch)
{
	if (!m)
		return false;
	if (m->read.has) {
		ch->mask |= MAIL_SEEN;
		ch->value |= m->read.v ? MAIL_SEEN : 0;
	}
	if (m->flag && !is_update(m->flag)) {
		ch->mask |= MAIL_FLAGGED;
		ch->value |= num_or(m->flag->status, 0) == 2 ? MAIL_FLAGGED : 0;
	}
	if (m->has_categories.has) {
		ch->set_keywords = true;
		ch->keywords = m->categories.v;
		ch->n_keywords = m->categories.n;
	}
	return ch->mask || ch->set_keywords;
}

/* A value or a rule that is broken, or something only the server may write. */
static bool bad_item(const struct sync_command *cmd)
{
	struct field_problem p = cmd->problem;

	if (cmd->item && cmd->item->email)
		email_check_write(cmd->item->email, &p);
	return p.kind != PROBLEM_NONE && p.kind != PROBLEM_VERSION;
}

/* What the phone has now: what it had, with what it changed. Not what the server
 * has: that may hold another one's change, which the phone is still to be told. */
static uint32_t own_rev(uint32_t had, uint32_t server, const struct be_flag_change *ch, bool flag)
{
	uint32_t flags = (ITEM_REV_FLAGS(had) & ~ch->mask) | (ch->value & ch->mask);
	uint32_t keywords = ITEM_REV_KEYWORDS(ch->set_keywords ? server : had);
	uint32_t extra = ITEM_REV_EXTRA(flag ? server : had);

	if (had == ITEM_REV_UNCERTAIN)
		return had;
	return flags | keywords << 8 | extra << 20;
}

static int on_current(void *arg, const struct be_item *it)
{
	*(struct be_item *)arg = *it;
	return 0;
}

/* Another one changed the same property to something else, and the phone has not
 * been told. Read cannot conflict: both did the same then. Details of a flag are
 * not compared: their revision also holds the last verb. */
static bool conflicts(uint32_t known, uint32_t now, const struct be_flag_change *ch)
{
	uint32_t wanted = item_rev(mail_rev(0, ch->keywords, ch->n_keywords), NULL);

	if (known == ITEM_REV_UNCERTAIN)
		return false;
	if ((ch->mask & MAIL_FLAGGED) && ((known ^ now) & MAIL_FLAGGED) && ((ch->value ^ now) & MAIL_FLAGGED))
		return true;
	return ch->set_keywords && ITEM_REV_KEYWORDS(known) != ITEM_REV_KEYWORDS(now) &&
	       ITEM_REV_KEYWORDS(wanted) != ITEM_REV_KEYWORDS(now);
}

/* Where the server's version goes before the phone's (MS-ASCMD Conflict, R2069):
 * true when it was told so. */
static bool server_wins(struct sync_run *r, struct sync_coll *c, const struct sync_command *cmd, uint64_t num,
			uint32_t known, const struct be_flag_change *ch, enum be_result *rc, struct err *e)
{
	struct be_item now = { 0 };
	struct be_changes_sink sink = { .item = on_current, .arg = &now };
	uint32_t rev;

	*rc = BE_OK;
	if (c->opt.conflict == 0 || !(ch->set_keywords || (ch->mask & MAIL_FLAGGED)))
		return false;
	*rc = exchange_result(r->x, BE_MAIL, r->session->ops->lookup(r->session, c->folder->path, &num, 1, &sink, e));
	if (*rc != BE_OK || now.num != num)
		return false;
	rev = item_rev(now.rev, extras_find(&c->extras, num));
	if (!conflicts(known, rev, ch))
		return false;
	respond(r, c, cmd, SYNC_CONFLICT);
	colstate_own(&c->st, COLOP_CHANGE, num, ITEM_REV_UNCERTAIN); /* told again, whole */
	colops_put(&c->repeated, COLOP_CHANGE, num, 0);
	colstate_pend(&c->st, COLOP_CHANGE, num, rev);
	return true;
}

static enum be_result change(struct sync_run *r, struct sync_coll *c, const struct sync_command *cmd, struct err *e)
{
	const struct email *m = cmd->item ? cmd->item->email : NULL;
	struct be_flag_change ch = { 0 };
	uint32_t known, rev = 0;
	enum be_result rc = BE_OK;
	uint64_t num;
	int status;

	if (bad_item(cmd)) {
		respond(r, c, cmd, SYNC_BAD_ITEM);
		return BE_OK;
	}
	if (!our_item(c, cmd->server_id, &num) || !colstate_known(&c->st, num, &known)) {
		respond(r, c, cmd, SYNC_NOT_FOUND);
		return BE_OK;
	}
	if (!(flag_change(m, &ch) || (m && m->flag)) || server_wins(r, c, cmd, num, known, &ch, &rc, e))
		return BE_OK;
	if (rc != BE_OK)
		return rc;
	rev = known;
	if (ch.mask || ch.set_keywords) {
		rc = exchange_result(r->x, BE_MAIL, r->session->ops->set_flags(r->session, c->folder->path, num, &ch, &rev, e));
		r->wrote = true;
	}
	if (rc == BE_OK) {
		if (m->flag)
			keep_flag(c, num, m->flag);
		rev = item_rev(rev, extras_find(&c->extras, num));
		colstate_own(&c->st, COLOP_CHANGE, num, own_rev(known, rev, &ch, m->flag != NULL));
		colops_put(&c->repeated, COLOP_CHANGE, num, 0);
		return BE_OK;
	}
	status = rc == BE_PERM ? item_status(e->code) : 0;
	if (!status)
		return rc;
	respond(r, c, cmd, status);
	return BE_OK;
}

/* --- Delete ------------------------------------------------------------------- */

/* Never falls back to removing: what the user can bring back from the trash must
 * not be lost because there is no trash right now. */
static enum be_result move_to_trash(struct sync_run *r, struct sync_coll *c, const uint64_t *nums, size_t n, struct err *e)
{
	uint64_t *made = arena_alloc(r->a, n * sizeof(*made));
	struct folder *trash;
	enum be_result rc = sync_special_folder(r->x, r->session, FOLDER_TRASH, &trash, e);

	if (rc != BE_OK)
		return rc;
	return exchange_result(r->x, BE_MAIL, r->session->ops->move(r->session, c->folder->path, nums, n, trash->path, made, e));
}

static enum be_result remove_all(struct sync_run *r, struct sync_coll *c, const uint64_t *nums, size_t n, struct err *e)
{
	const struct backend_ops *ops = r->session->ops;
	enum be_result rc;

	if (!c->opt.deletes_as_moves || c->folder->type == FOLDER_TRASH)
		return exchange_result(r->x, BE_MAIL, ops->remove(r->session, c->folder->path, nums, n, e));
	rc = move_to_trash(r, c, nums, n, e);
	/* One of the two folders is not where it is remembered. */
	if (rc == BE_PERM && e->code == ERR_NOT_FOUND) {
		rc = exchange_refresh_folders(r->x, e);
		if (rc == BE_OK)
			rc = move_to_trash(r, c, nums, n, e);
	}
	return rc;
}

struct deletes {
	uint64_t *nums;
	size_t n;
};

static void note_delete(struct sync_run *r, struct sync_coll *c, const struct sync_command *cmd, struct deletes *d)
{
	uint32_t rev;
	uint64_t num;

	if (!our_item(c, cmd->server_id, &num) ||
	    (!colstate_known(&c->st, num, &rev) && !snapshot_find(&c->st.own.gone, num))) {
		respond(r, c, cmd, SYNC_NOT_FOUND);
		return;
	}
	colops_put(&c->repeated, COLOP_GONE, num, 0);
	if (snapshot_find(&c->st.own.gone, num))
		return; /* a repeat: done already, the answer got lost */
	d->nums[d->n++] = num;
}

static enum be_result run_deletes(struct sync_run *r, struct sync_coll *c, struct deletes *d, struct err *e)
{
	enum be_result rc;

	if (d->n == 0)
		return BE_OK;
	rc = remove_all(r, c, d->nums, d->n, e);
	r->wrote = true;
	if (rc == BE_PERM && e->code != ERR_AUTH) {
		/* The server keeps them: the phone is told so, and gets them again. */
		for (size_t i = 0; i < d->n; i++) {
			struct sync_command again = { .tag = AIRSYNC_DELETE };

			again.server_id = server_id_make(r->a, c->folder->id, d->nums[i]);
			respond(r, c, &again, SYNC_SERVER);
			colstate_own(&c->st, COLOP_GONE, d->nums[i], 0);
			colstate_pend(&c->st, COLOP_ADD, d->nums[i], 0);
		}
		return BE_OK;
	}
	for (size_t i = 0; i < d->n && rc == BE_OK; i++) {
		colstate_own(&c->st, COLOP_GONE, d->nums[i], 0);
		colstate_pend(&c->st, COLOP_DROP, d->nums[i], 0);
		extras_remove(&c->extras, d->nums[i]);
	}
	return rc;
}

/* --- Fetch, Add ------------------------------------------------------------------ */

static void fetched(struct sync_run *r, struct sync_coll *c, const struct sync_command *cmd, const struct mail_loaded *m)
{
	uint32_t known;

	respond(r, c, cmd, SYNC_OK)->item = m->item;
	/* It carries flags that may be newer than what was told so far, and may
	 * change back before the next look. */
	if (colstate_known(&c->st, m->num, &known) && known != m->rev) {
		colstate_own(&c->st, COLOP_CHANGE, m->num, ITEM_REV_UNCERTAIN);
		colops_put(&c->repeated, COLOP_CHANGE, m->num, 0);
		colstate_pend(&c->st, COLOP_CHANGE, m->num, m->rev);
	}
}

static enum be_result fetch(struct sync_run *r, struct sync_coll *c, const struct sync_command *cmd, struct err *e)
{
	struct mailitems m;
	enum be_result rc;
	uint64_t num;

	if (!our_item(c, cmd->server_id, &num)) {
		respond(r, c, cmd, SYNC_NOT_FOUND);
		return BE_OK;
	}
	/* The reply is full: this one is asked for again (MS-ASCMD Status 5). */
	if (r->n_loaded && (r->bytes_left == 0 || clock_now(r->x->w->clock) >= r->deadline_ms)) {
		respond(r, c, cmd, SYNC_SERVER);
		return BE_OK;
	}
	rc = sync_load(r, c, &num, 1, false, &m, e);
	if (rc == BE_PERM && e->code == ERR_NOT_FOUND)
		respond(r, c, cmd, SYNC_NOT_FOUND);
	else if (rc != BE_OK)
		return rc;
	else if (m.n == 0 || m.v[0].missing)
		respond(r, c, cmd, SYNC_NOT_FOUND);
	else
		fetched(r, c, cmd, &m.v[0]);
	return BE_OK;
}

static enum be_result run_command(struct sync_run *r, struct sync_coll *c, const struct sync_command *cmd,
				  struct deletes *d, struct err *e)
{
	switch (cmd->tag) {
	case AIRSYNC_CHANGE:
		return change(r, c, cmd, e);
	case AIRSYNC_DELETE:
		note_delete(r, c, cmd, d);
		return BE_OK;
	case AIRSYNC_FETCH:
		return fetch(r, c, cmd, e);
	default: /* Add: mail comes by SendMail; drafts are 16.x */
		respond(r, c, cmd, SYNC_BAD_ITEM);
		return BE_OK;
	}
}

enum be_result sync_apply(struct sync_run *r, struct sync_coll *c, struct err *e)
{
	size_t n = c->ask->commands.n;
	struct deletes d = { .nums = arena_alloc(r->a, (n + 1) * sizeof(*d.nums)) };
	enum be_result rc = BE_OK;

	if (n == 0)
		return BE_OK;
	sync_confirm(c);
	for (size_t i = 0; i < n && rc == BE_OK; i++)
		rc = run_command(r, c, &c->ask->commands.v[i], &d, e);
	r->x->v->items_in += (unsigned)n;
	return rc == BE_OK ? run_deletes(r, c, &d, e) : rc;
}
