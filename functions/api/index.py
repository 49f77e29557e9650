"""Index: keeps the search postings in step with tickets and comments.

Trigger  the table's stream, ReportBatchItemFailures. Only what can be found is looked at: a new comment, a
         ticket whose subject or people changed, and what an erasure removed. The postings themselves come by
         too and are passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from servelo import bootstrap
from servelo.adapters.stream_records import changed_words
from servelo.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    for record in event.get("Records", []):
        try:
            found = changed_words(record)
            if found is not None:
                store = bootstrap.store()
                change = store.delete_postings if found.gone else store.put_postings
                change(found.slug, found.number, found.words)
        except Exception:
            # A stream goes on only in order: this record and what follows come again, or end in the queue.
            logger.exception("a change could not be indexed")
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}


bootstrap.prepare(bootstrap.store)
