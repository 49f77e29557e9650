"""The part of the store that the sender uses, in memory: for runs of thousands of mails.

moto takes longer over one write than a mail server over a mail, so that a run on it measures moto.
``integration/test_sender_store.py`` puts this class and ``DynamoStore`` through the same tests.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from servelo.domain.outbound import WAITING_STATES, DeliveryState, OutboundJob
from servelo.domain.tenant import Tenant
from servelo.errors import Conflict
from servelo.services.ports import Change, ChangeRefused

_CLAIMABLE = frozenset({DeliveryState.QUEUED, DeliveryState.DEFERRED})


class MemoryStore:
    """Tenants and jobs. Each method is one whole request, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tenants: dict[str, Tenant] = {}
        self._jobs: dict[tuple[str, str], OutboundJob] = {}
        self._swept_at: dict[tuple[str, str], datetime] = {}
        self._aliases: dict[str, tuple[str, str]] = {}

    def tenant(self, slug: str) -> Tenant | None:
        return self._tenants.get(slug)

    def put_tenant(self, tenant: Tenant, *, create: bool = False) -> Tenant:
        with self._lock:
            stored = self._tenants.get(tenant.slug)
            if stored is not None if create else stored is None or stored.version != tenant.version:
                raise Conflict("changed meanwhile")
            written = self._tenants[tenant.slug] = replace(tenant, version=tenant.version + 1)
            return written

    def commit(self, change: Change) -> None:
        with self._lock:
            if any((job.slug, job.id) in self._jobs for job in change.jobs):
                raise ChangeRefused(["job"])
            for job in change.jobs:
                self._jobs[job.slug, job.id] = job
                self._swept_at[job.slug, job.id] = job.due_at

    def job(self, slug: str, job_id: str) -> OutboundJob | None:
        return self._jobs.get((slug, job_id))

    def jobs(self, slug: str, limit: int = 50, after: str = "") -> tuple[list[OutboundJob], str]:
        found = sorted((job for job in self._jobs.values() if job.slug == slug), key=lambda job: job.id)[::-1]
        rest = [job for job in found if not after or job.id < after]
        return rest[:limit], rest[limit - 1].id if len(rest) > limit else ""

    def claim(
        self, slug: str, job_id: str, now: datetime, until: datetime, claim_id: str = ""
    ) -> OutboundJob | None:
        with self._lock:
            job = self._jobs.get((slug, job_id))
            if job is None or job.state not in _CLAIMABLE:
                return None
            claimed = replace(
                job,
                state=DeliveryState.SENDING,
                claimed_until=until,
                claimed_by=claim_id,
                attempts=job.attempts + 1,
                version=job.version + 1,
            )
            self._jobs[slug, job_id] = claimed
            self._swept_at[slug, job_id] = until
            return claimed

    def settle(self, job: OutboundJob, *, sent_now: bool = False) -> bool:
        key = (job.slug, job.id)
        with self._lock:
            stored = self._jobs.get(key)
            if stored is None or stored.version != job.version:
                return False
            self._jobs[key] = replace(job, claimed_until=None, version=job.version + 1)
            if job.state in WAITING_STATES:
                self._swept_at[key] = job.due_at
            else:
                self._swept_at.pop(key, None)
            if job.remote_message_id and (sent_now or job.state is DeliveryState.ACCEPTED):
                self._aliases[job.remote_message_id] = key
            return True

    def sent_job(self, remote_message_id: str) -> tuple[str, str] | None:
        return self._aliases.get(remote_message_id)

    def due_jobs(self, now: datetime, limit: int = 500) -> Iterator[tuple[str, str]]:
        with self._lock:
            due = [key for key, at in self._swept_at.items() if at <= now]
        return iter(due)

    def postpone(self, slug: str, job_id: str, now: datetime, until: datetime) -> bool:
        with self._lock:
            at = self._swept_at.get((slug, job_id))
            if at is None or at > now:
                return False
            self._swept_at[slug, job_id] = until
            return True
