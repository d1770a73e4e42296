#!/usr/bin/python3
"""make bench-parked: what a waiting phone costs. PHONES (15000) phones of USERS
(default: PHONES / 3) users wait in Ping, on plain TCP and then on TLS; what the
server's anonymous memory grew by, the kernel's, descriptors, processor time while
nothing happens. Clients live in another process and come from 127.1.0.0/16."""
import argparse
import contextlib
import os
import time

from rig import Fleet, cpu_fine, heading, local_server, meminfo, rollup, settle, sockstat

from env import Redis


def stacks(pid):
    """Bytes touched of the threads' stacks: they belong to the pool, not to phones."""
    total, inside = 0, False
    with open("/proc/%d/smaps" % pid) as f:
        for line in f:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                low, _, high = words[0].partition("-")
                inside = len(words) == 5 and int(high, 16) - int(low, 16) == 1 << 20
            elif inside and words[0] == "Rss:":
                total += int(words[1]) * 1024
    return total


def census(server):
    m, pid = meminfo(), server.process.pid
    return {"anon": rollup(pid)["Pss_Anon"], "stacks": stacks(pid), "slab": m["Slab"], "sock": sockstat()["mem"],
            "fds": len(os.listdir("/proc/%d/fd" % pid))}


def measure(o, tls):
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(Redis()).url if o.store == "redis" else "embedded:"
        settings = {"push.sources": o.sources.split(","), "server.workers": o.workers, "store.url": store}
        server = stack.enter_context(local_server(o.users, settings))
        pid = server.process.pid
        time.sleep(1)
        print("bare process: RSS %.1f MB, of it anonymous %.1f MB" % (
            rollup(pid)["Rss"] / 1e6, rollup(pid)["Pss_Anon"] / 1e6))
        port = server.https_port if tls else server.http_port
        # What the first phones warm up (threads' stacks, the store's cache) is not a waiting phone.
        with Fleet(port, o.warm, o.users, tls, device="warm%u", source="127.2.0.1", parallel=64):
            settle(server, o.warm)
        time.sleep(2)
        before = census(server)
        with Fleet(port, o.phones, o.users, tls, source="127.1.0.1", parallel=64) as fleet:
            settle(server, o.phones)
            print("%d phones of %d users parked in %.1f s" % (o.phones, o.users, fleet.parked["seconds"]))
            time.sleep(o.settle)
            after = census(server)
            started = cpu_fine(pid)
            time.sleep(o.quiet)
            spent = cpu_fine(pid) - started
            per = {k: (after[k] - before[k]) / o.phones for k in after}
            print("user-space memory of a phone: %.0f bytes (anonymous; %.0f of it are stacks of workers)" % (
                per["anon"], per["stacks"]))
            print("kernel: slab %.0f bytes, socket buffers %.0f bytes (both ends of the connection)" % (
                per["slab"], per["sock"]))
            print("descriptors of a phone: %.3f" % per["fds"])
            print("processor while they wait: %.4f s in %d s" % (spent, o.quiet))
        server.process.kill()       # 15,000 phones would be drained politely
        server.expect_trouble = True


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--phones", type=int, default=15000)
    p.add_argument("--users", type=int)
    p.add_argument("--warm", type=int, default=1000)
    p.add_argument("--workers", type=int, default=16)
    p.add_argument("--store", choices=("redis", "embedded"), default="redis",
                   help="embedded: SQLite's page cache grows beside the phones")
    p.add_argument("--quiet", type=int, default=30, help="seconds over which processor time is taken")
    p.add_argument("--settle", type=int, default=75,
                   help="seconds before memory is: past limits.session_idle, after which set-up is forgotten")
    p.add_argument("--sources", default="notify,idle,inotify", help="push.sources")
    p.add_argument("--only", choices=("plain", "tls"))
    o = p.parse_args()
    o.users = o.users or max(1, o.phones // 3)
    for name in ("plain", "tls"):
        if o.only in (None, name):
            heading("parked phones, %s" % name)
            measure(o, name == "tls")


if __name__ == "__main__":
    main()
