"""Emails: invoices, quotes and messages from a tenant's other programs, and what became of every mail."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from servelo.domain.outbound import DeliveryState, MailKind, OutboundJob
from servelo.domain.tenant import Tenant
from servelo.domain.ticket import Participant, StoredFile
from servelo.errors import Conflict, InvalidInput, NotFound, TooMany
from servelo.mail.address import identity
from servelo.mail.reply_token import KeyRing
from servelo.records import dataclass, replace
from servelo.services.compose import MAX_ATTACHED_BYTES, SWEEP_AFTER, Composer
from servelo.services.files import Files
from servelo.services.ports import Change, ChangeRefused, Clock
from servelo.services.post import Post

MAX_ATTACHMENT_BYTES = 4 * 1024 * 1024  # Lambda takes 6 MB of request, base64 makes 4 MB into 5.4
RETRYABLE = frozenset(
    {
        DeliveryState.UNKNOWN,
        DeliveryState.DEFERRED,
        DeliveryState.BOUNCED,
        DeliveryState.COMPLAINED,
        DeliveryState.SUPPRESSED,
        DeliveryState.FAILED,
    }
)
LIFT_TRIES = 5
DAY = 86400
# SES counts bounces and complaints of all tenants together; who has an SMTP account answers to its provider.
BY_SHARED_ADDRESS_A_DAY = 500
# Fields that each kind needs; in the words of the request.
_NEEDED: Mapping[MailKind, tuple[str, ...]] = {
    MailKind.INVOICE: ("number", "amount"),
    MailKind.QUOTE: ("number", "link"),
    MailKind.MESSAGE: ("text",),
}
_CONTENT = ("number", "amount", "currency", "due_date", "link", "text")


@dataclass(frozen=True, slots=True)
class Emails:
    """*store* is a ``DynamoStore``."""

    store: Any
    post: Post
    files: Files
    ring: Callable[[], KeyRing]
    clock: Clock
    mail_domain: str

    def send(self, tenant: Tenant, values: Mapping[str, Any], *, owner: str, cause: str) -> OutboundJob:
        """Promise the mail that *values* describe and queue it. *cause* tells repeated requests apart.

        Raises:
            InvalidInput: a field that this kind needs is missing, or an attachment is no base64 or too large.
            TooMany: more than 500 a day by the shared address.
        """
        from servelo.mail import outbound

        kind = MailKind(values["kind"])
        for name in _NEEDED[kind]:
            if not values.get(name):
                raise InvalidInput(f"Fill in this field: {_a(kind)} needs it.", field=name)
        slug = tenant.slug
        now = self.clock.now()
        suppressed = bool(self.store.suppressed(slug, [identity(values["recipient"])]))
        if not suppressed and tenant.smtp is None:
            self._count(slug, now)
        files = self._attachments(slug, values, owner)
        if kind is MailKind.INVOICE and not values.get("link") and not files:
            raise InvalidInput("An invoice needs a link or an attachment.", field="link")
        content: dict[str, object] = {name: values[name] for name in _CONTENT if values.get(name)}
        if files:
            content["files"] = [f.filename for f in files]
            content["file_sizes"] = [f.size_bytes for f in files]
        job = Composer(self.mail_domain, "", self.ring()).plain(
            tenant,
            slug,
            kind,
            Participant(values["recipient"], values.get("recipient_name", "")),
            content,
            subject=values.get("subject") or outbound.subject_for(kind, tenant, content),
            cause=cause,
            now=now,
            files=files,
            reply_to=values.get("reply_to") or f"{slug}@{self.mail_domain}",
        )
        if suppressed:
            job = replace(job, state=DeliveryState.SUPPRESSED, error_code="suppressed")
        try:
            self.post.commit(Change(slug=slug, jobs=(job,)))
        except ChangeRefused as refused:
            raise Conflict("this mail was promised a moment ago", code="sent_already") from refused
        self.files.forget(slug, owner, values.get("files", ()))
        return job

    def get(self, slug: str, job_id: str) -> OutboundJob:
        """Return a mail. Raises NotFound."""
        job: OutboundJob | None = self.store.job(slug, job_id)
        if job is None:
            raise NotFound("there is no such mail")
        return job

    def retry(self, slug: str, job_id: str) -> OutboundJob:
        """Queue a mail again now, because a person asked for it.

        Raises:
            NotFound: no such mail.
            Conflict: ``not_retryable``: it went, or is on its way; ``suppressed``: mail to this address is.
        """
        job = self.get(slug, job_id)
        refused = Conflict("this mail is on its way or has arrived", code="not_retryable")
        if job.state not in RETRYABLE:
            raise refused
        if self.store.suppressed(slug, [identity(job.recipient)]):
            raise Conflict(
                "mail to this address came back or was called spam; lift that under Settings, Suppressions",
                code="suppressed",
            )
        again = replace(
            job,
            state=DeliveryState.QUEUED,
            error_code="",
            error_detail="",
            claimed_until=None,
            due_at=self.clock.now() + SWEEP_AFTER,
        )
        if not self.store.settle(again):
            raise refused
        self.post.enqueue((again,))
        return again

    def _count(self, slug: str, now: datetime) -> None:
        name = f"shared-address#{int(now.timestamp()) // DAY}"
        if not self.store.count(slug, name, BY_SHARED_ADDRESS_A_DAY, DAY, now):
            raise TooMany(
                f"That is more than {BY_SHARED_ADDRESS_A_DAY} mails in one day by the shared address. Set up "
                "your own account under Settings, Outbound Email (SMTP), or go on tomorrow."
            )

    def lift(self, slug: str, email: str) -> None:
        """Let mail go to an address again, the team's notifications too; nothing happens when it may already.

        Raises:
            Conflict: the tenant's settings were changed all the while.
        """
        who = identity(email)
        self.store.lift_suppression(slug, who)
        for _ in range(LIFT_TRIES):
            tenant = self.store.tenant(slug)
            if tenant is None or who not in tenant.undeliverable:
                return
            left = {each: end for each, end in tenant.undeliverable.items() if each != who}
            try:
                self.store.put_tenant(replace(tenant, undeliverable=left))
            except Conflict:
                continue
            return
        raise Conflict("the settings kept changing; lift it once more")

    def _attachments(self, slug: str, values: Mapping[str, Any], owner: str) -> tuple[StoredFile, ...]:
        files = list(self.files.take_over(slug, owner, values.get("files", ())))
        given = values.get("attachment")
        if given:
            wrong = InvalidInput(
                "Use base64 of at most 4 MB of content.", field="attachment.content_base64", code="not_base64"
            )
            try:
                content = base64.b64decode(given["content_base64"], validate=True)
            except (binascii.Error, ValueError):
                raise wrong from None
            if not 0 < len(content) <= MAX_ATTACHMENT_BYTES:
                raise wrong
            files.append(self.files.store(slug, "a0", given["filename"], content))
        if sum(f.size_bytes for f in files) > MAX_ATTACHED_BYTES:
            raise InvalidInput(
                "Attach at most 7 MB; link to what is larger.", field="files", code="files_too_large"
            )
        return tuple(files)


def _a(kind: MailKind) -> str:
    return {MailKind.INVOICE: "an invoice", MailKind.QUOTE: "a quote"}.get(kind, "a message")
