"""InboundMail: everything that is known of a mail once it has been read. Data only; ``inbound`` fills it.

Every string is safe to store and to show: valid Unicode without lone surrogates, header values without
CR, LF, NUL, U+2028 or U+2029. Message ids are stored without their angle brackets (RFC 5322 3.6.4).
"""

from __future__ import annotations

from datetime import datetime

from servelo.mail.address import Mailbox
from servelo.records import dataclass, field


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file that came with the mail, embedded messages and winmail.dat members included.

    Attributes:
        filename: cleaned for saving (no path, control or bidi characters, 1 to 150 characters).
        original_filename: as the sender wrote it, decoded; shown escaped, never used as a path.
        content_type: ``type/subtype`` as declared, lower case.
        sniffed_type: ``type/subtype`` told by the content's first bytes; ``""`` when it tells nothing.
        content: the decoded bytes.
        content_id: without angle brackets, ``""`` when it has none; the HTML refers to it as ``cid:…``.
        inline: shown within the text (Content-Disposition inline, or referred to by ``cid:``).
        dangerous: a type that runs when opened (executables, scripts, HTML, macros, disguised names).
    """

    filename: str
    original_filename: str
    content_type: str
    sniffed_type: str
    content: bytes = field(repr=False)
    content_id: str = ""
    inline: bool = False
    dangerous: bool = False

    @property
    def size_bytes(self) -> int:
        return len(self.content)


@dataclass(frozen=True, slots=True)
class ReplyBody:
    """A mail's text, parted. ``new_text`` is what the author wrote just now; the rest is one click away.

    Attributes:
        new_text: never empty when the mail has any text: with nothing above a quote, everything is kept.
        quoted_text: what was stripped as quotation, attribution line included; ``""`` when nothing was.
        signature: what was stripped as signature; ``""`` when nothing was.
    """

    new_text: str
    quoted_text: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class MachineMail:
    """Whether a program wrote the mail (RFC 3834), and what follows from it.

    Attributes:
        automatic: written by a program: recorded on its ticket, never answered, never reopens.
        withhold_answer: a person may have written it, but our own automatic answer is withheld
            (lists, no-reply senders, X-Auto-Response-Suppress, out-of-office subjects). True if automatic.
        signals: names of the signals that were seen, in the order of the table in ``automatic``.
    """

    automatic: bool = False
    withhold_answer: bool = False
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BouncedRecipient:
    """One recipient that a delivery status notification speaks of (RFC 3464).

    Attributes:
        recipient: addr-spec that failed: the one that the mail was last carried to.
        action: ``failed`` or ``delayed``; ``""`` when not known. Successful actions are left out.
        status: enhanced status code (RFC 3463) such as ``5.1.1``; ``""`` when not known.
        permanent: the class of the failure (RFC 3463 3.1): True: this mail will not be delivered and sending
            it again as it is will fail too; False: the server still tries, or it may work later; None: not
            known. A full mailbox can be either. Whether the address is to blame is told by *reason*.
        diagnostic: the remote server's words, one line, at most 500 characters, ``""`` when not given.
        reason: a name of the table in ``bounce_rules`` (``user-unknown``, ``mailbox-full``, …), ``""`` when
            nothing told.
        original_recipient: the addr-spec as the sender wrote it, when the report names another one than
            *recipient* (aliases, forwarding); ``""`` otherwise.
    """

    recipient: str
    action: str = "failed"
    status: str = ""
    permanent: bool | None = None
    diagnostic: str = ""
    reason: str = ""
    original_recipient: str = ""

    @property
    def address_is_dead(self) -> bool:
        """Whether the address itself is wrong for good, so that no other mail should go there either."""
        return self.permanent is True and self.reason in DEAD_ADDRESS_REASONS


DEAD_ADDRESS_REASONS = frozenset(("user-unknown", "host-unknown", "inactive", "moved", "no-mail-service"))


@dataclass(frozen=True, slots=True)
class Bounce:
    """A delivery status notification.

    Attributes:
        recipients: in the order of the report; empty means that the mail is not a bounce.
        original_message_ids: Message-IDs of the mail that bounced, without brackets, as found in the
            returned part; at most 10.
        original_reply_tos: addr-specs of its Reply-To, where our reply tokens stand; at most 10.
    """

    recipients: tuple[BouncedRecipient, ...] = ()
    original_message_ids: tuple[str, ...] = ()
    original_reply_tos: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.recipients)


@dataclass(frozen=True, slots=True)
class Complaint:
    """A report that a recipient called our mail spam (abuse feedback report, RFC 5965).

    Attributes:
        feedback_type: ``abuse``, ``fraud``, ``virus``, ``other``, ``not-spam``, ``auth-failure`` …; ``""``
            means that the mail is not a complaint. Only the first four are a person's complaint.
        recipients: addr-specs that complained, where the report or the returned part names them.
        original_message_ids, original_reply_tos: as in :class:`Bounce`.
    """

    feedback_type: str = ""
    recipients: tuple[str, ...] = ()
    original_message_ids: tuple[str, ...] = ()
    original_reply_tos: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.feedback_type)

    @property
    def by_a_person(self) -> bool:
        """Whether somebody called the mail spam; ``not-spam`` and ``auth-failure`` say something else."""
        return self.feedback_type in ("abuse", "fraud", "virus", "other")


@dataclass(frozen=True, slots=True)
class InboundMail:
    """A mail, read. Header values come from the header; the envelope is in the SES receipt, not here.

    Attributes:
        message_id: without brackets; where the mail has none it is derived from the raw bytes' SHA-256.
        in_reply_to, references: ids without brackets, in the order written, at most 100.
        from_: the author; None when From is missing or holds no address.
        author_name: display name of From, also where From holds no address (``MAILER-DAEMON``).
        author_unqualified: what From has in angle brackets where that is no address (``<moderator>``); it is
            shown and nothing else: there is no domain to send to.
        from_ambiguous: two From fields, two addresses, or readers would differ: never matched to
            anybody's rights.
        reply_to, to, cc: at most 100 mailboxes each.
        subject: decoded, one line, at most 998 characters.
        date: aware, or None when missing or unreadable.
        text: the whole readable text, ``\\n`` line ends (from the HTML where there is no text part).
        html: sanitised, safe in a sandboxed frame; ``""`` when the mail has none.
        body: ``text`` parted into new words, quote, signature.
        headers: the first 1,000 header fields, (lower-case name, decoded value), in order.
        warnings: one stable sentence for each thing that could not be read as it was meant.
    """

    message_id: str
    message_id_derived: bool = False
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    from_: Mailbox | None = None
    author_name: str = ""
    author_unqualified: str = ""
    from_ambiguous: bool = False
    reply_to: tuple[Mailbox, ...] = ()
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    subject: str = ""
    date: datetime | None = None
    text: str = ""
    html: str = ""
    body: ReplyBody = field(default_factory=lambda: ReplyBody(""))
    attachments: tuple[Attachment, ...] = ()
    machine: MachineMail = field(default_factory=MachineMail)
    bounce: Bounce = field(default_factory=Bounce)
    complaint: Complaint = field(default_factory=Complaint)
    headers: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    size_bytes: int = 0
