"""Post: write a change with the mails it promises, then queue them. The outbox is the promise.

A change that a request with an Idempotency-Key makes is written in one transaction with the note that the
request was carried out, so that a request which breaks off is never carried out twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from servelo.domain.outbound import WAITING_STATES, OutboundJob
from servelo.errors import StoreUnavailable
from servelo.records import dataclass, replace
from servelo.services.ports import Change, JobQueue, OnceClaim

_request: ContextVar[OnceClaim | None] = ContextVar("request", default=None)


@contextmanager
def carried_out_once(claim: OnceClaim) -> Iterator[None]:
    """Within the block, every change belongs to the request that holds *claim*."""
    token = _request.set(claim)
    try:
        yield
    finally:
        _request.reset(token)


@dataclass(frozen=True, slots=True)
class Post:
    """*store* is a ``DynamoStore``."""

    store: Any
    queue: JobQueue

    def commit(self, change: Change) -> None:
        """Write *change* in one transaction, then queue its jobs. Raises ChangeRefused, StoreUnavailable."""
        self.store.commit(replace(change, once=_request.get()))
        self.enqueue(change.jobs)

    def enqueue(self, jobs: Sequence[OutboundJob]) -> None:
        """Queue what is promised already; what SQS does not take now, the sweep queues within minutes."""
        waiting = [(job.slug, job.id) for job in jobs if job.state in WAITING_STATES]
        if not waiting:
            return
        try:
            self.queue.put(waiting)
        except StoreUnavailable:
            return
