"""Two independent judges of every reply body a simulated phone received: the
response schemas (XSD, by xmllint) and Debian's wbxml2xml as second decoder.

phone.py hands in each reply; importing it makes the verdicts the last cases of
a test file. The schemas lie beside the repository (../shared/spec/xsd); where
they are absent that verdict is a skip."""
import os
import re
import subprocess
import tempfile

import case
import env
from wbxml import Element

replies = []        # (version, command, Element, bytes)
_seen = set()


def collect(version, command, document, body):
    if body not in _seen:
        _seen.add(body)
        replies.append((version, command, document, body))


def shared_directory():
    return env.shared_directory() or case.skip("needs ../shared/spec/xsd beside the repository")


def schema():
    """build/xsd/all.xsd, prepared once."""
    target = os.path.join(case.ROOT, "build", "xsd")
    if not os.path.exists(os.path.join(target, "all.xsd")):
        prepare = os.path.join(shared_directory(), "spec", "xsd", "prepare.py")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        fresh = tempfile.mkdtemp(dir=os.path.dirname(target))
        subprocess.run(["/usr/bin/python3", prepare, fresh], check=True)
        try:
            os.rename(fresh, target)
        except OSError:         # another run was first
            pass
    return os.path.join(target, "all.xsd")


def lenient(version, document):
    """The document as the schemas can judge it: what is right in 2.5 and 12.x
    but unknown to them (README of the schemas) is taken out."""
    if float(version) >= 14:
        return document
    return _copy(document, version)


def _copy(e, version):
    content = [_copy(c, version) if isinstance(c, Element) else c for c in e.content]
    if e.name in ("AirSync:Collection", "GetItemEstimate:Collection"):
        content = [c for c in content if not (isinstance(c, Element) and c.tag == "Class")]
    elif e.name == "Email:Attachment":
        content.sort(key=lambda c: ("AttName", "AttSize", "AttMethod", "DisplayName").index(c.tag))
    elif e.name == "Provision:Data" and not e.children:
        content = [Element("Provision:EASProvisionDoc")]    # 2.5: an XML text of its own
    return Element(e.name, *content)


def schema_case():
    """every_reply_satisfies_the_schemas"""
    all_xsd = schema()
    folder = tempfile.mkdtemp(dir=env.scratch())
    names = []
    for number, (version, command, document, _) in enumerate(replies):
        names.append(os.path.join(folder, "%05d-%s-%s.xml" % (number, version, command)))
        with open(names[-1], "w") as f:
            f.write(lenient(version, document).xml())
    errors = []
    for start in range(0, len(names), 500):
        out = subprocess.run(["xmllint", "--noout", "--schema", all_xsd, *names[start:start + 500]],
                             capture_output=True, text=True, errors="replace")
        errors += [line for line in out.stderr.splitlines()     # what is about the schemas is no verdict
                   if line.startswith(folder) and not line.endswith(" validates") and "namespace warning" not in line]
    if errors:
        shown = [line.replace(folder + "/", "") for line in errors]
        raise case.Failed("\n".join(shown[:12]) + "\n" + _whole_first(shown))


def _whole_first(lines):
    m = re.match(r"(\d+)-", lines[0])
    return repr(replies[int(m.group(1))][2])[:3000] if m else ""


def decoder_case():
    """every_reply_decodes_with_wbxml2xml: same elements in the same order."""
    structures = {}
    for _, command, document, body in replies:
        structures.setdefault(tuple(e.name for e in document.walk()), (command, body))
    for names, (command, body) in structures.items():
        out = subprocess.run(["wbxml2xml", "-m", "0", "-l", "ACTIVESYNC", "-o", "-", "-"], input=body,
                             capture_output=True)
        text = re.sub(rb"<!\[CDATA\[.*?\]\]>", b"", out.stdout, flags=re.S).decode(errors="replace")
        got = re.findall(r"<([A-Za-z_]\w*)", text)
        same = len(got) == len(names) and all(g in ("unknown", _their_name(n)) for g, n in zip(got, names))
        if out.returncode or not same:
            raise case.Failed("%s: wbxml2xml reads\n%s\n%s\nwant %s" % (command, text[:2000], out.stderr.decode(), " ".join(names)))


# Where libwbxml spells a tag differently: patterns over "Namespace:Tag".
_SPELLING = [
    (r"Contacts:AssistantPhoneNumber", "AssistantTelephoneNumber"),
    (r"Contacts:(Business|Home|Other)Address(City|Country|PostalCode|State|Street)", r"\1\2"),
    (r"Email:Att0Id", "AttOId"), (r"Email:ReplyTo", "Reply"), (r"(Email|Calendar):DtStamp", "DTStamp"),
    (r"Email:Status", "FlagStatus"), (r"Calendar:Timezone", "TimeZone"),
    (r"(?:Email|Calendar|Tasks):(Type|Until|Occurrences|Interval|DayOfWeek|DayOfMonth|WeekOfMonth|MonthOfYear"
     r"|Start|Regenerate|DeadOccur)", r"Recurrence_\1"),
    (r"Calendar:(Email|Name)", r"Attendee_\1"), (r"Calendar:Attendee(Status|Type)", r"Attendee_\1"),
    (r"Calendar:CompressedRTF", "Compressed_RTF"), (r"Calendar:Deleted", "Exception_Deleted"),
    (r"Calendar:ExceptionStartTime", "Exception_StartTime"), (r"Calendar:Organizer(Email|Name)", r"Organizer_\1"),
    (r"Tasks:Utc(DueDate|StartDate)", r"UTC\1"),
    (r"Provision:RequireStorageCardEncryption", "DeviceEncryptionEnabled"),
    (r"Settings:SMTPAddress", "SmtpAddress"), (r"Settings:RightsManagementInformation", "ihsManagementInformation"),
    (r"ComposeMail:Mime", "MIME"), (r"ComposeMail:(Name|Email)", r"Forwardee\1"),
    (r"RightsManagement:Owner", "RMOwner"),
    (r"RightsManagement:RemoveRightsManagementProtection", "RemoveRightsManagementDistribution"),
]


def _their_name(name):
    for pattern, spelling in _SPELLING:
        m = re.fullmatch(pattern, name)
        if m:
            return m.expand(spelling)
    return name.partition(":")[2]


case.finals += [("every_reply_satisfies_the_schemas", schema_case, lambda: replies),
                ("every_reply_decodes_with_wbxml2xml", decoder_case, lambda: replies)]
