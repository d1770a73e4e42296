"""A TCP proxy that misbehaves on order, between zpushd and a real server.

Faults hold for what passes after they are set, on old connections too:
    proxy.delay = 0.2            seconds before each piece is passed on
    proxy.hang = True            reads and passes nothing, stays connected
    proxy.refuse = True          new connections are closed at once
    proxy.cut(down=100)          closes after that many more bytes (up or down)
    proxy.inject(b"* garbage")   to the client, before the server's next bytes
    proxy.drop()                 closes every connection now
Counters: connections, up, down (bytes), turns (round trips: how often the
client spoke after the server had)."""
import contextlib
import socket
import threading
import time

from .base import free_port


class _Pair:
    def __init__(self, client, server):
        self.client, self.server, self.speaker = client, server, "server"

    def close(self):
        for s in (self.client, self.server):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()


class Proxy:
    def __init__(self, port, host="127.0.0.1"):
        self.target = (host, port)
        self.port = free_port()
        self.lock = threading.Lock()
        self.pairs = set()
        self.heal()
        self.count_reset()

    def heal(self):
        self.delay, self.hang, self.refuse = 0.0, False, False
        self.left = {"up": None, "down": None}
        self.pending = b""

    def count_reset(self):
        self.connections = self.up = self.down = self.turns = 0

    def cut(self, up=None, down=None):
        with self.lock:
            self.left = {"up": up, "down": down}

    def inject(self, data):
        with self.lock:
            self.pending += data

    def drop(self):
        with self.lock:
            pairs, self.pairs = self.pairs, set()
        for pair in pairs:
            pair.close()

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.heal()
        self.drop()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            try:
                server = socket.create_connection(self.target, 5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = _Pair(client, server)
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs.add(pair)
                self.connections += 1
            for way in ("up", "down"):
                threading.Thread(target=self._pump, args=(pair, way), daemon=True).start()

    def _pump(self, pair, way):
        source, sink = (pair.client, pair.server) if way == "up" else (pair.server, pair.client)
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data:
                    break
                while self.hang and pair in self.pairs:
                    time.sleep(0.01)
                if self.delay:
                    time.sleep(self.delay)
                data, last = self._pass(pair, way, data)
                sink.sendall(data)
                if last:
                    break
        with self.lock:
            self.pairs.discard(pair)
        pair.close()

    def _pass(self, pair, way, data):
        """Counts, injects and cuts; (bytes to pass on, close afterwards?)"""
        with self.lock:
            if way == "up":
                self.up += len(data)
                self.turns += pair.speaker == "server"
                pair.speaker = "client"
            else:
                self.down += len(data)
                pair.speaker = "server"
                data, self.pending = self.pending + data, b""
            left = self.left[way]
            if left is None:
                return data, False
            self.left[way] = max(0, left - len(data))
            return data[:left], len(data) >= left
