"""A simulated phone over http.client: an Exchange ActiveSync client that shares
no line with the server.

    phone = Phone(zpushd.url, "alice", "alice-secret")          # 14.1, plain request line
    phone.provision()
    phone.folder_sync()
    inbox = phone.folder_id(type=2)
    phone.pull(inbox)                       # until nothing is left; -> {ServerId: ApplicationData}
    parked = phone.ping([inbox], heartbeat=120, wait=False)
    ...
    equal(parked.result(5).doc.get("Status"), "2")

Every command returns a Reply. Whatever the phone receives is checked for the
rules that hold for each reply (type, length, no chunking) and handed to the
judges (judge.py). raw() and post(body=bytes) send whatever one likes."""
import base64
import concurrent.futures
import gzip
import http.client
import itertools
import socket
import ssl
import struct
import threading
import time
import urllib.parse

import judge
from case import Failed, check
from wbxml import Element, decode, el, encode

PATH = "/Microsoft-Server-ActiveSync"
WBXML = "application/vnd.ms-sync.wbxml"
COMMANDS = {name: code for code, name in enumerate(
    "Sync SendMail SmartForward SmartReply GetAttachment - - - - FolderSync FolderCreate FolderDelete FolderUpdate "
    "MoveItems GetItemEstimate MeetingResponse Search Settings Ping ItemOperations Provision ResolveRecipients "
    "ValidateCert".split()) if name != "-"}
PARAMETERS = {"AttachmentName": 0, "CollectionId": 1, "ItemId": 3, "LongId": 4, "Occurrence": 6, "User": 8}
_ids = itertools.count(1)


class Reply:
    """status, headers, body (bytes), doc (Element or None), seconds."""

    def __init__(self, status, headers, body, seconds, wire=None):
        self.status, self.headers, self.body, self.seconds = status, headers, body, seconds
        self.wire = len(body) if wire is None else wire     # bytes of the body as they came
        self.doc = decode(body) if body.startswith(b"\x03") and headers.get("Content-Type", "").startswith(
            "application/vnd.ms-sync") and "multipart" not in headers.get("Content-Type", "") else None

    def get(self, path, default=None):
        return default if self.doc is None else self.doc.get(path, default)

    def all(self, path):
        return [] if self.doc is None else self.doc.all(path)

    def __repr__(self):
        return "HTTP %d %s" % (self.status, self.doc if self.doc is not None else self.body[:300])


class Phone:
    def __init__(self, url, user="alice", password="alice-secret", version="14.1", device_id=None,
                 device_type="SimPhone", base64_line=False, login=None, ca=None, agent="zpushd-simphone/1.0"):
        self.url = urllib.parse.urlsplit(url)
        self.user, self.password, self.version = user, password, version
        self.device_id = device_id or "sim%08d" % next(_ids)
        self.device_type, self.base64_line, self.agent = device_type, base64_line, agent
        self.login = login or user
        self.ca = ca
        self.gzip = False       # asks for packed replies
        self.policy_key = "0"
        self.hierarchy_key = "0"
        self.folders = {}       # ServerId -> {"DisplayName", "ParentId", "Type"}
        self.keys = {}          # CollectionId -> SyncKey
        self.items = {}         # CollectionId -> {ServerId: ApplicationData}
        self.local = threading.local()

    # --- transport ---------------------------------------------------------------
    def connect(self, timeout=60):
        host, port = self.url.hostname, self.url.port
        if self.url.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca)
            if self.ca is None:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def authorization(self):
        pair = "%s:%s" % (self.login, self.password)
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def target(self, command, params=None):
        if self.base64_line:
            return PATH + "?" + self._base64_query(command, params or {})
        query = {"Cmd": command, "User": self.login, "DeviceId": self.device_id, "DeviceType": self.device_type}
        query.update(params or {})
        return PATH + "?" + urllib.parse.urlencode(query)

    def _base64_query(self, command, params):
        key = b"" if self.policy_key in (None, "") else struct.pack("<I", int(self.policy_key))
        out = struct.pack("<BBH", round(float(self.version) * 10), COMMANDS[command], 0x0409)
        for field in (self.device_id.encode(), key, self.device_type.encode()):
            out += bytes((len(field),)) + field
        options = (params.get("SaveInSent") == "T") | (params.get("AcceptMultiPart") == "T") << 1
        if options:
            out += bytes((7, 1, options))
        for name, value in params.items():
            if name in PARAMETERS:
                value = value.encode()
                out += bytes((PARAMETERS[name], len(value))) + value
        return base64.b64encode(out).decode()

    def headers(self):
        out = {"User-Agent": self.agent}
        if self.gzip:
            out["Accept-Encoding"] = "gzip, deflate"
        if self.password is not None:
            out["Authorization"] = self.authorization()
        if not self.base64_line:
            out["MS-ASProtocolVersion"] = self.version
            if self.policy_key is not None:
                out["X-MS-PolicyKey"] = self.policy_key
        return out

    def post(self, command, body=None, params=None, headers=None, content_type=None, timeout=60, method="POST"):
        """One request on this thread's kept connection. body: Element, bytes or
        None; a header given as None is left out."""
        document = body
        if isinstance(body, Element):
            body = encode(body)
        send = self.headers()
        if body:
            send["Content-Type"] = content_type or WBXML
        for name, value in (headers or {}).items():
            send.pop(name, None)
            if value is not None:
                send[name] = value
        reply = self._exchange(method, self.target(command, params), body, send, timeout)
        self._rules(command, reply)
        if reply.doc is not None:
            judge.collect(self.version, command, reply.doc, reply.body)
            if isinstance(document, Element):
                check(reply.doc.name == document.name,
                      "asked <%s>, answered <%s>" % (document.name, reply.doc.name))
        return reply

    def _exchange(self, method, target, body, headers, timeout):
        start = time.monotonic()
        for attempt in (1, 2):
            connection = getattr(self.local, "connection", None)
            fresh = connection is None
            if fresh:
                connection = self.local.connection = self.connect(timeout)
            try:
                if connection.sock:
                    connection.sock.settimeout(timeout)
                connection.request(method, target, body=body, headers=headers)
                response = connection.getresponse()
                data = response.read()
                wire = len(data)
                if response.headers.get("Content-Encoding") == "gzip":
                    check(self.gzip, "packed, and nobody asked for it")
                    data = gzip.decompress(data)
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.hang_up()
                if fresh or attempt == 2:       # a kept connection may have been closed meanwhile
                    raise
            except BaseException:
                self.hang_up()
                raise
        if response.will_close:
            self.hang_up()
        return Reply(response.status, response.headers, data, time.monotonic() - start, wire)

    def hang_up(self):
        connection = getattr(self.local, "connection", None)
        if connection is not None:
            connection.close()
            self.local.connection = None

    @staticmethod
    def _rules(command, reply):
        """What every reply keeps to (MS-ASHTTP 2.2.2, protocol.md "Wire")."""
        h = reply.headers
        check("Transfer-Encoding" not in h, "%s: reply is chunked" % command)
        check(h.get("Content-Length") == str(reply.wire), "%s: no Content-Length" % command)
        if reply.status == 200 and not reply.body:
            check("Content-Type" not in h, "%s: empty reply with a content type" % command)
        if reply.status == 200 and reply.body.startswith(b"\x03\x01"):
            check(reply.doc is not None, "%s: WBXML sent as %s" % (command, h.get("Content-Type")))

    def raw(self, data, timeout=10, half_close=False):
        """Sends bytes on a fresh connection; returns all that comes until the
        server closes or nothing comes for `timeout`."""
        s = socket.create_connection((self.url.hostname, self.url.port), timeout)
        out = b""
        try:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
            while True:
                piece = s.recv(65536)
                if not piece:
                    return out
                out += piece
        except (socket.timeout, ConnectionResetError, BrokenPipeError):
            return out
        finally:
            s.close()

    def later(self, function, *args, **kw):
        """Runs a command in a thread of its own; .result(timeout) gives it."""
        future = concurrent.futures.Future()

        def work():
            try:
                future.set_result(function(*args, **kw))
            except BaseException as e:      # noqa: B902 (handed to who asks)
                future.set_exception(e)
            finally:
                self.hang_up()

        threading.Thread(target=work, daemon=True).start()
        return future

    # --- commands ------------------------------------------------------------------
    def options(self):
        return self._exchange("OPTIONS", PATH, None, self.headers(), 30)

    def provision(self, status="1", **kw):
        """Both phases; keeps the key. Returns the second reply."""
        kind = "MS-EAS-Provisioning-WBXML" if float(self.version) >= 12 else "MS-WAP-Provisioning-XML"
        information = None
        if float(self.version) >= 14.1:
            information = el("Settings:DeviceInformation", el("Set", el("Model", "Simulated"), el("OS", "SimOS 1"),
                                                              el("FriendlyName", "simulated phone")))
        ask = el("Provision:Provision", information, el("Policies", el("Policy", el("PolicyType", kind))))
        self.policy_key = "0"
        first = self.post("Provision", ask, **kw)
        key = first.get("Policies/Policy/PolicyKey")
        check(key, "no policy key in %r" % first)
        self.policy_key = key
        answer = el("Provision:Provision", el("Policies", el("Policy", el("PolicyType", kind), el("PolicyKey", key),
                                                               el("Status", status))))
        second = self.post("Provision", answer, **kw)
        self.policy_key = second.get("Policies/Policy/PolicyKey", key)
        return second

    def folder_sync(self, key=None, **kw):
        key = self.hierarchy_key if key is None else key
        reply = self.post("FolderSync", el("FolderHierarchy:FolderSync", el("SyncKey", key)), **kw)
        if reply.get("Status") == "1":
            if key == "0":
                self.folders = {}
            self.hierarchy_key = reply.get("SyncKey")
            for change in reply.all("Changes/Add") + reply.all("Changes/Update"):
                self.folders[change.get("ServerId")] = {n: change.get(n) for n in ("DisplayName", "ParentId", "Type")}
            for gone in reply.all("Changes/Delete"):
                self.folders.pop(gone.get("ServerId"), None)
        return reply

    def folder_id(self, name=None, type=None):
        for folder, what in self.folders.items():
            if (name is None or what["DisplayName"] == name) and (type is None or what["Type"] == str(type)):
                return folder
        raise Failed("no folder name=%r type=%r in %r" % (name, type, self.folders))

    def folder_create(self, name, parent="0", type=12, key=None):
        return self._folder_command("FolderCreate", key, el("ParentId", parent), el("DisplayName", name),
                                    el("Type", str(type)))

    def folder_update(self, folder, name, parent="0", key=None):
        return self._folder_command("FolderUpdate", key, el("ServerId", folder), el("ParentId", parent),
                                    el("DisplayName", name))

    def folder_delete(self, folder, key=None):
        return self._folder_command("FolderDelete", key, el("ServerId", folder))

    def _folder_command(self, command, key, *content):
        key = self.hierarchy_key if key is None else key
        reply = self.post(command, el("FolderHierarchy:" + command, el("SyncKey", key), *content))
        if reply.get("Status") == "1":
            self.hierarchy_key = reply.get("SyncKey")
        return reply

    def collection(self, folder, *commands, key=None, window=None, get_changes=None, options=None, deletes_as_moves=None):
        """A Collection element; `commands` go into Commands, `options` is an
        Options element or keywords for self.body_options."""
        key = self.keys.get(folder, "0") if key is None else key
        klass = el("Class", "Email") if float(self.version) < 12.1 else None
        return el("AirSync:Collection", klass, el("SyncKey", key), el("CollectionId", folder),
                  el("DeletesAsMoves", deletes_as_moves) if deletes_as_moves is not None else None,
                  el("GetChanges", get_changes) if get_changes is not None else None,
                  el("WindowSize", str(window)) if window is not None else None,
                  self.body_options(**options) if isinstance(options, dict) else options,
                  el("Commands", *commands) if commands else None)

    def body_options(self, type=1, size=None, filter=None, preview=None, all_or_none=None, mime=None, conflict=None):
        if float(self.version) < 12:
            # a step, not a size: 1 is 512 characters, 9 the whole body
            return el("AirSync:Options", el("FilterType", str(filter)) if filter is not None else None,
                      el("Truncation", "9" if size is None else "1"), el("MIMESupport", "0"))
        preference = el("AirSyncBase:BodyPreference", el("Type", str(type)),
                        el("TruncationSize", str(size)) if size is not None else None,
                        el("AllOrNone", all_or_none) if all_or_none is not None else None,
                        el("Preview", str(preview)) if preview is not None else None)
        return el("AirSync:Options", el("FilterType", str(filter)) if filter is not None else None,
                  el("Conflict", conflict) if conflict is not None else None,
                  el("MIMESupport", str(mime)) if mime is not None else None, preference)

    def sync_request(self, *collections, window=None, wait=None, heartbeat=None, partial=False):
        return el("AirSync:Sync", el("Collections", *collections) if collections else None,
                  el("Wait", str(wait)) if wait is not None else None,
                  el("HeartbeatInterval", str(heartbeat)) if heartbeat is not None else None,
                  el("WindowSize", str(window)) if window is not None else None,
                  el("Partial") if partial else None)

    def sync(self, *collections, timeout=60, apply=True, **request):
        """One Sync of Collection elements; applies the reply to keys and items."""
        body = self.sync_request(*collections, **request)
        reply = self.post("Sync", body, timeout=timeout)
        if apply:
            self.apply(reply)
        return reply

    def sync_folder(self, folder, *commands, **kw):
        """Sync of one folder with collection()'s keywords; -> the reply."""
        return self.sync(self.collection(folder, *commands, **kw))

    def apply(self, reply):
        for c in reply.all("Collections/Collection"):
            folder = c.get("CollectionId")
            if c.get("Status") != "1":
                continue
            if self.keys.get(folder, "0") == "0":
                self.items[folder] = {}
            self.keys[folder] = c.get("SyncKey")
            items = self.items.setdefault(folder, {})
            for add in c.all("Commands/Add"):
                check(add.get("ServerId") not in items, "Add of an item that is there: %r" % add)
                items[add.get("ServerId")] = add.find("ApplicationData")
            for change in c.all("Commands/Change"):
                known = items.get(change.get("ServerId"))
                check(known is not None, "Change of an unknown item: %r" % change)
                items[change.get("ServerId")] = _merged(known, change.find("ApplicationData"))
            for gone in c.all("Commands/Delete") + c.all("Commands/SoftDelete"):
                check(items.pop(gone.get("ServerId"), None) is not None, "Delete of an unknown item: %r" % gone)

    def pull(self, folder, window=100, rounds=1000, **kw):
        """Key 0 if needed, then batches until nothing is left. -> items"""
        options = kw.pop("options", {"type": 1, "size": 500})
        if self.keys.get(folder, "0") == "0":
            first = self.sync_folder(folder, options=options)
            check(first.get("Collections/Collection/Status") == "1", repr(first))
        for _ in range(rounds):
            reply = self.sync_folder(folder, window=window, options=options, get_changes="1", **kw)
            if reply.doc is None:
                break
            check(reply.get("Collections/Collection/Status") == "1", repr(reply))
            if reply.doc.find("Collections/Collection/MoreAvailable") is None:
                break
        return self.items.setdefault(folder, {})

    def subjects(self, folder):
        """Subjects of the mirrored folder, sorted."""
        return sorted(item.get("Subject", "") for item in self.items.get(folder, {}).values())

    def item_with(self, folder, subject):
        """ServerId of the mirrored item with this subject."""
        for item, data in self.items.get(folder, {}).items():
            if data.get("Subject") == subject:
                return item
        raise Failed("no item %r in %r" % (subject, self.subjects(folder)))

    @staticmethod
    def change(item, *fields):
        return el("Change", el("ServerId", item), el("ApplicationData", *fields))

    @staticmethod
    def delete(item):
        return el("Delete", el("ServerId", item))

    @staticmethod
    def fetch(item):
        return el("Fetch", el("ServerId", item))

    def ping(self, folders=(), heartbeat=None, wait=True, body=True, timeout=None):
        """wait=False parks it in a thread; .result(seconds) is the Reply."""
        request = None
        if body:
            request = el("Ping:Ping", el("HeartbeatInterval", str(heartbeat)) if heartbeat is not None else None,
                         el("Folders", *[el("Folder", el("Id", f), el("Class", "Email")) for f in folders])
                         if folders else None)
        timeout = timeout or (heartbeat or 600) + 30
        if wait:
            return self.post("Ping", request, timeout=timeout)
        return self.later(self.post, "Ping", request, timeout=timeout)

    def send_mail(self, mime, client_id=None, save=True, **kw):
        return self._compose("SendMail", mime, None, client_id, save, **kw)

    def smart_reply(self, mime, folder, item, client_id=None, save=True, **kw):
        return self._compose("SmartReply", mime, (folder, item), client_id, save, **kw)

    def smart_forward(self, mime, folder, item, client_id=None, save=True, **kw):
        return self._compose("SmartForward", mime, (folder, item), client_id, save, **kw)

    def _compose(self, command, mime, source, client_id, save, replace=False, headers=None):
        if float(self.version) < 14:
            params = {"SaveInSent": "T"} if save else {}
            if source:
                params.update(CollectionId=source[0], ItemId=source[1])
            return self.post(command, mime, params, headers, content_type="message/rfc822")
        body = el("ComposeMail:" + command, el("ClientId", client_id or "c%d-%d" % (time.time_ns(), next(_ids))),
                  el("SaveInSentItems") if save else None,
                  el("Source", el("FolderId", source[0]), el("ItemId", source[1])) if source else None,
                  el("ReplaceMime") if replace else None, el("Mime", mime))
        return self.post(command, body, headers=headers)

    def move(self, moves):
        """moves: (item, from folder, to folder)"""
        return self.post("MoveItems", el("Move:MoveItems", *[
            el("Move", el("SrcMsgId", i), el("SrcFldId", a), el("DstFldId", b)) for i, a, b in moves]))

    def estimate(self, folder, key=None, filter=None):
        key = self.keys.get(folder, "0") if key is None else key
        if float(self.version) < 14:
            c = el("GetItemEstimate:Collection", el("Class", "Email") if float(self.version) < 12.1 else None,
                   el("CollectionId", folder), el("AirSync:FilterType", str(filter or 0)), el("AirSync:SyncKey", key))
        else:
            c = el("GetItemEstimate:Collection", el("AirSync:SyncKey", key), el("CollectionId", folder),
                   el("AirSync:Options", el("FilterType", str(filter))) if filter is not None else None)
        return self.post("GetItemEstimate", el("GetItemEstimate:GetItemEstimate", el("Collections", c)))

    def fetch_item(self, folder, item, type=1, size=None, mime=None, headers=None):
        options = el("Options", el("AirSync:MIMESupport", str(mime)) if mime is not None else None,
                     el("AirSyncBase:BodyPreference", el("Type", str(type)),
                        el("TruncationSize", str(size)) if size is not None else None))
        return self.post("ItemOperations", el("ItemOperations:ItemOperations", el(
            "Fetch", el("Store", "Mailbox"), el("AirSync:CollectionId", folder), el("AirSync:ServerId", item),
            options)), headers=headers)

    def fetch_attachment(self, reference, headers=None):
        return self.post("ItemOperations", el("ItemOperations:ItemOperations", el(
            "Fetch", el("Store", "Mailbox"), el("AirSyncBase:FileReference", reference))), headers=headers)

    def get_attachment(self, reference):
        """The reference goes into the URL as it came: it must be URL-safe."""
        if self.base64_line:
            return self.post("GetAttachment", params={"AttachmentName": reference})
        target = self.target("GetAttachment") + "&AttachmentName=" + reference
        return self._exchange("POST", target, None, self.headers(), 60)

    def settings(self, *content):
        return self.post("Settings", el("Settings:Settings", *content))


def _merged(old, new):
    """ApplicationData after a Change: each property that came replaces the old."""
    names = {c.name for c in new.children}
    return Element(old.name, *[c for c in old.children if c.name not in names], *new.children)
