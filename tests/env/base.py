"""What every starter needs: ports, a scratch directory, a process that ends."""
import atexit
import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

_scratch = None
_rng = random.Random(os.urandom(8))
_given = set()


class ServiceMissing(Exception):
    """The program is not installed, or cannot run on this machine."""


def scratch():
    """This process's temporary directory, removed at exit unless KEEP is set.

    Short, because unix socket paths end at 107 bytes; world-readable, because
    the services drop root."""
    global _scratch
    if _scratch is None:
        _scratch = tempfile.mkdtemp(prefix="zpt-", dir="/tmp")
        os.chmod(_scratch, 0o755)
        if os.environ.get("KEEP"):
            print("kept:", _scratch)
        else:
            owner = os.getpid()
            atexit.register(lambda: os.getpid() == owner and shutil.rmtree(_scratch, ignore_errors=True))
    return _scratch


def free_port():
    """A port nobody listens on, outside the kernel's range for outgoing
    connections (a port found by binding 0 can be taken again by any connect)."""
    for _ in range(200):
        port = _rng.randrange(12000, 32000)
        if port in _given:
            continue
        try:
            for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                with contextlib.closing(socket.socket(family)) as s:
                    s.bind((host, port))
        except OSError as e:
            if family == socket.AF_INET6 and e.errno in (97, 99):   # no IPv6 here
                pass
            else:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port")


def shared_directory():
    """../shared of the repository (schemas, requirement tables, recorded
    exchanges); of the main work tree in a linked one. None where it is absent."""
    root = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    places = [os.environ.get("ZPUSHD_SHARED"), os.path.join(root, "..", "shared")]
    with contextlib.suppress(OSError):      # no git here: then it is no linked work tree either
        common = subprocess.run(["git", "-C", root, "rev-parse", "--path-format=absolute", "--git-common-dir"],
                                capture_output=True, text=True).stdout.strip()
        places.append(os.path.join(os.path.dirname(common), "..", "shared"))
    for place in places:
        if place and os.path.isdir(os.path.join(place, "spec", "xsd")):
            return os.path.realpath(place)
    return None


def poll(test, timeout=10.0, step=0.01, what="condition"):
    """Calls test() until it gives something true, and returns that."""
    end = time.monotonic() + timeout
    while True:
        got = test()
        if got:
            return got
        if time.monotonic() > end:
            raise TimeoutError("%s not seen within %gs" % (what, timeout))
        time.sleep(step)
        step = min(step * 1.5, 0.2)


def can_connect(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


def program(name, *places):
    """Absolute path of a program; sbin is not in everybody's PATH."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"
    found = shutil.which(name, path=path)
    if not found:
        raise ServiceMissing(name + " is not installed (deps/install.sh test)")
    return found


def _end_with_parent():
    """In the child: SIGTERM when the thread that started it ends, however."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Service:
    """A child process in a session of its own, with a directory and a log.

    Subclasses set self.argv and self.log in prepare(), and say in ready()
    whether it answers yet. Start from a thread that lives as long as the test."""
    name = "service"
    stop_signal = signal.SIGTERM
    start_timeout = 15

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix=self.name[0], dir=scratch())
        os.chmod(self.dir, 0o755)
        self.log = os.path.join(self.dir, self.name + ".log")
        self.process = None
        self.env = None

    def prepare(self):
        raise NotImplementedError

    def ready(self):
        return True

    def start(self):
        if not getattr(self, "argv", None):
            self.prepare()
        out = open(self.log, "ab")
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                        start_new_session=True, env=self.env, cwd=self.dir,
                                        preexec_fn=_end_with_parent)
        out.close()
        try:
            poll(self._up, self.start_timeout, what=self.name + " ready")
        except Exception:
            tail = self.tail()
            self.stop()
            raise RuntimeError("%s did not start\n%s" % (self.name, tail)) from None
        return self

    def _up(self):
        if self.process.poll() is not None:
            raise RuntimeError("%s ended with %s" % (self.name, self.process.returncode))
        return self.ready()

    def stop(self, timeout=10):
        """Asks, waits, then kills; returns the exit status (None: never ran)."""
        if self.process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGCONT)
            self.process.send_signal(self.stop_signal)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        if status is None:
            status = self.process.wait(10)
        self.process = None
        return status

    def kill(self):
        """As a power failure would: no shutdown, everything of it dies."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.process = None

    def pause(self):
        """Hangs: connections stay open and are accepted, nothing answers."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def restart(self):
        self.stop()
        return self.start()

    def tail(self, lines=25):
        try:
            with open(self.log, errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
