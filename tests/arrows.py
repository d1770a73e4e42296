"""Includes point one way, and each third-party library stays in its rooms.

    base <- proto <- backend <- src/work <- job <- src/loop <- main

Prints every offending line; `arrows.py` is a stage of tests/run."""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "e2e"))

from case import ROOT, Failed, case, check, equal, main  # noqa: E402

# Room of a path, most particular first; its level; what it may include beside
# its own level and those below.
ROOMS = [
    (r"src/base/|src/settings\.def|src/(limits|metrics)\.def", "base", 0),
    (r"proto/", "proto", 1),
    (r"backend/", "backend", 2),
    (r"src/(keys|config)\b[^/]*$|src/config_\w+\.(c|cc|h)$", "config", 3),
    (r"src/work/", "work", 4),
    (r"src/job\.[ch]$", "job", 5),
    (r"src/loop/", "loop", 6),
    (r"src/main\.c$", "main", 7),
    (r"bench/", "bench", 7),
]
EXTRA = {"work": {"job"}}       # architecture.md, "Rooms": src/work may include job.h
ONLY = {"bench": {"base", "proto", "bench"}}

# Header -> where it may be included. architecture.md, below "Rooms".
THIRD_PARTY = [
    (r"uv(/|\.h)", r"src/loop/|src/job\.[ch]$"),
    (r"llhttp\.h", r"src/loop/http"),
    (r"mbedtls/|psa/", r"src/loop/tls|src/base/(stream|digest)|bench/"),     # bench: the phones' side
    (r"hiredis", r"src/work/(store|redis)|src/loop/pubsub"),
    (r"curl/", r"backend/dav/"),
    (r"toml\+\+/", r"src/config_toml\.cc$"),
    (r"sqlite3\.h", r"src/work/store"),
    (r"jansson\.h", r"src/loop/message|src/work/admin"),
    (r"zlib\.h", r"src/loop/|src/work/gzip"),
    (r"libical/|unicode/|iconv\.h", r"proto/"),
]
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
SOURCES = (".c", ".h", ".cc", ".def")


def room_of(path):
    for pattern, room, level in ROOMS:
        if re.match(pattern, path):
            return room, level
    return None


def resolve(root, path, name):
    """Path of a quoted include below root, or None for one that is not ours."""
    for base in (os.path.dirname(path), "", "src"):
        found = os.path.normpath(os.path.join(base, name))
        if os.path.exists(os.path.join(root, found)):
            return found
    return None


def violations(root):
    out = []
    for folder in ("src", "proto", "backend", "bench"):
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(where, name), root)
                if name.endswith(SOURCES):
                    out += file_violations(root, path)
    return out


def file_violations(root, path):
    out = []
    own = room_of(path)
    if own is None:
        return ["%s: in no room" % path]
    with open(os.path.join(root, path), errors="replace") as f:
        for number, line in enumerate(f, 1):
            m = INCLUDE.match(line)
            text = m and wrong(root, path, own, m.group(1), m.group(2))
            if text:
                out.append("%s:%d: %s" % (path, number, text))
    return out


def wrong(root, path, own, quote, name):
    target = resolve(root, path, name) if quote == '"' else None
    if target is None:
        for header, places in THIRD_PARTY:
            if re.match(header, name) and not re.match(places, path):
                return "<%s> is allowed in %s only" % (name, places)
        return "%s is not found" % name if quote == '"' else None
    room = room_of(target)
    if room is None:
        return "%s is in no room" % target
    if own[0] in ONLY:
        bad = room[0] not in ONLY[own[0]]
    else:
        bad = room[1] > own[1] and room[0] not in EXTRA.get(own[0], ())
    return "%s (%s) includes %s (%s)" % (path, own[0], target, room[0]) if bad else None


@case
def the_tree_keeps_the_arrows():
    found = violations(ROOT)
    if found:
        raise Failed("\n".join(found))


@case
def each_kind_of_wrong_include_is_found():
    tree = {
        "src/base/a.h": "", "proto/p.h": '#include "base/a.h"\n', "backend/backend.h": "", "src/job.h": "",
        "src/work/w.c": '#include "job.h"\n#include "proto/p.h"\n#include <hiredis/hiredis.h>\n#include "loop/l.h"\n',
        "src/loop/l.h": '#include <uv.h>\n', "src/loop/conn.c": '#include <llhttp.h>\n#include "work/none.h"\n',
        "src/base/b.c": '#include "../../proto/p.h"\n#include <mbedtls/ssl.h>\n',
        "bench/x.c": '#include "backend/backend.h"\n', "proto/q.c": " # include <sqlite3.h>\n",
    }
    with tempfile.TemporaryDirectory() as root:
        for path, text in tree.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w") as f:
                f.write(text)
        got = sorted(line.split(": ")[0] for line in violations(root))
    equal(got, ["bench/x.c:1", "proto/q.c:1", "src/base/b.c:1", "src/base/b.c:2", "src/loop/conn.c:1",
                "src/loop/conn.c:2", "src/work/w.c:3", "src/work/w.c:4"])


@case
def files_and_functions_stay_readable():
    """style.md: no file over 900 lines, no function over 90."""
    long = []
    for folder in ("src", "proto", "backend", "bench"):
        for where, _, names in os.walk(os.path.join(ROOT, folder)):
            for name in names:
                if name.endswith((".c", ".h")):
                    long += too_long(os.path.join(where, name))
    check(not long, "\n".join(sorted(long)))


def too_long(path):
    with open(path, errors="replace") as f:
        lines = f.readlines()
    shown = os.path.relpath(path, ROOT)
    out = ["%s: %d lines" % (shown, len(lines))] if len(lines) > 900 else []
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            if number - start > 90 and path.endswith(".c"):
                out.append("%s:%d: function of %d lines" % (shown, start, number - start))
            start = None
    return out


if __name__ == "__main__":
    main()
