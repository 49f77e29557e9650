"""Charsets: bytes that claim to be text, as text. Never raises, whatever the label says.

Labels are read as browsers read them (WHATWG Encoding, 4.2): ``iso-8859-1`` and ``us-ascii`` are
windows-1252, ``gb2312`` is GB18030, ``shift_jis`` is windows-31J, because the programs that write those
labels write those bytes. A label that the bytes contradict is not believed: see :func:`decode`.

UTF-7 is refused. It hides ``<script>`` from everything that looks at bytes, and no program has written it in
good faith for twenty years; such text is shown as the ASCII that it is.
"""

from __future__ import annotations

import codecs
from collections import Counter
from encodings import aliases
from functools import lru_cache

from servelo.patterns import pattern

# What senders call it -> what Python decodes it with. Names not listed go to Python's own aliases.
_ALIASES = {
    "": "",
    "ascii": "",
    "us-ascii": "",
    "usascii": "",
    "ansi-x3-4-1968": "",
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
_REFUSED = pattern(
    r"utf-?7|utf7|imap|base64|zip|zlib|bz2|hex|rot-?13|uu|quopri|quoted|punycode|idna|escape|mbcs|oem"
)

_SEPARATORS = pattern(r"[\s_:()./]+")
_VENDOR = pattern(r"^(x|cs)-?")
_DIGIT = pattern(r"\d")
_ISO_8859 = pattern(r"8859-?(1[0-6]|[1-9])\b")
_CODE_PAGE = pattern(r"\b(125[0-8]|874|866|932|936|949|950)\b")

MAX_WIDE = 2000  # characters of several octets that are weighed
_SURROGATES = pattern("[\ud800-\udfff]")
_UNDEFINED_1252 = {0x81: "\x81", 0x8D: "\x8d", 0x8F: "\x8f", 0x90: "\x90", 0x9D: "\x9d"}


@lru_cache(maxsize=512)
def codec_of(label: str) -> str | None:
    """Return Python's codec for a charset *label* as senders write it.

    ``""`` means that the label says nothing; None that it is unknown or refused (UTF-7).
    """
    name = label.strip().strip("\"'").strip().lower()
    name = _SEPARATORS.sub("-", name[:60]).strip("-")
    if name in _ALIASES:
        return _ALIASES[name]
    if name.startswith("charset="):
        return codec_of(name[8:])
    for prefix in ("x-", "cs", "windows-", "win-", "win", "cp-", "ms-"):
        if name.startswith(prefix) and name[len(prefix) :] in _ALIASES:
            return _ALIASES[name[len(prefix) :]]
    if _REFUSED.search(name):
        return None
    # Python looks for each name in its folders, and keeps what it did not find: ask for those it has alone.
    known = _codecs()
    for candidate in (
        name,
        name.replace("windows-", "cp"),
        name.replace("-", ""),
        _VENDOR.sub("", name),
    ):
        if candidate.replace("-", "_") not in known:
            continue
        try:
            info = codecs.lookup(candidate)
        except (LookupError, ValueError, UnicodeError):
            continue
        # Binary codecs (hex, rot13) are looked up by the same call; they are not charsets.
        if getattr(info, "_is_text_encoding", True):
            return info.name
    if not _DIGIT.search(name):
        return None
    digits = _ISO_8859.search(name)
    if digits:
        return (
            codec_of(f"iso-8859-{digits[1]}") if f"iso-8859-{digits[1]}" != name else f"iso8859_{digits[1]}"
        )
    digits = _CODE_PAGE.search(name)
    return f"cp{digits[1]}" if digits else None


_WITHOUT_ALIAS = frozenset(
    "cp720 cp737 cp856 cp874 cp875 cp1006 koi8_t koi8_u mac_arabic mac_croatian mac_farsi mac_romanian "
    "palmos utf_8_sig".split()
)


@lru_cache(maxsize=1)
def _codecs() -> frozenset[str]:
    return _WITHOUT_ALIAS.union(aliases.aliases, aliases.aliases.values())


def decode(data: bytes, label: str = "", hint: str = "") -> tuple[str, bool]:
    """Return *data* as text, and whether its *label* could be believed.

    A label is tried strictly first, unless the bytes are UTF-8 beyond doubt. Bytes that contradict it are
    read as UTF-8 if they are, but for a few faults, else by what they look like (:func:`guess`), else by
    the label with U+FFFD for what is wrong. *hint* is a label to prefer where *label* says nothing (the
    charset of the mail's text, for its raw headers). The result holds no lone surrogates.
    """
    codec = codec_of(label) if label else ""
    if data.isascii() and b"\x1b" not in data and codec not in _NOT_ASCII:
        return data.decode("ascii"), codec is not None
    if codec == "utf-8":
        data = data.removeprefix(codecs.BOM_UTF8)
    if codec in _WINDOWS and _is_of_windows(data, codec):
        codec = _WINDOWS[codec]
    if codec != "utf-8" and _is_surely_utf8(data, codec or ""):
        return without_surrogates(data.decode("utf-8", "replace")), False
    if codec:
        if codec in _ONE_BYTE:
            text = _as_utf8(data)
            return (text, False) if text is not None else (_one_byte(data, codec), True)
        text = _strict(data, codec)
        if text is not None:
            return text, True
    if not codec and b"\x1b" in data and guess(data) == "iso2022_jp_ext":
        japanese = _strict(data, "iso2022_jp_ext") or data.decode("iso2022_jp_ext", "replace")
        return without_surrogates(japanese), False
    text = _as_utf8(data)
    if text is not None:
        return text, False
    if codec:
        # A few wrong bytes in a text of the declared charset (cut characters) are likelier than another one.
        loose = data.decode(codec, "replace")
        if _mostly_utf8(data) if codec == "utf-8" else loose.count("\ufffd") * 20 <= max(20, len(loose)):
            return without_surrogates(loose), False
    hinted = codec_of(hint) if hint else None
    if hinted and hinted != "utf-8":
        text = _strict(data, hinted)
        if text is not None:
            return text, False
    found = guess(data)
    return without_surrogates(_one_byte(data, found)), False


# What Windows writes under these names: with letters where they have control characters.
_WINDOWS = {
    "iso8859-2": "cp1250",
    "iso8859-7": "cp1253",
    "iso8859-8": "cp1255",
    "iso8859_8": "cp1255",
    "iso8859-13": "cp1257",
    "iso8859-15": "cp1252",
}
_C1_BYTES = bytes(range(0x80, 0xA0))
_ONE_BYTE = frozenset(("cp1252", "cp1254", "cp1250", "iso8859-2", "iso8859-15"))
# Whose short words happen to be UTF-8: of two octets a letter, or with letters where UTF-8 goes on.
_LIKE_UTF8 = frozenset(
    (
        "gb18030 big5hkscs cp949 cp932 euc_jp cp874 iso8859-5 cp437 cp737 cp775 cp850 cp852 cp855 cp857 "
        "cp862 cp866 cp1125"
    ).split()
)
MANY_LETTERS = 10
_NOT_ASCII = frozenset(
    ("hz", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "iso2022_kr", "cp037", "cp500", "cp1140")
)


@lru_cache(maxsize=8)
def _other_letters(codec: str) -> bytes:
    """Return the bytes above the control characters that mean other letters in *codec* than in Windows'."""
    others = (bytes((code,)) for code in range(0xA0, 0x100))
    return b"".join(
        one for one in others if one.decode(codec, "replace") != one.decode(_WINDOWS[codec], "replace")
    )


def _is_of_windows(data: bytes, codec: str) -> bool:
    """Whether Windows wrote *data*: with letters where *codec* has controls, and nothing against it."""
    if len(data.translate(None, _C1_BYTES)) == len(data):
        return False
    if len(data.translate(None, _other_letters(codec))) < len(data):
        return False
    try:
        data.decode(_WINDOWS[codec])
    except UnicodeDecodeError:
        return False
    return True


def without_surrogates(text: str) -> str:
    """Return *text* with U+FFFD for each lone surrogate, which nothing can store or send."""
    try:
        text.encode()  # a tenth of what looking for them takes
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def storable(text: str) -> str:
    """As :func:`without_surrogates`, with U+FFFD for NUL as well."""
    return without_surrogates(text.replace("\x00", "\ufffd"))


def _as_utf8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return without_surrogates(data.decode(codec))
    except (UnicodeError, ValueError, LookupError):
        if codec == "big5hkscs":
            return _strict(data, "cp950")
        if codec == "iso2022_jp_ext":
            return _japanese(data)
        return None


_JAPANESE_SET = pattern(rb"\x1b(\$@|\$B|\$\(D|\(B|\(J|\(I|&@\x1b\$B)")


def _japanese(data: bytes) -> str | None:
    """Return ISO-2022-JP with the signs that NEC and Microsoft added (CP50220), None when it is none."""
    out: list[str] = []
    current = b"(B"
    for index, piece in enumerate(_JAPANESE_SET.split(data)):
        if index % 2:
            current = piece
            continue
        try:
            if current in (b"(B", b"(J"):
                out.append(piece.decode("ascii"))
            elif current == b"(I":
                out.append(bytes(byte | 0x80 for byte in piece).decode("cp932"))
            elif current == b"$(D":
                out.append(
                    b"".join(b"\x8f" + bytes((a | 0x80, b | 0x80)) for a, b in _pairs(piece)).decode("euc_jp")
                )
            else:
                out.append(b"".join(_shifted(a, b) for a, b in _pairs(piece)).decode("cp932"))
        except (UnicodeDecodeError, ValueError):
            return None
    return "".join(out)


def _pairs(data: bytes) -> zip[tuple[int, int]]:
    data = data.translate(None, b"\r\n")
    return zip(data[::2], data[1::2], strict=True)


def _shifted(row: int, cell: int) -> bytes:
    """Return a JIS X 0208 position as Shift_JIS."""
    if not (0x21 <= row <= 0x7E and 0x21 <= cell <= 0x7E):
        raise ValueError("outside the 94 by 94 set")
    first = ((row - 0x21) >> 1) + (0x81 if row < 0x5F else 0xC1)
    second = cell + (0x1F if cell < 0x60 else 0x20) if row & 1 else cell + 0x7E
    return bytes((first, second))


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
    high, sound = _sound_utf8(data[:65536])
    return sum(map(len, sound)) * 2 > high


def _is_surely_utf8(data: bytes, codec: str) -> bool:
    """Whether *data* is UTF-8, but for a few faults, and can hardly be what *codec* says (``""``: nothing).

    Words in other charsets happen to be UTF-8 too: then of letters of several scripts, where a text has those
    of one. Of a charset of two octets one pair in eight is UTF-8, so there it takes more of them.
    """
    if codec in _NOT_ASCII:
        return False
    high, sound = _sound_utf8(data[:65536])
    octets = sum(map(len, sound))
    if octets * 10 < high * 8:
        return False
    letters = {letter: _script(letter) for letter in set(b"".join(sound).decode("utf-8", "ignore"))}
    scripts = Counter(script for script in letters.values() if script)
    most = max(scripts.values(), default=0)
    least = 6 if codec in _LIKE_UTF8 else 3
    if most < MANY_LETTERS and not _is_cut_utf8(data):
        return False  # in the charset of the label there would be no fault
    return most >= least and most * 10 >= scripts.total() * 9


def _is_cut_utf8(data: bytes) -> bool:
    """Whether *data* is UTF-8 up to its last character."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(data) - 3 and error.reason == "unexpected end of data"
    return True


def _script(letter: str) -> int:
    """Return a number for the script of *letter*, 0 for signs that go with any."""
    code = ord(letter)
    if code < 0xC0 or 0x2000 <= code < 0x2C00 or 0x3000 <= code < 0x3040 or code >= 0x1F000:
        return 0
    if code < 0x250 or 0x1E00 <= code < 0x1F00:
        return 1  # Latin
    if 0x3040 <= code < 0xA000 or 0xAC00 <= code < 0xD7A4 or 0xF900 <= code < 0xFB00 or code >= 0xFF00:
        return 2  # East Asian
    if 0x600 <= code < 0x780 or 0xFB50 <= code < 0xFF00:
        return 3  # Arabic
    return code >> 8 if code < 0x900 else code >> 7


def _sound_utf8(data: bytes) -> tuple[int, list[bytes]]:
    """Return how many octets of *data* are no ASCII, and its sound characters of several octets."""
    return len(data) - len(data.translate(None, _HIGH)), _UTF8_CHAR.findall(data)


_ASCII = bytes(range(128))
_ASCII_SIGNS = bytes(byte for byte in _ASCII if not chr(byte).isalpha())
_HIGH = bytes(range(128, 256))
_UTF8_CHAR = pattern(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    rb"|\xed[\x80-\x9f][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{3}"
)


@lru_cache(maxsize=1)
def _common_letters() -> dict[str, bytes]:
    """By codec, the bytes that its letters use most; made when needed: it loads eight codecs."""
    cyrillic = "оеаинтсрвлкмдпуяіь"  # the commonest of Russian, Ukrainian and Bulgarian
    letters = {
        "koi8_r": cyrillic,
        "cp1251": cyrillic,
        "cp866": cyrillic,
        "iso8859_5": cyrillic,
        "cp1253": "αοιετσνηυρπκμλ",
        "cp1255": "יוהלארתבשמנ",
        "cp1256": "االيمونرتبة",
        "cp874": "านรอกเงมยลว่ด้สตะีทบัคแิ",
    }
    return {codec: of.encode(codec, "ignore") for codec, of in letters.items()}


def guess(data: bytes) -> str:
    """Return the codec that unlabelled 8-bit *data* is most likely written in; ``cp1252`` when nothing tells.

    Looks at no more than 16 kB. Multi-byte charsets are told by their structure and by how common their
    characters are; the others by the share of high bytes and the commonest letters of the script.
    """
    sample = data[:16384]
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\x00" in sample:
        return "cp1252"  # no text at all; every byte becomes some character
    if b"\x1b$" in sample or b"\x1b(J" in sample:
        return "iso2022_jp_ext"
    if _as_utf8(sample) is not None:
        return "utf-8"
    high = sample.translate(None, _ASCII)
    if len(high) < 2:
        return "cp1252"
    script, share = "cp1252", 0.45
    # German or French has a few high letters among many of ASCII; another script has little else.
    if len(high) > 3 and len(high) * 2 > len(sample.translate(None, _ASCII_SIGNS)):
        for codec, common in _common_letters().items():
            found = 1 - len(high.translate(None, common)) / len(high)
            if found > share:
                script, share = codec, found
    if share > 0.55:
        return script
    best, best_score = script, 0.6
    for codec in ("cp949", "gb18030", "big5hkscs", "euc_jp", "cp932"):
        score = _multi_byte_score(sample, codec)
        if score > best_score:
            best, best_score = codec, score
    return best


_WIDE = pattern("[^\x00-\x7f]+")


def _multi_byte_score(sample: bytes, codec: str) -> float:
    """Return how common the characters are that *codec* makes of *sample*, 0 to 1; 0 if it makes none."""
    text = ""
    for cut in range(4):  # the sample may end within a character
        try:
            text = sample[: len(sample) - cut].decode(codec)
            break
        except UnicodeDecodeError:
            continue
    if len(text) < 30:  # a name in a header
        wide = "".join([character for character in text if character > "\x7f"])
    else:
        wide = "".join(_WIDE.findall(text))[:MAX_WIDE]
    if len(wide) < 2:
        return 0.0
    common = 0.0
    for character, times in Counter(wide).items():
        if codec in ("euc_jp", "cp932"):
            # Kana make up half of Japanese text; kanji alone prove nothing against Chinese.
            kana, kanji = "\u3040" <= character <= "\u30fe", "\u4e00" <= character <= "\u9fff"
            common += times * (2 * kana + kanji * 0.5)
        elif codec == "cp949":
            common += times * ("\uac00" <= character <= "\ud7a3")
        else:
            common += times * _common_hanzi(character, codec)
    return min(common / len(wide), 1.0)


def _level_one(character: str, codec: str, first: int, last: int) -> bool:
    """Whether *character* is in the part of a charset where its common characters are."""
    encoded = character.encode(codec, "ignore")
    return len(encoded) == 2 and first <= encoded[0] <= last and (codec != "gb18030" or encoded[1] >= 0xA1)


def _common_hanzi(character: str, codec: str) -> bool:
    if codec == "gb18030":
        return character in "，。、！？：；（）“”" or _level_one(character, codec, 0xB0, 0xD7)
    return character in "，。、！？：；（）「」" or _level_one(character, codec, 0xA4, 0xC6)
