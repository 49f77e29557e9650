"""Post: write a change with the mails it promises, then queue them. The outbox is the promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from servelo.domain.outbound import OutboundJob
from servelo.errors import StoreUnavailable
from servelo.services.ports import Change, JobQueue


@dataclass(frozen=True, slots=True)
class Post:
    """*store* is a ``DynamoStore``."""

    store: Any
    queue: JobQueue

    def commit(self, change: Change) -> None:
        """Write *change* in one transaction, then queue its jobs. Raises ChangeRefused, StoreUnavailable."""
        self.store.commit(change)
        self.enqueue(change.jobs)

    def enqueue(self, jobs: Sequence[OutboundJob]) -> None:
        """Queue what is promised already; what SQS does not take now, the sweep queues within minutes."""
        if not jobs:
            return
        try:
            self.queue.put([(job.slug, job.id) for job in jobs])
        except StoreUnavailable:
            return
