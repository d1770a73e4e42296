"""Bodies, attachments and the facts of a mail against the requirement tables
(MS-ASAIRS, MS-ASEMAIL, MS-ASCMD), on the embedded default."""
import base64
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import case, cases, check, contains, equal, main, shared  # noqa: E402
from env import message  # noqa: E402
from wbxml import el  # noqa: E402
from world import LocalWorld  # noqa: E402

_taken = []


class World(LocalWorld):
    accounts = {"u%02d" % n: "secret-%d" % n for n in range(99)}


def fresh(*mails, version="14.1"):
    world = shared(World)
    user = "u%02d" % len(_taken)
    _taken.append(user)
    world.append_many(user, list(mails), seconds=time.time() - 60)
    phone = world.phone(user, version=version)
    return world, user, phone, phone.folder_id(type=2)


def opts(*children):
    return el("AirSync:Options", *children)


def pref(type, size=None, all_or_none=None, preview=None, name="BodyPreference"):
    return el("AirSyncBase:" + name, el("Type", str(type)),
              el("TruncationSize", str(size)) if size is not None else None,
              el("AllOrNone", all_or_none) if all_or_none is not None else None,
              el("Preview", str(preview)) if preview is not None else None)


def one(mail, *options, version="14.1"):
    """ApplicationData of a single mail, asked for with these children of Options."""
    _, _, phone, inbox = fresh(mail, version=version)
    (item,) = phone.pull(inbox, options=opts(*options)).values()
    return item


def names(e):
    return [c.tag for c in e.children]


TEXT = "".join("line %04d of a long text\r\n" % n for n in range(400))     # 10400 bytes
PLAIN = message(subject="plain", text=TEXT)
HTML = ("<html><body>" + "".join("<p>par %04d</p>" % n for n in range(400)) + "</body></html>").encode()
BOTH = message(subject="both", text=TEXT, html=HTML.decode())
ONLY_HTML = (b"From: bob@example.org\r\nTo: a@example.org\r\nSubject: h\r\nMIME-Version: 1.0\r\n"
             b"Content-Type: text/html; charset=utf-8\r\n\r\n" + HTML)
EMPTY = b"From: bob@example.org\r\nTo: a@example.org\r\nSubject: nothing\r\n\r\n"
SIGNED = (b"From: bob@example.org\r\nTo: a@example.org\r\nSubject: signed\r\nMIME-Version: 1.0\r\n"
          b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=s\r\n\r\n"
          b"--s\r\nContent-Type: text/plain\r\n\r\nhello\r\n--s\r\n"
          b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n"
          b"AAECAwQF\r\n--s--\r\n")


# --- which form, how much -----------------------------------------------------------------

@case
def the_order_of_a_body():       # AI112
    body = one(PLAIN, pref(1, 500)).find("Body")
    equal(names(body), ["Type", "EstimatedDataSize", "Truncated", "Data"])
    equal((len(body.get("Data")), body.get("Truncated"), body.get("EstimatedDataSize")), (500, "1", str(len(TEXT))))
    body = one(PLAIN, pref(1, len(TEXT))).find("Body")
    equal((names(body), body.get("Data")), (["Type", "EstimatedDataSize", "Data"], TEXT))
    body = one(EMPTY, pref(1, 500)).find("Body")
    equal((names(body), body.get("EstimatedDataSize")), (["Type", "EstimatedDataSize"], "0"))
    body = one(PLAIN, pref(1, 0)).find("Body")
    equal((names(body), body.get("Truncated")), (["Type", "EstimatedDataSize", "Truncated"], "1"))


@case
def no_preference_is_plain_text():
    body = one(BOTH).find("Body")
    equal((body.get("Type"), body.get("Truncated")), ("1", None))


@cases([(n, o, t, native) for n, o, t, native in (
    ("text_of_both", (pref(1),), "1", "2"), ("html_of_both", (pref(2),), "2", "2"),
    ("native_first", (pref(1), pref(2)), "2", "2"),
    ("mime_not_allowed", (pref(4), pref(2)), "2", "2"),
    ("mime_support_0", (el("MIMESupport", "0"), pref(4), pref(1)), "1", "2"),
    ("mime_support_1", (el("MIMESupport", "1"), pref(4), pref(2)), "2", "2"),
    ("mime_support_2", (el("MIMESupport", "2"), pref(4), pref(2)), "4", "2"),
    ("mime_not_asked", (el("MIMESupport", "2"), pref(2)), "2", "2"))])
def the_form(options, type, native):        # AI77 AI241
    item = one(BOTH, *options)
    equal((item.get("Body/Type"), item.get("NativeBodyType")), (type, native))


@cases([(str(n), *row) for n, row in enumerate((
    ((el("MIMESupport", "0"), pref(4), pref(1)), "1"), ((el("MIMESupport", "1"), pref(4), pref(1)), "4"),
    ((el("MIMESupport", "2"), pref(4), pref(1)), "4")))])
def mime_of_a_signed_mail(options, type):       # R3408 R3409 R3410
    item = one(SIGNED, *options)
    equal((item.get("Body/Type"), item.get("MessageClass")), (type, "IPM.Note.SMIME.MultipartSigned"))
    if type == "4":
        equal(names(item.find("Body")), ["Type", "EstimatedDataSize", "Truncated", "Data"])
        equal((item.find("Body/Data").data, item.get("Body/Truncated")), (SIGNED, "0"))


@cases([(str(n), str(n), size) for n, size in enumerate((0, 4096, 5120, 7168, 10240, 20480, 51200, 102400, None))])
def mime_truncation(code, size):        # R3418-R3426
    mail = message(subject="long", text=TEXT * 11)
    item = one(mail, el("MIMETruncation", code), el("MIMESupport", "2"), pref(4))
    equal((item.get("Body/Type"), item.get("Body/EstimatedDataSize")), ("4", str(len(mail))))
    data = item.find("Body/Data")
    equal(len(data.data) if data is not None else 0, len(mail) if size is None else size)
    equal(item.get("Body/Truncated"), "0" if size is None else "1")


@case
def the_smaller_of_both_cuts_mime_and_text_is_left_alone():
    mail = message(subject="long", text=TEXT * 3)
    item = one(mail, el("MIMETruncation", "1"), el("MIMESupport", "2"), pref(4, 600))
    equal(len(item.find("Body/Data").data), 600)
    item = one(PLAIN, el("MIMETruncation", "0"), el("MIMESupport", "2"), pref(1, 9000))
    equal(len(item.get("Body/Data")), 9000)


@case
def all_or_none():      # AI78 AI80 AI376 AI378 AI401
    item = one(BOTH, pref(2, 100, "1"), pref(1, 300, "0"))
    equal((item.get("Body/Type"), len(item.get("Body/Data"))), ("1", 300))
    item = one(BOTH, pref(2, 100, "1"))
    equal((item.get("Body/Truncated"), item.find("Body/Data")), ("1", None))
    check(int(item.get("Body/EstimatedDataSize")) > 100)
    item = one(BOTH, pref(2, 10 ** 6, "1"))
    equal((item.get("Body/Truncated"), item.get("Body/Data").strip()), (None, HTML.decode()))
    for flag in ("0", "1"):
        equal(one(BOTH, pref(2, None, flag)).get("Body/Data").strip(), HTML.decode())


@case
def utf8_is_not_cut_apart():
    item = one(message(subject="u", text="ä" * 300 + "\r\n"), pref(1, 101))
    equal(item.get("Body/Data"), "ä" * 50)


@cases([("14.0", "14.0"), ("14.1", "14.1")])
def preview(version):       # AI248 AI250 AI1001036
    mail = message(subject="p", text="first words of the mail\r\nand more " + "x" * 400, html="<p>" + "y" * 500 + "</p>")
    body = one(mail, pref(2, 0, None, 20), version=version).find("Body")
    check(0 < len(body.get("Preview")) <= 20)
    equal(names(body)[-1], "Preview")
    body = one(mail, pref(1, 100, None, 20), version=version).find("Body")
    equal((body.find("Preview"), len(body.get("Data"))), (None, 100))
    body = one(mail, pref(1, 0, None, 12), version=version).find("Body")
    equal(body.get("Preview").strip(), "first words")


@case
def no_preview_before_14():
    body = one(message(subject="p", text="x" * 400), pref(1, 0), version="12.1").find("Body")
    check(body.find("Preview") is None)


@case
def a_body_part():      # AI120 AI126-AI129 AI188 AI256 AI255
    item = one(BOTH, pref(1, 10), pref(2, 64, None, 30, name="BodyPartPreference"))
    part = item.find("BodyPart")
    equal(names(part), ["Status", "Type", "EstimatedDataSize", "Truncated", "Data", "Preview"])
    equal((part.get("Status"), part.get("Type"), len(part.get("Data")), part.get("Truncated")), ("1", "2", 64, "1"))
    check(0 < len(part.get("Preview")) <= 30)
    equal(len(item.get("Body/Data")), 10)
    _, _, phone, inbox = fresh(BOTH)
    phone.sync_folder(inbox)
    request = phone.collection(inbox, options=opts(pref(1, name="BodyPartPreference")))
    equal(phone.post("Sync", phone.sync_request(request)).get("Status"), "164", "a type that is not served")


# --- 2.5 -------------------------------------------------------------------------------------

@cases([(str(n), str(n), size) for n, size in enumerate((0, 512, 1024, 2048, 5120, 10240, 20480, 51200, 102400, None))])
def truncation_of_2_5(code, size):
    item = one(message(subject="t", text=TEXT * 11), el("Truncation", code), version="2.5")
    cut = size is not None
    equal(len(item.get("Body", "")), size if cut else len(TEXT) * 11)
    equal(item.get("BodyTruncated"), "1" if cut else "0")
    check(abs(int(item.get("BodySize")) - len(TEXT) * 11) <= (2000 if cut else 0), item.get("BodySize"))
    check(item.find("MIMEData") is None and item.find("NativeBodyType") is None)


@case
def mime_of_2_5():
    mail = message(subject="t", text=TEXT)
    item = one(mail, el("Truncation", "1"), el("MIMETruncation", "1"), el("MIMESupport", "2"), version="2.5")
    equal((item.get("MIMESize"), item.get("MIMETruncated")), (str(len(mail)), "1"))
    equal((len(item.find("MIMEData").data), item.find("Body")), (4096, None))
    item = one(mail, el("Truncation", "1"), el("MIMESupport", "1"), version="2.5")
    equal((len(item.get("Body")), item.find("MIMEData")), (512, None))
    item = one(SIGNED, el("Truncation", "9"), el("MIMETruncation", "8"), el("MIMESupport", "1"), version="2.5")
    equal((item.find("MIMEData").data, item.get("MIMETruncated")), (SIGNED, "0"))


@case
def elements_that_2_5_knows():
    item = one(message(subject="Re: t", text="x", attachments=[("a.txt", "text/plain", b"data")]), el("Truncation", "9"),
               version="2.5")
    known = {"To", "Cc", "From", "Subject", "ReplyTo", "DateReceived", "DisplayTo", "ThreadTopic", "Importance", "Read",
             "MessageClass", "InternetCPID", "Attachments", "Body", "BodySize", "BodyTruncated"}
    equal(set(names(item)) - known, set())
    a = item.find("Attachments/Attachment")
    equal(names(a), ["AttMethod", "AttSize", "DisplayName", "AttName"])
    equal((a.get("AttMethod"), a.get("DisplayName"), a.get("AttSize")), ("1", "a.txt", "4"))


# --- facts -----------------------------------------------------------------------------------

ADDRESSED = (b"From: Bob B <bob@example.org>\r\nSender: Sec Retary <sec@example.org>\r\n"
             b"To: Ann A <a@example.org>, \"C, D\" <c@example.org>\r\nCc: e@example.org, f@example.org\r\n"
             b"Reply-To: r@example.org, s@example.org\r\nSubject: Re: AW: the topic\r\nMessage-ID: <2@x>\r\n"
             b"References: <0@x> <1@x>\r\nIn-Reply-To: <1@x>\r\nImportance: high\r\n"
             b"Date: Mon, 05 Jan 2026 10:00:00 +0100\r\n\r\nbody\r\n")


@cases([(v, v) for v in ("12.0", "12.1", "14.0", "14.1")])
def facts(version):         # EM331 EM400 EM711 EM724 EM343 EM350 EM1054 EM318 EM437
    item = one(ADDRESSED, pref(1), version=version)
    equal(item.get("From"), '"Bob B" <bob@example.org>')
    equal(item.get("To"), '"Ann A" <a@example.org>, "C, D" <c@example.org>')
    equal(item.get("Cc"), "e@example.org, f@example.org" if "\"" not in item.get("Cc") else
          '"e@example.org" <e@example.org>, "f@example.org" <f@example.org>')
    check(";" in item.get("ReplyTo") and item.get("ReplyTo").count("@") >= 2)
    equal(item.get("DisplayTo"), "Ann A; C, D")
    equal((item.get("Subject"), item.get("ThreadTopic"), item.get("Importance")), ("Re: AW: the topic", "the topic", "2"))
    equal((item.get("MessageClass"), item.get("ContentClass")), ("IPM.Note", "urn:content-classes:message"))
    check(int(item.get("InternetCPID")) > 0)
    equal(item.find("Flag").children, [])
    modern = float(version) >= 14
    for name in ("Sender", "ConversationId", "ConversationIndex", "Categories"):
        equal(item.find(name) is not None, modern, name)
    if modern:
        contains(item.get("Sender"), "sec@example.org")
        equal((len(item.find("ConversationId").data), len(item.find("ConversationIndex").data)), (16, 15))


@case
def what_is_absent_is_left_out():
    item = one(EMPTY, pref(1))
    check(item.find("Sender") is None and item.find("Cc") is None and item.find("ReplyTo") is None)
    item = one(b"From: bob@example.org\r\n\r\nx\r\n", pref(1))
    check(item.find("Subject") is None and item.find("To") is None, "empty elements")


INVITE = (b"From: bob@example.org\r\nTo: a@example.org\r\nSubject: come\r\nMIME-Version: 1.0\r\n"
          b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\ncome\r\n"
          b"--b\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n--b--\r\n")


@case
def an_invitation_is_a_mail_with_a_file():
    _, _, phone, inbox = fresh(INVITE)
    (item,) = phone.pull(inbox).values()
    equal((item.get("MessageClass"), item.get("ContentClass")), ("IPM.Note", "urn:content-classes:message"))
    check(item.find("MeetingRequest") is None)
    a = item.find("Attachments/Attachment")
    check(a is not None, "the calendar part is lost")
    reply = phone.fetch_attachment(a.get("FileReference"))
    contains(base64.b64decode(reply.get("Response/Fetch/Properties/Data")), b"VCALENDAR")


@cases([(v, v) for v in ("12.0", "14.1")])
def attachments(version):      # AI93
    inner = message(subject="inner", text="i")
    mail = message(subject="a", text="t", attachments=[("a b.txt", "text/plain", b"12345"), ("m.eml", "message/rfc822", inner)])
    item = one(mail, pref(1), version=version)
    first, second = item.all("Attachments/Attachment")
    equal(names(first)[:4], ["DisplayName", "FileReference", "Method", "EstimatedDataSize"])
    equal((first.get("DisplayName"), first.get("Method"), first.get("EstimatedDataSize")), ("a b.txt", "1", "5"))
    equal((second.get("Method"), second.find("IsInline")), ("5", None))
    check(set(first.get("FileReference")) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~"))


if __name__ == "__main__":
    main()
