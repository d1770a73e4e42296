"""What an admin does and sees: zpushd admin, traces, signals, secrets, the crash
ring, and what wrong settings are answered with."""
import glob
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import case as case_module  # noqa: E402
from case import ROOT, SLOW, case, cases, check, contains, equal, main, shared  # noqa: E402
from env import Certificates, message, poll  # noqa: E402
from wbxml import el, encode  # noqa: E402
from world import ImapWorld, LocalWorld  # noqa: E402

QUICK = {"push.heartbeat_min": "1s", "push.min_interval": "0s"}


def admin(server, *words, code=0):
    run = subprocess.run([server.binary, "-c", server.config, "admin", *words], capture_output=True, text=True,
                         timeout=20 * SLOW, env=server.env, cwd=server.dir)
    equal(run.returncode, code, "%s: %s%s" % (" ".join(words), run.stdout, run.stderr))
    return run.stdout if code == 0 else run.stderr


def imap():
    return shared(ImapWorld, QUICK, store="redis")


def local():
    return shared(LocalWorld, QUICK)


BOTH = [("redis", imap), ("embedded", local)]


def parked(w, phone, folders, heartbeat=120):
    """A Ping that waits for sure."""
    before = len(w.zpushd.log_lines("cmd=Ping", "dev=" + phone.device_id, "verdict=park"))
    ping = phone.ping(folders, heartbeat=heartbeat, wait=False)
    poll(lambda: len(w.zpushd.log_lines("cmd=Ping", "dev=" + phone.device_id, "verdict=park")) > before, 10 * SLOW,
         what="the Ping parked")
    return ping


# --- devices ----------------------------------------------------------------------------

@cases(BOTH)
def devices_are_listed(make):
    w = make()
    phone = w.phone("alice", device_id="Listed1", device_type="iPhone", agent="Apple-iPhone/1")
    phone.pull(phone.folder_id(type=2))
    w.phone("bob", device_id="Listed2", version="12.1")
    text = admin(w.zpushd, "devices")
    line = next(x for x in text.splitlines() if "Listed1" in x)
    for word in ("alice", "iPhone", "14.1", "allowed"):
        contains(line, word)
    found = {d["device"]: d for d in json.loads(admin(w.zpushd, "devices", "--json"))}
    equal((found["Listed2"]["user"], found["Listed2"]["version"], found["Listed2"]["wipe"]), ("bob", "12.1", "none"))
    equal(found["Listed1"]["agent"], "Apple-iPhone/1")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["Listed1"]["last_sync"]), found["Listed1"])
    only = json.loads(admin(w.zpushd, "devices", "--json", "bob"))
    equal({d["user"] for d in only}, {"bob"})
    contains(admin(w.zpushd, "wipe", "no-such-device", code=1), "no such device")
    contains(admin(w.zpushd, "nonsense", code=2), "usage")


# --- remote wipe ---------------------------------------------------------------------------

def refused(phone, reply):
    if float(phone.version) >= 14:
        return reply.status == 200 and reply.get("Status") == "140" and len(reply.doc.children) == 1
    return reply.status in (403, 449) and not reply.body.startswith(b"\x03")


@cases([(v + "_" + s, v, make) for v, s, make in (("2.5", "redis", imap), ("12.1", "redis", imap), ("14.1", "redis", imap),
                                                  ("2.5", "embedded", local), ("14.1", "embedded", local))])
def from_the_order_on_nothing_leaves(version, make):
    w = make()
    w.deliver("alice", subject="confidential")
    phone = w.phone("alice", version=version)
    other = w.phone("alice", version=version)
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    item = phone.item_with(inbox, "confidential")
    ping = parked(w, phone, [inbox])
    admin(w.zpushd, "wipe", phone.device_id)
    ended = ping.result(5 * SLOW)
    check(refused(phone, ended), "the waiting Ping: %r" % ended)
    mail = message(subject="out", sender="alice@example.org", to="bob@example.org")
    replies = {"FolderSync": phone.folder_sync("0"), "Sync": phone.sync_folder(inbox, get_changes="1"),
               "Ping": phone.ping([inbox], heartbeat=2), "Estimate": phone.estimate(inbox),
               "Move": phone.move([(item, inbox, phone.folder_id(type=4))]), "Create": phone.folder_create("x" + phone.device_id),
               "Send": phone.send_mail(mail)}
    if float(version) >= 12:
        replies["Fetch"] = phone.fetch_item(inbox, item)
        replies["Settings"] = phone.settings(el("UserInformation", el("Get")))
    for command, reply in replies.items():
        check(refused(phone, reply), "%s after the order: %r" % (command, reply))
        check(b"confidential" not in reply.body)
    check("out" not in (w.subjects("bob") or []))
    check("confidential" in w.subjects("alice"))
    equal(other.folder_sync().get("Status"), "1", "another device of the user")
    told = phone.post("Provision", el("Provision:Provision"), headers={"X-MS-PolicyKey": "0"})
    check(told.doc is not None and told.doc.find("RemoteWipe") is not None, "no order in %r" % told)
    done = phone.post("Provision", el("Provision:Provision", el("RemoteWipe", el("Status", "1"))),
                      headers={"X-MS-PolicyKey": "0"})
    equal(done.get("Status"), "1", repr(done))
    found = {d["device"]: d for d in json.loads(admin(w.zpushd, "devices", "--json"))}
    equal(found[phone.device_id]["wipe"], "acknowledged")
    again = w.phone("alice", version=version, device_id=phone.device_id)     # bought back, set up anew
    again.pull(again.folder_id(type=2))


@case
def a_waiting_sync_is_ended_by_the_order_too():
    w = imap()
    phone = w.phone("bob")
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    waiting = phone.later(phone.sync, phone.collection(inbox, get_changes="1"), wait=1, apply=False, timeout=90)
    poll(lambda: w.zpushd.log_lines("cmd=Sync", "dev=" + phone.device_id, "verdict=park"), 10 * SLOW, what="parked")
    admin(w.zpushd, "wipe", phone.device_id)
    check(refused(phone, waiting.result(5 * SLOW)))
    admin(w.zpushd, "unwipe", phone.device_id)
    equal(phone.folder_sync().get("Status"), "1")


# --- the wire trace ---------------------------------------------------------------------------

def trace_of(w, device):
    path = os.path.join(w.zpushd.data_dir, "trace", device + ".log")
    with open(path) as f:
        return f.read(), os.stat(path).st_mode & 0o777


@cases(BOTH)
def a_device_is_traced_while_the_server_runs(make):
    w = make()
    w.deliver("alice", subject="seen on the wire")
    phone, other = w.phone("alice"), w.phone("alice")
    device = phone.device_id
    path = admin(w.zpushd, "trace", "on", device).strip()
    contains(path, device)
    equal(admin(w.zpushd, "trace").split(), [device])
    equal(json.loads(admin(w.zpushd, "trace", "--json")), [device])
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    other.pull(inbox)
    phone.settings(el("DevicePassword", el("Set", el("Password", "4711-recovery"))))
    ping = parked(w, phone, [inbox])
    w.deliver("alice", subject="and this")
    equal(ping.result(10 * SLOW).get("Status"), "2")
    phone.post("FolderSync", encode(el("FolderHierarchy:FolderSync", el("SyncKey", "0")))[:-2])
    admin(w.zpushd, "trace", "off", device)
    equal(admin(w.zpushd, "trace"), "")
    text, mode = trace_of(w, device)
    equal(mode, 0o600)
    for part in ("> Sync", "<SyncKey>0</SyncKey>", "seen on the wire", "< reply http=200 status=1", "> Ping", "< park",
                 "Ping (woken)", "<Status>2</Status>", "> FolderSync", "user=alice"):
        contains(text, part)
    for secret in ("4711-recovery", phone.password, phone.authorization()[6:]):
        check(secret not in text, "%r is in the trace" % secret)
    check(other.device_id not in text)
    phone.folder_sync("0")
    equal(trace_of(w, device)[0], text, "traced after off")
    contains(admin(w.zpushd, "trace", "sideways", device, code=2), "usage")


@case
def traced_by_the_configuration_and_reload():
    with LocalWorld(dict(QUICK, **{"log.trace_devices": ["Traced0"], "log.trace_bytes": "64K"})) as w:
        phone = w.phone("alice", device_id="Traced0")
        contains(trace_of(w, "Traced0")[0], "> Provision")
        mail = message(subject="long", text="line\r\n" * 3000)
        for _ in range(12):
            w.deliver("alice", mail)
        inbox = phone.folder_id(type=2)
        for _ in range(3):
            phone.keys.pop(inbox, None)
            phone.pull(inbox, options={"type": 1})
        path = os.path.join(w.zpushd.data_dir, "trace", "Traced0.log")
        check(os.path.getsize(path) < 600000 and os.path.exists(path + ".1"), "it grows without bound")
        w.zpushd.settings["log.trace_devices"] = []
        reload(w)
        size = os.path.getsize(path)
        phone.folder_sync("0")
        equal(os.path.getsize(path), size, "traced after the reload")


# --- signals ------------------------------------------------------------------------------------

def reload(w):
    before = len(w.zpushd.log_lines("event=reloaded"))
    w.zpushd.write_config()
    w.zpushd.process.send_signal(signal.SIGHUP)
    poll(lambda: len(w.zpushd.log_lines("event=reloaded")) > before or w.zpushd.log_lines("event=reload_refused"),
         10 * SLOW, what="reloaded")


def peer_certificate(w):
    return ssl.get_server_certificate(("127.0.0.1", w.zpushd.https_port), timeout=10)


@case
def sighup_reloads_certificate_log_level_and_policy():
    certs = Certificates()
    with LocalWorld(dict(QUICK, **{"policy.DevicePasswordEnabled": True})) as w:
        phone = w.phone("alice")
        inbox = phone.folder_id(type=2)
        phone.pull(inbox)
        ping = parked(w, phone, [inbox])
        made = peer_certificate(w)
        check(not w.zpushd.log_lines("level=debug"))
        w.zpushd.settings.update({"tls.certificate": certs.cert, "tls.key": certs.key, "log.level": "debug",
                                  "policy.MinDevicePasswordLength": 6})
        reload(w)
        with open(certs.cert) as f:
            equal(peer_certificate(w).split()[2:5], f.read().split()[2:5])
        check(peer_certificate(w) != made)
        poll(lambda: w.zpushd.log_lines("level=debug"), 5 * SLOW, what="debug lines")
        check(not ping.done(), "a waiting phone was disturbed")
        refused_now = phone.folder_sync()
        check(refused_now.status == 449 or refused_now.get("Status") in ("142", "143", "144"), "the policy is not asked for")
        phone.provision()
        equal(phone.folder_sync().get("Status"), "1")
        w.zpushd.settings["push.heartbeat_min"] = "nonsense"
        reload(w)
        contains(w.zpushd.log_lines("event=config")[-1], "push.heartbeat_min")
        equal(phone.folder_sync().get("Status"), "1", "a bad reload must change nothing")
        del w.zpushd.settings["push.heartbeat_min"]


@case
def sigterm_answers_waiting_phones_and_ends():
    with ImapWorld(dict(QUICK, **{"server.drain": "2s"})) as w:
        phones = [w.phone(user) for user in ("alice", "bob", "dave", "erin")]
        pings = []
        for phone in phones:
            inbox = phone.folder_id(type=2)
            phone.pull(inbox)
            pings.append(parked(w, phone, [inbox]))
        process = w.zpushd.process
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        for ping in pings:
            reply = ping.result(6 * SLOW)
            equal((reply.status, reply.get("Status")), (200, "1"), repr(reply))
            equal(reply.headers.get("Connection"), "close")
        equal(process.wait(10 * SLOW), 0)
        check(time.monotonic() - start < 8 * SLOW)
        w.zpushd.process = None
        w.zpushd.start()
        for phone in phones:
            equal(phone.ping(body=False, heartbeat=None, timeout=3, wait=False).done(), False)


# --- secrets ----------------------------------------------------------------------------------------

@cases(BOTH)
def passwords_are_nowhere(make):
    """Not in the log at debug, the store, data_dir, arguments, environment or a dump."""
    secret = "gänz-geheim-4f1c"
    with make().__class__(dict(QUICK, **{"log.level": "debug"})) as w:
        if isinstance(w, ImapWorld):
            w.imap.set_password("alice", secret)
            time.sleep(1.1)         # Dovecot looks at the file once a second
        else:
            from world import write_accounts
            write_accounts(os.path.join(w.zpushd.data_dir, "users"), dict(w.accounts, alice=secret))
        phone = w.phone("alice", password=secret)
        inbox = phone.folder_id(type=2)
        phone.pull(inbox)
        ping = parked(w, phone, [inbox])
        equal(w.bare_phone("alice", password=secret + "-wrong").folder_sync().status, 401)
        forms = [secret.encode(), phone.authorization()[6:].encode()]
        places = glob.glob(w.zpushd.data_dir + "/**", recursive=True) + [w.zpushd.log]
        for path in places:
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    data = f.read()
                for form in forms:
                    check(form not in data, "the password is in " + path)
        if isinstance(w, ImapWorld):
            for key in w.redis.keys("*"):
                kind = w.redis.command("TYPE", key)
                value = w.redis.command("DUMP", key) or b""
                for form in forms:
                    check(form not in value, "the password is in Redis under %r (%r)" % (key, kind))
        base = "/proc/%d/" % w.zpushd.process.pid
        for name in ("cmdline", "environ"):
            try:
                with open(base + name, "rb") as f:
                    data = f.read()
            except PermissionError:
                continue
            check(forms[0] not in data)
        w.deliver("alice", subject="end")
        equal(ping.result(10 * SLOW).get("Status"), "2")


@case
def secrets_of_the_command_line_are_hidden():
    with LocalWorld() as w:
        w.zpushd.stop()
        w.zpushd.argv += ["--set", "admin.token=cmdline-secret-0001", "--set=push.notify_token=cmdline-secret-0002"]
        w.zpushd.start()
        w.zpushd.admin("/metrics", "cmdline-secret-0001")
        with open("/proc/%d/cmdline" % w.zpushd.process.pid, "rb") as f:
            check(b"cmdline-secret" not in f.read(), "ps shows the secret")


@case
def the_log_as_json():
    with LocalWorld({"log.format": "json", "log.level": "debug"}) as w:
        phone = w.phone("alice", agent="quote \" and \\ and \u00e4")
        phone.pull(phone.folder_id(type=2))
        phone.post("Sync", b"\x03\x01\x6a\x00\x45")
        lines = [json.loads(x) for x in w.zpushd.log_lines() if not x.startswith("zpushd:")]
        found = [x for x in lines if x.get("event") == "request" and x.get("dev") == phone.device_id]
        check(len(found) >= 5)
        for line in found:
            for name in ("time", "level", "user", "cmd", "rid", "ms", "in", "out", "verdict", "http"):
                check(name in line, "no %s in %r" % (name, line))
            check(isinstance(line["ms"], int))
        equal(found[-1]["level"], "warn")
        check(found[-1]["reason"] and found[-1]["do"], found[-1])


@case
def secret_files_are_the_servers_own():
    w = local()
    for name in ("auth.secret", "crash.ring"):
        mode = os.stat(os.path.join(w.zpushd.data_dir, name)).st_mode & 0o777
        equal(mode, 0o600, name)
    equal(os.stat(w.zpushd.data_dir).st_mode & 0o777, 0o700)


# --- side listeners -----------------------------------------------------------------------------------

@case
def the_admin_listener_wants_its_token():
    w = local()
    for path, token, want in (("/metrics", "admin-token", 200), ("/metrics", "wrong", 401), ("/trace", "wrong", 401),
                              ("/healthz", "wrong", 200), ("/readyz", "wrong", 200), ("/nowhere", "admin-token", 404)):
        try:
            w.zpushd.admin(path, token)
            got = 200
        except urllib.error.HTTPError as e:
            got = e.code
        equal(got, want, path)
    check(w.zpushd.metric("zpushd_requests_total") > 0)


# --- the crash ring -------------------------------------------------------------------------------------

@cases(BOTH)
def a_mail_that_kills_is_served_as_a_stand_in(make):
    with make().__class__(dict(QUICK), environ={"ZPUSH_CRASH_POINT": "item:2"}) as w:
        for subject in ("harmless 1", "deadly", "harmless 2"):
            w.deliver("alice", subject=subject)
        phone = w.phone("alice")
        inbox = phone.folder_id(type=2)
        equal(phone.sync_folder(inbox, options={"type": 1, "size": 500}).get("Collections/Collection/Status"), "1")
        process = w.zpushd.process
        w.zpushd.expect_trouble = True
        try:
            phone.pull(inbox)
            check(False, "it did not die")
        except OSError:
            pass
        check(process.wait(10 * SLOW) < 0)
        w.zpushd.kill()
        del w.zpushd.env["ZPUSH_CRASH_POINT"]
        w.zpushd.start()
        w.zpushd.trouble()
        w.zpushd.expect_trouble = False
        line = poll(lambda: w.zpushd.log_lines("event=crashed_on"), 5 * SLOW, what="the culprit's name")[0]
        for part in ("user=alice", "dev=" + phone.device_id, "cmd=Sync", "do="):
            contains(line, part)
        phone.pull(inbox)
        equal(len(phone.items[inbox]), 3)
        subjects = phone.subjects(inbox)
        check("harmless 1" in subjects and "harmless 2" in subjects and "deadly" not in subjects, repr(subjects))
        other = w.phone("alice")
        other.pull(inbox)
        check("deadly" in other.subjects(inbox), "only that device is spared the item")


# --- settings ---------------------------------------------------------------------------------------------

def run(*arguments, environ=None, text=None):
    binary = os.environ.get("ZPUSHD_BIN") or os.path.join(ROOT, "build", "zpushd")
    env = {k: v for k, v in os.environ.items() if not k.startswith("ZPUSHD_")}
    env.update(environ or {})
    directory = case_module.shared(Scratch).path
    config = os.path.join(directory, "zpushd.toml")
    with open(config, "w") as f:
        f.write(text if text is not None else "[server]\ndata_dir = \"%s\"\n" % os.path.join(directory, "data"))
    done = subprocess.run([binary, "-c", config, *arguments], capture_output=True, text=True, env=env, timeout=20 * SLOW,
                          cwd=directory)
    return done.returncode, done.stdout, done.stderr


class Scratch:
    def __enter__(self):
        import tempfile
        from env import scratch
        self.path = tempfile.mkdtemp(dir=scratch())
        return self

    def __exit__(self, *exc):
        pass


@cases([("unknown_key", "[server]\nlistn = [\"a:1\"]\n", ("listn", "2")),
        ("unknown_section", "[serfer]\nlisten = []\n", ("serfer", "1")),
        ("wrong_type", "[server]\nworkers = \"many\"\n", ("server.workers", "2")),
        ("out_of_bounds", "\n\n[push]\nheartbeat_min = \"1ms\"\n", ("push.heartbeat_min", "4")),
        ("no_unit", "[push]\nheartbeat_min = \"60\"\n", ("push.heartbeat_min", "2")),
        ("no_word", "[log]\nlevel = \"loud\"\n", ("log.level", "2")),
        ("no_url", "[store]\nurl = \"mysql://x\"\n", ("store.url", "2")),
        ("no_toml", "[server\n", ("1",)),
        ("twice", "[log]\nlevel = \"info\"\nlevel = \"warn\"\n", ("level", "3"))])
def a_wrong_file_is_refused_with_key_and_line(text, words):
    code, out, err = run("--check", text=text)
    check(code != 0, out)
    for word in words:
        contains(err, word)


@case
def wrong_set_and_environment_are_refused_with_their_key():
    for arguments, environ, word in ((("--set", "server.workers=x"), {}, "server.workers"),
                                     (("--set", "nonsense"), {}, "nonsense"),
                                     (("--set", "no.such=1"), {}, "no.such"),
                                     ((), {"ZPUSHD_PUSH_HEARTBEAT_MIN": "soon"}, "ZPUSHD_PUSH_HEARTBEAT_MIN")):
        code, out, err = run("--check", *arguments, environ=environ)
        check(code != 0, "%r was taken: %s" % (arguments or environ, out))
        contains(err, word)
    code, out, err = run("--check")
    equal((code, "fine" in out), (0, True), err)


@case
def print_config_shows_what_counts_and_no_secret():
    secret = os.path.join(case_module.shared(Scratch).path, "token")
    with open(secret, "w") as f:
        f.write("token-from-a-file-0001\n")
    code, out, err = run("--print-config", "--set", "server.workers=7", environ={
        "ZPUSHD_SERVER_WORKERS": "9", "ZPUSHD_LOG_LEVEL": "warn", "ZPUSHD_ADMIN_TOKEN_FILE": secret,
        "ZPUSHD_PUSH_NOTIFY_TOKEN": "notify-secret-0001"})
    equal(code, 0, err)
    check(re.search(r"workers *= *7\b", out), "--set goes first")
    check(re.search(r"level *= *\"warn\"", out), "the environment goes before the default")
    for word in ("token-from-a-file-0001", "notify-secret-0001"):
        check(word not in out + err, "a secret is printed")


if __name__ == "__main__":
    main()
