"""Blocks of header fields as Outlook and others write them above what they quote.

    From: Bob <bob@example.com>
    Sent: Thursday, 28 January 2016 8:16 p.m.
    To: Alice
    Subject: Re: printer

Names of fields in any of the languages of ``lexicon``; bold, quoted, in a table, with wrapped values, with a
space before the colon. A block has two different fields at least and says whom or what it is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from servelo.mail.quotes import attribution, lexicon
from servelo.patterns import pattern

MAX_BLOCK_LINES = 40
_MAX_LABEL = 34
_MAX_VALUE = 1000  # characters that are looked at of a field; each line may begin a block that holds it
_MAX_DATED = 200  # of a line that may be a date by a name that is not known
_EDGE = " \t\xa0*_>|\u200b\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069\ufeff•"
_EDGES = frozenset(_EDGE)
_ADDRESS = pattern(r"[^\s<>@]@[^\s<>@]")
# An account of a bank (IBAN, ISO 13616), which is no sender.
_ACCOUNT = pattern(r"[A-Z]{2}\d\d(?: ?\d\d[\dA-Z]\d){2,7} ?[\dA-Z]{0,4}$")
_PIECES = pattern("[\u0300-\u036f]")  # accents that follow their letter
_CLOCK = pattern(r"\d{1,2}:\d{2}")
_DASHED = pattern(r"^(?:>\s?)*[\s*_\-=—–‐-―]+$")


@lru_cache(maxsize=1)
def _roles() -> dict[str, str]:
    roles: dict[str, str] = {}
    for table in (lexicon.HEADER_NAMES, lexicon.HEADER_NAMES_BESIDE_ADDRESSES):
        for role, languages in table.items():
            for names in languages.values():
                for name in names:
                    roles.setdefault(name.replace("_", " ").rstrip(":").casefold(), role)
    # Letters that stand for several: "de" is from in French, "a" is to.
    return roles


@lru_cache(maxsize=1)
def _weak_names() -> frozenset[str]:
    """The names of fields that count only where the sender has an address."""
    tables = lexicon.HEADER_NAMES_BESIDE_ADDRESSES.values()
    return frozenset(
        name.casefold() for languages in tables for names in languages.values() for name in names
    )


def _is_weak(line: str) -> bool:
    """Whether the field *line* has a name that counts only where the sender has an address."""
    label = line[:60].partition("\uff1a")[0].partition(":")[0].strip(_EDGE).casefold()
    return (label if label.isascii() else _composed(label)) in _weak_names()


@lru_cache(maxsize=1)
def names_of_to() -> frozenset[str]:
    """Return the names of the field "To" in all languages, as ``str.casefold`` gives them."""
    return frozenset(name for name, role in _roles().items() if role == "to")


@lru_cache(maxsize=1)
def beginnings() -> frozenset[str]:
    """Return the first two letters of all names of fields in ``casefold``, one where the word has no more."""
    return frozenset(name[: 1 if name[1:2] == " " else 2] for name in _roles())  # any space may stand there


def is_dated(lines: Sequence[str]) -> bool:
    """Whether one of *lines* is a field whose name is not known and whose value is a moment."""
    unknown = (
        line
        for line in lines
        if ":" in line[:_MAX_LABEL] and ((found := field(line)) is None or found[0] == "other")
    )
    return any(attribution.is_timestamp(line[:_MAX_DATED], loose=False) for line in islice(unknown, 4))


def _says_sent(line: str) -> bool:
    """Whether the field *line*, a date, is called by a word for sending and not just "Date"."""
    return (
        line[:60].partition("\uff1a")[0].partition(":")[0].strip(_EDGE).casefold() not in lexicon.PLAIN_DATES
    )


def roles_of(lines: Sequence[str]) -> set[str]:
    """Return the roles of those of *lines* that are header fields."""
    return {found[0] for line in lines if (found := field(line)) is not None}


def role_of(label: str) -> str:
    """Return the role of a field's name that stands alone, without its colon; ``""`` when it is none."""
    return _roles().get(label.casefold(), "")


def field(line: str) -> tuple[str, str] | None:
    """Return (role, value) when *line* is a header field, else None; roles are keys of ``HEADER_NAMES``."""
    first = line[:2].casefold()[:2]
    edged = line[:1] in _EDGES or line[:1].isspace()
    if not edged and first not in beginnings() and first[:1] not in beginnings():
        return None  # quickly, for most lines that have a colon
    head = line[:60]
    colon = head.find(":")
    if not head.isascii():
        colon = min((at for at in map(head.find, ":：︓") if at >= 0), default=-1)
    if edged and head.lstrip()[:1] == "|":  # a row of a table: its second bar ends the name as a colon does
        ends = (at for at in range(2, len(head)) if head[at] == "|" and head[:at].strip(" |*"))
        colon = min((at for at in (colon, next(ends, -1)) if at >= 0), default=-1)
    if colon < 1:
        return None
    label = line[:colon].strip(_EDGE).casefold()
    if not label or len(label) > _MAX_LABEL:
        return None
    if not label.isascii():
        label = _composed(label)
    role = _roles().get(label)
    if role is None:
        if label.isalnum():
            return None
        # "发件人" with spaces between, "D e :" no; but "Sent : " and "Pièces jointes" with odd spaces.
        role = _roles().get(" ".join(label.replace("\xa0", " ").split()))
        if role is None:
            return None
    return role, line[colon + 1 : 60 + _MAX_VALUE].strip(_EDGE)


def _is_whole(lines: Sequence[str], start: int, roles: dict[str, str]) -> bool:
    """Whether the fields at *start* are all that programs write, below no sentence that introduces them."""
    if not (_ADDRESS.search(roles.get("from", "")) and "subject" in roles and "date" in roles):
        return False
    above = next((line for line in reversed(lines[max(0, start - 2) : start]) if line.strip()), "")
    return attribution.is_timestamp(roles["date"]) and not above.rstrip().endswith((":", "："))


def _composed(label: str) -> str:
    """Return *label* without letters in pieces: "a\u0308" is "ä", the "i" of Turkish loses its second dot."""
    if _PIECES.search(label) is None:
        return label
    from unicodedata import normalize  # rare: few programs write such

    return normalize("NFC", label.replace("\u0307", ""))


def read(lines: Sequence[str], start: int, *, lenient: bool = False) -> int:
    """Return the index behind the header block that begins at *start*, or *start* when there is none.

    An author's own list may read "From: Lisbon Airport, To: Hotel Azul, Date: Sunday, 22:40, Subject: …", and
    what a form on a website sends has a sender and a subject, or a date and a subject. So a block needs a
    date, or addresses with sender, recipient and subject. Without any address the date must be one of sending
    ("Sent:"), or a whole one with its year and a time of day. Not so for *lenient*, where a line above says
    already that a mail follows.
    """
    first = field(lines[start])
    if first is None or first[0] not in ("from", "date", "to", "subject"):
        return start
    roles: dict[str, str] = {first[0]: first[1]}
    sent = first[0] == "date" and _says_sent(lines[start])
    index = start + 1
    end = index
    blanks = 0
    wrapped = 0
    limit = min(len(lines), start + MAX_BLOCK_LINES)
    while index < limit:
        line = lines[index][: 2 * _MAX_VALUE]
        stripped = line.strip(_EDGE)
        if not stripped:
            blanks += 1
            # One empty line between fields happens (HTML made text); two end the block.
            if blanks > 1:
                break
            index += 1
            continue
        found = field(line)
        if found is not None:
            role, value = found
            if role in roles and role != "other" and blanks:
                break
            if role == "date" and role not in roles:
                sent = _says_sent(line)
            roles.setdefault(role, value)
            if value and not roles[role]:
                roles[role] = value
            blanks = wrapped = 0
            index += 1
            end = index
            continue
        if blanks or wrapped >= 6:
            break
        # A wrapped value: further addresses, the rest of a subject.
        wrapped += 1
        index += 1
        if "@" in line or line[:1] in " \t":
            for role in ("from", "to"):
                if role in roles:
                    roles[role] += " " + stripped[:_MAX_VALUE]
    strong = [role for role in roles if role != "other"]
    if len(strong) < 2:
        return start
    address = any(_ADDRESS.search(roles.get(role, "")) for role in ("from", "to", "other"))
    if not address and any(_ACCOUNT.match(roles.get(role, "").strip()) for role in ("from", "to")):
        return start
    if any(map(_is_weak, lines[start:end])) and not _is_whole(lines, start, roles):
        return start
    if sent:
        dated = attribution.has_moment(roles["date"])
    elif "date" in roles:
        dated = attribution.is_timestamp(roles["date"])
    else:
        dated = not lenient and address and "from" in roles and is_dated(lines[start : end + 1])
    described = "from" in roles or ("date" in roles and (address or lenient or (sent and "to" in roles)))
    if "subject" in roles and described and (dated or lenient or (address and "date" in roles)):
        return end
    if described and address and (dated or lenient or "date" in roles):
        return end
    if address and roles.keys() >= {"from", "to", "subject"}:
        return end
    # Windows Mail names people without addresses and leaves out the subject: from, sent with a time, to.
    if strong[:3] == ["from", "date", "to"] and dated and _CLOCK.search(roles["date"]):
        return end
    return start
