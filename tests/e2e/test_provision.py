"""Provisioning: both phases, the key and its checks, policies, modes."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import case, cases, check, contains, equal, main, shared  # noqa: E402
from phone import WBXML  # noqa: E402
from wbxml import el, encode  # noqa: E402
from world import ImapWorld  # noqa: E402

POLICY = """
[policy]
require = "%s"
DevicePasswordEnabled = true
MinDevicePasswordLength = 6
[policy.users."bob"]
MinDevicePasswordLength = 8
"""
VERSIONS = [(v, v) for v in ("2.5", "12.0", "12.1", "14.0", "14.1")]


def world(mode="strict"):
    return shared(ImapWorld, toml=POLICY % mode, store="embedded")


def refused(phone):
    """Is a FolderSync refused for its policy key? In the version's own way."""
    reply = phone.post("FolderSync", el("FolderHierarchy:FolderSync", el("SyncKey", "0")))
    if reply.status == 449:
        check(float(phone.version) < 14, "449 at %s" % phone.version)
        return "449"
    equal(reply.status, 200)
    return reply.get("Status") if reply.get("Status") in ("142", "143", "144") else None


@cases(VERSIONS)
def both_phases_give_a_key(version):
    phone = world().bare_phone(version=version)
    if version == "2.5":        # an XML text of its own, and no Status around it
        phone.provision()
    else:
        second = phone.provision()
        equal(second.get("Status"), "1")
        equal(second.get("Policies/Policy/Status"), "1")
        check(second.doc.find("Policies/Policy/Data") is None, "the second phase repeats the policy")
    check(phone.policy_key not in ("0", "", None))
    equal(refused(phone), None)


@cases(VERSIONS[1:])
def the_document_holds_what_is_configured(version):
    phone = world().bare_phone(version=version)
    kind = el("Policies", el("Policy", el("PolicyType", "MS-EAS-Provisioning-WBXML")))
    first = phone.post("Provision", el("Provision:Provision", kind), headers={"X-MS-PolicyKey": "0"})
    document = first.doc.find("Policies/Policy/Data/EASProvisionDoc")
    equal(document.get("DevicePasswordEnabled"), "1")
    equal(document.get("MinDevicePasswordLength"), "6")
    check(all(e.text != "-1" for e in document.children), "a -1 in %r" % document)
    check(document.find("AllowCamera") is None, "a policy that nobody set")


@case
def a_users_own_policy_wins():
    phone = world().bare_phone("bob")
    kind = el("Policies", el("Policy", el("PolicyType", "MS-EAS-Provisioning-WBXML")))
    first = phone.post("Provision", el("Provision:Provision", kind), headers={"X-MS-PolicyKey": "0"})
    equal(first.get("Policies/Policy/Data/EASProvisionDoc/MinDevicePasswordLength"), "8")


@case
def wap_provisioning_is_a_text():
    phone = world().bare_phone(version="2.5")
    kind = el("Policies", el("Policy", el("PolicyType", "MS-WAP-Provisioning-XML")))
    first = phone.post("Provision", el("Provision:Provision", kind), headers={"X-MS-PolicyKey": "0"})
    contains(first.get("Policies/Policy/Data"), "<wap-provisioningdoc>")


@cases(VERSIONS)
def strict_refuses_a_device_without_key(version):
    phone = world("strict").bare_phone(version=version)
    want = "449" if float(version) < 14 else "142"
    equal(refused(phone), want)
    phone.policy_key = None
    equal(refused(phone), want)


@cases(VERSIONS)
def loose_asks_once_and_lets_a_device_in_that_cannot(version):
    phone = world("loose").bare_phone(version=version)
    equal(refused(phone), "449" if float(version) < 14 else "142")
    equal(refused(phone), None)


@cases([(m + "_" + v, m, v) for m in ("strict", "loose") for v in ("12.1", "14.0", "14.1")])
def a_wrong_key_is_refused(mode, version):
    phone = world(mode).bare_phone(version=version)
    phone.provision()
    phone.policy_key = str(int(phone.policy_key) ^ 1)
    equal(refused(phone), "449" if float(version) < 14 else "144")


@case
def off_asks_nobody():
    phone = world("off").bare_phone()
    equal(refused(phone), None)
    phone.provision()           # and still gives a key
    check(phone.policy_key not in ("0", "", None))


@case
def the_key_of_the_first_phase_is_no_policy_key_yet():
    phone = world("strict").bare_phone()
    kind = el("Policies", el("Policy", el("PolicyType", "MS-EAS-Provisioning-WBXML")))
    first = phone.post("Provision", el("Provision:Provision", kind), headers={"X-MS-PolicyKey": "0"})
    phone.policy_key = first.get("Policies/Policy/PolicyKey")
    check(refused(phone) is not None)


@case
def an_unknown_policy_type_is_status_3():
    phone = world().bare_phone()
    reply = phone.post("Provision", el("Provision:Provision", el("Policies", el("Policy", el("PolicyType", "Unknown")))))
    equal((reply.get("Status"), reply.get("Policies/Policy/Status")), ("1", "3"))


@case
def an_acknowledgement_of_a_wrong_key_is_status_5():
    phone = world().bare_phone()
    kind = "MS-EAS-Provisioning-WBXML"
    phone.provision()
    reply = phone.post("Provision", el("Provision:Provision", el("Policies", el(
        "Policy", el("PolicyType", kind), el("PolicyKey", "12345"), el("Status", "1")))))
    equal(reply.get("Policies/Policy/Status"), "5")


@case
def a_device_keeps_its_key_over_a_restart():
    w = world("strict")
    phone = w.bare_phone()
    phone.provision()
    w.zpushd.restart()
    phone.hang_up()
    equal(refused(phone), None)


@case
def device_information_reaches_the_page():
    w = world("off")
    phone = w.bare_phone("dave", device_id="page-device")
    phone.provision()
    phone.folder_sync()
    page = phone._exchange("GET", "/Microsoft-Server-ActiveSync", None, {"Authorization": phone.authorization()}, 30)
    contains(page.body, b"page-device")
    other = w.bare_phone("erin")
    page = other._exchange("GET", "/Microsoft-Server-ActiveSync", None, {"Authorization": other.authorization()}, 30)
    check(b"page-device" not in page.body, "a user sees another one's device")


@case
def a_body_less_provision_is_an_error_not_a_crash():
    phone = world().bare_phone()
    for body in (None, encode(el("Provision:Provision")), encode(el("AirSync:Sync"))):
        reply = phone.post("Provision", body, content_type=WBXML)
        check(reply.status in (200, 400), repr(reply))
        if reply.status == 200:
            check(reply.get("Status") not in (None, "1"), repr(reply))


if __name__ == "__main__":
    main()
