"""Signatures that are evident: below "-- ", "sent from my …", footers of mailing lists and virus scanners.

"Regards, Name" is the author's and stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from servelo.mail.quotes import lexicon, separators
from servelo.patterns import pattern

MAX_SIGNATURE_LINES = 40
MAX_SIGNATURE_CHARS = 3000
MAX_SENT_FROM = 140
MAX_SENT_FROM_LINES = 50
MIN_SPACES = 3  # in a line that could be the beginning of a sentence
MIN_NAME = 4  # letters of a program's name that its address holds as well
_OF_MANY = frozenset("sent from with mail email android iphone phone".split())
_FROM_MOBILE = " from mobile"

_DELIMITER = pattern(r"^(?:-- ?|—|– |--\xa0|__|‐‐| {1,4}-- )$")
_EDGE = " \t\xa0*_<>()[]|~\u200b\u200e\u200f\u202a-\u202e\ufeff-–—.!"
_LINK = pattern(
    r"(?:(?<!\s)\s++)?+(?:\(https?://[^()\s]*\)|\[https?://[^\[\]\s]*\]|<https?://[^<>\s]*>|https?://\S+"
    r"|\[[^\[\]]*\]\(\S*\))\s*$"
)
_QUESTION = pattern(r"[^\W\d_]\?(?:\s|$)")  # an emoji lost to a charset stands alone
_ONLY_LINK = pattern(r"[ \t]*<?https?://[^\s<>]{1,200}>?[ \t]*$")
_COMMENT = pattern(r"--[ \t]{0,8}[^\s_-]")
_INNER_LINK = pattern(r" \(https?://[^()\s]{1,300}\)(?=[,.;])")
_MARKDOWN = pattern(r"\[([^\[\]]{1,80})\]\([^()\s]{1,300}\)")


@lru_cache(maxsize=1)
def _sent_from() -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    return (
        tuple(dict.fromkeys(start.casefold() for start in lexicon.SENT_FROM_STARTS)),
        tuple(dict.fromkeys(end.casefold() for end in lexicon.SENT_FROM_ENDS)),
        tuple(dict.fromkeys(device.casefold() for device in lexicon.DEVICES)),
    )


def is_delimiter(line: str) -> bool:
    """Whether *line* is the delimiter of RFC 3676 4.3, also with its space lost."""
    return _DELIMITER.match(line.rstrip("\r")) is not None


def is_exact(line: str) -> bool:
    """Whether *line* begins a signature for sure: the whole delimiter, or a sent-from line."""
    return line.startswith("-- ") or is_sent_from(line)


@lru_cache(maxsize=1)
def _by_letters() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return the phrases that begin sent-from lines by their first two letters, others by the last two."""
    starts, ends, _ = _sent_from()
    first: dict[str, tuple[str, ...]] = {}
    for start in (*starts, *lexicon.GET_OUTLOOK, *lexicon.SENT_FROM_EXACT):
        first[start[:2]] = (*first.get(start[:2], ()), start)
    last: dict[str, tuple[str, ...]] = {}
    for end in (*ends, _FROM_MOBILE):
        last[end[-2:]] = (*last.get(end[-2:], ()), end)
    return first, last


def _linked(link: re.Match[str]) -> str:
    return link[1]


def sent_words(line: str) -> str:
    """Return the words of *line* in ``casefold`` if they begin or end as sent-from lines do, else ``""``.

    Cheap where they do not: it is asked of all lines that stand alone.
    """
    if not 6 <= len(line) <= 400:
        return ""
    if "\xa0" in line:
        line = line.replace("\xa0", " ")
    first, last = _by_letters()
    if "](" in line or "://" in line:
        line = _LINK.sub("", _INNER_LINK.sub("", _MARKDOWN.sub(_linked, line)))
    elif (
        line.lstrip(_EDGE)[:2].casefold()[:2] not in first
        and line.rstrip(_EDGE)[-2:].casefold()[-2:] not in last
    ):
        return ""
    text = line.strip(_EDGE).casefold()
    if 6 <= len(text) <= MAX_SENT_FROM and (
        text.startswith(first.get(text[:2], ())) or text.endswith(last.get(text[-2:], ()))
    ):
        return text
    return ""


def is_sent_from(line: str) -> bool:
    """Whether a device or program wrote *line*: "Sent from my iPhone", in any language of ``lexicon``."""
    text = sent_words(line)
    if not text or ("?" in text and _QUESTION.search(text)) or "？" in text:
        return False
    if text.rstrip(" :") in lexicon.SENT_FROM_EXACT:
        return True
    starts, ends, devices = _sent_from()
    if text.startswith(lexicon.GET_OUTLOOK):
        return len(text) <= 60 and text.rstrip("“”").endswith(("ios", "android", "mac"))
    if text.startswith("get outlook for"):
        return len(text) <= 32
    if text.startswith("sent from "):
        return len(text) <= 90
    if text.startswith(starts):
        # "Sent by DHL" and "Enviado por correo certificado" are not about the mail.
        longest = 90 if text.endswith(ends) else 75
        return len(text) <= longest and any(device in text for device in devices)
    if text.endswith(ends) and len(text) <= 90:
        return any(device in text for device in devices)
    return len(text) <= 40 and text.endswith(_FROM_MOBILE)


def is_named_device(line: str) -> bool:
    """Whether *line* is a sent-from line that names a device or program: sure enough to part a mail."""
    if not is_sent_from(line):
        return False
    text = line.casefold()
    return any(device in text for device in _sent_from()[2])


def goes_on(lines: Sequence[str], index: int) -> bool:
    """Whether the author's sentence goes on from above line *index* to below it."""
    above = next((line.strip() for line in lines[max(0, index - 2) : index][::-1] if line.strip()), "")
    below = next((line.strip() for line in lines[index + 1 : index + 3] if line.strip()), "")
    if "://" in below or "@" in below or below.startswith("www."):
        return False
    return below[:1].islower() and above[-1:].isalnum() and above.count(" ") >= MIN_SPACES


def is_footer(lines: Sequence[str], index: int) -> bool:
    """Whether a footer that no author writes begins at *index*: a mailing list's, a virus scanner's."""
    line = lines[index].strip()
    if separators.is_rule(line) and line[0] != "*":
        for following in lines[index + 1 : index + 5]:
            text = following.strip().casefold()
            if not text:
                continue
            return any(words in text for words in lexicon.LIST_WORDS) or text.startswith(lexicon.FOOTER_LINES)
        return False
    return bool(line) and line[:240].casefold().startswith(lexicon.FOOTER_LINES)


_POSTSCRIPT = pattern(
    r"\s*(?:p\.? ?s\.?|p\.? ?p\.? ?s\.?|n\.? ?b\.?|p\. ?d\.|з\. ?ы\.|追伸|附言)\s*[:.,)–—-]?\s", re.I
)
_SENTENCE = pattern(r"(?:\S+[ \t]+){3,}\S*[^\W\d_]{2}[)\"”»]?[.?!…。？！]+(?:[ \t]|$)")


def is_sentence(line: str) -> bool:
    """Whether *line* is a sentence that an author would write, and no address or link."""
    line = line[:MAX_SIGNATURE_CHARS]
    return _SENTENCE.match(line) is not None and "@" not in line and "://" not in line


def _is_prose(lines: Sequence[str], start: int, end: int) -> bool:
    """Whether a delimiter that lost its space parts the author's words: above a sentence, or a question.

    Signatures begin with a name or a firm.
    """
    if any(line.rstrip().endswith(("?", "？")) for line in lines[start:end]):
        return True
    for line in lines[start:end]:
        text = line.strip()
        if text:
            if is_sent_from(text):
                return False
            return is_sentence(text)
    return False


def _is_link_of(line: str, above: str) -> bool:
    """Whether *line* is nothing but the address of the program that *above*, a sent-from line, names."""
    if not _ONLY_LINK.match(line):
        return False
    link, words = line.casefold(), sent_words(above).split()
    return any(word in link for word in words if len(word) >= MIN_NAME and word not in _OF_MANY)


def _sent_from_at(lines: Sequence[str], found: int) -> int:
    """Return where the sent-from lines above *found* begin: one above the other, with blank lines between."""
    for _ in range(MAX_SENT_FROM_LINES):
        index = found
        while index and not lines[index - 1].strip():
            index -= 1
        if not index:
            break
        if index > 1 and _is_link_of(lines[index - 1], lines[index - 2]):
            index -= 1  # below "Sent with Aqua Mail for Android"
        if not is_sent_from(lines[index - 1]):
            break
        found = index - 1
    return found


def _is_comment(lines: Sequence[str], index: int) -> bool:
    """Whether the delimiter at *index* is an empty comment beside another: SQL, Lua and Ada begin them so."""
    return any(
        _COMMENT.match(line) for line in (*lines[max(0, index - 1) : index], *lines[index + 1 : index + 2])
    )


def begin(lines: Sequence[str]) -> int:
    """Return the index where the signature at the end of *lines* begins, ``len(lines)`` when there is none.

    Never 0 unless the first line is a delimiter: a mail that is nothing but one such line says something.
    """
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    found = _sent_from_at(lines, end)
    floor = max(0, end - MAX_SIGNATURE_LINES)
    first = found
    size = 0
    for index in range(end - 1, floor - 1, -1):
        line = lines[index]
        size += len(line)
        if size > MAX_SIGNATURE_CHARS:
            break
        if not line.strip():
            continue
        if is_delimiter(line):
            if _is_comment(lines, index):
                continue
            # A dash of another kind must stand below an empty line.
            if (line.startswith("--") or (index and not lines[index - 1].strip())) and (
                line.startswith("-- ") or not _is_prose(lines, index + 1, end)
            ):
                if any(_POSTSCRIPT.match(below) for below in lines[index + 1 : end]):
                    break
                first = index
            continue
        if is_footer(lines, index) and (separators.is_rule(line.strip()) or not goes_on(lines, index)):
            first = index
    if first < found:
        # Whatever stood above what was found by the first pass may be a sent-from line again.
        found = _sent_from_at(lines, first)
    return found if found < end else len(lines)
