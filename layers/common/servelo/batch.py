"""A batch of SQS records, each handled alone: what fails goes back on the queue alone.

The answer is Lambda's partial batch response (``ReportBatchItemFailures``). Powertools' BatchProcessor gives
the same and imports asyncio and thirty event classes for it: an eighth of a cold start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from servelo.observability import logger


def handle_each(event: dict[str, Any], handle: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Call *handle* with each record of *event*; return the ids of those it raised for, and log why."""
    failed = []
    for record in event["Records"]:
        try:
            handle(record)
        except Exception:
            logger.exception(
                "a record goes back on the queue",
                tries=record.get("attributes", {}).get("ApproximateReceiveCount"),
            )
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
