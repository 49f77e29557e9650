"""InboundRecord: one delivery of one mail to one of our addresses, what came of it, and why.

Every delivery leaves one, also when nothing came of it. The outcome codes are a closed list; each has a
remedy, which ``docs/outcomes.md`` and the portal show.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from servelo.records import dataclass, field


class Outcome(StrEnum):
    """What came of a delivery. The value is stable: records, API, logs and metrics carry it."""

    TICKET_CREATED = "ticket_created"
    TICKET_FORWARDED_BY_MEMBER = "ticket_forwarded_by_member"
    TICKET_SPAM = "ticket_spam"
    COMMENT_CLIENT = "comment_client"
    COMMENT_TEAM = "comment_team"
    COMMENT_HELD = "comment_held"
    NOTE_UNVERIFIED = "note_unverified"
    MACHINE_RECORDED = "machine_recorded"
    BOUNCE_RECORDED = "bounce_recorded"
    BOUNCE_UNMATCHED = "bounce_unmatched"
    OPERATOR_FORWARDED = "operator_forwarded"
    OPERATOR_STOPPED = "operator_stopped"
    OPERATOR_WAITING = "operator_waiting"
    DUPLICATE = "duplicate"
    LOOP = "loop"
    UNKNOWN_SLUG = "unknown_slug"
    NO_MAILBOX = "no_mailbox"
    TENANT_SUSPENDED = "tenant_suspended"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_KEY_UNKNOWN = "token_key_unknown"
    TOKEN_KEY_REVOKED = "token_key_revoked"
    TOKEN_FORGED = "token_forged"
    TOKEN_TICKET_GONE = "token_ticket_gone"
    TOKEN_TENANT_GONE = "token_tenant_gone"
    SENDER_BLOCKED = "sender_blocked"
    QUARANTINED_VIRUS = "quarantined_virus"
    RAW_MISSING = "raw_missing"


REMEDIES: dict[Outcome, str] = {
    Outcome.TICKET_CREATED: "Nothing to do.",
    Outcome.TICKET_FORWARDED_BY_MEMBER: "Check the requester on the ticket; correct it there with one click.",
    Outcome.TICKET_SPAM: "Open the ticket and choose Not spam to let the mail in as if it came now.",
    Outcome.COMMENT_CLIENT: "Nothing to do.",
    Outcome.COMMENT_TEAM: "Nothing to do.",
    Outcome.COMMENT_HELD: "Read the comment and choose Accept to publish it, or leave it held.",
    Outcome.NOTE_UNVERIFIED: "Write again from the address you are a member with, through your own mail "
    "server, or answer in the portal. The text was kept as an internal note.",
    Outcome.MACHINE_RECORDED: "Nothing to do: a program wrote it (vacation notice, list); nobody was told.",
    Outcome.BOUNCE_RECORDED: "Look at the mail that bounced and correct the address.",
    Outcome.BOUNCE_UNMATCHED: "Nothing to do: the report names no mail of ours.",
    Outcome.OPERATOR_FORWARDED: "Nothing to do.",
    Outcome.OPERATOR_STOPPED: "Read the raw mail if you expected it: SES called it spam or found a virus.",
    Outcome.OPERATOR_WAITING: "More mail came to the operator than is forwarded in one hour. Replay it to "
    "forward it.",
    Outcome.DUPLICATE: "Nothing to do: the same mail came before.",
    Outcome.LOOP: "Remove the forward rule that sends our own mail back to us.",
    Outcome.UNKNOWN_SLUG: "Create the tenant or correct the forward rule's address, then replay the mail.",
    Outcome.NO_MAILBOX: "Nobody reads that address. Write to the help desk's own address.",
    Outcome.TENANT_SUSPENDED: "Lift the suspension, then replay the mail.",
    Outcome.TOKEN_MALFORMED: "The reply address was cut on the way. Write to the help desk's address.",
    Outcome.TOKEN_KEY_UNKNOWN: "The address is another deployment's, or its key was taken off the ring.",
    Outcome.TOKEN_KEY_REVOKED: "The key was revoked. Write to the help desk's address to go on.",
    Outcome.TOKEN_FORGED: "The reply address was changed or forged. Write to the help desk's address.",
    Outcome.TOKEN_TICKET_GONE: "The ticket was erased. Write to the help desk's address to open a new one.",
    Outcome.TOKEN_TENANT_GONE: "The tenant was deleted.",
    Outcome.SENDER_BLOCKED: "Take the sender off the blocked list, then replay the mail.",
    Outcome.QUARANTINED_VIRUS: "Do not open the raw mail. Ask the sender for a clean copy.",
    Outcome.RAW_MISSING: "The raw mail is not in the bucket. Check its retention, then replay the mail.",
}

# A replay may decide these anew: nothing was made of the mail, so making something of it now is safe.
REPLAYABLE = frozenset(
    {
        Outcome.UNKNOWN_SLUG,
        Outcome.NO_MAILBOX,
        Outcome.TENANT_SUSPENDED,
        Outcome.TOKEN_KEY_UNKNOWN,
        Outcome.TOKEN_KEY_REVOKED,
        Outcome.TOKEN_FORGED,
        Outcome.TOKEN_MALFORMED,
        Outcome.TOKEN_TICKET_GONE,
        Outcome.TOKEN_TENANT_GONE,
        Outcome.SENDER_BLOCKED,
        Outcome.RAW_MISSING,
        Outcome.BOUNCE_UNMATCHED,
        Outcome.LOOP,
        Outcome.OPERATOR_WAITING,
    }
)


@dataclass(frozen=True, slots=True)
class Reason:
    """One question that was asked of the mail: its name, the input it looked at, and the answer."""

    question: str
    value: str
    answer: str


@dataclass(frozen=True, slots=True)
class InboundRecord:
    """One delivery.

    Attributes:
        id: sortable id derived from SES message id and envelope recipient: the same delivery, the same id.
        slug: the tenant, ``-`` when no tenant could be told.
        ses_message_id, object_key: where the raw mail lies.
        envelope_recipient: RCPT TO, from the receipt; the token of a reply address is cut.
        envelope_sender: MAIL FROM, from the receipt; SPF speaks of it.
        sender: From's addr-spec, ``""`` when there is none.
        reasons: in the order in which they were asked.
        ticket_number, comment_id: what it became, 0 and ``""`` when nothing.
        replays: how often it was decided anew.
    """

    id: str
    slug: str
    ses_message_id: str
    object_key: str
    envelope_recipient: str
    received_at: datetime
    outcome: Outcome
    sender: str = ""
    subject: str = ""
    message_id: str = ""
    size_bytes: int = 0
    verdicts: dict[str, str] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()
    ticket_number: int = 0
    comment_id: str = ""
    warnings: tuple[str, ...] = ()
    job_ids: tuple[str, ...] = ()
    replays: int = 0
    processed_at: datetime | None = None
    envelope_sender: str = ""
    schema: int = 1
