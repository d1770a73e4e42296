"""What a command may cost: at most two round trips to the store (load with the claim,
commit with its end), a third where something is remembered before it is done for good
(a crash in between must find it: MoveItems, SendMail); to the mail server two a window
of a first Sync and one more for the first (it learns the UIDs), one for a Sync that
finds nothing, none when the change counter vouches for it."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import case, check, main, shared  # noqa: E402
from env import DOMAIN, message  # noqa: E402
from wbxml import el  # noqa: E402
from world import ImapWorld  # noqa: E402

STORE, BACKEND = "zpushd_store_round_trips_total", "zpushd_backend_round_trips_total"


class Hooked(ImapWorld):
    """The counter is promised to move with every change."""

    def __init__(self):
        super().__init__({"push.sources": ["hook"]}, smtp=False)


class Unhooked(ImapWorld):
    def __init__(self):
        super().__init__({"push.sources": ["idle"]}, smtp=False)


def cost(world, function, metric=STORE):
    before = world.zpushd.metric(metric)
    result = function()
    return world.zpushd.metric(metric) - before, result


def at_most(world, limit, name, function, metric=STORE):
    spent, result = cost(world, function, metric)
    check(spent <= limit, "%s took %d round trips, %d are allowed (%s)" % (name, spent, limit, metric))
    return result


def synced(world, user, count):
    world.fill(user, count)
    phone = world.phone(user)
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    return phone, inbox


@case
def two_round_trips_to_the_store_for_any_command():
    world = shared(Hooked)
    phone, inbox = synced(world, "alice", 5)
    trash = phone.folder_id(type=4)
    phone.pull(trash)
    item = next(iter(phone.items[inbox]))
    for name, command in (
            ("OPTIONS", phone.options), ("FolderSync", phone.folder_sync),
            ("Sync", lambda: phone.sync_folder(inbox, get_changes="1")),
            ("Sync with a change", lambda: phone.sync_folder(inbox, phone.change(item, el("Email:Read", "1")))),
            ("Sync of two folders", lambda: phone.sync(phone.collection(inbox), phone.collection(trash))),
            ("GetItemEstimate", lambda: phone.estimate(inbox)),
            ("FolderCreate", lambda: phone.folder_create("made here"))):
        at_most(world, 2, name, command)
    at_most(world, 3, "MoveItems", lambda: phone.move([(item, inbox, trash)]))


@case
def two_round_trips_to_the_store_for_a_ping():
    world = shared(Hooked)
    phone, inbox = synced(world, "carol", 1)
    before = world.zpushd.metric(STORE)
    parked = phone.ping([inbox], heartbeat=300, wait=False)
    while world.zpushd.metric("zpushd_parked") < 1:
        check(not parked.done(), "the Ping was answered")
    first = world.zpushd.metric(STORE) - before
    check(first <= 2, "a first Ping took %d" % first)
    phone.ping([inbox], heartbeat=300, wait=False)
    parked.result(10)       # a newer Ping ends the older
    again = world.zpushd.metric(STORE) - before - first
    check(again <= 2, "a re-Ping took %d" % again)


@case
def two_round_trips_to_the_mail_server_a_window():
    world = shared(Hooked)
    world.fill("bob", 60)
    phone = world.phone("bob")
    inbox = phone.folder_id(type=2)
    phone.sync_folder(inbox)
    for n in range(3):
        at_most(world, 2 if n else 3, "window %d" % n, lambda: phone.sync_folder(inbox, window=20, get_changes="1"), BACKEND)
    check(len(phone.items[inbox]) == 60)


@case
def none_when_the_counter_did_not_move():
    world = shared(Hooked)
    phone, inbox = synced(world, "dave", 3)
    phone.sync_folder(inbox, get_changes="1")
    at_most(world, 0, "a Sync without changes", lambda: phone.sync_folder(inbox, get_changes="1"), BACKEND)


@case
def one_when_nobody_vouches():
    world = shared(Unhooked)
    phone, inbox = synced(world, "erin", 3)
    phone.sync_folder(inbox, get_changes="1")
    spent, _ = cost(world, lambda: phone.sync_folder(inbox, get_changes="1"), BACKEND)
    check(spent == 1, "a Sync without changes took %d round trips" % spent)
    world.deliver("erin", message(subject="new", to="erin@" + DOMAIN))
    phone.sync_folder(inbox, get_changes="1")
    check("new" in phone.subjects(inbox))


if __name__ == "__main__":
    main()
