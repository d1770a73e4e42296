"""The neighbours themselves: each starts, does its part, and ends."""
import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from case import case, check, contains, equal, main, raises, shared  # noqa: E402
from env import Dovecot, HttpSink, MailSink, Postfix, Proxy, Redis, message, poll  # noqa: E402
from env.redis import RedisError  # noqa: E402


@case
def dovecot_delivers_by_lmtp_and_shows_by_imap():
    imap = shared(Dovecot)
    imap.deliver("alice", subject="by lmtp")
    equal(imap.subjects("alice"), ["by lmtp"])


@case
def dovecot_takes_every_account_by_tls_too():
    imap = shared(Dovecot)
    for user in imap.accounts:
        imap.imap(user, tls=user == "carol").logout()


@case
def dovecot_refuses_a_wrong_password():
    imap = shared(Dovecot)
    imap.accounts["mallory"] = "no such account"
    try:
        raises(Exception, imap.imap, "mallory")
    finally:
        del imap.accounts["mallory"]


@case
def dovecot_hides_capabilities():
    with Dovecot(without=("CONDSTORE", "QRESYNC", "MOVE", "UIDPLUS", "NOTIFY", "SPECIAL-USE")) as imap:
        client = imap.imap("bob")
        words = client.capability()[1][0].decode().split()
        client.logout()
        equal([w for w in imap.without if w in words], [])
        contains(words, "IDLE")


@case
def dovecot_prefixes_a_namespace():
    with Dovecot(prefix="INBOX.", separator=".") as imap:
        client = imap.imap("bob")
        names = b" ".join(client.list()[1])
        client.logout()
        contains(names, b"INBOX.Sent")


@case
def dovecot_posts_its_events():
    with HttpSink() as sink, Dovecot(exporter=sink.url.replace("//", "//zpushd:token@") + "/notify") as imap:
        imap.deliver("alice", subject="event")
        sink.wait(2)
        client = imap.imap("alice")
        client.select("INBOX")
        client.uid("STORE", "1", "+FLAGS", "(\\Seen)")
        client.logout()
        sink.wait(3)
        events = [json.loads(body) for _, _, _, body in sink.requests]
        equal(sorted(e["event"] for e in events),
              ["imap_command_finished", "mail_delivery_finished", "mail_user_session_finished"])
        store = [e for e in events if e["event"] == "imap_command_finished"][0]["fields"]
        equal((store["user"], store["mailbox"], store["cmd_name"]), ("alice", "INBOX", "UID STORE"))
        equal(sink.requests[0][2]["Authorization"], "Basic enB1c2hkOnRva2Vu")


@case
def redis_keeps_data_over_a_crash():
    with Redis(password="s3cret") as redis:
        redis.command("SET", "k", "v")
        redis.kill()
        raises(OSError, redis.command, "GET", "k")
        redis.start()
        equal(redis.command("GET", "k"), b"v")
        redis.flush()
        equal(redis.keys(), [])
        redis.pause()
        raises(socket.timeout, redis.command, "PING", timeout=0.2)
        redis.resume()
        equal(redis.command("PING"), b"PONG")
        redis.password = "wrong"
        raises(RedisError, redis.command, "PING")
        redis.password = "s3cret"


@case
def postfix_delivers_in_every_way():
    imap = shared(Dovecot)
    smtp = shared(Postfix, imap)
    smtp.deliver("erin", subject="plain")
    for way in ("plain", "starttls", "smtps"):
        client = smtp.login("carol", way)
        client.sendmail("carol@example.org", ["erin@example.org"], message(subject=way))
        client.quit()
    poll(lambda: len(imap.subjects("erin")) == 4, what="four mails")
    equal(sorted(imap.subjects("erin")), ["plain", "plain", "smtps", "starttls"])


@case
def postfix_refuses_strangers():
    smtp = shared(Postfix, shared(Dovecot))
    raises(Exception, smtp.deliver, "nobody")
    client = smtp.login("bob", "plain")
    raises(Exception, client.sendmail, "bob@example.org", ["x@elsewhere.example"], message())
    client.close()


@case
def postfix_hands_other_domains_to_a_sink():
    with MailSink() as sink, Postfix(shared(Dovecot), sink=sink) as smtp:
        client = smtp.login("bob")
        client.sendmail("bob@example.org", ["x@elsewhere.example"], message(subject="out"))
        client.quit()
        (sender, rcpts, data), = sink.wait()
        equal((sender, rcpts), ("bob@example.org", ["x@elsewhere.example"]))
        contains(data, b"Subject: out")


@case
def proxy_delays_cuts_injects_and_counts():
    imap = shared(Dovecot)
    with Proxy(imap.imap_port) as proxy:
        def dial():
            s = socket.create_connection(("127.0.0.1", proxy.port), 5)
            f = s.makefile("rwb")
            return s, f
        s, f = dial()
        contains(f.readline(), b"Dovecot")
        for _ in range(3):
            f.write(b"a NOOP\r\n")
            f.flush()
            contains(f.readline(), b"a OK")
        equal((proxy.connections, proxy.turns, proxy.up), (1, 3, 24))
        proxy.delay = 0.2
        start = time.monotonic()
        f.write(b"a NOOP\r\n")
        f.flush()
        f.readline()
        check(time.monotonic() - start > 0.35)
        proxy.heal()
        proxy.inject(b"* garbage\r\n")
        f.write(b"a NOOP\r\n")
        f.flush()
        equal(f.readline(), b"* garbage\r\n")
        f.readline()
        proxy.cut(down=4)
        f.write(b"a NOOP\r\n")
        f.flush()
        equal(f.read(), b"a OK")
        proxy.heal()
        s, f = dial()
        f.readline()
        proxy.hang = True
        s.settimeout(0.3)
        f.write(b"a NOOP\r\n")
        f.flush()
        raises(socket.timeout, f.readline)
        proxy.drop()
        proxy.heal()
        proxy.refuse = True
        s, f = dial()
        equal(f.readline(), b"")


if __name__ == "__main__":
    main()
