"""WBXML as the simulated phone speaks it: element trees in, bytes out and back.

    el("AirSync:Sync", el("Collections", el("Collection", el("SyncKey", "0"))))

A tag without a namespace takes its parent's. Content is text, bytes (sent as
opaque data) or elements; None is left out. The decoder is strict: whatever a
careful client may not expect (string tables, entities, attributes, unknown
tokens, bytes behind the end) is a WbxmlError."""
import base64
import re
from xml.sax.saxutils import escape

from codepages import NAMESPACE, TAG, TOKEN

SWITCH_PAGE, END, STR_I, OPAQUE = 0x00, 0x01, 0x03, 0xC3
HEADER = b"\x03\x01\x6a\x00"


class WbxmlError(Exception):
    pass


class Element:
    def __init__(self, name, *content):
        self.ns, _, self.tag = name.rpartition(":")
        self.content = [c for c in content if c is not None]

    # --- reading ---------------------------------------------------------------
    @property
    def name(self):
        return self.ns + ":" + self.tag

    @property
    def text(self):
        """All text in it; opaque data that is no UTF-8 as Latin-1."""
        return "".join(c if isinstance(c, str) else c.text if isinstance(c, Element) else _to_text(c)
                       for c in self.content)

    @property
    def data(self):
        return b"".join(c.encode() if isinstance(c, str) else c for c in self.content if not isinstance(c, Element))

    @property
    def children(self):
        return [c for c in self.content if isinstance(c, Element)]

    def all(self, path):
        """Every element at "Collections/Collection"; tags may carry "Ns:"."""
        found = [self]
        for step in path.split("/"):
            found = [c for e in found for c in e.children if step in (c.tag, c.name)]
        return found

    def find(self, path):
        found = self.all(path)
        return found[0] if found else None

    def get(self, path, default=None):
        """The text at a path, or default where there is no such element."""
        found = self.find(path)
        return default if found is None else found.text

    def walk(self):
        yield self
        for c in self.children:
            yield from c.walk()

    # --- XML, for people and for the schemas -------------------------------------
    def xml(self, indent=None, _parent=None, _level=0):
        pad = "\n" + "  " * _level if indent and _level else ""
        ns = self.ns or _parent
        attribute = ' xmlns="%s"' % ns if ns != _parent else ""
        inner = "".join(c.xml(indent, ns, _level + 1) if isinstance(c, Element) else _to_xml(c)
                        for c in self.content)
        if not inner:
            return "%s<%s%s/>" % (pad, self.tag, attribute)
        end = "\n" + "  " * _level if indent and self.children else ""
        return "%s<%s%s>%s%s</%s>" % (pad, self.tag, attribute, inner, end, self.tag)

    def __repr__(self):
        return self.xml(indent=True)


def el(name, *content):
    return Element(name, *content)


def _to_text(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def _to_xml(content):
    if isinstance(content, bytes):
        try:
            text = content.decode()
        except UnicodeDecodeError:
            text = None
        if text is None or _ILLEGAL.search(text):
            text = base64.b64encode(content).decode()
        return escape(text)
    return escape(_ILLEGAL.sub("\ufffd", content))


# --- encoder -------------------------------------------------------------------

def encode(root):
    out = bytearray(HEADER)
    _encode(root, None, [0], out)
    return bytes(out)


def _mb_u_int32(value):
    out = [value & 0x7F]
    while value > 0x7F:
        value >>= 7
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def _encode(element, namespace, page, out):
    namespace = element.ns or namespace
    try:
        wanted, token = TOKEN[(namespace, element.tag)]
    except KeyError:
        raise WbxmlError("no token for %s:%s" % (namespace, element.tag)) from None
    if wanted != page[0]:
        out += bytes((SWITCH_PAGE, wanted))
        page[0] = wanted
    if not element.content:
        out.append(token)
        return
    out.append(token | 0x40)
    for c in element.content:
        if isinstance(c, Element):
            _encode(c, namespace, page, out)
        elif isinstance(c, bytes):
            out += bytes((OPAQUE,)) + _mb_u_int32(len(c)) + c
        else:
            out += bytes((STR_I,)) + c.encode() + b"\0"
    out.append(END)


# --- decoder -------------------------------------------------------------------

class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        if self.at >= len(self.data):
            raise WbxmlError("ends at byte %d" % self.at)
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        value = 0
        for _ in range(5):
            b = self.byte()
            value = value << 7 | b & 0x7F
            if b < 0x80:
                return value
        raise WbxmlError("number too long at byte %d" % self.at)

    def take(self, count):
        if self.at + count > len(self.data):
            raise WbxmlError("ends inside opaque data")
        self.at += count
        return self.data[self.at - count:self.at]

    def string(self):
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise WbxmlError("string without end at byte %d" % self.at)
        raw, self.at = self.data[self.at:end], end + 1
        try:
            return raw.decode()
        except UnicodeDecodeError as e:
            raise WbxmlError("string is not UTF-8: %s" % e) from None


def decode(data):
    r = _Reader(data)
    head = (r.byte(), r.number(), r.number(), r.number())
    if head != (3, 1, 106, 0):
        raise WbxmlError("header is %r, want version 3, public id 1, charset 106, no string table" % (head,))
    root, stack, page = None, [], 0
    while root is None or stack:
        token = r.byte()
        if token == SWITCH_PAGE:
            page = r.byte()
            if page not in NAMESPACE:
                raise WbxmlError("unknown code page %d" % page)
        elif token == END:
            stack.pop() if stack else _fail("END outside", r)
        elif token == STR_I or token == OPAQUE:
            stack or _fail("text outside the root", r)
            stack[-1].content.append(r.string() if token == STR_I else r.take(r.number()))
        else:
            root = _open(r, token, page, stack, root)
    if r.at != len(data):
        raise WbxmlError("%d bytes behind the end" % (len(data) - r.at))
    return root


def _fail(text, r):
    raise WbxmlError("%s at byte %d" % (text, r.at))


def _open(r, token, page, stack, root):
    if token & 0x80:
        _fail("attributes (token %#x)" % token, r)
    tag = TAG.get((page, token & 0x3F))
    if tag is None:
        _fail("unknown token %#x on page %d (%s)" % (token, page, NAMESPACE[page]), r)
    element = Element(NAMESPACE[page] + ":" + tag)
    if stack:
        stack[-1].content.append(element)
    if token & 0x40:
        stack.append(element)
    return root or element
