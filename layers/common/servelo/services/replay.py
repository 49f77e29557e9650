"""Replay: decide recorded mails anew, now that the cause of their failure is mended. Twice changes nothing.

Only mails of which nothing was made are decided anew (``inbound_record.REPLAYABLE``), and only what comes out
differently is written: a replay that ends as before leaves the record as it is. A record of the operator's
(slug ``-``) becomes a tenant's when the tenant exists now.

Records hold reply addresses without their tokens. The address is found again in the raw mail's own trace
fields and recipients; the record's id, which is derived from the whole address, tells which one it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from servelo.domain.inbound_record import REPLAYABLE, InboundRecord, Outcome
from servelo.errors import NotFound
from servelo.mail.inbound import read_mail
from servelo.mail.inbound_mail import InboundMail
from servelo.patterns import pattern
from servelo.records import dataclass
from servelo.services.ports import Clock, RawMailStore
from servelo.services.route_inbound import Delivery, Router

PAGE = 100
MAX_RECORDS = 10_000  # of one range; the next range goes on from the last record's time

_REPLY_ADDRESS = pattern(r"reply\+[A-Za-z0-9_=+-]{10,80}@[A-Za-z0-9.-]{1,253}", re.IGNORECASE)
_TRACE = frozenset(
    (
        "received",
        "delivered-to",
        "x-original-to",
        "x-forwarded-to",
        "envelope-to",
        "to",
        "cc",
        "bcc",
        "resent-to",
    )
)


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What a replay did, or (dry run) would do.

    Attributes:
        before, after: outcome codes; the same when nothing changed.
        why: ``""``, or why the mail was not decided anew: ``already_handled``, ``raw_missing``,
            ``recipient_unknown`` (the reply address stands nowhere in the mail).
        slug: where the record is afterwards.
    """

    record_id: str
    before: str
    after: str
    slug: str
    ticket_number: int = 0
    why: str = ""

    @property
    def changed(self) -> bool:
        return self.before != self.after


class Replay:
    """Decides recorded mails anew. *store* is a ``DynamoStore``."""

    def __init__(self, *, router: Router, store: Any, raw_mails: RawMailStore, clock: Clock) -> None:
        self._router = router
        self._store = store
        self._raw_mails = raw_mails
        self._clock = clock

    def replay(self, slug: str, record_id: str, *, dry_run: bool = False) -> ReplayOutcome:
        """Decide one mail anew. *slug* is the tenant, ``-`` for the operator's records.

        Raises:
            NotFound: no such record.
            StoreUnavailable: try again; what was written stays written once.
        """
        record: InboundRecord | None = self._store.inbound(slug, record_id)
        if record is None:
            raise NotFound("there is no such mail")
        return self._replay(record, dry_run)

    def replay_range(
        self, slug: str, since: datetime | None, *, failed_only: bool = False, dry_run: bool = False
    ) -> list[ReplayOutcome]:
        """Decide all mails received since *since* anew, the oldest first, so that answers find their tickets.

        With *failed_only* those of which something was made are not listed. At most 10,000 records.
        """
        records = [
            record for record in self._since(slug, since) if not failed_only or record.outcome in REPLAYABLE
        ]
        return [self._replay(record, dry_run) for record in reversed(records)]

    def not_spam(self, slug: str, number: int) -> bool:
        """Let a spam ticket's mail in as if it came now (``Router.admit``); False when it is in no longer."""
        return self._router.admit(slug, number)

    def _since(self, slug: str, since: datetime | None) -> Iterator[InboundRecord]:
        cursor, seen = "", 0
        while True:
            page, cursor = self._store.inbound_list(slug, PAGE, cursor)
            for record in page:
                if (since is not None and record.received_at < since) or seen >= MAX_RECORDS:
                    return
                seen += 1
                yield record
            if not cursor:
                return

    def _replay(self, record: InboundRecord, dry_run: bool) -> ReplayOutcome:
        if record.outcome not in REPLAYABLE:
            return _unchanged(record, "already_handled")
        try:
            raw = self._raw_mails.get(record.object_key)
        except NotFound:
            return _unchanged(record, "raw_missing")
        mail = read_mail(raw)
        delivery = _delivery(record, mail)
        if delivery is None:
            return _unchanged(record, "recipient_unknown")
        decision = self._router.preview(delivery, mail, len(raw))
        # Decided as before: nothing is written, nobody is told a second time.
        if decision.outcome is record.outcome:
            return _unchanged(record)
        if dry_run:
            return ReplayOutcome(record.id, record.outcome.value, decision.outcome.value, record.slug)
        done = self._router.route_one(delivery, mail, len(raw), replaces=record)
        return ReplayOutcome(
            record.id, record.outcome.value, done.outcome.value, done.slug, done.ticket_number
        )


def _unchanged(record: InboundRecord, why: str = "") -> ReplayOutcome:
    outcome: Outcome = record.outcome
    return ReplayOutcome(record.id, outcome.value, outcome.value, record.slug, record.ticket_number, why)


def _delivery(record: InboundRecord, mail: InboundMail) -> Delivery | None:
    """Return the delivery that *record* is of, None when its recipient cannot be told any more."""
    candidates = [record.envelope_recipient]
    if "…" in record.envelope_recipient:
        candidates = [
            found[0]
            for name, value in mail.headers
            if name in _TRACE
            for found in _REPLY_ADDRESS.finditer(value)
        ]
    for recipient in candidates[:200]:
        delivery = Delivery(
            record.ses_message_id,
            record.object_key,
            recipient,
            record.envelope_sender,
            record.received_at,
            record.verdicts,
        )
        if delivery.id == record.id:
            return delivery
    return None
