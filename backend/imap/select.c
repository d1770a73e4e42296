/* select.c - the folder at hand. Worker. SELECT is written with what follows it
 * and so costs no round trip of its own. Trap: what the server says of a folder
 * (UIDVALIDITY ...) lands in s->sel while SELECT runs; sel.path is set only when it
 * was accepted. */
#include <stdlib.h>

#include "backend/imap/imap.h"

void select_forget(struct imap_session *s)
{
	free(s->sel.path);
	free(s->sel.permanent);
	memset(&s->sel, 0, sizeof(s->sel));
}

static bool is_selected(const struct imap_session *s, struct slice folder)
{
	return s->sel.path && slice_eq(slice_str(s->sel.path), folder);
}

unsigned select_cmd(struct imap_session *s, struct slice folder, bool fresh)
{
	unsigned tag;

	if (!fresh && is_selected(s, folder))
		return 0;
	select_forget(s);
	tag = imap_cmd(s, "SELECT ");
	imap_arg_mailbox(s, folder);
	if (imap_has(s, CAP_CONDSTORE) && !(s->enabled & CAP_CONDSTORE))
		imap_arg(s, " (CONDSTORE)");
	imap_end(s);
	return tag;
}

enum be_result select_done(struct imap_session *s, unsigned tag, struct slice folder, struct err *e)
{
	struct imap_done d;
	enum be_result r;

	if (!tag)
		return BE_OK;
	if (imap_wait(s, tag, &d, e) != BE_OK)
		return BE_TEMP;
	if (d.status == IMAP_OK) {
		s->sel.path = mem_str(folder);
		return BE_OK;
	}
	r = imap_refused(&d, "SELECT", e);
	/* Many servers give no code for a folder that is not there. */
	if (r == BE_PERM && d.status == IMAP_NO && d.code.len == 0)
		err_set(e, ERR_NOT_FOUND, "SELECT: %.*s", SARG(d.text));
	select_forget(s);
	return r;
}

enum be_result select_leave(struct imap_session *s, struct slice folder, struct err *e)
{
	struct imap_done d;
	unsigned tag;

	if (!is_selected(s, folder))
		return BE_OK;
	select_forget(s); /* folder may be sel.path itself: not looked at any more */
	/* Not CLOSE: that expunges. */
	tag = imap_has(s, CAP_UNSELECT) ? imap_cmd(s, "UNSELECT") : imap_cmd(s, "EXAMINE INBOX");
	imap_end(s);
	return imap_wait(s, tag, &d, e);
}

bool select_allows_keyword(const struct imap_session *s, struct slice keyword)
{
	struct slice all = slice_str(s->sel.permanent), word;

	if (s->sel.any_keyword || !s->sel.permanent)
		return true; /* RFC 3501: without the code all flags can be changed */
	while (slice_split(&all, ' ', &word))
		if (slice_ieq(word, keyword))
			return true;
	return false;
}
