"""Restore: raw mails that a table restored to an earlier moment knows nothing of, routed as if it were then.

The receipts are gone with the queue, so the envelope is read from the block that SES writes on top of every
stored mail (``Return-Path``, ``Received … by inbound-smtp.REGION.amazonaws.com with SMTP id ID for RCPT``,
``X-SES-Spam-Verdict``, ``X-SES-Virus-Verdict``, ``Authentication-Results: amazonses.com; …``,
``X-SES-RECEIPT``; Amazon SES developer guide, "Receiving email"). Whoever sent the mail may have written all
of these names below it and may choose HELO, MAIL FROM and RCPT TO within it, so: only fields down to
``X-SES-RECEIPT`` count, the SMTP id must be that of the object, and results that could be read in two ways
are no results (GRAY).

``Received`` names one recipient. What else To and Cc name of ours was probably in the envelope too, but a
header proves nothing: it is listed, and routed only when the operator says so.

Mails that the first run sent are not sent again: those that a restored mail makes necessary are written in
state ``unknown``, which only a person sends again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from servelo.adapters.ses_receipt import VERDICTS
from servelo.domain.outbound import DeliveryState, OutboundJob
from servelo.errors import NotFound
from servelo.mail import headers
from servelo.mail.inbound import read_mail
from servelo.mail.inbound_mail import InboundMail
from servelo.patterns import pattern
from servelo.records import dataclass, replace
from servelo.services.ports import Change, Clock, JobQueue, RawMailStore
from servelo.services.route_inbound import NO_TENANT, Delivery, Router

# A mail may have waited on the queue when the moment came: it was taken before and recorded after.
MARGIN = timedelta(hours=6)
PAGE = 100
_TIME_SIGNS = 10  # of a sortable id; the 16 that follow are a hash of SES message id and recipient
_MAX_BLOCK_BYTES = 64 * 1024

_SCANS = {"PASS", "FAIL", "GRAY", "PROCESSING_FAILED", "DISABLED"}
_RESULTS = {
    "pass": "PASS",
    "fail": "FAIL",
    "temperror": "PROCESSING_FAILED",
    "permerror": "PROCESSING_FAILED",
}
_RECEIVED = pattern(
    r"from .*\sby inbound-smtp\.[a-z0-9-]+\.amazonaws\.com with SMTP id (\S+)"
    r" for ([^\s;<>]+@[^\s;<>]+); (.+)",
    re.S,
)

MakeRouter = Callable[[Any, JobQueue, Clock], Router]
StoredMail = tuple[str, datetime]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was, or (dry run) would be, done with one raw mail.

    Attributes:
        recipient: envelope recipient, ``""`` when it could not be told.
        outcome: its code; ``known`` (the table has the delivery), ``envelope_unknown`` (no block of SES's
            on top that belongs to this object), ``missing`` (named by To or Cc only), ``would_route``.
        slug: where its record is, ``""`` when nothing was routed.
    """

    object_key: str
    recipient: str
    outcome: str
    slug: str = ""
    ticket_number: int = 0


def envelope(raw: bytes, object_key: str) -> Delivery | None:
    """Return the delivery that SES's own block on top of *raw* tells of; None when there is none to trust.

    The time is to the second, where the receipt had milliseconds: the delivery's id differs in its time.
    """
    fields, _, _ = headers.split_block(raw, 0, min(len(raw), _MAX_BLOCK_BYTES))
    block: dict[str, str] = {}
    for name, value in fields:
        if name in block:
            break
        block[name] = headers.unfold(value)
        if name == "x-ses-receipt":
            break
    received = _RECEIVED.fullmatch(block.get("received", ""))
    ses_message_id = object_key.rpartition("/")[2]
    if next(iter(block), "") != "return-path" or received is None or received[1] != ses_message_id:
        return None
    try:
        received_at = parsedate_to_datetime(received[3])
    except ValueError:
        return None
    verdicts = dict.fromkeys(VERDICTS, "GRAY")
    if "x-ses-receipt" in block:
        for check in ("spam", "virus"):
            said = block.get(f"x-ses-{check}-verdict", "").upper()
            verdicts[check] = said if said in _SCANS else "GRAY"
        verdicts.update(_authentication(block.get("authentication-results", "")))
    return Delivery(
        ses_message_id,
        object_key,
        received[2],
        _address(block["return-path"]),
        (received_at if received_at.tzinfo else received_at.replace(tzinfo=UTC)).astimezone(UTC),
        verdicts,
    )


def _authentication(results: str) -> Mapping[str, str]:
    """Return the verdicts in SES's Authentication-Results; none when a sender may have written any of it."""
    parts = [part.strip() for part in results.split(";")]
    # MAIL FROM may quote semicolons, HELO may be anything: whatever is not as SES writes it tells nothing.
    if parts[0] != "amazonses.com" or '"' in results or "\\" in results:
        return {}
    found: dict[str, list[str]] = {"spf": [], "dkim": [], "dmarc": []}
    for part in parts[1:]:
        name, _, value = part.partition("=")
        if name in found:
            found[name].append(value.partition(" ")[0].lower())
        elif part and name not in ("envelope-from", "helo"):
            return {}
    if len(found["spf"]) > 1 or len(found["dmarc"]) > 1:
        return {}
    return {
        # Of several signatures the receipt's verdict is not told: all must pass.
        name: _RESULTS.get(values[0] if len(set(values)) == 1 else "", "GRAY")
        for name, values in found.items()
    }


def _address(return_path: str) -> str:
    text = return_path.strip().strip("<>")
    return text if "@" in text else ""


class Restore:
    """Routes what is in the bucket and not in the table.

    *make_router* makes a router on the given store, queue and clock; *store* is a ``DynamoStore``; *stored*
    lists (object key, time of storage) of raw mails stored at or after a time.
    """

    def __init__(
        self,
        *,
        make_router: MakeRouter,
        store: Any,
        raw_mails: RawMailStore,
        stored: Callable[[datetime], Iterator[StoredMail]],
        mail_domain: str,
    ) -> None:
        self._clock = _Then()
        self._router = make_router(_NotSentAgain(store), _NoQueue(), self._clock)
        self._store = store
        self._raw_mails = raw_mails
        self._stored = stored
        self._domain = mail_domain

    def run(self, since: datetime, *, named_too: bool = False, dry_run: bool = False) -> Iterator[Restored]:
        """Route the mails since *since* that the table does not know, the oldest first; twice is once.

        *named_too* routes to our addresses in To and Cc as well, which are only listed otherwise.

        Raises:
            StoreUnavailable: run it again; what was written stays written once.
        """
        begin = since - MARGIN
        known = set(self._known(begin - MARGIN))
        found: list[tuple[datetime, str, Delivery]] = []
        for object_key, stored_at in self._stored(begin):
            try:
                delivery = envelope(self._raw_mails.get(object_key), object_key)
            except NotFound:
                continue
            if delivery is None:
                yield Restored(object_key, "", "envelope_unknown")
            else:
                found.append((stored_at, object_key, delivery))
        for _, _, delivery in sorted(found, key=lambda each: (each[2].received_at, *each[:2])):
            raw = self._raw_mails.get(delivery.object_key)
            mail = read_mail(raw)
            named = [replace(delivery, envelope_recipient=each) for each in self._named(mail, delivery)]
            for each in (delivery, *named):
                done = self._one(each, mail, len(raw), known, each is delivery or named_too, dry_run)
                if done.outcome != "known" or each is delivery:
                    yield done

    def _one(
        self, delivery: Delivery, mail: InboundMail, size: int, known: set[str], route: bool, dry_run: bool
    ) -> Restored:
        plain = Restored(delivery.object_key, delivery.envelope_recipient, "known")
        if delivery.id[_TIME_SIGNS:] in known:
            return plain
        if not route:
            return replace(plain, outcome="missing")
        if dry_run:
            return replace(plain, outcome="would_route")
        self._clock.time = delivery.received_at
        done = self._router.route_one(delivery, mail, size)
        known.add(delivery.id[_TIME_SIGNS:])
        return replace(plain, outcome=done.outcome.value, slug=done.slug, ticket_number=done.ticket_number)

    def _known(self, since: datetime) -> Iterator[str]:
        for slug in (NO_TENANT, *self._slugs()):
            cursor = ""
            while True:
                page, cursor = self._store.inbound_list(slug, PAGE, cursor)
                yield from (record.id[_TIME_SIGNS:] for record in page if record.received_at >= since)
                if not cursor or page[-1].received_at < since:
                    break

    def _slugs(self) -> Iterator[str]:
        cursor = ""
        while True:
            page, cursor = self._store.tenants(PAGE, cursor)
            yield from (tenant.slug for tenant in page)
            if not cursor:
                return

    def _named(self, mail: InboundMail, delivery: Delivery) -> Sequence[str]:
        """Our addresses in To and Cc besides the recipient that SES names, each once."""
        ours = {
            box.addr_spec.lower(): box.addr_spec
            for box in (*mail.to, *mail.cc)
            if box.addr_spec.lower().endswith(f"@{self._domain}")
        }
        ours.pop(delivery.envelope_recipient.lower(), None)
        return list(ours.values())


def stored_in(s3: Any, bucket: str) -> Callable[[datetime], Iterator[StoredMail]]:
    """Return the lister of a bucket of raw mails: S3 cannot list by time, it reads all names."""

    def stored(since: datetime) -> Iterator[StoredMail]:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for each in page.get("Contents", ()):
                if each["LastModified"] >= since and not each["Key"].endswith(
                    "AMAZON_SES_SETUP_NOTIFICATION"
                ):
                    yield each["Key"], each["LastModified"]

    return stored


class _Then:
    """The clock of a restored mail: the time when it was received."""

    time = datetime(1970, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class _NoQueue:
    def put(self, jobs: Sequence[tuple[str, str]], *, delay_seconds: int = 0) -> None:
        """Queue nothing: restored mails wait for a person."""


class _NotSentAgain:
    """The store, but every mail that a change promises is written as handed over with an unknown end."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, change: Change) -> None:
        self._store.commit(replace(change, jobs=tuple(_ended(job) for job in change.jobs)))


def _ended(job: OutboundJob) -> OutboundJob:
    return replace(
        job,
        state=DeliveryState.UNKNOWN,
        error_code="restored",
        error_detail="Made again by a restore; it probably went out before. Send again if it did not.",
    )
