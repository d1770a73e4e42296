/* append.c - a mail into a folder, and finding one by its Message-ID. Worker. The
 * mail goes from the caller's blob to the socket in pieces; it is never held here. */
#include "backend/head.h"
#include "backend/imap/imap.h"

enum { PIECE = 32768, HEAD_MAX = 64 * 1024 };

static void put_flags(struct imap_session *s, unsigned flags)
{
	static const struct {
		unsigned flag;
		const char *word;
	} words[] = { { MAIL_SEEN, "\\Seen" }, { MAIL_FLAGGED, "\\Flagged" }, { MAIL_ANSWERED, "\\Answered" },
		      { MAIL_DRAFT, "\\Draft" } };
	const char *sep = "";

	imap_arg(s, " (");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (flags & words[i].flag) {
			imap_arg(s, "%s%s", sep, words[i].word);
			sep = " ";
		}
	imap_arg(s, ")");
}

static int stream_blob(struct imap_session *s, const struct blob *mail, uint64_t size)
{
	char buf[PIECE];

	if (wire_flush(&s->w) < 0)
		return -1;
	for (uint64_t off = 0; off < size;) {
		ssize_t n = blob_read(mail, off, buf, sizeof(buf));

		if (n <= 0)
			return wire_fail(&s->w, ERR_INTERNAL, "the mail cannot be read");
		if (stream_write(s->w.s, buf, (size_t)n, &s->w.err) < 0) {
			s->w.failed = true;
			return -1;
		}
		off += (uint64_t)n;
	}
	return 0;
}

static unsigned append_head(struct imap_session *s, struct slice folder, unsigned flags, int64_t date_ms, uint64_t size,
			    bool *wait_r)
{
	bool plus = imap_has(s, CAP_LITERAL_PLUS) || (imap_has(s, CAP_LITERAL_MINUS) && size <= 4096);
	unsigned tag = imap_cmd(s, "APPEND ");
	char date[32];

	imap_arg_mailbox(s, folder);
	put_flags(s, flags);
	if (date_ms) {
		imap_date_format(date_ms, date);
		imap_arg(s, " %s", date);
	}
	imap_arg(s, " {%llu%s}\r\n", (unsigned long long)size, plus ? "+" : "");
	*wait_r = !plus;
	return tag;
}

static struct slice blob_message_id(const struct blob *mail, struct arena *a)
{
	char *z = arena_alloc(a, HEAD_MAX);
	ssize_t n = blob_read(mail, 0, z, HEAD_MAX);

	return n > 0 ? head_message_id(slice(z, (size_t)n)) : S_NONE;
}

/* APPENDUID "uidvalidity uid" (RFC 4315), else by the Message-ID. */
static enum be_result number_of(struct imap_session *s, struct slice folder, const struct blob *mail,
				const struct imap_done *d, uint64_t *num_r, struct err *e)
{
	struct slice args = d->args, word;
	struct arena *a;
	struct slice id;
	enum be_result r = BE_OK;

	*num_r = 0;
	if (imap_code(d, "APPENDUID") && slice_split(&args, ' ', &word) && slice_u64(args, num_r))
		return BE_OK;
	a = arena_new();
	id = blob_message_id(mail, a);
	if (id.len)
		r = imap_find_message_id(&s->base, folder, id, num_r, e);
	arena_free(&a);
	return r == BE_TEMP ? BE_TEMP : BE_OK;
}

static enum be_result append_refused(const struct imap_done *d, struct err *e)
{
	enum be_result r = imap_refused(d, "APPEND", e);

	if (r == BE_PERM && d->status == IMAP_NO && d->code.len == 0 && e) {
		/* No code: servers without RFC 5530 say it in words only. */
		for (size_t i = 0; i + 5 <= d->text.len; i++)
			if (strncasecmp(d->text.ptr + i, "quota", 5) == 0)
				e->code = ERR_QUOTA;
	}
	return r;
}

enum be_result imap_append(struct session *base, struct slice folder, struct blob *mail, unsigned flags, int64_t date_ms,
			   uint64_t *num_r, struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	struct imap_done d;
	bool wait = false;
	uint64_t size = blob_size(mail);
	unsigned tag = append_head(s, folder, flags, date_ms, size, &wait);

	if (wait) {
		enum be_result r = imap_wait_plus(s, tag, "APPEND", e);

		if (r == BE_PERM && e && strstr(e->text, "uota"))
			e->code = ERR_QUOTA;
		if (r != BE_OK)
			return r;
	}
	if (stream_blob(s, mail, size) < 0)
		return imap_lost(s, e);
	imap_end(s);
	if (imap_wait(s, tag, &d, e) != BE_OK)
		return BE_TEMP;
	if (d.status != IMAP_OK)
		return append_refused(&d, e);
	return number_of(s, folder, mail, &d, num_r, e);
}

/* -- find -- */

static void on_hit(void *arg, uint64_t uid)
{
	uint64_t *best = arg;

	if (uid > *best)
		*best = uid;
}

static bool printable(struct slice id)
{
	for (size_t i = 0; i < id.len; i++)
		if ((unsigned char)id.ptr[i] < 0x20 || (unsigned char)id.ptr[i] >= 0x7f)
			return false;
	return id.len > 0 && id.len < 900;
}

enum be_result imap_find_message_id(struct session *base, struct slice folder, struct slice id, uint64_t *num_r,
				    struct err *e)
{
	struct imap_session *s = (struct imap_session *)base;
	const struct imap_handlers h = { .arg = num_r, .search = on_hit };
	unsigned sel, tag;
	enum be_result r;

	*num_r = 0;
	id = slice_trim(id);
	sel = select_cmd(s, folder, true);
	if (!printable(id))
		return select_done(s, sel, folder, e); /* no server could have stored that as an id */
	imap_set_handlers(s, &h);
	tag = imap_cmd(s, "UID SEARCH UNDELETED HEADER MESSAGE-ID ");
	/* SEARCH finds substrings: the brackets make it the whole id. */
	wire_put(&s->w, "\"", 1);
	imap_arg(s, id.ptr[0] == '<' ? "" : "<");
	for (size_t i = 0; i < id.len; i++)
		imap_arg(s, id.ptr[i] == '"' || id.ptr[i] == '\\' ? "\\%c" : "%c", id.ptr[i]);
	imap_arg(s, id.ptr[id.len - 1] == '>' ? "\"" : ">\"");
	imap_end(s);
	r = select_done(s, sel, folder, e);
	if (s->w.failed)
		r = BE_TEMP;
	else if (r == BE_OK)
		r = imap_ok(s, tag, "SEARCH", e);
	else if (imap_wait(s, tag, &(struct imap_done){ 0 }, NULL) != BE_OK)
		r = BE_TEMP;
	imap_set_handlers(s, NULL);
	return r;
}
