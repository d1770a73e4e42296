#!/usr/bin/python3
"""make bench-sync: first Sync of an INBOX of MAILS (1,000) messages by windows of 100
on a real Dovecot: round trips on IMAP (zpushd's counter, and turns of a proxy in
between), bytes, processor time of zpushd a message; then Syncs that find nothing, with
the change counter trusted (push.sources = hook) and without."""
import argparse
import random
import time

from rig import OPEN, Fleet, cpu_fine, heading

from env import DOMAIN, Proxy, message  # noqa: E402
from world import ImapWorld  # noqa: E402


def mails(count, seed=1):
    """Text of 1 to 6 KB, every fourth with an HTML part, every tenth with an attachment."""
    r = random.Random(seed)
    words = "the mail of a day has words and some of them are long enough to wrap over a line".split()
    for n in range(count):
        text = "\r\n".join(" ".join(r.choice(words) for _ in range(12)) for _ in range(r.randint(15, 90))) + "\r\n"
        fields = {"subject": "mail %04d" % n, "to": "alice@" + DOMAIN, "text": text, "date": time.time() - 60 * (count - n)}
        if n % 4 == 0:
            fields["html"] = "<html><body><p>%s</p></body></html>" % text.replace("\r\n", "<br>\r\n")
        if n % 10 == 0:
            fields["attachments"] = [("data.bin", bytes(r.randrange(256) for _ in range(20000)))]
        yield make(fields)


def make(fields):
    from email.message import EmailMessage
    from email.policy import SMTP
    from email.utils import formatdate
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = "Bob <bob@%s>" % DOMAIN, fields["to"], fields["subject"]
    m["Date"], m["Message-ID"] = formatdate(fields["date"]), "<%s@bench>" % fields["subject"].replace(" ", "")
    m.set_content(fields["text"])
    if "html" in fields:
        m.add_alternative(fields["html"], subtype="html")
    for name, data in fields.get("attachments", ()):
        m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return m.as_bytes(policy=SMTP)


class Count:
    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.before = self.now()
        return self

    def now(self):
        s = self.server
        return {"imap": s.metric("zpushd_backend_round_trips_total"), "store": s.metric("zpushd_store_round_trips_total"),
                "cpu": cpu_fine(s.process.pid)}

    def __exit__(self, *exc):
        after = self.now()
        for k in after:
            setattr(self, k, after[k] - self.before[k])


def first_sync(world, o, device):
    """A warm login, so that it is the Sync that is counted; -> (Count, counts of the fleet)"""
    with Count(world.zpushd) as c:
        with Fleet(world.zpushd.http_port, 1, 1, user="alice", password=world.accounts["alice"], device=device,
                   window=100, truncation=o.truncation) as fleet:
            parked = fleet.parked
    return c, parked


def resync(world, o, device, count):
    with Fleet(world.zpushd.http_port, 1, 1, user="alice", password=world.accounts["alice"], device=device, window=100,
               truncation=o.truncation) as fleet:
        fleet("sync 2")
        time.sleep(0.5)
        with Count(world.zpushd) as c:
            fleet("sync %d" % count)
        return c


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--mails", type=int, default=1000)
    p.add_argument("--truncation", type=int, default=1024)
    p.add_argument("--syncs", type=int, default=100)
    o = p.parse_args()
    for hook in (True, False):
        settings = dict(OPEN, **{"push.sources": ["hook"] if hook else ["notify", "idle"]})
        with ImapWorld(settings) as world:
            heading("Dovecot, Redis, " + ("the hook is promised" if hook else "no hook"))
            world.append_many("alice", list(mails(o.mails)))
            if hook:
                first_sync(world, o, "warm%u")
                for n in range(3):
                    c, fleet = first_sync(world, o, "sync%d-%%u" % n)
                    w = fleet["windows"]
                    print("first Sync: %d messages in %d windows, %.2f s; processor %.2f ms a message = %.0f messages a "
                          "second and core;\n   IMAP round trips %d = %.2f a window; store %.2f a request; "
                          "%.1f KB of WBXML a window" % (
                              fleet["items"], w, fleet["seconds"], c.cpu / fleet["items"] * 1e3, fleet["items"] / c.cpu,
                              c.imap, c.imap / w, c.store / (fleet["replies"] + 1), fleet["body_bytes"] / w / 1e3))
            c = resync(world, o, "again%u", o.syncs)
            print("Sync without changes: IMAP round trips %.2f, store %.2f, processor %.0f us" % (
                c.imap / o.syncs, c.store / o.syncs, c.cpu / o.syncs * 1e6))
            if hook:
                through_proxy(world, o, settings)


def through_proxy(world, o, settings):
    """What goes over the wire to Dovecot; the proxy is slow, so only counts are looked at."""
    from zpushd import Zpushd
    with Proxy(world.imap.imap_port) as proxy:
        server = Zpushd(dict(world.zpushd.settings, **{
            "imap.url": "imap://127.0.0.1:%d" % proxy.port, "server.data_dir": None, **settings}))
        server.settings["server.data_dir"] = server.data_dir
        for key, port in (("server.listen", server.http_port), ("server.listen_tls", server.https_port)):
            server.settings[key] = ["127.0.0.1:%d" % port]
        server.settings["admin.listen"] = "127.0.0.1:%d" % server.admin_port
        server.settings["push.notify_listen"] = "127.0.0.1:%d" % server.notify_port
        with server:
            proxy.count_reset()
            with Fleet(server.http_port, 1, 1, user="alice", password=world.accounts["alice"], device="proxied%u",
                       window=100, truncation=o.truncation) as fleet:
                w, items = fleet.parked["windows"], fleet.parked["items"]
            print("on the wire to Dovecot, login and folder list included: %d turns in %d windows, up %.1f KB, down "
                  "%.1f KB = %.0f bytes a message" % (proxy.turns, w, proxy.up / 1e3, proxy.down / 1e3, proxy.down / items))


if __name__ == "__main__":
    main()
