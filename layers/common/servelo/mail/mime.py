"""MIME: raw bytes as a tree of parts (RFC 2045, 2046, 5322), in linear time and bounded depth; never raises.

The reader works on offsets into the raw bytes: no part is copied before somebody asks for it, so a 40 MB mail
costs 40 MB and what is decoded from it. What hostile mails make expensive is capped before it is read:
header block, header field and number of fields (``headers``), depth and number of parts (here).
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator

from servelo.mail import charset
from servelo.mail import headers as header_fields
from servelo.patterns import pattern
from servelo.records import dataclass, field

MAX_DEPTH = 30
MAX_LOOKS = 16  # at each octet, for the boundaries of parts within parts,
MIN_OCTETS_LOOKED_AT = 4_000_000  # in a small mail as many as there are levels
MAX_PARTS = 500
MAX_TEXT_BYTES = 1024 * 1024  # of one text part; the part as a whole is still there as bytes

_LINE_ENDS = pattern("\r\n?")


@dataclass(slots=True, eq=False)
class Part:
    """One part of a mail; the mail itself is the root.

    Attributes:
        fields: (lower-case name, raw value with its folds), in order.
        content_type: ``type/subtype``, lower case; ``text/plain`` where none is given (RFC 2045 5.2).
        params: parameters of Content-Type, decoded, names in lower case.
        disposition: ``attachment``, ``inline`` or another word of Content-Disposition, ``""`` without one.
        disposition_params: its parameters.
        source, start, end: the body is ``source[start:end]``, still encoded.
        head: offset in *source* of the part's first header field.
        children: parts of a multipart; the mail within a message/rfc822 (one root); the header groups of a
            message/delivery-status (each with fields and no body).
    """

    fields: list[tuple[str, bytes]]
    content_type: str
    params: dict[str, str]
    source: bytes = field(repr=False)
    start: int
    end: int
    head: int = 0
    disposition: str = ""
    disposition_params: dict[str, str] = field(default_factory=dict)
    children: list[Part] = field(default_factory=list)
    declared_type: str = ""
    _headers: list[tuple[str, str]] | None = None

    @property
    def raw(self) -> memoryview:
        """The body as it came, transfer encoding and all, without a copy."""
        return memoryview(self.source)[self.start : self.end]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """(lower-case name, decoded value on one line), in order."""
        if self._headers is None:
            decode, unfold = header_fields.decode_value, header_fields.unfold
            self._headers = [(name, decode(unfold(value))) for name, value in self.fields]
        return self._headers

    def keep_headers(self, headers: list[tuple[str, str]]) -> None:
        """Let :attr:`headers` be *headers*, which the caller has decoded with more knowledge of charsets."""
        self._headers = headers

    def get(self, name: str, default: str = "") -> str:
        """Return the first field *name* (lower case), decoded, on one line."""
        for key, value in self.fields:
            if key == name:
                return header_fields.decode_value(header_fields.unfold(value))
        return default

    def get_all(self, name: str) -> list[str]:
        """Return every field *name* (lower case), decoded, each on one line."""
        return [
            header_fields.decode_value(header_fields.unfold(value))
            for key, value in self.fields
            if key == name
        ]

    def get_unfolded(self, name: str) -> str:
        """Return the first field *name* on one line, encoded words still encoded; ``""`` without one."""
        for key, value in self.fields:
            if key == name:
                return header_fields.unfold(value)
        return ""

    @property
    def is_multipart(self) -> bool:
        return self.content_type.startswith("multipart/")

    @property
    def transfer_encoding(self) -> str:
        """First word of Content-Transfer-Encoding, lower case; ``""`` without one."""
        words = self.get_unfolded("content-transfer-encoding").lower().replace(";", " ").split(None, 1)
        return words[0].strip("\"'") if words else ""

    def decoded(self, limit: int | None = None) -> bytes:
        """Return the body with its transfer encoding undone; about the first *limit* bytes if given."""
        raw = self.raw
        encoding = self.transfer_encoding
        if limit is not None:
            raw = raw[: limit if encoding in _IDENTITY else limit * 3 + 1024]
        if encoding == "base64":
            if self.content_type.startswith("text/"):
                whole = bytes(raw)
                if not _looks_base64(whole[:1000]):
                    return whole  # plain words under a label that is not true
                words = _plain_words(whole)
                if words >= 0:
                    return header_fields.decode_base64(whole[:words]) + b"\n" + whole[words:]
            return header_fields.decode_base64(raw)
        if encoding == "quoted-printable":
            # Spaces behind a soft line break were added on the way (RFC 2045 6.7, rule 3).
            text = bytes(raw)
            if b"= " in text or b"=\t" in text:
                text = _PADDED_BREAK.sub(b"=\n", text)
            return binascii.a2b_qp(text)
        if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
            return decode_uu(bytes(raw))
        return bytes(raw)

    def text(self, limit: int = MAX_TEXT_BYTES) -> str:
        """Return the body as text with ``\\n`` line ends, at most about *limit* bytes of it. Never raises."""
        return self.text_and_trust(limit)[0]

    def text_and_trust(self, limit: int = MAX_TEXT_BYTES) -> tuple[str, bool]:
        """Return (:meth:`text`, whether the declared charset could be believed)."""
        data = self.decoded(limit)
        text, trusted = charset.decode(data[:limit], self.params.get("charset", ""))
        if "\r" in text:
            text = _LINE_ENDS.sub("\n", text)
        return text, trusted

    def walk(self) -> Iterator[Part]:
        """Yield this part and all below it, in the order of the mail."""
        yield self
        for child in self.children:
            yield from child.walk()


_PADDED_BREAK = pattern(rb"=[ \t]++\r?\n")


def _looks_base64(sample: bytes) -> bool:
    """Whether *sample* holds little else than the alphabet of base64, and no words parted by spaces."""
    return len(sample.translate(None, _BASE64_SIGNS)) * 5 <= len(sample) and sample.strip().count(b" ") < 8


def _plain_words(text: bytes) -> int:
    """Return where words stand below base64, as mailing lists put their footers there; -1 where none do."""
    if len(text.translate(None, _ALPHABET)) < 4:
        return -1
    found = _FOREIGN_LINE.search(text)
    if found is None or not found.start() or _ENCODED_LINE.search(text, found.start()):
        return -1
    complete = len(text[: found.start()].translate(None, b" \t\r\n")) % 4 == 0
    return found.start() if complete else -1


_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n"
_FOREIGN_LINE = pattern(
    rb"(?m)^[ \t]*+[A-Za-z0-9+/=]*+(?:[ \t]++[A-Za-z0-9+/=]|[ \t]*+[^A-Za-z0-9+/= \t\r\n])"
)
# A piece of base64, and hardly a word: three groups and more.
_ENCODED_LINE = pattern(
    rb"(?m)^(?:[A-Za-z0-9+/]{4}){3,}+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?+[ \t\r]*+$"
)
_BASE64_SIGNS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_ \t\r\n\f\v!>*?"
_IDENTITY = frozenset(("", "7bit", "8bit", "binary"))


_SPACED_FROM = pattern(rb"From[ \t]{1,8}:")  # a From field, not the separator of an mbox file


@dataclass(slots=True)
class _Budget:
    parts: int = MAX_PARTS
    octets: int = 0  # that may still be looked through for boundaries
    warnings: list[str] = field(default_factory=list)

    def warn(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)


def parse(raw: bytes) -> Part:
    """Return the root part of the mail *raw*. Any bytes will do."""
    return parse_with_warnings(raw)[0]


def parse_with_warnings(raw: bytes) -> tuple[Part, list[str]]:
    """Return (root part, one sentence for each thing that could not be read as it was meant)."""
    source = bytes(raw)
    budget = _Budget(octets=max(len(source) * MAX_LOOKS, MIN_OCTETS_LOOKED_AT))
    if b"\n" not in source[:4096] and b"\r" in source[:4096]:
        source = source.replace(b"\r", b"\n")  # line ends of old Macs
    start = 0
    while source[start : start + 1] in (b"\r", b"\n", b" ", b"\t"):
        line_end = source.find(b"\n", start)
        if line_end < 0 or source[start:line_end].strip():
            break
        start = line_end + 1
    if source.startswith(b"\xef\xbb\xbf", start):
        source = source[start + 3 :]  # the first field begins a line, then
        start = 0
    if source.startswith((b"From ", b">From "), start) and not _SPACED_FROM.match(source, start):
        start = source.find(b"\n", start) + 1 or len(source)  # the separator of an mbox file
    return _read_part(source, start, len(source), 0, "text/plain", budget), budget.warnings


def _read_part(source: bytes, start: int, end: int, depth: int, default_type: str, budget: _Budget) -> Part:
    budget.parts -= 1
    fields, body, warnings = header_fields.split_block(source, start, end)
    for sentence in warnings:
        budget.warn(sentence)
    content_type = disposition = ""
    params: dict[str, str] = {}
    disposition_params: dict[str, str] = {}
    for name, value in fields:
        if name == "content-type" and not content_type:
            text = header_fields.unfold(value)
            content_type = header_fields.parse_type(text)
            params = header_fields.parse_parameters(text)
        elif name == "content-disposition" and not disposition:
            text = header_fields.unfold(value)
            disposition = text.partition(";")[0].strip().lower()
            disposition_params = header_fields.parse_parameters(text)
    part = Part(
        fields=fields,
        content_type=content_type or default_type,
        declared_type=content_type,
        params=params,
        source=source,
        start=body,
        end=end,
        head=start,
        disposition=disposition,
        disposition_params=disposition_params,
    )
    kind = part.content_type
    if kind.startswith("multipart/"):
        _read_children(part, depth, budget)
    elif kind in ("message/rfc822", "message/global", "message/news"):
        _read_embedded(part, depth, budget)
    elif kind in (
        "message/delivery-status",
        "message/global-delivery-status",
        "message/disposition-notification",
    ):
        _read_groups(part, budget)
    return part


def _read_children(part: Part, depth: int, budget: _Budget) -> None:
    if depth >= MAX_DEPTH:
        budget.warn("The mail is nested more than 30 deep; what lies deeper was not opened.")
        return
    boundary = part.params.get("boundary", "").rstrip().encode("utf-8", "replace")
    default = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
    if not boundary:
        budget.warn("A multipart names no boundary; it was read as one text.")
        return
    budget.octets -= part.end - part.start
    if budget.octets < 0:
        budget.warn("The mail is nested too deep for its size; what lies deeper was not opened.")
        return
    spans = _split(part.source, part.start, part.end, boundary, budget)
    if spans is None:
        budget.warn("A multipart does not hold the boundary that it names; it was read as one text.")
        return
    for begin, finish in spans:
        if budget.parts <= 0:
            budget.warn("The mail has more than 500 parts; the rest was not opened.")
            return
        part.children.append(_read_part(part.source, begin, finish, depth + 1, default, budget))


_BEHIND_BOUNDARY = b"- \t\r\n\v\f"


def _split(
    source: bytes, start: int, end: int, boundary: bytes, budget: _Budget
) -> list[tuple[int, int]] | None:
    """Return the (start, end) of each body part, None when the boundary never opens."""
    delimiter = b"--" + boundary
    spans: list[tuple[int, int]] = []
    begin = line_end = -1
    position = start
    while True:
        found = source.find(delimiter, position, end)
        if found < 0:
            break
        position = after = found + len(delimiter)
        if found > start and source[found - 1] not in b"\r\n":
            continue
        if after < end and source[after] not in _BEHIND_BOUNDARY:
            continue  # a longer boundary that begins like this one
        if line_end < after:
            line_end = source.find(b"\n", after, end)
            if line_end < 0:
                line_end = end
        rest = source[after : min(line_end, after + 80)]
        closing = rest.startswith(b"--")
        if not closing and rest.strip():
            continue
        if begin >= 0:
            # The line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1).
            finish = found
            if finish > begin and source[finish - 1] == 10:
                finish -= 1
                if finish > begin and source[finish - 1] == 13:
                    finish -= 1
            spans.append((begin, finish))
            begin = -1
            if len(spans) > budget.parts:
                return spans
        if closing:
            # Whatever follows is an epilogue, unless the boundary opens again: broken digests do that.
            position = line_end
            continue
        begin = min(line_end + 1, end)
        position = line_end
    if begin >= 0 and (begin < end or not spans):
        spans.append((begin, end))
    return spans or None


def _read_embedded(part: Part, depth: int, budget: _Budget) -> None:
    if depth >= MAX_DEPTH:
        budget.warn("The mail is nested more than 30 deep; what lies deeper was not opened.")
        return
    if budget.parts <= 0:
        budget.warn("The mail has more than 500 parts; the rest was not opened.")
        return
    if part.transfer_encoding in _IDENTITY:
        source, start, end = part.source, part.start, part.end
    else:
        source = part.decoded()
        start, end = 0, len(source)
    while start < end and source[start] in b"\r\n":
        start += 1
    part.children.append(_read_part(source, start, end, depth + 1, "text/plain", budget))


def _read_groups(part: Part, budget: _Budget) -> None:
    """Read the header groups of a delivery status (RFC 3464 2.1), which blank lines part."""
    source = part.decoded(header_fields.MAX_BLOCK_BYTES)
    position = 0
    while position < len(source) and budget.parts > 0:
        while position < len(source) and source[position] in b"\r\n":
            position += 1
        if position >= len(source):
            return
        fields, body, _ = header_fields.split_block(source, position, len(source))
        if fields:
            budget.parts -= 1
            part.children.append(Part(fields, "text/plain", {}, source, body, body, head=position))
            position = max(body, position + 1)
        else:
            # No field in the whole block: on to the next one. Line by line, a long block would cost n * n.
            budget.parts -= 1
            blank = _BLANK_LINE.search(source, position)
            position = blank.end() if blank else len(source)


_BLANK_LINE = pattern(rb"\n\r?\n")


def decode_uu(data: bytes) -> bytes:
    """Return the file that uuencoded *data* holds, with or without its begin and end lines."""
    out: list[bytes] = []
    for line in data.splitlines():
        if line.startswith(b"begin ") or not line.strip():
            continue
        if line.strip() in (b"end", b"`"):
            continue
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            # Line too long for its count: writers that pad every line. Trust the count.
            size = ((line[0] - 32) & 63) * 4 + 5
            try:
                out.append(binascii.a2b_uu(line[: (size) // 3 + 1]))
            except binascii.Error:
                continue
    return b"".join(out)
