"""Ticket and what is said on it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from servelo.records import dataclass, field

# A transaction holds 100 items. Each follower of a mail may take four (the list of their tickets, their
# counter, their mail and its id), each of the 16 who are told two, the mail itself and its counters twelve.
MAX_FOLLOWERS = 14


class TicketStatus(StrEnum):
    """``spam``: SES called the mail spam; nobody was told. ``merged``: it goes on in another ticket."""

    OPEN = "open"
    PENDING = "pending"
    CLOSED = "closed"
    SPAM = "spam"
    MERGED = "merged"


class AuthorRole(StrEnum):
    """Who speaks: the requester or a participant, the team, somebody unproven, or the system itself."""

    CLIENT = "client"
    TEAM = "team"
    UNVERIFIED = "unverified"
    SYSTEM = "system"


class Visibility(StrEnum):
    """Who may see a comment. ``held``: kept from the other side until a team member accepts it."""

    PUBLIC = "public"
    INTERNAL = "internal"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Participant:
    """A person on the ticket besides the team. The requester is the first of them.

    Attributes:
        undeliverable: a bounce or complaint named this address; automatic mail is withheld.
    """

    email: str
    name: str = ""
    undeliverable: bool = False


@dataclass(frozen=True, slots=True)
class Ticket:
    """One conversation of one tenant. ``number`` is its id within the tenant.

    Attributes:
        client_id: the requester (``client.Client``).
        participants: requester first, then at most 14 followers (people in Cc).
        message_ids: newest last, at most 50: what our own mails refer to.
        folded_key_ids: keys whose folded tokens have a look-up item already.
        linked_number: the older ticket that this one goes on from, 0 for none.
        version: counted up by every edit of a person; the condition of every edit.
        waiting: how many of its comments wait for acceptance.
        people_version: counted up with every change of the participants, so that two mails which add people
            at once both do.
    """

    slug: str
    number: int
    subject: str
    client_id: str
    participants: tuple[Participant, ...]
    status: TicketStatus
    created_at: datetime
    updated_at: datetime
    assignee: str = ""
    closed_at: datetime | None = None
    comment_count: int = 0
    unread: bool = True
    message_ids: tuple[str, ...] = ()
    folded_key_ids: tuple[int, ...] = ()
    linked_number: int = 0
    merged_into: int = 0
    preview: str = ""
    waiting: int = 0
    version: int = 0
    people_version: int = 0
    schema: int = 1

    @property
    def requester(self) -> Participant:
        return self.participants[0]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An attachment as it lies in the file bucket, once per content and tenant.

    Attributes:
        object_key: ``{slug}/{sha256}``.
        content_type: as sniffed where the content told, else as declared; never trusted when served.
    """

    id: str
    object_key: str
    filename: str
    content_type: str
    size_bytes: int
    content_id: str = ""
    inline: bool = False
    dangerous: bool = False


@dataclass(frozen=True, slots=True)
class Comment:
    """One thing that was said on a ticket, by mail or in the portal.

    Attributes:
        id: sortable; the order of the conversation.
        text: the new words. ``quoted_text`` and ``signature`` are what was stripped, one click away.
        html: the whole mail's HTML, sanitised; ``""`` for what was written in the portal.
        raw_key: object key of the raw mail, ``""`` when there is none.
        message_id: of the mail that brought it, without brackets.
        needs_accept: an unverified comment that waits for one click of the team.
        job_ids: the mails that it made necessary; the store fills them in with the transaction.
    """

    slug: str
    number: int
    id: str
    author_role: AuthorRole
    author_email: str
    author_name: str
    visibility: Visibility
    text: str
    created_at: datetime
    html: str = ""
    quoted_text: str = ""
    signature: str = ""
    full_text: str = ""
    files: tuple[StoredFile, ...] = ()
    raw_key: str = ""
    message_id: str = ""
    inbound_id: str = ""
    warnings: tuple[str, ...] = field(default_factory=tuple)
    needs_accept: bool = False
    automatic: bool = False
    job_ids: tuple[str, ...] = ()
    schema: int = 1
