#!/usr/bin/python3
"""Writes seeds for the fuzz targets into build/fuzz/corpus/NAME: what the
simulated phone sends, and the recorded client requests where ../shared is."""
import csv
import hashlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

import case  # noqa: E402
import judge  # noqa: E402
from env import message  # noqa: E402
from phone import Phone  # noqa: E402
from wbxml import el, encode  # noqa: E402


def bodies():
    phone = Phone("http://127.0.0.1:1")
    yield encode(el("FolderHierarchy:FolderSync", el("SyncKey", "0")))
    yield encode(phone.sync_request(phone.collection("c1", phone.change("i1", el("Email:Read", "1")), phone.delete("i2"),
                                                     window=5, options={"type": 2, "size": 500, "filter": 3}), wait=5))
    yield encode(el("Ping:Ping", el("HeartbeatInterval", "600"), el("Folders", el("Folder", el("Id", "1"), el("Class", "Email")))))
    yield encode(el("ComposeMail:SendMail", el("ClientId", "1"), el("SaveInSentItems"), el("Mime", message())))
    yield encode(el("Move:MoveItems", el("Move", el("SrcMsgId", "1"), el("SrcFldId", "2"), el("DstFldId", "3"))))
    yield b"\x02\x01\x6a\x04ab\0c\x45\x4b\x83\x00\x02\x83\x60\x01\x01"     # string table, entity


def recorded():
    try:
        path = os.path.join(judge.shared_directory(), "samples", "exchanges.tsv")
    except case.Skipped:
        return
    csv.field_size_limit(1 << 30)
    with open(path, newline="") as f:
        for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield "wbxml", b"\x03" + bytes.fromhex(row["req_hex"])
            yield "query", row["url"].partition("?")[2].encode()


def lines():
    for base64_line in (False, True):
        for command in ("Sync", "SmartReply", "GetAttachment"):
            phone = Phone("http://127.0.0.1:1", base64_line=base64_line)
            yield phone.target(command, {"CollectionId": "c 1", "ItemId": "ü", "SaveInSent": "T"}).partition("?")[2].encode()


def mails():
    yield message()
    yield message(html="<p>hi</p>", attachments=[("ü.txt", "text/plain", b"x" * 100)])
    yield (b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?x?=\r\n\r\n"
           b"--a\r\nContent-Type: text/plain; name*0*=utf-8''%C3; name*1*=%BC\r\nContent-Transfer-Encoding: base64\r\n\r\nAAA=\r\n--a--\r\n")


def main():
    seeds = [("wbxml", b"\x03" + body) for body in bodies()] + [("query", line) for line in lines()]
    seeds += [("mime", b"\x07" + mail) for mail in mails()] + list(recorded())
    for name, data in seeds:
        folder = os.path.join(case.ROOT, "build", "fuzz", "corpus", name)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, hashlib.sha1(data).hexdigest()), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
