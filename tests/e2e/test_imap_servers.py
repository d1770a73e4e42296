#!/usr/bin/python3
"""The IMAP and SMTP backends against Dovecot and Postfix as they come, and
against Dovecots that lack extensions: build/tests/unit/test_imap_real and the
contract suite (build/tests/contract/test_contract, its ext_ cases)."""
import os
import re
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, ROOT)

from tests.env.dovecot import Dovecot  # noqa: E402
from tests.env.postfix import Postfix  # noqa: E402

BARE = ("MOVE", "UIDPLUS", "LITERAL+", "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "ENABLE", "NAMESPACE", "SASL-IR",
        "IDLE", "NOTIFY", "UNSELECT", "QRESYNC", "CONDSTORE")
SERVERS = {
    "stock": ({}, "imap_url"),
    "tls": ({}, "imaps_url"),
    "starttls": ({}, "starttls_url"),
    "condstore only": ({"without": ("QRESYNC",)}, "imap_url"),
    "no condstore": ({"without": ("QRESYNC", "CONDSTORE")}, "imap_url"),
    "bare": ({"without": BARE}, "imap_url"),
    "INBOX. and dots": ({"prefix": "INBOX.", "separator": ".", "special_use": False}, "imap_url"),
}
SUMMARY = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)
USERS = "alice:alice-secret:alice@example.org,dave:dave-secret:dave@example.org"


def run(argv, env):
    p = subprocess.run(argv, cwd=ROOT, env=dict(os.environ, **env), capture_output=True, text=True, timeout=600)
    found = SUMMARY.search(p.stdout)
    if p.returncode or not found:
        print(p.stdout, p.stderr, sep="\n")
    return (int(found.group(1)), int(found.group(2))) if found else (0, 1)


def main():
    passed = failed = 0
    for name, (options, url) in SERVERS.items():
        with Dovecot(connections=40, **options) as d:
            env = {"ZPUSHD_TEST_IMAP": getattr(d, url), "ZPUSHD_TEST_CA": d.certs.ca}
            good, bad = run(["build/tests/unit/test_imap_real"], env)
        print("%s %s: %d passed, %d failed" % ("FAIL" if bad else "ok  ", name, good, bad))
        passed, failed = passed + good, failed + bad
    with Dovecot(connections=40) as d, Postfix(d) as p:
        good, bad = run(["build/tests/contract/test_contract", "ext_"],
                        {"ZPUSHD_CONTRACT": d.imap_url, "ZPUSHD_CONTRACT_SMTP": p.url, "ZPUSHD_CONTRACT_USERS": USERS,
                         "ZPUSHD_CONTRACT_NOBODY": "nobody@example.org"})
    print("%s contract: %d passed, %d failed" % ("FAIL" if bad else "ok  ", good, bad))
    passed, failed = passed + good, failed + bad
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
