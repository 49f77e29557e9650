"""Tenant: a small business with its name, colours, people and the account its mail goes out from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from servelo.domain.ids import identity as identity_of
from servelo.records import dataclass, field, replace

MAX_NOTIFIED = 15


class Role(StrEnum):
    """What a signed-in person is. ``operator`` belongs to no tenant."""

    ADMIN = "admin"
    TECHNICIAN = "technician"
    OPERATOR = "operator"


class BreakerState(StrEnum):
    """Whether the tenant's own SMTP account is used. ``open``: mail takes the shared address meanwhile."""

    CLOSED = "closed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Member:
    """One of the tenant's team. ``email`` as written; ``identity`` is what it is compared by."""

    email: str
    name: str
    role: Role
    notify: bool = True


@dataclass(frozen=True, slots=True)
class SmtpAccount:
    """The tenant's own SMTP account. The password is only ever held encrypted (KMS, tenant as context).

    Attributes:
        encrypted_password: KMS ciphertext, base64.
        tested_at: when Send Test last succeeded with exactly these values.
        breaker: see BreakerState; ``breaker_reason`` is the code of the error that opened it.
        breaker_probe_at: when the next mail may try the account again.
    """

    host: str
    port: int
    username: str
    encrypted_password: str = field(repr=False)
    from_email: str = ""
    from_name: str = ""
    provider: str = "custom"
    tested_at: datetime | None = None
    breaker: BreakerState = BreakerState.CLOSED
    breaker_reason: str = ""
    breaker_probe_at: datetime | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant's settings.

    Attributes:
        notify_email: the seed's "Portal Notify Email"; where set, notifications go there and nowhere else.
        members: the whole team, so that one read answers who may speak and who is told (at most 200).
        undeliverable: identities of notified addresses that bounced for good, and the epoch second until
            which they get no automatic mail; 0 means until an admin lifts it.
        mail_version: counted up with every change of how mail goes out; a job carries the version it was
            queued under, and a sender that holds an older copy of the tenant reads it again.
        reopen_days: a reply to a ticket closed longer ago opens a new, linked ticket.
        schema: version of the stored item.
    """

    slug: str
    name: str
    created_at: datetime
    suspended: bool = False
    notify_email: str = ""
    logo_url: str = ""
    colour: str = "#2457d6"
    locale: str = "en"
    footer: str = ""
    reopen_days: int = 30
    customer_portal: bool = True
    new_tickets_in_portal: bool = True
    members: tuple[Member, ...] = ()
    undeliverable: Mapping[str, int] = field(default_factory=dict)
    smtp: SmtpAccount | None = None
    mail_version: int = 0
    version: int = 0
    schema: int = 1

    def member(self, identity: str) -> Member | None:
        """Return the team member whose address compares as *identity* (see ``ids.identity``)."""
        return next((m for m in self.members if identity_of(m.email) == identity), None)

    def is_undeliverable(self, identity: str, now: datetime) -> bool:
        """Tell whether a bounce of *identity*, a notified address, still counts at *now*."""
        until = self.undeliverable.get(identity)
        return until is not None and (until == 0 or now.timestamp() < until)

    def notified(self, now: datetime) -> tuple[Member, ...]:
        """Return who is told of new mail: the Portal Notify Email alone where set, else the admins.

        At most 15: all mails of an event are promised in one transaction of 100 items. Larger teams set a
        list's address as Portal Notify Email.
        """
        if self.notify_email:
            known = self.member(identity_of(self.notify_email))
            told: tuple[Member, ...] = (known or Member(self.notify_email, "", Role.TECHNICIAN),)
        else:
            admins = tuple(m for m in self.members if m.role is Role.ADMIN)
            told = tuple(m for m in admins if m.notify) or admins
        reached = (m for m in told if not self.is_undeliverable(identity_of(m.email), now))
        return tuple(reached)[:MAX_NOTIFIED]

    def with_smtp(self, smtp: SmtpAccount | None) -> Tenant:
        """Return the tenant with another way out for its mail."""
        return replace(self, smtp=smtp, mail_version=self.mail_version + 1)
