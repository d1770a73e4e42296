"""Two servers on one Redis and one mail server: a phone may talk to either at
any time, and nothing is lost, doubled or kept from it."""
import os
import random
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import SLOW, case, check, equal, main, shared  # noqa: E402
from env import message, poll, scratch  # noqa: E402
from wbxml import el  # noqa: E402
from world import ImapWorld  # noqa: E402
from zpushd import Zpushd  # noqa: E402

QUICK = {"push.heartbeat_min": "1s", "push.min_interval": "0s"}


class Fleet(ImapWorld):
    """zpushd is server A, b the other one."""

    def start_zpushd(self, settings):
        secret = os.path.join(scratch(), "fleet-secret")
        with open(secret, "w") as f:
            f.write("f1ee7" * 10)
        os.chmod(secret, 0o600)
        settings = dict(settings, **QUICK, **{"auth.secret_file": secret})
        super().start_zpushd(settings)
        self.b = self.stack.enter_context(Zpushd(dict(settings, **self.settings)))


def fleet():
    return shared(Fleet, smtp=True)


def to(phone, server):
    """From here on the phone talks to that server."""
    phone.hang_up()
    phone.url = urllib.parse.urlsplit(server.url)


def parked(server, phone, count=1):
    """Waits until that many Pings of the device are parked at the server."""
    poll(lambda: len(server.log_lines("cmd=Ping", "dev=" + phone.device_id, "verdict=park")) >= count, 10 * SLOW,
         what="the Ping parked")


def admin(server, *words):
    return subprocess.run([server.binary, "-c", server.config, "admin", *words], capture_output=True, text=True,
                          timeout=30 * SLOW, env=server.env)


@case
def a_phone_changes_the_server_between_any_two_requests():
    w = fleet()
    rng = random.Random(11)
    w.fill("alice", 12)
    phone = w.bare_phone("alice")
    both = (w.zpushd, w.b)

    def hop():
        to(phone, rng.choice(both))

    original = phone.post

    def post(*args, **kw):
        hop()
        return original(*args, **kw)
    phone.post = post
    phone.provision()
    phone.folder_sync()
    inbox = phone.folder_id(type=2)
    phone.pull(inbox, window=3)
    equal(phone.subjects(inbox), sorted(w.subjects("alice")))
    for n in range(8):
        w.deliver("alice", subject="hop %d" % n)
        item = sorted(phone.items[inbox])[n]
        phone.sync_folder(inbox, phone.change(item, el("Email:Read", "1")), get_changes="1")
        phone.pull(inbox, window=2)
        equal(phone.subjects(inbox), sorted(w.subjects("alice")))
    for item in sorted(phone.items[inbox])[:4]:
        phone.sync_folder(inbox, phone.delete(item), get_changes="0", deletes_as_moves="0")
        phone.items[inbox].pop(item)
        phone.pull(inbox)
    equal(phone.subjects(inbox), sorted(w.subjects("alice")))
    equal(phone.folder_sync().get("Changes/Count"), "0")


@case
def the_other_server_takes_over_after_a_lost_reply():
    w = fleet()
    w.fill("bob", 6)
    phone = w.phone("bob")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    for n in range(6):
        here, there = (w.zpushd, w.b) if n % 2 else (w.b, w.zpushd)
        w.deliver("bob", subject="lost %d" % n)
        gone = sorted(phone.items[inbox])[0]
        request = phone.sync_request(phone.collection(inbox, phone.delete(gone), get_changes="1", deletes_as_moves="0"))
        to(phone, here)
        first = phone.post("Sync", request)
        to(phone, there)
        second = phone.post("Sync", request)        # the first answer never arrived
        equal(second.get("Collections/Collection/Status"), "1")
        equal(sorted(a.get("ServerId") for a in second.all("Collections/Collection/Commands/Add")),
              sorted(a.get("ServerId") for a in first.all("Collections/Collection/Commands/Add")))
        phone.items[inbox].pop(gone)
        phone.apply(second)
        phone.pull(inbox)
        equal(phone.subjects(inbox), sorted(w.subjects("bob")))


@case
def a_mail_is_sent_once_when_the_answer_is_lost():
    w = fleet()
    phone = w.phone("alice")
    mail = message(subject="sent over two", sender="alice@example.org", to="erin@example.org")
    to(phone, w.zpushd)
    equal(phone.send_mail(mail, client_id="two-servers").body, b"")
    to(phone, w.b)
    equal(phone.send_mail(mail, client_id="two-servers").body, b"")
    poll(lambda: "sent over two" in w.subjects("erin"), 10 * SLOW, what="the mail")
    equal(w.subjects("erin").count("sent over two"), 1)
    equal(w.subjects("alice", "Sent").count("sent over two"), 1)


@case
def a_newer_ping_ends_the_older_one_on_the_other_server():
    w = fleet()
    phone = w.phone("carol")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    to(phone, w.zpushd)
    older = phone.ping([inbox], heartbeat=60, wait=False)
    parked(w.zpushd, phone)
    to(phone, w.b)
    start = time.monotonic()
    newer = phone.ping([inbox], heartbeat=60, wait=False)
    reply = older.result(10 * SLOW)
    equal(reply.get("Status"), "3")
    check(time.monotonic() - start < 3 * SLOW, "it took %.1f s" % (time.monotonic() - start))
    parked(w.b, phone)
    w.deliver("carol", subject="for the newer one")
    equal(newer.result(10 * SLOW).get("Status"), "2")


@case
def a_mail_wakes_a_phone_wherever_it_waits():
    w = fleet()
    one, two = w.phone("dave"), w.phone("dave")
    pings = []
    for phone, server in ((one, w.zpushd), (two, w.b)):
        inbox = phone.folder_id(type=2)
        phone.pull(inbox)
        to(phone, server)
        pings.append(phone.ping([inbox], heartbeat=60, wait=False))
        parked(server, phone)
    w.deliver("dave", subject="for both")
    for ping in pings:
        equal(ping.result(10 * SLOW).get("Status"), "2")


@case
def a_change_through_one_server_reaches_a_phone_at_the_other():
    w = fleet()
    w.deliver("dave", subject="read there")
    one, two = w.phone("dave"), w.phone("dave")
    inbox = one.folder_id(type=2)
    one.pull(inbox)
    two.pull(inbox)
    to(two, w.b)
    ping = two.ping([inbox], heartbeat=60, wait=False)
    parked(w.b, two)
    one.sync_folder(inbox, one.change(one.item_with(inbox, "read there"), el("Email:Read", "1")), get_changes="0")
    equal(ping.result(10 * SLOW).get("Status"), "2")
    two.pull(inbox)
    equal(two.items[inbox][two.item_with(inbox, "read there")].get("Read"), "1")


@case
def a_wipe_ordered_at_one_server_wakes_a_ping_at_the_other():
    w = fleet()
    phone = w.phone("erin")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    to(phone, w.b)
    ping = phone.ping([inbox], heartbeat=60, wait=False)
    parked(w.b, phone)
    done = admin(w.zpushd, "wipe", phone.device_id)
    equal((done.returncode, done.stderr), (0, ""))
    reply = ping.result(5 * SLOW)
    check(reply.status == 449 or reply.get("Status") == "140", "woken with %r" % reply)
    for server in (w.zpushd, w.b):
        to(phone, server)
        reply = phone.sync_folder(inbox, get_changes="1")
        check(reply.status == 449 or reply.get("Status") == "140", "data after the order: %r" % reply)
    equal(admin(w.b, "unwipe", phone.device_id).returncode, 0)


@case
def a_server_that_dies_loses_nothing():
    w = fleet()
    w.fill("carol", 5)
    phone = w.phone("carol")
    inbox = phone.folder_id(type=2)
    to(phone, w.b)
    phone.pull(inbox, window=2, rounds=1)
    w.b.kill()
    to(phone, w.zpushd)
    phone.pull(inbox, window=2)
    equal(phone.subjects(inbox), sorted(w.subjects("carol")))
    ping = phone.ping([inbox], heartbeat=60, wait=False)
    parked(w.zpushd, phone)
    w.deliver("carol", subject="after the death")
    equal(ping.result(10 * SLOW).get("Status"), "2")
    w.b.start()
    to(phone, w.b)
    phone.pull(inbox)
    equal(phone.subjects(inbox), sorted(w.subjects("carol")))


@case
def phones_at_both_servers_at_once_agree():
    """Eight phones of one user on two servers, each changing and reading."""
    w = fleet()
    w.fill("bob", 10)
    phones = [w.phone("bob") for _ in range(8)]
    inbox = phones[0].folder_id(type=2)

    def work(number, phone):
        to(phone, (w.zpushd, w.b)[number % 2])
        phone.pull(inbox, window=4)
        for n in range(3):
            item = sorted(phone.items[inbox])[number]
            phone.sync_folder(inbox, phone.change(item, el("Email:Read", str(n % 2))), get_changes="1")
        phone.hang_up()
    for future in [p.later(work, n, p) for n, p in enumerate(phones)]:
        future.result(60 * SLOW)
    views = []
    for phone in phones:
        phone.pull(inbox)
        equal(phone.subjects(inbox), sorted(w.subjects("bob")))
        views.append({i: d.get("Read") for i, d in phone.items[inbox].items()})
    check(all(v == views[0] for v in views), "they disagree: %r" % views)


if __name__ == "__main__":
    main()
