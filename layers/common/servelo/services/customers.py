"""Customers: their mailed links, and their own tickets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from servelo.domain import ids
from servelo.domain.client import Client
from servelo.domain.outbound import MailKind
from servelo.domain.tenant import Tenant
from servelo.domain.ticket import Comment, Participant, Ticket, TicketStatus
from servelo.errors import NotFound, TooMany, Unauthorized
from servelo.mail.address import identity
from servelo.mail.reply_token import KeyRing
from servelo.patterns import pattern
from servelo.records import dataclass, replace
from servelo.services.compose import Composer
from servelo.services.ports import Change, Clock
from servelo.services.post import Post
from servelo.services.sessions import Sessions
from servelo.services.tickets import Tickets, Uploads, seen_by, visible_to_customer

HOUR = 3600
LINKS_AN_HOUR = 3
UPLOADS_AN_HOUR = 100
# The pages of a customer below their tenant's own.
_PAGE = pattern(r"(?:/(?:new|tickets/[1-9][0-9]{0,12})?)?")


@dataclass(frozen=True, slots=True)
class Customers:
    """*store* is a ``DynamoStore``."""

    store: Any
    post: Post
    tickets_: Tickets
    sessions: Sessions
    ring: Callable[[], KeyRing]
    clock: Clock
    mail_domain: str

    def open_tenant(self, slug: str) -> Tenant:
        """Return the tenant, if customers may come in. Raises NotFound, alike for every reason."""
        tenant: Tenant | None = self.store.tenant(slug)
        if tenant is None or tenant.suspended or not tenant.customer_portal:
            raise NotFound("there is no such help desk")
        return tenant

    def request_link(self, slug: str, email: str, origin: str, url: str) -> None:
        """Mail a link to a client of the tenant, at most three an hour; anybody else gets nothing.

        *url* is where the link shall lead; it counts only as a page of this tenant's portal at *origin*.
        """
        try:
            tenant = self.open_tenant(slug)
        except NotFound:
            return
        who = identity(email)
        now = self.clock.now()
        # Counted whether the client exists or not: asking is all that a stranger can do.
        name = f"link#{_digest(who)}#{int(now.timestamp()) // HOUR}"
        within = self.store.count(slug, name, LINKS_AN_HOUR, HOUR, now)
        client: Client | None = self.store.client(slug, ids.client_id(slug, who))
        if client is None or client.blocked or not within:
            return
        token, expires_at = self.sessions.make_link(slug, client.id)
        home = f"{origin}/portal/{slug}"
        page = url.partition("#")[0]
        # Not by its beginning: browsers take ``/portal/acme/../globex`` for another tenant's page.
        if not (page.startswith(home) and _PAGE.fullmatch(page[len(home) :])):
            page = home
        composer = Composer(self.mail_domain, origin, self.ring())
        job = composer.plain(
            tenant,
            slug,
            MailKind.MAGIC_LINK,
            Participant(client.email, client.name),
            {"link": f"{page}#token={token}", "expires": expires_at.isoformat()},
            subject=_subject(MailKind.MAGIC_LINK, tenant),
            cause=f"link#{token}",
            now=now,
            automatic=True,
        )
        self.post.commit(Change(slug=slug, jobs=(job,)))

    def verify_link(self, token: str, slug: str = "") -> tuple[str, Any, Client, Tenant]:
        """Return (session, its end of life, client, tenant) for a link's token.

        Raises:
            Unauthorized: ``link_over``: not ours, of another tenant than *slug*, or the client is gone.
        """
        session, expires_at, claims = self.sessions.open_link(token)
        over = Unauthorized("this link is over; ask for a new one", code="link_over")
        if slug and claims["slug"] != slug:
            raise over
        try:
            tenant = self.open_tenant(claims["slug"])
        except NotFound:
            raise over from None
        client: Client | None = self.store.client(tenant.slug, claims["client"])
        if client is None or client.blocked:
            raise over
        return session, expires_at, client, tenant

    def tickets(self, slug: str, client: Participant, limit: int, after: str) -> tuple[list[Ticket], str]:
        """Return a page of the tickets that the customer asked for or follows."""
        who = identity(client.email)
        found, cursor = self.store.tickets_of_client(slug, ids.client_id(slug, who), limit, after)
        return [t for t in found if _mine(t, who) and t.status is not TicketStatus.MERGED], cursor

    def ticket(self, slug: str, client: Participant, number: int) -> Ticket:
        """Return one of the customer's tickets; of a merged one, the ticket that it goes on in.

        Raises:
            NotFound: no such ticket, or not theirs.
        """
        who = identity(client.email)
        ticket: Ticket | None = self.store.ticket(slug, number)
        if ticket is not None and ticket.status is TicketStatus.MERGED and _mine(ticket, who):
            ticket = self.store.ticket(slug, ticket.merged_into)
        if ticket is None or not _mine(ticket, who):
            raise NotFound("there is no such ticket")
        return ticket

    def conversation(
        self, slug: str, client: Participant, number: int, limit: int, after: str
    ) -> tuple[Ticket, list[Comment], str, tuple[str, ...]]:
        """Return (ticket, comments, cursor, who sees an answer); never internal or others' held words."""
        ticket = self.ticket(slug, client, number)
        comments, cursor = self.store.conversation(slug, ticket.number, limit, after)
        who = identity(client.email)
        people = tuple(p for p in ticket.participants if identity(p.email) != who)
        others = seen_by(replace(ticket, participants=people))
        return ticket, [c for c in comments if visible_to_customer(c, who)], cursor, others

    def comment(
        self,
        tenant: Tenant,
        client: Participant,
        number: int,
        *,
        text: str,
        uploads: Uploads,
        close: bool,
        origin: str,
    ) -> Comment:
        """Answer on one of the customer's tickets. Raises NotFound, Conflict."""
        ticket = self.ticket(tenant.slug, client, number)
        comment, _ = self.tickets_.comment_by_client(
            tenant, client, ticket.number, text=text, uploads=uploads, close=close, origin=origin
        )
        return comment

    def attachment(self, slug: str, client: Participant, number: int, attachment_id: str) -> dict[str, Any]:
        """Return where a file of one of the customer's tickets may be fetched. Raises NotFound."""
        ticket = self.ticket(slug, client, number)
        return self.tickets_.attachment(
            slug, ticket.number, attachment_id, public_only=True, mine=identity(client.email)
        )

    def count_upload(self, slug: str, client_id: str) -> None:
        """Count an upload. Raises TooMany above a hundred an hour."""
        now = self.clock.now()
        name = f"upload#{client_id}#{int(now.timestamp()) // HOUR}"
        if not self.store.count(slug, name, UPLOADS_AN_HOUR, HOUR, now):
            raise TooMany("too many files in one hour; try again later")


def _subject(kind: MailKind, tenant: Tenant) -> str:
    from servelo.mail import outbound

    return outbound.subject_for(kind, tenant, {})


def _mine(ticket: Ticket, who: str) -> bool:
    return any(identity(p.email) == who for p in ticket.participants)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]
