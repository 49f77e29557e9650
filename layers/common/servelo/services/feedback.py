"""Feedback: what became of a mail after a server accepted it: SES events, bounces and complaints by mail.

Both land on the very job, and a job belongs to a comment, so the portal shows it there. Events come in any
order and more than once: a later state never falls back to an earlier one.

    accepted < delivered < bounced < complained

An address that bounced for good is suppressed for 30 days, one that complained for a year; an admin can
lift either. A member's address is also marked on the tenant, so that notifications stop at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from servelo.domain.outbound import RANK, WAITING_STATES, DeliveryState, OutboundJob
from servelo.errors import Conflict, MailRejected
from servelo.mail.address import identity
from servelo.mail.inbound_mail import InboundMail
from servelo.records import dataclass, replace
from servelo.services.ports import Clock

BOUNCE_DAYS = 30
COMPLAINT_DAYS = 365
_TRIES = 5


@dataclass(frozen=True, slots=True)
class FeedbackOutcome:
    """What one event did; what the handler logs."""

    event: str
    slug: str = ""
    job_id: str = ""
    state: str = ""


class Feedback:
    """Applies events to jobs and to the suppression list."""

    def __init__(self, *, store: Any, clock: Clock, mail_domain: str) -> None:
        self._store = store
        self._clock = clock
        self._mail_domain = mail_domain

    def ses_event(self, event: Mapping[str, Any]) -> FeedbackOutcome:
        """Apply one event of a configuration set (Amazon SES, "Contents of event data published to SNS").

        Raises:
            MailRejected: ``event_malformed``: no ``mail`` or no type; it ends in the dead-letter queue.
            StoreUnavailable: it comes again.
        """
        kind = str(event.get("eventType") or event.get("notificationType") or "")
        mail = event.get("mail")
        if not kind or not isinstance(mail, Mapping):
            raise MailRejected("the event has no type or no mail", code="event_malformed")
        found = self._find(mail)
        if found is None:
            return FeedbackOutcome(kind)
        slug, job_id = found
        now = self._clock.now()
        detail = event.get(kind[:1].lower() + kind[1:]) or {}
        if kind == "Delivery":
            state = self._move(slug, job_id, DeliveryState.DELIVERED, "", str(detail.get("smtpResponse", "")))
        elif kind == "Bounce":
            state = self._bounce(slug, job_id, detail, now)
        elif kind == "Complaint":
            state = self._move(
                slug,
                job_id,
                DeliveryState.COMPLAINED,
                "complaint",
                str(detail.get("complaintFeedbackType", "")),
            )
            for each in detail.get("complainedRecipients") or ():
                self._suppress(slug, str(each.get("emailAddress", "")), "complaint", "", now, COMPLAINT_DAYS)
        elif kind == "Reject":
            state = self._move(
                slug, job_id, DeliveryState.FAILED, "ses_rejected", str(detail.get("reason", ""))
            )
        elif kind in ("DeliveryDelay", "Rendering Failure"):
            state = self._move(slug, job_id, None, "delayed", str(detail.get("delayType", "")))
        else:
            return FeedbackOutcome(kind, slug, job_id)
        return FeedbackOutcome(kind, slug, job_id, state)

    def dsn(self, slug_and_job: str, mail: InboundMail, now: datetime) -> bool:
        """Apply a bounce or complaint that arrived at an address of ours to the mail that it speaks of."""
        slug, _, job_id = slug_and_job.partition("/")
        job: OutboundJob | None = self._store.job(slug, job_id)
        if job is None:
            return False
        if mail.complaint.by_a_person:
            said = mail.complaint.feedback_type
            self._move(slug, job_id, DeliveryState.COMPLAINED, "complaint", said)
            self._suppress(slug, job.recipient, "complaint", said, now, COMPLAINT_DAYS)
            return True
        for report in mail.bounce.recipients:
            # Behind an alias or a forward the address that failed is not the one that we wrote to.
            named = (identity(report.recipient), identity(report.original_recipient))
            if identity(job.recipient) not in named:
                continue
            if report.action in ("delivered", "relayed", "expanded"):
                self._move(slug, job_id, DeliveryState.DELIVERED, "", report.diagnostic)
            elif report.action == "delayed":
                self._move(slug, job_id, None, "delayed", report.diagnostic)
            else:
                code = "bounced_permanent" if report.permanent else "bounced_temporary"
                self._move(slug, job_id, DeliveryState.BOUNCED, code, report.diagnostic or report.status)
                # A mail refused for its content or size says nothing of the next one to that address.
                if report.address_is_dead:
                    self._suppress(slug, job.recipient, "bounce", report.status, now, BOUNCE_DAYS)
        return True

    def _find(self, mail: Mapping[str, Any]) -> tuple[str, str] | None:
        tags = mail.get("tags") or {}
        slug, job_id = _first(tags.get("tenant")), _first(tags.get("job"))
        if slug and job_id:
            return slug, job_id
        message_id = str(mail.get("messageId", ""))
        for domain in ("email.amazonses.com", *(f"{r}.amazonses.com" for r in _regions(mail))):
            found: tuple[str, str] | None = (
                self._store.sent_job(f"{message_id}@{domain}") if message_id else None
            )
            if found:
                return found
        return None

    def _bounce(self, slug: str, job_id: str, detail: Mapping[str, Any], now: datetime) -> str:
        permanent = detail.get("bounceType") == "Permanent"
        recipients = detail.get("bouncedRecipients") or [{}]
        words = str(recipients[0].get("diagnosticCode") or detail.get("bounceSubType") or "")
        code = "bounced_permanent" if permanent else "bounced_temporary"
        state = self._move(slug, job_id, DeliveryState.BOUNCED, code, words)
        if permanent:
            for each in recipients:
                self._suppress(
                    slug,
                    str(each.get("emailAddress", "")),
                    "bounce",
                    str(each.get("status", "")),
                    now,
                    BOUNCE_DAYS,
                )
        return state

    def _move(self, slug: str, job_id: str, state: DeliveryState | None, code: str, words: str) -> str:
        for _ in range(_TRIES):
            job: OutboundJob | None = self._store.job(slug, job_id)
            if job is None:
                return "gone"
            if state is None and job.state in WAITING_STATES:
                return job.state.value  # its sender has it, and will say more than "delayed"
            target = state or job.state
            if RANK[target] < RANK[job.state]:
                return job.state.value
            changed = replace(job, state=target, error_code=code, error_detail=" ".join(words.split())[:400])
            if self._store.settle(changed):
                return target.value
        raise Conflict("the mail kept changing")

    def _suppress(self, slug: str, address: str, reason: str, detail: str, now: datetime, days: int) -> None:
        who = identity(address)
        if "@" not in who:
            return
        self._store.suppress(slug, who, address, reason, detail, now, days)
        for _ in range(_TRIES):
            tenant = self._store.tenant(slug)
            told = tenant is not None and (
                tenant.member(who) is not None or identity(tenant.notify_email) == who
            )
            until = int((now + timedelta(days=days)).timestamp())
            if not told or tenant.undeliverable.get(who, -1) in (0, until):
                return
            current = {
                each: end for each, end in tenant.undeliverable.items() if tenant.is_undeliverable(each, now)
            }
            try:
                self._store.put_tenant(replace(tenant, undeliverable={**current, who: until}))
            except Conflict:
                continue
            return


def _first(value: object) -> str:
    if isinstance(value, list | tuple):
        return str(value[0]) if value else ""
    return str(value or "")


def _regions(mail: Mapping[str, Any]) -> tuple[str, ...]:
    """The region is part of ``mail.sourceArn``: arn:aws:ses:REGION:account:identity/domain."""
    parts = str(mail.get("sourceArn", "")).split(":")
    return (parts[3],) if len(parts) > 3 and parts[3] else ()
