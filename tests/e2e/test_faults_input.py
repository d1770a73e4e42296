"""Hostile requests and hostile mails: the specified answer or a closed
connection, one log line, flat memory, and other phones notice nothing.
(Smuggling, slow senders, oversize heads: test_transport.py.)"""
import base64
import os
import random
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import SLOW, case, cases, check, contains, equal, main, shared  # noqa: E402
from env import message, poll  # noqa: E402
from phone import PATH  # noqa: E402
from wbxml import HEADER, el, encode  # noqa: E402
from world import ImapWorld, LocalWorld  # noqa: E402

QUICK = {"push.heartbeat_min": "1s", "push.min_interval": "0s", "limits.fuse_requests": 100000,
         "limits.fuse_resyncs": 100000}
WORLDS = [("imap", lambda: shared(ImapWorld, QUICK)), ("local", lambda: shared(LocalWorld, QUICK))]


def world():
    return shared(ImapWorld, QUICK)


class Bystander:
    """Another user's phone that works and waits all the while."""

    def __init__(self, w, user="bob"):
        self.phone = w.phone(user)
        self.waiting = w.phone(user)
        self.inbox = self.phone.folder_id(type=2)
        for phone in (self.phone, self.waiting):
            phone.pull(self.inbox)
        self.slowest, self.bad, self.stopped = 0.0, [], False
        self.w = w

    def __enter__(self):
        self.memory = self.w.zpushd.memory_kib()
        self.ping = self.waiting.ping([self.inbox], heartbeat=300, wait=False)
        self.running = self.phone.later(self.work)
        return self

    def work(self):
        while not self.stopped:
            reply = self.phone.sync_folder(self.inbox, get_changes="1")
            self.slowest = max(self.slowest, reply.seconds)
            if reply.status != 200:
                self.bad.append(repr(reply))
            time.sleep(0.02)

    def __exit__(self, kind, value, trace):
        self.stopped = True
        self.running.result(20 * SLOW)
        if kind is not None:
            return
        check(not self.bad, "another phone noticed: %s" % self.bad[:3])
        check(self.slowest < 2 * SLOW, "another phone waited %.1f s" % self.slowest)
        check(not self.ping.done(), "a waiting phone noticed: %r" % (self.ping.done() and self.ping.result()))
        grown = self.w.zpushd.memory_kib() - self.memory     # address sanitizer keeps freed memory
        check(grown < (24000 if SLOW == 1 else 400000), "memory grew by %d KiB" % grown)
        self.w.deliver(self.phone.user, subject="afterwards")
        equal(self.ping.result(10 * SLOW).get("Status"), "2")


def told(w, start, phone):
    """Log lines of that device since then that name a fault."""
    lines = w.zpushd.log_lines()[start:]
    return [x for x in lines if "dev=" + phone.device_id in x and "event=request" in x
            and ("reason=" in x or "status=4" in x)]


# --- WBXML ---------------------------------------------------------------------------------

def requests(phone, inbox, item):
    """One good body a command."""
    return {
        "FolderSync": el("FolderHierarchy:FolderSync", el("SyncKey", "0")),
        "Sync": phone.sync_request(phone.collection(inbox, phone.change(item, el("Email:Read", "1")), phone.fetch(item),
                                                    get_changes="1", window=5, options={"type": 2, "size": 100, "filter": 3})),
        "Ping": el("Ping:Ping", el("HeartbeatInterval", "1"), el("Folders", el("Folder", el("Id", inbox), el("Class", "Email")))),
        "GetItemEstimate": el("GetItemEstimate:GetItemEstimate", el("Collections", el(
            "Collection", el("AirSync:SyncKey", phone.keys[inbox]), el("CollectionId", inbox)))),
        "MoveItems": el("Move:MoveItems", el("Move", el("SrcMsgId", item), el("SrcFldId", inbox), el("DstFldId", "nowhere"))),
        "ItemOperations": el("ItemOperations:ItemOperations", el("Fetch", el("Store", "Mailbox"), el("AirSync:CollectionId", inbox),
                                                                el("AirSync:ServerId", item))),
        "Settings": el("Settings:Settings", el("UserInformation", el("Get"))),
        "Provision": el("Provision:Provision", el("Policies", el("Policy", el("PolicyType", "MS-EAS-Provisioning-WBXML")))),
        "FolderCreate": el("FolderHierarchy:FolderCreate", el("SyncKey", "1"), el("ParentId", "0"), el("DisplayName", "n"), el("Type", "99")),
    }


def fine(command, reply):
    """A valid reply of that command, or a refusal without one."""
    check(reply.status in (200, 400, 403, 413, 449), "%s: %r" % (command, reply))
    if reply.status == 200 and reply.doc is not None:
        check(reply.doc.tag == command, "%s answered %s" % (command, reply.doc.tag))


def quiet_post(phone, command, body):
    return phone.post(command, body, timeout=30)


@case(timeout=120)
def mutated_wbxml():
    """Bytes changed, doubled, cut out and put in, in every command."""
    w = world()
    w.fill("alice", 3)
    phone = w.phone("alice")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    rng = random.Random(20261124)
    bodies = {name: encode(tree) for name, tree in requests(phone, inbox, sorted(phone.items[inbox])[0]).items()}
    with Bystander(w):
        for round in range(25):
            for command, body in bodies.items():
                data = bytearray(body)
                for _ in range(rng.randrange(1, 5)):
                    at = rng.randrange(len(data))
                    kind = rng.randrange(4)
                    if kind == 0:
                        data[at] = rng.randrange(256)
                    elif kind == 1:
                        del data[at:at + rng.randrange(1, 6)]
                    elif kind == 2:
                        data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 6)))
                    else:
                        data[at:at] = data[:at]
                    if not data:
                        data = bytearray(b"\x03")
                fine(command, quiet_post(phone, command, bytes(data)))
    equal(phone.folder_sync("0").get("Status"), "1")
    fresh = w.phone("alice")
    fresh.pull(inbox)
    equal(fresh.subjects(inbox), sorted(w.subjects("alice")))


@case
def truncated_at_every_byte():
    w = world()
    w.fill("dave", 2)
    phone = w.phone("dave")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    body = encode(requests(phone, inbox, sorted(phone.items[inbox])[0])["Sync"])
    with Bystander(w):
        start = len(w.zpushd.log_lines())
        for at in range(1, len(body)):
            reply = quiet_post(phone, "Sync", body[:at])
            fine("Sync", reply)
            check(reply.status == 400 or reply.get("Status") in ("4", "101", "102", "103"), "%d bytes: %r" % (at, reply))
        equal(len(told(w, start, phone)), len(body) - 1, "one log line each")
        line = told(w, start, phone)[0]
        for part in ("user=dave", "cmd=Sync", "do="):
            contains(line, part)


TAG = {"Sync": 0x45, "Collections": 0x5C}
DEPTH = HEADER + bytes([0x45]) + bytes([0x5C]) * 200000
WIDE = HEADER + bytes([0x45, 0x5C]) + bytes([0x0F]) * 1000000 + b"\x01\x01"
LONG = HEADER + bytes([0x45, 0x5C, 0x4F, 0x4B, 0x03]) + b"k" * 9000000 + b"\0" + b"\x01" * 4
LIES = HEADER + bytes([0x45, 0x5C, 0x4F, 0x4B, 0xC3, 0x8F, 0xFF, 0xFF, 0xFF, 0x7F]) + b"abc"
PAGES = HEADER + b"\x00\x00" * 500000 + b"\x45\x01"
PAGE = HEADER + b"\x00\x77\x45\x01"
ATTRIBUTES = HEADER + bytes([0xC5, 0x05, 0x01, 0x01])
TABLE = b"\x03\x01\x6a\x8f\xff\xff\xff\x7f" + b"x" * 100
ENTITY = HEADER + b"\x45\x02\x8f\xff\xff\xff\x7f\x01"
ENDS = HEADER + b"\x01" * 100000
WRONG_ROOT = HEADER + b"\x00\x07\x56\x52\x03" + b"0\0\x01\x01"


@cases([(name.lower(), globals()[name]) for name in ("DEPTH", "WIDE", "LONG", "LIES", "PAGES", "PAGE", "ATTRIBUTES", "TABLE",
                                                     "ENTITY", "ENDS", "WRONG_ROOT")])
def monstrous_wbxml(body):
    w = world()
    phone = w.phone("carol")
    with Bystander(w):
        start = len(w.zpushd.log_lines())
        for _ in range(3):
            reply = quiet_post(phone, "Sync", body)
            fine("Sync", reply)
            check(reply.status in (400, 413) or reply.get("Status") in ("4", "101", "102", "103"), repr(reply))
            check(reply.seconds < 3 * SLOW, "%.1f s" % reply.seconds)
        check(1 <= len(told(w, start, phone)) <= 3, "log lines: %r" % told(w, start, phone))
    equal(phone.folder_sync().get("Status"), "1")


# --- the request line --------------------------------------------------------------------------

@case
def bad_query_lines():
    w = world()
    phone = w.bare_phone("alice")
    rng = random.Random(5)
    good = base64.b64decode(phone._base64_query("FolderSync", {}))
    lines = ["", "?", "?Cmd", "?Cmd=", "?Cmd=Nonsense&User=a&DeviceId=b&DeviceType=c", "?Cmd=Sync&DeviceId=%00&DeviceType=c",
             "?Cmd=Sync&User=a&DeviceId=" + "x" * 3000 + "&DeviceType=c", "?Cmd=Sync&User=%ff%fe&DeviceId=b&DeviceType=%zz",
             "?" + "A" * 4000, "?!!!!", "?" + base64.b64encode(b"\x91").decode(), "?" + base64.b64encode(good[:-1]).decode(),
             "?" + base64.b64encode(good[:4] + b"\xff" + good[5:]).decode(), "?" + base64.b64encode(good + b"\x00\xff").decode()]
    lines += ["?" + base64.b64encode(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 60)))).decode() for _ in range(80)]
    lines += ["?" + base64.b64encode(bytes(b ^ (1 << rng.randrange(8)) if rng.random() < 0.1 else b for b in good)).decode()
              for _ in range(80)]
    body = encode(el("FolderHierarchy:FolderSync", el("SyncKey", "0")))
    with Bystander(w):
        for line in lines:
            head = "POST %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nMS-ASProtocolVersion: 14.1\r\n" \
                   "Content-Type: application/vnd.ms-sync.wbxml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (
                       PATH, line, phone.authorization(), len(body))
            out = phone.raw(head.encode("latin-1") + body)
            check(out.startswith(b"HTTP/1.1 ") and int(out[9:12]) in (200, 400, 403, 404, 414, 501), "%r: %r" % (line[:60], out[:80]))


# --- clients that go --------------------------------------------------------------------------------

@case
def clients_that_vanish_while_they_are_served():
    """After the request, while it runs, while the reply is written, while parked."""
    w = world()
    w.deliver("alice", message(subject="big", text="line\r\n" * 200000))
    phone = w.phone("alice")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox, options={"type": 1, "size": 10})
    item = phone.item_with(inbox, "big")
    bodies = {"ItemOperations": requests(phone, inbox, item)["ItemOperations"],
              "Ping": el("Ping:Ping", el("HeartbeatInterval", "60"), el("Folders", el("Folder", el("Id", inbox), el("Class", "Email")))),
              "Sync": phone.sync_request(phone.collection(inbox, get_changes="1"))}
    before = w.zpushd.descriptors()
    with Bystander(w):
        for n in range(40):
            for command, tree in bodies.items():
                body = encode(tree)
                head = "".join("%s: %s\r\n" % h for h in phone.headers().items())
                s = socket.create_connection(("127.0.0.1", w.zpushd.http_port), 10)
                s.sendall(("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Type: application/vnd.ms-sync.wbxml\r\n"
                           "Content-Length: %d\r\n\r\n" % (phone.target(command), head, len(body))).encode() + body)
                if n % 4 == 1:
                    time.sleep(0.01)
                elif n % 4 == 2:
                    s.settimeout(0.05)
                    try:
                        s.recv(100)
                    except OSError:
                        pass
                elif n % 4 == 3:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()
    # the last Ping of that device waits for nobody; all descriptors are back
    poll(lambda: w.zpushd.descriptors() <= before + 12, 20 * SLOW, what="descriptors back")
    phone.pull(inbox)
    equal(phone.subjects(inbox), sorted(w.subjects("alice")))


# --- mails -----------------------------------------------------------------------------------------------

def nested_parts(n):
    out = [b"From: a@example.org\r\nSubject: nested parts\r\nMIME-Version: 1.0\r\n"]
    for i in range(n):
        out.append(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i))
    out.append(b"Content-Type: text/plain\r\n\r\ninnermost\r\n")
    out += [b"--b%d--\r\n" % i for i in reversed(range(n))]
    return b"".join(out)


def nested_messages(n):
    return (b"From: a@example.org\r\nSubject: nested messages\r\nMIME-Version: 1.0\r\n"
            + b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n" * n + b"\r\ninnermost\r\n")


def wide(n):
    return (b"From: a@example.org\r\nSubject: wide\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            + b"".join(b"--b\r\nContent-Type: application/x; name=\"f%d\"\r\nContent-Disposition: attachment\r\n\r\nx\r\n" % i
                       for i in range(n)) + b"--b--\r\n")


def head(line, subject):
    return b"Subject: " + subject + b"\r\n" + line + b"\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\nbody\r\n"


def folded(text, width=70):
    return b"\r\n ".join(text[i:i + width] for i in range(0, len(text), width))


MAILS = {
    "nested parts": lambda: nested_parts(2000),
    "nested messages": lambda: nested_messages(2000),
    "wide": lambda: wide(2000),
    "brackets": lambda: head(b"From: " + folded(b"(" * 10000) + b" a@example.org", b"brackets"),
    "angles": lambda: head(b"From: " + folded(b"<" * 10000) + b"a@example.org" + folded(b">" * 10000), b"angles"),
    "groups": lambda: head(b"From: a@example.org\r\nTo: " + b",\r\n ".join(b"g%d: a%d@example.org;" % (i, i) for i in range(5000)), b"groups"),
    "open groups": lambda: head(b"From: a@example.org\r\nTo: " + folded(b"g:" * 5000), b"open groups"),
    "quotes": lambda: head(b"From: " + folded(b'"' * 9999) + b" <a@example.org>", b"quotes"),
    "words": lambda: head(b"From: a@example.org\r\nX-A: " + b"\r\n ".join([b"=?utf-8?q?=C3?="] * 5000), b"words"),
    "comments": lambda: head(b"From: a@example.org\r\nDate: " + folded(b"(" * 5000), b"comments"),
    "parameters": lambda: head(b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/plain;\r\n " + b";\r\n ".join(
        b"name*%d*=utf-8''%%41" % i for i in range(4000)), b"parameters"),
    "html": lambda: head(b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/html", b"html") + b"<div><table><tr><td><b>" * 40000,
    "entities": lambda: head(b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/html", b"entities") + b"&#x41;&amp&;<!--" * 40000,
    "charset": lambda: head(b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=\"" + b"x" * 900 + b"\"", b"charset")
    + bytes(range(128, 256)) * 500,
    "base64": lambda: head(b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64", b"base64")
    + b"=A=B!" * 20000,
    "references": lambda: head(b"From: a@example.org\r\nReferences: " + b"\r\n ".join([b"<%040d@x>" % i for i in range(4000)]), b"references"),
    "boundary": lambda: b"From: a@example.org\r\nSubject: boundary\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"\"\r\n\r\n"
    + b"--\r\n" * 20000,
    "calendar": lambda: head(b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/calendar; method=REQUEST", b"calendar")
    + b"BEGIN:VCALENDAR\r\n" * 10000,
    "nothing": lambda: b"\r\n",
}


@cases(WORLDS, timeout=180)
def hostile_mails(make):
    """Delivered as any mail; every phone gets each of them, in every form."""
    w = make()
    user = "erin"
    box = []
    phone = w.phone(user)
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    with Bystander(w):
        for name, mail in MAILS.items():
            w.deliver(user, mail())
            box.append(name)
        start = time.monotonic()
        items = dict(phone.pull(inbox, window=4))
        equal(len(items), len(box), "all of them, once")
        check(time.monotonic() - start < 30 * SLOW, "the Sync of %d mails took %.1f s" % (len(box), time.monotonic() - start))
        for item in items:
            for kind in (1, 2, 4):
                reply = phone.fetch_item(inbox, item, type=kind, size=20000 if kind != 4 else None, mime=2 if kind == 4 else None)
                equal((reply.status, reply.get("Status"), reply.get("Response/Fetch/Status")), (200, "1", "1"),
                      "%s as %d: %r" % (items[item].get("Subject"), kind, reply))
                check(reply.seconds < 5 * SLOW, "%s as %d took %.1f s" % (items[item].get("Subject"), kind, reply.seconds))
        for version in ("2.5", "12.1"):
            old = w.phone(user, version=version)
            old.pull(inbox, window=10)
            equal(len(old.items[inbox]), len(box))
        reply = phone.smart_forward(message(subject="fwd", sender="erin@example.org", to="carol@example.org"), inbox,
                                    phone.item_with(inbox, "nested parts")) if make is WORLDS[1][1] else None
        check(reply is None or (reply.status, reply.body) == (200, b""), repr(reply))
        for item in list(items)[:5]:
            phone.sync_folder(inbox, phone.change(item, el("Email:Read", "1")), get_changes="1")
        for item in items:
            phone.sync_folder(inbox, phone.delete(item), get_changes="0", deletes_as_moves="0")
    equal(w.subjects(user), [])


@case
def hostile_mails_sent_by_a_phone():
    w = shared(LocalWorld, QUICK)
    with Bystander(w):
        for version in ("12.1", "14.1"):
            phone = w.phone("alice", version=version)
            for name, make in MAILS.items():
                mail = make()
                if b"\nTo:" not in mail:
                    mail = b"To: dave@example.org\r\n" + mail
                reply = phone.send_mail(mail, save=False)
                check(reply.status in (200, 400, 500, 503) and (reply.status == 200 or version == "12.1"), "%s: %r" % (name, reply))
                check(reply.doc is None or reply.get("Status") in ("102", "107", "115", "118", "119", "120"), "%s: %r" % (name, reply))
                check(reply.seconds < 5 * SLOW)


if __name__ == "__main__":
    main()
