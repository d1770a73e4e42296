"""The folder hierarchy, over Dovecot and over the embedded default."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import case, cases, check, equal, main, shared  # noqa: E402
from phone import WBXML  # noqa: E402
from wbxml import el, encode  # noqa: E402
from world import ImapWorld, LocalWorld  # noqa: E402

BOTH = [("imap", ImapWorld), ("local", LocalWorld)]


def names(phone):
    return sorted(f["DisplayName"] for f in phone.folders.values())


@cases(BOTH)
def the_first_sync_tells_every_folder(kind):
    phone = shared(kind).phone("alice")
    equal({f["Type"] for f in phone.folders.values()} >= {"2", "3", "4", "5"}, True, repr(phone.folders))
    equal([f["ParentId"] for f in phone.folders.values() if f["Type"] == "2"], ["0"])


@cases([("imap_" + v, ImapWorld, v) for v in ("2.5", "12.0", "12.1", "14.0", "14.1")])
def every_version_gets_them(kind, version):
    phone = shared(kind).phone("alice", version=version)
    check(phone.folder_id(type=2))


@cases(BOTH)
def unchanged_means_count_0(kind):
    phone = shared(kind).phone("alice")
    reply = phone.folder_sync()
    equal((reply.get("Status"), reply.get("Changes/Count")), ("1", "0"))
    reply = phone.folder_sync()
    equal((reply.get("Status"), reply.get("Changes/Count")), ("1", "0"))


@cases(BOTH)
def ids_are_the_same_on_two_devices_and_after_a_restart(kind):
    world = shared(kind)
    one, two = world.phone("alice"), world.phone("alice")
    equal(one.folders, two.folders)
    world.zpushd.restart()
    three = world.phone("alice")
    equal(one.folders, three.folders)
    check(all(0 < len(i) <= 64 for i in one.folders))


@cases(BOTH)
def a_folder_made_by_webmail_appears(kind):
    world = shared(kind)
    phone = world.phone("bob")
    world.create_folder("bob", "Projects")
    reply = phone.folder_sync()
    equal([a.get("DisplayName") for a in reply.all("Changes/Add")], ["Projects"])
    equal(reply.get("Changes/Count"), "1")
    equal(reply.get("Changes/Add/Type"), "12")


@cases(BOTH)
def create_rename_move_delete_by_the_phone(kind):
    world = shared(kind)
    phone, other = world.phone("carol"), world.phone("carol")
    made = phone.folder_create("Für Uwe & Co")
    equal(made.get("Status"), "1")
    folder = made.get("ServerId")
    equal(phone.folder_sync().get("Changes/Count"), "0", "the phone is told of its own folder")
    other.folder_sync()
    equal(other.folder_id("Für Uwe & Co"), folder)
    equal(phone.folder_update(folder, "Renamed").get("Status"), "1")
    equal(phone.folder_sync().get("Changes/Count"), "0")
    update = other.folder_sync()
    equal([(u.get("ServerId"), u.get("DisplayName")) for u in update.all("Changes/Update")], [(folder, "Renamed")],
          "a rename by a phone keeps the id")
    child = phone.folder_create("Child", parent=folder).get("ServerId")
    other.folder_sync()
    equal(other.folders[child]["ParentId"], folder)
    equal(phone.folder_update(child, "Child", parent="0").get("Status"), "1")
    other.folder_sync()
    equal(other.folders[child]["ParentId"], "0")
    for gone in (child, folder):
        equal(phone.folder_delete(gone).get("Status"), "1")
    other.folder_sync()
    check(folder not in other.folders and child not in other.folders)
    equal(phone.folder_sync().get("Changes/Count"), "0")


@cases(BOTH)
def errors_have_their_own_status(kind):
    phone = shared(kind).phone("dave")
    first = phone.folder_create("Twice")
    equal(first.get("Status"), "1")
    again = phone.folder_create("Twice")
    equal(again.get("Status"), "2", "it is there already")
    check(again.doc.find("SyncKey") is None and again.doc.find("ServerId") is None, "key or id in an error")
    equal(phone.folder_create("X", parent="no-such-folder").get("Status"), "5")
    equal(phone.folder_create("X", key="no-such-key").get("Status"), "9")
    inbox = phone.folder_id(type=2)
    equal(phone.folder_delete(inbox).get("Status"), "3", "special folder")
    equal(phone.folder_update(inbox, "Outbox").get("Status") in ("2", "3"), True, "special folder")
    equal(phone.folder_delete("no-such-folder").get("Status"), "4")
    equal(phone.folder_update("no-such-folder", "X").get("Status"), "4")
    equal(phone.folder_sync("no-such-key").get("Status"), "9")
    equal(phone.folder_delete(first.get("ServerId")).get("Status"), "1")


@case
def malformed_requests_are_status_10():
    phone = shared(ImapWorld).phone("dave")
    for command, tree in (("FolderCreate", el("FolderHierarchy:FolderCreate", el("SyncKey", phone.hierarchy_key))),
                          ("FolderSync", el("FolderHierarchy:FolderSync"))):
        reply = phone.post(command, tree)
        equal(reply.get("Status"), "10", command)


@cases(BOTH)
def a_lost_reply_is_repeated(kind):
    world = shared(kind)
    phone = world.phone("erin")
    key = phone.hierarchy_key
    world.create_folder("erin", "Lost")
    lost = phone.post("FolderSync", el("FolderHierarchy:FolderSync", el("SyncKey", key)))
    equal([a.get("DisplayName") for a in lost.all("Changes/Add")], ["Lost"])
    again = phone.post("FolderSync", el("FolderHierarchy:FolderSync", el("SyncKey", key)))
    equal([a.get("DisplayName") for a in again.all("Changes/Add")], ["Lost"])
    equal(again.all("Changes/Add")[0].get("ServerId"), lost.all("Changes/Add")[0].get("ServerId"))


@cases(BOTH)
def a_repeated_create_makes_one_folder(kind):
    world = shared(kind)
    phone = world.phone("erin")
    key = phone.hierarchy_key
    first = phone.folder_create("Once", key=key)
    second = phone.folder_create("Once", key=key)
    equal((second.get("Status"), second.get("ServerId")), ("1", first.get("ServerId")))
    fresh = world.phone("erin")
    equal(names(fresh).count("Once"), 1)


@case
def a_namespace_with_a_prefix():
    with ImapWorld(dovecot={"prefix": "INBOX.", "separator": "."}, store="embedded") as world:
        phone = world.phone("alice")
        inbox = phone.folder_id(type=2)
        check("Sent" in names(phone) and "INBOX.Sent" not in names(phone), repr(names(phone)))
        made = phone.folder_create("Deep").get("ServerId")
        child = phone.folder_create("er", parent=made)
        equal(child.get("Status"), "1")
        client = world.imap.imap("alice")
        found = b" ".join(client.list()[1])
        client.logout()
        check(b"INBOX.Deep.er" in found, found)
        equal(phone.folders[inbox]["ParentId"], "0")


@case
def subscribed_only_hides_the_rest():
    with ImapWorld({"imap.subscribed_only": True}, store="embedded") as world:
        client = world.imap.imap("alice")
        client.create("Seen")
        client.subscribe("Seen")
        client.create("Hidden")
        client.logout()
        got = names(world.phone("alice"))
        check("Seen" in got and "Hidden" not in got, repr(got))


@case
def without_special_use_the_usual_names_count():
    with ImapWorld(dovecot={"special_use": False, "without": ("SPECIAL-USE",)}, store="embedded") as world:
        for name in ("Sent", "Trash", "Drafts"):
            world.create_folder("alice", name)
        types = {f["DisplayName"]: f["Type"] for f in world.phone("alice").folders.values()}
        equal((types["Sent"], types["Trash"], types["Drafts"]), ("5", "4", "3"))


@case
def another_commands_body_is_refused():
    for version, want in (("12.1", 400), ("14.1", 200)):
        phone = shared(ImapWorld).phone("alice", version=version)
        reply = phone.post("FolderSync", encode(el("Ping:Ping")), content_type=WBXML)
        equal(reply.status, want)
        if want == 200:
            equal((reply.doc.name, reply.get("Status") in ("102", "103")), ("FolderHierarchy:FolderSync", True))


if __name__ == "__main__":
    main()
