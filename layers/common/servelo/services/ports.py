"""What the services need from the world. Adapters implement these; tests bring small fakes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the present as an aware UTC datetime."""


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
