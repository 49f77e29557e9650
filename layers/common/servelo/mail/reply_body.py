"""The new words of a reply: text, quotation and signature told apart. One engine for text and for HTML.

Policy, in this order: no word of the author is lost; quotation and signature are kept aside, one click away;
forwarded mails stay whole, for they are what the author wants to show; between answers the quoted context
stays; where nothing would be left above a quotation, everything stays. A blockquote without a mail program's
mark is a quotation only at the very end of the mail.

A mail is read as lines. Some *part* it: everything below is quoted (a header block, "original message", our
own or a help desk's "reply above this line"). Others are quoted by themselves (``>``, or within the markup
that ``quotes.dom`` knows), with the attribution above them. The grammars are in ``quotes``.

Time is linear in the size of the mail: each line is looked at once, and what is costly to look at
(attributions) at most ``MAX_CANDIDATES`` times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from servelo.mail.inbound_mail import ReplyBody
from servelo.mail.quotes import attribution, header_block, separators, signature

MAX_CHARS = 4 * 1024 * 1024
MAX_CANDIDATES = 3000  # lines that might end an attribution; a long thread has a hundred
_LINE_ENDS = re.compile(r"\r\n?")
_QUOTED = re.compile(r"^[ \t]{0,3}(?:>|&gt;|＞)")
_QUOTE_MARKS = re.compile(r"^(?:[ \t]*(?:>|&gt;|＞))+[ \t]?")
_BLANK = (
    " \t\xa0\x00\xad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_LINK_LINE = re.compile(r"^\s*[<(\[]\s*(?:https?://|mailto:)\S*\s*[>)\]]\s*[>,.]?\s*$")
_SPACED_CAP = 12


@dataclass(slots=True)
class _Mail:
    """A mail as lines, with what is known of each.

    Attributes:
        lines: without line ends.
        quoted: whether a line belongs to a quotation (``>`` or markup).
        bare: whether it stands in a blockquote without a program's mark.
        attributions: first line of an attribution -> index behind its last.
        parting: first index of what parts the mail -> kind.
        forward: index of the first line of a forwarded mail, -1 when there is none.
    """

    lines: list[str]
    quoted: bytearray
    bare: bytearray
    attributions: dict[int, int] = field(default_factory=dict)
    rest: set[int] = field(default_factory=set)
    signature: set[int] = field(default_factory=set)
    begins: set[int] = field(default_factory=set)
    html: bool = False
    glued_lines: int = 1


def part_reply(text: str, html: str = "") -> ReplyBody:
    """Return what the author wrote just now, the quotation, and the signature of one mail.

    *text* is the plain-text part, ``""`` when there is none; *html* the original HTML, not sanitised, ``""``
    when there is none. With both, the words are those of *text*, and the markup of *html* helps to find where
    the quotation begins; with HTML alone its words are laid out as ``html_text.render`` does.

    ``new_text`` holds lines of the mail in their order and nothing else (a line that an attribution shares with
    the author's words is cut), and is never empty when the mail has any text. Never raises.
    """
    try:
        return _part(text, html)
    except (RecursionError, MemoryError, ValueError, LookupError):
        # A bug here must not cost a ticket: the whole mail is better than none of it.
        return ReplyBody(text.strip("\n") if text.strip(_BLANK + "\n") else text or html)


def part_words(text: str, html: str = "") -> ReplyBody:
    """As :func:`part_reply`, but HTML gives its words alone: no addresses of links, bullets or rules.

    For comparing with other programs and with corpora, which leave them out.
    """
    return _part(text, html, words_only=True)


def _part(text: str, html: str, *, words_only: bool = False) -> ReplyBody:
    text = text[:MAX_CHARS]
    if not html.strip():
        return _part_lines(_mail_of_text(text), text)
    from servelo.mail.quotes import dom

    marked = dom.read(html, words_only=words_only)
    rendered = "\n".join(marked.lines)
    if not text.strip(_BLANK + "\r\n") or _same_words(text, rendered):
        mail = _Mail(marked.lines, bytearray(len(marked.lines)), bytearray(len(marked.lines)), html=True)
        for index in marked.quoted:
            mail.quoted[index] = 1
        for index in marked.bare:
            mail.bare[index] = 1
        if all(mail.bare[i] or _is_blank(line) for i, line in enumerate(mail.lines)):
            # The whole mail is indented: that says nothing.
            mail.bare = bytearray(len(mail.lines))
        mail.rest = marked.rest
        mail.signature = marked.signature
        mail.begins = marked.begins | marked.attribution
        return _part_lines(mail, rendered)
    mail = _mail_of_text(text)
    _take_evidence(mail, marked)
    return _part_lines(mail, text)


def _same_words(text: str, rendered: str) -> bool:
    """Whether *text* is nothing but the rendering of the HTML (a mail without a text part)."""
    return text == rendered or (
        abs(len(text) - len(rendered)) < 200 + len(rendered) // 50 and text.split() == rendered.split()
    )


def _mail_of_text(text: str) -> _Mail:
    if "\r" in text:
        text = _LINE_ENDS.sub("\n", text)
    lines = text.split("\n")
    return _Mail(lines, bytearray(len(lines)), bytearray(len(lines)))


def _is_blank(line: str) -> bool:
    return not line or not line.strip(_BLANK)


def _take_evidence(mail: _Mail, marked: object) -> None:
    """Mark in the lines of a text part where the markup of its HTML says that a quotation begins."""
    from servelo.mail.quotes import dom

    assert isinstance(marked, dom.MarkedText)  # noqa: S101 - the import is lazy, the type is known here
    for start in sorted(marked.begins | marked.rest)[:1]:
        anchor = _anchor(marked.lines, start)
        if len(anchor) < 12:
            continue
        found = [
            index
            for index, line in enumerate(mail.lines)
            if len(line) < 2000 and _squeezed(line).startswith(anchor[:40]) and not _is_blank(line)
        ]
        if len(found) == 1 and found[0]:
            mail.begins.add(found[0])
            if start in marked.rest:
                mail.rest.add(found[0])


def _anchor(lines: list[str], start: int) -> str:
    for line in lines[start : start + 6]:
        squeezed = _squeezed(line)
        if squeezed:
            return squeezed
    return ""


_SQUEEZE = re.compile(r"[\s>*_|\u200b-\u200f\ufeff]+")


def _squeezed(line: str) -> str:
    return _SQUEEZE.sub("", line).casefold()


# --- reading the lines
# ----------------------------------------------------------------------------------


def _part_lines(mail: _Mail, text: str) -> ReplyBody:
    lines = mail.lines
    folded = text.casefold() if len(text) < 262_144 else text[:262_144].casefold()
    markers = separators.marker_phrases(folded)
    cut, kind, glued_at = _scan(mail, markers)
    size = len(lines)
    if glued_at >= 0:
        # The author's words share a line with the attribution: they are cut apart.
        head, tail = lines[cut][:glued_at], lines[cut][glued_at:]
        lines[cut : cut + 1] = [head, tail]
        mail.quoted[cut:cut] = b"\0"
        mail.bare[cut:cut] = b"\0"
        cut, size = cut + 1, size + 1
        mail.attributions = {cut: cut + mail.glued_lines}
    if kind == "forward":
        return _whole(lines)
    if cut < size:
        if _has_words(mail, 0, cut):
            return _finish(mail, cut)
        if kind == "attribution":
            # Nothing above: the author answers below, unmarked. Only the attribution goes.
            behind = mail.attributions[cut]
            if any(not _is_blank(line) for line in lines[behind:]):
                return _ended(lines[behind:], lines[cut:behind])
        return _whole(lines)
    return _finish(mail, size)


def _has_words(mail: _Mail, start: int, end: int) -> bool:
    """Whether the author wrote anything between the two lines: words, not quotation, rules or blank lines."""
    attributed = _attributed(mail)
    return any(
        not mail.quoted[i]
        and i not in attributed
        and not _is_blank(mail.lines[i])
        and not separators.is_rule(mail.lines[i])
        for i in range(start, end)
    )


def _attributed(mail: _Mail) -> set[int]:
    return {i for start, end in mail.attributions.items() for i in range(start, end)}


def _whole(lines: list[str]) -> ReplyBody:
    return ReplyBody(_joined(lines))


def _joined(lines: list[str]) -> str:
    first, last = 0, len(lines)
    while first < last and _is_blank(lines[first]):
        first += 1
    while last > first and _is_blank(lines[last - 1]):
        last -= 1
    if first == last:
        return "\n".join(lines)
    return "\n".join(
        line.rstrip(" \t\r\f\v") if line[-1:] in " \t\r\f\v" else line for line in lines[first:last]
    )


def _scan(mail: _Mail, markers: tuple[str, ...]) -> tuple[int, str, int]:
    """Find the first line that parts the mail and mark quoted lines and attributions above it.

    Returns:
        (index, kind, column): index is ``len(lines)`` when nothing parts the mail; column is where an
        attribution begins within its line, -1 when it has its line to itself.
    """
    lines, quoted = mail.lines, mail.quoted
    size = len(lines)
    candidates = 0
    behind = 0  # lines before this one belong to an attribution already
    index = -1
    while index + 1 < size:
        index += 1
        line = lines[index]
        if not line or index < behind:
            continue
        stripped = line.strip(_BLANK)
        if not stripped:
            continue
        first = stripped[0]
        if index in mail.rest and index:
            return _above_rule(mail, index), "rest", -1
        if index in mail.begins and index and not quoted[index] and not (first in ">＞"):
            if attribution.looks_loose(stripped) or _loose_over(lines, index):
                end = _loose_end(lines, index)
                mail.attributions[index] = end
                if not _quote_follows(mail, end):
                    return index, "attribution", -1
                behind = end
                continue
        if mail.bare[index]:
            continue
        if markers and separators.is_marker(line, markers):
            return _above_marker(mail, index), "marker", -1
        if first in ">＞&" and (first != "&" or _QUOTED.match(line)) and _looks_quoted(mail, index):
            if not quoted[index] and not mail.bare[index]:
                quoted[index] = 1
                if not mail.html and index and not quoted[index - 1]:
                    _take_loose(mail, index)
        if quoted[index]:
            if _inner_forward(mail, index, stripped):
                return index, "forward", -1
            if index in mail.begins and index:
                end = header_block.read(lines, index)
                if end > index:
                    # A cited block that begins with header fields is how mail programs forward in HTML.
                    return index, "forward" if first == ">" and not mail.attributions else "headers", -1
            if len(stripped) <= 30 and index and _lost_angle(mail, index, stripped):
                start = _attribution_start(mail, index)
                if start >= 0:
                    quoted[index] = 0
                    mail.attributions[start] = behind = index + 1
                    if not _quote_follows(mail, behind):
                        return start, "attribution", -1
            continue
        if first in "-_=*~+#—–‐‑―─━•" or stripped[-1] in ":：-_=*" or len(stripped) <= 60:
            sort = separators.read(line)
            if sort == separators.FORWARDED:
                return index, "forward", -1
            if sort == separators.ORIGINAL:
                return index, "original", -1
            if sort == separators.BARE_ORIGINAL and _header_follows(lines, index + 1):
                return index, "original", -1
        if ":" in line[:60] or "：" in line[:60] or first == "|":
            if header_block.field(line) is not None and len(line) < 4000:
                end = header_block.read(lines, index)
                if end > index:
                    return index, "headers", -1
        if len(stripped) <= attribution.MAX_CHARS and candidates < MAX_CANDIDATES:
            if attribution.may_end(stripped):
                candidates += 1
                column = attribution.glued(line)
                if column > 0:
                    return index, "attribution", column
                start = _attribution_start(mail, index)
                if start >= 0:
                    end = _attribution_end(lines, index)
                    if start < index:
                        below = " ".join(each.strip() for each in lines[start + 1 : index + 1])
                        column = attribution.glued(lines[start], below)
                        if column > 0:
                            mail.glued_lines = end - start
                            return start, "attribution", column
                    mail.attributions[start] = end
                    behind = end
                    if not _quote_follows(mail, end):
                        return start, "attribution", -1
                    continue
        if signature.is_named_device(stripped) and len(stripped) < 120 and _stands_alone(mail, index):
            return index + 1, "device", -1
    return size, "", -1


def _looks_quoted(mail: _Mail, index: int) -> bool:
    """Whether the ``>`` line is a quotation, not a link or an arrow that an author typed among own lines."""
    line = mail.lines[index].lstrip()
    if "<<<" in line or line.startswith((">>> >>>", ">:", ">_<", ">.<", "><")):
        return False
    return True


def _take_loose(mail: _Mail, index: int) -> None:
    """Take the lines right above the first ``>`` line for its attribution if they look like one in any language."""
    lines = mail.lines
    last = index - 1
    while last > index - 4 and last >= 0 and _is_blank(lines[last]):
        last -= 1
    if last < 0 or _is_blank(lines[last]) or any(end > last for end in mail.attributions.values()):
        return
    joined = ""
    for start in range(last, max(-1, last - 3), -1):
        if _is_blank(lines[start]) or mail.quoted[start] or len(lines[start]) > attribution.MAX_CHARS:
            return
        joined = lines[start].strip() + " " + joined
        if attribution.begins(attribution.normalised(joined)) and attribution.looks_loose(joined):
            mail.attributions[start] = last + 1
            return


def _lost_angle(mail: _Mail, index: int, stripped: str) -> bool:
    """Whether the line is the end of an attribution wrapped before its ``>``: "… <bob@example.com / > wrote:"."""
    return (
        stripped[0] == ">"
        and not mail.html
        and not mail.quoted[index - 1]
        and attribution.may_end(stripped)
        and "<" in mail.lines[index - 1] + mail.lines[max(0, index - 2)]
    )


def _inner_forward(mail: _Mail, index: int, stripped: str) -> bool:
    """Whether a forwarded mail begins here that is itself quoted (Apple Mail marks forwards with ``>``)."""
    if mail.attributions or not stripped[0] == ">":
        return False
    if index and any(mail.quoted[max(0, index - 3) : index]):
        return False
    return separators.read(_QUOTE_MARKS.sub("", mail.lines[index])) == separators.FORWARDED


def _header_follows(lines: list[str], index: int) -> bool:
    for following in range(index, min(index + 4, len(lines))):
        if not _is_blank(lines[following]):
            return header_block.read(lines, following) > following
    return False


def _attribution_start(mail: _Mail, index: int) -> int:
    """Return the first line of the attribution that ends with line *index*, -1 when it ends none."""
    lines = mail.lines
    best = -1
    joined = ""
    blanks = 0
    used = 0
    for start in range(index, max(-1, index - attribution.MAX_LINES - 2), -1):
        line = lines[start]
        if _is_blank(line):
            # Polymail puts empty lines into an attribution, but only around its angle brackets.
            blanks += 1
            if blanks > 1 or not joined.lstrip().startswith("<"):
                break
            continue
        if mail.quoted[start] and start != index and not _QUOTED.match(lines[index]):
            break
        used += 1
        below = joined
        joined = line.strip() + " " + joined if joined else line.strip()
        if used > attribution.MAX_LINES or len(joined) > attribution.MAX_CHARS:
            break
        sure = attribution.read(joined)
        if sure == 2 and (
            best < 0 or attribution.begins(attribution.normalised(line)) or attribution.glued(line, below) > 0
        ):
            return _with_lead(mail, start, joined)
        if sure == 1 and best < 0:
            # A name and a verb: the moment may stand on the line above.
            best = start
    return best


def _with_lead(mail: _Mail, start: int, joined: str) -> int:
    """Return the line where the attribution that is complete from *start* on really begins."""
    if start == 0 or attribution.begins(attribution.normalised(joined)):
        return start
    previous = mail.lines[start - 1].strip()
    if not previous or len(previous) > 120 or mail.quoted[start - 1] or previous[-1] in ".!?:;":
        return start
    if attribution.begins(attribution.normalised(previous)) and attribution.read(previous + " " + joined) == 2:
        return start - 1
    return start


def _attribution_end(lines: list[str], index: int) -> int:
    """Return the index behind the attribution that ends at *index*, with an address and verb left over below."""
    end = index + 1
    if end < len(lines) and lines[end].strip().startswith("<") and "@" in lines[end][:300]:
        following = end + 1
        if lines[end].rstrip().endswith((">", ":")):
            if (
                following < len(lines)
                and 0 < len(lines[following].strip()) <= 24
                and attribution.may_end(lines[following].strip())
            ):
                return following + 1
            if lines[end].rstrip().endswith(":"):
                return following
    return end


def _loose_over(lines: list[str], index: int) -> bool:
    joined = " ".join(line.strip() for line in lines[index : index + 3] if not _is_blank(line))
    return attribution.looks_loose(joined)


def _loose_end(lines: list[str], index: int) -> int:
    joined = ""
    for end in range(index, min(index + 4, len(lines))):
        joined += " " + lines[end].strip()
        if attribution.looks_loose(joined):
            return end + 1
    return index + 1


def _quote_follows(mail: _Mail, end: int) -> bool:
    """Whether marked quotation stands right below an attribution, so that the quotation ends with its marks."""
    for index in range(end, min(end + 5, len(mail.lines))):
        line = mail.lines[index]
        if mail.quoted[index] or mail.bare[index]:
            return True
        if not _is_blank(line):
            return _QUOTED.match(line) is not None
    return False


def _stands_alone(mail: _Mail, index: int) -> bool:
    """Whether the "sent from" line has words above, an empty line on both sides, and unmarked text below."""
    lines = mail.lines
    if index == 0 or index + 2 >= len(lines) or mail.html:
        return False
    if not _is_blank(lines[index - 1]) or not _is_blank(lines[index + 1]):
        return False
    following = next((i for i in range(index + 1, len(lines)) if not _is_blank(lines[i])), -1)
    if following < 0 or not _has_words(mail, 0, index):
        return False
    # More of the kind below, a delimiter, a quotation or an attribution: they tell where the mail parts.
    for i in range(following, len(lines)):
        line = lines[i]
        if _is_blank(line):
            continue
        stripped = line.strip(_BLANK)
        if (
            signature.is_sent_from(stripped)
            or signature.is_delimiter(line)
            or signature.is_footer(lines, i)
            or _QUOTED.match(line)
            or separators.is_rule(line)
            or separators.read(line)
            or header_block.field(line) is not None
            or mail.quoted[i]
        ):
            return False
        if i > following + 6:
            break
        if attribution.may_end(stripped) and _attribution_start(mail, i) >= 0:
            return False
        if attribution.read(stripped + " " + (lines[i + 1].strip() if i + 1 < len(lines) else "")):
            return False
    return True


def _above_rule(mail: _Mail, index: int) -> int:
    return index


def _above_marker(mail: _Mail, index: int) -> int:
    """Return where the quotation that opens with a marker line begins: its attribution stands above it."""
    lines = mail.lines
    start = index
    while start and (_is_blank(lines[start - 1]) or lines[start - 1].strip(" \t>|") == ""):
        start -= 1
    for first, end in mail.attributions.items():
        if end >= start:
            return first
    if start and start > index - 4 and attribution.looks_loose(lines[start - 1]):
        return start - 1
    return index


# --- putting the answer together
# ----------------------------------------------------------------------------------


def _finish(mail: _Mail, cut: int) -> ReplyBody:
    """Return the parts of a mail that is quoted from *cut* on; above it quotations may stand between answers."""
    lines = mail.lines
    end = cut
    attributed = _attributed(mail)
    _join_wrapped_quotes(mail, cut, attributed)
    is_quote = bytearray(cut)
    for i in range(cut):
        if mail.quoted[i] or i in attributed:
            is_quote[i] = 1
    # A bare blockquote is the author's, but for the last thing in the mail.
    bare = _trailing_bare(mail, cut)
    signed = _signature_start(mail, end, is_quote)
    last = signed
    while last and (
        _is_blank(lines[last - 1])
        or is_quote[last - 1]
        or bare[last - 1]
        or (
            last < signed
            and separators.is_rule(lines[last - 1])
            and _next_is_quote(mail, is_quote, last, signed)
        )
    ):
        last -= 1
    if cut < len(lines) or last < signed:
        while last and (_is_blank(lines[last - 1]) or separators.is_rule(lines[last - 1])):
            last -= 1
    if not _any_words(mail, is_quote, last):
        # Nothing but quotation above the cut.
        return _whole(lines)
    kept = list(range(last))
    dropped: list[int] = []
    blocks = _blocks(mail, is_quote, last)
    if len(blocks) == 1:
        first, behind = blocks[0]
        above = _any_words(mail, is_quote, first)
        if any(i in attributed for i in range(first, behind)) and not (above and mail.html):
            # One whole quotation with its attribution, the answer below it or around it. (In HTML words below
            # the quotation may stand within what the program marks; there the context stays.)
            dropped = list(range(first, behind))
            while first and _is_blank(lines[first - 1]) and behind < last and _is_blank(lines[behind]):
                first -= 1
            kept = [*range(first), *range(behind, last)]
    new_lines = [lines[i] for i in kept]
    sign_at = signature.begin(new_lines)
    if mail.signature:
        sign_at = _marked_signature(mail, kept, sign_at)
    while sign_at and sign_at < len(new_lines) and all(_is_blank(line) for line in new_lines[:sign_at]):
        sign_at = len(new_lines)
    sign_lines = new_lines[sign_at:]
    new_lines = new_lines[:sign_at]
    while new_lines and sign_lines and (_is_blank(new_lines[-1]) or separators.is_rule(new_lines[-1])):
        if not _is_blank(new_lines[-1]):
            sign_lines.insert(0, new_lines[-1])
        new_lines.pop()
    if not any(not _is_blank(line) for line in new_lines):
        new_lines, sign_lines = new_lines + sign_lines, []
    quoted_lines = [lines[i] for i in dropped] + lines[last:signed] + lines[end:]
    below = lines[signed:end]
    sign = _joined(sign_lines + below) if any(not _is_blank(line) for line in sign_lines + below) else ""
    quote = _joined(quoted_lines) if any(not _is_blank(line) for line in quoted_lines) else ""
    return ReplyBody(_joined(new_lines), quote, sign)


def _trailing_bare(mail: _Mail, cut: int) -> bytearray:
    """Return the bare blockquotes that may be quotation: not those above an attribution or what parts the mail."""
    if cut < len(mail.lines):
        return bytearray(len(mail.lines))
    bare = bytearray(mail.bare)
    for i in range(min(mail.attributions, default=0)):
        bare[i] = 0
    return bare


def _ended(kept: list[str], dropped: list[str]) -> ReplyBody:
    sign_at = signature.begin(kept)
    if sign_at == 0:
        sign_at = len(kept)
    return ReplyBody(
        _joined(kept[:sign_at]), _joined(dropped), _joined(kept[sign_at:]) if sign_at < len(kept) else ""
    )


def _any_words(mail: _Mail, is_quote: bytearray, end: int) -> bool:
    return any(
        not is_quote[i] and not _is_blank(mail.lines[i]) and not separators.is_rule(mail.lines[i])
        for i in range(end)
    )


def _next_is_quote(mail: _Mail, is_quote: bytearray, index: int, end: int) -> bool:
    for i in range(index, end):
        if is_quote[i] or mail.bare[i]:
            return True
        if not _is_blank(mail.lines[i]):
            return False
    return False


def _signature_start(mail: _Mail, end: int, is_quote: bytearray) -> int:
    """Return where a signature begins that stands below the last quotation, *end* when there is none."""
    lines = mail.lines
    last_quote = max((i for i in range(end) if is_quote[i] or mail.bare[i]), default=-1)
    if last_quote < 0:
        return end
    start = last_quote + 1
    while start < end and _is_blank(lines[start]):
        start += 1
    if start >= end:
        return end
    if any(i in mail.signature for i in range(start, end)):
        # The markup says where the signature ends: words below it are the author's.
        inside = [i in mail.signature or _is_blank(lines[i]) for i in range(start, end)]
        inside[0] = inside[0] or signature.is_delimiter(lines[start])
        return start if all(inside) else end
    if signature.is_delimiter(lines[start]) or signature.is_footer(lines, start):
        return start
    below = lines[start:end]
    if separators.is_rule(lines[start]) and sum(1 for line in below if not _is_blank(line)) <= 6:
        return start
    return start if signature.begin(below) == 0 else end


def _marked_signature(mail: _Mail, kept: list[int], otherwise: int) -> int:
    """Return where the signature that the markup names begins; none where the author's words stand below it."""
    position = len(kept)
    while position and (kept[position - 1] in mail.signature or _is_blank(mail.lines[kept[position - 1]])):
        position -= 1
    if any(i in mail.signature for i in kept[position:]):
        return min(position, otherwise)
    return len(kept) if any(i in mail.signature for i in kept[otherwise:]) else otherwise


def _blocks(mail: _Mail, is_quote: bytearray, end: int) -> list[tuple[int, int]]:
    """Return [(first, behind)] of the runs of quotation above *end*, blank lines within a run included."""
    blocks: list[tuple[int, int]] = []
    for i in range(end):
        if not is_quote[i]:
            continue
        if (
            blocks
            and all(_is_blank(mail.lines[j]) for j in range(blocks[-1][1], min(i, blocks[-1][1] + 50)))
            and (i - blocks[-1][1] <= 50)
        ):
            blocks[-1] = (blocks[-1][0], i + 1)
        else:
            blocks.append((i, i + 1))
    return blocks


def _join_wrapped_quotes(mail: _Mail, end: int, attributed: set[int]) -> None:
    """Mark lines that a mail program broke off a quoted line, so that they lost their ``>``."""
    lines, quoted = mail.lines, mail.quoted
    for i in range(1, end - 1):
        if quoted[i] or i in attributed or not quoted[i - 1] or not quoted[i + 1]:
            continue
        line = lines[i].strip()
        if not line:
            continue
        before = lines[i - 1]
        if (
            _LINK_LINE.match(lines[i])
            or (len(before) >= 55 and line[0].islower())
            or (before.rfind("(") > before.rfind(")") and ")" in line and " " not in line)
            or (before.rfind("<http") > max(before.rfind("> "), 0) and ">" in line)
        ):
            quoted[i] = 1
