"""Sanitising: HTML from strangers as HTML that may be shown in a sandboxed frame.

The policy, enforced by nh3 (ammonia, html5ever): a list of tags without forms, frames, SVG, MathML or styles;
no ``id``, ``class``, ``name`` or ``target``; a short list of URL schemes; style properties from a list,
without anything that fetches or leaves its place. Remote images are not loaded before the reader asks: their
address waits in ``data-src``, which a browser does nothing with. The portal adds a second wall, an iframe
with ``sandbox`` and its own CSP; each wall holds without the other.
"""

from __future__ import annotations

import html as html_entities
import re
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING

from servelo.patterns import pattern

if TYPE_CHECKING:
    import nh3

MAX_HTML_CHARS = 1024 * 1024
# What html5ever gets as written; more is nested by us first. It goes through the open elements for a tag,
MAX_DIRECT_TAGS = 1000
MAX_DIRECT_CHARS = 40_000  # compares each attribute of a tag with the others,
MAX_DIRECT_REOPENED = 1_000_000  # and writes formatting that goes on anew: its characters, times the tags
MAX_REFERENCES = 40_000  # in one text: html5ever's cost grows with their square, too, 1 M take 20 s,
MAX_REFERENCE_WORK = 5_000_000_000  # and each costs what the words behind it do: their number, times letters
MAX_UNKNOWN_WORK = 15_000_000_000  # the same, of what is hardly one: "&x" that is not "&x;"
MAX_LATIN_SIGNS = 20_000  # and with that of the signs from U+0080 to U+00BF, to the no-break space's byte C2
MAX_LATIN_VALUE = 8000  # characters of an address or style among so many of them

_TAGS = frozenset(
    "a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup "
    "dd del details dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd "
    "li main mark nav ol p pre q rp rt ruby s samp section small span strike strong sub summary sup table "
    "tbody td tfoot th thead time tr tt u ul var wbr".split()
)
_DROPPED_WITH_CONTENT = frozenset(
    "script style title svg math template noscript xmp textarea select iframe object embed applet noembed "
    "noframes plaintext audio video canvas".split()
)
_ATTRIBUTES = {
    "*": frozenset("align bgcolor border color dir height lang style title valign width".split()),
    "a": frozenset(("href",)),
    "img": frozenset(("src", "alt", "hspace", "vspace")),
    "font": frozenset(("face", "size")),
    "table": frozenset(("cellpadding", "cellspacing", "summary", "rules", "frame")),
    "td": frozenset(("colspan", "rowspan", "nowrap", "headers", "scope", "abbr")),
    "th": frozenset(("colspan", "rowspan", "nowrap", "headers", "scope", "abbr")),
    "col": frozenset(("span",)),
    "colgroup": frozenset(("span",)),
    "ol": frozenset(("start", "type", "reversed")),
    "ul": frozenset(("type",)),
    "li": frozenset(("value", "type")),
    "blockquote": frozenset(("type",)),
    "hr": frozenset(("size", "noshade")),
    "time": frozenset(("datetime",)),
}
_SCHEMES = frozenset(("http", "https", "mailto", "tel", "cid", "data"))
_STYLES = frozenset(
    "background-color border border-bottom border-bottom-color border-bottom-style border-bottom-width "
    "border-collapse border-color border-left border-left-color border-left-style border-left-width "
    "border-radius border-right border-right-color border-right-style border-right-width border-spacing "
    "border-style border-top border-top-color border-top-style border-top-width border-width caption-side "
    "clear color direction display float font font-family font-size font-style font-variant font-weight "
    "height letter-spacing line-height list-style-position list-style-type margin margin-bottom margin-left "
    "margin-right margin-top max-height max-width min-height min-width padding padding-bottom padding-left "
    "padding-right padding-top table-layout text-align text-decoration text-indent text-transform "
    "unicode-bidi vertical-align white-space width word-break word-spacing word-wrap".split()
)
_STYLE_REFUSED = pattern(
    r"url\s*\(|image-set|image\s*\(|\bvar\s*\(|\benv\s*\(|attr\s*\(|expression|\\|@|/\*|<|&", re.I
)
_INLINE_IMAGE = pattern(r"(?:cid:|data:image/(?:png|jpe?g|gif|webp)[;,])", re.I)
_REMOTE_IMAGE = pattern(r"(?:https?:)?//", re.I)
_LINK = pattern(r"(?:https?|mailto|tel|cid):|#", re.I)
_INSIDE_OF_TAG = r"(?=[\s/>])(?:[^>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+)*+"
_LINK_TAG = pattern(r"<a" + _INSIDE_OF_TAG, re.I)
_FORMATTING_TAG = pattern(r"<(?:big|b|code|em|font|i|nobr|small|strike|strong|s|tt|u)" + _INSIDE_OF_TAG, re.I)
_LINE_SIGNS = pattern(r"[\t\r\n]+")  # these a browser takes out of an address (WHATWG URL, 4.4)
_CONTROLS_AND_SPACE = "".join(map(chr, range(0x21)))  # and these from its ends
_STRIPPED = pattern(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202f\ufeff]+")

_STAND_INS = 0xF0000  # in a plane for private use: U+F00A0 is U+00A0
_LATIN_SIGNS = [(chr(code), chr(code + _STAND_INS)) for code in range(0x80, 0xC0)]
_STAND_IN = pattern("[\U000f0026\U000f0080-\U000f00bf]")
_AMPERSAND = pattern(r"&(?:amp;|(?![a-zA-Z#]))")
_UNKNOWN = pattern(r"&(?!(?:lt|gt|quot|apos|#[0-9]{2,3});)")
_AMPERSAND_STAND_IN = chr(ord("&") + _STAND_INS)

# What no mail can hold, so that only addresses that passed the filter are renamed to data-src afterwards.
_MARK = f"cid:servelo-{secrets.token_hex(16)}-"

_cleaners: dict[bool, nh3.Cleaner] = {}


def sanitise(html: str, *, allow_remote: bool = False) -> str:
    """Return *html* without anything that runs, fetches, or leaves its place.

    With *allow_remote* images of http(s) addresses keep their ``src``; without it their address is in
    ``data-src``. At most 1 M characters are read. HTML that no mail program would write (a million open
    elements, character references without end) keeps its words alone. Never raises.
    """
    html = html[:MAX_HTML_CHARS]
    if html.count("&") > MAX_REFERENCES or _costs_much(html):
        # Programs write every letter of Cyrillic text as a reference.
        html = _REFERENCE.sub(_letter, html)
    if html.count("&") > MAX_REFERENCES:
        return _bare(html)
    if not _costs_much(html) and not _has_many_latin_signs(html):
        return _sanitise(html, allow_remote)
    prepared = _AMPERSAND.sub(_AMPERSAND_STAND_IN, _STAND_IN.sub("\ufffd", html))
    if len(_UNKNOWN.findall(prepared)) * len(prepared) > MAX_UNKNOWN_WORK:
        return _bare(html)
    for sign, stand_in in _LATIN_SIGNS:
        prepared = prepared.replace(sign, stand_in)
    clean = _sanitise(prepared, allow_remote)
    for sign, stand_in in _LATIN_SIGNS:
        clean = clean.replace(stand_in, sign)
    return clean.replace(_AMPERSAND_STAND_IN, "&amp;")


def _costs_much(html: str) -> bool:
    return html.count("&") * len(html) > MAX_REFERENCE_WORK


def _has_many_latin_signs(html: str) -> bool:
    if len(html) <= MAX_LATIN_SIGNS:
        return False
    if len(html.encode("utf-8", "surrogatepass")) - len(html) <= MAX_LATIN_SIGNS:
        return False  # each of them is two bytes, so there are no more; far cheaper than to count them
    return sum(html.count(sign) for sign, _ in _LATIN_SIGNS) > MAX_LATIN_SIGNS


def _sanitise(html: str, allow_remote: bool) -> str:
    cleaner = _cleaners.get(allow_remote)
    if cleaner is None:
        cleaner = _cleaners[allow_remote] = _build_cleaner(allow_remote)
    if not _is_direct(html):
        from servelo.mail.html_nesting import well_nested

        nested = well_nested(html, _TAGS, _ATTRIBUTES)
        if nested is None:
            return _bare(html)
        html, further_words = nested
        if further_words:
            return _cleaned(html, cleaner) + _preformatted(further_words)
    return _cleaned(html, cleaner)


def _cleaned(html: str, cleaner: nh3.Cleaner) -> str:
    clean = cleaner.clean(html)
    return clean.replace(f' src="{_MARK}', ' data-src="') if _MARK in clean else clean


def _preformatted(words: str) -> str:
    return f"<pre>{html_entities.escape(words, quote=False)}</pre>"


def _is_direct(html: str) -> bool:
    """Return whether html5ever needs few steps for *html*, however it is nested."""
    tags = html.count("<")
    if len(html) > MAX_DIRECT_CHARS or tags > MAX_DIRECT_TAGS:
        return False
    if len(html) * tags <= MAX_DIRECT_REOPENED:
        return True
    links = max(map(len, _LINK_TAG.findall(html)), default=0)  # one is open at a time,
    formatting = 3 * sum(map(len, set(_FORMATTING_TAG.findall(html))))  # and three of the same
    return (links + formatting) * tags <= MAX_DIRECT_REOPENED


def _bare(html: str) -> str:
    """Return the words of hostile HTML; its layout is worth no time."""
    from servelo.mail.html_text import bare_words

    return _preformatted(bare_words(html))


_REFERENCE = pattern(r"&(?:#[0-9]{3,7}|#[xX][0-9a-fA-F]{2,6}|[A-Za-z]{3,8});")


def _letter(reference: re.Match[str]) -> str:
    return _letter_of(reference[0])


@lru_cache(maxsize=512)
def _letter_of(reference: str) -> str:
    text = html_entities.unescape(reference)
    return text if len(text) == 1 and text >= "\xa0" else reference


def has_remote_images(sanitised: str) -> bool:
    """Return whether *sanitised* holds images that wait to be loaded."""
    return " data-src=" in sanitised


def _build_cleaner(allow_remote: bool) -> nh3.Cleaner:
    import nh3

    def keep(tag: str, attribute: str, value: str) -> str | None:
        if attribute not in ("style", "src", "href"):
            return value
        if not value.isascii() and _STAND_IN.search(value):
            if len(value) > MAX_LATIN_VALUE:
                return None
            value = _STAND_IN.sub(lambda sign: chr(ord(sign[0]) - _STAND_INS), value)
        if attribute == "style":
            return None if _STYLE_REFUSED.search(value) else value
        if attribute == "src":
            bare = _STRIPPED.sub("", value)
            if _INLINE_IMAGE.match(bare):
                return bare
            if _REMOTE_IMAGE.match(bare):
                return bare if allow_remote else _MARK + bare
            return None
        bare = _STRIPPED.sub("", value)
        # A link to a place in this mail moves the frame nowhere else; relative links have no base to go by.
        # Nor may it be one only for us: what is stripped here, a browser need not strip.
        seen = _LINE_SIGNS.sub("", value).strip(_CONTROLS_AND_SPACE)
        return value if _LINK.match(bare) and _LINK.match(seen) and not bare.startswith("#") else None

    return nh3.Cleaner(
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED_WITH_CONTENT),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=keep,
        strip_comments=True,
        link_rel="noopener noreferrer nofollow",
        url_schemes=set(_SCHEMES),
        filter_style_properties=set(_STYLES),
        url_relative="pass_through",
    )
