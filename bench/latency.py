#!/usr/bin/python3
"""make bench-latency: from the delivered mail to the answered Ping, through each source
of push. A phone waits in Ping on a real Dovecot (inotify: on the embedded default); a
mail is delivered; the clock runs from the moment when the delivery is done (LMTP: the
server said 250; Redis: PUBLISH was answered; inotify: rename returned) to the last byte
of the answer. `post` times POST /notify alone, from sending it."""
import argparse
import base64
import json
import os
import socket
import smtplib
import sys
import time

from rig import OPEN, heading, local_server, PASSWORD

from env import DOMAIN, message  # noqa: E402
from phone import Phone  # noqa: E402
from wbxml import decode, el, encode  # noqa: E402
from world import ImapWorld  # noqa: E402

SETTINGS = dict(OPEN, **{"push.min_interval": "0s", "server.workers": 8})


class Waiting:
    """One parked Ping on a raw socket, so that no thread stands between answer and clock."""

    def __init__(self, phone, inbox):
        self.phone, self.inbox = phone, inbox
        self.body = encode(el("Ping:Ping", el("HeartbeatInterval", "900"), el("Folders", el("Folder", el("Id", inbox),
                                                                                           el("Class", "Email")))))
        self.socket = None

    def send(self):
        if self.socket is None:
            self.socket = socket.create_connection((self.phone.url.hostname, self.phone.url.port), 30)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = ["POST %s HTTP/1.1" % self.phone.target("Ping"), "Host: bench", "Content-Type: application/vnd.ms-sync.wbxml",
                "Content-Length: %d" % len(self.body)] + ["%s: %s" % h for h in self.phone.headers().items()]
        self.socket.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + self.body)

    def answered(self):
        """Waits for the whole answer; -> when its last byte was read."""
        data = b""
        while True:
            data += self.socket.recv(65536)
            at = time.perf_counter()
            head, blank, body = data.partition(b"\r\n\r\n")
            if blank and len(body) >= int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
                break
            if not data:
                raise RuntimeError("the server closed the connection")
        status = decode(body).get("Status")
        if status != "2":
            raise RuntimeError("Ping answered status %s" % status)
        return at


def series(name, phone, server, deliver, rounds, aim):
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    waiting = Waiting(phone, inbox)
    took = []
    for n in range(rounds + 3):
        waiting.send()
        end = time.monotonic() + 10
        while server.metric("zpushd_parked") < 1 and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(0.25 if n else 2)     # the source is armed, its own check is over
        began = deliver(n)
        took.append((waiting.answered() - began) * 1e3)
        phone.pull(inbox)
    waiting.socket.close()
    took = sorted(took[3:])
    print("%-8s p50 %7.2f ms, p99 %7.2f ms, most %7.2f ms over %d deliveries%s" % (
        name, took[len(took) // 2], took[int(len(took) * 0.99)], took[-1], len(took), aim), flush=True)


class Lmtp:
    """One kept connection to Dovecot; -> the time of its 250."""

    def __init__(self, imap):
        self.imap, self.client = imap, None

    def __call__(self, n):
        mail = message(subject="mail %d" % n, to="alice@" + DOMAIN)
        client = smtplib.LMTP("127.0.0.1", self.imap.lmtp_port, timeout=20)
        client.sendmail("bob@" + DOMAIN, ["alice@" + DOMAIN], mail)
        at = time.perf_counter()
        client.close()
        return at


def imap_world(sources, **kw):
    return ImapWorld(dict(SETTINGS, **{"push.sources": sources}), **kw)


def by_hook(o):
    """Dovecot's own event exporter posts."""
    from zpushd import Zpushd  # the address of the notify listener is wanted before Dovecot starts
    from env import free_port
    port = free_port()
    with imap_world(["hook"], dovecot={"exporter": "http://zpushd:notify-token@127.0.0.1:%d/notify" % port}) as world:
        world.zpushd.stop()
        world.zpushd.settings["push.notify_listen"] = "127.0.0.1:%d" % port
        world.zpushd.write_config()
        world.zpushd.start()
        series("hook", world.phone("alice"), world.zpushd, Lmtp(world.imap), o.rounds, "   (aim 2, 10)")


def by_post(o):
    """A hook of one's own: the clock starts when POST /notify is sent, the mail is there."""
    with imap_world(["hook"]) as world:
        lmtp, z = Lmtp(world.imap), world.zpushd

        def deliver(n):
            lmtp(n)
            body = json.dumps({"user": "alice", "folder": "INBOX"}).encode()
            s = socket.create_connection(("127.0.0.1", z.notify_port))
            at = time.perf_counter()
            s.sendall(b"POST /notify HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer notify-token\r\n"
                      b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            s.close()
            return at

        series("post", world.phone("alice"), z, deliver, o.rounds, "   (aim 2, 10)")


def by_redis(o):
    with imap_world(["hook"]) as world:
        lmtp, s = Lmtp(world.imap), socket.create_connection(("127.0.0.1", int(world.redis.url.split(":")[2].split("/")[0])))

        def deliver(n):
            lmtp(n)
            text = json.dumps({"folder": "INBOX"})
            words = [["MULTI"], ["INCR", "zpush:gen:{alice}"], ["PUBLISH", "zpush:push:{alice}", text], ["EXEC"]]
            at = time.perf_counter()
            s.sendall(b"".join(b"*%d\r\n" % len(w) + b"".join(b"$%d\r\n%s\r\n" % (len(x), x.encode()) for x in w)
                               for w in words))
            data = b""
            while data.count(b":") < 2:
                data += s.recv(4096)
            return at

        series("redis", world.phone("alice"), world.zpushd, deliver, o.rounds, "   (aim 2, 10)")


def by_imap(o, name, without):
    """Dovecot itself gathers changes for 500 ms before it tells an IDLE client."""
    with imap_world(["notify", "idle"], dovecot={"without": without}) as world:
        series(name, world.phone("alice"), world.zpushd, Lmtp(world.imap), o.rounds,
               "   (of it up to 500 ms Dovecot's own)")


def by_inotify(o):
    with local_server(1, SETTINGS) as server:
        phone = Phone(server.url, "user1", PASSWORD)
        phone.provision()
        phone.folder_sync()
        box = None
        for root, dirs, _ in os.walk(os.path.join(server.data_dir, "mail")):
            if "new" in dirs and "/." not in root[len(server.data_dir):]:
                box = root
                break

        def deliver(n):
            name = "%d.%d.bench" % (time.time(), time.time_ns())
            with open(os.path.join(box, "tmp", name), "wb") as f:
                f.write(message(subject="mail %d" % n, to="user1"))
            os.rename(os.path.join(box, "tmp", name), os.path.join(box, "new", name))
            return time.perf_counter()

        series("inotify", phone, server, deliver, o.rounds, "")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--rounds", type=int, default=200)
    p.add_argument("--only")
    o = p.parse_args()
    heading("delivery -> Ping answered")
    for name, run in (("hook", by_hook), ("post", by_post), ("redis", by_redis), ("inotify", by_inotify),
                      ("notify", lambda x: by_imap(x, "notify", ())),
                      ("idle", lambda x: by_imap(x, "idle", ("NOTIFY",)))):
        if o.only in (None, name):
            run(o)


if __name__ == "__main__":
    sys.exit(main())
