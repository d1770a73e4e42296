"""The case helper of tests in Python: register, run, report.

    from case import case, check, equal, main, shared, skip

    @case
    def a_mail_arrives():
        imap = shared(Dovecot)          # started once per file, stopped at the end
        ...
        equal(imap.subjects("alice"), ["hello"])

    if __name__ == "__main__":
        main()

A file runs alone (/usr/bin/python3 tests/e2e/test_x.py [NAME-PART]) and ends
with "N passed, N failed, N skipped" on a line; so does tests/run with all.
A skip needs a reason. A case that hangs fails after its timeout. Whatever is
in `watchers` (every Zpushd, every Phone's collected replies) is asked after
each case whether something broke, and prints its tail when a case failed."""
import os
import signal
import sys
import time
import traceback
from contextlib import ExitStack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from env import ServiceMissing  # noqa: E402

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SLOW = float(os.environ.get("ZPUSHD_TEST_SLOWNESS", "1"))     # sanitizer and valgrind builds

_cases = []
_shared = {}
_stack = ExitStack()
watchers = []       # objects with complaints() -> [str] and tail() -> str
finals = []         # (name, function, when): last cases of a file, where when() is true


class Failed(Exception):
    """A check that did not hold."""


class Skipped(Exception):
    """Carries the reason."""


class _Hung(Exception):
    pass


def case(function=None, *, timeout=60):
    """Registers a function as a case; its name is the case's name."""
    if function is None:
        return lambda f: case(f, timeout=timeout)
    _cases.append((function.__name__, function, timeout))
    return function


def cases(rows, *, timeout=60):
    """One case a row: rows are tuples whose first member ends the name."""
    def register(function):
        for row in rows:
            name = "%s_%s" % (function.__name__, row[0])
            _cases.append((name, lambda row=row: function(*row[1:]), timeout))
        return function
    return register


def check(condition, text="check failed"):
    if not condition:
        raise Failed(text)


def equal(got, want, text=""):
    if got != want:
        raise Failed("%s\n  got  %r\n  want %r" % (text or "not equal", got, want))


def contains(got, part, text=""):
    if part not in got:
        raise Failed("%s\n  %r\n  is not in %r" % (text or "missing", part, got))


def raises(kind, function, *args, **kw):
    try:
        function(*args, **kw)
    except kind as e:
        return e
    raise Failed("%s was not raised" % (kind,))


def skip(reason):
    raise Skipped(reason)


def shared(factory, *args, **kw):
    """A context manager that the cases of a file use together."""
    key = (factory, repr(args), repr(sorted(kw.items())))
    if key not in _shared:
        _shared[key] = _stack.enter_context(factory(*args, **kw))
    return _shared[key]


def _alarm(*_):
    raise _Hung()


def _run_one(function, timeout):
    """(verdict, text): verdict is ok, skip or FAIL."""
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(int(timeout * SLOW))
    try:
        function()
        signal.alarm(0)
        broken = [text for w in list(watchers) for text in w.complaints()]
        return ("FAIL", "\n".join(broken)) if broken else ("ok", "")
    except Skipped as e:
        return "skip", str(e) or "no reason given"
    except ServiceMissing as e:
        return "skip", "needs a real server: %s" % e
    except _Hung:
        return "FAIL", "hung for %g s\n%s" % (timeout * SLOW, traceback.format_exc(limit=-6))
    except Failed as e:
        at = traceback.extract_tb(e.__traceback__)
        where = [f for f in at if os.path.basename(f.filename) != "case.py"][-1:]
        return "FAIL", "%s  (%s)" % (e, ", ".join("%s:%d" % (os.path.relpath(f.filename, ROOT), f.lineno) for f in where))
    except Exception:
        return "FAIL", traceback.format_exc(limit=-6)
    finally:
        signal.alarm(0)


def _report(verdict, name, text, seconds):
    print("%-4s %s (%.0f ms)%s" % (verdict, name, seconds * 1000, ": " + text if verdict == "skip" else ""))
    if verdict == "FAIL":
        print("     " + text.rstrip().replace("\n", "\n     "))
        for watcher in list(watchers):
            tail = watcher.tail()
            if tail:
                print("     --- tail of %s\n     %s" % (watcher, tail.rstrip().replace("\n", "\n     ")))
    sys.stdout.flush()


def _terminate(*_):
    raise SystemExit(143)


def main():
    """Runs the cases whose name contains argv[1]; exits 1 when one failed."""
    signal.signal(signal.SIGTERM, _terminate)
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    count = {"ok": 0, "FAIL": 0, "skip": 0}
    chosen = [c for c in _cases if part in c[0]]

    def run(rows):
        for name, function, timeout in rows:
            start = time.monotonic()
            verdict, text = _run_one(function, timeout)
            count[verdict] += 1
            _report(verdict, name, text, time.monotonic() - start)
    try:
        run(chosen)
        run([(name, function, 120) for name, function, when in finals if when()])
    finally:
        verdict, text = _run_one(_stack.close, 60)      # a crash or leak at the end is seen here
        if verdict != "ok":
            count["FAIL"] += 1
            _report("FAIL", "everything_stops", text, 0)
    print("%d passed, %d failed, %d skipped" % (count["ok"], count["FAIL"], count["skip"]))
    sys.stdout.flush()
    sys.exit(1 if count["FAIL"] else 0)
