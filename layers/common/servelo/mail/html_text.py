"""HTML as text, laid out as a person would type it. One pass, linear time, any input.

Paragraphs are parted by one empty line; lists have their bullets and numbers; a link is followed by its
address in angle brackets where the text does not say it already; quotations have ``> `` before their lines;
preformatted text keeps its spaces; tables of short cells are set in columns, and tables that only lay a page
out are read cell by cell. What a browser would not show (scripts, styles, comments, ``display:none``) is left
out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape as unescape_all

from servelo.mail.charset import storable
from servelo.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HTML_CHARS = 1024 * 1024
MAX_TEXT_CHARS = 1024 * 1024
MAX_TABLE_DEPTH = 12
MAX_PREFIXES = 12  # levels of quotation and list that are shown; deeper ones look like the twelfth
MAX_OPEN_ELEMENTS = 200
MAX_TABLE_WIDTH = 100
MAX_LINK_CHARS = 1000
MAX_TAG_CHARS = 16_384  # a tag may be longer when its quotes are balanced: images within their address are
MAX_LONG_LOOKS = 3  # for the end of such a tag, in vain
MAX_ODD_TAGS = 40  # tags with unbalanced quotes, before quotes are no longer looked at
MAX_TAGS = 20_000  # laid out; what follows is read block by block. A newsletter of 100 kB has some 2,000
MAX_REFERENCES = 40_000  # then only what is written in full is one: "&amp;", not "&amp"

_TAG_START = pattern(r"<(?=[a-zA-Z/!?])")
# Quotes are quotes right after an equals sign, and letters elsewhere (WHATWG HTML, 13.2.5.37).
_OPEN_TAG = pattern(r"<([a-zA-Z][^\s/>]*+)((?:[^>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+)*+)>")
_COMMENT_END = pattern(r"--!?>")
_PLAIN_TAG = pattern(r"<([a-zA-Z][^\s/>]{0,60}+)([^>]*+)>")
_CLOSE_TAG = pattern(r"</([a-zA-Z][^\s/>]{0,60}+)")
_ATTRIBUTE = pattern(r"([^\s=\"'/>]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>]++)))?+")
_SPACES = pattern(r"[ \t\r\n\f\xa0]+")
_INVISIBLE = pattern("[\u200b\ufeff\u00ad\u2060\u034f]+")
_ONLY_INVISIBLE = pattern(r"[\s\u200b-\u200f\ufeff\u00ad\u2060\u034f]*\Z")
_HIDDEN = pattern(r"display\s*:\s*none|mso-hide\s*:\s*all", re.I)
_PRESERVED = pattern(r"white-space\s*:\s*(?:pre\b|pre-wrap|break-spaces)", re.I)
_SCHEME = pattern(r"(?:https?://|mailto:)(?:www\.)?", re.I)

_BLOCKS = frozenset(
    "address article aside body center div dl dt dd fieldset figcaption figure footer form header html li "
    "main nav section summary details optgroup option legend caption table tbody thead tfoot tr td th ul ol "
    "menu dir blockquote p pre h1 h2 h3 h4 h5 h6 hr listing plaintext".split()
)
_SPACED = frozenset("p h1 h2 h3 h4 h5 h6 ul ol dl blockquote pre table figure menu dir listing".split())
_LETTER_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_PREFORMATTED = frozenset("pre listing textarea plaintext".split())
# Those that do more than begin a line.
_PARTICULAR = frozenset("table tr td th a blockquote ul ol menu dir li dd q".split())
_PLAIN_BLOCKS = _BLOCKS - _PARTICULAR
# Elements that change letters only; without a style of their own they change nothing in a text.
_LETTERS = frozenset(
    "b i u s em strong small big span font code tt kbd samp var sub sup mark abbr cite ins del".split()
)
# For what is behind the tags that are laid out. Both cases of each letter: re.I takes three times as long.
_SKIPPED_OPEN = pattern(
    r"<([sS](?:[cC][rR][iI][pP][tT]|[tT][yY][lL][eE]|[vV][gG])|[mM][aA][tT][hH]"
    r"|[tT](?:[iI][tT][lL][eE]|[eE][mM][pP][lL][aA][tT][eE]))\b[^<>]*+>"
)
_NEW_LINE = pattern(
    r"</?(?:[pP](?:[rR][eE])?|[dD](?:[iI][vV]|[dDtT])|[lL][iI]|[uUoO][lL]|[hH][1-6rR]"
    r"|[tT](?:[rR]|[aA][bB][lL][eE])|[bB](?:[rR]|[lL][oO][cC][kK][qQ][uU][oO][tT][eE]))\b[^<>]*+>"
)
_QUOTE_SIGNS = pattern(r"(?:> )*+")
_CELL = pattern(r"<t[dh]\b[^<>]*+>", re.I)
_ANY_TAG = pattern(r"<[/!?]?[a-zA-Z\-][^<>]*+>|<!\[|<!--")
_FULL_REFERENCE = pattern(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_NO_SIGN = pattern(r"&#[0-9]{1000,}+;?")  # Python makes no number of more than 4,300 digits
_SKIPPED = frozenset("script style title template svg math select iframe object applet noframes".split())


@lru_cache(maxsize=512)
def _reference(reference: str) -> str:
    return unescape_all(reference)


def unescape(text: str) -> str:
    """Return *text* with its character references resolved; of very many, those that end in a semicolon."""
    if "&#" in text:
        text = _NO_SIGN.sub("\ufffd", text)
    if text.count("&") <= MAX_REFERENCES:
        return unescape_all(text)
    return _FULL_REFERENCE.sub(lambda match: _reference(match[0]), text)


def _quote_signs(line: str) -> str:
    return _QUOTE_SIGNS.match(line)[0]  # type: ignore[index] # nothing is a match, too


class _Frame:
    """Lines of one flow of text: the mail, or one table cell."""

    __slots__ = ("blank", "buffer", "bullet", "deeper", "head", "lines", "prefix", "signs")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.buffer: list[str] = []
        self.blank = False
        self.prefix: list[str] = []
        self.deeper = 0  # levels below those that are shown
        # Of the prefix, kept because each line asks for them:
        self.head = ""  # it in one piece
        self.signs = ""  # its first pieces that are "> "
        self.bullet = False  # a bullet or number is in it

    def indent(self, piece: str) -> None:
        if len(self.prefix) < MAX_PREFIXES:
            if piece == "> " and len(self.signs) == len(self.head):
                self.signs += piece
            self.head += piece
            self.bullet = self.bullet or piece[0] not in "> "
            self.prefix.append(piece)
        else:
            self.deeper += 1

    def outdent(self) -> None:
        if self.deeper:
            self.deeper -= 1
        elif self.prefix:
            self.head = self.head[: -len(self.prefix.pop())]
            if len(self.signs) > len(self.head):
                self.signs = self.head

    def add(self, text: str) -> None:
        if text and text[0] == " " and (not self.buffer or self.buffer[-1].endswith((" ", "\n"))):
            text = text[1:]
        if text:
            self.buffer.append(text)

    def flush(self) -> None:
        """End the line being built."""
        if not self.buffer:
            return
        text = "".join(self.buffer)
        self.buffer = []
        if text[0].isalnum() or not _ONLY_INVISIBLE.match(text):
            self.line(text.strip(" "))

    def line(self, text: str) -> None:
        lines, head = self.lines, self.head
        if self.blank:
            self.blank = False
            if lines and (above := lines[-1]).strip("> "):
                # An empty line between two quoted lines is quoted as deep as the shallower of them.
                shallower = self.signs if above.startswith(self.signs) else _quote_signs(above)
                lines.append(shallower.rstrip())
        lines.append(head + text)
        if self.bullet:
            # It stands before its first line only.
            self.prefix = [one if one[0] in "> " else " " * len(one) for one in self.prefix]
            self.head = "".join(self.prefix)
            self.bullet = False

    def gap(self) -> None:
        self.flush()
        self.blank = True

    def line_break(self) -> None:
        if self.buffer and not _ONLY_INVISIBLE.match("".join(self.buffer)):
            self.flush()
        else:
            self.buffer = []
            if self.lines and self.lines[-1].strip():
                self.lines.append("".join(p if p[:1] == ">" else "" for p in self.prefix).rstrip())
                self.blank = False


class _Table:
    __slots__ = ("cell", "outer", "row", "rows")

    def __init__(self, outer: _Frame) -> None:
        self.outer = outer
        self.rows: list[list[list[str]]] = []
        self.row: list[list[str]] | None = None
        self.cell: _Frame | None = None


class _Renderer:
    def __init__(self) -> None:
        self.frame = _Frame()
        self.tables: list[_Table] = []
        self.open: list[
            tuple[str, str]
        ] = []  # (element, what it changed: "", pre, hidden, quote, item, list, indent)
        self.opened: dict[str, int] = {}  # how many of each are open
        self.lists: list[int | None] = []  # next number, None for bullets
        self.pre = 0
        self.hidden = 0
        self.link: str | None = None
        self.link_text: list[str] = []

    def text(self, raw: str) -> None:
        if self.hidden:
            return
        text = raw
        if "&" in raw:
            text = _reference(raw) if len(raw) < 10 else unescape(raw)  # many a text is one "&nbsp;"
        # A space is the one sign of ASCII that is both white and printable.
        plain = text.isascii() and text.isprintable() and "  " not in text
        if not plain:
            text = _INVISIBLE.sub("", text)
        if self.link is not None:
            self.link_text.append(text)
        if not self.pre:
            if not plain:
                text = _SPACES.sub(" ", text)
            if text == " " and not self.frame.buffer:
                return
            self.frame.add(text)
            return
        lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ").split("\n")
        for index, line in enumerate(lines):
            if line:
                self.frame.buffer.append(line)
            if index < len(lines) - 1:
                whole = "".join(self.frame.buffer)
                self.frame.buffer = []
                if whole.strip() or self.frame.lines:
                    self.frame.line(whole.rstrip())

    def start(self, name: str, attributes: str) -> None:
        if name in _VOID:
            if name == "img":
                self._image(attributes)
            elif self.hidden:
                pass
            elif name == "br":
                self.frame.line_break()
            elif name == "hr":
                self.frame.flush()
                self.frame.line("----------")
            return
        change = "pre" if name in _PREFORMATTED else ""
        if attributes and ("style" in attributes or "hidden" in attributes):
            if _HIDDEN.search(attributes):
                change = "hidden"
                self.hidden += 1
            elif _PRESERVED.search(attributes):
                change = "pre"
        if not self.hidden:
            if name in _PLAIN_BLOCKS:
                self.frame.flush()
                self.frame.blank |= name in _SPACED
            elif name in _PARTICULAR:
                change = self._start_particular(name, attributes, change)
        if change == "pre":
            self.pre += 1
        if len(self.open) >= MAX_OPEN_ELEMENTS:
            self._closed(*self.open.pop(0))
        if change or name in _BLOCKS:
            self.open.append((name, change))
            self.opened[name] = self.opened.get(name, 0) + 1

    def _start_particular(self, name: str, attributes: str, change: str) -> str:
        frame = self.frame
        if name in ("table", "tr", "td", "th"):
            self._start_table(name)
        elif name == "a":
            self._end_link()
            self.link = _attribute(attributes, "href")
            self.link_text = []
        elif name == "blockquote":
            frame.gap()
            frame.indent("> ")
            return "quote"
        elif name in ("ul", "ol", "menu", "dir"):
            frame.flush()
            if not self.lists:
                frame.blank = True
            start = _attribute(attributes, "start") or ""
            self.lists.append(
                (int(start) if start.isdecimal() and len(start) < 7 else 1) if name == "ol" else None
            )
            return "list"
        elif name == "li":
            frame.flush()
            self._close_open("li", ("ul", "ol", "menu", "dir"))
            number = self.lists[-1] if self.lists else None
            if number is not None:
                self.lists[-1] = number + 1
            frame.indent(f"{number}. " if number is not None else "- ")
            return "item"
        elif name == "dd":
            frame.flush()
            frame.indent("    ")
            return "indent"
        else:
            assert name == "q"  # noqa: S101 - the last of _PARTICULAR
            frame.add("\u201c")
            return "q"
        return change

    def end(self, name: str) -> None:
        if name == "a":
            self._end_link()
            return
        if name in ("br", "p") and not self._is_open(name):
            if not self.hidden:
                self.frame.line_break()
            return
        if name not in _BLOCKS and not self._is_open(name):
            return
        self._close_open(name, ("table",) if name in ("tr", "td", "th", "li", "p", "div") else ())
        if self.hidden:
            return
        if name in ("table", "tr", "td", "th"):
            self._end_table(name)
        elif name in _SPACED and not (name in ("ul", "ol") and self.lists):
            self.frame.gap()
        elif name in _BLOCKS:
            self.frame.flush()

    def _is_open(self, name: str) -> bool:
        return bool(self.opened.get(name)) and any(element == name for element, _ in self.open[-20:])

    def _close_open(self, name: str, barriers: tuple[str, ...]) -> None:
        """Close the nearest open *name* and what is open within it; nothing when a barrier lies between."""
        if not self.opened.get(name):
            return
        for index in range(len(self.open) - 1, -1, -1):
            element = self.open[index][0]
            if element == name:
                while len(self.open) > index:
                    self._closed(*self.open.pop())
                return
            if element in barriers:
                return

    def _closed(self, name: str, change: str) -> None:
        self.opened[name] -= 1
        if change == "pre":
            self.pre -= 1
            self.frame.flush()
        elif change == "hidden":
            self.hidden -= 1
        elif change in ("quote", "item", "indent"):
            self.frame.flush()
            self.frame.outdent()
        elif change == "list" and self.lists:
            self.frame.flush()
            self.lists.pop()
        elif change == "q":
            self.frame.add("\u201d")

    def _image(self, attributes: str) -> None:
        if self.hidden:
            return
        alt = _SPACES.sub(" ", unescape(_attribute(attributes, "alt") or "")).strip()
        if alt:
            self.frame.add(f"[{alt}]")
            if self.link is not None:
                self.link_text.append(alt)

    def _end_link(self) -> None:
        if self.link is None:
            return
        target = unescape(self.link).strip()
        text = _SPACES.sub(" ", "".join(self.link_text)).strip()
        self.link = None
        self.link_text = []
        if not text or len(target) > MAX_LINK_CHARS or self.hidden:
            return
        bare = _SCHEME.sub("", target, count=1).rstrip("/")
        if target[:7].lower() == "mailto:":
            bare = bare.partition("?")[0]
            shown = bare
        elif target[:7].lower() == "http://" or target[:8].lower() == "https://":
            shown = target
        else:
            return
        said = _SCHEME.sub("", text, count=1).rstrip("/ ")
        if bare and bare.casefold() not in text.casefold() and said.casefold() != bare.casefold():
            self.frame.add(f" <{_SPACES.sub('', shown)}>")

    def _start_table(self, name: str) -> None:
        if name == "table":
            self.frame.flush()
            if len(self.tables) < MAX_TABLE_DEPTH:
                self.tables.append(_Table(self.frame))
            return
        if not self.tables:
            self.frame.flush()
            return
        table = self.tables[-1]
        if name == "tr":
            self._end_cell(table)
            table.row = []
            table.rows.append(table.row)
            return
        self._end_cell(table)
        if table.row is None:
            table.row = []
            table.rows.append(table.row)
        table.cell = self.frame = _Frame()

    def _end_cell(self, table: _Table) -> None:
        if table.cell is None:
            return
        table.cell.flush()
        assert table.row is not None  # noqa: S101 - a cell is only opened in a row
        table.row.append(_trimmed(table.cell.lines))
        table.cell = None
        self.frame = table.outer

    def _end_table(self, name: str) -> None:
        if not self.tables:
            self.frame.flush()
            return
        table = self.tables[-1]
        if name == "table":
            self._end_cell(table)
            self.tables.pop()
            self.frame = table.outer
            lines = _lay_out(table.rows)
            if lines:
                self.frame.flush()
                columns = any(len([c for c in row if c]) > 1 for row in table.rows)
                if columns:
                    self.frame.blank = True
                for line in lines:
                    if line:
                        self.frame.line(line)
                    else:
                        self.frame.blank = True
                if columns:
                    self.frame.blank = True
            return
        self._end_cell(table)
        if name == "tr":
            table.row = None

    def finish(self) -> str:
        self._end_link()
        while self.tables:
            self._end_table("table")
        self.frame.flush()
        return "\n".join(_trimmed(self.frame.lines))[:MAX_TEXT_CHARS]


def _trimmed(lines: list[str]) -> list[str]:
    first, last = 0, len(lines)
    while first < last and not lines[first].strip():
        first += 1
    while last > first and not lines[last - 1].strip():
        last -= 1
    return lines[first:last]


def _lay_out(rows: list[list[list[str]]]) -> list[str]:
    """Return the lines of a table: in columns when its cells are short, else cell after cell."""
    rows = [row for row in rows if any(row)]
    columns = max((len(row) for row in rows), default=0)
    full = sum(1 for row in rows if sum(1 for cell in row if cell) > 1)
    if columns > 1 and full and all(len(cell) <= 1 for row in rows for cell in row):
        widths = [0] * columns
        for row in rows:
            if sum(1 for cell in row if cell) > 1:
                for index, cell in enumerate(row):
                    widths[index] = max(widths[index], len(cell[0]) if cell else 0)
        aligned = full > 1 and sum(widths) + 2 * columns <= MAX_TABLE_WIDTH
        out = []
        for row in rows:
            cells = [cell[0] if cell else "" for cell in row]
            if sum(1 for cell in cells if cell) == 1:
                out.append("".join(cells))
            elif aligned:
                out.append("  ".join(c.ljust(widths[i]) for i, c in enumerate(cells) if widths[i]).rstrip())
            else:
                out.append("  ".join(c for c in cells if c))
        return out
    out = []
    for row in rows:
        cells_with_text = [cell for cell in row if cell]
        for cell in cells_with_text:
            if len(cell) > 1 and out and out[-1]:
                out.append("")
            out.extend(cell)
            if len(cell) > 1:
                out.append("")
    return _trimmed(out)


def attributes_of(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name in lower case, value as written) of each attribute in *text*, the inside of a tag."""
    for match in _ATTRIBUTE.finditer(text):
        yield match[1].lower(), match[2] or match[3] or match[4] or ""


def _attribute(attributes: str, wanted: str) -> str | None:
    for name, value in attributes_of(attributes):
        if name == wanted:
            return value
    return None


def render(html: str, *, max_tags: int = MAX_TAGS) -> str:
    """Return *html* as text with ``\\n`` line ends, without lone surrogates or NUL. Never raises.

    At most 1 M characters are read, and about as many returned. Words behind *max_tags* tags are
    not laid out any more.
    """
    html = storable(html[:MAX_HTML_CHARS])
    renderer = _Renderer()
    position = 0
    tags_left = max_tags
    for start, end, name, attributes in tags(html):
        tags_left -= 1
        if tags_left < 0:
            return f"{renderer.finish()}\n{bare_words(html[position:])}"[:MAX_TEXT_CHARS]
        if start > position:
            renderer.text(html[position:start])
        position = end
        if attributes is None:
            renderer.end(name)
        elif name and (name not in _LETTERS or "style" in attributes or "hidden" in attributes):
            renderer.start(name, attributes)
    renderer.text(html[position:])
    return renderer.finish()


def tags(html: str) -> Iterator[tuple[int, int, str, str | None]]:
    """Yield (start, end, name, attributes) for each tag of *html*, in linear time; between them is text.

    *name* is in lower case, *attributes* as written, None for an end tag. *name* is ``""`` for what is never
    shown: comments, declarations, and scripts, styles and the like with all that they hold. A ``<`` that
    begins none of these is text.
    """
    size = len(html)
    missing: set[str] = set()  # what was searched for in vain once is not searched for again
    odd_tags = 0
    long_looks = MAX_LONG_LOOKS
    last_end = html.rfind(">")
    next_end = -1  # the first ">" behind the end tag that was looked at last
    tag = html.find("<")
    while tag >= 0:
        position = tag + 1
        following = html[position : position + 1]
        if following in _LETTER_SIGNS:
            match = None
            ends = tag < last_end  # nothing is searched to the end of the mail that cannot be there
            if ends and odd_tags < MAX_ODD_TAGS:
                match = _OPEN_TAG.match(html, tag, tag + MAX_TAG_CHARS)
                if match is None and long_looks and tag + MAX_TAG_CHARS < size:
                    match = _OPEN_TAG.match(html, tag)  # an image within its address
                    long_looks -= match is None
            if match is None:
                odd_tags += 1
                match = _PLAIN_TAG.match(html, tag, tag + MAX_TAG_CHARS) if ends else None
            if match is not None:
                position = match.end()
                name, attributes = match.groups()
                name = name.lower()
                if name in _SKIPPED and not (name in ("svg", "math") and attributes.endswith("/")):
                    position = _after_element(html, position, name, missing)
                    name = ""
                yield tag, position, name, attributes
            elif odd_tags > MAX_ODD_TAGS * 2:
                return
        elif following == "/":
            if next_end < tag < last_end:
                next_end = html.find(">", tag)
            match = _CLOSE_TAG.match(html, tag) if tag < next_end < tag + 4096 else None
            if match is None:
                position = tag + 2
                yield tag, position, "", ""
            else:
                position = next_end + 1
                yield tag, position, match[1].lower(), None
        elif following in ("!", "?"):
            position = _after_comment(html, tag, missing)
            yield tag, position, "", ""
        else:
            # Signs of "less than", up to the next one that could begin a tag.
            found = _TAG_START.search(html, position)
            if found is None:
                return
            position = found.start()
        tag = html.find("<", position)


@lru_cache(maxsize=1)  # the text and the HTML to be shown end with the same words
def bare_words(html: str) -> str:
    """Return the words of *html* with a line for each block, and no more layout than that. Linear time."""
    shown: list[str] = []
    position = 0
    missing: set[str] = set()
    while tag := _SKIPPED_OPEN.search(html, position):
        shown.append(html[position : tag.start()])
        position = _after_element(html, tag.end(), tag[1].lower(), missing)
    shown.append(html[position:])
    rows = _NEW_LINE.sub("\n", "".join(shown).replace("\n", " "))
    text = unescape(_ANY_TAG.sub("", _CELL.sub("  ", rows)))
    return "\n".join(filter(None, map(str.strip, _INVISIBLE.sub("", text).split("\n"))))


def _after_element(html: str, position: int, name: str, missing: set[str]) -> int:
    if name in missing:
        return position
    end = re.compile(rf"</{name}(?=[\s/>])", re.I).search(html, position)
    close = html.find(">", end.end()) if end else -1
    if close < 0:
        missing.add(name)
        return position
    return close + 1


def _after_comment(html: str, tag: int, missing: set[str]) -> int:
    if html.startswith("<!--", tag) and "-->" not in missing:
        found = _COMMENT_END.search(html, tag + 2)  # "<!-->" is a whole one
        if found is not None:
            return found.end()
        missing.add("-->")
    if ">" in missing:
        return tag + 2
    end = html.find(">", tag)
    if end < 0:
        missing.add(">")
        return tag + 2
    return end + 1
