"""Sender: delivers promised mails; sweeps the outbox; applies what SES reports of mails sent.

Triggers  deliver   SQS outbound, ReportBatchItemFailures: a job is ``{slug}/{outbox id}``. Outcomes of the
                    mail server are written on the job; only a store that does not answer sends a record back.
          sweep     a schedule, once a minute.
          feedback  SQS, ReportBatchItemFailures: SES configuration-set events, carried by SNS.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from servelo import bootstrap
from servelo.batch import handle_each
from servelo.errors import MailRejected
from servelo.observability import count, count_by, logger, metrics, seconds
from servelo.services.deliver import Deliverer, DeliverOutcome

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# A mail that its own server refuses at the last moment still goes through SES (3 s to connect, 20 s to
# answer) and is settled after that.
RESERVE_SECONDS = 25

_METRICS = {
    "accepted": "MailSent",
    "failed": "MailFailed",
    "unknown": "MailUnknown",
    "deferred": "MailDeferred",
}


def deliver_record(deliverer: Deliverer, record: dict[str, Any]) -> None:
    slug, slash, job_id = record["body"].partition("/")
    if not slash or not slug or not job_id:
        raise MailRejected("a job reads {slug}/{outbox id}", code="job_malformed")
    logger.set_correlation_id(record["body"])
    report(deliverer.deliver(slug, job_id))


def report(outcome: DeliverOutcome) -> None:
    logger.info(
        "mail handled",
        state=outcome.state,
        code=outcome.code,
        tenant=outcome.slug,
        job_id=outcome.job_id,
        kind=outcome.kind,
        transport=outcome.transport,
        ticket=outcome.ticket_number,
    )
    name = _METRICS.get(outcome.state)
    if name:
        count(name)
    if outcome.state == "accepted":
        seconds("SecondsToSend", outcome.seconds_since_queued)
    if outcome.state == "failed":
        count_by("MailFailedByTenant", "tenant", outcome.slug)
    if outcome.breaker_opened:
        count_by("BreakerOpened", "tenant", outcome.slug)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    def time_left() -> float:
        return context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS

    with bootstrap.smtp_connections(time_left) as connections:
        deliverer = bootstrap.deliverer(connections)

        def handle(record: dict[str, Any]) -> None:
            deliver_record(deliverer, record)

        return handle_each(event, handle)


@logger.inject_lambda_context
@metrics.log_metrics
def sweep_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    found = bootstrap.sweeper().sweep()
    count("OutboxSwept", found)
    if found:
        logger.warning("jobs were waiting too long", jobs=found)
    return {"queued": found}


def feedback_record(record: dict[str, Any]) -> None:
    body = json.loads(record["body"])
    if isinstance(body, dict) and isinstance(body.get("Message"), str) and "eventType" not in body:
        if not body["Message"].startswith("{"):
            return  # SNS's and SES's set-up messages
        body = json.loads(body["Message"])
    outcome = bootstrap.feedback().ses_event(body)
    logger.info(
        "feedback applied",
        event=outcome.event,
        tenant=outcome.slug,
        job_id=outcome.job_id,
        state=outcome.state,
    )
    count_by("Feedback", "event", outcome.event)


@logger.inject_lambda_context
@metrics.log_metrics
def feedback_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return handle_each(event, feedback_record)


bootstrap.prepare(
    bootstrap.store, bootstrap.shared_address, bootstrap.render_nothing, bootstrap.ready_to_send
)
