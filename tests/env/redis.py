"""A private redis-server, and the few commands a test needs of it."""
import os
import socket

from .base import Service, free_port, program


class RedisError(Exception):
    pass


class Redis(Service):
    """`password`: requirepass; `durable`: data survive kill() (append-only
    file, synced on every write). pause() hangs it, kill()/start() is a crash."""
    name = "redis"

    def __init__(self, password=None, durable=True, policy="noeviction", extra=()):
        super().__init__()
        self.password, self.durable, self.policy, self.extra = password, durable, policy, list(extra)
        self.port = free_port()
        self.socket_path = os.path.join(self.dir, "s")

    @property
    def url(self):
        return "redis://%s127.0.0.1:%d/0" % (":%s@" % self.password if self.password else "", self.port)

    def prepare(self):
        self.argv = [program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
                     "--dir", self.dir, "--unixsocket", self.socket_path, "--daemonize", "no",
                     "--save", "", "--appendonly", "yes" if self.durable else "no", "--appendfsync", "always",
                     "--maxmemory-policy", self.policy, *self.extra]
        if self.password:
            self.argv += ["--requirepass", self.password]

    def ready(self):
        try:
            return self.command("PING") == b"PONG"
        except OSError:
            return False
        except RedisError:      # LOADING
            return False

    def command(self, *args, timeout=5):
        """One command on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as s:
            f = s.makefile("rwb")
            if self.password:
                self._send(f, ("AUTH", self.password))
                self._read(f)
            self._send(f, args)
            return self._read(f)

    def keys(self, pattern="*"):
        return sorted(self.command("KEYS", pattern))

    def flush(self):
        self.command("FLUSHALL")

    def info(self, field):
        text = self.command("INFO", "everything").decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line).get(field)

    def commands_processed(self):
        """To count a command's round trips; this call itself counts as one."""
        return int(self.info("total_commands_processed"))

    @staticmethod
    def _send(f, args):
        parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
        f.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        f.flush()

    def _read(self, f):
        line = f.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if int(rest) < 0:
                return None
            return f.read(int(rest) + 2)[:-2]
        return [self._read(f) for _ in range(int(rest))]
