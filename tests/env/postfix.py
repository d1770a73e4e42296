"""A private Postfix: own configuration and queue, SASL and LMTP by Dovecot.

Three listeners: `port` (plain, STARTTLS offered, the loopback may send without
login, as port 25 would), `submission_port` (STARTTLS and login required) and
`smtps_port` (TLS from the first byte, login required). Needs root."""
import base64
import grp
import os
import pwd
import smtplib
import socket
import ssl
import subprocess

from .base import Service, ServiceMissing, can_connect, free_port, program
from .certs import Certificates
from .dovecot import DOMAIN
from .mail import message

MAIN = """\
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file = {log}
maillog_file_prefixes = {dir}
multi_instance_enable = no
myhostname = mail.{domain}
mydomain = {domain}
myorigin = {domain}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
disable_dns_lookups = yes
smtp_host_lookup = native
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = inline:{{ {users} }}
virtual_transport = lmtp:inet:[127.0.0.1]:{lmtp_port}
default_transport = {outside}
local_recipient_maps =
alias_maps =
alias_database =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {sasl}
smtpd_sasl_local_domain = {domain}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient
smtpd_reject_unlisted_recipient = yes
smtpd_delay_reject = yes
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
smtpd_client_connection_count_limit = 0
message_size_limit = {size}
mailbox_size_limit = 0
in_flow_delay = 0
minimal_backoff_time = 1s
queue_run_delay = 2s
smtputf8_enable = yes
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{submission_port} inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{smtps_port} inet n - n - - smtpd
  -o syslog_name=postfix/smtps
  -o smtpd_tls_wrappermode=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
lmtp      unix - - n - - lmtp
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix(Service):
    """imap: the Dovecot that keeps the accounts and gets the mail; sink: a
    MailSink that gets what is for other domains (without: refused)."""
    name = "postfix"

    def __init__(self, imap, sink=None, size=50 << 20):
        super().__init__()
        self.imap, self.sink, self.size = imap, sink, size
        self.port, self.submission_port, self.smtps_port = free_port(), free_port(), free_port()

    @property
    def url(self):
        return "smtp://127.0.0.1:%d" % self.port

    @property
    def starttls_url(self):
        return "smtp+starttls://localhost:%d" % self.submission_port

    @property
    def smtps_url(self):
        return "smtps://localhost:%d" % self.smtps_port

    def prepare(self):
        program("postfix")
        if os.geteuid() != 0:
            raise ServiceMissing("postfix starts as root only")
        self.certs = Certificates()
        etc = os.path.join(self.dir, "etc")
        for name in (etc, os.path.join(self.dir, "data")):
            os.makedirs(name, exist_ok=True)
        os.chown(os.path.join(self.dir, "data"), pwd.getpwnam("postfix").pw_uid, -1)
        outside = "smtp:[127.0.0.1]:%d" % self.sink.port if self.sink else "error:5.1.2 no such domain"
        users = ", ".join("{ %s@%s = 1 }" % (user, DOMAIN) for user in [*self.imap.accounts, "postmaster"])
        values = dict(dir=self.dir, log=self.log, domain=DOMAIN, users=users, lmtp_port=self.imap.lmtp_port,
                      outside=outside, sasl=self.imap.sasl_socket, cert=self.certs.cert,
                      key=self.certs.key, size=self.size, port=self.port, smtps_port=self.smtps_port,
                      submission_port=self.submission_port)
        for name, text in (("main.cf", MAIN), ("master.cf", MASTER)):
            with open(os.path.join(etc, name), "w") as f:
                f.write(text.format(**values))
        # `postfix start-fg` would put master into a session of its own, where
        # nobody ends it with us; so the queue (instead of the 3 s that
        # `postfix check` takes for it) and then master itself.
        self._make_queue()
        self.argv = [os.path.join(self._daemon_directory(), "master"), "-c", etc, "-d"]
        self.env = dict(os.environ, MAIL_CONFIG=etc)

    def _make_queue(self):
        owner, drop = pwd.getpwnam("postfix"), grp.getgrnam("postdrop")
        modes = {"private": 0o700, "public": 0o710, "maildrop": 0o730, "pid": 0o755}
        for name in ("active bounce corrupt defer deferred flush hold incoming saved trace "
                     "private public maildrop pid").split():
            path = os.path.join(self.dir, "queue", name)
            os.makedirs(path, exist_ok=True)
            os.chmod(path, modes.get(name, 0o700))
            if name != "pid":
                os.chown(path, owner.pw_uid, drop.gr_gid if name in ("public", "maildrop") else -1)

    @staticmethod
    def _daemon_directory():
        out = subprocess.run([program("postconf"), "-h", "daemon_directory"], check=True,
                             capture_output=True, text=True)
        return out.stdout.strip()

    def ready(self):
        return all(map(self._banner, (self.port, self.submission_port))) and can_connect(self.smtps_port)

    @staticmethod
    def _banner(port):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                return s.recv(3) == b"220"
        except OSError:
            return False

    def deliver(self, user, mail=None, sender="bob@" + DOMAIN, **fields):
        """Hands a mail in on the plain port; Dovecot has it a moment later."""
        mail = message(**fields) if mail is None else mail
        with smtplib.SMTP("127.0.0.1", self.port, timeout=20) as smtp:
            smtp.sendmail(sender, ["%s@%s" % (user, DOMAIN)], mail)

    def login(self, user, way="starttls"):
        """A logged-in smtplib client; way: plain, starttls or smtps."""
        context = ssl.create_default_context(cafile=self.certs.ca)
        if way == "smtps":
            smtp = smtplib.SMTP_SSL("localhost", self.smtps_port, timeout=20, context=context)
        else:
            smtp = smtplib.SMTP("localhost", self.port if way == "plain" else self.submission_port, timeout=20)
        if way == "starttls":
            smtp.starttls(context=context)
        smtp.ehlo()
        password = self.imap.accounts[user]
        # smtplib's own login() takes ASCII only
        code, answer = smtp.docmd("AUTH", "PLAIN " + _plain(user, password))
        assert code == 235, answer
        return smtp


def _plain(user, password):
    return base64.b64encode(b"\0%s\0%s" % (user.encode(), password.encode())).decode()
