"""Messages for tests, as bytes with CRLF."""
import email.policy
import itertools
import time
from email.message import EmailMessage
from email.utils import formatdate

_count = itertools.count(1)


def message(subject="hello", text="Hello,\r\nthis is the body.\r\n", sender="bob@example.org",
            to="alice@example.org", html=None, attachments=(), date=None, headers=()):
    """`attachments`: (filename, content type, bytes); `date`: seconds since 1970."""
    m = EmailMessage(policy=email.policy.SMTP)
    m["From"], m["To"] = sender, to
    if subject is not None:
        m["Subject"] = subject
    m["Date"] = formatdate(time.time() if date is None else date)
    m["Message-ID"] = "<%d.%d.%s@example.org>" % (next(_count), time.time_ns(), "test")
    for name, value in headers:
        m[name] = value
    m.set_content(text)
    if html is not None:
        m.add_alternative(html, subtype="html")
    for filename, kind, data in attachments:
        major, minor = kind.split("/")
        m.add_attachment(data, maintype=major, subtype=minor, filename=filename)
    return m.as_bytes()
