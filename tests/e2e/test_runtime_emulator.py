"""Each built function under Lambda's own runtime client, with the events that docs/local.md shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from local.demo import Demo, new_mail, text_of
from local.emulator import emulated
from local.stack import LocalStack

pytestmark = pytest.mark.stack
EVENTS = Path(__file__).resolve().parents[2] / "events"


def call(stack: LocalStack, tmp_path: Path, function: str, *events: str) -> list[Any]:
    properties = stack.template.functions()[function]
    build = stack.built_template.parent
    with emulated(build, function, properties, stack.function_environ(function), tmp_path) as running:
        return [running.invoke((EVENTS / each).read_bytes()) for each in events]


def test_the_router_takes_a_stored_mail_and_records_a_token_that_is_none_of_ours(
    stack: LocalStack, desk: Demo, tmp_path: Path
):
    bucket = stack.outputs["MailBucketName"]
    for name in ("inbound_new_ticket.json", "inbound_reply.json"):
        receipt = json.loads(json.loads((EVENTS / name).read_text())["Records"][0]["body"])
        mail = new_mail(
            receipt["mail"]["source"], "support@acme.example", f"Stored {desk.run}", "It drips.\n"
        )
        key = receipt["receipt"]["action"]["objectKey"]
        stack.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=mail.as_bytes())
    answers = call(stack, tmp_path, "InboundRouterFunction", "inbound_new_ticket.json", "inbound_reply.json")
    assert answers == [{"batchItemFailures": []}] * 2
    assert "It drips." in text_of(desk.wait("admin@acme.example", f"Stored {desk.run}"))


def test_the_sender_settles_a_job_that_is_not_there(stack: LocalStack, tmp_path: Path):
    assert call(stack, tmp_path, "SenderFunction", "outbound_job.json") == [{"batchItemFailures": []}]


def test_the_sweep_finds_nothing_to_queue_again(stack: LocalStack, tmp_path: Path):
    assert call(stack, tmp_path, "SweepFunction", "schedule_sweep.json") == [{"queued": 0}]


def test_feedback_of_mails_that_are_not_ours_is_settled(stack: LocalStack, tmp_path: Path):
    answers = call(stack, tmp_path, "FeedbackFunction", "feedback_delivery.json", "feedback_bounce.json")
    assert answers == [{"batchItemFailures": []}] * 2


def test_the_index_takes_a_new_ticket(stack: LocalStack, tmp_path: Path):
    assert call(stack, tmp_path, "IndexFunction", "stream_new_ticket.json") == [{"batchItemFailures": []}]


def test_the_api_answers_health_sign_in_and_a_list(stack: LocalStack, tmp_path: Path):
    events = ("http_healthz.json", "http_sign_in.json", "http_list_tickets.json")
    answers = call(stack, tmp_path, "ApiFunction", *events)
    assert [each["statusCode"] for each in answers] == [200, 200, 200]
    assert "id_token" in json.loads(answers[1]["body"])
    assert "items" in json.loads(answers[2]["body"])
