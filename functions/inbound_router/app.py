"""InboundRouter: turns the receipts of inbound mail into tickets, comments and promised mails.

Trigger  SQS, ReportBatchItemFailures; each record is the SES notification of one stored mail. A record that
         cannot be handled now goes back on the queue alone, and after its last try to the dead-letter queue.
"""

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from servelo import bootstrap
from servelo.adapters import ses_receipt
from servelo.observability import count, count_by, logger, metrics, seconds
from servelo.services.route_inbound import Delivery, RouteOutcome

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def route_record(record: SQSRecord) -> None:
    receipt = ses_receipt.read(record.body)
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
    try:
        outcomes = bootstrap.router().route(deliveries)
    except Exception:
        # The framework turns it into a partial batch response and would say nothing of the reason.
        logger.exception("mail not routed", tries=record.attributes.approximate_receive_count)
        raise
    for outcome in outcomes:
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
    return process_partial_response(event, route_record, processor, context)  # type: ignore[return-value]


bootstrap.prepare(bootstrap.router, bootstrap.read_nothing)
