"""Free-text bounces: the failed recipients, and the words about each, out of a notice written for people.

Three things are looked for in the part of the text above the returned mail, surest first: header groups of
RFC 3464 that stand in plain text, addresses at the beginning of a line with a reason beside or below them,
and addresses in an SMTP dialogue, behind a key ("Recipient:") or within a sentence of failure. The wording is
data in ``bounce_rules``. Text is capped, lines are capped, every pattern is linear in the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from servelo.mail import bounce_rules as rules
from servelo.mail.bounce_rules import any_of
from servelo.records import dataclass

MAX_TEXT_CHARS = 128 * 1024
MAX_LINE_CHARS = 1000
MAX_LINES = 5000
MAX_PHRASE_CHARS = 300  # no phrase of ``bounce_rules`` is longer
MAX_RECIPIENTS = 100
MAX_LOOKED_AT = 500  # addresses that begin a line
MAX_REASON_LINES = 16
MAX_REASON_CHARS = 2000
MAX_HTML_TAGS = 20_000

# A local part of ASCII atoms, one quoted string, or, only right behind a bracket or "utf-8;", of any letters
# (RFC 6531): in a sentence of Chinese or Japanese the address often follows the words without a space.
_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-"
_LOCAL = (
    r"(?:\"[^\"\s@]{1,64}\"|[A-Za-z0-9!#$%&+/=?^_`{}~.\-]"
    rf"[{_ATEXT}]{{0,255}}+|(?:(?<=<)|(?<=;)|(?<=; ))[\w.+-]{{1,128}}+)"
)
_DOMAIN = r"(?:[^\W_](?:[\w-]|\.(?=[\w]))*+|\[[\d.]{7,15}\])"
ADDRESS = any_of(rf"(?<![A-Za-z0-9!#$%&+/?^_`{{}}~.\-]){_LOCAL}@{_DOMAIN}")
_LINE_FIRST = any_of(
    rf"^(?P<indent>\s*+[\s*•·|o-]{{0,40}}?(?:>>> +)?)(?:\d{{1,3}}[.)]\s+)?[<\"'(\[]*+(?:(?:mailto|smtp|"
    rf"rfc822)[:;]\s*+)?(?P<address>{_LOCAL}@{_DOMAIN})"
    r"[>\"')\]]*+(?:\s*<mailto:[^>]*+>)?(?P<rest>.*)$",
    flags=re.I,
)
_BRACKETED = any_of(rf"^<(?P<address>{_LOCAL}@{_DOMAIN})>")
_RCPT = any_of(
    rf"^[\s]*(?:>>> ?|sent <<< ?|in: +|c: +|-->? ?|smtp> ?|"
    rf"\*\* ?)?rcpt to: *<?(?P<address>{_LOCAL}@{_DOMAIN})",
    flags=re.I,
)
_ANSWER = any_of(
    r"^\s*+(?:<<<|received >>>|out:|s:|<--?|smtp<)?\s*+(?P<code>[2-5]\d\d)(?=[\s-]|$)", flags=re.I
)
_SENDMAIL_LINE = any_of(
    rf"^\s*(?:<<< )?[45]\d\d[ -](?:#?[45]\.\d{{1,3}}\.\d{{1,3}} "
    rf")?<?(?P<address>{_LOCAL}@{_DOMAIN})>?(?:\.\.\.|[,:] )"
)
_EXPANDED = any_of(
    rf"(?:expanded|generated) from:? *<?(?P<address>{_LOCAL}@{_DOMAIN})|"
    rf"original(?:ly)? address(?:ed to)?:? *<?(?P<other>{_LOCAL}@{_DOMAIN})",
    flags=re.I,
)
_X400 = any_of(rf"[;: ]smtp[=:](?P<address>{_LOCAL}@{_DOMAIN})(?P<other>)", flags=re.I)
_FIELD = any_of(r"^\s{0,4}(?P<name>[A-Za-z][A-Za-z-]{3,30}): ?(?P<value>.*)$")
_RECIPIENT_FIELDS = frozenset(("final-recipient", "original-recipient", "x-actual-recipient"))
# Fields that only a header block begins with; two fields in a row are a returned header.
_HEADER_START = any_of(
    r"^(?:received|return-path|dkim-signature|domainkey-signature|x-originating-ip|message-id|delivered-to|"
    r"x-[a-z-]{3,40}|arc-[a-z-]{4,30}|mime-version|authentication-results|content-type): ?\S",
    flags=re.I,
)
_HEADER_NEXT = any_of(r"^(?:[a-z][a-z0-9-]{1,40}: ?|[ \t]+\S|>)", flags=re.I)
_QUOTED = any_of(r"^\s*>(?!>> )")
_TAG = any_of(r"<(/?[a-zA-Z][a-zA-Z0-9]{0,15}|!--)[^<>]*>")
_BLOCK_TAGS = frozenset(
    (
        "br",
        "p",
        "div",
        "tr",
        "li",
        "ul",
        "ol",
        "table",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "pre",
        "hr",
        "blockquote",
        "td",
        "th",
        "body",
        "font",
    )
)


@dataclass(slots=True)
class Finding:
    """One address that a notice names: *reason* is the text about it, *original* the address it came "
    "from."""

    address: str
    reason: str = ""
    original: str = ""


@dataclass(slots=True)
class Notice:
    """What a notice tells.

    Attributes:
        groups: header groups in the text that name a recipient: lower-case name -> value.
        listed: addresses that begin a line and have a reason or stand in a list of failures.
        told: addresses of SMTP dialogues, keys and sentences of failure.
        bare: other addresses that begin a line.
        lines: the text above the returned mail.
        returned: the text of the returned mail, as far as it was kept.
        opening: a sentence of ``bounce_rules.OPENINGS`` stands in the first 80 lines that are not empty.
        sure: one of ``bounce_rules.SURE_OPENINGS`` stands in the first four.
    """

    groups: list[dict[str, str]]
    listed: list[Finding]
    told: list[Finding]
    bare: list[Finding]
    lines: list[str]
    returned: list[str]
    opening: bool
    sure: bool


def text_of_html(html: str) -> str:
    """Return *html* with block elements on lines of their own and without tags; good enough for a "
    "notice."""
    from servelo.mail.html_text import unescape

    html = html[:MAX_TEXT_CHARS]
    for name in ("style", "script", "head"):
        html = _without_element(html, name)
    out: list[str] = []
    position = 0
    for count, match in enumerate(_TAG.finditer(html)):
        if count >= MAX_HTML_TAGS:
            break
        out.append(html[position : match.start()].replace("\n", " "))
        name = match[1].lower().lstrip("/")
        out.append("\n" if name in _BLOCK_TAGS else "")
        position = match.end()
    out.append(html[position:])
    return unescape("".join(out)).replace("\xa0", " ")


def _without_element(html: str, name: str) -> str:
    lower = html.lower()
    if len(lower) != len(html):
        return html
    out: list[str] = []
    position = 0
    while True:
        start = lower.find(f"<{name}", position)
        end = lower.find(f"</{name}", start) if start >= 0 else -1
        if end < 0:
            out.append(html[position:])
            return "".join(out)
        out.append(html[position:start])
        position = end


def read(text: str) -> Notice:
    """Return what the notice *text* tells. Never raises; reads the first 128 kB and 5,000 lines."""
    lines = [
        line[:MAX_LINE_CHARS].rstrip()
        for line in text[:MAX_TEXT_CHARS].replace("\r\n", "\n").split("\n")[:MAX_LINES]
    ]
    end = _returned_at(lines)
    returned = lines[end:]
    lines = lines[:end]
    kept = ["" if _QUOTED.match(line) else line for line in lines]
    opening, sure = _opening(kept)
    return Notice(
        groups=list(_groups(kept)),
        listed=(listed := list(_listed(kept))),
        told=list(_told(kept)),
        bare=list(_bare(kept, listed)),
        lines=kept,
        returned=returned,
        opening=opening,
        sure=sure,
    )


def _opening(lines: Sequence[str]) -> tuple[bool, bool]:
    seen = 0
    previous = ""
    opening = sure = False
    for line in lines:
        text = line.strip().lower()
        if not text:
            continue
        seen += 1
        if seen > 80 or (opening and seen > 4):
            break
        joined = f"{previous[-MAX_PHRASE_CHARS:]} {text}"
        if seen <= 4 and rules.SURE_OPENINGS.search(joined):
            return True, True
        opening = opening or rules.OPENINGS.search(joined) is not None
        previous = text
    return opening, sure


def _returned_at(lines: Sequence[str]) -> int:
    for number, line in enumerate(lines):
        if not line:
            continue
        lower = line.lower()
        # Its words stand a space apart: runs of them would be tried at each length.
        if number > 1 and rules.RETURNED.match(" ".join(lower.split())):
            return number
        if (
            _HEADER_START.match(line)
            and number + 1 < len(lines)
            and _HEADER_NEXT.match(lines[number + 1])
            and (number == 0 or not _FIELD.match(lines[number - 1]))
            and not lower.startswith(("content-type: message/delivery-status", "content-type: text/plain"))
        ):
            return number
    return len(lines)


def _groups(lines: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield header groups that name a recipient: RFC 3464 fields in plain text."""
    group: dict[str, str] = {}
    last = ""
    found = 0
    for line in [*lines, ""]:
        match = _FIELD.match(line) if line else None
        if match is not None:
            name = match["name"].lower()
            if name in group and name in _RECIPIENT_FIELDS and _RECIPIENT_FIELDS & group.keys():
                yield group  # groups without a blank line between them
                group = {}
                found += 1
            last = name
            group.setdefault(last, match["value"].strip())
        elif line.strip() and last and line[:1] in " \t":
            group[last] = f"{group[last]} {line.strip()}"[:MAX_REASON_CHARS]
        else:
            if _RECIPIENT_FIELDS & group.keys() and (
                "action" in group or "status" in group or "diagnostic-code" in group
            ):
                yield group
                found += 1
            group = {}
            last = ""
        if found >= MAX_RECIPIENTS:
            return


@lru_cache(maxsize=64)  # each line is looked at by itself, and as what is below up to 16 addresses
def _line_first(line: str) -> re.Match[str] | None:
    return _LINE_FIRST.match(line) if "@" in line else None


def _listed(lines: Sequence[str]) -> Iterator[Finding]:
    """Yield addresses that begin a line and that have a reason, or stand below the start of a list."""
    in_list = 0  # lines that a list may still go on for without an address
    found = looked_at = 0
    number = -1
    while number + 1 < len(lines):
        number += 1
        line = lines[number]
        if not line.strip():
            continue
        match = _line_first(line)
        if match is None:
            lower = line.lower()
            if rules.LIST_STARTS.search(lower):
                in_list = 12
            else:
                in_list -= 1
            continue
        rest = match["rest"].strip()
        address = match["address"]
        named = _BRACKETED.match(rest)
        if named is not None:  # what came first is a display name that looks like an address
            address, rest = named["address"], rest[named.end() :].strip()
        looked_at += 1
        if looked_at > MAX_LOOKED_AT:
            return
        paragraph, more, original = _reason(lines, number, rest)
        has_reason = bool(rules.FAILURE_WORDS.search(paragraph.lower()))
        if not has_reason and in_list <= 0:
            continue
        if (
            rest
            and rest[0] not in "[(:;,.-#>\"'=…："
            and not rules.FAILURE_WORDS.search(rest.lower())
            and not _DATE.match(rest)
        ):
            continue  # a sentence that begins with an address
        in_list = max(in_list, 6)
        yield Finding(address, paragraph if has_reason else f"{paragraph}\n{more}".strip(), original)
        found += 1
        if found >= MAX_RECIPIENTS:
            return


_DATE = any_of(r"^on (?:mon|tue|wed|thu|fri|sat|sun|\d)", flags=re.I)


def _reason(lines: Sequence[str], number: int, rest: str) -> tuple[str, str, str]:
    """Return (words in the address's own paragraph, words after it, address it was expanded from)."""
    paragraph = [rest] if rest else []
    more: list[str] = []
    original = ""
    target = paragraph
    for line in lines[number + 1 : number + 1 + MAX_REASON_LINES]:
        text = line.strip()
        if not text:
            if paragraph:
                target = more
            continue
        expanded = _EXPANDED.search(text) if "@" in text else None
        if expanded is not None:
            original = original or expanded["address"] or expanded["other"] or ""
            continue
        if _line_first(line) is not None and not _is_continuation(line, lines[number]):
            break
        target.append(text)
    return (
        "\n".join(paragraph)[:MAX_REASON_CHARS],
        "\n".join(more)[:MAX_REASON_CHARS],
        original,
    )


def _is_continuation(line: str, head: str) -> bool:
    """Whether *line* begins with an address but is indented deeper than the entry's *head*: a "
    "wrapped reason."""
    return len(line) - len(line.lstrip()) > len(head) - len(head.lstrip()) + 1


def _told(lines: Sequence[str]) -> Iterator[Finding]:
    found = 0
    for number, line in enumerate(lines):
        if "@" not in line:
            continue
        finding = (
            _dialogue(lines, number)
            or _keyed(lines, number)
            or _expanded(lines, number)
            or _sentence(lines, number)
        )
        if finding is not None:
            yield finding
            found += 1
            if found >= MAX_RECIPIENTS:
                return


def _dialogue(lines: Sequence[str], number: int) -> Finding | None:
    match = _RCPT.match(lines[number])
    if match is not None:
        answers: list[str] = []
        for line in lines[number + 1 : number + 6]:
            answer = _ANSWER.match(line)
            if answer is None:
                if line.strip():
                    break
                continue
            if answer["code"][0] in "23":
                return None
            answers.append(line.strip())
        return Finding(match["address"], "\n".join(answers)) if answers else None
    match = _SENDMAIL_LINE.match(lines[number])
    return Finding(match["address"], lines[number].strip()) if match is not None else None


def _keyed(lines: Sequence[str], number: int) -> Finding | None:
    line = lines[number]
    key = rules.KEYS.match(line.lower())
    if key is None or len(line.lower()) != len(line):
        return None
    match = ADDRESS.match(line, key.end())
    if match is None:
        return None
    paragraph, more, _ = _reason(lines, number, line[match.end() :].lstrip(">\"' "))
    return Finding(match[0], f"{paragraph}\n{more}".strip())


def _expanded(lines: Sequence[str], number: int) -> Finding | None:
    """Return the address that an unnamed one was expanded from, and the one in an X.400 name."""
    match = _EXPANDED.search(lines[number]) or _X400.search(lines[number])
    if match is None:
        return None
    paragraph, more, _ = _reason(lines, number, lines[number][match.end() :].strip(" );"))
    return Finding(match["address"] or match["other"], f"{paragraph}\n{more}".strip())


def in_sentence(line: str) -> list[Finding]:
    """Return the address that *line*, the subject of a notice, names as failed."""
    match = ADDRESS.search(line) if "@" in line else None
    return [Finding(match[0], line)] if match is not None else []


def _sentence(lines: Sequence[str], number: int) -> Finding | None:
    line = lines[number]
    match = ADDRESS.search(line)
    if match is None:
        return None
    before = line[: match.start()].lower()
    if number and lines[number - 1].strip():
        before = f"{lines[number - 1].strip().lower()[-120:]} {before}"
    after = " ".join((line[match.end() :], *lines[number + 1 : number + 4]))[:300].lower()
    if rules.SENTENCES.search(before.rstrip()[-MAX_PHRASE_CHARS:]) and (
        rules.FAILURE_WORDS.search(before) or rules.FAILURE_WORDS.search(after)
    ):
        paragraph, more, original = _reason(lines, number, line)
        return Finding(match[0], f"{paragraph}\n{more}".strip(), original)
    return None


def _bare(lines: Sequence[str], listed: Sequence[Finding]) -> Iterator[Finding]:
    taken = {finding.address.lower() for finding in listed}
    found = 0
    for number, line in enumerate(lines):
        match = _line_first(line)
        if match is None or match["address"].lower() in taken:
            continue
        if match["rest"].strip(" .,:;"):
            continue
        paragraph, more, original = _reason(lines, number, match["rest"].strip())
        yield Finding(match["address"], f"{paragraph}\n{more}".strip(), original)
        found += 1
        if found >= MAX_RECIPIENTS:
            return
