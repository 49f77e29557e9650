"""Fair share: a tenant who is flooded waits on a queue of its own kind, and nobody else with it.

Receipts come from SES on one queue, in the order in which mails came; SES cannot name a message group. So
the router itself sets aside what would keep others waiting: a receipt that waited for longer than
``PATIENCE_SECONDS`` (where nothing is queued nobody waits) and is for a tenant of whom this process has
routed ``BURST`` such mails within ten minutes already. Mails for whom nobody waited count for nothing: a busy
tenant's calm day is no flood. What is set aside goes on to the flood queue, unread, with the tenant as
message group (SQS fair queues). What comes from there is routed whatever its share.

So before a mail is routed that stands behind a flood of any length, a process routes ``BURST`` mails of the
flooded tenant at most, and passes the rest on, ten with one request. Counters are of one process: nothing is
read or written for them, and a mail that waits for nobody costs what it did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from servelo.domain import ids
from servelo.errors import BadReplyToken
from servelo.mail import reply_token
from servelo.mail.address import split_addr_spec
from servelo.mail.reply_token import KeyRing

BURST = 10  # as many as come in one batch
WINDOW_SECONDS = 600.0  # long: of mails that take seconds each, a minute would not hold a burst
PATIENCE_SECONDS = 2.0
NOBODY = "-"  # mail that belongs to no tenant: they share one share


class FairShare:
    """Counts the mails of one process by tenant.

    *exists* tells whether a slug is a tenant's, and is asked only while a flood of mail to nobody waits.
    *seconds* is a clock that only its differences are used of.
    """

    def __init__(
        self, *, ring: Callable[[], KeyRing], exists: Callable[[str], bool], seconds: Callable[[], float]
    ) -> None:
        self._ring = ring
        self._exists = exists
        self._seconds = seconds
        self._since = seconds()
        self._routed: Counter[str] = Counter()
        self._known: set[str] = set()

    def set_aside(self, recipients: Collection[str], waited_seconds: float) -> str:
        """Return the message group under which a mail must wait, ``""`` when it is to be routed now.

        A mail to several tenants waits when one of them has had its share: it is part of that flood.
        Counts what is to be routed though others wait.

        Raises:
            StoreUnavailable: *exists* could not be answered.
        """
        if self._seconds() - self._since >= WINDOW_SECONDS:
            self._routed.clear()
            self._since = self._seconds()
        if waited_seconds <= PATIENCE_SECONDS:
            return ""
        owners = sorted({self._owner(each) for each in recipients})
        for owner in owners:
            if self._routed[owner] >= BURST:
                return owner
            if self._is_guess(owner) and self._routed[NOBODY] >= BURST:
                # A slug that nobody has proven yet, while names are being guessed: now it matters.
                if not self._exists(owner):
                    return NOBODY
                self._known.add(owner)
        self._routed.update(owners)
        return ""

    def learn(self, recipients: Collection[str], slug: str) -> None:
        """Take note that a mail to *recipients* turned out to be *slug*'s, ``-`` when it was nobody's.

        Of a mail to several it is not known which was whose; nothing is learnt of it.
        """
        if len(recipients) == 1:
            (owner,) = (self._owner(each) for each in recipients)
            if owner == slug:
                self._known.add(slug)
            elif slug == NOBODY and self._is_guess(owner):
                self._routed[NOBODY] += self._routed.pop(owner, 0)

    def _is_guess(self, owner: str) -> bool:
        return owner not in self._known and owner != NOBODY and owner not in ids.RESERVED_SLUGS

    def _owner(self, recipient: str) -> str:
        """Return the tenant that *recipient* names, a reserved mailbox as it is, or ``-``."""
        local = split_addr_spec(recipient.strip())[0]
        token = reply_token.token_of(local)
        if token is not None:
            try:
                return reply_token.verify(token, self._ring()).slug
            except BadReplyToken:
                return NOBODY
        base = local.strip('"').partition("+")[0].rstrip(".").lower()
        if base in ids.RESERVED_SLUGS:
            return base
        valid = ids.MIN_SLUG_LENGTH <= len(base) <= ids.MAX_SLUG_LENGTH and ids.SLUG_PATTERN.fullmatch(base)
        return base if valid else NOBODY
