"""What mail programs leave in their HTML around a quotation, carried through the rendering into text.

The HTML is not parsed twice: one pass over its tags puts Unicode noncharacters (U+FDD0 to U+FDD5, which no
text may hold) where a known marker stands, the renderer of the whole mail lays the text out, and the signs
are then found in its lines. A ``blockquote`` without any mark of a mail program is called bare: it may be the
author's own.
"""

from __future__ import annotations

import re
from itertools import islice

from servelo.mail.html_text import MAX_TAGS, render
from servelo.patterns import pattern
from servelo.records import dataclass, field

BEGIN, END, REST, ATTRIBUTION, BARE, SIGNATURE = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3", "\ufdd4", "\ufdd5"
_SIGNS = pattern("[\ufdd0-\ufddf]")
MAX_HTML_CHARS = 1024 * 1024
MAX_KINDS = 2000  # different tags of a mail that are not looked at again
MAX_OPEN = 2000  # elements whose ends are looked for
_INDENTED, _INDENT_END = "indented", "</div>"

_TAG = pattern(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,10})((?:[\s/](?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*+)?)>")
_ATTRIBUTES = pattern(
    r"\b(class|id|type|style|name|data-marker|cite)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.I
)
_QUOTE_SIGNS = pattern(f"[{BEGIN}{REST}{ATTRIBUTION}{BARE}]")
# Nothing is marked without one of these: far cheaper to ask than to look at each tag.
_MAY_MARK = pattern(r"<blockquote|<[^<>]{1,400}\b(?:class|id|name|data-marker)\s*=", re.I)
_SIGN_SPLIT = pattern("([\ufdd0-\ufddf])")
_MARKS = pattern(r"(?:> ?){0,20}")  # each part of a line gets them again

# Within an element of these classes stands a quotation, attribution and all.
QUOTE_CLASSES = frozenset(
    (
        "yahoo_quoted protonmail_quote tutanota_quote nylas-quote mailspring-quote zmail_extra "
        "freshdesk_quote "
        "ms-outlook-mobile-reference-message mail-editor-reference-message-container history-quote-wrapper "
        "lark-mail-quote ntes-mailmaster-quote bloop_original_html airmail_ext_original front-blockquote "
        "reply-previous-message mb_quote qm_original gmail_quote_original mimestream-quote hs_reply_quote "
        "skiff_quote canary_quote spark_quote edison_quoted moz-forward-quote wlmailhtml_quote "
        "replied-message previous-message quoted-reply mailchat_quote tinymce-quote iCloud-quote "
        "gorgias_quote __pbConvHr"
    )
    .casefold()
    .split()
)
QUOTE_IDS = frozenset(
    "isreplycontent olk_src_body_section replybody reply_body_quote originalmessage original-content "
    "mail-editor-reference-message-container outlook-mobile-reference qtmessage spark-quote "
    "messagereplysection "
    "isforwardcontentquote history_quote __quoted_text__".split()
)
QUOTE_NAMES = frozenset(("quote", "messagereplysection", "quoted-content"))
# From the beginning of these elements on, all that follows is quoted.
REST_CLASSES = frozenset("outlookmessageheader gmail_attr_rest olk-header".split())
REST_IDS = frozenset("divrplyfwdmsg zwchr appendonsend_rest outlookmessageheader mail-reply-header".split())
# These hold the attribution line; the quotation follows.
ATTRIBUTION_CLASSES = frozenset("gmail_attr moz-cite-prefix airmail_on hs_attribution ydp_attr".split())
SIGNATURE_CLASSES = frozenset(
    (
        "gmail_signature moz-signature protonmail_signature_block ms-outlook-mobile-signature "
        "ymail_android_signature signature_editor yahoo-signature mailspring-signature nylas-signature "
        "wisestamp_signature tutanota_signature signature-container"
    ).split()
)
SIGNATURE_IDS = frozenset(
    (
        "applemailsignature apple-mail-signature ms-outlook-mobile-signature composer_signature "
        "bloop_sign signature ymail_android_signature mobile-signature sign_block"
    ).split()
)
_X = pattern(r"^(?:x_)+")
_INDENT = pattern(r"border:\s*(?:none|medium none)|border-left:\s*none|webkit-indent")
_ELEMENTS = frozenset(
    ("div", "blockquote", "span", "p", "table", "td", "section", "hr", "font", "pre", "header", "body")
)


@dataclass(slots=True)
class MarkedText:
    """Rendered text with what the markup said of its lines.

    Attributes:
        lines: rendered lines, without the signs.
        quoted: index of each line that stands in a marked quotation.
        bare: index of each line that stands in a bare blockquote.
        attribution: indexes where an attribution begins.
        rest: indexes from which on all is quoted.
        begins: indexes where a marked quotation begins.
        signature: indexes of lines within a marked signature.
    """

    lines: list[str]
    quoted: set[int] = field(default_factory=set)
    bare: set[int] = field(default_factory=set)
    attribution: set[int] = field(default_factory=set)
    rest: set[int] = field(default_factory=set)
    begins: set[int] = field(default_factory=set)
    signature: set[int] = field(default_factory=set)


def has_marks(html: str) -> bool:
    """Whether a quotation or an attribution is marked in *html*; a marked signature alone does not count."""
    if _MAY_MARK.search(html[:MAX_HTML_CHARS]) is None:
        return False
    return _QUOTE_SIGNS.search(_mark(_SIGNS.sub("", html[:MAX_HTML_CHARS]), False)) is not None


def read(html: str, *, words_only: bool = False, rendered: str | None = None) -> MarkedText:
    """Return *html* as text, as ``html_text.render`` lays it out, with what its markup says of each line.

    *words_only* leaves out what the layout adds: addresses of links, bullets, rules, words for images.
    *rendered* is what ``render(html)`` gave to a caller who has asked already: HTML without marks is then
    not laid out again.
    """
    bare = html[:MAX_HTML_CHARS]
    if _SIGNS.search(bare):
        bare, rendered = _SIGNS.sub("", bare), None
    marked = _mark(bare, words_only)
    return _parse(rendered if rendered is not None and marked is bare else render(marked))


def _mark(html: str, words_only: bool) -> str:
    """Return *html* with signs put where its markup tells of quotations."""
    original = html
    if "<!--" in html:
        html = _without_comments(html)
    out: list[str] = []
    position = 0
    open_elements: list[tuple[str, str]] = []
    kinds: dict[tuple[str, str], str] = {}  # mails repeat their tags
    for match in islice(_TAG.finditer(html), MAX_TAGS):  # further tags are not laid out either
        name = match[2].lower()
        if name not in _ELEMENTS and not (words_only and name in ("a", "li", "img", "hr", "q", "ul", "ol")):
            continue
        if match[1]:
            if words_only and name in ("a", "q"):
                out.append(html[position : match.start()])
                position = match.end()
                continue
            sign = _close(open_elements, name)
            if sign:
                out.append(html[position : match.start()] + sign)
                position = match.end() if sign.endswith(_INDENT_END) else match.start()
            continue
        if words_only and name in ("a", "li", "img", "hr", "q"):
            out.append(html[position : match.start()])
            out.append({"li": "<div>", "hr": "<br>"}.get(name, ""))
            position = match.end()
            if name != "hr":
                continue
        attributes = match[3]
        kind = kinds.get((name, attributes))
        if kind is None:
            kind = _kind(name, attributes)
            if len(kinds) < MAX_KINDS:
                kinds[name, attributes] = kind
        if kind == _INDENTED and len(open_elements) < MAX_OPEN:
            # Laid out as a quotation it would be taken for one.
            open_elements.append((name, _INDENT_END))
            out.append(html[position : match.start()] + "<div>")
            position = match.end()
            continue
        if kind in (BEGIN, BARE, SIGNATURE):
            if len(open_elements) < MAX_OPEN:
                open_elements.append((name, END))
                out.append(html[position : match.end()] + kind)
                position = max(position, match.end())
            continue
        if kind:
            out.append(html[position : match.end()] + kind)
            position = max(position, match.end())
        if name not in ("hr", "p") and not attributes.endswith("/") and len(open_elements) < MAX_OPEN:
            open_elements.append((name, ""))
    if not out:
        return original
    out.append(html[position:])
    return "".join(out)


def _without_comments(html: str) -> str:
    """Outlook's conditional comments hold tags; an unclosed comment is left to the renderer."""
    out: list[str] = []
    position = 0
    while (begin := html.find("<!--", position)) >= 0 and (end := html.find("-->", begin + 4)) >= 0:
        out.append(html[position:begin])
        position = end + 3
    out.append(html[position:])
    return "".join(out)


def _close(open_elements: list[tuple[str, str]], name: str) -> str:
    """Close the nearest open *name*; return the signs that end what was open within."""
    for index in range(len(open_elements) - 1, max(-1, len(open_elements) - 40), -1):
        if open_elements[index][0] == name:
            signs = "".join(sign for _, sign in open_elements[index:])
            del open_elements[index:]
            return signs
    return ""


def _kind(name: str, attributes: str) -> str:
    classes: set[str] = set()
    identity = style = kind_of = called = marker = ""
    for match in _ATTRIBUTES.finditer(attributes[:4000]):
        key = match[1].lower()
        value = match[2] or match[3] or match[4] or ""
        if key == "class":
            classes = {_X.sub("", one) for one in value.casefold().split()}
        elif key == "id":
            identity = _X.sub("", value.casefold())
        elif key == "style":
            style = value.casefold()
        elif key == "type":
            kind_of = value.casefold()
        elif key == "name":
            called = _X.sub("", value.casefold())
        elif key == "data-marker":
            marker = value.casefold()
    if name == "blockquote":
        if kind_of == "cite" or "gmail_quote" in classes or classes & QUOTE_CLASSES or identity in QUOTE_IDS:
            return BEGIN
        if (style and _INDENT.search(style)) or "webkit-indent-blockquote" in classes:
            return _INDENTED
        return BARE
    if not (classes or identity or called or marker):
        return ""
    if classes & QUOTE_CLASSES or identity in QUOTE_IDS or called in QUOTE_NAMES:
        return BEGIN
    if any(one.endswith("yahoo_quoted") for one in classes) or identity.startswith("yahoo_quoted"):
        return BEGIN
    if marker == "__quoted_text__":
        return REST if name == "hr" else BEGIN
    if classes & REST_CLASSES or identity in REST_IDS:
        return REST
    if classes & ATTRIBUTION_CLASSES:
        return ATTRIBUTION
    if classes & SIGNATURE_CLASSES or identity in SIGNATURE_IDS:
        return SIGNATURE
    return ""


def _parse(text: str) -> MarkedText:
    marked = MarkedText([])
    if not _SIGNS.search(text):
        marked.lines = text.split("\n")
        return marked
    depth: list[tuple[str, int]] = []  # (sign, index of the first line within)
    within = {BEGIN: 0, BARE: 0, SIGNATURE: 0}  # how often each stands in depth
    opened = False  # the line above held nothing but the sign of a beginning
    for line in text.split("\n"):
        if not _SIGNS.search(line):
            if not opened or not _is_quoted_blank(line):
                _put(marked, line, within)
            opened = False
            continue
        size = len(marked.lines)
        # A sign in the middle of a line parts it; each part keeps the marks of its quotation.
        marks = _MARKS.match(line)
        prefix = marks[0] if marks else ""
        pending = ""
        for piece in _SIGN_SPLIT.split(line[len(prefix) :]):
            if not piece or not "\ufdd0" <= piece <= "\ufddf":
                pending += piece
                continue
            if pending.strip(" >"):
                _put(marked, prefix + pending, within)
            pending = ""
            index = len(marked.lines)
            if piece in (BEGIN, BARE, SIGNATURE):
                depth.append((piece, index))
                within[piece] += 1
                if piece == BEGIN and within[BEGIN] == 1:
                    marked.begins.add(index)
            elif piece == END:
                if len(marked.lines) == size:
                    _take_back_blank(marked)
                if depth:
                    kind, first = depth.pop()
                    within[kind] -= 1
                    if first >= len(marked.lines) and not within[BEGIN]:
                        marked.begins.discard(first)  # nothing stands in it
            elif piece == REST:
                marked.rest.add(index)
            elif piece == ATTRIBUTION:
                marked.attribution.add(index)
        if pending.strip(" >"):
            _put(marked, prefix + pending, within)
        opened = len(marked.lines) == size and END not in line
    return marked


def _is_quoted_blank(line: str) -> bool:
    return line[:1] == ">" and not line.strip("> ")


def _take_back_blank(marked: MarkedText) -> None:
    """Take the empty line back that the renderer set above the line of an ending's sign."""
    if marked.lines and _is_quoted_blank(marked.lines[-1]):
        marked.lines.pop()
        index = len(marked.lines)
        for indexes in (marked.quoted, marked.bare, marked.signature):
            indexes.discard(index)
        for marks in (marked.begins, marked.rest, marked.attribution):  # of the line to come
            if index + 1 in marks:
                marks.discard(index + 1)
                marks.add(index)


def _put(marked: MarkedText, line: str, within: dict[str, int]) -> None:
    index = len(marked.lines)
    marked.lines.append(line)
    if within[BEGIN]:
        marked.quoted.add(index)
    elif within[BARE]:
        marked.bare.add(index)
    elif within[SIGNATURE]:
        marked.signature.add(index)
    elif _is_quoted_blank(line):
        # The empty line that the renderer sets between two quotations goes with the first.
        if index - 1 in marked.bare:
            marked.bare.add(index)
        elif index - 1 in marked.quoted:
            marked.quoted.add(index)
