/* mailinfo.c - the facts of the Email class. Any thread. The trap: a phone
 * groups by ConversationId, so it must come out equal for all mails of a
 * thread whoever wrote them: the root of References comes first, because every
 * client keeps it, and Thread-Index only where there is none. */
#include "proto/mailinfo.h"

#include <ctype.h>

#include "base/digest.h"
#include "proto/bodypick.h"
#include "proto/email.h"

/* -- subject -- */

static const char *const prefixes[] = { /* what mail programs put in front, in their languages */
	"re", "fw", "fwd", "aw", "wg", "antw", "sv", "vs", "vb", "tr", "rv", "enc", "res", "odp", "pd", "ynt", "rif",
	"ref", "doorst", "vl",
};

/* Length of one "Re[2]:" with the blanks behind it, 0 if there is none. */
static size_t prefix_length(struct slice s)
{
	size_t n = 0, name;

	while (n < s.len && isalpha((unsigned char)s.ptr[n]))
		n++;
	name = n;
	if (n < s.len && (s.ptr[n] == '[' || s.ptr[n] == '(')) {
		for (n++; n < s.len && isdigit((unsigned char)s.ptr[n]);)
			n++;
		if (n == s.len || (s.ptr[n] != ']' && s.ptr[n] != ')'))
			return 0;
		n++;
	}
	while (n < s.len && s.ptr[n] == ' ')
		n++;
	if (n == s.len || s.ptr[n] != ':')
		return 0;
	for (n++; n < s.len && s.ptr[n] == ' ';)
		n++;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (slice_ieq(slice_to(s, name), slice_str(prefixes[i])))
			return n;
	return 0;
}

struct slice mail_topic(struct slice subject)
{
	size_t n;

	subject = slice_trim(subject);
	while ((n = prefix_length(subject)) > 0)
		subject = slice_from(subject, n);
	return subject;
}

/* -- conversation -- */

enum { MAX_LEVELS = 50, INDEX_HEAD = 22 }; /* Thread-Index: 1 + 5 bytes time, 16 GUID, 5 a reply */

/* Next "<...>" of a list; false at the end. */
static bool next_id(struct slice *rest, struct slice *id_r)
{
	ptrdiff_t lt = slice_chr(*rest, '<'), gt;

	if (lt < 0)
		return false;
	*rest = slice_from(*rest, (size_t)lt);
	gt = slice_chr(*rest, '>');
	if (gt < 0)
		return false;
	*id_r = slice_to(*rest, (size_t)gt + 1);
	*rest = slice_from(*rest, (size_t)gt + 1);
	return true;
}

static struct slice root_of(const struct mail_headers *h, struct slice topic)
{
	struct slice rest = h->references, id;

	if (next_id(&rest, &id))
		return id;
	rest = h->in_reply_to;
	if (next_id(&rest, &id))
		return id;
	return h->message_id.len ? h->message_id : topic;
}

static void conversation_id(const struct mail_headers *h, struct slice index, struct slice topic, uint8_t out[16])
{
	bool has_parent = h->references.len || h->in_reply_to.len;
	struct sha256 d;

	if (!has_parent && index.len > INDEX_HEAD) {
		memcpy(out, index.ptr + 6, 16);
		return;
	}
	d = digest_sha256(root_of(h, topic));
	memcpy(out, d.b, 16);
}

/* The five bytes of the time: FILETIME without its highest byte and its two
 * lowest (MS-ASCON 2.2.2.4.1), big endian. */
static void put_time(struct bytes *out, int64_t ms)
{
	uint64_t filetime = (uint64_t)(ms + 11644473600000) * 10000;

	for (int shift = 48; shift >= 16; shift -= 8)
		bytes_char(out, (char)(filetime >> shift));
}

static struct slice conversation_index(struct arena *a, const struct mail_headers *h, struct slice index, int64_t ms)
{
	struct slice rest = h->references, id;
	struct bytes out;
	size_t levels = 0;

	bytes_init(&out, a, 5 + 5 * MAX_LEVELS);
	if (index.len >= INDEX_HEAD) {
		bytes_add(&out, index.ptr + 1, 5);
		index = slice_from(index, INDEX_HEAD);
		bytes_slice(&out, slice_to(index, index.len / 5 * 5));
		return bytes_get(&out);
	}
	put_time(&out, ms);
	if (rest.len == 0)
		rest = h->in_reply_to;
	for (; levels < MAX_LEVELS && next_id(&rest, &id); levels++) {
		struct sha256 d = digest_sha256(id);

		bytes_add(&out, "\0\0\0\0", 4); /* the time between is not known */
		bytes_add(&out, d.b, 1);        /* tells siblings apart */
	}
	return bytes_get(&out);
}

/* -- class -- */

static const char *meeting_class(struct slice method, struct slice subject)
{
	if (slice_eq(method, S("REQUEST")))
		return "IPM.Schedule.Meeting.Request";
	if (slice_eq(method, S("CANCEL")))
		return "IPM.Schedule.Meeting.Canceled";
	if (slice_eq(method, S("COUNTER")))
		return "IPM.Schedule.Meeting.Resp.Tent";
	if (!slice_eq(method, S("REPLY")))
		return NULL;
	/* What was answered stands in the calendar data, which is not read here;
	 * the subject says it in the large clients' English forms. */
	if (slice_istarts(subject, S("Declined")))
		return "IPM.Schedule.Meeting.Resp.Neg";
	if (slice_istarts(subject, S("Tentative")))
		return "IPM.Schedule.Meeting.Resp.Tent";
	return "IPM.Schedule.Meeting.Resp.Pos";
}

static const char *report_class(const struct mime_part *p)
{
	if (!mime_is(p, "multipart", "report"))
		return NULL;
	if (slice_eq(p->report_type, S("disposition-notification")))
		return "REPORT.IPM.NOTE.IPNRN";
	return slice_eq(p->report_type, S("delivery-status")) ? "REPORT.IPM.NOTE.NDR" : NULL;
}

static const char *message_class(const struct mail_headers *h, const struct mime_tree *t, int calendar)
{
	const char *class;

	if (!t || t->n == 0)
		return "IPM.Note";
	if (mime_smime(t) == MIME_SMIME_OPAQUE)
		return "IPM.Note.SMIME";
	if (mime_smime(t) == MIME_SMIME_SIGNED)
		return "IPM.Note.SMIME.MultipartSigned";
	class = report_class(t->v);
	if (!class && calendar != MIME_NONE)
		class = meeting_class(t->v[calendar].method, h->subject);
	if (class)
		return class;
	if (slice_istarts(h->content_class, S("voice")) || h->voice_caller.len)
		return "IPM.Note.Microsoft.Voicemail";
	return "IPM.Note";
}

static int calendar_part(const struct mime_tree *t)
{
	int i = t ? mime_find(t, "text", "calendar") : MIME_NONE;

	return i != MIME_NONE && t->v[i].method.len ? i : MIME_NONE;
}

/* The code page of the text that a reader of the mail sees. */
static unsigned code_page(const struct mime_tree *t, const struct body_parts *b)
{
	const struct body_view *v = &b->html;
	unsigned cp = 0;

	if (v->n && t->v[v->v[0]].charset.len)
		cp = charset_codepage(t->v[v->v[0]].charset);
	else if (v->n)
		return 20127; /* no charset means us-ascii (RFC 2045 5.2) */
	return cp ? cp : 65001;
}

/* -- all of it -- */

static struct slice join_addresses(struct arena *a, struct slice value, enum address_form form, const char *sep)
{
	struct address_list l;

	address_parse(a, value, &l);
	return address_format(a, &l, form, slice_str(sep), ADDRESS_MAX_CHARS);
}

static struct slice first_address(struct arena *a, struct slice value)
{
	struct address_list l;

	address_parse(a, value, &l);
	return l.n ? l.v[0].addr : S_NONE;
}

static void fill_addresses(struct arena *a, const struct mail_headers *h, struct mailinfo *m)
{
	m->from = join_addresses(a, h->from.len ? h->from : h->sender, ADDRESS_FULL, ", ");
	m->to = join_addresses(a, h->to, ADDRESS_FULL, ", ");
	m->cc = join_addresses(a, h->cc, ADDRESS_FULL, ", ");
	m->reply_to = join_addresses(a, h->reply_to, ADDRESS_FULL, "; ");
	m->display_to = join_addresses(a, h->to, ADDRESS_NAME, "; ");
	if (h->sender.len && h->from.len && !address_same(first_address(a, h->sender), first_address(a, h->from)))
		m->sender = join_addresses(a, h->sender, ADDRESS_FULL, ", ");
}

void mailinfo_fill(struct arena *a, const struct mail_headers *h, const struct mime_tree *t, int64_t received_ms,
		   struct mailinfo *m_r)
{
	int64_t sent = h->date_ms != DATE_NONE ? h->date_ms : received_ms;
	struct slice index = S_NONE;
	struct body_parts b = { .native = BODY_TEXT };

	*m_r = (struct mailinfo){ .subject = h->subject, .importance = (uint8_t)h->importance,
				  .message_id = h->message_id, .um_caller_id = h->voice_caller };
	fill_addresses(a, h, m_r);
	m_r->thread_topic = h->thread_topic.len ? h->thread_topic : mail_topic(h->subject);
	m_r->date_received_ms = received_ms != DATE_NONE ? received_ms : sent != DATE_NONE ? sent : 0;
	m_r->calendar_part = calendar_part(t);
	m_r->message_class = message_class(h, t, m_r->calendar_part);
	m_r->content_class = strncmp(m_r->message_class, "IPM.Schedule", 12) == 0 ?
				     "urn:content-classes:calendarmessage" : "urn:content-classes:message";
	if (t)
		body_parts_find(a, t, &b);
	m_r->native_body_type = (uint8_t)b.native;
	m_r->internet_cpid = t ? code_page(t, &b) : 65001;
	if (h->thread_index.len && !base64_decode(a, h->thread_index, &index))
		index = S_NONE;
	conversation_id(h, index, m_r->thread_topic, m_r->conversation_id);
	m_r->conversation_index = conversation_index(a, h, index, sent != DATE_NONE ? sent : 0);
}

/* Absent stays absent: an empty slice of ours has ptr NULL there. */
static struct slice given(struct slice s)
{
	return s.len ? s : S_NONE;
}

void mailinfo_to_email(struct arena *a, const struct mailinfo *m, struct email *e)
{
	e->to = given(m->to);
	e->cc = given(m->cc);
	e->from = given(m->from);
	e->subject = given(m->subject);
	e->reply_to = given(m->reply_to);
	e->date_received = DATE_MS(m->date_received_ms);
	e->display_to = given(m->display_to);
	e->thread_topic = given(m->thread_topic);
	e->importance = NUM(m->importance);
	e->message_class = slice_str(m->message_class);
	e->internet_cpid = NUM(m->internet_cpid);
	e->content_class = slice_str(m->content_class);
	e->um_caller_id = given(m->um_caller_id);
	e->conversation_id = arena_slice(a, slice(m->conversation_id, 16));
	e->conversation_index = m->conversation_index;
	e->sender = given(m->sender);
}
