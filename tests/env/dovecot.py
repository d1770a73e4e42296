"""A private Dovecot 2.3: IMAP, IMAPS, LMTP and a SASL socket for Postfix.

No system users: accounts live in a passwd-file, all mail belongs to one
unprivileged uid. Works as root (also in a container) and as any user."""
import base64
import grp
import imaplib
import os
import pwd
import smtplib
import ssl

from .base import Service, can_connect, free_port, program
from .certs import Certificates
from .mail import message

DOMAIN = "example.org"
ACCOUNTS = {"alice": "alice-secret", "bob": "bob:with:colons", "carol": "pässwörd-✓", "dave": "dave-secret",
            "erin": "erin-secret"}

# What Dovecot 2.3.19 offers after login, to take single words from. NOTIFY is
# not in it: Dovecot adds that word itself where mailbox_list_index is on.
CAPABILITY = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS "
    "THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS "
    "LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS "
    "BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ SPECIAL-USE").split()

MAIN = """\
protocols = imap lmtp
listen = 127.0.0.1
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {log}
auth_verbose = yes
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
default_process_limit = 1000
default_client_limit = 4000
first_valid_uid = 1
first_valid_gid = 1
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
ssl_dh =
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_format = {username_format}
auth_cache_size = 0
auth_failure_delay = {failure_delay}
mail_fsync = never
mail_location = maildir:~/Maildir
mail_home = {dir}/home/%n
mail_max_userip_connections = {connections}
maildir_broken_filename_sizes = yes
mailbox_list_index = yes
passdb {{
  driver = passwd-file
  args = username_format=%n {dir}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {dir}/users
}}
namespace inbox {{
  inbox = yes
  prefix = {prefix}
  separator = {separator}
{mailboxes}
}}
service imap-login {{
  service_count = 0
  process_min_avail = 1
  chroot =
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service lmtp {{
  chroot =
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service auth {{
  unix_listener sasl {{
    mode = 0666
  }}
}}
protocol lmtp {{
  auth_username_format = %Ln
  postmaster_address = postmaster@{domain}
  hostname = {domain}
}}
"""

MAILBOX = """\
  mailbox {name} {{
    auto = {auto}
    special_use = \\{use}
  }}"""

HIBERNATE = """\
imap_hibernate_timeout = {seconds}s
service imap {{
  extra_groups = $default_internal_group
  unix_listener imap-master {{
    user = $default_internal_user
  }}
}}
service imap-hibernate {{
  unix_listener imap-hibernate {{
    mode = 0660
    group = $default_internal_group
  }}
}}
"""


class Dovecot(Service):
    """accounts: {name: password}; without: capabilities to hide, e.g.
    ("CONDSTORE", "QRESYNC", "MOVE"); exporter: URL that deliveries and IMAP
    changes are posted to; prefix, separator: of the personal namespace;
    hibernate: seconds; special_use: folders made and flagged at first login;
    connections: mail_max_userip_connections (Dovecot's own default is 10);
    extra: more lines of dovecot.conf."""
    name = "dovecot"

    def __init__(self, accounts=None, without=(), exporter=None, prefix="", separator="/", hibernate=None,
                 special_use=True, connections=10, username_format="%Ln", failure_delay="0 secs", extra=""):
        super().__init__()
        self.accounts = dict(ACCOUNTS if accounts is None else accounts)
        self.without, self.exporter, self.hibernate = tuple(without), exporter, hibernate
        self.prefix, self.separator, self.special_use = prefix, separator, special_use
        self.connections, self.username_format = connections, username_format
        self.failure_delay, self.extra = failure_delay, extra
        self.imap_port, self.imaps_port, self.lmtp_port = free_port(), free_port(), free_port()
        self.certs = None

    @property
    def imap_url(self):
        return "imap://127.0.0.1:%d" % self.imap_port

    @property
    def imaps_url(self):
        return "imaps://localhost:%d" % self.imaps_port

    @property
    def starttls_url(self):
        return "imap+starttls://localhost:%d" % self.imap_port

    @property
    def sasl_socket(self):
        return os.path.join(self.dir, "run", "sasl")

    def home(self, user):
        return os.path.join(self.dir, "home", user)

    def prepare(self):
        self.certs = Certificates()
        self._users_and_dirs()
        self.config = os.path.join(self.dir, "dovecot.conf")
        with open(self.config, "w") as f:
            f.write(self._config())
        self.argv = [program("dovecot"), "-F", "-c", self.config]

    def _users_and_dirs(self):
        if os.geteuid() == 0:
            self.internal, self.login = "dovecot", "dovenull"
            owner = pwd.getpwnam("mail")
        else:
            owner = pwd.getpwuid(os.geteuid())
            self.internal = self.login = owner.pw_name
        self.uid, self.gid = owner.pw_uid, owner.pw_gid
        for name in ("run", "state", "home"):
            os.makedirs(os.path.join(self.dir, name), exist_ok=True)
        self.write_users()
        for user in self.accounts:
            os.makedirs(self.home(user), exist_ok=True)
            os.chown(self.home(user), self.uid, self.gid)
        os.chown(os.path.join(self.dir, "home"), self.uid, self.gid)

    def write_users(self):
        """Writes the accounts file again; Dovecot sees it at the next login."""
        path = os.path.join(self.dir, "users")
        with open(path + ".new", "w") as f:
            for user, password in self.accounts.items():
                secret = base64.b64encode(password.encode()).decode()
                f.write("%s:{PLAIN.b64}%s:%d:%d::%s::\n" % (user, secret, self.uid, self.gid, self.home(user)))
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def set_password(self, user, password):
        self.accounts[user] = password
        self.write_users()

    def _config(self):
        boxes = "\n".join(MAILBOX.format(name=n, use=u, auto="subscribe" if self.special_use else "no")
                          for n, u in (("Drafts", "Drafts"), ("Sent", "Sent"), ("Trash", "Trash"), ("Junk", "Junk")))
        if not self.special_use:
            boxes = ""
        text = MAIN.format(dir=self.dir, log=self.log, internal=self.internal, login=self.login,
                           internal_group=grp.getgrgid(pwd.getpwnam(self.internal).pw_gid).gr_name,
                           cert=self.certs.cert, key=self.certs.key, username_format=self.username_format,
                           failure_delay=self.failure_delay, connections=self.connections, prefix=self.prefix,
                           separator=self.separator, mailboxes=boxes, domain=DOMAIN,
                           imap_port=self.imap_port, imaps_port=self.imaps_port, lmtp_port=self.lmtp_port)
        if self.without:
            left = [word for word in CAPABILITY if word not in self.without]
            text += "imap_capability = %s\n" % " ".join(left)
            if "NOTIFY" in self.without:
                text = text.replace("mailbox_list_index = yes", "mailbox_list_index = no")
        if self.hibernate is not None:
            text += HIBERNATE.format(seconds=self.hibernate)
        if self.exporter:
            text += self._exporter_config()
        return text + self.extra

    def _exporter_config(self):
        """The file that we give to admins, with its URL replaced by ours."""
        path = os.path.join(os.path.dirname(__file__), "..", "..", "deps", "dovecot", "zpushd-events.conf")
        with open(path) as f:
            text = f.read()
        lines = ["  transport_args = " + self.exporter if line.strip().startswith("transport_args") else line
                 for line in text.splitlines()]
        return "\n".join(lines) + "\n"

    def ready(self):
        return can_connect(self.imap_port) and can_connect(self.lmtp_port) and os.path.exists(self.sasl_socket)

    def stop(self, timeout=0.3):
        """Its master waits up to 6 s for children with nothing to lose."""
        return super().stop(timeout)

    # --- what tests do with it ------------------------------------------------

    def deliver(self, user, mail=None, sender="bob@" + DOMAIN, **fields):
        """Delivers by LMTP into INBOX; returns when it is there."""
        mail = message(**fields) if mail is None else mail
        with smtplib.LMTP("127.0.0.1", self.lmtp_port, timeout=20) as lmtp:
            refused = lmtp.sendmail(sender, ["%s@%s" % (user, DOMAIN)], mail)
        assert not refused, refused

    def imap(self, user, tls=False):
        """A logged-in imaplib connection: the webmail beside the phone."""
        password = self.accounts[user]
        if tls:
            context = ssl.create_default_context(cafile=self.certs.ca)
            client = imaplib.IMAP4_SSL("localhost", self.imaps_port, ssl_context=context, timeout=20)
        else:
            client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=20)
        client.authenticate("PLAIN", lambda _: b"\0%s\0%s" % (user.encode(), password.encode()))
        return client

    def append(self, user, mail, folder="INBOX", flags=None, seconds=None):
        """IMAP APPEND; much quicker than LMTP for a whole mailbox."""
        self.append_many(user, [mail], folder, flags, seconds)

    def append_many(self, user, mails, folder="INBOX", flags=None, seconds=None):
        date = imaplib.Time2Internaldate(seconds) if seconds else None
        client = self.imap(user)
        for mail in mails:
            kind, answer = client.append(folder, flags, date, mail)
            assert kind == "OK", answer
        client.logout()

    def subjects(self, user, folder="INBOX"):
        """Subjects in UID order, as bytes of the header line."""
        client = self.imap(user)
        kind, answer = client.select(folder, readonly=True)
        if kind != "OK":
            client.logout()
            return None
        _, lines = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])") if answer[0] != b"0" else ("OK", [])
        client.logout()
        return [x[1].strip()[9:].decode() for x in lines if isinstance(x, tuple)]
