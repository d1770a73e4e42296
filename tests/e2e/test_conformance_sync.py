"""Sync of mail against the requirement tables, row by row, on the embedded
default. The ids of a row stand in its comment (MS-ASCMD R…, MS-ASEMAIL EM…,
MS-ASAIRS AI…)."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import case, cases, check, contains, equal, main, shared  # noqa: E402
from env import message  # noqa: E402
from wbxml import el  # noqa: E402
from world import LocalWorld  # noqa: E402

VERSIONS = [(v, v) for v in ("2.5", "12.0", "12.1", "14.0", "14.1")]
MODERN = [(v, v) for v in ("12.1", "14.0", "14.1")]
_taken = []


class World(LocalWorld):
    accounts = {"u%02d" % n: "secret-%d" % n for n in range(99)}


def fresh(*mails, version="14.1"):
    """(world, user, phone, inbox): a mailbox of its own with these mails."""
    world = shared(World)
    user = "u%02d" % len(_taken)
    _taken.append(user)
    world.append_many(user, list(mails))
    phone = world.phone(user, version=version)
    return world, user, phone, phone.folder_id(type=2)


def pulled(*mails, version="14.1", **kw):
    world, user, phone, inbox = fresh(*mails, version=version)
    phone.pull(inbox, **kw)
    return world, user, phone, inbox


def collection(reply):
    return reply.doc.find("Collections/Collection")


def whole(phone, *collections, **kw):
    """(Status, Limit) of a Sync that is refused as a whole."""
    reply = phone.post("Sync", phone.sync_request(*collections, **kw))
    if reply.doc is None or reply.doc.find("Collections") is not None:
        return repr(reply)
    return reply.get("Status"), reply.get("Limit")


def options(*children, **kw):
    return el("AirSync:Options", *children, **kw)


# --- key 0 --------------------------------------------------------------------------------

@cases(VERSIONS)
def key_0_in_its_forms(version):
    _, _, phone, inbox = fresh(message(subject="a"), version=version)
    supported = el("AirSync:Supported", el("Email:Subject"), el("Email:Read"))
    forms = [{}, {"deletes_as_moves": ""}, {"options": {"type": 1, "size": 200}}, {"get_changes": "0"}]
    for form in forms:
        c = phone.collection(inbox, key="0", **form)
        got = collection(phone.sync(c, apply=False))
        equal([x.tag for x in got.children if x.tag != "Class"], ["SyncKey", "CollectionId", "Status"], repr(form))
    c = phone.collection(inbox, key="0")
    c.content.append(supported)
    equal(collection(phone.sync(c, apply=False)).get("Status"), "1")


@cases(MODERN)
def key_0_does_not_bring_changes(version):     # R3128 R5838 R3129 R5839
    _, _, phone, inbox = fresh(version=version)
    equal(whole(phone, phone.collection(inbox, key="0", get_changes="1")), ("4", None))
    equal(whole(phone, phone.collection(inbox, key="0", get_changes="")), ("4", None))


# --- the request as a whole -----------------------------------------------------------------

@case
def whole_refusals():
    _, _, phone, inbox = pulled()
    c, trash = phone.collection, phone.folder_id(type=4)
    email, sms = (el("AirSync:Class", x) for x in ("Email", "SMS"))
    filtered = el("AirSync:FilterType", "0")

    def two(*a):
        x = c(inbox)
        x.content += [el("AirSync:Options", filtered, *k) for k in a]
        return x

    rows = [
        ("a class twice (R930)", (two((email,), (email,)),), {}, ("4", None)),
        ("none and Email are one class (R930)", (two((), (email,)),), {}, ("4", None)),
        ("sms twice (R930)", (two((email,), (sms,), (sms,)),), {}, ("4", None)),
        ("another class (R935)", (two((email,), (el("AirSync:Class", "Calendar"),)),), {}, ("4", None)),
        ("no such class", (two((el("AirSync:Class", "Nonsense"),)),), {}, ("4", None)),
        ("filter 6 (R3041)", (c(inbox, options={"filter": 6}),), {}, ("4", None)),
        ("filter 7 (R3042)", (c(inbox, options={"filter": 7}),), {}, ("4", None)),
        ("filter 8 (R3080)", (c(inbox, options={"filter": 8}),), {}, ("4", None)),
        ("filter 9", (c(inbox, options={"filter": 9}),), {}, ("4", None)),
        ("filter x", (c(inbox, options={"filter": "x"}),), {}, ("4", None)),
        ("conflict 2", (c(inbox, options={"conflict": "2"}),), {}, ("4", None)),
        ("mime support 3", (c(inbox, options={"mime": 3}),), {}, ("4", None)),
        ("mime truncation 9", (c(inbox, options=options(el("MIMETruncation", "9"))),), {}, ("4", None)),
        ("AllOrNone 2 (AI350)", (c(inbox, options={"all_or_none": "2", "size": 10}),), {}, ("4", None)),
        ("body type 5", (c(inbox, options={"type": 5}),), {}, ("4", None)),
        ("preview 256", (c(inbox, options={"preview": 256}),), {}, ("4", None)),
        ("MaxItems of mail", (c(inbox, options=options(el("MaxItems", "5"))),), {}, ("4", None)),
        ("GetChanges 2", (c(inbox, get_changes="2"),), {}, ("4", None)),
        ("DeletesAsMoves x", (c(inbox, deletes_as_moves="x"),), {}, ("4", None)),
        ("WindowSize x", (c(inbox, window="x"),), {}, ("4", None)),
        ("WindowSize -1", (c(inbox, window=-1),), {}, ("4", None)),
        ("no SyncKey", (el("AirSync:Collection", el("CollectionId", inbox)),), {}, ("4", None)),
        ("empty SyncKey", (c(inbox, key=""),), {}, ("4", None)),
        ("no CollectionId (R4545)", (el("AirSync:Collection", el("SyncKey", "0")),), {}, ("4", None)),
        ("long CollectionId", (c("x" * 65, key="0"),), {}, ("4", None)),
        ("a collection twice", (c(inbox), c(inbox)), {}, ("4", None)),
        ("Wait x", (c(inbox),), {"wait": "x"}, ("4", None)),
        ("Wait -1 (R3227)", (c(inbox),), {"wait": -1}, ("14", "1")),
        ("Wait 0 (R3227)", (c(inbox),), {"wait": 0}, ("14", "1")),
        ("Wait 60 (R3228)", (c(inbox),), {"wait": 60}, ("14", "59")),
        ("Heartbeat 59 (R3229)", (c(inbox),), {"heartbeat": 59}, ("14", "60")),
        ("Heartbeat 3541 (R3230)", (c(inbox),), {"heartbeat": 3541}, ("14", "3540")),
        ("both (R3162 R4748)", (c(inbox),), {"wait": 2, "heartbeat": 100}, ("4", None)),
        ("201 commands (R5659)", (c(inbox, *[phone.fetch("%s:%d" % (inbox, n + 1)) for n in range(201)]),), {}, ("4", None)),
        ("201 commands in two", (c(inbox, *[phone.fetch("x:%d" % n) for n in range(150)]),
                                 c(trash, *[phone.fetch("x:%d" % n) for n in range(51)], key="0")), {}, ("4", None)),
        ("key 0 with commands", (c(inbox, phone.delete("x"), key="0"),), {}, ("4", None)),
        ("no collections", (), {}, ("4", None)),
        ("unknown element", (el("AirSync:Collection", el("SyncKey", phone.keys[inbox]), el("CollectionId", inbox),
                                el("AirSync:Limit", "1")),), {}, ("4", None)),
    ]
    wrong = [(name, got) for name, collections, more, want in rows
             for got in (whole(phone, *collections, **more),) if got != want]
    equal(wrong, [])
    equal(whole(phone, *[c("f%d" % n, key="0") for n in range(1001)])[0], "15", "too many collections (R4464)")


@case
def commands_that_lack_their_id():
    """A command without ServerId or ClientId, and one that no client may send, break the request."""
    _, _, phone, inbox = pulled(message(subject="a"))
    rows = [
        ("Change without ServerId", el("Change", el("ApplicationData", el("Email:Read", "1")))),
        ("Delete without ServerId", el("Delete")),
        ("Fetch without ServerId", el("Fetch")),
        ("Change without ApplicationData", el("Change", el("ServerId", phone.item_with(inbox, "a")))),
        ("Add without ClientId", el("Add", el("ApplicationData", el("Email:Read", "1")))),
        ("SoftDelete", el("SoftDelete", el("ServerId", "x"))),
    ]
    for name, command in rows:
        equal(whole(phone, phone.collection(inbox, command)), ("4", None), name)


@case
def empty_and_partial_need_something_remembered():       # R4456
    world, user, phone, inbox = fresh()
    equal(phone.post("Sync").get("Status"), "13")
    equal(phone.post("Sync", phone.sync_request(partial=True)).get("Status"), "13")
    equal(phone.post("Sync", phone.sync_request(phone.collection(inbox, key="0"), partial=True)).get("Status"), "13")


@case
def a_refused_request_is_not_followed_by_an_older_one():      # R673 R674
    _, _, phone, inbox = pulled(message(subject="a"))
    phone.sync_folder(inbox)
    equal((phone.post("Sync").status, phone.post("Sync").body), (200, b""))
    equal(whole(phone, phone.collection(inbox), wait=99), ("14", "59"))
    equal(phone.post("Sync").get("Status"), "13")
    phone.sync_folder(inbox)
    equal(phone.post("Sync").body, b"")


@case
def partial_means_the_rest_of_last_time():
    world, user, phone, inbox = fresh(message(subject="one"))
    trash = phone.folder_id(type=4)
    phone.pull(inbox)
    phone.pull(trash)
    phone.sync(phone.collection(inbox, window=5), phone.collection(trash))
    world.deliver(user, subject="two")
    reply = phone.sync(phone.collection(trash), partial=True)
    equal([c.get("CollectionId") for c in reply.all("Collections/Collection")], [inbox])
    equal(phone.subjects(inbox), ["one", "two"])


# --- collections ------------------------------------------------------------------------------

@cases(VERSIONS)
def keys_and_folders_have_their_status(version):
    _, _, phone, inbox = pulled(message(subject="a"), version=version)
    for key in ("nonsense", "1", "{x}1", "9" * 64, phone.keys[inbox] + "0"):
        c = collection(phone.sync(phone.collection(inbox, key=key), apply=False))
        equal((c.get("CollectionId"), c.get("Status")), (inbox, "3"), key)
        check(c.find("Commands") is None and c.find("Responses") is None)
    c = collection(phone.sync(phone.collection("no-such", key="0"), apply=False))
    equal((c.get("CollectionId"), c.get("Status")), ("no-such", "12"))


@cases(VERSIONS)
def class_stands_in_replies_as_the_version_has_it(version):       # R6290-R6294
    _, _, phone, inbox = fresh(message(subject="a"), version=version)
    request = phone.collection(inbox, key="0")
    if version == "12.1":
        request.content.insert(0, el("AirSync:Class", "Email"))
    c = collection(phone.sync(request, apply=False))
    equal(c.get("Class"), None if float(version) >= 14 else "Email")


@case
def two_windows():          # R4767 R4771 R4776 R4778 R4779 R3456
    world, user, phone, inbox = fresh(*[message(subject="m%03d" % n) for n in range(130)])
    box = phone.folder_create("Box").get("ServerId")
    world.append_many(user, [message(subject="b%02d" % n) for n in range(20)], "Box")
    for f in (inbox, box):
        phone.sync_folder(f)
    c = collection(phone.sync_folder(inbox))
    equal((len(c.all("Commands/Add")), c.find("MoreAvailable") is not None), (100, True), "none means 100")
    reply = phone.sync(phone.collection(box, window=10), phone.collection(inbox, window=20), window=15)
    got = {c.get("CollectionId"): (len(c.all("Commands/Add")), c.find("MoreAvailable") is not None)
           for c in reply.all("Collections/Collection")}
    equal(got, {box: (10, True), inbox: (5, True)})
    c = collection(phone.sync_folder(inbox, window=0))
    equal((len(c.all("Commands/Add")), c.find("MoreAvailable")), (25, None), "0 means 512")


@case
def the_windows_of_last_time_hold_for_an_empty_request():
    world, user, phone, inbox = pulled()
    phone.sync(phone.collection(inbox, window=9), window=4)
    world.append_many(user, [message(subject="m%d" % n) for n in range(10)])
    reply = phone.post("Sync")
    c = collection(reply)
    equal((len(c.all("Commands/Add")), c.find("MoreAvailable") is not None), (4, True))


@case
def get_changes_by_its_rules():         # R3125 R3126 R3127 R5556
    world, user, phone, inbox = pulled(message(subject="a"))
    world.deliver(user, subject="b")
    reply = phone.sync_folder(inbox, get_changes="0")
    check(reply.doc is None or collection(reply).find("Commands") is None, "told what was not asked for")
    c = collection(phone.sync_folder(inbox, phone.fetch(phone.item_with(inbox, "a")), get_changes="0"))
    equal((len(c.all("Responses/Fetch")), c.find("Commands")), (1, None))
    equal(c.find("MoreAvailable"), None)
    c = collection(phone.sync_folder(inbox, get_changes=""))
    equal([a.get("ApplicationData/Subject") for a in c.all("Commands/Add")], ["b"])


@case
def options_stick_until_replaced():         # R3598 R3599
    world, user, phone, inbox = pulled(message(subject="a", text="x" * 100), options={"type": 1, "size": 20})
    for subject, more, length in (("b", {}, 20), ("c", {"options": {"type": 1, "size": 30}}, 30), ("d", {}, 30)):
        world.deliver(user, subject=subject, text="y" * 100)
        phone.sync_folder(inbox, **more)
        equal(len(phone.items[inbox][phone.item_with(inbox, subject)].get("Body/Data")), length, subject)
    world.append_many(user, [message(subject="old", date=1.6e9)], seconds=1.6e9)
    phone.sync_folder(inbox, options={"filter": 2})
    check("old" not in phone.subjects(inbox))
    phone.sync_folder(inbox, options={"type": 1})       # a block without FilterType: all of it (R3076)
    check("old" in phone.subjects(inbox))


@case
def sms_options_do_no_harm():
    _, _, phone, inbox = fresh(message(subject="a", text="z" * 99))
    request = phone.collection(inbox)
    preference = el("AirSyncBase:BodyPreference", el("Type", "1"), el("TruncationSize", "7"))
    request.content += [el("AirSync:Options", el("Class", "Email"), el("FilterType", "0"), preference),
                        el("AirSync:Options", el("Class", "SMS"), el("FilterType", "2"),
                           el("AirSyncBase:BodyPreference", el("Type", "1"), el("TruncationSize", "3")))]
    phone.sync(request)
    (item,) = phone.pull(inbox, options=None).values()
    equal(item.get("Body/Data"), "z" * 7)


@case
def a_pocket_pc_names_its_folder_by_class():
    world, user, phone, inbox = fresh(message(subject="a"), version="2.5")

    def ask(key, name="AirSync:Sync"):
        return phone.post("Sync", el("AirSync:Sync", el("Collections", el("Collection", el("Class", "Email"), el("SyncKey", key)))))

    first = collection(ask("0"))
    equal((first.get("Class"), first.get("Status")), ("Email", "1"))
    c = collection(ask(first.get("SyncKey")))
    equal([a.get("ApplicationData/Subject") for a in c.all("Commands/Add")], ["a"])
    world.deliver(user, subject="b")
    r = phone.post("GetItemEstimate", el("GetItemEstimate:GetItemEstimate", el("Collections", el(
        "Collection", el("Class", "Email"), el("AirSync:FilterType", "0"), el("AirSync:SyncKey", c.get("SyncKey"))))))
    equal((r.get("Response/Status"), r.get("Response/Collection/Estimate")), ("1", "1"))


@case
def one_bad_collection_does_not_spoil_the_others():
    world, user, phone, inbox = pulled(message(subject="a"))
    world.deliver(user, subject="b")
    reply = phone.sync(phone.collection(inbox), phone.collection("no-such", key="0"),
                       phone.collection(phone.folder_id(type=4), key="nonsense"))
    equal([c.get("Status") for c in reply.all("Collections/Collection")], ["1", "12", "3"])
    equal(phone.subjects(inbox), ["a", "b"])


# --- commands ------------------------------------------------------------------------------------

def responses(reply):
    """[(command, ServerId or ClientId, Status)] of the first collection."""
    c = collection(reply)
    got = c.find("Responses")
    return [] if got is None else [(r.tag, r.get("ServerId") or r.get("ClientId"), r.get("Status")) for r in got.children]


@cases(VERSIONS)
def an_add_of_mail_is_refused(version):         # R755
    _, _, phone, inbox = pulled(version=version)
    add = el("Add", el("ClientId", "c1"), el("ApplicationData", el("Email:Subject", "x"), el("Email:Read", "1")))
    equal(responses(phone.sync_folder(inbox, add)), [("Add", "c1", "6")])


@cases([("14.0", "14.0"), ("14.1", "14.1")])
def an_sms_is_refused_as_one(version):       # R941 R942
    _, _, phone, inbox = pulled(version=version)
    add = el("Add", el("Class", "SMS"), el("ClientId", "c1"), el("ApplicationData", el("Email:To", "+1"), el("Email:Read", "1")))
    reply = phone.sync_folder(inbox, add)
    equal(responses(reply), [("Add", "c1", "6")])
    equal(reply.get("Collections/Collection/Responses/Add/Class"), "SMS")


@cases(VERSIONS)
def a_fetch_brings_the_whole_item(version):         # R5433
    _, _, phone, inbox = pulled(message(subject="a", text="t" * 2000), version=version)
    item = phone.item_with(inbox, "a")
    reply = phone.sync_folder(inbox, phone.fetch(item), options={"type": 1}, get_changes="0")
    f = collection(reply).find("Responses/Fetch")
    equal(([c.tag for c in f.children], f.get("Status")), (["ServerId", "Status", "ApplicationData"], "1"))
    equal((f.get("ApplicationData/Body/Data") or f.get("ApplicationData/Body")).strip(), "t" * 2000)
    equal(f.get("ApplicationData/Subject"), "a")


@case
def what_is_not_there():        # R4447 R5846 R5256
    _, _, phone, inbox = pulled(message(subject="a"))
    unknown = ["%s:999" % inbox, "no-such", "other:1", "%s:" % inbox, "%s:18446744073709551616" % inbox]
    for item in unknown:
        reply = phone.sync_folder(inbox, phone.change(item, el("Email:Read", "1")), phone.fetch(item), phone.delete(item))
        equal(sorted(responses(reply)), [("Change", item, "8"), ("Delete", item, "8"), ("Fetch", item, "8")])


FLAG = {"Status": "2", "FlagType": "for Follow Up"}
DATES = {"Tasks:StartDate": "2026-02-01T08:00:00.000Z", "Tasks:DueDate": "2026-02-03T08:00:00.000Z",
         "Tasks:UtcStartDate": "2026-02-01T07:00:00.000Z", "Tasks:UtcDueDate": "2026-02-03T07:00:00.000Z"}
DONE = {"Status": "1", "FlagType": "for Follow Up", "Tasks:DateCompleted": "2026-02-02T08:00:00.000Z",
        "CompleteTime": "2026-02-02T07:00:00.000Z"}



def flag_of(*parts, without=()):
    fields = {k: v for p in parts for k, v in p.items() if k not in without}
    return el("Email:Flag", *[el(k, v) for k, v in fields.items()])


@case
def changes_that_are_refused():
    world, user, phone, inbox = pulled(message(subject="a"))
    item = phone.item_with(inbox, "a")
    late = {"Tasks:StartDate": "2026-02-04T08:00:00.000Z"}
    late_utc = {"Tasks:UtcStartDate": "2026-02-04T08:00:00.000Z"}
    rows = [
        ("Read 2 (EM643)", el("Email:Read", "2")),
        ("Read text (EM643)", el("Email:Read", "yes")),
        ("Read empty", el("Email:Read")),
        ("Sender (EM723)", el("Email2:Sender", "a@example.org")),
        ("ConversationId (EM347)", el("Email2:ConversationId", b"0123456789abcdef")),
        ("ReceivedAsBcc (EM648)", el("Email2:ReceivedAsBcc", "1")),
        ("UmCallerID (EM817)", el("Email2:UmCallerID", "123")),
        ("UmUserNotes (EM835)", el("Email2:UmUserNotes", "note")),
        ("flag status 3 (EM757)", flag_of(FLAG, {"Status": "3"})),
        ("flag status x (EM757)", flag_of(FLAG, {"Status": "x"})),
        ("reminder without time (EM702)", flag_of(FLAG, {"Tasks:ReminderSet": "1"})),
        ("reminder 2", flag_of(FLAG, {"Tasks:ReminderSet": "2", "Tasks:ReminderTime": "2026-02-02T08:00:00.000Z"})),
        ("due before start (EM407 EM739)", flag_of(FLAG, DATES, late)),
        ("utc due before utc start (EM851 EM862)", flag_of(FLAG, DATES, late_utc)),
        ("complete without CompleteTime (EM86 EM92)", flag_of(DONE, without=("CompleteTime",))),
        ("complete without DateCompleted (EM86 EM92)", flag_of(DONE, without=("Tasks:DateCompleted",))),
        ("active without FlagType (EM940 EM92)", flag_of(FLAG, without=("FlagType",))),
    ]
    rows += [("three dates without %s (EM409 EM741 EM853 EM864)" % name, flag_of(FLAG, DATES, without=(name,)))
             for name in DATES]
    for name, field in rows:
        reply = phone.sync_folder(inbox, phone.change(item, field))
        equal(responses(reply), [("Change", item, "6")], name)
        check(collection(reply).get("Status") == "1", name)
    equal(world.flags(user, "a"), set())
    equal(phone.items[inbox][item].get("Read"), "0")


@case
def what_old_clients_send_along_is_ignored():
    world, user, phone, inbox = pulled(message(subject="a"))
    item = phone.item_with(inbox, "a")
    reply = phone.sync_folder(inbox, phone.change(item, el("Email:Subject", "changed"), el("Email:To", "x"),
                                                  el("Email:Read", "1")))
    equal(responses(reply), [])
    equal((world.subjects(user), world.flags(user, "a")), (["a"], {"\\Seen"}))


def second_phone(world, user, version="14.1"):
    phone = world.phone(user, version=version)
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)
    return phone


def told(phone, inbox):
    """[(subject, [names])] of the Changes that the phone is told now."""
    reply = phone.sync_folder(inbox)
    if reply.doc is None:
        return []
    names = {i: d.get("Subject") for i, d in phone.items[inbox].items()}
    return [(names[x.get("ServerId")], [f.tag for f in x.find("ApplicationData").children])
            for x in collection(reply).all("Commands/Change")]


@case
def a_flag_lives():        # EM86 EM88 EM8800 EM90 EM76 EM436 EM437
    world, user, phone, inbox = pulled(message(subject="a"))
    other = second_phone(world, user)
    item = phone.item_with(inbox, "a")

    def step(field, server, want):
        equal(responses(phone.sync_folder(inbox, phone.change(item, field))), [])
        equal("\\Flagged" in world.flags(user, "a"), server)
        equal(told(other, inbox), [("a", ["Flag"])])
        got = other.items[inbox][item].find("Flag")
        equal({c.tag: c.text for c in got.children}, want)
        equal(phone.sync_folder(inbox).body, b"")

    def plain(*parts):
        return {k.partition(":")[2] or k: v for p in parts for k, v in p.items()}

    step(flag_of(FLAG), True, FLAG)
    step(flag_of(FLAG, DATES, {"Tasks:Subject": "do it", "Tasks:ReminderSet": "1",
                               "Tasks:ReminderTime": "2026-02-02T08:00:00.000Z"}), True,
         plain(FLAG, DATES, {"Subject": "do it", "ReminderSet": "1", "ReminderTime": "2026-02-02T08:00:00.000Z"}))
    step(flag_of(DONE), False, plain(DONE))
    step(flag_of(FLAG, {"FlagType": "Call back"}), True, {"Status": "2", "FlagType": "Call back"})
    step(el("Email:Flag"), False, {})
    step(flag_of(FLAG), True, FLAG)
    step(flag_of(DATES), True, plain(FLAG, DATES))         # details alone
    step(flag_of({"Status": "0"}), False, {})


@case
def categories_live():      # EM318 EM319 EM320 EM96
    world, user, phone, inbox = pulled(message(subject="a"))
    other = second_phone(world, user)
    item = phone.item_with(inbox, "a")
    equal(phone.items[inbox][item].find("Categories").children, [])

    def step(names, want):
        field = el("Email:Categories", *[el("Category", n) for n in names])
        equal(responses(phone.sync_folder(inbox, phone.change(item, field))), [])
        equal(told(other, inbox), [("a", ["Categories"])])
        equal(sorted(c.text for c in other.items[inbox][item].all("Categories/Category")), sorted(want))
        equal(phone.sync_folder(inbox).body, b"")

    step(["Work"], ["Work"])
    step(["Work", "Red Category", "Größe"], ["Work", "Red Category", "Größe"])
    equal(responses(phone.sync_folder(inbox, phone.change(item, el("Email:Read", "1")))), [])
    equal(told(other, inbox), [("a", ["Read"])])
    step([], [])


@cases([(v, v) for v in ("2.5", "12.0", "12.1")])
def old_versions_are_not_told_what_they_do_not_know(version):
    world, user, phone, inbox = pulled(message(subject="a"))
    old = second_phone(world, user, version)
    item = phone.item_with(inbox, "a")
    phone.sync_folder(inbox, phone.change(item, el("Email:Categories", el("Category", "Work"))))
    equal(old.sync_folder(inbox).body, b"")
    phone.sync_folder(inbox, phone.change(item, flag_of(FLAG)))
    if version == "2.5":
        equal(old.sync_folder(inbox).body, b"")
    else:
        equal(told(old, inbox), [("a", ["Flag"])])
    phone.sync_folder(inbox, phone.change(item, el("Email:Read", "1")))
    equal(told(old, inbox), [("a", ["Read"])])


@case
def one_change_in_several_fields():        # EM104 EM10600 EM10608 EM10612
    world, user, phone, inbox = pulled(message(subject="a"))
    other = second_phone(world, user)
    item = phone.item_with(inbox, "a")
    phone.sync_folder(inbox, phone.change(item, el("Email:Read", "1"), flag_of(FLAG),
                                          el("Email:Categories", el("Category", "x"))))
    ((_, names),) = told(other, inbox)
    equal(sorted(names), ["Categories", "Flag", "Read"])


@cases([("server", None, "7"), ("server_said", "1", "7"), ("client", "0", None)])
def a_conflict_is_decided(wins, status):        # R2066 R2067 R2068 R2069 R4444
    world, user, phone, inbox = pulled(message(subject="a"))
    other = second_phone(world, user)
    item = phone.item_with(inbox, "a")
    opts = options(el("Conflict", wins)) if wins else None
    other.sync_folder(inbox, other.change(item, el("Email:Categories", el("Category", "Theirs"))))
    reply = phone.sync_folder(inbox, phone.change(item, el("Email:Categories", el("Category", "Mine"))), options=opts)
    equal(responses(reply), [("Change", item, status)] if status else [])
    want = "Theirs" if status else "Mine"
    equal([c.text for c in phone.items[inbox][item].all("Categories/Category")], [want] if status else [])
    other.sync_folder(inbox)
    if not status:
        equal([c.text for c in other.items[inbox][item].all("Categories/Category")], [want])


@case
def deletes_as_moves_by_its_rules():        # R2158 R2160 R2161 R5874 R5875
    world, user, phone, inbox = pulled(*[message(subject="m%d" % n) for n in range(5)])
    trash = phone.folder_id(type=4)
    phone.pull(trash)
    for n, (moves, kept) in enumerate([(None, 1), ("", 2), ("1", 3), ("0", 3), (None, 4)]):
        phone.sync_folder(inbox, phone.delete(phone.item_with(inbox, "m%d" % n)), deletes_as_moves=moves)
        phone.items[inbox].pop(phone.item_with(inbox, "m%d" % n))
        phone.pull(trash)
        equal(len(phone.items[trash]), kept, "DeletesAsMoves %r, after m%d" % (moves, n))
    phone.sync_folder(trash, phone.delete(phone.item_with(trash, "m0")), deletes_as_moves="1")
    equal(sorted(world.subjects(user, "Trash")), ["m1", "m2", "m4"])


if __name__ == "__main__":
    main()
