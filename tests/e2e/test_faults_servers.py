"""Mail server and store that hang, drop, refuse or answer nonsense: the phone
gets 503 or its status in time, one log line says who, where and what to do,
others notice nothing, and afterwards nothing is lost or doubled."""
import os
import random
import re
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import SLOW, case, cases, check, contains, equal, main, shared  # noqa: E402
from env import MailSink, Proxy, message, poll  # noqa: E402
from faulty import SCRIPTS, UserProxy  # noqa: E402
from wbxml import el  # noqa: E402
from world import ImapWorld  # noqa: E402

SHORT = {"limits.login_deadline": "1500ms", "limits.backend_deadline": "1500ms", "limits.store_deadline": "700ms",
         "limits.backend_breaker_pause": "300ms", "limits.store_breaker_pause": "200ms", "limits.session_idle": "0s",
         "push.heartbeat_min": "1s", "push.min_interval": "0s"}


class FaultWorld(ImapWorld):
    """IMAP through a proxy that knows users, Redis and SMTP through plain ones."""

    def start_zpushd(self, settings):
        self.users = self.stack.enter_context(UserProxy(self.imap.imap_port))
        self.line = self.stack.enter_context(Proxy(self.users.port))
        settings["imap.url"] = "imap://127.0.0.1:%d" % self.line.port
        if self.redis:
            self.wire = self.stack.enter_context(Proxy(self.redis.port))
            settings["store.url"] = "redis://127.0.0.1:%d/0" % self.wire.port
        super().start_zpushd(dict(settings, **SHORT))


def world():
    """All is well at the start, whatever the case before left behind."""
    w = shared(FaultWorld)
    poll(lambda: readyz(w) == 200, 10 * SLOW, what="ready")
    return w


class Bystander:
    """Another user's phone that works all the while; its slowest and worst answer."""

    def __init__(self, w, user="bob", waits=True):
        self.w, self.phone = w, w.phone(user)
        self.inbox = self.phone.folder_id(type=2)
        self.phone.pull(self.inbox)
        self.slowest, self.bad, self.count, self.stopped = 0.0, [], 0, False

    def __enter__(self):
        self.running = self.phone.later(self.work)
        return self

    def work(self):
        while not self.stopped:
            reply = self.phone.sync_folder(self.inbox, get_changes="1")
            self.count += 1
            self.slowest = max(self.slowest, reply.seconds)
            if reply.status != 200 or (reply.doc is not None and reply.get("Collections/Collection/Status") != "1"):
                self.bad.append(repr(reply))
            time.sleep(0.02)

    def __exit__(self, kind, value, trace):
        self.stopped = True
        self.running.result(20 * SLOW)
        if kind is None:
            check(not self.bad, "another user's phone noticed: %s" % self.bad[:3])
            check(self.count > 0)
            check(self.slowest < 1.5 * SLOW, "another user's phone waited %.1f s" % self.slowest)


def recover(phone, folder, patience=20):
    """What a phone does until all is well: again, from the key told, or anew."""
    end = time.monotonic() + patience * SLOW
    while True:
        check(time.monotonic() < end, "it did not come back")
        reply = phone.sync_folder(folder, get_changes="1" if phone.keys.get(folder, "0") != "0" else None, window=100,
                                  options={"type": 1, "size": 200})
        status = reply.get("Collections/Collection/Status") or reply.get("Status")
        if reply.status == 503:
            time.sleep(0.05)
        elif reply.status == 449 or status in ("142", "143", "144"):
            phone.provision()
        elif status == "3":
            phone.keys[folder] = "0"
            phone.items[folder] = {}
        elif status == "12":
            phone.folder_sync("0")
        elif reply.status == 200 and reply.doc is None:
            return
        else:
            equal((reply.status, status), (200, "1"), repr(reply))


def told(w, start, user, host=None):
    """The log lines of trouble since then: of this user, naming place and remedy."""
    lines = [x for x in w.zpushd.log_lines()[start:] if "level=warn" in x or "level=error" in x]
    # a look for a waiting phone may fall into the same time: it has a line of its own
    requests = [x for x in lines if "event=request" in x and 'peer=""' not in x]
    for line in requests:
        contains(line, "user=" + user)
        check(re.search(r' do="?\w', line), "no advice in " + line)
        check(re.search(r'reason="?\S', line), "no reason in " + line)
        check(re.search(r" dev=\w", line), "no device in " + line)
        if host:
            check(host in line, "no host in " + line)
    return requests


# --- the mail server -----------------------------------------------------------------

@cases([(s.__name__, s) for s in SCRIPTS])
def imap(script):
    w = world()
    w.deliver("alice", subject="before " + script.__name__)
    phone = w.phone("alice")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    memory = w.zpushd.memory_kib()
    with Bystander(w):
        w.deliver("alice", subject="during " + script.__name__)
        start = len(w.zpushd.log_lines())
        w.users.victim, w.users.script = "alice", script
        try:
            for _ in range(2):
                reply = phone.sync_folder(inbox, get_changes="1")
                equal((reply.status, reply.body), (503, b""), repr(reply))
                check("Retry-After" in reply.headers)
                check(reply.seconds < 4 * SLOW, "answered after %.1f s" % reply.seconds)
            equal(len(told(w, start, "alice", "127.0.0.1:%d" % w.line.port)), 2, "one line a request")
        finally:
            w.users.heal()
        recover(phone, inbox)
    equal(phone.subjects(inbox), sorted(w.subjects("alice")))
    grown = w.zpushd.memory_kib() - memory
    check(grown < (24000 if SLOW == 1 else 400000), "grew by %d KiB" % grown)


def spoiled(seed):
    """Now and then bytes are changed, cut, doubled, or the line is closed."""
    rng = random.Random(seed)

    def spoil(data):
        kind = rng.randrange(12)
        at = rng.randrange(len(data))
        if kind == 0:
            return data[:at] + bytes([rng.randrange(256)]) + data[at + 1:]
        if kind == 1:
            return data[:at]
        if kind == 2:
            return data[:at] + data[max(0, at - 50):]
        if kind == 3:
            return None
        return data
    return spoil


@cases([("at_login", 0), ("after_login", 1), ("later", 2), ("in_the_folder", 3)])
def imap_falls_silent(pieces):
    """It answers so many times, and then no more, on an open connection."""
    w = world()
    phone = w.phone("alice")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    left = [pieces]

    def mute(data):
        left[0] -= 1
        return data if left[0] >= 0 else b""
    with Bystander(w):
        w.deliver("alice", subject="silence %d" % pieces)
        start = len(w.zpushd.log_lines())
        w.users.victim, w.users.spoil = "alice", mute
        try:
            reply = phone.sync(phone.collection(inbox, get_changes="1"), apply=False)
            equal(reply.status, 503)
            check(reply.seconds < 4 * SLOW, "after %.1f s" % reply.seconds)
            equal(len(told(w, start, "alice", "127.0.0.1:%d" % w.line.port)), 1)
        finally:
            w.users.heal()
        recover(phone, inbox)
    equal(phone.subjects(inbox), sorted(w.subjects("alice")))


@case(timeout=120)
def imap_that_spoils_its_answers():
    """Whatever comes: an answer in time, and the truth once it behaves."""
    w = world()
    w.fill("carol", 8)
    phone = w.phone("carol")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    with Bystander(w):
        for seed in range(12):
            w.users.victim, w.users.spoil = "carol", spoiled(seed)
            try:
                reply = w.bare_phone("carol", device_id="spoiled%d" % seed).folder_sync()
                check(reply.status in (200, 401, 503), repr(reply))
                reply = phone.sync(phone.collection(inbox, get_changes="1"), apply=False)
                check(reply.status in (200, 401, 503), repr(reply))
                check(reply.seconds < 6 * SLOW, "after %.1f s" % reply.seconds)
            finally:
                w.users.heal()
        recover(phone, inbox)
    fresh = w.phone("carol")
    fresh.pull(inbox)
    equal(fresh.subjects(inbox), sorted(w.subjects("carol")))


@case
def imap_refuses_connections_and_comes_back():
    w = world()
    phone = w.phone("dave")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    w.line.refuse = True
    w.line.drop()
    try:
        start = len(w.zpushd.log_lines())
        reply = phone.sync_folder(inbox, get_changes="1")
        equal(reply.status, 503)
        check(reply.seconds < 3 * SLOW)
        equal(len(told(w, start, "dave", "127.0.0.1:%d" % w.line.port)), 1)
        w.deliver("dave", subject="meanwhile")
    finally:
        w.line.heal()
    recover(phone, inbox)
    equal(phone.subjects(inbox), ["meanwhile"])


@cases([("early", 0), ("middle", 300), ("late", 2000)])
def imap_cut_within_an_answer(after):
    w = world()
    user = "erin"
    if len(w.subjects(user)) < 20:
        w.fill(user, 20)
    phone = w.phone(user)
    inbox = phone.folder_id(type=2)
    first = phone.sync_folder(inbox, options={"type": 1, "size": 200})
    equal(first.get("Collections/Collection/Status"), "1")
    w.line.drop()
    w.line.cut(down=after + 400)
    try:
        reply = phone.sync_folder(inbox, get_changes="1", window=100, options={"type": 1, "size": 200})
        check(reply.status in (200, 503), repr(reply))
    finally:
        w.line.heal()
        w.line.drop()
    recover(phone, inbox)
    equal(phone.subjects(inbox), sorted(w.subjects(user)))


@case
def a_write_whose_answer_was_lost_is_not_done_twice():
    """IMAP is cut between command and answer of a delete with DeletesAsMoves."""
    w = world()
    for n in range(6):
        w.deliver("erin", subject="write %d" % n)
    phone = w.phone("erin")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    gone = [phone.item_with(inbox, "write %d" % n) for n in range(6)]
    request = phone.sync_request(phone.collection(inbox, *[phone.delete(g) for g in gone], get_changes="1",
                                                  deletes_as_moves="1"))
    w.line.drop()
    for allowed in (600, 900, 1200, 1500):
        w.line.cut(down=allowed)
        reply = phone.post("Sync", request)
        w.line.heal()
        w.line.drop()
        if reply.status == 200:
            break
        equal(reply.status, 503)
    for _ in range(40):
        if reply.status != 503:
            break
        time.sleep(0.1)
        reply = phone.post("Sync", request)
    equal(reply.get("Collections/Collection/Status"), "1", repr(reply))
    for g in gone:
        phone.items[inbox].pop(g)
    phone.apply(reply)
    recover(phone, inbox)
    equal(phone.subjects(inbox), sorted(w.subjects("erin")))
    equal(sorted(s for s in w.subjects("erin", "Trash") if s.startswith("write")), ["write %d" % n for n in range(6)])


# --- SMTP ------------------------------------------------------------------------------

@cases([("refused_sender", {"MAIL": "451 later"}), ("refused_recipient", {"RCPT": "550 no such user"}),
        ("refused_data", {"DATA": "554 no"}), ("busy_data", {"DATA": "451 later"})])
def smtp(responses):
    with MailSink() as sink, FaultWorld({"smtp.url": "smtp://127.0.0.1:%d" % sink.port, "smtp.auth": "none"},
                                        store="embedded") as w:
        phone = w.phone("alice")
        mail = message(subject="try", sender="alice@example.org", to="bob@elsewhere.example")
        sink.responses = responses
        start = len(w.zpushd.log_lines())
        reply = phone.send_mail(mail, client_id="one")
        check(reply.status == 503 or reply.get("Status") in ("119", "120"), repr(reply))
        equal(len(told(w, start, "alice")), 1)
        equal(w.subjects("alice", "Sent") or [], [])
        sink.responses = {}
        for _ in range(40):
            reply = phone.send_mail(mail, client_id="one")
            if reply.status != 503:
                break
            time.sleep(0.1)
        equal((reply.status, reply.body), (200, b""))
        equal(len(sink.mails), 1)
        equal(w.subjects("alice", "Sent"), ["try"])


@cases([("hangs", "hang"), ("refuses", "refuse")])
def smtp_server(fault):
    with MailSink() as sink, Proxy(sink.port) as line:
        with FaultWorld({"smtp.url": "smtp://127.0.0.1:%d" % line.port, "smtp.auth": "none"}, store="embedded") as w:
            phone = w.phone("alice")
            mail = message(subject="try", sender="alice@example.org", to="bob@elsewhere.example")
            setattr(line, fault, True)
            start = len(w.zpushd.log_lines())
            with Bystander(w):
                reply = phone.send_mail(mail, client_id="one")
            check(reply.status == 503 or reply.get("Status") == "120", repr(reply))
            check(reply.seconds < 5 * SLOW, "after %.1f s" % reply.seconds)
            equal(len(told(w, start, "alice", "127.0.0.1:%d" % line.port)), 1)
            line.heal()
            line.drop()
            for _ in range(60):
                reply = phone.send_mail(mail, client_id="one")
                if reply.status != 503:
                    break
                time.sleep(0.1)
            equal((reply.status, reply.body), (200, b""))
            equal(len(sink.mails), 1)


# --- the store -----------------------------------------------------------------------------

def readyz(w):
    try:
        with urllib.request.urlopen(w.zpushd.admin_url + "/readyz", timeout=10) as r:
            return r.status
    except urllib.error.HTTPError as e:
        return e.code


@cases([("killed", lambda r: r.kill(), lambda r: r.start()), ("hung", lambda r: r.pause(), lambda r: r.resume())])
def redis(break_it, mend_it):
    w = world()
    user = "dave"
    phone = w.phone(user)
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    waiting = w.phone("carol")
    box = waiting.folder_id(type=2)
    waiting.pull(box)
    ping = waiting.ping([box], heartbeat=60, wait=False)
    poll(lambda: w.zpushd.log_lines("cmd=Ping", "dev=" + waiting.device_id, "verdict=park"), 10 * SLOW, what="parked")
    equal(readyz(w), 200)
    memory = w.zpushd.memory_kib()
    break_it(w.redis)
    try:
        start = len(w.zpushd.log_lines())
        for _ in range(4):
            reply = phone.sync_folder(inbox, get_changes="1")
            equal((reply.status, reply.body), (503, b""))
            check("Retry-After" in reply.headers)
            check(reply.seconds < 3 * SLOW, "after %.1f s" % reply.seconds)
        equal(len(told(w, start, user)), 4)
        equal(readyz(w), 503)
        w.deliver(user, subject="without a store")
        check(not ping.done(), "a waiting phone noticed: %r" % (ping.done() and ping.result()))
    finally:
        mend_it(w.redis)
    recover(phone, inbox)
    equal(phone.subjects(inbox), sorted(w.subjects(user)))
    equal(readyz(w), 200)
    w.deliver("carol", subject="for the waiting one")
    equal(ping.result(20 * SLOW).get("Status"), "2")
    check(w.zpushd.memory_kib() - memory < (24000 if SLOW == 1 else 400000))


@case
def redis_flushed():
    """All state is gone: phones start over, without loss or doubles."""
    w = world()
    w.deliver("alice", subject="survives")
    phones = [w.phone("alice"), w.phone("alice", version="12.1"), w.phone("alice", version="2.5")]
    inbox = phones[0].folder_id(type=2)
    for phone in phones:
        phone.pull(inbox)
    waiting = w.phone("alice")
    waiting.pull(inbox)
    ping = waiting.ping([inbox], heartbeat=60, wait=False)
    poll(lambda: w.zpushd.log_lines("cmd=Ping", "dev=" + waiting.device_id, "verdict=park"), 10 * SLOW, what="parked")
    w.redis.flush()
    w.deliver("alice", subject="after the flush")
    for phone in phones:
        hierarchy = phone.folder_sync()
        if hierarchy.status == 449 or hierarchy.get("Status") in ("142", "143", "144"):
            phone.provision()
            hierarchy = phone.folder_sync()
        if hierarchy.get("Status") == "9":
            hierarchy = phone.folder_sync("0")
        equal(hierarchy.get("Status"), "1", repr(hierarchy))
        equal(phone.folder_id(type=2), inbox, "the folder's id changed")
        recover(phone, inbox)
        equal(phone.subjects(inbox), sorted(w.subjects("alice")))
    reply = ping.result(30 * SLOW)
    check(reply.get("Status") in ("2", "3", "7") or reply.status == 449, repr(reply))


@case(timeout=120)
def redis_keys_evicted_one_by_one():
    """As a store under memory pressure does it, whatever README says."""
    w = world()
    w.fill("bob", 5)
    phone = w.phone("bob")
    inbox, sent = phone.folder_id(type=2), phone.folder_id(type=5)
    phone.pull(inbox)
    phone.pull(sent)
    keys = [k for k in w.redis.keys("zpush:*") if b"bob" in k or b"epoch" in k]
    check(len(keys) >= 5, repr(keys))
    for n, key in enumerate(keys):
        w.redis.command("DEL", key)
        w.deliver("bob", subject="evicted %02d" % n)
        read = sorted(phone.items[inbox])[0]
        reply = phone.sync_folder(inbox, phone.change(read, el("Email:Read", str(n % 2))), get_changes="1")
        check(reply.status in (200, 449, 503), "%r: %r" % (key, reply))
        hierarchy = phone.folder_sync()
        if hierarchy.get("Status") == "9":
            hierarchy = phone.folder_sync("0")
        elif hierarchy.status == 449 or hierarchy.get("Status") in ("142", "143", "144"):
            phone.provision()
            hierarchy = phone.folder_sync("0")
        equal(hierarchy.get("Status"), "1", "%r: %r" % (key, hierarchy))
        equal(phone.folder_id(type=2), inbox)
        recover(phone, inbox)
        equal(phone.subjects(inbox), sorted(w.subjects("bob")), "after %r" % key)


@case
def redis_cut_between_command_and_answer():
    """A commit may have happened although its answer was lost."""
    w = world()
    w.fill("dave", 4)
    phone = w.phone("dave")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    for allowed in (0, 1, 5, 40, 200, 500, 900, 1300):
        w.deliver("dave", subject="cut %d" % allowed)
        w.wire.cut(down=allowed)
        reply = phone.sync(phone.collection(inbox, get_changes="1"), apply=False)
        w.wire.heal()
        check(reply.status in (200, 503), repr(reply))
        if reply.status == 200:     # and this one gets lost on its way
            check(reply.doc is None or reply.get("Collections/Collection/Status") == "1", repr(reply))
        recover(phone, inbox)
        equal(phone.subjects(inbox), sorted(w.subjects("dave")), "after %d bytes" % allowed)


if __name__ == "__main__":
    main()
