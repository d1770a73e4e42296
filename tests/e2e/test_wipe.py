"""Remote wipe through `zpushd admin`, and FolderCreate in a process that dies."""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import case, cases, check, contains, equal, main  # noqa: E402
from wbxml import el  # noqa: E402
from world import ImapWorld  # noqa: E402


def admin(zpushd, *words):
    run = subprocess.run([zpushd.binary, "-c", zpushd.config, "admin"] + list(words), env=zpushd.env, cwd=zpushd.dir,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)
    return run.returncode, run.stdout.decode(), run.stderr.decode()


def until(true, what, seconds=10):
    end = time.time() + seconds
    while not true():
        check(time.time() < end, what)
        time.sleep(0.02)


def nothing_leaves(phone):
    """Every command is refused, in the version's own way."""
    inbox = phone.folder_id(type=2)
    for command, tree in (("FolderSync", el("FolderHierarchy:FolderSync", el("SyncKey", "0"))),
                          ("Sync", el("AirSync:Sync", el("Collections", el("Collection", el("SyncKey", "0"), el("CollectionId", inbox))))),
                          ("GetItemEstimate", el("GetItemEstimate:GetItemEstimate", el("Collections", el(
                              "Collection", el("CollectionId", inbox)))))):
        reply = phone.post(command, tree)
        if float(phone.version) < 14:
            check(reply.status in (403, 449), "%s: %r" % (command, reply))
        else:
            equal((reply.status, reply.get("Status")), (200, "140"), command)


@cases([(v + "_" + s, v, s) for v, s in (("12.1", "redis"), ("14.1", "redis"), ("14.1", "embedded"))])
def a_lost_phone_is_wiped(version, store):
    with ImapWorld(store=store) as world:
        phone = world.phone("alice", version=version, device_id="lost1")
        other = world.phone("alice", version=version, device_id="kept1")
        inbox = phone.folder_id(type=2)
        phone.pull(inbox)
        parked = phone.ping([inbox], heartbeat=300, wait=False)
        until(lambda: world.zpushd.log_lines("cmd=Ping", "verdict=park"), "the Ping is not parked")
        code, out, err = admin(world.zpushd, "devices", "--json")
        equal(code, 0, err)
        listed = {d["device"]: d for d in json.loads(out)}
        equal((listed["lost1"]["wipe"], listed["lost1"]["version"]), ("none", version))
        equal(admin(world.zpushd, "wipe", "lost1")[0], 0)
        ended = parked.result(10)
        check(ended.status in (403, 449) if version == "12.1" else ended.get("Status") == "140", repr(ended))
        nothing_leaves(phone)
        equal(other.folder_sync().get("Status"), "1", "the other device is not concerned")
        told = phone.post("Provision", el("Provision:Provision"))
        equal(told.get("Status"), "1")
        check(told.doc.find("RemoteWipe") is not None, "the order is not in %r" % told)
        nothing_leaves(phone)
        done = phone.post("Provision", el("Provision:Provision", el("RemoteWipe", el("Status", "1"))))
        equal(done.get("Status"), "1")
        contains(admin(world.zpushd, "devices", "--json", "alice")[1], '"wipe":"acknowledged"')
        again = world.phone("alice", version=version, device_id="lost1")
        check(again.folder_id(type=2))


@case
def an_order_can_be_taken_back():
    with ImapWorld(store="embedded") as world:
        phone = world.phone("alice", device_id="found1")
        equal(admin(world.zpushd, "wipe", "--user", "alice", "found1")[0], 0)
        nothing_leaves(phone)
        equal(admin(world.zpushd, "unwipe", "found1")[0], 0)
        equal(phone.folder_sync().get("Status"), "1")
        code, _, err = admin(world.zpushd, "wipe", "nobodys")
        equal(code, 1)
        contains(err, "no such device")


@case
def a_folder_made_by_a_process_that_died_is_found_again():
    with ImapWorld(store="embedded", environ={"ZPUSH_CRASH_POINT": "foldercreate"}) as world:
        phone = world.phone("alice")
        world.zpushd.expect_trouble = True
        key = phone.hierarchy_key
        try:
            phone.folder_create("Once", key=key)
        except Exception as e:      # the connection is cut
            check(e is not None)
        world.zpushd.env.pop("ZPUSH_CRASH_POINT")
        world.zpushd.extra_env.pop("ZPUSH_CRASH_POINT", None)
        world.zpushd.restart()
        phone.hang_up()
        made = phone.folder_create("Once", key=key)
        equal(made.get("Status"), "1")
        fresh = world.phone("alice")
        equal(sorted(f["DisplayName"] for f in fresh.folders.values()).count("Once"), 1)
        equal(fresh.folder_id("Once"), made.get("ServerId"))


if __name__ == "__main__":
    main()
