"""The new words of a reply: text, quotation and signature told apart. One engine for text and for HTML.

Policy, in this order: no word of the author is lost; quotation and signature are kept aside, one click away;
forwarded mails stay whole, for they are what the author wants to show; between answers the quoted context
stays; where nothing would be left above a quotation, everything stays. A blockquote without a mail program's
mark is a quotation only at the very end of the mail.

A mail is read as lines. Some *part* it: everything below is quoted (a header block, "original message", our
own or a help desk's "reply above this line"). Others are quoted by themselves (``>``, or within the markup
that ``quotes.dom`` knows), with the attribution above them. The grammars are in ``quotes``.

Time is linear in the size of the mail; ``quotes.scan`` says how.
"""

from __future__ import annotations

import re
from functools import lru_cache

from servelo.mail.inbound_mail import ReplyBody
from servelo.mail.quotes import attribution, inserted, lexicon, separators, signature
from servelo.mail.quotes.scan import BUDGET, INVISIBLE, Lines, find_parting
from servelo.patterns import pattern

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from servelo.mail.quotes import dom

MAX_CHARS = 4 * 1024 * 1024
# Of text and HTML together, where the text has the words: reading more HTML costs more than it tells.
MAX_EVIDENCE_CHARS = 700_000
MANY_LINES = 10_000
MAX_WRAPPED = 10_000  # lines between two quoted ones that are looked at
MAX_BLANK_LINES = 200  # in a row, of so many lines
_BLANK_RUN = pattern(r"(?<!\s)\s{200,}")
_LINE_END = pattern(r"\r\n?|\n")
_LINK_LINE = pattern(r"^\s*+[<(\[]\s*+(?:https?://|mailto:)\S*+\s*+[>)\]]?\s*+[>,.]?\s*+$")


def part_reply(text: str, html: str = "", *, rendered: str | None = None) -> ReplyBody:
    """Return what the author wrote just now, the quotation, and the signature of one mail.

    *text* is the plain-text part, ``""`` when there is none; *html* the original HTML, not sanitised, ``""``
    when there is none. With both, the words are those of *text*, and the markup of *html* helps to find where
    the quotation begins; with HTML alone its words are laid out as ``html_text.render`` does. *rendered* is
    ``render(html)`` where the caller has it already, which saves laying it out twice.

    ``new_text`` holds lines of the mail in their order and nothing else (a line that an attribution shares
    with the author's words is cut), and is never empty when the mail has any text. Of a mail of ten thousand
    lines, blank ones beyond 200 in a row are left out. Never raises.
    """
    try:
        return _part(text, html, rendered=rendered)
    except (RecursionError, MemoryError, ValueError, LookupError):
        # A bug here must not cost a ticket: the whole mail is better than none of it.
        return ReplyBody(text.strip("\n") if text.strip(INVISIBLE + "\n") else text or html)


def part_words(text: str, html: str = "") -> ReplyBody:
    """As :func:`part_reply`, but HTML gives its words alone: no addresses of links, bullets or rules.

    For comparing with other programs and with corpora, which leave them out.
    """
    return _part(text, html, words_only=True)


def _part(text: str, html: str, *, words_only: bool = False, rendered: str | None = None) -> ReplyBody:
    text, armour = inserted.without_armour(text[:MAX_CHARS])
    body = _parted(text, html, words_only=words_only, rendered=rendered)
    lines = body.new_text.split("\n", inserted.MAX_LINES)
    behind = inserted.warning(lines)
    if not armour and not behind:
        return body
    aside = [armour, *lines[:behind], body.signature]
    return ReplyBody(
        _joined(lines[behind:]), body.quoted_text, "\n".join(part for part in aside if part.strip())
    )


def _parted(text: str, html: str, *, words_only: bool, rendered: str | None) -> ReplyBody:
    if text.count("\n") + text.count("\r") > MANY_LINES:
        text = _BLANK_RUN.sub(_shortened, text)
    has_text = bool(text.strip(INVISIBLE + "\r\n"))
    left = BUDGET
    if has_text:
        mail = Lines.of_text(text)
        body = _part_lines(mail, text)
        left = max(mail.budget, BUDGET // 4)  # one mail is not looked at three times as long
        if not html or len(text) + len(html) > MAX_EVIDENCE_CHARS or _is_parted(body, text):
            return body
    elif not html.strip():
        return ReplyBody(text)
    from servelo.mail.quotes import dom

    if has_text and not dom.has_marks(html):
        return body
    marked = dom.read(html, words_only=words_only, rendered=rendered)
    rendered = "\n".join(marked.lines)
    from_html = _part_lines(_lines_of_html(marked, left), rendered)
    if not has_text or _same_words(text, rendered):
        return from_html
    return _by_evidence(text, from_html, left) or body


def _shortened(blank: re.Match[str]) -> str:
    ends = _LINE_END.split(blank[0])
    return "\n" * MAX_BLANK_LINES + ends[-1] if len(ends) > MAX_BLANK_LINES else blank[0]


def _is_parted(body: ReplyBody, text: str) -> bool:
    """Whether *text* itself shows where its quotation begins, so that the markup need not be asked.

    It may be the rendering of HTML, in which a blockquote of the author has ``>`` as well: then the quotation
    must begin with its attribution.
    """
    if not body.quoted_text:
        return False
    if "\n>" not in text and not text.startswith(">"):
        return True
    first = body.quoted_text[:2000].split("\n", 3)[:3]
    return any(attribution.read(" ".join(first[:size])) == 2 for size in range(1, len(first) + 1))


def _lines_of_html(marked: dom.MarkedText, budget: int) -> Lines:
    mail = Lines.of(marked.lines, html=True)
    mail.budget = budget
    for index in marked.quoted:
        mail.quoted[index] = 1
    for index in marked.bare:
        mail.bare[index] = 1
    mail.rest = marked.rest
    mail.signature = marked.signature
    mail.begins = marked.begins | marked.attribution
    return mail


def _same_words(text: str, rendered: str) -> bool:
    """Whether *text* is nothing but the rendering of the HTML (a mail without a text part)."""
    return text == rendered or (
        abs(len(text) - len(rendered)) < 200 + len(rendered) // 50 and text.split() == rendered.split()
    )


def _by_evidence(text: str, from_html: ReplyBody, budget: int) -> ReplyBody | None:
    """Part *text*, in which no quotation was seen, where the markup of its HTML says that one begins.

    None unless that place is found in the text, once, with all below it quoted in the HTML as well.
    """
    quoted = [one for one in _squeezed(from_html.quoted_text) if one and not separators.is_rule(one)]
    if not quoted or len(quoted[0]) < 8:
        return None
    mail = Lines.of_text(text)
    squeezed = _squeezed("\n".join([line if len(line) <= 4000 else "" for line in mail.lines]))
    found = [i for i, one in enumerate(squeezed) if one[:40] == quoted[0][:40]]
    if len(found) != 1 or not mail.has_words(0, found[0]):
        return None
    last = next(one for one in reversed(squeezed) if one)
    below = "".join(quoted + _squeezed(from_html.signature))
    if last not in below:
        return None
    mail.rest = {found[0]}
    mail.budget = budget
    return _part_lines(mail, text)


# White space but for the end of a line, marks, and signs that are not seen.
_SQUEEZE = pattern(
    r"[\t\x0b-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200f\u2028\u2029\u202f\u205f\u3000\ufeff>*_|]+"
)


def _squeezed(text: str) -> list[str]:
    """Return the lines of *text*, each without spaces, marks and capital letters: all at once."""
    return _SQUEEZE.sub("", text).casefold().split("\n")


def _part_lines(mail: Lines, text: str) -> ReplyBody:
    parting = find_parting(mail, separators.marker_phrases(text.casefold()))
    cut, size = parting.index, len(mail.lines)
    if parting.kind == "forward" or (parting.kind in _UNMARKED and _answers_within(mail, cut)):
        return ReplyBody(_joined(mail.lines))
    if cut < size and not mail.has_words(0, cut):
        if parting.kind == "attribution":
            # Nothing above: the author answers below, unmarked. Only the attribution goes.
            behind = mail.attributions[cut]
            if any(mail.shown[behind:]):
                return _answer_below(mail.lines, behind)
        return ReplyBody(_joined(mail.lines))
    return _finish(mail, cut)


# Partings below which answers could not be told from what they answer.
_UNMARKED = frozenset(("headers", "original", "attribution", "rest"))
MAX_ANNOUNCEMENT = 2000
MAX_DEVICE = 45  # characters of a line that only a device writes, alone above a quotation
MIN_FOOTER_RULE = 20  # signs; authors write "---"
MAX_CLOSING_LINES = 4  # "Regards, NAME" and what else stands below the words that announce answers


@lru_cache(maxsize=1)
def _announcements() -> re.Pattern[str]:
    pairs = [
        (f"{what}[^.!?。\\n]{{0,60}}?{left}{where}{right}", f"{left}{where}{right}[^.!?。\\n]{{0,40}}?{what}")
        for nouns, places in lexicon.ANSWERS_WITHIN.values()
        for left, right in [("", "") if nouns[0] >= "\u3040" else (r"(?<!\w)", r"(?!\w)")]
        for what, where in [(f"{left}(?:{nouns}){right}", f"(?:{places})")]
    ]
    return re.compile("|".join(one for pair in pairs for one in pair))


def _answers_within(mail: Lines, cut: int) -> bool:
    """Whether the author's last words above *cut* are that answers stand within what is quoted below it.

    Where more than a greeting follows those words, the answers are there.
    """
    above = "\n".join(mail.shown[index] for index in range(max(0, cut - 60), cut) if mail.is_words(index))
    found = _announcements().search(above[-MAX_ANNOUNCEMENT:].casefold()) if above else None
    if found is None:
        return False
    closing = found.string[found.end() :].split("\n")[1:]
    return len(closing) <= MAX_CLOSING_LINES and not any(line.endswith((".", "?", "!")) for line in closing)


def _joined(lines: list[str]) -> str:
    """Return *lines* as text without blank lines at both ends; blank lines alone stay as they are."""
    first, last = 0, len(lines)
    while first < last and not lines[first].strip(INVISIBLE):
        first += 1
    while last > first and not lines[last - 1].strip(INVISIBLE):
        last -= 1
    return "\n".join(lines[first:last] if first < last else lines)


def _finish(mail: Lines, cut: int) -> ReplyBody:
    """Return the parts of a mail quoted from *cut* on; above, quotations may stand between answers."""
    _join_wrapped_quotes(mail, cut)
    quoted = _either(mail.quoted[:cut], mail.attributed[:cut])
    signed = _signature_below(mail, cut, quoted)
    last = _end_of_words(mail, cut, signed, quoted)
    if not mail.has_words(0, last):
        # Nothing but quotation above the cut.
        return ReplyBody(_joined(mail.lines))
    kept, dropped = _answers(mail, last, quoted)
    signed_above: list[str] = []
    if dropped and not mail.html:
        kept, signed_above = _without_signature_above(mail, kept, dropped[0])
    new_lines = [mail.lines[i] for i in kept]
    sign_at = signature.begin(new_lines)
    if mail.signature:
        sign_at = _marked_signature(mail, kept, sign_at)
    if not any(mail.shown[i] and not separators.is_rule(mail.shown[i]) for i in kept[:sign_at]):
        words = [mail.shown[i] for i in kept if mail.shown[i]]
        if len(kept) < len(mail.lines) and all(
            len(text) <= MAX_DEVICE and signature.is_sent_from(text) for text in words
        ):
            return ReplyBody(_joined(mail.lines))  # a device wrote what is not quoted
        sign_at = len(kept)  # a mail of nothing but a signature says that
    sign_lines = signed_above + new_lines[sign_at:] + mail.lines[signed:cut]
    while sign_at < len(kept) and sign_at and separators.is_rule(new_lines[sign_at - 1]):
        sign_at -= 1
        sign_lines.insert(0, new_lines[sign_at])
    quoted_lines = [mail.lines[i] for i in dropped] + mail.lines[last:signed] + mail.lines[cut:]
    return ReplyBody(_joined(new_lines[:sign_at]), _joined_or_none(quoted_lines), _joined_or_none(sign_lines))


def _without_signature_above(mail: Lines, kept: list[int], first: int) -> tuple[list[int], list[str]]:
    """Return (*kept* without a signature right above the quotation at *first*, that signature's lines).

    Only where words stand below the quotation: it ends the signature, which would swallow them.
    """
    above = [index for index in kept if index < first]
    below = kept[len(above) :]
    if not any(mail.shown[index] for index in below):
        return kept, []
    sign_at = signature.begin([mail.lines[index] for index in above])
    if not any(mail.shown[index] for index in above[:sign_at]):
        return kept, []
    if sign_at == len(above) or not signature.is_exact(mail.lines[above[sign_at]]):
        return kept, []
    end = sign_at
    while not mail.shown[above[end - 1]] and not mail.shown[below[0]]:
        end -= 1
    return [*above[:end], *below], [mail.lines[index] for index in above[sign_at:]]


def _either(one: bytearray, other: bytearray) -> bytearray:
    """Return 1 where *one* or *other*, which are of the same length, has it."""
    both = int.from_bytes(one, "big") | int.from_bytes(other, "big")  # at once, not flag by flag
    return bytearray(both.to_bytes(len(one), "big"))


def _joined_or_none(lines: list[str]) -> str:
    """As :func:`_joined`; ``""`` when the lines are blank."""
    return _joined(lines) if any(line.strip(INVISIBLE) for line in lines) else ""


def _answer_below(lines: list[str], behind: int) -> ReplyBody:
    """Return the parts of a mail whose words begin at *behind*, below nothing but an attribution."""
    kept = lines[behind:]
    sign_at = signature.begin(kept)
    if not any(line.strip(INVISIBLE) for line in kept[:sign_at]):
        return ReplyBody(_joined(lines))
    return ReplyBody(
        _joined(kept[:sign_at]), _joined_or_none(lines[:behind]), _joined_or_none(kept[sign_at:])
    )


def _end_of_words(mail: Lines, cut: int, signed: int, quoted: bytearray) -> int:
    """Return the index behind the author's last words: what is quoted below them ends before *signed*."""
    bare = _trailing_bare(mail, cut)
    last = signed
    while last:
        index = last - 1
        if mail.shown[index] and not quoted[index] and not bare[index]:
            # A rule right above a quotation is part of it.
            above_quotation = last < signed or cut < len(mail.lines)
            if not (above_quotation and separators.is_rule(mail.shown[index])):
                break
        last = index
    if last == signed and cut == len(mail.lines) and not mail.html:
        return (
            last  # in text a rule at the end is the author's; in HTML it is an <hr> that was above something
        )
    while last and (not mail.shown[last - 1] or separators.is_rule(mail.shown[last - 1])):
        last -= 1
    return last


def _trailing_bare(mail: Lines, cut: int) -> bytearray:
    """Return which bare blockquotes may be quotation: those with no attribution or parting line below."""
    if cut < len(mail.lines):
        return bytearray(len(mail.lines))
    above = min(mail.attributions, default=0)
    first = mail.bare.find(1, above)
    while first > 0 and not mail.shown[first - 1]:
        first -= 1
    if first > 0 and not mail.attributed[first - 1]:
        introduction = mail.shown[first - 1]
        if introduction.endswith((":", "：")) and attribution.introduces_nobody(introduction):
            return bytearray(len(mail.lines))
    return bytearray(above) + mail.bare[above:]


def _answers(mail: Lines, last: int, quoted: bytearray) -> tuple[list[int], list[int]]:
    """Return (indexes of lines to keep, of lines of a quotation to drop) above *last*.

    One quotation with its attribution goes aside, wherever the answer stands; of several, between answers,
    all stay: they are what the answers answer. In HTML the author's words may stand within what a mail
    program marks as one quotation, so there only a quotation above all words goes.
    """
    everything = list(range(last))
    if quoted.find(1, 0, last) < 0:
        return everything, []
    blocks: list[tuple[int, int]] = []
    words = True  # since the last block
    for index in range(last):
        if quoted[index]:
            if words:
                blocks.append((index, index + 1))
            else:
                blocks[-1] = (blocks[-1][0], index + 1)
            words = False
        elif mail.shown[index]:
            words = True
    if len(blocks) != 1:
        return everything, []
    first, behind = blocks[0]
    if mail.html and mail.has_words(0, first):
        return everything, []
    if not any(mail.attributed[first:behind]) and not _attributed_within(mail, first, behind):
        return everything, []
    head = first
    while head and not mail.shown[head - 1] and behind < last and not mail.shown[behind]:
        head -= 1
    return [*range(head), *range(behind, last)], list(range(first, behind))


def _attributed_within(mail: Lines, first: int, behind: int) -> bool:
    """Whether a quotation begins with its attribution, quoted itself: Apple Mail and others write it so."""
    joined = ""
    for line in mail.lines[first : min(behind, first + 3)]:
        joined = f"{joined} {line.strip(' >')}"
        if attribution.read(joined) == 2:
            return True
    return False


def _signature_below(mail: Lines, end: int, quoted: bytearray) -> int:
    """Return where a signature begins that stands below the last quotation, *end* when there is none."""
    last_quoted = max(quoted.rfind(1, 0, end), mail.bare.rfind(1, 0, end))
    if last_quoted < 0:
        return end
    start = last_quoted + 1
    while start < end and not mail.shown[start]:
        start += 1
    if start >= end:
        return end
    if any(index >= start for index in mail.signature):
        # The markup says where the signature ends: words below it are the author's.
        first = start + 1 if signature.is_delimiter(mail.lines[start]) else start
        marked = all(index in mail.signature or not mail.shown[index] for index in range(first, end))
        return start if marked else end
    below = mail.lines[start:end]
    if signature.is_delimiter(below[0]) or signature.is_footer(below, 0) or signature.begin(below) == 0:
        return start
    # Below a quotation a rule and a few lines: no answer looks like that.
    if (
        separators.is_rule(mail.shown[start])
        and sum(1 for text in mail.shown[start:end] if text) <= 6
        and (len(mail.shown[start]) >= MIN_FOOTER_RULE or _is_signed(mail, start, end))
    ):
        return start
    return end


def _is_signed(mail: Lines, start: int, end: int) -> bool:
    """Whether the lines below a short rule can be a signature: no sentence, and a mail was quoted above."""
    return not any(map(signature.is_sentence, mail.shown[start:end])) and (
        mail.html or bool(mail.attributions)
    )


def _marked_signature(mail: Lines, kept: list[int], otherwise: int) -> int:
    """Return where the signature that the markup names begins; none where the author's words are below it."""
    position = len(kept)
    while position and (kept[position - 1] in mail.signature or not mail.shown[kept[position - 1]]):
        position -= 1
    if any(index in mail.signature for index in kept[position:]):
        return min(position, otherwise)
    return len(kept) if any(index in mail.signature for index in kept[otherwise:]) else otherwise


def _join_wrapped_quotes(mail: Lines, end: int) -> None:
    """Mark lines that a mail program broke off a quoted line, so that they lost their ``>``."""
    lines, quoted = mail.lines, mail.quoted
    index = quoted.find(0, 1, end - 1) if end > 2 else -1
    for _ in range(MAX_WRAPPED):
        if index < 0:
            return
        if quoted[index - 1] and quoted[index + 1] and mail.shown[index] and not mail.attributed[index]:
            text, before = mail.shown[index], lines[index - 1]
            if (
                (text[0] in "<([" and _LINK_LINE.match(text))
                or (len(before) >= 55 and text[0].islower())
                or (")" in text and " " not in text and before.rfind("(") > before.rfind(")"))
                or (">" in text and before.rfind("<http") > max(before.rfind("> "), 0))
            ):
                quoted[index] = 1
        # Only a line between two quoted ones is of interest.
        following = quoted.find(1, index + 1, end - 1)
        index = quoted.find(0, following, end - 1) if following >= 0 else -1
