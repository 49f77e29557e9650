"""Client: a person who writes in to a tenant. Made from the sender's name and address of their first mail."""

from __future__ import annotations

from datetime import datetime

from servelo.records import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """``email`` as written; ``id`` follows from slug and address (``ids.client_id``).

    Attributes:
        proven: name and spelling come from a verified mail, or from the team. Until then they are what a
            first mail claimed, which anybody may have written: the first verified mail sets them. Mail never
            changes proven ones, but for a name that is empty.
        blocked: mail from this address is recorded and goes no further.
    """

    id: str
    slug: str
    email: str
    name: str
    created_at: datetime
    blocked: bool = False
    notes: str = ""
    proven: bool = False
    version: int = 0
    schema: int = 1
