"""Push as phones see it: woken by every source, by nothing else, and never left
asleep, whatever breaks while they wait."""
import imaplib
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import SLOW, case, cases, check, equal, main, shared  # noqa: E402
from env import Dovecot, Proxy, free_port, message, poll  # noqa: E402
from phone import WBXML, Phone  # noqa: E402
from wbxml import el, encode  # noqa: E402
from world import ImapWorld, LocalWorld  # noqa: E402

QUICK = {"push.heartbeat_min": "1s", "push.min_interval": "0s", "push.jitter": 0, "log.level": "debug",
         "push.fallback_sweep": "5s"}
MANY = {"user%02d" % n: "secret-%02d" % n for n in range(60)}
OLD = time.time() - 40 * 86400


class PushWorld(ImapWorld):
    """A Dovecot of many users; zpushd reaches it and Redis through proxies."""

    def __init__(self, sources, exporter=False, **dovecot):
        self.notify_port = free_port()
        options = dict(dovecot, accounts=MANY, connections=0)
        if exporter:
            options["exporter"] = "http://zpushd:notify-token@127.0.0.1:%d/notify" % self.notify_port
        super().__init__(dict(QUICK, **{"push.sources": sources, "limits.backend_breaker_pause": "300ms"}), dovecot=options)

    def start_zpushd(self, settings):
        self.imap_proxy = self.stack.enter_context(Proxy(self.imap.imap_port))
        self.redis_proxy = self.stack.enter_context(Proxy(self.redis.port))
        super().start_zpushd(dict(settings, **{
            "push.notify_listen": "127.0.0.1:%d" % self.notify_port,
            "imap.url": "imap://127.0.0.1:%d" % self.imap_proxy.port,
            "store.url": "redis://127.0.0.1:%d/0" % self.redis_proxy.port}))


class LocalPushWorld(LocalWorld):
    accounts = MANY

    def __init__(self):
        super().__init__(dict(QUICK, **{"push.sources": ["inotify"]}))


def hook():
    return shared(PushWorld, ["hook"], exporter=True)


def notify():
    return shared(PushWorld, ["notify"])


def idle():
    return shared(PushWorld, ["idle"], without=("NOTIFY",))


def local():
    return shared(LocalPushWorld)


SOURCES = [("hook", hook), ("notify", notify), ("idle", idle), ("inotify", local)]
_unused = {}


def fresh(world):
    """A user whom no other case of this world had."""
    return next(_unused.setdefault(id(world), iter(sorted(MANY))))


def ready(world, user=None, filter=None, **kw):
    """A phone that knows its whole INBOX; -> (phone, INBOX)"""
    phone = world.phone(user or fresh(world), **kw)
    inbox = phone.folder_id(type=2)
    phone.pull(inbox, options={"type": 1, "size": 500, "filter": filter})
    return phone, inbox


def parks(world, phone):
    """How often this device's Ping or Sync was (again) found without news."""
    return len(world.zpushd.log_lines("request", "dev=" + phone.device_id, "verdict=park"))


def park(world, phone, folders, heartbeat=120, looks=1):
    """A Ping that is parked for sure; looks=2: and looked at once its watch was armed."""
    before = parks(world, phone)
    ping = phone.ping(folders, heartbeat=heartbeat, wait=False)
    poll(lambda: parks(world, phone) >= before + looks or ping.done(), 15 * SLOW, what="parked")
    check(not ping.done(), "answered at once: %r" % (ping.done() and ping.result()))
    return ping


def woken(ping, folder, seconds=10):
    reply = ping.result(seconds * SLOW)
    equal(reply.get("Status"), "2", repr(reply))
    equal([f.text for f in reply.all("Folders/Folder")], [folder])


# --- it wakes ---------------------------------------------------------------------------

@cases(SOURCES)
def a_delivery_wakes(make):
    w = make()
    phone, inbox = ready(w)
    for n in range(3):      # and again: the next Ping finds the watch that is there
        ping = park(w, phone, [inbox], looks=2 if n == 0 and make in (idle, notify) else 1)
        w.deliver(phone.user, subject="news %d" % n)
        woken(ping, inbox)
        phone.pull(inbox)
        equal(phone.subjects(inbox), sorted(w.subjects(phone.user)))


@cases(SOURCES)
def webmails_changes_wake(make):
    w = make()
    user = fresh(w)
    w.deliver(user, subject="seen elsewhere")
    w.deliver(user, subject="gone elsewhere")
    phone, inbox = ready(w, user)
    ping = park(w, phone, [inbox])
    w.set_flag(user, "seen elsewhere", "\\Seen")
    woken(ping, inbox)
    phone.pull(inbox)
    equal(phone.items[inbox][phone.item_with(inbox, "seen elsewhere")].get("Read"), "1")
    ping = park(w, phone, [inbox])
    w.expunge(user, "gone elsewhere")
    woken(ping, inbox)
    phone.pull(inbox)
    equal(phone.subjects(inbox), ["seen elsewhere"])


@cases(SOURCES)
def another_folder_wakes(make):
    """IDLE watches the INBOX only: the others are looked at now and then."""
    w = make()
    phone, inbox = ready(w)
    sent = phone.folder_id(type=5)
    phone.pull(sent)
    ping = park(w, phone, [inbox, sent], looks=2 if make in (idle, notify) else 1)
    w.append_many(phone.user, [message(subject="copied there")], "Sent")
    woken(ping, sent, 15)


@cases([s for s in SOURCES if s[0] in ("hook", "notify")])
def a_mail_moved_by_webmail_wakes_the_target(make):
    w = make()
    user = fresh(w)
    w.deliver(user, subject="to be filed")
    phone, inbox = ready(w, user)
    junk = phone.folder_id(name="Junk")
    phone.pull(junk)
    ping = park(w, phone, [junk])
    client = w.webmail(user)
    equal(client.uid("MOVE", "1:*", "Junk")[0], "OK")
    client.logout()
    woken(ping, junk)


@cases([("empty", "{}"), ("folder", '{"folder":"INBOX"}'), ("uid", '{"folder":"INBOX","event":"new","uid":17,"x":[1]}')])
def a_redis_message_wakes(text):
    w = shared(PushWorld, ["hook"])       # nothing else tells
    phone, inbox = ready(w)
    ping = park(w, phone, [inbox])
    w.deliver(phone.user, subject="by message")
    w.redis.command("EVAL", "redis.call('INCR', KEYS[1]) return redis.call('PUBLISH', ARGV[1], ARGV[2])", 1,
                    "zpush:gen:{%s}" % phone.user, "zpush:push:{%s}" % phone.user, text)
    woken(ping, inbox)


@case
def a_post_to_notify_wakes():
    w = shared(PushWorld, ["hook"])
    phone, inbox = ready(w)
    ping = park(w, phone, [inbox])
    w.deliver(phone.user, subject="by post")
    url = "http://127.0.0.1:%d/notify" % w.notify_port
    body = json.dumps({"user": phone.user, "folder": "INBOX"}).encode()
    for token, want in (("wrong", 401), ("notify-token", 202)):
        request = urllib.request.Request(url, body, {"Authorization": "Bearer " + token})
        try:
            status = urllib.request.urlopen(request, timeout=10).status
        except urllib.error.HTTPError as e:
            status = e.code
        equal(status, want)
    woken(ping, inbox)
    for bad in (b"", b"{", b"[]", b'{"folder":"INBOX"}', b'{"user":""}', b"\xff" * 2000, b"[" * 4000):
        request = urllib.request.Request(url, bad, {"Authorization": "Bearer notify-token"})
        try:
            urllib.request.urlopen(request, timeout=10)
            check(False, "%r was taken" % bad[:20])
        except urllib.error.HTTPError as e:
            equal(e.code, 400)


@case
def a_server_without_any_push_is_looked_at_now_and_then():
    w = shared(PushWorld, ["notify", "idle"], without=("NOTIFY", "IDLE"))
    phone, inbox = ready(w)
    ping = park(w, phone, [inbox], looks=2)
    w.deliver(phone.user, subject="found by a look")
    woken(ping, inbox, 15)
    check(w.zpushd.metric("zpushd_sweeps_total") > 0, "by what was it woken?")


@case
def without_a_hook_the_ten_lines_push():
    """Default sources, as config.md's set-up."""
    w = shared(ImapWorld)
    phone = w.phone("alice")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    ping = phone.ping([inbox], heartbeat=120, wait=False)
    poll(lambda: w.zpushd.log_lines("cmd=Ping", "dev=" + phone.device_id, "verdict=park"), 10 * SLOW, what="parked")
    w.deliver("alice", subject="ten lines")
    woken(ping, inbox)


@cases(SOURCES)
def a_new_folder_wakes_with_status_7(make):
    w = make()
    phone, inbox = ready(w)
    ping = park(w, phone, [inbox])
    w.create_folder(phone.user, "elsewhere-made")
    if make is idle or make is local:     # they tell of folders they watch
        w.deliver(phone.user, subject="something happens")
    reply = ping.result(10 * SLOW)
    equal(reply.get("Status"), "7", repr(reply))
    phone.folder_sync()
    phone.folder_id(name="elsewhere-made")


# --- it does not wake -------------------------------------------------------------------

def stays(w, phone, ping, act, looks=1):
    """act() causes a look that finds nothing; the Ping stays parked."""
    before = parks(w, phone)
    act()
    poll(lambda: parks(w, phone) >= before + looks or ping.done(), 15 * SLOW, what="a look")
    check(not ping.done(), "a false wake: %r" % (ping.done() and ping.result()))


@cases(SOURCES)
def what_the_phone_did_itself_wakes_not(make):
    w = make()
    user = fresh(w)
    for n in range(4):
        w.deliver(user, subject="own %d" % n)
    phone, inbox = ready(w, user)
    witness, _ = ready(w, user)
    trash = phone.folder_id(type=4)
    phone.pull(trash)
    ping = park(w, phone, [inbox, trash])
    acts = (lambda: phone.sync_folder(inbox, phone.change(phone.item_with(inbox, "own 0"), el("Email:Read", "1")),
                                      get_changes="0"),
            lambda: phone.sync_folder(inbox, phone.delete(phone.item_with(inbox, "own 1")), get_changes="0",
                                      deletes_as_moves="0"),
            lambda: phone.move([(phone.item_with(inbox, "own 2"), inbox, trash)]))
    for act in acts:
        # another phone of the user sees it: the news did get about
        other = park(w, witness, [inbox])
        act()
        woken(other, inbox)
        witness.pull(inbox)
        check(not ping.done(), "woken by itself: %r" % (ping.done() and ping.result()))
    w.deliver(user, subject="from outside")
    woken(ping, inbox)


@cases(SOURCES)
def a_folder_it_does_not_watch_wakes_not(make):
    w = make()
    user = fresh(w)
    phone, inbox = ready(w, user)
    witness, _ = ready(w, user)
    drafts = phone.folder_id(type=3)
    witness.pull(drafts)
    ping = park(w, phone, [inbox])
    if make is not idle:
        other = park(w, witness, [drafts])
        w.append_many(user, [message(subject="elsewhere")], "Drafts")
        woken(other, drafts)
    else:
        w.append_many(user, [message(subject="elsewhere")], "Drafts")
    check(not ping.done(), "woken by Drafts: %r" % (ping.done() and ping.result()))
    w.deliver(user, subject="here")
    woken(ping, inbox)


@cases(SOURCES)
def a_mail_outside_the_filter_wakes_not(make):
    w = make()
    user = fresh(w)
    phone, inbox = ready(w, user, filter=2)      # three days
    witness, _ = ready(w, user)
    ping = park(w, phone, [inbox])
    other = park(w, witness, [inbox])
    w.append_many(user, [message(subject="long ago", date=OLD)], seconds=OLD)
    woken(other, inbox)
    witness.pull(inbox)
    equal(witness.subjects(inbox), ["long ago"])
    check(not ping.done(), "woken by an old mail: %r" % (ping.done() and ping.result()))
    w.deliver(user, subject="of today")
    woken(ping, inbox)
    phone.pull(inbox, options={"type": 1, "size": 500, "filter": 2})
    equal(phone.subjects(inbox), ["of today"])


def refused(w, user, password):
    try:
        client = imaplib.IMAP4("127.0.0.1", w.imap.imap_port, timeout=10)
        client.login(user, password)
    except imaplib.IMAP4.error:
        return True
    client.logout()
    return False


# --- it is never left asleep ------------------------------------------------------------------

@cases([("notify", notify), ("idle", idle), ("hook", hook)], timeout=90)
def no_step_around_the_park_loses_a_mail(make):
    """A slow server stretches look, arming and park; a mail comes at each step."""
    w = make()
    phones = [ready(w) for _ in range(16)]
    w.imap_proxy.delay = 0.08
    try:
        def one(step, phone, inbox):
            ping = phone.ping([inbox], heartbeat=120, wait=False)
            time.sleep(step * 0.07)
            w.deliver(phone.user, subject="step %d" % step)
            return ping
        running = [phone.later(one, n, phone, inbox) for n, (phone, inbox) in enumerate(phones)]
        pings = [f.result(30 * SLOW) for f in running]
        for (phone, inbox), ping in zip(phones, pings):
            woken(ping, inbox, 30)
    finally:
        w.imap_proxy.heal()


@cases([("notify", notify), ("idle", idle)])
def imap_cut_while_parked(make):
    w = make()
    phone, inbox = ready(w)
    ping = park(w, phone, [inbox])
    w.imap_proxy.refuse = True
    w.imap_proxy.drop()
    w.deliver(phone.user, subject="during the outage")
    check(not ping.done(), "answered without a look")
    w.imap_proxy.heal()
    woken(ping, inbox, 30)


@cases([("notify", notify), ("idle", idle)])
def imap_restarted_while_parked(make):
    w = make()
    phone, inbox = ready(w)
    ping = park(w, phone, [inbox])
    w.imap.stop()
    w.imap.start()
    w.deliver(phone.user, subject="after the restart")
    woken(ping, inbox, 30)


@case
def redis_cut_while_parked():
    """The message of the outage is lost; the change counter is not."""
    w = shared(PushWorld, ["hook"])
    phone, inbox = ready(w)
    ping = park(w, phone, [inbox])
    w.redis_proxy.refuse = True
    w.redis_proxy.drop()
    w.deliver(phone.user, subject="during the outage")
    w.redis.command("INCR", "zpush:gen:{%s}" % phone.user)
    w.redis.command("PUBLISH", "zpush:push:{%s}" % phone.user, '{"folder":"INBOX"}')
    check(not ping.done(), "answered without a look")
    w.redis_proxy.heal()
    woken(ping, inbox, 30)


@cases([("notify", notify), ("hook", hook)])
def redis_restarted_while_parked(make):
    w = make()
    phone, inbox = ready(w)
    ping = park(w, phone, [inbox])
    w.redis.kill()
    w.deliver(phone.user, subject="without a store")
    w.redis.start()
    woken(ping, inbox, 30)
    phone.pull(inbox)
    equal(phone.subjects(inbox), ["without a store"])


@case
def a_changed_password_ends_the_wait():
    w = notify()
    phone, inbox = ready(w)
    ping = park(w, phone, [inbox])
    w.imap.set_password(phone.user, "new-secret")
    poll(lambda: refused(w, phone.user, phone.password), 10, what="Dovecot saw the new password")
    w.redis.command("PUBLISH", "zpush:push:{%s}" % phone.user, '{"auth":"changed"}')
    reply = ping.result(10 * SLOW)
    check(reply.status == 401 or reply.get("Status") == "1", repr(reply))
    equal(phone.ping(body=False, timeout=10).status, 401)
    again = Phone(w.url, phone.user, "new-secret", device_id=phone.device_id)
    again.policy_key = phone.policy_key
    equal(again.folder_sync("0").get("Status"), "1")


# --- Ping's own rules ---------------------------------------------------------------------------

@case
def a_heartbeat_ends_with_status_1_and_an_empty_ping_repeats_it():
    w = notify()
    phone, inbox = ready(w)
    reply = phone.ping([inbox], heartbeat=2)
    equal(reply.get("Status"), "1")
    check(1.5 < reply.seconds < 4 * SLOW, "after %.1f s" % reply.seconds)
    reply = phone.ping(body=False, timeout=30)
    equal(reply.get("Status"), "1")
    check(1.5 < reply.seconds < 4 * SLOW, "after %.1f s" % reply.seconds)
    ping = phone.ping(body=False, wait=False)
    w.deliver(phone.user, subject="for the empty one")
    woken(ping, inbox)


@case
def an_empty_ping_that_was_never_told_is_3():
    w = notify()
    phone = w.phone(fresh(w))
    equal(phone.ping(body=False, timeout=20).get("Status"), "3")


@case
def a_newer_ping_ends_the_older_one_with_3():
    w = notify()
    phone, inbox = ready(w)
    older = park(w, phone, [inbox])
    newer = park(w, phone, [inbox])
    equal(older.result(3 * SLOW).get("Status"), "3")
    w.deliver(phone.user, subject="for the newer")
    woken(newer, inbox)


@case
def heartbeats_outside_the_bounds_are_told_status_5():
    w = notify()
    phone, inbox = ready(w)
    reply = phone.ping([inbox], heartbeat=90000)
    equal((reply.get("Status"), reply.get("HeartbeatInterval")), ("5", "3540"))


@case
def a_parked_phone_that_vanished_is_forgotten():
    w = notify()
    phone, inbox = ready(w)
    poll(lambda: w.zpushd.metric("zpushd_parked") == 0, 10 * SLOW, what="nobody parked")
    s = socket.create_connection(("127.0.0.1", w.zpushd.http_port), 10)
    body = encode(el("Ping:Ping", el("HeartbeatInterval", "300"), el("Folders", el("Folder", el("Id", inbox),
                                                                                  el("Class", "Email")))))
    lines = ["POST %s HTTP/1.1" % phone.target("Ping"), "Host: x", "Content-Type: " + WBXML, "Content-Length: %d" % len(body)]
    lines += ["%s: %s" % h for h in phone.headers().items()]
    s.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    poll(lambda: w.zpushd.metric("zpushd_parked") == 1, 10 * SLOW, what="one parked")
    s.close()
    poll(lambda: w.zpushd.metric("zpushd_parked") == 0, 10 * SLOW, what="forgotten")


@cases([("imap", notify), ("local", local)])
def a_waiting_sync_is_woken(make):
    w = make()
    phone, inbox = ready(w)
    for kind in ({"wait": 1}, {"heartbeat": 60}):
        before = parks(w, phone)
        waiting = phone.later(phone.sync, phone.collection(inbox, get_changes="1"), apply=False, timeout=90, **kind)
        poll(lambda: parks(w, phone) > before, 10 * SLOW, what="the Sync parked")
        w.deliver(phone.user, subject="for %s" % list(kind)[0])
        reply = waiting.result(10 * SLOW)
        phone.apply(reply)
        equal(phone.subjects(inbox), sorted(w.subjects(phone.user)))


@case
def a_waiting_sync_ends_empty():
    w = notify()
    phone, inbox = ready(w)
    reply = phone.sync(phone.collection(inbox, get_changes="1"), heartbeat=2, apply=False)
    equal((reply.status, reply.body), (200, b""))
    check(1.5 < reply.seconds < 5 * SLOW, "after %.1f s" % reply.seconds)


@case
def no_worker_is_held_by_waiting_phones():
    """40 waiting phones on 4 workers; commands and pushes pass all the same."""
    with ImapWorld(dict(QUICK, **{"server.workers": 4}), dovecot={"accounts": MANY, "connections": 0}) as w:
        phones = []
        for user in sorted(MANY)[:20]:
            phones += [ready(w, user), ready(w, user)]
        pings = [park(w, phone, [inbox]) for phone, inbox in phones]
        other = w.phone("user22")
        start = time.monotonic()
        other.pull(other.folder_id(type=2))
        check(time.monotonic() - start < 3 * SLOW, "commands wait behind waiting phones")
        for user in sorted(MANY)[:20]:
            w.deliver(user, subject="for all")
        for (phone, inbox), ping in zip(phones, pings):
            woken(ping, inbox, 20)


if __name__ == "__main__":
    main()
