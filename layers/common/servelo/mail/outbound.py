"""Outgoing mail: an OutboundJob and its tenant become the bytes that a transport sends.

Header rules (``docs/sending.md`` gives the reasons):

    From                  display name of the job, address of the account it goes out through
    To                    the one recipient
    Reply-To              the token address, bare and on one line; operator forwards: the original sender
    Subject               ``job.subject``, made one line; the caller puts the ticket tag in; an empty one
                          is filled by ``subject_for``
    Message-ID            ``job.message_id``: the same for every attempt
    In-Reply-To, References   oldest first, at most about 1,500 characters, first and last kept
    Auto-Submitted        automatic kinds only: ``auto-replied`` for answers, else ``auto-generated``
    X-Auto-Response-Suppress  ``All`` with it
    X-Servelo-Stamp       ``{slug}/{kind}``: our own mail coming back to us is a loop

Content: the variables of each kind. This is the contract between the services that queue a mail and the
templates. Values are strings, numbers, booleans and lists of them; a missing key reads as empty, false or
zero; unknown keys do no harm. Strings are plain text and may hold anything: they are escaped here. Links
that are not ``https:`` or ``http:`` are left out.

    confirmation      number, subject, portal_link; echo (default False), text: subject and text are shown
                      only when echo is True, which the caller sets for a verified sender alone
    notification      event ("new" (default), "reply" or "held"), number, subject, client_name, client_email,
                      text, truncated, files*, unverified, who_sees, portal_link
    ticket_update     number, author_name, text, truncated, files*, who_sees, portal_link
    invoice, quote    number (a string or a number), amount (a number, or a string shown as it is), currency,
                      due_date (``2026-12-01``; of a quote: valid until), link, text
    message           text, link, files*
    test              requested_by (a name or an address)
    magic_link        link, expires (``2026-12-01T14:05:00+00:00``)
    invitation        link, inviter_name, role ("admin" or "technician"), email, expires
    explanation       reason: one of ``EXPLANATIONS`` (an unknown one gives a general text), address (the
                      address of ours that was written to, optional). Never text of the mail itself
    operator_forward  from, to, subject, link (shown when the original is not attached)

    files*            files: names in order. file_sizes: octets in the same order, optional. file_links:
                      addresses in the same order, ``""`` for a file that is attached to the mail itself.
                      Without ``files``, the names of ``job.files`` are shown.
    who_sees          who gets an answer to this mail, as shown: ``Ada Lovelace <ada@example.org>``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from servelo.domain.outbound import MailKind, OutboundJob
from servelo.domain.smtp import envelope_address
from servelo.domain.tenant import Tenant
from servelo.errors import ConfigurationError, DeliveryFailed, InvalidInput
from servelo.mail import mime_writer, thread
from servelo.mail.headers import one_line
from servelo.mail.phrases import Language, language
from servelo.patterns import pattern

if TYPE_CHECKING:
    from jinja2 import Environment

STAMP_HEADER = "X-Servelo-Stamp"
OPERATOR_NAME = "Servelo Mail"
DEFAULT_COLOUR = "#2457d6"
MAX_TEXT_CHARACTERS = 100_000  # Gmail cuts HTML at 102 kB, and the portal has the rest
MAX_RAW_MAIL_BYTES = 20 * 1024 * 1024  # an operator forward above this carries a link

# Written by no person at this moment. A human's answer (ticket update, message, invoice, quote) is not here:
# it is automatic only where the job says so.
AUTOMATIC_KINDS = frozenset(
    {
        MailKind.CONFIRMATION,
        MailKind.NOTIFICATION,
        MailKind.TEST,
        MailKind.MAGIC_LINK,
        MailKind.INVITATION,
        MailKind.EXPLANATION,
        MailKind.OPERATOR_FORWARD,
    }
)
# RFC 3834 5: an answer to one mail says auto-replied.
_ANSWERS = frozenset({MailKind.CONFIRMATION, MailKind.EXPLANATION})
_MARKED_KINDS = frozenset(
    {
        MailKind.CONFIRMATION,
        MailKind.NOTIFICATION,
        MailKind.TICKET_UPDATE,
        MailKind.INVOICE,
        MailKind.QUOTE,
        MailKind.MESSAGE,
    }
)

# Reasons that an explanation can give, by the code of the rejection.
EXPLANATIONS: Mapping[str, str] = {
    "unknown_recipient": "explanation_unknown_recipient",
    "unknown_slug": "explanation_unknown_recipient",
    "token_invalid": "explanation_token_invalid",
    "tenant_suspended": "explanation_tenant_suspended",
    "team_unverified": "explanation_team_unverified",
    "not_a_member": "explanation_not_a_member",
}

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_COLOUR = pattern(r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})")
_LINK = pattern(r"https?://[^\s\"'<>\\\x00-\x20\x7f]{1,2000}", re.IGNORECASE)
_BLANK_LINES = pattern(r"\n{3,}")
# Stands for the user's own words while blank lines around them are tidied; NUL never comes from data.
_TEXT_PLACE = "\0text\0"


def build(
    job: OutboundJob,
    tenant: Tenant | None,
    *,
    mail_domain: str,
    sender_address: str,
    file_contents: Mapping[str, bytes],
    raw_mail: bytes | None = None,
    now: datetime,
    message_id_replaced: bool = False,
) -> bytes:
    """Return the mail of *job* as octets with CR LF line ends, every line within 998.

    *tenant* is None for the operator's own mail. *sender_address* is the address of the account that the
    mail goes out through. *file_contents* maps ``StoredFile.object_key`` to content; files of the job that
    are not in it are shown by name and not attached. *raw_mail* is attached to an operator forward up to
    ``MAX_RAW_MAIL_BYTES``. *now* is the Date. *message_id_replaced*: the transport (SES) will overwrite the
    Message-ID, so our own id is put at the end of References too, where answers carry it back to us.

    Raises:
        DeliveryFailed: ``recipient_invalid``, ``sender_invalid``: not one plain address.
            ``mail_not_composable``: the finished header did not read back as it was meant.
    """
    recipient = _checked(job.recipient, "recipient_invalid")
    sender = _checked(sender_address, "sender_invalid")
    attached_mail = raw_mail if raw_mail is not None and len(raw_mail) <= MAX_RAW_MAIL_BYTES else None
    attached = [each for each in job.files if each.object_key in file_contents]
    marked = bool(job.reply_to) and job.kind in _MARKED_KINDS

    text, html = _render(
        job.kind,
        tenant,
        job.content,
        file_names=[each.filename for each in job.files],
        file_sizes=[each.size_bytes for each in job.files],
        recipient_name=job.recipient_name,
        marked=marked,
        answerable=bool(job.reply_to),
        mail_attached=attached_mail is not None,
    )

    fields: list[mime_writer.Field] = [
        mime_writer.address("From", job.from_name or (tenant.name if tenant else OPERATOR_NAME), sender),
        mime_writer.address("To", job.recipient_name, recipient),
    ]
    reply_to = _reply_to(job, mail_domain)
    if reply_to:
        # No display name and no fold: programs that read Reply-To badly lose the token otherwise.
        fields.append(("Reply-To", reply_to.encode("utf-8")))
    subject = job.subject or subject_for(job.kind, tenant, job.content)
    fields.append(mime_writer.unstructured("Subject", subject))
    fields.append(mime_writer.token("Date", _date(now)))

    message_id = thread.clean_id(job.message_id)
    if not message_id:
        message_id = thread.message_id_for(job.id, job.slug, mail_domain)
    fields.append(mime_writer.message_ids("Message-ID", [message_id]))
    in_reply_to = thread.clean_id(job.in_reply_to)
    if in_reply_to:
        fields.append(mime_writer.message_ids("In-Reply-To", [in_reply_to]))
    ids = [*(each for each in job.references if thread.clean_id(each) != in_reply_to), in_reply_to]
    references = thread.trim_references([*ids, message_id] if message_id_replaced else ids)
    if references:
        fields.append(mime_writer.message_ids("References", references))

    if job.automatic or job.kind in AUTOMATIC_KINDS:
        value = "auto-replied" if job.kind in _ANSWERS else "auto-generated"
        fields.append(mime_writer.token("Auto-Submitted", value))
        fields.append(mime_writer.token("X-Auto-Response-Suppress", "All"))
    fields.append(mime_writer.token(STAMP_HEADER, stamp(job.slug, job.kind)))
    fields.append(mime_writer.token("MIME-Version", "1.0"))

    parts = [mime_writer.text_part("plain", text), mime_writer.text_part("html", html)]
    seed = re.sub(r"[^0-9A-Za-z]", "", job.id)[:40] or "mail"
    boundary = mime_writer.free_boundary(f"alt.{seed}", (body for _, body in parts))
    kind_fields, body = mime_writer.multipart("alternative", boundary, parts)
    extra = [
        mime_writer.file_part(
            file_contents[each.object_key], filename=each.filename, content_type=each.content_type
        )
        for each in attached
    ]
    if attached_mail is not None:
        extra.append(mime_writer.mail_part(attached_mail, "original.eml"))
    if extra:
        boundary = mime_writer.free_boundary(f"mix.{seed}", (body, *(content for _, content in extra)))
        kind_fields, body = mime_writer.multipart("mixed", boundary, [(kind_fields, body), *extra])
    return mime_writer.serialise([*fields, *kind_fields], body)


def preview(kind: MailKind, tenant: Tenant) -> tuple[str, str, str]:
    """Return (subject, text, HTML) of *kind* as *tenant* would send it, with made-up content."""
    content = _SAMPLES[kind]
    text, html = _render(
        kind,
        tenant,
        content,
        file_names=[],
        file_sizes=[],
        recipient_name="Ada Lovelace",
        marked=kind in _MARKED_KINDS,
        answerable=True,
        mail_attached=kind is MailKind.OPERATOR_FORWARD,
    )
    return subject_for(kind, tenant, content), text, html


def subject_for(kind: MailKind, tenant: Tenant | None, content: Mapping[str, object]) -> str:
    """Return the subject of a mail of *kind*, in the tenant's language.

    Mails of a ticket (confirmation, notification, ticket update) have the ticket's subject with its tag, the
    same in every mail, so that programs keep them in one conversation. A confirmation that may not echo the
    sender's words says only that we have them.
    """
    spoken = language(tenant.locale if tenant else "")
    name = tenant.name if tenant else OPERATOR_NAME
    number = _line(content, "number")
    if kind in (MailKind.NOTIFICATION, MailKind.TICKET_UPDATE):
        return _tagged(_line(content, "subject"), number)
    if kind is MailKind.CONFIRMATION:
        subject = _line(content, "subject") if content.get("echo") is True else ""
        return _tagged(subject or spoken.phrase("confirmation_title"), number)
    if kind is MailKind.INVOICE:
        return f"{spoken.phrase('invoice_title', number=number).strip()} – {name}"
    if kind is MailKind.QUOTE:
        return f"{spoken.phrase('quote_title', number=number).strip()} – {name}"
    if kind is MailKind.MESSAGE:
        return _line(content, "subject") or spoken.phrase("message_title", tenant=name)
    if kind is MailKind.TEST:
        return f"{spoken.phrase('test_title')} – {name}"
    if kind is MailKind.MAGIC_LINK:
        return spoken.phrase("magic_link_title", tenant=name)
    if kind is MailKind.INVITATION:
        return spoken.phrase("invitation_title", tenant=name)
    if kind is MailKind.EXPLANATION:
        return spoken.phrase("explanation_title")
    return f"[{_line(content, 'to')}] {_line(content, 'subject')}".rstrip()


def from_name(person: str, tenant: Tenant) -> str:
    """Return the shown name of From: ``Ada via Acme``, ``Acme`` where no person is named; at most 64 long."""
    shown = mime_writer.plain_name(person, 29)
    name = mime_writer.plain_name(tenant.name, 30)
    if not shown or shown == name:
        return name
    return f"{shown} {language(tenant.locale).phrase('via')} {name}"


def stamp(slug: str, kind: MailKind) -> str:
    """Return the value of ``X-Servelo-Stamp``."""
    return f"{re.sub(r'[^a-z0-9-]', '', slug) or '-'}/{kind.value}"


def reply_marker(locale: str) -> str:
    """Return the line above which people are asked to answer. Nothing below it is new text."""
    return f"##- {language(locale).phrase('marker')} -##"


def _checked(addr_spec: str, code: str) -> str:
    try:
        return envelope_address(addr_spec)
    except InvalidInput as error:
        raise DeliveryFailed(error.detail, code=code) from None


def _reply_to(job: OutboundJob, mail_domain: str) -> str:
    """Return the checked Reply-To, ``""`` for none. A forward never answers to our own domain (H7)."""
    if not job.reply_to:
        return ""
    try:
        reply_to = envelope_address(job.reply_to)
    except InvalidInput:
        return ""
    domain = reply_to.rpartition("@")[2].lower()
    ours = domain == mail_domain.lower() or domain.endswith("." + mail_domain.lower())
    if job.kind is MailKind.OPERATOR_FORWARD and ours:
        return ""
    return reply_to


def _date(moment: datetime) -> str:
    """RFC 5322 3.3, in English whatever the locale of the process."""
    utc = moment.astimezone(UTC)
    return f"{_WEEKDAYS[utc.weekday()]}, {utc.day:02d} {_MONTHS[utc.month - 1]} {utc:%Y %H:%M:%S} +0000"


def _tagged(subject: str, number: str) -> str:
    return thread.with_tag(subject, int(number)) if number.isdecimal() else subject


def _line(content: Mapping[str, object], key: str) -> str:
    value = content.get(key)
    if value is None or isinstance(value, bool):
        return ""
    # Numbers come back from DynamoDB as Decimal; str() of a whole one has no point.
    return one_line(str(value))


def _text(content: Mapping[str, object], key: str) -> str:
    value = content.get(key)
    return mime_writer.plain_text(value).strip("\n") if isinstance(value, str) else ""


def _link(value: object) -> str:
    return value if isinstance(value, str) and _LINK.fullmatch(value) else ""


def _strings(content: Mapping[str, object], key: str) -> list[object]:
    value = content.get(key)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else []


def _files(
    content: Mapping[str, object], file_names: Sequence[str], file_sizes: Sequence[int]
) -> list[dict[str, str]]:
    names: Sequence[object] = _strings(content, "files") or file_names
    sizes: Sequence[object] = _strings(content, "file_sizes") if content.get("files") else file_sizes
    links = _strings(content, "file_links")
    return [
        {
            "name": mime_writer.plain_filename(str(name)),
            "size": _size(sizes[index]) if index < len(sizes) else "",
            "link": _link(links[index]) if index < len(links) else "",
        }
        for index, name in enumerate(names[:100])
    ]


def _size(size_bytes: object) -> str:
    try:
        octets = int(str(size_bytes))
    except ValueError:
        return ""
    if octets < 1000:
        return f"{octets} B"
    if octets < 999_500:
        return f"{octets / 1000:.0f} kB"
    return f"{octets / 1_000_000:.1f} MB"


def _render(
    kind: MailKind,
    tenant: Tenant | None,
    content: Mapping[str, object],
    *,
    file_names: Sequence[str],
    file_sizes: Sequence[int],
    recipient_name: str,
    marked: bool,
    answerable: bool,
    mail_attached: bool,
) -> tuple[str, str]:
    """Return the text and the HTML of one mail."""
    spoken = language(tenant.locale if tenant else "")
    colour = tenant.colour if tenant and _COLOUR.fullmatch(tenant.colour) else DEFAULT_COLOUR
    # Text of a mail that proved nothing is not sent on to the address that it names.
    silent = kind is MailKind.CONFIRMATION and content.get("echo") is not True
    text = "" if silent else _text(content, "text")
    cut = len(text) > MAX_TEXT_CHARACTERS
    logo = _link(tenant.logo_url) if tenant else ""
    number = _line(content, "number")
    values: dict[str, object] = {
        "p": spoken.phrase,
        "colon": spoken.colon,
        "lang": spoken.locale,
        "tenant": one_line(tenant.name) if tenant else OPERATOR_NAME,
        "logo_url": logo if logo.lower().startswith("https:") else "",
        "colour": colour,
        "on_colour": _readable_on(colour),
        "footer": mime_writer.plain_text(tenant.footer).strip("\n") if tenant else "",
        "recipient_name": mime_writer.plain_name(recipient_name),
        "marker": reply_marker(spoken.locale) if marked else "",
        "answerable": answerable,
        "mail_attached": mail_attached,
        "number": number,
        "tag": f"#{number}",
        "subject": "" if silent else _line(content, "subject"),
        "text": text[:MAX_TEXT_CHARACTERS],
        "echo": not silent,
        "event": _line(content, "event"),
        "client": _who(_line(content, "client_name"), _line(content, "client_email")),
        "author": _line(content, "author_name"),
        "truncated": cut or content.get("truncated") is True,
        "unverified": content.get("unverified") is True,
        "who_sees": _line(content, "who_sees"),
        "files": _files(content, file_names, file_sizes),
        "portal_link": _link(content.get("portal_link")),
        "link": _link(content.get("link")),
        "amount": _amount(spoken, content),
        "due_date": spoken.date_text(_line(content, "due_date")),
        "requested_by": _line(content, "requested_by"),
        "expires": spoken.date_text(_line(content, "expires")),
        "inviter": _line(content, "inviter_name"),
        "role": spoken.phrase("role_admin" if content.get("role") == "admin" else "role_technician"),
        "email": _line(content, "email"),
        "reason": spoken.phrase(EXPLANATIONS.get(_line(content, "reason"), "explanation_general")),
        "address": _line(content, "address"),
        "from_": _line(content, "from"),
        "to": _line(content, "to"),
    }
    templates = environment()
    html = templates.get_template(f"{kind.value}.html.j2").render(values)
    words = values["text"]
    place = _TEXT_PLACE if words else ""
    draft = templates.get_template(f"{kind.value}.txt.j2").render(values, text=place)
    plain = _BLANK_LINES.sub("\n\n", draft).strip("\n")
    return plain.replace(_TEXT_PLACE, str(words)) + "\n", html


def _who(name: str, email: str) -> str:
    if not email:
        return name
    return f"{name} <{email}>" if name and name != email else email


def _amount(spoken: Language, content: Mapping[str, object]) -> str:
    value = content.get("amount")
    if value is None or isinstance(value, bool):
        return ""
    return f"{one_line(spoken.amount(value))} {_line(content, 'currency')}".strip()


def _readable_on(colour: str) -> str:
    """Return black or white, whichever reads better on *colour* (WCAG 2.1 relative luminance)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * each for each in colour[1:])
    channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#ffffff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 else "#000000"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Make the template environment once; Jinja2 keeps compiled templates in it.

    Jinja2 is imported here because the api and router functions build no mails.
    """
    from pathlib import Path

    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    from servelo.mail.template_cache import FOLDER, TemplateCache

    folder = Path(__file__).with_name("templates")
    if not folder.is_dir():
        raise ConfigurationError("the mail templates are missing from the layer")
    made = Environment(
        loader=FileSystemLoader(folder),
        bytecode_cache=TemplateCache(folder / FOLDER),
        # A text part must not show &amp; where the HTML part does.
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        undefined=StrictUndefined,
    )
    made.filters["paragraphs"] = _paragraphs
    return made


def _paragraphs(text: str) -> str:
    """Return plain text as escaped HTML: blank lines part paragraphs, leading spaces are kept."""
    from markupsafe import Markup, escape

    out: list[str] = []
    for block in re.split(r"\n(?:[ \t]*\n)+", text):
        lines = []
        for line in block.split("\n"):
            bare = line.expandtabs(4).lstrip(" ")
            indent = len(line.expandtabs(4)) - len(bare)
            lines.append("&nbsp;" * min(indent, 40) + str(escape(bare.rstrip())))
        out.append(
            '<p dir="auto" style="margin:0 0 14px 0;word-break:break-word;overflow-wrap:anywhere">'
            + "<br>\n".join(lines)
            + "</p>\n"
        )
    return Markup("".join(out))  # noqa: S704 - every line was escaped above


_SAMPLE_TEXT = "The printer on the second floor shows E-42 since this morning.\n\nCould somebody have a look?"
_SAMPLES: Mapping[MailKind, Mapping[str, object]] = {
    MailKind.CONFIRMATION: {
        "number": 123,
        "subject": "Printer on the second floor",
        "echo": True,
        "text": _SAMPLE_TEXT,
        "portal_link": "https://example.com/t/123",
    },
    MailKind.NOTIFICATION: {
        "number": 123,
        "subject": "Printer on the second floor",
        "client_name": "Ada Lovelace",
        "client_email": "ada@example.org",
        "text": _SAMPLE_TEXT,
        "files": ["photo.jpg"],
        "file_sizes": [284_000],
        "who_sees": "Ada Lovelace <ada@example.org>",
        "portal_link": "https://example.com/t/123",
    },
    MailKind.TICKET_UPDATE: {
        "number": 123,
        "subject": "Printer on the second floor",
        "author_name": "Grace Hopper",
        "text": "We found the moth and removed it.\n\nPlease try again.",
        "portal_link": "https://example.com/t/123",
    },
    MailKind.INVOICE: {
        "number": "2026-0042",
        "amount": 1250,
        "currency": "EUR",
        "due_date": "2026-12-01",
        "link": "https://example.com/invoice",
    },
    MailKind.QUOTE: {
        "number": "Q-17",
        "amount": 480.5,
        "currency": "EUR",
        "due_date": "2026-12-01",
        "link": "https://example.com/quote",
    },
    MailKind.MESSAGE: {"text": "Our office is closed on Friday.", "link": "https://example.com/news"},
    MailKind.TEST: {"requested_by": "Grace Hopper"},
    MailKind.MAGIC_LINK: {"link": "https://example.com/m#t", "expires": "2026-12-01T14:05:00+00:00"},
    MailKind.INVITATION: {
        "link": "https://example.com/join",
        "inviter_name": "Grace Hopper",
        "role": "technician",
        "email": "ada@example.org",
    },
    MailKind.EXPLANATION: {"reason": "token_invalid", "address": "reply@example.org"},
    MailKind.OPERATOR_FORWARD: {
        "from": "Ada Lovelace <ada@example.org>",
        "to": "support@example.org",
        "subject": "A question",
    },
}
