"""The flood queue: receipts of a tenant who had a full share, to be routed when there is room.

The body is the receipt as it came. ``MessageGroupId`` is whose it is: on a standard queue it orders nothing,
and lets SQS serve a quiet tenant's receipts before those of one who floods this queue too (fair queues).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from servelo.adapters.aws_errors import translated
from servelo.errors import StoreUnavailable

BATCH = 10  # SendMessageBatch takes no more
MAX_BATCH_BYTES = 250_000  # a batch may have as many as one message could have when SQS began: 256 KiB


class SqsFloodQueue:
    """Puts receipts aside on one queue."""

    def __init__(self, client: Any, url: str) -> None:
        self._sqs = client
        self._url = url
        self._name = url.rpartition("/")[2]

    def is_source_of(self, arn: str) -> bool:
        """Tell whether a record whose ``eventSourceARN`` is *arn* comes from here."""
        return arn.rpartition(":")[2] == self._name

    def put(self, receipts: Sequence[tuple[str, str]]) -> set[int]:
        """Queue (body, group) pairs, ten with one request; return the places of those that are queued.

        What SQS refuses, or does not answer for, is not among them. It may be queued all the same: a delivery
        has one id, and twice is once.
        """
        queued: set[int] = set()
        for places in _batches(receipts):
            entries = [
                {"Id": str(place), "MessageBody": receipts[place][0], "MessageGroupId": receipts[place][1]}
                for place in places
            ]
            try:
                with translated("SQS"):
                    answer = self._sqs.send_message_batch(QueueUrl=self._url, Entries=entries)
            except StoreUnavailable:
                continue
            queued |= {int(each["Id"]) for each in answer.get("Successful", [])}
        return queued


def _batches(receipts: Sequence[tuple[str, str]]) -> list[list[int]]:
    batches: list[list[int]] = []
    size = 0
    for place, (body, _) in enumerate(receipts):
        length = len(body.encode("utf-8", "replace"))
        if not batches or len(batches[-1]) == BATCH or size + length > MAX_BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(place)
        size += length
    return batches
