"""What programs on the way put around the author's words: warnings of a gateway, the armour of PGP."""

from __future__ import annotations

import re

from servelo.mail.quotes import lexicon, separators
from servelo.patterns import pattern

MAX_LINES = 12  # of a warning, blank ones among them
MAX_LINE = 600
_AROUND = separators.EDGE + "[]()!⚠\ufe0f "
_SIGNED, _SIGNATURE, _END = (
    f"-----{words}-----" for words in ("BEGIN PGP SIGNED MESSAGE", "BEGIN PGP SIGNATURE", "END PGP SIGNATURE")
)
_ARMOUR = pattern(rf"\s*{_SIGNED}[ \t]*\r?\n(?:[A-Za-z-]{{1,30}}:[^\n]{{0,300}}\n){{0,8}}(?:[ \t]*\r?\n|$)")
_DASH_ESCAPED = pattern(r"^- (?=-|From )", re.M)
_FIRST_PERSON = pattern(
    r"\b(?:i|my|me|we|us|ich|mir|mich|wir|moi|nous|mein\w{0,2}|je|mon|ma|mes|yo|mi|mis|io|mio|mia|ik|mijn|jag|eu|meus?)\b"
)


def without_armour(text: str) -> tuple[str, str]:
    """Return (*text* without the armour of its clear signature, the armour), ``""`` when it has none.

    What follows the signature stays: a mailing list's footer. RFC 9580, 7: lines that begin with a dash have
    another one before them.
    """
    begun = _ARMOUR.match(text)
    if begun is None:
        return text, ""
    start = text.rfind(f"\n{_SIGNATURE}", begun.end() - 1)
    end = text.find(_END, start) if start >= 0 else -1
    if end < 0:
        return text, ""
    end += len(_END)
    words = _DASH_ESCAPED.sub("", text[begun.end() : start + 1])
    armour = begun[0].strip() + "\n" + text[start + 1 : end]
    return words + text[end:], armour.replace("\r\n", "\n")


def _tells(text: str) -> bool:
    """Whether *text*, in ``casefold``, says of this mail that it came from outside."""
    if any(words in text for words in lexicon.GATEWAY_MARKS):
        return True
    if "@" in text and any(words in text for words in lexicon.SAFETY_TIPS):
        return True
    return any(words in text for words in lexicon.FROM_OUTSIDE) and any(
        words in text for words in lexicon.THIS_MAIL
    )


def warning(lines: list[str]) -> int:
    """Return the index behind the warning that a gateway put above the words, 0 when there is none.

    "CAUTION: This email originated from outside of the organization …", in one paragraph, each line of which
    is a warning's. It asks nothing and speaks of nobody in the first person, and the author's words stand
    below it.
    """
    behind, sure, parted = 0, False, False
    for index, line in enumerate(lines[:MAX_LINES]):
        text = line.strip(_AROUND).casefold()
        if not text:
            parted = sure
            continue
        if len(text) > MAX_LINE or "?" in text or _FIRST_PERSON.search(text):
            break
        tells = _tells(text)
        if not tells and (
            parted
            or not (text.rstrip(" :!]") in lexicon.WARNINGS or any(words in text for words in lexicon.ADVICE))
        ):
            break
        sure = sure or tells
        behind = index + 1
    if not sure or not any(line.strip() for line in lines[behind:]):
        return 0
    return behind
