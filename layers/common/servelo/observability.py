"""Logs and metrics, made once and imported by the functions. No address, body, token or password passes here.

Every line carries the correlation id: the SES message id on the way in, ``slug/job`` on the way out.
Metrics (namespace ``Servelo``): MailReceived, TicketCreated, CommentAdded, MailRejected (by code),
MailSetAside, SecondsToTicket; MailSent, MailFailed, MailUnknown, MailDeferred, BreakerOpened (by tenant),
SecondsToSend, OutboxSwept. Dimensions: service and stage, so that two stages in one account stay apart.
"""

from __future__ import annotations

import logging
import os
import traceback
import warnings

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric

os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "servelo")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "Servelo")

# A batch may well hold nothing to count (a set-up message, a job that was sent already); that is no fault.
warnings.filterwarnings("ignore", message="No application metrics to publish")


class _WithoutMessages(logging.Filter):
    """Of an exception only classes, codes and places are logged: its message may quote anything."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            record.exception_chain = [_name(each) for each in _chain(error)]
            record.exception_places = [
                f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
                for each in _chain(error)
                for frame in traceback.extract_tb(each.__traceback__)[-12:]
            ]
        record.exc_info = record.exc_text = None
        return True


def _chain(error: BaseException) -> list[BaseException]:
    """Return *error* and what caused it, at most five."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and len(found) < 5:
        found.append(following)
        following = following.__cause__ or following.__context__
    return found


def _name(error: BaseException) -> str:
    """Return the class, with the stable code that our own errors have."""
    code = getattr(error, "code", "")
    return f"{type(error).__name__} {code}".strip() if isinstance(code, str) else type(error).__name__


logger = Logger(utc=True)
logger.addFilter(_WithoutMessages())
metrics = Metrics()
_STAGE = os.environ.get("STAGE") or "dev"
metrics.set_default_dimensions(stage=_STAGE)


def count(name: str, value: float = 1) -> None:
    """Add to a metric without dimensions besides service and stage."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def seconds(name: str, value: float) -> None:
    """Add a duration."""
    metrics.add_metric(name=name, unit=MetricUnit.Seconds, value=max(0.0, value))


def count_by(name: str, dimension: str, of: str) -> None:
    """Count once under one dimension of its own (an outcome code, a tenant)."""
    with single_metric(name=name, unit=MetricUnit.Count, value=1) as metric:
        metric.add_dimension(name=dimension, value=of or "none")
        metric.add_dimension(name="stage", value=_STAGE)
