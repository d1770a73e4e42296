/* reply.c - untagged responses: what each means for the session, and whom it is
 * handed to. Worker. A response we do not know is skipped whole; one whose shape
 * is wrong is skipped as far as it goes. Nothing recurses.
 * Trap: a FETCH may name its UID after the body; see part_of(). */
#include <stdlib.h>

#include "backend/imap/imap.h"

/* -- capabilities -- */

static const struct {
	const char *word;
	unsigned caps;
} caps_table[] = {
	{ "AUTH=LOGIN", CAP_AUTH_LOGIN },
	{ "AUTH=PLAIN", CAP_AUTH_PLAIN },
	{ "CONDSTORE", CAP_CONDSTORE },
	{ "CREATE-SPECIAL-USE", CAP_CREATE_SPECIAL },
	{ "ENABLE", CAP_ENABLE },
	{ "IDLE", CAP_IDLE },
	{ "LIST-EXTENDED", CAP_LIST_EXTENDED },
	{ "LIST-STATUS", CAP_LIST_STATUS },
	{ "LITERAL+", CAP_LITERAL_PLUS },
	{ "LITERAL-", CAP_LITERAL_MINUS },
	{ "LOGINDISABLED", CAP_LOGINDISABLED },
	{ "MOVE", CAP_MOVE },
	{ "NAMESPACE", CAP_NAMESPACE },
	{ "NOTIFY", CAP_NOTIFY },
	{ "QRESYNC", CAP_QRESYNC | CAP_CONDSTORE },
	{ "SASL-IR", CAP_SASL_IR },
	{ "SPECIAL-USE", CAP_SPECIAL_USE },
	{ "STARTTLS", CAP_STARTTLS },
	{ "UIDPLUS", CAP_UIDPLUS },
	{ "UNSELECT", CAP_UNSELECT },
};

static unsigned cap_of(struct slice word)
{
	for (size_t i = 0; i < sizeof(caps_table) / sizeof(*caps_table); i++)
		if (slice_ieq(word, slice_str(caps_table[i].word)))
			return caps_table[i].caps;
	return 0;
}

void reply_caps(struct imap_session *s, struct slice words)
{
	struct slice word;

	s->caps = 0;
	s->have_caps = true;
	while (slice_split(&words, ' ', &word))
		s->caps |= cap_of(word);
}

/* -- status lines -- */

static struct slice code_word(struct slice in, struct slice *args_r)
{
	ptrdiff_t blank = slice_chr(in, ' ');

	*args_r = blank < 0 ? S_NONE : slice_from(in, (size_t)blank + 1);
	return blank < 0 ? in : slice_to(in, (size_t)blank);
}

/* "(\Seen \* kw)" kept as " \Seen \* kw " for look-ups. */
static void permanent_flags(struct imap_selected *sel, struct slice args)
{
	if (args.len && args.ptr[0] == '(')
		args = slice_from(args, 1);
	if (args.len && args.ptr[args.len - 1] == ')')
		args = slice_to(args, args.len - 1);
	free(sel->permanent);
	sel->permanent = mem_alloc(args.len + 3);
	sel->permanent[0] = ' ';
	if (args.len)
		memcpy(sel->permanent + 1, args.ptr, args.len);
	sel->permanent[args.len + 1] = ' ';
	sel->any_keyword = strstr(sel->permanent, " \\* ") != NULL;
}

static void note_code(struct imap_session *s, struct slice code, struct slice args)
{
	struct imap_selected *sel = &s->sel;
	uint64_t n = 0;

	if (slice_ieq(code, S("CAPABILITY")))
		reply_caps(s, args);
	else if (slice_ieq(code, S("UIDVALIDITY")) && slice_u64(args, &n))
		sel->uidvalidity = n;
	else if (slice_ieq(code, S("UIDNEXT")) && slice_u64(args, &n))
		sel->uidnext = n;
	else if (slice_ieq(code, S("HIGHESTMODSEQ")) && slice_u64(args, &n))
		sel->modseq = n;
	else if (slice_ieq(code, S("NOMODSEQ")))
		sel->no_modseq = true;
	else if (slice_ieq(code, S("READ-ONLY")))
		sel->read_only = true;
	else if (slice_ieq(code, S("PERMANENTFLAGS")))
		permanent_flags(sel, args);
}

/* "[CODE args] text" of the line at hand; code, args and text in s->done_text. */
static void status_parts(struct imap_session *s, struct imap_done *d_r)
{
	struct slice line = wire_line(&s->w);
	ptrdiff_t end;

	free(s->done_text);
	s->done_text = mem_str(line);
	line = slice(s->done_text, line.len);
	d_r->code = d_r->args = S_NONE;
	d_r->text = line;
	if (line.len == 0 || line.ptr[0] != '[' || (end = slice_chr(line, ']')) < 0)
		return;
	d_r->code = code_word(slice(line.ptr + 1, (size_t)end - 1), &d_r->args);
	d_r->text = slice_trim(slice_from(line, (size_t)end + 1));
}

void reply_status_line(struct imap_session *s, enum imap_status st, struct imap_done *d_r)
{
	status_parts(s, d_r);
	d_r->status = st;
	note_code(s, d_r->code, d_r->args);
}

static void untagged_status(struct imap_session *s)
{
	struct imap_done d;

	status_parts(s, &d);
	note_code(s, d.code, d.args);
	if (d.code.len && s->h && s->h->code)
		s->h->code(s->h->arg, d.code, d.args);
}

static void bye(struct imap_session *s)
{
	struct slice why = wire_line(&s->w);

	s->bye = true;
	if (!s->w.failed)
		err_set(&s->w.err, ERR_BACKEND_TEMP, "the server said BYE %.*s", SARG(slice_to(why, 120)));
}

/* -- FETCH -- */

static const struct {
	const char *word;
	unsigned flag;
} flag_table[] = {
	{ "\\Answered", MAIL_ANSWERED }, { "\\Deleted", MAIL_DELETED }, { "\\Draft", MAIL_DRAFT },
	{ "\\Flagged", MAIL_FLAGGED },   { "\\Seen", MAIL_SEEN },       { "$Forwarded", MAIL_FORWARDED },
};

bool fetch_keyword_is_category(struct slice k)
{
	static const char *const technical[] = { "NonJunk", "NotJunk", "Junk", "Forwarded", "MDNSent", "Old" };

	if (k.len == 0 || k.ptr[0] == '$' || k.ptr[0] == '\\')
		return false;
	for (size_t i = 0; i < sizeof(technical) / sizeof(*technical); i++)
		if (slice_ieq(k, slice_str(technical[i])))
			return false;
	return true;
}

struct slice imap_name(struct arena *a, struct slice raw)
{
	struct slice utf8;

	return mutf7_decode(a, raw, &utf8) ? utf8 : raw;
}

static void add_keyword(struct imap_fetch *f, struct slice word, size_t *used)
{
	struct arena *a = arena_new();
	struct slice k = mail_keyword_decode(a, word);

	if (f->n_keywords < IMAP_KEYWORDS_MAX && *used + k.len + word.len <= sizeof(f->kw_text)) {
		char *at = f->kw_text + *used;

		memcpy(at, k.ptr, k.len);
		memcpy(at + k.len, word.ptr, word.len);
		f->keywords[f->n_keywords] = slice(at, k.len);
		f->raw[f->n_keywords++] = slice(at + k.len, word.len);
		*used += k.len + word.len;
	}
	arena_free(&a);
}

static void add_flag(struct imap_fetch *f, struct slice word, size_t *used)
{
	for (size_t i = 0; i < sizeof(flag_table) / sizeof(*flag_table); i++)
		if (slice_ieq(word, slice_str(flag_table[i].word))) {
			f->flags |= flag_table[i].flag;
			return;
		}
	if (fetch_keyword_is_category(word))
		add_keyword(f, word, used);
}

static void read_flags(struct imap_session *s, struct imap_fetch *f)
{
	size_t used = 0;
	struct tok t;

	wire_token(&s->w, &t);
	if (t.kind != TOK_OPEN) {
		wire_skip_value(&s->w, &t);
		return;
	}
	f->flags = 0;
	f->n_keywords = 0;
	for (wire_token(&s->w, &t); t.kind == TOK_ATOM; wire_token(&s->w, &t))
		add_flag(f, t.text, &used);
	if (t.kind == TOK_CLOSE)
		f->have |= HAVE_FLAGS;
	else
		wire_fail(&s->w, ERR_BACKEND_TEMP, "the server sent bad flags");
}

static bool read_number(struct imap_session *s, uint64_t *n_r)
{
	struct tok t;

	wire_token(&s->w, &t);
	if (t.kind == TOK_ATOM && slice_u64(t.text, n_r))
		return true;
	wire_skip_value(&s->w, &t);
	return false;
}

static void read_date(struct imap_session *s, struct imap_fetch *f)
{
	struct tok t;

	wire_token(&s->w, &t);
	if ((t.kind == TOK_QUOTED || t.kind == TOK_ATOM) && imap_date_parse(t.text, &f->date_ms))
		f->have |= HAVE_DATE;
	else
		wire_skip_value(&s->w, &t);
}

static void read_modseq(struct imap_session *s, struct imap_fetch *f)
{
	struct tok t;

	wire_token(&s->w, &t);
	if (t.kind == TOK_OPEN) {
		if (read_number(s, &f->modseq))
			f->have |= HAVE_MODSEQ;
		wire_token(&s->w, &t);
	}
	wire_skip_value(&s->w, &t);
}

static void read_structure(struct imap_session *s, struct imap_fetch *f)
{
	struct tok t;

	wire_token(&s->w, &t);
	if (t.kind == TOK_OPEN && s->h && s->h->a)
		f->tree = bodystructure_read(&s->w, s->h->a);
	else
		wire_skip_value(&s->w, &t);
}

/* name is "BODY[section]<origin>". */
static void read_body(struct imap_session *s, struct imap_fetch *f, struct slice name)
{
	struct slice section = slice_from(name, (size_t)slice_chr(name, '[') + 1);
	char z[64];
	size_t len;
	struct be_part *to = NULL;
	struct tok t;

	section = slice_to(section, (size_t)(slice_chr(section, ']') < 0 ? 0 : slice_chr(section, ']')));
	len = section.len < sizeof(z) ? section.len : 0;
	memcpy(z, section.ptr, len);
	section = slice(z, len);
	wire_token(&s->w, &t);
	/* NIL: the mail has no such part. */
	if (s->h && s->h->part && !tok_is(&t, "NIL"))
		to = s->h->part(s->h->arg, f->have & HAVE_UID ? f->uid : 0, section);
	if (to) {
		wire_to_blob(&s->w, &t, to->out, to->max);
	} else if (s->h && s->h->a && slice_istarts(section, S("HEADER"))) {
		f->header = wire_string(&s->w, &t, s->h->a, HEADER_MAX_BYTES);
		f->have |= HAVE_HEADER;
	} else {
		wire_skip_value(&s->w, &t);
	}
}

static void fetch_item(struct imap_session *s, struct imap_fetch *f, const struct tok *name)
{
	struct tok t;

	if (tok_is(name, "UID")) {
		if (read_number(s, &f->uid))
			f->have |= HAVE_UID;
	} else if (tok_is(name, "FLAGS")) {
		read_flags(s, f);
	} else if (tok_is(name, "INTERNALDATE")) {
		read_date(s, f);
	} else if (tok_is(name, "RFC822.SIZE")) {
		if (read_number(s, &f->size))
			f->have |= HAVE_SIZE;
	} else if (tok_is(name, "MODSEQ")) {
		read_modseq(s, f);
	} else if (tok_is(name, "BODYSTRUCTURE")) {
		read_structure(s, f);
	} else if (slice_istarts(name->text, S("BODY["))) {
		read_body(s, f, name->text);
	} else {
		wire_token(&s->w, &t);
		wire_skip_value(&s->w, &t);
	}
}

static void fetch(struct imap_session *s, uint64_t seq)
{
	struct imap_fetch *f = s->f;
	struct tok t;

	f->have = 0;
	f->seq = seq;
	f->uid = f->size = f->modseq = 0;
	f->flags = 0;
	f->n_keywords = 0;
	f->tree = NULL;
	f->header = S_NONE;
	wire_token(&s->w, &t);
	if (t.kind != TOK_OPEN) {
		wire_fail(&s->w, ERR_BACKEND_TEMP, "the server sent a bad FETCH");
		return;
	}
	for (wire_token(&s->w, &t); t.kind == TOK_ATOM; wire_token(&s->w, &t))
		fetch_item(s, f, &t);
	if (t.kind != TOK_CLOSE) {
		wire_fail(&s->w, ERR_BACKEND_TEMP, "the server sent a bad FETCH");
		return;
	}
	wire_skip_line(&s->w);
	if (!s->w.failed && s->h && s->h->fetch)
		s->h->fetch(s->h->arg, f);
}

uint32_t imap_rev(const struct imap_fetch *f)
{
	return mail_rev(f->flags, f->keywords, f->n_keywords);
}

/* -- LIST, NAMESPACE, STATUS, SEARCH, VANISHED -- */

static const struct {
	const char *word;
	unsigned attr;
} attr_table[] = {
	{ "\\Drafts", ATTR_DRAFTS },          { "\\Junk", ATTR_JUNK }, { "\\NonExistent", ATTR_NONEXISTENT | ATTR_NOSELECT },
	{ "\\Noselect", ATTR_NOSELECT },      { "\\Sent", ATTR_SENT }, { "\\Subscribed", ATTR_SUBSCRIBED },
	{ "\\Trash", ATTR_TRASH },
};

static bool list_attrs(struct imap_session *s, struct imap_list *l)
{
	struct tok t;

	wire_token(&s->w, &t);
	if (t.kind != TOK_OPEN)
		return false;
	for (wire_token(&s->w, &t); t.kind == TOK_ATOM; wire_token(&s->w, &t))
		for (size_t i = 0; i < sizeof(attr_table) / sizeof(*attr_table); i++)
			if (tok_is(&t, attr_table[i].word))
				l->attrs |= attr_table[i].attr;
	return t.kind == TOK_CLOSE;
}

static char separator(struct imap_session *s, const struct tok *t)
{
	if (t->kind == TOK_QUOTED && t->text.len == 1)
		return t->text.ptr[0];
	wire_skip_value(&s->w, t);
	return 0;
}

static void list(struct imap_session *s, bool lsub)
{
	struct imap_list l = { .lsub = lsub };
	struct tok t;

	if (!s->h || !s->h->list || !s->h->a || !list_attrs(s, &l)) {
		if (s->h && s->h->touched)
			s->h->touched(s->h->arg);
		wire_skip_line(&s->w);
		return;
	}
	wire_token(&s->w, &t);
	l.sep = separator(s, &t);
	wire_token(&s->w, &t);
	if (t.kind == TOK_ATOM && slice_ieq(t.text, S("NIL"))) /* a folder may be called that */
		l.name = S("NIL");
	else
		l.name = imap_name(s->h->a, wire_string(&s->w, &t, s->h->a, 1024));
	if (t.kind != TOK_EOL)
		wire_skip_line(&s->w);
	if (!s->w.failed && l.name.len)
		s->h->list(s->h->arg, &l);
}

/* One of the three groups: NIL or ((prefix sep ext...) ...). */
static void namespace_group(struct imap_session *s, int kind)
{
	struct tok t;

	wire_token(&s->w, &t);
	if (t.kind != TOK_OPEN)
		return;
	for (wire_token(&s->w, &t); t.kind == TOK_OPEN; wire_token(&s->w, &t)) {
		struct imap_namespace n = { .kind = kind };

		wire_token(&s->w, &t);
		n.prefix = imap_name(s->h->a, wire_string(&s->w, &t, s->h->a, 1024));
		wire_token(&s->w, &t);
		n.sep = separator(s, &t);
		for (wire_token(&s->w, &t); t.kind != TOK_CLOSE && !s->w.failed && t.kind != TOK_EOL; wire_token(&s->w, &t))
			wire_skip_value(&s->w, &t);
		if (!s->w.failed)
			s->h->name_space(s->h->arg, &n);
	}
}

static void name_space(struct imap_session *s)
{
	if (s->h && s->h->name_space && s->h->a)
		for (int kind = 0; kind < 3; kind++)
			namespace_group(s, kind);
	wire_skip_line(&s->w);
}

static void status(struct imap_session *s)
{
	struct slice name;
	uint64_t uidvalidity = 0;
	struct tok t;

	if (!s->h || !s->h->status || !s->h->a) {
		wire_skip_line(&s->w);
		return;
	}
	wire_token(&s->w, &t);
	name = imap_name(s->h->a, wire_string(&s->w, &t, s->h->a, 1024));
	wire_token(&s->w, &t);
	if (t.kind == TOK_OPEN)
		for (wire_token(&s->w, &t); t.kind == TOK_ATOM; wire_token(&s->w, &t)) {
			bool wanted = tok_is(&t, "UIDVALIDITY");
			uint64_t n = 0;

			if (read_number(s, &n) && wanted)
				uidvalidity = n;
		}
	if (t.kind != TOK_EOL)
		wire_skip_line(&s->w);
	if (!s->w.failed)
		s->h->status(s->h->arg, name, uidvalidity);
}

static void search(struct imap_session *s)
{
	struct tok t;
	uint64_t n;

	for (wire_token(&s->w, &t); t.kind == TOK_ATOM; wire_token(&s->w, &t))
		if (s->h && s->h->search && slice_u64(t.text, &n))
			s->h->search(s->h->arg, n);
	if (t.kind == TOK_OPEN) /* (MODSEQ n) */
		wire_skip_line(&s->w);
}

/* "VANISHED [(EARLIER)] set"; RFC 7162. */
static void vanished(struct imap_session *s)
{
	uint64_t first, last;
	struct slice set;
	struct tok t;

	wire_token(&s->w, &t);
	if (t.kind == TOK_OPEN) {
		wire_skip_value(&s->w, &t);
		wire_token(&s->w, &t);
	}
	if (t.kind != TOK_ATOM) {
		if (t.kind != TOK_EOL)
			wire_skip_line(&s->w);
		return;
	}
	set = t.text;
	while (s->h && s->h->gone && set_next(&set, &first, &last))
		s->h->gone(s->h->arg, first, last);
	wire_skip_line(&s->w);
}

/* -- dispatch -- */

static void touched(struct imap_session *s)
{
	if (s->h && s->h->touched)
		s->h->touched(s->h->arg);
}

static void numbered(struct imap_session *s, uint64_t n)
{
	struct tok t;

	wire_token(&s->w, &t);
	if (tok_is(&t, "FETCH")) {
		touched(s);
		fetch(s, n);
		return;
	}
	if (tok_is(&t, "EXISTS"))
		s->sel.exists = n;
	else if (tok_is(&t, "EXPUNGE") && s->sel.exists)
		s->sel.exists--;
	if (tok_is(&t, "EXISTS") || tok_is(&t, "EXPUNGE"))
		touched(s);
	if (t.kind != TOK_EOL)
		wire_skip_line(&s->w);
}

static void enabled(struct imap_session *s)
{
	struct slice words = wire_line(&s->w), word;

	while (slice_split(&words, ' ', &word))
		s->enabled |= cap_of(word);
}

static void do_caps(struct imap_session *s) { reply_caps(s, wire_line(&s->w)); }
static void do_list(struct imap_session *s) { list(s, false); }
static void do_lsub(struct imap_session *s) { list(s, true); }
static void do_vanished(struct imap_session *s) { touched(s); vanished(s); }

static const struct {
	const char *word;
	void (*read)(struct imap_session *s);
} untagged_table[] = {
	{ "BAD", untagged_status },    { "BYE", bye },         { "CAPABILITY", do_caps },
	{ "ENABLED", enabled },        { "LIST", do_list },    { "LSUB", do_lsub },
	{ "NAMESPACE", name_space },   { "NO", untagged_status }, { "OK", untagged_status },
	{ "PREAUTH", untagged_status }, { "SEARCH", search },  { "STATUS", status },
	{ "VANISHED", do_vanished },
};

void reply_untagged(struct imap_session *s)
{
	struct tok t;
	uint64_t n;

	wire_token(&s->w, &t);
	if (t.kind == TOK_ATOM && slice_u64(t.text, &n)) {
		numbered(s, n);
		return;
	}
	for (size_t i = 0; i < sizeof(untagged_table) / sizeof(*untagged_table); i++)
		if (tok_is(&t, untagged_table[i].word)) {
			untagged_table[i].read(s);
			return;
		}
	if (t.kind != TOK_EOL)
		wire_skip_line(&s->w);
}
