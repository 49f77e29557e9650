"""What programs on the way put around the author's words: warnings of a gateway, the armour of PGP."""

from __future__ import annotations

import re
from functools import lru_cache

from servelo.mail.quotes import separators
from servelo.patterns import pattern

MAX_LINES = 12  # of a warning, blank ones among them
MAX_LINE = 600
TELLS, WARNS = 1, 2
GATEWAY_MARKS = ("zjqcmqryfpfptbanner",)  # of Proofpoint
# Words one of which each warning holds in its first lines, to tell it quickly.
OF_WARNINGS = (
    "outside",
    "external",
    "often get",
    "ausserhalb",
    "extern",
    "nicht oft",
    "nicht häufig",
    "extérieur",
    "pas souvent",
    "fuera",
    "suele",
    "a menudo",
    "esterno",
    "spesso",
    "buiten",
    "niet vaak",
    "de fora",
    "remetente",
    "costuma",
    "spoza",
    "zewnętrzn",
    "zewnątrz",
    "często",
    "utanför",
    "inte ofta",
    "ekstern",
    "udefra",
    "utenfra",
    "uden for",
    "utenfor",
    "ikke ofte",
    "ulkopuoli",
    "mimo organizaci",
    "externího",
    "zvenčí",
    "внешнего",
    "извне",
    "пределов",
    "社外",
    "外部",
    "組織外",
    "aka.ms/learn",
    "pfptbanner",
)
_AROUND = separators.EDGE + "[]()!⚠\ufe0f "
_SIGNED, _SIGNATURE, _END = (
    f"-----{words}-----" for words in ("BEGIN PGP SIGNED MESSAGE", "BEGIN PGP SIGNATURE", "END PGP SIGNATURE")
)
_FIELDS = r"(?:(?:Hash|Charset|Comment|Version|MessageID|NotDashEscaped):[^\n]{0,300}\n){0,8}"
_ARMOUR = pattern(rf"\s*{_SIGNED}[ \t]*\r?\n{_FIELDS}(?:[ \t]*\r?\n|$)")
_DASH_ESCAPED = pattern(r"^- (?=-|From )", re.M)
_SENTENCE_END = pattern(r"[.!。！](?=\s|$)|\n|(?<=\w)\](?=\s)")


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
    if not (words + text[end:]).strip():
        return text, ""
    armour = begun[0].strip() + "\n" + text[start + 1 : end]
    return words + text[end:], armour.replace("\r\n", "\n")


@lru_cache(maxsize=1)
def _sentences() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Return patterns: a sentence that says it, a whole tip about a new sender, a title or an advice."""
    from servelo.mail.quotes import warning_words

    outside = "|".join((*warning_words.FROM_OUTSIDE.values(), warning_words.THIS_IS_EXTERNAL))
    tips = "|".join(warning_words.SAFETY_TIPS.values())
    advice = "|".join((warning_words.TITLES, *warning_words.ADVICE.values()))
    link = r"\W{0,4}(?:https?://aka\.ms/\S{1,60})?\W{0,4}"
    return (
        re.compile(rf"(?P<title>{warning_words.TITLES}[\W_]{{1,6}})?(?:{outside})"),
        re.compile(rf"(?:{tips})\s?\S{{1,64}}@\S{{1,190}}\s+(?:{warning_words.LEARN_MORE}){link}"),
        re.compile(advice),
    )


def _sort(line: str) -> int:
    """Return what *line* does in a warning: TELLS of what it warns, WARNS by title or advice, 0: nothing."""
    text = line.strip(_AROUND).casefold().replace("**", "")
    if any(mark in text for mark in GATEWAY_MARKS) and " " not in text:
        return TELLS | WARNS
    if "?" in text or len(text) > MAX_LINE:
        return 0
    tells, tip, advice = _sentences()
    if tip.fullmatch(text.rstrip(" .")):
        return TELLS | WARNS
    found = 0
    for sentence in _SENTENCE_END.split(text):
        words = sentence.strip(_AROUND + ":;,")
        if not words:
            continue
        told = tells.fullmatch(words)
        if told is not None:
            found |= TELLS | (WARNS if told["title"] else 0)
        elif advice.fullmatch(words):
            found |= WARNS
        else:
            return 0
    return found


def warning(lines: list[str]) -> int:
    """Return the index behind the warning that a gateway put above the words, 0 when there is none.

    "CAUTION: This email originated from outside of the organization …", in one paragraph of which each
    sentence is one that such warnings are made of: that the mail came from outside, and a title or advice.
    The author's words stand below it.
    """
    behind, found, parted = 0, 0, False
    for index, line in enumerate(lines[:MAX_LINES]):
        if not line.strip(_AROUND):
            parted = bool(found & TELLS)
            continue
        if behind == 0 and not _may_warn(lines[index : index + 3]):
            return 0
        sort = _sort(line)
        if not sort or (parted and not sort & TELLS):
            break
        found |= sort
        behind = index + 1
    if found != TELLS | WARNS or not any(line.strip() for line in lines[behind:]):
        return 0
    return behind


def _may_warn(lines: list[str]) -> bool:
    """Whether one of *lines*, the first of a mail, can be a warning's. Quick: it is asked of every mail."""
    text = " ".join([line[:MAX_LINE] for line in lines]).casefold()
    return any(word in text for word in OF_WARNINGS)
