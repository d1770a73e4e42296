"""Real neighbours for the tests: Dovecot, Redis, Postfix, each private.

Every class is a context manager: entering starts the server on free loopback
ports below one temporary directory, leaving stops it and what it started.

    with Dovecot() as imap, Redis() as redis, Postfix(imap) as smtp:
        imap.deliver("alice", message(subject="hello"))

ServiceMissing is raised where the program is not installed or cannot run here
(Postfix needs root); tests/e2e/case.py makes a skip with that reason of it.
"""
from .base import Service, ServiceMissing, free_port, poll, scratch, shared_directory
from .certs import Certificates
from .dovecot import ACCOUNTS, DOMAIN, Dovecot
from .mail import message
from .postfix import Postfix
from .proxy import Proxy
from .redis import Redis
from .sink import HttpSink, MailSink

__all__ = ["ACCOUNTS", "Certificates", "DOMAIN", "Dovecot", "HttpSink", "MailSink", "Postfix",
           "Proxy", "Redis", "Service", "ServiceMissing", "free_port", "message", "poll", "scratch",
           "shared_directory"]
