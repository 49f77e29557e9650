"""OutboundJob: one mail to one recipient, promised in the same transaction that made it necessary.

States, and who moves them:

    queued ─▶ sending ─▶ accepted ─▶ delivered | bounced | complained     (SES events, DSNs)
                 │  └──▶ deferred ─▶ …    (4yz, time-out, throttling)
                 ├─────▶ unknown          (handed over, no answer: not resent by itself)
                 └─────▶ failed | suppressed    (final)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from servelo.domain.ticket import StoredFile
from servelo.records import dataclass, field


class MailKind(StrEnum):
    """What a mail is for; each has its template. All go the same way out."""

    CONFIRMATION = "confirmation"
    NOTIFICATION = "notification"
    TICKET_UPDATE = "ticket_update"
    INVOICE = "invoice"
    QUOTE = "quote"
    MESSAGE = "message"
    TEST = "test"
    MAGIC_LINK = "magic_link"
    INVITATION = "invitation"
    EXPLANATION = "explanation"
    OPERATOR_FORWARD = "operator_forward"


class DeliveryState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    UNKNOWN = "unknown"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    SUPPRESSED = "suppressed"
    FAILED = "failed"


# A later report never takes a mail back to a lower state.
RANK = {
    DeliveryState.QUEUED: 0,
    DeliveryState.SENDING: 0,
    DeliveryState.DEFERRED: 0,
    DeliveryState.UNKNOWN: 1,
    DeliveryState.ACCEPTED: 2,
    DeliveryState.DELIVERED: 3,
    DeliveryState.FAILED: 4,
    DeliveryState.SUPPRESSED: 4,
    DeliveryState.BOUNCED: 5,
    DeliveryState.COMPLAINED: 6,
}
# Where somebody must look: the operator's list of failed mails.
FAILED_STATES = frozenset({DeliveryState.FAILED, DeliveryState.BOUNCED, DeliveryState.UNKNOWN})
WAITING_STATES = frozenset({DeliveryState.QUEUED, DeliveryState.DEFERRED, DeliveryState.SENDING})


@dataclass(frozen=True, slots=True)
class OutboundJob:
    """One mail to one recipient, with everything that its template needs.

    Attributes:
        id: sortable id; the SQS message body is ``{slug}/{id}``.
        slug: the tenant; ``-`` for the operator's own mail (forwards of support@).
        recipient: checked addr-spec; ``recipient_name`` may be empty.
        from_name: display name of From (``Person via Tenant``), no controls, at most 64 characters.
        reply_to: full address with the token, ``""`` for none.
        message_id: our own stable id, without brackets.
        content: the template's variables: strings, numbers, booleans and lists of them.
        files: attachments that travel with the mail, from the file bucket.
        raw_key: raw mail attached as message/rfc822 (operator forwards).
        automatic: carries ``Auto-Submitted`` and ``X-Auto-Response-Suppress`` (no person wrote it now).
        mail_version: the tenant's ``mail_version`` when it was queued.
        due_at: when the sweep may queue it again.
        claimed_until: a sender that died leaves this behind; after it, the state is ``unknown``.
        claimed_by: one attempt's own id, by which it knows its claim when the answer to it was lost.
        error_code, error_detail: last outcome in stable code and the server's own words (scrubbed).
        remote_message_id: what SES gave it, with its domain; an alias in threading.
        shared_address: it went (or will go) through the shared address although the tenant has SMTP.
    """

    id: str
    slug: str
    kind: MailKind
    recipient: str
    subject: str
    message_id: str
    created_at: datetime
    due_at: datetime
    recipient_name: str = ""
    from_name: str = ""
    reply_to: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    content: Mapping[str, object] = field(default_factory=dict)
    files: tuple[StoredFile, ...] = ()
    raw_key: str = ""
    automatic: bool = False
    ticket_number: int = 0
    comment_id: str = ""
    mail_version: int = 0
    state: DeliveryState = DeliveryState.QUEUED
    attempts: int = 0
    claimed_until: datetime | None = None
    claimed_by: str = ""
    error_code: str = ""
    error_detail: str = ""
    remote_message_id: str = ""
    transport: str = ""
    shared_address: bool = False
    accepted_at: datetime | None = None
    version: int = 0
    schema: int = 1
