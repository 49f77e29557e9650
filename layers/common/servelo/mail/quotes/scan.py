"""The lines of a mail, and what parts them: attributions, header blocks, separators, quote marks, markup.

Most lines are passed over for what they begin and end with. What is costly to look at (could an attribution
end here? is this a block of header fields?) draws on a budget that no real mail comes near: a thread of years
has some hundred such lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import compress, count

from servelo.mail.quotes import attribution, header_block, separators, signature
from servelo.patterns import pattern
from servelo.records import dataclass, field

BUDGET = 2000
BLOCK = 2000  # lines of which is told at once which are looked at
MAX_PARTED = 50  # lines made two: each moves all that are behind it
MAX_PARTED_CHARS = 2000
LINES_A_LOOK = 200  # that are gone through quickly for 1 of the budget
MAX_LINES_SHOWN = 200  # of a mail that the author shows, above what is quoted
MAX_CONTACT = 200  # characters of a line that may hold a number to call
MAX_CITED = 500  # characters of a line in quotation marks
MAX_FIELDS_ABOVE = 6  # fields of a header right above an attribution: Yandex writes both
MAX_RAW_FIELDS = 30  # lines above a header block that may be of the same mail's header
MAX_DEVICE = 120  # characters of a line that names a device
CHARS_A_LOOK = 50  # what 1 of the budget pays for; attributions are seldom longer than what IN_VAIN does
MAX_NOTES_LINES = 6  # of a sender and a moment, above the "To" of Lotus Notes
IN_VAIN = 4  # what a costly look that found nothing takes from the budget; one that found something takes 1
INVISIBLE = (
    " \t\xa0\x00\x0b\x0c\x1c\x1d\x1e\x1f\x85\u1680\u2028\u2029\u202f\u205f\u3000\xad"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_LINE_ENDS = pattern(r"\r\n?")
_QUOTED = pattern(r"^[ \t]{0,3}(?:>|&gt;|＞)")
_QUOTE_MARKS = pattern(r"^(?:[ \t]*+(?:>|&gt;|＞))++[ \t]?")
_RULE_FIRST = frozenset("-_=*~+#—–‐‑―─━•")
_RULE_LAST = frozenset(":：-_=*")
_QUOTE_FIRST = frozenset(">＞&")
_COMPARED = pattern(r">=? ?[\d.,]*\d[ %]?[^\W\d_]{0,3}(?![^\W\d_])")
_ARROWS = (">>> >>>", ">:", ">_<", ">.<", "><")


@dataclass(slots=True)
class Lines:
    """A mail as lines, with what is known of each.

    Attributes:
        lines: without line ends.
        shown: the lines without white space and invisible signs at both ends; ``""`` is a blank line.
        quoted: 1 for each line that belongs to a quotation (``>`` or markup).
        bare: 1 for each line in a blockquote without a program's mark.
        attributions: first line of an attribution -> index behind its last.
        attributed: 1 for each line of an attribution.
        begins, rest: where the markup says that a quotation begins, or that all is quoted from there on.
        signature: lines that the markup calls a signature.
        html: the lines were laid out from HTML.
        wordless: the lines before this one are known not to be the author's words.
        parted: how many lines were made two.
        block: the first of the lines of which it was told last whether they are looked at.
        looked_at: 1 for each line from there on that ``find_parting`` looks at.
        budget: what is left for costly looks.
    """

    lines: list[str]
    shown: list[str]
    quoted: bytearray
    bare: bytearray
    attributed: bytearray
    attributions: dict[int, int] = field(default_factory=dict)
    begins: set[int] = field(default_factory=set)
    rest: set[int] = field(default_factory=set)
    signature: set[int] = field(default_factory=set)
    html: bool = False
    wordless: int = 0
    parted: int = 0
    block: int = 0
    looked_at: bytearray = field(default_factory=bytearray)
    budget: int = BUDGET

    @classmethod
    def of(cls, lines: list[str], *, html: bool = False) -> Lines:
        size = len(lines)
        shown = [line.strip(INVISIBLE) for line in lines]
        return cls(lines, shown, bytearray(size), bytearray(size), bytearray(size), html=html)

    @classmethod
    def of_text(cls, text: str) -> Lines:
        return cls.of((_LINE_ENDS.sub("\n", text) if "\r" in text else text).split("\n"))

    def attribute(self, start: int, end: int) -> None:
        """Note that the lines from *start* up to *end* are an attribution."""
        self.attributions[start] = end
        for index in range(start, min(end, len(self.lines))):
            self.attributed[index] = 1

    def part_line(self, index: int, column: int) -> None:
        """Make two lines of the one at *index*."""
        self.parted += 1
        line = self.lines[index]
        halves = [line[:column], line[column:]]
        self.lines[index : index + 1] = halves
        self.shown[index : index + 1] = [half.strip(INVISIBLE) for half in halves]
        for flags in (self.quoted, self.bare, self.attributed):
            flags[index:index] = b"\0"
        at = max(0, index - self.block)
        self.looked_at[at:at] = b"\1"
        # What is marked from this line on is marked behind the new one.
        for marks in (self.begins, self.rest, self.signature):
            moved = [mark + 1 for mark in marks if mark >= index]
            marks.difference_update([mark - 1 for mark in moved])
            marks.update(moved)

    def spend(self, least: int, last: int) -> None:
        """Take *least* from the budget, and more where the lines up to *last* were long to read."""
        size = sum(map(len, self.shown[max(0, last - attribution.MAX_LINES + 1) : last + 1]))
        self.budget -= max(least, min(size, attribution.MAX_CHARS) // CHARS_A_LOOK)

    def is_words(self, index: int) -> bool:
        """Whether the author wrote the line: not blank, no quotation, no rule."""
        return (
            self.shown[index] != ""
            and not self.quoted[index]
            and not self.attributed[index]
            and not separators.is_rule(self.shown[index])
        )

    def has_words_above(self, end: int) -> bool:
        """As ``has_words(0, end)``, in linear time however often it is asked."""
        while self.wordless < end:
            if self.is_words(self.wordless):
                return True
            self.wordless += 1
        return False

    def has_words(self, start: int, end: int) -> bool:
        return any(self.is_words(index) for index in range(start, end))


@dataclass(frozen=True, slots=True)
class Parting:
    """Where a mail is parted: from line *index* on everything is quoted, but for what *kind* says.

    *kind*: ``""`` nothing parts the mail (*index* is behind the last line), ``forward`` a mail passed on
    begins, ``attribution`` one with no marked quotation below it, or ``headers``, ``original``, ``marker``,
    ``rest`` (the markup said so), ``device`` (text goes on below "sent from my phone").
    """

    index: int
    kind: str


def find_parting(mail: Lines, markers: tuple[str, ...]) -> Parting:
    """Find the first line that parts the mail, and mark quoted lines and attributions above it.

    *markers* are the phrases of "reply above this line" that the mail holds. A line that the author's words
    share with an attribution is made two.
    """
    lines, shown, quoted, bare = mail.lines, mail.shown, mail.quoted, mail.bare
    evidence = bool(mail.rest or mail.begins)
    names_of_to = header_block.names_of_to()
    behind = 0  # lines before this one belong to an attribution already
    for index in _worth_looking(mail, markers):
        text = shown[index]
        if not text or index < behind:
            continue
        if evidence and index:
            if index in mail.rest:
                return Parting(index, "rest")
            if index in mail.begins and not quoted[index] and text[0] not in ">＞" and mail.budget > 0:
                end = _loose_end(mail, index)
                mail.spend(1 if end > index else IN_VAIN, index + 3)
                if end > index:
                    mail.attribute(index, end)
                    if not _quote_follows(mail, end):
                        return Parting(index, "attribution")
                    behind = end
                    continue
        if bare[index]:
            continue
        first = text[0]
        if markers and len(text) >= separators.MIN_MARKER and separators.is_marker(text, markers):
            if mail.budget <= 0 or not _is_cited_marker(mail, index):
                return Parting(_above_marker(mail, index), "marker")
            mail.spend(IN_VAIN, index)  # the author cites it, or shows a form
        if (
            first == ">"
            and index
            and quoted[index - 1]
            and not evidence
            and (len(text) == 1 or (text[1] == " " and text[2:3].isalpha() and "<<<" not in text[:200]))
        ):
            quoted[index] = 1  # an attribution or a forward would have been seen at the first of these lines
            continue
        if first == ">" and text.startswith(">>>") and mail.budget > 0 and _arrow_attribution(text):
            mail.spend(1, index)
            mail.attribute(index, index + 1)
            if not _quote_follows(mail, index + 1):
                return Parting(index, "attribution")
            behind = _take_initials(mail, index + 1)
            continue
        if not quoted[index] and (first in ">＞" or (first == "&" and text.startswith("&gt;"))):
            quoted[index] = "<<<" not in text[:200] and (
                len(text) == 1
                or (text[1] == " " and text[2:3].isalpha())  # as nearly all are
                or not (text.startswith(_ARROWS) or (_COMPARED.match(text) and _is_comparison(mail, index)))
            )
            if quoted[index] and index and not mail.html and not quoted[index - 1] and mail.budget > 0:
                mail.spend(1, index)
                if not _take_loose(mail, index) and _is_own_quotation(mail, index):
                    behind = _block_end(mail, index)
                    quoted[index] = 0
                    continue
        if quoted[index]:
            if first == ">" and len(text) > 5:
                if _inner_forward(mail, index):
                    return Parting(index, "forward")
                if index and len(text) <= 30 and mail.budget > 0 and _lost_angle(mail, index):
                    mail.spend(IN_VAIN, index)
                    start = _attribution_start(mail, index)
                    if start >= 0:
                        quoted[index] = 0
                        behind = index + 1
                        mail.attribute(start, behind)
                        if not _quote_follows(mail, behind):
                            return Parting(start, "attribution")
                        continue
            if not (evidence and index and index in mail.begins and mail.budget > 0):
                continue
            mail.budget -= IN_VAIN
            if header_block.read(lines, index) > index:
                # A cited block that begins with header fields is how mail programs forward in HTML.
                forward = first == ">" and not mail.attributions
                return Parting(index, "forward" if forward else "headers")
            continue
        label = text.partition("  ")[0] if mail.html else text  # in HTML it is a table
        if len(label) <= 24 and index > 1 and mail.budget > 0 and label.casefold() in names_of_to:
            start = _notes_header(mail, index)
            if start >= 0:
                return Parting(start, "headers")
            mail.budget -= IN_VAIN
        if text.endswith(_NOTES_TO) and mail.budget > 0 and not mail.html:
            start = _notes_table(mail, index)
            if start >= 0:
                return Parting(start, "headers")
            mail.budget -= IN_VAIN
        if len(text) < 4 and (mail.budget <= 0 or text[-1] not in ":：" or not shown[index - 1]):
            continue
        last = text[-1]
        if first in _RULE_FIRST or last in _RULE_LAST or len(text) <= 60:
            sort = separators.read(text)
            if sort:
                if sort != separators.BARE_ORIGINAL:
                    forward = sort == separators.FORWARDED
                    if _is_mention(mail, index, forward=forward):
                        continue
                    return Parting(index, "forward" if forward else "original")
                if mail.budget > 0:
                    if _header_follows(mail, index + 1):
                        return Parting(index, "original")
                    mail.budget -= IN_VAIN
        named = (":" in text[:60] or "：" in text[:60] or first == "|") and mail.budget > 0
        if named and header_block.field(text) is not None:
            end = _header_end(mail, index)
            if end > index and not _is_introduced(mail, index, end):
                return Parting(_with_title(mail, index), "headers")
            mail.budget -= IN_VAIN
            if end > index:
                behind = end
                continue
            start = _notes_header(mail, index) if _NOTES_ADDRESS.search(text) else -1
            if start >= 0:
                return Parting(start, "headers")
        if ": >" in text and mail.budget > 0 and not any(shown[i] for i in range(index + 1, len(lines))):
            if attribution.is_flattened(text):
                mail.attribute(index, index + 1)
                return Parting(index, "attribution")
            mail.spend(IN_VAIN, index)
        if mail.budget > 0 and attribution.may_end(text):
            found = _read_attribution(mail, index)
            if found is not None:
                start, end = found
                if not _quote_follows(mail, end) and not _parts_alone(mail, start, end):
                    mail.spend(IN_VAIN // 2, index)
                    continue
                mail.spend(1, index)
                start = _with_fields(mail, start)
                mail.attribute(start, end)
                if not _quote_follows(mail, end):
                    return Parting(start, "attribution")
                behind = _take_initials(mail, end)
                continue
            mail.spend(IN_VAIN, index)
        if mail.html or len(text) > MAX_DEVICE or mail.budget <= 0 or not index or shown[index - 1]:
            continue
        if signature.is_named_device(text):
            if _stands_alone(mail, index):
                return Parting(index + 1, "device")
            mail.spend(IN_VAIN, index)
            mail.spend(IN_VAIN, index + attribution.MAX_LINES)  # the lines below were read as well
        elif signature.sent_words(text):
            mail.budget -= 1
    return Parting(len(lines), "")


def _worth_looking(mail: Lines, markers: tuple[str, ...]) -> Iterator[int]:
    """Yield the lines that could part the mail or be quoted; nearly all of a long mail are passed over.

    They are told in blocks, each at once: that is ten times as fast as to decide on each line.
    """
    while mail.block < len(mail.lines):
        mail.looked_at = _flags(mail, mail.block, markers)
        yield from compress(count(mail.block), mail.looked_at)
        mail.block += len(mail.looked_at)


def _flags(mail: Lines, start: int, markers: tuple[str, ...]) -> bytearray:
    """Return 1 for each of the ``BLOCK`` lines from *start* on that is to be looked at."""
    starts = separators.beginnings()
    shortest = separators.MIN_MARKER if markers else 1 << 62
    nothing = ("",) if mail.budget > 0 else ("", separators.BARE_ORIGINAL)
    shown = mail.shown[start : start + BLOCK]
    flags = bytearray(
        [
            text != ""
            and (
                (text[0] in _QUOTE_FIRST and (text[0] != "&" or text.startswith("&gt;")))
                or (
                    len(text) > 3
                    and (
                        len(text) >= shortest
                        or (
                            (text[0] in separators.EDGES or text[:2].casefold()[:2] in starts)
                            and separators.read(text) not in nothing
                        )
                    )
                )
            )
            for text in shown
        ]
    )
    if mail.budget > 0:  # else only these are looked at
        last_signs, ends = attribution.endings()
        names = header_block.names_of_to()
        above = [mail.shown[start - 1] if start else "", *shown]
        device = 0 if mail.html else MAX_DEVICE
        flags = bytearray(
            [
                flag
                or (
                    text != ""
                    and (
                        (
                            (len(text) > 3 or text[-1] in ":：")
                            and (text[-1] in last_signs or text[-2:].casefold()[-2:] in ends)
                            and attribution.may_end(text)
                        )
                        or (len(text) <= 24 and text.casefold() in names)
                        or text.endswith(_NOTES_TO)
                        or (mail.html and "  " in text and text.partition("  ")[0].casefold() in names)
                        or (
                            (":" in text or "：" in text or text[0] == "|")
                            and len(text) > 3
                            and (
                                header_block.field(text) is not None
                                or (
                                    (text[0] == '"' or "news:" in text or "GMT" in text or "UTC" in text)
                                    and attribution.may_end(text)
                                )
                                or ": >" in text
                            )
                        )
                        or (not before and len(text) <= device and signature.sent_words(text) != "")
                    )
                )
                for flag, text, before in zip(flags, shown, above, strict=False)
            ]
        )
    for marks in (mail.rest, mail.begins):
        for index in marks.intersection(range(start, start + len(shown))) if marks else ():
            flags[index - start] = 1
    return flags


def _parts_alone(mail: Lines, start: int, end: int) -> bool:
    """Whether the attribution from *start* to *end* parts a mail though no marked quotation follows it."""
    text = " ".join(mail.shown[start:end])
    if not attribution.is_sure(text):
        return False
    if attribution.has_verb(text):
        above = mail.shown[start - 1] if start else ""
        # "the mail in which our manager, Sheila Dunne, / on 4 December wrote:" is a sentence of the author.
        within = (
            text[0].islower()
            and above[-1:] == ","
            and above.count(" ") >= signature.MIN_SPACES
            and "@" not in text
        )
        return not within and ("@" in text or not _is_cited(mail, end))
    # A moment and an address without a verb, and the same on the line beside it: the author's own list.
    beside = [*mail.shown[end : end + 1], *mail.shown[max(0, start - 1) : start]]
    return not any(line and attribution.read(line) and not attribution.has_verb(line) for line in beside)


def _with_fields(mail: Lines, start: int) -> int:
    """Return where a header's fields begin that stand below a rule and above the attribution at *start*."""
    first = start
    while (
        start - first < MAX_FIELDS_ABOVE
        and first
        and not mail.quoted[first - 1]
        and header_block.field(mail.shown[first - 1]) is not None
    ):
        first -= 1
    ruled = first > 0 and separators.is_rule(mail.shown[first - 1])
    return first if ruled and start - first >= 2 else start


def _is_cited(mail: Lines, index: int) -> bool:
    """Whether one sentence in quotation marks stands at *index*, with the author's words below it."""
    below = [text for text in mail.shown[index : index + 6] if text][:2]
    return len(below) == 2 and len(below[0]) < MAX_CITED and _CITED.fullmatch(below[0]) is not None


def _read_attribution(mail: Lines, index: int) -> tuple[int, int] | None:
    """Return (first line, index behind the last) of the attribution that ends with line *index*, or None."""
    lines = mail.lines
    text = mail.shown[index]
    if len(lines[index]) <= MAX_PARTED_CHARS and mail.parted < MAX_PARTED:
        column = attribution.glued(lines[index], marked=_quote_follows(mail, index + 1))
        if column > 0:
            mail.part_line(index, column)
            return index + 1, index + 2
    if len(text) > attribution.MAX_CHARS:
        return None
    start = _attribution_start(mail, index)
    if start < 0:
        return None
    end = _attribution_end(mail, index)
    if start < index and mail.parted < MAX_PARTED:
        column = attribution.glued(lines[start], " ".join(mail.shown[start + 1 : index + 1]))
        if column > 0:
            mail.part_line(start, column)
            return start + 1, end + 1
    return start, end


_INITIALS = pattern(r"[ \t]{0,8}[A-Za-z][A-Za-z.-]{0,14}>")


def _arrow_attribution(text: str) -> bool:
    """Whether *text* is an attribution that begins with arrows: GroupWise's, or Supercite's of Emacs."""
    if attribution.is_groupwise(text):
        return True
    return text.startswith(">>>>> ") and len(text) <= 300 and attribution.read(text) > 0


def _take_initials(mail: Lines, index: int) -> int:
    """Mark the lines from *index* on that Supercite quotes ("Lars> …"); return the index behind them."""
    end = behind = index
    while index < len(mail.lines) and not mail.shown[index]:
        index += 1
    for line in range(index, len(mail.lines)):
        if _INITIALS.match(mail.lines[line]):
            mail.quoted[line] = 1
            end = line + 1
        elif mail.shown[line]:
            break
    initials = mail.lines[index][: mail.lines[index].find(">") + 1] if end > index else ""
    if initials and _are_of(initials, mail.shown[behind - 1]):  # and between the answers
        mail.budget -= (len(mail.lines) - end) // LINES_A_LOOK
        for line in range(end, len(mail.lines)):
            if mail.lines[line].startswith(initials):
                mail.quoted[line] = 1
    return end


def _are_of(initials: str, line: str) -> bool:
    """Whether *initials* ("HW>", "Lars>") are of somebody whom *line*, an attribution, names."""
    words = [word for word in line[: attribution.MAX_CHARS].split() if word[:1].isupper()]
    name = initials.strip("> \t.").casefold()
    firsts = "".join(word[0] for word in words).casefold()
    return len(name) > 1 and (name in firsts or name in [word.strip(",.").casefold() for word in words])


def _take_loose(mail: Lines, index: int) -> bool:
    """Take the lines above the first ``>`` line for its attribution if they look like one; return if so."""
    shown = mail.shown
    last = index - 1
    while last > index - 4 and last >= 0 and not shown[last]:
        last -= 1
    if last < 0 or not shown[last]:
        return False
    if mail.attributed[last]:
        return True
    joined = ""
    for start in range(last, max(-1, last - 3), -1):
        if not shown[start] or mail.quoted[start] or len(shown[start]) > attribution.MAX_CHARS:
            return False
        joined = shown[start] + " " + joined
        if (attribution.begins(attribution.normalised(joined)) and attribution.looks_loose(joined)) or (
            (start == 0 or not shown[start - 1]) and attribution.looks_introducing(joined)
        ):
            mail.attribute(start, last + 1)
            return True
    return False


def _lost_angle(mail: Lines, index: int) -> bool:
    """Whether the line ends an attribution wrapped before its ``>``: "… <bob@example.com / > wrote:"."""
    return (
        not mail.html
        and not mail.quoted[index - 1]
        and "<" in mail.lines[index - 1] + mail.lines[max(0, index - 2)]
        and attribution.may_end(mail.shown[index])
    )


def _block_end(mail: Lines, index: int) -> int:
    """Return the index behind the ``>`` lines that begin at *index*."""
    while index < len(mail.lines) and mail.shown[index][:1] in (">", "＞"):
        index += 1
    return index


def _is_own_quotation(mail: Lines, index: int) -> bool:
    """Whether the ``>`` lines from *index* on are the author's: shown on purpose, or a prompt of Python.

    "The log says:" right above them is no attribution: no name alone, no address, no moment, no verb of
    writing.
    """
    for line in range(index, len(mail.shown)):
        text = mail.shown[line]
        if text[:1] not in (">", "＞"):
            return True  # nothing but prompts
        if not text.startswith(">>> "):
            break
    else:
        return True
    above = index - 1
    if above > 0 and not mail.shown[above]:
        above -= 1
    text = mail.shown[above]
    if not text.endswith((":", "：")) or mail.quoted[above] or not mail.is_words(above):
        return False
    return attribution.introduces_nobody(text)


def _is_comparison(mail: Lines, index: int) -> bool:
    """Whether "> 6 bar …" is "greater than": one line, in the middle of a sentence of the author."""
    below = mail.shown[index + 1] if index + 1 < len(mail.shown) else ""
    above = mail.shown[index - 1] if index else ""
    return above[-1:].isalnum() and not mail.quoted[index - 1] and below[:1] not in (">", "＞")


def _inner_forward(mail: Lines, index: int) -> bool:
    """Whether a forwarded mail begins here that is itself quoted (Apple Mail marks forwards with ``>``)."""
    if mail.attributions or any(mail.quoted[max(0, index - 3) : index]):
        return False
    return separators.read(_QUOTE_MARKS.sub("", mail.lines[index])) == separators.FORWARDED


def _is_mention(mail: Lines, index: int, *, forward: bool) -> bool:
    """Whether the author speaks of a separator: his sentence goes on below it, or introduces it."""
    above, below = mail.shown[index - 1] if index else "", mail.shown[index + 1 : index + 2]
    goes_on = above[-1:].isalnum() and bool(below) and below[0][:1].islower()
    if mail.budget <= 0:
        return goes_on and not forward
    if not goes_on and (forward or not _introduces(mail, index - 1)):
        return False
    mail.budget -= IN_VAIN
    fields = [header_block.field(text) for text in mail.shown[index + 1 : index + 4] if text]
    wanted = 2 if goes_on else 1  # a sentence may go on with "to: what I answer"
    return len(fields) < wanted or None in fields[:wanted]


def _header_follows(mail: Lines, index: int) -> bool:
    for following in range(index, min(index + 4, len(mail.lines))):
        if mail.shown[following]:
            return header_block.read(mail.lines, following, lenient=True) > following
    return False


def _header_end(mail: Lines, index: int) -> int:
    """Return the index behind the header block that begins at *index*, *index* if none; a rule may tell."""
    above = index - 1
    while above >= 0 and index - above < 3 and not mail.shown[above]:
        above -= 1
    ruled = above >= 0 and separators.is_rule(mail.shown[above])
    end = header_block.read(mail.lines, index, lenient=ruled)
    within = above == index - 1 and above >= 0 and _LABEL.match(mail.shown[above]) is not None
    if (
        end > index
        and within
        and header_block.roles_of(mail.shown[index:end]).isdisjoint(("from", "subject"))
    ):
        return index  # in the middle of the author's own list
    return end


_TITLE = pattern(r"-{4,}+ ?(?:[^\W\d_]{2,20} ?){1,4}-{4,}+")
_OPENING_MARKS = frozenset("\"“”„«»‚‘'「『《")
_LABEL = pattern(r"[^\W\d_][^:：@]{0,30}[:：] ?\S")
_CITED = pattern(r"[\"“”„«»‚‘'「『《].*[\"“”«»’'」』》][.,;!?…]{0,2}")
_CONTACT = pattern(r"@\w|://|\bwww\.|\d[\d ()/.-]{7,}\d")
_IN_SIGNATURES = pattern(
    r"\b(?:follow|find|visit|like|connect|join|reach|contact) (?:us|me|with)\b|regards|gr(?:ü|ue)(?:ß|ss)e"
    r"|folgen|besuchen|suivez|retrouvez|s[ií]g[au]e?nos|seguici|siga",
    re.I,
)
_RAW_FIELD = pattern(
    r"(?:return-path|received(?:-spf)?|delivered-to|envelope-to|delivery-date|message-id|mime-version"
    r"|authentication-results|dkim-signature|(?:x|arc)-[a-z0-9-]{2,40}):",
    re.I,
)


def _is_cited_marker(mail: Lines, index: int) -> bool:
    """Whether the marker at *index* stands in quotation marks within a sentence, or in the author's form."""
    first = mail.shown[index][0]
    if first in _OPENING_MARKS:
        return index > 0 and all(mail.shown[index - 1 : index + 2]) and len(mail.shown) > index + 1
    return first.isalnum() and _introduces(mail, index - 1)


def _with_title(mail: Lines, index: int) -> int:
    """Return where the header block at *index* begins with the title between rules right above it, if any.

    "-------- Original message --------", in words that are not known.
    """
    above = index - 1
    return above if above >= 0 and _TITLE.fullmatch(mail.shown[above][:120]) else index


def _is_introduced(mail: Lines, index: int, end: int) -> bool:
    """Whether the author shows the header block from *index* to *end*: "I get this when I write to them:".

    "Please see below:" stands above what a program quotes, too: so the block must be without a date, or
    fields of a raw header must stand around it, or the quotation further below, with marks.
    """
    above = index - 1
    for _ in range(MAX_RAW_FIELDS):
        if above < 0 or not (mail.lines[above][:1] in (" ", "\t") or _RAW_FIELD.match(mail.shown[above])):
            break
        above -= 1
    if not _introduces(mail, above):
        return False
    dated = "date" in header_block.roles_of(mail.shown[index:end])
    if not dated and not header_block.is_dated(mail.lines[index : end + 1]):
        return True  # what somebody is to write, say
    around = mail.shown[above + 1 : end + 2]
    return any(_RAW_FIELD.match(text) for text in around) or _is_quoted_below(mail, end)


def _is_quoted_below(mail: Lines, index: int) -> bool:
    """Whether a quotation with marks and an attribution stands below *index*."""
    for line in range(index + 1, min(index + MAX_LINES_SHOWN, len(mail.lines))):
        if mail.shown[line][:1] == ">":
            above = next((i for i in range(line - 1, max(index, line - 4), -1) if mail.shown[i]), 0)
            return (
                above > 0 and attribution.may_end(mail.shown[above]) and _attribution_start(mail, above) >= 0
            )
    return False


def _introduces(mail: Lines, above: int) -> bool:
    """Whether the line at *above*, or above blank lines there, is a sentence that introduces something.

    Not so the end of a signature ("Follow us on:"): contacts stand above it.
    """
    for _ in range(3):
        if above > 0 and not mail.shown[above]:
            above -= 1
    text = mail.shown[above] if above >= 0 else ""
    if not (text.endswith((":", "：")) and mail.is_words(above) and attribution.introduces_nobody(text)):
        return False
    if _IN_SIGNATURES.search(text):
        return False
    return not any(_CONTACT.search(line[:MAX_CONTACT]) for line in mail.shown[max(0, above - 8) : above])


def _notes_header(mail: Lines, index: int) -> int:
    """Return where the header begins that Lotus Notes writes without colons, -1 when "To" is no such line.

    A name and address, a time below it, then "To", "cc" and "Subject", each on a line above its value, or,
    in HTML, in a table beside it.
    """
    shown = mail.shown
    below = shown[index + 1 : index + 16]
    if mail.html:
        below = [text.partition("  ")[0] for text in below]
    fields = {header_block.role_of(text) for text in below if len(text) <= 24} | header_block.roles_of(
        below[:3]
    )
    if "subject" not in fields:
        return -1
    first = index
    dated = False
    for above in range(index - 1, max(-1, index - 8), -1):
        text = shown[above]
        if not text:
            # The sender may stand in a paragraph of its own above the moment's.
            alone = dated and above and first == above + 1 and not shown[first + 1 : first + 2][0]
            if dated and not (alone and _is_sender(shown[above - 1], html=mail.html)):
                break
            continue
        if mail.html and "  " in text:
            return -1  # a table of the author's: sender and moment have no names in Lotus Notes
        if len(text) > 160 or mail.quoted[above]:
            break
        dated = dated or attribution.has_moment(text)
        first = above
    return first if dated else -1


_NOTES_TO = "   To"  # at the right of the sender's cell, above the addressee
_NOTES_ADDRESS = pattern(r"^\S{1,12}: [^/@]{2,60}(?:/[^/@]{1,30}){1,4}@\S")  # "To: Bob Ray/Sales/Firm@Firm"
_INDENT = " " * 8


def _notes_table(mail: Lines, index: int) -> int:
    """Return where the table begins that Lotus Notes writes with spaces, its "To" at *index*; else -1.

    The sender and the moment stand at the left, "To", "cc" and "Subject" at the right, each above its value.
    """
    right = [text.rpartition("   ")[2].strip() for text in mail.shown[index + 1 : index + 10]]
    if "cc" not in right or "Subject" not in right[right.index("cc") :]:
        return -1
    first = index
    while (
        first
        and first > index - MAX_NOTES_LINES
        and mail.shown[first - 1]
        and mail.lines[first - 1].startswith(_INDENT)
    ):
        first -= 1
    return first if attribution.has_moment(" ".join(mail.shown[first : index + 6])) else -1


# "Ann Lee/Sales/Firm"
_NOTES_NAME = pattern(
    r"[^\W\d_a-z][\w.'’-]*(?: [^\W\d_a-z][\w.'’-]*){1,3}(?:/[^\W\d_a-z][^/@.!?:]{0,30}){1,4}"
)
_NAME_ADDRESS = pattern(r'"?[^"<>@]{1,60}"? ?<[^<>@\s]{1,64}@[^<>@\s]{1,200}>')


def _is_sender(text: str, *, html: bool) -> bool:
    """Whether *text*, a line above the moment of a Lotus Notes header, names its sender."""
    return (
        (html and "@" in text)
        or _NAME_ADDRESS.fullmatch(text[:300].strip()) is not None
        or _NOTES_NAME.fullmatch(text[:200].strip()) is not None
    )


def _attribution_start(mail: Lines, index: int) -> int:
    """Return the first line of the attribution that ends with line *index*, -1 when it ends none."""
    shown = mail.shown
    best = -1
    joined = person = ""
    blanks = used = 0
    for start in range(index, max(-1, index - attribution.MAX_LINES - 2), -1):
        text = shown[start]
        if not text:
            # Polymail puts empty lines into an attribution, but only around its angle brackets.
            blanks += 1
            if blanks > 1 or not joined.startswith("<"):
                break
            continue
        if mail.quoted[start] and start != index and not mail.quoted[index]:
            break
        if best >= 0 and text[-1] in ":：":
            break  # it introduces something itself
        used += 1
        below = joined
        joined = f"{text} {joined}" if joined else text
        if used > attribution.MAX_LINES or len(joined) > attribution.MAX_CHARS:
            break
        sure = attribution.read(joined)
        if sure == 2 and (best < 0 or _opens(mail, start, text, below)):
            return _with_lead(mail, start, joined)
        if sure == 1 and best < 0:
            # A name and a verb: the moment may stand on the line above.
            best, person = start, joined
    return _with_angle(mail, best, person)[0] if best > 0 else best


def _opens(mail: Lines, start: int, text: str, below: str) -> bool:
    """Whether an attribution opens in this line: with a word or date as they do, or with its paragraph."""
    return (
        attribution.begins(attribution.normalised(text))
        or attribution.glued(text, below) > 0
        or (text[-1] not in ".!?:;" and (start == 0 or not mail.shown[start - 1]))
    )


def _with_angle(mail: Lines, start: int, joined: str) -> tuple[int, str]:
    """Return (first line, joined text), with "NAME <" from the line above when broken within the brackets."""
    above = mail.shown[start - 1]
    if (
        -1 < joined.find(">") < (joined + "<").find("<")
        and "<" in above[-200:]
        and len(above) <= attribution.MAX_CHARS
    ):
        return start - 1, f"{above} {joined}"
    return start, joined


def _with_lead(mail: Lines, start: int, joined: str) -> int:
    """Return the line where the attribution that is complete from *start* on really begins."""
    if start == 0:
        return start
    start, joined = _with_angle(mail, start, joined)
    if start == 0:
        return start
    previous = mail.shown[start - 1]
    if attribution.begins(attribution.normalised(joined)):
        # Broken within the date: "On Thu, Mar 7," above "2024 at 5:40 PM, NAME wrote:".
        broken = previous[-1:] == "," and len(previous) <= 40 and attribution.begins_with_lead(previous)
        return start - 1 if broken and not mail.quoted[start - 1] else start
    if not previous or len(previous) > 120 or mail.quoted[start - 1] or previous[-1] in ".!?:;":
        return start
    if attribution.begins(attribution.normalised(previous)) and attribution.read(f"{previous} {joined}") == 2:
        return start - 1
    return start


def _attribution_end(mail: Lines, index: int) -> int:
    """Return the index behind the attribution that ends at *index*, address and verb below it included."""
    end = index + 1
    shown = mail.shown
    if end < len(shown) and shown[end].startswith("<") and "@" in shown[end][:300]:
        following = end + 1
        below = shown[following] if following < len(shown) and shown[end].endswith(">") else ""
        if 0 < len(below) <= 24 and attribution.may_end(below):
            return following + 1
        if shown[end].endswith(":"):
            return following
    return end


def _loose_end(mail: Lines, index: int) -> int:
    """Return the index behind the attribution at *index*, where markup says one begins; *index* if none."""
    joined = ""
    for end in range(index, min(index + 4, len(mail.lines))):
        joined += " " + mail.shown[end]
        if len(joined) > attribution.MAX_CHARS * 2:
            break
        if attribution.looks_loose(joined):
            return end + 1
    return index


def _quote_follows(mail: Lines, end: int) -> bool:
    """Whether marked quotation stands right below an attribution, so that it ends with its marks."""
    for index in range(end, min(end + 5, len(mail.lines))):
        if mail.quoted[index] or mail.bare[index]:
            return True
        if mail.shown[index]:
            line = mail.lines[index]
            return _QUOTED.match(line) is not None or _INITIALS.match(line) is not None
    return False


def _stands_alone(mail: Lines, index: int) -> bool:
    """Whether the "sent from" line has words above, an empty line on both sides, and unmarked text below."""
    lines, shown = mail.lines, mail.shown
    if index == 0 or index + 2 >= len(lines) or mail.html or shown[index - 1] or shown[index + 1]:
        return False
    if not mail.has_words_above(index) or signature.goes_on(mail.shown, index):
        return False
    # More of the kind below, a delimiter, a quotation or an attribution: they tell where the mail parts.
    seen = 0
    for i in range(index + 1, len(lines)):
        text = shown[i]
        if not text:
            continue
        if (
            signature.is_sent_from(text)
            or signature.is_delimiter(lines[i])
            or signature.is_footer(lines, i)
            or _QUOTED.match(lines[i])
            or separators.is_rule(text)
            or separators.read(text)
            or header_block.field(text) is not None
        ):
            return False
        seen += 1
        if seen > 7:
            break
        if attribution.may_end(text) and _attribution_start(mail, i) >= 0:
            return False
        if attribution.read(text + " " + (shown[i + 1] if i + 1 < len(lines) else "")):
            return False
    return seen > 0


def _above_marker(mail: Lines, index: int) -> int:
    """Return where the quotation that opens with a marker line begins: its attribution stands above it."""
    shown = mail.shown
    start = index
    while start and not shown[start - 1].strip(" \t>|"):
        start -= 1
    for first, end in mail.attributions.items():
        if end >= start:
            return first
    if start and start > index - 4 and attribution.looks_loose(shown[start - 1]):
        return start - 1
    return index
