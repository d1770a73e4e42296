"""Every kind of reply judged by the response schemas (xmllint) and decoded by
wbxml2xml. Schemas: ZPUSHD_XSD, or ../shared/spec/xsd beside the repository; the
test is skipped where they are not. Known exceptions of the schemas, where a
2.5 or 12.x document is right and the schema knows only later ones, are named."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
XSD = os.environ.get("ZPUSHD_XSD") or os.path.join(ROOT, "..", "shared", "spec", "xsd")
BINARY = os.path.join(ROOT, os.environ.get("ZPUSHD_BUILD", "build"), "tests", "unit", "test_cmd_replies")

# name pattern -> why the schema rejects a correct document
EXCEPTIONS = {
    r"sync-class-(2\.5|12\.\d)": "Collection/Class to 12.1",
    r"getitemestimate-class-(2\.5|12\.\d)": "Collection/Class to 12.1",
    r"sync-(items|responses)-2\.5": "2.5 order inside Attachment",
    r"provision-wap-2\.5": "Data as a string",
}


def excepted(name):
    return next((why for pattern, why in EXCEPTIONS.items() if re.fullmatch(pattern, name)), None)


def validate(folder, names):
    """name -> complaint, for the files that the schemas reject"""
    schemas = os.path.join(folder, "xsd")
    subprocess.run([sys.executable, os.path.join(XSD, "prepare.py"), schemas], check=True)
    run = subprocess.run(["xmllint", "--noout", "--schema", os.path.join(schemas, "all.xsd"),
                          *[os.path.join(folder, n + ".xml") for n in names]], capture_output=True, text=True)
    bad = {}
    for line in run.stderr.splitlines():
        m = re.match(r".*/([^/]+)\.xml:\d+: (element .*)", line)
        if m:
            bad.setdefault(m.group(1), m.group(2))
    valid = len(re.findall(r" validates$", run.stderr, re.M))
    if valid + len(bad) != len(names):
        raise SystemExit("xmllint judged %d of %d files:\n%s" % (valid + len(bad), len(names), run.stderr[-2000:]))
    return bad


# Names that the other decoder spells in its own way.
SPELLINGS = {
    "DTStamp": "DtStamp",
    "DeviceEncryptionEnabled": "RequireStorageCardEncryption",
    "FlagStatus": "Status",
    "Reply-To": "ReplyTo",
    "SmtpAddress": "SMTPAddress",
    "UTCDueDate": "UtcDueDate",
    "UTCStartDate": "UtcStartDate",
    "ihsManagementInformation": "RightsManagementInformation",
}


def tree(text):
    """Element names in order: what two decoders must agree on."""
    names = re.findall(r"<(?:\w+:)?([A-Za-z][\w-]*)", re.sub(r"<\?.*?\?>|<!.*?>", "", text, flags=re.S))
    return [SPELLINGS.get(n, n.removeprefix("Recurrence_")) for n in names]


def second_decoder(folder, name):
    """What wbxml2xml says against, or None. It does not know every later token."""
    out = os.path.join(folder, "out.xml")
    run = subprocess.run(["wbxml2xml", "-l", "ACTIVESYNC", "-o", out, os.path.join(folder, name + ".wbxml")],
                         capture_output=True, text=True)
    if run.returncode:
        return run.stderr.strip() or "exit %d" % run.returncode
    with open(out, encoding="utf-8", errors="replace") as theirs, open(os.path.join(folder, name + ".xml"), encoding="utf-8") as ours:
        a, b = tree(theirs.read()), tree(ours.read())
    if a == b:
        return None
    differ = ["%s, not %s" % (x, y) for x, y in zip(a, b) if x != y]
    return "%d elements, not %d; %s" % (len(a), len(b), "; ".join(differ[:5]))


def main():
    for need in ("xmllint", "wbxml2xml"):
        if not shutil.which(need):
            print("skip xsd: %s is not installed\n0 passed, 0 failed, 1 skipped" % need)
            return 0
    if not os.path.isdir(XSD):
        print("skip xsd: no schemas at %s\n0 passed, 0 failed, 1 skipped" % os.path.normpath(XSD))
        return 0
    folder = tempfile.mkdtemp(prefix="zpushd-xsd-")
    try:
        subprocess.run([BINARY], env=dict(os.environ, ZPUSHD_DUMP=folder), check=True, stdout=subprocess.DEVNULL)
        names = sorted(f[:-4] for f in os.listdir(folder) if f.endswith(".xml"))
        bad = validate(folder, names)
        passed = failed = 0
        for name in names:
            complaint, why = bad.get(name), excepted(name)
            if complaint and not why:
                failed += 1
                print("FAIL %s: %s" % (name, complaint))
            elif why and not complaint:
                failed += 1
                print("FAIL %s: the exception (%s) is no longer needed" % (name, why))
            else:
                passed += 1
            other = second_decoder(folder, name)
            if other:
                failed += 1
                print("FAIL %s: wbxml2xml: %s" % (name, other))
            else:
                passed += 1
        print("%d passed, %d failed, 0 skipped" % (passed, failed))
        return 1 if failed or passed < 100 else 0
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
