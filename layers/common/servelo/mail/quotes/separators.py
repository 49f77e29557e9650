"""Lines that part a mail: "original message", "forwarded message", "reply above this line", plain rules."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

from servelo.mail.quotes import lexicon
from servelo.patterns import pattern

MAX_LINE = 240
_ANY_MARKER = ("\x00",)  # no line holds it
MIN_ASKING_SPACES = 3  # in a line that asks for something
_AROUND_RULES = " \t\xa0>|*"
MIN_MARKER = 8  # the shortest of REPLY_ABOVE
_RULE_SIGNS = "-_=*~+#·.‐‑‒–—―─━═•"
_RULE = pattern(rf"[{re.escape(_RULE_SIGNS)}\s]{{3,}}")
_QUOTE_MARKS = pattern(r"[\s>|]*")
EDGE = f" \t\xa0>|<{_RULE_SIGNS}\u200b\u200e\u200f\u202a\u202b\u202c\ufeff"
EDGES = frozenset(EDGE)
_ZENDESK = pattern(r"^[\s>*]*##-\s?.{3,160}?\s?-##[\s*]*$")

# The capital of Turkish, which ``str.casefold`` makes two characters of, and what parts words in Khmer.
_FOLDED = {ord("İ"): "I", ord("\u200b"): None}

# Rules as programs draw them. Authors head their sections with shorter ones.
_RULE_LAST = pattern(r"---$")
_LONG_RULES = pattern(r"^[\s>|*]*-{5}.*-{5}$")
_FOUR_RULES = pattern(r"^[\s>|*]*-{4}.*---$")
# What may stand behind "Message from" and the like: a name and an address.
_SENDER = pattern(r"(?:(?: [^@:;,]{1,60})? <?[^\s@<>:]{1,64}@[^\s@<>:]{1,200}>?)?")

ORIGINAL, FORWARDED, BARE_ORIGINAL = "original", "forwarded", "bare original"


_BEGIN_FORWARDED = "begin forwarded message"  # also with more behind it; as is Lotus Notes' phrase
_PROCESSED_BY = "original message processed by"


@lru_cache(maxsize=1)
def beginnings() -> dict[str, tuple[str, ...]]:
    """Return all these phrases in ``casefold`` by their first two letters, to pass over most lines."""
    by_letters: dict[str, tuple[str, ...]] = {}
    for phrase in (
        *_originals(),
        *_forwards(),
        *_exact(),
        *lexicon.MESSAGE_FROM,
        _BEGIN_FORWARDED,
        _PROCESSED_BY,
    ):
        by_letters[phrase[:2]] = (*by_letters.get(phrase[:2], ()), phrase)
    return by_letters


@lru_cache(maxsize=1)
def _originals() -> frozenset[str]:
    return frozenset(phrase.casefold() for phrase in lexicon.ORIGINAL_MESSAGE)


@lru_cache(maxsize=1)
def _forwards() -> frozenset[str]:
    return frozenset(phrase.casefold() for phrase in lexicon.FORWARDED)


@lru_cache(maxsize=1)
def _exact() -> dict[str, str]:
    """Return what phrases mean that must stand alone between rules."""
    return {phrase.casefold(): FORWARDED for phrase in lexicon.FORWARDED_EXACT} | dict.fromkeys(
        lexicon.ORIGINAL_EXACT, ORIGINAL
    )


@lru_cache(maxsize=1)
def _markers() -> dict[str, tuple[str, ...]]:
    """Return the phrases by their last letters, which many share: "s line"."""
    by_end: dict[str, tuple[str, ...]] = {}
    for phrase in (phrase.casefold() for phrase in lexicon.REPLY_ABOVE):
        by_end[phrase[-6:]] = (*by_end.get(phrase[-6:], ()), phrase)
    return by_end


def marker_phrases(text: str) -> tuple[str, ...]:
    """Return the phrases of "reply above this line" that *text*, a whole mail in ``casefold``, holds.

    Twenty at most: programs write one, or one in each of a few languages.
    """
    ends = [phrases for end, phrases in _markers().items() if end in text]
    found = tuple(islice((phrase for phrases in ends for phrase in phrases if phrase in text), 20))
    return found or (_ANY_MARKER if "##-" in text else ())


def _is_request(line: str) -> bool:
    """Whether what stands between Zendesk's signs, in a language that is not known, can ask for a reply."""
    core = line.strip(EDGE)
    joined = any("\u0e00" <= sign < "\u2000" or sign >= "\u3040" for sign in core)  # no spaces part words
    return not any(map(str.isdecimal, core)) and (joined or core.count(" ") >= MIN_ASKING_SPACES)


def is_marker(line: str, phrases: tuple[str, ...]) -> bool:
    """Whether *line* asks to reply above it; an author's sentence about such a line is longer than that."""
    if not MIN_MARKER <= len(line) <= MAX_LINE:
        return False
    if "##-" in line and _ZENDESK.match(line):
        return phrases is not _ANY_MARKER or _is_request(line)
    folded = line.casefold()
    for phrase in phrases:  # half the time of any() with a generator, and nearly all lines hold none
        if phrase in folded:
            break
    else:
        return False
    folded = line.strip(EDGE).casefold()
    ruled = line.strip(_AROUND_RULES)[:2].strip(_RULE_SIGNS) == ""
    return any(phrase in folded and (ruled or len(phrase) * 2 >= len(folded)) for phrase in phrases)


def is_rule(line: str) -> bool:
    """Whether *line* is nothing but a rule: three or more dashes, underscores, equal signs, stars."""
    stripped = line.strip()
    if not (3 <= len(stripped) < 400 and stripped[0] in _RULE_SIGNS + ">|"):
        return False
    if not stripped.strip(_RULE_SIGNS):
        return True
    marks = max(stripped.rfind(">"), stripped.rfind("|")) + 1
    return _RULE.fullmatch(stripped, marks) is not None and (
        not marks or _QUOTE_MARKS.fullmatch(stripped, 0, marks) is not None
    )


def read(line: str) -> str:
    """Return ORIGINAL or FORWARDED when *line* is such a separator, else BARE_ORIGINAL or ``""``.

    A BARE_ORIGINAL has no rules, or rules or words that people head their own sections with as well: it
    counts only above a block of header fields.
    """
    if not 4 <= len(line) <= MAX_LINE:
        return ""
    if "&nbsp;" in line:
        line = line.replace("&nbsp;", " ")  # so it stands in the texts of QQ Mail
    if "\xa0" in line:
        line = line.replace("\xa0", " ")
    if "İ" in line or "\u200b" in line:
        line = line.translate(_FOLDED)
    edged = line[0] in EDGES
    begins = (line.lstrip(EDGE) if edged else line).casefold()
    phrases = beginnings().get(begins[:2])
    if phrases is None or not begins.startswith(phrases):
        return ""
    core = line.strip(EDGE)
    if not 2 <= len(core) <= 200:
        return ""
    folded = core.casefold().rstrip(":： *_")
    stripped = line.strip(_AROUND_RULES) if edged else line
    ruled = edged and stripped[0] in _RULE_SIGNS and stripped[:2].strip(_RULE_SIGNS) == ""
    begins_with = [phrase for phrase in phrases if folded.startswith(phrase)] if ruled else ()
    begun = folded.startswith(_BEGIN_FORWARDED)
    if begun or folded in _forwards() or not _forwards().isdisjoint(begins_with):
        # "Forwarded message" in a sentence of its own has neither rules nor a colon.
        return FORWARDED if begun or ruled or core.endswith((":", "：")) else ""
    if folded in _originals():
        return ORIGINAL if ruled else BARE_ORIGINAL
    if folded.startswith(_PROCESSED_BY):
        return ORIGINAL
    for phrase in begins_with:
        if phrase in _originals():
            # Not "Original messages of the year": the phrase ends there, or a word does.
            return BARE_ORIGINAL if folded[len(phrase)].isalnum() else ORIGINAL
    if not ruled or not _RULE_LAST.search(line):
        return ""
    for phrase in phrases:
        if folded.startswith(phrase) and _SENDER.fullmatch(folded, len(phrase)):
            if phrase in lexicon.MESSAGE_FROM:
                return BARE_ORIGINAL if len(phrase) < len(folded) else ""
            if _exact().get(phrase) == ORIGINAL:
                return ORIGINAL if _LONG_RULES.search(line) else BARE_ORIGINAL
            if phrase in _exact():
                return FORWARDED if _FOUR_RULES.search(line) else ""
    return ""
