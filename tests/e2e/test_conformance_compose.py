"""SendMail, SmartReply and SmartForward against the requirement tables, on the
embedded default: what is sent lands in a mailbox of the same server."""
import email
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import case, cases, check, contains, equal, main, shared  # noqa: E402
from env import message, poll  # noqa: E402
from wbxml import el  # noqa: E402
from world import LocalWorld  # noqa: E402

VERSIONS = [(v, v) for v in ("2.5", "12.0", "12.1", "14.0", "14.1")]
MODERN = [(v, v) for v in ("14.0", "14.1")]
_taken = []


class World(LocalWorld):
    accounts = {"u%02d" % n: "secret-%d" % n for n in range(99)}


def pair(*mails, version="14.1"):
    """(world, phone, inbox, user, receiver)"""
    world = shared(World)
    user, receiver = ("u%02d" % (len(_taken) + n) for n in (0, 1))
    _taken.extend((user, receiver))
    world.append_many(user, list(mails))
    phone = world.phone(user, version=version)
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    return world, phone, inbox, user, receiver


def received(world, user, subject):
    """The mail with this subject, parsed."""
    poll(lambda: subject in (world.subjects(user) or []), what="delivery of " + subject)
    with open(world._file(user, subject, "INBOX"), "rb") as f:
        return email.message_from_binary_file(f)


def draft(subject, user, to, text="new words\r\n", **kw):
    return message(subject=subject, sender="Forged <someone@elsewhere.example>", to=to + "@example.org", text=text, **kw)


def leaves(mail):
    return [(p.get_content_type(), p.get_filename()) for p in mail.walk() if not p.is_multipart()]


def text_of(mail):
    return "".join(p.get_payload(decode=True).decode(errors="replace") for p in mail.walk()
                   if p.get_content_maintype() == "text" and not p.get_filename())


def ok(reply):
    equal((reply.status, reply.body), (200, b""))


@cases([(v + "_" + ("kept" if s else "not_kept"), v, s) for v, _ in VERSIONS for s in (True, False)])
def a_mail_goes_out(version, save):         # R443 R448 R463 H121 H122 H437
    world, phone, _, user, to = pair(version=version)
    ok(phone.send_mail(draft("hello", user, to), save=save))
    mail = received(world, to, "hello")
    contains(mail["From"], user + "@example.org")
    check("elsewhere" not in mail["From"] and mail["Message-ID"] and mail["Date"])
    sent = [f for f, d in phone.folders.items() if d["Type"] == "5"]
    equal(len(phone.pull(sent[0])) if sent else 0, int(save))


@case
def ones_own_address_keeps_its_name():
    world, phone, _, user, to = pair()
    ok(phone.send_mail(message(subject="named", sender="Al Ice <%s@example.org>" % user, to=to + "@example.org")))
    contains(received(world, to, "named")["From"], "Al Ice")


@case
def bcc_is_told_to_nobody_but_ones_own_copy():
    world, phone, _, user, to = pair()
    mail = draft("secret", user, to).replace(b"Subject:", b"Bcc: " + to.encode() + b"@example.org\r\nSubject:", 1)
    ok(phone.send_mail(mail))
    equal(received(world, to, "secret")["Bcc"], None)


@cases(MODERN)
def a_client_id_counts_once(version):           # R4848
    world, phone, _, user, to = pair(version=version)
    mail = draft("once", user, to)
    ok(phone.send_mail(mail, client_id="same"))
    ok(phone.send_mail(mail, client_id="same"))         # its answer got lost
    equal(phone.send_mail(draft("other", user, to), client_id="same").get("Status"), "118")
    received(world, to, "once")
    equal(world.subjects(to), ["once"])


ORIGINAL = dict(subject="original", text="old words\r\n", html="<p>old <b>words</b></p>",
                attachments=[("data.bin", "application/x-thing", b"\0\1\2" * 100)])


def original(sender):
    return message(sender=sender + "@example.org", **ORIGINAL)


@cases(VERSIONS)
def a_forward_carries_the_original(version):        # R532 R545 R568
    world, phone, inbox, user, to = pair(original("bob"), version=version)
    item = phone.item_with(inbox, "original")
    ok(phone.smart_forward(draft("Fwd: original", user, to), inbox, item))
    mail = received(world, to, "Fwd: original")
    contains(text_of(mail), "new words")
    contains(text_of(mail), "old words")
    check(("application/x-thing", "data.bin") in leaves(mail), repr(leaves(mail)))
    data = [p for p in mail.walk() if p.get_filename() == "data.bin"][0]
    equal(data.get_payload(decode=True), b"\0\1\2" * 100)


@cases(VERSIONS)
def a_reply_quotes_the_original(version):       # R569 R580 R605
    world, phone, inbox, user, to = pair(original("bob"), version=version)
    item = phone.item_with(inbox, "original")
    ok(phone.smart_reply(draft("Re: original", user, to), inbox, item))
    mail = received(world, to, "Re: original")
    contains(text_of(mail), "new words")
    contains(text_of(mail), "old words")
    check(("application/x-thing", "data.bin") not in leaves(mail), "a reply takes no files along")
    equal("\\Answered" in world.flags(user, "original"), True)


@cases([(v + "_" + c, v, c) for v, _ in MODERN for c in ("smart_reply", "smart_forward")])
def replace_mime_leaves_the_original_out(version, command):        # R3775
    world, phone, inbox, user, to = pair(original("bob"), version=version)
    item = phone.item_with(inbox, "original")
    ok(getattr(phone, command)(draft("replaced", user, to), inbox, item, replace=True))
    mail = received(world, to, "replaced")
    check("old words" not in text_of(mail) and len(leaves(mail)) == 1, repr(leaves(mail)))


@cases([(c, c, verb) for c, verb in (("smart_reply", "1"), ("smart_forward", "3"))])
def the_last_verb_is_told(command, verb):       # EM510 EM516 EM518 EM523
    world, phone, inbox, user, to = pair(original("bob"))
    other = world.phone(user)
    other.pull(inbox)
    item = phone.item_with(inbox, "original")
    ok(getattr(phone, command)(draft("verb", user, to), inbox, item))
    for p in (phone, other):
        p.pull(inbox)
        got = p.items[inbox][item]
        equal(got.get("LastVerbExecuted"), verb)
        check(got.get("LastVerbExecutionTime", "").endswith("Z"))


@case
def a_mail_that_is_gone():      # R4930
    world, phone, inbox, user, to = pair(original("bob"))
    item = phone.item_with(inbox, "original")
    world.expunge(user, "original")
    equal(phone.smart_reply(draft("x", user, to), inbox, item).get("Status"), "150")
    phone.version = "12.1"
    equal(phone.smart_forward(draft("y", user, to), inbox, item).status, 404)
    equal(world.subjects(to), None) if world.subjects(to) is None else equal(world.subjects(to), [])


@cases([("12.1", "12.1"), ("2.5", "2.5")])
def the_base64_line_sends_too(version):      # H92 H116 H117 H517
    world = shared(World)
    user, to = ("u%02d" % (len(_taken) + n) for n in (0, 1))
    _taken.extend((user, to))
    world.append_many(user, [original("bob")])
    phone = world.phone(user, version=version, base64_line=True)
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    ok(phone.smart_forward(draft("b64", user, to), inbox, phone.item_with(inbox, "original")))
    contains(text_of(received(world, to, "b64")), "old words")
    sent = phone.folder_id(type=5)
    equal(len(phone.pull(sent)), 1)


if __name__ == "__main__":
    main()
