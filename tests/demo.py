#!/usr/bin/python3
"""make demo: a simulated phone against zpushd on the embedded default, each
step with its time. The mail that wakes it is delivered as any mail server would:
written to a file in tmp/, renamed into new/ of the Maildir."""
import os
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "e2e"))

from env import message  # noqa: E402
from local import local_server  # noqa: E402
from phone import Phone  # noqa: E402


def step(text, function):
    """Runs and prints one step; -> (result, seconds)"""
    start = time.monotonic()
    result = function()
    seconds = time.monotonic() - start
    print("%8.1f ms  %s" % (seconds * 1000, text(result) if callable(text) else text))
    return result


def deliver(maildir, mail):
    name = "%d.%d.%s" % (time.time(), time.time_ns(), socket.gethostname())
    with open(os.path.join(maildir, "tmp", name), "wb") as f:
        f.write(mail)
    os.rename(os.path.join(maildir, "tmp", name), os.path.join(maildir, "new", name))


def main():
    print("A simulated phone (protocol 14.1) and zpushd on its embedded default.\n")
    with local_server() as server:
        phone = Phone(server.url, "demo", server.password)
        step("OPTIONS: what the server speaks", phone.options)
        step(lambda r: "Provision, both phases: policy key %s" % phone.policy_key, phone.provision)
        step(lambda r: "FolderSync: %d folders (%s)" % (len(phone.folders), ", ".join(
            f["DisplayName"] for f in phone.folders.values())), phone.folder_sync)
        inbox = phone.folder_id(type=2)
        step(lambda items: "Sync of the inbox: %d mails (%s)" % (len(items), "; ".join(phone.subjects(inbox))),
             lambda: phone.pull(inbox))
        parked = phone.ping([inbox], heartbeat=120, wait=False)
        time.sleep(1)
        print("             Ping is parked: a waiting phone")
        step(lambda r: "a mail is delivered -> Ping answers status %s" % r.get("Status"),
             lambda: (deliver(server.maildir("demo"), message(subject="You have mail", to="demo@localhost")),
                      parked.result(60))[1])
        step(lambda items: "Sync brings it: %s" % "; ".join(phone.subjects(inbox)), lambda: phone.pull(inbox))
        step("SendMail: an answer to oneself",
             lambda: phone.send_mail(message(subject="Re: You have mail", sender="demo@localhost", to="demo@localhost")))
        print("\nDone. `make run` starts the same server for a real phone.")


if __name__ == "__main__":
    main()
