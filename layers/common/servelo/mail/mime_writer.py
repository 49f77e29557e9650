"""MIME writer: header fields and parts to the bytes that go over SMTP.

Why not ``email.message``: three of the Pythons we run on write headers that data can break. Up to 3.11.7
and 3.12.1 an encoded word with CR LF in it is written out as a new field (CVE-2024-6923), display names
lose their quotes (attack H3), and long addresses and ids are folded in their middle. Here a field is built
from checked pieces, the whole is pure ASCII (except addresses that need SMTPUTF8), every line ends in CR LF
and has at most 998 octets, and the finished header block is read back and compared with what was meant.

    field     (name, bytes of the value with its folds)
    part      list of fields and a body, both bytes; multiparts are parts around parts
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from servelo.errors import DeliveryFailed
from servelo.mail.charset import without_surrogates
from servelo.mail.headers import one_line
from servelo.patterns import pattern

MAX_LINE_OCTETS = 998  # RFC 5322 2.1.1
FOLD_AT = 76
MAX_NAME_CHARACTERS = 64
MAX_SUBJECT_CHARACTERS = 240

Field = tuple[str, bytes]

_NAME = pattern(r"[A-Za-z][A-Za-z0-9-]{0,60}")
# A shown name that holds an address, a bracket or a list sign is how one sender poses as another (H3).
_NOT_IN_NAMES = pattern(r'[@<>",;:()\[\]\\]+')
_BIDI = pattern("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_ATOM_WORDS = pattern(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LINE_END = pattern("\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
_BODY_CONTROLS = pattern("[\x00-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f]")
_TYPE = pattern(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
_SAFE_FILENAME = pattern(r"[A-Za-z0-9 !#$&+.,=@^_`{}~()-]{1,60}")


def plain_name(text: str, limit: int = MAX_NAME_CHARACTERS) -> str:
    """Return *text* as a display name: one line without address or list signs, at most *limit* characters."""
    words = _NOT_IN_NAMES.sub(" ", _BIDI.sub("", one_line(text))).split()
    return " ".join(words)[:limit].strip()


def plain_subject(text: str, limit: int = MAX_SUBJECT_CHARACTERS) -> str:
    """Return *text* as a subject: one line without controls, at most *limit* characters."""
    subject = " ".join(_BIDI.sub("", one_line(text)).split())
    return subject if len(subject) <= limit else subject[: limit - 1].rstrip() + "…"


def plain_text(text: str) -> str:
    """Return *text* as a body: line ends ``\\n``, no controls but tab, no lone surrogates."""
    lines = without_surrogates(_BODY_CONTROLS.sub("", _LINE_END.sub("\n", text)))
    return lines.strip("\n") + "\n"


def encoded_words(text: str, first_room: int = FOLD_AT - 10) -> bytes:
    """Return *text* as RFC 2047 encoded words of at most 75 characters, folded between them."""
    out: list[bytes] = []
    room = max(first_room, 20)
    chunk = b""
    for character in text:
        piece = character.encode("utf-8")
        # "=?utf-8?b?" and "?=" are 12 characters; base64 makes 4 of 3.
        if chunk and 12 + (len(chunk) + len(piece) + 2) // 3 * 4 > min(room, 75):
            out.append(b"=?utf-8?b?" + base64.b64encode(chunk) + b"?=")
            chunk, room = b"", 75
        chunk += piece
    out.append(b"=?utf-8?b?" + base64.b64encode(chunk) + b"?=")
    return b"\r\n ".join(out)


def unstructured(name: str, text: str) -> Field:
    """Return a field of free text (Subject). *text* is made one line first."""
    value = plain_subject(text)
    # What looks like an encoded word must not become one at the reader (H2).
    if not value.isascii() or "=?" in value:
        return name, encoded_words(value, FOLD_AT - len(name) - 2)
    lines: list[str] = []
    line = ""
    room = FOLD_AT - len(name) - 2
    for word in value.split():
        while len(word) > MAX_LINE_OCTETS - 100:
            return name, encoded_words(value, FOLD_AT - len(name) - 2)
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line, room = word, FOLD_AT - 1
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return name, "\r\n ".join(lines).encode("ascii")


def address(name: str, display_name: str, addr_spec: str) -> Field:
    """Return an address field with one mailbox; *addr_spec* has passed ``envelope_address``."""
    shown = plain_name(display_name)
    spec = addr_spec.encode("utf-8")
    if not shown:
        return name, spec
    if not shown.isascii() or "=?" in shown:
        phrase = encoded_words(shown, FOLD_AT - len(name) - 2)
    elif _ATOM_WORDS.fullmatch(shown):
        phrase = shown.encode("ascii")
    else:
        phrase = b'"' + shown.encode("ascii") + b'"'
    last_line = phrase.rsplit(b"\n", 1)[-1]
    separator = b" " if len(name) + len(last_line) + len(spec) + 5 <= FOLD_AT else b"\r\n "
    return name, phrase + separator + b"<" + spec + b">"


def message_ids(name: str, ids: Sequence[str]) -> Field:
    """Return a field of message ids, one a line: no program may fold within an id."""
    return name, b"\r\n ".join(b"<" + each.encode("ascii") + b">" for each in ids)


def token(name: str, value: str) -> Field:
    """Return a field whose ASCII value we wrote ourselves, never folded."""
    return name, value.encode("ascii")


def parameters(value: str, given: Mapping[str, str]) -> bytes:
    """Return a Content-Type or Content-Disposition value with *given* parameters, one a line."""
    out = value.encode("ascii")
    for key, text in given.items():
        if _SAFE_FILENAME.fullmatch(text) and "=?" not in text:
            out += f';\r\n {key}="{text}"'.encode("ascii")
            continue
        # RFC 2231 3 and 4.1: charset, then pieces; a percent sign is never cut from its digits.
        pieces = [""]
        for character in text:
            escaped = quote(character, safe="")
            if len(pieces[-1]) + len(escaped) > 55:
                pieces.append("")
            pieces[-1] += escaped
        if len(pieces) == 1:
            out += f";\r\n {key}*=utf-8''{pieces[0]}".encode("ascii")
            continue
        for index, piece in enumerate(pieces):
            start = "utf-8''" if index == 0 else ""
            out += f";\r\n {key}*{index}*={start}{piece}".encode("ascii")
    return out


def text_part(subtype: str, text: str) -> tuple[list[Field], bytes]:
    """Return a text part. Lines have at most 76 characters and none begins with a dot (H5)."""
    body = plain_text(text)
    kind = ("Content-Type", f"text/{subtype}; charset=utf-8".encode("ascii"))
    data = body.encode("utf-8")
    lines = body.split("\n")
    if body.isascii() and not any(
        len(each) > FOLD_AT or each.startswith((".", "From ")) or each.endswith((" ", "\t")) for each in lines
    ):
        return [kind, token("Content-Transfer-Encoding", "7bit")], data.replace(b"\n", b"\r\n")
    if sum(byte > 127 for byte in data) * 3 > len(data):
        return [kind, token("Content-Transfer-Encoding", "base64")], _base64_lines(
            data.replace(b"\n", b"\r\n")
        )
    encoded = binascii.b2a_qp(data, istext=True)
    encoded = re.sub(rb"(?m)^\.", b"=2E", re.sub(rb"(?m)^From ", b"=46rom ", encoded))
    # The two replacements may make a line three octets longer than 76.
    encoded = b"\n".join(_soft_broken(line) for line in encoded.split(b"\n"))
    return [kind, token("Content-Transfer-Encoding", "quoted-printable")], encoded.replace(b"\n", b"\r\n")


def _soft_broken(line: bytes) -> bytes:
    if len(line) <= 76:
        return line
    cut = 70
    while b"=" in line[cut - 2 : cut]:
        cut -= 1
    rest = line[cut:]
    return line[:cut] + b"=\n" + (b"=2E" + rest[1:] if rest.startswith(b".") else rest)


def _base64_lines(data: bytes) -> bytes:
    encoded = binascii.b2a_base64(data, newline=False)
    return b"".join(encoded[start : start + FOLD_AT] + b"\r\n" for start in range(0, len(encoded), FOLD_AT))


def file_part(
    content: bytes, *, filename: str, content_type: str, content_id: str = "", inline: bool = False
) -> tuple[list[Field], bytes]:
    """Return a file as a base64 part.

    A type that is no type, and the composite types ``multipart/*`` and ``message/*``, which RFC 2046 forbids
    to encode, go out as ``application/octet-stream``.
    """
    declared = content_type.lower()
    if not _TYPE.fullmatch(declared) or declared.startswith(("multipart/", "message/")):
        declared = "application/octet-stream"
    shown = plain_filename(filename)
    kind = declared.encode("ascii")
    # Old Outlooks read the name here, and only as an encoded word (against RFC 2047 5, but so they do).
    if not _SAFE_FILENAME.fullmatch(shown) and len(shown) <= 60:
        kind += b';\r\n name="' + encoded_words(shown, FOLD_AT - 8) + b'"'
    fields: list[Field] = [
        ("Content-Type", kind),
        token("Content-Transfer-Encoding", "base64"),
        ("Content-Disposition", parameters("inline" if inline else "attachment", {"filename": shown})),
    ]
    if content_id:
        fields.append(message_ids("Content-ID", [content_id]))
    return fields, _base64_lines(content)


def plain_filename(filename: str) -> str:
    """Return *filename* as it may be offered: one line, no path, no quotes, 1 to 120 characters."""
    name = _BIDI.sub("", one_line(filename)).replace("/", "_").replace("\\", "_").replace('"', "'").strip()
    if len(name) > 120:
        stem, dot, extension = name.rpartition(".")
        name = stem[: 119 - len(extension)] + dot + extension if dot and len(extension) < 12 else name[:120]
    return name or "file"


def mail_part(raw_mail: bytes, filename: str) -> tuple[list[Field], bytes]:
    """Return *raw_mail* as ``message/rfc822``, or as a file where that type cannot carry it.

    RFC 2046 5.2.1 allows no base64 there, so a mail goes as it is only when it is 7-bit, without bare CR or
    NUL and within 998 octets a line; all others keep every octet as an ``.eml`` file, which mail programs
    open just as well. Either way nothing of it can end our own mail early.
    """
    lines = raw_mail if b"\r\n" in raw_mail else raw_mail.replace(b"\n", b"\r\n")
    sound = (
        lines.isascii()
        and b"\0" not in lines
        and lines.count(b"\r") == lines.count(b"\n") == lines.count(b"\r\n")
        and max(map(len, lines.split(b"\r\n")), default=0) <= MAX_LINE_OCTETS
    )
    if not sound:
        return file_part(raw_mail, filename=filename, content_type="application/octet-stream")
    fields: list[Field] = [
        token("Content-Type", "message/rfc822"),
        token("Content-Transfer-Encoding", "7bit"),
        ("Content-Disposition", parameters("attachment", {"filename": plain_filename(filename)})),
    ]
    return fields, lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def multipart(
    subtype: str, boundary: str, parts: Iterable[tuple[list[Field], bytes]], **given: str
) -> tuple[list[Field], bytes]:
    """Return *parts* as one multipart. *boundary* must not occur in them: see ``free_boundary``."""
    kind = f'multipart/{subtype};\r\n boundary="{boundary}"'
    for key, value in given.items():
        kind += f';\r\n {key}="{value}"'
    line = b"--" + boundary.encode("ascii")
    body = b"".join(
        line + b"\r\n" + header_block(fields) + b"\r\n" + _ended(content) for fields, content in parts
    )
    return [("Content-Type", kind.encode("ascii"))], body + line + b"--\r\n"


def _ended(content: bytes) -> bytes:
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def free_boundary(seed: str, contents: Iterable[bytes]) -> str:
    """Return a boundary that none of *contents* holds; the same seed and contents give the same one."""
    together = tuple(contents)
    number = 0
    # "=_" can stand in no quoted-printable or base64 text (RFC 2045 6.7).
    while any(f"=_{seed}.{number}.".encode("ascii") in content for content in together):
        number += 1
    return f"=_{seed}.{number}."


def header_block(fields: Iterable[Field]) -> bytes:
    """Return *fields* as lines that end in CR LF."""
    return b"".join(name.encode("ascii") + b": " + value + b"\r\n" for name, value in fields)


def serialise(fields: Sequence[Field], body: bytes) -> bytes:
    """Return the finished mail after reading its header block back.

    Raises:
        DeliveryFailed: ``mail_not_composable``: the header does not hold exactly *fields*, or a line is too
            long or not ended by CR LF. Data cannot cause it as far as we know; if it ever does, the mail
            stops here and not at a stranger's server.
    """
    block = header_block(fields)
    found = [
        line.partition(b":")[0].decode("ascii", "replace")
        for line in block.split(b"\r\n")[:-1]
        if not line.startswith((b" ", b"\t"))
    ]
    mail = block + b"\r\n" + body
    if (
        found != [name for name, _ in fields]
        or not all(_NAME.fullmatch(name) for name in found)
        or not mail.count(b"\r\n") == mail.count(b"\r") == mail.count(b"\n")
        or b"\0" in block
        or any(not line.strip() for line in block.split(b"\r\n")[:-1])
        or max(map(len, mail.split(b"\r\n"))) > MAX_LINE_OCTETS
    ):
        raise DeliveryFailed("the mail could not be written safely", code="mail_not_composable")
    return mail
