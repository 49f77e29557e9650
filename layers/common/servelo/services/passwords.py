"""When an account's password was set last: links to choose one and sign-ins of before are over then.

One small item for each account, kept for longer than any link or refresh token lives. Whatever sets a
password, or makes or ends an account, writes it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from servelo.errors import StoreUnavailable
from servelo.records import dataclass
from servelo.services.ports import Clock

TRIES = 5
_NEXT = timedelta(microseconds=1)


def signed_in_before(claims: Mapping[str, Any], set_at: datetime | None) -> bool:
    """Tell whether who *claims* names signed in before their password was set last.

    ``auth_time`` stays the same when a token is refreshed. It is in whole seconds, so a sign-in within the
    second of the change counts as later.
    """
    if set_at is None:
        return False
    try:
        signed_in = float(claims.get("auth_time") or claims.get("iat") or 0)
    except (TypeError, ValueError):
        return True
    return signed_in < int(set_at.timestamp())


@dataclass(frozen=True, slots=True)
class Passwords:
    """*store* is a ``DynamoStore``. *who* is the account's address in its comparison form."""

    store: Any
    clock: Clock

    def end_older(self, slug: str, who: str) -> None:
        """End every link and sign-in of *who* made before now. Raises StoreUnavailable."""
        for _ in range(TRIES):
            seen = self.store.passwords_set_at(slug, who)
            # Later than whatever was made at that very moment, also by a server whose clock is ahead.
            moment = self.clock.now() if seen is None else max(self.clock.now(), seen + _NEXT)
            if self.store.replace_passwords_set_at(slug, who, seen, moment):
                return
        raise StoreUnavailable("others are changing this sign-in; try again")

    def link_moment(self, slug: str, who: str) -> datetime:
        """Return the moment to write into a new link, so that it is good whatever a server's clock says."""
        seen = self.store.passwords_set_at(slug, who)
        return self.clock.now() if seen is None else max(self.clock.now(), seen)

    def claim(self, slug: str, who: str, issued_at: datetime) -> Claim | None:
        """Use up all links of *who*, for the one that was made at *issued_at*; None: it is over."""
        seen = self.store.passwords_set_at(slug, who)
        if seen is not None and issued_at < seen:
            return None
        moment = max(self.clock.now(), issued_at + _NEXT)
        if not self.store.replace_passwords_set_at(slug, who, seen, moment):
            return None
        return Claim(slug, who, seen, moment)

    def give_back(self, claim: Claim) -> None:
        """Make the links good again: no password was set."""
        self.store.replace_passwords_set_at(claim.slug, claim.who, claim.moment, claim.before)


@dataclass(frozen=True, slots=True)
class Claim:
    """A link that is being used, and what was noted before."""

    slug: str
    who: str
    before: datetime | None
    moment: datetime
