#!/usr/bin/python3
"""make demo: a simulated phone against zpushd on the embedded default, each
step with its time. The mail that wakes it is delivered as any delivery agent
does it: written in tmp/ of the Maildir, renamed into new/."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "e2e"))

from env import DOMAIN, message  # noqa: E402
from world import LocalWorld  # noqa: E402

WHO = "demo"


class Demo(LocalWorld):
    accounts = {WHO: "demo-secret"}


def step(text, function):
    """Runs and prints one step; -> (result, seconds)"""
    start = time.monotonic()
    result = function()
    seconds = time.monotonic() - start
    print("%8.1f ms  %s" % (seconds * 1000, text(result) if callable(text) else text))
    return result


def main():
    print("A simulated phone (protocol 14.1) and zpushd on its embedded default.\n")
    with Demo() as world:
        for subject in ("Welcome", "Second mail", "Third mail"):
            world.deliver(WHO, subject=subject)
        phone = world.bare_phone(WHO)
        step("OPTIONS: what the server speaks", phone.options)
        step(lambda r: "Provision, both phases: policy key %s" % phone.policy_key, phone.provision)
        step(lambda r: "FolderSync: %d folders (%s)" % (len(phone.folders), ", ".join(
            f["DisplayName"] for f in phone.folders.values())), phone.folder_sync)
        inbox = phone.folder_id(type=2)
        step(lambda items: "Sync of the inbox: %d mails (%s)" % (len(items), "; ".join(phone.subjects(inbox))),
             lambda: phone.pull(inbox))
        parked = phone.ping([inbox], heartbeat=120, wait=False)
        time.sleep(1)
        print("             Ping is parked: a waiting phone%s" % ("" if not parked.done() else " (answered already?)"))

        def wake():
            world.deliver(WHO, subject="You have mail")
            return parked.result(60)
        step(lambda r: "a mail is delivered, Ping answers status %s" % r.get("Status"), wake)
        step(lambda items: "Sync brings it: %s" % "; ".join(phone.subjects(inbox)), lambda: phone.pull(inbox))
        answer = message(subject="Re: You have mail", sender="%s@%s" % (WHO, DOMAIN), to="%s@%s" % (WHO, DOMAIN))
        step(lambda r: "SendMail: an answer, HTTP %d" % r.status, lambda: phone.send_mail(answer))
        step(lambda items: "Sync brings that too: %s" % "; ".join(phone.subjects(inbox)), lambda: phone.pull(inbox))
        sent = phone.folder_id(type=5)
        step(lambda items: "Sync of Sent: %s" % "; ".join(phone.subjects(sent)), lambda: phone.pull(sent))
    print("\nDone. `make run` starts the same server for a real phone.")


if __name__ == "__main__":
    main()
