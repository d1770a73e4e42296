"""HTTP, TLS, request line and authentication, as clients and attackers use them."""
import base64
import gzip
import http.client
import os
import random
import re
import socket
import ssl
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import SLOW, case, cases, check, contains, equal, main, shared  # noqa: E402
from env import poll  # noqa: E402
from phone import PATH, WBXML  # noqa: E402
from wbxml import decode, el, encode  # noqa: E402
from world import ImapWorld  # noqa: E402

FOLDER_SYNC = encode(el("FolderHierarchy:FolderSync", el("SyncKey", "0")))
TIGHT = {"limits.body_bytes": "64K", "limits.mail_bytes": "64K", "limits.wbxml_opaque": "64K", "limits.header_bytes": "8K", "limits.header_timeout": "1s",
         "limits.body_timeout": "1s", "limits.idle_timeout": "1s", "limits.handshake_timeout": "1s"}


def world():
    return shared(ImapWorld)


def tight():
    return shared(ImapWorld, TIGHT, store="embedded")


def request(phone, line=None, headers=(), body=b"", method="POST", length=True, command="FolderSync"):
    """The bytes of a request of this phone."""
    lines = ["%s HTTP/1.1" % (line or "%s %s" % (method, phone.target(command))), "Host: localhost"]
    lines += ["%s: %s" % pair for pair in phone.headers().items()]
    if body:
        lines.append("Content-Type: " + WBXML)
    if length:
        lines.append("Content-Length: %d" % len(body))
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body


def statuses(data):
    return [int(s) for s in re.findall(rb"HTTP/1\.[01] (\d{3}) ", data)]


def closed(s, timeout):
    """Reads until the server closes; -> what came. Fails when it does not."""
    s.settimeout(timeout * SLOW)
    out = b""
    try:
        while True:
            piece = s.recv(65536)
            if not piece:
                return out
            out += piece
    except ConnectionResetError:
        return out


def dial(w):
    return socket.create_connection(("127.0.0.1", w.zpushd.http_port), 10)


def alive(w):
    check(w.bare_phone().options().status == 200, "it does not answer any more")


# --- what a good client does ---------------------------------------------------------

@case
def options_tells_versions_and_commands():
    reply = world().bare_phone().options()
    equal(reply.status, 200)
    equal(reply.headers["MS-ASProtocolVersions"], "2.5,12.0,12.1,14.0,14.1")
    commands = reply.headers["MS-ASProtocolCommands"].split(",")
    for command in ("Sync", "SendMail", "SmartForward", "SmartReply", "GetAttachment", "FolderSync", "FolderCreate",
                    "FolderDelete", "FolderUpdate", "MoveItems", "GetItemEstimate", "Settings", "Ping",
                    "ItemOperations", "Provision"):
        contains(commands, command)
    for header in ("MS-Server-ActiveSync", "Public", "Allow"):
        check(header in reply.headers, "no " + header)
    contains(reply.headers["Allow"], "OPTIONS")


@case
def options_in_samsungs_form():
    phone = world().bare_phone()
    out = phone.raw(request(phone, "OPTIONS %s?Cmd=OPTIONS&User=alice&DeviceId=validate&DeviceType=Android" % PATH,
                            ["Connection: close"]))
    equal(statuses(out), [200])
    contains(out, b"MS-ASProtocolVersions")


@cases([("plain", "alice", "alice"), ("domain", "alice", "CORP\\alice"), ("address", "alice", "alice@example.org"),
        ("capital", "alice", "Alice"), ("colons", "bob", "bob"), ("utf8", "carol", "carol")])
def logs_in(user, login):
    reply = world().bare_phone(user, login=login).folder_sync()
    equal((reply.status, reply.get("Status")), (200, "1"))


@case
def a_wrong_password_and_an_unknown_user_look_alike():
    def refused(user, password):
        reply = world().bare_phone(user, password=password)._exchange(
            "POST", PATH + "?Cmd=FolderSync&User=x&DeviceId=refused&DeviceType=x", FOLDER_SYNC,
            dict(world().bare_phone(user, password=password).headers(), **{"Content-Type": WBXML}), 30)
        return reply.status, reply.headers["WWW-Authenticate"], reply.body, sorted(reply.headers.keys())
    wrong, unknown = refused("dave", "not it"), refused("nobody-here", "not it")
    equal(wrong[0], 401)
    contains(wrong[1], "Basic")
    equal(wrong, unknown)


@case
def without_credentials_401():
    for header in (None, "Basic", "Basic !!!!", "Basic " + base64.b64encode(b"nocolon").decode(), "Bearer x", "Basic " + "A" * 3000):
        reply = world().bare_phone().post("FolderSync", FOLDER_SYNC, headers={"Authorization": header})
        equal(reply.status, 401, repr(header))


@case
def the_base64_line_needs_no_headers():
    phone = world().bare_phone(base64_line=True)
    phone.provision()
    phone.folder_sync()
    check(phone.folder_id(type=2))


@cases([("version_191", base64.b64encode(b"\xbf\x09\x09\x04\x01a\0\x01b").decode(), 400), ("not_base64", "%%%", 400),
        ("short", base64.b64encode(b"\x8d").decode(), 400), ("empty", "", 400),
        ("id_too_long", base64.b64encode(b"\x8d\x09\x09\x04\xffa").decode(), 400),
        ("unknown_command", base64.b64encode(b"\x8d\x63\x09\x04\x01a\0\x01b").decode(), 501)])
def a_bad_base64_line_is(line, status):
    phone = world().bare_phone()
    out = phone.raw(request(phone, "POST %s?%s" % (PATH, line), ["Connection: close"], FOLDER_SYNC))
    equal(statuses(out), [status])


@cases([("path", "POST /nothing-here", 404), ("command", "POST %s?Cmd=Teleport&User=alice&DeviceId=d&DeviceType=t" % PATH, 501),
        ("method", "BREW %s" % PATH, None), ("put", "PUT %s?Cmd=Sync&User=alice&DeviceId=d&DeviceType=t" % PATH, None)])
def unknown(line, status):
    phone = world().bare_phone()
    out = phone.raw(request(phone, line, ["Connection: close"], FOLDER_SYNC))
    got = statuses(out)
    check(len(got) == 1 and (got[0] == status if status else got[0] in (400, 405, 501)), "%s answered %r" % (line, got))


@case
def an_unknown_protocol_version_is_400():
    for version in ("99.9", "abc", "", "14.10"):
        reply = world().bare_phone().post("FolderSync", FOLDER_SYNC, headers={"MS-ASProtocolVersion": version})
        equal(reply.status, 400, repr(version))


@cases([("old", "12.1", 400, None), ("new", "14.1", 200, ("102", "103"))])
def a_body_that_is_no_wbxml_is_refused(version, status, inner):
    for body in (b"<?xml version='1.0'?><FolderSync/>", b"hello", b"\x03\x01\x6a", b"\xff" * 50):
        phone = world().bare_phone(version=version)
        reply = phone.post("FolderSync", body, content_type=WBXML)
        equal(reply.status, status, repr(body))
        if inner:
            equal(reply.doc.name, "FolderHierarchy:FolderSync")
            contains(inner, reply.get("Status"))


@cases([("id", "User=alice&DeviceType=t", "108"), ("type", "User=alice&DeviceId=d", "109")])
def a_missing_device(query, inner):
    phone = world().bare_phone(version="14.1")
    out = phone.raw(request(phone, "POST %s?Cmd=FolderSync&%s" % (PATH, query), ["Connection: close"], FOLDER_SYNC))
    equal(statuses(out), [200])
    equal(decode(out.partition(b"\r\n\r\n")[2]).get("Status"), inner)


@case
def a_browser_gets_a_page():
    phone = world().bare_phone()
    reply = phone._exchange("GET", PATH, None, {"Authorization": phone.authorization()}, 30)
    equal(reply.status, 200)
    contains(reply.headers["Content-Type"], "text/html")
    contains(reply.body.lower(), b"<html")


@case
def healthz_answers_get_and_head():
    get = world().bare_phone()._exchange("GET", "/healthz", None, {}, 10)
    equal(get.status, 200)
    out = world().bare_phone().raw(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    equal(statuses(out), [200])
    equal(out.partition(b"\r\n\r\n")[2], b"")


# --- framing -----------------------------------------------------------------------------

@case
def a_connection_is_kept():
    phone = world().bare_phone()
    connection = http.client.HTTPConnection("127.0.0.1", world().zpushd.http_port, timeout=10)
    for _ in range(5):
        connection.request("OPTIONS", PATH, headers=phone.headers())
        response = connection.getresponse()
        response.read()
        equal((response.status, response.will_close), (200, False))
    connection.close()


@case
def pipelined_requests_are_answered_in_order():
    phone = world().bare_phone()
    data = request(phone, body=FOLDER_SYNC) * 3 + request(phone, "GET /healthz", ["Connection: close"], length=False)
    out = phone.raw(data)
    equal(statuses(out), [200] * 4)
    equal(out.count(b"\x03\x01\x6a\x00"), 3)


@case
def a_chunked_body_is_read():
    phone = world().bare_phone()
    for size in (1, 3, 1000):
        pieces = [FOLDER_SYNC[i:i + size] for i in range(0, len(FOLDER_SYNC), size)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
        out = phone.raw(request(phone, headers=["Transfer-Encoding: chunked", "Connection: close"], length=False,
                                body=b"x")[:-1] + body)
        equal(statuses(out), [200])


@case
def one_byte_a_segment_is_read():
    phone = world().bare_phone()
    s = dial(world())
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in request(phone, headers=["Connection: close"], body=FOLDER_SYNC):
        s.send(bytes((byte,)))
    equal(statuses(closed(s, 10)), [200])


@case
def expect_gets_its_100():
    phone = world().bare_phone()
    s = dial(world())
    head = request(phone, headers=["Expect: 100-continue", "Connection: close"], body=FOLDER_SYNC)
    s.sendall(head[:-len(FOLDER_SYNC)])
    contains(s.recv(1000), b"100 Continue")
    s.sendall(FOLDER_SYNC)
    equal(statuses(closed(s, 10)), [200])


@case
def a_gzipped_request_is_read():
    phone = world().bare_phone()
    reply = phone.post("FolderSync", gzip.compress(FOLDER_SYNC), headers={"Content-Encoding": "gzip"}, content_type=WBXML)
    equal((reply.status, reply.get("Status")), (200, "1"))


@case
def http_1_0_is_closed_after_the_reply():
    phone = world().bare_phone()
    out = phone.raw(request(phone, body=FOLDER_SYNC).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    equal(len(statuses(out)), 1)


SMUGGLE = [
    ("both_lengths", ["Transfer-Encoding: chunked"], True),
    ("two_lengths", ["Content-Length: 4"], True),
    ("signed_length", ["Content-Length: +5"], False),
    ("negative_length", ["Content-Length: -1"], False),
    ("list_of_lengths", ["Content-Length: 5, 6"], False),
    ("hex_length", ["Content-Length: 0x10"], False),
    ("huge_length", ["Content-Length: 99999999999999999999"], False),
    ("unknown_coding", ["Transfer-Encoding: xchunked"], False),
    ("chunked_not_last", ["Transfer-Encoding: chunked, gzip"], False),
    ("space_before_colon", ["Transfer-Encoding : chunked"], True),
    ("folded", ["X-A: b\r\n c"], True),
    ("bare_cr", ["X-A: b\rX-B: c"], True),
    ("empty_name", [": value"], True),
    ("no_colon", ["nonsense"], True),
    ("nul_in_value", ["X-A: b\0c"], True),
    ("space_in_name", ["X A: b"], True),
]


@cases([(n, n, h, c) for n, h, c in SMUGGLE])
def refuses_the_form(name, headers, length):
    phone = world().bare_phone()
    smuggled = request(phone, "GET /smuggled")
    data = request(phone, headers=headers, length=length, body=FOLDER_SYNC) + smuggled
    out = phone.raw(data, timeout=5)
    got = statuses(out)
    check(len(got) == 1 and got[0] in ((400, 413) if name == "huge_length" else (400, 501) if "cod" in name or "chunked" in name
                                       else (400,)), "%s answered %r" % (name, got))


@cases([("size", b"zz\r\nabc\r\n0\r\n\r\n"), ("end", b"3\r\nabcX\r\n0\r\n\r\n"), ("huge", b"ffffffffffffffffff\r\na\r\n0\r\n\r\n"),
        ("negative", b"-1\r\na\r\n0\r\n\r\n")])
def refuses_a_chunk_with_bad(body):
    phone = world().bare_phone()
    data = request(phone, headers=["Transfer-Encoding: chunked"], length=False, body=b"x")[:-1] + body
    got = statuses(phone.raw(data, timeout=5))
    check(len(got) == 1 and 400 <= got[0] < 500, "answered %r" % got)


@case
def chunked_in_http_1_0_is_refused():
    phone = world().bare_phone()
    data = request(phone, headers=["Transfer-Encoding: chunked"], length=False, body=b"x")[:-1] + b"0\r\n\r\n"
    equal(statuses(phone.raw(data.replace(b"HTTP/1.1", b"HTTP/1.0", 1), timeout=5)), [400])


# --- limits and patience ---------------------------------------------------------------

@case
def headers_past_the_limit_are_refused():
    phone = tight().bare_phone()
    for headers in (["X-Long: " + "a" * 20000], ["X-%d: %s" % (i, "b" * 50) for i in range(400)]):
        got = statuses(phone.raw(request(phone, headers=headers, body=FOLDER_SYNC), timeout=5))
        check(len(got) == 1 and got[0] in (400, 431), "answered %r" % got)
    long_line = request(phone, "POST %s?Cmd=Sync&User=%s" % (PATH, "u" * 20000), body=FOLDER_SYNC)
    got = statuses(phone.raw(long_line, timeout=5))
    check(len(got) == 1 and got[0] in (400, 414, 431), "answered %r" % got)
    alive(tight())


@case
def a_body_past_the_limit_is_413():
    phone = tight().bare_phone()
    equal(statuses(phone.raw(request(phone, headers=["Content-Length: 70000"], length=False), timeout=5)), [413])
    chunks = b"".join(b"1000\r\n" + b"a" * 4096 + b"\r\n" for _ in range(20)) + b"0\r\n\r\n"
    data = request(phone, headers=["Transfer-Encoding: chunked"], length=False, body=b"x")[:-1] + chunks
    equal(statuses(phone.raw(data, timeout=5)), [413])
    alive(tight())


@case
def slow_senders_are_ended():
    phone = tight().bare_phone()
    whole = request(phone, body=FOLDER_SYNC)
    for start in (b"", b"P", whole[:40], whole[:-len(FOLDER_SYNC)], whole[:-1]):
        s = dial(tight())
        s.sendall(start)
        begin = time.monotonic()
        closed(s, 5)
        check(time.monotonic() - begin < 4 * SLOW, "%r stayed" % start[-20:])


@case
def a_drip_of_header_bytes_does_not_prolong():
    s = dial(tight())
    begin = time.monotonic()
    try:
        while time.monotonic() - begin < 5 * SLOW:
            s.sendall(b"X")
            time.sleep(0.2)
        raise AssertionError("still connected")
    except (BrokenPipeError, ConnectionResetError):
        pass


@case
def a_kept_connection_is_closed_when_idle():
    phone = tight().bare_phone()
    s = dial(tight())
    s.sendall(request(phone, "GET /healthz", length=False))
    equal(statuses(closed(s, 5)), [200])


@case
def clients_that_vanish_at_any_byte_leave_nothing():
    w = world()
    phone = w.bare_phone()
    whole = request(phone, body=FOLDER_SYNC)
    before = w.zpushd.descriptors()
    for at in range(0, len(whole) + 1, 3):
        s = dial(w)
        s.sendall(whole[:at])
        if at % 2:      # a reset instead of an end
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    alive(w)
    poll(lambda: w.zpushd.descriptors() <= before + 8, 20 * SLOW, what="descriptors back (%d)" % before)


@case
def garbage_is_answered_or_closed():
    w = world()
    rng = random.Random(7)
    phone = w.bare_phone()
    good = request(phone, body=FOLDER_SYNC)
    for _ in range(200):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        phone.raw(bytes(data), timeout=0.3, half_close=True)
    phone.raw(bytes(rng.randrange(256) for _ in range(5000)), timeout=1)
    alive(w)


@case
def many_silent_connections_disturb_nobody():
    w = world()
    quiet = [dial(w) for _ in range(300)]
    begin = time.monotonic()
    alive(w)
    check(time.monotonic() - begin < 1 * SLOW, "slow beside 300 silent connections")
    for s in quiet:
        s.close()


# --- TLS ------------------------------------------------------------------------------------

def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def tls_request(w, context, session=None):
    """(was the session resumed?, session, cipher) of one request over TLS."""
    with socket.create_connection(("127.0.0.1", w.zpushd.https_port), 10) as raw:
        with context.wrap_socket(raw, session=session) as s:
            s.sendall(request(w.bare_phone(), "OPTIONS " + PATH, ["Connection: close"]))
            out = b""
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                out += piece
            equal(statuses(out), [200])
            return s.session_reused, s.session, s.cipher()


@case
def https_serves_the_same():
    phone = world().bare_phone(url=world().zpushd.https_url)
    phone.provision()
    phone.folder_sync()
    check(phone.folder_id(type=2))


@case
def only_modern_suites_at_tls_1_2():
    _, _, (name, version, _) = tls_request(world(), tls_context())
    equal(version, "TLSv1.2")
    check(name.startswith("ECDHE-") and ("GCM" in name or "CHACHA" in name), name)
    old = tls_context()
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        tls_request(world(), old)
    except (ssl.SSLError, OSError):
        return
    raise AssertionError("TLS 1.1 was accepted")


@case
def a_ticket_resumes_also_after_a_restart():
    with ImapWorld(store="embedded") as w:
        context = tls_context()
        reused, session, _ = tls_request(w, context)
        equal(reused, False)
        reused, session, _ = tls_request(w, context, session)
        equal(reused, True)
        w.zpushd.restart()
        reused, _, _ = tls_request(w, context, session)
        equal(reused, True, "the ticket did not survive a restart")


@case
def nonsense_on_the_tls_port_is_closed():
    w = tight()
    rng = random.Random(3)
    hello = bytes.fromhex("16030100") + b"\x50" + bytes(80)
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(70000), hello, b"", b"\x16",
                 bytes(rng.randrange(256) for _ in range(3000))):
        s = socket.create_connection(("127.0.0.1", w.zpushd.https_port), 10)
        try:
            s.sendall(data)
        except OSError:
            pass
        closed(s, 6)
    tls_request(w, tls_context())


@case
def failed_logins_are_throttled_for_that_device_only():
    w = tight()
    wrong = w.bare_phone("erin", password="wrong")
    seen = [wrong.folder_sync().status for _ in range(14)]
    equal(seen[0], 401)
    check(seen[-1] in (401, 429, 503), repr(seen))
    before = len(w.zpushd.log_lines())
    check(before > 0)
    other = w.bare_phone("erin", device_id="other-device")
    equal(other.folder_sync().get("Status"), "1")


if __name__ == "__main__":
    main()
