"""Tenants: created, suspended and looked over by the operator; also what seed and command line use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servelo.domain.ids import check_slug
from servelo.domain.tenant import BreakerState, Member, Role, Tenant
from servelo.errors import Conflict, InvalidInput, NotFound
from servelo.mail.address import identity
from servelo.records import replace
from servelo.services.invitations import Invitations
from servelo.services.members import Members
from servelo.services.passwords import Passwords
from servelo.services.ports import Clock
from servelo.services.tenant_changes import change_tenant, refuse_own

OPERATOR_SLUG = "-"


class Tenants:
    """*store* is a ``DynamoStore``, *identity* a ``CognitoIdentity``; without *invitations* no mail goes."""

    def __init__(
        self,
        *,
        store: Any,
        identity: Any,
        clock: Clock,
        mail_domain: str = "",
        invitations: Invitations | None = None,
    ) -> None:
        self._store = store
        self._identities = identity
        self._clock = clock
        self._domain = mail_domain
        self._invitations = invitations
        self._passwords = Passwords(store, clock)
        self._members = Members(store, identity, clock, mail_domain, invitations)

    # ---- creating ------------------------------------------------------------------------------------

    def create_tenant(
        self,
        *,
        slug: str,
        name: str,
        admin_email: str,
        admin_name: str = "",
        notify_email: str = "",
        password: str | None = None,
        origin: str = "",
        again: bool = True,
    ) -> Tenant:
        """Create a tenant with its first admin.

        Doing it again with the same admin finishes what was begun, unless *again* is False. Without
        *password* the admin is mailed an invitation, if invitations are wired.

        Raises:
            InvalidInput: the slug is reserved or malformed.
            Conflict: the slug is taken; ``address_in_use``.
        """
        check_slug(slug)
        refuse_own(notify_email, self._domain, "notify_email")
        admin = Member(admin_email, admin_name, Role.ADMIN)
        tenant = Tenant(
            slug=slug,
            name=name,
            created_at=self._clock.now(),
            notify_email=notify_email,
            members=(admin,),
        )
        there = self._store.tenant(slug)
        if there is not None:
            member = there.member(identity(admin_email))
            if not again or member is None or member.role is not Role.ADMIN:
                raise Conflict("this name is taken", field="slug")
        # No link of an earlier tenant of this name opens this one. Then the sign-in: it refuses addresses of
        # other tenants, and alone it gives no rights.
        if there is None or password is not None:
            self._passwords.end_older(slug, identity(admin_email))
        self._identities.create_user(
            email=identity(admin_email), slug=slug, role=Role.ADMIN.value, password=password
        )
        created: Tenant = there if there is not None else self._store.put_tenant(tenant, create=True)
        if password is None and self._invitations is not None and there is None:
            self._invitations.invite(created, admin, "", origin)
        return created

    def add_member(self, slug: str, email: str, name: str, role: str, password: str | None = None) -> Member:
        """Add a member, or bring an existing one up to date; role ``operator`` makes an operator.

        Raises:
            NotFound: no such tenant.
            Conflict: ``address_in_use``.
        """
        if role == Role.OPERATOR.value:
            if password is None:
                raise InvalidInput("an operator needs a password", field="password")
            self.create_operator(email, password)
            return Member(email, name, Role.OPERATOR)
        tenant: Tenant | None = self._store.tenant(slug)
        if tenant is None:
            raise NotFound("there is no such tenant")
        if tenant.member(identity(email)) is None:
            return self._members.add(
                slug, email=email, name=name, role=Role(role), password=password, invited_by=""
            )
        if password is not None:
            self._passwords.end_older(slug, identity(email))
        self._identities.create_user(email=identity(email), slug=slug, role=role, password=password)
        return self._members.change(slug, email, {"name": name, "role": role})

    def create_operator(self, email: str, password: str) -> None:
        """Create an operator's sign-in, or set its password anew. Raises Conflict: a member's address."""
        self._passwords.end_older(OPERATOR_SLUG, identity(email))
        self._identities.create_user(
            email=identity(email), slug=OPERATOR_SLUG, role=Role.OPERATOR.value, password=password
        )

    def remove_operator(self, email: str) -> None:
        """Remove an operator's sign-in; what they are signed in with ends at once.

        Raises:
            NotFound: it is the sign-in of a tenant's member, which this must not take away.
        """
        account = self._identities.account(identity(email))
        # One that is gone already, in Cognito's console, is finished here: its tokens live on for an hour.
        if account is not None and account.slug != OPERATOR_SLUG:
            raise NotFound("no operator signs in with this address")
        self._passwords.end_older(OPERATOR_SLUG, identity(email))
        self._identities.delete_user(identity(email))

    # ---- the operator's view ----------------------------------------------------------------------------

    def page(self, limit: int, after: str) -> tuple[list[tuple[Tenant, int]], str]:
        """Return a page of (tenant, highest ticket number) by slug; one Query and one GetItem a tenant."""
        found, cursor = self._store.tenants(limit, after)
        return [(t, self._store.highest_ticket_number(t.slug)) for t in found], cursor

    def get(self, slug: str) -> tuple[Tenant, int]:
        """Return a tenant and its highest ticket number. Raises NotFound."""
        tenant: Tenant | None = self._store.tenant(slug)
        if tenant is None:
            raise NotFound("there is no such tenant")
        return tenant, self._store.highest_ticket_number(slug)

    def change(self, slug: str, changes: Mapping[str, Any], version: int | None) -> tuple[Tenant, int]:
        """Change ``name``, ``suspended`` or ``notify_email``. Raises InvalidInput, NotFound, Conflict."""
        refuse_own(changes.get("notify_email", ""), self._domain, "notify_email")
        changed = change_tenant(
            self._store,
            slug,
            lambda tenant: _counted(tenant, replace(tenant, **changes)),
            version,
        )
        return changed, self._store.highest_ticket_number(slug)


def smtp_state(tenant: Tenant) -> str:
    """Return ``shared``, ``connected`` or ``breaker_open``: how the tenant's mail goes out."""
    if tenant.smtp is None:
        return "shared"
    return "breaker_open" if tenant.smtp.breaker is BreakerState.OPEN else "connected"


def _counted(seen: Tenant, changed: Tenant) -> Tenant:
    # Senders keep a tenant for a minute; a job queued under a newer mail_version makes them read again.
    return seen if changed == seen else replace(changed, mail_version=seen.mail_version + 1)
