"""Members: who belongs to a tenant's team, and their sign-ins.

Membership is in the tenant's item and holds at once; the sign-in in Cognito follows it. A sign-in without
membership can do nothing, so that a crash between the two leaves nobody with rights they should not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servelo.domain.tenant import Member, Role, Tenant
from servelo.errors import Conflict, InvalidInput, NotFound, TooMany
from servelo.mail.address import identity, split_addr_spec
from servelo.records import dataclass, replace
from servelo.services.invitations import Invitations
from servelo.services.passwords import Passwords
from servelo.services.ports import Clock
from servelo.services.tenant_changes import change_tenant

MAX_MEMBERS = 200
INVITATIONS_A_DAY = 50
DAY = 86400


@dataclass(frozen=True, slots=True)
class Members:
    """*store* is a ``DynamoStore``, *identities* a ``CognitoIdentity``; without *invitations* no mail."""

    store: Any
    identities: Any
    clock: Clock
    mail_domain: str = ""
    invitations: Invitations | None = None

    def add(
        self,
        slug: str,
        *,
        email: str,
        name: str,
        role: Role,
        notify: bool = True,
        password: str | None = None,
        invited_by: str = "",
        origin: str = "",
    ) -> Member:
        """Add a member with a sign-in; without *password* they are mailed an invitation.

        Raises:
            Conflict: ``member_exists``; ``address_in_use``: the address has a sign-in in another tenant.
            InvalidInput: an address of ours, too many members, or a password that is refused.
            TooMany: more than 50 invitations a day.
        """
        if self.mail_domain and split_addr_spec(identity(email))[1] == self.mail_domain:
            raise InvalidInput(
                "This is an address of ours; a member needs their own.", field="email", code="address_is_ours"
            )
        member = Member(email, name, role, notify)
        tenant: Tenant | None = self.store.tenant(slug)
        if tenant is None:
            raise NotFound("there is no such tenant")
        if tenant.member(identity(email)) is not None:
            raise Conflict("this address is a member already", code="member_exists", field="email")
        if password is None:
            self._count_invitation(slug)
        # No link of an earlier membership opens this one. Then the sign-in: it refuses addresses of other
        # tenants, and alone it gives no rights.
        Passwords(self.store, self.clock).end_older(slug, identity(email))
        self.identities.create_user(email=identity(email), slug=slug, role=role.value, password=password)

        def join(tenant: Tenant) -> Tenant:
            if tenant.member(identity(email)) is not None:
                return tenant
            if len(tenant.members) >= MAX_MEMBERS:
                raise InvalidInput(
                    f"A team has at most {MAX_MEMBERS} members.", field="email", code="team_full"
                )
            return replace(tenant, members=(*tenant.members, member), mail_version=tenant.mail_version + 1)

        saved = change_tenant(self.store, slug, join)
        if password is None and self.invitations is not None:
            self.invitations.invite(saved, member, invited_by, origin)
        return member

    def invite_again(self, tenant: Tenant, email: str, invited_by: str, origin: str) -> None:
        """Mail the invitation once more. Raises NotFound, TooMany."""
        member = self._member(tenant, email)
        self._count_invitation(tenant.slug)
        self.identities.create_user(
            email=identity(member.email), slug=tenant.slug, role=member.role.value, password=None
        )
        if self.invitations is not None:
            self.invitations.invite(tenant, member, invited_by, origin)

    def change(self, slug: str, email: str, changes: Mapping[str, Any]) -> Member:
        """Change ``name``, ``role`` or ``notify``.

        Raises:
            NotFound: no such member.
            Conflict: ``last_admin``.
        """
        values: dict[str, Any] = dict(changes)
        if "role" in values:
            values["role"] = Role(values["role"])

        def edit(tenant: Tenant) -> Tenant:
            seen = self._member(tenant, email)
            changed = replace(seen, **values)
            if seen.role is Role.ADMIN and changed.role is not Role.ADMIN:
                _check_other_admin(tenant, seen)
            members = tuple(changed if m is seen else m for m in tenant.members)
            if members == tenant.members:
                return tenant
            return replace(tenant, members=members, mail_version=tenant.mail_version + 1)

        member = self._member(change_tenant(self.store, slug, edit), email)
        if "role" in values:
            self.identities.set_role(identity(member.email), member.role.value)
        return member

    def remove(self, slug: str, email: str) -> None:
        """Remove a member and their sign-in.

        Raises:
            NotFound: no such member.
            Conflict: ``last_admin``.
        """

        def leave(tenant: Tenant) -> Tenant:
            seen = self._member(tenant, email)
            if seen.role is Role.ADMIN:
                _check_other_admin(tenant, seen)
            return replace(
                tenant,
                members=tuple(m for m in tenant.members if m is not seen),
                mail_version=tenant.mail_version + 1,
            )

        change_tenant(self.store, slug, leave)
        Passwords(self.store, self.clock).end_older(slug, identity(email))
        self.identities.delete_user(identity(email))

    def _member(self, tenant: Tenant, email: str) -> Member:
        member = tenant.member(identity(email))
        if member is None:
            raise NotFound("there is no such member")
        return member

    def _count_invitation(self, slug: str) -> None:
        now = self.clock.now()
        name = f"invite#{int(now.timestamp()) // DAY}"
        if not self.store.count(slug, name, INVITATIONS_A_DAY, DAY, now):
            raise TooMany("too many invitations in one day; try again tomorrow")


def _check_other_admin(tenant: Tenant, member: Member) -> None:
    if not any(m.role is Role.ADMIN and m is not member for m in tenant.members):
        raise Conflict("nobody else is an admin; make somebody an admin first", code="last_admin")
