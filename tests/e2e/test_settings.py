"""Settings whose work shows only from outside: rules per client family, the
growth fuse, limits of connections, packed replies, the container's demand."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import case, check, equal, main, shared  # noqa: E402
from env import poll  # noqa: E402
from world import ImapWorld, LocalWorld  # noqa: E402

RULES = """
[[client]]
name = "small"
type = "Small*"
max_version = "14.0"
heartbeat_max = "5m"
window = 3
truncation = "1K"
"""


class Ruled(LocalWorld):
    def __init__(self):
        super().__init__(toml=RULES)


def admin(w, *words):
    run = subprocess.run([w.zpushd.binary, "-c", w.zpushd.config, "admin", *words], env=w.zpushd.env, capture_output=True,
                         text=True, timeout=20)
    equal(run.returncode, 0, run.stderr)
    return run.stdout


@case
def a_client_rule_is_heeded_and_reloaded():
    w = shared(Ruled)
    w.fill("alice", 8, text="x" * 5000 + "\r\n")
    phone = w.phone("alice", device_type="Small1", version="14.0")
    equal(phone.post("FolderSync", method="OPTIONS").headers["MS-ASProtocolVersions"], "2.5,12.0,12.1,14.0")
    inbox = phone.folder_id(type=2)
    phone.sync_folder(inbox)
    reply = phone.sync_folder(inbox, window=100, options={"type": 1})
    adds = reply.all("Collections/Collection/Commands/Add")
    equal(len(adds), 3, "the rule's window")
    for add in adds:
        equal(add.get("ApplicationData/Body/Truncated"), "1")
        equal(len(add.get("ApplicationData/Body/Data")), 1024)
    ping = phone.ping([inbox], heartbeat=900)
    equal((ping.get("Status"), ping.get("HeartbeatInterval")), ("5", "300"))
    check(w.bare_phone("alice", device_type="Small1", version="14.1").folder_sync().status == 400, "14.1 is served")
    other = w.bare_phone("alice", device_type="Large")
    equal(other.post("FolderSync", method="OPTIONS").headers["MS-ASProtocolVersions"], "2.5,12.0,12.1,14.0,14.1")

    w.zpushd.toml = RULES.replace("window = 3", "window = 2")
    w.zpushd.write_config()
    w.zpushd.process.send_signal(signal.SIGHUP)
    poll(lambda: w.zpushd.log_lines("reload"), 10)
    reply = phone.sync_folder(inbox, window=100)
    equal(len(reply.all("Collections/Collection/Commands/Add")), 2, "the window after SIGHUP")


@case
def replies_are_packed_for_who_asks():
    w = shared(Plain)
    w.fill("alice", 20, text="the same words again and again\r\n" * 50)
    plain, packed = w.phone("alice"), w.phone("alice")
    packed.gzip = True
    replies = []
    for phone in (plain, packed):
        inbox = phone.folder_id(type=2)
        phone.sync_folder(inbox)
        replies.append(phone.sync_folder(inbox, window=20, options={"type": 1}))
    equal([len(r.all("Collections/Collection/Commands/Add")) for r in replies], [20, 20])
    equal([r.headers.get("Content-Encoding") for r in replies], [None, "gzip"])
    check(replies[1].wire * 4 < replies[0].wire, "%d bytes packed, %d plain" % (replies[1].wire, replies[0].wire))
    equal(packed.folder_sync().headers.get("Content-Encoding"), None, "a small reply")


class Plain(LocalWorld):
    pass


@case
def a_folder_for_notes_is_no_mail_folder():
    w = shared(ImapWorld, {"imap.notes": "Notes", "limits.dns_cache": "0s"}, store="embedded")
    w.create_folder("alice", "Notes")
    w.create_folder("alice", "Others")
    names = [f["DisplayName"] for f in w.phone("alice").folders.values()]
    equal(("Notes" in names, "Others" in names), (False, True))


@case
def a_container_demands_a_store():
    w = shared(Plain)
    env = dict(w.zpushd.env, ZPUSHD_CONTAINER="1")
    empty = os.path.join(w.zpushd.dir, "empty")     # no zpushd.toml lies here
    os.mkdir(empty)
    words = [w.zpushd.binary, "--set", "server.listen=127.0.0.1:0", "--set", "server.data_dir=" + w.zpushd.dir + "/none"]
    run = subprocess.run(words, env=env, cwd=empty, capture_output=True, text=True, timeout=20)
    check(run.returncode == 1 and "ZPUSHD_STORE_URL" in run.stderr, "%d %s" % (run.returncode, run.stderr))
    check(not os.path.exists(w.zpushd.dir + "/none"), "it made a data directory before it refused")
    env["ZPUSHD_STORE_URL"] = "embedded:"
    run = subprocess.run(words[:1] + ["--check"], env=env, cwd=empty, capture_output=True, text=True, timeout=20)
    equal(run.returncode, 0, run.stderr)


@case
def stats_are_those_of_the_running_server():
    w = shared(Plain)
    w.phone("bob")
    stats = json.loads(admin(w, "stats", "--json"))
    check(stats["requests_total"] >= 3 and stats["connections_total"] >= 1, repr(stats))
    check(any(line.split()[:1] == ["parked"] for line in admin(w, "stats").splitlines()), "no line of parked")


class Fused(LocalWorld):
    def __init__(self):
        super().__init__({"limits.fuse_requests": 12})


@case
def a_hot_loop_is_slowed_and_marked():
    w = shared(Fused)
    phone = w.phone("alice")
    for _ in range(20):
        reply = phone.folder_sync()
        if reply.status == 503:
            break
    equal(reply.status, 503)
    check(0 < int(reply.headers["Retry-After"]) <= 60, reply.headers["Retry-After"])
    for _ in range(5):
        equal(phone.folder_sync().status, 503)
    equal(len(w.zpushd.log_lines("event=device_slowed", phone.device_id)), 1)
    equal(w.phone("bob").folder_sync().status, 200)
    seen = json.loads(admin(w, "devices", "--json"))
    equal([d["slowed"] for d in seen if d["device"] == phone.device_id], ["requests"])


if __name__ == "__main__":
    main()
