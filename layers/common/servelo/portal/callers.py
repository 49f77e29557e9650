"""Callers: from a request's token to a person with a scope. Keys are built from ``slug`` and nothing else.

Team and operator   the HTTP API's authorizer has checked the ID token; here its claims are read. Whether the
                    person is a member still, as what, and whether they signed in since their password was
                    set, is asked at every request: a token outlives a dismissal by an hour, the rights do
                    not.
Customers           their session is ours (``services.sessions``); the client must exist and not be blocked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servelo.domain.tenant import Tenant
from servelo.errors import Forbidden, Unauthorized
from servelo.mail.address import identity
from servelo.records import dataclass
from servelo.services.passwords import signed_in_before
from servelo.services.permissions import Person

OPERATOR_SLUG = "-"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. ``person`` None: nobody has said who they are."""

    person: Person | None = None
    slug: str = ""
    email: str = ""
    name: str = ""
    client_id: str = ""
    tenant: Tenant | None = None

    @property
    def of_tenant(self) -> Tenant:
        """The caller's tenant. Raises Forbidden for the operator, who has none."""
        if self.tenant is None:
            raise Forbidden("this belongs to a tenant; the operator has none")
        return self.tenant


NOBODY = Caller()


def team_caller(claims: Mapping[str, Any] | None, store: Any, *, suspended_too: bool = False) -> Caller:
    """Return the team member or operator that *claims* name; one BatchGetItem, for an operator one GetItem.

    Raises:
        Unauthorized: no claims, not an ID token, no tenant, no member of it (any more), or signed in
            before the password was set anew or the operator removed.
        Forbidden: ``tenant_suspended``.
    """
    if not claims or claims.get("token_use") != "id":
        raise Unauthorized("sign in")
    slug = str(claims.get("custom:tenant") or "")
    email = str(claims.get("email") or "")
    if not slug or not email or str(claims.get("email_verified", "true")).lower() == "false":
        raise Unauthorized("sign in")
    if slug == OPERATOR_SLUG:
        if claims.get("custom:role") != Person.OPERATOR.value:
            raise Unauthorized("sign in")
        if signed_in_before(claims, store.passwords_set_at(OPERATOR_SLUG, identity(email))):
            raise Unauthorized("sign in")
        return Caller(Person.OPERATOR, OPERATOR_SLUG, email, str(claims.get("name") or ""))
    tenant, set_at = store.team(slug, identity(email))
    member = tenant.member(identity(email)) if tenant else None
    if tenant is None or member is None or signed_in_before(claims, set_at):
        raise Unauthorized("sign in")
    if tenant.suspended and not suspended_too:
        raise Forbidden("this help desk is suspended; ask the operator", code="tenant_suspended")
    return Caller(Person(member.role.value), slug, member.email, member.name, tenant=tenant)


def customer_caller(slug: str, token: str, services: Any) -> Caller:
    """Return the customer that the session *token* names, for tenant *slug*; two GetItem.

    Raises:
        Unauthorized: no session of this tenant, over, or the client is gone or blocked.
        NotFound: no such tenant, suspended, or its portal is switched off.
    """
    tenant = services.customers.open_tenant(slug)
    claims = services.sessions.read_session(token)
    if claims["slug"] != slug:
        raise Unauthorized("ask for a new link", code="session_over")
    client = services.store.client(slug, claims["client"])
    if client is None or client.blocked:
        raise Unauthorized("ask for a new link", code="session_over")
    return Caller(Person.CUSTOMER, slug, client.email, client.name, client.id, tenant)


def bearer(headers: Mapping[str, str]) -> str:
    """Return the token of ``Authorization: Bearer …``. Raises Unauthorized."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("sign in")
    return token.strip()
