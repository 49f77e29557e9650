"""TNEF: what Outlook packs into ``winmail.dat`` ([MS-OXTNEF], [MS-OXRTFCP]), read in linear time behind caps.

A stream is a list of attributes, each a level, an id, a length and its data; the newer facts of a message or
an attachment are MAPI properties within one of them. The common Python reader (tnefparse 1.4) was measured
and not taken: it loops as often as a 32-bit count in the stream says, and cuts trailing zero bytes off files.
"""

from __future__ import annotations

import struct

from servelo.mail import charset, headers
from servelo.records import dataclass, field

SIGNATURE = b"\x78\x9f\x3e\x22"
MAX_ATTRIBUTES = 5000
MAX_PROPERTIES = 2000
MAX_FILES = 200
MAX_NESTING = 4
MAX_RTF_BYTES = 4 * 1024 * 1024

# Attribute ids, without their type ([MS-OXTNEF] 2.1.3.3).
_BODY, _ATTACH_DATA, _ATTACH_TITLE = 0x800C, 0x800F, 0x8010
_ATTACH_TRANSPORT_NAME, _ATTACH_RENDER_DATA = 0x9001, 0x9002
_MESSAGE_PROPERTIES, _ATTACH_PROPERTIES, _OEM_CODEPAGE = 0x9003, 0x9005, 0x9007
# MAPI property ids ([MS-OXPROPS]).
_P_SUBJECT, _P_BODY, _P_RTF, _P_HTML, _P_CODEPAGE = 0x0037, 0x1000, 0x1009, 0x1013, 0x3FDE
_P_DISPLAY_NAME, _P_DATA, _P_FILENAME, _P_LONG_FILENAME = 0x3001, 0x3701, 0x3704, 0x3707
_P_MIME_TAG, _P_CONTENT_ID = 0x370E, 0x3712
_FIXED_SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 0xA: 4, 0xB: 4, 0x14: 8, 0x40: 8, 0x48: 16, 1: 0}
_VARIABLE = frozenset((0x0D, 0x1E, 0x1F, 0x102))
_EMBEDDED_MESSAGE = bytes.fromhex("0703020000000000c000000000000046")  # IID_IMessage


@dataclass(slots=True)
class OpenedTnef:
    """What a winmail.dat holds: words, and files as (name, content type, content, content id)."""

    subject: str = ""
    text: str = ""
    html: str = ""
    files: list[tuple[str, str, bytes, str]] = field(default_factory=list)


@dataclass(slots=True)
class _File:
    name: str = ""
    long_name: str = ""
    content_type: str = ""
    content_id: str = ""
    content: memoryview = field(default_factory=lambda: memoryview(b""))
    embedded: memoryview | None = None


def open_tnef(data: bytes) -> OpenedTnef | None:
    """Return what the TNEF stream *data* holds, None when it is none. A cut stream gives what it has."""
    if not data.startswith(SIGNATURE):
        return None
    opened = OpenedTnef()
    _read_stream(memoryview(data), opened, 0)
    return opened


def _read_stream(data: memoryview, opened: OpenedTnef, depth: int) -> None:
    codepage = "cp1252"
    current: _File | None = None
    found: list[_File] = []
    packed = b""
    position = 6
    for _ in range(MAX_ATTRIBUTES):
        if position + 9 > len(data):
            break
        level, attribute, length = data[position], *struct.unpack_from("<HxxI", data, position + 1)
        value = data[position + 9 : position + 9 + length]
        position += 9 + length + 2
        if level == 2:
            if attribute == _ATTACH_RENDER_DATA or current is None:
                if len(found) >= MAX_FILES:
                    break
                current = _File()
                found.append(current)
            if attribute in (_ATTACH_TITLE, _ATTACH_TRANSPORT_NAME):
                current.name = current.name or _string(bytes(value), codepage)
            elif attribute == _ATTACH_DATA:
                current.content = value
            elif attribute == _ATTACH_PROPERTIES:
                _read_file_properties(value, current, codepage)
        elif attribute == _OEM_CODEPAGE and len(value) >= 4:
            codepage = f"cp{int.from_bytes(value[:4], 'little')}"
        elif attribute == _BODY:
            opened.text = opened.text or _string(bytes(value), codepage)
        elif attribute == _MESSAGE_PROPERTIES:
            packed = _read_message_properties(value, opened, codepage) or packed
    for file in found:
        if file.embedded is not None and depth < MAX_NESTING:
            _read_embedded(file, opened, depth)
        elif len(opened.files) < MAX_FILES:
            content = file.content if file.embedded is None else file.embedded
            name = file.long_name or file.name
            if len(content) or name:
                kind = headers.parse_type(headers.one_line(file.content_type)) or "application/octet-stream"
                opened.files.append((name, kind, bytes(content), headers.one_line(file.content_id)[:250]))
    if packed and not opened.text.strip() and not opened.html.strip() and (rtf := unpack_rtf(packed)):
        opened.files.append(("message.rtf", "application/rtf", rtf, ""))


def _read_embedded(file: _File, opened: OpenedTnef, depth: int) -> None:
    """Open a message that is attached to the message: its text becomes a file, its files are listed."""
    assert file.embedded is not None  # noqa: S101 - the caller looked
    inner = OpenedTnef()
    _read_stream(file.embedded, inner, depth + 1)
    name = file.long_name or file.name or inner.subject or "message"
    if inner.html:
        opened.files.append((f"{name}.html", "text/html", inner.html.encode("utf-8", "replace"), ""))
    elif inner.text.strip() or not inner.files:
        opened.files.append((f"{name}.txt", "text/plain", inner.text.encode("utf-8", "replace"), ""))
    opened.files.extend(inner.files[: MAX_FILES - len(opened.files)])


def _read_message_properties(value: memoryview, opened: OpenedTnef, codepage: str) -> bytes:
    """Take text, HTML and subject from the properties; return the compressed RTF, if any."""
    properties = _properties(value)
    internet = next(
        (int.from_bytes(data[:4], "little") for key, kind, data in properties if key == _P_CODEPAGE), 0
    )
    html_charset = {
        65001: "utf-8",
        20127: "us-ascii",
        28591: "iso-8859-1",
        50220: "iso-2022-jp",
        20866: "koi8-r",
    }.get(internet, f"cp{internet}" if internet else codepage)
    packed = b""
    for key, kind, data in properties:
        if key == _P_BODY and not opened.text:
            opened.text = _property_text(kind, data, codepage)
        elif key == _P_HTML and not opened.html:
            opened.html = (
                _property_text(kind, data, codepage) if kind != 0x102 else _string(bytes(data), html_charset)
            )
        elif key == _P_SUBJECT and not opened.subject:
            opened.subject = _property_text(kind, data, codepage)
        elif key == _P_RTF:
            packed = bytes(data)
    return packed


def _read_file_properties(value: memoryview, file: _File, codepage: str) -> None:
    for key, kind, data in _properties(value):
        if key == _P_LONG_FILENAME:
            file.long_name = _property_text(kind, data, codepage)
        elif key in (_P_FILENAME, _P_DISPLAY_NAME):
            file.name = file.name or _property_text(kind, data, codepage)
        elif key == _P_MIME_TAG:
            file.content_type = _property_text(kind, data, codepage)
        elif key == _P_CONTENT_ID:
            file.content_id = _property_text(kind, data, codepage).strip("<> ")
        elif key == _P_DATA:
            if data[:16] == _EMBEDDED_MESSAGE:
                data = data[16:]
                if data[:4] == SIGNATURE:
                    file.embedded = data
                    continue
            elif kind == 0x0D:
                data = data[16:]  # the interface id of another kind of object
            if len(data):
                file.content = data


def _properties(data: memoryview) -> list[tuple[int, int, memoryview]]:
    """Return (id, type, first value) of each MAPI property; stops where the list makes no sense."""
    found: list[tuple[int, int, memoryview]] = []
    position = 4
    try:
        (count,) = struct.unpack_from("<I", data, 0)
        for _ in range(min(count, MAX_PROPERTIES)):
            kind, key = struct.unpack_from("<HH", data, position)
            position += 4
            if key >= 0x8000:  # named: a GUID, then a number or a name
                (name_kind,) = struct.unpack_from("<I", data, position + 16)
                position += 20
                (length,) = struct.unpack_from("<I", data, position)
                position += 4 if name_kind == 0 else 4 + _padded(length)
            values = 1
            many = bool(kind & 0x1000)
            kind &= 0x0FFF
            if many or kind in _VARIABLE:
                (values,) = struct.unpack_from("<I", data, position)
                position += 4
            if kind in _VARIABLE:
                for index in range(min(values, MAX_PROPERTIES)):
                    (length,) = struct.unpack_from("<I", data, position)
                    position += 4
                    if index == 0:
                        found.append((key, kind, data[position : position + length]))
                    position += _padded(length)
            else:
                size = _FIXED_SIZES[kind]
                found.append((key, kind, data[position : position + size]))
                # Values of less than four bytes are padded singly, but packed in a list of them.
                position += size * values if not (many and kind in (2, 0xB)) else _padded(2 * values)
            if position > len(data):
                break
    except (struct.error, KeyError):
        pass
    return found


def _padded(length: int) -> int:
    return (length + 3) & ~3


def _property_text(kind: int, data: memoryview, codepage: str) -> str:
    if kind == 0x1F:
        return bytes(data).decode("utf-16-le", "replace").rstrip("\x00")
    return _string(bytes(data), codepage)


def _string(data: bytes, codepage: str) -> str:
    return charset.decode(data.rstrip(b"\x00"), codepage)[0].replace("\r\n", "\n")


_RTF_DICTIONARY = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)


def unpack_rtf(data: bytes) -> bytes:
    """Return compressed RTF unpacked ([MS-OXRTFCP] 3.1.3), at most 4 MB; ``b""`` when it is none."""
    if len(data) < 16:
        return b""
    size, raw_size, kind = struct.unpack_from("<III", data, 0)
    if kind == 0x414C454D:  # MELA: stored
        return data[16 : 16 + min(raw_size, MAX_RTF_BYTES)]
    if kind != 0x75465A4C:  # LZFu
        return b""
    end = min(len(data), size + 4)
    window = bytearray(_RTF_DICTIONARY.ljust(4096, b" "))
    write = len(_RTF_DICTIONARY)
    out = bytearray()
    position = 16
    limit = min(raw_size, MAX_RTF_BYTES)
    while position < end and len(out) < limit:
        control = data[position]
        position += 1
        for bit in range(8):
            if position >= end or len(out) >= limit:
                break
            if not control >> bit & 1:
                out.append(data[position])
                window[write & 4095] = data[position]
                write += 1
                position += 1
                continue
            if position + 1 >= end:
                return bytes(out)
            token = data[position] << 8 | data[position + 1]
            position += 2
            offset, length = token >> 4, (token & 15) + 2
            if offset == write & 4095:
                return bytes(out)
            start, to = offset & 4095, write & 4095
            if (to - start) & 4095 >= length and max(start, to) + length <= 4096:
                piece = window[start : start + length]
                out += piece
                window[to : to + length] = piece
                write += length
                continue
            if start < to and to + length <= 4096:  # it copies what it writes
                piece = (window[start:to] * (length // (to - start) + 1))[:length]
                out += piece
                window[to : to + length] = piece
                write += length
                continue
            for step in range(length):
                byte = window[(offset + step) & 4095]
                out.append(byte)
                window[write & 4095] = byte
                write += 1
    return bytes(out[:limit])
