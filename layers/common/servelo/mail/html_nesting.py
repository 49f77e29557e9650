"""HTML as a browser's parser would nest it, written out so that the parser has nothing left to mend.

html5ever, which sanitises our mail, follows the HTML standard's rules for broken markup. Some of them cost
the square of the input: elements that no end tag closes (1 MB of ``<li><dd>`` takes it minutes), formatting
that is opened anew in each paragraph, text that is moved out of tables, names of attributes compared each
with each. :func:`well_nested` applies those rules first, in linear time and within bounds: each element that
it writes has its end tag, and what a parser would close, move or repeat is so already.

https://html.spec.whatwg.org/multipage/parsing.html#tree-construction
"""

from __future__ import annotations

from servelo.mail.html_text import MAX_TAGS, attributes_of, bare_words, tags
from servelo.patterns import pattern
from servelo.records import dataclass, field

MAX_DEPTH = 300  # elements within elements; deeper ones are left out, their words stay
MAX_FORMATTING = 60  # of them letters' formatting: a parser compares each new one with those that are open
MAX_STEPS = 500_000  # looks at open elements, over the whole mail
MAX_REOPENED_CHARS = 64_000  # of formatting that goes on in the next paragraph
MAX_SAME_FORMATTING = 3  # as the standard has it ("Noah's Ark clause")
MAX_ATTRIBUTES = 40
MAX_VALUE_CHARS = 32_000  # of an attribute, but for images within their address
MAX_KEPT = 2000  # different tags of a mail that are worked out once,
MAX_KEPT_CHARS = 500  # those with attributes up to this length

_COULD_BE_TAG = pattern(r"<(?=[a-zA-Z/!?]|\Z)")
_VOID = frozenset("br col hr img wbr".split())
_FORMATTING = frozenset("a b big code em font i s small strike strong tt u".split())
_HEADINGS = frozenset("h1 h2 h3 h4 h5 h6".split())
# They close a paragraph.
_BLOCKS = _HEADINGS | frozenset(
    "address article aside blockquote center details dir div dl fieldset figcaption figure footer form "
    "header hr li dd dt main menu nav ol p pre section summary table ul".split()
)
_SPECIAL = _BLOCKS | frozenset("caption colgroup tbody td tfoot th thead tr".split())
_CELLS = frozenset(("td", "th", "caption"))
_ROWS = frozenset(("tr", "tbody", "thead", "tfoot", "colgroup"))
_TABLE_PARTS = _CELLS | _ROWS | {"col"}
_ANNOTATIONS = frozenset(("rp", "rt"))
_IMPLIED_BY_ANNOTATIONS = frozenset("dd dt li p rp rt".split())
_GROUPS = ("tbody", "thead", "tfoot")
_ITEMS = {"li": ("li",), "dd": ("dd", "dt"), "dt": ("dd", "dt")}  # that an item closes
_NOTHING: frozenset[str] = frozenset()
_LISTS = frozenset(("ol", "ul"))
_LIST_ENDS = _SPECIAL - {"address", "div", "p"}  # what stands around a list, not in it


class _Element:
    __slots__ = ("at", "ended", "name", "tag", "within")

    def __init__(self, name: str, tag: str, at: int) -> None:
        self.name = name
        self.tag = tag  # as written out
        self.at = at  # in what is written
        self.ended = False  # its end tag came while a block within it was open
        self.within: list[_Element] | None = None  # formatting that ended before it and goes on in it


@dataclass(slots=True)
class _Scope:
    """The open elements of the mail, of one table, or of one cell: tags within it close nothing outside."""

    kind: str  # "", "table" or "cell"
    elements: list[_Element] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)  # how many of each, without those that have ended
    same: dict[str, int] = field(default_factory=dict)  # formatting, by its tag as written out
    moved: list[str] = field(default_factory=list)  # words in a table but in no cell: they go before it
    going_on: list[_Element] = field(default_factory=list)  # formatting to open anew at the next words


class _Writer:
    def __init__(self, names: frozenset[str], attributes: dict[str, frozenset[str]]) -> None:
        self.known = names
        self.allowed = {name: attributes["*"] | attributes.get(name, frozenset()) for name in names}
        self.out: list[str] = []
        self.scopes = [_Scope("")]
        self.depth = 0
        self.formatting = 0  # how many of these elements are open
        self.tags: dict[tuple[str, str], str] = {}  # by name and attributes: mails repeat them
        self.left_out: dict[str, int] = {}
        self.steps = MAX_STEPS
        self.reopened = MAX_REOPENED_CHARS

    # --- what is open

    def open(self, name: str, tag: str) -> None:
        scope = self.scopes[-1]
        scope.elements.append(_Element(name, tag, len(self.out)))
        self.out.append(tag)
        scope.names[name] = scope.names.get(name, 0) + 1
        if name in _FORMATTING:
            scope.same[tag] = scope.same.get(tag, 0) + 1
            self.formatting += 1
        self.depth += 1

    def pop(self) -> None:
        scope = self.scopes[-1]
        element = scope.elements.pop()
        self.out.append(f"</{element.name}>")
        if not element.ended:
            scope.names[element.name] -= 1
        if element.name in _FORMATTING:
            scope.same[element.tag] -= 1
            self.formatting -= 1
        self.depth -= 1
        if self.left_out and self.depth < MAX_DEPTH and self.formatting < MAX_FORMATTING:
            self.left_out.clear()

    def close(self, position: int) -> None:
        """Close the element at *position* of the innermost scope, and all within it; formatting goes on."""
        scope = self.scopes[-1]
        elements = scope.elements
        if position == len(elements) - 1 and not (position and elements[position - 1].ended):
            self.pop()
            return
        going_on = [one for one in elements[position + 1 :] if one.name in _FORMATTING and not one.ended]
        while len(elements) > position or (elements and elements[-1].ended):
            self.pop()
        if going_on:
            scope.going_on += going_on

    def go_on(self) -> None:
        """Open the formatting anew that the standard "reconstructs" before words."""
        scope = self.scopes[-1]
        for element in scope.going_on:
            if (
                scope.same.get(element.tag, 0) < MAX_SAME_FORMATTING
                and self.reopened >= len(element.tag)
                and self.formatting < MAX_FORMATTING
            ):
                self.reopened -= len(element.tag)
                self.open(element.name, element.tag)
        scope.going_on = []

    def find(self, *names: str, until: frozenset[str] = _NOTHING) -> int:
        """Return where the nearest of *names* is open in the innermost scope, -1 if an *until* is nearer."""
        scope = self.scopes[-1]
        for name in names:
            if scope.names.get(name):
                break
        else:
            return -1
        position = len(scope.elements)
        found = -1
        for element in reversed(scope.elements):
            position -= 1
            if element.name in names and not element.ended:
                found = position
                break
            if element.name in until:
                break
        self.steps -= len(scope.elements) - position
        return found

    def close_nearest(self, *names: str, until: frozenset[str] = _NOTHING) -> bool:
        position = self.find(*names, until=until)
        if position >= 0:
            self.close(position)
        return position >= 0

    def forget(self, name: str) -> bool:
        """Do not open the last formatting called *name* anew; return whether there was one."""
        going_on = self.scopes[-1].going_on
        for position in range(len(going_on) - 1, -1, -1):
            if going_on[position].name == name:
                del going_on[position]
                return True
        return False

    def close_last(self, names: frozenset[str]) -> bool:
        elements = self.scopes[-1].elements
        if elements and elements[-1].name in names:
            self.close(len(elements) - 1)
            return True
        return False

    def leave_scope(self) -> None:
        scope = self.scopes[-1]
        if scope.moved:
            table = scope.elements[0].at
            self.out[table] = "".join((*scope.moved, self.out[table]))
        while scope.elements:
            self.pop()
        self.scopes.pop()

    def finish(self) -> str:
        while self.scopes:
            self.leave_scope()
        return "".join(self.out)

    # --- what comes

    def text(self, raw: str) -> None:
        scope = self.scopes[-1]
        words = _COULD_BE_TAG.sub("&lt;", raw) if "<" in raw else raw
        if scope.kind == "table" and raw.strip(" \t\r\n\f"):
            scope.moved.append(words)
            return
        if scope.going_on:
            self.go_on()
        self.out.append(words)

    def part_words(self, name: str) -> None:
        """Where a block is left out, the words on both sides of its tag stay apart."""
        if name in _BLOCKS and self.scopes[-1].kind != "table" and not self.out[-1].startswith("<"):
            self.out.append("<br>")

    def enter_row(self) -> None:
        if not self.scopes[-1].names.get("tr"):
            self.close_table_part(*_GROUPS)
            self.open("tr", "<tr>")

    def start(self, name: str, attributes: str) -> None:
        if name == "image":
            name = "img"
        if name in _TABLE_PARTS:
            self.start_table_part(name, attributes)
            return
        if self.scopes[-1].kind == "table":
            if name == "table":
                self.leave_scope()
            else:
                if name == "img":
                    self.scopes[-1].moved.append(self.tag(name, attributes))
                return  # it could only be moved out of the table, without what is in it
        if name not in self.known:
            if name in _BLOCKS:
                self.close_nearest("p")
            return
        if name in _BLOCKS:
            if self.scopes[-1].names.get("p"):
                self.close_nearest("p")
            if name in _ITEMS:
                self.close_nearest(*_ITEMS[name], until=_LIST_ENDS)
            elif name in _HEADINGS:
                while self.close_last(_HEADINGS):
                    pass
        elif name == "a":
            if self.scopes[-1].names.get("a"):
                self.end_nearest_formatting("a")
            self.forget("a")
        elif name in _ANNOTATIONS:
            while self.scopes[-1].names.get("ruby") and self.close_last(_IMPLIED_BY_ANNOTATIONS):
                pass
        if name not in _BLOCKS and self.scopes[-1].going_on:
            self.go_on()
        tag = self.tag(name, attributes)
        if name in _VOID:
            self.out.append(tag)
        elif self.depth >= MAX_DEPTH or (name in _FORMATTING and self.formatting >= MAX_FORMATTING):
            self.left_out[name] = self.left_out.get(name, 0) + 1
            self.part_words(name)
        else:
            if name == "table":
                self.scopes.append(_Scope("table"))
            self.open(name, tag)

    def start_table_part(self, name: str, attributes: str) -> None:
        if self.scopes[-1].kind == "cell":
            self.leave_scope()
        scope = self.scopes[-1]
        if scope.kind != "table":
            return
        if name in ("td", "th"):
            self.enter_row()
        elif name == "tr":
            self.close_table_part(*_GROUPS)
        elif name == "col":
            self.close_table_part("colgroup")
        else:
            self.close_table_part()
        if name == "col":
            self.out.append(self.tag(name, attributes))
            return
        if name in _CELLS:
            self.scopes.append(_Scope("cell"))
        self.open(name, self.tag(name, attributes))

    def close_table_part(self, *but: str) -> None:
        """Close what is open in the table down to one of *but*."""
        elements = self.scopes[-1].elements
        while elements[-1].name != "table" and elements[-1].name not in but:
            self.pop()

    def end(self, name: str) -> None:
        if name not in self.known:
            return
        if self.left_out.get(name):
            self.left_out[name] -= 1
            self.part_words(name)
            return
        if name == "table" or name in _TABLE_PARTS:
            self.end_table_part(name)
            return
        scope = self.scopes[-1]
        if scope.kind == "table" or (name in _VOID and name != "br"):
            return
        elements = scope.elements
        if scope.going_on and name in _FORMATTING and self.forget(name):
            return
        if elements and elements[-1].name == name:
            self.close(len(elements) - 1)
        elif name == "br":
            self.out.append("<br>")
        elif name in _HEADINGS:
            self.close_nearest(*_HEADINGS)
        elif name in _BLOCKS:
            if not self.close_nearest(name, until=_LISTS if name == "li" else _NOTHING) and name == "p":
                self.out.append("<p></p>")
        elif name in _FORMATTING:
            self.end_nearest_formatting(name)
        else:
            self.close_nearest(name, until=_SPECIAL)

    def end_nearest_formatting(self, name: str) -> None:
        """End the nearest formatting called *name*, if any: blocks that began within it go on without it."""
        scope = self.scopes[-1]
        elements = scope.elements
        position = self.find(name)
        if position < 0:
            return
        formatting = elements[position]
        cost = len(formatting.tag) + len(formatting.name) + 3
        while position + 1 < len(elements) and self.reopened >= cost:
            # <b><p>words</b> is <b></b><p><b>words</b>.
            block = elements[position + 1]
            if block.name not in _SPECIAL:
                break
            if block.name in _HEADINGS and position and elements[position - 1].name in _HEADINGS:
                break  # a heading right within a heading would end that
            block.within = within = [formatting, *(block.within or ())]
            ends = "".join(f"</{one.name}>" for one in reversed(within))
            self.out[block.at] = f"{ends}{block.tag}{''.join(one.tag for one in within)}"
            elements[position : position + 2] = block, formatting
            self.reopened -= cost
            self.steps -= 1
            position += 1
        if name != "a" and any(one.name in _SPECIAL for one in elements[position:]):
            formatting.ended = True  # and it ends with that block
            scope.names[formatting.name] -= 1
        else:
            self.close(position)

    def end_table_part(self, name: str) -> None:
        if self.scopes[-1].kind == "cell":
            if name not in _CELLS:
                self.leave_scope()
            elif name == self.scopes[-1].elements[0].name:
                self.leave_scope()
                return
            else:
                return
        scope = self.scopes[-1]
        if scope.kind != "table":
            return
        if name == "table":
            self.leave_scope()
        elif scope.names.get(name):
            self.close_table_part(name)
            self.pop()

    def tag(self, name: str, attributes: str) -> str:
        if not attributes:
            return f"<{name}>"
        known = self.tags.get((name, attributes))
        if known is None:
            known = self.tag_anew(name, attributes)
            if len(attributes) <= MAX_KEPT_CHARS and len(self.tags) < MAX_KEPT:
                self.tags[name, attributes] = known
        return known

    def tag_anew(self, name: str, attributes: str) -> str:
        allowed = self.allowed[name]
        if "=" not in attributes:
            flags = sorted(allowed.intersection(attributes.lower().split()))  # <td nowrap>
            return f"<{' '.join([name, *flags])}>"
        written: dict[str, str] = {}
        for key, value in attributes_of(attributes):
            if key in allowed and key not in written and (len(value) <= MAX_VALUE_CHARS or key == "src"):
                written[key] = f' {key}="{value.replace(chr(34), "&quot;")}"'
                if len(written) >= MAX_ATTRIBUTES:
                    break
        return f"<{name}{''.join(written.values())}>"


def well_nested(
    html: str, names: frozenset[str], attributes: dict[str, frozenset[str]]
) -> tuple[str, str] | None:
    """Return *html* with the elements *names* and their *attributes* (of ``"*"``: of all), well nested.

    The words stay, whatever is around them: deeper than 300 elements they have none of their own, and those
    behind 20,000 tags come as text beside the HTML. None for HTML that takes too many steps to nest: nobody
    writes such mail.
    """
    writer = _Writer(names, attributes)
    position = 0
    tags_left = MAX_TAGS
    for start, end, name, attribute_text in tags(html):
        tags_left -= 1
        if tags_left < 0 or writer.steps < 0:
            break
        if start > position:
            writer.text(html[position:start])
        position = end
        if attribute_text is None:
            writer.end(name)
        elif name:
            writer.start(name, attribute_text)
    if writer.steps < 0:
        return None
    if tags_left >= 0:
        if position < len(html):
            writer.text(html[position:])
        return writer.finish(), ""
    return writer.finish(), bare_words(html[position:])
