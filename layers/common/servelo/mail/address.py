"""Addresses: a mailbox of a header or an envelope, and when two are the same (RFC 5321 4.1.2, RFC 5322 3.4).

Comparison is for identity only (``identity``): domains as lower-case A-labels (RFC 5890), local parts without
regard to case. What is sent to is always the address as it was written.

Header fields are read by one pass over their tokens, so that no quoting or nesting makes them expensive. Mail
programs disagree on what a malformed field means, and a sender may use that: wherever two careful readers
could name different addresses the list is *ambiguous*, and nobody's rights may follow from it.
"""

from __future__ import annotations

import re

from servelo.domain.ids import identity as identity
from servelo.mail import headers
from servelo.patterns import pattern
from servelo.records import dataclass

MAX_LOCAL_PART_OCTETS = 64  # RFC 5321 4.5.3.1.1
MAX_ADDR_SPEC_OCTETS = 254  # RFC 5321 4.5.3.1.3 less the angle brackets


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name (decoded, may be empty) and an addr-spec as written (``Jo@Example.org``)."""

    display_name: str
    addr_spec: str

    @property
    def identity(self) -> str:
        """The key that people are told apart by."""
        return identity(self.addr_spec)


def split_addr_spec(addr_spec: str) -> tuple[str, str]:
    """Return (local part, domain) as written; the domain is ``""`` when there is no ``@``."""
    local_part, at, domain = addr_spec.rpartition("@")
    return (local_part, domain) if at else (addr_spec, "")


MAX_MAILBOXES = 100  # of one header field
MAX_SPELLINGS = 5  # of one address, within one mailbox
MAX_FLUSHES = 300  # what stands between its commas, mailbox or not

_TOKEN = pattern(
    r"""
      "(?P<quoted>(?:[^"\\]|\\.)*+)(?:"|$)
    | <(?P<angle>(?:"[^"]*+"|[^<>"])*+)>?
    | \\(?P<escaped>.)
    | (?P<literal>\[[^\[\]]*+\])
    | (?P<mark>[,;:()>\]])
    | (?P<text>[^",;:<>()\[\]\\]+)
    | (?P<other>.)
    """,
    re.X | re.S,
)
_ESCAPE = pattern(r"\\(.)", re.S)
_ROUTE = pattern(r"^\s*@[^:@<>]*(?:,\s*@[^:@<>]*)*:")  # RFC 5322 4.4, obsolete source route
_AROUND = pattern(r"(?:(?<!\s)\s++)?+([@.])\s*+")
# Looked for at the beginning of a word only: at each letter of a long word the search would be quadratic.
_BARE = pattern(r"(?<![^\s<>@,;:\"])[^\s<>@,;:\"]++@[^\s<>@,;:\"]++")
_EDGES = " \t'`<>"


@dataclass(frozen=True, slots=True)
class MailboxList:
    """What an address field holds.

    Attributes:
        mailboxes: at most 100, those with an ``@`` in their addr-spec first come, first kept.
        ambiguous: two careful readers could name different addresses for this field.
        truncated: the field holds more mailboxes than were read.
        unqualified: what stood in angle brackets without a domain (``moderator``): to be shown, not sent to.
        names_only: display words that stood where a mailbox was expected (``undisclosed-recipients``,
        ``root``).
    """

    mailboxes: tuple[Mailbox, ...] = ()
    ambiguous: bool = False
    truncated: bool = False
    names_only: tuple[str, ...] = ()
    unqualified: tuple[str, ...] = ()


class _Collector:
    """The mailbox being read: its words, its addresses in angle brackets and its comments."""

    __slots__ = ("ambiguous", "angles", "comments", "flushes", "found", "names", "unqualified", "words")

    def __init__(self) -> None:
        self.found: list[Mailbox] = []
        self.names: list[str] = []
        self.unqualified: list[str] = []
        self.ambiguous = False
        self.flushes = 0
        self.reset()

    def reset(self) -> None:
        self.words: list[tuple[str, str]] = []  # (quoted | text | literal, value)
        self.angles: list[str] = []
        self.comments: list[str] = []

    def flush(self) -> None:
        """Take what was read since the last separator as one mailbox."""
        if not (self.words or self.angles or self.comments):
            return
        self.flushes += 1
        addresses = [a for a in (self._clean(angle) for angle in self.angles) if a]
        bare = [m for kind, word in self.words if kind == "text" for m in _BARE.findall(word)]
        if addresses:
            address = addresses[0]
            # ``alice@a.org <bob@b.org>``: some readers say alice. Only a repetition of the address is
            # harmless.
            others = {other.strip(_EDGES) for other in (*addresses[1:], *bare)} - {address}
            if len(others) > MAX_SPELLINGS or any(identity(one) != identity(address) for one in others):
                self.ambiguous = True
            name = self._phrase()
            if not name and self.comments:
                name = self._decode(self.comments[-1])
            self.found.append(Mailbox(name, address))
        else:
            self._flush_bare(bare)
        self.reset()

    def _flush_bare(self, bare: list[str]) -> None:
        """Take a mailbox that has no angle brackets."""
        joined = self._joined()
        phrase = self._phrase()
        if "@" in joined:
            name = self._decode(self.comments[-1]) if self.comments else ""
            compact = _AROUND.sub(r"\1", joined)
            unquoted = re.sub(r'^"[^"]*"@', "@", compact)
            distinct = set(bare)
            if len(distinct) <= MAX_SPELLINGS:
                distinct = {identity(one) for one in distinct}
            if unquoted.count("@") > 1 and len(distinct) < 2:
                self.ambiguous = True  # ``a@b@c``
            if unquoted.count("@") == 1 and not re.search(r"\s", unquoted):
                address = self._clean(compact)
                if address:
                    self.found.append(Mailbox(name, address))
                    return
            # ``Jo Doe jo@example.org``: the address is what has the ``@``.
            if len(distinct) > 1:
                self.ambiguous = True
            for one in bare:
                address = self._clean(one)
                if address:  # ``'@example`` has an ``@`` and is no address
                    self.found.append(Mailbox(name or phrase.replace(one, "").strip(_EDGES + '"()'), address))
                    return
            self.ambiguous = True
        # Some programs wrap name and address in one encoded word. It is an address to show, not one to trust.
        inside = _BARE.search(phrase)
        address = self._clean(inside[0]) if inside else ""
        if inside and address and "@" not in joined.replace(inside[0], ""):
            self.ambiguous = True
            self.found.append(Mailbox(phrase.replace(inside[0], "").strip(_EDGES + '"()'), address))
        else:
            self.unqualified += [a.strip() for a in self.angles if a.strip()]
            if phrase or self.unqualified:
                self.names.append(phrase or self.unqualified[-1])

    def _joined(self) -> str:
        return "".join(f'"{word}"' if kind == "quoted" else word for kind, word in self.words).strip()

    def _phrase(self) -> str:
        # White space stands between words as written; "a" "b" are two words.
        text = ""
        before = ""
        for kind, word in self.words:
            if before == kind == "quoted":
                text += " "
            text += _ESCAPE.sub(r"\1", word) if kind == "quoted" else word
            before = kind
        return self._decode(" ".join(text.split()))

    @staticmethod
    def _decode(text: str) -> str:
        return headers.decode_value(text.strip()).strip()

    def _clean(self, text: str) -> str:
        """Return the addr-spec within *text*, ``""`` when there is none."""
        text = _ROUTE.sub("", text) if "@" in text[:2] else text
        text = text.strip(_EDGES)
        if text[:7].lower() == "mailto:":
            text = text[7:]
        if "(" in text and '"' not in text:
            text = re.sub(r"\([^()]*\)", "", text)
        text = _AROUND.sub(r"\1", text).strip().rstrip(".,;")
        if "@" not in text:
            return ""
        local_part, domain = split_addr_spec(text)
        if not local_part or not domain:
            return ""
        if " " in text and not local_part.startswith('"'):
            self.ambiguous = True
        if "@" in local_part and not local_part.startswith('"'):
            self.ambiguous = True
        return text


def parse_mailboxes(value: str) -> MailboxList:
    """Return the mailboxes of an unfolded address field whose encoded words are still encoded.

    Decoding comes after parting, so that an address within an encoded word is a name and nothing else
    (RFC 2047 5). Groups (RFC 5322 3.4) are opened. Never raises.
    """
    reader = _Collector()
    depth = 0
    comment: list[str] = []
    truncated = False
    for match in _TOKEN.finditer(value):
        kind = match.lastgroup
        piece = match[0]
        if piece == "(":
            if depth:
                comment.append(piece)
            depth += 1
        elif piece == ")":
            depth -= 1 if depth else 0
            if depth:
                comment.append(piece)
            elif comment:
                reader.comments.append("".join(comment).strip())
                comment = []
        elif depth:
            comment.append(piece)
        elif kind == "quoted":
            reader.words.append(("quoted", match["quoted"]))
        elif kind == "angle":
            reader.angles.append(match["angle"])
        elif kind == "literal":
            reader.words.append(("literal", piece))
        elif piece in ",;":
            reader.flush()
        elif piece == ":":
            # A group's name, unless it is the colon of ``mailto:`` or stands within an address.
            words = reader._joined() if len(reader.words) < 20 else "@"
            if words.lower().endswith("mailto"):
                reader.words = []
            elif not reader.angles and "@" not in words:
                reader.reset()
            else:
                reader.words.append(("text", piece))
        elif kind == "escaped":
            reader.words.append(("text", match["escaped"]))
        elif kind == "text" or piece == "]":
            reader.words.append(("text", piece))
        if len(reader.found) >= MAX_MAILBOXES or reader.flushes >= MAX_FLUSHES:
            truncated = bool(value[match.end() :].strip(" ,;"))
            reader.reset()
            break
    if comment:
        # A comment that never closes swallowed the rest of the field: read on as if it were no comment.
        rest = "".join(comment)
        if "@" in rest and not reader.found and not reader.angles:
            again = parse_mailboxes(rest.replace("(", " ").replace(")", " "))
            return MailboxList(again.mailboxes, True, again.truncated, again.names_only)
        reader.comments.append(rest.strip())
    reader.flush()
    return MailboxList(
        tuple(reader.found[:MAX_MAILBOXES]),
        reader.ambiguous,
        truncated,
        tuple(reader.names[:MAX_MAILBOXES]),
        tuple(reader.unqualified[:MAX_MAILBOXES]),
    )
