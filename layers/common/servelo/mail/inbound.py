"""Inbound: raw bytes to :class:`InboundMail`. Any bytes in, a result out: no exception, no hang, no loss.

The way of a mail here: parts (``mime``) -> which of them are the words and which are files (this module) ->
text, HTML made safe (``html_text``, ``sanitise``), files with safe names (``attachments``) -> new words of a
reply (``reply_body``), machine mail (``automatic``), bounces (``bounce``). Each step may fail alone; what it
could not read is named in ``warnings``, and the raw mail is always kept by whoever called.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from servelo.mail import attachments as files
from servelo.mail import charset, headers, mime, plain_text
from servelo.mail.address import MAX_MAILBOXES, Mailbox, MailboxList, parse_mailboxes
from servelo.mail.dates import parse_date
from servelo.mail.inbound_mail import Attachment, Bounce, Complaint, InboundMail, MachineMail, ReplyBody
from servelo.mail.mime import Part
from servelo.patterns import pattern

MAX_SUBJECT_CHARS = 998  # RFC 5322 2.1.1
MAX_FILES = 1000  # a mail has no more than 500 parts, but those may be archives of more
TOO_MANY_FILES = "The mail holds more than 1,000 files; the raw mail holds the rest."
MAX_MESSAGE_IDS = 100
MAX_ENCODED_WORDS = 2000  # of all fields together; what is behind them is shown as it was written
MAX_ADDRESS_CHARS = 20_000  # of all fields of one name: behind these none is begun
MAX_TEXT_CHARS = 1024 * 1024
MAX_HTML_BYTES = 16 * 1024 * 1024  # with the images within it
MAX_ATTACHMENT_BYTES = 96 * 1024 * 1024  # of all files of a mail, decoded; SES takes mails of 40 MB
MAX_WARNINGS = 50
MAX_SHOWN_FILE_BYTES = (
    65536  # a text file sent "inline" is listed as a file, and shown below the mail if short
)

TYPE_CHECKING = False  # importing typing for one name would cost more than this module
if TYPE_CHECKING:
    from typing import TypeVar

    _Result = TypeVar("_Result")

_MESSAGE_ID = pattern(r"<\s*([^<>\s]{1,998})\s*>")
_BARE_ID = pattern(r"(?<![^\s<>,;\"])[^\s<>,;\"]{1,900}@[^\s<>,;\"]{1,98}")
_META_CHARSET = pattern(rb"<meta[^>]{0,200}?charset\s*+=\s*+[\"']?+\s*+([A-Za-z0-9_.:\-]{1,40})", re.I)
_WANTS_HTML = pattern(r"html", re.I)
_TEXT_TYPES = frozenset(
    (
        "text/plain",
        "text/markdown",
        "text/x-markdown",
        "text/enriched",
        "text/richtext",
        "text/x-plain",
        "text/x-amp-html",
    )
)
_FORMATTED = frozenset(("text/enriched", "text/richtext"))  # shown as plain text, kept as they came
_EMBEDDED = frozenset(("message/rfc822", "message/global", "message/news"))
_REPORTS = frozenset(("message/delivery-status", "message/disposition-notification", "text/rfc822-headers"))
_TNEF_TYPES = frozenset(("application/ms-tnef", "application/vnd.ms-tnef"))
_SMIME = "The mail is signed or encrypted with S/MIME; what it wraps is attached as a file."
_SMIME_SIGNED = "The mail is signed with S/MIME; the signature is attached."
_SECURED = {
    "application/pkcs7-mime": _SMIME,
    "application/x-pkcs7-mime": _SMIME,
    "application/pkcs7-signature": _SMIME_SIGNED,
    "application/x-pkcs7-signature": _SMIME_SIGNED,
    "application/pgp-signature": "The mail is signed with PGP; the signature is attached.",
    "application/pgp-encrypted": "The mail is encrypted with PGP; its text is attached as a file, unread.",
}


class _Words:
    """Text of one place in the mail, in one or both forms."""

    __slots__ = ("html", "text")

    def __init__(self, text: str = "", html: str = "") -> None:
        self.text = text
        self.html = html


_NO_WORDS: list[_Words] = []
_NO_LISTS: list[MailboxList] = []


class _Tags:
    """How much HTML of one mail is laid out yet: as much as of a mail with a single part of it."""

    def __init__(self) -> None:
        self._left = -1

    def rendered(self, html: str) -> str:
        from servelo.mail.html_text import MAX_TAGS, render

        if self._left < 0:
            self._left = MAX_TAGS
        text = render(html, max_tags=self._left)
        self._left = max(0, self._left - html.count("<"))
        return text


class _Reading:
    """What is gathered while the parts of a mail are gone through.

    ``embedded`` are mails to be shown below the mail, ``shown_files`` the text files, ``reports`` what
    programs wrote for programs; ``bytes_left`` is what may still be kept of files.
    """

    __slots__ = (
        "attachments",
        "bytes_left",
        "calendars",
        "embedded",
        "reports",
        "seen_words",
        "shown_files",
        "tags",
        "warnings",
    )

    def __init__(self, bytes_left: int = MAX_ATTACHMENT_BYTES, tags: _Tags | None = None) -> None:
        self.warnings: list[str] = []
        self.attachments: list[Attachment] = []
        self.embedded: list[tuple[Part, list[_Words], _Reading]] = []
        self.calendars: list[str] = []
        self.shown_files: list[tuple[Part, bool]] = []
        self.tags = tags or _Tags()
        self.reports: list[Part] = []
        self.bytes_left = bytes_left
        self.seen_words = False

    def warn(self, sentence: str) -> None:
        if sentence not in self.warnings and len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(sentence)

    def attempt(
        self, what: str, otherwise: _Result, read: Callable[..., _Result], *arguments: object
    ) -> _Result:
        """Return ``read(*arguments)``, or *otherwise* with a warning: one part may fail without the mail."""
        try:
            return read(*arguments)
        except Exception:
            self.warn(f"{what} could not be read; the raw mail holds it.")
            return otherwise


def read_mail(raw: bytes) -> InboundMail:
    """Return what is known of the mail *raw*: any bytes. Never raises; ``warnings`` say what was odd."""
    reading = _Reading()
    try:
        root, warnings = mime.parse_with_warnings(raw)
    except Exception:
        return _unreadable(raw)
    for sentence in warnings:
        reading.warn(sentence)
    try:
        return _read(raw, root, reading)
    except Exception:
        return _unreadable(raw)


def _unreadable(raw: bytes) -> InboundMail:
    """The last resort: a ticket that carries the beginning of the raw mail, better than none."""
    text = raw[:65536].decode("utf-8", "replace").replace("\x00", " ").replace("\r\n", "\n")
    return InboundMail(
        message_id=_derived_id(raw),
        message_id_derived=True,
        text=text,
        body=ReplyBody(text),
        warnings=("The mail could not be read; its beginning is shown as it came.",),
        size_bytes=len(raw),
    )


def _read(raw: bytes, root: Part, reading: _Reading) -> InboundMail:
    hint = _charset_hint(root)
    fields = _Fields(root, hint)
    words = reading.attempt("The body", _NO_WORDS, _collect, root, reading)
    own_text, original_html, from_html = _join(words, reading)
    html = reading.attempt("The HTML", "", _safe_html, original_html)
    text = _in_turn(
        own_text,
        *(reading.attempt("An embedded mail", "", _embedded_text, *each) for each in reading.embedded),
        *(reading.attempt("A file", "", _shown_file, *each, reading.tags) for each in reading.shown_files),
    )
    if not text.strip():
        text = _in_turn(
            *(report.text(65536) for report in reading.reports),
            *map(plain_text.calendar_text, reading.calendars),
        )
    text = _storable(text, reading)
    # Where the words come from the HTML alone they are parted there: its elements say more than its lines.
    parted = "" if from_html else _storable(own_text, reading) if own_text.strip() else text
    rendered = own_text if len(words) == 1 and (from_html or not own_text.strip()) else None
    body = reading.attempt("The quotation", ReplyBody(text), _part_body, parted, original_html, rendered)
    attachments = _mark_inline(reading.attachments, original_html)
    from_fields = fields.mailboxes("from")
    from_, ambiguous = _author(from_fields, reading)
    subject = next((s for s in fields.all("subject") if s), "")[:MAX_SUBJECT_CHARS]
    message_ids = _message_ids(fields.first("message-id"))
    decoded = tuple(fields.decoded)
    machine = reading.attempt(
        "The signals", MachineMail(), _classify, root, decoded, subject, from_.addr_spec if from_ else ""
    )
    bounce = reading.attempt("The delivery report", Bounce(), _read_bounce, root, machine.signals)
    complaint = reading.attempt("The complaint", Complaint(), _read_complaint, root)
    return InboundMail(
        message_id=message_ids[0] if message_ids else _derived_id(raw),
        message_id_derived=not message_ids,
        in_reply_to=_message_ids(" ".join(fields.all("in-reply-to"))),
        references=_message_ids(" ".join(fields.all("references"))),
        from_=from_,
        author_name=_author_name(from_fields, from_),
        author_unqualified="" if from_ else next((a for one in from_fields for a in one.unqualified), ""),
        from_ambiguous=ambiguous,
        reply_to=fields.people("reply-to", reading),
        to=fields.people("to", reading),
        cc=fields.people("cc", reading),
        subject=subject,
        date=reading.attempt("The date", None, parse_date, fields.first("date")),
        text=text,
        html=html,
        body=body,
        attachments=attachments,
        machine=machine,
        bounce=bounce,
        complaint=complaint,
        headers=decoded,
        warnings=tuple(reading.warnings),
        size_bytes=len(raw),
    )


# --- header fields
# -----------------------------------------------------------------------------------------------


class _Fields:
    """Header fields of the mail: unfolded (encoded words still encoded) and decoded."""

    def __init__(self, root: Part, hint: str) -> None:
        self.unfolded = [(name, headers.unfold(value, hint)) for name, value in root.fields]
        self.decoded: list[tuple[str, str]] = []
        left = MAX_ENCODED_WORDS
        for name, value in self.unfolded:
            if "=?" in value:
                left -= value.count("=?")
                value = headers.decode_value(value) if left > 0 else headers.one_line(value)
            self.decoded.append((name, value))
        root.keep_headers(self.decoded)

    def first(self, name: str) -> str:
        return next((value for key, value in self.decoded if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.decoded if key == name]

    def mailboxes(self, name: str) -> list[MailboxList]:
        lists: list[MailboxList] = []
        found = size = 0
        for key, value in self.unfolded:
            if key == name:
                if found >= MAX_MAILBOXES or size >= MAX_ADDRESS_CHARS:
                    lists.append(MailboxList(truncated=True))
                    break
                lists.append(parse_mailboxes(value))
                found += len(lists[-1].mailboxes)
                size += len(value)
        return lists

    def people(self, name: str, reading: _Reading) -> tuple[Mailbox, ...]:
        lists = reading.attempt(f"The field {name}", _NO_LISTS, self.mailboxes, name)
        if any(one.truncated for one in lists):
            reading.warn("An address field holds more than 100 addresses; the rest was not read.")
        return tuple(mailbox for one in lists for mailbox in one.mailboxes)[:MAX_MAILBOXES]


def _charset_hint(root: Part) -> str:
    """The charset of the first text: what writes raw 8-bit headers writes them in the charset of its text."""
    for part in root.walk():
        label = part.params.get("charset", "")
        if label and part.content_type.startswith("text/"):
            return label
    return ""


def _author(lists: list[MailboxList], reading: _Reading) -> tuple[Mailbox | None, bool]:
    mailboxes = [mailbox for one in lists for mailbox in one.mailboxes]
    if not mailboxes:
        if lists:
            reading.warn("The From field holds no address.")
        else:
            reading.warn("The mail has no From field.")
        return None, bool(lists)
    ambiguous = len(lists) > 1 or len(mailboxes) > 1 or any(one.ambiguous or one.truncated for one in lists)
    if headers.HEADER_CUT in reading.warnings or headers.AUTHOR_CUT in reading.warnings:
        ambiguous = True  # another From, or the signature that was found good, may stand in what was not read
    if ambiguous:
        reading.warn(
            "It is not certain who wrote the mail: mail programs would read its From field differently."
        )
    return mailboxes[0], ambiguous


def _author_name(lists: list[MailboxList], from_: Mailbox | None) -> str:
    if from_:
        return from_.display_name
    return next((name for one in lists for name in one.names_only), "")


def _message_ids(value: str) -> tuple[str, ...]:
    found = _MESSAGE_ID.findall(value) or _BARE_ID.findall(value)
    if not found and value.strip() and " " not in value.strip():
        found = [value.strip().strip("<>")]
    unique = [one for one in dict.fromkeys(found) if one]
    if len(unique) > MAX_MESSAGE_IDS:
        # The first names the thread, the last ones its newest mails.
        unique = unique[:1] + unique[1 - MAX_MESSAGE_IDS :]
    return tuple(unique)


def _derived_id(raw: bytes) -> str:
    import hashlib

    return f"{hashlib.sha256(raw).hexdigest()}@sha256.invalid"


# --- parts
# -------------------------------------------------------------------------------------------------------


def _collect(part: Part, reading: _Reading) -> list[_Words]:
    """Return the words of *part* in the order of reading; files go to ``reading.attachments``."""
    kind = part.content_type
    if kind in ("multipart/alternative", "multipart/related") and part.children:
        return (
            _collect_alternative(part, reading)
            if kind == "multipart/alternative"
            else _collect_related(part, reading)
        )
    if kind.startswith("multipart/") and part.children:
        if kind == "multipart/encrypted":
            reading.warn(_SECURED["application/pgp-encrypted"])
        words: list[_Words] = []
        for child in part.children:
            words.extend(reading.attempt("A part", _NO_WORDS, _collect, child, reading))
        return words
    return _collect_leaf(part, reading)


def _collect_alternative(part: Part, reading: _Reading) -> list[_Words]:
    texts: list[str] = []
    htmls: list[str] = []
    for child in part.children:
        if texts and child.content_type in _FORMATTED:
            # The same words again in a form that nobody would show: kept as a file.
            reading.attempt("A part", None, _attach, child, _file_name(child), reading)
            continue
        words = reading.attempt("A part", _NO_WORDS, _collect, child, reading)
        text = "\n\n".join(one.text for one in words if one.text)
        if any(one.html for one in words):
            htmls.append(
                "\n<br>\n".join(one.html or _as_html(one.text) for one in words if one.html or one.text)
            )
        elif text and text not in texts:
            texts.append(text)
    text, html = "\n\n".join(texts), "\n<br>\n".join(htmls)
    return [_Words(text, html)] if text or html else []


def _collect_related(part: Part, reading: _Reading) -> list[_Words]:
    """The root comes first whatever its place (RFC 2387 3.2); the rest are the files that it shows."""
    start = part.params.get("start", "").strip("<> ")
    children = part.children
    if start:
        children = sorted(children, key=lambda child: child.get("content-id").strip("<> ") != start)
    words: list[_Words] = []
    for child in children:
        words.extend(reading.attempt("A part", _NO_WORDS, _collect, child, reading))
    return words


def _collect_leaf(part: Part, reading: _Reading) -> list[_Words]:
    kind = part.content_type
    name = _file_name(part)
    attached = part.disposition == "attachment"
    if kind in _EMBEDDED and part.children:
        _collect_embedded(part, name, attached, reading)
        return []
    if kind in _SECURED:
        reading.warn(_SECURED[kind])
    if kind.startswith("multipart/"):
        # No boundary was found in it: its text is there to be read.
        return _collect_text(part, reading, html=False)
    is_text = kind in _TEXT_TYPES or (not part.declared_type and kind == "text/plain")
    is_html = kind in ("text/html", "application/xhtml+xml")
    if (is_text or is_html) and not attached:
        if not name or not reading.seen_words:
            if part.disposition_params.get("filename") or kind in _FORMATTED:
                _attach(part, name, reading)
            return _collect_text(part, reading, html=is_html)
        if part.end - part.start <= MAX_SHOWN_FILE_BYTES:
            reading.shown_files.append((part, is_html))
    if kind in _REPORTS:
        reading.reports.append(part)
    if kind == "text/calendar":
        reading.calendars.append(part.text(65536))
    if kind in _TNEF_TYPES or name.lower() == "winmail.dat":
        words = _collect_tnef(part, reading)
        if words is not None:
            return words
    _attach(part, name, reading)
    return []


def _shown_file(part: Part, html: bool, tags: _Tags) -> str:
    text = part.text(MAX_SHOWN_FILE_BYTES)
    return tags.rendered(text) if html else text


def _collect_text(part: Part, reading: _Reading, *, html: bool) -> list[_Words]:
    data = part.decoded(MAX_TEXT_CHARS + 1)
    whole = True
    if html and b";base64," in data:
        if len(data) > MAX_TEXT_CHARS:
            data = part.decoded(MAX_HTML_BYTES + 1)
            whole = len(data) <= MAX_HTML_BYTES
            data = data[:MAX_HTML_BYTES]
        data = _take_images(data, reading)
    if len(data) > MAX_TEXT_CHARS or not whole:
        reading.warn("A text is longer than 1 MB; its beginning is shown and the whole is attached.")
        _attach(part, _file_name(part) or ("message.html" if html else "message.txt"), reading)
        data = data[:MAX_TEXT_CHARS]
        if html and data.rfind(b"<") > data.rfind(b">"):
            data = data[: data.rfind(b"<")]  # half a tag would be read as words
    label = part.params.get("charset", "")
    if html and not label:
        meta = _META_CHARSET.search(data[:2048])
        label = meta[1].decode("ascii") if meta else ""
    if not html and b"begin" in data:
        data, found = plain_text.take_uuencoded(data)
        for name, content in found:
            _keep(reading, name, "application/octet-stream", content)
    text, trusted = charset.decode(data, label)
    if not trusted and label:
        reading.warn(f"The text is not in the charset that it names ({headers.one_line(label)[:40]}).")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if html:
        reading.seen_words = reading.seen_words or bool(text.strip())
        return [_Words(html=text)]
    if part.content_type in _FORMATTED:
        text = _plain_of_enriched(text)
    elif part.params.get("format", "").lower() == "flowed":
        text = plain_text.unflow(text, delete_space=part.params.get("delsp", "").lower() == "yes")
    if part.content_type == "text/x-amp-html":
        return []
    reading.seen_words = reading.seen_words or bool(text.strip())
    return [_Words(text=text)]


def _take_images(html: bytes, reading: _Reading) -> bytes:
    """Keep the images that *html* holds within their addresses as files, and let it show those.

    Else a pasted screenshot would take all the room that words have.
    """
    shorter, images = files.take_images(html)
    kept = {one.content_id for one in reading.attachments}
    for content_id, content_type, content in images:
        if content_id not in kept:
            kept.add(content_id)
            name = f"image{len(kept)}{files.EXTENSIONS[content_type]}"
            _keep(reading, name, content_type, content, content_id=content_id, inline=True)
    return shorter


def _plain_of_enriched(text: str) -> str:
    """Return text/enriched (RFC 1896) without its commands; of several line ends one is dropped."""
    text = re.sub(r"<param>[^<]{0,1000}</param>", "", text, flags=re.I)
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    text = re.sub(r"\n(\n+)", r"\1", text)
    return re.sub(r"</?[A-Za-z][A-Za-z0-9\-]{0,60}>", "", text).replace("<<", "<")


def _collect_embedded(part: Part, name: str, attached: bool, reading: _Reading) -> None:
    """Keep a mail within the mail as a file, its own files too, and its text if it is to be shown."""
    inner = part.children[0]
    content = part.source[inner.head : inner.end]
    if not name:
        name = (headers.one_line(inner.get("subject"))[:100] or "message") + ".eml"
    _keep(reading, name, part.content_type, content, content_id=_content_id(part))
    nested = _Reading(reading.bytes_left, reading.tags)
    words = reading.attempt("An embedded mail", _NO_WORDS, _collect, inner, nested)
    # The files of the embedded mail are in its .eml as well; they are listed so that they can be opened
    # directly.
    reading.attachments += nested.attachments
    if len(reading.attachments) > MAX_FILES:
        reading.warn(TOO_MANY_FILES)
        del reading.attachments[MAX_FILES:]
    reading.bytes_left = nested.bytes_left
    if not attached:
        reading.embedded.append((inner, words, nested))


def _embedded_text(part: Part, words: list[_Words], nested: _Reading) -> str:
    """Return an embedded mail as it is shown below the mail that carries it; *words* are its own."""
    text, _, _ = _join(words, nested)
    lines = [
        f"{label}: {value}"
        for label, value in (
            ("From", part.get("from")),
            ("Date", part.get("date")),
            ("To", part.get("to")[:1000]),
            ("Subject", part.get("subject")),
        )
        if value
    ]
    text = _in_turn(text, *(_embedded_text(*each) for each in nested.embedded))
    return "\n".join(("---------- Forwarded message ----------", *lines, "", text.strip("\n")))


def _collect_tnef(part: Part, reading: _Reading) -> list[_Words] | None:
    """Open a winmail.dat; None when it holds nothing that could be read."""
    from servelo.mail import tnef

    opened = tnef.open_tnef(part.decoded())
    if opened is None:
        reading.warn("A winmail.dat could not be opened; it is attached as it came.")
        return None
    for name, content_type, content, content_id in opened.files:
        _keep(reading, name, content_type, content, content_id=content_id)
    if reading.seen_words or not (opened.text.strip() or opened.html.strip()):
        return []
    reading.seen_words = True
    return [_Words(opened.text, opened.html)]


def _file_name(part: Part) -> str:
    return (
        part.disposition_params.get("filename")
        or part.params.get("name")
        or part.disposition_params.get("name", "")
    )


def _content_id(part: Part) -> str:
    return part.get("content-id").strip("<> ")[:250]


def _attach(part: Part, name: str, reading: _Reading) -> None:
    content = (
        part.decoded(reading.bytes_left) if part.end - part.start > reading.bytes_left else part.decoded()
    )
    location = "" if name else part.get("content-location").rpartition("/")[2][:200]
    _keep(
        reading,
        name or location,
        part.content_type,
        content,
        content_id=_content_id(part),
        inline=part.disposition == "inline",
    )


def _keep(
    reading: _Reading,
    name: str,
    content_type: str,
    content: bytes,
    *,
    content_id: str = "",
    inline: bool = False,
) -> None:
    if len(reading.attachments) >= MAX_FILES:
        reading.warn(TOO_MANY_FILES)
        return
    if len(content) > reading.bytes_left:
        reading.warn("The files of the mail are too large to be kept apart; the raw mail holds them.")
        return
    reading.bytes_left -= len(content)
    sniffed = files.sniff(content)
    original = headers.one_line(name)
    reading.attachments.append(
        Attachment(
            filename=files.clean_name(original, content_type, len(reading.attachments) + 1),
            original_filename=original,
            content_type=content_type,
            sniffed_type=sniffed,
            content=content,
            content_id=content_id,
            inline=inline,
            dangerous=files.is_dangerous(original, content_type, sniffed, content),
        )
    )


def _mark_inline(found: list[Attachment], html: str) -> tuple[Attachment, ...]:
    """Mark as inline the files that the HTML shows by their content id."""
    if not found or "cid:" not in html.lower():
        return tuple(found)
    from servelo.records import replace

    shown = {
        headers.unpercent(one.encode()).decode("utf-8", "replace").lower()
        for one in re.findall(r"cid:([^\"'\s>)]{1,250})", html, re.I)
    }
    return tuple(
        replace(one, inline=True)
        if one.content_id and one.content_id.lower() in shown and not one.inline
        else one
        for one in found
    )


# --- words
# -------------------------------------------------------------------------------------------------------


def _join(words: list[_Words], reading: _Reading) -> tuple[str, str, bool]:
    """Return (text of the mail, its original HTML, whether the text is all from the HTML).

    Each place gives its text part if that says anything.
    """
    pieces: list[str] = []
    from_html = False
    from_text = False
    for one in words:
        said = one.text
        if one.html and _is_stand_in(said):
            rendered = reading.attempt("The layout of the HTML", None, reading.tags.rendered, one.html)
            if rendered is None:
                rendered = _TAG.sub(" ", one.html)
            if not said.strip() or len(rendered.strip()) > len(said.strip()):
                said = rendered
                from_html = from_html or bool(said.strip())
        if said is one.text and said.strip():
            from_text = True
        pieces.append(said)
    html_pieces: list[str] = []
    if any(one.html for one in words):
        html_pieces = [one.html or _as_html(one.text) for one in words if one.html or one.text.strip()]
    return _in_turn(*pieces), "\n<br>\n".join(html_pieces), from_html and not from_text


_TAG = pattern(r"<[^<>]*+>")


def _is_stand_in(text: str) -> bool:
    """Whether a text part is empty or only says that the mail is to be read as HTML."""
    stripped = text.strip()
    return not stripped or (len(stripped) < 400 and _WANTS_HTML.search(stripped) is not None)


def _in_turn(*pieces: str) -> str:
    """Return *pieces* one below the other, with a blank line between those that say anything."""
    saying = [piece for piece in pieces if piece.strip()]
    if len(saying) < 2:
        return saying[0] if saying else next(reversed(pieces), "")
    first, *between, last = saying
    return "\n\n".join(
        (first.rstrip(), *(piece.lstrip("\n").rstrip() for piece in between), last.lstrip("\n"))
    )


def _as_html(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<pre>{escaped}</pre>"


def _safe_html(original_html: str) -> str:
    if not original_html:
        return ""
    from servelo.mail.sanitise import sanitise

    return charset.storable(sanitise(original_html))


def _storable(text: str, reading: _Reading) -> str:
    text = charset.without_surrogates(text.replace("\x00", ""))
    if len(text) > MAX_TEXT_CHARS:
        reading.warn("The text is longer than 1 MB; its beginning is shown, the raw mail holds the rest.")
        text = text[:MAX_TEXT_CHARS]
    return text


# --- what others know of a mail
# ----------------------------------------------------------------------------------


def _part_body(text: str, html: str, rendered: str | None) -> ReplyBody:
    from servelo.mail.reply_body import part_reply

    return part_reply(text, html, rendered=rendered)


def _classify(root: Part, decoded: tuple[tuple[str, str], ...], subject: str, from_addr: str) -> MachineMail:
    from servelo.mail.automatic import classify

    return classify(decoded, subject, from_addr=from_addr, content_type=root.content_type)


def _read_bounce(root: Part, signals: tuple[str, ...]) -> Bounce:
    from servelo.mail.bounce import read_bounce

    return read_bounce(root, signals)


def _read_complaint(root: Part) -> Complaint:
    from servelo.mail.bounce import read_complaint

    return read_complaint(root)
