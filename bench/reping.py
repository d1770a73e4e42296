#!/usr/bin/python3
"""make bench-reping: a Ping that finds nothing new, after the one before ran out.
Each of PHONES phones sends N Pings on its kept connection; bytes that come while a
Ping waits end it, so one exchange is: answer the old Ping, read, authenticate, load
and compare the state, park. Server's processor time by the scheduler, store round
trips by its own counter; with --callgrind instructions, from the difference between
two runs of N and 2N, so that start and set-up fall out. No IMAP: the counter of the
user's mailbox has not moved (hook promised)."""
import argparse
import os
import re
import subprocess
import sys
import time

from rig import Fleet, cpu_fine, heading, local_server

from env import Redis  # noqa: E402


def settings_for(store):
    return {"store.url": store, "push.sources": ["hook"], "server.workers": 8, "limits.fuse_requests": 1000000}


def measure(o, store, tls, name):
    with local_server(o.users, settings_for(store)) as server:
        with Fleet(server.https_port if tls else server.http_port, o.phones, o.users, tls) as fleet:
            fleet("ping 5")
            time.sleep(0.5)
            trips, b, began = (server.metric("zpushd_store_round_trips_total"),
                               server.metric("zpushd_backend_round_trips_total"), cpu_fine(server.process.pid))
            done = fleet("ping %d" % o.count)
            spent = cpu_fine(server.process.pid) - began
            trips = server.metric("zpushd_store_round_trips_total") - trips
            b = server.metric("zpushd_backend_round_trips_total") - b
            n = o.count * o.phones
            print("%-14s %6.1f us of processor, %.2f store round trips, %.2f of the backend a re-Ping "
                  "(%d in %.1f s)" % (name, spent / n * 1e6, trips / n, b / n, n, done["seconds"]), flush=True)
        server.process.kill()
        server.expect_trouble = True


def connections(o):
    """Ratios within one run: the same small request on new connections."""
    with local_server(1, settings_for("embedded:")) as server:
        cost = {}
        for name, tls, how in (("plain", False, "resume"), ("resumed", True, "resume"), ("full", True, "full")):
            with Fleet(server.https_port if tls else server.http_port, 4, 1, tls) as fleet:
                fleet("connect 50 " + how)
                began = cpu_fine(server.process.pid)
                fleet("connect %d %s" % (o.connections, how))
                cost[name] = (cpu_fine(server.process.pid) - began) / (4 * o.connections) * 1e6
        print("a new connection and GET /healthz: plain %.0f us, TLS resumed %.0f us, full handshake %.0f us "
              "(full : resumed = %.1f)" % (cost["plain"], cost["resumed"], cost["full"], cost["full"] / cost["resumed"]))
        server.process.kill()
        server.expect_trouble = True


# --- instructions --------------------------------------------------------------------

def run_counted(o, store, tls, count, out):
    import zpushd
    os.environ["ZPUSHD_BIN"] = "/usr/bin/valgrind"
    server = local_server(1, settings_for(store), binary="/usr/bin/valgrind")
    server.start_timeout = 120
    del os.environ["ZPUSHD_BIN"]
    server.prepare()
    server.argv = ["/usr/bin/valgrind", "--tool=callgrind", "--callgrind-out-file=" + out,
                   os.path.join(zpushd.case.ROOT, "build", "zpushd"), "-c", server.config]
    with server:
        with Fleet(server.https_port if tls else server.http_port, 1, 1, tls) as fleet:
            fleet("ping %d" % count)
        server.expect_trouble = True
        server.stop(60)
    with open(server.log) as f:
        return int(re.findall(r"Collected : (\d+)", f.read())[-1])


def callgrind(o, store, tls, name):
    out = os.path.join(o.profile or "/tmp", "callgrind.reping.%s" % name.replace(" ", "_").replace(",", ""))
    one, two = (run_counted(o, store, tls, n, out) for n in (o.count, 2 * o.count))
    print("%-14s %.0f instructions a re-Ping" % (name, (two - one) / o.count), flush=True)
    if o.profile:
        print("profile: " + out)
    else:
        os.unlink(out)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--count", type=int, default=100)
    p.add_argument("--phones", type=int, default=200)
    p.add_argument("--users", type=int, default=100)
    p.add_argument("--connections", type=int, default=200)
    p.add_argument("--callgrind", action="store_true")
    p.add_argument("--profile", help="keep callgrind's files in this directory")
    p.add_argument("--only", help="part of a name: sqlite, redis, plain, tls")
    o = p.parse_args()
    heading("re-Ping with nothing new" + (", instructions" if o.callgrind else ""))
    with Redis() as redis:
        for name, store, tls in (("sqlite, plain", "embedded:", False), ("sqlite, tls", "embedded:", True),
                                 ("redis, plain", redis.url, False), ("redis, tls", redis.url, True)):
            if not o.only or o.only in name:
                (callgrind if o.callgrind else measure)(o, store, tls, name)
    if not o.callgrind and not o.only:
        connections(o)


if __name__ == "__main__":
    sys.exit(main())
