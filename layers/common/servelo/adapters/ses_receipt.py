"""The receipt of an inbound mail: what SES says of it, apart from what the mail says of itself.

Shape: the notification of an S3 action (Amazon SES developer guide, "Contents of notifications for Amazon
SES email receiving"), carried by SNS with raw delivery, so the SQS body is the notification itself.
``receipt.recipients`` is the envelope; ``mail.destination`` is only what the headers claim and is not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from servelo.errors import MailRejected
from servelo.records import dataclass

VERDICTS = ("spam", "virus", "spf", "dkim", "dmarc")


@dataclass(frozen=True, slots=True)
class Receipt:
    """One accepted mail.

    Attributes:
        ses_message_id: SES's id; with a recipient it identifies a delivery, however often it is notified.
        object_key: of the raw mail, as SES says it; never built.
        recipients: envelope recipients (RCPT TO) that our rule matched, each once.
        envelope_sender: MAIL FROM, ``""`` for the null sender of bounces.
        verdicts: ``spam``, ``virus``, ``spf``, ``dkim``, ``dmarc``: PASS, FAIL, GRAY, PROCESSING_FAILED or
            DISABLED; upper case, ``""`` when missing.
    """

    ses_message_id: str
    object_key: str
    recipients: tuple[str, ...]
    envelope_sender: str
    received_at: datetime
    verdicts: Mapping[str, str]


def read(body: str) -> Receipt | None:
    """Return the receipt in an SQS body; None for what is no mail (SES's and SNS's set-up messages).

    An SNS envelope around the notification (raw delivery switched off) is opened.

    Raises:
        MailRejected: ``receipt_malformed``: not a notification of an S3 action. The record ends in the
            dead-letter queue, where somebody looks at it.
    """
    data = _json(body)
    if isinstance(data.get("Message"), str) and "notificationType" not in data:
        if not data["Message"].startswith("{"):
            return None  # "Successfully validated SNS topic for Amazon SES event publishing."
        data = _json(data["Message"])
    if (
        data.get("notificationType") == "AmazonSnsSubscriptionSucceeded"
        or data.get("Event") == "s3:TestEvent"
    ):
        return None
    try:
        mail, receipt = data["mail"], data["receipt"]
        action = receipt["action"]
        key = str(action["objectKey"])
        if key.rpartition("/")[2] == "AMAZON_SES_SETUP_NOTIFICATION":
            return None
        recipients = receipt["recipients"]
        if not isinstance(recipients, list) or not recipients:
            # Nobody to route it to would mean: acknowledged, and gone without a trace.
            raise MailRejected("the notification names no recipient", code="receipt_malformed")
        return Receipt(
            ses_message_id=str(mail["messageId"]),
            object_key=key,
            recipients=tuple(dict.fromkeys(str(r) for r in recipients)),
            envelope_sender=_sender(mail.get("source")),
            # When the mail was accepted; ``receipt.timestamp`` is when the action ran, and a second
            # notification of the same mail may say another time. Ids of deliveries hang on it.
            received_at=_time(mail.get("timestamp"), receipt.get("timestamp")),
            verdicts={name: _verdict(receipt, name) for name in VERDICTS},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise MailRejected(f"the notification lacks {error}", code="receipt_malformed") from error


def _json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise MailRejected("the record is not JSON", code="receipt_malformed") from error
    if not isinstance(data, dict):
        raise MailRejected("the record is not a JSON object", code="receipt_malformed")
    return data


def _sender(source: object) -> str:
    text = str(source or "").strip().strip("<>")
    return text if "@" in text else ""


def _time(*texts: object) -> datetime:
    for text in texts:
        try:
            found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        except ValueError:
            continue
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    # The same for every notification of the mail: the present would make two deliveries of one.
    return datetime(1970, 1, 1, tzinfo=UTC)


def _verdict(receipt: Mapping[str, Any], name: str) -> str:
    verdict = receipt.get(f"{name}Verdict")
    return str(verdict.get("status", "")).upper() if isinstance(verdict, dict) else ""
