"""What programs on the way put around the author's words: warnings of a gateway, the armour of PGP."""

from __future__ import annotations

import re
from functools import lru_cache

from servelo.mail.quotes import separators
from servelo.patterns import pattern

MAX_LINES = 12  # of a warning, blank ones among them
MAX_LINE = 600
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
        re.compile(rf"(?:{warning_words.TITLES}[\W_]{{1,6}})?(?:{outside})"),
        re.compile(rf"(?:{tips})\s?\S{{1,64}}@\S{{1,190}}\s+(?:{warning_words.LEARN_MORE}){link}"),
        re.compile(advice),
    )


def _sort(line: str) -> str:
    """Return "tells" when *line* is a warning's and says of what, "warns" when it is one's, else ``""``."""
    text = line.strip(_AROUND).casefold().replace("**", "")
    if any(mark in text for mark in GATEWAY_MARKS) and " " not in text:
        return "tells"
    if "?" in text or len(text) > MAX_LINE:
        return ""
    tells, tip, advice = _sentences()
    if tip.fullmatch(text.rstrip(" .")):
        return "tells"
    found = ""
    for sentence in _SENTENCE_END.split(text):
        words = sentence.strip(_AROUND + ":;,")
        if not words:
            continue
        if tells.fullmatch(words):
            found = "tells"
        elif advice.fullmatch(words):
            found = found or "warns"
        else:
            return ""
    return found


def warning(lines: list[str]) -> int:
    """Return the index behind the warning that a gateway put above the words, 0 when there is none.

    "CAUTION: This email originated from outside of the organization …", in one paragraph of which each
    sentence is one that such warnings are made of. The author's words stand below it.
    """
    behind, sure, parted = 0, False, False
    for index, line in enumerate(lines[:MAX_LINES]):
        if not line.strip(_AROUND):
            parted = sure
            continue
        if behind == 0 and not _may_warn(lines[index : index + 3]):
            return 0
        sort = _sort(line)
        if not sort or (parted and sort != "tells"):
            break
        sure = sure or sort == "tells"
        behind = index + 1
    if not sure or not any(line.strip() for line in lines[behind:]):
        return 0
    return behind


def _may_warn(lines: list[str]) -> bool:
    """Whether one of *lines*, the first of a mail, can be a warning's. Quick: it is asked of every mail."""
    text = " ".join([line[:MAX_LINE] for line in lines]).casefold()
    return any(word in text for word in OF_WARNINGS)
