"""Header fields: bytes to names and values, encoded words, parameters (RFC 5322 2.2, RFC 2047, RFC 2231).

Everything here works in time linear in its input, and the input is capped before any of it runs. Decoded
values are one line: CR, LF, NUL, U+2028 and U+2029 become a space, because what leaves the reader is later
put into headers of mails that we send (attack H1).
"""

from __future__ import annotations

import binascii
import re

from servelo.mail import charset
from servelo.patterns import pattern

MAX_BLOCK_BYTES = 256 * 1024
MAX_FIELD_BYTES = 16 * 1024
MAX_SCAN_BYTES = 4 * 1024 * 1024  # looked through for fields: one endless field must not hide the rest
MAX_FIELDS = 1000
MAX_ENCODED_WORDS = 400  # in one field; 100 mailboxes with names of several words each need more than 50
MAX_CHARSETS = 20  # of one field's encoded words; looking up a label costs more than decoding its word
MAX_PARAMETERS = 100
READ = frozenset("boundary charset delsp filename format name start".split())  # what a part is read by
MIN_FAST_BASE64 = 65_536  # octets that are worth another library's import
FIELD_CUT = "A header field is longer than 16 kB; its rest was not read."
# Of these fields the author is read; what was cut off may name another, or another signature's domain.
AUTHOR_FIELDS = frozenset({"from", "dkim-signature"})
AUTHOR_CUT = "A From or DKIM-Signature field is longer than 16 kB; its rest was not read."
HEADER_CUT = "The header is longer than 1,000 fields or 256 kB; the rest of it was not read."

_FIELD = pattern(rb"^([!-9;-~]++)[ \t]*+:(.*(?:\n[ \t].*)*+)\n?", re.M)
_LATER_FIELD = pattern(rb"^[A-Za-z][A-Za-z0-9-]{1,60}+:[ \t]", re.M)
# Runs of spaces are looked at from their beginning only, here and below: from each of them takes n * n.
_FOLD = pattern(r"(?:(?<![ \t])[ \t]++)?+[\r\n]++[ \t]*+")
_CONTROLS = pattern("[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]+")
# The text may hold spaces and "?", which RFC 2047 forbids and people's programs write.
# It ends where the next one begins: one that never ends must not be looked for to the end of the field.
_ENCODED_WORD = pattern(
    r"=\?([A-Za-z0-9_.:+\-]{1,40})(?:\*[A-Za-z0-9\-]{0,20})?\?([BbQq])\?"
    r"([^?=]*+(?:(?:\?(?!=)|=(?!\?[A-Za-z0-9_.:+*\-]{1,60}\?[BbQq]\?))[^?=]*+)*+)\?="
)


def split_block(source: bytes, start: int, end: int) -> tuple[list[tuple[str, bytes]], int, list[str]]:
    """Part ``source[start:end]`` into header fields and the offset of the body.

    Returns (fields, body offset, warnings). A field is (lower-case name, raw value with its folds, at most
    16 kB). A line that is no field is passed over when fields follow it, and starts the body when none does.
    """
    warnings: list[str] = []
    if start >= end:
        return [], end, warnings
    if source[start] == 10:
        return [], start + 1, warnings
    if source.startswith(b"\r\n", start, end):
        return [], start + 2, warnings
    block_end, body = _block_end(source, start, end)
    block_limit = min(block_end, start + MAX_SCAN_BYTES)
    fields: list[tuple[str, bytes]] = []
    expected = start
    cut: set[str] = set()
    kept_bytes = 0
    for match in _FIELD.finditer(source, start, block_limit):
        if (
            match.start() > expected
            and not fields
            and not _LATER_FIELD.match(source, match.start(), block_limit)
        ):
            break
        begin, finish = match.span(2)
        if finish - begin > MAX_FIELD_BYTES:
            finish = begin + MAX_FIELD_BYTES
            cut.add(match[1].lower().decode("ascii"))
        kept_bytes += finish - begin
        value = source[begin:finish]
        fields.append((match[1].decode("ascii").lower(), value))
        expected = match.end()
        if len(fields) == MAX_FIELDS or kept_bytes > MAX_BLOCK_BYTES:
            if expected < block_limit:
                warnings.append(HEADER_CUT)
            expected = block_limit
            break
    if block_limit < block_end and HEADER_CUT not in warnings:
        warnings.append(HEADER_CUT)
    if cut:
        warnings.append(AUTHOR_CUT if cut & AUTHOR_FIELDS else FIELD_CUT)
    if expected < block_limit and block_limit == block_end and source[expected:block_end].strip():
        # Text without a blank line before it.
        return fields, expected, warnings
    return fields, body, warnings


def _block_end(source: bytes, start: int, end: int) -> tuple[int, int]:
    """Return (end of the header block, start of the body), both *end* when no blank line follows."""
    # Each kind of blank line is looked for up to the limit, also where the other one comes soon.
    for limit in (min(end, start + 2048), min(end, start + MAX_BLOCK_BYTES), end):
        crlf = source.find(b"\n\r\n", start, limit)
        bare = source.find(b"\n\n", start, crlf if crlf >= 0 else limit)
        if bare >= 0:
            return bare + 1, bare + 2
        if crlf >= 0:
            return crlf + 1, crlf + 3
        if limit == end:
            break
    return end, end


def unfold(value: bytes, hint: str = "") -> str:
    """Return a raw field value as one line of text; encoded words are left as they are."""
    if value.isascii():
        text = value.decode("ascii")
    else:
        text, _ = charset.decode(value, "", hint)
    if "\n" in text or "\r" in text:
        text = _FOLD.sub(" ", text)
    # What is printable holds no controls: asking is cheaper than looking for them.
    return (text if text.isprintable() else _CONTROLS.sub(" ", text)).strip()


def one_line(text: str) -> str:
    """Return *text* without line breaks, NUL and other controls, and without lone surrogates."""
    return charset.without_surrogates(_CONTROLS.sub(" ", text)).strip()


def decode_value(text: str) -> str:
    """Return an unfolded unstructured value with its encoded words decoded (RFC 2047), as one safe line."""
    if "=?" not in text:
        return text
    return one_line(decode_words(text))


def decode_words(text: str) -> str:
    """Return *text* with its encoded words decoded. White space between two of them goes (RFC 2047 6.2).

    Neighbours of one charset are joined as bytes first: many programs cut between the bytes of a character.
    """
    out: list[str] = []
    pending = b""
    pending_charset = ""
    position = 0
    labels: set[str] = set()
    for count, match in enumerate(_ENCODED_WORD.finditer(text)):
        if count >= MAX_ENCODED_WORDS:
            break
        data = _word_bytes(match[2], match[3])
        if data is None:
            continue
        label = match[1].lower()
        if label not in labels:
            if len(labels) < MAX_CHARSETS:
                labels.add(label)
            else:
                label = "unknown"
        between = text[position : match.start()]
        if pending_charset and not between.strip() and label == pending_charset:
            pending += data
        else:
            if pending_charset:
                out.append(charset.decode(pending, pending_charset)[0])
                if between.strip():
                    out.append(between)
            else:
                out.append(between)
            pending, pending_charset = data, label
        position = match.end()
    if pending_charset:
        out.append(charset.decode(pending, pending_charset)[0])
    out.append(text[position:])
    return "".join(out)


def _word_bytes(encoding: str, payload: str) -> bytes | None:
    data = payload.encode("utf-8", "replace")
    if encoding in "Bb":
        return decode_base64(data)
    return _HEX.sub(lambda m: bytes((int(m[1], 16),)), data.replace(b"_", b" "))


_HEX = pattern(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


_AFTER_PADDING = pattern(rb"(=)[ \t]++[^\r\n]++")  # a remark after the end is no data


def decode_base64(data: bytes | memoryview) -> bytes:
    """Return what *data* encodes. Foreign characters, cut ends and padding in the middle do no harm."""
    try:
        decoded = _decode_fast(data) if len(data) >= MIN_FAST_BASE64 else binascii.a2b_base64(data)
    except binascii.Error:
        decoded = b""
    # a2b_base64 ends at the first padding; sound data is then done: 78 bytes with line ends make 57.
    if decoded and len(decoded) * 4 // 3 >= len(data) * 0.93 - 8:
        return decoded
    whole = bytes(data)
    if b"= " in whole or b"=\t" in whole:
        whole = _AFTER_PADDING.sub(rb"\1", whole)
    clean = whole.translate(None, _NOT_BASE64)
    out: list[bytes] = []
    for piece in re.split(rb"=+", clean):
        usable = len(piece) - (1 if len(piece) % 4 == 1 else 0)
        if usable:
            out.append(binascii.a2b_base64(piece[:usable] + b"=" * (-usable % 4)))
    return b"".join(out)


def _decode_fast(data: bytes | memoryview) -> bytes:
    """Return ``binascii.a2b_base64(data)``, in a fifth of the time where padding stands at the end alone.

    With padding elsewhere the two differ.

    Raises:
        binascii.Error: the padding is wrong.
    """
    padding = bytes(data).find(b"=")
    if padding >= 0 and bytes(data[padding:]).strip(b"=\r\n \t"):
        return binascii.a2b_base64(data)
    import pybase64  # for large parts only

    return pybase64.b64decode(data)


_TYPE = pattern(r"\s*([^\s;,/\"()]+)\s*/\s*([^\s;,\"()/]+)")
_PARAMETER = pattern(
    r"(?:;|(?<!\s)\s)\s*+([^\s=;\"]++)\s*+=\s*+(?:\"((?:[^\"\\]|\\.)*+)(?:\"|$)|([^;]*+))", re.S
)
_ESCAPE = pattern(r"\\(.)", re.S)
_WINDOWS_PATH = pattern(r"(?:[A-Za-z]:|\\)\\[^\\\"]")


def parse_parameters(text: str) -> dict[str, str]:
    """Return the parameters of a Content-Type or Content-Disposition value, names in lower case.

    In those of ``READ`` RFC 2231 pieces are joined and decoded, and encoded words, which do not belong here,
    are decoded too. The first of two equal names wins; the RFC 2231 form wins over the plain one.
    """
    plain: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    begin = text.find(";")
    if begin < 0:
        return plain
    for count, match in enumerate(_PARAMETER.finditer(text, begin)):
        if count >= MAX_PARAMETERS:
            break
        name = match[1].lower()
        value = match[2]
        value = _unquoted(value) if value is not None else match[3].strip()
        base, star, rest = name.partition("*")
        if not star:
            plain.setdefault(name, value)
            continue
        if base not in READ:
            continue
        encoded = rest.endswith("*") or rest == ""
        digits = rest.rstrip("*")
        if digits.isdecimal() and len(digits) <= 4:
            pieces.setdefault(base, []).append((int(digits), encoded, value))
        elif not digits:
            pieces.setdefault(base, []).append((0, True, value))
    for name, found in pieces.items():
        joined = _join_pieces(found)
        if joined:
            plain[name] = joined
    for name, value in plain.items():
        if "=?" in value and name in READ:
            plain[name] = decode_words(value)
    return {name: one_line(value) for name, value in plain.items()}


def _unquoted(value: str) -> str:
    """Return the inside of a quoted string with its escapes undone, except where they are those of a path."""
    if "\\" not in value or _WINDOWS_PATH.match(value):
        return value
    return _ESCAPE.sub(r"\1", value)


def unpercent(data: bytes) -> bytes:
    """Return *data* with its percent escapes undone (RFC 3986 2.1); a lone ``%`` stays."""
    return _PERCENT.sub(lambda m: bytes((int(m[1], 16),)), data)


_PERCENT = pattern(rb"%([0-9A-Fa-f]{2})")


def _join_pieces(found: list[tuple[int, bool, str]]) -> str:
    found.sort(key=lambda piece: piece[0])
    label = ""
    data = b""
    any_encoded = found[0][1]
    for position, (_, encoded, value) in enumerate(found):
        if position == 0 and encoded and value.count("'") >= 2:
            label, _, value = value.split("'", 2)
        # Some writers percent-encode every piece and star only the first.
        if encoded or (any_encoded and "%" in value):
            data += unpercent(value.encode("utf-8"))
        else:
            data += (
                value.encode("utf-8")
                if not label or charset.codec_of(label) == "utf-8"
                else value.encode(charset.codec_of(label) or "utf-8", "replace")
            )
    return charset.decode(data, label)[0]


def parse_type(text: str) -> str:
    """Return ``type/subtype`` in lower case, ``""`` when *text* names none."""
    match = _TYPE.match(text)
    return f"{match[1]}/{match[2]}".lower() if match else ""
