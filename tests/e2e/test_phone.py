"""The simulated phone itself: its WBXML against recorded exchanges and back."""
import csv
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import judge  # noqa: E402
from case import case, cases, check, equal, main, raises  # noqa: E402
from phone import Phone  # noqa: E402
from wbxml import HEADER, WbxmlError, decode, el, encode  # noqa: E402
from zpushd import to_toml  # noqa: E402


@case
def encodes_pages_strings_opaque_and_empty_tags():
    tree = el("AirSync:Sync", el("GetChanges"), el("Email:Subject", "ä"), el("AirSync:Class", b"\0\xff"))
    equal(encode(tree), HEADER + bytes.fromhex("45 13 00 02 54 03 c3a4 00 01 00 00 50 c3 02 00ff 01 01"))
    equal(decode(encode(tree)).xml(), tree.xml())


@case
def reads_every_recorded_exchange():
    path = os.path.join(judge.shared_directory(), "samples", "exchanges.tsv")
    csv.field_size_limit(1 << 30)
    count = 0
    with open(path, newline="") as f:
        for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
            for body in (bytes.fromhex(row["req_hex"]), bytes.fromhex(row["res_hex"])):
                if body.startswith(b"\x03"):
                    document = decode(body)
                    equal(decode(encode(document)).xml(), document.xml())
                    count += 1
    check(count > 100, "only %d bodies" % count)


@cases([("truncated", "03016a0045"), ("trailing", "03016a0005 05"), ("attribute", "03016a00c5"), ("entity", "03016a0045 02 20 01"),
        ("unknown_token", "03016a007f01"), ("unknown_page", "03016a00 00 77 05"), ("string_table", "03016a0161 05"),
        ("latin1", "03016a0045 03 e4 00 01"), ("charset", "0301040005"), ("version", "02016a0005")])
def refuses(hexadecimal):
    raises(WbxmlError, decode, bytes.fromhex(hexadecimal))


@case
def makes_the_base64_line():
    phone = Phone("http://127.0.0.1:1", version="14.1", device_id="v140Device", device_type="SmartPhone", base64_line=True)
    phone.policy_key = "2"
    equal(phone.target("Sync"), "/Microsoft-Server-ActiveSync?jQAJBAp2MTQwRGV2aWNlBAIAAAAKU21hcnRQaG9uZQ==")


@case
def lenient_forms_are_only_for_old_versions():
    tree = el("AirSync:Sync", el("Collections", el("Collection", el("Class", "Email"), el("SyncKey", "1"))))
    tree = decode(encode(tree))
    check("<Class>" in judge.lenient("14.0", tree).xml())
    check("<Class>" not in judge.lenient("12.1", tree).xml())


@case
def writes_toml():
    equal(to_toml({"server.listen": ["a:1"], "server.workers": 3, "tls.on": True, "imap.user": "%u\"ä"}),
          '[server]\nlisten = ["a:1"]\nworkers = 3\n\n[tls]\non = true\n\n[imap]\nuser = "%u\\"ä"\n\n')


if __name__ == "__main__":
    main()
