"""What the measurements share: zpushd on the embedded default with accounts that
are cheap to check, the simulated fleet, and what /proc says about the server."""
import base64
import hashlib
import os
import subprocess
import sys
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path[:0] = [os.path.join(ROOT, "tests", "e2e"), os.path.join(ROOT, "tests")]

from zpushd import Zpushd  # noqa: E402

BENCH = os.path.join(ROOT, "build", "zpush-bench")
PASSWORD = "secret"
ROUNDS = 1   # of PBKDF2: first logins are not what is measured
TICK = os.sysconf("SC_CLK_TCK")
OPEN = {"limits.fuse_requests": 1000000, "limits.connections_per_user": 100000, "limits.devices_per_user": 100000,
        "push.heartbeat_max": "59m", "log.level": "warn"}


def account(name):
    salt = "salt" + name
    h = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt.encode(), ROUNDS)
    return "%s:{PBKDF2-SHA256}%d$%s$%s::%s\n" % (name, ROUNDS, salt, base64.b64encode(h).decode(), name)


def local_server(users, settings=None, **kw):
    """Not started: use as a context."""
    server = Zpushd(dict(OPEN, **{"backend.mail": "local", "store.url": "embedded:", **(settings or {})}), **kw)
    os.makedirs(server.data_dir, mode=0o700, exist_ok=True)
    with open(os.path.join(server.data_dir, "users"), "w") as f:
        f.writelines(account("user%d" % n) for n in range(1, users + 1))
    return server


class Fleet:
    """build/zpush-bench: `fleet("ping 100")` says a word and returns the counts of
    the line that answers it."""

    def __init__(self, port, phones=1, users=1, tls=False, **options):
        self.argv = [BENCH, "--port", str(port), "--phones", str(phones), "--users", str(users)]
        if tls:
            self.argv.append("--tls")
        options.setdefault("password", PASSWORD)
        for name, value in options.items():
            self.argv += ["--" + name, str(value)]

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.parked = self.line("parked")
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        self.process.wait(60)

    def line(self, *words):
        for line in self.process.stdout:
            word, _, rest = line.partition(" ")
            if word in words:
                return {k: float(v) for k, v in (pair.split("=") for pair in rest.split())}
            print("zpush-bench: " + line.rstrip())
        raise RuntimeError("zpush-bench ended")

    def __call__(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.line("done", "count")


# --- what the kernel says -----------------------------------------------------------

def rollup(pid):
    """Bytes: {"Rss", "Pss_Anon", ...}"""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return {p[0][:-1]: int(p[1]) * 1024 for p in (line.split() for line in f) if len(p) == 3 and p[2] == "kB"}


def cpu(pid):
    """Seconds of user and system time so far."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def cpu_fine(pid):
    """Seconds on a processor by the scheduler's nanoseconds, of all threads."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/schedstat" % (pid, task)) as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def meminfo():
    with open("/proc/meminfo") as f:
        return {p[0][:-1]: int(p[1]) * 1024 for p in map(str.split, f)}


def sockstat():
    """TCP sockets in use in the system and their buffers in bytes."""
    with open("/proc/net/sockstat") as f:
        for line in f:
            if line.startswith("TCP:"):
                p = line.split()
                return {"inuse": int(p[p.index("inuse") + 1]), "mem": int(p[p.index("mem") + 1]) * 4096}


def settle(server, count, seconds=60):
    """Waits until so many phones are parked."""
    end = time.monotonic() + seconds
    while server.metric("zpushd_parked") < count:
        if time.monotonic() > end:
            raise RuntimeError("%d of %d parked" % (server.metric("zpushd_parked"), count))
        time.sleep(0.1)


def heading(text):
    print("\n%s\n%s" % (text, "-" * len(text)), flush=True)
