"""Sync of mail, over Dovecot and over the embedded default."""
import base64
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import case, cases, check, contains, equal, main, shared  # noqa: E402
from env import message, poll  # noqa: E402
from wbxml import el  # noqa: E402
from world import ImapWorld, LocalWorld  # noqa: E402

VERSIONS = ("2.5", "12.0", "12.1", "14.0", "14.1")
_users = {}


def fresh(kind, **kw):
    """(world, user) with an empty mailbox: each case takes the next account."""
    world = shared(kind, **kw)
    taken = _users.setdefault(id(world), [])
    user = "u%02d" % len(taken)
    taken.append(user)
    return world, user


class Many:
    """Accounts u00 … for cases that need a mailbox of their own."""
    accounts = {"u%02d" % n: "secret-%d" % n for n in range(60)}


def imap_many(**kw):
    return ImapWorld(dovecot={"accounts": Many.accounts}, **kw)


class _Local(LocalWorld):
    accounts = Many.accounts


def local_many(**kw):
    return _Local(**kw)


BOTH = [("imap", imap_many), ("local", local_many)]


def collection(reply):
    return reply.doc.find("Collections/Collection")


def inbox_of(world, user, **kw):
    phone = world.phone(user, **kw)
    return phone, phone.folder_id(type=2)


# --- what comes down -----------------------------------------------------------------

@cases(BOTH)
def key_0_answers_a_key_and_no_items(kind):
    world, user = fresh(kind)
    world.fill(user, 3)
    phone, inbox = inbox_of(world, user)
    reply = phone.sync_folder(inbox)
    c = collection(reply)
    equal((c.get("Status"), c.get("CollectionId")), ("1", inbox))
    check(c.get("SyncKey") not in (None, "0", ""))
    check(c.find("Commands") is None and c.find("MoreAvailable") is None)


@cases([(k + "_" + v, f, v) for k, f in BOTH for v in VERSIONS])
def mails_come_whole_in_every_version(kind, version):
    world, user = fresh(kind)
    world.deliver(user, subject="Grüße", text="Hällo,\r\nWelt.\r\n", sender="Bob B <bob@example.org>")
    phone, inbox = inbox_of(world, user, version=version)
    (item,) = phone.pull(inbox).values()
    equal(item.get("Subject"), "Grüße")
    contains(item.get("From"), "bob@example.org")
    contains(item.get("To"), user + "@example.org")
    equal((item.get("Read"), item.get("Importance")), ("0", "1"))
    check(item.get("DateReceived").endswith("Z"))
    body = item.get("Body") if version == "2.5" else item.get("Body/Data")
    equal(body.replace("\r\n", "\n").strip(), "Hällo,\nWelt.")
    klass = item.get("MessageClass")
    equal(klass, "IPM.Note")
    if float(version) >= 14:
        check(item.find("ConversationId") is not None and item.find("Flag") is not None)


@cases(BOTH)
def windows_come_oldest_first_until_nothing_is_left(kind):
    world, user = fresh(kind)
    world.fill(user, 25)
    phone, inbox = inbox_of(world, user)
    phone.sync_folder(inbox)
    got = []
    for more in (True, True, False):
        c = collection(phone.sync_folder(inbox, window=10))
        got += [a.get("ApplicationData/Subject") for a in c.all("Commands/Add")]
        equal(c.find("MoreAvailable") is not None, more)
    equal(sorted(got), ["mail %04d" % n for n in range(1, 26)])
    reply = phone.sync_folder(inbox)
    equal((reply.status, reply.body), (200, b""), "nothing new is an empty 200")


@cases(BOTH)
def nothing_new_keeps_the_key_valid(kind):
    world, user = fresh(kind)
    world.fill(user, 1)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox)
    for _ in range(3):
        equal(phone.sync_folder(inbox).body, b"")
    world.deliver(user, subject="later")
    phone.pull(inbox)
    equal(phone.subjects(inbox), ["later", "mail 0001"])


@cases(BOTH)
def flags_and_deletes_by_webmail_come(kind):
    world, user = fresh(kind)
    world.fill(user, 3)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox)
    one, two = phone.item_with(inbox, "mail 0001"), phone.item_with(inbox, "mail 0002")
    world.set_flag(user, "mail 0001", "\\Seen")
    c = collection(phone.sync_folder(inbox))
    equal([(x.get("ServerId"), [y.tag for y in x.find("ApplicationData").children]) for x in c.all("Commands/Change")],
          [(one, ["Read"])], "exactly what changed")
    world.set_flag(user, "mail 0001", "\\Seen", sign="-")
    world.expunge(user, "mail 0002")
    c = collection(phone.sync_folder(inbox))
    equal([x.get("ServerId") for x in c.all("Commands/Delete")], [two])
    equal(phone.items[inbox][one].get("Read"), "0")


@cases(BOTH)
def a_filter_hides_and_narrowing_soft_deletes(kind):
    world, user = fresh(kind)
    world.fill(user, 2)
    world.append_many(user, [message(subject="old", date=1.6e9)], seconds=1.6e9)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox, options={"filter": 0})
    equal(phone.subjects(inbox), ["mail 0001", "mail 0002", "old"])
    old = phone.item_with(inbox, "old")
    c = collection(phone.sync_folder(inbox, options={"filter": 1}))
    equal([x.get("ServerId") for x in c.all("Commands/SoftDelete")], [old])
    equal(world.subjects(user).count("old"), 1, "a soft delete deletes nothing")
    phone.pull(inbox, options={"filter": 0})
    equal(phone.subjects(inbox), ["mail 0001", "mail 0002", "old"], "widening brings it back")


# --- what goes up ---------------------------------------------------------------------

@cases(BOTH)
def read_goes_up_and_does_not_come_back(kind):
    world, user = fresh(kind)
    world.fill(user, 2)
    phone, inbox = inbox_of(world, user)
    other, _ = inbox_of(world, user)
    phone.pull(inbox)
    other.pull(inbox)
    item = phone.item_with(inbox, "mail 0001")
    c = collection(phone.sync_folder(inbox, phone.change(item, el("Email:Read", "1"))))
    check(c.find("Responses") is None, "a Change that succeeded is silent")
    check(c.find("Commands") is None, "its own change came back")
    contains(world.flags(user, "mail 0001"), "\\Seen")
    equal(phone.sync_folder(inbox).body, b"")
    other.pull(inbox)
    equal(other.items[inbox][item].get("Read"), "1", "the second phone is told")


@cases(BOTH)
def a_flag_goes_up(kind):
    world, user = fresh(kind)
    world.fill(user, 1)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox)
    item = phone.item_with(inbox, "mail 0001")
    flag = el("Email:Flag", el("Status", "2"), el("FlagType", "for Follow Up"))
    c = collection(phone.sync_folder(inbox, phone.change(item, flag)))
    equal(c.get("Status"), "1")
    contains(world.flags(user, "mail 0001"), "\\Flagged")
    phone.sync_folder(inbox, phone.change(item, el("Email:Flag")))
    equal("\\Flagged" in world.flags(user, "mail 0001"), False)


@cases([(k + "_" + n, f, m, w) for k, f in BOTH for n, m, w in (("to_trash", "1", 1), ("for_good", "0", 0))])
def a_delete_goes(kind, as_moves, in_trash):
    world, user = fresh(kind)
    world.fill(user, 2)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox)
    item = phone.item_with(inbox, "mail 0001")
    reply = phone.sync_folder(inbox, phone.delete(item), deletes_as_moves=as_moves)
    check(collection(reply).find("Commands") is None, "its own delete came back")
    equal(world.subjects(user), ["mail 0002"])
    trash = phone.folder_id(type=4)
    phone.pull(trash)
    equal(len(phone.items[trash]), in_trash)


@cases(BOTH)
def unknown_things_have_their_status(kind):
    world, user = fresh(kind)
    world.fill(user, 1)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox)
    c = collection(phone.sync_folder(inbox, phone.fetch("no-such-item"), phone.change("no-such-item", el("Email:Read", "1"))))
    equal([r.get("Status") for r in c.all("Responses/Fetch") + c.all("Responses/Change")], ["8", "8"])
    c = collection(phone.sync_folder(inbox, key="1{no-such-key}9", options=None))
    equal(c.get("Status"), "3")
    c = collection(phone.sync(phone.collection("no-such-folder", key="0")))
    equal(c.get("Status"), "12")


# --- bodies ---------------------------------------------------------------------------------

@cases(BOTH)
def truncation_is_exact_and_size_is_whole(kind):
    world, user = fresh(kind)
    text = "0123456789" * 200 + "\r\n"
    world.deliver(user, subject="long", text=text)
    phone, inbox = inbox_of(world, user)
    (item,) = phone.pull(inbox, options={"type": 1, "size": 500}).values()
    equal((len(item.get("Body/Data")), item.get("Body/Truncated")), (500, "1"))
    check(2000 <= int(item.get("Body/EstimatedDataSize")) <= 2002)
    whole = phone.fetch_item(inbox, phone.item_with(inbox, "long"))
    equal(whole.get("Status"), "1")
    body = whole.doc.find("Response/Fetch/Properties/Body")
    equal(body.get("Data").strip(), text.strip())
    check(body.get("Truncated") in (None, "0"))


@cases([("text", 1, "bold"), ("html", 2, "<b>bold</b>")])
def the_type_asked_for_is_given(type, part):
    world, user = fresh(imap_many)
    world.deliver(user, subject="both", text="plain bold\r\n", html="<html><body><b>bold</b></body></html>")
    phone, inbox = inbox_of(world, user)
    (item,) = phone.pull(inbox, options={"type": type}).values()
    equal(item.get("Body/Type"), str(type))
    contains(item.get("Body/Data"), part)


@case
def html_alone_turns_into_text():
    world, user = fresh(imap_many)
    mail = (b"From: bob@example.org\r\nTo: a@example.org\r\nSubject: html\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: text/html; charset=iso-8859-1\r\n\r\n<p>f\xfcr <b>Uwe</b></p><script>no()</script>\r\n")
    world.append_many(user, [mail])
    phone, inbox = inbox_of(world, user)
    (item,) = phone.pull(inbox, options={"type": 1}).values()
    equal((item.get("Body/Type"), item.get("Body/Data").strip()), ("1", "für Uwe"))
    equal(item.get("NativeBodyType"), "2")


@case
def mime_comes_as_it_is():
    world, user = fresh(imap_many)
    mail = message(subject="mime", text="body äöü\r\n", attachments=[("a.bin", "application/octet-stream", bytes(range(256)))])
    world.append_many(user, [mail])
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox)
    whole = phone.fetch_item(inbox, phone.item_with(inbox, "mime"), type=4, mime=2)
    data = whole.doc.find("Response/Fetch/Properties/Body/Data").data
    equal(data, mail)


@case
def preview_and_all_or_none():
    world, user = fresh(imap_many)
    world.deliver(user, subject="p", text="x" * 1000 + "\r\n")
    phone, inbox = inbox_of(world, user)
    (item,) = phone.pull(inbox, options={"type": 2, "size": 100, "all_or_none": "1", "preview": 50}).values()
    check(len(item.get("Body/Preview", "")) <= 50)
    check(not item.get("Body/Data"), "AllOrNone gave a part")


@cases([(v, v) for v in ("2.5", "12.1", "14.1")])
def attachments_are_listed_and_fetched(version):
    world, user = fresh(imap_many)
    data = os.urandom(70000)
    world.deliver(user, subject="att", attachments=[("Rücksicht (1).bin", "application/x-thing", data), ("b.txt", "text/plain", b"hi")])
    phone, inbox = inbox_of(world, user, version=version)
    (item,) = phone.pull(inbox).values()
    one, two = item.all("Attachments/Attachment")
    equal([one.get("DisplayName"), two.get("DisplayName")], ["Rücksicht (1).bin", "b.txt"])
    if version == "2.5":
        reply = phone.get_attachment(one.get("AttName"))
        equal((reply.status, reply.headers["Content-Type"]), (200, "application/x-thing"))
        equal(reply.body, data)
        return
    if float(version) < 14:     # later versions have ItemOperations for it
        equal(phone.get_attachment(one.get("FileReference")).body, data)
    reply = phone.fetch_attachment(one.get("FileReference"))
    equal((reply.get("Status"), reply.get("Response/Fetch/Status")), ("1", "1"))
    equal(base64.b64decode(reply.doc.find("Response/Fetch/Properties/Data").text), data)
    reply = phone.fetch_attachment(one.get("FileReference"), headers={"MS-ASAcceptMultiPart": "T"})
    equal(reply.headers["Content-Type"], "application/vnd.ms-sync.multipart")
    contains(reply.body, data)


# --- keys, replay, requests as a whole --------------------------------------------------------

@cases(BOTH)
def a_lost_reply_is_sent_again(kind):
    world, user = fresh(kind)
    world.fill(user, 5)
    phone, inbox = inbox_of(world, user)
    phone.sync_folder(inbox)
    lost = phone.sync(phone.collection(inbox, window=3), apply=False)
    again = phone.sync(phone.collection(inbox, window=3))
    equal(sorted(a.get("ServerId") for a in lost.all("Collections/Collection/Commands/Add")),
          sorted(a.get("ServerId") for a in again.all("Collections/Collection/Commands/Add")))
    phone.pull(inbox)
    equal(len(phone.items[inbox]), 5)


@cases(BOTH)
def a_repeated_delete_and_change_are_done_once(kind):
    world, user = fresh(kind)
    world.fill(user, 3)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox)
    commands = [phone.delete(phone.item_with(inbox, "mail 0001")),
                phone.change(phone.item_with(inbox, "mail 0002"), el("Email:Read", "1"))]
    for apply in (False, True):
        reply = phone.sync(phone.collection(inbox, *commands, deletes_as_moves="1"), apply=apply)
        equal(collection(reply).get("Status"), "1")
    equal(sorted(world.subjects(user)), ["mail 0002", "mail 0003"])
    trash = phone.folder_id(type=4)
    phone.pull(trash)
    equal(len(phone.items[trash]), 1, "the trash holds it twice")


@cases(BOTH)
def an_old_key_is_refused(kind):
    world, user = fresh(kind)
    world.fill(user, 2)
    phone, inbox = inbox_of(world, user)
    phone.sync_folder(inbox)
    old = phone.keys[inbox]
    for n in range(3):
        world.deliver(user, subject="n%d" % n)
        phone.pull(inbox)
    equal(collection(phone.sync(phone.collection(inbox, key=old), apply=False)).get("Status"), "3")


@case
def errors_of_the_request_stand_alone():
    world, user = fresh(imap_many)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox)
    c = phone.collection
    rows = [
        ("wait and heartbeat", phone.sync_request(c(inbox), wait=1, heartbeat=60), "4", None),
        ("wait 0", phone.sync_request(c(inbox), wait=0), "14", "1"),
        ("wait 60", phone.sync_request(c(inbox), wait=60), "14", "59"),
        ("heartbeat 59", phone.sync_request(c(inbox), heartbeat=59), "14", "60"),
        ("heartbeat 3541", phone.sync_request(c(inbox), heartbeat=3541), "14", "3540"),
        ("filter 8", phone.sync_request(c(inbox, options={"filter": 8})), "4", None),
        ("no collection id", phone.sync_request(el("AirSync:Collection", el("SyncKey", "0"))), "4", None),
    ]
    for name, request, status, limit in rows:
        reply = phone.post("Sync", request)
        equal((reply.get("Status"), reply.get("Limit")), (status, limit), name)
        check(reply.doc.find("Collections") is None, name)


@case
def an_empty_request_repeats_the_last():
    world, user = fresh(imap_many)
    world.fill(user, 1)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox)
    stranger = world.phone(user)
    equal(stranger.post("Sync").get("Status"), "13", "nothing remembered")
    phone.sync(phone.collection(inbox), wait=None)
    world.deliver(user, subject="for the empty one")
    reply = phone.post("Sync")
    phone.apply(reply)
    equal(phone.subjects(inbox), ["for the empty one", "mail 0001"])


@cases(BOTH)
def an_estimate_counts_what_a_sync_brings(kind):
    world, user = fresh(kind)
    world.fill(user, 7)
    phone, inbox = inbox_of(world, user)
    phone.sync_folder(inbox)
    reply = phone.estimate(inbox)
    equal((reply.get("Response/Status"), reply.get("Response/Collection/Estimate")), ("1", "7"))
    phone.pull(inbox)
    equal(phone.estimate(inbox).get("Response/Collection/Estimate"), "0")
    equal(phone.estimate(inbox, key="1{none}1").get("Response/Status"), "4")
    equal(phone.estimate("no-such-folder", key="1{none}1").get("Response/Status"), "2")


@cases(BOTH)
def a_move_keeps_the_mail(kind):
    world, user = fresh(kind)
    world.fill(user, 2)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox)
    target = phone.folder_create("Target").get("ServerId")
    item = phone.item_with(inbox, "mail 0001")
    moved = phone.move([(item, inbox, target)])
    equal((moved.get("Response/SrcMsgId"), moved.get("Response/Status")), (item, "3"))
    again = phone.move([(item, inbox, target)])
    equal((again.get("Response/Status"), again.get("Response/DstMsgId")), ("3", moved.get("Response/DstMsgId")),
          "a repeated move finds what the first one did")
    equal(world.subjects(user, "Target"), ["mail 0001"])
    phone.pull(target)
    equal(list(phone.items[target]), [moved.get("Response/DstMsgId")])
    rows = [("no-such-item", inbox, target, "1"), (item, "no-such-folder", target, "1"),
            (phone.item_with(inbox, "mail 0002"), inbox, "no-such-folder", "2"),
            (phone.item_with(inbox, "mail 0002"), inbox, inbox, "4")]
    for item, source, to, status in rows:
        equal(phone.move([(item, source, to)]).get("Response/Status"), status, "%s -> %s" % (source, to))


@cases(BOTH)
def state_survives_a_restart(kind):
    world, user = fresh(kind)
    world.fill(user, 3)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox)
    world.zpushd.restart()
    phone.hang_up()
    equal(phone.sync_folder(inbox).body, b"")
    world.deliver(user, subject="after")
    phone.pull(inbox)
    equal(len(phone.items[inbox]), 4)


@cases([("condstore", ("CONDSTORE", "QRESYNC")), ("move", ("MOVE",)), ("uidplus", ("UIDPLUS", "MOVE")),
        ("everything", ("CONDSTORE", "QRESYNC", "MOVE", "UIDPLUS", "NOTIFY", "ESEARCH", "LIST-STATUS", "SPECIAL-USE",
                        "LIST-EXTENDED", "ENABLE", "BINARY", "LITERAL+", "NAMESPACE"))])
def it_does_without(words):
    with ImapWorld(dovecot={"without": words}, store="embedded") as world:
        world.fill("alice", 4)
        phone, inbox = inbox_of(world, "alice")
        phone.pull(inbox)
        equal(len(phone.items[inbox]), 4)
        world.set_flag("alice", "mail 0003", "\\Seen")
        world.expunge("alice", "mail 0004")
        phone.pull(inbox)
        equal(phone.subjects(inbox), ["mail 0001", "mail 0002", "mail 0003"])
        equal(phone.items[inbox][phone.item_with(inbox, "mail 0003")].get("Read"), "1")
        phone.sync_folder(inbox, phone.delete(phone.item_with(inbox, "mail 0001")), deletes_as_moves="1")
        equal(world.subjects("alice"), ["mail 0002", "mail 0003"])
        equal(world.subjects("alice", "Trash"), ["mail 0001"])
        target = phone.folder_create("Target").get("ServerId")
        equal(phone.move([(phone.item_with(inbox, "mail 0002"), inbox, target)]).get("Response/Status"), "3")
        equal(world.subjects("alice", "Target"), ["mail 0002"])


@cases([("imap", imap_many)])
def a_thousand_mails_arrive_once(kind):
    world, user = fresh(kind)
    world.fill(user, 1000)
    phone, inbox = inbox_of(world, user)
    phone.pull(inbox, window=100)
    equal(phone.subjects(inbox), ["mail %04d" % n for n in range(1, 1001)])
    equal(phone.sync_folder(inbox).body, b"")


@cases([(v, v) for v in VERSIONS])
def a_mail_is_sent_and_kept(version):
    world, user = fresh(imap_many, smtp=True)
    phone, inbox = inbox_of(world, user, version=version)
    mail = message(subject="sent by %s" % version, sender=user + "@example.org", to="u59@example.org")
    reply = phone.send_mail(mail)
    equal((reply.status, reply.body), (200, b""))
    poll(lambda: "sent by " + version in (world.subjects("u59") or []), what="delivery")
    sent = phone.folder_id(type=5)
    phone.pull(sent)
    equal(phone.subjects(sent), ["sent by %s" % version])


if __name__ == "__main__":
    main()
