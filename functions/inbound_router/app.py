"""InboundRouter: turns the receipts of inbound mail into tickets, comments and promised mails.

Trigger  SQS, ReportBatchItemFailures; each record is the SES notification of one stored mail. A record that
         cannot be handled now goes back on the queue alone, and after its last try to the dead-letter queue.
         The flood queue brings what was set aside here because others waited (services/fair_share).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from servelo import bootstrap
from servelo.adapters import ses_receipt
from servelo.batch import handle_each
from servelo.errors import ServeloError
from servelo.observability import count, count_by, logger, metrics, seconds
from servelo.services.route_inbound import Delivery, RouteOutcome

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from servelo.adapters.sqs_flood_queue import SqsFloodQueue


def route_record(record: dict[str, Any]) -> None:
    receipt = ses_receipt.read(record["body"])
    if receipt is None:
        return
    logger.set_correlation_id(receipt.ses_message_id)
    count("MailReceived")
    deliveries = [
        Delivery(
            receipt.ses_message_id,
            receipt.object_key,
            recipient,
            receipt.envelope_sender,
            receipt.received_at,
            receipt.verdicts,
        )
        for recipient in receipt.recipients
    ]
    for outcome in bootstrap.router().route(deliveries):
        if bootstrap.flood_queue() is not None:
            bootstrap.fair_share().learn(receipt.recipients, outcome.slug)
        report(outcome)


def without_floods(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Set aside what would keep others waiting; return the records to route now.

    What the flood queue does not take is routed now: late is better than lost.
    """
    floods = bootstrap.flood_queue()
    if floods is None:
        return records
    groups = {place: group for place, each in enumerate(records) if (group := group_aside(each, floods))}
    if not groups:
        return records
    places = list(groups)
    queued = floods.put([(records[place]["body"], groups[place]) for place in places])
    aside = {places[each] for each in queued}
    count("MailSetAside", len(aside))
    logger.info("mails set aside", mails=len(aside), tenants=sorted({groups[place] for place in aside}))
    return [each for place, each in enumerate(records) if place not in aside]


def group_aside(record: dict[str, Any], floods: SqsFloodQueue) -> str:
    """Return the message group under which *record* must wait, ``""`` when it is to be routed now."""
    if floods.is_source_of(record.get("eventSourceARN", "")):
        return ""
    try:
        receipt = ses_receipt.read(record["body"])
        sent_ms = int(record.get("attributes", {}).get("SentTimestamp", 0))
        waited = bootstrap.clock().now().timestamp() - sent_ms / 1000 if sent_ms else 0.0
        return bootstrap.fair_share().set_aside(receipt.recipients, waited) if receipt else ""
    except (ServeloError, ValueError):
        return ""  # routing says what is wrong with it


def report(outcome: RouteOutcome) -> None:
    logger.info(
        "mail routed",
        outcome=outcome.outcome.value,
        tenant=outcome.slug,
        ticket=outcome.ticket_number,
        delivery_id=outcome.delivery_id,
        mails=len(outcome.jobs),
        repeated=outcome.repeated,
    )
    if outcome.repeated:
        return
    if outcome.outcome.value.startswith("ticket_"):
        count("TicketCreated")
        seconds("SecondsToTicket", outcome.seconds_since_receipt)
    elif outcome.comment_id:
        count("CommentAdded")
    else:
        count_by("MailRejected", "code", outcome.outcome.value)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return handle_each({"Records": without_floods(event["Records"])}, route_record)


bootstrap.prepare(
    bootstrap.router,
    bootstrap.flood_queue,
    bootstrap.fair_share,
    bootstrap.read_nothing,
    bootstrap.ready_to_route,
)
