"""Clients: adding, changing and blocking the people who write in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servelo.domain import ids
from servelo.domain.client import Client
from servelo.domain.ticket import Ticket
from servelo.errors import Conflict, NotFound
from servelo.mail.address import identity
from servelo.records import dataclass, replace
from servelo.services.ports import Clock


@dataclass(frozen=True, slots=True)
class Clients:
    """*store* is a ``DynamoStore``."""

    store: Any
    clock: Clock

    def page(self, slug: str, *, blocked: bool, limit: int, after: str) -> tuple[list[Client], str]:
        """Return a page of clients by address, all or the blocked ones."""
        found: tuple[list[Client], str] = (
            self.store.blocked_clients(slug, limit, after)
            if blocked
            else self.store.clients(slug, limit, after)
        )
        return found

    def get(self, slug: str, client_id: str) -> Client:
        """Return a client. Raises NotFound."""
        client: Client | None = self.store.client(slug, client_id)
        if client is None:
            raise NotFound("there is no such client")
        return client

    def add(self, slug: str, values: Mapping[str, Any]) -> Client:
        """Add a client from ``email``, ``name``, ``notes``, ``blocked``. Raises Conflict."""
        client = Client(
            ids.client_id(slug, identity(values["email"])),
            slug,
            values["email"],
            values.get("name", ""),
            self.clock.now(),
            blocked=values.get("blocked", False),
            notes=values.get("notes", ""),
            proven=True,
        )
        added: Client = self.store.put_client(client, create=True)
        return added

    def change(self, slug: str, client_id: str, changes: Mapping[str, Any], version: int | None) -> Client:
        """Change ``name``, ``notes`` or ``blocked``. Raises NotFound, Conflict (edited since *version*)."""
        client = self.get(slug, client_id)
        if version is not None and version != client.version:
            raise Conflict("the client was changed meanwhile; load it again")
        if not changes:
            return client
        proven = client.proven or "name" in changes
        changed: Client = self.store.put_client(replace(client, **{"proven": proven, **changes}))
        return changed

    def tickets(self, slug: str, client_id: str, *, limit: int, after: str) -> tuple[list[Ticket], str]:
        """Return a page of the tickets that a client asked for or follows. Raises NotFound."""
        client = self.get(slug, client_id)
        found, cursor = self.store.tickets_of_client(slug, client_id, limit, after)
        return [t for t in found if _takes_part(t, identity(client.email))], cursor


def _takes_part(ticket: Ticket, who: str) -> bool:
    return any(identity(p.email) == who for p in ticket.participants)
