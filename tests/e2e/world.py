"""What a test of the whole needs at once: a mailbox behind zpushd, zpushd, and
phones. The two worlds answer the same calls, so that one case runs over both:

    world = shared(ImapWorld)       # Dovecot, Redis, Postfix (where it can run)
    world = shared(LocalWorld)      # the embedded default: Maildir, SQLite
    world.deliver("alice", subject="hello")
    phone = world.phone("alice")    # provisioned, folders known"""
import base64
import email.parser
import email.utils
import hashlib
import os
import socket
import time
from contextlib import ExitStack

from env import ACCOUNTS, DOMAIN, Dovecot, Postfix, Redis, message
from phone import Phone
from zpushd import Zpushd


class World:
    accounts = ACCOUNTS

    def __init__(self, settings=None, toml="", environ=None):
        self.stack = ExitStack()
        self.settings, self.toml, self.environ = dict(settings or {}), toml, environ
        self.zpushd = None

    def __enter__(self):
        with ExitStack() as stack:
            self.stack = stack
            self.open()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exc):
        return self.stack.__exit__(*exc)

    def start_zpushd(self, settings):
        settings = dict(settings, **self.settings)
        self.zpushd = self.stack.enter_context(Zpushd(settings, self.toml, environ=self.environ))

    @property
    def url(self):
        return self.zpushd.url

    def bare_phone(self, user="alice", **kw):
        kw.setdefault("password", self.accounts.get(user))
        return Phone(kw.pop("url", self.url), user, **kw)

    def phone(self, user="alice", **kw):
        phone = self.bare_phone(user, **kw)
        phone.provision()
        phone.folder_sync()
        return phone

    def fill(self, user, count, folder="INBOX", text="body\r\n", days=0):
        """count mails with the subjects "mail 0001" ..., oldest first."""
        now = time.time() - days * 86400
        self.append_many(user, [message(subject="mail %04d" % n, text=text, to=user + "@" + DOMAIN,
                                        date=now - count + n) for n in range(1, count + 1)], folder)


class ImapWorld(World):
    """Dovecot options go by `dovecot`; smtp=False saves Postfix's start."""

    def __init__(self, settings=None, toml="", environ=None, dovecot=None, store="redis", smtp=False):
        super().__init__(settings, toml, environ)
        self.options, self.store, self.with_smtp = dict(dovecot or {}), store, smtp
        self.redis = self.smtp = None

    def open(self):
        self.imap = self.stack.enter_context(Dovecot(**self.options))
        self.accounts = self.imap.accounts
        settings = {"backend.mail": "imap", "imap.url": self.imap.imap_url, "imap.user": "%n",
                    "user.address": "%n@" + DOMAIN, "net.tls_ca": self.imap.certs.ca}
        if self.store == "redis":
            self.redis = self.stack.enter_context(Redis())
            settings["store.url"] = self.redis.url
        if self.with_smtp:
            self.smtp = self.stack.enter_context(Postfix(self.imap))
            settings["smtp.url"] = self.smtp.url
        self.start_zpushd(settings)

    def deliver(self, user, mail=None, **fields):
        fields.setdefault("to", user + "@" + DOMAIN)
        self.imap.deliver(user, mail, **fields)

    def append_many(self, user, mails, folder="INBOX", flags=None, seconds=None):
        self.imap.append_many(user, mails, folder, flags, seconds)

    def subjects(self, user, folder="INBOX"):
        return self.imap.subjects(user, folder)

    def flags(self, user, subject, folder="INBOX"):
        """Flags of the mail with this subject, as a set of words."""
        client = self.imap.imap(user)
        client.select(folder, readonly=True)
        _, found = client.search(None, "SUBJECT", '"%s"' % subject)
        _, answer = client.fetch(found[0].split()[0], "(FLAGS)")
        client.logout()
        words = answer[0].decode()
        return set(words[words.index("FLAGS (") + 7:].split(")")[0].split()) - {"\\Recent"}

    def webmail(self, user, folder="INBOX"):
        """An IMAP client with the folder open for writing; log it out."""
        client = self.imap.imap(user)
        client.select(folder)
        return client

    def set_flag(self, user, subject, flag, folder="INBOX", sign="+"):
        client = self.webmail(user, folder)
        _, found = client.search(None, "SUBJECT", '"%s"' % subject)
        client.store(found[0].replace(b" ", b",").decode(), sign + "FLAGS", "(%s)" % flag)
        client.logout()

    def expunge(self, user, subject, folder="INBOX"):
        self.set_flag(user, subject, "\\Deleted", folder)
        client = self.webmail(user, folder)
        client.expunge()
        client.logout()

    def create_folder(self, user, name):
        client = self.imap.imap(user)
        kind, answer = client.create(name)
        assert kind == "OK", answer
        client.subscribe(name)
        client.logout()


class LocalWorld(World):
    """Backend local and the embedded store; the accounts are written by us."""

    def open(self):
        self.start_zpushd({"backend.mail": "local", "store.url": "embedded:", "user.address": "%n@" + DOMAIN})

    def start_zpushd(self, settings):
        settings = dict(settings, **self.settings)
        server = Zpushd(settings, self.toml, environ=self.environ)
        os.makedirs(server.data_dir, mode=0o700, exist_ok=True)
        write_accounts(os.path.join(server.data_dir, "users"), self.accounts)
        self.zpushd = self.stack.enter_context(server)

    def maildir(self, user, folder="INBOX"):
        root = os.path.join(self.zpushd.data_dir, "mail", user, "Maildir")
        return root if folder == "INBOX" else os.path.join(root, "." + folder.replace("/", "."))

    def deliver(self, user, mail=None, **fields):
        fields.setdefault("to", user + "@" + DOMAIN)
        self.append_many(user, [message(**fields) if mail is None else mail])

    def append_many(self, user, mails, folder="INBOX", flags=None, seconds=None):
        """As any delivery agent does it: written in tmp/, renamed into new/."""
        box = self.maildir(user, folder)
        for sub in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(box, sub), exist_ok=True)
        for mail in mails:
            name = "%d.%d.%s" % (time.time(), time.time_ns(), socket.gethostname())
            path = os.path.join(box, "tmp", name)
            with open(path, "wb") as f:
                f.write(mail)
            stamp = seconds or _date_of(mail)
            os.utime(path, (stamp, stamp))
            os.rename(path, os.path.join(box, "new", name))

    def _files(self, user, folder):
        box = self.maildir(user, folder)
        return [os.path.join(box, sub, name) for sub in ("new", "cur") if os.path.isdir(os.path.join(box, sub))
                for name in sorted(os.listdir(os.path.join(box, sub)))]

    def subjects(self, user, folder="INBOX"):
        if not os.path.isdir(self.maildir(user, folder)):
            return None
        return [_subject(path) for path in self._files(user, folder)]

    def _file(self, user, subject, folder):
        return next(path for path in self._files(user, folder) if subject in _subject(path))

    def flags(self, user, subject, folder="INBOX"):
        letters = self._file(user, subject, folder).partition(":2,")[2]
        names = {"S": "\\Seen", "F": "\\Flagged", "R": "\\Answered", "D": "\\Draft", "P": "$Forwarded"}
        return {names[c] for c in letters if c in names}

    def set_flag(self, user, subject, flag, folder="INBOX", sign="+"):
        letter = {"\\Seen": "S", "\\Flagged": "F", "\\Answered": "R"}[flag]
        path = self._file(user, subject, folder)
        base, _, letters = os.path.basename(path).partition(":2,")
        letters = set(letters) | {letter} if sign == "+" else set(letters) - {letter}
        os.rename(path, os.path.join(self.maildir(user, folder), "cur", base + ":2," + "".join(sorted(letters))))

    def expunge(self, user, subject, folder="INBOX"):
        os.unlink(self._file(user, subject, folder))

    def create_folder(self, user, name):
        for sub in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(self.maildir(user, name), sub), exist_ok=True)
        open(os.path.join(self.maildir(user, name), "maildirfolder"), "w").close()


def _date_of(mail):
    when = email.parser.BytesHeaderParser().parsebytes(mail)["Date"]
    try:
        return email.utils.parsedate_to_datetime(when).timestamp()
    except (TypeError, ValueError):     # a hostile one
        return time.time()


def _subject(path):
    with open(path, "rb") as f:
        return str(email.parser.BytesHeaderParser().parse(f)["Subject"] or "")


def write_accounts(path, accounts):
    """The file that `zpushd admin user add` keeps (backend/local/accounts.h)."""
    with open(path, "w") as f:
        for name, password in accounts.items():
            salt = "salt-of-" + name
            digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 1000)
            f.write("%s:{PBKDF2-SHA256}1000$%s$%s:%s@%s:%s\n" % (
                name, salt, base64.b64encode(digest).decode(), name, DOMAIN, name.capitalize()))
    os.chmod(path, 0o600)
