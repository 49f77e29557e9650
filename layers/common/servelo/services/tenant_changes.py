"""Changing a tenant's settings item: the one item that several people and the sender write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from servelo.domain.tenant import Tenant
from servelo.errors import Conflict, InvalidInput, NotFound
from servelo.mail.address import identity

TRIES = 6


def change_tenant(
    store: Any, slug: str, change: Callable[[Tenant], Tenant], version: int | None = None
) -> Tenant:
    """Apply *change* to the tenant as it is now and save it; with *version* only if it is still that one.

    *change* may be called again on a newer tenant, and raises what it must refuse.

    Raises:
        NotFound: no such tenant.
        Conflict: changed since *version*, or changed too often at this moment.
    """
    for _ in range(TRIES):
        tenant: Tenant | None = store.tenant(slug)
        if tenant is None:
            raise NotFound("there is no such tenant")
        if version is not None and version != tenant.version:
            raise Conflict("the settings were changed meanwhile; load them again")
        changed = change(tenant)
        if changed is tenant or changed == tenant:
            return tenant
        try:
            saved: Tenant = store.put_tenant(changed)
        except Conflict:
            if version is not None:
                raise
            continue
        return saved
    raise Conflict("the settings keep changing; try again")


def refuse_own(email: str, mail_domain: str, field: str) -> None:
    """Raise InvalidInput for an address of the help desk itself: what is sent there comes in again."""
    if identity(email).endswith(f"@{mail_domain}"):
        raise InvalidInput(
            f"Use an address outside {mail_domain}: mail to this one would come back here.",
            field=field,
            code="address_is_ours",
        )
