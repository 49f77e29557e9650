"""Lines that part a mail: "original message", "forwarded message", "reply above this line", plain rules."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

from servelo.mail.quotes import lexicon
from servelo.patterns import pattern

MAX_LINE = 240
MIN_MARKER = 8  # the shortest of REPLY_ABOVE
_RULE_SIGNS = "-_=*~+#·.‐‑‒–—―─━═•"
_RULE = pattern(rf"[{re.escape(_RULE_SIGNS)}\s]{{3,}}")
_QUOTE_MARKS = pattern(r"[\s>|]*")
EDGE = f" \t\xa0>|<{_RULE_SIGNS}\u200b\u200e\u200f\u202a\u202b\u202c\ufeff"
_ZENDESK = pattern(r"^[\s>*]*##-\s?.{3,160}?\s?-##[\s*]*$")

ORIGINAL, FORWARDED, BARE_ORIGINAL = "original", "forwarded", "bare original"


@lru_cache(maxsize=1)
def beginnings() -> frozenset[str]:
    """Return the first two letters of all these phrases in ``casefold``, to pass quickly over most lines."""
    phrases = (*_originals()[1], *_forwards()[1], "begin forwarded message", "original message processed by")
    return frozenset(phrase[:2] for phrase in phrases)


@lru_cache(maxsize=1)
def _originals() -> tuple[frozenset[str], tuple[str, ...]]:
    phrases = tuple(phrase.casefold() for phrase in lexicon.ORIGINAL_MESSAGE)
    return frozenset(phrases), phrases


@lru_cache(maxsize=1)
def _forwards() -> tuple[frozenset[str], tuple[str, ...]]:
    phrases = tuple(phrase.casefold() for phrase in lexicon.FORWARDED)
    return frozenset(phrases), phrases


@lru_cache(maxsize=1)
def _markers() -> tuple[str, ...]:
    return tuple(phrase.casefold() for phrase in lexicon.REPLY_ABOVE)


def marker_phrases(text: str) -> tuple[str, ...]:
    """Return the phrases of "reply above this line" that *text*, a whole mail in ``casefold``, holds.

    Twenty at most: programs write one, or one in each of a few languages.
    """
    return tuple(islice((phrase for phrase in _markers() if phrase in text), 20))


def is_marker(line: str, phrases: tuple[str, ...]) -> bool:
    """Whether *line* asks to reply above it; an author's sentence about such a line is longer than that."""
    if not MIN_MARKER <= len(line) <= MAX_LINE:
        return False
    if _ZENDESK.match(line):
        return True
    folded = line.strip(EDGE).casefold()
    ruled = line.strip(" \t\xa0>|*")[:2].strip(_RULE_SIGNS) == ""
    return any(phrase in folded and (ruled or len(phrase) * 2 >= len(folded)) for phrase in phrases)


def is_rule(line: str) -> bool:
    """Whether *line* is nothing but a rule: three or more dashes, underscores, equal signs, stars."""
    stripped = line.strip()
    if not (3 <= len(stripped) < 400 and stripped[0] in _RULE_SIGNS + ">|"):
        return False
    marks = max(stripped.rfind(">"), stripped.rfind("|")) + 1
    return _RULE.fullmatch(stripped, marks) is not None and (
        not marks or _QUOTE_MARKS.fullmatch(stripped, 0, marks) is not None
    )


def read(line: str) -> str:
    """Return ORIGINAL or FORWARDED when *line* is such a separator, BARE_ORIGINAL without rules, else ``""``.

    A BARE_ORIGINAL counts only above a block of header fields: people write such words too.
    """
    if not 4 <= len(line) <= MAX_LINE:
        return ""
    if line[0] not in EDGE and line[:2].casefold()[:2] not in beginnings():
        return ""
    core = line.strip(EDGE)
    if not 2 <= len(core) <= 200:
        return ""
    folded = core.casefold().rstrip(":： *_")
    if folded[:2] not in beginnings():
        return ""
    stripped = line.strip(" \t\xa0>|*")
    ruled = stripped[:1] in _RULE_SIGNS and stripped[:2].strip(_RULE_SIGNS) == ""
    forwards, forwarded = _forwards()
    if (
        folded in forwards
        or (ruled and folded.startswith(forwarded))
        or folded.startswith("begin forwarded message")
    ):
        # "Forwarded message" in a sentence of its own has neither rules nor a colon.
        return FORWARDED if ruled or core.endswith((":", "：")) or folded.startswith("begin forw") else ""
    originals, original = _originals()
    if folded in originals:
        return ORIGINAL if ruled else BARE_ORIGINAL
    if (ruled and folded.startswith(original)) or folded.startswith("original message processed by"):
        return ORIGINAL
    return ""
