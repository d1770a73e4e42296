"""A mail server that misbehaves for one user and serves all others.

UserProxy passes IMAP on to a real server. It reads the login of each
connection; the victim's goes to a script instead (or to the real server
through a function that spoils what comes down):

    proxy.victim, proxy.script = "alice", hangs
    proxy.victim, proxy.spoil = "alice", lambda data: data.replace(b"FLAGS", b"FLAX")

A script gets the client's socket and the tag of the login command."""
import base64
import contextlib
import re
import socket
import threading
import time

from env import free_port

LOGIN = re.compile(rb"^(\S+) (?:AUTHENTICATE PLAIN (\S+)|LOGIN \"?([^\s\"]+))", re.I)


class UserProxy:
    def __init__(self, port):
        self.target, self.port = port, free_port()
        self.heal()
        self.open = set()
        self.victims = 0

    def heal(self):
        self.victim = self.script = self.spoil = None

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop()

    def drop(self):
        for s in list(self.open):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = socket.create_connection(("127.0.0.1", self.target), 5)
        server.settimeout(None)
        self.open |= {client, server}
        state = {"user": None}
        with contextlib.suppress(OSError):
            threading.Thread(target=self._down, args=(server, client, state), daemon=True).start()
            while True:
                data = client.recv(65536)
                if not data:
                    break
                found = LOGIN.match(data) if state["user"] is None else None
                if found:
                    state["user"] = _user(found)
                    if state["user"] == self.victim and self.script:
                        self.victims += 1
                        state["mute"] = True
                        self.script(client, found.group(1))
                        break
                server.sendall(data)
        for s in (client, server):
            self.open.discard(s)
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()

    def _down(self, server, client, state):
        with contextlib.suppress(OSError):
            while True:
                data = server.recv(65536)
                if not data:
                    break
                if state["user"] is not None and state["user"] == self.victim and self.spoil:
                    data = self.spoil(data)
                if data is None:
                    break
                if not state.get("mute"):
                    client.sendall(data)
        if not state.get("mute"):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)


def _user(found):
    if found.group(3):
        return found.group(3).decode()
    return base64.b64decode(found.group(2)).split(b"\0")[1].decode()


# --- scripts ---------------------------------------------------------------------

def hangs(s, tag):
    while s.recv(65536):
        pass


def drops(s, tag):
    pass


def refuses(s, tag):
    s.sendall(tag + b" NO [UNAVAILABLE] try later\r\n")
    hangs(s, tag)


def says_bye(s, tag):
    s.sendall(b"* BYE too many connections\r\n")


def nonsense(s, tag):
    s.sendall(bytes(range(256)) * 40 + b"\r\n")
    hangs(s, tag)


def endless_line(s, tag):
    with contextlib.suppress(OSError):
        for _ in range(4000):
            s.sendall(b"* OK " + b"x" * 65000)


def endless_lines(s, tag):
    with contextlib.suppress(OSError):
        for _ in range(3000):
            s.sendall(b"* 17 EXISTS\r\n" * 2000)


def deep_lists(s, tag):
    s.sendall(tag + b" OK in\r\n")
    with contextlib.suppress(OSError):
        while s.recv(65536):
            s.sendall(b"* LIST " + b"(" * 200000 + b"\r\n* 1 FETCH (BODYSTRUCTURE " + b"(" * 200000 + b"\r\n")


def huge_literal(s, tag):
    s.sendall(tag + b" OK in\r\n")
    with contextlib.suppress(OSError):
        while s.recv(65536):
            s.sendall(b"* LIST () \"/\" {99999999999}\r\nabc")


def drips(s, tag):
    """One byte now and then, for ever."""
    with contextlib.suppress(OSError):
        while True:
            s.sendall(b"*")
            time.sleep(0.05)


def wrong_tag(s, tag):
    s.sendall(b"zz999 OK in\r\n")
    hangs(s, tag)


SCRIPTS = [hangs, drops, refuses, says_bye, nonsense, endless_line, endless_lines, deep_lists, huge_literal, drips, wrong_tag]
