"""What each role may do: one table. Whatever a cell does not allow is refused.

An admin runs the tenant, a technician works on its tickets, the operator runs the deployment and sees no
tenant's conversations, a customer sees their own tickets. The operator's own scope, ``-``, holds what belongs
to no tenant: mail to unknown addresses and mail that the operator forwards.
"""

from __future__ import annotations

from enum import StrEnum

from servelo.errors import Forbidden


class Person(StrEnum):
    """Who calls."""

    ADMIN = "admin"
    TECHNICIAN = "technician"
    OPERATOR = "operator"
    CUSTOMER = "customer"


class Action(StrEnum):
    """What can be allowed. ``read`` lists and shows, ``write`` creates and changes."""

    TICKETS_READ = "tickets.read"
    TICKETS_WRITE = "tickets.write"
    CLIENTS_READ = "clients.read"
    CLIENTS_WRITE = "clients.write"
    EMAILS_READ = "emails.read"
    EMAILS_WRITE = "emails.write"
    INBOUND_READ = "inbound.read"
    INBOUND_REPLAY = "inbound.replay"
    SUPPRESSIONS_READ = "suppressions.read"
    SUPPRESSIONS_WRITE = "suppressions.write"
    SETTINGS_READ = "settings.read"
    SETTINGS_WRITE = "settings.write"
    SMTP_READ = "smtp.read"
    SMTP_WRITE = "smtp.write"
    MEMBERS_READ = "members.read"
    MEMBERS_WRITE = "members.write"
    TENANTS_READ = "tenants.read"
    TENANTS_WRITE = "tenants.write"
    QUEUES_READ = "queues.read"
    QUEUES_WRITE = "queues.write"
    OPERATION_READ = "operation.read"
    OPERATION_WRITE = "operation.write"
    OWN_TICKETS = "own_tickets"


_A, _T, _O, _C = Person.ADMIN, Person.TECHNICIAN, Person.OPERATOR, Person.CUSTOMER

TABLE: dict[Action, frozenset[Person]] = {
    Action.TICKETS_READ: frozenset({_A, _T}),
    Action.TICKETS_WRITE: frozenset({_A, _T}),
    Action.CLIENTS_READ: frozenset({_A, _T}),
    Action.CLIENTS_WRITE: frozenset({_A, _T}),
    Action.EMAILS_READ: frozenset({_A, _T, _O}),
    Action.EMAILS_WRITE: frozenset({_A, _T}),
    Action.INBOUND_READ: frozenset({_A, _T, _O}),
    Action.INBOUND_REPLAY: frozenset({_A, _O}),
    Action.SUPPRESSIONS_READ: frozenset({_A, _T, _O}),
    Action.SUPPRESSIONS_WRITE: frozenset({_A, _O}),
    Action.SETTINGS_READ: frozenset({_A, _T}),
    Action.SETTINGS_WRITE: frozenset({_A}),
    Action.SMTP_READ: frozenset({_A}),
    Action.SMTP_WRITE: frozenset({_A}),
    Action.MEMBERS_READ: frozenset({_A, _T}),
    Action.MEMBERS_WRITE: frozenset({_A}),
    Action.TENANTS_READ: frozenset({_O}),
    Action.TENANTS_WRITE: frozenset({_O}),
    Action.QUEUES_READ: frozenset({_O}),
    Action.QUEUES_WRITE: frozenset({_O}),
    Action.OPERATION_READ: frozenset({_O}),
    Action.OPERATION_WRITE: frozenset({_O}),
    Action.OWN_TICKETS: frozenset({_C}),
}


def allows(person: Person, action: Action) -> bool:
    """Tell whether *person* may do *action*."""
    return person in TABLE[action]


def check(person: Person, action: Action) -> None:
    """Raise Forbidden unless *person* may do *action*."""
    if not allows(person, action):
        raise Forbidden("your role may not do this; ask an admin")


def allowed_to(person: Person) -> list[str]:
    """Return the actions of *person*, sorted, as ``GET /api/auth/me`` shows them."""
    return sorted(action.value for action, people in TABLE.items() if person in people)
