"""Attribution lines: "On 3 Apr 2012 at 16:19, Bob <bob@example.com> wrote:", in any language of ``lexicon``.

A line is one for what it holds, not for how one program words it: a moment, a person, a verb of writing, and
an end in a colon or in that verb. Programs wrap it over up to six lines, quote it, and put rules around it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice, takewhile

from servelo.mail import dates
from servelo.mail.quotes import lexicon
from servelo.patterns import pattern

MAX_LINES = 6
MAX_WEAK_WORDS = 10  # of an attribution whose verb authors use as well
MAX_NAME_WORDS = 5  # of such a one without a moment
MAX_CHARS = 900
_MAX_WRITTEN = 8 * MAX_CHARS  # whatever character references stand in it: more than MAX_CHARS remain

_TIME = pattern(
    r"(?<!\d)\d{1,2}\s?[:.hH٫\u6642\u65f6\u9ede\u70b9\uc2dc]\s?\d{2}(?!\d)|(?<!\d)\d{1,2}\s?[ap]\.?m\b", re.I
)
_YEAR = pattern(r"(?<!\d)(?:1[34]|19|20|25)\d\d(?!\d)")
_FULL_DATE = pattern(  # 2.1.2024, 2024年1月2日, 2024년 1월 2일
    r"(?<!\d)\d{1,4}\s?(?:[./\-\u2010-\u2015]\s?|[\u5e74\ub144]\s?)"
    r"\d{1,2}\s?(?:[./\-\u2010-\u2015]\s?|[\u6708\uc6d4]\s?)\d{1,4}(?!\d)"
)
_NUMBER = pattern(r"\d+")
_ADDRESS = pattern(r"[^\s<>@\"'()\[\],;:]{1,64}@[^\s<>@\"'()\[\],;:]{1,255}")
_ANGLES = pattern(r"<[^<>]{0,300}>|\[mailto:[^\]]{0,300}\]|\(https?://[^()]{0,300}\)")
# Signs without width that programs put around names and dates in languages written from right to left.
_UNSEEN = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE = dict.fromkeys(map(ord, _UNSEEN))
_EDGE = f" \t\xa0>*_=~|•\ufeff-\u2010\u2011\u2012\u2013\u2014\u2015\u200c\u200d{_UNSEEN}"
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&nbsp;", " "), ("&#39;", "'"), ("&amp;", "&"))
_COLONS = (":", "：", "︓", "៖", "՝")
_COLON_LAST = "".join(_COLONS) + " \t\xa0"
_ISO_START = pattern(r"\d{4}-\d\d-\d\d,? \d{1,2}:\d\d(?::\d\d)? (?:GMT|UTC)[+\-]\d{1,2}:?\d\d\b")
_WEAK_END = pattern(r"(?:[>\])\"”»]|[^\s<>@]@[^\s<>@]+)\s*[:：]$")
_ADDRESS_LAST = pattern(r"@[^\s<>@]++[>\])]*+$")
_CTIME = pattern(  # as asctime() of C writes it
    r"\b(?:mon|tue|wed|thu|fri|sat|sun) (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) [ \d]\d "
    r"\d\d:\d\d:\d\d \d{4}(?!\d)"
)
_WORD = pattern(r"[^\W\d_]+(?:[.'’-][^\W\d_]+)*")
_GLUED = pattern(
    r"(?:(?<!-)-{3,}+\s?+|(?<=[^\s,;:>-])\s++)"
    r"(?=(?:On|Le|Am|El|Il|Em|Op|Den|Dne|Dnia|W dniu|Pada)\s(?:[^\W\d_]{2,12}[.,]{0,2}\s){0,2}\d)"
)


@lru_cache(maxsize=1)
def _weak_verbs() -> frozenset[str]:
    """The verbs that an author's sentence may end in as well."""
    strong = {verb.casefold() for verbs in lexicon.WROTE.values() for verb in verbs}
    return frozenset(verb for verbs in lexicon.WROTE_LIKE_AUTHORS.values() for verb in verbs) - strong


@lru_cache(maxsize=1)
def _verbs() -> tuple[tuple[str, tuple[tuple[str, bool], ...]], ...]:
    """Verbs of writing, below the shortest verb that stands in each ("napsal" in "napsala je").

    Each with whether it may touch the name before it: some scripts part no words.
    """
    words = {
        verb.casefold().rstrip(":") for verbs in lexicon.WROTE.values() for verb in verbs
    } | _weak_verbs()
    below: dict[str, list[tuple[str, bool]]] = {}
    for verb in sorted(words, key=len):
        shortest = next((short for short in below if short in verb), verb)
        below.setdefault(shortest, []).append((verb, _joined_script(verb)))
    return tuple((shortest, tuple(verbs)) for shortest, verbs in below.items())


def _joined_script(verb: str) -> bool:
    return any("\u0900" <= c <= "\u109f" or "\u1780" <= c <= "\u17ff" or c >= "\u3040" for c in verb)


@lru_cache(maxsize=1)
def _last_words() -> frozenset[str]:
    """The last words of verbs of writing, to tell quickly whether a line without a colon can end one."""
    return frozenset(
        verb.casefold().split()[-1].strip(_AROUND_LAST)
        for verbs in lexicon.WROTE.values()
        for verb in verbs
        if not _joined_script(verb)
    ) - {"sa", "u", "du", "on", "in"}


@lru_cache(maxsize=1)
def _word_ends() -> tuple[frozenset[str], frozenset[str]]:
    """Return (the last signs, the last two letters in ``casefold``) of lines that may end with such words."""
    words = _last_words()
    alone = {word for word in words if len(word) == 1}
    signs = frozenset((*_AROUND_LAST, *alone, *map(str.upper, alone)))
    return signs, frozenset(word[-2:] for word in words)


@lru_cache(maxsize=1)
def endings() -> tuple[frozenset[str], frozenset[str]]:
    """Return (the last signs, the last two letters in ``casefold``) of the lines that :func:`may_end`."""
    signs, letters = _word_ends()
    return signs.union(_COLONS, "\xa0", _RULE_LAST, _AFTER_END), letters


def normalised(text: str) -> str:
    """Return *text* without quote marks, rules and emphasis around it and without character references."""
    text = text[:_MAX_WRITTEN]
    if "&" in text:
        for entity, sign in _ENTITIES:
            text = text.replace(entity, sign)
    if not text.isascii():
        text = text.translate(_INVISIBLE).replace("\xa0", " ")
    return text.strip(_EDGE)


def may_end(line: str) -> bool:
    """Whether an attribution may end with this (not empty) line. Cheap: it is asked of every line."""
    last = line[-1]
    if last in _AFTER_END:
        line = line.rstrip(_AFTER_END)
        if not line:
            return False
        last = line[-1]
    if last in _COLONS or last == "\xa0":
        return True
    if last == ")" and ": (" in line[-_MAX_DATE_LAST:]:
        return _DATE_LAST.search(line[-_MAX_DATE_LAST:]) is not None
    if last in _RULE_LAST:
        core = line.rstrip("-*_—–=: ")
        if not core:
            return False
        if "@" in line or core[-5:].casefold() == "wrote":
            return True
    signs, letters = _word_ends()
    if last in signs or line[-2:].casefold()[-2:] in letters:
        tail = line[-24:].casefold().rsplit(None, 1)
        if tail and tail[-1].strip(_AROUND_LAST) in _last_words():
            return True
    if "news:" in line[-_MAX_NEWS:] and _IN_NEWS.search(line[-_MAX_NEWS:]):
        return True
    if line[0] == '"' and _NEXTCLOUD.match(line[: MAX_CHARS // 3]):
        return True
    if ("GMT" in line or "UTC" in line) and (last.isdecimal() or last.isalpha()):
        return _ISO_START.match(line.lstrip(_TRIM_SIMPLE)[:32]) is not None
    return False


_NEXTCLOUD = pattern(
    r'"[^"]{1,100}" <?[^\s<>@"]{1,64}@[^\s<>@"]{1,120}>? – [^:]{4,40}\d:\d\d(?:[\s\u202f][AP]M)?$'
)
_MAX_NEWS = 200
# Outlook Express: '"NAME" <ADDRESS> wrote in message news:ID...', in its languages "im Newsbeitrag news:…".
_IN_NEWS = pattern(r"(?:^|\s)<?news:\s?[^\s<>@]{1,90}@[^\s<>@]{1,90}>?:?$")
_MAX_DATE_LAST = 80
_DATE_LAST = pattern(r": (\([^()]{6,70}\))$")  # "NAME skrev: (5 mars 2024 16:12)", K-9 in Swedish
_AROUND_LAST = "()/-:"
_RULE_LAST = "-*_—–="
_TRIM_SIMPLE = " \t>*-"
_AFTER_END = " \t\xa0\u200b\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069"


def read(text: str) -> int:
    """Return how sure it is that *text* is an attribution: 0 no, 1 by its person, 2 by its moment too."""
    ruled = text.startswith("---") and text.endswith("---")
    if text.startswith(">>>") and is_groupwise(text):
        return 2
    text = normalised(text)
    if not 6 <= len(text) <= MAX_CHARS:
        return 0
    if "news:" in text[-_MAX_NEWS:]:
        if "<" not in text:
            return 0
        text = _IN_NEWS.sub(":", text)
    if text[-1] == ")":
        text = _DATE_LAST.sub(_date_first, text)
    folded = text.casefold()
    colon = folded.endswith(_COLONS)
    if colon:
        folded = folded.rstrip(_COLON_LAST)
    # Addresses hold words too ("wrote@…"): verbs are looked for outside them.
    has_address = "@" in folded and _ADDRESS.search(folded) is not None
    outside = _ANGLES.sub(" <> ", folded) if "<" in folded or "[" in folded or "(" in folded else folded
    if has_address:
        outside = _ADDRESS.sub(" @ ", outside)
    has_time = _TIME.search(outside) is not None
    in_log = _CTIME.search(outside) is not None  # so lines of logs begin, too
    has_date = in_log or _FULL_DATE.search(outside) is not None
    has_year = has_date or _YEAR.search(outside) is not None
    numbers = len(_NUMBER.findall(outside))
    moment = (has_time and numbers >= 3) or has_date or (has_year and numbers >= 2)
    whole = has_time and (has_date or (has_year and numbers >= 4))
    verb = _last_verb(outside)
    if colon and has_time and _RUSSIAN_BAT.match(text):
        return 2
    if (
        colon
        and has_address
        and folded.startswith(lexicon.QUOTING_ADDRESS)
        and len(_WORD.findall(outside)) <= 8
    ):
        return 1
    if colon and folded.startswith(lexicon.QUOTING) and len(_WORD.findall(outside)) <= 8:
        return 1
    if colon and whole and (folded.endswith(lexicon.YOU_WROTE) or folded.startswith(lexicon.YOU_WROTE)):
        return 2 if _BATS.match(text) else 1
    if verb is None:
        if moment and _ISO_START.match(text):
            return 2
        if moment and _NEXTCLOUD.match(text):
            return 1  # so are people listed with their duties
        if not colon:
            return 0
        # Yandex, mail.ru, Gmail in Japanese: "26.06.2014, 14:41, "Name" <address>:"; Atmail: "On Tue 05/03/24
        # 10:12 , Name address sent:".
        complete = moment and has_time and has_address and begins(outside)
        if complete and (_ATMAIL.match(text) or _WEAK_END.search(text[-400:])):
            return 2
        return 0
    start, end = verb
    if _two_sentences(text):
        return 0
    if outside[start:end] in _weak_verbs():
        return _read_weak(text, outside, verb, colon=colon, whole=whole)
    before, after = outside[:start].strip(" ,;:—-"), outside[end:].strip(" ,;:—-")
    if _of_oneself(outside[max(0, start - 12) : end + 8]) and not _BATS.match(text):
        return 0
    if ruled and not after and len(_WORD.findall(before)) <= 8:
        return 2  # Lotus Notes: "-----NAME wrote: -----"
    if not colon and after and not _only_person(after):
        return 0
    if not colon and not (moment or has_address):
        return 0
    if has_address and (moment or colon):
        if not moment:
            # A name, an address, a verb. An author's sentence has more words than a name has.
            return 1 if len(_WORD.findall(outside)) <= 14 and len(after) <= 80 else 0
        return 2 if len(_WORD.findall(outside)) <= 40 else 0
    if not moment:
        # "Greta Holm wrote:", which counts only right above what is marked as quoted.
        if not colon or after:
            return 0
        return 1 if _NAME_ALONE.match(text) or _is_name(text, before, after, least=2, most=3) else 0
    # No address: the words beside the moment must look like a name.
    words = len(_WORD.findall(before)) + len(_WORD.findall(after))
    if not begins(outside):
        # Lotus Notes: "Name/Unit/Firm wrote on 01/02/2012 12:00:00 PM:"
        if has_date and has_time:
            return (1 if in_log else 2) if words <= 9 else 0
        # "martedì 5 marzo 2024 16:12 CET, NAME ha scritto:" (KMail). Authors write such sentences too.
        return 1 if colon and whole and words <= 12 and _is_name(text, before, after) else 0
    return 2 if words <= (16 if has_time else 9) else 0


def _read_weak(text: str, outside: str, verb: tuple[int, int], *, colon: bool, whole: bool) -> int:
    """As :func:`read`, where the *verb* is one in which sentences of authors end as well.

    With a moment, and an address in brackets right before the verb, or a whole name above what is marked.
    """
    words = len(_WORD.findall(outside))
    if not colon or words > MAX_WEAK_WORDS:
        return 0
    start, end = verb
    before, after = outside[:start].rstrip(" ,;:、"), outside[end:].strip(" ,;:—-")
    if before.endswith("<>") and not after:
        return 2 if whole and begins(outside) else 1 if whole or words <= MAX_NAME_WORDS else 0
    if "@" in outside or "<>" in outside or not whole:
        return 0
    return 1 if _is_name(text, before.strip(" ,;:—-"), after, least=2) else 0


def _words_of(text: str) -> list[str]:
    return text.replace("，", " ").replace("、", " ").split()


def _date_first(found: re.Match[str]) -> str:
    """Return the moment in brackets of "NAME skrev: (5 mars 2024 16:12)" before a colon, else all of it."""
    inner = found[1]
    person = "<" in found.string[: found.start()]
    return f" {inner}:" if person and is_timestamp(inner) and len(_WORD.findall(inner)) <= 4 else found[0]


def _is_name(text: str, before: str, after: str, *, least: int = 0, most: int = 5) -> bool:
    """Whether a name stands beside the verb of *text*, which ends in a colon and has no address.

    *before*, *after*: what stands around the verb, in ``casefold``. The name is what lies between the verb
    and the moment, or what stands before the verb. *least*: words of it that must begin with a capital
    letter, which many scripts have not.
    """
    words = _words_of(text.rstrip(_COLON_LAST))
    left = words[: len(_words_of(before))]
    right = words[len(words) - len(_words_of(after)) :]
    numbered = [index for index, word in enumerate(left) if _NUMBER.search(word)]
    if numbered:
        name = right or left[numbered[-1] + 1 :]
        if not any(word[0].isupper() for word in name):
            name = left[: numbered[0]]  # "NAME 이(가) 24. 3. 5. 오후 4:12 에 쓴 글:"
    else:
        name = left or list(takewhile(lambda word: not _NUMBER.search(word), right))
    name = [word for word in name if word.strip("(),") not in dates.ZONES]
    capital = sum(word[0].isupper() for word in name)
    return (
        0 < len(name) <= most
        and capital >= least
        and all(
            (word[0].isalpha() and not word[0].islower()) or word.casefold() in lexicon.PARTICLES
            for word in name
        )
    )


def _of_oneself(folded: str) -> bool:
    """Whether "I wrote", "she wrote" and the like stand in *folded*, and not "Mario Rossi wrote"."""
    for words in lexicon.FIRST_PERSON:
        at = folded.find(words)
        if at < 0 or folded[at - 1 : at].isalpha():
            continue
        if not words[-1].isascii() or not folded[at + len(words) :][:1].isalpha():  # "я написал|а"
            return True
    return False


_NAME_ALONE = pattern(r"(?:[^\W\d_a-z][\w.'’-]*[ \t]){1,3}[^\W\d_]+(?:[ \t][^\W\d_]+)?\s*[:：]$")
_ATMAIL = pattern(r"On [^\W\d_]{2,12}\.? \d\d?/\d\d?/\d{2,4} +\d\d?:\d\d ?, [^@]{1,120}@[^\s@]{1,120} sent:$")
# Not behind another point: "Prof. Dr. phil. Anna Huber".
_BOUNDARY = pattern(r"(?<!\. )(?<!\w)([^\W\d_])[^\W\d_]{4,}\. +([^\W\d_])")  # not "prof. Anna Nowak"
# The Bat!, in Russian and in English.
_RUSSIAN_BAT = pattern(r"Вы писали \d\d? [^\W\d_]{3,9} \d{4}(?: г\.)?, \d\d?:\d\d:\d\d:$")
_BATS = pattern(r"[A-Z][a-z]+day, [A-Z][a-z]+ \d\d?, \d{4}, \d\d?:\d\d:\d\d(?: [AP]M)?, you wrote:$")


def _two_sentences(text: str) -> bool:
    """Whether a sentence ends within *text*, which an attribution does not have: "… comes. Ann wrote:"."""
    return "@" not in text and any(end[1].islower() and end[2].isupper() for end in _BOUNDARY.finditer(text))


def is_flattened(line: str) -> bool:
    """Whether *line* is an attribution with its marked quotation behind it: a gateway joined the lines."""
    at = line.find(": >")
    head = line[: at + 1]
    return 0 < at < MAX_CHARS and "@" in head and begins(normalised(head)) and read(head) == 2


def is_sure(text: str) -> bool:
    """Whether *text*, read as an attribution, may part a mail where no marked quotation follows."""
    if read(text) == 2:
        return True
    core = normalised(text)
    folded = core.casefold()
    if "<" not in core or folded.startswith((*lexicon.QUOTING, *lexicon.QUOTING_ADDRESS, *lexicon.YOU_WROTE)):
        return False
    outside = _ANGLES.sub(" <> ", folded)
    verb = _last_verb(outside)
    return verb is not None and outside[slice(*verb)] not in _weak_verbs()


def is_groupwise(text: str) -> bool:
    """Whether *text* is GroupWise's line: ``>>> "Walsh, Fiona" <f@example.com> 3/4/2015 2:11 PM >>>``."""
    return (
        len(text) <= 300
        and text.startswith(">>> ")
        and text.endswith(">>>")
        and _TIME.search(text) is not None
        and len(_NUMBER.findall(text)) >= 4
    )


def has_moment(text: str) -> bool:
    """Whether *text* holds a date, or a time of day beside other numbers."""
    if _FULL_DATE.search(text):
        return True
    numbers = len(_NUMBER.findall(text))
    return (numbers >= 3 and _TIME.search(text) is not None) or (
        numbers >= 2 and _YEAR.search(text) is not None
    )


def is_timestamp(text: str, *, loose: bool = True) -> bool:
    """Whether *text* holds a whole moment, as programs write it: a date with its year, and a time of day.

    *loose*: a year of two digits will do.
    """
    text = text.replace("\uff1a", ":")
    date = _FULL_DATE.search(text)
    rest = text if date is None else f"{text[: date.start()]} {text[date.end() :]}"
    if _YEAR.search(rest) or (loose and date is None and len(_NUMBER.findall(text)) >= 4):  # "5 Mar 24 10:12"
        return _TIME.search(text) is not None
    return date is not None and _TIME.search(rest) is not None  # "5.03.2024" is no time


def has_verb(text: str) -> bool:
    """Whether *text*, of which the end is looked at, holds a verb of writing outside addresses."""
    outside = _ADDRESS.sub(" @ ", _ANGLES.sub(" <> ", text[-2 * MAX_CHARS :].casefold()))
    verb = _last_verb(outside)
    return verb is not None and outside[slice(*verb)] not in _weak_verbs()


def looks_introducing(text: str) -> bool:
    """Whether *text*, a paragraph right above ``>``, names whom it quotes, by an address or a verb."""
    text = normalised(text)
    if not 4 <= len(text) <= 240 or len(_WORD.findall(text)) > 16 or not text.endswith(_COLONS):
        return False
    if _ANGLE_END.search(text):
        return len(_WORD.findall(_ADDRESS.sub("", text))) <= 6
    return looks_loose(text) and (_ADDRESS.search(text) is not None or has_verb(text))


def _last_verb(outside: str) -> tuple[int, int] | None:
    """Return (start, end) of the last verb, of those at one place the longest.

    Looked for one by one: as one pattern they took longer to compile than all else of a reply took to read.
    """
    found: list[tuple[int, bool, int]] = []
    for shortest, verbs in _verbs():
        if shortest not in outside:
            continue
        for verb, joined in verbs:
            start = outside.find(verb)
            while start >= 0:
                end = start + len(verb)
                if joined or not (_is_letter(outside[start - 1 : start]) or outside[end : end + 1].isalnum()):
                    found.append((start, joined, -end))
                start = outside.find(verb, start + 1)
    last = None
    position = 0
    for start, _, minus_end in sorted(found):
        if start >= position:  # none begins within another
            last = start, -minus_end
            position = -minus_end
    return last


def _is_letter(sign: str) -> bool:
    return sign.isalnum() and not sign.isdecimal()


def _only_person(after: str) -> bool:
    return len(after) <= 120 and ("<>" in after or "@" in after)


def introduces_nobody(text: str) -> bool:
    """Whether *text*, which ends in a colon, names no writer and no moment: "The log says:"."""
    if len(text) > MAX_CHARS:
        return False
    words = len(_WORD.findall(text))
    return (
        3 <= words <= 30
        and "@" not in text
        and len(_NUMBER.findall(text)) < 3
        and text.split()[-2:][0][:1].islower()
        and not has_verb(text)
    )


_ANGLE_END = pattern(r"<[^<>@\s]{1,64}@[^<>@\s]{1,255}>\s*[:：]$")
_SOME = r"[^\s\d,.،]{1,20}"
_DATE_NOW = pattern(rf"[^\w]*(?:{_SOME}[.,،]*\s+|{_SOME}[.,،]+\s+{_SOME}\s+)?\d")


def begins(text: str) -> bool:
    """Whether *text* begins as attributions do: with a lead word, a weekday or a date."""
    first = text[:40].casefold().split(None, 1)
    return bool(first) and (first[0].strip(",.") in lexicon.LEADS or _DATE_NOW.match(text[:60]) is not None)


def begins_with_lead(text: str) -> bool:
    """Whether the first word of *text* is one that attributions begin with."""
    first = normalised(text)[:40].casefold().split(None, 1)
    return bool(first) and first[0].strip(",.") in lexicon.LEADS


def looks_loose(text: str) -> bool:
    """Whether *text*, right above what is known to be a quotation, is its attribution in any language."""
    text = normalised(text)
    if not 4 <= len(text) <= MAX_CHARS:
        return False
    if read(text):
        return True
    colon = text.endswith(_COLONS)
    numbers = len(_NUMBER.findall(text))
    if "@" in text and _ADDRESS.search(text):
        return (
            (colon or _ADDRESS_LAST.search(text) is not None)
            and len(_WORD.findall(text)) <= 24
            and numbers >= 2
        )
    return colon and numbers >= 3 and _TIME.search(text) is not None and len(_WORD.findall(text)) <= 20


def glued(line: str, below: str = "", *, marked: bool = False) -> int:
    """Return where in *line* an attribution begins behind the author's words, else -1.

    *below* is what of the attribution stands on the next lines, joined; *marked*: a marked quotation follows.
    """
    if begins(normalised(line)):
        return -1
    for match in islice(_GLUED.finditer(line[:2000]), 4):
        found = line[match.start() :] + " " + below
        # With neither a time nor an address it is the author's next sentence.
        if match.start() and read(found) == 2 and (marked or "@" in found or _TIME.search(found)):
            return match.start()
    return -1
