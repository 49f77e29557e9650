"""The services that the portal's handlers use, built once per process by ``bootstrap`` or a test."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from servelo.domain.inbound_record import REPLAYABLE, InboundRecord, Outcome
from servelo.domain.smtp import SmtpProbe
from servelo.errors import NotFound
from servelo.mail.reply_token import KeyRing
from servelo.records import dataclass
from servelo.services.clients import Clients
from servelo.services.customers import Customers
from servelo.services.emails import Emails
from servelo.services.files import Files
from servelo.services.invitations import Invitations
from servelo.services.members import Members
from servelo.services.passwords import Passwords
from servelo.services.ports import Clock, JobQueue, PasswordVault
from servelo.services.post import Post
from servelo.services.search import Search
from servelo.services.sessions import Sessions
from servelo.services.settings import TenantSettings
from servelo.services.sign_ins import SignIns
from servelo.services.tenants import Tenants
from servelo.services.tickets import Tickets

# Decides a delivery anew: (slug, record id, dry run) to what was decided.
Replay = Callable[[str, str, bool], Outcome]

# Lets a spam ticket's mail in: (slug, number) to whether it was in spam still.
Admit = Callable[[str, int], bool]


@dataclass(frozen=True, slots=True)
class Services:
    """What a handler may use. ``portal_url`` is ``""`` where the portal's origin is the request's own."""

    store: Any
    identity: Any
    sessions: Sessions
    sign_ins: SignIns
    files: Files
    tickets: Tickets
    clients: Clients
    customers: Customers
    settings: TenantSettings
    members: Members
    emails: Emails
    tenants: Tenants
    dead_letters: Any
    clock: Clock
    mail_domain: str
    shared_sender: str
    operator_inbox: str
    portal_url: str
    stage: str
    decide_again: Replay
    admit: Admit

    def inbound_record(self, slug: str, record_id: str) -> InboundRecord:
        """Return one delivery's record. Raises NotFound."""
        record: InboundRecord | None = self.store.inbound(slug, record_id)
        if record is None:
            raise NotFound("there is no such mail")
        return record

    def can_replay(self, record: InboundRecord) -> bool:
        """Tell whether *record* may be decided anew: nothing was made of the mail."""
        return record.outcome in REPLAYABLE

    def replay(self, record: InboundRecord, dry_run: bool) -> tuple[Outcome, int]:
        """Decide *record* anew and return (outcome, number of the ticket that it belongs to now, or 0)."""
        after = self.decide_again(record.slug, record.id, dry_run)
        # A mail for an unknown slug moves to the tenant that exists by now: its ticket is not the caller's.
        written: InboundRecord | None = self.store.inbound(record.slug, record.id)
        return after, written.ticket_number if written else 0


def build_services(
    *,
    store: Any,
    files: Any,
    raw_mails: Any,
    queue: JobQueue,
    ring: Callable[[], KeyRing],
    vault: PasswordVault,
    identity: Any,
    dead_letters: Any,
    probe: Callable[[], SmtpProbe],
    replay: Replay,
    admit: Admit,
    clock: Clock,
    mail_domain: str,
    shared_sender: str,
    operator_inbox: str = "",
    portal_url: str = "",
    stage: str = "dev",
    allow_loopback: bool = False,
) -> Services:
    """Return the services on these adapters; nothing is connected."""
    post = Post(store, queue)
    sessions = Sessions(ring, clock)
    stored = Files(files, raw_mails, clock)
    passwords = Passwords(store, clock)
    invitations = Invitations(post, sessions, passwords, ring, clock, mail_domain)
    tickets = Tickets(store, post, stored, Search(store), ring, clock, mail_domain)
    return Services(
        store=store,
        identity=identity,
        sessions=sessions,
        sign_ins=SignIns(store, identity, sessions, invitations, passwords, clock, claims_of),
        files=stored,
        tickets=tickets,
        clients=Clients(store, clock),
        customers=Customers(store, post, tickets, sessions, ring, clock, mail_domain),
        settings=TenantSettings(store, vault, probe, ring, clock, mail_domain, allow_loopback),
        members=Members(store, identity, clock, mail_domain, invitations),
        emails=Emails(store, post, stored, ring, clock, mail_domain),
        tenants=Tenants(
            store=store, identity=identity, clock=clock, mail_domain=mail_domain, invitations=invitations
        ),
        dead_letters=dead_letters,
        clock=clock,
        mail_domain=mail_domain,
        shared_sender=shared_sender,
        operator_inbox=operator_inbox,
        portal_url=portal_url,
        stage=stage,
        decide_again=replay,
        admit=admit,
    )


def claims_of(id_token: str) -> dict[str, Any]:
    """Return the claims of a token that Cognito handed us in this very request; nothing is verified."""
    payload = id_token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
