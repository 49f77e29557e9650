"""Receipts as SES and SNS bring them, and what is none."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from servelo.adapters import ses_receipt
from servelo.errors import MailRejected


def notification(**changes: Any) -> dict[str, Any]:
    data = {
        "notificationType": "Received",
        "mail": {
            "timestamp": "2026-11-23T12:00:00.000Z",
            "source": "ada@customer.example",
            "messageId": "ses1",
            "destination": ["support@acme.example"],
        },
        "receipt": {
            "timestamp": "2026-11-23T12:00:05.000Z",
            "recipients": ["acme@serveloapp.com", "acme@serveloapp.com", "reply+x@serveloapp.com"],
            **{f"{v}Verdict": {"status": "PASS"} for v in ("spam", "virus", "spf", "dkim", "dmarc")},
            "action": {"type": "S3", "bucketName": "mail", "objectKey": "inbound/ses1"},
        },
    }
    for path, value in changes.items():
        part, _, name = path.partition("__")
        if value is None:
            del data[part][name]
        else:
            data[part][name] = value
    return data


def read(data: object) -> ses_receipt.Receipt | None:
    return ses_receipt.read(json.dumps(data))


def test_the_envelope_is_taken_and_the_headers_are_not():
    receipt = read(notification())
    assert ("acme@serveloapp.com", "reply+x@serveloapp.com") == receipt.recipients
    assert ("ses1", "inbound/ses1", "ada@customer.example") == (
        receipt.ses_message_id,
        receipt.object_key,
        receipt.envelope_sender,
    )
    assert "PASS" == receipt.verdicts["dmarc"]


def test_an_sns_envelope_is_opened():
    assert read({"Type": "Notification", "Message": json.dumps(notification())}) == read(notification())


def test_two_notifications_of_one_mail_say_the_same_time():
    again = notification(receipt__timestamp="2026-11-23T12:09:00.000Z")
    assert read(notification()).received_at == read(again).received_at
    assert datetime(2026, 11, 23, 12, tzinfo=UTC) == read(again).received_at


@pytest.mark.parametrize("stamp", ["", "yesterday", 5])
def test_a_mail_without_a_time_has_the_same_one_every_time(stamp: object):
    data = notification(mail__timestamp=stamp, receipt__timestamp=stamp)
    assert read(data).received_at == read(data).received_at


@pytest.mark.parametrize("source", ["", "<>", None, "MAILER-DAEMON"])
def test_the_null_sender_of_a_bounce_is_empty(source: str | None):
    assert "" == read(notification(mail__source=source)).envelope_sender


@pytest.mark.parametrize(
    "data",
    [
        {"Message": "Successfully validated SNS topic for Amazon SES event publishing."},
        {"notificationType": "AmazonSnsSubscriptionSucceeded", "message": "You have successfully subscribed"},
        {"Service": "Amazon S3", "Event": "s3:TestEvent"},
        notification(receipt__action={"type": "S3", "objectKey": "inbound/AMAZON_SES_SETUP_NOTIFICATION"}),
    ],
)
def test_what_is_no_mail_is_passed_over(data: dict):
    assert read(data) is None


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        "text",
        7,
        notification(receipt__action=None),
        notification(receipt__action={"type": "Lambda"}),
        notification(receipt__recipients=[]),
        notification(receipt__recipients="acme@serveloapp.com"),
        notification(mail__messageId=None),
        {"notificationType": "Received", "mail": None, "receipt": 5},
    ],
)
def test_what_is_neither_ends_in_the_dead_letter_queue(data: object):
    with pytest.raises(MailRejected) as refused:
        read(data)
    assert "receipt_malformed" == refused.value.code


@pytest.mark.parametrize("verdict", [{}, {"status": None}, "PASS", None])
def test_a_verdict_that_is_missing_is_not_pass(verdict: object):
    data = notification()
    data["receipt"]["dmarcVerdict"] = verdict
    assert "PASS" != read(data).verdicts["dmarc"]
