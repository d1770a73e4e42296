"""Receivers that only note what they were sent."""
import http.server
import threading

from .base import free_port, poll


class HttpSink:
    """An HTTP server that keeps every request: (method, path, headers, body)."""

    def __init__(self, status=200):
        self.status, self.requests, self.port = status, [], free_port()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def __enter__(self):
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                sink.requests.append((self.command, self.path, dict(self.headers), body))
                self.send_response(sink.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()

    def wait(self, count=1, timeout=10):
        poll(lambda: len(self.requests) >= count, timeout, what="%d requests" % count)
        return self.requests[:count]


class MailSink:
    """An SMTP server (aiosmtpd) without mailboxes: keeps (from, rcpts, data).

    `responses` maps a command to the line it is answered with, for example
    {"RCPT": "550 no such user"}; DATA's entry is the answer after the dot."""

    def __init__(self, accounts=None, responses=None):
        self.accounts, self.responses = accounts or {}, responses or {}
        self.mails, self.port = [], free_port()

    def __enter__(self):
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult, LoginPassword
        sink = self

        class Handler:
            async def handle_MAIL(self, server, session, envelope, address, options):
                envelope.mail_from = address
                return sink.responses.get("MAIL", "250 OK")

            async def handle_RCPT(self, server, session, envelope, address, options):
                answer = sink.responses.get("RCPT", "250 OK")
                if answer.startswith("2"):
                    envelope.rcpt_tos.append(address)
                return answer

            async def handle_DATA(self, server, session, envelope):
                answer = sink.responses.get("DATA", "250 queued")
                if answer.startswith("2"):
                    sink.mails.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
                return answer

        def authenticate(server, session, envelope, mechanism, data):
            good = isinstance(data, LoginPassword) and sink.accounts.get(data.login.decode()) == data.password.decode()
            return AuthResult(success=good)

        options = {"auth_require_tls": False, "decode_data": False}
        if self.accounts:
            options.update(authenticator=authenticate, auth_required=True)
        self.controller = Controller(Handler(), hostname="127.0.0.1", port=self.port, **options)
        self.controller.start()
        return self

    def __exit__(self, *exc):
        self.controller.stop()

    def wait(self, count=1, timeout=10):
        poll(lambda: len(self.mails) >= count, timeout, what="%d mails" % count)
        return self.mails[:count]
