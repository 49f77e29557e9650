"""Deliver: one promised mail to its recipient, through the tenant's own account or the shared address.

The claim makes one sender the owner of a job; from then on the job is either settled or, if the sender
dies, ``unknown`` once its claim has run out: never sent a second time by itself. Two store requests a mail:
claim and settle. The tenant is kept for a minute, and read again when a job was queued under newer settings.

    answer of the way out         job                                  account
    accepted                      accepted                             failures forgotten, breaker closed
    DeliveryDeferred              deferred, tried again with backoff
    DeliveryFailed                failed
    DeliveryUnknown               unknown
    AccountRefused                through the shared address, or       breaker opens: at once, or after three
                                  deferred while failures are counted  in a row; the admins are told once

A server that goes silent or breaks off counts as a failure of the account wherever it does so. While such a
failure is fresh, this batch's other mails of the tenant wait a moment instead of waiting for it as well: a
dead server holds a sender up once a batch, and whoever else's mails are in it. Of an open breaker's probes
one sender makes each: it moves the time of the next one before it connects.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from servelo.domain import ids
from servelo.domain.outbound import RANK, DeliveryState, MailKind, OutboundJob
from servelo.domain.smtp import SmtpLogin
from servelo.domain.tenant import BreakerState, Role, SmtpAccount, Tenant
from servelo.domain.ticket import Participant
from servelo.errors import (
    AccountRefused,
    Conflict,
    DeliveryDeferred,
    DeliveryFailed,
    DeliveryUnknown,
    NotFound,
    StoreUnavailable,
)
from servelo.mail import outbound
from servelo.mail.phrases import language
from servelo.records import dataclass, replace
from servelo.services.compose import Composer
from servelo.services.ports import (
    Accepted,
    Change,
    ChangeRefused,
    Clock,
    FileStore,
    JobQueue,
    MailTransport,
    PasswordVault,
    RawMailStore,
)

# Longer than the function may run (60 s): a claim that has run out was left by a sender that is gone.
CLAIM = timedelta(seconds=180)
TENANT_KEPT = timedelta(seconds=60)
GIVE_UP_AFTER = timedelta(hours=48)  # as long as most mail servers try (RFC 5321 4.5.4.1: 4 to 5 days)
BACKOFF_SECONDS = (60, 180, 600, 1800, 3600, 7200, 14400)
BREAKER_OPENS_AFTER = 3
PROBE_AFTER = timedelta(minutes=15)
LONGEST_QUEUE_DELAY_SECONDS = 900  # SQS; beyond it the sweep brings the job back
SWEEP_AGAIN = timedelta(minutes=10)
SETTLE_TRIES = 5
ACCOUNT_TRIES = 10  # twenty senders may count failures of one account at the same moment
# An account that did not answer is left alone for so long by the sender that waited for it.
SILENT_FOR = timedelta(seconds=30)
# For what was never tried: too little time left in the batch, no free connection, a silent account.
SHORT_WAIT_SECONDS = 20.0
_NOT_TRIED = frozenset({"no_time_left", "tenant_busy", "account_silent"})
# These say of the account's server that it does not work, at whatever stage they come.
_BROKEN = frozenset({"server_silent", "connection_lost", "answer_lost"})
_WAITED_FOR = frozenset({"connect_timeout", "no_greeting", "tls_timeout", "server_silent", "answer_lost"})


@dataclass(frozen=True, slots=True)
class DeliverOutcome:
    """What became of one job; what the handler logs. Holds no address and no text."""

    slug: str
    job_id: str
    state: str
    code: str = ""
    transport: str = ""
    kind: str = ""
    ticket_number: int = 0
    seconds_since_queued: float = 0.0
    breaker_opened: bool = False


class Deliverer:
    """Delivers jobs. *smtp* makes the way out of a tenant's account; *shared* is the shared address."""

    def __init__(
        self,
        *,
        store: Any,
        queue: JobQueue,
        files: FileStore,
        raw_mails: RawMailStore,
        vault: PasswordVault,
        shared: MailTransport,
        smtp: Callable[[str, SmtpLogin], MailTransport],
        composer: Callable[[], Composer],
        clock: Clock,
        mail_domain: str,
        shared_sender: str,
        tenants: dict[str, tuple[datetime, Tenant | None]] | None = None,
    ) -> None:
        self._store = store
        self._queue = queue
        self._files = files
        self._raw_mails = raw_mails
        self._vault = vault
        self._shared = shared
        self._smtp = smtp
        self._composer = composer
        self._clock = clock
        self._mail_domain = mail_domain
        self._shared_sender = shared_sender
        self._tenants = tenants if tenants is not None else {}
        self._silent: dict[tuple[str, int], datetime] = {}

    def deliver(self, slug: str, job_id: str) -> DeliverOutcome:
        """Deliver one job if it still waits.

        Raises:
            StoreUnavailable: nothing is known to have been sent; the queue brings the job again.
        """
        now = self._clock.now()
        claim_id = ids.sortable_id(now.timestamp())
        job: OutboundJob | None = self._store.claim(slug, job_id, now, now + CLAIM, claim_id)
        if job is None:
            found: OutboundJob | None = self._store.job(slug, job_id)
            # The answer to our own claim may have been lost on the way, and the client tried again.
            if found is None or found.state is not DeliveryState.SENDING or found.claimed_by != claim_id:
                return self._not_waiting(slug, job_id, found, now)
            job = found
        opened = False
        then: Callable[[], bool] | None = None
        try:
            tenant = self._tenant(slug, job.mail_version, now)
            if tenant is not None and tenant.suspended:
                settled = self._deferred(job, now, "tenant_suspended", "the tenant is suspended", wait=3600)
            else:
                settled, opened, then = self._send(job, tenant, now)
        except (StoreUnavailable, NotFound) as error:
            # The tenant, a file or the raw mail could not be read: nothing was handed over.
            settled = self._deferred(job, now, error.code, error.detail)
        except Exception as error:  # a defect of ours must not leave the job without an owner
            settled = self._deferred(job, now, "internal_error", type(error).__name__)
            self._settle(settled)
            raise
        self._settle(settled)
        if settled.state is DeliveryState.DEFERRED:
            self._queue_again(settled, now)
        # Last, because whatever happens here must not make a mail that was handed over wait again.
        if then is not None:
            opened = then()
        return self._outcome(settled, now, opened)

    def _settle(self, settled: OutboundJob) -> None:
        """Write the outcome. SES may report the mail's fate sooner than we do: then both are kept."""
        for _ in range(SETTLE_TRIES):
            if self._store.settle(settled, sent_now=bool(settled.remote_message_id)):
                return
            now_is: OutboundJob | None = self._store.job(settled.slug, settled.id)
            if now_is is None or (now_is.state is settled.state and now_is.transport == settled.transport):
                return  # erased, or it was our own request, whose answer was lost
            if settled.accepted_at is None or now_is.accepted_at is not None:
                return
            settled = replace(
                settled,
                state=now_is.state if RANK[now_is.state] > RANK[settled.state] else settled.state,
                error_code=now_is.error_code,
                error_detail=now_is.error_detail,
                version=now_is.version,
            )

    # ---- one attempt -----------------------------------------------------------------------------

    def _send(
        self, job: OutboundJob, tenant: Tenant | None, now: datetime
    ) -> tuple[OutboundJob, bool, Callable[[], bool] | None]:
        """Return the job as it is to be settled, whether the breaker opened, and what to note afterwards."""
        account = tenant.smtp if tenant else None
        opened = False
        contents = {f.object_key: self._files.get(f.object_key) for f in job.files}
        raw_mail = self._raw_mails.get(job.raw_key) if job.raw_key else None
        if tenant is not None and account is not None and self._may_use(tenant, account, now):
            if self._is_silent(tenant, now):
                return (
                    self._deferred(job, now, "account_silent", "the mail server did not answer"),
                    False,
                    None,
                )
            try:
                accepted = self._through_account(job, tenant, account, contents, now)
            except (AccountRefused, DeliveryDeferred) as refused:
                if isinstance(refused, DeliveryDeferred) and refused.code not in _BROKEN:
                    return self._deferred(job, now, refused.code, refused.detail, "smtp"), False, None
                is_open, opened = self._account_failed(tenant, account, refused, now)
                if not is_open:
                    return self._deferred(job, now, refused.code, refused.detail, "smtp"), False, None
                job = replace(job, error_code=refused.code, error_detail=refused.detail[:400])
            except DeliveryUnknown as error:
                ended = self._ended(job, DeliveryState.UNKNOWN, error.code, error.detail, "smtp")
                if error.code not in _BROKEN:
                    return ended, False, None
                return ended, False, lambda e=error: self._account_failed(tenant, account, e, now)[1]
            except DeliveryFailed as error:
                return self._ended(job, DeliveryState.FAILED, error.code, error.detail, "smtp"), False, None
            else:
                return (
                    self._accepted(job, accepted, now, "smtp"),
                    False,
                    lambda: self._account_works(tenant, account),
                )
        job = replace(job, shared_address=account is not None)
        try:
            message = outbound.build(
                job,
                tenant,
                mail_domain=self._mail_domain,
                sender_address=self._shared_sender,
                file_contents=contents,
                raw_mail=raw_mail,
                now=now,
                message_id_replaced=True,
            )
            accepted = _hand_over(self._shared, message, self._shared_sender, job)
        except DeliveryDeferred as error:
            return self._deferred(job, now, error.code, error.detail, self._shared.name), opened, None
        except DeliveryUnknown as error:
            ended = self._ended(job, DeliveryState.UNKNOWN, error.code, error.detail, self._shared.name)
            return ended, opened, None
        except DeliveryFailed as error:
            ended = self._ended(job, DeliveryState.FAILED, error.code, error.detail, self._shared.name)
            return ended, opened, None
        return self._accepted(job, accepted, now, self._shared.name), opened, None

    def _through_account(
        self,
        job: OutboundJob,
        tenant: Tenant,
        account: SmtpAccount,
        contents: dict[str, bytes],
        now: datetime,
    ) -> Accepted:
        sender = account.from_email or account.username
        named = replace(job, from_name=_from_name(job, account, tenant))
        message = outbound.build(
            named,
            tenant,
            mail_domain=self._mail_domain,
            sender_address=sender,
            file_contents=contents,
            now=now,
        )
        login = SmtpLogin(
            host=account.host,
            port=account.port,
            username=account.username,
            password=self._vault.decrypt(tenant.slug, account.encrypted_password),
            from_email=sender,
            from_name=account.from_name,
            provider=account.provider,
        )
        transport = self._smtp(tenant.slug, login)
        return _hand_over(transport, message, sender, job)

    # ---- the account's breaker ---------------------------------------------------------------------

    def _may_use(self, tenant: Tenant, account: SmtpAccount, now: datetime) -> bool:
        """Whether this mail takes the account. Of a probe that is due, one sender gets hold."""
        if account.breaker is BreakerState.CLOSED:
            return True
        if account.breaker_probe_at is None or account.breaker_probe_at > now:
            return False
        held = replace(account, breaker_probe_at=now + PROBE_AFTER)
        return self._save(replace(tenant, smtp=held), tenant, now)

    def _is_silent(self, tenant: Tenant, now: datetime) -> bool:
        since = self._silent.get((tenant.slug, tenant.mail_version))
        return since is not None and now - since < SILENT_FOR

    def _account_failed(
        self,
        tenant: Tenant,
        account: SmtpAccount,
        refused: AccountRefused | DeliveryDeferred | DeliveryUnknown,
        now: datetime,
    ) -> tuple[bool, bool]:
        """Count a failure of the account; open the breaker when it is time.

        Returns (whether it is open now, whether this call opened it). Senders that fail at the same moment
        each count; one that used settings of yesterday finds out here.
        """
        at_once = isinstance(refused, AccountRefused) and refused.at_once
        if refused.code in _WAITED_FOR:
            self._silent[tenant.slug, tenant.mail_version] = now
        for _ in range(ACCOUNT_TRIES):
            seen = self._seen(tenant.slug, now)
            current = seen.smtp if seen else None
            if seen is None or current is None or not _same_login(current, account):
                return False, False  # other settings by now: the next attempt takes those
            was_open = current.breaker is BreakerState.OPEN
            if was_open and account.breaker is BreakerState.CLOSED:
                return True, False  # somebody opened it while we tried; a probe alone may say more
            failures = current.failures + 1
            opens = was_open or at_once or failures >= BREAKER_OPENS_AFTER
            wait = PROBE_AFTER * min(2 ** max(0, failures - BREAKER_OPENS_AFTER), 16)
            changed = replace(
                current,
                failures=failures,
                breaker=BreakerState.OPEN if opens else BreakerState.CLOSED,
                breaker_reason=refused.code if opens else "",
                breaker_probe_at=now + wait if opens else None,
            )
            if self._save(replace(seen, smtp=changed), seen, now):
                if opens and not was_open:
                    self._tell_admins(seen, refused, now)
                return opens, opens and not was_open
        return at_once, False  # not written: the next failure counts

    def _account_works(self, tenant: Tenant, account: SmtpAccount) -> bool:
        """Forget failures and close the breaker. Always False: it was not opened."""
        if account.failures == 0 and account.breaker is BreakerState.CLOSED:
            return False
        now = self._clock.now()
        for _ in range(ACCOUNT_TRIES):
            seen = self._seen(tenant.slug, now)
            current = seen.smtp if seen else None
            if seen is None or current is None or not _same_login(current, account):
                return False
            healed = replace(
                current, failures=0, breaker=BreakerState.CLOSED, breaker_reason="", breaker_probe_at=None
            )
            if self._save(replace(seen, smtp=healed), seen, now):
                return False
        return False

    def _seen(self, slug: str, now: datetime) -> Tenant | None:
        """The tenant as this sender last wrote or read it; a refused write makes it read again."""
        return self._tenants.get(slug, (now, None))[1] or self._read_tenant(slug, now)

    def _save(self, changed: Tenant, seen: Tenant, now: datetime) -> bool:
        """Write the breaker's state. Somebody else's newer settings win; False then."""
        try:
            self._tenants[seen.slug] = (now, self._store.put_tenant(changed))
        except (Conflict, StoreUnavailable):
            self._tenants.pop(seen.slug, None)
            return False
        return True

    def _tell_admins(
        self, tenant: Tenant, refused: AccountRefused | DeliveryDeferred | DeliveryUnknown, now: datetime
    ) -> None:
        composer = self._composer()
        spoken = language(tenant.locale)
        text = spoken.phrase("breaker_text", reason=refused.code.replace("_", " "))
        jobs = tuple(
            composer.plain(
                tenant,
                tenant.slug,
                MailKind.MESSAGE,
                Participant(member.email, member.name),
                {"text": text},
                subject=spoken.phrase("breaker_title"),
                cause=f"breaker#{tenant.slug}#{now.isoformat()}",
                now=now,
                automatic=True,
            )
            for member in tenant.members
            if member.role is Role.ADMIN
        )
        try:
            self._store.commit(Change(slug=tenant.slug, jobs=jobs))
            self._queue.put([(job.slug, job.id) for job in jobs])
        except (ChangeRefused, StoreUnavailable):
            return  # the breaker's state in Settings says the same; the mail itself matters more now

    # ---- outcomes -------------------------------------------------------------------------------------

    def _accepted(self, job: OutboundJob, accepted: Accepted, now: datetime, way: str) -> OutboundJob:
        return replace(
            job,
            state=DeliveryState.ACCEPTED,
            transport=way,
            accepted_at=now,
            remote_message_id=accepted.remote_message_id,
            error_code=job.error_code if job.shared_address else "",
            error_detail=accepted.server_words[:400],
        )

    def _ended(self, job: OutboundJob, state: DeliveryState, code: str, detail: str, way: str) -> OutboundJob:
        return replace(job, state=state, error_code=code, error_detail=detail[:400], transport=way)

    def _deferred(
        self, job: OutboundJob, now: datetime, code: str, detail: str, way: str = "", wait: float = 0.0
    ) -> OutboundJob:
        if now - job.created_at > GIVE_UP_AFTER:
            return self._ended(job, DeliveryState.FAILED, "gave_up", f"{code}: {detail}", way)
        if code in _NOT_TRIED:
            job, wait = replace(job, attempts=max(0, job.attempts - 1)), SHORT_WAIT_SECONDS
        if not wait:
            wait = BACKOFF_SECONDS[max(0, min(job.attempts, len(BACKOFF_SECONDS)) - 1)]
        wait *= random.uniform(0.8, 1.2)  # noqa: S311 - so that a broken account's mails do not come all at once
        return replace(
            job,
            state=DeliveryState.DEFERRED,
            transport=way,
            error_code=code,
            error_detail=detail[:400],
            due_at=now + timedelta(seconds=wait),
        )

    def _queue_again(self, job: OutboundJob, now: datetime) -> None:
        delay = int((job.due_at - now).total_seconds())
        if delay > LONGEST_QUEUE_DELAY_SECONDS:
            return
        try:
            self._queue.put([(job.slug, job.id)], delay_seconds=max(0, delay))
        except StoreUnavailable:
            return  # the sweep finds it by its due time

    def _not_waiting(self, slug: str, job_id: str, job: OutboundJob | None, now: datetime) -> DeliverOutcome:
        """Sent, held by another sender, or left by one that died: then nobody knows whether it went."""
        if job is None:
            return DeliverOutcome(slug, job_id, "gone")
        if job.state is DeliveryState.SENDING and (job.claimed_until is None or job.claimed_until < now):
            lost = self._ended(
                job, DeliveryState.UNKNOWN, "sender_died", "the sender ended before it knew the answer", ""
            )
            if self._store.settle(lost):
                return self._outcome(lost, now, False)
        return self._outcome(job, now, False)

    @staticmethod
    def _outcome(job: OutboundJob, now: datetime, opened: bool) -> DeliverOutcome:
        return DeliverOutcome(
            job.slug,
            job.id,
            job.state.value,
            job.error_code,
            job.transport,
            job.kind.value,
            job.ticket_number,
            (now - job.created_at).total_seconds(),
            opened,
        )

    def _tenant(self, slug: str, mail_version: int, now: datetime) -> Tenant | None:
        kept = self._tenants.get(slug)
        if kept and now - kept[0] < TENANT_KEPT and kept[1] and kept[1].mail_version >= mail_version:
            return kept[1]
        return None if slug == "-" else self._read_tenant(slug, now)

    def _read_tenant(self, slug: str, now: datetime) -> Tenant | None:
        tenant: Tenant | None = self._store.tenant(slug)
        self._tenants[slug] = (now, tenant)
        return tenant


class Sweeper:
    """Queues again what has waited too long: a queue that was down, a sender that died, a long backoff."""

    def __init__(self, *, store: Any, queue: JobQueue, clock: Clock) -> None:
        self._store = store
        self._queue = queue
        self._clock = clock

    def sweep(self) -> int:
        """Queue every due job once and return how many. Each is then left alone for ten minutes.

        Raises:
            StoreUnavailable: the next sweep goes on.
        """
        now = self._clock.now()
        found = 0
        batch: list[tuple[str, str]] = []
        for slug, job_id in self._store.due_jobs(now):
            if self._store.postpone(slug, job_id, now, now + SWEEP_AGAIN):
                batch.append((slug, job_id))
                found += 1
            if len(batch) == 100:
                self._queue.put(batch)
                batch = []
        if batch:
            self._queue.put(batch)
        return found


def _hand_over(transport: MailTransport, message: bytes, sender: str, job: OutboundJob) -> Accepted:
    """Send. An error that no transport should raise may come after the data went: never send that again."""
    try:
        return transport.send(
            message, envelope_sender=sender, recipient=job.recipient, tags={"tenant": job.slug, "job": job.id}
        )
    except (AccountRefused, DeliveryDeferred, DeliveryFailed, DeliveryUnknown):
        raise
    except Exception as error:
        raise DeliveryUnknown(type(error).__name__, code="internal_error") from error


def _same_login(one: SmtpAccount, other: SmtpAccount) -> bool:
    return (one.host, one.port, one.username, one.encrypted_password) == (
        other.host,
        other.port,
        other.username,
        other.encrypted_password,
    )


def _from_name(job: OutboundJob, account: SmtpAccount, tenant: Tenant) -> str:
    """The tenant's From name stands where the tenant's name would; a person's name stays in front."""
    if not account.from_name:
        return job.from_name
    person, via, _ = job.from_name.rpartition(" via ")
    return f"{person}{via}{account.from_name}" if via else account.from_name
