/* test_mailinfo.c - the facts of the Email class. */
#include "harness.h"

#include "proto/email.h"
#include "proto/mailinfo.h"

static struct mailinfo info(struct slice raw, int64_t received)
{
	struct mail_headers h;
	struct mime_tree t;
	struct mailinfo m;

	mime_parse(test_arena(), test_guarded(raw), &t);
	mail_headers_parse(test_arena(), test_guarded(raw), &h);
	mailinfo_fill(test_arena(), &h, &t, received, &m);
	return m;
}

CASE(mailinfo_addresses_and_subject)
{
	struct mailinfo m = info(S("From: =?utf-8?Q?J=C3=B6rg?= <j@x>\r\nSender: sec@x\r\nTo: A <a@x>, b@x\r\nCc: c@x\r\n"
				   "Reply-To: r@x, s@x\r\nSubject: Re: AW: Fwd[2]: Topic: here\r\nImportance: high\r\n\r\nx"), 5000);

	CHECK_STR(m.from, "\"Jörg\" <j@x>");
	CHECK_STR(m.sender, "\"sec@x\" <sec@x>");
	CHECK_STR(m.to, "\"A\" <a@x>, \"b@x\" <b@x>");
	CHECK_STR(m.cc, "\"c@x\" <c@x>");
	CHECK_STR(m.reply_to, "\"r@x\" <r@x>; \"s@x\" <s@x>");
	CHECK_STR(m.display_to, "A; b@x");
	CHECK_STR(m.subject, "Re: AW: Fwd[2]: Topic: here");
	CHECK_STR(m.thread_topic, "Topic: here");
	CHECK_INT(m.importance, 2);
	CHECK_INT(m.date_received_ms, 5000);
	m = info(S("From: a@x\r\nSender: A@X\r\n\r\n"), DATE_NONE);
	CHECK_INT(m.sender.len, 0);
	CHECK_INT(m.to.len, 0);
	CHECK_INT(m.date_received_ms, 0);
}

CASE(mailinfo_topic_forms)
{
	CHECK_STR(mail_topic(S("Re: x")), "x");
	CHECK_STR(mail_topic(S("RE:re : x")), "x");
	CHECK_STR(mail_topic(S("Re[12]: x")), "x");
	CHECK_STR(mail_topic(S("Report: x")), "Report: x");
	CHECK_STR(mail_topic(S("Re[x]: x")), "Re[x]: x");
	CHECK_STR(mail_topic(S("")), "");
	CHECK_STR(mail_topic(S("Re:")), "");
}

CASE(mailinfo_message_class)
{
	static const struct {
		const char *type, *class;
	} rows[] = {
		{ "text/plain", "IPM.Note" },
		{ "application/pkcs7-mime", "IPM.Note.SMIME" },
		{ "multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b", "IPM.Note.SMIME.MultipartSigned" },
		{ "multipart/report; report-type=delivery-status; boundary=b", "REPORT.IPM.NOTE.NDR" },
		{ "multipart/report; report-type=disposition-notification; boundary=b", "REPORT.IPM.NOTE.IPNRN" },
		{ "text/calendar; method=request", "IPM.Schedule.Meeting.Request" },
		{ "text/calendar; method=CANCEL", "IPM.Schedule.Meeting.Canceled" },
		{ "text/calendar; method=REPLY", "IPM.Schedule.Meeting.Resp.Neg" },
		{ "text/calendar", "IPM.Note" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct mailinfo m = info(arena_printf(test_arena(), "Subject: Declined: x\r\nContent-Type: %s\r\n\r\nx", rows[i].type), 0);

		CHECK_STR(slice_str(m.message_class), rows[i].class);
	}
	CHECK_STR(slice_str(info(S("A: b\r\n\r\n"), 0).content_class), "urn:content-classes:message");
}

CASE(mailinfo_code_page)
{
	CHECK_INT(info(S("Content-Type: text/plain; charset=iso-8859-1\r\n\r\nx"), 0).internet_cpid, 28591);
	CHECK_INT(info(S("Content-Type: text/html; charset=utf-8\r\n\r\nx"), 0).internet_cpid, 65001);
	CHECK_INT(info(S("A: b\r\n\r\nx"), 0).internet_cpid, 20127);
	CHECK_INT(info(S("Content-Type: image/png\r\n\r\nx"), 0).internet_cpid, 65001);
	CHECK_INT(info(S("Content-Type: text/html\r\n\r\nx"), 0).native_body_type, 2);
}

CASE(mailinfo_conversation_is_one_for_the_thread)
{
	struct mailinfo root = info(S("Message-ID: <1@x>\r\nDate: Tue, 24 Nov 2026 16:59:34 +0000\r\n\r\n"), 0);
	struct mailinfo reply = info(S("Message-ID: <2@x>\r\nReferences: <1@x>\r\nIn-Reply-To: <1@x>\r\n\r\n"), 0);
	struct mailinfo third = info(S("Message-ID: <3@y>\r\nReferences: <1@x>\r\n <2@x>\r\nThread-Index: AdxlAAAAAAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"), 0);
	struct mailinfo other = info(S("Message-ID: <9@x>\r\n\r\n"), 0);

	CHECK(memcmp(root.conversation_id, reply.conversation_id, 16) == 0);
	CHECK(memcmp(root.conversation_id, third.conversation_id, 16) == 0);
	CHECK(memcmp(root.conversation_id, other.conversation_id, 16) != 0);
	CHECK_INT(root.conversation_index.len, 5);
	CHECK_INT(reply.conversation_index.len, 10);
	/* 24 Nov 2026 16:59:34 is FILETIME 0x01DD5BE1... without its first byte */
	CHECK_SLICE(slice_to(root.conversation_index, 1), S("\xdd"));
}

CASE(mailinfo_thread_index_is_taken_over)
{
	/* 01 + time 11 22 33 44 55 + GUID a0..af + one level */
	struct mailinfo m = info(S("Thread-Index: AREiM0RVoKGio6SlpqeoqaqrrK2urwECAwQF\r\n\r\n"), 0);

	CHECK_SLICE(slice(m.conversation_id, 16), S("\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf"));
	CHECK_SLICE(m.conversation_index, S("\x11\x22\x33\x44\x55\x01\x02\x03\x04\x05"));
	m = info(S("Thread-Index: !!!\r\nMessage-ID: <1@x>\r\n\r\n"), 0);
	CHECK_INT(m.conversation_index.len, 5);
}

CASE(mailinfo_into_email)
{
	struct mailinfo m = info(S("From: a@x\r\nSubject: s\r\n\r\nx"), 7000);
	struct email e = { 0 };

	mailinfo_to_email(test_arena(), &m, &e);
	CHECK_STR(e.from, "\"a@x\" <a@x>");
	CHECK(e.to.ptr == NULL);
	CHECK_STR(e.subject, "s");
	CHECK_INT(e.date_received.ms, 7000);
	CHECK_INT(e.conversation_id.len, 16);
	CHECK(e.importance.has && e.internet_cpid.has);
}
