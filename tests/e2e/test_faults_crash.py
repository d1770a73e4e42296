"""The four named crash points in the real process: it dies between what it did
at the mailbox and what it wrote to the store, is started again, and the phone
repeats its request, as phones do. Nothing twice, nothing lost."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import SLOW, case, cases, check, equal, main, shared  # noqa: E402
from env import message, poll  # noqa: E402
from wbxml import el  # noqa: E402
from world import ImapWorld, LocalWorld  # noqa: E402

BOTH = [("imap", lambda: shared(ImapWorld, smtp=True)), ("local", lambda: shared(LocalWorld))]


def dies(world, point, act):
    """Runs act() on a server that dies at the point; it is up again afterwards."""
    server = world.zpushd
    server.stop()
    server.env["ZPUSH_CRASH_POINT"] = point
    server.start()
    process = server.process
    del server.env["ZPUSH_CRASH_POINT"]
    try:
        reply = act()
    except OSError:
        reply = None
    check(reply is None, "it answered %r" % reply)
    equal(process.wait(10 * SLOW), -9, "it should have died at " + point)
    server.kill()
    check(server.log_lines("crash_point", point), "the point was not the cause")
    server.start()


def user_folder(phone, name):
    reply = phone.folder_create(name)
    equal(reply.get("Status"), "1")
    phone.folders[reply.get("ServerId")] = {"DisplayName": name, "ParentId": "0", "Type": "12"}
    return reply.get("ServerId")


def again(world, phone):
    """The same device after all: what a fresh look finds must be what it has."""
    other = world.phone(phone.user, password=phone.password)
    return other


def same_view(world, phone, folder):
    """The phone's mirror, a fresh phone's and the mailbox hold the same subjects."""
    phone.pull(folder)
    fresh = again(world, phone)
    fresh.pull(folder)
    equal(phone.subjects(folder), fresh.subjects(folder))
    return phone.subjects(folder)


@cases(BOTH)
def delete_and_change(make):
    w = make()
    w.deliver("alice", subject="to delete")
    w.deliver("alice", subject="to change")
    phone = w.phone("alice")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    gone, read = phone.item_with(inbox, "to delete"), phone.item_with(inbox, "to change")
    bin_before = w.subjects("alice", "Trash") or []
    request = phone.sync_request(phone.collection(
        inbox, phone.delete(gone), phone.change(read, el("Email:Read", "1")), get_changes="1", deletes_as_moves="1"))
    dies(w, "delete_change", lambda: phone.post("Sync", request))
    del phone.items[inbox][gone]
    reply = phone.post("Sync", request)
    equal(reply.get("Collections/Collection/Status"), "1", repr(reply))
    for status in reply.all("Collections/Collection/Responses/Change/Status"):
        equal(status.text, "1")
    phone.apply(reply)
    check("to delete" not in w.subjects("alice"))
    check("\\Seen" in w.flags("alice", "to change"))
    equal(sorted((w.subjects("alice", "Trash") or [])), sorted(bin_before + ["to delete"]))
    equal(same_view(w, phone, inbox), sorted(w.subjects("alice")))
    trash = phone.folder_id(type=4)
    phone.pull(trash)
    equal(phone.subjects(trash), sorted(w.subjects("alice", "Trash")))


@cases(BOTH)
def sendmail_with_a_copy(make):
    w = make()
    phone = w.phone("alice")
    sent = phone.folder_id(type=5)
    phone.pull(sent)
    before = (w.subjects("alice", "Sent") or []).count("sent once")
    mail = message(subject="sent once", sender="alice@example.org", to="bob@example.org")
    dies(w, "sendmail", lambda: phone.send_mail(mail, client_id="crash-copy"))
    reply = phone.send_mail(mail, client_id="crash-copy")
    equal((reply.status, reply.body), (200, b""))
    poll(lambda: "sent once" in (w.subjects("bob") or []), 10 * SLOW, what="the mail")
    reply = phone.send_mail(mail, client_id="crash-copy")
    equal((reply.status, reply.body), (200, b""))
    equal((w.subjects("alice", "Sent") or []).count("sent once"), before + 1)
    # the copy in Sent says that it went out: bob has it once
    equal(w.subjects("bob").count("sent once"), 1)
    phone.pull(sent)
    equal(phone.subjects(sent).count("sent once"), 1)


@cases(BOTH)
def sendmail_without_a_copy(make):
    """SMTP has no transaction: sent again, with the same Message-ID."""
    w = make()
    phone = w.phone("alice")
    mail = message(subject="at least once", sender="alice@example.org", to="bob@example.org")
    dies(w, "sendmail", lambda: phone.send_mail(mail, client_id="crash-none", save=False))
    reply = phone.send_mail(mail, client_id="crash-none", save=False)
    equal((reply.status, reply.body), (200, b""))
    bob = w.phone("bob")
    inbox = bob.folder_id(type=2)
    poll(lambda: w.subjects("bob").count("at least once") in (1, 2), 10 * SLOW, what="the mail")
    bob.pull(inbox)
    ids = set()
    for item, data in bob.items[inbox].items():
        if data.get("Subject") == "at least once":
            text = bob.fetch_item(inbox, item, type=4, mime=2).get("Response/Fetch/Properties/Body/Data")
            ids |= {line for line in text.splitlines() if line.lower().startswith("message-id:")}
    equal(len(ids), 1, "receivers cannot tell that it is the same: %r" % ids)


@cases(BOTH)
def moveitems(make):
    w = make()
    for n in range(3):
        w.deliver("alice", subject="to move %d" % n)
    w.deliver("alice", subject="stays")
    phone = w.phone("alice")
    inbox, target = phone.folder_id(type=2), user_folder(phone, "moved-" + phone.device_id)
    name = phone.folders[target]["DisplayName"]
    phone.pull(inbox)
    phone.pull(target)
    moves = [(phone.item_with(inbox, "to move %d" % n), inbox, target) for n in range(3)]
    dies(w, "moveitems", lambda: phone.move(moves))
    reply = phone.move(moves)
    equal([r.get("Status") for r in reply.all("Response")], ["3"] * 3, repr(reply))
    new = [r.get("DstMsgId") for r in reply.all("Response")]
    equal(len(set(new)), 3)
    equal(sorted(w.subjects("alice", name)), ["to move 0", "to move 1", "to move 2"])
    equal([s for s in w.subjects("alice") if s.startswith("to move")], [])
    for (item, _, _), there in zip(moves, new):     # what a phone does on success
        phone.items[target][there] = phone.items[inbox].pop(item)
    phone.pull(inbox)       # no Delete for what it moved itself, no Add of what it holds
    phone.pull(target)
    equal(phone.subjects(target), ["to move 0", "to move 1", "to move 2"])
    equal(phone.subjects(inbox), sorted(w.subjects("alice")))


@cases(BOTH)
def foldercreate(make):
    w = make()
    phone = w.phone("alice")
    name = "created-" + phone.device_id
    key = phone.hierarchy_key
    dies(w, "foldercreate", lambda: phone.folder_create(name))
    phone.hierarchy_key = key
    reply = phone.folder_create(name)
    equal(reply.get("Status"), "1", repr(reply))
    folder = reply.get("ServerId")
    again = phone.folder_sync()
    equal(again.get("Status"), "1")
    equal(again.get("Changes/Count"), "0", "its own folder came back: %r" % again)
    fresh = w.phone("alice")
    equal([i for i, f in fresh.folders.items() if f["DisplayName"] == name], [folder])
    phone.folders[folder] = {"DisplayName": name, "ParentId": "0", "Type": "12"}
    w.append_many("alice", [message(subject="in the new one")], name)
    phone.pull(folder)
    equal(phone.subjects(folder), ["in the new one"])
    equal(phone.folder_create(name).get("Status"), "2")


if __name__ == "__main__":
    main()
