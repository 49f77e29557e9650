"""What the services need from the world. Adapters implement these; tests bring small fakes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from servelo.domain.client import Client
from servelo.domain.inbound_record import InboundRecord
from servelo.domain.outbound import OutboundJob
from servelo.domain.tenant import Tenant
from servelo.domain.ticket import Comment, Participant, Ticket, TicketStatus
from servelo.records import dataclass, field


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the present as an aware UTC datetime."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a router wants to know in one read. Empty values are not looked up.

    Attributes:
        slug: the tenant that the envelope or the token names.
        sender: identity of From.
        message_id: of this mail, to tell duplicates.
        reference_ids: ids from In-Reply-To and References, newest first, at most 50.
        ticket_number: from a token or a subject tag.
        delivery_id: of this delivery's record.
        caps: names of the counters that an automatic answer would use.
    """

    slug: str
    sender: str = ""
    message_id: str = ""
    reference_ids: tuple[str, ...] = ()
    ticket_number: int = 0
    delivery_id: str = ""
    caps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A message id that belongs to a ticket. ``sender`` is the author's identity for received mail."""

    number: int
    received: bool
    sender: str = ""
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """The answers to ``Asked``, in one read. What is missing was not found.

    Attributes:
        references: by the id asked for.
        caps: how much of each counter is used.
        suppressed: the sender's address is on the suppression list.
    """

    tenant: Tenant | None = None
    client: Client | None = None
    ticket: Ticket | None = None
    record: InboundRecord | None = None
    own_message: KnownMessage | None = None
    references: Mapping[str, KnownMessage] = field(default_factory=dict)
    caps: Mapping[str, int] = field(default_factory=dict)
    suppressed: bool = False


@dataclass(frozen=True, slots=True)
class Cap:
    """An atomic counter: ``name`` includes its window, ``limit`` is the most it may reach, ``amount`` what
    this event adds to it."""

    name: str
    limit: int
    window_seconds: int
    amount: int = 1


@dataclass(frozen=True, slots=True)
class TicketPatch:
    """What a comment changes on its ticket; None leaves a field as it is.

    ``comments`` and ``waiting`` are added to what is there.
    """

    slug: str
    number: int
    updated_at: datetime | None
    status: TicketStatus | None = None
    unread: bool | None = None
    comments: int = 0
    waiting: int = 0
    participants: tuple[Participant, ...] | None = None
    message_ids: tuple[str, ...] | None = None
    folded_key_ids: tuple[int, ...] | None = None
    preview: str | None = None
    assignee: str | None = None


@dataclass(frozen=True, slots=True)
class FoldedToken:
    """A look-up item: the folded form of a token and what the token says."""

    folded: str
    slug: str
    number: int
    client_id: str
    role: int
    key_id: int


# What ``once_begin`` returns for a request that was carried out and broke off before it could answer.
ANSWER_LOST = "answer lost"


@dataclass(frozen=True, slots=True)
class OnceClaim:
    """A request with an Idempotency-Key that runs: where it is noted, and since when."""

    slug: str
    key: str
    begun_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """Everything that one event makes true, written in one transaction or not at all.

    At most 100 items. ``client`` is created only if it is not there yet or, with ``seen_client``, written
    over the version that was read; ``record`` only if the delivery was not recorded, or, with
    ``replaces_record``, if it is still the record that was read. ``released`` is a comment that waited for
    acceptance: it takes the author role and visibility given here, once. ``patch`` only while the ticket has
    ``seen_status``, and new participants only while its ``people_version`` is ``seen_people``. ``once`` marks
    the request that this belongs to as carried out, and holds only while the request has its claim.
    """

    slug: str
    ticket: Ticket | None = None
    patch: TicketPatch | None = None
    comments: tuple[Comment, ...] = ()
    client: Client | None = None
    seen_client: int | None = None
    record: InboundRecord | None = None
    replaces_record: InboundRecord | None = None
    own_message_id: str = ""
    sender: str = ""
    jobs: tuple[OutboundJob, ...] = ()
    folded: tuple[FoldedToken, ...] = ()
    caps: tuple[Cap, ...] = ()
    seen_status: TicketStatus | None = None
    seen_people: int | None = None
    released: Comment | None = None
    once: OnceClaim | None = None


class ChangeRefused(Exception):
    """A condition of a transaction did not hold, and nothing was written. ``parts`` names which:
    ``record`` (the delivery is recorded already), ``message`` (the message id is known), ``client`` (exists
    already, or was changed), ``cap:NAME`` (budget used up), ``ticket`` (number taken, ticket gone or
    changed), ``released`` (accepted already), ``job``."""

    def __init__(self, parts: Sequence[str]) -> None:
        super().__init__(", ".join(parts))
        self.parts = frozenset(parts)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A mail server took responsibility for the mail.

    Attributes:
        remote_message_id: the id it gave the mail, without brackets, ``""`` when it keeps ours.
        server_words: its final answer, one line, scrubbed.
    """

    remote_message_id: str = ""
    server_words: str = ""


class MailTransport(Protocol):
    """A way out. One call is one mail to one recipient.

    ``send`` raises DeliveryDeferred (nothing accepted, try later), DeliveryFailed (final for this
    recipient), DeliveryUnknown (the data was handed over and the answer never came) or AccountRefused
    (the tenant's account or server is broken: breaker).
    """

    name: str

    def send(
        self, message: bytes, *, envelope_sender: str, recipient: str, tags: Mapping[str, str]
    ) -> Accepted: ...


class RawMailStore(Protocol):
    """Raw mails as SES wrote them. Object keys come from the receipt and are never built."""

    def get(self, object_key: str) -> bytes:
        """Return the raw mail. Raises NotFound, StoreUnavailable."""


class FileStore(Protocol):
    """Attachments, once per content and tenant."""

    def put(self, object_key: str, content: bytes, *, content_type: str) -> None:
        """Store *content* unless the key is there already. Raises StoreUnavailable."""

    def get(self, object_key: str) -> bytes:
        """Return the content. Raises NotFound, StoreUnavailable."""

    def download_url(self, object_key: str, *, filename: str, content_type: str, expires_seconds: int) -> str:
        """Return a presigned GET URL that answers with Content-Disposition attachment."""


class JobQueue(Protocol):
    """The outbound queue. A job on it is ``{slug}/{outbox id}``; the outbox item is the promise."""

    def put(self, jobs: Sequence[tuple[str, str]], *, delay_seconds: int = 0) -> None:
        """Queue (slug, outbox id) pairs, ten a request, slug as message group. Raises StoreUnavailable."""


class PasswordVault(Protocol):
    """Tenants' SMTP passwords, under KMS with the tenant as encryption context."""

    def encrypt(self, slug: str, password: str) -> str: ...

    def decrypt(self, slug: str, ciphertext: str) -> str: ...


class IdentityProvider(Protocol):
    """Sign-ins of team and operator (Cognito)."""

    def create_user(self, *, email: str, slug: str, role: str, password: str | None) -> None: ...

    def delete_user(self, email: str) -> None: ...


def chunked(items: Sequence[object], size: int) -> Iterable[Sequence[object]]:
    """Yield *items* in runs of at most *size*."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
