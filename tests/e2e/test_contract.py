#!/usr/bin/python3
"""The contract suite of the backends over a real Dovecot and Postfix, once as it is,
once without CONDSTORE (every answer may then be a full listing) and once without
MOVE and UIDPLUS.

The cases are those of tests/contract; this only starts the servers and names them
in the environment (tests/contract/rig_ext.c)."""
import os
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
from env import ACCOUNTS, DOMAIN, Dovecot, Postfix, ServiceMissing  # noqa: E402

SUITE = os.path.join(ROOT, os.environ.get("ZPUSHD_CONTRACT_BIN", "build/tests/contract/test_contract"))
PEOPLE = ("alice", "erin")  # whose passwords hold neither ':' nor ','


class Contract(unittest.TestCase):
    def run_suite(self, imap, smtp=None, full=False):
        env = dict(os.environ, ZPUSHD_CONTRACT=imap.imap_url,
                   ZPUSHD_CONTRACT_USERS=",".join("%s:%s:%s@%s" % (p, ACCOUNTS[p], p, DOMAIN) for p in PEOPLE))
        if smtp:
            env.update(ZPUSHD_CONTRACT_SMTP=smtp.url, ZPUSHD_CONTRACT_NOBODY="nobody-here@" + DOMAIN)
        if full:
            env["ZPUSHD_CONTRACT_FULL"] = "1"
        done = subprocess.run([SUITE, "ext_"], env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              universal_newlines=True, timeout=600)
        if done.returncode:
            self.fail("\n".join(line for line in done.stdout.splitlines() if not line.startswith("ok ")))
        self.assertIn(" 0 failed", done.stdout)
        self.assertNotIn(" 0 passed", done.stdout)

    def test_dovecot_as_it_is(self):
        with Dovecot() as imap:
            try:
                with Postfix(imap) as smtp:
                    self.run_suite(imap, smtp)
            except ServiceMissing:
                self.run_suite(imap)

    def test_without_condstore(self):
        with Dovecot(without=("CONDSTORE", "QRESYNC")) as imap:
            self.run_suite(imap, full=True)

    def test_without_move_and_uidplus(self):
        with Dovecot(without=("MOVE", "UIDPLUS")) as imap:
            self.run_suite(imap)


def main():
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(Contract))
    bad = len(result.failures) + len(result.errors)
    print("%d passed, %d failed, %d skipped" % (result.testsRun - bad - len(result.skipped), bad, len(result.skipped)))
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
