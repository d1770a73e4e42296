#!/usr/bin/python3
"""make dev: real neighbours and the address-sanitizer zpushd beside them, until
Ctrl-C. Everything lives in one private directory on free ports."""
import os
import signal
import sys
import time
from contextlib import ExitStack

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "e2e"))

import case  # noqa: E402
from env import DOMAIN, Dovecot, Postfix, Redis, ServiceMissing  # noqa: E402
from zpushd import Zpushd  # noqa: E402


def settings(imap, smtp, redis):
    return {"backend.mail": "imap", "imap.url": imap.imap_url, "store.url": redis.url, "user.address": "%n@" + DOMAIN,
            "log.level": "debug", **({"smtp.url": smtp.url} if smtp else {})}


def show(imap, smtp, redis, server):
    rows = [("accounts", ", ".join("%s / %s" % pair for pair in imap.accounts.items())),
            ("ActiveSync", "%s  %s" % (server.url, server.https_url)),
            ("admin", "%s  token admin-token" % server.admin_url),
            ("notify", server.notify_url),
            ("IMAP", "%s  %s" % (imap.imap_url, imap.imaps_url)),
            ("LMTP", "127.0.0.1:%d" % imap.lmtp_port),
            ("SMTP", "%s  %s  %s" % (smtp.url, smtp.starttls_url, smtp.smtps_url) if smtp else "(Postfix cannot run here)"),
            ("Redis", redis.url),
            ("zpushd", "%s -c %s   log %s" % (server.binary, server.config, server.log)),
            ("Dovecot", "doveadm -c %s   log %s" % (imap.config, imap.log)),
            ("CA", imap.certs.ca)]
    for name, value in rows:
        print("%-11s %s" % (name, value))
    print("\nCtrl-C stops everything. SIGHUP to %d reloads zpushd.\n" % server.process.pid)


def main():
    os.environ.setdefault("ZPUSHD_BIN", os.path.join(case.ROOT, "build", "address", "zpushd"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        imap, redis = stack.enter_context(Dovecot()), stack.enter_context(Redis())
        try:
            smtp = stack.enter_context(Postfix(imap))
        except ServiceMissing as e:
            print("note: %s" % e)
            smtp = None
        imap.deliver("alice", subject="Welcome", text="Sent by make dev.\r\n")
        server = stack.enter_context(Zpushd(settings(imap, smtp, redis)))
        show(imap, smtp, redis, server)
        follow(server)


def follow(server):
    """Prints zpushd's log until Ctrl-C or its end."""
    with open(server.log, errors="replace") as log:
        try:
            while server.process.poll() is None:
                line = log.readline()
                if line:
                    print(line, end="", flush=True)
                else:
                    time.sleep(0.2)
            print("zpushd ended with status %s" % server.process.returncode)
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
