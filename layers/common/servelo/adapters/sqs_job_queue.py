"""The outbound queue: a message is ``{slug}/{outbox id}`` and nothing else; the outbox item is the promise.

``MessageGroupId`` is the slug. On a standard queue it does not order anything: it lets SQS serve a quiet
tenant's messages before those of one who floods the queue (fair queues).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from servelo.adapters.aws_errors import translated
from servelo.errors import StoreUnavailable

BATCH = 10  # SendMessageBatch takes no more
MAX_DELAY_SECONDS = 900


class SqsJobQueue:
    """``ports.JobQueue`` on one queue."""

    def __init__(self, client: Any, url: str) -> None:
        self._sqs = client
        self._url = url

    def put(self, jobs: Sequence[tuple[str, str]], *, delay_seconds: int = 0) -> None:
        """Queue (slug, outbox id) pairs; one SendMessageBatch per ten.

        Raises:
            StoreUnavailable: SQS refused a message or did not answer. Some may be queued: the same job twice
                is one mail, and what is missing is queued again by the sweep.
        """
        for start in range(0, len(jobs), BATCH):
            entries = [
                {
                    "Id": str(index),
                    "MessageBody": f"{slug}/{job_id}",
                    "DelaySeconds": min(max(0, delay_seconds), MAX_DELAY_SECONDS),
                    "MessageGroupId": slug,
                }
                for index, (slug, job_id) in enumerate(jobs[start : start + BATCH])
            ]
            with translated("SQS"):
                answer = self._sqs.send_message_batch(QueueUrl=self._url, Entries=entries)
            if answer.get("Failed"):
                raise StoreUnavailable(f"SQS: {answer['Failed'][0].get('Code', 'error')}")
