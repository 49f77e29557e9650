"""InboundRouter: turns the receipts of inbound mail into tickets, comments and promised mails.

Trigger  SQS, ReportBatchItemFailures; each record is the SES notification of one stored mail. A record that
         cannot be handled now goes back on the queue alone, and after its last try to the dead-letter queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from servelo import bootstrap
from servelo.adapters import ses_receipt
from servelo.batch import handle_each
from servelo.observability import count, count_by, logger, metrics, seconds
from servelo.services.route_inbound import Delivery, RouteOutcome

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


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
        report(outcome)


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
    return handle_each(event, route_record)


bootstrap.prepare(bootstrap.router, bootstrap.read_nothing)
