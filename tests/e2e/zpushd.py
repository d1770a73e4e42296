"""build/zpushd under test: configured, started, watched and stopped."""
import json
import os
import re
import urllib.request

import case
from env import Service, free_port
from env.base import ServiceMissing

TROUBLE = re.compile(r"(ERROR: (Address|Leak|Undefined)\w*Sanitizer|WARNING: ThreadSanitizer|runtime error:|"
                     r"ASSERT|assertion|Aborted|Segmentation)")
DEFAULTS = {"server.drain": "1s", "log.level": "info"}


def to_toml(settings):
    """{"imap.url": "…"} -> TOML text; bool, numbers, strings and lists."""
    sections = {}
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        sections.setdefault(section, []).append("%s = %s" % (name, _value(value)))
    return "".join("[%s]\n%s\n\n" % (s, "\n".join(lines)) for s, lines in sections.items())


def _value(value):
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


class Zpushd(Service):
    """settings: {"section.key": value} for zpushd.toml; toml: more of it as
    text; arguments, environ: of the process. ZPUSHD_BIN names another binary
    (a sanitizer build). Stopping checks that it ended by itself and that no
    sanitizer spoke."""
    name = "zpushd"
    start_timeout = 20 * case.SLOW

    def __init__(self, settings=None, toml="", arguments=(), environ=None, data_dir=None, binary=None):
        super().__init__()
        self.http_port, self.https_port, self.admin_port, self.notify_port = (free_port() for _ in range(4))
        self.data_dir = data_dir or os.path.join(self.dir, "data")
        self.settings = dict(DEFAULTS)
        self.settings.update({
            "server.listen": ["127.0.0.1:%d" % self.http_port],
            "server.listen_tls": ["127.0.0.1:%d" % self.https_port],
            "server.data_dir": self.data_dir,
            "admin.listen": "127.0.0.1:%d" % self.admin_port, "admin.token": "admin-token",
            "push.notify_listen": "127.0.0.1:%d" % self.notify_port, "push.notify_token": "notify-token"})
        self.settings.update(settings or {})
        self.settings = {k: v for k, v in self.settings.items() if v is not None}
        self.toml, self.arguments = toml, list(arguments)
        self.extra_env = dict(environ or {})
        self.binary = binary or os.environ.get("ZPUSHD_BIN") or os.path.join(case.ROOT, "build", "zpushd")
        self.seen = 0
        self.expect_trouble = False

    def __str__(self):
        return "zpushd (%s)" % self.log

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.http_port

    @property
    def https_url(self):
        return "https://127.0.0.1:%d" % self.https_port

    @property
    def admin_url(self):
        return "http://127.0.0.1:%d" % self.admin_port

    @property
    def notify_url(self):
        """As Dovecot's exporter is given it."""
        return "http://zpushd:notify-token@127.0.0.1:%d/notify" % self.notify_port

    def prepare(self):
        if not os.access(self.binary, os.X_OK):
            raise ServiceMissing("%s is not built" % os.path.relpath(self.binary, case.ROOT))
        self.config = os.path.join(self.dir, "zpushd.toml")
        self.write_config()
        self.argv = [self.binary, "-c", self.config, *self.arguments]
        # ZPUSHD_SECTION_KEY would be read as settings: only the test's own pass
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("ZPUSHD_")}
        self.env.update(self.extra_env)
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        self.env.setdefault("TSAN_OPTIONS", "halt_on_error=0:second_deadlock_stack=1")

    def write_config(self):
        with open(self.config, "w") as f:
            f.write(to_toml(self.settings) + self.toml)

    def ready(self):
        try:
            with urllib.request.urlopen(self.url + "/healthz", timeout=2) as r:
                return r.status == 200
        except OSError:
            return False

    def start(self):
        super().start()
        if self not in case.watchers:
            case.watchers.append(self)
        return self

    def stop(self, timeout=None):
        running = self.process is not None
        status = super().stop(timeout or 20 * case.SLOW)
        if self in case.watchers:
            case.watchers.remove(self)
        broken = self.trouble()
        if running and status != 0 and not self.expect_trouble:
            broken.append("zpushd ended with status %s" % status)
        if broken and not self.expect_trouble:
            raise case.Failed("\n".join(broken) + "\n" + self.tail())
        return status

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
            return
        try:                # the first failure is the one to show
            self.stop()
        except case.Failed as e:
            print("     " + str(e).replace("\n", "\n     "))

    def trouble(self):
        """New lines of the log in which a sanitizer or an assert speaks."""
        with open(self.log, errors="replace") as f:
            f.seek(self.seen)
            text = f.read()
            self.seen = f.tell()
        at = TROUBLE.search(text)
        return [text[max(0, at.start() - 200):at.start() + 4000]] if at else []

    def complaints(self):
        out = self.trouble()
        if self.process is not None and self.process.poll() is not None:
            out.append("zpushd ended by itself, status %s" % self.process.returncode)
        return [] if self.expect_trouble else out

    # --- what tests ask it -------------------------------------------------------------
    def memory_kib(self):
        """Private and shared user-space memory in use (VmRSS)."""
        return self._status("VmRSS")

    def _status(self, field):
        with open("/proc/%d/status" % self.process.pid) as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1])

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def log_lines(self, *words):
        """Log lines that hold all the words."""
        with open(self.log, errors="replace") as f:
            return [line.rstrip("\n") for line in f if all(w in line for w in words)]

    def admin(self, path, token="admin-token"):
        request = urllib.request.Request(self.admin_url + path, headers={"Authorization": "Bearer " + token})
        with urllib.request.urlopen(request, timeout=10) as r:
            return r.read().decode()

    def metric(self, name):
        """Sum over the label sets of one metric."""
        found = re.findall(r"^%s(?:\{[^}]*\})? ([0-9.eE+-]+)" % re.escape(name), self.admin("/metrics"), re.M)
        return sum(map(float, found)) if found else None
