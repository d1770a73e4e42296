"""The commands beside Sync against the requirement tables (MS-ASCMD, MS-ASHTTP,
MS-ASPROV), on the embedded default."""
import base64
import os
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import case, cases, check, contains, equal, main, shared  # noqa: E402
from env import message  # noqa: E402
from wbxml import decode, el  # noqa: E402
from world import LocalWorld  # noqa: E402

VERSIONS = [(v, v) for v in ("2.5", "12.0", "12.1", "14.0", "14.1")]
TWELVE = [(v, v) for v in ("12.0", "12.1", "14.0", "14.1")]
_taken = []


class World(LocalWorld):
    accounts = {"u%02d" % n: "secret-%d" % n for n in range(99)}


def fresh(*mails, version="14.1"):
    world = shared(World)
    user = "u%02d" % len(_taken)
    _taken.append(user)
    world.append_many(user, list(mails))
    phone = world.phone(user, version=version)
    return world, user, phone, phone.folder_id(type=2)


def pulled(*mails, version="14.1"):
    world, user, phone, inbox = fresh(*mails, version=version)
    phone.pull(inbox)
    return world, user, phone, inbox


def names(e):
    return [c.tag for c in e.children]


# --- Ping ------------------------------------------------------------------------------------

def ping(*children):
    return el("Ping:Ping", *children)


def folders(*ids):
    return el("Ping:Folders", *[el("Folder", el("Id", i), el("Class", "Email")) for i in ids])


@cases(VERSIONS)
def ping_statuses(version):         # R4240 R4241 R4244 R4249 R5837 R4257 R5690 R5691
    world, user, phone, inbox = pulled(message(subject="a"), version=version)

    def ask(body):
        r = phone.post("Ping", body)
        return tuple(r.get(n) for n in ("Status", "HeartbeatInterval", "MaxFolders"))

    beat = el("Ping:HeartbeatInterval", "480")
    equal(ask(None), ("3", None, None), "no body, nothing remembered (R4240)")
    equal(ask(ping()), ("4", None, None), "empty, nothing remembered")
    equal(ask(ping(beat)), ("3", None, None), "no folders")
    equal(ask(ping(folders(inbox))), ("3", None, None), "no interval")
    equal(ask(ping(el("Ping:HeartbeatInterval", "x"), folders(inbox))), ("4", None, None))
    equal(ask(ping(beat, el("Ping:Folders", el("Folder", el("Class", "Email"))))), ("4", None, None), "no Id")
    stray = el("Ping:Folders", el("Folder", el("Id", inbox), el("Class", "Email"), el("AirSync:SyncKey", "1")))
    equal(ask(ping(beat, stray)), ("4", None, None), "a stranger in a folder")
    equal(ask(ping(beat, el("Ping:Status", "1"), folders(inbox))), ("4", None, None), "an element of replies")
    equal(ask(ping(el("Ping:HeartbeatInterval", "59"), folders(inbox))), ("5", "60", None))
    equal(ask(ping(el("Ping:HeartbeatInterval", "-5"), folders(inbox))), ("5", "60", None))
    equal(ask(ping(el("Ping:HeartbeatInterval", "3541"), folders(inbox))), ("5", "3540", None))
    equal(ask(ping(beat, folders("no-such"))), ("7", None, None))
    many = ask(ping(beat, folders(*["f%d" % n for n in range(1001)])))
    equal((many[0], many[2] is not None), ("6", True))
    stranger = world.bare_phone(user, version=version)
    stranger.provision()
    r = stranger.post("Ping", ping(beat, folders(inbox)))
    equal(r.get("Status"), "7", "never synced the hierarchy (R4258)")


@cases(VERSIONS)
def ping_tells_and_remembers(version):        # R4235 R4236 R335 R5836
    world, user, phone, inbox = pulled(message(subject="a"), version=version)
    trash = phone.folder_id(type=4)
    phone.pull(trash)
    parked = phone.ping([inbox, trash], heartbeat=120, wait=False)
    time.sleep(0.3)
    world.deliver(user, subject="b")
    r = parked.result(20)
    equal((r.get("Status"), [f.text for f in r.all("Folders/Folder")]), ("2", [inbox]))
    equal(names(r.doc), ["Status", "Folders"])
    r = phone.post("Ping")              # without a body: again, and it is still there
    equal((r.get("Status"), [f.text for f in r.all("Folders/Folder")]), ("2", [inbox]))
    r = phone.post("Ping", ping(el("Ping:HeartbeatInterval", "200")))       # folders of last time
    equal(r.get("Status"), "2")
    r = phone.post("Ping", ping(folders(inbox)))        # interval of last time
    equal(r.get("Status"), "2")


# --- GetItemEstimate ---------------------------------------------------------------------------

@cases(VERSIONS)
def estimate_statuses(version):         # R4136 R4140 R4594 R2967 R2970
    world, user, phone, inbox = fresh(message(subject="a"), version=version)
    world.append_many(user, [message(subject="old", date=1.6e9)], seconds=1.6e9)

    def ask(**kw):
        r = phone.estimate(inbox, **kw)
        equal(r.get("Status"), None if r.doc.find("Status") is None else "1")
        c = r.doc.find("Response/Collection")
        return r.get("Response/Status"), None if c is None else c.get("Estimate")

    equal(phone.estimate("no-such", key="0").get("Response/Status"), "2")
    equal(ask(key="0"), ("3", None))
    equal(ask(key="no-key"), ("3", None))
    phone.sync_folder(inbox)
    equal(ask(), ("1", "2"))
    equal(ask(filter=1), ("1", "1"))
    equal(ask(key="no-key"), ("4", None))
    r = phone.estimate(inbox)
    want = ["Class", "CollectionId", "Estimate"] if version in ("2.5", "12.0") else ["CollectionId", "Estimate"]
    equal(names(r.doc.find("Response/Collection")), want)
    equal(names(r.doc.find("Response")), ["Status", "Collection"])
    phone.pull(inbox)
    equal(ask(), ("1", "0"))


@case
def estimate_refusals():            # R3005-R3007 R2984 R3269 R908 R5647
    world, user, phone, inbox = fresh(message(subject="a"))
    phone.sync_folder(inbox)

    def ask(*collections):
        r = phone.post("GetItemEstimate", el("GetItemEstimate:GetItemEstimate", el("Collections", *collections)))
        return r.get("Status"), r.get("Response/Status")

    def coll(*options, key=None, cid=inbox):
        return el("GetItemEstimate:Collection", el("AirSync:SyncKey", key or phone.keys[inbox]),
                  el("CollectionId", cid) if cid else None, *[el("AirSync:Options", *o) for o in options])

    for n in (6, 7, 8):
        equal(ask(coll((el("AirSync:FilterType", str(n)),))), ("110", None), "filter %d" % n)
    equal(ask(coll((el("AirSync:FilterType", "9"),))), ("103", None))
    equal(ask(coll((el("AirSync:FilterType", "x"),))), ("103", None))
    equal(ask(coll((el("AirSync:MaxItems", "3"),))), (None, "2"))
    email, sms, tasks = (el("AirSync:Class", x) for x in ("Email", "SMS", "Tasks"))
    equal(ask(coll((email,), (sms,))), (None, "1"))
    equal(ask(coll((email,), (tasks,))), ("4", None))
    equal(ask(coll((email,), (email,))), ("4", None))
    equal(ask(coll(cid=None)), ("103", None))
    equal(ask(), ("103", None))
    equal(ask(*[coll(cid="f%d" % n) for n in range(1001)]), ("103", None))
    equal(ask(coll(cid="no-such"), coll()), (None, "2"))


@case
def an_estimate_without_options_stops_at_512():      # R3543
    world, user, phone, inbox = fresh()
    world.fill(user, 530)
    phone.sync_folder(inbox, options={"filter": 3})
    equal(phone.estimate(inbox).get("Response/Collection/Estimate"), "512")
    equal(phone.estimate(inbox, filter=0).get("Response/Collection/Estimate"), "530")


# --- MoveItems ----------------------------------------------------------------------------------

@cases(VERSIONS)
def move_statuses(version):         # R4207 R4208 R4212 R4217 R4219 R4222 R290 R5653
    world, user, phone, inbox = pulled(message(subject="a"), message(subject="b"), version=version)
    box = phone.folder_create("Box").get("ServerId")
    a, b = phone.item_with(inbox, "a"), phone.item_with(inbox, "b")
    r = phone.move([(a, inbox, box), (b, "no-such", box), ("no-such", inbox, box), (b, inbox, "no-such"), (b, inbox, inbox)])
    equal([(m.get("SrcMsgId"), m.get("Status")) for m in r.all("Response")],
          [(a, "3"), (b, "1"), ("no-such", "1"), (b, "2"), (b, "4")])
    equal([names(m) for m in r.all("Response")], [["SrcMsgId", "Status", "DstMsgId"]] + [["SrcMsgId", "Status"]] * 4)
    phone.pull(box)
    equal(list(phone.items[box]), [r.get("Response/DstMsgId")])
    double = el("Move:MoveItems", el("Move", el("SrcMsgId", b), el("SrcFldId", inbox), el("DstFldId", box), el("DstFldId", inbox)))
    equal(phone.post("MoveItems", double).get("Response/Status"), "5", "two targets")
    equal(world.subjects(user), ["b"])
    modern = float(version) >= 14
    for moves in ((), [(b, inbox, box)] * 1001):
        r = phone.move(moves)
        equal((r.status, r.get("Status")), (200, "103") if modern else (400, None))
    r = phone.post("MoveItems", el("Move:MoveItems", el("Move", el("SrcMsgId", b), el("SrcFldId", inbox))))
    equal((r.status, r.get("Status")), (200, "103") if modern else (400, None), "no target")


# --- ItemOperations -------------------------------------------------------------------------------

def fetch(*children, store="Mailbox"):
    return el("ItemOperations:Fetch", el("Store", store) if store else None, *children)


def ops(phone, *operations, **kw):
    return phone.post("ItemOperations", el("ItemOperations:ItemOperations", *operations), **kw)


@cases(TWELVE)
def fetch_statuses(version):        # R4153 R4154 R4158 R4161 R4166 R194
    _, _, phone, inbox = pulled(message(subject="a", text="hello\r\n"), version=version)
    item = phone.item_with(inbox, "a")
    cid, sid = el("AirSync:CollectionId", inbox), el("AirSync:ServerId", item)
    rows = [
        ("known", fetch(cid, sid), "1"),
        ("unknown item", fetch(cid, el("AirSync:ServerId", inbox + ":99")), "6"),
        ("no item id", fetch(cid, el("AirSync:ServerId", "nonsense")), "6"),
        ("unknown folder", fetch(el("AirSync:CollectionId", "no"), el("AirSync:ServerId", "no:1")), "6"),
        ("item of another folder", fetch(el("AirSync:CollectionId", phone.folder_id(type=4)), sid), "6"),
        ("unknown store", fetch(cid, sid, store="Fridge"), "9"),
        ("no store", fetch(cid, sid, store=None), "2"),
        ("nothing to fetch", fetch(), "2"),
        ("collection alone", fetch(cid), "2"),
        ("no attachment", fetch(el("AirSyncBase:FileReference", "no.1.2")), "15"),
        ("no such part", fetch(el("AirSyncBase:FileReference", "%s.1.99" % inbox)), "15"),
        ("nonsense", fetch(el("AirSyncBase:FileReference", "../../etc")), "15"),
        ("bad support", fetch(cid, sid, el("Options", el("AirSync:MIMESupport", "7"))), "2"),
        ("unknown element", fetch(cid, sid, el("AirSync:WindowSize", "1")), "2"),
    ]
    wrong = [(name, got) for name, op, want in rows
             for r in (ops(phone, op),)
             for got in ((r.get("Status"), r.get("Response/Fetch/Status")),) if got != ("1", want)]
    equal(wrong, [])
    r = ops(phone, rows[1][1], rows[0][1], rows[0][1])
    equal([f.get("Status") for f in r.all("Response/Fetch")], ["6", "1", "1"])
    f = r.all("Response/Fetch")[1]
    equal(names(f), ["Status", "CollectionId", "ServerId", "Class", "Properties"])
    modern = float(version) >= 14
    equal(ops(phone).get("Status"), "2")
    equal(ops(phone, *[rows[0][1]] * 101).get("Status"), "103" if modern else "2")


@cases(TWELVE)
def schema_names_what_is_wanted(version):       # R3879
    _, _, phone, inbox = pulled(message(subject="a", text="hello\r\n"), version=version)
    schema = el("Schema", el("Email:Subject"), el("Email:From"), el("AirSyncBase:Body"))
    r = ops(phone, fetch(el("AirSync:CollectionId", inbox), el("AirSync:ServerId", phone.item_with(inbox, "a")),
                         el("Options", schema)))
    equal(sorted(names(r.doc.find("Response/Fetch/Properties"))), ["Body", "From", "Subject"])
    r = ops(phone, fetch(el("AirSync:CollectionId", inbox), el("AirSync:ServerId", phone.item_with(inbox, "a")),
                         el("Options", el("Schema", el("Email:To")))))
    equal(names(r.doc.find("Response/Fetch/Properties")), ["To"])


def parts_of(body):
    n = struct.unpack_from("<I", body)[0]
    meta = [struct.unpack_from("<II", body, 4 + 8 * i) for i in range(n)]
    return [body[o:o + size] for o, size in meta]


@cases(TWELVE)
def ranges_and_multipart(version):          # R5422 R5423 R3716 R5509-R5513 R3633
    data = bytes(range(256)) * 10
    _, _, phone, inbox = pulled(message(subject="a", text="hello\r\n", attachments=[("f.bin", "application/x-f", data)]),
                                version=version)
    item = phone.item_with(inbox, "a")
    ref = el("AirSyncBase:FileReference", phone.items[inbox][item].get("Attachments/Attachment/FileReference"))

    def ranged(text):
        return fetch(ref, el("Options", el("Range", text)))

    for text, told, piece in (("0-9", "0-9", data[:10]), ("10-10", "10-10", data[10:11]), ("2550-9999", "2550-2559", data[2550:])):
        p = ops(phone, ranged(text)).doc.find("Response/Fetch/Properties")
        equal((p.get("Range"), p.get("Total"), base64.b64decode(p.get("Data"))), (told, "2560", piece), text)
    for text in ("9-3", "x", "2560-2570", "5", "-1-4", ""):
        equal(ops(phone, ranged(text)).get("Response/Fetch/Status"), "8" if text else "1", text)
    whole = ops(phone, fetch(ref)).doc.find("Response/Fetch/Properties")
    equal((names(whole), whole.get("ContentType")), (["ContentType", "Data"], "application/x-f"))
    r = ops(phone, fetch(ref), fetch(el("AirSync:CollectionId", inbox), el("AirSync:ServerId", item)),
            headers={"MS-ASAcceptMultiPart": "T"})
    equal(r.headers["Content-Type"], "application/vnd.ms-sync.multipart")
    head, first, second = parts_of(r.body)
    doc = decode(head)
    equal((first, second.strip()), (data, b"hello"))
    one, two = doc.all("Response/Fetch")
    equal((one.get("Properties/Part"), two.get("Properties/Body/Part")), ("1", "2"))
    check(one.find("Properties/Data") is None and two.find("Properties/Body/Data") is None)


@case
def conversations_are_not_moved():      # R4171
    _, _, phone, inbox = fresh()
    move = el("Move", el("ConversationId", b"0123456789abcdef"), el("DstFldId", inbox))
    equal(ops(phone, move).get("Response/Move/Status"), "155")


@cases(TWELVE)
def folders_are_emptied(version):           # R199 R2167 R2244
    world, user, phone, inbox = pulled(message(subject="a"), message(subject="b"), version=version)
    box = phone.folder_create("Box").get("ServerId")
    phone.folder_create("Inner", box)
    world.append_many(user, [message(subject="c")], "Box")

    def empty(folder, *options):
        r = ops(phone, el("EmptyFolderContents", el("AirSync:CollectionId", folder), el("Options", *options) if options else None))
        e = r.doc.find("Response/EmptyFolderContents")
        return r.get("Status"), e.get("Status"), e.get("CollectionId")

    equal(empty("no-such"), ("1", "6", "no-such"))
    equal(ops(phone, el("EmptyFolderContents")).get("Status"), "2", "R7238")
    equal(empty(inbox), ("1", "1", inbox))
    equal(world.subjects(user), [])
    phone.pull(inbox)
    equal(phone.items[inbox], {})
    equal(empty(box), ("1", "1", box))
    equal((world.subjects(user, "Box"), world.subjects(user, "Box/Inner")), ([], []))
    equal(empty(box, el("DeleteSubFolders")), ("1", "1", box))
    phone.folder_sync()
    check("Inner" not in [f["DisplayName"] for f in phone.folders.values()])


@case
def get_attachment():
    data = b"\0\1binary"
    _, _, phone, inbox = pulled(message(subject="a", attachments=[("f.bin", "application/x-f", data)]), version="12.1")
    ref = phone.items[inbox][phone.item_with(inbox, "a")].get("Attachments/Attachment/FileReference")
    r = phone.get_attachment(ref)
    equal((r.status, r.headers["Content-Type"], r.body), (200, "application/x-f", data))
    for bad in ("no.1.2", "x"):
        check(phone.get_attachment(bad).status in (404, 500), bad)
    phone.version = "14.1"
    r = phone.get_attachment(ref)
    equal((r.status, r.body != data), (200, True) if r.doc is not None else (400, True), "not part of 14.1 (R138)")


# --- Settings --------------------------------------------------------------------------------------

@cases(TWELVE)
def settings_in_order(version):         # R480 R5713 R481
    _, user, phone, _ = fresh(version=version)
    device = el("Settings:DeviceInformation", el("Set", el("Model", "M"), el("OS", "O")))
    info = el("Settings:UserInformation", el("Get"))
    r = phone.settings(info, device)
    equal((r.get("Status"), names(r.doc)), ("1", ["Status", "UserInformation", "DeviceInformation"]))
    r = phone.settings(device, info)
    equal(names(r.doc), ["Status", "DeviceInformation", "UserInformation"])
    equal((r.get("UserInformation/Status"), r.get("DeviceInformation/Status")), ("1", "1"))
    address = user + "@example.org"
    if version == "14.1":
        equal(r.get("UserInformation/Get/Accounts/Account/EmailAddresses/PrimarySmtpAddress"), address)
    else:
        equal(r.get("UserInformation/Get/EmailAddresses/SMTPAddress") or r.get("UserInformation/Get/EmailAddresses/SmtpAddress"),
              address)


@case
def settings_refusals():            # R483 R484
    _, _, phone, _ = fresh()
    r = phone.settings(el("AirSync:SyncKey", "1"))
    equal((r.get("Status"), names(r.doc)), ("2", ["Status"]))
    r = phone.settings(el("Settings:UserInformation"), el("Settings:DeviceInformation", el("Set", el("Model", "m"))))
    equal((r.get("Status"), r.get("UserInformation/Status"), r.get("DeviceInformation/Status")), ("1", "2", "1"))
    r = phone.settings(el("Settings:DevicePassword", el("Set", el("Password", "p" * 300))))
    equal((r.get("Status"), r.get("DevicePassword/Status")), ("1", "5"), "R4400")
    phone.version = "12.1"
    r = phone.settings(el("Settings:DeviceInformation", el("Set", el("Model", "m"), el("MobileOperator", "o"))))
    equal((r.status, r.get("Status"), r.get("DeviceInformation/Status")), (200, "1", "2"))


# --- folders -----------------------------------------------------------------------------------------

@cases(VERSIONS)
def folder_statuses(version):
    world, user, phone, inbox = fresh(version=version)
    box = phone.folder_create("Box").get("ServerId")

    def told(r):
        return r.get("Status"), [c.tag for c in r.doc.children]

    alone = ["Status"]
    equal(told(phone.folder_create("Box")), ("2", alone), "R4013")
    equal(told(phone.folder_create("x", parent="no-such")), ("5", alone), "R4019")
    equal(told(phone.folder_create("x", key="nonsense")), ("9", alone), "R4032")
    equal(told(phone.folder_create("x", key="0")), ("9", alone))
    equal(told(phone.folder_create("x", type=2)), ("10", alone), "R4035")
    equal(told(phone.folder_create("")), ("10", alone))
    equal(told(phone.folder_delete(inbox)), ("3", alone), "R4047")
    equal(told(phone.folder_delete("no-such")), ("4", alone), "R4049")
    equal(told(phone.folder_delete(box, key="nonsense")), ("9", alone), "R4060")
    other = phone.folder_create("Other").get("ServerId")
    equal(told(phone.folder_update(other, "Box")), ("2", alone), "R5438")
    equal(told(phone.folder_update(inbox, "x")), ("2", alone), "R4102")
    equal(told(phone.folder_update("no-such", "x")), ("4", alone), "R4106")
    equal(told(phone.folder_update(other, "x", parent="no-such")), ("5", alone), "R4109")
    equal(told(phone.folder_update(other, "x", key="nonsense")), ("9", alone), "R4120")
    equal(told(phone.folder_update(other, "Renamed")), ("1", ["Status", "SyncKey"]))
    equal(told(phone.folder_delete(other)), ("1", ["Status", "SyncKey"]))
    equal(told(phone.folder_sync(key="nonsense")), ("9", alone), "R4083")
    for command in ("FolderSync", "FolderCreate", "FolderDelete", "FolderUpdate"):
        r = phone.post(command, el("FolderHierarchy:" + command, el("ServerId", "x")))
        equal(told(r), ("10", alone), command + " without its elements (R4035 R4063 R4086 R4123)")
    equal(told(phone.folder_sync()), ("1", ["Status", "SyncKey", "Changes"]))


@cases(VERSIONS)
def key_0_repeats_the_headers(version):
    _, _, phone, _ = fresh(version=version)
    r = phone.folder_sync(key="0")
    for name in ("MS-ASProtocolVersions", "MS-ASProtocolCommands", "X-MS-RP"):
        check(r.headers.get(name), name + " is missing")
    contains(r.headers["MS-ASProtocolVersions"], "2.5,12.0,12.1,14.0,14.1")
    check(phone.folder_sync().headers.get("X-MS-RP") is None)


# --- composing ------------------------------------------------------------------------------------------

def compose(phone, command, *children):
    return phone.post(command, el("ComposeMail:" + command, *children))


@cases([("14.0", "14.0"), ("14.1", "14.1")])
def compose_statuses(version):         # R4848 R4853 R4930 R541 R578 R4956
    world, user, phone, inbox = pulled(message(subject="a"), version=version)
    item = phone.item_with(inbox, "a")
    mail = message(subject="s", to=user + "@example.org")
    nobody = b"From: x@example.org\r\nSubject: s\r\n\r\nbody\r\n"
    mime, cid = el("Mime", mail), el("ClientId", "c-" + version)
    source = el("Source", el("FolderId", inbox), el("ItemId", item))

    def status(*a):
        r = compose(phone, *a)
        return r.get("Status") if r.doc is not None else r.status

    equal(status("SendMail", mime), "103", "no ClientId")
    equal(status("SendMail", cid), "103", "no Mime")
    equal(status("SendMail", cid, el("Mime", nobody)), "119")
    equal(status("SendMail", cid, mime, el("AirSync:SyncKey", "1")), "103", "unknown element")
    for command in ("SmartReply", "SmartForward"):
        equal(status(command, cid, mime), "103", command + " without a source")
        gone = el("Source", el("FolderId", inbox), el("ItemId", inbox + ":99"))
        equal(status(command, cid, gone, mime), "150", command)
        equal(status(command, cid, el("Source", el("FolderId", "no"), el("ItemId", "no:1")), mime), "150", command)
        wrong = el("Source", el("FolderId", inbox), el("ItemId", item), el("InstanceId", "nonsense"))
        equal(status(command, cid, wrong, mime), "104", command)
    if version == "14.1":
        equal(status("SendMail", cid, el("AccountId", "no-such"), mime), "166")
    _ = source


@cases([(v, v) for v in ("2.5", "12.0", "12.1")])
def compose_before_14(version):
    _, _, phone, inbox = pulled(message(subject="a"), version=version)
    mail = message(subject="s", to="x@example.org")
    r = phone.post("SmartReply", mail, {"CollectionId": inbox, "ItemId": inbox + ":99", "SaveInSent": "F"}, content_type="message/rfc822")
    equal(r.status, 404)
    r = phone.post("SendMail", b"From: x@example.org\r\n\r\nb\r\n", {"SaveInSent": "F"}, content_type="message/rfc822")
    equal(r.status, 400)
    equal(phone.post("SendMail", b"", {"SaveInSent": "F"}, content_type="message/rfc822").status, 400)


# --- the frame ---------------------------------------------------------------------------------------------

WRONG = [("Sync", el("Ping:Ping")), ("FolderSync", el("AirSync:Sync")), ("Ping", el("AirSync:Sync")),
         ("GetItemEstimate", el("AirSync:Sync")), ("MoveItems", el("AirSync:Sync")), ("FolderCreate", el("AirSync:Sync")),
         ("FolderDelete", el("AirSync:Sync")), ("FolderUpdate", el("AirSync:Sync")), ("Provision", el("AirSync:Sync")),
         ("Settings", el("AirSync:Sync")), ("ItemOperations", el("AirSync:Sync")), ("SendMail", el("AirSync:Sync")),
         ("SmartReply", el("AirSync:Sync")), ("SmartForward", el("AirSync:Sync"))]


@cases([(v, v) for v in ("12.1", "14.0", "14.1")])
def a_wrong_body_is_answered_in_the_commands_own_words(version):        # R4815 R4817 R7547
    from wbxml import encode
    _, _, phone, _ = fresh(version=version)
    for command, body in WRONG:
        if float(version) < 14 and command in ("SendMail", "SmartReply", "SmartForward"):
            continue
        for data, status in ((encode(body), "103"), (b"\x03\x01\x6a\x00\xff\xff", "102"), (b"<xml/>", "102")):
            r = phone.post(command, data)
            if float(version) < 14:
                equal((command, r.status), (command, 400))
            else:
                root = {"Settings": "Settings:Settings"}.get(command)
                equal((command, r.status, r.get("Status")), (command, 200, status))
                check(r.doc.tag == command and (root is None or r.doc.name == root), repr(r))


@cases(VERSIONS)
def a_command_that_is_not_served(version):
    _, _, phone, _ = fresh(version=version)
    for command in ("Search", "MeetingResponse", "ValidateCert", "Find", "Nonsense"):
        equal(phone.post(command, el("AirSync:Sync")).status, 501, command)
    offered = phone.options().headers["MS-ASProtocolCommands"].split(",")
    check(not {"Search", "MeetingResponse", "ValidateCert", "ResolveRecipients"} & set(offered), repr(offered))


if __name__ == "__main__":
    main()
