"""One tenant is flooded: others wait for a bounded number of its mails, and none of them is lost.

The router's handler as Lambda runs it, on moto's queues. The bound is counted in mails, not in seconds.
"""

import json
import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from servelo import bootstrap
from servelo.services.fair_share import BURST
from tests.world import MAIL_DOMAIN, REGION, TABLE, World, mail, new_world

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")
FLOOD = 1_000 if os.environ.get("SERVELO_PROOF") else 50
CONTEXT = SimpleNamespace(
    function_name="f", memory_limit_in_mb=1, invoked_function_arn="arn", aws_request_id="1"
)
ARN = "arn:aws:sqs:eu-west-1:123456789012:"


class Desk:
    """The router's handler between its two queues, which are played as Lambda's mappings are."""

    def __init__(self, world: World) -> None:
        import functions.inbound_router.app as app

        self.world = world
        self.app = app
        self.urls = {
            name: world.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("inbound", "floods")
        }
        self.order: list[str] = []  # tenants in the order in which their mails were routed

    def arrive(self, number: int, *recipients: str) -> None:
        raw = mail(from_=f"c{number}@customer{number}.example", subject=f"mail {number}")
        (delivery, *_) = self.world.deliveries(raw, *recipients)
        checks = ("spam", "virus", "spf", "dkim", "dmarc")
        receipt = {
            "timestamp": "2026-11-23T12:00:00.000Z",
            "recipients": list(recipients),
            "action": {"type": "S3", "objectKey": delivery.object_key},
            **{f"{name}Verdict": {"status": "PASS"} for name in checks},
        }
        told = {"messageId": delivery.ses_message_id, "timestamp": receipt["timestamp"]}
        body = json.dumps({"mail": told, "receipt": receipt})
        self.world.sqs.send_message(QueueUrl=self.urls["inbound"], MessageBody=body)

    def batch(self, queue: str) -> list[str]:
        """Let the handler have ten records of *queue*; return the bodies of those that it was given."""
        messages = self.world.sqs.receive_message(
            QueueUrl=self.urls[queue], MaxNumberOfMessages=10, AttributeNames=["All"]
        ).get("Messages", [])
        records = [
            {
                "messageId": each["MessageId"],
                "body": each["Body"],
                "attributes": {
                    # Sent a minute before: mails stand behind one another.
                    "SentTimestamp": str(int(each["Attributes"]["SentTimestamp"]) - 60_000),
                    **{k: v for k, v in each["Attributes"].items() if k == "MessageGroupId"},
                },
                "eventSourceARN": ARN + queue,
            }
            for each in messages
        ]
        answer = self.app.lambda_handler({"Records": records}, CONTEXT) if records else {}
        failed = {each["itemIdentifier"] for each in answer.get("batchItemFailures", [])}
        for each in messages:
            if each["MessageId"] not in failed:
                self.world.sqs.delete_message(QueueUrl=self.urls[queue], ReceiptHandle=each["ReceiptHandle"])
        return [each["Body"] for each in messages]

    def drain(self, queue: str) -> int:
        """Return how many records *queue* had."""
        total = 0
        while found := self.batch(queue):
            total += len(found)
        return total

    def waiting(self, queue: str) -> int:
        found = self.world.sqs.get_queue_attributes(
            QueueUrl=self.urls[queue], AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(found["Attributes"]["ApproximateNumberOfMessages"])


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with new_world() as world:
        made = Desk(world)
        secret = boto3.client("secretsmanager", region_name=REGION).create_secret(
            Name="ring", SecretString=json.dumps({"initial": "i" * 64, "keys": []})
        )["ARN"]
        for name, value in {
            "MAIL_DOMAIN": MAIL_DOMAIN,
            "OPERATOR_INBOX": "operator@ops.example",
            "TABLE_NAME": TABLE,
            "MAIL_BUCKET": "mail",
            "FILE_BUCKET": "files",
            "OUTBOUND_QUEUE_URL": world.queue_url,
            "FLOOD_QUEUE_URL": made.urls["floods"],
            "KEY_RING_SECRET_ID": secret,
            "AWS_REGION": REGION,
        }.items():
            monkeypatch.setenv(name, value)
        bootstrap.reset()
        for slug in ("acme", "globex"):
            world.tenant(slug)
        route = bootstrap.router().route

        def watched(deliveries: Any) -> Any:
            outcomes = route(deliveries)
            made.order += [each.slug for each in outcomes]
            return outcomes

        monkeypatch.setattr(bootstrap.router(), "route", watched)
        yield made
        bootstrap.reset()


def subjects(desk: Desk, slug: str) -> list[str]:
    found, after = [], ""
    while True:
        tickets, after = desk.world.store.tickets(slug, limit=200, after=after)
        found += [ticket.subject for ticket in tickets]
        if not after:
            return sorted(found)


def test_behind_a_flood_of_any_length_another_tenant_waits_for_one_share_of_it(desk: Desk):
    for number in range(FLOOD):
        desk.arrive(number, f"acme@{MAIL_DOMAIN}")
    desk.arrive(FLOOD, f"globex@{MAIL_DOMAIN}")
    assert FLOOD + 1 == desk.drain("inbound")
    assert ["acme"] * BURST + ["globex"] == desk.order
    assert FLOOD - BURST == desk.waiting("floods")
    # And the flood itself: all of it becomes what it would have become.
    desk.drain("floods")
    assert sorted(f"mail {number}" for number in range(FLOOD)) == subjects(desk, "acme")
    assert [f"mail {FLOOD}"] == subjects(desk, "globex")
    assert 0 == desk.waiting("inbound") == desk.waiting("floods")


def test_a_flood_that_comes_twice_is_there_once(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """The process ends after it set mails aside, before SQS heard of it: they are on both queues."""
    for number in range(BURST + 10):
        desk.arrive(number, f"acme@{MAIL_DOMAIN}")
    floods = bootstrap.flood_queue()
    put = type(floods).put
    twice = []

    def queued_and_unheard(self: Any, receipts: Any) -> set[int]:
        twice.append(len(put(self, receipts)))
        return set()

    monkeypatch.setattr(type(floods), "put", queued_and_unheard)
    desk.drain("inbound")
    assert [10] == twice
    assert BURST + 10 == len(desk.order)
    desk.drain("floods")
    assert BURST + 10 == len(subjects(desk, "acme"))


def test_what_the_flood_queue_does_not_take_is_routed_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    for number in range(BURST + 10):
        desk.arrive(number, f"acme@{MAIL_DOMAIN}")

    def down(**_: Any) -> Any:
        raise EndpointConnectionError(endpoint_url="https://aws.invalid")

    for _ in range(-(-BURST // 10)):
        desk.batch("inbound")
    with monkeypatch.context() as broken:
        broken.setattr(bootstrap.flood_queue()._sqs, "send_message_batch", down)
        desk.batch("inbound")
    assert BURST + 10 == len(subjects(desk, "acme"))
    assert 0 == desk.waiting("floods")


def test_a_record_that_is_no_receipt_goes_back_alone_from_the_midst_of_a_flood(desk: Desk):
    for number in range(BURST):
        desk.arrive(number, f"acme@{MAIL_DOMAIN}")
    desk.drain("inbound")
    desk.world.sqs.send_message(QueueUrl=desk.urls["inbound"], MessageBody="{}")
    desk.arrive(BURST, f"acme@{MAIL_DOMAIN}")
    record = {"messageId": "bad", "body": "{}", "attributes": {}, "eventSourceARN": ARN + "inbound"}
    answer = desk.app.lambda_handler({"Records": [record]}, CONTEXT)
    assert {"batchItemFailures": [{"itemIdentifier": "bad"}]} == answer
    assert 2 == len(desk.batch("inbound"))
    assert 1 == desk.waiting("floods")


def test_a_mail_that_waits_for_nobody_costs_what_it_did(desk: Desk):
    from tests.faults import Faults, injected

    desk.arrive(1, f"acme@{MAIL_DOMAIN}")
    desk.drain("inbound")
    desk.arrive(2, f"acme@{MAIL_DOMAIN}")
    with injected(Faults()) as seen:
        desk.batch("inbound")
    ours = [each for each in seen.calls if each not in ("ReceiveMessage", "DeleteMessage")]
    assert [
        "GetObject",
        "BatchGetItem",
        "UpdateItem",
        "TransactWriteItems",
        "SendMessageBatch",
    ] == ours
