"""Charsets: bytes that claim to be text, as text. Never raises, whatever the label says.

Labels are read as browsers read them (WHATWG Encoding, 4.2): ``iso-8859-1`` and ``us-ascii`` are
windows-1252, ``gb2312`` is GB18030, ``shift_jis`` is windows-31J, because the programs that write those
labels write those bytes. A label that the bytes contradict is not believed: see :func:`decode`.

UTF-7 is refused. It hides ``<script>`` from everything that looks at bytes, and no program has written it in
good faith for twenty years; such text is shown as the ASCII that it is.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

# What senders call it -> what Python decodes it with. Names not listed go to Python's own aliases.
_ALIASES = {
    "": "",
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "usascii": "cp1252",
    "ansi-x3-4-1968": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso88591": "cp1252",
    "iso-8859-1-windows-3-1-latin-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "l1": "cp1252",
    "ansi": "cp1252",
    "western": "cp1252",
    "iso-8859-8-i": "iso8859_8",
    "iso-8859-8-e": "iso8859_8",
    "logical": "iso8859_8",
    "iso-8859-9": "cp1254",
    "iso8859-9": "cp1254",
    "latin5": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gb-2312": "gb18030",
    "gb2312-80": "gb18030",
    "gb-2312-80": "gb18030",
    "x-gbk": "gb18030",
    "gbk": "gb18030",
    "cp936": "gb18030",
    "gb18030": "gb18030",
    "gb": "gb18030",
    "chinesebig5": "big5hkscs",
    "big5": "big5hkscs",
    "big-5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "cn-big5": "big5hkscs",
    "x-x-big5": "big5hkscs",
    "ks-c-5601-1987": "cp949",
    "ks-c-5601": "cp949",
    "ks-c-5601-1989": "cp949",
    "ksc5601": "cp949",
    "ksc-5601": "cp949",
    "ks-x-1001": "cp949",
    "euc-kr": "cp949",
    "euckr": "cp949",
    "korean": "cp949",
    "shift-jis": "cp932",
    "shiftjis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "ms-kanji": "cp932",
    "windows-31j": "cp932",
    "x-euc-jp": "euc_jp",
    "x-euc": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso2022-jp": "iso2022_jp_ext",
    "iso-2022-jp-ms": "iso2022_jp_ext",
    "cp50220": "iso2022_jp_ext",
    "cp50221": "iso2022_jp_ext",
    "cp50222": "iso2022_jp_ext",
    "iso-2022-kr": "iso2022_kr",
    "csiso2022jp": "iso2022_jp_ext",
    "csiso2022kr": "iso2022_kr",
    "unicode": "utf-8",
    "utf": "utf-8",
    "utf8": "utf-8",
    "utf-8": "utf-8",
    "utf8mb4": "utf-8",
    "utf-8n": "utf-8",
    "unicode-1-1-utf-8": "utf-8",
    "koi8r": "koi8_r",
    "koi8": "koi8_r",
    "koi": "koi8_r",
    "koi8-ru": "koi8_u",
    "koi8u": "koi8_u",
    "x-cp1250": "cp1250",
    "x-cp1251": "cp1251",
    "win-1251": "cp1251",
    "win1251": "cp1251",
    "ansi1251": "cp1251",
    "cp-850": "cp850",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "mac": "mac_roman",
    "unknown-8bit": "",
    "unknown": "",
    "x-unknown": "",
    "x-user-defined": "",
    "8bit": "",
    "binary": "",
    "default": "",
    "default-charset": "",
    "user-defined": "",
}

# Codecs that are not text encodings, or that must not be believed.
_REFUSED = re.compile(
    r"utf-?7|utf7|imap|base64|zip|zlib|bz2|hex|rot-?13|uu|quopri|quoted|punycode|idna|escape|mbcs|oem"
)

_SURROGATES = re.compile("[\ud800-\udfff]")
_UNDEFINED_1252 = {0x81: "\x81", 0x8D: "\x8d", 0x8F: "\x8f", 0x90: "\x90", 0x9D: "\x9d"}


@lru_cache(maxsize=512)
def codec_of(label: str) -> str | None:
    """Return Python's codec for a charset *label* as senders write it.

    ``""`` means that the label says nothing; None that it is unknown or refused (UTF-7).
    """
    name = label.strip().strip("\"'").strip().lower()
    name = re.sub(r"[\s_:()./]+", "-", name[:60]).strip("-")
    if name in _ALIASES:
        return _ALIASES[name]
    if name.startswith("charset="):
        return codec_of(name[8:])
    for prefix in ("x-", "cs", "windows-", "win-", "win", "cp-", "ms-"):
        if name.startswith(prefix) and name[len(prefix) :] in _ALIASES:
            return _ALIASES[name[len(prefix) :]]
    if _REFUSED.search(name):
        return None
    for candidate in (
        name,
        name.replace("windows-", "cp"),
        name.replace("-", ""),
        re.sub(r"^(x|cs)-?", "", name),
    ):
        try:
            info = codecs.lookup(candidate)
        except (LookupError, ValueError, UnicodeError):
            continue
        # Binary codecs (hex, rot13) are looked up by the same call; they are not charsets.
        if getattr(info, "_is_text_encoding", True):
            return info.name
    digits = re.search(r"(?:iso-?8859|8859)-?(1[0-6]|[1-9])\b", name)
    if digits:
        return (
            codec_of(f"iso-8859-{digits[1]}") if f"iso-8859-{digits[1]}" != name else f"iso8859_{digits[1]}"
        )
    digits = re.search(r"\b(125[0-8]|874|866|932|936|949|950)\b", name)
    return f"cp{digits[1]}" if digits else None


def decode(data: bytes, label: str = "", hint: str = "") -> tuple[str, bool]:
    """Return *data* as text, and whether its *label* could be believed.

    A label is tried strictly first. Bytes that contradict it are read as UTF-8 if they are valid UTF-8,
    else by what they look like (:func:`guess`), else by the label with U+FFFD for what is wrong.
    *hint* is a label to prefer where *label* says nothing (the charset of the mail's text, for its raw
    headers). The result holds no lone surrogates.
    """
    codec = codec_of(label) if label else ""
    if (
        data.isascii()
        and b"\x1b" not in data
        and codec not in _NOT_ASCII
        and not (codec or "").startswith(("utf_16", "utf-16", "utf-32", "utf_32"))
    ):
        return data.decode("ascii"), codec is not None
    known = codec is not None
    if codec:
        if codec == "utf-8" and data[:3] == codecs.BOM_UTF8:
            data = data[3:]
        # Valid UTF-8 of more than one byte is so improbable in a one-byte charset that a label of one loses.
        if codec in ("cp1252", "cp1254", "cp1250", "iso8859_2", "iso8859-2", "iso8859_15", "iso8859-15"):
            text = _as_utf8(data)
            if text is not None:
                return text, codec == "cp1252" and label.strip().lower().endswith("ascii")
            return _one_byte(data, codec), True
        text = _strict(data, codec)
        if text is not None:
            return text, True
    text = _as_utf8(data)
    if text is not None:
        return text, known and not codec
    if codec:
        # A few wrong bytes in a text of the declared charset (cut characters) are likelier than another one.
        loose = data.decode(codec, "replace")
        if loose.count("\ufffd") * 20 <= max(20, len(loose)) and codec not in ("utf-8",):
            return _clean(loose), False
        if codec == "utf-8" and _mostly_utf8(data):
            return _clean(loose), False
    if hint:
        hinted = codec_of(hint)
        if hinted:
            text = _strict(data, hinted)
            if text is not None and hinted != "utf-8":
                return text, False
    found = guess(data)
    return _clean(
        _one_byte(data, found) if found == "cp1252" else data.decode(found, "replace")
    ), known and not codec and found == "cp1252"


_NOT_ASCII = frozenset(
    ("hz", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "iso2022_kr", "cp037", "cp500", "cp1140")
)


def _clean(text: str) -> str:
    return _SURROGATES.sub("\ufffd", text)


def _as_utf8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return _clean(data.decode(codec))
    except (UnicodeError, ValueError, LookupError):
        if codec == "big5hkscs":
            return _strict(data, "cp950")
        if codec == "iso2022_jp_ext":
            return _strict(data, "iso2022_jp_3")
        return None


def _one_byte(data: bytes, codec: str) -> str:
    if codec == "cp1252":
        try:
            return data.decode("cp1252")
        except UnicodeDecodeError:
            # WHATWG maps the five holes of windows-1252 to the C1 controls of the same number.
            return data.decode("cp1252", "servelo.c1")
    return data.decode(codec, "replace")


def _c1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(map(chr, error.object[error.start : error.end])), error.end


codecs.register_error("servelo.c1", _c1)


def _mostly_utf8(data: bytes) -> bool:
    """Whether most multi-byte characters of *data* are sound UTF-8."""
    high = len(data) - len(data.translate(None, _HIGH))
    sound = sum(len(m) for m in _UTF8_CHAR.findall(data[:65536]))
    return sound * 2 > min(high, 65536)


_HIGH = bytes(range(128, 256))
_UTF8_CHAR = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def guess(data: bytes) -> str:
    """Return the codec that unlabelled 8-bit *data* is most likely written in; ``cp1252`` when nothing tells.

    Looks at no more than 16 kB.
    """
    sample = data[:16384]
    if b"\x1b$" in sample or b"\x1b(J" in sample:
        return "iso2022_jp_ext"
    if _as_utf8(sample) is not None:
        return "utf-8"
    return "cp1252"
